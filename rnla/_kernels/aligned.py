"""Arrays that begin on a line of the cache, so that a row of whole registers lies in no more lines than it must."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["aligned_empty"]

_LINE = 64  # bytes
_WORTH = 1 << 14  # bytes; smaller arrays stay in the first cache


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return a C-ordered array of undefined numbers that begins on a line of the cache, if it is large."""
    size = math.prod(shape) * dtype.itemsize
    if size < _WORTH:
        return np.empty(shape, dtype=dtype)
    room = np.empty(size + _LINE, dtype=np.uint8)
    first = -room.ctypes.data % _LINE
    return room[first : first + size].view(dtype).reshape(shape)
