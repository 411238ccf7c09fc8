"""Dense rows times a sparse matrix of few entries in a row: the kernels against SciPy, and the bits."""

from __future__ import annotations

import numpy as np
import pytest

from rnla._kernels import compiled
from rnla._kernels.scatter import Scatter
from rnla.config import config_context
from rnla.rng import Key
from rnla.sketch import CountSketch, SparseSign, SparseStack
from rnla.sketch.sparse_rows import sparse_rows

DTYPES = ("float32", "float64", "complex64", "complex128")
SHAPES = ((300, 45, 60), (200, 530, 40), (1000, 130, 257), (37, 5, 9), (9, 1, 3), (40, 0, 7))
LAYOUTS = ("rows", "columns", "strided", "swapped bytes")


def laid_out(a: np.ndarray, layout: str) -> np.ndarray:
    if layout == "columns":
        return np.asfortranarray(a)
    if layout == "strided":
        wide = np.zeros((2 * a.shape[0], 3 * a.shape[1]), dtype=a.dtype)
        wide[::2, ::3] = a
        return wide[::2, ::3]
    return a.astype(a.dtype.newbyteorder()) if layout == "swapped bytes" else a


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_kernels_equal_scipy(dtype: str, layout: str) -> None:
    """Bound: gamma_n |A| |S|, four times for complex numbers; a row of S^T has at most n entries."""
    pytest.importorskip("numba")
    for sketch in (SparseSign(3), CountSketch(), SparseStack(8)):
        for n, p, d in SHAPES:
            omega = sketch.sparse_tile(0, n, n, d, Key(1), dtype=np.dtype(dtype))
            a = laid_out(Key(2).normals(0, n, p, dtype=dtype), layout)
            rows = laid_out(np.ascontiguousarray(a.T), layout)
            with compiled.using("compiled", ["scatter"], np.dtype(dtype)):
                scatter = Scatter(omega)
                found = scatter.adjoint_times(a, 2), scatter.times(rows), scatter.times(rows.T.T)
            expected = omega.toarray().conj().T.astype(np.complex128) @ a
            bound = 8 * n * np.finfo(dtype).eps * np.abs(a).max(initial=0.0) * np.abs(omega.data).max()
            assert np.abs(found[0] - expected).max(initial=0.0) <= bound
            for one in found[1:]:
                assert np.abs(one - rows.astype(np.complex128) @ omega.toarray()).max(initial=0.0) <= bound


def test_a_complex_sparse_matrix_is_scipys() -> None:
    pytest.importorskip("numba")
    omega = SparseSign(3).sparse_tile(0, 50, 50, 20, Key(1), dtype=np.dtype(complex)) * 1j
    a = Key(2).normals(0, 50, 30, dtype="complex128")
    with compiled.using("compiled", ["scatter"], np.dtype(complex)):
        assert np.allclose(Scatter(omega).adjoint_times(a, 1), omega.toarray().conj().T @ a)
        assert np.allclose(Scatter(omega).times(a.T), a.T @ omega.toarray())


def test_parts_and_threads_change_no_bit() -> None:
    pytest.importorskip("numba")
    a = Key(2).normals(0, 30_000, 70)
    for sketch in (SparseSign(4), CountSketch()):
        whole = sketch.sparse_tile(0, 30_000, 30_000, 90, Key(1), dtype=np.dtype(float))
        results = []
        for threads in (1, 3):
            with config_context(threads=threads), compiled.using("compiled", ["scatter"], np.dtype(float)):
                omega = sparse_rows(sketch, 30_000, 90, Key(1), np.dtype(float))
                assert np.array_equal(omega.indices, whole.indices)
                assert np.array_equal(omega.indptr, whole.indptr)
                assert np.array_equal(omega.data, whole.data)
                results.append(Scatter(omega).adjoint_times(a, threads))
        assert np.array_equal(*results)
