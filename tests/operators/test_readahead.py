"""Files read ahead: the same bits as through the mapping, each byte once, and nothing left behind by any ending."""

from __future__ import annotations

import errno
import mmap
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.config import config_context
from rnla.errors import IntegrityError, NonFiniteError
from rnla.operators import file_rows, readahead, rowblocks
from rnla.operators.columnblocks import in_blocks
from rnla.operators.file_rows import FileRows
from rnla.operators.rowblocks import RowBlocks
from rnla.operators.sources import open_npy

pytestmark = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="files are read ahead on Linux")

M, N, K = 3000, 90, 5


def matrix(dtype: str = "f8") -> np.ndarray[Any, Any]:
    a = 3 * np.random.default_rng(5).standard_normal((M, N))
    return (a + 1j * a[::-1] if np.dtype(dtype).kind == "c" else a).astype(dtype)


def thin(rows: int, dtype: Any) -> np.ndarray[Any, Any]:
    return np.random.default_rng(6).standard_normal((rows, K)).astype(dtype)


def raw_file(a: np.ndarray[Any, Any], folder: Path, offset: int = 0, order: Any = "C", mode: Any = "r") -> Any:
    path = folder / "a.bin"
    path.write_bytes(b"x" * offset + a.tobytes(order=order))
    return np.memmap(path, dtype=a.dtype, mode=mode, offset=offset, shape=a.shape, order=order)


def npy_file(a: np.ndarray[Any, Any], folder: Path) -> Any:
    np.save(folder / "a.npy", a)
    return open_npy(folder / "a.npy")


LAYOUTS: dict[str, Callable[[np.ndarray[Any, Any], Path], Any]] = {
    "npy": npy_file,
    "raw": raw_file,
    "writable": lambda a, folder: raw_file(a, folder, mode="r+"),
    "odd offset": lambda a, folder: raw_file(a, folder, offset=1003),
    "page and more": lambda a, folder: raw_file(a, folder, offset=4096 + 24),
    "by columns": lambda a, folder: raw_file(a, folder, offset=24, order="F"),
    "some columns": lambda a, folder: raw_file(np.hstack([a, a[:, : N // 2]]), folder)[:, :N],
    "some rows": lambda a, folder: raw_file(np.vstack([a[:7], a, a[:5]]), folder)[7:-5],
    "a view": lambda a, folder: np.asarray(raw_file(a, folder)),
}


class Disk:
    """What the threads read; `share` of the pages pass for being in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read: list[tuple[int, int]] = []
        self.share = 0.0
        self.error: OSError | None = None
        true_read = os.preadv

        def preadv(fd: int, buffers: Any, offset: int) -> int:
            if self.error is not None:
                raise self.error
            got = true_read(fd, buffers, offset)
            self.read.append((offset, got))
            return got

        monkeypatch.setattr(readahead.os, "preadv", preadv)
        monkeypatch.setattr(file_rows, "_pages_in_memory", lambda address, pages: self.share * pages)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Disk:
    """Blocks of a few rows, none of them in memory, on a file system that lets them be read past its cache."""
    monkeypatch.setattr(rowblocks, "BLOCK_BYTES", 1 << 17)
    monkeypatch.setattr(readahead, "_PART_BYTES", 3 * 4096)
    (tmp_path / "probe").write_bytes(b"x" * 8192)
    try:
        fd = os.open(tmp_path / "probe", os.O_RDONLY | os.O_DIRECT)
        os.close(fd)
    except OSError:
        pytest.skip("this file system has no unbuffered reads")
    return Disk(monkeypatch)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No thread that reads and no file that was opened for it outlives a test."""
    yield
    assert not readers()
    assert not unbuffered_files()


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("rnla-read")]


def unbuffered_files() -> list[Path]:
    found = []
    for path in Path("/proc/self/fdinfo").iterdir():
        try:
            flags = int(path.read_text().split("flags:")[1].split()[0], 8)
        except (FileNotFoundError, ProcessLookupError):  # that of the listing
            continue
        if flags & os.O_DIRECT:
            found.append(path)
    return found


# ------------------------------------------------------------------------------------------------------ values
@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", ">f8", "i4"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_fetched_gives_the_bits_of_what_is_mapped(layout: str, dtype: str, disk: Disk, tmp_path: Path) -> None:
    source = LAYOUTS[layout](matrix(dtype), tmp_path)
    compute = np.dtype({"i4": "f8", ">f8": "f8"}.get(dtype, dtype))
    found = []
    for share in (0.0, 0.5, 1.0):
        disk.share = share
        op = in_blocks(source, compute)
        x, y = thin(N, compute), thin(M, compute)
        bits = [op.matmat(x), op.rmatmat(y), *(op.normal_matmat(x) if isinstance(op, RowBlocks) else ())]
        measured = op.measure()
        assert measured is not None
        found.append(([one.tobytes() for one in bits], measured.frobenius))
        assert bool(disk.read) == (share < 1), "only what is not in memory is fetched"
        disk.read.clear()
    assert found[0] == found[1] == found[2]
    wide = matrix(dtype).astype("c16")
    np.testing.assert_allclose(op.matmat(thin(N, compute)), wide @ thin(N, compute), rtol=1e-3, atol=1e-3)


def test_a_pass_reads_each_byte_once(disk: Disk, tmp_path: Path) -> None:
    source = npy_file(matrix(), tmp_path)
    op = RowBlocks(source, np.dtype("f8"))
    op.normal_matmat(thin(N, "f8"))
    disk.read.sort()
    size, blocks = os.path.getsize(tmp_path / "a.npy"), -(-source.nbytes // (1 << 17))
    assert sum(got for _, got in disk.read) <= size + 2 * 4096 * (blocks + 1)  # blocks share a page at their edges
    assert disk.read[0][0] == 0
    assert disk.read[-1][0] + disk.read[-1][1] == size
    assert all(start % 4096 == 0 for start, _ in disk.read)


def test_the_cut_does_not_depend_on_what_is_in_memory(disk: Disk, tmp_path: Path) -> None:
    op = RowBlocks(npy_file(matrix(), tmp_path), np.dtype("f8"))
    cuts = []
    for disk.share in (0.0, 1.0):
        cuts.append([rows for rows, _ in op.row_blocks()])
    assert cuts[0] == cuts[1]
    assert len(cuts[0]) > readahead.BUFFERS


def test_a_block_that_is_kept_is_not_written_over(disk: Disk, tmp_path: Path) -> None:
    a = matrix()
    kept = [block for _, block in RowBlocks(npy_file(a, tmp_path), np.dtype("f8")).row_blocks()]
    assert len(kept) > 2 * readahead.BUFFERS
    np.testing.assert_array_equal(np.vstack(kept), a)
    assert disk.read


def test_buffers_are_used_again(disk: Disk, tmp_path: Path) -> None:
    places = set()
    for _, block in RowBlocks(npy_file(matrix(), tmp_path), np.dtype("f8")).row_blocks():
        places.add(block.ctypes.data // 4096)  # buffers begin at pages, rows anywhere
    assert disk.read
    assert len(places) <= readahead.BUFFERS


def test_what_was_written_through_the_mapping_is_read(disk: Disk, tmp_path: Path) -> None:
    source = raw_file(matrix(), tmp_path, mode="r+")
    source[1234, 56] = 1e6
    assert RowBlocks(source, np.dtype("f8")).matmat(np.eye(N))[1234, 56] == 1e6
    assert disk.read


# -------------------------------------------------------------------------------------------------- ways round
def test_a_refusal_of_unbuffered_reads_is_gone_round(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, x = npy_file(matrix(), tmp_path), thin(N, "f8")
    expected = RowBlocks(source, np.dtype("f8")).matmat(x)
    disk.read.clear()
    disk.error = OSError(errno.EINVAL, "unaligned")
    np.testing.assert_array_equal(RowBlocks(source, np.dtype("f8")).matmat(x), expected)
    disk.error = None
    true_open = os.open

    def refuse(path: Any, flags: int, *rest: Any) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "no unbuffered reads here")
        return true_open(path, flags, *rest)

    monkeypatch.setattr(file_rows.os, "open", refuse)
    np.testing.assert_array_equal(RowBlocks(source, np.dtype("f8")).matmat(x), expected)
    monkeypatch.delattr(readahead.os, "O_DIRECT")
    np.testing.assert_array_equal(RowBlocks(source, np.dtype("f8")).matmat(x), expected)
    assert not disk.read


def test_another_file_in_the_place_of_the_mapped_one_is_not_read(disk: Disk, tmp_path: Path) -> None:
    a = matrix()
    source = npy_file(a, tmp_path)
    early = RowBlocks(source, np.dtype("f8"))
    np.save(tmp_path / "other.npy", 2 * a)
    os.replace(tmp_path / "other.npy", tmp_path / "a.npy")
    np.testing.assert_array_equal(early.matmat(np.eye(N)), a)
    np.testing.assert_array_equal(RowBlocks(source, np.dtype("f8")).matmat(np.eye(N)), a)
    assert not disk.read


@pytest.mark.parametrize(
    "make",
    [
        lambda a, folder: a,
        lambda a, folder: raw_file(a, folder, mode="c"),  # what is written to it is not in the file
        lambda a, folder: raw_file(a, folder)[:, ::2],
        lambda a, folder: raw_file(a, folder)[::-1],
        lambda a, folder: raw_file(a, folder)[:, :10],  # most of what would be read is not wanted
        lambda a, folder: raw_file(a, folder)[:0],
    ],
)
def test_what_is_no_piece_of_a_file_is_not_looked_for(make: Any, tmp_path: Path) -> None:
    assert FileRows.of(make(matrix(), tmp_path)) is None
    assert FileRows.of(raw_file(matrix(), tmp_path)) is not None


def test_pages_in_memory_are_told_from_those_that_are_not(tmp_path: Path) -> None:
    source = raw_file(np.ones((4000, 500)), tmp_path)
    rows = FileRows.of(source)
    assert rows is not None
    whole = slice(0, 4000)
    assert rows.resident(whole)  # it was written just now
    assert rows.resident(whole, sampled=True)
    with open(tmp_path / "a.bin", "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if rows.resident(whole):
        pytest.skip("this file system keeps its files in memory")
    assert not rows.resident(whole, sampled=True)
    source._mmap.madvise(mmap.MADV_RANDOM)  # so that the system reads no more than is asked for
    assert float(source[:2000].sum()) == 2000 * 500
    assert rows.resident(slice(0, 2000))
    assert not rows.resident(slice(2500, 4000))


def test_later_passes_bring_what_fits_into_the_cache(disk: Disk, tmp_path: Path, monkeypatch: Any) -> None:
    flags = []
    true_open = FileRows.open

    def opened(self: FileRows, flag: int = 0) -> int | None:
        flags.append(flag)
        return true_open(self, flag)

    monkeypatch.setattr(FileRows, "open", opened)
    op, x = RowBlocks(npy_file(matrix(), tmp_path), np.dtype("f8")), thin(N, "f8")
    expected = [op.matmat(x) for _ in range(4)]
    assert flags == [os.O_DIRECT, os.O_DIRECT, 0, 0]
    assert all(one.tobytes() == expected[0].tobytes() for one in expected)
    monkeypatch.setattr(readahead, "available_memory", lambda: 2 * M * N * 8 - 1)
    op.matmat(x)
    assert flags[4:] == [os.O_DIRECT]


# ----------------------------------------------------------------------------------------------------- endings
def test_a_file_that_is_cut_short_is_told(disk: Disk, tmp_path: Path) -> None:
    op = RowBlocks(npy_file(matrix(), tmp_path), np.dtype("f8"))
    for size in (1_500_000, 1 << 20):
        os.truncate(tmp_path / "a.npy", size)
        with pytest.raises(IntegrityError, match=r"ends at byte \d+, inside its matrix") as caught:
            op.normal_matmat(thin(N, "f8"))
        assert int(str(caught.value).split("byte ")[1].split(",")[0]) == size
        assert "of the matrix were read" in caught.value.__notes__[0]


@pytest.mark.parametrize("room", [True, False])
def test_a_file_in_memory_that_was_cut_short_is_told(
    room: bool, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own: without the look the system ends whoever reads a mapping past the end of its file."""
    disk.share = 1.0
    monkeypatch.setattr(RowBlocks, "_room_ahead", lambda self: room)
    op = RowBlocks(npy_file(matrix(), tmp_path), np.dtype("f8"))
    op.normal_matmat(thin(N, "f8"))
    os.truncate(tmp_path / "a.npy", 1 << 20)
    child = os.fork()
    if child == 0:
        try:
            op.normal_matmat(thin(N, "f8"))
        except IntegrityError as error:
            os._exit(10 if f"ends at byte {1 << 20}, inside its matrix" in str(error) else 11)
        os._exit(12)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 10
    assert not disk.read


def test_an_error_of_the_disk_passes_through(disk: Disk, tmp_path: Path) -> None:
    disk.error = OSError(errno.EIO, "the disk is on fire")
    with pytest.raises(OSError, match="on fire") as caught:
        RowBlocks(npy_file(matrix(), tmp_path), np.dtype("f8")).matmat(thin(N, "f8"))
    assert caught.value is disk.error


def test_entries_that_are_not_finite_are_found(disk: Disk, tmp_path: Path) -> None:
    a = matrix()
    a[2000, 3] = np.nan
    op = RowBlocks(npy_file(a, tmp_path), np.dtype("f8"))
    with pytest.raises(NonFiniteError, match=r"in rows \d+ to \d+"):
        op.normal_matmat(thin(N, "f8"))
    assert disk.read


def test_an_interrupt_ends_the_threads(disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    op = RowBlocks(npy_file(matrix(), tmp_path), np.dtype("f8"))

    def interrupt(fraction: float) -> None:
        if fraction > 0.3:
            assert readers()
            assert unbuffered_files()
            raise KeyboardInterrupt

    monkeypatch.setattr(rowblocks, "tick", interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        op.matmat(thin(N, "f8"))
    assert not readers()  # although the traceback in hand keeps the frames
    del caught
    blocks = op.row_blocks()
    next(blocks)
    blocks.close()


def test_the_deadline_ends_the_threads(disk: Disk, tmp_path: Path) -> None:
    source = npy_file(matrix(), tmp_path)
    with config_context(deadline=1e-9), pytest.raises(rnla.DeadlineReached):
        rnla.svd(source, 3, method=rnla.SubspaceIteration())


def test_whole_calls_agree(disk: Disk, tmp_path: Path) -> None:
    source = npy_file(matrix(), tmp_path)
    found = []
    for disk.share in (0.0, 1.0):
        result = rnla.svd(source, 3, rng=0)
        found.append((result.U.tobytes(), result.s.tobytes(), result.Vh.tobytes(), result.error.value))
    assert found[0] == found[1]
    assert disk.read


# ------------------------------------------------------------------------------------------------------ memory
MEMORY_PROBE = """
import sys, threading, time
import numpy as np
from rnla.config import config_context
from rnla.operators import file_rows
from rnla.operators.rowblocks import RowBlocks
from rnla._kernels.threads import one_blas_thread

def anonymous():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))

file_rows._pages_in_memory = lambda address, pages: 0
mapped = np.memmap(sys.argv[1], dtype=sys.argv[2], mode="r").reshape(-1, 1024)
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
    op = RowBlocks(mapped, np.dtype("f8"))
    for _ in range(4):
        op.normal_matmat(x)
    done.set()
    watcher.join()
    assert op._ahead._fetched == 4
print(peak - before)
"""


@pytest.mark.subprocess
@pytest.mark.parametrize("dtype", ["f8", ">f4"])
def test_anonymous_memory_stays_within_the_budget(dtype: str, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    np.memmap(path, dtype=dtype, mode="w+", shape=(8192, 1024))[...] = 1.5
    command = [sys.executable, "-c", MEMORY_PROBE, str(path), dtype]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
    # 64 MB in double precision.  The budget of 16 MiB holds the thin arrays too; 1 MiB is the interpreter's slack.
    assert int(done.stdout) <= (16 << 20) + (1 << 20)
