"""Means of the columns, and the Gram matrix about them, from one pass.

    c = means of the first rows;   G = sum (a_i - c)^H (a_i - c),   s = sum (a_i - c)
    mean = c + s / m;              G - s^H s / m  is the Gram matrix of A - 1 mean^T

Entries are shifted before they are multiplied, so means far from zero cost nothing.  What is subtracted in the end is
G itself only where the means wander: where it is more than half of the trace, the first rows did not stand for all
of them, and None says that the Gram matrix has to be made about the means that are known by then.

Cost: one pass and m n^2 flops.
Guarantee: rounding at most twice that of the Gram matrix of the centred matrix.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._kernels.gram_sum import GramSum
from rnla.config import get_config
from rnla.operators.centering import in_two
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import Magnitude, scale_exponent
from rnla.operators.rowblocks import RowBlocks

__all__ = ["Scatter", "column_scatter"]

_FIRST = 4096  # rows whose means are the shift
_WANDER = 0.5

Scatter = tuple[tuple[Any, Any], Magnitude, Any]
"""The mean in two parts, the magnitude of the centred matrix, and its Gram matrix."""


def column_scatter(op: Ledger) -> Scatter | None:
    """Return the means and the Gram matrix about them, in one pass over a matrix that is read in blocks of rows.

    Parameters
    ----------
    op : Ledger
        Over a `RowBlocks` in double precision.

    Returns
    -------
    tuple or None
        None, after the pass, where the matrix has to be scaled or its means wander.

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
            state = GramSum(n, op.dtype, shift), shift
        state[0].add(np.ascontiguousarray(block), get_config().threads)
        return state

    made, shift = op.fold_blocks("row", add)
    gap = made.sums / m
    gram = made.gram()
    trace = float(np.einsum("ii->i", gram).real.sum())
    moved = m * float(np.vdot(gap, gap).real)
    if op.exponent or moved > _WANDER * trace:
        return None
    gram -= m * np.outer(gap.conj(), gap)
    total = math.sqrt(max(0.0, trace - moved))
    if total == 0 or scale_exponent(total, op.dtype):
        return None
    mean = shift + gap
    rest = (shift - mean) + gap
    return in_two(mean, rest, op.dtype, op.xp), Magnitude(total), gram
