"""Projection on any space: the residual is an identity, and the closed form keeps the digits of a small change."""

from __future__ import annotations

import numpy as np
import pytest

import rnla
from rnla.errors import InputError
from rnla.matfun.galerkin import galerkin, projected_root
from rnla.matfun.projection import begun
from rnla.matfun.roots import DiagonalRoot
from rnla.rng import Key
from tests.matfun.exact import case, needs_extended, norm, root, truth, wide

EPS = np.finfo(float).eps
LEAST = 40 * float(np.finfo(np.longdouble).eps)  # what the oracle leaves


@needs_extended
@pytest.mark.parametrize("size", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("field", ["real", "complex"])
def test_a_small_change_of_a_projected_root_keeps_its_digits(size: float, sign: int, field: str) -> None:
    made = case(1e4, n=25, dense=True, field=field)
    T, M = made.H, sign * size * (made.D @ made.D.conj().T) / 200
    found = projected_root(T, M)
    exact = root(wide(T) @ wide(T) + wide(M)) - wide(T)
    # A relative rounding of each of the products T Y + Y T, seen through the inverse of the Sylvester operator.
    level = 100 * EPS / min(found.theta[0], 1.0) * norm(exact)
    assert norm(wide(found.Y) - exact) <= (level + LEAST) * np.linalg.norm(T, 2)
    product = wide(T) @ wide(found.Y)
    left = product + product.conj().T + wide(found.Y) @ wide(found.Y) - wide(M)
    assert norm(left) <= found.left
    assert found.left <= 1e4 * EPS * np.linalg.norm(T, 2) * norm(wide(found.Y))


def test_an_indefinite_projection_is_refused() -> None:
    with pytest.raises(InputError, match="downdate is not possible"):
        projected_root(np.diag([1.0, 2.0]), np.diag([-1.1, 0.0]))
    at_zero = projected_root(np.diag([1.0, 2.0]), np.diag([-1.0, 0.0]))
    np.testing.assert_allclose(at_zero.Y, np.diag([-1.0, 0.0]), atol=1e-15)


@needs_extended
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("field", ["real", "complex"])
def test_the_residual_is_an_identity_for_any_space_and_falls(sign: int, field: str) -> None:
    made = case(1e4, sign, field=field, n=80)
    exact = truth(made, 0.5)
    lengths = []
    for steps in range(7):
        projection, d = begun(DiagonalRoot(made.A_half, made.D.dtype), made.D, Key(1), keep_images=True)
        h = made.A_half[:, None]
        state = galerkin(projection, sign * (d @ d.conj().T), 0.0, steps, Key(2), lambda s, x: x / (h + s))  # noqa: B023
        Q = wide(state.projection.Q)
        S = exact.before + Q @ wide(state.root.Y) @ Q.conj().T
        true = norm(S @ S - exact.target)
        assert state.history[-1] == pytest.approx(true, rel=1e-6, abs=1e-13 * norm(exact.target))
        assert len(state.history) == steps + 1
        lengths.append(true)
    assert lengths[-1] < 1e-2 * lengths[0]


@needs_extended
@pytest.mark.parametrize("sign", [1, -1])
def test_any_solver_will_do_for_the_space(sign: int) -> None:
    """The residual is measured, so that a bad solve costs steps and no truth."""
    made = case(1e2, sign)
    exact = truth(made, 0.5)
    projection, d = begun(DiagonalRoot(made.A_half, made.D.dtype), made.D, Key(1), keep_images=True)
    state = galerkin(projection, sign * (d @ d.T), 1e-6, 40, Key(2), lambda _, x: x)
    Q = wide(state.projection.Q)
    S = exact.before + Q @ wide(state.root.Y) @ Q.T
    assert norm(S @ S - exact.target) <= 1e-6 * (1 + 1e-6)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("power", [0.25, -0.25])
def test_the_second_root_hardly_needs_more_than_the_space_of_the_first(sign: int, power: float) -> None:
    made = case(1e4, sign, n=300)
    first = rnla.sqrtm_update(made.A_half, made.D, sign=sign, power=2 * power)
    second = rnla.sqrtm_update(made.A_half, made.D, sign=sign, power=power)
    assert second.report.size <= first.report.size + 24
    assert second.rank <= first.rank + 12
