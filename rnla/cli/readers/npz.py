"""The npz format, dense or in SciPy's sparse layout: names and declared sizes first, every index checked after.

SciPy's own loader accepts indices that point outside the matrix, and products with such a matrix read foreign memory
or end the process; here the structure is checked in full before a sparse array is made of it.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from rnla.cli.readers.opened import OpenedMatrix, require_budget, require_matrix, require_numeric, shown
from rnla.errors import DTypeError, InputError, IntegrityError
from rnla.operators.sources import NpyHeader, read_npy_header

__all__ = ["open_npz"]

MEMBER = re.compile(r"[\w\-][\w.\- ]{0,127}\.npy")  # one plain name: no separators, no drive, no leading dot
BLOCK = 2**20
PARTS = {
    "csr": ("indices", "indptr"),
    "csc": ("indices", "indptr"),
    "bsr": ("indices", "indptr"),
    "coo": ("row", "col"),
    "dia": ("offsets",),
}
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError)


class _Archive:
    """The members of an npz file by array name, with whitelisted names, read one by one into memory."""

    def __init__(self, file: zipfile.ZipFile, where: str, budget: int) -> None:
        self.file, self.where, self.budget = file, where, budget
        self.members: dict[str, zipfile.ZipInfo] = {}
        for info in file.infolist():
            label = f"{where}: member {shown(repr(info.filename))}"
            if not MEMBER.fullmatch(info.filename):
                raise IntegrityError(f"{label} is not a plain array name ending in .npy, refused")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 0x1:
                raise IntegrityError(f"{label} is encrypted or packed by a method that npz does not use, refused")
            name = info.filename[: -len(".npy")]
            if name in self.members:
                raise IntegrityError(f"{label} occurs twice")
            self.members[name] = info

    def label(self, name: str) -> str:
        return f"{self.where}: array {shown(repr(name))}"

    def header(self, name: str) -> NpyHeader:
        with self.file.open(self.members[name]) as stream:
            header = read_npy_header(stream, self.label(name))
        # The length of pickled objects is no business of the header; they are refused where they would be read.
        if not header.dtype.hasobject and header.offset + header.nbytes != self.members[name].file_size:
            raise IntegrityError(
                f"{self.label(name)} with shape {header.shape} needs {header.nbytes} bytes of data, "
                f"{self.members[name].file_size - header.offset} are declared"
            )
        return header

    def charge(self, names: list[str]) -> None:
        """Hold the declared sizes of all that will be read against the budget, before any of it is read."""
        need = sum(self.members[name].file_size for name in names)
        require_budget(need, self.budget, f"unpacking {self.where}", "save the matrix as .npy, which is mapped")

    def read(self, name: str) -> np.ndarray[Any, Any]:
        header = self.header(name)
        if header.dtype.hasobject:
            require_numeric(header.dtype, self.label(name))
        flat = np.empty(header.nbytes, np.uint8)
        with self.file.open(self.members[name]) as stream:
            stream.read(header.offset)
            done = 0
            while done < flat.size:
                block = stream.read(min(BLOCK, flat.size - done))
                if not block:
                    raise IntegrityError(f"{self.label(name)} is truncated")
                flat[done : done + len(block)] = np.frombuffer(block, np.uint8)
                done += len(block)
            stream.read(1)  # reaches the end, where the checksum is compared
        order: Any = header.order
        return flat.view(header.dtype).reshape(header.shape, order=order)

    def choose(self, dataset: str | None) -> str:
        if dataset is not None:
            if dataset in self.members:
                return dataset
            raise InputError(f"{self.where} has no array {shown(repr(dataset))}; it has {self.listing()}")
        headers = {name: self.header(name) for name in self.members}
        matrices = [n for n, h in headers.items() if len(h.shape) == 2 and h.dtype.kind in "biufc"]
        if len(matrices) == 1:
            return matrices[0]
        if len(headers) == 1:
            return next(iter(headers))  # not a matrix: let the checks of dtype and shape say why
        if not matrices and any(h.dtype.hasobject for h in headers.values()):
            raise DTypeError(f"{self.where} holds pickled objects, refused, and no matrix of numbers")
        found = ", ".join(f"{shown(n)} {h.shape}" for n, h in sorted(headers.items())[:20]) or "nothing"
        how = "several matrices, name one with dataset=" if matrices else "no matrix"
        raise InputError(f"{self.where} holds {how}; it has {found}")

    def listing(self) -> str:
        return ", ".join(shown(name) for name in sorted(self.members)[:20]) or "none"


def open_npz(path: Path, *, dataset: str | None, budget: int) -> OpenedMatrix:
    """Read a matrix from an npz file into memory: a sparse matrix as SciPy saves it, or one dense array.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    dataset : str or None
        The name of the array, needed only where the file holds several matrices.
    budget : int
        Bytes that reading may hold in memory.

    Returns
    -------
    OpenedMatrix
        With a ``csr_array`` or an ``ndarray``.
    """
    where = shown(path)
    try:
        with zipfile.ZipFile(path) as file:
            archive = _Archive(file, where, budget)
            if dataset is None and {"format", "shape", "data"} <= archive.members.keys():
                array, kind = _read_sparse(archive), "sparse npz"
            else:
                name = archive.choose(dataset)
                header = archive.header(name)
                require_numeric(header.dtype, archive.label(name))
                require_matrix(header.shape, archive.label(name))
                archive.charge([name])
                array, kind = archive.read(name), "npz"
    except (InputError, DTypeError):
        raise
    except BROKEN as error:
        raise IntegrityError(f"{where} is a damaged npz file: {shown(str(error) or type(error).__name__)}") from error
    return OpenedMatrix(array, kind, path, require_matrix(array.shape, where), array.dtype, path.stat().st_size)


def _read_sparse(archive: _Archive) -> Any:
    """Rebuild a SciPy sparse matrix in CSR form from its parts, checking all of its structure."""
    where = archive.where
    small = ("format", "shape")
    if any(archive.members[name].file_size > 4096 for name in small):
        raise IntegrityError(f"{where}: the format or the shape of the sparse matrix is damaged")
    tag = archive.read("format")
    if tag.shape != () or tag.dtype.kind not in "SU":
        raise IntegrityError(f"{where}: the format of the sparse matrix is not one word")
    text = tag.item()
    form = text.decode("ascii", "replace") if isinstance(text, bytes) else str(text)
    if form not in PARTS:
        raise IntegrityError(f"{where}: unknown sparse format {shown(form)!r}; expected one of {', '.join(PARTS)}")
    stored = archive.read("shape")
    if stored.ndim != 1 or stored.dtype.kind not in "iu" or (stored.size and (stored < 0).any()):
        raise IntegrityError(f"{where}: the shape of the sparse matrix is damaged")
    rows, columns = require_matrix(tuple(int(n) for n in stored), where)
    names = PARTS[form]
    if form == "coo" and "coords" in archive.members:
        names = ("coords",)
    missing = [name for name in ("data", *names) if name not in archive.members]
    if missing:
        raise IntegrityError(f"{where}: a sparse matrix in {form} form needs the array {missing[0]!r}")
    archive.charge(["data", *names])
    head = archive.header("data")
    require_numeric(head.dtype, archive.label("data"))
    stored_bytes = sum(archive.members[name].file_size for name in ("data", *names))
    csr_bytes = (rows + columns + 2) * 8 + head.nbytes + 8 * (head.nbytes // max(1, head.dtype.itemsize))
    cure = "raise the budget or use a machine with more memory"
    require_budget(stored_bytes + csr_bytes, archive.budget, f"holding {where}, {rows} x {columns}, as CSR", cure)
    data, parts = _native(archive.read("data")), [_native(archive.read(name)) for name in names]
    for name, part in zip(names, parts, strict=True):
        if part.dtype.kind not in "iu" or part.ndim != (2 if name == "coords" else 1):
            raise IntegrityError(f"{where}: {name} of the sparse matrix is not a list of integers")
    if names == ("coords",):
        if parts[0].shape[0] != 2:
            raise IntegrityError(f"{where}: coords of the sparse matrix is not two lists")
        parts = [parts[0][0], parts[0][1]]
    return _BUILDERS[form](data, *parts, (rows, columns), where)


def _native(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the array in native byte order, and half precision as single: sparse products know neither."""
    dtype = np.dtype(np.float32) if array.dtype == np.float16 else array.dtype.newbyteorder("=")
    return array.astype(dtype, copy=False)


def _inside(index: np.ndarray[Any, Any], limit: int, what: str, where: str) -> np.ndarray[Any, Any]:
    """Return the index array as it is, having checked that every entry lies in 0 ... limit - 1."""
    if index.size and (int(index.min()) < 0 or int(index.max()) >= limit):
        raise IntegrityError(f"{where}: a {what} index of the sparse matrix lies outside 0 ... {limit - 1}")
    return index


def _check_pointers(pointers: np.ndarray[Any, Any], lines: int, stored: int, where: str) -> int:
    """Check that the pointers start at 0, never fall and end within the data; return how many entries they cover."""
    sound = pointers.size == lines + 1 and pointers[0] == 0 and bool((pointers[1:] >= pointers[:-1]).all())
    if not sound or int(pointers[-1]) > stored:
        raise IntegrityError(f"{where}: the pointers (indptr) of the sparse matrix are damaged")
    return int(pointers[-1])


def _full_check(matrix: Any) -> Any:
    matrix.check_format(full_check=True)
    return matrix


def _from_compressed(form: str) -> Any:
    def build(data: Any, indices: Any, indptr: Any, shape: tuple[int, int], where: str) -> Any:
        import scipy.sparse

        major, minor = shape if form == "csr" else shape[::-1]
        if data.ndim != 1 or data.shape != indices.shape:
            raise IntegrityError(f"{where}: data and indices of the sparse matrix differ in length")
        used = _check_pointers(indptr, major, indices.size, where)
        _inside(indices[:used], minor, "column" if form == "csr" else "row", where)
        kind = scipy.sparse.csr_array if form == "csr" else scipy.sparse.csc_array
        matrix = _full_check(kind((data[:used], indices[:used], indptr), shape=shape))
        return matrix if form == "csr" else _full_check(matrix.tocsr())

    return build


def _from_bsr(data: Any, indices: Any, indptr: Any, shape: tuple[int, int], where: str) -> Any:
    import scipy.sparse

    if data.ndim != 3 or data.shape[0] != indices.size or 0 in data.shape[1:]:
        raise IntegrityError(f"{where}: data and indices of the block sparse matrix do not belong together")
    height, width = data.shape[1:]
    if shape[0] % height or shape[1] % width:
        raise IntegrityError(f"{where}: blocks of {height} x {width} do not tile shape {shape}")
    used = _check_pointers(indptr, shape[0] // height, indices.size, where)
    _inside(indices[:used], shape[1] // width, "block column", where)
    return _full_check(scipy.sparse.bsr_array((data[:used], indices[:used], indptr), shape=shape).tocsr())


def _from_coo(data: Any, row: Any, col: Any, shape: tuple[int, int], where: str) -> Any:
    import scipy.sparse

    if data.ndim != 1 or not data.shape == row.shape == col.shape:
        raise IntegrityError(f"{where}: data, row and col of the sparse matrix differ in length")
    pairs = (_inside(row, shape[0], "row", where), _inside(col, shape[1], "column", where))
    return _full_check(scipy.sparse.coo_array((data, pairs), shape=shape).tocsr())


def _from_dia(data: Any, offsets: Any, shape: tuple[int, int], where: str) -> Any:
    import scipy.sparse

    if data.ndim != 2 or data.shape[0] != offsets.size or np.unique(offsets).size != offsets.size:
        raise IntegrityError(f"{where}: data and offsets of the diagonal sparse matrix do not belong together")
    if offsets.size and (int(offsets.min()) <= -max(1, shape[0]) or int(offsets.max()) >= max(1, shape[1])):
        raise IntegrityError(f"{where}: a diagonal of the sparse matrix lies outside shape {shape}")
    return _full_check(scipy.sparse.dia_array((data, offsets), shape=shape).tocsr())


_BUILDERS: dict[str, Any] = {
    "csr": _from_compressed("csr"),
    "csc": _from_compressed("csc"),
    "bsr": _from_bsr,
    "coo": _from_coo,
    "dia": _from_dia,
}
