"""Dense matrices that are laid out by columns, read a block of columns at a time; and the choice between the two.

In Fortran order, or in a store whose chunks are tall, a block of rows would be gathered from all over the file.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from rnla._xp.namespace import NUMPY
from rnla.operators.protocols import Magnitude
from rnla.operators.rowblocks import Array, RowBlocks
from rnla.operators.sources import Transposed, prefers_columns

__all__ = ["ColumnBlocks", "in_blocks"]


def in_blocks(source: Any, dtype: np.dtype[Any]) -> RowBlocks | ColumnBlocks:
    """Return the operator that reads a source along its layout: blocks of rows, or else of columns.

    Parameters
    ----------
    source : array-like, shape (m, n)
        As for `RowBlocks`.
    dtype : numpy.dtype
        The compute dtype.

    Returns
    -------
    RowBlocks or ColumnBlocks
        Columns for arrays in Fortran order, and for stores in which a row of chunks is too large to hold and a
        column of chunks is not.  Never decided by the budget, because only `RowBlocks` has a normal
        product in one pass.
    """
    return (ColumnBlocks if prefers_columns(source) else RowBlocks)(source, dtype)


class ColumnBlocks:
    """A dense matrix that is read in blocks of columns, because it is laid out so.

    It is the transpose of a matrix that is read in blocks of rows, with the thin arrays conjugated.
    A X then needs all of A before the first row of it is known, so the normal product takes two
    passes and this operator has none of its own.

    Parameters
    ----------
    source : array-like, shape (m, n)
        As for `RowBlocks`, with slices of columns ``source[:, i:j]``.
    dtype : numpy.dtype
        The compute dtype.
    """

    __slots__ = ("_by_rows", "_transposed", "device", "dtype", "shape", "xp")
    sides = ("column",)  # of the blocks that are read along the layout

    def __init__(self, source: Any, dtype: np.dtype[Any]) -> None:
        transposed = source.T if isinstance(source, np.ndarray) else Transposed(source)
        self._transposed = RowBlocks(transposed, dtype, side="columns")
        self._by_rows = RowBlocks(source, dtype)
        n, m = self._transposed.shape
        self.shape: tuple[int, int] = (m, n)
        self.dtype = dtype
        self.xp = NUMPY
        self.device = None

    def matmat(self, x: Any) -> Any:
        """Return A X, in one pass."""
        return self._conj(self._transposed.rmatmat(self._conj(x)))

    def rmatmat(self, y: Any) -> Any:
        """Return the adjoint of A times Y, in one pass."""
        return self._conj(self._transposed.matmat(self._conj(y)))

    def row_blocks(self) -> Generator[tuple[slice, Array]]:
        """Yield blocks of rows, against the layout: for methods that must have rows."""
        return self._by_rows.row_blocks()

    def column_blocks(self) -> Generator[tuple[slice, Array]]:
        """Yield blocks of columns, along the layout."""
        for columns, block in self._transposed.row_blocks():
            yield columns, block.T

    def measure(self) -> Magnitude | None:
        """Return the magnitude, gathered by the first full pass; None before."""
        return self._transposed.measure() or self._by_rows.measure()

    @property
    def largest_seen(self) -> float:
        """What tells the scale of the blocks given out so far."""
        return max(self._transposed.largest_seen, self._by_rows.largest_seen)

    def _conj(self, thin: Any) -> Any:
        return np.conj(thin) if self.dtype.kind == "c" else thin
