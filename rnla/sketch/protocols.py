"""What a test matrix is, and the powers that some have beyond their tiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from rnla.capability import Capability
from rnla.rng import Key

__all__ = ["SparseTestMatrix", "SupportsApply", "TestMatrix"]


@runtime_checkable
class TestMatrix(Protocol, metaclass=Capability):
    """A random matrix Omega, described before it is drawn.

    Its columns are isotropic with entries of mean square 1: E omega omega^H = I for each column omega,
    so norm(A Omega)_F^2 / columns estimates norm(A)_F^2 without bias.
    """

    def tile(
        self, start: int, stop: int, rows: int, columns: int, key: Key, *, dtype: Any, xp: Any, device: Any
    ) -> Any:
        """Return rows [start, stop) of the (rows, columns) test matrix of this key."""
        ...


@runtime_checkable
class SparseTestMatrix(TestMatrix, Protocol, metaclass=Capability):
    """A test matrix with few entries in a row, which multiplies without being formed dense."""

    def sparse_tile(self, start: int, stop: int, rows: int, columns: int, key: Key, *, dtype: Any) -> Any:
        """Return the same rows as `tile`, bit for bit, as a SciPy array in canonical CSR."""
        ...


@runtime_checkable
class SupportsApply(TestMatrix, Protocol, metaclass=Capability):
    """A test matrix that multiplies rows of A faster, or in less memory, than a dense product with its tiles."""

    def applier(
        self, rows: int, columns: int, key: Key, *, dtype: Any, stored: float | None = None
    ) -> Callable[[np.ndarray[Any, Any]], Any] | None:
        """Return the function that takes rows of A, a NumPy array (p, rows) in `dtype`, to those rows of A Omega.

        `stored` says that A is sparse, with this many stored entries in a row on average.  None is returned
        where the product with the dense Omega is cheaper.
        """
        ...
