"""`KrylovGalerkin`: its residual is the true one, products are all it needs, and it ends where a space is closed."""

from __future__ import annotations

import numpy as np
import pytest

import rnla
from tests.matfun.exact import backward, case, needs_extended, norm, truth


class Products:
    """A root that can only be multiplied."""

    def __init__(self, H):
        self.H, self.shape, self.dtype, self.columns = H, H.shape, H.dtype, 0

    def matmat(self, x):
        self.columns += x.shape[1]
        return self.H @ x


@needs_extended
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("dense", [False, True])
def test_the_residual_is_the_true_one(sign: int, field: str, dense: bool) -> None:
    """norm(S^2 - B) = norm(N), whatever the space: an identity, to 1e-6 of it and to rounding."""
    made = case(1e4, sign, field=field, dense=dense, k=2)
    exact = truth(made, 0.5)
    for blocks in (1, 2, 3, 5, 9, 17):
        result = rnla.sqrtm_update(
            made.A_half, made.D, sign=sign, method=rnla.KrylovGalerkin(blocks=blocks), on_failure="return"
        )
        true = backward(exact, result)
        assert true * (1 - 1e-12) <= result.error.absolute
        assert result.error.absolute <= true * (1 + 1e-6) + 1e-13 * norm(exact.target)
    assert result.steps >= 3


@pytest.mark.parametrize("sign", [1, -1])
def test_products_are_all_it_needs_and_they_are_counted(sign: int) -> None:
    made = case(1e2, sign, dense=True, n=200)
    root = Products(made.H)
    result = rnla.sqrtm_update(root, made.D, sign=sign)
    assert isinstance(result.report.plan.method, rnla.KrylovGalerkin)
    assert result.status.ok
    assert result.report.products == root.columns
    S = made.H + (result.V * result.w) @ result.V.T
    assert np.linalg.norm(S @ S - made.B, 2) <= 2e-13 * np.linalg.norm(made.B, 2)


def test_a_condition_of_a_hundred_takes_twenty_blocks() -> None:
    """The root's condition is 10, and 20 blocks of degree 19 on it reach 1e-10."""
    for seed in range(4):
        made = case(1e2, 1, n=300, seed=seed)
        result = rnla.sqrtm_update(made.A_half, made.D, method=rnla.KrylovGalerkin(blocks=20), tol=1e-10)
        assert result.error.value <= 1e-10


def test_a_space_that_is_closed_needs_nothing_more() -> None:
    h = np.repeat([1.0, 2.0, 5.0], [30, 20, 10])
    rng = np.random.default_rng(0)
    D = rng.standard_normal((60, 2))
    root = Products(np.diag(h))
    result = rnla.sqrtm_update(root, D, method=rnla.KrylovGalerkin())
    assert result.status.ok
    assert result.rank <= 6  # three eigenvalues: D, H D, H^2 D
    assert result.report.size <= 10
    S = np.diag(h) + (result.V * result.w) @ result.V.T
    assert np.linalg.norm(S @ S - np.diag(h**2) - D @ D.T, 2) <= 1e-13 * np.linalg.norm(S @ S, 2)


@pytest.mark.parametrize("power", [-0.5, 0.25, -0.25])
def test_a_dense_root_is_decomposed_for_the_other_powers(power: float) -> None:
    made = case(1e2, dense=True)
    w, V = rnla.sqrtm_update(made.A_half, made.D, power=power, method=rnla.KrylovGalerkin())

    def of(M):
        values, vectors = np.linalg.eigh(M)
        return (vectors * values**power) @ vectors.conj().T

    np.testing.assert_allclose((V * w) @ V.T, of(made.B) - of(made.A), atol=1e-11)


def test_an_inverse_root_of_products_is_refused() -> None:
    made = case(1e2, dense=True)
    with pytest.raises(rnla.InputError, match="shifted_solve"):
        rnla.sqrtm_update(Products(made.H), made.D, power=-0.5)


def test_the_options_are_checked() -> None:
    with pytest.raises(rnla.InputError, match="blocks"):
        rnla.KrylovGalerkin(blocks=0)


@pytest.mark.parametrize("method", [rnla.KrylovGalerkin, rnla.KrylovOnA])
@pytest.mark.parametrize("blocks", [1, 2, 9, 17])
def test_steps_are_blocks_not_looks(method: type, blocks: int) -> None:
    """With k columns a block, blocks times k columns are the basis, also where not every block is looked at."""
    made = case(1e4, 1, k=2, n=200)
    result = rnla.sqrtm_update(made.A_half, made.D, method=method(blocks=blocks), on_failure="return")
    assert result.steps == blocks
    assert len(result.history) <= blocks + 1
    if blocks > 10:
        assert len(result.history) < blocks
    if method is rnla.KrylovGalerkin:
        assert result.report.size == 2 * blocks
