"""A kept root as an object: begun by `init`, copied, pickled, printed, multiplied with what fits."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import rnla
from rnla._xp.namespace import namespace_of

N = 40
rng = np.random.default_rng(5)
ROWS = rng.standard_normal((130, N)) / 10
C = ROWS[:90].T @ ROWS[:90]
WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "method": lambda state: state.copy(),
    "pickle": lambda state: pickle.loads(pickle.dumps(state)),
}


def begun(form: str, power: float = 0.5) -> Any:
    given = C + np.eye(N) if form == "dense" else np.linspace(1, 2, N)
    return rnla.SqrtState.init(given, power=power, rng=3)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", ["dense", "diagonal"])
@pytest.mark.parametrize("power", [0.5, -0.5])
def test_a_copy_goes_its_own_way(way: str, form: str, power: float) -> None:
    """After other changes each of the two is the root of its own matrix, and the first is as if never copied."""
    state, alone = begun(form, power), begun(form, power)
    for one in (state, alone):
        one.update(ROWS[90:93].T)
    other = WAYS[way](state)
    B = (C + np.eye(N) if form == "dense" else np.diag(np.linspace(1, 2, N))) + ROWS[90:93].T @ ROWS[90:93]
    other.update(ROWS[93]).downdate(ROWS[90])
    state.update(ROWS[94])
    alone.update(ROWS[94])
    assert np.array_equal(state @ np.eye(N), alone @ np.eye(N))
    wanted = [B + np.outer(ROWS[94], ROWS[94]), B + np.outer(ROWS[93], ROWS[93]) - np.outer(ROWS[90], ROWS[90])]
    for one, matrix in zip((state, other), wanted, strict=True):
        S = one @ np.eye(N)
        np.testing.assert_allclose(S @ S, matrix if power > 0 else np.linalg.inv(matrix), atol=1e-11)
    assert (other.changes, state.changes) == (3, 2)


@pytest.mark.parametrize("form", ["dense", "diagonal"])
def test_tensors_travel_too(form: str) -> None:
    torch = pytest.importorskip("torch")
    given = torch.eye(N, dtype=torch.float64) if form == "dense" else torch.ones(N, dtype=torch.float64)
    state = rnla.SqrtState.init(given, rng=0).update(torch.from_numpy(ROWS[0].copy()))
    for way in WAYS.values():
        other = way(state)
        x = torch.ones(N, dtype=torch.float64)
        assert namespace_of(other @ x) is namespace_of(x)
        assert torch.allclose(other @ x, state @ x)


def test_one_that_was_broken_off_does_not_travel(monkeypatch: pytest.MonkeyPatch) -> None:
    state = begun("dense")

    def torn(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(state._core.root), "add", torn)
    with pytest.raises(KeyboardInterrupt):
        state.update(ROWS[90])
    for way in WAYS.values():
        with pytest.raises(rnla.errors.IntegrityError, match="broken off"):
            way(state)


@pytest.mark.parametrize("arguments", [(), (C,), (np.ones(3),)])
def test_it_is_begun_by_init(arguments: Any) -> None:
    with pytest.raises(rnla.DTypeError, match=r"SqrtState\.init\(A\)"):
        rnla.SqrtState(*arguments)


@pytest.mark.parametrize("form", ["dense", "diagonal"])
@pytest.mark.parametrize("act", ["matmat", "solve", "shifted"])
def test_what_it_does_not_multiply(form: str, act: str) -> None:
    state = begun(form)
    call = {"matmat": lambda X: state @ X, "solve": state.solve, "shifted": lambda X: state.shifted_solve(0.5, X)}[act]
    for X in (np.ones(N + 1), np.ones((N - 1, 2)), np.ones((N, 2, 2)), np.ones(()), [1.0, 2.0]):
        with pytest.raises(rnla.InputError, match=rf"\({N},\) or \({N}, k\)"):
            call(X)
    with pytest.raises(rnla.DTypeError, match="array of shape"):
        call("x")


@pytest.mark.parametrize("form", ["dense", "diagonal"])
@pytest.mark.parametrize("act", ["matmat", "solve", "shifted"])
def test_no_imaginary_part_is_lost(form: str, act: str) -> None:
    """A real state multiplies a complex X in both of its parts; a list is an array."""
    state = begun(form).update(ROWS[90])
    call = {"matmat": lambda X: state @ X, "solve": state.solve, "shifted": lambda X: state.shifted_solve(0.5, X)}[act]
    X = ROWS[:3].T + 1j * ROWS[3:6].T
    np.testing.assert_allclose(call(X), call(X.real) + 1j * call(X.imag), rtol=0, atol=1e-14)
    np.testing.assert_array_equal(call(ROWS[0].tolist()), call(ROWS[0]))


@pytest.mark.parametrize("power", [0.5, -0.5])
@pytest.mark.parametrize("form", ["dense", "diagonal"])
def test_what_it_comes_to_prints_as_a_table(form: str, power: float) -> None:
    done = begun(form, power).update(ROWS[90]).finish()
    for text in (repr(done), str(done)):
        assert len(text) < 1000
        assert max(map(len, text.splitlines())) <= 160
        for words in ("Finished root", f"power {power}", f"{N} x {N} float64", "forward error", "changes", "status"):
            assert words in text
    assert len(repr(begun(form, power))) < 160


def test_the_root_of_a_finished_state_is_a_root_for_the_next() -> None:
    state = begun("dense").update(ROWS[90])
    S = rnla.sqrtm_update(state.finish(), ROWS[91]) @ np.eye(N)
    np.testing.assert_allclose(S @ S, C + np.eye(N) + ROWS[90:92].T @ ROWS[90:92], atol=1e-12)
    with pytest.raises(rnla.InputError, match="the state itself"):
        rnla.sqrtm_update(begun("diagonal").finish(), ROWS[91])


@pytest.mark.parametrize("power", [0.5, -0.5])
def test_a_state_stands_for_what_it_multiplies_with(power: float) -> None:
    """As the A_half of an update: for the root of B, or of its inverse."""
    state = begun("dense", power).update(ROWS[90])
    B = C + np.eye(N) + np.outer(ROWS[90], ROWS[90])
    S = rnla.sqrtm_update(state, ROWS[91]) @ np.eye(N)
    before = B if power > 0 else np.linalg.inv(B)
    np.testing.assert_allclose(S @ S, before + np.outer(ROWS[91], ROWS[91]), atol=1e-11)


def test_the_inverse_root_of_a_singular_matrix_is_refused_in_words() -> None:
    for given in (np.diag(np.append(0.0, np.ones(9))), np.append(0.0, np.ones(9))):
        with pytest.raises(rnla.InputError, match="add a ridge"):
            rnla.SqrtState.init(given, power=-0.5)
    with pytest.raises(rnla.InputError, match="no state keeps fourth roots"):
        rnla.SqrtState.init(np.ones(3), power=0.25)
