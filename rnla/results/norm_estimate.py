"""The result of `rnla.norm_estimate`: a norm between two bounds."""

from __future__ import annotations

import dataclasses

__all__ = ["NormEstimate"]

_NAMES = {"fro": "Frobenius", "spectral": "spectral", "nuclear": "nuclear"}


@dataclasses.dataclass(frozen=True, slots=True)
class NormEstimate:
    """A norm of a matrix between a lower and an upper bound; ``float(estimate)`` is its value.

    Attributes
    ----------
    norm : str
        ``"spectral"``, ``"fro"`` or ``"nuclear"``.
    value, lower, upper : float
    failure_probability : float
        That the norm lies outside; 0 for an exact one.
    kind : str
        ``"exact"`` (up to rounding, which the bounds allow for) or ``"bounded"``.
    method : str
        How it was found.
    passes, scans, products : int
        What was read of the matrix.
    seed : int
        ``rng=estimate.seed`` repeats the call.
    """

    norm: str
    value: float
    lower: float
    upper: float
    failure_probability: float
    kind: str
    method: str
    passes: int
    scans: int
    products: int
    seed: int

    @property
    def width(self) -> float:
        """How far the bounds are apart, relative to the lower one."""
        if self.upper == self.lower:
            return 0.0
        return self.upper / self.lower - 1 if self.lower > 0 else float("inf")

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        text = f"{_NAMES[self.norm]} norm {self.value:.6g}"
        if self.kind == "exact":
            return f"{text} (exact, by {self.method})"
        chance = f", but with probability {self.failure_probability:.0e}" if self.failure_probability else ""
        return f"{text}, between {self.lower:.6g} and {self.upper:.6g}{chance} (bounded, by {self.method})"

    __repr__ = __str__
