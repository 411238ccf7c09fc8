"""Block Gram-Schmidt against an orthonormal basis, in four sweeps over it [yamamoto2015]_, [giraud2005]_.

Problem: the QR of what a panel adds to a basis, where reading the basis is what costs.

S1. C = B^H X.
S2. G = Y^H Y for Y = X - B C, which is not kept; R1 = chol(G).
S3. Q1 = (X - B C) R1^{-1}; D = B^H Q1, H = Q1^H Q1.
S4. Q = (Q1 - B D) R^{-1} with R = chol(H - D^H D).

A block of a Krylov sequence shares only rounding with all but the last two blocks: S1 and S2, and what S3 takes off,
may leave out the rest of the basis, since D is of the whole of it.

Each line reads the basis once, and X or Q1 with it, by rows that stand in the cache (`rnla._kernels.sweeps`); as
separate products and CholeskyQR2 it would be four readings of the basis as well, and eleven of the panel.

Guarantee: S2 and S3 are the first round of CholeskyQR2 on Y, S3 and S4 its second, which also removes what is left in
the basis: where cond(R1) is below eps^{-1/2} / 30, H is the identity to a hundredth, so norm(Q^H Q - I) is a modest
multiple of eps; and where norm(D) is below sqrt(eps), B^H Q is rounding ("twice is enough").  What does not satisfy
these is left to the caller, who has slower ways.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._kernels import compiled
from rnla._kernels.panels import FAMILY, times_triangle
from rnla._kernels.sweeps import swept
from rnla._xp.linalg import adjoint, eps_of, root_and_inverse
from rnla.config import get_config
from rnla.orth.cholesky_qr import in_range, powers_near

__all__ = ["Added", "added_by", "pays"]

_OUT_OF_CACHE = 1 << 24  # bytes of basis and panel; what stays in the cache is as well read by separate products

_WELL_CONDITIONED = 1 / 30  # times eps^(-1/2)
_CLOSE_TO_IDENTITY = 0.1


@dataclasses.dataclass(frozen=True, slots=True)
class Added:
    """What a panel adds to a basis, before the last sweep.

    Attributes
    ----------
    triangle : array, shape (k, k)
        R of the QR of X - B (B^H X).
    """

    triangle: Any
    _basis: Any
    _q: Any
    _left: Any
    _gram: Any

    def orthonormal(self) -> Any:
        """Return Q of that QR, orthogonal to the basis as far as one projection makes it so."""
        root = root_and_inverse(self._gram)
        assert root is not None
        times_triangle(self._q, root[1], get_config().threads, out=self._q, squared=False)
        return self._q

    def orthogonal(self) -> Any | None:
        """Return Q of it, wholly orthogonal to the basis (S4), or None where one sweep does not make it so."""
        if not float(np.linalg.norm(self._left)) <= math.sqrt(eps_of(self._q.dtype)):
            return None
        root = root_and_inverse(self._gram - adjoint(self._left).astype(self._gram.dtype) @ self._left)
        if root is None:
            return None
        swept(self._basis, self._q, get_config().threads, minus=self._left, triangle=root[1], out=self._q, tied=False,
              squared=False)  # fmt: skip
        return self._q


def pays(basis: Any, x: Any) -> bool:
    """Whether sweeps beat separate products: by kernels, where the basis is read from memory, on the host."""
    if not isinstance(x, np.ndarray) or not isinstance(basis, np.ndarray):
        return False
    return basis.nbytes + x.nbytes >= _OUT_OF_CACHE and compiled.family(FAMILY, x.dtype) is not None


def added_by(basis: Any, x: Any, near: int | None = None, level: float = 0.0) -> Added | None:
    """Return what a panel adds to a basis (S1 to S3), or None where its columns are too nearly dependent for it.

    Parameters
    ----------
    basis : numpy.ndarray, shape (p, l)
        Orthonormal columns.
    x : numpy.ndarray, shape (p, k)
    near : int, optional
        Last columns of the basis, to which all is that X shares with the basis but for a part of norm `level`.  S3
        sees whether this holds; if not, it begins again without.
    level : float

    Examples
    --------
    >>> import numpy as np
    >>> basis, x = np.eye(4)[:, :1], np.array([[1.0, 5.0], [2.0, 0.0], [0.0, 3.0], [0.0, 0.0]])
    >>> added = added_by(basis, x)
    >>> np.abs(added.triangle).round(12).tolist(), np.abs(added.orthogonal()).round(12).tolist()
    ([[2.0, 0.0], [0.0, 3.0]], [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    """
    if min(x.shape) == 0 or not x.dtype.isnative:
        return None
    threads = get_config().threads
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        tied = basis if near is None else basis[:, max(0, basis.shape[1] - near) :]
        c = swept(tied, x, threads, squared=False)[0]  # S1
        g = swept(tied, x, threads, minus=c, tied=False)[1]  # S2
        assert g is not None
        norms = np.sqrt(np.diagonal(g).real)
    if not in_range(norms, x.dtype):
        return None
    powers = powers_near(norms, x.dtype)
    first = root_and_inverse(g / powers[:, None] / powers)
    if first is None:
        return None
    condition = float(np.linalg.norm(first[0]) * np.linalg.norm(first[1]))
    if not condition * math.sqrt(eps_of(x.dtype)) <= _WELL_CONDITIONED:
        return None
    q = np.empty(x.shape, dtype=x.dtype)
    left, h = swept(basis, x, threads, minus=c, triangle=first[1] / powers[:, None], out=q)  # S3
    assert h is not None
    if not float(np.linalg.norm(h - np.eye(len(h)))) <= _CLOSE_TO_IDENTITY:
        return None
    second = root_and_inverse(h)
    assert second is not None
    triangle = second[0] @ first[0] * powers
    if tied.shape != basis.shape and not float(np.linalg.norm(left @ triangle)) <= level:
        return added_by(basis, x)
    return Added(triangle.astype(x.dtype, copy=False), basis, q, left, h)
