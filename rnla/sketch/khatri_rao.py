"""The Khatri-Rao test matrix [sun2018]_, [camano2025]_: each column a Kronecker product of small random vectors.

Problem: a test matrix for rows that are numbered by several indices (tensors, Kronecker products of operators),
whose n rows need only the sum of a few small factors in random numbers and memory.

S1. Take sizes n_1, ..., n_f with a product of n or more, and independent test matrices W_i, (n_i, columns).
S2. Write the row number in mixed radix, i = (i_1, ..., i_f), the last digit fastest.
S3. Omega[i, j] = W_1[i_1, j] ... W_f[i_f, j], for the first n row numbers.

Cost: (n_1 + ... + n_f) columns random numbers; columns f flops for a row of a tile; a row of A is multiplied in
2 n columns flops as by any dense matrix; a large Omega is not formed for that, rows are contracted factor by factor.

Guarantee: E omega omega^H = I, as the factors are independent.  The fourth moment along a product of unit vectors
is that of the base to the power of f (3^f for real normals, 2^f for complex ones), so more columns are needed than
of a Gaussian matrix, in the worst case exponentially many in f [camano2025]_.  Tested in
`tests/sketch/test_khatri_rao.py`.

Differences from the papers: (1) rows beyond n are dropped, so that every n is taken; (2) the base is any test matrix,
normals unless said otherwise, in place of vectors on a sphere.  Signs as a base are the least safe: along a product of
differences of two coordinates all but 2^-f of the columns are zero.

When not: for matrices whose rows have no such structure; Gaussian columns lose nothing and cost a product as much.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rnla._xp.namespace import NUMPY, from_host
from rnla.checks import check_whole
from rnla.errors import DTypeError, InputError
from rnla.rng import Key
from rnla.sketch.gaussian import Gaussian
from rnla.sketch.protocols import TestMatrix

__all__ = ["KhatriRao"]

Array = np.ndarray[Any, Any]
_CONTRACTED = 1 << 20  # numbers that a contraction holds at a time
_LARGE = 1 << 24  # numbers of Omega from which on it is not formed: contracting saves memory, not flops


@dataclasses.dataclass(frozen=True, slots=True)
class KhatriRao:
    """Column-wise Kronecker product of small random matrices.

    Parameters
    ----------
    factors : int or tuple of int
        How many factors, of equal sizes as small as the rows allow; or the sizes, whose product is the number of rows
        or more.  The last factor belongs to the fastest index: (2, 3) goes with a C-ordered array of shape (2, 3).
    base : TestMatrix
        What the factors are drawn as.

    Raises
    ------
    InputError
        When a tile is drawn of more rows than the product of the sizes.

    Examples
    --------
    >>> from rnla.rng import Key
    >>> omega = KhatriRao((2, 3)).tile(0, 6, 6, 4, Key(0))
    >>> bool(abs(omega[0] * omega[4] - omega[1] * omega[3]).max() < 1e-15)
    True
    """

    factors: int | tuple[int, ...] = 2
    base: TestMatrix = Gaussian()

    def __post_init__(self) -> None:
        if isinstance(self.factors, (tuple, list)):
            if not self.factors:
                raise InputError("factors=() is empty; give the sizes of the factors, or how many")
            object.__setattr__(self, "factors", tuple(check_whole("factors", size, 1) for size in self.factors))
        else:
            check_whole("factors", self.factors, 1)
        if isinstance(self.base, type) or not isinstance(self.base, TestMatrix):
            raise DTypeError(f"base must be a description such as Gaussian(), got {self.base!r}")

    def sizes(self, rows: int) -> tuple[int, ...]:
        """Return the sizes of the factors for a number of rows."""
        if isinstance(self.factors, tuple):
            if math.prod(self.factors) < rows:
                raise InputError(
                    f"KhatriRao(factors={self.factors}) has {math.prod(self.factors)} rows and the matrix needs "
                    f"{rows}; give larger sizes, or how many factors"
                )
            return self.factors
        side = max(round(rows ** (1.0 / self.factors)) - 1, 1)
        while side**self.factors < rows:
            side += 1
        return (side,) * self.factors

    def tile(
        self,
        start: int,
        stop: int,
        rows: int,
        columns: int,
        key: Key,
        *,
        dtype: Any = np.float64,
        xp: Any = NUMPY,
        device: Any = None,
    ) -> Any:
        """Return rows [start, stop) of the (rows, columns) test matrix of this key; made on the host."""
        dtype = np.dtype(dtype)
        sizes = self.sizes(rows)
        out = np.ones((max(stop - start, 0), columns), dtype=np.result_type(dtype, np.float64))
        digits = np.unravel_index(np.arange(start, max(stop, start)), sizes)
        for factor, digit in zip(self._drawn(sizes, columns, key, dtype), digits, strict=True):
            out *= factor[digit]
        return from_host(out.astype(dtype), xp, device)

    def applier(
        self, rows: int, columns: int, key: Key, *, dtype: Any = np.float64, stored: float | None = None
    ) -> Callable[[Array], Any] | None:
        """Return the function that contracts rows of A factor by factor; None for sparse A and where Omega is small."""
        if stored is not None or rows * columns < _LARGE:
            return None
        dtype = np.dtype(dtype)
        sizes = self.sizes(rows)
        factors = [factor.astype(dtype) for factor in self._drawn(sizes, columns, key, dtype)]
        whole = math.prod(sizes)
        height = max(1, _CONTRACTED // max(1, whole // sizes[-1] * columns + whole))

        def contract(block: Array) -> Array:
            out: Array
            padded = np.zeros((len(block), whole), dtype=dtype)
            padded[:, :rows] = block
            out = padded.reshape(-1, sizes[-1]) @ factors[-1]
            for factor in reversed(factors[:-1]):
                out = np.einsum("aij,ij->aj", out.reshape(-1, *factor.shape), factor)
            return out

        def apply(block: Array) -> Array:
            out = np.empty((len(block), columns), dtype=dtype)
            for first in range(0, len(block), height):
                out[first : first + height] = contract(block[first : first + height])
            return out

        return apply

    def _drawn(self, sizes: tuple[int, ...], columns: int, key: Key, dtype: np.dtype[Any]) -> list[Array]:
        wide = np.result_type(dtype, np.float64)
        like = {"dtype": wide, "xp": NUMPY, "device": None}
        return [
            np.asarray(self.base.tile(0, size, size, columns, key.child("factor", i), **like))
            for i, size in enumerate(sizes)
        ]
