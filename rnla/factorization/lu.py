"""Low-rank LU with row and column permutations: the certified truncated SVD, written as L U.

Problem: L unit lower trapezoidal, U upper trapezoidal and two permutations with A[rows][:, columns] ~ L U.

Equation: L U = (U_k diag(s_k) V_k^H)[rows][:, columns] to rounding, the best approximation of rank k in the basis.

S1. Basis, certificate and rank as in `rnla.svd`; Q, R and the column pivots as in `rnla.qr`.
S2. LU with partial pivoting of the orthonormal factor, Q[rows] = L T.
S3. U = T R, upper triangular times upper trapezoidal.

Cost: beyond the SVD's, 4 n k^2 + 3 m k^2 flops; no further look at A.
Guarantee: the error is that of the truncated SVD.  Q is orthonormal, so S2 never divides by a small number that the
matrix caused, whatever its rank: a rank-deficient matrix gives rows of zeros in U and nothing else
(`tests/factorization/test_qr_lu.py`).

Differences from the randomized LU of [shabat2018]_: (1) the columns are chosen by pivoted QR, not by a second LU,
because the pivots of QR need no division; (2) the approximation is that of the SVD, not of the sketch, so it is
not worse than the bound given there; (3) certified.

When: triangular factors are wanted.  L and U are not orthonormal, so for anything else `rnla.svd` or `rnla.qr`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from rnla._xp.namespace import device_of, from_host, namespace_of
from rnla._xp.pivoting import pivoted_lu
from rnla.factorization.driver import Certificate, resumer_of, run, unscaled
from rnla.factorization.from_svd import FromSVD
from rnla.factorization.qr import qr_of_svd
from rnla.factorization.search import Factored
from rnla.operators.coerce import as_operator
from rnla.request import read_request
from rnla.results import LUResult, register_resumer
from rnla.rng import as_key

__all__ = ["lu"]


def lu(
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
) -> LUResult:
    """Low-rank LU factorization of any matrix, ``A[rows][:, columns] ~ L U``, with a certificate.

    Parameters
    ----------
    A : matrix, shape (m, n)
        Everything that `svd` takes.  Never changed.
    rank : int, optional
        Columns of L wanted; with `tol`, the most of them.
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
    LUResult
        Unpacks as ``L, U, row_pivots, column_pivots``; L (m, k) unit lower trapezoidal, U (k, n) upper trapezoidal,
        the pivots permutations of all rows and columns.

    Raises
    ------
    InputError, DTypeError, NonFiniteError, OperatorError, BudgetError, ToleranceNotMet, DeadlineReached
        As `svd` raises them.

    Warns
    -----
    RankWarning
        The numerical rank of A is below the rank asked for; the rows of U past it are rounding.

    Notes
    -----
    Cost: that of `svd`, and 4 n k^2 + 3 m k^2 flops.  Guarantee: that of `svd`, for the same rank: L U is the
    truncated singular value decomposition, permuted.

    References
    ----------
    .. [1] G. Shabat, Y. Shmueli, Y. Aizenbud and A. Averbuch, Randomized LU decomposition, Applied and
       Computational Harmonic Analysis 44 (2018) 246-272.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.outer([1.0, 4.0, 2.0], [1.0, 3.0])
    >>> L, U, rows, columns = rnla.lu(A, 1, rng=0)
    >>> L.round(12).tolist(), rows.tolist(), columns.tolist()
    ([[1.0], [0.25], [0.5]], [1, 0, 2], [1, 0])
    """
    key = as_key(rng)
    op = as_operator(A)
    request = read_request(
        op.shape, op.dtype, rank, tol, norm, oversampling, power_iterations, sketch, method, on_failure, energy
    )
    result: LUResult = run(A, op, request, key, None, _LU())
    return result


class _LU(FromSVD):
    """The LU factorization of the projection."""

    __slots__ = ()

    name: ClassVar[str] = "lu"

    def build(self, factored: Factored, rank: int, exponent: int, certificate: Certificate) -> LUResult:
        q, r, columns = qr_of_svd(factored, rank)  # S1
        rows, lower, t = pivoted_lu(q)  # S2
        xp = namespace_of(q)
        upper = xp.concat([xp.triu(t @ r[:, :rank]), t @ r[:, rank:]], axis=1)  # S3
        there = [from_host(p.astype(np.int64), xp, device_of(q)) for p in (rows, columns)]
        return LUResult(lower, unscaled(upper, exponent), *there, **certificate.fields())


register_resumer("lu", resumer_of(lambda _: _LU()))
