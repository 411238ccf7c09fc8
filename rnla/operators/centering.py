"""What is done to the columns and rows of a matrix before it is decomposed, in the precision of its products.

The centre is held in two numbers of the compute dtype, high + low: entries lie close to high where cancellation
threatens, so that their difference is exact, and low is what rounding took from the mean.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from rnla._xp.linalg import cast, is_complex

__all__ = ["Centering", "in_two"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Centering:
    """What is subtracted from the columns, what they are divided by, and the roots of the rows' weights.

    Attributes
    ----------
    high, low : array, shape (n,), or None
        The centre is their sum; both in the compute dtype of the matrix.  None: nothing is subtracted.
    scale : array, shape (n,), or None
        Positive, real.
    roots : array, shape (m,), or None
        Not negative, real.
    """

    high: Any
    low: Any
    scale: Any
    roots: Any

    def shifted(self, block: Any, columns: slice = slice(None)) -> Any:
        """Return a copy of a block of whole rows, or of some columns, with the centre subtracted."""
        if self.high is None:
            return block
        out = block - self.high[None, columns]
        if isinstance(out, np.ndarray):
            out -= self.low[None, columns]
            return out
        return out - self.low[None, columns]

    def block(self, block: Any, rows: slice, columns: slice) -> Any:
        """Return a block of B."""
        out = self.shifted(block, columns)
        if self.scale is not None:
            out = out / cast(self.scale, out.dtype)[None, columns]
        return out if self.roots is None else out * cast(self.roots, out.dtype)[rows, None]

    def before(self, x: Any) -> Any:
        """Return what A - 1 c^T multiplies instead of X."""
        return x if self.scale is None else x / cast(self.scale, x.dtype)[:, None]

    def weighted(self, y: Any) -> Any:
        """Return rows times the roots of their weights."""
        return y if self.roots is None else y * cast(self.roots, y.dtype)[:, None]

    def less_mean(self, y: Any, x: Any) -> Any:
        """Return (A - 1 c^T) X from Y = A X."""
        if self.high is None:
            return y
        return y - (self.high[None, :] @ x + self.low[None, :] @ x)

    def less_mean_adjoint(self, z: Any, y: Any, xp: Any) -> Any:
        """Return the adjoint of A - 1 c^T times Y from Z, the adjoint of A times Y."""
        if self.high is None:
            return z
        sums = xp.sum(y, axis=0)[None, :]
        high, low = self.high[:, None], self.low[:, None]
        if is_complex(high.dtype):
            high, low = xp.conj(high), xp.conj(low)
        return z - (high * sums + low * sums)


def in_two(values: Any, rest: Any, dtype: np.dtype[Any], xp: Any) -> tuple[Any, Any]:
    """Return (high, low) in a dtype, whose sum is as close to values + rest as two such numbers come."""
    narrow = getattr(xp, dtype.name)
    high = cast(values, narrow)
    low = values - cast(high, values.dtype)
    return high, cast(low if rest is None else low + rest, narrow)
