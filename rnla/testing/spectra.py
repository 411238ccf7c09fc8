"""Matrices whose singular values are known: the twelve spectra of every accuracy bar.

Equation: A = U diag(s) V^H with U and V drawn from the uniform (Haar) distribution, so nothing but
the singular values distinguishes one matrix from another, and every error has a known optimum.

| name               | values, j counted from 1                                                   |
|--------------------|----------------------------------------------------------------------------|
| ``exact_rank``     | r values falling evenly from 1 to 1/2, then zeros; r = length // 10          |
| ``fast``           | 0.5^(j-1)                                                                  |
| ``exponential``    | 0.9^(j-1)                                                                  |
| ``inverse``        | 1 / j                                                                      |
| ``inverse_root``   | 1 / sqrt(j)                                                                |
| ``inverse_square`` | 1 / j^2                                                                    |
| ``step``           | r ones, then 1e-6                                                          |
| ``flat``           | ones                                                                       |
| ``noise_1e-2``     | r values from 1 to 1/2, then noise falling evenly from 1e-2 to 0           |
| ``noise_1e-4``     | the same with 1e-4                                                         |
| ``clustered``      | groups of five equal values, each group half of the one before             |
| ``graded``         | even in the logarithm from 1 down to eps                                   |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rnla.errors import InputError
from rnla.rng import Key, as_key

__all__ = ["SPECTRA", "haar", "hermitian_matrix", "matrix", "optimal_error", "optimal_rank", "spectrum"]

Values = np.ndarray[Any, np.dtype[np.float64]]


def _head(length: int) -> Values:
    return np.linspace(1.0, 0.5, max(1, length // 10))


def _exact_rank(length: int, eps: float) -> Values:
    head = _head(length)
    return np.concatenate([head, np.zeros(length - len(head))])


def _power(exponent: float) -> Callable[[int, float], Values]:
    return lambda length, eps: np.arange(1.0, length + 1) ** exponent


def _geometric(ratio: float) -> Callable[[int, float], Values]:
    return lambda length, eps: ratio ** np.arange(float(length))


def _noise(level: float) -> Callable[[int, float], Values]:
    def values(length: int, eps: float) -> Values:
        head = _head(length)
        rest = length - len(head)
        return np.concatenate([head, level * (1.0 - np.arange(rest) / max(rest, 1))])

    return values


def _step(length: int, eps: float) -> Values:
    head = len(_head(length))
    return np.concatenate([np.ones(head), np.full(length - head, 1e-6)])


SPECTRA: dict[str, Callable[[int, float], Values]] = {
    "exact_rank": _exact_rank,
    "fast": _geometric(0.5),
    "exponential": _geometric(0.9),
    "inverse": _power(-1.0),
    "inverse_root": _power(-0.5),
    "inverse_square": _power(-2.0),
    "step": _step,
    "flat": lambda length, eps: np.ones(length),
    "noise_1e-2": _noise(1e-2),
    "noise_1e-4": _noise(1e-4),
    "clustered": lambda length, eps: 0.5 ** (np.arange(length) // 5).astype(np.float64),
    "graded": lambda length, eps: eps ** (np.arange(length) / max(length - 1, 1)),
}
"""The spectra by name; each takes a length of at least 1 and an eps."""


def spectrum(name: str, length: int, *, dtype: Any = np.float64) -> Values:
    """Return the singular values of one of the twelve spectra.

    Parameters
    ----------
    name : str
        A key of `SPECTRA`.
    length : int
        How many, at least 1.
    dtype : dtype
        Whose eps ends the graded spectrum.

    Returns
    -------
    numpy.ndarray
        float64, descending, the first one 1.

    Raises
    ------
    InputError
        No spectrum of that name.

    Examples
    --------
    >>> spectrum("inverse", 4).round(3).tolist()
    [1.0, 0.5, 0.333, 0.25]
    """
    if name not in SPECTRA:
        raise InputError(f"no spectrum is named {name!r}; there are {', '.join(SPECTRA)}")
    if length < 1:
        raise InputError(f"length={length} must be at least 1")
    return SPECTRA[name](length, float(np.finfo(np.dtype(dtype)).eps))


def haar(rows: int, columns: int, *, dtype: Any = np.float64, rng: Any = 0) -> np.ndarray[Any, Any]:
    """Return `columns` orthonormal columns, uniformly distributed, in double precision.

    Parameters
    ----------
    rows, columns : int
        ``rows >= columns``.
    dtype : dtype
        A complex one gives complex columns.
    rng : Key or what `rnla.svd` takes as ``rng=``

    Returns
    -------
    numpy.ndarray, shape (rows, columns)
        float64 or complex128.

    Examples
    --------
    >>> Q = haar(6, 2, rng=1)
    >>> bool(np.allclose(Q.T @ Q, np.eye(2)))
    True
    """
    wide = np.complex128 if np.dtype(dtype).kind == "c" else np.float64
    q, r = np.linalg.qr(as_key(rng).normals(0, rows, columns, dtype=wide))
    # Without the phases of the diagonal the distribution would be the algorithm's, not Haar's.
    diagonal = np.diag(r)
    return np.asarray(q * (diagonal / np.abs(diagonal))[None, :])


def matrix(
    spectrum_or_values: str | Sequence[float] | np.ndarray[Any, Any],
    m: int,
    n: int,
    *,
    dtype: Any = np.float64,
    rng: Any = 0,
) -> np.ndarray[Any, Any]:
    """Return an m by n matrix with known singular values and Haar singular vectors.

    Parameters
    ----------
    spectrum_or_values : str or sequence of float
        A name of `SPECTRA`, or at most min(m, n) singular values (the rest are 0).
    m, n : int
    dtype : dtype
        One of float32, float64, complex64, complex128; formed in double precision and rounded once,
        so that singular values are off by at most about eps of the dtype times the norm.
    rng : Key or what `rnla.svd` takes as ``rng=``

    Returns
    -------
    numpy.ndarray, shape (m, n)

    Raises
    ------
    InputError
        More values than min(m, n).

    Examples
    --------
    >>> A = matrix([3.0, 2.0], 5, 4)
    >>> np.linalg.svd(A)[1].round(10).tolist()
    [3.0, 2.0, 0.0, 0.0]
    """
    key: Key = as_key(rng)
    short = min(m, n)
    if isinstance(spectrum_or_values, str):
        values = spectrum(spectrum_or_values, short, dtype=dtype) if short else np.zeros(0)
    else:
        values = np.asarray(spectrum_or_values, dtype=np.float64)
    if values.ndim != 1 or len(values) > short:
        raise InputError(f"{values.shape} singular values do not fit a {m} x {n} matrix")
    count = len(values)
    left = haar(m, count, dtype=dtype, rng=key.child("left"))
    right = haar(n, count, dtype=dtype, rng=key.child("right"))
    return np.asarray((left * values[None, :]) @ right.conj().T, dtype=dtype)


def hermitian_matrix(
    spectrum_or_values: str | Sequence[float] | np.ndarray[Any, Any],
    n: int,
    *,
    indefinite: bool = False,
    dtype: Any = np.float64,
    rng: Any = 0,
) -> np.ndarray[Any, Any]:
    """Return an n by n Hermitian matrix with known eigenvalues and Haar eigenvectors.

    Parameters
    ----------
    spectrum_or_values : str or sequence of float
        A name of `SPECTRA`, or at most n real eigenvalues (the rest are 0).
    n : int
    indefinite : bool
        Whether every second eigenvalue changes its sign, beginning with the second.
    dtype : dtype
        As for `matrix`.
    rng : Key or what `rnla.svd` takes as ``rng=``

    Returns
    -------
    numpy.ndarray, shape (n, n)
        Equal to its conjugate transpose entry by entry.

    Raises
    ------
    InputError
        More values than n.

    Examples
    --------
    >>> A = hermitian_matrix([3.0, 2.0], 4, indefinite=True)
    >>> bool(np.allclose(np.linalg.eigvalsh(A), [-2, 0, 0, 3]))
    True
    """
    if isinstance(spectrum_or_values, str):
        values = spectrum(spectrum_or_values, n, dtype=dtype) if n else np.zeros(0)
    else:
        values = np.asarray(spectrum_or_values, dtype=np.float64)
    if values.ndim != 1 or len(values) > n:
        raise InputError(f"{values.shape} eigenvalues do not fit a {n} x {n} matrix")
    if indefinite:
        values = values * (-1.0) ** np.arange(len(values))
    vectors = haar(n, len(values), dtype=dtype, rng=as_key(rng).child("left"))
    whole = (vectors * values[None, :]) @ vectors.conj().T
    return np.asarray((whole + whole.conj().T) / 2, dtype=dtype)


def optimal_error(values: Sequence[float] | np.ndarray[Any, Any], rank: int, norm: str = "fro") -> float:
    """Return the smallest error that any matrix of a rank can have.

    Parameters
    ----------
    values : sequence of float
        All singular values, descending.
    rank : int
    norm : {"fro", "spectral"}

    Returns
    -------
    float
        Absolute.

    Examples
    --------
    >>> optimal_error([5.0, 4.0, 3.0], 1), optimal_error([5.0, 4.0, 3.0], 1, "spectral")
    (5.0, 4.0)
    """
    tail = np.asarray(values, dtype=np.float64)[rank:]
    if norm == "spectral":
        return float(tail.max(initial=0.0))
    return math.sqrt(math.fsum((tail**2).tolist()))


def optimal_rank(values: Sequence[float] | np.ndarray[Any, Any], tol: float, norm: str = "fro") -> int:
    """Return the smallest rank whose best approximation meets a relative tolerance.

    Parameters
    ----------
    values : sequence of float
        All singular values, descending.
    tol : float
        Relative to the norm of the matrix.
    norm : {"fro", "spectral"}

    Returns
    -------
    int

    Examples
    --------
    >>> optimal_rank([4.0, 3.0, 0.1], 0.7)
    1
    """
    whole = optimal_error(values, 0, norm)
    return next(k for k in range(len(values) + 1) if optimal_error(values, k, norm) <= tol * whole)
