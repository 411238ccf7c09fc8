"""Where large matrices come from: npy files, mapped once their header is judged, and stores cut in chunks.

A header is text that a stranger may have written.  It is parsed as literals only, nothing is ever
unpickled, and what it claims is held against the bytes of the file before anything is mapped.

A store decodes whole chunks, so blocks follow their edges: rows where a row of chunks can be held in
memory, columns where only a column of chunks can.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy_format

from rnla._kernels.threads import even_ranges
from rnla.errors import DTypeError, InputError, IntegrityError

__all__ = [
    "STRIPE_BYTES",
    "NpyHeader",
    "Transposed",
    "along_chunks",
    "chunk_bytes",
    "chunk_heights",
    "open_npy",
    "prefers_columns",
    "read_npy_header",
]

STRIPE_BYTES = 1 << 28
"""Bytes of a block at most where a smaller one would cut through a store's chunks and read them more than once."""

_MAX_HEADER = 10_000  # a matrix needs about 120 bytes; the limit keeps the literal parser from deep recursion


@dataclass(frozen=True, slots=True)
class NpyHeader:
    """The parsed header of one array: its shape, order and data type, and where its data begin."""

    shape: tuple[int, ...]
    order: Literal["C", "F"]
    dtype: np.dtype[Any]
    offset: int

    @property
    def nbytes(self) -> int:
        """Bytes of data that must follow the header, as an exact integer."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_npy_header(stream: IO[bytes], where: str) -> NpyHeader:
    """Parse the header at the start of a stream, without reading or allocating any data.

    Parameters
    ----------
    stream : binary file
        Placed at the first byte of the array.
    where : str
        How messages call the file.

    Returns
    -------
    NpyHeader
        The checked header; the data type may still be one that holds no numbers.

    Raises
    ------
    IntegrityError
        If the header is not one that a sound writer produces.
    DTypeError
        If the format version is the one that only structured data types use.
    """
    try:
        version = npy_format.read_magic(stream)
        if version == (1, 0):
            parsed = npy_format.read_array_header_1_0(stream, max_header_size=_MAX_HEADER)
        elif version == (2, 0):
            parsed = npy_format.read_array_header_2_0(stream, max_header_size=_MAX_HEADER)
        elif version == (3, 0):
            raise DTypeError(f"{where} is npy version 3.0, used for structured data only; expected a plain matrix")
        else:
            raise IntegrityError(f"{where} has the unknown npy version {version[0]}.{version[1]}")
    except (DTypeError, IntegrityError):
        raise
    except Exception as error:  # a literal parser on hostile text: ValueError, SyntaxError, RecursionError, ...
        reason = ascii(str(error).partition("\n")[0][:400])
        raise IntegrityError(f"{where} has a damaged npy header: {type(error).__name__}, {reason}") from error
    shape, fortran, dtype = parsed
    if any(isinstance(length, bool) or length < 0 for length in shape):
        raise IntegrityError(f"{where} has a damaged npy header: shape {shape}")
    return NpyHeader(shape, "F" if fortran else "C", dtype, stream.tell())


def open_npy(path: str | os.PathLike[str]) -> np.ndarray[Any, Any]:
    """Map the matrix of an npy file read-only.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    numpy.memmap
        The matrix in the byte order and layout of the file; an ordinary array where it has no entries,
        because an empty range cannot be mapped.

    Raises
    ------
    DTypeError
        If the file holds anything but numbers, Python objects in particular.
    InputError
        If the array is not a matrix.
    IntegrityError
        If the header is damaged or the file is not as long as it claims.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/a.npy", np.ones((3, 2)))
    ...     open_npy(f"{folder}/a.npy").shape
    (3, 2)
    """
    where = ascii(os.fspath(path))
    with open(path, "rb") as stream:
        header = read_npy_header(stream, where)
        if header.dtype.hasobject:
            raise DTypeError(f"{where} holds pickled objects, refused: reading them could run code; save numbers")
        if header.dtype.kind not in "biufc":
            raise DTypeError(f"{where} has data type {header.dtype}; expected bool, integer, real or complex numbers")
        held = os.fstat(stream.fileno()).st_size - header.offset
        if header.nbytes != held:
            fault = "is truncated" if held < header.nbytes else "goes on after its array"
            raise IntegrityError(
                f"{where} {fault}: its header claims {header.nbytes} bytes for shape {header.shape}, "
                f"{held} follow it; save it again"
            )
        if len(header.shape) != 2:
            raise InputError(f"{where} has shape {header.shape}; expected a matrix, that is two dimensions")
        if header.nbytes == 0:
            return np.empty(header.shape, header.dtype)
        return np.memmap(
            stream, dtype=header.dtype, mode="r", offset=header.offset, shape=header.shape, order=header.order
        )


def prefers_columns(source: Any) -> bool:
    """Whether a matrix is better read in blocks of columns; decided by its layout alone."""
    if isinstance(source, np.ndarray):
        down, across = source.strides
        return min(source.shape) > 1 and abs(down) < abs(across)
    m, n = source.shape
    item = np.dtype(source.dtype).itemsize
    return bool(_largest(source, 0) * n * item > STRIPE_BYTES >= _largest(source, 1) * m * item)


def chunk_bytes(source: Any) -> int:
    """Return the bytes of the largest chunk, 0 where the source has none."""
    item: int = np.dtype(source.dtype).itemsize
    return _largest(source, 0) * _largest(source, 1) * item


def _largest(source: Any, axis: int) -> int:
    sizes = chunk_heights(source, axis)
    return max(sizes, default=0) if isinstance(sizes, tuple) else min(sizes or 0, int(source.shape[axis]))


def chunk_heights(source: Any, axis: int) -> int | tuple[int, ...] | None:
    """Return the chunk size along an axis: one number (HDF5, Zarr), or each (Dask); None without chunks."""
    try:
        chunks = source.chunks
        size = chunks[axis]
    except (AttributeError, IndexError, NotImplementedError, TypeError):
        return None  # contiguous, or a grid that the store does not put in numbers
    if size is None:
        return None  # a contiguous store seen with rows and columns exchanged
    if isinstance(size, (int, np.integer)):
        return int(size) if size > 0 else None
    return tuple(int(one) for one in size)


def along_chunks(m: int, height: int, limit: int, chunks: int | tuple[int, ...]) -> list[slice]:
    """Cut rows at the edges of chunks: blocks of about `height`, one chunk up to `limit`; taller chunks are split."""
    heights: Iterator[int] | tuple[int, ...]
    if isinstance(chunks, int):
        several = chunks * max(1, height // chunks)
        heights = (min(several, m - start) for start in range(0, m, several))
    else:
        heights = chunks
    cut: list[slice] = []
    start = stop = 0
    for one in heights:
        if stop > start and stop + one - start > height:
            cut.append(slice(start, stop))
            start = stop
        stop += one
        if stop - start > limit:
            pieces = even_ranges(stop - start, -(-(stop - start) // height))
            cut.extend(slice(start + piece.start, start + piece.stop) for piece in pieces)
            start = stop
    if stop > start:
        cut.append(slice(start, stop))
    return cut


class Transposed:
    """A store seen with rows and columns exchanged; its slices of rows are views of slices of columns."""

    __slots__ = ("_source", "chunks", "dtype", "shape")

    def __init__(self, source: Any) -> None:
        m, n = source.shape
        self._source = source
        self.shape = (n, m)
        self.dtype = source.dtype
        self.chunks = chunk_heights(source, 1), chunk_heights(source, 0)

    def __getitem__(self, columns: slice) -> np.ndarray[Any, Any]:
        block: np.ndarray[Any, Any] = np.asanyarray(self._source[:, columns]).T
        return block
