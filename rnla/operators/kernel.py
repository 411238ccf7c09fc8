"""Kernel matrices: entries K(x_i, x_j) made from points when they are asked for, never all at once.

Problem: a positive semidefinite matrix A with A[i, j] = K(x_i, x_j) for N points has N^2 entries, and
most algorithms need few of them.  This operator gives the diagonal, columns and blocks of entries, and
products in blocks of rows.

Squared distances in at most 16 dimensions are summed from differences and not from a matrix product: what
cancels in norm(x)^2 - 2 x.y + norm(y)^2 may be far above the rounding of the kernel and makes it indefinite.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rnla._kernels.distances import squared_distances
from rnla._kernels.threads import even_ranges, run
from rnla._xp.linalg import cast, zeros
from rnla._xp.namespace import all_finite, device_of, is_array, is_numpy, namespace_of
from rnla.checks import check_positive
from rnla.config import get_config
from rnla.errors import DTypeError, InputError, NonFiniteError, OperatorError
from rnla.operators.coerce import compute_dtype

__all__ = ["GaussianKernel", "KernelOperator", "LaplaceKernel", "MaternKernel", "kernel_operator"]

_BLOCK = 1 << 20
"""Entries made at a time; of a kernel of ours on the host, which works in place, so many stay in the cache:"""
_CACHED = 1 << 15
_BY_DIFFERENCES = 16
"""Dimensions up to which distances are summed from differences."""


def _squared_distances(x: Any, y: Any) -> Any:
    xp = namespace_of(x)
    if int(x.shape[1]) <= _BY_DIFFERENCES:
        if is_numpy(xp):
            return squared_distances(x, y)
        total = zeros((int(x.shape[0]), int(y.shape[0])), x)
        for axis in range(int(x.shape[1])):
            gap = x[:, axis][:, None] - y[:, axis][None, :]
            total = total + gap * gap
        return total
    squares = xp.sum(x * x, axis=1)[:, None] + xp.sum(y * y, axis=1)[None, :]
    gaps = squares - 2 * (x @ y.mT)
    return xp.where(gaps > 0, gaps, xp.zeros_like(gaps))


@dataclasses.dataclass(frozen=True, slots=True)
class GaussianKernel:
    """K(x, y) = exp(-norm(x - y)^2 / (2 bandwidth^2)).

    Parameters
    ----------
    bandwidth : float
        Positive.

    Examples
    --------
    >>> import numpy as np
    >>> GaussianKernel(1.0)(np.zeros((1, 2)), np.ones((1, 2))).round(4).tolist()
    [[0.3679]]
    """

    bandwidth: float

    def __post_init__(self) -> None:
        check_positive("bandwidth", self.bandwidth)

    def __call__(self, x: Any, y: Any) -> Any:
        """Return K for every pair of a row of x and a row of y."""
        gaps = _squared_distances(x, y)
        gaps *= -0.5 / self.bandwidth**2
        return np.exp(gaps, out=gaps) if isinstance(gaps, np.ndarray) else namespace_of(x).exp(gaps)

    def diagonal(self, x: Any) -> Any:
        """Return K(x, x) for every point."""
        return namespace_of(x).ones_like(x[:, 0])


@dataclasses.dataclass(frozen=True, slots=True)
class LaplaceKernel:
    """K(x, y) = exp(-norm_1(x - y) / bandwidth), the sum of absolute differences in the exponent.

    Parameters
    ----------
    bandwidth : float
        Positive.

    Examples
    --------
    >>> import numpy as np
    >>> LaplaceKernel(2.0)(np.zeros((1, 2)), np.ones((1, 2))).round(4).tolist()
    [[0.3679]]
    """

    bandwidth: float

    def __post_init__(self) -> None:
        check_positive("bandwidth", self.bandwidth)

    def __call__(self, x: Any, y: Any) -> Any:
        """Return K for every pair of a row of x and a row of y."""
        xp = namespace_of(x)
        total = zeros((int(x.shape[0]), int(y.shape[0])), x)
        for axis in range(int(x.shape[1])):
            total = total + xp.abs(x[:, axis][:, None] - y[:, axis][None, :])
        return xp.exp(total * (-1.0 / self.bandwidth))

    def diagonal(self, x: Any) -> Any:
        """Return K(x, x) for every point."""
        return namespace_of(x).ones_like(x[:, 0])


@dataclasses.dataclass(frozen=True, slots=True)
class MaternKernel:
    """The kernel of Matern with t = sqrt(2 smoothness) norm(x - y) / bandwidth.

    exp(-t) for smoothness 0.5, (1 + t) exp(-t) for 1.5, and (1 + t + t^2 / 3) exp(-t) for 2.5.

    Parameters
    ----------
    bandwidth : float
        Positive.
    smoothness : {0.5, 1.5, 2.5}

    Examples
    --------
    >>> import numpy as np
    >>> MaternKernel(1.0, 0.5)(np.zeros((1, 1)), np.ones((1, 1))).round(4).tolist()
    [[0.3679]]
    """

    bandwidth: float
    smoothness: float = 1.5

    def __post_init__(self) -> None:
        check_positive("bandwidth", self.bandwidth)
        if self.smoothness not in {0.5, 1.5, 2.5}:
            raise InputError(f"smoothness={self.smoothness!r} is not one of 0.5, 1.5, 2.5")

    def __call__(self, x: Any, y: Any) -> Any:
        """Return K for every pair of a row of x and a row of y."""
        xp = namespace_of(x)
        t = xp.sqrt(_squared_distances(x, y)) * (math.sqrt(2 * self.smoothness) / self.bandwidth)
        factor: Any = 1.0
        if self.smoothness == 1.5:
            factor = 1.0 + t
        elif self.smoothness == 2.5:
            factor = 1.0 + t + t * t / 3.0
        return factor * xp.exp(-t)

    def diagonal(self, x: Any) -> Any:
        """Return K(x, x) for every point."""
        return namespace_of(x).ones_like(x[:, 0])


_OURS = (GaussianKernel, LaplaceKernel, MaternKernel)  # they may run on several threads at once


class KernelOperator:
    """The matrix of a kernel on points, whose entries are made when they are asked for.

    Made by `kernel_operator`.
    """

    __array_ufunc__ = None  # a NumPy array on the left is refused instead of looping over its entries

    hermitian = True
    psd = True

    def __init__(self, function: Callable[[Any, Any], Any], points: Any, diagonal: Any = None) -> None:
        self._function, self._points, self._diagonal = function, points, diagonal
        self.xp = namespace_of(points)
        self.device = device_of(points)
        count = int(points.shape[0])
        self.shape: tuple[int, int] = (count, count)
        first = self._made(points[:1, :], points[:1, :])
        self.dtype = compute_dtype(first.dtype, "the kernel")

    @property
    def points(self) -> Any:
        """The points, one in each row."""
        return self._points

    def diagonal(self) -> Any:
        """Return K(x_i, x_i) for every point."""
        given = self._diagonal
        if given is not None:
            values = given(self._points) if callable(given) else given
            if not is_array(values):
                values = self.xp.full((self.shape[0],), values, dtype=self._dtype(), device=self.device)
            if tuple(values.shape) != (self.shape[0],):
                raise OperatorError(f"diagonal must give shape ({self.shape[0]},), got {tuple(values.shape)}")
            return cast(values, self._dtype())
        # Small squares around the diagonal: the function only knows pairs.
        parts = even_ranges(self.shape[0], -(-self.shape[0] // 16))
        squares = [self._made(self._points[part, :], self._points[part, :]) for part in parts]
        pieces = [self.xp.linalg.diagonal(square) for square in squares]
        return cast(self.xp.concat(pieces, axis=0), self._dtype())

    def columns(self, j: Any) -> Any:
        """Return columns as a dense array."""
        chosen = self._take(j)
        height = max(1, (_CACHED if self._ours else _BLOCK) // max(1, int(chosen.shape[0])))
        return self._by_rows(height, int(chosen.shape[0]), lambda rows: self._made(self._points[rows, :], chosen))

    def rows(self, i: Any) -> Any:
        """Return rows as a dense array."""
        columns = self.columns(i).mT
        return self.xp.conj(columns) if self.dtype.kind == "c" else columns

    def entries(self, i: Any, j: Any) -> Any:
        """Return the block of the rows i and the columns j."""
        return cast(self._made(self._take(i), self._take(j)), self._dtype())

    def matmat(self, x: Any) -> Any:
        """Return A X, with a block of rows of A at a time."""
        x = cast(x, self._dtype())
        height = max(1, _BLOCK // self.shape[0])
        return self._by_rows(
            height, int(x.shape[1]), lambda rows: cast(self._made(self._points[rows, :], self._points), x.dtype) @ x
        )

    rmatmat = matmat  # it is its own adjoint

    def __matmul__(self, x: Any) -> Any:
        return self.matmat(self.xp.reshape(x, (-1, 1)))[:, 0] if x.ndim == 1 else self.matmat(x)

    def __repr__(self) -> str:
        name = getattr(self._function, "__name__", repr(self._function))
        return f"<{self.shape[0]} x {self.shape[1]} kernel matrix of {name}, {self.dtype}>"

    def _dtype(self) -> Any:
        return getattr(self.xp, self.dtype.name)

    def _take(self, index: Any) -> Any:
        index = np.ascontiguousarray(index, dtype=np.int64)
        if is_numpy(self.xp):
            return self._points[index]
        return self.xp.take(self._points, self.xp.asarray(index, device=self.device), axis=0)

    def _made(self, x: Any, y: Any) -> Any:
        block = self._function(x, y)
        shape = (int(x.shape[0]), int(y.shape[0]))
        if not is_array(block) or tuple(block.shape) != shape or namespace_of(block) is not self.xp:
            found = f"shape {tuple(block.shape)}" if hasattr(block, "shape") else f"a {type(block).__name__}"
            raise OperatorError(
                f"the kernel must return an array of shape {shape} for {shape[0]} and {shape[1]} points, in their "
                f"library; it returned {found}"
            )
        return block

    @property
    def _ours(self) -> bool:
        return is_numpy(self.xp) and isinstance(self._function, _OURS)

    def _by_rows(self, height: int, width: int, task: Callable[[slice], Any]) -> Any:
        parts = even_ranges(self.shape[0], -(-self.shape[0] // height))
        if not self._ours:
            return cast(self.xp.concat([task(part) for part in parts], axis=0), self._dtype())
        out = np.empty((self.shape[0], width), dtype=self.dtype)

        def fill(part: slice) -> None:
            out[part] = task(part)

        run(fill, parts, get_config().threads)
        return out


def kernel_operator(function: Callable[[Any, Any], Any], points: Any, *, diagonal: Any = None) -> KernelOperator:
    """Return the matrix with entries K(x_i, x_j) as an operator that never forms it.

    Parameters
    ----------
    function : callable
        ``function(X, Y)`` returns the (a, b) array of K(x, y) for X (a, d) and Y (b, d); a positive semidefinite
        kernel such as ``GaussianKernel(2.0)``.
    points : array, shape (N, d) or (N,)
        In any library of the array standard; the entries are made there.
    diagonal : callable, array or float, optional
        K(x, x) for every point, for a function of the points or a number if all are equal.  Without it, it is
        asked of the function (``function.diagonal``) or found from small blocks of entries.

    Returns
    -------
    KernelOperator
        With `shape`, `dtype`, `diagonal`, `columns`, `rows`, `entries`, `matmat` and `@`.

    Raises
    ------
    InputError, DTypeError
        Points that are not a list of vectors, or a function that cannot be called.
    NonFiniteError
        Points with NaN or infinity.
    OperatorError
        A function that returns another shape.

    Notes
    -----
    Cost: N k entries for k columns, N^2 for a product; memory for a block of a million entries.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = rnla.kernel_operator(rnla.GaussianKernel(0.5), np.linspace(0, 1, 1000))
    >>> result = rnla.cholesky(A, tol=1e-6, rng=0)
    >>> result.rank < 15, result.error.value <= 1e-6
    (True, True)
    """
    if not callable(function):
        raise DTypeError(f"function must be callable with two arrays of points, got a {type(function).__name__}")
    points = points if is_array(points) else np.asarray(points)
    if points.ndim == 1:
        points = points[:, None]
    if points.ndim != 2 or 0 in points.shape:
        raise InputError(f"points must be an array (N, d) of at least one point, got shape {tuple(points.shape)}")
    dtype = compute_dtype(points.dtype, "the array of points")
    points = cast(points, getattr(namespace_of(points), dtype.name))
    if not all_finite(points):
        raise NonFiniteError("the points hold NaN or infinity; remove such points first")
    if isinstance(function, _OURS) and int(points.shape[1]) > _BY_DIFFERENCES:
        points = points - namespace_of(points).mean(points, axis=0, keepdims=True)  # less cancels near the origin
    return KernelOperator(function, points, getattr(function, "diagonal", None) if diagonal is None else diagonal)
