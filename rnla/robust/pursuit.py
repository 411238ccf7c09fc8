"""Principal component pursuit (PCP) by the method of multipliers: no rank is given.

Problem: minimize norm(L)_* + w norm(S)_1 with L + S = D where D was observed (for whole columns: the sum of the norms
of the columns of S, which is called outlier pursuit).

S1  Y = D / max(norm(D)_2, norm(D)_max / w), for columns with their largest norm in place of norm(D)_max;
    mu = 1.25 / norm(D)_2.
S2  S = shrink(D - L + Y / mu, w / mu): entries (or columns) are made smaller; free where D was not observed.
S3  L = the singular values of D - S + Y / mu made smaller by 1 / mu, by a full SVD.
S4  Y += mu (D - L - S), mu *= growth; stop at norm(D - L - S)_F <= tol norm(L)_F.

Cost: a full SVD of m x n an iteration; memory of three arrays as large as D, and what LAPACK takes for an SVD.
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
from collections.abc import Callable
from typing import Any, ClassVar

from rnla._xp.linalg import cast, host_values, max_abs, svd, zeros
from rnla._xp.namespace import namespace_of
from rnla.checks import check_number, check_positive
from rnla.errors import InputError
from rnla.robust.protocols import Factors, Problem
from rnla.robust.sweeping import over_panels, put_together
from rnla.robust.thresholds import Threshold
from rnla.robust.whole import WholeState, array_of, leading, none, observed_norm, relative, traced

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
        trace = traced(problem, (), 1.0, math.inf)
        none_yet = Factors(zeros((m, 0), array), host_like(array), zeros((0, n), array))
        if self.threshold.kind == "entries":
            largest = max(over_panels(array, lambda part: max_abs(array[part, :])), default=0.0)
        else:
            largest = max_abs(_column_norms(array, lambda part: array[part, :]))
        scale = max(top, largest / weight)
        dual = put_together(array, lambda part: array[part, :] / scale) if scale > 0 else array
        spare = (array, observed_norm(array), weight, 1.25 / top if top > 0 else 1.0, dual)
        return WholeState(none_yet, math.inf, trace, none(), none(), spare)

    def advance(self, problem: Problem, state: WholeState) -> WholeState:
        """Return the next state (S2 to S4)."""
        array, whole, weight, mu, dual = state.spare
        kind, mask = self.threshold.kind, problem.mask
        sparse = _sparse_part(array, state.factors, dual, mu, weight / mu, kind, mask)
        # Nothing as large as D but these two and the dual is held while LAPACK works.
        low = _shrunk_values(
            put_together(array, lambda part: array[part, :] - sparse[part, :] + dual[part, :] / mu), 1 / mu
        )
        dual, rest, level, share = _what_is_left(array, low, sparse, dual, mu, kind, mask)
        trace = traced(problem, state.trace, relative(rest, low, whole), level, share)
        return WholeState(low, level, trace, none(), none(), (array, whole, weight, mu * self.growth, dual))


def _model(low: Factors, part: slice) -> Any:
    return (low.U[part, :] * cast(low.s, low.U.dtype)[None, :]) @ low.Vh


def _column_norms(array: Any, make: Callable[[slice], Any]) -> Any:
    """Return the norm of each column of what is made panel by panel."""
    xp = namespace_of(array)

    def squares(part: slice) -> Any:
        size = xp.abs(make(part))
        return xp.sum(size * size, axis=0, dtype=xp.float64)

    return xp.sqrt(_added(over_panels(array, squares)))


def _added(parts: list[Any]) -> Any:
    """Return a sum in the order of its terms."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _sparse_part(array: Any, low: Factors, dual: Any, mu: float, level: float, kind: str, mask: Any) -> Any:
    """Return S (S2)."""
    xp = namespace_of(array)

    def target(part: slice) -> Any:
        return array[part, :] - _model(low, part) + dual[part, :] / mu

    def observed(part: slice) -> Any:
        there = target(part)
        return there if mask is None else xp.where(mask[part, :], there, xp.zeros_like(there))

    norms = None if kind == "entries" else _column_norms(array, observed)

    def make(part: slice) -> Any:
        there = target(part)
        size = xp.abs(there) if norms is None else cast(norms, low.s.dtype)[None, :]
        left = xp.where(size > level, size - level, xp.zeros_like(size))
        shrunk = there * cast(left / xp.where(size > 0, size, xp.ones_like(size)), there.dtype)
        return shrunk if mask is None else xp.where(mask[part, :], shrunk, there)

    return put_together(array, make)


def _shrunk_values(matrix: Any, level: float) -> Factors:
    """Return a matrix with its singular values made smaller, and those that would be negative left out (S3)."""
    u, s, vh = svd(matrix)
    rank = int((host_values(s) > level).sum())
    # Copies, so that the other singular vectors are not kept.
    u, vh = (namespace_of(x).asarray(x, copy=True) for x in (u[:, :rank], vh[:rank, :]))
    return Factors(u, s[:rank] - level, vh)


def _what_is_left(
    array: Any, low: Factors, sparse: Any, dual: Any, mu: float, kind: str, mask: Any
) -> tuple[Any, float, float, float]:
    """Return the next dual, the norm of D - L - S, the level above all of D - L off the support of S, and its share."""
    xp = namespace_of(array)
    found: dict[int, tuple[Any, ...]] = {}

    def make(part: slice) -> Any:
        gap = array[part, :] - _model(low, part)
        rest, support = gap - sparse[part, :], sparse[part, :] != 0
        size, left = xp.abs(gap), xp.abs(rest)
        there = xp.ones_like(support) if mask is None else mask[part, :]
        off = xp.where(there & ~support, size, xp.zeros_like(size))
        across = xp.max(off) if kind == "entries" else xp.sum(off * off, axis=0, dtype=xp.float64)
        found[part.start] = (
            xp.sum(left * left, dtype=xp.float64), xp.count_nonzero(support & there), xp.count_nonzero(there), across,
            xp.sum(cast(there, size.dtype), axis=0, dtype=xp.float64),
        )  # fmt: skip
        return dual[part, :] + mu * rest

    dual = put_together(array, make)
    squares, outliers, count, across, seen = zip(*(found[start] for start in sorted(found)), strict=True)
    if kind == "entries":
        top = max(float(each) for each in across)
    else:
        top = math.sqrt(max_abs(_added(list(across)) / _added(list(seen))))
    share = int(_added(list(outliers))) / max(int(_added(list(count))), 1)
    return dual, math.sqrt(float(_added(list(squares)))), max(top * (1 + 1e-6), _TINY), share


def host_like(array: Any) -> Any:
    """Return no singular values, in the library of an array."""
    xp = namespace_of(array)
    return xp.real(zeros((0,), array)) if "complex" in str(array.dtype) else zeros((0,), array)
