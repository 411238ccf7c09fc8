"""How far interpolative decompositions miss the tolerance they were asked for: SciPy's and ours.

    python -m benchmarks.interpolative_tolerance [--rows 400] [--columns 300] [--draws 20]

The matrix has the singular values 0.9^j, on which a tolerance decides the rank everywhere.  For every tolerance: the
median and the worst over the draws of error / (tolerance norm(A)), in the spectral norm, which is SciPy's; the ranks.
A number above 1 is a missed tolerance; ours raises where it would be one.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.linalg.interpolative

import rnla
from rnla.testing import matrix

Array = np.ndarray[Any, Any]
TOLERANCES = (1e-1, 1e-2, 1e-4, 1e-6, 1e-8)


@dataclasses.dataclass(frozen=True)
class Line:
    """What one method did for one tolerance, over the draws."""

    method: str
    tol: float
    ratios: tuple[float, ...]
    ranks: tuple[int, ...]

    def __str__(self) -> str:
        worst, middle = max(self.ratios), statistics.median(self.ratios)
        misses = sum(ratio > 1 for ratio in self.ratios)
        ranks = f"{min(self.ranks)} to {max(self.ranks)}"
        return (
            f"{self.method:<8} {self.tol:8.0e} {middle:9.3f} {worst:9.3f} {misses:4d} of {len(self.ratios):<4d} {ranks}"
        )


def by_scipy(A: Array, tol: float, seed: int) -> tuple[float, int]:
    """Return SciPy's error over the norm of A, and its rank; its eps is relative to the spectral norm."""
    k, idx, proj = scipy.linalg.interpolative.interp_decomp(A, tol, rng=np.random.default_rng(seed))
    skeleton = scipy.linalg.interpolative.reconstruct_skel_matrix(A, k, idx)
    made = scipy.linalg.interpolative.reconstruct_matrix_from_id(skeleton, idx, proj)
    return float(np.linalg.norm(A - made, 2) / np.linalg.norm(A, 2)), int(k)


def by_rnla(A: Array, tol: float, seed: int) -> tuple[float, int]:
    """Return our error over the norm of A, and our rank."""
    result = rnla.interpolative(A, tol=tol, norm="spectral", rng=seed)
    C, X = result
    return float(np.linalg.norm(A - C @ X, 2) / np.linalg.norm(A, 2)), result.rank


def measure(rows: int, columns: int, draws: int, tolerances: Sequence[float] = TOLERANCES) -> list[Line]:
    """Return a line for each method and tolerance."""
    A = matrix("exponential", rows, columns, rng=0)
    lines = []
    for tol in tolerances:
        for method, call in (("SciPy", by_scipy), ("rnla", by_rnla)):
            found = [call(A, tol, seed) for seed in range(draws)]
            lines.append(Line(method, tol, tuple(e / tol for e, _ in found), tuple(k for _, k in found)))
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--columns", type=int, default=300)
    parser.add_argument("--draws", type=int, default=20)
    asked = parser.parse_args()
    print(f"{asked.rows} x {asked.columns}, singular values 0.9^j; error / (tolerance norm(A)), spectral")
    print(f"{'':<8} {'tol':>8} {'median':>9} {'worst':>9}  missed     ranks")
    for line in measure(asked.rows, asked.columns, asked.draws):
        print(line)


if __name__ == "__main__":
    main()
