"""What a test matrix is."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from rnla.rng import Key

__all__ = ["TestMatrix"]


@runtime_checkable
class TestMatrix(Protocol):
    """A random matrix Omega, described before it is drawn.

    Its rows are isotropic with entries of mean square 1: E omega omega^H = I for each column omega,
    so norm(A Omega)_F^2 / columns estimates norm(A)_F^2 without bias.
    """

    def tile(
        self, start: int, stop: int, rows: int, columns: int, key: Key, *, dtype: Any, xp: Any, device: Any
    ) -> Any:
        """Return rows [start, stop) of the (rows, columns) test matrix of this key."""
        ...
