"""The correction of a square root by projection on a space that grows, whatever it is made of.

Problem: X with (H + X)^2 = H^2 + C, C = Q M Q^H of low rank and in the space already.

S1. On the basis Q of the space, T = Q^H H Q, the projected equation has a closed form: X = Q Y Q^H with
    Y = (T^2 + M)^{1/2} - T.
S2. N = (I - Q Q^H) H Q Y.  The residual is exactly -(N Q^H + Q N^H), and its spectral norm is norm(N).
S3. While norm(N) is above the target, the space gets the leading directions of N, solved with H + s I, s the eigenvalue
    of the projected root that N holds most of, weighted by 1 / s.

Cost: a step at l columns: 4 n l^2 flops and one product with l columns.  Guarantee: S2, an identity for any space that
holds C; what rounding leaves of the closed form is measured and added.  Checked in tests/matfun/test_galerkin.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rnla._xp.linalg import eps_of
from rnla._xp.namespace import to_host
from rnla.errors import DeadlineReached, InputError
from rnla.iterate import loop, tick
from rnla.matfun.panels import Small, by_modulus
from rnla.matfun.projection import Projection, grown, on_basis
from rnla.matfun.protocols import Correction, RootProblem
from rnla.orth.cholesky_qr import gram
from rnla.results.report import Status
from rnla.rng import Key

__all__ = ["GalerkinState", "continued", "ProjectedRoot", "galerkin", "projected_root"]

_BLOCK = 8  # directions added at most in a step
_TINY = 1e-250  # residuals that nothing is divided by
_STEPS = 100
_PATIENCE = 6
_ROUNDING = 8


class ProjectedRoot(NamedTuple):
    """The root T + Y of T^2 + M, with its eigenvalues and eigenvectors, and a bound on what rounding left.

    `left` bounds the Frobenius norm of (T + Y)^2 - T^2 - M.
    """

    Y: Small
    theta: Small
    vectors: Small
    left: float


class GalerkinState(NamedTuple):
    """What survives a step."""

    projection: Projection
    M: Small
    root: ProjectedRoot
    history: tuple[float, ...]
    shifts: tuple[float, ...]
    directions: Small  # coordinates y of the leading residuals (I - Q Q^H) H Q y
    steps: int
    solves: int


def projected_root(
    T: Small, M: Small, eps: float = float(np.finfo(np.float64).eps), slack: float = 0.0
) -> ProjectedRoot:
    """Return the root of T^2 + M, which were computed with rounding `eps`, M with an error of `slack` more.

    The difference of two roots loses a small Y in the rounding of T.  So it is improved by a step of Newton's method
    on T Y + Y T + Y^2 = M, whose terms are as small as Y, and in which what is left is measured.

    Raises
    ------
    InputError
        T^2 + M has a negative eigenvalue beyond rounding; so has H^2 + C, which it is a projection of.

    Examples
    --------
    >>> import numpy as np
    >>> projected_root(np.eye(1), np.array([[3.0]])).Y.round(12).tolist()
    [[1.0]]
    """
    squared = T @ T
    scale = max(float(np.abs(x).sum(axis=1).max(initial=0.0)) for x in (squared, M))
    squared = squared + M
    values, vectors = np.linalg.eigh((squared + squared.conj().T) / 2)
    if values[0] < -1e3 * eps * scale - slack:
        raise InputError(
            f"the downdate is not possible: A - D D^H has an eigenvalue of {values[0]:.3g} or less, and so no root; "
            "take less away, or pass sign=+1 if D is to be added"
        )
    theta = np.sqrt(np.maximum(values, 0.0))
    Y = (vectors * theta) @ vectors.conj().T - T
    Y, rest, left = _rest(T, M, (Y + Y.conj().T) / 2)
    tiny = max(float(np.finfo(np.float64).eps) * float(theta.max(initial=0.0)), float(np.finfo(np.float64).tiny))
    step = (vectors.conj().T @ rest @ vectors) / np.maximum(theta[:, None] + theta[None, :], tiny)
    better, _, now = _rest(T, M, Y + vectors @ step @ vectors.conj().T)
    if now < left:
        Y, left = better, now
    left += _ROUNDING * float(np.finfo(np.float64).eps) * (2 * float(theta.max(initial=0.0)) + _size(Y)) * _size(Y)
    return ProjectedRoot(Y, theta, vectors, left)


def _rest(T: Small, M: Small, Y: Small) -> tuple[Small, Small, float]:
    """Return Y, M - T Y - Y T - Y^2, and its norm."""
    product = (T + Y / 2) @ Y
    rest = M - product - product.conj().T
    return Y, rest, _size(rest)


def _size(x: Small) -> float:
    return float(np.linalg.norm(x))


def galerkin(
    projection: Projection,
    M: Small,
    target: float,
    steps: int,
    key: Key,
    solve: Callable[[float, Any], Any],
    slack: float = 0.0,
) -> GalerkinState:
    """Return the correction on a space that has grown until the residual is at most `target`.

    Parameters
    ----------
    projection : Projection
        Of H, on a basis whose range holds the change.
    M : numpy.ndarray, shape (l, l)
        The change C in that basis.
    target : float
        Of norm(N).
    steps : int
        At most so many.
    key : Key
    solve : callable
        (s, X) -> (H + s I)^{-1} X, or near it: the residual is measured, whatever the space was made with.
    slack : float
        How far C may be from what it stands for, so that H^2 + C has an eigenvalue as far below zero.
    """

    def step(now: GalerkinState) -> GalerkinState:
        tick()
        s = _shift(now)
        block = solve(s, now.projection.remainder(now.directions))
        wider = grown(now.projection, block, key.child(now.steps))
        return _looked_at(now, wider, now.M, target, s, int(block.shape[1]), slack)

    def finished(now: GalerkinState) -> bool:
        met = now.history[-1] <= target
        return met or now.steps >= steps or now.projection.whole or _stalled(now.history)

    return loop(_looked_at(None, projection, M, target, None, 0, slack), step, finished)


def _stalled(history: tuple[float, ...]) -> bool:
    """Whether the last looks brought nothing: the residual is at rounding, and more directions only cost memory."""
    return len(history) > _PATIENCE and min(history[-_PATIENCE:]) >= 0.9 * min(history[:-_PATIENCE])


def _looked_at(
    before: GalerkinState | None,
    projection: Projection,
    M: Small,
    target: float,
    s: float | None,
    solved: int,
    slack: float,
) -> GalerkinState:
    size, had = projection.size, len(M)
    wide = np.zeros((size, size), dtype=np.result_type(M.dtype, projection.T.dtype))
    wide[:had, :had] = M
    root = projected_root(projection.T, wide, eps_of(projection.root.dtype), slack)  # S1
    residual, directions = 0.0, np.zeros((size, 0))
    if not projection.whole:
        squares, mix = np.linalg.eigh(to_host(gram(projection.remainder(root.Y))))  # S2
        sizes = np.sqrt(np.maximum(squares[::-1], 0.0))
        residual = float(sizes[0])
        count = max(1, min(_BLOCK, int(np.count_nonzero(sizes > target / 4))))
        directions = (root.Y @ mix[:, ::-1][:, :count]) / np.where(sizes[:count] > _TINY, sizes[:count], 1.0)
    if before is None or s is None:
        return GalerkinState(projection, wide, root, (residual,), (), directions, 0, solved)
    return GalerkinState(
        projection, wide, root, (*before.history, residual), (*before.shifts, s), directions, before.steps + 1,
        before.solves + solved,
    )  # fmt: skip


def _shift(now: GalerkinState) -> float:
    """Return the eigenvalue of the projected root that the weighted residual holds most of (S3)."""
    theta = np.maximum(now.root.theta, np.finfo(float).eps * now.root.theta[-1])
    held = (np.abs(now.root.vectors.conj().T @ now.directions) ** 2).sum(axis=1)
    return float(theta[np.argmax(held / theta)])


def continued(first: Correction, problem: RootProblem) -> Correction:
    """Return the root of the root that another correction led to, on the basis of that one, which grows as needed.

    Parameters
    ----------
    first : Correction
        X of H = `problem.root` squared; the change is X itself, not D D^H.
    problem : RootProblem
    """
    M = (first.W * first.w) @ first.W.conj().T
    projection = on_basis(problem.root, first.Q)
    late = False
    try:
        # A root whose square is in error by e is itself in error by sqrt(e) at most.
        slack = math.sqrt(first.residual + first.slack)
        state = galerkin(projection, M, problem.target, _STEPS, problem.key, problem.root.shifted_solve, slack)
    except DeadlineReached as error:
        state, late = error.result, True
    values, vectors = by_modulus(state.root.Y)
    met = state.history[-1] <= problem.target
    status = Status.MET if met else Status.DEADLINE if late else Status.ITERATIONS
    return Correction(
        state.projection.Q, vectors, values, state.history[-1], state.root.left, "bounded",
        "the residual of the projection", status, state.shifts, state.history, state.projection.products, state.solves,
    )  # fmt: skip
