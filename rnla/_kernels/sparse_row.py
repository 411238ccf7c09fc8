"""One row of a sparse matrix times a thin array, as LLVM vector code for the machine it runs on.

    y[vectors] = sum_j  a[j] * X[column[j]]        over the stored entries of the row

The row of Y stays in `vectors` vector registers while the entries go by: each is broadcast and multiplied with a row
of X, and the rows that come some entries later are fetched into the cache meanwhile, for the hardware cannot guess
where they lie.  The last register is read and written through a mask, so that no thin array is ever padded.

A complex matrix has two sums in its registers, over the real and over the imaginary parts of its entries, each times
the numbers of X in pairs; at the end the second, times i (or -i for the conjugate of the matrix), is added to the
first.  So nothing is turned round inside the loop, and the adjoint needs no conjugate of a thin array.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from rnla._kernels.microkernel import VECTOR_BYTES, declared

__all__ = ["fetch", "sparse_row"]

_INT = ir.IntType(64)
_LINE = 64  # bytes that one prefetch brings


def _prefetch(builder: Any, pointer: Any, write: int) -> None:
    """Ask for the line of a pointer, which may point anywhere: nothing is read where nothing lies."""
    byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
    function = declared(builder.module, "llvm.prefetch.p0", ir.VoidType(), [byte, word, word, word])
    builder.call(function, [builder.bitcast(pointer, byte), *(ir.Constant(word, value) for value in (write, 3, 1))])


@intrinsic
def fetch(typing_context: Any, pointer: Any) -> Any:
    """Bring the line of a pointer into the cache, to be written."""
    del typing_context
    signature = types.void(pointer)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature
        _prefetch(builder, arguments[0], 1)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def sparse_row(
    typing_context: Any, columns: Any, entries: Any, first: Any, stop: Any, end: Any, ahead: Any, x: Any, ldx: Any,
    y: Any, tail: Any, turn: Any, vectors: Any, parts: Any,
) -> Any:  # fmt: skip
    """Multiply the entries from `first` to before `stop`; the arrays of the matrix hold `end` entries.

    `vectors` is a tuple whose length is the number of registers, the last of which holds `tail` numbers; `parts` is
    one of length 2 for a complex matrix, whose second sum is multiplied with `turn` times i.  `ahead` is how many
    entries ahead rows of X are fetched; `ldx` counts numbers of the real dtype.
    """
    del typing_context, first, stop, end, ahead, x, ldx, y, tail, turn
    kind, index = entries.dtype, columns.dtype
    nv, pieces = vectors.count, parts.count
    size = kind.bitwidth // 8
    lanes = VECTOR_BYTES // size
    whole = types.int64
    signature = types.void(
        columns, entries, whole, whole, whole, whole, entries, whole, entries, whole, kind, vectors, parts
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature
        columns, entries, first, stop, end, ahead, x, ldx, y, tail, turn = arguments[:11]
        scalar = ir.DoubleType() if size == 8 else ir.FloatType()
        vector, word = ir.VectorType(scalar, lanes), ir.IntType(32)
        fma = declared(builder.module, f"llvm.fma.v{lanes}f{8 * size}", vector, [vector] * 3)
        bits, lane = ir.VectorType(ir.IntType(1), lanes), ir.VectorType(_INT, lanes)
        spread = ir.Constant(ir.VectorType(word, lanes), [0] * lanes)
        nothing = ir.Constant(vector, [0.0] * lanes)
        masked_load = declared(
            builder.module, f"llvm.masked.load.v{lanes}f{8 * size}.p0", vector,
            [vector.as_pointer(), word, bits, vector],
        )  # fmt: skip
        masked_store = declared(
            builder.module, f"llvm.masked.store.v{lanes}f{8 * size}.p0", ir.VoidType(),
            [vector, vector.as_pointer(), word, bits],
        )  # fmt: skip
        width = ir.Constant(word, size)

        def number(value: int) -> Any:
            return ir.Constant(_INT, value)

        def everywhere(value: Any, kind: Any) -> Any:
            undefined = ir.Constant(kind, ir.Undefined)
            return builder.shuffle_vector(
                builder.insert_element(undefined, value, ir.Constant(word, 0)), undefined, spread
            )

        mask = builder.icmp_signed("<", ir.Constant(lane, list(range(lanes))), everywhere(tail, lane))

        def row_of(j: Any) -> Any:
            """Return where the row of X begins that entry j is multiplied with, in numbers."""
            column = builder.load(builder.gep(columns, [j]))
            column = column if index.bitwidth == 64 else builder.sext(column, _INT)
            return builder.mul(column, ldx)

        def load(offset: Any, v: int) -> Any:
            where = builder.bitcast(builder.gep(x, [builder.add(offset, number(v * lanes))]), vector.as_pointer())
            if v == nv - 1:
                return builder.call(masked_load, [where, width, mask, nothing])
            value = builder.load(where)
            value.align = size
            return value

        final = builder.sub(end, number(1))
        before = builder.block
        head, body, done = (builder.append_basic_block(name) for name in ("head", "body", "done"))
        builder.branch(head)

        builder.position_at_end(head)
        j = builder.phi(_INT)
        j.add_incoming(first, before)
        sums = []
        for _ in range(nv * pieces):
            sum_ = builder.phi(vector)
            sum_.add_incoming(nothing, before)
            sums.append(sum_)
        builder.cbranch(builder.icmp_signed("<", j, stop), body, done)

        builder.position_at_end(body)
        later = builder.add(j, ahead)
        later = builder.select(builder.icmp_signed("<", later, final), later, final)
        soon = row_of(later)
        # A row that begins inside a line reaches into one line more than its length says.
        starts = [number(start // size) for start in range(0, nv * VECTOR_BYTES, _LINE)]
        starts.append(builder.add(tail, number((nv - 1) * lanes - 1)))
        for start in starts:
            _prefetch(builder, builder.gep(x, [builder.add(soon, start)]), 0)
        offset = row_of(j)
        place = builder.mul(j, number(pieces))
        values = [
            everywhere(builder.load(builder.gep(entries, [builder.add(place, number(piece))])), vector)
            for piece in range(pieces)
        ]
        row = [load(offset, v) for v in range(nv)]
        new = [
            builder.call(fma, [values[piece], row[v], sums[piece * nv + v]])
            for piece in range(pieces)
            for v in range(nv)
        ]
        j.add_incoming(builder.add(j, number(1)), body)
        for sum_, value in zip(sums, new, strict=True):
            sum_.add_incoming(value, body)
        builder.branch(head)

        builder.position_at_end(done)
        results = sums[:nv]
        if pieces == 2:
            swap = ir.Constant(ir.VectorType(word, lanes), [lane ^ 1 for lane in range(lanes)])
            minus = builder.fsub(ir.Constant(scalar, 0.0), turn)
            signs = everywhere(turn, vector)
            for lane_ in range(0, lanes, 2):
                signs = builder.insert_element(signs, minus, ir.Constant(word, lane_))
            results = [
                builder.call(fma, [signs, builder.shuffle_vector(other, nothing, swap), one])
                for one, other in zip(sums[:nv], sums[nv:], strict=True)
            ]
        for v, value in enumerate(results):
            where = builder.bitcast(builder.gep(y, [number(v * lanes)]), vector.as_pointer())
            if v == nv - 1:
                builder.call(masked_store, [value, where, width, mask])
            else:
                builder.store(value, where).align = size
        return context.get_dummy_value()

    return signature, generate
