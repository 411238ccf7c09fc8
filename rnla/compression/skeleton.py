"""Interpolation from chosen columns: coefficients with entries at most 2, and the stable core of a CUR.

Problem: given columns C = B[:, J] of a matrix B (A, or its adjoint for rows), X with X[:, J] = I and B ~ C X.

S1. C = Q R; the columns are put in the order of pivoted QR of R, so that dependent ones come last [gu1996]_.
S2. Y = Q^H B (one product with B).
S3. X = R^{-1} Y by substitution; rows of dependent columns are zero; X[:, J] = I.
S4. While an entry of X is above 2 in modulus, exchange columns: C (i) for (j) multiplies the volume of C by at least
    |X_ij|; X is then updated by one term of rank one, until the bound holds; then S1 again with the columns themselves.

Equation: C X = Q Q^H B, the best approximation with these columns, norm(B - C X)_F^2 = norm(B)_F^2 - norm(Y)_F^2.

Cost: one product of k columns for every round of S1 to S3 (one, as a rule), 2 m k^2 + n k^2 flops.
Guarantee: X solves R X = Y with a residual of a few eps |R| |X|, and |X| <= 2, so norm(C X - Q Y) stays a modest
multiple of eps norm(C) however ill-conditioned C is.  Tested in `tests/factorization/test_interpolative.py`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._kernels.products import subtract_product
from rnla._xp.linalg import adjoint, eps_of, frobenius, host_values, is_complex, max_abs, qr, zeros
from rnla._xp.namespace import device_of, from_host, is_numpy, namespace_of
from rnla._xp.pivoting import pivots_of_columns, solve_triangular, take
from rnla.compression.strong_pivoting import BOUND, independent, largest_entry, strongly_pivoted
from rnla.compression.two_sided import times
from rnla.compression.wide_solve import wide_solve
from rnla.config import get_config
from rnla.operators.ledger import Ledger
from rnla.operators.selection import take_columns, take_rows
from rnla.orth import CholeskyQR2

__all__ = [
    "Interpolation",
    "Side",
    "coefficients",
    "core_of",
    "interpolate",
    "interpolation_of_rows",
    "orthonormal_panel",
    "product_rounding",
]

Array = np.ndarray[Any, Any]
_ROUNDS = 6
_SLACK = 1e-3


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Side:
    """A matrix seen from its columns, or, as its adjoint, from its rows.

    Parameters
    ----------
    op : Ledger
    axis : {"columns", "rows"}
        What is chosen.
    """

    op: Ledger
    axis: str

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the matrix whose columns are chosen."""
        m, n = self.op.shape
        return (m, n) if self.axis == "columns" else (n, m)

    def panel(self, chosen: Array) -> Any:
        """Return the chosen columns."""
        return take_columns(self.op, chosen) if self.axis == "columns" else adjoint(take_rows(self.op, chosen))

    def onto(self, q: Any) -> Any:
        """Return Q^H B."""
        return adjoint(self.op.rmatmat(q) if self.axis == "columns" else self.op.matmat(q))

    def pair(self, panel: Any, x: Any) -> tuple[Any, Any]:
        """Return L and R so that L R^H is the approximation of A itself."""
        return (panel, adjoint(x)) if self.axis == "columns" else (adjoint(x), panel)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Interpolation:
    """Chosen columns with their coefficients.

    Attributes
    ----------
    chosen : numpy.ndarray
        In the order of pivoted QR of the columns.
    panel : array, shape (m, k)
        C.
    q : array, shape (m, k)
        An orthonormal basis of the leading `live` columns of C, in its leading columns.
    r : array, shape (k, k)
        Upper triangular, C = Q R.
    within : array, shape (k, n), or None
        Y = Q^H B, where B was multiplied for it.
    x : array, shape (k, n), or None
        X, where it was solved for.
    live : int
        Columns that are independent of those before them.
    """

    chosen: Array
    panel: Any
    q: Any
    r: Any
    within: Any
    x: Any
    live: int

    @property
    def rank(self) -> int:
        """Columns chosen."""
        return len(self.chosen)

    def leading(self, count: int) -> Interpolation:
        """Return the interpolation from the first `count` columns, without another product."""
        live = min(self.live, count)
        chosen, r, within = self.chosen[:count], self.r[:count, :count], self.within[:count, :]
        x = coefficients(r, within, chosen, live)
        return Interpolation(chosen, self.panel[:, :count], self.q[:, :count], r, within, x, live)

    @property
    def bounded(self) -> bool:
        """Whether no coefficient is above the bound."""
        x = self.x
        if is_numpy(namespace_of(x)) and not is_complex(x.dtype):
            return max(float(x.max(initial=0.0)), -float(x.min(initial=0.0))) <= BOUND * (1 + _SLACK)
        return max_abs(x) <= BOUND * (1 + _SLACK)

    def rounding(self) -> float:
        """Return norm(R X - Y)_F, what substitution and the exact identity in X add to the projection."""
        k = self.live
        if k == 0:
            return 0.0
        r, x, y = self.r[:k, :k], self.x[:k, :], self.within[:k, :]
        if not is_numpy(namespace_of(x)):
            return frobenius(r @ x - y)
        rest = np.array(adjoint(y), order="C")
        return frobenius(subtract_product(rest, adjoint(x), adjoint(r), get_config().threads))


def coefficients(r: Any, within: Any, chosen: Array, live: int) -> Any:
    """Return X from R X = Y, with X[:, J] = I and zero rows for dependent columns (S3)."""
    xp, n = namespace_of(within), int(within.shape[1])
    solved = wide_solve(r[:live, :live], within[:live, :])
    if live < len(chosen):
        solved = xp.concat([solved, zeros((len(chosen) - live, n), within)], axis=0)
    return with_identity(solved, chosen)


def with_identity(x: Any, chosen: Array) -> Any:
    """Return X with the columns J replaced by the identity."""
    xp, (k, n) = namespace_of(x), x.shape
    if k == 0 or n == 0:
        return x
    if is_numpy(xp):  # in place: X is our own
        x = x if x.flags.writeable else x.copy()
        x[:, chosen] = np.eye(k, dtype=x.dtype)
        return x
    where = np.full(n, -1, dtype=np.int64)
    where[chosen] = np.arange(k)
    place = from_host(where, xp, device_of(x))
    rows = np.arange(k) if is_numpy(xp) else xp.arange(k, dtype=xp.int64, device=device_of(x))
    hot = place[None, :] == rows[:, None]
    return xp.where((place >= 0)[None, :], xp.astype(hot, x.dtype), x)


def _largest(x: Any, fixed: Any) -> tuple[int, int, float]:
    """Return where the largest modulus of X is, but for the rows that are fixed."""
    xp = namespace_of(x)
    moduli = xp.abs(x)
    if len(fixed):
        mask = np.ones((int(x.shape[0]), 1))
        mask[np.asarray(fixed)] = 0
        moduli = moduli * xp.astype(from_host(mask, xp, device_of(x)), moduli.dtype)
    return largest_entry(moduli)


def _exchanged(x: Any, chosen: Array, fixed: Array) -> Array:
    """Return the columns after exchanges on C X until no coefficient outside the fixed rows is above the bound (S4)."""
    chosen = chosen.copy()
    rows = np.flatnonzero(np.isin(chosen, fixed))
    for _ in range(20 * len(chosen)):
        i, j, largest = _largest(x, rows)
        if largest <= BOUND:
            break
        spike = np.zeros((int(x.shape[0]), 1), dtype=np.float64)
        spike[i] = 1
        xp = namespace_of(x)
        e = xp.astype(from_host(spike, xp, device_of(x)), x.dtype)
        x = x - (x[:, j : j + 1] - e) @ (x[i : i + 1, :] / x[i, j])
        chosen[i] = j
    return chosen


def interpolate(side: Side, chosen: Array, *, fixed: Array | None = None) -> Interpolation:
    """Return the best approximation by chosen columns, exchanged while a coefficient is above 2 (S1 to S4).

    Parameters
    ----------
    side : Side
    chosen : numpy.ndarray
        Distinct indices.
    fixed : numpy.ndarray, optional
        Those of them that are not exchanged.
    """
    keep = np.zeros(0, dtype=np.int64) if fixed is None else fixed
    for attempt in range(_ROUNDS):
        found = _fitted(side, chosen)
        if found.bounded or attempt == _ROUNDS - 1:
            break
        better = _exchanged(found.x, found.chosen, keep)
        if set(better.tolist()) == set(found.chosen.tolist()):
            break
        chosen = better
    return found


def orthonormal_panel(side: Side, chosen: Array) -> Interpolation:
    """Return chosen columns with an orthonormal basis, in the order of pivoted QR, and no coefficients (S1)."""
    panel = side.panel(chosen)
    q, r = CholeskyQR2().factor(panel)
    order, live = independent(r, side.shape[0])
    if np.array_equal(order, np.arange(len(order))):
        return Interpolation(chosen, panel, q, r, None, None, live)
    turn, r = qr(take(r, order, axis=1))
    return Interpolation(chosen[order], take(panel, order, axis=1), times(q, turn), r, None, None, live)


def _fitted(side: Side, chosen: Array) -> Interpolation:
    found = orthonormal_panel(side, chosen)
    within = side.onto(found.q)  # S2
    x = coefficients(found.r, within, found.chosen, found.live)  # S3
    return dataclasses.replace(found, within=within, x=x)


def interpolation_of_rows(q: Any, g: Any, live: int) -> tuple[Array, Any]:
    """Return rows I and W with W[I, :] = I and Q = W Q[I, :], for orthonormal columns Q.

    Parameters
    ----------
    q : array, shape (m, k)
    g : array, shape (k, m)
        The adjoint of what the rows are chosen by, such as Q^H, whose rows are as many as are chosen.
    live : int
        Independent columns of Q that matter; the rows past them are any others.
    """
    k, m = int(q.shape[1]), int(q.shape[0])
    chosen = pivots_of_columns(g[:live, :], live)
    chosen = strongly_pivoted(g[:live, :], chosen)
    spare = np.setdiff1d(np.arange(m), chosen)[: k - live]
    lead = adjoint(q[:, :live])
    turn, r = qr(take(lead, chosen, axis=1))
    x = coefficients(r, adjoint(turn) @ lead, chosen, live)
    if live < k:
        x = namespace_of(x).concat([x, zeros((k - live, m), x)], axis=0)
    chosen = np.concatenate([chosen, spare])
    return chosen, adjoint(with_identity(x, chosen))


def core_of(columns: Interpolation, rows: Interpolation, middle: Any) -> tuple[Any, int, float]:
    """Return U of C U R, the independent columns and rows that it uses, and the rounding that it costs.

    Problem: C = Q_C T_C, R^H = Q_R T_R and M = Q_C^H A Q_R; C U R = Q_C M Q_R^H for U = T_C^{-1} M T_R^{-H}, the best
    core for these columns and rows.  M T_R^{-H} is bounded (coefficients of interpolation), but U has entries of the
    size of 1 / s_k(A), and the product C U R loses as much as rounding in them: about eps s_1 / s_k.

    So T_C and T_R are cut at the size at which the loss of what is cut and the rounding of what is kept are smallest
    together: what is lost is measured, rounding is that of `product_rounding` or what was measured, whichever is
    larger, all on k by k matrices.  Above about sqrt(eps) nothing is cut.

    Parameters
    ----------
    columns, rows : Interpolation
        Whose ``q``, ``r`` and ``live`` are used.
    middle : array, shape (k, k)
        M.
    """
    k = columns.rank
    size = min(columns.live, rows.live)
    whole = frobenius(middle)
    best: tuple[float, int, Any, float] | None = None
    for count in _cuts(columns.r, rows.r, size, eps_of(middle.dtype)):
        inner = solve_triangular(columns.r[:count, :count], middle[:count, :count])
        inner = adjoint(solve_triangular(rows.r[:count, :count], adjoint(inner)))
        kept = middle[:count, :count]
        made = columns.r[:count, :count] @ (inner @ adjoint(rows.r[:count, :count]))
        triangles = columns.r[:count, :count], adjoint(rows.r[:count, :count])
        rounding = max(frobenius(made - kept), product_rounding(triangles[0], inner, triangles[1]))
        lost = math.sqrt(max(0.0, (whole - frobenius(kept)) * (whole + frobenius(kept))))
        total = math.hypot(rounding, lost)
        if best is None or total < 0.5 * best[0]:
            best = (total, count, inner, rounding)
    assert best is not None
    _, count, inner, rounding = best
    xp = namespace_of(middle)
    inner = xp.concat([inner, zeros((count, k - count), middle)], axis=1)
    return xp.concat([inner, zeros((k - count, k), middle)], axis=0), count, rounding


def product_rounding(left: Any, core: Any, right: Any) -> float:
    """Return what rounding may make of a product L U R, whatever the order of its sums: eps norm(|L| |U| |R|)_F.

    The bound of every sum of products, without the number of its terms, which rounding errors of either sign do not
    reach: at most 0.55 of it was measured, over seven spectra, three precisions and both orders.
    """
    xp = namespace_of(core)
    tall, wide = xp.abs(left), xp.abs(core) @ xp.abs(right)
    sizes = [max_abs(part) or 1.0 for part in (tall, wide)]  # taken out, so that fourth powers stay in range
    tall, wide = tall / sizes[0], wide / sizes[1]
    square = float(xp.sum((tall.mT @ tall @ wide) * wide))
    return eps_of(core.dtype) * math.sqrt(max(square, 0.0)) * sizes[0] * sizes[1]


def _cuts(left: Any, right: Any, size: int, eps: float) -> list[int]:
    """Return how many leading columns to try: all, and those above some sizes between 1 and eps."""
    if size == 0:
        return [0]
    xp = namespace_of(left)
    diagonals = [host_values(xp.abs(xp.linalg.diagonal(t)))[:size] for t in (left, right)]
    relative = np.minimum(*(d / d[0] for d in diagonals))
    counts = {size}
    for power in np.linspace(0.4, 0.9, 11):
        below = np.flatnonzero(relative < eps**power)
        counts.add(int(below[0]) if len(below) else size)
    return sorted(counts - {0}, reverse=True)
