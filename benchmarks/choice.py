"""Is the choice of the plan near the best?  `rnla.svd` by default beside every other method that could be named.

    python -m benchmarks.choice [--case square] [--spectrum slow] [--rank 50] [--tol 1e-1] [--dtype float64]
                                [--rounds 3] [--threads 2] [--all] [--small]

S1. The default runs, and its answer is judged: the Frobenius excess over the optimum and the worst relative error of a
    singular value for a rank, the error itself and the rank for a tolerance; medians over three seeds.
S2. So does every other method, along ladders of ever more work, until one takes longer than the default.  Those that
    are no worse than the default in both numbers are its rivals.
S3. The default and its three fastest rivals take turns.  The figure of a case is the default's time over that of the
    fastest of all, each the least of its rounds: 1 where no rival is faster.

A case is over where that is above 1.25: a rule of `rnla.planner` could have chosen better there.  Everybody runs on
compiled kernels that are loaded before.  A plan is made by shape, dtype, structure and request, so the same default
meets every spectrum, and what is best for one of them need not be for another.  The questions of the table take
twenty minutes; one takes a minute at most.  Results go to build/benchmarks: choice-<question>.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks import machine, timing
from benchmarks.cases import CASES, DTYPES, RANKS, SPECTRA, Matrix, judge
from benchmarks.speed import roundings

__all__ = ["LIMIT", "chosen", "ladders", "main", "measure"]

LIMIT = 1.25
SEEDS = (0, 1, 2)
RIVALS = 3
FAR = 4.0  # times the errors of the default that no other seed makes up for
LASTS = 60.0  # seconds that trying others may take
LONGEST = 8.0  # seconds that a run may be predicted to take which is not the default
Setting = dict[str, Any]
Errors = tuple[float, float]
Question = tuple[str, str, str, Setting]  # case, spectrum, dtype, rank or tol

DENSE = ("square", "tall", "skinny", "wide")
TABLE: tuple[Question, ...] = (
    *((case, spectrum, "float64", {"rank": 50}) for case in DENSE for spectrum in SPECTRA),
    *((case, "slow", "float64", {"rank": rank}) for case in DENSE for rank in (10, 200)),
    ("square", "noisy", "float64", {"rank": 200}),
    *(("square", "slow", "float32", {"rank": rank}) for rank in RANKS),
    *(("square", "fast", "float64", {"tol": tol}) for tol in (1e-1, 1e-2, 1e-6)),
    *((case, "slow", "float64", {"tol": 1e-1}) for case in DENSE),
    ("tall", "slow", "float64", {"tol": 3e-2}),
    ("skinny", "slow", "float64", {"tol": 1e-2}),
    ("skinny", "fast", "float64", {"tol": 1e-6}),
    ("wide", "fast", "float64", {"tol": 1e-2}),
    *((case, "", "float64", {"rank": rank}) for case in ("sparse6", "sparse7") for rank in (10, 50)),
    ("kernel", "", "float64", {"rank": 50}),
    ("kernel", "", "float64", {"tol": 1e-2}),
)


def named(name: str, setting: Setting) -> str:
    """Return a method as it is written."""
    texts = (f"{key}={named(*value) if key == 'part' else value}" for key, value in setting.items())
    return f"{name}({', '.join(texts)})"


def ladders(shape: tuple[int, int], dense: bool, asked: Setting) -> Iterator[list[tuple[str, Setting]]]:
    """Yield the methods that could be named, in ladders of ever more work."""
    widths = (8, 16, 24, 32, 48, 64, 96, 128)
    rank, short = asked.get("rank"), min(shape)
    if rank is None:
        for name in ("Adaptive", "BlockQB", "GramQB"):
            yield from ([(name, {"block_size": b, "power_iterations": q})] for b in (16, 64) for q in (0, 1, 2))
        yield from ([("Adaptive", {"part": ("BlockKrylov", {"block_size": b})})] for b in widths)
    else:
        for b in widths[1:-1] if rank >= 100 else widths[:-1]:
            deep = [d for d in range(2, 33) if 1.2 * rank < b * d < min(short, 3 * rank + 100)]
            yield [("BlockKrylov", {"block_size": b, "depth": d}) for d in deep]
        for extra in (0, 10):
            yield [("BlockKrylov", {"depth": d, "oversampling": extra}) for d in (2, 3, 4, 5)]
        for name, powers in (("SubspaceIteration", range(8)), ("PowerIteration", range(1, 6)), ("GramQB", range(5))):
            for extra in sorted({10, max(10, rank // 2)}):
                yield [(name, {"power_iterations": q, "oversampling": extra}) for q in powers]
    if dense:
        yield from ([(name, {})] for name in ("GramEigh", "TallQR", "FullSVD") if name == "FullSVD" or short < 4000)


def method_of(name: str, setting: Setting) -> Any:
    """Return a method; None where it has no such setting."""
    import rnla

    parts = {key: method_of(*value) if key == "part" else value for key, value in setting.items()}
    try:
        return getattr(rnla, name)(**parts)
    except TypeError:
        return None


class Trial:
    """One question: the matrix, what is asked, and how answers are judged."""

    def __init__(self, matrix: Matrix, asked: Setting) -> None:
        self.matrix, self.asked, self.slack = matrix, asked, (0.0, 0.0)
        if "rank" in asked:
            k = asked["rank"]
            self.slack = roundings(matrix.norm, matrix.s, matrix.optimum(k), k, matrix.A.dtype.name)

    def call(self, method: Any, seed: int, deadline: float | None = None) -> Any:
        """Return the answer of a method, or of the default (None)."""
        import rnla

        with rnla.config_context(deadline=deadline):
            return rnla.svd(self.matrix.A, **self.asked, method=method, rng=seed)

    def errors(self, out: Any) -> Errors:
        """Return the two numbers that an answer is judged by; smaller is better."""
        if "tol" in self.asked:
            return float(out.error.value <= self.asked["tol"]) - 1.0, float(out.rank)
        return judge(self.matrix, self.asked["rank"], *out)

    def no_worse(self, one: Errors, other: Errors) -> bool:
        """Whether two numbers are no larger than two others, but for rounding."""
        return all(a <= max(b, slack) for a, b, slack in zip(one, other, self.slack, strict=True))

    def tried(self, method: Any, patience: float, bar: Errors = (np.inf, np.inf)) -> tuple[float, Errors | None]:
        """Return the least seconds over the seeds, and the medians of the errors; None where it is slower.

        The first seed alone is judged where that is far above the bar.
        """
        seconds, errors = float("inf"), []
        for seed in (SEEDS[0], *SEEDS):  # the first comes twice: a slow minute is no verdict
            begun = time.perf_counter()
            out = self.call(method, seed, 1 + 2 * patience if patience < np.inf else None)
            seconds = min(seconds, time.perf_counter() - begun)
            if seconds > (patience if errors else 1.5 * patience):
                return seconds, None
            errors.append(self.errors(out))
            if not self.no_worse(errors[0], (FAR * bar[0], FAR * bar[1])):
                break
        return seconds, tuple(np.median(errors[-len(SEEDS) :], axis=0).tolist())  # type: ignore[return-value]


def predicted(trial: Trial, method: Any) -> float:
    """Return the seconds that the cost model predicts, for leaving out what takes minutes."""
    import rnla

    try:
        return float(rnla.plan(trial.matrix.A, **trial.asked, method=method).seconds)
    except rnla.errors.RnlaError:
        return float("inf")


def measure(matrix: Matrix, asked: Setting, rounds: int) -> dict[str, Any]:
    """Return the default's time over the best, with both errors and all rivals."""
    import rnla

    trial, dense = Trial(matrix, asked), isinstance(matrix.A, np.ndarray)
    trial.call(None, 0)
    seconds, errors = trial.tried(None, float("inf"))
    assert errors is not None
    rivals: dict[str, tuple[float, Any, Errors]] = {}
    curve = []
    until = time.perf_counter() + LASTS
    for ladder in ladders(matrix.A.shape, dense, asked):
        for name, setting in ladder:
            method = method_of(name, setting)
            if time.perf_counter() > until:
                break
            if method is None or predicted(trial, method) > max(LONGEST, 2 * seconds):
                break
            try:
                took, found = trial.tried(method, 1.05 * seconds, errors)
            except rnla.errors.RnlaError:
                break
            curve.append((named(name, setting), took, found))
            if found is None:
                break
            if trial.no_worse(found, errors):
                rivals[named(name, setting)] = (took, method, found)
                break  # further rungs only take longer
    all_tried = time.perf_counter() < until
    fastest = dict(sorted(rivals.items(), key=lambda item: item[1][0])[:RIVALS])
    calls: dict[str, Callable[[], Any]] = {"default": lambda: trial.call(None, 0)}
    calls |= {name: lambda method=method: trial.call(method, 0) for name, (_, method, _) in fastest.items()}
    times = timing.interleave(calls, rounds, patience=4.0)
    least = {name: min(taken) for name, taken in times.times.items()}
    best = min(least, key=lambda name: least[name])
    report = times.last["default"].report
    return {
        "plan": report.plan.summary, "size": report.size, "seconds": least["default"], "errors": errors,
        "best": best, "best seconds": least[best], "best errors": errors if best == "default" else fastest[best][2],
        "ratio": least["default"] / least[best], "over": least["default"] > LIMIT * least[best],
        "times": times.as_json("default"), "curve": curve, "all tried": all_tried,
    }  # fmt: skip


def chosen(given: argparse.Namespace) -> list[Question]:
    """Return the questions that the options ask for: of the table, or crossed."""
    asked = [{"rank": k} for k in given.rank or []] + [{"tol": t} for t in given.tol or []]
    if given.all:
        return [
            (case.name, spectrum, dtype, {"rank": rank})
            for case in CASES.values()
            for spectrum in (SPECTRA if case.dense else [""])
            for dtype in (DTYPES if case.dense else ["float64"])
            for rank in RANKS
        ]
    if given.small and not asked:
        asked = [{"rank": 8}, {"tol": 1e-1}]
    if asked and given.case:
        return [
            (case, spectrum, dtype, request)
            for case in given.case
            for spectrum in (given.spectrum or ["slow"] if case in CASES and CASES[case].dense else [""])
            for dtype in given.dtype or ["float64"]
            for request in asked
        ]
    wanted = {"case": given.case, "spectrum": given.spectrum, "dtype": given.dtype}
    return [
        question
        for question in TABLE
        if all(not allowed or value in allowed for value, allowed in zip(question, wanted.values(), strict=False))
        and (not asked or question[3] in asked)
    ]


def make(question: Question, small: bool) -> Matrix:
    """Return the matrix of a question."""
    name, spectrum, dtype, asked = question
    if name == "kernel":
        from benchmarks.cases import kernel

        return kernel(small)
    return CASES[name].make(small, spectrum or "slow", dtype, asked.get("rank", 10))


def text_of(question: Question) -> str:
    """Return the name of a question."""
    name, spectrum, dtype, asked = question
    return "-".join(
        part for part in (name, spectrum, dtype, *(f"{key}={value:g}" for key, value in asked.items())) if part
    )


def line(name: str, row: dict[str, Any]) -> str:
    """Return a row for a person."""
    errors, best = (", ".join(f"{error:.0e}" for error in row[key]) for key in ("errors", "best errors"))
    text = f"{name:<36}{1e3 * row['seconds']:8.1f} ms ({errors})  {row['plan']}\n"
    text += f"{'':<36}{1e3 * row['best seconds']:8.1f} ms ({best})  {row['best']}: {row['ratio']:.2f}x"
    return text + ("  OVER" if row["over"] else "") + ("" if row["all tried"] else "  (not all were tried)")


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run what the arguments say; return the results, which are also printed and saved."""
    import rnla

    parser = timing.arguments(__doc__, rounds=3)
    parser.add_argument("--case", action="append", choices=[*CASES, "kernel"])
    parser.add_argument("--spectrum", action="append", choices=list(SPECTRA))
    parser.add_argument("--rank", action="append", type=int)
    parser.add_argument("--tol", action="append", type=float)
    parser.add_argument("--dtype", action="append", choices=DTYPES)
    parser.add_argument("--all", action="store_true", help="every case, spectrum, precision and rank: hours")
    parser.add_argument("--small", action="store_true", help="small sizes, as --quick")
    given = parser.parse_args(arguments)
    given.small = given.small or given.quick
    results: dict[str, Any] = {}
    held = None if given.threads >= machine.cpus() else given.threads
    with machine.held_threads(held), rnla.config_context(kernels="compiled"):
        for question in chosen(given):
            name = text_of(question)
            results[name] = measure(make(question, given.small), question[3], given.rounds)
            print(line(name, results[name]), flush=True)
            machine.save(f"choice-{name}", results[name], given.out, given.threads)
    over = [name for name, row in results.items() if row["over"]]
    print(f"{len(results)} cases, {len(over)} over {LIMIT}: {', '.join(over) or 'none'}")
    return results


if __name__ == "__main__":
    main()
