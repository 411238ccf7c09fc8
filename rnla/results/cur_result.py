"""The result of `rnla.cur`."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from rnla.operators.lowrank import FactoredOperator
from rnla.results.base import RESULTS, Result
from rnla.results.error_estimate import ErrorEstimate
from rnla.results.interpolative_result import dense, distinct, listed
from rnla.results.report import Report, Resume, Status

__all__ = ["CURResult"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class CURResult(Result):
    """A CUR decomposition ``A ~ C U R``, ``C = A[:, columns]``, ``R = A[rows, :]``, with its certificate.

    Unpacks as ``C, U, R = result``.

    Attributes
    ----------
    C : array or sparse matrix, shape (m, k)
        Columns of A as they are: sparse, and of the same type, where A is.
    U : array, shape (k, k)
        The core.
    R : array or sparse matrix, shape (k, n)
        Rows of A as they are.
    columns, rows : array of int64, shape (k,)
        The columns and rows chosen.
    error : ErrorEstimate
        How far ``C U R`` is from A, the rounding of the core included.
    report : Report
        What was done.
    status : Status
        Whether what was asked was reached.
    resume : Resume or None
        What `extend` goes on from.
    """

    factor_names: ClassVar[tuple[str, ...]] = ("C", "U", "R")
    title: ClassVar[str] = "CUR"

    C: Any
    U: Any
    R: Any
    columns: Any
    rows: Any
    error: ErrorEstimate
    report: Report
    status: Status
    resume: Resume | None = dataclasses.field(default=None, repr=False)
    _source: Any = dataclasses.field(default=None, repr=False)

    @property
    def rank(self) -> int:
        """Columns and rows chosen."""
        return int(self.C.shape[1])

    def as_operator(self) -> FactoredOperator:
        """Return C U R as an operator that multiplies without being formed."""
        return FactoredOperator(dense(self.C), self.U, dense(self.R))

    def fits(self) -> bool:
        """Whether the shapes of the factors agree."""
        (m, n), k = self.report.shape, self.rank
        shapes = self.C.shape == (m, k) and self.U.shape == (k, k) and self.R.shape == (k, n)
        return shapes and distinct(self.columns, k, n) and distinct(self.rows, k, m)

    def lines(self) -> list[tuple[str, str]]:
        """Return the lines of the rows and columns chosen."""
        return [("columns", listed(self.columns)), ("rows", listed(self.rows))]


RESULTS.append(CURResult)
