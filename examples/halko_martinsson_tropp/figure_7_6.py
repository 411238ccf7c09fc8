"""Figure 7.6: power iterations on a large dense matrix of data, after centring.

    python -m examples.halko_martinsson_tropp.figure_7_6 [--small] [--out FOLDER]

The paper's 98304 x 7254 matrix of faces cannot be had.  Taken instead are 4800 blocks of 32 x 32 pixels from two
photographs that scikit-learn brings, 1024 x 4800, or, without scikit-learn, a matrix of that size whose singular values
fall like j^-0.7; in either case the columns are centred, by the mean of all, and scaled to norm 1, and the matrix to
norm 1.  Small: a quarter of the pixels and of the blocks.

Left: the error of the basis by its number of columns and the power iterations q.  Right: the singular values found in
100 columns, and the true ones.

Checked: each further power iteration lowers the mean error; of what the error is above the least without them, the
first takes away more than half, and three more than nine tenths.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from examples.halko_martinsson_tropp.figure_7_5 import POWERS, subspace_iteration
from examples.pictures import style
from rnla.rng import Key
from rnla.testing.spectra import haar


def data(small: bool) -> tuple[np.ndarray, str]:
    """Return the matrix, columns centred and of norm 1, and where it comes from."""
    pixels, count = (256, 1200) if small else (1024, 4800)
    try:
        from sklearn.datasets import load_sample_images
    except ImportError:
        values = np.arange(1, pixels + 1) ** -0.7
        A, source = (haar(pixels, pixels, rng=1) * values) @ haar(count, pixels, rng=2).T, "generated"
    else:
        side, rng = int(np.sqrt(pixels)), np.random.default_rng(0)
        pictures = np.stack([image.mean(axis=2) for image in load_sample_images().images])
        which = rng.integers(len(pictures), size=count)
        row, column = (rng.integers(extent - side, size=count) for extent in pictures.shape[1:])
        windows = np.lib.stride_tricks.sliding_window_view(pictures, (side, side), axis=(1, 2))
        A = windows[which, row, column].reshape(count, pixels).T
        source = f"blocks of {side} × {side} pixels from photographs"
    A = A - A.mean(axis=1, keepdims=True)
    A = A / np.linalg.norm(A, axis=0)
    return A / np.linalg.norm(A, 2), source


def check(s: np.ndarray, sizes: np.ndarray, errors: np.ndarray) -> None:
    """Raise where more power iterations do not help as they should; rows of the errors are POWERS."""
    assert np.all(errors >= s[sizes] * (1 - 1e-9))
    excess = (errors / s[sizes] - 1).mean(axis=1)
    assert np.all(np.diff(excess) < 0), excess
    assert excess[1] < excess[0] / 2, excess
    assert excess[3] < excess[0] / 10, excess


def main(small: bool, out: Path) -> Path:
    A, source = data(small)
    most = 100
    sizes = np.unique(np.geomspace(1, most, 14 if small else 24).round().astype(int))
    s, gram = np.linalg.svd(A, compute_uv=False), A @ A.T
    errors, found = np.zeros((len(POWERS), len(sizes))), np.zeros((len(POWERS), most))
    for row, q in enumerate(POWERS):
        Q = subspace_iteration(A, most, q, Key(0))
        B = Q.T @ A
        seen = B @ A.T
        found[row] = np.linalg.svd(B, compute_uv=False)
        for i, size in enumerate(sizes):
            G = gram - Q[:, :size] @ seen[:size]  # (I - Q Q*) A A*, of which the eigenvalues are wanted
            G = G - (G @ Q[:, :size]) @ Q[:, :size].T
            errors[row, i] = np.sqrt(np.linalg.eigvalsh((G + G.T) / 2)[-1])
        print(f"q = {q}: error over the least, less 1, in the mean: {(errors[row] / s[sizes] - 1).mean():.4f}")
    check(s, sizes, errors)

    figure, (left, right) = style.panels(1, 2, width=7.0, height=3.3)
    for row, q in enumerate(POWERS):
        look = {"color": style.SERIES[row], "marker": style.MARKERS[row], "markersize": 3.5, "linewidth": 1.2}
        left.loglog(sizes, errors[row], label=f"$q={q}$", **look)
        right.loglog(sizes, found[row][sizes - 1], label=f"$q={q}$", **look)
    left.loglog(sizes, s[sizes], color=style.BLACK, linestyle=":", label=r"least, $\sigma_{\ell+1}$")
    right.loglog(sizes, s[sizes - 1], color=style.BLACK, linestyle=":", label=r"true, $\sigma_j$")
    left.set(xlabel=r"columns $\ell$ of the basis", ylabel=r"error $\Vert(I-QQ^*)A\Vert$", title="Error")
    right.set(xlabel="index $j$", ylabel="singular value", title=rf"Singular values found, $\ell={most}$")
    for axis in (left, right):
        axis.legend()
        axis.set_xticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
        axis.set_yticks([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1], ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1"])
        axis.minorticks_off()
        axis.set_ylim(found.min() / 1.2, 1.2)
    figure.suptitle(f"{A.shape[0]} × {A.shape[1]}: {source}", x=0.02, ha="left", fontsize=9.5)
    return style.save(figure, out, "figure_7_6")


if __name__ == "__main__":
    style.command_line(__doc__, main)
