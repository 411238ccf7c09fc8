"""Products of sparse matrices with thin arrays, and their transposition: our kernels beside SciPy and torch's CSR.

    python -m benchmarks.sparse [--case sparse7] [--columns 16] [--rounds 5] [--threads 2] [--quick]

Cases are the sparse ones of the list.  "compiled" are the kernels as a long process has them, "plain" the same tasks
with SciPy's product in each, as without numba.  The adjoint product of SciPy scatters, ours reads the transposed copy,
whose making is the last row, and what it costs in products is said.  Every product is compared with SciPy's.
Times of whole SVDs at equal error: `python -m benchmarks.speed --case sparse7`.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import machine, timing
from benchmarks.cases import CASES
from rnla._kernels import compiled
from rnla._kernels.sparse_products import FAMILY, SparseRows, transposed

COLUMNS = (8, 16, 24, 48)
SPARSE = [name for name, case in CASES.items() if not case.dense]
SETTINGS = ("compiled", "plain") if importlib.util.find_spec("numba") else ("plain",)

Call = Callable[[], Any]


def ours(work: Callable[[], Any], setting: str, dtype: Any) -> Call:
    """Return a call of ours with a setting of the kernels."""

    def call() -> Any:
        with compiled.using(setting, [FAMILY], dtype):
            return work()

    return call


def as_torch(a: Any) -> Any:
    """Return torch's view of a matrix, None where it is not installed."""
    if not importlib.util.find_spec("torch"):
        return None
    import torch

    warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
    parts = (torch.from_numpy(np.asarray(each)) for each in (a.indptr, a.indices, a.data))
    return torch.sparse_csr_tensor(*parts, size=a.shape, check_invariants=False)


def products(a: Any, across: Any, columns: int, threads: int, rounds: int) -> dict[str, Any]:
    """Return the times of A X and of the adjoint product, and the largest difference from SciPy's."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((a.shape[1], columns)), rng.standard_normal((a.shape[0], columns))
    rows, back = SparseRows(a), SparseRows(across)
    calls: dict[str, Call] = {}
    for setting in SETTINGS:
        calls[f"A X, {setting}"] = ours(lambda: rows.multiply(x, threads), setting, a.dtype)
        calls[f"Aᴴ Y, {setting}"] = ours(lambda: back.multiply(y, threads), setting, a.dtype)
    calls |= {"A X, scipy": lambda: a @ x, "Aᴴ Y, scipy": lambda: a.T @ y}
    tensor = as_torch(a)
    if tensor is not None:
        import torch

        thin = torch.from_numpy(x)

        def by_torch() -> Any:
            return (tensor @ thin).numpy()

        calls["A X, torch"] = by_torch
    found = timing.interleave(calls, rounds)
    exact = {"A X": found.last["A X, scipy"], "Aᴴ Y": found.last["Aᴴ Y, scipy"]}
    errors = [float(np.max(np.abs(out - exact[name[: name.index(",")]]))) for name, out in found.last.items()]
    scale = max(float(np.max(np.abs(each))) for each in exact.values())
    flops = 2.0 * a.nnz * columns
    first = SETTINGS[0]
    result: dict[str, Any] = {
        "times": found.as_json(), "difference": max(errors) / scale,
        "gflops": {name: flops / found.median(name) / 1e9 for name in calls},
        "over scipy": {side: found.ratio(f"{side}, scipy", f"{side}, {first}") for side in exact},
        "over plain": {side: found.ratio(f"{side}, plain", f"{side}, {first}") for side in exact},
    }  # fmt: skip
    if tensor is not None:
        result["over torch"] = {"A X": found.ratio("A X, torch", f"A X, {first}")}
    return result


def transposition(a: Any, threads: int, rounds: int) -> dict[str, Any]:
    """Return the times of making the transposed copy; the copies are the same bits."""
    rows = SparseRows(a)
    calls = {setting: ours(lambda: transposed(rows, threads), setting, a.dtype) for setting in SETTINGS}
    found = timing.interleave({**calls, "scipy": a.T.tocsr}, rounds)
    exact = found.last["scipy"]
    same = all(
        np.array_equal(getattr(out, part), getattr(exact, part))
        for out in found.last.values()
        for part in ("indptr", "indices", "data")
    )
    return {"times": found.as_json(), "over scipy": found.ratio("scipy", SETTINGS[0]), "same bits": same}


def measure(name: str, columns: list[int], threads: int, rounds: int, small: bool) -> dict[str, Any]:
    """Return what was found for one case."""
    matrix = CASES[name].make(small, "", "float64", 4)
    a = SparseRows(matrix.A).matrix
    result: dict[str, Any] = {"shape": a.shape, "entries": int(a.nnz), "columns": {}}
    print(f"{name}: {a.shape[0]} x {a.shape[1]}, {a.nnz} entries, {threads} threads")
    result["transposed"] = transposition(a, threads, rounds)
    across = a.T.tocsr()
    for k in columns:
        found = result["columns"][k] = products(a, across, k, threads, rounds)
        for label, row in found["times"].items():
            print(f"  k={k:<4}{label:<18}{1e3 * row['seconds']:9.2f} ms{found['gflops'][label]:8.1f} Gflop/s")
        over = [f"{side} {ratio:.2f}x {peer}" for peer in ("over scipy", "over plain", "over torch")
                for side, ratio in found.get(peer, {}).items()]  # fmt: skip
        print(f"        {'; '.join(over)}; difference {found['difference']:.0e}", flush=True)
    for label, row in result["transposed"]["times"].items():
        print(f"  transposed copy, {label:<12}{1e3 * row['seconds']:9.2f} ms")
    first = result["columns"][columns[0]]
    saved = first["times"]["Aᴴ Y, scipy"]["seconds"] - first["times"][f"Aᴴ Y, {SETTINGS[0]}"]["seconds"]
    cost = result["transposed"]["times"][SETTINGS[0]]["seconds"]
    result["pays after"] = cost / saved if saved > 0 else None
    if saved > 0:
        print(f"  it has paid after {cost / saved:.1f} products of {columns[0]} columns", flush=True)
    return result


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = timing.arguments(__doc__)
    parser.add_argument("--case", action="append", choices=SPARSE)
    parser.add_argument("--columns", action="append", type=int)
    given = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    with machine.held_threads(None if given.threads >= machine.cpus() else given.threads):
        for name in given.case or (SPARSE[:1] if given.quick else SPARSE):
            columns = given.columns or list(COLUMNS[:2] if given.quick else COLUMNS)
            results[name] = measure(name, columns, given.threads, given.rounds, given.quick)
    print(f"written to {machine.save('sparse', results, given.out, given.threads)}")
    return results


if __name__ == "__main__":
    timing.tuned()
    main()
