"""Coordinate sampling [drineas2006]_: columns of Omega are scaled unit vectors, so A Omega is made of columns of A.

Problem: look at a few columns of A only (at rows, through the adjoint).

S1. Draw coordinates: in a random order without replacement, or with replacement with probabilities p_i
    proportional to the weights.
S2. The j-th column of Omega is e_i / sqrt(p_i) for the coordinate i drawn j-th, with p_i = 1 / n where there are no
    weights.

Cost: O(n) words, sorted for an order, looked up for weights; A Omega reads the sampled columns of A and nothing else.

Guarantee: E omega omega^H = I where every weight is positive (else the identity on the coordinates with weight); with
weights proportional to the squared norms of A's columns, norm(A Omega Omega^H A^H / l - A A^H)_F has mean square
at most norm(A)_F^4 / l [drineas2006]_.  Tested in `tests/sketch/test_row_sampling.py`.

No embedding: what a matrix holds in a few coordinates alone is seen only if those are drawn.  With uniform weights
this is safe for incoherent matrices; leverage scores as weights make it safe.  It is the one test matrix here
whose quality depends on A.

Differences from the paper: past n columns without replacement, another random order begins.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rnla._xp.namespace import NUMPY, from_host
from rnla.errors import DTypeError, InputError
from rnla.rng import Key

__all__ = ["RowSampling"]

Array = np.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RowSampling:
    """Uniform or weighted sampling of coordinates.

    Parameters
    ----------
    weights : array-like, shape (n,), optional
        Non-negative, finite, not all zero; any scale.  Where given, n is the number of rows of Omega.
    replace : bool, optional
        Whether a coordinate may be drawn again.  None: where weights are given.

    Raises
    ------
    InputError
        Weights that are no weights; weights without replacement, whose columns would not be isotropic; a tile of a
        test matrix that has not one row for each weight.

    Notes
    -----
    No embedding for matrices whose singular vectors live on few coordinates: choose weights by leverage, or
    another test matrix.

    Examples
    --------
    >>> from rnla.rng import Key
    >>> omega = RowSampling().tile(0, 4, 4, 4, Key(0))
    >>> (omega @ omega.T / 4).tolist() == np.eye(4).tolist()
    True
    """

    weights: Any = None
    replace: bool | None = None

    def __post_init__(self) -> None:
        if self.replace is not None and not isinstance(self.replace, (bool, np.bool_)):
            raise DTypeError(f"replace must be True, False or None, got {self.replace!r}")
        if self.replace is None:
            object.__setattr__(self, "replace", self.weights is not None)
        if self.weights is None:
            return
        try:
            weights = np.array(self.weights, dtype=np.float64)
        except (TypeError, ValueError):
            raise DTypeError("weights must be real numbers, one for each row of the test matrix") from None
        if weights.ndim != 1 or not np.all(np.isfinite(weights)) or np.any(weights < 0) or not np.any(weights > 0):
            raise InputError("weights must be a vector of finite numbers, none negative and not all zero")
        if not self.replace:
            raise InputError("weights need replace=True: without replacement the columns would not be isotropic")
        weights /= weights.max()
        weights.flags.writeable = False
        object.__setattr__(self, "weights", weights)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RowSampling):
            return NotImplemented
        if self.weights is None or other.weights is None:
            return self.weights is other.weights and self.replace == other.replace
        return np.array_equal(self.weights, other.weights)  # which are replaced, both

    def __hash__(self) -> int:
        return hash((None if self.weights is None else self.weights.tobytes(), self.replace))

    def drawn(self, rows: int, columns: int, key: Key) -> tuple[Array, Array]:
        """Return the coordinate drawn for every column, and the number 1 / sqrt(p) that stands there."""
        if self.weights is None:
            count = rows or 1
            if not self.replace:
                orders = [key.child("order", i).permutation(rows) for i in range(-(-columns // count))]
                chosen = np.concatenate([np.zeros(0, dtype=np.int64), *orders])[:columns]
            else:
                chosen = np.minimum((key.uniforms(0, columns) * rows).astype(np.int64), rows - 1)
            return chosen, np.full(len(chosen), math.sqrt(rows))
        if len(self.weights) != rows:
            raise InputError(
                f"RowSampling has {len(self.weights)} weights and the test matrix {rows} rows; give one weight for "
                "each (they are the columns of A in the row space, the rows of A in the column space)"
            )
        total = np.cumsum(self.weights)
        # The last coordinate with weight ends at the total, which a uniform number below 1 may round to.
        last = int(np.flatnonzero(self.weights)[-1])
        chosen = np.minimum(np.searchsorted(total, key.uniforms(0, columns) * total[-1], side="right"), last)
        return chosen, np.sqrt(total[-1] / self.weights[chosen])

    def tile(
        self,
        start: int,
        stop: int,
        rows: int,
        columns: int,
        key: Key,
        *,
        dtype: Any = np.float64,
        xp: Any = NUMPY,
        device: Any = None,
    ) -> Any:
        """Return rows [start, stop) of the (rows, columns) test matrix of this key, dense."""
        out = np.zeros((max(stop - start, 0), columns), dtype=dtype)
        row, column, values = self._entries(start, stop, rows, columns, key)
        out[row, column] = values
        return from_host(out, xp, device)

    def sparse_tile(self, start: int, stop: int, rows: int, columns: int, key: Key, *, dtype: Any = np.float64) -> Any:
        """Return rows [start, stop) of the (rows, columns) test matrix of this key in CSR."""
        import scipy.sparse

        row, column, values = self._entries(start, stop, rows, columns, key)
        return scipy.sparse.csr_array((values.astype(dtype), (row, column)), shape=(max(stop - start, 0), columns))

    def applier(
        self, rows: int, columns: int, key: Key, *, dtype: Any = np.float64, stored: float | None = None
    ) -> Callable[[Array], Any] | None:
        """Return the function that takes the sampled columns of rows of A; None for sparse A, where CSR does it."""
        if stored is not None:
            return None
        chosen, values = self.drawn(rows, columns, key)
        values = values.astype(dtype)
        return lambda block: block[:, chosen] * values

    def _entries(self, start: int, stop: int, rows: int, columns: int, key: Key) -> tuple[Array, Array, Array]:
        chosen, values = self.drawn(rows, columns, key)
        column = np.flatnonzero((chosen >= start) & (chosen < stop))
        return chosen[column] - start, column, values[column]
