"""The kept root: a dense oracle all along a run, its bound, its drift control, and that failures leave it be."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.matfun.resolvents import Resolvents, feasible, poles_of_root
from tests.matfun.exact import inverse, needs_extended, norm

Array = np.ndarray[Any, Any]


def features(n: int, count: int, dtype: Any = np.float64, seed: int = 0, least: float = 0.05) -> Array:
    """Return normal rows whose covariance has its roots of eigenvalues from about `least` to 1."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, n))
    if np.dtype(dtype).kind == "c":
        x = (x + 1j * rng.standard_normal((count, n))) / np.sqrt(2)
    return np.asarray(x * np.linspace(1, least, n), dtype=dtype)


def covariance(x: Array) -> Array:
    """Return X^T conj(X), in double precision: the sum of x x^H over the rows."""
    wide = x.astype(np.result_type(x.dtype, np.float64))
    return np.asarray(wide.T @ wide.conj())


def backward(state: Any, B: Array) -> float:
    """Return the true relative error of a state in the sense of its own bound."""
    P = np.asarray(state @ np.eye(len(B), dtype=state.dtype)).astype(np.result_type(B.dtype, np.float64))
    wanted = B if state.power > 0 else np.linalg.inv(B)
    return float(np.linalg.norm(P @ P - wanted, 2) / np.linalg.norm(wanted, 2))


@pytest.mark.parametrize(
    ("dtype", "power"), [(np.float64, 0.5), (np.float64, -0.5), (np.complex128, 0.5), (np.complex128, -0.5),
                         (np.float32, 0.5), (np.complex64, 0.5)],
)  # fmt: skip
def test_sliding_window(dtype: Any, power: float) -> None:
    """The bound is above the true error and below the tolerance after every ten changes; decompositions are made."""
    n, window, changes = 70, 200, 80
    x = features(n, window + changes, dtype)
    state = rnla.SqrtState.init(covariance(x[:window]).astype(dtype), power=power, rng=0)
    for i in range(changes):
        assert state.replace(x[window + i], x[i]) is state
        if i % 10 == 9:
            B = covariance(x[i + 1 : window + i + 1])
            measured_by_oracle = 20 * n * np.finfo(np.float64).eps * (1 if power > 0 else np.linalg.cond(B))
            assert backward(state, B) <= state.error.value + measured_by_oracle
            assert state.error.value <= state.tol
            assert state.status.ok
    assert state.changes == changes
    assert state.refactorizations >= 1  # 160 columns do not fit in the room of a matrix of this order
    y = state.solve(state @ x[0])
    assert np.allclose(y, x[0], rtol=0, atol=1e3 * np.finfo(dtype).eps * np.abs(x[0]).max())


@pytest.mark.parametrize("sign", [1, -1])
def test_one_sign(sign: int) -> None:
    """Updates alone and downdates alone, of one and of several columns, and a change that is nothing."""
    n = 60
    x = features(n, 300)
    start = x[:150] if sign > 0 else x
    state = rnla.SqrtState.init(covariance(start), rng=0)
    step = state.update if sign > 0 else state.downdate
    at = 150
    for width in (1, 2, 3, 1, 4):
        step(x[at : at + width].T)
        at += width
    step(np.zeros((n, 2)))
    B = covariance(x[:at]) if sign > 0 else covariance(np.concatenate([x[:150], x[at:]]))
    assert state.changes == 6
    assert backward(state, B) <= state.error.value < 1e-11


@pytest.mark.parametrize("field", ["real", "complex"])
def test_diagonal(field: str) -> None:
    """A diagonal matrix is corrected in low rank; n^2 numbers are held nowhere."""
    n, dtype = 300, np.float64 if field == "real" else np.complex128
    a = np.linspace(0.1, 2, n)
    D = features(n, 24, dtype, seed=1).T / 10
    vector = rnla.SqrtState.init(a, rng=0)
    state = vector if field == "real" else None
    if state is None:  # the dtype of a state is that of its diagonal
        with pytest.raises(rnla.DTypeError, match="complex"):
            vector.update(D)
        return
    for i in range(12):
        state.update(D[:, 2 * i : 2 * i + 2])
    state.downdate(D[:, :3])
    B = np.diag(a) + D[:, 3:] @ D[:, 3:].T
    assert backward(state, B) <= state.error.value <= state.tol
    done = state.finish()
    S = np.diag(done.h) + (done.V * done.w) @ done.V.T
    assert np.linalg.norm(S @ S - B, 2) <= done.error.absolute
    values, U = np.linalg.eigh(B)
    exact = (U * np.sqrt(values)) @ U.T
    assert np.linalg.norm(S - exact, 2) <= done.forward_bound + 1e-13
    shifted = state.shifted_solve(0.3, D)
    assert np.allclose(0.3 * shifted + state @ shifted, D, atol=1e-11)


def test_diagonal_holds_no_square() -> None:
    n = 20_000
    state = rnla.SqrtState.init(np.linspace(1, 4, n), rng=0)
    before = state.storage
    state.update(np.random.default_rng(0).standard_normal((n, 2)) / 100)
    assert state.storage < 100 * n + before
    with pytest.raises(rnla.InputError, match="nothing can be refactored"):
        state.refactor()


def test_drift_is_refactored() -> None:
    """With a tolerance that few changes use up, the bound never passes it, and what resets it is counted."""
    n = 60
    x = features(n, 400)
    state = rnla.SqrtState.init(covariance(x[:200]), tol=1e-12, horizon=2, rng=0)
    for i in range(30):
        state.replace(x[200 + i], x[i])
        assert state.error.value <= 1e-12
    assert state.measurements + state.refactorizations >= 1
    assert state.error.failure_probability >= 1e-10
    assert backward(state, covariance(x[30:230])) <= state.error.value + 1e-14


def test_drift_is_raised_without_the_matrix() -> None:
    n = 60
    x = features(n, 400)
    A = covariance(x[:200])

    def make(**more: Any) -> Any:
        return rnla.SqrtState.init(A, tol=1e-12, horizon=2, keep_matrix=False, rng=0, **more)

    def run(state: Any) -> None:
        for i in range(200):
            state.replace(x[200 + i], x[i])

    state = make()
    with pytest.raises(rnla.ToleranceNotMet, match="left without it") as caught:
        run(state)
    i = state.changes
    assert 0 < i < 200
    assert caught.value.result is state
    assert state.status.ok
    assert backward(state, covariance(x[i : 200 + i])) <= state.error.value + 1e-14
    silent = make(on_drift="return")
    for j in range(i + 3):
        silent.replace(x[200 + j], x[j])
    assert not silent.status.ok
    assert silent.error.value > 1e-12
    with pytest.raises(rnla.ToleranceNotMet) as missed:
        silent.finish()
    assert missed.value.result.changes == i + 3
    assert silent.finish(on_failure="return").status is silent.status


def test_refactoring() -> None:
    """With the matrix kept a decomposition resets the error; without it the error stays, and the answer too."""
    n = 60
    x = features(n, 230)
    for kept in (True, False):
        state = rnla.SqrtState.init(covariance(x[:200]), keep_matrix=kept, rng=0)
        fresh = state.error.value
        for i in range(20):
            state.replace(x[200 + i], x[i])
        drifted = state.error.value
        state.refactor()
        B = covariance(x[20:220])
        assert state.refactorizations == 1
        assert backward(state, B) <= state.error.value
        assert (state.error.value < 3 * fresh) if kept else (state.error.value >= drifted / 2)
        state.update(x[225])
        assert backward(state, B + np.outer(x[225], x[225])) <= state.error.value


def test_measuring() -> None:
    """A measurement is above the true error, and lowers the sum of bounds."""
    n = 60
    x = features(n, 230)
    state = rnla.SqrtState.init(covariance(x[:200]), rng=0)
    for i in range(25):
        state.replace(x[200 + i], x[i])
    before = state.error.value
    after = state.measure()
    assert backward(state, covariance(x[25:225])) <= after < before
    assert state.measurements == 1


def test_finish_and_next() -> None:
    """The finished root is that of the oracle within the forward bound; the state is the A_half of an update."""
    n = 60
    x = features(n, 230, least=0.3)
    state = rnla.SqrtState.init(covariance(x[:200]), rng=0).update(x[200:203].T)
    B = covariance(x[:203])
    values, U = np.linalg.eigh(B)
    done = state.finish()
    assert np.linalg.norm(done.root - (U * np.sqrt(values)) @ U.T, 2) <= done.forward_bound + 1e-13
    found = rnla.sqrtm_update(state, x[203:205].T, rng=0)
    S = found @ np.eye(n)
    B = covariance(x[:205])
    assert np.linalg.norm(S @ S - B, 2) <= found.error.absolute + state.error.absolute + 1e-14 * values[-1]
    inverse = rnla.SqrtState.init(covariance(x[:200]), power=-0.5, rng=0).update(x[200:203].T).finish()
    assert np.allclose(inverse.root, (U / np.sqrt(values)) @ U.T, atol=1e-9)
    shifted = state.shifted_solve(0.7, x[:2].T)
    assert np.allclose(0.7 * shifted + state @ shifted, x[:2].T, atol=1e-12)


def test_from_the_root() -> None:
    x = features(50, 120)
    A = covariance(x)
    values, U = np.linalg.eigh(A)
    state = rnla.SqrtState.init(A_half=(U * np.sqrt(values)) @ U.T, rng=0).update(x[:2].T)
    assert backward(state, A + covariance(x[:2])) <= state.error.value + 1e-14
    state = rnla.SqrtState.init(A_half=np.sqrt(values), rng=0).update(x[0])
    assert backward(state, np.diag(values) + covariance(x[:1])) <= state.error.value


def test_forgetting() -> None:
    """An exponentially weighted covariance, and its bound."""
    n = 50
    x = features(n, 140)
    B = covariance(x[:100])
    state = rnla.SqrtState.init(B, rng=0)
    for row in x[100:]:
        B = 0.9 * B + np.outer(row, row)
        state.scale(0.9).update(row)
    assert backward(state, B) <= state.error.value <= state.tol


def test_infeasible_downdates_leave_the_state_untouched() -> None:
    n = 40
    x = features(n, 100)
    A = covariance(x)
    state = rnla.SqrtState.init(A, rng=0).update(x[0])
    before = [state @ np.eye(n), state.error, state.changes, state.storage]
    D = 2 * x[:1].T * np.sqrt(1 / (x[0] @ np.linalg.solve(A, x[0])))
    over = float(D[:, 0] @ np.linalg.solve(A + np.outer(x[0], x[0]), D[:, 0])) - 1
    with pytest.raises(rnla.InputError, match=r"lambda_max\(D\^H A\^-1 D\) - 1 = ") as caught:
        state.downdate(D)
    assert f"{over:.3g}" in str(caught.value)
    with pytest.raises(rnla.InputError, match="negative eigenvalue"):
        state.replace(x[3] / 10, D)
    after = [state @ np.eye(n), state.error, state.changes, state.storage]
    assert np.array_equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_to_the_boundary() -> None:
    """A downdate to a singular matrix is made; its root cannot be solved with."""
    n = 40
    x = features(n, 60)
    A = covariance(x)
    D = x[:1].T * np.sqrt(1 / (x[0] @ np.linalg.solve(A, x[0])))
    state = rnla.SqrtState.init(A, rng=0).downdate(D)
    assert backward(state, A - D @ D.T) <= state.error.value <= state.tol
    with pytest.raises(rnla.InputError, match="singular"):
        state.solve(x[1])


@needs_extended
@pytest.mark.parametrize("seed", range(6))
def test_solves_that_have_lost_their_digits_bound_no_inverse(seed: int) -> None:
    """After changes that nearly cancel, the norm of the inverse is bounded by what was checked, or by nothing."""
    rng = np.random.default_rng(seed)
    A, D = np.diag(np.linspace(1.0, 3.0, 12)), 1e3 * rng.standard_normal((12, 2))
    state = rnla.SqrtState.init(A, power=-0.5, keep_matrix=False, on_drift="return", rng=0).update(D)
    C = A + D @ D.T
    direction = rng.standard_normal((12, 1))
    E = np.linalg.cholesky(C) @ direction * (np.sqrt(1 - 1e-9) / np.linalg.norm(direction))
    state.downdate(E)
    solved = inverse(A) @ D  # the inverse of C, and then that of C - E E^T
    exact = inverse(A) - solved @ inverse(np.eye(2) + D.T @ solved) @ solved.T
    solved = exact @ E
    exact = exact + solved @ solved.T / (1 - E.T @ solved)
    assert state.error.norm_of_A >= norm(exact) * (1 - 1e-2)
    assert np.isinf(state.error.value) == (not state.status.ok)


def test_copies_go_their_own_way() -> None:
    n = 40
    x = features(n, 110)
    state = rnla.SqrtState.init(covariance(x[:100]), rng=0).update(x[100])
    other = state.copy()
    held = state @ np.eye(n)
    other.update(x[101])
    assert np.array_equal(state @ np.eye(n), held)
    state.update(x[102])
    assert backward(other, covariance(x[:102])) <= other.error.value
    assert backward(state, covariance(np.delete(x[:103], 101, axis=0))) <= state.error.value


def test_same_seed_same_bits() -> None:
    n = 50
    x = features(n, 140)
    roots = []
    for threads in (1, 2):
        with rnla.config_context(threads=threads):
            state = rnla.SqrtState.init(covariance(x[:100]), rng=3)
            for i in range(40):
                state.replace(x[100 + i], x[i])
            roots.append(state.finish().root)
    assert np.array_equal(roots[0], roots[1])


def test_inputs_are_not_written_to() -> None:
    x = features(40, 60)
    A = covariance(x)
    held = A.copy()
    A.flags.writeable = False
    D = x[:2].T.copy()
    D.flags.writeable = False
    rnla.SqrtState.init(A, rng=0).replace(D, D / 2).refactor()
    assert np.array_equal(A, held)


@pytest.mark.parametrize("diagonal", [False, True])
def test_an_array_that_is_filled_with_the_next_change_is_not_read_again(diagonal: bool) -> None:
    rng = np.random.default_rng(8)
    B = np.diag(np.linspace(1.0, 9.0, 30))
    state, buffer = rnla.SqrtState.init(np.diag(B).copy() if diagonal else B, rng=0), np.zeros((30, 2))
    for _ in range(4):
        buffer[:] = rng.standard_normal((30, 2))
        B = B + buffer @ buffer.T
        state.update(buffer)
    buffer[:] = 1e3
    if not diagonal:
        state.refactor()
    state.downdate(np.eye(30)[:, :1])  # of a diagonal, what was added before is solved with
    assert backward(state, B - np.diag(np.eye(30)[0])) <= 1e-10


def test_memory_of_a_change() -> None:
    """A change of 2 columns allocates a few panels of k J columns, and no n x n array."""
    n = 900
    x = features(n, n + 20)
    state = rnla.SqrtState.init(covariance(x[:n]) + np.eye(n), rng=0)
    for i in range(3):
        state.replace(x[n + i], x[i])
    shifts = len(state._core.resolvents.shifts)
    tracemalloc.start()
    try:
        state.replace(x[n + 4], x[4])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 * 8 * n * 2 * shifts
    assert peak < 8 * n * n
    assert state.storage < 5 * n * n


@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
@pytest.mark.parametrize("diagonal", [False, True])
def test_other_libraries(library: str, diagonal: bool) -> None:
    """The same answers within rounding, in the caller's library."""
    xp = pytest.importorskip(library)
    n = 40
    x = features(n, 60)
    A = np.linspace(1, 3, n) if diagonal else covariance(x[:50])
    states = [rnla.SqrtState.init(A, rng=0), rnla.SqrtState.init(xp.asarray(A), rng=0)]
    for i in range(4):
        states[0].replace(x[50 + i : 52 + i].T, x[50 + i : 51 + i].T)
        states[1].replace(xp.asarray(x[50 + i : 52 + i].T.copy()), xp.asarray(x[50 + i : 51 + i].T.copy()))
    image = states[1] @ xp.asarray(x[:3].T.copy())
    assert type(image) is type(xp.asarray(A))
    assert np.allclose(np.asarray(image), states[0] @ x[:3].T, rtol=0, atol=1e-11)
    assert np.allclose(np.asarray(states[1].solve(image)), x[:3].T, atol=1e-9)


def test_bad_input() -> None:
    A = np.eye(5)
    init = rnla.SqrtState.init
    wrong: list[dict[str, Any]] = [
        {"A": None}, {"A": A, "A_half": A}, {"A": np.ones((3, 4))}, {"A": -A}, {"A": -np.ones(4)},
        {"A": A, "power": 0.25}, {"A": A, "power": "half"}, {"A": A, "tol": 1e-30}, {"A": A, "horizon": 0},
        {"A": np.ones(4), "keep_matrix": True}, {"A": A, "on_drift": "hope"}, {"A": np.zeros((0, 0))},
        {"A": A, "keep_matrix": False, "on_drift": "refactor"}, {"A": np.triu(np.ones((4, 4)))},
    ]  # fmt: skip
    for given in wrong:
        with pytest.raises(rnla.InputError):
            init(**given)
    with pytest.raises(rnla.DTypeError):
        init(object())
    with pytest.raises(rnla.DTypeError, match="real"):
        init(np.ones(3) * 1j)
    with pytest.raises(rnla.NonFiniteError):
        init(np.diag([1.0, np.nan]))
    state = init(A, rng=0)
    for D in (np.ones((4, 1)), np.ones((5, 1)) * np.nan):
        with pytest.raises((rnla.InputError, rnla.NonFiniteError)):
            state.update(D)
    with pytest.raises(rnla.DTypeError):
        state.update(np.ones((5, 1)) * 1j)
    with pytest.raises(rnla.InputError):
        state.scale(-1.0)
    assert state.changes == 0
    assert "0 changes" in repr(state)


def test_poles_are_those_of_the_best_approximation() -> None:
    """z (c_0 + sum c_j / (z + t_j)) with these poles comes as near to sqrt(z) as Zolotarev's theorem says."""
    for lo, hi in ((1.0, 10.0), (1e-6, 1.0)):
        count = 14
        t = poles_of_root(lo, hi, count)
        z = np.geomspace(lo**2, hi**2, 4000)
        basis = np.concatenate([np.ones((len(z), 1)), 1 / (1 + z[:, None] / t)], axis=1) * np.sqrt(z)[:, None]
        c = np.linalg.lstsq(basis, np.ones(len(z)), rcond=None)[0]
        error = np.abs(basis @ c - 1).max()
        rate = np.exp(-(np.pi**2) * count / np.log(4 * hi / lo))
        assert error <= max(20 * rate, 1e-12)
        assert np.all(np.diff(t) > 0)


def test_resolvents_are_inverses() -> None:
    """Blocks and solves against dense inverses, change after change; and the inertia of an impossible one."""
    n, rng = 30, np.random.default_rng(0)
    a, shifts = np.linspace(1, 5, n), np.array([1e-14, 0.5, 3.0])
    held = Resolvents(a, shifts, np.zeros((n, 0)), 20)
    A = np.diag(a)
    for _ in range(4):
        G, signs = rng.standard_normal((n, 3)) / 10, np.array([1.0, 1.0, -1.0])
        looked = held.look(G, signs)
        assert feasible(looked)
        blocks = [np.linalg.solve(A + t * np.eye(n), G) for t in shifts[1:]]
        assert np.allclose(looked.block, np.concatenate(blocks, axis=1), atol=1e-12)
        held.take(looked)
        A = A + (G * signs) @ G.T
        assert np.allclose(held.solve(G), np.linalg.solve(A, G), atol=1e-12)
    added = sum(1 for s in held.signs if s > 0)
    assert added == 8
    assert not feasible(held.look(3 * np.eye(n)[:, :1], np.array([-1.0])))
    assert held.copy().columns == 12


@pytest.mark.parametrize("seed", range(6))
def test_large_changes_that_nearly_cancel(seed: int) -> None:
    """Changes of every size, downdates nearly to the boundary: none is refused, and no bound is below the true error.

    Solves through many such changes lose their digits; a fresh decomposition then tells whether a downdate is possible.
    """
    rng = np.random.default_rng(seed)
    n, k, condition = int(rng.integers(2, 40)), int(rng.integers(1, 4)), 10.0 ** rng.integers(0, 7)
    U = np.linalg.qr(rng.standard_normal((n, n)))[0]
    A = (U * np.geomspace(1, 1 / condition, n)) @ U.T
    A = (A + A.T) / 2
    state = rnla.SqrtState.init(A, rng=0)
    B = A.astype(np.longdouble)
    for i in range(10):
        D = rng.standard_normal((n, k)) * 10.0 ** rng.integers(-4, 2)
        sign = -1 if i % 2 else 1
        if sign < 0:
            near = 1 - 10.0 ** -int(rng.integers(0, 5)) / 2
            D *= np.sqrt(near / np.linalg.eigvalsh(D.T @ np.linalg.solve(B.astype(float), D))[-1])
        (state.update if sign > 0 else state.downdate)(D)
        B = B + sign * (D.astype(np.longdouble) @ D.T.astype(np.longdouble))
        S = np.asarray(state @ np.eye(n)).astype(np.longdouble)
        error = np.linalg.norm((S @ S - B).astype(float), 2) / np.linalg.norm(B.astype(float), 2)
        assert error <= state.error.value <= state.tol
        if np.linalg.cond(B.astype(float)) > 1e11:
            break
