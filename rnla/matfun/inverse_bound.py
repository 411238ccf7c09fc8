"""A bound on the norm of an inverse, from solves."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rnla.matfun.anchor import probed
from rnla.matfun.norms import lanczos_norm
from rnla.rng import Key

__all__ = ["inverse_bound"]


def inverse_bound(
    solve: Callable[[Any], Any], back: Callable[[Any], Any], missed: float, root: Any, like: Any, shift: float, key: Key
) -> float:
    """Return a bound on norm(B^{-1}) from solves with B + shift I; inf where B may be singular.

    Solves that many changes went through may have lost all digits of the smallest eigenvalues.  With Y what they make
    of I, F = (B + shift I) Y - I is measured, and norm((B + shift I)^{-1}) <= norm(Y) / (1 - norm(F)).  The two
    measurements fail with probability `FAILURE` each.

    Parameters
    ----------
    solve : callable
        X -> Y X.
    back : callable
        X -> (C + shift I) X for a C near B.
    missed : float
        Bound on norm(B - C).
    root : Root
        Of the same size, dtype, library and device.
    like : array
        A panel of that kind.
    shift : float
    key : Key
    """
    norm = lanczos_norm(root, solve, key)[1]
    wrong = probed(lambda x: back(solve(x)) - x, like, key.child("solved")) + missed * norm
    least = (1 - wrong) / norm - shift
    return 1 / least if least > 0 else math.inf
