"""The driver of the updates of a root: from what the caller gave to a certified result (S1 to S6 of `sqrtm_update`)."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any

import numpy as np

from rnla._xp.linalg import cast
from rnla._xp.namespace import backend_name, is_numpy
from rnla.config import fixed_settings
from rnla.errors import DeadlineReached, InputError, ToleranceNotMet
from rnla.iterate import watching
from rnla.matfun.change import Change, cut, narrowed
from rnla.matfun.downdates import change_of_inverse, half_solved, require_feasible, require_invertible
from rnla.matfun.galerkin import continued
from rnla.matfun.inputs import fourth_root_of, require_together, root_of
from rnla.matfun.panels import real_row, scaled_columns
from rnla.matfun.planning import decomposes
from rnla.matfun.protocols import Correction, RootProblem
from rnla.matfun.request import RootRequest
from rnla.matfun.roots import DiagonalRoot, FramedRoot, InverseRoot, Root, UpdatedRoot
from rnla.matfun.stage import Stage, droppable, forward_bound, stage_of
from rnla.results import ErrorEstimate, Report, RootResume, RootUpdate, Status
from rnla.results.topic_plan import TopicPlan
from rnla.rng import Key
from rnla.working import kernels_in_use, working

__all__ = ["run", "settled"]


def run(A_half: Any, A_quarter: Any, op: Any, request: RootRequest, the_plan: TopicPlan, key: Key) -> RootUpdate:
    """Return the result of a call, or raise what it fell short of."""
    started = time.perf_counter()
    with fixed_settings(), watching(), working(op.xp, op.dtype, the_plan.flops):
        given = root_of(A_half, op, solving=decomposes(the_plan.method, request))
        require_together(given, op)
        change = narrowed(op, request.tol / 16, key.child("change"))
        quarter = fourth_root_of(given, A_quarter, op) if request.stages == 2 else None
        result = _answer(given, quarter, change, request, the_plan, key, started)
    return settled(result, request)


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


def _answer(
    given: Root, quarter: Any, change: Change, request: RootRequest, the_plan: TopicPlan, key: Key, started: float
) -> RootUpdate:
    frame = given if isinstance(given, FramedRoot) else None
    root: Any = given if frame is None else frame.inside
    panel = cast(change.panel, getattr(root.xp, root.dtype.name))
    panel = panel if frame is None else frame.into(panel)
    change, sign = dataclasses.replace(change, panel=panel), request.sign
    half = half_solved(root, panel, frame is None) if root.solves and panel.shape[1] else None
    if sign < 0 and half is not None:
        require_feasible(half)
    mu = 0.0 if sign > 0 else math.nan if half is None else half.mu
    if request.power < 0:
        if not root.solves:
            raise InputError("an inverse root needs solves with the root of A: give it shifted_solve(s, X)")
        require_invertible(root, frame is None)
        if half is not None:
            u, mu = change_of_inverse(root, half, sign)
            narrow = cut(u, request.tol / 16)
            change = dataclasses.replace(narrow, dropped=change.dropped, inverse=True, note=change.note)
        root, sign = inverse_of(root), -sign
    stages = [_first(root, change, sign, request, the_plan.method, mu, key)]
    if quarter is not None:
        root = quarter if request.power > 0 else inverse_of(quarter)
        stages.append(_second(root, stages[0], sign, request, mu, key))
    return _assembled(given, frame, root, stages, request, the_plan, key, started, change.note)


def inverse_of(root: Root) -> Root:
    """Return the inverse of a root."""
    return root.power(-1.0) if isinstance(root, DiagonalRoot) else InverseRoot(root)


def _first(root: Root, change: Change, sign: int, request: RootRequest, method: Any, mu: float, key: Key) -> Stage:
    last = request.max_rank if request.stages == 1 else None

    def allowed(norm: float) -> float:
        return min(request.tol * norm, request.of_change * change.norm) / request.stages

    return stage_of(root, change, sign, allowed, method.correct, last, mu, key.child("first"))


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


def _assembled(
    given: Root,
    frame: FramedRoot | None,
    root: Any,
    stages: list[Stage],
    request: RootRequest,
    the_plan: TopicPlan,
    key: Key,
    started: float,
    note: str,
) -> RootUpdate:
    first, last = stages[0], stages[-1]
    V, w = last.V, last.w
    error, forward = first.error, forward_bound(first.error, first.least)
    if frame is not None:
        error += _decomposed(frame, first, request.power)
    if len(stages) == 2:
        size = math.sqrt(first.upper + first.error)
        error += (2 * size + last.error) * last.error
        forward = forward_bound(last.error, last.least) + forward_bound(forward, last.least)
    source: Any = UpdatedRoot(root, V, w)
    if frame is not None:
        V, source = frame.out(V), FramedRoot(frame.frame, source)
    found = [stage.found for stage in stages if stage.found is not None]
    relative = error / first.lower if first.lower else 0.0
    of = f"{'B' if request.power > 0 else 'B^-1'}, B = A {'+' if request.sign > 0 else '-'} D D^H"
    kind = "estimated" if any(one.kind == "estimated" for one in found) else "bounded"
    forward = forward if kind == "bounded" else math.nan
    estimate = ErrorEstimate(
        value=relative, absolute=error, norm="spectral", kind=kind,
        method=found[0].measured_by if found else "nothing to change",
        upper=relative if kind == "bounded" else math.nan,
        failure_probability=sum(stage.failure_probability for stage in stages), standard_error=math.nan,
        floor=first.floor / first.lower if first.lower else 0.0, norm_of_A=first.lower, residual=error,
        residual_upper=error, cut="sum", of=of,
    )  # fmt: skip
    status = next((stage.status for stage in stages if not stage.status.ok), Status.MET)
    if kind == "estimated" and status is Status.MET:
        status = Status.NOT_CERTIFIED if request.explicit else Status.MET
    elif kind == "bounded" and relative <= request.tol and status is not Status.DEADLINE:
        status = Status.MET  # whatever finer aim the steps had
    elif status is Status.MET:
        status = Status.NOT_CERTIFIED
    products = sum(one.products + one.solves for one in found) + sum(stage.products for stage in stages)
    solves = sum(one.solves for one in found)
    notes = [note] if note else []
    if solves:
        notes.append(f"{solves} of the products are columns of {sum(len(one.shifts) for one in found)} shifted solves")
    report = Report(
        plan=the_plan, shape=given.shape, rank=len(w), size=max((int(one.Q.shape[1]) for one in found), default=0),
        blocks=(), passes=sum(2 * len(one.shifts) + 1 for one in found), scans=0, products=products, seed=key.seed,
        dtype_path=str(given.dtype), backend=backend_name(given.xp), device="" if given.device is None else
        str(given.device), copies=(), numerical_rank=len(w), deterministic=is_numpy(given.xp),
        seconds=time.perf_counter() - started, notes=tuple(notes), kernels=kernels_in_use(given.xp, given.dtype),
    )  # fmt: skip
    scale = first.lower or 1.0
    asked = {"sign": request.sign, "power": request.power, "tol": request.tol, "max_rank": request.max_rank}
    return RootUpdate(
        w=real_row(w, V), V=V, error=estimate, power=request.power, sign=request.sign,
        error_of_change=error / first.change if first.change else 0.0, forward_bound=forward,
        shifts=tuple(s for one in found for s in one.shifts),
        history=tuple(r / scale for one in found for r in one.history), report=report, status=status,
        resume=RootResume("sqrtm_update", asked), _source=source,
    )  # fmt: skip


def _decomposed(frame: FramedRoot, first: Stage, power: float) -> float:
    """Return what the decomposition of a dense root did to the equation of the first stage."""
    if frame.given is None:
        return 0.0
    x, inside = scaled_columns(first.V, first.w), frame.inside
    defect = frame.defect(x if power > 0 else inside.shifted_solve(0.0, x))
    return 2 * defect / (1.0 if power > 0 else float(inside.lower))
