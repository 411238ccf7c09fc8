"""Interleaved timing: contenders take turns, the order rotates, a ratio is the median over rounds of ratios.

Every module of this folder that times code in one process uses it:

    from benchmarks import machine, timing

    given = timing.arguments(__doc__).parse_args()                    # --quick --rounds --threads --out
    with machine.held_threads(given.threads):
        found = timing.interleave(
            {"rnla": lambda: rnla.svd(A, 50, rng=0), "sklearn": lambda: randomized_svd(A, 50, random_state=0)},
            rounds=given.rounds,
        )
    print(found.table(over="rnla"))                                    # medians, spread, ratios
    U, s, Vh = found.last["rnla"]                                      # judge the answer that was timed
    machine.save("my_question", {"case": found.as_json(over="rnla")}, given.out, given.threads)

What makes the figures fair: one untimed call of each first (it loads, compiles and wakes threads); within a round
everybody runs once, so that a slow minute of the machine hits all of them; each round begins with another one; a
short rest before each call, so that idle threads of the former one's BLAS have stopped spinning; a median with its
interquartile range, never a mean or a minimum; and the highest priority for this process where the system grants
it (`machine.raise_priority` says what happens otherwise beside other work).  A contender slower than `patience`
seconds is run once and says so.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import machine

__all__ = ["Rounds", "arguments", "by_rank", "fastest", "interleave", "on_threads", "tuned"]

REST = 0.05  # seconds; OpenBLAS's threads spin for 2^26 cycles after their work
OUT = Path("build/benchmarks")


@dataclasses.dataclass(frozen=True)
class Rounds:
    """Seconds of each contender, round by round, and what each returned last."""

    times: dict[str, list[float]]
    last: dict[str, Any]

    def median(self, name: str) -> float:
        """Return the median seconds of a contender."""
        return statistics.median(self.times[name])

    def spread(self, name: str) -> float:
        """Return the interquartile range over the median: above 0.1 the minute was not quiet."""
        times = self.times[name]
        if len(times) < 2:
            return 0.0
        quarters = statistics.quantiles(times, n=4, method="inclusive")
        return (quarters[2] - quarters[0]) / self.median(name)

    def ratio(self, name: str, over: str) -> float:
        """Return how many times slower `name` is than `over`: the median of the ratios of the rounds."""
        mine, other = self.times[name], self.times[over]
        if len(mine) != len(other):  # one of them ran once only
            return statistics.median(mine) / statistics.median(other)
        return statistics.median(a / b for a, b in zip(mine, other, strict=True))

    def as_json(self, over: str | None = None) -> dict[str, Any]:
        """Return median, spread, runs, all times and, with `over`, ratios to it, for each contender."""
        rows: dict[str, Any] = {}
        for name, times in self.times.items():
            rows[name] = {
                "seconds": self.median(name),
                "spread": round(self.spread(name), 3),
                "runs": len(times),
                "times": times,
            }
            if over is not None:
                rows[name]["over " + over] = self.ratio(name, over)
        return rows

    def table(self, over: str | None = None, unit: float = 1e-3) -> str:
        """Return a table for a person; `unit` is the seconds that one is printed as."""
        label = {1.0: "s", 1e-3: "ms", 1e-6: "µs"}.get(unit, f"{unit:g} s")
        width = max(len(name) for name in self.times) + 2
        lines = [f"{'':<{width}}{label:>10}{'spread':>9}" + ("" if over is None else f"{'over ' + over:>16}")]
        for name, times in self.times.items():
            line = f"{name:<{width}}{self.median(name) / unit:>10.4g}{self.spread(name):>9.0%}"
            line += "" if over is None else f"{self.ratio(name, over):>15.2f}x"
            lines.append(line + (" (once)" if len(times) == 1 else ""))
        return "\n".join(lines)


def interleave(
    calls: Mapping[str, Callable[[], Any]],
    rounds: int = 5,
    *,
    warm: int = 1,
    number: int = 1,
    before: Mapping[str, Callable[[], Any]] | Callable[[], Any] | None = None,
    patience: float = 20.0,
    rest: float = REST,
) -> Rounds:
    """Time every call once per round.

    calls     the contenders, by name; what they return is kept in `last` (only the last of each)
    rounds    how often each is timed
    warm      untimed calls of each before
    number    calls within one timing, for calls of microseconds; the seconds are those of one
    before    untimed preparation before each timing, for all (a callable) or by name: drop a page cache, copy
              an input that is overwritten
    patience  a contender whose untimed call took longer is not called again: that time, marked by one run, stands
    rest      seconds to sleep before each timing; 0 for calls of microseconds
    """
    prepare = before if isinstance(before, Mapping) else dict.fromkeys(calls, before)
    times: dict[str, list[float]] = {name: [] for name in calls}
    last: dict[str, Any] = {}

    def once(name: str) -> float:
        ready = prepare.get(name)
        if ready is not None:
            ready()
        last.pop(name, None)
        gc.collect()
        if rest:
            time.sleep(rest)
        call = calls[name]
        begun = time.perf_counter()
        for _ in range(number):
            out = call()
        seconds = (time.perf_counter() - begun) / number
        last[name] = out
        return seconds

    machine.raise_priority()
    slow = set()
    for name in calls:
        for _ in range(warm):
            seconds = once(name)
            if seconds * number > patience:
                times[name].append(seconds)
                slow.add(name)
                break
    machine.raise_priority()  # also for the threads that the first calls have started
    quick = [name for name in calls if name not in slow]
    for turn in range(rounds):
        shift = turn * len(quick) // max(rounds, 1)
        for name in quick[shift:] + quick[:shift]:
            times[name].append(once(name))
    return Rounds(times, {name: last[name] for name in calls})


def fastest(calls: Mapping[str, Callable[[], Any]], good: Callable[[Any], bool], runs: int = 2) -> str | None:
    """Return the name of the fastest call whose answer is good, by the least of `runs` times; None: there is none.

    For choosing a setting before it is timed in rounds; the calls may come in any order.
    """
    best: tuple[float, str | None] = (float("inf"), None)
    for name, call in calls.items():
        seconds = float("inf")
        for _ in range(runs):
            begun = time.perf_counter()
            out = call()
            seconds = min(seconds, time.perf_counter() - begun)
            if seconds > 1.5 * best[0]:
                break
        if seconds < best[0] and good(out):
            best = (seconds, name)
    return best[1]


def on_threads(call: Callable[[], Any], threads: int) -> Callable[[], Any]:
    """Return the call with every BLAS and OpenMP library that is loaded now held at that many threads."""
    from threadpoolctl import ThreadpoolController

    controller = ThreadpoolController()

    def held() -> Any:
        with controller.limit(limits=threads):
            return call()

    return held


def tuned() -> None:
    """Start this script again with the environment in which NumPy's and SciPy's BLAS do not spin against each other.

    What peers need to be at their best where they share a process; to be called first, under ``__main__``.
    """
    if os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "10") != "10" or "RNLA_TUNED" in os.environ:
        return
    os.environ["RNLA_TUNED"] = "1"
    os.execv(sys.executable, sys.orig_argv)


def arguments(text: str | None, rounds: int = 5) -> argparse.ArgumentParser:
    """Return a parser with what every benchmark takes: --quick, --rounds, --threads and --out."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run")
    parser.add_argument("--rounds", type=int, default=rounds, help=f"timings of each contender (default {rounds})")
    parser.add_argument("--threads", type=int, default=machine.cpus(), help="of everybody (default: all)")
    parser.add_argument("--out", type=Path, default=OUT, help=f"folder of the JSON and the plots (default {OUT})")
    return parser


def by_rank(
    text: str | None, question: str, spectra: tuple[str, ...], ranks: tuple[int, ...],
    measure: Callable[[str, int, int, bool], dict[str, Any]], table: Callable[[dict[str, Any]], str],
    given: list[str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Ask a question of each spectrum and rank, print and save the answers, and return them.

    text      of the module, for --help
    question  names the file
    spectra   by default all of them, and the first with --quick; as `ranks`, of which --quick takes none but 6
    measure   from spectrum, rank, rounds and whether sizes are small to what was found
    table     of what was found, for a person
    """
    parser = arguments(text)
    parser.add_argument("--spectrum", action="append", choices=["slow", "fast"])
    parser.add_argument("--rank", action="append", type=int)
    chosen = parser.parse_args(given)
    results: dict[str, Any] = {}
    with machine.held_threads(None if chosen.threads >= machine.cpus() else chosen.threads):
        for spectrum in chosen.spectrum or spectra[: 1 if chosen.quick else None]:
            for rank in chosen.rank or ((6,) if chosen.quick else ranks):
                name = f"{spectrum}-{rank}"
                results[name] = measure(spectrum, rank, chosen.rounds, chosen.quick)
                print(f"{name}, {chosen.threads} threads\n{table(results[name])}", flush=True)
    print(f"written to {machine.save(question, results, chosen.out, chosen.threads)}")
    return results
