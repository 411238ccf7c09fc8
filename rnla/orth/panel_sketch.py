"""The sketch of a panel from the left, S X with S = Omega^H / sqrt(d), summed over fixed tiles of rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._kernels import panels
from rnla._kernels.scatter import Scatter
from rnla._kernels.threads import even_ranges, run
from rnla._xp.linalg import adjoint
from rnla._xp.namespace import device_of, is_numpy, namespace_of
from rnla._xp.pivoting import solve_triangular
from rnla.config import get_config
from rnla.rng import Key
from rnla.sketch.protocols import SparseTestMatrix, TestMatrix
from rnla.sketch.sparse_rows import sparse_rows

__all__ = ["panel_sketch", "times_inverse"]

_TILE_ROWS = 8192


def panel_sketch(x: Any, sketch: TestMatrix, size: int, key: Key) -> Any:
    """Return S X for a random S of `size` rows with E norm(S y)^2 = norm(y)^2.

    Parameters
    ----------
    x : array, shape (p, k)
    sketch : TestMatrix
        Of which Omega is the (p, size) matrix of this key.
    size : int
    key : Key
    """
    p = int(x.shape[0])
    name = str(x.dtype).rpartition(".")[2]
    xp = namespace_of(x)
    if is_numpy(xp) and isinstance(sketch, SparseTestMatrix):
        omega = sparse_rows(sketch, p, size, key, np.dtype(name))
        found = Scatter(omega).adjoint_times(x, get_config().threads)
        return np.divide(found, math.sqrt(size), out=found)
    ranges = even_ranges(p, max(1, -(-p // _TILE_ROWS)))

    def part(rows: slice) -> Any:
        where = (rows.start, rows.stop, p, size, key)
        return adjoint(sketch.tile(*where, dtype=name, xp=xp, device=device_of(x))) @ x[rows, :]

    sums = run(part, ranges, get_config().threads if is_numpy(xp) else 1)
    total = sums[0]
    for one in sums[1:]:
        total = total + one
    return total / math.sqrt(size)


def times_inverse(x: Any, triangle: Any) -> Any:
    """Return X R^{-1} by substitution in fixed tiles of rows: every row is backward stable, however bad R is.

    Parameters
    ----------
    x : array, shape (p, k)
    triangle : array, shape (k, k)
        Upper, nonsingular.
    """
    if isinstance(x, np.ndarray):
        return panels.times_inverse(x, triangle, get_config().threads, squared=False)[0]
    return adjoint(solve_triangular(adjoint(triangle), adjoint(x), lower=True))
