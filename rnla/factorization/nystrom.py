"""The Nystrom approximation: eigenpairs of a positive semidefinite matrix, from inside, with a certificate.

Problem: V diag(w) V^H ~ A, 0 <= V diag(w) V^H <= A, for a positive semidefinite A, of a given rank or of the smallest
rank that meets a tolerance.

S1. Coerce A; it must be square, Hermitian, and its diagonal not negative; read the request; plan.
S2. Find a basis X with Y = A X (the plan's range finder, or `BlockLanczos`).
S3. F F^H = Y (X^H Y)^+ Y^H in the shifted form, F = V diag(sigma) W^H [halko2011]_ (5.5), [tropp2017]_.
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

from rnla._xp.linalg import adjoint, cast, frobenius, zeros
from rnla.checks import check_choice
from rnla.compression.nystrom import Nystrom, leave_one_out_of_nystrom, nystrom_of_basis
from rnla.compression.two_sided import core_of
from rnla.error.approximation import certify_approximation
from rnla.error.nuclear import nuclear_error
from rnla.error.probes import lower_share, probe_residual
from rnla.error.residual import identity_floor
from rnla.error.spectral import SPECTRAL_PASSES
from rnla.errors import InputError
from rnla.factorization.driver import Certificate, Located, located, report_of, run, settle, unscaled, unscaled_error
from rnla.factorization.resuming import at_home
from rnla.factorization.search import Factored
from rnla.factorization.signs import fix_signs
from rnla.operators.dense import Dense
from rnla.operators.hermitian import as_hermitian, hermitian_ledger, hermitian_only, require_no_negative_diagonal
from rnla.operators.ledger import Ledger
from rnla.operators.selection import take_diagonal
from rnla.operators.sparse import Sparse
from rnla.rangefinder.block_lanczos import BlockLanczos
from rnla.request import Request, read_request
from rnla.results import EighResult, ErrorEstimate, RangeBasis, Resume, Status, register_resumer, truncated_error
from rnla.rng import Key, as_key
from rnla.sketch import Gaussian

__all__ = ["nystrom"]

_LOOKS = 4
_FAILURE = 1e-4


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
    return _run(A, base, dataclasses.replace(request, norm=norm), key, None)


def _run(A: Any, base: Any, request: Request, key: Key, before: EighResult | None) -> EighResult:
    ledger = hermitian_ledger(base)
    diagonal = None
    if min(base.shape) and (request.norm == "nuclear" or isinstance(ledger.base, (Dense, Sparse))):
        diagonal = take_diagonal(ledger)
        require_no_negative_diagonal(diagonal)
    problem = _Nystrom(diagonal if request.norm == "nuclear" else None)
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
        error, rank, status = _certified(found, request, key, inside, rank, status)
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


def _certified(
    found: Located, request: Request, key: Key, inside: Nystrom, rank: int, status: Status
) -> tuple[ErrorEstimate, int, Status]:
    """Return the error of the rank that meets what was asked, that rank, and how it ended (S4, S5)."""
    search = found.search
    if request.tol is None:
        free = _free_error(found, key, inside, rank, request.norm)
        if free is not None:
            return free, rank, status
    cap = len(search.values) if request.rank is None else min(request.rank, len(search.values))
    error = _looked(found, key, inside, rank, request.norm, 1)
    if request.tol is None:
        return error, rank, status
    look, step = 1, 1
    while not error.meets(request.tol) and rank < cap and look < _LOOKS:
        rank, step, look = min(cap, rank + step), 4 * step, look + 1
        error = _looked(found, key, inside, rank, request.norm, look)
    if error.meets(request.tol):
        return error, rank, Status.MET
    if status is Status.MET:
        status = Status.NOT_CERTIFIED if request.rank is None or rank < request.rank else Status.RANK_CAP
    return error, rank, status


def _looked(found: Located, key: Key, inside: Nystrom, rank: int, norm: str, look: int) -> ErrorEstimate:
    """Return the error of a rank from a look at the residual; without the passes for it, a bound that needs none."""
    op = found.op
    if op.spare_passes < (SPECTRAL_PASSES if norm == "spectral" else 1):
        return _bound(found, inside, rank, norm)
    v = inside.V[:, :rank]
    left = v * cast(inside.w[:rank], v.dtype)[None, :]
    own = key.child("nystrom-certificate", len(found.search.basis.blocks if found.search.basis else ()), look)
    error = certify_approximation(op, left, v, norm, own, looks=look)
    return dataclasses.replace(error, cut="sum")


def _free_error(found: Located, key: Key, inside: Nystrom, rank: int, norm: str) -> ErrorEstimate | None:
    """Return the estimate of the Frobenius error that costs no pass, where it is as good as one that does."""
    op, basis = found.op, found.basis
    assert basis is not None
    if norm != "fro":
        return None
    magnitude, method = op.measure(), found.plan.method
    if isinstance(method, BlockLanczos) and len(basis.blocks) == 1 and isinstance(method.sketch, Gaussian):
        omega = method.test_matrix(op, basis.size, key)
        estimate = leave_one_out_of_nystrom(basis, inside, omega)
        if estimate is not None:
            scale = math.hypot(frobenius(inside.w), estimate[0]) if magnitude is None else magnitude.frobenius
            whole = _estimate(*estimate, math.nan, math.nan, scale, "leave-one-out", op)
            return truncated_error(whole, found.search.values, rank)
    if basis.probes is not None:
        v = inside.V[:, :rank]
        value, spread = probe_residual(v, v * cast(inside.w[:rank], v.dtype)[None, :], basis.probes, basis.probed)
        columns = int(basis.probes.shape[1])
        share = lower_share(columns, _FAILURE, complex_columns=op.dtype.kind == "c")
        scale = math.hypot(frobenius(inside.w), value) if magnitude is None else magnitude.frobenius
        return _estimate(value, spread, value / math.sqrt(share), _FAILURE, scale, "independent probes", op)
    return None


def _estimate(
    value: float, spread: float, upper: float, failure: float, scale: float, method: str, op: Ledger
) -> ErrorEstimate:
    share = 1 / scale if scale > 0 else 0.0
    return ErrorEstimate(
        value=value * share, absolute=value, norm="fro", kind="estimated", method=method, upper=upper * share,
        failure_probability=failure, standard_error=spread * share, floor=10 * float(np.finfo(op.dtype).eps),
        norm_of_A=scale, residual=value, residual_upper=upper, cut="sum",
    )  # fmt: skip


def _bound(found: Located, inside: Nystrom, rank: int, norm: str) -> ErrorEstimate:
    """Return the bound norm((I - P) A (I - P))_F joined to what is cut off: no pass, where norm(A)_F is known."""
    op, basis = found.op, found.basis
    assert basis is not None
    magnitude, kept = op.measure(), frobenius(core_of(basis))
    method = "the Frobenius identity of the projection"
    if magnitude is not None:
        scale, image = magnitude.frobenius, frobenius(basis.image)
        floor = identity_floor(op.dtype)
        square = (scale - image) * (scale + image) - (image - kept) * (image + kept)
        residual = math.sqrt(max(square, (floor * scale) ** 2)) if scale > 0 else 0.0
    elif basis.leave_one_out is not None:
        residual, floor, method = basis.leave_one_out, 10 * float(np.finfo(op.dtype).eps), "leave-one-out"
        scale = math.hypot(frobenius(basis.image), residual)
    else:
        residual, scale, floor, method = math.inf, kept, 0.0, "nothing: no pass was left"
    known = magnitude is not None
    # In the spectral norm the largest eigenvalue found is not above the norm of A.
    scale = float(found.search.values.max(initial=0.0)) if norm == "spectral" else scale
    share = 1 / scale if scale > 0 else 0.0
    upper = residual if known else math.nan
    whole = ErrorEstimate(
        value=residual * share, absolute=residual, norm=norm, kind="bounded" if known else "estimated", method=method,
        upper=upper * share, failure_probability=0.0 if known else math.nan, standard_error=math.nan, floor=floor,
        norm_of_A=scale, residual=residual, residual_upper=upper, cut="sum",
    )  # fmt: skip
    return truncated_error(whole, found.search.values, rank)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Nystrom:
    """The Nystrom approximation on the basis; `diagonal` of A where the nuclear norm is asked for."""

    diagonal: Any
    name: ClassVar[str] = "nystrom"

    def asked(self) -> dict[str, Any]:
        return {}

    def approximation(self, basis: RangeBasis) -> RangeBasis:
        # The projection, whose error is not below the approximation's.
        return dataclasses.replace(basis, leave_one_out=None, leave_one_out_spread=None, factors=None)

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
    return _run(A, base, dataclasses.replace(request, norm=norm), Key(resume.seed), result)


register_resumer("nystrom", _extend)
