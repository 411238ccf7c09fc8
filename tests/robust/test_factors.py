"""What is promised of the factors of every answer, however it ended."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnla
from rnla.robust import ROBUST_METHODS
from tests.robust.model import model


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128"])
@pytest.mark.parametrize("limit", [None, 20])
@pytest.mark.parametrize("method", list(ROBUST_METHODS))
def test_singular_vectors_are_orthonormal_to_rounding(method: str, limit: int | None, dtype: str) -> None:
    """30 eps sqrt(k), as for every decomposition, on an L whose values fall by a thousand.

    Each of tens of updates adds to what the one before has left.
    """
    m, n, rank = 96, 240, 3
    d, low, _ = model(m, n, rank, 0.1, seed=3, scale=0.01, dtype=dtype)
    u, s, vh = np.linalg.svd(low, full_matrices=False)
    graded: Any = (u[:, :rank] * (s[0] * np.array([1.0, 0.03, 0.001]))) @ vh[:rank]
    d = (graded + (d - low)).astype(dtype)
    result = rnla.robust_pca(
        d, None if method == "pcp" else rank, method=method, rng=0, max_iterations=limit, on_failure="return"
    )
    eps = np.finfo(d.dtype).eps
    wide = np.result_type(d.dtype, np.float64)
    u, vh, k = result.U.astype(wide), result.Vh.astype(wide), result.rank
    assert k > 0
    assert np.linalg.norm(u.conj().T @ u - np.eye(k)) <= 30 * eps * np.sqrt(k)
    assert np.linalg.norm(vh @ vh.conj().T - np.eye(k)) <= 30 * eps * np.sqrt(k)
    assert (np.diff(result.s) <= 0).all()
