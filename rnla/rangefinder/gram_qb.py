"""QB with Gram matrices and shifted power iterations: products only, at half the digits [feng2023]_ (farPCA).

Problem: as `BlockQB`, where a moderate tolerance is enough and products are all that is cheap.

For every block, with the basis Q and B = Q^H A from before; H = A^H A - B^H B:

S1. Omega with n rows and b columns, orthonormalized by its Gram matrix; alpha = 0.
S2. q times: W = H Omega - alpha Omega [A^H A Omega is one pass where A can]; Omega = W V S^-1 from the eigenvalues
    S^2 and vectors V of the Gram matrix W^H W; alpha = (alpha + the smallest of S) / 2 where that is larger.
S3. Y = A Omega - Q (B Omega); Q_i = an orthonormal basis of the range of Y from its Gram matrix; B_i = Q_i^H A.
S4. norm(A)_F^2 - norm(B_1)_F^2 - ... is the squared error.

The shift makes a step separate singular values better at the same products: with orthonormal Omega, alpha stays below
half the b-th eigenvalue of H, so that of H - alpha the leading b are still the leading ones, and their ratios to the
others are larger.

Cost: q + 2 passes a block where A gives A^H A in one (2 q + 2 else), 2 q + 2 products of its columns; no QR of a panel
but the check of S3.

Guarantee: in exact arithmetic that of q shifted power steps.  A Gram matrix holds squares, so within a block
directions under about sqrt(eps) of its largest are not told apart; hence a tolerance has a floor of its own,
1e-5 in double and 1.1e-2 in single precision, and one below it is refused.  The answer itself is certified as ever.
Tested as `tests/rangefinder/test_gram_qb.py`.

Differences from the paper: (1) Q_i is orthonormalized against Q in every block instead of solving with the Gram
matrix of all Y at the end: the basis is orthonormal and its image exact, at one product with A^H Q_i, which takes the
place of the paper's with A^H Y_i; (2) hence S4 is the plain identity instead of a trace; (3) the goal decides when to
stop; (4) eigenvalues under eps of the largest are raised to that before dividing; (5) Omega is orthonormalized first,
so that the first step sets the shift of the second.

When: dense A in blocks of rows, tol >= 1e-5.  When not: small tolerances; then `BlockQB` or `Adaptive`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from rnla._xp.linalg import cast, eigh, eps_of, host_values
from rnla._xp.namespace import device_of, from_host, namespace_of
from rnla.checks import check_whole
from rnla.errors import InputError
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import SupportsNormal
from rnla.orth import CholeskyQR2
from rnla.orth.cholesky_qr import gram
from rnla.orth.extend import orthonormalize_against
from rnla.rangefinder.blocks import (
    check_space,
    complete_basis,
    deflated,
    joined,
    like_of,
    outside_gram,
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

__all__ = ["GramQB"]


@dataclasses.dataclass(frozen=True, slots=True)
class GramQB:
    """QB by products and Gram matrices, for moderate tolerances.

    Parameters
    ----------
    block_size : int
        Columns of the first block; later ones grow as those of `Adaptive` do.
    power_iterations : int
        q.
    oversampling : int or None
        Columns beyond the rank, where a rank is asked for; None: max(10, rank / 2).
    sketch : TestMatrix
    space : {"row", "column"} or None
        Where the basis lies; None: the columns' space, as in the paper.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag(0.5 ** np.arange(100.0))
    >>> rnla.svd(A, tol=1e-3, method=rnla.GramQB(), rng=0).rank
    10
    >>> rnla.svd(A, tol=1e-9, method=rnla.GramQB())
    Traceback (most recent call last):
    ...
    rnla.errors.InputError: tol=1.0e-09 is below 1.0e-05, the least for Gram matrices in float64; use method=BlockQB()
    """

    block_size: int = 16
    power_iterations: int = 2
    oversampling: int | None = None
    sketch: TestMatrix = Gaussian()
    space: str | None = None

    def __post_init__(self) -> None:
        check_whole("block_size", self.block_size, 1)
        check_whole("power_iterations", self.power_iterations)
        if self.oversampling is not None:
            check_whole("oversampling", self.oversampling)
        check_space(self.space)
        object.__setattr__(self, "sketch", as_sketch(self.sketch))

    @property
    def leaves_one_out(self) -> bool:
        """Never: the blocks depend on each other."""
        return False

    def require_tol(self, tol: float, dtype: Any) -> None:
        """Raise for a tolerance that Gram matrices cannot serve."""
        least = max(1e-5, 32 * eps_of(dtype) ** 0.5)
        if tol < least:
            raise InputError(
                f"tol={tol:.1e} is below {least:.1e}, the least for Gram matrices in {dtype}; use method=BlockQB()"
            )

    def space_for(self, shape: tuple[int, int]) -> str:
        """Return the space of the basis of a matrix of this shape."""
        del shape
        return self.space or "column"

    def size_for(self, rank: int) -> int:
        """Return the columns of the basis for a rank."""
        return rank + (max(10, rank // 2) if self.oversampling is None else self.oversampling)

    def next_size(self, have: int, missing: int, limit: int) -> int:
        """Return the size of the next block while a tolerance decides."""
        return growing_size(self.block_size, have, missing, limit)

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
        other = view_of(op, "row" if space == "column" else "column")  # the adjoint of the view
        p, r = view.shape
        key = key.child("test-matrix", 0 if start is None else len(start.blocks))
        riding = Riding(view, riders if start is None else Riders(), key, like_of(op))
        if start is None and size >= r:
            x = complete_basis(op, r, CholeskyQR2(), key)
        else:
            omega, shift = _gram_orthonormalized(self.sketch.tile(0, p, p, size, key, **like_of(op)))[0], 0.0  # S1
            for _ in range(self.power_iterations):  # S2
                w = outside_gram(other.normal_product(omega)[0], start, omega)
                omega, smallest = _gram_orthonormalized(w - shift * omega if shift else w)
                shift = max(shift, (shift + smallest) / 2)
                del w
            x = _gram_orthonormalized(deflated(riding.rmatmat(omega), start, omega))[0]  # S3
            x = orthonormalize_against(None if start is None else start.basis, x, CholeskyQR2(), key)
        y = riding.matmat(x)
        riding.finish()
        return joined(start, space, x, y, **(riding.fields() if start is None else {}))

    def passes(self, op: Ledger, size: int, have: int = 0) -> int:
        """Return the passes of a basis of this size, from one of `have` columns."""
        complete = have == 0 and size >= rows_of(op, self.space_for(op.shape))
        return passes_if_complete(op) if complete else self.passes_of_step(op)

    def passes_of_step(self, op: Ledger) -> int:
        """Return the passes of one block."""
        fused = isinstance(op.base, SupportsNormal) and self.space_for(op.shape) == "column"
        return self.power_iterations * (1 if fused else 2) + 2

    def products(self, op: Ledger, size: int) -> float:
        """Return the columns multiplied in all."""
        return size * (2.0 * self.power_iterations + 2)


def _gram_orthonormalized(w: Any) -> tuple[Any, float]:
    """Return W V S^-1 from the eigendecomposition V S^2 V^H of its Gram matrix, and the smallest of S."""
    squares, vectors = eigh(gram(w))
    values = host_values(squares)
    largest = float(values.max(initial=0.0))
    if largest <= 0:
        return w, 0.0
    raised = values.clip(min=eps_of(w.dtype) * largest) ** 0.5
    inverses = from_host(1.0 / raised, namespace_of(w), device_of(w))
    small = vectors * cast(inverses, vectors.dtype)[None, :]
    return w @ cast(small, w.dtype), float(max(values.min(), 0.0)) ** 0.5
