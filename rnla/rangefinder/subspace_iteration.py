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
from rnla._xp.namespace import namespace_of
from rnla.checks import check_choice, check_whole
from rnla.config import get_config
from rnla.error.leave_one_out import leave_one_out
from rnla.errors import DeadlineReached, DTypeError
from rnla.operators.algebra import Adjoint
from rnla.operators.ledger import Ledger
from rnla.operators.verify import require_adjoint
from rnla.orth import CholeskyQR2, Orthonormalizer
from rnla.orth.extend import orthonormalize_against
from rnla.rangefinder.protocols import Goal, Riders, shorter_space
from rnla.results import RangeBasis
from rnla.rng import Key
from rnla.sketch import Gaussian, TestMatrix, as_sketch

__all__ = ["SubspaceIteration"]

_TEST_COLUMNS = 2


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

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag(1.0 / np.arange(1, 101))
    >>> result = rnla.svd(A, 5, method=rnla.SubspaceIteration(power_iterations=4), rng=0)
    >>> bool(np.allclose(result.s, 1 / np.arange(1, 6)))
    True
    """

    power_iterations: int = 2
    oversampling: int | None = None
    sketch: TestMatrix = Gaussian()
    space: str | None = None
    orthonormalizer: Orthonormalizer = CholeskyQR2()

    def __post_init__(self) -> None:
        check_whole("power_iterations", self.power_iterations)
        if self.oversampling is not None:
            check_whole("oversampling", self.oversampling)
        if self.space is not None:
            check_choice("space", self.space, ("row", "column"))
        object.__setattr__(self, "sketch", as_sketch(self.sketch))
        if isinstance(self.orthonormalizer, type) or not isinstance(self.orthonormalizer, Orthonormalizer):
            raise DTypeError(f"orthonormalizer must be a part such as CholeskyQR2(), got {self.orthonormalizer!r}")

    def size_for(self, rank: int) -> int:
        """Return the columns of the basis for a rank."""
        return rank + (max(10, rank // 2) if self.oversampling is None else self.oversampling)

    def find(self, op: Ledger, goal: Goal, key: Key, riders: Riders, start: RangeBasis | None = None) -> RangeBasis:
        """Return a basis of ``goal.size`` columns, one block beyond `start`."""
        assert goal.size is not None
        have = 0 if start is None else start.size
        more = min(goal.size, goal.limit) - have
        if start is not None and more <= 0:
            return start
        return self.add_block(op, start, more, key, riders)

    def add_block(self, op: Ledger, start: RangeBasis | None, size: int, key: Key, riders: Riders) -> RangeBasis:
        """Return the basis with one block more, its image, and what the riders brought."""
        space = shorter_space(op.shape, self.space) if start is None else start.space
        view: Any = op if space == "row" else Adjoint(op)
        p, r = view.shape
        old = None if start is None else start.basis
        key = key.child("test-matrix", 0 if start is None else len(start.blocks))
        xp, like = op.xp, {"dtype": op.dtype, "xp": op.xp, "device": op.device}
        omega = self.sketch.tile(0, r, r, size, key, **like)  # S1
        if start is not None:
            x = orthonormalize_against(old, omega, self.orthonormalizer, key)
            for step in range(self._steps(r, size + start.size)):
                w, _ = view.normal_product(x)  # S2
                x = orthonormalize_against(old, w, self.orthonormalizer, key.child("step", step))
            y = view.matmat(x)  # S3
            basis = xp.concat([start.basis, x], axis=1)
            image = xp.concat([start.image, y], axis=1)
            return dataclasses.replace(
                start, basis=basis, image=image, blocks=(*start.blocks, size), leave_one_out=None,
                leave_one_out_spread=None,
            )  # fmt: skip
        return self._first_block(view, space, omega, key, riders, like, p)

    def _first_block(
        self, view: Any, space: str, omega: Any, key: Key, riders: Riders, like: dict[str, Any], p: int
    ) -> RangeBasis:
        r, size = int(omega.shape[0]), int(omega.shape[1])
        steps = self._steps(r, size)
        xp = namespace_of(omega)
        g = key.child("error-probes").normals(0, r, riders.probes, **like)
        test = key.child("adjoint-test")
        h_in = test.child("in").normals(0, r, _TEST_COLUMNS if riders.adjoint_test else 0, **like)
        h_out = test.child("out").normals(0, p, _TEST_COLUMNS if riders.adjoint_test else 0, **like)
        x, triangles, sketch = omega, [], None
        probed = None
        reached: RangeBasis | None = None
        for step in range(steps):
            if step == 0 and (riders.probes or riders.adjoint_test):
                w, y_all = self._first_product(view, xp.concat([omega, g, h_in], axis=1), size, h_in, h_out)
                sketch, probed = y_all[:, :size], y_all[:, size : size + riders.probes]
            else:
                w, y = _or_keep(reached, view.normal_product, x)  # S2
                sketch = y if step == 0 else sketch
                if step > 0 and get_config().deadline is not None:
                    reached = RangeBasis(space=space, basis=x, image=y, blocks=(size,))
            x, triangle = self.orthonormalizer.factor(w)
            triangles.append(triangle)
        if steps == 0:
            x = self.orthonormalizer.factor(omega)[0]
        y = _or_keep(reached, view.matmat, xp.concat([x, g, h_in], axis=1) if steps == 0 else x)  # S3
        if steps == 0:
            if riders.adjoint_test:  # a complete basis takes one side's product only: the other is made for the test
                require_adjoint(h_in, y[:, -_TEST_COLUMNS:], h_out, view.rmatmat(h_out))
            y, probed = y[:, :size], y[:, size : size + riders.probes]
        estimate = None
        if riders.leave_one_out and sketch is not None and isinstance(self.sketch, Gaussian):
            estimate = leave_one_out(sketch, y, adjoint(x) @ omega, triangles)
        return RangeBasis(
            space=space, basis=x, image=y, blocks=(size,), probes=g if riders.probes else None,
            probed=probed if riders.probes else None, leave_one_out=None if estimate is None else estimate[0],
            leave_one_out_spread=None if estimate is None else estimate[1],
        )  # fmt: skip

    @staticmethod
    def _first_product(view: Any, columns: Any, size: int, h_in: Any, h_out: Any) -> tuple[Any, Any]:
        """Return (W, A [Omega G H]), with the columns of the adjoint test in both products."""
        if h_in.shape[1] == 0:
            w, y = view.normal_product(columns)
            return w[:, :size], y
        xp = namespace_of(columns)
        y = view.matmat(columns)
        back = view.rmatmat(xp.concat([y[:, :size], h_out], axis=1))
        require_adjoint(h_in, y[:, -h_in.shape[1] :], h_out, back[:, size:])
        return back[:, :size], y

    def _steps(self, r: int, size: int) -> int:
        """Normal products to make: none where the basis is complete anyway."""
        return 0 if size >= r else self.power_iterations + 1
