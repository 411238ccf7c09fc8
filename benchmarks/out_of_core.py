"""A matrix in a file that is not in memory: the rate of one pass against that of the disk, and PCA of it.

    python -m benchmarks.out_of_core --dir /somewhere/with/room [--gb 4] [--columns 1000] [--rounds 5] [--part ...]

rates  what the disk gives to plain reads and to unbuffered ones, by number of threads and size of a read
pass   the normal product with 24 columns against reading alone with the same buffers (the floor), and against NumPy
       on slices of the mapping, with the file out of the cache and in it
pca    the 50 leading components, cold: without scores against `PCA.fit` and `IncrementalPCA.fit` of scikit-learn on the
       mapping, with scores against `PCA.fit_transform`, and beside two that do not centre; slow ones run once
gram   the Gram matrix of blocks in memory, with a shift of the columns and without, against NumPy
stores the normal product of an HDF5 and of a Zarr copy of the first rows, against reading their chunks alone
stream a stream that is updated with blocks of the file, against the single pass over the file, and reading alone

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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import rnla
from benchmarks import machine, timing
from rnla._kernels.gram_sum import GramSum
from rnla.operators.columnblocks import in_blocks
from rnla.operators.rowblocks import BLOCK_BYTES, RowBlocks
from rnla.working import working

WIDTH, RANK = 24, 50
PARTS = ("rates", "pass", "pca", "gram", "stores", "stream")
F8 = np.dtype(np.float64)


def write(path: Path, rows: int, columns: int) -> np.ndarray[Any, Any]:
    """Write rows with singular values 1 / i over noise, and a mean; return the Gram matrix of the centred rows."""
    rng = np.random.Generator(np.random.SFC64(0))
    right = np.linalg.qr(rng.standard_normal((columns, 300)))[0].T / np.arange(1, 301)[:, None]
    gram, sums = np.zeros((columns, columns)), np.zeros(columns)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=F8, shape=(rows, columns))
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


def read_ahead(a: np.ndarray[Any, Any]) -> None:
    """Read a mapped file once as the library does, and do nothing with it."""
    op = RowBlocks(a, F8)
    assert op._ahead is not None
    for block in op._ahead.blocks(op._cut(True)):
        del block


def one_pass(path: Path, rounds: int, threads: int) -> dict[str, Any]:
    """Time one fused pass, cold and warm."""
    a = np.load(path, mmap_mode="r")
    x = np.random.default_rng(0).standard_normal((a.shape[1], WIDTH))

    def read_only() -> None:
        read_ahead(a)

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
    from sklearn.decomposition import PCA, IncrementalPCA
    from sklearn.utils.extmath import randomized_svd

    a = np.load(path, mmap_mode="r")

    def transformed() -> Any:
        model = PCA(RANK, random_state=0)
        scores = model.fit_transform(a)
        return model.components_ if len(scores) else None

    def with_scores() -> Any:
        result = rnla.pca(a, RANK, rng=0)
        return result.components if len(result.scores) else None

    calls = {
        "reading alone": lambda: read_ahead(a),
        "rnla.pca": lambda: rnla.pca(a, RANK, rng=0).components,
        "rnla.pca, with scores": with_scores,
        "rnla.svd": lambda: rnla.svd(a, RANK, rng=0).Vh,
        "scikit-learn PCA.fit": lambda: PCA(RANK, random_state=0).fit(a).components_,
        "scikit-learn PCA.fit_transform": transformed,
        "scikit-learn randomized_svd": lambda: randomized_svd(a, RANK, random_state=0)[2],
        "scikit-learn IncrementalPCA": lambda: IncrementalPCA(RANK, batch_size=5000).fit(a).components_,
    }
    with machine.held_threads(threads):
        found = timing.interleave(calls, rounds, before=lambda: drop(path, a), patience=12.0)
    print(found.table(over="rnla.pca", unit=1.0))
    out = found.as_json(over="rnla.pca")
    for name in [name for name in calls if "pca" in name.lower()]:
        out[name]["excess"] = excess(found.last[name], gram)
        print(f"{name:<32} excess error {out[name]['excess']:.1e}")
    return out


def gram_of_blocks(columns: int, rounds: int, threads: int) -> dict[str, Any]:
    """Time the Gram matrix of blocks of a quarter of a gigabyte in memory."""
    rng = np.random.default_rng(0)
    blocks = [rng.standard_normal((BLOCK_BYTES // 8 // columns, columns)) for _ in range(8)]

    def ours(shift: Any) -> Any:
        made = GramSum(columns, F8, shift)
        for block in blocks:
            made.add(block, threads)
        return made.gram()

    def by_numpy() -> Any:
        total = np.zeros((columns, columns))
        for block in blocks:
            total += block.T @ block
        return total

    calls = {"rnla": lambda: ours(None), "rnla, shifted": lambda: ours(np.ones(columns)), "numpy": by_numpy}
    with machine.held_threads(threads), rnla.config_context(kernels="compiled"):
        with working(np, F8):
            ours(None)
        found = timing.interleave(
            {name: _working(call) if "rnla" in name else call for name, call in calls.items()}, rounds
        )
    assert np.allclose(found.last["rnla"], found.last["numpy"])
    print(found.table(over="rnla"))
    return found.as_json(over="rnla")


def _working(call: Callable[[], Any]) -> Callable[[], Any]:
    def held() -> Any:
        with working(np, F8):
            return call()

    return held


def stores(path: Path, rounds: int, threads: int) -> dict[str, Any]:
    """Time one fused pass over an eighth of the rows in HDF5 and Zarr, against reading the chunks alone."""
    import h5py
    import zarr

    a = np.load(path, mmap_mode="r")
    part = a[: len(a) // 8]
    x = np.random.default_rng(0).standard_normal((a.shape[1], WIDTH))
    chunks = ((1 << 22) // 8 // a.shape[1], a.shape[1])
    with h5py.File(path.with_suffix(".h5"), "w") as made:
        made.create_dataset("a", data=part, chunks=chunks)
    made = zarr.open_array(path.with_suffix(".zarr"), mode="w", shape=part.shape, chunks=chunks, dtype=F8)
    made[:] = part
    opened = h5py.File(path.with_suffix(".h5"), "r")
    sources = {"HDF5": opened["a"], "Zarr": zarr.open_array(path.with_suffix(".zarr"), mode="r")}

    def forget() -> None:
        for one in [path.with_suffix(".h5"), *path.with_suffix(".zarr").rglob("*")]:
            if one.is_file():
                drop(one)

    calls: dict[str, Callable[[], Any]] = {}
    for name, source in sources.items():

        def read(source: Any = source) -> None:
            for start in range(0, source.shape[0], 8 * chunks[0]):
                source[start : start + 8 * chunks[0]]

        calls[f"reading {name} alone"] = read
        calls[f"rnla, {name}"] = _working(lambda source=source: in_blocks(source, F8).normal_matmat(x)[0])
    with machine.held_threads(threads):
        found = timing.interleave(calls, rounds, before=forget)
    opened.close()
    print(found.table(unit=1.0))
    out = found.as_json()
    for name in sources:
        out[f"rnla, {name}"]["share of reading"] = 1 / found.ratio(f"rnla, {name}", f"reading {name} alone")
        print(f"{name}: share of the rate of reading alone {out[f'rnla, {name}']['share of reading']:.2f}")
    return out


def stream(path: Path, rounds: int, threads: int) -> dict[str, Any]:
    """Time a stream that takes the file in blocks of rows, cold."""
    a = np.load(path, mmap_mode="r")

    def updated() -> Any:
        state = rnla.stream(a.shape, RANK, rng=0)
        for start in range(0, len(a), 8192):
            state.update_rows(start, a[start : start + 8192])
        return state.finish()

    calls = {
        "reading alone": lambda: read_ahead(a),
        "rnla.stream": updated,
        "rnla.single_pass_svd": lambda: rnla.single_pass_svd(a, RANK, rng=0),
    }
    with machine.held_threads(threads):
        found = timing.interleave(calls, rounds, before=lambda: drop(path, a))
    print(found.table(over="reading alone", unit=1.0))
    return found.as_json(over="reading alone")


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="a folder on a disk with room")
    parser.add_argument("--gb", type=float, default=4.0)
    parser.add_argument("--columns", type=int, default=1000)
    parser.add_argument("--part", choices=PARTS, action="append", help="several times for several; default: all")
    given = parser.parse_args()
    machine.raise_priority()
    rows = int((0.2 if given.quick else given.gb) * 1e9 / 8 / given.columns)
    out: dict[str, Any] = {"rows": rows, "columns": given.columns}
    parts = given.part or PARTS
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        path = Path(folder) / "matrix.npy"
        begun = time.perf_counter()
        gram = write(path, rows, given.columns)
        print(f"{rows} x {given.columns}, written in {time.perf_counter() - begun:.0f} s")
        if "rates" in parts:
            out["rates"] = rates(path, given.rounds)
        if "pass" in parts:
            out["pass"] = one_pass(path, given.rounds, given.threads)
        if "pca" in parts:
            out["pca"] = components(path, gram, given.rounds, given.threads)
        if "gram" in parts:
            out["gram"] = gram_of_blocks(given.columns, given.rounds, given.threads)
        if "stores" in parts:
            out["stores"] = stores(path, given.rounds, given.threads)
        if "stream" in parts:
            out["stream"] = stream(path, given.rounds, given.threads)
    print(machine.save("out_of_core", out, given.out, given.threads))


if __name__ == "__main__":
    main()
