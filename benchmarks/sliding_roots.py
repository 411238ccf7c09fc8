"""A root kept through many small changes: `rnla.SqrtState` beside computing it again by eigh.

    python -m benchmarks.sliding_roots [--question window] [--rounds 7] [--threads 2] [--quick]

A is the covariance of a window of 2 n normal features whose scales fall evenly from 1 to 0.03 (condition about 4e3):
generated.  Peers take the better of one thread and all, and of NumPy's eigh and SciPy's two drivers; they only
decompose, and are spared the product that makes the root of it.  Questions:

window    n = 2000: a thousand features enter, and a thousand leave; the whole run with its decompositions, beside an
          eigh for each; those of the peers are timed at ten places of the run.  Accumulated error, bound and true.
change    n = 1500 and k = 5: one update of a prepared state, whose one eigh is told apart, and of one for the inverse
          root, beside an eigh of the changed matrix.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import machine, timing

Array = np.ndarray[Any, Any]
QUESTIONS = ("window", "change")


def features(n: int, count: int) -> Array:
    """Return the features, in rows, divided by the root of the length of the window."""
    x = np.random.default_rng(0).standard_normal((count, n))
    return np.asarray(x * np.linspace(1, 0.03, n) / np.sqrt(2 * n))


def peers(B: Array) -> dict[str, Callable[[], Any]]:
    """Return the ways to decompose a matrix, on all threads and on one."""
    import scipy.linalg

    calls: dict[str, Callable[[], Any]] = {
        "numpy eigh": lambda: np.linalg.eigh(B),
        "scipy evd": lambda: scipy.linalg.eigh(B, driver="evd", check_finite=False),
        "scipy evr": lambda: scipy.linalg.eigh(B, driver="evr", check_finite=False),
    }
    return calls | {f"{name}, one thread": timing.on_threads(call, 1) for name, call in calls.items()}


def true_error(state: Any, B: Array) -> float:
    """Return norm(B^{2p} - S^2) over norm(B^{2p})."""
    S = np.asarray(state @ np.eye(len(B)))
    wanted = B if state.power > 0 else np.linalg.inv(B)
    return float(np.linalg.norm(wanted - S @ S, 2) / np.linalg.norm(wanted, 2))


def window(small: bool, places: int = 10) -> dict[str, Any]:
    """Return the times and errors of a run of replacements."""
    import rnla

    n, changes = (120, 60) if small else (2000, 1000)
    x = features(n, 2 * n + changes)
    B = x[: 2 * n].T @ x[: 2 * n]
    rnla.SqrtState.init(np.eye(400), rng=0).update(np.ones(400))  # loads the kernels
    machine.raise_priority()
    begun = time.perf_counter()
    state = rnla.SqrtState.init(B, rng=0)
    first = time.perf_counter() - begun
    seconds: list[float] = []
    times: dict[str, list[float]] = {}
    bounds: list[float] = []
    for i in range(changes):
        begun = time.perf_counter()
        state.replace(x[2 * n + i], x[i])
        seconds.append(time.perf_counter() - begun)
        bounds.append(state.error.value)
        if (i + 1) % (changes // places) == 0:
            B = x[i + 1 : 2 * n + i + 1].T @ x[i + 1 : 2 * n + i + 1]
            calls = peers(B)
            names = list(calls)
            turn = i // (changes // places) % len(names)
            for name in names[turn:] + names[:turn]:
                time.sleep(timing.REST)
                begun = time.perf_counter()
                calls[name]()
                times.setdefault(name, []).append(time.perf_counter() - begun)
    best = min(times, key=lambda name: statistics.median(times[name]))
    eigh = statistics.median(times[best])
    return {
        "n": n, "changes": changes, "first": first, "total": sum(seconds), "median": statistics.median(seconds),
        "slowest": max(seconds), "refactorizations": state.refactorizations, "measurements": state.measurements,
        "tol": state.tol, "largest bound": max(bounds), "bound": state.error.value, "error": true_error(state, B),
        "numbers over n^2": state.storage / n**2, "peer": best, "eigh": eigh,
        "ratio": eigh * changes / sum(seconds),
        "peers": {name: statistics.median(found) for name, found in times.items()},
    }  # fmt: skip


def change(rounds: int, small: bool) -> dict[str, Any]:
    """Return the times and errors of one update of a prepared state."""
    import rnla

    n, k = (150, 3) if small else (1500, 5)
    x = features(n, 2 * n + k * (rounds + 2))
    A = x[: 2 * n].T @ x[: 2 * n]
    B = A + x[2 * n : 2 * n + k].T @ x[2 * n : 2 * n + k]
    rnla.SqrtState.init(np.eye(400), rng=0).update(np.ones(400))  # loads the kernels
    begun = time.perf_counter()
    states = {"rnla, root": rnla.SqrtState.init(A, rng=0)}
    first = time.perf_counter() - begun
    states["rnla, inverse root"] = rnla.SqrtState.init(A, power=-0.5, rng=0)
    at = dict.fromkeys(states, 2 * n)

    def next_update(name: str) -> Any:
        at[name] += k
        return states[name].update(x[at[name] - k : at[name]].T)

    calls = {name: functools.partial(next_update, name) for name in states} | peers(B)
    found = timing.interleave(calls, rounds)
    best = min((name for name in calls if not name.startswith("rnla")), key=found.median)
    rows = {
        name: {
            "seconds": found.median(name), "peer over it": found.ratio(best, name),
            "error": true_error(states[name], x[: at[name]].T @ x[: at[name]]) if name in states else None,
            "bound": states[name].error.value if name in states else None,
        }
        for name in calls
    }  # fmt: skip
    return {"n": n, "k": k, "first": first, "peer": best, "rows": rows, "times": found.as_json()}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = timing.arguments(__doc__, rounds=7)
    parser.add_argument("--question", action="append", choices=QUESTIONS)
    given = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    with machine.held_threads(None if given.threads >= machine.cpus() else given.threads):
        for question in given.question or QUESTIONS:
            if question == "window":
                found = results["window"] = window(given.quick)
                print(
                    f"n = {found['n']}, {found['changes']} replacements: {found['total']:.1f} s in all with "
                    f"{found['refactorizations']} refactorizations and {found['measurements']} measurements (median "
                    f"{1e3 * found['median']:.1f} ms, slowest {found['slowest']:.2f} s), after {found['first']:.2f} s "
                    f"for the first decomposition\n"
                    f"  {found['peer']}: {found['eigh']:.3f} s each, {found['ratio']:.1f}x\n"
                    f"  error: true {found['error']:.1e}, bound {found['bound']:.1e}, largest bound "
                    f"{found['largest bound']:.1e}, tol {found['tol']:.0e}\n"
                    f"  {found['numbers over n^2']:.2f} n^2 numbers are held",
                    flush=True,
                )
            else:
                found = results["change"] = change(given.rounds, given.quick)
                print(f"n = {found['n']}, k = {found['k']}; first decomposition {found['first']:.2f} s")
                for name, row in found["rows"].items():
                    told = "" if row["error"] is None else f"   error {row['error']:.1e} <= {row['bound']:.1e}"
                    print(
                        f"  {name:<24}{1e3 * row['seconds']:9.1f} ms   {found['peer']}: {row['peer over it']:6.2f}x it"
                        f"{told}", flush=True,
                    )  # fmt: skip
    print(f"written to {machine.save('sliding_roots', results, given.out, given.threads)}")
    return results


if __name__ == "__main__":
    timing.tuned()
    main()
