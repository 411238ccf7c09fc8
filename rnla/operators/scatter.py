"""Means of the columns, and the Gram matrix about them, from one pass.

    c = means of the first rows;   G = sum (a_i - c)^H (a_i - c),   s = sum (a_i - c)
    mean = c + s / m;              G - s^H s / m  is the Gram matrix of A - 1 mean^T

Entries are shifted before they are multiplied, so means far from zero cost nothing.  What is subtracted in the end is
G itself only where the means wander: where it is more than half of the trace, the first rows did not stand for all
of them, and None says that the Gram matrix has to be made about the means that are known by then.

Entries that are not finite, or too large for their squares, show on the diagonal of G: nothing else looks for them.

Cost: one pass and m n^2 flops.
Guarantee: rounding at most twice that of the Gram matrix of the centred matrix.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from rnla._kernels.gram_sum import GROUP_BYTES, GramSum
from rnla.config import get_config
from rnla.operators.algebra import View
from rnla.operators.centering import in_two
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import Magnitude, scale_exponent
from rnla.operators.rowblocks import RowBlocks

__all__ = ["Scatter", "bytes_of_group", "column_scatter"]

_FIRST = 4096  # rows whose means are the shift
_WANDER = 0.5
_SHARE = 4  # of the memory budget that shifted rows may take

Scatter = tuple[tuple[Any, Any], Magnitude, Any]
"""The mean in two parts, the magnitude of the centred matrix, and its Gram matrix."""


class _NotFinite(Exception):
    """A square that is not finite ends the pass."""


class _Blocks(View):
    """The blocks of a matrix, at which nothing but their reader looks."""

    __slots__ = ()
    base: RowBlocks

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.base.shape

    def matmat(self, x: Any) -> Any:
        """Return the product with the matrix."""
        return self.base.matmat(x)

    def rmatmat(self, y: Any) -> Any:
        """Return the product with its adjoint."""
        return self.base.rmatmat(y)

    def row_blocks(self) -> Iterator[tuple[slice, Any]]:
        """Yield blocks of rows."""
        return self.base.row_blocks(looked_at=False)

    def column_blocks(self) -> Iterator[tuple[slice, Any]]:
        """Yield blocks of columns."""
        return self.base.column_blocks()


def bytes_of_group() -> int:
    """Return the bytes of rows that are shifted at a time, at most."""
    return min(GROUP_BYTES, get_config().budget() // _SHARE)


def column_scatter(op: Ledger) -> Scatter | None:
    """Return the means and the Gram matrix about them, in one pass over a matrix that is read in blocks of rows.

    Parameters
    ----------
    op : Ledger
        Over a `RowBlocks` in double precision.

    Returns
    -------
    tuple or None
        None, after the pass or in it, where the matrix has to be scaled, holds NaN or infinity, or its means wander.

    Examples
    --------
    >>> found = column_scatter(Ledger(RowBlocks(np.array([[101.0, 2.0], [103.0, 2.0]]), np.dtype("f8"))))
    >>> found[0][0].tolist(), found[2].tolist()
    ([102.0, 2.0], [[2.0, 0.0], [0.0, 0.0]])
    """
    m, n = op.shape
    assert isinstance(op.base, RowBlocks)

    def add(state: Any, _: slice, block: Any) -> Any:
        if state is None:
            shift = block[:_FIRST].mean(axis=0)
            state = GramSum(n, op.dtype, shift, bytes_of_group()), shift
        state[0].add(np.ascontiguousarray(block), get_config().threads)
        if not state[0].finite():
            raise _NotFinite
        return state

    op.counts.passes += 1
    try:
        made, shift = Ledger(_Blocks(op.base)).fold_blocks("row", add)
    except _NotFinite:
        return None
    gap = made.sums / m
    gram = made.gram()
    trace = float(np.einsum("ii->i", gram).real.sum())
    moved = m * float(np.vdot(gap, gap).real)
    if not moved <= _WANDER * trace:
        return None
    gram -= m * np.outer(gap.conj(), gap)
    total = math.sqrt(max(0.0, trace - moved))
    if total == 0 or scale_exponent(total, op.dtype):
        return None
    mean = shift + gap
    rest = (shift - mean) + gap
    return in_two(mean, rest, op.dtype, op.xp), Magnitude(total), gram
