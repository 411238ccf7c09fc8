"""Adaptive blocks until a goal holds: the fixed-precision problem [halko2011]_ (4.4), [yu2018]_.

Problem: a basis that is as small as a tolerance allows, when the rank is not known.

S1. Add a block by subspace iteration on A (I - X X^H) (see `SubspaceIteration`).
S2. Ask the goal how many columns are missing; stop at none.
S3. Grow: the next block has half the columns found so far, at least block_size, at most 8 block_size or
    a fifth of them, and never more than the goal says are missing (rounded up to block_size).

Cost: 2 (power_iterations + 1) + 1 products of every column, power_iterations + 2 passes a block.
Guarantee: the goal's, that is the certificate's; the goal is asked about the whole basis each time.

Differences from the papers: blocks grow, so that passes stay logarithmic in the rank; the stopping
rule is a certificate of the requested norm instead of a difference of squares.
"""

from __future__ import annotations

import dataclasses

from rnla.checks import check_whole
from rnla.errors import DeadlineReached
from rnla.iterate import current_watch, loop
from rnla.operators.ledger import Ledger
from rnla.orth import CholeskyQR2, Orthonormalizer
from rnla.rangefinder.protocols import Goal, Riders
from rnla.rangefinder.subspace_iteration import SubspaceIteration
from rnla.results import RangeBasis
from rnla.rng import Key
from rnla.sketch import Gaussian, TestMatrix

__all__ = ["Adaptive"]


@dataclasses.dataclass(frozen=True, slots=True)
class Adaptive:
    """Blocks of subspace iteration until a tolerance is certified.

    Parameters
    ----------
    block_size : int
        Columns of the first block, and the step that sizes are rounded to.
    power_iterations : int
        Of each block.
    sketch : TestMatrix
    space : {"row", "column"} or None
    orthonormalizer : Orthonormalizer

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag(0.5 ** np.arange(100.0))
    >>> result = rnla.svd(A, tol=1e-6, method=rnla.Adaptive(block_size=8), rng=0)
    >>> result.error.value <= 1e-6, result.rank
    (True, 20)
    """

    block_size: int = 16
    power_iterations: int = 2
    sketch: TestMatrix = Gaussian()
    space: str | None = None
    orthonormalizer: Orthonormalizer = CholeskyQR2()

    def __post_init__(self) -> None:
        check_whole("block_size", self.block_size, 1)
        object.__setattr__(self, "sketch", self._blocks().sketch)

    def _blocks(self) -> SubspaceIteration:
        return SubspaceIteration(self.power_iterations, 0, self.sketch, self.space, self.orthonormalizer)

    def next_size(self, have: int, missing: int, limit: int) -> int:
        """Return the size of the next block (S3)."""
        step = self.block_size
        size = min(max(step, have // 2), max(8 * step, have // 5))
        if missing > 0:
            size = min(size, -(-missing // step) * step)
        return min(size, limit - have)

    def find(self, op: Ledger, goal: Goal, key: Key, riders: Riders, start: RangeBasis | None = None) -> RangeBasis:
        """Return a basis that reaches the goal, or the largest allowed."""
        blocks = self._blocks()
        assert goal.reached is not None
        try:
            missing = self.block_size if start is None else goal.reached(start)
        except DeadlineReached as error:
            error.result = start
            raise

        def finished(state: tuple[RangeBasis | None, int]) -> bool:
            basis, missing = state
            return basis is not None and (missing <= 0 or basis.size >= goal.limit)

        def step(state: tuple[RangeBasis | None, int]) -> tuple[RangeBasis | None, int]:
            basis, missing = state
            have = 0 if basis is None else basis.size
            watch = current_watch()
            if watch is not None:
                watch.stage = f"finding the range: {have} columns so far"
            grown = blocks.add_block(op, basis, self.next_size(have, missing, goal.limit), key, riders)  # S1
            assert goal.reached is not None
            try:
                return grown, goal.reached(grown)  # S2
            except DeadlineReached as error:
                error.result = grown  # the block is whole, and only the question about it was not answered
                raise

        basis, _ = loop((start, missing), step, finished)
        assert basis is not None
        return basis
