"""How long `rnla.svd` takes for the accuracy that a peer reaches at its defaults.

    python -m benchmarks.speed [--quick] [--case fast] [--rounds 5] [--out build/benchmarks]

Every contender has a process of its own, so that no library's idle threads disturb another's; one
process works at a time.  scikit-learn runs twice, as installed and with OPENBLAS_THREAD_TIMEOUT=10,
which stops the two OpenBLAS copies of NumPy and SciPy from spinning against each other.

S1. Each peer runs at its defaults: its Frobenius excess over the optimum and its worst relative error
    of a singular value are the bar (with 50 eps of rounding allowed).
S2. A ladder of power iterations and oversampling of ours; for each peer the fastest rung under its bar.
S3. Rounds of all contenders and chosen rungs, in rotating order; the ratio is the median over rounds of
    our time over the peer's.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

EPS = 2.0**-52
PEERS: dict[str, dict[str, str]] = {  # with what the environment of its process adds
    "sklearn": {},
    "sklearn, tuned": {"OPENBLAS_THREAD_TIMEOUT": "10"},
    "torch": {},
    "torch, 7": {},
    "svds": {},
}
TEXT = {
    "sklearn": "sklearn randomized_svd",
    "sklearn, tuned": "same, OPENBLAS_THREAD_TIMEOUT=10",
    "torch": "torch svd_lowrank(q=k+10)",
    "torch, 7": "same, niter=7",
    "svds": "scipy svds (arpack)",
}
POWERS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 30)
OVERSAMPLING = (10, 25, 50, 100)


def work(case_name: str, contender: str, small: bool) -> None:
    """Answer requests on standard input: run once, say how long it took and how good it was."""
    from benchmarks.cases import CASES, judge

    case = CASES[case_name]
    matrix = case.make(small)
    rank = 10 if small else case.rank
    call = _caller(contender, matrix.A, rank)
    print(json.dumps({"ready": list(matrix.A.shape)}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        begun = time.perf_counter()
        U, s, Vh, passes = call(**request)
        seconds = time.perf_counter() - begun
        excess, value = judge(matrix, rank, U, s, Vh)
        print(json.dumps({"seconds": seconds, "excess": excess, "value": value, "passes": passes}), flush=True)


def _caller(contender: str, a: Any, rank: int) -> Any:
    import numpy as np

    if contender == "rnla":
        import rnla

        def ours(**knobs: Any) -> Any:
            result = rnla.svd(a, rank, rng=0, **knobs)
            return *result, result.report.passes

        return ours
    if contender.startswith("sklearn"):
        from sklearn.utils.extmath import randomized_svd

        return lambda: (*randomized_svd(a, rank, random_state=0), None)
    if contender.startswith("torch"):
        import torch

        if isinstance(a, np.ndarray):
            tensor = torch.from_numpy(a)
        else:
            import warnings

            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            parts = (torch.from_numpy(np.asarray(x)) for x in (a.indptr, a.indices, a.data))
            tensor = torch.sparse_csr_tensor(*parts, size=a.shape, check_invariants=True)
        niter = 7 if contender.endswith("7") else 2

        def lowrank() -> Any:
            torch.manual_seed(0)
            u, s, v = torch.svd_lowrank(tensor, q=rank + 10, niter=niter)
            return u.numpy(), s.numpy(), v.mT.numpy(), None

        return lowrank
    from scipy.sparse.linalg import svds

    def arpack() -> Any:
        u, s, vh = svds(a, rank, rng=np.random.default_rng(0))
        order = np.argsort(s)[::-1]
        return u[:, order], s[order], vh[order], None

    return arpack


class Contender:
    """A process that holds the matrix and runs when told to."""

    def __init__(self, case: str, name: str, small: bool, environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "benchmarks.speed", "--work", name, "--case", case]
        command += ["--quick"] if small else []
        root = Path(__file__).resolve().parent.parent
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env={**os.environ, **environment},
        )
        self.shape = self._answer()["ready"]

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a contender ended with status {self.process.wait()}")
        return json.loads(line)  # type: ignore[no-any-return]

    def run(self, **request: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def under(found: dict[str, Any], bar: dict[str, Any]) -> bool:
    """Whether an answer is at least as good as another, but for rounding."""
    # 50 eps norm(A), in units of the optimum and of the smallest singular value: at most 1e3 times larger here.
    return found["excess"] <= max(bar["excess"], 1e3 * EPS) and found["value"] <= max(bar["value"], 500 * EPS)


def measure(case: str, small: bool, rounds: int) -> dict[str, Any]:
    """Return bars, rungs, times and ratios of one case."""
    contenders = {name: Contender(case, name, small, added) for name, added in PEERS.items()}
    ours = Contender(case, "rnla", small, {})
    try:
        for _ in range(2):  # the first call of anything loads and compiles
            bars = {name: peer.run() for name, peer in contenders.items()}
        ours.run()
        chosen = climb(ours, bars)
        rungs = {json.dumps(rung, sort_keys=True): rung for rung in [{}, *chosen.values()]}
        jobs: list[tuple[str, Contender, dict[str, Any]]] = [(n, c, {}) for n, c in contenders.items()]
        jobs += [(key, ours, rung) for key, rung in rungs.items()]
        times: dict[str, list[float]] = {name: [] for name, _, _ in jobs}
        found: dict[str, dict[str, Any]] = {}
        for turn in range(rounds):
            shift = turn * len(jobs) // rounds
            for name, contender, request in jobs[shift:] + jobs[:shift]:
                found[name] = contender.run(**request)
                times[name].append(found[name]["seconds"])
    finally:
        for contender in (*contenders.values(), ours):
            contender.close()
    rows = {}
    for name in PEERS:
        key = json.dumps(chosen[name], sort_keys=True) if name in chosen else None
        rows[name] = {
            "peer": {**found[name], "seconds": statistics.median(times[name])},
            "rung": chosen.get(name),
            "rnla": None if key is None else {**found[key], "seconds": statistics.median(times[key])},
            "ratio": None if key is None else statistics.median(
                a / b for a, b in zip(times[key], times[name], strict=True)
            ),
        }  # fmt: skip
    default = {**found["{}"], "seconds": statistics.median(times["{}"])}
    return {"shape": ours.shape, "rows": rows, "default": default, "times": times}


def climb(ours: Contender, bars: dict[str, dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Return the fastest rung under each bar (S2)."""
    best: dict[str, tuple[float, dict[str, int]]] = {}
    for oversampling in OVERSAMPLING:
        open_bars = set(bars)
        for power in POWERS:
            rung = {"power_iterations": power, "oversampling": oversampling}
            found = ours.run(**rung)
            passed = {name for name in open_bars if under(found, bars[name])}
            if passed:
                found["seconds"] = min(found["seconds"], *(ours.run(**rung)["seconds"] for _ in range(2)))
            for name in passed:
                if name not in best or found["seconds"] < best[name][0]:
                    best[name] = (found["seconds"], rung)
            open_bars -= passed  # more power iterations only take longer
            if not open_bars or all(name in best and found["seconds"] > 2 * best[name][0] for name in open_bars):
                break
    return {name: rung for name, (_, rung) in best.items()}


def table(case: str, result: dict[str, Any]) -> str:
    """Return the rows for a person."""
    lines = [f"{case}: {result['shape'][0]} x {result['shape'][1]}"]
    head = f"  {'peer at its defaults':<36}{'ms':>7}{'excess':>9}{'sv err':>9}   {'rnla under that':<16}{'ms':>7}"
    lines.append(f"{head}{'excess':>9}{'sv err':>9}{'ours/peer':>11}")
    for name, row in result["rows"].items():
        peer, mine = row["peer"], row["rnla"]
        line = f"  {TEXT[name]:<36}{1e3 * peer['seconds']:7.0f}{peer['excess']:9.0e}{peer['value']:9.0e}   "
        if mine is None:
            lines.append(line + "no rung of the ladder is as accurate")
            continue
        rung = f"q={row['rung']['power_iterations']}, p={row['rung']['oversampling']}"
        line += f"{rung:<16}{1e3 * mine['seconds']:7.0f}{mine['excess']:9.0e}{mine['value']:9.0e}{row['ratio']:11.2f}"
        lines.append(line)
    d = result["default"]
    lines.append(f"  rnla.svd(A, k): {1e3 * d['seconds']:.0f} ms, excess {d['excess']:.0e}, sv err {d['value']:.0e}")
    return "\n".join(lines)


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw the ratios as bars; under 1 rnla is faster."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(results), figsize=(4 * len(results), 3.2), squeeze=False, layout="constrained")
    for axis, (case, result) in zip(axes[0], results.items(), strict=True):
        names = [name for name, row in result["rows"].items() if row["ratio"] is not None]
        ratios = [result["rows"][name]["ratio"] for name in names]
        bars = axis.barh(names, ratios, color=["tab:blue" if r <= 1 else "tab:orange" for r in ratios])
        axis.bar_label(bars, fmt="%.2f", padding=2)
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set_xlim(0, 1.15 * max([1.0, *ratios]))
        axis.invert_yaxis()
        axis.set_title(f"{case}: time of rnla over the peer's,\nat the peer's error", fontsize=9)
    figure.savefig(path, dpi=120)


def main() -> None:
    from benchmarks.cases import CASES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small matrices: does it run")
    parser.add_argument("--case", action="append", choices=list(CASES), help="may be repeated; default all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"))
    parser.add_argument("--work", metavar="CONTENDER", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(given.case[0], given.work, given.quick)
        return
    results: dict[str, Any] = {}
    for case in given.case or CASES:
        results[case] = measure(case, given.quick, given.rounds)
        print(table(case, results[case]), flush=True)
    libraries = ("rnla", "numpy", "scipy", "scikit-learn", "torch")
    about = {
        "versions": {name: importlib.metadata.version(name) for name in libraries},
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": os.getloadavg() if hasattr(os, "getloadavg") else math.nan,
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "speed.json").write_text(json.dumps({"about": about, "results": results}, indent=1), encoding="utf-8")
    draw(results, given.out / "speed.png")
    print(f"{about}\nwritten to {given.out / 'speed.json'} and speed.png")


if __name__ == "__main__":
    main()
