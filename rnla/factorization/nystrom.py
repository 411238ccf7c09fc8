"""The Nystrom approximation: eigenpairs of a positive semidefinite matrix, from inside, with a certificate.

Problem: V diag(w) V^H ~ A, 0 <= V diag(w) V^H <= A, for a positive semidefinite A, of a given rank or of the smallest
rank that meets a tolerance.

S1. Coerce A; it must be square, Hermitian, and its diagonal not negative; read the request; plan.
S2. Find a basis X with Y = A X (the plan's range finder, or `BlockLanczos`).
S3. F F^H = Y (X^H Y)^+ Y^H in the shifted form, F = V diag(sigma) W^H [halko2011]_ (5.5), [tropp2017b]_.
S4. Pick the rank; cut the smallest eigenvalues off.
S5. Certify what is left: in the nuclear norm by the trace; for `BlockLanczos(depth=1)`, one product with A in all,
    and nothing asked of the error, by leave-one-out; else the residual is looked at (`rnla.error.approximation`).
S6. Phases, scale, home.

Cost: that of the basis, 14 n l^2 flops, and for S5 one pass (none in the nuclear norm or by leave-one-out).

Guarantee: the error of S5 is that of the eigenpairs returned, of the kind it names.  A priori it is not above the
error of the projection on X in any unitarily invariant norm; the eigenvalues are not above those of A.

Differences from the papers: those of `rnla.compression.nystrom`; the rank is found from a bound, the error of the
projection on X joined to the eigenvalues that are dropped, and raised until the certificate of S5 holds.

When: A is known to be positive semidefinite: a covariance, a kernel, a Gram or normal matrix, a Laplacian.
When not: an indefinite A is refused where the basis shows it; use `eigh`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import numpy as np

from rnla._xp.linalg import adjoint, zeros
from rnla.checks import check_choice
from rnla.compression.nystrom import nystrom_of_basis
from rnla.error.nuclear import nuclear_error
from rnla.errors import InputError
from rnla.factorization.driver import Certificate, Located, located, report_of, run, settle, unscaled, unscaled_error
from rnla.factorization.nystrom_certificate import certified
from rnla.factorization.resuming import at_home
from rnla.factorization.search import Factored
from rnla.factorization.signs import fix_signs
from rnla.operators.dense import Dense
from rnla.operators.hermitian import as_hermitian, hermitian_ledger, hermitian_only, require_no_negative_diagonal
from rnla.operators.selection import take_diagonal
from rnla.operators.sparse import Sparse
from rnla.request import Request, read_request
from rnla.results import EighResult, ErrorEstimate, RangeBasis, Resume, Status, register_resumer, truncated_error
from rnla.rng import Key, as_key

__all__ = ["nystrom"]


def nystrom(
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
) -> EighResult:
    """Nystrom approximation of a positive semidefinite matrix as truncated eigenpairs, with a certificate.

    Parameters
    ----------
    A : matrix, shape (n, n)
        Everything that `svd` takes, Hermitian and positive semidefinite; an operator needs no product with its
        adjoint.  Never changed.
    rank : int, optional
        Eigenpairs wanted; with `tol`, the most of them.
    tol : float, optional
        Error allowed, relative to the norm of A: the smallest rank that is certified to meet it.
    energy : float, optional
        In place of `tol`: the share of the sum of squares of the eigenvalues that is kept, at least.
    norm : {"fro", "spectral", "nuclear"}
        The norm of the error; the nuclear norm, that is the trace, needs the diagonal of A and is exact.
    oversampling, power_iterations, sketch
        How the basis is found, as for `svd`.
    method : RangeFinder, optional
        As for `svd`, or ``BlockLanczos(depth)``, which makes the most of every product; with ``depth=1`` A is
        multiplied once.
    on_failure : {"raise", "return"}
        Whether a missed tolerance or deadline raises or is only told in ``status``.
    rng : None, int, SeedSequence, Generator, ...
        What `numpy.random.default_rng` takes.

    Returns
    -------
    EighResult
        Unpacks as ``w, V``; w (k,) descending and not negative, V (n, k) orthonormal, in the library and on the
        device of A; V diag(w) V^H <= A.

    Raises
    ------
    InputError
        Arguments that cannot be used, or a matrix that is not Hermitian, or that shows a negative eigenvalue.
    DTypeError, NonFiniteError, OperatorError, BudgetError, ToleranceNotMet, DeadlineReached
        As `svd` raises them.

    Warns
    -----
    RankWarning
        The numerical rank of A is below the rank asked for.

    Notes
    -----
    Cost: that of `svd` for the basis, less the product with a second side, and one pass for the certificate; none in
    the nuclear norm.  With ``BlockLanczos(depth=1)`` and a rank, one pass in all.

    Guarantee: the approximation lies between 0 and A up to rounding, and its error is not above that of the projection
    on the same basis [1]_, [2]_.  A negative eigenvalue that the basis does not hold goes unnoticed but for the error,
    which is measured without assuming that there is none (but in the nuclear norm).

    References
    ----------
    .. [1] N. Halko, P. G. Martinsson and J. A. Tropp, Finding structure with randomness, SIAM Review
       53 (2011) 217-288.
    .. [2] J. A. Tropp, A. Yurtsever, M. Udell and V. Cevher, Fixed-rank approximation of a positive-semidefinite
       matrix from streaming data, NIPS 2017.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> B = np.vander(np.linspace(0, 1, 100), 30)
    >>> w, V = rnla.nystrom(B @ B.T, tol=1e-6, norm="nuclear", rng=0)
    >>> bool(np.trace(B @ B.T) - w.sum() <= 1e-6 * np.trace(B @ B.T))
    True
    """
    check_choice("norm", norm, ("fro", "spectral", "nuclear"))
    if energy is not None and norm == "nuclear":
        raise InputError("energy= is a share of the sum of squares; for a share of the trace give tol= 1 - share")
    key = as_key(rng)
    base = as_hermitian(A)
    plain = "fro" if norm == "nuclear" else norm
    request = read_request(
        base.shape, base.dtype, rank, tol, plain, oversampling, power_iterations, sketch, method, on_failure, energy
    )
    return _run(A, base, dataclasses.replace(request, norm=norm, hermitian=True), key, None)


def _run(A: Any, base: Any, request: Request, key: Key, before: EighResult | None) -> EighResult:
    ledger = hermitian_ledger(base)
    diagonal = None
    if min(base.shape) and (request.norm == "nuclear" or isinstance(ledger.base, (Dense, Sparse))):
        diagonal = take_diagonal(ledger)
        require_no_negative_diagonal(diagonal)
    problem = _Nystrom(diagonal if request.norm == "nuclear" else None, request.norm == "fro" and ledger.complete_scan)
    if min(base.shape) == 0:
        empty: EighResult = run(A, ledger, request, key, None, problem)
        return empty
    with hermitian_only(base), located(ledger, request, key, problem, before) as found:
        if found.basis is None:
            assert before is not None
            result = dataclasses.replace(before, status=Status.DEADLINE)
        else:
            result = _assemble(A, found, found.basis, request, key, problem)
    settled: EighResult = settle(request, result, found)
    return settled


def _assemble(A: Any, found: Located, basis: RangeBasis, request: Request, key: Key, problem: _Nystrom) -> EighResult:
    search, op = found.search, found.op
    if request.tol is not None or request.norm == "nuclear":
        whole = search.look(basis)
        rank, status = search.pick()
    else:
        search.factor(basis)
        search.basis, whole = basis, None
        assert request.rank is not None
        rank, status = min(request.rank, len(search.values)), Status.MET
    assert search.factored is not None
    assert search.basis is not None
    v, _, inside = search.factored.parts
    if request.norm == "nuclear":
        assert whole is not None
        error = truncated_error(whole, search.values, rank)
    else:
        error, rank, status = certified(found, request, key, inside, rank, status)
    if found.message:
        status = Status.DEADLINE
    report = report_of(A, found, key, rank, v)
    magnitude = op.measure()
    resume = Resume(
        name="nystrom", basis=dataclasses.replace(search.basis, factors=None), singular_values=search.values,
        exponent=op.exponent, frobenius=math.nan if magnitude is None else magnitude.frobenius,
        method=found.plan.method, request={"rank": request.rank, "tol": request.tol, "norm": request.norm},
        seed=key.seed,
    )  # fmt: skip
    certificate = Certificate(unscaled_error(error, op.exponent), report, status, resume, A)
    return problem.build(search.factored, rank, op.exponent, certificate)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Nystrom:
    """The Nystrom approximation on the basis; `diagonal` of A where the nuclear norm is asked for.

    `looked_at` says whether the rank that is picked will be looked at again.
    """

    diagonal: Any
    looked_at: bool
    name: ClassVar[str] = "nystrom"

    def asked(self) -> dict[str, Any]:
        return {}

    def approximation(self, basis: RangeBasis) -> RangeBasis:
        # The projection, whose error is not below the approximation's.  Where the entries of A tell its Frobenius norm
        # the squares nearly add, and what is picked so is looked at again; else the bound must hold.
        return dataclasses.replace(
            basis, leave_one_out=None, leave_one_out_spread=None, factors=None,
            cut="one-sided" if self.looked_at else "sum",
        )  # fmt: skip

    def certify(self, basis: RangeBasis, values: np.ndarray[Any, Any]) -> ErrorEstimate | None:
        """Return the error of the whole basis in the nuclear norm, if that was asked for."""
        if self.diagonal is None:
            return None
        return nuclear_error(self.diagonal, values, basis.basis.dtype)

    def factor(self, basis: RangeBasis) -> Factored:
        inside = nystrom_of_basis(basis)
        return Factored((inside.V, inside.w, inside), inside.w)

    def nothing(self, shape: tuple[int, int], like: Any, real: Any) -> Factored:
        return Factored((zeros((shape[0], 0), like), real, None), real)

    def build(self, factored: Factored, rank: int, exponent: int, certificate: Certificate) -> EighResult:
        v, w, _ = factored.parts
        v = v[:, :rank]
        v, _ = fix_signs(v, adjoint(v))  # S6
        return EighResult(unscaled(w[:rank], exponent), v, **certificate.fields())


def _extend(
    result: EighResult, A: Any, *, rank: int | None = None, tol: float | None = None, on_failure: str = "raise"
) -> EighResult:
    if rank is None and tol is None:
        raise InputError("say how much more is wanted: rank=, tol=, or both")
    assert result.resume is not None
    base = as_hermitian(A)
    resume = at_home(result.resume, base, loaded=result._source is None)
    result = dataclasses.replace(result, resume=resume)
    norm = resume.request["norm"]
    request = read_request(
        base.shape, base.dtype, rank, tol, "fro" if norm == "nuclear" else norm, None, None, None, resume.method,
        on_failure,
    )  # fmt: skip
    if request.rank is not None and request.rank < result.rank:
        raise InputError(f"rank={request.rank} is below the present {result.rank}; use truncate(rank={request.rank})")
    return _run(A, base, dataclasses.replace(request, norm=norm, hermitian=True), Key(resume.seed), result)


register_resumer("nystrom", _extend)
