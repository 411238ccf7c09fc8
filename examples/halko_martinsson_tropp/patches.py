"""The matrix of figure 7.5: the normalized weights between the patches of a picture.

The paper's picture is not public.  Taken instead is a quiet crop, sky, of a photograph that scikit-learn brings, whose
patches lie as far apart as the paper's width of 50 wants; without scikit-learn, a generated picture.  Either has 12
bits, as the paper's.  The paper keeps the seven largest weights of each row and does not say how the matrix is made
symmetric again; here each pair keeps the larger of its two weights.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree


def picture(side: int) -> tuple[np.ndarray, str]:
    """Return grey values from 0 to 4095, shape (side, side), and where they come from."""
    try:
        from sklearn.datasets import load_sample_image
    except ImportError:
        y, x = np.mgrid[0:1:1j * side, 0:1:1j * side]  # fmt: skip
        noise = np.random.default_rng(0).standard_normal(x.shape)
        return 3000 + 40 * y + 15 * np.cos(5 * x) + 6 * noise, "a generated picture"
    grey = load_sample_image("china.jpg").mean(axis=2)
    return 4095 * grey[20 : 20 + side, 400 : 400 + side] / 255, "sky of china.jpg (scikit-learn)"


def weights(image: np.ndarray, *, patch: int = 5, neighbours: int = 7, sigma: float = 50.0) -> sp.csr_array:
    """Return D^(-1/2) W D^(-1/2), one row a pixel, w_ij = exp(-|x_i - x_j|^2 / sigma^2) between their patches.

    Borders are mirrored.  A pixel is no neighbour of itself among the seven, but keeps its own weight, 1, so that no
    row is empty.
    """
    half, side = patch // 2, image.shape[0]
    padded = np.pad(image, half, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (patch, patch))
    points = windows.reshape(side * side, patch * patch)
    distance, index = cKDTree(points).query(points, k=neighbours + 1)
    rows = np.repeat(np.arange(side * side), neighbours + 1)
    values = np.exp(-((distance.ravel() / sigma) ** 2))
    W = sp.csr_array((values, (rows, index.ravel())), shape=(side * side, side * side))
    W = W.maximum(W.T)
    scale = sp.diags_array(1 / np.sqrt(W.sum(axis=1)))
    A = scale @ W @ scale
    return sp.csr_array((A + A.T) / 2)  # symmetric to the last bit
