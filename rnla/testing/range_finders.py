"""What every range finder must do, as one check that a user can run on a method of their own."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnla._xp.linalg import eps_of
from rnla._xp.namespace import NUMPY, from_host, to_host
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.rangefinder.protocols import Goal, RangeFinder, Riders
from rnla.results import RangeBasis
from rnla.rng import as_key
from rnla.testing.spectra import matrix, optimal_error

__all__ = ["check_range_finder", "gaussian_error_bound"]

Array = np.ndarray[Any, Any]
_DTYPES = ("float32", "float64", "complex64", "complex128")
_SPECTRA = ("exact_rank", "exponential", "inverse", "flat", "graded")


def gaussian_error_bound(values: Array, size: int) -> float:
    """Return the bound of Corollary 10.9 [halko2011]_ on the spectral error of a Gaussian basis.

    (1 + 8 sqrt((k + p) p log p)) s_{k+1} + 3 sqrt(k + p) (s_{k+1}^2 + ...)^(1/2) holds but with
    probability 6 p^-p, for every k + p = size; the least over p >= 10 is taken, 6e-10 for each.
    (These are the constants of the report of 2009; those of the paper are smaller.)

    Parameters
    ----------
    values : numpy.ndarray
        All singular values, descending.
    size : int
        Columns of the basis, at least 12.

    Returns
    -------
    float

    Examples
    --------
    >>> gaussian_error_bound(np.r_[np.ones(4), np.zeros(20)], 14)
    0.0
    """
    bounds = [math.inf]
    for p in range(10, size - 1):
        k = size - p
        after = float(values[k]) if k < len(values) else 0.0
        near = 1 + 8 * math.sqrt(size * p * math.log(p))
        bounds.append(near * after + 3 * math.sqrt(size) * optimal_error(values, k))
    return min(bounds)


def check_range_finder(
    part: RangeFinder,
    *,
    shapes: Sequence[tuple[int, int]] = ((70, 50), (50, 70), (60, 60), (40, 100)),
    dtypes: Sequence[str] = _DTYPES,
    xp: Any = NUMPY,
    device: Any = None,
    rng: Any = 0,
) -> None:
    """Raise `AssertionError` unless a range finder keeps the contract of `RangeFinder`.

    Parameters
    ----------
    part : RangeFinder
    shapes : sequence of tuple
        Of the matrices that it is tried on; both sides at least 40.
    dtypes : sequence of str
        Of those matrices.
    xp : namespace
        The array library to check it with.
    device : object
        A device of that library.
    rng : Key or what `rnla.svd` takes as ``rng=``

    Raises
    ------
    AssertionError
        Naming the matrix: a basis that is not orthonormal to 30 eps sqrt(l), an image that is not A times
        the basis, block sizes that do not add up, an error above `gaussian_error_bound` or below the
        optimum, a singular value above that of A, other bits for the same key, a basis that does not grow
        to what is asked or, grown, does not hold the one it came from.

    Notes
    -----
    Alarm rate for keys at random: 6e-10 for each matrix and size, under 1e-7 in all.  A method without
    randomness and one that iterates meet the same bound.

    Examples
    --------
    >>> import rnla
    >>> check_range_finder(rnla.FullSVD())
    """
    assert isinstance(part, RangeFinder), f"{type(part).__name__} has no find(op, goal, key, riders, start)"
    key = as_key(rng).child("check-range-finder")
    for dtype in dtypes:
        for name in _SPECTRA:
            for shape in shapes:
                A = matrix(name, *shape, dtype=dtype, rng=key.child(name))
                _check_matrix(part, f"{name}, {shape[0]} x {shape[1]}, {dtype}", A, xp, device, key)


def _goal(size: int, shape: tuple[int, int]) -> Goal:
    return Goal(size, min(shape), lambda basis: max(0, size - basis.size))


def _check_matrix(part: RangeFinder, what: str, A: Array, xp: Any, device: Any, key: Any) -> None:
    op = Ledger(as_operator(from_host(A, xp, device)))
    op.measure()
    wide = A.astype(np.complex128 if A.dtype.kind == "c" else np.float64)
    values = np.linalg.svd(wide, compute_uv=False)
    first = part.find(op, _goal(14, A.shape), key, Riders())
    _check_basis(f"{what}, 14 columns", first, wide, values, A.dtype, 14)
    again = part.find(Ledger(as_operator(from_host(A, xp, device))), _goal(14, A.shape), key, Riders())
    assert np.array_equal(to_host(first.basis), to_host(again.basis)), f"{what}: the same key gives other bits"
    kept = dataclasses.replace(first)
    more = part.find(op, _goal(30, A.shape), key, Riders(), first)
    _check_basis(f"{what}, 30 columns", more, wide, values, A.dtype, 30)
    assert first.basis is kept.basis, f"{what}: growing changed the basis that it started from"
    assert first.size == kept.size, f"{what}: growing changed the basis that it started from"
    old, new = (to_host(basis.basis).astype(wide.dtype) for basis in (first, more))
    gap = float(np.linalg.norm(old - new @ (new.conj().T @ old)))
    bound = 30 * eps_of(A.dtype) * math.sqrt(more.size)
    assert gap <= bound, f"{what}: the grown basis misses {gap:.1e} of the one that it came from"
    whole = part.find(op, _goal(min(A.shape), A.shape), key, Riders(), more)
    _check_basis(f"{what}, all columns", whole, wide, values, A.dtype, min(A.shape))


def _check_basis(what: str, basis: RangeBasis, A: Array, values: Array, dtype: Any, size: int) -> None:
    eps = eps_of(dtype)
    assert basis.space in {"row", "column"}, f"{what}: space is {basis.space!r}"
    view = A if basis.space == "row" else A.conj().T
    x, y = to_host(basis.basis), to_host(basis.image)
    count = basis.size
    assert size <= count <= min(A.shape), f"{what}: the basis has {count} columns"
    assert x.shape == (view.shape[1], count), f"{what}: the basis has shape {x.shape}"
    assert y.shape == (view.shape[0], count), f"{what}: the image has shape {y.shape}"
    assert x.dtype == y.dtype == dtype, f"{what}: dtypes {x.dtype} and {y.dtype}"
    assert sum(basis.blocks) == count, f"{what}: blocks {basis.blocks} do not add up to {count}"
    x, y = x.astype(A.dtype), y.astype(A.dtype)
    size_of = float(np.linalg.norm(values))
    gap, bound = float(np.linalg.norm(x.conj().T @ x - np.eye(count))), 30 * eps * math.sqrt(count)
    assert gap <= bound, f"{what}: norm(X^H X - I) is {gap:.1e}, above {bound:.1e}"
    gap, bound = float(np.linalg.norm(view @ x - y)), 30 * eps * math.sqrt(count) * size_of
    assert gap <= bound, f"{what}: the image is off by {gap:.1e}, above {bound:.1e}"
    rest = float(np.linalg.norm(view - (view @ x) @ x.conj().T, 2))
    slack = 50 * eps * size_of
    best = float(values[count]) if count < len(values) else 0.0
    assert rest >= best - slack, f"{what}: an error of {rest:.1e} is below the optimum {best:.1e}"
    bound = gaussian_error_bound(values, count) + slack
    assert rest <= bound, f"{what}: the error {rest:.1e} is above the bound {bound:.1e}"
    found = np.linalg.svd(y, compute_uv=False)
    assert np.all(found <= values[:count] + slack), f"{what}: a singular value exceeds that of A"
