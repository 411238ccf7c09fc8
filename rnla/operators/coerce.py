"""The front door for matrices: whatever the caller holds becomes an operator once, here.

Nothing is read, copied or converted beyond what a check needs; what cannot be used is refused in
words that name the cure.
"""

from __future__ import annotations

import math
import os
import warnings
from typing import Any

import numpy as np

from rnla._kernels.products import has_contiguous_rows, readable_in_place
from rnla._xp.namespace import (
    NUMPY,
    backend_name,
    is_array,
    is_concrete,
    is_dask,
    module_name,
    namespace_of,
    needs_grad,
)
from rnla.errors import AccuracyWarning, DTypeError, InputError
from rnla.operators.centered import CenteredColumns, CenteredRows, CenteredSparse
from rnla.operators.columnblocks import ColumnBlocks, in_blocks
from rnla.operators.dense import Dense, RowMajor
from rnla.operators.implicit import Implicit
from rnla.operators.protocols import LinearOperator
from rnla.operators.rowblocks import RowBlocks
from rnla.operators.sources import open_npy
from rnla.operators.sparse import Sparse

__all__ = ["as_operator", "compute_dtype", "warn_of_wide_integers"]

_KEPT = {"float32", "float64", "complex64", "complex128"}
_WIDENED = {"float16": "float32", "bfloat16": "float32"}
_EXACT_INTEGERS = 2**53


def compute_dtype(dtype: Any, what: str = "the matrix") -> np.dtype[Any]:
    """Return the dtype that a matrix is computed in.

    float32, float64, complex64 and complex128 are kept; float16 and bfloat16 become float32;
    integers and booleans become float64.

    Raises
    ------
    DTypeError
        For everything else, with the cure.

    Examples
    --------
    >>> compute_dtype(np.dtype("int8"))
    dtype('float64')
    """
    if isinstance(dtype, np.dtype) and dtype.char in "fdFD":  # without text, which is made slowly
        return dtype.newbyteorder("=")
    name: str
    try:
        name = np.dtype(dtype).newbyteorder("=").name
    except TypeError:
        name = str(dtype).rpartition(".")[2]
    if name in _KEPT:
        return np.dtype(name)
    if name in _WIDENED:
        return np.dtype(_WIDENED[name])
    if name.startswith(("int", "uint")) or name == "bool":
        return np.dtype(np.float64)
    if name in {"longdouble", "float128", "float96", "clongdouble", "complex256", "complex192"}:
        double = "complex" if name.startswith("c") else "float"
        raise DTypeError(
            f"{what} is {name}, which LAPACK does not compute in; .astype({double}) accepts double precision"
        )
    raise DTypeError(f"{what} has dtype {name}; numbers are needed: convert it to float32, float64 or complex first")


def _check_2d(shape: Any) -> None:
    if len(shape) != 2:
        hint = " (a vector is A[:, None] or A[None, :])" if len(shape) == 1 else ""
        hint = " (stacks of matrices are taken by svd, eigh and qr)" if len(shape) > 2 else hint
        raise InputError(f"a matrix has two dimensions; got shape {tuple(shape)}{hint}")


def warn_of_wide_integers(a: Any) -> None:
    """Warn of integers that float64 does not hold exactly."""
    if isinstance(a, np.ndarray) and a.dtype.kind not in "iu":
        return
    name = str(a.dtype).rpartition(".")[2]
    if name in {"int64", "uint64"} and math.prod(a.shape):
        xp = namespace_of(a)
        try:
            largest = max(abs(int(xp.min(a))), abs(int(xp.max(a))))
        except NotImplementedError:  # torch has no order on uint64
            return
        if largest > _EXACT_INTEGERS:
            warnings.warn(
                f"integers up to {largest} are rounded to float64, which is exact to 2**53 only",
                AccuracyWarning,
                stacklevel=4,
            )


def _from_ndarray(a: np.ndarray[Any, Any]) -> LinearOperator:
    if isinstance(a, np.matrix):
        raise DTypeError("np.matrix is refused because its * and indexing differ; pass np.asarray(A)")
    if isinstance(a, np.ma.MaskedArray):
        if np.ma.is_masked(a):
            raise InputError("the array has masked entries, which would be used as if they were data; fill them first")
        a = np.asarray(a.data)
    if hasattr(a, "unit") or hasattr(a, "units"):
        raise DTypeError(f"{type(a).__name__} carries units, which the factors would lose; pass np.asarray(A)")
    _check_2d(a.shape)
    dtype = compute_dtype(a.dtype)
    if isinstance(a, np.memmap):
        return in_blocks(a, dtype)
    a = a.view(np.ndarray)
    warn_of_wide_integers(a)
    in_place = readable_in_place(a, dtype) and has_contiguous_rows(a)
    return RowMajor(a, dtype) if in_place else Dense(a, dtype)


def _from_array(a: Any) -> LinearOperator:
    name = module_name(a)
    if needs_grad(a):
        raise DTypeError(
            "the tensor requires gradients, which are not recorded through a factorization; pass A.detach()"
        )
    if not is_concrete(a):
        kind = "a meta tensor" if name == "torch" else "a JAX tracer (inside jit, grad or vmap)"
        raise DTypeError(f"A is {kind}: it holds no numbers to factorize; pass a concrete array")
    if name == "torch" and str(a.layout) != "torch.strided":
        raise DTypeError(f"a torch tensor of layout {a.layout} is not taken; pass a SciPy sparse matrix or an operator")
    _check_2d(a.shape)
    dtype = compute_dtype(a.dtype)
    warn_of_wide_integers(a)
    return Dense(a, dtype)


def _from_operator(a: Any) -> LinearOperator:
    _check_2d(a.shape)
    dtype = getattr(a, "dtype", None)
    xp = getattr(a, "xp", None) or NUMPY
    xp = NUMPY if backend_name(xp) == "numpy" else xp
    return Implicit(a, compute_dtype(np.float64 if dtype is None else dtype), xp, getattr(a, "device", None))


def _is_sparse(a: Any) -> bool:
    return module_name(a) == "scipy" and hasattr(a, "format") and hasattr(a, "nnz")


def as_operator(A: Any) -> LinearOperator:
    """Return the operator for anything that stands for a matrix.

    Parameters
    ----------
    A : object
        A NumPy array (also memmap: read in row blocks), an array of a library that follows the array
        standard, a SciPy sparse matrix or array, the path of an ``.npy`` file, an HDF5, Zarr or Dask
        array, a SciPy `LinearOperator` or anything with ``shape`` and ``@`` or ``matmat``, a nested
        list, a data frame.

    Returns
    -------
    LinearOperator
        With the compute dtype of `compute_dtype`.

    Raises
    ------
    InputError, DTypeError, IntegrityError, OperatorError
        What cannot be used, with the cure.

    Examples
    --------
    >>> as_operator([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    if isinstance(A, (Dense, Sparse, RowBlocks, ColumnBlocks, Implicit, CenteredRows, CenteredColumns, CenteredSparse)):
        return A
    if isinstance(A, np.ndarray):
        return _from_ndarray(A)
    if isinstance(A, (str, os.PathLike)):
        path = os.fspath(A)
        if not str(path).endswith(".npy"):
            raise InputError(
                f"{path!r}: only the path of an .npy file is taken here; open other files and pass the array"
            )
        return _from_ndarray(open_npy(path))
    if _is_sparse(A):
        _check_2d(A.shape)
        dtype = compute_dtype(A.dtype)
        if isinstance(getattr(A, "data", None), np.ndarray) and A.data.dtype == A.dtype:  # not lists or dictionaries
            warn_of_wide_integers(A.data)
        return Sparse(A, dtype)
    if is_dask(A):
        _check_2d(A.shape)
        return in_blocks(A, compute_dtype(A.dtype))
    if is_array(A):
        return _from_array(A)
    if module_name(A) in {"h5py", "zarr"} and hasattr(A, "shape") and hasattr(A, "dtype"):
        _check_2d(A.shape)
        return in_blocks(A, compute_dtype(A.dtype))
    if callable(getattr(A, "as_operator", None)):
        return _from_operator(A.as_operator())
    if callable(getattr(A, "to_numpy", None)):
        return _from_ndarray(np.asarray(A.to_numpy()))
    if module_name(A) == "xarray":
        return _from_ndarray(np.asarray(A.values))
    if isinstance(A, (list, tuple)):
        try:
            return _from_ndarray(np.asarray(A))
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError("the nested list is ragged: every row must have the same length") from None
    if hasattr(A, "shape"):
        multiplies = callable(getattr(A, "matmat", None)) or hasattr(A, "__matmul__") or hasattr(A, "matvec")
        if multiplies:
            return _from_operator(A)
        if hasattr(A, "dtype") and hasattr(A, "__getitem__"):
            _check_2d(A.shape)
            return in_blocks(A, compute_dtype(A.dtype))
    raise DTypeError(
        f"a {type(A).__name__} is not a matrix: pass an array, a sparse matrix, an .npy path, "
        "or an object with shape and @ (and an adjoint)"
    )
