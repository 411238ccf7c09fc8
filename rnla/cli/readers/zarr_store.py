"""Zarr, a directory or a zip file: the metadata judged here before Zarr sees it, the array left on disk.

Zarr builds any codec that the metadata names, one of which unpickles, believes any chunk size, and reads a missing
chunk as the fill value without a word.  So codecs are whitelisted, chunk sizes are held against the memory budget, and
the chunks on disk are counted.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnla.cli.readers.opened import (
    OpenedMatrix,
    optional_module,
    require_budget,
    require_matrix,
    require_numeric,
    shown,
)
from rnla.errors import BudgetError, DTypeError, InputError, IntegrityError

__all__ = ["METADATA", "open_zarr"]

METADATA = ("zarr.json", ".zarray")
MAX_METADATA = 2**22
CODECS = frozenset(
    {"bytes", "blosc", "gzip", "zlib", "zstd", "lz4", "bz2", "lzma", "transpose"}
    | {"crc32c", "crc32", "adler32", "fletcher32", "jenkins_lookup3"}
    | {"shuffle", "delta", "fixedscaleoffset", "quantize", "bitround", "packbits", "astype"}
)


class _Store:
    """The files of a store, by key, with their sizes: a directory without links that leave it, or a zip file."""

    def __init__(self, path: Path, where: str) -> None:
        self.path, self.where = path, where
        self.zip = None if path.is_dir() else zipfile.ZipFile(path)

    def files(self) -> Iterator[tuple[str, int]]:
        if self.zip is not None:
            for info in self.zip.infolist():
                yield info.filename, info.file_size
            return
        root = self.path.resolve()
        for folder, folders, names in os.walk(self.path):
            for name in [*folders, *names]:
                full = Path(folder, name)
                if full.is_symlink() and not full.resolve().is_relative_to(root):
                    raise InputError(f"{self.where} holds a link to a file outside it, {shown(name)!r}, refused")
            for name in names:
                full = Path(folder, name)
                status = full.stat()
                if not stat.S_ISREG(status.st_mode):
                    raise InputError(f"{self.where} holds {shown(name)!r}, which is not a regular file, refused")
                yield full.relative_to(self.path).as_posix(), status.st_size

    def text(self, key: str) -> dict[str, Any]:
        """Return a metadata document, whose size has been checked."""
        raw = self.zip.read(key) if self.zip is not None else (self.path / key).read_bytes()
        parsed = json.loads(raw)
        if not isinstance(parsed, dict):
            raise ValueError("not a JSON object")
        return parsed

    def close(self) -> None:
        if self.zip is not None:
            self.zip.close()


@dataclass(frozen=True)
class _Layout:
    """What the metadata of one array says: its shape, its stored chunks, the chunks read, and how files are named."""

    shape: tuple[int, ...]
    stored: tuple[int, ...]
    read: tuple[int, ...]
    key: re.Pattern[str]
    fill: Any


def open_zarr(path: Path, *, dataset: str | None, budget: int, missing_chunks: str) -> OpenedMatrix:
    """Open an array of a Zarr store (format 2 or 3) read-only.

    Parameters
    ----------
    path : pathlib.Path
        A directory, or a zip file of one.
    dataset : str or None
        The array's path inside the store; needed only where it holds several matrices.
    budget : int
        Bytes that one chunk may take.
    missing_chunks : {"refuse", "fill"}
        A chunk that was lost and a chunk that held nothing but the fill value look the same on disk.
        ``"refuse"`` raises when any is absent, ``"fill"`` reads them as the fill value.

    Returns
    -------
    OpenedMatrix
        With a ``zarr.Array``.
    """
    zarr = optional_module("zarr", "Zarr")
    where = shown(path)
    try:
        store = _Store(path, where)
        try:
            nbytes, name, layout, label = _judge(store, dataset, budget, missing_chunks)
        finally:
            store.close()
    except (zipfile.BadZipFile, ValueError, TypeError, KeyError, RecursionError, RuntimeError) as error:
        if isinstance(error, (InputError, DTypeError)):
            raise
        raise IntegrityError(f"{where} is a damaged Zarr store: {shown(str(error) or type(error).__name__)}") from error
    source = zarr.storage.ZipStore(path, mode="r") if path.is_file() else zarr.storage.LocalStore(path, read_only=True)
    try:
        array = zarr.open_array(store=source, path=name, mode="r")
        require_numeric(array.dtype, label)
    except DTypeError:
        source.close()
        raise
    except Exception as error:  # whatever Zarr makes of metadata that passed the checks above
        source.close()
        raise IntegrityError(f"{label} cannot be opened: {shown(str(error) or type(error).__name__)}") from error
    chunk = math.prod(layout.read) * array.dtype.itemsize
    require_budget(chunk, budget, f"one chunk of {label}, {layout.read},", "store it again in smaller chunks")
    if tuple(array.shape) != layout.shape:
        raise IntegrityError(f"{label} opened with shape {array.shape}, its metadata says {layout.shape}")
    return OpenedMatrix(array, "Zarr", path, require_matrix(layout.shape, label), array.dtype, nbytes, source.close)


def _judge(store: _Store, dataset: str | None, budget: int, missing_chunks: str) -> tuple[int, str, _Layout, str]:
    """Choose the array, read its metadata and count its chunks, all before Zarr is handed the store."""
    nbytes, largest = 0, 0
    found: dict[str, str] = {}
    for key, size in store.files():
        nbytes, largest = nbytes + size, max(largest, size)
        folder, _, last = key.rpartition("/")
        if last in METADATA:
            if size > MAX_METADATA:
                raise BudgetError(f"{store.where}: the metadata {shown(key)!r} is {size} bytes long, refused")
            found.setdefault(folder, key)
    if store.zip is not None:
        require_budget(largest, budget, f"one member of {store.where}", "store it as a directory, in smaller chunks")
    arrays = {folder: store.text(key) for folder, key in found.items()}
    arrays = {folder: meta for folder, meta in arrays.items() if meta.get("node_type", "array") == "array"}
    name = _choose(arrays, dataset, store.where)
    label = f"{store.where}: array {shown(repr(name))}" if name else store.where
    layout = _layout(arrays[name], label)
    require_matrix(layout.shape, label)
    # Half a byte for each element is less than any data type takes: a first bound before Zarr parses the data type.
    require_budget(
        math.prod(layout.read) // 2, budget, f"one chunk of {label}, {layout.read},", "store it again in smaller chunks"
    )
    expected = math.prod(-(-n // c) for n, c in zip(layout.shape, layout.stored, strict=True))
    prefix = f"{name}/" if name else ""
    present = 0
    for key, _ in store.files():
        match = layout.key.fullmatch(key[len(prefix) :]) if key.startswith(prefix) else None
        if match is not None:
            place = [int(index) for index in match.groups()]
            present += all(i * c < n for i, c, n in zip(place, layout.stored, layout.shape, strict=True))
    if present < expected and missing_chunks == "refuse":
        raise IntegrityError(
            f"{label} is incomplete, {present} of {expected} chunks present, the rest would read as {layout.fill}; "
            'if that is meant, open it with missing_chunks="fill"'
        )
    return nbytes, name, layout, label


def _choose(arrays: dict[str, dict[str, Any]], dataset: str | None, where: str) -> str:
    if dataset is not None:
        name = dataset.strip("/")
        if name in arrays:
            return name
        listing = ", ".join(shown(other or "/") for other in sorted(arrays)[:20]) or "none"
        raise InputError(f"{where} has no array {shown(repr(dataset))}; it has {listing}")
    matrices = [
        name for name, meta in arrays.items() if isinstance(meta.get("shape"), list) and len(meta["shape"]) == 2
    ]
    if len(matrices) == 1 or len(arrays) == 1:
        return (matrices or list(arrays))[0]
    if matrices:
        listing = ", ".join(shown(name or "/") for name in sorted(matrices)[:20])
        raise InputError(f"{where} holds several matrices, name one with dataset=: {listing}")
    raise InputError(f"{where} holds no two-dimensional array")


def _layout(meta: dict[str, Any], label: str) -> _Layout:
    """Check the metadata of one array, codecs first, and return what it says about chunks."""
    old = meta.get("zarr_format") == 2
    if not old and meta.get("zarr_format") != 3:
        raise IntegrityError(f"{label} has the unknown Zarr format {shown(str(meta.get('zarr_format')))}")
    if old:
        codecs = [*(meta.get("filters") or []), *([meta["compressor"]] if meta.get("compressor") else [])]
        stored = meta["chunks"]
        separator = re.escape(meta.get("dimension_separator", "."))
        start = ""
    else:
        codecs = meta["codecs"]
        if meta["chunk_grid"]["name"] != "regular" or meta.get("storage_transformers"):
            raise InputError(f"{label} uses a chunk grid or a storage transformer that is not supported")
        stored = meta["chunk_grid"]["configuration"]["chunk_shape"]
        encoding = meta["chunk_key_encoding"]
        default = encoding["name"] == "default"
        separator = re.escape(encoding.get("configuration", {}).get("separator", "/" if default else "."))
        start = f"c{separator}" if default else ""
    read = _check_codecs(codecs, stored, label)
    shape = meta["shape"]
    for numbers, least in ((shape, 0), (stored, 1), (read, 1)):
        if not isinstance(numbers, list) or any(type(n) is not int or n < least for n in numbers):
            raise IntegrityError(f"{label} has damaged metadata: {shown(str(numbers))}")
        if len(numbers) != len(shape):
            raise IntegrityError(f"{label} has chunks of {len(numbers)} dimensions for shape {tuple(shape)}")
    index = "(0|[1-9][0-9]*)"
    key = re.compile(start + separator.join([index] * len(shape)))
    return _Layout(tuple(shape), tuple(stored), tuple(read), key, meta.get("fill_value"))


def _check_codecs(codecs: list[Any], stored: list[int], label: str) -> list[int]:
    """Refuse every codec that is not known to be harmless; return the shape of the chunks that are decoded at once."""
    read = stored
    for codec in codecs:
        name = str(codec.get("id", codec.get("name"))).removeprefix("numcodecs.").lower()
        if name == "sharding_indexed":
            inside = codec["configuration"]
            read = _check_codecs(inside["codecs"], inside["chunk_shape"], label)
            _check_codecs(inside.get("index_codecs", []), [], label)
        elif name not in CODECS:
            raise InputError(f"{label} uses the codec {shown(repr(name))}, which is not among the safe ones, refused")
    return read
