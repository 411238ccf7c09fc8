"""The SVD of the compressed form Q C P^H: deterministic, small, dense."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._kernels.products import product
from rnla._kernels.threads import even_ranges, interruptible, run
from rnla._xp.linalg import adjoint, svd
from rnla._xp.namespace import is_numpy, namespace_of
from rnla.config import get_config
from rnla.factorization.signs import fix_signs, row_phases
from rnla.orth import CholeskyQR2, HouseholderQR
from rnla.results import LowRank

__all__ = ["SingularVectors", "leading_vectors", "svd_of_low_rank"]

_TILE_BYTES = 1 << 20  # of a panel that is overwritten
_SMALL = 300_000  # rows times squared columns of a panel; LAPACK takes 0.1 milliseconds for it


class SingularVectors:
    """Singular vectors as a panel times a small matrix, of which only those are made that are taken.

    Parameters
    ----------
    panel : array, shape (p, l)
    small : array, shape (l, l)
    side : {"left", "right"}
        Whether it stands for U, with the vectors in its columns, or for V^H, with their adjoints in its rows.
    own : bool
        Whether nobody else needs the panel, so that `spent` may overwrite it.

    Examples
    --------
    >>> import numpy as np
    >>> SingularVectors(np.eye(3), np.diag([1.0, 2.0, 3.0]), "left")[:, :1].ravel().tolist()
    [1.0, 0.0, 0.0]
    """

    __slots__ = ("_own", "_panel", "_side", "_small")

    def __init__(self, panel: Any, small: Any, side: str, own: bool = False) -> None:
        self._panel, self._small, self._side, self._own = panel, small, side, own

    @property
    def dtype(self) -> Any:
        """The dtype of the vectors."""
        return self._panel.dtype

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the whole matrix."""
        shape = (int(self._panel.shape[0]), int(self._small.shape[1]))
        return shape if self._side == "left" else shape[::-1]

    def __getitem__(self, where: tuple[slice, slice]) -> Any:
        """Return the vectors of a slice as an array."""
        along, which = where if self._side == "left" else where[::-1]
        vectors = _times(self._panel, self._small[:, which])
        if along != slice(None):
            vectors = vectors[along, :]
        return vectors if self._side == "left" else adjoint(vectors)

    def spent(self, factors: Any) -> Any:
        """Return all left vectors times a number each, in the memory of the panel if that is its own: it is gone then.

        A panel may be most of the memory of a call, and a fresh one costs more time than the product.
        """
        panel, small = self._panel, self._small * factors[None, :]
        if not self._own or not isinstance(panel, np.ndarray) or small.shape[0] != small.shape[1]:
            return _times(panel, small)

        def work(rows: slice) -> None:
            panel[rows] = product(panel[rows], small, panel.dtype, 1)

        run(work, even_ranges(len(panel), -(-panel.nbytes // _TILE_BYTES)), get_config().threads)
        return panel


def leading_vectors(u: Any, vh: Any, rank: int) -> tuple[Any, Any]:
    """Return the first vectors of a decomposition, with the phases of `fix_signs`; what was given is gone then.

    Parameters
    ----------
    u, vh : SingularVectors or array
    rank : int
    """
    tall = isinstance(u, SingularVectors) and u.shape[0] > vh.shape[1]
    if not tall or rank != u.shape[1] or rank == 0:
        return fix_signs(u[:, :rank], vh[:rank, :])
    right = vh[:rank, :]
    phases = row_phases(right)  # the shorter side decides
    return u.spent(phases), right * adjoint(phases[None, :])


def svd_of_low_rank(factors: LowRank) -> tuple[SingularVectors, Any, SingularVectors]:
    """Return the SVD of Q C P^H from the QR of its long factor and the SVD of a triangle.

    Parameters
    ----------
    factors : LowRank
        One of Q and P is the identity, and C is the long factor on that side.

    Returns
    -------
    U : SingularVectors
    s : array
        As many singular values as the short side of C has.
    Vh : SingularVectors
    """
    if factors.Q is None:
        q, r = _orthonormalizer(factors.C).factor(factors.C)
        u, s, wh = interruptible(lambda: svd(r), 26.0 * int(r.shape[0]) ** 3)
        return SingularVectors(q, u, "left", own=True), s, SingularVectors(factors.P, adjoint(wh), "right")
    long = adjoint(factors.C)
    q, r = _orthonormalizer(long).factor(long)
    u, s, wh = interruptible(lambda: svd(adjoint(r)), 26.0 * int(r.shape[0]) ** 3)
    return SingularVectors(factors.Q, u, "left"), s, SingularVectors(q, adjoint(wh), "right")


def _orthonormalizer(panel: Any) -> CholeskyQR2 | HouseholderQR:
    """Return the one that takes least: LAPACK's single call, for panels that it factors before others have begun."""
    rows, columns = (int(side) for side in panel.shape)
    return HouseholderQR() if rows * columns**2 <= _SMALL else CholeskyQR2()


def _times(panel: Any, small: Any) -> Any:
    if is_numpy(namespace_of(panel)):
        return product(panel, small, panel.dtype, get_config().threads)
    return panel @ small
