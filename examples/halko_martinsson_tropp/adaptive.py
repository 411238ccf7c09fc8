"""Algorithm 4.2 watched at every step, by the paper's letter and by the library's part: figures 7.2, 7.3 and 7.4."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

import rnla
from examples.pictures import style
from rnla.rng import Key

ROUNDING = 1e-14  # above what the computed singular values and residuals are wrong by


@dataclasses.dataclass(frozen=True)
class Run:
    """What Algorithm 4.2 saw at each step, entry l with l columns in the basis.

    Attributes
    ----------
    estimate : numpy.ndarray
        10 sqrt(2/pi) times the largest of the norms of the next r residual vectors: equation (4.3).
    error : numpy.ndarray
        The spectral norm of (I - Q Q*) A, computed in full.
    """

    estimate: np.ndarray
    error: np.ndarray


def adaptive_run(A: np.ndarray, steps: int, key: Key, *, r: int = 5, watch: range | list[int] | None = None) -> Run:
    """Run Algorithm 4.2 for a number of steps without stopping, and look at the error after those in `watch`.

    A column is made orthogonal to the basis again until nothing more comes off, as the paper advises; below rounding
    the columns are noise, and the algorithm is let run on to show where it ends up.
    """
    m, n = A.shape
    samples = key.child("test-matrix").normals(0, n, steps + r)
    Y = A @ samples  # y_i, kept orthogonal to the basis so far
    Q, E = np.zeros((m, 0)), A.copy()
    estimate, error = np.full(steps + 1, np.nan), np.full(steps + 1, np.nan)
    watched = set(range(steps + 1) if watch is None else watch)
    for j in range(steps + 1):
        # Only r columns are ever in flight in the algorithm; the later ones have not been projected yet.
        ahead = Y[:, j : j + r] - Q @ (Q.T @ Y[:, j : j + r])
        estimate[j] = 10 * np.sqrt(2 / np.pi) * np.linalg.norm(ahead, axis=0).max()
        if j in watched:
            error[j] = np.linalg.norm(E, 2)
        if j == steps:
            break
        q = ahead[:, 0]
        while True:  # until little of a unit vector is taken away: then it is orthogonal to rounding
            q = q / np.linalg.norm(q)
            p = q - Q @ (Q.T @ q)
            q, left = p, np.linalg.norm(p)
            if left > 0.7:
                break
        q = q / np.linalg.norm(q)
        Q = np.column_stack([Q, q])
        E = E - np.outer(q, q @ E)
    return Run(estimate, error)


def check(s: np.ndarray, run: Run) -> None:
    """Raise where the curves do not have the shape of the paper's; the matrix has norm 1."""
    clear = s[: len(run.error)] > ROUNDING
    least, e, f = s[: len(run.error)][clear], run.error[clear], run.estimate[clear]
    assert np.all(e >= least * (1 - 1e-9) - ROUNDING)
    assert np.all(e <= 100 * least)
    assert np.median(e / least) <= 10
    assert np.all(f >= e)
    assert 8 <= np.median(f / e) <= 25


def library_bases(operator: Any, A: np.ndarray, s: np.ndarray, tolerances: list[float]) -> np.ndarray:
    """Return (columns, own bound, error) of the bases that the library finds for some tolerances, checked.

    `operator` is what the library is given, `A` the same matrix in full, to measure by.
    """
    part = rnla.AdaptiveSampling(probes=5, block_size=5)
    found = []
    for tol in tolerances:
        result = rnla.svd(operator, tol=tol, norm="spectral", method=part, rng=0)
        U, values, Vh = result
        assert np.linalg.norm(A - (U * values) @ Vh, 2) <= tol
        basis = result.resume.basis
        error = float(np.linalg.norm(A - basis.basis @ (basis.basis.T @ A), 2))
        assert s[basis.size] * (1 - 1e-9) - ROUNDING <= error <= min(basis.bound, 100 * s[basis.size])
        found.append((basis.size, basis.bound, error))
    return np.array(found)


def draw(axis: Any, s: np.ndarray, run: Run, bases: np.ndarray) -> None:
    """Draw the three curves and the library's bases over the number of columns."""
    steps = len(run.error) - 1
    columns = np.arange(steps + 1)
    axis.semilogy(columns, run.estimate, color=style.RED, linestyle="--", label=r"estimate $f_\ell$")
    axis.semilogy(columns, run.error, color=style.BLUE, label=r"error $e_\ell=\Vert(I-QQ^*)A\Vert$")
    axis.semilogy(columns, s[: steps + 1], color=style.BLACK, linestyle=":", label=r"least error $\sigma_{\ell+1}$")
    look = {"markerfacecolor": "white", "linestyle": ""}
    axis.semilogy(bases[:, 0], bases[:, 1], marker="o", color=style.RED, label="AdaptiveSampling: its bound", **look)
    axis.semilogy(bases[:, 0], bases[:, 2], marker="o", color=style.BLUE, label="AdaptiveSampling: its error", **look)
    axis.set(xlabel=r"columns $\ell$ of the basis", ylabel="spectral norm", xlim=(0, steps), ylim=(1e-18, 1e2))
    axis.set_title("Algorithm 4.2, one run")
    axis.legend()
