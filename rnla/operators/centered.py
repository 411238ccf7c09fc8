"""A matrix with its columns centred and scaled and its rows weighted, as an operator that is never formed.

Problem: multiply by B = diag(sqrt(w)) (A - 1 c^T) diag(1/d) for any A, without a copy of A as large as A.

S1  Entries that can be read: c is subtracted from a tile of A *before* it is multiplied, so that nothing cancels
    however far the means lie from zero.  c is held in two numbers of the compute dtype, so that single precision
    loses nothing either.  The scales and weights go to the thin arrays.
S2  Row blocks keep their normal product in one pass: a tile that is in memory gives B X and its share of B^H B X.
S3  Sparse matrices: A X - 1 (c^T X), and the zeros stay zeros.  Here a mean far from zero costs accuracy only where
    nearly all entries of a column are stored: with a share f stored, the mean is at most sqrt(f / (1 - f))
    deviations.
S4  Operators: the same on their products.  Rounding is then relative to A and not to B.

Cost: one subtraction per entry and pass, beside the product; a tile of memory for each thread.
Guarantee: products as accurate as those of the centred matrix, but for S4; the tests hold them to the dense one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from rnla._kernels import products
from rnla._kernels.threads import even_ranges, run
from rnla._xp.linalg import cast, is_complex, zeros
from rnla._xp.namespace import from_host, has_float64, is_numpy
from rnla.config import get_config
from rnla.operators.centering import Centering, in_two
from rnla.operators.columnblocks import ColumnBlocks
from rnla.operators.implicit import Implicit
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import LinearOperator, Magnitude, SupportsBlocks
from rnla.operators.scan import times_power_of_two
from rnla.operators.sparse import Sparse

__all__ = ["CenteredColumns", "CenteredProducts", "CenteredRows", "CenteredSparse", "centered"]

_TILE_BYTES = 1 << 21  # a centred tile and what it is multiplied by stay in cache
_GROUP = 8  # tiles whose adjoint products are held together


class _Centered:
    """What the centred views share; abstract."""

    __slots__ = ("_magnitude", "base", "centering", "device", "dtype", "shape", "xp")

    def __init__(self, base: Any, centering: Centering, magnitude: Magnitude) -> None:
        self.base, self.centering, self._magnitude = base, centering, magnitude
        self.shape: tuple[int, int] = base.shape
        self.dtype: np.dtype[Any] = base.dtype
        self.xp, self.device = base.xp, base.device

    @property
    def copies(self) -> list[str]:
        """Copies as large as the matrix that were made."""
        return list(getattr(self.base, "copies", ()))

    def measure(self) -> Magnitude:
        """Return the magnitude of B, known from the means and the squares about them."""
        return self._magnitude

    def _tiles(self, block: Any, length: int) -> list[slice]:
        return even_ranges(length, max(1, math.ceil(math.prod(block.shape) * self.dtype.itemsize / _TILE_BYTES)))

    def _threads(self) -> int:
        return get_config().threads if is_numpy(self.xp) else 1

    def _total(self, rows: int, columns: int) -> Any:
        """Return zeros to sum in: double precision, where there is any."""
        like = self.xp.zeros((0,), dtype=getattr(self.xp, self.dtype.name), **_on(self.device))
        if is_numpy(self.xp) or has_float64(self.xp, self.device):
            wide = self.xp.complex128 if self.dtype.kind == "c" else self.xp.float64
            return zeros((rows, columns), like, wide)
        return zeros((rows, columns), like)

    def _home(self, total: Any) -> Any:
        return cast(total, getattr(self.xp, self.dtype.name))


def _on(device: Any) -> dict[str, Any]:
    return {} if device is None else {"device": device}


def _product(tile: Any, x: Any, xp: Any) -> Any:
    return products.product(tile, x, tile.dtype, 1) if is_numpy(xp) else tile @ x


def _adjoint_product(tile: Any, y: Any, xp: Any) -> Any:
    if is_numpy(xp):
        return products.adjoint_product(tile, y, tile.dtype, 1)
    return xp.conj(tile.mT @ xp.conj(y)) if is_complex(tile.dtype) else tile.mT @ y


class CenteredRows(_Centered):
    """The centred view of a matrix that is read in blocks of rows, in memory or out of it.

    Parameters
    ----------
    base : Dense or RowBlocks
    centering : Centering
    magnitude : Magnitude
        Of the centred matrix.
    known_gram : array, shape (n, n), optional
        Its Gram matrix, where that was made with the means.
    """

    __slots__ = ("known_gram",)

    def __init__(self, base: Any, centering: Centering, magnitude: Magnitude, known_gram: Any = None) -> None:
        super().__init__(base, centering, magnitude)
        self.known_gram = known_gram

    def matmat(self, x: Any) -> Any:
        """Return B X, in one pass."""
        return self._sweep(self.centering.before(x), None)[1]

    def rmatmat(self, y: Any) -> Any:
        """Return the adjoint of B times Y, in one pass."""
        return self._after(self._sweep(None, self.centering.weighted(y))[0])

    def normal_matmat(self, x: Any) -> tuple[Any, Any]:
        """Return the adjoint of B times B X, and B X, in one pass."""
        total, y = self._sweep(self.centering.before(x), None, normal=True)
        return self._after(total), y

    def row_blocks(self) -> Iterator[tuple[slice, Any]]:
        """Yield blocks of rows."""
        for rows, block in self.base.row_blocks():
            yield rows, self.centering.block(block, rows, slice(None))

    def column_blocks(self) -> Iterator[tuple[slice, Any]]:
        """Yield blocks of columns."""
        for columns, block in self.base.column_blocks():
            yield columns, self.centering.block(block, slice(None), columns)

    def _after(self, total: Any) -> Any:
        return self._home(self.centering.before(total))

    def _sweep(self, x: Any, y: Any, *, normal: bool = False) -> tuple[Any, Any]:
        """Return (adjoint times Y, A X); with `normal`, Y is A X."""
        m, n = self.shape
        xp, roots = self.xp, self.centering.roots
        adjoint = normal or y is not None
        width = int((x if y is None else y).shape[1])
        total: Any = self._total(n, width) if adjoint else None
        host = is_numpy(xp)
        out: Any = np.empty((m, width), dtype=self.dtype) if host and x is not None else None
        pieces: list[Any] = []
        for rows, block in self.base.row_blocks():
            first = rows.start

            def work(tile: slice, block: Any = block, first: int = first) -> tuple[Any, Any]:
                where = slice(first + tile.start, first + tile.stop)
                shifted = self.centering.shifted(block[tile, :])
                part: Any = None if x is None else _product(shifted, x, xp)
                if x is not None and roots is not None:
                    part = part * cast(roots, part.dtype)[where, None]
                term = None
                if normal:
                    again = part if roots is None else part * cast(roots, part.dtype)[where, None]
                    term = _adjoint_product(shifted, again, xp)
                elif y is not None:
                    term = _adjoint_product(shifted, y[where, :], xp)
                if out is not None:
                    out[where] = part
                    part = None
                return term, part

            tiles = self._tiles(block, rows.stop - rows.start)
            for start in range(0, len(tiles), _GROUP):
                for term, part in run(work, tiles[start : start + _GROUP], self._threads()):
                    if term is not None:
                        total = total + cast(term, total.dtype)
                    if part is not None:
                        pieces.append(part)
        if x is None or out is not None:
            return total, out
        like = self._home(self._total(0, width))
        return total, xp.concat(pieces, axis=0) if pieces else zeros((m, width), like)


class CenteredColumns(_Centered):
    """The centred view of a matrix that is read in blocks of columns; the normal product takes two passes.

    Parameters
    ----------
    base : ColumnBlocks
    centering : Centering
    magnitude : Magnitude
        Of the centred matrix.
    """

    __slots__ = ()

    def matmat(self, x: Any) -> Any:
        """Return B X, in one pass."""
        x = self.centering.before(x)
        total = self._total(self.shape[0], int(x.shape[1]))
        for columns, block in self.base.column_blocks():
            tiles = self._tiles(block, columns.stop - columns.start)
            for start in range(0, len(tiles), _GROUP):
                for term in run(
                    lambda tile: self._tile(columns, block, tile) @ x[_moved(tile, columns), :],  # noqa: B023
                    tiles[start : start + _GROUP],
                    self._threads(),
                ):
                    total += term
        return self.centering.weighted(self._home(total))

    def rmatmat(self, y: Any) -> Any:
        """Return the adjoint of B times Y, in one pass."""
        y = self.centering.weighted(y)
        out = self._home(self._total(self.shape[1], int(y.shape[1])))
        for columns, block in self.base.column_blocks():

            def work(tile: slice, columns: slice = columns, block: Any = block) -> None:
                out[_moved(tile, columns), :] = _adjoint_product(self._tile(columns, block, tile), y, self.xp)

            run(work, self._tiles(block, columns.stop - columns.start), self._threads())
        return self.centering.before(out)

    def _tile(self, columns: slice, block: Any, tile: slice) -> Any:
        return self.centering.shifted(block[:, tile], _moved(tile, columns))

    def row_blocks(self) -> Iterator[tuple[slice, Any]]:
        """Yield blocks of rows, against the layout."""
        for rows, block in self.base.row_blocks():
            yield rows, self.centering.block(block, rows, slice(None))

    def column_blocks(self) -> Iterator[tuple[slice, Any]]:
        """Yield blocks of columns, along the layout."""
        for columns, block in self.base.column_blocks():
            yield columns, self.centering.block(block, slice(None), columns)


def _moved(tile: slice, block: slice) -> slice:
    return slice(block.start + tile.start, block.start + tile.stop)


class CenteredSparse(_Centered):
    """The centred view of a sparse matrix, whose zeros stay zeros.

    Parameters
    ----------
    base : Sparse
    centering : Centering
    magnitude : Magnitude
        Of the centred matrix.
    """

    __slots__ = ()

    kernel_families = Sparse.kernel_families

    def matmat(self, x: Any) -> Any:
        """Return B X."""
        x = self.centering.before(x)
        return self.centering.weighted(self.centering.less_mean(self.base.matmat(x), x))

    def rmatmat(self, y: Any) -> Any:
        """Return the adjoint of B times Y."""
        y = self.centering.weighted(y)
        return self.centering.before(self.centering.less_mean_adjoint(self.base.rmatmat(y), y, self.xp))

    @property
    def nnz(self) -> int:
        """Stored entries of the matrix."""
        return int(self.base.nnz)

    @property
    def nbytes(self) -> int:
        """Bytes of its CSR form."""
        return int(self.base.nbytes)


class CenteredProducts:
    """The centred view of an operator that is known by its products.

    Parameters
    ----------
    inner : Ledger
        Over the operator: checks what it returns.
    centering : Centering
    """

    __slots__ = ("centering", "device", "dtype", "inner", "shape", "xp")

    def __init__(self, inner: Ledger, centering: Centering) -> None:
        self.inner, self.centering = inner, centering
        self.shape, self.dtype, self.xp, self.device = inner.shape, inner.dtype, inner.xp, inner.device

    def matmat(self, x: Any) -> Any:
        """Return B X."""
        x = self.centering.before(x)
        y = times_power_of_two(self.inner.matmat(x), self.inner.exponent)
        return self.centering.weighted(self.centering.less_mean(y, x))

    def rmatmat(self, y: Any) -> Any:
        """Return the adjoint of B times Y."""
        y = self.centering.weighted(y)
        z = times_power_of_two(self.inner.rmatmat(y), self.inner.exponent)
        return self.centering.before(self.centering.less_mean_adjoint(z, y, self.xp))


def centered(
    base: LinearOperator,
    *,
    center: Any = None,
    rest: Any = None,
    scale: Any = None,
    roots: Any = None,
    magnitude: Magnitude | None = None,
    inner: Ledger | None = None,
    known_gram: Any = None,
) -> LinearOperator:
    """Return diag(roots) (A - 1 center^T) diag(1 / scale) as an operator.

    Parameters
    ----------
    base : LinearOperator
    center, rest : array, shape (n,), optional
        The centre is their sum; in the precision in which it is known, in the library of the matrix.
    scale : numpy.ndarray, shape (n,), optional
        Positive.
    roots : numpy.ndarray, shape (m,), optional
        Square roots of the rows' weights.
    magnitude : Magnitude, optional
        Of the centred matrix; needed where the entries of A can be read.
    inner : Ledger, optional
        Over an operator known by its products, where it was multiplied before.
    known_gram : array, shape (n, n), optional
        Of the centred matrix, where it is known already.

    Examples
    --------
    >>> from rnla.operators.coerce import as_operator
    >>> A = as_operator(np.array([[1.0, 2.0], [3.0, 4.0]]))
    >>> B = centered(A, center=np.array([2.0, 3.0]), magnitude=Magnitude(2.0))
    >>> B.matmat(np.eye(2)).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """
    xp, device = base.xp, base.device
    high, low = (None, None) if center is None else in_two(center, rest, base.dtype, xp)
    real = np.dtype(np.float32 if base.dtype.name in {"float32", "complex64"} else np.float64)
    scale, roots = (
        None if each is None else from_host(np.asarray(each, dtype=real), xp, device) for each in (scale, roots)
    )
    centering = Centering(high, low, scale, roots)
    if isinstance(base, Implicit):
        view = CenteredProducts(Ledger(base) if inner is None else inner, centering)
        return Implicit(view, base.dtype, xp, device)
    assert magnitude is not None
    if isinstance(base, Sparse):
        return CenteredSparse(base, centering, magnitude)
    if isinstance(base, ColumnBlocks):
        return CenteredColumns(base, centering, magnitude)
    assert isinstance(base, SupportsBlocks)
    return CenteredRows(base, centering, magnitude, known_gram)
