"""The adaptive range finder against the paper: Algorithm 4.2 vector by vector, and its bound (4.3)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats

import rnla
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.rangefinder.protocols import Goal, Riders
from rnla.results import RangeBasis
from rnla.rng import Key
from rnla.testing import matrix
from tests.reference import halko2011

Array = np.ndarray[Any, Any]
REAL_FACTOR = 10 * math.sqrt(2 / math.pi)


def search(A: Array, eps: float, seed: int, **options: Any) -> RangeBasis:
    """Run the paper's loop: until the method's own bound is at most eps."""

    def reached(basis: RangeBasis) -> int:
        assert basis.bound is not None
        return 0 if basis.bound <= eps else 1

    part = rnla.AdaptiveSampling(**options)
    return part.find(Ledger(as_operator(A)), Goal(None, min(A.shape), reached), Key(seed), Riders())


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("shape", [(60, 40), (40, 60)])
@pytest.mark.parametrize(("block_size", "probes"), [(1, 10), (1, 1), (4, 10), (7, 3)])
def test_the_basis_is_that_of_algorithm_4_2(block_size: int, probes: int, shape: tuple[int, int], dtype: str) -> None:
    """The same samples give the same space, the same stop to within a block, and for blocks of one the same bound."""
    A = matrix("exponential", *shape, dtype=dtype, rng=1)
    eps = 0.9**18 * REAL_FACTOR
    factor = 10.0 if dtype == "complex128" else REAL_FACTOR
    ours = search(A, eps * factor / REAL_FACTOR, 3, block_size=block_size, probes=probes)
    samples = Key(3).child("test-matrix").normals(0, shape[1], 60, dtype=dtype)
    Q, bound = halko2011.adaptive_randomized_range_finder(A, samples, probes, eps / REAL_FACTOR)
    count = Q.shape[1]
    assert 5 < count < 40
    first = ours.basis[:, :count]
    if block_size == 1:
        assert ours.size == count
        assert ours.bound is not None
        assert ours.bound / factor == pytest.approx(bound / REAL_FACTOR, rel=1e-8)
    assert ours.size == min(40, -(-count // block_size) * block_size)
    # Rounding over the smallest relative residual that a column was divided by, about 0.1.
    assert np.linalg.norm(first - Q @ (Q.conj().T @ first), 2) <= 1e-11


def test_more_of_it_later_is_the_same_as_at_once() -> None:
    A = matrix("inverse", 70, 50, rng=1)
    part, op = rnla.AdaptiveSampling(block_size=6, probes=4), Ledger(as_operator(A))
    start = part.find(op, Goal(12, 50), Key(5), Riders())
    later = part.find(op, Goal(30, 50), Key(5), Riders(), start)
    once = part.find(Ledger(as_operator(A)), Goal(30, 50), Key(5), Riders())
    assert np.array_equal(later.basis, once.basis)
    assert later.bound == once.bound
    assert op.counts.forward == 30 + 4
    assert op.counts.backward == 30
    forgotten = part.find(op, Goal(30, 50), Key(5), Riders(), rnla.SubspaceIteration(space="column").find(
        op, Goal(12, 50), Key(5), Riders()
    ))  # fmt: skip
    assert forgotten.size == 30
    assert forgotten.bound is not None


# ------------------------------------------------------------------------------------------------- the bound (4.3)
@pytest.mark.statistical
def test_the_bound_covers_as_often_as_it_says() -> None:
    """What is left has rank one, the worst case: two probes fail with probability 1e-2, nearly.

    In 1000 trials more failures than a binomial variable of 1e-2 exceeds with probability 1e-6, or none at all (4e-5
    at the true rate), are an alarm: 5e-5 in all.
    """
    A = matrix([1.0] * 8 + [1e-3], 20, 16, rng=1)
    part = rnla.AdaptiveSampling(probes=2, block_size=8)
    failures = 0
    for seed in range(1000):
        basis = part.find(Ledger(as_operator(A)), Goal(8, 16), Key(seed), Riders())
        error = float(np.linalg.norm(A - basis.basis @ (basis.basis.T @ A), 2))
        assert basis.bound_failure == pytest.approx(1e-2)
        failures += error > basis.bound
    assert 0 < failures <= scipy.stats.binom.isf(1e-6, 1000, 1e-2)


@pytest.mark.statistical
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_a_search_meets_its_tolerance_as_often_as_it_says(dtype: str) -> None:
    """At most min(m, n) 10^-r of all searches end too early: 60 searches, r = 2, alarm rate 1e-6.

    The bound is also no more than 60 times the error in any of them: ten is the factor, six what is left.
    """
    A = matrix("exponential", 24, 18, dtype=dtype, rng=1)
    early, ratios = 0, []
    for seed in range(60):
        basis = search(A, 2.0, seed, probes=2, block_size=1)
        error = float(np.linalg.norm(A - basis.basis @ (basis.basis.conj().T @ A), 2))
        early += error > 2.0
        ratios.append((basis.bound or 0.0) / error)
    assert early <= scipy.stats.binom.isf(1e-6, 60, 0.18)
    assert np.median(ratios) >= 1
    assert np.median(ratios) <= 60


# ------------------------------------------------------------------------------------------------ where it must end
def test_a_zero_matrix_ends_at_once() -> None:
    basis = search(np.zeros((30, 20)), 1e-3, 0)
    assert basis.bound == 0
    assert basis.size == 10
    assert rnla.svd(np.zeros((30, 20)), tol=1e-3, method=rnla.AdaptiveSampling(), rng=0).error.value == 0


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_an_exact_rank_ends_at_the_rounding_floor(dtype: str) -> None:
    """The bound can never meet a tolerance below rounding, and no columns are wasted on it."""
    A = matrix(np.linspace(1, 0.5, 7), 80, 60, dtype=dtype, rng=1)
    basis = search(A, 0.0, 0, block_size=4)
    eps = float(np.finfo(dtype).eps)
    assert basis.size in {8, 12}
    assert basis.bound is not None
    assert basis.bound <= 100 * eps * 80
    assert "nothing more to find" in basis.notes[-1]
    X = basis.basis.astype(np.complex128)
    assert np.linalg.norm(X.conj().T @ X - np.eye(basis.size)) <= 30 * eps * math.sqrt(basis.size)


def test_a_flat_spectrum_runs_to_the_end() -> None:
    basis = search(matrix("flat", 40, 30, rng=1), 0.5, 0, block_size=8)
    assert basis.size == 30
    assert basis.bound is not None
    assert basis.bound <= 1e-10


def test_the_bound_stands_in_the_report() -> None:
    A = 2.0**600 * matrix("exponential", 80, 60, rng=1)
    result = rnla.svd(A, 10, norm="spectral", method=rnla.AdaptiveSampling(), rng=0)
    assert result.resume is not None
    notes = [note for note in result.report.notes if "own bound" in note]
    assert len(notes) == 1
    said = float(notes[0].split(" is ")[1].split(",")[0])
    assert said == pytest.approx(math.ldexp(result.resume.basis.bound, result.resume.exponent), rel=1e-2)
    assert "1e-10" in notes[0] or "2e-10" in notes[0]
