"""A bound on the spectral norm of a residual from powered probes [halko2011]_ (Lemma 4.1).

For any matrix B and r independent normal columns w_i, norm(B) <= a sqrt(2/pi) max norm(B w_i) but
with probability a^-r (real); for circular complex columns norm(B) <= a max norm(B w_i) but with
a^-2r.  Applied to B = (R R^H)^q R, whose norm is norm(R)^(2q+1), the factor shrinks to its
(2q+1)-th root.

Cost: 2q + 1 products of r columns.  Guarantee: bounded, with the failure probability above.
"""

from __future__ import annotations

import math
from typing import Any

from rnla._xp.linalg import adjoint, column_norms, host_values, is_complex
from rnla.operators.protocols import LinearOperator
from rnla.rng import Key

__all__ = ["SPECTRAL_PASSES", "spectral_bound"]

_COLUMNS = 6
_POWER = 2
_FACTOR = 10.0
SPECTRAL_PASSES = 2 * _POWER + 1
"""Passes over the matrix that one bound takes."""


def spectral_bound(op: LinearOperator, basis: Any, image: Any, key: Key) -> tuple[float, float]:
    """Return a bound on the spectral norm of A - Y X^H, and the probability that it fails.

    Parameters
    ----------
    op : LinearOperator
        A, with the basis X in its row space.
    basis, image : array
        X and Y = A X.
    key : Key
        Independent of the one that the basis was drawn from.
    """
    n = op.shape[1]
    complex_columns = is_complex(basis.dtype)
    x = key.normals(0, n, _COLUMNS, dtype=op.dtype, xp=op.xp, device=op.device)
    grown = 0.0  # log of the factor taken out so far, so that powers stay in range

    def residual(z: Any) -> Any:
        return op.matmat(z) - image @ (adjoint(basis) @ z)

    def residual_adjoint(z: Any) -> Any:
        return op.rmatmat(z) - basis @ (adjoint(image) @ z)

    y = residual(x)
    for _ in range(_POWER):
        for step in (residual_adjoint, residual):
            size = float(host_values(column_norms(y)).max(initial=0.0))
            if size == 0:
                return 0.0, 0.0
            grown += math.log(size)
            y = step(y / size)
    largest = float(host_values(column_norms(y)).max(initial=0.0))
    failure = _FACTOR ** (-_COLUMNS * (2 if complex_columns else 1))
    if largest == 0:
        return 0.0, failure
    factor = _FACTOR if complex_columns else _FACTOR * math.sqrt(2 / math.pi)
    return math.exp((math.log(factor * largest) + grown) / (2 * _POWER + 1)), failure
