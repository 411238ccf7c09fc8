"""Shifts: the elliptic ones are optimal for an interval, the adaptive ones lie in the spectrum of the projection."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import solve_continuous_lyapunov
from scipy.special import ellipj, ellipk

from rnla.errors import InputError
from rnla.matfun.shifts import adaptive_shift, elliptic_shifts, steps_needed


@pytest.mark.parametrize("ratio", [2.0, 1e2, 1e4])
@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_elliptic_shifts_are_those_of_the_formula(ratio: float, count: int) -> None:
    lo, hi = 0.3, 0.3 * ratio
    m = 1 - (lo / hi) ** 2
    places = (2 * np.arange(1, count + 1) - 1) * ellipk(m) / (2 * count)
    np.testing.assert_allclose(elliptic_shifts(lo, hi, count), hi * ellipj(places, m)[2], rtol=1e-7)


@pytest.mark.parametrize("ratio", [1.0, 3.0, 1e2, 1e6, 1e9])
@pytest.mark.parametrize("count", [1, 4, 9])
def test_elliptic_shifts_reflect_each_other(ratio: float, count: int) -> None:
    """dn(u) dn(K - u) is the complementary modulus, so that the shifts come in pairs of product lo hi."""
    shifts = np.array(elliptic_shifts(1.0, ratio, count))
    np.testing.assert_allclose(shifts * shifts[::-1], ratio, rtol=1e-9)
    assert (np.diff(shifts) <= 0).all()
    assert (shifts >= 1 - 1e-9).all()
    assert (shifts <= ratio * (1 + 1e-9)).all()


@pytest.mark.parametrize("ratio", [2.0, 1e1, 1e3, 1e5])
@pytest.mark.parametrize("count", [1, 3, 8, 15])
def test_the_rational_function_of_the_shifts_keeps_the_bound_of_zolotarev(ratio: float, count: int) -> None:
    """Over the interval max prod ((x - s) / (x + s))^2 is Zolotarev's number, <= 4 exp(-pi^2 J / log(4 hi / lo))."""
    shifts = np.array(elliptic_shifts(1.0, ratio, count))
    x = np.geomspace(1.0, ratio, 4001)[:, None]
    worst = float((((x - shifts) / (x + shifts)) ** 2).prod(axis=1).max())
    bound = 4 * np.exp(-(np.pi**2) * count / np.log(4 * ratio))
    assert worst <= bound
    # Nothing smaller is possible, so that other shifts do worse: equioscillation is felt at the ends.
    ends = np.prod(((1.0 - shifts) / (1.0 + shifts)) ** 2)
    assert ends == pytest.approx(worst, rel=1e-3)


def test_the_steps_needed_are_the_first_below_the_bound() -> None:
    for ratio in (1.5, 1e2, 1e4):
        for tol in (1e-3, 1e-8, 1e-13):
            j = steps_needed(1.0, ratio, tol)
            rate = np.pi**2 / np.log(4 * ratio)
            assert 4 * np.exp(-rate * j) <= tol * (1 + 1e-9)
            assert j == 1 or 4 * np.exp(-rate * (j - 1)) > tol


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (2.0, 1.0), (1.0, np.inf), (-1.0, 1.0)])
def test_elliptic_shifts_refuse_no_interval(bounds: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="0 < lo <= hi"):
        elliptic_shifts(*bounds, 3)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("field", ["real", "complex"])
def test_adaptive_shifts_lie_in_the_spectrum_after_the_change(sign: int, field: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        x = rng.standard_normal((12, 12)) + (1j * rng.standard_normal((12, 12)) if field == "complex" else 0)
        S = x @ x.conj().T + np.eye(12)
        r = rng.standard_normal((12, 2)).astype(x.dtype)
        if sign < 0:
            r *= 0.9 / np.linalg.norm(np.linalg.solve(S, r), 2)
        s = adaptive_shift(S, r, [rng.standard_normal((12, 2)).astype(x.dtype)], sign)
        after = S @ S + sign * (r @ r.conj().T)
        # T^2 <= (S^2 projected), so that nothing bounds s^2 by the smallest eigenvalue of S^2, but the largest does.
        assert 0 < s <= np.sqrt(np.linalg.eigvalsh(after)[-1]) * (1 + 1e-12)


def test_the_adaptive_shift_of_a_whole_space_is_an_eigenvalue_that_holds_the_residual() -> None:
    S, r = np.diag([1.0, 10.0, 100.0]), np.array([[0.0], [1e-9], [0.0]])
    assert adaptive_shift(S, r, [np.eye(3)[:, :1], np.eye(3)[:, 2:]], 1) == pytest.approx(10.0)


@pytest.mark.parametrize("field", ["real", "complex"])
def test_the_adaptive_shift_is_where_the_residual_moves_the_root_most(field: str) -> None:
    """To first order the root moves by Y, S Y + Y S = R R^H: an eigenvector that holds r of R, by r^2 / (2 theta).

    Eigenvalues are far apart and the parts of the residual nearly equal, so that the largest part seldom decides.
    """
    rng, largest = np.random.default_rng(5), 0
    for _ in range(40):
        x = rng.standard_normal((6, 6)) + (1j * rng.standard_normal((6, 6)) if field == "complex" else 0)
        U, theta = np.linalg.qr(x)[0], rng.permutation(np.geomspace(1.0, 300.0, 6))
        parts = rng.uniform(1.0, 20.0, (6, 1))
        S, r = (U * theta) @ U.conj().T, 1e-7 * U @ parts
        moved = np.diag(U.conj().T @ solve_continuous_lyapunov(S, r @ r.conj().T) @ U).real
        s = adaptive_shift(S, r, [np.eye(6)[:, :5]], 1)
        assert s == pytest.approx(theta[np.argmax(moved)], rel=1e-6)
        largest += int(np.argmax(parts) == np.argmax(moved))
    assert largest < 20
