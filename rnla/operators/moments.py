"""Weighted means of the columns of a matrix and the squares about them, from one pass and without cancellation.

S1. Each tile of rows: its means, and the squares about them, in double precision, corrected by the mean of what is
    left; all of it about the means of the first tile, so that the means come out with twice the digits.
S2. Tiles are joined in order by the parallel update of [chan1983]_: squares about the means of two parts add up, plus
    the square of the distance of the means; every term is positive.
S3. Sparse matrices: stored entries about the mean, and the zeros as one more group.  Operators: the means alone, from
    one product of the adjoint with the weights.

Cost: one pass (a scan where the entries are in memory), O(n) memory.
Guarantee: relative accuracy of a few eps in the squares, however far the means lie from zero.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._kernels.threads import even_ranges, run
from rnla._xp.linalg import cast, is_complex
from rnla._xp.namespace import from_host, has_float64, is_numpy
from rnla.config import get_config
from rnla.operators.columnblocks import ColumnBlocks
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import Magnitude, SupportsBlocks, scale_exponent
from rnla.operators.scan import times_power_of_two
from rnla.operators.sparse import Sparse

__all__ = ["Moments", "column_moments"]

_TILE_BYTES = 1 << 22
_CHUNK = 1 << 20  # stored entries of a sparse matrix that are looked at together


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Means of the columns and squares about them.

    Attributes
    ----------
    weight : float
        Sum of the weights of the rows.
    mean, rest : array, shape (n,)
        In the scale of A, in double precision where there is any; the means are the sum of the two.
    squares : array, shape (n,), or None
        Weighted sums of squared distances from the mean, of A times ``2**-exponent``; None for an operator.
    exponent : int
    """

    weight: float
    mean: Any
    rest: Any
    squares: Any
    exponent: int

    def squares_about(self, center: Any, rest: Any) -> Any:
        """Return the sums of squared distances from a centre in two parts, of A times ``2**-exponent``."""
        gap = (
            self.mean + self.rest
            if center is None
            else (self.mean - center) + (self.rest if rest is None else self.rest - rest)
        )
        return self.squares + self.weight * _modulus_squared(times_power_of_two(gap, -self.exponent))

    def deviation(self) -> Any:
        """Return the standard deviation of each column, 1 for a constant one, in the scale of A."""
        xp_sqrt = self.squares**0.5 / math.sqrt(self.weight)
        return times_power_of_two(xp_sqrt, self.exponent)

    def magnitude(self, center: Any, rest: Any, scale: Any, dtype: np.dtype[Any], xp: Any) -> Magnitude:
        """Return the magnitude of the matrix about a centre (None: zero), its columns divided by a scale."""
        squares, exponent = self.squares_about(center, rest), self.exponent
        if scale is not None:  # as large as the scale, so that the quotients are near 1
            squares, exponent = squares / times_power_of_two(scale, -self.exponent) ** 2, 0
        total = math.sqrt(float(xp.sum(squares)))
        further = scale_exponent(total, dtype) if exponent == 0 else 0
        return Magnitude(math.ldexp(total, -further), exponent + further)


def _modulus_squared(x: Any) -> Any:
    modulus = abs(x)
    return modulus * modulus


def column_moments(op: Ledger, weights: np.ndarray[Any, Any] | None = None) -> Moments:
    """Return the weighted means of the columns, and the squares about them.

    Parameters
    ----------
    op : Ledger
        Counts the pass.
    weights : numpy.ndarray, shape (m,), optional
        Not negative, not all zero; by default ones.

    Examples
    --------
    >>> from rnla.operators.coerce import as_operator
    >>> found = column_moments(Ledger(as_operator(np.array([[1.0, 2.0], [3.0, 2.0]]))))
    >>> found.mean.tolist(), found.squares.tolist()
    ([2.0, 2.0], [2.0, 0.0])
    """
    weight = float(op.shape[0]) if weights is None else math.fsum(weights.tolist())
    op.measure()
    if isinstance(op.base, Sparse):
        op.counts.scans += 1
        return _of_sparse(op, weights, weight)
    if not isinstance(op.base, SupportsBlocks):
        real = np.dtype(np.float32 if op.dtype.itemsize == (8 if op.dtype.kind == "c" else 4) else np.float64)
        column = np.ones((op.shape[0], 1)) if weights is None else weights[:, None] / weights.max()
        largest = 1.0 if weights is None else float(weights.max())
        y = cast(from_host(column.astype(real), op.xp, op.device), getattr(op.xp, op.dtype.name))
        sums = op.rmatmat(y)[:, 0]
        sums = op.xp.conj(sums) if is_complex(sums.dtype) else sums
        mean = times_power_of_two(sums, op.exponent) * (largest / weight)
        return Moments(weight, mean, mean - mean, None, op.exponent)
    if isinstance(op.base, ColumnBlocks):

        def each(state: tuple[Any, ...], _: slice, block: Any) -> tuple[Any, ...]:
            return (*state, *run(lambda part: _of_tile(block[:, part], weights, op), _parts(block, 1), _threads(op)))

        found = op.fold_blocks("column", each, ())
        mean, rest, squares = (op.xp.concat([one[i] for one in found]) for i in (1, 2, 3))
    else:

        def add(state: Any, rows: slice, block: Any) -> Any:
            parts = _parts(block, 0)
            start, state = (_widened(_mean(block[parts[0], :], op), op), None) if state is None else state

            def work(part: slice) -> Any:
                own = None if weights is None else weights[rows.start + part.start : rows.start + part.stop]
                return _of_tile(block[part, :], own, op, start)

            for one in run(work, parts, _threads(op)):
                state = _joined(state, one)
            return start, state

        start, (_, near, rest, squares) = op.fold_blocks("row", add)
        mean, rest = _sum_in_two(start, near, rest)
    mean, rest = (times_power_of_two(each, op.exponent) for each in (mean, rest))
    return Moments(weight, mean, rest, squares, op.exponent)


def _widened(x: Any, op: Ledger) -> Any:
    """Return an array in double precision, where there is any."""
    if is_numpy(op.xp) or has_float64(op.xp, op.device):
        return cast(x, op.xp.complex128 if is_complex(x.dtype) else op.xp.float64)
    return x


def _mean(tile: Any, op: Ledger) -> Any:
    return op.xp.sum(_widened(tile, op), axis=0) / int(tile.shape[0])


def _sum_in_two(start: Any, near: Any, rest: Any) -> tuple[Any, Any]:
    """Return start + near + rest as a rounded sum and what the rounding left."""
    mean = start + near
    return mean, (start - mean) + near + rest


def _threads(op: Ledger) -> int:
    return get_config().threads if is_numpy(op.xp) else 1


def _parts(block: Any, axis: int) -> list[slice]:
    size = math.prod(block.shape) * 16
    return even_ranges(int(block.shape[axis]), max(1, math.ceil(size / _TILE_BYTES)))


def _of_tile(
    tile: Any, weights: np.ndarray[Any, Any] | None, op: Ledger, start: Any = None
) -> tuple[float, Any, Any, Any] | None:
    """Return weight, means in two parts and squares of a tile (S1), or None where no row of it counts."""
    xp = op.xp
    tile = _widened(tile, op)
    if start is not None:
        tile = tile - start[None, :]
    if weights is None:
        weight, w = float(tile.shape[0]), None
    else:
        weight = float(weights.sum())
        if weight == 0:
            return None
        real = xp.real(tile) if is_complex(tile.dtype) else tile
        w = cast(from_host(np.ascontiguousarray(weights), xp, op.device), real.dtype)[:, None]

    def summed(x: Any) -> Any:
        return xp.sum(x if w is None else cast(w, x.dtype) * x, axis=0)

    mean = summed(tile) / weight
    rest = tile - mean[None, :]
    left = summed(rest) / weight
    squares = summed(_modulus_squared(rest)) - weight * _modulus_squared(left)
    return weight, mean, left, xp.where(squares > 0, squares, xp.zeros_like(squares))


def _joined(
    a: tuple[float, Any, Any, Any] | None, b: tuple[float, Any, Any, Any] | None
) -> tuple[float, Any, Any, Any] | None:
    """Return the moments of two parts together (S2)."""
    if a is None or b is None:
        return b if a is None else a
    weight = a[0] + b[0]
    gap = (b[1] - a[1]) + (b[2] - a[2])
    mean, rest = _sum_in_two(a[1], gap * (b[0] / weight), a[2])
    return weight, mean, rest, a[3] + b[3] + _modulus_squared(gap) * (a[0] * (b[0] / weight))


def _of_sparse(op: Ledger, weights: np.ndarray[Any, Any] | None, weight: float) -> Moments:
    assert isinstance(op.base, Sparse)
    csr, n = op.base.matrix, op.shape[1]
    wide = np.complex128 if csr.dtype.kind == "c" else np.float64
    sums, stored, squares = np.zeros(n, dtype=wide), np.zeros(n), np.zeros(n)

    def chunks() -> Any:
        for start in range(0, csr.nnz, _CHUNK):
            part = slice(start, min(start + _CHUNK, csr.nnz))
            values = times_power_of_two(csr.data[part].astype(wide), -op.exponent)
            if weights is None:
                w = np.ones(len(values))
            else:
                w = weights[np.searchsorted(csr.indptr, np.arange(part.start, part.stop), side="right") - 1]
            yield csr.indices[part], values, w

    for columns, values, w in chunks():
        stored += np.bincount(columns, w, n)
        sums += np.bincount(columns, w * values.real, n)
        if wide is np.complex128:
            sums = sums + 1j * np.bincount(columns, w * values.imag, n)
    mean = sums / weight
    for columns, values, w in chunks():
        squares += np.bincount(columns, w * _modulus_squared(values - mean[columns]), n)
    squares += np.maximum(weight - stored, 0.0) * _modulus_squared(mean)  # the zeros
    mean = times_power_of_two(mean, op.exponent)
    return Moments(weight, mean, mean - mean, squares, op.exponent)
