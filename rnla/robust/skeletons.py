"""L from the rows and columns of a cross: the algebra that RieCUR and IRCUR share.

S1  C = (D - S)[:, J] and R = (D - S)[I, :] meet in U = (D - S)[I, J].
S2  u, v: the leading r-dimensional spaces of U.  From scratch by its SVD; with the spaces of the iterate before at
    hand by one step of subspace iteration from these, which is exact where U has rank r, and saves the SVD.
S3  D - S ~ F G^H with F = C v (u^H U v)^{-1}, G = R^H u: the skeleton C U_r^+ R with the pseudo-inverse of rank r.
S4  From F G^H to U diag(s) Vh by two QR factorizations (`compressed`), or, projected on the tangent space of the
    matrices of rank r at the iterate before and cut to rank r again (`retracted`).

Equation of S4: P_T(X) = W W^H X + X V V^H - W W^H X V V^H has range in [W, Q2] and corange in [V, Q1], with
Q2 R2 = qr((F - W W^H F) G^H V), Q1 R1 = qr((G - V V^H G) F^H W) and the core
[[W^H F G^H V, R1^H], [R2, 0]] of size 2 r.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._kernels.thresholding import Tally
from rnla._xp.linalg import adjoint, cast, qr, svd, zeros
from rnla._xp.namespace import is_numpy, namespace_of, to_host
from rnla.robust.protocols import Factors
from rnla.robust.reading import Reader

__all__ = ["compressed", "leading_spaces", "located", "retracted", "settled", "stacked_blocks"]

Array = np.ndarray[Any, Any]


def leading_spaces(core: Array, rank: int, near: Array | None) -> tuple[Array, Array, Array]:
    """Return u, v and the pseudo-inverse of u^H U v (S2), on the host.

    Parameters
    ----------
    core : numpy.ndarray, shape (k, l)
        U.
    rank : int
    near : numpy.ndarray, shape (l, rank), or None
        About where v lies.
    """
    if near is None:
        left, values, right = np.linalg.svd(core, full_matrices=False)
        u, v, small = left[:, :rank], right[:rank].conj().T, np.diag(values[:rank])
    else:
        u = np.linalg.qr(core @ near)[0]
        v = np.linalg.qr(core.conj().T @ u)[0]
        small = u.conj().T @ core @ v
    a, values, b = np.linalg.svd(small)
    # Directions that U does not have are left out: dividing by them would make noise large, or overflow.
    info = np.finfo(core.dtype)
    kept = values > max(10 * len(core) * float(info.eps) * values[:1].max(initial=0.0), float(info.tiny))
    inverse = (b.conj().T * np.where(kept, 1 / np.where(kept, values, 1), 0)) @ a.conj().T
    return u, v, inverse


def located(
    reader: Reader, i: Array, j: Array, left: Any, right: Any, threshold: float, kind: str, rank: int, near: Any
) -> tuple[Any, Any, Tally, Tally]:
    """Return F and G for the cross of D less its outliers (S1 to S3), and what was seen of its rows and its columns.

    Parameters
    ----------
    reader : Reader
    i, j : numpy.ndarray of int64
        The rows and columns of the cross.
    left, right : array, shapes (m, r) and (r, n)
        The iterate before.
    threshold : float
    kind : str
    rank : int
    near : array, shape (rank, n), or None
        Vh of the iterate before.
    """
    start = None if near is None else to_host(reader.take(near, j, 1)).conj().T

    def spaces(core: Array) -> tuple[Array, Array]:
        u, v, inverse = leading_spaces(core, rank, start)
        return u, v @ inverse

    return reader.cross(i, j, left, right, threshold, kind, spaces)


def compressed(f: Any, g: Any) -> Factors:
    """Return F G^H as a singular value decomposition of its rank (S4)."""
    q1, r1 = qr(f)
    q2, r2 = qr(g)
    a, s, b = svd(r1 @ adjoint(r2))
    return Factors(q1 @ a, s, b @ adjoint(q2))


def retracted(f: Any, g: Any, factors: Factors) -> Factors:
    """Return the projection of F G^H on the tangent space at the factors, cut to their rank (S4)."""
    w, v, rank = factors.U, adjoint(factors.Vh), int(factors.s.shape[0])
    wf, vg = adjoint(w) @ f, adjoint(v) @ g
    q2, r2 = qr((f - w @ wf) @ adjoint(vg))
    q1, r1 = qr((g - v @ vg) @ adjoint(wf))
    middle = stacked_blocks(wf @ adjoint(vg), adjoint(r1), r2)
    a, s, b = svd(middle)
    left = w @ a[:rank, :rank] + q2 @ a[rank:, :rank]
    right = b[:rank, :rank] @ adjoint(v) + b[:rank, rank:] @ adjoint(q1)
    return Factors(left, s[:rank], right)


def stacked_blocks(a: Any, b: Any, c: Any) -> Any:
    """Return [[a, b], [c, 0]]."""
    xp, k, r = namespace_of(a), int(a.shape[0]), int(a.shape[1])
    if is_numpy(xp):
        out = np.zeros((k + c.shape[0], r + b.shape[1]), dtype=a.dtype)
        out[:k, :r], out[:k, r:], out[k:, :r] = a, b, c
        return out
    rest = zeros((c.shape[0], b.shape[1]), a)
    return xp.concat([xp.concat([a, b], axis=1), xp.concat([c, rest], axis=1)], axis=0)


def settled(factors: Factors) -> Factors:
    """Return the factors orthonormal to rounding, whatever many updates have left of it."""
    q1, r1 = qr(factors.U)
    q2, r2 = qr(adjoint(factors.Vh))
    s = cast(factors.s, factors.U.dtype)
    a, values, b = svd((r1 * s[None, :]) @ adjoint(r2))
    return Factors(q1 @ a, values, b @ adjoint(q2))
