"""A photograph at several tolerances: how the rank grows with the accuracy asked for.

    python examples/compress_image.py [FOLDER]

Uses scikit-learn's picture of a temple where scikit-learn is installed, else a generated landscape.
Draws `compress_image.png` in FOLDER (here by default).
"""

import os
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import rnla


def picture() -> np.ndarray:
    """Return grey values between 0 and 1."""
    try:
        from sklearn.datasets import load_sample_image

        return load_sample_image("china.jpg").mean(axis=2) / 255
    except ImportError:
        rng = np.random.default_rng(0)
        y, x = np.mgrid[0:427, 0:640]
        ridges = sum(np.sin(x / (90 / k) + 6 * rng.random()) * 40 / k for k in range(1, 9))
        return np.where(y > 220 + ridges, 0.2 + 0.3 * (x % 37 < 18), 0.9 - y / 900)


def main() -> None:
    small = os.environ.get("RNLA_EXAMPLE_SMALL") == "1"
    A = picture()[:: 4 if small else 1, :: 4 if small else 1]
    tolerances = (0.2, 0.1, 0.05)
    results = [rnla.svd(A, tol=tol, rng=0) for tol in tolerances]

    figure, axes = plt.subplots(2, 2, figsize=(9, 6.5), layout="constrained")
    axes.flat[0].imshow(A, cmap="gray", vmin=0, vmax=1)
    axes.flat[0].set_title(f"original, {A.shape[0]} x {A.shape[1]}")
    for axis, tol, result in zip(axes.flat[1:], tolerances, results, strict=True):
        U, s, Vh = result
        share = result.rank * (sum(A.shape) + 1) / A.size
        error = f"error {result.error.value:.4f} ({result.error.kind})"
        print(f"tol {tol:<5} rank {result.rank:>3}, {error}, {share:.0%} of the numbers")
        axis.imshow((U * s) @ Vh, cmap="gray", vmin=0, vmax=1)
        axis.set_title(f"tol={tol}: rank {result.rank}, {share:.0%} of the numbers")
    for axis in axes.flat:
        axis.set_axis_off()
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    figure.savefig(folder / "compress_image.png", dpi=100)
    print(f"drawn in {folder / 'compress_image.png'}")


if __name__ == "__main__":
    main()
