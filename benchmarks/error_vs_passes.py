"""Error against passes over the matrix and against products with it: our range finders and the peers.

    python -m benchmarks.error_vs_passes [--case square] [--spectrum slow] [--rank 50] [--quick]

No time is measured: this is what an algorithm makes of what it reads, whatever the machine.  A pass reads the whole
matrix once (A and its adjoint applied block by block in one sweep is one pass); products are columns multiplied.
Ours are counted by the library and told in the report; those of a peer by an operator that counts, where it
takes one, and else from what it documents: 2 n_iter + 2 passes of k + 10 columns for `randomized_svd` and
`torch.svd_lowrank`.  Errors as in `benchmarks.speed`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import machine, timing
from benchmarks.cases import CASES, SPECTRA, Matrix, judge

Point = dict[str, Any]


def finders(k: int, shape: tuple[int, int]) -> dict[str, list[Any]]:
    """Return our range finders, each at rising effort."""
    import rnla

    steps, most = range(9), min(shape) // 2
    found: dict[str, list[Any]] = {
        "SubspaceIteration": [rnla.SubspaceIteration(power_iterations=q, oversampling=10) for q in steps],
        "SubspaceIteration, half more columns": [
            rnla.SubspaceIteration(power_iterations=q, oversampling=k // 2) for q in steps
        ],
        "SketchedRange": [rnla.SketchedRange(oversampling=p) for p in (5, 10, k, 3 * k) if k + p < most],
    }
    for block in sorted({max(4, k // 4), max(6, k // 2), k + 10}):
        least = -(-(k + 1) // block)
        depths = [d for d in range(max(2, least), 13) if block * d < most]
        found[f"BlockKrylov, blocks of {block}"] = [rnla.BlockKrylov(block_size=block, depth=d) for d in depths]
    if min(shape) <= 1000:
        found["GramEigh"] = [rnla.GramEigh()]
    return found


def ours(matrix: Matrix, k: int) -> dict[str, list[Point]]:
    """Return the points of our range finders and of the default."""
    import rnla

    curves: dict[str, list[Point]] = {}
    for name, methods in {"rnla.svd(A, k)": [None], **finders(k, matrix.A.shape)}.items():
        curves[name] = []
        for method in methods:
            result = rnla.svd(matrix.A, k, method=method, rng=0)
            excess, value = judge(matrix, k, *result)
            counts = {"passes": result.report.passes, "products": result.report.products}
            curves[name].append({**counts, "excess": excess, "value": value})
    return curves


def peers(matrix: Matrix, k: int) -> dict[str, list[Point]]:
    """Return the points of the peers that are installed."""
    from benchmarks.contenders import CALLS

    curves: dict[str, list[Point]] = {}
    steps = (0, 1, 2, 3, 5, 7)
    for name, knob in (("sklearn", "n_iter"), ("torch", "niter")):
        if importlib.util.find_spec(name) is None:
            continue
        curves[name] = []
        for q in steps:
            excess, value = judge(matrix, k, *CALLS[name](matrix.A, k, **{knob: q}))
            passes = 2 * q + 2
            curves[name].append({"passes": passes, "products": passes * (k + 10), "excess": excess, "value": value})
    for solver in ("arpack", "propack"):
        point, count = counted(matrix.A, lambda op, solver=solver: CALLS[solver](op, k))
        excess, value = judge(matrix, k, *point)
        curves[solver] = [{"passes": count, "products": count, "excess": excess, "value": value}]
    return curves


def counted(a: Any, call: Callable[[Any], Any]) -> tuple[Any, int]:
    """Return what a call gives for an operator, and how many columns it multiplied."""
    from scipy.sparse.linalg import LinearOperator

    columns = 0

    def times(b: Any, x: Any) -> Any:
        nonlocal columns
        columns += 1 if x.ndim == 1 else x.shape[1]
        return b @ x

    operator = LinearOperator(
        a.shape, matvec=lambda x: times(a, x), rmatvec=lambda x: times(a.conj().T, x),
        matmat=lambda x: times(a, x), rmatmat=lambda x: times(a.conj().T, x), dtype=a.dtype,
    )  # fmt: skip
    out = call(operator)
    return out, columns


def draw(name: str, curves: dict[str, list[Point]], path: Path) -> None:
    """Draw both errors against passes and products."""
    try:
        import matplotlib as mpl
    except ImportError:
        return
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10.5, 3.6), layout="constrained", sharey=True)
    for axis, key in zip(axes, ("passes", "products"), strict=True):
        for label, points in curves.items():
            known = sorted((point[key], max(point["value"], 1e-16)) for point in points)
            mark = "o-" if "BlockKrylov" in label else "s--" if "Subspace" in label else "x:"
            if known:
                axis.plot(*zip(*known, strict=True), mark, markersize=4, linewidth=1, label=label)
        axis.set_xlabel({"passes": "passes over A", "products": "columns multiplied"}[key])
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("worst relative error of a singular value")
    figure.legend(*axes[1].get_legend_handles_labels(), fontsize=7, loc="outside right upper")
    figure.suptitle(name, fontsize=10)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = timing.arguments(__doc__)
    parser.add_argument("--case", action="append", choices=list(CASES))
    parser.add_argument("--spectrum", action="append", choices=list(SPECTRA))
    parser.add_argument("--rank", type=int)
    given = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    for name in given.case or ["square"]:
        case = CASES[name]
        k = given.rank or (case.small_rank if given.quick else case.rank)
        for spectrum in (given.spectrum or (["slow"] if given.quick else list(SPECTRA))) if case.dense else ["slow"]:
            matrix = case.make(given.quick, spectrum, "float64", k)
            title = f"{case.text}{' ' + SPECTRA[spectrum][0] if case.dense else ''}, rank {k}"
            key = "-".join([name, *([spectrum] if case.dense else []), str(k)])
            curves = results[key] = {**ours(matrix, k), **peers(matrix, k)}
            given.out.mkdir(parents=True, exist_ok=True)
            draw(title, curves, given.out / f"error_vs_passes-{key}.png")
            print(f"{title}\n  {'':<40}{'passes':>8}{'products':>10}{'excess':>9}{'sv err':>9}")
            for label, points in curves.items():
                for p in points:
                    print(f"  {label:<40}{p['passes']:8d}{p['products']:10d}{p['excess']:9.0e}{p['value']:9.0e}")
    print(f"written to {machine.save('error_vs_passes', results, given.out, given.threads)}")
    return results


if __name__ == "__main__":
    main()
