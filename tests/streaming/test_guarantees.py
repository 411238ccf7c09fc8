"""One-pass approximations against the papers: the algorithms transcribed, and the theorems."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.rng import Key
from rnla.testing.spectra import matrix
from tests.reference import halko2011_single_pass, tropp2019

M, N = 60, 40


def squared_tails(A: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    s = np.linalg.svd(A, compute_uv=False)
    return np.append(np.cumsum((s**2)[::-1])[::-1], np.zeros(len(A) + 1))


def formed(result: rnla.SVDResult) -> np.ndarray[Any, Any]:
    return np.asarray(result.as_operator().to_array())


# --------------------------------------------------------------------------------------------------- the oracles
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_sketchy_svd_is_the_paper_s(dtype: Any) -> None:
    """Rounding grows with the condition of Phi^H Q, under 10 here."""
    A = matrix("inverse", M, N, dtype=dtype, rng=2)
    run = rnla.stream(A.shape, 4, dtype=dtype, rng=3).update(A)
    maps = [
        run.sketches.whole_map(name, over).conj().T
        for name, over in (("X", "rows"), ("Y", "columns"), ("Z", "rows"), ("Z", "columns"))
    ]
    X, Y, Z = tropp2019.sketches(A, *maps)
    expected = tropp2019.fixed_rank(*tropp2019.low_rank_approximation(X, Y, Z, *maps[2:]), 4)
    assert np.linalg.norm(formed(run.finish()) - expected) <= 1e-11 * np.linalg.norm(A)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_range_corange_is_the_paper_s(dtype: Any) -> None:
    A = matrix("inverse", M, N, dtype=dtype, rng=2)
    run = rnla.stream(A.shape, 4, method=rnla.RangeCorange(), dtype=dtype, rng=3).update(A)
    Omega, Psi = run.sketches.whole_map("Y", "columns"), run.sketches.whole_map("W", "rows").conj().T
    expected = tropp2019.range_corange(A @ Omega, Psi @ A, Psi, 4)
    assert np.linalg.norm(formed(run.finish()) - expected) <= 1e-11 * np.linalg.norm(A)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_the_nystrom_sketch_is_the_paper_s(dtype: Any) -> None:
    root = matrix("inverse", N, N, dtype=dtype, rng=2)
    A = root @ root.conj().T
    run = rnla.stream(A.shape, 4, method=rnla.NystromSketch(), dtype=dtype, rng=3).update(A)
    expected = tropp2019.fixed_rank_nystrom(A, run.sketches.whole_map("Y", "columns"), 4)
    assert np.linalg.norm(formed(run.finish()) - expected) <= 1e-10 * np.linalg.norm(A)
    assert (np.linalg.eigvalsh(A - formed(run.finish())) >= -1e-12).all()  # never above A


def test_the_shift_of_the_nystrom_sketch_is_taken_off_again() -> None:
    """Past the rank of A the eigenvalues are those of the shift alone, which is larger than rounding."""
    x = matrix([1.0, 0.5], 400, 2, rng=1)
    run = rnla.stream((400, 400), 3, method=rnla.NystromSketch(k=40), rng=3).update(x @ x.T)
    shift = 400**0.5 * np.finfo(float).eps * np.linalg.norm(run.sketches["Y"]) / 20  # norm of the orthonormal sketch
    with pytest.warns(rnla.RankWarning):
        assert run.finish().s[2] < 0.5 * shift


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_the_joint_cores_are_the_paper_s(dtype: Any) -> None:
    """The Hermitian minimiser, and the minimiser from both sides, each from one dense least-squares system."""
    A = matrix("inverse", M, N, dtype=dtype, rng=2)
    run = rnla.stream(A.shape, 4, method=rnla.TwoSided(k=9, basis=5), dtype=dtype, rng=3).update(A)
    low, _ = run.method.compress(run.sketches)
    maps = run.sketches.whole_map("Y", "columns"), run.sketches.whole_map("X", "rows")
    expected = halko2011_single_pass.joint_core(low.Q, low.P, *maps, run.sketches["Y"], run.sketches["X"])
    np.testing.assert_allclose(low.C, expected, atol=1e-12)

    H = matrix("inverse", N, N, dtype=dtype, rng=2)
    H = H + H.conj().T
    run = rnla.stream(H.shape, 4, method=rnla.HermitianSketch(k=9, basis=5), dtype=dtype, rng=3).update(H)
    low, _ = run.method.compress(run.sketches)
    Y, Omega = run.sketches["Y"], run.sketches.whole_map("Y", "columns")
    np.testing.assert_allclose(low.C, halko2011_single_pass.hermitian_core(low.Q, Omega, Y), atol=1e-12)
    leading = np.linalg.svd(Y)[0][:, :5]
    np.testing.assert_allclose(low.Q @ low.Q.conj().T, leading @ leading.conj().T, atol=1e-12)


def test_sizes_from_a_storage_are_the_paper_s() -> None:
    for shape, storage in (((1000, 1000), 48_000), ((1000, 1000), 192_000), ((900, 200), 30_000)):
        run = rnla.stream(shape, 10, storage=storage + 10 * shape[1], rng=0)
        assert (run.method.k, run.method.s) == tropp2019.storage_sizes(storage, *shape)
        assert run.storage <= storage + 10 * shape[1]
    for method in (rnla.RangeCorange(), rnla.TwoSided(), rnla.HermitianSketch(), rnla.NystromSketch()):
        run = rnla.stream((300, 300), 10, method=method, storage=25_000, rng=0)
        assert 25_000 - 3 * 300 - 1 <= run.storage <= 25_000


# --------------------------------------------------------------------------------------------------- the theorems
def below(values: list[float], bound: float) -> bool:
    """Whether a mean is not above a bound by more than five of its standard errors."""
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return mean - 5 * spread <= bound


@pytest.mark.statistical
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("spectrum", ["inverse_root", "exponential", "noise_1e-2", "flat"])
def test_the_error_of_sketchy_svd_is_within_its_theorem(spectrum: str, dtype: Any) -> None:
    """E norm(A - Q C P^H)_F^2 against the bound; alarm about 3e-7 a case were the bound an equality (five sigma)."""
    A = matrix(spectrum, M, N, dtype=dtype, rng=4)
    alpha = 1 if dtype == np.float64 else 0
    squares, k, s = [], 0, 0
    tail = math.sqrt(squared_tails(A)[3])
    for seed in range(25):
        run = rnla.stream(A.shape, 3, dtype=dtype, rng=seed).update(A)
        k, s = run.method.k, run.method.s
        squares.append(np.linalg.norm(A - formed(run.finish(k))) ** 2)
        cut = np.linalg.norm(A - formed(run.finish()))
        assert cut <= (tail + 2 * math.sqrt(squares[-1])) * (1 + 1e-12)  # holds for every run, not in the mean
    assert s == 2 * k + alpha
    bound = tropp2019.squared_error_bound(squared_tails(A), k, s, alpha)
    assert below(squares, bound)
    # The default sizes: at most 10/3 of the optimum for real data, 4 rank columns and twice as many for complex.
    assert bound <= (10 / 3 + 1e-12) * squared_tails(A)[3]


@pytest.mark.statistical
def test_the_error_of_the_core_is_what_the_derivation_says() -> None:
    """The identity under the theorem, for fixed Q and P; alarm about 6e-7 (five sigma, two sides)."""
    A = matrix("inverse_root", 30, 25, rng=4)
    k, s = 5, 13
    Q = np.linalg.qr(A @ Key(1).normals(0, 25, k))[0]
    P = np.linalg.qr(A.T @ Key(2).normals(0, 30, k))[0]
    inside, left, right = Q.T @ A @ P, A @ P - Q @ (Q.T @ A @ P), Q.T @ A - (Q.T @ A @ P) @ P.T
    outside = A - Q @ Q.T @ A - A @ P @ P.T + Q @ inside @ P.T
    f = k / (s - k - 1)
    mixed, rest = np.linalg.norm(left) ** 2 + np.linalg.norm(right) ** 2, np.linalg.norm(outside) ** 2
    expected = (1 + f) * mixed + (1 + f**2) * rest
    squares = []
    for seed in range(800):
        Phi, Psi = Key(seed).child("phi").normals(0, s, 30), Key(seed).child("psi").normals(0, s, 25)
        C = np.linalg.lstsq(Phi @ Q, Phi @ A @ Psi.T, rcond=None)[0]
        C = np.linalg.lstsq(Psi @ P, C.T, rcond=None)[0].T
        squares.append(np.linalg.norm(A - Q @ C @ P.T) ** 2)
    spread = np.std(squares, ddof=1) / math.sqrt(len(squares))
    assert abs(np.mean(squares) - expected) <= 5 * spread
    assert spread < 0.02 * expected  # so the identity is tested to ten per cent


@pytest.mark.statistical
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("spectrum", ["inverse_root", "exponential"])
def test_the_error_of_range_corange_is_within_its_theorem(spectrum: str, dtype: Any) -> None:
    """Theorem 4.3 of 2017; alarm about 3e-7 a case were the bound an equality (five sigma)."""
    A = matrix(spectrum, M, N, dtype=dtype, rng=4)
    alpha = 1 if dtype == np.float64 else 0
    squares = []
    for seed in range(25):
        run = rnla.stream(A.shape, 4, method=rnla.RangeCorange(), dtype=dtype, rng=seed).update(A)
        squares.append(np.linalg.norm(A - formed(run.finish(run.method.k))) ** 2)
    bound = tropp2019.range_corange_bound(squared_tails(A), run.method.k, run.method.l, alpha)
    assert below(squares, bound)


@pytest.mark.statistical
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_the_error_of_the_nystrom_sketch_is_within_its_theorem(dtype: Any) -> None:
    """Theorem 4.1 of 2017b, nuclear norm, after the cut; alarm about 3e-7 a case were the bound an equality."""
    root = matrix("inverse_root", N, N, dtype=dtype, rng=4)
    A = root @ root.conj().T
    alpha, r = (1 if dtype == np.float64 else 0), 4
    sums, k = [], 0
    for seed in range(25):
        run = rnla.stream(A.shape, r, method=rnla.NystromSketch(), dtype=dtype, rng=seed).update(A)
        k = run.method.k
        sums.append(float(np.linalg.norm(A - formed(run.finish()), "nuc")))
    tail = float(np.linalg.eigvalsh(A)[: N - r].sum())
    assert below(sums, (1 + r / (k - r - alpha)) * tail)
    assert min(sums) >= tail * (1 - 1e-12)


@pytest.mark.statistical
def test_sparse_signs_do_as_well_as_normals_here() -> None:
    """No theorem: on Haar vectors the mean squared errors of both maps differ by less than half.

    The alarm rate is under 1e-6: the spread of either mean is about 5 per cent, so the threshold is near ten sigma.
    """
    A = matrix("inverse_root", M, N, rng=4)
    means = []
    for sketch in ("gaussian", "sparse_sign"):
        method = rnla.SketchySVD(sketch=sketch)
        runs = [rnla.stream(A.shape, 3, method=method, rng=seed).update(A) for seed in range(20)]
        means.append(np.mean([np.linalg.norm(A - formed(run.finish())) ** 2 for run in runs]))
    assert 0.5 < means[0] / means[1] < 2


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("decay", "figures", "spreads"),
    [
        ("polynomial", (0.53, 0.48, 0.24), (0.032, 0.026, 0.010)),
        ("exponential", (0.31, 0.32, 0.08), (0.024, 0.024, 0.007)),
    ],
)
def test_errors_at_a_given_storage_are_those_of_another_implementation(
    decay: str, figures: tuple[float, ...], spreads: tuple[float, ...]
) -> None:
    """The experiment of the papers (n = 1000, rank 10, ten ones and a decay) at 48, 96 and 192 numbers a row.

    The figures, error over the best minus 1, are single runs of a prototype of 2019's algorithm with other random
    numbers, rounded to two digits; `spreads` is the deviation of one run of ours, over 12 seeds.
    The alarm rate is about 1e-6 a figure: five deviations of the difference to a mean of two runs.
    """
    n, rank = 1000, 10
    j = np.arange(1.0, n - rank + 1)
    d = np.append(np.ones(rank), (j + 1) ** -0.5 if decay == "polynomial" else 10 ** (-j / 100))
    A, best = np.diag(d), np.linalg.norm(d[rank:])
    for per_row, figure, spread in zip((48, 96, 192), figures, spreads, strict=True):
        results = [rnla.single_pass_svd(A, rank, storage=(per_row + 10) * n, rng=seed) for seed in range(2)]
        found = np.mean([np.linalg.norm(A - formed(result)) / best - 1 for result in results])
        assert abs(found - figure) <= 5 * spread * math.sqrt(1.5) + 0.005, per_row
