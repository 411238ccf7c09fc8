"""The jackknife: how much of an answer is chance, from its own test matrix [epperly2022]_.

Leave column j of the test matrix out, and the answer changes; the spread of these replicates bounds, in the mean, the
variance of the answer: for any function X of independent columns, symmetric in them,

    E sum_j norm(X_(j) - mean X_(.))_F^2 >= E norm(X - E X)_F^2   with one column less (the Efron-Stein inequality).

It says nothing of the bias: a basis that misses a direction with near certainty is not found out.

S1. Replicates in the coordinates of the answer of full size, so that all algebra is of small arrays:
    Nystrom, diag(w) - u_j u_j^H; the projection Q Q^H A = Q B, (I - s_j s_j^H) B.
S2. Eigenvalues or singular values, and the leading vectors, of each.
S3. Spreads about their means.

Cost: O(l^4) flops for l columns; no look at A.  Guarantee: conservative in the mean, as above; the replicates are
those of leaving columns out, to rounding (`tests/error/test_jackknife.py`, against replicates made by brute force).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["Spread", "eigenpair_replicates", "singular_replicates", "spread_of"]

Array = np.ndarray[Any, Any]
Replicate = tuple[Array, Array, Array]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Jackknife estimates of the standard deviation of parts of an answer, over the draw of the test matrix.

    Attributes
    ----------
    values : numpy.ndarray, shape (k,)
        Of each singular value or eigenvalue.
    left, right : float
        Of the orthogonal projectors on the leading k left and right vectors, in the Frobenius norm.
    approximation : float
        Of the approximation of rank k itself, in the Frobenius norm.
    """

    values: Array
    left: float
    right: float
    approximation: float

    def __str__(self) -> str:
        first = ", ".join(f"{x:.2g}" for x in self.values[:4]) + (", ..." if len(self.values) > 4 else "")
        return (
            "Standard deviation over the draw of the test matrix (jackknife, conservative)\n"
            f"  values           {first or 'none'}\n"
            f"  projectors       {self.left:.2g} left, {self.right:.2g} right (Frobenius norm)\n"
            f"  approximation    {self.approximation:.2g} (Frobenius norm)"
        )


def eigenpair_replicates(w: Array, u: Array, k: int) -> Iterator[Replicate]:
    """Yield the k leading eigenvalues and vectors of diag(w) - u_j u_j^H for the columns u_j, vectors twice."""
    for j in range(u.shape[1]):
        values, vectors = np.linalg.eigh(np.diag(w) - np.outer(u[:, j], u[:, j].conj()))
        leading = vectors[:, ::-1][:, :k]
        yield np.maximum(values[::-1][:k], 0), leading, leading


def singular_replicates(b: Array, s: Array, k: int) -> Iterator[Replicate]:
    """Yield the k leading singular values, left and right vectors of (I - s_j s_j^H) B for the columns s_j."""
    for j in range(s.shape[1]):
        left, values, right = np.linalg.svd(b - np.outer(s[:, j], s[:, j].conj() @ b), full_matrices=False)
        yield values[:k], left[:, :k], right[:k].conj().T


def spread_of(replicates: Iterator[Replicate]) -> Spread:
    """Return the spreads of replicates (S3)."""
    values, projectors = [], []
    for value, left, right in replicates:
        values.append(value)
        projectors.append((left @ left.conj().T, right @ right.conj().T, (left * value) @ right.conj().T))

    def spread(parts: list[Array]) -> float:
        mean = sum(parts) / len(parts)
        return float(np.sqrt(sum(np.linalg.norm(part - mean) ** 2 for part in parts)))

    one, two, three = (spread([group[i] for group in projectors]) for i in range(3))
    stacked = np.asarray(values)
    return Spread(np.sqrt(np.sum((stacked - stacked.mean(axis=0)) ** 2, axis=0)), one, two, three)
