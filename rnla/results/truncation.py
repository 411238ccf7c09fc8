"""Which smaller rank a result is cut to, by number or by tolerance."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla.checks import check_rank, check_tol
from rnla.errors import InputError, ToleranceNotMet
from rnla.results.base import Result
from rnla.results.error_estimate import truncated_error
from rnla.results.report import Report

__all__ = ["chosen_rank", "truncated_report"]


def chosen_rank(result: Result, s: np.ndarray[Any, Any], rank: int | None, tol: float | None, dtype: Any) -> int:
    """Return the rank that `truncate` was asked for.

    Parameters
    ----------
    result : Result
    s : numpy.ndarray
        What each of its ranks adds, in order.
    rank, tol : int or None, float or None
        Exactly one of them.
    dtype : numpy.dtype
        Of the factors.
    """
    if (rank is None) == (tol is None):
        raise InputError("truncate takes either rank= or tol=")
    if rank is not None:
        k = check_rank(rank, result.shape)
        if k > result.rank:
            raise InputError(f"rank={k} is above the present {result.rank}; use extend(rank={k})")
        return k
    bound = check_tol(tol, dtype)
    if math.isnan(result.error.upper):
        raise ToleranceNotMet(
            f"the error is estimated by {result.error.method}, without a bound, so no tolerance is certified"
            + ("" if result.resume is None else f"; extend(tol={bound:.1e}) finds one"),
            result,
        )
    fits = [k for k in range(result.rank + 1) if truncated_error(result.error, s, k).meets(bound)]
    if not fits:
        more = "" if result.resume is None else f"; extend(tol={bound:.1e}) adds to it"
        raise ToleranceNotMet(
            f"rank {result.rank} is certified to {result.error.upper:.2e} only, above tol={bound:.1e}{more}", result
        )
    return fits[0]


def truncated_report(report: Report, rank: int) -> Report:
    """Return the report of a result that was cut to a rank."""
    return dataclasses.replace(
        report, rank=rank, numerical_rank=min(rank, report.numerical_rank), passes=0, scans=0, products=0,
        seconds=0.0, notes=(*report.notes, f"truncated from rank {report.rank} without reading A"),
    )  # fmt: skip
