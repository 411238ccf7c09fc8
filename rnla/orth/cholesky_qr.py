"""CholeskyQR2 with a checked fallback [yamamoto2015]_, [fukaya2020]_.

Problem: QR of a panel at the speed of matrix products.

S1. Divide the columns by powers of two near their norms (exact; a Cholesky factor is as good as
    the scaled Gram matrix allows, so graded columns cost nothing).
S2. G = X^H X; R1 = chol(G)^H; Q1 = X R1^{-1}.
S3. G2 = Q1^H Q1; if norm(G2 - I)_F is not below 1/10, or a factor failed: fall back.
S4. R2 = chol(G2)^H; Q = Q1 R2^{-1}; R = R2 R1 diag(powers).

Cost: 8 p k^2 flops, all in products, or half of that for k large, as the kernels leave out what is zero or known by
symmetry; three readings of the panel: the product of S2 and the Gram matrix of S3 share one, and S4 is done in place.
Guarantee: past S3 the condition number of Q1 is at most 1.2, so the second round leaves
norm(Q^H Q - I) at a modest multiple of eps (the theorem of [yamamoto2015]_ needs cond(X) <= eps^-1/2 / 8
only to ensure what S3 checks).  Gram matrices are summed over fixed row tiles, the sums
in float64.

Differences from the paper: the column scaling of S1; the check of S3 instead of an assumption; R is
inverted (k by k, triangular) instead of solved with, which leaves norm(X - Q R) at up to 8 eps where
Householder QR leaves 2 (measured at condition numbers near 1e7); Gram matrices of single precision
panels are summed and factored in float64, though each tile's product is rounded in single precision.
On the host no scaled copy is made where the squares of all norms are in the range of the numbers: the powers of two
are divided out of the Gram matrix and out of the inverse triangle, which gives the same.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._kernels import panels
from rnla._kernels.threads import even_ranges
from rnla._xp.linalg import (
    adjoint,
    cast,
    column_norms,
    eps_of,
    frobenius,
    host_values,
    is_complex,
    root_and_inverse,
)
from rnla._xp.namespace import device_of, from_host, has_float64, is_concrete, is_numpy, namespace_of
from rnla.config import get_config
from rnla.orth.protocols import Orthonormalizer
from rnla.orth.tsqr import TSQR

__all__ = ["CholeskyQR2", "gram", "in_range", "powers_near"]

_CLOSE_TO_IDENTITY = 0.1
_TILE_ROWS = 4096


def gram(x: Any) -> Any:
    """Return X^H X, summed over fixed row tiles in float64 where the device has it."""
    if isinstance(x, np.ndarray):
        return panels.gram(x, get_config().threads)
    rows, wide = int(x.shape[0]), _wide_dtype(x)
    total = None
    for part in even_ranges(rows, max(1, rows // _TILE_ROWS)):
        term = cast(adjoint(x[part, :]) @ x[part, :], wide)
        total = term if total is None else total + term
    return total


def _wide_dtype(x: Any) -> Any:
    xp = namespace_of(x)
    if not has_float64(xp, device_of(x)):
        return x.dtype
    return xp.complex128 if is_complex(x.dtype) else xp.float64


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
        attempt = _in_place(x) if isinstance(x, np.ndarray) else None
        attempt = _attempt(x) if attempt is None else attempt
        return self.fallback.factor(x) if attempt is None else attempt


def powers_near(norms: Any, dtype: Any) -> Any:
    """Return the powers of two nearest to norms that they and their inverses are normal numbers."""
    limit = 120 if eps_of(dtype) > 1e-10 else 1000
    return np.exp2(np.clip(np.round(np.log2(norms)), -limit, limit))


def in_range(norms: Any, dtype: Any) -> bool:
    """Whether norms are such that neither products of the columns nor those with their inverses leave the range."""
    low, high = (1e-10, 1e10) if eps_of(dtype) > 1e-10 else (1e-100, 1e100)
    return bool(np.all((norms > low) & (norms < high)))


def _in_place(x: Any) -> tuple[Any, Any] | None:
    """Factor a panel of the host without a scaled copy: S1 is done to its Gram matrix and to the inverse triangle.

    As the scales are powers of two, the results are those of the scaled panel to the bit, as long as no square leaves
    the range of the numbers; then, and where a check fails, None.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        g = gram(x)
        norms = np.sqrt(np.diagonal(g).real)
    return _rounds(x, g, powers_near(norms, x.dtype)) if in_range(norms, x.dtype) else None


def _attempt(x: Any) -> tuple[Any, Any] | None:
    xp = namespace_of(x)
    if is_concrete(x):
        norms = host_values(column_norms(x))
        if not np.all(np.isfinite(norms)) or not np.all(norms > 0):
            return None
        powers = powers_near(norms, x.dtype)
        if is_numpy(xp) and in_range(norms, x.dtype):
            return None  # has been tried
    else:
        powers = np.ones(int(x.shape[1]))
    real = xp.float32 if "float32" in str(x.dtype) or "complex64" in str(x.dtype) else xp.float64
    scales = cast(from_host(powers, xp, device_of(x)), real)
    inverse_scales = cast(from_host(1.0 / powers, xp, device_of(x)), real)
    scaled = x * cast(inverse_scales, x.dtype)[None, :]  # S1
    found = _rounds(scaled, gram(scaled), None)
    return None if found is None else (found[0], found[1] * cast(scales, x.dtype)[None, :])


def _rounds(x: Any, g: Any, powers: Any) -> tuple[Any, Any] | None:
    """Do S2 to S4 to a panel with the Gram matrix `g`; its columns are divided by the powers, unless these are None."""
    first = _triangle(g if powers is None else g / powers[:, None] / powers, check=False)
    if first is None:
        return None
    threads = get_config().threads
    host = isinstance(x, np.ndarray)
    if host:
        q, g = panels.times_triangle(x, first[1] if powers is None else first[1] / powers[:, None], threads)  # S2
    else:
        q = x @ cast(first[1], x.dtype)
        g = gram(q)
    second = _triangle(g, check=True)  # S3
    if second is None:
        return None
    if host:
        panels.times_triangle(q, second[1], threads, out=q, squared=False)  # S4
    else:
        q = q @ cast(second[1], x.dtype)
    r = second[0] @ first[0]
    return q, cast(r if powers is None else r * powers, x.dtype)


def _triangle(g: Any, *, check: bool) -> tuple[Any, Any] | None:
    """Return the upper Cholesky factor of a Gram matrix and its inverse, or None where they cannot be had."""
    if check and is_concrete(g):
        xp = namespace_of(g)
        eye = np.eye(len(g)) if is_numpy(xp) else xp.eye(int(g.shape[0]), dtype=g.dtype, device=device_of(g))
        if not frobenius(g - eye) < _CLOSE_TO_IDENTITY:
            return None
    return root_and_inverse(g)
