"""Randomly pivoted partial Cholesky: columns of a positive semidefinite matrix, chosen by its diagonal [chen2025]_.

Problem: A ~ L L^H of small rank from few columns of A.  The residual S = A - L L^H is positive semidefinite, zero
in the rows and columns of the pivots, and known by its diagonal d, whose sum is its trace norm.

A block of b candidates at a time:

S1. Propose candidates c (with `RandomPivoting` b independent draws, each i with probability d_i / sum(d)).
S2. H = S[c, c] = A[c, c] - L[c] L[c]^H.
S3. Settle: go through the candidates in order; candidate j is taken with probability H_jj / u_j, u = d[c] as it was
    when proposed, and eliminated from the rest of H.  This gives the triangle K of the pivots taken.
S4. p = the candidates taken; G = A[:, p] - L L[p]^H; L = [L, G K^{-H}]; d = d - rows' squared norms of the new columns.

The rejection of S3 [epperly2024]_ makes the pivots those of the algorithm that draws one pivot at a time from the
diagonal that is current: the same distribution, whatever the block sizes.  A block that a rank limit
stops keeps its remaining candidates, so that a later request goes on with them.

Cost: k columns of A, blocks of b^2 entries, and O(n k^2) flops in products.
Guarantee [chen2025]_: E trace(A - L L^H) <= (1 + e) sum_{j > r} lambda_j(A) for
k >= r / e + r log(1 / (e t)), t the share of the tail sum_{j > r} lambda_j in trace(A).

Differences from the papers: (1) the block size depends on what was accepted before and on n, never on measured
time; (2) a diagonal entry that is rounding of what it was (`rounding_level`) is never a pivot, instead of a
tolerance on the trace alone; (3) d is A's diagonal less squared norms, summed in double precision and not clipped
on the way, so that a matrix that is not positive semidefinite is noticed.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from rnla._xp.linalg import cast
from rnla._xp.namespace import device_of, from_host, namespace_of, to_host
from rnla._xp.pivoting import take
from rnla.checks import check_whole
from rnla.errors import InputError
from rnla.rng import Key

__all__ = [
    "PIVOT_RULES",
    "GreedyPivoting",
    "PivotRule",
    "RandomPivoting",
    "RobustBlockPivoting",
    "UniformPivoting",
]

Array = np.ndarray[Any, Any]


@runtime_checkable
class PivotRule(Protocol):
    """How candidates are proposed from the residual diagonal, and which of them become pivots.

    ``blind``: whether pivots are chosen without looking at the residual.  Small ones then come while large ones are
    left, and rounding grows by their ratio, so that only entries above sqrt(eps) of what they were are taken.
    """

    blind: ClassVar[bool]

    def propose(self, weights: Any, size: int, words: Key) -> tuple[Array, Array, Array]:
        """Return candidates, bounds and uniform numbers, from weights that are zero where no pivot may be."""
        ...

    def settle(self, H: Array, bounds: Array, uniforms: Array, levels: Array, room: int) -> tuple[list[int], int]:
        """Eliminate in H in place; return the candidates taken in order, and how many were looked at."""
        ...


def _eliminate(H: Array, j: int, rest: Any) -> None:
    """Take pivot j: its column of the triangle replaces column j of H, and `rest` is updated."""
    H[:, j] = H[:, j] / np.sqrt(H[j, j].real)
    H[np.ix_(rest, rest)] -= np.outer(H[rest, j], H[rest, j].conj())


def _drawn(weights: Any, uniforms: Array) -> tuple[Array, Array]:
    """Return indices drawn with probability proportional to weights, and their weights."""
    xp = namespace_of(weights)
    sums = xp.cumulative_sum(weights)
    last = float(sums[-1])
    points = from_host(uniforms * last, xp, device_of(weights))
    index = to_host(xp.searchsorted(sums, cast(points, sums.dtype), side="right")).astype(np.int64)
    index = np.minimum(index, int(weights.shape[0]) - 1)
    return index, to_host(take(weights, index, axis=0)).astype(np.float64)


def _distinct(weights: Any, count: int, key: Key) -> tuple[Array, Array]:
    """Return at most `count` different indices, drawn one after the other in proportion to the weights left."""
    index, values = _drawn(weights, key.uniforms(0, 4 * count))
    first = np.sort(np.unique(index, return_index=True)[1])  # repeats of a draw are the draws that are skipped
    kept = first[values[first] > 0][:count]
    return index[kept], values[kept]


@dataclasses.dataclass(frozen=True, slots=True)
class RandomPivoting:
    """Pivots drawn with probability proportional to the residual diagonal.

    Parameters
    ----------
    block_size : int or None
        Candidates proposed together; None adapts them to how many are taken: from 8 on, at most 256 and n / 16.
        The distribution of the pivots does not depend on it.
    accelerated : bool
        Blocks with rejection; otherwise one pivot at a time, the plain algorithm.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag([4.0, 0.0, 1.0])
    >>> sorted(rnla.cholesky(A, 2, method=rnla.RandomPivoting(accelerated=False), rng=0).pivots.tolist())
    [0, 2]
    """

    blind: ClassVar[bool] = False

    block_size: int | None = None
    accelerated: bool = True

    def __post_init__(self) -> None:
        if self.block_size is not None:
            check_whole("block_size", self.block_size, 1)
            if not self.accelerated and self.block_size != 1:
                raise InputError("accelerated=False draws one pivot at a time; leave block_size out")

    def propose(self, weights: Any, size: int, words: Key) -> tuple[Array, Array, Array]:
        """Draw independently, with repeats (S1)."""
        count = 1 if not self.accelerated else size if self.block_size is None else self.block_size
        index, bounds = _drawn(weights, words.child("proposals").uniforms(0, count))
        return index, bounds, words.child("acceptance").uniforms(0, count)

    def settle(self, H: Array, bounds: Array, uniforms: Array, levels: Array, room: int) -> tuple[list[int], int]:
        """Take each candidate with the probability that its residual has left (S3)."""
        return _in_order(H, np.maximum(levels, uniforms * bounds), room)


@dataclasses.dataclass(frozen=True, slots=True)
class RobustBlockPivoting:
    """Blocks drawn by the residual diagonal, of which the largest pivots are taken while they pay (RBRP).

    Different candidates are drawn; in a block the largest residual is taken until what is left of the block's trace
    is 1 / b of it.  Fewer candidates are given up than by rejection and the errors are about as small,
    but the distribution is another one, and no theorem like that of `RandomPivoting` is known to us.

    Parameters
    ----------
    block_size : int
        b.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag([4.0, 0.0, 1.0])
    >>> sorted(rnla.cholesky(A, 2, method=rnla.RobustBlockPivoting(2), rng=0).pivots.tolist())
    [0, 2]
    """

    blind: ClassVar[bool] = False

    block_size: int = 64

    def __post_init__(self) -> None:
        check_whole("block_size", self.block_size, 1)

    def propose(self, weights: Any, size: int, words: Key) -> tuple[Array, Array, Array]:
        """Draw without repeats."""
        del size
        index, bounds = _distinct(weights, self.block_size, words.child("proposals"))
        return index, bounds, np.zeros(len(index))

    def settle(self, H: Array, bounds: Array, uniforms: Array, levels: Array, room: int) -> tuple[list[int], int]:
        """Take the largest residual of the block, again and again."""
        del bounds, uniforms
        enough = np.trace(H).real / max(2, len(H))
        taken: list[int] = []
        free = np.ones(len(H), dtype=bool)
        while free.any() and len(taken) < room:
            left = np.where(free & (np.diagonal(H).real > levels), np.diagonal(H).real, 0.0)
            if left.sum() <= (enough if taken else 0.0):
                break
            j = int(left.argmax())
            free[j] = False
            _eliminate(H, j, np.flatnonzero(free))
            taken.append(j)
        return taken, len(H)


@dataclasses.dataclass(frozen=True, slots=True)
class GreedyPivoting:
    """The largest residual diagonal entry is the next pivot: complete pivoting, no chance.

    Good where the diagonal of the residual tells its size; outliers, each of them large on the diagonal and
    worth nothing to the others, lead it astray.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> rnla.cholesky(np.diag([1.0, 4.0, 2.0]), 2, method=rnla.GreedyPivoting()).pivots.tolist()
    [1, 2]
    """

    blind: ClassVar[bool] = False

    def propose(self, weights: Any, size: int, words: Key) -> tuple[Array, Array, Array]:
        """Name the largest."""
        del size, words
        xp = namespace_of(weights)
        index = np.asarray([int(xp.argmax(weights))], dtype=np.int64)
        return index, np.ones(1), np.zeros(1)

    def settle(self, H: Array, bounds: Array, uniforms: Array, levels: Array, room: int) -> tuple[list[int], int]:
        """Take it."""
        return _in_order(H, levels, room)


@dataclasses.dataclass(frozen=True, slots=True)
class UniformPivoting:
    """Every row that is not yet a pivot is equally likely to be the next: the Nystrom method of uniform columns.

    For comparison, and for matrices whose rows are known to be alike: it misses what few rows carry.

    Parameters
    ----------
    block_size : int
        Pivots drawn together.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> rnla.cholesky(np.eye(5), 5, method=rnla.UniformPivoting(), rng=0).rank
    5
    """

    blind: ClassVar[bool] = True

    block_size: int = 64

    def __post_init__(self) -> None:
        check_whole("block_size", self.block_size, 1)

    def propose(self, weights: Any, size: int, words: Key) -> tuple[Array, Array, Array]:
        """Draw different rows, all as likely."""
        del size
        xp = namespace_of(weights)
        alike = xp.where(weights > 0, xp.ones_like(weights), xp.zeros_like(weights))
        index, bounds = _distinct(alike, self.block_size, words.child("proposals"))
        return index, bounds, np.zeros(len(index))

    def settle(self, H: Array, bounds: Array, uniforms: Array, levels: Array, room: int) -> tuple[list[int], int]:
        """Take all that do not depend on those before."""
        return _in_order(H, levels, room)


def _in_order(H: Array, least: Array, room: int) -> tuple[list[int], int]:
    """Take each candidate whose residual is above its level, in order.

    Column after column from those before it, as many a block are not wanted and their columns need not be kept.
    """
    taken: list[int] = []
    left = np.diagonal(H).real.copy()
    columns = np.empty((min(room, len(H)), len(H)), dtype=H.dtype)  # of the triangle, one a row
    for j in range(len(H)):
        if len(taken) == room:
            return taken, j
        if left[j] > least[j]:
            before = columns[: len(taken), j:]
            column = (H[j:, j] - before[:, 0].conj() @ before) / math.sqrt(left[j])
            column[0] = math.sqrt(left[j])
            left[j + 1 :] -= (column[1:] * column[1:].conj()).real
            columns[len(taken), j:] = H[j:, j] = column
            taken.append(j)
    return taken, len(H)


PIVOT_RULES: dict[str, type[PivotRule]] = {
    "random": RandomPivoting,
    "robust_block": RobustBlockPivoting,
    "greedy": GreedyPivoting,
    "uniform": UniformPivoting,
}
