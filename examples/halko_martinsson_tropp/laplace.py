"""The matrix of figures 7.2, 7.3 and 7.8: a single-layer potential between two contours.

The paper draws its two contours without printing them.  Those taken here, a star inside an ellipse, give singular
values at the levels that its figure shows: about 10^-5.3, 10^-9.2 and 10^-13.4 for the 26th, 51st and 76th.
"""

from __future__ import annotations

import numpy as np

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
