"""Pivoted QR of a tall matrix by sketch and Cholesky (CQRRPT) [melnichenko2023]_.

Problem: A[:, pivots] = Q R with Q orthonormal, R upper trapezoidal and its diagonal revealing the rank, for a tall
matrix, at the speed of matrix products.

S1. A_s = S A, a sketch of d = 2 n rows.
S2. Pivoted QR of A_s: R_s and the pivots; k = how many diagonal entries are above 2 eps^0.95 times the first.
S3. A0 = A[:, pivots[:k]] R_s[:k, :k]^{-1} by substitution: nearly orthonormal columns.
S4. A0 = Q R_c by CholeskyQR2, which checks itself and falls back.
S5. R = [R_c R_s[:k, :k], Q^H A[:, pivots[k:]]].

Cost: one sketch, 2 d n^2 flops for its QR, p k^2 in substitutions and 8 p k^2 in products (and 2 p k (n - k)).
Guarantee: norm(Q^H Q - I)_F <= 30 eps sqrt(k) for every input, single precision included; norm(A P - Q R) a modest
multiple of eps norm(A) where the columns past k are dependent to rounding; the diagonal of R is that of the pivoted
QR of the sketch within its distortion, so within a factor of 5.8 of LAPACK's (tested in
`tests/orth/test_cqrrpt.py`).

Differences from the paper: (1) S4 is CholeskyQR2 with a fallback where the paper takes one Cholesky factor and, should
that fail, cuts k: RandLAPACK documents a loss of orthonormality of 1.5e-2 in single precision, here there is none;
(2) the rows of R for dependent columns are Q^H A, not those of the sketch, so that the residual is the smallest;
(3) the diagonal of R is not negative.

When: a tall matrix whose rank or independent columns are wanted; for an orthonormal basis alone take `CholeskyQR2`
or `RandCholeskyQR`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._kernels.products import adjoint_product
from rnla._xp.linalg import adjoint, eps_of, host_values, max_abs, qr, zeros
from rnla._xp.namespace import is_numpy, namespace_of
from rnla._xp.pivoting import pivoted_qr, take
from rnla.checks import check_positive, check_whole
from rnla.config import get_config
from rnla.errors import InputError
from rnla.orth.cholesky_qr import CholeskyQR2
from rnla.orth.panel_sketch import panel_sketch, times_inverse
from rnla.orth.protocols import Orthonormalizer
from rnla.rng import Key
from rnla.sketch.protocols import TestMatrix
from rnla.sketch.sparse_stack import SparseStack

__all__ = ["CQRRPT"]


@dataclasses.dataclass(frozen=True, slots=True)
class CQRRPT:
    """Pivoted QR of a tall matrix by sketch and Cholesky.

    Parameters
    ----------
    sketch : TestMatrix
    ratio : float
        Rows of the sketch for each column, at least 1.
    rank_tolerance : float or None
        Diagonal entries below this share of the first count as zero; None: 2 eps^0.95.
    seed : int
        Of the sketch: the same matrix gives the same bits.
    orthonormalizer : Orthonormalizer
        Finishes the conditioned columns.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.vander(np.linspace(0, 1, 300), 5)[:, [0, 1, 2, 3, 4, 4, 0]]
    >>> Q, R, pivots = CQRRPT().factor(A)
    >>> Q.shape, R.shape, bool(np.allclose(Q @ R, A[:, pivots]))
    ((300, 5), (5, 7), True)
    """

    sketch: TestMatrix = SparseStack()
    ratio: float = 2.0
    rank_tolerance: float | None = None
    seed: int = 0
    orthonormalizer: Orthonormalizer = CholeskyQR2()

    def __post_init__(self) -> None:
        if check_positive("ratio", self.ratio) < 1:
            raise InputError(f"ratio={self.ratio} must be at least 1: the sketch needs as many rows as columns")
        if self.rank_tolerance is not None and check_positive("rank_tolerance", self.rank_tolerance) >= 1:
            raise InputError(
                f"rank_tolerance={self.rank_tolerance} must be below 1: it is a share of the largest entry"
            )
        check_whole("seed", self.seed)

    def factor(self, x: Any) -> tuple[Any, Any, np.ndarray[Any, Any]]:
        """Return Q (p, k), R (k, n) and the pivots (n,), k the numerical rank.

        Parameters
        ----------
        x : array, shape (p, n), p >= n
            Never changed.

        Raises
        ------
        InputError
            More columns than rows.
        NonFiniteError
            NaN or infinity.
        """
        p, n = int(x.shape[0]), int(x.shape[1])
        if p < n:
            raise InputError(f"CQRRPT takes tall matrices; this one is {p} x {n}: rnla.qr takes any")
        size = max_abs(x)
        if p == 0 or n == 0 or size == 0:
            return zeros((p, 0), x), zeros((0, n), x), np.arange(n)
        exponent = max(-1000, min(1000, math.frexp(size)[1])) if math.isfinite(size) else 0
        if abs(exponent) < (25 if eps_of(x.dtype) > 1e-10 else 225):
            exponent = 0  # else squares would leave the range: scaled by a power of two, which is exact
        panel = x * 2.0**-exponent if exponent else x
        rows = min(p, math.ceil(self.ratio * n))
        if rows < p:
            sketched = panel_sketch(panel, self.sketch, rows, Key(self.seed).child("cqrrpt"))  # S1
        else:
            sketched = panel
        _, r_s, pivots = pivoted_qr(qr(sketched)[1])  # S2
        k = self._rank(r_s)
        lead = take(panel, pivots[:k], axis=1)
        q, r_c = self.orthonormalizer.factor(times_inverse(lead, r_s[:k, :k]))  # S3, S4
        xp = namespace_of(x)
        r = xp.triu(r_c @ r_s[:k, :k])  # S5
        if k < n:
            r = xp.concat([r, _across(q, take(panel, pivots[k:], axis=1))], axis=1)
        sign = xp.sign(xp.real(xp.linalg.diagonal(r)) if "complex" in str(r.dtype) else xp.linalg.diagonal(r))
        sign = xp.astype(sign, x.dtype)
        return q * sign[None, :], (r * sign[:, None]) * 2.0**exponent, pivots

    def _rank(self, triangle: Any) -> int:
        xp = namespace_of(triangle)
        diagonal = host_values(xp.abs(xp.linalg.diagonal(triangle)))
        level = 2 * eps_of(triangle.dtype) ** 0.95 if self.rank_tolerance is None else self.rank_tolerance
        live = diagonal > level * diagonal[0]
        return len(live) if live.all() else int(np.argmin(live))


def _across(q: Any, x: Any) -> Any:
    if is_numpy(namespace_of(q)):
        return adjoint_product(q, x, q.dtype, get_config().threads)
    return adjoint(q) @ x
