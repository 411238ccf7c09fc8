"""What a range finder is, and what it is told about the rest of the call."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from rnla.capability import Capability
from rnla.operators.ledger import Ledger
from rnla.results import RangeBasis
from rnla.rng import Key

__all__ = ["BlockFinder", "Goal", "RangeFinder", "Riders", "shorter_space"]


@dataclasses.dataclass(frozen=True, slots=True)
class Riders:
    """Columns that ride in the first products of a basis, at no further pass.

    Attributes
    ----------
    probes : int
        Normal columns for the error estimate.
    adjoint_test : bool
        Whether two columns test the adjoint of the operator.
    leave_one_out : bool
        Whether A Omega is kept for the leave-one-out estimate and the norm of A.
    """

    probes: int = 0
    adjoint_test: bool = False
    leave_one_out: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Goal:
    """What the basis is for.

    Attributes
    ----------
    size : int or None
        Columns wanted; None while `reached` decides.
    limit : int
        Columns at most.
    reached : callable or None
        Given a basis, says how many columns more are wanted: 0 to stop.
    """

    size: int | None
    limit: int
    reached: Callable[[RangeBasis], int] | None = None


@runtime_checkable
class RangeFinder(Protocol, metaclass=Capability):
    """Finds, and later extends, an orthonormal basis with the image of A on it."""

    def find(self, op: Ledger, goal: Goal, key: Key, riders: Riders, start: RangeBasis | None = None) -> RangeBasis:
        """Return a basis that meets the goal; with `start`, one that holds it and recomputes nothing of it."""
        ...


@runtime_checkable
class BlockFinder(RangeFinder, Protocol, metaclass=Capability):
    """A range finder that goes on block by block, so that it serves a rank as well as a tolerance.

    `leaves_one_out` says whether the first block brings a leave-one-out estimate where a rider asks for it.
    """

    @property
    def leaves_one_out(self) -> bool:
        """Whether a leave-one-out estimate is valid for this method."""
        ...

    def space_for(self, shape: tuple[int, int]) -> str:
        """Return the space of the basis of a matrix of this shape."""
        ...

    def size_for(self, rank: int) -> int:
        """Return the columns of the basis for a rank."""
        ...

    def next_size(self, have: int, missing: int, limit: int) -> int:
        """Return the columns of the next block while a tolerance decides; `missing` is at least 1."""
        ...

    def add_block(
        self, op: Ledger, start: RangeBasis | None, size: int, key: Key, riders: Riders, *, more: bool = True
    ) -> RangeBasis:
        """Return the basis with one block more; `more` says that another one may follow."""
        ...

    def passes(self, op: Ledger, size: int, have: int = 0) -> int:
        """Return the passes of a basis of this size, from one of `have` columns."""
        ...

    def passes_of_step(self, op: Ledger) -> int:
        """Return the passes of one block more while a tolerance decides."""
        ...

    def products(self, op: Ledger, size: int) -> float:
        """Return the columns multiplied in all for a basis of this size."""
        ...


def shorter_space(shape: tuple[int, int], wanted: str | None = None) -> str:
    """Return the space that the basis lies in: the rows' unless A is more than twice as wide as tall.

    The rows' space lets row blocks of A give the normal product in one pass.
    """
    if wanted is not None:
        return wanted
    m, n = shape
    return "column" if n > 2 * m else "row"
