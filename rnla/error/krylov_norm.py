"""The spectral norm between two bounds by block Lanczos from random starts [kuczynski1992]_.

Problem: lower <= norm(A) <= upper, upper failing with a stated probability, in as few products as possible.

S1. b independent normal columns G; an orthonormal basis Q of the Krylov space of A^H A and G with k blocks.
S2. lower = s_1(A Q).
S3. upper = lower / sqrt(1 - e), with e from k, b and the failure probability.

The bound, for one real column g in dimension n.  Let t be the largest eigenvalue of A^H A, and suppose
x = s_1(A Q)^2 < (1 - e) t.  Every polynomial p of degree k - 1 has p(A^H A) g in the space, so with b_i the
coefficients of g in the eigenvectors, sum (t_i - (1 - e) t) p(t_i)^2 b_i^2 < 0, that is
e p(1)^2 b_1^2 < sum over t_i < (1 - e) t of ((1 - e) - t_i / t) p(t_i / t)^2 b_i^2.  Take p from the odd Chebyshev
polynomial: y P(y^2) = T_{2k-1}(y), p(z) = P((1 - e - z) / (1 - e)).  On [0, 1 - e] the right-hand weights are at most
1 - e, and at 1, where y = i sqrt(e / (1 - e)), e p(1)^2 = (1 - e) sinh((2k - 1) a)^2 with a = artanh(sqrt(e)).
So b_1^2 / norm(b)^2 < 1 / sinh((2k - 1) a)^2, which has probability at most sqrt(2 n / pi) / sinh((2k - 1) a) for a
direction uniform on the sphere, and n / sinh(...)^2 for a complex one.  The b columns fail independently, and the block
space holds each of theirs.

Cost: 2k - 1 products of b columns, k passes where the normal product is fused, O(n (k b)^2) flops besides.
Guarantee: as above; S2 always, up to rounding, which is added to both sides.
Differences from the paper: its constant 1.648 exp(-sqrt(e) (2k - 1)) is replaced by the sharper form above; blocks.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._xp.linalg import eps_of, host_values, is_complex, svd
from rnla._xp.namespace import from_host
from rnla.operators.algebra import Adjoint
from rnla.operators.ledger import Ledger
from rnla.orth import CholeskyQR2
from rnla.orth.extend import orthonormalize_against
from rnla.rng import Key

__all__ = ["krylov_norm", "krylov_ratio", "krylov_steps"]

BLOCK = 4
"""Independent starts: the failure probability of one is that of all to this power."""


def _target(size: int, failure: float, block: int, complex_columns: bool) -> float:
    """Return what sinh((2k - 1) a) must reach."""
    one = failure ** (1 / block)
    return math.sqrt(size / one) if complex_columns else math.sqrt(2 * size / math.pi) / one


def krylov_steps(size: int, failure: float, ratio: float, *, block: int = BLOCK, complex_columns: bool) -> int:
    """Return the blocks that make upper <= ratio * lower in a space of this dimension.

    Examples
    --------
    >>> krylov_steps(1_000_000, 0.01, 1.1, complex_columns=False)
    11
    """
    a = math.atanh(math.sqrt(1 - ratio**-2))
    return max(1, math.ceil((math.asinh(_target(size, failure, block, complex_columns)) / a + 1) / 2))


def krylov_ratio(size: int, failure: float, steps: int, *, block: int = BLOCK, complex_columns: bool) -> float:
    """Return upper / lower after so many blocks: 1 / sqrt(1 - e) with e = tanh(a)^2 is cosh(a)."""
    a = math.asinh(_target(size, failure, block, complex_columns)) / (2 * steps - 1)
    return math.cosh(a) if a < 700 else math.inf


def krylov_norm(op: Ledger, key: Key, *, failure: float, ratio: float) -> tuple[float, float, bool]:
    """Return lower and upper bound on the spectral norm of the scaled matrix, and whether they are exact.

    Parameters
    ----------
    op : Ledger
        Where its passes end early, the bounds are wider.
    key : Key
    failure : float
        Probability with which the upper bound may fail.
    ratio : float
        Of the bounds, above 1.
    """
    op.measure()
    view: Any = op if op.fused or op.shape[1] <= op.shape[0] else Adjoint(op)
    n = int(view.shape[1])
    complex_columns = is_complex(op.dtype)
    steps = krylov_steps(n, failure, ratio, complex_columns=complex_columns)
    if math.isfinite(op.spare_passes):
        steps = max(1, min(steps, int(op.spare_passes if op.fused else (op.spare_passes + 1) // 2)))
    if steps * BLOCK >= n:
        whole = view.matmat(from_host(np.eye(n, dtype=op.dtype), op.xp, op.device))
        found = float(host_values(svd(whole)[1]).max(initial=0.0))
        rounding = eps_of(op.dtype) * (10 + 3 * math.sqrt(max(op.shape)))
        return found * (1 - rounding), found * (1 + rounding), True
    basis, images = None, []
    block = key.child("krylov").normals(0, n, BLOCK, dtype=op.dtype, xp=op.xp, device=op.device)
    for step in range(steps):
        q = orthonormalize_against(basis, block, CholeskyQR2(), key.child("krylov", step))
        basis = q if basis is None else op.xp.concat([basis, q], axis=1)
        if step == steps - 1:
            images.append(view.matmat(q))
        else:
            block, image = view.normal_product(q)
            images.append(image)
    found = float(host_values(svd(op.xp.concat(images, axis=1))[1]).max(initial=0.0))  # S2
    rounding = eps_of(op.dtype) * (10 + 3 * math.sqrt(steps * BLOCK))
    wide = krylov_ratio(n, failure, steps, complex_columns=complex_columns)  # S3
    return found * (1 - rounding), found * wide * (1 + rounding), False
