"""The checks of the pictures of roots can fail, and what they are made of is what it says."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib")


def test_eigenvalues_above_the_bound_are_refused() -> None:
    from examples.roots import decay

    one = decay.case(100, 1e2, 1)
    w = decay.sizes(one)
    decay.check_decay(one, w)
    with pytest.raises(AssertionError):
        decay.check_decay(one, np.sqrt(w))


def test_a_method_that_takes_too_many_steps_is_refused() -> None:
    from examples.roots import decay

    one = decay.case(100, 1e4, 1)
    found = decay.residuals(one, [1, 4, 16])
    decay.check_steps(one, 1e4, found)
    slow = {**found, "elliptic shifts": (np.arange(60), np.geomspace(1, 1e-14, 60))}
    with pytest.raises(AssertionError):
        decay.check_steps(one, 1e4, slow)


def test_samples_of_another_covariance_are_refused() -> None:
    """Those of the right one pass, but with probability 2e-9."""
    from examples.roots import sampling

    model = np.array([[2.0, 1.0], [1.0, 2.0]])
    z = np.random.default_rng(0).standard_normal((2, 400))
    assert sampling.check_covariance(np.linalg.cholesky(model) @ z, model) <= 1
    with pytest.raises(AssertionError, match="deviate"):
        sampling.check_covariance(2 * z, model)


def test_the_grid_is_the_square_root_of_its_precision() -> None:
    """kappa^2 I - Laplacian on a grid: symmetric, positive, and constant fields are multiplied with kappa^2."""
    from examples.roots import sampling

    H = sampling.grid(7, 2.0)
    assert abs(H - H.T).max() == 0
    assert np.linalg.eigvalsh(H.toarray())[0] == pytest.approx(2.0)
    assert np.allclose(H @ np.ones(49), 2.0)


def test_losses_that_part_are_refused() -> None:
    from examples.roots import preconditioner as example

    problem = example.Regression(40, 5)
    runs = {way: example.descend(problem, 30, way) for way in example.WAYS}
    example.check(runs)
    drifted = dataclasses.replace(runs["updated"], losses=runs["updated"].losses * (1 + 1e-3))
    for other in ({"updated": drifted}, {"kept": runs["updated"]}):
        with pytest.raises(AssertionError):
            example.check(runs | other)


def test_a_whitening_that_is_off_is_refused() -> None:
    from examples.roots import whitening

    x, _ = whitening.pictures()
    looks, last, _ = whitening.follow(whitening.features(x[::40], 30, 60), 60, 40, 20)
    assert set(last) == {"updated", "first window's"}
    whitening.check(looks)
    for change in ({"updated": 1e-3}, {"bound": 1e-16}, {"kept": 0.5}):
        with pytest.raises(AssertionError):
            whitening.check([*looks[:-1], dataclasses.replace(looks[-1], **change)])


def test_without_scikit_learn_the_pictures_are_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    from examples.roots import whitening

    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    x, name = whitening.pictures()
    assert (x.shape, name) == ((8985, 64), "generated pictures")
    assert 0 <= x.min() <= x.max() <= 1
