"""Principal component analysis: the pipeline on the centred matrix, which is never formed.

Problem: the directions of largest variance of the rows of X, for X of any kind.

Equation: B = diag(sqrt(w)) (X - 1 mean^T) diag(1/scale) ~ U diag(s) V^H; components V^H, variances s^2 over the degrees
of freedom, scores (X - 1 mean^T) diag(1/scale) V.

S1. One pass for the means of the columns and the squares about them (`rnla.operators.moments`).  A tall matrix in a
    file, of which the plan wants the Gram matrix, gives that in the same pass (`rnla.operators.scatter`), and where it
    tells what was asked, no other pass is made but for the scores, on request (`rnla.factorization.covariance`).
S2. B as an operator (`rnla.operators.centered`): tiles are centred before they are multiplied, sparse zeros stay.
S3. The driver of `rnla.svd` on B, with its certificate (Algorithms 4.4 and 5.1 of [halko2011]_).
S4. Signs by the components; scores from U and s where they are B V to rounding, else in one pass more.

Cost: that of `rnla.svd`, one pass more for the means, and one subtraction per entry and pass; of a tall file one pass.
Guarantee: the certificate of `rnla.svd`, for B.  No cancellation for means far from zero, but for operators.
Differences from textbooks: a covariance is trusted with variances above 6e-8 of their sum only, so small ones keep
their accuracy.
When to use: always before methods that form the covariance.  For missing entries this is not the method.
"""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any, ClassVar

import numpy as np

from rnla._xp.linalg import adjoint, cast, host_values
from rnla._xp.namespace import from_host, to_host
from rnla.config import config_context, fixed_settings, get_config
from rnla.errors import BudgetError, DeadlineReached, InputError, NonFiniteError
from rnla.factorization.covariance import bytes_of_gram, leading, made_in_one, multiplied, told
from rnla.factorization.driver import Certificate, run, unscaled
from rnla.factorization.from_svd import FromSVD
from rnla.factorization.resuming import at_home
from rnla.factorization.search import Factored
from rnla.factorization.signs import row_phases
from rnla.factorization.standardization import Standardization
from rnla.iterate import watching
from rnla.operators.centered import centered
from rnla.operators.centering import in_two
from rnla.operators.coerce import as_operator
from rnla.operators.implicit import Implicit
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import LinearOperator, Magnitude
from rnla.operators.scatter import column_scatter
from rnla.planner import make_plan, usual_plan
from rnla.request import Request, read_request
from rnla.results import ErrorEstimate, Report, Resume, Status, SVDResult, register_resumer
from rnla.results.pca_result import PCAResult
from rnla.rng import Key, as_key
from rnla.working import working

__all__ = ["pca"]


def pca(
    X: Any,
    rank: int | None = None,
    *,
    tol: float | None = None,
    energy: float | None = None,
    center: Any = True,
    scale: Any = False,
    weights: Any = None,
    rows: Any = None,
    method: Any = None,
    on_failure: str = "raise",
    rng: Any = None,
) -> PCAResult:
    """Principal components of the rows of any matrix, with a certificate; the centred matrix is never formed.

    Parameters
    ----------
    X : matrix, shape (m, n)
        One row for each observation; any kind that `svd` takes.  Sparse matrices stay sparse, files are read in
        blocks.
    rank : int, optional
        Components wanted; with `tol` or `energy`, the most of them.
    tol : float, optional
        Error allowed, relative to the Frobenius norm of the centred matrix.
    energy : float, optional
        Share of the variance that the components must explain, such as 0.95: the fewest that are certified to.
    center : bool or array, shape (n,)
        Subtract the (weighted) means of the columns; or what to subtract.
    scale : bool or array, shape (n,)
        Divide the columns by their standard deviations (of the rows as they are; constant columns by 1); or what to
        divide by.  For an operator, whose entries cannot be read, only an array.
    weights : array, shape (m,), optional
        Not negative; rows count as much as their weights say, up to a common factor.
    rows : array, optional
        A mask of booleans (m,), or indices: the rows that count.  The others have scores only.
    method : RangeFinder, optional
        A part such as ``SubspaceIteration(power_iterations=4)``.
    on_failure : {"raise", "return"}
        Whether a missed tolerance or deadline raises or is only told in ``status``.
    rng : None, int, SeedSequence, Generator, ...
        What `numpy.random.default_rng` takes.

    Returns
    -------
    PCAResult
        Unpacks as ``scores, components, mean``; carries variances, ``error``, ``report`` and ``status``.

    Raises
    ------
    InputError, DTypeError
        Arguments that cannot be used, before any work; fewer than two rows that count.
    NonFiniteError, OperatorError, BudgetError, ToleranceNotMet, DeadlineReached
        As `svd` raises them.

    Warns
    -----
    RankWarning
        The numerical rank of the centred matrix is below the rank asked for.

    Notes
    -----
    Cost: that of `svd`, one pass more for means and variances, and one more for the scores where rows are weighted or
    there are more columns than rows.  Of a tall matrix in a file, plain rows in double precision, one pass is all where
    the Gram matrix tells what was asked; ``result.scores`` takes another when it is first looked at, or unpacked.

    Guarantee: the certificate of `svd` holds for the centred, scaled and weighted matrix.  Entries are centred before
    they are multiplied, so means far from zero cost no accuracy; for sparse matrices and operators, whose
    products are centred, rounding is relative to X and not to its deviations.

    Variances are squares of singular values over the degrees of freedom, sum(w) - sum(w**2) / sum(w): m - 1 for plain
    rows.  Where the means are not estimated from X (`center` is False or an array), over sum(w).

    Examples
    --------
    >>> import numpy as np, rnla
    >>> t = np.linspace(-1.0, 1.0, 50)
    >>> X = 100 + np.outer(t, [3.0, 4.0, 0.0])
    >>> result = rnla.pca(X, energy=0.99, rng=0)
    >>> result.components.round(6).tolist(), result.mean.tolist()
    ([[0.6, 0.8, 0.0]], [100.0, 100.0, 100.0])
    """
    key = as_key(rng)
    base = as_operator(X)
    request = read_request(
        base.shape, base.dtype, rank, tol, "fro", None, None, None, method, on_failure, energy
    )  # fmt: skip
    started, m = time.perf_counter(), base.shape[0]
    options = Standardization.read(base, center, scale, weights, rows)
    if isinstance(base, Implicit):
        base.require_adjoint()
    limit, taken = get_config().max_passes, options.passes(base)
    preview = Ledger(centered(base, magnitude=Magnitude(math.nan)))
    draft = usual_plan(preview, request)
    together = made_in_one(base, options.plain, draft.method) and get_config().allows(bytes_of_gram(base))
    # With exactly the passes that means and products take apart, a Gram matrix that does not tell would cost one.
    together = together and limit != taken + (draft.passes or 0)
    if not together:
        _require_room(preview, request, limit, taken)  # what cannot fit is refused before the means are taken
    with fixed_settings(), watching() as watch, working(base.xp, base.dtype):
        watch.stage = "taking the means"
        inner, found = Ledger(base), None
        if together:
            found = column_scatter(inner)
            first = None if found is None else leading(base, request, found)
            if found is not None and first is not None:
                report, resume = told(X, inner, first, found[1], request, draft, key, started)
                return _result(
                    (None, first.components, first.values), base, found[0], None, None, options.degrees(m),
                    error=first.error, report=report, status=Status.MET, resume=resume, source=X,
                )  # fmt: skip
            _require_room(preview, request, limit, 1 if found is not None else 1 + taken)
        if found is None:
            centre, scales, magnitude = options.take(inner)  # S1
            gram = None
        else:
            centre, magnitude, gram = found
            scales = None
        left = _what_is_left(inner, watch)
    roots = None if options.weights is None else np.sqrt(options.weights)
    if centre[0] is None and scales is None and roots is None:
        view: LinearOperator = base
    else:
        view = centered(
            base, center=centre[0], rest=centre[1], scale=scales, roots=roots, magnitude=magnitude, inner=inner,
            known_gram=gram,
        )  # fmt: skip
    before = inner.counts.passes, inner.counts.scans, inner.counts.products
    problem = _PCA(options.center is True)
    with config_context(**left):
        result: SVDResult = run(X, view, request, key, None, problem)
        return _assembled(result, base, centre, scales, options.weights, options.degrees(m), before)


def _require_room(preview: Ledger, request: Request, limit: int | None, taken: int) -> None:
    """Raise where the passes that are left after the means, or the memory, do not do for the products."""
    if limit is not None and limit <= taken:
        raise BudgetError(f"the means take {taken} pass and max_passes={limit} leaves none for the rest; allow more")
    try:
        with config_context(max_passes=None if limit is None else limit - taken):
            make_plan(preview, request)
    except BudgetError as error:
        if limit is not None:
            error.add_note(f"{taken} of max_passes={limit} goes to the means")
        raise


def _what_is_left(op: Ledger, watch: Any) -> dict[str, Any]:
    """Return the settings for the rest of the call: the passes and the time that the means have left."""
    config, left = get_config(), {}
    if config.max_passes is not None:
        left["max_passes"] = config.max_passes - op.counts.passes
    if config.deadline is not None:
        left["deadline"] = config.deadline - watch.elapsed
        if left["deadline"] <= 0:
            raise DeadlineReached("the deadline passed while the means were taken; allow more time")
    return left


@dataclasses.dataclass(frozen=True, slots=True)
class _PCA(FromSVD):
    """The decomposition of the centred matrix: what `svd` does, under a name of its own."""

    center: bool

    name: ClassVar[str] = "pca"

    def asked(self) -> dict[str, Any]:
        return {"center": self.center}

    def build(self, factored: Factored, rank: int, exponent: int, certificate: Certificate) -> SVDResult:
        u, vh = factored.parts
        u, vh = u[:, :rank], vh[:rank, :]
        if rank:  # S4
            phases = row_phases(vh)
            u, vh = u * phases[None, :], vh * adjoint(phases[None, :])
        return SVDResult(u, unscaled(factored.values[:rank], exponent), vh, **certificate.fields())


def _assembled(
    result: SVDResult, base: LinearOperator, centre: tuple[Any, Any], scales: Any, weights: Any, degrees: float,
    before: tuple[int, int, int],
) -> PCAResult:  # fmt: skip
    """Return the components, variances and scores (S4)."""
    xp = base.xp
    passes, scans, products = before
    resume = result.resume
    assert resume is not None
    exact = resume.basis.space == "row" or resume.basis.size == min(base.shape)
    if weights is None and exact:
        scores = result.U * cast(result.s, result.U.dtype)[None, :]
    else:
        with working(xp, base.dtype):
            scores, counts = multiplied(base, result.Vh, centre, scales)
        passes, products = passes + counts.passes, products + counts.products
    report = dataclasses.replace(
        result.report, passes=result.report.passes + passes, scans=result.report.scans + scans,
        products=result.report.products + products,
    )  # fmt: skip
    return _result(
        (scores, result.Vh, result.s), base, centre, scales, weights, degrees, error=result.error, report=report,
        status=result.status, resume=resume, source=result._source,
    )  # fmt: skip


def _result(
    parts: tuple[Any, Any, Any], base: LinearOperator, centre: tuple[Any, Any], scales: Any, weights: Any,
    degrees: float, *, error: ErrorEstimate, report: Report, status: Status, resume: Resume, source: Any,
) -> PCAResult:  # fmt: skip
    """Return the result of scores, or None for those on request, components and singular values."""
    xp, n = base.xp, base.shape[1]
    scores, components, s = parts
    values = host_values(s)
    with np.errstate(over="ignore", under="ignore"):
        variance = values * (values / degrees)
        norm = error.norm_of_A
        total = norm * (norm / degrees)
        share = np.minimum(1.0, (values / norm) ** 2) if norm > 0 else np.zeros_like(values)
        real = np.dtype(str(s.dtype).rpartition(".")[2])
        finite = bool(np.all(np.isfinite(variance.astype(real))))
    if not finite or not math.isfinite(total):
        raise NonFiniteError(f"the variances exceed the range of {real}; scale the matrix down first")
    variance, share = (from_host(each.astype(real), xp, base.device) for each in (variance, share))
    if centre[0] is None:
        mean = rest = from_host(np.zeros(n, dtype=base.dtype), xp, base.device)
    else:
        mean, rest = in_two(*centre, base.dtype, xp)
    return PCAResult(
        scores, components, mean, s, variance, share, rest,
        None if scales is None else from_host(scales.astype(real), xp, base.device), weights, total,
        error=error, report=report, status=status, resume=resume, _source=source,
    )  # fmt: skip


def _again(result: PCAResult, X: Any, rank: int | None, tol: float | None, on_failure: str) -> PCAResult:
    """Go on from a result without an image: the Gram matrix takes one pass, as any look at the matrix does."""
    resume = result.resume
    assert resume is not None
    if tol is not None and result.error.meets(tol):
        rank, tol = result.rank, None  # columns are never lost
    more = pca(X, rank, tol=tol, method=resume.method, on_failure=on_failure, rng=resume.seed)
    k = min(more.rank, result.rank)
    gap = np.abs(more.singular_values[:k] ** 2 - result.singular_values[:k] ** 2).max(initial=0.0)
    if more.shape != result.shape or not gap <= 1e-8 * resume.frobenius**2:
        raise InputError("extend needs the matrix that was factorized, and this one has other variances")
    return more


def _extend(
    result: PCAResult, X: Any, *, rank: int | None = None, tol: float | None = None, on_failure: str = "raise"
) -> PCAResult:
    """Go on from a result: the resumer of this driver.  The means are those of before, so they take no pass."""
    if rank is None and tol is None:
        raise InputError("say how much more is wanted: rank=, tol=, or both")
    assert result.resume is not None
    base = as_operator(X)
    resume = at_home(result.resume, base, loaded=result._source is None)
    request = read_request(
        base.shape, base.dtype, rank, tol, resume.request["norm"], None, None, None, resume.method, on_failure
    )
    if request.rank is not None and request.rank < result.rank:
        raise InputError(f"rank={request.rank} is below the present {result.rank}; use truncate(rank={request.rank})")
    if resume.basis.image is None:
        return _again(result, X, rank, tol, on_failure)
    loaded = result._source is None
    moved = dataclasses.replace(
        result, **{
            name: from_host(to_host(getattr(result, name)), base.xp, base.device)
            for name in ("mean", "mean_rest") if loaded
        },
    )  # fmt: skip
    known = not math.isnan(resume.frobenius)
    scales = None if result.scale is None else host_values(result.scale)
    weights = result.weights
    view = centered(
        base, center=moved.mean, rest=moved.mean_rest, scale=scales,
        roots=None if weights is None else np.sqrt(weights),
        magnitude=Magnitude(resume.frobenius, resume.exponent) if known else None,
    )  # fmt: skip
    problem = _PCA(resume.request["center"])
    before = SVDResult(
        result.scores, result.singular_values, result.components, result.error, result.report, result.status, resume
    )
    extended: SVDResult = run(X, view, request, Key(resume.seed), before, problem)
    if extended.U is before.U:  # the deadline passed before anything was found
        return dataclasses.replace(result, status=Status.DEADLINE)
    degrees = Standardization(problem.center is True, False, weights).degrees(base.shape[0])
    return _assembled(extended, base, (moved.mean, moved.mean_rest), scales, weights, degrees, (0, 0, 0))


register_resumer("pca", _extend)
