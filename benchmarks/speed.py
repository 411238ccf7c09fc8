"""How long `rnla.svd` takes for the accuracy that a peer reaches: time at equal achieved error.

    python -m benchmarks.speed [--case square] [--spectrum slow] [--rank 50] [--dtype float64] [--threads 2]
                               [--peer torch] [--rounds 5] [--only-default] [--kernels plain] [--quick] [--all]

S1. Every installed peer runs at its defaults (scikit-learn in three environments: as installed, tuned, which is
    OPENBLAS_THREAD_TIMEOUT=10, and on one thread; the others in what suits them best), and along a ladder of its own
    settings.  The error of an answer is two numbers: the Frobenius excess over the optimum and the worst relative
    error of a singular value.  Each default is a bar; one that is exact is a bar of 1e-10 (1e-5 in single precision).
S2. Ladders of ours: the default, block Krylov by block size and depth, subspace iteration.  For each bar, the
    fastest rung that is no worse in both numbers (10 eps norm(A) of rounding allowed).
S3. Rounds of peers and chosen rungs in rotating order.  The figure is the median over rounds of the peer's time over
    ours: 2 is twice as fast at no larger error.  A run beside which other processes took more than 8 percent of the
    processors is repeated, twice at most.  Peers for which the time of a case does not last run once, marked so.
S4. The floor of a run of ours is the larger of its flops over the peak and its bytes over the bandwidth, both
    measured in the same run (`benchmarks.machine`); share = floor / time.

Without options it takes the cases of the documentation's table (half an hour); one case takes under 90 seconds.
Results go to build/benchmarks: speed-<case>.json, and a picture of the error-time curves.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine, timing
from benchmarks.cases import CASES, DTYPES, RANKS, SPECTRA, Case, store
from benchmarks.contenders import BARS, PEERS, Bar, Process, environment, ladders, setting_text

__all__ = ["chosen_runs", "main", "measure"]

Run = dict[str, Any]
TABLE = (  # case, spectrum, rank, dtype
    ("square", "slow", 50, "float64"), ("square", "fast", 50, "float64"), ("square", "noisy", 50, "float64"),
    ("square", "slow", 10, "float64"), ("square", "slow", 200, "float64"), ("tall", "slow", 50, "float64"),
    ("tall", "slow", 200, "float64"), ("skinny", "slow", 50, "float64"), ("skinny", "slow", 10, "float64"),
    ("tall", "noisy", 50, "float64"), ("wide", "slow", 50, "float64"), ("wide", "noisy", 50, "float64"),
    ("wide", "slow", 200, "float64"), ("square", "slow", 50, "float32"), ("square", "slow", 200, "float32"),
    ("sparse6", "", 10, "float64"), ("sparse7", "", 10, "float64"), ("sparse7", "", 50, "float64"),
    ("words", "", 50, "float64"),
)  # fmt: skip
DISTURBED = 0.08  # share of the processors that others took, from which on a run is repeated
SHORT = 3.0  # seconds of a run, up to which it is made twice and the second one counts
PRIMARY = ("sklearn", "torch", "fbpca")  # run in every round, however slow


class Contest:
    """The processes of one case, and what each of them has answered."""

    def __init__(self, folder: Path, rank: int, a: Any, chosen: argparse.Namespace) -> None:
        held = None if chosen.threads >= machine.cpus() else chosen.threads
        kinds = lambda peer: ("one thread",) if chosen.threads == 1 else peer.environments  # noqa: E731
        self.bars = [
            Bar(peer.name, setting, kind)
            for peer in PEERS.values()
            if (not chosen.peer or peer.name in chosen.peer) and peer.suits(a)
            for setting in BARS.get(peer.name, ({},))
            for kind in kinds(peer)
        ]
        wanted = {(PEERS[bar.peer].process, bar.environment) for bar in self.bars}
        kernels = {} if chosen.kernels is None else {"RNLA_KERNELS": chosen.kernels}
        ours = "one thread" if chosen.threads == 1 else "as installed"
        self.ours = Process("rnla", folder, rank, environment(ours, held, **kernels))
        self.peers = {key: Process(key[0], folder, rank, environment(key[1], held)) for key in sorted(wanted)}
        for process in (self.ours, *self.peers.values()):
            process.ready()
        self.shape: tuple[int, int] = a.shape
        self.dense = isinstance(a, np.ndarray)
        self.rank, self.quick, self.disturbed = rank, chosen.quick, 0
        self.left = 1 - chosen.threads / machine.cpus()  # share of the processors that nobody here uses

    def run(self, bar: Bar | None, setting: dict[str, Any], *, judge: bool = True) -> Run:
        """Run a peer in the environment of a bar, or ours."""
        if bar is None:
            return {"setting": setting, **self.ours.run("rnla", setting, judge=judge)}
        process = self.peers[PEERS[bar.peer].process, bar.environment]
        return {"setting": setting, **process.run(bar.peer, setting, judge=judge)}

    def close(self) -> None:
        for process in (self.ours, *self.peers.values()):
            process.close()


def roundings(norm: float, s: Any, optimum: float, rank: int, dtype: str) -> tuple[float, float]:
    """Return what 10 eps norm(A) is as an excess and as a relative error of the smallest singular value."""
    slack = 10 * float(np.finfo(dtype).eps)
    return slack * norm / optimum, slack * float(s[0] / s[rank - 1])


def under(found: Run, bar: Run, rounding: tuple[float, float]) -> bool:
    """Whether an answer is no worse than another in both numbers, but for rounding."""
    if "failed" in found:
        return False
    return bool(found["excess"] <= max(bar["excess"], rounding[0]) and found["value"] <= max(bar["value"], rounding[1]))


def climb(contest: Contest, bars: dict[str, Run], rounding: tuple[float, float], until: float) -> tuple[Any, list[Run]]:
    """Return the fastest of our rungs under each bar, and all that was run (S2)."""
    best: dict[str, Run] = {}
    curve: list[Run] = []
    for ladder in ladders(contest.rank, contest.shape, contest.dense):
        open_bars = set(bars)
        for setting in ladder:
            found = contest.run(None, setting)
            curve.append(found)
            passed = {name for name in open_bars if under(found, bars[name], rounding)}
            if any(name not in best or found["seconds"] < 1.3 * best[name]["seconds"] for name in passed):
                again = (contest.run(None, setting, judge=False)["seconds"] for _ in range(2))
                found["seconds"] = min(found["seconds"], *again)
            for name in passed:
                if name not in best or found["seconds"] < best[name]["seconds"]:
                    best[name] = found
            open_bars -= passed  # further rungs only take longer
            late = all(name in best and found.get("seconds", 0) > 1.5 * best[name]["seconds"] for name in open_bars)
            if late or time.perf_counter() > until:
                break
    return best, curve


def measure(case: Case, spectrum: str, rank: int, dtype: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """Return bars, curves, chosen rungs, times and ratios of one case."""
    begun = time.perf_counter()
    matrix = case.make(chosen.quick, spectrum, dtype, rank)
    rounding = roundings(matrix.norm, matrix.s, matrix.optimum(rank), rank, dtype)
    ceiling = machine.ceilings(dtype, chosen.threads, chosen.quick)
    with tempfile.TemporaryDirectory() as folder:
        store(matrix, Path(folder))
        contest = Contest(Path(folder), rank, matrix.A, chosen)
    nbytes = matrix.A.nbytes if case.dense else matrix.A.data.nbytes + matrix.A.indices.nbytes
    stored = matrix.A.size if case.dense else matrix.A.nnz
    del matrix
    try:
        until = time.perf_counter() + 0.35 * chosen.seconds
        found, curves = first_runs(contest, 0.5 if chosen.quick else 1.0, until)
        exact = 1e-5 if dtype == "float32" else 1e-10
        errors = {
            bar.name: dict.fromkeys(("excess", "value"), exact) if PEERS[bar.peer].exact else found[bar.name]
            for bar in contest.bars
        }
        until = time.perf_counter() + 120  # the first calls load kernels, or compile them, once a machine
        default = contest.run(None, {})
        while "being loaded" in default.get("kernels", "") and time.perf_counter() < until:
            default = contest.run(None, {})
        if "failed" in default:
            raise RuntimeError(f"rnla.svd(A, {rank}): {default['failed']}")
        until = time.perf_counter() + 0.25 * chosen.seconds
        best, curve = ({}, []) if chosen.only_default else climb(contest, errors, rounding, until)
        curves["rnla"] = curve
        rungs = list({setting_text(run["setting"]): run["setting"] for run in [default, *best.values()]}.values())
        left = chosen.seconds - (time.perf_counter() - begun)
        times = rounds(contest, found, rungs, chosen.rounds, left)
        default = contest.run(None, {})
    finally:
        contest.close()

    def ours(run: Run, name: str) -> dict[str, Any]:
        """Return what one of our runs took, and against one peer."""
        mine, other = times[setting_text(run["setting"])], times[name]
        pairs = zip(mine, other, strict=True) if len(mine) == len(other) else [(statistics.median(mine), other[0])]
        seconds = statistics.median(mine)
        floor = ceiling.floor(2.0 * stored * run["products"], nbytes * run["passes"])
        text = setting_text(run["setting"])
        return {
            **run, "rung": text, "seconds": seconds, "floor": floor, "share": floor / seconds,
            "ratio": statistics.median(b / a for a, b in pairs), "under": under(run, errors[name], rounding),
        }  # fmt: skip

    rows = {
        bar.name: {
            "peer": {**found[bar.name], "seconds": statistics.median(times[bar.name]), "runs": len(times[bar.name])},
            "bar": errors[bar.name],
            "ours": ours(best[bar.name], bar.name) if bar.name in best else None,
            "default": ours(default, bar.name),
        }
        for bar in contest.bars
        if bar.name in times
    }
    return {
        "case": case.text, "shape": contest.shape, "spectrum": SPECTRA[spectrum][0] if case.dense else "",
        "rank": rank, "dtype": dtype, "threads": chosen.threads, "kernels": default.get("kernels"),
        "ceilings": {"flops": ceiling.flops, "bandwidth": ceiling.bandwidth, "by": ceiling.by},
        "rows": rows, "default": {**default, "seconds": statistics.median(times[""])}, "curves": curves, "times": times,
        "disturbed": contest.disturbed, "seconds": time.perf_counter() - begun,
    }  # fmt: skip


def first_runs(contest: Contest, patience: float, until: float) -> tuple[dict[str, Run], dict[str, list[Run]]]:
    """Run every peer's bars, then the rest of its ladder in the environment that was best for it (S1)."""
    found: dict[str, Run] = {}
    for bar in contest.bars:
        found[bar.name] = contest.run(bar, bar.setting)
        if found[bar.name].get("seconds", patience) < patience:
            found[bar.name] = contest.run(bar, bar.setting)  # the first call loads and compiles
    contest.bars = [bar for bar in contest.bars if "failed" not in found[bar.name]]
    curves: dict[str, list[Run]] = {}
    for name, group in itertools.groupby(contest.bars, lambda bar: bar.peer):
        bars = list(group)
        fastest = min(bars, key=lambda bar: found[bar.name]["seconds"])
        kept = bars if name == "sklearn" else [bar for bar in bars if bar.environment == fastest.environment]
        contest.bars = [bar for bar in contest.bars if bar.peer != name or bar in kept]
        curves[name] = [found[bar.name] for bar in kept if bar.environment == fastest.environment]
        done = [run["setting"] for run in curves[name]]
        for setting in PEERS[name].ladder:
            if setting not in done and found[fastest.name]["seconds"] < patience and time.perf_counter() < until:
                run = contest.run(fastest, setting)
                curves[name] += [run] if "failed" not in run else []
    return found, curves


def rounds(
    contest: Contest, found: dict[str, Run], rungs: list[dict[str, Any]], count: int, left: float
) -> dict[str, list[float]]:
    """Time everything once a round, in rotating order; the slowest others run once where time is short (S3)."""
    jobs: dict[str, tuple[Bar | None, dict[str, Any]]] = {bar.name: (bar, bar.setting) for bar in contest.bars}
    times: dict[str, list[float]] = {}
    others = sorted((b for b in contest.bars if b.peer not in PRIMARY), key=lambda b: found[b.name]["seconds"])
    while others and sum(found[name]["seconds"] for name in jobs) * count > 0.8 * left:
        slowest = others.pop().name
        times[slowest] = [found[slowest]["seconds"]]
        del jobs[slowest]
    jobs |= {setting_text(rung): (None, rung) for rung in rungs}
    order = list(jobs)
    if not contest.quick:  # three rounds at least, five where the time of a case lasts
        once = 2 * sum(found[name]["seconds"] for name in order if name in found)
        count = max(min(count, 3), min(count, int(left / (once + 1e-9))))
    times |= {name: [] for name in order}
    until = time.perf_counter() + left
    for turn in range(count):
        shift = turn * len(order) // count
        for name in order[shift:] + order[:shift]:
            if not contest.quick and found.get(name, {"seconds": 0.0})["seconds"] < SHORT:
                contest.run(*jobs[name], judge=False)
            times[name].append(undisturbed(contest, *jobs[name], until))
    return times


def undisturbed(contest: Contest, bar: Bar | None, setting: dict[str, Any], until: float) -> float:
    """Return the seconds of a run beside which other processes took little; of three, the least disturbed."""
    tries: list[tuple[float, float]] = []
    while len(tries) < 3:
        run = contest.run(bar, setting, judge=False)
        tries.append((run.get("others", 0.0), run["seconds"]))
        if tries[-1][0] < DISTURBED + contest.left or contest.quick or time.perf_counter() > until:
            break
        time.sleep(0.3)
    contest.disturbed += len(tries) - 1
    return min(tries)[1]


def chosen_runs(given: argparse.Namespace) -> list[tuple[Case, str, int, str]]:
    """Return what the options ask for: a choice crossed, or the documentation's table."""
    if not (given.case or given.spectrum or given.rank or given.dtype or given.all or given.quick):
        return [(CASES[name], spectrum or "slow", rank, dtype) for name, spectrum, rank, dtype in TABLE]
    runs = []
    for name in given.case or [name for name in CASES if given.all or CASES[name].dense]:
        case = CASES[name]
        usual = RANKS if given.all else (case.small_rank if given.quick else case.rank,)
        spectra = given.spectrum or (list(SPECTRA) if given.all else ["slow"])
        dtypes = given.dtype or (DTYPES if given.all else ["float64"])
        runs += [
            (case, spectrum, rank, dtype)
            for spectrum in (spectra if case.dense else ["slow"])
            for rank in given.rank or usual
            for dtype in (dtypes if case.dense else ["float64"])
        ]
    return runs


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run what the arguments say; return the results, which are also printed, drawn and saved."""
    from benchmarks import speed_report

    parser = timing.arguments(__doc__)
    parser.add_argument("--case", action="append", choices=list(CASES), help="may be repeated, as may the next three")
    parser.add_argument("--spectrum", action="append", choices=list(SPECTRA))
    parser.add_argument("--rank", action="append", type=int)
    parser.add_argument("--dtype", action="append", choices=DTYPES)
    parser.add_argument("--peer", action="append", choices=list(PEERS), help="only this one; may be repeated")
    parser.add_argument("--all", action="store_true", help="every case, spectrum, rank and precision: hours")
    parser.add_argument("--only-default", action="store_true", help="rnla.svd(A, k) alone, without our ladder")
    parser.add_argument("--kernels", help="RNLA_KERNELS of our process: auto, compiled or plain")
    parser.add_argument("--seconds", type=float, default=75.0, help="about what one case may take (default 75)")
    given = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    for case, spectrum, rank, dtype in chosen_runs(given):
        parts = [case.name, *([spectrum] if case.dense else []), str(rank), *([dtype] if case.dense else [])]
        name = "-".join([*parts, f"{given.threads}t", *([given.kernels] if given.kernels else [])])
        results[name] = measure(case, spectrum, rank, dtype, given)
        machine.save(f"speed-{name}", results[name], given.out, given.threads)
        print(speed_report.table(name, results[name]) + "\n", flush=True)
        speed_report.draw(results[name], given.out / f"speed-{name}.png")
    print(f"written to {given.out}")
    return results


if __name__ == "__main__":
    main()
