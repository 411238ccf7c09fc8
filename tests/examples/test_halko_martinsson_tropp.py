"""The checks of the experiments of the paper can fail, and what they are made of is what it says."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")


def test_a_curve_of_another_shape_is_refused() -> None:
    """An estimate that is no bound, an error under the least possible one, and an error that does not fall."""
    from examples.halko_martinsson_tropp import figure_7_2
    from examples.halko_martinsson_tropp.adaptive import Run, adaptive_run
    from examples.halko_martinsson_tropp.laplace import single_layer
    from rnla.rng import Key

    A = single_layer()
    s = np.linalg.svd(A, compute_uv=False)
    run = adaptive_run(A, 125, Key(0))
    figure_7_2.check(s, run)
    for estimate, error in ((run.error / 2, run.error), (run.estimate, s[:126] / 2), (run.estimate, 1e-6 + run.error)):
        with pytest.raises(AssertionError):
            figure_7_2.check(s, Run(estimate, error))


def test_the_adaptive_run_is_the_error_of_an_orthonormal_basis() -> None:
    """With as many columns as rows nothing is left; before, the error is not under the optimum."""
    from examples.halko_martinsson_tropp.adaptive import adaptive_run
    from rnla.rng import Key

    A = np.diag(0.5 ** np.arange(12.0))
    run = adaptive_run(A, 12, Key(1), r=3)
    assert np.all(run.error[:12] >= np.diag(A) * (1 - 1e-12))
    assert run.error[12] < 1e-14
    assert run.error[0] == 1


def test_without_scikit_learn_the_data_are_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from examples.halko_martinsson_tropp.figure_7_6 import data
    from examples.halko_martinsson_tropp.patches import picture, weights

    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    image, source = picture(24)
    assert source == "a generated picture"
    assert image.min() >= 0
    assert image.max() <= 4095
    A = weights(image)
    assert abs(A - A.T).max() == 0
    assert np.abs(np.linalg.eigvalsh(A.toarray())).max() == pytest.approx(1)
    B, source = data(True)
    assert (B.shape, source) == ((256, 1200), "generated")
    assert np.linalg.norm(B, 2) == pytest.approx(1)
    assert np.ptp(np.linalg.norm(B, axis=0)) < 1e-12
