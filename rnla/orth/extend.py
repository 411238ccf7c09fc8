"""Orthonormalize a block against a basis that is there already: block Gram-Schmidt, twice, checked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._kernels.products import adjoint_product, product
from rnla._xp.linalg import adjoint, column_norms, eps_of, frobenius, host_values
from rnla._xp.namespace import device_of, is_concrete, is_numpy, namespace_of
from rnla.config import get_config
from rnla.orth.protocols import Orthonormalizer
from rnla.rng import Key

__all__ = ["orthonormalize_against", "project_out"]

_ROUNDS = 4


def project_out(basis: Any, x: Any) -> Any:
    """Return X - B (B^H X)."""
    if basis is None or basis.shape[1] == 0:
        return x
    if is_numpy(namespace_of(x)):
        threads = get_config().threads
        return x - product(basis, adjoint_product(basis, x, x.dtype, threads), x.dtype, threads)
    return x - basis @ (adjoint(basis) @ x)


def _leak(basis: Any, q: Any) -> float:
    if is_numpy(namespace_of(q)):
        return frobenius(adjoint_product(basis, q, q.dtype, get_config().threads))
    return frobenius(adjoint(basis) @ q)


def orthonormalize_against(basis: Any, x: Any, orth: Orthonormalizer, key: Key) -> Any:
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

    Returns
    -------
    array, shape (p, k)
    """
    if basis is None or basis.shape[1] == 0:
        return orth.factor(x)[0]
    eps = eps_of(x.dtype)
    bound = 10 * eps * math.sqrt(x.shape[1])
    q = orth.factor(_refilled(project_out(basis, x), x, key))[0]
    for _ in range(_ROUNDS):
        rest = project_out(basis, q)
        q = orth.factor(_refilled(rest, q, key.child("again")))[0]
        if not is_concrete(q) or _leak(basis, q) <= bound:
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
