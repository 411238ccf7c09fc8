"""Whether a downdate is possible, found out before the iteration; and the change of an inverse.

Equation: H^2 - D D^H = H (I - G) H with G = H^{-1} D D^H H^{-1}: it is semidefinite where mu = norm(H^{-1} D)^2 <= 1,
and H^2 - D D^H >= (1 - mu) H^2.  The inverse of H^2 + sign D D^H is H^{-2} - sign U U^H with
U = H^{-2} D (I + sign D^H H^{-2} D)^{-1/2}.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._xp.linalg import eps_of, frobenius, max_abs
from rnla.errors import InputError, NonFiniteError, OperatorError
from rnla.matfun.change import Change, cut, plain
from rnla.matfun.given_roots import require_solved
from rnla.matfun.panels import Small, inner, scaled_columns, times
from rnla.matfun.roots import DiagonalRoot, FramedRoot, Root
from rnla.orth import HouseholderQR

__all__ = [
    "Half",
    "change_of_inverse",
    "half_if_solved",
    "half_solved",
    "moved_by_frame",
    "require_feasible",
    "require_invertible",
    "unseen_by_inverse",
]

_ROUNDING = 10
_PRODUCTS = 2  # roundings in the product of a matrix with columns, in their norm
_SINGULAR = 10  # n eps of the largest eigenvalue: below, a decomposed root is singular to working precision


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Half:
    """H^{-1} D.

    Attributes
    ----------
    panel : array, shape (n, k)
    gram : numpy.ndarray, shape (k, k)
        D^H H^{-2} D.
    mu : float
        Its largest eigenvalue; inf where D leaves the range of a singular H.
    blur : float
        What rounding may have done to mu.
    """

    panel: Any
    gram: Small
    mu: float
    blur: float


def half_solved(root: Root, panel: Any, exact: bool) -> Half:
    """Return H^{-1} D.

    Parameters
    ----------
    root : Root
        That solves.
    panel : array, shape (n, k)
        D.
    exact : bool
        Whether the entries of D are the caller's own, not those in the basis of eigenvectors.
    """
    eps = eps_of(root.dtype)
    level = 0.0 if exact else _level(root)
    if isinstance(root, DiagonalRoot) and root.lower <= level:
        xp = root.xp
        zero = root.h <= level
        outside = max_abs(xp.where(zero[:, None], panel, xp.zeros_like(panel)))
        if outside > (0.0 if exact else 100 * eps * max_abs(panel)):
            return Half(panel, inner(panel, panel), math.inf, 0.0)
        safe = xp.where(zero, xp.ones_like(root.h), root.h)
        half = xp.where(zero[:, None], xp.zeros_like(panel), panel / safe[:, None])
    else:
        half = root.shifted_solve(0.0, panel)
        if not isinstance(root, DiagonalRoot):
            require_solved(root, 0.0, half, panel)
    gram = inner(half, half)
    if not np.isfinite(gram).all():
        raise NonFiniteError(
            "D^H A^-1 D overflows: A_half is singular to working precision, or D very much larger than A_half; add a "
            "ridge to A_half, or bring the two nearer to each other"
        )
    mu = float(np.linalg.eigvalsh(gram)[-1])
    stretch = 1.0
    if not (isinstance(root, DiagonalRoot) and exact):
        stretch += _condition(root, half)
    return Half(half, gram, mu, 100 * eps * stretch)


def _condition(root: Root, half: Any) -> float:
    """Return the condition number of a root, where it is not known estimated by one more solve, and doubled."""
    if root.lower > 0 and root.upper < math.inf:
        return root.upper / root.lower
    if isinstance(root, DiagonalRoot):
        return 1 / math.sqrt(eps_of(root.dtype))
    return 2 * root.magnitude * frobenius(root.shifted_solve(0.0, half)) / max(frobenius(half), np.finfo(float).tiny)


def _level(root: Root) -> float:
    """Return what eigenvalues of a decomposed matrix that are zero may be computed as."""
    return _SINGULAR * root.shape[0] * eps_of(root.dtype) * root.upper


def half_if_solved(root: Root, panel: Any, exact: bool) -> Half | None:
    """Return H^{-1} D, None where H is singular, so that it tells nothing."""
    try:
        return half_solved(root, panel, exact)
    except (np.linalg.LinAlgError, ZeroDivisionError, InputError, NonFiniteError, OperatorError):
        return None


def require_feasible(half: Half) -> None:
    """Raise unless H^2 - D D^H is positive semidefinite up to rounding."""
    if half.mu > 1 + half.blur:
        raise InputError(
            f"the downdate is not possible: lambda_max(D^H A^-1 D) - 1 = {half.mu - 1:.3g} is above zero, so A - D D^H "
            "has a negative eigenvalue and no root; take less away, or pass sign=+1 if D is to be added"
        )


def require_invertible(root: Root, exact: bool) -> None:
    """Raise where A is singular, so that it has no inverse root."""
    level = 0.0 if exact else _level(root)
    if isinstance(root, DiagonalRoot) and root.shape[0] and root.lower <= level:
        raise InputError(
            f"A has no inverse root: its root has the eigenvalue {root.lower:.3g}, and the largest is "
            f"{root.upper:.3g}; add a ridge to A, or ask for power=0.5 or 0.25"
        )


def unseen_by_inverse(root: Root, change: Change) -> Change:
    """Return a change that is nothing where D is so small beside A_half that its squares would leave the range.

    B^{-1} = A^{-1} up to a share norm(D)^2 / lambda_min(A) of it; a root whose smallest eigenvalue is not known has
    none below eps times the largest that an inverse could be computed of.
    """
    single = eps_of(root.dtype) > 1e-10
    least = root.lower if root.lower > 0 else eps_of(root.dtype) * root.magnitude
    if change.panel.shape[1] == 0 or least == 0 or change.norm > (1e-28 if single else 1e-200) * least * least:
        return change
    return dataclasses.replace(change, panel=change.panel[:, :0], moved_share=2 * change.norm / least**2)


def change_of_inverse(
    root: Root, half: Half, panel: Any, sign: int, turned: float, level: float
) -> tuple[Change, float]:
    """Return the change of the inverse, and norm(H U)^2 for a downdate of it (0 else).

    X = H^{-1} D = Q diag(s) P^H;  B^{-1} = H^{-1} (I + sign X X^H)^{-1} H^{-1}, so
    U = H^{-1} Q diag(s / (1 + sign s^2)^{1/2}): from the singular values, not from the squares in D^H A^{-1} D, whose
    rounding is that of the square of norm(X).
    An error x of X moves B^{-1} by at most 2 norm(x) norm(B^{-1} D) norm(B^{-1} H), and norm(B^{-1} H) <=
    norm(B^{-1})^{1/2}, of a downdate (1 - mu)^{-1/2} times that; one of u in U by 2 norm(u) norm(U); a turn t of D by
    2 norm(t) norm(B^{-1} D) norm(B^{-1}).  x and u are what the residuals of the solves say, after they are corrected,
    and 10 eps norm(X).

    Parameters
    ----------
    root : Root
    half : Half
    panel : array, shape (n, k)
        D.
    sign : int
    turned : float
        What turning D into the basis of `root` did to it.
    level : float
        Share of norm(U U^H) that may be left out.

    Raises
    ------
    InputError
        H^2 + sign D D^H is singular to working precision.
    """
    wrong = root.shifted_solve(0.0, root.matmat(half.panel) - panel)
    x = half.panel - wrong
    q, _ = HouseholderQR().factor(x)
    left, s, _ = np.linalg.svd(inner(q, x))
    least = 1 + sign * float(s[0]) ** 2 if sign < 0 else 1.0
    if least <= half.blur:
        raise InputError(
            f"A - D D^H is singular to working precision, lambda_max(D^H A^-1 D) - 1 = {-least:.3g}, so it has no "
            "inverse root; its root is given by power=0.5"
        )
    first = times(q, left)
    whole = root.shifted_solve(0.0, first)
    wrong_too = root.shifted_solve(0.0, root.matmat(whole) - first)
    whole = whole - wrong_too
    weights = s / np.sqrt(1 + sign * s * s)
    narrow = plain(cut(scaled_columns(whole, weights), level))
    mu = float(weights[0]) ** 2 if sign > 0 else 0.0
    size = frobenius(scaled_columns(whole, s / (1 + sign * s * s)))
    doubt = frobenius(wrong) + _ROUNDING * eps_of(root.dtype) * float(s[0])
    doubt_too = frobenius(scaled_columns(wrong_too, weights))
    moved = narrow.dropped + narrow.moved  # of the change of the inverse, as what is left out of D is not
    if not isinstance(root, DiagonalRoot):  # residuals are rounded too, and H^{-1} in all that follows
        condition = _condition(root, whole)
        own = 3 * eps_of(root.dtype) * condition
        doubt, doubt_too = doubt + own * float(s[0]), doubt_too + own * math.sqrt(narrow.norm)
        moved += 2 * own * condition / root.magnitude * math.sqrt(narrow.norm)
    moved += 2 * doubt_too * math.sqrt(narrow.norm)
    return dataclasses.replace(
        narrow, inverse=True, moved=moved, moved_root=2 * doubt * size / math.sqrt(least), moved_share=2 * turned * size
    ), mu


def moved_by_frame(frame: FramedRoot, change: Change) -> float:
    """Return a bound on what the decomposition of a dense root did to the change U U^H of its inverse.

    With E = A - H^2, B^{-1} E B^{-1} - A^{-1} E A^{-1} = U U^H E U U^H - sign (U U^H E A^{-1} + A^{-1} E U U^H).
    E, which is H F + F H up to F^2, is at the level of rounding itself: the products that measure it may miss as much.
    """
    if frame.given is None or change.panel.shape[1] == 0:
        return 0.0
    inside, u = frame.inside, frame.out(change.panel)
    image = inside.matmat(change.panel)
    left = frame.into(frame.given.matmat(frame.given.matmat(u))) - inside.matmat(image)
    unseen = _PRODUCTS * eps_of(inside.dtype) * float(inside.upper)
    size, small = frobenius(change.panel), frobenius(image)
    solved = frobenius(inside.shifted_solve(0.0, inside.shifted_solve(0.0, left)))
    solved += unseen * (size + small / float(inside.lower)) / float(inside.lower)
    within = float(np.linalg.norm(inner(change.panel, left), 2)) + 2 * unseen * small * size
    return 2 * solved * math.sqrt(change.norm) + change.norm * within
