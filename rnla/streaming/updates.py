"""What an update does to a stream: a piece in the stream's library, its factors, and sums that stay in place.

A piece that arrives in another dtype is converted a block at a time to that of the stream; only an operator's
products keep the precision that they come in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._xp.linalg import cast
from rnla._xp.namespace import all_finite, backend_name, device_of, is_array, is_numpy, namespace_of
from rnla.errors import BackendError, DTypeError, InputError, NonFiniteError
from rnla.operators.coerce import as_operator, compute_dtype
from rnla.operators.ledger import Ledger
from rnla.operators.lowrank import FactoredOperator
from rnla.operators.sparse import Sparse
from rnla.streaming.maps import LinearSketch

__all__ = ["factor_of", "in_place", "piece_of", "scaled", "summed", "weighted"]


def piece_of(H: Any, dtype: np.dtype[Any], xp: Any, device: Any) -> Ledger:
    """Return a piece behind a ledger, in the library of the stream."""
    if isinstance(H, tuple) and len(H) == 2 and all(is_array(x) and x.ndim == 2 for x in H):
        H = _pair(*H)
    op = as_operator(H)
    if op.dtype.kind == "c" and dtype.kind != "c":
        raise DTypeError(f"a {op.dtype} piece does not fit a stream of {dtype}; make it with dtype=complex")
    if op.xp is not xp or op.device != device:
        here, there = (
            backend_name(lib) + ("" if on is None else f" on {on}") for lib, on in ((op.xp, op.device), (xp, device))
        )
        raise BackendError(
            f"the piece lies in {here} and the stream in {there}; make the stream with like= such an array, or move "
            "the piece"
        )
    if isinstance(op, Sparse) and op.dtype != dtype:
        op = Sparse(op._csr, dtype)
    return Ledger(op)


def _pair(left: Any, right: Any) -> FactoredOperator:
    """Return left @ right as an operator."""
    if left.shape[1] != right.shape[0]:
        raise InputError(f"the pair of shapes {tuple(left.shape)} and {tuple(right.shape)} does not multiply")
    xp, width = namespace_of(left), int(left.shape[1])
    if namespace_of(right) is not xp:
        raise BackendError("both factors of a pair must lie in the same library")
    kind = np.result_type(compute_dtype(left.dtype), compute_dtype(right.dtype)).name
    left, right = cast(left, getattr(xp, kind)), cast(right, getattr(xp, kind))
    more = {} if isinstance(left, np.ndarray) else {"device": device_of(left)}
    return FactoredOperator(left, xp.ones((width,), dtype=getattr(xp, kind), **more), right)


def factor_of(name: str, value: Any, dtype: np.dtype[Any], method: Any) -> Any:
    """Return eta or theta as Python's own number, which leaves the dtype of an array alone."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, complex, np.number)):
        raise DTypeError(f"{name}={value!r} must be a number")
    if not np.isfinite(value):
        raise InputError(f"{name}={value} must be finite")
    if not np.imag(value):
        return float(np.real(value))
    if dtype.kind != "c":
        raise DTypeError(f"{name}={value} is complex and the stream is {dtype}; make it with dtype=complex")
    if method.structure != "general":
        raise InputError(f"{name} must be real for {type(method).__name__}, whose matrix is Hermitian")
    return complex(value)


def _of_side(factor: Any, sketch: LinearSketch) -> Any:
    """Return a factor of A as one of what is sketched, which of the corange is the adjoint."""
    return factor.conjugate() if sketch.side == "corange" else factor


def scaled(piece: Any, eta: Any, exponent: int, sketch: LinearSketch) -> Any:
    """Return eta 2**exponent times what a piece adds to a sketch."""
    eta = _of_side(eta, sketch)
    with np.errstate(over="ignore", invalid="ignore"):
        if eta != 1:
            piece = piece * eta
        if exponent:
            piece = piece * 2.0 ** (exponent // 2) * 2.0 ** (exponent - exponent // 2)
    return _in_range(piece)


def _in_range(array: Any) -> Any:
    """Return an array; raise where a product or a sum has left the range of its dtype."""
    if not all_finite(array):
        raise NonFiniteError(f"the sketches leave the range of {array.dtype}: scale the pieces down, or use float64")
    return array


def weighted(array: Any, theta: Any, sketch: LinearSketch) -> Any:
    """Return theta times a sketch, itself where theta is 1."""
    theta = _of_side(theta, sketch)
    if theta == 1:
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        return _in_range(array * theta)


def summed(array: Any, start: int, piece: Any) -> Any:
    """Return the rows of an array from `start` on, with a piece added."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _in_range(array[start : start + int(piece.shape[0]), :] + piece)


def in_place(array: Any, start: int, rows: Any) -> Any:
    """Return an array with other rows from `start` on."""
    where = slice(start, start + int(rows.shape[0]))
    if is_numpy(namespace_of(array)):
        array[where] = rows
        return array
    import array_api_extra

    return array_api_extra.at(array)[where, :].set(rows)
