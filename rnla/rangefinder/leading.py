"""The leading eigenpairs of a small Hermitian matrix, without the others.

Problem: of a Gram matrix a few eigenvectors are wanted; the complete decomposition takes three times as long.

S1. Tridiagonal form T = Q^H X Q by reflections (LAPACK sytrd, hetrd).
S2. All eigenvalues of T by QR iteration without vectors (sterf); of the k largest the vectors by inverse iteration,
    orthogonal to those close by (stein).
S3. Back by Q (ormtr, unmtr).
S4. Look at the residual and at the columns' inner products; then one Newton step to orthonormal columns,
    V (3 - V^H V) / 2.

Cost: 4/3 n^3 flops for S1, about 30 n^2 for the values, 2 n^2 k for S3 and as much for S4.  Guarantee: residual and
inner products are looked at in double precision, whatever the dtype; what fails goes to the complete decomposition.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._kernels.lapack import call
from rnla._xp.linalg import adjoint, cast, eigh, eps_of
from rnla._xp.namespace import all_finite, is_numpy, namespace_of

__all__ = ["leading_eigh", "takes_tridiagonal_form"]

_LEAST = 32  # rows from which the tridiagonal form is worth its calls
_SHARE = 4  # of the pairs, one at most
_BLOCK = 32  # columns that LAPACK reflects together
_RESIDUAL = 1e3  # times eps and the norm
_ORTHONORMAL = 1e-9  # the Newton step squares it


def takes_tridiagonal_form(n: int, k: int) -> bool:
    """Whether k pairs of n are few enough that the others are left out."""
    return n >= _LEAST and 0 < _SHARE * k <= n


def leading_eigh(x: Any, k: int) -> tuple[Any, Any]:
    """Return the k largest eigenvalues of a Hermitian array, descending, and their vectors.

    Parameters
    ----------
    x : array, shape (n, n)
        Hermitian; only its lower triangle may be read.
    k : int
        At most n.

    Examples
    --------
    >>> import numpy as np
    >>> leading_eigh(np.diag([1.0, 3.0, 2.0]), 2)[0].tolist()
    [3.0, 2.0]
    """
    n = int(x.shape[0])
    if is_numpy(namespace_of(x)) and takes_tridiagonal_form(n, k) and all_finite(x):
        found = _by_tridiagonal_form(x.astype(np.complex128 if x.dtype.kind == "c" else np.float64, copy=False), k)
        if found is not None:
            return found[0], cast(found[1], x.dtype)
    w, v = eigh(x)
    xp = namespace_of(v)
    return xp.flip(w)[:k], xp.flip(v, axis=1)[:, :k]


def _by_tridiagonal_form(x: np.ndarray[Any, Any], k: int) -> tuple[Any, Any] | None:
    """Return the pairs, or None where they are not what they should be."""
    n, real = len(x), x.dtype.kind == "f"
    reduce, reflect = ("dsytrd", "dormtr") if real else ("zhetrd", "zunmtr")
    # LAPACK reads columns: what lies by rows is the transpose, equal for a real matrix and conjugate for a complex one.
    reflectors = np.array(x if real else x.T, order="C")
    tau, work = np.empty(n, dtype=x.dtype), np.empty(_BLOCK * n, dtype=x.dtype)
    diagonal, beside = np.empty((2, n))
    if call(reduce, "L", n, reflectors, n, diagonal, beside, tau, work, len(work)):  # S1
        return None
    scale = np.abs(diagonal).max()  # at most the norm
    w = diagonal.copy()
    if scale == 0 or call("dsterf", n, w, beside.copy()):  # S2
        return None
    w = w[n - k :]
    one_block, numbers, failed = np.ones(n, dtype=np.intc), np.empty((6, n)), np.empty((2, n), dtype=np.intc)
    z = np.empty((k, n))
    ends = np.full(n, n, dtype=np.intc)
    if call("dstein", n, diagonal, beside, k, w, one_block, ends, z, n, numbers, failed[0], failed[1]):
        return None
    z = z.astype(x.dtype, copy=False)
    if call(reflect, "L", "L", "N", n, k, reflectors, n, tau, z, n, work, len(work)):  # S3
        return None
    w, v = w[::-1], np.ascontiguousarray(z[::-1].T)
    residual = x @ v  # S4
    residual -= v * w
    inner = adjoint(v) @ v
    inner.flat[:: k + 1] -= 1
    if not np.abs(residual).max() <= _RESIDUAL * eps_of(x.dtype) * scale or not np.abs(inner).max() <= _ORTHONORMAL:
        return None
    v -= v @ (inner / 2)
    return w, v
