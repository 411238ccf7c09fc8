"""The alternating-direction iteration for the correction of a square root, with its residual in factors.

Problem: X with (H + X)^2 = H^2 + sign D D^H, H the root that is there.
Equation, after every step and for any shifts: H^2 + sign D D^H = S^2 + sign R R^H, S the iterate.

S1. S = H, R = D.
S2. A shift s > 0 (rnla/matfun/shifts.py).
S3. V = sqrt(2 s) (S + s I)^{-1} R.
S4. Y = I + sign / (2 s) V^H V;  S <- S + sign V Y^{-1} V^H;  R <- R - sqrt(2 s) V Y^{-1}.
S5. Again from S2 until norm(R)^2 is small: it is the backward error, for no further work.

All iterates lie in the rational Krylov space of (H, D) with poles at the shifts, so S3 is done on an orthonormal basis
Q of it: one solve (H + s I)^{-1} R of k columns gives the direction that a shift adds, and V = Q y has
(Q^H S Q + s I) y = sqrt(2 s) Q^H R.  What rounding leaves of S3, F = (S + s I) V - sqrt(2 s) R, is computed, and
2 norm(F Y^{-1} V^H) of each step is added to the error: a solver that does not solve cannot hide.

Cost: J steps of k columns: J k columns solved with and 3 J k multiplied with H, 16 n k^2 J^2 flops, n k J numbers.

Guarantee: the equation above, up to the measured rounding.  For sign = +1 the iterates grow towards the root from
below, for -1 they fall towards it; the number of steps is that of rational approximation on the spectrum of the root,
log(4 hi / lo) log(4 / tol) / pi^2 with elliptic shifts.  Checked in tests/matfun/test_shift_adi.py.

Differences from the literature: [shmueli2022]_ leaves the solver open; this is the factored iteration for algebraic
Riccati equations of [benner2018]_ with the unit matrix as quadratic term, and with the sign of a downdate.  1. Shifts
come from a Hermitian projection, so that they are real.  2. The solves with S are made in the projected space.

Use it wherever (H + s I) can be solved with.  Where H can only be multiplied, `KrylovGalerkin`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from rnla._xp.linalg import eps_of, frobenius
from rnla.checks import check_choice, check_whole
from rnla.errors import InputError, OperatorError
from rnla.iterate import loop_or_late, tick
from rnla.matfun.panels import Small, times
from rnla.matfun.projection import Projection, begun, grown, padded
from rnla.matfun.protocols import Correction, RootProblem
from rnla.matfun.shifts import adaptive_shift, elliptic_shifts, steps_needed
from rnla.results.report import Status

__all__ = ["ADIState", "ShiftADI"]


class ADIState(NamedTuple):
    """What survives a step; small arrays are coordinates in the basis of the projection."""

    projection: Projection
    Z: Small  # S = H + sign Z Z^H
    R: Small
    residual: Any  # Q R, a panel
    recent: tuple[Small, ...]
    shifts: tuple[float, ...]
    history: tuple[float, ...]
    slack: float
    solves: int
    stuck: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ShiftADI:
    """Alternating directions with shifted solves, the usual method.

    Parameters
    ----------
    shifts : {"adaptive", "elliptic"}
        Chosen as the iteration goes, or in advance from bounds of the spectrum.
    steps : int
        At most so many, and as many more whenever a result is extended.
    recent : int
        Directions of the last steps that an adaptive shift is chosen from.
    interval : tuple of float, optional
        Bounds on the eigenvalues of the root before and after the update, for elliptic shifts; by default those that
        the root tells.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> h, D = np.linspace(1.0, 2.0, 50), np.ones((50, 1)) / 10
    >>> rnla.sqrtm_update(h, D, method=rnla.ShiftADI(shifts="elliptic")).error.value < 1e-13
    True
    """

    shifts: str = "adaptive"
    steps: int = 100
    recent: int = 3
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_choice("shifts", self.shifts, ("adaptive", "elliptic"))
        check_whole("steps", self.steps, 1)
        check_whole("recent", self.recent, 0)

    @property
    def summary(self) -> str:
        """The method in one line."""
        return f"ShiftADI, {self.shifts} shifts, at most {self.steps} steps"

    def correct(self, problem: RootProblem, state: Any = None) -> Correction:
        """Return the correction to the target, going on from an earlier state if one is given."""
        planned = self._planned(problem)
        most = self.steps + (0 if state is None else len(state.shifts))
        if state is None:
            projection, d = begun(problem.root, problem.panel, problem.key.child("basis"))
            state = ADIState(projection, d[:, :0], d, problem.panel, (), (), (_square(d),), 0.0, 0)

        def step(now: ADIState) -> ADIState:
            tick()
            return self._step(problem, now, planned)

        def finished(now: ADIState) -> bool:
            # Where rounding alone is above the target, the residual is still brought down to it.
            met = now.history[-1] <= max(problem.target - now.slack, now.slack)
            return met or now.stuck or len(now.shifts) >= most

        state, late = loop_or_late(state, step, finished)
        status = Status.DEADLINE if late else Status.ITERATIONS
        if state.history[-1] + state.slack <= problem.target:
            status = Status.MET
        elif state.stuck and not problem.boundary:
            raise InputError(
                "the downdate leaves the cone of positive semidefinite matrices: A - D D^H has a negative eigenvalue"
            )
        elif state.stuck or state.history[-1] <= state.slack:
            status = Status.NOT_CERTIFIED
        W, w, _ = np.linalg.svd(state.Z, full_matrices=False)
        return Correction(
            state.projection.Q, W, problem.sign * w**2, state.history[-1], state.slack, "bounded",
            "the residual of the iteration", status, state.shifts, state.history, state.projection.products,
            state.solves, state,
        )  # fmt: skip

    def _planned(self, problem: RootProblem) -> tuple[float, ...]:
        """Return the elliptic shifts, in an order in which early steps already reach all of the spectrum."""
        if self.shifts == "adaptive":
            return ()
        root = problem.root
        lo, hi = self.interval or (root.lower, math.sqrt(root.upper**2 + max(problem.sign, 0) * problem.norm))
        if not 0 < lo <= hi < math.inf:
            raise InputError(
                "elliptic shifts need bounds of the root's spectrum, and this root does not tell them: give "
                "ShiftADI(interval=(lo, hi)), or take adaptive shifts"
            )
        count = steps_needed(lo, hi, max(problem.target / problem.norm, np.finfo(float).eps))
        shifts = elliptic_shifts(lo, hi, count)
        stride = max(1, round(math.sqrt(count)))
        return tuple(shifts[i] for start in range(stride) for i in range(start, count, stride))

    def _step(self, problem: RootProblem, now: ADIState, planned: tuple[float, ...]) -> ADIState:
        sign, before = problem.sign, now.projection
        done = len(now.shifts)
        if planned:
            s = planned[done % len(planned)]
        else:
            S = before.T + sign * (now.Z @ now.Z.conj().T)
            s = adaptive_shift(S, now.R, list(now.recent), sign, problem.target)  # S2
        solved = problem.root.shifted_solve(s, now.residual)
        projection = grown(before, solved, problem.key.child("basis", done + 1))
        Z, R = padded(now.Z, projection.size), padded(now.R, projection.size)
        shifted = projection.T + sign * (Z @ Z.conj().T)
        shifted[np.diag_indices_from(shifted)] += s
        y = math.sqrt(2 * s) * np.linalg.solve(shifted, R)  # S3
        core = np.eye(R.shape[1]) + (sign / (2 * s)) * (y.conj().T @ y)  # S4
        try:
            lower = np.linalg.cholesky(core)
        except np.linalg.LinAlgError:
            return now._replace(stuck=True)  # of a downdate alone
        z = np.linalg.solve(lower, y.conj().T).conj().T
        half = np.linalg.solve(lower.conj().T, z.conj().T).conj().T  # y Y^{-1}
        within = float(np.linalg.norm(shifted @ y - math.sqrt(2 * s) * R))
        slack, k = now.slack + 2 * within * math.sqrt(_square(half)), R.shape[1]
        R = R - math.sqrt(2 * s) * half
        panels = times(projection.Q, np.concatenate([y, projection.T @ y, R], axis=1))  # one reading of Q
        if not projection.whole:
            left = frobenius(problem.root.matmat(panels[:, :k]) - panels[:, k : 2 * k])
            slack += 2 * left * math.sqrt(_square(half))
            size = float(np.linalg.norm(shifted)) * float(np.linalg.norm(y))
            if left > math.sqrt(eps_of(projection.Q.dtype)) * size:
                raise OperatorError(
                    f"shifted_solve({s:.3g}, X) of the root does not solve (H + s I) Y = X: {left:.1e} is left, where "
                    f" H Y has norm {size:.1e}; it must give the inverse of H + s I times X"
                )
        recent = tuple(padded(x, projection.size) for x in (*now.recent, y)[-self.recent :]) if self.recent else ()
        return ADIState(
            projection, np.concatenate([Z, z], axis=1), R, panels[:, 2 * k :], recent, (*now.shifts, s),
            (*now.history, _square(R)), slack, now.solves + k,
        )  # fmt: skip


def _square(x: Small) -> float:
    """Return the square of the spectral norm of a few columns."""
    return max(0.0, float(np.linalg.eigvalsh(x.conj().T @ x)[-1]))
