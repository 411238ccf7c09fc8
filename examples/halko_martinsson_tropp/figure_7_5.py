"""Figure 7.5: power iterations on a matrix whose singular values fall slowly.

    python -m examples.halko_martinsson_tropp.figure_7_5 [--small] [--out FOLDER]

The matrix of weights between the 5 x 5 patches of a picture of 95 x 95 pixels (small: 40 x 40): 9025 x 9025, sparse,
symmetric, the eigenvalues near 1.  Left: the error of the basis of Algorithm 4.4 with q power iterations, by its
number of columns.  Right: the eigenvalues that Algorithm 5.3 finds in 100 columns (small: 40), and the true ones, by
Lanczos.  The matrix has two eigenvalues near -0.8 as well, which spoil the last of those found.

Checked: in the mean over the columns each further power iteration lowers the error and the eigenvalues come closer;
without one the leading eigenvalues are far off; the first iteration brings more than half of all there is to gain.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

import rnla
from examples.halko_martinsson_tropp.patches import picture, weights
from examples.pictures import style
from rnla.rng import Key

POWERS = [0, 1, 2, 3]


def subspace_iteration(A: Any, size: int, q: int, key: Key) -> np.ndarray:
    """Return the basis of Algorithm 4.4; its first l columns are the basis that l columns would have given."""
    orthonormalizer = rnla.CholeskyQR2()
    Q = orthonormalizer.factor(A @ key.child("test-matrix").normals(0, A.shape[1], size))[0]
    for _ in range(q):
        Q = orthonormalizer.factor(A.T @ Q)[0]
        Q = orthonormalizer.factor(A @ Q)[0]
    return Q


def residual_norm(A: Any, Q: np.ndarray) -> float:
    """Return the spectral norm of (I - Q Q*) A, by Lanczos to three digits."""

    def normal(x: np.ndarray) -> np.ndarray:
        y = A @ x
        return A.T @ (y - Q @ (Q.T @ y))

    n = A.shape[1]
    start = np.random.default_rng(0).standard_normal(n)
    operator = LinearOperator((n, n), matvec=normal, dtype=np.float64)
    return float(np.sqrt(eigsh(operator, k=1, which="LA", tol=1e-3, v0=start, return_eigenvectors=False)[0]))


def check(true: np.ndarray, sizes: np.ndarray, errors: np.ndarray, found: np.ndarray) -> None:
    """Raise where more power iterations do not help as they should; rows of the arrays are POWERS."""
    assert np.all(errors >= true[sizes] * (1 - 5e-3))
    mean_error = errors.mean(axis=1)
    assert np.all(np.diff(mean_error) < 0), mean_error
    off = (true[: found.shape[1]] - found).mean(axis=1)
    assert np.all(off > 0), off
    assert np.all(np.diff(off) < 0), off
    assert off[0] > 0.2, off
    assert off[1] < off[0] / 2, off


def main(small: bool, out: Path) -> Path:
    image, source = picture(40 if small else 95)
    A = weights(image)
    most = 40 if small else 100
    sizes = np.arange(5, most + 1, 5)
    start = np.random.default_rng(0).standard_normal(A.shape[0])
    true = np.sort(np.abs(eigsh(A, k=most + 1, which="LM", v0=start, return_eigenvectors=False)))[::-1]
    errors, found = np.zeros((len(POWERS), len(sizes))), np.zeros((len(POWERS), most))
    for row, q in enumerate(POWERS):
        Q = subspace_iteration(A, most, q, Key(0))
        errors[row] = [residual_norm(A, Q[:, :size]) for size in sizes]
        found[row] = np.linalg.eigvalsh(Q.T @ (A @ Q))[::-1]  # Algorithm 5.3
        print(f"q = {q}: error {errors[row, -1]:.4f} with {most} columns, least {true[most]:.4f}")
    check(true, sizes, errors, found)

    figure, (left, right, last) = style.panels(1, 3, width=7.8, height=3.0, width_ratios=[1.5, 1.5, 0.9])
    for row, q in enumerate(POWERS):
        look = {"color": style.SERIES[row], "marker": style.MARKERS[row], "markersize": 3.5, "linewidth": 1.2}
        left.plot(sizes, errors[row], label=f"$q={q}$", **look)
        right.plot(np.arange(1, most + 1), found[row], markevery=max(1, most // 20), label=f"$q={q}$", **look)
    left.plot(sizes, true[sizes], color=style.BLACK, linestyle=":", label=r"least, $\sigma_{\ell+1}$")
    right.plot(np.arange(1, most + 1), true[:most], color=style.BLACK, linestyle=":", label="true")
    left.set(xlabel=r"columns $\ell$ of the basis", ylabel=r"error $\Vert(I-QQ^*)A\Vert$", title="Error, Algorithm 4.4")
    right.set(xlabel="index $j$", ylabel=r"eigenvalue $\lambda_j$", title=rf"Eigenvalues, Algorithm 5.3, $\ell={most}$")
    left.legend()
    right.annotate("true", (most // 2, true[most // 2]), xytext=(0, 4), textcoords="offset points", fontsize=8)
    negative = found[-1] < found[-1, -3] - 0.1
    if negative.any():
        place = (most, float(found[-1, -1]))
        right.annotate(
            "mixed with the two\nnegative outliers",
            place,
            xytext=(0.52 * most, place[1] - 0.05),
            fontsize=7.5,
            va="center",
            arrowprops={"arrowstyle": "-", "color": style.BLACK, "linewidth": 0.7},
        )
    right.set_ylim(0.2, 1.02)
    last.imshow(image, cmap="gray")
    last.set_axis_off()
    last.set_title(f"{image.shape[0]} × {image.shape[0]} pixels:\n{source}", fontsize=7.5)
    return style.save(figure, out, "figure_7_5")


if __name__ == "__main__":
    style.command_line(__doc__, main)
