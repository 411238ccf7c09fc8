"""Where the rows of a mapped array lie in their file, and which of them the system holds in memory.

A mapped array is an address range.  On Linux ``/proc/self/maps`` tells which file stands behind it and where, and
``mincore`` which of its pages are in memory, so that what is resident is read in place and only what is not
is fetched from the disk.  What cannot be known, here or on another system, is read through the mapping as ever.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import mmap
import os
from typing import Any

import numpy as np

from rnla.errors import IntegrityError

__all__ = ["FileRows"]

_PAGE = mmap.PAGESIZE
_SAMPLE = 64  # pages that stand for a long range
_SHARE = 15 / 16  # of the pages looked at that must be in memory for a range to count as resident
_DENSE = 2  # rows further apart than this many of their lengths are not worth what is read between them


@dataclasses.dataclass(frozen=True, slots=True)
class FileRows:
    """Rows of equal length at equal distances in a file, and where they are mapped.

    Attributes
    ----------
    path : str
    inode : tuple of int
        Device and number of the file, so that another one in its place is not taken for it.
    offset : int
        Of the first row in the file.
    pitch, length : int
        Bytes from row to row, and of a row.
    count : int
        Rows.
    address : int
        Of the first row in memory.
    """

    path: str
    inode: tuple[int, int]
    offset: int
    pitch: int
    length: int
    count: int
    address: int

    @classmethod
    def of(cls, array: np.ndarray[Any, Any]) -> FileRows | None:
        """Return where the rows of an array lie; None where it is not a plain piece of one shared mapping."""
        if array.ndim != 2 or not array.size or not _is_mapped(array):
            return None
        count, n = array.shape
        length = n * array.itemsize
        across = array.strides[1] if n > 1 else array.itemsize
        pitch = array.strides[0] if count > 1 else length
        if across != array.itemsize or not length <= pitch <= _DENSE * length:
            return None
        address = array.ctypes.data
        found = _file_behind(address, address + (count - 1) * pitch + length)
        if found is None:
            return None
        path, inode, offset = found
        return cls(path, inode, offset, pitch, length, count, address)

    @property
    def nbytes(self) -> int:
        """Bytes from the first to the last one."""
        return (self.count - 1) * self.pitch + self.length

    def span(self, rows: slice) -> tuple[int, int]:
        """Return where some of the rows begin and end in the file."""
        return self.offset + rows.start * self.pitch, self.offset + (rows.stop - 1) * self.pitch + self.length

    def open(self, flags: int = 0) -> int | None:
        """Return a descriptor of the file, for the caller to close; None if it cannot be had or is another by now."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | flags)
        except OSError:
            return None
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino) == self.inode:
            return fd
        os.close(fd)
        return None

    def require_whole(self) -> None:
        """Raise where the file ends before its last row: the system kills who touches a mapping beyond it.

        Raises
        ------
        IntegrityError
            If the same file stands at the path and is too short by now.
        """
        try:
            status = os.stat(self.path)
        except OSError:
            return  # without a name it is as long as it was, as far as one can know
        if (status.st_dev, status.st_ino) == self.inode and status.st_size < self.offset + self.nbytes:
            raise IntegrityError(
                f"{self.path!a} ends at byte {status.st_size}, inside its matrix: it was cut short while it was "
                "mapped; write it again"
            )

    def resident(self, rows: slice, *, sampled: bool = False) -> bool:
        """Whether nearly all pages under some of the rows are in memory.

        Parameters
        ----------
        rows : slice
            At least one.
        sampled : bool
            Look at a few pages only.
        """
        first, last = (at - self.offset + self.address for at in self.span(rows))
        first -= first % _PAGE
        pages = -(-(last - first) // _PAGE)
        if sampled and pages > _SAMPLE:
            held = sum(_pages_in_memory(first + i * (pages - 1) // (_SAMPLE - 1) * _PAGE, 1) for i in range(_SAMPLE))
            return held >= _SHARE * _SAMPLE
        return _pages_in_memory(first, pages) >= _SHARE * pages


def _is_mapped(array: np.ndarray[Any, Any]) -> bool:
    owner: Any = array
    while isinstance(owner, (np.ndarray, memoryview)):
        owner = owner.base if isinstance(owner, np.ndarray) else owner.obj
    return isinstance(owner, mmap.mmap)


def _file_behind(start: int, stop: int) -> tuple[str, tuple[int, int], int] | None:
    """Return path, device and inode, and offset of the file that is shared in an address range."""
    try:
        with open("/proc/self/maps", "rb") as lines:
            for line in lines:
                area, mode, offset, device, inode, *path = line.split(maxsplit=5)
                low, high = (int(edge, 16) for edge in area.split(b"-"))
                if low <= start < high:
                    break
            else:
                return None
    except (OSError, ValueError):
        return None
    # A private mapping may differ from its file, and a name with a line feed is not written as it is.
    if stop > high or mode[3:4] != b"s" or not path or b"\\" in path[0]:
        return None
    major, minor = (int(part, 16) for part in device.split(b":"))
    name = os.fsdecode(path[0].removesuffix(b"\n"))
    return name, (os.makedev(major, minor), int(inode)), int(offset, 16) + start - low


@functools.cache
def _mincore() -> Any:
    try:
        function = ctypes.CDLL(None).mincore
    except (AttributeError, OSError, TypeError):
        return None
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    return function


def _pages_in_memory(address: int, pages: int) -> int:
    """Return how many pages are in memory; all of them where the system does not tell."""
    function = _mincore()
    held = np.empty(pages, dtype=np.uint8)
    if function is None or function(address, pages * _PAGE, held.ctypes.data) != 0:
        return pages
    return int(np.count_nonzero(held & 1))
