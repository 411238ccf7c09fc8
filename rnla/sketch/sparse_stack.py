"""The sparse stack [kane2014]_, [camano2025]_: one random sign in each of a few blocks of columns.

Problem: a test matrix that is as sparse as `SparseSign` and simpler to draw and to apply, because the
entries of a row never collide.

S1. Cut the columns in `nnz` blocks of nearly equal sizes d_1, ..., d_nnz.
S2. In every row and every block put one sign, +-sqrt(d_b), at a uniform position of block b.

Every column is isotropic, E omega omega^H = I, and every row has norm sqrt(columns), exactly.

Cost: nnz numbers a row to draw and to store; A Omega takes 2 nnz flops for each stored entry of A.

Guarantee: with nnz of the order of log r, and columns of the order of r log r, every subspace of
dimension r is kept to a constant factor [cohen2016]_; columns of the order of r suffice for injectivity, which
is what a range finder needs [camano2025]_.  Tested for r = 100 in `tests/sketch/test_embeddings.py`.

Differences from the paper: (1) a sign is scaled by the square root of its own block's size instead of
sqrt(columns / nnz), which differs where nnz does not divide the columns, and makes the columns, too,
isotropic.

When not: nnz = 1 or 2 needs about r^2 columns (see `CountSketch`).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from rnla._xp.namespace import NUMPY
from rnla.checks import check_whole
from rnla.rng import Key
from rnla.sketch.sparse_rows import as_csr, as_dense

__all__ = ["SparseStack", "stacked_signs"]


def stacked_signs(start: int, stop: int, blocks: int, columns: int, key: Key) -> tuple[Any, Any]:
    """Return where the signs of rows [start, stop) stand, and their scaled values, (stop - start, blocks) both."""
    count = min(blocks, columns)
    if count == 0:
        return np.zeros((stop - start, 0), dtype=np.int64), np.zeros((stop - start, 0))
    edges = np.arange(count + 1, dtype=np.int64) * columns // count
    sizes = np.diff(edges).astype(np.uint64)
    per_row = -(-count // 2)
    words = key.child("positions").words(start * per_row, stop * per_row).astype("<u8")
    halves = words.view("<u4").reshape(stop - start, 2 * per_row)[:, :count].astype(np.uint64)
    where = edges[:-1] + ((halves * sizes) >> np.uint64(32)).astype(np.int64)
    return where, key.child("signs").signs(start, stop, count) * np.sqrt(sizes.astype(np.float64))


@dataclasses.dataclass(frozen=True, slots=True)
class SparseStack:
    """One random sign in each of a few blocks of columns.

    Parameters
    ----------
    nnz : int
        Blocks, and signs in a row; 8 behaves like a Gaussian matrix with twice as many columns as the rank or
        more, 4 does where it is enough that nothing is lost.  No more than the columns are used.

    Examples
    --------
    >>> from rnla.rng import Key
    >>> tile = SparseStack(nnz=2).tile(0, 5, 5, 8, Key(0))
    >>> (tile[:, :4] != 0).sum(axis=1).tolist(), (tile**2).sum(axis=1).tolist()
    ([1, 1, 1, 1, 1], [8.0, 8.0, 8.0, 8.0, 8.0])
    """

    nnz: int = 8

    def __post_init__(self) -> None:
        check_whole("nnz", self.nnz, 1)

    def tile(
        self,
        start: int,
        stop: int,
        rows: int,
        columns: int,
        key: Key,
        *,
        dtype: Any = np.float64,
        xp: Any = NUMPY,
        device: Any = None,
    ) -> Any:
        """Return rows [start, stop) of the (rows, columns) test matrix of this key, dense."""
        del rows
        return as_dense(*stacked_signs(start, stop, self.nnz, columns, key), columns, dtype, xp, device)

    def sparse_tile(self, start: int, stop: int, rows: int, columns: int, key: Key, *, dtype: Any = np.float64) -> Any:
        """Return rows [start, stop) of the (rows, columns) test matrix of this key in CSR."""
        del rows
        return as_csr(*stacked_signs(start, stop, self.nnz, columns, key), columns, dtype)
