"""Choosing columns: exchanges against Gu and Eisenstat, random choices against their exact distributions and bounds."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import rnla
from rnla._xp.namespace import to_host
from rnla._xp.pivoting import pivoted_triangle
from rnla.compression.column_selection import COLUMN_SELECTIONS, PivotedQR, as_selection
from rnla.compression.leverage_scores import leverage_sample, leverage_scores
from rnla.compression.random_selection import random_columns
from rnla.compression.strong_pivoting import independent, needs_no_exchange, strongly_pivoted
from rnla.compression.wide_solve import wide_solve
from rnla.rng import Key
from rnla.testing import haar, matrix
from tests.reference import skeletons

Array = np.ndarray[Any, Any]


def kahan(n: int) -> Array:
    s = 0.285**0.5
    c = math.sqrt(1 - s * s)
    K = np.diag(s ** np.arange(n)) @ (np.eye(n) - c * np.triu(np.ones((n, n)), 1))
    return K * (1 - 1e-5 * np.arange(n))[None, :]  # breaks the ties as pivoted QR must


def gains(g: Array, chosen: Array) -> Array:
    """What every exchange of a chosen column for another multiplies the volume by, from determinants."""
    volume = math.sqrt(abs(np.linalg.det(g[:, chosen].conj().T @ g[:, chosen])))
    out = []
    for i, j in itertools.product(range(len(chosen)), range(g.shape[1])):
        if j not in chosen:
            other = np.array(chosen)
            other[i] = j
            out.append(math.sqrt(abs(np.linalg.det(g[:, other].conj().T @ g[:, other]))) / volume)
    return np.asarray(out)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_no_exchange_is_left_that_doubles_the_volume(dtype: str) -> None:
    """Against determinants, from starts that are far from strong."""
    far = 0
    for seed in range(6):
        g = Key(seed).normals(0, 5, 12, dtype=dtype) * (0.5 ** np.arange(5))[:, None]
        worst = np.argsort(np.linalg.norm(g, axis=0))[:3]
        strong = strongly_pivoted(g, worst)
        assert len(set(strong.tolist())) == 3
        assert gains(g, strong).max() <= 2 * (1 + 1e-5)
        far += bool(gains(g, worst).max() > 2 * (1 + 1e-5))
    assert far >= 5  # there were exchanges to make


def test_kahans_matrix_needs_the_exchanges() -> None:
    K = kahan(30)
    start = PivotedQR().choose(np.ones(30), K, 29, Key(0))
    assert start.tolist() == list(range(29))
    strong = strongly_pivoted(K, start)
    oracle, T, R22 = skeletons.strong_rrqr(K, 29)
    assert np.abs(T).max() <= 2
    ours = np.linalg.qr(K[:, [*strong, *np.setdiff1d(np.arange(30), strong)]])[1]
    assert abs(ours[-1, -1]) <= 1.5 * abs(R22[0, 0])
    assert abs(ours[-1, -1]) < 0.01 * abs(np.linalg.qr(K)[1][-1, -1])
    assert len(oracle) == 29


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_the_triangle_of_the_pivots_says_whether_an_exchange_is_left(dtype: str) -> None:
    rng = np.random.default_rng(3)
    answers = set()
    for trial in range(40):
        rows, n = int(rng.integers(3, 12)), int(rng.integers(12, 60))
        k = int(rng.integers(1, rows + 1))
        g = rng.standard_normal((rows, n)) * np.geomspace(1, 1e-2, rows)[:, None]
        g = (g + 1j * rng.standard_normal((rows, n)) * 1e-2 if dtype == "complex128" else g).astype(dtype)
        chosen, whole = pivoted_triangle(g, k)
        assert whole is not None
        bound = (1.05, 1.3, 2.0)[trial % 3]
        quiet = np.array_equal(strongly_pivoted(g, chosen, bound=bound), chosen)
        assert needs_no_exchange(whole[0], k, bound=bound) == quiet
        answers.add(quiet)
    assert answers == {True, False}  # else nothing was asked
    K = kahan(30)
    chosen, whole = pivoted_triangle(K, 29)
    assert whole is not None
    assert not needs_no_exchange(whole[0], 29)


def test_a_solve_in_parts_is_the_whole_one_on_any_number_of_threads() -> None:
    rng = np.random.default_rng(0)
    for dtype in ("float64", "complex64"):
        r = (np.triu(rng.standard_normal((60, 60))) + 8 * np.eye(60)).astype(dtype)
        b = rng.standard_normal((60, 900)).astype(dtype)
        solved = []
        for threads in (1, 4):
            with rnla.config_context(threads=threads):
                solved.append(wide_solve(r, b))
        one, four = solved
        assert np.array_equal(one, four)
        assert one.dtype == dtype
        assert np.linalg.norm(r @ one - b) <= 60 * np.finfo(dtype).eps * np.linalg.norm(r) * np.linalg.norm(one)


def test_exchanges_are_the_same_in_every_library() -> None:
    torch, strict = pytest.importorskip("torch"), pytest.importorskip("array_api_strict")
    g = Key(1).normals(0, 6, 20, dtype="complex128")
    start = np.array([19, 3, 7, 1])
    expected = strongly_pivoted(g, start)
    for there in (torch.from_numpy(g.copy()), strict.asarray(g.copy())):
        assert strongly_pivoted(there, start).tolist() == expected.tolist()
    kept = strongly_pivoted(g, start, kept=2)
    assert kept[:2].tolist() == [19, 3]


def test_dependent_columns_come_last() -> None:
    panel = haar(30, 4, rng=2)
    panel = panel[:, [0, 1, 0, 2]] * [1.0, 1e-3, 2.0, 1e-10]
    order, live = independent(np.linalg.qr(panel)[1], 30)
    assert live == 3
    assert order[3] == 0
    assert independent(np.zeros((3, 3)), 30)[1] == 0


@pytest.mark.parametrize("word", COLUMN_SELECTIONS)
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_every_selection_gives_distinct_columns_in_every_library(word: str, dtype: str) -> None:
    torch, strict = pytest.importorskip("torch"), pytest.importorskip("array_api_strict")
    part = as_selection(word)
    for spectrum in ("inverse", "exact_rank", "flat"):
        A = matrix(spectrum, 30, 25, dtype=dtype, rng=4)
        _, s, vh = np.linalg.svd(A, full_matrices=False)
        for count in (0, 1, 7, 25):
            chosen = part.choose(s, vh, count, Key(3))
            assert len(set(chosen.tolist())) == count
            for there in (torch.from_numpy, strict.asarray):
                other = part.choose(there(s.copy()), there(vh.copy()), count, Key(3))
                if word != "pivoted_qr" or spectrum == "inverse":  # pivots past the rank are rounding
                    assert chosen.tolist() == other.tolist()


def test_a_table_word_makes_the_part_and_other_things_are_refused() -> None:
    assert as_selection(None) == PivotedQR()
    assert as_selection("Random-Pivoted-QR") == rnla.RandomlyPivotedQR()
    with pytest.raises(rnla.InputError):
        as_selection("nothing")
    with pytest.raises(rnla.DTypeError):
        as_selection(3)
    with pytest.raises(rnla.InputError):
        rnla.RandomlyPivotedQR(block_size=0)


@pytest.mark.timeout(60)
def test_random_choices_end_where_only_rounding_is_left() -> None:
    """Columns whose residual is rounding are refused whenever they are drawn, and must not be drawn for ever."""
    for name in ("graded", "fast", "exact_rank", "step"):
        for dtype in ("float32", "float64"):
            g = matrix(name, 30, 30, dtype=dtype, rng=1)
            for seed in range(10):
                assert len(set(random_columns(g, 30, 16, Key(seed)).tolist())) == 30
    assert random_columns(np.zeros((3, 4)), 2, 16, Key(0)).tolist() == [0, 1]


# --------------------------------------------------------------------------------------------------- distributions
@pytest.mark.statistical
@pytest.mark.parametrize("block_size", [1, 3, 16])
def test_random_pivots_have_the_distribution_of_one_at_a_time(block_size: int) -> None:
    """Chi-square of ordered pairs against exact probabilities, 19 degrees of freedom; alarm rate below 1e-6."""
    B = np.array([[1.0, 0.9, 0.1, 0.0, 2.0], [0.0, 0.5, 1.0, 0.3, 0.0], [0.2, 0.0, 0.7, 1.0, 0.1]])
    chances = skeletons.chances_of_pairs(B)
    draws = 3000
    seen = np.zeros_like(chances)
    for seed in range(draws):
        i, j = random_columns(B, 2, block_size, Key(seed)).tolist()
        seen[i, j] += 1
    pairs = chances > 0
    assert seen[~pairs].sum() == 0
    statistic = float(np.sum((seen[pairs] - draws * chances[pairs]) ** 2 / (draws * chances[pairs])))
    # 67 is passed with probability 2.9e-7 by chi-square of 19 degrees of freedom.
    assert statistic < 67


@pytest.mark.statistical
def test_the_plain_algorithm_agrees_with_its_own_probabilities() -> None:
    """The oracle's draws against the oracle's probabilities, as above; alarm rate below 1e-6."""
    B = np.array([[1.0, 0.9, 0.1, 0.0, 2.0], [0.0, 0.5, 1.0, 0.3, 0.0], [0.2, 0.0, 0.7, 1.0, 0.1]])
    chances, seen, rng = skeletons.chances_of_pairs(B), np.zeros((5, 5)), np.random.default_rng(0)
    for _ in range(3000):
        i, j = skeletons.randomly_pivoted_qr(B, 2, rng)
        seen[i, j] += 1
    pairs = chances > 0
    assert float(np.sum((seen[pairs] - 3000 * chances[pairs]) ** 2 / (3000 * chances[pairs]))) < 67


@pytest.mark.statistical
def test_adaptive_randomized_pivoting_draws_by_volume() -> None:
    """Sets J come with probability |det V_k[J]|^2, and then E norm(A - A[:, J] V_k[J]^-H V_k^H)_F^2 <= (k + 1) tail^2.

    The expectation is summed over all sets, exactly; the draws by chi-square of 14 degrees of freedom, which passes 60
    with probability 1.2e-7: alarm rate below 1e-6.
    """
    k, n, draws = 2, 6, 3000
    A = matrix("inverse", 9, n, rng=8)
    _, s, vh = np.linalg.svd(A, full_matrices=False)
    sets = list(itertools.combinations(range(n), k))
    chances = np.asarray([np.linalg.det(vh[:k, J]) ** 2 for J in sets])
    assert abs(chances.sum() - 1) < 1e-12
    errors = [np.linalg.norm(A - A[:, J] @ np.linalg.solve(vh[:k, J], vh[:k])) ** 2 for J in sets]
    assert chances @ errors <= (k + 1) * np.sum(s[k:] ** 2) * (1 + 1e-12)
    seen = dict.fromkeys(sets, 0)
    for seed in range(draws):
        seen[tuple(sorted(rnla.AdaptiveRandomizedPivoting().choose(s, vh, k, Key(seed)).tolist()))] += 1
    assert float(np.sum((np.asarray(list(seen.values())) - draws * chances) ** 2 / (draws * chances))) < 60


@pytest.mark.statistical
def test_randomly_pivoted_qr_keeps_its_expected_error() -> None:
    """E norm(G - Q Q^H G)_F^2 <= (1 + e) tail_r^2 for k >= r / e + r log(1 / (e t)); mean of 200 draws.

    The mean was 0.68 of tail_r^2 with a standard error of 0.005, against a bound of 2: alarm rate below 1e-9.
    """
    A = matrix("exponential", 60, 50, rng=8)
    _, s, vh = np.linalg.svd(A, full_matrices=False)
    r, e = 5, 1.0
    tail = float(np.sum(s[r:] ** 2))
    k = math.ceil(r / e + r * math.log(np.sum(s**2) / (e * tail)))
    errors = [
        skeletons.column_error(A, rnla.RandomlyPivotedQR().choose(s, vh, k, Key(seed))) ** 2 for seed in range(200)
    ]
    assert np.mean(errors) <= (1 + e) * tail
    assert np.min(errors) > np.sum(s[k:] ** 2)


def test_leverage_scores_add_up_and_weights_make_the_sample_unbiased() -> None:
    vh = haar(40, 4, rng=1).T
    scores = leverage_scores(vh)
    assert abs(scores.sum() - 4) < 1e-13
    index, weights = leverage_sample(scores, 3000, Key(5))
    assert np.allclose(weights**-2, 3000 * scores[index] / 4)
    for count in (1, 40):
        assert len(set(rnla.LeverageScores().choose(np.ones(4), vh, min(count, 4), Key(1)).tolist())) == min(count, 4)


@pytest.mark.statistical
def test_a_leverage_sample_preserves_the_subspace() -> None:
    """norm(V^H S S^H V - I) <= e but with probability d for 4 k log(2 k / d) / e^2 draws; alarm rate d = 1e-6."""
    k, e, d = 4, 0.5, 1e-6
    vh = haar(40, k, rng=1).T * 1.0
    vh = np.concatenate([vh, np.zeros((k, 3))], axis=1)
    draws = math.ceil(4 * k * math.log(2 * k / d) / e**2)
    index, weights = leverage_sample(leverage_scores(vh), draws, Key(2))
    assert index.max() < 40
    sampled = vh[:, index] * weights
    assert np.linalg.norm(sampled @ sampled.T - np.eye(k), 2) <= e


def test_rows_chosen_for_a_device_array_come_as_host_indices() -> None:
    torch = pytest.importorskip("torch")
    chosen = PivotedQR().choose(torch.ones(3), torch.eye(3), 2, Key(0))
    assert isinstance(chosen, np.ndarray)
    assert to_host(chosen).tolist() == [0, 1]
