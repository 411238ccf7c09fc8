"""What every result has in common: it unpacks into its factors only, extends, saves, copies and prints."""

from __future__ import annotations

import abc
import copy
import dataclasses
import importlib
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self, cast

from rnla.errors import InputError
from rnla.results.error_estimate import ErrorEstimate
from rnla.results.report import Report, Resume, Status, resumer

__all__ = ["RESULTS", "Result", "listed"]

RESULTS: list[type[Result]] = []
"""Every kind of result, in the order of import; files hold no other class."""


def listed(texts: Sequence[str], shown: int = 4) -> str:
    """Return the first texts and the last, with dots only where they stand for something."""
    if len(texts) <= shown + 1:
        return ", ".join(texts)
    return ", ".join([*texts[:shown], "...", texts[-1]])


class Result(abc.ABC):
    """The abstract base of results, which are frozen dataclasses with slots.

    A result declares its factors first, in the order of ``factor_names``, then ``error``, ``report``, ``status``,
    ``resume`` and ``_source`` (the matrix, which does not travel).
    """

    __slots__ = ()

    factor_names: ClassVar[tuple[str, ...]]
    title: ClassVar[str]

    error: ErrorEstimate
    report: Report
    status: Status
    resume: Resume | None
    _source: Any

    def __iter__(self) -> Iterator[Any]:
        return iter([getattr(self, name) for name in self.factor_names])

    def __len__(self) -> int:
        return len(self.factor_names)

    def __getitem__(self, index: Any) -> Any:
        return tuple(self)[index]

    @property
    @abc.abstractmethod
    def rank(self) -> int:
        """Rank of the approximation."""

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the matrix."""
        return self.report.shape

    @abc.abstractmethod
    def as_operator(self) -> Any:
        """Return the approximation as an operator that multiplies without being formed."""

    @abc.abstractmethod
    def fits(self) -> bool:
        """Whether the shapes of the factors agree, as those of a damaged file might not."""

    def lines(self) -> list[tuple[str, str]]:
        """Return the lines of the printed table that only this kind of result has."""
        return []

    def extend(
        self, rank: int | None = None, *, tol: float | None = None, A: Any = None, on_failure: str = "raise"
    ) -> Self:
        """Return a result of larger rank or smaller error that reuses what was found so far.

        Parameters
        ----------
        rank : int, optional
            The rank wanted, at least the present one.
        tol : float, optional
            The relative error wanted, in the norm of ``error``.
        A : matrix, optional
            The same matrix; needed after loading, copying to another process, or unpickling.
        on_failure : {"raise", "return"}
            What to do when `tol` is missed.

        Returns
        -------
        Result
            Of the same kind.  The old basis lies in the new one, so the error of the projection does not rise.

        Raises
        ------
        InputError
            No request, a smaller rank, no matrix, or a matrix that is not the one factorized before.
        ToleranceNotMet
            `tol` was missed.

        Notes
        -----
        Cost: 2 (power_iterations + 1) + 1 products of the added columns, plus the panel algebra.

        Examples
        --------
        >>> import numpy as np, rnla
        >>> A = np.diag(0.5 ** np.arange(60.0))
        >>> result = rnla.svd(A, 5, rng=0)
        >>> more = result.extend(rank=20)
        >>> more.error.value < result.error.value
        True
        """
        if self.resume is None:
            raise InputError(f"this result keeps no basis to extend; {self._why_not_extended()}")
        source = self._source if A is None else A
        if source is None:
            raise InputError("the matrix did not travel with this result: pass it, extend(..., A=A)")
        return cast("Self", resumer(self.resume.name)(self, source, rank=rank, tol=tol, on_failure=on_failure))

    def _why_not_extended(self) -> str:
        if getattr(self.report.plan, "kind", "") == "streamed":
            return "what has streamed past cannot be read again: finish the stream itself with another rank"
        return "call the function again"

    def save(self, path: Any) -> None:
        """Write the result to one file, ``.npz`` with JSON inside and nothing pickled; read it with `rnla.load`.

        Parameters
        ----------
        path : str or path-like
            Replaced in one step: a crash leaves the old file or the new one.
        """
        importlib.import_module("rnla.storage").save(self, path)

    def __reduce__(self) -> tuple[Any, ...]:
        made = cast("Any", self)
        values = [getattr(self, field.name) for field in dataclasses.fields(made) if field.name != "_source"]
        return (type(self), tuple(values))

    def __copy__(self) -> Self:
        return cast("Self", dataclasses.replace(cast("Any", self)))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        names = (*self.factor_names, "resume")
        inside = {name: copy.deepcopy(getattr(self, name), memo) for name in names}
        return cast("Self", dataclasses.replace(cast("Any", self), **inside))

    def __str__(self) -> str:
        r = self.report
        rows = [
            ("rank", f"{self.rank} of a {self.shape[0]} x {self.shape[1]} matrix, from {r.size} basis columns"),
            *self.lines(),
            ("error", str(self.error)),
            ("status", self.status.value),
            ("method", r.plan.summary),
            ("cost", f"{r.passes} pass{'es' * (r.passes != 1)}, {r.products} products, {r.seconds:.3g} s"),
            ("arrays", f"{r.dtype_path}, {r.backend}" + (f" on {r.device}" if r.device not in {"", "cpu"} else "")),
            ("seed", str(r.seed)),
        ]
        return f"{self.title}\n" + "\n".join(f"  {name:<16} {text}" for name, text in rows)

    def __repr__(self) -> str:
        return str(self)
