"""Randomized Cholesky QR: a sketch conditions the panel, one Cholesky factor finishes [higgins2023]_.

Problem: QR of a tall panel, however ill-conditioned, at the speed of matrix products.

S1. Y = S X, S a sketch of d = 4 k rows.
S2. R0 = triangle of the QR factorization of Y with its columns divided by powers of two near their norms (exact),
    times these powers.
S3. X0 = X R0^{-1} by substitution, whose condition number is at most about 3, and G = X0^H X0 in one reading.
S4. R1 = chol(G)^H; if its condition number is not below 10: fall back.
S5. Q = X0 R1^{-1} in place, R = R1 R0.

Cost: one sketch, p k^2 flops in substitutions and 4 p k^2 in products, or half of these for k large, as the kernels
leave out what is zero or known by symmetry; one Gram matrix where CholeskyQR2 takes two; three readings of the panel.
Guarantee: if S preserves norms in the range of X within a factor of 2, which a sketch of 4 k rows does but with a
probability that falls exponentially in k, norm(Q^H Q - I) is a modest multiple of eps for every X of full numerical
rank (the theorem of the paper); S4 checks what that rests on, and a panel that fails goes to the fallback.

Differences from the paper: (1) one sketch, not two in a row; (2) the column scaling of S2 and the check of S4; (3) a
panel with fewer than 8 k rows, with a zero column or of deficient rank is left to the fallback.

When: panels whose condition number is above about 1e7 (single precision 1e3), where CholeskyQR2 must fall back.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._kernels import panels
from rnla._xp.linalg import adjoint, cast, cholesky, column_norms, eps_of, host_values, inverse_of_triangle, qr
from rnla._xp.namespace import device_of, from_host, is_concrete, namespace_of
from rnla.checks import check_whole
from rnla.config import get_config
from rnla.orth.cholesky_qr import gram, in_range, powers_near
from rnla.orth.panel_sketch import panel_sketch, times_inverse
from rnla.orth.protocols import Orthonormalizer
from rnla.orth.tsqr import TSQR
from rnla.rng import Key
from rnla.sketch.protocols import TestMatrix
from rnla.sketch.sparse_stack import SparseStack

__all__ = ["RandCholeskyQR"]

_CONDITION = 10.0
_TALL = 8


@dataclasses.dataclass(frozen=True, slots=True)
class RandCholeskyQR:
    """Randomized Cholesky QR, checked, with a fallback.

    Parameters
    ----------
    sketch : TestMatrix
        What the panel is conditioned by.
    seed : int
        Of the sketch: the same panel gives the same bits.
    fallback : Orthonormalizer
        Used where the check fails.

    Examples
    --------
    >>> import numpy as np
    >>> Q, R = RandCholeskyQR().factor(np.vander(np.linspace(0, 1, 500), 12))
    >>> bool(np.linalg.norm(Q.T @ Q - np.eye(12)) < 1e-14)
    True
    """

    sketch: TestMatrix = SparseStack()
    seed: int = 0
    fallback: Orthonormalizer = TSQR()

    def __post_init__(self) -> None:
        check_whole("seed", self.seed)

    def factor(self, x: Any) -> tuple[Any, Any]:
        """Return (Q, R)."""
        p, k = int(x.shape[0]), int(x.shape[1])
        if k == 0 or p < _TALL * k or not is_concrete(x):
            return self.fallback.factor(x)
        attempt = self._attempt(x)
        return self.fallback.factor(x) if attempt is None else attempt

    def _attempt(self, x: Any) -> tuple[Any, Any] | None:
        sketched = self._sketched(x)  # S1
        norms = host_values(column_norms(sketched))
        if in_range(norms, x.dtype):
            return self._finish(x, sketched, norms)
        norms = host_values(column_norms(x))
        if not np.all(np.isfinite(norms)) or not np.all(norms > 0):
            return None
        powers = powers_near(norms, x.dtype)
        scaled = x * _vector(1 / powers, x)[None, :]
        found = self._finish(scaled, self._sketched(scaled), np.ones(len(powers)))
        return None if found is None else (found[0], found[1] * _vector(powers, x)[None, :])

    def _sketched(self, x: Any) -> Any:
        size = 4 * int(x.shape[1])
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            return panel_sketch(x, self.sketch, size, Key(self.seed).child("rand-cholesky-qr"))

    @staticmethod
    def _finish(x: Any, sketched: Any, norms: Any) -> tuple[Any, Any] | None:
        xp, k = namespace_of(x), int(x.shape[1])
        powers = powers_near(norms, x.dtype)
        r0 = qr(sketched * _vector(1 / powers, x)[None, :])[1]  # S2
        diagonal = host_values(xp.abs(xp.linalg.diagonal(r0)))
        if not diagonal.min() > 10 * eps_of(x.dtype) * math.sqrt(k) * diagonal.max():
            return None
        r0 = xp.triu(r0) * _vector(powers, x)[None, :]
        host = isinstance(x, np.ndarray)
        if host:
            q, g = panels.times_inverse(x, r0, get_config().threads)  # S3
        else:
            q = times_inverse(x, r0)
            g = gram(q)
        lower = cholesky(g)  # S4
        if lower is None:
            return None
        values = host_values(xp.linalg.eigvalsh(g))
        if not values[0] * _CONDITION**2 > values[-1]:
            return None
        r1 = adjoint(lower)
        back = inverse_of_triangle(r1)
        if back is None:
            return None
        if host:
            panels.times_triangle(q, back, get_config().threads, out=q, squared=False)  # S5
        else:
            q = q @ cast(back, x.dtype)
        return q, cast(xp.triu(r1 @ cast(r0, r1.dtype)), x.dtype)


def _vector(values: Any, like: Any) -> Any:
    """Return real numbers of the host as an array that multiplies another one in its dtype."""
    xp = namespace_of(like)
    real = xp.float32 if eps_of(like.dtype) > 1e-10 else xp.float64
    return cast(cast(from_host(values, xp, device_of(like)), real), like.dtype)
