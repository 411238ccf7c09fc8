"""The change D D^H of a matrix, brought to the few columns that it needs.

S1. A D of few columns (k <= n, at most 512): G = D^H D = W diag(g) W^H; of D W the columns with g_j above a level are
    kept.  D D^H without them differs by the largest g_j left out, exactly: D W has orthogonal columns.
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

from rnla._xp.linalg import cast, eps_of, host_values
from rnla._xp.namespace import all_finite, from_host, to_host
from rnla.errors import NonFiniteError, ToleranceNotMet
from rnla.factorization.svd import svd
from rnla.matfun.panels import times
from rnla.operators.dense import Dense
from rnla.orth.cholesky_qr import gram
from rnla.rng import Key

__all__ = ["Change", "cut", "narrowed"]

_FEW = 512


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
    note : str
        What was done, for the report; empty where D is used as it is.
    """

    panel: Any
    norm: float
    dropped: float
    failure_probability: float = 0.0
    inverse: bool = False
    note: str = ""


def narrowed(op: Any, level: float, key: Key) -> Change:
    """Return the change in the columns that it needs.

    Parameters
    ----------
    op : LinearOperator
        D, shape (n, k).
    level : float
        Share of norm(D D^H) that may be left out.
    key : Key
    """
    n, k = op.shape
    if k > min(n, _FEW):
        return _wide(op, level, key)
    panel = _panel(op)
    if not all_finite(panel):
        raise NonFiniteError("D holds NaN or infinity; clean the change first")
    return cut(panel, level)


def cut(panel: Any, level: float) -> Change:
    """Return the change of a panel without the combinations of columns that matter least (S1)."""
    k = int(panel.shape[1])
    g = to_host(gram(panel))
    g = g.astype(np.complex128 if np.iscomplexobj(g) else np.float64, copy=False)
    values, vectors = np.linalg.eigh(g) if k else (np.zeros(1), g)
    top = max(0.0, float(values[-1]))
    if top == 0:
        return Change(panel[:, :0], 0.0, 0.0)
    kept = values > level * top
    if kept.all():
        return Change(panel, top, 0.0)
    dropped = max(0.0, float(values[~kept].max())) + 4 * eps_of(np.float64) * math.sqrt(k) * top
    note = f"{int(kept.sum())} of {k} columns of D matter; the others are {dropped / top:.1e} of D D^H"
    return Change(times(panel, vectors[:, kept][:, ::-1]), top, dropped, note=note)


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
    top = float(s[0]) ** 2
    reached = found.error.upper * found.error.norm_of_A / float(s[0])
    dropped = (2 * reached + reached**2) * top
    kept = s**2 > level * top / 2
    dropped += float((s[~kept] ** 2).max(initial=0.0))
    r = int(kept.sum())
    panel = found.U[:, :r] * cast(found.s[:r], found.U.dtype)[None, :]
    note = f"D, of {op.shape[1]} columns, was compressed to {r}; the others are {dropped / top:.1e} of D D^H"
    return Change(panel, top, dropped, float(found.error.failure_probability), note=note)
