"""The results of `rnla.interpolative`: by columns, by rows, by both."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from rnla._xp.namespace import to_host
from rnla.operators.lowrank import FactoredOperator
from rnla.results.base import RESULTS, Result
from rnla.results.error_estimate import ErrorEstimate
from rnla.results.report import Report, Resume, Status

__all__ = ["ColumnID", "RowID", "TwoSidedID", "dense"]


def dense(panel: Any) -> Any:
    """Return chosen rows or columns as a dense array: those of a sparse matrix are sparse."""
    return panel.toarray() if hasattr(panel, "toarray") else panel


def distinct(index: Any, count: int, below: int) -> bool:
    """Whether an array holds so many distinct indices."""
    found = to_host(index)
    inside = len(found) == 0 or (int(found.min()) >= 0 and int(found.max()) < below)
    return found.shape == (count,) and inside and len(np.unique(found)) == count


def listed(index: Any) -> str:
    """Return the first indices as text."""
    found = to_host(index)
    return (", ".join(map(str, found[:8].tolist())) + (", ..." if len(found) > 8 else "")) or "none"


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class ColumnID(Result):
    """A column interpolative decomposition ``A ~ C X``, ``C = A[:, columns]``, with its certificate.

    Unpacks as ``C, X = result``.

    Attributes
    ----------
    C : array or sparse matrix, shape (m, k)
        Columns of A as they are: sparse, and of the same type, where A is.
    X : array, shape (k, n)
        ``X[:, columns]`` is the identity, and no entry is above 2 in modulus.
    columns : array of int64, shape (k,)
        The columns chosen.
    error : ErrorEstimate
        How far ``C X`` is from A.
    report : Report
        What was done.
    status : Status
        Whether what was asked was reached.
    resume : Resume or None
        What `extend` goes on from.
    """

    factor_names: ClassVar[tuple[str, ...]] = ("C", "X")
    title: ClassVar[str] = "Column interpolative decomposition"

    C: Any
    X: Any
    columns: Any
    error: ErrorEstimate
    report: Report
    status: Status
    resume: Resume | None = dataclasses.field(default=None, repr=False)
    _source: Any = dataclasses.field(default=None, repr=False)

    @property
    def rank(self) -> int:
        """Columns chosen."""
        return int(self.C.shape[1])

    def as_operator(self) -> FactoredOperator:
        """Return C X as an operator that multiplies without being formed."""
        return FactoredOperator(dense(self.C), None, self.X)

    def fits(self) -> bool:
        """Whether the shapes of the factors agree."""
        (m, n), k = self.report.shape, self.rank
        return self.C.shape == (m, k) and self.X.shape == (k, n) and distinct(self.columns, k, n)

    def lines(self) -> list[tuple[str, str]]:
        """Return the line of the columns chosen."""
        return [("columns", listed(self.columns))]


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class RowID(Result):
    """A row interpolative decomposition ``A ~ X R``, ``R = A[rows, :]``, with its certificate.

    Unpacks as ``X, R = result``.

    Attributes
    ----------
    X : array, shape (m, k)
        ``X[rows, :]`` is the identity, and no entry is above 2 in modulus.
    R : array or sparse matrix, shape (k, n)
        Rows of A as they are: sparse, and of the same type, where A is.
    rows : array of int64, shape (k,)
        The rows chosen.
    error : ErrorEstimate
        How far ``X R`` is from A.
    report : Report
        What was done.
    status : Status
        Whether what was asked was reached.
    resume : Resume or None
        What `extend` goes on from.
    """

    factor_names: ClassVar[tuple[str, ...]] = ("X", "R")
    title: ClassVar[str] = "Row interpolative decomposition"

    X: Any
    R: Any
    rows: Any
    error: ErrorEstimate
    report: Report
    status: Status
    resume: Resume | None = dataclasses.field(default=None, repr=False)
    _source: Any = dataclasses.field(default=None, repr=False)

    @property
    def rank(self) -> int:
        """Rows chosen."""
        return int(self.R.shape[0])

    def as_operator(self) -> FactoredOperator:
        """Return X R as an operator that multiplies without being formed."""
        return FactoredOperator(self.X, None, dense(self.R))

    def fits(self) -> bool:
        """Whether the shapes of the factors agree."""
        (m, n), k = self.report.shape, self.rank
        return self.X.shape == (m, k) and self.R.shape == (k, n) and distinct(self.rows, k, m)

    def lines(self) -> list[tuple[str, str]]:
        """Return the line of the rows chosen."""
        return [("rows", listed(self.rows))]


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class TwoSidedID(Result):
    """A two-sided interpolative decomposition ``A ~ W S X``, ``S = A[rows][:, columns]``, with its certificate.

    Unpacks as ``W, S, X = result``.

    Attributes
    ----------
    W : array, shape (m, k)
        ``W[rows, :]`` is the identity, and no entry is above 2 in modulus.
    S : array, shape (k, k)
        Entries of A as they are.
    X : array, shape (k, n)
        ``X[:, columns]`` is the identity, and no entry is above 2 in modulus.
    rows, columns : array of int64, shape (k,)
        The rows and columns chosen.
    error : ErrorEstimate
        How far ``W S X`` is from A.
    report : Report
        What was done.
    status : Status
        Whether what was asked was reached.
    resume : Resume or None
        What `extend` goes on from.
    """

    factor_names: ClassVar[tuple[str, ...]] = ("W", "S", "X")
    title: ClassVar[str] = "Two-sided interpolative decomposition"

    W: Any
    S: Any
    X: Any
    rows: Any
    columns: Any
    error: ErrorEstimate
    report: Report
    status: Status
    resume: Resume | None = dataclasses.field(default=None, repr=False)
    _source: Any = dataclasses.field(default=None, repr=False)

    @property
    def rank(self) -> int:
        """Rows and columns chosen."""
        return int(self.S.shape[0])

    def as_operator(self) -> FactoredOperator:
        """Return W S X as an operator that multiplies without being formed."""
        return FactoredOperator(self.W, self.S, self.X)

    def fits(self) -> bool:
        """Whether the shapes of the factors agree."""
        (m, n), k = self.report.shape, self.rank
        shapes = self.W.shape == (m, k) and self.S.shape == (k, k) and self.X.shape == (k, n)
        return shapes and distinct(self.rows, k, m) and distinct(self.columns, k, n)

    def lines(self) -> list[tuple[str, str]]:
        """Return the lines of the rows and columns chosen."""
        return [("rows", listed(self.rows)), ("columns", listed(self.columns))]


RESULTS.extend([ColumnID, RowID, TwoSidedID])
