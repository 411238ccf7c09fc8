"""Singular values of higher multiplicity than the blocks of a Krylov iteration are wide.

Problem: a sequence that starts with b columns holds at most b singular vectors of one singular value, so of a larger
cluster, followed by a gap, it misses the rest, whose values stand above others that were found [musco2015]_.

S1. Look for b values in a row within a tenth, then a drop of more than a tenth, before the rank asked for; or b within
    0.6 and a drop of more than a quarter, since the last of a cluster that were found may not have converged.
S2. As many columns as may be missing, found by subspace iteration on what the basis leaves of A, join the basis.
S3. Again, until there is no such place or it is where it was: then the cluster was complete.

Cost: nothing where S1 finds nothing; else 2 products with as many columns for each of 3 steps.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from rnla.config import get_config
from rnla.factorization.search import Search
from rnla.operators.ledger import Ledger
from rnla.planner import bytes_of
from rnla.rangefinder import BlockKrylov, BlockLanczos, SubspaceIteration
from rnla.rangefinder.protocols import Riders
from rnla.results import RangeBasis
from rnla.rng import Key

__all__ = ["with_whole_clusters"]

_CLOSE = ((0.9, 0.9), (0.6, 0.75))  # the last of b values over their first, and what follows over the last
_BEYOND = 10  # columns beyond those that may be missing
_ROUNDS = 4


def _end_of_cluster(values: np.ndarray, width: int, rank: int) -> int | None:
    """Return the place before the rank at which a cluster of at least `width` values ends, if there is one (S1)."""
    top = values[: rank + 1]
    if width >= len(top) - 1 or top[0] == 0:
        return None
    first, last, after = top[:-width], top[width - 1 : -1], top[width:]
    ends = np.flatnonzero(np.logical_or.reduce([(last >= c * first) & (after < d * last) for c, d in _CLOSE]))
    return None if len(ends) == 0 else int(ends[0]) + width


def with_whole_clusters(op: Ledger, basis: RangeBasis, search: Search, rank: int, key: Key) -> RangeBasis:
    """Return the basis of a block Krylov or Lanczos iteration, or one that holds it and what it missed of clusters.

    Parameters
    ----------
    op : Ledger
    basis : RangeBasis
    search : Search
        Factors the projection on a basis.
    rank : int
        As asked for.
    key : Key
    """
    method = search.plan.method
    if not isinstance(method, (BlockKrylov, BlockLanczos)) or basis.factors is not None:
        return basis
    width, before = basis.blocks[0], 0
    part = SubspaceIteration(space=basis.space)
    for _ in range(_ROUNDS):
        search.factor(basis)
        end = _end_of_cluster(search.values, width, rank)
        if end is None or end == before:
            return basis
        columns = min(rank - end + _BEYOND, min(op.shape) - basis.size)
        if columns <= 0:
            return basis
        passes = part.passes_of_step(op)
        if op.spare_passes < passes or bytes_of(op, method, basis.size + columns) > get_config().budget():
            note = f"of the cluster of singular values that ends at {end} more may exist: there was no room to look"
            return dataclasses.replace(basis, notes=(*basis.notes, note))
        basis = part.add_block(op, basis, columns, key.child("clusters"), Riders())
        before = end
    return basis
