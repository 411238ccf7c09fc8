"""A factored matrix Q C P^H as an operator, and the residual that a certificate looks at."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, cast
from rnla._xp.namespace import device_of, from_host, namespace_of

__all__ = ["FactoredOperator"]


class FactoredOperator:
    """The matrix U diag(s) V^H of a factorization, which multiplies without ever being formed.

    Parameters
    ----------
    left : array, shape (m, k)
    core : array, shape (k,)
        The diagonal.
    right : array, shape (k, n)
        The adjoint factor, as a factorization returns it.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.outer(np.arange(4.0), np.ones(3))
    >>> op = rnla.svd(A, 1, rng=0).as_operator()
    >>> bool(np.allclose(op @ np.ones(3), A @ np.ones(3)))
    True
    """

    __array_ufunc__ = None  # a NumPy array on the left defers to __rmatmul__

    def __init__(self, left: Any, core: Any, right: Any) -> None:
        self.left, self.core, self.right = left, core, right
        self.xp = namespace_of(left)
        self.device = device_of(left)
        self.dtype = np.dtype(str(left.dtype).rpartition(".")[2])
        self.shape: tuple[int, int] = (int(left.shape[0]), int(right.shape[1]))

    def matmat(self, x: Any) -> Any:
        """Return A X."""
        return self.left @ (cast(self.core, self.left.dtype)[:, None] * (self.right @ x))

    def rmatmat(self, y: Any) -> Any:
        """Return the adjoint of A times Y."""
        return adjoint(self.right) @ (cast(self.core, self.left.dtype)[:, None] * (adjoint(self.left) @ y))

    def matvec(self, x: Any) -> Any:
        """Return A x for one vector."""
        return self.matmat(self.xp.reshape(x, (-1, 1)))[:, 0]

    def rmatvec(self, y: Any) -> Any:
        """Return the adjoint of A times one vector."""
        return self.rmatmat(self.xp.reshape(y, (-1, 1)))[:, 0]

    def __matmul__(self, x: Any) -> Any:
        if isinstance(x, (list, tuple)):
            x = from_host(np.asarray(x, dtype=self.dtype), self.xp, self.device)
        return self.matvec(x) if x.ndim == 1 else self.matmat(x)

    def __rmatmul__(self, y: Any) -> Any:
        if y.ndim == 1:
            return ((y @ self.left) * cast(self.core, self.left.dtype)) @ self.right
        return ((y @ self.left) * cast(self.core, self.left.dtype)[None, :]) @ self.right

    @property
    def H(self) -> FactoredOperator:
        """The adjoint."""
        return FactoredOperator(adjoint(self.right), self.core, adjoint(self.left))

    @property
    def T(self) -> FactoredOperator:
        """The transpose, without conjugation."""
        return FactoredOperator(self.right.mT, self.core, self.left.mT)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("an operator is not formed behind your back; call .to_array() for the dense m by n array")

    def to_array(self) -> Any:
        """Return the m by n product as a dense array."""
        return (self.left * cast(self.core, self.left.dtype)[None, :]) @ self.right

    def __repr__(self) -> str:
        m, n = self.shape
        return f"<{m} x {n} operator of rank {self.core.shape[0]}, {self.dtype}>"
