"""Where the singular values of noise end: thresholds for a low-rank matrix plus white noise.

Model: A = L + sigma Z, Z m by n with independent entries of mean 0 and variance 1; b = min(m, n) / max(m, n),
N = max(m, n).

- The Marchenko-Pastur law [marchenko1967]_: as the sizes grow, the squared singular values of Z / sqrt(N) have the
  density sqrt((t_+ - t) (t - t_-)) / (2 pi b t) on [t_-, t_+], t_+- = (1 +- sqrt(b))^2; the largest of Z is near
  sqrt(m) + sqrt(n), and exceeds it by the fluctuation of Tracy and Widom [johnstone2001]_.
- Gavish and Donoho [gavish2014]_: keeping the values above lambda(b) sqrt(N) sigma has the least asymptotic mean square
  error among all hard thresholds, lambda(1) = 4 / sqrt(3); for unknown sigma, above omega(b) times the median value.

The median of the law comes from its distribution function by Gauss-Legendre quadrature: with t in the middle plus a
cosine, the integrand is smooth, also at b = 1.
"""

from __future__ import annotations

import functools
import math

import numpy as np

__all__ = ["hard_threshold", "marchenko_pastur_median", "noise_edge", "tracy_widom_edge"]

_TW1_99 = 2.0234  # 99 % point of the Tracy-Widom law of real matrices, Table 1 of [johnstone2001]; complex: lower
_ORDER = 200


def hard_threshold(beta: float) -> float:
    """Return lambda(beta), the optimal hard threshold in units of sqrt(N) sigma, 0 < beta <= 1.

    Examples
    --------
    >>> round(hard_threshold(1.0) * 3**0.5, 12)
    4.0
    """
    return math.sqrt(2 * (beta + 1) + 8 * beta / (beta + 1 + math.sqrt(beta**2 + 14 * beta + 1)))


@functools.lru_cache(maxsize=64)
def marchenko_pastur_median(beta: float) -> float:
    """Return the median of the Marchenko-Pastur law of aspect ratio beta, 0 < beta <= 1.

    Examples
    --------
    >>> round(hard_threshold(1.0) / marchenko_pastur_median(1.0) ** 0.5, 3)
    2.858
    """
    nodes, weights = np.polynomial.legendre.leggauss(_ORDER)
    middle, radius = 1 + beta, 2 * math.sqrt(beta)

    def below(angle: float) -> float:
        """Return the mass below t = middle - radius cos(angle)."""
        phi = angle * (nodes + 1) / 2
        t = middle - radius * np.cos(phi)
        # sin^2 / t is smooth, but 0 / 0 at the end where t_- = 0.
        with np.errstate(invalid="ignore", divide="ignore"):
            density = np.where(t > 0, radius**2 * np.sin(phi) ** 2 / (2 * math.pi * beta * t), 0.0)
        return float(np.sum(weights * density) * angle / 2)

    low, high = 0.0, math.pi
    for _ in range(80):
        half = (low + high) / 2
        low, high = (half, high) if below(half) < 0.5 else (low, half)
    return middle - radius * math.cos(low)


def noise_edge(m: int, n: int) -> float:
    """Return sqrt(m) + sqrt(n), near which the largest singular value of m by n white noise lies."""
    return math.sqrt(m) + math.sqrt(n)


def tracy_widom_edge(m: int, n: int) -> float:
    """Return what the largest singular value of m by n real white noise exceeds with probability near 1 percent.

    Examples
    --------
    >>> tracy_widom_edge(400, 100) > noise_edge(400, 100)
    True
    """
    if min(m, n) < 2:
        return noise_edge(m, n) + 3.0  # one direction: a chi variable, which exceeds its root by 3 rarely
    root = math.sqrt(m - 1) + math.sqrt(n)
    spread = root * (1 / math.sqrt(m - 1) + 1 / math.sqrt(n)) ** (1 / 3)
    return max(noise_edge(m, n), math.sqrt(root**2 + _TW1_99 * spread))
