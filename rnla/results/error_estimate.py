"""How far an answer is from its matrix, and how that is known."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

__all__ = ["ErrorEstimate", "truncated_error"]


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
        ``"fro"`` or ``"spectral"``.
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

    def meets(self, tol: float) -> bool:
        """Whether the error is certified to be at most a relative tolerance; never so without a bound."""
        return self.upper <= tol

    def __str__(self) -> str:
        sign = {"exact": "=", "bounded": "<=", "estimated": "~"}[self.kind]
        if self.kind == "exact" and self.value < self.floor:
            sign, value = "<", self.floor
        else:
            value = self.value
        text = f"{sign} {value:.3g} of the {'Frobenius' if self.norm == 'fro' else 'spectral'} norm of A"
        if self.kind == "estimated" and self.standard_error > 0:
            text += f", standard error {self.standard_error:.1g}"
        if self.failure_probability > 0:
            text += f", at most {self.upper:.3g} but with probability {self.failure_probability:.0e}"
        return f"{text} ({self.kind}, by {self.method})"


def truncated_error(error: ErrorEstimate, s: np.ndarray[Any, Any], k: int) -> ErrorEstimate:
    """Return the error after keeping k of the singular values of a result.

    The dropped part is orthogonal to the residual on one side, so squares add in the Frobenius norm;
    in the spectral norm the sum of squares is a bound.
    """
    dropped = s[k:]
    if len(dropped) == 0 or error.norm_of_A == 0:
        return error
    if error.norm == "fro":
        absolute = math.hypot(error.absolute, *dropped.tolist())
        upper = math.hypot(error.upper * error.norm_of_A, *dropped.tolist()) / error.norm_of_A
    else:  # joined to the residual of the whole basis, so that steps do not add up
        absolute = math.hypot(error.residual, float(dropped[0]))
        upper = min(1.0, math.hypot(error.residual_upper, float(dropped[0])) / error.norm_of_A)
    value = min(1.0, absolute / error.norm_of_A)
    spread = error.standard_error * (error.value / value) if value > 0 else error.standard_error
    kind = "bounded" if error.norm == "spectral" else error.kind
    return dataclasses.replace(error, value=value, absolute=absolute, upper=upper, standard_error=spread, kind=kind)
