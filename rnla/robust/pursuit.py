"""Principal component pursuit (PCP) by the method of multipliers: no rank is given.

Problem: minimize norm(L)_* + w norm(S)_1 with L + S = D where D was observed (for whole columns: the sum of the norms
of the columns of S, which is called outlier pursuit).

S1  Y = D / max(norm(D)_2, norm(D)_max / w), for columns with their largest norm in place of norm(D)_max;
    mu = 1.25 / norm(D)_2.
S2  S = shrink(D - L + Y / mu, w / mu): entries (or columns) are made smaller; free where D was not observed.
S3  L = the singular values of D - S + Y / mu made smaller by 1 / mu, by a full SVD.
S4  Y += mu (D - L - S), mu *= growth; stop at norm(D - L - S)_F <= tol norm(L)_F.

Cost: a full SVD of m x n an iteration; memory of five arrays as large as D.
Guarantee: exact recovery of incoherent L for w = 1 / sqrt(max(m, n)) [candes2011]_, and of the minimizer as mu grows
slowly [lin2010]_.
Differences: (1) S as it is returned is D - L from the level on that separates the support of the S of S2, so that it is
made on demand as for the other methods; (2) the rank of L is the number of values that S3 left; (3) w = 0.4 for columns
recovered L with a tenth of the columns corrupted at n = 120 and 250, where 3 / (7 sqrt(n / 10)) of outlier pursuit
[xu2012]_ gave errors of 0.3.
When: the rank is not known and D is small; it is the slowest method by far.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

from rnla._xp.linalg import cast, frobenius, host_values, max_abs, svd, zeros
from rnla._xp.namespace import namespace_of
from rnla.checks import check_number, check_positive
from rnla.errors import InputError
from rnla.robust.protocols import Factors, Problem, Step, told
from rnla.robust.thresholds import Threshold, column_levels
from rnla.robust.whole import WholeState, array_of, leading, none, observed_norm, relative

__all__ = ["PrincipalComponentPursuit"]

_TINY = 1e-37


@dataclasses.dataclass(frozen=True, slots=True)
class PrincipalComponentPursuit:
    """Principal component pursuit by ADMM with full SVDs.

    Parameters
    ----------
    weight : float, optional
        w; by default 1 / sqrt(max(m, n)) for entries, 0.4 for columns.
    growth : float
        What the penalty is multiplied with in each iteration; nearer to 1 is slower and surer.
    threshold : Threshold
        Its kind; the levels come from the method.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> D = np.outer(np.arange(1.0, 61.0), np.ones(50)) + 300.0 * (np.random.default_rng(0).random((60, 50)) < 0.1)
    >>> rnla.robust_pca(D, method=rnla.PrincipalComponentPursuit(), rng=0).rank
    1
    """

    name: ClassVar[str] = "pcp"
    reads_all: ClassVar[bool] = True

    weight: float | None = None
    growth: float = 1.2
    threshold: Threshold = Threshold()

    def __post_init__(self) -> None:
        if self.weight is not None:
            check_positive("weight", self.weight)
        if not 1 < check_number("growth", self.growth) < math.inf:
            raise InputError(f"growth={self.growth} must be above 1: what the penalty is multiplied with")

    @property
    def summary(self) -> str:
        """The method in one line."""
        return f"principal component pursuit by ADMM (growth {self.growth:g})"

    def start(self, problem: Problem) -> WholeState:
        """Return the first state (S1)."""
        array = array_of(problem)
        m, n = problem.reader.shape
        weight = self.weight
        if weight is None:
            weight = 1 / math.sqrt(max(m, n)) if self.threshold.kind == "entries" else 0.4
        top = float(host_values(leading(array, 1, problem.key.child("norm")).s)[0])
        problem.reader.count_pass()
        step = Step(1.0, math.inf, 0.0, float(problem.reader.entries))
        told(step, 1)
        none_yet = Factors(zeros((m, 0), array), host_like(array), zeros((0, n), array))
        largest = max_abs(array) if self.threshold.kind == "entries" else _longest(array)
        scale = max(top, largest / weight)
        dual = array / scale if scale > 0 else array
        spare = (
            array,
            observed_norm(array),
            weight,
            1.25 / top if top > 0 else 1.0,
            dual,
            namespace_of(array).zeros_like(array),
        )
        return WholeState(none_yet, math.inf, (step,), none(), none(), spare)

    def advance(self, problem: Problem, state: WholeState) -> WholeState:
        """Return the next state (S2 to S4)."""
        array, whole, weight, mu, dual, low = state.spare
        xp = namespace_of(array)
        target = array - low + dual / mu
        sparse = _shrunk(target, weight / mu, self.threshold.kind)
        if problem.mask is not None:
            sparse = xp.where(problem.mask, sparse, target)
        u, s, vh = svd(array - sparse + dual / mu)
        values = host_values(s)
        rank = int((values > 1 / mu).sum())
        kept = s[:rank] - 1 / mu
        low = (u[:, :rank] * cast(kept, u.dtype)[None, :]) @ vh[:rank, :]
        rest = array - low - sparse
        factors = Factors(u[:, :rank], kept, vh[:rank, :])
        residual = relative(frobenius(rest), factors, whole)
        level, share = _level(array - low, sparse, self.threshold.kind, problem.mask)
        problem.reader.count_pass()
        step = Step(residual, level, share, float(problem.reader.entries))
        told(step, len(state.trace) + 1)
        spare = (array, whole, weight, mu * self.growth, dual + mu * rest, low)
        return WholeState(factors, level, (*state.trace, step), none(), none(), spare)


def _longest(x: Any) -> float:
    """Return the largest norm of a column."""
    xp = namespace_of(x)
    return float(xp.max(xp.sqrt(xp.sum(xp.abs(x) ** 2, axis=0))))


def host_like(array: Any) -> Any:
    """Return no singular values, in the library of an array."""
    xp = namespace_of(array)
    return xp.real(zeros((0,), array)) if "complex" in str(array.dtype) else zeros((0,), array)


def _shrunk(x: Any, level: float, kind: str) -> Any:
    """Return entries, or columns, with their modulus made smaller."""
    xp = namespace_of(x)
    size = xp.abs(x) if kind == "entries" else xp.sqrt(xp.sum(xp.abs(x) ** 2, axis=0, keepdims=True))
    left = xp.where(size > level, size - level, xp.zeros_like(size))
    return x * cast(left / xp.where(size > 0, size, xp.ones_like(size)), x.dtype)


def _level(gap: Any, sparse: Any, kind: str, mask: Any) -> tuple[float, float]:
    """Return the level above all of D - L off the support of S, and the share of the support."""
    xp = namespace_of(gap)
    support, there = sparse != 0, xp.ones_like(sparse, dtype=xp.bool) if mask is None else mask
    off = xp.where(there & ~support, xp.abs(gap), xp.zeros_like(xp.abs(gap)))
    share = int(xp.count_nonzero(support & there)) / max(int(xp.count_nonzero(there)), 1)
    top = float(xp.max(off)) if kind == "entries" else float(xp.max(column_levels(off)))
    return max(top * (1 + 1e-6), _TINY), share
