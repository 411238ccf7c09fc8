"""SciPy sparse matrices and arrays as operators; never densified.

The matrix is held in canonical CSR.  The product with the adjoint reads a transposed copy in CSR,
made when it is first asked for if the memory budget has room for it beside the thin arrays: to gather
by it is so much faster than to scatter that making the copy costs less than the first product saves,
from about sixteen columns on.  Without room it scatters.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._kernels import sparse_products
from rnla._kernels.sparse_products import SparseRows, transposed
from rnla.config import get_config
from rnla.errors import IntegrityError, NonFiniteError
from rnla.operators.protocols import Magnitude
from rnla.operators.scan import BlockScan

__all__ = ["Sparse", "check_structure"]

_SCAN = 1 << 20  # entries looked at together


def check_structure(matrix: Any) -> None:
    """Raise `IntegrityError` unless the indices of a sparse matrix lie inside it.

    SciPy's products read and write foreign memory on indices out of range, so this comes before any.
    """
    m, n = matrix.shape
    if matrix.format in {"csr", "csc", "bsr"}:
        major, minor = (m, n) if matrix.format != "csc" else (n, m)
        if matrix.format == "bsr":
            rows, columns = matrix.blocksize
            major, minor = major // rows, minor // columns
        indptr, indices = matrix.indptr, matrix.indices
        good = len(indptr) == major + 1 and indptr[0] == 0 and bool(np.all(np.diff(indptr) >= 0))
        good = good and len(indices) >= indptr[-1] and len(matrix.data) >= indptr[-1]
        if good and indptr[-1]:
            used = indices[: indptr[-1]]
            good = int(used.min()) >= 0 and int(used.max()) < minor
    elif matrix.format == "coo":
        row, column = matrix.row, matrix.col
        good = len(row) == len(column) == len(matrix.data)
        if good and len(row):
            good = int(row.min()) >= 0 and int(row.max()) < m and int(column.min()) >= 0 and int(column.max()) < n
    else:
        return
    if not good:
        raise IntegrityError(
            f"the {matrix.format} matrix is damaged: an index lies outside its {m} x {n} shape, or indptr is not "
            "ascending; build it again, or find the fault with .check_format(full_check=True)"
        )


class Sparse:
    """A SciPy sparse matrix of any format and kind.

    Parameters
    ----------
    matrix : scipy.sparse array or matrix, shape (m, n)
        Not changed; copied only where it is not canonical CSR in the compute dtype already.
    dtype : numpy.dtype
        The compute dtype.

    Attributes
    ----------
    copies : list of str
        Copies as large as the matrix that were made.
    room : int or None
        Bytes that a transposed copy may take, as the driver's plan leaves them; None: half of the budget.
    """

    __slots__ = ("_adjoint", "_csr", "_magnitude", "_rows", "copies", "device", "dtype", "room", "shape", "xp")

    kernel_families = (sparse_products.FAMILY,)
    """Compiled kernels that its products gain from, beside those of all dense work."""

    def __init__(self, matrix: Any, dtype: np.dtype[Any]) -> None:
        import scipy.sparse

        check_structure(matrix)
        self.copies: list[str] = []
        self.room: int | None = None
        csr = scipy.sparse.csr_array(matrix)
        if csr.dtype != dtype:
            csr = csr.astype(dtype)
        if not csr.has_canonical_format:
            shared = matrix.format == "csr" and np.shares_memory(csr.data, matrix.data)
            csr = csr.copy() if shared else csr
            csr.sum_duplicates()
        if matrix.format != "csr" or not np.shares_memory(csr.data, matrix.data):
            self.copies.append("canonical CSR")
        self._csr = csr
        self._rows = SparseRows(csr)
        self._adjoint: SparseRows | None = None
        self._magnitude: Magnitude | None = None
        self.shape: tuple[int, int] = (int(csr.shape[0]), int(csr.shape[1]))
        self.dtype = dtype
        self.xp = np
        self.device = None

    @property
    def matrix(self) -> Any:
        """The matrix in canonical CSR; not to be changed."""
        return self._csr

    @property
    def nnz(self) -> int:
        """Stored entries."""
        return int(self._csr.nnz)

    @property
    def nbytes(self) -> int:
        """Bytes of the CSR form."""
        return int(self._csr.data.nbytes + self._csr.indices.nbytes + self._csr.indptr.nbytes)

    def matmat(self, x: Any) -> Any:
        """Return A X."""
        return self._rows.multiply(np.asarray(x, dtype=self.dtype), get_config().threads)

    def rmatmat(self, y: Any) -> Any:
        """Return the adjoint of A times Y."""
        y, config = np.asarray(y, dtype=self.dtype), get_config()
        if self._adjoint is None:
            if self.nbytes > (config.budget() // 2 if self.room is None else self.room):
                turned = np.ascontiguousarray(y.conj() if self.dtype.kind == "c" else y)
                out = np.asarray(self._csr.T @ turned)
                return out.conj() if self.dtype.kind == "c" else out
            self._adjoint = SparseRows(transposed(self._rows, config.threads))
            self.copies.append("transposed CSR")
        return self._adjoint.multiply(y, config.threads, conjugate=True)

    def rows(self, i: np.ndarray[Any, Any]) -> Any:
        """Return rows as a dense array."""
        return self._csr[i, :].toarray()

    def columns(self, j: np.ndarray[Any, Any]) -> Any:
        """Return columns as a dense array; the stored entries are read through."""
        return self._csr[:, j].toarray()

    def diagonal(self) -> Any:
        """Return the diagonal."""
        return self._csr.diagonal()

    def measure(self) -> Magnitude:
        """Read the stored entries once for the norm and for entries that are not finite; remembered."""
        if self._magnitude is None:
            scan = BlockScan(self.dtype)
            data = self._csr.data
            try:
                for start in range(0, len(data), _SCAN):
                    scan.see(start, data[start : start + _SCAN].reshape(1, -1))
            except NonFiniteError:
                first = int(np.flatnonzero(~np.isfinite(data))[0])
                row = int(np.searchsorted(self._csr.indptr, first, side="right")) - 1
                raise NonFiniteError(
                    f"the sparse matrix stores NaN or infinity, first in row {row}, column "
                    f"{int(self._csr.indices[first])}; remove or impute such entries first"
                ) from None
            self._magnitude = scan.magnitude()
        return self._magnitude
