"""What a range finder is, and what it is told about the rest of the call."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from rnla.operators.ledger import Ledger
from rnla.results import RangeBasis
from rnla.rng import Key

__all__ = ["Goal", "RangeFinder", "Riders", "shorter_space"]


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
class RangeFinder(Protocol):
    """Finds, and later extends, an orthonormal basis with the image of A on it."""

    def find(self, op: Ledger, goal: Goal, key: Key, riders: Riders, start: RangeBasis | None = None) -> RangeBasis:
        """Return a basis that meets the goal; with `start`, one that holds it and recomputes nothing of it."""
        ...


def shorter_space(shape: tuple[int, int], wanted: str | None = None) -> str:
    """Return the space that the basis lies in: the rows' unless A is more than twice as wide as tall.

    The rows' space lets row blocks of A give the normal product in one pass.
    """
    if wanted is not None:
        return wanted
    m, n = shape
    return "column" if n > 2 * m else "row"
