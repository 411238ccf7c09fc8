"""The one place that chooses an estimator and writes the certificate.

Rules, in this order (Frobenius norm):

1. the basis spans the whole space: the error is rounding, and read off the residual where a tolerance is as small;
2. norm(A)_F is known and the Frobenius identity is above its floor: exact; below it, where the tolerance, or what a
   cut to the rank drops, is so much larger that the floor does not matter: bounded by the floor;
3. nothing was asked of the error and the leave-one-out estimate is there: estimated;
4. independent probes, ridden along or drawn now: estimated, with a bound;
5. where the bound of the probes, several times the estimate, would cost a tolerance some rank, and the
   entries of A can be read: the explicit residual, exact, in one pass more;
6. no pass is left to draw probes: bounded by the floor of the identity.

Spectral norm: powered probes, bounded; without the passes for them, the Frobenius norm as a bound.
Every estimate is for the whole basis; the error of a rank is made of it and of the singular values dropped.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._xp.linalg import eps_of, frobenius, is_complex
from rnla.error.probes import PROBES, lower_share, probe_residual
from rnla.error.residual import (
    explicit_residual,
    factoring_level,
    frobenius_difference,
    identity_floor,
    identity_rounding,
)
from rnla.error.spectral import SPECTRAL_PASSES, spectral_bound
from rnla.operators.algebra import Adjoint
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import SupportsBlocks
from rnla.results import ErrorEstimate, RangeBasis
from rnla.results.error_estimate import errors_of_ranks
from rnla.rng import Key

__all__ = ["FAILURE", "by_identity", "certify", "smallest_rank", "with_probes"]

FAILURE = 1e-4
"""Failure probability of one bound from probes."""
_FAR = 25.0  # times the floor of the identity: added in squares it is less than a thousandth of that


def with_probes(op: Ledger, basis: RangeBasis, key: Key, count: int = PROBES) -> RangeBasis:
    """Return the basis with probes drawn and multiplied now: one more product of a few columns."""
    view = op if basis.space == "row" else Adjoint(op)
    normals = key.child("error-probes", "late").normals(
        0, view.shape[1], count, dtype=op.dtype, xp=op.xp, device=op.device
    )
    return dataclasses.replace(basis, probes=normals, probed=view.matmat(normals))


def certify(
    op: Ledger, basis: RangeBasis, norm: str, key: Key, *, tol: float | None, values: np.ndarray[Any, Any],
    rank: int | None = None,
) -> tuple[ErrorEstimate, RangeBasis]:  # fmt: skip
    """Return the error of the projection on the whole basis, and the basis with what was added to it.

    Parameters
    ----------
    op : Ledger
        The scaled matrix; products made here are counted there.
    basis : RangeBasis
    norm : {"fro", "spectral"}
    key : Key
    tol : float or None
        The relative tolerance that hangs on it, if any; an estimate without a bound will not do then.
    values : numpy.ndarray
        Singular values of the projection, descending; the largest is the norm of A in the spectral norm.
    rank : int, optional
        That the projection will be cut to.
    """
    largest = float(values.max(initial=0.0))
    rounding = 10 * eps_of(op.dtype)
    # As many columns as min(m, n) are not enough where they lie in the longer side's space.
    complete = basis.size >= int(basis.basis.shape[0])
    magnitude = op.measure()
    if norm == "spectral":
        if complete or largest == 0:
            return _complete(op, basis, largest, norm, tol), basis
        if op.spare_passes < SPECTRAL_PASSES:
            return _by_frobenius(op, basis, key, largest, values)
        view = op if basis.space == "row" else Adjoint(op)
        bound, failure = spectral_bound(view, basis.basis, basis.image, key.child("spectral-probes", len(basis.blocks)))
        failure *= len(basis.blocks)  # one look at most for every block
        relative = bound / largest
        if basis.cut == "one-sided":  # never worse than nothing, which the two-sided projection may be
            relative = min(1.0, relative)
        return (
            ErrorEstimate(
                value=relative, absolute=bound, norm="spectral", kind="bounded",
                method="powered probes",
                upper=relative, failure_probability=failure, standard_error=math.nan, floor=rounding,
                norm_of_A=largest, residual=bound, residual_upper=bound,
            ),
            basis,
        )  # fmt: skip
    if complete:
        scale = frobenius(basis.image) if magnitude is None else magnitude.frobenius
        return _complete(op, basis, scale, norm, tol), basis
    exact = by_identity(op, basis.image)
    if exact is not None:
        return exact, basis
    energy = frobenius(basis.image)
    if magnitude is not None and _far_above(identity_floor(op.dtype), magnitude.frobenius, tol, values, rank):
        floor_bound = _by_the_floor(op, magnitude.frobenius)
        # What the difference of squares still says is the better guess; it hardly matters to either use.
        guess = math.sqrt(max(0.0, magnitude.frobenius**2 - energy**2))
        guess = min(guess, floor_bound.residual)
        value = guess / magnitude.frobenius
        return dataclasses.replace(floor_bound, value=value, absolute=guess, residual=guess), basis
    if basis.leave_one_out is not None and tol is None:
        value, spread = basis.leave_one_out, basis.leave_one_out_spread or 0.0
        scale = _norm(magnitude, energy, value)
        return _estimated(value, spread, math.nan, scale, "leave-one-out", rounding, math.nan), basis
    if basis.probes is None and magnitude is not None and op.spare_passes < 1:
        return _by_the_floor(op, magnitude.frobenius), basis
    if basis.probes is None:
        basis = with_probes(op, basis, key)
    value, spread = probe_residual(basis.basis, basis.image, basis.probes, basis.probed)
    columns = int(basis.probes.shape[1])
    share = lower_share(columns, FAILURE, complex_columns=is_complex(op.dtype))
    estimate = _estimated(
        value, spread, value / math.sqrt(share) + factoring_level(op.dtype, basis.size) * energy,
        _norm(magnitude, energy, value), "independent probes", rounding,
        min(1.0, FAILURE * max(1, len(basis.blocks))),
    )  # fmt: skip
    if tol is not None and op.spare_passes > 0 and _bound_costs_rank(op, estimate, values, tol):
        absolute = explicit_residual(op, basis)
        scale = _norm(magnitude, energy, absolute)
        return _exact(
            absolute, scale, "fro", "the explicit residual", rounding, factoring_level(op.dtype, basis.size)
        ), basis
    return estimate, basis


def by_identity(op: Ledger, image: Any) -> ErrorEstimate | None:
    """Return the Frobenius error of a projection that is not complete, where the norm of A tells it.

    Parameters
    ----------
    op : Ledger
    image : array
        The image of A on the basis, or any array of the same Frobenius norm, such as its coordinates.
    """
    magnitude = op.measure()
    if magnitude is None:
        return None
    scale = magnitude.frobenius
    if scale == 0:
        return _exact(0.0, 0.0, "fro", "a zero matrix", 0.0)
    difference = frobenius_difference(scale, image)
    if difference is None:
        return None
    rounding = math.hypot(difference / scale, identity_rounding(op.dtype)) - difference / scale
    return _exact(difference, scale, "fro", "the Frobenius identity", identity_floor(op.dtype), rounding)


def _complete(op: Ledger, basis: RangeBasis, scale: float, norm: str, tol: float | None) -> ErrorEstimate:
    """Return the error of a basis that spans the whole space: rounding, which only a tolerance near it makes matter."""
    level = factoring_level(op.dtype, max(op.shape))
    if tol is None or tol >= level or scale == 0:
        left_out = basis.left_out if basis.left_out > level * scale else 0.0
        return _exact(left_out, scale, norm, "a complete basis", level, level)
    if isinstance(op.base, SupportsBlocks) and op.spare_passes > 0:
        return _exact(
            explicit_residual(op, basis),
            scale,
            norm,
            "the explicit residual",
            10 * eps_of(op.dtype),
            factoring_level(op.dtype, basis.size),
        )
    return _at_the_floor(level, scale, norm, "a complete basis, up to rounding")


def _by_frobenius(
    op: Ledger, basis: RangeBasis, key: Key, largest: float, values: np.ndarray[Any, Any]
) -> tuple[ErrorEstimate, RangeBasis]:
    """Return the Frobenius error as one of the spectral norm, which is not larger, where no passes are left for probes.

    The largest value found is not above the norm of A, so the relative error is not below the true one.
    """
    found, basis = certify(op, basis, "fro", key, tol=math.inf, values=values)  # a bound: no estimate will do
    bound = found.residual_upper
    relative = bound / largest
    return dataclasses.replace(
        found, value=relative, absolute=bound, norm="spectral", kind="bounded", upper=relative,
        method=f"{found.method}, in the Frobenius norm", standard_error=math.nan, norm_of_A=largest,
        residual=bound, residual_upper=bound,
    ), basis  # fmt: skip


def _bound_costs_rank(op: Ledger, estimate: ErrorEstimate, values: np.ndarray[Any, Any], tol: float) -> bool:
    """Whether the entries of A can be read and the true residual may allow a smaller rank than its bound does."""
    if not isinstance(op.base, SupportsBlocks):
        return False
    hoped = smallest_rank(dataclasses.replace(estimate, residual_upper=math.nan), values, tol)
    return hoped is not None and hoped != smallest_rank(estimate, values, tol)


def _norm(magnitude: object, energy: float, residual: float) -> float:
    """Return the Frobenius norm of A: known, or by the Frobenius identity from what the basis holds and what it misses.

    With an estimated residual, a bound on the residual over this norm still bounds the relative error: the share of a
    residual r in hypot(energy, r) grows with r, and a larger r would divide by more.
    """
    known = getattr(magnitude, "frobenius", None)
    return math.hypot(energy, residual) if known is None else float(known)


def _exact(absolute: float, scale: float, norm: str, method: str, floor: float, rounding: float = 0.0) -> ErrorEstimate:
    value = absolute / scale if scale > 0 else 0.0
    return ErrorEstimate(
        value=value, absolute=absolute, norm=norm, kind="exact", method=method, upper=value + rounding,
        failure_probability=0.0, standard_error=0.0, floor=floor, norm_of_A=scale, residual=absolute,
        residual_upper=absolute + rounding * scale,
    )  # fmt: skip


def _far_above(floor: float, scale: float, tol: float | None, values: np.ndarray[Any, Any], rank: int | None) -> bool:
    """Whether an error of the floor would add less than a thousandth to the tolerance, or to what the cut drops."""
    if tol is not None:
        return _FAR * floor <= tol < math.inf
    return rank is not None and float(np.linalg.norm(values[rank:])) >= _FAR * floor * scale


def _by_the_floor(op: Ledger, scale: float) -> ErrorEstimate:
    return _at_the_floor(identity_floor(op.dtype), scale, "fro", "the Frobenius identity, at its floor")


def _at_the_floor(floor: float, scale: float, norm: str, method: str) -> ErrorEstimate:
    """Return all that a method says without another pass: the error is not above its floor."""
    return ErrorEstimate(
        value=floor, absolute=floor * scale, norm=norm, kind="bounded", method=method,
        upper=floor, failure_probability=0.0, standard_error=math.nan, floor=floor, norm_of_A=scale,
        residual=floor * scale, residual_upper=floor * scale,
    )  # fmt: skip


def _estimated(
    absolute: float, spread: float, upper: float, scale: float, method: str, floor: float, failure: float,
) -> ErrorEstimate:  # fmt: skip
    if scale == 0:
        return _exact(0.0, 0.0, "fro", method, floor)
    upper = min(upper, scale) if upper == upper else upper  # a projection is never worse than nothing
    return ErrorEstimate(
        value=absolute / scale, absolute=absolute, norm="fro", kind="estimated", method=method, upper=upper / scale,
        failure_probability=failure, standard_error=spread / scale, floor=floor, norm_of_A=scale, residual=absolute,
        residual_upper=upper,
    )  # fmt: skip


def smallest_rank(whole: ErrorEstimate, s: np.ndarray[Any, Any], tol: float) -> int | None:
    """Return the smallest rank whose certified error meets a relative tolerance, or None.

    Parameters
    ----------
    whole : ErrorEstimate
        Of the whole basis.
    s : numpy.ndarray
        All singular values of the projection, in the same scale.
    tol : float
    """
    scale = whole.norm_of_A
    if scale == 0:
        return 0
    residual = whole.residual if math.isnan(whole.residual_upper) else whole.residual_upper
    fits = np.flatnonzero(errors_of_ranks(residual, s, whole.norm, whole.cut) <= tol * scale)
    return int(fits[0]) if len(fits) else None
