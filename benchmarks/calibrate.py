"""Measure the rates that the planner orders the methods by.

    python -m benchmarks.calibrate [--quick] [--page docs/design/cost-model.md]

The rates are constants of `rnla.cost_model`, measured by us and never at run time.  This script measures
each on the machine at hand, with the library's own kernels and pool, prints it beside the constant,
and with --page writes the table into the page between its two marks.  Medians of five.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.sparse

import rnla
from rnla import cost_model
from rnla._kernels.products import adjoint_product, product
from rnla._xp.linalg import eigh
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.orth import CholeskyQR2
from rnla.rangefinder.protocols import Goal, Riders
from rnla.rng import Key
from rnla.working import FAMILIES, working

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


def seconds(call: Callable[[], object], runs: int = 5) -> float:
    """Return the median time of a call, after one that loads and warms up."""
    call()
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def measure(small: bool) -> dict[str, tuple[str, float]]:
    """Return, for each constant of the planner, what was measured and the rate in its unit."""
    rng = np.random.default_rng(0)
    shrink = 4 if small else 1
    n, k = 4000 // shrink, 64
    threads = rnla.get_config().threads
    a, x = rng.standard_normal((n, n)), rng.standard_normal((n, k))
    out: dict[str, tuple[str, float]] = {}
    with rnla.config_context(kernels="compiled"), working(np, a.dtype, families=(*FAMILIES, "sparse")):
        took = seconds(lambda: (product(a, x, a.dtype, threads), adjoint_product(a, x, a.dtype, threads)))
        out["_PRODUCT"] = (f"A X and the adjoint product, {n} x {n}, {k} columns", 4 * n * n * k / took)
        panel = rng.standard_normal((20 * n, k))
        took = seconds(lambda: CholeskyQR2().factor(panel))
        out["_PANEL"] = (f"CholeskyQR2 of {20 * n} x {k}, 8 p k^2 flops", 8 * panel.shape[0] * k**2 / took)
        size = 1000 // shrink
        square = rng.standard_normal((size, size))
        took = seconds(lambda: eigh(square @ square.T))
        out["_EIGH"] = (f"eigh of {size} x {size}, 9 n^3 flops", 9 * size**3 / took)
        tall = Ledger(as_operator(rng.standard_normal((50_000 // shrink, 400 // shrink))))
        m, short = tall.shape
        goal = Goal(20, 20)
        took = seconds(lambda: rnla.TallQR().find(tall, goal, Key(0), Riders()))
        rest = (
            26 * short**2 * (short + cost_model._SVD_HALF) / cost_model._SVD + 2 * m * short * 20 / cost_model._PRODUCT
        )
        rate = 2 * m * short**2 / max(took - rest, 1e-9)
        out["_TALL_QR"] = (f"triangle of {m} x {short} by row blocks, 2 m n^2 flops", rate)
        matrix = scipy.sparse.random_array((20 * n, 5 * n), density=10 / (5 * n), rng=rng, format="csr")
        view, thin = as_operator(matrix), rng.standard_normal((5 * n, k))
        back = view.matmat(thin)
        took = seconds(lambda: (view.matmat(thin), view.rmatmat(back)))
        out["_SPARSE"] = (f"both products of a sparse matrix with {matrix.nnz} entries", 4 * matrix.nnz * k / took)
        took = seconds(lambda: Key(0).normals(0, 5 * n, k))
        out["_NORMALS"] = ("standard normals", 5 * n * k / took)
        tiny, part = rng.standard_normal((60, 40)), rnla.SubspaceIteration()
        took = seconds(lambda: rnla.svd(tiny, 5, method=part, rng=0), runs=21)
        out["_CALL"] = ("a whole SVD of 60 x 40, over its 12 steps", took / 12)
        # rate = _SVD n / (n + _SVD_HALF): n / rate is a line in n, drawn through two sizes.
        sizes, over = (200, 1600 // shrink), []
        for size in sizes:
            whole = rng.standard_normal((size, size))
            took = seconds(lambda whole=whole: np.linalg.svd(whole, full_matrices=False), runs=3)
            over.append(size * took / (26 * size**3))
        slope = (over[1] - over[0]) / (sizes[1] - sizes[0])
        text = f"LAPACK's SVD at {sizes[0]} and {sizes[1]} rows, 26 n^3 flops"
        out["_SVD"] = (f"{text}: for large n", 1 / slope)
        out["_SVD_HALF"] = (f"{text}: rows at half that rate", over[0] / slope - sizes[0])
    return out


def table(measured: dict[str, tuple[str, float]]) -> str:
    """Return the table in the page's form."""
    units = {"_NORMALS": ("numbers/s", 1e6, "M"), "_CALL": ("s", 1e-6, "µ"), "_SVD_HALF": ("rows", 1, "")}
    lines = ["| constant | what was timed | measured | in the planner |", "| --- | --- | --- | --- |"]
    for name in sorted(measured):
        text, rate = measured[name]
        unit, scale, prefix = units.get(name, ("flop/s", 1e9, "G"))
        constant = getattr(cost_model, name, float("nan"))
        cells = (f"`{name}`", text, f"{rate / scale:.3g} {prefix}{unit}", f"{constant / scale:.3g} {prefix}{unit}")
        lines.append("| " + " | ".join(cells) + " |")
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    lines += ["", f"{platform.machine()}, {cpus} cores, NumPy {np.__version__}, double precision, medians of five."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    text = table(measure(given.quick))
    print(text)
    if given.page:
        page = given.page.read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        _, after = rest.split(END)
        given.page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
