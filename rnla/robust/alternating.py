"""Alternating projections (AltProj): a truncated SVD of D - S, and the outliers of what it leaves, in turn.

Problem: D = L + S with L of rank r and S sparse, from an array in memory, also with entries missing.

S1  z = beta sigma_1(D), S = T_z(D).
S2  The leading k + 1 triplets of D - S; L is the first k.
S3  z = beta (sigma_{k+1} + decay^t sigma_k), S = T_z(D - L); entries not observed take the value of L.
S4  In stages, k = 1, ..., r: k grows by one once beta sigma_{k+1} is below tol / (2 n) sigma_1, or sigma_{k+1} stands
    still; else with k = r from the start.  Stop at norm(D - L - S)_F <= tol norm(L)_F.

Cost: one randomized SVD of a dense m x n array an iteration; memory of one array as large as D
(two with entries missing).
Guarantee: [netrapalli2014]_ for incoherent L; the certificate looks at the entries.
Differences from the paper: (1) beta = 1 / (2 (m n)^(1/4)), as for the accelerated method, in place of the unknown
4 mu^2 r / sqrt(m n); (2) stages are off by default: on well-conditioned L they multiply the work by the rank.
When: as a baseline, or for ill-conditioned L, in stages; `AccAltProj` is faster.
"""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from rnla._xp.linalg import host_values
from rnla.robust.protocols import Factors, Problem, reached
from rnla.robust.sweeping import cleaned_array
from rnla.robust.thresholds import Threshold
from rnla.robust.whole import WholeState, begun, beta_of, check_pace, leading, none, relative, traced

__all__ = ["AlternatingProjections"]


@dataclasses.dataclass(frozen=True, slots=True)
class AlternatingProjections:
    """Alternating projections on the matrices of rank r and on the sparse ones.

    Parameters
    ----------
    decay, beta, threshold
        As for `AccAltProj`.
    stages : bool
        Whether the rank grows one by one.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> D = np.outer(np.arange(1.0, 101.0), np.ones(80)) + 300.0 * (np.random.default_rng(0).random((100, 80)) < 0.1)
    >>> rnla.robust_pca(D, 1, method=rnla.AlternatingProjections(), rng=0).status.ok
    True
    """

    name: ClassVar[str] = "altproj"
    reads_all: ClassVar[bool] = True

    decay: float = 0.7
    stages: bool = False
    beta: float | None = None
    threshold: Threshold = Threshold()

    def __post_init__(self) -> None:
        check_pace(self.decay, self.beta)

    @property
    def summary(self) -> str:
        """The method in one line."""
        return f"alternating projections (decay {self.decay:g}{', in stages' if self.stages else ''})"

    def start(self, problem: Problem) -> WholeState:
        """Return the first state (S1 and S2)."""
        part, rank = self.threshold, 1 if self.stages else problem.rank
        beta = beta_of(self.beta, *problem.reader.shape, part.kind)
        data, norm, found = begun(problem, part, beta, rank + 1)
        factors, level = self._cut(found, rank, beta, 0)
        trace = traced(problem, (), 1.0, level, passes=2)
        return WholeState(factors, level, trace, none(), none(), (data, norm, beta, 1))

    def advance(self, problem: Problem, state: WholeState) -> WholeState:
        """Return the next state (S2 to S4)."""
        data, whole, beta, inner = state.spare
        old = state.factors
        clean, rest, share = cleaned_array(data, old, state.threshold)
        trace = traced(problem, state.trace, relative(rest, old, whole), state.threshold, share)
        rank = int(old.s.shape[0])
        done = rank >= problem.rank and reached(trace, problem.tol, problem.least)
        if done or not math.isfinite(trace[-1].residual):
            return dataclasses.replace(state, trace=trace)
        found = leading(clean, rank + 1, problem.key.child("model", len(trace)))
        values = host_values(found.s)
        over = float(values[rank]) if len(values) > rank else 0.0
        # S4: what is left of the next value is either nothing, or far above what the threshold lets pass.
        settled = beta * self.decay**inner * float(values[0]) < beta * over / 2
        small = beta * over < problem.tol / (2 * max(clean.shape)) * float(values[0])
        if rank < problem.rank and (settled or small):
            rank, inner = rank + 1, 0
            found = leading(clean, rank + 1, problem.key.child("model", len(trace), rank))
        factors, level = self._cut(found, rank, beta, inner)
        return dataclasses.replace(
            state, factors=factors, threshold=level, trace=trace, spare=(data, whole, beta, inner + 1)
        )

    def _cut(self, found: Factors, rank: int, beta: float, inner: int) -> tuple[Factors, float]:
        values = host_values(found.s)
        over = float(values[rank]) if len(values) > rank else 0.0
        level = self.threshold.at(beta * (over + self.decay**inner * float(values[min(rank, len(values)) - 1])))
        return Factors(found.U[:, :rank], found.s[:rank], found.Vh[:rank, :]), level
