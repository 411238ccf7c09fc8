"""The driver of factorizations of stacks: the steps of `rnla.factorization.batched` for any problem.

A problem says what it makes of complete items and of a basis; the plan, the rounds of a tolerance, the certificates,
the ranks and the assembly in one shape are written here once.
"""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from rnla._kernels import products
from rnla._kernels.threads import run
from rnla._xp.linalg import cast, eps_of, host_values, zeros
from rnla._xp.namespace import backend_name, device_of, from_host, is_numpy, namespace_of
from rnla._xp.stacked import take_items
from rnla.config import fixed_settings, get_config
from rnla.error.stacked import Asked, certificates, complete_residuals, projected_residuals
from rnla.errors import NonFiniteError, RankWarning, ToleranceNotMet
from rnla.factorization.stacked_plan import item_ranges, plan_of_items, require_room, sizes_of_bases
from rnla.iterate import tick, watching
from rnla.operators.stack import Stack, as_stack, naming_all
from rnla.planner import Plan
from rnla.rangefinder import GramEigh
from rnla.rangefinder.protocols import shorter_space
from rnla.rangefinder.stacked import stacked_gram, stacked_subspace_iteration, stacked_test_matrix
from rnla.request import Request, read_request
from rnla.results import Report, Status
from rnla.results.batched_result import BatchedErrors, StackedFactors
from rnla.rng import Key, as_key
from rnla.working import working

__all__ = ["StackProblem", "run_stack", "unscaled_items"]

Array = np.ndarray[Any, Any]


class StackProblem(Protocol):
    """What a driver of stacks asks of a problem."""

    @property
    def two_sided(self) -> bool:
        """Whether the projection is X X^H A X X^H rather than A X X^H."""
        ...

    def left_out(self, stack: Stack) -> Array:
        """Return the norm of what no factorization of every item can hold; raise where that is not rounding."""
        ...

    def complete(self, stack: Stack) -> StackedFactors:
        """Return the complete factorization of every item."""
        ...

    def project(self, x: Any, y: Any, space: str) -> StackedFactors:
        """Return the factorization of the projections on bases with their images."""
        ...

    def finish(self, found: StackedFactors, ranks: Array, width: int) -> StackedFactors:
        """Return what the result holds, from the first `width` columns of which an item keeps as many as its rank."""
        ...

    def build(self, found: StackedFactors, exponents: Array, common: dict[str, Any]) -> Any:
        """Return the result from factors whose columns past an item's rank are zero.

        Item i was computed with as item i times ``2**-exponents[i]``.
        """
        ...


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Some items, done: factors cut to the largest rank among them, and the columns of their certificates."""

    index: Array
    found: StackedFactors
    table: dict[str, Array]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """What all tasks of a call share."""

    array: Any
    dtype: np.dtype[Any]
    batch: tuple[int, ...]
    problem: StackProblem
    request: Request
    key: Key
    plan: Plan

    @property
    def sides(self) -> tuple[int, int]:
        return int(self.array.shape[1]), int(self.array.shape[2])

    def passes(self, size: int | None) -> int:
        """Return the stacked products that a basis takes, or 1 for a complete factorization."""
        method: Any = self.plan.method
        if isinstance(method, GramEigh):
            return 1 if size is None else 2
        return 1 if size is None else 2 * (method.power_iterations + 1) + 1

    def piece(self, index: Array, size: int | None) -> _Piece:
        """Factor the items with these places, ascending, on bases of `size` columns, or completely (S3)."""
        tick()
        consecutive = len(index) == int(index[-1]) - int(index[0]) + 1
        some = self.array[int(index[0]) : int(index[-1]) + 1, :, :] if consecutive else take_items(self.array, index)
        stack = Stack(some, self.dtype, index, self.batch)
        beside = self.problem.left_out(stack)
        resolved: Array | None = None
        if size is None:
            found = self.problem.complete(stack)
            residuals = complete_residuals(stack, found, beside, self.request.tol)
        else:
            x, y, space, resolved = self._basis(stack, index, size)
            found = self.problem.project(x, y, space)
            residuals = projected_residuals(stack, found, size)
        asked = Asked(self.request.rank, self.request.tol, self.request.norm, self.problem.two_sided, size)
        table = certificates(host_values(found.values), stack, residuals, asked)
        table["enough"] = table["enough"] if resolved is None else resolved
        width = int(found.values.shape[1])
        width = width if self.request.rank is None else min(width, self.request.rank)
        done = self.problem.finish(found, table["rank"], width)
        table["passes"] = self.passes(size) + (residuals[2] == "the explicit residual").astype(np.int64)
        keep = int(table["rank"].max(initial=0))
        return _Piece(index, _each(done, lambda x: x[..., :keep]), table)

    def _basis(self, stack: Stack, index: Array, size: int) -> tuple[Any, Any, str, Array | None]:
        """Return bases, their images, the space of both, and for which items they will do where they know."""
        (m, n), method = self.sides, self.plan.method
        if isinstance(method, GramEigh):
            space = "row" if m >= n else "column"
            x, y, resolved = stacked_gram(stack, space, size)
            return x, y, space, resolved
        part: Any = method
        space = shorter_space((m, n), part.space)
        omega = stacked_test_matrix(part.sketch, self.key, stack, index, n if space == "row" else m, size)
        x, y = stacked_subspace_iteration(stack, space, omega, part.power_iterations)
        return x, y, space, None


def _each(found: StackedFactors, change: Callable[[Any], Any], pivots: Callable[[Any], Any] | None = None) -> Any:
    """Return factors with a change made to each of them, and another one to the pivots."""
    return StackedFactors(
        change(found.values), change(found.left), None if found.right is None else change(found.right),
        pivots=found.pivots if pivots is None or found.pivots is None else pivots(found.pivots),
    )  # fmt: skip


def run_stack(A: Any, problem: StackProblem, asked: dict[str, Any], rng: Any) -> Any:
    """Return the result of a problem for a stack.

    Parameters
    ----------
    A : array, shape (..., m, n)
    problem : StackProblem
    asked : dict
        The arguments of `read_request`.
    rng : object
        As `as_key` takes it.
    """
    started = time.perf_counter()
    key = as_key(rng)
    array, dtype = as_stack(A)
    batch, (m, n) = tuple(int(side) for side in A.shape[:-2]), (int(side) for side in A.shape[-2:])
    request = read_request(
        (m, n), dtype, asked["rank"], asked["tol"], asked["norm"], asked["oversampling"], asked["power_iterations"],
        asked["sketch"], asked["method"], asked["on_failure"], asked["energy"],
    )  # fmt: skip
    with fixed_settings():
        plan = plan_of_items((m, n), dtype, request, two_sided=problem.two_sided)
        require_room(int(array.shape[0]), (m, n), plan, request)
        work = _Work(array, dtype, batch, problem, request, key, plan)
        # Small items are multiplied by one call of BLAS for many of them.
        work_of_kernels = int(array.shape[0]) * plan.flops if Stack.gains_from_kernels(m, n, plan.size) else 0.0
        with watching(None) as watch, working(namespace_of(array), dtype, work_of_kernels, (products.FAMILY,)):
            watch.stage = "factoring a stack"
            pieces, rounds = _pieces(work)
            result = _assembled(A, work, pieces, rounds, started)
    _raise_or_warn(request, result)
    return result


@dataclasses.dataclass(slots=True, eq=False)
class _Rounds:
    """The bases that were tried, the passes over every item, and whether `max_passes` left no further one."""

    sizes: list[int]
    products: int
    passes: Array
    used_up: bool = False


def _pieces(work: _Work) -> tuple[list[_Piece], _Rounds]:
    """Factor all items: those that miss a tolerance go on to the next size."""
    waiting = np.arange(int(work.array.shape[0]))
    done: list[_Piece] = []
    rounds = _Rounds([], 0, np.zeros(len(waiting), dtype=np.int64))
    if not len(waiting) or min(work.sides) == 0:
        return done, rounds
    on_host = is_numpy(namespace_of(work.array))
    threads = get_config().threads if on_host else 1
    allowed = get_config().max_passes
    sizes = sizes_of_bases(work.sides, work.plan, work.request)
    item = math.prod(work.sides) * work.dtype.itemsize
    for place, size in enumerate(sizes):
        ranges = item_ranges(len(waiting), item) if on_host else [slice(len(waiting))]
        items = [(waiting[part], size) for part in ranges]
        with naming_all(work.array, work.batch):
            made = run(lambda item: work.piece(*item), items, threads)
        columns = min(work.sides) if size is None else size
        rounds.sizes.append(columns)
        rounds.products += columns * work.passes(size)
        for piece in made:
            rounds.passes[piece.index] += piece.table["passes"]
        last = size is sizes[-1]
        if not last and allowed is not None:
            # Each item may look at its residual once more in the next round.
            rounds.used_up = int(rounds.passes.max()) + work.passes(sizes[place + 1]) + 1 > allowed
        last |= rounds.used_up
        missed: list[Array] = []
        for piece in made:
            met = (piece.table["met"] & piece.table["enough"]) | last
            missed.append(piece.index[~met])
            if met.all():
                done.append(piece)
            elif met.any():
                done.append(_some(piece, np.flatnonzero(met)))
        waiting = np.concatenate(missed)
        if not len(waiting):
            break
    return done, rounds


def _some(piece: _Piece, chosen: Array) -> _Piece:
    table = {name: column[chosen] for name, column in piece.table.items()}

    def taken(x: Any) -> Any:
        return take_items(x, chosen)

    return _Piece(piece.index[chosen], _each(piece.found, taken, taken), table)


def _wide(x: Any, k: int) -> Any:
    """Return a stack with its last axis filled up with zeros to k."""
    missing = k - int(x.shape[-1])
    if missing <= 0:
        return x[..., :k]
    return namespace_of(x).concat([x, zeros((*(int(s) for s in x.shape[:-1]), missing), x)], axis=-1)


def _assembled(A: Any, work: _Work, pieces: list[_Piece], rounds: _Rounds, started: float) -> Any:
    """Return the result: pieces joined in the order of the stack, in one shape (S5)."""
    xp, device = namespace_of(work.array), device_of(work.array)
    count = int(work.array.shape[0])
    index = np.concatenate([piece.index for piece in pieces]) if pieces else np.zeros(0, dtype=np.int64)
    back = np.argsort(index)
    names = ("value", "absolute", "upper", "floor", "norm_of_A", "residual", "residual_upper")
    if pieces:
        table = {name: np.concatenate([p.table[name] for p in pieces])[back] for name in pieces[0].table}
    else:  # no items, or items without entries
        table = {name: np.zeros(count) for name in names}
        table |= {name: np.zeros(count, dtype=np.int64) for name in ("rank", "exponent", "numerical")}
        table |= {"kind": np.full(count, "exact"), "method": np.full(count, "an empty matrix")}
        table |= {name: np.ones(count, dtype=bool) for name in ("met", "enough")}
    k = int(table["rank"].max(initial=0))
    if pieces:
        filled = [_each(piece.found, lambda x: _wide(x, k)) for piece in pieces]
        found = _joined(filled, None if np.array_equal(back, np.arange(count)) else back)
    else:
        found = _nothing(work)
    if (table["rank"] < k).any():
        inside = from_host(np.arange(k)[None, :] < table["rank"][:, None], xp, device)
        found = _each(found, lambda x: xp.where(inside if x.ndim == 2 else inside[:, None, :], x, xp.zeros_like(x)))
    batch = work.batch
    shaped = {name: np.reshape(column, batch) for name, column in table.items()}
    errors = BatchedErrors(norm=work.request.norm, kind=shaped["kind"], method=shaped["method"], **{
        name: shaped[name] for name in names
    })  # fmt: skip
    failed = Status.NOT_CERTIFIED if work.request.rank is None else Status.RANK_CAP
    failed = Status.PASSES if rounds.used_up else failed
    met = bool(table["met"].all())
    common = {
        "ranks": shaped["rank"].astype(np.int64), "error": errors, "status": Status.MET if met else failed,
        "statuses": np.where(shaped["met"], Status.MET.name, failed.name),
        "report": _report(A, work, rounds, table, k, started),
    }  # fmt: skip
    return work.problem.build(found, table["exponent"], common)


def _joined(parts: list[StackedFactors], order: Array | None) -> StackedFactors:
    def together(name: str) -> Any:
        each = [getattr(part, name) for part in parts]
        if each[0] is None:
            return None
        whole = each[0] if len(each) == 1 else namespace_of(each[0]).concat(each, axis=0)
        return whole if order is None else take_items(whole, order)

    return StackedFactors(**{name: together(name) for name in ("values", "left", "right", "pivots")})


def _nothing(work: _Work) -> StackedFactors:
    """Return the factors of rank 0 of a stack without items, or of items without entries."""
    xp, device = namespace_of(work.array), device_of(work.array)
    count, (m, n) = int(work.array.shape[0]), work.sides
    like = from_host(np.zeros((0,), dtype=work.dtype), xp, device)
    real = xp.float32 if eps_of(work.dtype) > 1e-10 else xp.float64
    pivots = from_host(np.broadcast_to(np.arange(n), (count, n)).copy(), xp, device)
    return StackedFactors(
        zeros((count, 0), like, real), zeros((count, m, 0), like), zeros((count, n, 0), like), pivots=pivots
    )


def unscaled_items(values: Any, exponents: Array) -> Any:
    """Return every item of a stack times its own power of two."""
    if not exponents.any():
        return values
    xp, half, shape = namespace_of(values), exponents // 2, (-1,) + (1,) * (values.ndim - 1)
    first, second = (
        cast(from_host(np.exp2(e.astype(float)).reshape(shape), xp, device_of(values)), values.dtype)
        for e in (half, exponents - half)
    )
    with np.errstate(over="ignore"):
        grown = values * first * second
    if not bool(xp.all(xp.isfinite(grown))):
        raise NonFiniteError(f"values of some items exceed the range of {values.dtype}; scale the stack down first")
    return grown


def _report(A: Any, work: _Work, rounds: _Rounds, table: dict[str, Array], k: int, started: float) -> Report:
    xp = namespace_of(work.array)
    given, home = (str(x.dtype).rpartition(".")[2] for x in (A, work))
    shape: Any = (*work.batch, *work.sides)
    scaled = int(np.count_nonzero(table["exponent"]))
    notes = (f"{scaled} items were computed with times a power of two, and scaled back",) if scaled else ()
    return Report(
        plan=work.plan, shape=shape, rank=k, size=max(rounds.sizes, default=0),
        blocks=tuple(rounds.sizes), passes=int(rounds.passes.max(initial=0)), scans=len(rounds.sizes),
        products=rounds.products, seed=work.key.seed,
        dtype_path=given if given == home else f"{given} -> {home}", backend=backend_name(xp),
        device="" if is_numpy(xp) else str(device_of(work.array)), copies=(),
        numerical_rank=min(k, int(table["numerical"].min(initial=k))), deterministic=is_numpy(xp),
        seconds=time.perf_counter() - started, notes=notes,
    )  # fmt: skip


def _raise_or_warn(request: Request, result: Any) -> None:
    missed = np.argwhere(result.statuses != Status.MET.name)
    if len(missed) and request.on_failure == "raise":
        names = ", ".join(str(tuple(int(i) for i in place)) for place in missed[:3])
        more = f" and {len(missed) - 3} more" if len(missed) > 3 else ""
        worst = float(result.error.upper.max())
        raise ToleranceNotMet(
            f"tol={request.tol:.1e} was not met by {'item' if len(missed) == 1 else 'items'} {names}{more}: certified "
            f"to {worst:.2e} at worst; {result.status.value}; the answer is in .result, and "
            "on_failure='return' gives it back instead",
            result,
        )
    numerical = result.report.numerical_rank
    if request.rank is not None and request.tol is None and numerical < min(request.rank, result.rank):
        warnings.warn(
            f"items of the stack have numerical rank {numerical} or more, below rank={request.rank}: the values past "
            "it are rounding, and their vectors, though orthonormal, are arbitrary",
            RankWarning,
            stacklevel=4,
        )
