"""Which method finds the correction of a root, and why.

1. A multiple of the identity has a closed form.
2. A root that can be solved with, shifted: `ShiftADI`.  A dense one is decomposed once for it.
3. A root that can only be multiplied: `KrylovGalerkin`.
4. No root at all, but A: `KrylovOnA`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._xp.linalg import host_values
from rnla._xp.namespace import is_array
from rnla.matfun.closed_form import ClosedForm
from rnla.matfun.krylov_galerkin import KrylovGalerkin
from rnla.matfun.krylov_on_a import KrylovOnA
from rnla.matfun.request import RootRequest
from rnla.matfun.roots import FramedRoot
from rnla.matfun.shift_adi import ShiftADI
from rnla.matfun.shifts import steps_needed
from rnla.operators.coerce import as_operator
from rnla.operators.dense import Dense
from rnla.operators.sparse import Sparse
from rnla.results.root_update import RootUpdate
from rnla.results.topic_plan import TopicPlan

__all__ = ["Outlook", "look_at", "planned"]

_PRODUCTS = 6.0e10  # flops a second of thin products, as rnla/cost_model.py's rates
_EIGH = 2.0e10  # of a whole decomposition, 9 n^3 flops
_STEP = 4.0e-4  # seconds of small algebra
_USUAL_STEPS = 25


@dataclasses.dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of a root without working on it.

    Attributes
    ----------
    kind : str
    solves : bool
        Whether it can be solved with, shifted, perhaps after it was decomposed.
    dense : bool
        Whether that takes a decomposition first.
    lower, upper : float
        Bounds of its spectrum; 0 and inf where nothing is known.
    """

    kind: str
    solves: bool
    dense: bool
    lower: float
    upper: float


def look_at(A_half: Any) -> Outlook:
    """Return what is known of a root as the caller gave it."""
    if A_half is None:
        return Outlook("none", False, False, 0.0, math.inf)
    if isinstance(A_half, RootUpdate):
        A_half = A_half.root
    if isinstance(A_half, (int, float)):
        return Outlook("a multiple of the identity", True, False, float(A_half), float(A_half))
    if isinstance(A_half, (list, tuple)):
        A_half = np.asarray(A_half)
    if is_array(A_half) and A_half.ndim == 1:
        values = np.abs(host_values(A_half)) if A_half.shape[0] else np.ones(1)
        lower, upper = float(values.min()), float(values.max())
        return Outlook("a multiple of the identity" if lower == upper else "diagonal", True, False, lower, upper)
    if hasattr(A_half, "solves") and hasattr(A_half, "kind"):
        framed = A_half.inside if isinstance(A_half, FramedRoot) else A_half
        return Outlook(framed.kind, framed.solves, False, framed.lower, framed.upper)
    if callable(getattr(A_half, "shifted_solve", None)):
        return Outlook("an operator with shifted solves", True, False, 0.0, math.inf)
    op = as_operator(A_half)
    if isinstance(op, Sparse):
        return Outlook("sparse", True, False, 0.0, math.inf)
    if isinstance(op, Dense):
        return Outlook("dense", True, True, 0.0, math.inf)
    return Outlook("an operator, multiplied only", False, False, 0.0, math.inf)


def planned(outlook: Outlook, n: int, k: int, dtype: np.dtype[Any], request: RootRequest) -> TopicPlan:
    """Return the plan for a root, n rows and k columns of D."""
    method, reasons = _chosen(outlook, request)
    known = 0 < outlook.lower <= outlook.upper < math.inf
    steps = steps_needed(outlook.lower, max(outlook.upper, outlook.lower), request.tol) if known else _USUAL_STEPS
    dense = outlook.dense and not isinstance(method, KrylovGalerkin)
    if isinstance(method, ClosedForm):
        steps = 0
    width = min(n, max(k, 1) * (steps + 1))
    flops = request.stages * (16.0 * n * width * width + 4.0 * n * k * k)
    eigh_flops = 9.0 * n**3 if dense else 0.0
    seconds = flops / _PRODUCTS + eigh_flops / _EIGH + request.stages * steps * _STEP
    if dense:
        reasons.append("a dense root is decomposed once, which costs one eigh; SqrtState keeps it for more changes")
    if request.stages == 2:
        reasons.append("a fourth root is the root of a root: two stages")
    lines = (
        ("steps", f"about {steps}" + ("" if known or not steps else ", as is usual; the spectrum is not known")),
        ("rank", f"at most about {width}, of which what the tolerance needs is kept"),
        ("accuracy", f"backward error {request.tol:.1e} of the norm of A {'+' if request.sign > 0 else '-'} D D^H"),
    )
    memory = (width * n * (2 + (request.stages - 1)) + (2 * n * n if dense else 0)) * dtype.itemsize
    return TopicPlan(
        "sqrtm_update", method, (n, n), dtype, outlook.kind, lines, flops + eigh_flops, int(memory), seconds,
        tuple(reasons),
    )  # fmt: skip


def _chosen(outlook: Outlook, request: RootRequest) -> tuple[Any, list[str]]:
    if request.method is not None:
        return request.method, ["the method was given"]
    if outlook.kind == "none":
        return KrylovOnA(), ["there is no root of A, only A, which is multiplied"]
    if outlook.lower == outlook.upper:
        return ClosedForm(), ["A is a multiple of the identity, whose powers after the change have a closed form"]
    if outlook.solves:
        return ShiftADI(), ["the root can be solved with, shifted, so that few steps are enough"]
    return KrylovGalerkin(), ["the root can only be multiplied"]
