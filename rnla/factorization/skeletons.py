"""The search for chosen columns or rows that meet a request, shared by `rnla.interpolative` and `rnla.cur`.

The choice is made on a projection A ~ U diag(s) V^H that a range finder gives; the approximation by the columns of A
themselves is another one, so it is certified anew, and a tolerance that it misses is met by more columns.

S1. For a tolerance the basis is asked to meet 0.7 of it, so that the choice has room.
S2. How many columns: the smallest k for which the norm of what k steps of pivoted QR leave of diag(s) V^H, joined to
    the error of the projection, is at most the tolerance.
S3. Choose k columns (the selection), exchange until the choice is strongly rank-revealing.
S4. Take the columns of A, interpolate, certify.
S5. On a miss: more columns, 3 % or one at first and twice as many every time; a larger basis where it has too few.
S6. In the Frobenius norm the errors of all leading parts of the choice are known from one product: the smallest part
    that meets the tolerance is given back.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, cast, eps_of, host_values, svd
from rnla._xp.namespace import device_of, from_host, is_numpy, namespace_of, to_host
from rnla._xp.pivoting import column_squares, pivoted_qr, pivoted_triangle
from rnla.compression.column_selection import ColumnSelection, PivotedQR
from rnla.compression.strong_pivoting import needs_no_exchange, strongly_pivoted
from rnla.config import get_config
from rnla.error.approximation import certify_approximation
from rnla.error.residual import frobenius_difference, identity_floor, identity_rounding
from rnla.error.spectral import SPECTRAL_PASSES
from rnla.errors import BudgetError, DeadlineReached, InputError
from rnla.factorization.driver import Certificate, Located, report_of, unscaled_error
from rnla.factorization.resuming import at_home
from rnla.factorization.search import Problem
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import SupportsMagnitude, SupportsSelection
from rnla.planner import make_plan
from rnla.rangefinder import FullSVD
from rnla.rangefinder.protocols import Goal
from rnla.request import Request, read_request
from rnla.results import ErrorEstimate, Resume, Status
from rnla.rng import Key

__all__ = [
    "Attempt", "asked_of_basis", "certificate_of", "chosen_before", "chosen_columns", "coordinates", "exact_error",
    "from_caller", "index_at_home",    "looked_at", "resumed", "searched", "stopped_early",
]  # fmt: skip

Array = np.ndarray[Any, Any]
_SHARE = 0.7  # of the tolerance, asked of the projection; its square where both sides are chosen


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """An approximation and its certificate, in the scaled matrix.

    Attributes
    ----------
    rank : int
    parts : tuple
        What the problem makes its result of.
    error : ErrorEstimate
    shorter : callable or None
        Given a smaller rank, the attempt of that rank, without reading A; only where its error is known exactly.
    energies : numpy.ndarray or None
        Squared Frobenius norms that each of the columns adds to what is kept, in order, where they are known.
    exhausted : bool
        Whether more columns would not help: rounding in the factors is what is left.
    """

    rank: int
    parts: tuple[Any, ...]
    error: ErrorEstimate
    shorter: Callable[[int], Attempt] | None = None
    energies: Array | None = None
    exhausted: bool = False


def coordinates(found: Located, axis: str) -> tuple[Any, Any]:
    """Return s and the orthonormal rows in whose columns the choice is made: V^H, or U^H for rows of A."""
    assert found.search.factored is not None
    u, vh = found.search.factored.parts
    return found.search.factored.values, vh[:, :] if axis == "columns" else adjoint(u[:, :])


def chosen_columns(found: Located, axis: str, selection: ColumnSelection, count: int, key: Key, kept: Array) -> Array:
    """Return `count` columns or rows, those of before first (S3)."""
    s, vh = coordinates(found, axis)
    g = cast(s, vh.dtype)[:, None] * vh
    values = host_values(s)
    level = 4 * eps_of(vh.dtype) * math.sqrt(max(found.op.shape))
    live = int(np.count_nonzero(values > level * values[0])) if len(values) and values[0] > 0 else 0
    n = int(vh.shape[1])
    if len(kept) == 0 and isinstance(selection, PivotedQR):
        chosen, whole = pivoted_triangle(g, min(count, len(values)))
        independent = whole is not None and live >= count == len(chosen) and np.array_equal(whole[1][:count], chosen)
        if whole is not None and independent and needs_no_exchange(whole[0], count):
            return chosen
    elif len(kept) == 0:
        chosen = selection.choose(s, vh, min(count, len(values)), key)
    else:  # what the columns of before leave of the projection
        xp = namespace_of(g)
        panel = xp.take(g, from_host(kept, xp, device_of(g)), axis=1) if not is_numpy(xp) else g[:, kept]
        q = _range_of(panel)
        rest = g - q @ (adjoint(q) @ g)
        _, s_rest, vh_rest = svd(rest)
        fresh = selection.choose(s_rest, vh_rest, min(count, len(values)), key)
        chosen = np.concatenate([kept, fresh[~np.isin(fresh, kept)]])
    chosen = np.concatenate([chosen, np.setdiff1d(np.arange(n), chosen)])[:count]
    if live == 0:
        return chosen
    strong = strongly_pivoted(g, chosen[: min(live, count)], kept=len(kept))
    rest_of = chosen[min(live, count) :]
    chosen = np.concatenate([strong, rest_of[~np.isin(rest_of, strong)]])
    return np.concatenate([chosen, np.setdiff1d(np.arange(n), chosen)])[:count]


def _range_of(panel: Any) -> Any:
    u, s, _ = svd(panel)
    values = host_values(s)
    live = int(np.count_nonzero(values > 1e2 * eps_of(panel.dtype) * values.max(initial=0.0)))
    return u[:, :live]


def columns_needed(found: Located, axis: str, tol: float, norm: str, whole: ErrorEstimate, sides: int) -> int:
    """Return how many columns should meet a tolerance, by pivoted QR of the projection (S2)."""
    s, vh = coordinates(found, axis)
    values = host_values(s)
    if len(values) == 0 or values[0] == 0:
        return 0
    r = pivoted_qr(cast(s, vh.dtype)[:, None] * vh)[1]
    residual = whole.residual if math.isfinite(whole.residual) else 0.0
    if norm == "fro":
        scale = whole.norm_of_A
        rows = host_values(column_squares(adjoint(r)))
        tails = np.append(np.cumsum(rows[::-1])[::-1], 0.0)
        fits = np.flatnonzero(np.sqrt(residual**2 + sides * tails) <= tol * scale)
        return int(fits[0]) if len(fits) else len(values)
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        tail = float(host_values(svd(r[middle:, middle:])[1]).max(initial=0.0))
        low, high = (
            (low, middle) if math.hypot(residual, math.sqrt(sides) * tail) <= tol * values[0] else (middle + 1, high)
        )
    return low


def widened(found: Located, size: int) -> None:
    """Go on to a basis of `size` columns, if it has fewer and can grow."""
    assert found.basis is not None
    short = min(found.op.shape)
    if found.basis.size >= min(size, short):
        return
    size = min(size + max(4, size // 10), short)
    goal = Goal(size, short, lambda basis: max(0, size - basis.size))
    found.basis = found.plan.method.find(found.op, goal, found.search.key, found.plan.riders, found.basis)
    found.search.factor(found.basis)


def exact_error(op: Ledger, image: Any, norm: str, rounding: float) -> ErrorEstimate | None:
    """Return the error by the Frobenius identity of a projection whose coordinates in A are the image.

    None where the norm of A is not known, or where the difference is too near to what rounding leaves of it, the
    rounding in the factors (measured, `rounding`) included.
    """
    magnitude = op.measure()
    if norm != "fro" or magnitude is None:
        return None
    scale = magnitude.frobenius
    if scale == 0:
        return ErrorEstimate(0.0, 0.0, "fro", "exact", "a zero matrix", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    absolute = frobenius_difference(scale, image)
    if absolute is None or rounding > 1e-3 * absolute:
        return None
    factors = eps_of(op.dtype) * (10 + 3 * math.sqrt(max(1, *image.shape[:1]))) * scale
    upper = math.hypot(absolute, identity_rounding(op.dtype) * scale) + rounding + factors
    return ErrorEstimate(
        value=absolute / scale, absolute=absolute, norm="fro", kind="exact", method="the Frobenius identity",
        upper=upper / scale, failure_probability=0.0, standard_error=0.0, floor=identity_floor(op.dtype),
        norm_of_A=scale, residual=absolute, residual_upper=upper,
    )  # fmt: skip


def looked_at(found: Located, pair: tuple[Any, Any], norm: str, key: Key, look: int) -> ErrorEstimate:
    """Return the certificate of L R^H from its residual.

    In the spectral norm it is relative to the largest singular value that the basis or the approximation shows, which
    is not above the norm of A.
    """
    error = certify_approximation(found.op, *pair, norm, key.child("certificate", look), looks=look)
    largest = float(found.search.values.max(initial=0.0))
    if norm != "spectral" or not largest > error.norm_of_A:
        return error
    share = error.absolute / largest
    return dataclasses.replace(error, value=share, upper=share, norm_of_A=largest)


def searched(
    found: Located, request: Request, axis: str, least: int, make: Callable[[int, int], Attempt], sides: int = 1
) -> tuple[Attempt, Status]:
    """Return the attempt that meets a request, or the last one, and whether it does (S2 to S6).

    Parameters
    ----------
    found : Located
    request : Request
    axis : str
        Where the number of columns is estimated.
    least : int
        Columns that an earlier result has.
    make : callable
        Given a number of columns and how many looks there were, this one included, returns an attempt.
    sides : int
        2 where what pivoted QR leaves is lost on both sides.
    """
    assert found.basis is not None
    found.search.factor(found.basis)
    if request.tol is None:
        assert request.rank is not None
        widened(found, request.rank)
        return make(request.rank, 1), Status.MET
    limit = min(found.op.shape) if request.rank is None else request.rank
    whole = found.search.look(found.basis)
    count = min(limit, max(least, columns_needed(found, axis, request.tol, request.norm, whole, sides)))
    look, step = 1, max(1, round(0.03 * count))
    while True:
        widened(found, count)
        attempt = make(count, look)
        if attempt.error.meets(request.tol):
            return _shortest(attempt, request.tol, least), Status.MET
        if count == limit or attempt.exhausted:
            stopped = found.search.stopped_by
            capped = request.rank is not None and not attempt.exhausted
            return attempt, stopped or (Status.RANK_CAP if capped else Status.NOT_CERTIFIED)
        count, look, step = min(limit, count + step), look + 1, 2 * step


def chosen_before(result: Any, axis: str) -> Array:
    """Return the columns or rows of an earlier result; none where there is no result."""
    if result is None:
        return np.zeros(0, dtype=np.int64)
    return np.asarray(to_host(result.columns if axis == "columns" else result.rows), dtype=np.int64)


def index_at_home(index: Array, like: Any) -> Any:
    """Return indices as an array of the library and on the device of another array."""
    return from_host(np.asarray(index, dtype=np.int64), namespace_of(like), device_of(like))


def _shortest(attempt: Attempt, tol: float, least: int) -> Attempt:
    """Return the smallest leading part of an attempt that meets a tolerance (S6)."""
    if attempt.energies is None or attempt.shorter is None:
        return attempt
    scale = attempt.error.norm_of_A
    left = scale**2 - np.cumsum(attempt.energies)
    enough = np.flatnonzero(left <= (tol * scale) ** 2)
    first = int(enough[0]) + 1 if len(enough) else attempt.rank
    for count in range(max(first, least, 1), attempt.rank):
        shorter = attempt.shorter(count)
        if shorter.error.meets(tol):
            return shorter
        if count > first + 2:  # the bound on the coefficients fails now and then; the whole has it
            break
    return attempt


def certificate_of(
    A: Any, found: Located, request: Request, key: Key, problem: Problem, attempt: Attempt, status: Status,
    out: Any, notes: tuple[str, ...],
) -> Certificate:  # fmt: skip
    """Return what the result says besides its factors."""
    assert found.basis is not None
    op, basis = found.op, found.search.basis if found.search.basis is not None else found.basis
    basis = found.basis if basis.size < found.basis.size else basis
    magnitude = op.measure()
    resume = Resume(
        name=problem.name, basis=dataclasses.replace(basis, factors=None), singular_values=found.search.values,
        exponent=op.exponent, frobenius=math.nan if magnitude is None else magnitude.frobenius,
        method=FullSVD() if basis.factors is not None else found.plan.method,
        request={"rank": request.rank, "tol": request.tol, "norm": request.norm, **problem.asked()}, seed=key.seed,
    )  # fmt: skip
    report = report_of(A, found, key, attempt.rank, out, notes)
    return Certificate(unscaled_error(attempt.error, op.exponent), report, status, resume, A)


def require_passes(base: Any, request: Request, sides: int) -> None:
    """Raise before any work where `max_passes` does not allow the basis and what comes after it.

    Raises
    ------
    BudgetError
        With the passes that it takes: those of the basis, one for each side whose entries cannot be indexed, one
        product, and those of a certificate that cannot be had for nothing.
    """
    allowed = get_config().max_passes
    if allowed is None:
        return
    found = make_plan(Ledger(base), request).passes
    least = 1 if found is None else found
    least += 1 + (0 if isinstance(base, SupportsSelection) else sides)
    if request.norm == "spectral":
        least += SPECTRAL_PASSES
    elif not isinstance(base, SupportsMagnitude):
        least += 1
    if least > allowed:
        raise BudgetError(
            f"the work takes at least {least} passes over the matrix and max_passes={allowed}; allow more, or ask for "
            "fewer power_iterations"
        )


def stopped_early(found: Located, before: Any) -> Any | None:
    """Return the earlier result, told that the deadline passed; None where there is a basis to go on from.

    Raises
    ------
    DeadlineReached
        The deadline passed and there is no earlier result: the columns could not be read.
    """
    if found.basis is not None and not found.message:
        return None
    if before is None:
        raise DeadlineReached(f"{found.message}, before columns were chosen and read") from None
    return dataclasses.replace(before, status=Status.DEADLINE)


def asked_of_basis(request: Request, dtype: Any, sides: int = 1) -> Request:
    """Return the request that the basis is found for (S1)."""
    if request.tol is None:
        return request
    return dataclasses.replace(request, tol=max(_SHARE**sides * request.tol, 10 * eps_of(dtype)))


def from_caller(A: Any, index: Array, axis: int, dtype: np.dtype[Any]) -> Any | None:
    """Return rows or columns of a SciPy sparse matrix in its own type and format; None for any other matrix."""
    if not (type(A).__module__.startswith("scipy.sparse") and hasattr(A, "format")):
        return None
    indexed = A if A.format in {"csr", "csc"} else A.tocsr()
    part = indexed[index, :] if axis == 0 else indexed[:, index]
    return part.asformat(A.format).astype(dtype)


def resumed(result: Any, A: Any, rank: int | None, tol: float | None, on_failure: str) -> tuple[Any, Any, Request, Key]:
    """Return the earlier result where the matrix lives, its operator, the new request, and the key."""
    if rank is None and tol is None:
        raise InputError("say how much more is wanted: rank=, tol=, or both")
    assert result.resume is not None
    op = as_operator(A)
    resume = at_home(result.resume, op, loaded=result._source is None)
    result = dataclasses.replace(result, resume=resume)
    request = read_request(
        op.shape, op.dtype, rank, tol, resume.request["norm"], None, None, None, resume.method, on_failure
    )
    if request.rank is not None and request.rank < result.rank:
        raise InputError(f"rank={request.rank} is below the present {result.rank}; call the function again for fewer")
    return result, op, request, Key(resume.seed)
