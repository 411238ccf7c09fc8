"""The change D D^H of a matrix, brought to the few columns that it needs.

S1. A D of few columns (k <= n, at most 512): G = D^H D = W diag(g) W^H; of D W the columns with g_j above a level are
    kept.  D D^H without them differs by the largest g_j left out, exactly: D W has orthogonal columns.  A D so large or
    small that G would leave the range of the numbers is scaled by a power of two first.
    A D of more columns than rows, and of few rows, is L Q^H with L triangular, and L L^H is D D^H.
S2. Any other D: Q diag(s) from its singular value decomposition by the range finder, to a tolerance in the spectral
    norm that is certified; with norm(D - Q Q^H D) <= t norm(D), D D^H differs by at most (2 t + t^2) norm(D)^2; then
    S1's cut of what s_j^2 shows to be too much.

Cost: S1, 2 n k^2 flops; S2, that of `rnla.svd` with this tolerance.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, cast, eps_of, host_values, max_abs, qr
from rnla._xp.namespace import all_finite, from_host, is_array, to_host
from rnla.errors import InputError, NonFiniteError, ToleranceNotMet
from rnla.factorization.svd import svd
from rnla.matfun.panels import times
from rnla.matfun.roots import times_power
from rnla.operators.coerce import as_operator
from rnla.operators.dense import Dense
from rnla.operators.scan import times_power_of_two
from rnla.orth.cholesky_qr import gram
from rnla.rng import Key

__all__ = ["Change", "change_given", "cut", "narrowed", "of_own", "plain"]

_FEW = 512
_WIDEST = 1 << 14


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Change:
    """D D^H in few columns.

    Attributes
    ----------
    panel : array, shape (n, k)
        Its columns; none for D = 0.
    norm : float
        Spectral norm of D D^H.
    dropped : float
        Bound on norm(D D^H - panel panel^H).
    failure_probability : float
        Of that bound.
    inverse : bool
        Whether the panel changes the inverse of the matrix that `dropped` is of.
    moved : float
        Bound on what rounding in making the panel did to it, absolute.
    moved_root : float
        The same, relative to the root of the norm of the changed matrix, and added.
    moved_share : float
        The same, relative to the norm of the changed matrix, and added.
    exponent : int
        D is 2^exponent times what the others say.
    note : str
        What was done, for the report; empty where D is used as it is.
    """

    panel: Any
    norm: float
    dropped: float
    failure_probability: float = 0.0
    inverse: bool = False
    moved: float = 0.0
    moved_root: float = 0.0
    moved_share: float = 0.0
    exponent: int = 0
    note: str = ""

    def missed(self, norm: float) -> float:
        """Return a bound on what the panel does not say of the changed matrix, whose norm is at most `norm`.

        For C with norm(C^{-1}) <= norm and norm(E) = e, norm((C + E)^{-1} - C^{-1}) <= e norm^2 / (1 - e norm).
        """
        left = self.dropped
        if self.inverse and left:
            left = left * norm**2 / (1 - left * norm) if left * norm < 1 else math.inf
        return left + self.rounding(norm)

    def rounding(self, norm: float) -> float:
        """Return the part of `missed` that is rounding."""
        root = self.moved_root * math.sqrt(norm) if self.moved_root else 0.0
        return self.moved + root + (self.moved_share * norm if self.moved_share else 0.0)

    def shifted(self, exponent: int) -> Change:
        """Return the change of a panel 2^exponent times as large, with no exponent of its own."""
        if exponent == 0:
            return dataclasses.replace(self, exponent=0)
        norm, dropped = (times_power(x, 2 * exponent) for x in (self.norm, self.dropped))
        panel = times_power_of_two(self.panel, max(exponent, -1070))
        return dataclasses.replace(self, panel=panel, norm=norm, dropped=dropped, exponent=0)

    @property
    def highest(self) -> int:
        """The largest exponent that it may have alone: of a panel larger than that the squares overflow."""
        return 60 if eps_of(self.panel.dtype) > 1e-10 else 500


def plain(change: Change) -> Change:
    """Return the change without a power of two of its own.

    Raises
    ------
    NonFiniteError
        Its square leaves the range of the numbers.
    """
    if change.exponent == 0:
        return change
    if change.exponent > change.highest:
        raise NonFiniteError(
            f"the change has entries of about 2^{change.exponent}, whose squares leave the range of the numbers; scale "
            "A and D to a size nearer to 1"
        )
    if change.exponent < -change.highest:  # it is nothing, to the last digit of all that it could change
        small = math.ldexp(change.norm, 2 * change.exponent)
        return dataclasses.replace(change, panel=change.panel[:, :0], norm=small, moved=small, exponent=0)
    return change.shifted(change.exponent)


def change_given(D: Any) -> Any:
    """Return the operator of what the caller gave for D; a vector is one column.

    Raises
    ------
    InputError, DTypeError, ...
        As `as_operator` raises them.
    """
    if D is None:
        raise InputError("D is None: give the change of A, its columns as an array of shape (n, k), or one as a vector")
    if isinstance(D, (list, tuple)) and D and not isinstance(D[0], (list, tuple)) and not is_array(D[0]):
        D = np.asarray(D)
    return as_operator(D[:, None] if is_array(D) and D.ndim == 1 else D)


def of_own(op: Any) -> Any:
    """Return a D of few columns as a copy: `extend` reads it when the caller may have filled his array with others."""
    if isinstance(op, Dense) and op.resident is not None and op.shape[1] <= min(op.shape[0], _FEW):
        return Dense(np.array(op.resident, dtype=op.dtype), op.dtype)
    return op


def narrowed(op: Any, level: float, key: Key, *, free: bool = False) -> Change:
    """Return the change in the columns that it needs.

    Parameters
    ----------
    op : LinearOperator
        D, shape (n, k).
    level : float
        Share of norm(D D^H) that may be left out.
    key : Key
    free : bool
        Whether it may come with a power of two of its own.
    """
    found = _narrowed(op, level, key)
    return found if free else plain(found)


def _narrowed(op: Any, level: float, key: Key) -> Change:
    n, k = op.shape
    triangular = n < k <= _WIDEST and n <= _FEW
    if k > min(n, _FEW) and not triangular:
        return _wide(op, level, key)
    panel = _panel(op)
    if not all_finite(panel):
        raise NonFiniteError("D holds NaN or infinity, or entries that overflow; clean the change first")
    if triangular:
        panel = adjoint(qr(adjoint(panel))[1])
    return cut(panel, level)


def cut(panel: Any, level: float) -> Change:
    """Return the change of a panel without the combinations of columns that matter least (S1).

    With level 0 nothing is left out but columns of a D that is zero.
    """
    k = int(panel.shape[1])
    exponent = _exponent(max_abs(panel), panel.dtype)
    if exponent:
        panel = times_power_of_two(panel, -exponent)
    g = to_host(gram(panel))
    g = g.astype(np.complex128 if np.iscomplexobj(g) else np.float64, copy=False)
    values, vectors = np.linalg.eigh(g) if k else (np.zeros(1), g)
    top = max(0.0, float(values[-1]))
    if top == 0:
        return Change(panel[:, :0], 0.0, 0.0)
    kept = values > level * top
    if kept.all() or level == 0:
        return Change(panel, top, 0.0, exponent=exponent)
    # Gram entries of single precision are rounded to it, and so are the eigenvalues left out.
    dropped = max(0.0, float(values[~kept].max())) + 4 * eps_of(panel.dtype) * math.sqrt(k) * top
    note = f"{int(kept.sum())} of {k} columns of D matter; the others are {dropped / top:.1e} of D D^H"
    return Change(times(panel, vectors[:, kept][:, ::-1]), top, dropped, exponent=exponent, note=note)


def _exponent(largest: float, dtype: Any) -> int:
    """Return the even power of two that entries up to `largest` are divided by; 0 in a comfortable range."""
    comfort = 1e5 if eps_of(dtype) > 1e-10 else 1e60
    if largest == 0 or 1 / comfort <= largest <= comfort:
        return 0
    return 2 * (math.frexp(largest)[1] // 2)


def _panel(op: Any) -> Any:
    """Return D as an array, from whatever it is."""
    if isinstance(op, Dense) and op.resident is not None and op.resident.dtype == op.dtype:
        return np.ascontiguousarray(op.resident)
    eye = from_host(np.eye(op.shape[1], dtype=op.dtype), op.xp, op.device)
    return op.matmat(eye)


def _wide(op: Any, level: float, key: Key) -> Change:
    tol = max(level / 4, 64 * eps_of(op.dtype))
    child = int(key.child("wide").words(0, 1)[0])
    try:
        found = svd(op, tol=tol, norm="spectral", rng=child)
    except ToleranceNotMet as error:
        found = error.result
    s = host_values(found.s)
    if len(s) == 0 or s[0] == 0:
        return Change(found.U[:, :0], 0.0, 0.0)
    exponent = _exponent(float(s[0]), op.dtype)
    s = np.ldexp(s.astype(np.float64), -exponent)
    top = float(s[0]) ** 2
    reached = found.error.upper * (found.error.norm_of_A / float(host_values(found.s)[0]))
    dropped = (2 * reached + reached**2) * top
    kept = s**2 > level * top / 2
    dropped += float((s[~kept] ** 2).max(initial=0.0))
    r = int(kept.sum())
    kept_s = times_power_of_two(found.s[:r], -exponent) if exponent else found.s[:r]
    panel = found.U[:, :r] * cast(kept_s, found.U.dtype)[None, :]
    note = f"D, of {op.shape[1]} columns, was compressed to {r}; the others are {dropped / top:.1e} of D D^H"
    return Change(panel, top, dropped, float(found.error.failure_probability), exponent=exponent, note=note)
