"""Where the shifted solves of an alternating-direction iteration are made.

Adaptive: on the subspace C of the residual and of the last few directions, the eigenvalues theta_i^2 of
(C^H S C)^2 + sign r r^H, r = C^H R, stand for those of A + sign D D^H; the theta_i whose eigenvector holds most of the
residual, weighted by 1 / theta_i, is the next shift; parts that are small enough already are left alone, because where
A - D D^H is singular such a part has its theta, and its size, from rounding.  Real and positive, because everything is
Hermitian.

Elliptic: the optimal shifts for a spectrum that fills [lo, hi] [wachspress1962]_, J of them,
s_i = hi dn((2i - 1) K / (2J) | 1 - (lo / hi)^2).
"""

from __future__ import annotations

import math

import numpy as np

from rnla.errors import InputError
from rnla.matfun.panels import Small

__all__ = ["adaptive_shift", "elliptic_shifts", "steps_needed"]

_NOTHING = 1e-7  # of S, of which B has the square: what is rounding in B


def adaptive_shift(S: Small, R: Small, recent: list[Small], sign: int, enough: float = 0.0) -> float:
    """Return the next shift for the residual R, in coordinates of a basis on which S is projected.

    `enough` is what norm(R)^2 may be in the end.
    """
    c = np.linalg.qr(np.concatenate([R, *recent], axis=1))[0]
    s, r = c.conj().T @ S @ c, c.conj().T @ R
    squares, v = np.linalg.eigh(s @ s + sign * (r @ r.conj().T))
    theta, size = np.sqrt(np.abs(squares)), float(np.linalg.norm(s, 2))
    if not float(theta.max()) > _NOTHING * size:  # all of A is taken away: then what is left of S is what to solve with
        theta, v = np.full(len(theta), size), np.eye(len(theta))
    theta = np.maximum(theta, np.finfo(float).eps * float(theta.max()))
    held = (np.abs(v.conj().T @ r) ** 2).sum(axis=1)
    weight, matters = held / theta, held > enough / (8 * len(held))
    return float(theta[np.argmax(weight * matters if matters.any() else weight)])


def elliptic_shifts(lo: float, hi: float, count: int) -> tuple[float, ...]:
    """Return the shifts that are optimal for a spectrum in [lo, hi], from the largest.

    Examples
    --------
    >>> [round(s, 4) for s in elliptic_shifts(1.0, 100.0, 3)]
    [64.8781, 10.0, 1.5414]
    """
    from scipy.special import ellipj, ellipkm1

    if not 0 < lo <= hi < math.inf:
        raise InputError(f"elliptic shifts need bounds 0 < lo <= hi of the root's spectrum, got ({lo:.3g}, {hi:.3g})")
    share = (lo / hi) ** 2
    period = float(ellipkm1(share))  # K(1 - share), without the cancellation
    places = (2 * np.arange(1, (count + 1) // 2 + 1) - 1) * period / (2 * count)
    large = [float(hi * x) for x in ellipj(places, 1 - share)[2]]
    # dn(u) dn(K - u) = lo / hi: the small ones are reflections, because dn near K is lost in the rounding of 1 - share.
    small = [lo * hi / s for s in large[: count // 2][::-1]]
    return (*large, *small)


def steps_needed(lo: float, hi: float, tol: float) -> int:
    """Return the steps after which the bound 4 exp(-pi^2 j / log(4 hi / lo)) is below tol.

    Examples
    --------
    >>> steps_needed(1.0, 100.0, 1e-12)
    18
    """
    return max(1, math.ceil(math.log(4 * hi / lo) * math.log(4 / tol) / math.pi**2))
