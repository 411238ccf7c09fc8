"""Sampling of coordinates: what is drawn and how often, the theorem on products, and where it fails."""

from __future__ import annotations

import math

import numpy as np
import pytest

import rnla
from rnla.rng import Key
from rnla.sketch import sketch_product
from rnla.testing.spectra import haar
from tests.sketch.parts import weights


@pytest.mark.parametrize("columns", [0, 1, 7, 20, 33])
def test_without_replacement_every_coordinate_comes_once_before_any_comes_again(columns: int) -> None:
    omega = rnla.RowSampling().tile(0, 20, 20, columns, Key(3))
    counts = np.count_nonzero(omega, axis=1)
    assert set(counts.tolist()) <= {columns // 20, -(-columns // 20)}
    assert np.all(omega[omega != 0] == math.sqrt(20))
    assert np.all(np.count_nonzero(omega, axis=0) == 1)


@pytest.mark.statistical
@pytest.mark.parametrize("weighted", [False, True])
def test_with_replacement_coordinates_come_as_often_as_their_weights_say(weighted: bool) -> None:
    """Chi-square over 30 coordinates and 30000 columns, alarm rate 1e-6."""
    from scipy.stats import chi2

    rows, columns = 30, 30_000
    p = weights(rows) if weighted else np.ones(rows)
    p = p / p.sum()
    part = rnla.RowSampling(weights(rows)) if weighted else rnla.RowSampling(replace=True)
    chosen, values = part.drawn(rows, columns, Key(5))
    counts = np.bincount(chosen, minlength=rows)
    assert float(((counts - columns * p) ** 2 / (columns * p)).sum()) <= chi2.isf(1e-6, rows - 1)
    assert np.allclose(values, 1 / np.sqrt(p[chosen]), rtol=1e-12)


def test_what_has_no_weight_is_never_drawn() -> None:
    given = np.array([0, 0, 3, 0, 1, 0, 0])
    chosen, values = rnla.RowSampling(given).drawn(7, 2000, Key(2))
    assert set(chosen.tolist()) == {2, 4}
    assert np.allclose(values, np.where(chosen == 2, math.sqrt(4 / 3), 2.0), rtol=1e-14)


def test_weights_are_copied_and_their_scale_does_not_matter() -> None:
    given = np.array([1.0, 2.0, 4.0])
    part = rnla.RowSampling(given)
    given[:] = 7.0
    assert part == rnla.RowSampling([8, 16, 32], replace=True)
    assert hash(part) == hash(rnla.RowSampling([8, 16, 32], replace=True))
    assert part != rnla.RowSampling([8, 16, 31])
    tiles = [one.tile(0, 3, 3, 50, Key(0)) for one in (part, rnla.RowSampling([8, 16, 32]))]
    assert np.array_equal(*tiles)
    with pytest.raises(ValueError, match="read-only"):
        part.weights[0] = 1.0


@pytest.mark.statistical
def test_products_are_approximated_as_the_theorem_says() -> None:
    """E norm(A Omega Omega^T A^T / l - A A^T)_F^2 = (norm(A)_F^4 - norm(A A^T)_F^2) / l for optimal weights.

    The mean over 400 keys at 7 standard errors: alarm rate under 1e-10.
    """
    A = Key(1).normals(0, 6, 40) * np.geomspace(1, 10, 40)
    squares = (A**2).sum(axis=0)
    exact, columns = A @ A.T, 25
    expected = (squares.sum() ** 2 - (exact**2).sum()) / columns
    part = rnla.RowSampling(squares)
    errors = []
    for i in range(400):
        Y = A @ part.tile(0, 40, 40, columns, Key(i))
        errors.append(float(((Y @ Y.T / columns - exact) ** 2).sum()))
    assert abs(np.mean(errors) - expected) <= 7 * np.std(errors, ddof=1) / math.sqrt(len(errors))


def test_uniform_sampling_misses_what_lives_on_few_coordinates_and_leverage_finds_it() -> None:
    """Three of 500 coordinates carry a dimension each: 40 uniform columns see all three with probability 0.0005."""
    V = np.zeros((500, 6))
    V[[17, 230, 411], [0, 1, 2]] = 1
    rest = np.setdiff1d(np.arange(500), [17, 230, 411])
    V[rest, 3:] = haar(497, 3, rng=1)
    leverage = (V**2).sum(axis=1)
    for part, found in ((rnla.RowSampling(), False), (rnla.RowSampling(leverage), True)):
        for i in range(5):
            s = np.linalg.svd(V.T @ part.tile(0, 500, 500, 40, Key(i)), compute_uv=False) / math.sqrt(40)
            assert (s[-1] > 0.1) == found


def test_a_sketch_reads_the_sampled_columns_alone() -> None:
    from rnla.operators.coerce import as_operator
    from rnla.operators.ledger import Ledger

    A = Key(1).normals(0, 30, 50)
    chosen, values = rnla.RowSampling().drawn(50, 8, Key(9))
    Y = sketch_product(Ledger(as_operator(A)), rnla.RowSampling(), 8, Key(9))
    assert np.array_equal(Y, A[:, chosen] * values)
