"""Robust PCA: a matrix as low rank plus sparse, D = L + S, with a certificate from what was never looked at.

S1  Check the request and choose the method (`rnla.robust.planning`); without a rank, estimate it.
S2  Set rows and columns aside that no iteration may sample.
S3  Iterate the method's step; each is told to the callback, and every one stands in the trace.
S4  Read what was set aside, and judge L on it (`rnla.robust.certificate`).
S5  A method that the library chose and that failed is tried again with thresholds that fall more slowly, and last,
    where D is an array in memory, by accelerated alternating projections.

Equation: D = L + S where D was observed, S = T_z(D - L), rank L = r.
Guarantee, cost and differences from the papers: in the modules of the methods.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, cast, eps_of, host_values
from rnla._xp.namespace import backend_name, from_host, is_numpy, namespace_of
from rnla.checks import check_choice
from rnla.config import config_context, fixed_settings
from rnla.errors import DeadlineReached, ToleranceNotMet
from rnla.iterate import Watch, loop, watching
from rnla.results import ErrorEstimate, Report, Status
from rnla.results.robust_result import HeldOut, RobustPCAResult
from rnla.rng import Key, as_key
from rnla.robust.certificate import certify, error_of, tightened
from rnla.robust.planning import Asked, at_rank, plan_of, read_asked, require_memory, slower
from rnla.robust.protocols import Outcome, Problem, at_noise, verdict
from rnla.robust.pursuit import PrincipalComponentPursuit
from rnla.robust.rank import rank_of_low_part
from rnla.robust.reading import Reader
from rnla.robust.sampling import held_out
from rnla.robust.scaling import OtherScaleError, scaled_back, scaled_method, unscaled
from rnla.robust.skeletons import settled
from rnla.robust.starting import started_lower
from rnla.working import FAMILIES, kernels_in_use, working

__all__ = ["robust_pca"]

_FAMILIES = (*FAMILIES, "thresholding")


def robust_pca(
    D: Any,
    rank: int | None = None,
    *,
    method: Any = "auto",
    tol: float | None = None,
    sampling: Any = None,
    threshold: Any = None,
    mask: Any = None,
    max_iterations: int | None = None,
    callback: Callable[[Any], object] | None = None,
    on_failure: str = "raise",
    rng: Any = None,
) -> RobustPCAResult:
    """Part a matrix into low rank and outliers, ``D = L + S``, with a certificate.

    Parameters
    ----------
    D : matrix, shape (m, n)
        Everything that `svd` takes, and objects with ``rows(i)`` and ``columns(j)`` or with ``entries(i, j)`` that
        makes a block from two arrays of indices: a matrix that exists as a function only.  Never changed.
    rank : int, optional
        Rank of L; by default it is estimated on a block of D, cleaned by principal component pursuit.
    method : {"auto", "riecur", "ircur", "accaltproj", "altproj", "pcp"} or part
        `RieCUR` and `IRCUR` read a few rows and columns in each iteration; `AccAltProj`,
        `AlternatingProjections` and `PrincipalComponentPursuit` read all of an array in memory.
    tol : float, optional
        What stays of D - L - S where the method looks, relative to L; by default 1e-7, 1e-4 in single precision, and
        with a least threshold (`Threshold`) as small as the noise allows: the residual has to stand still there, and a
        note says where.  A `tol` of your own below the noise is missed.  Nothing is reached above the least threshold.
    sampling : float or {"uniform", "leverage"}, optional
        Rows and columns of a cross, in units of max(rank, 3) * log(n), or how they are drawn.
    threshold : {"entries", "columns"} or Threshold, optional
        What counts as an outlier: entries, or whole columns; with `Threshold`, also where it starts and ends.
    mask : array of bool, shape (m, n), optional
        True where D was observed.  Not for the methods that read a cross.
    max_iterations : int, optional
        At most, for each method that is tried; by default 200, and more where the threshold falls slowly.
    callback : callable, optional
        Told of every iteration; ``event.passes`` counts them, ``event.error`` is the residual.
    on_failure : {"raise", "return"}
        Whether a missed tolerance, a divergence or a refused answer raises, or is only told in ``status``.
    rng : None, int, SeedSequence, Generator, ...
        What `numpy.random.default_rng` takes.

    Returns
    -------
    RobustPCAResult
        Unpacks as ``L, S``: L a factored operator (``U``, ``s``, ``Vh``, also ``cur()``), S an operator that is
        made from D on demand (``S.sparse()``).

    Raises
    ------
    InputError, DTypeError
        Arguments that cannot be used, before any work.
    NonFiniteError
        NaN or infinity among the entries read.
    BudgetError
        A method that would need more memory than the budget, before it starts.
    ToleranceNotMet
        The iteration diverged or ran out, or held-out rows and columns contradict the answer; ``.result`` holds it.
    DeadlineReached
        The deadline passed; ``.result`` holds the answer so far.

    Notes
    -----
    Cost: for the methods of a cross, samples * max(rank, 3) * log(n) rows and as many columns are read in each
    iteration, of which there are about log(tol) / log(decay); memory of about three times the cross.  `plan` tells it.

    Guarantee: exact recovery is known for incoherent L and outliers spread evenly over rows and columns.  Whether this
    is such a matrix is not known beforehand: the certificate is read on rows and columns that were set aside before.
    Outliers that fill whole columns or rows cannot be told from L by entries.

    References
    ----------
    .. [1] K. Hamm, M. Meskini and H. Cai, Riemannian CUR decompositions for robust principal component analysis,
       Proceedings of Machine Learning Research 196 (2022).
    .. [2] H. Cai, K. Hamm, L. Huang, J. Li and T. Wang, Rapid robust principal component analysis: CUR accelerated
       inexact low rank estimation, IEEE Signal Processing Letters 28 (2021) 116-120.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> rng = np.random.default_rng(0)
    >>> low = rng.standard_normal((300, 2)) @ rng.standard_normal((2, 400))
    >>> D = low + np.where(rng.random((300, 400)) < 0.1, 5.0, 0.0)
    >>> L, S = rnla.robust_pca(D, 2, rng=0)
    >>> bool(np.allclose(L.to_array(), low, atol=1e-5)), round(S.sparse().nnz / D.size, 2)
    (True, 0.1)
    """
    check_choice("on_failure", on_failure, ("raise", "return"))
    key = as_key(rng)
    started = time.perf_counter()
    with contextlib.ExitStack() as stack:
        if callback is not None:
            stack.enter_context(config_context(callback=callback))
        stack.enter_context(fixed_settings())
        reader = Reader(D)
        asked = read_asked(reader, rank, method, tol, sampling, threshold, mask, max_iterations)
        planned = plan_of(reader, asked)
        require_memory(planned)
        stack.enter_context(working(reader.xp, reader.dtype, planned.flops, _FAMILIES))
        watch = stack.enter_context(watching(float(asked.limit)))
        result, message = _solve(D, reader, asked, key, watch, started)
    return _settled(result, message, asked, on_failure)


def _solve(D: Any, reader: Reader, asked: Asked, key: Key, watch: Watch, started: float) -> tuple[RobustPCAResult, str]:
    """Return the answer and what the deadline said, if it passed."""
    notes: list[str] = []
    again = asked.chosen and asked.rank is None  # the choice depends on the rank, which is estimated first
    rank, held = asked.rank, _set_aside(reader, key, 0, asked.method.reads_all and not again)
    if rank is None and not isinstance(asked.method, PrincipalComponentPursuit):
        watch.stage = "estimating the rank"
        kept = (held[0][:0], held[1][:0]) if asked.method.reads_all and not again else held
        rank, said = rank_of_low_part(reader, asked.mask, asked.method.threshold, key.child("rank"), kept)
        notes.append(said)
        asked = at_rank(reader, asked, rank)
        require_memory(plan_of(reader, asked))
        held = _set_aside(reader, key, 0, asked.method.reads_all)
    asked = dataclasses.replace(asked, rank=min(reader.shape) if rank is None else rank)
    tried = [asked.method, *slower(asked, reader)]
    for number, method in enumerate(tried):
        if number:  # what was set aside has been looked at
            reader.begin()
            held = _set_aside(reader, key, number, method.reads_all)
        asked = dataclasses.replace(asked, method=method)
        assert asked.rank is not None
        problem = Problem(
            reader,
            asked.rank,
            asked.tol,
            asked.limit,
            key.child("iterations", number),
            asked.mask,
            *held,
            _least(method),
        )
        deadline = watch.deadline
        begun, said = started_lower(method, problem)
        notes.extend(said)
        outcome, message = _iterated(begun, problem)
        judge = asked
        noise = at_noise(outcome.trace, _least(scaled_method(method, reader.exponent)))
        if noise and outcome.status is Status.DIVERGED:
            outcome, judge, said = _in_noise(outcome, asked)
            notes.append(said)
        watch.deadline, watch.stage = None, "reading what was set aside"
        found, status, level = _certified(reader, outcome, judge, held)
        outcome = dataclasses.replace(outcome, threshold=level)
        watch.deadline = deadline
        noise = noise and found is not None and found.accepted  # then going more slowly changes nothing
        if status.ok or message or noise or number + 1 == len(tried):
            break
        notes.append(f"{method.summary}: {status.name.lower()}; tried again")
    return _built(D, reader, asked, key, outcome, found, status, tuple(notes), started), message


def _set_aside(reader: Reader, key: Key, number: int, all_read: bool) -> tuple[Any, Any]:
    """Return the rows and columns that an attempt may not sample (S2)."""
    rows, columns = (
        held_out(key.child("held-out", what, number), length, all_read)
        for what, length in zip(("rows", "columns"), reader.shape, strict=True)
    )
    return rows, columns


def _iterated(method: Any, problem: Problem) -> tuple[Outcome, str]:
    """Return how far a method came (S3), in the scale of the reader, and what the deadline said."""
    message = ""
    try:
        state = method.start(problem)
    except OtherScaleError:  # what was read tells another scale: begin again in it
        method = scaled_method(method, problem.reader.exponent)
        problem = dataclasses.replace(problem, least=_least(method))
        state = method.start(problem)
    try:
        state = loop(
            state,
            lambda before: method.advance(problem, before),
            lambda after: verdict(after.trace, problem.tol, problem.max_iterations, problem.least) is not None,
        )
    except DeadlineReached as error:
        message, state = str(error), error.result
    status = verdict(state.trace, problem.tol, problem.max_iterations, problem.least)
    status = Status.DEADLINE if message or status is None else status
    return Outcome(state.factors, state.threshold, state.trace, status, state.rows, state.columns), message


def _least(method: Any) -> float:
    """Return the threshold that noise is expected under; the pursuit takes its levels from itself."""
    return 0.0 if isinstance(method, PrincipalComponentPursuit) else float(method.threshold.least)


def _in_noise(outcome: Outcome, asked: Asked) -> tuple[Outcome, Asked, str]:
    """Return an iteration that ended in noise: that is what was asked for, unless the caller gave a smaller `tol`."""
    last = outcome.trace[-1]
    said = f"the residual stands at {last.residual:.2e} with the threshold at its least: what is left is noise"
    if asked.tol_given:
        return outcome, asked, f"{said}; ask for tol={1.1 * last.residual:.1e} or more, or leave tol out"
    factors = settled(outcome.factors)
    return (
        dataclasses.replace(outcome, status=Status.MET, factors=factors),
        dataclasses.replace(asked, tol=max(asked.tol, last.residual)),
        f"{said}, and no tol was given",
    )


def _certified(
    reader: Reader, outcome: Outcome, asked: Asked, held: tuple[Any, Any]
) -> tuple[HeldOut | None, Status, float]:
    """Return what the rows and columns that were set aside say (S4), the status with it, and the threshold."""
    usable = math.isfinite(outcome.threshold) and bool(np.isfinite(host_values(outcome.factors.s)).all())
    if not usable or not len(held[0]) or not len(held[1]):
        return None, outcome.status, outcome.threshold
    threshold, share = outcome.threshold, outcome.trace[-1].outliers
    part = scaled_method(asked.method, reader.exponent).threshold
    if part.kind == "entries" and outcome.status.ok:
        rows = outcome.rows if len(outcome.rows) else np.arange(reader.shape[0])
        rows = rows[:: -(-len(rows) // len(held[0]))]  # no more than are held out
        threshold, share = tightened(reader, outcome.factors, threshold, part.at(0.0), rows, asked.tol, asked.mask)
    found = certify(
        reader, outcome.factors, threshold, part.kind, held[0], held[1], share,
        asked.tol, asked.mask,
    )  # fmt: skip
    status = Status.REFUSED if outcome.status.ok and not found.accepted else outcome.status
    return found, status, threshold


def _built(
    D: Any, reader: Reader, asked: Asked, key: Key, outcome: Outcome, held: HeldOut | None, status: Status,
    notes: tuple[str, ...], started: float,
) -> RobustPCAResult:  # fmt: skip
    u, s, vh = outcome.factors
    s, trace = scaled_back(s, reader.exponent, status.ok), np.asarray(outcome.trace, dtype=np.float64).reshape(-1, 4)
    trace[:, 1] = [unscaled(level, reader.exponent) for level in trace[:, 1]]
    (m, n), rank = reader.shape, int(s.shape[0])
    values = host_values(s)
    norm = math.hypot(*values) if rank else 0.0
    numerical = int((values > 10 * max(m, n) * eps_of(reader.dtype) * values[:1].max(initial=0.0)).sum())
    floor = 10 * eps_of(reader.dtype)
    if reader.exponent:
        notes = (*notes, f"worked on D times 2^{-reader.exponent}, so that squares stay in the range of {reader.dtype}")
    if held is None:
        last = outcome.trace[-1].residual
        error = ErrorEstimate(
            last, last * norm, "fro", "estimated", "the residual where the method looked", math.nan, 0.0, math.nan,
            floor, norm, last * norm, math.nan, "sum", "D",
        )  # fmt: skip
    else:
        error = error_of(held, norm, floor)
    path = [str(each).rpartition(".")[2] for each in (reader.source_dtype, reader.dtype)]
    report = Report(
        plan=plan_of(reader, asked), shape=reader.shape, rank=rank, size=len(outcome.columns) or rank, blocks=(),
        passes=len(outcome.trace) if asked.method.reads_all else 0, scans=0, products=0, seed=key.seed,
        dtype_path=" -> ".join(dict.fromkeys(path)), backend=backend_name(reader.xp),
        device="" if reader.device is None else str(reader.device), copies=tuple(getattr(reader.base, "copies", ())),
        numerical_rank=numerical, deterministic=is_numpy(reader.xp), seconds=time.perf_counter() - started,
        notes=notes, kernels=kernels_in_use(reader.xp, reader.dtype, _FAMILIES),
    )  # fmt: skip
    home = [from_host(np.asarray(index), reader.xp, reader.device) for index in (outcome.rows, outcome.columns)]
    return RobustPCAResult(
        u, s, vh, unscaled(outcome.threshold, reader.exponent), asked.method.threshold.kind, home[0], home[1],
        trace, held, (_coherence(u), _coherence(adjoint(vh))),
        reader.entries, reader.distinct, error, report, status, None, D, asked.mask,
    )  # fmt: skip


def _coherence(u: Any) -> float:
    """Return m / r times the largest squared norm of a row."""
    if 0 in u.shape:
        return 0.0
    xp = namespace_of(u)
    largest = float(xp.max(xp.sum(cast(xp.abs(u), xp.float64) ** 2, axis=1)))
    return int(u.shape[0]) / int(u.shape[1]) * largest


def _settled(result: RobustPCAResult, message: str, asked: Asked, on_failure: str) -> RobustPCAResult:
    """Return the result, or raise or warn of what it fell short of."""
    last = np.asarray(result.trace)[-1]
    if on_failure == "raise":
        if message:
            raise DeadlineReached(f"{message}; .result holds what {result.iterations} iterations reached", result)
        if not result.status.ok:
            held = "" if result.held_out is None else f"; held out: {result.held_out}"
            noted = "".join(f"; {note}" for note in result.report.notes if "noise" in note)
            raise ToleranceNotMet(
                f"tol={asked.tol:.1e} was not met: residual {last[0]:.2e} after {result.iterations} iterations, "
                f"{last[2]:.1%} of outliers; {result.status.value}{noted}{held}; the answer is in .result, and "
                "on_failure='return' gives it back instead",
                result,
            )
    return result
