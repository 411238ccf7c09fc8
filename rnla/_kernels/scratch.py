"""One buffer for the sums of tasks, kept from one product to the next.

A buffer of megabytes that is freed goes back to the system, which hands it out again page by page, each cleared: that
took a twentieth of a factorization of 4000 x 4000.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from rnla._kernels.aligned import aligned_empty

__all__ = ["scratch"]

_MOST = 1 << 24  # bytes that are kept
_kept: list[np.ndarray[Any, Any]] = []  # at most one; taking it out and putting it back are each one step


@contextlib.contextmanager
def scratch(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[np.ndarray[Any, Any]]:
    """Give a C-ordered array of undefined numbers, which must not be looked at after the block.

    Examples
    --------
    >>> with scratch((2, 3), np.dtype("float64")) as sums:
    ...     sums[...] = 1.0
    ...     sums.shape
    (2, 3)
    """
    size = math.prod(shape) * dtype.itemsize
    try:
        buffer = _kept.pop()
    except IndexError:
        buffer = np.empty(0, dtype=np.uint8)
    if buffer.nbytes < size:
        buffer = aligned_empty((size,), np.dtype(np.uint8))
    try:
        yield buffer[:size].view(dtype).reshape(shape)
    finally:
        if buffer.nbytes <= _MOST and not _kept:
            _kept.append(buffer)
