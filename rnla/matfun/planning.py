"""Which method finds the correction of a root, and why.

1. A multiple of the identity has a closed form.
2. A root that can be solved with, shifted: `ShiftADI`.  A dense one is decomposed once for it.
3. A root that can only be multiplied: `KrylovGalerkin`.
4. No root at all, but A: `KrylovOnA`.

The references `NewtonKleinman` and `DenseEigh` are never chosen.
"""

from __future__ import annotations

import dataclasses
import math
from types import NoneType
from typing import Any

import numpy as np

from rnla._xp.linalg import host_values
from rnla._xp.namespace import is_array
from rnla.errors import InputError
from rnla.matfun.closed_form import ClosedForm
from rnla.matfun.dense_eigh import DenseEigh
from rnla.matfun.inputs import read_root, unwrapped
from rnla.matfun.krylov_galerkin import KrylovGalerkin
from rnla.matfun.krylov_on_a import KrylovOnA
from rnla.matfun.newton_kleinman import NewtonKleinman
from rnla.matfun.request import RootRequest
from rnla.matfun.roots import FramedRoot
from rnla.matfun.shift_adi import ShiftADI
from rnla.matfun.shifts import steps_needed
from rnla.operators.coerce import as_operator
from rnla.operators.dense import Dense
from rnla.operators.sparse import Sparse
from rnla.results.topic_plan import TopicPlan

__all__ = ["Outlook", "decomposes", "estimates", "look_at", "planned"]

_NO_ROOT = "A itself, without a root"
_PRODUCTS = 6.0e10  # flops a second of thin products, as rnla/cost_model.py's rates
_EIGH = 2.0e10  # of a whole decomposition, 9 n^3 flops
_STEP = 4.0e-4  # seconds of small algebra
_USUAL_STEPS = 25
_USUAL_BLOCKS = 60
_NEWTON_STEPS = 15


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


def decomposes(method: Any, request: RootRequest) -> bool:
    """Whether a dense root is decomposed before a method works on it, not only multiplied."""
    if isinstance(method, (DenseEigh, NewtonKleinman)):
        return request.power != 0.5  # they solve with the root, or need its root
    return not isinstance(method, (KrylovGalerkin, KrylovOnA)) or request.power != 0.5


def estimates(method: Any, A: Any) -> bool:
    """Whether the error can only be estimated: by the method, or because there is no root."""
    return A is not None or not getattr(method, "certifies", True)


def look_at(A_half: Any, A: Any = None, A_quarter: Any = None) -> Outlook:
    """Return what is known of a root as the caller gave it.

    Raises
    ------
    InputError
        Neither a root nor A, or both.
    """
    if A_half is None and A is None and A_quarter is not None:
        raise InputError("A_quarter goes beside A_half, its square: give both")
    if A_half is None and A is None:
        raise InputError("there is no matrix: give A_half, the root of A, or, to work with products of A alone, A=")
    if A is not None:
        if A_half is not None or A_quarter is not None:
            raise InputError(
                "A= is for the case that no root of A is there: give either A_half (with A_quarter), which is better, "
                "or A, with A_half=None"
            )
        return Outlook(_NO_ROOT, False, False, 0.0, math.inf)
    A_half = read_root(unwrapped(A_half))
    if isinstance(A_half, float):
        return Outlook("a multiple of the identity", True, False, A_half, A_half)
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
    dense = outlook.dense and decomposes(method, request)
    if isinstance(method, ClosedForm):
        steps = 0
    if isinstance(method, (KrylovGalerkin, KrylovOnA)):
        steps = min(method.blocks, _USUAL_BLOCKS)
    width = min(n, max(k, 1) * (steps + 1))
    flops = request.stages * (16.0 * n * width * width + 4.0 * n * k * k)
    eigh_flops = 9.0 * n**3 * dense
    if isinstance(method, (DenseEigh, NewtonKleinman)):
        steps, width = (_NEWTON_STEPS, n) if isinstance(method, NewtonKleinman) else (1, n)
        flops, eigh_flops = 0.0, eigh_flops + 25.0 * n**3 * steps
    seconds = flops / _PRODUCTS + eigh_flops / _EIGH + request.stages * steps * _STEP
    if dense:
        reasons.append("a dense root is decomposed once, which costs one eigh; SqrtState keeps it for more changes")
    if request.stages == 2 and outlook.kind != _NO_ROOT:
        reasons.append("a fourth root is the root of a root: two stages")
    known_how = "certified" if getattr(method, "certifies", True) else "as far as it is estimated"
    lines = (
        ("steps", f"about {steps}" + ("" if known or not steps else ", as is usual; the spectrum is not known")),
        ("rank", f"at most about {width}, of which what the tolerance needs is kept"),
        ("accuracy", f"backward error {request.tol:.1e} of the norm of {request.of}, {known_how}"),
    )
    memory = (width * n * 3 * request.stages + (2 * n * n if dense else 0)) * dtype.itemsize
    return TopicPlan(
        "sqrtm_update", method, (n, n), dtype, outlook.kind, lines, flops + eigh_flops, int(memory), seconds,
        tuple(reasons),
    )  # fmt: skip


def _chosen(outlook: Outlook, request: RootRequest) -> tuple[Any, list[str]]:
    if outlook.kind == _NO_ROOT and isinstance(request.method, (KrylovOnA, NoneType)):
        method = request.method or KrylovOnA()
        return method, ["there is no root of A, only A, which is multiplied; the error is an estimate then"]
    if outlook.kind == _NO_ROOT:
        raise InputError(
            f"{type(request.method).__name__} works with the root of A: pass it as A_half; KrylovOnA takes A itself"
        )
    if request.method is not None:
        return request.method, ["the method was given"]
    if outlook.lower == outlook.upper:
        return ClosedForm(), ["A is a multiple of the identity, whose powers after the change have a closed form"]
    if outlook.solves:
        return ShiftADI(), ["the root can be solved with, shifted, so that few steps are enough"]
    return KrylovGalerkin(), ["the root can only be multiplied"]
