"""An L that is smaller than the noise that it leaves is no answer; the next try begins from the largest modulus."""

from __future__ import annotations

import numpy as np

import rnla
from tests.robust.model import error

NOISE = 1e-3


def test_a_model_of_the_noise_alone_is_no_answer() -> None:
    """Half of the columns hold noise only: a threshold among these leaves all others out, and L would be noise."""
    rng = np.random.default_rng(0)
    b = rng.standard_normal((3, 120))
    b[:, 60:] = 0
    low = rng.standard_normal((120, 3)) @ b
    d = low + NOISE * rng.standard_normal(low.shape)
    least = 1.5 * NOISE
    low_start = rnla.AccAltProj(decay=0.9, threshold=rnla.Threshold(kind="columns", least=least, start=least))
    wrong = rnla.robust_pca(d, 3, method=low_start, rng=0, on_failure="return")
    assert error(wrong, low) > 0.5
    assert wrong.trace[-1, 0] > 1
    assert not wrong.status.ok
    # By itself the threshold begins there too, and then again from the largest.
    part = rnla.Threshold(kind="columns", least=least)
    right = rnla.robust_pca(d, 3, threshold=part, rng=0, on_failure="return")
    # Of the noise, L keeps its part in the tangent space: 3 (m + n - 3) of m n numbers, at three deviations at most.
    kept = NOISE * np.sqrt(3 * 237) / np.linalg.norm(low)
    assert error(right, low) <= 3 * kept
