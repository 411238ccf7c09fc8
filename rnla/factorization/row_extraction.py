"""Singular values and eigenvalues from a few rows: one product with A, and then only entries of it [halko2011]_.

Problem: the leading singular triples of A (Algorithm 5.2), or eigenpairs of a Hermitian A (Algorithm 5.4), from the
range of one sample and a few rows, with no second product with A.

S1. Q = orth(A Omega), Omega of l = rank + oversampling columns (with power iterations: (A A^H)^q A Omega).
S2. Row interpolation, Q = X Q[J, :], X[J, :] = I, no entry above 2: pivoted QR of Q^H with exchanges [gu1996]_.
S3. Algorithm 5.2: A[J, :] = R^H W^H (QR of its adjoint); Z = X R^H; Z = U diag(s) V1^H; V = W V1.
    Algorithm 5.4: X = V1 R (QR); Z = R A[J, J] R^H; Z = W diag(w) W^H; V = V1 W.
S4. Keep the leading `rank`; certify them.

Cost: one product of l columns, l rows of A (or l^2 entries), O((m + n) l^2) flops; the certificate reads A once more.
Guarantee: before the cut to `rank`, norm(A - U diag(s) V^H) <= (1 + norm(X)) norm(A - Q Q^H A), and
norm(X) <= sqrt(1 + 4 l (m - l)) (Lemma 5.1 of the paper; tested in `tests/factorization/test_row_extraction.py`);
for 5.4 norm(A - V diag(w) V^H) <= (1 + norm(X)) (1 + norm(X)) norm(A - Q Q^H A) by the same argument from both sides.

Differences from the paper: (1) m - l stands in the bound where the paper prints n - l, because X has m rows; (2) the
error is certified; (3) eigenvalues come by descending modulus.

When: a product with A is dear and its entries are cheap (kernels, stored matrices with fast sketches).  When not: the
errors are several times those of `rnla.svd`, whose basis also serves to go on; ``extend`` is not possible here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

from rnla._xp.linalg import adjoint, cast, eigh, host_values, svd
from rnla._xp.namespace import device_of, is_numpy, namespace_of
from rnla._xp.pivoting import take
from rnla.checks import check_norm, check_rank, check_whole
from rnla.compression.skeleton import interpolation_of_rows
from rnla.config import fixed_settings
from rnla.error.approximation import certify_approximation
from rnla.errors import AccuracyWarning, InputError
from rnla.factorization.driver import Located, report_of, unscaled, unscaled_error
from rnla.factorization.from_svd import singular_vectors
from rnla.factorization.search import Factored, Search
from rnla.factorization.signs import fix_signs
from rnla.iterate import watching
from rnla.operators.coerce import as_operator
from rnla.operators.hermitian import as_hermitian, hermitian_ledger, hermitian_only
from rnla.operators.ledger import Ledger
from rnla.operators.selection import take_rows
from rnla.orth import CholeskyQR2
from rnla.planner import make_plan
from rnla.rangefinder import SubspaceIteration
from rnla.request import Request
from rnla.results import EighResult, ErrorEstimate, RangeBasis, Status, SVDResult
from rnla.rng import Key, as_key
from rnla.sketch import as_sketch
from rnla.working import families_of, working

__all__ = ["eigh_by_row_extraction", "svd_by_row_extraction"]


def svd_by_row_extraction(
    A: Any,
    rank: int,
    *,
    oversampling: int = 10,
    power_iterations: int = 0,
    sketch: Any = None,
    norm: str = "fro",
    rng: Any = None,
) -> SVDResult:
    """Truncated singular value decomposition from one product with A and a few of its rows, with a certificate.

    Parameters
    ----------
    A : matrix, shape (m, n)
        Everything that `svd` takes.  Never changed.
    rank : int
        Singular values wanted.
    oversampling : int
        Columns of the sample beyond the rank.
    power_iterations : int
        Each costs two products more.
    sketch : str or TestMatrix, optional
        As for `svd`.
    norm : {"fro", "spectral"}
        The norm of the error.
    rng : None, int, SeedSequence, Generator, ...
        What `numpy.random.default_rng` takes.

    Returns
    -------
    SVDResult
        As `svd` gives it, less accurate; it cannot be extended.

    Raises
    ------
    InputError, DTypeError, NonFiniteError, OperatorError, BudgetError
        As `svd` raises them.

    Warns
    -----
    AccuracyWarning
        The answer is further from A than zero is.

    Notes
    -----
    Cost: a product of rank + oversampling columns, as many rows of A, O((m + n) l^2) flops, and one pass to certify.
    Guarantee: the certificate; and (1 + norm(X)) times the error of the range, norm(X) <= sqrt(1 + 4 l (m - l)) [1]_.

    References
    ----------
    .. [1] N. Halko, P. G. Martinsson and J. A. Tropp, Finding structure with randomness, SIAM Review
       53 (2011) 217-288, Algorithm 5.2.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag(0.1 ** np.arange(30.0))
    >>> rnla.svd_by_row_extraction(A, 2, rng=0).s.round(6).tolist()
    [1.0, 0.1]
    """
    base, key = as_operator(A), as_key(rng)
    with _sampled(Ledger(base), rank, oversampling, power_iterations, sketch, norm, key) as found:
        assert found.basis is not None
        q, op = found.basis.basis, found.op
        chosen, x = interpolation_of_rows(q, adjoint(q), int(q.shape[1]))  # S2
        w, r = CholeskyQR2().factor(adjoint(take_rows(op, chosen)))
        u, z = CholeskyQR2().factor(x @ adjoint(r))  # S3
        inner, s, outer = svd(z)
        u, vh = fix_signs((u @ inner)[:, :rank], (outer @ adjoint(w))[:rank, :])
        s = s[:rank]  # S4
        error = _certified(op, u * cast(s, u.dtype)[None, :], adjoint(vh), norm, key)
        report = report_of(A, found, key, rank, u)
        return SVDResult(
            u, unscaled(s, op.exponent), vh, unscaled_error(error, op.exponent), report, Status.MET, None, A
        )


def eigh_by_row_extraction(
    A: Any,
    rank: int,
    *,
    oversampling: int = 10,
    power_iterations: int = 0,
    sketch: Any = None,
    norm: str = "fro",
    rng: Any = None,
) -> EighResult:
    """Truncated eigenvalue decomposition of a Hermitian matrix from one product and few entries, with a certificate.

    Parameters
    ----------
    A : matrix, shape (n, n)
        Everything that `eigh` takes.  Never changed.
    rank : int
        Eigenpairs wanted, of largest modulus.
    oversampling : int
        Columns of the sample beyond the rank.
    power_iterations : int
        Each costs two products more.
    sketch : str or TestMatrix, optional
        As for `svd`.
    norm : {"fro", "spectral"}
        The norm of the error.
    rng : None, int, SeedSequence, Generator, ...
        What `numpy.random.default_rng` takes.

    Returns
    -------
    EighResult
        As `eigh` gives it, less accurate; it cannot be extended.

    Raises
    ------
    InputError, DTypeError, NonFiniteError, OperatorError, BudgetError
        As `eigh` raises them.

    Warns
    -----
    AccuracyWarning
        The answer is further from A than zero is.

    Notes
    -----
    Cost: a product of l = rank + oversampling columns, l rows of A, O(n l^2) flops, and one pass to certify.
    Guarantee: the certificate; and (1 + norm(X))^2 times the error of the range; [1]_ gives no constant.

    References
    ----------
    .. [1] N. Halko, P. G. Martinsson and J. A. Tropp, Finding structure with randomness, SIAM Review
       53 (2011) 217-288, Algorithm 5.4.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag((-0.1) ** np.arange(30.0))
    >>> rnla.eigh_by_row_extraction(A, 2, rng=0).w.round(6).tolist()
    [1.0, -0.1]
    """
    base, key = as_hermitian(A), as_key(rng)
    with (
        hermitian_only(base),
        _sampled(hermitian_ledger(base), rank, oversampling, power_iterations, sketch, norm, key) as found,
    ):
        assert found.basis is not None
        q, op = found.basis.basis, found.op
        chosen, x = interpolation_of_rows(q, adjoint(q), int(q.shape[1]))  # S2
        core = take(take_rows(op, chosen), chosen, axis=1)
        v, r = CholeskyQR2().factor(x)
        w, z = eigh(r @ core @ adjoint(r))  # S3; the Hermitian part
        xp, values = namespace_of(w), host_values(w)
        order = (-abs(values)).argsort(kind="stable")[:rank]
        index = order if is_numpy(xp) else xp.asarray(order, device=device_of(w))
        w, v = xp.take(w, index, axis=0), v @ xp.take(z, index, axis=1)
        v, _ = fix_signs(v, adjoint(v))  # S4
        error = _certified(op, v * cast(w, v.dtype)[None, :], v, norm, key)
        report = report_of(A, found, key, rank, v)
        return EighResult(unscaled(w, op.exponent), v, unscaled_error(error, op.exponent), report, Status.MET, None, A)


def _certified(op: Ledger, left: Any, right: Any, norm: str, key: Key) -> ErrorEstimate:
    """Return the error of left right^H, which is no projection: what a cut drops is not orthogonal to the residual."""
    error = dataclasses.replace(certify_approximation(op, left, right, norm, key), cut="sum")
    if error.value > 1:
        warnings.warn(
            f"the approximation is {error.value:.2g} times the norm of A away from A, worse than none: the singular "
            "values decay too slowly for rows alone; give power_iterations, or use svd or eigh",
            AccuracyWarning,
            stacklevel=3,
        )
    return error


@dataclasses.dataclass(frozen=True, slots=True)
class _Sample:
    """The range of a sample, for the frame of the pipeline; nothing is projected on it."""

    name: ClassVar[str] = "row_extraction"

    def asked(self) -> dict[str, Any]:
        return {}

    def approximation(self, basis: RangeBasis) -> RangeBasis:
        return basis

    def factor(self, basis: RangeBasis) -> Factored:
        return singular_vectors(basis)


@contextlib.contextmanager
def _sampled(
    op: Ledger, rank: Any, oversampling: Any, power_iterations: Any, sketch: Any, norm: Any, key: Key
) -> Iterator[Located]:
    """Check what was asked and find the range (S1); inside the block the settings are held as in every driver."""
    started = time.perf_counter()
    rank = check_rank(rank, op.shape)
    check_whole("power_iterations", power_iterations)
    check_whole("oversampling", oversampling)
    part = SubspaceIteration(power_iterations, oversampling, as_sketch(sketch), "column")
    if min(op.shape) == 0:
        raise InputError(f"the matrix is {op.shape[0]} x {op.shape[1]}: it has no rows to take; svd takes empty ones")
    request = Request(rank, None, check_norm(norm), part, None, None, None, "raise")
    size = min(part.size_for(rank), *op.shape)
    with fixed_settings():
        plan = make_plan(op, request)
        with watching(plan.passes) as watch, working(op.xp, op.dtype, plan.flops, families_of(op.base)):
            op.measure()
            like = {"dtype": op.dtype, "xp": op.xp, "device": op.device}
            omega = part.sketch.tile(0, op.shape[1], op.shape[1], size, key.child("test-matrix", 0), **like)
            orth = CholeskyQR2()
            q = orth.factor(op.matmat(omega))[0]
            for _ in range(power_iterations):
                q = orth.factor(op.matmat(orth.factor(op.rmatmat(q))[0]))[0]
            basis = RangeBasis(space="column", basis=q, image=q, blocks=(size,))
            search = Search(op, request, plan, key, watch, _Sample())
            yield Located(op, plan, search, watch, basis, "", started)
