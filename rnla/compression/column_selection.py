"""Which columns stand for a matrix: the parts that choose, and their one table.

A selection sees the projection of A on a basis, through its singular values s and right singular vectors V^H: the
columns of diag(s) V^H have the lengths and the angles of the projection's columns.  Rows of A are columns of its
adjoint.

``COLUMN_SELECTIONS`` is the table of words for ``selection=``.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol, runtime_checkable

import numpy as np

from rnla._xp.linalg import cast
from rnla._xp.pivoting import pivots_of_columns
from rnla.compression.leverage_scores import LeverageScores
from rnla.compression.random_selection import AdaptiveRandomizedPivoting, RandomlyPivotedQR
from rnla.errors import DTypeError, InputError
from rnla.rng import Key

__all__ = ["COLUMN_SELECTIONS", "ColumnSelection", "PivotedQR", "as_selection"]


@runtime_checkable
class ColumnSelection(Protocol):
    """Chooses columns of a matrix from the singular values and right singular vectors of its projection."""

    def choose(self, s: Any, vh: Any, count: int, key: Key) -> np.ndarray[Any, Any]:
        """Return `count` distinct indices of columns, the important ones first.

        Parameters
        ----------
        s : array, shape (l,)
            Descending, real.
        vh : array, shape (l, n)
            Orthonormal rows.
        count : int
            At most l.
        key : Key
        """
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class PivotedQR:
    """Column-pivoted QR of the projection: the column of largest norm, again and again [golub1965]_.

    Deterministic once the basis is there; on a matrix of l rows this is LAPACK's geqp3, the choice of the
    interpolative decomposition [cheng2005]_.  Cost: 2 l^2 n flops.

    Guarantee: none better than a factor 2^k in theory, which the exchanges of `strongly_pivoted` that follow in
    every caller replace by sqrt(1 + 4 k (n - k)); in practice within a few percent of the best exchanges.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag([1.0, 3.0, 2.0])
    >>> rnla.interpolative(A, 2, selection=rnla.PivotedQR(), rng=0).columns.tolist()
    [1, 2]
    """

    def choose(self, s: Any, vh: Any, count: int, key: Key) -> np.ndarray[Any, Any]:
        """Return the pivots."""
        del key
        return pivots_of_columns(cast(s, vh.dtype)[:, None] * vh, count)


COLUMN_SELECTIONS: dict[str, type[ColumnSelection]] = {
    "pivoted_qr": PivotedQR,
    "random_pivoted_qr": RandomlyPivotedQR,
    "adaptive_randomized_pivoting": AdaptiveRandomizedPivoting,
    "leverage_scores": LeverageScores,
}


def as_selection(selection: Any) -> ColumnSelection:
    """Return the part for what ``selection=`` was given: a word of the table, a part, or None."""
    if selection is None:
        return PivotedQR()
    if isinstance(selection, str):
        word = selection.lower().replace("-", "_")
        if word not in COLUMN_SELECTIONS:
            raise InputError(f"selection={selection!r} is not one of {', '.join(map(repr, COLUMN_SELECTIONS))}")
        return COLUMN_SELECTIONS[word]()
    if isinstance(selection, type) or not isinstance(selection, ColumnSelection):
        raise DTypeError(f"selection must be a word or a part such as PivotedQR(), got {selection!r}")
    return selection
