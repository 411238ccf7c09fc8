"""The decomposition that a state of a root stands on, and how far it is from the matrix that was decomposed.

S1. A = U diag(a) U^H by `eigh`; a below zero by rounding is zero; h = a^{1/2}.
S2. What that did, norm(A - U diag(h)^2 U^H), and norm(U^H U - I): products with 16 Gaussian columns G.  For any E,
    norm(E)^2 <= norm(E G)_F^2 / x but with the probability that a chi-squared of 16 degrees is below x; for x = 0.42
    that is 1e-10.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from rnla._xp.linalg import cast, eigh, frobenius, host_values
from rnla._xp.namespace import device_of, namespace_of
from rnla.errors import InputError
from rnla.matfun.panels import adjoint_multiplied, dtype_of, multiplied
from rnla.rng import Key

__all__ = ["FAILURE", "Anchor", "decomposed", "probed"]

FAILURE = 1e-10
_COLUMNS, _LEAST = 16, 0.42


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Anchor:
    """A matrix U diag(h)^2 U^H.

    Attributes
    ----------
    h : array, shape (n,)
    U : array, shape (n, n), or None
        None for the unit matrix.
    error : float
        Bound on how far it is from the matrix decomposed.
    skew : float
        Bound on norm(U^H U - I).
    """

    h: Any
    U: Any
    error: float
    skew: float

    @property
    def top(self) -> float:
        """The largest h."""
        return float(host_values(self.h).max(initial=0.0))

    @property
    def least(self) -> float:
        """The smallest h."""
        return float(host_values(self.h).min(initial=math.inf))

    def into(self, x: Any) -> Any:
        """Return U^H X."""
        return x if self.U is None else adjoint_multiplied(self.U, x)

    def out(self, x: Any) -> Any:
        """Return U X."""
        return x if self.U is None else multiplied(self.U, x)


def probed(error: Callable[[Any], Any], like: Any, key: Key) -> float:
    """Return a bound on the norm of E, given X -> E X, that fails with probability `FAILURE` (S2)."""
    n, xp = int(like.shape[0]), namespace_of(like)
    x = key.normals(0, n, _COLUMNS, dtype=dtype_of(like), xp=xp, device=device_of(like))
    return frobenius(error(x)) / math.sqrt(_LEAST)


def decomposed(A: Any, tolerated: float, key: Key, power: int = 2) -> Anchor:
    """Return the decomposition U diag(h)^power U^H of a positive semidefinite matrix (S1, S2).

    Parameters
    ----------
    A : array, shape (n, n)
    tolerated : float
        How far below zero an eigenvalue may be, relative to the largest: rounding.
    key : Key
    power : int
        1 where the matrix is the root itself.
    """
    values, U = eigh(A)
    xp = namespace_of(A)
    host = host_values(values)
    top = float(abs(host).max(initial=0.0))
    if len(host) and float(host[0]) < -tolerated * top:
        raise InputError(
            f"A has the eigenvalue {float(host[0]):.3g}, and its largest is {top:.3g}: it is not positive "
            "semidefinite, so it has no root"
        )
    h = xp.where(values > 0, values, xp.zeros_like(values))
    h = xp.sqrt(h) if power == 2 else h
    U = cast(U, A.dtype)
    squares = (h**power)[:, None]
    error = probed(
        lambda x: multiplied(A, x) - multiplied(U, squares * adjoint_multiplied(U, x)), U, key.child("decomposed")
    )
    skew = probed(lambda x: adjoint_multiplied(U, multiplied(U, x)) - x, U, key.child("unitary"))
    return Anchor(h, U, error, skew)
