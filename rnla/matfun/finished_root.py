"""What a kept root has come to."""

from __future__ import annotations

import dataclasses
from typing import Any

from rnla.results import ErrorEstimate
from rnla.results.report import Status

__all__ = ["FinishedRoot"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class FinishedRoot:
    """What a state has come to.

    Attributes
    ----------
    root : array, shape (n, n), or None
        The root (of power -0.5, the inverse root) in the caller's coordinates; None of a diagonal matrix, whose root
        is diag(h) + V diag(w) V^H.
    h, V, w : array or None
        Of a diagonal matrix, these three; they are of the root, also for power -0.5.
    power : float
    error : ErrorEstimate
    forward_bound : float
        Bound on the error of the root itself, in the spectral norm; nan for power -0.5.
    changes, refactorizations, measurements : int
    status : Status
    """

    root: Any
    h: Any
    V: Any
    w: Any
    power: float
    error: ErrorEstimate
    forward_bound: float
    changes: int
    refactorizations: int
    measurements: int
    status: Status
