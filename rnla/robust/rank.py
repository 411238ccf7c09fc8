"""The rank of L where it is not given: from a small block of D, cleaned of its outliers without knowing a rank.

S1  Rows and columns of a block, at most 200 of each, drawn at random.
S2  Principal component pursuit of the block, which needs no rank.
S3  `rnla.rank_estimate` on what it took for low rank: values above a thousandth of the largest, and above what the
    noise that `Threshold(least=)` tells of makes of such a block.

A block of an incoherent L has its rank.  The pursuit needs that to be small against the block, and outliers to be a
third of it at most; where more than a quarter of the values count, no rank is told.  Entries that are far above the
others by decades are left out beforehand (`rnla.robust.starting`).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._xp.linalg import cast, host_values
from rnla._xp.namespace import namespace_of
from rnla.errors import DeadlineReached
from rnla.factorization.rank_estimate import rank_estimate
from rnla.iterate import loop
from rnla.results import Status
from rnla.rng import Key
from rnla.robust.protocols import Problem, verdict
from rnla.robust.pursuit import PrincipalComponentPursuit
from rnla.robust.reading import Reader
from rnla.robust.sampling import drawn
from rnla.robust.scaling import OtherScaleError, unscaled
from rnla.robust.thresholds import Threshold

__all__ = ["rank_of_low_part"]

_BLOCK = 200
_VALUES = 1e-3
_TOL = 1e-5
_LIMIT = 300


def rank_of_low_part(
    reader: Reader, mask: Any, threshold: Threshold, key: Key, held: tuple[Any, Any], level: float | None = None
) -> tuple[int, str]:
    """Return the rank of L and how it was found; 0 and why not where the block does not tell it.

    Parameters
    ----------
    reader : Reader
    mask : array of bool or None
    threshold : Threshold
    key : Key
    held : tuple of numpy.ndarray
        Rows and columns that are not to be read.
    level : float, optional
        Entries from there on are known to be outliers: to the pursuit they are missing.
    """
    m, n = reader.shape
    if min(m, n) == 1:
        return 1, "rank 1: D has one row or one column"
    rows = drawn(key.child("rows"), m, min(m, _BLOCK), held[0])
    columns = drawn(key.child("columns"), n, min(n, _BLOCK), held[1])
    if mask is None:
        block, seen = reader.take(reader.rows(rows), columns, 1), None
    else:
        block, seen = (reader.take(part, columns, 1) for part in reader.masked(mask, rows, 0))
    if level is not None and threshold.kind == "entries":
        small = namespace_of(block).abs(block) < level
        seen = small if seen is None else seen & small
    short = min(block.shape)
    none = np.zeros(0, dtype=np.int64)
    problem = Problem(Reader(block), short, _TOL, _LIMIT, key, seen, none, none)
    method = PrincipalComponentPursuit(threshold=dataclasses.replace(threshold, start=None))
    try:
        try:
            state = method.start(problem)
        except OtherScaleError:
            state = method.start(problem)
        state = loop(state, lambda s: method.advance(problem, s), lambda s: ended(s, problem) is not None)
    except DeadlineReached as error:
        raise DeadlineReached(
            f"{error}; it passed while the rank was estimated, so that nothing is kept: give more time, or rank="
        ) from None
    u, s, vh = state.factors
    size = f"a {block.shape[0]} x {block.shape[1]} block of D"
    if int(s.shape[0]) == 0:
        return 0, f"the pursuit finds nothing for L on {size}"
    low = (u * cast(s, u.dtype)[None, :]) @ vh
    largest, under = float(host_values(s)[0]), _of_noise(threshold, block.shape, problem.reader.exponent)
    if under >= largest:
        return 0, f"all that the pursuit finds for L on {size} is as small as the noise that least= tells of"
    found = rank_estimate(low, tol=max(_VALUES, under / largest), rng=key.child("values"))
    if ended(state, problem) is not Status.MET or 4 * found.rank > short:
        return 0, (
            f"the rank cannot be told from {size} ({found.rank} values of its low-rank part count, and "
            f"{state.trace[-1].outliers:.0%} of the entries are outliers)"
        )
    return found.rank, f"rank {found.rank}, estimated on a block of {block.shape[0]} x {block.shape[1]} entries"


def _of_noise(threshold: Threshold, shape: tuple[int, ...], exponent: int) -> float:
    """Return what noise adds to a singular value of a block at most, but for a few percent, in the pursuit's scale.

    Independent numbers of deviation sigma make a matrix of norm sigma (sqrt(p) + sqrt(q)) (Davidson and Szarek), and
    `least` is three to five sigma; of a column the level is sigma itself.
    """
    sigma = threshold.least / (3.0 if threshold.kind == "entries" else 1.0)
    return unscaled(sigma * sum(math.sqrt(length) for length in shape), -exponent)


def ended(state: Any, problem: Problem) -> Status | None:
    """Return how the iteration ended, None while it goes on."""
    return verdict(state.trace, problem.tol, problem.max_iterations)
