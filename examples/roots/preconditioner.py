"""A Shampoo-like preconditioner whose inverse fourth roots follow the gradients instead of being computed anew.

    python -m examples.roots.preconditioner [--small] [--out FOLDER]

Least squares for a matrix W (2000 x 40) of weights, from generated samples whose variance falls along unknown
directions.  Each step sees two samples: its gradient G has rank 2.  The preconditioned step is L^{-1/4} G R^{-1/4} with

    L <- beta L + (1 - beta) G G^T,    R <- beta R + (1 - beta) G^T G,

where L begins with the gradients of 6000 earlier samples, so that it has no small rank (while it is a multiple of the
identity and few columns, `rnla.sqrtm_update` has a closed form).  R is small, and is decomposed at every step.  Of L
there are three ways to the root:

- recomputed: an eigenvalue decomposition at every step;
- updated: one at every tenth; in between beta^j L and the columns that came since are what `rnla.sqrtm_update` takes;
- kept: one at every tenth, whose root is kept until the next.

Checked: the losses with updated roots are those with recomputed ones to 1e-4 at every step, and those with kept roots
are not.  Whether fresh roots pay is a question of the optimizer; here it is what they cost.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np

import rnla
from examples.pictures import style

BETA, RATE, EVERY, SAMPLES = 0.95, 0.03, 10, 2
TOL = 1e-7
WAYS = ("recomputed", "updated", "kept")


class Regression:
    """Samples x with covariance basis diag(scales^2) basis^T, and the weights that explain them.

    Parameters
    ----------
    d, q : int
        Rows and columns of the weights.
    """

    def __init__(self, d: int, q: int) -> None:
        rng = np.random.default_rng(0)
        self.basis = np.linalg.qr(rng.standard_normal((d, d)))[0]
        self.scales = np.arange(1, d + 1) ** -0.75
        self.weights = self.basis @ rng.standard_normal((d, q)) / np.sqrt(d)

    def samples(self, step: int, count: int) -> np.ndarray:
        """Return the samples of a step, one in a row."""
        z = np.random.default_rng([1, step]).standard_normal((count, len(self.scales)))
        return (z * self.scales) @ self.basis.T

    def loss(self, W: np.ndarray) -> float:
        """Return the mean squared error over all samples there could be."""
        return float(((self.scales[:, None] * (self.basis.T @ (W - self.weights))) ** 2).sum())


class LeftRoot:
    """L, and X -> L^{-1/4} X in one of three ways.

    Parameters
    ----------
    L : numpy.ndarray, shape (d, d)
    way : {"recomputed", "updated", "kept"}
    """

    def __init__(self, L: np.ndarray, way: str) -> None:
        self.L, self.way, self.decompositions = L, way, 0
        self._decompose()

    def _decompose(self) -> None:
        values, self.frame = np.linalg.eigh(self.L)
        self.half = np.sqrt(np.maximum(values, values[-1] * np.finfo(float).eps))
        self.since = np.zeros((len(values), 0))  # what came since, in the basis of the eigenvectors
        self.age = 0
        self.decompositions += 1

    def follow(self, D: np.ndarray) -> None:
        """Replace L by beta L + D D^T."""
        self.L = BETA * self.L + D @ D.T
        self.age += 1
        if self.way == "recomputed" or self.age == EVERY:
            self._decompose()
        elif self.way == "updated":
            self.since = np.concatenate([np.sqrt(BETA) * self.since, self.frame.T @ D], axis=1)

    def apply(self, G: np.ndarray) -> np.ndarray:
        """Return L^{-1/4} G."""
        turned = self.frame.T @ G
        if self.since.shape[1] == 0:
            return self.frame @ (turned / np.sqrt(self.half)[:, None])
        faded = self.half * BETA ** (self.age / 2)
        return self.frame @ (rnla.sqrtm_update(faded, self.since, power=-0.25, tol=TOL, rng=0) @ turned)


@dataclasses.dataclass(frozen=True)
class Run:
    """Losses before and after each step, seconds spent on the left root, and how often it was decomposed."""

    losses: np.ndarray
    seconds: np.ndarray
    decompositions: int


def descend(problem: Regression, steps: int, way: str) -> Run:
    """Return a run from zero weights."""
    d, q = problem.weights.shape
    W = np.zeros((d, q))
    x = problem.samples(-1 % 2**32, 3 * d)
    errors = x @ (W - problem.weights)
    weighted = x * (np.linalg.norm(errors, axis=1) / np.sqrt(len(x)))[:, None]
    L = weighted.T @ weighted / SAMPLES + 1e-6 * np.eye(d)
    R = (errors.T @ errors) * (problem.scales**2).sum() / len(x) / SAMPLES + 1e-6 * np.eye(q)
    start = time.perf_counter()
    left = LeftRoot(L, way)
    seconds, losses = [time.perf_counter() - start], [problem.loss(W)]
    for step in range(steps):
        x = problem.samples(step, SAMPLES)
        errors = x @ (W - problem.weights) / SAMPLES
        G = x.T @ errors
        u, s, _ = np.linalg.svd(errors, full_matrices=False)
        R = BETA * R + (1 - BETA) * G.T @ G
        values, vectors = np.linalg.eigh(R)
        start = time.perf_counter()
        left.follow(np.sqrt(1 - BETA) * (x.T @ (u * s)))
        G = left.apply(G)
        seconds.append(time.perf_counter() - start)
        W = W - RATE * (G @ vectors) / values**0.25 @ vectors.T
        losses.append(problem.loss(W))
    return Run(np.array(losses), np.cumsum(seconds), left.decompositions)


def differences(runs: dict[str, Run]) -> dict[str, np.ndarray]:
    """Return how far the losses are from those with recomputed roots, relatively."""
    true = runs["recomputed"].losses
    return {way: np.abs(runs[way].losses / true - 1) for way in WAYS[1:]}


def check(runs: dict[str, Run]) -> None:
    """Raise unless updated roots do what recomputed ones do, and kept ones something else."""
    apart = differences(runs)
    assert apart["updated"].max() <= 1e-4
    assert apart["kept"].max() > 1e-3
    assert all(run.losses[-1] < run.losses[0] / 2 for run in runs.values())
    assert runs["updated"].decompositions <= 1 + len(runs["updated"].losses) // EVERY


def main(small: bool, out: Path) -> Path:
    d, q, steps = (200, 20, 40) if small else (2000, 40, 60)
    problem = Regression(d, q)
    with rnla.config_context(threads=1):  # as the decompositions it is compared with, in `style.command_line`
        runs = {way: descend(problem, steps, way) for way in WAYS}
    check(runs)
    apart = differences(runs)
    for way, run in runs.items():
        text = f"; losses within {apart[way].max():.0e} of recomputed" if way in apart else ""
        print(f"{way:>10}: {run.decompositions} decompositions, {run.seconds[-1]:.1f} s for the roots{text}")

    figure, axes = style.panels(1, 3, width=9.4, height=3.4)
    looks = {"recomputed": (style.BLUE, "-"), "updated": (style.RED, "--"), "kept": (style.ORANGE, ":")}
    for way, run in runs.items():
        colour, line = looks[way]
        wide = {"linewidth": 3.2, "alpha": 0.45} if way == "recomputed" else {}
        axes[0].semilogy(run.losses / run.losses[0], color=colour, linestyle=line, label=way, **wide)
        axes[2].plot(run.seconds, color=colour, linestyle=line, label=way, **wide)
        if way in apart:
            axes[1].semilogy(np.arange(1, steps + 1), apart[way][1:], color=colour, linestyle=line, label=way)
    ticks = [1, 0.8, 0.6, 0.4, 0.3, 0.2]
    axes[0].set(title="Loss, over that at the start", xlabel="step", ylim=(0.2, 1.05))
    axes[0].set_yticks(ticks, labels=[f"{value:g}" for value in ticks])
    axes[0].minorticks_off()
    axes[1].set(title="Difference from recomputed roots", xlabel="step", ylabel="relative difference of the loss")
    axes[2].set(title="Seconds for the roots, added up", xlabel="step", ylim=(0, None))
    for axis in axes:
        axis.legend()
    figure.suptitle(
        f"A preconditioner of {d} x {d} whose inverse fourth roots follow gradients of rank {SAMPLES} (generated data)",
        x=0.02, ha="left", fontsize=10,
    )  # fmt: skip
    return style.save(figure, out, "roots_preconditioner")


if __name__ == "__main__":
    style.command_line(__doc__, main)
