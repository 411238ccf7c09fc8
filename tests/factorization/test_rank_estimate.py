"""Ranks by tolerance, by energy and above noise, with the ranks between which they lie."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.sparse

import rnla
from rnla.factorization.noise_threshold import (
    hard_threshold,
    marchenko_pastur_median,
    noise_edge,
    tracy_widom_edge,
)
from rnla.rng import Key
from rnla.testing import SPECTRA, matrix

Array = np.ndarray[Any, Any]


def operator(A: Array) -> Any:
    return scipy.sparse.linalg.aslinearoperator(A)


@pytest.mark.parametrize("beta", [0.01, 0.1, 0.3, 0.5, 0.8, 1.0])
def test_the_median_is_that_of_the_law(beta: float) -> None:
    """The oracle integrates the density as it is written, adaptively."""
    low, high = (1 - math.sqrt(beta)) ** 2, (1 + math.sqrt(beta)) ** 2
    median = marchenko_pastur_median(beta)

    def density(t: float) -> float:
        return math.sqrt((high - t) * (t - low)) / (2 * math.pi * beta * t)

    assert low < median < high
    assert abs(scipy.integrate.quad(density, low, median, limit=200)[0] - 0.5) < 1e-7


def test_the_thresholds_of_the_paper() -> None:
    """Table and formulas of Gavish and Donoho: lambda(1) = 4/sqrt(3), and the cubic that is near omega to 0.02."""
    assert math.isclose(hard_threshold(1.0), 4 / math.sqrt(3), rel_tol=1e-14)
    assert math.isclose(hard_threshold(1e-12), math.sqrt(2), rel_tol=1e-5)
    for beta in np.linspace(0.05, 1, 20):
        omega = hard_threshold(beta) / math.sqrt(marchenko_pastur_median(beta))
        assert abs(omega - (0.56 * beta**3 - 0.95 * beta**2 + 1.82 * beta + 1.43)) < 0.025


def noisy(m: int, n: int, rank: int, noise: float, seed: int, strength: float = 4.0) -> Array:
    signal = matrix(strength * (math.sqrt(m) + math.sqrt(n)) * noise * np.linspace(2, 1, rank), m, n, rng=seed)
    return signal + noise * Key(seed).child("noise").normals(0, m, n)


@pytest.mark.parametrize("method", ["gavish_donoho", "marchenko_pastur"])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("shape", [(120, 90), (60, 200)])
@pytest.mark.parametrize("kind", ["array", "operator"])
def test_signals_above_noise_are_counted(kind: str, shape: tuple[int, int], known: bool, method: str) -> None:
    """A noise value passes the edge of Marchenko and Pastur with probability 0.2; the ranks between say so."""
    noise, rank = 0.3, 5
    A = noisy(*shape, rank, noise, 3)
    form = A if kind == "array" else operator(A)
    found = rnla.rank_estimate(form, method, noise=noise if known else None, rng=0)
    assert found.lower <= rank <= found.upper
    assert found.lower == rank
    assert abs(found.noise / noise - 1) < 0.1
    if method == "gavish_donoho":
        assert int(found) == rank
        s = np.linalg.svd(A)[1]
        beta, long = min(shape) / max(shape), max(shape)
        tau = hard_threshold(beta) * math.sqrt(long) * noise
        if not known and kind == "array":
            tau = hard_threshold(beta) / math.sqrt(marchenko_pastur_median(beta)) * np.median(s)
        if known or kind == "array":
            assert math.isclose(found.threshold, tau, rel_tol=1e-10)
            assert found.rank == np.count_nonzero(s > tau)


@pytest.mark.statistical
def test_pure_noise_passes_the_edges_as_often_as_the_law_says() -> None:
    """False-alarm rate 1e-6: at most 14 of 200 draws pass the 1 percent point; the binomial limit at 1.5 percent is 14.

    Finite sizes move the point a little: 1.5 percent is allowed for.
    """
    passed, edges = 0, 0
    for seed in range(200):
        s = np.linalg.norm(Key(seed).child("pure").normals(0, 60, 40), 2)
        passed += s > tracy_widom_edge(60, 40)
        edges += s > noise_edge(60, 40)
    assert passed <= 14
    assert 0 < edges < 100


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("kind", ["array", "operator"])
def test_the_rank_of_a_tolerance_lies_between_its_bounds(name: str, kind: str) -> None:
    """Bounds fail with 1e-4 a look: alarm rate under 1e-2 for draws at random; the seeds are fixed."""
    A = matrix(name, 90, 70, rng=2)
    s = np.linalg.svd(A)[1]
    form = A if kind == "array" else operator(A)
    for tol in (0.3, 1e-3):
        true = int(np.count_nonzero(s > tol * s[0]))
        found = rnla.rank_estimate(form, tol=tol, rng=0)
        near = np.min(np.abs(s / (tol * s[0]) - 1)) < 1e-12  # a value on the threshold may count or not
        assert found.lower <= true <= found.upper or near
        assert found.certain or near or name == "flat"
        assert found.failure_probability < 1e-2


@pytest.mark.parametrize("kind", ["array", "operator"])
@pytest.mark.parametrize("name", ["inverse", "exponential", "noise_1e-2", "flat"])
def test_the_rank_of_a_share_of_energy(name: str, kind: str) -> None:
    A = matrix(name, 90, 70, rng=2)
    s = np.linalg.svd(A)[1]
    shares = np.cumsum(s**2) / np.sum(s**2)
    for energy in (0.5, 0.95):
        true = int(np.argmax(shares >= energy * (1 - 1e-12))) + 1
        found = rnla.rank_estimate(A if kind == "array" else operator(A), energy=energy, rng=0)
        assert found.lower <= true + (name == "flat") <= found.upper + 1
        if kind == "array":
            assert found.certain or name == "flat"
            assert abs(found.rank - true) <= (name == "flat")


def test_the_default_is_that_of_numpy() -> None:
    for A in (matrix([1.0, 0.5, 0.1], 40, 30), np.eye(20), np.zeros((7, 5)), np.ones((6, 9)), np.zeros((0, 4))):
        expected = np.linalg.matrix_rank(A) if A.size else 0
        assert int(rnla.rank_estimate(A, rng=0)) == expected


@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
def test_a_rank_found_when_the_full_svd_takes_over(tol: float) -> None:
    """The first look takes a few columns; the next asks for so many that the plan is the full SVD."""
    A = matrix(0.8 ** np.arange(200.0), 300, 200, rng=4)
    found = rnla.rank_estimate(A, tol=tol, rng=0)
    assert found.rank == np.linalg.matrix_rank(A, rtol=tol)
    assert found.certain


def test_all_values_are_taken_where_a_quarter_of_them_leaves_a_doubt() -> None:
    A = matrix("inverse", 600, 400, rng=1)
    found = rnla.rank_estimate(A, tol=1 / 250.5, rng=0)
    assert found.rank == 250
    assert len(found.singular_values.values) == 400  # not 32, 64, 128, 256 and then 400
    assert found.singular_values.report.size == 400


@pytest.mark.parametrize("method", ["tolerance", "energy", "gavish_donoho", "marchenko_pastur"])
def test_ranks_do_not_depend_on_the_scale(method: str) -> None:
    A = noisy(120, 90, 5, 0.3, 3)
    asked: dict[str, Any] = {"tolerance": {"tol": 0.1}, "energy": {"energy": 0.9}}.get(method, {})
    for form in (lambda X: X, operator):
        found = [rnla.rank_estimate(form(A * factor), method, rng=0, **asked) for factor in (1.0, 1e-250, 1e250)]
        assert len({(each.rank, each.lower, each.upper) for each in found}) == 1


def test_a_cap_leaves_an_interval() -> None:
    A = matrix("inverse", 200, 150, rng=1)
    found = rnla.rank_estimate(operator(A), tol=1e-2, max_rank=20, rng=0)
    assert not found.certain
    assert found.lower <= 99 <= found.upper == 150
    assert "between" in str(found)
    assert found.rank >= 20


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        ({"method": "scree"}, "not one of"),
        ({"tol": 0.1, "energy": 0.9}, "belongs to"),
        ({"method": "energy"}, "needs energy="),
        ({"tol": 2.0}, "between 0 and 1"),
        ({"method": "gavish_donoho", "noise": -1.0}, "must be positive"),
        ({"noise": 1.0}, "belongs to"),
        ({"max_rank": 0}, "at least 1"),
    ],
)
def test_bad_arguments_are_refused(bad: dict[str, Any], match: str) -> None:
    with pytest.raises(rnla.InputError, match=match):
        rnla.rank_estimate(np.eye(4), **bad)
