"""What was asked of a kept root, and what is known of its matrix and of its error."""

from __future__ import annotations

import dataclasses
import math

from rnla.matfun.anchor import FAILURE

__all__ = ["Asked", "Drift"]


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of a state.

    Attributes
    ----------
    power, tol : float
    horizon : int
    on_drift : str
    """

    power: float
    tol: float
    horizon: int
    on_drift: str


@dataclasses.dataclass(frozen=True, slots=True)
class Drift:
    """What is known of the matrix B and of the error of its root; everything is absolute.

    Attributes
    ----------
    error : float
        Bound on norm(B - S^2), the frame taken as unitary.
    skew : float
        norm(U^H U - I) of the frame.
    matrix : float
        Bound on what rounding did to A, where it is kept.
    lower, upper : float
        Bounds on norm(B).
    trace : float
        Of B.
    failure : float
        Probability that a measurement among these is wrong.
    inverse : float
        Bound on norm(B^{-1}), where the inverse root is asked for; else 0.
    """

    error: float
    skew: float
    matrix: float
    lower: float
    upper: float
    trace: float
    failure: float
    inverse: float = 0.0

    @property
    def total(self) -> float:
        """Bound on norm(B - (U S U^H)^2)."""
        return self.error + self.skew * (1 + self.skew) * (self.upper + self.error)

    def relative(self, power: float) -> float:
        """Return the bound relative to norm(B), or for power -0.5 that on the inverse relative to norm(B^{-1})."""
        if power > 0:
            return self.total / self.lower if self.lower > 0 else (math.inf if self.total else 0.0)
        share = self.total * self.inverse
        return share / (1 - share) if share < 1 else math.inf

    def chance(self, power: float) -> float:
        """Return the probability that what `relative` says fails; the bound on the inverse takes two measurements."""
        return self.failure + (0.0 if power > 0 else 2 * FAILURE)

    def scaled(self, factor: float) -> Drift:
        """Return what is known of factor B."""
        return Drift(
            self.error * factor, self.skew, self.matrix * factor, self.lower * factor, self.upper * factor,
            self.trace * factor, self.failure, self.inverse / factor,
        )  # fmt: skip
