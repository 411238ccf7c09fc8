"""Rows with a few entries at given positions, as a dense array and in CSR: the one layout of the sparse sketches."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._xp.namespace import from_host

__all__ = ["as_csr", "as_dense"]

Array = np.ndarray[Any, Any]


def as_dense(where: Array, values: Array, columns: int, dtype: Any, xp: Any, device: Any) -> Any:
    """Return the rows dense: in row i, ``values[i, k]`` stands in column ``where[i, k]``."""
    out = np.zeros((len(where), columns), dtype=dtype)
    np.put_along_axis(out, where, values, axis=1)
    return from_host(out, xp, device)


def as_csr(where: Array, values: Array, columns: int, dtype: Any) -> Any:
    """Return the same rows as a SciPy CSR array; positions ascend in every row."""
    import scipy.sparse

    rows, count = where.shape
    index = np.int32 if max(rows * count, columns) < 2**31 else np.int64
    pointers = np.arange(0, rows * count + 1, count, dtype=index) if count else np.zeros(rows + 1, dtype=index)
    data = np.ascontiguousarray(values, dtype=dtype).reshape(-1)
    out = scipy.sparse.csr_array((data, where.astype(index).reshape(-1), pointers), shape=(rows, columns))
    out.has_canonical_format = True
    return out
