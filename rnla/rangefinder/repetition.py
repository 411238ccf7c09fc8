"""The two loops of a method that works in blocks: until there are enough columns, or until a goal holds.

Either way the deadline leaves the largest whole basis on the error that it raises.
"""

from __future__ import annotations

from collections.abc import Callable

from rnla.errors import DeadlineReached
from rnla.iterate import current_watch, loop
from rnla.rangefinder.protocols import Goal
from rnla.results import RangeBasis

__all__ = ["growing_size", "until_enough", "until_reached"]


def growing_size(step: int, have: int, missing: int, limit: int) -> int:
    """Return the size of the next block so that passes stay logarithmic in the rank.

    Half the columns found so far, at least `step`, at most 8 steps or a fifth of them, and never more than are
    missing, rounded up to whole steps.
    """
    size = min(max(step, have // 2), max(8 * step, have // 5))
    if missing > 0:
        size = min(size, -(-missing // step) * step)
    return min(size, limit - have)


def until_enough(
    goal: Goal, start: RangeBasis | None, width: int, add: Callable[[RangeBasis | None, int, bool], RangeBasis]
) -> RangeBasis:
    """Add blocks of a width until the basis has the size of the goal; ``add(basis, columns, more)`` adds one."""
    assert goal.size is not None
    wanted = min(goal.size, goal.limit)

    def step(basis: RangeBasis | None) -> RangeBasis | None:
        have = 0 if basis is None else basis.size
        size = min(width, wanted - have)
        return add(basis, size, have + size < wanted)

    basis = loop(start, step, lambda basis: basis is not None and basis.size >= wanted)
    assert basis is not None
    return basis


def until_reached(
    goal: Goal,
    start: RangeBasis | None,
    next_size: Callable[[int, int, int], int],
    add: Callable[[RangeBasis | None, int, bool], RangeBasis],
) -> RangeBasis:
    """Add blocks until the goal is reached, the limit is, or a block adds nothing."""
    reached = goal.reached
    assert reached is not None
    try:
        missing = next_size(0, 0, goal.limit) if start is None else reached(start)
    except DeadlineReached as error:
        error.result = start
        raise

    def finished(state: tuple[RangeBasis | None, int]) -> bool:
        basis, missing = state
        return basis is not None and (missing <= 0 or basis.size >= goal.limit)

    def step(state: tuple[RangeBasis | None, int]) -> tuple[RangeBasis | None, int]:
        basis, missing = state
        have = 0 if basis is None else basis.size
        watch = current_watch()
        if watch is not None:
            watch.stage = f"finding the range: {have} columns so far"
        grown = add(basis, next_size(have, missing, goal.limit), True)
        if grown.size == have:
            return grown, 0  # the method has found all there is to find
        try:
            return grown, reached(grown)
        except DeadlineReached as error:
            error.result = grown  # the block is whole, and only the question about it was not answered
            raise

    basis, _ = loop((start, missing), step, finished)
    assert basis is not None
    return basis
