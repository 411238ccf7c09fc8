"""The result of `rnla.qr`."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from rnla._xp.linalg import host_values
from rnla._xp.namespace import namespace_of, to_host
from rnla._xp.pivoting import take
from rnla.operators.lowrank import FactoredOperator
from rnla.results.base import RESULTS, Result, listed
from rnla.results.error_estimate import ErrorEstimate
from rnla.results.report import Report, Resume, Status

__all__ = ["QRResult"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class QRResult(Result):
    """A low-rank column-pivoted QR factorization, ``A[:, pivots] ~ Q R``, with its certificate.

    Unpacks as ``Q, R, pivots = result``.

    Attributes
    ----------
    Q : array, shape (m, k)
        Orthonormal columns, in the library and on the device of A.
    R : array, shape (k, n)
        Upper trapezoidal; its diagonal is real, not negative and descending.
    pivots : array of int64, shape (n,)
        A permutation of all columns: the first k as pivoted QR takes them, the rest in ascending order.
    error : ErrorEstimate
        How far ``Q R`` is from ``A[:, pivots]``.
    report : Report
        What was done.
    status : Status
        Whether what was asked was reached.
    resume : Resume or None
        What `extend` goes on from.
    """

    factor_names: ClassVar[tuple[str, ...]] = ("Q", "R", "pivots")
    title: ClassVar[str] = "Pivoted QR"

    Q: Any
    R: Any
    pivots: Any
    error: ErrorEstimate
    report: Report
    status: Status
    resume: Resume | None = dataclasses.field(default=None, repr=False)
    _source: Any = dataclasses.field(default=None, repr=False)

    @property
    def rank(self) -> int:
        """Columns of Q."""
        return int(self.Q.shape[1])

    def as_operator(self) -> FactoredOperator:
        """Return the approximation of A, its columns in their own order, as an operator that is never formed."""
        return FactoredOperator(self.Q, None, take(self.R, np.argsort(to_host(self.pivots)), axis=1))

    def fits(self) -> bool:
        """Whether the shapes of the factors agree."""
        (m, n), k = self.report.shape, self.rank
        permutation = self.pivots.shape == (n,) and bool(np.all(np.sort(to_host(self.pivots)) == np.arange(n)))
        return self.Q.shape == (m, k) and self.R.shape == (k, n) and self.Q.dtype == self.R.dtype and permutation

    def lines(self) -> list[tuple[str, str]]:
        """Return the lines of the first pivots and of the diagonal of R."""
        xp, k = namespace_of(self.R), self.rank
        d = host_values(xp.abs(xp.linalg.diagonal(self.R[:, :k]))) if k else np.zeros(0)
        values = listed([f"{x:.4g}" for x in d])
        first = to_host(self.pivots[:k])
        chosen = ", ".join(map(str, first[:8].tolist())) + (", ..." if len(first) > 8 else "")
        return [("pivots", chosen or "none"), ("diagonal of R", values or "none")]


RESULTS.append(QRResult)
