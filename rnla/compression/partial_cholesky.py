"""Partial Cholesky elimination, a block of pivots at a time: steps S2 and S4 of `rnla.compression.random_pivoting`.

Problem: given the entries of a positive semidefinite matrix and a rule that proposes pivots, keep L and the
diagonal d of A - L L^H.

Cost: n entries a pivot, and those of a square block of candidates; 4 n k flops a pivot after k of them.
Guarantee: A[:, p] = L L[p]^H up to rounding, L[p] a lower triangle; d is A's diagonal less squared norms.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._kernels.panels import times_inverse
from rnla._kernels.products import subtract_product
from rnla._kernels.threads import even_ranges, run
from rnla._xp.linalg import adjoint, cast, eps_of
from rnla._xp.namespace import device_of, from_host, has_float64, is_numpy, namespace_of, to_host
from rnla._xp.pivoting import solve_triangular, take
from rnla.compression.random_pivoting import PivotRule
from rnla.config import get_config
from rnla.errors import InputError
from rnla.operators.entries import Entries, rounding_level
from rnla.rng import Key

__all__ = ["PivotState", "add_block", "begin", "check_rest", "trace_error_level", "traces", "trimmed", "with_room"]

Array = np.ndarray[Any, Any]
_FIRST_BLOCK = 8
_LARGEST_BLOCK = 256
_FIRST_ROOM = 64
"""Columns of L that room is made for at once, where a tolerance decides how many there will be."""
_LOOKED_AT = 16
"""Rows and columns of the block of the residual that is looked at in the end."""
_NOT_ROUNDING = 4.0
"""A residual diagonal entry below minus this times sqrt(eps), as a share of what it was, means that the matrix is not
positive semidefinite: rounding grows with the entries of A[:, p] A[p, p]^{-1}, which no theorem keeps small; with
uniform pivots 1e6 eps was measured."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PivotState:
    """How far the elimination has come; everything in the scale of the gate.

    Attributes
    ----------
    factor : array, shape (n, k)
        L.
    pivots : numpy.ndarray of int64, shape (k,)
    diagonal, residual : array, shape (n,)
        Of A and of A - L L^H, in double precision where the device has it.
    excluded : numpy.ndarray of bool, shape (n,)
        Pivots, and candidates whose residual was seen to be rounding.
    block, size : int
        Index of the next block, and how many candidates it will have at most.
    waiting : tuple of numpy.ndarray or None
        Candidates of an unfinished block, their bounds u and their uniform numbers.
    tried, taken : int
        Candidates of that block so far, and pivots among them.
    room : numpy.ndarray or None
        On the host, the array whose first columns are L and whose others the next blocks go to.
    """

    factor: Any
    pivots: Array
    diagonal: Any
    residual: Any
    excluded: Array
    block: int = 0
    size: int = _FIRST_BLOCK
    waiting: tuple[Array, Array, Array] | None = None
    tried: int = 0
    taken: int = 0
    room: Any = None

    @property
    def rank(self) -> int:
        """Pivots so far."""
        return len(self.pivots)


def begin(entries: Entries) -> PivotState:
    """Read the diagonal; return the state with no pivots."""
    xp = entries.xp
    diagonal = entries.diagonal()
    wide = cast(diagonal, xp.float64) if has_float64(xp, entries.device) else diagonal
    n = entries.shape[0]
    factor = from_host(np.zeros((n, 0), dtype=entries.dtype), xp, entries.device)
    return PivotState(factor, np.zeros(0, dtype=np.int64), wide, wide, np.zeros(n, dtype=bool))


def add_block(entries: Entries, state: PivotState, rule: PivotRule, limit: int, key: Key) -> PivotState | None:
    """Return the state after one more block of candidates, with at most `limit` pivots; None if no pivot is left."""
    xp, n = entries.xp, entries.shape[0]
    level = rounding_level(entries.dtype, state.rank)
    if rule.blind:
        level = max(level, math.sqrt(eps_of(entries.dtype)))
    if state.waiting is None:
        open_ = from_host(~state.excluded, xp, entries.device)
        weights = xp.where(open_ & (state.residual > level * state.diagonal), state.residual, 0 * state.residual)
        if n == 0 or not bool(xp.any(weights > 0)):
            return None
        waiting = rule.propose(weights, state.size, key.child("pivots", state.block))  # S1
        state = dataclasses.replace(state, waiting=waiting, tried=0, taken=0)
    assert state.waiting is not None
    candidates, bounds, uniforms = state.waiting
    H = entries.block(candidates)
    rows = _rows(state.factor, candidates)
    H -= rows @ rows.conj().T  # S2
    levels = level * to_host(take(state.diagonal, candidates, axis=0)).astype(np.float64)
    gone = candidates[np.diagonal(H).real <= levels]
    taken, seen = rule.settle(H, bounds, uniforms, levels, limit - state.rank)  # S3
    excluded = state.excluded.copy()
    excluded[gone] = True
    state = dataclasses.replace(state, excluded=excluded, tried=state.tried + seen, taken=state.taken + len(taken))
    if taken:
        state = _with_pivots(entries, state, candidates[taken], np.tril(H[np.ix_(taken, taken)]), limit)  # S4
    if seen < len(candidates):
        return dataclasses.replace(state, waiting=(candidates[seen:], bounds[seen:], uniforms[seen:]))
    return dataclasses.replace(state, waiting=None, block=state.block + 1, size=_next_size(state, n))


def check_rest(entries: Entries, state: PivotState, key: Key) -> None:
    """Look at a few entries of the residual: in a semidefinite one none is above the mean of its diagonal entries.

    The geometric mean, that is.  Where only whole columns can be read, nothing but a used up diagonal is worth them.

    Raises
    ------
    InputError
        One is larger than its diagonal entries allow.
    """
    others = np.setdiff1d(np.arange(entries.shape[0]), state.pivots)
    if len(others) < 2:
        return
    chosen = others[key.child("rest", state.rank).permutation(len(others))[:_LOOKED_AT]]
    diagonal, left = (
        np.maximum(to_host(take(x, chosen, axis=0)).astype(np.float64), 0) for x in (state.diagonal, state.residual)
    )
    if not entries.has_blocks and left.any():
        return
    rows = _rows(state.factor, chosen)
    found = np.abs(entries.block(chosen) - rows @ rows.conj().T)
    np.fill_diagonal(found, 0)
    allowed = _NOT_ROUNDING * math.sqrt(eps_of(entries.dtype))
    largest = float(entries.xp.max(state.diagonal))
    level = (1 + allowed) * _means(left) + allowed * _means(diagonal) + eps_of(entries.dtype) * largest
    if (found > level).any():
        i, j = np.unravel_index(int((found - level).argmax()), found.shape)
        raise InputError(
            f"the matrix is not positive semidefinite: after {state.rank} pivots entry ({chosen[i]}, {chosen[j]}) of "
            f"the residual has modulus {found[i, j]:.2e}, its diagonal entries {left[i]:.2e} and {left[j]:.2e}; "
            "eigh takes any Hermitian matrix"
        )


def _means(values: Array) -> Array:
    """Return the geometric means of all pairs."""
    root = np.sqrt(values)
    return np.outer(root, root)


def _next_size(state: PivotState, n: int) -> int:
    """Return how many candidates the next block has: twice as many while half are taken, half below a quarter."""
    size = state.size
    if 2 * state.taken >= state.tried:
        size *= 2
    elif 4 * state.taken < state.tried:
        size //= 2
    return max(_FIRST_BLOCK, min(size, _LARGEST_BLOCK, n // 16))


def _with_pivots(entries: Entries, state: PivotState, pivots: Array, triangle: Array, limit: int) -> PivotState:
    xp, rank = entries.xp, state.rank + len(pivots)
    columns = entries.columns(pivots)
    small = from_host(triangle.astype(entries.dtype), xp, entries.device)
    if is_numpy(xp):
        if state.room is None or state.room.shape[1] < rank:
            state = with_room(state, min(limit, max(2 * rank, _FIRST_ROOM)))
        room = state.room
        factor = room[:, :rank]
        columns = np.array(columns, order="C", copy=None if entries.gives_copies else True)
        taken_off = _new_columns(columns, state, pivots, small, factor)
    else:
        room = None
        factor, taken_off = _on_device(columns, state, pivots, small)
    residual = state.residual - cast(taken_off, state.residual.dtype)
    excluded = state.excluded.copy()
    excluded[pivots] = True
    allowed = _NOT_ROUNDING * math.sqrt(eps_of(entries.dtype))
    if bool(xp.any(residual < -allowed * state.diagonal)):
        worst = int(xp.argmin(residual + allowed * state.diagonal))
        raise InputError(
            f"the matrix is not positive semidefinite: after {rank} pivots diagonal entry {worst} of the residual is "
            f"{float(residual[worst]):.2e} of what was {float(state.diagonal[worst]):.2e}, beyond what "
            f"rounding in {entries.dtype} explains; eigh takes any Hermitian matrix"
        )
    return dataclasses.replace(
        state, factor=factor, residual=residual, excluded=excluded, pivots=np.concatenate([state.pivots, pivots]),
        room=room,
    )  # fmt: skip


def with_room(state: PivotState, columns: int) -> PivotState:
    """Return the state with room for so many columns; on devices none is made."""
    if not isinstance(state.factor, np.ndarray):
        return state
    out = np.empty((state.factor.shape[0], columns), dtype=state.factor.dtype)
    out[:, : state.rank] = state.factor
    return dataclasses.replace(state, room=out, factor=out[:, : state.rank])


def trimmed(state: PivotState) -> PivotState:
    """Return the state without the room that it will not need, where that is most of it."""
    if state.room is None or state.room.shape[1] <= 2 * state.rank:
        return state
    return dataclasses.replace(state, factor=state.factor.copy(), room=None)


def _row_squares(factor: Any, like: Any) -> Any:
    """Return the squared norms of the rows in the dtype of `like`, over the pool on the host."""
    if not isinstance(factor, np.ndarray):
        xp = namespace_of(factor)
        modulus = cast(xp.abs(factor), like.dtype)
        return xp.sum(modulus * modulus, axis=1)
    out = np.empty(len(factor), dtype=like.dtype)
    wide = np.complex128 if factor.dtype.kind == "c" else np.float64

    def task(rows: slice) -> None:
        part: Array = factor[rows].astype(wide, copy=False)
        out[rows] = np.vecdot(part, part).real

    run(task, even_ranges(len(out), max(1, factor.size >> 16)), get_config().threads)
    return out


def _new_columns(columns: Array, state: PivotState, pivots: Array, triangle: Array, factor: Array) -> Array:
    """Write the new columns of L into an array of the host, over those of A; return their rows' squared norms (S4)."""
    threads, old = get_config().threads, state.rank
    new = factor[:, old:]
    if old:
        subtract_product(columns, factor[:, :old], np.ascontiguousarray(factor[pivots, :old].conj().T), threads)
    times_inverse(columns, triangle.conj().T, threads, out=new, squared=False)
    new[state.pivots] = 0  # a row that is a pivot ends with its own column; what rounding left beyond is taken away
    new[pivots] = np.tril(new[pivots])
    squares: Array = _row_squares(new, state.diagonal)
    return squares


def _on_device(columns: Any, state: PivotState, pivots: Array, triangle: Any) -> tuple[Any, Any]:
    xp = namespace_of(columns)
    old = state.factor
    if state.rank:
        columns = columns - old @ adjoint(take(old, pivots, axis=0))
    new = adjoint(solve_triangular(triangle, adjoint(columns), lower=True))
    width = len(pivots)
    ends = np.full(int(new.shape[0]), width)
    ends[state.pivots] = -1
    ends[pivots] = np.arange(width)
    inside = from_host(ends[:, None] >= np.arange(width)[None, :], xp, device_of(new))
    new = xp.where(inside, new, xp.zeros_like(new))
    return xp.concat([old, new], axis=1), _row_squares(new, state.diagonal)


def _rows(factor: Any, where: Array) -> Array:
    """Return rows of the factor on the host in double precision."""
    rows = factor[where] if isinstance(factor, np.ndarray) else to_host(take(factor, where, axis=0))
    return rows.astype(np.complex128 if rows.dtype.kind == "c" else np.float64)


def traces(state: PivotState) -> tuple[float, float, float]:
    """Return the trace of A, the sum of the moduli of the residual diagonal, and the share of the negative ones.

    The second is not above the trace norm of the residual, whatever the signs; at pivots only rounding is left.
    """
    xp = namespace_of(state.residual)
    diagonal = state.diagonal
    left = diagonal - _row_squares(state.factor, diagonal)
    size = xp.abs(left)
    return float(xp.sum(diagonal)), float(xp.sum(size)), float(xp.sum(size - left)) / 2


def trace_error_level(dtype: Any, columns: int) -> float:
    """Return the share of the trace that rounding in the factor may add to the trace norm of the residual."""
    return eps_of(dtype) * (10 + 3 * math.sqrt(columns))
