"""Norm and finiteness of a matrix, gathered block by block, safe from overflow and underflow."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._xp.linalg import is_complex, max_abs
from rnla._xp.namespace import is_numpy, namespace_of
from rnla.errors import NonFiniteError
from rnla.operators.protocols import Magnitude, scale_exponent

__all__ = ["BlockScan", "times_power_of_two"]


def _squares(block: Any) -> float:
    """Return the sum of squared moduli: within a row in the block's dtype, across rows in float64."""
    xp = namespace_of(block)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # libraries built on NumPy warn as it does
        if is_numpy(xp):
            return float(np.vecdot(block, block).real.sum(dtype=np.float64))
        rows = xp.vecdot(block, block)
        return float(xp.sum(xp.real(rows) if is_complex(block.dtype) else rows, dtype=xp.float64))


def times_power_of_two(block: Any, exponent: int) -> Any:
    """Return a block times ``2**exponent``, in two steps so that the factor itself stays in range."""
    half = exponent // 2
    return block * 2.0**half * 2.0 ** (exponent - half)


@dataclasses.dataclass(slots=True)
class BlockScan:
    """What the blocks seen so far say of their matrix.

    The order of the blocks does not matter, nor do repeats.
    """

    dtype: np.dtype[Any]
    sums: dict[int, tuple[float, int, float]] = dataclasses.field(default_factory=dict)

    @property
    def largest(self) -> float:
        """A number between the largest modulus and the norm of its block."""
        return max((largest for _, _, largest in self.sums.values()), default=0.0)

    def take(self, start: int, total: float) -> bool:
        """Take the sum of squares of a block in, unless it has left the range of the numbers; whether it was taken."""
        single = np.finfo(self.dtype).eps > 1e-10
        low, high = (1e-30, 1e30) if single else (1e-280, 1e280)
        fits = low < total < high
        if fits:
            self.sums[start] = (total, 0, math.sqrt(total))
        return fits

    def see(self, start: int, block: Any, what: str = "rows") -> None:
        """Take one block in; raise `NonFiniteError` if it holds NaN or infinity."""
        if math.prod(block.shape) == 0:
            return
        if self.take(start, _squares(block)):
            return
        # Overflow, underflow, zeros, or something not finite: look at the entries themselves.
        xp = namespace_of(block)
        if not bool(xp.all(xp.isfinite(block))):
            stop = start + block.shape[0] - 1
            raise NonFiniteError(
                f"the matrix holds NaN or infinity in {what} {start} to {stop}; remove or impute such entries first"
            )
        biggest = max_abs(block)
        if biggest > 0:
            exponent = math.frexp(biggest)[1]
            self.sums[start] = (_squares(times_power_of_two(block, -exponent)), exponent, biggest)

    def magnitude(self) -> Magnitude:
        """Return the magnitude of all that was seen."""
        exponent = scale_exponent(self.largest, self.dtype)
        terms = (math.ldexp(total, 2 * (own - exponent)) for _, (total, own, _) in sorted(self.sums.items()))
        return Magnitude(math.sqrt(math.fsum(terms)), exponent)
