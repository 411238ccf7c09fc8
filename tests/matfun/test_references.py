"""`DenseEigh` and `NewtonKleinman`: references, whole matrices, the identity of Newton's steps."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

import rnla
from rnla.errors import InputError
from rnla.matfun.protocols import RootProblem
from rnla.matfun.roots import DiagonalRoot
from rnla.rng import Key
from tests.matfun.exact import case, needs_extended, norm, root, wide

REFERENCES = {"newton_kleinman": rnla.NewtonKleinman(), "dense_eigh": rnla.DenseEigh()}


def corrected(made, method, target=0.0):
    problem = RootProblem(
        DiagonalRoot(made.A_half, np.result_type(made.A_half, made.D)), made.D, made.sign, target,
        float(np.linalg.norm(made.D, 2) ** 2), Key(0), True,
    )  # fmt: skip
    found = method.correct(problem)
    basis = found.Q @ found.W
    return (basis * found.w) @ basis.conj().T, found


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("field", ["real", "complex"])
def test_the_residual_of_newton_is_the_square_of_its_last_step(sign: int, field: str) -> None:
    made = case(1e3, sign, field=field, n=30)
    before = np.zeros_like(made.B)
    for steps in range(1, 9):
        X, found = corrected(made, rnla.NewtonKleinman(steps=steps))
        S = made.H + X
        step = X - before
        left = S @ S - made.B
        assert np.linalg.norm(left - step @ step, 2) <= 1e-12 * np.linalg.norm(made.B, 2) * max(
            1.0, np.linalg.norm(X, 2) / np.linalg.norm(made.H, 2)
        )
        assert found.residual == pytest.approx(np.linalg.norm(step, 2) ** 2, rel=1e-6)
        assert np.linalg.eigvalsh(left)[0] >= -1e-12 * np.linalg.norm(made.B, 2)  # from above
        before = X


def test_newton_overshoots_and_then_halves_before_it_squares() -> None:
    """From far above, (X_{j+1} - X_j)^2 falls by a quarter with each step, so that it is no method for use."""
    made = case(1e4, 1, k=1)
    history = corrected(made, rnla.NewtonKleinman(steps=12))[1].history[1:]
    assert history[0] > history[1] > history[2]
    X, _ = corrected(made, rnla.NewtonKleinman(steps=1))
    exact = root(made.B).astype(float) - made.H
    assert np.linalg.norm(X, 2) > np.linalg.norm(exact, 2)


@needs_extended
@pytest.mark.parametrize("method", REFERENCES)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dense", [False, True])
def test_they_find_the_correction(method: str, sign: int, dense: bool) -> None:
    made = case(1e4, sign, dense=dense)
    w, V = rnla.sqrtm_update(made.A_half, made.D, sign=sign, method=REFERENCES[method])
    H = wide(made.H)
    D = wide(made.D)
    exact = root(H @ H + sign * (D @ D.T)) - H
    bound = 1e-13 * np.linalg.norm(made.B, 2) / np.sqrt(np.linalg.eigvalsh(made.B)[0])
    assert norm((V * w) @ V.T - exact) <= bound


@pytest.mark.parametrize("method", REFERENCES)
def test_a_dense_root_is_not_decomposed_for_its_own_power(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = case(1e2, dense=True)

    def never(*_):
        raise AssertionError("the root was decomposed")

    import rnla.matfun.inputs as inputs

    monkeypatch.setattr(inputs, "eigh", never)
    result = rnla.sqrtm_update(made.A_half, made.D, method=REFERENCES[method])
    assert result.error.value <= 1e-13
    np.testing.assert_allclose(result @ (result @ made.D), made.B @ made.D, atol=1e-9)


@pytest.mark.parametrize("method", REFERENCES)
def test_what_is_known_by_products_is_refused(method: str) -> None:
    class Products:
        shape, dtype = (20, 20), np.dtype(float)

        def matmat(self, x):
            return 2 * x

        def shifted_solve(self, s, x):
            return x / (2 + s)

    sparse = (scipy.sparse.eye_array(20) * 2 + scipy.sparse.diags_array([1e-1], offsets=[1], shape=(20, 20))
              + scipy.sparse.diags_array([1e-1], offsets=[-1], shape=(20, 20))).tocsr()  # fmt: skip
    for given in (Products(), sparse):
        with pytest.raises(InputError, match="works on all entries of the root"):
            rnla.sqrtm_update(given, np.ones((20, 1)), method=REFERENCES[method])


@pytest.mark.parametrize("method", REFERENCES)
@pytest.mark.parametrize("power", [0.5, -0.5, 0.25, -0.25])
def test_a_result_may_be_the_next_root(method: str, power: float) -> None:
    made = case(1e2)
    first = rnla.sqrtm_update(made.A_half, made.D)
    E = made.D[::-1] / 2
    result = rnla.sqrtm_update(first, E, method=REFERENCES[method])
    np.testing.assert_allclose(result @ (result @ E), (made.B + E @ E.T) @ E, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", REFERENCES)
def test_single_precision_is_worked_on_in_double(method: str) -> None:
    made = case(1e2)
    result = rnla.sqrtm_update(made.A_half.astype(np.float32), made.D.astype(np.float32), method=REFERENCES[method])
    assert result.V.dtype == np.float32
    assert result.error.value <= 1e-5


def test_newton_stops_at_its_limit_and_says_so() -> None:
    made = case(1e6)
    result = rnla.sqrtm_update(made.A_half, made.D, method=rnla.NewtonKleinman(steps=2), on_failure="return")
    assert result.status is rnla.Status.ITERATIONS
    assert result.steps == 2
    with pytest.raises(InputError, match="steps"):
        rnla.NewtonKleinman(steps=0)
