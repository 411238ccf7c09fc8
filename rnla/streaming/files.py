"""A stream in one file: arrays and text, nothing pickled, nothing believed unchecked.

The file is an archive as `rnla.storage` writes it, with the same digest: ``rnla.json`` holds shape, rank, method,
sizes, forgetting, seed and count, and one ``.npy`` each holds the sketches.  Their numbers come back as they were,
and test matrices follow from the seed, so a stream that was loaded goes on with identical bits.

A test matrix of the caller's own has no name that a file could hold; such a stream is refused (pickling takes it).
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import stat
import zipfile
from typing import IO, Any

import numpy as np

from rnla import storage
from rnla._version import __version__
from rnla._xp.namespace import NUMPY, device_of, from_host, is_numpy, namespace_of, to_host
from rnla.errors import DTypeError, InputError, IntegrityError
from rnla.sketch import SKETCHES, Gaussian
from rnla.streaming.joint_core import HermitianSketch, TwoSided
from rnla.streaming.maps import LinearSketch
from rnla.streaming.nystrom_sketch import NystromSketch
from rnla.streaming.range_corange import RangeCorange
from rnla.streaming.sketchy_svd import SketchySVD
from rnla.streaming.state import Stream

__all__ = ["load", "save"]

_METHODS: dict[str, Any] = {
    made.__name__: made for made in (SketchySVD, RangeCorange, TwoSided, HermitianSketch, NystromSketch)
}
_SKETCHES: dict[str, Any] = {made.__name__: made for made in SKETCHES.values()}
_DTYPES = {"float32", "float64", "complex64", "complex128"}


def _described(part: Any, table: dict[str, Any]) -> dict[str, Any]:
    """Return a frozen part as the name of its class and its fields."""
    name = type(part).__name__
    if table.get(name) is not type(part):
        raise DTypeError(f"a stream made with {part!r}, a part of your own, cannot be saved; pickle it instead")
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if not (value is None or isinstance(value, (bool, int, float, str))):
            value = _described(value, _SKETCHES)
        fields[field.name] = value
    return {"part": name, "fields": fields}


def _made(text: dict[str, Any], table: dict[str, Any]) -> Any:
    fields = {
        name: _made(value, _SKETCHES) if isinstance(value, dict) else value for name, value in text["fields"].items()
    }
    return table[text["part"]](**fields)


def save(stream: Stream, path: Any) -> None:
    """Write a stream to one file, whole or not at all."""
    target = os.path.realpath(os.fspath(path))
    arrays = {name: np.asarray(to_host(array)) for name, array in stream.sketches.arrays.items()}
    text = {
        "format": storage.FORMAT,
        "rnla": __version__,
        "arrays": sorted(arrays),
        "result": {"a stream": "rnla.Stream.load reads it"},  # what rnla.load quotes when it refuses the file
        "stream": {
            "shape": list(stream.shape),
            "rank": stream.rank,
            "method": _described(stream.method, _METHODS),
            "dtype": stream.dtype.name,
            "error_columns": stream.layout[-1].size,
            "forget": stream.forget,
            "seed": stream.seed,
            "updates": stream.updates,
        },
    }
    body = json.dumps(text, allow_nan=False, indent=1).encode()
    with storage._replacing(target) as file:
        storage._write_archive(file, body, arrays)


def load(path: Any, like: Any = None) -> Stream:
    """Read a stream that `save` wrote, after its digest.

    Raises
    ------
    IntegrityError
        A file that is damaged, or holds no stream.
    InputError
        A file of a newer format.
    """
    where = os.fspath(path)
    with open(where, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{where} is not a regular file")
        try:
            version, digest = storage._seal(file, found.st_size)
            if version > storage.FORMAT:
                raise InputError(f"{where} has format {version}; rnla {__version__} reads up to {storage.FORMAT}")
            if storage._digest(file, found.st_size - storage._COMMENT) != digest:
                raise IntegrityError("its digest does not fit its bytes: it was damaged or changed since")
            return _read(file, found.st_size, like)
        except (IntegrityError, InputError) as error:
            if isinstance(error, InputError):
                raise
            raise IntegrityError(f"{where} cannot be loaded: {error}") from None
        except MemoryError:
            raise
        except Exception as error:  # what a parser says of hostile bytes
            reason = ascii(str(error).partition("\n")[0][:200])
            raise IntegrityError(f"{where} cannot be loaded: {type(error).__name__}, {reason}") from error


def _read(file: IO[bytes], size: int, like: Any) -> Stream:
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        stored = all(info.compress_type == zipfile.ZIP_STORED for info in members.values())
        if not stored or sum(info.file_size for info in members.values()) > size:
            raise IntegrityError("its table of contents does not fit its size")
        text = json.loads(archive.read("rnla.json"))
        if "stream" not in text:
            raise IntegrityError("it holds a result, not a stream; rnla.load reads it")
        said = text["stream"]
        shape = (int(said["shape"][0]), int(said["shape"][1]))
        method, dtype = _made(said["method"], _METHODS), np.dtype(said["dtype"])
        side = "corange" if method.structure == "general" else "range"
        layout = (*method.layout(), LinearSketch("E", side, int(said["error_columns"]), Gaussian()))
        if dtype.name not in _DTYPES or {s.name for s in layout} != set(text["arrays"]):
            raise IntegrityError("its arrays do not fit its method")
        xp, device = (NUMPY, None) if like is None else (namespace_of(like), device_of(like))
        arrays = {}
        for s in layout:
            info = members[f"{s.name}.npy"]
            if info.file_size < math.prod(s.shape(shape)) * dtype.itemsize:
                raise IntegrityError(f"its array {s.name} is cut short")
            with archive.open(info) as member:
                array = storage._read_array(member, info.file_size, s.name)
            if array.shape != s.shape(shape) or array.dtype != dtype:
                raise IntegrityError(f"its array {s.name} has shape {array.shape}, where {s.shape(shape)} is expected")
            arrays[s.name] = array if is_numpy(xp) else from_host(array, xp, device)
    return Stream(
        shape, int(said["rank"]), method, dtype, layout, float(said["forget"]), int(said["seed"]), arrays,
        int(said["updates"]),
    )  # fmt: skip
