"""Columns drawn by their leverage scores [mahoney2009]_.

Problem: columns of A, drawn independently, that carry its leading singular vectors with large probability.

The leverage score of column j is the squared norm of column j of V_k^H; the scores add up to k.

S1. p_j = score_j / k.
S2. Draw columns independently with probability p_j; the weight of a draw in a sample of c is 1 / sqrt(c p_j).

Cost: n k flops, n numbers.
Guarantee: with S the columns of the identity that were drawn, times their weights, E S S^H = I; for
c >= 4 k log(2 k / d) / e^2 draws norm(V_k^H S S^H V_k - I) <= e but with probability d (the matrix Chernoff bound,
every term being at most k / c).  Tested in `tests/compression/test_column_selection.py`.

Differences from the paper: `LeverageScores.choose`, which must give distinct columns, goes on drawing until it has
as many; the weights belong to `leverage_sample`.

When not: for a skeleton of exactly k columns pivoted QR gives smaller errors, at the same cost.  Independent draws
are for sampling, where the weights make the estimate unbiased.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from rnla._xp.linalg import host_values
from rnla._xp.pivoting import column_squares
from rnla.rng import Key

__all__ = ["LeverageScores", "leverage_sample", "leverage_scores"]

Array = np.ndarray[Any, Any]


def leverage_scores(vh: Any) -> Array:
    """Return the squared norms of the columns of an array with orthonormal rows, on the host.

    Parameters
    ----------
    vh : array, shape (k, n)
        The right singular vectors of a result, or the adjoint of the left ones for scores of rows.

    Examples
    --------
    >>> leverage_scores(np.eye(2, 3)).tolist()
    [1.0, 1.0, 0.0]
    """
    return host_values(column_squares(vh))


def leverage_sample(scores: Array, draws: int, key: Key) -> tuple[Array, Array]:
    """Return columns drawn independently in proportion to their scores, and their weights (S2).

    Parameters
    ----------
    scores : numpy.ndarray, shape (n,)
    draws : int
    key : Key

    Returns
    -------
    index, weights : numpy.ndarray, shape (draws,)

    Examples
    --------
    >>> from rnla.rng import Key
    >>> index, weights = leverage_sample(np.array([0.0, 1.0, 0.0]), 4, Key(0))
    >>> index.tolist(), weights.tolist()
    ([1, 1, 1, 1], [0.5, 0.5, 0.5, 0.5])
    """
    index = _drawn(scores, key.child("leverage").uniforms(0, draws))
    share = scores[index] / scores.sum()
    return index, 1 / np.sqrt(draws * share)


def _drawn(scores: Array, uniforms: Array) -> Array:
    sums = np.cumsum(scores)
    index = np.searchsorted(sums, uniforms * sums[-1], side="right")
    last = int(np.flatnonzero(scores)[-1])  # rounding may put a point at the very end
    return np.asarray(np.minimum(index, last), dtype=np.int64)


@dataclasses.dataclass(frozen=True, slots=True)
class LeverageScores:
    """Distinct columns drawn by the leverage scores of the leading singular vectors.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag([4.0, 0.0, 1.0])
    >>> sorted(rnla.interpolative(A, 2, selection="leverage_scores", rng=0).columns.tolist())
    [0, 2]
    """

    def choose(self, s: Any, vh: Any, count: int, key: Key) -> Array:
        """Return `count` distinct columns; draws of a column that is there already are skipped."""
        scores = leverage_scores(vh[:count, :])
        chosen = np.zeros(0, dtype=np.int64)
        for attempt in range(64):
            left = scores.copy()
            left[chosen] = 0
            if len(chosen) == count or not left.sum() > 1e-14 * count:
                break
            index = _drawn(left, key.child("leverage", attempt).uniforms(0, 2 * count))
            _, first = np.unique(index, return_index=True)
            chosen = np.concatenate([chosen, index[np.sort(first)]])[:count]
        return np.concatenate([chosen, np.setdiff1d(np.arange(len(scores)), chosen)])[:count]
