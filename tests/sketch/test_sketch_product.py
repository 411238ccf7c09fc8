"""A Omega by every road equals the product with the dense Omega, and the ledger counts one pass."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import rnla
from rnla import sketch
from rnla.operators.algebra import Adjoint
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import SupportsBlocks
from rnla.rng import Key
from rnla.sketch import sketch_product
from tests.sketch.parts import ALL, FOURIER, TABLE, dtypes_of

Array = np.ndarray[Any, Any]
M, N = 60, 90
FEW, MANY = 11, 160  # columns with which the dense road is the cheapest, and with which it is not


@pytest.fixture(autouse=True)
def _large_starts_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the contraction of Khatri-Rao factors take part, which is for an Omega of millions of numbers."""
    monkeypatch.setattr("rnla.sketch.khatri_rao._LARGE", N * MANY)


def dense(dtype: str = "float64", m: int = M, n: int = N) -> Array:
    return np.ascontiguousarray(Key(3).normals(0, m, n, dtype=dtype))


def thinned(A: Array, every: int = 7) -> Array:
    return np.where((np.arange(A.size) % every == 0).reshape(A.shape), A, 0)


def on_disk(A: Array, folder: Path, order: str) -> Any:
    path = folder / f"{order}.npy"
    np.save(path, np.asarray(A, order=order))
    return np.load(path, mmap_mode="r")


def kinds(A: Array, folder: Path) -> dict[str, Any]:
    """Return ways to hold one matrix."""
    wide = np.zeros((2 * A.shape[0], 3 * A.shape[1]), dtype=A.dtype)
    wide[::2, ::3] = A
    return {
        "C": A,
        "Fortran": np.asfortranarray(A),
        "strided": wide[::2, ::3],
        "foreign bytes": A.astype(A.dtype.newbyteorder()),
        "mapped": on_disk(A, folder, "C"),
        "mapped by columns": on_disk(A, folder, "F"),
        "operator": scipy.sparse.linalg.aslinearoperator(A),
    }


def sparse_kinds(A: Array) -> dict[str, Any]:
    thin = thinned(A)
    return {
        "csr": scipy.sparse.csr_array(thin),
        "csc": scipy.sparse.csc_array(thin),
        "coo": scipy.sparse.coo_array(thin),
        "stored whole": scipy.sparse.csr_array(A),
    }


def check_product(held: Any, A: Array, part: sketch.TestMatrix, columns: int = MANY, probes: int = 0) -> None:
    """Compare both sides of a matrix with the product that the definition says."""
    wide = A.astype(np.result_type(A.dtype, np.float64))
    for adjoint in (False, True):
        ledger = Ledger(as_operator(held))
        view: Any = Adjoint(ledger) if adjoint else ledger
        matrix = wide.conj().T if adjoint else wide
        n = matrix.shape[1]
        beside = Key(9).normals(0, n, probes, dtype=ledger.dtype)
        Y = sketch_product(view, part, columns, Key(8), beside)
        omega = np.hstack([part.tile(0, n, n, columns, Key(8), dtype=ledger.dtype), beside]).astype(wide.dtype)
        assert type(Y) is np.ndarray
        assert Y.dtype == ledger.dtype
        assert Y.shape == (matrix.shape[0], columns + probes)
        scale = np.linalg.norm(matrix, axis=1)[:, None] * np.linalg.norm(omega, axis=0)[None, :]
        error = np.abs(Y - matrix @ omega)
        assert np.all(error <= 30 * np.finfo(ledger.dtype).eps * scale), error.max()
        counts = ledger.counts
        both = columns + probes
        assert (counts.passes, counts.forward, counts.backward) == ((1, 0, both) if adjoint else (1, both, 0))


@pytest.mark.parametrize(
    ("name", "columns"), [*((name, MANY) for name in ALL), *((name, FEW) for name in TABLE)], ids=str
)
def test_every_way_to_hold_a_matrix(name: str, columns: int, tmp_path: Path) -> None:
    for dtype in dtypes_of(ALL[name])[1::2]:
        A = dense(dtype)
        for held in kinds(A, tmp_path).values():
            check_product(held, A, ALL[name], columns)
        for held in sparse_kinds(A).values():
            check_product(held, held.toarray(), ALL[name], columns)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize("name", ["sparse_sign", "sparse_stack", "srtt", "hadamard", "khatri_rao", "row_sampling"])
def test_single_precision(name: str, dtype: str, tmp_path: Path) -> None:
    A = dense(dtype)
    for held in kinds(A, tmp_path).values():
        check_product(held, A, ALL[name])
    for held in sparse_kinds(A).values():
        check_product(held, held.toarray(), ALL[name])


@pytest.mark.parametrize("columns", [FEW, MANY])
@pytest.mark.parametrize("name", ["gaussian", "sparse_stack", "srtt", "row_sampling"])
def test_probes_ride_in_the_same_pass(name: str, columns: int, tmp_path: Path) -> None:
    for dtype in ("float32", "complex128"):
        A = dense(dtype)
        for held in kinds(A, tmp_path).values():
            check_product(held, A, ALL[name], columns, probes=5)
        for held in sparse_kinds(A).values():
            check_product(held, held.toarray(), ALL[name], columns, probes=5)


@pytest.mark.parametrize("name", ["count_sketch", "srtt", "row_sampling", "khatri_rao"])
def test_many_blocks_and_threads_change_nothing(name: str, tmp_path: Path) -> None:
    """Bits do not depend on threads; with another cut of the blocks, sums over blocks agree to rounding."""
    A = dense(m=500, n=300)
    path = tmp_path / "A.npy"
    np.save(path, A)
    results = []
    for threads in (1, 2):
        with rnla.config_context(threads=threads):
            for held in (A, scipy.sparse.csr_array(thinned(A)), np.load(path, mmap_mode="r")):
                results.append(sketch_product(Ledger(as_operator(held)), ALL[name], MANY, Key(1)))
                results.append(sketch_product(Adjoint(Ledger(as_operator(held))), ALL[name], MANY, Key(1)))
    half = len(results) // 2
    assert all(np.array_equal(one, two) for one, two in zip(results[:half], results[half:], strict=True))
    with rnla.config_context(memory_budget=1 << 20):
        for order in ("C", "F"):
            held = on_disk(A.astype(">f8"), tmp_path, order)
            base = as_operator(held)
            assert isinstance(base, SupportsBlocks)
            assert len(list(base.row_blocks() if order == "C" else base.column_blocks())) > 2
            check_product(held, A, ALL[name])


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0), (1, 1), (1, 40), (40, 1), (3, 2)], ids=str)
@pytest.mark.parametrize("name", ALL)
def test_empty_and_tiny_matrices(name: str, shape: tuple[int, int]) -> None:
    dtype = "complex128" if name in FOURIER else "float64"
    A = dense(dtype, *shape)
    for held in (A, scipy.sparse.csr_array(A)):
        for columns in (0, 1, 6, MANY):
            Y = sketch_product(Ledger(as_operator(held)), ALL[name], columns, Key(8))
            omega = ALL[name].tile(0, shape[1], shape[1], columns, Key(8), dtype=dtype)
            assert Y.shape == (shape[0], columns)
            assert np.allclose(Y, A @ omega, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("name", ["sparse_stack", "srtt", "rademacher"])
def test_huge_and_tiny_entries_come_scaled(name: str, size: float, tmp_path: Path) -> None:
    """The result is in the scale of the ledger's products, learnt before the first number leaves."""
    A = dense()
    for held in [*kinds(A * size, tmp_path).values(), scipy.sparse.csr_array(A * size)]:
        ledger = Ledger(as_operator(held))
        Y = sketch_product(ledger, ALL[name], MANY, Key(8))
        assert (ledger.exponent == 0) == (size == 1)
        expected = A @ ALL[name].tile(0, N, N, MANY, Key(8)) * (size * 2.0**-ledger.exponent)
        assert np.abs(Y - expected).max() <= 1e-12 * np.abs(expected).max()
        assert np.allclose(ledger.matmat(ALL[name].tile(0, N, N, MANY, Key(8))), Y, rtol=1e-9, atol=1e-12)


def test_what_is_not_finite_is_refused(tmp_path: Path) -> None:
    A = dense()
    A[7, 5] = np.nan
    for held in (*kinds(A, tmp_path).values(), scipy.sparse.csr_array(A)):
        for name in ("sparse_stack", "srtt", "row_sampling"):
            with pytest.raises(rnla.NonFiniteError):
                sketch_product(Ledger(as_operator(held)), ALL[name], MANY, Key(8))


def test_a_budget_of_passes_holds() -> None:
    for held in (dense(), scipy.sparse.csr_array(dense())):
        for name in ("sparse_stack", "srtt", "gaussian"):
            ledger = Ledger(as_operator(held))
            with rnla.config_context(max_passes=1):
                sketch_product(ledger, ALL[name], MANY, Key(0))
                with pytest.raises(rnla.BudgetError, match="max_passes=1"):
                    sketch_product(ledger, ALL[name], MANY, Key(0))


@pytest.mark.parametrize("name", ["sparse_stack", "srtt", "hadamard twice", "khatri_rao", "row_sampling"])
def test_the_dense_test_matrix_is_not_formed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one dense tile is drawn for what has a faster road."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a dense tile was drawn")

    monkeypatch.setattr(type(ALL[name]), "tile", refuse)
    for held in (dense(), *([scipy.sparse.csr_array(dense())] if name != "khatri_rao" else [])):
        assert sketch_product(Ledger(as_operator(held)), ALL[name], MANY, Key(0)).shape == (M, MANY)


def test_other_libraries_take_the_dense_road() -> None:
    strict = pytest.importorskip("array_api_strict")
    A = dense()
    ledger = Ledger(as_operator(strict.asarray(A)))
    Y = sketch_product(ledger, rnla.SRTT(), 6, Key(2))
    assert type(Y).__module__.startswith("array_api_strict")
    assert np.allclose(np.asarray(Y), A @ rnla.SRTT().tile(0, N, N, 6, Key(2)), rtol=0, atol=1e-12)


def test_the_ledger_applies_a_function_as_one_counted_and_checked_pass() -> None:
    A = dense()
    ledger = Ledger(as_operator(A))
    out = ledger.apply(lambda op: op.matmat(np.ones((N, 2))), 2)
    assert np.allclose(out, A.sum(axis=1, keepdims=True))
    back = ledger.apply(lambda op: op.rmatmat(np.ones((M, 3))), 3, adjoint=True)
    assert back.shape == (N, 3)
    assert (ledger.counts.passes, ledger.counts.forward, ledger.counts.backward) == (2, 2, 3)
    with pytest.raises(rnla.NonFiniteError, match="in pass 3"):
        ledger.apply(lambda op: np.full((M, 1), np.inf), 1)
    for held in (A * 1e200, scipy.sparse.linalg.aslinearoperator(A)):
        scaled = Ledger(as_operator(held))
        assert scaled.apply(lambda op: 1 / 0, 1) is None
        assert scaled.counts.passes == 0


@pytest.mark.parametrize("name", ["srtt", "sparse_stack"])
def test_memory_stays_bounded_beside_a_large_matrix(name: str, tmp_path: Path) -> None:
    """Beside the result and Omega in CSR, blocks only: under a quarter of A, held, mapped or sparse but nearly full."""
    m, n, columns = 1500, 2048, 160
    A = np.ones((m, n))
    held = [A, on_disk(A, tmp_path, "C"), scipy.sparse.csr_array(A)]
    for matrix in held[: 3 if name == "srtt" else 2]:
        ledger = Ledger(as_operator(matrix))
        ledger.measure()
        with rnla.config_context(threads=1):
            tracemalloc.start()
            sketch_product(ledger, ALL[name], columns, Key(0))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak - m * columns * 8 <= A.nbytes / 4
