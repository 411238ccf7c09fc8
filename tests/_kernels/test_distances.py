"""Squared distances: the compiled kernel gives the bits of its twin."""

from __future__ import annotations

import numpy as np
import pytest

import rnla
from rnla._kernels import compiled
from rnla._kernels.distances import squared_distances

SHAPES = ((1, 1, 1), (3, 5, 2), (100, 37, 8), (7, 300, 16), (0, 4, 3), (4, 0, 3))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_kernel_gives_the_bits_of_its_twin(dtype: str) -> None:
    pytest.importorskip("numba")
    rng = np.random.default_rng(0)
    for m, n, d in SHAPES:
        x, y = (rng.standard_normal((2 * size, d + 1)).astype(dtype) for size in (m, n))
        frozen = x[:m, :d].copy()
        frozen.setflags(write=False)
        pairs = [(x[:m, :d], y[:n, :d]), (x[::2, :d], y[::-2, 1:]), (np.asfortranarray(x), np.asfortranarray(y))]
        for one, other in [*pairs, (frozen, y[:n, :d]), (x[:m, ::-1], y[:n])]:
            found = {}
            for setting in ("plain", "compiled"):
                with compiled.using(setting, ["distances"], np.dtype(dtype)):
                    found[setting] = squared_distances(one, other)
            assert found["compiled"].dtype == np.dtype(dtype)
            assert np.array_equal(found["plain"], found["compiled"])
            exact = ((one.astype(float)[:, None] - other.astype(float)[None]) ** 2).sum(axis=-1)
            assert np.allclose(found["plain"], exact, rtol=d * 8 * np.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("setting", ["plain", "compiled"])
def test_kernel_matrices_are_made_on_either(setting: str) -> None:
    if setting == "compiled":
        pytest.importorskip("numba")
    points = np.random.default_rng(1).standard_normal((3000, 5))
    matrix = rnla.kernel_operator(rnla.GaussianKernel(1.5), points)
    chosen = np.arange(0, 3000, 40)
    gaps = ((points[:, None] - points[chosen][None]) ** 2).sum(axis=2)
    with compiled.using(setting, ["distances"], np.dtype(float)):
        columns = matrix.columns(chosen)
    assert np.allclose(columns, np.exp(-gaps / (2 * 1.5**2)), rtol=1e-14, atol=0)
