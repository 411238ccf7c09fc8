"""The Khatri-Rao test matrix against Kronecker products, its rows in mixed radix, and its moments."""

from __future__ import annotations

import math

import numpy as np
import pytest

import rnla
from rnla.rng import Key
from tests.reference import sketches as oracle


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("rows", [24, 17, 1])
@pytest.mark.parametrize("base", [rnla.Gaussian(), rnla.Rademacher(), rnla.SparseStack(nnz=2)], ids=repr)
@pytest.mark.parametrize("sizes", [(2, 3, 4), (6, 4), (24,), (5, 7)], ids=str)
def test_it_is_the_first_rows_of_the_kronecker_product_column_by_column(
    sizes: tuple[int, ...], base: rnla.Gaussian, rows: int, dtype: str
) -> None:
    key = Key(4)
    factors = [base.tile(0, size, size, 5, key.child("factor", i), dtype=dtype) for i, size in enumerate(sizes)]
    found = rnla.KhatriRao(sizes, base).tile(0, rows, rows, 5, key, dtype=dtype)
    assert np.allclose(found, oracle.khatri_rao(factors)[:rows], rtol=1e-14, atol=0)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_equal_factors_are_as_small_as_the_rows_allow(count: int) -> None:
    for rows in (0, 1, 2, 31, 32, 33, 1000, 10**6):
        sizes = rnla.KhatriRao(count).sizes(rows)
        side = sizes[0]
        assert sizes == (side,) * count
        assert side**count >= rows
        assert side == 1 or (side - 1) ** count < rows


def test_a_tile_far_out_needs_the_factors_only() -> None:
    """Ten thousand million rows: the tile comes from two factors of a hundred thousand."""
    rows, part, key = 10**10, rnla.KhatriRao(), Key(1)
    tile = part.tile(rows - 3, rows, rows, 2, key)
    first, last = (key.child("factor", i).normals(10**5 - 3, 10**5, 2) for i in (0, 1))
    assert np.array_equal(tile, first[-1] * last)


@pytest.mark.statistical
@pytest.mark.parametrize("count", [1, 2, 3])
def test_moments_are_those_of_products_of_normals(count: int) -> None:
    """E |omega_i| = (2 / pi)^(count / 2), at 7 standard errors over 4000 columns: alarm rate under 1e-10."""
    entries = np.abs(rnla.KhatriRao(count).tile(3, 4, 8, 4000, Key(6))[0])
    expected = (2 / math.pi) ** (count / 2)
    error = math.sqrt((1 - expected**2) / 4000)
    assert abs(entries.mean() - expected) <= 7 * error
