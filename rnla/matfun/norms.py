"""The norm of the changed matrix B = H^2 + sign D D^H, from below and from above.

S1. A diagonal H: the largest diagonal entry of B is a lower bound; so is that of A, and norm(D D^H), of an update.
    Above: the largest eigenvalue of A, and norm(D D^H) more after an update.
S2. Any other: block Lanczos on B (rnla/error/krylov_norm.py), whose lower bound always holds; the upper one is the
    root's own where it has one, else Lanczos's, which fails with a stated probability.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from rnla._xp.linalg import host_values
from rnla.error.krylov_norm import krylov_norm
from rnla.matfun.anchor import FAILURE
from rnla.matfun.panels import inner, times
from rnla.matfun.roots import DiagonalRoot, Root
from rnla.operators.implicit import Implicit
from rnla.operators.ledger import Ledger
from rnla.rng import Key

__all__ = ["NormBounds", "lanczos_norm", "norm_bounds"]

_RATIO = 1.5


@dataclasses.dataclass(frozen=True, slots=True)
class NormBounds:
    """Bounds on a spectral norm, and what they took.

    Attributes
    ----------
    lower, upper : float
    failure_probability : float
        Of the upper one.
    products : int
        Columns multiplied with the root.
    """

    lower: float
    upper: float
    failure_probability: float
    products: int


def lanczos_norm(root: Any, product: Callable[[Any], Any], key: Key) -> tuple[float, float, bool, int]:
    """Return bounds on a norm from products, whether they are exact, and the columns multiplied.

    The matrix is Hermitian, in the shape and library of a root; the upper bound fails with probability `FAILURE`.
    """
    kept = SimpleNamespace(shape=root.shape, dtype=root.dtype, xp=root.xp, device=root.device, matmat=product)
    op = Ledger(Implicit(kept, root.dtype, root.xp, root.device).hermitian())
    lower, upper, exact = krylov_norm(op, key, failure=FAILURE, ratio=_RATIO)
    return lower * 2.0**op.exponent, upper * 2.0**op.exponent, exact, op.counts.products


def norm_bounds(root: Root, panel: Any, sign: int, change: float, key: Key) -> NormBounds:
    """Return bounds on norm(H^2 + sign D D^H).

    Parameters
    ----------
    root : Root
        H.
    panel : array, shape (n, k)
        D.
    sign : int
    change : float
        norm(D D^H).
    key : Key
    """
    if isinstance(root, DiagonalRoot):
        xp = root.xp
        modulus = xp.abs(panel)
        diagonal = host_values(root.h) ** 2 + sign * host_values(xp.sum(modulus * modulus, axis=1))
        lower = max(0.0, float(diagonal.max(initial=0.0)), max(root.upper**2, change) if sign > 0 else 0.0)
        return NormBounds(lower, root.upper**2 + max(sign, 0) * change, 0.0, 0)
    lower, upper, exact, products = lanczos_norm(
        root, lambda x: root.matmat(root.matmat(x)) + sign * times(panel, inner(panel, x)), key.child("norm")
    )
    own = root.upper**2 + max(sign, 0) * change
    return NormBounds(lower, min(upper, own), 0.0 if exact or own <= upper else FAILURE, 2 * products)
