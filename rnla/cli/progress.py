"""Progress of long work: nothing for a second, then a bar on a terminal, or a line every few seconds elsewhere.

The work only leaves its latest state here, through rnla's ``callback`` or `Progress.stage`; a thread draws it, so that
a long step inside a compiled library does not look like a standstill, and drawing costs the work nothing.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
import time
from types import TracebackType
from typing import Any, Self

from rnla.iterate import Event

__all__ = ["Progress", "clock"]

PATIENCE = 1.0  # seconds of work before anything is shown
REDRAW = 0.1
LINE_EVERY = 5.0


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds.

    Examples
    --------
    >>> clock(3671)
    '1:01:11'
    """
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


class Progress:
    """What is being done, how far it is, and how long it will take; shown while the ``with`` block runs.

    Parameters
    ----------
    tol : float, optional
        The tolerance that ends the work.  Where the passes are not known beforehand, the share done is then the share
        of the way that the logarithm of the error has come.
    """

    def __init__(self, tol: float | None = None) -> None:
        self._tol = tol
        self._begun = time.monotonic()
        self._text = "starting"
        self._detail = ""
        self._share: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="rnla-progress", daemon=True)

    def __call__(self, event: Event) -> None:
        """Take note of an event: this is a ``callback`` for `rnla.config_context`."""
        planned = "" if event.planned_passes is None else f" of {event.planned_passes:.0f}"
        reached = "" if event.error is None else f", error {event.error:.2e}"
        share: float | None = None
        if event.planned_passes:
            share = event.passes / event.planned_passes
        elif self._tol is not None and self._tol < 1 and event.error is not None and 0 < event.error < 1:
            share = math.log(event.error) / math.log(self._tol)
        # Past its passes the call has small work left whose length nobody knows.
        self._share = share if share is not None and share < 1 else None
        self._text, self._detail = event.stage, f"pass {event.passes:.0f}{planned}{reached}"

    def stage(self, text: str, detail: str = "", share: float | None = None) -> None:
        """Say what is being done outside of rnla's calls, and how far it is.

        Parameters
        ----------
        text : str
            Its time counts from when this text was first said.
        detail : str
        share : float, optional
            The share done, where it is known.
        """
        if text != self._text:
            self._begun = time.monotonic()
        self._text, self._detail, self._share = text, detail, share

    @property
    def elapsed(self) -> float:
        """Seconds since the stage, or the call, began."""
        return time.monotonic() - self._begun

    def left(self) -> str:
        """Return in words how long it will take, or nothing where that cannot be known."""
        if not self._share:
            return ""
        return f"about {clock(self.elapsed * (1 - self._share) / self._share)} left"

    def line(self) -> str:
        """Return the state as one line of text."""
        share = "" if self._share is None else f"{100 * self._share:.0f} %"
        parts = (share, self._detail, f"{clock(self.elapsed)} so far", self.left())
        return f"rnla: {self._text}: {', '.join(part for part in parts if part)}"

    def _draw(self) -> None:
        if self._stop.wait(PATIENCE):
            return
        with contextlib.suppress(OSError, ValueError):  # whoever read it went away; the work goes on
            if sys.stderr.isatty() and os.environ.get("TERM", "") not in {"dumb", "unknown"}:
                self._draw_bar()
                return
            while True:
                sys.stderr.write(self.line() + "\n")
                sys.stderr.flush()
                if self._stop.wait(LINE_EVERY):
                    return

    def _draw_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn
        from rich.progress import Progress as Bar

        def text(field: str) -> TextColumn:
            return TextColumn("{task.fields[" + field + "]}", markup=False)

        columns = (SpinnerColumn(), text("what"), BarColumn(bar_width=24), text("detail"), text("spent"), text("left"))
        with Bar(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
            task = bar.add_task("", total=None, what="", detail="", spent="", left="")
            while True:
                share = self._share
                fields: dict[str, Any] = {
                    "what": self._text, "detail": self._detail, "spent": clock(self.elapsed), "left": self.left(),
                }  # fmt: skip
                bar.update(task, total=None if share is None else 1.0, completed=share or 0.0, **fields)
                bar.refresh()
                if self._stop.wait(REDRAW):
                    return

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._begun = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clear what was drawn."""
        self._stop.set()
        self._thread.join(timeout=2.0)
