"""How far a real matrix is from being symmetric: what `rnla.operators.hermitian` looks at, compiled.

Squares of as many rows as a vector register has numbers are compared with their mirror images, which are transposed
in registers; what is left over at the end of the matrix is compared entry by entry.  Arrays come as addresses and
strides in entries; everything works serially and without the GIL.  `like` is a zero of the entries' type.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from rnla._kernels.microkernel import VECTOR_BYTES, at

__all__ = ["VECTOR_BYTES", "asymmetry", "warm"]

_TILE = 256  # rows and columns of the tiles that are compared: long runs, and both stay in the second cache


@intrinsic
def _square(typing_context: Any, a: Any, b: Any, lda: Any, worst: Any, top: Any) -> Any:
    """Raise the numbers at `worst` to |a_ij - b_ji| and those at `top` to |a_ij|, for one square of full registers."""
    del typing_context, b, lda, worst, top
    kind = a.dtype
    size = kind.bitwidth // 8
    lanes = VECTOR_BYTES // size
    signature = types.void(a, a, types.int64, a, a)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature
        a, b, lda, worst, top = arguments
        vector = ir.VectorType(ir.DoubleType() if size == 8 else ir.FloatType(), lanes)

        def function(name: str, count: int) -> Any:
            full = f"llvm.{name}.v{lanes}f{8 * size}"
            found = builder.module.globals.get(full)
            kind = ir.FunctionType(vector, [vector] * count)
            return ir.Function(builder.module, kind, full) if found is None else found

        modulus, larger = function("fabs", 1), function("maxnum", 2)

        def place(pointer: Any) -> Any:
            return builder.bitcast(pointer, vector.as_pointer())

        def load(pointer: Any) -> Any:
            value = builder.load(place(pointer))
            value.align = size
            return value

        def rows_of(pointer: Any) -> list[Any]:
            steps = [builder.mul(lda, ir.Constant(ir.IntType(64), r)) for r in range(lanes)]
            return [load(builder.gep(pointer, [step])) for step in steps]

        def mixed(x: Any, y: Any, order: list[int]) -> Any:
            return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(ir.IntType(32), lanes), order))

        mirror, half = rows_of(b), 1
        while half < lanes:  # swap the off-diagonal blocks of ever larger squares
            for r in range(lanes):
                if r & half == 0:
                    x, y = mirror[r], mirror[r + half]
                    mirror[r] = mixed(x, y, [lanes + c - half if c & half else c for c in range(lanes)])
                    mirror[r + half] = mixed(x, y, [lanes + c if c & half else c + half for c in range(lanes)])
            half *= 2
        gap, most = load(worst), load(top)
        for value, other in zip(rows_of(a), mirror, strict=True):
            gap = builder.call(larger, [gap, builder.call(modulus, [builder.fsub(value, other)])])
            most = builder.call(larger, [most, builder.call(modulus, [value])])
        for value, pointer in ((gap, worst), (most, top)):
            builder.store(value, place(pointer)).align = size
        return context.get_dummy_value()

    return signature, generate


@njit(nogil=True, cache=True)
def asymmetry(like: Any, size: Any, a: Any, lda: Any, first: Any, stop: Any, n: Any, out: Any) -> None:
    """Raise `out` to the largest |a_ij - a_ji|, and to the largest |a_ij|, of the rows from `first` to `stop`.

    Of these rows the entries on and right of the diagonal, of n columns; `first` is a multiple of a register's lanes.
    `out` holds the former in its first VECTOR_BYTES bytes, the latter in as many after them, lane by lane.
    """
    lanes = VECTOR_BYTES // size
    worst, top = at(like, out, 0), at(like, out, lanes)
    entries = at(like, a, 0)
    for i in range(first, stop, _TILE):
        below = min(i + _TILE, stop)
        for j in range(i, n, _TILE):
            end = min(j + _TILE, n)
            whole_rows, whole_columns = i + (below - i) // lanes * lanes, j + (end - j) // lanes * lanes
            for p in range(i, whole_rows, lanes):
                for q in range(j, whole_columns, lanes):
                    _square(at(like, a, p * lda + q), at(like, a, q * lda + p), lda, worst, top)
            for p in range(i, below):
                for q in range(whole_columns if p < whole_rows else j, end):
                    entry = entries[p * lda + q]
                    worst[0] = max(worst[0], abs(entry - entries[q * lda + p]))
                    top[0] = max(top[0], abs(entry))


def warm(dtype: Any) -> None:
    """Compile for one real dtype, or load what was compiled before."""
    a, out = np.zeros((1, 1), dtype), np.zeros(2 * VECTOR_BYTES // dtype.itemsize, dtype)
    asymmetry(dtype.type(0), dtype.itemsize, a.ctypes.data, 1, 0, 1, 1, out.ctypes.data)
