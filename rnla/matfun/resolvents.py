"""Solves with a diagonal matrix that many low-rank changes have been made to, at a few fixed shifts.

Problem: with A = diag(a) + F J F^H, F the columns of all changes so far and J their signs, the blocks
(A + t_j I)^{-1} G for a new change G and all shifts t_j, and the same after G has joined F.

S1. R_j = (diag(a) + t_j I)^{-1}; (A + t_j I)^{-1} G = R_j (G - F Z_j), Z_j = K_j^{-1} F^H R_j G, K_j = J + F^H R_j F.
S2. K_j of [F G] is K_j with C_j = F^H R_j G and J_G + G^H R_j G at its border; its inverse follows from K_j^{-1} and
    from that of the Schur complement J_G + G^H (A + t_j I)^{-1} G.
S3. A + t_j I stays positive definite if and only if that complement has as many negative eigenvalues as J_G has.
S4. The shifts are the poles of the best rational approximation to the square root on the interval [lo^2, hi^2],
    lo^2 (sn / cn)^2 at the odd places [zolotarev1877]_; so (A + G J G^H)^{1/2} - A^{1/2} is, to the accuracy of that
    approximation, in the span of the blocks.

Cost: J shifts, r columns so far, k new: 4 n r k J + 2 r^2 k J flops; n r + J room^2 numbers.  Nothing is factored.
"""

from __future__ import annotations

import copy
import math
from typing import Any, NamedTuple

import numpy as np

from rnla._xp.namespace import namespace_of
from rnla.matfun.panels import Small, dtype_of, inner, real_row, small_dtype, times
from rnla.rangefinder.growing import appended, with_room

__all__ = ["Looked", "Resolvents", "feasible", "poles_of_root"]


_FIRST = 64  # columns that there is room for before the small inverses are moved


class Looked(NamedTuple):
    """What a change would do, before it is made."""

    panel: Any
    signs: Small
    block: Any  # (A + t_j I)^{-1} G, shift by shift, without the first
    Z: Small
    complements: Small
    cross: Small


def poles_of_root(lo: float, hi: float, count: int) -> Small:
    """Return the poles, with their signs changed, of the best rational approximation to the root on [lo^2, hi^2].

    Examples
    --------
    >>> [round(float(t), 3) for t in poles_of_root(1.0, 10.0, 2)]
    [0.655, 22.721]
    """
    from scipy.special import ellipj, ellipkm1

    share = (lo / hi) ** 2
    period = float(ellipkm1(share))
    places = (2 * np.arange(1, count + 1) - 1) * period / (2 * count + 1)
    # cn is lost in the rounding of 1 - share near the end; t(u) t(K - u) = lo^2 hi^2 gives the half that lies there.
    early = places <= period / 2
    sn, cn, _, _ = ellipj(np.where(early, places, period - places), 1 - share)
    found: Small = lo * lo * (sn / cn) ** 2
    return np.where(early, found, (lo * hi) ** 2 / found)


class Resolvents:
    """The solves; the first shift is one at the level of rounding, which stands for none.

    The small inverses have room that doubles as it is used up.

    Parameters
    ----------
    squares : array, shape (n,)
        a.
    shifts : numpy.ndarray, shape (J,)
    like : array
        Of the library, device and dtype of panels.
    room : int
        Columns that all the changes may have together.
    """

    def __init__(self, squares: Any, shifts: Small, like: Any, room: int) -> None:
        self.squares, self.shifts, self.room = squares, shifts, room
        self.signs: Small = np.zeros(0)
        self._like = like[:1, :]
        self._panel: Any = None
        first = min(room, _FIRST)
        self._inverses: Small = np.zeros((len(shifts), first, first), dtype=small_dtype(dtype_of(like)))
        self._added = 0.0  # sum of the squares of the entries of the Gram matrix of what was added

    @property
    def columns(self) -> int:
        """Columns of the changes so far."""
        return len(self.signs)

    @property
    def storage(self) -> int:
        """Numbers held."""
        return int(self._inverses.size) + int(self.squares.shape[0]) * (1 + self.columns)

    def copy(self) -> Resolvents:
        """Return a copy that goes its own way."""
        other = copy.copy(self)
        other._inverses = self._inverses.copy()
        return other

    def scale(self, factor: float) -> None:
        """Go over to factor A."""
        self.squares = self.squares * factor
        self.shifts = self.shifts * factor
        if self._panel is not None:
            self._panel = self._panel * math.sqrt(factor)
        self._added *= factor * factor

    def look(self, panel: Any, signs: Small) -> Looked:
        """Return what a change would do (S1, S2)."""
        n, k, count = int(panel.shape[0]), int(panel.shape[1]), len(self.shifts)
        shifted = self.squares[:, None] + real_row(self.shifts, self._like)[None, :]
        solved = panel[:, None, :] / shifted[:, :, None]
        own = inner(panel, _flat(solved)).reshape(k, count, k).transpose(1, 0, 2) + np.diag(signs)
        r = self.columns
        if r == 0:
            return Looked(panel, signs, _flat(solved[:, 1:, :]), np.zeros((count, 0, k)), own, np.zeros((0, k)))
        images = inner(self._panel, namespace_of(panel).concat([_flat(solved), panel], axis=1))
        cross = images[:, : count * k].reshape(r, count, k).transpose(1, 0, 2)
        Z = self._inverses[:, :r, :r] @ cross
        complements = own - cross.conj().transpose(0, 2, 1) @ Z
        mixed = times(self._panel, Z[1:].transpose(1, 0, 2).reshape(r, (count - 1) * k))
        block = solved[:, 1:, :] - _cube(mixed, n, count - 1, k) / shifted[:, 1:, None]
        return Looked(panel, signs, _flat(block), Z, complements, images[:, count * k :])

    def take(self, looked: Looked) -> None:
        """Make the change; there must be room."""
        r, k, Z = self.columns, len(looked.signs), looked.Z
        have = self._inverses.shape[1]
        if r + k > have:
            size = min(self.room, max(2 * have, r + k))
            wider = np.zeros((len(self.shifts), size, size), dtype=self._inverses.dtype)
            wider[:, :r, :r] = self._inverses[:, :r, :r]
            self._inverses = wider
        lost = np.linalg.slogdet(looked.complements)[0] == 0  # all digits, by rounding: the blocks only make a space
        inverse = np.linalg.inv(looked.complements + lost[:, None, None] * np.diag(looked.signs))
        inverse = (inverse + inverse.conj().transpose(0, 2, 1)) / 2
        for at in range(len(self.shifts)):
            border = Z[at] @ inverse[at]
            held = self._inverses[at]
            held[:r, :r] += border @ Z[at].conj().T
            held[:r, r : r + k], held[r : r + k, :r] = -border, -border.conj().T
            held[r : r + k, r : r + k] = inverse[at]
        self._added = self._sum_with(looked)
        self._panel = with_room(looked.panel, self.room) if r == 0 else appended(self._panel, looked.panel)
        self.signs = np.concatenate([self.signs, looked.signs])

    def added_with(self, looked: Looked) -> float:
        """Return a bound on the norm of the sum of D D^H over all that was added, and a change."""
        return math.sqrt(self._sum_with(looked))

    def _sum_with(self, looked: Looked) -> float:
        new, old = looked.signs > 0, self.signs > 0
        gram = inner(looked.panel, looked.panel)[np.ix_(new, new)]
        across = looked.cross[np.ix_(old, new)]
        return self._added + float((np.abs(gram) ** 2).sum()) + 2 * float((np.abs(across) ** 2).sum())

    def solve(self, x: Any) -> Any:
        """Return (A + t_0 I)^{-1} X."""
        shifted = (self.squares + float(self.shifts[0]))[:, None]
        found = x / shifted
        r = self.columns
        if r == 0:
            return found
        z = self._inverses[0, :r, :r] @ inner(self._panel, found)
        return found - times(self._panel, z) / shifted


def feasible(looked: Looked) -> bool:
    """Whether the changed matrix is positive semidefinite up to rounding (S3)."""
    return int((np.linalg.eigvalsh(looked.complements[0]) < 0).sum()) == int((looked.signs < 0).sum())


def _flat(cube: Any) -> Any:
    n, count, k = (int(x) for x in cube.shape)
    return namespace_of(cube).reshape(cube, (n, count * k))


def _cube(panel: Any, n: int, count: int, k: int) -> Any:
    return namespace_of(panel).reshape(panel, (n, count, k))
