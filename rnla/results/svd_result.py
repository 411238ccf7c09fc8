"""The result of `rnla.svd`.

It unpacks into its factors only, multiplies like the matrix that it approximates, prints as a
short table, can be asked for more or less, and can be saved.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from rnla._xp.linalg import host_values
from rnla.checks import check_rank, check_tol
from rnla.errors import InputError, ToleranceNotMet
from rnla.operators.lowrank import FactoredOperator
from rnla.results.error_estimate import ErrorEstimate, truncated_error
from rnla.results.report import Report, Resume, Status, resumer

__all__ = ["SVDResult"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class SVDResult:
    """A truncated singular value decomposition A ~ U diag(s) Vh with its certificate.

    Unpacks as ``U, s, Vh = result``.

    Attributes
    ----------
    U : array, shape (m, k)
        Orthonormal columns, in the library and on the device of A.
    s : array, shape (k,)
        Singular values, descending, real.
    Vh : array, shape (k, n)
        Orthonormal rows.
    error : ErrorEstimate
        How far U diag(s) Vh is from A.
    report : Report
        What was done.
    status : Status
        Whether what was asked was reached.
    resume : Resume or None
        What `extend` goes on from.
    """

    U: Any
    s: Any
    Vh: Any
    error: ErrorEstimate
    report: Report
    status: Status
    resume: Resume | None = dataclasses.field(default=None, repr=False)
    _source: Any = dataclasses.field(default=None, repr=False)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.U, self.s, self.Vh))

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: Any) -> Any:
        return (self.U, self.s, self.Vh)[index]

    @property
    def rank(self) -> int:
        """Number of singular values returned."""
        return int(self.s.shape[0])

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the matrix."""
        return (int(self.U.shape[0]), int(self.Vh.shape[1]))

    def as_operator(self) -> FactoredOperator:
        """Return U diag(s) Vh as an operator that multiplies without being formed."""
        return FactoredOperator(self.U, self.s, self.Vh)

    def truncate(self, rank: int | None = None, *, tol: float | None = None) -> SVDResult:
        """Return a result of smaller rank, without reading A.

        Parameters
        ----------
        rank : int, optional
            The rank wanted, at most the present one.
        tol : float, optional
            The smallest rank whose certified error, in the norm of ``error``, is at most this, relative.

        Returns
        -------
        SVDResult
            With the error of the smaller rank: by Pythagoras in the Frobenius norm, as a bound in the spectral norm.

        Raises
        ------
        InputError
            Neither or both arguments, or a rank above the present one.
        ToleranceNotMet
            The present rank does not meet `tol` either; ``.result`` is this result.

        Examples
        --------
        >>> import numpy as np, rnla
        >>> result = rnla.svd(np.diag([4.0, 3.0, 0.0]), 2, rng=0)
        >>> small = result.truncate(1)
        >>> round(small.error.value, 12)
        0.6
        """
        if (rank is None) == (tol is None):
            raise InputError("truncate takes either rank= or tol=")
        s = host_values(self.s)
        if rank is not None:
            k = check_rank(rank, self.shape)
            if k > self.rank:
                raise InputError(f"rank={k} is above the present {self.rank}; use extend(rank={k})")
        else:
            assert tol is not None
            bound = check_tol(tol, np.dtype(str(self.U.dtype).rpartition(".")[2]))
            if math.isnan(self.error.upper):
                raise ToleranceNotMet(
                    f"the error is estimated by {self.error.method}, without a bound, so no tolerance is certified; "
                    f"extend(tol={bound:.1e}) finds one",
                    self,
                )
            fits = [k for k in range(self.rank + 1) if truncated_error(self.error, s, k).meets(bound)]
            if not fits:
                raise ToleranceNotMet(
                    f"rank {self.rank} has error {self.error.value:.2e}, above tol={bound:.1e}; "
                    f"extend(tol={bound:.1e}) adds to it",
                    self,
                )
            k = fits[0]
        error = truncated_error(self.error, s, k)
        report = dataclasses.replace(
            self.report, rank=k, numerical_rank=min(k, self.report.numerical_rank), passes=0, scans=0, products=0,
            seconds=0.0, notes=(*self.report.notes, f"truncated from rank {self.rank} without reading A"),
        )  # fmt: skip
        return dataclasses.replace(
            self, U=self.U[:, :k], s=self.s[:k], Vh=self.Vh[:k, :], error=error, report=report, status=Status.MET
        )

    def extend(
        self, rank: int | None = None, *, tol: float | None = None, A: Any = None, on_failure: str = "raise"
    ) -> SVDResult:
        """Return a result of larger rank or smaller error that reuses the basis found so far.

        Parameters
        ----------
        rank : int, optional
            The rank wanted, at least the present one.
        tol : float, optional
            The relative error wanted, in the norm of ``error``.
        A : matrix, optional
            The same matrix; needed after loading, copying to another process, or unpickling.
        on_failure : {"raise", "return"}
            What to do when `tol` is missed.

        Returns
        -------
        SVDResult
            The old basis lies in the new one, so the error does not rise.

        Raises
        ------
        InputError
            No request, a smaller rank, no matrix, or a matrix that is not the one factorized before.
        ToleranceNotMet
            `tol` was missed.

        Notes
        -----
        Cost: 2 (power_iterations + 1) + 1 products of the added columns, plus the panel algebra.

        Examples
        --------
        >>> import numpy as np, rnla
        >>> A = np.diag(0.5 ** np.arange(60.0))
        >>> result = rnla.svd(A, 5, rng=0)
        >>> more = result.extend(rank=20)
        >>> more.error.value < result.error.value
        True
        """
        if self.resume is None:
            raise InputError("this result keeps no basis to extend; call svd again")
        source = self._source if A is None else A
        if source is None:
            raise InputError("the matrix did not travel with this result: pass it, extend(..., A=A)")
        extended: SVDResult = resumer(self.resume.name)(self, source, rank=rank, tol=tol, on_failure=on_failure)
        return extended

    def save(self, path: Any) -> None:
        """Write the result to one file, ``.npz`` with JSON inside and nothing pickled; read it with `rnla.load`.

        Parameters
        ----------
        path : str or path-like
            Replaced in one step: a crash leaves the old file or the new one.
        """
        importlib.import_module("rnla.storage").save(self, path)

    def __reduce__(self) -> tuple[Any, ...]:
        fields = (self.U, self.s, self.Vh, self.error, self.report, self.status, self.resume)
        return (SVDResult, fields)

    def __copy__(self) -> SVDResult:
        return dataclasses.replace(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> SVDResult:
        factors = {name: copy.deepcopy(getattr(self, name), memo) for name in ("U", "s", "Vh", "resume")}
        return dataclasses.replace(self, **factors)

    def __str__(self) -> str:
        r, s = self.report, host_values(self.s)
        values = ", ".join(f"{x:.4g}" for x in s[:4]) + (f", ..., {s[-1]:.4g}" if len(s) > 4 else "")
        rows = [
            ("rank", f"{self.rank} of a {self.shape[0]} x {self.shape[1]} matrix, from {r.size} basis columns"),
            ("singular values", values or "none"),
            ("error", str(self.error)),
            ("status", self.status.value),
            ("method", r.plan.summary),
            ("cost", f"{r.passes} passes, {r.products} products, {r.seconds:.3g} s"),
            ("arrays", f"{r.dtype_path}, {r.backend}" + (f" on {r.device}" if r.device not in {"", "cpu"} else "")),
            ("seed", str(r.seed)),
        ]
        return "SVD\n" + "\n".join(f"  {name:<16} {text}" for name, text in rows)

    __repr__ = __str__
