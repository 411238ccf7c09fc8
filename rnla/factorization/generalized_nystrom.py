"""The generalized Nystrom approximation: a truncated SVD of any matrix from one look at it.

Problem: U diag(s) Vh ~ A of a given rank, where A can be multiplied once from each side and no more.

S1. Y = A Omega with l = rank + oversampling columns, Z = A^H Psi with 3/2 l; both test matrices are drawn before.
S2. A ~ Q X from Y and Z [nakatsukasa2020]_ (`rnla.compression.generalized_nystrom`).
S3. SVD of Q X, cut to the rank.
S4. Certify what is left.
S5. Signs, scale, home.

Cost: 5/2 l columns multiplied, and one pass for the certificate where entries can be read; on an operator 30 probes
ride in the first product instead.

Guarantee: the error of S4 is that of the factors, of the kind it names.  A priori see `rnla.compression`: in the mean
about twice the error of the projection that one product gives, without power iterations.

When: products with both sides can be had at the same time, but not one after the other, or A is changing; else `svd`
with the same number of products is more accurate, and for positive semidefinite A `nystrom` with
``BlockLanczos(depth=1)``.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

from rnla._xp.linalg import cast, frobenius, zeros
from rnla.checks import check_whole
from rnla.compression.generalized_nystrom import generalized_nystrom_factors
from rnla.compression.projection import project
from rnla.error.approximation import certify_approximation
from rnla.error.probes import PROBES_WITHOUT_NORM, lower_share, probe_residual
from rnla.errors import InputError
from rnla.factorization.driver import Certificate, Located, located, report_of, run, settle, unscaled, unscaled_error
from rnla.factorization.low_rank_svd import svd_of_low_rank
from rnla.factorization.search import Factored
from rnla.factorization.signs import fix_signs
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import SupportsBlocks
from rnla.rangefinder.blocks import like_of
from rnla.rangefinder.protocols import Goal, Riders
from rnla.rangefinder.riding import Riding
from rnla.request import read_request
from rnla.results import ErrorEstimate, RangeBasis, Status, SVDResult, truncated_error
from rnla.rng import Key, as_key
from rnla.sketch import Gaussian, TestMatrix, as_sketch

__all__ = ["generalized_nystrom"]

_FAILURE = 1e-4


def generalized_nystrom(
    A: Any,
    rank: int,
    *,
    norm: str = "fro",
    oversampling: int | None = None,
    sketch: Any = None,
    rng: Any = None,
) -> SVDResult:
    """Truncated singular value decomposition of any matrix from one product with each side, with a certificate.

    Parameters
    ----------
    A : matrix, shape (m, n)
        Everything that `svd` takes.  Never changed.
    rank : int
        Singular values wanted.
    norm : {"fro", "spectral"}
        The norm of the error.
    oversampling : int, optional
        Columns of the first test matrix beyond the rank, by default max(10, rank / 2); the second one has half as
        many columns again.
    sketch : str or TestMatrix, optional
        Of both test matrices; by default Gaussian.
    rng : None, int, SeedSequence, Generator, ...
        What `numpy.random.default_rng` takes.

    Returns
    -------
    SVDResult
        Unpacks as ``U, s, Vh``; it cannot be extended, because nothing of it would be used again.

    Raises
    ------
    InputError, DTypeError, NonFiniteError, OperatorError, BudgetError, DeadlineReached
        As `svd` raises them.

    Warns
    -----
    RankWarning
        The numerical rank of A is below the rank asked for.

    Notes
    -----
    Cost: 2.5 (rank + oversampling) products in two passes, both known beforehand, O((m + n) l^2) flops, and one pass
    more for the error where entries of A can be read.

    Guarantee: the error returned is that of the factors returned, of the kind it names; its mean is bounded in [1]_.

    References
    ----------
    .. [1] Y. Nakatsukasa, Fast and stable randomized low-rank matrix approximation, arXiv:2009.11392.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag(0.5 ** np.arange(100.0))
    >>> result = rnla.generalized_nystrom(A, 10, rng=0)
    >>> bool(np.linalg.norm(A - result.as_operator().to_array()) <= 10 * 0.5**10)
    True
    """
    key = as_key(rng)
    op = as_operator(A)
    part = TwoSketches(as_sketch(sketch))
    if oversampling is not None:
        check_whole("oversampling", oversampling)
    request = read_request(op.shape, op.dtype, rank, None, norm, oversampling, None, None, None, "raise")
    request = dataclasses.replace(request, part=part)
    problem = _OneLook()
    if min(op.shape) == 0:
        empty: SVDResult = run(A, op, request, key, None, problem)
        return empty
    with located(op, request, key, problem) as found:
        search = found.search
        assert found.basis is not None
        search.factor(found.basis)
        search.basis = found.basis
        assert search.factored is not None
        assert request.rank is not None
        kept = min(request.rank, len(search.values))
        error = _error(found, search.factored, kept, norm, key)
        report = report_of(A, found, key, kept, search.factored.parts[0])
        certificate = Certificate(
            unscaled_error(error, found.op.exponent), report,
            Status.DEADLINE if found.message else Status.MET, None, A,
        )  # fmt: skip
        result = problem.build(search.factored, kept, found.op.exponent, certificate)
    settled: SVDResult = settle(request, result, found)
    return settled


def _error(found: Located, factored: Factored, rank: int, norm: str, key: Key) -> ErrorEstimate:
    """Return the error of the rank: from the residual, or from the probes that rode along (S4)."""
    op, basis = found.op, found.basis
    assert basis is not None
    u, vh = factored.parts
    left = u[:, :rank] * cast(factored.values[:rank], u.dtype)[None, :]
    right = op.xp.conj(vh[:rank, :].mT) if op.dtype.kind == "c" else vh[:rank, :].mT
    if norm == "fro" and basis.probes is not None:
        value, spread = probe_residual(right, left, basis.probes, basis.probed)
        columns = int(basis.probes.shape[1])
        share = lower_share(columns, _FAILURE, complex_columns=op.dtype.kind == "c")
        magnitude = op.measure()
        scale = frobenius(basis.probed) / math.sqrt(columns) if magnitude is None else magnitude.frobenius
        per = 1 / scale if scale > 0 else 0.0
        return ErrorEstimate(
            value=value * per, absolute=value, norm="fro", kind="estimated", method="independent probes",
            upper=value / math.sqrt(share) * per, failure_probability=_FAILURE, standard_error=spread * per,
            floor=0.0, norm_of_A=scale, residual=value, residual_upper=value / math.sqrt(share), cut="sum",
        )  # fmt: skip
    error = certify_approximation(op, left, right, norm, key.child("two-sketches-certificate"))
    return truncated_error(dataclasses.replace(error, cut="sum"), found.search.values[:rank], rank)


@dataclasses.dataclass(frozen=True, slots=True)
class TwoSketches:
    """Makes Q and X^H of two sketches, as a basis of the columns' space and what stands for the image on it."""

    sketch: TestMatrix = Gaussian()

    def find(self, op: Ledger, goal: Goal, key: Key, riders: Riders, start: RangeBasis | None = None) -> RangeBasis:
        """Return the pair."""
        assert start is None
        assert goal.size is not None
        (m, n), size = op.shape, goal.size
        like = like_of(op)
        omega = self.sketch.tile(0, n, n, size, key.child("test-matrix", "right"), **like)  # S1
        wide = min(m, size + -(-size // 2))
        psi = self.sketch.tile(0, m, m, wide, key.child("test-matrix", "left"), **like)
        probes = 0 if isinstance(op.base, SupportsBlocks) else PROBES_WITHOUT_NORM
        riding = Riding(op, dataclasses.replace(riders, probes=max(riders.probes, probes)), key, like)
        y = riding.matmat(omega)
        z = riding.rmatmat(psi)
        riding.finish()
        q, x = generalized_nystrom_factors(y, psi, z)  # S2
        image = op.xp.conj(x.mT) if op.dtype.kind == "c" else x.mT
        return RangeBasis(space="column", basis=q, image=image, blocks=(size,), cut="sum", **riding.fields())


@dataclasses.dataclass(frozen=True, slots=True)
class _OneLook:
    """The singular value decomposition of Q X."""

    name: ClassVar[str] = "generalized_nystrom"

    def asked(self) -> dict[str, Any]:
        return {}

    def approximation(self, basis: RangeBasis) -> RangeBasis:
        raise InputError("the generalized Nystrom approximation meets no tolerance of its own; use svd(A, tol=...)")

    def factor(self, basis: RangeBasis) -> Factored:
        u, s, vh = svd_of_low_rank(project(basis))  # S3
        return Factored((u, vh), s)

    def nothing(self, shape: tuple[int, int], like: Any, real: Any) -> Factored:
        return Factored((zeros((shape[0], 0), like), zeros((0, shape[1]), like)), real)

    def build(self, factored: Factored, rank: int, exponent: int, certificate: Certificate) -> SVDResult:
        u, vh = factored.parts
        u, vh = fix_signs(u[:, :rank], vh[:rank, :])  # S5
        return SVDResult(u, unscaled(factored.values[:rank], exponent), vh, **certificate.fields())
