"""The result of `rnla.eigh` and `rnla.nystrom`."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any, ClassVar

import numpy as np

from rnla._xp.linalg import adjoint, host_values
from rnla.errors import InputError
from rnla.operators.lowrank import FactoredOperator
from rnla.results.base import RESULTS, Result, listed
from rnla.results.error_estimate import ErrorEstimate, truncated_error
from rnla.results.report import Report, Resume, Status
from rnla.results.truncation import chosen_rank, truncated_report

__all__ = ["EighResult"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class EighResult(Result):
    """A truncated eigenvalue decomposition A ~ V diag(w) V^H of a Hermitian matrix, with its certificate.

    Unpacks as ``w, V = result``.

    Attributes
    ----------
    w : array, shape (k,)
        Real; by descending modulus, or descending where the largest were asked for.
    V : array, shape (n, k)
        Orthonormal columns, in the library and on the device of A.
    error : ErrorEstimate
        How far V diag(w) V^H is from A.
    report : Report
        What was done.
    status : Status
        Whether what was asked was reached.
    resume : Resume or None
        What `extend` goes on from.
    """

    factor_names: ClassVar[tuple[str, ...]] = ("w", "V")
    title: ClassVar[str] = "Hermitian eigenvalue decomposition"

    w: Any
    V: Any
    error: ErrorEstimate
    report: Report
    status: Status
    resume: Resume | None = dataclasses.field(default=None, repr=False)
    _source: Any = dataclasses.field(default=None, repr=False)

    @property
    def rank(self) -> int:
        """Number of eigenvalues returned."""
        return int(self.w.shape[0])

    def as_operator(self) -> FactoredOperator:
        """Return V diag(w) V^H as an operator that multiplies without being formed."""
        return FactoredOperator(self.V, self.w, adjoint(self.V))

    def truncate(self, rank: int | None = None, *, tol: float | None = None) -> EighResult:
        """Return a result of smaller rank, without reading A.

        Parameters
        ----------
        rank : int, optional
            The rank wanted, at most the present one.
        tol : float, optional
            The smallest rank whose certified error, in the norm of ``error``, is at most this, relative.

        Returns
        -------
        EighResult
            With the error of the smaller rank: by Pythagoras in the Frobenius norm of a projection, exact in the
            nuclear norm, else as a bound.

        Raises
        ------
        InputError
            Neither or both arguments, or a rank above the present one.
        ToleranceNotMet
            The present rank does not meet `tol` either; ``.result`` is this result.

        Examples
        --------
        >>> import numpy as np, rnla
        >>> result = rnla.eigh(np.diag([4.0, -3.0, 0.0]), 2, rng=0)
        >>> small = result.truncate(1)
        >>> small.w.tolist(), round(small.error.value, 12)
        ([4.0], 0.6)
        """
        sizes = np.abs(host_values(self.w))
        k = chosen_rank(self, sizes, rank, tol, np.dtype(str(self.V.dtype).rpartition(".")[2]))
        return dataclasses.replace(
            self, w=self.w[:k], V=self.V[:, :k], error=truncated_error(self.error, sizes, k),
            report=truncated_report(self.report, k), status=Status.MET,
        )  # fmt: skip

    def residuals(self, A: Any = None) -> np.ndarray[Any, Any]:
        """Return norm(A v - w v) of each pair, in the scale of A.

        Parameters
        ----------
        A : matrix, optional
            The same matrix; needed after loading, copying to another process, or unpickling.

        Returns
        -------
        numpy.ndarray, shape (k,)
            On the host; an exact eigenvalue lies within this of each value.

        Raises
        ------
        InputError
            No matrix, or one of another shape.

        Notes
        -----
        Cost: one pass over A, with as many columns as there are pairs.

        Examples
        --------
        >>> import numpy as np, rnla
        >>> result = rnla.eigh(np.diag((-0.5) ** np.arange(30.0)), 4, rng=0)
        >>> bool(result.residuals().max() < 1e-14)
        True
        """
        source = self._source if A is None else A
        if source is None:
            raise InputError("the matrix did not travel with this result: pass it, residuals(A=A)")
        measure = importlib.import_module("rnla.error.triplet_residuals").eigenpair_residuals
        found: np.ndarray[Any, Any] = measure(source, self.w, self.V)
        return found

    def fits(self) -> bool:
        """Whether the shapes of the factors agree."""
        return bool(self.V.shape == (self.report.shape[0], len(self.w)) and self.w.ndim == 1)

    def lines(self) -> list[tuple[str, str]]:
        """Return the line of the eigenvalues."""
        w = host_values(self.w)
        values = listed([f"{x:.4g}" for x in w])
        return [("eigenvalues", values or "none")]


RESULTS.append(EighResult)
