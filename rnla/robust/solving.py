"""Robust PCA: a matrix as low rank plus sparse, D = L + S, with a certificate from what was never looked at.

S1  Check the request and choose the method (`rnla.robust.planning`); find where the threshold begins
    (`rnla.robust.starting`); without a rank, estimate it, and without anything to estimate take L = 0
    (`rnla.robust.vanishing`).
S2  Set rows and columns aside that no iteration may sample.
S3  Iterate the method's step; each is told to the callback, and every one stands in the trace.
S4  Read what was set aside, and judge L on it (`rnla.robust.certificate`).  S2 to S4 are an attempt
    (`rnla.robust.attempts`).
S5  A method that the library chose and that failed is tried again with thresholds that fall more slowly, then, where D
    is an array in memory, by accelerated alternating projections, and by alternating projections in stages; and any
    method whose threshold did not begin at the largest modulus is tried once more from there.

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
from rnla.errors import DeadlineReached, InputError, ToleranceNotMet
from rnla.iterate import Watch, watching
from rnla.results import ErrorEstimate, Report, Status
from rnla.results.robust_result import RobustPCAResult
from rnla.rng import Key, as_key
from rnla.robust.attempts import Attempt, attempted, judged, set_aside
from rnla.robust.certificate import error_of
from rnla.robust.planning import Asked, at_rank, plan_of, read_asked, require_memory, slower
from rnla.robust.protocols import TOO_MANY
from rnla.robust.pursuit import PrincipalComponentPursuit
from rnla.robust.rank import rank_of_low_part
from rnla.robust.reading import Reader
from rnla.robust.sampling import drawn, sample_size
from rnla.robust.scaling import scaled_back, unscaled
from rnla.robust.starting import begun_at, first_level
from rnla.robust.vanishing import vanished
from rnla.working import FAMILIES, kernels_in_use, working

__all__ = ["robust_pca"]

_BLOCK = 200  # rows of the block that tells the rank
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
        Rank of L; by default it is estimated on a block of D, cleaned by principal component pursuit; 0 where that
        leaves nothing, and at least half of D is zero.
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
        At most, for each method that is tried; by default 200, and more where the threshold falls slowly.  A result
        that ran out of them is not gone on from: the same call with more begins again, on the same rows and columns.
    callback : callable, optional
        Told of every iteration (``event.stage == "iterating"``): ``event.passes`` counts them, ``event.error`` is the
        residual.  Other stages are the estimate of the rank, and decompositions inside of a method.
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
        Arguments that cannot be used, before any work; or no rank was given, and none can be told.
    NonFiniteError
        NaN or infinity among the entries read.
    BudgetError
        A method that would need more memory than the budget, before it starts.
    ToleranceNotMet
        The iteration diverged or ran out, or held-out rows and columns contradict the answer; ``.result`` holds it.
    DeadlineReached
        The deadline passed; ``.result`` holds the answer so far, None where there was no first model yet.

    Notes
    -----
    Cost: for the methods of a cross, samples * max(rank, 3) * log(n) rows and as many columns are read in each
    iteration, of which there are about log(tol) / log(decay); memory of O((m + n) rank) beside an array in memory, and
    of at most two such crosses beside anything else.  `plan` tells it.

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
    held = set_aside(reader, key, 0, asked.method.reads_all and not again)
    kept = (held[0][:0], held[1][:0]) if asked.method.reads_all and not again else held
    level, part, pursued = None, asked.method.threshold, isinstance(asked.method, PrincipalComponentPursuit)
    if not pursued and (part.start is None or asked.rank is None):
        level = first_level(reader, asked.mask, part.kind, _first_rows(reader, asked, key, kept[0]))
    rank, said = asked.rank, ""
    if rank is None and not pursued:
        watch.stage = "estimating the rank"
        rank, said = rank_of_low_part(reader, asked.mask, asked.method.threshold, key.child("rank"), kept, level)
        notes.append(said)
        if rank:
            asked = at_rank(reader, asked, rank)
            require_memory(plan_of(reader, asked))
    asked = dataclasses.replace(asked, rank=min(reader.shape) if rank is None else rank)
    tried = [(method, level) for method in [asked.method, *slower(asked, reader)]] if rank != 0 else []
    if tried and begun_at(asked.method, level) is not asked.method:
        notes.append(f"the threshold begins at {level:.3g}: above, sizes are rare, and then frequent again")
        tried.append((asked.method, None))
    made: Attempt | None = None
    for number, (method, start) in enumerate(tried):
        if made is not None:
            notes.append(f"{made.asked.method.summary}: {made.status.name.lower()}; tried again")
        try:
            made = attempted(reader, dataclasses.replace(asked, method=method), key, number, watch, start)
        except DeadlineReached as error:
            if made is None:
                raise
            made = made._replace(message=f"{error}; the attempt before it is returned", notes=())
        notes.extend((*made.notes, made.message) if made.message else made.notes)
        if made.final or made.message:
            break
    if made is None:
        made = _nothing(reader, asked, key, watch, said)
        notes.append("L = 0: all that is not zero is an outlier; where zeros stand for missing entries, pass mask=")
    return _built(D, reader, made, key, tuple(notes), started), made.message


def _first_rows(reader: Reader, asked: Asked, key: Key, held: Any) -> Any:
    """Return rows that are read first: of the block that tells the rank, or of the first cross."""
    m, method = reader.shape[0], asked.method
    if method.reads_all:
        return drawn(key.child("level"), m, min(_BLOCK, m), held)
    if asked.rank is None:
        return drawn(key.child("rank", "rows"), m, min(_BLOCK, m), held)
    count = sample_size(method.samples, asked.rank, m, "rows")
    return drawn(key.child("iterations", 0).child("cross", 0).child("rows"), m, count, held)


def _nothing(reader: Reader, asked: Asked, key: Key, watch: Watch, said: str) -> Attempt:
    """Return L = 0, where no rank was told.

    Raises
    ------
    InputError
        Half of D is not zero.
    """
    reader.begin()
    held = set_aside(reader, key, 0, False)
    zero = vanished(reader, asked.method, asked.mask, key.child("vanished"), held[0])
    if zero is None:
        more = ", and with noise threshold=rnla.Threshold(least=3 to 5 of its deviations)"
        raise InputError(
            f"{said}, and half of D or more is not zero either: there are too many outliers, the rank is too large, or "
            f"noise hides it; pass rank={'' if asked.method.threshold.least > 0 else more}"
        )
    return judged(reader, asked, zero, held, watch)


def _built(D: Any, reader: Reader, made: Attempt, key: Key, notes: tuple[str, ...], started: float) -> RobustPCAResult:
    asked, outcome, exponent, held, status, *_ = made
    u, s, vh = outcome.factors
    s, trace = scaled_back(s, exponent, status.ok), np.asarray(outcome.trace, dtype=np.float64).reshape(-1, 4)
    trace[:, 1] = [unscaled(level, exponent) for level in trace[:, 1]]
    (m, n), rank = reader.shape, int(s.shape[0])
    values = host_values(s)
    norm = math.hypot(*values) if rank else 0.0
    numerical = int((values > 10 * max(m, n) * eps_of(reader.dtype) * values[:1].max(initial=0.0)).sum())
    floor = 10 * eps_of(reader.dtype)
    if exponent:
        notes = (*notes, f"worked on D times 2^{-exponent}, so that squares stay in the range of {reader.dtype}")
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
        u, s, vh, unscaled(outcome.threshold, exponent), asked.method.threshold.kind, home[0], home[1],
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
    last, held = np.asarray(result.trace)[-1], result.held_out
    if on_failure == "raise":
        if message:
            raise DeadlineReached(f"{message}; .result holds what {result.iterations} iterations reached", result)
        if not result.status.ok:
            told_of = [note for note in result.report.notes if "noise" in note]
            noted = "".join(f"; {note}" for note in told_of[-1:])  # of the last attempt
            noted += _advice(result, asked)
            told = "" if held is None else f"; held out: {held}"
            refused = result.status is Status.REFUSED  # its residual is as small as was asked: that says nothing
            raise ToleranceNotMet(
                ("the answer is refused" if refused else f"tol={asked.tol:.1e} was not met")
                + f": residual {last[0]:.2e} after {result.iterations} iterations, "
                f"{last[2]:.1%} of outliers; {result.status.value}{noted}{told}; the answer is in .result, and "
                "on_failure='return' gives it back instead",
                result,
            )
    return result


def _advice(result: RobustPCAResult, asked: Asked) -> str:
    """Return advice where what is left may be noise that nobody told of, or the threshold began too low."""
    held, trace, part = result.held_out, np.asarray(result.trace), asked.method.threshold
    if held is None or result.status is Status.ITERATIONS:
        return ""
    if isinstance(asked.method, PrincipalComponentPursuit):
        return (
            "; principal component pursuit leaves noise in S: if D has some, give rank= and "
            "threshold=rnla.Threshold(least=3 to 5 of its deviations) to another method"
        )
    if part.start is not None and len(trace) > 1 and trace[1, 2] > TOO_MANY:
        return f"; start={part.start:.1e} of the threshold is below nearly all of D: give a larger one, or leave it out"
    if part.least > 0:
        return ""
    kind = "" if part.kind == "entries" else f'"{part.kind}", '
    if result.report.dtype_path.startswith(("int", "uint")):
        return (
            "; D holds whole numbers: if L is rounded to them, that is noise of up to 0.5, so give "
            f"threshold=rnla.Threshold({kind}least=1.0), or more"
        )
    level = math.hypot(*host_values(result.s)) / math.sqrt(math.prod(result.shape))  # of the entries of L
    size = 0.0
    if held.outliers < 0.5:
        size = held.clean_error * level
    elif len(trace) > 1:  # the threshold has fallen through the noise: half of it lies above two thirds of its size
        below = trace[1:, 2] < 0.5
        size = 1.5 * float(trace[1:, 1][below].min()) if below.any() and not below.all() else 0.0
    if not asked.tol * level < size < 0.3 * level:
        return ""
    return f"; if D has noise, of about {size:.1e}, give threshold=rnla.Threshold({kind}least={4 * size:.1e})"
