"""Roots that a state keeps and changes in place: all n^2 numbers, or a diagonal with a correction of low rank.

- `WholeRoot`: S in the basis of the eigenvectors of its anchor; X -> S + V diag(w) V^H is one product of thin arrays.
- `ThinRoot`: diag(h) + V diag(w) V^H; after each change V is orthonormalized anew, and what the tolerance does not need
  is dropped.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._kernels.products import subtract_product
from rnla._xp.linalg import adjoint, host_values, qr
from rnla._xp.namespace import device_of, is_numpy, namespace_of, to_host
from rnla.config import get_config
from rnla.matfun.panels import Small, by_modulus, dtype_of, inner, multiplied, scaled_columns, times
from rnla.matfun.roots import woodbury
from rnla.orth.cholesky_qr import CholeskyQR2

__all__ = ["ThinRoot", "WholeRoot", "changed"]


def changed(S: Any, V: Any, w: Small) -> Any:
    """Return S + V diag(w) V^H, in the memory of S where its library allows that."""
    left, right = scaled_columns(V, -w), adjoint(V)
    if is_numpy(namespace_of(S)):
        return subtract_product(S, left, np.ascontiguousarray(right), get_config().threads)
    return S - left @ right


class WholeRoot:
    """A Hermitian S as an array.

    Parameters
    ----------
    S : array, shape (n, n)
        Of the state's own.
    """

    kind = "dense, kept"

    def __init__(self, S: Any) -> None:
        self.S = S
        self.shape, self.xp, self.device = (int(S.shape[0]), int(S.shape[0])), namespace_of(S), device_of(S)
        self.dtype = dtype_of(S)

    @property
    def storage(self) -> int:
        """Numbers held."""
        return self.shape[0] * self.shape[0]

    def __reduce__(self) -> tuple[Any, ...]:
        return (WholeRoot, (self.S,))

    def matmat(self, x: Any) -> Any:
        """Return S X."""
        return multiplied(self.S, x)

    def shifted_solve(self, s: float, x: Any) -> Any:
        """Return (S + s I)^{-1} X, from one factorization."""
        eye = self.xp.eye(self.shape[0], dtype=self.S.dtype, device=self.device)
        return self.xp.linalg.solve(self.S + s * eye, x)

    def rounding(self, frobenius: float, eps: float) -> float:
        """Return a bound on what rounding the sum of `add` does to S, which has a Frobenius norm of about that."""
        return eps * frobenius

    def add(self, V: Any, w: Small, droppable: float) -> None:
        """Add V diag(w) V^H."""
        self.S = changed(self.S, V, w)

    def scale(self, factor: float) -> None:
        """Multiply by a number."""
        self.S = self.S * factor

    def copy(self) -> WholeRoot:
        """Return a copy that goes its own way."""
        return WholeRoot(self.S + 0)


class ThinRoot:
    """diag(h) + V diag(w) V^H.

    Parameters
    ----------
    h : array, shape (n,)
    like : array
        A panel of the library, device and dtype wanted.
    """

    kind = "diagonal, corrected"

    def __init__(self, h: Any, like: Any) -> None:
        self.h, self.V, self.w = h, like[:, :0], np.zeros(0)
        self.shape, self.xp, self.device = (int(h.shape[0]), int(h.shape[0])), namespace_of(h), device_of(h)
        self.dtype = dtype_of(like)

    @property
    def storage(self) -> int:
        """Numbers held."""
        return self.shape[0] * (1 + len(self.w))

    @property
    def least(self) -> float:
        """The smallest h."""
        return float(host_values(self.h).min(initial=np.inf))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "xp"}  # a module does not travel

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, xp=namespace_of(state["h"]))

    def matmat(self, x: Any) -> Any:
        """Return S X."""
        image = self.h[:, None] * x
        return image + times(self.V, self.w[:, None] * inner(self.V, x)) if len(self.w) else image

    def shifted_solve(self, s: float, x: Any) -> Any:
        """Return (S + s I)^{-1} X."""
        shifted = (self.h + s)[:, None]
        if not len(self.w):
            return x / shifted
        g = self.V / shifted
        return woodbury(self.V, self.w, g, inner(self.V, g), x / shifted, s)

    def rounding(self, frobenius: float, eps: float) -> float:
        """Return a bound on what the rounding of `add` does to S."""
        return 10 * eps * float(np.abs(self.w).sum())

    def add(self, V: Any, w: Small, droppable: float) -> None:
        """Add V diag(w) V^H, and drop eigenvalues of the correction up to a size."""
        both = namespace_of(V).concat([self.V, V], axis=1)
        q, r = CholeskyQR2().factor(both) if both.shape[0] >= both.shape[1] else qr(both)
        r = to_host(r)
        core = (r * np.concatenate([self.w, w])) @ r.conj().T
        values, vectors = by_modulus((core + core.conj().T) / 2)
        kept = np.abs(values) > droppable
        self.V, self.w = times(q, vectors[:, kept]), values[kept].astype(np.float64)

    def scale(self, factor: float) -> None:
        """Multiply by a number."""
        self.h, self.w = self.h * factor, self.w * factor

    def copy(self) -> ThinRoot:
        """Return a copy that goes its own way."""
        other = ThinRoot(self.h, self.V)
        other.V, other.w = self.V, self.w
        return other
