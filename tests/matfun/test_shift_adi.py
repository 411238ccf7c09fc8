"""`ShiftADI`: its identity, its agreement with the transcription, its monotony, and what a bad solver does to it."""

from __future__ import annotations

import numpy as np
import pytest

import rnla
from rnla.errors import InputError, OperatorError
from rnla.matfun.protocols import RootProblem
from rnla.matfun.roots import DiagonalRoot
from rnla.matfun.shifts import steps_needed
from rnla.rng import Key
from tests.matfun.exact import POWERS, backward, case, needs_extended, norm, root, truth
from tests.reference import shmueli2022

EPS = np.finfo(float).eps


def problem(made, target=0.0):
    """A case as the method gets it; target 0 is never met, so that the number of steps decides."""
    H, D = np.diag(made.H).real.copy(), made.D
    dtype = np.result_type(H.dtype, D.dtype)
    return RootProblem(DiagonalRoot(H, dtype), D, made.sign, target, np.linalg.norm(D, 2) ** 2, Key(0), True)


def iterate(made, steps, **options):
    """S and R after some steps."""
    found = rnla.ShiftADI(steps=steps, **options).correct(problem(made))
    basis = found.Q @ found.W
    return made.H + (basis * found.w) @ basis.conj().T, found.Q @ found.state.R, found


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("condition", [1e2, 1e6])
def test_the_equation_holds_after_every_step(sign: int, field: str, condition: float) -> None:
    made = case(condition, sign, field=field, k=2)
    for steps in range(1, 14):
        S, R, found = iterate(made, steps)
        left = made.B - S @ S - sign * (R @ R.conj().T)
        assert np.linalg.norm(left, 2) <= 20 * EPS * np.linalg.norm(made.B, 2)
        assert found.residual == pytest.approx(np.linalg.norm(R, 2) ** 2, rel=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("shifts", ["adaptive", "elliptic"])
def test_it_is_the_transcription_with_the_same_shifts(sign: int, field: str, shifts: str) -> None:
    made = case(1e4, sign, field=field)
    interval = (float(np.sqrt(np.linalg.eigvalsh(made.B)[0])) if sign < 0 else 1.0, 120.0)
    for steps in (1, 2, 5, 11):
        S, R, found = iterate(made, steps, shifts=shifts, interval=interval)
        theirs = shmueli2022.alternating_directions(made.H, made.D, sign, list(found.shifts))
        # The two differ by rounding, which a solve with H + s I magnifies by at most the condition of H, 100.
        level = 1e4 * EPS
        assert np.linalg.norm(S - theirs[-1][0], 2) <= level * np.linalg.norm(S, 2)
        assert np.linalg.norm(R - theirs[-1][1], 2) <= level * np.linalg.norm(made.D, 2)
        squares = [np.linalg.norm(r, 2) ** 2 for _, r in theirs]
        np.testing.assert_allclose(found.history, squares, rtol=1e-6, atol=level * squares[0])


@needs_extended
@pytest.mark.parametrize("sign", [1, -1])
def test_the_iterates_come_to_the_root_from_one_side(sign: int) -> None:
    made = case(1e4, sign)
    exact = root(made.B).astype(float)
    slack = 50 * EPS * np.linalg.norm(made.B, 2) / np.sqrt(np.linalg.eigvalsh(made.B)[0])
    before = made.H
    for steps in range(1, 16):
        S, _, _ = iterate(made, steps)
        assert np.linalg.eigvalsh(sign * (exact - S))[0] >= -slack
        assert np.linalg.eigvalsh(sign * (S - before))[0] >= -slack
        before = S


@needs_extended
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6, 1e8])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_error_of_the_root_is_below_what_is_asked_and_what_is_said(
    sign: int, field: str, dense: bool, condition: float, seed: int
) -> None:
    made = case(condition, sign, field=field, dense=dense, seed=seed)
    result = rnla.sqrtm_update(made.A_half, made.D, sign=sign)
    exact = truth(made, 0.5)
    true = backward(exact, result)
    assert true <= result.error.absolute
    assert result.error.value <= 1e-13
    assert true <= 1e-13 * norm(exact.target)
    assert result.error.norm_of_A <= norm(exact.target) * (1 + 1e-12)  # relative to a lower bound
    assert result.error_of_change == pytest.approx(result.error.absolute / norm(made.D) ** 2, rel=1e-6)


@needs_extended
@pytest.mark.parametrize("seed", range(4))
def test_stopped_after_few_steps_it_says_the_error_that_it_has(seed: int) -> None:
    for sign in (1, -1):
        made = case(1e6, sign, seed=seed)
        exact = truth(made, 0.5)
        for steps in (1, 3, 6, 9):
            result = rnla.sqrtm_update(
                made.A_half, made.D, sign=sign, method=rnla.ShiftADI(steps=steps), on_failure="return"
            )
            true = backward(exact, result)
            assert true <= result.error.absolute
            assert result.error.absolute <= true * (1 + 1e-6) + 1e-13 * norm(exact.target)  # an identity, no bound


def test_twenty_thousand_rows_take_few_steps_and_no_more_products_than_said() -> None:
    rng = np.random.default_rng(0)
    h = np.sqrt(np.geomspace(1.0, 1e4, 20_000))
    D = rng.standard_normal((20_000, 5))
    result = rnla.sqrtm_update(h, D)
    assert result.status.ok
    assert result.steps < 25
    assert result.report.products <= 3 * 5 * (result.steps + 1) + 5


@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6])
def test_elliptic_shifts_take_the_steps_of_the_bound(condition: float) -> None:
    """norm(R_J)^2 <= 4 exp(-pi^2 J / log(4 hi / lo)) norm(D)^2 up to a small factor, here two steps more."""
    for sign in (1, -1):
        made = case(condition, sign, share=0.5)
        B = np.linalg.eigvalsh(made.B)
        lo, hi = min(1.0, np.sqrt(B[0])), max(np.sqrt(condition), np.sqrt(B[-1]))
        method = rnla.ShiftADI(shifts="elliptic", interval=(lo, hi))
        result = rnla.sqrtm_update(made.A_half, made.D, sign=sign, method=method, tol=1e-10)
        aim = 1e-10 * np.linalg.norm(made.B, 2) / np.linalg.norm(made.D, 2) ** 2 / 4
        assert result.status.ok
        assert result.steps <= steps_needed(lo, hi, aim) + 2


def test_elliptic_shifts_need_to_know_the_spectrum() -> None:
    class Products:
        shape, dtype = (30, 30), np.dtype(float)
        h = np.linspace(1.0, 2.0, 30)[:, None]

        def matmat(self, x):
            return self.h * x

        def shifted_solve(self, s, x):
            return x / (self.h + s)

    method = rnla.ShiftADI(shifts="elliptic")
    with pytest.raises(InputError, match="interval="):
        rnla.sqrtm_update(Products(), np.ones((30, 1)), method=method)
    method = rnla.ShiftADI(shifts="elliptic", interval=(1.0, 8.0))
    assert rnla.sqrtm_update(Products(), np.ones((30, 1)), method=method).status.ok


class Liar:
    """A root whose solves have a relative error."""

    dtype = np.dtype(float)

    def __init__(self, h, wrong):
        self.h, self.wrong, self.shape = h[:, None], wrong, (len(h), len(h))

    def matmat(self, x):
        return self.h * x

    def shifted_solve(self, s, x):
        noise = np.cos(1e4 * np.arange(x.size, dtype=float)).reshape(x.shape)
        return x / (self.h + s) * (1 + self.wrong * noise)


@needs_extended
@pytest.mark.parametrize("wrong", [1e-12, 1e-9, 1e-6])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_solver_that_does_not_quite_solve_is_not_believed(wrong: float, sign: int) -> None:
    """The basis is what an inexact solver gives, so that the error is there but measured; far off, it is refused."""
    made = case(1e4, sign)
    try:
        result = rnla.sqrtm_update(Liar(made.A_half, wrong), made.D, sign=sign, on_failure="return")
    except (OperatorError, InputError):
        assert wrong >= 1e-6
        return
    assert backward(truth(made, 0.5), result) <= result.error.absolute


def test_a_solver_that_does_not_solve_is_refused() -> None:
    made = case(1e4)
    with pytest.raises(OperatorError, match="shifted_solve"):
        rnla.sqrtm_update(Liar(made.A_half, 0.5), made.D)


@pytest.mark.parametrize("recent", [0, 1, 3])
def test_any_number_of_recent_directions_leads_there(recent: int) -> None:
    made = case(1e4)
    assert rnla.sqrtm_update(made.A_half, made.D, method=rnla.ShiftADI(recent=recent)).error.value <= 1e-13


def test_the_options_are_checked() -> None:
    for options in ({"shifts": "random"}, {"steps": 0}, {"recent": -1}):
        with pytest.raises(InputError):
            rnla.ShiftADI(**options)


@needs_extended
@pytest.mark.parametrize("power", POWERS)
def test_the_other_powers_are_as_good_where_nothing_is_decomposed(power: float) -> None:
    for condition in (1e2, 1e5, 1e8):
        for sign in (1, -1):
            made = case(condition, sign, seed=2)
            exact = truth(made, power)
            result = rnla.sqrtm_update(made.A_half, made.D, sign=sign, power=power)
            assert backward(exact, result) <= result.error.absolute
            assert result.error.value <= 2e-13
