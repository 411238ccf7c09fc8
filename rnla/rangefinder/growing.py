"""Panels that grow by blocks of columns without being copied each time.

A panel may lie in a buffer with room on its right.  The first who appends to it writes there and gets a wider view of
the same buffer; whoever appends to the shorter panel again finds the room taken, and gets a copy.  So no panel that
was handed out ever changes, and what was computed of its columns holds for every longer one.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

import numpy as np

from rnla._kernels.threads import even_ranges, run
from rnla._xp.linalg import column_norms, host_values
from rnla._xp.namespace import is_numpy, namespace_of
from rnla.config import get_config

__all__ = ["appended", "norms_of_columns", "with_room"]

_PARTS = 16
_WORTH_A_POOL = 1 << 21  # bytes
_lock = threading.RLock()  # a buffer may be given up, and forgotten, while it is held
_taken: dict[int, int] = {}  # columns in use of the buffers with room, by identity
_norms: dict[int, np.ndarray[Any, Any]] = {}  # of their columns, as far as somebody asked


def with_room(panel: Any, columns: int) -> Any:
    """Return a panel in a buffer of this many columns; arrays of other libraries as they are."""
    if not is_numpy(namespace_of(panel)) or panel.shape[1] >= columns or panel.size == 0:
        return panel
    buffer = np.empty((panel.shape[0], columns), dtype=panel.dtype)
    _copied(panel, buffer[:, : panel.shape[1]])
    with _lock:
        _taken[id(buffer)] = panel.shape[1]
        weakref.finalize(buffer, _forget, id(buffer))
    return buffer[:, : panel.shape[1]]


def _copied(block: Any, there: np.ndarray[Any, Any]) -> None:
    """Copy a block; the first to write in a buffer also gets its memory, which takes as long."""
    rows = even_ranges(len(there), _PARTS if there.nbytes > _WORTH_A_POOL else 1)
    run(lambda part: np.copyto(there[part], block[part], casting="unsafe"), rows, get_config().threads)


def _forget(buffer: int) -> None:
    with _lock:
        _taken.pop(buffer, None)
        _norms.pop(buffer, None)


def _buffer_of(panel: Any) -> np.ndarray[Any, Any] | None:
    """Return the buffer with room whose first columns a panel is, if there is one."""
    buffer = panel.base if is_numpy(namespace_of(panel)) else None
    if not isinstance(buffer, np.ndarray) or id(buffer) not in _taken or buffer.ndim != 2:
        return None
    there = panel.ctypes.data == buffer.ctypes.data and panel.strides == buffer.strides
    return buffer if there else None


def norms_of_columns(panel: Any) -> np.ndarray[Any, Any]:
    """Return the Euclidean norms of the columns on the host; those of a growing panel are computed once.

    Parameters
    ----------
    panel : array, shape (p, l)

    Returns
    -------
    numpy.ndarray, shape (l,), float64

    Examples
    --------
    >>> import numpy as np
    >>> panel = with_room(np.full((4, 1), 2.0), 2)
    >>> norms_of_columns(panel).tolist()
    [4.0]
    >>> norms_of_columns(appended(panel, np.full((4, 1), 3.0))).tolist()
    [4.0, 6.0]
    """
    buffer, columns = _buffer_of(panel), int(panel.shape[1])
    known = np.empty(0) if buffer is None else _norms.get(id(buffer), np.empty(0))[:columns]
    if len(known) == columns:
        return known
    found = np.concatenate([known, host_values(column_norms(panel[:, len(known) :]))])
    if buffer is not None:
        with _lock:
            _norms[id(buffer)] = found
    return found


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
    buffer = _buffer_of(panel)
    if buffer is not None and buffer.dtype == block.dtype:
        with _lock:
            free = _taken[id(buffer)] == have and have + more <= buffer.shape[1]
            if free:
                _taken[id(buffer)] = have + more
        if free:
            _copied(block, buffer[:, have : have + more])
            return buffer[:, : have + more]
        # Half as much room again: all the copies together are three times the panel at most.
        return appended(with_room(panel, max(have + more, have + have // 2)), block)
    return namespace_of(panel).concat([panel, block], axis=1)
