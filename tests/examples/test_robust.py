"""The checks of the pictures of robust PCA can fail, and what they are made of is what it says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import rnla

pytest.importorskip("matplotlib")


def test_a_worse_foreground_or_background_is_refused() -> None:
    from examples.robust.background import check

    good = {"RieCUR": (0.99, 0.3), "IRCUR": (0.99, 0.3), "AccAltProj": (0.9, 2.0), "plain SVD": (0.5, 3.0)}
    check(good)
    for name, pair in (
        ("RieCUR", (0.97, 0.3)),
        ("IRCUR", (0.89, 0.3)),
        ("IRCUR", (0.99, 1.1)),
        ("AccAltProj", (0.4, 2.0)),
    ):
        with pytest.raises(AssertionError):
            check({**good, name: pair})


def test_fewer_successes_than_chance_makes_are_refused() -> None:
    """Of 20 draws none is refused where the reference has 4 of 4, and 10 are not; so are more with more outliers."""
    from examples.robust.phase import METHODS, Grid, chance, check

    assert chance(0, 20, 4) == pytest.approx(1 / 10626)  # the 4 that succeed are all theirs: 1 of C(24, 4) ways
    assert chance(20, 20, 4) == pytest.approx(1)
    counts = {name: np.array([[20], [20], [5]]) for name in METHODS}
    grid = Grid([5], [0.3, 0.5, 0.7], 20, counts)
    check(grid)
    for worse in ([[20], [0], [0]], [[19], [20], [5]], [[20], [10], [20]]):
        with pytest.raises(AssertionError):
            check(dataclasses.replace(grid, counts={**counts, "RieCUR": np.array(worse)}))


def test_a_steeper_law_or_a_wrong_answer_is_refused() -> None:
    from examples.robust.model import logarithms
    from examples.robust.times import Point, check

    points = [Point(n, 1.0, 30 * logarithms(n), 1e-8) for n in (1000, 2000, 4000)]
    check({"RieCUR": points})
    for worse in ({"RieCUR": [dataclasses.replace(points[0], error=1e-5)]}, {"AccAltProj": points}):
        with pytest.raises(AssertionError):
            check(worse)


def test_the_matrix_on_demand_is_one_matrix() -> None:
    """The same entries by rows and by columns, and the share of outliers, within 4 deviations (false alarm 1e-4)."""
    from examples.robust.model import OnDemand, factors

    truth = factors(300, 400, 3, 0)
    D = OnDemand(truth, 0.2)
    whole = D.rows(np.arange(300))
    np.testing.assert_allclose(D.columns(np.array([7, 399])), whole[:, [7, 399]], rtol=0, atol=1e-13)
    gap = whole - truth.A @ truth.B.T
    assert abs((np.abs(gap) > 1e-9).mean() - 0.2) < 4 * np.sqrt(0.2 * 0.8 / gap.size)
    assert np.abs(gap).max() <= D.bound * (1 + 1e-9)
    assert abs(gap[np.abs(gap) > 1e-9].mean()) < 4 * D.bound / np.sqrt(3 * 0.2 * gap.size)


def test_the_error_without_l_is_that_with_it() -> None:
    from examples.robust.model import drawn

    truth, D = drawn(200, 3, 0.1)
    result = rnla.robust_pca(D, 3, rng=0, tol=1e-4)
    L = truth.A @ truth.B.T
    expected = np.linalg.norm(result.L.to_array() - L) / np.linalg.norm(L)
    assert truth.error(result) == pytest.approx(expected, rel=1e-6)
    assert round(float((D != L).mean()), 2) == 0.1
