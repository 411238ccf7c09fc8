"""The interpolative decomposition: A written in terms of its own columns, its own rows, or both.

Problem: k columns C = A[:, J] and X with X[:, J] = I, |X_ij| <= 2, so that A ~ C X is nearly as good as the best
approximation of rank k; or the same for rows; or A ~ W A[I, J] X.

S1. A basis for A, as `rnla.svd` finds it (for a tolerance, 0.7 of it), and the SVD U diag(s) V^H of the projection.
S2. Choose J on diag(s) V^H: pivoted QR [cheng2005]_, or another selection; exchange columns until the choice is
    strongly rank-revealing [gu1996]_.
S3. C = A[:, J] = Q R; X = R^{-1} Q^H A, the best coefficients for these columns (one product with A); exchange
    columns and repeat where an entry of X is above 2.
S4. Both sides: rows I by pivoted QR of Q^H with exchanges, W = Q Q[I, :]^{-1}; C = W C[I, :] holds exactly, so
    A ~ W A[I, J] X is the same approximation.
S5. Certify C X itself.  A tolerance that it misses gets more columns (`rnla.factorization.skeletons`).

For a rank alone, of a large dense matrix, S1 and S2 are those of `rnla.factorization.sketched_choice`.

Cost: the SVD's (or one sparse sketch), and: reading k columns, one product of k columns, 2 (m + n) k^2 flops; one pass
more to certify where the Frobenius identity does not.
Guarantee: the certificate is of C X.  A priori norm(A - C X) <= sqrt(1 + 4 k (n - k)) s_{k+1} in the spectral norm for
the projection, and in practice within 1.5 of Gu and Eisenstat's algorithm on A itself (tested on the twelve spectra,
`tests/factorization/test_interpolative.py`, oracle `tests/reference/skeletons.py`).

Differences from the papers: (1) the coefficients are those of least squares on A by default, which costs one
product; ``coefficients="sketched"`` takes those of the projection, which are up to several times worse where the
spectrum decays slowly; (2) the tolerance is certified on the answer, where `scipy.linalg.interpolative` trusts the
sketch (`benchmarks/interpolative_tolerance.py` measures how far that goes wrong).

When: the columns mean something (documents, sensors, genes), or A is sparse and its columns are to stay so.  For
the smallest error at a rank use `rnla.svd`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from rnla._xp.linalg import adjoint, cast, frobenius, host_values, qr, zeros
from rnla._xp.pivoting import column_squares, take
from rnla.checks import check_choice
from rnla.compression.column_selection import ColumnSelection, PivotedQR, as_selection
from rnla.compression.skeleton import Interpolation, Side, coefficients, interpolate, interpolation_of_rows
from rnla.compression.strong_pivoting import independent
from rnla.factorization.driver import Certificate, Located, located, run, settle, unscaled
from rnla.factorization.from_svd import FromSVD
from rnla.factorization.search import Factored
from rnla.factorization.skeletons import (
    Attempt,
    asked_of_basis,
    certificate_of,
    chosen_before,
    chosen_columns,
    coordinates,
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
from rnla.results import ColumnID, ErrorEstimate, RowID, Status, TwoSidedID, register_resumer
from rnla.rng import Key, as_key

__all__ = ["interpolative"]

Array = np.ndarray[Any, Any]


def interpolative(
    A: Any,
    rank: int | None = None,
    *,
    tol: float | None = None,
    energy: float | None = None,
    norm: str = "fro",
    axis: str = "columns",
    selection: Any = None,
    coefficients: str = "optimal",
    oversampling: int | None = None,
    power_iterations: int | None = None,
    sketch: Any = None,
    method: Any = None,
    on_failure: str = "raise",
    rng: Any = None,
) -> ColumnID | RowID | TwoSidedID:
    """Interpolative decomposition of any matrix: A in terms of its own columns, rows, or both, with a certificate.

    Parameters
    ----------
    A : matrix, shape (m, n)
        Everything that `svd` takes.  Never changed.
    rank : int, optional
        Columns or rows wanted; with `tol`, the most of them.
    tol : float, optional
        Error allowed, relative to the norm of A.  It is certified on the decomposition that is returned.
    energy : float, optional
        Share of the squared Frobenius norm to keep, instead of `tol`.
    norm : {"fro", "spectral"}
        The norm of the error.
    axis : {"columns", "rows", "both"}
        ``A ~ A[:, J] X``, ``A ~ X A[I, :]``, or ``A ~ W A[I, J] X``.
    selection : str or ColumnSelection, optional
        ``"pivoted_qr"`` (default), ``"random_pivoted_qr"``, ``"adaptive_randomized_pivoting"``,
        ``"leverage_scores"``, or a part such as ``RandomlyPivotedQR(block_size=32)``.
    coefficients : {"optimal", "sketched"}
        Least squares on A, for one product more, or the coefficients of the projection.
    oversampling, power_iterations, sketch, method
        How the basis is found that the choice is made on, as for `svd`.
    on_failure : {"raise", "return"}
        Whether a missed tolerance raises or is only told in ``status``.
    rng : None, int, SeedSequence, Generator, ...
        What `numpy.random.default_rng` takes.

    Returns
    -------
    ColumnID, RowID or TwoSidedID
        Unpacks as ``C, X``, as ``X, R`` or as ``W, S, X``; ``.columns`` and ``.rows`` are the indices.  The factor
        that interpolates holds the identity and no entry above 2 in modulus; ``report.notes`` says where exchanges did
        not reach that, as after ``extend``, which keeps the columns that it has.  Rows and columns of a sparse matrix
        are sparse.

    Raises
    ------
    InputError, DTypeError, NonFiniteError, OperatorError, BudgetError, ToleranceNotMet, DeadlineReached
        As `svd` raises them.

    Warns
    -----
    RankWarning
        The numerical rank of A is below the rank asked for; the columns past it stand for themselves only.

    Notes
    -----
    Cost: that of `svd` (for a rank of a large dense matrix, one sparse sketch), the reading of k columns, one product
    of k columns and 2 (m + n) k^2 flops; where the Frobenius identity does not certify the answer, one pass more.

    Guarantee: the certificate is that of the decomposition returned.  A priori its spectral error is at most
    sqrt(1 + 4 k (n - k)) times the smallest possible, for the projection [1]_; on the twelve spectra of
    `rnla.testing` it is within 1.5 of the strong rank-revealing QR of A.

    References
    ----------
    .. [1] M. Gu and S. C. Eisenstat, Efficient algorithms for computing a strong rank-revealing QR factorization,
       SIAM Journal on Scientific Computing 17 (1996) 848-869.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.outer(np.arange(6.0), [1.0, 4.0, 2.0])
    >>> result = rnla.interpolative(A, 1, rng=0)
    >>> C, X = result
    >>> result.columns.tolist(), X.round(12).tolist()
    ([1], [[0.25, 1.0, 0.5]])
    """
    key = as_key(rng)
    op = as_operator(A)
    request = read_request(
        op.shape, op.dtype, rank, tol, norm, oversampling, power_iterations, sketch, method, on_failure, energy
    )
    check_choice("axis", axis, ("columns", "rows", "both"))
    check_choice("coefficients", coefficients, ("optimal", "sketched"))
    problem = _Interpolative(axis, as_selection(selection), coefficients)
    result: ColumnID | RowID | TwoSidedID = _run(A, op, request, key, None, problem)
    return result


@dataclasses.dataclass(frozen=True, slots=True)
class _Interpolative(FromSVD):
    """What was asked beyond the request."""

    name: ClassVar[str] = "interpolative"

    axis: str
    selection: ColumnSelection
    coefficients: str

    def asked(self) -> dict[str, Any]:
        return {"axis": self.axis, "selection": self.selection, "coefficients": self.coefficients}

    def build(self, factored: Factored, rank: int, exponent: int, certificate: Certificate) -> Any:
        left, right = factored.parts
        none, fields = index_at_home(np.zeros(0, dtype=np.int64), left), certificate.fields()
        if self.axis == "both":
            return TwoSidedID(left, zeros((0, 0), left), right, none, none, **fields)
        return (ColumnID if self.axis == "columns" else RowID)(left, right, none, **fields)


def _run(A: Any, base: Any, request: Request, key: Key, before: Any, problem: _Interpolative) -> Any:
    if min(base.shape) == 0:
        return run(A, base, request, key, None, problem)
    axis = "rows" if problem.axis == "rows" else "columns"
    usual = before is None and problem.coefficients == "optimal" and problem.selection == PivotedQR()
    asked = for_sketch(base, request, "row" if axis == "columns" else "column") if usual else None
    require_passes(base, request if asked is None else asked, 1)
    if asked is not None:
        return _on_sketch(A, base, asked, key, problem, axis)
    with located(base, asked_of_basis(for_choosing(base, request), base.dtype), key, problem, before) as found:
        result = stopped_early(found, before)
        if result is None:
            maker = _Maker(found, request, key, problem, chosen_before(before, axis))
            attempt, status = searched(found, request, maker.side.axis, len(maker.kept), maker.attempt)
            result = _finished(A, found, request, key, problem, attempt, status)
    return settle(request, result, found)


def _on_sketch(A: Any, base: Any, request: Request, key: Key, problem: _Interpolative, axis: str) -> Any:
    """Return the decomposition by columns that are chosen on a sketch."""
    assert request.rank is not None
    with sketched(base, request, key, problem, axis) as (found, g):
        maker = _Maker(found, request, key, problem, chosen_before(None, axis))
        inter = interpolate(maker.side, pivots_of_sketch(g, request.rank))
        keep_basis(found, inter, axis, small_factor(inter))
        result = _finished(A, found, request, key, problem, maker.certified(inter, 1), Status.MET)
    return settle(request, result, found)


def _finished(
    A: Any, found: Located, request: Request, key: Key, problem: _Interpolative, attempt: Attempt, status: Status
) -> Any:
    notes = () if attempt.parts[0].bounded else (_UNBOUNDED,)
    certificate = certificate_of(A, found, request, key, problem, attempt, status, attempt.parts[0].x, notes)
    return _built(A, found, problem, attempt, certificate)


_UNBOUNDED = "no exchange of columns that was tried brought all coefficients to 2 or less"


class _Maker:
    """Makes attempts for the search: chosen columns, coefficients, certificate."""

    def __init__(self, found: Located, request: Request, key: Key, problem: _Interpolative, kept: Array) -> None:
        self.found, self.request, self.key, self.problem, self.kept = found, request, key, problem, kept
        self.side = Side(found.op, "rows" if problem.axis == "rows" else "columns")

    def attempt(self, count: int, look: int) -> Attempt:
        """Return the decomposition by so many columns, certified."""
        chosen = chosen_columns(
            self.found, self.side.axis, self.problem.selection, count, self.key.child("selection"), self.kept
        )
        if self.problem.coefficients == "sketched":
            return self.certified(self._sketched(chosen), look)
        inter = interpolate(self.side, chosen, fixed=self.kept)
        made = self.certified(inter, look)
        if made.error.method != "the Frobenius identity" or self.request.tol is None:
            return made
        energies = np.zeros(inter.rank)
        energies[: inter.live] = host_values(column_squares(adjoint(inter.within[: inter.live, :])))
        return dataclasses.replace(made, energies=energies, shorter=lambda k: self._shorter(inter, k))

    def _shorter(self, inter: Interpolation, count: int) -> Attempt:
        part = inter.leading(count)
        error = self._identity(part, self._rows_of(part)) if part.bounded else None
        whole = ErrorEstimate(1.0, 1.0, "fro", "bounded", "", 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0)
        return Attempt(count, (part, self._rows_of(part)), whole if error is None else error)

    def _rows_of(self, inter: Interpolation) -> tuple[Array, Any] | None:
        if self.problem.axis != "both":
            return None
        return interpolation_of_rows(inter.q, adjoint(inter.q), inter.live)

    def _identity(self, inter: Interpolation, rows: tuple[Array, Any] | None) -> ErrorEstimate | None:
        rounding = inter.rounding()
        if rows is not None:
            rounding += frobenius(rows[1] @ take(inter.panel, rows[0], axis=0) - inter.panel) * frobenius(inter.x)
        return exact_error(self.found.op, inter.within[: inter.live, :], self.request.norm, rounding)

    def certified(self, inter: Interpolation, look: int) -> Attempt:
        """Return the attempt with its certificate."""
        rows = self._rows_of(inter)
        error = None if inter.within is None else self._identity(inter, rows)
        if error is None:
            panel = inter.panel if rows is None else rows[1] @ take(inter.panel, rows[0], axis=0)
            pair = self.side.pair(panel, inter.x)
            error = looked_at(self.found, pair, self.request.norm, self.key, look)
        return Attempt(inter.rank, (inter, rows), error)

    def _sketched(self, chosen: Array) -> Interpolation:
        """Return the interpolation with the coefficients of the projection."""
        s, vh = coordinates(self.found, self.side.axis)
        g = cast(s, vh.dtype)[:, None] * vh
        order, live = independent(qr(take(g, chosen, axis=1))[1], max(self.side.shape))
        chosen = chosen[order]
        q, r = qr(take(g, chosen, axis=1))
        live = min(live, int(r.shape[0]))
        x = coefficients(r, adjoint(q) @ g, chosen, live)
        panel = self.side.panel(chosen)
        basis = qr(panel)[0]
        return Interpolation(chosen, panel, basis, r, None, x, live)


def _built(A: Any, found: Located, problem: _Interpolative, attempt: Attempt, certificate: Certificate) -> Any:
    inter, rows = attempt.parts
    fields, exponent = certificate.fields(), found.op.exponent
    chosen = index_at_home(inter.chosen, inter.x)
    if problem.axis == "rows":
        own = from_caller(A, inter.chosen, 0, found.op.dtype)
        return RowID(
            adjoint(inter.x), unscaled(adjoint(inter.panel), exponent) if own is None else own, chosen, **fields
        )
    if problem.axis == "columns":
        own = from_caller(A, inter.chosen, 1, found.op.dtype)
        return ColumnID(unscaled(inter.panel, exponent) if own is None else own, inter.x, chosen, **fields)
    core = unscaled(take(inter.panel, rows[0], axis=0), exponent)
    return TwoSidedID(rows[1], core, inter.x, index_at_home(rows[0], inter.x), chosen, **fields)


def _extend(
    result: Any, A: Any, *, rank: int | None = None, tol: float | None = None, on_failure: str = "raise"
) -> Any:
    """Go on from a result: its columns stay, and others are added."""
    result, op, request, key = resumed(result, A, rank, tol, on_failure)
    asked = result.resume.request
    problem = _Interpolative(asked["axis"], asked["selection"], asked["coefficients"])
    return _run(A, op, request, key, result, problem)


register_resumer("interpolative", _extend)
