"""Sparse matrices as operators: the blocks of rows that the pool multiplies are views, not copies."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from rnla.operators.sparse import Sparse


def matrix(dtype: Any = "float64") -> Any:
    a = scipy.sparse.random_array((20_000, 3_000), density=0.01, format="csr", rng=np.random.default_rng(0))
    return a.astype(dtype)


@pytest.mark.parametrize("kind", [scipy.sparse.csr_array, scipy.sparse.csr_matrix])
def test_row_blocks_share_the_memory_of_the_matrix(kind: Any) -> None:
    a = kind(matrix())
    op = Sparse(a, a.dtype)
    op.matmat(np.ones((3_000, 1)))
    assert len(op._rows.views) > 1
    for block in op._rows.views:
        assert np.shares_memory(block.data, a.data)
        assert np.shares_memory(block.indices, a.indices)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_products_copy_nothing_but_the_transpose(dtype: str) -> None:
    a = matrix(dtype)
    wide = a.astype("complex128")
    op = Sparse(a, a.dtype)
    x, y = np.ones((3_000, 2), dtype=dtype), np.ones((20_000, 2), dtype=dtype)
    tracemalloc.start()
    try:
        ax = op.matmat(x)
        direct = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        ay = op.rmatmat(y)
        adjoint = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert op.copies == ["transposed CSR"]
    thin = 2 * (x.nbytes + y.nbytes)
    assert direct <= op.nbytes // 10 + thin
    assert adjoint <= 1.2 * op.nbytes + 2 * thin
    np.testing.assert_allclose(ax, wide @ x, rtol=1e-4)
    np.testing.assert_allclose(ay, wide.conj().T @ y, rtol=1e-4)
