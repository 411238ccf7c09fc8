"""The CUR decomposition: a matrix from some of its columns, some of its rows, and a small core.

Problem: columns J and rows I of A, k of each, and U (k, k) with A ~ A[:, J] U A[I, :].

S1. A basis for A, as `rnla.svd` finds it (for a tolerance, half of it), and the SVD U_0 diag(s) V^H of the projection.
S2. Choose J on diag(s) V^H and I on (U_0 diag(s))^H: pivoted QR [voronin2017]_, or another selection; exchange both
    until they are strongly rank-revealing [gu1996]_.
S3. C = A[:, J] = Q_C T_C, R^H = A[I, :]^H = Q_R T_R; M = Q_C^H A Q_R (one product with A).
S4. U = T_C^{-1} M T_R^{-H}, by substitution: the core of the smallest Frobenius error for these columns and rows.
S5. Certify C U R itself, with the rounding in U; a tolerance that it misses gets more columns and rows.

Equation: C U R = Q_C Q_C^H A Q_R Q_R^H, so norm(A - C U R)_F^2 = norm(A)_F^2 - norm(M)_F^2
<= norm(A - Q_C Q_C^H A)_F^2 + norm(A - A Q_R Q_R^H)_F^2.

For a rank alone, of a large dense matrix, J is chosen as in `rnla.factorization.sketched_choice`, and I on the
projection of A on the columns J.

Cost: the SVD's (or one sparse sketch), and: reading k columns and k rows, one product of k columns,
4 (m + n) k^2 flops; one pass more to certify where the Frobenius identity does not.
Guarantee: the certificate is of C U R as returned.  A priori, each term of the equation is that of an interpolative
decomposition.  Tested in `tests/factorization/test_cur.py`.

Differences from the papers: (1) never a pseudo-inverse of the cross A[I, J], nor of C or R: triangles of QR
factorizations are solved with; (2) U has entries of the size of 1 / s_k(A) whatever one does, and a product with
them loses eps s_1 / s_k(A), so columns past about sqrt(eps) s_1 are left out of the core: errors below a few
sqrt(eps) norm(A) are not reached by any explicit core, and a tolerance below that raises
(``rnla.interpolative(axis="both")`` has no such limit); (3) the error is certified [mahoney2009]_.

When: rows and columns of A mean something, or A is sparse: C and R are as sparse as A is.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from rnla._xp.linalg import adjoint, frobenius, zeros
from rnla._xp.namespace import namespace_of
from rnla.compression.column_selection import ColumnSelection, PivotedQR, as_selection
from rnla.compression.skeleton import Interpolation, Side, core_of, interpolate, orthonormal_panel, product_rounding
from rnla.compression.two_sided import times
from rnla.factorization.driver import Certificate, Located, located, run, settle, unscaled
from rnla.factorization.from_svd import FromSVD
from rnla.factorization.search import Factored
from rnla.factorization.skeletons import (
    Attempt,
    asked_of_basis,
    certificate_of,
    chosen_before,
    chosen_columns,
    exact_error,
    from_caller,
    index_at_home,
    looked_at,
    require_passes,
    resumed,
    searched,
    stopped_early,
)
from rnla.factorization.sketched_choice import keep_basis, pivots_of_sketch, sketched, small_factor
from rnla.factorization.usual_method import for_choosing, for_sketch
from rnla.operators.coerce import as_operator
from rnla.request import Request, read_request
from rnla.results import CURResult, ErrorEstimate, Status, register_resumer
from rnla.rng import Key, as_key

__all__ = ["cur"]


def cur(
    A: Any,
    rank: int | None = None,
    *,
    tol: float | None = None,
    energy: float | None = None,
    norm: str = "fro",
    selection: Any = None,
    oversampling: int | None = None,
    power_iterations: int | None = None,
    sketch: Any = None,
    method: Any = None,
    on_failure: str = "raise",
    rng: Any = None,
) -> CURResult:
    """CUR decomposition of any matrix, ``A ~ A[:, J] U A[I, :]``, with a certificate.

    Parameters
    ----------
    A : matrix, shape (m, n)
        Everything that `svd` takes.  Never changed.
    rank : int, optional
        Columns, and rows, wanted; with `tol`, the most of them.
    tol : float, optional
        Error allowed, relative to the norm of A.  It is certified on the decomposition that is returned; below about
        the root of the machine epsilon no explicit core can meet it.
    energy : float, optional
        Share of the squared Frobenius norm to keep, instead of `tol`.
    norm : {"fro", "spectral"}
        The norm of the error.
    selection : str or ColumnSelection, optional
        How columns and rows are chosen: ``"pivoted_qr"`` (default), ``"random_pivoted_qr"``,
        ``"adaptive_randomized_pivoting"``, ``"leverage_scores"``, or a part.
    oversampling, power_iterations, sketch, method
        How the basis is found that the choice is made on, as for `svd`.
    on_failure : {"raise", "return"}
        Whether a missed tolerance raises or is only told in ``status``.
    rng : None, int, SeedSequence, Generator, ...
        What `numpy.random.default_rng` takes.

    Returns
    -------
    CURResult
        Unpacks as ``C, U, R``; ``.columns`` and ``.rows`` are the indices.  C and R are rows and columns of A as
        they are, sparse and of the same type where A is.

    Raises
    ------
    InputError, DTypeError, NonFiniteError, OperatorError, BudgetError, ToleranceNotMet, DeadlineReached
        As `svd` raises them.

    Warns
    -----
    RankWarning
        The numerical rank of A is below the rank asked for; the columns and rows past it have no part in U.

    Notes
    -----
    Cost: that of `svd` (for a rank of a large dense matrix, one sparse sketch), the reading of k rows and columns, one
    product of k columns and 4 (m + n) k^2 flops; where the Frobenius identity does not certify the answer, one pass
    more.

    Guarantee: the certificate is that of C U R as returned.  A priori its squared Frobenius error is at most the sum
    of those of the interpolative decompositions by these columns and by these rows [1]_.

    References
    ----------
    .. [1] S. Voronin and P. G. Martinsson, Efficient algorithms for CUR and interpolative matrix decompositions,
       Advances in Computational Mathematics 43 (2017) 495-516.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.outer([1.0, 2.0, 4.0], [1.0, 4.0, 2.0])
    >>> result = rnla.cur(A, 1, rng=0)
    >>> C, U, R = result
    >>> result.columns.tolist(), result.rows.tolist(), U.round(12).tolist()
    ([1], [2], [[0.0625]])
    """
    key = as_key(rng)
    op = as_operator(A)
    request = read_request(
        op.shape, op.dtype, rank, tol, norm, oversampling, power_iterations, sketch, method, on_failure, energy
    )
    result: CURResult = _run(A, op, request, key, None, _CUR(as_selection(selection)))
    return result


@dataclasses.dataclass(frozen=True, slots=True)
class _CUR(FromSVD):
    """What was asked beyond the request."""

    name: ClassVar[str] = "cur"

    selection: ColumnSelection

    def asked(self) -> dict[str, Any]:
        return {"selection": self.selection}

    def build(self, factored: Factored, rank: int, exponent: int, certificate: Certificate) -> CURResult:
        left, right = factored.parts
        none = index_at_home(np.zeros(0, dtype=np.int64), left)
        return CURResult(left, zeros((0, 0), left), right, none, none, **certificate.fields())


def _run(A: Any, base: Any, request: Request, key: Key, before: Any, problem: _CUR) -> Any:
    if min(base.shape) == 0:
        return run(A, base, request, key, None, problem)
    asked = for_sketch(base, request, "row") if before is None and problem.selection == PivotedQR() else None
    require_passes(base, request if asked is None else asked, 2)
    if asked is not None:
        return _on_sketch(A, base, asked, key, problem)
    with located(base, asked_of_basis(for_choosing(base, request), base.dtype, 2), key, problem, before) as found:
        notes: tuple[str, ...] = ()
        result = stopped_early(found, before)
        if result is None:
            maker = _Maker(found, request, key, problem, before)
            least = 0 if before is None else before.rank
            attempt, status = searched(found, request, "columns", least, maker.attempt, 2)
            notes = (_CUT.format(attempt.parts[3], attempt.rank),) if attempt.exhausted else ()
            certificate = certificate_of(A, found, request, key, problem, attempt, status, attempt.parts[2], notes)
            result = _built(A, found, attempt, certificate)
    return settle(request, result, found, "; ".join(notes))


def _on_sketch(A: Any, base: Any, request: Request, key: Key, problem: _CUR) -> Any:
    """Return the decomposition by columns that are chosen on a sketch, and rows that are chosen on these columns."""
    assert request.rank is not None
    with sketched(base, request, key, problem, "columns") as (found, g):
        columns = interpolate(Side(found.op, "columns"), pivots_of_sketch(g, request.rank))
        small = small_factor(columns)
        keep_basis(found, columns, "columns", small)
        chosen = pivots_of_sketch(adjoint(times(columns.q[:, : columns.live], small)), request.rank)
        rows = orthonormal_panel(Side(found.op, "rows"), chosen)
        middle = columns.within @ rows.q
        attempt = _Maker(found, request, key, problem, None).certified(columns, rows, middle, 1)
        assert attempt is not None
        notes = (_CUT.format(attempt.parts[3], attempt.rank),) if attempt.exhausted else ()
        certificate = certificate_of(A, found, request, key, problem, attempt, Status.MET, attempt.parts[2], notes)
        result = _built(A, found, attempt, certificate)
    return settle(request, result, found)


_CUT = (
    "the core uses {} of {} columns and rows: entries for the others would round off more than they add; "
    "interpolative(axis='both') has no such limit"
)


class _Maker:
    """Makes attempts for the search: columns, rows, core, certificate."""

    def __init__(self, found: Located, request: Request, key: Key, problem: _CUR, before: Any) -> None:
        self.found, self.request, self.key, self.problem = found, request, key, problem
        self.kept = {axis: chosen_before(before, axis) for axis in ("columns", "rows")}

    def attempt(self, count: int, look: int) -> Attempt:
        """Return the decomposition by so many columns and rows, certified."""
        columns, rows = (self._panel(axis, count) for axis in ("columns", "rows"))
        middle = adjoint(columns.q) @ self.found.op.matmat(rows.q)  # S3
        made = self.certified(columns, rows, middle, look)
        assert made is not None
        if made.error.method != "the Frobenius identity" or self.request.tol is None:
            return made
        squares = np.asarray([frobenius(middle[:k, :k]) ** 2 for k in range(made.rank + 1)])
        return dataclasses.replace(
            made, energies=np.diff(squares), shorter=lambda k: self._shorter(columns, rows, middle, k)
        )

    def _panel(self, axis: str, count: int) -> Interpolation:
        key = self.key.child("selection", axis)
        chosen = chosen_columns(self.found, axis, self.problem.selection, count, key, self.kept[axis])
        return orthonormal_panel(Side(self.found.op, axis), chosen)

    def _shorter(self, columns: Interpolation, rows: Interpolation, middle: Any, count: int) -> Attempt:
        made = self.certified(_leading(columns, count), _leading(rows, count), middle[:count, :count], 0)
        if made is not None:
            return made
        whole = ErrorEstimate(1.0, 1.0, "fro", "bounded", "", 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0)
        return Attempt(count, (), whole)

    def certified(self, columns: Interpolation, rows: Interpolation, middle: Any, look: int) -> Attempt | None:
        """Return the attempt with its certificate; None where look 0 forbids to read A for it."""
        core, used, rounding = core_of(columns, rows, middle)  # S4
        error = exact_error(self.found.op, middle[:used, :used], self.request.norm, rounding)
        if error is None and look == 0:
            return None
        if error is None:  # S5
            pair = columns.panel @ core, rows.panel
            error = looked_at(self.found, pair, self.request.norm, self.key, look)
        error = _with_rounding(error, product_rounding(columns.panel, core, adjoint(rows.panel)))
        cut = used < min(columns.live, rows.live)
        return Attempt(columns.rank, (columns, rows, core, used), error, exhausted=cut)


def _with_rounding(error: ErrorEstimate, rounding: float) -> ErrorEstimate:
    """Return the certificate with room for the product's rounding, which another order of its sums has anew.

    What was looked at holds one sample of it, and the bound of `product_rounding` is added.
    """
    if not error.residual_upper > 0:
        return error
    names = ("upper", "residual_upper", *(("value", "absolute", "residual") if error.kind == "bounded" else ()))
    share = 1 + rounding / error.residual_upper
    floor = max(error.floor, rounding / error.norm_of_A) if error.norm_of_A > 0 else error.floor
    return dataclasses.replace(error, floor=floor, **{name: share * getattr(error, name) for name in names})


def _leading(part: Interpolation, count: int) -> Interpolation:
    return Interpolation(
        part.chosen[:count], part.panel[:, :count], part.q[:, :count], part.r[:count, :count], None, None,
        min(part.live, count),
    )  # fmt: skip


def _built(A: Any, found: Located, attempt: Attempt, certificate: Certificate) -> CURResult:
    columns, rows, core, _ = attempt.parts
    exponent, dtype = found.op.exponent, found.op.dtype
    c, r = from_caller(A, columns.chosen, 1, dtype), from_caller(A, rows.chosen, 0, dtype)
    xp = namespace_of(core)
    return CURResult(
        unscaled(columns.panel, exponent) if c is None else c,
        unscaled(core, -exponent, "up"),
        unscaled(xp.asarray(adjoint(rows.panel)), exponent) if r is None else r,
        index_at_home(columns.chosen, core), index_at_home(rows.chosen, core), **certificate.fields(),
    )  # fmt: skip


def _extend(
    result: Any, A: Any, *, rank: int | None = None, tol: float | None = None, on_failure: str = "raise"
) -> Any:
    """Go on from a result: its columns and rows stay, and others are added."""
    result, op, request, key = resumed(result, A, rank, tol, on_failure)
    return _run(A, op, request, key, result, _CUR(result.resume.request["selection"]))


register_resumer("cur", _extend)
