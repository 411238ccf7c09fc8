"""What an orthonormalizer is."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from rnla.capability import Capability

__all__ = ["Orthonormalizer"]


@runtime_checkable
class Orthonormalizer(Protocol, metaclass=Capability):
    """X = Q R with Q orthonormal to working precision, also where X is rank deficient or zero."""

    def factor(self, x: Any, /) -> tuple[Any, Any]:
        """Return (Q, R) for X of shape (p, k), p >= k: Q of shape (p, k), R of shape (k, k), upper triangular."""
        ...
