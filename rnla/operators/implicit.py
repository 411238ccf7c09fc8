"""Matrices that are known only by their products: SciPy operators and anything with ``shape`` and ``@``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnla._xp.linalg import is_complex
from rnla._xp.namespace import NUMPY, is_array, namespace_of
from rnla.errors import OperatorError

__all__ = ["Implicit"]


def _forward(a: Any) -> Callable[[Any], Any] | None:
    if callable(getattr(a, "matmat", None)):
        return a.matmat  # type: ignore[no-any-return]
    if hasattr(a, "__matmul__"):
        return lambda x: a @ x
    if callable(getattr(a, "matvec", None)):
        return lambda x: _by_columns(a.matvec, x)
    return None


def _backward(a: Any) -> Callable[[Any], Any] | None:
    if all(getattr(a, f"_CustomLinearOperator__{name}_impl", a) is None for name in ("rmatvec", "rmatmat")):
        return None  # SciPy's class around functions, without one for the adjoint; asked, it fails with a TypeError
    if callable(getattr(a, "rmatmat", None)):
        return a.rmatmat  # type: ignore[no-any-return]
    if callable(getattr(a, "rmatvec", None)):
        return lambda y: _by_columns(a.rmatvec, y)
    for name in ("H", "adjoint"):
        other = getattr(a, name, None)
        other = other() if callable(other) and not hasattr(other, "shape") else other
        if other is not None and hasattr(other, "__matmul__"):
            return lambda y, other=other: other @ y  # type: ignore[misc]
    transposed = getattr(a, "T", None)
    if transposed is not None and hasattr(transposed, "__matmul__"):

        def by_transpose(y: Any) -> Any:
            if not is_complex(y.dtype):
                return transposed @ y
            xp = namespace_of(y)
            return xp.conj(transposed @ xp.conj(y))

        return by_transpose
    return None


def _by_columns(product: Callable[[Any], Any], x: Any) -> Any:
    xp = namespace_of(x)
    return xp.stack([xp.reshape(product(x[:, j]), (-1,)) for j in range(x.shape[1])], axis=1)


class Implicit:
    """A user's operator, with its two products found by what it can do.

    Parameters
    ----------
    operator : object
        Has ``shape`` and one of ``matmat``, ``@``, ``matvec``; for the adjoint one of ``rmatmat``,
        ``rmatvec``, ``.H``, ``.adjoint()``, ``.T``.
    dtype : numpy.dtype
        The compute dtype.
    xp, device
        The arrays that it multiplies.
    """

    __slots__ = ("_backward", "_forward", "_operator", "device", "dtype", "shape", "xp")

    def __init__(self, operator: Any, dtype: np.dtype[Any], xp: Any = NUMPY, device: Any = None) -> None:
        self._operator = operator
        self._forward = _forward(operator)
        if self._forward is None:
            raise OperatorError(
                f"a {type(operator).__name__} has none of matmat, @ and matvec, so it multiplies nothing"
            )
        try:
            self._backward = _backward(operator)
        except NotImplementedError:
            self._backward = None
        self.shape: tuple[int, int] = (int(operator.shape[0]), int(operator.shape[1]))
        self.dtype = dtype
        self.xp = xp
        self.device = device

    def matmat(self, x: Any) -> Any:
        """Return A X as the operator gives it."""
        assert self._forward is not None
        return self._forward(x)

    def rmatmat(self, y: Any) -> Any:
        """Return the adjoint of A times Y as the operator gives it."""
        if self._backward is None:
            raise self._no_adjoint()
        try:
            return self._backward(y)
        except (NotImplementedError, AttributeError) as error:
            raise self._no_adjoint() from error

    def known_diagonal(self) -> Any:
        """Return the diagonal as the operator's own method tells it, None where it has none."""
        method = getattr(self._operator, "diagonal", None)
        if not callable(method):
            return None
        values, expected = method(), (min(self.shape),)
        if not is_array(values) or tuple(values.shape) != expected:
            found = f"shape {tuple(values.shape)}" if hasattr(values, "shape") else f"a {type(values).__name__}"
            raise OperatorError(f"{type(self._operator).__name__}.diagonal() must give shape {expected}, got {found}")
        return values

    def hermitian(self) -> Implicit:
        """Return the same operator, said to be Hermitian: its product with the adjoint is its product."""
        other = Implicit(self._operator, self.dtype, self.xp, self.device)
        other._backward = other._forward
        return other

    def require_adjoint(self) -> None:
        """Raise where the operator has no product with its adjoint, before any work."""
        if self._backward is None:
            raise self._no_adjoint()

    def _no_adjoint(self) -> OperatorError:
        return OperatorError(
            f"{type(self._operator).__name__} has no product with its adjoint, which every method of svd needs: give "
            "it rmatmat(Y) or rmatvec(y), the product with the conjugate transpose (for a symmetric operator that is "
            "matmat itself)"
        )
