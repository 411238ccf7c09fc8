"""What `import rnla` costs over `import numpy` alone.

    python -m benchmarks.import_time [--runs 11]

Each run is a fresh interpreter; the two imports take turns, and the figure is the difference of the
medians.  The goal is under 60 ms.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

TIMED = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
MODULES = "import sys, numpy; before = set(sys.modules); import rnla; print(len(set(sys.modules) - before))"


def run(code: str) -> float:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=11)
    runs = parser.parse_args().runs
    statements = {"numpy": "numpy", "numpy, rnla": "numpy, rnla", "numpy, rnla and the svd": "numpy, rnla; rnla.svd"}
    run(TIMED.format("numpy, rnla; rnla.svd"))  # fill the disk cache and the compiled files
    times: dict[str, list[float]] = {name: [] for name in statements}
    for _ in range(runs):
        for name, text in statements.items():
            times[name].append(1e3 * run(TIMED.format(text)))
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, found in medians.items():
        print(f"import {name:<24} {found:6.1f} ms")
    print(f"import rnla over numpy: {medians['numpy, rnla'] - medians['numpy']:.1f} ms, goal under 60")
    print(f"with the code of svd:   {medians['numpy, rnla and the svd'] - medians['numpy']:.1f} ms")
    print(f"modules beyond numpy's: {run(MODULES):.0f}")


if __name__ == "__main__":
    main()
