"""What a certificate adds up: each part made large in turn, so that one without it would be below the truth."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import rnla
import rnla.matfun.anchor
import rnla.matfun.inputs
import rnla.matfun.state_core
from rnla.matfun.anchor import probed
from rnla.matfun.downdates import change_of_inverse, half_solved
from rnla.matfun.inverse_bound import inverse_bound
from rnla.matfun.resolvents import Resolvents
from rnla.matfun.roots import DiagonalRoot
from rnla.rng import Key
from tests.matfun.exact import backward, case, needs_extended, norm, truth, wide

Array = np.ndarray[Any, Any]


def spoiled(what: str, size: float) -> Any:
    """Return a decomposition that is off: its eigenvalues, or its vectors, too long though they make up the matrix."""
    from rnla._xp.linalg import eigh

    def decompose(A: Array) -> tuple[Array, Array]:
        values, U = eigh(A)
        if what == "values":
            return values * (1 + size), U
        return values / (1 + size) ** 2, U * (1 + size)

    return decompose


def true_error(state: Any, B: Array) -> float:
    """Return norm(B - P^2) of a state, or norm(B^{-1} - P^2), relative, with products in extended precision."""
    P = wide(np.asarray(state @ np.eye(len(B))))
    exact = wide(B) if state.power > 0 else wide(np.linalg.inv(B))
    return norm(P @ P - exact) / norm(exact)


@needs_extended
@pytest.mark.parametrize("power", [0.5, -0.5])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("what", ["values", "vectors"])
def test_a_decomposition_that_is_off_is_in_the_error(
    what: str, sign: int, power: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The correction of a dense root is then that of another root; the bound on its own rounding is far below."""
    made = case(10.0, sign, dense=True, n=30)
    monkeypatch.setattr(rnla.matfun.inputs, "eigh", spoiled(what, 1e-9))
    result = rnla.sqrtm_update(made.A_half, made.D, sign=sign, power=power, tol=1e-13, on_failure="return")
    V, w = wide(result.V), wide(result.w)
    before = wide(made.H if power > 0 else np.linalg.inv(made.H))
    S, B = before + (V * w) @ V.T, wide(made.B if power > 0 else np.linalg.inv(made.B))
    error = norm(S @ S - B)
    assert error > 1e-11
    assert error <= result.error.absolute


@needs_extended
@pytest.mark.parametrize("what", ["values", "vectors"])
@pytest.mark.parametrize("power", [0.5, -0.5])
def test_a_decomposition_that_is_off_is_in_the_error_of_a_state(
    what: str, power: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    A = case(10.0, 1, dense=True, n=30).A
    D = np.random.default_rng(1).standard_normal((30, 2))
    monkeypatch.setattr(rnla.matfun.anchor, "eigh", spoiled(what, 1e-8))
    state = rnla.SqrtState.init(A, power=power, tol=1e-2, horizon=10**10, rng=0)
    for B in (A, A + D @ D.T):
        error = true_error(state, B)
        assert error > 1e-9
        assert error <= state.error.value
        state.update(D)


@pytest.mark.parametrize("power", [0.5, -0.5])
@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_a_scaled_state_has_the_relative_error_that_it_had(power: float, factor: float) -> None:
    made = case(1e3, 1, dense=True, n=30)
    state = rnla.SqrtState.init(made.A, power=power, rng=0).update(made.D)
    before = state.error
    after = state.scale(factor).error
    assert after.value == pytest.approx(before.value, rel=1e-12)
    share = factor if power > 0 else 1 / factor
    assert after.norm_of_A == pytest.approx(share * before.norm_of_A, rel=1e-12)
    assert after.absolute == pytest.approx(share * before.absolute, rel=1e-12)
    assert true_error(state, factor * made.B) <= after.value + 1e-13


@pytest.mark.parametrize("form", ["dense", "diagonal"])
def test_what_is_cut_from_a_change_is_in_the_error_of_a_state(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eigenvalues of a correction are dropped up to a level, here a large one, and the bound tells, now and later."""
    made = case(10.0, 1, dense=form == "dense", n=30, k=6)
    given = made.A if form == "dense" else np.diag(made.A)
    state = rnla.SqrtState.init(given, tol=0.1, horizon=1, keep_matrix=False, rng=0)
    monkeypatch.setattr(rnla.matfun.state_core, "droppable", lambda size, allowed: 1e-4)
    D = made.D * np.geomspace(1, 1e-2, 6)
    error = true_error(state.update(D), made.A + D @ D.T)
    assert error > 1e-7
    assert error <= state.error.value
    if form == "dense":  # of the root, since the matrix is not kept
        assert error * (1 - 1e-6) <= state.refactor().error.value


def test_what_is_dropped_where_changes_cancel_is_in_the_error_of_a_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a diagonal: neither of the two corrections has a small eigenvalue, and their sum has nothing else."""
    state = rnla.SqrtState.init(np.linspace(1.0, 3.0, 20), tol=0.1, horizon=1, rng=0)
    monkeypatch.setattr(rnla.matfun.state_core, "droppable", lambda size, allowed: 1e-4)
    d = np.eye(20)[:, :1]
    state.update(d).downdate(np.sqrt(1 - 1.8e-4) * d)
    error = true_error(state, np.diag(np.linspace(1.0, 3.0, 20)) + 1.8e-4 * d @ d.T)
    assert error == pytest.approx(1.8e-4 / 3, rel=1e-3)
    assert error <= state.error.value


def test_small_inverses_that_rounding_made_singular_leave_a_state_whole() -> None:
    """They only make the space that a correction is looked for in: the change is made as if they were not there."""
    held = Resolvents(np.linspace(1, 5, 20), np.array([1e-14, 0.5, 3.0]), np.zeros((20, 0)), 20)
    looked = held.look(np.ones((20, 1)) / 10, np.array([-1.0]))
    complements = looked.complements.copy()
    complements[1] = 0
    exact = looked._replace(complements=complements)
    held.take(exact)
    A = np.diag(np.linspace(1, 5, 20)) - np.ones((20, 20)) / 100
    assert np.allclose(held.solve(np.eye(20)), np.linalg.inv(A), atol=1e-10)
    assert np.isfinite(held.look(np.eye(20)[:, :1], np.ones(1)).block).all()


@pytest.mark.parametrize("power", [0.5, -0.5])
@pytest.mark.parametrize("form", ["dense", "diagonal"])
def test_what_is_known_of_the_matrix_of_a_state_is_true(form: str, power: float) -> None:
    """Its norm from both sides, its trace, and the norm of its inverse; one column is added again and again."""
    made = case(100.0, 1, dense=form == "dense", n=25, k=1)
    B = made.A
    state = rnla.SqrtState.init(B if form == "dense" else np.diag(B), power=power, rng=0)
    for i in range(24):
        sign = -1 if i % 4 == 3 else 1
        (state.update if sign > 0 else state.downdate)(made.D)
        B = B + sign * made.D @ made.D.T
        if i % 6 == 5:
            state.scale(0.5)
            B = B / 2
        known, values = state._core.drift, np.linalg.eigvalsh(B)
        assert known.lower <= values[-1] * (1 + 1e-12)
        assert values[-1] <= known.upper * (1 + 1e-12)
        assert known.trace == pytest.approx(values.sum(), rel=1e-9)
        if power < 0:
            assert 1 / values[0] <= known.inverse <= 2 / values[0]


@needs_extended
def test_a_measurement_counts_what_rounding_did_to_the_matrix_kept() -> None:
    """In single precision, where the sum of many changes is far from the matrix that is kept."""
    rng = np.random.default_rng(3)
    A = (np.eye(20) * 100).astype(np.float32)
    state, B = rnla.SqrtState.init(A, rng=0), wide(A.astype(float))
    for _ in range(60):
        D = rng.standard_normal((20, 1)).astype(np.float32)
        state.update(D)
        B = B + wide(D.astype(float)) @ wide(D.astype(float)).T
    state.measure()
    kept = norm(B - wide(state._core.matrix.astype(float)))
    assert 1e-6 < kept <= state._core.drift.matrix
    assert state.error.absolute >= state._core.drift.matrix


def test_measurements_that_may_fail_are_counted() -> None:
    """A decomposition is measured twice, a root against the matrix kept once more, an inverse by two again.

    So is the square of a root that the state begins with, which stands for the matrix from then on.
    """
    A = case(10.0, 1, dense=True, n=20).A
    state = rnla.SqrtState.init(A, rng=0)
    assert state.error.failure_probability == pytest.approx(2e-10)
    for i in range(3):
        state.update(np.eye(20)[:, i : i + 1])
    state.measure()
    assert state.error.failure_probability == pytest.approx(3e-10)
    state.refactor()
    assert state.error.failure_probability == pytest.approx(2e-10)
    assert rnla.SqrtState.init(A, power=-0.5, rng=0).error.failure_probability == pytest.approx(4e-10)
    assert rnla.SqrtState.init(np.ones(20), rng=0).error.failure_probability == 0
    for kept in (True, False):
        state = rnla.SqrtState.init(A_half=case(10.0, 1, dense=True, n=20).A_half, keep_matrix=kept, rng=0)
        assert state.error.failure_probability == pytest.approx(3e-10 if kept else 2e-10)
        state.update(np.eye(20)[:, :1]).refactor()
        assert state.error.failure_probability == pytest.approx(3e-10 if kept else 4e-10)


@pytest.mark.parametrize("fault", ["shift", "solve", "missed"])
def test_the_norm_of_an_inverse_is_bounded_whatever_the_solves_do(fault: str) -> None:
    """Of diag(1 .. 0.5, 0.01): solves with a shift, half of what they should be, or with a matrix that ends in 0.05."""
    b = np.append(np.geomspace(1.0, 0.5, 29), 1e-2)
    shift, missed, spoil, c = 0.0, 0.0, 1.0, b.copy()
    if fault == "shift":
        shift = 5e-3
    elif fault == "solve":
        spoil = 0.5
    else:
        c[-1], missed = 0.05, 0.04
    root = DiagonalRoot(np.ones(30), np.dtype(float))
    for seed in range(5):
        bound = inverse_bound(
            lambda x: spoil * x / (c + shift)[:, None], lambda x: (c + shift)[:, None] * x, missed, root,
            np.zeros((30, 0)), shift, Key(seed),
        )  # fmt: skip
        assert bound >= 100 * (1 - 1e-12)


def test_a_norm_is_probed_from_above() -> None:
    """Of matrices of rank 1, the hardest; false alarm with probability 2e-8 in all."""
    rng = np.random.default_rng(0)
    for seed in range(200):
        u, v = rng.standard_normal((2, 40, 1))
        E = u @ v.T
        assert probed(lambda x: E @ x, np.zeros((40, 0)), Key(seed)) >= np.linalg.norm(E, 2)  # noqa: B023


@pytest.mark.parametrize("form", ["dense", "diagonal"])
def test_a_downdate_that_lost_digits_seem_to_forbid_is_looked_at_again(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Near the boundary, after much larger changes: made where it is possible, with an error that is true."""
    looks = []
    again = rnla.matfun.state_core.Core._look_again

    def look(self: Any, panel: Any, signs: Array) -> Any:
        found = again(self, panel, signs)
        looks.append(form)
        return found

    monkeypatch.setattr(rnla.matfun.state_core.Core, "_look_again", look)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(5, 30))
        A = np.diag(np.geomspace(1, 1e-4, n))
        if form == "dense":
            U = np.linalg.qr(rng.standard_normal((n, n)))[0]
            A = U @ A @ U.T
            A = (A + A.T) / 2
        given = A if form == "dense" else np.diag(A)
        state, B = rnla.SqrtState.init(given, on_drift="return", rng=0), wide(A)
        for i in range(6):
            D = rng.standard_normal((n, 2)) * 10.0 ** rng.integers(-2, 4 if form == "dense" else 2)
            if i % 2:
                D *= np.sqrt((1 - 1e-6) / np.linalg.eigvalsh(D.T @ np.linalg.solve(B.astype(float), D))[-1])
            (state.downdate if i % 2 else state.update)(D)
            B = B + (-1) ** i * wide(D) @ wide(D).T
            P = wide(np.asarray(state @ np.eye(n)))
            assert norm(P @ P - B) <= state.error.absolute
    assert looks


@pytest.mark.parametrize("what", ["turned", "dropped"])
@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_not_in_the_change_of_an_inverse_is_bounded(sign: int, what: str) -> None:
    """D turned by t, to first order in t, and columns left out, near the boundary: (A +- D D^H)^{-1} is off by that."""
    made = case(10.0, sign, n=20, k=2, share=0.99 if what == "dropped" else 0.9)
    root = DiagonalRoot(made.A_half, np.dtype(float))
    for seed in range(10):
        E = np.random.default_rng(seed).standard_normal((20, 2)) * 1e-4
        E = E - made.D @ np.linalg.lstsq(made.D, E)[0]
        panel = made.D + E if what == "turned" else made.D
        C = made.A + sign * panel @ panel.T
        exact = np.linalg.inv(made.B) if what == "turned" else np.linalg.inv(C + 9 * sign * E @ E.T)
        found = np.linalg.inv(C)
        turned, dropped = (np.linalg.norm(E), 0.0) if what == "turned" else (0.0, 9 * np.linalg.norm(E, 2) ** 2)
        change, _ = change_of_inverse(root, half_solved(root, panel, True), panel, sign, turned, 0.0)
        change = dataclasses.replace(change, dropped=dropped)
        U = change.panel
        np.testing.assert_allclose(np.diag(1 / made.A_half**2) - sign * U @ U.T, found, atol=1e-11)
        error = np.linalg.norm(exact - found, 2)
        assert 1e-9 < error <= change.missed(np.linalg.norm(found, 2)) * (1 + 1e-3)


def test_what_is_left_out_is_bounded_where_the_inverse_is_half_gone() -> None:
    """The worst case of the bound: all of it along the smallest eigenvector."""
    change = rnla.matfun.change.Change(np.zeros((1, 0)), 1.0, 0.5, inverse=True)
    assert change.missed(1.0) == pytest.approx(1 / 0.5 - 1)
    assert change.missed(2.0) == np.inf


@needs_extended
@pytest.mark.parametrize("sign", [1, -1])
def test_a_small_equation_that_is_not_quite_solved_is_in_the_error(sign: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The solves in the projected space of `ShiftADI` have a relative error of 1e-9, all the others are right."""
    made, solve = case(1e2, sign, k=2), np.linalg.solve

    def spoilt(a: Array, b: Array) -> Array:
        triangular = not np.tril(a, -1).any() or not np.triu(a, 1).any()
        return solve(a, b) if triangular else solve(a, b) * (1 + 1e-9 * np.cos(np.arange(len(b))))[:, None]

    monkeypatch.setattr(np.linalg, "solve", spoilt)
    result = rnla.sqrtm_update(made.A_half, made.D, sign=sign, method=rnla.ShiftADI(), on_failure="return")
    monkeypatch.undo()
    error = backward(truth(made, 0.5), result)
    assert error > 1e-11 * norm(made.B)
    assert error <= result.error.absolute


@needs_extended
@pytest.mark.parametrize("dense", [True, False])
def test_a_closed_form_that_is_off_is_in_the_error(dense: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the projected equation of `KrylovGalerkin`; what is left of it is told in the norm of Frobenius."""
    import rnla.matfun.krylov_galerkin as module

    made, exact_root = case(10.0, 1, n=30, k=2, dense=dense), module.projected_root

    def spoilt(T: Array, M: Array, *rest: Any) -> Any:
        found = exact_root(T, M, *rest)
        Y = found.Y * (1 + 1e-9)
        left = float(np.linalg.norm((T + Y) @ (T + Y) - T @ T - M))
        return found._replace(Y=Y, left=left)

    monkeypatch.setattr(module, "projected_root", spoilt)
    method = rnla.KrylovGalerkin()
    result = rnla.sqrtm_update(made.A_half, made.D, method=method, tol=1e-12, on_failure="return")
    error = backward(truth(made, 0.5), result)
    assert error > 1e-11 * norm(made.B)
    assert error <= result.error.absolute
    assert not result.status.ok


@pytest.mark.parametrize("size", [1e5, 1e6])
def test_a_state_solves_where_large_changes_have_cancelled(size: float) -> None:
    """The inverse that is carried along has lost its digits, the root has not: to half the digits, as is promised."""
    for seed in range(3):
        made = case(4.0, 1, n=20, k=2, dense=True, seed=seed)
        state = rnla.SqrtState.init(made.A, on_drift="return", rng=0)
        state.update(size * made.D).downdate(size * made.D)
        x = np.random.default_rng(seed).standard_normal((20, 1))
        assert np.linalg.norm(state @ state.solve(x) - x) <= np.sqrt(np.finfo(float).eps) * np.linalg.norm(x)
