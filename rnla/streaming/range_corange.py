"""One pass with a sketch of the range and one of the corange [tropp2017]_.

Problem: a low-rank approximation of a matrix that is seen once.
Equation: A ~ Q X with Q in range(A Omega) and X = (Psi^H Q)^+ (Psi^H A).

S1. Keep Y = A Omega (m, k) and W = A^H Psi (n, l), l > k, under linear updates.
S2. Q = orth(Y).
S3. X minimises norm((Psi^H Q) X - W^H)_F, by QR.
S4. QR of X^H, SVD of its triangle, cut to the rank.

Cost: state k m + l n numbers; an update 2 (k + l) flops for each entry; finish O(k l n + k^2 m) flops.

Guarantee (Gaussian, alpha = 1 for real, 0 for complex data): with f(a, b) = a / (b - a - alpha),
E norm(A - Q X)_F^2 <= (1 + f(k, l)) min over rho < k - alpha of (1 + f(rho, k)) tail(rho)^2, Theorem 4.3 of
[tropp2017]_, derived in docs/concepts/streaming.md; for the cut, norm(A - A_r)_F <= tail(r) + 2 norm(A - Q X)_F.
Checked in tests/streaming/test_guarantees.py.

Differences from the paper: 1. W is kept as its adjoint.  2. From a storage budget l = 2k + 1 is taken, not the
sizes that its theory makes best for a decay that is known beforehand.

Use it where m is much larger than n, or where the core sketch of `SketchySVD` (s^2 numbers) is too much; with equal
storage `SketchySVD` needs no tuning and is usually the better one.
"""

from __future__ import annotations

import dataclasses
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

__all__ = ["RangeCorange"]


@dataclasses.dataclass(frozen=True, slots=True)
class RangeCorange:
    """One pass with a range and a corange sketch.

    Parameters
    ----------
    k : int, optional
        Columns of the range sketch; by default 2 rank + 1 (2 rank for complex data).
    l : int, optional
        Columns of the corange sketch; by default 2 k + 1 (2 k for complex data).
    sketch : TestMatrix or str
        Of both.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.outer(np.arange(1.0, 31.0), np.ones(20))
    >>> run = rnla.stream(A.shape, 1, method=RangeCorange(), rng=0).update(A)
    >>> bool(np.allclose(run.finish().as_operator().to_array(), A))
    True
    """

    structure: ClassVar[str] = "general"

    k: int | None = None
    l: int | None = None  # noqa: E741  the paper's letter
    sketch: TestMatrix = Gaussian()

    def __post_init__(self) -> None:
        object.__setattr__(self, "sketch", as_sketch(self.sketch))

    def sized(self, shape: tuple[int, int], rank: int, dtype: np.dtype[Any], storage: int | None) -> RangeCorange:
        """Return the method with k and l set; a storage gives the largest k with l = 2 k + alpha."""
        slack, short = slack_of(dtype), min(shape)
        if storage is not None:
            if self.k is not None or self.l is not None:
                raise InputError("storage= and k= or l= contradict each other: the sizes follow from the storage")
            m, n = shape
            k = (storage - slack * n) // (m + 2 * n)
            require_room(k, rank, storage, rank * (m + 2 * n) + slack * n)
            k = min(k, short)
        else:
            k = min(2 * rank + slack, short) if self.k is None else min(given_size("k", self.k, rank), short)
        size = 2 * k + slack if self.l is None else given_size("l", self.l, k)
        return dataclasses.replace(self, k=k, l=size)

    def layout(self) -> tuple[LinearSketch, ...]:
        """Return the two sketches (S1)."""
        assert self.k is not None
        assert self.l is not None
        return (
            LinearSketch("Y", "range", self.k, self.sketch),
            LinearSketch("W", "corange", self.l, self.sketch),
        )

    def compress(self, sketches: Sketches) -> tuple[LowRank, tuple[str, ...]]:
        """Return Q C P^H from the sketches."""
        orth = CholeskyQR2()
        q = orth.factor(sketches["Y"])[0]  # S2
        x, full = least_squares(sketches.map_adjoint_times("W", "rows", q), adjoint(sketches["W"]))  # S3
        p, r = orth.factor(adjoint(x))  # S4
        notes = () if full else ("the least squares were rank deficient: the solution of least norm was taken",)
        return LowRank(q, adjoint(r), p), notes
