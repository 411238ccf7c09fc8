"""One register tile of a matrix product, as LLVM vector code for the machine it runs on.

    C[rows x vectors] (+)= sum_p  a[i * si + p * sp] * B[p]

`rows` entries of A are broadcast at a time and multiplied with `vectors` vector registers of a row of B, so the sums
stay in registers until the end.  A is never packed and its two strides are free: the same tile multiplies with A
(``sp = 1``) and with its transpose (``si = 1``).  The widths are those of the machine: 8 rows of 3 registers of 64
bytes with AVX-512, 4 rows of 3 registers of 32 bytes with AVX2, 8 of 3 of 16 bytes elsewhere.

The last register of a row of B may hold fewer numbers than its width: it is read and written through a mask, so no
thin array is ever padded.  Arrays come as addresses, so that one compiled function serves read-only and strided
arrays alike.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["ONE", "ROWS", "VECTOR_BYTES", "at", "declared", "squares", "tile"]


def _width() -> tuple[int, int]:
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, 8
    return (32, 4) if features.get("avx2") and features.get("fma") else (16, 8)


VECTOR_BYTES, _rows = _width()
# Sizes that the compiler must know are the lengths of tuples.
ROWS = (0,) * _rows
ONE = (0,)

_INT = ir.IntType(64)


def _number(value: int) -> Any:
    return ir.Constant(_INT, value)


def declared(module: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """Return a function of LLVM's, declared once in a module."""
    found = module.globals.get(name)
    return ir.Function(module, ir.FunctionType(result, arguments), name) if found is None else found


@intrinsic
def at(typing_context: Any, like: Any, address: Any, offset: Any) -> Any:
    """Return the pointer `offset` entries of the type of `like` behind an address."""
    del typing_context, address, offset
    signature = types.CPointer(like)(like, types.int64, types.int64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, address, offset = arguments
        entry = context.get_value_type(signature.args[0])
        return builder.gep(builder.inttoptr(address, entry.as_pointer()), [offset])

    return signature, generate


@intrinsic
def tile(
    typing_context: Any, a: Any, si: Any, sp: Any, b: Any, ldb: Any, n: Any, c: Any, ldc: Any, add: Any,
    ahead: Any, last: Any, rows: Any, vectors: Any, masked: Any,
) -> Any:  # fmt: skip
    """Multiply one register tile; `add` other than 0 adds to what stands in C.

    `rows` and `vectors` are tuples whose lengths are the sizes of the tile.  Where `masked` is not empty, the last
    register of a row holds `last` numbers.  `ahead` is how many entries of A ahead of the first row are fetched into
    the cache meanwhile.
    """
    del typing_context, si, sp, b, ldb, n, c, ldc, add, ahead, last
    kind = a.dtype
    mr, nv = rows.count, vectors.count
    part = nv - 1 if len(masked) else nv  # the register that is read through the mask
    size = kind.bitwidth // 8
    lanes = VECTOR_BYTES // size
    whole = types.int64
    signature = types.void(a, whole, whole, a, whole, whole, a, whole, whole, whole, whole, rows, vectors, masked)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature
        a, si, sp, b, ldb, n, c, ldc, add, ahead, last = arguments[:11]
        vector = ir.VectorType(ir.DoubleType() if size == 8 else ir.FloatType(), lanes)
        fma = declared(builder.module, f"llvm.fma.v{lanes}f{8 * size}", vector, [vector] * 3)
        hints = [ir.IntType(32)] * 3
        prefetch = declared(builder.module, "llvm.prefetch.p0", ir.VoidType(), [ir.IntType(8).as_pointer(), *hints])
        undefined = ir.Constant(vector, ir.Undefined)
        spread = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)

        bits, lane = ir.VectorType(ir.IntType(1), lanes), ir.VectorType(_INT, lanes)
        pick = builder.insert_element(ir.Constant(lane, ir.Undefined), last, ir.Constant(ir.IntType(32), 0))
        pick = builder.shuffle_vector(pick, ir.Constant(lane, ir.Undefined), spread)
        mask = builder.icmp_signed("<", ir.Constant(lane, list(range(lanes))), pick)
        nothing = ir.Constant(vector, [0.0] * lanes)
        masked_load = declared(
            builder.module, f"llvm.masked.load.v{lanes}f{8 * size}.p0", vector,
            [vector.as_pointer(), ir.IntType(32), bits, vector],
        )  # fmt: skip
        masked_store = declared(
            builder.module, f"llvm.masked.store.v{lanes}f{8 * size}.p0", ir.VoidType(),
            [vector, vector.as_pointer(), ir.IntType(32), bits],
        )  # fmt: skip

        def place(pointer: Any, offset: Any) -> Any:
            return builder.bitcast(builder.gep(pointer, [offset]), vector.as_pointer())

        def load(pointer: Any, offset: Any, v: int) -> Any:
            where = place(pointer, offset)
            if v == part:
                return builder.call(masked_load, [where, ir.Constant(ir.IntType(32), size), mask, nothing])
            value = builder.load(where)
            value.align = size
            return value

        def store(value: Any, pointer: Any, offset: Any, v: int) -> None:
            where = place(pointer, offset)
            if v == part:
                builder.call(masked_store, [value, where, ir.Constant(ir.IntType(32), size), mask])
            else:
                builder.store(value, where).align = size

        def broadcast(pointer: Any, offset: Any) -> Any:
            entry = builder.load(builder.gep(pointer, [offset]))
            first = builder.insert_element(undefined, entry, ir.Constant(ir.IntType(32), 0))
            return builder.shuffle_vector(first, undefined, spread)

        spots = [
            builder.add(builder.mul(ldc, _number(r)), _number(v * lanes)) for r in range(mr) for v in range(nv)
        ]  # fmt: skip
        heads = [builder.gep(a, [builder.mul(si, _number(r))]) for r in range(mr)]

        before = builder.block
        fetch, start = builder.append_basic_block("fetch"), builder.append_basic_block("start")
        builder.cbranch(builder.icmp_signed("!=", add, _number(0)), fetch, start)
        builder.position_at_end(fetch)
        found = [load(c, spot, i % nv) for i, spot in enumerate(spots)]
        builder.branch(start)

        builder.position_at_end(start)
        initial = []
        for value in found:
            sum_ = builder.phi(vector)
            sum_.add_incoming(nothing, before)
            sum_.add_incoming(value, fetch)
            initial.append(sum_)
        head, body, end = (builder.append_basic_block(label) for label in ("head", "body", "end"))
        builder.branch(head)

        builder.position_at_end(head)
        p, ao, bo = (builder.phi(_INT) for _ in range(3))
        for counter in (p, ao, bo):
            counter.add_incoming(_number(0), start)
        sums = []
        for value in initial:
            sum_ = builder.phi(vector)
            sum_.add_incoming(value, start)
            sums.append(sum_)
        builder.cbranch(builder.icmp_signed("<", p, n), body, end)

        builder.position_at_end(body)
        soon = builder.bitcast(builder.gep(a, [builder.add(ao, ahead)]), ir.IntType(8).as_pointer())
        builder.call(prefetch, [soon, *(ir.Constant(ir.IntType(32), value) for value in (0, 3, 1))])
        row = [load(b, builder.add(bo, _number(v * lanes)), v) for v in range(nv)]
        new = []
        for r in range(mr):
            entry = broadcast(heads[r], ao)
            new += [builder.call(fma, [entry, row[v], sums[r * nv + v]]) for v in range(nv)]
        for counter, step in ((p, _number(1)), (ao, sp), (bo, ldb)):
            counter.add_incoming(builder.add(counter, step), body)
        for sum_, value in zip(sums, new, strict=True):
            sum_.add_incoming(value, body)
        builder.branch(head)

        builder.position_at_end(end)
        for i, (spot, value) in enumerate(zip(spots, sums, strict=True)):
            store(value, c, spot, i % nv)
        return context.get_dummy_value()

    return signature, generate


_CHAINS = 4  # registers of sums that do not wait for each other


@intrinsic
def squares(typing_context: Any, a: Any, n: Any) -> Any:
    """Return the sum of the squares of n numbers in a row, in double precision: that of a register's sums is."""
    del typing_context, n
    kind = a.dtype
    size = kind.bitwidth // 8
    lanes = VECTOR_BYTES // size
    signature = types.float64(a, types.int64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        a, n = arguments
        entry, wide = ir.DoubleType() if size == 8 else ir.FloatType(), ir.DoubleType()
        vector, lane = ir.VectorType(entry, lanes), ir.VectorType(_INT, lanes)
        bits = ir.VectorType(ir.IntType(1), lanes)
        fma = declared(builder.module, f"llvm.fma.v{lanes}f{8 * size}", vector, [vector] * 3)
        masked_load = declared(
            builder.module, f"llvm.masked.load.v{lanes}f{8 * size}.p0", vector,
            [vector.as_pointer(), ir.IntType(32), bits, vector],
        )  # fmt: skip
        nothing = ir.Constant(vector, [0.0] * lanes)

        def squared(offset: Any, left: Any, total: Any) -> Any:
            where = builder.bitcast(builder.gep(a, [offset]), vector.as_pointer())
            if left is None:
                value = builder.load(where)
                value.align = size
            else:
                first = builder.insert_element(ir.Constant(lane, ir.Undefined), left, ir.Constant(ir.IntType(32), 0))
                each = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
                spread = builder.shuffle_vector(first, ir.Constant(lane, ir.Undefined), each)
                mask = builder.icmp_signed("<", ir.Constant(lane, list(range(lanes))), spread)
                value = builder.call(masked_load, [where, ir.Constant(ir.IntType(32), size), mask, nothing])
            return builder.call(fma, [value, value, total])

        def loop(step: int, begin: Any, end: Any, sums: list[Any], masked: bool) -> tuple[Any, list[Any]]:
            before = builder.block
            head, body, after = (builder.append_basic_block(label) for label in ("head", "body", "after"))
            builder.branch(head)
            builder.position_at_end(head)
            i = builder.phi(_INT)
            i.add_incoming(begin, before)
            totals = [builder.phi(vector) for _ in sums]
            for total, value in zip(totals, sums, strict=True):
                total.add_incoming(value, before)
            builder.cbranch(builder.icmp_signed("<", i, end), body, after)
            builder.position_at_end(body)
            left = builder.sub(n, i) if masked else None
            new = [squared(builder.add(i, _number(c * lanes)), left, total) for c, total in enumerate(totals)]
            i.add_incoming(builder.add(i, _number(step)), body)
            for total, value in zip(totals, new, strict=True):
                total.add_incoming(value, body)
            builder.branch(head)
            builder.position_at_end(after)
            return i, totals

        together = _CHAINS * lanes
        done, sums = loop(together, _number(0), builder.sub(n, _number(together - 1)), [nothing] * _CHAINS, False)
        _, sums[:1] = loop(lanes, done, n, sums[:1], True)
        total = ir.Constant(wide, 0.0)
        for value in sums:
            for i in range(lanes):
                each = builder.extract_element(value, ir.Constant(ir.IntType(32), i))
                total = builder.fadd(total, each if size == 8 else builder.fpext(each, wide))
        return total

    return signature, generate
