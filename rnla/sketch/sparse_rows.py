"""Rows with a few entries at given positions, as a dense array and in CSR: the one layout of the sparse sketches."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._kernels.threads import even_ranges, run
from rnla._xp.namespace import from_host
from rnla.config import get_config

__all__ = ["as_csr", "as_dense", "sparse_rows"]

Array = np.ndarray[Any, Any]
_DRAWN = 1 << 13  # rows that are drawn at a time


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


def sparse_rows(sketch: Any, rows: int, columns: int, key: Any, dtype: Any) -> Any:
    """Return a whole `SparseTestMatrix` in CSR, drawn in fixed parts over the pool."""
    parts = even_ranges(rows, max(1, rows // _DRAWN))
    drawn = run(
        lambda part: sketch.sparse_tile(part.start, part.stop, rows, columns, key, dtype=dtype),
        parts,
        get_config().threads,
    )
    if len(drawn) == 1:
        return drawn[0]
    import scipy.sparse

    entries = sum(each.nnz for each in drawn)
    index = np.int32 if max(entries, columns) < 2**31 else np.int64
    pointers = np.zeros(rows + 1, dtype=index)
    before = 0
    for each, part in zip(drawn, parts, strict=True):
        pointers[part.start + 1 : part.stop + 1] = each.indptr[1:].astype(index) + index(before)
        before += each.nnz
    data, where = (np.concatenate([getattr(each, name) for each in drawn]) for name in ("data", "indices"))
    out = scipy.sparse.csr_array((data, where.astype(index, copy=False), pointers), shape=(rows, columns))
    out.has_canonical_format = True
    return out
