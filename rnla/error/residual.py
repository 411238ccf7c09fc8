"""The Frobenius error of a projection: for free by an identity, or read off the residual itself.

For orthonormal X and Y = A X:  norm(A - Y X^H)_F^2 = norm(A)_F^2 - norm(Y)_F^2.

It is a difference of two rounded numbers, so it means nothing once the error is near
sqrt(eps) norm(A)_F; it is used above ``32 sqrt(eps)`` only, eps of the dtype of the products.
Cost: one read of Y.

The explicit residual is summed over row blocks of A, without ever being formed: one pass and
2 m n l flops, exact down to the rounding level of the products.
"""

from __future__ import annotations

import math
from typing import Any

from rnla._kernels.threads import even_ranges, run
from rnla._xp.linalg import adjoint, eps_of, frobenius
from rnla._xp.namespace import is_numpy
from rnla.config import get_config
from rnla.operators.ledger import Ledger
from rnla.results import RangeBasis

__all__ = ["explicit_residual", "factoring_level", "frobenius_difference", "identity_floor", "identity_rounding"]

_TILES = 8  # a block of rows is cut in, so that the pool works on it


def identity_floor(dtype: Any) -> float:
    """Return the relative error above which the identity is trusted: 32 sqrt(eps)."""
    return 32 * math.sqrt(eps_of(dtype))


def identity_rounding(dtype: Any) -> float:
    """Return r so that the squared relative error is off by at most r^2: 4 sqrt(eps).

    Measured were up to 6 eps in the squares, in every precision, against the 16 allowed here; at the floor of the
    identity, 32 sqrt(eps), that is 0.8 percent of the error.
    """
    return 4 * math.sqrt(eps_of(dtype))


def factoring_level(dtype: Any, columns: int) -> float:
    """Return the error, relative to the norm of A, that factors of so many columns add to what they stand for.

    QR, the SVD of the triangle and the products that join them round, most of it LAPACK's own.  Measured were up to
    47 eps, between 12 and 60 columns as well as for 300 (flat and decaying spectra, real and complex), and 35 eps in
    the factors of a basis of 200, against the max(60, 10 + 3 sqrt(columns)) eps allowed here.
    """
    return eps_of(dtype) * max(60.0, 10 + 3 * math.sqrt(columns))


def frobenius_difference(norm_of_A: float, image: Any) -> float | None:
    """Return the Frobenius error of the projection, or None where the difference is below its floor.

    Parameters
    ----------
    norm_of_A : float
        Frobenius norm of the matrix.
    image : array, shape (p, l)
        The matrix times an orthonormal basis.
    """
    difference = (norm_of_A - (energy := frobenius(image))) * (norm_of_A + energy)
    if norm_of_A == 0 or difference <= (identity_floor(image.dtype) * norm_of_A) ** 2:
        return None
    return math.sqrt(difference)


def explicit_residual(op: Ledger, basis: RangeBasis) -> float:
    """Return norm(A - Y X^H)_F, or norm(A - X Y^H)_F in the column space, from the entries of A in row blocks.

    Parameters
    ----------
    op : Ledger
        Over a matrix whose blocks can be read.
    basis : RangeBasis
    """
    left, right = (basis.image, basis.basis) if basis.space == "row" else (basis.basis, basis.image)
    right = adjoint(right)
    threads = get_config().threads if is_numpy(op.xp) else 1

    def add(total: tuple[float, ...], rows: slice, block: Any) -> tuple[float, ...]:
        thin = left[rows, :]
        tiles = even_ranges(rows.stop - rows.start, _TILES)
        return (*total, *run(lambda tile: frobenius(block[tile, :] - thin[tile, :] @ right), tiles, threads))

    return math.hypot(*op.fold_blocks("row", add, ()))
