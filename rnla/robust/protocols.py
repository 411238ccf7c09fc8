"""What a method of robust PCA is given, and what it hands back."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from rnla.iterate import current_watch, tick
from rnla.results import Status
from rnla.rng import Key
from rnla.robust.reading import Reader
from rnla.robust.thresholds import Threshold

__all__ = ["Factors", "Outcome", "Problem", "RobustMethod", "Step", "at_noise", "reached", "told", "verdict"]

Array = np.ndarray[Any, Any]

TOO_MANY = 0.97
"""Share of outliers from which on what is left says nothing about L."""
_STILL, _STILL_MOST = 30, 100
"""Iterations over which the residual must fall, at least and at most."""
_DECADES = 1e2
"""What the threshold falls by in the meantime, where it falls: where it falls slowly, so does the residual."""
_GROWN = 1e3
_STANDS = 5  # iterations, twice, over which it stands still where it ends in noise
_COMING_DOWN = 0.5
"""Residual from which on the threshold is still above most of L, so that standing still is no sign."""
_FIRST = 10  # iterations that may call nearly everything an outlier


class Factors(NamedTuple):
    """L = U diag(s) Vh."""

    U: Any
    s: Any
    Vh: Any


class Step(NamedTuple):
    """One iteration, in the trace.

    Attributes
    ----------
    residual : float
        What stays of D - L - S where the method looked, relative to L.
    threshold : float
    outliers : float
        Share of the entries looked at that were outliers.
    entries : float
        Entries of D read so far.
    """

    residual: float
    threshold: float
    outliers: float
    entries: float


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """What is to be solved.

    Attributes
    ----------
    reader : Reader
    rank : int
    tol : float
    max_iterations : int
    key : Key
    mask : array of bool or None
    held_rows, held_columns : numpy.ndarray of int64
        Never to be sampled: the certificate is read there.
    least : float
        That the threshold falls to before anything is reached, where noise is expected; 0 where none is.
    """

    reader: Reader
    rank: int
    tol: float
    max_iterations: int
    key: Key
    mask: Any
    held_rows: Array
    held_columns: Array
    least: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """How far a method came.

    Attributes
    ----------
    factors : Factors
    threshold : float
        That the outliers of these factors are judged by.
    trace : tuple of Step
    status : Status
    rows, columns : numpy.ndarray of int64
        The cross that was looked at last; empty for methods that read all of D.
    """

    factors: Factors
    threshold: float
    trace: tuple[Step, ...]
    status: Status
    rows: Array
    columns: Array


class RobustMethod(Protocol):
    """A method of robust PCA: a frozen part."""

    name: ClassVar[str]
    reads_all: ClassVar[bool]
    """Whether it reads all of D in every iteration, from an array in memory."""

    @property
    def threshold(self) -> Threshold:
        """What counts as an outlier."""
        ...

    @property
    def summary(self) -> str:
        """The method in one line."""
        ...

    def start(self, problem: Problem) -> Any:
        """Return the first state; it has ``factors``, ``threshold``, ``trace``, ``rows``, ``columns``."""
        ...

    def advance(self, problem: Problem, state: Any) -> Any:
        """Return the next state."""
        ...


def reached(trace: tuple[Step, ...], tol: float, least: float = 0.0) -> bool:
    """Whether the residual is at `tol`, and the threshold at its least, or as low as the method takes it.

    With noise the residual may be small long before the threshold has left the last outliers behind.
    """
    if len(trace) < 2 or not trace[-1].residual <= tol:
        return False
    return _at_least(trace[-1], least) or trace[-1].threshold >= (1 - 1e-6) * trace[-2].threshold


def at_noise(trace: tuple[Step, ...], least: float) -> bool:
    """Whether the residual stands still with the threshold at its least: what is left of D - L - S is noise."""
    last = trace[-2 * _STANDS :]
    if least == 0 or len(last) < 2 * _STANDS or not all(_at_least(step, least) for step in last):
        return False
    return min(step.residual for step in last[_STANDS:]) > 0.95 * min(step.residual for step in last[:_STANDS])


def _at_least(step: Step, least: float) -> bool:
    return least == 0 or step.threshold <= least * (1 + 1e-9)


def verdict(trace: tuple[Step, ...], tol: float, max_iterations: int, least: float = 0.0) -> Status | None:
    """Return how an iteration ended; None while it goes on.

    The first step has no model yet, so it never ends the work.
    """
    if not trace:
        return None
    last = trace[-1]
    if not math.isfinite(last.residual) or last.residual > _GROWN:
        return Status.DIVERGED
    if len(trace) > _FIRST and min(step.outliers for step in trace[-_FIRST:]) > TOO_MANY:
        return Status.DIVERGED
    if reached(trace, tol, least):
        return Status.MET
    if at_noise(trace, least):
        return Status.DIVERGED
    still, judged = _patience(trace), _down(trace)
    if len(judged) > 2 * still and last.residual < _COMING_DOWN:
        recent = min(step.residual for step in judged[-still:])
        if recent > 0.9 * min(step.residual for step in judged[:-still]):
            return Status.DIVERGED
    return Status.ITERATIONS if len(trace) >= max_iterations else None


def _down(trace: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the steps since the threshold has come down to D - L: before, nothing is an outlier, and nothing moves."""
    if len(trace) > _STILL and trace[-_STILL].threshold <= trace[-1].threshold * (1 + 1e-6):
        return trace
    first = next((number for number, step in enumerate(trace) if step.outliers > 0), len(trace))
    return trace[first:]


def _patience(trace: tuple[Step, ...]) -> int:
    """Return over how many iterations the residual must have fallen."""
    last = trace[-_STILL_MOST:]
    if len(last) > _STILL and last[-_STILL].threshold <= last[-1].threshold * (1 + 1e-6):
        return _STILL  # the threshold has come to its end
    return max(_STILL, sum(step.threshold < _DECADES * last[-1].threshold for step in last))


def told(step: Step, iteration: int) -> None:
    """Tell the watch of an iteration."""
    watch = current_watch()
    if watch is not None:
        watch.error, watch.passes = step.residual, float(iteration)
        tick()
