"""CholeskyQR2 with a checked fallback [yamamoto2015]_, [fukaya2020]_.

Problem: QR of a panel at the speed of matrix products.

S1. Divide the columns by powers of two near their norms (exact; a Cholesky factor is as good as
    the scaled Gram matrix allows, so graded columns cost nothing).
S2. G = X^H X; R1 = chol(G)^H; Q1 = X R1^{-1}.
S3. G2 = Q1^H Q1; if norm(G2 - I)_F is not below 1/10, or a factor failed: fall back.
S4. R2 = chol(G2)^H; Q = Q1 R2^{-1}; R = R2 R1 diag(powers).

Cost: 8 p k^2 flops, all in products; two passes over the panel to form Gram matrices.
Guarantee: past S3 the condition number of Q1 is at most 1.2, so the second round leaves
norm(Q^H Q - I) at a modest multiple of eps (the theorem of [yamamoto2015]_ needs cond(X) <= eps^-1/2 / 8
only to ensure what S3 checks).  Gram matrices are summed over fixed row tiles, the sums
in float64.

Differences from the paper: the column scaling of S1; the check of S3 instead of an assumption; R is
inverted (k by k, triangular) instead of solved with, which leaves norm(X - Q R) at up to 8 eps where
Householder QR leaves 2 (measured at condition numbers near 1e7); Gram matrices of single precision
panels are summed and factored in float64, though each tile's product is rounded in single precision.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._kernels.products import product
from rnla._kernels.threads import even_ranges, run
from rnla._xp.linalg import adjoint, cast, cholesky, column_norms, eps_of, frobenius, host_values, inverse, is_complex
from rnla._xp.namespace import device_of, from_host, has_float64, is_concrete, is_numpy, namespace_of
from rnla.config import get_config
from rnla.orth.protocols import Orthonormalizer
from rnla.orth.tsqr import TSQR

__all__ = ["CholeskyQR2", "gram"]

_TILE_ROWS = 4096
_CLOSE_TO_IDENTITY = 0.1


def gram(x: Any) -> Any:
    """Return X^H X, summed over fixed row tiles in float64 where the device has it."""
    xp = namespace_of(x)
    rows = int(x.shape[0])
    wide = _wide_dtype(x)
    parts = even_ranges(rows, max(1, rows // _TILE_ROWS))
    if is_numpy(xp):
        groups = even_ranges(len(parts), 16)

        def task(group: slice) -> Any:
            total = None
            for part in parts[group]:
                tile = x[part]
                term = (tile.conj().T @ tile).astype(wide, copy=False)
                total = term if total is None else total + term
            return total

        sums = run(task, groups, get_config().threads if rows * x.shape[1] > 100_000 else 1)
    else:
        sums = [cast(adjoint(x[part, :]) @ x[part, :], wide) for part in parts]
    total = sums[0]
    for term in sums[1:]:
        total = total + term
    return total


def _wide_dtype(x: Any) -> Any:
    xp = namespace_of(x)
    if not has_float64(xp, device_of(x)):
        return x.dtype
    return xp.complex128 if is_complex(x.dtype) else xp.float64


def _times(x: Any, small: Any) -> Any:
    small = cast(small, x.dtype)
    if is_numpy(namespace_of(x)):
        return product(x, small, x.dtype, get_config().threads)
    return x @ small


@dataclasses.dataclass(frozen=True, slots=True)
class CholeskyQR2:
    """CholeskyQR2, checked, with a fallback for panels that are too ill-conditioned.

    Parameters
    ----------
    fallback : Orthonormalizer
        Used where the check fails.

    Examples
    --------
    >>> import numpy as np
    >>> Q, R = CholeskyQR2().factor(np.vander(np.linspace(0, 1, 50), 4))
    >>> bool(np.linalg.norm(Q.T @ Q - np.eye(4)) < 1e-14)
    True
    """

    fallback: Orthonormalizer = TSQR()

    def factor(self, x: Any) -> tuple[Any, Any]:
        """Return (Q, R)."""
        if math.prod(x.shape) == 0:
            return self.fallback.factor(x)
        attempt = self._attempt(x)
        return self.fallback.factor(x) if attempt is None else attempt

    def _attempt(self, x: Any) -> tuple[Any, Any] | None:
        xp = namespace_of(x)
        if is_concrete(x):
            norms = host_values(column_norms(x))
            if not np.all(np.isfinite(norms)) or not np.all(norms > 0):
                return None
            limit = 120 if eps_of(x.dtype) > 1e-10 else 1000  # both the powers and their inverses are normal numbers
            powers = np.exp2(np.clip(np.round(np.log2(norms)), -limit, limit))
        else:
            powers = np.ones(int(x.shape[1]))
        real = xp.float32 if "float32" in str(x.dtype) or "complex64" in str(x.dtype) else xp.float64
        scales = cast(from_host(powers, xp, device_of(x)), real)
        inverse_scales = cast(from_host(1.0 / powers, xp, device_of(x)), real)
        scaled = x * cast(inverse_scales, x.dtype)[None, :]  # S1
        first = self._round(scaled, check=False)  # S2
        if first is None:
            return None
        second = self._round(first[0], check=True)  # S3, S4
        if second is None:
            return None
        r = cast(second[1] @ first[1], x.dtype) * cast(scales, x.dtype)[None, :]
        return second[0], r

    @staticmethod
    def _round(x: Any, *, check: bool) -> tuple[Any, Any] | None:
        g = gram(x)
        if check and is_concrete(g):
            xp = namespace_of(g)
            eye = xp.eye(int(g.shape[0]), dtype=g.dtype, device=device_of(g)) if not is_numpy(xp) else np.eye(len(g))
            if not frobenius(g - eye) < _CLOSE_TO_IDENTITY:
                return None
        lower = cholesky(g)
        if lower is None:
            return None
        upper = adjoint(lower)
        back = inverse(upper)
        return None if back is None else (_times(x, back), upper)
