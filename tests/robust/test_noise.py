"""Noise beside the outliers: nothing is reached above the least threshold, and standing still on it is an end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnla
from rnla.robust.protocols import Step, at_noise, reached, verdict
from tests.robust.model import error, model

METHODS: list[Any] = [rnla.RieCUR, rnla.IRCUR, rnla.AccAltProj, rnla.AlternatingProjections]
D, LOW, _ = model(400, 380, 3, 0.1, seed=1)
SIGMA = 1e-3 * float(np.abs(LOW).mean())
NOISY = D + SIGMA * np.random.default_rng(2).standard_normal(D.shape)
LEVEL = SIGMA / float(np.sqrt((LOW**2).mean()))
"""Of the noise relative to L."""


@pytest.mark.parametrize("cls", METHODS)
def test_a_tol_above_the_noise_waits_for_the_least_threshold(cls: Any) -> None:
    result = rnla.robust_pca(NOISY, 3, method=cls(threshold=rnla.Threshold(least=5 * SIGMA)), tol=1.2 * LEVEL, rng=0)
    early = np.flatnonzero(result.trace[:, 0] <= 1.2 * LEVEL)[0]
    assert early < result.iterations - 1  # the residual alone would have stopped before
    assert result.trace[-1, 1] == pytest.approx(5 * SIGMA)
    assert error(result, LOW) < LEVEL


@pytest.mark.parametrize("cls", [*METHODS, None])
@pytest.mark.parametrize("scale", [1.0, 2.0**-700])
def test_without_a_tol_the_noise_decides(cls: Any, scale: float) -> None:
    part = rnla.Threshold(least=5 * SIGMA * scale)
    options: dict[str, Any] = {"threshold": part} if cls is None else {"method": cls(threshold=part)}
    result = rnla.robust_pca(NOISY * scale, 3, rng=0, **options)
    assert result.status.ok
    assert any("what is left is noise, and no tol was given" in note for note in result.report.notes)
    assert not any("tried again" in note for note in result.report.notes)
    # The noise, less what a fit of rank 3 takes of it, and the error of L, which is below the noise.
    assert 0.8 * LEVEL <= result.trace[-1, 0] <= np.sqrt(2) * LEVEL
    assert result.held_out is not None
    assert result.held_out.upper <= 2 * LEVEL
    found = (result.U * (result.s / scale)) @ result.Vh
    assert np.linalg.norm(found - LOW) < LEVEL * np.linalg.norm(LOW)
    assert np.allclose(result.U.T @ result.U, np.eye(3), atol=1e-12)


def test_a_tol_below_the_noise_is_missed_with_advice_and_not_tried_again() -> None:
    part = rnla.Threshold(least=5 * SIGMA)
    with pytest.raises(rnla.ToleranceNotMet, match="what is left is noise; ask for tol=") as caught:
        rnla.robust_pca(NOISY, 3, threshold=part, tol=0.5 * LEVEL, rng=0)
    result = caught.value.result
    assert not any("tried again" in note for note in result.report.notes)
    assert error(result, LOW) < LEVEL


def test_a_wrong_rank_is_not_taken_for_noise() -> None:
    result = rnla.robust_pca(NOISY, 2, threshold=rnla.Threshold(least=5 * SIGMA), rng=0, on_failure="return")
    assert not result.status.ok


@pytest.mark.parametrize("scale", [1.0, 2.0**-300])
@pytest.mark.parametrize("kind", ["entries", "columns"])
def test_a_rank_that_is_estimated_does_not_count_noise(kind: str, scale: float) -> None:
    """L of rank 3 has values of 20 times what the noise, 5 percent of its entries, adds to those of a block."""
    rng = np.random.default_rng(5)
    low = rng.standard_normal((300, 3)) @ rng.standard_normal((3, 400))
    wrong = np.zeros(low.shape)
    if kind == "entries":
        wrong = np.where(rng.random(low.shape) < 0.1, rng.uniform(-9, 9, low.shape), 0.0)
    else:
        wrong[:, ::20] = 9 * rng.standard_normal((300, 20))
    d = scale * (low + wrong + 0.05 * rng.standard_normal(low.shape))
    least = scale * (0.2 if kind == "entries" else 0.06)
    assert rnla.robust_pca(d, threshold=rnla.Threshold(kind, least=least), rng=0, on_failure="return").rank == 3


def test_when_an_iteration_ends() -> None:
    falling = tuple(Step(1e-3, 0.5**k, 0.1, 0.0) for k in range(12))
    assert reached(falling, 1e-2)
    assert not reached(falling, 1e-2, 1e-9)
    assert reached(falling, 1e-2, 0.5**11)
    assert reached((*falling, falling[-1]), 1e-2, 1e-9)  # the method takes it no lower
    assert verdict(falling, 1e-4, 99, 1e-9) is None
    standing = (*falling, *[Step(1e-3, 1e-9, 0.1, 0.0)] * 9)
    assert not at_noise(standing, 1e-9)
    assert at_noise((*standing, standing[-1]), 1e-9)
    assert not at_noise((*standing, standing[-1]), 0.0)
    assert not at_noise((*standing, standing[-1]._replace(residual=9e-4)), 1e-9)
    above = tuple(Step(0.6, 0.99**k, 0.01, 0.0) for k in range(250))  # still above most of L
    assert verdict(above, 1e-4, 999) is None
    assert verdict(tuple(step._replace(residual=0.4) for step in above), 1e-4, 999) is rnla.Status.DIVERGED
    hopeless = tuple(Step(0.5 * 0.9**k, 0.5**k, 0.99, 0.0) for k in range(11))
    assert verdict(hopeless[:10], 1e-4, 99) is None
    assert verdict(hopeless, 1e-4, 99) is rnla.Status.DIVERGED  # what is left of D says nothing about L
    assert verdict((*hopeless[:-1], hopeless[-1]._replace(outliers=0.9)), 1e-4, 99) is None
