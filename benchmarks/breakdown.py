"""Where the time of a call goes, stage by stage, measured by wrapping the library's own functions.

    python -m benchmarks.breakdown [--case square] [--spectrum slow] [--rank 50] [--dtype float64]
                                   [--method block_krylov --block-size 24 --depth 6] [--kernels plain] [--threads 2]

Each function of a stage is replaced, wherever the library refers to it, by one that keeps the time; time in a stage
that is called from another is counted once: products with A are products whoever asks for them, whatever
orthonormalization or the certificate call is theirs.  What no wrapper sees is the rest.  The floor is that of the
products (flops over peak, bytes over bandwidth, measured in the same run); shares are floor / time.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import inspect
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import machine, timing
from benchmarks.cases import CASES, DTYPES, SPECTRA, Case, Matrix

__all__ = ["Clock", "main", "measure", "watched"]

PRODUCTS, NORMS = "products with A", "norm and finiteness of A"
OWNERS = ("orthonormalization", "certificate")  # what these call, but for products, is theirs
STAGES = (PRODUCTS, NORMS, "test matrix", "orthonormalization", "small factorizations", "certificate", "planning")
REST = "rest"


class Clock:
    """Seconds of each stage, each second counted once."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self.calls = dict.fromkeys(STAGES, 0)
        self._stack: list[str] = []
        self._since = 0.0
        self._thread = threading.get_ident()

    def _settle(self) -> None:
        now = time.perf_counter()
        if self._stack:
            self.seconds[self._stack[-1]] += now - self._since
        self._since = now

    def within(self, stage: str, call: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """Make a call on the account of a stage."""
        inside = self._stack[-1] if self._stack else ""
        owned = inside in OWNERS and stage not in (PRODUCTS, NORMS)
        if threading.get_ident() != self._thread or owned or inside in (stage, PRODUCTS):
            return call(*given, **named)
        self._settle()
        self._stack.append(stage)
        self.calls[stage] += 1
        try:
            return call(*given, **named)
        finally:
            self._settle()
            self._stack.pop()


def _modules(package: str) -> list[Any]:
    return [m for name, m in sorted(sys.modules.items()) if m and (name == package or name.startswith(package + "."))]


def _functions(package: str) -> list[Any]:
    """Return the functions that the modules of a package define."""
    found = []
    for module in _modules(package):
        found += [
            f for f in vars(module).values()
            if inspect.isfunction(f) and f.__module__ == module.__name__ and not inspect.isgeneratorfunction(f)
        ]  # fmt: skip
    return found


def _classes(package: str) -> list[type]:
    found: dict[type, None] = {}
    for module in _modules(package):
        found |= {
            c: None for c in vars(module).values() if inspect.isclass(c) and c.__module__.startswith(package)
        }  # fmt: skip
    return list(found)


def _targets() -> tuple[list[tuple[Any, str]], list[tuple[type, str, str]]]:
    """Return functions with their stages, and methods (class, name, stage)."""
    from rnla import planner
    from rnla._xp import linalg
    from rnla.operators.ledger import Ledger
    from rnla.rng import Key

    functions = [(f, "orthonormalization") for f in _functions("rnla.orth")]
    functions += [(f, "certificate") for f in _functions("rnla.error")]
    functions += [(f, "planning") for f in _functions(planner.__name__)]
    small = ("qr", "svd", "eigh", "cholesky", "inverse")
    functions += [(getattr(linalg, name), "small factorizations") for name in small if hasattr(linalg, name)]
    methods: list[tuple[type, str, str]] = [
        (c, "factor", "orthonormalization") for c in _classes("rnla.orth") if "factor" in vars(c)
    ]
    for name, stage in {"matmat": PRODUCTS, "rmatmat": PRODUCTS, "normal_product": PRODUCTS, "apply": PRODUCTS,
                        "fold_blocks": PRODUCTS, "measure": NORMS}.items():  # fmt: skip
        methods += [(Ledger, name, stage)] if name in vars(Ledger) else []
    drawn = ("words", "normals", "signs", "distinct", "permutation", "uniforms")
    methods += [(Key, name, "test matrix") for name in drawn if name in vars(Key)]
    return functions, methods


@contextlib.contextmanager
def watched(clock: Clock) -> Iterator[None]:
    """Replace the functions of the stages, wherever the library refers to them, while the block runs."""

    def timed(call: Callable[..., Any], stage: str) -> Callable[..., Any]:
        @functools.wraps(call)
        def wrapper(*given: Any, **named: Any) -> Any:
            return clock.within(stage, call, *given, **named)

        return wrapper

    functions, methods = _targets()
    wrappers = {id(f): timed(f, stage) for f, stage in functions}
    undo: list[tuple[Any, str, Any]] = []
    for module in _modules("rnla"):
        for name, value in list(vars(module).items()):
            if inspect.isfunction(value) and id(value) in wrappers:
                undo.append((module, name, value))
                setattr(module, name, wrappers[id(value)])
    for cls, name, stage in methods:
        value = vars(cls)[name]
        if inspect.isfunction(value):
            undo.append((cls, name, value))
            setattr(cls, name, timed(value, stage))
    try:
        yield
    finally:
        for owner, name, value in undo:
            setattr(owner, name, value)


def measure(call: Callable[[], Any], rounds: int) -> dict[str, Any]:
    """Return the median seconds of each stage, of the whole, and of the whole without wrappers."""
    machine.raise_priority()
    call()  # loads what is loaded late, so that it is there to be wrapped
    machine.raise_priority()
    profiles: list[dict[str, float]] = []
    plain: list[float] = []
    counts: dict[str, int] = {}
    for _ in range(rounds):
        begun = time.perf_counter()
        out = call()
        plain.append(time.perf_counter() - begun)
        clock = Clock()
        with watched(clock):
            begun = time.perf_counter()
            out = call()
            whole = time.perf_counter() - begun
        rest = whole - sum(clock.seconds.values())
        profiles.append({**clock.seconds, REST: rest})
        counts = clock.calls
    stages = {name: statistics.median(p[name] for p in profiles) for name in (*STAGES, REST)}
    report = out.report
    return {
        "stages": stages, "calls": counts, "seconds": statistics.median(plain),
        "watched": statistics.median(sum(p.values()) for p in profiles),
        "products": report.products, "passes": report.passes, "kernels": str(getattr(report, "kernels", "plain")),
    }  # fmt: skip


def with_floor(found: dict[str, Any], matrix: Matrix, ceiling: machine.Ceilings) -> dict[str, Any]:
    """Add the floor of the products and both shares."""
    stored = getattr(matrix.A, "nnz", matrix.A.size)
    nbytes = getattr(matrix.A, "nbytes", None) or 12 * stored
    floor = ceiling.floor(2.0 * stored * found["products"], float(nbytes) * found["passes"])
    share = floor / found["stages"][PRODUCTS] if found["stages"][PRODUCTS] else 0.0
    ceilings = {"flops": ceiling.flops, "bandwidth": ceiling.bandwidth, "by": ceiling.by}
    return {**found, "floor": floor, "share": floor / found["seconds"], "product share": share, "ceilings": ceilings}


def table(name: str, found: dict[str, Any]) -> str:
    """Return the stages for a person."""
    total = sum(found["stages"].values())
    lines = [f"{name}: {found['products']} products in {found['passes']} passes, kernels {found['kernels']}"]
    for stage, seconds in found["stages"].items():
        calls = found["calls"].get(stage)
        count = "" if calls is None else f"{calls:7d} calls"
        lines.append(f"  {stage:<28}{1e3 * seconds:9.1f} ms{seconds / total:7.0%}{count}")
    over = found["watched"] / found["seconds"] - 1
    lines.append(f"  {'all':<28}{1e3 * found['seconds']:9.1f} ms without wrappers, which add {over:+.0%}")
    shares = f"{found['share']:.2f} of the call, {found['product share']:.2f} of the products"
    lines.append(f"  {'floor':<28}{1e3 * found['floor']:9.1f} ms: {shares}")
    return "\n".join(lines)


def asked(given: argparse.Namespace) -> tuple[Case, str, int, str]:
    case = CASES[given.case]
    rank = given.rank or (case.small_rank if given.quick else case.rank)
    return case, given.spectrum, rank, given.dtype


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    import rnla
    from rnla.rangefinder import RANGE_FINDERS

    parser = timing.arguments(__doc__)
    parser.add_argument("--case", default="square", choices=list(CASES))
    parser.add_argument("--spectrum", default="slow", choices=list(SPECTRA))
    parser.add_argument("--rank", type=int)
    parser.add_argument("--dtype", default="float64", choices=DTYPES)
    parser.add_argument("--method", choices=list(RANGE_FINDERS), help="default: what svd chooses")
    parser.add_argument("--block-size", type=int)
    parser.add_argument("--depth", type=int)
    parser.add_argument("--power-iterations", type=int)
    parser.add_argument("--kernels", help="RNLA_KERNELS: auto, compiled or plain")
    given = parser.parse_args(arguments)
    if given.kernels:
        os.environ["RNLA_KERNELS"] = given.kernels
    case, spectrum, rank, dtype = asked(given)
    knobs = {key: getattr(given, key) for key in ("block_size", "depth", "power_iterations")}
    knobs = {key: value for key, value in knobs.items() if value is not None}
    method = RANGE_FINDERS[given.method](**knobs) if given.method else None
    matrix = case.make(given.quick, spectrum, dtype, rank)
    ceiling = machine.ceilings(dtype, given.threads, given.quick)
    with machine.held_threads(None if given.threads >= machine.cpus() else given.threads):
        found = measure(lambda: rnla.svd(matrix.A, rank, method=method, rng=0), given.rounds)
    result = with_floor(found, matrix, ceiling)
    name = "-".join([case.name, spectrum, str(rank), dtype, *([given.method] if given.method else [])])
    print(table(f"{name}, {given.threads} threads", result))
    print(f"written to {machine.save(f'breakdown-{name}', result, given.out, given.threads)}")
    return result


if __name__ == "__main__":
    main()
