"""Blocks of rows fetched from the disk while the ones before them are multiplied.

Problem: a pass over a file at the rate of its disk, in bounded memory, with the processor left to the products.

S1  Rows that are in memory already (`FileRows.resident`) are read in place: nothing is copied.
S2  The others are read past the system's cache (O_DIRECT), straight into a ring of buffers, by threads that are
    a few blocks ahead.  Copies by way of the cache would cost the core that multiplies.
S3  From the third such pass on, what fits in half of the free memory is brought into the cache by those threads, and
    read in place then and later: more passes are likely to follow, and memory is faster than any disk.
S4  Where the file system refuses, the mapping is read as ever.

None of it changes a value: the cut in blocks is the same whatever is in memory.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import sys
import threading
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from rnla.config import available_memory
from rnla.errors import IntegrityError
from rnla.operators.file_rows import FileRows

__all__ = ["BUFFERS", "ReadAhead"]

BUFFERS = 4
"""One in use, one that the consumer may still name, two under way."""
_READERS = 3
_PART_BYTES = 1 << 24  # of a block, read by one call
_CACHED_BYTES = 1 << 18  # read by one call, where only the system's cache is to have it
_ALIGNED = 4096  # what disks and file systems ask of unbuffered reads, at most
_HUGE = 1 << 23  # bytes of a buffer that may be rounded up to whole large pages
_DIRECT_PASSES = 2
_REFUSED = {errno.EINVAL, errno.EOPNOTSUPP}
_PLACE = np.empty(0, dtype=np.uint8)  # stands for a block that is read in place


class ReadAhead:
    """A file that is read block by block, ahead of who asks for the blocks.

    Parameters
    ----------
    rows : FileRows
    shape : tuple of int
        Of the matrix.
    dtype : numpy.dtype
        Of its entries in the file.
    """

    __slots__ = ("_dtype", "_fetched", "_rows", "_shape")

    def __init__(self, rows: FileRows, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
        self._rows, self._shape, self._dtype = rows, shape, dtype
        self._fetched = 0  # passes that were

    @property
    def pitch(self) -> int:
        """Bytes from row to row."""
        return self._rows.pitch

    def blocks(self, cut: Sequence[slice]) -> Generator[np.ndarray[Any, Any] | None]:
        """Yield the blocks of rows as they are in the file, None for one that is to be read through the mapping.

        A block is not overwritten while anything refers to it.

        Parameters
        ----------
        cut : sequence of slice
            The blocks, in order.

        Raises
        ------
        IntegrityError
            If the file ends before its last row.
        OSError
            What the system says about the file.
        """
        whole = slice(0, self._shape[0])
        if len(cut) > 1 and not self._rows.resident(whole, sampled=True):
            self._fetched += 1
            keep = self._fetched > _DIRECT_PASSES and 2 * self._rows.nbytes <= available_memory()
            flags = 0 if keep else getattr(os, "O_DIRECT", None)
            fd = None if flags is None else self._rows.open(flags)
            if fd is not None:
                ring = _Ring(self._rows, fd, cut, keep)
                try:
                    ring.start()
                    for i, rows in enumerate(cut):
                        raw = ring.get(i)
                        yield None if raw is _PLACE else self._entries(raw, rows)
                        del raw
                finally:
                    ring.close()
                return
        self.require_whole()
        for _ in cut:
            yield None

    def require_whole(self) -> None:
        """Raise where the file ends before its last row, which reading in place would not survive."""
        self._rows.require_whole()

    def _entries(self, raw: np.ndarray[Any, Any], rows: slice) -> np.ndarray[Any, Any]:
        """Return the entries that some bytes stand for, without a copy."""
        height = rows.stop - rows.start
        return np.ndarray(
            (height, self._shape[1]), self._dtype, buffer=raw, strides=(self._rows.pitch, self._dtype.itemsize)
        )


class _Ring:
    """The buffers of one pass, and the threads that fill them."""

    def __init__(self, rows: FileRows, fd: int, cut: Sequence[slice], keep: bool) -> None:
        self._rows, self._fd, self._cut, self._keep = rows, fd, cut, keep
        self._changed = threading.Condition()
        self._free: list[np.ndarray[Any, Any] | None] = [None] * min(BUFFERS, len(cut))  # None: not made yet
        self._held: dict[int, np.ndarray[Any, Any]] = {}  # by the block that is in them
        self._missing: dict[int, int] = {}  # parts of a block that are not read yet
        self._ready: set[int] = set()
        self._parts: list[tuple[int, int, int]] = []  # of the next block, last first: block, start, stop
        self._next = self._asked = 0
        self._refused = self._stopped = False
        self._error: BaseException | None = None
        self._size = max(self._aligned(part)[1] - self._aligned(part)[0] for part in cut)
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to read."""
        for i in range(_READERS):
            thread = threading.Thread(target=self._work, name=f"rnla-read-{i}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def get(self, i: int) -> np.ndarray[Any, Any]:
        """Return the bytes of block `i`, or `_PLACE`."""
        with self._changed:
            self._asked = i
            self._recycle(i - 2)
            self._changed.notify_all()
            while i not in self._ready and self._error is None:
                self._changed.wait(0.2)  # in short steps, so that Ctrl-C is heard
            if i not in self._ready:
                assert self._error is not None
                raise self._error
            if i not in self._held:
                return _PLACE
            start, stop = self._rows.span(self._cut[i])
            first = self._aligned(self._cut[i])[0]
            return self._held[i][start - first : stop - first]

    def close(self) -> None:
        """End the threads, each after the part that it is reading, and let the file go."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        os.close(self._fd)

    def _recycle(self, i: int) -> None:
        """Take the buffer of a block back; the one after it has been given out since, so loops have let go of it."""
        buffer = self._held.pop(i, None)
        if buffer is not None:
            unused = sys.getrefcount(buffer) <= 2  # this name and the argument
            self._free.append(buffer if unused else None)

    # ------------------------------------------------------------------------------------- the threads
    def _work(self) -> None:
        scratch = np.empty(_CACHED_BYTES if self._keep else 0, dtype=np.uint8)
        try:
            while (part := self._take()) is not None:
                i, start, stop = part
                if not self._refused:
                    buffer = scratch if self._keep else self._held[i][start - self._first(i) :]
                    self._fill(buffer[: stop - start], i, start)
                    del buffer  # before the block is whole: what still refers to it then is somebody else's
                with self._changed:
                    self._missing[i] -= 1
                    if not self._missing[i]:
                        self._finish(i)
        except BaseException as error:  # noqa: BLE001  raised where the blocks are asked for
            with self._changed:
                self._error = self._error or error
                self._changed.notify_all()

    def _take(self) -> tuple[int, int, int] | None:
        """Return the next part to read; None when there is none."""
        with self._changed:
            while not self._parts:
                if self._stopped or self._error is not None or self._next == len(self._cut):
                    return None
                ahead = self._next < self._asked + BUFFERS
                if not ahead or not (self._free or self._keep):
                    self._changed.wait()
                    continue
                i, self._next = self._next, self._next + 1
                if self._refused or self._rows.resident(self._cut[i]):
                    self._finish(i)
                    continue
                start, stop = self._aligned(self._cut[i])
                if not self._keep:
                    buffer = self._free.pop()
                    self._held[i] = _pages(self._size) if buffer is None else buffer
                step = _CACHED_BYTES if self._keep else _PART_BYTES
                parts = [(i, at, min(at + step, stop)) for at in range(start, stop, step)]
                self._parts, self._missing[i] = parts[::-1], len(parts)
            return None if self._stopped else self._parts.pop()

    def _finish(self, i: int) -> None:
        if self._keep or self._refused:
            buffer = self._held.pop(i, None)
            if buffer is not None:
                self._free.append(buffer)
        self._ready.add(i)
        self._changed.notify_all()

    def _fill(self, buffer: np.ndarray[Any, Any], i: int, start: int) -> None:
        """Read from the file into a buffer; what lies beyond the rows of the block may be missing."""
        needed = min(len(buffer), self._rows.span(self._cut[i])[1] - start)
        done = 0
        while done < needed and not self._stopped:
            try:
                got = os.preadv(self._fd, [buffer.data[done:]], start + done)
            except OSError as error:
                if error.errno in _REFUSED and not self._keep:
                    self._refused = True
                    return
                raise
            done += got
            if done < needed:
                size = os.fstat(self._fd).st_size
                if got < _ALIGNED or size < start + needed:
                    raise IntegrityError(
                        f"{self._rows.path!a} ends at byte {min(size, start + done)}, inside its matrix: "
                        "it was cut short while it was read; write it again"
                    )
                done -= done % _ALIGNED

    def _first(self, i: int) -> int:
        return self._aligned(self._cut[i])[0]

    def _aligned(self, rows: slice) -> tuple[int, int]:
        start, stop = self._rows.span(rows)
        return start - start % _ALIGNED, stop + -stop % _ALIGNED


def _pages(size: int) -> np.ndarray[Any, Any]:
    """Return bytes that begin at a page, which go back to the system once nothing refers to them."""
    area = mmap.mmap(-1, size)
    if size >= _HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):
            area.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(area, dtype=np.uint8)
