"""The linear sketches that a stream keeps, and their test matrices, which it does not.

Problem: Y = A Omega, A^H Upsilon and Phi^H A Psi for a matrix that arrives piece by piece, without ever
holding Omega, Upsilon, Phi or Psi.

S1. A piece H stands in rows [i, i + b) and columns [j, j + c) of A.  Cut it in windows along fixed edges of A.
S2. Draw the rows of the test matrices that meet the window, from the key, by their index.
S3. Add their products with the window to what the piece adds to each sketch.

Every sketch is linear in A, so A <- theta A + eta H does the same to it (eta conjugated where A^H is sketched).
A piece that can only be multiplied takes one product from each side instead.

Cost: 2 b c (sum of sizes) flops, and (b + c) (sum of sizes) numbers drawn for each piece: pieces of a few hundred
rows are cheaper than single ones.  Memory: the windows, and at most 4 million numbers of the test matrices of
the shorter-lived side for as long as one update takes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from rnla._kernels.products import adjoint_product, product
from rnla._xp.linalg import adjoint, cast
from rnla._xp.namespace import is_numpy
from rnla.config import get_config
from rnla.operators.columnblocks import ColumnBlocks
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import SupportsBlocks
from rnla.rng import Key
from rnla.sketch import TestMatrix

__all__ = ["LinearSketch", "Maps", "Sketches", "increments"]

_TILE = 4096  # rows of a test matrix drawn at a time
_HELD = 1 << 22  # numbers of test matrices that one update may hold on to


@dataclasses.dataclass(frozen=True, slots=True)
class LinearSketch:
    """One linear sketch of A.

    Parameters
    ----------
    name : str
        Of the array in the state, and of the key of its test matrices.
    side : {"range", "corange", "core"}
        A M with M (n, size); A^H M with M (m, size); or M1^H A M2.
    size : int
    test_matrix : TestMatrix
    """

    name: str
    side: str
    size: int
    test_matrix: TestMatrix

    def shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return the shape of the array for a matrix of a shape."""
        m, n = shape
        return {"range": m, "corange": n, "core": self.size}[self.side], self.size


class Maps:
    """The test matrices of a stream, drawn when they are used.

    Parameters
    ----------
    key : Key
    shape : tuple of int
        Of A.
    dtype, xp, device
        Of the tiles.
    whole_tiles : bool
        Whether tiles are drawn whole and held on to, over the rows too: for many updates in a row with few rows each.
    """

    def __init__(
        self, key: Key, shape: tuple[int, int], dtype: np.dtype[Any], xp: Any, device: Any, whole_tiles: bool = False
    ) -> None:
        self._key, self._shape = key, shape
        self.dtype, self.xp, self.device = dtype, xp, device
        self._whole_tiles = whole_tiles
        self._held: dict[tuple[str, str, int, int], Any] = {}
        self._numbers = 0

    def rows(self, sketch: LinearSketch, over: str, start: int, stop: int, *, hold: bool = False) -> Any:
        """Return rows [start, stop) of the test matrix over the rows, or over the columns, of A."""
        length = self.length(over)
        edge = start - start % _TILE
        end = min(edge + _TILE, length)
        if self._whole_tiles and stop <= end and (end - edge) * sketch.size <= _HELD:
            return self._tile(sketch, over, edge, end, hold=True)[start - edge : stop - edge, :]
        return self._tile(sketch, over, start, stop, hold=hold)

    def _tile(self, sketch: LinearSketch, over: str, start: int, stop: int, *, hold: bool) -> Any:
        address = (sketch.name, over, start, stop)
        if address in self._held:
            return self._held[address]
        drawn = sketch.test_matrix.tile(
            start, stop, self.length(over), sketch.size, self._key.child("stream", sketch.name, over),
            dtype=self.dtype, xp=self.xp, device=self.device,
        )  # fmt: skip
        numbers = (stop - start) * sketch.size
        if hold and self._whole_tiles and self._numbers + numbers > _HELD:  # make room, the rows move on
            self._held.clear()
            self._numbers = 0
        if hold and self._numbers + numbers <= _HELD:
            self._held[address] = drawn
            self._numbers += numbers
        return drawn

    def length(self, over: str) -> int:
        """Return how long that side of A is."""
        return self._shape[0 if over == "rows" else 1]

    def adjoint_times(self, sketch: LinearSketch, over: str, panel: Any) -> Any:
        """Return M^H X for a panel X as long as that side of A, a tile of M at a time."""
        total = None
        for start, stop in _windows(0, self.length(over)):
            term = _adjoint_times(self.rows(sketch, over, start, stop), panel[start:stop, :])
            total = term if total is None else total + term
        return total


@dataclasses.dataclass(frozen=True, slots=True)
class Sketches:
    """The sketches of a matrix at one moment: what a method makes its approximation of.

    Attributes
    ----------
    layout : tuple of LinearSketch
    arrays : dict
        By name.
    maps : Maps
    """

    layout: tuple[LinearSketch, ...]
    arrays: dict[str, Any]
    maps: Maps

    def __getitem__(self, name: str) -> Any:
        return self.arrays[name]

    def one(self, name: str) -> LinearSketch:
        """Return the description of a sketch."""
        return next(sketch for sketch in self.layout if sketch.name == name)

    def map_adjoint_times(self, name: str, over: str, panel: Any) -> Any:
        """Return M^H X for the test matrix over the rows, or over the columns, of A."""
        return self.maps.adjoint_times(self.one(name), over, panel)

    def whole_map(self, name: str, over: str) -> Any:
        """Return a test matrix in full: as large as the sketch that it made."""
        return self.maps.rows(self.one(name), over, 0, self.maps.length(over))


def _windows(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Cut [start, stop) along the fixed edges of the tiles."""
    for edge in range(start - start % _TILE, stop, _TILE):
        yield max(edge, start), min(edge + _TILE, stop)


def _times(a: Any, x: Any, maps: Maps) -> Any:
    if is_numpy(maps.xp):
        return product(a, x, maps.dtype, get_config().threads)
    return a @ x


def _adjoint_times(a: Any, x: Any) -> Any:
    if isinstance(a, np.ndarray):
        return adjoint_product(a, x, a.dtype, get_config().threads)
    return adjoint(a) @ x


def _added(total: Any, where: slice, term: Any) -> Any:
    """Add to rows of an array of our own."""
    if isinstance(total, np.ndarray):
        total[where] += term
        return total
    import array_api_extra

    return array_api_extra.at(total)[where, :].add(term)


def increments(op: Ledger, layout: tuple[LinearSketch, ...], maps: Maps, corner: tuple[int, int]) -> dict[str, Any]:
    """Return what a piece of A adds to each sketch, in the scale of the ledger.

    Parameters
    ----------
    op : Ledger
        Over the piece; one pass where its entries can be read in blocks.
    layout : tuple of LinearSketch
    maps : Maps
    corner : tuple of int
        Row and column of A where the piece begins.

    Returns
    -------
    dict
        By name; of the range, the rows of the piece alone; of the corange, its columns alone.
    """
    if isinstance(op.base, SupportsBlocks):
        return _from_blocks(op, layout, maps, corner)
    return _from_products(op, layout, maps, corner)


def _from_blocks(op: Ledger, layout: tuple[LinearSketch, ...], maps: Maps, corner: tuple[int, int]) -> dict[str, Any]:
    """Read the piece once; every sketch is updated from the same window (S1 to S3)."""
    b, c = op.shape
    i, j = corner
    # A matrix in columns is read along its layout.
    side = "column" if isinstance(op.base, ColumnBlocks) else "row"

    def step(state: dict[str, Any] | None, where: slice, block: Any) -> dict[str, Any]:
        sums = _zeros(layout, maps, b, c) if state is None else state
        block = cast(block, getattr(maps.xp, maps.dtype.name))
        rows, columns = (where, slice(0, c)) if side == "row" else (slice(0, b), where)
        for top, bottom in _windows(i + rows.start, i + rows.stop):
            over_rows = {s.name: maps.rows(s, "rows", top, bottom) for s in layout if s.side != "range"}
            for left, right in _windows(j + columns.start, j + columns.stop):
                window = block[
                    top - i - rows.start : bottom - i - rows.start, left - j - columns.start : right - j - columns.start
                ]
                for s in layout:
                    if s.side == "corange":
                        term = _adjoint_times(window, over_rows[s.name])
                        sums[s.name] = _added(sums[s.name], slice(left - j, right - j), term)
                        continue
                    term = _times(window, maps.rows(s, "columns", left, right, hold=True), maps)
                    if s.side == "range":
                        sums[s.name] = _added(sums[s.name], slice(top - i, bottom - i), term)
                    else:
                        sums[s.name] = sums[s.name] + _adjoint_times(over_rows[s.name], term)
        return sums

    with np.errstate(over="ignore", invalid="ignore"):  # an overflow is found out in the sums
        found: dict[str, Any] | None = op.fold_blocks(side, step)
    return _zeros(layout, maps, b, c) if found is None else found


def _zeros(layout: tuple[LinearSketch, ...], maps: Maps, b: int, c: int) -> dict[str, Any]:
    dtype = getattr(maps.xp, maps.dtype.name)
    more = {} if is_numpy(maps.xp) else {"device": maps.device}
    return {s.name: maps.xp.zeros(s.shape((b, c)), dtype=dtype, **more) for s in layout}


def _from_products(op: Ledger, layout: tuple[LinearSketch, ...], maps: Maps, corner: tuple[int, int]) -> dict[str, Any]:
    """Multiply the piece once from each side, with all test matrices of that side beside each other."""
    (b, c), (i, j) = op.shape, corner
    xp = maps.xp
    out: dict[str, Any] = {}
    own, home = getattr(xp, op.dtype.name), getattr(xp, maps.dtype.name)

    def joined(over: str, start: int, stop: int, which: list[LinearSketch]) -> Any:
        return cast(xp.concat([maps.rows(s, over, start, stop) for s in which], axis=1), own)

    def parted(panel: Any, which: list[LinearSketch]) -> Iterator[tuple[LinearSketch, Any]]:
        ends = np.cumsum([s.size for s in which]).tolist()
        for s, end in zip(which, ends, strict=True):
            yield s, cast(panel[:, end - s.size : end], home)

    forward = [s for s in layout if s.side != "corange"]
    backward = [s for s in layout if s.side == "corange"]
    if forward:
        for s, panel in parted(op.matmat(joined("columns", j, j + c, forward)), forward):
            out[s.name] = panel if s.side == "range" else _adjoint_times(maps.rows(s, "rows", i, i + b), panel)
    if backward:
        for s, panel in parted(op.rmatmat(joined("rows", i, i + b, backward)), backward):
            out[s.name] = panel
    return out


def numbers_of(layout: tuple[LinearSketch, ...], shape: tuple[int, int]) -> int:
    """Return how many numbers the arrays of the sketches hold."""
    return sum(math.prod(s.shape(shape)) for s in layout)
