"""Randomized block Lanczos for Hermitian matrices: every product with A stays in the basis [tropp2023]_ (NysBKI).

Problem: the leading eigenvectors of a Hermitian matrix, from as few products as can be.

S1. X_1 = orth(Omega), b columns.
S2. Y_i = A X_i.
S3. X_{i+1} = orth(Y_i) against [X_{i-1} X_i], the rest of A X_i being 0 but for rounding, then against [X_1 ... X_i].

S2 and S3 repeat until there are `depth` blocks, or while a goal wants more.  The basis is [X_1 ... X_d], its image
[Y_1 ... Y_d]: it spans Omega, A Omega, ..., A^(d-1) Omega, and to go on continues the sequence.  A wider block than
the last one had is filled with new columns of the test matrix.

Cost: d passes, d products of b columns, 2 n b^2 d^2 flops of panel algebra, 4 n b d numbers.  `BlockKrylov`, which does
not know that A is Hermitian, takes 2 d - 1 products for a basis of d blocks.

Guarantee: the span holds A^(d-1) Omega, for which the bounds of subspace iteration hold; with the Nystrom
approximation after it, d products serve a polynomial of degree 2 d - 1 in A.  Tested in
`tests/rangefinder/test_block_lanczos.py` against `tests/reference/tropp2023_nysbki.py`.

Differences from the paper: (1) the shift is left to the compression; (2) directions that vanish to rounding are
replaced by random ones, so that blocks keep their size; (3) the three-term recurrence comes first, and blocks are
orthogonalized against all before once more instead of twice: S4 of `orth.extend` finds out where that is too little.

When: A is Hermitian and products with it, or passes over it, cost more than memory.  When not: A is not Hermitian;
fast decay, where one block is enough.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from rnla.checks import check_whole
from rnla.errors import InputError
from rnla.operators.ledger import Ledger
from rnla.operators.verify import require_adjoint
from rnla.orth import CholeskyQR2, Orthonormalizer
from rnla.orth.extend import orthonormalize_against
from rnla.rangefinder.blocks import check_orthonormalizer, joined, like_of
from rnla.rangefinder.growing import with_room
from rnla.rangefinder.protocols import Goal, Riders
from rnla.rangefinder.repetition import until_enough, until_reached
from rnla.results import RangeBasis
from rnla.rng import Key
from rnla.sketch import Gaussian, TestMatrix, as_sketch

__all__ = ["BlockLanczos"]

_DEPTH = 4
_STEP = 16  # columns of a block where neither a rank nor block_size says how many
_TEST_COLUMNS = 2
_NARROW = 16  # columns of the blocks that `_columns` was measured with; what others are wider by is taken 8 times


def _columns(rank: int, width: int) -> int:
    """Return the columns that make the leading eigenvalues right to 1e-10, where they fall like 1/j or faster.

    Measured on 1/j and exp(-j/30) with random signs, ranks 1 to 200, blocks of 16 to 32 columns.
    """
    return min(96 + 16 * rank // 5, 144 + 9 * rank // 4) + 8 * max(0, width - _NARROW)


@dataclasses.dataclass(frozen=True, slots=True)
class BlockLanczos:
    """Randomized block Lanczos iteration, for `eigh` and `nystrom`.

    Parameters
    ----------
    depth : int or None
        d: blocks in the basis, and products with A; None: 4, or where `block_size` is given as many as eigenvalues that
        fall like 1/j or faster take to be right to 1e-10.  While a tolerance decides there are as many blocks as it
        takes.
    block_size : int or None
        b: columns of a block; None: rank + oversampling.
    oversampling : int
        Columns of a block beyond the rank, where `block_size` is None.
    sketch : TestMatrix
    orthonormalizer : Orthonormalizer

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag(1 / np.sqrt(np.arange(1.0, 301.0)))
    >>> once = rnla.nystrom(A, 10, method=rnla.BlockLanczos(depth=1), rng=0)
    >>> four = rnla.nystrom(A, 10, method=rnla.BlockLanczos(depth=4), rng=0)
    >>> four.error.value < once.error.value, once.report.passes, four.report.passes
    (True, 1, 5)
    """

    depth: int | None = None
    block_size: int | None = None
    oversampling: int = 10
    sketch: TestMatrix = Gaussian()
    orthonormalizer: Orthonormalizer = CholeskyQR2()

    def __post_init__(self) -> None:
        if self.depth is not None:
            check_whole("depth", self.depth, 1)
        if self.block_size is not None:
            check_whole("block_size", self.block_size, 1)
        check_whole("oversampling", self.oversampling)
        object.__setattr__(self, "sketch", as_sketch(self.sketch))
        check_orthonormalizer(self.orthonormalizer)

    @property
    def leaves_one_out(self) -> bool:
        """Never for the projection; `nystrom` has an estimate of its own where there is one block."""
        return False

    def space_for(self, shape: tuple[int, int]) -> str:
        """Return the space of the basis: rows and columns are one."""
        del shape
        return "row"

    def size_for(self, rank: int) -> int:
        """Return the columns of the basis for a rank: all blocks together."""
        width = rank + self.oversampling
        if self.block_size is None:
            return width * (self.depth or _DEPTH)
        depth = self.depth or max(_DEPTH, -(-_columns(rank, self.block_size) // self.block_size))
        return max(rank, self.block_size * depth)

    def next_size(self, have: int, missing: int, limit: int) -> int:
        """Return the size of the next block while a tolerance decides: that of the blocks before."""
        del missing
        return min(self.block_size or _STEP, limit - have)

    def find(self, op: Ledger, goal: Goal, key: Key, riders: Riders, start: RangeBasis | None = None) -> RangeBasis:
        """Return a basis of ``goal.size`` columns; without a size, as many blocks as the goal wants."""

        def add(basis: RangeBasis | None, size: int, more: bool) -> RangeBasis:
            return self.add_block(op, basis, size, key, riders, more=more)

        if goal.size is None:
            return until_reached(goal, start, self.next_size, add)
        wanted = min(goal.size, goal.limit)

        def add_with_room(basis: RangeBasis | None, size: int, more: bool) -> RangeBasis:
            grown = add(basis, size, more)
            if basis is not start:
                return grown
            room = (with_room(grown.basis, wanted), with_room(grown.image, wanted))
            return dataclasses.replace(grown, basis=room[0], image=room[1])

        return until_enough(goal, start, self._width(wanted - (0 if start is None else start.size)), add_with_room)

    def _width(self, size: int) -> int:
        """Return the columns of a block where this many are wanted in all."""
        return max(1, self.block_size or -(-size // (self.depth or _DEPTH)))

    def test_matrix(self, op: Ledger, size: int, key: Key) -> Any:
        """Return Omega of the first block."""
        n = op.shape[1]
        return self.sketch.tile(0, n, n, size, key.child("test-matrix", 0), **like_of(op))

    def add_block(
        self, op: Ledger, start: RangeBasis | None, size: int, key: Key, riders: Riders, *, more: bool = True
    ) -> RangeBasis:
        """Return the basis with one block more."""
        del more
        m, n = op.shape
        if m != n:
            raise InputError(
                f"method=BlockLanczos() is for Hermitian matrices; this one is {m} x {n}: use BlockKrylov()"
            )
        if start is None:
            return self._first_block(op, self.orthonormalizer.factor(self.test_matrix(op, size, key))[0], key, riders)
        named = key.child("test-matrix", len(start.blocks))
        seed = start.image[:, start.size - min(size, start.blocks[-1]) :]
        recent = None
        if int(seed.shape[1]) < size:
            fresh = self.sketch.tile(0, n, n, size - int(seed.shape[1]), named, **like_of(op))
            seed = op.xp.concat([seed, fresh], axis=1)
        else:
            recent = sum(start.blocks[-2:])
        x = orthonormalize_against(start.basis, seed, self.orthonormalizer, named, recent)  # S3
        return joined(start, "row", x, op.matmat(x))

    def _first_block(self, op: Ledger, x: Any, key: Key, riders: Riders) -> RangeBasis:
        """Return the first block; probes and the test of the symmetry ride in its product (S1, S2)."""
        n, size, named = op.shape[1], int(x.shape[1]), key.child("test-matrix", 0)
        test, columns = named.child("adjoint-test"), _TEST_COLUMNS if riders.adjoint_test else 0
        probes = named.child("error-probes").normals(0, n, riders.probes, **like_of(op))
        g, h = (test.child(name).normals(0, n, columns, **like_of(op)) for name in ("in", "out"))
        y = op.matmat(op.xp.concat([x, probes, g, h], axis=1) if riders.probes or columns else x)
        if columns:
            require_adjoint(g, y[:, -2 * columns : -columns], h, y[:, -columns:])
        kept = {"probes": probes, "probed": y[:, size : size + riders.probes]} if riders.probes else {}
        return joined(None, "row", x, y[:, :size], **kept)

    def passes(self, op: Ledger, size: int, have: int = 0) -> int:
        """Return the passes of a basis of this size, from one of `have` columns."""
        del op
        return -(-(size - have) // self._width(size - have))

    def passes_of_step(self, op: Ledger) -> int:
        """Return the passes of one block."""
        del op
        return 1

    def products(self, op: Ledger, size: int) -> float:
        """Return the columns multiplied in all."""
        del op
        return float(size)
