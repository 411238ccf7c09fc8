"""Randomized subspace iteration on the normal matrix, with the image of A kept [halko2011]_ (Algorithm 4.4).

Problem: an orthonormal basis X whose range holds the leading singular vectors of A.

In the row space (A itself; in the column space read the adjoint of A for A):

S1. Draw Omega with n rows and `size` columns; X = Omega.
S2. Repeat v = power_iterations + 1 times: W = A^H (A X) [one pass where A can], X = orth(W).
S3. Y = A X.

With a basis X0 there already, Omega and every W are first made orthogonal to X0, which is subspace
iteration on A (I - X0 X0^H) without forming it.

Cost: v + 1 passes for row blocks (2v + 1 else), 2v + 1 products of `size` columns,
O(v n size^2) flops of panel algebra on the side of the basis, (3 n + 2 m) size numbers.

Guarantee: for H = A^H A and any Omega, norm(A (I - X X^H)) <= norm((I - P) H^v)^(1/2v), and Theorem 9.1
of the paper bounds the right side for H^v; with a Gaussian Omega, Corollary 10.9 does with a stated
probability.  Tested as `tests/rangefinder/test_subspace_iteration.py`.

Differences from the paper: (1) the iteration starts with Omega on the side of the basis, so that
q = power_iterations steps make the power (A^H A)^(q+1), half a step more than the paper's
A (A^H A)^q; (2) no orthonormalization between A and A^H, so that one pass gives both; the directions
under sqrt(eps) that a step loses are found in the next, when their block is orthogonal to the rest;
(3) Y = A X, the paper's B, is part of the basis.

When not: when A can be read only once, or when the spectrum is nearly flat (no basis is small then).
"""

from __future__ import annotations

import dataclasses
from typing import Any

from rnla._xp.linalg import adjoint
from rnla.checks import check_whole
from rnla.config import get_config
from rnla.error.leave_one_out import leave_one_out
from rnla.errors import DeadlineReached
from rnla.operators.implicit import Implicit
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import SupportsNormal
from rnla.orth import CholeskyQR2, Orthonormalizer
from rnla.orth.extend import orthonormalize_against
from rnla.rangefinder.blocks import check_orthonormalizer, check_space, joined, like_of, view_of
from rnla.rangefinder.protocols import Goal, Riders
from rnla.rangefinder.repetition import growing_size, until_reached
from rnla.rangefinder.riding import Riding
from rnla.rangefinder.warm_start import check_columns, first_block, starting_space
from rnla.results import RangeBasis
from rnla.rng import Key
from rnla.sketch import Gaussian, TestMatrix, as_sketch

__all__ = ["SubspaceIteration"]

_STEP = 16


def _or_keep(reached: RangeBasis | None, product: Any, x: Any) -> Any:
    """Make a product; if the deadline stops it, the error carries the basis that was there before."""
    try:
        return product(x)
    except DeadlineReached as error:
        error.result = reached
        raise


@dataclasses.dataclass(frozen=True, slots=True)
class SubspaceIteration:
    """Randomized subspace iteration of fixed size.

    Parameters
    ----------
    power_iterations : int
        q: the basis is the range of (A^H A)^(q+1) Omega.
    oversampling : int or None
        Columns beyond the rank; None: max(10, rank / 2).
    sketch : TestMatrix
    space : {"row", "column"} or None
        Where the basis lies; None: the rows' space, or the columns' where A is more than twice as wide as tall.
    orthonormalizer : Orthonormalizer
    start : array, shape (n, j) or (m, j), optional
        Columns near the leading singular vectors on the side of the basis, which take the place of the first j of
        the test matrix: those of the last step of an optimization, say.  Copied; not compared by ``==``.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag(1.0 / np.arange(1, 101))
    >>> result = rnla.svd(A, 5, method=rnla.SubspaceIteration(power_iterations=4), rng=0)
    >>> bool(np.allclose(result.s, 1 / np.arange(1, 6)))
    True

    A changes a little; its old right singular vectors are a better start than noise:

    >>> A[0, 1] = 1e-3
    >>> warm = rnla.SubspaceIteration(power_iterations=0, start=result.Vh.T)
    >>> cold = rnla.SubspaceIteration(power_iterations=0)
    >>> rnla.svd(A, 5, method=warm, rng=0).error.value < rnla.svd(A, 5, method=cold, rng=0).error.value
    True
    """

    power_iterations: int = 2
    oversampling: int | None = None
    sketch: TestMatrix = Gaussian()
    space: str | None = None
    orthonormalizer: Orthonormalizer = CholeskyQR2()
    start: Any = dataclasses.field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_whole("power_iterations", self.power_iterations)
        if self.oversampling is not None:
            check_whole("oversampling", self.oversampling)
        check_space(self.space)
        object.__setattr__(self, "sketch", as_sketch(self.sketch))
        check_orthonormalizer(self.orthonormalizer)
        object.__setattr__(self, "start", check_columns(self.start))

    @property
    def leaves_one_out(self) -> bool:
        """Whether the test matrix is all Gaussian, which leave-one-out needs."""
        return isinstance(self.sketch, Gaussian) and self.start is None

    def space_for(self, shape: tuple[int, int]) -> str:
        """Return the space of the basis of a matrix of this shape."""
        return starting_space(shape, self.space, self.start)

    def size_for(self, rank: int) -> int:
        """Return the columns of the basis for a rank."""
        return rank + (max(10, rank // 2) if self.oversampling is None else self.oversampling)

    def find(self, op: Ledger, goal: Goal, key: Key, riders: Riders, start: RangeBasis | None = None) -> RangeBasis:
        """Return a basis of ``goal.size`` columns, one block beyond `start`; without a size, blocks until the goal."""
        if goal.size is None:
            return until_reached(
                goal, start, self.next_size,
                lambda basis, size, more: self.add_block(op, basis, size, key, riders, more=more),
            )  # fmt: skip
        have = 0 if start is None else start.size
        more = min(goal.size, goal.limit) - have
        if start is not None and more <= 0:
            return start
        return self.add_block(op, start, more, key, riders)

    def next_size(self, have: int, missing: int, limit: int) -> int:
        """Return the size of the next block while a tolerance decides."""
        given = 0 if self.start is None else int(self.start.shape[1])
        return min(max(growing_size(_STEP, have, missing, limit), 0 if have else given), limit - have)

    def add_block(
        self, op: Ledger, start: RangeBasis | None, size: int, key: Key, riders: Riders, *, more: bool = True
    ) -> RangeBasis:
        """Return the basis with one block more, its image, and what the riders brought."""
        del more
        space = self.space_for(op.shape) if start is None else start.space
        view, like = view_of(op, space), like_of(op)
        r = view.shape[1]
        old = None if start is None else start.basis
        key = key.child("test-matrix", 0 if start is None else len(start.blocks))
        omega = self.sketch.tile(0, r, r, size, key, **like)  # S1
        if start is None:
            omega = first_block(op, self.start, omega, self.orthonormalizer)
        else:
            x = orthonormalize_against(old, omega, self.orthonormalizer, key)
            for step in range(self._steps(r, size + start.size)):
                w, _ = view.normal_product(x)  # S2
                x = orthonormalize_against(old, w, self.orthonormalizer, key.child("step", step))
            y = view.matmat(x)  # S3
            return joined(start, space, x, y)
        return self._first_block(view, space, omega, key, riders, like)

    def _first_block(
        self, view: Any, space: str, omega: Any, key: Key, riders: Riders, like: dict[str, Any]
    ) -> RangeBasis:
        size = int(omega.shape[1])
        steps = self._steps(int(omega.shape[0]), size)
        riding = Riding(view, riders, key, like)
        x, triangles, sketch = omega, [], None
        reached: RangeBasis | None = None
        for step in range(steps):
            w, y = _or_keep(reached, riding.normal_product, x)  # S2
            sketch = y if step == 0 else sketch
            if step > 0 and get_config().deadline is not None:
                reached = RangeBasis(space=space, basis=x, image=y, blocks=(size,))
            x, triangle = self.orthonormalizer.factor(w)
            triangles.append(triangle)
        if steps == 0:
            x = self.orthonormalizer.factor(omega)[0]
        y = _or_keep(reached, riding.matmat, x)  # S3
        riding.finish()  # a complete basis takes one side's product only: the other is made for the test
        estimate = None
        if riders.leave_one_out and sketch is not None and self.leaves_one_out:
            estimate = leave_one_out(sketch, y, adjoint(x) @ omega, triangles)
        return RangeBasis(
            space=space, basis=x, image=y, blocks=(size,), leave_one_out=None if estimate is None else estimate[0],
            leave_one_out_spread=None if estimate is None else estimate[1], **riding.fields(),
        )  # fmt: skip

    def _steps(self, r: int, size: int) -> int:
        """Normal products to make: none where the basis is complete anyway."""
        return 0 if size >= r else self.power_iterations + 1

    def passes(self, op: Ledger, size: int, have: int = 0) -> int:
        """Return the passes of a basis of this size, from one of `have` columns."""
        if size >= op.shape[1 if self.space_for(op.shape) == "row" else 0]:
            return 2 if isinstance(op.base, Implicit) else 1  # an operator's adjoint is tested by its own product
        return self.passes_of_step(op)

    def passes_of_step(self, op: Ledger) -> int:
        """Return the passes of one block."""
        fused = isinstance(op.base, SupportsNormal) and self.space_for(op.shape) == "row"
        return (self.power_iterations + 1) * (1 if fused else 2) + 1

    def products(self, op: Ledger, size: int) -> float:
        """Return the columns multiplied in all."""
        r = op.shape[1 if self.space_for(op.shape) == "row" else 0]
        return size * (2.0 * self._steps(r, size) + 1)
