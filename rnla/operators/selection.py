"""Chosen rows, columns and the diagonal of any matrix, through the ledger.

- A matrix that can be indexed (dense, sparse) is: only those entries are read, and counted as such.
- One that is read in blocks (out of core) is read once for all of them: one pass.
- One that is only multiplied gives its product with unit vectors: one pass of as many columns.

The values are those of the scaled matrix that the ledger shows, like every product.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnla._xp.linalg import zeros
from rnla.errors import InputError
from rnla.operators.chosen_lines import unit_vectors
from rnla.operators.implicit import Implicit
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import SupportsBlocks, SupportsDiagonal, SupportsSelection

__all__ = ["take_columns", "take_diagonal", "take_rows"]

Array = np.ndarray[Any, Any]


def _indices(chosen: Any, below: int, what: str) -> Array:
    index = np.asarray(chosen, dtype=np.int64).reshape(-1)
    if len(index) and (int(index.min()) < 0 or int(index.max()) >= below):
        raise InputError(f"{what} must lie in [0, {below}), got {int(index.min())} to {int(index.max())}")
    return index


def _scaled(op: Ledger, part: Any) -> Any:
    op.counts.entries += int(np.prod(part.shape))
    return part if op.exponent == 0 else part * 2.0 ** (-(op.exponent // 2)) * 2.0 ** -(op.exponent - op.exponent // 2)


def take_columns(op: Ledger, chosen: Sequence[int] | Array) -> Any:
    """Return A[:, j] as a dense array (m, k) of its own.

    Parameters
    ----------
    op : Ledger
    chosen : sequence of int
        Indices of columns, in any order, repeated or not.
    """
    m, n = op.shape
    index = _indices(chosen, n, "columns")
    op.measure()
    if isinstance(op.base, SupportsSelection):
        return _scaled(op, op.base.columns(index))
    if isinstance(op.base, SupportsBlocks):
        like = unit_vectors(index[:0], 1, op.dtype, op.xp, op.device)
        where = op.xp.asarray(index) if op.device is None else op.xp.asarray(index, device=op.device)

        def gather(found: list[Any] | None, _: slice, block: Any) -> list[Any]:
            return [*(found or []), op.xp.take(block, where, axis=1)]

        pieces = op.fold_blocks("row", gather)
        return op.xp.concat(pieces, axis=0) if pieces else zeros((m, len(index)), like)
    return op.matmat(unit_vectors(index, n, op.dtype, op.xp, op.device))


def take_rows(op: Ledger, chosen: Sequence[int] | Array) -> Any:
    """Return A[i, :] as a dense array (k, n) of its own.

    Parameters
    ----------
    op : Ledger
    chosen : sequence of int
        Indices of rows, in any order, repeated or not.
    """
    m, n = op.shape
    index = _indices(chosen, m, "rows")
    op.measure()
    if isinstance(op.base, SupportsSelection):
        return _scaled(op, op.base.rows(index))
    if isinstance(op.base, SupportsBlocks):
        like = unit_vectors(index[:0], 1, op.dtype, op.xp, op.device)
        # In ascending order the rows come block by block; they are put in the order asked for at the end.
        distinct, place = np.unique(index, return_inverse=True)

        def gather(found: list[Any] | None, rows: slice, block: Any) -> list[Any]:
            low, high = np.searchsorted(distinct, [rows.start, rows.stop])
            here = op.xp.asarray(distinct[low:high] - rows.start)
            return [*(found or []), op.xp.take(block, here, axis=0)]

        pieces = op.fold_blocks("row", gather)
        if not pieces:
            return zeros((len(index), n), like)
        return op.xp.take(op.xp.concat(pieces, axis=0), op.xp.asarray(place), axis=0)
    return op.xp.conj(op.rmatmat(unit_vectors(index, m, op.dtype, op.xp, op.device)).mT)


def take_diagonal(op: Ledger) -> Any:
    """Return the min(m, n) diagonal entries of A.

    Raises
    ------
    InputError
        For an operator that has no ``diagonal()``.
    """
    op.measure()
    if isinstance(op.base, SupportsDiagonal):
        return _scaled(op, op.base.diagonal())
    if isinstance(op.base, SupportsBlocks):

        def gather(found: list[Any] | None, rows: slice, block: Any) -> list[Any]:
            stop = min(rows.stop, op.shape[1])
            count = max(0, stop - rows.start)
            square = block[:count, rows.start : stop] if count else block[:0, :0]
            return [*(found or []), op.xp.linalg.diagonal(square)]

        return op.xp.concat(op.fold_blocks("row", gather), axis=0)
    known = op.base.known_diagonal() if isinstance(op.base, Implicit) else None
    if known is not None:
        return _scaled(op, known)
    raise InputError("the diagonal of an operator that is only multiplied is not known; give it a method diagonal()")
