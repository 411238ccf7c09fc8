"""Products with a cross of a matrix less its outliers, in one reading of it; the cross itself is never made.

    F = B[:, J] V,   G = the adjoint of B[I, :] times U,   B = A where abs(A - L) < threshold, else L.

A piece of B is made where the second cache holds it (`thresholding`), multiplied there, and forgotten: with B of
r log n rows and columns written to memory and read again for its products, an iteration took half as long again.
Pieces of rows are ranges of columns, so that nothing is summed over tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnla._kernels.threads import run
from rnla._kernels.thresholding import Tally, pieces, task_ranges, thin_products, turned

__all__ = ["cross_products"]

Array = np.ndarray[Any, Any]
Task = tuple[Callable[[slice, list[Array]], tuple[float, ...]], slice]


def cross_products(
    rows: tuple[Array, Array | None], columns: tuple[Array, Array | None], i: Array, j: Array, left: Array,
    right: Array, threshold: float, u: Array, v: Array, threads: int, rooms: list[Array],
) -> tuple[Array, Array, Tally, Tally]:  # fmt: skip
    """Return F, G, and the tallies of the rows and of the columns.

    Parameters
    ----------
    rows, columns : tuple of numpy.ndarray and (numpy.ndarray of int64, or None)
        What the rows, and the columns, are taken from, and which of it they are; None takes all.
    i, j : numpy.ndarray of int64
        The rows I and the columns J.
    left, right : numpy.ndarray, shapes (m, r) and (r, n)
        L = LEFT RIGHT.
    threshold : float
    u, v : numpy.ndarray, shapes (len(i), k) and (len(j), k)
    threads : int
    rooms : list
        Memory that pieces are made in, kept for the next call: asked of the system anew it costs as much as the work.
    """
    g, backward = _backward(*rows, np.take(left, i, axis=0), right, threshold, u)
    f, forward = _forward(*columns, left, np.take(right, j, axis=1), threshold, v)
    found = run(lambda task: task[0](task[1], rooms), [*backward, *forward], threads)
    return f, g, Tally.of(found[: len(backward)]), Tally.of(found[len(backward) :])


def _forward(
    a: Array, columns: Array | None, left: Array, right: Array, threshold: float, v: Array
) -> tuple[Array, list[Task]]:
    """Return room for F, and the tasks that make it of the chosen columns of A."""
    if turned(a):
        return _backward(a.T, columns, right.T, left.T, threshold, v)
    m, k = a.shape[0], right.shape[1]
    out, v = np.empty((m, v.shape[1]), dtype=a.dtype), np.ascontiguousarray(v, dtype=a.dtype)
    piece, (multiply, _) = pieces(a, None, columns, left, right, threshold), thin_products(a)

    def task(part: slice, rooms: list[Array]) -> tuple[float, ...]:
        room = _room(rooms, (part.stop - part.start) * k, a.dtype)
        block = room[: (part.stop - part.start) * k].reshape(-1, k)
        tally = piece(part, slice(0, k), block)
        multiply(block, v, out[part])
        rooms.append(room)
        return tally

    return out, [(task, part) for part in task_ranges(m, k)]


def _backward(
    a: Array, rows: Array | None, left: Array, right: Array, threshold: float, u: Array
) -> tuple[Array, list[Task]]:
    """Return room for G, and the tasks that make it of the chosen rows of A."""
    if turned(a):
        return _forward(a.T, rows, right.T, left.T, threshold, u)
    n, k = a.shape[1], left.shape[0]
    out, u = np.empty((n, u.shape[1]), dtype=a.dtype), np.ascontiguousarray(u, dtype=a.dtype)
    piece, (_, adjoint) = pieces(a, rows, None, left, right, threshold), thin_products(a)

    def task(part: slice, rooms: list[Array]) -> tuple[float, ...]:
        width = part.stop - part.start
        room = _room(rooms, k * width, a.dtype)
        block = room[: k * width].reshape(k, width)
        tally = piece(slice(0, k), part, block)
        adjoint(block, u, out[part], False)
        rooms.append(room)
        return tally

    return out, [(task, part) for part in task_ranges(n, k)]


def _room(rooms: list[Array], size: int, dtype: np.dtype[Any]) -> Array:
    """Return memory for so many numbers, which no other task has."""
    try:
        room = rooms.pop()
    except IndexError:
        return np.empty(size, dtype=dtype)
    return room if len(room) >= size else np.empty(size, dtype=dtype)
