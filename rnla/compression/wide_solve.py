"""Triangular solves with wide right sides: ranges of columns over the pool, where there is enough to do."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._kernels.threads import even_ranges, run
from rnla._xp.namespace import is_numpy, namespace_of
from rnla._xp.pivoting import solve_triangular
from rnla.config import get_config

__all__ = ["wide_solve"]

_WORTH_A_POOL = 2_000_000  # multiply-adds
_PARTS = 8


def wide_solve(r: Any, b: Any) -> Any:
    """Return the solution of R X = B for an upper triangle, in parts fixed by the shape alone.

    Parameters
    ----------
    r : array, shape (k, k)
    b : array, shape (k, n)

    Examples
    --------
    >>> wide_solve(np.array([[2.0, 1.0], [0.0, 4.0]]), np.array([[4.0], [8.0]])).tolist()
    [[1.0], [2.0]]
    """
    if not is_numpy(namespace_of(b)) or r.shape[0] * b.size < _WORTH_A_POOL:
        return solve_triangular(r, b)
    out = np.empty(b.shape, dtype=np.result_type(r, b), order="F")

    def task(part: slice) -> None:
        out[:, part] = solve_triangular(r, b[:, part])

    run(task, even_ranges(b.shape[1], _PARTS), get_config().threads)
    return out
