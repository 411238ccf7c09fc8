"""Robust PCA: `rnla.robust_pca` by its methods, beside principal component pursuit and a peer, and as n grows.

    python -m benchmarks.robust [--question speed] [--rounds 7] [--threads 2] [--quick]

The papers' model, generated: L = A B^T of normal factors, rank 5, n x n, a share of the entries, chosen uniformly,
corrupted by values uniform in [-mean|L|, mean|L|].  Questions:

recovery  n = 2000, 10, 20 and 30 percent of outliers, method="auto": in how many draws the relative error of L is at
          most 1e-6, and how large it was at worst.
speed     n = 2000 and 30 percent: RieCUR and IRCUR beside AccAltProj, whose first SVDs are randomized, each by compiled
          kernels; beside the same method as its paper has it, array by array in NumPy on scikit-learn's randomized SVD;
          one full SVD by NumPy for the scale.
pursuit   n = 500 and 20 percent: AccAltProj beside our principal component pursuit and `tensorly.decomposition.
          robust_pca`, both with full SVDs; the peer with the penalty and its growth with which it was fastest among
          those that reach the error, told when to stop, on the better of one thread and all.
scaling   RieCUR and IRCUR, 2000 to 64000, on factors and outliers that are made on demand: seconds an iteration in the
          method, those spent in making entries apart, over n log n (RieCUR) and n log^2 n (IRCUR), and the exponent of
          that in n; peak memory over n r log n numbers.
large     50000 x 50000 on demand, 20 GB were it dense, by a process of its own: seconds and peak memory.
pieces    n = 2000 and 8000, where the time of RieCUR goes: products with the cross, its middle and the spaces of that,
          retraction, certificate, the rest; beside the floor, the bytes of the cross over the bandwidth.
kernels   n = 2000, the compiled kernels beside their plain twins: a cross with its two products, rows, columns, and all
          of the matrix with its two products.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine, timing
from examples.robust.model import OnDemand, drawn, factors
from tests.reference.cai2019 import acc_alt_proj

Array = np.ndarray[Any, Any]
QUESTIONS = ("recovery", "speed", "pursuit", "scaling", "large", "pieces", "kernels")
RANK = 5
GOOD = 1e-6


class Watched(OnDemand):
    """The matrix on demand, and the seconds that making its entries took."""

    seconds = 0.0

    def _block(self, i: Array, j: Array) -> Array:
        begun = time.perf_counter()
        out = super()._block(i, j)
        self.seconds += time.perf_counter() - begun
        return out


def recovery(trials: int, small: bool) -> dict[str, Any]:
    """Return the successes for each share."""
    import rnla

    n, rows = 300 if small else 2000, {}
    for share in (0.1, 0.2, 0.3):
        errors = []
        for seed in range(trials):
            truth, D = drawn(n, RANK, share, seed=seed)
            errors.append(truth.error(rnla.robust_pca(D, RANK, rng=seed, on_failure="return")))
        rows[f"{share:g}"] = {
            "trials": trials, "successes": sum(error <= GOOD for error in errors), "worst": max(errors),
            "median": float(np.median(errors)),
        }  # fmt: skip
    return {"n": n, "rows": rows}


def _judged(found: timing.Rounds, truth: Any, over: str) -> dict[str, Any]:
    rows = {}
    L = truth.A @ truth.B.T
    for name, out in found.last.items():
        plain = isinstance(out, np.ndarray)
        rows[name] = {
            "seconds": found.median(name), "ratio": found.ratio(name, over), "least": min(found.times[name]),
            "error": float(np.linalg.norm(out - L) / np.linalg.norm(L)) if plain else truth.error(out),
            "iterations": None if plain else out.iterations, "runs": len(found.times[name]),
        }  # fmt: skip
    return rows


def speed(rounds: int, small: bool) -> dict[str, Any]:
    """Return times at an error of at most 1e-6 of the methods that read a cross and of one that reads all."""
    import rnla

    n, share = (300, 0.2) if small else (2000, 0.3)
    truth, D = drawn(n, RANK, share)
    calls: dict[str, Callable[[], Any]] = {
        name: lambda method=name: rnla.robust_pca(D, RANK, method=method, rng=0)
        for name in ("accaltproj", "riecur", "ircur")
    }
    if importlib.util.find_spec("sklearn"):
        from sklearn.utils.extmath import randomized_svd

        def leading(X: Array, k: int) -> tuple[Array, Array, Array]:
            U, s, Vh = randomized_svd(X, k, n_oversamples=10, n_iter=2, random_state=0)
            return U, s, Vh.T

        stop = 1e-7 * float(np.linalg.norm(truth.A @ truth.B.T) / np.linalg.norm(D))
        calls["accaltproj in NumPy"] = lambda: acc_alt_proj(D, RANK, stop, leading=leading)[0]
    found = timing.interleave(calls, rounds)
    rows = _judged(found, truth, "accaltproj")
    if not small:
        begun = time.perf_counter()
        np.linalg.svd(D)
        rows["one full SVD"] = {
            "seconds": time.perf_counter() - begun, "ratio": math.nan, "least": math.nan, "error": math.nan,
            "iterations": None, "runs": 1,
        }  # fmt: skip
    return {"n": n, "share": share, "rows": rows, "times": found.as_json()}


def pursuit(rounds: int, small: bool) -> dict[str, Any]:
    """Return times of AccAltProj and of pursuits by full SVDs."""
    import rnla

    n, share = (60, 0.1) if small else (500, 0.2)
    truth, D = drawn(n, 2 if small else RANK, share)
    rank = len(truth.A[0])
    calls: dict[str, Callable[[], Any]] = {
        "accaltproj": lambda: rnla.robust_pca(D, rank, method="accaltproj", rng=0),
        "pcp": lambda: rnla.robust_pca(D, method="pcp", rng=0),
    }
    if importlib.util.find_spec("tensorly"):
        from tensorly.decomposition import robust_pca

        start, stop = 1.25 / np.linalg.norm(D, 2), 1e-7 * np.linalg.norm(D)

        def peer() -> Array:  # both unfoldings of a matrix are penalized, hence twice the usual weight
            return np.asarray(robust_pca(
                D, reg_E=2 / math.sqrt(n), mu_init=start, learning_rate=1.3, n_iter_max=200, tol=stop, verbose=0
            )[0])  # fmt: skip

        calls["tensorly"] = peer
        calls["tensorly, one thread"] = timing.on_threads(peer, 1)
    found = timing.interleave(calls, rounds, patience=10.0)
    return {"n": n, "share": share, "rows": _judged(found, truth, "accaltproj"), "times": found.as_json()}


def scaling(rounds: int, small: bool) -> dict[str, Any]:
    """Return seconds an iteration for each n, the exponents, and the memory."""
    import rnla

    sizes = [500, 1000, 2000] if small else [2000, 4000, 8000, 16000, 32000, 64000]
    results: dict[str, Any] = {}
    for method, power in (("riecur", 1), ("ircur", 2)):
        rows = []
        for n in sizes:
            truth = factors(n, n, RANK, 0)
            own, made, out = [], [], None
            idle, turns = (1, rounds) if n <= 8000 else (0, min(rounds, 3))  # small ones are cheap, and noisy
            for turn in range(idle + turns):
                D = Watched(truth, 0.2)
                begun = time.perf_counter()
                out = rnla.robust_pca(D, RANK, method=method, rng=0)
                if turn >= idle:
                    own.append((time.perf_counter() - begun - D.seconds) / out.iterations)
                    made.append(D.seconds / out.iterations)
            assert out is not None
            tracemalloc.start()
            again = rnla.robust_pca(OnDemand(truth, 0.2), RANK, method=method, rng=0)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            rows.append({
                "n": n, "own": float(np.median(own)), "made": float(np.median(made)), "iterations": out.iterations,
                "error": truth.error(out), "entries": out.entries_read / out.iterations,
                "law": float(np.median(own)) / (n * math.log(n) ** power), "planned": again.report.plan.bytes,
                "peak": peak, "peak_over_nrlogn": peak / (8 * n * RANK * math.log(n)),
            })  # fmt: skip
        x = np.log([row["n"] for row in rows])
        results[method] = {
            "rows": rows, "power": power, "exponent": float(np.polyfit(x, np.log([row["law"] for row in rows]), 1)[0])
        }  # fmt: skip
    return results


def resident_peak() -> int:
    """Return the most bytes that this process held in memory; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


_LARGE = """
import json, sys, time
import rnla
from benchmarks.robust import resident_peak
from examples.robust.model import OnDemand, factors
n = int(sys.argv[1])
before = resident_peak()
truth = factors(n, n, 5, 0)
begun = time.perf_counter()
out = rnla.robust_pca(OnDemand(truth, 0.2), 5, rng=0)
seconds = time.perf_counter() - begun
print(json.dumps({
    "n": n, "seconds": seconds, "peak": resident_peak(), "before": before, "error": truth.error(out),
    "iterations": out.iterations, "entries": out.entries_read, "distinct": out.distinct_entries,
    "method": out.report.plan.summary, "accepted": out.held_out.accepted, "held out": str(out.held_out),
}))
"""


def large(small: bool) -> dict[str, Any]:
    """Return what a matrix that would be 20 GB takes; the process is its own, for its memory."""
    n = 3000 if small else 50_000
    done = subprocess.run(
        [sys.executable, "-c", _LARGE, str(n)], capture_output=True, text=True, check=True, timeout=600
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextlib.contextmanager
def _clocked(places: dict[str, tuple[Any, str]], spent: dict[str, float]) -> Iterator[None]:
    """Add up the seconds within functions, each looked up where it is called from."""
    kept = {name: getattr(owner, attribute) for name, (owner, attribute) in places.items()}

    def clock(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **named: Any) -> Any:
            begun = time.perf_counter()
            try:
                return call(*given, **named)
            finally:
                spent[name] = spent.get(name, 0.0) + time.perf_counter() - begun

        return timed

    try:
        for name, (owner, attribute) in places.items():
            setattr(owner, attribute, clock(name, kept[name]))
        yield
    finally:
        for name, (owner, attribute) in places.items():
            setattr(owner, attribute, kept[name])


def pieces(rounds: int, small: bool, threads: int) -> list[dict[str, Any]]:
    """Return where the time of RieCUR goes, and the floor."""
    import rnla
    from rnla.robust import attempts, cross, reading, skeletons

    places = {
        "products with the cross": (reading, "cross_products"), "its middle": (reading, "cleaned"),
        "drawing": (cross, "_cross"), "spaces": (skeletons, "leading_spaces"), "retraction": (cross, "retracted"),
        "certificate": (attempts, "_certified"),
    }  # fmt: skip
    bandwidth = machine.ceilings(np.float64, threads, small).bandwidth
    rows = []
    for n in [300] if small else [2000, 8000]:
        _, D = drawn(n, RANK, 0.2)
        rnla.robust_pca(D, RANK, method="riecur", rng=0)
        runs = []
        for _ in range(rounds):
            spent: dict[str, float] = {}
            begun = time.perf_counter()
            with _clocked(places, spent):
                out = rnla.robust_pca(D, RANK, method="riecur", rng=0)
            whole = time.perf_counter() - begun
            runs.append({**spent, "the rest": whole - sum(spent.values()), "whole": whole})
        middle = sorted(runs, key=lambda run: run["whole"])[len(runs) // 2]
        cut, count = out.report.size, out.iterations
        # Rows are read through; of the columns, each row gives the lines of 64 bytes that hold one of them.
        lines = n / 8 * (1 - (1 - 8 / n) ** cut)
        read = count * n * (8 * cut + 64 * lines)
        rows.append({
            "n": n, "iterations": count, "milliseconds": {name: 1e3 * value for name, value in middle.items()},
            "floor_ms": 1e3 * read / bandwidth, "read_mb": read / 1e6, "bandwidth": bandwidth,
        })  # fmt: skip
    return rows


def kernels(rounds: int, small: bool, threads: int) -> dict[str, Any]:
    """Return times of the kernels over those of their plain twins."""
    from rnla._kernels import compiled
    from rnla._kernels.crosses import cross_products
    from rnla._kernels.thresholding import cleaned, cleaned_products

    n = 300 if small else 2000
    truth, D = drawn(n, RANK, 0.3)
    left, right = truth.A, np.ascontiguousarray(truth.B.T)
    chosen = np.sort(np.random.default_rng(1).permutation(n)[: n // 17])
    thin, rooms = np.random.default_rng(2).standard_normal((len(chosen), RANK)), []
    lines = ((D, chosen), (D, chosen), chosen, chosen)
    tasks: dict[str, Callable[[], Any]] = {
        "a cross, with products": lambda: cross_products(*lines, left, right, 1.0, thin, thin, threads, rooms),
        "rows": lambda: cleaned(D, chosen, None, left[chosen], right, 1.0, threads),
        "columns": lambda: cleaned(D, None, chosen, left, right[:, chosen], 1.0, threads),
        "all, with products": lambda: cleaned_products(D, left, right, 1.0, left, truth.B, threads),
    }

    def under(setting: str, task: Callable[[], Any]) -> Callable[[], Any]:
        def call() -> Any:
            with compiled.using(setting, ["thresholding", "products"], np.dtype(float)):
                return task()

        return call

    ways = ("compiled", "plain") if importlib.util.find_spec("numba") else ("plain",)
    found = {
        what: timing.interleave({way: under(way, task) for way in ways}, rounds) for what, task in tasks.items()
    }  # fmt: skip
    return {what: {way: each.median(way) for way in ways} for what, each in found.items()}


def _told(question: str, found: Any) -> list[str]:
    """Return what was found, for a person."""
    if question == "recovery":
        return [
            f"  n = {found['n']}, {float(share):.0%} of outliers: {row['successes']} of {row['trials']} at {GOOD:g}, "
            f"worst {row['worst']:.1e}" for share, row in found["rows"].items()
        ]  # fmt: skip
    if question in ("speed", "pursuit"):
        return [f"  n = {found['n']}, {found['share']:.0%} of outliers"] + [
            f"    {name:<22}{1e3 * row['seconds']:9.1f} ms (least {1e3 * row['least']:.1f}), {row['ratio']:8.3f} of "
            f"AccAltProj, error {row['error']:.1e}, {row['iterations']} iterations"
            for name, row in found["rows"].items()
        ]  # fmt: skip
    if question == "scaling":
        lines = []
        for method, part in found.items():
            lines += [
                f"  {method} n = {row['n']:6d}: {1e3 * row['own']:8.2f} ms an iteration and {1e3 * row['made']:8.2f} "
                f"to make entries, error {row['error']:.1e}, peak {row['peak_over_nrlogn']:.1f} n r log n numbers, "
                f"{row['peak'] / row['planned']:.2f} of what is planned" for row in part["rows"]
            ]  # fmt: skip
            lines.append(f"  {method}: exponent of time / (n log^{part['power']} n): {part['exponent']:+.3f}")
        return lines
    if question == "large":
        text = (
            f"  {found['n']} x {found['n']} on demand: {found['seconds']:.1f} s, peak {found['peak'] / 1e9:.2f} GB (of "
        )
        text += (
            f"which {found['before'] / 1e9:.2f} before), error {found['error']:.1e}, {found['iterations']} iterations"
        )
        return [f"{text}, {found['entries']:.2g} entries read, {found['held out']}"]
    if question == "kernels":
        return [
            f"  {what}: " + ", ".join(f"{way} {1e3 * seconds:.2f} ms" for way, seconds in row.items())
            for what, row in found.items()
        ]
    lines = []
    for row in found:
        parts = ", ".join(f"{name} {value:.1f}" for name, value in row["milliseconds"].items())
        lines.append(
            f"  n = {row['n']}, {row['iterations']} iterations: {parts} ms; floor {row['floor_ms']:.1f} ms "
            f"({row['read_mb']:.0f} MB read)"
        )
    return lines


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = timing.arguments(__doc__, rounds=7)
    parser.add_argument("--question", action="append", choices=QUESTIONS)
    parser.add_argument("--trials", type=int, default=None, help="draws for each share (default 100)")
    given = parser.parse_args(arguments)
    import rnla

    small, results = given.quick, {}
    asked: dict[str, Callable[[], Any]] = {
        "recovery": lambda: recovery(given.trials or (3 if small else 100), small),
        "speed": lambda: speed(given.rounds, small),
        "pursuit": lambda: pursuit(min(given.rounds, 5), small),
        "scaling": lambda: scaling(given.rounds, small),
        "large": lambda: large(small),
        "pieces": lambda: pieces(given.rounds, small, given.threads),
        "kernels": lambda: kernels(given.rounds, small, given.threads),
    }
    setting = "compiled" if importlib.util.find_spec("numba") else "plain"
    held = machine.held_threads(None if given.threads >= machine.cpus() else given.threads)
    with held, rnla.config_context(kernels=setting):
        machine.raise_priority()
        for question in given.question or QUESTIONS:
            results[question] = asked[question]()
            print("\n".join([question, *_told(question, results[question])]), flush=True)
    print(f"written to {machine.save('robust', results, given.out, given.threads)}")
    return results


if __name__ == "__main__":
    timing.tuned()
    main()
