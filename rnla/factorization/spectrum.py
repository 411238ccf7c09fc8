"""The scree of any matrix: leading singular values, shares of energy and the tail, all between bounds.

Problem: how fast does the spectrum decay, and how much of the matrix lies beyond the values seen?

Equation: sum_{j<=k} lower_j^2 / norm(A)_F^2 <= share_k <= sum_{j<=k} upper_j^2 / norm(A)_F^2.

S1. Values with bounds: `rnla.svdvals`.
S2. The squared norm of A: exact from the entries, else between bounds from probes.

Cost and guarantee: those of `rnla.svdvals`.  The scree plot of [tropp2019]_ has estimates where this has bounds.
When to use: to choose a rank by eye; `rnla.rank_estimate` chooses one by a rule.
"""

from __future__ import annotations

from typing import Any

from rnla.factorization.svdvals import find_values
from rnla.operators.coerce import as_operator
from rnla.request import read_request
from rnla.results.spectrum import Spectrum
from rnla.rng import as_key

__all__ = ["spectrum"]


def spectrum(
    A: Any,
    rank: int | None = None,
    *,
    tol: float | None = None,
    energy: float | None = None,
    method: Any = None,
    on_failure: str = "raise",
    rng: Any = None,
) -> Spectrum:
    """Leading singular values with bounds, cumulative shares of energy, and what lies beyond.

    Parameters
    ----------
    A : matrix, shape (m, n)
        Any kind that `svd` takes.
    rank : int, optional
        Values wanted.
    tol, energy : float, optional
        As many values as leave this relative Frobenius error, or hold this share of the sum of squares.
    method : RangeFinder, optional
    on_failure : {"raise", "return"}
    rng : None, int, SeedSequence, Generator, ...
        What `numpy.random.default_rng` takes.

    Returns
    -------
    Spectrum
        Prints as a table; draws itself with ``plot()``.

    Raises
    ------
    InputError, DTypeError, NonFiniteError, OperatorError, BudgetError, ToleranceNotMet, DeadlineReached
        As `svd` raises them.

    Notes
    -----
    Cost and guarantee: those of `svdvals`.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> print(rnla.spectrum(np.diag([4.0, 3.0, 0.0]), 2))  # doctest: +NORMALIZE_WHITESPACE
    Spectrum of a 3 x 3 matrix
          j        value        lower        upper   share of energy
          1            4            4            4           64.00 %
          2            3            3            3          100.00 %
      the rest: at most ... each, squares 0 to ... in all
    """
    key = as_key(rng)
    base = as_operator(A)
    request = read_request(base.shape, base.dtype, rank, tol, "fro", None, None, None, method, on_failure, energy)
    return Spectrum(find_values(A, base, request, key))
