"""Single entries of D, where the source gives them without the rows or columns that they lie on."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._xp.linalg import cast
from rnla._xp.namespace import is_numpy, module_name, to_host
from rnla.robust.reading import Reader

__all__ = ["read_points"]

Array = np.ndarray[Any, Any]


def read_points(reader: Reader, i: Array, j: Array) -> Array:
    """Return D[i[k], j[k]] for each k, on the host.

    From arrays, mapped files and Zarr nothing else is read; from functions of blocks and HDF5 neither, line by line;
    from anything else the rows or the columns that they lie on, whichever are fewer.

    Parameters
    ----------
    reader : Reader
    i, j : numpy.ndarray of int64, shape (k,)
    """
    source = reader.stored
    if isinstance(source, np.ndarray):
        return reader.converted(source[i, j])
    if source is not None and not is_numpy(reader.xp):
        picked = (reader.xp.asarray(np.ascontiguousarray(each), device=reader.device) for each in (i, j))
        return np.asarray(to_host(cast(source[tuple(picked)], getattr(reader.xp, reader.dtype.name))))
    if module_name(source) == "zarr":
        return reader.converted(source.vindex[i, j])
    by_rows = len(np.unique(i)) <= len(np.unique(j))
    along, across = (i, j) if by_rows else (j, i)
    lines, place = np.unique(along, return_inverse=True)
    block = reader.block if reader.gives_blocks else None
    if block is None and module_name(source) == "h5py":
        block = _of_hdf5(source)
    if block is None:
        found = to_host(reader.rows(lines) if by_rows else reader.columns(lines))
        return np.asarray(found[place, across] if by_rows else found[across, place])
    out = np.empty(len(i), dtype=reader.dtype)
    for number, line in enumerate(lines):
        here = np.flatnonzero(place == number)
        other, back = np.unique(across[here], return_inverse=True)
        one = np.array([line])
        part = block(one, other) if by_rows else block(other, one)
        out[here] = reader.converted(to_host(part).reshape(-1)[back])
    return out


def _of_hdf5(source: Any) -> Any:
    """Return a function that gives a line of a block of a dataset."""

    def block(i: Array, j: Array) -> Array:
        return np.asarray(source[int(i[0]), j] if len(i) == 1 else source[i, int(j[0])])

    return block
