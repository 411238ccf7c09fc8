"""The driver that every problem of the pipeline shares: from a matrix and a request to a certified result.

S1. Behind the ledger; plan.
S2. Find a basis (the plan's range finder), with riders for the certificate.
S3-S4. What the problem makes of the basis (`Problem.factor`).
S5. Certify the whole basis; pick the rank; join the dropped values to the error.
S6. The problem's result, in the scale of A and in the caller's library.

A problem whose answer is a projection on the basis goes through `run`.  One whose answer is another approximation
(chosen columns, a Nystrom form) works inside `located`, which gives it the basis, and certifies what it made with
`certify_approximation`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from rnla._xp.linalg import eps_of, zeros
from rnla._xp.namespace import all_finite, backend_name, from_host, is_numpy
from rnla.config import fixed_settings, get_config
from rnla.errors import DeadlineReached, InputError, NonFiniteError, RankWarning, ToleranceNotMet
from rnla.factorization.clusters import with_whole_clusters
from rnla.factorization.resuming import at_home, require_same_matrix
from rnla.factorization.search import Factored, Problem, Search, Widens
from rnla.iterate import Watch, watching
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.operators.sparse import Sparse
from rnla.planner import Plan, bytes_of, make_plan
from rnla.rangefinder import Adaptive, FullSVD
from rnla.rangefinder.protocols import Goal
from rnla.request import Request, read_request
from rnla.results import ErrorEstimate, RangeBasis, Report, Result, Resume, Status, truncated_error
from rnla.rng import Key
from rnla.working import families_of, kernels_in_use, working

__all__ = ["Certificate", "Driven", "Located", "located", "report_of", "resumer_of", "run", "settle", "unscaled"]


@dataclasses.dataclass(frozen=True, slots=True)
class Certificate:
    """What a problem puts into its result besides the factors, as keywords of the result."""

    error: ErrorEstimate
    report: Report
    status: Status
    resume: Resume | None
    source: Any

    def fields(self) -> dict[str, Any]:
        """Return the keywords."""
        return {
            "error": self.error, "report": self.report, "status": self.status, "resume": self.resume,
            "_source": self.source,
        }  # fmt: skip


class Driven(Problem, Protocol):
    """A problem whose answer is cut from a projection on the basis."""

    def nothing(self, shape: tuple[int, int], like: Any, real: Any) -> Factored:
        """Return the factors of rank 0 of an empty matrix; `like` and `real` are empty arrays of its two dtypes."""
        ...

    def build(self, factored: Factored, rank: int, exponent: int, certificate: Certificate) -> Result:
        """Return the result of a rank; the matrix that was factored is A times ``2**-exponent``."""
        ...


@dataclasses.dataclass(slots=True)
class Located:
    """A basis that was found, and all that a problem needs to go on from it.

    Attributes
    ----------
    op : Ledger
        The scaled matrix, for further products.
    plan : Plan
    search : Search
    watch : Watch
    basis : RangeBasis or None
        None where the deadline passed before it was known whether an earlier result is of this matrix.
    message : str
        What the deadline said, if it passed; nothing may be read then.
    started : float
    """

    op: Ledger
    plan: Plan
    search: Search
    watch: Watch
    basis: RangeBasis | None
    message: str
    started: float


@contextlib.contextmanager
def located(base: Any, request: Request, key: Key, problem: Problem, before: Result | None = None) -> Iterator[Located]:
    """Plan and find a basis (S1, S2); inside the block every setting is held, products are counted, BLAS is single."""
    started = time.perf_counter()
    op = base if isinstance(base, Ledger) else Ledger(base)
    resume = None if before is None else before.resume
    message, basis = "", None
    with fixed_settings() as config:
        the_plan = make_plan(op, request, None if resume is None else resume.basis)
        if isinstance(op.base, Sparse):
            op.base.room = config.budget() - the_plan.bytes
        with watching(the_plan.passes) as watch, working(op.xp, op.dtype, the_plan.flops, families_of(op.base)):
            search = Search(op, request, the_plan, key, watch, problem, 0 if before is None else before.rank)
            try:
                basis = _find(op, the_plan, key, search, resume)
                if request.tol is None and request.rank is not None:
                    basis = with_whole_clusters(op, basis, search, request.rank, key)
                if isinstance(problem, Widens) and request.tol is None and _room_for_twice(op, the_plan, basis):
                    assert request.rank is not None
                    basis = problem.widen(op, basis, request.rank, key)
            except DeadlineReached as error:
                message, basis = str(error), basis if error.result is None else error.result
                if basis is None and before is None:
                    raise DeadlineReached(message) from None
            # What follows is small, and without it nothing would be kept; A is not read for it.
            watch.deadline, op.closed = None, bool(message)
            watch.stage = "factoring"
            yield Located(op, the_plan, search, watch, basis, message, started)


def run(A: Any, base: Any, request: Request, key: Key, before: Any, problem: Driven) -> Any:
    """Return the result of a problem whose answer is cut from a projection on the basis.

    Parameters
    ----------
    A : matrix
        As the caller gave it.
    base : LinearOperator
    request : Request
    key : Key
    before : Result or None
        An earlier result of the same problem to go on from.
    problem : Driven
    """
    if min(base.shape) == 0:
        return _empty(A, base if isinstance(base, Ledger) else Ledger(base), request, key, problem)
    with located(base, request, key, problem, before) as found:
        if found.basis is None:
            assert before is not None
            result = dataclasses.replace(before, status=Status.DEADLINE)
        else:
            whole = found.search.look(found.basis)
            result = _assemble(A, found, request, key, problem, whole)
    return settle(request, result, found)


def settle(request: Request, result: Any, found: Located, hint: str = "") -> Any:
    """Return the result, or raise or warn of what it fell short of; a hint says what the problem knows of the cause."""
    if found.message and request.on_failure == "raise":
        raise DeadlineReached(f"{found.message}; .result holds rank {result.rank}, {result.error}", result)
    if not result.status.ok and result.status is not Status.DEADLINE and request.on_failure == "raise":
        reached = result.error.value if math.isnan(result.error.upper) else result.error.upper
        needed = found.search.memory_needed
        advice = f" (memory_budget={needed} allows the next step)" if needed else ""
        raise ToleranceNotMet(
            f"tol={request.tol:.1e} was not met: rank {result.rank} is certified to {reached:.2e} "
            f"({result.error.kind}, by {result.error.method}); {result.status.value}{advice}"
            f"{'; ' if hint else ''}{hint}; "
            "the answer is in .result, and on_failure='return' gives it back instead",
            result,
        )
    asked, numerical = request.rank, result.report.numerical_rank
    if asked is not None and request.tol is None and numerical < min(asked, result.rank):
        warnings.warn(
            f"the matrix has numerical rank {numerical}, below rank={asked}: the singular values past it are "
            "rounding, and their vectors, though orthonormal, are arbitrary",
            RankWarning,
            stacklevel=4,
        )
    return result


def _room_for_twice(op: Ledger, the_plan: Plan, basis: RangeBasis) -> bool:
    """Whether a pass is left, and memory for a basis of twice the size."""
    return op.spare_passes >= 1 and get_config().allows(bytes_of(op, the_plan.method, 2 * basis.size))


def _find(op: Ledger, the_plan: Plan, key: Key, search: Search, resume: Resume | None) -> RangeBasis:
    """Return the basis; when the deadline passes, the error carries the largest one that was there."""
    begins_fused = getattr(the_plan.method, "begins_fused", None)
    rides = begins_fused is not None and resume is None and op.measures_itself and begins_fused(op, the_plan.size or 0)
    if not rides:  # else the first product tells the norm
        op.measure()
    if resume is not None:
        op.adopt_scale(resume.exponent)
        require_same_matrix(op, resume)
    best = None if resume is None else resume.basis
    adaptive = search.request.tol is not None and isinstance(the_plan.method, Adaptive)
    goal = Goal(the_plan.size, search.limit, search.missing if adaptive else None)
    search.watch.stage = "finding the range"
    try:
        basis = best = the_plan.method.find(op, goal, key, the_plan.riders, best)
        if not search.limit <= basis.size < the_plan.limit or search.missing(basis) == 0:
            return basis
        note = f"after {basis.size} columns the full SVD, which costs less for this tolerance, took over"
        whole = FullSVD(hermitian=search.request.hermitian).find(op, goal, key, the_plan.riders)
        return dataclasses.replace(whole, notes=(*basis.notes, note))
    except DeadlineReached as error:
        found = error.result[0] if isinstance(error.result, tuple) else error.result
        error.result = best if found is None else found
        raise


def _assemble(A: Any, found: Located, request: Request, key: Key, problem: Driven, whole: ErrorEstimate) -> Any:
    search, op = found.search, found.op
    assert search.basis is not None
    assert search.factored is not None
    rank, status = search.pick()
    if found.message:
        status = Status.DEADLINE
    values, basis = search.values, search.basis
    error = unscaled_error(truncated_error(whole, values, rank), op.exponent)
    report = report_of(A, found, key, rank, search.factored.parts[0])
    magnitude = op.measure()
    if basis.factors is not None:
        basis = dataclasses.replace(basis, factors=None)
    resume = Resume(
        name=problem.name, basis=basis, singular_values=values,
        exponent=op.exponent, frobenius=math.nan if magnitude is None else magnitude.frobenius,
        method=FullSVD() if search.basis.factors is not None else found.plan.method,
        request={"rank": request.rank, "tol": request.tol, "norm": request.norm, **problem.asked()}, seed=key.seed,
    )  # fmt: skip
    return problem.build(search.factored, rank, op.exponent, Certificate(error, report, status, resume, A))


def report_of(A: Any, found: Located, key: Key, rank: int, out: Any, notes: tuple[str, ...] = ()) -> Report:
    """Return the report of what was done so far; `out` is a factor, for its dtype."""
    op, basis = found.op, found.search.basis if found.search.basis is not None else found.basis
    assert basis is not None
    numerical = numerical_rank(found.search.values, op) if found.search.factored is not None else rank
    scaled = (f"computed on A times 2**{-op.exponent}, and scaled back",) if op.exponent else ()
    return Report(
        plan=found.plan,
        shape=op.shape,
        rank=rank,
        size=basis.size,
        blocks=basis.blocks,
        passes=op.counts.passes,
        scans=op.counts.scans,
        products=op.counts.products,
        seed=key.seed,
        dtype_path=_dtype_path(A, op, out),
        backend=backend_name(op.xp),
        device="" if op.device is None else str(op.device),
        copies=tuple(dict.fromkeys(copies)) if (copies := getattr(op.base, "copies", ())) else (),
        numerical_rank=min(rank, numerical),
        deterministic=is_numpy(op.xp),
        seconds=time.perf_counter() - found.started,
        notes=(*basis.notes, *notes, *scaled),
        kernels=kernels_in_use(op.xp, op.dtype, families_of(op.base)),
    )


def unscaled(values: Any, exponent: int, way: str = "down") -> Any:
    """Return an array times ``2**exponent``, the scale of A; raises where that leaves the range of its dtype.

    What is divided by the scale needs an A scaled the other `way`.
    """
    if exponent == 0:
        return values
    with np.errstate(over="ignore"):
        grown = values * 2.0 ** (exponent // 2) * 2.0 ** (exponent - exponent // 2)
    if not all_finite(grown):
        raise NonFiniteError(
            f"the factors exceed the range of {grown.dtype} (the largest entry is about 2^{exponent}); "
            f"scale A {way} first"
        )
    return grown


def unscaled_error(error: ErrorEstimate, exponent: int) -> ErrorEstimate:
    """Return the certificate of the scaled matrix as one of A."""
    if exponent == 0:
        return error
    half, rest = 2.0 ** (exponent // 2), 2.0 ** (exponent - exponent // 2)
    names = ("absolute", "norm_of_A", "residual", "residual_upper")
    return dataclasses.replace(error, **{name: getattr(error, name) * half * rest for name in names})


def numerical_rank(values: np.ndarray[Any, Any], op: Ledger) -> int:
    """Count the singular values above what rounding alone leaves of a matrix of lower rank.

    Sums over the long side are coherent for matrices such as one of ones, so rounding grows with its root; but
    single precision on the host sums over it in double, and there at most 4 eps were measured, up to 2e5 rows.
    """
    top = float(values[0]) if len(values) else 0.0
    if top == 0:
        return 0
    short, long = math.sqrt(min(op.shape)), math.sqrt(max(op.shape))
    eps = eps_of(op.dtype)
    level = max(2.0, short) * eps if is_numpy(op.xp) else long * eps
    level = 4 * max(level, long * eps_of(np.float64))
    if values[-1] > level * top:
        return len(values)
    return int(np.count_nonzero(values > level * top))


def _dtype_path(A: Any, op: Ledger, out: Any) -> str:
    # A path or a list has no dtype of its own; the array that was found in it has.
    source = A if hasattr(A, "dtype") else getattr(op.base, "_array", getattr(op.base, "_source", op))
    if source.dtype is op.dtype is out.dtype:  # NumPy keeps one object for each
        return _name_of(op.dtype)
    names = [_name_of(dtype) for dtype in (source.dtype, op.dtype, out.dtype)]
    return " -> ".join(name for name, before in zip(names, ["", *names[:2]], strict=True) if name != before)


def _name_of(dtype: Any) -> str:
    if isinstance(dtype, np.dtype) and dtype.isnative:
        return dtype.type.__name__
    return str(dtype).rpartition(".")[2]


def _empty(A: Any, op: Ledger, request: Request, key: Key, problem: Driven) -> Any:
    started = time.perf_counter()
    like = from_host(np.zeros((0, 0), dtype=op.dtype), op.xp, op.device)
    real = zeros((0,), like, op.xp.float32 if eps_of(op.dtype) > 1e-10 else op.xp.float64)
    exact = ErrorEstimate(0.0, 0.0, request.norm, "exact", "an empty matrix", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    report = Report(
        plan=make_plan(op, request), shape=op.shape, rank=0, size=0, blocks=(), passes=0, scans=0, products=0,
        seed=key.seed, dtype_path=_dtype_path(A, op, like), backend=backend_name(op.xp),
        device="" if op.device is None else str(op.device), copies=(), numerical_rank=0, deterministic=True,
        seconds=time.perf_counter() - started,
    )  # fmt: skip
    certificate = Certificate(exact, report, Status.MET, None, None)
    return problem.build(problem.nothing(op.shape, like, real), 0, 0, certificate)


def resumer_of(problem_of: Callable[[dict[str, Any]], Driven]) -> Callable[..., Any]:
    """Return the function that goes on from a result of a problem, to be registered under its name.

    Parameters
    ----------
    problem_of : callable
        Makes the problem again from what was asked, ``Resume.request``.
    """

    def extend(
        result: Any, A: Any, *, rank: int | None = None, tol: float | None = None, on_failure: str = "raise"
    ) -> Any:
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
            cure = f"use truncate(rank={request.rank})" if hasattr(result, "truncate") else "call the function again"
            raise InputError(f"rank={request.rank} is below the present {result.rank}; {cure}")
        return run(A, op, request, Key(resume.seed), result, problem_of(resume.request))

    return extend
