"""A matrix larger than the memory it may use: from disk in blocks, under a budget, with progress.

    python examples/out_of_core.py [FOLDER]

Writes a 1.2 GB matrix to FOLDER (a temporary one by default), factorizes it with a budget of 256 MB, and
removes it.
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np

import rnla
from rnla.iterate import Event


def write(path: Path, m: int, n: int) -> None:
    """Write waves of falling amplitude and a little noise, a block of rows at a time."""
    rng = np.random.default_rng(0)
    waves = np.sin(np.outer(np.arange(1, 41), np.linspace(0, np.pi, n))) * (0.8 ** np.arange(40))[:, None]
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(m, n))
    for start in range(0, m, 5000):
        stop = min(start + 5000, m)
        out[start:stop] = rng.standard_normal((stop - start, 40)) @ waves
        out[start:stop] += 1e-3 * rng.standard_normal((stop - start, n))
    out.flush()


class Progress:
    """Prints a line whenever another half pass over the file is done."""

    def __init__(self) -> None:
        self.next = 0.5

    def __call__(self, event: Event) -> None:
        """Print where the work stands."""
        if event.passes >= self.next:
            left = "" if event.remaining is None else f", about {event.remaining:.1f} s left"
            print(f"  {event.passes:.1f} passes, {event.elapsed:.1f} s{left}: {event.stage}")
            self.next = event.passes + 0.5


def main() -> None:
    small = os.environ.get("RNLA_EXAMPLE_SMALL") == "1"
    m, n = (4000, 500) if small else (100_000, 1500)
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        path = Path(folder) / "waves.npy"
        write(path, m, n)
        print(f"{path.name}: {m} x {n}, {path.stat().st_size / 1e6:.0f} MB")
        with rnla.config_context(memory_budget="256M", callback=Progress()):
            print(rnla.plan(path, 30))
            result = rnla.svd(path, 30, rng=0)
        print(result)
        print("\nThe rest is noise; a tolerance below it would raise.  More of the signal:")
        more = result.extend(rank=36)
        print(f"rank {more.rank}: error {more.error.value:.2e} instead of {result.error.value:.2e}")


if __name__ == "__main__":
    main()
