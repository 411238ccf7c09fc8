"""`RootUpdate`: it multiplies, solves, chains, truncates, extends, is saved and pickled, and finds its root again."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.errors import BackendError, DTypeError, InputError, ToleranceNotMet
from tests.matfun.exact import POWERS, backward, case, forward, needs_extended, truth
from tests.matfun.given import Counting, tridiagonal

N, K = 40, 3
MADE = {(dense, field): case(1e2, n=N, k=K, dense=dense, field=field) for dense in (False, True)
        for field in ("real", "complex")}  # fmt: skip
rng = np.random.default_rng(11)
X = rng.standard_normal((N, 4))


def matrix_of(result: Any, made: Any) -> Any:
    """Return B^p as V, w and the power of A say it."""
    t, u = np.linalg.eigh(made.H)
    before = (u * t ** (2 * result.power)) @ u.conj().T
    return before + (result.V * result.w) @ result.V.conj().T


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("power", POWERS)
def test_it_multiplies_and_solves(dense: bool, field: str, power: float) -> None:
    made = MADE[dense, field]
    result = rnla.sqrtm_update(made.A_half, made.D, power=power)
    S = matrix_of(result, made)
    size = np.linalg.norm(S, 2)
    for x in (X, X[:, 0], X + 1j * X[::-1], X.astype(np.float32), (9 * X).astype(int), np.asfortranarray(X)):
        np.testing.assert_allclose(result @ x, S @ x, atol=1e-12 * size * np.abs(x).max())
        for s in (0.0, 0.5):
            y = result.shifted_solve(s, x)
            left = (S @ y + s * y) - x
            assert np.linalg.norm(left) <= 1e-11 * (size + s) * max(np.linalg.norm(y), 1)
            assert y.shape == x.shape
    np.testing.assert_array_equal(result.solve(X), result.shifted_solve(0.0, X))
    np.testing.assert_array_equal(result @ X.tolist(), result @ X)
    w, V = result
    np.testing.assert_allclose(result.as_operator() @ X, (V * w) @ V.conj().T @ X, atol=1e-12 * size)


@pytest.mark.parametrize("form", ["sparse", "operator"])
@pytest.mark.parametrize("power", [0.5, -0.5])
def test_it_solves_with_the_solves_of_the_root(form: str, power: float) -> None:
    A = tridiagonal(N) if form == "sparse" else Counting(MADE[True, "real"].H)
    result = rnla.sqrtm_update(A, X, power=power)
    for x in (X, X[:, 0], X + 1j * X[::-1]):
        np.testing.assert_allclose(result @ result.solve(x), x, atol=1e-10)
        np.testing.assert_allclose(
            result @ result.shifted_solve(2.0, x) + 2 * result.shifted_solve(2.0, x), x, atol=1e-10
        )


WRONG = [
    (X[:-1], InputError, "shape"), (X[:-1, 0], InputError, "shape"), (X[None], InputError, "shape"),
    (3.0, DTypeError, "array"), ("x", DTypeError, "array"), (None, DTypeError, "array"),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(WRONG)))
def test_what_it_cannot_multiply(at: int) -> None:
    given, kind, words = WRONG[at]
    result = rnla.sqrtm_update(np.linspace(1, 2, N), X)
    for call in (result.matmat, result.solve):
        with pytest.raises(kind, match=words):
            call(given)


def test_tensors_do_not_ride_an_array() -> None:
    torch = pytest.importorskip("torch")
    result = rnla.sqrtm_update(np.linspace(1, 2, N), X)
    with pytest.raises(BackendError, match="libraries"):
        result @ torch.from_numpy(X)
    there = rnla.sqrtm_update(torch.linspace(1, 2, N, dtype=torch.float64), torch.from_numpy(X))
    with pytest.raises(DTypeError, match="detach"):
        there @ torch.from_numpy(X.copy()).requires_grad_()


@pytest.mark.parametrize("s", [-1.0, np.nan, np.inf, "a"])
def test_a_shift_that_is_none(s: Any) -> None:
    result = rnla.sqrtm_update(np.linspace(1, 2, N), X)
    with pytest.raises((InputError, DTypeError), match="must be"):
        result.shifted_solve(s, X)


def test_a_singular_root_is_not_solved_with() -> None:
    h = np.r_[0.0, np.linspace(1, 2, N - 1)]
    result = rnla.sqrtm_update(h, X)
    with pytest.raises(InputError, match="eigenvalue 0"):
        result.solve(X)
    assert np.isfinite(result.shifted_solve(1e-3, X)).all()


# ----------------------------------------------------------------------------------------------------- chains
@needs_extended
@pytest.mark.parametrize("form", ["diagonal", "dense", "sparse", "operator"])
def test_a_chain_of_updates_and_downdates(form: str) -> None:
    """Errors add up: after five steps the square of the root is off by at most the sum of the certified errors."""
    made = MADE[form in ("dense", "operator"), "real"]
    H = tridiagonal(N).toarray() if form == "sparse" else made.H
    root: Any = {"sparse": tridiagonal(N), "operator": Counting(H)}.get(form, made.A_half)
    B, allowed, steps = H @ H, 0.0, []
    for i, sign in enumerate((1, 1, -1, 1, -1)):
        change = steps[0] if sign < 0 else np.random.default_rng(i).standard_normal((N, 2))
        steps = steps[1:] if sign < 0 else [*steps, change]
        root = rnla.sqrtm_update(root, change, sign=sign)
        B = B + sign * change @ change.T
        allowed += root.error.absolute
        S = root @ np.eye(N)
        oracle = 1e-14 * np.linalg.norm(B, 2)
        assert np.linalg.norm(S @ S - B, 2) <= allowed + oracle
        np.testing.assert_allclose(root @ root.solve(X), X, atol=1e-9)
    inverse = rnla.sqrtm_update(root, X, power=-0.5) @ np.eye(N)
    np.testing.assert_allclose(inverse @ inverse @ (B + X @ X.T), np.eye(N), atol=1e-8)


def test_the_inverse_root_of_a_result_is_the_root_of_the_inverse() -> None:
    """A result of p = -1/2 as A_half stands for B^{-1}: its update is (B^{-1} + D D^H)^{1/2}."""
    h = np.linspace(1, 2, N)
    first = rnla.sqrtm_update(h, X, power=-0.5)
    S = rnla.sqrtm_update(first, X) @ np.eye(N)
    np.testing.assert_allclose(S @ S, np.linalg.inv(np.diag(h**2) + X @ X.T) + X @ X.T, atol=1e-10)


# --------------------------------------------------------------------------------------- truncation, extension
@needs_extended
@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dense", [False, True])
def test_a_truncated_result_is_certified(power: float, sign: int, dense: bool) -> None:
    made = case(1e3, sign, n=N, k=K, dense=dense, share=0.8)
    result, exact = rnla.sqrtm_update(made.A_half, made.D, sign=sign, power=power), truth(made, power)
    for k in (0, 1, 4, 9, result.rank):
        cut = result.truncate(rank=k)
        assert cut.rank == k
        assert backward(exact, cut) <= cut.error.absolute
        assert forward(exact, cut) <= cut.forward_bound
        np.testing.assert_allclose(cut @ X, matrix_of(cut, made) @ X, atol=1e-9)
    for tol in (1e-2, 1e-6, 1e-10):
        cut = result.truncate(tol=tol)
        assert cut.error.upper <= tol
        if cut.rank:
            assert result.truncate(rank=cut.rank - 1).error.upper > tol
    assert result.truncate(rank=result.rank) is result


def test_what_cannot_be_truncated() -> None:
    result = rnla.sqrtm_update(np.linspace(1, 2, N), X, tol=1e-6)
    for asked in ({}, {"rank": 1, "tol": 0.1}, {"rank": N}, {"rank": -1}, {"tol": 0}):
        with pytest.raises(InputError):
            result.truncate(**asked)
    with pytest.raises(ToleranceNotMet, match="certified"):
        result.truncate(tol=1e-14)


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("dense", [False, True])
def test_an_extended_result_meets_the_finer_tolerance(power: float, dense: bool) -> None:
    made = MADE[dense, "real"]
    first = rnla.sqrtm_update(made.A_half, made.D, power=power, tol=1e-3, rng=0)
    more = first.extend(tol=1e-11)
    fresh = rnla.sqrtm_update(made.A_half, made.D, power=power, tol=1e-11, rng=0)
    assert more.error.upper <= 1e-11 < first.error.upper
    np.testing.assert_allclose(more @ X, fresh @ X, atol=1e-9)
    if power > 0:
        assert more.report.products < fresh.report.products  # it goes on from the basis that is there
        assert more.shifts[: len(first.shifts)] == first.shifts or dense or power == 0.25


def test_what_cannot_be_extended() -> None:
    h = np.linspace(1, 2, N)
    result = rnla.sqrtm_update(h, X, tol=1e-3)
    for asked in ({}, {"rank": 1}, {"tol": 0}, {"tol": 1e-9, "on_failure": "x"}):
        with pytest.raises(InputError):
            result.extend(**asked)
    travelled = pickle.loads(pickle.dumps(result))
    with pytest.raises(InputError, match="travel"):
        travelled.extend(tol=1e-6)
    with pytest.raises(InputError):
        travelled.extend(tol=1e-6, A=h)


# -------------------------------------------------------------------------------------------------- travelling
@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("form", ["diagonal", "dense", "complex", "sparse", "operator"])
@pytest.mark.parametrize("way", ["save", "pickle", "copy", "deepcopy"])
def test_it_travels_and_finds_its_root_again(power: float, form: str, way: str, tmp_path: Path) -> None:
    made = MADE[form in ("dense", "complex", "operator"), "complex" if form == "complex" else "real"]
    A: Any = {"sparse": tridiagonal(N), "operator": Counting(made.H)}.get(form, made.A_half)
    quarter = None
    if abs(power) == 0.25 and form in ("sparse", "operator"):
        H = A.toarray() if form == "sparse" else made.H
        t, u = np.linalg.eigh(H)
        quarter = (u * np.sqrt(t)) @ u.T
    result = rnla.sqrtm_update(A, made.D, power=power, A_quarter=quarter)
    if way == "save":
        result.save(tmp_path / "root.npz")
        there = rnla.load(tmp_path / "root.npz")
    else:
        there = {"copy": copy.copy, "deepcopy": copy.deepcopy}.get(way, lambda r: pickle.loads(pickle.dumps(r)))(result)
    np.testing.assert_array_equal(there.w, result.w)
    np.testing.assert_array_equal(there.V, result.V)
    for name in ("power", "sign", "shifts", "history", "status", "forward_bound", "norm_upper", "error_of_change"):
        assert getattr(there, name) == getattr(result, name), name
    assert there.error.upper == result.error.upper
    assert str(there) == str(result)
    assert there.fits()
    if way in ("save", "pickle"):
        with pytest.raises(InputError, match="does not travel"):
            there @ X
        there = there.attach(A, quarter)
    np.testing.assert_allclose(there @ X, result @ X, atol=1e-12 * np.abs(result @ X).max())
    np.testing.assert_allclose(there.solve(X), result.solve(X), atol=1e-8)


def test_a_root_of_another_size_is_not_attached() -> None:
    result = pickle.loads(pickle.dumps(rnla.sqrtm_update(np.linspace(1, 2, N), X)))
    with pytest.raises(InputError, match="rows"):
        result.attach(np.ones(N + 1))


def test_it_prints_as_a_table() -> None:
    text = str(rnla.sqrtm_update(np.linspace(1, 2, N), X, power=-0.25, rng=5))
    for words in (
        "Correction of a root", "inverse fourth root, after an update", "eigenvalues", "forward error", "of the change",
        "shifts", "B^-1, B = A + D D^H", "status", "ShiftADI", "passes", "seed",
    ):  # fmt: skip
        assert words in text
    assert max(map(len, text.splitlines())) <= 160
    assert "\n" not in text.splitlines()[0]


def test_a_damaged_result_does_not_fit() -> None:
    import dataclasses

    result = rnla.sqrtm_update(np.linspace(1, 2, N), X)
    assert result.fits()
    assert not dataclasses.replace(result, V=result.V[:-1]).fits()
    assert not dataclasses.replace(result, w=result.w[:-1]).fits()
