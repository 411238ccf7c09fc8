"""The synthetic model of the papers on robust PCA: L = A B^T normal, outliers spread evenly; as an array, or on demand.

A share of the entries, chosen uniformly, is corrupted by values uniform in [-scale mean|L|, scale mean|L|].
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_CHUNK = 1 << 17  # entries that are made at a time, so that they stay in the cache


@dataclasses.dataclass(frozen=True)
class Truth:
    """L = A B^T.

    Attributes
    ----------
    A : numpy.ndarray, shape (m, r)
    B : numpy.ndarray, shape (n, r)
    """

    A: Array
    B: Array

    def error(self, found: Any) -> float:
        """Return the norm of L less what was found (of the form U, s, Vh), over that of L; neither is formed."""
        left = np.concatenate([self.A, -np.asarray(found.U) * np.asarray(found.s)], axis=1)
        right = np.concatenate([self.B, np.asarray(found.Vh).conj().T], axis=1)
        both = np.linalg.qr(left, mode="r") @ np.linalg.qr(right, mode="r").conj().T
        own = np.linalg.qr(self.A, mode="r") @ np.linalg.qr(self.B, mode="r").T
        return float(np.linalg.norm(both) / np.linalg.norm(own))


def factors(m: int, n: int, rank: int, seed: int) -> Truth:
    """Return L of the model."""
    rng = np.random.default_rng(seed)
    return Truth(rng.standard_normal((m, rank)), rng.standard_normal((n, rank)))


def drawn(n: int, rank: int, share: float, scale: float = 1.0, seed: int = 0) -> tuple[Truth, Array]:
    """Return L, and D as an array, n x n; exactly the share of its entries is corrupted."""
    truth = factors(n, n, rank, seed)
    rng = np.random.default_rng([seed, 1])
    D = truth.A @ truth.B.T
    bound = scale * float(np.abs(D).mean())
    where = rng.choice(D.size, int(share * D.size), replace=False, shuffle=False)
    D.reshape(-1)[where] += rng.uniform(-bound, bound, len(where))
    return truth, D


class OnDemand:
    """The same matrix as a function of its indices: an entry is the same whenever it is asked for, and D never exists.

    Parameters
    ----------
    truth : Truth
    share, scale : float
        Each entry is corrupted with this probability.
    seed : int
    """

    dtype = np.dtype(np.float64)

    def __init__(self, truth: Truth, share: float, scale: float = 1.0, seed: int = 0) -> None:
        self.truth, self.seed = truth, np.uint64(0x9E3779B97F4A7C15 * (seed + 1) % 2**64)
        self.shape = (len(truth.A), len(truth.B))
        # The mean modulus of a_i b_j^T, whose distribution depends on the rank alone, from a few thousand of them.
        some = truth.A[:2000] @ truth.B[:200].T
        self.bound, self.share = scale * float(np.abs(some).mean()), share

    def rows(self, i: Array) -> Array:
        """Return rows as an array."""
        return self._block(np.asarray(i), np.arange(self.shape[1]))

    def columns(self, j: Array) -> Array:
        """Return columns as an array."""
        return self._block(np.arange(self.shape[0]), np.asarray(j))

    def _block(self, i: Array, j: Array) -> Array:
        out, right = np.empty((len(i), len(j))), self.truth.B[j].T
        height = max(1, _CHUNK // max(len(j), 1))
        for start in range(0, len(i), height):
            part = i[start : start + height]
            block = out[start : start + height]
            np.matmul(self.truth.A[part], right, out=block)
            self._corrupt(block, part, j)
        return out

    def _corrupt(self, block: Array, i: Array, j: Array) -> None:
        """Add the outliers of a block: 64 bits from the indices, of which 24 decide and 32 give the value."""
        bits = (i.astype(np.uint64) * np.uint64(self.shape[1]))[:, None] + j.astype(np.uint64)[None, :]
        bits += self.seed
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # the finalizer of SplitMix64
            bits ^= bits >> np.uint64(shift)
            bits *= np.uint64(factor)
        bits ^= bits >> np.uint64(31)
        hit = np.flatnonzero((bits >> np.uint64(40)) < np.uint64(round(self.share * 2**24)))
        values = (bits.reshape(-1)[hit] & np.uint64(2**32 - 1)).astype(np.float64)
        block.reshape(-1)[hit] += self.bound * (values * 2.0**-31 - 1)


def logarithms(n: int) -> float:
    """Return n log n, what the entries of a cross are measured by."""
    return n * math.log(n)
