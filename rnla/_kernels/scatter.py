"""Products of dense rows with a sparse matrix of few entries in a row: compiled, or by SciPy.

Rows of A times S are the transpose of S^T times columns; the kernel adds each row of the dense operand, times the
entries of one row of S, to as many rows of the result.  It takes a panel of columns at a time, so that the sums stay
near the core.  A complex operand is a real one with real and imaginary parts in turn, as S is real.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._kernels import compiled
from rnla._kernels.threads import run
from rnla._kernels.tiled_products import has_contiguous_rows

__all__ = ["Scatter"]

Array = np.ndarray[Any, Any]

FAMILY = "scatter"
"""The name of the kernels."""
_TURNED = 64  # columns that are turned at a time
_SUMS_BYTES = 1 << 19  # of the sums of a panel, so far as its rows do not become too short
_SHORTEST, _LONGEST = 256, 1024  # bytes of a row of a panel
_ONCE = 2048  # the same where a row of S has one entry: then rows of A that are read in long pieces matter more


class Scatter:
    """A sparse S in CSR that multiplies dense arrays.

    Parameters
    ----------
    omega : scipy.sparse.csr_array, shape (n, d)
        In the dtype of the products; only one with real entries goes by the kernels.
    """

    def __init__(self, omega: Any) -> None:
        self._omega = omega
        self._parts: tuple[Array, Array, Array] | None = None
        data = omega.data
        self._kernels = compiled.family(FAMILY, data.dtype) if data.dtype.char in "fdFD" else None
        if self._kernels is not None and (data.dtype.kind != "c" or not data.imag.any()):
            index, pointers = omega.indices.astype(np.int64, copy=False), omega.indptr.astype(np.int64, copy=False)
            self._parts = np.ascontiguousarray(data.real), index, pointers

    def __getitem__(self, rows: slice) -> Scatter:
        return Scatter(self._omega[rows])

    def times(self, rows: Array) -> Array:
        """Return a few dense rows (p, n) times S."""
        turned = rows.T
        if self._parts is None or rows.dtype != self._omega.dtype or not rows.flags.aligned:
            return np.asarray((self._omega.T @ turned).T)
        if has_contiguous_rows(turned):
            return self.adjoint_times(turned, 1).T
        if not has_contiguous_rows(rows):
            rows = np.ascontiguousarray(rows)
        out = np.empty((len(rows), self._omega.shape[1]), dtype=rows.dtype)
        if rows.dtype.kind == "c":  # real and imaginary parts do not lie in pieces: two products
            out.real, out.imag = self._turned(np.ascontiguousarray(rows.real)), self._turned(rows.imag.copy())
        else:
            out[:] = self._turned(rows)
        return out

    def _turned(self, rows: Array) -> Array:
        assert self._parts is not None
        values, index, pointers = self._parts
        kernels: Any = self._kernels
        p, n = rows.shape
        size, like, step = rows.itemsize, rows.dtype.type(0), rows.strides[0] // rows.itemsize if len(rows) > 1 else n
        most = 4 * kernels.VECTOR_BYTES // size
        out = np.empty((p, self._omega.shape[1]), dtype=rows.dtype)
        buffer = np.empty(most * _TURNED, dtype=rows.dtype)
        for start in range(0, p, most):
            width = min(most, p - start)
            sums = np.zeros((self._omega.shape[1], width), dtype=rows.dtype)
            kernels.turned(
                like, size, pointers.ctypes.data, index.ctypes.data, values.ctypes.data, rows[start:].ctypes.data, step,
                n, sums.ctypes.data, width, width, buffer.ctypes.data, _TURNED,
            )  # fmt: skip
            out[start : start + width] = sums.T
        return out

    def adjoint_times(self, a: Array, threads: int) -> Array:
        """Return S^H A for A (n, k)."""
        native = self._parts is not None and a.dtype == self._omega.dtype and a.flags.aligned
        if not native or not has_contiguous_rows(a):
            return np.asarray(self._omega.conj().T @ a)
        assert self._parts is not None
        values, index, pointers = self._parts
        kernels: Any = self._kernels
        out = np.empty((self._omega.shape[1], a.shape[1]), dtype=a.dtype)
        real, target = a.view(a.real.dtype), out.view(a.real.dtype)
        size, like = real.itemsize, real.dtype.type(0)
        step = real.strides[0] // size if len(real) > 1 else real.shape[1]
        room = _SUMS_BYTES // max(1, len(out))
        most = max(_SHORTEST, min(_LONGEST, room // _SHORTEST * _SHORTEST)) // size
        once = len(index) <= len(real)
        most = _ONCE // size if once else most

        def task(start: int) -> None:
            width = min(most, real.shape[1] - start)
            here = target[:, start : start + width]
            # Sums that are seldom touched are as well kept where they belong.
            sums = here if once else np.empty((len(out), width), dtype=real.dtype)
            sums[...] = 0
            kernels.added(
                like, size, pointers.ctypes.data, index.ctypes.data, values.ctypes.data,
                real.ctypes.data + start * size, step, len(real), sums.ctypes.data,
                real.shape[1] if once else width, width,
            )  # fmt: skip
            if not once:
                here[...] = sums

        run(task, range(0, real.shape[1], most), threads)
        return out
