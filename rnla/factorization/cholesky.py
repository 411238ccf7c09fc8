"""Partial Cholesky factorization of a positive semidefinite matrix from few columns [chen2025]_, [epperly2024]_.

Problem: A ~ L L^H of a given rank, or of the smallest that meets a tolerance, reading the diagonal and k columns.

Equation: with pivots p, A[:, p] = L L[p]^H, and the residual S = A - L L^H is positive semidefinite with
norm_*(S) = trace(S) = sum_i (A_ii - norm(L[i])^2).

S1. Read the diagonal d.
S2. Blocks of pivots by the rule of `method` until the rank is there, or sum(d) <= tol trace(A)
    (`rnla.compression.random_pivoting`, `rnla.compression.partial_cholesky`).
S3. Cut to the smallest rank that meets the tolerance: what a column takes off the trace is its squared norm.
S4. A block of the residual is looked at, to notice a matrix that is not semidefinite; the certificate is sum(d),
    summed anew in double precision.

Cost: n k entries of A for columns, n for the diagonal, at most about n k / 4 for the blocks of candidates;
O(n k^2) flops; n k numbers for L, on the host from the start, and as many again where a tolerance decides k.
Guarantee: the trace norm of the error is exact, for a matrix that is positive semidefinite; it bounds the Frobenius
and the spectral norm.  A priori the theorem in `rnla.compression.random_pivoting`, tested in
`tests/factorization/test_cholesky.py`.

Differences from the papers: those of `rnla.compression.random_pivoting`; and the tolerance is met by the smallest
rank of the pivots drawn, not by the last block.

When to use: kernel matrices and others whose entries cost more than arithmetic.  When not: a matrix that is cheap
to multiply has smaller errors for the same rank by `eigh`; an indefinite one has no such factorization.
"""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, eps_of, frobenius, host_values, svd
from rnla._xp.namespace import backend_name, device_of, from_host, is_numpy, namespace_of, to_host
from rnla._xp.pivoting import take
from rnla.checks import check_choice, check_rank, check_tol
from rnla.compression.partial_cholesky import (
    PivotState,
    add_block,
    begin,
    check_rest,
    trace_error_level,
    traces,
    trimmed,
    with_room,
)
from rnla.compression.random_pivoting import PivotRule, RandomPivoting
from rnla.config import Config, fixed_settings
from rnla.errors import BackendError, BudgetError, DeadlineReached, DTypeError, InputError, RankWarning, ToleranceNotMet
from rnla.factorization.driver import unscaled, unscaled_error
from rnla.iterate import watching
from rnla.operators.entries import Entries
from rnla.planner import Plan
from rnla.rangefinder.protocols import Riders
from rnla.results import ErrorEstimate, Report, Status, register_resumer
from rnla.results.cholesky_result import CholeskyResult, CholeskyResume, squared_norms
from rnla.rng import Key, as_key
from rnla.working import FAMILIES, working

__all__ = ["cholesky"]

_NORMS = ("nuclear", "fro", "spectral")
_FAMILIES = (*FAMILIES, "distances")


def cholesky(
    A: Any,
    rank: int | None = None,
    *,
    tol: float | None = None,
    norm: str = "nuclear",
    method: PivotRule | None = None,
    on_failure: str = "raise",
    rng: Any = None,
) -> CholeskyResult:
    """Partial Cholesky factorization of a positive semidefinite matrix by randomly chosen pivots.

    Parameters
    ----------
    A : matrix, shape (n, n)
        Positive semidefinite: an array of any library, a sparse matrix, a memmap or the path of an ``.npy`` file, an
        HDF5, Zarr or Dask array, a `kernel_operator`, or an object with ``shape``, ``dtype``, ``diagonal()`` and
        ``columns(j)`` (and ``entries(i, j)``, if that is cheaper).  Only the diagonal and few columns are read.
    rank : int, optional
        Columns wanted; with `tol`, the most of them.
    tol : float, optional
        Error allowed, relative to the same norm of A.
    norm : {"nuclear", "fro", "spectral"}
        The norm of the error.  The nuclear norm, the sum of the eigenvalues, is exact; in the other two it stands
        for a bound, often a rough one.
    method : PivotRule, optional
        ``RandomPivoting()`` (default), ``RobustBlockPivoting()``, ``GreedyPivoting()`` or ``UniformPivoting()``.
    on_failure : {"raise", "return"}
        Whether a missed tolerance or deadline raises or is only told in ``status``.
    rng : None, int, SeedSequence, Generator, ...
        What `numpy.random.default_rng` takes.

    Returns
    -------
    CholeskyResult
        Unpacks as ``L, pivots``; L (n, k) with A ~ L L^H, in the library and on the device of A.

    Raises
    ------
    InputError, DTypeError
        Arguments that cannot be used; a matrix found not to be Hermitian or not positive semidefinite.
    NonFiniteError
        NaN or infinity in what was read.
    BudgetError
        More memory than allowed, before the work.
    ToleranceNotMet
        `tol` was missed; ``.result`` holds the best answer.
    DeadlineReached
        The deadline passed; ``.result`` holds the answer so far, if any.

    Warns
    -----
    RankWarning
        The matrix is exhausted, to rounding, before the rank asked for; L then has fewer columns.

    Notes
    -----
    Cost: (k + 1) n entries of A, about n k / 4 more at most to settle candidates, and O(n k^2) flops; ``report.notes``
    tells how many entries were read.

    Guarantee: the error in the nuclear norm is exact.  In expectation it is at most (1 + e) times the smallest
    possible at rank r once k >= r / e + r log(1 / (e t)), t the share of the trace that rank r misses [1]_.
    That A is positive semidefinite, and finite, is believed where nothing that was read speaks against it, 16 rows of
    the residual at the end included: NaN in entries that are never read goes unnoticed.

    References
    ----------
    .. [1] Y. Chen, E. N. Epperly, J. A. Tropp and R. J. Webber, Randomly pivoted Cholesky, Communications on Pure
       and Applied Mathematics 78 (2025) 995-1041.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = rnla.kernel_operator(rnla.GaussianKernel(0.5), np.linspace(0, 1, 2000))
    >>> result = rnla.cholesky(A, 8, rng=0)
    >>> L, pivots = result
    >>> L.shape, result.error.kind
    ((2000, 8), 'exact')
    """
    key = as_key(rng)
    check_choice("on_failure", on_failure, ("raise", "return"))
    check_choice("norm", norm, _NORMS)
    if rank is None and tol is None:
        raise InputError("say how much is wanted: rank= (columns), tol= (relative error), or both")
    rule = RandomPivoting() if method is None else method
    if isinstance(rule, type) or not isinstance(rule, PivotRule):
        raise DTypeError(f"method must be a part such as RandomPivoting(), got {method!r}")
    entries = Entries(A)
    return _run(A, entries, _checked(entries, rank, tol, norm, on_failure), rule, key, None)


@dataclasses.dataclass(frozen=True, slots=True)
class _Request:
    rank: int | None
    tol: float | None
    norm: str
    on_failure: str


def _checked(entries: Entries, rank: Any, tol: Any, norm: str, on_failure: str) -> _Request:
    return _Request(
        rank=None if rank is None else check_rank(rank, entries.shape),
        tol=None if tol is None else check_tol(tol, entries.dtype),
        norm=norm,
        on_failure=on_failure,
    )


def _run(
    A: Any, entries: Entries, request: _Request, rule: PivotRule, key: Key, before: CholeskyResult | None
) -> CholeskyResult:
    started = time.perf_counter()
    n = entries.shape[0]
    limit = n if request.rank is None else request.rank
    message = ""
    stopped: Status | None = None
    with fixed_settings() as config, watching(None) as watch, working(entries.xp, entries.dtype, families=_FAMILIES):
        watch.stage = "choosing pivots"
        if request.tol is None:
            _require_room(entries, limit, config)
        state = begin(entries)  # S1
        if before is not None:
            state = _restored(entries, before.resume, state)
        if request.tol is None:
            state = with_room(state, limit)
        try:
            while state.rank < limit:  # S2
                if request.tol is not None and _error(entries, state, request.norm).meets(request.tol):
                    break
                if request.tol is not None and _bytes(entries, state.rank + state.size) > config.budget():
                    stopped = Status.MEMORY
                    break
                watch.tick()
                more = add_block(entries, state, rule, limit, key)
                if more is None:
                    break
                state = more
            check_rest(entries, state, key)
        except DeadlineReached as error:
            message = str(error)
        watch.deadline, state = None, trimmed(state)
        result = _assemble(A, entries, state, request, rule, key, stopped, bool(message), started, before)
    if message and request.on_failure == "raise":
        raise DeadlineReached(f"{message}; .result holds rank {result.rank}, {result.error}", result)
    _raise_or_warn(request, result)
    return result


def _bytes(entries: Entries, columns: int) -> int:
    """Return the peak memory of so many columns: L, the longer L that takes its place, and columns of A."""
    return entries.shape[0] * (3 * columns * entries.dtype.itemsize + 64)


def _require_room(entries: Entries, rank: int, config: Config) -> None:
    needed = _bytes(entries, rank)
    if needed > config.budget():
        fits = max(0, (config.budget() // max(1, entries.shape[0]) - 64) // (3 * entries.dtype.itemsize))
        raise BudgetError(
            f"rank={rank} needs about {needed} bytes and the memory budget is {config.budget()}; rank={fits} fits, or "
            f"set memory_budget to at least {needed}"
        )


def _error(entries: Entries, state: PivotState, norm: str) -> ErrorEstimate:
    """Return the certificate of all columns of the state, in the scale of the gate."""
    trace, left, below = traces(state)
    # Negative entries are rounding that has grown; off the diagonal there is more of it.
    rounding = trace_error_level(entries.dtype, state.rank) + (10 * below / trace if trace > 0 else 0.0)
    scale, kind = trace, "exact"
    if norm != "nuclear":
        # The norm of L L^H is not above that of A; nor is the largest diagonal entry.
        small = adjoint(state.factor) @ state.factor
        found = frobenius(small) if norm == "fro" else float(host_values(svd(small)[1]).max(initial=0.0))
        largest = float(np.max(host_values(state.diagonal), initial=0.0))
        scale, kind = max(found, largest), "bounded"
        rounding *= trace / scale if scale > 0 else 0.0
    rounding = rounding if scale > 0 else 0.0
    value = left / scale if scale > 0 else 0.0
    return ErrorEstimate(
        value=value, absolute=left, norm=norm, kind=kind,
        method="the residual diagonal" + (", whose sum bounds the norm" if kind == "bounded" else ""),
        upper=value + rounding, failure_probability=0.0,
        standard_error=0.0 if kind == "exact" else math.nan, floor=rounding, norm_of_A=scale, residual=left,
        residual_upper=left + rounding * scale, cut="sum",
    )  # fmt: skip


def _assemble(
    A: Any, entries: Entries, state: PivotState, request: _Request, rule: PivotRule, key: Key,
    stopped: Status | None, late: bool, started: float, before: CholeskyResult | None,
) -> CholeskyResult:  # fmt: skip
    error = _error(entries, state, request.norm)
    rank, status = state.rank, Status.MET
    dropped = np.append(np.cumsum(squared_norms(state.factor)[::-1])[::-1], 0.0)
    if request.tol is not None:
        scale, rounding = error.norm_of_A, error.floor
        fits = np.flatnonzero(error.absolute + dropped + rounding * scale <= request.tol * scale)  # S3
        if len(fits):
            rank = max(int(fits[0]), 0 if before is None else before.rank)
        else:
            exhausted = state.rank < (entries.shape[0] if request.rank is None else request.rank)
            status = stopped or (Status.NOT_CERTIFIED if exhausted or request.rank is None else Status.RANK_CAP)
    if late:
        status = Status.DEADLINE
    absolute = error.absolute + float(dropped[rank])
    value = absolute / error.norm_of_A if error.norm_of_A > 0 else 0.0
    error = dataclasses.replace(
        error, value=value, absolute=absolute, upper=value + error.floor, residual=absolute,
        residual_upper=absolute + error.floor * error.norm_of_A,
    )  # fmt: skip
    xp, exponent = entries.xp, entries.exponent
    L = unscaled(state.factor[:, :rank], exponent // 2)
    pivots = from_host(state.pivots[:rank].copy(), xp, entries.device)
    resume = CholeskyResume(
        name="cholesky", factor=state.factor, pivots=state.pivots, diagonal=state.diagonal, residual=state.residual,
        excluded=np.flatnonzero(state.excluded), block=state.block, size=state.size, tried=state.tried,
        taken=state.taken, waiting=state.waiting, exponent=exponent, method=rule,
        request={"rank": request.rank, "tol": request.tol, "norm": request.norm}, seed=key.seed,
    )  # fmt: skip
    n = entries.shape[0]
    notes = [f"{entries.read} entries of A were read, {entries.read / max(1, n * n):.2g} of all"]
    if exponent:
        notes.append(f"computed on A times 2**{-exponent}, and scaled back")
    report = Report(
        plan=_plan(entries, rule, request, rank), shape=entries.shape, rank=rank, size=state.rank,
        blocks=(state.rank,), passes=0, scans=0, products=0, seed=key.seed, dtype_path=_dtype_path(A, entries),
        backend=backend_name(xp), device="" if entries.device is None else str(entries.device),
        copies=tuple(dict.fromkeys(getattr(entries.base, "copies", ()))), numerical_rank=rank,
        deterministic=is_numpy(xp), seconds=time.perf_counter() - started, notes=tuple(notes),
    )  # fmt: skip
    return CholeskyResult(L, pivots, unscaled_error(error, exponent), report, status, resume, A)


def _dtype_path(A: Any, entries: Entries) -> str:
    given = str(getattr(A, "dtype", entries.dtype)).rpartition(".")[2]
    return given if given == entries.dtype.name else f"{given} -> {entries.dtype.name}"


def _plan(entries: Entries, rule: PivotRule, request: _Request, rank: int) -> Plan:
    n, item = entries.shape[0], entries.dtype.itemsize
    method: Any = rule
    return Plan(
        method=method, shape=entries.shape, dtype=entries.dtype, kind="entries", size=request.rank, limit=n,
        riders=Riders(), passes=0, flops=2.0 * n * rank**2, bytes=n * (3 * rank * item + 64),
        seconds=math.nan, reasons=("only the diagonal and the columns of the pivots are read",),
    )  # fmt: skip


def _raise_or_warn(request: _Request, result: CholeskyResult) -> None:
    if not result.status.ok and result.status is not Status.DEADLINE and request.on_failure == "raise":
        assert request.tol is not None
        raise ToleranceNotMet(
            f"tol={request.tol:.1e} was not met: rank {result.rank} is certified to {result.error.upper:.2e} "
            f"({result.error.kind}, by {result.error.method}); {result.status.value}; "
            "the answer is in .result, and on_failure='return' gives it back instead",
            result,
        )
    if request.rank is not None and request.tol is None and result.status.ok and result.rank < request.rank:
        warnings.warn(
            f"the matrix is exhausted after {result.rank} pivots, below rank={request.rank}: what is left of its "
            "diagonal is rounding, so L has as many columns",
            RankWarning,
            stacklevel=4,
        )


def _restored(entries: Entries, resume: CholeskyResume, fresh: PivotState) -> PivotState:
    """Return the state of an earlier call, if this is its matrix."""
    names = ("factor", "diagonal", "residual")
    arrays = {name: getattr(resume, name) for name in names}
    n = entries.shape[0]
    excluded = np.zeros(n, dtype=bool)
    same = resume.exponent == entries.exponent and resume.factor.shape[0] == n
    if same:
        excluded[resume.excluded] = True
        old, new = host_values(arrays["diagonal"]), host_values(fresh.diagonal)
        same = bool(np.all(np.abs(old - new) <= 100 * eps_of(entries.dtype) * np.abs(old)))
    if same and len(resume.pivots):
        few = resume.pivots[:8]
        row = to_host(take(arrays["factor"], few, axis=0))
        root = np.sqrt(old[few])
        gap = np.abs(entries.block(few) - row @ row.conj().T)
        same = bool(np.all(gap <= 1e4 * eps_of(entries.dtype) * np.outer(root, root)))
    if not same:
        raise InputError(
            "extend needs the matrix that was factorized, and this one has other entries: "
            "it was changed since, or it is another; call cholesky again"
        )
    return PivotState(
        pivots=resume.pivots, excluded=excluded, block=resume.block, size=resume.size, waiting=resume.waiting,
        tried=resume.tried, taken=resume.taken, **arrays,
    )  # fmt: skip


def _at_home(resume: CholeskyResume, entries: Entries, *, loaded: bool) -> CholeskyResume:
    """Return the record with its arrays where A is; only those of a file may move."""
    if namespace_of(resume.factor) is entries.xp and device_of(resume.factor) in {entries.device, None}:
        return resume
    if not loaded:
        raise BackendError(
            f"the result lies in {backend_name(namespace_of(resume.factor))} and A in {backend_name(entries.xp)}; pass "
            "A where the result is, or call cholesky again"
        )
    moved = {
        name: from_host(to_host(getattr(resume, name)), entries.xp, entries.device)
        for name in ("factor", "diagonal", "residual")
    }
    return dataclasses.replace(resume, **moved)


def _extend(
    result: CholeskyResult, A: Any, *, rank: int | None = None, tol: float | None = None, on_failure: str = "raise"
) -> CholeskyResult:
    """Go on with the same stream of pivots."""
    if rank is None and tol is None:
        raise InputError("say how much more is wanted: rank=, tol=, or both")
    entries = Entries(A)
    resume = _at_home(result.resume, entries, loaded=result._source is None)
    request = _checked(entries, rank, tol, resume.request["norm"], on_failure)
    if request.rank is not None and request.rank < result.rank:
        raise InputError(f"rank={request.rank} is below the present {result.rank}; use truncate(rank={request.rank})")
    before = dataclasses.replace(result, resume=resume)
    return _run(A, entries, request, resume.method, Key(resume.seed), before)


register_resumer("cholesky", _extend)
