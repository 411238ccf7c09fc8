"""The jackknife against replicates made by brute force, and its promise to be conservative in the mean."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.rng import Key
from rnla.testing import hermitian_matrix, matrix
from tests.reference.epperly2022_jackknife import jackknife, nystrom_parts, range_parts

Array = np.ndarray[Any, Any]


def assert_same(found: Any, expected: tuple[Array, ...], tol: float) -> None:
    parts = (found.values, found.left, found.right, found.approximation)
    for one, two in zip(parts, expected, strict=True):
        assert np.allclose(one, two, rtol=tol, atol=tol)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("shape", [(40, 30), (30, 40)])
def test_replicates_of_the_range_are_those_of_leaving_columns_out(shape: tuple[int, int], dtype: str) -> None:
    A = matrix("inverse", *shape, dtype=dtype, rng=0)
    for space, B in (("column", A), ("row", A.conj().T)):
        result = rnla.svd(A, 3, method=rnla.SketchedRange(oversampling=5, space=space), rng=7)
        omega = Key(7).child("test-matrix", 0).normals(0, B.shape[1], 8, dtype=np.dtype(dtype))
        values, left, right, whole = jackknife(B, omega, 3, range_parts)
        found = rnla.jackknife(result)
        assert_same(found, (values, left, right, whole) if space == "column" else (values, right, left, whole), 1e-9)
        less = rnla.jackknife(result, 2)
        assert np.allclose(less.values, values[:2], rtol=1e-9)
        assert "conservative" in str(less)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_replicates_of_nystrom_are_those_of_leaving_columns_out(dtype: str) -> None:
    A = hermitian_matrix("inverse", 40, dtype=dtype, rng=0)
    result = rnla.nystrom(A, 3, method=rnla.BlockLanczos(depth=1, oversampling=5), rng=7)
    omega = Key(7).child("test-matrix", 0).normals(0, 40, 8, dtype=np.dtype(dtype))
    assert_same(rnla.jackknife(result), jackknife(A, omega, 3, nystrom_parts), 1e-9)


def test_numbers_follow_the_scale_and_single_precision_the_double() -> None:
    A = matrix("inverse", 40, 30, rng=0)
    plain = rnla.jackknife(rnla.svd(A, 3, method=rnla.SketchedRange(), rng=1))
    large = rnla.jackknife(rnla.svd(np.ldexp(A, 900), 3, method=rnla.SketchedRange(), rng=1))
    assert np.allclose(np.ldexp(large.values, -900), plain.values, rtol=1e-6)
    assert math.ldexp(large.approximation, -900) == pytest.approx(plain.approximation, rel=1e-6)
    single = rnla.jackknife(rnla.svd(A.astype("float32"), 3, method=rnla.SketchedRange(), rng=1))
    assert np.allclose(single.values, plain.values, rtol=1e-2)


@pytest.mark.statistical
def test_the_square_is_not_below_the_variance_in_the_mean() -> None:
    """Efron-Stein, over 200 draws; the ratio of means was near 2, so that 1 is missed by far: alarm below 1e-6."""
    A = matrix("inverse_root", 40, 30, rng=0)
    jack, truths = [], []
    for seed in range(200):
        part = rnla.SketchedRange(oversampling=5)
        jack.append(rnla.jackknife(rnla.svd(A, 3, method=part, rng=seed)).approximation ** 2)
        omega = Key(seed).child("other").normals(0, 30, 7, dtype=np.dtype(float))
        truths.append(range_parts(A, omega, 3)[3])
    variance = np.mean([np.linalg.norm(x - np.mean(truths, axis=0)) ** 2 for x in truths])
    assert np.mean(jack) >= variance
    assert np.mean(jack) <= 10 * variance  # conservative, but not idle


def test_what_cannot_be_read_off_is_refused_with_advice() -> None:
    A = matrix("inverse", 40, 30, rng=0)
    refused = [
        rnla.svd(A, 3, rng=0),
        rnla.svd(A, 3, method=rnla.SubspaceIteration(), rng=0),
        rnla.svd(A, 3, method=rnla.SketchedRange(sketch="sparse_sign"), rng=0),
        rnla.svd(A, 3, method=rnla.SketchedRange(), rng=0).extend(rank=15),
        rnla.nystrom(A @ A.T, 3, method=rnla.BlockLanczos(depth=2), rng=0),
        rnla.eigh(A @ A.T, 3, method=rnla.BlockLanczos(depth=1), rng=0),
        3,
    ]
    for result in refused:
        with pytest.raises(rnla.InputError, match="SketchedRange"):
            rnla.jackknife(result)
    whole = rnla.svd(A, 25, method=rnla.SketchedRange(), rng=0)
    assert whole.report.size == 30
    wide = rnla.svd(np.ones((900, 800)) + np.eye(900, 800), 450, method=rnla.SketchedRange(oversampling=0), rng=0)
    for result in (wide,):
        with pytest.raises(rnla.InputError, match="columns"):
            rnla.jackknife(result)
    low = matrix([1.0, 0.5], 40, 30, rng=0)
    with pytest.raises(rnla.InputError, match="singular"):
        rnla.jackknife(rnla.svd(low, 2, method=rnla.SketchedRange(), rng=0))
