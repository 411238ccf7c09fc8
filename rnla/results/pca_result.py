"""The result of `rnla.pca`: components, variances and scores, and the map from data to scores and back."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import math
from typing import Any, ClassVar

import numpy as np

from rnla._xp.linalg import adjoint, cast, host_values, zeros
from rnla._xp.namespace import device_of, namespace_of
from rnla.errors import InputError
from rnla.operators.centered import centered
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.operators.lowrank import FactoredOperator
from rnla.operators.protocols import Magnitude
from rnla.results.base import RESULTS, Result
from rnla.results.error_estimate import ErrorEstimate, truncated_error
from rnla.results.report import Report, Resume, Status
from rnla.results.truncation import chosen_rank, truncated_report

__all__ = ["PCAResult"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class PCAResult(Result):
    """Principal components of the rows of a matrix, with their certificate.

    X ~ 1 mean^T + scores components diag(scale).  Unpacks as ``scores, components, mean = result``.

    Of a tall matrix in a file the means and components take one pass, and the scores another one when they are first
    asked for: the result holds on to the matrix.  It travels without the matrix, so scores that were not made do not
    travel either: ``transform(X)`` makes them again.

    Attributes
    ----------
    known_scores : array, shape (m, k), or None
        The scores, where they were made; None for a tall matrix in a file, until `scores` is asked for.
    components : array, shape (k, n)
        Orthonormal rows; the entry of largest modulus in each is real and positive.
    mean : array, shape (n,)
        What was subtracted from the columns.
    singular_values : array, shape (k,)
        Of the centred, scaled and weighted matrix; descending.
    explained_variance : array, shape (k,)
        Variance along each component.
    explained_variance_ratio : array, shape (k,)
        Its share of the total.
    mean_rest : array, shape (n,)
        What rounding to the dtype took from the mean: the two together were subtracted.
    scale : array, shape (n,), or None
        What the centred columns were divided by.
    weights : numpy.ndarray, shape (m,), or None
        Of the rows; 0 for rows left out.
    total_variance : float
        Sum of the variances of all columns; estimated where ``error`` is.
    error : ErrorEstimate
        Of the centred, scaled and weighted matrix: ``error.value**2`` is the share of variance not explained.
    report : Report
        What was done.
    status : Status
        Whether what was asked was reached.
    resume : Resume or None
        What `extend` goes on from.
    """

    factor_names: ClassVar[tuple[str, ...]] = ("scores", "components", "mean")
    title: ClassVar[str] = "Principal components"

    known_scores: Any
    components: Any
    mean: Any
    singular_values: Any
    explained_variance: Any
    explained_variance_ratio: Any
    mean_rest: Any
    scale: Any
    weights: Any
    total_variance: float
    error: ErrorEstimate
    report: Report
    status: Status
    resume: Resume | None = dataclasses.field(default=None, repr=False)
    _source: Any = dataclasses.field(default=None, repr=False)

    @property
    def rank(self) -> int:
        """Number of components."""
        return int(self.components.shape[0])

    @property
    def scores(self) -> Any:
        """What ``transform(X)`` gives for every row, (X - 1 mean^T) diag(1 / scale) components^H; shape (m, k).

        Where they were not made yet, they are now: one pass over X, which ``report`` then counts.  `BudgetError` where
        the memory budget has no room for them.
        """
        if self.known_scores is None:
            if self._source is None:
                raise InputError("the scores were not made while the matrix was at hand: transform(X) makes them")
            made, report = importlib.import_module("rnla.factorization.covariance").scores_of(self, self._source)
            object.__setattr__(self, "known_scores", made)
            object.__setattr__(self, "report", report)
        return self.known_scores

    @property
    def noise_variance(self) -> float:
        """Mean variance along the min(m, n) - k directions that were left out; 0 where there are none."""
        rest = min(self.shape) - self.rank
        if rest == 0:
            return 0.0
        return max(0.0, self.total_variance - math.fsum(host_values(self.explained_variance).tolist())) / rest

    def fits(self) -> bool:
        """Whether the shapes of the factors agree."""
        k = int(self.singular_values.shape[0])
        m, n = self.shape
        shapes = [tuple(getattr(self, name).shape) for name in ("components", "mean", "mean_rest")]
        rest = [tuple(self.explained_variance.shape), tuple(self.explained_variance_ratio.shape)]
        optional = [(self.known_scores, (m, k)), (self.scale, (n,)), (self.weights, (m,))]
        return (
            shapes == [(k, n), (n,), (n,)]
            and rest == [(k,), (k,)]
            and all(found is None or tuple(found.shape) == shape for found, shape in optional)
        )

    def transform(self, X: Any) -> Any:
        """Return the scores of the rows of a matrix of any kind.

        Parameters
        ----------
        X : matrix, shape (p, n)
            Dense, sparse, out of core or an operator; in the library and on the device of the components.

        Returns
        -------
        array, shape (p, k)

        Raises
        ------
        InputError
            Another number of columns, or another library than that of the components.

        Examples
        --------
        >>> import numpy as np, rnla
        >>> X = np.array([[0.0, 0.0], [2.0, 2.0], [4.0, 4.0]])
        >>> result = rnla.pca(X, 1)
        >>> bool(np.allclose(result.transform(X), result.scores))
        True
        """
        base = as_operator(X)
        if base.shape[1] != self.shape[1]:
            raise InputError(f"X has {base.shape[1]} columns and the components have {self.shape[1]}")
        xp, device = _library(self.components)
        if base.xp is not xp or (device is not None and base.device != device):
            raise InputError(
                "X lies in another library or on another device than the components; bring one to the other"
            )
        scale = None if self.scale is None else host_values(self.scale)
        inner = Ledger(base)
        view = centered(
            base, center=self.mean, rest=self.mean_rest, scale=scale, magnitude=Magnitude(math.nan), inner=inner
        )
        return view.matmat(cast(adjoint(self.components), getattr(base.xp, base.dtype.name)))

    def inverse_transform(self, scores: Any) -> Any:
        """Return the rows that scores stand for, as a dense array: scores components diag(scale) + mean.

        Parameters
        ----------
        scores : array, shape (p, k)

        Returns
        -------
        array, shape (p, n)

        Raises
        ------
        InputError
            Another number of columns than there are components.

        Examples
        --------
        >>> import numpy as np, rnla
        >>> X = np.array([[0.0, 0.0], [2.0, 2.0], [4.0, 4.0]])
        >>> result = rnla.pca(X, 1)
        >>> bool(np.allclose(result.inverse_transform(result.scores), X))
        True
        """
        if len(scores.shape) != 2 or int(scores.shape[1]) != self.rank:
            raise InputError(f"scores of {self.rank} components are needed, got shape {tuple(scores.shape)}")
        rows = scores @ self.components
        if self.scale is not None:
            rows = rows * cast(self.scale, rows.dtype)[None, :]
        return rows + self.mean[None, :]

    def as_operator(self) -> FactoredOperator:
        """Return 1 mean^T + scores components diag(scale) as an operator that multiplies without being formed."""
        xp, _ = _library(self.components)
        right = self.components
        if self.scale is not None:
            right = right * cast(self.scale, right.dtype)[None, :]
        ones = zeros((self.shape[0], 1), self.components) + 1
        return FactoredOperator(
            xp.concat([self.scores, ones], axis=1), None, xp.concat([right, self.mean[None, :]], axis=0)
        )

    def truncate(self, rank: int | None = None, *, tol: float | None = None) -> PCAResult:
        """Return the first components, without reading X.

        Parameters
        ----------
        rank : int, optional
            At most the present one.
        tol : float, optional
            The smallest rank whose certified error, in the norm of ``error``, is at most this, relative.

        Returns
        -------
        PCAResult
            With the error of the smaller rank.

        Raises
        ------
        InputError
            Neither or both arguments, or a rank above the present one.
        ToleranceNotMet
            The present rank does not meet `tol` either; ``.result`` is this result.
        """
        s = host_values(self.singular_values)
        k = chosen_rank(self, s, rank, tol, np.dtype(str(self.components.dtype).rpartition(".")[2]))
        return dataclasses.replace(
            self, known_scores=None if self.known_scores is None else self.known_scores[:, :k],
            components=self.components[:k, :],
            singular_values=self.singular_values[:k], explained_variance=self.explained_variance[:k],
            explained_variance_ratio=self.explained_variance_ratio[:k], error=truncated_error(self.error, s, k),
            report=truncated_report(self.report, k), status=Status.MET,
        )  # fmt: skip

    def __deepcopy__(self, memo: dict[int, Any]) -> PCAResult:
        names = ("known_scores", "components", "mean", "resume")
        return dataclasses.replace(self, **{name: copy.deepcopy(getattr(self, name), memo) for name in names})

    def lines(self) -> list[tuple[str, str]]:
        """Return the lines about the variances."""
        ratio = host_values(self.explained_variance_ratio)
        shares = ", ".join(f"{100 * x:.3g} %" for x in ratio[:4]) + (", ..." if len(ratio) > 4 else "")
        return [
            (
                "variance",
                f"{shares or 'none'}; together {100 * float(np.sum(ratio)):.4g} % of {self.total_variance:.4g}",
            )
        ]


def _library(x: Any) -> tuple[Any, Any]:
    return namespace_of(x), device_of(x)


RESULTS.append(PCAResult)
