"""The power scheme as it is first written down: the paper's Algorithm 4.3, and what float arithmetic takes from it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.rangefinder.protocols import Goal, Riders
from rnla.rng import Key
from rnla.testing import matrix, optimal_error
from tests.reference import halko2011

Array = np.ndarray[Any, Any]


def error_of(A: Array, part: Any, size: int, seed: int) -> float:
    Q = part.find(Ledger(as_operator(A)), Goal(size, min(A.shape)), Key(seed), Riders()).basis.astype(np.float64)
    B = A.astype(np.float64)
    return float(np.linalg.norm(B - Q @ (Q.T @ B), 2))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("q", [0, 1, 2])
@pytest.mark.parametrize("shape", [(60, 40), (40, 60)])
def test_the_basis_is_that_of_algorithm_4_3(shape: tuple[int, int], q: int, dtype: str) -> None:
    A = matrix("inverse_root", *shape, dtype=dtype, rng=1)
    basis = rnla.PowerIteration(q).find(Ledger(as_operator(A)), Goal(7, 40), Key(3), Riders()).basis
    omega = Key(3).child("test-matrix", 0).normals(0, shape[1], 7, dtype=dtype)
    theirs = halko2011.randomized_power_iteration(A, omega, q)
    # eps over the smallest relative singular value of the panel, above 7^-2.5 / 10 here.
    assert np.linalg.norm(basis - theirs @ (theirs.conj().T @ basis), 2) <= 1e-10


@pytest.mark.parametrize(("dtype", "q"), [("float64", 1), ("float64", 2), ("float64", 3), ("float32", 1)])
def test_what_lies_under_the_root_of_the_rounding_is_lost_and_algorithm_4_4_keeps_it(dtype: str, q: int) -> None:
    """Singular values run down to eps; 40 columns reach far below u^(1/(2q+1)), where the power scheme stops.

    The rounding of a panel of size 1 is at least u, and a direction of value s has s^(2q+1) in it.  So the error of
    the power scheme stays above u^(1/(2q+1)) / 30 (a tenth of the level for the largest of some dozen directions lost,
    a third for the part of them that is found), while Algorithm 4.4, which is one block of `BlockQB`, goes on to the
    optimum.  `SubspaceIteration` orthonormalizes after A^H only, so a step of one block goes on to the root of u.
    """
    A = matrix("graded", 80, 60, dtype=dtype, rng=1)
    s = np.linalg.svd(A.astype(np.float64), compute_uv=False)
    unit = float(np.finfo(dtype).eps) / 2
    best = optimal_error(s, 40, "spectral")
    lossy = error_of(A, rnla.PowerIteration(q), 40, 3)
    assert lossy >= unit ** (1 / (2 * q + 1)) / 30
    rounding = 100 * math.sqrt(80) * unit
    assert error_of(A, rnla.BlockQB(40, power_iterations=q), 40, 3) <= 10 * best + rounding < lossy / 3
    assert error_of(A, rnla.SubspaceIteration(q, space="column"), 40, 3) <= 10 * best + 30 * math.sqrt(unit)


@pytest.mark.statistical
@pytest.mark.parametrize("q", [0, 1])
@pytest.mark.parametrize("name", ["inverse", "inverse_root", "flat", "noise_1e-2"])
def test_corollary_10_10(name: str, q: int) -> None:
    """The mean over 30 seeds is under the bound for every split; alarm rate under 1e-11 (7 standard errors)."""
    A = matrix(name, 70, 50, rng=2)
    s = np.linalg.svd(A, compute_uv=False)
    size, v = 14, 2 * q + 1
    for part in (rnla.PowerIteration(q), rnla.SubspaceIteration(q, space="column")):
        errors = [error_of(A, part, size, seed) for seed in range(30)]
        mean = float(np.mean(errors)) - 7 * float(np.std(errors, ddof=1)) / math.sqrt(30)
        for k in range(2, size - 1):
            p = size - k
            tail = math.sqrt(float(np.sum(s[k:] ** (2 * v))))
            inner = (1 + math.sqrt(k / (p - 1))) * s[k] ** v + math.e * math.sqrt(size) / p * tail
            assert mean <= inner ** (1 / v) + 1e-13


def test_large_entries_do_not_overflow() -> None:
    A = 1e120 * matrix("inverse", 60, 40, rng=1)
    result = rnla.svd(A, 5, method=rnla.PowerIteration(3), rng=0)
    assert result.s[0] == pytest.approx(1e120, rel=1e-9)
