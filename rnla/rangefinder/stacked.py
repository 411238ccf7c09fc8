"""Subspace iteration for every item of a stack at once [halko2011]_ (Algorithm 4.4).

As `rnla.rangefinder.subspace_iteration`, with these differences: all items have bases of one size; orthonormalization
is by Householder reflections, which no item can make fail; and item i, counted in the order of the stack, takes
rows [i r, (i + 1) r) of one tall test matrix with r rows an item.  So its numbers depend on its place in the stack
and on the key alone, and those of item 0 are those of the single matrix with the same key.

Cost: 2 (q + 1) + 1 stacked products, q + 1 stacked QR factorizations.

`stacked_gram` is `rnla.rangefinder.short_side.GramEigh` for every item, but that it says which items the squared values
do not resolve, so that the caller may treat those apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, eps_of, host_values
from rnla._xp.stacked import eigh, qr, take_items
from rnla.errors import InputError
from rnla.operators.stack import Stack
from rnla.rng import Key
from rnla.sketch import Gaussian, Rademacher, SparseSign, TestMatrix

__all__ = ["check_rowwise", "stacked_gram", "stacked_subspace_iteration", "stacked_test_matrix"]

Array = np.ndarray[Any, Any]


def check_rowwise(sketch: TestMatrix) -> None:
    """Raise `InputError` unless the rows of a test matrix do not depend on how many there are."""
    if not isinstance(sketch, (Gaussian, Rademacher, SparseSign)):
        raise InputError(
            f"a stack takes the test matrices Gaussian(), Rademacher() and SparseSign(), whose rows stand alone; "
            f"got {sketch!r}"
        )


def stacked_test_matrix(sketch: TestMatrix, key: Key, stack: Stack, index: Array, rows: int, size: int) -> Any:
    """Return the test matrices (items, rows, size) of the items with these places in the whole stack, ascending."""
    first, last = int(index[0]), int(index[-1]) + 1
    tile = sketch.tile(
        first * rows, last * rows, last * rows, size, key.child("test-matrix", 0),
        dtype=stack.dtype, xp=stack.xp, device=stack.device,
    )  # fmt: skip
    if isinstance(tile, np.ndarray):
        tile = np.ascontiguousarray(tile)
    tile = stack.xp.reshape(tile, (last - first, rows, size))
    return tile if last - first == len(index) else take_items(tile, index - first)


def stacked_subspace_iteration(stack: Stack, space: str, omega: Any, power_iterations: int) -> tuple[Any, Any]:
    """Return an orthonormal basis X of every item, and the images A X (or of the adjoint, in the column space)."""
    forward, back = (stack.matmat, stack.rmatmat) if space == "row" else (stack.rmatmat, stack.matmat)
    x = omega
    for _ in range(power_iterations + 1):
        x = qr(back(forward(x)))[0]
    return x, forward(x)


def stacked_gram(stack: Stack, space: str, size: int) -> tuple[Any, Any, Array]:
    """Return leading eigenvectors X of every Gram matrix, the images A X, and which items these resolve.

    Parameters
    ----------
    stack : Stack
    space : {"row", "column"}
        That of the shorter side.
    size : int
        Columns, below the shorter side.
    """
    whole = stack.whole()
    w, v = eigh(adjoint(whole) @ whole if space == "row" else whole @ adjoint(whole))
    x = stack.xp.flip(v, axis=2)[:, :, :size]
    values = host_values(w)[:, ::-1]
    # Directions are resolved while their square is well above rounding in the square of the largest.
    resolved = values[:, size - 1] >= 1e3 * eps_of(stack.dtype) * values[:, 0]
    return x, (stack.matmat if space == "row" else stack.rmatmat)(x), resolved
