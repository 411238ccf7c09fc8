"""The result of `rnla.sqrtm_update`."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

from rnla._xp.linalg import adjoint, host_values
from rnla.errors import InputError
from rnla.operators.lowrank import FactoredOperator
from rnla.results.base import RESULTS, Result, listed
from rnla.results.error_estimate import ErrorEstimate
from rnla.results.report import Report, Status

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
        Shifts that were solved with, and the relative residual before and after each step.
    report : Report
        What was done.
    status : Status
        Whether what was asked was reached.
    resume : RootResume or None
        What `extend` goes on from.
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
    resume: Any = dataclasses.field(default=None, repr=False)
    _source: Any = dataclasses.field(default=None, repr=False)

    @property
    def rank(self) -> int:
        """Rank of the correction."""
        return int(self.w.shape[0])

    @property
    def steps(self) -> int:
        """Steps of the iteration."""
        return max(0, len(self.history) - 1)

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
                "be multiplied; w, V and as_operator() are its correction"
            )
        return self._source

    def as_operator(self) -> FactoredOperator:
        """Return the correction V diag(w) V^H as an operator that multiplies without being formed."""
        return FactoredOperator(self.V, self.w, adjoint(self.V))

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
            The root of A can be multiplied only.
        """
        if not self.root.solves:
            raise InputError("the root of A can only be multiplied; give it shifted_solve(s, X) to solve with this one")
        return self._by(lambda x: self.root.shifted_solve(s, x), X)

    def _by(self, function: Any, X: Any) -> Any:
        if len(X.shape) == 1:
            return function(X[:, None])[:, 0]
        return function(X)

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


RESULTS.append(RootUpdate)
