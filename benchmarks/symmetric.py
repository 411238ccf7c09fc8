"""What the kernel of Hermitian matrices buys in its place: the look for symmetry, which finds the norm on its way.

    python -m benchmarks.symmetric [--rounds 5] [--threads 2] [--quick]

4000 x 4000, beside the plain twin and the norm alone.  Ratios are times over that of the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks import machine, timing
from benchmarks.cases import symmetric

Call = Callable[[], Any]


def measure(rounds: int, small: bool) -> dict[str, Any]:
    """Return what the kernel takes, and how much longer its twin does."""
    import rnla
    from rnla._kernels import compiled
    from rnla.operators import hermitian
    from rnla.operators.ledger import Ledger

    a = symmetric(240 if small else 4000, "slow").A

    def under(setting: str, call: Call) -> Call:
        def run() -> Any:
            families = (hermitian.FAMILY,)
            with rnla.config_context(kernels=setting), compiled.using(setting, families, a.dtype):
                return call()

        return run

    calls = {
        "symmetry and norm": under("compiled", lambda: hermitian.hermitian_ledger(a)),
        "norm alone": under("compiled", lambda: Ledger(hermitian.as_hermitian(a)).measure()),
        "symmetry and norm, plain": under("plain", lambda: hermitian.hermitian_ledger(a)),
    }
    found = timing.interleave(calls, rounds)
    shown = {name: {"seconds": found.median(name), "ratio": found.ratio(name, "symmetry and norm")} for name in calls}
    return {"rows": shown, "times": found.as_json()}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = timing.arguments(__doc__).parse_args(arguments)
    with machine.held_threads(None if given.threads >= machine.cpus() else given.threads):
        result = measure(given.rounds, given.quick)
    for name, row in result["rows"].items():
        print(f"  {name:<28}{1e3 * row['seconds']:8.2f} ms {row['ratio']:6.2f}x")
    print(f"written to {machine.save('symmetric', result, given.out, given.threads)}")
    return result


if __name__ == "__main__":
    timing.tuned()
    main()
