"""The certificate of a Nystrom approximation, and the rank that meets a tolerance by it.

A - V diag(w) V^H is not orthogonal to what a cut to smaller rank drops, so squares do not add.  In this order:

1. for one product with A in all (`BlockLanczos(depth=1)`) and a rank: leave-one-out, no pass;
2. in the Frobenius norm, where norm(A)_F is known: one product with V gives the exact error of every rank, above
   the floor of the Frobenius identity; for a rank alone, and below the floor, the residual itself is looked at;
3. else `certify_approximation`: probes, or powered probes for the spectral norm; with a tolerance, the bound of the
   projection on the basis, to which the eigenvalues cut off are added;
4. without a pass to spare: the error of the projection on the basis, which is not below it, as a bound.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from rnla._xp.linalg import cast, frobenius, host_values
from rnla.compression.nystrom import Nystrom, leave_one_out_of_nystrom
from rnla.compression.two_sided import core_of
from rnla.error.approximation import certify_approximation
from rnla.error.probes import lower_share, probe_residual
from rnla.error.residual import identity_floor
from rnla.error.spectral import SPECTRAL_PASSES
from rnla.factorization.driver import Located
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import SupportsBlocks
from rnla.rangefinder import BlockLanczos
from rnla.request import Request
from rnla.results import ErrorEstimate, Status, truncated_error
from rnla.rng import Key
from rnla.sketch import Gaussian

__all__ = ["certified"]

_LOOKS = 4
_FAILURE = 1e-4


def certified(
    found: Located, request: Request, key: Key, inside: Nystrom, rank: int, status: Status
) -> tuple[ErrorEstimate, int, Status]:
    """Return the error of the rank that meets what was asked, that rank, and how it ended (S4, S5)."""
    search, op, tol = found.search, found.op, request.tol
    cap = len(search.values) if request.rank is None else min(request.rank, len(search.values))
    if inside.clipped is not None:
        return _of_known_pairs(found, inside.clipped, rank), rank, status
    if tol is None:
        free = _free_error(found, key, inside, rank, request.norm)
        if free is not None:
            return free, rank, status
    elif request.norm == "spectral" or not op.complete_scan:
        assert search.whole is not None
        bound = truncated_error(search.whole, search.values, rank)
        return bound.as_bound(f"{bound.method}, of the projection, whose error is not below"), rank, status
    # For a rank alone the residual itself is as cheap where entries can be read, and knows no floor.
    identity = request.norm == "fro" and (tol is not None or not isinstance(op.base, SupportsBlocks))
    if identity and op.measure() is not None and op.spare_passes >= 1:
        errors = _errors_of_all_ranks(op, inside, rank if tol is None else cap)
        if tol is not None:
            fits = np.flatnonzero([error.meets(tol) for error in errors])
            rank, status = (max(int(fits[0]), min(search.least, cap)), Status.MET) if len(fits) else (cap, status)
        if errors[rank].value > identity_floor(op.dtype) or op.measure().frobenius == 0:  # type: ignore[union-attr]
            fine = tol is None or errors[rank].meets(tol)
            return errors[rank], rank, status if fine else _missed(found, request, rank)
    error = _looked(found, key, inside, rank, request.norm, 1)
    look, step = 1, 1
    while tol is not None and not error.meets(tol) and rank < cap and look < _LOOKS:
        rank, step, look = min(cap, rank + step), 4 * step, look + 1
        error = _looked(found, key, inside, rank, request.norm, look)
    if tol is None:
        return error, rank, status
    return error, rank, Status.MET if error.meets(tol) else _missed(found, request, rank)


def _of_known_pairs(found: Located, clipped: float, rank: int) -> ErrorEstimate:
    """Return the error where all eigenpairs are known: what is dropped is orthogonal to the rest, which is rounding."""
    assert found.basis is not None
    whole = found.search.look(found.basis)
    if clipped > whole.residual_upper:
        upper = clipped + whole.residual_upper
        share = 1 / whole.norm_of_A if whole.norm_of_A > 0 else 0.0
        whole = dataclasses.replace(
            whole, residual=clipped, absolute=clipped, value=clipped * share, residual_upper=upper, upper=upper * share
        )
    return truncated_error(dataclasses.replace(whole, cut="one-sided"), found.search.values, rank)


def _missed(found: Located, request: Request, rank: int) -> Status:
    if found.search.stopped_by is not None:
        return found.search.stopped_by
    return Status.RANK_CAP if request.rank is not None and rank >= request.rank else Status.NOT_CERTIFIED


def _errors_of_all_ranks(op: Ledger, inside: Nystrom, cap: int) -> list[ErrorEstimate]:
    """Return the Frobenius errors of the ranks 0 to cap, from one product with V and the norm of A.

    norm(A - V_k W_k V_k^H)_F^2 = norm(A)_F^2 - sum_{j <= k} w_j (2 v_j^H A v_j - w_j).
    """
    magnitude, xp = op.measure(), op.xp
    assert magnitude is not None
    v = inside.V[:, :cap]
    products = xp.conj(v) * op.matmat(v) if cap else v
    rayleigh = host_values(xp.sum(xp.real(products) if op.dtype.kind == "c" else products, axis=0, dtype=xp.float64))
    w, scale = host_values(inside.w)[:cap], magnitude.frobenius
    squares = scale**2 - np.append(0.0, np.cumsum(w * (2 * rayleigh - w)))
    floor, found = identity_floor(op.dtype), []
    for square in (squares / scale**2 if scale > 0 else 0 * squares).tolist():
        value, upper = math.sqrt(max(square, 0.0)), math.sqrt(max(square, floor**2)) if scale > 0 else 0.0
        found.append(
            ErrorEstimate(
                value=value,
                absolute=value * scale,
                norm="fro",
                kind="exact",
                method="the Frobenius identity",
                upper=upper,
                failure_probability=0.0,
                standard_error=0.0,
                floor=floor,
                norm_of_A=scale,
                residual=value * scale,
                residual_upper=upper * scale,
                cut="sum",
            )
        )
    return found


def _looked(found: Located, key: Key, inside: Nystrom, rank: int, norm: str, look: int) -> ErrorEstimate:
    """Return the error of a rank from a look at the residual; without the passes for it, a bound that needs none.

    In the spectral norm the bound, up to 1.5 times the norm, is sharper for the approximation of full rank, joined to
    the eigenvalues that are cut off, where these are large beside the smallest that were found.
    """
    op, values = found.op, found.search.values
    if op.spare_passes < (SPECTRAL_PASSES if norm == "spectral" else 1):
        return _bound(found, inside, rank, norm)
    size = rank
    if norm == "spectral" and rank < len(values) and 3 * values[-1] <= values[rank]:
        size = len(values)
    v = inside.V[:, :size]
    left = v * cast(inside.w[:size], v.dtype)[None, :]
    own = key.child("nystrom-certificate", len(found.search.basis.blocks if found.search.basis else ()), look)
    error = dataclasses.replace(certify_approximation(op, left, v, norm, own, looks=look), cut="sum")
    return truncated_error(error, values[:size], rank)


def _free_error(found: Located, key: Key, inside: Nystrom, rank: int, norm: str) -> ErrorEstimate | None:
    """Return the estimate of the Frobenius error that costs no pass, where it is as good as one that does."""
    op, basis = found.op, found.basis
    assert basis is not None
    if norm != "fro":
        return None
    magnitude, method = op.measure(), found.plan.method
    if isinstance(method, BlockLanczos) and len(basis.blocks) == 1 and isinstance(method.sketch, Gaussian):
        omega = method.test_matrix(op, basis.size, key)
        estimate = leave_one_out_of_nystrom(basis, inside, omega)
        if estimate is not None:
            scale = math.hypot(frobenius(inside.w), estimate[0]) if magnitude is None else magnitude.frobenius
            whole = _estimate(*estimate, math.nan, math.nan, scale, "leave-one-out", op)
            return truncated_error(whole, found.search.values, rank)
    if basis.probes is not None:
        v = inside.V[:, :rank]
        value, spread = probe_residual(v, v * cast(inside.w[:rank], v.dtype)[None, :], basis.probes, basis.probed)
        columns = int(basis.probes.shape[1])
        share = lower_share(columns, _FAILURE, complex_columns=op.dtype.kind == "c")
        scale = math.hypot(frobenius(inside.w), value) if magnitude is None else magnitude.frobenius
        return _estimate(value, spread, value / math.sqrt(share), _FAILURE, scale, "independent probes", op)
    return None


def _estimate(
    value: float, spread: float, upper: float, failure: float, scale: float, method: str, op: Ledger
) -> ErrorEstimate:
    share = 1 / scale if scale > 0 else 0.0
    return ErrorEstimate(
        value=value * share, absolute=value, norm="fro", kind="estimated", method=method, upper=upper * share,
        failure_probability=failure, standard_error=spread * share, floor=10 * float(np.finfo(op.dtype).eps),
        norm_of_A=scale, residual=value, residual_upper=upper, cut="sum",
    )  # fmt: skip


def _bound(found: Located, inside: Nystrom, rank: int, norm: str) -> ErrorEstimate:
    """Return the bound norm((I - P) A (I - P))_F joined to what is cut off: no pass, where norm(A)_F is known."""
    op, basis = found.op, found.basis
    assert basis is not None
    magnitude, kept = op.measure(), frobenius(core_of(basis))
    method = "the Frobenius identity of the projection"
    if magnitude is not None:
        scale, image = magnitude.frobenius, frobenius(basis.image)
        floor = identity_floor(op.dtype)
        square = (scale - image) * (scale + image) - (image - kept) * (image + kept)
        residual = math.sqrt(max(square, (floor * scale) ** 2)) if scale > 0 else 0.0
    elif basis.leave_one_out is not None:
        residual, floor, method = basis.leave_one_out, 10 * float(np.finfo(op.dtype).eps), "leave-one-out"
        scale = math.hypot(frobenius(basis.image), residual)
    else:
        residual, scale, floor, method = math.inf, kept, 0.0, "nothing: no pass was left"
    known = magnitude is not None
    # In the spectral norm the largest eigenvalue found is not above the norm of A.
    scale = float(found.search.values.max(initial=0.0)) if norm == "spectral" else scale
    share = 1 / scale if scale > 0 else 0.0
    upper = residual if known else math.nan
    whole = ErrorEstimate(
        value=residual * share, absolute=residual, norm=norm, kind="bounded" if known else "estimated", method=method,
        upper=upper * share, failure_probability=0.0 if known else math.nan, standard_error=math.nan, floor=floor,
        norm_of_A=scale, residual=residual, residual_upper=upper, cut="sum",
    )  # fmt: skip
    return truncated_error(whole, found.search.values, rank)
