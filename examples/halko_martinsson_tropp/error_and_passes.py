"""What each read of the matrix buys: the error by method, spectrum and number of passes.

    python -m examples.halko_martinsson_tropp.error_and_passes [--small] [--out FOLDER]

Positive semidefinite matrices with known eigenvalues, read from disk in blocks of rows: a clean spectrum, 0.9^j, and a
noisy one, 20 eigenvalues from 1 to 1/2 over noise from 1/5 down to 0.  Rank 20; every method has blocks of 30 columns.
Drawn is how far the Frobenius error of the answer is above the least one of that rank, in the mean over some seeds:
the error over the optimum, less 1.  One pass gives A and its adjoint a product each; block Lanczos, whose product
is one, gains nothing from that.

Checked, for the means: powers and Krylov spaces err less with every pass until rounding; a Krylov space errs no more
than powers do at as many passes; one Nystrom approximation errs no more than a projection on the same basis; and the
single pass errs more than the last of each.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import rnla
from examples.pictures import style
from rnla.testing.spectra import haar

RANK, BLOCK = 20, 30
MORE = BLOCK - RANK


def spectra(n: int) -> dict[str, np.ndarray]:
    """Return the eigenvalues of the clean and of the noisy matrix, descending."""
    noisy = np.concatenate([np.linspace(1, 0.5, RANK), 0.2 * (1 - np.arange(n - RANK) / n)])
    return {"clean: $0.9^j$": 0.9 ** np.arange(n), "noisy: 20 from 1 to 1/2, the rest under 1/5": noisy}


Method = Callable[[Path, int], Any]


def powers(q: int) -> Method:
    """Return subspace iteration with q power iterations, and the projection on it."""
    part = rnla.SubspaceIteration(power_iterations=q, oversampling=MORE)
    return lambda A, seed: rnla.svd(A, RANK, method=part, rng=seed)


def krylov(depth: int) -> Method:
    """Return the block Krylov space of so many blocks, and the projection on it."""
    part = rnla.BlockKrylov(depth=depth, oversampling=MORE)
    return lambda A, seed: rnla.svd(A, RANK, method=part, rng=seed)


def nystrom(q: int) -> Method:
    """Return the Nystrom approximation of the subspace that `powers` finds."""
    part = rnla.SubspaceIteration(power_iterations=q, oversampling=MORE)
    return lambda A, seed: rnla.nystrom(A, RANK, method=part, rng=seed)


def lanczos(depth: int) -> Method:
    """Return the Nystrom approximation of a block Krylov space in which no product is lost."""
    part = rnla.BlockLanczos(depth=depth, block_size=BLOCK)
    return lambda A, seed: rnla.nystrom(A, RANK, method=part, rng=seed)


def sketched() -> Method:
    """Return the projection on the range of A Omega."""
    part = rnla.SketchedRange(oversampling=MORE)
    return lambda A, seed: rnla.svd(A, RANK, method=part, rng=seed)


def streamed() -> Method:
    """Return the approximation from one reading, with sketches of the same block size."""
    return lambda A, seed: rnla.single_pass_svd(A, RANK, method=rnla.SketchySVD(k=BLOCK, s=2 * BLOCK + 1), rng=seed)


def excess(result: Any, A: np.ndarray, best: float) -> tuple[int, float]:
    """Return the passes, the certificate's own not counted, and the error over the optimum, less 1."""
    error = np.linalg.norm(A - result.as_operator() @ np.eye(A.shape[1]))
    passes = result.report.passes - (result.error.method in {"the explicit residual", "independent probes"})
    return passes, float(error / best - 1)


def curve(methods: list[Method], path: Path, A: np.ndarray, best: float, seeds: int) -> np.ndarray:
    """Return (passes, mean excess) for each of some methods, rows in the order given."""
    runs = np.array([[excess(method(path, seed), A, best) for seed in range(seeds)] for method in methods])
    assert np.all(runs[:, :, 0] == runs[:, :1, 0])
    return runs.mean(axis=1)


def check(curves: dict[str, np.ndarray]) -> None:
    """Raise where the means are out of order."""
    least = 1e-12  # rounding: the optimum itself is computed
    for values in curves.values():
        assert np.all(values[:, 1] >= -least)
    for name in ("powers", "Krylov", "Nystrom", "Lanczos"):
        rest = curves[name][:, 1]
        assert np.all((np.diff(rest) < 0) | (rest[1:] < least)), name
    at = {name: {int(p): e for p, e in values} for name, values in curves.items()}
    assert all(at["Krylov"][p] <= at["powers"][p] + least for p in set(at["Krylov"]) & set(at["powers"]))
    assert all(at["Nystrom"][p] <= at["powers"][p] + least for p in set(at["Nystrom"]) & set(at["powers"]))
    single = curves["single pass"][0, 1]
    assert all(single >= values[-1, 1] for values in curves.values())


LABELS = {
    "single pass": "one reading (SketchySVD)",
    "sketch": "sketched range (4.1)",
    "powers": "subspace iteration (4.4)",
    "Krylov": "block Krylov",
    "Nystrom": "Nyström of 4.4 (5.5)",
    "Lanczos": "Nyström of block Lanczos",
}


def main(small: bool, out: Path) -> Path:
    n, seeds = (200, 2) if small else (1000, 10)
    figure, axes = style.panels(1, 2, width=7.6, height=3.5, sharey=True)
    for axis, (title, values) in zip(axes, spectra(n).items(), strict=True):
        U = haar(n, n, rng=0)
        A = (U * values) @ U.T
        A = (A + A.T) / 2
        best = float(np.linalg.norm(values[RANK:]))
        sets: dict[str, list[Method]] = {
            "single pass": [streamed()],
            "sketch": [sketched()],
            "powers": [powers(q) for q in range(5)],
            "Krylov": [krylov(depth) for depth in range(2, 7)],
            "Nystrom": [nystrom(q) for q in range(5)],
            "Lanczos": [lanczos(depth) for depth in range(1, 7)],
        }
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "matrix.npy"
            np.save(path, A)
            curves = {name: curve(methods, path, A, best, seeds) for name, methods in sets.items()}
        for row, (name, points) in enumerate(curves.items()):
            text = ", ".join(f"{p:.0f}: {e:.1e}" for p, e in points)
            print(f"{title[:5]}, {LABELS[name]}, excess by passes: {text}")
            look = {"color": style.SERIES[row], "marker": style.MARKERS[row], "label": LABELS[name]}
            axis.semilogy(points[:, 0], np.maximum(points[:, 1], 1e-15), **look)
        check(curves)
        axis.set(title=title, xlabel="passes over the matrix", xlim=(0.7, 6.3), xticks=range(1, 7))
    axes[0].set_ylabel("Frobenius error over the least, less 1")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3)
    return style.save(figure, out, "error_and_passes")


if __name__ == "__main__":
    style.command_line(__doc__, main)
