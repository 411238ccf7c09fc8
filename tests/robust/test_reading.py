"""What is read of D: the ledger, every kind of input, and the memory that it takes."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.rng import Key
from rnla.robust.planning import memory_bound
from rnla.robust.reading import Reader
from rnla.robust.sampling import drawn, held_out, sample_size
from tests.robust.model import error, model

CROSS = ["riecur", "ircur"]


class Recorded:
    """D as a function of its entries, which keeps what it was asked for."""

    def __init__(self, d: np.ndarray) -> None:
        self.d, self.shape, self.dtype = d, d.shape, d.dtype
        self.asked = np.zeros(d.shape, dtype=np.int64)

    def entries(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        self.asked[np.ix_(i, j)] += 1
        return self.d[np.ix_(i, j)]


class Given(Recorded):
    """The same without a record, which would take memory of its own."""

    def entries(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        return self.d[np.ix_(i, j)]


@pytest.mark.parametrize("method", CROSS)
def test_the_ledger_is_what_a_function_was_asked_for(method: str) -> None:
    d, low, _ = model(700, 600, 3, 0.1, seed=1)
    source = Recorded(d)
    result = rnla.robust_pca(source, 3, method=method, rng=0)
    assert error(result, low) <= 20e-7
    assert result.entries_read == int(source.asked.sum())
    assert result.distinct_entries == int((source.asked > 0).sum())
    assert result.trace[-1, 3] < result.entries_read  # what was set aside is read last
    # An iteration reads one cross.
    each = np.diff(result.trace[:, 3])
    size = sample_size(result.report.plan.method.samples, 3, 700, "rows") * 600
    size += sample_size(result.report.plan.method.samples, 3, 600, "columns") * 700
    assert np.array_equal(each, np.full(len(each), size))
    # S is read when it is asked for, and only there.
    before = source.asked.copy()
    result.S.rows([5, 17])
    after = source.asked - before
    assert after[[5, 17]].all()
    assert after.sum() == 2 * 600


def test_entries_that_are_not_sampled_may_be_anything() -> None:
    """With a fixed cross, what lies outside it and outside of what is set aside is NaN here."""
    d, low, _ = model(500, 400, 2, 0.1, seed=2)
    part = rnla.RieCUR(resample=False, samples=6.0)
    plain = rnla.robust_pca(d, 2, method=part, rng=4, on_failure="return")
    seen = np.zeros(d.shape, dtype=bool)
    seen[plain.rows] = seen[:, plain.columns] = True
    key = rnla.rng.as_key(4)
    seen[held_out(key.child("held-out", "rows", 0), 500)] = True
    seen[:, held_out(key.child("held-out", "columns", 0), 400)] = True
    assert seen.mean() < 0.8
    assert plain.distinct_entries == seen.sum()
    poisoned = rnla.robust_pca(np.where(seen, d, np.nan), 2, method=part, rng=4, on_failure="return")
    assert np.array_equal(poisoned.U, plain.U)
    assert str(poisoned.held_out) == str(plain.held_out)
    del low


def test_a_nan_that_is_sampled_is_told_with_its_place() -> None:
    d, _, _ = model(400, 300, 2, 0.1, seed=3)
    for bad in (np.nan, np.inf):
        d[123] = bad
        for method in (*CROSS, "accaltproj", "pcp"):
            with pytest.raises(rnla.NonFiniteError, match=r"mask=, True where D is observed"):
                rnla.robust_pca(d, 2, method=method, rng=0)


@pytest.mark.parametrize("kind", ["memmap", "fortran", "h5py", "zarr", "dask", "csr", "rows-and-columns", "operator"])
@pytest.mark.parametrize("method", CROSS)
def test_every_kind_of_matrix_gives_the_answer_of_the_array(kind: str, method: str, tmp_path: Any) -> None:
    d, low, _ = model(400, 300, 2, 0.1, seed=5)
    expected = rnla.robust_pca(d, 2, method=method, rng=1)
    if kind == "memmap":
        np.save(tmp_path / "d.npy", d)
        source: Any = np.load(tmp_path / "d.npy", mmap_mode="r")
    elif kind == "fortran":
        source = np.asfortranarray(d)
    elif kind == "h5py":
        h5py = pytest.importorskip("h5py")
        with h5py.File(tmp_path / "d.h5", "w") as file:
            file["d"] = d
        source = h5py.File(tmp_path / "d.h5", "r")["d"]
    elif kind == "zarr":
        zarr = pytest.importorskip("zarr")
        source = zarr.create_array(store=str(tmp_path / "d.zarr"), shape=d.shape, chunks=(64, 64), dtype=d.dtype)
        source[:] = d
    elif kind == "dask":
        source = pytest.importorskip("dask.array").from_array(d, chunks=(100, 90))
    elif kind == "csr":
        sparse = pytest.importorskip("scipy.sparse")
        source = sparse.csr_array(d)
    elif kind == "operator":
        source = pytest.importorskip("scipy.sparse.linalg").aslinearoperator(d)
    else:

        class Parts:
            shape, dtype = d.shape, d.dtype

            def rows(self, i: np.ndarray) -> np.ndarray:
                return d[i]

            def columns(self, j: np.ndarray) -> np.ndarray:
                return d[:, j]

        source = Parts()
    result = rnla.robust_pca(source, 2, method=method, rng=1)
    assert np.allclose(result.s, expected.s, rtol=1e-12)
    assert result.entries_read == expected.entries_read
    assert result.distinct_entries == expected.distinct_entries
    assert error(result, low) <= 20e-7
    assert np.allclose(result.S.rows([3]), expected.S.rows([3]), atol=1e-9)


def test_a_sparse_matrix_is_never_made_dense() -> None:
    """Most of D is zero and was meant so: L = 0 nearly everywhere is not low-rank plus sparse, but reading works."""
    sparse = pytest.importorskip("scipy.sparse")
    u, v = np.zeros((3000, 1)), np.zeros((1, 2500))
    u[::2], v[:, ::2] = 1.0, 2.0
    d = sparse.csr_array(u @ v)
    tracemalloc.start()
    result = rnla.robust_pca(d, 1, method="riecur", rng=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.status.ok
    assert abs(float(result.s[0]) - 2 * np.sqrt(1500 * 1250)) <= 1e-6
    assert peak < 8 * 3000 * 2500 * 2 / 3 + d.data.nbytes * 2  # its CSC form, and a cross


@pytest.mark.parametrize("method", CROSS)
def test_memory_stays_within_the_stated_bound(method: str) -> None:
    """The bound is a third of one dense temporary here, so any such would show."""
    m, n, rank = 4000, 3500, 2
    d, low, _ = model(m, n, rank, 0.1, seed=7)
    part = rnla.robust.ROBUST_METHODS[method]()
    bound = memory_bound(m, n, rank, part.samples, 8)
    assert bound < d.nbytes / 2
    rnla.robust_pca(d[:400, :400], rank, method=part, rng=0, on_failure="return")  # what is loaded once
    tracemalloc.start()
    result = rnla.robust_pca(d, rank, method=part, rng=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error(result, low) <= 20e-7
    assert peak <= bound
    assert result.report.plan.bytes == bound


@pytest.mark.parametrize("source", ["function", "scaled", "integers", "sparse", "columns"])
def test_other_sources_stay_within_their_plan(source: str) -> None:
    """A function, an array in another scale or dtype, a sparse matrix (which is turned once), and whole columns."""
    m, n, rank = 3000, 2500, 2
    d, _, _ = model(m, n, rank, 0.1, seed=7)
    given: Any = {
        "function": lambda: Given(d), "scaled": lambda: 1e-40 * d, "columns": lambda: d,
        "integers": lambda: np.round(1e9 * d).astype(np.int64),
        "sparse": lambda: pytest.importorskip("scipy.sparse").csr_array(np.where(np.arange(n) % 3 > 0, d, 0.0)),
    }[source]()  # fmt: skip
    options: dict[str, Any] = {"method": "riecur", "max_iterations": 8, "on_failure": "return"}
    options |= {"threshold": "columns"} if source == "columns" else {}
    rnla.robust_pca(d[:400, :400], rank, rng=0, **options)  # what is loaded once
    tracemalloc.start()
    rnla.robust_pca(given, rank, rng=0, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= rnla.plan(given, rank, problem="robust_pca", **options).bytes


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("method", ["accaltproj", "altproj", "pcp"])
def test_methods_that_read_all_stay_within_their_plan(method: str, masked: bool) -> None:
    """Where the certificate's rows are most of D, and where the iteration's own arrays are."""
    for n in (150, 400):
        d, _, _ = model(n, n, 2, 0.05, seed=n)
        options = {"mask": np.random.default_rng(0).random(d.shape) < 0.9} if masked else {}
        options |= {"method": method, "max_iterations": 8, "on_failure": "return"}
        rnla.robust_pca(d, 2, rng=0, **options)  # what is loaded once
        tracemalloc.start()
        rnla.robust_pca(d, 2, rng=0, **options)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= rnla.plan(d, 2, problem="robust_pca", **options).bytes


@pytest.mark.parametrize("method", ["accaltproj", "altproj"])
def test_a_copy_in_another_scale_is_in_the_plan_and_in_the_budget(method: str) -> None:
    """Which scale it is only reading tells: the plan of the report counts the copy, and the budget is asked again."""
    d, low, _ = model(900, 800, 2, 0.1, seed=5)
    d, options = 1e-40 * d, {"method": method, "rng": 0}
    rnla.robust_pca(d[:300, :300], 2, **options)  # what is loaded once
    tracemalloc.start()
    result = rnla.robust_pca(d, 2, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error(result, 1e-40 * low) <= 20e-7
    before = rnla.plan(d, 2, problem="robust_pca", method=method).bytes
    assert peak <= result.report.plan.bytes
    assert result.report.plan.bytes >= before + d.nbytes
    with rnla.config_context(memory_budget=before + d.nbytes // 2), pytest.raises(rnla.BudgetError):
        rnla.robust_pca(d, 2, **options)


def test_the_certificate_stays_within_the_bound_too() -> None:
    """At rank one it looks at more rows than a cross has."""
    d, _, _ = model(6000, 1500, 1, 0.1, seed=3)
    rnla.robust_pca(d[:400], 1, method="riecur", rng=0, on_failure="return")
    tracemalloc.start()
    rnla.robust_pca(d, 1, method="riecur", rng=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= memory_bound(6000, 1500, 1, 3.0, 8)


def test_the_bound_grows_like_n_log_n() -> None:
    sizes = [2**k for k in range(14, 24)]
    ratio = [memory_bound(n, n, 5, 3.0, 8) / (5 * n * np.log(n)) for n in sizes]
    assert max(ratio) <= 8 * 2 * 2 * (3 + 1 + 64 / (5 * np.log(sizes[0]))) + 8 * 60 / np.log(sizes[0]) + 2


def test_numbers_are_drawn_without_replacement_and_never_those_set_aside() -> None:
    key = Key(3)
    held = held_out(key, 1000)
    assert len(held) == 64
    assert len(np.unique(held)) == 64
    for weights in (None, np.arange(1000.0)):
        found = drawn(key.child("x"), 1000, 200, held, weights)
        assert len(np.unique(found)) == 200
        assert not np.intersect1d(found, held).size
        assert np.array_equal(found, np.sort(found))
    heavy = drawn(key.child("y"), 1000, 200, held, np.where(np.arange(1000) < 150, 1e9, 1e-9))
    assert np.count_nonzero(heavy < 150) == 150 - np.count_nonzero(held < 150)
    assert len(drawn(key, 10, 99, held[:0])) == 10


@pytest.mark.statistical
def test_every_number_is_drawn_equally_often() -> None:
    """Counts of 4000 draws of 10 out of 50 lie within 6 standard deviations: alarm rate below 50 * 2e-9 = 1e-7."""
    counts = np.zeros(50)
    for k in range(4000):
        counts[drawn(Key(k), 50, 10, np.zeros(0, dtype=np.int64))] += 1
    deviation = np.sqrt(4000 * 0.2 * 0.8)
    assert np.abs(counts - 800).max() <= 6 * deviation


def test_a_source_that_breaks_its_word_is_told() -> None:
    class Wrong:
        shape, dtype = (200, 200), np.dtype(float)

        def rows(self, i: np.ndarray) -> np.ndarray:
            return np.zeros((len(i), 3))

        def columns(self, j: np.ndarray) -> np.ndarray:
            return np.zeros((200, len(j)))

    with pytest.raises(rnla.OperatorError, match="rows of D must come"):
        rnla.robust_pca(Wrong(), 1, rng=0)
    reader = Reader(np.ones((6, 5)))
    assert (reader.entries, reader.distinct) == (0, 0)
    reader.rows(np.array([0, 0, 2]))
    reader.columns(np.array([1]))
    assert (reader.entries, reader.distinct) == (21, 14)
    assert reader.touched(np.array([2]), np.array([4]))
    reader.begin()
    assert not reader.touched(np.array([2]), np.array([1]))
    assert reader.distinct == 14


def test_entries_of_S_read_only_what_is_asked() -> None:
    d, _, _ = model(300, 280, 2, 0.1, seed=1)
    source = Recorded(d)
    result = rnla.robust_pca(source, 2, rng=0)
    i, j = np.array([5, 5, 200, 7, 5]), np.array([3, 270, 3, 3, 3])
    for rows, columns in ((i, j), (np.arange(90), np.arange(90) % 2), (i[:0], j[:0])):
        before = source.asked.copy()
        found = result.S.entries(rows, columns)
        wanted = np.zeros_like(before)
        wanted[rows, columns] = 1
        assert np.array_equal(source.asked - before, wanted)
        assert np.allclose(found, result.S.to_array()[rows, columns])
    with pytest.raises(rnla.InputError, match="as many rows as columns"):
        result.S.entries([1, 2], [3])


@pytest.mark.parametrize("kind", ["memmap", "fortran", "h5py", "zarr", "dask", "csr", "torch", "mask", "columns"])
def test_entries_of_S_of_every_kind(kind: str, tmp_path: Any) -> None:
    d, _, _ = model(120, 110, 2, 0.1, seed=5)
    options: dict[str, Any] = {"mask": np.random.default_rng(0).random(d.shape) < 0.9} if kind == "mask" else {}
    options |= {"threshold": "columns", "on_failure": "return"} if kind == "columns" else {}
    result = rnla.robust_pca(d, 2, rng=0, **options)
    source: Any = d
    if kind == "memmap":
        np.save(tmp_path / "d.npy", d)
        source = np.load(tmp_path / "d.npy", mmap_mode="r")
    elif kind == "fortran":
        source = np.asfortranarray(d)
    elif kind == "h5py":
        h5py = pytest.importorskip("h5py")
        source = h5py.File(tmp_path / "d.h5", "w").create_dataset("d", data=d)
    elif kind == "zarr":
        zarr = pytest.importorskip("zarr")
        source = zarr.create_array(store=str(tmp_path / "d.zarr"), shape=d.shape, chunks=(64, 64), dtype=d.dtype)
        source[:] = d
    elif kind == "dask":
        source = pytest.importorskip("dask.array").from_array(d, chunks=(50, 60))
    elif kind == "csr":
        source = pytest.importorskip("scipy.sparse").csr_array(d)
    elif kind == "torch":
        torch = pytest.importorskip("torch")
        source = torch.from_numpy(d)
        result = rnla.robust_pca(source, 2, rng=0)
    outliers = result.outliers(source)
    i, j = np.array([5, 5, 100, 7, 5, 0]), np.array([3, 109, 3, 3, 3, 0])
    assert np.allclose(np.asarray(outliers.entries(i, j)), np.asarray(result.S.to_array())[i, j], atol=1e-12)


@pytest.mark.parametrize(
    ("answer", "got"),
    [
        (lambda d, i, j: None, "got a NoneType"), (lambda d, i, j: d[np.ix_(j, i)], "got shape"),
        (lambda d, i, j: d[i, j], "it raised IndexError"), (lambda d, i, j: d[i[:1], j], "single entries"),
    ],
)  # fmt: skip
def test_what_entries_must_return_is_told(answer: Any, got: str) -> None:
    d = np.ones((200, 200))

    class Wrong:
        shape, dtype = d.shape, d.dtype

        def entries(self, i: np.ndarray, j: np.ndarray) -> Any:
            return answer(d, i, j)

    with pytest.raises(rnla.OperatorError, match=rf"shape \(len\(i\), len\(j\)\), here \(\d+, 200\); .*{got}"):
        rnla.robust_pca(Wrong(), 1, rng=0)


def test_an_object_with_rows_only_is_told_what_it_lacks() -> None:
    class Half:
        shape, dtype = (200, 200), np.dtype(float)

        def rows(self, i: np.ndarray) -> np.ndarray:
            return np.ones((len(i), 200))

    with pytest.raises(rnla.InputError, match=r"rows only: give it columns\(j\) too, or entries"):
        rnla.robust_pca(Half(), 1)


def test_the_dtype_of_a_file_is_told(tmp_path: Any) -> None:
    d = np.outer(np.arange(200) % 7, np.ones(190)).astype(np.uint8)
    np.save(tmp_path / "d.npy", d)
    assert rnla.robust_pca(tmp_path / "d.npy", 1, rng=0).report.dtype_path.startswith("uint8 -> float")
    assert rnla.robust_pca(d, 1, rng=0).report.dtype_path.startswith("uint8 -> float")
