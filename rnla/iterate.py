"""The watch over a call: deadline, progress and the one loop of adaptive methods.

A call starts a `Watch`; everything that reads the matrix reports to it through `tick`, between
blocks and between products.  So a deadline, a callback and a progress bar are written once.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from rnla.config import get_config
from rnla.errors import DeadlineReached, RnlaError

__all__ = ["Event", "Watch", "current_watch", "loop", "loop_or_late", "tick", "watching"]

State = TypeVar("State")


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """What a callback is told.

    Attributes
    ----------
    stage : str
        What is being done, in words.
    passes : float
        Passes over the matrix done so far, with the share of the present one.
    planned_passes : float or None
        Passes foreseen; None while a tolerance decides.
    elapsed : float
        Seconds since the call began.
    remaining : float or None
        Seconds left as the passes so far predict.
    error : float or None
        The relative error reached, where it is known.
    """

    stage: str
    passes: float
    planned_passes: float | None
    elapsed: float
    remaining: float | None
    error: float | None


class Watch:
    """Progress of one call, and its deadline."""

    def __init__(self, planned_passes: float | None = None) -> None:
        config = get_config()
        self.begun = time.monotonic()
        self.deadline = config.deadline
        self.planned_passes = planned_passes
        self.passes = 0.0
        self.stage = "starting"
        self.error: float | None = None
        self._callback: Callable[[Any], object] | None = config.callback

    @property
    def elapsed(self) -> float:
        """Seconds since the call began."""
        return time.monotonic() - self.begun

    def tick(self, fraction: float = 0.0) -> None:
        """Tell the callback, and raise `DeadlineReached` if the time is over."""
        done = self.passes + fraction
        if self._callback is not None:
            planned, remaining = self.planned_passes, None
            if planned is not None and done > 0:
                remaining = max(planned - done, 0.0) * self.elapsed / done
            event = Event(self.stage, done, planned, self.elapsed, remaining, self.error)
            try:
                self._callback(event)
            except RnlaError:
                raise
            except Exception as error:  # noqa: BLE001  a broken progress bar must not cost the work
                warnings.warn(f"the callback failed and is not called again: {error!r}", RuntimeWarning, stacklevel=2)
                self._callback = None
        if self.deadline is not None and self.elapsed > self.deadline:
            raise DeadlineReached(
                f"the deadline of {self.deadline:g} s passed after {done:.1f} passes; give more time or ask for less"
            )


_watch: contextvars.ContextVar[Watch | None] = contextvars.ContextVar("rnla_watch", default=None)


def current_watch() -> Watch | None:
    """Return the watch over the call in progress, if any."""
    return _watch.get()


def tick(fraction: float = 0.0) -> None:
    """Report that a share of the present pass is done; may raise to stop the work."""
    watch = _watch.get()
    if watch is not None:
        watch.tick(fraction)


@contextlib.contextmanager
def watching(planned_passes: float | None = None) -> Iterator[Watch]:
    """Watch over the call inside the block."""
    watch = Watch(planned_passes)
    token = _watch.set(watch)
    try:
        yield watch
    finally:
        _watch.reset(token)


def loop(state: State, step: Callable[[State], State], finished: Callable[[State], bool]) -> State:
    """Repeat a step until it is finished.

    When the deadline passes inside a step, the error carries as ``.result`` what the step kept, else the last
    whole state.
    """
    while not finished(state):
        try:
            state = step(state)
        except DeadlineReached as error:
            if error.result is None:  # a step keeps only what is whole and further than the state before it
                error.result = state
            raise
    return state


def loop_or_late(state: State, step: Callable[[State], State], finished: Callable[[State], bool]) -> tuple[State, bool]:
    """Repeat a step until it is finished or the deadline has passed; return the last state, and whether that was so."""
    try:
        return loop(state, step, finished), False
    except DeadlineReached as error:
        return error.result, True
