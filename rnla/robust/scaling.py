"""A power of two that D is divided by while it is worked on, so that squares stay in the range of the numbers.

D = L + S holds for D 2^-e with L 2^-e and S 2^-e: singular values and thresholds are scaled back at the end, and
but for entries that underflow nothing is rounded.  The largest modulus of the entries that are read first tells e; in
a comfortable range e = 0.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._xp.linalg import eps_of
from rnla.errors import NonFiniteError

__all__ = ["OtherScaleError", "exponent_for", "resolved", "scaled_back", "scaled_method", "unscaled"]

_COMFORT = {True: (1e-6, 1e8), False: (1e-20, 1e60)}  # of single and of double precision
_LARGEST = 1e300


class OtherScaleError(Exception):
    """The entries read first are too large or too small to square; the reader has taken a scale, begin again."""


def exponent_for(largest: float, dtype: Any) -> int:
    """Return e so that 2^-e times this largest modulus is about 1, 0 where it is comfortable as it is."""
    low, high = _COMFORT[eps_of(dtype) > 1e-10]
    if largest == 0 or not math.isfinite(largest) or low <= largest <= high:
        return 0
    return math.frexp(largest)[1]


def scaled_method(method: Any, exponent: int) -> Any:
    """Return a method whose threshold is meant for D 2^-exponent."""
    part = method.threshold
    if exponent == 0:
        return method

    def smaller(value: float) -> float:
        with np.errstate(over="ignore", under="ignore"):
            return min(float(np.ldexp(value, -exponent)), _LARGEST)

    start = None if part.start is None else max(smaller(part.start), 1 / _LARGEST)
    return dataclasses.replace(method, threshold=dataclasses.replace(part, start=start, least=smaller(part.least)))


def unscaled(value: float, exponent: int) -> float:
    """Return value 2^exponent, inf where that overflows."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.ldexp(value, exponent))


def resolved(rms: float, tol: float, dtype: np.dtype[Any]) -> bool:
    """Whether `tol` times the root mean square of L can still be squared beside the outliers that took the scale."""
    return rms * max(tol, eps_of(dtype)) > math.sqrt(float(np.finfo(dtype).tiny))


def scaled_back(s: Any, exponent: int, good: bool) -> Any:
    """Return singular values times 2^exponent; those of an answer that is not `good` anyway may be infinite.

    Raises
    ------
    NonFiniteError
        The dtype does not hold them.
    """
    if exponent == 0:
        return s
    half = exponent // 2
    with np.errstate(over="ignore", under="ignore"):
        out = s * 2.0**half * 2.0 ** (exponent - half)
    if good and int(s.shape[0]) and not math.isfinite(float(out[0])):
        raise NonFiniteError(
            f"L has a singular value of about 2^{math.frexp(float(s[0]))[1] + exponent}, which {s.dtype} does not "
            "hold; scale D down"
        )
    return out
