"""Accelerated alternating projections (AccAltProj): robust PCA on the tangent space, reading all of D.

Problem: D = L + S with L of rank r and S sparse, from an array in memory, also with entries missing.

S1  z = 4 beta sigma_1(D), S = T_z(D), L = the leading r triplets of D - S, z = beta sigma_1(L).
S2  B = D - S with S = T_z(D - L); one reading of D (two for whole columns) gives B V, B^H U and the residual
    (`rnla.robust.sweeping`), and B is never whole.
S3  P_T(B) = U U^H B + B V V^H - U U^H B V V^H at the old U, V, cut to rank r: two QR factorizations of n x r and the
    SVD of a 2 r x 2 r core; its value r + 1 and its first give the next threshold
    z = beta (sigma_{r+1} + decay^t sigma_1).
S4  Stop at norm(D - L - S)_F <= tol norm(L)_F.

Cost: one reading of D and about 6 m n r flops an iteration; memory of O((m + n) r) beside D, but for the start, which
makes D - S; with entries missing, a copy of D without them.
Guarantee: linear convergence on incoherent L and sparse S [cai2019]_; the certificate looks at the entries.

Differences from the paper and its program: (1) the two SVDs of S1 are randomized, with the same errors; (2) no trimming
of the factors, which was off in the program too; (3) beta = 1 / (2 (m n)^(1/4)) as in the program, whose text says
otherwise; (4) entries that were not observed, as outliers, take the value of L; (5) the residual is relative to L and
not to D, which large outliers make large.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

from rnla._xp.linalg import adjoint, cast, host_values, qr, svd
from rnla.robust.protocols import Factors, Problem, reached
from rnla.robust.skeletons import stacked_blocks
from rnla.robust.sweeping import sweep
from rnla.robust.thresholds import Threshold
from rnla.robust.whole import WholeState, begun, beta_of, check_pace, none, relative, traced

__all__ = ["AccAltProj"]


@dataclasses.dataclass(frozen=True, slots=True)
class AccAltProj:
    """Accelerated alternating projections, with a randomized SVD to start from.

    Parameters
    ----------
    decay : float
        How fast the threshold falls; 0.7 usually, up to 0.95 for very many outliers.
    beta : float, optional
        The threshold in the scale of the singular values; by default 1 / (2 (m n)^(1/4)), for columns 1 / (2 m^(1/2)).
    threshold : Threshold
        What counts as an outlier.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> D = np.outer(np.arange(1.0, 101.0), np.ones(80)) + 300.0 * (np.random.default_rng(0).random((100, 80)) < 0.1)
    >>> rnla.robust_pca(D, 1, method=rnla.AccAltProj(), rng=0).status.ok
    True
    """

    name: ClassVar[str] = "accaltproj"
    reads_all: ClassVar[bool] = True

    decay: float = 0.7
    beta: float | None = None
    threshold: Threshold = Threshold()

    def __post_init__(self) -> None:
        check_pace(self.decay, self.beta)

    @property
    def summary(self) -> str:
        """The method in one line."""
        return f"accelerated alternating projections (decay {self.decay:g})"

    def start(self, problem: Problem) -> WholeState:
        """Return the first state (S1)."""
        part = self.threshold
        beta = beta_of(self.beta, *problem.reader.shape, part.kind)
        data, norm, factors = begun(problem, part, 4 * beta, problem.rank)
        level = part.at(beta * float(host_values(factors.s)[0]))
        trace = traced(problem, (), 1.0, level, passes=2)
        return WholeState(factors, level, trace, none(), none(), (data, norm, beta))

    def advance(self, problem: Problem, state: WholeState) -> WholeState:
        """Return the next state (S2 to S4)."""
        data, whole, beta = state.spare
        old, rank, part = state.factors, problem.rank, self.threshold
        forward, backward, rest, share = sweep(data, old, state.threshold)
        trace = traced(problem, state.trace, relative(rest, old, whole), state.threshold, share)
        if reached(trace, problem.tol, problem.least) or not math.isfinite(trace[-1].residual):
            return dataclasses.replace(state, trace=trace)
        new, values = _projected(old, forward, backward)
        following = float(values[rank]) if len(values) > rank else 0.0
        level = part.at(beta * (following + self.decay ** len(state.trace) * float(values[0])))
        return dataclasses.replace(state, factors=new, threshold=level, trace=trace)


def _projected(old: Factors, forward: Any, backward: Any) -> tuple[Factors, Any]:
    """Return the rank-r part of P_T(B), and all its singular values, from B V and the adjoint of B times U (S3)."""
    u, v, rank = old.U, adjoint(old.Vh), int(old.s.shape[0])
    core = adjoint(u) @ forward
    q1, r1 = qr(backward - v @ adjoint(core))
    q2, r2 = qr(forward - u @ core)
    a, s, b = svd(stacked_blocks(core, adjoint(r1), r2))
    left = u @ a[:rank, :rank] + q2 @ a[rank:, :rank]
    right = b[:rank, :rank] @ old.Vh + b[:rank, rank:] @ adjoint(q1)
    return Factors(left, cast(s[:rank], old.s.dtype), right), host_values(s)
