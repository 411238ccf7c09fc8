"""The Matrix Market text format, plain or gzipped: the header judged first, the body parsed behind a guard.

The parsers at hand are fast, and sound on well-formed text, but a last line without its end or a zero byte can crash
them.  The guard therefore hands them printable text only, with bounded lines and a final line end, under a header
that is written anew from the checked one.
"""

from __future__ import annotations

import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from rnla.cli.readers.opened import OpenedMatrix, human_size, require_budget, require_matrix, shown
from rnla.errors import InputError, IntegrityError

__all__ = ["MarketHeader", "open_matrix_market", "read_market_header"]

FIELDS = {"real": 8, "double": 8, "complex": 16, "integer": 8, "unsigned-integer": 8, "pattern": 8}
SYMMETRIES = ("general", "symmetric", "skew-symmetric", "hermitian")
MAX_COMMENTS = 2**20
MAX_LINE = 2**16
GZIP_RATIO = 1040  # deflate never expands by more than 1032 to one
TEXT = bytes(range(32, 127)) + b"\t\r\n"


@dataclass(frozen=True)
class MarketHeader:
    """The banner and the size line: what the file claims to hold."""

    layout: str
    field: str
    symmetry: str
    rows: int
    columns: int
    entries: int

    @property
    def least_bytes(self) -> int:
        """The fewest bytes of text that so many entries can take, the last line end left out."""
        numbers = {"pattern": 0, "complex": 2}.get(self.field, 1) + (2 if self.layout == "coordinate" else 0)
        return max(0, 2 * numbers * self.entries - 1)

    @property
    def memory(self) -> int:
        """Bytes that the matrix and its making take: triplets and CSR, or the dense array."""
        item = FIELDS[self.field]
        if self.layout == "array":
            return self.rows * self.columns * item
        stored = self.entries * (1 if self.symmetry == "general" else 2)
        return 2 * stored * (item + 16) + 8 * (self.rows + self.columns + 2)

    def text(self) -> bytes:
        """The header written anew, without comments."""
        size = f"{self.rows} {self.columns}" + (f" {self.entries}" if self.layout == "coordinate" else "")
        return f"%%MatrixMarket matrix {self.layout} {self.field} {self.symmetry}\n{size}\n".encode("ascii")


def read_market_header(stream: IO[bytes], where: str) -> MarketHeader:
    """Read the banner, skip the comments, and parse the size line; the stream is left at the first entry."""
    words = stream.readline(MAX_LINE).decode("ascii", "replace").lower().split()
    if len(words) != 5 or words[0] != "%%matrixmarket":
        raise IntegrityError(f"{where} does not begin with a Matrix Market banner of five words")
    if words[1] != "matrix":
        raise InputError(f"{where} holds a Matrix Market {shown(words[1])}; expected a matrix")
    layout, field, symmetry = words[2:]
    known = layout in ("coordinate", "array") and field in FIELDS and symmetry in SYMMETRIES
    if not known or (layout == "array" and field == "pattern") or (symmetry == "hermitian" and field != "complex"):
        raise IntegrityError(f"{where} has a Matrix Market banner that makes no sense: {shown(' '.join(words))}")
    passed = 0
    while True:
        line = stream.readline(MAX_LINE)
        passed += len(line)
        if line.strip() and not line.startswith(b"%"):
            break
        if not line or passed > MAX_COMMENTS:
            raise IntegrityError(f"{where} has no size line within its first {human_size(MAX_COMMENTS)}")
        while line and not line.endswith(b"\n") and passed <= MAX_COMMENTS:  # a comment longer than the limit
            line = stream.readline(MAX_LINE)
            passed += len(line)
    numbers = line.split()
    wanted = 3 if layout == "coordinate" else 2
    if len(numbers) != wanted or not all(n.isdigit() and len(n) <= 19 for n in numbers):
        raise IntegrityError(f"{where} has a damaged size line: {shown(line[:80].decode('ascii', 'replace').strip())}")
    rows, columns = int(numbers[0]), int(numbers[1])
    if symmetry != "general" and rows != columns:
        raise IntegrityError(f"{where} claims to be {symmetry} with shape {(rows, columns)}")
    if layout == "coordinate":
        entries = int(numbers[2])
    else:
        lower = {"general": rows * columns, "skew-symmetric": rows * (rows - 1) // 2}
        entries = lower.get(symmetry, rows * (rows + 1) // 2)
    return MarketHeader(layout, field, symmetry, rows, columns, entries)


class _GuardedText(io.RawIOBase):
    """The rewritten header and then the body: printable text, lines of bounded length, always a final line end."""

    def __init__(self, head: bytes, body: IO[bytes], where: str) -> None:
        self._head, self._body, self._where = head, body, where
        self._open_line = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        size = MAX_LINE if size < 0 else min(size, MAX_LINE)
        if self._head:
            block, self._head = self._head[:size], self._head[size:]
            return block
        block = self._body.read(size)
        if not block:
            block = b"\n" if self._open_line else b""
            self._open_line = 0
            return block
        if block.translate(None, TEXT):
            raise IntegrityError(f"{self._where} has bytes among its entries that are not text")
        end = block.rfind(b"\n")
        self._open_line = self._open_line + len(block) if end < 0 else len(block) - 1 - end
        if self._open_line > MAX_LINE:
            raise IntegrityError(f"{self._where} has a line longer than {MAX_LINE} bytes")
        return block


def open_matrix_market(path: Path, *, dataset: str | None, budget: int) -> OpenedMatrix:
    """Read a Matrix Market file into memory: ``csr_array`` from coordinates, ``ndarray`` from a dense listing.

    NaN and infinity are read as they stand; the library's own check of the values names them.
    """
    del dataset  # one matrix a file: the front door refuses the argument
    where = shown(path)
    size = path.stat().st_size
    with open(path, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream: Any = gzip.GzipFile(fileobj=raw) if packed else raw
        try:
            header = read_market_header(stream, where)
            claim = f"{where}, {header.rows} x {header.columns} with {header.entries} entries declared,"
            require_budget(header.memory, budget, claim, "raise the budget, or convert it to .npy or HDF5")
            if header.least_bytes > size * (GZIP_RATIO if packed else 1):
                raise IntegrityError(f"{claim} cannot fit in the {human_size(size)} of the file: truncated")
            matrix = _parse(_GuardedText(header.text(), stream, where))
            if header.layout == "coordinate":
                import scipy.sparse

                matrix = scipy.sparse.csr_array(matrix)
                matrix.check_format(full_check=True)
        except InputError:
            raise
        except (ValueError, OverflowError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise IntegrityError(f"{where} is a damaged Matrix Market file: {shown(str(error))}") from error
    if matrix.shape != (header.rows, header.columns):
        raise IntegrityError(f"{where} was read with shape {matrix.shape}, its header says otherwise")
    return OpenedMatrix(matrix, "Matrix Market", path, require_matrix(matrix.shape, where), matrix.dtype, size)


def _parse(text: _GuardedText) -> np.ndarray[Any, Any] | Any:
    """Parse with fast_matrix_market where it is installed, else with SciPy's twin of it."""
    try:
        from fast_matrix_market import mmread
    except ImportError:
        from scipy.io import mmread
    return mmread(text)
