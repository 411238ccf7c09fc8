"""Views of an operator: its adjoint, and itself times a power of two.  Neither copies anything."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla.operators.protocols import LinearOperator, SupportsNormal

__all__ = ["Adjoint", "Scaled", "View"]


class View:
    """What every view of one operator shares; abstract, and named so that the ledger is one too."""

    __slots__ = ("base",)

    def __init__(self, base: LinearOperator) -> None:
        self.base = base

    @property
    def dtype(self) -> np.dtype[Any]:
        """The compute dtype."""
        return self.base.dtype

    @property
    def xp(self) -> Any:
        """The namespace of the arrays that it takes and gives."""
        return self.base.xp

    @property
    def device(self) -> Any:
        """Where those arrays live; None for NumPy."""
        return self.base.device


class Adjoint(View):
    """The adjoint of an operator."""

    __slots__ = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        m, n = self.base.shape
        return n, m

    def matmat(self, x: Any) -> Any:
        """Return the product with the adjoint."""
        return self.base.rmatmat(x)

    def rmatmat(self, y: Any) -> Any:
        """Return the product with the matrix."""
        return self.base.matmat(y)

    def normal_product(self, x: Any) -> tuple[Any, Any]:
        """Return (A times the adjoint of A times X, adjoint of A times X): two passes."""
        y = self.matmat(x)
        return self.rmatmat(y), y


class Scaled(View):
    """An operator times ``2**exponent``: the thin operand is scaled, which is exact.

    Both products take the factor in two halves, before and after, so that neither operand leaves
    the range of its dtype on the way.
    """

    __slots__ = ("_halves", "exponent")

    def __init__(self, base: LinearOperator, exponent: int) -> None:
        super().__init__(base)
        self.exponent = exponent
        self._halves = 2.0 ** (exponent // 2), 2.0 ** (exponent - exponent // 2)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.base.shape

    def matmat(self, x: Any) -> Any:
        """Return the scaled A X."""
        before, after = self._halves
        return self.base.matmat(x * before) * after

    def rmatmat(self, y: Any) -> Any:
        """Return the scaled adjoint product."""
        before, after = self._halves
        return self.base.rmatmat(y * before) * after

    def fused_normal(self, x: Any) -> tuple[Any, Any] | None:
        """Return the scaled normal product in one pass, or None where the range would be left."""
        limit = 60 if self.dtype.name in {"float32", "complex64"} else 600
        if not isinstance(self.base, SupportsNormal) or abs(self.exponent) > limit:
            return None
        w, y = self.base.normal_matmat(x * 2.0**self.exponent)
        return w * 2.0**self.exponent, y
