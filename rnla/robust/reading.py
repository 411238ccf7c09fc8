"""Rows and columns of D as they are asked for, counted: the one gate of the methods that read only a cross.

What a row or a column is read from:

- arrays in memory and mapped files: indexed where they lie, by the kernels without a copy;
- SciPy sparse matrices: their rows by CSR, their columns by a CSC form made once;
- HDF5, Zarr and Dask: their own selection by index, rows or columns whole;
- objects with ``rows(i)`` and ``columns(j)``, or with ``entries(i, j)`` for two arrays of indices, which returns the
  block: a matrix that exists as a function only;
- operators that are only multiplied: products with unit vectors.

Every entry that is handed out is counted, as often as it is; `Reader.distinct` counts each once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnla._kernels.crosses import cross_products
from rnla._kernels.thresholding import Tally, cleaned
from rnla._xp.linalg import adjoint, cast, frobenius, max_abs
from rnla._xp.namespace import all_finite, from_host, is_numpy, to_host
from rnla.config import get_config
from rnla.errors import DTypeError, InputError, NonFiniteError, OperatorError
from rnla.operators.chosen_lines import brought_home, facts_of, is_callers_own, selected, stored, unit_vectors
from rnla.operators.coerce import as_operator
from rnla.operators.columnblocks import ColumnBlocks
from rnla.operators.dense import Dense
from rnla.operators.implicit import Implicit
from rnla.operators.rowblocks import RowBlocks
from rnla.operators.scan import times_power_of_two
from rnla.operators.sparse import Sparse
from rnla.robust.scaling import OtherScaleError, exponent_for
from rnla.robust.thresholds import column_levels

__all__ = ["Reader"]

Array = np.ndarray[Any, Any]
Spaces = Callable[[Array], tuple[Array, Array]]
_LINES = ("row", "column")
_MISSING = "for missing entries pass mask=, True where D is observed"


class Reader:
    """D, read by rows and columns.

    Parameters
    ----------
    D : matrix
        As the caller holds it.

    Attributes
    ----------
    entries : int
        Entries handed out so far, with repetition.
    exponent : int
        What is handed out is D 2^-exponent (`rnla.robust.scaling`).
    """

    def __init__(self, D: Any) -> None:
        self.entries, self.exponent = 0, 0
        self._scale_known = False
        self.array: Array | None = None  # where kernels may read it in place
        self._object: Any = None
        self._columns_of_sparse: Any = None
        if _gives_parts(D):
            self._object, self.base = D, None
            self.xp, self.device, self.dtype, self.shape = facts_of(D)
        else:
            base: Any = as_operator(D)
            self.base, self.xp, self.device, self.dtype, self.shape = base, base.xp, base.device, base.dtype, base.shape
            source = base.resident if isinstance(base, Dense) else stored(base)
            if isinstance(source, np.ndarray) and source.dtype == self.dtype:
                self.array = source
        self._rooms: list[Array] = []  # of `cross_products`
        self._read = [np.zeros(length, dtype=bool) for length in self.shape]  # ever
        self._seen = [np.zeros(length, dtype=bool) for length in self.shape]  # since `begin`

    @property
    def kind(self) -> str:
        """What D is, in a word."""
        if self._object is not None:
            return "a function of its entries"
        names = {Dense: "dense", Sparse: "sparse", RowBlocks: "on disk", ColumnBlocks: "on disk", Implicit: "operator"}
        return next((word for type_, word in names.items() if isinstance(self.base, type_)), "dense")

    @property
    def dense(self) -> Any:
        """The array itself where D is one in memory, else None."""
        return self.base._array if isinstance(self.base, Dense) else None

    @property
    def stored(self) -> Any:
        """What single entries can be taken from: an array, or what an operator on disk reads; else None."""
        return self.dense if isinstance(self.base, Dense) else stored(self.base)

    @property
    def gives_blocks(self) -> bool:
        """Whether D is an object that makes any block of itself."""
        return self._object is not None and callable(getattr(self._object, "entries", None))

    @property
    def bytes_of_columns(self) -> int:
        """What is made once so that columns can be read: of a sparse matrix, itself by columns."""
        if not isinstance(self.base, Sparse):
            return 0
        matrix = self.base.matrix
        return int(matrix.data.nbytes + matrix.indices.nbytes + 8 * (self.shape[1] + 1))

    @property
    def source_dtype(self) -> Any:
        """The dtype that D has where it lies."""
        found = getattr(self.stored, "dtype", None) if self._object is None else getattr(self._object, "dtype", None)
        return self.dtype if found is None else found

    @property
    def distinct(self) -> int:
        """Entries handed out at least once."""
        (m, n), i, j = self.shape, *(int(each.sum()) for each in self._read)
        return i * n + j * (m - i)

    def begin(self) -> None:
        """Forget what was handed out, and the scale, but for the counts: another attempt begins."""
        self.exponent, self._scale_known = 0, False
        for seen in self._seen:
            seen[:] = False

    def touched(self, i: Array, j: Array) -> bool:
        """Whether one of these rows or columns was handed out as such since the attempt began."""
        return bool(self._seen[0][i].any() or self._seen[1][j].any())

    def count_pass(self, passes: int = 1) -> None:
        """Count that all of D was read."""
        self.entries += passes * self.shape[0] * self.shape[1]
        for marks in (*self._read, *self._seen):
            marks[:] = True

    def rows(self, i: Array) -> Any:
        """Return rows as a dense array (k, n), checked and scaled."""
        self._count(i, 0)
        return self._checked(self._part(i, 0), i, 0)

    def columns(self, j: Array) -> Any:
        """Return columns as a dense array (m, k), checked and scaled."""
        self._count(j, 1)
        return self._checked(self._part(j, 1), j, 1)

    def masked(self, mask: Any, index: Array, axis: int) -> tuple[Any, Any]:
        """Return rows (columns for axis 1) of an array where some entries are missing, scaled, and of its mask."""
        block = self.take(self.dense, index, axis)
        block = cast(block, self.dtype if is_numpy(self.xp) else getattr(self.xp, self.dtype.name))
        return self._scaled(block), self.take(mask, index, axis)

    def whole(self) -> Any:
        """Return the array that D is, in the compute dtype and scaled: as it lies where both are so."""
        array = cast(self.dense, self.dtype if is_numpy(self.xp) else getattr(self.xp, self.dtype.name))
        return self._scaled(array)

    def learn(self, largest: float) -> None:
        """Take the scale from the largest modulus of what was read first.

        Raises
        ------
        OtherScaleError
            It is another than what was read in.
        """
        if not self._scale_known:
            self._scale_known, self.exponent = True, exponent_for(largest, self.dtype)
            if self.exponent:
                raise OtherScaleError

    def _scaled(self, block: Any) -> Any:
        return times_power_of_two(block, -self.exponent) if self.exponent else block

    def cross(
        self, i: Array, j: Array, left: Any, right: Any, threshold: float, kind: str, spaces: Spaces
    ) -> tuple[Any, Any, Tally, Tally]:
        """Return products with the rows I and the columns J of B, D less its outliers against LEFT RIGHT.

        Parameters
        ----------
        i, j : numpy.ndarray of int64
        left, right : array, shapes (m, r) and (r, n)
        threshold : float
        kind : str
        spaces : callable
            Makes u and v of B[I, J], on the host.

        Returns
        -------
        F, G : array, shapes (m, k) and (n, k)
            B[:, J] v and the adjoint of B[I, :] times u.
        rows, columns : Tally
        """
        if kind == "entries" and is_numpy(self.xp):
            return self._cross_by_kernels(i, j, left, right, threshold, spaces)
        rows, columns = self.rows(i), self.columns(j)
        if not self._scale_known:
            self.learn(max(max_abs(rows), max_abs(columns)))
        row_part, column_part = self.take(left, i, 0), self.take(right, j, 1)
        a, tally, flags = _cleaned(rows, row_part @ right, threshold, kind, None, self.xp)
        flags = None if flags is None else self.take(flags, j, 0)
        b, other, _ = _cleaned(columns, left @ column_part, threshold, kind, flags, self.xp)
        u, v = (
            cast(from_host(np.ascontiguousarray(each), self.xp, self.device), b.dtype)
            for each in spaces(to_host(self.take(b, i, 0)))
        )
        return b @ v, adjoint(a) @ u, tally, other

    def _cross_by_kernels(
        self, i: Array, j: Array, left: Array, right: Array, threshold: float, spaces: Spaces
    ) -> tuple[Array, Array, Tally, Tally]:
        """Return what `cross` does, by the kernels, whose tallies tell of entries that are not finite."""
        self._count(i, 0)
        self._count(j, 1)
        rows: tuple[Array, Array | None]
        columns: tuple[Array, Array | None]
        if self.array is not None and self.exponent == 0:
            rows, columns = (self.array, i), (self.array, j)
        else:
            rows, columns = (self._part(i, 0), None), (self._part(j, 1), None)
        core, _ = cleaned(rows[0], rows[1], j, left[i], right[:, j], threshold, 1)
        # Nothing is factored of what is not finite: D has such entries, or the model has diverged.
        k = min(1, len(i))
        u, v = spaces(core) if np.isfinite(core).all() else (np.zeros((len(i), k)), np.zeros((len(j), k)))
        f, g, tally, other = cross_products(
            rows, columns, i, j, left, right, threshold, u, v, get_config().threads, self._rooms
        )
        self.learn(max(tally.largest, other.largest))
        if not np.isfinite(tally.squares + other.squares + tally.largest + other.largest):
            for index, axis in ((i, 0), (j, 1)):
                self._checked(self._part(index, axis), index, axis)
        return f, g, tally, other

    def take(self, x: Any, where: Array, axis: int) -> Any:
        """Return chosen rows or columns of an array of the caller's library."""
        if is_numpy(self.xp):
            if not x.flags.c_contiguous:  # of such an array `take` copies all
                return x[where] if axis == 0 else x[:, where]
            return np.take(x, where, axis=axis)
        return self.xp.take(x, self.xp.asarray(np.ascontiguousarray(where), device=self.device), axis=axis)

    def _count(self, index: Array, axis: int) -> None:
        self.entries += len(index) * self.shape[1 - axis]
        self._read[axis][index] = self._seen[axis][index] = True

    def _part(self, index: Array, axis: int) -> Any:
        """Return rows (columns for axis 1), scaled, of the shape that they must have."""
        out = self._read_columns(index) if axis else self._read_rows(index)
        shape = (self.shape[0], len(index)) if axis else (len(index), self.shape[1])
        if tuple(out.shape) != shape:
            raise OperatorError(f"{_LINES[axis]}s of D must come as an array of shape {shape}, got {tuple(out.shape)}")
        return self._scaled(out)

    def _checked(self, out: Any, index: Array, axis: int) -> Any:
        if not all_finite(out):
            bad = np.flatnonzero(~np.isfinite(to_host(out)).all(axis=1 - axis))
            raise NonFiniteError(f"{_LINES[axis]} {int(index[bad[0]])} of D holds NaN or infinity; {_MISSING}")
        return out

    def _read_rows(self, i: Array) -> Any:
        if self._object is not None:
            if callable(getattr(self._object, "rows", None)):
                return self._home(self._object.rows(i))
            return self.block(i, np.arange(self.shape[1]))
        base: Any = self.base
        if isinstance(base, (Dense, Sparse)):
            return base.rows(i)
        if isinstance(base, (RowBlocks, ColumnBlocks)):
            return self._home(selected(stored(base), i, 0))
        return self.xp.conj(base.rmatmat(unit_vectors(i, self.shape[0], self.dtype, self.xp, self.device)).mT)

    def _read_columns(self, j: Array) -> Any:
        if self._object is not None:
            if callable(getattr(self._object, "columns", None)):
                return self._home(self._object.columns(j))
            return self.block(np.arange(self.shape[0]), j)
        base: Any = self.base
        if isinstance(base, Sparse):
            if self._columns_of_sparse is None:
                self._columns_of_sparse = base.matrix.tocsc()
            return self._columns_of_sparse[:, j].toarray()
        if isinstance(base, Dense):
            return base.columns(j)
        if isinstance(base, (RowBlocks, ColumnBlocks)):
            return self._home(selected(stored(base), j, 1))
        return base.matmat(unit_vectors(j, self.shape[1], self.dtype, self.xp, self.device))

    def block(self, i: Array, j: Array) -> Any:
        """Return a block that D makes of itself.

        Raises
        ------
        OperatorError
            It has not the shape (len(i), len(j)).
        """
        wanted = f"entries(i, j) of D must return the block of shape (len(i), len(j)), here ({len(i)}, {len(j)})"
        try:
            found = self._object.entries(i, j)
        except (ValueError, IndexError, TypeError) as error:
            raise OperatorError(f"{wanted}; it raised {type(error).__name__}: {error}") from error
        if tuple(getattr(found, "shape", ())) != (len(i), len(j)):
            got = f"shape {tuple(found.shape)}" if hasattr(found, "shape") else f"a {type(found).__name__}"
            hint = "; D[i[:, None], j] is the block, D[i, j] single entries" if np.ndim(found) == 1 else ""
            raise OperatorError(f"{wanted}; got {got}{hint}")
        return self._home(found)

    def converted(self, x: Any) -> Array:
        """Return numbers of D on the host in the compute dtype."""
        return np.asarray(x).astype(self.dtype, copy=False)

    def _home(self, x: Any) -> Any:
        x = brought_home(x, self.xp, self.device, "D")
        if is_numpy(self.xp):
            if not np.can_cast(x.dtype, self.dtype, "same_kind"):
                raise DTypeError(f"D has dtype {self.dtype}, but gave entries of dtype {x.dtype}")
            return x.astype(self.dtype, copy=False)
        return cast(x, getattr(self.xp, self.dtype.name))


def _gives_parts(D: Any) -> bool:
    """Whether D is an object of the caller's that gives rows and columns, or entries."""
    if not is_callers_own(D):
        return False
    gives = [name for name in ("rows", "columns") if callable(getattr(D, name, None))]
    if len(gives) == 2 or callable(getattr(D, "entries", None)):
        return True
    if gives and not hasattr(D, "__matmul__") and not hasattr(D, "matmat"):
        other = "columns(j)" if gives == ["rows"] else "rows(i)"
        raise InputError(f"D has {gives[0]} only: give it {other} too, or entries(i, j), which makes a block")
    return False


def _cleaned(block: Any, model: Any, threshold: float, kind: str, flags: Any, xp: Any) -> tuple[Any, Tally, Any]:
    """Return the block less its outliers, the tally, and which columns are outliers."""
    gap = block - model
    if kind == "entries":
        level, shown = xp.abs(gap), None
        beyond = level >= threshold
        largest = max_abs(gap)
    else:
        level = column_levels(gap)
        shown = level >= threshold if flags is None else flags
        beyond = xp.broadcast_to(shown[None, :], block.shape)
        largest = float(xp.max(level)) if level.shape[0] else 0.0
    zero = xp.zeros_like(gap)
    out = xp.where(beyond, model, block)
    clean, squares = frobenius(xp.where(beyond, zero, gap)) ** 2, frobenius(out) ** 2
    return out, Tally(clean, squares, int(xp.count_nonzero(beyond)), largest), shown
