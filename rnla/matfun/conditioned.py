"""Blocks of solves at many shifts, which are nearly dependent, made fit for a Cholesky factor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._xp.linalg import eps_of
from rnla.orth.cholesky_qr import gram

__all__ = ["conditioned"]

_WORTH_IT = 50_000  # numbers in a block


def conditioned(block: Any) -> Any:
    """Return columns of the same span that a Cholesky factor can orthonormalize, where that is quick to have.

    The Cholesky factor of the Gram matrix of the scaled columns, shifted by a level of rounding, is divided out by
    substitution, whose backward error is small whatever the condition: a product with its inverse loses the span.
    """
    if not isinstance(block, np.ndarray) or math.prod(block.shape) < _WORTH_IT:
        return block
    from scipy.linalg import solve_triangular

    g = gram(block)
    scales = np.sqrt(np.diagonal(g).real)
    if not np.all(scales > 0):
        return block
    g = g / scales[:, None] / scales
    g[np.diag_indices_from(g)] += 100 * len(g) * eps_of(block.dtype)
    try:
        lower = np.linalg.cholesky(g) * scales[:, None]
    except np.linalg.LinAlgError:
        return block
    lower = lower.astype(block.dtype, copy=False)
    found = solve_triangular(lower, block.conj().T, lower=True, check_finite=False, overwrite_b=block.dtype.kind == "c")
    return np.ascontiguousarray(found.conj().T)
