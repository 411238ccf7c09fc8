"""Orthonormalize a block against a basis that is there already: block Gram-Schmidt, twice, checked.

S1. X <- X - B (B^H X); of a B whose first columns X is orthogonal to already, but for rounding, the others alone.
S2. Q = orth(X).
S3. C = B^H Q; Q <- Q - B C.
S4. Where norm(C) is above sqrt(eps), S3 has changed Q^H Q = I - C^H C by more than rounding: Q = orth(Q), again S3.

Guarantee: after S3 the part of Q in the basis is norm(I - B^H B) norm(C) and the rounding of one product, so with B
orthonormal to working precision [B Q] is too; a second round is always enough where X was independent of the basis to
working precision ("twice is enough", [giraud2005]_); what was not is replaced by random columns first.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._kernels.products import adjoint_product, subtract_product
from rnla._xp.linalg import adjoint, column_norms, eps_of, frobenius, host_values
from rnla._xp.namespace import device_of, is_concrete, is_numpy, namespace_of
from rnla.config import get_config
from rnla.orth.protocols import Orthonormalizer
from rnla.rng import Key

__all__ = ["orthogonalized", "orthonormalize_against", "project_out"]

_ROUNDS = 4


def project_out(basis: Any, x: Any) -> Any:
    """Return X - B (B^H X)."""
    if basis is None or basis.shape[1] == 0:
        return x
    return _split(basis, x, False)[0]


def _split(basis: Any, x: Any, mine: bool) -> tuple[Any, Any]:
    """Return X - B C and C = B^H X (S1, S3); `mine` says that X may be overwritten."""
    if is_numpy(namespace_of(x)):
        threads = get_config().threads
        c = adjoint_product(basis, x, x.dtype, threads)
        return subtract_product(x if mine and x.flags.writeable else np.array(x, order="C"), basis, c, threads), c
    c = adjoint(basis) @ x
    return x - basis @ c, c


def orthonormalize_against(basis: Any, x: Any, orth: Orthonormalizer, key: Key, recent: int | None = None) -> Any:
    """Return Q with orthonormal columns, orthogonal to the basis, whose range holds what X adds to it.

    Directions of X that lie in the basis to rounding are replaced by random ones (named by the key),
    so that Q always has as many columns as X and [B Q] is orthonormal to working precision.

    Parameters
    ----------
    basis : array, shape (p, l), or None
        Orthonormal columns.
    x : array, shape (p, k), l + k <= p
    orth : Orthonormalizer
    key : Key
        For the replacements.
    recent : int, optional
        Columns at the end of the basis; to those before them X is orthogonal already, but for rounding.  Where that is
        not so, S4 finds it out, and the work is done twice.

    Returns
    -------
    array, shape (p, k)
    """
    if basis is None or basis.shape[1] == 0:
        return orth.factor(x)[0]
    near = basis if recent is None else basis[:, max(0, int(basis.shape[1]) - recent) :]
    q = orth.factor(_refilled(project_out(near, x), x, key))[0]  # S1, S2
    return orthogonalized(basis, q, orth, key)


def orthogonalized(basis: Any, q: Any, orth: Orthonormalizer, key: Key) -> Any:
    """Return orthonormal columns, which are nearly orthogonal to a basis already, made wholly so (S3, S4).

    Parameters
    ----------
    basis : array, shape (p, l)
        Orthonormal columns.
    q : array, shape (p, k)
        Orthonormal columns of the caller's own, which may be overwritten.
    orth : Orthonormalizer
    key : Key
    """
    small = math.sqrt(eps_of(q.dtype))
    for _ in range(_ROUNDS):
        rest, c = _split(basis, q, True)
        if is_concrete(c) and frobenius(c) <= small:
            return rest
        q = orth.factor(_refilled(rest, q, key.child("again")))[0]
        if not is_concrete(c):
            break
    return q


def _refilled(rest: Any, before: Any, key: Key) -> Any:
    """Replace columns that vanished in a projection by random ones of the norm that the others had."""
    if not is_concrete(rest):
        return rest
    left, had = host_values(column_norms(rest)), host_values(column_norms(before))
    dead = left <= 4 * eps_of(rest.dtype) * np.where(had > 0, had, 1.0)
    if not dead.any():
        return rest
    xp, device = namespace_of(rest), device_of(rest)
    name = str(rest.dtype).rpartition(".")[2]
    fresh = key.child("refill").normals(0, int(rest.shape[0]), int(rest.shape[1]), dtype=name, xp=xp, device=device)
    size = float(left.max()) / math.sqrt(rest.shape[0]) or 1.0
    mask = xp.asarray(dead) if is_numpy(xp) else xp.asarray(dead, device=device)
    return xp.where(mask[None, :], fresh * size, rest)
