"""Independent probes: the Frobenius error from products with a few normal columns.

For normal columns g_1 ... g_r independent of the residual R: mean norm(R g_i)^2 is an unbiased
estimate of norm(R)_F^2, with variance at most 2/(b r) of its square, b = 1 for real and 2 for
complex columns.  It falls below a share a < 1 of norm(R)_F^2 with probability at most
(a e^(1-a))^(b r / 2), and exceeds c > 1 times it with at most (c e^(1-c))^(b r / 2):
Chernoff's bound for sums of squares of normals, as used for sketched errors in [tropp2023]_.

The probes may ride in a product that is made anyway.  There is no cancellation: the estimate is
good down to the rounding level of the products.
"""

from __future__ import annotations

import math
from typing import Any

from rnla._xp.linalg import adjoint, frobenius, is_complex

__all__ = ["PROBES", "PROBES_WITHOUT_NORM", "lower_share", "probe_residual", "upper_share"]

PROBES = 10
"""Columns used where the norm of A is known: the bound is at most 4 times the estimate (real data)."""
PROBES_WITHOUT_NORM = 30
"""Columns used where a tolerance hangs on them alone, without the Frobenius identity: at most 1.9 times."""


def lower_share(columns: int, failure: float, *, complex_columns: bool) -> float:
    """Return a so that the estimate of a squared norm falls below a times it with at most this probability."""
    target = math.log(failure) * 2 / (columns * (2 if complex_columns else 1))
    low, high = 1e-300, 1.0
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if math.log(middle) + 1 - middle < target else (low, middle)
    return low


def upper_share(columns: int, failure: float, *, complex_columns: bool) -> float:
    """Return c so that the estimate of a squared norm exceeds c times it with at most this probability."""
    target = math.log(failure) * 2 / (columns * (2 if complex_columns else 1))
    low, high = 1.0, 2.0
    while math.log(high) + 1 - high > target:
        high *= 2.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if math.log(middle) + 1 - middle < target else (middle, high)
    return high


def probe_residual(basis: Any, image: Any, probes: Any, probed: Any) -> tuple[float, float]:
    """Return the estimate of the Frobenius norm of A - Y X^H, and its standard error.

    Parameters
    ----------
    basis, image : array
        X and Y = A X.
    probes, probed : array
        Normal columns G independent of X, and A G.
    """
    rest = probed - image @ (adjoint(basis) @ probes)
    count = int(probes.shape[1])
    value = frobenius(rest) / math.sqrt(count)
    degrees = count * (2 if is_complex(probes.dtype) else 1)
    # Variance of the squared estimate is at most 2/degrees of its square; half of that for the root.
    return value, value * math.sqrt(0.5 / degrees)
