"""Dense routines for small and panel-sized arrays of any library, behind one finiteness gate.

LAPACK may never return from an array that holds an infinity (NumPy 2.4's SVD does not), so nothing
reaches a factorization here unchecked.  Functions work in the array standard; what a library lacks
goes to the host on purpose.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._xp.namespace import all_finite, is_concrete, is_numpy, namespace_of, to_host
from rnla.errors import NonFiniteError

__all__ = [
    "adjoint",
    "cast",
    "cholesky",
    "column_norms",
    "eigh",
    "eigvalsh",
    "eps_of",
    "frobenius",
    "host_values",
    "inverse_of_triangle",
    "is_complex",
    "max_abs",
    "qr",
    "root_and_inverse",
    "svd",
    "zeros",
]


def is_complex(dtype: Any) -> bool:
    """Whether a dtype of any library is complex."""
    if isinstance(dtype, np.dtype):  # text is made slowly
        return dtype.kind == "c"
    return "complex" in str(dtype)


_UNCUT = 32  # columns of a triangle that LAPACK inverts as fast as any
_SINGLE, _DOUBLE = float(np.finfo(np.float32).eps), float(np.finfo(np.float64).eps)


def eps_of(dtype: Any) -> float:
    """Return the unit roundoff spacing (machine epsilon) of a floating dtype of any library."""
    if isinstance(dtype, np.dtype):
        return _SINGLE if dtype.char in "fF" else _DOUBLE
    name = str(dtype)
    return _SINGLE if "float32" in name or "complex64" in name else _DOUBLE


def cast(x: Any, dtype: Any) -> Any:
    """Return an array in another dtype of its library, itself where the dtype is the same."""
    if x.dtype == dtype:
        return x
    if isinstance(x, np.ndarray):
        return x.astype(dtype)
    return namespace_of(x).astype(x, dtype)


def zeros(shape: tuple[int, ...], like: Any, dtype: Any = None) -> Any:
    """Return zeros in the library and on the device of another array."""
    xp = namespace_of(like)
    dtype = like.dtype if dtype is None else dtype
    if is_numpy(xp):
        return np.zeros(shape, dtype=dtype)
    import array_api_compat

    return xp.zeros(shape, dtype=dtype, device=array_api_compat.device(like))


def adjoint(x: Any) -> Any:
    """Return the conjugate transpose."""
    return namespace_of(x).conj(x.mT) if is_complex(x.dtype) else x.mT


def max_abs(x: Any) -> float:
    """Return the largest modulus, 0 for an empty array."""
    if math.prod(x.shape) == 0 or not is_concrete(x):
        return 0.0
    xp = namespace_of(x)
    return float(xp.max(xp.abs(x)))


def _power_of_two(x: float) -> float:
    """Return the power of two nearest below x, within the normal range of single precision's square."""
    return 2.0 ** max(-1000, min(1000, math.frexp(x)[1] - 1)) if 0 < x < math.inf else 1.0


def frobenius(x: Any) -> float:
    """Return the Frobenius norm, summed in float64, without overflow or underflow of the squares.

    The array must be small or a panel: the scaled copy is as large as it is.
    """
    if math.prod(x.shape) == 0 or not is_concrete(x):
        return 0.0
    xp = namespace_of(x)
    if is_numpy(xp) and x.ndim == 2:
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            square = float(_row_squares(x).sum(dtype=np.float64))
        low, high = (1e-30, 1e30) if eps_of(x.dtype) > 1e-10 else (1e-280, 1e280)
        if low < square < high:
            return math.sqrt(square)
    scale = _power_of_two(max_abs(x))
    y = x / scale if abs(math.log2(scale)) < 120 or eps_of(x.dtype) < 1e-10 else cast(x, xp.float64) / scale
    modulus = xp.abs(y)
    total = xp.sum(modulus * modulus, dtype=xp.float64)
    return math.sqrt(float(total)) * scale


def _row_squares(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the squared norms of the rows, or of the columns where these lie contiguous."""
    lines = x if abs(x.strides[1]) <= abs(x.strides[0]) else x.T
    squares: np.ndarray[Any, Any] = np.vecdot(lines, lines).real
    return squares


def column_norms(x: Any) -> Any:
    """Return the Euclidean norms of the columns in float64, safe against overflow and underflow."""
    xp = namespace_of(x)
    if is_numpy(xp) and x.size and x.dtype.char in "fdFD":
        wide = np.complex128 if x.dtype.kind == "c" else np.float64
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            squares = np.einsum("ij,ij->j", x.conj(), x, dtype=wide).real
        if np.all((squares > 1e-280) & (squares < 1e280)):
            return np.sqrt(squares)
    scale = _power_of_two(max_abs(x))
    modulus = xp.abs(x / scale)
    return xp.sqrt(xp.sum(modulus * modulus, axis=0, dtype=xp.float64)) * scale


def _gate(x: Any, routine: str) -> None:
    if not all_finite(x):
        raise NonFiniteError(
            f"a {tuple(x.shape)} array with NaN or infinity was about to enter {routine}; "
            "either the data hold one or a product overflowed"
        )


def qr(x: Any) -> tuple[Any, Any]:
    """Return the reduced QR factorization by Householder reflections."""
    _gate(x, "QR")
    xp = namespace_of(x)
    if math.prod(x.shape) == 0:
        k = min(x.shape)
        return zeros((x.shape[0], k), x), zeros((k, x.shape[1]), x)
    q, r = xp.linalg.qr(x, mode="reduced")
    return q, r


def svd(x: Any) -> tuple[Any, Any, Any]:
    """Return the reduced singular value decomposition, descending.

    Where divide and conquer does not converge on the host, LAPACK's QR iteration is used.
    """
    _gate(x, "SVD")
    xp = namespace_of(x)
    if math.prod(x.shape) == 0:
        k = min(x.shape)
        return zeros((x.shape[0], k), x), zeros((k,), x, _real(xp, x.dtype)), zeros((k, x.shape[1]), x)
    if is_numpy(xp):
        try:
            return tuple(np.linalg.svd(x, full_matrices=False))  # type: ignore[return-value]
        except np.linalg.LinAlgError:
            import scipy.linalg

            return tuple(scipy.linalg.svd(x, full_matrices=False, lapack_driver="gesvd"))
    u, s, vh = xp.linalg.svd(x, full_matrices=False)
    return u, s, vh


def _real(xp: Any, dtype: Any) -> Any:
    return xp.float32 if eps_of(dtype) > 1e-10 else xp.float64


def eigh(x: Any) -> tuple[Any, Any]:
    """Return eigenvalues ascending and eigenvectors of the Hermitian part of a square array."""
    x = (x + adjoint(x)) / 2
    _gate(x, "eigh")
    xp = namespace_of(x)
    if x.shape[0] == 0:
        return zeros((0,), x, _real(xp, x.dtype)), x
    w, v = xp.linalg.eigh(x)
    return w, v


def eigvalsh(x: Any) -> Any:
    """Return the eigenvalues of a Hermitian array, ascending; only one triangle may be read."""
    _gate(x, "eigvalsh")
    xp = namespace_of(x)
    return xp.linalg.eigvalsh(x) if x.shape[0] else zeros((0,), x, _real(xp, x.dtype))


def cholesky(x: Any) -> Any | None:
    """Return the lower Cholesky factor, or None where the array is not numerically positive definite."""
    if not all_finite(x):
        return None
    xp = namespace_of(x)
    try:
        factor = xp.linalg.cholesky(x)
    except (np.linalg.LinAlgError, RuntimeError, ValueError):
        return None
    return factor if all_finite(factor) else None


def root_and_inverse(x: Any) -> tuple[Any, Any] | None:
    """Return R with R^H R = X, upper triangular, and its inverse, or None where they cannot be had."""
    lower = cholesky(x)
    if lower is None:
        return None
    upper = adjoint(lower)
    back = inverse_of_triangle(upper)
    return None if back is None else (upper, back)


def inverse_of_triangle(x: Any) -> Any | None:
    """Return the inverse of a small upper triangle, zeros below, or None where it is singular."""
    try:
        out = _inverted(x) if is_numpy(namespace_of(x)) else namespace_of(x).linalg.inv(x)
    except (np.linalg.LinAlgError, RuntimeError, ValueError):
        return None
    return out if all_finite(out) else None


def _inverted(x: Any) -> Any:
    """Invert a triangle by halves, so that most of the work is products: a quarter of what a general inverse takes."""
    n = len(x)
    if n <= _UNCUT:
        return np.linalg.inv(x)
    half = n // 2
    first, last = _inverted(x[:half, :half]), _inverted(x[half:, half:])
    out = np.zeros_like(x)
    out[:half, :half], out[half:, half:] = first, last
    np.matmul(first, x[:half, half:] @ last, out=out[:half, half:])
    np.negative(out[:half, half:], out=out[:half, half:])
    return out


def host_values(x: Any) -> np.ndarray[Any, Any]:
    """Return a small real vector on the host in float64."""
    return np.asarray(to_host(x), dtype=np.float64)
