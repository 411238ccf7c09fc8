"""What the kernels of Hermitian matrices buy in their places: narrow products by halves, and the look for symmetry.

    python -m benchmarks.symmetric [--rounds 5] [--threads 2] [--quick]

4000 x 4000, 16 columns.  Each is beside what it replaces: the compiled product that reads the whole matrix and the
plain twins; and the norm alone, which the look finds on its way.  Ratios are times over those of the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import machine, timing
from benchmarks.cases import symmetric

Call = Callable[[], Any]


def measure(rounds: int, small: bool) -> dict[str, Any]:
    """Return what the kernels of Hermitian matrices take, and how much longer what they replace does."""
    import rnla
    from rnla._kernels import compiled, products, symmetric_products
    from rnla.operators import hermitian
    from rnla.operators.ledger import Ledger

    a = symmetric(240 if small else 4000, "slow").A
    x = np.random.default_rng(0).standard_normal((len(a), 16))
    rows = symmetric_products.SymmetricRows(a, a.dtype)

    def under(setting: str, call: Call) -> Call:
        def run() -> Any:
            families = ("products", symmetric_products.FAMILY)
            with rnla.config_context(kernels=setting), compiled.using(setting, families, a.dtype):
                return call()

        return run

    def threads() -> int:
        return rnla.get_config().threads

    calls = {
        "A X, 16 columns, by halves": under("compiled", lambda: rows.product(x, threads())),
        "A X, 16 columns": under("compiled", lambda: products.product(a, x, a.dtype, threads())),
        "A X, 16 columns, plain": under("plain", lambda: rows.product(x, threads())),
        "symmetry and norm": under("compiled", lambda: hermitian.hermitian_ledger(a)),
        "norm alone": under("compiled", lambda: Ledger(hermitian.as_hermitian(a)).measure()),
        "symmetry and norm, plain": under("plain", lambda: hermitian.hermitian_ledger(a)),
    }
    found = timing.interleave(calls, rounds)
    halves, look = "A X, 16 columns, by halves", "symmetry and norm"
    shown = {
        name: {"seconds": found.median(name), "ratio": found.ratio(name, halves if name.startswith("A X") else look)}
        for name in calls
    }
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
