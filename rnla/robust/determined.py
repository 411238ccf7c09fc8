"""Whether the clean entries of each row and each column determine L there.

Column j of L is U c for some c, and what fits its clean entries is known as well as

    G_j = sum over clean i of u_i^H u_i        (u_i the rows of U, so that all entries together make the identity)

is away from singular: its least eigenvalue is the share that clean entries hold of the change of L on this column that
they see least of.  Where it vanishes, column j of L could be another one and no clean entry would differ; outliers
alone say what it is, and L is not known there.  The same holds for rows, with V.

Screening: on k held-out rows, for every column, the least pivot of G_j, where the rows of U there are made orthonormal.
It is no smaller than the least eigenvalue, and vanishes with it.
Cost: k n r^2 flops, and what `rnla.robust.looking` reads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, host_values
from rnla._xp.namespace import to_host
from rnla.robust.looking import Lines, clean_panels

__all__ = ["held_shares", "least_pivots", "unheld", "weakly_held"]

Array = np.ndarray[Any, Any]

MOST_RANK = 32
"""Beyond it, r^2 numbers for each column are more work than reading it."""
_SEEN = 1e-3
_HELD = 1e-4
"""Least eigenvalue of G below which a line is not held."""
_SCREENED = 3e-3
_CLEAN, _LEAST = 3.0, 0.25
_TINY = 1e-9  # what makes every sum of squares definite
_LEAST_NORM = 1e-300
_NUMBERS = 1 << 16


def weakly_held(lines: Lines, read: Any, threshold: float, axis: int, outliers: float, tol: float) -> Array:
    """Return the lines across a block that its clean entries hold least, the worst first (screening).

    Parameters
    ----------
    lines : Lines
    read : tuple
        The block, with its parts of L and of the mask, by `Lines.read`.
    threshold : float
    axis : int
        1 for a block of rows: its columns are screened.
    outliers : float
        Their share in the block.
    tol : float
        Values of L below `tol` of it are not looked at.
    """
    rank = _rank(lines, tol)
    if not 0 < rank <= MOST_RANK:
        return np.empty(0, dtype=np.int64)
    length = lines.reader.shape[1 - axis]
    count = min(length, int(np.ceil(_CLEAN * rank / max(1 - outliers, _LEAST))))
    if count > int(read[0].shape[1 - axis]):  # more lines, so that there are enough clean entries to tell something
        read = lines.read(np.arange(count) * length // count, axis)
    block, left, right, observed = read
    least = least_pivots(block, left, right, threshold, axis, rank, observed)
    found: Array = np.flatnonzero(least < _SCREENED)
    return found[np.argsort(least[found], kind="stable")]


def unheld(lines: Lines, index: Array, read: Any, threshold: float, axis: int, tol: float) -> tuple[int, ...]:
    """Return those of lines that were read whole whose clean entries do not tell L."""
    rank = _rank(lines, tol)
    if not 0 < rank <= MOST_RANK:
        return ()
    basis = lines.factors.U if axis == 0 else adjoint(lines.factors.Vh)
    block, left, right, observed = read
    held = held_shares(block, left, right, threshold, axis, basis[:, :rank], observed)
    return tuple(int(each) for each in index[held < _HELD])


def _rank(lines: Lines, tol: float) -> int:
    """Return how many singular values of L are above `tol` of it."""
    s = host_values(lines.factors.s)
    return int(np.count_nonzero(s > tol * math.hypot(*s))) if len(s) else 0


def least_pivots(
    block: Any, left: Any, right: Any, threshold: float, axis: int, rank: int, observed: Any = None
) -> Array:
    """Return the least pivot of G for each line across a block: for each column of a block of rows (axis 1).

    What the lines of the block do not see of the first `rank` vectors of L is left out.
    """
    here = to_host(left[:, :rank]) if axis == 1 else to_host(right[:rank, :]).T
    # In double: products of rows that were rounded to single make no semidefinite G, and the ridge would not save it.
    here = here.astype(np.result_type(here.dtype, np.float64), copy=False)
    sizes = np.linalg.norm(here, axis=0)
    here = here / np.maximum(sizes, max(_TINY * float(sizes.max(initial=0.0)), _LEAST_NORM))
    u, s, _ = np.linalg.svd(here, full_matrices=False)
    outer = _outer(u[:, s * s > _SEEN * s[:1].max(initial=0.0) ** 2])
    rank = outer.shape[1]
    if rank == 0:
        return np.ones(int(block.shape[axis]))

    ridge = _TINY * np.eye(rank)

    def pivots(part: slice, clean: Array) -> Array:
        grams = (clean.T if axis == 1 else clean) @ outer.reshape(len(outer), -1)
        factors = np.linalg.cholesky(grams.reshape(-1, rank, rank) + ridge)
        least: Array = (np.abs(np.diagonal(factors, axis1=1, axis2=2)) ** 2).min(axis=1)
        return least

    return np.concatenate(clean_panels(block, left, right, threshold, axis, pivots, observed))


def held_shares(
    block: Any, left: Any, right: Any, threshold: float, axis: int, basis: Any, observed: Any = None
) -> Array:
    """Return the least eigenvalue of G for each line of a block of whole lines; `basis` has orthonormal columns."""
    along = to_host(basis)
    rank = along.shape[1]
    step = max(1, _NUMBERS // max(rank * rank, 1))

    def grams(part: slice, clean: Array) -> Array:
        clean = clean if axis == 1 else clean.T
        total = np.zeros((len(clean), rank * rank), dtype=along.dtype)
        for start in range(part.start, part.stop, step):
            stop = min(start + step, part.stop)
            outer = _outer(along[start:stop]).reshape(stop - start, -1)
            total += clean[:, start - part.start : stop - part.start] @ outer
        return total

    found = sum(clean_panels(block, left, right, threshold, axis, grams, observed))
    least: Array = np.linalg.eigvalsh(np.asarray(found).reshape(-1, rank, rank))[:, 0]
    return least


def _outer(rows: Array) -> Array:
    """Return u^H u of each row u."""
    return rows.conj()[:, :, None] * rows[:, None, :]
