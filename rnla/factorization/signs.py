"""The one sign convention of factor pairs.

A singular vector pair (u, v) may be multiplied by any common phase.  The phase is chosen so that one
entry is real and positive: the first of largest modulus in the factor of the shorter side (the side
with fewer rows), or, for a square matrix, in the one of the two whose largest modulus is larger.  So
the factors of the adjoint are the adjoint's factors, but for ties.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._xp.linalg import cast, eps_of, is_complex
from rnla._xp.namespace import device_of, is_numpy, namespace_of

__all__ = ["fix_signs", "row_phases"]


def _pivot(columns: Any) -> tuple[Any, Any]:
    """Return the first entry of largest modulus in each column of each matrix, and its modulus."""
    xp = namespace_of(columns)
    modulus = xp.abs(columns)
    if is_numpy(xp) and columns.ndim == 2:  # the same in fewer calls
        top = modulus.max(axis=0)
        first = (modulus >= top * (1 - math.sqrt(eps_of(columns.dtype)))).argmax(axis=0)
        return columns[first, np.arange(columns.shape[1])], top
    top = xp.max(modulus, axis=-2)
    # Entries that tie but for rounding count as ties.
    near = modulus >= top[..., None, :] * (1 - math.sqrt(eps_of(columns.dtype)))
    first = xp.argmax(xp.astype(near, xp.int32) if not is_numpy(xp) else near.astype("i4"), axis=-2)
    rows = int(columns.shape[-2])
    index = xp.arange(rows) if is_numpy(xp) else xp.arange(rows, device=device_of(columns))
    chosen = xp.where(index[:, None] == first[..., None, :], columns, xp.zeros_like(columns))
    return xp.sum(chosen, axis=-2), top


def fix_signs(u: Any, vh: Any) -> tuple[Any, Any]:
    """Return U and Vh with the phases of the convention.

    Parameters
    ----------
    u : array, shape (..., m, k)
    vh : array, shape (..., k, n)

    Examples
    --------
    >>> import numpy as np
    >>> u, vh = fix_signs(np.array([[-1.0], [0.0]]), np.array([[0.6, -0.8, 0.0]]))
    >>> u.ravel().tolist(), vh.ravel().tolist()
    ([1.0, -0.0], [-0.6, 0.8, -0.0])
    """
    if 0 in u.shape or 0 in vh.shape:
        return u, vh
    xp = namespace_of(u)
    if is_numpy(xp) and u.ndim == 2 and u.dtype.kind == vh.dtype.kind == "f":
        return _with_real_signs(u, vh)
    v = xp.conj(vh.mT) if is_complex(vh.dtype) else vh.mT
    m, n = int(u.shape[-2]), int(v.shape[-2])
    if m == n:
        (pu, tu), (pv, tv) = _pivot(u), _pivot(v)
        pivot = xp.where(tv > tu * (1 + math.sqrt(eps_of(u.dtype))), pv, pu)
    else:
        pivot = _pivot(u if m < n else v)[0]
    phase = _phases(pivot)
    back = xp.conj(phase) if is_complex(phase.dtype) else phase
    return u * back[..., None, :], vh * phase[..., :, None]


def _with_real_signs(u: np.ndarray[Any, Any], vh: np.ndarray[Any, Any]) -> tuple[Any, Any]:
    """Return the same for real NumPy matrices, in fewer calls."""
    m, n = len(u), vh.shape[1]
    if m == n:
        (pivot, tu), (pv, tv) = _pivot(u), _pivot(vh.T)
        pivot = np.where(tv > tu * (1 + math.sqrt(eps_of(u.dtype))), pv, pivot)
    else:
        pivot = _pivot(u if m < n else vh.T)[0]
    sign = np.copysign(pivot.dtype.type(1), pivot)
    sign[pivot == 0] = 1
    return u * sign, vh * sign[:, None]


def _phases(pivot: Any) -> Any:
    """Return pivots divided by their moduli, and 1 for 0."""
    xp = namespace_of(pivot)
    modulus = xp.abs(pivot)
    one = xp.ones_like(modulus)
    positive = modulus > 0
    safe = cast(xp.where(positive, modulus, one), pivot.dtype)
    return xp.where(positive, pivot / safe, cast(one, pivot.dtype))


def row_phases(vh: Any) -> Any:
    """Return the phases of the first entry of largest modulus in each row of Vh.

    They multiply the columns of U, and their conjugates the rows of Vh, whose entries are real and positive then.

    Parameters
    ----------
    vh : array, shape (k, n)

    Examples
    --------
    >>> import numpy as np
    >>> row_phases(np.array([[0.6, -0.8, 0.0]])).tolist()
    [-1.0]
    """
    return _phases(_pivot(vh.mT)[0])
