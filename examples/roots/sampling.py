"""Noise with a given covariance, or with a given precision matrix, where a dense root would not fit.

    python -m examples.roots.sampling [--small] [--out FOLDER]

1. Covariance A + D D^T: 500,000 instants, the variance of each in the diagonal A, and a few smooth motions that all
   of them share in D.  Samples are B^{1/2} z for standard normal z.
2. Precision A + D D^T: a field on a grid of 250 x 250 points whose precision matrix is the square of the sparse
   H = kappa^2 I - Laplacian, so that the root is known.  Eight noisy measurements add D D^T to the precision, D having
   the points measured as columns, over the noise.  What is still uncertain are the samples B^{-1/2} z; with the same z
   as before, A^{-1/2} z, it shows where the measurements took something away.

A sum of independent parts, A^{1/2} z + D y, has the first covariance too.  Of the symmetric root one has inverses and
downdates, and samples before and after the change that come from the same z.  All data are generated.

Checked: in some directions, among them those that the change makes special, the sample covariance is as close to that
of the model as normal samples are with probability 1 - 2e-9 (the extreme singular values of a normal matrix of p rows
and N columns are within sqrt(p) + sqrt(2 log(1e9)) of sqrt(N)); it is not that close to A's.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg

import rnla
from examples.pictures import style

SAMPLES = 400
FAILURE = 1e-9


def check_covariance(seen: np.ndarray, model: np.ndarray) -> float:
    """Raise unless samples look like normal ones of a covariance; return the share of the deviation allowed.

    Parameters
    ----------
    seen : numpy.ndarray, shape (p, N)
        Samples in p directions, one in a column.
    model : numpy.ndarray, shape (p, p)
        Their covariance.
    """
    p, N = seen.shape
    whitened = scipy.linalg.solve_triangular(np.linalg.cholesky(model), seen, lower=True)
    values = np.linalg.svd(whitened, compute_uv=False)
    allowed = math.sqrt(p) + math.sqrt(2 * math.log(1 / FAILURE))
    share = float(np.abs(values - math.sqrt(N)).max()) / allowed
    assert share <= 1, f"the samples deviate {share:.1f} times what normal ones of this covariance may"
    return share


def size_in_words(n: int) -> str:
    """Return the memory of a dense root."""
    return f"{8 * n * n / 1e9:,.0f} GB" if n > 10000 else f"{8 * n * n / 1e9:.2g} GB"


# 1. A covariance: a diagonal and shared motions.


def shared_motion(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return times, the standard deviations on the diagonal, and the motions D that all instants share."""
    t = np.linspace(0, 1, n)
    deviation = 0.08 * (1 + 6 * np.exp(-(((t - 0.7) / 0.06) ** 2)))  # a noisy stretch
    D = np.stack([np.cos((j + 1) * math.pi * t) / (j + 1) for j in range(6)], axis=1)
    return t, deviation, D


def covariance(small: bool) -> tuple[np.ndarray, np.ndarray, Any]:
    """Return times, three sample paths, and the correction that made them."""
    t, deviation, D = shared_motion(20_000 if small else 500_000)
    correction = rnla.sqrtm_update(deviation, D, rng=0)
    rng = np.random.default_rng(1)
    n = len(t)
    places = np.linspace(0, n - 1, 12).astype(int)
    directions = np.concatenate([np.eye(n, 1, -i) for i in places] + [np.linalg.qr(D)[0]], axis=1)
    seen = [directions.T @ (correction @ rng.standard_normal((n, 20))) for _ in range(SAMPLES // 20)]
    own = directions.T @ (deviation[:, None] ** 2 * directions)
    turned = directions.T @ D
    share = check_covariance(np.concatenate(seen, axis=1), own + turned @ turned.T)
    _refused(np.concatenate(seen, axis=1), own)
    print(
        f"covariance: n = {n}, correction of rank {correction.rank} in {correction.steps} steps and "
        f"{correction.report.seconds:.2f} s; a dense root would take {size_in_words(n)}; the sample covariance "
        f"deviates by {share:.2f} of what it may"
    )
    return t, correction @ rng.standard_normal((n, 3)), correction


def _refused(seen: np.ndarray, model: np.ndarray) -> None:
    """Raise unless the check would have noticed that the change was left out."""
    try:
        check_covariance(seen, model)
    except AssertionError:
        return
    raise AssertionError("the samples cannot be told from those of A alone: the check means nothing")


# 2. A precision matrix: a field on a grid, and measurements of it.


def grid(side: int, reach: float) -> sp.csr_array:
    """Return kappa^2 I - Laplacian on a square grid, free at its edges; correlations reach so many points."""
    main = np.full(side, 2.0)
    main[[0, -1]] = 1
    line = sp.diags_array([main, -np.ones(side - 1), -np.ones(side - 1)], offsets=[0, 1, -1])
    eye = sp.eye_array(side)
    return sp.csr_array(sp.kron(line, eye) + sp.kron(eye, line) + 8 / reach**2 * sp.eye_array(side * side))


def measured(side: int) -> np.ndarray:
    """Return the places of eight measurements, as numbers of grid points."""
    rng = np.random.default_rng(5)
    first, second = np.meshgrid([0.16, 0.5, 0.84], [0.16, 0.5, 0.84])
    spots = np.stack([first.ravel(), second.ravel()], axis=1)[[0, 1, 2, 3, 5, 6, 7, 8]]
    rows, columns = (np.clip(spots + rng.uniform(-0.09, 0.09, spots.shape), 0, 1) * (side - 1)).astype(int).T
    return rows * side + columns


def precision(small: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, Any]:
    """Return a sample before and after the measurements, their places, and the correction."""
    side = 60 if small else 250
    n, H, places = side * side, grid(side, side / 3.0), measured(side)
    solve = scipy.sparse.linalg.splu(sp.csc_array(H)).solve
    deviation = np.linalg.norm(solve(np.eye(n, 1, -(n // 2 + side // 2))))  # in the middle, before
    D = np.zeros((n, len(places)))
    D[places, np.arange(len(places))] = 1 / (0.05 * deviation)  # the noise is a twentieth of that
    correction = rnla.sqrtm_update(H, D, power=-0.5, tol=1e-8, rng=0)

    rng = np.random.default_rng(1)
    others = rng.choice(np.setdiff1d(np.arange(n), places), 8, replace=False)
    watched = np.concatenate([places, others])
    seen = [(correction @ rng.standard_normal((n, 20)))[watched] for _ in range(SAMPLES // 20)]
    units = np.zeros((n, len(watched)))
    units[watched, np.arange(len(watched))] = 1
    before, image = (solve(solve(x)) for x in (units, D))  # A^{-1} of both
    gain = np.linalg.solve(np.eye(D.shape[1]) + D.T @ image, image[watched].T)
    share = check_covariance(np.concatenate(seen, axis=1), before[watched] - image[watched] @ gain)
    _refused(np.concatenate(seen, axis=1), before[watched])
    print(
        f"precision: n = {n}, correction of rank {correction.rank} in {correction.steps} steps and "
        f"{correction.report.seconds:.1f} s; a dense root would take {size_in_words(n)}; the sample covariance "
        f"deviates by {share:.2f} of what it may"
    )
    z = rng.standard_normal((n, 1))
    fields = [x.reshape(side, side) / deviation for x in (solve(z), correction @ z)]
    return fields[0], fields[1], np.stack(np.divmod(places, side), axis=1), correction


def main(small: bool, out: Path) -> Path:
    t, paths, wide = covariance(small)
    before, after, places, sparse = precision(small)

    figure, axes = style.panels(2, 3, width=9.4, height=6.2, height_ratios=(1.0, 1.5))
    for axis in axes[0]:
        axis.remove()
    top = figure.add_subplot(axes[0, 0].get_gridspec()[0, :])
    step = max(1, len(t) // 5000)
    for path, colour, shift in zip(paths.T, (style.BLUE, style.RED, style.GREEN), (6.0, 0.0, -6.0), strict=True):
        top.plot(t[::step], shift + path[::step], color=colour, linewidth=0.6)
    top.set(xlabel="time", ylabel="one above the other", xlim=(0, 1), yticks=[])
    top.set_title(
        f"Three samples of covariance: a diagonal, the noise, and $DD^T$, six shared motions; n = {len(t):,}, "
        f"correction of rank {wide.rank}"
    )
    limit = float(np.abs(before).max())
    fields = {
        f"Precision $A$, sparse; n = {before.size:,}": before,
        f"The same noise, $A + DD^T$; rank {sparse.rank} more": after,
        "What eight measurements took away": before - after,
    }
    for axis, (name, field) in zip(axes[1], fields.items(), strict=True):
        image = axis.imshow(field, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        axis.plot(places[:, 1], places[:, 0], "o", color="white", markeredgecolor=style.BLACK, markersize=4.5)
        axis.set(title=name, xticks=[], yticks=[])
        axis.grid(visible=False)
    bar = figure.colorbar(image, ax=list(axes[1]), orientation="horizontal", shrink=0.5, aspect=40, pad=0.03)
    bar.set_label("value over the standard deviation before the measurements, which were made at the white points")
    figure.suptitle(
        "Sampling with roots whose dense form is too large (generated data)", x=0.02, ha="left", fontsize=10
    )
    return style.save(figure, out, "roots_sampling")


if __name__ == "__main__":
    style.command_line(__doc__, main)
