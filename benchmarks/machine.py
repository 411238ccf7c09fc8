"""The machine that figures were measured on: its name, the versions in use, its ceilings, and the files they go to.

    python -m benchmarks.machine [--threads 2] [--quick]

A ceiling is the best that anything reached here and now, in the same run as what is held against it: the peak is
the fastest of several products of large matrices, the bandwidth is that of summing a long array.  A floor is
the larger of flops over the peak and bytes over the bandwidth.  The load is written down because neighbours halve
both figures for minutes.
"""

from __future__ import annotations

import argparse
import atexit
import dataclasses
import datetime as dt
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Ceilings", "Neighbours", "about", "ceilings", "held_threads", "raise_priority", "save"]

LIBRARIES = ("rnla", "numpy", "scipy", "numba", "scikit-learn", "torch", "fbpca", "dask", "tensorly")


@dataclasses.dataclass(frozen=True)
class Ceilings:
    """What the machine reaches at best: operations and bytes a second, and which product reached them."""

    flops: float
    bandwidth: float
    by: str

    def floor(self, flops: float, nbytes: float = 0.0) -> float:
        """Return the seconds under which no code on this machine can do that much."""
        return max(flops / self.flops, nbytes / self.bandwidth)


def processor() -> str:
    """Return the name of the processor as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    known = dict(tuple(part.strip() for part in line.split(":", 1)) for line in lines if ":" in line)
    wide = [flag for flag in ("avx2", "avx512f") if flag in known.get("flags", "").split()]
    return f"{known.get('model name', platform.machine())} ({', '.join(wide) or platform.machine()})"


def cpus() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def raise_priority() -> bool:
    """Ask for the highest priority for all threads of this process; return whether it was granted.

    Pools of threads that wait for one another at barriers, as those of torch and OpenBLAS do, become ten times
    slower beside a process that uses a few percent of their processors.  With the priority, what runs beside at
    normal or low priority gets what is idle.  Usually only root may have it.  RNLA_BENCHMARK_PRIORITY=0 leaves all
    as it is.
    """
    if os.environ.get("RNLA_BENCHMARK_PRIORITY") == "0":
        return False
    try:
        threads = [int(name) for name in os.listdir("/proc/self/task")]
        for thread in threads:
            with suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, thread, -20)
    except (AttributeError, OSError):
        return False
    _raise_session("-20")
    atexit.register(_raise_session, "0")
    return True


def _raise_session(nice: str) -> None:
    """Set the priority of the process group, where Linux weighs such groups first and processes within them."""
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(nice, encoding="ascii")


class Neighbours:
    """How much of the processors other processes took since this object was made."""

    def __init__(self) -> None:
        self._begun, self._busy, self._own = time.perf_counter(), _busy(), time.process_time()

    def share(self) -> float:
        """Return it as a share of all processors; 0 where the system does not tell."""
        wall = cpus() * (time.perf_counter() - self._begun)
        others = _busy() - self._busy - (time.process_time() - self._own)
        # The system counts in hundredths of a second, one for each processor may be this process's own.
        return max(0.0, others - 0.01 * cpus()) / wall


def _busy() -> float:
    """Return the seconds that all processors have worked since the start of the system."""
    try:
        user, nice, system = Path("/proc/stat").read_text(encoding="ascii").split(maxsplit=4)[1:4]
    except (OSError, ValueError):
        return time.process_time()
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


def about(threads: int | None = None) -> dict[str, Any]:
    """Return what a figure means nothing without: machine, versions, threads, load and date."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    memory = 0
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": processor(),
        "cpus": cpus(),
        "memory_gb": round(memory / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
        "threads": cpus() if threads is None else threads,
        "priority": os.getpriority(os.PRIO_PROCESS, 0) if hasattr(os, "getpriority") else None,
        "load": [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def save(question: str, results: Any, folder: Path, threads: int | None = None) -> Path:
    """Write `<folder>/<question>.json` with the results and what they were measured on; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{question}.json"
    text = json.dumps({"question": question, "about": about(threads), "results": results}, indent=1, default=float)
    path.write_text(text + "\n", encoding="utf-8")
    return path


@contextmanager
def held_threads(threads: int | None) -> Iterator[None]:
    """Hold this library, every BLAS that is loaded and torch at that many threads; None changes nothing."""
    if threads is None:
        yield
        return
    import sys

    from threadpoolctl import threadpool_limits

    import rnla

    with ExitStack() as stack:
        stack.enter_context(rnla.config_context(threads=threads))
        stack.enter_context(threadpool_limits(threads))
        torch = sys.modules.get("torch")
        if torch is not None:
            stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(threads)
        yield


def _best(call: Callable[[], Any], runs: int) -> float:
    call()
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return min(times)


def _products(dtype: Any, n: int, threads: int) -> Iterator[tuple[str, float, Callable[[], Any]]]:
    """Yield name, flops and call of each large product that might be the fastest here."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((n, n)).astype(dtype) for _ in range(2))
    out = np.empty((n, n), dtype)
    yield "NumPy", 2.0 * n**3, lambda: np.matmul(a, b, out=out)
    try:
        import torch
    except ImportError:
        pass
    else:
        left, right, to = torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(out)
        yield "torch", 2.0 * n**3, lambda: torch.matmul(left, right, out=to)
    from rnla._kernels import compiled, products

    x, kind = np.ascontiguousarray(b[:, :96]), np.dtype(dtype)
    ours: dict[str, tuple[float, Callable[[], Any]]] = {
        "rnla, A X": (2.0, lambda: products.product(a, x, kind, threads)),
        "rnla, AᴴA X": (4.0, lambda: products.normal_product(a, x, kind, threads)),
    }
    for name, (flops, call) in ours.items():
        yield name, flops * a.size * x.shape[1], _compiled(compiled, call, kind)


def _compiled(kernels: Any, call: Callable[[], Any], kind: Any) -> Callable[[], Any]:
    """Return a call that may use the compiled kernels, loaded now if there are any; one BLAS thread beside them."""
    from rnla._kernels.threads import one_blas_thread

    def held() -> Any:
        with one_blas_thread(), kernels.using("auto", [kernels_family], kind):
            return call()

    kernels_family = "products"
    with suppress(Exception):  # without numba the plain twins are measured
        kernels.load([(kernels_family, kind.name)])
    return held


def ceilings(dtype: Any = np.float64, threads: int | None = None, small: bool = False) -> Ceilings:
    """Measure peak and bandwidth with so many threads: two seconds, and once a machine what compiling takes."""
    threads = cpus() if threads is None else threads
    raise_priority()
    best, by = 0.0, ""
    for name, flops, call in _products(dtype, 256 if small else 2400, threads):
        with held_threads(threads):
            rate = flops / _best(call, 8 if name.startswith("rnla") else 3)
        if rate > best:
            best, by = rate, name
    block = np.ones((2 if small else 32) * 2**20 // threads * threads)
    parts = np.split(block, threads)
    with ThreadPoolExecutor(threads) as pool:
        seconds = _best(lambda: list(pool.map(np.sum, parts)), 8)
    return Ceilings(best, block.nbytes / seconds, by)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=cpus())
    parser.add_argument("--quick", action="store_true", help="small matrices: does it run")
    given = parser.parse_args()
    for name, value in about(given.threads).items():
        print(f"{name:<12}{value}")
    for kind in (np.float64, np.float32):
        found = ceilings(kind, given.threads, given.quick)
        text = f"{found.flops / 1e9:.0f} Gflop/s by {found.by}; reads {found.bandwidth / 1e9:.1f} GB/s"
        print(f"{np.dtype(kind).name:<12}{text}")


if __name__ == "__main__":
    main()
