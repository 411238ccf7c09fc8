"""A power of two that A_half and D are divided by, so that their squares stay in the range of the numbers.

(2^e H)^2 + sign (2^e D)(2^e D)^H = 4^e (H^2 + sign D D^H): the correction of the root is scaled by 2^e, that of the
inverse root by 2^{-e}, of a fourth root by 2^{e/2} (e is even), and nothing is rounded.  In a comfortable range e = 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._xp.linalg import eps_of
from rnla.errors import NonFiniteError
from rnla.matfun.change import Change
from rnla.matfun.roots import Root

__all__ = ["common_exponent", "of_power", "require_representable", "rescaled"]

_COMFORT = {True: 1e5, False: 1e60}  # of single and of double precision: fourth powers stay in range


def common_exponent(root: Root, change: Change, power: float) -> int:
    """Return the even e so that 2^-e A_half and 2^-e D have a comfortable size."""
    comfort = _COMFORT[eps_of(root.dtype) > 1e-10]
    own, other = root.magnitude, math.ldexp(math.sqrt(change.norm), min(change.exponent, 1020))
    size = max(own, other)
    if power < 0 and own > 0:  # of the inverse the smallest eigenvalues are the largest
        size = math.sqrt(root.lower) * math.sqrt(own) if 0 < root.lower < own else own
    if change.exponent == 0 and (size == 0 or (1 / comfort <= size <= comfort and other <= comfort**2)):
        return 0
    return 2 * (math.frexp(size)[1] // 2) if 0 < size < math.inf else 2 * (change.exponent // 2)


def rescaled(change: Change, exponent: int) -> Change:
    """Return the change of 2^-exponent D, with nothing of its own exponent left.

    Raises
    ------
    NonFiniteError
        It leaves the range of the numbers, so different are the sizes of A_half and D.
    """
    shift = change.exponent - exponent
    if shift > change.highest:
        raise NonFiniteError(
            f"D is about 2^{shift} times as large as the smallest eigenvalue of A_half, and squares overflow; bring "
            "A_half and D nearer to each other, or ask for power=0.5 or 0.25"
        )
    return change.shifted(shift)


def of_power(exponent: int, power: float) -> int:
    """Return the exponent of the correction of a power of A where A_half was divided by 2^exponent."""
    return round(2 * exponent * power)


def require_representable(w: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> None:
    """Raise where the correction itself leaves the range of its dtype."""
    largest = float(np.abs(w).max(initial=0.0))
    if not largest <= float(np.finfo(dtype).max):
        raise NonFiniteError(
            f"the correction has eigenvalues of {largest:.1e}, which {dtype} does not hold; scale A_half and D, or "
            "take double precision"
        )
