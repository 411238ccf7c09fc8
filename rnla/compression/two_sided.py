"""The two-sided projection of a Hermitian matrix on a basis, X (X^H A X) X^H [halko2011]_ (Algorithm 5.3).

Problem: given an orthonormal basis X and the image A X, a Hermitian approximation of the Hermitian matrix A.

Equation: A ~ X T X^H with T the Hermitian part of X^H A X.  With P = X X^H, the error is orthogonal to what is kept:
norm(A - P A P)_F^2 = norm(A)_F^2 - norm(T)_F^2, also where A is Hermitian only up to rounding.

S1. T = X^H (A X), and its Hermitian part.

Cost: 2 n l^2 flops; no look at A.
Guarantee: norm(A - P A P) <= 2 norm(A - P A), in the spectral and the Frobenius norm
(`tests/factorization/test_eigh.py`).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from rnla._kernels.products import adjoint_product, product
from rnla._kernels.threads import interruptible
from rnla._xp.linalg import adjoint, cast, eigh, eps_of, frobenius, host_values, is_complex, svd
from rnla._xp.namespace import is_concrete, is_numpy, namespace_of
from rnla.config import get_config
from rnla.operators.ledger import Ledger
from rnla.orth import CholeskyQR2
from rnla.orth.cholesky_qr import gram
from rnla.orth.extend import orthonormalize_against, project_out
from rnla.results import RangeBasis
from rnla.rng import Key

__all__ = ["Core", "core_of", "known_pairs", "times", "two_sided", "with_image"]

_WORTH_A_PASS = 0.02
"""Of the squared error of a rank: what the one-sided projection must be better by; one percent of the error."""


def core_of(basis: RangeBasis) -> Any:
    """Return X^H A X as it comes out of the products, Hermitian up to rounding where A is Hermitian."""
    if is_numpy(namespace_of(basis.basis)):
        return adjoint_product(basis.basis, basis.image, basis.basis.dtype, get_config().threads)
    return adjoint(basis.basis) @ basis.image


def times(panel: Any, small: Any) -> Any:
    """Return the product of a panel with a small matrix."""
    if is_numpy(namespace_of(panel)):
        return product(panel, small, panel.dtype, get_config().threads)
    return panel @ small


class Core:
    """X^H A X and its eigenvalues and eigenvectors for the basis that was asked for last: each is made once."""

    __slots__ = ("_core", "_of", "_pairs")

    def __init__(self) -> None:
        self._of: tuple[Any, Any] | None = None
        self._core: Any = None
        self._pairs: tuple[Any, Any] | None = None

    def of(self, basis: RangeBasis) -> Any:
        """Return X^H A X as it comes out of the products."""
        if self._of is None or self._of[0] is not basis.basis or self._of[1] is not basis.image:
            self._core, self._pairs, self._of = core_of(basis), None, (basis.basis, basis.image)
        return self._core

    def pairs(self, basis: RangeBasis) -> tuple[Any, Any]:
        """Return eigenvalues, ascending, and eigenvectors of its Hermitian part."""
        core = self.of(basis)
        if self._pairs is None:
            self._pairs = interruptible(lambda: eigh(core), 9.0 * int(core.shape[0]) ** 3)
        return self._pairs


def known_pairs(basis: RangeBasis) -> tuple[Any, Any] | None:
    """Return the eigenvalues and eigenvectors that a complete factorization has found already, if it has.

    A singular value decomposition gives them where every left vector is a right one with a sign, to rounding.
    """
    if basis.factors is None:
        return None
    u, s, vh = basis.factors
    xp, v = namespace_of(u), adjoint(vh)
    if u.shape != v.shape:
        return None
    along = xp.sum(xp.conj(v) * u if is_complex(v.dtype) else v * u, axis=0)
    along = xp.real(along) if is_complex(along.dtype) else along
    signs = xp.where(along < 0, -xp.ones_like(along), xp.ones_like(along))
    if frobenius(u - v * cast(signs, v.dtype)[None, :]) > 30 * eps_of(v.dtype) * math.sqrt(max(1, int(v.shape[0]))):
        return None
    return s * cast(signs, s.dtype), v


def two_sided(basis: RangeBasis, core: Any = None) -> RangeBasis:
    """Return the basis with the image that X T X^H, the two-sided projection, has on it.

    Parameters
    ----------
    basis : RangeBasis
        Of a Hermitian matrix; its rows' and columns' spaces are one.
    core : array, optional
        X^H A X, where it is known.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.array([[2.0, 1.0], [1.0, 3.0]])
    >>> X = np.eye(2)[:, :1]
    >>> two_sided(RangeBasis("row", X, A @ X, (1,))).image.tolist()
    [[2.0], [0.0]]
    """
    core = core_of(basis) if core is None else core
    image = times(basis.basis, (core + adjoint(core)) / 2)
    return dataclasses.replace(
        basis, image=image, leave_one_out=None, leave_one_out_spread=None, factors=None, cut="two-sided",
        left_out=math.hypot(basis.left_out, frobenius(core - adjoint(core)) / 2),
    )  # fmt: skip


def with_image(op: Ledger, basis: RangeBasis, rank: int, key: Key, core: Core | None = None) -> RangeBasis:
    """Return the basis joined with its image where that lets the two-sided projection be noticeably better.

    A space X that is invariant under A^2 but not under A mixes eigenvalues of both signs, and X^H A X underestimates
    their moduli; the space of X and A X is invariant.  One product of at most as many columns as the basis has.

    Parameters
    ----------
    op : Ledger
        The Hermitian matrix.
    basis : RangeBasis
    rank : int
        How many eigenvalues, of largest modulus, the comparison is made for.
    key : Key
    core : Core, optional
        That of the caller, who goes on with it.
    """
    n = int(basis.basis.shape[0])
    if basis.size >= n or basis.factors is not None or not is_concrete(basis.image) or basis.size == 0:
        return basis
    core = Core() if core is None else core
    two = math.fsum(sorted(host_values(core.pairs(basis)[0]) ** 2, reverse=True)[:rank])
    kept, made = frobenius(core.of(basis)), frobenius(basis.image)
    magnitude = op.measure()
    whole = made if magnitude is None else magnitude.frobenius
    rounding = 100 * eps_of(op.dtype) * whole**2
    # No sum of eigenvalues grows by more than the trace of what is added: here of (A X - X T)^H (A X - X T).
    most = max(0.0, (made - kept) * (made + kept))
    if most <= _WORTH_A_PASS * (whole**2 - two - most) + rounding:
        return basis
    one = math.fsum(sorted(host_values(eigh(gram(basis.image))[0]), reverse=True)[:rank])
    if one - two <= _WORTH_A_PASS * (whole**2 - one) + rounding:
        return basis
    # Of the image what is outside the basis, as far as it is more than rounding.
    rest = project_out(basis.basis, basis.image)
    q, triangle = CholeskyQR2().factor(rest)
    u, s, _ = svd(triangle)
    level = 10 * eps_of(op.dtype) * frobenius(basis.image)
    kept = min(int((host_values(s) > level).sum()), n - basis.size)
    if kept == 0:
        return basis
    new = orthonormalize_against(basis.basis, q @ u[:, :kept], CholeskyQR2(), key.child("two-sided"))
    xp = op.xp
    return dataclasses.replace(
        basis, basis=xp.concat([basis.basis, new], axis=1),
        image=xp.concat([basis.image, op.matmat(new)], axis=1), blocks=(*basis.blocks, kept), ahead=None, ahead_of="",
        leave_one_out=None, leave_one_out_spread=None,
        notes=(*basis.notes, f"{kept} columns of A X joined the basis X: eigenvalues of both signs were mixed in it"),
    )  # fmt: skip
