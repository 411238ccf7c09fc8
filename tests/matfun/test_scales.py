"""Numbers of any size: scaling A_half and D by a power of two scales the answer, and what overflows is told."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.errors import NonFiniteError
from rnla.matfun.change import cut
from rnla.matfun.roots import DiagonalRoot, scaled
from rnla.matfun.scaling import common_exponent, require_representable
from tests.matfun.exact import POWERS, backward, case, forward, needs_extended, norm, truth
from tests.matfun.given import Counting, tridiagonal

N, K = 36, 3
EXPONENTS = {"float64": (-498, -300, 300, 498), "float32": (-60, -30, 30, 60)}  # 1e-150 .. 1e150, 1e-18 .. 1e18


def forms(name: str, dtype: str, sign: int) -> tuple[Any, Any]:
    made = case(1e3, sign, n=N, k=K, dense=name != "diagonal", share=0.5)
    A, D = made.A_half.astype(dtype), made.D.astype(dtype)
    if name == "sparse":
        A = tridiagonal(N, dtype)
        D = D if sign > 0 else (D / (2 * np.linalg.norm(D, 2))).astype(dtype)
    return A, D


def call(name: str, A: Any, D: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an overflow on the way is a fault
        return rnla.sqrtm_update(Counting(A) if name == "operator" else A, D, rng=0, **options)


@pytest.mark.parametrize("dtype", EXPONENTS)
@pytest.mark.parametrize("name", ["diagonal", "dense", "sparse", "operator"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("power", POWERS)
def test_the_answer_only_scales(name: str, dtype: str, sign: int, power: float) -> None:
    """B^p of 2^e A^{1/2} and 2^e D is 2^{2 p e} times that of A^{1/2} and D; e is even, for the fourth roots."""
    if abs(power) < 0.5 and name in ("sparse", "operator"):
        return
    A, D = forms(name, dtype, sign)
    plain = call(name, A, D, sign=sign, power=power)
    for e in EXPONENTS[dtype]:
        size = np.dtype(dtype).type(2.0**e)
        result = call(name, A * size, D * size, sign=sign, power=power)
        shift = round(2 * power * e)
        assert result.status.ok
        # The smallest eigenvalues are near the tolerance, where rounding moves them.
        w, v = np.ldexp(result.w.astype(float), -shift), result.V
        both = [(x * np.asarray(y, float)) @ x.T for x, y in ((v, w), (plain.V, plain.w))]
        bound = plain.forward_bound + np.ldexp(result.forward_bound, -shift)
        assert np.linalg.norm(both[0] - both[1], 2) <= bound + 50 * np.finfo(dtype).eps * np.abs(plain.w).max()
        assert result.error.upper == pytest.approx(plain.error.upper, rel=0.6)
        of_b = 2 * e if power > 0 else -2 * e
        assert result.error.norm_of_A == pytest.approx(np.ldexp(plain.error.norm_of_A, of_b), rel=0.5)
        if result.shifts:
            assert np.ldexp(result.shifts[0], -e if power > 0 else e) == pytest.approx(plain.shifts[0], rel=1e-2)
        x = np.ones((N, 1), dtype)
        np.testing.assert_allclose(
            np.ldexp((result @ x).astype(float), -shift), plain @ x, rtol=0,
            atol=np.sqrt(N) * bound + 1e3 * np.finfo(dtype).eps * np.abs(plain @ x).max(),
        )  # fmt: skip


def test_the_scale_is_exact() -> None:
    """Powers of two round nothing: the bits of a diagonal root's correction are the same where e is in the note."""
    A, D = forms("diagonal", "float64", 1)
    one, other = (call("diagonal", A * 2.0**e, D * 2.0**e) for e in (400, 300))
    np.testing.assert_array_equal(np.ldexp(one.w, -100), other.w)
    np.testing.assert_array_equal(one.V, other.V)
    assert any("divided by 2^" in note for note in one.report.notes)


def test_a_comfortable_size_is_left_alone() -> None:
    D = np.ones((5, 1))
    for size in (1e-3, 1.0, 1e6):
        assert common_exponent(DiagonalRoot(np.full(5, size), np.dtype(float)), cut(D, 0.1), 0.5) == 0
    assert common_exponent(DiagonalRoot(np.full(5, 1e150), np.dtype(float)), cut(D, 0.1), 0.5) == 498
    assert common_exponent(DiagonalRoot(np.full(5, 1.0), np.dtype(float)), cut(D * 1e150, 0.1), 0.5) == 500
    root = DiagonalRoot(np.full(5, 3.0), np.dtype(float))
    assert scaled(root, 0) is root


@needs_extended
@pytest.mark.parametrize("name", ["diagonal", "dense"])
@pytest.mark.parametrize("ratio", [1e-12, 1e-6, 1e-3, 1e3, 1e6])
@pytest.mark.parametrize("power", [0.5, -0.5])
def test_a_change_of_another_size_than_the_matrix(name: str, ratio: float, power: float) -> None:
    made = case(1e2, 1, n=N, k=K, dense=name == "dense", size=ratio)
    result = call(name, made.A_half, made.D, power=power, on_failure="return")
    exact = truth(made, power)
    oracle = 100 * float(np.finfo(np.longdouble).eps) * norm(exact.target)  # what extended precision cannot see
    assert backward(exact, result) <= result.error.absolute + oracle
    assert forward(exact, result) <= result.forward_bound + oracle
    assert backward(exact, result) <= 1e-11 * norm(exact.target)


@pytest.mark.parametrize("dtype", EXPONENTS)
@pytest.mark.parametrize("name", ["diagonal", "dense", "sparse", "operator"])
@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_change_that_cannot_be_seen(name: str, dtype: str, power: float, sign: int) -> None:
    """D D^H is below 1e-60 of A: the root of A is that of B to any digit, and the certificate says so."""
    if abs(power) < 0.5 and name in ("sparse", "operator"):
        return
    A, D = forms(name, dtype, 1)
    large, small = (1e18, 1e-18) if dtype == "float32" else (1e150, 1e-150)
    scale = np.dtype(dtype).type
    result = call(name, A * scale(large), D * scale(small), power=power, sign=sign)
    assert result.rank == 0
    assert result.error.upper < 1e-50


@pytest.mark.parametrize("dtype", EXPONENTS)
@pytest.mark.parametrize("name", ["diagonal", "dense", "sparse", "operator"])
def test_a_change_beside_which_the_matrix_cannot_be_seen(name: str, dtype: str) -> None:
    A, D = forms(name, dtype, 1)
    large, small = (1e18, 1e-18) if dtype == "float32" else (1e150, 1e-150)
    scale = np.dtype(dtype).type
    result = call(name, A * scale(small), D * scale(large))
    s = np.linalg.svd(D.astype(float), compute_uv=False)
    np.testing.assert_allclose(result.w[:K].astype(float) / large, s, rtol=1e3 * np.finfo(dtype).eps)
    with pytest.raises(NonFiniteError, match="times as large"):
        call(name, A * scale(small), D * scale(large), power=-0.5)


def test_a_correction_that_its_dtype_does_not_hold() -> None:
    """The inverse root of 1e-30 is 1e30, which single precision holds; the limit is checked by itself."""
    A, D = forms("diagonal", "float32", 1)
    result = call("diagonal", A * np.float32(1e-30), D * np.float32(1e-30), power=-0.5)
    assert np.isfinite(result.w).all()
    assert float(np.abs(result.w).max()) > 1e28
    require_representable(np.array([1e38]), np.dtype("float32"))
    for value in (1e39, np.inf):
        with pytest.raises(NonFiniteError, match="does not hold"):
            require_representable(np.array([value]), np.dtype("complex64"))


@pytest.mark.parametrize("size", [1e-140, 1.0, 1e140])
def test_a_wide_change_of_any_size(size: float) -> None:
    rng = np.random.default_rng(3)
    D = rng.standard_normal((N, 5)) @ rng.standard_normal((5, 700)) / 20
    plain, result = (rnla.sqrtm_update(np.linspace(1, 3, N) * s, D * s, rng=0) for s in (1.0, size))
    assert result.error.upper <= 1e-13
    x = np.ones(N)
    np.testing.assert_allclose((result @ x) / size, plain @ x, rtol=1e-10)


def test_columns_of_very_different_size() -> None:
    D = np.random.default_rng(2).standard_normal((N, 4)) * [1e100, 1.0, 1e-3, 1e-100]
    h = np.linspace(1.0, 3.0, N)
    S = call("diagonal", h, D[:, 1:]).matmat(np.eye(N))
    np.testing.assert_allclose(S @ S, np.diag(h**2) + D[:, 1:] @ D[:, 1:].T, atol=1e-12)
    result = call("diagonal", h, D)
    assert result.error.upper <= 1e-13
    assert result.w[0] == pytest.approx(np.linalg.norm(D[:, 0]))


@pytest.mark.parametrize("form", ["diagonal", "dense"])
@pytest.mark.parametrize("power", [0.5, 0.25])
def test_what_takes_all_of_A_away_is_told(form: str, power: float, tmp_path: Any) -> None:
    """Of B = 0 no relative error can be met; what is said of it is not small, and the absolute error is still true."""
    h = np.sqrt(np.geomspace(1, 1e4, 12))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = rnla.sqrtm_update(
            h if form == "diagonal" else np.diag(h), np.diag(h), sign=-1, power=power, on_failure="return"
        )
    assert not result.status.ok
    assert result.error.value == np.inf
    S = result @ np.eye(12)
    B = S @ S if power == 0.5 else S @ S @ S @ S
    assert np.linalg.norm(B, 2) <= result.error.absolute
    result.save(tmp_path / "all.npz")
    assert rnla.load(tmp_path / "all.npz").error.value == np.inf


def test_a_change_of_a_state_that_is_out_of_range_is_refused_or_nothing() -> None:
    """Of an even power of two that its squares do not survive: no column is left, or the cure is told."""
    state = rnla.SqrtState.init(np.eye(12), rng=0)
    with pytest.raises(rnla.NonFiniteError, match="nearer to 1"):
        state.update(np.full((12, 1), 1e200))
    before = state @ np.eye(12)
    state.update(np.full((12, 1), 1e-200))
    assert np.array_equal(state @ np.eye(12), before)
    state.update(np.full((12, 1), 1e-65))
    np.testing.assert_allclose(state @ np.eye(12), before, rtol=0, atol=1e-15)
    state.update(np.full((12, 1), 1e65))
    S = state @ np.eye(12)
    assert np.linalg.norm(S @ S - np.full((12, 12), 1e130), 2) <= state.error.value * 12e130
