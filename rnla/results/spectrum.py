"""The result of `rnla.spectrum`: the scree, with bounds on the values and on the shares of energy."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

import numpy as np

from rnla._xp.linalg import host_values
from rnla.results.error_estimate import ErrorEstimate
from rnla.results.report import Report, Status
from rnla.results.singular_values import SingularValues

__all__ = ["Spectrum"]

_SHOWN = 20  # lines of the table


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class Spectrum:
    """The leading part of a spectrum with bounds, and what lies beyond it.

    Attributes
    ----------
    singular_values : SingularValues
        The values with their bounds, their certificate and their report.
    values, lower, upper : numpy.ndarray, shape (k,)
        The values and their bounds, on the host in double precision.
    share_lower, share_upper : numpy.ndarray, shape (k,)
        Bounds on the share of the squared Frobenius norm in the first j values.
    tail : tuple of float
        Bounds on the sum of squares of the values past these.
    rank, shape, error, report, status
        Those of `singular_values`, as every result has them.
    """

    singular_values: SingularValues

    @property
    def rank(self) -> int:
        """How many values there are."""
        return self.singular_values.rank

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the matrix."""
        return self.singular_values.shape

    @property
    def error(self) -> ErrorEstimate:
        """How far the projection with these values is from the matrix."""
        return self.singular_values.error

    @property
    def report(self) -> Report:
        """What was done."""
        return self.singular_values.report

    @property
    def status(self) -> Status:
        """Whether what was asked was reached."""
        return self.singular_values.status

    @property
    def values(self) -> np.ndarray[Any, Any]:
        """The values."""
        return host_values(self.singular_values.values)

    @property
    def lower(self) -> np.ndarray[Any, Any]:
        """Their lower bounds."""
        return host_values(self.singular_values.lower)

    @property
    def upper(self) -> np.ndarray[Any, Any]:
        """Their upper bounds."""
        return host_values(self.singular_values.upper)

    @property
    def share_lower(self) -> np.ndarray[Any, Any]:
        """Lower bounds on the cumulative shares."""
        return self.singular_values.shares()[0]

    @property
    def share_upper(self) -> np.ndarray[Any, Any]:
        """Upper bounds on the cumulative shares."""
        return self.singular_values.shares()[1]

    @property
    def tail(self) -> tuple[float, float]:
        """Bounds on the sum of squares of the values past these."""
        return self.singular_values.tail

    def extend(self, rank: int | None = None, *, tol: float | None = None, A: Any = None) -> Spectrum:
        """Return more of the spectrum; takes what `SingularValues.extend` takes."""
        return Spectrum(self.singular_values.extend(rank, tol=tol, A=A))

    def plot(self, path: Any = None, *, title: str = "") -> bytes | None:
        """Draw values and cumulative shares with their bounds.

        Parameters
        ----------
        path : str or path-like, optional
            Where the picture is written.
        title : str, optional

        Returns
        -------
        bytes or None
            A picture in the PNG format, where it was not written to a file.

        Raises
        ------
        ImportError
            matplotlib is missing; the message names the extra.

        Examples
        --------
        >>> import numpy as np, rnla
        >>> rnla.spectrum(np.diag(0.5 ** np.arange(30.0)), 10).plot()[1:4]
        b'PNG'
        """
        picture: bytes = importlib.import_module("rnla.plotting").scree_png(self, title=title)
        if path is None:
            return picture
        with open(path, "wb") as file:
            file.write(picture)
        return None

    def __str__(self) -> str:
        found = self.singular_values
        m, n = found.shape
        head = f"  {'j':>5} {'value':>12} {'lower':>12} {'upper':>12} {'share of energy':>17}"
        lines = [f"Spectrum of a {m} x {n} matrix", head]
        count = len(self.values)
        shown = range(count) if count <= _SHOWN else [*range(_SHOWN - 1), count - 1]
        rows = list(zip(self.values, self.lower, self.upper, self.share_lower, self.share_upper, strict=True))
        for j in shown:
            value, lower, upper, least, most = rows[j]
            share = f"{100 * least:.2f} %" if most - least < 1e-4 else f"{100 * least:.2f} to {100 * most:.2f} %"
            lines += ["    ..."] if j == count - 1 and count > _SHOWN else []
            lines.append(f"  {j + 1:>5} {value:>12.5g} {lower:>12.5g} {upper:>12.5g} {share:>17}")
        low, high = self.tail
        lines.append(f"  the rest: at most {found.next_upper:.4g} each, squares {low:.4g} to {high:.4g} in all")
        if found.failure_probability:
            lines.append(f"  the bounds hold but with probability {found.failure_probability:.0e}")
        return "\n".join(lines)

    __repr__ = __str__
