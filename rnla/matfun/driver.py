"""The driver of the updates of a root: from what the caller gave to a certified result (S1 to S6 of `sqrtm_update`)."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any

import numpy as np

from rnla._xp.linalg import cast, eps_of, frobenius, host_values, max_abs
from rnla._xp.namespace import backend_name, is_numpy
from rnla.checks import check_choice, check_tol, check_whole
from rnla.config import fixed_settings, get_config
from rnla.errors import BudgetError, DeadlineReached, InputError, ToleranceNotMet
from rnla.iterate import watching
from rnla.matfun.change import Change, narrowed
from rnla.matfun.downdates import (
    change_of_inverse,
    half_if_solved,
    half_solved,
    moved_by_frame,
    require_feasible,
    require_invertible,
    unseen_by_inverse,
)
from rnla.matfun.galerkin import continued
from rnla.matfun.given_roots import GivenRoot
from rnla.matfun.inputs import fourth_root_of, require_together, root_of
from rnla.matfun.panels import real_row, scaled_columns
from rnla.matfun.planning import decomposes
from rnla.matfun.protocols import Correction, RootProblem
from rnla.matfun.request import RootRequest
from rnla.matfun.roots import DiagonalRoot, FramedRoot, InverseRoot, Root, UpdatedRoot, scaled, times_power
from rnla.matfun.scaling import common_exponent, of_power, require_representable, rescaled
from rnla.matfun.stage import Stage, droppable, forward_bound, stage_of
from rnla.operators.coerce import as_operator
from rnla.results import ErrorEstimate, Report, RootUpdate, Status, register_resumer
from rnla.results.topic_plan import TopicPlan
from rnla.rng import Key
from rnla.working import kernels_in_use, working

__all__ = ["Held", "extended", "require_solvable", "run", "settled", "source_of", "truncated_source"]

_LIMITED_BY_ROUNDING = {True: 1e-3, False: 1e-8}
"""Error up to which rounding alone misses no tolerance that nobody gave, in single and in double precision."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Held:
    """What `extend` goes on from, while the result stays in its process."""

    given: Any
    quarter: Any
    op: Any
    request: RootRequest
    the_plan: TopicPlan
    key: Key
    panel: Any = None  # the change that the first stage worked on, and what the method came to
    state: Any = None


def run(A_half: Any, A_quarter: Any, op: Any, request: RootRequest, the_plan: TopicPlan, key: Key) -> RootUpdate:
    """Return the result of a call, or raise what it fell short of."""
    started = time.perf_counter()
    with fixed_settings(), watching(), working(op.xp, op.dtype, the_plan.flops):
        _require_room(the_plan)
        given = root_of(A_half, op, solving=decomposes(the_plan.method, request))
        require_together(given, op)
        quarter = fourth_root_of(given, A_quarter, op) if request.stages == 2 else None
        result = _worked(Held(given, quarter, op, request, the_plan, key), started)
    return settled(result, request)


def extended(result: RootUpdate, source: Any, *, rank: int | None, tol: float | None, on_failure: str) -> RootUpdate:
    """Return the result of a finer request, from the basis that is there: the resumer of this driver.

    The better of the two results is given back, so that the error never rises.
    """
    held = getattr(result.resume, "_held", None)
    if held is None:
        raise InputError("D did not travel with this result: call sqrtm_update(A_half, D, tol=...) again")
    if rank is None and tol is None:
        raise InputError("extend needs rank= or tol=")
    check_choice("on_failure", on_failure, ("raise", "return"))
    if rank is not None and check_whole("rank", rank) < result.rank:
        raise InputError(f"rank={rank} is below the present {result.rank}; truncate(rank={rank}) gives that")
    aim = held.request.tol
    if tol is not None:
        aim = min(aim, check_tol(tol, np.dtype(result.report.dtype_path)))
    of_change = held.request.of_change if tol is None else math.inf
    request = dataclasses.replace(held.request, tol=aim, of_change=of_change, max_rank=rank, on_failure=on_failure)
    started = time.perf_counter()
    with fixed_settings(), watching(), working(held.op.xp, held.op.dtype, held.the_plan.flops):
        again = dataclasses.replace(held, given=held.given.counted(), request=request)
        more = _worked(again, started)
    if not more.error.value <= result.error.value:  # by rounding
        status = Status.MET if result.error.meets(request.tol) else more.status
        more = dataclasses.replace(result, report=more.report, status=status, resume=more.resume)
    return settled(more, request)


def _worked(held: Held, started: float) -> RootUpdate:
    request = held.request
    # Of an inverse it is not D's largest part that matters most, so that nothing is left out of it.
    level = request.tol / 16 if request.power > 0 else 0.0
    change = narrowed(held.op, level, held.key.child("change"), free=True)
    result, found, panel = _answer(held, change, started)
    reached = dataclasses.replace(held, panel=panel, state=None if found is None else found.state)
    return dataclasses.replace(result, resume=dataclasses.replace(result.resume, _held=reached))


def settled(result: RootUpdate, request: RootRequest) -> RootUpdate:
    """Return the result, or raise what it fell short of."""
    if result.status is Status.DEADLINE and request.on_failure == "raise":
        raise DeadlineReached(f"the deadline passed after {result.steps} steps; .result holds {result.error}", result)
    if not result.status.ok and request.on_failure == "raise" and result.error.kind == "estimated":
        raise ToleranceNotMet(
            f"{result.report.plan.summary.partition(',')[0]} can only estimate its error, here as "
            f"{result.error.value:.1e}, and certifies no tolerance: leave tol out, or pass on_failure='return'; a "
            f"method that has the root of A certifies one ({result.status.value}); the answer is in .result",
            result,
        )
    if not result.status.ok and request.on_failure == "raise":
        raise ToleranceNotMet(
            f"tol={request.tol:.1e} was not met: the correction of rank {result.rank} is certified to "
            f"{result.error.upper:.2e}; {result.status.value}; the answer is in .result, and on_failure='return' gives "
            "it back instead",
            result,
        )
    return result


def _require_room(the_plan: TopicPlan) -> None:
    if not get_config().allows(the_plan.bytes):
        raise BudgetError(
            f"the update takes about {the_plan.bytes} bytes beside the input, more than "
            f"memory_budget={get_config().budget()}; allow more, give a larger tol, or fewer columns of D at a time"
        )


def _answer(held: Held, change: Change, started: float) -> tuple[RootUpdate, Correction | None, Any]:
    """Return the result, the method's correction of the first stage, and the change that it is for."""
    quarter, request, key = held.quarter, held.request, held.key
    exponent = common_exponent(held.given, change, request.power)
    given, change, sign = scaled(held.given, -exponent), rescaled(change, exponent), request.sign
    frame = given if isinstance(given, FramedRoot) else None
    root: Any = given if frame is None else frame.inside
    panel, turned = cast(change.panel, getattr(root.xp, root.dtype.name)), 0.0
    if frame is not None:
        panel, whole = frame.into(panel), panel
        turned = frobenius(frame.out(panel) - whole)
    # U is not quite unitary, and so the change that is worked on not quite D D^H.
    change = dataclasses.replace(change, panel=panel, moved=(2 * math.sqrt(change.norm) + turned) * turned)
    if request.power < 0:
        change = unseen_by_inverse(root, change)
        panel = change.panel
    some = root.solves and panel.shape[1] > 0
    if request.power < 0:
        if not root.solves:
            raise InputError("an inverse root needs solves with the root of A: give it shifted_solve(s, X)")
        require_invertible(root, frame is None)
        half = half_solved(root, panel, frame is None) if some else None
    else:
        half = half_if_solved(root, panel, frame is None) if some and sign < 0 else None
    if sign < 0 and half is not None:
        require_feasible(half)
    mu = 0.0 if sign > 0 else math.nan if half is None else min(1.0, half.mu + half.blur)
    if request.power < 0:
        if half is not None:
            dropped, note, failure = change.dropped, change.note, change.failure_probability
            change, mu = change_of_inverse(root, half, panel, sign, turned, request.tol / 16)
            moved = change.moved + (0.0 if frame is None else moved_by_frame(frame, change))
            change = dataclasses.replace(change, dropped=dropped, failure_probability=failure, note=note, moved=moved)
        root, sign = inverse_of(root), -sign
    method = held.the_plan.method
    resumed: tuple[Any, ...] = ()
    if held.state is not None and _same(held.panel, change.panel):
        resumed = (held.state._replace(projection=dataclasses.replace(held.state.projection, root=root)),)
    stages = [_first(root, change, sign, request, lambda problem: method.correct(problem, *resumed), mu, key)]
    if quarter is not None:
        half_root = scaled(quarter, -exponent // 2)
        root = half_root if request.power > 0 else inverse_of(half_root)
        stages.append(_second(root, stages[0], sign, request, mu, key))
    return _assembled(held, frame, exponent, stages, change, started), stages[0].found, change.panel


def _same(before: Any, panel: Any) -> bool:
    """Whether two panels agree in every number: a state is of one change only, cut for one tolerance."""
    return before.shape == panel.shape and max_abs(before - panel) == 0


def inverse_of(root: Root) -> Root:
    """Return the inverse of a root."""
    return root.power(-1.0) if isinstance(root, DiagonalRoot) else InverseRoot(root)


def _first(root: Root, change: Change, sign: int, request: RootRequest, correct: Any, mu: float, key: Key) -> Stage:
    last = request.max_rank if request.stages == 1 else None

    def allowed(norm: float) -> float:
        return min(request.tol * norm, request.of_change * change.norm) / request.stages

    return stage_of(root, change, sign, allowed, correct, last, mu, key.child("first"))


def _second(root: Root, first: Stage, sign: int, request: RootRequest, mu: float, key: Key) -> Stage:
    """Return the root of the root of the first stage, on its basis; the error e counts as (2 norm(S) + e) e."""
    sizes = np.sqrt(np.abs(first.w))
    top = float(sizes.max(initial=0.0)) ** 2
    limit = min(request.tol * first.lower, request.of_change * first.change) / 2
    allowed = droppable(math.sqrt(first.upper + first.error), limit)
    mu = 1 - math.sqrt(max(0.0, 1 - mu))  # B^{1/2} >= (1 - mu)^{1/2} A^{1/2}
    found = first.found

    def correct(problem: RootProblem) -> Correction:
        assert found is not None  # the panel has columns
        return continued(found, problem)

    return stage_of(
        root, Change(scaled_columns(first.V, sizes), top, 0.0), sign, lambda _: allowed,
        correct, request.max_rank, mu, key.child("second"),
    )  # fmt: skip


def _source(own: Any, quarter: Any, power: float) -> Any:
    """Return the power of A that is corrected, as the caller gave it, not scaled; in the basis it is worked on in."""
    root = quarter if quarter is not None else own.inside if isinstance(own, FramedRoot) else own
    return root if power > 0 else inverse_of(root)


def source_of(result: RootUpdate, A_half: Any, A_quarter: Any) -> Any:
    """Return the root of B that a result stands for, from the root of A, for `RootUpdate.attach`."""
    like = as_operator(result.V)
    given = root_of(A_half, like)
    require_together(given, like)
    quarter = fourth_root_of(given, A_quarter, like) if abs(result.power) < 0.5 else None
    frame = given if isinstance(given, FramedRoot) else None
    V = result.V if frame is None else frame.into(result.V)
    source: Any = UpdatedRoot(_source(given, quarter, result.power), V, host_values(result.w))
    return source if frame is None else FramedRoot(frame.frame, source)


def truncated_source(source: Any, rank: int, kept: int) -> Any:
    """Return the root of B without the last of the `rank` directions of the latest correction."""
    if isinstance(source, FramedRoot):
        return FramedRoot(source.frame, truncated_source(source.inside, rank, kept))
    stop = len(source.w) - rank + kept
    return UpdatedRoot(source.root, source.V[:, :stop], source.w[:stop])


def require_solvable(root: Any) -> None:
    """Raise where a diagonal or decomposed root has the eigenvalue zero, so that nothing is solved with it."""
    inside = root.inside if isinstance(root, FramedRoot) else root
    first = inside.root if isinstance(inside, UpdatedRoot) else inside
    if isinstance(first, DiagonalRoot) and first.shape[0] and first.lower == 0:
        raise InputError(
            "the root of A has the eigenvalue 0, so that it cannot be solved with; use shifted_solve(s, X)"
        )


def _assembled(
    held: Held, frame: FramedRoot | None, exponent: int, stages: list[Stage], change: Change, started: float
) -> RootUpdate:
    """Return the result; the stages are of 2^-exponent A_half."""
    own, request, first, last = held.given, held.request, stages[0], stages[-1]
    up = of_power(exponent, request.power)
    V, w = last.V, np.ldexp(last.w, up)
    require_representable(w, own.dtype)
    turned = 0.0 if frame is None else _decomposed(frame, first, request.power)
    error, rounding = first.error + turned, first.rounding + turned
    forward = forward_bound(error, first.least)
    if len(stages) == 2:
        size = math.sqrt(first.upper + first.error)
        error += (2 * size + last.error) * last.error
        rounding += (2 * size + last.rounding) * last.rounding
        forward = forward_bound(last.error, last.least) + forward_bound(forward, last.least)
    forward = times_power(forward, up)
    source: Any = UpdatedRoot(_source(own, held.quarter, request.power), V, w)
    if frame is not None:
        V, source = frame.out(V), FramedRoot(frame.frame, source)
    found = [stage.found for stage in stages if stage.found is not None]
    relative = error / first.lower if first.lower else math.inf if error else 0.0  # inf: all of A may be taken away
    squares = 2 * exponent if request.power > 0 else -2 * exponent
    absolute, norm = times_power(error, squares), times_power(first.lower, squares)
    kind = "estimated" if any(one.kind == "estimated" for one in found) else "bounded"
    forward = forward if kind == "bounded" else math.nan
    estimate = ErrorEstimate(
        value=relative, absolute=absolute, norm="spectral", kind=kind,
        method=found[0].measured_by if found else "nothing to change",
        upper=relative if kind == "bounded" else math.nan,
        failure_probability=sum(stage.failure_probability for stage in stages) + change.failure_probability,
        standard_error=math.nan, floor=first.floor / first.lower if first.lower else 0.0, norm_of_A=norm,
        residual=absolute, residual_upper=absolute, cut="sum", of=request.of,
    )  # fmt: skip
    status = next((stage.status for stage in stages if not stage.status.ok), Status.MET)
    if kind == "estimated" and status is Status.MET:
        status = Status.NOT_CERTIFIED if request.explicit else Status.MET
    elif kind == "bounded" and status is not Status.DEADLINE:
        limit = request.tol * first.lower
        if not request.explicit and error <= _LIMITED_BY_ROUNDING[eps_of(own.dtype) > 1e-10] * first.lower:
            limit = max(limit, min(error, limit + rounding + _solved(own, stages)))
        if error <= limit:
            status = Status.MET  # whatever finer aim the steps had
        elif status is Status.MET:
            status = Status.NOT_CERTIFIED
    counts = own.counts
    notes = [change.note] if change.note else []
    if status is Status.MET and kind == "bounded" and relative > request.tol:
        notes.append("the error is that of rounding, which grows with the condition of B; no tol was given")
    if counts.solves:
        notes.append(f"{counts.solves} of the products are columns solved with")
    if exponent:
        notes.append(f"A_half and D were divided by 2^{exponent}, which rounds nothing")
    if status is Status.NOT_CERTIFIED and sum(one.slack for one in found) > request.tol * first.lower / 4:
        notes.append("what the solves with the root leave is above the tolerance: give it a more exact shifted_solve")
    report = Report(
        plan=held.the_plan, shape=own.shape, rank=len(w), size=max((int(one.Q.shape[1]) for one in found), default=0),
        blocks=(), passes=counts.passes, scans=0, products=counts.products + counts.solves, seed=held.key.seed,
        dtype_path=str(own.dtype), backend=backend_name(own.xp), device="" if own.device is None else
        str(own.device), copies=(), numerical_rank=len(w), deterministic=is_numpy(own.xp),
        seconds=time.perf_counter() - started, notes=tuple(notes), kernels=kernels_in_use(own.xp, own.dtype),
    )  # fmt: skip
    scale = first.lower or 1.0
    scales = (exponent if request.power > 0 else -exponent, up)
    return RootUpdate(
        w=real_row(w, V), V=V, error=estimate, power=request.power, sign=request.sign,
        error_of_change=error / first.change if first.change else 0.0, forward_bound=forward,
        shifts=tuple(times_power(s, shift) for one, shift in zip(found, scales, strict=False) for s in one.shifts),
        history=tuple(r / scale for one in found for r in one.history), report=report, status=status,
        norm_upper=times_power(first.upper, squares), steps=sum(one.steps for one in found),
        resume=request.resume, _source=source,
    )  # fmt: skip


def _solved(own: Any, stages: list[Stage]) -> float:
    """Return what rounding in solves did; of an object of the caller's nothing, whose solves may be bad."""
    if isinstance(own, GivenRoot):
        return 0.0
    slacks = [0.0 if stage.found is None else stage.found.slack for stage in stages]
    size = math.sqrt(stages[0].upper + stages[0].error)
    return slacks[0] + sum((2 * size + slack) * slack for slack in slacks[1:])


def _decomposed(frame: FramedRoot, first: Stage, power: float) -> float:
    """Return what the decomposition of a dense root did to the equation of the first stage."""
    if frame.given is None:
        return 0.0
    x, inside = scaled_columns(first.V, first.w), frame.inside
    defect = frame.defect(x if power > 0 else inside.shifted_solve(0.0, x))
    return 2 * defect / (1.0 if power > 0 else float(inside.lower))


register_resumer("sqrtm_update", extended)
