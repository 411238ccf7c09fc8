"""SketchySVD: one pass, three sketches, a certified low-rank approximation [tropp2019]_.

Problem: a low-rank approximation of a matrix that is seen once, as a sum of pieces in any order.
Equation: A ~ Q C P^H with Q in range(A Omega), P in range(A^H Upsilon) and
C = (Phi^H Q)^+ (Phi^H A Psi) ((Psi^H P)^+)^H, the least-squares core.

S1. Keep Y = A Omega (m, k), X = A^H Upsilon (n, k), Z = Phi^H A Psi (s, s) under linear updates.
S2. Q = orth(Y), P = orth(X).
S3. C1 minimises norm((Phi^H Q) C1 - Z)_F; C minimises norm((Psi^H P) C^H - C1^H)_F, both by QR.
S4. SVD of the k by k core, cut to the rank.

Cost: state k (m + n) + s^2 numbers; an update 2 (2k + s) flops for each entry and s^2 more for each row of it;
finish O(k (k + s) (m + n)) flops, and the test matrices drawn once more.

Guarantee (Gaussian test matrices, exact arithmetic; alpha = 1 for real, 0 for complex data, s >= 2k + alpha):
  E norm(A - Q C P^H)_F^2 <= (s - alpha)/(s - k - alpha) min over rho < k - alpha of
                             (k + rho - alpha)/(k - rho - alpha) tail(rho)^2,   tail(rho)^2 = sum_{j > rho} s_j^2,
the bound of [tropp2019]_; docs/concepts/streaming.md derives it.  With the default sizes it is at most 10/3 of
tail(rank)^2 for real data.  For the cut, norm(A - A_r)_F <= tail(r) + 2 norm(A - Q C P^H)_F.
Checked in tests/streaming/test_guarantees.py.

Differences from the paper: 1. X is kept as its adjoint, a tall panel.  2. Gaussian test matrices by default, because
the bound is theirs; the paper's experiments take sparse ones.  3. The certificate's lower bound on norm(A) uses all
sketches with normal entries, not the error sketch alone.

Use it for streams and for data that can be read once; where A can be read again, `svd` is far more accurate.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import numpy as np

from rnla._xp.least_squares import least_squares
from rnla._xp.linalg import adjoint
from rnla.errors import InputError
from rnla.orth import CholeskyQR2
from rnla.results import LowRank
from rnla.sketch import Gaussian, TestMatrix, as_sketch
from rnla.streaming.maps import LinearSketch, Sketches
from rnla.streaming.protocols import given_size, require_room, slack_of

__all__ = ["SketchySVD"]


@dataclasses.dataclass(frozen=True, slots=True)
class SketchySVD:
    """One pass with sketches of the range, of the corange and of the core: the default of `stream`.

    Parameters
    ----------
    k : int, optional
        Columns of the range and corange sketches; by default 4 rank + 1 (4 rank for complex data).
    s : int, optional
        Columns of the core's test matrices; by default 2 k + 1 (2 k for complex data).
    sketch : TestMatrix or str
        Of all three sketches.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.outer(np.arange(1.0, 31.0), np.ones(20))
    >>> run = rnla.stream(A.shape, 1, method=SketchySVD(k=6, s=13), rng=0).update(A)
    >>> bool(np.allclose(run.finish().as_operator().to_array(), A))
    True
    """

    structure: ClassVar[str] = "general"

    k: int | None = None
    s: int | None = None
    sketch: TestMatrix = Gaussian()

    def __post_init__(self) -> None:
        object.__setattr__(self, "sketch", as_sketch(self.sketch))

    def sized(self, shape: tuple[int, int], rank: int, dtype: np.dtype[Any], storage: int | None) -> SketchySVD:
        """Return the method with k and s set.

        From a storage T, as the paper does: the largest k with s >= 2k + alpha and k (m + n) + s^2 <= T,
        then the largest s.
        """
        slack, short = slack_of(dtype), min(shape)
        if storage is not None:
            if self.k is not None or self.s is not None:
                raise InputError("storage= and k= or s= contradict each other: the sizes follow from the storage")
            return self._from_storage(shape, rank, storage, slack)
        k = min(4 * rank + slack, short) if self.k is None else min(given_size("k", self.k, rank), short)
        s = 2 * k + slack if self.s is None else given_size("s", self.s, k)
        return dataclasses.replace(self, k=k, s=s)

    def _from_storage(self, shape: tuple[int, int], rank: int, storage: int, slack: int) -> SketchySVD:
        both = sum(shape)

        def numbers(k: int) -> int:
            return k * both + (2 * k + slack) ** 2

        k = 0
        if storage > 0:  # the root of k (m + n) + (2k + alpha)^2 = storage, then exactly
            b = both + 4 * slack
            k = int((math.sqrt(b * b + 16 * max(storage - slack, 0)) - b) / 8)
            while k > 0 and numbers(k) > storage:
                k -= 1
            while numbers(k + 1) <= storage:
                k += 1
        require_room(k, rank, storage, numbers(rank))
        k = min(k, *shape)
        return dataclasses.replace(self, k=k, s=min(math.isqrt(storage - k * both), 4 * max(shape)))

    def layout(self) -> tuple[LinearSketch, ...]:
        """Return the three sketches (S1)."""
        assert self.k is not None
        assert self.s is not None
        return (
            LinearSketch("Y", "range", self.k, self.sketch),
            LinearSketch("X", "corange", self.k, self.sketch),
            LinearSketch("Z", "core", self.s, self.sketch),
        )

    def compress(self, sketches: Sketches) -> tuple[LowRank, tuple[str, ...]]:
        """Return Q C P^H from the sketches."""
        orth = CholeskyQR2()
        q, p = orth.factor(sketches["Y"])[0], orth.factor(sketches["X"])[0]  # S2
        half, full = least_squares(sketches.map_adjoint_times("Z", "rows", q), sketches["Z"])  # S3
        core, full_too = least_squares(sketches.map_adjoint_times("Z", "columns", p), adjoint(half))
        notes = () if full and full_too else ("the core's least squares were rank deficient: the least norm was taken",)
        return LowRank(q, adjoint(core), p), notes
