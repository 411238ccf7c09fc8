"""The matrix of figures 7.2, 7.3 and 7.8: a single-layer potential, and Algorithm 4.2 run on it step by step.

The paper draws its two contours without printing them.  Those taken here, a star inside an ellipse, give singular
values at the levels that its figure shows: about 10^-5.3, 10^-9.2 and 10^-13.4 for the 26th, 51st and 76th.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from rnla.rng import Key

LEVELS = {26: -5.3, 51: -9.2, 76: -13.4}
"""Logarithms of singular values, by index, as in the paper's figure 7.2."""


def contours(nodes: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes on the inner and on the outer contour, each an array (nodes, 2)."""
    angle = 2 * np.pi * np.arange(nodes) / nodes
    radius = 1 + 0.2 * np.cos(5 * angle)
    inner = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    outer = np.column_stack([2.4 * np.cos(angle), 2.0 * np.sin(angle)])
    return inner, outer


def single_layer(nodes: int = 200) -> np.ndarray:
    """Return log|x_i - y_j| for x on the inner and y on the outer contour, scaled to spectral norm 1.

    The trapezoid rule gives equal weights, so they vanish in the scale.
    """
    inner, outer = contours(nodes)
    distance = np.linalg.norm(inner[:, None, :] - outer[None, :, :], axis=2)
    A = np.log(distance)
    return A / np.linalg.norm(A, 2)


@dataclasses.dataclass(frozen=True)
class Run:
    """What Algorithm 4.2 saw at each step, entry l with l columns in the basis.

    Attributes
    ----------
    estimate : numpy.ndarray
        10 sqrt(2/pi) times the largest of the norms of the next r residual vectors: equation (4.3).
    error : numpy.ndarray
        The spectral norm of (I - Q Q*) A, computed in full.
    """

    estimate: np.ndarray
    error: np.ndarray


def adaptive_run(A: np.ndarray, steps: int, key: Key, *, r: int = 5, watch: range | list[int] | None = None) -> Run:
    """Run Algorithm 4.2 for a number of steps without stopping, and look at the error after those in `watch`.

    A column is made orthogonal to the basis again until nothing more comes off, as the paper advises; below rounding
    the columns are noise, and the algorithm is let run on to show where it ends up.
    """
    m, n = A.shape
    samples = key.child("test-matrix").normals(0, n, steps + r)
    Y = A @ samples  # y_i, kept orthogonal to the basis so far
    Q, E = np.zeros((m, 0)), A.copy()
    estimate, error = np.full(steps + 1, np.nan), np.full(steps + 1, np.nan)
    watched = set(range(steps + 1) if watch is None else watch)
    for j in range(steps + 1):
        # Only r columns are ever in flight in the algorithm; the later ones have not been projected yet.
        ahead = Y[:, j : j + r] - Q @ (Q.T @ Y[:, j : j + r])
        estimate[j] = 10 * np.sqrt(2 / np.pi) * np.linalg.norm(ahead, axis=0).max()
        if j in watched:
            error[j] = np.linalg.norm(E, 2)
        if j == steps:
            break
        q = ahead[:, 0]
        while True:  # until little of a unit vector is taken away: then it is orthogonal to rounding
            q = q / np.linalg.norm(q)
            p = q - Q @ (Q.T @ q)
            q, left = p, np.linalg.norm(p)
            if left > 0.7:
                break
        q = q / np.linalg.norm(q)
        Q = np.column_stack([Q, q])
        E = E - np.outer(q, q @ E)
    return Run(estimate, error)
