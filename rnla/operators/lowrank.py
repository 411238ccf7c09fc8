"""A factored matrix as an operator that is never formed."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, cast
from rnla._xp.namespace import device_of, from_host, namespace_of

__all__ = ["FactoredOperator"]


class FactoredOperator:
    """The matrix L K R of a factorization, which multiplies without ever being formed.

    Parameters
    ----------
    left : array, shape (m, k)
    core : array, shape (k,) or (k, l), or None
        A vector is a diagonal, None the identity.
    right : array, shape (l, n)
        The factor on the right as it stands in the product: an adjoint, for a singular value decomposition.

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

    def _scaled(self) -> Any:
        """Return the left factor times the core."""
        if self.core is None:
            return self.left
        core = cast(self.core, self.left.dtype)
        return self.left * core[None, :] if core.ndim == 1 else self.left @ core

    def matmat(self, x: Any) -> Any:
        """Return A X."""
        z = self.right @ x
        if self.core is not None:
            core = cast(self.core, self.left.dtype)
            z = core[:, None] * z if core.ndim == 1 else core @ z
        return self.left @ z

    def rmatmat(self, y: Any) -> Any:
        """Return the adjoint of A times Y."""
        z = adjoint(self.left) @ y
        if self.core is not None:
            core = cast(self.core, self.left.dtype)
            z = self.xp.conj(core)[:, None] * z if core.ndim == 1 else adjoint(core) @ z
        return adjoint(self.right) @ z

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
        z = y @ self.left
        if self.core is not None:
            core = cast(self.core, self.left.dtype)
            z = z * core if core.ndim == 1 else z @ core
        return z @ self.right

    @property
    def H(self) -> FactoredOperator:
        """The adjoint."""
        core = self.core
        if core is not None:
            core = adjoint(core) if core.ndim == 2 else self.xp.conj(core)
        return FactoredOperator(adjoint(self.right), core, adjoint(self.left))

    @property
    def T(self) -> FactoredOperator:
        """The transpose, without conjugation."""
        core = self.core.mT if self.core is not None and self.core.ndim == 2 else self.core
        return FactoredOperator(self.right.mT, core, self.left.mT)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("an operator is not formed behind your back; call .to_array() for the dense m by n array")

    def to_array(self) -> Any:
        """Return the m by n product as a dense array."""
        return self._scaled() @ self.right

    def __repr__(self) -> str:
        m, n = self.shape
        return f"<{m} x {n} operator of rank {self.right.shape[0]}, {self.dtype}>"
