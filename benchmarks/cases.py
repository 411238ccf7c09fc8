"""The one list of benchmark matrices, each with the singular values that an answer is judged by.

A case is a shape and a structure; dense ones are crossed with three spectra, two precisions and three ranks.  All
are made from fixed seeds.  Dense ones are built from singular values, so that those are known to rounding; those of
sparse ones come from Lanczos bidiagonalization (PROPACK) to full accuracy, once.  `small=True` makes the same thing
at a size for tests.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
import scipy.sparse
import scipy.sparse.linalg

__all__ = [
    "CASES",
    "DTYPES",
    "RANKS",
    "SPECTRA",
    "Case",
    "Matrix",
    "dense",
    "judge",
    "kernel",
    "kernel_points",
    "load",
    "mapped",
    "orthogonal_mix",
    "power_law",
    "row_blocks",
    "store",
    "symmetric",
]

Array = np.ndarray[Any, Any]

SPECTRA: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "fast": ("exp(-i/30)", lambda i: np.exp(-i / 30)),
    "slow": ("1/i", lambda i: 1 / i),
    "noisy": ("20 ones over a tail from 0.05 to 0.025", lambda i: np.where(i <= 20, 1.0, 0.05 - 0.025 * i / len(i))),
}
DTYPES = ("float64", "float32")
RANKS = (10, 50, 200)


@dataclasses.dataclass(frozen=True)
class Matrix:
    """A matrix, its leading singular values, and its Frobenius norm."""

    A: Any
    s: Array
    norm: float

    def optimum(self, k: int) -> float:
        """Return the Frobenius error of the best approximation of rank k."""
        if len(self.s) == min(self.A.shape):
            return math.sqrt(math.fsum(self.s[k:] ** 2))
        return math.sqrt(self.norm**2 - math.fsum(self.s[:k] ** 2))


@dataclasses.dataclass(frozen=True)
class Case:
    """A matrix of the list: how it is described, and made at full and at small size.

    `make(small, spectrum, dtype, rank)` ignores what does not apply to it; `dense` says whether a spectrum and a
    precision can be chosen; a small one is of rank `small_rank`.
    """

    name: str
    text: str
    make: Callable[[bool, str, str, int], Matrix]
    dense: bool = True
    rank: int = 50
    small_rank: int = 8


def _mixed(a: Array, axis: int, rng: np.random.Generator) -> Array:
    """Multiply one side of a matrix with an orthogonal one."""
    for _ in range(2):
        signs = rng.choice([-1.0, 1.0], a.shape[axis])
        a *= np.expand_dims(signs, 1 - axis)
        a = scipy.fft.dct(a, axis=axis, norm="ortho", overwrite_x=True, workers=-1)
    a *= np.expand_dims(rng.choice([-1.0, 1.0], a.shape[axis]), 1 - axis)
    return a


def orthogonal_mix(s: Array, m: int, n: int, seed: int = 0) -> Array:
    """Return an m by n matrix with these singular values and no structure that a method could use.

    Both factors are products of two cosine transforms and three diagonals of random signs: exactly
    orthogonal, dense, and made in O(m n log(m n)).
    """
    rng = np.random.default_rng(seed)
    a = np.zeros((m, n))
    a[: len(s), : len(s)] = np.diag(s)
    return np.ascontiguousarray(_mixed(_mixed(a, 0, rng), 1, rng))


def _values(spectrum: str, count: int) -> Array:
    return SPECTRA[spectrum][1](np.arange(1, count + 1, dtype=float))


def dense(m: int, n: int, spectrum: str, dtype: str = "float64") -> Matrix:
    """Return a dense matrix with one of the three spectra."""
    s = _values(spectrum, min(m, n))
    return Matrix(orthogonal_mix(s, m, n).astype(dtype, copy=False), s, float(np.linalg.norm(s)))


def symmetric(n: int, spectrum: str, dtype: str = "float64", *, definite: bool = False) -> Matrix:
    """Return a Hermitian matrix; unless definite, every second eigenvalue is negative.  `s` holds magnitudes."""
    s = _values(spectrum, n)
    signed = s if definite else s * np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    a = np.diag(signed)
    for axis in (0, 1):  # the same orthogonal matrix on both sides
        a = _mixed(a, axis, np.random.default_rng(5))
    a += a.T.copy()
    a /= 2
    return Matrix(np.ascontiguousarray(a, dtype), s, float(np.linalg.norm(s)))


def _of_shape(full: tuple[int, int], little: tuple[int, int]) -> Callable[[bool, str, str, int], Matrix]:
    return lambda small, spectrum, dtype, rank: dense(*(little if small else full), spectrum, dtype)


def power_law(m: int, n: int, entries: int, seed: int = 0) -> Any:
    """Return a sparse matrix whose rows and columns are met with probabilities that fall like powers.

    So are words in texts and links in the web; places that are drawn twice are summed, so that a little fewer than
    `entries` are stored.  Rows and columns stand in random order.
    """
    rng = np.random.default_rng(seed)
    places = []
    for length, power in ((m, 0.6), (n, 0.9)):
        odds = np.cumsum(np.arange(1, length + 1) ** -power)
        drawn = np.searchsorted(odds, rng.random(entries) * odds[-1])
        places.append(rng.permutation(length).astype(np.int32)[np.minimum(drawn, length - 1)])
    a = scipy.sparse.coo_array((rng.uniform(0.5, 1.5, entries), (places[0], places[1])), shape=(m, n)).tocsr()
    a.sum_duplicates()
    return a


def _with_values(a: Any, rank: int) -> Matrix:
    """Return a sparse matrix with as many singular values as its judge needs."""
    rng = np.random.default_rng(0)
    s = scipy.sparse.linalg.svds(a, rank, tol=0, solver="propack", return_singular_vectors=False, rng=rng)
    return Matrix(a, np.sort(s)[::-1], float(scipy.sparse.linalg.norm(a)))


def _power_law(entries: int) -> Callable[[bool, str, str, int], Matrix]:
    def make(small: bool, spectrum: str, dtype: str, rank: int) -> Matrix:
        a = power_law(800, 800, 8000) if small else power_law(100_000, 100_000, entries)
        return _with_values(a, rank)

    return make


def _words(small: bool, spectrum: str, dtype: str, rank: int) -> Matrix:
    from rnla.cli.topics import term_document_matrix

    return _with_values(term_document_matrix(unit="definition", max_files=60 if small else None).matrix, rank)


CASES = {
    case.name: case
    for case in (
        Case("square", "dense 4000 x 4000", _of_shape((4000, 4000), (300, 300))),
        Case("tall", "dense 20000 x 2000", _of_shape((20_000, 2000), (600, 150))),
        Case("skinny", "dense 100000 x 500", _of_shape((100_000, 500), (900, 60))),
        Case("wide", "dense 2000 x 20000", _of_shape((2000, 20_000), (150, 600))),
        Case("sparse6", "sparse 1e5 x 1e5, power law, 1e6 entries", _power_law(1_000_000), dense=False, rank=10),
        Case("sparse7", "sparse 1e5 x 1e5, power law, 1e7 entries", _power_law(10_000_000), dense=False, rank=10),
        Case("words", "sparse tf-idf matrix of the standard library's definitions", _words, dense=False),
    )
}


def kernel_points(small: bool = False) -> tuple[Array, float]:
    """Return 20000 points in 8 dimensions, of which some are far out, and gamma of their Gaussian kernel.

    The trace of the kernel matrix exp(-gamma |x - y|^2) is the number of points.
    """
    rng = np.random.default_rng(0)
    n = 600 if small else 20_000
    x = 0.3 * rng.standard_normal((n, 8))
    x[: n // 20] *= 10
    return x[rng.permutation(n)], 0.5


def kernel(small: bool = False, rank: int = 60) -> Matrix:
    """Return the kernel matrix of those points, and `rank` of its singular values by subspace iteration to rounding."""
    points, gamma = kernel_points(small)
    n = len(points)
    norms, a = np.einsum("ij,ij->i", points, points), np.empty((n, n))
    for i in range(0, n, 1000):
        part = a[i : i + 1000]
        np.matmul(points[i : i + 1000], points.T, out=part)
        part *= 2 * gamma
        part -= gamma * norms
        part -= gamma * norms[i : i + 1000, None]
        np.exp(part, out=part)
    x = np.random.default_rng(0).standard_normal((n, rank + 40))
    for _ in range(12):
        x = np.linalg.qr(a @ x)[0]
    s = np.linalg.svd(a @ x, compute_uv=False)
    return Matrix(a, s[:rank], float(np.linalg.norm(a)))


def mapped(path: Path, gigabytes: float = 8.0, columns: int = 1000, spectrum: str = "slow") -> Array:
    """Write a tall float64 `.npy` file of that size, block by block, and return its singular values.

    Each block of rows is a permutation of the rows of the first one, with random signs: blocks with orthonormal
    columns times one factor, so that the stack has orthonormal columns too and all singular values are known.
    """
    s = _values(spectrum, columns)
    height = max(columns, min(16_384, int(gigabytes * 1e9 / 8 / columns)))
    count = max(1, round(gigabytes * 1e9 / 8 / columns / height))
    base = orthogonal_mix(s / math.sqrt(count), height, columns)
    rng = np.random.default_rng(1)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(count * height, columns))
    for i in range(count):
        signs = rng.choice([-1.0, 1.0], height)
        out[i * height : (i + 1) * height] = signs[:, None] * base[rng.permutation(height)]
    out.flush()
    return s


def row_blocks(a: Array, rows: int = 5000) -> Iterator[Array]:
    """Yield a matrix as it arrives in a stream: blocks of rows, in order."""
    for i in range(0, a.shape[0], rows):
        yield a[i : i + rows]


def store(matrix: Matrix, folder: Path) -> None:
    """Write a matrix into a folder, from which `load` takes it in another process."""
    if scipy.sparse.issparse(matrix.A):
        scipy.sparse.save_npz(folder / "A.npz", matrix.A, compressed=False)
    else:
        np.save(folder / "A.npy", matrix.A)
    np.savez(folder / "known.npz", s=matrix.s, norm=matrix.norm)


def load(folder: Path) -> Matrix:
    """Return the matrix of a folder."""
    a = np.load(folder / "A.npy") if (folder / "A.npy").exists() else scipy.sparse.load_npz(folder / "A.npz")
    known = np.load(folder / "known.npz")
    return Matrix(a, known["s"], float(known["norm"]))


def judge(matrix: Matrix, k: int, U: Any, s: Any, Vh: Any) -> tuple[float, float]:
    """Return the Frobenius excess over the optimum and the worst relative error of a singular value.

    Both are of the first k triplets.  The error is that of the factors as they are: no orthogonality is assumed.
    """
    wide = np.result_type(np.float64, np.asarray(U).dtype)
    U, s, Vh = (
        np.asarray(part)[cut].astype(wide) for part, cut in ((U, np.s_[:, :k]), (s, np.s_[:k]), (Vh, np.s_[:k]))
    )
    a = matrix.A
    if isinstance(a, np.ndarray):
        rows = max(1, 2_000_000 // a.shape[1])
        squares = [np.linalg.norm(a[i : i + rows] - (U[i : i + rows] * s) @ Vh) ** 2 for i in range(0, len(a), rows)]
        error = math.sqrt(math.fsum(squares))
    else:
        # norm(A - B)^2 = norm(A)^2 - 2 <A, B> + norm(B)^2; the error is far above the cancellation here.
        inner = math.fsum(((U.conj() * (a @ Vh.conj().T)).real.sum(axis=0) * s.real).tolist())
        gram = (U.conj().T @ U) * (Vh.conj() @ Vh.T)
        error = math.sqrt(matrix.norm**2 - 2 * inner + float((s @ gram @ s).real))
    return error / matrix.optimum(k) - 1, float(np.max(np.abs(s - matrix.s[:k]) / matrix.s[:k]))
