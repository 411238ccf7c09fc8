"""The result of `rnla.svd`.

It unpacks into its factors only, multiplies like the matrix that it approximates, prints as a
short table, can be asked for more or less, and can be saved.
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any, ClassVar

import numpy as np

from rnla._xp.linalg import host_values
from rnla.errors import InputError
from rnla.operators.lowrank import FactoredOperator
from rnla.results.base import RESULTS, Result, listed
from rnla.results.error_estimate import ErrorEstimate, truncated_error
from rnla.results.report import Report, Resume, Status
from rnla.results.truncation import chosen_rank, truncated_report

__all__ = ["SVDResult"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class SVDResult(Result):
    """A truncated singular value decomposition A ~ U diag(s) Vh with its certificate.

    Unpacks as ``U, s, Vh = result``.

    Attributes
    ----------
    U : array, shape (m, k)
        Orthonormal columns, in the library and on the device of A.
    s : array, shape (k,)
        Singular values, descending, real.
    Vh : array, shape (k, n)
        Orthonormal rows.
    error : ErrorEstimate
        How far U diag(s) Vh is from A.
    report : Report
        What was done.
    status : Status
        Whether what was asked was reached.
    resume : Resume or None
        What `extend` goes on from.
    """

    factor_names: ClassVar[tuple[str, ...]] = ("U", "s", "Vh")
    title: ClassVar[str] = "SVD"

    U: Any
    s: Any
    Vh: Any
    error: ErrorEstimate
    report: Report
    status: Status
    resume: Resume | None = dataclasses.field(default=None, repr=False)
    _source: Any = dataclasses.field(default=None, repr=False)

    @property
    def rank(self) -> int:
        """Number of singular values returned."""
        return int(self.s.shape[0])

    def as_operator(self) -> FactoredOperator:
        """Return U diag(s) Vh as an operator that multiplies without being formed."""
        return FactoredOperator(self.U, self.s, self.Vh)

    def truncate(self, rank: int | None = None, *, tol: float | None = None) -> SVDResult:
        """Return a result of smaller rank, without reading A.

        Parameters
        ----------
        rank : int, optional
            The rank wanted, at most the present one.
        tol : float, optional
            The smallest rank whose certified error, in the norm of ``error``, is at most this, relative.

        Returns
        -------
        SVDResult
            With the error of the smaller rank: by Pythagoras in the Frobenius norm, as a bound in the spectral norm.

        Raises
        ------
        InputError
            Neither or both arguments, or a rank above the present one.
        ToleranceNotMet
            The present rank does not meet `tol` either; ``.result`` is this result.

        Examples
        --------
        >>> import numpy as np, rnla
        >>> result = rnla.svd(np.diag([4.0, 3.0, 0.0]), 2, rng=0)
        >>> small = result.truncate(1)
        >>> round(small.error.value, 12)
        0.6
        """
        s = host_values(self.s)
        k = chosen_rank(self, s, rank, tol, np.dtype(str(self.U.dtype).rpartition(".")[2]))
        error, report = truncated_error(self.error, s, k), truncated_report(self.report, k)
        return dataclasses.replace(
            self, U=self.U[:, :k], s=self.s[:k], Vh=self.Vh[:k, :], error=error, report=report, status=Status.MET
        )

    def residuals(self, A: Any = None) -> np.ndarray[Any, Any]:
        """Return sqrt(norm(A v - s u)^2 + norm(A^H u - s v)^2) of each triplet, in the scale of A.

        Parameters
        ----------
        A : matrix, optional
            The same matrix; needed after loading, copying to another process, or unpickling.

        Returns
        -------
        numpy.ndarray, shape (k,)
            On the host; an exact singular value lies within this over sqrt(2) of each value.

        Raises
        ------
        InputError
            No matrix, or one of another shape.

        Notes
        -----
        Cost: two passes over A, with as many columns as there are triplets.

        Examples
        --------
        >>> import numpy as np, rnla
        >>> result = rnla.svd(np.diag(0.5 ** np.arange(30.0)), 4, rng=0)
        >>> bool(result.residuals().max() < 1e-14)
        True
        """
        source = self._source if A is None else A
        if source is None:
            raise InputError("the matrix did not travel with this result: pass it, residuals(A=A)")
        measure = importlib.import_module("rnla.error.triplet_residuals").triplet_residuals
        found: np.ndarray[Any, Any] = measure(source, self.U, self.s, self.Vh)
        return found

    def fits(self) -> bool:
        """Whether the shapes of the factors agree."""
        (m, n), k = self.report.shape, len(self.s)
        return bool(self.U.shape == (m, k) and self.Vh.shape == (k, n) and self.U.dtype == self.Vh.dtype)

    def lines(self) -> list[tuple[str, str]]:
        """Return the line of the singular values."""
        s = host_values(self.s)
        values = listed([f"{x:.4g}" for x in s])
        return [("singular values", values or "none")]


RESULTS.append(SVDResult)
