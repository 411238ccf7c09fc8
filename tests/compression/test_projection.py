"""Projection on a basis: the canonical form, its two sides, and Pythagoras."""

from __future__ import annotations

import numpy as np
import pytest

from rnla.compression.projection import project
from rnla.results import RangeBasis
from rnla.testing import haar, matrix


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("space", ["row", "column"])
@pytest.mark.parametrize("shape", [(30, 20), (20, 30), (25, 25)])
def test_projection_is_the_part_inside_the_basis(shape: tuple[int, int], space: str, dtype: str) -> None:
    A = matrix("inverse", *shape, dtype=dtype, rng=1)
    view = A if space == "row" else A.conj().T
    X = haar(view.shape[1], 6, dtype=dtype, rng=2).astype(dtype)
    factors = project(RangeBasis(space, X, view @ X, (6,)))
    left = np.eye(shape[0]) if factors.Q is None else factors.Q
    right = np.eye(shape[1]) if factors.P is None else factors.P
    product = left @ factors.C @ right.conj().T
    inside = A @ X @ X.conj().T if space == "row" else X @ X.conj().T @ A
    eps = np.finfo(dtype).eps
    size = np.linalg.norm(A)
    assert np.linalg.norm(product - inside) <= 20 * eps * size
    rest = np.linalg.norm(A - product)
    assert abs(rest**2 + np.linalg.norm(factors.C) ** 2 - size**2) <= 50 * eps * size**2
    assert (factors.Q is None) == (space == "row")
    assert (factors.P is None) == (space == "column")
