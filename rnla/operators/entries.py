"""The gate to the entries of a positive semidefinite matrix: its diagonal, some columns, small blocks.

Problem: an algorithm that chooses columns by the diagonal must read these and nothing else.  The ledger cannot
help: it reads a matrix whole to know its norm.  This gate counts every entry that it reads, and checks on the way
what costs nothing: a square shape, a real diagonal that is not negative, columns that are finite, blocks that are
their own adjoint and have the diagonal that was read.

What a column is read from:

- arrays in memory and mapped files in Fortran order: the column; in C order: the row, conjugated, which lies in one
  piece (the matrix is its own adjoint);
- sparse matrices: the row of the CSR form, conjugated;
- HDF5, Zarr and Dask arrays, and what has slices of rows only: whole rows, conjugated;
- objects with ``diagonal()`` and ``columns(j)``, with ``entries(i, j)`` where they have it, such as a kernel on
  points; objects with ``diagonal()`` and products: products with unit vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rnla._xp.linalg import cast, eps_of, is_complex
from rnla._xp.namespace import all_finite, is_numpy, module_name, to_host
from rnla.errors import InputError, NonFiniteError, OperatorError
from rnla.iterate import tick
from rnla.operators.chosen_lines import brought_home, facts_of, is_callers_own, selected, stored, unit_vectors
from rnla.operators.coerce import as_operator
from rnla.operators.columnblocks import ColumnBlocks
from rnla.operators.dense import Dense
from rnla.operators.implicit import Implicit
from rnla.operators.kernel import KernelOperator
from rnla.operators.protocols import scale_exponent
from rnla.operators.rowblocks import RowBlocks
from rnla.operators.sparse import Sparse

__all__ = ["Entries", "rounding_level"]

Array = np.ndarray[Any, Any]
_SQUARE = 1024
"""Rows of the squares along the diagonal in which a store is asked for it."""


class Entries:
    """Entries of a Hermitian matrix, counted and checked.

    Parameters
    ----------
    A : matrix
        As the caller holds it.

    Attributes
    ----------
    read : int
        Entries read so far.
    exponent : int
        Even; what is given out is the matrix times ``2**-exponent``, known after `diagonal`.
    """

    def __init__(self, A: Any) -> None:
        self.read = 0
        self.exponent = 0
        self._kept: tuple[Array, Any] | None = None
        self._given_out: Any = None  # the diagonal
        self._object: Any = None
        if _gives_entries(A):
            self._object = A
            self.base: Any = A
            self.xp, self.device, self.dtype, self.shape = facts_of(A)
        else:
            base = as_operator(A)
            self.base, self.xp, self.device, self.dtype, self.shape = base, base.xp, base.device, base.dtype, base.shape
        if self.shape[0] != self.shape[1]:
            raise InputError(
                f"a positive semidefinite matrix is square; got {self.shape[0]} x {self.shape[1]} "
                "(for the Gram matrix of a rectangular A use svd)"
            )
        if isinstance(self.base, Implicit) and not callable(getattr(A, "diagonal", None)):
            raise InputError(
                "the pivots are drawn from the diagonal, which an operator that is only multiplied does not tell; "
                "give it a method diagonal(), or use a method made of products, such as eigh"
            )
        self._diagonal_of = A if isinstance(self.base, Implicit) else None
        self._columns, self._block = self._readers()
        self._largest = 0.0  # of the diagonal that was given out

    # --------------------------------------------------------------------------------------------- what is given out
    def diagonal(self) -> Any:
        """Return the diagonal, real, in the compute dtype's precision; learns the scale.

        Raises
        ------
        InputError
            A negative or complex entry: the matrix is not positive semidefinite.
        """
        raw = self._raw_diagonal()
        self.read += self.shape[0]
        if not all_finite(raw):
            raise NonFiniteError("the diagonal holds NaN or infinity; remove or impute such entries first")
        real = self.xp.real(raw) if is_complex(raw.dtype) else raw
        if is_complex(raw.dtype):
            imaginary = self.xp.abs(self.xp.imag(raw))
            if bool(self.xp.any(imaginary > 10 * eps_of(self.dtype) * self.xp.abs(real))):
                raise InputError("the diagonal is not real, so the matrix is not its own adjoint")
        largest = float(self.xp.max(real)) if self.shape[0] else 0.0
        # Computed differences, such as Schur complements, leave zeros a few eps of the largest entry below 0.
        if self.shape[0] and bool(self.xp.any(real < -4 * eps_of(self.dtype) * max(largest, 0.0))):
            first = int(self.xp.argmin(real))
            raise InputError(
                f"the matrix is not positive semidefinite: diagonal entry {first} is {float(real[first]):.3g}"
            )
        real = self.xp.where(real < 0, self.xp.zeros_like(real), real)
        # Even, so that a factor has the root of the scale.
        self.exponent = scale_exponent(largest, self.dtype) // 2 * 2
        self._given_out = self._scaled(real)
        self._largest = largest * 2.0**-self.exponent
        return self._given_out

    @property
    def has_blocks(self) -> bool:
        """Whether a square block costs less than its columns."""
        return self._block is not None

    @property
    def gives_copies(self) -> bool:
        """Whether the columns are certain to be nobody else's, so that they may be overwritten."""
        return isinstance(self._object, KernelOperator) or (
            self._object is None and not isinstance(self.base, Implicit)
        )

    def columns(self, chosen: Array) -> Any:
        """Return columns as a dense array (n, k)."""
        kept = self._kept
        if kept is not None and np.isin(chosen, kept[0]).all():  # they were read with a block
            order = np.argsort(kept[0], kind="stable")
            place = order[np.searchsorted(kept[0], chosen, sorter=order)]
            out = self.xp.take(kept[1], self._index(place), axis=1)
        else:
            out = self._columns(chosen)
            self.read += self.shape[0] * len(chosen)
        self._kept = None
        out = self._scaled(cast(out, self._dtype()))
        if tuple(out.shape) != (self.shape[0], len(chosen)):
            raise OperatorError(f"columns(j) must return shape {(self.shape[0], len(chosen))}, got {tuple(out.shape)}")
        if not all_finite(out):
            bad = [int(j) for k, j in enumerate(chosen) if not all_finite(out[:, k])]
            raise NonFiniteError(f"column {bad[0]} of the matrix holds NaN or infinity; remove or impute such entries")
        return out

    def block(self, chosen: Array) -> Array:
        """Return the rows and columns with these indices, on the host in double precision.

        Raises
        ------
        InputError
            The block is not its own adjoint.
        OperatorError
            Its diagonal is not what `diagonal` gave out.
        """
        if self._block is not None:
            raw = self._block(chosen)
            self.read += len(chosen) ** 2
        else:
            columns = self._columns(chosen)
            self.read += self.shape[0] * len(chosen)
            self._kept = (chosen, columns)
            raw = self.xp.take(columns, self._index(chosen), axis=0)
        out = to_host(self._scaled(cast(raw, self._dtype())))
        out = out.astype(np.complex128 if out.dtype.kind == "c" else np.float64)
        if not np.isfinite(out).all():
            i, j = (int(chosen[k]) for k in np.argwhere(~np.isfinite(out))[0])
            raise NonFiniteError(f"entry ({i}, {j}) of the matrix is NaN or infinite; remove or impute such entries")
        size = np.sqrt(np.abs(np.diagonal(out)))
        gap = np.abs(out - out.conj().T)
        # Room for entries that were computed, in two ways, to some digits less than all.
        allowed = max(1e3 * eps_of(self.dtype), 0.1 * math.sqrt(eps_of(self.dtype)))
        if (gap > allowed * np.outer(size, size) + np.finfo(np.float64).tiny).any():
            i, j = (int(k) for k in np.unravel_index(int(gap.argmax()), gap.shape))
            raise InputError(
                f"the matrix is not its own adjoint: entries ({int(chosen[i])}, {int(chosen[j])}) and "
                f"({int(chosen[j])}, {int(chosen[i])}) differ by {gap[i, j]:.1e} of the scaled matrix; "
                "pass (A + A.conj().T) / 2 if that is what is meant"
            )
        if self._given_out is not None:
            told = to_host(self.xp.take(self._given_out, self._index(chosen), axis=0)).astype(np.float64)
            gap = np.abs(np.diagonal(out) - told)
            rounding = 8 * eps_of(self.dtype) * self._largest + np.finfo(np.float64).tiny
            if (gap > allowed * np.maximum(told, size**2) + rounding).any():
                k = int(gap.argmax())
                raise OperatorError(
                    f"the matrix contradicts itself: diagonal() says {told[k]:.6g} of entry ({int(chosen[k])}, "
                    f"{int(chosen[k])}), and columns or entries give {out[k, k]:.6g} (of the scaled matrix)"
                )
        return out

    # ------------------------------------------------------------------------------------------------- how it is read
    def _readers(self) -> tuple[Callable[[Array], Any], Callable[[Array], Any] | None]:
        """Return what reads columns, and what reads square blocks, if anything does so for less than its columns."""
        base = self.base
        if self._object is not None:
            given = self._object
            asked = getattr(given, "entries", None)
            block = (lambda c: self._home(asked(c, c))) if callable(asked) else None
            return (lambda c: self._home(given.columns(c))), block
        if isinstance(base, Dense) and is_numpy(self.xp):
            return _of_array(base._array)
        if isinstance(base, Dense):
            array = base._array
            return (
                lambda c: self.xp.take(array, self._index(c), axis=1),
                lambda c: self.xp.take(self.xp.take(array, self._index(c), axis=0), self._index(c), axis=1),
            )
        if isinstance(base, Sparse):
            csr = base._csr
            return (lambda c: csr[c, :].toarray().conj().T), (lambda c: csr[c, :][:, c].toarray())
        if isinstance(base, (RowBlocks, ColumnBlocks)):
            source = stored(base)
            if isinstance(source, np.ndarray):
                return _of_array(source)
            return (lambda c: selected(source, c, 0).conj().T), None

        def by_products(chosen: Array) -> Any:
            return self._home(base.matmat(unit_vectors(chosen, self.shape[0], self.dtype, self.xp, self.device)))

        return by_products, None

    def _raw_diagonal(self) -> Any:
        n = self.shape[0]
        given = self._object if self._object is not None else self._diagonal_of
        if given is not None:
            out = self._home(given.diagonal())
            if tuple(out.shape) != (n,):
                raise OperatorError(f"diagonal() must return shape ({n},), got {tuple(out.shape)}")
            return cast(out, self._dtype())
        base = self.base
        if isinstance(base, Dense):
            array = base._array
            return cast(self.xp.linalg.diagonal(array) if not is_numpy(self.xp) else np.diagonal(array), self._dtype())
        if isinstance(base, Sparse):
            return base._csr.diagonal()
        source = stored(base)
        if isinstance(source, np.ndarray):
            return np.diagonal(source).astype(self.dtype)
        out = np.empty(n, dtype=self.dtype)
        two_slices = module_name(source) in {"h5py", "zarr", "dask"}
        for start in range(0, n, _SQUARE):
            part = slice(start, min(start + _SQUARE, n))
            square = np.asarray(source[part, part] if two_slices else np.asarray(source[part])[:, part])
            self.read += square.size if two_slices else square.shape[0] * n
            out[part] = np.diagonal(square)
            tick()
        self.read -= n  # counted once
        return out

    def _scaled(self, x: Any) -> Any:
        if self.exponent == 0:
            return x
        half = self.exponent // 2
        return x * 2.0**-half * 2.0**-half

    def _dtype(self) -> Any:
        return getattr(self.xp, self.dtype.name)

    def _index(self, where: Array) -> Any:
        index = np.ascontiguousarray(where, dtype=np.int64)
        return index if is_numpy(self.xp) else self.xp.asarray(index, device=self.device)

    def _home(self, x: Any) -> Any:
        return brought_home(x, self.xp, self.device, "the matrix")


def _gives_entries(A: Any) -> bool:
    return is_callers_own(A) and all(callable(getattr(A, name, None)) for name in ("diagonal", "columns"))


def _of_array(array: Array) -> tuple[Callable[[Array], Any], Callable[[Array], Any]]:
    by_columns = abs(array.strides[0]) < abs(array.strides[1])
    columns = (lambda c: array[:, c]) if by_columns else (lambda c: array[c, :].conj().T)
    return columns, lambda c: array[np.ix_(c, c)]


def rounding_level(dtype: Any, columns: int) -> float:
    """Return the share of a diagonal entry that rounding may leave of it after so many columns were taken off.

    On matrices of exact rank up to about 25 eps was measured for 10 columns.
    """
    return eps_of(dtype) * (50 + 10 * math.sqrt(columns))
