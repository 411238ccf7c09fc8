"""The certificates of whole calls, on the twelve spectra, against the true error: few draws, and two hundred.

`benchmarks/honesty.py` has the certificates and the spectra, and writes the tables of docs/concepts/honesty.md.  The
seeds are fixed, so a red run is red again; the alarm rates say how often a right library would fail for others.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats

import rnla
from benchmarks.honesty import CERTIFICATES, NOTHING, Draw, measured
from rnla.rng import Key
from rnla.testing import SPECTRA, matrix, optimal_rank, spectrum

FEW, MANY = range(6), range(200)
ESTIMATED = [name for name in CERTIFICATES if name.startswith("leave-one-out")]
EXACT = "the Frobenius identity, array"
BOUNDED = [name for name in CERTIFICATES if name not in {*ESTIMATED, EXACT}]
FAST = [name for name in BOUNDED if name != "norm_estimate, nuclear"]


def limit(trials: int, probability: float, alarm: float) -> int:
    """Return the count that a binomial variable exceeds with at most this probability."""
    return int(scipy.stats.binom.isf(alarm, trials, probability))


def check_bounds(draws: list[Draw]) -> None:
    """Hold the misses to the failure probability that is stated; alarm rate 1e-8."""
    stated = max(each.failure for each in draws)
    assert 0 <= stated <= 0.011
    assert all(each.upper == each.upper for each in draws)  # a bound is claimed each time
    misses = sum(each.missed for each in draws)
    assert misses <= (limit(len(draws), stated, 1e-8) if stated else 0)


def check_unbiased(draws: list[Draw]) -> None:
    """Hold the mean of the squares to at least the true mean, less seven standard errors: alarm rate 2e-12.

    The estimate speaks of one column less, whose error is not smaller; so only one side is promised.
    """
    gaps = np.array([each.estimate**2 - each.true**2 for each in draws if each.true > NOTHING])
    if len(gaps):
        assert gaps.mean() >= -7 * gaps.std(ddof=1) / math.sqrt(len(gaps))


def check_exact(draws: list[Draw]) -> None:
    """Hold an exact certificate to the true error: the squares to 16 eps, and no miss."""
    assert all(abs(each.estimate**2 - each.true**2) <= 16 * np.finfo(float).eps + NOTHING**2 for each in draws)
    assert not any(each.missed for each in draws)
    assert all(each.failure == 0 or each.true < 1e-6 for each in draws)


@pytest.mark.statistical
@pytest.mark.parametrize("certificate", FAST)
def test_bounds_hold_as_often_as_they_say(certificate: str) -> None:
    """False-alarm rate 1e-8 a certificate: the misses of 72 draws over the twelve spectra at the binomial limit."""
    check_bounds([draw for name in SPECTRA for draw in measured(certificate, name, FEW)])


@pytest.mark.statistical
@pytest.mark.parametrize("certificate", ESTIMATED)
def test_estimates_are_not_too_low_on_average(certificate: str) -> None:
    """False-alarm rate 1e-6 a spectrum: the mean of 24 draws is at least the truth, less 7 standard errors."""
    for name in ("inverse", "inverse_root", "noise_1e-2", "clustered"):
        check_unbiased(measured(certificate, name, range(24)))


@pytest.mark.parametrize("name", SPECTRA)
def test_exact_certificates_are_exact(name: str) -> None:
    check_exact(measured(EXACT, name, FEW))


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("certificate", CERTIFICATES)
def test_two_hundred_seeds_of_every_spectrum(certificate: str, name: str) -> None:
    """False-alarm rate 1e-8 a case, 144 cases: as the small tests above."""
    draws = measured(certificate, name, MANY)
    if certificate in ESTIMATED:
        check_unbiased(draws)
    elif certificate == EXACT:
        check_exact(draws)
    else:
        check_bounds(draws)


SLOW_DECAY = {"inverse_root", "flat"}
_SIZES = (60, 45)


def check_tolerances(name: str, draws: int) -> None:
    """Hold every draw to its tolerance, without exception, and the rank to what the design promises."""
    A = matrix(name, *_SIZES, rng=2)
    values = spectrum(name, min(_SIZES))
    whole = float(np.linalg.norm(A))
    asked = 10.0 ** -(0.3 + 2.2 * np.abs(np.modf(Key(3).child(name).normals(0, draws, 1)[:, 0])[0]))
    for seed, tol in enumerate(asked.tolist()):
        result = rnla.svd(A, tol=tol, method=rnla.Adaptive(block_size=6), rng=seed)
        true = float(np.linalg.norm(A - (result.U * result.s) @ result.Vh))
        assert true <= tol * whole * (1 + 1e-12)
        assert true <= result.error.upper * whole + 1e-14
        best = optimal_rank(values, tol * (1 - 50 * np.finfo(float).eps))
        allowed = 1.15 * best if name in SLOW_DECAY else max(best + 2, 1.05 * best)
        assert result.rank <= math.ceil(allowed), (name, seed, tol)


@pytest.mark.parametrize("name", SPECTRA)
def test_a_tolerance_is_met_in_every_draw(name: str) -> None:
    check_tolerances(name, 16)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECTRA)
def test_a_tolerance_is_met_in_each_of_a_thousand_draws(name: str) -> None:
    check_tolerances(name, 84)


def test_a_draw_that_misses_is_seen() -> None:
    """The counting itself: a bound below the truth is a miss, one without a number is none."""
    assert Draw(1.0, 0.0, 0.9, 0.01, 1.0).missed
    assert Draw(1.0, 1.1, 1.2, 0.01, 1.0).missed
    assert not Draw(1.0, 0.0, math.nan, math.nan, 1.0).missed
    liar: list[Any] = [Draw(1.0, 0.0, 0.9, 1e-4, 1.0)] * 20
    with pytest.raises(AssertionError):
        check_bounds(liar)
