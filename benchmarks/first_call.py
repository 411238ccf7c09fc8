"""The first call in a fresh process beside the steady time, with a warm and with a cold cache of compiled kernels.

    python -m benchmarks.first_call [--rounds 5] [--threads 2] [--quick]

Each run is a fresh interpreter that makes a matrix, calls `rnla.svd` once, and then until the time is steady.  The
figure is the first call less the steady one; imports done by the call count.  Warm: the on-disk cache holds the
kernels.  Cold: it is in an empty folder, so that the call works on plain twins while they are compiled.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from typing import Any

from benchmarks import machine, timing

SCRIPT = """
import json, statistics, sys, time
import numpy as np
import rnla
n, k = int(sys.argv[1]), int(sys.argv[2])
A = np.random.default_rng(0).standard_normal((n, n))
A @ A[:, :32]  # BLAS is awake
times, kernels = [], []
begun = time.perf_counter()
while len(times) < 8 or ("being loaded" in kernels[-1] and time.perf_counter() - begun < 120):
    start = time.perf_counter()
    result = rnla.svd(A, k, rng=0)
    times.append(time.perf_counter() - start)
    kernels.append(str(getattr(result.report, "kernels", "plain")))
print(json.dumps({"first": times[0], "steady": statistics.median(times[-5:]), "calls": len(times),
                  "first kernels": kernels[0], "steady kernels": kernels[-1]}))
"""


def fresh(n: int, k: int, threads: int, cache: str | None) -> dict[str, Any]:
    """Return what a fresh process says."""
    environment = {**os.environ, "RNLA_THREADS": str(threads)}
    if cache is not None:
        environment["NUMBA_CACHE_DIR"] = cache
    command = [sys.executable, "-c", SCRIPT, str(n), str(k)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = timing.arguments(__doc__).parse_args(arguments)
    machine.raise_priority()
    n, k = (300, 10) if given.quick else (4000, 50)
    results: dict[str, Any] = {}
    fresh(n, k, given.threads, None)  # fills the cache
    runs = [fresh(n, k, given.threads, None) for _ in range(given.rounds)]
    results["warm"] = {key: statistics.median(run[key] for run in runs) for key in ("first", "steady")}
    results["warm"]["kernels"] = sorted({run["first kernels"] for run in runs})
    with tempfile.TemporaryDirectory() as folder:
        run = fresh(n, k, given.threads, folder)
    results["cold"] = {**run, "kernels": [run["first kernels"], run["steady kernels"]]}
    for name, row in results.items():
        row["more"] = row["first"] - row["steady"]
        text = f"first call {row['first']:.3f} s, steady {row['steady']:.3f} s: {row['more']:+.3f} s"
        print(f"{name} cache, rnla.svd of {n} x {n}, rank {k}: {text}; kernels {'; then '.join(row['kernels'])}")
    print(f"written to {machine.save('first_call', results, given.out, given.threads)}")
    return results


if __name__ == "__main__":
    main()
