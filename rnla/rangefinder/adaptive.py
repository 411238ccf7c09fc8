"""Adaptive blocks until a goal holds: the fixed-precision problem [halko2011]_ (4.4), [yu2018]_.

Problem: a basis that is as small as a tolerance allows, when the rank is not known.

S1. Add a block by subspace iteration on A (I - X X^H) (see `SubspaceIteration`), or by another part.
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
from rnla.errors import DTypeError
from rnla.operators.ledger import Ledger
from rnla.orth import CholeskyQR2, Orthonormalizer
from rnla.rangefinder.protocols import BlockFinder, Goal, Riders
from rnla.rangefinder.repetition import growing_size, until_reached
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
    part : BlockFinder, optional
        Another method whose blocks are repeated, in sizes of its own; the five above are not used then.

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
    part: BlockFinder | None = None

    def __post_init__(self) -> None:
        check_whole("block_size", self.block_size, 1)
        if self.part is not None and (isinstance(self.part, type) or not isinstance(self.part, BlockFinder)):
            raise DTypeError(f"part must be a method that works in blocks, such as BlockKrylov(), got {self.part!r}")
        whole = SubspaceIteration(self.power_iterations, 0, self.sketch, self.space, self.orthonormalizer)
        object.__setattr__(self, "sketch", whole.sketch)

    def blocks(self) -> BlockFinder:
        """Return the part whose blocks are repeated."""
        if self.part is not None:
            return self.part
        return SubspaceIteration(self.power_iterations, 0, self.sketch, self.space, self.orthonormalizer)

    def next_size(self, have: int, missing: int, limit: int) -> int:
        """Return the size of the next block (S3)."""
        if self.part is not None:
            return self.part.next_size(have, missing, limit)
        return growing_size(self.block_size, have, missing, limit)

    def begins_fused(self, op: Ledger, size: int) -> bool:
        """Whether the first pass is a normal product that the matrix makes at once."""
        begins = getattr(self.part, "begins_fused", None)
        return begins is not None and bool(begins(op, size))

    def find(self, op: Ledger, goal: Goal, key: Key, riders: Riders, start: RangeBasis | None = None) -> RangeBasis:
        """Return a basis that reaches the goal, or the largest allowed."""
        blocks = self.blocks()
        if self.part is not None:
            return blocks.find(op, goal, key, riders, start)
        return until_reached(
            goal, start, self.next_size,
            lambda basis, size, more: blocks.add_block(op, basis, size, key, riders, more=more),  # S1, S2
        )  # fmt: skip
