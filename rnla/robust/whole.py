"""What the methods that read all of D in every iteration share: the matrix less its outliers, and its first model."""

from __future__ import annotations

import dataclasses
import math
import warnings
from typing import Any

import numpy as np

from rnla._kernels.thresholding import cleaned_products
from rnla._xp.linalg import adjoint, cast, eps_of, frobenius, host_values, max_abs
from rnla._xp.namespace import all_finite, is_numpy, namespace_of, to_host
from rnla.config import get_config
from rnla.errors import InputError, NonFiniteError, RankWarning
from rnla.factorization.svd import svd
from rnla.robust.protocols import Factors, Problem, Step
from rnla.robust.scaling import resolved
from rnla.robust.thresholds import split

__all__ = ["WholeState", "array_of", "leading", "none", "observed_norm", "relative", "sweep", "without_large"]

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
    """Return D as an array in the compute dtype, checked, zero where it was not observed.

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
    array = reader.whole()
    if problem.mask is not None:
        array = reader.xp.where(problem.mask, array, reader.xp.zeros_like(array))
    if not all_finite(array):
        bad = np.argwhere(~np.isfinite(to_host(array)))[0]
        hint = "it was observed, so mask= must be False there" if problem.mask is not None else (
            "for missing entries pass mask=, True where D is observed"
        )  # fmt: skip
        raise NonFiniteError(f"entry ({int(bad[0])}, {int(bad[1])}) of D is NaN or infinite; {hint}")
    reader.learn(largest_of(array))
    return array


def largest_of(array: Any) -> float:
    """Return the largest modulus, of panels of rows so that no copy is as large as D."""
    m = int(array.shape[0])
    step = max(1, (1 << 20) // max(int(array.shape[1]), 1))
    return max((max_abs(array[i : min(i + step, m), :]) for i in range(0, m, step)), default=0.0)


def observed_norm(array: Any) -> float:
    """Return the Frobenius norm, of panels of rows so that no copy is as large as D."""
    m = int(array.shape[0])
    step = max(1, (1 << 20) // max(int(array.shape[1]), 1))
    return math.sqrt(math.fsum(frobenius(array[i : min(i + step, m), :]) ** 2 for i in range(0, m, step)))


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


def without_large(array: Any, threshold: float, kind: str, mask: Any) -> Any:
    """Return D with zeros in place of its outliers against L = 0: as large as D."""
    xp = namespace_of(array)
    beyond, _ = split(array, xp.zeros_like(array), threshold, kind, mask)
    return xp.where(beyond, xp.zeros_like(array), array)


def sweep(array: Any, factors: Factors, threshold: float, kind: str, mask: Any) -> tuple[Any, Any, float, float]:
    """Return B V, the adjoint of B times U, the norm of D - L - S, and the share of outliers; one reading of D.

    Parameters
    ----------
    array : array, shape (m, n)
    factors : Factors
    threshold : float
    kind : str
    mask : array of bool or None

    Notes
    -----
    For NumPy and single entries no array as large as D is made; in other libraries, and for whole columns, a few are
    (L, what is an outlier, D without outliers).
    """
    xp, v = namespace_of(array), adjoint(factors.Vh)
    left = factors.U * cast(factors.s, factors.U.dtype)[None, :]
    size = math.prod(array.shape) if mask is None else int(xp.count_nonzero(mask))
    if is_numpy(xp) and kind == "entries":
        forward, backward, tally = cleaned_products(
            array, left, factors.Vh, threshold, factors.U, np.ascontiguousarray(v), mask, get_config().threads
        )
        return forward, backward, math.sqrt(tally.clean), tally.outliers / max(size, 1)
    model = left @ factors.Vh
    beyond, _ = split(array, model, threshold, kind, mask)
    outliers = int(xp.count_nonzero(beyond))
    beyond = beyond if mask is None else beyond | ~mask
    rest = frobenius(xp.where(beyond, xp.zeros_like(array), array - model))
    block = xp.where(beyond, model, array)
    return block @ v, adjoint(block) @ factors.U, rest, outliers / max(size, 1)
