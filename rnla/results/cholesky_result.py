"""The result of `rnla.cholesky`."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from rnla._kernels.threads import even_ranges, run
from rnla._xp.linalg import adjoint, cast, host_values, svd
from rnla._xp.namespace import is_numpy, namespace_of, to_host
from rnla.checks import check_positive, check_rank, check_tol
from rnla.config import get_config
from rnla.errors import InputError, ToleranceNotMet
from rnla.operators.lowrank import FactoredOperator
from rnla.results.base import RESULTS, Result, listed
from rnla.results.error_estimate import ErrorEstimate
from rnla.results.report import Report, Status

__all__ = ["CholeskyResult", "CholeskyResume", "squared_norms"]


def squared_norms(factor: Any) -> np.ndarray[Any, Any]:
    """Return the squared norms of the columns, summed in double precision, on the host."""
    xp = namespace_of(factor)
    if is_numpy(xp):

        def part(rows: slice) -> np.ndarray[Any, Any]:
            some = factor[rows].astype(np.complex128 if factor.dtype.kind == "c" else np.float64, copy=False)
            squares: np.ndarray[Any, Any] = np.einsum("ij,ij->j", some.conj(), some).real
            return squares

        count = max(1, factor.size >> 20)
        total: np.ndarray[Any, Any] = np.sum(run(part, even_ranges(len(factor), count), get_config().threads), axis=0)
        return total
    modulus = xp.abs(factor)
    return host_values(xp.sum(modulus * modulus, axis=0, dtype=xp.float64))


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class CholeskyResume:
    """What `extend` goes on from: the state of the elimination, in the scale that it is computed in.

    Attributes
    ----------
    name : str
    factor : array, shape (n, l)
        All columns that were made, of which the result may hold fewer.
    pivots : numpy.ndarray, shape (l,)
    diagonal, residual : array, shape (n,)
    excluded : numpy.ndarray
        Indices that will not be pivots.
    block, size, tried, taken : int
    waiting : tuple of numpy.ndarray or None
        Candidates of an unfinished block, their bounds and uniform numbers.
    exponent : int
    method : PivotRule
    request : dict
    seed : int
    """

    name: str
    factor: Any
    pivots: np.ndarray[Any, Any]
    diagonal: Any
    residual: Any
    excluded: np.ndarray[Any, Any]
    block: int
    size: int
    tried: int
    taken: int
    waiting: tuple[Any, Any, Any] | None
    exponent: int
    method: Any
    request: dict[str, Any]
    seed: int


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class CholeskyResult(Result):
    """A partial Cholesky factorization A ~ L L^H with its certificate.

    Unpacks as ``L, pivots = result``.

    Attributes
    ----------
    L : array, shape (n, k)
        In the library and on the device of A; ``L[pivots]`` is lower triangular.
    pivots : array of int64, shape (k,)
        Rows and columns of A that were read, in the order in which they were chosen; L L^H has them exactly.
    error : ErrorEstimate
        How far L L^H is from A.
    report : Report
        What was done; its notes tell how many entries of A were read.
    status : Status
        Whether what was asked was reached.
    resume : CholeskyResume or None
        What `extend` goes on from.
    """

    factor_names: ClassVar[tuple[str, ...]] = ("L", "pivots")
    title: ClassVar[str] = "Partial Cholesky factorization"

    L: Any
    pivots: Any
    error: ErrorEstimate
    report: Report
    status: Status
    resume: Any = dataclasses.field(default=None, repr=False)
    _source: Any = dataclasses.field(default=None, repr=False)

    @property
    def rank(self) -> int:
        """Number of columns of L."""
        return int(self.L.shape[1])

    def as_operator(self) -> FactoredOperator:
        """Return L L^H as an operator that multiplies without being formed."""
        return FactoredOperator(self.L, None, adjoint(self.L))

    def eigh(self) -> tuple[Any, Any]:
        """Return the eigenvalues of L L^H, descending, and orthonormal eigenvectors.

        Returns
        -------
        w : array, shape (k,)
        V : array, shape (n, k)

        Notes
        -----
        From the singular value decomposition of L, in O(n k^2) flops.  No eigenvalue is above that of A with the
        same index, and together they miss at most the error in the trace norm.
        """
        u, s, _ = svd(self.L)
        return s * s, u

    def solve(self, y: Any, shift: float) -> Any:
        """Return x with (L L^H + shift I) x = y: the regularized system, or a preconditioner for that of A.

        Parameters
        ----------
        y : array, shape (n,) or (n, p)
        shift : float
            Positive.

        Notes
        -----
        From `eigh`, in O(n k^2) flops; good down to rounding for any positive shift.

        Examples
        --------
        >>> import numpy as np, rnla
        >>> result = rnla.cholesky(np.diag([3.0, 1.0]), 1, method=rnla.GreedyPivoting())
        >>> result.solve(np.array([4.0, 2.0]), shift=1.0).tolist()
        [1.0, 2.0]
        """
        shift = check_positive("shift", shift)
        if y.ndim not in {1, 2} or int(y.shape[0]) != self.shape[0]:
            raise InputError(f"y must have {self.shape[0]} rows, got shape {tuple(y.shape)}")
        xp = namespace_of(self.L)
        w, v = self.eigh()
        right = cast(xp.reshape(y, (-1, 1)) if y.ndim == 1 else y, self.L.dtype)
        inside = adjoint(v) @ right
        share = cast(w / (w + shift), self.L.dtype)[:, None]
        out = (right - v @ (share * inside)) / shift
        return out[:, 0] if y.ndim == 1 else out

    def truncate(self, rank: int | None = None, *, tol: float | None = None) -> CholeskyResult:
        """Return the factorization by the first pivots only, without reading A.

        Parameters
        ----------
        rank : int, optional
            The rank wanted, at most the present one.
        tol : float, optional
            The smallest rank whose certified error, in the norm of ``error``, is at most this, relative.

        Returns
        -------
        CholeskyResult
            Its residual has the trace of the present one and the squared norms of the columns that are dropped.

        Raises
        ------
        InputError
            Neither or both arguments, or a rank above the present one.
        ToleranceNotMet
            The present rank does not meet `tol` either; ``.result`` is this result.
        """
        if (rank is None) == (tol is None):
            raise InputError("truncate takes either rank= or tol=")
        dropped = np.append(np.cumsum(squared_norms(self.L)[::-1])[::-1], 0.0)
        scale, rounding = self.error.norm_of_A, self.error.floor
        absolute = self.error.absolute + dropped
        if rank is not None:
            k = check_rank(rank, self.shape)
            if k > self.rank:
                raise InputError(f"rank={k} is above the present {self.rank}; use extend(rank={k})")
        else:
            bound = check_tol(tol, np.dtype(str(self.L.dtype).rpartition(".")[2]))
            fits = np.flatnonzero(absolute + rounding * scale <= bound * scale)
            if not len(fits):
                raise ToleranceNotMet(
                    f"rank {self.rank} has error {self.error.value:.2e}, above tol={bound:.1e}; "
                    f"extend(tol={bound:.1e}) adds to it",
                    self,
                )
            k = int(fits[0])
        value = float(absolute[k]) / scale if scale > 0 else 0.0
        error = dataclasses.replace(
            self.error, value=value, absolute=float(absolute[k]), upper=value + rounding, residual=float(absolute[k]),
            residual_upper=float(absolute[k]) + rounding * scale,
        )  # fmt: skip
        report = dataclasses.replace(
            self.report, rank=k, numerical_rank=min(k, self.report.numerical_rank), passes=0, scans=0, products=0,
            seconds=0.0, notes=(*self.report.notes, f"truncated from rank {self.rank} without reading A"),
        )  # fmt: skip
        return dataclasses.replace(
            self, L=self.L[:, :k], pivots=self.pivots[:k], error=error, report=report, status=Status.MET
        )

    def fits(self) -> bool:
        """Whether the shapes of the factors agree, and those of what `extend` goes on from."""
        (n, _), k = self.report.shape, len(self.pivots)
        good = self.L.shape == (n, k)
        if self.resume is not None:
            r, count = self.resume, len(self.resume.pivots)
            good &= r.factor.shape == (n, count) and r.diagonal.shape == r.residual.shape == (n,) and count >= k
            indices = [r.pivots, r.excluded, *(() if r.waiting is None else r.waiting[:1])]
            good &= all(not len(i) or (int(i.min()) >= 0 and int(i.max()) < n) for i in indices)
        return bool(good)

    def lines(self) -> list[tuple[str, str]]:
        """Return the line of the pivots."""
        p = to_host(self.pivots).tolist()
        shown = listed([str(i) for i in p], 6)
        return [("pivots", shown or "none")]


RESULTS.append(CholeskyResult)
