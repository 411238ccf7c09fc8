"""One root after one change: the method's correction, cut to what the tolerance needs, with its error.

S1. Bounds on the norm of B = H^2 + sign D D^H; the absolute error allowed.
S2. The method finds X = Q W diag(w) W^H Q^H with residual r, to a quarter of what is allowed.
S3. Small w are dropped, d the largest of them: the residual grows by at most (2 norm(S) + d) d with S = H + X,
    norm(S)^2 <= norm(B) + r; half of what is allowed.
S4. The error: r, what rounding did as far as the method measured it, S3, what is left out of D, and
    (10 eps + 8 sqrt(l) eps') (norm(S) + norm(X)) norm(X) for the rounding of Q, of V = Q W and of the small algebra
    on l columns, which is in double precision, eps'.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rnla._xp.linalg import eps_of
from rnla.errors import InputError
from rnla.matfun.change import Change
from rnla.matfun.norms import norm_bounds
from rnla.matfun.panels import times
from rnla.matfun.protocols import Correction, RootProblem
from rnla.matfun.roots import DiagonalRoot, Root
from rnla.results.report import Status
from rnla.rng import Key

__all__ = ["Stage", "droppable", "forward_bound", "stage_of"]

_ROUNDING, _SMALL = 10, 8
_NOTHING = {True: 1e-28, False: 1e-240}  # of norm(B), in single and in double precision
_SEEN = 30  # sqrt(eps) of the largest: the square of such an eigenvalue is above rounding


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A root H after the change H^2 + sign D D^H.

    Attributes
    ----------
    V : array, shape (n, r)
    w : numpy.ndarray, shape (r,)
    error : float
        Bound on norm((H + V diag(w) V^H)^2 - H^2 - sign D D^H).
    floor : float
        The part of it that is rounding.
    lower, upper : float
        Bounds on norm(H^2 + sign D D^H).
    failure_probability : float
    change : float
        norm(D D^H).
    least : float
        Lower bound on the smallest eigenvalue of the exact root and of the one found; 0 where nothing is known.
    status : Status
    found : Correction or None
        What the method gave; None where nothing changed.
    products : int
        Columns multiplied with H for the bounds.
    rounding : float
        The part of the error that rounding did, in the small algebra and in making the change.
    """

    V: Any
    w: np.ndarray[Any, Any]
    error: float
    floor: float
    lower: float
    upper: float
    failure_probability: float
    change: float
    least: float
    status: Status
    found: Correction | None
    products: int
    rounding: float = 0.0


def stage_of(
    root: Root,
    change: Change,
    sign: int,
    allowed: Callable[[float], float],
    correct: Callable[[RootProblem], Correction],
    max_rank: int | None,
    mu: float,
    key: Key,
) -> Stage:
    """Return a root after a change.

    Parameters
    ----------
    root : Root
        H.
    change : Change
    sign : int
    allowed : callable
        The absolute error allowed, of a lower bound on norm(B).
    correct : callable
        The method.
    max_rank : int or None
    mu : float
        norm(H^{-1} D)^2, of a downdate, as far as it is known: H^2 - D D^H >= (1 - mu) H^2.
    key : Key
    """
    eps, panel = eps_of(root.dtype), change.panel
    if panel.shape[1] == 0:
        return _unchanged(root, change, 0.0, root.magnitude**2)
    norms = norm_bounds(root, panel, sign, change.norm, key)  # S1
    if change.norm <= _NOTHING[eps > 1e-10] * norms.lower:  # its square is lost beside B, whatever is done
        return _unchanged(root, change, change.norm, norms.lower)
    limit = float(allowed(norms.lower))
    boundary = sign < 0 and not mu < 1 - 1e4 * eps
    found = correct(RootProblem(root, panel, sign, limit / 4, change.norm, key.child("method"), boundary))  # S2
    _require_semidefinite(root, found)
    size = math.sqrt(norms.upper + found.residual)
    sizes = np.abs(found.w)
    kept = int(np.count_nonzero(sizes > droppable(size, limit / 2)))  # S3
    status = found.status
    if max_rank is not None and kept > max_rank:
        kept, status = max_rank, Status.RANK_CAP
    dropped = float(sizes[kept:].max(initial=0.0))
    largest = float(sizes.max(initial=0.0))
    rounding = _ROUNDING * eps + _SMALL * eps_of(np.float64) * math.sqrt(found.Q.shape[1])
    floor = rounding * (size + largest) * largest  # S4
    error = found.residual + found.slack + (2 * size + dropped) * dropped + change.missed(norms.upper) + floor
    least = root.lower * (1.0 if sign > 0 else math.sqrt(max(0.0, 1 - mu)))
    return Stage(
        times(found.Q, found.W[:, :kept]), found.w[:kept], error, floor, norms.lower, norms.upper,
        norms.failure_probability, change.norm, least, status, found, norms.products,
        floor + change.rounding(norms.upper),
    )  # fmt: skip


def _unchanged(root: Root, change: Change, missed: float, norm: float) -> Stage:
    """Return the root that is there: nothing changes, or nothing that could be seen."""
    error = missed + change.missed(norm)
    return Stage(
        change.panel[:, :0], np.zeros(0), error, 0.0, norm, norm, 0.0, change.norm, root.lower, Status.MET, None, 0
    )  # fmt: skip


def _require_semidefinite(root: Root, found: Correction) -> None:
    """Raise where the root, projected on the basis of the method, has an eigenvalue that its square tells apart from 0.

    The products with an indefinite matrix are as good as those with its modulus, which is the root: only this shows it.
    """
    projection = getattr(found.state, "projection", None)
    if isinstance(root, DiagonalRoot) or projection is None or projection.size == 0:
        return
    values = np.linalg.eigvalsh(projection.T)
    if values[0] < -_SEEN * math.sqrt(eps_of(root.dtype)) * float(np.abs(values).max()):
        raise InputError(
            f"A_half is not positive semidefinite: it has an eigenvalue of {values[0]:.3g} or less, and one of "
            f"{values[-1]:.3g} or more; pass the positive root of A"
        )


def droppable(size: float, allowed: float) -> float:
    """Return the largest d with (2 size + d) d <= allowed."""
    return allowed / (size + math.sqrt(size * size + allowed)) if allowed > 0 else 0.0


def forward_bound(error: float, least: float) -> float:
    """Return a bound on the error of a root whose square is in error; `least` bounds both roots from below."""
    return min(math.sqrt(error), error / (2 * least) if least > 0 else math.inf)
