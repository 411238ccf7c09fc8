"""Rows and columns picked from what lies in no array: stores, objects of the caller's, what is only multiplied.

The gates that read a matrix by parts, and rnla/operators/selection.py, are made of these.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._xp.namespace import backend_name, from_host, is_array, is_numpy, module_name
from rnla.errors import InputError, OperatorError
from rnla.operators.coerce import compute_dtype
from rnla.operators.columnblocks import ColumnBlocks
from rnla.operators.dense import Dense
from rnla.operators.implicit import Implicit
from rnla.operators.rowblocks import RowBlocks
from rnla.operators.sparse import Sparse

__all__ = ["brought_home", "facts_of", "is_callers_own", "selected", "stored", "unit_vectors"]

Array = np.ndarray[Any, Any]
_LIBRARIES = {"scipy", "h5py", "zarr", "dask", "pandas"}
_OPERATORS = (Dense, Sparse, RowBlocks, ColumnBlocks, Implicit)


def is_callers_own(A: Any) -> bool:
    """Whether A is an object of the caller's with a shape: no array, no operator of ours, of no known library."""
    return (
        not is_array(A) and not isinstance(A, _OPERATORS) and module_name(A) not in _LIBRARIES and hasattr(A, "shape")
    )


def facts_of(A: Any) -> tuple[Any, Any, np.dtype[Any], tuple[int, int]]:
    """Return the library, the device, the compute dtype and the shape of an object of the caller's."""
    xp = getattr(A, "xp", None) or np
    xp = np if backend_name(xp) == "numpy" else xp
    shape = tuple(A.shape)
    if len(shape) != 2:
        raise InputError(f"a matrix has two dimensions; got shape {shape}")
    device = None if is_numpy(xp) else getattr(A, "device", None)
    dtype = compute_dtype(getattr(A, "dtype", np.float64), "the matrix")
    return xp, device, dtype, (int(shape[0]), int(shape[1]))


def brought_home(x: Any, xp: Any, device: Any, name: str) -> Any:
    """Return what `name` gave as an array of a library; only NumPy's are moved to its device."""
    if is_numpy(xp):
        return np.asarray(x)
    if not is_array(x):
        raise OperatorError(f"{name} gave a {type(x).__name__} where an array is needed")
    return from_host(x, xp, device) if isinstance(x, np.ndarray) else x


def unit_vectors(index: Array, length: int, dtype: Any, xp: Any, device: Any) -> Any:
    """Return the unit vectors of these coordinates, as columns."""
    host = np.zeros((length, len(index)), dtype=dtype)
    host[index, np.arange(len(index))] = 1
    return from_host(host, xp, device)


def stored(base: Any) -> Any:
    """Return the array or store that an operator on disk reads from; None for any other."""
    base = base._by_rows if isinstance(base, ColumnBlocks) else base
    return base._source if isinstance(base, RowBlocks) else None


def selected(source: Any, index: Array, axis: int) -> Array:
    """Return rows (axis 0) or columns of a store by its own selection; each is read once, in ascending order."""
    distinct, place = np.unique(index, return_inverse=True)
    where = (distinct, slice(None)) if axis == 0 else (slice(None), distinct)
    name = module_name(source)
    if isinstance(source, np.ndarray) or name in {"dask", "h5py"}:
        found = np.asarray(source[where])
    elif name == "zarr":
        found = np.asarray(source.oindex[where])
    else:  # slices of rows are all that is known of it
        rows = distinct.tolist() if axis == 0 else range(source.shape[0])
        pieces = [np.asarray(source[i : i + 1]) for i in rows]
        found = np.concatenate(pieces) if pieces else np.empty((0, source.shape[1]))
        found = found if axis == 0 else found[:, distinct]
    return np.take(found, place, axis=axis)
