"""Panels that grow by blocks of columns without being copied each time.

A panel may lie in a buffer with room on its right.  The first who appends to it writes there and gets a wider view of
the same buffer; whoever appends to the shorter panel again finds the room taken, and gets a copy.  So no panel that
was handed out ever changes.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

import numpy as np

from rnla._xp.namespace import is_numpy, namespace_of

__all__ = ["appended", "with_room"]

_lock = threading.Lock()
_taken: dict[int, int] = {}  # columns in use of the buffers with room, by identity


def with_room(panel: Any, columns: int) -> Any:
    """Return a panel in a buffer of this many columns; arrays of other libraries as they are."""
    if not is_numpy(namespace_of(panel)) or panel.shape[1] >= columns or panel.size == 0:
        return panel
    buffer = np.empty((panel.shape[0], columns), dtype=panel.dtype)
    buffer[:, : panel.shape[1]] = panel
    with _lock:
        _taken[id(buffer)] = panel.shape[1]
        weakref.finalize(buffer, _forget, id(buffer))
    return buffer[:, : panel.shape[1]]


def _forget(buffer: int) -> None:
    with _lock:
        _taken.pop(buffer, None)


def appended(panel: Any, block: Any) -> Any:
    """Return [panel block], in the buffer of the panel where it has room there.

    Parameters
    ----------
    panel, block : array, shape (p, l) and (p, k)

    Examples
    --------
    >>> import numpy as np
    >>> short = with_room(np.ones((3, 1)), 2)
    >>> long = appended(short, np.zeros((3, 1)))
    >>> other = appended(short, np.full((3, 1), 5.0))
    >>> long.base is short.base, other.base is short.base, long[0].tolist(), other[0].tolist()
    (True, False, [1.0, 0.0], [1.0, 5.0])
    """
    have, more = int(panel.shape[1]), int(block.shape[1])
    buffer = panel.base if is_numpy(namespace_of(panel)) else None
    if isinstance(buffer, np.ndarray) and buffer.ndim == 2 and buffer.dtype == block.dtype:
        with _lock:
            free = _taken.get(id(buffer)) == have and have + more <= buffer.shape[1]
            free = free and panel.ctypes.data == buffer.ctypes.data and panel.strides == buffer.strides
            if free:
                _taken[id(buffer)] = have + more
            ours = id(buffer) in _taken
        if free:
            buffer[:, have : have + more] = block
            return buffer[:, : have + more]
        if ours:  # half as much room again: all the copies together are three times the panel at most
            return appended(with_room(panel, max(have + more, have + have // 2)), block)
    return namespace_of(panel).concat([panel, block], axis=1)
