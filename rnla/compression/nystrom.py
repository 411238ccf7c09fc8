"""The Nystrom approximation of a positive semidefinite matrix from a basis and its image [halko2011]_ (5.5).

Problem: given X with orthonormal columns and Y = A X, approximate a positive semidefinite A from inside.

Equation: V diag(w) V^H = Y (X^H Y)^+ Y^H to rounding: the only matrix of this rank that agrees with A on X, and for
which 0 <= V diag(w) V^H <= A in the order of Hermitian matrices.

S1. T = X^H Y, Hermitian; T = Z diag(t) Z^H.  A value t_i below -1e-2 sqrt(eps) norm(T), which leaves room for an
    operator that solves a system inside, says that A is not semidefinite.
S2. shift = 4 eps max(t), and 4 times the largest of -t_i, which rounding has made.
S3. F = (Y + shift X) Z diag(t + shift)^(-1/2), so that F F^H is the approximation of A + shift I.
S4. F = V diag(sigma) W^H by QR and the SVD of the triangle; w = max(sigma^2 - shift, 0) [tropp2017b]_.

Cost: 14 n l^2 + O(l^3) flops; no look at A.

Guarantee: A - V diag(w) V^H lies between 0 and (I - P) A (I - P), P = X X^H, up to the shift, so its error is not
above that of the projection in any unitarily invariant norm, and it is the projection's with half a power step more
(`tests/factorization/test_nystrom.py`, against `tests/reference/tropp2017b.py`).

Differences from the papers: (1) the eigenvalues of T take the place of its Cholesky factor: they tell a matrix that is
not semidefinite, and divide columns instead of solving with a triangle that may be near singular; (2) the shift is
4 eps norm(T) and grows with what was found negative, instead of sqrt(n) eps norm(Y), so that for an A of low rank the
error is a few eps whatever n.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._kernels.threads import interruptible
from rnla._xp.linalg import adjoint, cast, eigh, eps_of, frobenius, host_values, svd
from rnla._xp.namespace import device_of, from_host, is_numpy, namespace_of, to_host
from rnla.compression.two_sided import core_of, known_pairs, times
from rnla.errors import InputError
from rnla.operators.hermitian import require_hermitian_core
from rnla.orth import CholeskyQR2
from rnla.results import RangeBasis

__all__ = ["Nystrom", "leave_one_out_of_nystrom", "leaving_factors", "nystrom_of_basis"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Nystrom:
    """The approximation V diag(w) V^H, and what it was made with.

    Attributes
    ----------
    w : array, shape (l,)
        Descending, not negative.
    V : array, shape (n, l)
        Orthonormal columns.
    shift : float
    Z, t : array, numpy.ndarray
        Eigenvectors and eigenvalues of X^H A X, the latter in double precision.
    clipped : float or None
        Where all eigenpairs of A were known: the norm of the negative ones, which were set to 0.
    """

    w: Any
    V: Any
    shift: float
    Z: Any
    t: np.ndarray[Any, Any]
    clipped: float | None = None


def nystrom_of_basis(basis: RangeBasis) -> Nystrom:
    """Return the Nystrom approximation from a basis of any range finder.

    Parameters
    ----------
    basis : RangeBasis
        Of a Hermitian matrix, with its image.

    Raises
    ------
    InputError
        A is not Hermitian, or has a negative eigenvalue beyond rounding.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.array([[4.0, 2.0], [2.0, 3.0]])
    >>> X = np.eye(2)[:, :1]
    >>> found = nystrom_of_basis(RangeBasis("row", X, A @ X, (1,)))
    >>> ((found.V * found.w) @ found.V.T).round(12).tolist()
    [[4.0, 2.0], [2.0, 1.0]]
    """
    x, y = basis.basis, basis.image
    xp, device = namespace_of(x), device_of(x)
    known = known_pairs(basis)
    if known is not None:
        w, v = known
        t = host_values(w)
        _require_semidefinite(float(t.min(initial=0.0)), float(np.abs(t).max(initial=0.0)), x.dtype)
        order = np.argsort(-t, kind="stable")
        index = order if is_numpy(xp) else xp.asarray(order, device=device)
        w, v = xp.take(w, index, axis=0), xp.take(v, index, axis=1)
        clipped = float(np.linalg.norm(np.minimum(t, 0)))
        return Nystrom(xp.where(w > 0, w, xp.zeros_like(w)), v, 0.0, v, t[order], clipped)
    core = core_of(basis)  # S1
    require_hermitian_core(core)
    size = int(core.shape[0])
    lam, z = interruptible(lambda: eigh(core), 9.0 * size**3)
    t = host_values(lam)
    eps, top, least = eps_of(x.dtype), float(np.abs(t).max(initial=0.0)), float(t.min(initial=0.0))
    image = frobenius(y)
    _require_semidefinite(least if top >= eps * image else -image, top, x.dtype)
    shift = 4 * eps * top + 4 * max(0.0, -least)  # S2
    if shift == 0:
        return Nystrom(lam, x, 0.0, z, t)
    roots = from_host(1 / np.sqrt(t + shift), xp, device)
    f = times(y + shift * x, z) * cast(roots, x.dtype)[None, :]  # S3
    q, r = CholeskyQR2().factor(f)
    u, sigma, _ = interruptible(lambda: svd(r), 26.0 * size**3)  # S4
    w = sigma * sigma - shift
    return Nystrom(xp.where(w > 0, w, xp.zeros_like(w)), times(q, u), shift, z, t)


def _require_semidefinite(least: float, top: float, dtype: Any) -> None:
    if -least > 1e-2 * math.sqrt(eps_of(dtype)) * top:
        raise InputError(
            f"A is not positive semidefinite: on the basis found it has the eigenvalue {least:.3g} beside {top:.3g}; "
            "eigh takes any Hermitian matrix"
        )


def leave_one_out_of_nystrom(basis: RangeBasis, found: Nystrom, omega: Any) -> tuple[float, float] | None:
    """Return the leave-one-out estimate of the Frobenius error and its standard error [epperly2022]_, or None.

    For X = orth(Omega) with a Gaussian Omega = X R: the residual of the approximation from all columns but the i-th,
    times omega_i, is Y h_i / (g_i^H h_i) with g_i = R^{-H} e_i and h_i = T^{-1} g_i.  The mean of the squared norms
    is an unbiased estimate of the squared error with one column less.

    Parameters
    ----------
    basis : RangeBasis
        X and Y = A X with range(X) = range(Omega).
    found : Nystrom
    omega : array, shape (n, l)
    """
    factors = leaving_factors(basis, found, omega)
    if factors is None:
        return None
    h, weights = factors
    xp = namespace_of(basis.basis)
    coefficients = cast(from_host(h / weights[None, :], xp, device_of(basis.basis)), basis.basis.dtype)
    rest = times(basis.image + found.shift * basis.basis, coefficients)
    modulus = xp.abs(rest)
    squares = host_values(xp.sum(modulus * modulus, axis=0, dtype=xp.float64))
    mean, count = float(np.mean(squares)), len(squares)
    if mean == 0:
        return 0.0, 0.0
    spread = float(np.std(squares, ddof=1)) / math.sqrt(count) if count > 1 else mean
    return math.sqrt(mean), 0.5 * spread / math.sqrt(mean)


def leaving_factors(
    basis: RangeBasis, found: Nystrom, omega: Any
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None:
    """Return h_i = T^{-1} R^{-H} e_i as columns and the weights g_i^H h_i, on the host; None for a singular R.

    Leaving column i of Omega out takes Y h_i h_i^H Y^H / (g_i^H h_i) off the approximation.
    """
    r = to_host(adjoint(basis.basis) @ omega)
    r = r.astype(np.complex128 if r.dtype.kind == "c" else np.float64)
    z = to_host(found.Z).astype(r.dtype)
    values = np.linalg.svd(r, compute_uv=False)
    if not len(values) or values[-1] <= 1e-12 * values[0] or found.shift == 0:
        return None
    g = np.linalg.inv(r).conj().T
    h = z @ ((z.conj().T @ g) / (found.t + found.shift)[:, None])
    return h, np.einsum("ij,ij->j", g.conj(), h).real
