"""Products of a sparse matrix with a thin array, split in rows over the pool, and the transposition of one.

This is the front: it takes the compiled kernels where the call may use them, and else the plain twins below, which
are SciPy's and their specification.  The rows are cut where about equally many entries are stored between, by the
structure alone; every row of a product is summed by one task in the order of its entries, and the entries of a
transposed row stand in order, so no bit depends on the number of threads.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from rnla._kernels import compiled
from rnla._kernels.aligned import aligned_empty
from rnla._kernels.threads import run

__all__ = ["FAMILY", "SparseRows", "transposed"]

Array = np.ndarray[Any, Any]

FAMILY = "sparse"
"""The name of the kernels."""
_WORTH_A_TASK = 60_000  # stored entries
_PARTS = 64
_MOST = 30_000_000  # stored entries of a task: keeps it under a second, so that Ctrl-C is heard
_ROW = 4  # what a row costs beside its entries, in entries
_FEW = 3  # columns up to which the rows of X are too short for registers
_WORTH_A_KERNEL = 20_000  # multiply-adds; below, SciPy is done before the addresses are found
_WORTH_THREADS = 4_000_000  # multiply-adds; below, one thread is done before others have woken
_WORTH_COUNTING_TOGETHER = 500_000  # stored entries, the same for a transposition
_AHEAD = 48  # entries ahead of the one at work whose rows of X are fetched
_READ_OFTEN = 32  # times that a row of X is read from which on it pays to bring its rows together first
_COUNTS = 8  # tasks of a transposition, each with counts of its own
_AHEAD_WRITTEN = 32  # entries ahead of the one at work whose places in the transposed matrix are fetched


class SparseRows:
    """A matrix in CSR, ready for products with its rows.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array
        Its indices lie inside it: nothing here looks again.
    """

    __slots__ = ("_cuts", "_pointers", "_views", "matrix")

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix
        self._cuts: list[slice] | None = None
        self._pointers: Array | None = None
        self._views: list[Any] | None = None

    @property
    def cuts(self) -> list[slice]:
        """The rows of each task."""
        if self._cuts is None:
            self._cuts = _balanced(self.matrix)
        return self._cuts

    @property
    def views(self) -> list[Any]:
        """The rows of each task as matrices that share the memory of the whole one."""
        if self._views is None:
            self._views = [_row_view(self.matrix, rows) for rows in self.cuts]
        return self._views

    @property
    def pointers(self) -> Array:
        """Where each row begins, in int64."""
        if self._pointers is None:
            self._pointers = np.ascontiguousarray(self.matrix.indptr, dtype=np.int64)
        return self._pointers

    def multiply(self, x: Array, threads: int, *, conjugate: bool = False) -> Array:
        """Return A X, or the product with the complex conjugate of A, C-ordered.

        Parameters
        ----------
        x : array, shape (n, k)
            In the dtype of the matrix.
        threads : int
        conjugate : bool
        """
        kernels = self._kernels(x.shape[1])
        if kernels is not None:
            return self._compiled(kernels, x, threads, conjugate)
        turned = conjugate and self.matrix.dtype.kind == "c"
        x = np.ascontiguousarray(x.conj() if turned else x)
        out = np.empty((self.matrix.shape[0], x.shape[1]), dtype=self.matrix.dtype)

        def task(i: int) -> None:
            out[self.cuts[i]] = self.views[i] @ x

        if self.views:  # before the threads ask for them
            run(task, range(len(self.cuts)), threads)
        return np.conj(out, out=out) if turned else out

    def _kernels(self, k: int) -> Any | None:
        a = self.matrix
        if k <= _FEW or a.nnz * k < _WORTH_A_KERNEL or not _readable(a):
            return None
        return compiled.family(FAMILY, a.dtype)

    def _compiled(self, kernels: Any, x: Array, threads: int, conjugate: bool) -> Array:
        a, k = self.matrix, x.shape[1]
        x = _gathered(x, a.nnz)
        out = aligned_empty((a.shape[0], k), a.dtype)
        parts = (0, 0) if a.dtype.kind == "c" else (0,)
        item, size = a.dtype.itemsize, a.dtype.itemsize // len(parts)
        like = a.dtype.type(0).real
        turn = like - 1 if conjugate else like + 1
        # NumPy gives any stride to an axis of length 1.
        ldx = (x.strides[0] // item if x.shape[0] > 1 else k) * len(parts)
        pointers, columns, entries = self.pointers.ctypes.data, a.indices.ctypes.data, a.data.ctypes.data
        there, here, index, width = x.ctypes.data, out.ctypes.data, a.indices.dtype.type(0), k * len(parts)

        def task(rows: slice) -> None:
            kernels.multiply(
                like, index, size, pointers + 8 * rows.start, columns, entries, a.nnz, rows.stop - rows.start,
                there, ldx, width, here + rows.start * k * item, width, _AHEAD, turn, parts,
            )  # fmt: skip

        run(task, self.cuts, threads if a.nnz * k >= _WORTH_THREADS else 1)
        return out


def _readable(a: Any) -> bool:
    """Whether the kernels can read the three arrays where they lie."""
    arrays = (a.data, a.indices)
    return (
        all(each.flags.c_contiguous and each.flags.aligned and each.dtype.isnative for each in arrays)
        and a.dtype.char in "fdFD"
        and a.indices.dtype.kind == "i"
        and a.indices.itemsize in {4, 8}
    )


def _gathered(x: Array, entries: int) -> Array:
    """Return X as the kernels read it: rows in one piece, and close together where each is read often."""
    rows, k = x.shape
    in_one_piece = k == 1 or x.strides[1] == x.itemsize
    apart = rows > 1 and x.strides[0] != k * x.itemsize
    usable = in_one_piece and x.flags.aligned and (rows == 1 or x.strides[0] >= k * x.itemsize)
    if usable and not (apart and entries > _READ_OFTEN * rows):
        return x
    out = aligned_empty(x.shape, x.dtype)
    out[...] = x
    return out


def _balanced(matrix: Any) -> list[slice]:
    """Cut the rows in ranges of about equal work."""
    m, entries = matrix.shape[0], int(matrix.nnz)
    if not m:
        return []
    parts = max(min(_PARTS, entries // _WORTH_A_TASK), entries // _MOST, 1)
    if parts == 1 or m < parts:
        return [slice(0, m)]
    work = matrix.indptr + _ROW * np.arange(m + 1, dtype=np.int64)
    cuts = [0, *np.searchsorted(work, np.linspace(0, work[-1], parts + 1)[1:-1]).tolist(), m]
    return [slice(a, b) for a, b in itertools.pairwise(cuts) if b > a]


def _row_view(matrix: Any, rows: slice) -> Any:
    """Return rows of a CSR matrix that share its memory, but for the row pointers."""
    import scipy.sparse

    first, last = int(matrix.indptr[rows.start]), int(matrix.indptr[rows.stop])
    pointers = matrix.indptr[rows.start : rows.stop + 1] - matrix.indptr[rows.start]
    # By assignment: the constructor copies arrays that are slices of larger ones.
    view = scipy.sparse.csr_array((rows.stop - rows.start, matrix.shape[1]), dtype=matrix.dtype)
    view.data, view.indices, view.indptr = matrix.data[first:last], matrix.indices[first:last], pointers
    return view


def transposed(rows: SparseRows, threads: int) -> Any:
    """Return the transpose in canonical CSR, without conjugation, of a matrix in canonical CSR."""
    a = rows.matrix
    m, n = a.shape
    kernels = compiled.family(FAMILY, a.dtype)
    fits = a.nnz and max(m, n) <= np.iinfo(a.indices.dtype).max
    if kernels is None or not fits or not _readable(a):
        return a.T.tocsr()  # a copy of a view in CSC gives CSR of the transpose
    import scipy.sparse

    kind, threads = a.indices.dtype, threads if a.nnz >= _WORTH_COUNTING_TOGETHER else 1
    # The counts take a quarter of the memory of the copy's columns at most.
    cuts = _joined(rows.cuts, max(1, min(_COUNTS, int(a.nnz) // (4 * n))))
    spots = np.zeros((len(cuts) + 1, n), dtype=kind)
    index, columns = kind.type(0), a.indices.ctypes.data
    pointers = rows.pointers

    def count(i: int) -> None:
        first, stop = int(pointers[cuts[i].start]), int(pointers[cuts[i].stop])
        kernels.count(index, columns, first, stop, spots[i + 1].ctypes.data)

    run(count, range(len(cuts)), threads)
    # A task begins in a column where the columns before, and the tasks before it, end.
    for before, here in itertools.pairwise(spots):  # several times faster than cumsum along the first axis
        here += before
    indptr = np.zeros(n + 1, dtype=kind)
    np.cumsum(spots[-1], out=indptr[1:])
    spots += indptr[:-1]
    new = scipy.sparse.csr_array((n, m), dtype=a.dtype)
    indices, data = np.empty(a.nnz, dtype=kind), np.empty(a.nnz, dtype=a.dtype)
    parts = (0, 0) if a.dtype.kind == "c" else (0,)
    like = a.dtype.type(0).real

    def fill(i: int) -> None:
        kernels.fill(
            like, index, pointers.ctypes.data, columns, a.data.ctypes.data, cuts[i].start, cuts[i].stop,
            spots[i].ctypes.data, indices.ctypes.data, data.ctypes.data, _AHEAD_WRITTEN, parts,
        )  # fmt: skip

    run(fill, range(len(cuts)), threads)
    new.data, new.indices, new.indptr = data, indices, indptr
    new.has_canonical_format = True
    return new


def _joined(cuts: list[slice], parts: int) -> list[slice]:
    """Return neighbouring ranges joined to at most so many."""
    ends = [len(cuts) * (i + 1) // parts for i in range(parts)]
    starts = [0, *ends[:-1]]
    return [slice(cuts[a].start, cuts[b - 1].stop) for a, b in zip(starts, ends, strict=True) if b > a]
