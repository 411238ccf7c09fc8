"""What every operator must do, as one check that a user can run on an operator of their own."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, eps_of, frobenius, max_abs
from rnla._xp.namespace import backend_name, from_host, is_numpy, namespace_of, to_host
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import (
    LinearOperator,
    SupportsBlocks,
    SupportsMagnitude,
    SupportsNormal,
)
from rnla.operators.verify import adjoint_gap
from rnla.rng import Key, as_key

__all__ = ["check_operator"]

_COLUMNS = 3
_DTYPES = {"float32", "float64", "complex64", "complex128"}


def check_operator(A: Any, *, rng: Any = 0) -> None:
    """Raise `AssertionError` unless an operator keeps the contract of `LinearOperator`.

    Parameters
    ----------
    A : matrix or operator
        Anything that `rnla.svd` takes, or an object with all of the protocol.
    rng : Key or what `rnla.svd` takes as ``rng=``
        For the blocks that it is multiplied with.

    Raises
    ------
    AssertionError
        Saying what failed: shapes and dtypes, the adjoint (<A X, Y> = <X, A^H Y>), linearity, a block of
        columns against one column, an argument changed, another answer the second time, blocks without columns,
        arguments in other memory order; and, where A has the power, the normal product, blocks, norm.

    Notes
    -----
    Equalities hold to 100 eps sqrt(m + n) of the sizes involved, which a product that is backward
    stable meets for every block.

    Examples
    --------
    >>> import numpy as np
    >>> check_operator(np.arange(6.0).reshape(3, 2))
    """
    op: LinearOperator = A if isinstance(A, LinearOperator) else as_operator(A)
    # Products go through the ledger, as a factorization's do; powers are asked of the operator itself.
    gate = Ledger(op)
    key = as_key(rng)
    _check_head(op)
    m, n = op.shape
    bound = 100 * eps_of(op.dtype) * math.sqrt(m + n)
    x, y = _normals(op, key.child("x"), n), _normals(op, key.child("y"), m)
    for name, product, argument, rows in (("matmat", gate.matmat, x, m), ("rmatmat", gate.rmatmat, y, n)):
        _check_product(op, name, product, argument, rows, bound)
    ax, ahy = gate.matmat(x), gate.rmatmat(y)
    # Both products divided by one power of two, so that inner products stay in range.
    size = max(max_abs(ax), max_abs(ahy))
    scale = 1.0 if size == 0 else 2.0 ** max(-1000, min(1000, math.frexp(size)[1]))
    gap = adjoint_gap(x, ax / scale, y, ahy / scale) if m and n else 0.0
    assert gap <= bound, (
        f"rmatmat is not the adjoint of matmat: <A x, y> and <x, A^H y> differ by {gap:.1e} of their size, "
        f"and rounding explains {bound:.1e}; complex data need the conjugate"
    )
    if isinstance(op, SupportsNormal):
        _check_normal(op, gate, x, bound)
    if isinstance(op, SupportsBlocks):
        _check_blocks("row_blocks", op.row_blocks(), op, x, op.matmat(x), bound)
        # Blocks of columns meet the adjoint; complex data are conjugated with them.
        turned = map(_turned, op.column_blocks())
        _check_blocks("column_blocks", turned, op, y, op.rmatmat(y), bound)
    if isinstance(op, SupportsMagnitude):
        _check_magnitude(gate, bound)


def _check_head(op: Any) -> None:
    shape = op.shape
    assert isinstance(shape, tuple), f"shape must be a tuple of two integers, got {shape!r}"
    assert len(shape) == 2, f"shape must be a tuple of two integers, got {shape!r}"
    assert all(isinstance(side, int) and side >= 0 for side in shape), f"shape must hold integers >= 0, got {shape!r}"
    assert isinstance(op.dtype, np.dtype), f"dtype must be a numpy.dtype, got {op.dtype!r}"
    assert op.dtype.name in _DTYPES, f"dtype must be one of {sorted(_DTYPES)}, got {op.dtype}"


def _normals(op: LinearOperator, key: Key, rows: int) -> Any:
    return key.normals(0, rows, _COLUMNS, dtype=op.dtype, xp=op.xp, device=op.device)


def _close(actual: Any, expected: Any, bound: float, what: str, size: float | None = None) -> None:
    size = frobenius(expected) if size is None else size
    gap = frobenius(actual - expected)
    assert gap <= bound * size or gap == 0, f"{what}: off by {gap:.1e}, and rounding explains {bound * size:.1e}"


def _check_product(op: LinearOperator, name: str, product: Any, x: Any, rows: int, bound: float) -> None:
    before = np.array(to_host(x))
    out = product(x)
    expected = (rows, _COLUMNS)
    assert tuple(out.shape) == expected, f"{name} must return shape {expected}, got {tuple(out.shape)}"
    assert str(out.dtype).rpartition(".")[2] == op.dtype.name, f"{name} must return {op.dtype}, got {out.dtype}"
    assert namespace_of(out) is op.xp, f"{name} must return an array of {backend_name(op.xp)}, got {type(out).__name__}"
    assert np.array_equal(before, to_host(x)), f"{name} changed its argument"
    again = product(x)
    _close(again, out, bound, f"{name} gives another answer the second time")
    _close(product(x[:, :1]), out[:, :1], bound, f"{name} of one column is not the first column of the block's")
    _close(product(x * 4 - x), out * 3, 4 * bound, f"{name} is not linear")
    flipped = op.xp.flip(x, axis=1)
    _close(op.xp.flip(product(flipped), axis=1), out, bound, f"{name} of the columns in reverse")
    if is_numpy(op.xp):
        _close(product(np.asfortranarray(x)), out, bound, f"{name} of a block in Fortran order")
        spread = np.zeros((x.shape[0], 2 * _COLUMNS), dtype=x.dtype)
        spread[:, ::2] = x
        _close(product(spread[:, ::2]), out, bound, f"{name} of a strided block")
    empty = product(x[:, :0])
    assert tuple(empty.shape) == (rows, 0), f"{name} of no columns must have shape {(rows, 0)}, got {empty.shape}"


def _check_normal(op: SupportsNormal, gate: Ledger, x: Any, bound: float) -> None:
    before = np.array(to_host(x))
    with np.errstate(over="ignore", invalid="ignore"):  # the gate scales what is too large to be squared
        op.normal_matmat(x)
    assert np.array_equal(before, to_host(x)), "normal_matmat changed its argument"
    w, y = gate.normal_product(x)
    plain = gate.matmat(x)
    _close(y, plain, bound, "the second of normal_matmat is not A X")
    back = gate.rmatmat(plain)
    # Rounding of A X is carried over by the adjoint, whose norm is at most the Frobenius norm seen here.
    size = max(frobenius(back), frobenius(plain) ** 2 / max(frobenius(x), np.finfo(float).tiny))
    _close(w, back, bound, "the first of normal_matmat is not the adjoint of A times A X", size)


def _check_blocks(name: str, blocks: Iterable[Any], op: LinearOperator, x: Any, product: Any, bound: float) -> None:
    at = 0
    for part, block in blocks:
        assert part.start == at, f"{name} must come in order: {part} after {at}"
        shape = (part.stop - part.start, x.shape[0])
        assert tuple(block.shape) == shape, f"{name}: {part} came with a block of {tuple(block.shape)} for {shape}"
        assert str(block.dtype).rpartition(".")[2] == op.dtype.name, f"{name} must yield {op.dtype}"
        _close(block @ x, product[part, :], bound, f"{name}: {part} is not that of the product", frobenius(product))
        at = part.stop
    assert at == product.shape[0], f"{name} ended at {at} of {product.shape[0]}"


def _turned(pair: tuple[slice, Any]) -> tuple[slice, Any]:
    return pair[0], adjoint(pair[1])


def _check_magnitude(gate: Ledger, bound: float) -> None:
    magnitude = gate.measure()
    m, n = gate.shape
    if magnitude is None or m * n > 1_000_000:
        return
    eye = from_host(np.eye(min(m, n), dtype=gate.dtype), gate.xp, gate.device)
    expected = frobenius(gate.matmat(eye) if n <= m else gate.rmatmat(eye))
    gap = abs(magnitude.frobenius - expected)
    assert gap <= bound * expected, f"measure() gives the norm {magnitude.frobenius:.6g}, the entries {expected:.6g}"
