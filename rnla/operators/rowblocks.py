"""Dense matrices larger than memory, read a block of rows (or of columns) at a time.

Problem: products with a matrix that lies in a file or a store, in bounded memory, and with as few
readings of it as possible.

S1  The rows are cut in blocks: as many as the memory budget allows, no more than a fraction of a
    second's work, along the edges of the store's chunks where it has chunks.
S2  The next blocks are read while this one is multiplied: those of a store by a thread, those of a mapped file
    that are not in memory past the system's cache (`rnla.operators.readahead`).
S3  The first full pass gathers the norm and looks for entries that are not finite, each block before
    it enters a product.
S4  A block is multiplied while it is in memory: A X and, for the normal product, the adjoint of the
    block times that, so that AᴴA X costs one pass.

What is in memory of a mapped file in the compute dtype is not copied: products read its pages in place, and they
are the system's to keep or to drop, not anonymous memory.  Everything else, the buffers of what is read ahead
too, counts against the budget, of which blocks take half at most; the thin arrays live in the other half.

Sums over blocks run in order, in double precision, so the bits depend on the cut but not on threads.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from rnla._kernels import products
from rnla._kernels.threads import even_ranges, run
from rnla._xp.namespace import NUMPY
from rnla.config import get_config
from rnla.errors import BudgetError, DTypeError, InputError, NonFiniteError, OperatorError
from rnla.iterate import tick
from rnla.operators.file_rows import FileRows
from rnla.operators.protocols import Magnitude
from rnla.operators.readahead import BUFFERS, ReadAhead
from rnla.operators.scan import BlockScan
from rnla.operators.sources import STRIPE_BYTES, Transposed, along_chunks, chunk_bytes, chunk_heights

__all__ = ["RowBlocks"]

Array = np.ndarray[Any, Any]

BLOCK_BYTES = 1 << 25
"""Bytes of a block at most: well under a second to multiply, so that deadlines and Ctrl-C are heard."""
AHEAD_BYTES = 1 << 20
"""Bytes of a block at least for it to be fetched from a file by itself: smaller pieces keep no disk busy."""
_SCAN_BYTES = 1 << 22  # looked at together: what the search needs on the side stays small


class RowBlocks:
    """A dense matrix that is read in blocks of rows.

    Parameters
    ----------
    source : array-like, shape (m, n)
        Has ``shape``, ``dtype`` and slices of rows ``source[i:j]`` that NumPy takes as arrays: a
        `numpy.memmap`, an HDF5 dataset, a Zarr array, a Dask array, an object of the caller's.  All but
        arrays of NumPy are sliced in order by one thread in the background, and must not write to a
        slice that they gave before.
    dtype : numpy.dtype
        The compute dtype.  Blocks in another dtype or byte order are converted one at a time.
    side : {"rows", "columns"}
        What messages call the rows of the source.

    Raises
    ------
    InputError
        If the source is not a matrix of known size.

    Notes
    -----
    The first full pass is searched for NaN and infinity whatever ``check_finite`` says, because what
    finds the norm finds them at no further cost.
    """

    __slots__ = (
        "_ahead",
        "_chunk_bytes",
        "_chunks",
        "_in_place",
        "_magnitude",
        "_side",
        "_source",
        "device",
        "dtype",
        "largest_seen",
        "shape",
        "xp",
    )
    sides = ("row",)  # of the blocks that are read along the layout

    def __init__(self, source: Any, dtype: np.dtype[Any], side: str = "rows") -> None:
        shape = tuple(source.shape)
        if len(shape) != 2 or any(math.isnan(length) for length in shape):
            raise InputError(
                f"a {type(source).__name__} of shape {shape} is not a matrix of known size; expected two whole numbers "
                "(for a Dask array with unknown chunks call .compute_chunk_sizes() first)"
            )
        # A view of the base class: slices of a memmap are memmaps, each with costs of its own.
        self._source = np.asarray(source) if isinstance(source, np.ndarray) else source
        self._in_place = isinstance(source, np.ndarray) and products.readable_in_place(source, dtype)
        file_rows = FileRows.of(source) if isinstance(source, np.ndarray) else None
        self._ahead = None if file_rows is None else ReadAhead(file_rows, shape, source.dtype)
        self._chunks = chunk_heights(source, 0)
        self._chunk_bytes = chunk_bytes(source)  # decoded whole, however few of its rows are asked for
        self._side = side
        self.largest_seen = 0.0  # what tells the scale of the blocks given out so far; it only grows
        self._magnitude: Magnitude | None = None
        self.shape: tuple[int, int] = (int(shape[0]), int(shape[1]))
        self.dtype = dtype
        self.xp = NUMPY
        self.device = None

    def matmat(self, x: Any) -> Any:
        """Return A X, in one pass."""
        x = np.asarray(x, dtype=self.dtype)
        out = np.zeros((self.shape[0], x.shape[1]), dtype=self.dtype)
        with contextlib.closing(self.row_blocks()) as blocks:
            for rows, block in blocks:
                self._multiply(block, x, out[rows])
        return out

    def rmatmat(self, y: Any) -> Any:
        """Return the adjoint of A times Y, in one pass."""
        y = np.asarray(y, dtype=self.dtype)
        total = self._accumulator(y.shape[1])
        with contextlib.closing(self.row_blocks()) as blocks:
            for rows, block in blocks:
                self._multiply(block, None, y[rows], total)
        return total.astype(self.dtype, copy=False)

    def normal_matmat(self, x: Any) -> tuple[Any, Any]:
        """Return the adjoint of A times A X, and A X, in one pass."""
        x = np.asarray(x, dtype=self.dtype)
        out = np.zeros((self.shape[0], x.shape[1]), dtype=self.dtype)
        total = self._accumulator(x.shape[1])
        with contextlib.closing(self.row_blocks()) as blocks:
            for rows, block in blocks:
                self._multiply(block, x, out[rows], total)
        return total.astype(self.dtype, copy=False), out

    def row_blocks(self, *, looked_at: bool = True) -> Generator[tuple[slice, Array]]:
        """Yield blocks of rows in order; a caller that stops early closes the generator.

        Parameters
        ----------
        looked_at : bool
            Whether the first full pass gathers the norm and looks for entries that are not finite; a caller that sees
            them in what it makes of the blocks needs no second look.

        Yields
        ------
        rows : slice
            Where the block stands.
        block : numpy.ndarray
            The rows in the compute dtype, which may be read-only.

        Raises
        ------
        NonFiniteError
            At the block that holds NaN or infinity, in the first pass.
        BudgetError
            If not even one row fits in the memory budget.
        """
        ahead = self._ahead is not None and self._room_ahead()
        cut = self._cut(ahead)
        scan = BlockScan(self.dtype) if looked_at and self._magnitude is None else None
        with contextlib.closing(self._blocks(cut, ahead)) as blocks:
            for rows in cut:
                block = next(blocks)
                if scan is not None:
                    self._see(scan, rows.start, block)
                yield rows, block
                del block  # so that its buffer can be filled again
                if rows.stop < self.shape[0]:
                    tick(rows.stop / self.shape[0])
        if scan is not None:
            self._magnitude = scan.magnitude()

    def column_blocks(self) -> Generator[tuple[slice, Array]]:
        """Yield blocks of columns, against the layout: for methods that must have columns."""
        source = self._source.T if isinstance(self._source, np.ndarray) else Transposed(self._source)
        other = RowBlocks(source, self.dtype, side="columns")
        for columns, block in other.row_blocks():
            self.largest_seen = max(self.largest_seen, other.largest_seen)
            yield columns, block.T
        self._magnitude = self._magnitude or other.measure()

    def measure(self) -> Magnitude | None:
        """Return the magnitude, gathered by the first full pass; None before."""
        return self._magnitude

    # ------------------------------------------------------------------------------ S4: multiplying
    def _multiply(self, block: Array, x: Array | None, y: Array, total: Array | None = None) -> None:
        """Write the block times `x` to `y` unless that is there already; add the adjoint times `y` to `total`."""
        threads = get_config().threads
        if x is not None and total is not None and products.has_contiguous_rows(block):
            term, y[...] = products.normal_product(block, x, self.dtype, threads)
            total += term
            return
        if x is not None:
            y[...] = products.product(block, x, self.dtype, threads)
        if total is not None:
            total += products.adjoint_product(block, y, self.dtype, threads)

    def _accumulator(self, width: int) -> Array:
        double = np.complex128 if self.dtype.kind == "c" else np.float64
        return np.zeros((self.shape[1], width), dtype=double)

    # ------------------------------------------------------------------------------------ S1: the cut
    def _cut(self, ahead: bool) -> list[slice]:
        m, n = self.shape
        if m == 0:
            return []
        row = max(1, n * self.dtype.itemsize)
        charge = self._row_charge() + (self._ahead_charge() if ahead else 0)
        budget = get_config().budget()
        least = max(charge, self._chunk_bytes)
        if 2 * least > budget:
            what = f"one of the {self._side} of the matrix" if least == charge else "one chunk of the store"
            raise BudgetError(
                f"{what} takes {least} bytes on its way into a product, more than half of the memory budget of "
                f"{budget} bytes; set memory_budget={2 * least} or more"
            )
        fits = budget // 2 // charge if charge else m
        height = max(1, min(fits, BLOCK_BYTES // row))
        if self._chunks is None:
            return even_ranges(m, -(-m // height))
        return along_chunks(m, height, max(height, min(fits, STRIPE_BYTES // row)), self._chunks)

    def _room_ahead(self) -> bool:
        """Whether the budget has room for buffers of blocks that are worth reading by themselves."""
        assert self._ahead is not None
        fits = get_config().budget() // 2 // max(1, self._row_charge() + self._ahead_charge())
        return fits * self._ahead.pitch >= min(AHEAD_BYTES, BLOCK_BYTES)

    def _ahead_charge(self) -> int:
        """Bytes that each row of a block's height takes in buffers."""
        assert self._ahead is not None
        return BUFFERS * self._ahead.pitch

    def _row_charge(self) -> int:
        """Bytes of anonymous memory that each row of a block's height takes, at the worst moment."""
        if self._in_place:
            return 0
        item = self.dtype.itemsize
        if isinstance(self._source, np.ndarray):
            blocks = 2 * item  # the one that the consumer still holds, and the next
        else:
            # One more is being read, from pieces that the store has decoded, and may then be converted.
            stored = np.dtype(self._source.dtype)
            blocks = 3 * item + stored.itemsize * (1 if stored == self.dtype else 2)
        return self.shape[1] * blocks

    # ---------------------------------------------------------------------------------- S2: reading
    def _blocks(self, cut: Sequence[slice], ahead: bool) -> Generator[Array]:
        """Yield the blocks, while the next ones are being read."""
        if ahead and self._ahead is not None:
            with contextlib.closing(self._ahead.blocks(cut)) as fetched:
                for rows in cut:
                    with self._named(rows):
                        raw = next(fetched)
                    yield self._read(rows) if raw is None else self._converted(rows, raw)
                    del raw
            return
        if self._ahead is not None:
            self._ahead.require_whole()
        if isinstance(self._source, np.ndarray) or len(cut) == 1:
            for rows in cut:
                yield self._read(rows)
            return
        context = contextvars.copy_context()
        with ThreadPoolExecutor(1, thread_name_prefix="rnla-read") as pool:
            coming = pool.submit(context.run, self._read, cut[0])
            for following in [*cut[1:], None]:
                while wait([coming], timeout=0.2).not_done:  # short steps, so that Ctrl-C is heard
                    pass
                block = coming.result()
                if following is not None:
                    coming = pool.submit(context.run, self._read, following)
                yield block
                del block

    def _place(self, rows: slice) -> str:
        return f"{self._side} {rows.start} to {rows.stop - 1}"

    @contextlib.contextmanager
    def _named(self, rows: slice) -> Generator[None]:
        """Let an error tell which rows were being read."""
        try:
            yield
        except Exception as error:
            error.add_note(f"raised while {self._place(rows)} of the matrix were read")
            raise

    def _read(self, rows: slice) -> Array:
        """Return one block in the compute dtype, in a layout that BLAS reads."""
        with self._named(rows):
            raw = np.asanyarray(self._source[rows])
        return self._converted(rows, raw)

    def _converted(self, rows: slice, raw: Array) -> Array:
        """Return what was read in the compute dtype, in a layout that BLAS reads."""
        if raw.shape != (rows.stop - rows.start, self.shape[1]):
            raise OperatorError(
                f"the source gave shape {raw.shape} for {self._place(rows)} of a matrix of shape {self.shape}; "
                "slices of rows must be whole"
            )
        masked = np.ma.is_masked(raw)
        raw = np.asarray(raw)
        if masked or not np.can_cast(raw.dtype, self.dtype, "same_kind"):
            found = "masked entries" if masked else str(raw.dtype)
            raise DTypeError(
                f"the source gave {found} for {self._place(rows)}, which {self.dtype} cannot hold; convert it first"
            )
        if products.readable_in_place(raw, self.dtype):
            return raw
        block = np.empty(raw.shape, dtype=self.dtype)

        def convert(part: slice) -> None:
            block[part] = raw[part]

        # In the reading thread the conversion runs beside a product, which has the pool already.
        threads = get_config().threads if isinstance(self._source, np.ndarray) else 1
        run(convert, even_ranges(len(raw), 16), threads)
        return block

    # ------------------------------------------------------------------------- S3: norm and finiteness
    def _see(self, scan: BlockScan, start: int, block: Array) -> None:
        by_rows = abs(block.strides[0]) >= abs(block.strides[1])
        lines = block if by_rows else block.T

        def see(part: slice) -> BlockScan:
            one = BlockScan(self.dtype)
            one.see(start + part.start, lines[part], self._side)
            return one

        parts = even_ranges(len(lines), -(-block.nbytes // _SCAN_BYTES))
        try:
            seen = run(see, parts, get_config().threads)
        except NonFiniteError:
            if by_rows:
                raise
            scan.see(start, block, self._side)  # names the rows, which the lines of this layout are not
            raise
        for one in seen:
            for own in one.sums.values():
                scan.sums[len(scan.sums)] = own  # in order of arrival, which is the order of the rows
            self.largest_seen = max(self.largest_seen, one.largest)
