"""Where the threshold begins when outliers are larger than L by decades."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.robust.protocols import Step, verdict
from rnla.robust.reading import Reader
from rnla.robust.starting import begun_at, first_level, valley
from tests.robust.model import error, model

METHODS: list[Any] = [
    rnla.RieCUR(), rnla.RieCUR(decay=0.85), rnla.RieCUR(decay=0.95), rnla.IRCUR(), rnla.AccAltProj(),
    rnla.AccAltProj(decay=0.9), rnla.AlternatingProjections(),
]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e3, 1e6, 1e9])
def test_outliers_of_any_size_leave_L_alone(method: Any, scale: float) -> None:
    """Begun at the largest modulus, most of these fail: their first models are made of outliers."""
    d, low, _ = model(300, 300, 5, 0.3, seed=1, scale=scale)
    result = rnla.robust_pca(d, 5, method=method, rng=1)
    assert error(result, low) <= 1e-5
    assert result.trace[0, 1] <= 30 * np.abs(low).max()
    assert any("the threshold begins at" in note for note in result.report.notes)
    assert result.report.plan.method == method


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_the_paper_s_start_stays_where_sizes_fall_off(scale: float) -> None:
    for seed in range(5):
        d, _, _ = model(300, 300, 5, 0.2, seed=seed, scale=scale)
        result = rnla.robust_pca(d, 5, method="riecur", rng=seed)
        assert result.trace[0, 1] >= np.abs(d).max() / 2  # the largest on the cross
        assert not any("begins at" in note for note in result.report.notes)


def test_the_estimated_rank_and_missing_entries_are_not_misled() -> None:
    d, low, _ = model(300, 280, 3, 0.2, seed=4, scale=1e6)
    result = rnla.robust_pca(d, rng=0)
    assert result.rank == 3
    assert error(result, low) <= 1e-5
    mask = np.random.default_rng(0).random(d.shape) < 0.8
    assert error(rnla.robust_pca(np.where(mask, d, np.nan), 3, mask=mask, rng=0), low) <= 1e-5
    tiny = rnla.robust_pca(d * 2.0**-600, 3, rng=0)  # the level is in the scale of D
    assert np.allclose(np.ldexp(tiny.s, 600), result.s, rtol=1e-5)


def test_of_very_wide_data_a_part_is_looked_at() -> None:
    """Entries that were not observed are no part of it."""
    rng = np.random.default_rng(0)
    d = rng.uniform(1.0, 2.0, (16, 70_000))
    d[rng.random(d.shape) < 0.1] = 1e6
    mask = rng.random(d.shape) < 0.5
    level = first_level(Reader(d), None, "entries", np.arange(16))
    assert level is not None
    assert 2.0 < level < 1e6 / 3
    assert first_level(Reader(np.where(mask, d, np.nan)), mask, "entries", np.arange(16)) == level
    assert first_level(Reader(d), d < 3.0, "entries", np.arange(16)) is None


@pytest.mark.parametrize("cls", [rnla.RieCUR, rnla.AccAltProj])
def test_columns_that_are_wrong_by_any_size(cls: Any) -> None:
    rng = np.random.default_rng(1)
    low = rng.standard_normal((300, 3)) @ rng.standard_normal((3, 280))
    bad = rng.random(280) < 0.1
    d = low + np.where(bad, 1e6, 0.0) * rng.standard_normal(low.shape)
    result = rnla.robust_pca(d, 3, method=cls(threshold=rnla.Threshold(kind="columns")), tol=1e-6, rng=0)
    found = (result.U * result.s) @ result.Vh
    assert np.linalg.norm((found - low)[:, ~bad]) <= 20e-6 * np.linalg.norm(low)


@pytest.mark.parametrize("rank", [3, None])
def test_looking_for_the_start_reads_no_row_that_is_not_read_anyway(rank: int | None) -> None:
    d, _, _ = model(700, 600, 3, 0.1, seed=2, scale=1e6)
    fixed = rnla.RieCUR(resample=False)
    found = rnla.robust_pca(d, rank, method=fixed, rng=4, on_failure="return")
    given = dataclasses.replace(fixed, threshold=rnla.Threshold(start=float(found.trace[0, 1])))
    again = rnla.robust_pca(d, rank, method=given, rng=4, on_failure="return")
    assert found.entries_read == again.entries_read + (rank is not None) * 16 * 600
    assert found.distinct_entries == again.distinct_entries
    assert np.array_equal(found.U, again.U)


def test_a_start_of_the_caller_s_is_kept() -> None:
    d, _, _ = model(300, 300, 5, 0.1, seed=1, scale=1e6)
    asked = rnla.RieCUR(threshold=rnla.Threshold(start=1e4))
    result = rnla.robust_pca(d, 5, method=asked, rng=1, on_failure="return", max_iterations=3)
    assert result.trace[0, 1] == 1e4
    for method in (rnla.RieCUR, rnla.AccAltProj):
        low = method(threshold=rnla.Threshold(start=1e-9))
        with pytest.raises(rnla.ToleranceNotMet, match=r"start=1\.0e-09 .* give a larger one"):
            rnla.robust_pca(d, 5, method=low, rng=1)
    assert begun_at(asked, 7.0) is asked
    assert begun_at(rnla.PrincipalComponentPursuit(), 7.0) == rnla.PrincipalComponentPursuit()
    assert begun_at(rnla.RieCUR(), None) == rnla.RieCUR()


def test_rows_and_blocks_that_are_large_all_over_are_parts_of_L() -> None:
    rng = np.random.default_rng(0)
    low = rng.standard_normal((400, 3)) @ rng.standard_normal((3, 390))
    large = np.where(rng.random(400) < 0.2, 1e5, 1.0)
    for d in (low * large[:, None], (low.T * large).copy()):
        assert valley(np.abs(d).ravel()) is not None
        assert first_level(Reader(d), None, "entries", np.arange(0, 390, 20)) is None
        result = rnla.robust_pca(d, 3, rng=0)
        assert error(result, d) <= 1e-6
    # Two blocks, of which each row and each column has one: half of all entries are large.
    blocks = np.where(np.arange(400)[:, None] // 200 == np.arange(400) // 200, 1e5, 1.0)
    d = blocks * (rng.standard_normal((400, 1)) @ rng.standard_normal((1, 400)))
    result = rnla.robust_pca(d, 2, method="riecur", rng=0)
    assert error(result, d) <= 1e-6
    assert any("tried again" in note for note in result.report.notes)


def test_valleys() -> None:
    rng = np.random.default_rng(0)
    small, large = rng.uniform(0.5, 1.0, 900), rng.uniform(0.0, 1e4, 300)
    found = valley(np.concatenate([small, large]))
    assert found is not None
    assert 1.0 < found <= 64.0
    assert valley(small) is valley(np.zeros(0)) is valley(np.zeros(7)) is valley(np.array([1.0, np.inf])) is None


def test_standing_still_is_judged_over_as_long_as_the_threshold_takes() -> None:
    """Thirty iterations at 0.95 take four fifths of a threshold away, and the residual need not follow at once."""
    slow = tuple(Step(0.1 if k > 5 else 0.09, 0.95**k, 0.1, 0.0) for k in range(75))
    assert verdict(slow, 1e-7, 500) is None
    fast = tuple(Step(0.1 if k > 5 else 0.09, 0.7**k, 0.1, 0.0) for k in range(75))
    assert verdict(fast, 1e-7, 500) is rnla.Status.DIVERGED
    ended = tuple(Step(0.1, max(0.95**k, 0.95**40), 0.1, 0.0) for k in range(75))
    assert verdict(ended, 1e-7, 500) is rnla.Status.DIVERGED


def test_a_threshold_above_everything_is_no_standing_still() -> None:
    """Begun far above D, the residual stays as it is until the threshold has come down to the outliers."""
    d, low, _ = model(300, 280, 3, 0.05, seed=2)
    result = rnla.robust_pca(d, 3, method=rnla.RieCUR(threshold=rnla.Threshold(start=1e15)), rng=0)
    assert (result.trace[:70, 2] == 0).all()
    assert error(result, low) <= 20e-7
