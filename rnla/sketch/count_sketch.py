"""The count sketch [charikar2004]_, [clarkson2013]_: one random sign in every row.

Every row of Omega holds +-sqrt(columns) at one uniform position, so A Omega adds the columns of A, with
signs, in as many groups as Omega has columns.

Cost: one number a row to draw; A Omega takes one addition for each stored entry of A, the least there is.

Guarantee: with columns >= r (r + 1) / (delta (2 eps - eps^2)^2), every subspace of dimension r keeps its
norms to 1 +- eps with probability 1 - delta ([nelson2013]_, Theorem 3); r^2 columns are needed, because two
coordinates that fall in one group cannot be told apart.  Tested in `tests/sketch/test_embeddings.py`.

When not: for a rank of r with about r columns; take `SparseStack(nnz=8)`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from rnla._xp.namespace import NUMPY
from rnla.rng import Key
from rnla.sketch.sparse_rows import as_csr, as_dense
from rnla.sketch.sparse_stack import stacked_signs

__all__ = ["CountSketch"]


@dataclasses.dataclass(frozen=True, slots=True)
class CountSketch:
    """One random sign in every row: the cheapest product, for many columns against few dimensions.

    Examples
    --------
    >>> from rnla.rng import Key
    >>> tile = CountSketch().tile(0, 5, 5, 4, Key(0))
    >>> abs(tile).sum(axis=1).tolist()
    [2.0, 2.0, 2.0, 2.0, 2.0]
    """

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
        return as_dense(*stacked_signs(start, stop, 1, columns, key), columns, dtype, xp, device)

    def sparse_tile(self, start: int, stop: int, rows: int, columns: int, key: Key, *, dtype: Any = np.float64) -> Any:
        """Return rows [start, stop) of the (rows, columns) test matrix of this key in CSR."""
        del rows
        return as_csr(*stacked_signs(start, stop, 1, columns, key), columns, dtype)
