"""A root projected on an orthonormal basis that grows, in whose coordinates the methods work.

Problem: all iterates of a method lie in one small subspace that contains D; with an orthonormal basis Q of it,
T = Q^H H Q and D = Q d, everything but the growing of the basis is algebra of small arrays.

S1. `begun`: Q R = D.
S2. `grown`: Q gets the directions that a block adds to it, by block Gram-Schmidt, twice; T gets its rows and columns.

Cost: a block of k columns on l: one product with H, 10 n k l flops.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla.iterate import tick
from rnla.matfun.panels import Small, inner, small_dtype, times
from rnla.matfun.roots import Root
from rnla.orth import CholeskyQR2, HouseholderQR
from rnla.orth.extend import orthonormalize_against
from rnla.orth.protocols import Orthonormalizer
from rnla.rangefinder.growing import appended, with_room
from rnla.rng import Key

__all__ = ["Projection", "begun", "grown", "krylov_grown", "on_basis", "padded"]

_SMALL = 1 << 14  # entries of a panel up to which reflections in cache take a third of the time of two Gram matrices
_ROOM = 16  # blocks
_NARROW = 16  # columns
_GROWTH = 1.2  # of a Krylov space between two looks at what is projected on it


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """A root H on an orthonormal basis.

    Attributes
    ----------
    root : Root
    Q : array, shape (n, l)
    T : numpy.ndarray, shape (l, l)
        Q^H H Q.
    products : int
        Columns multiplied with H.
    last : array, shape (n, k)
        H times the last k columns of Q.
    images : array, shape (n, l), or None
        H Q, where it is kept: for roots whose products cost more than memory.
    """

    root: Root
    Q: Any
    T: Small
    products: int
    last: Any
    images: Any = None

    @property
    def size(self) -> int:
        """Columns of the basis."""
        return len(self.T)

    @property
    def whole(self) -> bool:
        """Whether nothing is left to be added."""
        return self.size >= self.root.shape[0]

    def outside(self) -> Any:
        """Return (I - Q Q^H) H q for the last columns q of Q."""
        return self.last - times(self.Q, self.T[:, -int(self.last.shape[1]) :])

    def remainder(self, y: Small) -> Any:
        """Return (I - Q Q^H) H Q y, the part of H Q y outside the basis: one product with H unless H Q is kept."""
        image = self.root.matmat(times(self.Q, y)) if self.images is None else times(self.images, y)
        return image - times(self.Q, self.T @ y)


def _orth_for(panel: Any) -> Orthonormalizer:
    return HouseholderQR() if panel.shape[0] * panel.shape[1] <= _SMALL else CholeskyQR2()


def begun(root: Root, panel: Any, key: Key, *, keep_images: bool = False) -> tuple[Projection, Small]:
    """Return the projection on the range of a panel, and the coordinates of the panel in it (S1)."""
    q = orthonormalize_against(None, panel, _orth_for(panel), key)
    d = inner(q, panel)
    nothing = q[:, :0]
    empty = Projection(
        root, nothing, np.zeros((0, 0), dtype=small_dtype(root.dtype)), 0, nothing, nothing if keep_images else None
    )
    return _with(empty, q), d


def on_basis(root: Root, Q: Any) -> Projection:
    """Return the projection of another root on a basis that is there; H Q is kept."""
    images = root.matmat(Q)
    t = inner(Q, images)
    return Projection(root, Q, (t + t.conj().T) / 2, int(Q.shape[1]), images, images)


def grown(projection: Projection, block: Any, key: Key) -> Projection:
    """Return the projection on a basis to which the range of a block was added (S2)."""
    free = projection.root.shape[0] - projection.size
    block = block[:, : min(int(block.shape[1]), free)]
    if block.shape[1] == 0:
        return projection
    return _with(projection, orthonormalize_against(projection.Q, block, _orth_for(block), key))


def krylov_grown(projection: Projection, blocks: int, most: int, key: Key) -> tuple[Projection, int]:
    """Return a projection on a Krylov space of so many blocks, grown until it is worth another look, and its blocks.

    Each block is what the products with the last one have outside the space; there are `most` at most.
    """
    wanted = min(most, max(blocks + 1, math.ceil(_GROWTH * blocks)))
    while blocks < wanted and not projection.whole:
        tick()
        projection = grown(projection, projection.outside(), key.child("basis", blocks))
        blocks += 1
    return projection, blocks


def padded(c: Small, size: int) -> Small:
    """Return coordinates in a basis that has grown to a size since."""
    if len(c) == size:
        return c
    return np.concatenate([c, np.zeros((size - len(c), c.shape[1]), dtype=c.dtype)])


def _with(projection: Projection, q: Any) -> Projection:
    before, k = projection.size, int(q.shape[1])
    image, images = projection.root.matmat(q), None
    room = _ROOM * k if k <= _NARROW else k  # a wide first block is most of the space
    basis = with_room(q, room) if before == 0 else appended(projection.Q, q)
    if projection.images is not None:
        images = with_room(image, room) if before == 0 else appended(projection.images, image)
    t = inner(basis, image)
    whole = np.zeros((before + k, before + k), dtype=t.dtype)
    whole[:before, :before] = projection.T
    whole[:before, before:], whole[before:, :before] = t[:before], t[:before].conj().T
    whole[before:, before:] = (t[before:] + t[before:].conj().T) / 2
    return Projection(projection.root, basis, whole, projection.products + k, image, images)
