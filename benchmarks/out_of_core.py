"""A matrix in a file that is not in memory: the rate of one pass against that of the disk, and PCA of it.

    python -m benchmarks.out_of_core --dir /somewhere/with/room [--gb 4] [--rounds 5] [--part rates|pass|pca]

rates  what the disk gives to plain reads and to unbuffered ones, by number of threads and size of a read
pass   the normal product with 24 columns against reading alone with the same buffers (the floor), and against NumPy
       on slices of the mapping, with the file out of the cache and in it
pca    the 50 leading components, against scikit-learn on the mapping; slow peers run once

The file is dropped from the system's cache before each cold timing.  That needs a file system on a disk.
"""

from __future__ import annotations

import itertools
import mmap
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

import rnla
from benchmarks import machine, timing
from rnla.operators.columnblocks import in_blocks
from rnla.operators.rowblocks import RowBlocks
from rnla.working import working

COLUMNS, WIDTH, RANK = 1000, 24, 50
F8 = np.dtype(np.float64)


def write(path: Path, rows: int) -> np.ndarray[Any, Any]:
    """Write rows with singular values 1 / i over noise, and a mean; return the Gram matrix of the centred rows."""
    rng = np.random.Generator(np.random.SFC64(0))
    right = np.linalg.qr(rng.standard_normal((COLUMNS, 300)))[0].T / np.arange(1, 301)[:, None]
    gram, sums = np.zeros((COLUMNS, COLUMNS)), np.zeros(COLUMNS)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=F8, shape=(rows, COLUMNS))
    for start in range(0, rows, 20_000):
        part = out[start : start + 20_000]
        block = rng.standard_normal((len(part), 300), dtype=np.float32) @ right
        block += 1e-3 * rng.standard_normal(block.shape, dtype=np.float32)
        gram += block.T @ block
        sums += block.sum(axis=0)
        part[:] = block + 0.5
    out.flush()
    return gram - np.outer(sums, sums) / rows


def drop(path: Path, mapped: Any = None) -> None:
    """Let the system forget what it holds of a file; what is mapped it would keep."""
    if mapped is not None:
        mapped._mmap.madvise(mmap.MADV_DONTNEED)
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def read_file(path: Path, flags: int, size: int, threads: int) -> None:
    """Read a file once with so many threads, `size` bytes a call."""
    fd = os.open(path, os.O_RDONLY | flags)
    starts, lock = iter(range(0, os.fstat(fd).st_size, size)), threading.Lock()

    def work() -> None:
        buffer = mmap.mmap(-1, size)
        while True:
            with lock:
                start = next(starts, None)
            if start is None:
                return
            os.preadv(fd, [buffer], start)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    os.close(fd)


def rates(path: Path, rounds: int) -> dict[str, Any]:
    """Return GB/s of the ways to read, medians over rounds."""
    ways = {
        f"{'unbuffered' if flags else 'buffered'}, {threads} x {size >> 20} MB": (flags, size, threads)
        for flags, threads, size in itertools.product((0, os.O_DIRECT), (1, 3), (1 << 20, 1 << 24))
    }
    calls = {name: (lambda way=way: read_file(path, *way)) for name, way in ways.items()}
    found = timing.interleave(calls, rounds, warm=0, before=lambda: drop(path))
    gb = path.stat().st_size / 1e9
    table = {name: round(gb / found.median(name), 2) for name in calls}
    for name, rate in table.items():
        print(f"{name:<28}{rate:>8.2f} GB/s")
    return table


def one_pass(path: Path, rounds: int, threads: int) -> dict[str, Any]:
    """Time one fused pass, cold and warm."""
    a = np.load(path, mmap_mode="r")
    x = np.random.default_rng(0).standard_normal((COLUMNS, WIDTH))

    def read_only() -> None:
        op = RowBlocks(a, F8)
        assert op._ahead is not None
        for block in op._ahead.blocks(op._cut(True)):
            del block

    def fused() -> Any:
        return in_blocks(a, F8).normal_matmat(x)[0]

    def by_numpy() -> Any:
        total = np.zeros_like(x)
        for start in range(0, len(a), 8192):
            block = a[start : start + 8192]
            total += block.T @ (block @ x)
        return total

    out: dict[str, Any] = {}
    with machine.held_threads(threads), working(np, F8):
        cold = timing.interleave(
            {"reading alone": read_only, "rnla": fused, "numpy": by_numpy}, rounds, before=lambda: drop(path, a)
        )
    assert np.allclose(cold.last["rnla"], cold.last["numpy"])
    share = statistics.median(
        r / f for r, f in zip(cold.times["reading alone"], cold.times["rnla"], strict=True)
    )  # fmt: skip
    print(f"cold\n{cold.table(over='reading alone', unit=1.0)}\nshare of the rate of the disk {share:.3f}")
    out["cold"] = {**cold.as_json(over="reading alone"), "share of the disk": share}
    with machine.held_threads(threads), working(np, F8):
        warm = timing.interleave({"rnla": fused, "numpy": by_numpy}, rounds, before=lambda: float(a[:, ::512].sum()))
    print(f"warm\n{warm.table(over='rnla', unit=1.0)}")
    out["warm"] = warm.as_json(over="rnla")
    return out


def excess(components: np.ndarray[Any, Any], gram: np.ndarray[Any, Any]) -> float:
    """Return how much more is left of the variance than the best components leave, relative."""
    values = np.linalg.eigvalsh(gram)[::-1]
    q = np.linalg.qr(np.asarray(components).T)[0]
    left = np.trace(gram) - np.trace(q.T @ gram @ q)
    return float(np.sqrt(left / values[len(components) :].sum()) - 1)


def components(path: Path, gram: np.ndarray[Any, Any], rounds: int, threads: int) -> dict[str, Any]:
    """Time PCA, cold."""
    from sklearn.decomposition import IncrementalPCA
    from sklearn.utils.extmath import randomized_svd

    a = np.load(path, mmap_mode="r")
    calls = {
        "rnla.pca": lambda: rnla.pca(a, RANK, rng=0).components,
        "rnla.svd": lambda: rnla.svd(a, RANK, rng=0).Vh,
        "scikit-learn randomized_svd": lambda: randomized_svd(a, RANK, random_state=0)[2],
        "scikit-learn IncrementalPCA": lambda: IncrementalPCA(RANK, batch_size=5000).fit(a).components_,
    }
    with machine.held_threads(threads):
        found = timing.interleave(calls, rounds, before=lambda: drop(path, a))
    print(found.table(over="rnla.pca", unit=1.0))
    out = found.as_json(over="rnla.pca")
    for name in ("rnla.pca", "scikit-learn IncrementalPCA"):
        out[name]["excess"] = excess(found.last[name], gram)
        print(f"{name:<30} excess error {out[name]['excess']:.1e}")
    return out


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="a folder on a disk with room")
    parser.add_argument("--gb", type=float, default=4.0)
    parser.add_argument("--part", choices=["rates", "pass", "pca"], action="append")
    given = parser.parse_args()
    machine.raise_priority()
    rows = int((0.2 if given.quick else given.gb) * 1e9 / 8 / COLUMNS)
    out: dict[str, Any] = {"rows": rows, "columns": COLUMNS}
    parts = given.part or ["rates", "pass", "pca"]
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        path = Path(folder) / "matrix.npy"
        begun = time.perf_counter()
        gram = write(path, rows)
        print(f"{rows} x {COLUMNS}, written in {time.perf_counter() - begun:.0f} s")
        if "rates" in parts:
            out["rates"] = rates(path, given.rounds)
        if "pass" in parts:
            out["pass"] = one_pass(path, given.rounds, given.threads)
        if "pca" in parts:
            out["pca"] = components(path, gram, given.rounds, given.threads)
    print(machine.save("out_of_core", out, given.out, given.threads))


if __name__ == "__main__":
    main()
