"""Whether the certificates tell the truth: estimate over true error, and how often a bound fails, by spectrum.

    python -m benchmarks.honesty [--seeds 200] [--write docs/concepts/honesty.md]

Every row is a certificate on one of the twelve spectra (60 by 45, rank 6 from 8 columns, no power step, so that errors
are large and differ from draw to draw): the 5 %, 50 % and 95 % points of estimate / true error over the seeds, the
largest and smallest of bound / true error, and the misses of the bound.  The matrix is one, the draws are many: the
probability that a certificate states is over its own draws.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse.linalg

import rnla
from rnla.error.approximation import certify_approximation
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.rng import Key
from rnla.testing import SPECTRA, matrix

Array = np.ndarray[Any, Any]
ROWS, COLUMNS, RANK = 60, 45, 6
METHOD = rnla.SubspaceIteration(power_iterations=0, oversampling=2)
ONE_STEP = rnla.SubspaceIteration(power_iterations=1, oversampling=2)
NOTHING = 1e-13  # true errors below are rounding: a ratio to them means nothing


@dataclasses.dataclass(frozen=True)
class Draw:
    """What one draw claimed, and what was true: all relative to the norm of A."""

    estimate: float
    lower: float
    upper: float
    failure: float
    true: float

    @property
    def missed(self) -> bool:
        return not self.lower - NOTHING <= self.true <= self.upper + NOTHING if self.upper == self.upper else False


def operator(A: Array) -> Any:
    return scipy.sparse.linalg.aslinearoperator(A)


def _svd(form: Callable[[Array], Any], norm: str, **asked: Any) -> Callable[[Array, int], Draw]:
    order: Any = "fro" if norm == "fro" else 2

    def draw(A: Array, seed: int) -> Draw:
        result = rnla.svd(form(A), norm=norm, rng=seed, on_failure="return", **asked)
        true = float(np.linalg.norm(A - (result.U * result.s) @ result.Vh, order) / np.linalg.norm(A, order))
        error = result.error
        return Draw(error.value, 0.0, error.upper, error.failure_probability, true)

    return draw


def _probes(A: Array, seed: int) -> Draw:
    """Return what independent probes say of a rank-6 approximation, seen through products alone."""
    result = rnla.svd(A, RANK, method=METHOD, rng=seed)
    true = float(np.linalg.norm(A - (result.U * result.s) @ result.Vh) / np.linalg.norm(A))
    left, right = result.U * result.s, result.Vh.conj().T
    error = certify_approximation(Ledger(as_operator(operator(A))), left, right, "fro", Key(seed).child("honesty"))
    return Draw(error.value, 0.0, error.upper, error.failure_probability, true)


def _norm(norm: str) -> Callable[[Array, int], Draw]:
    order: Any = {"fro": "fro", "spectral": 2, "nuclear": "nuc"}[norm]
    copies = {"fro": 5**0.5, "spectral": 1.0, "nuclear": 5.0}[norm]

    def draw(A: Array, seed: int) -> Draw:
        large = np.kron(np.eye(5), A)  # the small matrix would be taken whole
        found = rnla.norm_estimate(operator(large), norm, rng=seed, tol=0.5 if norm == "fro" else None)
        true = copies * float(np.linalg.norm(A, order))  # every value five times
        return Draw(found.value / true, found.lower / true, found.upper / true, found.failure_probability, 1.0)

    return draw


def _value(which: int) -> Callable[[Array, int], Draw]:
    def draw(A: Array, seed: int) -> Draw:
        values, lower, upper = found = rnla.svdvals(operator(A), RANK, method=METHOD, rng=seed)
        s = np.linalg.svd(A, compute_uv=False)
        j = which
        return Draw(values[j] / s[0], lower[j] / s[0], upper[j] / s[0], found.failure_probability, s[j] / s[0])

    return draw


CERTIFICATES: dict[str, Callable[[Array, int], Draw]] = {
    "the Frobenius identity, array": _svd(np.asarray, "fro", rank=RANK, method=METHOD),
    "leave-one-out, operator": _svd(operator, "fro", rank=RANK, method=METHOD),
    "leave-one-out after a power step, operator": _svd(operator, "fro", rank=RANK, method=ONE_STEP),
    "independent probes, operator": _probes,
    "a tolerance of 0.2 by probes, operator": _svd(
        operator, "fro", tol=0.2, method=rnla.Adaptive(block_size=4, power_iterations=0)
    ),
    "powered probes, array": _svd(np.asarray, "spectral", rank=RANK, method=METHOD),
    "powered probes, operator": _svd(operator, "spectral", rank=RANK, method=METHOD),
    "norm_estimate, spectral": _norm("spectral"),
    "norm_estimate, fro": _norm("fro"),
    "norm_estimate, nuclear": _norm("nuclear"),
    "svdvals, the first value": _value(0),
    "svdvals, the sixth value": _value(RANK - 1),
}


def measured(certificate: str, name: str, seeds: range) -> list[Draw]:
    """Return what a certificate claimed on a spectrum, seed by seed."""
    A = matrix(name, ROWS, COLUMNS, rng=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rnla.RankWarning)
        return [CERTIFICATES[certificate](A, seed) for seed in seeds]


def row(certificate: str, name: str, seeds: range) -> str:
    """Return one line of the table."""
    draws = measured(certificate, name, seeds)
    real = [each for each in draws if each.true > NOTHING]
    misses = sum(each.missed for each in draws)
    if not real:
        return f"| {name} | rounding | | | | {misses} of {len(draws)} |"
    ratio = np.array([each.estimate / each.true for each in real])
    low, middle, high = np.quantile(ratio, [0.05, 0.5, 0.95])
    bound = np.array([each.upper / each.true for each in real])
    bounds = "none" if np.isnan(bound).any() else f"{bound.min():.4g} to {bound.max():.4g}"
    claimed = "none claimed" if np.isnan(bound).any() else f"{misses} of {len(draws)}"
    return f"| {name} | {low:.4g} | {middle:.4g} | {high:.4g} | {bounds} | {claimed} |"


def tables(seeds: range) -> str:
    """Return the tables of all certificates."""
    parts = []
    for certificate in CERTIFICATES:
        parts += [
            f"### {certificate[:1].upper() + certificate[1:] if '_' not in certificate else certificate}",
            "",
            "| spectrum | 5 % | median | 95 % | bound / true | misses |",
            "| --- | --- | --- | --- | --- | --- |",
            *(row(certificate, name, seeds) for name in SPECTRA),
            "",
        ]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--write", type=Path, help="a page whose tables, between two marks, are replaced")
    chosen = parser.parse_args()
    text = tables(range(chosen.seeds))
    if chosen.write is None:
        print(text)
        return
    page = chosen.write.read_text(encoding="utf-8")
    marks = re.compile(r"(<!-- tables: begin -->\n).*(<!-- tables: end -->)", re.DOTALL)
    new = marks.sub(lambda found: f"{found[1]}\nOver {chosen.seeds} seeds each.\n\n{text}\n{found[2]}", page)
    chosen.write.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
