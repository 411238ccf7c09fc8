"""The results of a stack of matrices: stacked factors, and one certificate for every item."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from rnla._xp.linalg import adjoint, cast
from rnla._xp.namespace import namespace_of
from rnla.errors import InputError
from rnla.results.eigh_result import EighResult
from rnla.results.error_estimate import ErrorEstimate
from rnla.results.qr_result import QRResult
from rnla.results.report import Report, Status
from rnla.results.svd_result import SVDResult

__all__ = [
    "BatchedEighResult",
    "BatchedErrors",
    "BatchedQRResult",
    "BatchedResult",
    "BatchedSVDResult",
    "StackedFactors",
]

Array = np.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class BatchedErrors:
    """How far the factorization of every item is from it; arrays of the shape of the batch, on the host.

    Attributes
    ----------
    value, absolute : numpy.ndarray
        Error of the rank returned, relative to the norm of the item, and not divided.
    norm : str
        ``"fro"`` or ``"spectral"``.
    kind, method : numpy.ndarray of str
        As in `ErrorEstimate`; no item's is estimated.
    upper : numpy.ndarray
        Relative bound.
    floor : numpy.ndarray
        The relative error under which the method sees rounding only.
    norm_of_A : numpy.ndarray
        The norm that `value` is relative to.
    residual, residual_upper : numpy.ndarray
        Absolute error of the whole basis, before truncation, and its bound.
    """

    value: Array
    absolute: Array
    norm: str
    kind: Array
    method: Array
    upper: Array
    floor: Array
    norm_of_A: Array
    residual: Array
    residual_upper: Array

    def meets(self, tol: float) -> Array:
        """Return, for every item, whether the error is certified to be at most a relative tolerance."""
        met: Array = self.upper <= tol
        return met

    def item(self, index: Any, *, cut: str = "one-sided") -> ErrorEstimate:
        """Return the certificate of one item."""
        kind = str(self.kind[index])
        names = ("value", "absolute", "upper", "floor", "norm_of_A", "residual", "residual_upper")
        numbers: dict[str, Any] = {name: float(getattr(self, name)[index]) for name in names}
        return ErrorEstimate(
            norm=self.norm, kind=kind, method=str(self.method[index]), failure_probability=0.0,
            standard_error=0.0 if kind == "exact" else math.nan, cut=cut,
            **numbers,
        )  # fmt: skip

    def __str__(self) -> str:
        if not self.value.size:
            return "none"
        worst = np.unravel_index(int(np.argmax(self.upper)), self.upper.shape)
        place = ", ".join(str(int(i)) for i in worst)
        return f"at most {self.item(worst)}, in item ({place})"


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class StackedFactors:
    """The factors of some items of a stack, all columns of them.

    Attributes
    ----------
    values : array, shape (items, l)
        Real, in the order in which they are kept.
    left, right : array, shape (items, rows, l)
        The right factor as columns, not its adjoint; None where it is the left one.
    energy : array, shape (items,)
        Squared norms of the projections; None where the factorization is complete.
    pivots : array, shape (items, n)
        Of a pivoted factorization.
    """

    values: Any
    left: Any
    right: Any
    energy: Any = None
    pivots: Any = None


class BatchedResult(abc.ABC):
    """The abstract base of results of stacks, which are frozen dataclasses with slots.

    Factors first, in the order of ``factor_names``; then ``ranks``, ``error``, ``report``, ``status``, ``statuses``.
    """

    __slots__ = ()

    factor_names: ClassVar[tuple[str, ...]]
    title: ClassVar[str]

    ranks: Array
    error: BatchedErrors
    report: Report
    status: Status
    statuses: Array

    def __iter__(self) -> Iterator[Any]:
        return iter([getattr(self, name) for name in self.factor_names])

    def __len__(self) -> int:
        return len(self.factor_names)

    def __getitem__(self, index: Any) -> Any:
        return tuple(self)[index]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the stack."""
        return tuple(self.report.shape)

    @property
    def rank(self) -> int:
        """The largest rank of an item, and that of the factors."""
        return self.report.rank

    @abc.abstractmethod
    def item(self, *index: int) -> Any:
        """Return the result of one item, cut to its own rank.

        Parameters
        ----------
        *index : int
            Of the batch.
        """

    @abc.abstractmethod
    def to_array(self) -> Any:
        """Return the stack of approximations, (..., m, n)."""

    def _place(self, index: tuple[int, ...]) -> tuple[int, ...]:
        batch = self.shape[:-2]
        if len(index) != len(batch) or not all(-size <= i < size for i, size in zip(index, batch, strict=True)):
            raise InputError(f"item{index} is not in a batch of shape {batch}")
        return tuple(i % size for i, size in zip(index, batch, strict=True))

    def _common(self, place: tuple[int, ...], cut: str = "one-sided") -> dict[str, Any]:
        rank = int(self.ranks[place])
        report = dataclasses.replace(
            self.report, shape=(self.shape[-2], self.shape[-1]), rank=rank,
            numerical_rank=min(rank, self.report.numerical_rank),
            notes=(*self.report.notes, f"item {place} of a stack"),
        )  # fmt: skip
        return {"error": self.error.item(place, cut=cut), "report": report, "status": Status[str(self.statuses[place])]}

    def __str__(self) -> str:
        r = self.report
        *batch, m, n = self.shape
        missed = int(np.count_nonzero(self.statuses != Status.MET.name))
        ranks = f"{self.ranks.min()} to {self.ranks.max()}" if self.ranks.size else "none"
        rows = [
            ("stack", f"{' x '.join(map(str, batch))} matrices, {m} x {n}"),
            ("ranks", f"{ranks}, from up to {r.size} basis columns"),
            ("error", str(self.error)),
            ("status", self.status.value + (f" ({missed} items)" if missed else "")),
            ("method", r.plan.summary),
            ("cost", f"{r.passes} pass{'es' * (r.passes != 1)}, {r.products} products an item, {r.seconds:.3g} s"),
            ("arrays", f"{r.dtype_path}, {r.backend}" + (f" on {r.device}" if r.device not in {"", "cpu"} else "")),
            ("seed", str(r.seed)),
        ]
        return f"{self.title}\n" + "\n".join(f"  {name:<16} {text}" for name, text in rows)

    def __repr__(self) -> str:
        return str(self)


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class BatchedSVDResult(BatchedResult):
    """Truncated singular value decompositions of a stack, A[i] ~ U[i] diag(s[i]) Vh[i].

    Unpacks as ``U, s, Vh = result``.

    Attributes
    ----------
    U : array, shape (..., m, k)
    s : array, shape (..., k)
    Vh : array, shape (..., k, n)
        k is the largest of the ranks.  Past the rank of an item its factors are zero.
    ranks : numpy.ndarray of int64, shape (...)
        The rank of every item.
    error : BatchedErrors
        How far each item's factors are from it.
    report : Report
        What was done.
    status : Status
        Whether what was asked was reached by every item.
    statuses : numpy.ndarray of str, shape (...)
        The name of every item's `Status`.
    """

    factor_names: ClassVar[tuple[str, ...]] = ("U", "s", "Vh")
    title: ClassVar[str] = "SVD of a stack"

    U: Any
    s: Any
    Vh: Any
    ranks: Array
    error: BatchedErrors
    report: Report
    status: Status
    statuses: Array

    def item(self, *index: int) -> SVDResult:
        """Return the result of one item, cut to its own rank.

        Parameters
        ----------
        *index : int
            Of the batch.

        Examples
        --------
        >>> import numpy as np, rnla
        >>> result = rnla.svd(np.stack([np.eye(3), np.diag([3.0, 0.0, 0.0])]), tol=0.1)
        >>> result.item(1).s.round(12).tolist()
        [3.0]
        """
        place = self._place(index)
        k = int(self.ranks[place])
        every = slice(None)
        return SVDResult(
            self.U[(*place, every, slice(k))], self.s[(*place, slice(k))], self.Vh[(*place, slice(k), every)],
            **self._common(place),
        )  # fmt: skip

    def to_array(self) -> Any:
        """Return the stack of approximations, (..., m, n)."""
        return (self.U * cast(self.s, self.U.dtype)[..., None, :]) @ self.Vh


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class BatchedEighResult(BatchedResult):
    """Truncated eigenvalue decompositions of a stack of Hermitian matrices, A[i] ~ V[i] diag(w[i]) V[i]^H.

    Unpacks as ``w, V = result``.

    Attributes
    ----------
    w : array, shape (..., k)
        Real; by descending modulus, or descending where the largest were asked for.
    V : array, shape (..., n, k)
        k is the largest of the ranks.  Past the rank of an item its factors are zero.
    ranks : numpy.ndarray of int64, shape (...)
        The rank of every item.
    error : BatchedErrors
        How far each item's factors are from it.
    report : Report
        What was done.
    status : Status
        Whether what was asked was reached by every item.
    statuses : numpy.ndarray of str, shape (...)
        The name of every item's `Status`.
    """

    factor_names: ClassVar[tuple[str, ...]] = ("w", "V")
    title: ClassVar[str] = "Hermitian eigenvalue decomposition of a stack"

    w: Any
    V: Any
    ranks: Array
    error: BatchedErrors
    report: Report
    status: Status
    statuses: Array

    def item(self, *index: int) -> EighResult:
        """Return the result of one item, cut to its own rank.

        Parameters
        ----------
        *index : int
            Of the batch.
        """
        place = self._place(index)
        k = int(self.ranks[place])
        return EighResult(
            self.w[(*place, slice(k))], self.V[(*place, slice(None), slice(k))], **self._common(place, "two-sided")
        )

    def to_array(self) -> Any:
        """Return the stack of approximations, (..., n, n)."""
        return (self.V * cast(self.w, self.V.dtype)[..., None, :]) @ adjoint(self.V)


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class BatchedQRResult(BatchedResult):
    """Low-rank pivoted QR factorizations of a stack, A[i][:, pivots[i]] ~ Q[i] R[i].

    Unpacks as ``Q, R, pivots = result``.

    Attributes
    ----------
    Q : array, shape (..., m, k)
    R : array, shape (..., k, n)
        k is the largest of the ranks.  Past the rank of an item its factors are zero.
    pivots : array of int64, shape (..., n)
        A permutation of the columns of every item.
    ranks : numpy.ndarray of int64, shape (...)
        The rank of every item.
    error : BatchedErrors
        How far each item's factors are from it.
    report : Report
        What was done.
    status : Status
        Whether what was asked was reached by every item.
    statuses : numpy.ndarray of str, shape (...)
        The name of every item's `Status`.
    """

    factor_names: ClassVar[tuple[str, ...]] = ("Q", "R", "pivots")
    title: ClassVar[str] = "Pivoted QR of a stack"

    Q: Any
    R: Any
    pivots: Any
    ranks: Array
    error: BatchedErrors
    report: Report
    status: Status
    statuses: Array

    def item(self, *index: int) -> QRResult:
        """Return the result of one item, cut to its own rank.

        Parameters
        ----------
        *index : int
            Of the batch.
        """
        place = self._place(index)
        k = int(self.ranks[place])
        every = slice(None)
        return QRResult(
            self.Q[(*place, every, slice(k))], self.R[(*place, slice(k), every)], self.pivots[(*place, every)],
            **self._common(place),
        )  # fmt: skip

    def to_array(self) -> Any:
        """Return the stack of approximations with the columns in their own order, (..., m, n)."""
        xp = namespace_of(self.R)
        back = xp.argsort(self.pivots, axis=-1)
        index = xp.broadcast_to(back[..., None, :], tuple(self.R.shape))
        return self.Q @ xp.take_along_axis(self.R, index, axis=-1)
