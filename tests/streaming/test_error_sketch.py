"""The certificate of a stream: literal, unbiased, and right as often as it says."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import scipy.stats

import rnla
from rnla.error.probes import lower_share
from rnla.streaming.error_sketch import upper_share
from rnla.streaming.finishing import look
from rnla.testing.spectra import matrix

M, N = 50, 40


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("method", [rnla.SketchySVD(), rnla.HermitianSketch()])
def test_the_errors_of_all_ranks_are_those_of_the_definition(method: Any, dtype: Any) -> None:
    A = matrix("inverse", N, N, dtype=dtype, rng=1)
    A = A + A.conj().T
    run = rnla.stream(A.shape, 3, method=method, dtype=dtype, rng=2).update(A)
    found = look(run)
    over = "rows" if run.layout[-1].side == "corange" else "columns"
    Theta, E = run.sketches.whole_map("E", over), run.sketches["E"]
    for r in range(len(found.s) + 1):
        approximation = (found.u[:, :r] * found.s[:r]) @ found.vh[:r]
        B = approximation.conj().T if over == "rows" else approximation
        expected = np.linalg.norm(E - B @ Theta) / math.sqrt(10)
        assert found.measured.errors[r] == pytest.approx(expected, rel=1e-10)


def test_small_errors_do_not_cancel() -> None:
    """An error of 1e-13 of the norm is seen, though its square is far below eps."""
    A = matrix([1.0, 0.5] + [1e-13] * 20, M, N, rng=1)
    error = rnla.stream(A.shape, 2, rng=2).update(A).finish().error
    assert 1e-13 < error.value < 5e-12


def test_the_shares_hold_for_chi_square() -> None:
    """The worst case of the weighted sums has equal weights: a chi-square law, whose tails are known."""
    for columns in (1, 4, 10, 60):
        for failure in (1e-1, 1e-4, 1e-8):
            for is_complex in (False, True):
                degrees = columns * (2 if is_complex else 1)
                law = scipy.stats.chi2(degrees)
                low = lower_share(columns, failure, complex_columns=is_complex)
                high = upper_share(columns, failure, complex_columns=is_complex)
                assert law.cdf(low * degrees) <= failure
                assert law.sf(high * degrees) <= failure
                assert law.sf(high * degrees) > failure / 100  # and not much smaller than need be


@pytest.mark.statistical
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_bounds_fail_no_more_often_than_they_say(dtype: Any) -> None:
    """All of the answer's bounds together at a failure probability of 1/4, on a spectrum that is nearly one direction,
    where the weighted sum is closest to the chi-square law.  The alarm rate is under 2e-4,
    because the counts are binomial at the most.
    """
    runs, failure = 150, 0.25
    A = matrix([1.0, 0.3] + [1e-3] * 10, 20, 15, dtype=dtype, rng=3)
    norm, s = np.linalg.norm(A), np.linalg.svd(A, compute_uv=False)
    tails = np.sqrt(np.append(np.cumsum((s**2)[::-1])[::-1], 0.0)) / norm
    bounds = norms = scree = squares = 0.0
    for seed in range(runs):
        run = rnla.stream(A.shape, 1, error_columns=2, dtype=dtype, rng=seed).update(A)
        found = look(run)
        measured = dataclasses.replace(found.measured, failure=failure)
        true = float(np.linalg.norm(A - found.s[0] * np.outer(found.u[:, 0], found.vh[0])))
        bounds += true / norm > measured.estimate(1).upper
        norms += measured.least_norm() > norm
        squares += (measured.errors[1] / true) ** 2
        seen = measured.scree()
        head = slice(0, len(seen.upper))
        scree += not ((seen.lower <= tails[head] * (1 + 1e-9)) & (tails[head] <= seen.upper * (1 + 1e-9))).all()
    assert bounds <= scipy.stats.binom.ppf(1 - 3e-5, runs, failure)
    assert norms <= scipy.stats.binom.ppf(1 - 3e-5, runs, failure / 2)
    assert scree <= scipy.stats.binom.ppf(1 - 3e-5, runs, 1.5 * failure)
    # Unbiased: the mean of the squared ratios is 1, with variance at most 2 / (b q runs) each.
    spread = math.sqrt(2 / (2 * (2 if dtype == np.complex128 else 1) * runs))
    assert abs(squares / runs - 1) < 4.5 * spread


def test_more_error_columns_bring_the_bound_closer() -> None:
    A = matrix("inverse_root", M, N, rng=1)
    ratios = []
    for columns in (10, 30, 100):
        error = rnla.stream(A.shape, 3, error_columns=columns, rng=2).update(A).finish().error
        ratios.append(error.residual_upper / error.absolute)
        assert error.standard_error <= error.value * math.sqrt(1 / columns)
    assert ratios[0] < 4.8
    assert ratios[1] < 2.3
    assert ratios[2] < 1.5


def test_a_tolerance_pays_for_every_rank_it_looks_at() -> None:
    A = matrix("exponential", M, N, rng=1)
    run = rnla.stream(A.shape, 8, rng=2).update(A)
    asked = run.finish(8)
    searched = run.finish(8, tol=1e-3, on_failure="return")
    at = searched.rank
    assert searched.error.upper > run.finish(at).error.upper
    assert searched.error.failure_probability == asked.error.failure_probability == 1e-4


def test_the_scree_is_monotone_and_starts_at_the_whole() -> None:
    A = matrix("exponential", M, N, rng=1)
    scree = rnla.stream(A.shape, 8, error_columns=40, rng=2).update(A).scree()
    assert scree.lower[0] == scree.upper[0] == 1
    assert (np.diff(scree.upper) <= 0).all()
    assert (np.diff(scree.lower) <= 0).all()
    assert (scree.lower <= scree.upper).all()
    s = np.linalg.svd(A, compute_uv=False)
    assert scree.lower[2] <= np.linalg.norm(s[2:]) / np.linalg.norm(s) <= scree.upper[2]
    empty = rnla.stream(A.shape, 2, rng=0).scree()
    assert (empty.upper == 0).all()
