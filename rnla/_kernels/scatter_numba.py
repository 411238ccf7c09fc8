"""Rows added, with factors, to the rows that a sparse matrix names: what `scatter` does, compiled.

The sums of one panel of columns stay in the second cache while all rows go by, four registers of them at a time.  Rows
of a panel lie far apart, so those to come are asked for ahead.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from rnla._kernels.microkernel import ONE, VECTOR_BYTES, at, tile

__all__ = ["VECTOR_BYTES", "added", "fetch_line", "turned", "warm"]

_V1, _V2, _V3, _V4 = (0,), (0, 0), (0, 0, 0), (0, 0, 0, 0)
_FULL, _MASKED = (), (0,)
_INDEX = np.int64(0)
_AHEAD = 12  # rows


@intrinsic
def fetch_line(typing_context: Any, address: Any) -> Any:
    """Ask for the line of the cache that an address lies in."""
    del typing_context, address

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature
        byte, hint = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, hint, hint, hint])
        name = "llvm.prefetch.p0"
        found = builder.module.globals.get(name)
        prefetch = ir.Function(builder.module, kind, name) if found is None else found
        hints = [ir.Constant(hint, value) for value in (0, 3, 1)]
        builder.call(prefetch, [builder.inttoptr(arguments[0], byte), *hints])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@njit(nogil=True, cache=True)
def added(like: Any, size: Any, pointers: Any, index: Any, values: Any, a: Any, lda: Any, m: Any, out: Any, ldo: Any,
          width: Any) -> None:  # fmt: skip
    """OUT += S^T A for a sparse S (m, d) in CSR and a panel of A with `width` columns."""
    lanes = VECTOR_BYTES // size
    starts, where = at(_INDEX, pointers, 0), at(_INDEX, index, 0)
    whole = width // (4 * lanes) * (4 * lanes)
    left = width - whole
    for i in range(m):
        row = a + i * lda * size
        if i + _AHEAD < m:
            for line in range(0, width * size, 64):
                fetch_line(row + _AHEAD * lda * size + line)
        first, last = starts[i], starts[i + 1]
        for k in range(first, last):
            value, target = at(like, values, k), out + where[k] * ldo * size
            for s in range(0, whole, 4 * lanes):
                tile(value, 0, 0, at(like, row, s), 0, 1, at(like, target, s), 0, 1, 0, lanes, ONE, _V4, _FULL)
            there, here = at(like, target, whole), at(like, row, whole)
            if left > 3 * lanes:
                tile(value, 0, 0, here, 0, 1, there, 0, 1, 0, left - 3 * lanes, ONE, _V4, _MASKED)
            elif left > 2 * lanes:
                tile(value, 0, 0, here, 0, 1, there, 0, 1, 0, left - 2 * lanes, ONE, _V3, _MASKED)
            elif left > lanes:
                tile(value, 0, 0, here, 0, 1, there, 0, 1, 0, left - lanes, ONE, _V2, _MASKED)
            elif left > 0:
                tile(value, 0, 0, here, 0, 1, there, 0, 1, 0, left, ONE, _V1, _MASKED)


@njit(nogil=True, cache=True)
def turned(like: Any, size: Any, pointers: Any, index: Any, values: Any, a: Any, lda: Any, n: Any, out: Any, ldo: Any,
           width: Any, buffer: Any, step: Any) -> None:  # fmt: skip
    """OUT += S^T A^T for `width` rows of A with n columns, of which `step` at a time are turned in the buffer."""
    for start in range(0, n, step):
        count = min(step, n - start)
        columns = at(like, buffer, 0)
        for r in range(width):
            row = at(like, a, r * lda + start)
            for j in range(count):
                columns[j * width + r] = row[j]
        added(like, size, pointers + 8 * start, index, values, buffer, width, count, out, ldo, width)


def warm(dtype: Any) -> None:
    """Compile for one real dtype, or load what was compiled before."""
    like, size = dtype.type(0), dtype.itemsize
    a, pointers = np.zeros(1, dtype), np.zeros(1, np.int64)
    here, there = a.ctypes.data, pointers.ctypes.data
    added(like, size, there, there, here, here, 1, 0, here, 1, 1)
    turned(like, size, there, there, here, here, 1, 0, here, 1, 1, here, 8)
