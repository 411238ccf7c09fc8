"""Two threads beside one: what a second core buys, and whether the caller's own thread limits come back.

    python -m benchmarks.threads [--case square] [--rank 50] [--rounds 5] [--quick]

`rnla.svd(A, k)` with `threads=1` and with as many as there are processors, interleaved; ratios are medians over rounds.
The bits of both answers are compared, and so are the limits of every BLAS before and after.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import machine, timing
from benchmarks.cases import CASES


def limits() -> list[tuple[str, int]]:
    """Return the threads that each thread pool of the process may use."""
    from threadpoolctl import threadpool_info

    return sorted((pool["filepath"], pool["num_threads"]) for pool in threadpool_info())


def measure(name: str, k: int, spectrum: str, rounds: int, small: bool, threads: int) -> dict[str, Any]:
    """Return times of one case on one thread and on all."""
    import rnla

    a = CASES[name].make(small, spectrum, "float64", k).A

    def on(count: int) -> Any:
        with rnla.config_context(threads=count):
            return rnla.svd(a, k, rng=0)

    on(threads)
    before = limits()
    found = timing.interleave({"one": lambda: on(1), "all": lambda: on(threads)}, rounds)
    same = all(np.array_equal(x, y) for x, y in zip(found.last["one"], found.last["all"], strict=True))
    ratio = found.ratio("one", "all")
    return {"times": found.as_json(), "ratio": ratio, "same bits": same, "limits restored": limits() == before}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = timing.arguments(__doc__)
    parser.add_argument("--case", action="append", choices=list(CASES))
    parser.add_argument("--rank", type=int)
    given = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    for name in given.case or (["square"] if given.quick else ["square", "tall", "skinny", "wide", "sparse7"]):
        k = given.rank or (CASES[name].small_rank if given.quick else CASES[name].rank)
        found = results[name] = measure(name, k, "slow", given.rounds, given.quick, given.threads)
        times = " and ".join(f"{1e3 * row['seconds']:.0f} ms" for row in found["times"].values())
        same = f"same bits: {found['same bits']}; limits restored: {found['limits restored']}"
        print(f"{name}, rank {k}: one thread and {given.threads}: {times}: {found['ratio']:.2f}x; {same}", flush=True)
    print(f"written to {machine.save('threads', results, given.out, given.threads)}")
    return results


if __name__ == "__main__":
    main()
