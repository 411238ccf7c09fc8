"""Rows and columns drawn without replacement, from those that are not held out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla.errors import InputError
from rnla.rng import Key

__all__ = ["drawn", "held_out", "sample_size", "spared"]

Array = np.ndarray[Any, Any]

HELD = 64
"""Rows, and columns, that the certificate is read on."""
_LEAST_RANK = 3


def sample_size(samples: float, rank: int, length: int, what: str) -> int:
    """Return how many of `length` rows (or columns) a cross has: samples * rank * log(length), rounded up.

    A rank below 3 counts as 3: with half of the entries outliers, n = 300 and rank 1, RieCUR found L in 2 of 20 draws
    on the narrower cross, and in 20 on this one.

    Raises
    ------
    InputError
        Fewer than the rank.
    """
    count = math.ceil(samples * max(rank, _LEAST_RANK) * math.log(max(length, 2)))
    if count < rank:
        raise InputError(
            f"samples={samples} makes a cross of {count} {what}, too few for rank {rank}; "
            f"ask for samples={math.ceil(2 / math.log(max(length, 2)) * 10) / 10} or more"
        )
    return min(count, length)


def spared(length: int) -> int:
    """Return how many of `length` rows (or columns) can be set aside: an eighth, and none if that is only one.

    A single line tells no spread, so where there are fewer than 16 the certificate looks at all of them.
    """
    return min(HELD, length // 8) if length >= 2 * 8 else 0


def held_out(key: Key, length: int, all_read: bool = False) -> Array:
    """Return the numbers that no iteration may sample, ascending: at most an eighth of them.

    Where all is read in any case nothing is set aside, and the certificate looks at four times as many.
    """
    count = min(4 * HELD, length) if all_read else spared(length)
    return np.sort(key.permutation(length)[:count])


def drawn(key: Key, length: int, count: int, held: Array, weights: Array | None = None) -> Array:
    """Return `count` different numbers below `length` that are not held out, ascending.

    Every subset is equally likely; with weights, a number comes first with probability proportional to its weight, and
    so on without it (the order of exponential variables of these rates).
    """
    free = np.ones(length, dtype=bool)
    free[held] = False
    allowed = np.flatnonzero(free)
    count = min(count, len(allowed))
    if count == len(allowed):
        return allowed
    order: Array
    if weights is None:
        order = key.words(0, len(allowed))
    else:
        order = -np.log1p(-key.uniforms(0, len(allowed))) / np.maximum(weights[allowed], 1e-300)
    return np.sort(allowed[np.argpartition(order, count)[:count]])
