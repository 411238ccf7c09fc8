"""Dense arrays as operators: NumPy arrays by tiles over the thread pool, others by their library."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from rnla._kernels import products
from rnla._kernels.threads import even_ranges, run
from rnla._xp.linalg import cast, is_complex
from rnla._xp.namespace import device_of, is_concrete, is_numpy, namespace_of
from rnla.config import get_config
from rnla.operators.protocols import Magnitude
from rnla.operators.scan import BlockScan

__all__ = ["Dense", "RowMajor"]

_TILE_BYTES = 1 << 23  # the host: a tile stays in cache
_DEVICE_TILE_BYTES = 1 << 26  # devices: fewer, larger launches; and other libraries where a tile is no copy
_WORTH_A_SCAN = 1 << 20  # entries; the norm of fewer is known before anything is multiplied
_SHARE = 16  # of the memory budget that one converted tile may take: it stands beside the thin arrays


class Dense:
    """A dense array in memory, in any library of the array standard.

    Parameters
    ----------
    array : array, shape (m, n)
        Kept as it is; never copied whole.
    dtype : numpy.dtype
        The compute dtype.  NumPy arrays in another dtype are converted a tile at a time.
    """

    __slots__ = ("_array", "_magnitude", "device", "dtype", "kernel_families", "shape", "xp")
    sides = ("row", "column")  # of the blocks that are read along the layout

    def __init__(self, array: Any, dtype: np.dtype[Any]) -> None:
        self._array = array
        self._magnitude: Magnitude | None = None
        self.kernel_families: tuple[str, ...] = ()  # beyond those of every dense matrix
        self.xp = namespace_of(array)
        self.device = device_of(array)
        self.dtype = dtype
        self.shape: tuple[int, int] = (int(array.shape[0]), int(array.shape[1]))

    def matmat(self, x: Any) -> Any:
        """Return A X."""
        if is_numpy(self.xp):
            return products.product(self._array, x, self.dtype, get_config().threads)
        if self.native:
            return self.xp.matmul(self._array, x)
        return self.xp.concat([self.xp.matmul(self._tile(rows), x) for rows in self._tiles()], axis=0)

    def rmatmat(self, y: Any) -> Any:
        """Return the adjoint of A times Y."""
        if is_numpy(self.xp):
            return products.adjoint_product(self._array, y, self.dtype, get_config().threads)
        if is_complex(y.dtype):
            # The thin array is conjugated, not A.
            return self.xp.conj(self._transposed_product(self.xp.conj(y)))
        return self._transposed_product(y)

    def _transposed_product(self, y: Any) -> Any:
        if self.native:
            return self.xp.matmul(self._array.mT, y)
        total = None
        for rows in self._tiles():
            term = self.xp.matmul(self._tile(rows).mT, y[rows, :])
            total = term if total is None else total + term
        return total

    @property
    def native(self) -> bool:
        """Whether the array is in the compute dtype, so that its library multiplies it as it is."""
        if is_numpy(self.xp):  # without its name, which is made slowly
            return bool(self._array.dtype == self.dtype)
        return bool(self._array.dtype == getattr(self.xp, self.dtype.name))

    @property
    def resident(self) -> np.ndarray[Any, Any] | None:
        """The array itself, where it is NumPy's."""
        return self._array if is_numpy(self.xp) else None

    def row_blocks(self) -> Iterator[tuple[slice, Any]]:
        """Yield blocks of rows in the compute dtype."""
        for rows in self._tiles():
            yield rows, self._tile(rows)

    def column_blocks(self) -> Iterator[tuple[slice, Any]]:
        """Yield blocks of columns in the compute dtype."""
        m, n = self.shape
        for columns in even_ranges(n, max(1, math.ceil(m * n * self.dtype.itemsize / self._tile_bytes))) if n else []:
            yield columns, self._converted(self._array[:, columns])

    def rows(self, i: np.ndarray[Any, Any]) -> Any:
        """Return rows as a copy of their own, in the compute dtype."""
        if is_numpy(self.xp):
            return np.array(self._array[i, :], dtype=self.dtype)
        return self._converted(self.xp.take(self._array, self._index(i), axis=0))

    def columns(self, j: np.ndarray[Any, Any]) -> Any:
        """Return columns as a copy of their own, in the compute dtype."""
        if is_numpy(self.xp):
            if not self._array.flags.c_contiguous:  # of such an array `take` copies all
                return np.asarray(self._array[:, j], dtype=self.dtype)
            out = np.empty((self.shape[0], len(j)), dtype=self.dtype)

            def gather(rows: slice) -> None:
                out[rows] = np.take(self._array[rows], j, axis=1)

            run(gather, even_ranges(self.shape[0], 1 if out.size < 1 << 15 else 16), get_config().threads)
            return out
        return self._converted(self.xp.take(self._array, self._index(j), axis=1))

    def diagonal(self) -> Any:
        """Return a copy of the diagonal in the compute dtype."""
        if is_numpy(self.xp):
            return np.array(np.diagonal(self._array), dtype=self.dtype)
        return self._converted(self.xp.linalg.diagonal(self._array))

    def _index(self, where: np.ndarray[Any, Any]) -> Any:
        return self.xp.asarray(np.ascontiguousarray(where, dtype=np.int64), device=self.device)

    def measure(self) -> Magnitude | None:
        """Read the array once for its norm and for entries that are not finite; remembered."""
        if self._magnitude is None and is_concrete(self._array):
            scan, tiles = BlockScan(self.dtype), self._tiles()
            threads = get_config().threads if is_numpy(self.xp) and len(tiles) > 1 else 1
            run(lambda rows: scan.see(rows.start, self._tile(rows)), tiles, threads)
            self._magnitude = scan.magnitude()
        return self._magnitude

    def remember(self, magnitude: Magnitude) -> None:
        """Take for known what `measure` would find."""
        self._magnitude = magnitude

    def _tiles(self) -> list[slice]:
        m, n = self.shape
        return even_ranges(m, max(1, math.ceil(m * n * self.dtype.itemsize / self._tile_bytes))) if m else []

    @property
    def _tile_bytes(self) -> int:
        """Bytes of a tile at most; where tiles are converted copies, they are charged to the budget."""
        if self.native:
            return _TILE_BYTES if is_numpy(self.xp) else _DEVICE_TILE_BYTES
        on_host = is_numpy(self.xp) or "cpu" in str(self.device).lower()
        return max(1, min(_TILE_BYTES if on_host else _DEVICE_TILE_BYTES, get_config().budget() // _SHARE))

    def _tile(self, rows: slice) -> Any:
        return self._converted(self._array[rows, :])

    def _converted(self, block: Any) -> Any:
        if is_numpy(self.xp):
            return block if block.dtype is self.dtype else np.asarray(block, dtype=self.dtype)
        return cast(block, getattr(self.xp, self.dtype.name))


class RowMajor(Dense):
    """A NumPy array in its compute dtype with contiguous rows: the normal product reads it once.

    Parameters
    ----------
    array : numpy.ndarray, shape (m, n)
    dtype : numpy.dtype
    """

    __slots__ = ()

    @property
    def measures_itself(self) -> bool:
        """Whether the first normal product will tell the norm: no scan is needed before it."""
        return self._magnitude is None and self._array.size >= _WORTH_A_SCAN

    def normal_matmat(self, x: Any) -> tuple[Any, Any]:
        """Return the pair (adjoint of A times A X, A X), each group of rows read for both; the norm comes along."""
        squares: list[float] | None = [] if self.measures_itself else None
        pair = products.normal_product(self._array, x, self.dtype, get_config().threads, squares)
        if squares is not None:
            scan = BlockScan(self.dtype)
            # Where squares leave the range of the numbers, `measure` looks at the entries themselves.
            if all(scan.take(i, total) for i, total in enumerate(squares)):
                self._magnitude = scan.magnitude()
        return pair
