"""Matrices whose squares leave the range of their dtype, and those of one row or column."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import rnla
from rnla._kernels.thresholding import Tally
from rnla.rng import Key
from rnla.robust.cross import _step
from rnla.robust.protocols import Problem
from rnla.robust.reading import Reader
from rnla.robust.scaling import exponent_for, scaled_method
from rnla.robust.thresholds import column_levels
from tests.robust.model import model

D, LOW, _ = model(300, 280, 3, 0.1, seed=3)
EVERY = ["riecur", "ircur", "accaltproj", "altproj", "pcp"]


@pytest.mark.parametrize("method", EVERY)
@pytest.mark.parametrize("exponent", [-1000, -664, 531, 996])
def test_a_power_of_two_changes_nothing(method: str, exponent: int) -> None:
    """The answer of D 2^e is that of D, to the last bit but for the level that the work is scaled to."""
    d = D * 2.0 ** (exponent // 2) * 2.0 ** (exponent - exponent // 2)
    result = rnla.robust_pca(d, None if method == "pcp" else 3, method=method, rng=0)
    plain = rnla.robust_pca(D, None if method == "pcp" else 3, method=method, rng=0)
    assert result.iterations == plain.iterations
    assert np.allclose(np.ldexp(result.s, -exponent), plain.s, rtol=1e-9)
    assert np.isclose(np.ldexp(result.threshold, -exponent), plain.threshold, rtol=1e-2)
    assert np.allclose(np.ldexp(result.trace[1:, 1], -exponent), plain.trace[1:, 1], rtol=1e-5)
    assert np.allclose(result.trace[:, 0], plain.trace[:, 0], rtol=1e-3)
    assert result.S.sparse().nnz == plain.S.sparse().nnz
    assert np.allclose(np.ldexp(result.S.rows([3]), -exponent), plain.S.rows([3]), atol=1e-6)
    assert any("times 2^" in note for note in result.report.notes)
    assert np.isclose(result.error.absolute, result.error.value * np.ldexp(np.linalg.norm(plain.s), exponent))


@pytest.mark.parametrize("method", ["riecur", "ircur", "accaltproj", "altproj"])
@pytest.mark.parametrize("scale", [1e-40, 1e-22, 1e25])
def test_single_precision(method: str, scale: float) -> None:
    result = rnla.robust_pca((D * scale).astype(np.float32), 3, method=method, rng=0)
    assert result.status.ok
    found = (result.U.astype(float) * (result.s.astype(float) / scale)) @ result.Vh.astype(float)
    assert np.linalg.norm(found - LOW) <= 2e-3 * np.linalg.norm(LOW)  # entries of 1e-40 have three digits


@pytest.mark.parametrize("method", ["riecur", "accaltproj"])
def test_levels_that_the_caller_gives_are_in_the_scale_of_D(method: str) -> None:
    scale = 2.0**-700
    first = float(np.abs(D).max())
    asked = rnla.Threshold(start=first * scale, least=1e-6 * scale)
    result = rnla.robust_pca(D * scale, 3, method=rnla.robust.ROBUST_METHODS[method](threshold=asked), rng=0)
    assert result.trace[0, 1] <= 1.01 * first * scale
    assert result.threshold >= 1e-6 * scale
    found = (result.U * np.ldexp(result.s, 700)) @ result.Vh
    assert np.linalg.norm(found - LOW) <= 20e-7 * np.linalg.norm(LOW)


@pytest.mark.parametrize("kind", ["entries", "rows-and-columns", "memmap", "mask", "columns", "complex"])
def test_other_kinds(kind: str, tmp_path: Any) -> None:
    scale, options, low = 2.0**-680, {}, LOW
    d: Any = D * scale
    if kind == "entries":

        class Entries:
            shape, dtype = D.shape, D.dtype

            def entries(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
                return D[np.ix_(i, j)] * scale

        d = Entries()
    elif kind == "rows-and-columns":

        class Parts:
            shape, dtype = D.shape, D.dtype

            def rows(self, i: np.ndarray) -> np.ndarray:
                return D[i] * scale

            def columns(self, j: np.ndarray) -> np.ndarray:
                return D[:, j] * scale

        d = Parts()
    elif kind == "memmap":
        np.save(tmp_path / "d.npy", d)
        d = np.load(tmp_path / "d.npy", mmap_mode="r")
    elif kind == "mask":
        mask = np.random.default_rng(0).random(D.shape) < 0.9
        d, options = np.where(mask, d, np.nan), {"mask": mask}
    elif kind == "columns":
        bad = np.arange(280) % 10 == 4
        d = (LOW + np.where(bad, 20.0, 0.0) * np.random.default_rng(1).standard_normal(D.shape)) * scale
        options = {"threshold": "columns", "tol": 1e-6}
    elif kind == "complex":
        plain, low, _ = model(300, 280, 3, 0.1, seed=3, dtype="complex128")
        d = plain * scale
    result = rnla.robust_pca(d, 3, rng=0, **options)
    found = (result.U * np.ldexp(result.s, 680)) @ result.Vh
    good = np.arange(280) % 10 != 4 if kind == "columns" else slice(None)
    assert np.linalg.norm((found - low)[:, good]) <= 20e-6 * np.linalg.norm(low)


def test_outliers_beyond_all_bounds_do_not_make_the_scale_in_silence() -> None:
    """In their scale squares of L vanish: nothing may be called met there."""
    rng = np.random.default_rng(0)
    d = np.where(rng.random(D.shape) < 0.1, rng.uniform(-1e250, 1e250, D.shape), D)
    for method in ("riecur", "ircur", "accaltproj"):
        result = rnla.robust_pca(d, 3, method=method, rng=0, on_failure="return", max_iterations=3000)
        assert not result.status.ok


def test_exponents() -> None:
    for dtype in (np.float32, np.float64):
        assert exponent_for(1.0, np.dtype(dtype)) == exponent_for(0.0, np.dtype(dtype)) == 0
    assert exponent_for(2.0**-300, np.dtype(float)) == -299
    assert exponent_for(np.inf, np.dtype(float)) == 0
    part = scaled_method(rnla.RieCUR(threshold=rnla.Threshold(start=8.0, least=2.0)), 1).threshold
    assert (part.start, part.least) == (4.0, 1.0)
    assert scaled_method(rnla.RieCUR(threshold=rnla.Threshold(least=1e300)), -1000).threshold.least < np.inf
    levels = column_levels(np.array([[3e-300, 0.0], [4e-300, 0.0]]))
    assert np.allclose(levels, [np.sqrt(12.5) * 1e-300, 0.0], rtol=1e-12, atol=0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (1, 300), (300, 1)])
def test_one_row_or_one_column_is_its_own_low_rank_part(shape: tuple[int, int]) -> None:
    d = np.random.default_rng(0).standard_normal(shape)
    result = rnla.robust_pca(d, 1, rng=0)
    assert np.allclose(result.L.to_array(), d, rtol=1e-12)
    assert result.S.sparse().nnz == 0


def test_subnormal_numbers_are_worked_on_without_an_overflow() -> None:
    """They are read once in their own scale, where one over their singular values is no number."""
    d = np.ldexp(D / np.abs(D).max(), -1060)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = rnla.robust_pca(d, 3, method="riecur", rng=0, on_failure="return")
    assert np.isfinite(result.s).all()


def test_sums_that_overflow_are_no_residual_of_zero() -> None:
    """What is left over an infinite norm of D - S would be nothing, and the answer met."""
    none = np.zeros(0, dtype=np.int64)
    problem = Problem(Reader(D), 3, 1e-7, 99, Key(0), None, none, none)
    sound, overflowed = Tally(1.0, 4.0, 0, 1.0), Tally(1.0, np.inf, 0, 1.0)
    ones = np.ones((2, 2))
    assert _step(sound, sound, 1.0, ones, ones, 2, 2, problem).residual == 0.5
    for pair in ((sound, overflowed), (overflowed, sound), (Tally(np.inf, np.inf, 0, 1.0), sound)):
        assert _step(*pair, 1.0, ones, ones, 2, 2, problem).residual == np.inf
