"""Results in one file: arrays and text, nothing pickled, nothing believed unchecked.

Problem: keep the factors of a long computation, and what it takes to go on from them, in a file that
NumPy alone can read, that cannot run code, and that never stands half written.

The file is an ``.npz``: a zip archive of stored (not compressed) members.

- ``rnla.json``: the certificate, the report, the plan and the sizes.  A part of a method is written as the
  name of its class, one of the tables ``RANGE_FINDERS``, ``SKETCHES``, ``ORTHONORMALIZERS`` and
  ``COLUMN_SELECTIONS``, with its fields.
- ``<name>.npy``: one array each; ``U``, ``s``, ``Vh``, and the basis that `SVDResult.extend` goes on from.
- The archive's comment: the format's version, and the SHA-256 digest of every byte before it.

Writing: S1. Everything goes through a Python file object, which raises when the disk is full, to a
new file beside the old one.  S2. Digest.  S3. Flush, sync, rename over the old file, sync the folder.

Reading: S1. The version, then the digest, before anything is parsed.  S2. The claimed sizes against the
bytes that are there, before anything is allocated.  S3. Arrays of four dtypes; classes of a fixed list.

Factors of another array library are copied to the host to be saved, and come back as NumPy arrays: a
file knows no device.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import importlib
import json
import math
import os
import secrets
import stat
import zipfile
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format

from rnla._version import __version__
from rnla._xp.namespace import is_array, to_host
from rnla.compression.column_selection import COLUMN_SELECTIONS
from rnla.compression.random_pivoting import PIVOT_RULES
from rnla.errors import DTypeError, InputError, IntegrityError
from rnla.operators.sources import read_npy_header
from rnla.orth import ORTHONORMALIZERS
from rnla.planner import Plan
from rnla.rangefinder import HERMITIAN_RANGE_FINDERS, RANGE_FINDERS
from rnla.rangefinder.protocols import Riders
from rnla.results import RESULTS, CholeskyResume, ErrorEstimate, RangeBasis, Report, Result, Resume, RootResume, Status
from rnla.results.stored_parts import ForeignPart, SparsePart
from rnla.results.topic_plan import TOPIC_PARTS, TopicPlan
from rnla.sketch import SKETCHES

__all__ = ["FORMAT", "ForeignPart", "load", "save"]

FORMAT = 1
"""Version of the files that are written, and the newest that can be read."""

_MARK = b"rnla-result-"
_COMMENT = len(_MARK) + 4 + 1 + 64  # mark, version in four digits, a space, the digest
_TEXT = "rnla.json"
_TEXT_AT_MOST = 1 << 24
_CHUNK = 1 << 20
_DTYPES = {"float32", "float64", "complex64", "complex128", "int64"}  # the last for pivots
_EPOCH = (1980, 1, 1, 0, 0, 0)  # equal results make equal files


def _field_names(made: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(made) if not field.name.startswith("_")]


_TABLES = (
    *RANGE_FINDERS.values(), *HERMITIAN_RANGE_FINDERS.values(), *SKETCHES.values(), *ORTHONORMALIZERS.values(),
    *PIVOT_RULES.values(), *COLUMN_SELECTIONS.values(), ForeignPart,
)  # fmt: skip
_PARTS: list[type] = [part if isinstance(part, type) else type(part) for part in _TABLES]
_OTHERS: list[type] = [
    *RESULTS, CholeskyResume, ErrorEstimate, Report, Resume, RootResume, RangeBasis, Plan, TopicPlan, Riders,
    SparsePart,
]  # fmt: skip
_RECORDS = {made.__name__: made for made in [*_OTHERS, *_PARTS]}


def _record(name: str) -> Any:
    """Return the class of a record, whose topic is imported if need be; None if the tables do not know it."""
    home = TOPIC_PARTS.get(name)
    return _RECORDS.get(name) if home is None else getattr(importlib.import_module(home), name)


class _Foreign(Exception):
    """A value that the tables do not know."""


class _Writer:
    """Turns a result into text, and sets its arrays aside."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}

    def text(self, value: Any, where: str) -> Any:
        """Return what JSON holds for a value."""
        if value is None or isinstance(value, (bool, int, str)):
            return value
        if isinstance(value, (float, np.floating)):  # among them NumPy's float64, which is a Python float
            number = float(value)
            return number if math.isfinite(number) else {"number": str(number)}
        if isinstance(value, (np.integer, np.bool_)):
            return value.item()
        if isinstance(value, Status):
            return {"status": value.name}
        if isinstance(value, np.dtype):
            return {"dtype": value.name}
        if isinstance(value, (tuple, list)):
            return [self.text(item, f"{where}.{i}") for i, item in enumerate(value)]
        if isinstance(value, dict):
            return {"mapping": {str(name): self.text(item, f"{where}.{name}") for name, item in value.items()}}
        if _record(type(value).__name__) is type(value):
            inside = {}
            for name in _field_names(type(value)):
                item = getattr(value, name)
                inside[name] = self._part(item, name) if name == "method" else self.text(item, f"{where}.{name}")
            return {"record": type(value).__name__, "fields": inside}
        if is_array(value):
            name = where.removeprefix("result.")
            self.arrays[name] = self._host(value)
            return {"array": name}
        if type(value).__module__.startswith("scipy.sparse") and hasattr(value, "asformat"):
            return self.text(SparsePart.of(value), where)
        raise _Foreign(repr(value))

    def _part(self, part: Any, where: str) -> Any:
        """Return the text of a method; one that holds anything unknown is described."""
        try:
            return self.text(part, where)
        except _Foreign:
            return self.text(ForeignPart(repr(part)), where)

    @staticmethod
    def _host(value: Any) -> np.ndarray[Any, Any]:
        array = np.asarray(to_host(value))
        if array.dtype.name not in _DTYPES:
            raise DTypeError(f"an array of dtype {array.dtype} cannot be saved; only {', '.join(sorted(_DTYPES))} can")
        return array


def _read_value(text: Any, arrays: Callable[[str], np.ndarray[Any, Any]]) -> Any:
    """Return the value of a piece of text."""
    if isinstance(text, list):
        return tuple(_read_value(item, arrays) for item in text)
    if not isinstance(text, dict):
        return text
    match text:
        case {"number": str(word), **rest} if not rest:
            return float(word)
        case {"status": str(name), **rest} if not rest:
            return Status[name]
        case {"dtype": str(name), **rest} if not rest and name in _DTYPES:
            return np.dtype(name)
        case {"mapping": dict(items), **rest} if not rest:
            return {name: _read_value(item, arrays) for name, item in items.items()}
        case {"array": str(name), **rest} if not rest:
            return arrays(name)
        case {"record": str(name), "fields": dict(fields), **rest} if not rest:
            made_of = _record(name)
            if made_of is None:
                raise IntegrityError(f"it holds a record of an unknown kind: {ascii(name)[:60]}")
            unknown = fields.keys() - set(_field_names(made_of))
            if unknown:
                raise IntegrityError(f"it gives {name} the unknown fields {sorted(unknown)}")
            made = made_of(**{field: _read_value(item, arrays) for field, item in fields.items()})
            return made.matrix() if isinstance(made, SparsePart) else made
    raise IntegrityError(f"it holds a piece that means nothing: {ascii(text)[:80]}")


def save(result: Result, path: str | os.PathLike[str]) -> None:
    """Write a result to one file, whole or not at all.

    Parameters
    ----------
    result : Result
        The matrix itself is not written; the basis is, so that the loaded result can be extended.
        ``dataclasses.replace(result, resume=None)`` leaves it out, for a file less than half as large.
    path : str or path-like
        Exactly this file; nothing is appended to the name.  Through a symbolic link, its target.

    Raises
    ------
    OSError
        The disk is full, the folder is missing, ...; an older file of that name is then untouched.
    DTypeError
        Something that is not a result, or one that holds what no file can.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np, rnla
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rnla.svd(np.diag([2.0, 1.0]), 1).save(os.path.join(folder, "result.npz"))
    ...     rnla.load(os.path.join(folder, "result.npz")).s.tolist()
    [2.0]
    """
    if not isinstance(result, Result):
        raise DTypeError(f"save takes a result such as svd returns, got a {type(result).__name__}")
    target = os.path.realpath(os.fspath(path))
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, "name a file in this folder", target)
    writer = _Writer()
    try:
        body = writer.text(result, "result")
    except _Foreign as error:
        raise DTypeError(f"the result holds something that a file cannot: {error}") from None
    text = {"format": FORMAT, "rnla": __version__, "arrays": sorted(writer.arrays), "result": body}
    with _replacing(target) as stream:
        _write_archive(stream, json.dumps(text, allow_nan=False, indent=1).encode(), writer.arrays)


def _write_archive(stream: IO[bytes], text: bytes, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = b" " * _COMMENT
        archive.writestr(zipfile.ZipInfo(_TEXT, _EPOCH), text)
        for name, array in arrays.items():
            # A member is no operating-system file, so NumPy hands its bytes over instead of writing them itself.
            with archive.open(zipfile.ZipInfo(f"{name}.npy", _EPOCH), "w", force_zip64=True) as member:
                npy_format.write_array(member, array, version=(1, 0), allow_pickle=False)
    stream.seek(0, os.SEEK_END)
    size = stream.tell()
    digest = _digest(stream, size - _COMMENT)
    stream.seek(size - _COMMENT)
    stream.write(_MARK + f"{FORMAT:04d} {digest}".encode())


@contextlib.contextmanager
def _replacing(target: str) -> Iterator[IO[bytes]]:
    """Give a new file that takes the place of the target when all of it is on the disk."""
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(8)}.part")
    try:
        with open(temporary, "x+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """Make a rename last; not every system can, and the file is whole either way."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _digest(stream: IO[bytes], size: int) -> str:
    """Return the digest of the first bytes of a file."""
    stream.seek(0)
    found = hashlib.sha256()
    while size > 0:
        chunk = stream.read(min(_CHUNK, size))
        if not chunk:
            raise IntegrityError("it ends too early")
        found.update(chunk)
        size -= len(chunk)
    return found.hexdigest()


def load(path: str | os.PathLike[str]) -> Any:
    """Read a result that its method ``save`` wrote.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    SVDResult, EighResult, ...
        Of the kind that was saved, with NumPy arrays, whatever library the factors were computed in.  The
        matrix does not travel: ``load(path).extend(rank=60, A=A)``.

    Raises
    ------
    IntegrityError
        A file that is damaged or cut short, or not one that ``save`` wrote.
    InputError
        A file of a newer format.
    OSError
        A file that cannot be opened.

    Notes
    -----
    The file is read twice, once for its digest.  Nothing is unpickled, and no more memory is taken than
    the file has bytes.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np, rnla
    >>> A = np.diag(0.5 ** np.arange(50.0))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "result.npz")
    ...     rnla.svd(A, 5, rng=0).save(path)
    ...     rnla.load(path).extend(rank=8, A=A).rank
    8
    """
    where = os.fspath(path)
    with open(where, "rb") as stream:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{where} is not a regular file")
        try:
            version, digest = _seal(stream, found.st_size)
            if version <= FORMAT:
                if _digest(stream, found.st_size - _COMMENT) != digest:
                    raise IntegrityError("its digest does not fit its bytes: it was damaged or changed since")
                return _read_archive(stream, found.st_size)
        except IntegrityError as error:
            raise IntegrityError(f"{where} cannot be loaded: {error}") from None
        except MemoryError:
            raise
        except Exception as error:  # what a parser says of hostile bytes: BadZipFile, KeyError, RecursionError, ...
            reason = ascii(str(error).partition("\n")[0][:200])
            raise IntegrityError(f"{where} cannot be loaded: {type(error).__name__}, {reason}") from error
    raise InputError(f"{where} has format {version}; rnla {__version__} reads up to {FORMAT}: use a newer rnla")


def _seal(stream: IO[bytes], size: int) -> tuple[int, str]:
    """Return the version and the digest that a file ends with (S1)."""
    stream.seek(max(size - _COMMENT, 0))
    mark, _, digest = stream.read(_COMMENT).partition(b" ")
    if size < _COMMENT or not mark.startswith(_MARK) or not mark[len(_MARK) :].isdigit():
        raise IntegrityError("it was not written by the method save of a result, or it is cut short")
    return int(mark[len(_MARK) :]), digest.decode()


def _read_archive(stream: IO[bytes], size: int) -> Result:
    with zipfile.ZipFile(stream) as archive:
        members = {info.filename: info for info in archive.infolist()}
        stored = all(info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1 for info in members.values())
        total = sum(info.file_size for info in archive.infolist())
        if not stored or total > size or len(members) != len(archive.infolist()):
            raise IntegrityError("its table of contents does not fit its size")
        if _TEXT not in members or members[_TEXT].file_size > _TEXT_AT_MOST:
            raise IntegrityError(f"it has no {_TEXT}, or one of an absurd size")
        text = json.loads(archive.read(_TEXT))
        if text["format"] != FORMAT:
            raise IntegrityError(f"it names two formats, {FORMAT} and {ascii(text['format'])[:20]}")
        if {f"{name}.npy" for name in text["arrays"]} | {_TEXT} != members.keys():
            raise IntegrityError("it lacks an array, or holds one too many")

        def read(name: str) -> np.ndarray[Any, Any]:
            info = members[f"{name}.npy"]
            with archive.open(info) as member:
                return _read_array(member, info.file_size, name)

        result = _read_value(text["result"], read)
    if not isinstance(result, Result):
        raise IntegrityError("it does not hold a result")
    _check_shapes(result)
    return result


def _read_array(member: IO[bytes], size: int, name: str) -> np.ndarray[Any, Any]:
    """Read one array whose header fits the bytes that follow (S2, S3)."""
    header = read_npy_header(member, f"its member {name}")
    if header.dtype.newbyteorder("=").name not in _DTYPES:
        raise IntegrityError(f"its member {name} holds {header.dtype}, where numbers are expected")
    if header.offset + header.nbytes != size:
        raise IntegrityError(f"its member {name} claims {header.nbytes} bytes and has {size - header.offset}")
    out = np.empty(header.shape, dtype=header.dtype, order=header.order)
    flat = out.reshape(-1, order="A").view(np.uint8)
    for start in range(0, len(flat), _CHUNK):
        flat[start : start + _CHUNK] = np.frombuffer(member.read(min(_CHUNK, len(flat) - start)), dtype=np.uint8)
    if member.read(1):  # at the end the archive compares its own checksum
        raise IntegrityError(f"its member {name} goes on after its end")
    return out.astype(header.dtype.newbyteorder("="), copy=False)


def _check_shapes(result: Result) -> None:
    """Raise unless the arrays fit each other."""
    m, n = result.report.shape
    fit = result.fits()
    if isinstance(result.resume, Resume):
        basis = result.resume.basis
        rows = (n, m) if basis.space == "row" else (m, n)
        fit &= basis.basis.shape[0] == rows[0]
        fit &= basis.image is None or tuple(basis.image.shape) == (rows[1], basis.basis.shape[1])
    if not fit:
        raise IntegrityError("its arrays do not fit each other")
