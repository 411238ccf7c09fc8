"""A multiple of the identity: exact, both signs, all powers, and for nothing else."""

from __future__ import annotations

import numpy as np
import pytest

import rnla
from rnla.errors import InputError
from rnla.matfun import ClosedForm
from tests.matfun.exact import POWERS, Case, backward, case, forward, needs_extended, norm, truth

LEAST = 40 * float(np.finfo(np.longdouble).eps)  # what the oracle leaves


@needs_extended
@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e3])
def test_it_is_exact(power: float, sign: int, field: str, size: float) -> None:
    c = 0.7
    D = size * case(1.0, field=field, n=30).D
    if sign < 0:
        D *= 0.9 * c / np.linalg.norm(D, 2)
    made = Case(np.full(30, c), c * np.eye(30), D, sign)
    exact = truth(made, power)
    for given in (c, made.A_half):
        result = rnla.sqrtm_update(given, D, sign=sign, power=power)
        assert isinstance(result.report.plan.method, ClosedForm)
        assert result.rank == 3
        assert result.steps <= 2  # one of each stage, no iteration
        assert not result.shifts
        assert backward(exact, result) <= result.error.absolute + LEAST * norm(exact.target)
        assert forward(exact, result) <= result.forward_bound + LEAST * norm(exact.after)
        assert result.error.value <= 1e-13 if power > 0 or sign < 0 or size <= 1 else 1e-6


@pytest.mark.parametrize("sign", [1, -1])
def test_a_small_change_keeps_its_digits(sign: int) -> None:
    """sign s^2 / ((c^2 + sign s^2)^{1/2} + c) does not lose s^2 beside c^2, as a difference of roots would."""
    D = np.zeros((20, 1))
    D[3] = 1e-7
    result = rnla.sqrtm_update(1.0, D, sign=sign)
    assert float(result.w[0]) == pytest.approx(sign * 5e-15, rel=1e-12)


def test_at_the_boundary_and_past_it() -> None:
    D = np.zeros((5, 1))
    D[2] = 2.0
    result = rnla.sqrtm_update(2.0, D, sign=-1)
    assert float(result.w[0]) == pytest.approx(-2.0)
    with pytest.raises(InputError, match="inverse root"):
        rnla.sqrtm_update(2.0, D, sign=-1, power=-0.5)
    with pytest.raises(InputError, match="downdate is not possible"):
        rnla.sqrtm_update(1.9, D, sign=-1)


def test_the_zero_matrix_has_the_root_of_the_change() -> None:
    D = np.random.default_rng(0).standard_normal((8, 2))
    w, V = rnla.sqrtm_update(0.0, D)
    np.testing.assert_allclose(w, np.linalg.svd(D, compute_uv=False), rtol=1e-12)
    np.testing.assert_allclose((V * w**2) @ V.T, D @ D.T, atol=1e-12)


def test_another_root_is_refused() -> None:
    with pytest.raises(InputError, match="multiple of the identity"):
        rnla.sqrtm_update(np.array([1.0, 1.0, 2.0]), np.ones((3, 1)), method=ClosedForm())
    with pytest.raises(InputError, match="multiple of the identity"):
        rnla.sqrtm_update(np.diag([1.0, 1.0, 2.0]), np.ones((3, 1)), method=ClosedForm())
