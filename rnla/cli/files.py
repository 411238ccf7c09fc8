"""The front door for matrix files: `open_matrix` finds the format, refuses what could run code, and opens the rest.

Problem: a file given on the command line is untrusted.  Every reader parses the header by itself, compares the sizes
claimed there with the bytes on disk and with the memory budget *before* it allocates anything, never unpickles,
extracts nothing to disk, and follows no link to another file.

==================  ==========================  ======================================================
format              file names                  what the library is handed
==================  ==========================  ======================================================
npy                 ``.npy``                    ``numpy.memmap``, read-only
npz                 ``.npz``                    ``ndarray``; ``csr_array`` if SciPy's sparse layout
Matrix Market       ``.mtx``, ``.mtx.gz``       ``csr_array``, or ``ndarray`` if listed densely
HDF5                ``.h5``, ``.hdf5``          ``h5py.Dataset``
Zarr                ``.zarr``, ``.zip``         ``zarr.Array``
==================  ==========================  ======================================================

A claim is held against the memory budget first (`BudgetError`) and against the bytes of the file second
(`IntegrityError`).  Mapped and sliced files (npy, HDF5, Zarr) are not limited in size by the budget.
"""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

from rnla.cli.readers.hdf5 import open_hdf5
from rnla.cli.readers.matrix_market import open_matrix_market
from rnla.cli.readers.npy import open_npy
from rnla.cli.readers.npz import open_npz
from rnla.cli.readers.opened import OpenedMatrix, shown
from rnla.cli.readers.zarr_store import METADATA, open_zarr
from rnla.config import available_memory
from rnla.errors import DTypeError, InputError, IntegrityError

__all__ = ["ACCEPTED", "OpenedMatrix", "open_matrix"]

ACCEPTED = ".npy, .npz, .mtx, .mtx.gz, .h5, .hdf5, .zarr and a zipped Zarr store (.zip)"

_SUFFIXES = {
    ".npy": "npy",
    ".npz": "npz",
    ".mtx": "mtx",
    ".mtx.gz": "mtx",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".zarr": "zarr",
    ".zip": "zarr",
}
_TITLES = {"npy": "npy", "npz": "npz", "mtx": "Matrix Market", "hdf5": "HDF5", "zarr": "Zarr"}
_ONE_MATRIX = ("npy", "mtx")
_CODE = "could run code when it is read"
_OTHER = "is not a matrix format"
_REFUSED = {
    **dict.fromkeys((".pkl", ".pickle", ".p", ".joblib", ".jbl", ".dill", ".cloudpickle", ".shelve"), _CODE),
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".bin", ".model", ".sav", ".yaml", ".yml", ".py", ".pyc"), _CODE),
    **dict.fromkeys((".json", ".toml", ".csv", ".tsv", ".txt", ".xls", ".xlsx", ".mat", ".parquet"), _OTHER),
}


def open_matrix(
    path: str | os.PathLike[str],
    *,
    dataset: str | None = None,
    memory_budget: int | None = None,
    missing_chunks: str = "refuse",
) -> OpenedMatrix:
    """Open an untrusted matrix file for reading, whatever its format.

    Parameters
    ----------
    path : str or path-like
        A file, or the directory of a Zarr store.
    dataset : str, optional
        Which array of an npz file, an HDF5 file or a Zarr store; needed only where there are several matrices.
    memory_budget : int, optional
        Bytes that the opened matrix, or one chunk of it, may take in memory.  By default half of what is available.
    missing_chunks : {"refuse", "fill"}
        HDF5 and Zarr read chunks that are not there as the fill value.  A lost chunk cannot be told from one that was
        left out because it held nothing else, so by default they are refused.

    Returns
    -------
    OpenedMatrix
        The array with its kind, shape, data type and size on disk; close it, or use it in a ``with`` statement.

    Raises
    ------
    InputError
        If the path, the format or the shape is not one that can be used, or the file refers to other files.
    DTypeError
        If the file holds anything but numbers; Python objects in particular.
    IntegrityError
        If the file is damaged: truncated, with trailing bytes, or inconsistent in itself.
    BudgetError
        If reading would take more memory than allowed; raised from the header alone.
    ImportError
        If the format needs a package that is not installed; the message names the extra.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/a.npy", np.ones((3, 2)))
    ...     with open_matrix(f"{folder}/a.npy") as opened:
    ...         print(opened.kind, opened.shape, opened.dtype, opened.nbytes)
    npy (3, 2) float64 176
    """
    if missing_chunks not in ("refuse", "fill"):
        raise InputError(f'missing_chunks is {missing_chunks!r}; expected "refuse" or "fill"')
    if memory_budget is None:
        budget = available_memory() // 2
    elif type(memory_budget) is not int or memory_budget <= 0:
        raise InputError(f"memory_budget is {memory_budget!r}; expected a positive number of bytes")
    else:
        budget = memory_budget
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise DTypeError(f"expected the path of a matrix file, got {type(path).__name__}") from None
    if not text:
        raise InputError("the path of the matrix file is empty")
    place = Path(text)
    try:
        kind = _find_kind(place)
        if dataset is not None and kind in _ONE_MATRIX:
            raise InputError(f"{shown(place)} is a {_TITLES[kind]} file, which holds one matrix; leave dataset= out")
        if kind == "npy":
            return open_npy(place, dataset=dataset, budget=budget)
        if kind == "npz":
            return open_npz(place, dataset=dataset, budget=budget)
        if kind == "mtx":
            return open_matrix_market(place, dataset=dataset, budget=budget)
        if kind == "hdf5":
            return open_hdf5(place, dataset=dataset, budget=budget, missing_chunks=missing_chunks)
        return open_zarr(place, dataset=dataset, budget=budget, missing_chunks=missing_chunks)
    except IntegrityError:
        raise
    except OSError as error:
        raise InputError(f"{shown(place)} cannot be read: {error.strerror or shown(str(error))}") from error


def _find_kind(path: Path) -> str:
    """Return the format by name and content, which must agree; refuse what is no matrix or not safe."""
    name = path.name.lower()
    suffix = ".mtx.gz" if name.endswith(".mtx.gz") else path.suffix.lower()
    if suffix in _REFUSED:
        raise InputError(f"{shown(path)} is refused: {suffix} {_REFUSED[suffix]}; accepted are {ACCEPTED}")
    try:
        status = os.stat(path)
    except ValueError:
        raise InputError(f"{shown(path)} is not a possible path") from None
    if stat.S_ISDIR(status.st_mode):
        if any((path / key).is_file() for key in (*METADATA, ".zgroup")):
            return "zarr"
        raise InputError(f"{shown(path)} is a directory and holds no Zarr store; accepted are {ACCEPTED}")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{shown(path)} is not a regular file")
    if status.st_size == 0:
        raise IntegrityError(f"{shown(path)} is empty (0 bytes)")
    claimed, content = _SUFFIXES.get(suffix), _sniff(path)
    if content == "pickle":
        raise InputError(f"{shown(path)} holds a pickle, which {_CODE}: refused; accepted are {ACCEPTED}")
    if claimed is None and content is None:
        raise InputError(f"{shown(path)} is in no known format; accepted are {ACCEPTED}")
    if claimed is not None and content != claimed and {claimed, content} != {"npz", "zarr"}:
        found = "something else" if content is None else f"a {_TITLES[content]} file"
        raise IntegrityError(f"{shown(path)} is named as a {_TITLES[claimed]} file but holds {found}, or is damaged")
    return content or str(claimed)


def _sniff(path: Path) -> str | None:
    """Return the format by the first bytes of the file, for a zip file by its members."""
    with open(path, "rb") as stream:
        first = stream.read(14)
    if first.startswith(b"\x93NUMPY"):
        return "npy"
    if first.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if first.lower() == b"%%matrixmarket" or first.startswith(b"\x1f\x8b"):
        return "mtx"
    if len(first) > 1 and first[0] == 0x80 and first[1] <= 5:
        return "pickle"
    if first.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise IntegrityError(f"{shown(path)} is a damaged zip file: {shown(str(error))}") from error
        return "zarr" if any(name.rpartition("/")[2] in METADATA for name in names) else "npz"
    return None
