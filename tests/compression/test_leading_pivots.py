"""The leading pivots without reading everything for each of them: the columns that LAPACK takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

import rnla
from rnla.compression import leading_pivots as module
from rnla.compression.leading_pivots import leading_pivots
from rnla.compression.strong_pivoting import allows_no_exchange, needs_no_exchange, strongly_pivoted

Array = np.ndarray[Any, Any]
DECAYS = {
    "flat": np.ones_like,
    "inverse": lambda i: 1 / i,
    "fast": lambda i: np.exp(-i / 3),
    "steps": lambda i: 10.0 ** -(3 * (i // 8)),
}


def sketch(decay: str, rows: int, columns: int, dtype: str, seed: int = 0) -> Array:
    """Rows of falling size times random columns of uneven size."""
    rng = np.random.default_rng(seed)
    g = rng.standard_normal((rows, columns))
    if dtype.startswith("complex"):
        g = g + 1j * rng.standard_normal((rows, columns))
    turned = np.linalg.qr(rng.standard_normal((rows, rows)))[0]
    sizes = DECAYS[decay](np.arange(1.0, rows + 1))
    return (turned @ (sizes[:, None] * g * rng.uniform(0.5, 2.0, columns))).astype(dtype)


@pytest.mark.parametrize("candidates", [7, 64, 512])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("decay", sorted(DECAYS))
def test_the_pivots_are_those_of_lapack(
    decay: str, dtype: str, candidates: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until 100 eps of the norm is left, below which rounding orders the columns; random columns are no ties."""
    monkeypatch.setattr(module, "_CANDIDATES", candidates)
    for rows, columns, count in ((40, 900, 25), (30, 50, 30), (24, 24, 24), (60, 2001, 1)):
        g = sketch(decay, rows, columns, dtype)
        R, order = scipy.linalg.qr(g, mode="r", pivoting=True)
        diagonal, eps = np.abs(np.diagonal(R))[:count], float(np.finfo(dtype).eps)
        sure = int(np.count_nonzero(diagonal > 1e3 * eps * diagonal[0]))
        chosen, found, left = leading_pivots(g, count)
        assert np.array_equal(chosen[:sure], order[:sure])
        assert len(set(chosen.tolist())) == len(chosen) == len(found)
        lead, scale = found[:, chosen], 1e2 * eps * float(np.linalg.norm(g))
        assert np.abs(np.tril(lead, -1)).max(initial=0) <= scale
        assert np.abs(np.abs(np.diagonal(lead))[:sure] - diagonal[:sure]).max() <= scale
        # G^H G = R^H R + rest^H rest: squares of columns add up.
        whole = np.sum(np.abs(g) ** 2, axis=0)
        assert np.abs(whole - np.sum(np.abs(found) ** 2, axis=0) - left).max() <= scale * np.sqrt(whole.max())


def test_columns_past_the_rank_are_not_pivots() -> None:
    rng = np.random.default_rng(1)
    g = rng.standard_normal((60, 5)) @ rng.standard_normal((5, 1500))
    assert len(leading_pivots(g, 12)[0]) == 5
    assert len(leading_pivots(np.zeros((4, 9)), 3)[0]) == 0
    assert len(leading_pivots(np.zeros((0, 9)), 3)[0]) == 0


@pytest.mark.parametrize("kernels", ["plain", "compiled"])
def test_threads_and_kernels_choose_the_same_columns(kernels: str) -> None:
    g = sketch("inverse", 300, 3000, "float64", 3)
    alone = leading_pivots(g, 60)[0]
    for threads in (1, 2, 5):
        with rnla.config_context(threads=threads, kernels=kernels):
            assert np.array_equal(leading_pivots(g, 60)[0], alone)


def test_the_array_is_not_changed() -> None:
    g = sketch("steps", 40, 700, "float64", 4)
    before = g.copy()
    leading_pivots(g, 30)
    assert np.array_equal(g, before)


def test_exchanges_are_tested_by_what_is_known_of_all_columns() -> None:
    """The test on rows and squares says what the one on the whole triangle says, on matrices of either kind."""
    answers = set()
    for seed in range(20):
        g = sketch("inverse", 12, 80, "float64", seed)
        chosen, rows, left = leading_pivots(g, 5)
        R, order = scipy.linalg.qr(g, mode="r", pivoting=True)
        assert np.array_equal(order[:5], chosen)
        for bound in (1.0001, 1.2, 1.5, 2.0):
            one = allows_no_exchange(rows[:, chosen], rows, left, bound=bound)
            assert one == needs_no_exchange(R, 5, bound=bound)
            assert one == np.array_equal(strongly_pivoted(g, chosen, bound=bound), chosen)
            answers.add(one)
    assert answers == {True, False}
