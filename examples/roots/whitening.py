"""Whitening by the covariance of a sliding window, which is kept up to date instead of being computed anew.

    python -m examples.roots.whitening [--small] [--out FOLDER]

scikit-learn's pictures of handwritten digits, each also shifted by a pixel in four directions, stream by from zeros to
nines; without scikit-learn, generated pictures do.  A picture x becomes 1500 features cos(W x + b) with W and b drawn
once.  The covariance C of the last 3000 pictures, with a ridge, follows the stream: two pictures enter the window and
two leave it at every step, and `rnla.SqrtState` follows with S = C^{1/2}.  ZCA whitening is x -> C^{-1/2} x.

What it is compared with, a root made anew, is a decomposition and the product that makes the root of it.

The error is norm(S^{-1} C S^{-1} - I), with C computed from the window.  It is at most e / (r - e), r the ridge and e
the absolute error norm(C - S^2) that the state certifies, as C is at least r.

Checked: the error is under that bound wherever it is looked at, and under 1e-6; a whitening that is kept from the first
window is off by more than 1.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np

import rnla
from examples.pictures import style

RIDGE, COLUMNS = 1e-3, 2


def pictures() -> tuple[np.ndarray, str]:
    """Return pictures of 64 pixels between 0 and 1 as rows, in the order of the stream, and what they are."""
    try:
        from sklearn.datasets import load_digits

        images, digits = load_digits(return_X_y=True)
        images, name = images.reshape(-1, 8, 8) / 16, "digits"
    except ImportError:
        rng = np.random.default_rng(0)
        digits = rng.integers(0, 10, 1797)
        smooth = rng.standard_normal((10, 5)) @ rng.standard_normal((5, 64))
        images = smooth[digits] + 0.3 * rng.standard_normal((1797, 64))
        images, name = 1 / (1 + np.exp(-images.reshape(-1, 8, 8))), "generated pictures"
    shifted = [images, *(np.roll(images, by, axis=axis) for axis in (1, 2) for by in (1, -1))]
    order = np.argsort(np.tile(digits, 5), kind="stable")
    return np.concatenate(shifted).reshape(-1, 64)[order], name


def features(x: np.ndarray, n: int, window: int) -> np.ndarray:
    """Return n features of each picture, scaled so that a window's are a square root of its covariance."""
    rng = np.random.default_rng(0)
    found = np.sqrt(2) * np.cos(x @ (0.35 * rng.standard_normal((64, n))) + rng.uniform(0, 2 * np.pi, n))
    return (found - found.mean(axis=0)) / np.sqrt(window)


def covariance(panel: np.ndarray) -> np.ndarray:
    """Return the covariance of the features in a window, with the ridge."""
    C = panel.T @ panel
    C[np.diag_indices_from(C)] += RIDGE
    return C


def whitened(C: np.ndarray, solve: object) -> np.ndarray:
    """Return the eigenvalues of W C W for the whitening X -> W X; all should be 1."""
    WC = solve(C)  # type: ignore[operator]
    M = solve(np.ascontiguousarray(WC.T))  # type: ignore[operator]
    return np.linalg.eigvalsh((M + M.T) / 2)


def off(values: np.ndarray) -> float:
    """Return the error of a whitening."""
    return float(np.abs(values - 1).max())


@dataclasses.dataclass(frozen=True)
class Look:
    """What was seen after a step: errors of three whitenings, the bound on the first, and seconds so far."""

    step: int
    updated: float
    bound: float
    recomputed: float
    kept: float
    seconds: float
    one_anew: float


def follow(F: np.ndarray, window: int, steps: int, every: int) -> tuple[list[Look], dict[str, np.ndarray], object]:
    """Return the looks, the eigenvalues of the last covariance after two whitenings, and the state."""
    C = covariance(F[:window])
    start = time.perf_counter()
    state = rnla.SqrtState.init(C, rng=0)
    seconds = time.perf_counter() - start
    values, vectors = np.linalg.eigh(C)
    first = (vectors / np.sqrt(values)) @ vectors.T

    looks, last = [], {}
    for step in range(steps + 1):
        if step:
            leaving = F[(step - 1) * COLUMNS : step * COLUMNS].T
            entering = F[window + (step - 1) * COLUMNS : window + step * COLUMNS].T
            start = time.perf_counter()
            state.replace(entering, leaving)
            seconds += time.perf_counter() - start
        if step % every == 0:
            C = covariance(F[step * COLUMNS : window + step * COLUMNS])
            start = time.perf_counter()
            values, vectors = np.linalg.eigh(C)
            fresh = (vectors / np.sqrt(values)) @ vectors.T
            one = time.perf_counter() - start
            last = {"updated": whitened(C, state.solve), "first window's": whitened(C, lambda x: first @ x)}
            e = state.error.absolute
            ways = off(last["updated"]), e / (RIDGE - e), off(whitened(C, lambda x, W=fresh: W @ x))
            looks.append(Look(step, *ways, off(last["first window's"]), seconds, one))
    return looks, last, state


def check(looks: list[Look]) -> None:
    """Raise unless the whitening that follows stays exact, under its bound, and the first one does not."""
    assert all(0 < look.updated <= look.bound for look in looks)
    assert max(look.updated for look in looks) <= 1e-6
    assert looks[-1].kept > 1


def main(small: bool, out: Path) -> Path:
    n, window, steps, every = (150, 400, 120, 20) if small else (1500, 3000, 500, 50)
    x, name = pictures()
    F = features(x[:: 8 if small else 1], n, window)
    with rnla.config_context(threads=1):  # as the decompositions it is compared with, in `style.command_line`
        looks, last, state = follow(F, window, steps, every)
    check(looks)
    own, anew = looks[-1].seconds, (steps + 1) * float(np.median([look.one_anew for look in looks]))
    print(f"{name}: {state!r}")
    print(
        f"after {steps} steps the whitening is off by {looks[-1].updated:.1e} (bound {looks[-1].bound:.1e}, recomputed "
        f"{looks[-1].recomputed:.1e}, the first window's {looks[-1].kept:.1e}); {own:.1f} s, and {anew:.1f} s by "
        "decompositions"
    )

    figure, axes = style.panels(1, 3, width=9.6, height=3.5)
    at = [look.step for look in looks]
    for label, key, colour, marker, line in (
        ("first window's, kept", "kept", style.ORANGE, "D", ":"),
        ("bound from the certificate", "bound", style.BLACK, "", "-"),
        ("updated", "updated", style.RED, "s", "--"),
        ("recomputed", "recomputed", style.BLUE, "o", "-"),
    ):
        shown = [max(getattr(look, key), 1e-16) for look in looks]
        axes[0].semilogy(at, shown, color=colour, marker=marker, linestyle=line, markersize=3, label=label)
    axes[0].set(title=r"Error of the whitening, $\Vert WCW-I\Vert$", xlabel="step", ylim=(1e-14, 1e4))
    axes[0].legend(loc="center", bbox_to_anchor=(0.58, 0.62))

    axes[1].plot(at, [(s + 1) * anew / (steps + 1) for s in at], color=style.BLUE, label="recomputed: steps times one")
    axes[1].plot(at, [look.seconds for look in looks], color=style.RED, linestyle="--", label="updated")
    axes[1].set(title="Seconds for the roots, added up", xlabel="step", ylim=(0, 1.25 * max(anew, own)))
    axes[1].legend(loc="upper left")

    for (label, values), colour, line in zip(last.items(), (style.RED, style.ORANGE), ("--", ":"), strict=True):
        axes[2].semilogy(np.arange(1, n + 1), values[::-1], color=colour, linestyle=line, linewidth=2.2, label=label)
    axes[2].set(title="Eigenvalues of $WCW$ at the end", xlabel="number of the eigenvalue")
    axes[2].legend(loc="upper right")
    figure.suptitle(
        f"{n} features of {name} in a window of {window}, {COLUMNS} in and {COLUMNS} out at each step",
        x=0.02, ha="left", fontsize=10,
    )  # fmt: skip
    return style.save(figure, out, "roots_whitening")


if __name__ == "__main__":
    style.command_line(__doc__, main)
