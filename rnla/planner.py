"""Every default choice of the pipeline, and the plan that explains it.

A choice depends on shape, dtype, structure (dense, sparse, implicit) and on what was asked, and on
nothing else: not on threads, backend, device, memory or measured time.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla.config import get_config
from rnla.cost_model import cost_of, passes_of, passes_of_block
from rnla.error.probes import PROBES, PROBES_WITHOUT_NORM
from rnla.error.residual import identity_floor
from rnla.error.spectral import SPECTRAL_PASSES
from rnla.errors import BudgetError
from rnla.operators.centered import CenteredSparse
from rnla.operators.dense import Dense
from rnla.operators.implicit import Implicit
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import SupportsBlocks
from rnla.operators.sparse import Sparse
from rnla.rangefinder import (
    Adaptive,
    BlockFinder,
    BlockKrylov,
    FullSVD,
    GramEigh,
    GramQB,
    RangeFinder,
    SubspaceIteration,
    TallQR,
)
from rnla.rangefinder.protocols import Riders
from rnla.request import Request
from rnla.results import RangeBasis
from rnla.results.stored_parts import ForeignPart
from rnla.results.topic_plan import size_in_words

__all__ = ["Plan", "block_width", "bytes_of", "make_plan", "usual_plan"]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What would be done, and why.

    Attributes
    ----------
    method : RangeFinder
        The part that finds the basis.
    shape, dtype, kind
        Of the matrix; kind is "dense", "sparse" or "implicit".
    size : int or None
        Columns of the basis; None where a tolerance decides.
    limit : int
        Columns at most.
    riders : Riders
        What rides in the first products.
    passes : int or None
        Readings of the matrix, None where a tolerance decides.
    flops, bytes, seconds : float, int, float
        Work, peak memory beside A, and predicted time on the machine that the rates were measured
        on; for a tolerance, of a basis of an eighth of the shorter side.
    reasons : tuple of str
    handover : int or None
        Columns past which LAPACK's full SVD is cheaper than going on: a tolerance that needs more is met by it.
    """

    method: RangeFinder
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    kind: str
    size: int | None
    limit: int
    riders: Riders
    passes: int | None
    flops: float
    bytes: int
    seconds: float
    reasons: tuple[str, ...]
    handover: int | None = None

    @property
    def summary(self) -> str:
        """The method and its sizes in one line."""
        m = self.method
        name = m.name if isinstance(m, ForeignPart) else type(m).__name__
        if isinstance(m, SubspaceIteration):
            return f"{name}, {m.power_iterations} power iterations, {type(m.sketch).__name__} test matrix"
        if isinstance(m, BlockKrylov) and m.block_size is not None:
            return f"{name}, blocks of {m.block_size} columns, {type(m.sketch).__name__} test matrix"
        if isinstance(m, Adaptive) and m.part is not None:
            return f"{type(m.part).__name__}, blocks until the tolerance holds"
        if isinstance(m, Adaptive):
            return f"{name}, blocks from {m.block_size}, {m.power_iterations} power iterations"
        return name

    def __str__(self) -> str:
        size = "as many as the tolerance needs" if self.size is None else str(self.size)
        passes = "as many as the tolerance needs" if self.passes is None else str(self.passes)
        rows = [
            ("matrix", f"{self.shape[0]} x {self.shape[1]}, {self.kind}, computed in {self.dtype}"),
            ("method", self.summary),
            ("basis", f"{size}, at most {self.limit} columns"),
            ("passes", passes),
            ("work", f"{self.flops:.2g} flops, about {self.seconds:.2g} s where the rates were measured"),
            ("memory", f"{size_in_words(self.bytes)} beside A"),
        ]
        lines = [f"  {name:<8} {text}" for name, text in rows]
        return "\n".join(["Plan", *lines, *(f"  because  {reason}" for reason in self.reasons)])

    __repr__ = __str__


def _kind(op: Ledger) -> str:
    if isinstance(op.base, (Sparse, CenteredSparse)):
        return "sparse"
    return "implicit" if isinstance(op.base, Implicit) else "dense"


_LEAST = 96  # columns that a tolerance is taken to need at least, where the methods are compared
_LARGE = 1 << 33  # bytes of A from which on it is taken to lie on a disk, whose passes cost more than columns
_LONG = 32  # times the shorter side
_FULL_AT_MOST = 1 << 30  # bytes of A; beyond, LAPACK's copies are not made behind the caller's back


_LOW = 16  # ranks up to which blocks are as narrow as products take them
_LINE = 64  # bytes


def block_width(rank: int | None, dtype: np.dtype[Any]) -> int:
    """Return the columns of a Krylov block for a rank, or for a tolerance (None): as products take them at a time."""
    narrow, usual, wide = (16, 32, 48) if np.finfo(dtype).bits == 32 else (16, 24, 48)
    if rank is None:
        return usual
    return narrow if rank <= _LOW else usual if rank <= 100 else wide


def krylov_for(op: Ledger, rank: int | None) -> BlockKrylov:
    """Return the block Krylov iteration for a rank, or for a tolerance (None).

    Blocks are as narrow as products are fast, because narrow blocks go deeper with the same columns; where A is so
    large that it is taken to lie on a disk, each pass takes wider ones.
    """
    m, n = op.shape
    if rank is not None and m * n * op.dtype.itemsize > _LARGE and _kind(op) == "dense":
        return BlockKrylov(depth=4, oversampling=0)
    width = block_width(rank, op.dtype)
    if rank is None and _kind(op) == "dense" and max(m, n) >= _LONG * min(m, n):
        width = block_width(1, op.dtype)  # each column in vain costs as much in long panels as in products
    if _kind(op) == "sparse" and rank is not None and rank <= _LOW:
        # A stored entry fetches a line of the cache for its row of the block, whose columns cost more than the product.
        width = max(8, _LINE // op.dtype.itemsize)
    return BlockKrylov(block_size=width)


def _choose(op: Ledger, request: Request) -> tuple[RangeFinder, list[str]]:
    """Return the method for a request without one, and the reasons."""
    m, n = op.shape
    short = min(op.shape)
    knobs = {name: value for name in ("power_iterations", "sketch") if (value := getattr(request, name)) is not None}
    fixed = SubspaceIteration(oversampling=request.oversampling, **knobs)
    krylov = not knobs and request.oversampling is None and _kind(op) != "implicit"
    part: RangeFinder
    if request.tol is None:
        assert request.rank is not None
        part = krylov_for(op, request.rank) if krylov else fixed
        size = min(part.size_for(request.rank), short)
    else:
        part = Adaptive(part=krylov_for(op, None)) if krylov and request.norm == "fro" else Adaptive(**knobs)
        size = min(short, max(_LEAST, short // 4)) if request.rank is None else min(fixed.size_for(request.rank), short)
    if knobs or request.oversampling is not None:
        return part, ["power_iterations, oversampling or sketch were given, which only the randomized methods have"]
    if not isinstance(op.base, SupportsBlocks):
        return part, [f"{_kind(op)} matrices are only multiplied, never made dense"]
    wanted = request.rank if request.rank is not None and request.tol is None else size  # no oversampling for a rank
    choices: list[tuple[float, RangeFinder, str]] = [
        (cost_of(op, part, size).seconds, part, f"products with about {size} columns cost least")
    ]
    if m * n * op.dtype.itemsize <= _FULL_AT_MOST:
        text = "so small a matrix is factored whole by LAPACK"
        choices.append((cost_of(op, FullSVD(), short).seconds, FullSVD(), text))
    if max(m, n) >= 2 * short:
        allows = request.tol is None or request.tol >= identity_floor(op.dtype)
        if allows:
            text = f"the short side has {short}, so its Gram matrix and one more product cost least and are exact"
            choices.append((cost_of(op, GramEigh(), wanted).seconds, GramEigh(), text))
        text = f"the short side has {short}, and the tolerance is too small for a Gram matrix"
        choices.append((cost_of(op, TallQR(), wanted).seconds, TallQR(), text))
    _, part, reason = min(choices, key=lambda choice: choice[0])
    if request.hermitian and isinstance(part, FullSVD):
        part = FullSVD(hermitian=True)
    return part, [reason]


def make_plan(op: Ledger, request: Request, start: RangeBasis | None = None) -> Plan:
    """Return the plan for a request; raises where it cannot fit.

    With `start`, a basis to go on from: it may be enough, and a pass more looks at whether the matrix is the same.

    Raises
    ------
    BudgetError
        More memory or passes than allowed, with a setting that fits.
    """
    if isinstance(op.base, Implicit):
        op.base.require_adjoint()
    plan = usual_plan(op, request)
    more = 0 if start is None else 1
    if start is not None and plan.passes is not None:
        enough = plan.size is not None and plan.size <= start.size
        incomplete = max(start.size, plan.size or 0) < min(op.shape)
        spectral = SPECTRAL_PASSES if request.norm == "spectral" and incomplete else 0
        passes = spectral if enough else plan.passes
        if not enough and isinstance(plan.method, BlockFinder) and plan.size is not None:
            passes = spectral + plan.method.passes(op, plan.size, start.size)
        if request.norm == "fro" and incomplete and not op.complete_scan and start.probes is None:
            more += not enough or request.tol is not None or start.leave_one_out is None  # probes of their own
        plan = dataclasses.replace(plan, passes=passes + more)
    _check_limits(op, request, plan, more)
    return plan


_drafts: dict[Any, Plan] = {}
_DRAFTS = 64  # kept at a time


def usual_plan(op: Ledger, request: Request) -> Plan:
    """Return the plan, whether or not it fits; made once for dense matrices of a shape, since nothing else enters."""
    if not isinstance(op.base, Dense) or request.part is not None or request.sketch is not None:
        return _draft(op, request)
    key = (type(op.base), op.shape, op.dtype, request, get_config().max_passes)
    plan = _drafts.get(key)
    if plan is None:
        if len(_drafts) >= _DRAFTS:
            _drafts.clear()
        plan = _drafts[key] = _draft(op, request)
    return plan


def _draft(op: Ledger, request: Request) -> Plan:
    """Return the plan, whether or not it fits."""
    short = min(op.shape)
    if short == 0:
        return Plan(
            method=FullSVD(), shape=op.shape, dtype=op.dtype, kind=_kind(op), size=0, limit=0, riders=Riders(),
            passes=0, flops=0.0, bytes=0, seconds=0.0, reasons=("the matrix is empty",),
        )  # fmt: skip
    part, reasons = (request.part, [request.because]) if request.part is not None else _choose(op, request)
    complete = isinstance(part, (FullSVD, GramEigh, TallQR))
    fixed = isinstance(part, BlockFinder)
    if request.tol is not None and isinstance(part, GramQB):
        part.require_tol(request.tol, op.dtype)
    if request.tol is not None and request.rank is None and isinstance(part, BlockFinder):
        # A fixed-size part cannot answer a tolerance alone: its blocks are repeated.
        part = _repeated(part)
        reasons.append("a tolerance without a rank repeats the blocks of the method until it holds")
        fixed = False
    if request.rank is not None and isinstance(part, Adaptive) and request.tol is None:
        part = part.part or SubspaceIteration(
            power_iterations=part.power_iterations, sketch=part.sketch, space=part.space,
            orthonormalizer=part.orthonormalizer,
        )  # fmt: skip
        reasons.append("a rank alone needs one block, so nothing is adapted")
        fixed = True
    size: int | None = None
    limit = short
    if isinstance(part, FullSVD):
        size = short
    elif request.rank is not None:
        inner = part.part if isinstance(part, Adaptive) else part
        sizes = inner if isinstance(inner, BlockFinder) else SubspaceIteration(oversampling=request.oversampling)
        limit = min(short, sizes.size_for(request.rank))
        if request.oversampling is not None and request.rank + request.oversampling > short:
            reasons.append(f"oversampling was cut to {short - request.rank}: the basis is complete then")
        if complete:
            limit = request.rank if request.tol is None else limit
        size = limit if request.tol is None or complete or fixed else None
    elif complete:
        size = short
    implicit, scanned = _kind(op) == "implicit", op.complete_scan
    small_tol = request.tol is not None and request.tol < 2 * identity_floor(op.dtype)
    probes = 0
    if request.tol is not None and request.norm == "fro" and not complete:
        # Where the norm of A is estimated too, more probes pay: the bound is then a quotient of two.
        probes = (PROBES if small_tol else 0) if scanned else PROBES_WITHOUT_NORM
    passes = passes_of(op, part, size)
    if isinstance(part, GramEigh) and size is not None and size < short:
        reasons.append("should the Gram matrix not resolve the directions asked for, tall QR takes 2 passes more")
    if request.norm == "spectral" and passes is not None and size != short:
        passes += SPECTRAL_PASSES
    leave_one_out = not scanned and request.tol is None and not complete and getattr(part, "leaves_one_out", True)
    wanting = request.norm == "fro" and not complete and not scanned and not probes
    if wanting and (not leave_one_out or _spare_passes(op, part, passes) < 1):
        probes = PROBES  # they ride along where a certificate would have to ask for a pass of its own
    riders = Riders(probes=probes, adjoint_test=implicit, leave_one_out=leave_one_out)
    cost = cost_of(op, part, size if size is not None else max(1, short // 8))
    handover = _handover(op, part) if request.part is None and size is None else None
    if handover is not None and handover < limit:
        reasons.append(
            f"should the tolerance need more than {handover} columns, the full SVD is cheaper and takes over"
        )
    return Plan(
        method=part, shape=op.shape, dtype=op.dtype, kind=_kind(op), size=size, limit=limit, riders=riders,
        passes=passes, flops=cost.flops, bytes=cost.bytes, seconds=cost.seconds, reasons=tuple(reasons),
        handover=handover,
    )  # fmt: skip


def _repeated(part: BlockFinder) -> Adaptive:
    """Return the part that repeats the blocks of another until a tolerance holds."""
    if not isinstance(part, SubspaceIteration) or part.start is not None:
        return Adaptive(part=part)
    return Adaptive(
        power_iterations=part.power_iterations, sketch=part.sketch, space=part.space,
        orthonormalizer=part.orthonormalizer,
    )  # fmt: skip


def _handover(op: Ledger, part: RangeFinder) -> int | None:
    """Return the columns from which a search costs as much as the full SVD, if that may be made.

    It factors the basis twice: where the tolerance is first met, and where columns to spare have made the rank small.
    """
    m, n = op.shape
    if not isinstance(op.base, SupportsBlocks) or m * n * op.dtype.itemsize > _FULL_AT_MOST:
        return None
    whole, low, high = cost_of(op, FullSVD(), min(m, n)).seconds, 1, min(m, n)
    while low < high:
        middle = (low + high) // 2
        search = cost_of(op, part, middle).seconds + cost_of(op, part, max(1, 3 * middle // 4)).seconds
        low, high = (low, middle) if search >= whole else (middle + 1, high)
    return low


def bytes_of(op: Ledger, part: RangeFinder, size: int) -> int:
    """Return the peak memory beside A of a basis of this size."""
    return cost_of(op, part, min(size, *op.shape)).bytes


def _least_passes(op: Ledger, part: RangeFinder, passes: int | None) -> int:
    if passes is not None:
        return passes
    return passes_of_block(op, part) if isinstance(part, (BlockFinder, Adaptive)) else 1


def _spare_passes(op: Ledger, part: RangeFinder, passes: int | None) -> float:
    allowed = get_config().max_passes
    return math.inf if allowed is None else allowed - _least_passes(op, part, passes)


def _check_limits(op: Ledger, request: Request, plan: Plan, more: int) -> None:
    config = get_config()
    allowed = config.max_passes
    least = _least_passes(op, plan.method, plan.passes)
    if plan.passes is None:
        least += more + (SPECTRAL_PASSES if request.norm == "spectral" else 0)
    if allowed is not None and least > allowed:
        raise BudgetError(
            f"the work takes {least} passes over the matrix and max_passes={allowed}; allow more, "
            "or ask for fewer power_iterations"
        )
    first = plan.method.next_size(0, 1, plan.limit) if isinstance(plan.method, Adaptive) else 1
    needed = plan.bytes if plan.size is not None else bytes_of(op, plan.method, first)
    if not config.allows(needed):
        budget = config.budget()
        raise BudgetError(
            f"the work needs about {size_in_words(needed)} beside A and the memory budget is {size_in_words(budget)}; "
            + _what_fits(op, request, budget)
            + f"set memory_budget to at least {needed}"
        )


def _what_fits(op: Ledger, request: Request, budget: int) -> str:
    """Return the largest smaller rank that fits, by the method asked for or else by products alone."""
    highest = min(op.shape) if request.rank is None else request.rank
    for part in (request.part, SubspaceIteration()):
        rank = highest
        while rank > 0 and (request.rank is not None or part is not request.part):
            asked = dataclasses.replace(request, rank=rank, tol=None, part=part)
            if _draft(op, asked).bytes <= budget:
                with_method = "" if part is request.part else " with method=SubspaceIteration()"
                return f"rank={rank}{with_method} fits, or "
            rank = min(rank - 1, rank * 19 // 20)
    return ""
