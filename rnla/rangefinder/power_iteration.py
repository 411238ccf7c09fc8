"""The power scheme without orthonormalization in between: a reference, not for use [halko2011]_ (Algorithm 4.3).

Problem: an orthonormal basis of the range of (A A^H)^q A Omega.

S1. Y = A Omega.
S2. q times: Y = A (A^H Y).
S3. Q = orth(Y), and its image A^H Q.

With a basis Q0 there already, every product is with (I - Q0 Q0^H) A.

Cost: 2 q + 2 passes and as many products of `size` columns, 4 m size^2 flops.

Guarantee: in exact arithmetic Theorem 9.2 and Corollary 10.10, as for `SubspaceIteration`.  In floating point the
columns of Y all turn towards the leading singular vectors: a direction whose singular value lies under
u^(1/(2q+1)) of the largest is lost in the rounding of the others (u the unit roundoff), so that for q = 2 in
double precision nothing under about 6e-4 is found.  `tests/rangefinder/test_power_iteration.py` shows the loss, and
that `SubspaceIteration` does not have it.

Differences from the paper: (1) with ``space="row"`` it is the algorithm for the adjoint of A; (2) between steps all
of Y is divided by one power of two, which changes no rounding and keeps powers of large values in range.

When: to see what orthonormalization buys.  When not: always else; `SubspaceIteration` costs the same products.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from rnla._xp.linalg import max_abs
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
    passes_if_complete,
    rows_of,
    view_of,
)
from rnla.rangefinder.protocols import Goal, Riders
from rnla.rangefinder.repetition import growing_size, until_enough, until_reached
from rnla.rangefinder.riding import Riding
from rnla.results import RangeBasis
from rnla.rng import Key
from rnla.sketch import Gaussian, TestMatrix, as_sketch

__all__ = ["PowerIteration"]

_STEP = 16


@dataclasses.dataclass(frozen=True, slots=True)
class PowerIteration:
    """The power scheme as it is first written down; loses what lies under u^(1/(2q+1)) of the largest value.

    Parameters
    ----------
    power_iterations : int
        q.
    oversampling : int or None
        Columns beyond the rank; None: max(10, rank / 2).
    sketch : TestMatrix
    space : {"row", "column"} or None
        Where the basis lies; None: the columns' space, as in the paper.
    orthonormalizer : Orthonormalizer

    Examples
    --------
    >>> import numpy as np, rnla
    >>> from rnla.testing import matrix
    >>> A = matrix(np.geomspace(1, 1e-12, 60), 60, 60)
    >>> lossy = rnla.svd(A, 30, method=rnla.PowerIteration(2), rng=0).error.value
    >>> kept = rnla.svd(A, 30, method=rnla.SubspaceIteration(2), rng=0).error.value
    >>> kept < 1e-6 < 1e-4 < lossy
    True
    """

    power_iterations: int = 1
    oversampling: int | None = None
    sketch: TestMatrix = Gaussian()
    space: str | None = None
    orthonormalizer: Orthonormalizer = CholeskyQR2()

    def __post_init__(self) -> None:
        check_whole("power_iterations", self.power_iterations)
        if self.oversampling is not None:
            check_whole("oversampling", self.oversampling)
        check_space(self.space)
        object.__setattr__(self, "sketch", as_sketch(self.sketch))
        check_orthonormalizer(self.orthonormalizer)

    @property
    def leaves_one_out(self) -> bool:
        """Never: A Omega is not kept."""
        return False

    def space_for(self, shape: tuple[int, int]) -> str:
        """Return the space of the basis of a matrix of this shape."""
        del shape
        return self.space or "column"

    def size_for(self, rank: int) -> int:
        """Return the columns of the basis for a rank."""
        return rank + (max(10, rank // 2) if self.oversampling is None else self.oversampling)

    def next_size(self, have: int, missing: int, limit: int) -> int:
        """Return the size of the next block while a tolerance decides."""
        return growing_size(_STEP, have, missing, limit)

    def find(self, op: Ledger, goal: Goal, key: Key, riders: Riders, start: RangeBasis | None = None) -> RangeBasis:
        """Return a basis of ``goal.size`` columns, one block beyond `start`; without a size, blocks until the goal."""

        def add(basis: RangeBasis | None, size: int, more: bool) -> RangeBasis:
            return self.add_block(op, basis, size, key, riders, more=more)

        if goal.size is None:
            return until_reached(goal, start, self.next_size, add)
        return until_enough(goal, start, goal.limit, add)

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
            columns = self.sketch.tile(0, p, p, size, key, **like_of(op))
            w = deflated(riding.rmatmat(columns), start, columns)  # S1
            for _ in range(self.power_iterations):  # S2
                columns = riding.matmat(_near_one(w))
                w = deflated(riding.rmatmat(columns), start, columns)
            x = orthonormalize_against(None if start is None else start.basis, w, self.orthonormalizer, key)  # S3
        y = riding.matmat(x)
        riding.finish()
        return joined(start, space, x, y, **(riding.fields() if start is None else {}))

    def passes(self, op: Ledger, size: int, have: int = 0) -> int:
        """Return the passes of a basis of this size, from one of `have` columns."""
        complete = have == 0 and size >= rows_of(op, self.space_for(op.shape))
        return passes_if_complete(op) if complete else self.passes_of_step(op)

    def passes_of_step(self, op: Ledger) -> int:
        """Return the passes of one block."""
        return 2 * self.power_iterations + 2

    def products(self, op: Ledger, size: int) -> float:
        """Return the columns multiplied in all."""
        return size * (2.0 * self.power_iterations + 2)


def _near_one(w: Any) -> Any:
    largest = max_abs(w)
    return w * 2.0 ** -math.frexp(largest)[1] if 0 < largest < math.inf else w
