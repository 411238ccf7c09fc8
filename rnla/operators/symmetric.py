"""Hermitian arrays in memory: operators whose narrow products read each half of the matrix once."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._kernels import symmetric_products
from rnla.config import get_config
from rnla.operators.dense import Dense, RowMajor
from rnla.operators.protocols import Magnitude

__all__ = ["Symmetric", "SymmetricByRows", "symmetric"]


class Symmetric(Dense):
    """A NumPy array that was found to be Hermitian, in its compute dtype.

    Parameters
    ----------
    array : numpy.ndarray, shape (n, n)
        Kept as it is.
    dtype : numpy.dtype
    magnitude : Magnitude
        What `measure` would find.
    """

    __slots__ = ("_rows",)
    kernel_families = (symmetric_products.FAMILY,)

    def __init__(self, array: np.ndarray[Any, Any], dtype: np.dtype[Any], magnitude: Magnitude | None = None) -> None:
        super().__init__(array, dtype)
        self._magnitude = magnitude
        self._rows = symmetric_products.SymmetricRows(array, dtype)

    def matmat(self, x: Any) -> Any:
        """Return A X."""
        return self._rows.product(x, get_config().threads)

    def rmatmat(self, y: Any) -> Any:
        """Return the adjoint of A, which is A, times Y."""
        return self._rows.product(y, get_config().threads)


class SymmetricByRows(Symmetric, RowMajor):
    """One with contiguous rows: the normal product reads it once.

    Parameters
    ----------
    array : numpy.ndarray, shape (n, n)
    dtype : numpy.dtype
    magnitude : Magnitude
    """

    __slots__ = ()


def symmetric(base: Dense) -> Dense:
    """Return the operator of a NumPy array that is Hermitian to rounding as one of these, any other as it is."""
    array = base.resident
    if type(base) not in (Dense, RowMajor) or array is None:
        return base
    kind = SymmetricByRows if isinstance(base, RowMajor) else Symmetric
    return kind(array, base.dtype, base.measure())
