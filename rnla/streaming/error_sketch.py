"""The error of a one-pass approximation, from a sketch that was taken for nothing else [tropp2019]_ (section 6).

Problem: how far an approximation is from a matrix that nobody will see again.

S1. Keep E = A^H Theta (or A Theta, for Hermitian A) with q normal columns, independent of every other sketch.
S2. For the approximation A_r of each rank r, norm(E - A_r^H Theta)_F^2 / q is an unbiased estimate of
    norm(A - A_r)_F^2, with variance at most 2/(b q) of its square, b = 1 for real and 2 for complex columns.
S3. It falls below a share a < 1 of norm(A - A_r)_F^2 with probability at most (a e^(1-a))^(b q/2): the bound.
S4. All sketches with normal columns, N in all, give norm(A)_F^2 in the same way; that estimate exceeds c > 1
    times it with probability at most (c e^(1-c))^(b N/2), so dividing by it is no leap of faith either.

For all ranks at once, with V orthonormal, G = S U^H Theta and H = V^H E:
norm(E - A_r^H Theta)^2 = norm(E - V H)^2 + sum_{j <= r} norm(h_j - g_j)^2 + sum_{j > r} norm(h_j)^2,
squares only, so nothing cancels.

Cost: q n numbers of state; 2 q k (m + n) flops.
Guarantee: Chernoff's bound for weighted sums of squares of normals, whose weights here are at most 1/q: the exponent
is convex (lower tail) or concave in the weights, so equal weights are the worst.  A tolerance looks at several ranks
that were chosen after E was seen: each then gets its share of the failure probability.  Checked by
tests/streaming/test_error_sketch.py, coverage included.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, cast, column_norms, eps_of, frobenius, host_values, is_complex
from rnla.error.probes import lower_share
from rnla.results import ErrorEstimate
from rnla.sketch import Gaussian
from rnla.streaming.maps import Sketches

__all__ = ["FAILURE", "Measured", "Scree", "measure", "upper_share"]

FAILURE = 1e-4
"""Failure probability of all the bounds of one answer together."""


def upper_share(columns: int, failure: float, *, complex_columns: bool) -> float:
    """Return c > 1 so that the estimate of a squared norm exceeds c times it with at most this probability."""
    target = math.log(failure) * 2 / (columns * (2 if complex_columns else 1))
    low, high = 1.0, 2.0
    while math.log(high) + 1 - high > target:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (low, middle) if math.log(middle) + 1 - middle < target else (middle, high)
    return high


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Scree:
    """What is known of the tails of the spectrum of a streamed matrix.

    Attributes
    ----------
    lower, upper : numpy.ndarray, shape (k + 1,)
        Bounds on the tails tail(r) = sqrt(sum of the squares of the singular values of A past the r-th), relative to
        the Frobenius norm of A, for r = 0, ..., k; all of them hold but with the failure probability.
    approximation : numpy.ndarray, shape (k + 1,)
        The same tails of the approximation, relative to the estimated norm of A.
    failure_probability : float
    """

    lower: np.ndarray[Any, Any]
    upper: np.ndarray[Any, Any]
    approximation: np.ndarray[Any, Any]
    failure_probability: float


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Errors of the approximations of every rank, as the error sketch sees them.

    Attributes
    ----------
    errors : numpy.ndarray, shape (k + 1,)
        Estimates of norm(A - A_r)_F, r = 0, ..., k.
    values : numpy.ndarray, shape (k,)
        Singular values of the approximation.
    norm : float
        Of A: estimated, or exact where `norm_columns` is 0.
    columns, norm_columns : int
        Normal columns behind each.
    complex_columns : bool
    rounding : float
        Relative level of what the factors' own rounding may add.
    failure : float
        For all bounds together.
    """

    errors: np.ndarray[Any, Any]
    values: np.ndarray[Any, Any]
    norm: float
    columns: int
    norm_columns: int
    complex_columns: bool
    rounding: float
    failure: float = FAILURE

    def least_norm(self) -> float:
        """Return the bound that norm(A)_F is not below, but with half of the failure probability."""
        if self.norm_columns == 0:
            return self.norm
        share = upper_share(self.norm_columns, self.failure / 2, complex_columns=self.complex_columns)
        return self.norm / math.sqrt(share)

    def bounds(self, looked_at: int = 1) -> np.ndarray[Any, Any]:
        """Return bounds on the errors, each but with half of the failure probability over the ranks looked at."""
        share = lower_share(self.columns, self.failure / 2 / looked_at, complex_columns=self.complex_columns)
        return np.asarray(self.errors / math.sqrt(share) + self.rounding * self.norm)

    def estimate(self, rank: int, looked_at: int = 1) -> ErrorEstimate:
        """Return the certificate of a rank."""
        if self.norm == 0:
            return ErrorEstimate(
                0.0, 0.0, "fro", "estimated", "an error sketch", 0.0, 0.0, 0.0, 10 * self.rounding, 0.0, 0.0, 0.0
            )
        absolute, bound = float(self.errors[rank]), float(self.bounds(looked_at)[rank])
        degrees = 2 if self.complex_columns else 1
        relative = 0.5 / (self.columns * degrees) + (0.5 / (self.norm_columns * degrees) if self.norm_columns else 0.0)
        value = absolute / self.norm
        return ErrorEstimate(
            value=value, absolute=absolute, norm="fro", kind="estimated",
            method=f"an error sketch of {self.columns} columns", upper=bound / self.least_norm(),
            failure_probability=self.failure, standard_error=value * math.sqrt(relative), floor=self.rounding,
            norm_of_A=self.norm, residual=absolute, residual_upper=bound, cut="sum",
        )  # fmt: skip

    def scree(self) -> Scree:
        """Return bounds on the tails of A: a tail is a distance to a set, so it moves by at most norm(A - A_k)_F."""
        unit = self.norm or 1.0  # squares stay in range
        tails = unit * np.sqrt(np.append(np.cumsum((self.values[::-1] / unit) ** 2)[::-1], 0.0))
        if self.norm == 0:
            return Scree(tails, tails, tails, 0.0)
        gap = float(self.bounds()[-1])
        largest = self.norm
        if self.norm_columns:  # and from above, with as much failure probability again
            share = lower_share(self.norm_columns, self.failure / 2, complex_columns=self.complex_columns)
            largest = self.norm / math.sqrt(share)
        lower = np.maximum(tails - gap, 0.0) / largest
        upper = np.minimum((tails + gap) / self.least_norm(), 1.0)
        lower[0] = upper[0] = 1.0  # the whole, by definition
        return Scree(lower, upper, tails / self.norm, self.failure * (1.5 if self.norm_columns else 1.0))


def measure(sketches: Sketches, u: Any, s: Any, vh: Any, norm: float | None = None) -> Measured:
    """Return what the error sketch says of U diag(s) Vh, for every rank at once.

    Parameters
    ----------
    sketches : Sketches
        With the error sketch ``"E"``.
    u, s, vh : array
        Factors with orthonormal columns and rows.
    norm : float, optional
        The Frobenius norm of A, where it is known.
    """
    description, e = sketches.one("E"), sketches["E"]
    # E sketches A^H from the rows' side, or A itself.
    near, far = (u, adjoint(vh)) if description.side == "corange" else (adjoint(vh), u)
    over = "rows" if description.side == "corange" else "columns"
    expected = sketches.map_adjoint_times("E", over, near) * cast(s, e.dtype)[None, :]  # (q, k)
    found = adjoint(far) @ e  # (k, q)
    unit = frobenius(e) or 1.0  # squares stay in range
    outside = frobenius(e - far @ found) / unit
    kept = (host_values(column_norms(adjoint(found) - expected)) / unit) ** 2
    dropped = (host_values(column_norms(adjoint(found))) / unit) ** 2
    squares = outside**2 + np.append(0.0, np.cumsum(kept)) + np.append(np.cumsum(dropped[::-1])[::-1], 0.0)
    k, q = int(s.shape[0]), description.size
    columns = 0
    if norm is None:
        normal = [p for p in sketches.layout if p.side != "core" and isinstance(p.test_matrix, Gaussian)]
        columns = sum(p.size for p in normal)
        norm = math.hypot(*(frobenius(sketches[p.name]) for p in normal)) / math.sqrt(columns)
    return Measured(
        errors=unit * np.sqrt(squares / q), values=host_values(s), norm=norm, columns=q, norm_columns=columns,
        complex_columns=is_complex(e.dtype), rounding=eps_of(e.dtype) * (10 + 3 * math.sqrt(max(k, 1))),
    )  # fmt: skip
