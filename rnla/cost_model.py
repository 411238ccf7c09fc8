"""What each range finder costs: flops, bytes, passes, and seconds at rates that we measured once.

The rates (docs/design/cost-model.md says on what machine, and how to measure them again) are shipped as
constants and never timed at run time; they order the methods, they do not predict a clock.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla.operators.centered import CenteredSparse
from rnla.operators.ledger import Ledger
from rnla.operators.sparse import Sparse
from rnla.rangefinder import Adaptive, BlockFinder, BlockKrylov, FullSVD, GramEigh, RangeFinder, TallQR
from rnla.rangefinder.leading import takes_tridiagonal_form

__all__ = ["Cost", "cost_of", "passes_of", "passes_of_block"]

# Rates in flops per second of double precision (single precision: twice), with the pool on two cores.
_PRODUCT = 1.7e11
_PANEL = 1.0e11
_EIGH = 4.0e10
_REDUCE = 3.5e10  # to tridiagonal form
_SVD = 1.3e11  # of a large square matrix; half of it at _SVD_HALF rows
_SVD_HALF = 400
_TALL_QR = 1.2e10
_TALL_LAPACK = 4.0e9  # by one call, on one thread
_SPARSE = 2.5e10
_NORMALS = 3.0e7  # numbers a second
_CALL = 2.0e-4  # seconds of overhead of one step
_GRAM_CALLS = 3.0e-4  # of all steps of the Gram matrix together


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """Seconds at the rates above, flops, and peak bytes beside A."""

    seconds: float
    flops: float
    bytes: int


def _speed(dtype: np.dtype[Any]) -> float:
    """Return how many times cheaper a flop of this dtype is than one of float64."""
    return {"f": 2.0, "d": 1.0, "F": 0.5, "D": 0.25}[dtype.char]


def _block_cost(op: Ledger, part: BlockFinder, size: int) -> Cost:
    m, n = op.shape
    r, p = (n, m) if part.space_for(op.shape) == "row" else (m, n)
    products = part.products(op, size) / max(size, 1)
    steps = math.floor(products / 2)  # orthonormalizations of a whole panel
    speed, item = _speed(op.dtype), op.dtype.itemsize
    if isinstance(op.base, (Sparse, CenteredSparse)):
        flops = 2.0 * op.base.nnz * size * products
        seconds = flops / _SPARSE / speed
    else:
        flops = 2.0 * m * n * size * products
        seconds = flops / _PRODUCT / speed
    if isinstance(part, BlockKrylov):
        # Each block is projected out twice, and orthonormalized on its own.
        gathering = 4.0 * r * size**2
        calls = 2.0 * math.ceil(size / part.width_of(size))
    else:
        gathering = 8.0 * r * size**2 * steps
        calls = products
    panel = gathering + 12.0 * p * size**2
    small = 26.0 * size**3
    seconds += small / (_SVD * size / (size + _SVD_HALF)) / speed
    seconds += panel / _PANEL / speed + r * size / _NORMALS + _CALL * (calls + 5)
    # Orthonormalizing holds the panel, its scaled copy and Q; the end holds image, Q and a factor.
    thin = item * size * (r * 4 + p * 4) + 6 * item * size**2
    copies = op.base.nbytes if isinstance(op.base, (Sparse, CenteredSparse)) and op.base.copies else 0
    return Cost(seconds, flops + panel + small, int(thin) + copies)


def _gram_cost(op: Ledger, size: int) -> Cost:
    m, n = max(op.shape), min(op.shape)
    speed, item = _speed(op.dtype), op.dtype.itemsize
    products = 1.0 * m * n**2 + 2.0 * m * n * size
    panel = 12.0 * m * size**2
    if takes_tridiagonal_form(n, size):
        small = 4 / 3 * n**3 + 4.0 * n**2 * size
        eigen = small / _REDUCE + 1.4e-8 * n**2 + 5e-8 * n * size  # the values, and inverse iteration
    else:
        small = 9.0 * n**3
        eigen = small / _EIGH
    seconds = products / _PRODUCT / speed + eigen + panel / _PANEL / speed + _GRAM_CALLS
    return Cost(seconds, products + small + panel, int(item * (4 * size * m + 2 * n * size) + 64 * n**2))


def _tall_qr_cost(op: Ledger, size: int) -> Cost:
    m, n = max(op.shape), min(op.shape)
    speed, item = _speed(op.dtype), op.dtype.itemsize
    factor, small, panel = 2.0 * m * n**2, 26.0 * n**3, 12.0 * m * size**2
    products = 2.0 * m * n * size
    seconds = (
        factor / _TALL_QR / speed
        + small / (_SVD * n / (n + _SVD_HALF))
        + (panel / _PANEL + products / _PRODUCT) / speed
        + _CALL * 4
    )
    return Cost(seconds, factor + small + panel + products, int(item * (4 * size * m + 2 * n * size) + 64 * n**2))


def _full_cost(op: Ledger) -> Cost:
    long, short = max(op.shape), min(op.shape)
    reduce, square = 2.0 * (long - short) * short**2, 26.0 * short**3
    flops = reduce + square
    square_rate = _SVD * short / (short + _SVD_HALF)
    seconds = (reduce / _TALL_LAPACK + square / square_rate) / _speed(op.dtype) + _CALL
    return Cost(seconds, flops, int(4 * op.dtype.itemsize * long * short))


def cost_of(op: Ledger, part: RangeFinder, size: int) -> Cost:
    """Return the cost of a basis of this size by a range finder; nan for one that is not ours."""
    if isinstance(part, FullSVD):
        return _full_cost(op)
    if isinstance(part, GramEigh):
        return _gram_cost(op, size)
    if isinstance(part, TallQR):
        return _tall_qr_cost(op, size)
    if isinstance(part, Adaptive):
        part = part.blocks()
    if isinstance(part, BlockFinder):
        return _block_cost(op, part, size)
    return Cost(math.nan, math.nan, 0)


def passes_of_block(op: Ledger, part: BlockFinder | Adaptive) -> int:
    """Return the passes that one block of a part takes."""
    return (part.blocks() if isinstance(part, Adaptive) else part).passes_of_step(op)


def passes_of(op: Ledger, part: RangeFinder, size: int | None) -> int | None:
    """Return the passes of a basis of this size; None where a tolerance decides."""
    if isinstance(part, FullSVD):
        return 1
    if isinstance(part, (GramEigh, TallQR)):
        return 2
    return part.passes(op, size) if isinstance(part, BlockFinder) and size is not None else None
