"""S of robust PCA, made from D and L when it is asked for; and L by rows and columns of its own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, cast, eps_of
from rnla._xp.namespace import from_host, namespace_of, to_host
from rnla.errors import InputError, NonFiniteError
from rnla.iterate import tick
from rnla.operators.lowrank import FactoredOperator
from rnla.results import CURResult
from rnla.robust.points import read_points
from rnla.robust.reading import Reader
from rnla.robust.scaling import unscaled
from rnla.robust.thresholds import split

__all__ = ["Outliers", "skeleton"]

Array = np.ndarray[Any, Any]
_BLOCK = 1 << 22  # entries of a block of rows


class Outliers:
    """The matrix S that is D - L where this is an outlier, and zero elsewhere; never formed whole.

    Parameters
    ----------
    D : matrix
        As the caller holds it; its entries are read when they are needed, every time anew.
    model : FactoredOperator
        L.
    threshold : float
    kind : {"entries", "columns"}
    mask : array of bool or None
        Where D was observed; S is zero elsewhere.
    shape : tuple of int
        That D must have.

    Attributes
    ----------
    shape, dtype
        Of S.
    """

    __array_ufunc__ = None

    def __init__(
        self, D: Any, model: FactoredOperator, threshold: float, kind: str, mask: Any, shape: tuple[int, int]
    ) -> None:
        self._reader = Reader(D)
        if self._reader.shape != tuple(shape):
            raise InputError(f"D has shape {self._reader.shape}, and the result is of a matrix of shape {tuple(shape)}")
        self.shape, self.dtype = tuple(shape), self._reader.dtype
        self.model, self.threshold, self.kind = model, threshold, kind
        self._mask = mask
        self._flags: Any = None

    def rows(self, i: Any) -> Any:
        """Return rows of S as a dense array."""
        index = _index(i, self.shape[0])
        take = self._reader.take
        block = self._observed(self._reader.rows, index, 0)
        left = take(self.model.left, index, 0) * cast(self.model.core, self.model.left.dtype)[None, :]
        seen = None if self._mask is None else take(self._mask, index, 0)
        return self._split(block, left @ self.model.right, seen, self._columns_flagged())

    def columns(self, j: Any) -> Any:
        """Return columns of S as a dense array."""
        index = _index(j, self.shape[1])
        take = self._reader.take
        block = self._observed(self._reader.columns, index, 1)
        left = self.model.left * cast(self.model.core, self.model.left.dtype)[None, :]
        seen = None if self._mask is None else take(self._mask, index, 1)
        return self._split(block, left @ take(self.model.right, index, 1), seen, None)

    def entries(self, i: Any, j: Any) -> Any:
        """Return S[i[k], j[k]] for each k; only these are read where D gives them (`rnla.robust.points`).

        Whether a whole column is an outlier is told by all of it, so that columns are read for the kind "columns".
        """
        rows, columns = _index(i, self.shape[0]), _index(j, self.shape[1])
        if len(rows) != len(columns):
            raise InputError(f"entries(i, j) takes as many rows as columns; got {len(rows)} and {len(columns)}")
        xp, device = self._reader.xp, self._reader.device
        if self.kind != "entries":
            distinct, place = np.unique(columns, return_inverse=True)
            return from_host(to_host(self.columns(distinct))[rows, place], xp, device)
        left = to_host(self._reader.take(self.model.left, rows, 0)) * to_host(self.model.core)[None, :]
        low = (left * to_host(self._reader.take(self.model.right, columns, 1)).T).sum(axis=1)
        gap = read_points(self._reader, rows, columns) - low
        beyond = np.abs(gap) >= self.threshold
        if self._mask is not None:
            beyond &= to_host(self._mask)[rows, columns]
        return from_host(np.where(beyond, gap, 0).astype(self.dtype, copy=False), xp, device)

    def sparse(self, layout: Any = "csr") -> Any:
        """Return S as a SciPy sparse array (csr, csc, coo, ...), read in blocks of rows."""
        import scipy.sparse

        m, n = self.shape
        height, pieces = max(1, _BLOCK // max(n, 1)), []
        for start in range(0, m, height):
            block = to_host(self.rows(np.arange(start, min(start + height, m))))
            pieces.append(scipy.sparse.csr_array(block))
            tick(min(start + height, m) / m)
        if not pieces:
            return scipy.sparse.csr_array((m, n), dtype=self.dtype).asformat(layout)
        return scipy.sparse.vstack(pieces, format=layout)

    def matmat(self, x: Any) -> Any:
        """Return S X, in blocks of rows."""
        m, n = self.shape
        height = max(1, _BLOCK // max(n, 1))
        blocks = [self.rows(np.arange(start, min(start + height, m))) @ x for start in range(0, m, height)]
        return self._reader.xp.concat(blocks, axis=0)

    def rmatmat(self, y: Any) -> Any:
        """Return the adjoint of S times Y, in blocks of rows."""
        m, n = self.shape
        height, total = max(1, _BLOCK // max(n, 1)), None
        for start in range(0, m, height):
            part = slice(start, min(start + height, m))
            term = adjoint(self.rows(np.arange(part.start, part.stop))) @ y[part, :]
            total = term if total is None else total + term
        return total

    def __matmul__(self, x: Any) -> Any:
        return self.matmat(self._reader.xp.reshape(x, (-1, 1)))[:, 0] if x.ndim == 1 else self.matmat(x)

    def to_array(self) -> Any:
        """Return S as a dense array."""
        return self.rows(np.arange(self.shape[0]))

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("S is not formed behind your back; call .sparse() or .to_array()")

    def __repr__(self) -> str:
        m, n = self.shape
        return f"<{m} x {n} outliers of {self.kind} from {self.threshold:.3g} on, {self.dtype}>"

    def _observed(self, read: Any, index: Array, axis: int) -> Any:
        if self._mask is None:
            return read(index)
        return self._reader.masked(self._mask, index, axis)[0]

    def _columns_flagged(self) -> Any:
        """Return which columns are outliers, each judged by all of its entries."""
        if self.kind == "entries":
            return None
        if self._flags is None:
            n, step, parts = self.shape[1], max(1, _BLOCK // max(self.shape[0], 1)), []
            for start in range(0, n, step):
                block = self.columns(np.arange(start, min(start + step, n)))
                parts.append(self._reader.xp.any(block != 0, axis=0))
            self._flags = self._reader.xp.concat(parts)
        return self._flags

    def _split(self, block: Any, model: Any, seen: Any, flags: Any) -> Any:
        xp = namespace_of(block)
        beyond, _ = split(block, model, self.threshold, self.kind, seen, flags)
        return xp.where(beyond, block - model, xp.zeros_like(model))


def skeleton(result: Any) -> CURResult:
    """Return L of a result as C U R, with C and R columns and rows of L."""
    exponent = math.frexp(float(to_host(result.s)[0]))[1] if result.rank else 0
    left, right = to_host(result.U) * np.ldexp(to_host(result.s), -exponent)[None, :], to_host(result.Vh)
    rows, columns = to_host(result.rows), to_host(result.columns)
    if not len(rows) or not len(columns):
        import scipy.linalg

        rank = result.rank
        rows = np.sort(scipy.linalg.qr(left.conj().T, mode="r", pivoting=True)[1][:rank])
        columns = np.sort(scipy.linalg.qr(right, mode="r", pivoting=True)[1][:rank])
    c, r = left @ right[:, columns], left[rows] @ right
    core = np.linalg.pinv(left[rows] @ right[:, columns], rcond=1e-5 if eps_of(c.dtype) > 1e-10 else 1e-12)
    # L has rank r, so the pseudo-inverse of its cross is cut to that.
    u, s, vh = np.linalg.svd(core, full_matrices=False)
    with np.errstate(over="ignore", under="ignore"):
        core = unscaled(1.0, -exponent) * ((u[:, : result.rank] * s[: result.rank]) @ vh[: result.rank])
        c, r = c * unscaled(1.0, exponent), r * unscaled(1.0, exponent)
    if not np.isfinite(core).all() or not np.isfinite(c).all():
        raise NonFiniteError(f"C U R of an L of about 2^{exponent} leaves the range of {c.dtype}; scale D")
    xp, device = namespace_of(result.U), getattr(result.U, "device", None)
    home = [from_host(np.ascontiguousarray(x), xp, device) for x in (c, core, r, columns, rows)]
    c, core, r, columns, rows = home
    return CURResult(c, core, r, columns, rows, result.error, result.report, result.status)


def _index(where: Any, below: int) -> Array:
    index = np.asarray(where).reshape(-1)
    index = np.flatnonzero(index) if index.dtype == bool else index.astype(np.int64)
    if len(index) and (int(index.min()) < 0 or int(index.max()) >= below):
        raise InputError(f"an index must lie in [0, {below}), got {int(index.min())} to {int(index.max())}")
    return index
