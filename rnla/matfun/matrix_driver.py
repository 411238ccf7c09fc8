"""The driver of the updates of a power of A where only A is there, which is multiplied: `KrylovOnA`."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from rnla._xp.linalg import cast, eps_of
from rnla._xp.namespace import backend_name, is_array, is_numpy
from rnla.config import fixed_settings
from rnla.errors import InputError
from rnla.iterate import watching
from rnla.matfun.change import Change, narrowed
from rnla.matfun.inputs import diagonal_of, read_root, require_together, root_of
from rnla.matfun.krylov_on_a import PowerProblem, PowerState
from rnla.matfun.panels import by_modulus, real_row, times
from rnla.matfun.request import RootRequest
from rnla.matfun.roots import Root
from rnla.results import ErrorEstimate, Report, RootUpdate, Status
from rnla.results.topic_plan import TopicPlan
from rnla.rng import Key
from rnla.working import kernels_in_use, working

__all__ = ["matrix_of", "solved_on_matrix"]


def matrix_of(A: Any, change: Any) -> Root:
    """Return A, which is multiplied only, from what the caller gave.

    Parameters
    ----------
    A : object
    change : LinearOperator
        D.

    Raises
    ------
    InputError, DTypeError, NonFiniteError
        What cannot be a positive semidefinite matrix.
    """
    if isinstance(A, RootUpdate):
        raise InputError("A= takes the matrix itself; a result of sqrtm_update is a root: pass it as A_half")
    A = read_root(A, "A")
    if is_array(A) and A.ndim == 1:
        return diagonal_of(A, change, "A")
    return root_of(A, change, solving=False)


def solved_on_matrix(A: Any, op: Any, request: RootRequest, the_plan: TopicPlan, key: Key) -> RootUpdate:
    """Return the correction of a power of A, with an estimate of its error."""
    started = time.perf_counter()
    with fixed_settings(), watching(), working(op.xp, op.dtype, the_plan.flops):
        matrix = matrix_of(A, op)
        require_together(matrix, op)
        # Of an inverse it is not D's largest part that matters most, so that nothing is left out of it.
        change = narrowed(op, request.tol / 16 if request.power > 0 else 0.0, key.child("change"))
        panel = cast(change.panel, getattr(matrix.xp, matrix.dtype.name))
        found, late = None, False
        if panel.shape[1]:
            problem = PowerProblem(
                matrix, panel, request.sign, request.power, _forward(request.tol / 4, request.power), key.child("first")
            )
            found, late = the_plan.method.on_matrix(problem)
        return _assembled(matrix, panel, change, found, late, request, the_plan, key, started)


def _forward(backward: float, power: float) -> float:
    """Return the relative error of M^p that a relative error of M corresponds to: (1 + x)^{1/p} = 1 + error."""
    return math.expm1(abs(power) * math.log1p(backward))


def _backward(forward: float, power: float) -> float:
    return math.expm1(math.log1p(forward) / abs(power))


def _assembled(
    matrix: Root,
    panel: Any,
    change: Change,
    found: PowerState | None,
    late: bool,
    request: RootRequest,
    the_plan: TopicPlan,
    key: Key,
    started: float,
) -> RootUpdate:
    V, w, backward, status, of_change = panel, np.zeros(0), 0.0, Status.MET, 0.0
    exponent = math.copysign(1.0, request.power)
    scale, products = 0.0, 0
    history: tuple[float, ...] = ()
    if found is not None:
        V, w, backward, status = _cut(found, request, late)
        # The matrix whose root this is: B, or its inverse.  Its norm, from the projection, is not above the true one.
        scale = found.size ** (1 / abs(request.power))
        left_out = change.dropped if exponent > 0 else change.dropped * scale**2
        rounding = 10 * eps_of(matrix.dtype)
        backward += rounding + left_out / scale
        of_change = backward * scale / max(change.norm, np.finfo(float).tiny) if exponent > 0 else math.nan
        history = tuple(_backward(x / found.size, request.power) for x in found.history)
        products = found.projection.products
    if found is not None and status is Status.MET and (not backward <= request.tol or request.explicit):
        status = Status.NOT_CERTIFIED
    unknown = 0.0 if found is None else math.nan  # nothing changed, or there is no bound
    estimate = ErrorEstimate(
        value=backward, absolute=backward * scale, norm="spectral", kind="bounded" if found is None else "estimated",
        method="nothing to change" if found is None else "the change over the last blocks", upper=unknown,
        failure_probability=unknown, standard_error=math.nan, floor=10 * eps_of(matrix.dtype), norm_of_A=scale,
        residual=backward * scale, residual_upper=unknown, cut="sum",
        of=request.of,
    )  # fmt: skip
    report = Report(
        plan=the_plan, shape=matrix.shape, rank=len(w), size=found.projection.size if found is not None else 0,
        blocks=(), passes=found.blocks if found is not None else 0, scans=0, products=products, seed=key.seed,
        dtype_path=str(matrix.dtype), backend=backend_name(matrix.xp),
        device="" if matrix.device is None else str(matrix.device), copies=(), numerical_rank=len(w),
        deterministic=is_numpy(matrix.xp), seconds=time.perf_counter() - started,
        notes=(change.note,) if change.note else (), kernels=kernels_in_use(matrix.xp, matrix.dtype),
    )  # fmt: skip
    return RootUpdate(
        w=real_row(w, V), V=V, error=estimate, power=request.power, sign=request.sign, error_of_change=of_change,
        forward_bound=unknown, shifts=(), history=history, report=report, status=status,
        steps=0 if found is None else found.blocks, resume=request.resume,
    )  # fmt: skip


def _cut(found: PowerState, request: RootRequest, late: bool) -> tuple[Any, Any, float, Status]:
    """Return V, w, the estimate of the relative backward error of the root, and what ended the iteration."""
    values, vectors = by_modulus(found.Y)
    sizes = np.abs(values)
    kept = int(np.count_nonzero(sizes > _forward(request.tol / 2, request.power) * found.size))
    settled = found.settled(_forward(request.tol / 4, request.power))
    status = Status.MET if settled else Status.DEADLINE if late else Status.ITERATIONS
    if request.max_rank is not None and kept > request.max_rank:
        kept, status = request.max_rank, Status.RANK_CAP
    error = found.change + float(sizes[kept:].max(initial=0.0))
    V = times(found.projection.Q[:, : len(values)], vectors[:, :kept])
    return V, values[:kept], _backward(error / found.size, request.power), status
