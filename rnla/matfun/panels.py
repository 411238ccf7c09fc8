"""Products between panels of n rows, which stay where they are, and small arrays, which are NumPy's in double."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._kernels.products import adjoint_product, product
from rnla._xp.linalg import adjoint
from rnla._xp.namespace import device_of, from_host, is_numpy, namespace_of, to_host
from rnla.config import get_config

__all__ = [
    "adjoint_multiplied",
    "at_home",
    "by_modulus",
    "dtype_of",
    "inner",
    "multiplied",
    "real_row",
    "scaled_columns",
    "small_dtype",
    "times",
]

Small = np.ndarray[Any, Any]


def dtype_of(x: Any) -> np.dtype[Any]:
    """Return the dtype of an array of any library as NumPy's."""
    return np.dtype(str(x.dtype).rpartition(".")[2])


def small_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of small arrays that go with panels of a dtype."""
    return np.dtype(np.complex128 if dtype.kind == "c" else np.float64)


def at_home(small: Small, like: Any) -> Any:
    """Return a small array in the library, on the device and in the dtype of a panel."""
    return from_host(np.ascontiguousarray(small, dtype=dtype_of(like)), namespace_of(like), device_of(like))


def inner(q: Any, x: Any) -> Small:
    """Return Q^H X of two panels, on the host in double precision."""
    found = to_host(adjoint_multiplied(q, x))
    return found.astype(small_dtype(found.dtype), copy=False)


def multiplied(a: Any, x: Any) -> Any:
    """Return A X of two arrays of one library."""
    if is_numpy(namespace_of(a)):
        return product(a, x, a.dtype, get_config().threads)
    return a @ x


def adjoint_multiplied(a: Any, x: Any) -> Any:
    """Return the adjoint of A times X, of two arrays of one library."""
    if is_numpy(namespace_of(a)):
        return adjoint_product(a, x, a.dtype, get_config().threads)
    return adjoint(a) @ x


def times(q: Any, c: Small) -> Any:
    """Return the panel Q C for a small C."""
    return multiplied(q, at_home(c, q))


def real_row(values: Small, like: Any) -> Any:
    """Return a real vector in the library, on the device and in the precision of a panel."""
    real = np.zeros((), dtype=dtype_of(like)).real.dtype
    return from_host(np.ascontiguousarray(values, dtype=real), namespace_of(like), device_of(like))


def scaled_columns(panel: Any, values: Small) -> Any:
    """Return the panel with its columns multiplied by real numbers."""
    return panel * real_row(values, panel)[None, :]


def by_modulus(Y: Small) -> tuple[Small, Small]:
    """Return the eigenvalues of a Hermitian array by descending modulus, and their eigenvectors."""
    values, vectors = np.linalg.eigh(Y)
    order = np.argsort(-np.abs(values), kind="stable")
    return values[order], vectors[:, order]
