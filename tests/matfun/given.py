"""Objects that a caller may give for a root: right ones that count, and wrong ones in every way."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

Array = np.ndarray[Any, Any]


class Counting:
    """A dense root as an object that counts the columns it is given."""

    def __init__(self, H: Array) -> None:
        self.H, self.shape, self.dtype = H, H.shape, H.dtype
        self.calls = self.products = self.solves = 0

    def matmat(self, x: Array) -> Any:
        self.calls, self.products = self.calls + 1, self.products + x.shape[1]
        return self.H @ x

    def shifted_solve(self, s: float, x: Array) -> Any:
        self.calls, self.solves = self.calls + 1, self.solves + x.shape[1]
        return np.linalg.solve(self.H + s * np.eye(len(self.H), dtype=self.H.dtype), x)


class MultipliedOnly:
    """A dense root that cannot be solved with."""

    def __init__(self, H: Array) -> None:
        self.H, self.shape, self.dtype = H, H.shape, H.dtype

    def matmat(self, x: Array) -> Any:
        return self.H @ x


class Wrong(Counting):
    """An object whose solves, or products, go through a function that spoils them."""

    def __init__(self, H: Array, spoil: Any, what: str = "solve") -> None:
        super().__init__(H)
        self._spoil, self._what = spoil, what

    def matmat(self, x: Array) -> Any:
        y = super().matmat(x)
        return self._spoil(y) if self._what == "matmat" else y

    def shifted_solve(self, s: float, x: Array) -> Any:
        y = super().shifted_solve(s, x)
        return self._spoil(y) if self._what == "solve" else y


def tridiagonal(n: int, dtype: Any = np.float64, condition: float = 30.0) -> scipy.sparse.dia_array:
    """Return a sparse positive definite root: its off-diagonal entries are 0.3, its smallest diagonal entry is 1."""
    beside = np.full(n - 1, 0.3)
    return scipy.sparse.diags_array([beside, np.linspace(1.0, condition, n), beside], offsets=[-1, 0, 1]).astype(dtype)
