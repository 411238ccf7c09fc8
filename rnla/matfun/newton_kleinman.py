"""The correction of a square root by Newton's method on its Riccati equation: a reference.

Problem: X with X^2 + H X + X H = C, C = sign D D^H.
Equation of a step: (H + X_j) X_{j+1} + X_{j+1} (H + X_j) = C + X_j^2 [kleinman1968]_, from X_0 = 0.

S1. S = H + X_j = U diag(t) U^H;  X_{j+1} = U ((U^H (C + X_j^2) U) / (t_i + t_k)) U^H.
S2. After every step the residual is (X_{j+1} - X_j)^2 exactly, so it is positive semidefinite: the iterates come to the
    root from above, whatever the sign of the change.
S3. Again from S1 until norm(X_{j+1} - X_j)^2 is small.

Cost: a step takes a decomposition and five products of n x n matrices, 20 n^3 flops, on the host.

Guarantee: S2, an identity; the residual of the last iterate is computed.  The first step overshoots by about
norm(D)^2 / (2 norm(S) least eigenvalue); from there the error halves with every step until it is small, and only then
squares.  Checked in tests/matfun/test_references.py.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from rnla.checks import check_whole
from rnla.errors import InputError
from rnla.iterate import loop_or_late, tick
from rnla.matfun.dense_roots import change_of, corrected_by, entries_of
from rnla.matfun.galerkin import projected_root
from rnla.matfun.panels import Small
from rnla.matfun.protocols import Correction, RootProblem
from rnla.results.report import Status

__all__ = ["NewtonKleinman"]


class _Iterate(NamedTuple):
    X: Small
    history: tuple[float, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class NewtonKleinman:
    """Newton's method on the Riccati equation of the correction, to compare with.

    Parameters
    ----------
    steps : int
        At most so many, each of a whole decomposition.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> result = rnla.sqrtm_update(np.ones(30) + np.arange(30.0), np.ones((30, 1)), method=rnla.NewtonKleinman())
    >>> result.error.value < 1e-13
    True
    """

    steps: int = 50

    def __post_init__(self) -> None:
        check_whole("steps", self.steps, 1)

    @property
    def summary(self) -> str:
        """The method in one line."""
        return f"NewtonKleinman, at most {self.steps} steps"

    def correct(self, problem: RootProblem, state: Any = None) -> Correction:
        """Return the correction of a dense or diagonal root."""
        H = entries_of(problem.root, "NewtonKleinman")
        change = change_of(H, problem)
        if problem.boundary:
            projected_root(H, change)  # refuses what has no root, towards which no step would lead

        def step(now: _Iterate) -> _Iterate:
            tick()
            return _step(H, change, now)

        def finished(now: _Iterate) -> bool:
            if now.history[-1] <= problem.target / 4 or len(now.history) > self.steps:
                return True
            # Rounding: what would square in exact arithmetic no longer falls.
            return len(now.history) > 3 and now.history[-1] > now.history[-2] and now.history[-1] < 1e-8 * problem.norm

        last, late = loop_or_late(_Iterate(np.zeros_like(H), (problem.norm,)), step, finished)
        found = corrected_by(
            problem, H, last.X, change, "the residual, computed", last.history[:-1], len(H) * len(last.history)
        )
        if found.status is not Status.MET:
            out = len(last.history) > self.steps
            status = Status.DEADLINE if late else Status.ITERATIONS if out else found.status
            return dataclasses.replace(found, status=status)
        return found


def _step(H: Small, change: Small, now: _Iterate) -> _Iterate:
    t, U = np.linalg.eigh(H + now.X)  # S1
    eps = float(np.finfo(np.float64).eps)
    if t[0] < -1e3 * eps * float(np.abs(t).max()):
        raise InputError(
            f"an iterate of NewtonKleinman has the eigenvalue {t[0]:.3g}: A_half is not positive semidefinite, or the "
            "downdate leaves no positive semidefinite matrix"
        )
    t = np.maximum(t, eps * float(t[-1]))
    right = U.conj().T @ (change + now.X @ now.X) @ U
    X = U @ (right / (t[:, None] + t[None, :])) @ U.conj().T
    X = (X + X.conj().T) / 2
    moved = float(np.abs(np.linalg.eigvalsh(X - now.X)).max())
    return _Iterate(X, (*now.history, moved**2))  # S2
