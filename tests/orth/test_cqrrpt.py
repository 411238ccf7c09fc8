"""CQRRPT and randomized Cholesky QR: orthonormal in every precision, the rank found, the diagonal near LAPACK's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.linalg

import rnla
from rnla._xp.namespace import to_host
from rnla.config import config_context
from rnla.orth import CQRRPT, CholeskyQR2, HouseholderQR, RandCholeskyQR
from rnla.orth.panel_sketch import panel_sketch, times_inverse
from rnla.rng import Key
from rnla.sketch import Gaussian, SparseStack
from rnla.testing import SPECTRA, matrix
from rnla.testing.orthonormalizers import panels

Array = np.ndarray[Any, Any]
DTYPES = ["float32", "float64", "complex64", "complex128"]


def eps_of(dtype: Any) -> float:
    return float(np.finfo(dtype).eps)


def check_pivoted(x: Array, found: tuple[Any, Any, Any]) -> int:
    """Hold a pivoted QR to orthonormality, shape and residual; return the rank that it found."""
    q, r, pivots = to_host(found[0]), to_host(found[1]), found[2]
    assert q.dtype == r.dtype == x.dtype
    eps, k = eps_of(x.dtype), q.shape[1]
    n, wide = x.shape[1], np.complex128 if x.dtype.kind == "c" else np.float64
    assert r.shape == (k, n)
    assert np.sort(pivots).tolist() == list(range(n))
    assert not np.any(np.tril(r[:, :k], -1))
    assert np.all(np.diagonal(r).real > 0) if k else True
    assert np.linalg.norm(q.astype(wide).conj().T @ q.astype(wide) - np.eye(k)) <= 30 * eps * math.sqrt(max(k, 1))
    scale = float(np.abs(x).max(initial=0.0)) or 1.0
    gap = np.linalg.norm(x[:, pivots].astype(wide) / scale - q.astype(wide) @ (r.astype(wide) / scale))
    # Columns past k are below 2 eps^0.95 of the first diagonal entry, each: hence the root of n.
    bound = 30 * eps * max(k, 1) + 8 * eps**0.95 * math.sqrt(n)
    assert gap <= bound * np.linalg.norm(x.astype(wide) / scale)
    return k


@pytest.mark.parametrize("dtype", DTYPES)
def test_hard_panels_in_every_library(dtype: str) -> None:
    torch, strict = pytest.importorskip("torch"), pytest.importorskip("array_api_strict")
    for name, x in panels(dtype):
        if name in {"graded below eps", "graded to eps", "columns of many scales", "rank deficient"}:
            continue  # cut at the rank: looked at below
        given = [there(np.array(x)) for there in (np.asarray, torch.from_numpy, strict.asarray)]
        ranks = {check_pivoted(x, CQRRPT().factor(one)) for one in given}
        assert len(ranks) == 1, name
        expected = {"zero": 0, "repeated columns": 4, "columns of zeros": 7, "no columns": 0, "no rows": 0}
        assert ranks == {expected.get(name, x.shape[1])}, name


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128"])
def test_rank_sixty_of_a_hundred(dtype: str) -> None:
    x = matrix(np.linspace(1, 0.5, 60), 3000, 100, dtype=dtype)
    q, r, pivots = CQRRPT().factor(x)
    assert check_pivoted(x, (q, r, pivots)) == 60
    assert np.linalg.norm(q.conj().T.astype(np.complex128) @ q - np.eye(60)) <= 8 * 60 * eps_of(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spectrum", sorted(SPECTRA))
def test_every_spectrum_stays_orthonormal(spectrum: str, dtype: str) -> None:
    """Single precision included: graded spectra leave triangles of condition 1/eps, which one Cholesky factor loses."""
    x = matrix(spectrum, 600, 40, dtype=dtype, rng=3)
    check_pivoted(x, CQRRPT().factor(x))
    check_pivoted(x, CQRRPT(sketch=Gaussian(), ratio=1.3, seed=4).factor(x))


def test_the_diagonal_is_near_lapacks() -> None:
    """A sketch of 2 n rows takes norms to within 1 + sqrt(1/2) and 1 - sqrt(1/2) of themselves: a ratio of 5.8."""
    for spectrum in ("exponential", "inverse", "inverse_square", "fast", "clustered", "noise_1e-2"):
        x = matrix(spectrum, 800, 40, rng=5)
        r = CQRRPT().factor(x)[1]
        lapack = np.abs(np.diagonal(scipy.linalg.qr(x, mode="r", pivoting=True)[0]))[: len(r)]
        ratio = np.diagonal(r) / lapack
        assert np.all((ratio > 1 / 5.8) & (ratio < 5.8)), spectrum


def test_a_rank_tolerance_cuts_and_the_rest_is_projected() -> None:
    x = matrix("noise_1e-4", 500, 40, rng=5)
    q, r, pivots = CQRRPT(rank_tolerance=1e-2).factor(x)
    assert q.shape[1] == 4
    rest = x[:, pivots] - q @ r
    assert np.linalg.norm(q.T @ rest) <= 1e-14
    assert np.linalg.norm(rest) <= 40 * 1e-4


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(rnla.InputError, match="tall"):
        CQRRPT().factor(np.ones((3, 4)))
    with pytest.raises(rnla.NonFiniteError):
        CQRRPT().factor(np.full((20, 4), np.nan))
    for bad in ({"ratio": 0.5}, {"rank_tolerance": 2.0}, {"seed": -1}):
        with pytest.raises(rnla.InputError):
            CQRRPT(**bad)
    with pytest.raises(rnla.InputError):
        RandCholeskyQR(seed=-1)


# ------------------------------------------------------------------------------------------ randomized Cholesky QR
class Refusing:
    """A fallback that must not be needed."""

    def factor(self, x: Any) -> tuple[Any, Any]:
        raise AssertionError("the fallback was used")


@pytest.mark.parametrize("dtype", DTYPES)
def test_ill_conditioned_panels_need_no_fallback(dtype: str) -> None:
    """Condition numbers up to 0.01 / eps, where CholeskyQR2 falls back."""
    eps = eps_of(dtype)
    x = matrix(np.geomspace(1, 100 * eps, 30), 2000, 30, dtype=dtype)
    q, r = RandCholeskyQR(fallback=Refusing()).factor(x)
    assert np.linalg.norm(q.conj().T.astype(np.complex128) @ q - np.eye(30)) <= 30 * eps * math.sqrt(30)
    assert np.linalg.norm(x - q.astype(np.complex128) @ r) <= 30 * eps * np.linalg.norm(x)
    with pytest.raises(AssertionError, match="fallback"):
        CholeskyQR2(fallback=Refusing()).factor(x)
    with pytest.raises(AssertionError, match="fallback"):
        RandCholeskyQR(fallback=Refusing()).factor(np.repeat(x[:, :3], 2, axis=1))


def test_the_same_seed_gives_the_same_bits_whatever_the_threads() -> None:
    x = Key(3).normals(0, 20_001, 12)
    found = []
    for threads in (1, 4):
        with config_context(threads=threads):
            found.append((*RandCholeskyQR().factor(x), *CQRRPT().factor(x)))
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)
    assert not np.array_equal(RandCholeskyQR(seed=1).factor(x)[0], found[0][0])
    fallback = RandCholeskyQR(fallback=HouseholderQR())
    assert np.array_equal(fallback.factor(x[:50])[0], HouseholderQR().factor(x[:50])[0])


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_the_sketch_is_that_of_the_test_matrix_in_every_library(dtype: str) -> None:
    torch, strict = pytest.importorskip("torch"), pytest.importorskip("array_api_strict")
    x = Key(1).normals(0, 20_000, 3, dtype=dtype)
    for sketch in (SparseStack(), Gaussian()):
        omega = sketch.tile(0, 20_000, 20_000, 12, Key(2), dtype=dtype)
        expected = omega.conj().T @ x / math.sqrt(12)
        for there in (np.asarray, torch.from_numpy, strict.asarray):
            found = to_host(panel_sketch(there(np.array(x)), sketch, 12, Key(2)))
            assert np.abs(found - expected).max() <= 1e3 * eps_of(dtype) * np.abs(expected).max()
    triangle = np.triu(Key(4).normals(0, 3, 3, dtype=dtype)) + 3 * np.eye(3, dtype=dtype)
    for there in (np.asarray, torch.from_numpy, strict.asarray):
        solved = to_host(times_inverse(there(np.array(x)), there(triangle.copy())))
        assert np.abs(solved @ triangle - x).max() <= 50 * eps_of(dtype) * np.abs(x).max()
