"""The result of `rnla.lu`."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from rnla._xp.namespace import to_host
from rnla._xp.pivoting import take
from rnla.operators.lowrank import FactoredOperator
from rnla.results.base import RESULTS, Result
from rnla.results.error_estimate import ErrorEstimate
from rnla.results.report import Report, Resume, Status

__all__ = ["LUResult"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class LUResult(Result):
    """A low-rank LU factorization with row and column permutations, ``A[rows][:, columns] ~ L U``.

    Unpacks as ``L, U, row_pivots, column_pivots = result``.

    Attributes
    ----------
    L : array, shape (m, k)
        Unit lower trapezoidal, its entries at most 1 in modulus (sqrt(2) for complex numbers).
    U : array, shape (k, n)
        Upper trapezoidal.
    row_pivots : array of int64, shape (m,)
        A permutation of all rows.
    column_pivots : array of int64, shape (n,)
        A permutation of all columns.
    error : ErrorEstimate
        How far ``L U`` is from the permuted matrix.
    report : Report
        What was done.
    status : Status
        Whether what was asked was reached.
    resume : Resume or None
        What `extend` goes on from.
    """

    factor_names: ClassVar[tuple[str, ...]] = ("L", "U", "row_pivots", "column_pivots")
    title: ClassVar[str] = "LU"

    L: Any
    U: Any
    row_pivots: Any
    column_pivots: Any
    error: ErrorEstimate
    report: Report
    status: Status
    resume: Resume | None = dataclasses.field(default=None, repr=False)
    _source: Any = dataclasses.field(default=None, repr=False)

    @property
    def rank(self) -> int:
        """Columns of L."""
        return int(self.L.shape[1])

    def as_operator(self) -> FactoredOperator:
        """Return the approximation of A, in its own order, as an operator that is never formed."""
        left = take(self.L, np.argsort(to_host(self.row_pivots)), axis=0)
        return FactoredOperator(left, None, take(self.U, np.argsort(to_host(self.column_pivots)), axis=1))

    def fits(self) -> bool:
        """Whether the shapes of the factors agree."""
        (m, n), k = self.report.shape, self.rank
        pairs = ((self.row_pivots, m), (self.column_pivots, n))
        whole = all(p.shape == (c,) and bool(np.all(np.sort(to_host(p)) == np.arange(c))) for p, c in pairs)
        return self.L.shape == (m, k) and self.U.shape == (k, n) and self.L.dtype == self.U.dtype and whole


RESULTS.append(LUResult)
