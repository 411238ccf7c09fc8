"""What the methods that read all of D in every iteration share: D itself, their first model, and their trace."""

from __future__ import annotations

import dataclasses
import math
import warnings
from typing import Any

import numpy as np

from rnla._xp.linalg import eps_of, frobenius, host_values, max_abs
from rnla._xp.namespace import all_finite, namespace_of, to_host
from rnla.checks import check_positive
from rnla.errors import InputError, NonFiniteError, RankWarning
from rnla.factorization.svd import svd
from rnla.robust.protocols import Factors, Problem, Step, told
from rnla.robust.scaling import resolved
from rnla.robust.sweeping import Observed, over_panels, put_together, without_large
from rnla.robust.thresholds import Threshold

__all__ = [
    "WholeState",
    "array_of",
    "begun",
    "beta_of",
    "check_pace",
    "leading",
    "none",
    "observed_norm",
    "relative",
    "traced",
]

Array = np.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class WholeState:
    """Where an iteration over all of D stands; `spare` holds what only its method knows."""

    factors: Factors
    threshold: float
    trace: tuple[Step, ...]
    rows: Array
    columns: Array
    spare: Any = None


def none() -> Array:
    """Return no numbers."""
    return np.zeros(0, dtype=np.int64)


def array_of(problem: Problem) -> Any:
    """Return D as an array in the compute dtype, checked, zero where it was not observed: then an array of its own.

    Raises
    ------
    InputError
        D is no array in memory.
    NonFiniteError
        An entry that was observed is NaN or infinite.
    """
    reader = problem.reader
    array = reader.dense
    if array is None:
        raise InputError(
            f"this method reads all of D in every iteration, from an array in memory, and D is {reader.kind}; "
            "use method=rnla.RieCUR() or rnla.IRCUR(), which read rows and columns, or pass the array"
        )
    array, mask = reader.whole(), problem.mask
    if mask is not None:
        whole, xp = array, namespace_of(array)

        def observed(part: slice) -> Any:
            return xp.where(mask[part, :], whole[part, :], xp.zeros_like(whole[part, :]))

        array = put_together(whole, observed)
    if not all(over_panels(array, lambda part: all_finite(array[part, :]))):
        bad = np.argwhere(~np.isfinite(to_host(array)))[0]
        hint = "it was observed, so mask= must be False there" if mask is not None else (
            "for missing entries pass mask=, True where D is observed"
        )  # fmt: skip
        raise NonFiniteError(f"entry ({int(bad[0])}, {int(bad[1])}) of D is NaN or infinite; {hint}")
    reader.learn(max(over_panels(array, lambda part: max_abs(array[part, :])), default=0.0))
    return array


def observed_norm(array: Any) -> float:
    """Return the Frobenius norm, of panels of rows so that no copy is as large as D."""
    return math.sqrt(math.fsum(each**2 for each in over_panels(array, lambda part: frobenius(array[part, :]))))


def relative(rest: float, factors: Factors, whole: float) -> float:
    """Return a residual relative to L, or to D while there is no L; inf where squares of L vanish beside outliers."""
    norm = math.hypot(*host_values(factors.s)) if int(factors.s.shape[0]) else 0.0
    if norm > 0 and not resolved(norm, 1.0, np.dtype("f4" if eps_of(factors.s.dtype) > 1e-10 else "f8")):
        return math.inf
    norm = norm if norm > 0 else whole
    return rest / norm if norm > 0 else 0.0


def leading(array: Any, rank: int, key: Any) -> Factors:
    """Return the leading triplets by the randomized SVD; that there may be fewer is nothing to warn of here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankWarning)
        return Factors(*svd(array, min(rank, *array.shape), rng=key, on_failure="return"))


def check_pace(decay: float, beta: float | None) -> None:
    """Raise unless a threshold can fall by `decay`, and be `beta` times singular values.

    Raises
    ------
    InputError
        One of them is out of range.
    """
    if not 0 < check_positive("decay", decay) < 1:
        raise InputError(f"decay={decay} must lie between 0 and 1: how fast the threshold falls")
    if beta is not None:
        check_positive("beta", beta)


def beta_of(beta: float | None, m: int, n: int, kind: str) -> float:
    """Return beta; the root mean square of a column is sqrt(m) smaller than its share of a singular value at most."""
    if beta is not None:
        return beta
    return 1 / (2 * (m * n) ** 0.25) if kind == "entries" else 1 / (2 * math.sqrt(m))


def begun(problem: Problem, part: Threshold, first: float, triplets: int) -> tuple[Observed, float, Factors]:
    """Return D, its norm, and the leading triplets of D less what is above `first` times its largest singular value."""
    array, key = array_of(problem), problem.key.child("start")
    top, norm = float(host_values(leading(array, 1, key.child("norm")).s)[0]), observed_norm(array)
    level = part.at(first * top if part.start is None else part.start)
    data = Observed.of(array, part.kind, problem.mask)
    return data, norm, leading(without_large(data, level), triplets, key.child("model"))


def traced(
    problem: Problem, trace: tuple[Step, ...], residual: float, level: float, share: float = 0.0, passes: int = 1
) -> tuple[Step, ...]:
    """Return the trace with one more iteration, which read all of D so many times, and tell of it."""
    problem.reader.count_pass(passes)
    step = Step(residual, level, share, float(problem.reader.entries))
    told(step, len(trace) + 1)
    return (*trace, step)
