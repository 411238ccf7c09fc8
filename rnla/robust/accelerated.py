"""Accelerated alternating projections (AccAltProj): robust PCA on the tangent space, reading all of D.

Problem: D = L + S with L of rank r and S sparse, from an array in memory, also with entries missing.

S1  z = 4 beta sigma_1(D), S = T_z(D), L = the leading r triplets of D - S, z = beta sigma_1(L).
S2  B = D - S with S = T_z(D - L); one reading of D gives B V, B^H U and the residual
    (`rnla._kernels.thresholding.cleaned_products`), and B is never whole.
S3  P_T(B) = U U^H B + B V V^H - U U^H B V V^H at the old U, V, cut to rank r: two QR factorizations of n x r and the
    SVD of a 2 r x 2 r core; its value r + 1 and its first give the next threshold
    z = beta (sigma_{r+1} + decay^t sigma_1).
S4  Stop at norm(D - L - S)_F <= tol norm(L)_F.

Cost: one reading of D and about 6 m n r flops an iteration; memory of O((m + n) r) beside D, but for the start, which
makes D - S.
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
from rnla.checks import check_positive
from rnla.errors import InputError
from rnla.robust.protocols import Factors, Problem, Step, reached, told
from rnla.robust.skeletons import stacked_blocks
from rnla.robust.thresholds import Threshold
from rnla.robust.whole import WholeState, array_of, leading, none, observed_norm, relative, sweep, without_large

__all__ = ["AccAltProj"]


@dataclasses.dataclass(frozen=True, slots=True)
class AccAltProj:
    """Accelerated alternating projections, with a randomized SVD to start from.

    Parameters
    ----------
    decay : float
        How fast the threshold falls; 0.7 usually, up to 0.95 for very many outliers.
    beta : float, optional
        The threshold in the scale of the singular values; by default 1 / (2 (m n)^(1/4)).
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
        if not 0 < check_positive("decay", self.decay) < 1:
            raise InputError(f"decay={self.decay} must lie between 0 and 1: how fast the threshold falls")
        if self.beta is not None:
            check_positive("beta", self.beta)

    @property
    def summary(self) -> str:
        """The method in one line."""
        return f"accelerated alternating projections (decay {self.decay:g})"

    def start(self, problem: Problem) -> WholeState:
        """Return the first state (S1)."""
        array = array_of(problem)
        m, n = problem.reader.shape
        part, key = self.threshold, problem.key.child("start")
        beta = _beta(self.beta, m, n, part.kind)
        first = float(host_values(leading(array, 1, key.child("norm")).s)[0])
        level = part.at(4 * beta * first if part.start is None else part.start)
        factors = leading(without_large(array, level, part.kind, problem.mask), problem.rank, key.child("model"))
        level = part.at(beta * float(host_values(factors.s)[0]))
        problem.reader.count_pass(2)
        step = Step(1.0, level, 0.0, float(problem.reader.entries))
        told(step, 1)
        return WholeState(factors, level, (step,), none(), none(), (array, observed_norm(array), beta))

    def advance(self, problem: Problem, state: WholeState) -> WholeState:
        """Return the next state (S2 to S4)."""
        array, whole, beta = state.spare
        old, rank, part = state.factors, problem.rank, self.threshold
        forward, backward, rest, share = sweep(array, old, state.threshold, part.kind, problem.mask)
        problem.reader.count_pass()
        step = Step(relative(rest, old, whole), state.threshold, share, float(problem.reader.entries))
        told(step, len(state.trace) + 1)
        trace = (*state.trace, step)
        if reached(trace, problem.tol, problem.least) or not math.isfinite(step.residual):
            return dataclasses.replace(state, trace=trace)
        new, values = _projected(old, forward, backward)
        following = float(values[rank]) if len(values) > rank else 0.0
        level = part.at(beta * (following + self.decay ** len(state.trace) * float(values[0])))
        return dataclasses.replace(state, factors=new, threshold=level, trace=trace)


def _beta(beta: float | None, m: int, n: int, kind: str) -> float:
    """Return beta; the root mean square of a column is sqrt(m) smaller than its share of a singular value at most."""
    if beta is not None:
        return beta
    return 1 / (2 * (m * n) ** 0.25) if kind == "entries" else 1 / (2 * math.sqrt(m))


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
