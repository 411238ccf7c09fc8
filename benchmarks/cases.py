"""The one list of benchmark matrices, each with the singular values that an answer is judged by."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.fft
import scipy.sparse.linalg

__all__ = ["CASES", "Case", "Matrix", "judge", "orthogonal_mix"]


@dataclasses.dataclass(frozen=True)
class Matrix:
    """A matrix, its leading singular values, and its Frobenius norm."""

    A: Any
    s: np.ndarray
    norm: float

    def optimum(self, k: int) -> float:
        """Return the Frobenius error of the best approximation of rank k."""
        if len(self.s) == min(self.A.shape):
            return math.sqrt(math.fsum(self.s[k:] ** 2))
        return math.sqrt(self.norm**2 - math.fsum(self.s[:k] ** 2))


@dataclasses.dataclass(frozen=True)
class Case:
    """A name, the rank asked for, and how the matrix is made at full and at small size."""

    name: str
    text: str
    rank: int
    make: Callable[[bool], Matrix]


def orthogonal_mix(s: np.ndarray, m: int, n: int, seed: int = 0) -> np.ndarray:
    """Return an m by n matrix with these singular values and no structure that a method could use.

    Both factors are products of two cosine transforms and three diagonals of random signs: exactly
    orthogonal, dense, and made in O(m n log(m n)).
    """
    rng = np.random.default_rng(seed)
    a = np.zeros((m, n))
    a[: len(s), : len(s)] = np.diag(s)
    for axis, length in ((0, m), (1, n)):
        for _ in range(2):
            signs = rng.choice([-1.0, 1.0], length)
            a = scipy.fft.dct(a * np.expand_dims(signs, 1 - axis), axis=axis, norm="ortho", overwrite_x=True)
        a *= np.expand_dims(rng.choice([-1.0, 1.0], length), 1 - axis)
    return np.ascontiguousarray(a)


def _dense(decay: Callable[[np.ndarray], np.ndarray]) -> Callable[[bool], Matrix]:
    def make(small: bool) -> Matrix:
        n = 500 if small else 4000
        s = decay(np.arange(1, n + 1, dtype=float))
        return Matrix(orthogonal_mix(s, n, n), s, float(np.linalg.norm(s)))

    return make


def _words(small: bool) -> Matrix:
    from rnla.cli.topics import term_document_matrix

    a = term_document_matrix(unit="definition", max_files=60 if small else None).matrix
    rank = 20 if small else 60
    s = scipy.sparse.linalg.svds(a, rank, tol=0, return_singular_vectors=False, rng=np.random.default_rng(0))
    return Matrix(a, np.sort(s)[::-1], float(scipy.sparse.linalg.norm(a)))


CASES = {
    case.name: case
    for case in (
        Case("fast", "dense 4000 x 4000, singular values exp(-i/30)", 50, _dense(lambda i: np.exp(-i / 30))),
        Case("slow", "dense 4000 x 4000, singular values 1/i", 50, _dense(lambda i: 1 / i)),
        Case("words", "sparse tf-idf matrix of the standard library's definitions", 50, _words),
    )
}


def judge(matrix: Matrix, k: int, U: Any, s: Any, Vh: Any) -> tuple[float, float]:
    """Return the Frobenius excess over the optimum and the worst relative error of a singular value.

    Both are of the first k triplets.  The error is that of the factors as they are: no orthogonality is assumed.
    """
    U, s, Vh = np.asarray(U)[:, :k], np.asarray(s)[:k], np.asarray(Vh)[:k]
    a = matrix.A
    if isinstance(a, np.ndarray):
        squares = [np.linalg.norm(a[i : i + 500] - (U[i : i + 500] * s) @ Vh) ** 2 for i in range(0, a.shape[0], 500)]
        error = math.sqrt(math.fsum(squares))
    else:
        # norm(A - B)^2 = norm(A)^2 - 2 <A, B> + norm(B)^2; the error is far above the cancellation here.
        inner = math.fsum(((U.conj() * (a @ Vh.conj().T)).real.sum(axis=0) * s).tolist())
        gram = (U.conj().T @ U) * (Vh.conj() @ Vh.T)
        error = math.sqrt(matrix.norm**2 - 2 * inner + float((s @ gram @ s).real))
    return error / matrix.optimum(k) - 1, float(np.max(np.abs(s - matrix.s[:k]) / matrix.s[:k]))
