"""One pass with a core that fits samples from both sides at once [halko2011]_ (section 5.5, Algorithm 5.6).

Problem: a low-rank approximation of a matrix that is seen once, from Y = A Omega and, where A is not Hermitian,
X = A^H Upsilon.
Equation: A ~ Q B P^H, where B minimises norm(B (P^H Omega) - Q^H Y)_F^2 + norm(B^H (Q^H Upsilon) - P^H X)_F^2;
for Hermitian A, P = Q and B is the Hermitian minimiser of norm(B (Q^H Omega) - Q^H Y)_F.

S1. Keep Y (m, k), and X (n, k) where A is not Hermitian, under linear updates.
S2. Q, P = the leading `basis` left singular vectors of Y and X: fewer than samples, so that S3 is overdetermined.
S3. P^H Omega = W1 S1 T1^H and Q^H Upsilon = W2 S2 T2^H.  In these bases the normal equations of B, a Sylvester
    equation, are diagonal: with K1 = W2^H (Q^H Y) T1 and K2 = W1^H (P^H X) T2,
    (W2^H B W1)_ij = (K1_ij s1_j + s2_i conj(K2_ji)) / (s1_j^2 + s2_i^2).
S4. SVD of B, or its eigenvalue decomposition where A is Hermitian, cut to the rank.

Cost: state k (m + n) numbers, k n for Hermitian A; finish O(k^2 (m + n)) flops.

Guarantee: none a priori in the paper but that for exact rank <= basis the answer is exact; the error can exceed that
of the projection on the same basis by 1 / sigma_min(Q^H Omega).  The certificate measures it.
Checked against tests/reference/halko2011_single_pass.py, which solves the least squares as one dense system.

Differences from the paper: 1. The Hermitian constraint is kept inside the least squares, not imposed by symmetrising
the plain solution.  2. The normal equations are solved through singular values, so nothing is squared.
3. Four times as many samples as the rank by default, and half of them in the basis.  4. A matrix is refused where
Omega^H Y is not Hermitian beyond sqrt(eps) of it.

Use `HermitianSketch` for indefinite Hermitian streams; `TwoSided` for comparison: `SketchySVD`, whose core has test
matrices of its own, has a guarantee.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from rnla._xp.linalg import adjoint, cast, svd
from rnla._xp.namespace import namespace_of
from rnla.errors import InputError
from rnla.orth import CholeskyQR2
from rnla.results import LowRank
from rnla.sketch import Gaussian, TestMatrix, as_sketch
from rnla.streaming.maps import LinearSketch, Sketches
from rnla.streaming.protocols import given_size, require_hermitian, require_room, slack_of

__all__ = ["HermitianSketch", "TwoSided"]


def _sizes(
    k: int | None, basis: int | None, columns: int, short: int, rank: int, dtype: np.dtype[Any], storage: int | None
) -> tuple[int, int]:
    """Return samples and basis; a sample holds `columns` numbers."""
    if storage is not None:
        if k is not None:
            raise InputError("storage= and k= contradict each other: the sizes follow from the storage")
        samples = storage // columns
        require_room(samples, rank, storage, rank * columns)
    else:
        samples = 4 * rank + slack_of(dtype) if k is None else given_size("k", k, rank)
    samples = min(samples, short)
    kept = max(rank, samples // 2 if samples < short else samples) if basis is None else basis
    kept = given_size("basis", kept, rank)
    if kept > samples:
        raise InputError(f"basis={kept} must be at most k={samples}")
    return samples, kept


def _leading(panel: Any, count: int) -> Any:
    """Return the leading left singular vectors of a tall panel (S2)."""
    q, r = CholeskyQR2().factor(panel)
    return q @ svd(r)[0][:, :count]


def _core(g1: Any, h1: Any, g2: Any, h2: Any) -> Any:
    """Return the B that fits B G1 = H1 and B^H G2 = H2 best (S3)."""
    xp = namespace_of(g1)
    w1, s1, t1 = svd(g1)
    w2, s2, t2 = svd(g2)
    k1 = adjoint(w2) @ h1 @ adjoint(t1)
    k2 = adjoint(w1) @ h2 @ adjoint(t2)
    right, left = s1[None, :], s2[:, None]
    weight = right * right + left * left
    weight = xp.where(weight > 0, weight, xp.ones_like(weight))
    inner = k1 * cast(right, k1.dtype) + cast(left, k1.dtype) * adjoint(k2)
    return w2 @ (inner / cast(weight, k1.dtype)) @ adjoint(w1)


@dataclasses.dataclass(frozen=True, slots=True)
class TwoSided:
    """One pass with samples of the range and of the corange, and the core that fits both.

    Parameters
    ----------
    k : int, optional
        Samples on each side; by default 4 rank + 1 (4 rank for complex data).
    basis : int, optional
        Singular vectors of the samples that are kept; by default half of k.
    sketch : TestMatrix or str

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.outer(np.arange(1.0, 31.0), np.ones(20))
    >>> run = rnla.stream(A.shape, 1, method=TwoSided(), rng=0).update(A)
    >>> bool(np.allclose(run.finish().as_operator().to_array(), A))
    True
    """

    structure: ClassVar[str] = "general"

    k: int | None = None
    basis: int | None = None
    sketch: TestMatrix = Gaussian()

    def __post_init__(self) -> None:
        object.__setattr__(self, "sketch", as_sketch(self.sketch))

    def sized(self, shape: tuple[int, int], rank: int, dtype: np.dtype[Any], storage: int | None) -> TwoSided:
        """Return the method with k and basis set."""
        k, basis = _sizes(self.k, self.basis, sum(shape), min(shape), rank, dtype, storage)
        return dataclasses.replace(self, k=k, basis=basis)

    def layout(self) -> tuple[LinearSketch, ...]:
        """Return the two sketches (S1)."""
        assert self.k is not None
        return LinearSketch("Y", "range", self.k, self.sketch), LinearSketch("X", "corange", self.k, self.sketch)

    def compress(self, sketches: Sketches) -> tuple[LowRank, tuple[str, ...]]:
        """Return Q B P^H from the sketches."""
        assert self.basis is not None
        y, x = sketches["Y"], sketches["X"]
        q, p = _leading(y, self.basis), _leading(x, self.basis)
        g1 = adjoint(sketches.map_adjoint_times("Y", "columns", p))
        g2 = adjoint(sketches.map_adjoint_times("X", "rows", q))
        return LowRank(q, _core(g1, adjoint(q) @ y, g2, adjoint(p) @ x), p), ()


@dataclasses.dataclass(frozen=True, slots=True)
class HermitianSketch:
    """One pass over a Hermitian matrix, definite or not, with samples of its range alone.

    Parameters
    ----------
    k : int, optional
        Samples; by default 4 rank + 1 (4 rank for complex data).
    basis : int, optional
        Singular vectors of the samples that are kept; by default half of k.
    sketch : TestMatrix or str

    Examples
    --------
    >>> import numpy as np, rnla
    >>> v = np.arange(1.0, 31.0)
    >>> run = rnla.stream((30, 30), 1, method=HermitianSketch(), rng=0).update(-np.outer(v, v))
    >>> bool(np.allclose(run.finish().as_operator().to_array(), -np.outer(v, v)))
    True
    """

    structure: ClassVar[str] = "hermitian"

    k: int | None = None
    basis: int | None = None
    sketch: TestMatrix = Gaussian()

    def __post_init__(self) -> None:
        object.__setattr__(self, "sketch", as_sketch(self.sketch))

    def sized(self, shape: tuple[int, int], rank: int, dtype: np.dtype[Any], storage: int | None) -> HermitianSketch:
        """Return the method with k and basis set."""
        k, basis = _sizes(self.k, self.basis, shape[0], min(shape), rank, dtype, storage)
        return dataclasses.replace(self, k=k, basis=basis)

    def layout(self) -> tuple[LinearSketch, ...]:
        """Return the one sketch (S1)."""
        assert self.k is not None
        return (LinearSketch("Y", "range", self.k, self.sketch),)

    def compress(self, sketches: Sketches) -> tuple[LowRank, tuple[str, ...]]:
        """Return Q B Q^H, B Hermitian, from the sketch."""
        assert self.basis is not None
        y = sketches["Y"]
        q = _leading(y, self.basis)
        both = sketches.map_adjoint_times("Y", "columns", namespace_of(y).concat([q, y], axis=1))  # one draw of Omega
        require_hermitian(both[:, self.basis :], "HermitianSketch")
        g, h = adjoint(both[:, : self.basis]), adjoint(q) @ y
        core = _core(g, h, g, h)
        return LowRank(q, (core + adjoint(core)) / 2, q), ()
