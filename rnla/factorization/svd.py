"""The singular value decomposition: the pipeline from a matrix to factors with a certificate.

Problem: U diag(s) Vh ~ A of a given rank, or of the smallest rank that meets a tolerance.

S1. Coerce A to an operator, behind the ledger; read the request; plan.
S2. Find a basis (the plan's range finder), with riders for the certificate.
S3. Compress to LowRank(Q, C, P).
S4. QR of the long factor, SVD of its triangle [halko2011]_ (Algorithm 5.1).
S5. Certify the whole basis; pick the rank; join the dropped singular values to the error.
S6. Signs, scale, home.

Guarantee: the error of S5 is the error of the rank returned, of the kind it names.
"""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from typing import Any

import numpy as np

from rnla._kernels.threads import one_blas_thread
from rnla._xp.linalg import eps_of, host_values, zeros
from rnla._xp.namespace import backend_name, from_host, full_precision, is_numpy
from rnla.config import fixed_settings
from rnla.errors import DeadlineReached, InputError, NonFiniteError, RankWarning, ToleranceNotMet
from rnla.factorization.resuming import at_home, require_same_matrix
from rnla.factorization.search import Search
from rnla.factorization.signs import fix_signs
from rnla.iterate import watching
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.operators.sparse import Sparse
from rnla.planner import Plan, make_plan
from rnla.rangefinder import Adaptive, FullSVD
from rnla.rangefinder.protocols import Goal
from rnla.request import Request, read_request
from rnla.results import ErrorEstimate, RangeBasis, Report, Resume, Status, SVDResult, register_resumer, truncated_error
from rnla.rng import Key, as_key

__all__ = ["plan", "svd"]


def svd(
    A: Any,
    rank: int | None = None,
    *,
    tol: float | None = None,
    norm: str = "fro",
    oversampling: int | None = None,
    power_iterations: int | None = None,
    sketch: Any = None,
    method: Any = None,
    on_failure: str = "raise",
    rng: Any = None,
) -> SVDResult:
    """Truncated singular value decomposition of any matrix, with a certificate.

    Parameters
    ----------
    A : matrix, shape (m, n)
        A NumPy array or one of any library of the array standard (torch, CuPy, ...), a SciPy sparse
        matrix, a memmap, the path of an ``.npy`` file, an HDF5, Zarr or Dask array, a
        `LinearOperator` or anything with ``shape`` and ``@`` and an adjoint.  Never changed.
    rank : int, optional
        Singular values wanted; with `tol`, the most of them.
    tol : float, optional
        Error allowed, relative to the norm of A: the smallest rank that is certified to meet it.
    norm : {"fro", "spectral"}
        The norm of the error.
    oversampling : int, optional
        Columns of the basis beyond the rank; by default max(10, rank / 2).
    power_iterations : int, optional
        Accuracy of the basis; by default 2.
    sketch : str or TestMatrix, optional
        ``"gaussian"`` (default), ``"sparse_sign"``, or a description.
    method : RangeFinder, optional
        A part such as ``SubspaceIteration(power_iterations=4)``; excludes the three above.
    on_failure : {"raise", "return"}
        Whether a missed tolerance or deadline raises or is only told in ``status``; a deadline that passes
        before there is any answer raises in either case.
    rng : None, int, SeedSequence, Generator, ...
        What `numpy.random.default_rng` takes.

    Returns
    -------
    SVDResult
        Unpacks as ``U, s, Vh``; U (m, k), s (k,) descending, Vh (k, n), in the library and on the
        device of A; carries ``error``, ``report`` and ``status``.  float32, float64, complex64 and
        complex128 are kept; integers and booleans become float64, float16 and bfloat16 float32.

    Raises
    ------
    InputError, DTypeError
        Arguments that cannot be used, before any work.
    NonFiniteError
        NaN or infinity in A, or an overflow.
    OperatorError
        An operator that breaks its contract.
    BudgetError
        Work that would need more memory or passes than allowed, before it starts.
    ToleranceNotMet
        `tol` was missed; ``.result`` holds the best answer.
    DeadlineReached
        The deadline passed; ``.result`` holds the answer so far, if any.

    Warns
    -----
    RankWarning
        The numerical rank of A is below the rank asked for.

    Notes
    -----
    Cost of the randomized method: 2 (q + 1) + 1 products of l = rank + oversampling columns, q power
    iterations, in q + 2 passes over row blocks (2 q + 3 otherwise), O((m + n) l^2) flops besides, and
    about 4 (m + n) l numbers of memory.  `plan` tells them for a matrix at hand.

    Guarantee: the error returned is that of the factors returned: exact where the Frobenius identity
    holds (the factors' columns are orthonormal to 30 eps sqrt(k) in norm), else with the stated
    failure probability.  A priori, Theorem 9.1 and Corollary 10.9 of [1]_ apply to (A^H A)^(q+1).

    References
    ----------
    .. [1] N. Halko, P. G. Martinsson and J. A. Tropp, Finding structure with randomness, SIAM Review
       53 (2011) 217-288.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag(0.5 ** np.arange(200.0))
    >>> result = rnla.svd(A, tol=1e-3, rng=0)
    >>> U, s, Vh = result
    >>> s.shape, result.error.value <= 1e-3
    ((10,), True)
    """
    key = as_key(rng)
    op = as_operator(A)
    request = read_request(
        op.shape, op.dtype, rank, tol, norm, oversampling, power_iterations, sketch, method, on_failure
    )
    return _run(A, op, request, key, None)


def plan(
    A: Any,
    rank: int | None = None,
    *,
    tol: float | None = None,
    norm: str = "fro",
    oversampling: int | None = None,
    power_iterations: int | None = None,
    sketch: Any = None,
    method: Any = None,
) -> Plan:
    """What `svd` would do with the same arguments, and why; nothing is multiplied.

    Parameters
    ----------
    A, rank, tol, norm, oversampling, power_iterations, sketch, method
        As `svd` takes them.

    Returns
    -------
    Plan
        Prints as a short table; its ``method`` may be passed back as ``method=``.

    Raises
    ------
    InputError, DTypeError, BudgetError
        As `svd` raises them before the work.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> type(rnla.plan(np.ones((40, 30)), rank=5).method).__name__
    'FullSVD'
    """
    op = as_operator(A)
    request = read_request(op.shape, op.dtype, rank, tol, norm, oversampling, power_iterations, sketch, method, "raise")
    return make_plan(Ledger(op), request)


def _run(A: Any, base: Any, request: Request, key: Key, before: SVDResult | None) -> SVDResult:
    started = time.perf_counter()
    op = Ledger(base)
    if min(op.shape) == 0:
        return _empty(A, op, request, key, started)
    resume = None if before is None else before.resume
    basis: RangeBasis | None
    message = ""
    with fixed_settings() as config:
        the_plan = make_plan(op, request, None if resume is None else resume.basis)
        if isinstance(base, Sparse):
            base.room = config.budget() - the_plan.bytes
        with watching(the_plan.passes) as watch, one_blas_thread(), full_precision(op.xp):
            search = Search(op, request, the_plan, key, watch, 0 if before is None else before.rank)
            try:
                basis = _find(op, the_plan, key, search, resume)
            except DeadlineReached as error:
                message, basis = str(error), error.result
                if basis is None and before is None:
                    raise DeadlineReached(message) from None
            # What follows is small, and without it nothing would be kept; A is not read for it.
            watch.deadline, op.closed = None, bool(message)
            watch.stage = "factoring"
            if basis is None:  # the deadline passed before it was known whether this is the matrix of before
                assert before is not None
                result = dataclasses.replace(before, status=Status.DEADLINE)
            else:
                whole = search.look(basis)
                result = _assemble(A, op, request, the_plan, key, search, whole, bool(message), started)
    if message and request.on_failure == "raise":
        raise DeadlineReached(f"{message}; .result holds rank {result.rank}, {result.error}", result)
    _raise_or_warn(request, result, search)
    return result


def _find(op: Ledger, the_plan: Plan, key: Key, search: Search, resume: Resume | None) -> RangeBasis:
    """Return the basis; when the deadline passes, the error carries the largest one that was there."""
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
        note = f"the tolerance needs more than {basis.size} columns: the full SVD, which is cheaper then, took over"
        return dataclasses.replace(FullSVD().find(op, goal, key, the_plan.riders), notes=(*basis.notes, note))
    except DeadlineReached as error:
        found = error.result[0] if isinstance(error.result, tuple) else error.result
        error.result = best if found is None else found
        raise


def _assemble(
    A: Any, op: Ledger, request: Request, the_plan: Plan, key: Key, search: Search, whole: ErrorEstimate,
    stopped: bool, started: float,
) -> SVDResult:  # fmt: skip
    assert search.basis is not None
    assert search.factors is not None
    u, s_all, vh = search.factors
    values = host_values(s_all)
    rank, status = search.pick()
    if stopped:
        status = Status.DEADLINE
    error = truncated_error(whole, values, rank)
    u, vh = fix_signs(u[:, :rank], vh[:rank, :])  # S6
    s, error = _unscaled(s_all[:rank], error, op.exponent)
    numerical = _numerical_rank(values, op)
    basis = dataclasses.replace(search.basis, factors=None)
    report = Report(
        plan=the_plan,
        shape=op.shape,
        rank=rank,
        size=basis.size,
        blocks=basis.blocks,
        passes=op.counts.passes,
        scans=op.counts.scans,
        products=op.counts.products,
        seed=key.seed,
        dtype_path=_dtype_path(A, op, u),
        backend=backend_name(op.xp),
        device="" if op.device is None else str(op.device),
        copies=tuple(dict.fromkeys(getattr(op.base, "copies", ()))),
        numerical_rank=min(rank, numerical),
        deterministic=is_numpy(op.xp),
        seconds=time.perf_counter() - started,
        notes=(*basis.notes, *((f"computed on A times 2**{-op.exponent}, and scaled back",) if op.exponent else ())),
    )
    magnitude = op.measure()
    resume = Resume(
        name="svd", basis=basis, singular_values=values, exponent=op.exponent,
        frobenius=math.nan if magnitude is None else magnitude.frobenius,
        method=FullSVD() if search.basis.factors is not None else the_plan.method,
        request={"rank": request.rank, "tol": request.tol, "norm": request.norm}, seed=key.seed,
    )  # fmt: skip
    return SVDResult(u, s, vh, error, report, status, resume, A)


def _unscaled(s: Any, error: ErrorEstimate, exponent: int) -> tuple[Any, ErrorEstimate]:
    if exponent == 0:
        return s, error
    half = 2.0 ** (exponent // 2)
    rest = 2.0 ** (exponent - exponent // 2)
    with np.errstate(over="ignore"):
        s = s * half * rest
    if not np.all(np.isfinite(host_values(s))):
        raise NonFiniteError(
            f"the singular values exceed the range of {s.dtype} (the largest is about 2^{exponent}); scale A down first"
        )
    grown = {
        name: getattr(error, name) * half * rest for name in ("absolute", "norm_of_A", "residual", "residual_upper")
    }
    return s, dataclasses.replace(error, **grown)


def _numerical_rank(values: np.ndarray[Any, Any], op: Ledger) -> int:
    """Count the singular values above what rounding alone leaves of a matrix of lower rank.

    Sums over the long side are coherent for matrices such as one of ones, so rounding grows with its root; but
    single precision on the host sums over it in double, and there at most 4 eps were measured, up to 2e5 rows.
    """
    if not len(values) or values[0] == 0:
        return 0
    short, long = (math.sqrt(side) for side in sorted(op.shape))
    eps = eps_of(op.dtype)
    level = max(2.0, short) * eps if is_numpy(op.xp) else long * eps
    level = 4 * max(level, long * eps_of(np.float64))
    return int(np.count_nonzero(values > level * values[0]))


def _dtype_path(A: Any, op: Ledger, out: Any) -> str:
    # A path or a list has no dtype of its own; the array that was found in it has.
    source = A if hasattr(A, "dtype") else getattr(op.base, "_array", getattr(op.base, "_source", op))
    given = str(source.dtype).rpartition(".")[2]
    home = str(out.dtype).rpartition(".")[2]
    steps = [given, *([op.dtype.name] if op.dtype.name != given else []), *([home] if home != op.dtype.name else [])]
    return " -> ".join(steps)


def _raise_or_warn(request: Request, result: SVDResult, search: Search) -> None:
    if not result.status.ok and result.status is not Status.DEADLINE and request.on_failure == "raise":
        reached = result.error.value if math.isnan(result.error.upper) else result.error.upper
        advice = f" (memory_budget={search.memory_needed} allows the next step)" if search.memory_needed else ""
        raise ToleranceNotMet(
            f"tol={request.tol:.1e} was not met: rank {result.rank} is certified to {reached:.2e} "
            f"({result.error.kind}, by {result.error.method}); {result.status.value}{advice}; "
            "the answer is in .result, and on_failure='return' gives it back instead",
            result,
        )
    asked, found = request.rank, result.report.numerical_rank
    if asked is not None and request.tol is None and found < min(asked, result.rank):
        warnings.warn(
            f"the matrix has numerical rank {found}, below rank={asked}: the singular values past it are rounding, "
            "and their vectors, though orthonormal, are arbitrary",
            RankWarning,
            stacklevel=4,
        )


def _empty(A: Any, op: Ledger, request: Request, key: Key, started: float) -> SVDResult:
    m, n = op.shape
    dtype = getattr(op.xp, op.dtype.name)
    like = from_host(np.zeros((0, 0), dtype=op.dtype), op.xp, op.device)
    real = op.xp.float32 if eps_of(op.dtype) > 1e-10 else op.xp.float64
    exact = ErrorEstimate(0.0, 0.0, request.norm, "exact", "an empty matrix", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    report = Report(
        plan=make_plan(op, request), shape=op.shape, rank=0, size=0, blocks=(), passes=0, scans=0, products=0,
        seed=key.seed,
        dtype_path=_dtype_path(A, op, like), backend=backend_name(op.xp),
        device="" if op.device is None else str(op.device), copies=(), numerical_rank=0, deterministic=True,
        seconds=time.perf_counter() - started,
    )  # fmt: skip
    u, s, vh = zeros((m, 0), like, dtype), zeros((0,), like, real), zeros((0, n), like, dtype)
    return SVDResult(u, s, vh, exact, report, Status.MET)


def _extend(
    result: SVDResult, A: Any, *, rank: int | None = None, tol: float | None = None, on_failure: str = "raise"
) -> SVDResult:
    """Go on from a result: the resumer of this driver."""
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
        raise InputError(f"rank={request.rank} is below the present {result.rank}; use truncate(rank={request.rank})")
    return _run(A, op, request, Key(resume.seed), result)


register_resumer("svd", _extend)
