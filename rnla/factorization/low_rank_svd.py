"""The SVD of the compressed form Q C P^H: deterministic, small, dense."""

from __future__ import annotations

from typing import Any

from rnla._kernels.products import product
from rnla._kernels.threads import interruptible
from rnla._xp.linalg import adjoint, svd
from rnla._xp.namespace import is_numpy, namespace_of
from rnla.config import get_config
from rnla.orth import CholeskyQR2
from rnla.results import LowRank

__all__ = ["svd_of_low_rank"]


def svd_of_low_rank(factors: LowRank) -> tuple[Any, Any, Any]:
    """Return the SVD of Q C P^H from the QR of its long factor and the SVD of a triangle.

    Parameters
    ----------
    factors : LowRank
        One of Q and P is the identity, and C is the long factor on that side.

    Returns
    -------
    U, s, Vh : array
        With as many singular values as the short side of C.
    """
    orth = CholeskyQR2()
    if factors.Q is None:
        q, r = orth.factor(factors.C)
        u, s, wh = interruptible(lambda: svd(r), 26.0 * int(r.shape[0]) ** 3)
        return _times(q, u), s, adjoint(_times(factors.P, adjoint(wh)))
    q, r = orth.factor(adjoint(factors.C))
    u, s, wh = interruptible(lambda: svd(adjoint(r)), 26.0 * int(r.shape[0]) ** 3)
    return _times(factors.Q, u), s, adjoint(_times(q, adjoint(wh)))


def _times(panel: Any, small: Any) -> Any:
    if is_numpy(namespace_of(panel)):
        return product(panel, small, panel.dtype, get_config().threads)
    return panel @ small
