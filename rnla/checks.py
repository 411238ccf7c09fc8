"""Argument checks whose messages say what to do; made before any work."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla.errors import DTypeError, InputError

__all__ = [
    "check_choice",
    "check_norm",
    "check_number",
    "check_positive",
    "check_rank",
    "check_shift",
    "check_tol",
    "check_whole",
]


def check_whole(name: str, value: Any, least: int = 0) -> int:
    """Return a whole number as int; refuse floats, booleans, and what lies below `least`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise DTypeError(f"{name} must be an integer, got {value!r} of type {type(value).__name__}")
    if value < least:
        raise InputError(f"{name}={int(value)} must be at least {least}")
    return int(value)


def check_rank(rank: Any, shape: tuple[int, int], instead: str | None = None) -> int:
    """Return the rank as int, within the matrix; `instead` is what may be given in its place, if not a tolerance."""
    if isinstance(rank, (float, np.floating)) and 0 < rank < 1 and instead is None:
        raise DTypeError(f"rank must be an integer, got {rank!r}; a share of the sum of squares is energy={rank!r}")
    value = check_whole("rank", rank)
    limit = min(shape)
    if value > limit:
        raise InputError(
            f"rank={value} is larger than min(m, n)={limit} of the {shape[0]} x {shape[1]} matrix; "
            f"ask for rank={limit} or less, or {instead or 'give tol= alone'}"
        )
    return value


def tol_floor(dtype: np.dtype[Any]) -> float:
    """Return the smallest relative tolerance that means anything in a dtype: 10 eps."""
    return 10 * float(np.finfo(dtype).eps)


def check_tol(tol: Any, dtype: np.dtype[Any]) -> float:
    """Return the tolerance as float, above the floor of the dtype."""
    value = check_number("tol", tol)
    if not 0 < value < math.inf:
        raise InputError(f"tol={value} must be positive and finite: it is the error allowed relative to the norm of A")
    floor = tol_floor(dtype)
    if value < floor:
        raise InputError(
            f"tol={value:.1e} is below what {dtype} can certify, about {floor:.1e} (10 eps); "
            + ("convert A to float64, or ask" if np.finfo(dtype).eps > 1e-10 else "ask")
            + f" for tol={floor:.1e} or more"
        )
    return value


def check_number(name: str, value: Any) -> float:
    """Return a real number as float; refuse words and truth values."""
    if isinstance(value, (bool, np.bool_, str)):
        raise DTypeError(f"{name} must be a number, got {value!r}")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise DTypeError(f"{name} must be a number, got a {type(value).__name__}") from None


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return one of the allowed words."""
    if value not in choices:
        raise InputError(f"{name}={value!r} is not one of {', '.join(map(repr, choices))}")
    return str(value)


def check_norm(norm: Any) -> str:
    """Return the name of the norm that the error is measured in."""
    return check_choice("norm", norm, ("fro", "spectral"))


def check_positive(name: str, value: Any) -> float:
    """Return a positive, finite number as float."""
    number = check_number(name, value)
    if not 0 < number < math.inf:
        raise InputError(f"{name}={number} must be positive and finite")
    return number


def check_shift(s: Any) -> float:
    """Return the shift of a solve as float; refuse what is negative or not finite."""
    shift = check_number("s", s)
    if not 0 <= shift < math.inf:
        raise InputError(f"s={s} must be a finite number that is not negative: the root plus s I is solved with")
    return shift
