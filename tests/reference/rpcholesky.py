"""Randomly pivoted Cholesky of Chen, Epperly, Tropp and Webber (2025), transcribed: one pivot at a time, plain NumPy.

Nothing here is imported from the library.  The uniform numbers that choose the pivots are passed in.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def partial_cholesky(A: Array, pivots: list[int]) -> tuple[Array, Array]:
    """Return F and the residual diagonal after elimination with the given pivots, in order."""
    n = len(A)
    F = np.zeros((n, len(pivots)), dtype=A.dtype)
    d = np.diagonal(A).real.astype(float).copy()
    for i, s in enumerate(pivots):
        g = A[:, s] - F[:, :i] @ F[s, :i].conj()
        F[:, i] = g / np.sqrt(g[s].real)
        d = np.maximum(d - np.abs(F[:, i]) ** 2, 0)
        d[s] = 0
    return F, d


def rpcholesky(A: Array, k: int, uniforms: Array) -> tuple[Array, list[int]]:
    """Return F and the pivots: pivot i is drawn with probability proportional to the residual diagonal."""
    pivots: list[int] = []
    for i in range(k):
        d = partial_cholesky(A, pivots)[1]
        pivots.append(int(np.searchsorted(np.cumsum(d), uniforms[i] * d.sum(), side="right")))
    return partial_cholesky(A, pivots)[0], pivots


def pivot_probabilities(A: Array, k: int) -> dict[tuple[int, ...], float]:
    """Return the probability of every sequence of k pivots."""
    found = {}
    for pivots in itertools.permutations(range(len(A)), k):
        probability = 1.0
        for i, s in enumerate(pivots):
            d = partial_cholesky(A, list(pivots[:i]))[1]
            probability *= d[s] / d.sum()
        found[pivots] = probability
    return found
