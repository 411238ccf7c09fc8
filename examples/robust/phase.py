"""For which ranks and shares of outliers L is found: the phase transition of four methods.

    python -m examples.robust.phase [--small] [--out FOLDER]

The papers' model, generated: L = A B^T of normal factors, 300 x 300, a share of the entries, chosen uniformly,
corrupted by values uniform in [-mean|L|, mean|L|].  A cell is the share of draws in which the relative error of L is
below 1e-3.  The thresholds fall by 0.8 in each iteration; the methods that read a cross have 3 r log n rows and
columns; nothing is tried a second time.

Checked: against figures of a plain reference implementation of the same methods at the same sizes, 4 draws each, no
cell is worse by more than chance makes in one of a thousand (Fisher's exact test); more outliers are never better, but
for chance; and up to 30 percent of outliers every draw succeeds.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import hypergeom

import rnla
from examples.pictures import style
from examples.robust.model import drawn

Array = np.ndarray[Any, Any]

N = 300
METHODS: dict[str, Any] = {
    "RieCUR": rnla.RieCUR(samples=3, decay=0.8),
    "IRCUR": rnla.IRCUR(samples=3, decay=0.8),
    "AccAltProj": rnla.AccAltProj(decay=0.8),
    "AltProj": rnla.AlternatingProjections(decay=0.8),
}
DRAWS = 4
"""Of the reference."""
REFERENCE: dict[str, dict[tuple[int, float], int]] = {
    # Successes out of 4 for (rank, share); with shares of 0.1 to 0.4 all of them.
    "AccAltProj": {(2, 0.5): 4, (5, 0.5): 4, (10, 0.5): 4, (2, 0.6): 4, (5, 0.6): 3, (10, 0.6): 0},
    "IRCUR": {(2, 0.5): 3, (5, 0.5): 4, (10, 0.5): 4, (2, 0.6): 0, (5, 0.6): 0, (10, 0.6): 0},
    "RieCUR": {(2, 0.5): 2, (5, 0.5): 4, (10, 0.5): 4, (2, 0.6): 0, (5, 0.6): 0, (10, 0.6): 0},
}


@dataclasses.dataclass(frozen=True)
class Grid:
    """Successes of each method.

    Attributes
    ----------
    ranks : list of int
    shares : list of float
    draws : int
    counts : dict of numpy.ndarray, shape (len(shares), len(ranks))
    """

    ranks: list[int]
    shares: list[float]
    draws: int
    counts: dict[str, Array]

    def count(self, name: str, rank: int, share: float) -> int:
        """Return the successes in a cell."""
        return int(self.counts[name][self.shares.index(share), self.ranks.index(rank)])


def measured(ranks: list[int], shares: list[float], draws: int) -> Grid:
    """Return the successes on a grid."""
    counts = {name: np.zeros((len(shares), len(ranks)), dtype=int) for name in METHODS}
    for column, rank in enumerate(ranks):
        for row, share in enumerate(shares):
            for seed in range(draws):
                truth, D = drawn(N, rank, share, seed=seed)
                for name, method in METHODS.items():
                    result = rnla.robust_pca(D, rank, method=method, tol=1e-5, on_failure="return", rng=seed)
                    counts[name][row, column] += truth.error(result) < 1e-3
    return Grid(ranks, shares, draws, counts)


def chance(ours: int, draws: int, theirs: int) -> float:
    """Return how probable it is that we have so few successes or fewer, were the two alike (Fisher's exact test)."""
    return float(hypergeom.cdf(ours, draws + DRAWS, ours + theirs, draws))


def compared(grid: Grid) -> list[tuple[str, int, float, int, int, float]]:
    """Return method, rank, share, successes of ours and of the reference, and the chance, for each cell of both."""
    rows = []
    for name, cells in REFERENCE.items():
        easy = {(rank, share): DRAWS for rank in (2, 5, 10) for share in (0.1, 0.2, 0.3, 0.4)}
        for (rank, share), theirs in (easy | cells).items():
            if rank in grid.ranks and share in grid.shares:
                ours = grid.count(name, rank, share)
                rows.append((name, rank, share, ours, theirs, chance(ours, grid.draws, theirs)))
    return rows


def check(grid: Grid) -> None:
    """Raise unless the grid is as the module says."""
    for name, rank, share, ours, theirs, probability in compared(grid):
        assert probability > 1e-3, (name, rank, share, ours, theirs)
    for counts in grid.counts.values():
        assert (counts[np.array(grid.shares) <= 0.3] == grid.draws).all()
        allowed = 3 * np.sqrt(grid.draws / 2)  # three deviations of a difference of two binomial counts
        assert (np.diff(counts, axis=0) <= allowed).all()


def main(small: bool, out: Path) -> Path:
    if small:
        grid = measured([2, 5], [0.3, 0.5, 0.7], 3)
    else:
        grid = measured([1, 2, 3, 5, 7, 10, 15, 20, 30], [round(0.05 * k, 2) for k in range(2, 17)], 10)
    print("  method      rank  outliers   successes   reference   chance of so few")
    for name, rank, share, ours, theirs, probability in compared(grid):
        print(f"  {name:<12}{rank:4d}{share:10.0%}{ours:8d}/{grid.draws}{theirs:10d}/{DRAWS}{probability:16.3f}")
    check(grid)

    figure, axes = style.panels(1, len(METHODS), width=9.2, height=3.6, sharey=True)
    image: Any = None
    for axis, (name, counts) in zip(axes, grid.counts.items(), strict=True):
        image = axis.imshow(counts / grid.draws, origin="lower", aspect="auto", cmap="cividis", vmin=0, vmax=1)
        axis.set(title=name, xlabel="rank")
        axis.set_xticks(range(len(grid.ranks)), [str(rank) for rank in grid.ranks])
        step = 1 if small else 2
        axis.set_yticks(range(0, len(grid.shares), step), [f"{share:.0%}" for share in grid.shares[::step]])
        axis.grid(visible=False)
    axes[0].set_ylabel("share of outliers")
    figure.colorbar(image, ax=axes, label=f"share of {grid.draws} draws that succeed", shrink=0.9, pad=0.01)
    figure.suptitle(
        f"Where L is found to 1e-3: generated {N} x {N} matrices, thresholds falling by 0.8", x=0.01, ha="left",
        fontsize=10,
    )  # fmt: skip
    return style.save(figure, out, "robust_phase")


if __name__ == "__main__":
    style.command_line(__doc__, main)
