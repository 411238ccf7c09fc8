"""The sketch A Omega of any matrix, by the cheapest road that the matrix and the test matrix allow.

S1. A test matrix with few entries in a row (`SparseTestMatrix`) is held in CSR.  Dense blocks of A are multiplied by
    it one after another, by kernels that add rows to sums near the core (`rnla._kernels.scatter`); a sparse A is
    multiplied sparse by sparse, in parts, so that no more than a part of the result is sparse at a time.
S2. One with a fast product (`SupportsApply`) takes dense blocks of rows of A, or of columns for the adjoint, as
    they come along the layout of A.
S3. Everything else (other array libraries, operators, a matrix that had to be scaled, blocks against the layout, an
    Omega of so few columns that BLAS is faster) is the product with the dense Omega.

Cost: one pass in every case.  With nnz entries in a row of Omega, S1 takes 2 nnz flops for each stored entry of A and
holds n nnz numbers; S2 takes what the test matrix says for each row; S3 takes 2 columns flops for each stored entry and
holds n columns numbers.

Guarantee: the same Omega on every road, so the results are equal to rounding.  Tested in
`tests/sketch/test_sketch_product.py`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from rnla._kernels.scatter import Scatter
from rnla._kernels.threads import even_ranges, run
from rnla._xp.namespace import is_numpy
from rnla.config import get_config
from rnla.operators.algebra import Adjoint
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import LinearOperator, SupportsBlocks
from rnla.operators.sparse import Sparse
from rnla.rng import Key
from rnla.sketch.protocols import SparseTestMatrix, SupportsApply, TestMatrix
from rnla.sketch.sparse_rows import sparse_rows

__all__ = ["sketch_product"]

Array = np.ndarray[Any, Any]
_SMALL = 1 << 16  # entries of a block that are not worth cutting for the pool
_PARTS = 16
# Columns from which on sparse products are faster than dense ones, measured: as many as the rearrangement of a row of
# A is worth, and for each entry in a row of Omega as many more as BLAS is faster at a flop.
_NARROW, _BLAS = 32, 5
_DENSE_BYTES = 1 << 20  # of rows of a sparse matrix that are made dense for a transform


def sketch_product(op: Ledger | Adjoint, sketch: TestMatrix, columns: int, key: Key, beside: Any = None) -> Any:
    """Return A Omega, for the test matrix Omega of a key with as many rows as A has columns.

    Parameters
    ----------
    op : Ledger, or Adjoint of one
        The matrix behind its ledger, which counts one pass and the columns.
    sketch : TestMatrix
    columns : int
        Of Omega.
    key : Key
        Of Omega: ``sketch.tile(0, n, n, columns, key)`` is what A is multiplied with.
    beside : array, shape (n, k), optional
        More columns, such as probes, that ride in the same pass.

    Returns
    -------
    array, shape (m, columns + k)
        A Omega, and A times what is beside it, in the library, the dtype and the scale of the products of `op`.

    Examples
    --------
    >>> import numpy as np
    >>> from rnla.operators.coerce import as_operator
    >>> from rnla.sketch import SRTT
    >>> op = Ledger(as_operator(np.ones((3, 50))))
    >>> sketch_product(op, SRTT(), 4, Key(0)).shape, op.counts.passes, op.counts.forward
    ((3, 4), 1, 4)
    """
    ledger, flipped = (op.base, True) if isinstance(op, Adjoint) else (op, False)
    m, n = op.shape
    out = None
    if beside is not None and beside.shape[1] == 0:
        beside = None
    if is_numpy(op.xp) and isinstance(ledger, Ledger) and m and n and columns:
        road = _Road(ledger, flipped, sketch, m, n, columns, key, beside)
        out = road.sparse() if isinstance(ledger.base, Sparse) else road.blocks()
    if out is None:
        omega = sketch.tile(0, n, n, columns, key, dtype=op.dtype, xp=op.xp, device=op.device)
        out = op.matmat(omega if beside is None else op.xp.concat([omega, beside], axis=1))
    return out


@dataclasses.dataclass(frozen=True, slots=True)
class _Road:
    """One product under way: of the m by n matrix that is seen, the adjoint of the one in the ledger if `flipped`."""

    ledger: Ledger
    flipped: bool
    sketch: TestMatrix
    m: int
    n: int
    columns: int
    key: Key
    beside: Array | None

    @property
    def width(self) -> int:
        """Columns of the result."""
        return self.columns + (0 if self.beside is None else self.beside.shape[1])

    def blocks(self) -> Array | None:
        """Return the product with a matrix that is read in dense blocks, None where it cannot be."""
        sides = getattr(self.ledger.base, "sides", ())
        if not isinstance(self.ledger.base, SupportsBlocks) or not sides:
            return None
        dtype = self.ledger.dtype
        along = "column" if self.flipped else "row"
        counted = {"backward" if self.flipped else "forward": self.width}
        if isinstance(self.sketch, SupportsApply) and along in sides:
            apply = self.sketch.applier(self.n, self.columns, self.key, dtype=dtype)
            if apply is not None:
                return self._whole(
                    self.ledger.fold_blocks(along, functools.partial(self._rows, apply), None, **counted)
                )
        if not isinstance(self.sketch, SparseTestMatrix):
            return None
        omega = sparse_rows(self.sketch, self.n, self.columns, self.key, dtype)
        if self._narrow(omega):
            return None
        if along in sides:
            apply = Scatter(omega).times
            return self._whole(self.ledger.fold_blocks(along, functools.partial(self._rows, apply), None, **counted))
        total = self.ledger.fold_blocks(sides[0], functools.partial(self._sum, Scatter(omega)), None, **counted)
        return self._whole(total).astype(dtype, copy=False)

    def _narrow(self, omega: Any) -> bool:
        """Whether Omega has so few columns that the product with it dense is faster."""
        return bool(self.columns < _NARROW + _BLAS * omega.nnz / self.n)

    def _whole(self, out: Array | None) -> Array:
        return np.zeros((self.m, self.width), dtype=self.ledger.dtype) if out is None else out

    def _seen(self, block: Array) -> Array:
        """Return the block as it stands in the matrix that is seen."""
        if not self.flipped:
            return block
        return block.conj().T if block.dtype.kind == "c" else block.T

    def _rows(self, apply: Callable[[Array], Any], out: Array | None, where: slice, block: Array) -> Array:
        """Write the rows of the result that a block of rows gives."""
        written: Array = np.empty((self.m, self.width), dtype=self.ledger.dtype) if out is None else out
        rows = self._seen(block)

        def task(part: slice) -> None:
            written[where][part, : self.columns] = apply(rows[part])
            if self.beside is not None:
                written[where][part, self.columns :] = rows[part] @ self.beside

        run(task, even_ranges(len(rows), _PARTS if rows.size > _SMALL else 1), get_config().threads)
        return written

    def _sum(self, omega: Scatter, total: Array | None, where: slice, block: Array) -> Array:
        """Add what a block of columns gives, in double precision."""
        if total is None:
            double = np.complex128 if self.ledger.dtype.kind == "c" else np.float64
            total = np.zeros((self.m, self.width), dtype=double)
        own: Array = total
        columns, part_of_omega = self._seen(block), omega[where]

        def task(part: slice) -> None:
            own[part, : self.columns] += part_of_omega.times(columns[part])
            if self.beside is not None:
                own[part, self.columns :] += columns[part] @ self.beside[where]

        run(task, even_ranges(len(columns), _PARTS if columns.size > _SMALL else 1), get_config().threads)
        return own

    def sparse(self) -> Array | None:
        """Return the product with a sparse matrix, None where the dense Omega is as good."""
        op = self.ledger.base
        assert isinstance(op, Sparse)
        product: Callable[[LinearOperator], Any]
        if isinstance(self.sketch, SparseTestMatrix):
            omega = sparse_rows(self.sketch, self.n, self.columns, self.key, op.dtype)
            if self._narrow(omega):
                return None
            product = functools.partial(_sparse_adjoint if self.flipped else _sparse_direct, omega)
        elif isinstance(self.sketch, SupportsApply) and not self.flipped:
            stored = op.nnz / self.m
            apply = self.sketch.applier(self.n, self.columns, self.key, dtype=op.dtype, stored=stored)
            if apply is None:
                return None
            product = functools.partial(_sparse_transformed, apply, self.columns)
        else:
            return None

        def both(base: LinearOperator) -> Array:
            out: Array = product(base)
            if self.beside is None:
                return out
            return np.hstack([out, (base.rmatmat if self.flipped else base.matmat)(self.beside)])

        return self.ledger.apply(both, self.width, self.flipped)  # type: ignore[no-any-return]


def _sparse_direct(omega: Any, op: Any) -> Array:
    """Return A Omega, both in CSR, in parts of its rows."""
    out = np.empty((op.shape[0], omega.shape[1]), dtype=op.dtype)

    def task(rows: slice) -> None:
        out[rows] = (op.matrix[rows] @ omega).toarray()

    run(task, even_ranges(op.shape[0], _PARTS), get_config().threads)
    return out


def _sparse_adjoint(omega: Any, op: Any) -> Array:
    """Return the adjoint of A times Omega: the adjoint of Omega^H A, in parts of its rows."""
    across = omega.conj().T.tocsr()
    out = np.empty((op.shape[1], omega.shape[1]), dtype=op.dtype)

    def task(columns: slice) -> None:
        out[:, columns] = (across[columns] @ op.matrix).toarray().conj().T

    run(task, even_ranges(across.shape[0], _PARTS), get_config().threads)
    return out


def _sparse_transformed(apply: Callable[[Array], Any], columns: int, op: Any) -> Array:
    """Return A Omega from rows of A that are made dense, a megabyte at a time."""
    m, n = op.shape
    out = np.empty((m, columns), dtype=op.dtype)

    def task(rows: slice) -> None:
        out[rows] = apply(op.matrix[rows].toarray())

    run(task, even_ranges(m, max(1, -(-m * n * op.dtype.itemsize // _DENSE_BYTES))), get_config().threads)
    return out
