"""The result of `rnla.robust_pca`: a low-rank matrix never formed, and outliers that are made when asked for."""

from __future__ import annotations

import copy
import dataclasses
import importlib
from typing import Any, ClassVar, Self, cast

import numpy as np

from rnla.errors import InputError
from rnla.operators.lowrank import FactoredOperator
from rnla.results.base import RESULTS, Result
from rnla.results.cur_result import CURResult
from rnla.results.error_estimate import ErrorEstimate
from rnla.results.report import Report, Resume, Status
from rnla.results.svd_result import SVDResult

__all__ = ["HeldOut", "RobustPCAResult"]


@dataclasses.dataclass(frozen=True, slots=True)
class HeldOut:
    """What the rows and columns that were kept back say about L.

    Attributes
    ----------
    rows, columns : int
        How many were looked at.
    never_sampled : bool
        Whether no iteration of the attempt that gave L had read them as rows and columns; False for methods that read
        all of D.
    outliers, sampled_outliers : float
        Share of outliers among their entries, and among those of the cross that was sampled last.
    standard_error : float
        Of the difference that chance makes between the two, from the spread over rows and over columns.
    clean_error : float
        Root of the mean square of D - L over that of L, on the entries that were judged clean.
    clean_standard_error : float
        Of `clean_error`, from the spread over the rows, or columns, that it is the larger of; 0 where they are all that
        there are, nan where a single one tells no spread.
    upper : float
        Bound of `clean_error`: of its square, those by Student's t over rows and over columns, added up.
    failure_probability : float
        Of `upper`, as far as the means of so many rows are normal.
    worst : float
        The largest such error of one of these rows or columns.
    worse_share : float
        At most this share of all rows (and of all columns) has an error above `worst`, but with the failure
        probability 0.001 for either, whatever the distribution.
    corrupted_rows, corrupted_columns : tuple of int
        Rows (columns) of D that are outliers on nearly all of the held-out columns (rows): L is not known there.
    undetermined_rows, undetermined_columns : tuple of int
        Rows (columns) of which L could be another, and none of their clean entries would differ.
    reasons : tuple of str
        Why the answer is refused; empty where it is not.
    """

    rows: int
    columns: int
    never_sampled: bool
    outliers: float
    sampled_outliers: float
    standard_error: float
    clean_error: float
    clean_standard_error: float
    upper: float
    failure_probability: float
    worst: float
    worse_share: float
    corrupted_rows: tuple[int, ...]
    corrupted_columns: tuple[int, ...]
    undetermined_rows: tuple[int, ...]
    undetermined_columns: tuple[int, ...]
    reasons: tuple[str, ...]

    @property
    def accepted(self) -> bool:
        """Whether nothing speaks against the answer."""
        return not self.reasons

    def __str__(self) -> str:
        where = f"{self.rows} rows and {self.columns} columns"
        seen = "never sampled" if self.never_sampled else "drawn anew (the method reads all of D)"
        verdict = "accepted" if self.accepted else "REFUSED: " + "; ".join(self.reasons)
        return (
            f"{verdict}; on {where} {seen}: outliers {self.outliers:.2%} against {self.sampled_outliers:.2%} sampled, "
            f"clean error {self.clean_error:.2g} (at most {self.upper:.2g} but with probability "
            f"{self.failure_probability:.0e})"
        )


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class RobustPCAResult(Result):
    """A matrix as low rank plus sparse, D = L + S, with its certificate.

    Unpacks as ``L, S = result``.  L multiplies without being formed; S makes rows, columns, entries or a sparse
    matrix of itself when it is asked, from D.

    Attributes
    ----------
    U : array, shape (m, r)
        Orthonormal columns, in the library and on the device of D.
    s : array, shape (r,)
        Singular values of L, descending.
    Vh : array, shape (r, n)
        Orthonormal rows; L = U diag(s) Vh.
    threshold : float
        Entries of D - L at this level and beyond are outliers (columns whose root of the mean square is): S is D - L
        there and 0 elsewhere.
    kind : str
        ``"entries"`` or ``"columns"``.
    rows, columns : array of int64
        The cross that the last skeleton was made of; empty for methods that read all of D.
    trace : array, shape (iterations, 4)
        For each iteration: the residual, the threshold, the share of outliers, and entries of D read so far.
    held_out : HeldOut or None
        The certificate; None where it could not be read.
    incoherence : tuple of float
        m / r times the largest squared norm of a row of U, and n / r times that of a column of Vh: 1 at best.
    entries_read, distinct_entries : int
        Entries of D handed out, with repetition and without.
    error : ErrorEstimate
        How far L is from D on the entries judged clean, relative to L.
    report : Report
        What was done.
    status : Status
        Whether what was asked was reached.
    resume : None
        Nothing is kept to go on from.
    """

    factor_names: ClassVar[tuple[str, ...]] = ("L", "S")
    title: ClassVar[str] = "Robust PCA"

    U: Any
    s: Any
    Vh: Any
    threshold: float
    kind: str
    rows: Any
    columns: Any
    trace: Any
    held_out: HeldOut | None
    incoherence: tuple[float, float]
    entries_read: int
    distinct_entries: int
    error: ErrorEstimate
    report: Report
    status: Status
    resume: Resume | None = dataclasses.field(default=None, repr=False)
    _source: Any = dataclasses.field(default=None, repr=False)
    _mask: Any = dataclasses.field(default=None, repr=False)

    @property
    def rank(self) -> int:
        """Rank of L."""
        return int(self.s.shape[0])

    @property
    def iterations(self) -> int:
        """Iterations made."""
        return int(self.trace.shape[0])

    @property
    def L(self) -> FactoredOperator:
        """The low-rank matrix, which multiplies without being formed."""
        return self.as_operator()

    @property
    def S(self) -> Any:
        """The outliers, made from D when they are asked for (`outliers`)."""
        return self.outliers()

    def as_operator(self) -> FactoredOperator:
        """Return L as an operator that multiplies without being formed."""
        return FactoredOperator(self.U, self.s, self.Vh)

    def outliers(self, D: Any = None, *, mask: Any = None) -> Any:
        """Return S, which makes of itself what it is asked for.

        Parameters
        ----------
        D : matrix, optional
            The same matrix; needed after loading, copying to another process, or unpickling.
        mask : array of bool, optional
            With it, where D was observed.

        Returns
        -------
        Outliers
            With ``rows(i)``, ``columns(j)``, ``entries(i, j)``, ``sparse()``, ``S @ X``.

        Raises
        ------
        InputError
            No matrix, or one of another shape.

        Examples
        --------
        >>> import numpy as np, rnla
        >>> D = np.outer(np.arange(1.0, 101.0), np.ones(90))
        >>> D[3, 4] = -700.0
        >>> result = rnla.robust_pca(D, 1, rng=0)
        >>> result.outliers().sparse().nnz, round(float(result.S.entries([3], [4])[0]), 2)
        (1, -704.0)
        """
        source = self._source if D is None else D
        if source is None:
            raise InputError("the matrix did not travel with this result: pass it, outliers(D)")
        made = importlib.import_module("rnla.robust.outliers").Outliers
        return made(
            source, self.as_operator(), self.threshold, self.kind, self._mask if mask is None else mask,
            self.report.shape,
        )  # fmt: skip

    def svd(self) -> SVDResult:
        """Return L as a singular value decomposition; its error is that of this result."""
        return SVDResult(self.U, self.s, self.Vh, self.error, self.report, self.status)

    def cur(self) -> CURResult:
        """Return L by rows and columns of its own, ``L = C U R``: those of the last cross, or pivots of its factors.

        Returns
        -------
        CURResult
            Its C and R are columns and rows of L, not of D, which has outliers there.
        """
        made: CURResult = importlib.import_module("rnla.robust.outliers").skeleton(self)
        return made

    def fits(self) -> bool:
        """Whether the shapes of the factors agree."""
        (m, n), k = self.report.shape, int(self.s.shape[0])
        return bool(self.U.shape == (m, k) and self.Vh.shape == (k, n) and self.trace.shape[1:] == (4,))

    def _why_not_extended(self) -> str:
        return (
            "call robust_pca again, with the larger rank (outliers found for one rank are none of another), or with "
            "more max_iterations"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        names = [f.name for f in dataclasses.fields(cast("Any", self)) if f.name not in {"_source", "_mask"}]
        return (type(self), tuple(getattr(self, name) for name in names))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        inside = {
            name: copy.deepcopy(getattr(self, name), memo) for name in ("U", "s", "Vh", "rows", "columns", "trace")
        }
        return cast("Self", dataclasses.replace(cast("Any", self), **inside))

    def lines(self) -> list[tuple[str, str]]:
        """Return the lines of the outliers, the certificate and the reading."""
        m, n = self.shape
        last = np.asarray(self.trace)[-1] if self.iterations else np.zeros(4)
        share = last[2] if self.held_out is None else self.held_out.outliers
        rows = [
            ("outliers", f"{share:.2%} of the {self.kind}, from {self.threshold:.3g} on"),
            ("iterations", f"{self.iterations}, residual {last[0]:.2g}"),
            ("read", f"{self.entries_read} entries, {self.distinct_entries} of {m * n} at least once"),
            ("incoherence", f"{self.incoherence[0]:.3g} of rows, {self.incoherence[1]:.3g} of columns"),
        ]
        return rows if self.held_out is None else [*rows, ("held out", str(self.held_out))]


RESULTS.append(RobustPCAResult)
