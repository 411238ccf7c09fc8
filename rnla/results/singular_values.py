"""The result of `rnla.svdvals`: leading singular values, each between two bounds."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import numpy as np

from rnla._xp.linalg import host_values
from rnla.errors import InputError
from rnla.results.base import RESULTS, Result, listed
from rnla.results.error_estimate import ErrorEstimate
from rnla.results.report import Report, Resume, Status

__all__ = ["SingularValues"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class SingularValues(Result):
    """Leading singular values of a matrix between lower and upper bounds.

    Unpacks as ``values, lower, upper = result``.

    Attributes
    ----------
    values : array, shape (k,)
        Descending, in the library and on the device of A; the best values that the basis found gives.
    lower, upper : array, shape (k,)
        ``lower[j] <= s_j(A) <= upper[j]``, rounding included; the lower ones always, the upper ones but with
        `failure_probability`, for all of them together.
    next_upper : float
        An upper bound on the first value that is not returned, and so on all of these.
    frobenius : tuple of float
        Lower and upper bound on the Frobenius norm of A.
    failure_probability : float
        That one of the upper bounds or of `frobenius` fails; 0 where no chance entered them.
    error : ErrorEstimate
        Of the approximation that the values belong to.
    report : Report
        What was done.
    status : Status
        Whether what was asked was reached.
    resume : Resume or None
        What `extend` goes on from.
    """

    factor_names: ClassVar[tuple[str, ...]] = ("values", "lower", "upper")
    title: ClassVar[str] = "Singular values"

    values: Any
    lower: Any
    upper: Any
    next_upper: float
    frobenius: tuple[float, float]
    failure_probability: float
    error: ErrorEstimate
    report: Report
    status: Status
    resume: Resume | None = dataclasses.field(default=None, repr=False)
    _source: Any = dataclasses.field(default=None, repr=False)

    @property
    def rank(self) -> int:
        """Number of values."""
        return int(self.values.shape[0])

    @property
    def tail(self) -> tuple[float, float]:
        """Lower and upper bound on the sum of squares of the values that are not returned.

        Examples
        --------
        >>> import numpy as np, rnla
        >>> low, high = rnla.svdvals(np.diag([4.0, 3.0, 0.0]), 1).tail
        >>> bool(low <= 9 <= high and high - low < 1e-12)
        True
        """
        unit = self.frobenius[1]
        if unit == 0 or math.isinf(unit):
            return 0.0, unit
        low, high = (math.fsum(((host_values(bound) / unit) ** 2).tolist()) for bound in (self.lower, self.upper))
        least, most = (self.frobenius[0] / unit) ** 2 - high, 1.0 - low
        return max(0.0, least) * unit * unit, max(0.0, most) * unit * unit

    def shares(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return bounds on the share of the squared Frobenius norm that the first j values hold, for j = 1 to k."""
        if self.frobenius[1] == 0:
            return np.zeros(self.rank), np.ones(self.rank)
        lower = np.cumsum((host_values(self.lower) / self.frobenius[1]) ** 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            upper = np.cumsum((host_values(self.upper) / self.frobenius[0]) ** 2)
        return np.minimum(lower, 1.0), np.fmin(upper, 1.0)

    def as_operator(self) -> Any:
        """Refuse: the vectors were not kept."""
        raise InputError("singular values alone make no matrix; rnla.svd gives the vectors with them")

    def fits(self) -> bool:
        """Whether the shapes of the arrays agree."""
        shapes = {tuple(self.values.shape), tuple(self.lower.shape), tuple(self.upper.shape)}
        return shapes == {(self.rank,)}

    def lines(self) -> list[tuple[str, str]]:
        """Return the lines about the values."""
        values, low, high = (host_values(each) for each in self)
        shown = listed([f"{x:.4g}" for x in values])
        width = float(np.max((high - low) / np.where(high > 0, high, 1), initial=0.0))
        chance = f", but with probability {self.failure_probability:.0e}" if self.failure_probability else ""
        rest = "nothing is left" if self.next_upper == 0 else f"at most {self.next_upper:.4g} each"
        return [
            ("values", shown or "none"),
            ("bounds", f"at most {width:.1g} apart, relative to the value{chance}"),
            ("the rest", rest),
        ]


RESULTS.append(SingularValues)
