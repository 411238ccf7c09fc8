"""Products and transposition of sparse matrices: the compiled kernels against their plain twins, SciPy's."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import rnla
from rnla._kernels import compiled
from rnla._kernels.aligned import aligned_empty
from rnla._kernels.sparse_products import SparseRows, transposed
from rnla.operators.sparse import Sparse

DTYPES = ("float32", "float64", "complex64", "complex128")
INDEX_DTYPES = ("int32", "int64")


def made(m: int, n: int, density: float, dtype: str, index: str = "int32", seed: int = 0) -> Any:
    """Return a canonical matrix in read-only arrays, with empty rows, and a full column where n is not 1."""
    rng = np.random.default_rng(seed)
    kept = rng.random((m, n)) < density
    kept[:, n // 2] = True
    kept[m // 3 : m // 2] = False
    dense = np.where(kept, rng.standard_normal((m, n)), 0).astype(dtype)
    if dense.dtype.kind == "c":
        dense += (1j * np.where(kept, rng.standard_normal((m, n)), 0)).astype(dtype)
    return frozen(scipy.sparse.csr_array(dense), index)


def frozen(a: Any, index: str) -> Any:
    a.indices, a.indptr = a.indices.astype(index), a.indptr.astype(index)
    for each in (a.data, a.indices, a.indptr):
        each.setflags(write=False)
    return a


def thin(n: int, k: int, dtype: str, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, k))
    return (x + 1j * rng.standard_normal((n, k)) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def products(a: Any, x: np.ndarray, setting: str, threads: int = 2, *, conjugate: bool = False) -> np.ndarray:
    with compiled.using(setting, ["sparse"], a.dtype):
        assert (compiled.family("sparse", a.dtype) is None) == (setting == "plain")
        return SparseRows(a).multiply(x, threads, conjugate=conjugate)


def bound(a: Any, x: np.ndarray) -> np.ndarray:
    """Return gamma_n |A| |X| for each entry, n the entries of the longest row (Higham, section 3.6)."""
    terms = int(np.diff(a.indptr).max(initial=0)) + 2
    return 4 * terms * np.finfo(x.dtype).eps * (abs(a).astype("f8") @ np.abs(x).astype("f8")) + 1e-300


@pytest.fixture(autouse=True)
def kernels() -> None:
    pytest.importorskip("numba")


@pytest.fixture(autouse=True)
def no_size_is_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    from rnla._kernels import sparse_products

    monkeypatch.setattr(sparse_products, "_WORTH_A_KERNEL", 0)
    monkeypatch.setattr(sparse_products, "_FEW", 0)
    monkeypatch.setattr(sparse_products, "_WORTH_A_TASK", 300)
    monkeypatch.setattr(sparse_products, "_WORTH_THREADS", 0)
    monkeypatch.setattr(sparse_products, "_WORTH_COUNTING_TOGETHER", 0)


@pytest.mark.parametrize("index", INDEX_DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_kernels_equal_their_twins_at_every_width(dtype: str, index: str) -> None:
    a = made(90, 70, 0.15, dtype, index)
    for k in (*range(1, 71), 129):
        x = thin(70, k, dtype)
        for conjugate in (False, True):
            plain, fast = (products(a, x, s, conjugate=conjugate) for s in ("plain", "compiled"))
            assert fast.dtype == plain.dtype == a.dtype
            assert fast.flags.c_contiguous
            assert np.all(np.abs(fast - plain) <= bound(a, x))
            exact = (a.conj() if conjugate else a).toarray().astype("c16") @ x.astype("c16")
            assert np.all(np.abs(fast - exact) <= bound(a, x))


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (1, 1), (2000, 3), (3, 2000), (5, 0), (0, 5)])
def test_odd_shapes(shape: tuple[int, int], dtype: str) -> None:
    m, n = shape
    a = made(m, n, 0.3, dtype) if m and n else scipy.sparse.csr_array(shape, dtype=dtype)
    for k in (0, 1, 5, 24):
        x = thin(n, k, dtype)
        plain, fast = (products(a, x, s) for s in ("plain", "compiled"))
        assert fast.shape == plain.shape == (m, k)
        assert np.all(np.abs(fast - plain) <= bound(a, x))


def test_a_matrix_without_entries_gives_zeros() -> None:
    a = scipy.sparse.csr_array((40, 30))
    assert not products(a, thin(30, 5, "float64"), "compiled").any()
    with compiled.using("compiled", ["sparse"], a.dtype):
        assert transposed(SparseRows(a), 2).nnz == 0


@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_thin_arrays_of_any_layout(dtype: str) -> None:
    a = made(90, 70, 0.5, dtype)
    wide = thin(70, 40, dtype)
    odd = np.frombuffer(b"x" + wide.tobytes(), dtype="u1")[1:].view(dtype).reshape(wide.shape)
    assert not odd.flags.aligned
    # Rows far apart are brought together, or not where each is read seldom.
    for b in (a, made(90, 70, 0.01, dtype)):
        for x in (
            wide[:, 3:9],
            np.asfortranarray(wide),
            wide[:, ::2],
            wide[::-1],
            np.broadcast_to(wide[:1], (70, 40)),
            odd,
        ):
            x.setflags(write=False)
            before = x.copy()
            fast = products(b, x, "compiled")
            assert np.array_equal(fast, products(b, np.ascontiguousarray(x), "compiled"))
            assert np.array_equal(x, before)


@pytest.mark.parametrize("setting", ["plain", "compiled"])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_bits_do_not_depend_on_threads(dtype: str, setting: str) -> None:
    a = made(900, 700, 0.05, dtype)
    x = thin(700, 20, dtype)
    assert len(SparseRows(a).cuts) > 16
    one, four = (products(a, x, setting, threads) for threads in (1, 4))
    assert np.array_equal(one, four)
    with compiled.using(setting, ["sparse"], a.dtype):
        left, right = (transposed(SparseRows(a), threads) for threads in (1, 4))
    for part in ("data", "indices", "indptr"):
        assert np.array_equal(getattr(left, part), getattr(right, part))


@pytest.mark.parametrize("index", INDEX_DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(900, 70), (70, 900), (300, 1), (1, 300)])
def test_the_transpose_is_that_of_scipy_bit_for_bit(shape: tuple[int, int], dtype: str, index: str) -> None:
    a = made(*shape, 0.1, dtype, index)
    expected = a.T.tocsr()
    with compiled.using("compiled", ["sparse"], a.dtype):
        found = transposed(SparseRows(a), 3)
    assert found.shape == expected.shape
    assert found.has_canonical_format
    for part in ("data", "indices", "indptr"):
        left, right = getattr(found, part), getattr(expected, part)
        assert left.dtype == (index if part != "data" else dtype)
        assert np.array_equal(left, right)
    found.check_format(full_check=True)


def test_the_rows_are_cut_where_the_work_is() -> None:
    lengths = np.r_[np.full(50, 200), np.ones(5000, dtype=int)]
    columns = np.concatenate([np.arange(length) for length in lengths])
    a = scipy.sparse.csr_array((np.ones(len(columns)), columns, np.r_[0, np.cumsum(lengths)]), shape=(5050, 200))
    cuts = SparseRows(a).cuts
    assert cuts[0].start == 0
    assert cuts[-1].stop == 5050
    assert all(left.stop == right.start for left, right in itertools.pairwise(cuts))
    work = [int(a.indptr[c.stop] - a.indptr[c.start]) + 4 * (c.stop - c.start) for c in cuts]
    assert max(work) <= sum(work) / len(work) + 204  # one row more than its share
    assert len(cuts) == a.nnz // 300


def test_what_the_kernels_cannot_read_goes_to_the_twins() -> None:
    a = made(90, 70, 0.2, "float64")
    a.data = np.repeat(a.data, 2)[::2]  # every second number of an array
    x = thin(70, 9, "float64")
    assert np.array_equal(products(a, x, "compiled"), products(a, x, "plain"))


def test_aligned_arrays_begin_on_a_line() -> None:
    for shape, dtype in (((999, 24), "float64"), ((4097, 5), "complex64"), ((3, 2), "float32"), ((0, 4), "float64")):
        a = aligned_empty(shape, np.dtype(dtype))
        assert a.shape == shape
        assert a.dtype == dtype
        assert a.flags.c_contiguous
        assert a.flags.writeable
        assert a.nbytes < 1 << 14 or a.ctypes.data % 64 == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_is_written_beside_the_product(dtype: str) -> None:
    a = made(6, 5, 0.5, dtype)
    rows, x = SparseRows(a), thin(5, 70, dtype)
    with compiled.using("compiled", ["sparse"], a.dtype):
        kernels = compiled.family("sparse", a.dtype)
    assert kernels is not None
    for k in range(1, 71):
        out = np.full((8, 100), 7, dtype)
        kernels.multiply(
            a.dtype.type(0), np.int32(0), a.dtype.itemsize, rows.pointers.ctypes.data, a.indices.ctypes.data,
            a.data.ctypes.data, a.nnz, 6, x.ctypes.data, 70, k, out[1:, 3:].ctypes.data, 100, 8, a.dtype.type(1), (0,),
        )  # fmt: skip
        assert np.all(np.abs(out[1:7, 3 : 3 + k] - a @ x[:, :k]) <= bound(a, x[:, :k]))
        out[1:7, 3 : 3 + k] = 7
        assert np.all(out == 7)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_svd_of_a_sparse_matrix_takes_them_and_says_so(dtype: str) -> None:
    a = made(400, 300, 0.1, dtype)
    results = {}
    for setting in ("plain", "compiled"):
        with rnla.config_context(kernels=setting):
            results[setting] = rnla.svd(a, 8, rng=0)
    assert "sparse" in results["compiled"].report.kernels
    assert results["plain"].report.kernels == "plain"
    assert results["compiled"].report.copies == results["plain"].report.copies == ("transposed CSR",)
    assert results["compiled"].report.plan.method == results["plain"].report.plan.method
    assert np.allclose(results["compiled"].s, results["plain"].s, rtol=1e-12)


@pytest.mark.parametrize("setting", ["plain", "compiled"])
def test_without_room_no_copy_is_made(setting: str) -> None:
    a = made(400, 300, 0.1, "complex128")
    op = Sparse(a, a.dtype)
    op.room = op.nbytes - 1
    y = thin(400, 5, "complex128")
    with compiled.using(setting, ["sparse"], a.dtype):
        scattered = op.rmatmat(y)
        assert op.copies == []
        op.room = op.nbytes
        gathered = op.rmatmat(y)
    assert op.copies == ["transposed CSR"]
    limit = bound(abs(a).T.tocsr(), y)
    assert np.all(np.abs(scattered - a.conj().T @ y) <= limit)
    assert np.all(np.abs(gathered - scattered) <= limit)
