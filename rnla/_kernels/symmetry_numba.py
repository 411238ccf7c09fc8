"""How far a real matrix is from being symmetric: what `rnla.operators.hermitian` looks at, compiled.

Squares of as many rows as a vector register has numbers are compared with their mirror images, which are transposed
in registers; what is left over at the end of the matrix is compared entry by entry.  The squares are summed on the
way.  Arrays come as addresses and strides in entries; everything works serially and without the GIL.  `like` is a zero
of the entries' type.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from rnla._kernels.microkernel import VECTOR_BYTES, at, declared

__all__ = ["VECTOR_BYTES", "asymmetry", "warm"]

_TILE = 256  # rows and columns of the tiles that are compared: long runs, and both stay in the second cache


@intrinsic
def _square(typing_context: Any, a: Any, b: Any, lda: Any, both: Any, out: Any) -> Any:
    """Look at one square of full registers: |a_ij - b_ji|, |a_ij|, and the squares of a_ij, and of b_ij if `both`.

    `out` holds a register of the largest differences, one of the largest moduli, and one of sums of squares.
    """
    del typing_context, b, lda, both, out
    kind = a.dtype
    size = kind.bitwidth // 8
    lanes = VECTOR_BYTES // size
    signature = types.void(a, a, types.int64, a.dtype, a)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature
        a, b, lda, both, out = arguments
        vector = ir.VectorType(ir.DoubleType() if size == 8 else ir.FloatType(), lanes)

        def function(name: str, count: int) -> Any:
            return declared(builder.module, f"llvm.{name}.v{lanes}f{8 * size}", vector, [vector] * count)

        modulus, larger, fma = function("fabs", 1), function("maxnum", 2), function("fma", 3)

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
        targets = [builder.gep(out, [ir.Constant(ir.IntType(64), i * lanes)]) for i in range(3)]
        gap, most, total = (load(target) for target in targets)
        lone = builder.insert_element(ir.Constant(vector, ir.Undefined), both, ir.Constant(ir.IntType(32), 0))
        factor = mixed(lone, lone, [0] * lanes)
        for value in mirror:
            total = builder.call(fma, [builder.fmul(value, factor), value, total])
        while half < lanes:  # swap the off-diagonal blocks of ever larger squares
            for r in range(lanes):
                if r & half == 0:
                    x, y = mirror[r], mirror[r + half]
                    mirror[r] = mixed(x, y, [lanes + c - half if c & half else c for c in range(lanes)])
                    mirror[r + half] = mixed(x, y, [lanes + c if c & half else c + half for c in range(lanes)])
            half *= 2
        for value, other in zip(rows_of(a), mirror, strict=True):
            gap = builder.call(larger, [gap, builder.call(modulus, [builder.fsub(value, other)])])
            most = builder.call(larger, [most, builder.call(modulus, [value])])
            total = builder.call(fma, [value, value, total])
        for value, target in zip((gap, most, total), targets, strict=True):
            builder.store(value, place(target)).align = size
        return context.get_dummy_value()

    return signature, generate


@njit(nogil=True, cache=True)
def asymmetry(like: Any, size: Any, a: Any, lda: Any, first: Any, stop: Any, n: Any, out: Any, squares: Any) -> None:
    """Raise `out` to the largest |a_ij - a_ji|, and to the largest |a_ij|, of the rows from `first` to `stop`.

    Of these rows the entries on and right of the diagonal, of n columns; `first` is a multiple of a register's lanes.
    `out` holds the former in its first VECTOR_BYTES bytes, the latter in as many after them, lane by lane, and has
    room for as many more.  To the number at `squares`, of type float64, the squares of these entries and of their
    mirror images are added.
    """
    lanes = VECTOR_BYTES // size
    lane, sums, total = at(like, out, 0), at(like, out, 2 * lanes), at(np.float64(0), squares, 0)
    entries, one = at(like, a, 0), type(like)(1)
    for i in range(first, stop, _TILE):
        below = min(i + _TILE, stop)
        for j in range(i, n, _TILE):
            end = min(j + _TILE, n)
            both = one if j > i else like
            whole_rows, whole_columns = i + (below - i) // lanes * lanes, j + (end - j) // lanes * lanes
            for p in range(i, whole_rows, lanes):
                for e in range(lanes):
                    sums[e] = like
                for q in range(j, whole_columns, lanes):
                    _square(at(like, a, p * lda + q), at(like, a, q * lda + p), lda, both, lane)
                for e in range(lanes):  # few terms have come together in single precision
                    total[0] += sums[e]
            for p in range(i, below):
                for q in range(whole_columns if p < whole_rows else j, end):
                    entry, image = entries[p * lda + q], entries[q * lda + p]
                    lane[0] = max(lane[0], abs(entry - image))
                    lane[lanes] = max(lane[lanes], abs(entry))
                    total[0] += np.float64(entry) * np.float64(entry)
                    if j > i:
                        total[0] += np.float64(image) * np.float64(image)


def warm(dtype: Any) -> None:
    """Compile for one real dtype, or load what was compiled before."""
    like, size = dtype.type(0), dtype.itemsize
    a, out, total = np.zeros((1, 1), dtype), np.zeros(3 * VECTOR_BYTES // size, dtype), np.zeros(1)
    asymmetry(like, size, a.ctypes.data, 1, 0, 1, 1, out.ctypes.data, total.ctypes.data)
