"""Outliers of a matrix against a low-rank model, replaced and counted in one reading.

    B = A where abs(A - L) < threshold, else L,   L = left @ right,

for all of A, or for chosen rows and columns of it, without a copy of these.  B is A less its outliers: what every
method of robust PCA factorizes next.  The numbers that decide when to stop come along.

Work is cut in ranges of rows that depend on the sizes alone, and the tallies are added in their order.  Kernels serve
real arrays in their own dtype with contiguous rows, or columns (of the transpose); complex arrays, masks and other
layouts ride the plain twin.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rnla._kernels import compiled
from rnla._kernels.threads import even_ranges, run

__all__ = ["Tally", "cleaned", "cleaned_cross", "cleaned_products"]

Array = np.ndarray[Any, Any]

FAMILY = "thresholding"
"""The name of the kernels."""
_TASK = 1 << 16
"""Entries of a task at most, so that its block stays in the second cache."""
_PARTS = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Tally:
    """What was seen on the way.

    Attributes
    ----------
    clean : float
        Sum of the squares of A - L where it is under the threshold.
    squares : float
        Sum of the squares of B; not finite where A is NaN, or infinite and no outlier.
    outliers : int
        Entries at the threshold and beyond.
    largest : float
        Largest modulus of A - L.
    """

    clean: float
    squares: float
    outliers: int
    largest: float

    @classmethod
    def of(cls, parts: Any) -> Tally:
        """Return the tally of rows (clean, squares, outliers, largest), added in order."""
        table = np.asarray(parts, dtype=np.float64).reshape(-1, 4)
        clean, squares, outliers = table[:, :3].sum(axis=0) if len(table) else np.zeros(3)
        # A NaN is neither under the threshold nor beyond it; the sum of squares tells of it.
        return cls(
            float(clean),
            float(squares),
            0 if math.isnan(outliers) else int(outliers),
            float(table[:, 3].max(initial=0.0)),
        )


def cleaned(
    a: Array, rows: Array | None, columns: Array | None, left: Array, right: Array, threshold: float, threads: int,
    room: Array | None = None,
) -> tuple[Array, Tally]:  # fmt: skip
    """Return B for chosen rows and columns of A, and the tally.

    Parameters
    ----------
    a : numpy.ndarray, shape (m, n)
    rows, columns : numpy.ndarray of int64, or None
        None takes all, in order.
    left, right : numpy.ndarray, shapes (number of rows, r) and (r, number of columns)
    threshold : float
    threads : int
    room : numpy.ndarray, one-dimensional, optional
        Where B is put: memory that is asked of the system anew costs as much as the work.
    """
    return _worked([_job(a, rows, columns, left, right, threshold, room)], threads)[0]


def cleaned_cross(
    a: Array, rows: Array, columns: Array, left: Array, right: Array, threshold: float, threads: int,
    rooms: Sequence[Array],
) -> list[tuple[Array, Tally]]:  # fmt: skip
    """Return what `cleaned` does for these rows, and for these columns, with their tasks side by side.

    Parameters
    ----------
    a, rows, columns, threshold, threads
        As for `cleaned`; neither rows nor columns are None.
    left, right : numpy.ndarray, shapes (m, r) and (r, n)
    rooms : of two numpy.ndarray, one-dimensional
    """
    jobs = [
        _job(a, rows, None, np.take(left, rows, axis=0), right, threshold, rooms[0]),
        _job(a, None, columns, left, np.take(right, columns, axis=1), threshold, rooms[1]),
    ]
    return _worked(jobs, threads)


@dataclasses.dataclass(frozen=True, slots=True)
class _Job:
    """B, and what makes a range of its rows (of its columns, where A lies in columns)."""

    out: Array
    make: Callable[[slice], tuple[float, ...]]
    parts: list[slice]


def _job(
    a: Array, rows: Array | None, columns: Array | None, left: Array, right: Array, threshold: float,
    room: Array | None,
) -> _Job:  # fmt: skip
    if _turned(a):  # the same of the transposed, which lies in rows
        other = _job(a.T, columns, rows, right.T, left.T, threshold, room)
        return dataclasses.replace(other, out=other.out.T)
    k = a.shape[0] if rows is None else len(rows)
    n = a.shape[1] if columns is None else len(columns)
    out = np.empty((k, n), dtype=a.dtype) if room is None else room[: k * n].reshape(k, n)
    kernels = _kernels(a)
    left, right = np.ascontiguousarray(left, dtype=a.dtype), np.ascontiguousarray(right, dtype=a.dtype)
    if kernels is not None:
        return _Job(
            out, _replacing(kernels, a, rows, columns, left, right, threshold, out), even_ranges(k, _parts(k, n))
        )

    def plain(part: slice) -> tuple[float, ...]:
        return _plain(_taken(a, rows, columns, part), left[part], right, threshold, None, out[part])

    return _Job(out, plain, even_ranges(k, _parts(k, n)))


def _worked(jobs: list[_Job], threads: int) -> list[tuple[Array, Tally]]:
    """Return what the jobs make; the parts of all of them are handed out together."""
    tasks = [(job, part) for job in jobs for part in job.parts]
    found = iter(run(lambda task: task[0].make(task[1]), tasks, threads))
    return [(job.out, Tally.of([next(found) for _ in job.parts])) for job in jobs]


def cleaned_products(
    a: Array, left: Array, right: Array, threshold: float, u: Array, v: Array, mask: Array | None, threads: int
) -> tuple[Array, Array, Tally]:
    """Return B V, the adjoint of B times U, and the tally, in one reading of A; B is never whole.

    Parameters
    ----------
    a : numpy.ndarray, shape (m, n)
    left, right : numpy.ndarray, shapes (m, r) and (r, n)
    threshold : float
    u, v : numpy.ndarray, shapes (m, k) and (n, k)
    mask : numpy.ndarray of bool, shape (m, n), or None
        Entries where it is False are not looked at: B has the model there.
    threads : int
    """
    if mask is None and _turned(a):
        backward, forward, tally = cleaned_products(a.T, right.T, left.T, threshold, v, u, None, threads)
        return forward, backward, tally
    m, n = a.shape
    kernels = _kernels(a) if mask is None else None
    left, right = np.ascontiguousarray(left, dtype=a.dtype), np.ascontiguousarray(right, dtype=a.dtype)
    forward = np.empty((m, v.shape[1]), dtype=a.dtype)
    groups = even_ranges(m, _PARTS)

    def task(group: slice) -> tuple[Array, list[tuple[float, ...]]]:
        backward, tallies = np.zeros((u.shape[1], n), dtype=a.dtype), []
        pieces = even_ranges(group.stop - group.start, _parts(group.stop - group.start, n))
        room = np.empty((max((piece.stop - piece.start for piece in pieces), default=0), n), dtype=a.dtype)
        replace = None if kernels is None else _replacing(kernels, a, None, None, left, right, threshold, room)
        for piece in pieces:
            part = slice(group.start + piece.start, group.start + piece.stop)
            block = room[: part.stop - part.start]
            if replace is None:
                seen = None if mask is None else mask[part]
                tallies.append(_plain(a[part], left[part], right, threshold, seen, block))
            else:
                tallies.append(replace(part, 0))
            forward[part] = block @ v
            backward += u[part].conj().T @ block
        return backward, tallies

    found = run(task, groups, threads)
    total = found[0][0]
    for backward, _ in found[1:]:
        total = total + backward
    return forward, total.conj().T, Tally.of([each for _, tallies in found for each in tallies])


def _parts(k: int, n: int) -> int:
    return max(_PARTS if k * n > _TASK else 1, -(-k * n // _TASK))


def _taken(a: Array, rows: Array | None, columns: Array | None, part: slice) -> Array:
    block = a[part] if rows is None else a[rows[part]]
    if columns is None:
        return block
    # The faster one copies all of an array whose rows are not contiguous.
    return np.take(block, columns, axis=1) if rows is None and block.flags.c_contiguous else block[:, columns]


def _plain(
    block: Array, left: Array, right: Array, threshold: float, mask: Array | None, out: Array
) -> tuple[float, ...]:
    model = left @ right
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(block - model)
        if mask is None:
            beyond = gap >= threshold
            outliers = int(np.count_nonzero(beyond))
        else:
            gap = np.where(mask, gap, 0)
            beyond = (gap >= threshold) & mask
            outliers = int(np.count_nonzero(beyond))
            np.copyto(out, np.where(beyond | ~mask, model, block))
        if mask is None:
            np.copyto(out, np.where(beyond, model, block))
        squares = float((np.abs(out) ** 2).sum(dtype=np.float64))
        clean = float((np.where(beyond, 0, gap) ** 2).sum(dtype=np.float64))
    return clean, squares, outliers, float(np.fmax.reduce(gap, axis=None, initial=0.0))


def _replacing(
    kernels: Any, a: Array, rows: Array | None, columns: Array | None, left: Array, right: Array, threshold: float,
    out: Array,
) -> Callable[..., tuple[float, ...]]:  # fmt: skip
    """Return what works on a range of rows by the kernel, into the same rows of OUT, or those from `at` on.

    Addresses are asked for once: NumPy takes as long to tell one as the kernel for a few hundred entries.
    """
    like, item = a.dtype.type(0), a.itemsize
    which = _index(np.arange(a.shape[0]) if rows is None else rows)
    picked = which if columns is None else _index(columns)
    n, r = out.shape[1], left.shape[1]
    source, lda = a.ctypes.data, a.strides[0] // item
    wheres, others, lefts, rights = which.ctypes.data, picked.ctypes.data, left.ctypes.data, right.ctypes.data
    outs, ldo, level = out.ctypes.data, n, a.dtype.type(threshold)
    keep = (which, picked, left, right, out)  # alive as long as their addresses are used

    def replace(part: slice, at: int | None = None) -> tuple[float, ...]:
        assert keep
        first = part.start
        tally, work = np.zeros(4), np.empty(kernels.SLOTS * kernels.CHUNK, dtype=a.dtype)
        kernels.replace(
            like, item, source, lda, part.stop - first, n, wheres + 8 * first, others, 1,
            0 if columns is None else 1, lefts + first * r * item, r, rights, level,
            outs + (first if at is None else at) * ldo * item, ldo, work.ctypes.data, tally.ctypes.data,
        )  # fmt: skip
        return tuple(tally.tolist())

    return replace


def _index(where: Array) -> Array:
    return np.ascontiguousarray(where, dtype=np.int64)


def _turned(a: Array) -> bool:
    """Whether a real array lies in columns, so that the kernels can read its transpose, and they may be used."""
    return a.shape[0] > 1 and a.shape[1] > 1 and a.strides[1] != a.itemsize and _kernels(a.T) is not None


def _kernels(a: Array) -> Any | None:
    """Return the kernels, where they may be used and can read A in place."""
    fits = (
        a.dtype.char in "fd" and a.dtype.isnative and a.flags.aligned
        and (a.shape[1] <= 1 or a.strides[1] == a.itemsize) and a.strides[0] % a.itemsize == 0
    )  # fmt: skip
    return compiled.family(FAMILY, a.dtype) if fits else None
