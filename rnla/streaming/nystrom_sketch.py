"""One pass over a positive semidefinite matrix: the Nystrom approximation of fixed rank [tropp2017b]_.

Problem: a low-rank approximation of a psd matrix that is seen once, from one sketch.
Equation: A ~ (A Omega) (Omega^H A Omega)^+ (A Omega)^H, cut to its leading eigenvalues; 0 <= approximation <= A.

S1. Keep Y = A Omega (n, k) under linear updates.
S2. Omega = O R by QR; Y <- Y R^{-1} = A O: the approximation does not depend on the basis, and O is the best one.
S3. nu = sqrt(n) eps norm(Y)_F; Y <- Y + nu O; O^H Y = L L^H.
S4. F = Y L^{-H} = U S W^H; eigenvalues max(0, S^2 - nu), vectors U, cut to the rank.

Cost: state k n numbers; an update 2 k flops for each entry; finish O(k^2 n) flops, and Omega drawn once more
(n k numbers).

Guarantee (Gaussian, alpha = 1 for real, 0 for complex data; nuclear norm): for the cut to rank r < k - alpha,
E norm(A - A_r)_* <= (1 + r/(k - r - alpha)) sum_{j > r} lambda_j, Theorem 4.1 of [tropp2017b]_.
Checked in tests/streaming/test_guarantees.py.

Differences from the paper: 1. Omega is made orthonormal here, not before the stream (it is not kept).  2. The shift
takes the Frobenius norm.  3. Where Cholesky still fails, the shift grows tenfold, up to sqrt(eps) of the norm; past
that the matrix is refused as not psd.

Use it for kernel and covariance matrices that arrive as sums (A <- A + x x^H); not for indefinite ones, which
`HermitianSketch` takes.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import numpy as np

from rnla._xp.linalg import adjoint, cast, cholesky, eps_of, frobenius, host_values, qr, svd
from rnla._xp.namespace import device_of, from_host, namespace_of
from rnla.errors import InputError
from rnla.orth import CholeskyQR2
from rnla.results import LowRank
from rnla.sketch import Gaussian, TestMatrix, as_sketch
from rnla.streaming.maps import LinearSketch, Sketches
from rnla.streaming.protocols import given_size, require_hermitian, require_room, slack_of

__all__ = ["NystromSketch"]


@dataclasses.dataclass(frozen=True, slots=True)
class NystromSketch:
    """One pass over a positive semidefinite matrix with one sketch.

    Parameters
    ----------
    k : int, optional
        Columns of the sketch; by default 2 rank + 1 (2 rank for complex data).
    sketch : TestMatrix or str

    Examples
    --------
    >>> import numpy as np, rnla
    >>> run = rnla.stream((50, 50), 2, method=NystromSketch(), rng=0)
    >>> for x in np.eye(50)[:2]:
    ...     run = run.update((x[:, None], x[None, :]))
    >>> run.finish().s.round(6).tolist()
    [1.0, 1.0]
    """

    structure: ClassVar[str] = "psd"

    k: int | None = None
    sketch: TestMatrix = Gaussian()

    def __post_init__(self) -> None:
        object.__setattr__(self, "sketch", as_sketch(self.sketch))

    def sized(self, shape: tuple[int, int], rank: int, dtype: np.dtype[Any], storage: int | None) -> NystromSketch:
        """Return the method with k set."""
        n = shape[0]
        if storage is not None:
            if self.k is not None:
                raise InputError("storage= and k= contradict each other: the size follows from the storage")
            k = storage // n
            require_room(k, rank, storage, rank * n)
        else:
            k = 2 * rank + slack_of(dtype) if self.k is None else given_size("k", self.k, rank)
        return dataclasses.replace(self, k=min(k, n))

    def layout(self) -> tuple[LinearSketch, ...]:
        """Return the one sketch (S1)."""
        assert self.k is not None
        return (LinearSketch("Y", "range", self.k, self.sketch),)

    def compress(self, sketches: Sketches) -> tuple[LowRank, tuple[str, ...]]:
        """Return U diag(lambda) U^H from the sketch."""
        xp = namespace_of(sketches["Y"])
        basis, triangle = qr(sketches.whole_map("Y", "columns"))  # S2
        y = adjoint(xp.linalg.solve(adjoint(triangle), adjoint(sketches["Y"])))
        size, eps = frobenius(y), eps_of(y.dtype)
        if size == 0:
            return LowRank(basis, adjoint(basis) @ y, basis), ()
        inner = adjoint(basis) @ y
        require_hermitian(inner, "NystromSketch")
        lower, shift = None, math.sqrt(y.shape[0]) * eps * size
        while lower is None and shift <= max(math.sqrt(eps), 2 * math.sqrt(y.shape[0]) * eps) * size:
            shifted = y + shift * basis  # S3
            inner = adjoint(basis) @ shifted
            lower = cholesky((inner + adjoint(inner)) / 2)
            applied, shift = shift, 10 * shift
        if lower is None:
            raise InputError(
                "the streamed matrix has negative eigenvalues, so it is not positive semidefinite; use HermitianSketch"
            )
        f = adjoint(xp.linalg.solve(lower, adjoint(shifted)))  # S4
        q, r = CholeskyQR2().factor(f)
        u, s, _ = svd(r)
        values = np.maximum(host_values(s) ** 2 - applied, 0.0)
        core = cast(from_host(np.diag(values), xp, device_of(y)), y.dtype)
        return LowRank(q @ u, core, q @ u), ()
