"""Low-rank pivoted QR: the certified truncated SVD, written as Q R with chosen columns first.

Problem: Q with k orthonormal columns, R upper trapezoidal and a permutation of the columns with A[:, pivots] ~ Q R.

Equation: Q R = (U_k diag(s_k) V_k^H)[:, pivots] to rounding, the best approximation of rank k in the basis.

S1. Basis, certificate and rank as in `rnla.svd`: U_k, s_k, V_k^H.
S2. Column-pivoted QR of the small side, (diag(s_k) V_k^H)[:, pivots] = W R [golub1965]_.
S3. Q = U_k W.

Cost: beyond the SVD's, 4 n k^2 + 2 m k^2 flops; no further look at A.
Guarantee: the error is that of the truncated SVD, certified as there; norm(Q^H Q - I)_F <= 30 eps sqrt(k)
(`tests/factorization/test_qr_lu.py`).  The diagonal of R descends and reveals the rank as LAPACK's geqp3 does
for the truncated matrix: R_ii <= sqrt(sum_{j >= i} s_j^2) and, for the pivots of QR, s_i <= sqrt(n) 2^i R_ii.

Differences from a pivoted QR of A itself: the pivots are those of the truncated matrix, and Q R is closer to A than
k steps of pivoted QR are, whose columns reproduce the chosen columns of A instead; for those use `rnla.interpolative`.

When: a basis with triangular coordinates and chosen columns is wanted, not singular values.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from rnla._xp.namespace import device_of, from_host, namespace_of
from rnla._xp.pivoting import pivoted_qr
from rnla.factorization.batched import batched_qr, is_stack
from rnla.factorization.driver import Certificate, resumer_of, run, unscaled
from rnla.factorization.from_svd import FromSVD
from rnla.factorization.search import Factored
from rnla.operators.coerce import as_operator
from rnla.request import read_request
from rnla.results import QRResult, register_resumer
from rnla.rng import as_key

__all__ = ["qr"]


def qr(
    A: Any,
    rank: int | None = None,
    *,
    tol: float | None = None,
    energy: float | None = None,
    norm: str = "fro",
    oversampling: int | None = None,
    power_iterations: int | None = None,
    sketch: Any = None,
    method: Any = None,
    on_failure: str = "raise",
    rng: Any = None,
) -> QRResult:
    """Low-rank column-pivoted QR factorization of any matrix, ``A[:, pivots] ~ Q R``, with a certificate.

    Parameters
    ----------
    A : matrix, shape (m, n)
        Everything that `svd` takes, stacks (..., m, n) too.  Never changed.
    rank : int, optional
        Columns of Q wanted; with `tol`, the most of them.
    tol : float, optional
        Error allowed, relative to the norm of A: the smallest rank that is certified to meet it.
    energy : float, optional
        Share of the squared Frobenius norm to keep, instead of `tol`.
    norm : {"fro", "spectral"}
        The norm of the error.
    oversampling, power_iterations, sketch, method
        How the basis is found, as for `svd`.
    on_failure : {"raise", "return"}
        Whether a missed tolerance or deadline raises or is only told in ``status``.
    rng : None, int, SeedSequence, Generator, ...
        What `numpy.random.default_rng` takes.

    Returns
    -------
    QRResult
        Unpacks as ``Q, R, pivots``; Q (m, k) orthonormal, R (k, n) upper trapezoidal with a real, descending
        diagonal, pivots a permutation of all n columns.

    Raises
    ------
    InputError, DTypeError, NonFiniteError, OperatorError, BudgetError, ToleranceNotMet, DeadlineReached
        As `svd` raises them.

    Warns
    -----
    RankWarning
        The numerical rank of A is below the rank asked for; the columns of Q are orthonormal nevertheless.

    Notes
    -----
    Cost: that of `svd`, and 4 n k^2 + 2 m k^2 flops.  Guarantee: that of `svd`, for the same rank: Q R is the
    truncated singular value decomposition with its columns permuted.

    References
    ----------
    .. [1] G. Golub, Numerical methods for solving linear least squares problems, Numerische Mathematik 7 (1965)
       206-216.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.outer(np.arange(6.0), [1.0, 3.0, 2.0])
    >>> Q, R, pivots = rnla.qr(A, 1, rng=0)
    >>> pivots.tolist(), bool(np.allclose(Q @ R, A[:, pivots]))
    ([1, 0, 2], True)
    """
    if is_stack(A):
        stacked: Any = batched_qr(
            A, rank, tol=tol, energy=energy, norm=norm, oversampling=oversampling, power_iterations=power_iterations,
            sketch=sketch, method=method, on_failure=on_failure, rng=rng,
        )  # fmt: skip
        return stacked  # type: ignore[no-any-return]
    key = as_key(rng)
    op = as_operator(A)
    request = read_request(
        op.shape, op.dtype, rank, tol, norm, oversampling, power_iterations, sketch, method, on_failure, energy
    )
    result: QRResult = run(A, op, request, key, None, _QR())
    return result


class _QR(FromSVD):
    """The pivoted QR factorization of the projection."""

    __slots__ = ()

    name: ClassVar[str] = "qr"

    def build(self, factored: Factored, rank: int, exponent: int, certificate: Certificate) -> QRResult:
        q, r, pivots = qr_of_svd(factored, rank)
        there = from_host(pivots.astype(np.int64), namespace_of(q), device_of(q))
        return QRResult(q, unscaled(r, exponent), there, **certificate.fields())


def qr_of_svd(factored: Factored, rank: int) -> tuple[Any, Any, np.ndarray[Any, Any]]:
    """Return Q, R and pivots of the truncated singular value decomposition whose parts are U and V^H."""
    u, vh = factored.parts
    u, vh = u[:, :rank], vh[:rank, :]
    s = namespace_of(u).astype(factored.values[:rank], u.dtype)
    w, r, pivots = pivoted_qr(s[:, None] * vh)  # S2
    return u @ w, r, pivots  # S3


register_resumer("qr", resumer_of(lambda _: _QR()))
