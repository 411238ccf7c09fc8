"""How far an answer is from its matrix, and how that is known."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

__all__ = ["ErrorEstimate", "errors_of_ranks", "truncated_error"]

_NAMES = {"fro": "Frobenius", "spectral": "spectral", "nuclear": "nuclear"}


@dataclasses.dataclass(frozen=True, slots=True)
class ErrorEstimate:
    """How far a factorization is from its matrix.

    Attributes
    ----------
    value : float
        Error of the rank returned, relative to the norm of A; 0 for a zero matrix.
    absolute : float
        The same, not divided.
    norm : str
        ``"fro"``, ``"spectral"``, or ``"nuclear"`` (the sum of the singular values).
    kind : str
        ``"exact"`` (an identity, up to rounding), ``"bounded"`` (a bound that holds but with the
        failure probability) or ``"estimated"`` (a value with a standard error).
    method : str
        How it was found.
    upper : float
        Relative bound that holds but with the failure probability; nan where there is none.
    failure_probability : float
        0 for an identity; nan where no bound is claimed.
    standard_error : float
        Of `value`; 0 for an identity, nan for a bound.
    floor : float
        The relative error under which the method sees rounding only.
    norm_of_A : float
        The norm that `value` is relative to.
    residual, residual_upper : float
        Absolute error of the whole basis, before truncation, and its bound.
    cut : str
        What a cut to smaller rank drops, beside the residual R: ``"one-sided"`` (orthogonal to R on one side, as the
        projection A X X^H leaves it), ``"two-sided"`` (a corner block that R leaves free, as X X^H A X X^H does)
        or ``"sum"`` (anything: norms add).
    of : str
        The matrix whose norm `value` is relative to, in words.
    """

    value: float
    absolute: float
    norm: str
    kind: str
    method: str
    upper: float
    failure_probability: float
    standard_error: float
    floor: float
    norm_of_A: float
    residual: float
    residual_upper: float
    cut: str = "one-sided"
    of: str = "A"

    def meets(self, tol: float) -> bool:
        """Whether the error is certified to be at most a relative tolerance; never so without a bound."""
        return self.upper <= tol

    def as_bound(self, method: str | None = None) -> ErrorEstimate:
        """Return the bound alone, where the estimate is of something else than the error; itself without a bound."""
        if self.kind == "bounded" or math.isnan(self.upper):
            return self
        return dataclasses.replace(
            self, value=self.upper, absolute=self.upper * self.norm_of_A, kind="bounded", standard_error=math.nan,
            method=self.method if method is None else method,
        )  # fmt: skip

    def __str__(self) -> str:
        sign = {"exact": "=", "bounded": "<=", "estimated": "~"}[self.kind]
        if self.kind == "exact" and self.value < self.floor:
            sign, value = "<", self.floor
        else:
            value = self.value
        text = f"{sign} {value:.3g} of the {_NAMES[self.norm]} norm of {self.of}"
        if self.kind == "estimated" and self.standard_error > 0:
            text += f", standard error {self.standard_error:.1g}"
        if self.failure_probability > 0:
            text += f", at most {self.upper:.3g} but with probability {self.failure_probability:.0e}"
        return f"{text} ({self.kind}, by {self.method})"


def errors_of_ranks(residual: float, s: np.ndarray[Any, Any], norm: str, cut: str) -> np.ndarray[Any, Any]:
    """Return, for k = 0 ... len(s), the error of the first k values where `residual` is that of all.

    Squares add in the Frobenius norm where what is dropped is orthogonal to the residual R.  In the spectral norm, d
    being the largest that is dropped: norm([D R])^2 <= d^2 + r^2 for the one-sided cut; for the two-sided one
    norm([[D, C^H], [C, E]]) <= (d + sqrt(d^2 + 4 r^2)) / 2 where norm([[0, C^H], [C, E]]) = r.
    """
    if not math.isfinite(residual):
        return np.full(len(s) + 1, residual)
    errors: np.ndarray[Any, Any]
    if norm == "nuclear":
        errors = residual + np.append(np.cumsum(s[::-1])[::-1], 0.0)
    elif norm == "fro":
        scale = max(residual, float(s.max(initial=0.0))) or 1.0  # squares stay in range
        squares = np.append(np.cumsum((s[::-1] / scale) ** 2)[::-1], 0.0)
        errors = scale * np.sqrt((residual / scale) ** 2 + squares)
        if cut == "sum":
            errors = residual + scale * np.sqrt(squares)
    else:
        largest = np.append(np.maximum.accumulate(s[::-1])[::-1], 0.0)
        if cut == "sum":
            errors = residual + largest
        elif cut == "two-sided":
            errors = (largest + np.hypot(largest, 2 * residual)) / 2
        else:
            errors = np.hypot(residual, largest)
    return errors


def _with_dropped(residuals: tuple[float, ...], dropped: np.ndarray[Any, Any], norm: str, cut: str) -> list[float]:
    """Return the first of `errors_of_ranks` for each residual, the error without any of the values.

    To the bit, but in fewer calls.
    """
    if norm != "fro" or cut == "sum" or not all(map(math.isfinite, residuals)):
        return [float(errors_of_ranks(residual, dropped, norm, cut)[0]) for residual in residuals]
    top, errors, before, squares = float(dropped.max()), [], 0.0, 0.0
    for residual in residuals:
        scale = max(residual, top) or 1.0  # squares stay in range
        if scale != before:
            before, squares = scale, float(((dropped[::-1] / scale) ** 2).cumsum()[-1])
        errors.append(scale * math.sqrt((residual / scale) ** 2 + squares))
    return errors


def truncated_error(error: ErrorEstimate, s: np.ndarray[Any, Any], k: int) -> ErrorEstimate:
    """Return the error after keeping the first k of the values s of a result, whose error is known.

    Exact where squares add, or the nuclear norms of semidefinite matrices; a bound else.
    """
    dropped = s[k:]
    if len(dropped) == 0 or error.norm_of_A == 0:
        return error
    adds = error.norm == "nuclear" or (error.norm == "fro" and error.cut != "sum")
    # In the spectral norm joined to the residual of the whole basis, so that steps do not add up.
    start, above = error.absolute, error.upper * error.norm_of_A
    if error.norm == "spectral" and error.cut != "sum":
        start, above = error.residual, error.residual_upper
    absolute, upper = _with_dropped((start, above), dropped, error.norm, error.cut)
    upper /= error.norm_of_A
    if error.cut == "sum" and error.upper * error.norm_of_A > error.residual_upper > 0:
        # The bound divides by the least that an estimated norm of A can be; so must what is dropped.
        upper = error.upper + (upper - error.upper) * error.upper * error.norm_of_A / error.residual_upper
    value = absolute / error.norm_of_A
    if error.cut == "one-sided":  # such a projection is never worse than nothing
        value, upper = min(1.0, value), min(1.0, upper) if error.norm == "spectral" else upper
    spread = error.standard_error * (error.value / value) if value > 0 else error.standard_error
    kind = error.kind if adds or error.kind == "estimated" else "bounded"
    cut = dataclasses.replace(error, value=value, absolute=absolute, upper=upper, standard_error=spread, kind=kind)
    return cut if adds or kind == "bounded" else cut.as_bound()  # a sum of norms estimates nothing
