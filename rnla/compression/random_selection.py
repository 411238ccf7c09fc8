"""Columns drawn by the squared norms that the residual has left: RPQR and adaptive randomized pivoting.

Problem: k columns J of G with a small residual G - Q Q^H G, Q an orthonormal basis of G[:, J].

`RandomlyPivotedQR` [dong2023]_, [epperly2024]_, on G = diag(s) V^H:

S1. d_j = squared norm of column j of the residual; draw b candidates with probability d_j / sum(d).
S2. H = the Gram matrix of the candidates' residual columns; accept by rejection (`RandomPivoting.settle`), which
    makes the pivots those of the algorithm that draws one column at a time.
S3. Orthonormalize the accepted columns against Q; project them out of the residual; repeat until k are there.

`AdaptiveRandomizedPivoting` [cortinovis2024]_ is the same on the k leading rows of V^H alone, all singular values
counted alike.

Cost: 4 l k n flops and about k / b blocks of b = 16 candidates.
Guarantee: RPQR is randomly pivoted Cholesky of G^H G, so E norm(G - Q Q^H G)_F^2 is at most
(1 + e) sum_{j > r} s_j^2 for k >= r / e + r log(1 / (e t)), t the share of that tail [chen2025]_.  For adaptive
randomized pivoting E norm(G - G[:, J] V_k[J]^{-H} V_k^H)_F^2 <= (k + 1) sum_{j > k} s_j^2 [cortinovis2024]_.
Both are tested in `tests/compression/test_column_selection.py`, the distribution against the plain algorithm in
`tests/reference/skeletons.py`.

Differences from the papers: on the coordinates of a projection, never on A itself, so that A is not read for it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, cast, eps_of, host_values, qr
from rnla._xp.namespace import device_of, from_host, namespace_of, to_host
from rnla._xp.pivoting import column_squares, take
from rnla.checks import check_whole
from rnla.compression.random_pivoting import RandomPivoting
from rnla.rng import Key

__all__ = ["AdaptiveRandomizedPivoting", "RandomlyPivotedQR", "random_columns"]

Array = np.ndarray[Any, Any]
_BLOCK = 16


def random_columns(g: Any, count: int, block_size: int, key: Key) -> Array:
    """Return `count` distinct columns of an array, drawn by the squared norms of the residual (S1 to S3)."""
    n = int(g.shape[1])
    rule = RandomPivoting(block_size)
    chosen: list[int] = []
    rest, first, block = g, 0.0, 0
    level = eps_of(g.dtype) ** 2 * max(g.shape)
    while len(chosen) < count:
        squares = column_squares(rest)
        left = host_values(squares)
        first = first or float(left.sum())
        left[chosen] = 0
        left[left <= 2 * level * first] = 0  # rounding: such a column would be refused again and again
        if not left.any():
            break
        candidates, bounds, uniforms = rule.propose(_like(squares, left), block_size, key.child("columns", block))
        panel = take(rest, candidates, axis=1)
        gram = to_host(adjoint(panel) @ panel)
        gram = gram.astype(np.complex128 if gram.dtype.kind == "c" else np.float64)
        floor = np.full(len(candidates), level * first)
        taken, _ = rule.settle(gram, bounds, uniforms, floor, count - len(chosen))  # S2
        taken = [i for k, i in enumerate(taken) if candidates[i] not in candidates[taken[:k]]]
        if taken:
            q = qr(take(panel, np.asarray(taken), axis=1))[0]  # S3
            for _ in range(2):
                rest = rest - q @ (adjoint(q) @ rest)
            chosen += candidates[taken].tolist()
        block += 1
    free = np.setdiff1d(np.arange(n), chosen)
    return np.concatenate([np.asarray(chosen, dtype=np.int64), free])[:count]


def _like(x: Any, values: Array) -> Any:
    """Return host values in the library, on the device and in the dtype of an array."""
    return cast(from_host(values, namespace_of(x), device_of(x)), x.dtype)


@dataclasses.dataclass(frozen=True, slots=True)
class RandomlyPivotedQR:
    """Randomly pivoted QR (RPQR): columns drawn by the squared norms of the residual.

    Parameters
    ----------
    block_size : int
        Candidates drawn together; the distribution of the choice does not depend on it.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag([4.0, 0.0, 1.0])
    >>> sorted(rnla.interpolative(A, 2, selection=rnla.RandomlyPivotedQR(), rng=0).columns.tolist())
    [0, 2]
    """

    block_size: int = _BLOCK

    def __post_init__(self) -> None:
        check_whole("block_size", self.block_size, 1)

    def choose(self, s: Any, vh: Any, count: int, key: Key) -> Array:
        """Return columns drawn from diag(s) V^H."""
        return random_columns(cast(s, vh.dtype)[:, None] * vh, count, self.block_size, key)


@dataclasses.dataclass(frozen=True, slots=True)
class AdaptiveRandomizedPivoting:
    """Adaptive randomized pivoting (ARP): columns drawn by the leverage that is left in the leading singular vectors.

    Parameters
    ----------
    block_size : int
        Candidates drawn together; the distribution of the choice does not depend on it.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag([4.0, 0.0, 1.0])
    >>> sorted(rnla.interpolative(A, 2, selection="adaptive_randomized_pivoting", rng=0).columns.tolist())
    [0, 2]
    """

    block_size: int = _BLOCK

    def __post_init__(self) -> None:
        check_whole("block_size", self.block_size, 1)

    def choose(self, s: Any, vh: Any, count: int, key: Key) -> Array:
        """Return columns drawn from the `count` leading rows of V^H."""
        del s
        return random_columns(vh[:count, :], count, self.block_size, key)
