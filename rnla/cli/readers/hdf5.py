"""HDF5: one dataset of this very file, found without following a link that leaves it, left on disk for slicing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from rnla.cli.readers.opened import (
    OpenedMatrix,
    human_size,
    optional_module,
    require_budget,
    require_matrix,
    require_numeric,
    shown,
)
from rnla.errors import InputError, IntegrityError, RnlaError

__all__ = ["open_hdf5"]

MAX_LINKS = 32  # soft links followed for one name


def open_hdf5(path: Path, *, dataset: str | None, budget: int, missing_chunks: str) -> OpenedMatrix:
    """Open a dataset of an HDF5 file read-only.

    Refused are external links, virtual datasets and external raw data (all read other files), filters that this
    installation lacks, and, unless ``missing_chunks="fill"``, datasets of which a part was never written.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    dataset : str or None
        The dataset's path inside the file; needed only where it holds several matrices of numbers.
    budget : int
        Bytes that one chunk may take.
    missing_chunks : {"refuse", "fill"}
        What to do where parts were never written and would read as the fill value.

    Returns
    -------
    OpenedMatrix
        With an ``h5py.Dataset``; closing it closes the file.
    """
    h5py = optional_module("h5py", "HDF5")
    where = shown(path)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise IntegrityError(f"{where} is not a sound HDF5 file: {shown(str(error))}") from error
    try:
        name = dataset if dataset is not None else _only_matrix(h5py, file, where)
        found = _resolve(h5py, file, name, where)
        label = f"{where}: dataset {shown(repr(name))}"
        if not isinstance(found, h5py.Dataset):
            raise InputError(f"{label} is not a dataset")
        shape, dtype = _check(h5py, found, label, budget, missing_chunks)
    except RnlaError:
        file.close()
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        file.close()
        raise IntegrityError(f"{where} is a damaged HDF5 file: {shown(str(error))}") from error
    return OpenedMatrix(found, "HDF5", path, shape, dtype, path.stat().st_size, file.close)


def _only_matrix(h5py: Any, file: Any, where: str) -> str:
    """Return the path of the only two-dimensional dataset of numbers that hard links reach."""
    matrices: list[str] = []
    others: list[str] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            try:
                numeric = item.dtype.kind in "biufc"
            except TypeError:
                numeric = False
            (matrices if numeric and len(item.shape or ()) == 2 else others).append(name)

    file.visititems(visit)  # each object once, soft and external links not followed
    if len(matrices) == 1:
        return matrices[0]
    if matrices:
        listing = ", ".join(shown(name) for name in sorted(matrices)[:20])
        raise InputError(f"{where} holds several matrices, name one with dataset=: {listing}")
    if len(others) == 1:
        return others[0]  # let the checks of dtype and shape say why
    outside: list[str] = []

    def visit_link(name: bytes, info: Any) -> None:
        if info.type == h5py.h5l.TYPE_EXTERNAL:
            outside.append(name.decode("utf-8", "replace"))

    file.id.links.visit(visit_link, info=True)
    if outside:
        raise InputError(
            f"{where} holds no matrix but {shown(outside[0])!r}, an external link to another file: refused"
        )
    raise InputError(f"{where} holds no two-dimensional dataset of numbers")


def _resolve(h5py: Any, file: Any, name: str, where: str) -> Any:
    """Walk to an object link by link, so that no link that leaves the file is ever followed."""
    pending = [part for part in name.split("/") if part][::-1]
    here, followed = file, 0
    while pending:
        part = pending.pop()
        if part == ".":
            continue
        # The links are asked directly: the dictionary methods of a group would open what an external link names.
        links, key = here.id.links if isinstance(here, h5py.Group) else None, part.encode()
        if links is None or not links.exists(key):
            raise InputError(f"{where} has no dataset {shown(repr(name))}")
        kind = links.get_info(key).type
        if kind == h5py.h5l.TYPE_SOFT:
            followed += 1
            if followed > MAX_LINKS:
                raise IntegrityError(f"{where}: the links of {shown(repr(name))} go in circles")
            target = links.get_val(key).decode("utf-8", "surrogateescape")
            here = file if target.startswith("/") else here
            pending.extend([step for step in target.split("/") if step][::-1])
            continue
        if kind != h5py.h5l.TYPE_HARD:
            raise InputError(f"{where}: {shown(repr(name))} is an external link to another file, refused")
        here = here[part]
    return here


def _check(
    h5py: Any, found: Any, label: str, budget: int, missing_chunks: str
) -> tuple[tuple[int, int], np.dtype[Any]]:
    """Check type, shape, place, filters and completeness of a dataset before a byte of it is read."""
    try:
        dtype = np.dtype(found.dtype)
    except TypeError as error:
        raise IntegrityError(f"{label} has a data type that NumPy cannot hold: {shown(str(error))}") from error
    require_numeric(dtype, label)
    shape = require_matrix(tuple(found.shape or ()), label)
    if found.external or found.is_virtual:
        raise InputError(f"{label} keeps its numbers in other files, refused: copy them into this one")
    plist = found.id.get_create_plist()
    for position in range(plist.get_nfilters()):
        code, _, _, filter_name = plist.get_filter(position)
        if not h5py.h5z.filter_avail(code):
            title = shown(filter_name.decode("utf-8", "replace"))
            raise IntegrityError(f"{label} needs the HDF5 filter {code} ({title}), which is not installed")
    if found.chunks is None:
        stored, expected, unit = found.id.get_storage_size(), math.prod(shape) * found.id.get_type().get_size(), "bytes"
    else:
        chunk = math.prod(found.chunks) * dtype.itemsize
        require_budget(chunk, budget, f"one chunk of {label}, {found.chunks},", "store it again in smaller chunks")
        stored = found.id.get_num_chunks()
        expected = math.prod(-(-n // c) for n, c in zip(shape, found.chunks, strict=True))
        unit = "chunks"
    if stored < expected and missing_chunks == "refuse":
        counts = (
            f"{human_size(stored)} of {human_size(expected)}" if unit == "bytes" else f"{stored} of {expected} chunks"
        )
        raise IntegrityError(
            f"{label} is incomplete, {counts} written, the rest would read as {found.fillvalue}; "
            'if that is meant, open it with missing_chunks="fill"'
        )
    return shape, dtype
