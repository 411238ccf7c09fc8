"""Principal components from the means and the Gram matrix about them alone, so that a tall file is read once.

Problem: components and variances of a tall matrix on a disk; each pass over it takes longer than all else.

S1. Means and Gram matrix G from one pass (`rnla.operators.scatter`).
S2. The leading eigenpairs of G; singular values are the roots of its eigenvalues.
S3. The error by the Frobenius identity: the trace of G is the squared norm of the centred matrix.
S4. The scores take a pass of their own and are made when they are first asked for (`scores_of`).

Cost: one pass, m n^2 flops and an eigenproblem of size n.
Guarantee: rounding in G is that of the largest variances, so a variance is right to a few eps of their sum.  Where the
smallest one asked for is below `RESOLVED` of that sum, where the error is below the floor of the identity, or where a
tolerance is not met, None is returned and products with the matrix decide: see `rnla.factorization.pca`.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np

from rnla._kernels.threads import interruptible
from rnla._xp.linalg import adjoint, host_values
from rnla._xp.namespace import backend_name
from rnla.config import get_config
from rnla.error.certificate import by_identity
from rnla.error.residual import identity_rounding
from rnla.errors import BudgetError, InputError
from rnla.factorization.driver import _dtype_path
from rnla.factorization.signs import row_phases
from rnla.operators.centered import centered
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import LinearOperator, Magnitude
from rnla.operators.rowblocks import RowBlocks
from rnla.operators.scan import times_power_of_two
from rnla.operators.scatter import Scatter, bytes_of_group
from rnla.planner import Plan
from rnla.rangefinder import GramEigh
from rnla.rangefinder.leading import leading_eigh
from rnla.request import Request
from rnla.results import ErrorEstimate, RangeBasis, Report, Resume
from rnla.results.pca_result import PCAResult
from rnla.rng import Key
from rnla.working import kernels_in_use, working

__all__ = ["RESOLVED", "Leading", "bytes_of_gram", "leading", "made_in_one", "multiplied", "scores_of", "told"]

RESOLVED = 2.0**-24
"""Share of the total variance down to which variances are read off the Gram matrix: eight digits are left there."""
_SAME = 1e-8  # of the total variance
_MATRICES = 8  # of the size of the Gram matrix, at the most: it, its eigenvectors and LAPACK's working memory


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Leading:
    """The components wanted.

    Attributes
    ----------
    components : numpy.ndarray, shape (k, n)
    values : numpy.ndarray, shape (k,)
        Singular values of the centred matrix.
    error : ErrorEstimate
    """

    components: Any
    values: np.ndarray[Any, Any]
    error: ErrorEstimate


def made_in_one(base: LinearOperator, plain: bool, method: Any) -> bool:
    """Return whether the means and the Gram matrix that a method wants are made in one pass.

    Parameters
    ----------
    base : LinearOperator
    plain : bool
        Whether columns are centred at their means, and neither scaled nor weighted.
    method : RangeFinder
    """
    tall = base.shape[0] >= base.shape[1]
    return plain and tall and isinstance(method, GramEigh) and isinstance(base, RowBlocks) and base.dtype.char in "dD"


def bytes_of_gram(base: LinearOperator) -> int:
    """Return the peak memory beside A of components that are made without scores."""
    m, n = base.shape
    return _MATRICES * n**2 * base.dtype.itemsize + min(bytes_of_group(), m * n * base.dtype.itemsize)


def leading(base: LinearOperator, request: Request, found: Scatter) -> Leading | None:
    """Return the components that were asked for (S2, S3), or None where the Gram matrix does not tell them.

    Parameters
    ----------
    base : LinearOperator
        In double precision.
    request : Request
    found : Scatter
    """
    _, magnitude, gram = found
    n, total = base.shape[1], magnitude.frobenius
    size = n if request.tol is not None or request.rank is None else request.rank
    w, v = interruptible(lambda: leading_eigh(gram, size), 9.0 * n**3)
    squares = np.maximum(host_values(w), 0.0)
    k = size
    if request.tol is not None:
        left = np.sqrt(np.maximum(0.0, 1.0 - np.cumsum(squares) / total**2))
        met = np.flatnonzero(np.hypot(left, identity_rounding(base.dtype)) <= request.tol)
        if len(met) == 0 or (request.rank is not None and met[0] >= request.rank):
            return None
        k = int(met[0]) + 1
    if k == 0 or squares[k - 1] < RESOLVED * total**2:
        return None
    values = np.sqrt(squares[:k])
    error = by_identity(Ledger(centered(base, magnitude=magnitude)), values)
    if error is None or (request.tol is not None and not error.meets(request.tol)):
        return None
    vh = adjoint(v[:, :k])
    return Leading(vh * adjoint(row_phases(vh)[None, :]), values, error)


def told(
    X: Any, op: Ledger, found: Leading, magnitude: Magnitude, request: Request, plan: Plan, key: Key, started: float
) -> tuple[Report, Resume]:
    """Return what was done, and what a later request goes on from.

    Parameters
    ----------
    X : matrix
        As the caller gave it.
    op : Ledger
        Over it.
    found : Leading
    magnitude : Magnitude
        Of the centred matrix.
    request : Request
    plan : Plan
        Of a method that makes the Gram matrix.
    key : Key
    started : float
        When, by `time.perf_counter`.
    """
    k = len(found.values)
    reason = "means and Gram matrix come from one pass; scores take another one when they are asked for"
    plan = dataclasses.replace(plan, passes=1, size=k, bytes=bytes_of_gram(op.base), reasons=(*plan.reasons, reason))
    report = Report(
        plan=plan, shape=op.shape, rank=k, size=k, blocks=(k,), passes=op.counts.passes, scans=op.counts.scans,
        products=op.counts.products, seed=key.seed, dtype_path=_dtype_path(X, op, found.components),
        backend=backend_name(op.xp), device="", copies=(), numerical_rank=k, deterministic=True,
        seconds=time.perf_counter() - started, kernels=kernels_in_use(op.xp, op.dtype),
    )  # fmt: skip
    resume = Resume(
        name="pca", basis=RangeBasis("row", adjoint(found.components), None, (k,)), singular_values=found.values,
        exponent=0, frobenius=magnitude.frobenius, method=plan.method,
        request={"rank": request.rank, "tol": request.tol, "norm": request.norm, "center": True}, seed=key.seed,
    )  # fmt: skip
    return report, resume


def scores_of(result: PCAResult, X: Any) -> tuple[Any, Report]:
    """Return the scores of the rows of the matrix of a result, and its report with the pass that they took (S4).

    Parameters
    ----------
    result : PCAResult
    X : matrix
        That the components were made of.
    """
    started = time.perf_counter()
    base = as_operator(X)
    needed = base.shape[0] * result.rank * base.dtype.itemsize
    if not get_config().allows(needed):
        raise BudgetError(
            f"the scores take {needed} bytes, more than memory_budget={get_config().budget()}; allow more, or "
            "transform some rows at a time"
        )
    with working(base.xp, base.dtype, 2.0 * base.shape[0] * base.shape[1] * result.rank):
        scores, counts = multiplied(base, result.components, (result.mean, result.mean_rest), result.scale)
    # A column of scores has the length of its singular value, but for rounding: another matrix is found out.
    squares = np.square(host_values(result.singular_values))
    lengths = np.einsum("ij,ij->j", scores.conj() if scores.dtype.kind == "c" else scores, scores).real
    gap = np.abs(lengths - squares).max(initial=0.0)
    if not gap <= _SAME * result.error.norm_of_A**2:
        raise InputError(
            "the matrix changed since its components were found: call pca again, or transform(X) for other rows"
        )
    report = result.report
    return scores, dataclasses.replace(
        report, passes=report.passes + counts.passes, scans=report.scans + counts.scans,
        products=report.products + counts.products, seconds=report.seconds + time.perf_counter() - started,
    )  # fmt: skip


def multiplied(base: LinearOperator, components: Any, centre: tuple[Any, Any], scale: Any) -> tuple[Any, Any]:
    """Return (X - 1 mean^T) diag(1 / scale) times the adjoint of the components, and the counts of that.

    Parameters
    ----------
    base : LinearOperator
    components : array, shape (k, n)
    centre : tuple
        The mean in two parts, or None twice.
    scale : array, shape (n,), or None
    """
    scale = None if scale is None else host_values(scale)
    view = Ledger(centered(base, center=centre[0], rest=centre[1], scale=scale, magnitude=Magnitude(float("nan"))))
    scores = view.matmat(adjoint(components))
    return times_power_of_two(scores, view.exponent) if view.exponent else scores, view.counts
