"""What counts as an outlier: single entries, or whole columns.

T_z(X) keeps of X what is an outlier at the threshold z and is zero elsewhere:

- entries: abs(X[i, j]) >= z (hard thresholding);
- columns: the root of the mean square of column j >= z (what outlier pursuit calls corrupted samples).

A complex entry is judged by its modulus.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from rnla._xp.linalg import cast, max_abs
from rnla._xp.namespace import namespace_of
from rnla.checks import check_choice, check_number, check_positive
from rnla.errors import InputError
from rnla.operators.scan import times_power_of_two
from rnla.robust.scaling import exponent_for

__all__ = ["Threshold", "as_threshold", "column_levels", "split"]

_TINY = 1e-37


@dataclasses.dataclass(frozen=True, slots=True)
class Threshold:
    """What is taken for an outlier.

    Parameters
    ----------
    kind : {"entries", "columns"}
        Single entries by their modulus, or whole columns (corrupted samples) by the root of the mean square of D - L
        on them: both in the scale of the entries of D.
    start : float, optional
        The first threshold, in the scale of D; by default the largest modulus that is read first, or just above L
        where outliers are larger than it by decades (`rnla.robust.starting`).
    least : float
        The threshold falls to this and never below: three to five standard deviations of the noise, for noisy data.
        Not for `PrincipalComponentPursuit`, which takes its levels from itself.
    outliers : float, optional
        Share of the entries that is expected to be corrupted; only the plan reads it.

    Examples
    --------
    >>> Threshold(outliers=0.2).kind
    'entries'
    """

    kind: str = "entries"
    start: float | None = None
    least: float = 0.0
    outliers: float | None = None

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, ("entries", "columns"))
        if self.start is not None:
            check_positive("start", self.start)
        if not 0 <= check_number("least", self.least) < math.inf:
            raise InputError(f"least={self.least} must not be negative: it is the smallest threshold, about 3 sigma")
        if self.outliers is not None and not 0 <= check_number("outliers", self.outliers) < 1:
            raise InputError(f"outliers={self.outliers} must be a share, at least 0 and below 1")

    def at(self, value: float) -> float:
        """Return a threshold, not below the least and above 0, so that zeros are no outliers."""
        return max(value, self.least, _TINY)


def as_threshold(value: Any) -> Threshold:
    """Return the part for what a caller passed as ``threshold=``."""
    if value is None:
        return Threshold()
    if isinstance(value, Threshold):
        return value
    if isinstance(value, str):
        return Threshold(kind=check_choice("threshold", value, ("entries", "columns")))
    raise InputError(f"threshold={value!r} must be 'entries', 'columns' or a Threshold(...)")


def column_levels(gap: Any, observed: Any = None) -> Any:
    """Return the root mean square of each column, over the entries that are observed."""
    xp = namespace_of(gap)
    size = xp.abs(gap) if observed is None else xp.where(observed, xp.abs(gap), xp.zeros_like(xp.abs(gap)))
    exponent = exponent_for(max_abs(size), size.dtype)
    if exponent:
        return times_power_of_two(column_levels(times_power_of_two(size, -exponent), observed), exponent)
    squares = size**2
    if observed is None:
        return xp.sqrt(xp.mean(squares, axis=0)) if gap.shape[0] else xp.sum(squares, axis=0)
    counts = xp.sum(cast(observed, squares.dtype), axis=0)
    return xp.sqrt(xp.sum(squares, axis=0) / xp.where(counts > 0, counts, xp.ones_like(counts)))


def split(block: Any, model: Any, threshold: float, kind: str, observed: Any = None, flags: Any = None) -> Any:
    """Return where the entries of a block are outliers against a model, and the largest level that was judged.

    Parameters
    ----------
    block, model : array, shape (m, n)
    threshold : float
    kind : str
    observed : array of bool, optional
        Where there are entries at all; the others are no outliers.
    flags : array of bool, shape (n,), optional
        Columns found to be outliers before, for the kind "columns".
    """
    xp = namespace_of(block)
    gap = block - model
    if kind == "entries":
        level = xp.abs(gap)
        level = level if observed is None else xp.where(observed, level, xp.zeros_like(level))
        return level >= threshold, (float(xp.max(level)) if math.prod(block.shape) else 0.0)
    level = column_levels(gap, observed)
    flags = level >= threshold if flags is None else flags
    beyond = xp.broadcast_to(flags[None, :], block.shape)
    beyond = beyond if observed is None else beyond & observed
    return beyond, (float(xp.max(level)) if math.prod(block.shape) else 0.0)
