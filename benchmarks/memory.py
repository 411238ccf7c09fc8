"""Peak anonymous memory of a factorization out of core, against what the plan predicts.

    python -m benchmarks.memory --dir /somewhere/with/room [--gb 4] [--budget 256M] [--rank 50] [--tall]

A matrix of the given size is written to a temporary folder in --dir and factorized as a memmap under
the budget.  The peak is that of RssAnon in /proc, over what the process held before the call: pages of
the mapped file are the system's to take back, and do not count.  The goal is a peak under 1.25 times
the prediction and 64 MiB.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

import numpy as np

import rnla

MIB = 1 << 20


def anonymous() -> int:
    """Return the bytes of anonymous memory that this process holds."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("this system does not tell RssAnon")


class Peak:
    """The largest amount of anonymous memory while the block runs, sampled every two milliseconds."""

    def __enter__(self) -> Self:
        self.before = self.highest = anonymous()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._done.wait(0.002):
            self.highest = max(self.highest, anonymous())

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @property
    def grown(self) -> int:
        return self.highest - self.before


def write(path: Path, rows: int, columns: int) -> None:
    """Write a matrix with 200 strong directions and noise, in blocks."""
    rng = np.random.default_rng(0)
    right = rng.standard_normal((200, columns)) * 0.97 ** np.arange(200)[:, None]
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(rows, columns))
    height = max(1, (64 * MIB) // (8 * columns))
    for start in range(0, rows, height):
        block = out[start : start + height]
        block[:] = rng.standard_normal((len(block), 200)) @ right
        block += 0.01 * rng.standard_normal((1, columns))
        out.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, required=True, help="a folder on a disk with room")
    parser.add_argument("--gb", type=float, default=4.0)
    parser.add_argument("--budget", default="256M")
    parser.add_argument("--rank", type=int, default=50)
    parser.add_argument("--tall", action="store_true", help="1000 columns instead of a matrix near square")
    given = parser.parse_args()
    entries = given.gb * 1e9 / 8
    columns = 1000 if given.tall else int(entries**0.5 / 2)
    rows = int(entries / columns)
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        path = Path(folder) / "matrix.npy"
        write(path, rows, columns)
        warm = np.random.default_rng(0).standard_normal((4000, 600))
        rnla.svd(warm, 20, rng=0)  # loads libraries and starts their threads
        del warm
        a = np.load(path, mmap_mode="r")
        with rnla.config_context(memory_budget=given.budget) as settings:
            plan = rnla.plan(a, given.rank)
            begun = time.perf_counter()
            with Peak() as peak:
                result = rnla.svd(a, given.rank, rng=0)
            seconds = time.perf_counter() - begun
        budget = settings.memory_budget or 0
    goal = 1.25 * plan.bytes + 64 * MIB
    print(plan)
    print(f"matrix     {rows} x {columns}, {path.name} of {8 * rows * columns / 1e9:.2f} GB, mapped")
    print(f"result     {result.error}, {result.report.passes} passes, {seconds:.1f} s")
    print(f"budget     {budget / MIB:.0f} MiB")
    print(f"predicted  {plan.bytes / MIB:.0f} MiB")
    verdict = "met" if peak.grown <= goal else "MISSED"
    print(f"peak       {peak.grown / MIB:.0f} MiB of anonymous memory; goal {goal / MIB:.0f} MiB: {verdict}")


if __name__ == "__main__":
    main()
