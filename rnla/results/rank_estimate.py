"""The result of `rnla.rank_estimate`: a rank, between two bounds where it is uncertain."""

from __future__ import annotations

import dataclasses

from rnla.results.singular_values import SingularValues

__all__ = ["RankEstimate"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class RankEstimate:
    """A rank by a rule, and the ranks that are possible; ``int(estimate)`` is the rank.

    Attributes
    ----------
    rank : int
        What the rule gives for the values found.
    lower, upper : int
        The ranks between which that of the rule lies, but with `failure_probability`.
    rule : str
        ``"tolerance"``, ``"energy"``, ``"gavish_donoho"`` or ``"marchenko_pastur"``.
    threshold : float
        Values above it count; for ``"energy"`` the share of the squared norm.
    noise : float or None
        Standard deviation of the noise in an entry, given or estimated, for the rules that have one.
    failure_probability : float
        That a bound fails.
    singular_values : SingularValues
        The values with their bounds, their certificate and their report.
    """

    rank: int
    lower: int
    upper: int
    rule: str
    threshold: float
    noise: float | None
    failure_probability: float
    singular_values: SingularValues

    @property
    def certain(self) -> bool:
        """Whether only one rank is possible."""
        return self.lower == self.upper

    def __int__(self) -> int:
        return self.rank

    __index__ = __int__

    def __str__(self) -> str:
        between = "" if self.certain else f", between {self.lower} and {self.upper}"
        what = "share of the squared norm" if self.rule == "energy" else "values above"
        noise = "" if self.noise is None else f", noise {self.noise:.4g}"
        sure = "certain" if self.certain else "between them"
        chance = f"; {sure} but with probability {self.failure_probability:.0e}" if self.failure_probability else ""
        return f"rank {self.rank}{between} (by {self.rule}: {what} {self.threshold:.4g}{noise}{chance})"

    __repr__ = __str__
