"""A basis of the range of A Omega: the proto-algorithm, two products and no power [halko2011]_ (Algorithms 4.1, 4.5).

Problem: an orthonormal basis Q that captures most of the range of A, at the price of one product with A.

S1. Omega with n rows and `size` columns.
S2. Y = A Omega, by the transform of the test matrix where it has one and A is read in blocks.
S3. Q = orth(Y).
S4. The image A^H Q (the paper's B, adjoint), which Algorithm 5.1 makes next.

With a basis Q0 there already, Y is orthonormalized against it.

Cost: 2 passes and 2 products of `size` columns, 4 m size^2 flops of panel algebra, 2 (m + n) size numbers.

Guarantee: Theorem 9.1 for every Omega; for a Gaussian one Theorems 10.5 and 10.6 in the mean and 10.7, 10.8 and
Corollary 10.9 with a stated probability.  Tested as `tests/rangefinder/test_sketched_range.py`.

Differences from the paper: (1) with ``space="row"`` it is the algorithm for the adjoint of A; (2) the trigonometric
transform of `SRTT`, for Algorithm 4.5, is a real one for real A.

When: singular values fall fast, or two passes are all there is.  When not: a slow spectrum, where one power
iteration buys more than any oversampling.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from rnla.checks import check_whole
from rnla.error.leave_one_out import leave_one_out_of_range
from rnla.operators.ledger import Ledger
from rnla.orth import CholeskyQR2, Orthonormalizer
from rnla.orth.extend import orthonormalize_against
from rnla.rangefinder.blocks import (
    check_orthonormalizer,
    check_space,
    complete_basis,
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

__all__ = ["SketchedRange"]

_STEP = 16


@dataclasses.dataclass(frozen=True, slots=True)
class SketchedRange:
    """The range of A Omega, without power iterations.

    Parameters
    ----------
    sketch : TestMatrix
        Omega; with ``"srtt"`` this is the fast range finder.
    oversampling : int or None
        Columns beyond the rank; None: max(10, rank / 2).
    space : {"row", "column"} or None
        Where the basis lies; None: the columns' space, as in the paper.
    orthonormalizer : Orthonormalizer

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag(0.5 ** np.arange(100.0))
    >>> result = rnla.svd(A, 5, method=rnla.SketchedRange(), rng=0)
    >>> result.report.passes, bool(np.allclose(result.s, 0.5 ** np.arange(5)))
    (2, True)
    """

    sketch: TestMatrix = Gaussian()
    oversampling: int | None = None
    space: str | None = None
    orthonormalizer: Orthonormalizer = CholeskyQR2()

    def __post_init__(self) -> None:
        if self.oversampling is not None:
            check_whole("oversampling", self.oversampling)
        check_space(self.space)
        object.__setattr__(self, "sketch", as_sketch(self.sketch))
        check_orthonormalizer(self.orthonormalizer)

    @property
    def leaves_one_out(self) -> bool:
        """Whether the columns of the test matrix are independent, which leave-one-out needs."""
        return isinstance(self.sketch, Gaussian)

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
        r = view.shape[1]
        key = key.child("test-matrix", 0 if start is None else len(start.blocks))
        riding = Riding(view, riders if start is None else Riders(), key, like_of(op))
        fields: dict[str, Any] = {}
        if start is not None:
            x = orthonormalize_against(start.basis, riding.sketched(self.sketch, size, key), self.orthonormalizer, key)
        elif size >= r:
            x = complete_basis(op, r, self.orthonormalizer, key)
        else:
            x, triangle = self.orthonormalizer.factor(riding.sketched(self.sketch, size, key))  # S1-S3
            estimate = leave_one_out_of_range(triangle) if riders.leave_one_out and self.leaves_one_out else None
            if estimate is not None:
                fields = {"leave_one_out": estimate[0], "leave_one_out_spread": estimate[1]}
        y = riding.matmat(x)  # S4
        riding.finish()
        return joined(start, space, x, y, **fields, **(riding.fields() if start is None else {}))

    def passes(self, op: Ledger, size: int, have: int = 0) -> int:
        """Return the passes of a basis of this size, from one of `have` columns."""
        complete = have == 0 and size >= rows_of(op, self.space_for(op.shape))
        return passes_if_complete(op) if complete else 2

    def passes_of_step(self, op: Ledger) -> int:
        """Return the passes of one block."""
        return 2

    def products(self, op: Ledger, size: int) -> float:
        """Return the columns multiplied in all."""
        return 2.0 * size
