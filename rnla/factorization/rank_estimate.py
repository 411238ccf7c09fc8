"""The rank of any matrix by a rule: a tolerance, a share of energy, or what noise leaves to be seen.

Problem: how many singular values count, and how sure is that where not all of them are known?

S1. Values with bounds (`rnla.factorization.svdvals`), 32 first.
S2. The rule, on the lower and on the upper bounds: the ranks between which it lies.
S3. While these differ, twice as many values, as far as the cap; the basis found before is kept.  From a quarter of the
    values on, all of them, where the matrix is an array for which that is soon done.

Rules: ``tolerance``, s_j > tol s_1; ``energy``, the fewest values that hold a share of the squared norm;
``gavish_donoho`` and ``marchenko_pastur`` (`rnla.factorization.noise_threshold`) for white noise of a known or unknown
level.  The unknown level comes from the median value where all values can be had, else from the energy that is
left past the values that count: sigma^2 = (norm(A)_F^2 - sum_{j<=k} s_j^2) / ((m - k) (n - k)), k and sigma by
iteration from k = 0 [kritchman2008]_.

Cost: that of `rnla.svdvals` for about twice the rank.
Guarantee: lower <= rank of the rule <= upper, but with the failure probability of the bounds.
Differences from the papers: for unknown noise in a matrix too large for all its values, the level from the rest of the
energy; it is above the true level where weak signals lie under the threshold.
When to use: `tolerance` for the numerical rank; `energy` for compression; the others for data with noise.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._xp.linalg import eps_of, host_values
from rnla.checks import check_choice, check_number, check_whole
from rnla.errors import InputError
from rnla.factorization.noise_threshold import hard_threshold, marchenko_pastur_median, noise_edge, tracy_widom_edge
from rnla.factorization.svdvals import find_values
from rnla.operators.coerce import as_operator
from rnla.operators.dense import Dense
from rnla.operators.implicit import Implicit
from rnla.operators.protocols import LinearOperator, SupportsBlocks
from rnla.request import read_request
from rnla.results.rank_estimate import RankEstimate
from rnla.results.singular_values import SingularValues
from rnla.rng import as_key

__all__ = ["rank_estimate"]

_RULES = ("tolerance", "energy", "gavish_donoho", "marchenko_pastur")
_FIRST = 32
_WHOLE = 2e10  # m n min(m, n) up to which all values are computed for their median


def rank_estimate(
    A: Any,
    method: str | None = None,
    *,
    tol: float | None = None,
    energy: float | None = None,
    noise: float | None = None,
    max_rank: int | None = None,
    rng: Any = None,
) -> RankEstimate:
    """Rank of any matrix by a rule, with the ranks between which it lies.

    Parameters
    ----------
    A : matrix, shape (m, n)
        Any kind that `svd` takes.
    method : {"tolerance", "energy", "gavish_donoho", "marchenko_pastur"}, optional
        The rule; by default the one that `tol` or `energy` belongs to, else ``"tolerance"``.
    tol : float, optional
        Values above ``tol`` times the largest count; by default max(m, n) eps, as `numpy.linalg.matrix_rank` has it.
    energy : float, optional
        Share of the squared Frobenius norm.
    noise : float, optional
        Standard deviation of the noise in an entry, for the last two rules; None: estimated.
    max_rank : int, optional
        The most values that are looked at; where more may count, the interval ends at min(m, n).
    rng : None, int, SeedSequence, Generator, ...
        What `numpy.random.default_rng` takes.

    Returns
    -------
    RankEstimate
        With ``rank, lower, upper``; ``int(estimate)`` is the rank.

    Raises
    ------
    InputError, DTypeError
        Arguments that cannot be used or contradict each other, before any work.
    NonFiniteError, OperatorError, BudgetError, DeadlineReached
        As `svd` raises them.

    Notes
    -----
    Cost: that of `svdvals` for about twice the rank found; all values for the median of unknown noise where
    m n min(m, n) is at most 2e10 and the entries can be read.

    Guarantee: the bounds hold together but with the failure probability stated.  For noise rules the bounds are those
    of counting, for the noise level used.

    References
    ----------
    .. [1] M. Gavish and D. L. Donoho, The optimal hard threshold for singular values is 4 / sqrt(3), IEEE
       Transactions on Information Theory 60 (2014) 5040-5053.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag(0.5 ** np.arange(100.0))
    >>> print(rnla.rank_estimate(A, tol=1e-3, rng=0))
    rank 10 (by tolerance: values above 0.001)
    """
    key = as_key(rng)
    base = as_operator(A)
    rule = _Rule.read(base, method, tol, energy, noise)
    short = min(base.shape)
    cap = short if max_rank is None else min(short, check_whole("max_rank", max_rank, 1))
    if isinstance(base, Implicit):
        base.require_adjoint()
    m, n = base.shape
    rank = min(cap, _FIRST)
    if rule.name in _RULES[2:] and noise is None and isinstance(base, SupportsBlocks) and m * n * short <= _WHOLE:
        rank = cap
    found, failure = None, 0.0
    while True:
        request = read_request(base.shape, base.dtype, rank, None, "fro", None, None, None, None, "return")
        found = find_values(A, base, request, key, found, settled=False)
        failure += found.failure_probability
        answer = rule.apply(found, base.shape)
        if answer.certain or rank >= cap or not found.status.ok:
            chance = 0.0 if found.failure_probability == 0 else min(1.0, failure)
            return dataclasses.replace(answer, failure_probability=chance)
        if answer.upper <= rank and rank >= 4 * max(answer.upper, _FIRST // 4):
            return dataclasses.replace(answer, failure_probability=min(1.0, failure))  # more values would not tell
        # A quarter of the values of an array costs about as much as all of them.
        rank = cap if isinstance(base, Dense) and m * n * short <= _WHOLE and 8 * rank > short else min(cap, 2 * rank)


@dataclasses.dataclass(frozen=True, slots=True)
class _Rule:
    """The rule and its number."""

    name: str
    number: float
    noise: float | None

    @classmethod
    def read(cls, base: LinearOperator, method: Any, tol: Any, energy: Any, noise: Any) -> _Rule:
        if method is None:
            method = "energy" if energy is not None and tol is None else "tolerance"
        name = check_choice("method", method, _RULES)
        for word, value, owners in (
            ("tol", tol, _RULES[:1]), ("energy", energy, _RULES[1:2]), ("noise", noise, _RULES[2:]),
        ):  # fmt: skip
            if value is not None and name not in owners:
                raise InputError(f"{word}= belongs to method={' or '.join(map(repr, owners))}, not to {name!r}")
        number = max(*base.shape, 1) * eps_of(base.dtype)
        if name == "tolerance" and tol is not None:
            number = check_number("tol", tol)
            if not 0 < number < 1:
                raise InputError(f"tol={number} must lie between 0 and 1: values above tol times the largest count")
        if name == "energy":
            if energy is None:
                raise InputError("method='energy' needs energy=, the share of the squared norm, such as 0.99")
            number = check_number("energy", energy)
            if not 0 < number < 1:
                raise InputError(f"energy={number} must lie between 0 and 1, such as 0.99")
        if noise is not None:
            noise = check_number("noise", noise)
            if not 0 < noise < math.inf:
                raise InputError(f"noise={noise} must be positive: the standard deviation of the noise in an entry")
        return cls(name, number, noise)

    def apply(self, found: SingularValues, shape: tuple[int, int]) -> RankEstimate:
        """Return the rank for the values found so far."""
        values, lower, upper = (host_values(each) for each in found)
        short = min(shape)
        more = short if len(values) < short and found.next_upper > 0 else len(values)

        def counted(low: float, high: float) -> tuple[int, int]:
            """Return the least and the most values above a threshold between two numbers."""
            most = int(np.count_nonzero(upper > low))
            return int(np.count_nonzero(lower > high)), most if found.next_upper <= low else more

        noise = self.noise
        if self.name == "energy":
            least, most = found.shares()
            sure, may = np.flatnonzero(least >= self.number), np.flatnonzero(most >= self.number)
            zero = found.frobenius[1] == 0
            bounds = (
                0 if zero else int(may[0]) + 1 if len(may) else min(len(values) + 1, short),
                0 if zero else int(sure[0]) + 1 if len(sure) else short,
            )
            total = math.sqrt(found.frobenius[0]) * math.sqrt(found.frobenius[1])
            share = np.cumsum((values / total) ** 2) if total > 0 else np.zeros(len(values))
            fits = np.flatnonzero(share >= self.number)
            rank, threshold = int(fits[0]) + 1 if len(fits) else len(values), self.number
        elif self.name == "tolerance":
            top = values[0] if len(values) else 0.0
            threshold = self.number * top
            bounds = counted(self.number * (lower[0] if len(lower) else 0.0), self.number * max(upper, default=0.0))
            rank = int(np.count_nonzero(values > threshold))
        else:
            if noise is None:
                noise, low, high = self._level(found, values, shape)
            else:
                low = high = noise
            unit, far = self._units(shape)
            threshold = unit * noise
            bounds = counted(unit * low, far * high)
            rank = int(np.count_nonzero(values > threshold))
        return RankEstimate(
            rank=min(max(rank, bounds[0]), max(bounds)), lower=bounds[0], upper=max(bounds), rule=self.name,
            threshold=float(threshold), noise=noise, failure_probability=0.0, singular_values=found,
        )  # fmt: skip

    def _units(self, shape: tuple[int, int]) -> tuple[float, float]:
        """Return the threshold for noise 1, and the one that values must pass to count for sure."""
        m, n = shape
        if min(m, n) == 0:
            return 0.0, 0.0
        if self.name == "marchenko_pastur":
            return noise_edge(m, n), tracy_widom_edge(m, n)
        unit = hard_threshold(min(m, n) / max(m, n)) * math.sqrt(max(m, n))
        return unit, unit

    def _level(
        self, found: SingularValues, values: np.ndarray[Any, Any], shape: tuple[int, int]
    ) -> tuple[float, float, float]:
        """Return the noise level, and the numbers between which it lies as far as values are uncertain."""
        m, n = shape
        short, long = min(m, n), max(m, n)
        if len(values) == short and short:
            unit = math.sqrt(long * marchenko_pastur_median(short / long))
            lower, upper = (float(np.median(host_values(each))) for each in (found.lower, found.upper))
            return float(np.median(values)) / unit, lower / unit, upper / unit
        unit, levels = self._units(shape)[0], []
        low, high = found.frobenius
        for norm, known in (
            (math.sqrt(low) * math.sqrt(high), values), (low, host_values(found.upper)),
            (high, host_values(found.lower)),
        ):  # fmt: skip
            count, sums = 0, np.append(0.0, np.cumsum((known / norm) ** 2)) if norm > 0 else np.zeros(len(known) + 1)
            while True:
                degrees = max(1, (m - count) * (n - count))
                level = norm * math.sqrt(max(0.0, 1 - float(sums[count])) / degrees)
                above = int(np.count_nonzero(known > unit * level))
                if above <= count:
                    break
                count = above
            levels.append(level)
        return levels[0], levels[1], levels[2]
