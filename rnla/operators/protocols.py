"""What an algorithm may do with a matrix: a small core, and powers that some matrices have.

Algorithms ask for powers (``isinstance(op, SupportsNormal)``), never for types.  An operator holds a
compute dtype: the floating dtype in which its products come out, always one of float32, float64,
complex64, complex128.  ``xp`` and ``device`` say which arrays it takes and gives.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np

from rnla.capability import Capability

__all__ = [
    "LinearOperator",
    "Magnitude",
    "SupportsBlocks",
    "SupportsDiagonal",
    "SupportsGram",
    "SupportsMagnitude",
    "SupportsNormal",
    "SupportsSelection",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Magnitude:
    """How large a matrix is: its Frobenius norm is ``frobenius * 2**exponent``.

    The exponent is 0 but for entries so large or small that squares of them would leave the range of
    the dtype; ``frobenius`` is then the norm of the matrix scaled by ``2**-exponent``.
    """

    frobenius: float
    exponent: int = 0


# Below the top of the range, squares of sums stay finite; above the bottom, squares of what is eps of the largest
# stay normal numbers.
SAFE_RANGE = {"d": (1e-135, 1e140), "f": (1e-11, 1e15)}


def scale_exponent(largest: float, dtype: np.dtype[Any]) -> int:
    """Return the exponent e so that a matrix with this largest modulus is safe to square after 2**-e."""
    low, high = SAFE_RANGE["f" if dtype.itemsize // (2 if dtype.kind == "c" else 1) == 4 else "d"]
    if largest == 0 or low <= largest <= high:
        return 0
    return math.frexp(largest)[1]


@runtime_checkable
class LinearOperator(Protocol, metaclass=Capability):
    """An m by n matrix that multiplies blocks of vectors from both sides."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """The compute dtype, as NumPy's dtype of that name."""
        ...

    @property
    def xp(self) -> Any:
        """The namespace of the arrays that it takes and gives."""
        ...

    @property
    def device(self) -> Any:
        """Where those arrays live; None for NumPy."""
        ...

    def matmat(self, x: Any, /) -> Any:
        """Return A X for X of shape (n, k)."""
        ...

    def rmatmat(self, y: Any, /) -> Any:
        """Return the adjoint of A times Y, for Y of shape (m, k)."""
        ...


@runtime_checkable
class SupportsNormal(LinearOperator, Protocol, metaclass=Capability):
    """A matrix that gives A X and the adjoint of A times A X in one pass over its data."""

    def normal_matmat(self, x: Any, /) -> tuple[Any, Any]:
        """Return the pair (adjoint of A times A X, A X)."""
        ...


@runtime_checkable
class SupportsMagnitude(LinearOperator, Protocol, metaclass=Capability):
    """A matrix whose entries can be read for their norm."""

    def measure(self) -> Magnitude | None:
        """Return the magnitude, reading the data if need be; None while only a product would tell.

        Raises `NonFiniteError` that says where, if an entry is NaN or infinite.
        """
        ...


@runtime_checkable
class SupportsBlocks(LinearOperator, Protocol, metaclass=Capability):
    """A matrix that can be read in blocks of rows, or of columns, in order."""

    def row_blocks(self) -> Iterator[tuple[slice, Any]]:
        """Yield (rows, block) with each block in the compute dtype."""
        ...

    def column_blocks(self) -> Iterator[tuple[slice, Any]]:
        """Yield (columns, block) with each block in the compute dtype."""
        ...


@runtime_checkable
class SupportsGram(LinearOperator, Protocol, metaclass=Capability):
    """A matrix whose Gram matrix was made when something else was read off it."""

    @property
    def known_gram(self) -> Any:
        """The adjoint of A times A, in double precision; None if it is not known."""
        ...


@runtime_checkable
class SupportsSelection(LinearOperator, Protocol, metaclass=Capability):
    """A matrix of which single rows and columns can be read without reading the rest."""

    def rows(self, i: np.ndarray[Any, Any], /) -> Any:
        """Return the rows with these indices as a dense array (k, n) in the compute dtype."""
        ...

    def columns(self, j: np.ndarray[Any, Any], /) -> Any:
        """Return the columns with these indices as a dense array (m, k) in the compute dtype."""
        ...


@runtime_checkable
class SupportsDiagonal(LinearOperator, Protocol, metaclass=Capability):
    """A matrix whose diagonal can be read without reading the rest."""

    def diagonal(self) -> Any:
        """Return the min(m, n) diagonal entries in the compute dtype."""
        ...
