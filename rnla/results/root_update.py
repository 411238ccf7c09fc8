"""The result of `rnla.sqrtm_update`."""

from __future__ import annotations

import dataclasses
import importlib
import math
from typing import Any, ClassVar

import numpy as np

from rnla._xp.linalg import adjoint, host_values
from rnla.checks import check_rank, check_shift, check_tol
from rnla.errors import InputError, ToleranceNotMet
from rnla.operators.lowrank import FactoredOperator
from rnla.results.base import RESULTS, Result, listed
from rnla.results.error_estimate import ErrorEstimate
from rnla.results.on_columns import on_columns
from rnla.results.report import Report, Status, resumer
from rnla.results.truncation import truncated_report

__all__ = ["RootResume", "RootUpdate"]

_NAMES = {0.5: "square root", -0.5: "inverse square root", 0.25: "fourth root", -0.25: "inverse fourth root"}


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RootResume:
    """What `extend` goes on from; only the request travels.

    Attributes
    ----------
    name : str
    request : dict
        What was asked.
    """

    name: str
    request: dict[str, Any]
    _held: Any = dataclasses.field(default=None, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return (RootResume, (self.name, self.request))


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class RootUpdate(Result):
    """The low-rank correction V diag(w) V^H of a root after a low-rank change, with its certificate.

    B = A + sign D D^H;  B^p ~ A^p + V diag(w) V^H.  Unpacks as ``w, V = result``; ``result @ X`` multiplies with the
    root of B, ``result.solve(X)`` with its inverse.

    Attributes
    ----------
    w : array, shape (r,)
        Real, by descending modulus, all of one sign.
    V : array, shape (n, r)
        Orthonormal columns, in the library and on the device of A_half.
    error : ErrorEstimate
        The backward error: how far the matrix whose root this is exactly is from B, relative to norm(B), in the
        spectral norm (of an inverse root, from B^{-1}).
    power : float
        p: 0.5, -0.5, 0.25 or -0.25.
    sign : int
        1 for an update, -1 for a downdate.
    error_of_change : float
        The same error relative to norm(D D^H), or to the change of B^{-1}.
    forward_bound : float
        Bound on norm(B^p - A^p - V diag(w) V^H) in the spectral norm.
    shifts, history : tuple of float
        Shifts that were solved with, and the relative residual before and after each step; of a Krylov method, each
        time that it was looked at, which is not after every block.
    report : Report
        What was done.
    status : Status
        Whether what was asked was reached.
    norm_upper : float
        Bound on the norm that the error is relative to, from above; nan where there is none.
    steps : int
        Steps of the iteration, of both stages of a fourth root; of a Krylov method its blocks.
    resume : RootResume or None
        What `extend` goes on from.

    Notes
    -----
    A result of power 1/2 may be the ``A_half`` of the next call, for the root of B, and one of power -1/2 for the root
    of B^{-1}; a fourth root only the ``A_quarter``.  The errors of that call are relative to the square of the root
    that this result stands for, not to the B of which that is a root to within ``error``: over a chain the errors add
    up, and `SqrtState` watches over that.
    """

    factor_names: ClassVar[tuple[str, ...]] = ("w", "V")
    title: ClassVar[str] = "Correction of a root"

    w: Any
    V: Any
    error: ErrorEstimate
    power: float
    sign: int
    error_of_change: float
    forward_bound: float
    shifts: tuple[float, ...]
    history: tuple[float, ...]
    report: Report
    status: Status
    norm_upper: float = math.nan
    steps: int = 0
    resume: Any = dataclasses.field(default=None, repr=False)
    _source: Any = dataclasses.field(default=None, repr=False)

    @property
    def rank(self) -> int:
        """Rank of the correction."""
        return int(self.w.shape[0])

    @property
    def root(self) -> Any:
        """The root of B as an operator with ``matmat`` and ``shifted_solve``: the next update's ``A_half``.

        Raises
        ------
        InputError
            The root of A did not travel with this result, or there was none.
        """
        if self._source is None:
            raise InputError(
                "the root of A is not here (it does not travel, and KrylovOnA never has it), so the root of B cannot "
                "be multiplied: attach(A_half) brings it back; w, V and as_operator() are the correction alone"
            )
        return self._source

    def extend(
        self, rank: int | None = None, *, tol: float | None = None, A: Any = None, on_failure: str = "raise"
    ) -> RootUpdate:
        """Return a correction of smaller error, which goes on from the iteration that this one came from.

        Parameters
        ----------
        rank : int, optional
            The rank that the correction may have now, at least the present one; by default any.
        tol : float, optional
            The backward error allowed now, relative to norm(B).
        A : None
            Not used: the root is held together with the iteration.
        on_failure : {"raise", "return"}
            What to do when `tol` is missed.

        Returns
        -------
        RootUpdate
            Its error is not above this one's.

        Raises
        ------
        InputError
            No request, a smaller rank, or a result that was loaded, copied to another process or unpickled.
        ToleranceNotMet
            `tol` was missed.

        Notes
        -----
        `ShiftADI` and `KrylovGalerkin` go on with the basis that they have, so that the two calls together cost about
        what one would have; the second stage of a fourth root is made anew, and other methods start again.

        Examples
        --------
        >>> import numpy as np, rnla
        >>> rough = rnla.sqrtm_update(np.linspace(1.0, 9.0, 80), np.ones((80, 1)), tol=1e-4)
        >>> fine = rough.extend(tol=1e-12)
        >>> fine.error.value <= 1e-12, fine.shifts[: rough.steps] == rough.shifts
        (True, True)
        """
        if A is not None:
            raise InputError("the root of A is held together with the iteration: extend without A")
        if getattr(self.resume, "_held", None) is None:
            raise InputError(
                "the iteration that this result came from is not here: it does not travel to a file, a copy or another "
                "process, truncate() leaves it, and KrylovOnA keeps none; call rnla.sqrtm_update again"
            )
        more: RootUpdate = resumer(self.resume.name)(self, None, rank=rank, tol=tol, on_failure=on_failure)
        return more

    def as_operator(self) -> FactoredOperator:
        """Return the correction V diag(w) V^H as an operator that multiplies without being formed."""
        return FactoredOperator(self.V, self.w, adjoint(self.V))

    def attach(self, A_half: Any, A_quarter: Any = None) -> RootUpdate:
        """Return the same result with the root of A at hand again, after loading, unpickling or another process.

        Parameters
        ----------
        A_half, A_quarter
            What `sqrtm_update` was called with.

        Returns
        -------
        RootUpdate
            That multiplies and solves, and may be the next ``A_half``.

        Examples
        --------
        >>> import numpy as np, rnla
        >>> h = np.linspace(1.0, 2.0, 30)
        >>> result = rnla.sqrtm_update(h, np.ones((30, 1)))
        >>> bool(np.allclose(result.attach(h) @ h, result @ h))
        True
        """
        source = importlib.import_module("rnla.matfun.driver").source_of(self, A_half, A_quarter)
        return dataclasses.replace(self, _source=source)

    def truncate(self, rank: int | None = None, *, tol: float | None = None) -> RootUpdate:
        """Return a result of smaller rank, without a product with A_half.

        Parameters
        ----------
        rank : int, optional
            The rank wanted, at most the present one.
        tol : float, optional
            The smallest rank whose certified error, relative as ``error`` is, is at most this.

        Returns
        -------
        RootUpdate
            Where eigenvalues up to d are dropped, the square of S is moved by at most (2 norm(S) + d) d.

        Raises
        ------
        InputError
            Neither or both of the two, or a rank above the present one.
        ToleranceNotMet
            No rank meets `tol`.

        Examples
        --------
        >>> import numpy as np, rnla
        >>> result = rnla.sqrtm_update(np.linspace(1.0, 2.0, 30), np.ones((30, 1)))
        >>> result.truncate(rank=3).rank, result.truncate(tol=1e-6).error.upper <= 1e-6
        (3, True)
        """
        if (rank is None) == (tol is None):
            raise InputError("truncate takes either rank= or tol=")
        sizes = np.append(np.abs(host_values(self.w).astype(np.float64)), 0.0)
        if rank is not None:
            k = check_rank(rank, self.shape)
            if k > self.rank:
                raise InputError(f"rank={k} is above the present {self.rank}; call sqrtm_update again for a larger one")
        else:
            bound = check_tol(tol, np.dtype(self.report.dtype_path))
            fits = [k for k in range(self.rank + 1) if self._without(float(sizes[k])).meets(bound)]
            if not fits:
                raise ToleranceNotMet(
                    f"rank {self.rank} is certified to {self.error.upper:.2e} only, above tol={bound:.1e}; call "
                    "sqrtm_update again with this tol",
                    self,
                )
            k = fits[0]
        if k == self.rank:
            return self
        dropped, w, V, source = float(sizes[k]), self.w[:k], self.V[:, :k], None
        if self._source is not None:
            source = importlib.import_module("rnla.matfun.driver").truncated_source(self._source, self.rank, k)
        error = self._without(dropped)
        return dataclasses.replace(
            self, w=w, V=V, error=error, error_of_change=self.error_of_change * _ratio(error.value, self.error.value),
            forward_bound=self.forward_bound + dropped, report=truncated_report(self.report, k), resume=None,
            _source=source,
        )  # fmt: skip

    def _without(self, dropped: float) -> ErrorEstimate:
        """Return the error where eigenvalues up to `dropped` are left out."""
        if dropped == 0:
            return self.error
        norm = self.error.norm_of_A
        root = math.sqrt((norm if math.isnan(self.norm_upper) else self.norm_upper) + self.error.absolute)
        if abs(self.power) < 0.5:
            moved = (2 * math.sqrt(root) + dropped) * dropped
            moved = (2 * root + moved) * moved
        else:
            moved = (2 * root + dropped) * dropped
        absolute = self.error.absolute + moved
        upper = self.error.upper + moved / norm
        return dataclasses.replace(
            self.error, value=absolute / norm, absolute=absolute, upper=upper, residual=absolute,
            residual_upper=absolute if not math.isnan(upper) else math.nan,
        )  # fmt: skip

    def matmat(self, X: Any) -> Any:
        """Return B^p X.

        Parameters
        ----------
        X : array, shape (n, k) or (n,)
        """
        return self._by(self.root.matmat, X)

    def solve(self, X: Any) -> Any:
        """Return B^{-p} X, by a solve with the root of A and a small core.

        Parameters
        ----------
        X : array, shape (n, k) or (n,)
        """
        return self.shifted_solve(0.0, X)

    def shifted_solve(self, s: float, X: Any) -> Any:
        """Return (B^p + s I)^{-1} X.

        Parameters
        ----------
        s : float
            Not negative.
        X : array, shape (n, k) or (n,)

        Raises
        ------
        InputError
            The root of A can be multiplied only, or it is singular and s = 0.
        """
        if not self.root.solves:
            raise InputError("the root of A can only be multiplied; give it shifted_solve(s, X) to solve with this one")
        shift = check_shift(s)
        if shift == 0:
            importlib.import_module("rnla.matfun.driver").require_solvable(self.root)
        return self._by(lambda x: self.root.shifted_solve(shift, x), X)

    def _by(self, function: Any, X: Any) -> Any:
        root = self.root
        return on_columns(function, X, root.shape[0], root.xp, root.dtype)

    def __matmul__(self, X: Any) -> Any:
        return self.matmat(X)

    def fits(self) -> bool:
        """Whether the shapes of the factors agree."""
        return bool(self.V.shape == (self.report.shape[0], len(self.w)) and self.w.ndim == 1)

    def lines(self) -> list[tuple[str, str]]:
        """Return the lines that only a correction has."""
        values = listed([f"{x:.4g}" for x in host_values(self.w)])
        forward = "unknown" if math.isnan(self.forward_bound) else f"<= {self.forward_bound:.3g}"
        rows = [
            ("of the", f"{_NAMES[self.power]}, after {'an update' if self.sign > 0 else 'a downdate'}"),
            ("eigenvalues", values or "none"),
            ("forward error", f"{forward} in the spectral norm"),
            ("of the change", f"backward error {self.error_of_change:.3g} of it"),
        ]
        if self.shifts:
            rows.append(("shifts", listed([f"{s:.3g}" for s in self.shifts])))
        return rows


def _ratio(after: float, before: float) -> float:
    return after / before if before else 1.0


RESULTS.append(RootUpdate)
