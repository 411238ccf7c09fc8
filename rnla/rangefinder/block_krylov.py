"""Randomized block Krylov iteration: every product stays in the basis [tropp2023]_ (RBKI), [musco2015]_.

Problem: the leading singular vectors of a matrix whose values fall slowly, in few passes.

In the row space (in the column space read the adjoint of A for A):

S1. X_1 = orth(Omega), b columns.
S2. (W_i, Y_i) = (A^H A X_i, A X_i) [one pass where A can].
S3. X_{i+1} = orth(W_i) against [X_1 ... X_i], twice; directions that are rounding are dropped.

S4. Where S3 finds less than random columns would: X_{i+1} = new columns Omega_i, or, while a tolerance decides how many
    blocks there are, orth(A^H A Omega_i), against [X_1 ... X_i].

S2 and S3 repeat until there are `depth` blocks, or while a goal wants more; the last block takes Y_i only.  The basis
is [X_1 ... X_d], its image [Y_1 ... Y_d]: it spans Omega, (A^H A) Omega, ..., (A^H A)^(d-1) Omega.

The basis remembers W_d, or makes it from Y_d, so that to go on continues the sequence.  A wider block than the last
one had is filled with new columns of the test matrix.

Cost: d passes over row blocks (2 d - 1 else), 2 d - 1 products of b columns, 4 r b^2 d^2 flops of panel algebra,
2 (m + n) b d numbers: d times the basis of `SubspaceIteration`, for the same passes and products as d - 1 of its
normal products.

Guarantee: the span holds (A^H A)^(d-1) Omega, so the error is never above that of `SubspaceIteration` with
``power_iterations=d - 2`` and the same block, whose theorems hold; by polynomials of best growth the error beyond
the optimum falls like exp(-c d) at a gap and like (log n / d)^2 without one [musco2015]_, where powers fall like
log n / d.  Tested as `tests/rangefinder/test_block_krylov.py`.

Differences from the paper: (1) it starts with Omega on the side of the basis, and keeps it: one polynomial degree more
from the same products; (2) W_i comes with Y_i in one pass, instead of A^H after orthonormalizing Y_i; what the
square loses is found again by the next block, which is orthogonal to all before; (3) dropped directions are replaced
by new columns of the test matrix, so that blocks keep their size, and S4 starts the sequence anew where a singular
value has a higher multiplicity than a block has columns; (4) where the basis lies on the longer side, S1 is
X_1 = orth(A^H Omega) as in the paper, one pass more, since A sees little of Omega itself.

When: slow or noisy spectra, and passes that cost more than memory.  When not: fast decay, where one block is
enough; memory for d blocks is short; nearly full rank on the longer side in single precision, where rounding leads
the sequence out of the range of A after a dozen blocks (the certificate sees it).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._xp.linalg import eps_of, host_values, svd
from rnla._xp.namespace import is_concrete, namespace_of
from rnla.checks import check_whole
from rnla.operators.implicit import Implicit
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import SupportsNormal
from rnla.orth import CholeskyQR2, Orthonormalizer
from rnla.orth.extend import orthogonalized, orthonormalize_against, project_out
from rnla.orth.gram_schmidt import added_by, pays
from rnla.rangefinder.blocks import (
    check_orthonormalizer,
    check_space,
    joined,
    like_of,
    view_of,
)
from rnla.rangefinder.growing import norms_of_columns, with_room
from rnla.rangefinder.protocols import Goal, Riders
from rnla.rangefinder.repetition import until_enough, until_reached
from rnla.rangefinder.riding import Riding
from rnla.rangefinder.warm_start import check_columns, first_block, starting_space
from rnla.results import RangeBasis
from rnla.rng import Key
from rnla.sketch import Gaussian, TestMatrix, as_sketch

__all__ = ["BlockKrylov"]

_DEPTH = 3
_MORE = 4  # columns beyond twice the rank and four times the oversampling
_MANY = 100  # beyond twice this rank each singular vector needs half a column more, not a whole one
_DROPPED = 10.0  # times the rounding of a product: directions of it that are smaller are dropped
_STALLED = 0.1  # of the mean square of the singular values left
_TRUSTED = 32.0  # times sqrt(eps) of the norm: a difference of squares above it says how much is left
_ROOM = 4  # blocks that the panels have room for at first, where a tolerance decides how many there are
_STEP = 16  # columns of a block where neither a rank nor block_size says how many


@dataclasses.dataclass(frozen=True, slots=True)
class BlockKrylov:
    """Randomized block Krylov iteration.

    Parameters
    ----------
    depth : int or None
        d: blocks in the basis; None: 3, or as many as blocks of `block_size` take for twice the rank (past 200 half as
        much for each singular vector more) and four times the oversampling.  While a tolerance decides there are as
        many blocks as it takes.
    block_size : int or None
        b: columns of a block; None: rank + oversampling.
    oversampling : int
        Columns of a block beyond the rank, where `block_size` is None.
    sketch : TestMatrix
    space : {"row", "column"} or None
        Where the basis lies; None: on the shorter side, where nothing is lost when the basis is nearly complete.  For
        rows on disk, ``space="row"`` saves passes on a matrix wider than tall.
    orthonormalizer : Orthonormalizer
    start : array, shape (n, j) or (m, j), optional
        Columns near the leading singular vectors on the side of the basis, which take the place of the first j of
        the test matrix.  Copied; not compared by ``==``.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag(1 / np.sqrt(np.arange(1.0, 301.0)))
    >>> krylov = rnla.svd(A, 10, method=rnla.BlockKrylov(depth=4), rng=0)
    >>> powers = rnla.svd(A, 10, method=rnla.SubspaceIteration(power_iterations=2), rng=0)
    >>> krylov.report.passes == powers.report.passes, krylov.error.value < powers.error.value
    (True, True)
    """

    depth: int | None = None
    block_size: int | None = None
    oversampling: int = 10
    sketch: TestMatrix = Gaussian()
    space: str | None = None
    orthonormalizer: Orthonormalizer = CholeskyQR2()
    start: Any = dataclasses.field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.depth is not None:
            check_whole("depth", self.depth, 1)
        if self.block_size is not None:
            check_whole("block_size", self.block_size, 1)
        check_whole("oversampling", self.oversampling)
        check_space(self.space)
        object.__setattr__(self, "sketch", as_sketch(self.sketch))
        check_orthonormalizer(self.orthonormalizer)
        object.__setattr__(self, "start", check_columns(self.start))

    @property
    def leaves_one_out(self) -> bool:
        """Never: a column of the test matrix takes part in every block."""
        return False

    def space_for(self, shape: tuple[int, int]) -> str:
        """Return the space of the basis of a matrix of this shape."""
        if self.space is None and self.start is None:
            return "row" if shape[1] <= shape[0] else "column"
        return starting_space(shape, self.space, self.start)

    def size_for(self, rank: int) -> int:
        """Return the columns of the basis for a rank: all blocks together."""
        if self.block_size is None:
            return (rank + self.oversampling) * (self.depth or _DEPTH)
        wanted = min(2 * rank, 3 * rank // 2 + _MANY) + 4 * self.oversampling + _MORE
        depth = self.depth or max(_DEPTH, -(-wanted // self.block_size))
        return max(rank, self.block_size * depth)

    def next_size(self, have: int, missing: int, limit: int) -> int:
        """Return the size of the next block while a tolerance decides: that of the blocks before."""
        del missing
        given = 0 if self.start is None else int(self.start.shape[1])
        return min(self.block_size or max(_STEP, given), limit - have)

    def find(self, op: Ledger, goal: Goal, key: Key, riders: Riders, start: RangeBasis | None = None) -> RangeBasis:
        """Return a basis of ``goal.size`` columns; without a size, as many blocks as the goal wants."""

        def add(basis: RangeBasis | None, size: int, more: bool) -> RangeBasis:
            return self.add_block(op, basis, size, key, riders, more=more, restarts=goal.size is None)

        wanted = goal.limit if goal.size is None else min(goal.size, goal.limit)

        def add_with_room(basis: RangeBasis | None, size: int, more: bool) -> RangeBasis:
            grown = add(basis, size, more)
            if basis is not start:
                return grown
            columns = wanted if goal.size is not None else min(wanted, _ROOM * grown.size)
            room = (with_room(grown.basis, columns), with_room(grown.image, columns))
            return dataclasses.replace(grown, basis=room[0], image=room[1])

        if goal.size is None:
            return until_reached(goal, start, self.next_size, add_with_room)
        missing = min(goal.size, goal.limit) - (0 if start is None else start.size)
        return until_enough(goal, start, self.width_of(missing), add_with_room)

    def width_of(self, size: int) -> int:
        """Return the columns of a block where this many are wanted in all."""
        return max(1, self.block_size or -(-size // (self.depth or _DEPTH)))

    def add_block(
        self, op: Ledger, start: RangeBasis | None, size: int, key: Key, riders: Riders, *, more: bool = True,
        restarts: bool = False,
    ) -> RangeBasis:  # fmt: skip
        """Return the basis with one block more, and, where that is no pass of its own, what the next one starts from.

        Parameters
        ----------
        op : Ledger
        start : RangeBasis or None
        size : int
        key : Key
        riders : Riders
        more : bool
            Whether another block may follow.
        restarts : bool
            Whether a sequence that starts anew may take a product, and a pass, for its first block.
        """
        space = self.space_for(op.shape) if start is None else start.space
        view = view_of(op, space)
        r = view.shape[1]
        named = key.child("test-matrix", 0 if start is None else len(start.blocks))
        riding = Riding(view, riders if start is None else Riders(), named, like_of(op))
        if start is None:
            drawn = self._drawn(op, riding, view.shape, size, named)
            x = self.orthonormalizer.factor(first_block(op, self.start, drawn, self.orthonormalizer))[0]  # S1
        else:
            x = self._next_block(op, riding, view.shape, start, size, named, restarts)  # S3
        ahead = None
        # Without fusion the way back is made when it is needed; an operator's adjoint is tested at once.
        at_once = self._fused(op, space) or (start is None and riders.adjoint_test)
        if more and at_once and size + (0 if start is None else start.size) < r:
            ahead, y = riding.normal_product(x)  # S2
        else:
            y = riding.matmat(x)
        riding.finish()
        return joined(
            start, space, x, y, ahead=ahead, ahead_of=type(self).__name__,
            **(riding.fields() if start is None else {}),
        )  # fmt: skip

    def _drawn(self, op: Ledger, riding: Riding, shape: tuple[int, int], columns: int, key: Key) -> Any:
        """Return new columns: of the test matrix, or on a longer side, most of which A does not see, of its image."""
        p, r = shape
        if r <= p:
            return self.sketch.tile(0, r, r, columns, key, **like_of(op))
        return riding.rmatmat(self.sketch.tile(0, p, p, columns, key, **like_of(op)))

    def _next_block(
        self, op: Ledger, riding: Riding, shape: tuple[int, int], start: RangeBasis, size: int, key: Key, restarts: bool
    ) -> Any:
        """Return what the normal product of the last block adds to a basis, filled up with new columns."""
        last = start.image[:, start.size - start.blocks[-1] :]
        norms = norms_of_columns(start.image) if is_concrete(last) else np.zeros(start.size)
        mine = start.ahead_of == type(self).__name__ and start.ahead is not None
        if mine and namespace_of(start.ahead) is op.xp:
            seed = start.ahead
        else:
            seed = riding.rmatmat(last)
        # The rounding of a product with A^H is eps times its norm and that of the block it was made from.
        norm, its_block = float(norms.max(initial=0.0)), float(np.linalg.norm(norms[-start.blocks[-1] :]))
        level = _DROPPED * eps_of(last.dtype) * norm * its_block
        stall = _stall_level(op, start, norms, shape[1])
        x = _stable_range(start.basis, seed, size, level, stall, self.orthonormalizer, key, sum(start.blocks[-2:]))
        if int(x.shape[1]) == 0 and restarts and stall > 0:
            return self._restarted(op, riding, shape, start.basis, size, key)
        missing = size - int(x.shape[1])
        if missing == 0:
            return x
        old = op.xp.concat([start.basis, x], axis=1)
        return op.xp.concat([x, self._filled(op, riding, shape, old, missing, key)], axis=1)

    def _restarted(self, op: Ledger, riding: Riding, shape: tuple[int, int], basis: Any, columns: int, key: Key) -> Any:
        """Return the first block of a sequence on what a basis leaves of A (S4)."""
        x = self._filled(op, riding, shape, basis, columns, key)
        if op.spare_passes < math.inf:
            return x
        return orthonormalize_against(basis, riding.normal_product(x)[0], self.orthonormalizer, key.child("restart"))

    def _filled(self, op: Ledger, riding: Riding, shape: tuple[int, int], basis: Any, columns: int, key: Key) -> Any:
        """Return new columns of the test matrix, orthonormal and orthogonal to a basis."""
        if op.spare_passes < math.inf:  # the pass of an image is not foreseen here
            shape = (shape[1], shape[1])
        new = self._drawn(op, riding, shape, columns, key.child("new"))
        return orthonormalize_against(basis, new, self.orthonormalizer, key.child("new"))

    @staticmethod
    def _fused(op: Ledger, space: str) -> bool:
        return isinstance(op.base, SupportsNormal) and space == "row"

    def begins_fused(self, op: Ledger, size: int) -> bool:
        """Whether the first pass is a normal product that the matrix makes at once."""
        p, r = op.shape
        width = self.next_size(0, 0, r) if size == 0 else self.width_of(size)
        return self.start is None and r <= p and self._fused(op, self.space_for(op.shape)) and width < min(r, size or r)

    def passes(self, op: Ledger, size: int, have: int = 0) -> int:
        """Return the passes of a basis of this size, from one of `have` columns."""
        blocks = -(-(size - have) // self.width_of(size - have))
        # First the way back of the last block that is there, or on a longer side the image of the test matrix.
        p, r = view_of(op, self.space_for(op.shape)).shape
        first = 1 if have or r > p else 0
        once = blocks == 1 and first == 0 and isinstance(op.base, Implicit)  # an operator's adjoint is tested
        return first + once + (blocks if self._fused(op, self.space_for(op.shape)) else 2 * blocks - 1)

    def passes_of_step(self, op: Ledger) -> int:
        """Return the passes of one block."""
        return 1 if self._fused(op, self.space_for(op.shape)) else 2

    def products(self, op: Ledger, size: int) -> float:
        """Return the columns multiplied in all."""
        return max(2.0 * size - self.width_of(size), float(size))


def _stall_level(op: Ledger, start: RangeBasis, norms: np.ndarray[Any, Any], columns: int) -> float:
    """Return how little may tie the next block to the last one before a sequence of new columns gets further.

    Of a singular value of higher multiplicity than a block is wide the sequence finds as many vectors as that; what
    follows is hardly tied to them, and smaller.  A tenth of the mean square of the values left is the bar.
    """
    magnitude = op.measure()
    if magnitude is None or columns <= start.size or not is_concrete(start.image):
        return 0.0
    rest = magnitude.frobenius**2 - float(np.sum(norms**2))
    if rest <= (_TRUSTED * magnitude.frobenius) ** 2 * eps_of(start.image.dtype):
        return 0.0
    return _STALLED * rest / (columns - start.size)


def _stable_range(
    basis: Any, seed: Any, size: int, level: float, stall: float, orth: Orthonormalizer, key: Key, near: int
) -> Any:
    """Return at most `size` orthonormal columns, orthogonal to a basis, of the range of W above a level.

    None where the whole range is below the level `stall`.

    The singular values of the triangle say what is more than rounding, and which directions are the largest.
    """
    seed = seed[:, : min(int(seed.shape[1]), int(basis.shape[0]) - int(basis.shape[1]))]
    sweeps = isinstance(orth, CholeskyQR2) and pays(basis, seed)
    added = added_by(basis, seed, near, level) if sweeps else None
    q, triangle = orth.factor(project_out(basis, seed)) if added is None else (seed, added.triangle)
    u, s, _ = svd(triangle)
    kept = min(size, int(seed.shape[1]))
    if is_concrete(s):
        sizes = host_values(s)
        kept = min(kept, int((sizes > level).sum())) if sizes.max(initial=0.0) > stall else 0
    if kept == 0:
        return q[:, :0]
    if added is not None:
        found = added.orthogonal() if kept == int(q.shape[1]) else None
        if found is not None:
            return found
        q = added.orthonormal()
    if kept == int(q.shape[1]):
        return orthogonalized(basis, q, orth, key)
    return orthonormalize_against(basis, q @ u[:, :kept], orth, key)
