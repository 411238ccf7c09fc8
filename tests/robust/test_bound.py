"""The bound of the error on clean entries, against the error on all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnla
from rnla.robust.certificate import FAILURE, judged
from rnla.robust.looking import Look
from tests.robust.model import model


@pytest.mark.statistical
@pytest.mark.parametrize("method", ["riecur", "ircur"])
def test_the_bound_fails_as_seldom_as_it_says(method: str) -> None:
    """300 answers, each bound failing with probability 0.002: six failures or more, alarm rate 4e-5.

    What is left of outliers on the last cross spoils a few rows and a few columns, which few of the rows drawn hit.
    """
    failed = made = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        m, n = (int(x) for x in rng.integers(60, 300, 2))
        rank, share = int(rng.integers(1, 6)), float(rng.choice([0.01, 0.05, 0.1, 0.2]))
        d, _, _ = model(m, n, rank, share, seed=seed)
        result = rnla.robust_pca(d, rank, method=method, rng=seed, on_failure="return")
        if not result.status.ok:
            continue
        low = (result.U * result.s) @ result.Vh
        clean = np.abs(d - low) < result.threshold
        true = np.linalg.norm(np.where(clean, d - low, 0)) / np.linalg.norm(np.where(clean, low, 0))
        made += 1
        failed += true > result.held_out.upper
        assert result.error.failure_probability == 2 * FAILURE
    assert made > 200
    assert failed < 6


def look_of(clean: Any, model: Any, across: int) -> Look:
    count = len(clean)
    return Look(
        np.asarray(clean), np.asarray(model), np.zeros(count), 0.0, 0.0, np.full(count, float(across)),
        float(count * across), np.zeros(across),
    )  # fmt: skip


def test_bounds_of_rows_and_columns_add_up_unless_all_were_seen() -> None:
    rng = np.random.default_rng(0)
    rows = look_of(rng.random(40), np.ones(40), 300)
    columns = look_of(rng.random(50), np.ones(50), 400)

    def upper(one: Look, other: Look) -> float:
        held = judged([one, other], len(other.clean), len(one.clean), True, 0.0, 1e-6, [(), ()], [(), ()], 0.0)
        return held.upper**2

    both = upper(columns, rows)
    single = [
        upper(columns, look_of(np.zeros(40), np.ones(40), 300)),
        upper(look_of(np.zeros(50), np.ones(50), 400), rows),
    ]
    assert min(single) > 0
    assert both == pytest.approx(sum(single), rel=1e-12, abs=0)
    all_columns = look_of(rng.random(300), np.ones(300), 400)
    exact = float(all_columns.clean.sum()) / 300
    assert upper(all_columns, look_of(np.zeros(40), np.ones(40), 300)) == pytest.approx(exact, rel=1e-12, abs=0)
