"""What is claimed with a probability is counted over many seeds.

The seeds are fixed, so a red run is red again.  The alarm rates say how often a right library would fail
for seeds at random; they add up to under 1e-6 for the file.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse.linalg
import scipy.stats

import rnla
from rnla.error.leave_one_out import leave_one_out
from rnla.error.probes import lower_share, probe_residual
from rnla.error.spectral import spectral_bound
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.rng import Key
from rnla.testing import matrix

Array = np.ndarray[Any, Any]
SEEDS = 200


def misses_allowed(trials: int, probability: float, alarm: float) -> int:
    """Return the count that a binomial variable exceeds with at most this probability."""
    return int(scipy.stats.binom.isf(alarm, trials, probability))


def true_error(A: Array, result: rnla.SVDResult, norm: str) -> float:
    order = None if norm == "fro" else 2
    return float(np.linalg.norm(A - (result.U * result.s) @ result.Vh, order) / np.linalg.norm(A, order))


def test_the_limits_are_those_of_the_binomial_distribution() -> None:
    assert misses_allowed(200, 0.01, 1.7e-7) == 12
    assert misses_allowed(1000, 0.01, 7e-7) == 28
    assert misses_allowed(200, 1e-4, 1e-7) == 3


@pytest.mark.statistical
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("name", ["one direction", "inverse"])
@pytest.mark.parametrize("failure", [0.5, 0.1, 1e-4])
def test_the_bound_from_probes_holds_as_often_as_it_says(failure: float, name: str, dtype: str) -> None:
    """False-alarm rate 1e-8 a case, 12 cases: misses above the binomial limit for 400 draws of the probes.

    A residual of one direction has the widest spread; half of the chances spent must show a few misses there.
    """
    A = matrix([1.0] if name == "one direction" else name, 50, 40, dtype=dtype, rng=1)
    X = np.zeros((40, 1), dtype=dtype)
    truth, misses, trials, columns = float(np.linalg.norm(A)), 0, 400, 4
    share = lower_share(columns, failure, complex_columns=dtype == "complex128")
    for seed in range(trials):
        probes = Key(seed).child("coverage").normals(0, 40, columns, dtype=dtype)
        value, _ = probe_residual(X, A @ X, probes, A @ probes)
        misses += value / math.sqrt(share) < truth
    assert misses <= misses_allowed(trials, failure, 1e-8)
    if failure == 0.5 and name == "one direction":
        assert misses > 0


@pytest.mark.statistical
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_probes_are_unbiased_with_the_spread_that_they_state(dtype: str) -> None:
    """False-alarm rate 2e-9: the mean square at 7 standard errors, the spread at its chi-square limit for 1e-9."""
    A = matrix("inverse", 50, 40, dtype=dtype, rng=1)
    X = np.linalg.svd(A)[2][:5].conj().T
    truth = float(np.linalg.norm(A - (A @ X) @ X.conj().T))
    squares, stated = [], []
    for seed in range(400):
        probes = Key(seed).child("coverage").normals(0, 40, 10, dtype=dtype)
        value, spread = probe_residual(X, A @ X, probes, A @ probes)
        squares.append(value**2)
        stated.append(spread)
    error = np.std(squares, ddof=1) / math.sqrt(len(squares))
    assert abs(np.mean(squares) - truth**2) <= 7 * error
    # The spread stated is that of the worst residual, of one direction: never too small.
    actual = float(np.std(np.sqrt(squares), ddof=1))
    assert actual <= np.mean(stated) * math.sqrt(scipy.stats.chi2.isf(1e-9, 399) / 399)


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["inverse", "inverse_root", "noise_1e-2", "step"])
def test_leave_one_out_is_unbiased(name: str) -> None:
    """False-alarm rate 3e-12 a case: the mean of the difference at 7 standard errors over 300 seeds.

    Its square is compared with the squared error of the basis from all columns but the last, the same draws.
    """
    A = matrix(name, 40, 30, rng=1)
    size, differences = 7, []
    for seed in range(300):
        omega = Key(seed).child("coverage").normals(0, 30, size)
        sketch = A @ omega
        X, R = np.linalg.qr(A.T @ sketch)
        estimate = leave_one_out(sketch, A @ X, X.T @ omega, [R])
        assert estimate is not None
        X_less = X[:, :-1]
        truth = float(np.linalg.norm(A - (A @ X_less) @ X_less.T))
        differences.append(estimate[0] ** 2 - truth**2)
    error = float(np.std(differences, ddof=1)) / math.sqrt(len(differences))
    assert abs(float(np.mean(differences))) <= 7 * error


@pytest.mark.statistical
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("name", ["one direction", "flat", "inverse", "clustered"])
def test_the_spectral_bound_holds_and_is_not_loose(name: str, dtype: str) -> None:
    """False-alarm rate under 2e-9 a case: a bound fails with probability 1e-6; one miss in 50 may pass, two may not.

    Two misses in 50 have probability 50 * 49 / 2 * 1e-12, 1.2e-9; 8 cases.
    """
    A = matrix([1.0] if name == "one direction" else name, 50, 40, dtype=dtype, rng=1)
    X = np.zeros((40, 1), dtype=dtype)
    ratios = [spectral_bound(Ledger(as_operator(A)), X, A @ X, Key(seed))[0] for seed in range(50)]
    assert sum(ratio < 1 for ratio in ratios) <= 1
    # The fifth root of 10 sqrt(2/pi) times the largest of a few normals' lengths.
    assert np.median(ratios) <= 3


@pytest.mark.statistical
@pytest.mark.parametrize("kind", ["array below the floor", "operator"])
@pytest.mark.parametrize("name", ["exponential", "inverse_square"])
def test_the_bound_of_a_whole_call_holds(name: str, kind: str) -> None:
    """False-alarm rate 1e-8 a case, 4 cases: `error.upper` fails with the probability that it states."""
    A = matrix(name, 60, 45, rng=1) if kind == "operator" else matrix(0.3 ** np.arange(45), 60, 45, rng=1)
    form: Any = scipy.sparse.linalg.aslinearoperator(A) if kind == "operator" else A
    tol = 0.05 if kind == "operator" else 1e-8
    misses, loosest, stated = 0, 0.0, 0.0
    for seed in range(SEEDS):
        result = rnla.svd(form, tol=tol, method=rnla.Adaptive(block_size=4, power_iterations=0), rng=seed)
        error, truth = result.error, true_error(A, result, "fro")
        assert error.upper <= tol
        misses += truth > error.upper
        stated = max(stated, error.failure_probability)
        loosest = max(loosest, error.upper / truth)
    assert 0 < stated <= 0.01
    assert misses <= misses_allowed(SEEDS, stated, 1e-8)
    assert loosest <= 10


@pytest.mark.statistical
@pytest.mark.parametrize("norm", ["fro", "spectral"])
@pytest.mark.parametrize("name", ["inverse", "clustered"])
def test_a_tolerance_is_met_for_every_seed(name: str, norm: str) -> None:
    """False-alarm rate under 1e-8 a case: an exact certificate never fails, a bound with 1e-6 a seed; one may."""
    A = matrix(name, 60, 45, rng=1)
    misses = 0
    for seed in range(60):
        result = rnla.svd(A, tol=0.1, norm=norm, method=rnla.Adaptive(block_size=5, power_iterations=0), rng=seed)
        misses += true_error(A, result, norm) > 0.1
    assert misses <= (0 if norm == "fro" else 1)


@pytest.mark.statistical
def test_the_standard_error_of_leave_one_out_is_of_the_right_size() -> None:
    """False-alarm rate under 1e-9: at most 60 of 200 seeds off by more than three stated standard errors (measured: 5).

    Leave-one-out terms depend on each other a little, so the spread is stated as estimated and not bounded.
    """
    A = matrix("inverse_root", 80, 60, rng=1)
    form, off = scipy.sparse.linalg.aslinearoperator(A), 0
    for seed in range(SEEDS):
        method = rnla.SubspaceIteration(power_iterations=0, oversampling=0)
        result = rnla.svd(form, 12, method=method, rng=seed)
        assert result.error.method == "leave-one-out"
        off += abs(result.error.value - true_error(A, result, "fro")) > 3 * result.error.standard_error + 1e-3
    assert off <= 60
