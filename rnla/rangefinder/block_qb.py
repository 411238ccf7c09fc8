"""Blocked QB with the error for free: the fixed-precision problem [yu2018]_ (Algorithm 2, randQB_EI).

Problem: the smallest number of blocks Q = [Q_1 Q_2 ...], B = Q^H A with norm(A - Q B)_F <= tol norm(A)_F.

For every block, with Q and B from before:

S1. Omega with n rows and b columns;  Q_i = orth(A Omega - Q (B Omega)).
S2. p times:  V = orth(A^H Q_i - B^H (Q^H Q_i));  Q_i = orth(A V - Q (B V)).
S3. Q_i = orth(Q_i - Q (Q^H Q_i));  B_i = Q_i^H A.
S4. norm(A)_F^2 - norm(B_1)_F^2 - ... is the squared error.

Cost: 2 p + 2 passes a block and as many products of its columns; 4 m l b + 2 n l b flops a product besides, l columns
so far.

Guarantee: S4 is an identity for orthonormal Q; the driver's certificate is made of it, and of something else where it
is below its floor.  For blocks of one Gaussian matrix and p = 0 the basis is that of `SketchedRange`; per block
Theorem 9.1 of [halko2011]_ for what is left of A.  Tested as `tests/rangefinder/test_block_qb.py`.

Differences from the paper: (1) S3 is checked and repeated, and directions lost to rounding are replaced by arbitrary
ones, so that the columns are orthonormal always; (2) B_i is Q_i^H A without the term (Q_i^H Q) B, which is rounding;
(3) the goal decides when to stop, and the rank is cut by singular values instead of rows of B; (4) with
``space="row"`` it is the algorithm for the adjoint of A.

When: A may be read often, and the rank is unknown: of the methods whose blocks have a fixed size it wastes the fewest
columns.  When not: passes are dear; then `Adaptive`, whose blocks grow, or `BlockKrylov`.
"""

from __future__ import annotations

import dataclasses

from rnla.checks import check_whole
from rnla.operators.ledger import Ledger
from rnla.orth import CholeskyQR2, Orthonormalizer
from rnla.orth.extend import orthonormalize_against
from rnla.rangefinder.blocks import (
    check_orthonormalizer,
    check_space,
    complete_basis,
    deflated,
    joined,
    like_of,
    outside_image,
    passes_if_complete,
    rows_of,
    view_of,
)
from rnla.rangefinder.protocols import Goal, Riders
from rnla.rangefinder.repetition import until_enough, until_reached
from rnla.rangefinder.riding import Riding
from rnla.results import RangeBasis
from rnla.rng import Key
from rnla.sketch import Gaussian, TestMatrix, as_sketch

__all__ = ["BlockQB"]


@dataclasses.dataclass(frozen=True, slots=True)
class BlockQB:
    """QB in blocks of a fixed size, with power iterations on what is left of A.

    Parameters
    ----------
    block_size : int
        b.
    power_iterations : int
        p.
    oversampling : int or None
        Columns beyond the rank, where a rank is asked for; None: max(10, rank / 2).
    sketch : TestMatrix
    space : {"row", "column"} or None
        Where the basis lies; None: the columns' space, as in the paper.
    orthonormalizer : Orthonormalizer

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag(0.5 ** np.arange(100.0))
    >>> result = rnla.svd(A, tol=1e-3, method=rnla.BlockQB(block_size=5), rng=0)
    >>> result.rank, result.error.value <= 1e-3
    (10, True)
    """

    block_size: int = 16
    power_iterations: int = 1
    oversampling: int | None = None
    sketch: TestMatrix = Gaussian()
    space: str | None = None
    orthonormalizer: Orthonormalizer = CholeskyQR2()

    def __post_init__(self) -> None:
        check_whole("block_size", self.block_size, 1)
        check_whole("power_iterations", self.power_iterations)
        if self.oversampling is not None:
            check_whole("oversampling", self.oversampling)
        check_space(self.space)
        object.__setattr__(self, "sketch", as_sketch(self.sketch))
        check_orthonormalizer(self.orthonormalizer)

    @property
    def leaves_one_out(self) -> bool:
        """Never: the blocks depend on each other."""
        return False

    def space_for(self, shape: tuple[int, int]) -> str:
        """Return the space of the basis of a matrix of this shape."""
        del shape
        return self.space or "column"

    def size_for(self, rank: int) -> int:
        """Return the columns of the basis for a rank."""
        return rank + (max(10, rank // 2) if self.oversampling is None else self.oversampling)

    def next_size(self, have: int, missing: int, limit: int) -> int:
        """Return the size of the next block: always the same, but for the last."""
        del missing
        return min(self.block_size, limit - have)

    def find(self, op: Ledger, goal: Goal, key: Key, riders: Riders, start: RangeBasis | None = None) -> RangeBasis:
        """Return a basis of ``goal.size`` columns; without a size, as many blocks as the goal wants."""

        def add(basis: RangeBasis | None, size: int, more: bool) -> RangeBasis:
            return self.add_block(op, basis, size, key, riders, more=more)

        if goal.size is None:
            return until_reached(goal, start, self.next_size, add)
        return until_enough(goal, start, self.block_size, add)

    def add_block(
        self, op: Ledger, start: RangeBasis | None, size: int, key: Key, riders: Riders, *, more: bool = True
    ) -> RangeBasis:
        """Return the basis with one block more, its image, and what the riders brought."""
        del more
        space = self.space_for(op.shape) if start is None else start.space
        view = view_of(op, space)
        p, r = view.shape
        key = key.child("test-matrix", 0 if start is None else len(start.blocks))
        riding = Riding(view, riders if start is None else Riders(), key, like_of(op))
        if start is None and size >= r:
            x = complete_basis(op, r, self.orthonormalizer, key)
        else:
            orth = self.orthonormalizer
            omega = self.sketch.tile(0, p, p, size, key, **like_of(op))
            x = orth.factor(deflated(riding.rmatmat(omega), start, omega))[0]  # S1
            for _ in range(self.power_iterations):  # S2
                v = orth.factor(outside_image(riding.matmat(x), start, x))[0]
                x = orth.factor(deflated(riding.rmatmat(v), start, v))[0]
            x = orthonormalize_against(None if start is None else start.basis, x, orth, key)  # S3
        y = riding.matmat(x)
        riding.finish()
        return joined(start, space, x, y, **(riding.fields() if start is None else {}))

    def passes(self, op: Ledger, size: int, have: int = 0) -> int:
        """Return the passes of a basis of this size, from one of `have` columns."""
        if have == 0 and self.block_size >= size >= rows_of(op, self.space_for(op.shape)):
            return passes_if_complete(op)
        return self.passes_of_step(op) * -(-(size - have) // self.block_size)

    def passes_of_step(self, op: Ledger) -> int:
        """Return the passes of one block."""
        return 2 * self.power_iterations + 2

    def products(self, op: Ledger, size: int) -> float:
        """Return the columns multiplied in all."""
        return size * (2.0 * self.power_iterations + 2)
