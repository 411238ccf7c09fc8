"""What is done with every item of a stack: the method, the sizes of the bases in turn, the ranges of items, the memory.

A stack chooses otherwise than a single matrix: one call serves hundreds of items, so what a call costs does not count,
and of each item's time LAPACK's slow start on small matrices is most.  The rates are those of one thread inside
stacked calls (`python -m benchmarks.batched` shows what the choices are worth); shipped as constants, never timed.

1. LAPACK's complete factorization of every item.
2. The Gram matrix of the short side, its eigenvectors, and one product: exact where squaring resolves what is asked
   for; items where it does not are factored completely.
3. Subspace iteration with a test matrix for every item, where it costs clearly less than both.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from rnla._kernels.threads import even_ranges
from rnla.config import get_config
from rnla.errors import BudgetError, InputError
from rnla.operators.dense import Dense
from rnla.operators.ledger import Ledger
from rnla.planner import Plan, make_plan
from rnla.rangefinder import Adaptive, FullSVD, GramEigh, RangeFinder, SubspaceIteration
from rnla.rangefinder.stacked import check_rowwise
from rnla.request import Request

__all__ = ["item_ranges", "plan_of_items", "require_room", "sizes_of_bases"]

_PARTS = 16
"""Ranges that the items are cut in at least, on the host; a multiple of usual thread counts."""
_RANGE_BYTES = 1 << 22
"""Bytes of the items of a range: they stay near the core through all steps, and a step lasts long beside its call."""
_FIRST_SIZE = 16
"""Columns of the first basis where a tolerance decides."""
_CLEARLY, _CLEARLY_HERMITIAN = 1.3, 2.0
"""What an exact method may cost more than a randomized one; eigenvalues of both signs are harder for a basis."""

# Rates of float64; other dtypes move all of them alike.
_PRODUCT, _GRAM, _QR = 3.5e10, 4.5e10, 1.2e10  # flops a second
_SVD_START, _EIGH_START, _CORE_START = 8.5e-8, 2.8e-8, 1.0e-7  # seconds, times the squared size of the matrix
_CUBIC = 8.0e10  # flops a second of LAPACK beyond its start
_NORMALS = 3.3e7  # numbers a second
_STEP = 2.0e-6  # seconds that a product or a factorization of one item takes to start


def plan_of_items(shape: tuple[int, int], dtype: np.dtype[Any], request: Request, *, two_sided: bool) -> Plan:
    """Return the plan for every item.

    Raises
    ------
    InputError
        A method that has no form for stacks.
    """
    allowed = (FullSVD, GramEigh, SubspaceIteration, Adaptive)
    if request.part is not None and not isinstance(request.part, allowed):
        names = ", ".join(f"{kind.__name__}()" for kind in allowed)
        raise InputError(f"a stack takes method= one of {names}; got {type(request.part).__name__}")
    one = Ledger(Dense(np.broadcast_to(np.zeros((), dtype=dtype), shape), dtype))
    if request.part is not None or min(shape) == 0:
        plan = make_plan(one, request)
    else:
        part, reason = _choose(shape, request, two_sided)
        plan = dataclasses.replace(make_plan(one, dataclasses.replace(request, part=part)), reasons=(reason,))
    method: Any = plan.method
    if isinstance(method, (SubspaceIteration, Adaptive)):
        check_rowwise(method.sketch)
        if getattr(method, "start", None) is not None:
            raise InputError("start= holds columns for one matrix; a stack takes none")
    elif isinstance(method, GramEigh) and (two_sided or request.tol is not None or request.rank == min(shape)):
        plan = make_plan(one, dataclasses.replace(request, part=FullSVD(hermitian=two_sided)))
    return plan


def _choose(shape: tuple[int, int], request: Request, two_sided: bool) -> tuple[RangeFinder, str]:
    knobs = {name: value for name in ("power_iterations", "sketch") if (value := getattr(request, name)) is not None}
    fixed = SubspaceIteration(oversampling=request.oversampling, **knobs)
    adaptive = Adaptive(**knobs)
    part: RangeFinder = fixed if request.tol is None else adaptive
    if knobs or request.oversampling is not None:
        return part, "power_iterations, oversampling or sketch were given, which only the randomized methods have"
    short = min(shape)
    size = max(1, short // 8) if request.rank is None else min(fixed.size_for(request.rank), short)
    whole, clearly = FullSVD(hermitian=two_sided), _CLEARLY_HERMITIAN if two_sided else _CLEARLY
    choices: list[tuple[float, RangeFinder, str]] = [
        (_subspace_seconds(shape, size, fixed.power_iterations), part, f"bases of about {size} columns cost least"),
        (_complete_seconds(shape, two_sided) / clearly, whole, "LAPACK factors the items whole"),
    ]
    if request.tol is None and not two_sided and request.rank != short:
        assert request.rank is not None
        text = f"the Gram matrices of the short side of {short} cost least and are exact"
        choices.append((_gram_seconds(shape, request.rank) / clearly, GramEigh(), text))
    _, part, reason = min(choices, key=lambda choice: choice[0])
    return part, reason


def _complete_seconds(shape: tuple[int, int], two_sided: bool) -> float:
    m, n = max(shape), min(shape)
    if two_sided:
        return max(_EIGH_START * n**2, 9.0 * n**3 / _CUBIC)
    return max(_SVD_START * n**2, 22.0 * n**3 / _CUBIC) + 4.0 * (m - n) * n**2 / _QR


def _gram_seconds(shape: tuple[int, int], rank: int) -> float:
    m, n = max(shape), min(shape)
    eigen = max(_EIGH_START * n**2, 9.0 * n**3 / _CUBIC)
    return m * n**2 / _GRAM + eigen + 2.0 * m * n * rank / _PRODUCT + _factors_seconds(shape, rank)


def _subspace_seconds(shape: tuple[int, int], size: int, power_iterations: int) -> float:
    m, n = max(shape), min(shape)
    steps = power_iterations + 1
    products = 2.0 * m * n * size * (2 * steps + 1) / _PRODUCT
    orthonormal = steps * (4.0 * n * size**2 / _QR + 3 * _STEP)
    return products + orthonormal + n * size / _NORMALS + _factors_seconds(shape, size)


def _factors_seconds(shape: tuple[int, int], size: int) -> float:
    """Return what the factors of a basis and its image take."""
    return 4.0 * max(shape) * size**2 / _QR + _CORE_START * size**2 + 2.0 * sum(shape) * size**2 / _PRODUCT


def sizes_of_bases(shape: tuple[int, int], plan: Plan, request: Request) -> list[int | None]:
    """Return the sizes of the bases to try in turn; None is the complete factorization."""
    short, method = min(shape), plan.method
    if isinstance(method, GramEigh):
        return [plan.size, None]
    if not isinstance(method, (SubspaceIteration, Adaptive)):
        return [None]
    if request.tol is None:
        assert plan.size is not None
        return [plan.size if plan.size < short else None]
    limit = short if request.rank is None else plan.limit
    size = _FIRST_SIZE if not isinstance(method, Adaptive) else max(1, method.block_size)
    sizes: list[int | None] = []
    while size < min(limit, (short + 1) // 2):
        sizes.append(size)
        size *= 2
    return [*sizes, limit if 2 * limit < short else None]


def item_ranges(count: int, bytes_of_item: int) -> list[slice]:
    """Cut items in ranges that depend on nothing but how many there are and how large."""
    return even_ranges(count, max(_PARTS, -(-count * bytes_of_item // _RANGE_BYTES)))


def require_room(count: int, shape: tuple[int, int], plan: Plan, request: Request) -> None:
    """Raise `BudgetError` where the factors and what the tasks hold at a time do not fit."""
    (m, n), item, config = shape, plan.dtype.itemsize, get_config()
    if min(shape) == 0 or count == 0:
        return
    sizes = sizes_of_bases(shape, plan, request)
    size = max(min(m, n) if s is None else s for s in sizes)
    rank = size if request.rank is None else request.rank
    ranges = item_ranges(count, m * n * item)
    at_once = (ranges[0].stop + 1) * min(config.threads, len(ranges))
    whole = 3 * m * n if None in sizes else 0
    needed = item * (2 * count * (m + n + 1) * rank + at_once * (whole + 5 * (m + n) * size))
    if not config.allows(needed):
        raise BudgetError(
            f"a stack of {count} matrices {m} x {n} needs about {needed} bytes and the memory budget is "
            f"{config.budget()}; pass fewer items at a time, ask for a smaller rank, or set memory_budget to at least "
            f"{needed}"
        )
