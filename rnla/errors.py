"""The errors and warnings of `rnla`: one tree, each also a builtin that callers may already catch.

Problem: a caller should be able to write ``except rnla.RnlaError`` for everything that the library
refuses, or ``except ValueError`` without knowing the library.  Every message says what was wrong,
what was expected, and what to try.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "AccuracyWarning",
    "BackendError",
    "BudgetError",
    "DTypeError",
    "DeadlineReached",
    "InputError",
    "IntegrityError",
    "NonFiniteError",
    "OperatorError",
    "RankWarning",
    "RnlaError",
    "RnlaWarning",
    "ToleranceNotMet",
]


class RnlaError(Exception):
    """Base of every error that `rnla` raises on purpose."""


class InputError(RnlaError, ValueError):
    """An argument has a wrong value or shape, or two arguments contradict each other."""


class DTypeError(RnlaError, TypeError):
    """A data type or container that cannot be used; the message names the cure."""


class NonFiniteError(RnlaError, ValueError):
    """NaN or infinity in the data, or an overflow on the way; the message says where."""


class OperatorError(RnlaError, RuntimeError):
    """A user's operator broke its contract (shape, adjoint, missing method)."""


class BudgetError(RnlaError, MemoryError):
    """The work would need more memory than allowed; raised before it starts, with a setting that fits."""


class IntegrityError(RnlaError, OSError):
    """A file or a data structure is damaged: truncated, out of range, inconsistent."""


class BackendError(RnlaError, RuntimeError):
    """Arrays of different libraries or devices were mixed, or a backend is not usable."""


class _WithResult(RnlaError, RuntimeError):
    """An error that keeps what was computed."""

    def __init__(self, message: str, result: Any = None) -> None:
        super().__init__(message)
        self.result = result

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (str(self), self.result))


class ToleranceNotMet(_WithResult):
    """What was asked was not reached.  ``.result`` holds the answer that was, with its certificate."""


class DeadlineReached(_WithResult):
    """The deadline passed.  ``.result`` holds the best certified answer so far, or None before the first."""


class RnlaWarning(UserWarning):
    """Base of every warning that `rnla` issues."""


class AccuracyWarning(RnlaWarning):
    """Something unasked that touches accuracy."""


class RankWarning(RnlaWarning):
    """The numerical rank of the matrix is below the rank asked for."""
