"""Matrices read in blocks: equal to NumPy's products for every source, one reading a pass, memory within the budget."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnla.config import config_context
from rnla.errors import BudgetError, DTypeError, InputError, IntegrityError, NonFiniteError, OperatorError
from rnla.operators import rowblocks, sources
from rnla.operators.columnblocks import ColumnBlocks, in_blocks
from rnla.operators.protocols import (
    LinearOperator,
    SupportsBlocks,
    SupportsMagnitude,
    SupportsNormal,
)
from rnla.operators.rowblocks import RowBlocks
from rnla.operators.sources import along_chunks, open_npy

COMPUTE = {"f4": "f4", "f8": "f8", "c8": "c8", "c16": "c16", "i4": "f8", ">f8": "f8", "f2": "f4", "b1": "f8"}
BUDGETS = ["1M", "2M", "1G"]
M, N, K = 1500, 90, 5


class Sliced:
    """A source of the caller's own: slices of rows and nothing else; keeps count of what was read."""

    ndim = 2

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.read = np.zeros(array.shape[0], dtype=int)
        self.threads: set[str] = set()

    def __getitem__(self, rows: slice) -> np.ndarray[Any, Any]:
        self.read[rows] += 1
        self.threads.add(threading.current_thread().name)
        return self.array[rows].copy()


def matrix(dtype: str, m: int = M, n: int = N) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(3)
    a = rng.standard_normal((m, n))
    if np.dtype(dtype).kind == "c":
        a = a + 1j * rng.standard_normal((m, n))
    if np.dtype(dtype).kind in "ib":
        a = np.round(4 * a)
    return a.astype(dtype)


def thin(rows: int, dtype: str, k: int = K) -> np.ndarray[Any, Any]:
    return matrix(dtype, rows, k)


def _memmap(a: np.ndarray[Any, Any], folder: Path, order: Any = "C") -> Any:
    out = np.memmap(folder / "a.bin", dtype=a.dtype, mode="w+", shape=a.shape, order=order)
    out[...] = a
    return out


def _npy(a: np.ndarray[Any, Any], folder: Path) -> Any:
    np.save(folder / "a.npy", a)
    return open_npy(folder / "a.npy")


def _hdf5(a: np.ndarray[Any, Any], folder: Path, **options: Any) -> Any:
    h5py = pytest.importorskip("h5py")
    # The core driver keeps the file in memory, so that no open file outlives the test's folder.
    file = h5py.File(folder / "a.h5", "w", driver="core", backing_store=False)
    return file.create_dataset("a", data=a, **options)


def _zarr(a: np.ndarray[Any, Any], folder: Path) -> Any:
    zarr = pytest.importorskip("zarr")
    out = zarr.create_array(str(folder / "a.zarr"), shape=a.shape, chunks=(128, 50), dtype=a.dtype)
    out[...] = a
    return out


def _dask(a: np.ndarray[Any, Any], folder: Path) -> Any:
    del folder
    dask = pytest.importorskip("dask.array")
    return dask.from_array(a, chunks=((100, 500, 300, 400, 200), (50, 40)))


SOURCES: dict[str, Callable[[np.ndarray[Any, Any], Path], Any]] = {
    "memmap": _memmap,
    "memmap F": lambda a, folder: _memmap(a, folder, "F"),
    "memmap transposed": lambda a, folder: _memmap(a.T, folder).T,
    "memmap strided": lambda a, folder: _memmap(np.repeat(a, 2, axis=1), folder)[:, ::2],
    "memmap part": lambda a, folder: _memmap(np.hstack([a, a]), folder)[:, :N],
    "npy": _npy,
    "hdf5": _hdf5,
    "hdf5 chunked": lambda a, folder: _hdf5(a, folder, chunks=(64, 30), compression="gzip"),
    "zarr": _zarr,
    "dask": _dask,
    "sliced": lambda a, folder: Sliced(a),
}


def check_products(op: Any, a: np.ndarray[Any, Any], dtype: str) -> None:
    """Both products and the normal product against NumPy in double precision."""
    wide = a.astype("c16" if np.dtype(dtype).kind == "c" else "f8")
    x, y = thin(a.shape[1], dtype), thin(a.shape[0], dtype)
    # Rounding of a sum of at most M terms stays below M eps |a| |b| entry by entry.
    eps = M * np.finfo(dtype).eps
    np.testing.assert_array_less(abs(op.matmat(x) - wide @ x), eps * (abs(wide) @ abs(x)) + 1e-300)
    np.testing.assert_array_less(abs(op.rmatmat(y) - wide.conj().T @ y), eps * (abs(wide).T @ abs(y)) + 1e-300)
    assert op.matmat(x).dtype == op.rmatmat(y).dtype == np.dtype(dtype)
    if isinstance(op, SupportsNormal):
        z, ax = op.normal_matmat(x)
        np.testing.assert_array_equal(ax, op.matmat(x))
        np.testing.assert_array_less(abs(z - wide.conj().T @ ax), eps * (abs(wide).T @ abs(ax)) + 1e-300)
        assert z.dtype == np.dtype(dtype)


# ------------------------------------------------------------------------------------------------------ values
@pytest.mark.parametrize("dtype", COMPUTE)
@pytest.mark.parametrize("kind", SOURCES)
def test_products_are_those_of_numpy(kind: str, dtype: str, tmp_path: Path) -> None:
    a = matrix(dtype)
    source = SOURCES[kind](a, tmp_path)
    for budget in BUDGETS:
        with config_context(memory_budget=budget, threads=2):
            op = in_blocks(source, np.dtype(COMPUTE[dtype]))
            assert op.measure() is None
            check_products(op, a, COMPUTE[dtype])
            magnitude = op.measure()
            assert magnitude is not None
            expected = np.linalg.norm(a.astype("c16").ravel())
            assert magnitude.frobenius * 2.0**magnitude.exponent == pytest.approx(expected, rel=1e-5)


def test_the_protocols_are_met(tmp_path: Path) -> None:
    rows, columns = RowBlocks(matrix("f8"), np.dtype("f8")), ColumnBlocks(matrix("f8"), np.dtype("f8"))
    for protocol in (LinearOperator, SupportsNormal, SupportsMagnitude, SupportsBlocks):
        assert isinstance(rows, protocol)
    assert isinstance(columns, LinearOperator)
    assert isinstance(columns, SupportsMagnitude)
    assert not isinstance(columns, SupportsNormal)
    assert (columns.shape, columns.xp, columns.device) == ((M, N), np, None)
    a = matrix("f8")
    assert isinstance(in_blocks(_memmap(a, tmp_path, "F"), np.dtype("f8")), ColumnBlocks)
    assert isinstance(in_blocks(_memmap(a, tmp_path, "C"), np.dtype("f8")), RowBlocks)


@pytest.mark.parametrize("dtype", ["f4", "c16"])
@pytest.mark.parametrize("shape", [(4000, 6), (700, 300), (20, 5000)])
def test_bits_depend_on_neither_threads_nor_repetition(shape: tuple[int, int], dtype: str) -> None:
    source, x = Sliced(matrix(dtype, *shape)), thin(shape[1], dtype, 40)
    seen = set()
    for threads in (1, 2, 3, 3):
        with config_context(threads=threads, memory_budget="2M"):
            z, ax = RowBlocks(source, np.dtype(dtype)).normal_matmat(x)
            seen.add((z.tobytes(), ax.tobytes()))
    assert len(seen) == 1


def test_columns_are_read_where_a_row_of_chunks_is_too_large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sources, "STRIPE_BYTES", M * 20 * 8)
    a = matrix("c16")
    source = _hdf5(a, tmp_path, chunks=(M, 10))
    op = in_blocks(source, a.dtype)
    assert isinstance(op, ColumnBlocks)
    with config_context(memory_budget="2M"):
        check_products(op, a, "c16")
    assert op.measure() is not None


@pytest.mark.parametrize("shape", [(0, 7), (7, 0), (0, 0)])
@pytest.mark.parametrize("make", [RowBlocks, ColumnBlocks])
def test_empty_matrices(make: Any, shape: tuple[int, int]) -> None:
    op = make(np.zeros(shape), np.dtype("f8"))
    m, n = shape
    np.testing.assert_array_equal(op.matmat(np.ones((n, 3))), np.zeros((m, 3)))
    np.testing.assert_array_equal(op.rmatmat(np.ones((m, 3))), np.zeros((n, 3)))
    assert op.measure().frobenius == 0
    rows = RowBlocks(np.zeros(shape), np.dtype("f8"))
    assert [z.shape for z in rows.normal_matmat(np.ones((n, 3)))] == [(n, 3), (m, 3)]
    assert sum(block.shape[0] for _, block in rows.row_blocks()) == m


# ----------------------------------------------------------------------------------------------------- reading
def test_a_pass_reads_each_row_once() -> None:
    source = Sliced(matrix("f4", 20000, 64))
    op = RowBlocks(source, np.dtype("f4"))
    with config_context(memory_budget="2M"):
        op.normal_matmat(thin(64, "f4"))
        assert (source.read == 1).all()
        assert any("rnla-read" in name for name in source.threads)  # more than one block, read ahead
        op.matmat(thin(64, "f4"))
        op.rmatmat(thin(20000, "f4"))
    assert (source.read == 3).all()


def test_row_blocks_come_in_order_in_the_compute_dtype() -> None:
    a = matrix("i4")
    with config_context(memory_budget="1M"):
        blocks = list(RowBlocks(Sliced(a), np.dtype("f8")).row_blocks())
    assert len(blocks) > 1
    assert [rows.start for rows, _ in blocks] == [0, *(rows.stop for rows, _ in blocks[:-1])]
    assert all(block.dtype == np.dtype("f8") for _, block in blocks)
    np.testing.assert_array_equal(np.vstack([block for _, block in blocks]), a)


def test_a_cut_along_chunks_never_splits_one_that_fits() -> None:
    assert along_chunks(10, 5, 8, 2) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert along_chunks(10, 3, 8, 7) == [slice(0, 7), slice(7, 10)]
    assert along_chunks(10, 3, 5, 7) == [slice(0, 2), slice(2, 4), slice(4, 7), slice(7, 10)]
    assert along_chunks(10, 4, 6, (3, 1, 6, 0)) == [slice(0, 4), slice(4, 10)]
    for chunks in (1, 3, 64, (1, 99), (50, 50), (100,)):
        cut = along_chunks(100, 7, 20, chunks)
        assert [part.start for part in cut] == [0, *(part.stop for part in cut[:-1])]
        assert cut[-1].stop == 100
        assert max(part.stop - part.start for part in cut) <= 20


class Broken(Sliced):
    """Fails at the row given, and is slow, so that the failure meets a block that is being multiplied."""

    def __init__(self, array: np.ndarray[Any, Any], at: int, error: BaseException) -> None:
        super().__init__(array)
        self.at, self.error = at, error

    def __getitem__(self, rows: slice) -> np.ndarray[Any, Any]:
        time.sleep(0.01)
        if rows.start <= self.at < rows.stop:
            raise self.error
        return super().__getitem__(rows)


def read_ahead_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("rnla-read")]


@pytest.mark.parametrize("at", [0, 1499])
def test_an_error_of_the_source_passes_through_with_the_rows(at: int) -> None:
    broken = OSError(5, "the disk is on fire")
    op = RowBlocks(Broken(matrix("f8"), at, broken), np.dtype("f8"))
    with config_context(memory_budget="1M"), pytest.raises(OSError, match="on fire") as caught:
        op.normal_matmat(thin(N, "f8"))
    assert caught.value is broken
    first, last = map(int, re.findall(r"rows (\d+) to (\d+) of the matrix", broken.__notes__[0])[0])
    assert first <= at <= last
    assert op.measure() is None
    assert not read_ahead_threads()


def test_the_reading_thread_does_not_outlive_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    op = RowBlocks(Broken(matrix("f8"), -1, OSError()), np.dtype("f8"))
    fractions = []

    def interrupt(fraction: float) -> None:
        fractions.append(fraction)
        assert read_ahead_threads()
        if len(fractions) == 2:
            raise KeyboardInterrupt

    with config_context(memory_budget="1M"):
        op.matmat(thin(N, "f8"))
        assert not read_ahead_threads()
        monkeypatch.setattr(rowblocks, "tick", interrupt)
        with pytest.raises(KeyboardInterrupt) as caught:
            op.matmat(thin(N, "f8"))
        assert not read_ahead_threads()  # although the traceback in hand keeps the frames
        del caught
        blocks = op.row_blocks()
        next(blocks)
        assert read_ahead_threads()
        blocks.close()
        assert not read_ahead_threads()
    assert 0 < fractions[0] < fractions[1] <= 1


# ---------------------------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("check", [True, False])
def test_entries_that_are_not_finite_are_refused_by_name(bad: float, check: bool, tmp_path: Path) -> None:
    a = matrix("f8")
    a[1400, 40] = bad
    with config_context(memory_budget="1M", check_finite=check):
        op = RowBlocks(Sliced(a), np.dtype("f8"))
        with pytest.raises(NonFiniteError, match=r"in rows (\d+) to (\d+)") as caught:
            op.matmat(thin(N, "f8"))
        first, last = map(int, re.findall(r"\d+", str(caught.value)))
        assert first <= 1400 <= last < M
        assert op.measure() is None
        with pytest.raises(NonFiniteError, match="in columns 0 to 89"):
            in_blocks(_memmap(a, tmp_path, "F"), np.dtype("f8")).rmatmat(thin(M, "f8"))
        monolith = np.asfortranarray(a)
        with pytest.raises(NonFiniteError, match="in rows 0 to 1499"):
            RowBlocks(monolith, np.dtype("f8")).rmatmat(thin(M, "f8"))


@pytest.mark.parametrize("scale", [1e300, 1e-300, 0.0])
def test_the_magnitude_survives_extreme_scales(scale: float) -> None:
    a = matrix("f8") * scale
    op = RowBlocks(Sliced(a), np.dtype("f8"))
    op.matmat(np.zeros((N, 1)))
    magnitude = op.measure()
    assert magnitude is not None
    expected = np.linalg.norm(matrix("f8")) * (scale != 0)
    assert magnitude.frobenius * 2.0**magnitude.exponent / (scale or 1) == pytest.approx(expected)


def test_a_budget_below_one_row_is_refused_with_one_that_works(tmp_path: Path) -> None:
    a = matrix("f8", 3, 100_000)
    op = RowBlocks(Sliced(a), a.dtype)
    with (
        config_context(memory_budget="2M"),
        pytest.raises(BudgetError, match=r"one of the rows .* set memory_budget=") as e,
    ):
        op.matmat(thin(100_000, "f8", 1))
    enough = int(str(e.value).split("memory_budget=")[1].split()[0])
    with config_context(memory_budget=enough):
        np.testing.assert_allclose(op.matmat(thin(100_000, "f8", 1)), a @ thin(100_000, "f8", 1))
    with config_context(memory_budget="1M"), pytest.raises(BudgetError, match="one chunk of the store"):
        RowBlocks(_hdf5(a.T, tmp_path, chunks=(100_000, 1)), a.dtype).matmat(np.zeros((3, 1)))


def test_a_source_that_breaks_its_word_is_refused() -> None:
    short, complex_, masked = (Sliced(matrix("f8")) for _ in range(3))
    short.array = short.array[:, 1:]
    complex_.array = complex_.array * 1j
    masked.array = np.ma.masked_greater(masked.array, 1)
    x = thin(N, "f8")
    with pytest.raises(OperatorError, match=r"gave shape \(1500, 89\) for rows 0 to 1499"):
        RowBlocks(short, np.dtype("f8")).matmat(x)
    with pytest.raises(DTypeError, match="gave complex128 for rows 0 to 1499"):
        RowBlocks(complex_, np.dtype("f8")).matmat(x)
    with pytest.raises(DTypeError, match="masked entries"):
        RowBlocks(masked, np.dtype("f8")).matmat(x)
    with pytest.raises(InputError, match="not a matrix of known size"):
        RowBlocks(np.zeros(3), np.dtype("f8"))


def test_a_dask_array_of_unknown_size_is_refused() -> None:
    dask = pytest.importorskip("dask.array")
    a = dask.from_array(matrix("f8"), chunks=(100, N))
    with pytest.raises(InputError, match="compute_chunk_sizes"):
        RowBlocks(a[a[:, 0] > 0], np.dtype("f8"))


# --------------------------------------------------------------------------------------------------- npy files
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_files_are_mapped(order: Any, tmp_path: Path) -> None:
    a = np.array(matrix(">f8"), order=order)
    np.save(tmp_path / "a.npy", a)
    mapped = open_npy(str(tmp_path / "a.npy"))
    assert isinstance(mapped, np.memmap)
    assert not mapped.flags.writeable
    assert mapped.dtype == np.dtype(">f8")
    np.testing.assert_array_equal(mapped, a)
    np.save(tmp_path / "a.npy", np.zeros((0, 4)))
    assert open_npy(tmp_path / "a.npy").shape == (0, 4)


NPY_FAULTS: dict[str, tuple[Callable[[bytes], bytes], type[Exception], str]] = {
    "short": (lambda raw: raw[:-1], IntegrityError, "truncated"),
    "long": (lambda raw: raw + b"\0", IntegrityError, "goes on"),
    "cut in the header": (lambda raw: raw[:40], IntegrityError, "damaged npy header"),
    "no header": (lambda raw: b"", IntegrityError, "damaged npy header"),
    "code in the header": (lambda raw: raw.replace(b"(3, 4)", b"(f(),)"), IntegrityError, "damaged npy header"),
    "negative": (lambda raw: raw.replace(b"(3, 4)", b"(-3,4)"), IntegrityError, "damaged npy header"),
    "claims terabytes": (
        lambda raw: raw.replace(b"(3, 4), }     ", b"(99999999, 4)}"),
        IntegrityError,
        "claims 3199999968 bytes",
    ),
    "one axis": (lambda raw: raw.replace(b"(3, 4)", b"(12,) "), InputError, "two dimensions"),
    "objects": (lambda raw: raw.replace(b"<f8", b"|O8"), DTypeError, "pickled objects"),
    "dates": (lambda raw: raw.replace(b"'<f8'", b"'<M8'"), DTypeError, "data type datetime64"),
    "version 3": (lambda raw: raw[:6] + b"\3" + raw[7:], DTypeError, "version 3.0"),
    "version 9": (lambda raw: raw[:6] + b"\11" + raw[7:], IntegrityError, "version"),
}


@pytest.mark.parametrize("fault", NPY_FAULTS)
def test_faulty_npy_files_are_refused(fault: str, tmp_path: Path) -> None:
    damage, error, message = NPY_FAULTS[fault]
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((3, 4)))
    raw = path.read_bytes()
    assert damage(raw) != raw
    path.write_bytes(damage(raw))
    with pytest.raises(error, match=message):
        open_npy(path)


# ------------------------------------------------------------------------------------------------------ memory
MEMORY_PROBE = """
import sys, threading, time
import numpy as np
from rnla.config import config_context
from rnla.operators.rowblocks import RowBlocks
from rnla._kernels.threads import one_blas_thread

def anonymous():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))

class Sliced:
    ndim = 2
    def __init__(self, array): self.array, self.shape, self.dtype = array, array.shape, array.dtype
    def __getitem__(self, rows): return self.array[rows].copy()

mapped = np.memmap(sys.argv[1], dtype=sys.argv[2], mode="r").reshape(-1, 1024)
source = Sliced(mapped) if sys.argv[3] == "sliced" else mapped
x = np.ones((1024, 4))
with config_context(memory_budget="16M", threads=2), one_blas_thread():
    RowBlocks(mapped[:2048], np.dtype("f8")).normal_matmat(x)  # threads, BLAS buffers and modules come first
    peak, done = 0, threading.Event()
    def watch():
        global peak
        while not done.is_set():
            peak = max(peak, anonymous())
            time.sleep(0.0005)
    before = anonymous()
    watcher = threading.Thread(target=watch)
    watcher.start()
    op = RowBlocks(source, np.dtype("f8"))
    for _ in range(2):
        op.normal_matmat(x)
    done.set()
    watcher.join()
print(peak - before)
"""


@pytest.mark.subprocess
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads anonymous memory from /proc")
@pytest.mark.parametrize(("dtype", "kind"), [("f8", "mapped"), (">f8", "mapped"), (">f4", "sliced")])
def test_anonymous_memory_stays_within_the_budget(dtype: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    np.memmap(path, dtype=dtype, mode="w+", shape=(8192, 1024))[...] = 1.5
    command = [sys.executable, "-c", MEMORY_PROBE, str(path), dtype, kind]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
    # 64 MB in double precision.  The budget of 16 MiB holds the thin arrays too; 1 MiB is the interpreter's slack.
    assert int(done.stdout) <= (16 << 20) + (1 << 20)
