"""Randomized Cholesky QR: a sketch conditions the panel, one Cholesky factor finishes [higgins2023]_.

Problem: QR of a tall panel, however ill-conditioned, at the speed of matrix products.

S1. Divide the columns by powers of two near their norms (exact).
S2. R0 = triangle of the QR factorization of S X, S a sketch of d = 4 k rows.
S3. X0 = X R0^{-1} by substitution, whose condition number is at most about 3.
S4. G = X0^H X0; R1 = chol(G)^H; if its condition number is not below 10: fall back.
S5. Q = X0 R1^{-1}, R = R1 R0 diag(powers).

Cost: 4 p k^2 flops in products and p k^2 in substitutions, one sketch; one Gram matrix where CholeskyQR2 takes two.
Guarantee: if S preserves norms in the range of X within a factor of 2, which a sketch of 4 k rows does but with a
probability that falls exponentially in k, norm(Q^H Q - I) is a modest multiple of eps for every X of full numerical
rank (the theorem of the paper); S4 checks what that rests on, and a panel that fails goes to the fallback.

Differences from the paper: (1) one sketch, not two in a row; (2) the column scaling of S1 and the check of S4; (3) a
panel with fewer than 8 k rows, with a zero column or of deficient rank is left to the fallback.

When: panels whose condition number is above about 1e7 (single precision 1e3), where CholeskyQR2 must fall back.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, cast, cholesky, column_norms, eps_of, host_values, qr, svd
from rnla._xp.namespace import device_of, from_host, is_concrete, namespace_of
from rnla.checks import check_whole
from rnla.orth.cholesky_qr import gram
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
        xp, k, eps = namespace_of(x), int(x.shape[1]), eps_of(x.dtype)
        norms = host_values(column_norms(x))
        if not np.all(np.isfinite(norms)) or not np.all(norms > 0):
            return None
        limit = 120 if eps > 1e-10 else 1000  # both the powers and their inverses are normal numbers
        powers = np.exp2(np.clip(np.round(np.log2(norms)), -limit, limit))
        real = xp.float32 if eps > 1e-10 else xp.float64
        scales, inverses = (
            cast(cast(from_host(values, xp, device_of(x)), real), x.dtype) for values in (powers, 1 / powers)
        )
        scaled = x * inverses[None, :]  # S1
        r0 = qr(panel_sketch(scaled, self.sketch, 4 * k, Key(self.seed).child("rand-cholesky-qr")))[1]  # S2
        diagonal = host_values(xp.abs(xp.linalg.diagonal(r0)))
        if not diagonal.min() > 10 * eps * math.sqrt(k) * diagonal.max():
            return None
        x0 = times_inverse(scaled, r0)  # S3
        lower = cholesky(gram(x0))
        if lower is None:
            return None
        values = host_values(svd(lower)[1])
        if not values[-1] * _CONDITION > values[0]:  # S4
            return None
        r1 = cast(adjoint(lower), x.dtype)
        return times_inverse(x0, r1), xp.triu(r1 @ r0) * scales[None, :]  # S5
