"""The sparse sign test matrix [nelson2013]_, [cohen2016]_: a few signs in every row.

Each row holds `nnz` signs at distinct random positions, scaled by sqrt(columns / nnz), so that the
mean square of an entry is 1.  It costs `nnz` integers a row instead of `columns` normals to draw.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._xp.namespace import NUMPY
from rnla.checks import check_whole
from rnla.rng import Key
from rnla.sketch.sparse_rows import as_csr, as_dense

__all__ = ["SparseSign"]


@dataclasses.dataclass(frozen=True, slots=True)
class SparseSign:
    """A few random signs in every row.

    Parameters
    ----------
    nnz : int
        Signs in a row; 8 behaves like a Gaussian matrix in every measurement that we know of, and
        no more than the columns are used.

    Examples
    --------
    >>> from rnla.rng import Key
    >>> tile = SparseSign(nnz=2).tile(0, 5, 5, 4, Key(0))
    >>> (tile != 0).sum(axis=1).tolist()
    [2, 2, 2, 2, 2]
    """

    nnz: int = 8

    def __post_init__(self) -> None:
        check_whole("nnz", self.nnz, 1)

    def positions(self, start: int, stop: int, columns: int, key: Key) -> tuple[Any, Any]:
        """Return the columns of the signs, ascending, and the signs, both of shape (stop - start, nnz)."""
        count = min(self.nnz, columns)
        where = key.child("positions").distinct(start, stop, count, columns)
        return where, key.child("signs").signs(start, stop, count)

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
        return as_dense(*self._entries(start, stop, columns, key), columns, dtype, xp, device)

    def sparse_tile(self, start: int, stop: int, rows: int, columns: int, key: Key, *, dtype: Any = np.float64) -> Any:
        """Return rows [start, stop) of the (rows, columns) test matrix of this key in CSR."""
        del rows
        return as_csr(*self._entries(start, stop, columns, key), columns, dtype)

    def _entries(self, start: int, stop: int, columns: int, key: Key) -> tuple[Any, Any]:
        if columns == 0:
            return np.zeros((stop - start, 0), dtype=np.int64), np.zeros((stop - start, 0))
        where, signs = self.positions(start, stop, columns, key)
        return where, signs * math.sqrt(columns / where.shape[1])
