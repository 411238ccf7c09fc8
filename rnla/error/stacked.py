"""The certificates of all items of a stack at once: arrays with one entry an item.

Rules, as for one matrix (`rnla.error.certificate`): a complete factorization has rounding for its error, read off
the residual where a tolerance is as small; a projection has the Frobenius identity where that is above its floor, else
the explicit residual.  In the spectral norm complete factorizations are exact, and projections take their Frobenius
residual as a bound.  Cost: the explicit residual is one more stacked product, of the items that need it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, cast, eps_of, host_values
from rnla._xp.stacked import squares, take_items
from rnla.error.residual import factoring_level, identity_floor, identity_rounding
from rnla.operators.stack import Stack
from rnla.results.batched_result import StackedFactors

__all__ = ["Asked", "certificates", "complete_residuals", "projected_residuals"]

Array = np.ndarray[Any, Any]
Residuals = tuple[Array, Array, Array]


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """What hangs on the certificates.

    Attributes
    ----------
    rank, tol : int or None, float or None
    norm : str
    two_sided : bool
    size : int or None
        Columns of the bases; None for complete factorizations.
    """

    rank: int | None
    tol: float | None
    norm: str
    two_sided: bool
    size: int | None


def _explicit(stack: Stack, found: StackedFactors, chosen: Array) -> Array:
    """Return the norm of the residual of some items, from their entries."""
    left, right = take_items(found.left, chosen), take_items(found.left if found.right is None else found.right, chosen)
    scaled = left * cast(take_items(found.values, chosen), left.dtype)[:, None, :]
    norms: Array = np.sqrt(host_values(squares(stack.whole(chosen) - scaled @ adjoint(right))))
    return norms


def complete_residuals(stack: Stack, found: StackedFactors, beside: Array, tol: float | None) -> Residuals:
    """Return the residuals of complete factorizations: rounding, read off the entries where a tolerance is as small.

    `beside` is the norm of what the factorization leaves out of every item: its part that is not Hermitian.
    """
    count, m, n = stack.shape
    level = factoring_level(stack.dtype, max(m, n))
    if tol is None or tol >= level:
        return beside, np.full(count, level), np.full(count, "a complete basis", dtype=object)
    rounding = np.full(count, factoring_level(stack.dtype, min(m, n)))
    return _explicit(stack, found, np.arange(count)), rounding, np.full(count, "the explicit residual", dtype=object)


def projected_residuals(stack: Stack, found: StackedFactors, size: int) -> Residuals:
    """Return the norm of each residual: by the Frobenius identity above its floor, else from the entries."""
    energy = np.sqrt(host_values(found.energy))
    difference = (stack.norms - energy) * (stack.norms + energy)
    floor = identity_floor(stack.dtype)
    below = (difference <= (floor * stack.norms) ** 2) & (stack.norms > 0)
    residual = np.sqrt(np.maximum(difference, 0.0))
    scale = np.where(stack.norms > 0, stack.norms, 1.0)
    rounding = np.hypot(residual / scale, identity_rounding(stack.dtype)) - residual / scale
    method = np.full(len(energy), "the Frobenius identity", dtype=object)
    chosen = np.flatnonzero(below)
    if len(chosen):
        residual[chosen] = _explicit(stack, found, chosen)
        rounding[chosen], method[chosen] = factoring_level(stack.dtype, size), "the explicit residual"
    return residual, rounding, method


def certificates(values: Array, stack: Stack, residuals: Residuals, asked: Asked) -> dict[str, Array]:
    """Return the columns of the certificate and the rank of every item, in the scale of the items as they are.

    Parameters
    ----------
    values : numpy.ndarray, shape (items, l)
        All that were found, in the order in which they are kept.
    stack : Stack
    residuals : tuple of numpy.ndarray
        Absolute residual of each item, the rounding that may be added to it relative to its norm, and the method.
    asked : Asked

    Returns
    -------
    dict of numpy.ndarray
        Besides the fields of `BatchedErrors`: rank, whether the tolerance is ``met``, whether the basis is ``enough``
        larger than the rank for its last values to be good, the exponent, the numerical rank.
    """
    residual, rounding, method = residuals
    sizes = np.abs(values)
    count, width = sizes.shape
    end = np.zeros((count, 1))
    if asked.norm == "fro":
        scale, kind = stack.norms, np.full(count, "exact")
        dropped = np.sqrt(np.concatenate([np.cumsum((sizes**2)[:, ::-1], axis=1)[:, ::-1], end], axis=1))
        join: Callable[[Array, Array], Array] = np.hypot
    else:
        scale = sizes.max(axis=1, initial=0.0)
        exact = residual == 0 if asked.size is None else np.zeros(count, dtype=bool)
        kind = np.where(exact, "exact", "bounded")
        method = np.where(
            exact, method, np.asarray([f"{text}, in the Frobenius norm" for text in set(method)] or [""])[0]
        )
        dropped = np.concatenate([np.maximum.accumulate(sizes[:, ::-1], axis=1)[:, ::-1], end], axis=1)
        join = _two_sided_join if asked.two_sided else np.hypot
    bound = residual + rounding * scale
    errors, bounds = join(dropped, residual[:, None]), join(dropped, bound[:, None])
    limit = width if asked.rank is None else min(asked.rank, width)
    if asked.tol is None:
        rank, met = np.full(count, limit), np.ones(count, dtype=bool)
    else:
        fits = bounds <= asked.tol * scale[:, None]
        first = np.where(fits.any(axis=1), fits.argmax(axis=1), width + 1)
        met = first <= limit
        rank = np.where(met, first, limit)
    enough = (rank + np.maximum(4, np.ceil(0.1 * rank)) <= width) | (asked.size is None)
    here = np.arange(count)
    safe = np.where(scale > 0, scale, 1.0)
    grown = np.exp2(stack.exponents.astype(float))
    value = np.minimum(errors[here, rank] / safe, 1.0)
    level = factoring_level(stack.dtype, values.shape[1])
    identity = np.asarray(["identity" in str(text) for text in method], dtype=bool)
    numerical = 4 * eps_of(stack.dtype) * max(2.0, math.sqrt(max(stack.shape[1:])))
    with np.errstate(over="ignore"):
        return {
            "value": value, "absolute": errors[here, rank] * grown, "upper": bounds[here, rank] / safe,
            "floor": np.where(identity, identity_floor(stack.dtype), np.maximum(rounding, level)),
            "norm_of_A": scale * grown, "residual": residual * grown, "residual_upper": bound * grown,
            "kind": kind, "method": method.astype(str), "rank": rank, "met": met, "enough": enough,
            "exponent": stack.exponents,
            "numerical": np.count_nonzero(sizes > numerical * sizes.max(axis=1, initial=0.0)[:, None], axis=1),
        }  # fmt: skip


def _two_sided_join(dropped: Array, residual: Array) -> Array:
    joined: Array = (dropped + np.hypot(dropped, 2 * residual)) / 2
    return joined
