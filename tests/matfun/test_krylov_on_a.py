"""`KrylovOnA`: products with A alone, any power, and an estimate that certifies nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse

import rnla
from rnla.errors import InputError, NonFiniteError, ToleranceNotMet
from tests.matfun.exact import POWERS, case


def power_of(M, power):
    values, vectors = np.linalg.eigh(M)
    return (vectors * np.maximum(values, 0.0) ** power) @ vectors.conj().T


def error(made, result, power):
    """The forward error, relative to norm(B^p)."""
    after = power_of(made.B, power)
    X = (result.V * result.w) @ result.V.conj().T
    return np.linalg.norm(X - (after - power_of(made.A, power)), 2) / np.linalg.norm(after, 2)


class Products:
    def __init__(self, A):
        self.A, self.shape, self.dtype, self.columns = A, A.shape, A.dtype, 0

    def matmat(self, x):
        self.columns += x.shape[1]
        return self.A @ x


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("field", ["real", "complex"])
def test_every_power_from_products_with_a_alone(power: float, sign: int, field: str) -> None:
    """To the default, an estimate of 1e-10 backward: forward at most 1e-10 |p| kappa^|p|-fold, here 1e-8, by far."""
    made = case(30.0, sign, dense=True, field=field, n=400, share=0.5)
    matrix = Products(made.A)
    result = rnla.sqrtm_update(None, made.D, A=matrix, sign=sign, power=power)
    assert isinstance(result.report.plan.method, rnla.KrylovOnA)
    assert result.status.ok
    assert result.error.kind == "estimated"
    assert np.isnan(result.error.upper)
    assert np.isnan(result.forward_bound)
    assert result.error.value <= 1e-10
    assert error(made, result, power) <= 1e-9
    assert result.report.products == result.report.size <= matrix.columns
    assert result.report.size < 400  # not because the space became whole


@pytest.mark.parametrize("form", ["dense", "sparse", "diagonal", "list", "number"])
def test_every_form_of_a(form: str) -> None:
    a = np.linspace(1.0, 5.0, 50) if form != "number" else np.full(50, 3.0)
    D = np.random.default_rng(0).standard_normal((50, 2))
    A = {"dense": np.diag(a), "sparse": scipy.sparse.diags_array(a).tocsr(), "diagonal": a, "list": list(a),
         "number": 3.0}[form]  # fmt: skip
    w, V = rnla.sqrtm_update(None, D, A=A)
    expected = power_of(np.diag(a) + D @ D.T, 0.5) - np.diag(np.sqrt(a))
    np.testing.assert_allclose((V * w) @ V.T, expected, atol=1e-9)


@pytest.mark.parametrize("power", POWERS)
def test_the_estimate_is_not_far_below_the_error(power: float) -> None:
    """What a geometric series would still bring, up to a factor of 4: true of all of these, proven of none."""
    for condition in (1e1, 1e2, 1e3):
        for seed in range(3):
            for sign in (1, -1):
                made = case(condition, sign, n=120, k=2, seed=seed, share=0.5)
                for blocks in (6, 12, 24):
                    result = rnla.sqrtm_update(
                        None, made.D, A=made.A, sign=sign, power=power, method=rnla.KrylovOnA(blocks=blocks),
                        on_failure="return",
                    )  # fmt: skip
                    forward = np.expm1(abs(power) * np.log1p(result.error.value))
                    assert error(made, result, power) <= 4 * forward + 1e-13


@pytest.mark.parametrize("power", POWERS)
def test_a_whole_space_is_exact(power: float) -> None:
    made = case(1e4, -1, n=12, k=3)
    result = rnla.sqrtm_update(None, made.D, A=made.A, sign=-1, power=power, method=rnla.KrylovOnA(blocks=30))
    assert result.report.size == 12
    assert result.error.value <= 1e-13
    assert error(made, result, power) <= 1e-11


def test_a_tolerance_that_was_given_is_not_certified() -> None:
    made = case(30.0, n=300)
    with pytest.raises(ToleranceNotMet, match=r"KrylovOnA can only estimate .* certifies no tolerance") as caught:
        rnla.sqrtm_update(None, made.D, A=made.A, tol=1e-6)
    assert caught.value.result.error.value <= 1e-6
    assert caught.value.result.status is rnla.Status.NOT_CERTIFIED
    assert not caught.value.result.error.meets(1.0)
    rough = rnla.sqrtm_update(None, made.D, A=made.A, tol=1e-6, on_failure="return")
    assert rough.status is rnla.Status.NOT_CERTIFIED
    assert rough.report.size < rnla.sqrtm_update(None, made.D, A=made.A).report.size


def test_too_few_blocks_are_told() -> None:
    made = case(1e4, n=200)
    with pytest.raises(ToleranceNotMet, match="limit of iterations"):
        rnla.sqrtm_update(None, made.D, A=made.A, method=rnla.KrylovOnA(blocks=10))
    result = rnla.sqrtm_update(None, made.D, A=made.A, method=rnla.KrylovOnA(blocks=10), on_failure="return")
    assert result.status is rnla.Status.ITERATIONS
    assert result.report.size == 30


def test_a_rank_cap_is_kept() -> None:
    made = case(30.0)
    result = rnla.sqrtm_update(None, made.D, A=made.A, max_rank=4, on_failure="return")
    assert result.rank == 4
    assert result.status is rnla.Status.RANK_CAP
    assert error(made, result, 0.5) <= np.expm1(0.5 * np.log1p(result.error.value)) * (1 + 1e-6)


def test_no_change_is_exact() -> None:
    result = rnla.sqrtm_update(None, np.zeros((20, 2)), A=np.eye(20), tol=1e-10)
    assert result.rank == 0
    assert result.status.ok
    assert result.error.upper == 0
    assert result.V.shape == (20, 0)


def test_a_root_that_is_there_is_multiplied_twice() -> None:
    made = case(20.0, dense=True)
    result = rnla.sqrtm_update(made.A_half, made.D, method=rnla.KrylovOnA())
    assert result.error.kind == "estimated"
    assert np.isnan(result.forward_bound)
    assert error(made, result, 0.5) <= 1e-9
    with pytest.raises(ToleranceNotMet, match="certifies no tolerance"):
        rnla.sqrtm_update(made.A_half, made.D, method=rnla.KrylovOnA(), tol=1e-6)


def test_the_root_of_b_is_not_there() -> None:
    made = case(20.0)
    result = rnla.sqrtm_update(None, made.D, A=made.A)
    for use in (lambda: result @ made.D, lambda: result.solve(made.D), lambda: result.root):
        with pytest.raises(InputError, match="KrylovOnA"):
            use()
    assert (result.as_operator() @ made.D).shape == made.D.shape


def test_what_cannot_be_asked() -> None:
    made = case(20.0)
    A, D = made.A, made.D
    for given, words in (
        ({"A_half": None}, "there is no matrix"),
        ({"A_half": made.A_half, "A": A}, "either A_half"),
        ({"A_half": None, "A": A, "A_quarter": made.A_half}, "either A_half"),
        ({"A_half": None, "A": A, "method": rnla.ShiftADI()}, "ShiftADI works with the root"),
        ({"A_half": None, "A": A, "method": rnla.DenseEigh()}, "DenseEigh works with the root"),
        ({"A_half": None, "A": rnla.sqrtm_update(made.A_half, D)}, "pass it as A_half"),
        ({"A_half": None, "A": -np.ones(60)}, "none below zero"),
        ({"A_half": None, "A": np.triu(np.ones((60, 60)))}, "Hermitian"),
        ({"A_half": None, "A": -A}, "no root"),
        ({"A_half": None, "A": np.diag(np.arange(60.0)) * 0, "power": -0.5}, "no inverse root"),
        ({"A_half": None, "A": np.eye(61)}, "rows"),
    ):
        with pytest.raises(InputError, match=words):
            rnla.sqrtm_update(given.pop("A_half"), D, **given)
    with pytest.raises(NonFiniteError):
        rnla.sqrtm_update(None, D, A=np.full(60, np.nan))
    with pytest.raises(InputError, match="no root"):
        rnla.sqrtm_update(None, 100 * D, A=A, sign=-1)


def test_the_plan_says_that_the_error_is_an_estimate() -> None:
    made = case(20.0)
    plan = rnla.plan(None, made.D, problem="sqrtm_update", method=rnla.KrylovOnA())
    assert isinstance(plan.method, rnla.KrylovOnA)
    assert "estimate" in str(plan)
    with pytest.raises(InputError, match="there is no matrix"):
        rnla.plan(None, made.D, problem="sqrtm_update")


@pytest.mark.parametrize(
    ("given", "told"),
    [([[1.0, 2.0], [3.0]], "ragged"), (np.ma.array(np.ones(60), mask=np.arange(60) == 3), "masked entries"),
     (np.linspace(-1, 1, 60), "below zero"), (np.full(60, np.nan), "NaN"), (np.ones(60) * 1j, "real")],
)  # fmt: skip
def test_what_can_be_no_matrix_is_refused_by_the_name_it_was_given(given: Any, told: str) -> None:
    with pytest.raises((InputError, rnla.DTypeError, rnla.NonFiniteError), match=told) as caught:
        rnla.sqrtm_update(None, np.ones((60, 1)), A=given)
    assert "A_half" not in str(caught.value)


@pytest.mark.parametrize("power", [-0.5, -0.25])
def test_nothing_is_left_out_of_the_change_of_an_inverse(power: float) -> None:
    """A column that is nothing beside the largest, and yet a tenth of the smallest eigenvalue of A."""
    a = np.geomspace(1.0, 1e-3, 30)
    D = np.zeros((30, 2))
    D[0, 0], D[-1, 1] = 10.0, 1e-2
    method = rnla.KrylovOnA()
    result = rnla.sqrtm_update(None, D, A=a, power=power, tol=1e-2, method=method, on_failure="return", rng=0)
    S = np.diag(a**power) + (result.V * result.w) @ result.V.T
    exact = (a + (D**2).sum(axis=1)) ** power  # A + D D^H is diagonal
    assert np.linalg.norm(S - np.diag(exact), 2) <= 1e-2 * exact.max()
