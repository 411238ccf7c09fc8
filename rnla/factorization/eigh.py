"""The Hermitian eigenvalue decomposition: the pipeline from a Hermitian matrix to eigenpairs with a certificate.

Problem: V diag(w) V^H ~ A for a Hermitian A, of a given rank or of the smallest rank that meets a tolerance.

Equation: V diag(w) V^H is cut from X T X^H, T = X^H A X, the Rayleigh-Ritz approximation on a basis X.

S1. Coerce A; it must be square and Hermitian; read the request; plan.
S2. Find a basis (the plan's range finder), with riders for the certificate.
S2b. X = orth([X, A X]), and A times what is new, where the leading singular values of A X hold noticeably more than
     the eigenvalues of X^H A X: more eigenvalues of one modulus and both signs than the basis has columns.
S3. T = X^H A X, its Hermitian part [halko2011]_ (Algorithm 5.3).
S4. T = Z diag(w) Z^H; V = X Z; order.
S5. Certify the two-sided projection; pick the rank; join the dropped eigenvalues to the error.
S6. Phases, scale, home.

Cost: that of the basis, 2 n l^2 + 2 n l k + 9 l^3 flops besides; no product with A beyond those of the range
finder, but for S2b.

Guarantee: the error of S5 is the error of the rank returned, of the kind it names.  By Weyl's theorem every
eigenvalue of X T X^H is within its spectral norm of the eigenvalue of A with the same number in order.  The error of
the whole basis is at most twice that of the one-sided projection (tested in `tests/factorization/test_eigh.py`
against the algorithm of the paper, `tests/reference/halko2011_hermitian.py`).

Differences from the paper: (1) the product A X of the range finder is used again, so that S3 costs no pass; (2) the
certificate is that of the two-sided projection itself, by the Frobenius identity where it holds, not twice the
error of the basis; (3) the eigenvalues dropped are joined to it; (4) S2b, where it is taken one pass more: on 600
values of +1 and -1 the error of rank 20 falls from 1.016 times the optimum to 1.000.

When: A is Hermitian and its eigenvalues are wanted with their signs.  When not: a positive semidefinite A has the
better and as cheap `nystrom`; eigenvalues inside the spectrum are not found by any method here.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any, ClassVar

import numpy as np

from rnla._xp.linalg import adjoint, host_values, zeros
from rnla._xp.namespace import device_of, is_numpy, namespace_of
from rnla.checks import check_choice
from rnla.compression.two_sided import Core, known_pairs, two_sided, with_image
from rnla.errors import AccuracyWarning, InputError
from rnla.factorization.batched import batched_eigh, is_stack
from rnla.factorization.driver import Certificate, resumer_of, run, unscaled
from rnla.factorization.low_rank_svd import SingularVectors
from rnla.factorization.nystrom import nystrom
from rnla.factorization.search import Factored
from rnla.factorization.signs import fix_signs
from rnla.factorization.usual_method import for_eigenvalues
from rnla.operators.hermitian import as_hermitian, hermitian_ledger, hermitian_only, require_hermitian_core
from rnla.operators.ledger import Ledger
from rnla.request import read_request
from rnla.results import EighResult, RangeBasis, register_resumer
from rnla.rng import Key, as_key

__all__ = ["eigh"]


def eigh(
    A: Any,
    rank: int | None = None,
    *,
    tol: float | None = None,
    energy: float | None = None,
    which: str = "magnitude",
    psd: bool = False,
    norm: str = "fro",
    oversampling: int | None = None,
    power_iterations: int | None = None,
    sketch: Any = None,
    method: Any = None,
    on_failure: str = "raise",
    rng: Any = None,
) -> EighResult:
    """Truncated eigenvalue decomposition of any Hermitian matrix, with a certificate.

    Parameters
    ----------
    A : matrix, shape (n, n)
        Everything that `svd` takes, stacks (..., n, n) too, and Hermitian; an operator needs no product with its
        adjoint.  Never changed.
    rank : int, optional
        Eigenpairs wanted; with `tol`, the most of them.
    tol : float, optional
        Error allowed, relative to the norm of A: the smallest rank that is certified to meet it.
    energy : float, optional
        In place of `tol`: the share of the sum of squares of the eigenvalues that is kept, at least.
    which : {"magnitude", "largest"}
        The eigenvalues of largest modulus, which approximate A best, or the algebraically largest ones among those
        that the basis holds (with `rank` alone).
    psd : bool
        Whether A is positive semidefinite: then `nystrom` answers, which is more accurate at the same cost.
    norm : {"fro", "spectral"}
        The norm of the error; with ``psd=True`` also ``"nuclear"``.
    oversampling, power_iterations, sketch, method
        How the basis is found, as for `svd`; `method` also takes `BlockLanczos`.
    on_failure : {"raise", "return"}
        Whether a missed tolerance or deadline raises or is only told in ``status``.
    rng : None, int, SeedSequence, Generator, ...
        What `numpy.random.default_rng` takes.

    Returns
    -------
    EighResult
        Unpacks as ``w, V``; w (k,) real, V (n, k) orthonormal, in the library and on the device of A; carries
        ``error``, ``report`` and ``status``.

    Raises
    ------
    InputError
        Arguments that cannot be used, or a matrix that is not Hermitian: with the entry that shows it, for
        matrices in memory, before any work.
    DTypeError, NonFiniteError, OperatorError, BudgetError, ToleranceNotMet, DeadlineReached
        As `svd` raises them.

    Warns
    -----
    RankWarning
        The numerical rank of A is below the rank asked for.
    AccuracyWarning
        With ``which="largest"``, the basis holds fewer positive eigenvalues than were asked for.

    Notes
    -----
    Cost: that of `svd` with the same arguments; matrices in memory are read once more to see that they are Hermitian.

    Guarantee: the error returned is that of V diag(w) V^H, exact where the Frobenius identity holds.  Every
    eigenvalue is within the spectral norm of the residual of an eigenvalue of A (Weyl); A priori, the bounds of
    [1]_ for the basis hold, times 2 for the whole basis.

    References
    ----------
    .. [1] N. Halko, P. G. Martinsson and J. A. Tropp, Finding structure with randomness, SIAM Review
       53 (2011) 217-288.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag([-4.0, 3.0, 1.0, 0.0])
    >>> w, V = rnla.eigh(A, 2, rng=0)
    >>> w.round(12).tolist()
    [-4.0, 3.0]
    """
    if is_stack(A):
        stacked: Any = batched_eigh(
            A, rank, tol=tol, energy=energy, which=which, psd=psd, norm=norm, oversampling=oversampling,
            power_iterations=power_iterations, sketch=sketch, method=method, on_failure=on_failure, rng=rng,
        )  # fmt: skip
        return stacked  # type: ignore[no-any-return]
    check_choice("which", which, ("magnitude", "largest"))
    if not isinstance(psd, (bool, np.bool_)):
        raise InputError(f"psd={psd!r} must be True or False")
    if psd:
        return nystrom(
            A, rank, tol=tol, energy=energy, norm=norm, oversampling=oversampling, power_iterations=power_iterations,
            sketch=sketch, method=method, on_failure=on_failure, rng=rng,
        )  # fmt: skip
    if which == "largest" and (tol is not None or energy is not None):
        raise InputError(
            "which='largest' leaves out negative eigenvalues however large, so no tolerance can be met; give rank= "
            "alone, or which='magnitude'"
        )
    key = as_key(rng)
    base = as_hermitian(A)
    request = read_request(
        base.shape, base.dtype, rank, tol, norm, oversampling, power_iterations, sketch, method, on_failure, energy
    )
    ledger = hermitian_ledger(base)
    request = for_eigenvalues(ledger, dataclasses.replace(request, hermitian=True))
    with hermitian_only(base):
        result: EighResult = run(A, ledger, request, key, None, _Eigh(which))
    return _looked_at(result, which)


def _looked_at(result: EighResult, which: str) -> EighResult:
    """Warn where the algebraically largest eigenvalues need not be among those that the basis holds."""
    n = result.report.shape[0]
    if which == "largest" and result.rank and result.report.size < n and not host_values(result.w)[-1] > 0:
        warnings.warn(
            f"the basis of {result.report.size} columns holds fewer than {result.rank} positive eigenvalues: negative "
            "ones of larger modulus took their place, and there may be larger ones outside; raise oversampling, or "
            "shift the matrix, A + c I",
            AccuracyWarning,
            stacklevel=3,
        )
    return result


@dataclasses.dataclass(frozen=True, slots=True)
class _Eigh:
    """The eigenvalue decomposition of the two-sided projection."""

    which: str
    core: Core = dataclasses.field(default_factory=Core, compare=False, repr=False)
    name: ClassVar[str] = "eigh"

    def asked(self) -> dict[str, Any]:
        return {"which": self.which}

    def widen(self, op: Ledger, basis: RangeBasis, rank: int, key: Key) -> RangeBasis:
        return basis if self.which == "largest" else with_image(op, basis, rank, key, self.core)  # S2b

    def approximation(self, basis: RangeBasis) -> RangeBasis:
        return two_sided(basis, self.core.of(basis))

    def coordinates(self, basis: RangeBasis) -> tuple[Any, str]:
        core = self.core.of(basis)
        return (core + adjoint(core)) / 2, "two-sided"

    def factor(self, basis: RangeBasis) -> Factored:
        known = known_pairs(basis)
        if known is None:
            require_hermitian_core(self.core.of(basis))  # S3
            w, z = self.core.pairs(basis)  # S4
        else:
            w, z = known
        xp, values = namespace_of(w), host_values(w)
        order = np.argsort(-values if self.which == "largest" else -np.abs(values), kind="stable")
        index = order if is_numpy(xp) else xp.asarray(order, device=device_of(w))
        w, z = xp.take(w, index, axis=0), xp.take(z, index, axis=1)
        return Factored((z if known is not None else SingularVectors(basis.basis, z, "left"), w), xp.abs(w))

    def nothing(self, shape: tuple[int, int], like: Any, real: Any) -> Factored:
        return Factored((zeros((shape[0], 0), like), real), real)

    def build(self, factored: Factored, rank: int, exponent: int, certificate: Certificate) -> EighResult:
        v, w = factored.parts
        v = v[:, :rank]
        v, _ = fix_signs(v, adjoint(v))  # S6
        return EighResult(unscaled(w[:rank], exponent), v, **certificate.fields())


_go_on = resumer_of(lambda asked: _Eigh(asked["which"]))


def _extend(result: EighResult, A: Any, **more: Any) -> EighResult:
    base = as_hermitian(A)
    assert result.resume is not None
    which = result.resume.request["which"]
    if which == "largest" and more.get("tol") is not None:
        raise InputError("a result with which='largest' meets no tolerance; extend it by rank=")
    with hermitian_only(base):
        return _looked_at(_go_on(result, base, **more), which)


register_resumer("eigh", _extend)
