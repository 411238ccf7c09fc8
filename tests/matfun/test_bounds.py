"""What every method must keep: the errors that are said, the decay of the correction, and the shapes at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

import rnla
from rnla.errors import InputError
from tests.matfun.exact import POWERS, backward, case, forward, needs_extended, norm, root, truth, wide

EPS = np.finfo(float).eps
METHODS = {
    "shift_adi": rnla.ShiftADI(),
    "krylov_galerkin": rnla.KrylovGalerkin(),
    "newton_kleinman": rnla.NewtonKleinman(),
    "dense_eigh": rnla.DenseEigh(),
}


@needs_extended
@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_no_error_is_above_what_is_said(power: float, sign: int, field: str, dense: bool, method: str) -> None:
    for condition in (1e2, 1e4, 1e6, 1e8):
        made = case(condition, sign, n=40, field=field, dense=dense, seed=int(math.log10(condition)) // 2)
        result = rnla.sqrtm_update(
            made.A_half, made.D, sign=sign, power=power, method=METHODS[method], on_failure="return"
        )
        exact = truth(made, power)
        assert backward(exact, result) <= result.error.absolute
        assert result.error.absolute <= result.error.value * norm(exact.target) * (1 + 1e-9)
        assert forward(exact, result) <= result.forward_bound


@needs_extended
@pytest.mark.parametrize("power", [-0.5, -0.25])
def test_what_is_measured_at_the_level_of_rounding_is_not_taken_for_exact(power: float) -> None:
    """Of few eigenvalues, rounding in a measurement may hide by chance the error that is measured."""
    for seed in range(60):
        made = case(
            1e8, -1, n=7, dense=True, k=1 + seed % 3, share=0.999, seed=seed, spread=("log", "linear")[seed % 2]
        )
        result = rnla.sqrtm_update(made.A_half, made.D, sign=-1, power=power, on_failure="return")
        assert backward(truth(made, power), result) <= result.error.absolute


@needs_extended
@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("method", ["shift_adi", "krylov_galerkin"])
def test_no_error_in_single_precision_is_above_what_is_said(power: float, sign: int, dense: bool, method: str) -> None:
    for condition in (1e2, 1e4, 1e6):
        drawn = case(condition, sign, n=40, dense=dense, share=0.8)
        A_half, D = drawn.A_half.astype(np.float32), drawn.D.astype(np.float32)
        whole = A_half.astype(float)
        made = type(drawn)(whole, np.diag(whole) if whole.ndim == 1 else (whole + whole.T) / 2, D.astype(float), sign)
        result = rnla.sqrtm_update(A_half, D, sign=sign, power=power, method=METHODS[method], on_failure="return")
        exact = truth(made, power)
        assert result.V.dtype == np.float32
        assert backward(exact, result) <= result.error.absolute
        assert forward(exact, result) <= result.forward_bound
        if power == 0.5:
            assert result.error.value <= 1e-5


@needs_extended
@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("sign", [1, -1])
def test_large_tolerances_are_kept_too_and_save_rank(power: float, sign: int) -> None:
    made = case(1e4, sign, seed=4)
    exact, ranks = truth(made, power), []
    for tol in (1e-2, 1e-4, 1e-7, 1e-11):
        result = rnla.sqrtm_update(made.A_half, made.D, sign=sign, power=power, tol=tol)
        assert backward(exact, result) * (1 - 1e-12) <= result.error.absolute  # of rank 0 it is known to the digit
        assert result.error.absolute <= tol * norm(exact.target)
        assert forward(exact, result) <= result.forward_bound
        ranks.append(result.rank)
    assert ranks == sorted(ranks)
    assert ranks[0] < ranks[-1] / 2


@needs_extended
def test_the_singular_values_of_the_correction_decay_as_the_bound_says() -> None:
    """sigma_{1+kj} <= 4 exp(-pi^2 j / log(4 hi / lo)) sigma_1, where the bound is above 50 eps norm(B) / lo."""
    looked, floor_factor = 0, 50
    for condition in (1e2, 1e4, 1e6, 1e8):
        for sign in (1, -1):
            for k in (1, 2, 3, 5):
                for seed in (0, 1, 2):
                    made = case(condition, sign, n=80, k=k, seed=seed)
                    method = rnla.ShiftADI() if seed else rnla.DenseEigh()
                    result = rnla.sqrtm_update(made.A_half, made.D, sign=sign, method=method, tol=1e-14 * 3,
                                               on_failure="return")  # fmt: skip
                    values = np.linalg.eigvalsh(made.B)
                    lo = math.sqrt(max(min(values[0], 1.0), EPS))
                    hi = math.sqrt(max(values[-1], condition))
                    floor = floor_factor * EPS * values[-1] / lo
                    sizes = np.abs(result.w)
                    for j in range(1, (len(sizes) - 1) // k + 1):
                        bound = 4 * math.exp(-(math.pi**2) * j / math.log(4 * hi / lo)) * sizes[0]
                        if bound > floor:
                            assert sizes[k * j] <= bound, (condition, sign, k, seed, j)
                            looked += 1
                    # What is not there is a value of zero, as far as the result goes.
    assert looked >= 700


@needs_extended
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("method", METHODS)
def test_the_correction_keeps_the_bounds_known_beforehand(sign: int, method: str) -> None:
    """norm(X) <= norm(D), also Frobenius; X is semidefinite; after an update X <= X_1, H X_1 + X_1 H = D D^H."""
    for condition in (1e2, 1e6):
        made = case(condition, sign, seed=1)
        w, V = rnla.sqrtm_update(made.A_half, made.D, sign=sign, method=METHODS[method])
        assert abs(w[0]) <= np.linalg.norm(made.D, 2) * (1 + 1e-12)
        assert np.linalg.norm(w) <= np.linalg.norm(made.D) * (1 + 1e-12)
        noise = 50 * EPS * np.linalg.norm(made.B, 2) / np.sqrt(np.linalg.eigvalsh(made.B)[0])
        assert (sign * w >= -noise).all()
        np.testing.assert_allclose(V.conj().T @ V, np.eye(len(w)), atol=1e-13)
        if sign > 0:
            h = np.diag(made.H)
            first = (made.D @ made.D.T) / (h[:, None] + h[None, :])
            assert np.linalg.eigvalsh(first - (V * w) @ V.T)[0] >= -noise


@needs_extended
@pytest.mark.parametrize("sign", [1, -1])
def test_the_inverse_correction_is_the_one_of_the_identity(sign: int) -> None:
    """B^{-1/2} - A^{-1/2} = -B^{-1/2} (B^{1/2} - A^{1/2}) A^{-1/2}."""
    made = case(1e4, sign, dense=True)
    w, V = rnla.sqrtm_update(made.A_half, made.D, sign=sign)
    u, U = rnla.sqrtm_update(made.A_half, made.D, sign=sign, power=-0.5)
    after, before = np.linalg.inv(root(made.B).astype(float)), np.linalg.inv(made.H)
    np.testing.assert_allclose((U * u) @ U.T, -after @ (V * w) @ V.T @ before, atol=1e-11)


def gram(D):
    return D @ D.conj().T


@needs_extended
@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", ["equal", "dependent", "square", "one", "two", "whole", "wide", "zero column"])
def test_changes_of_any_shape(power: float, sign: int, method: str, shape: str) -> None:
    n, k = {"one": (1, 1), "two": (2, 1), "square": (7, 7), "whole": (9, 4), "wide": (6, 40)}.get(shape, (30, 4))
    made = case(1e3, sign, n=n, k=k, seed=6)
    D = made.D.copy()
    if shape == "equal":
        D = np.repeat(D[:, :1], 4, axis=1) / 2
    elif shape == "dependent":
        D[:, 2] = D[:, 0] - 0.5 * D[:, 1]
        D /= 2
    elif shape == "zero column":
        D[:, 1] = 0
    made = type(made)(made.A_half, made.H, D, sign)
    # 40 columns on 6 rows make B so much larger than A that the digits of its inverse are lost in those of A's.
    lost = shape == "wide" and power < 0
    result = rnla.sqrtm_update(
        made.A_half, D, sign=sign, power=power, method=METHODS[method], on_failure="return" if lost else "raise"
    )
    exact = truth(made, power)
    assert result.rank <= n
    assert backward(exact, result) <= result.error.absolute
    # Without a tol of the caller's, rounding may add a few times 1e-13 to what is asked, above all of an inverse.
    assert result.error.value <= (5e-12 if lost else 5e-13)
    assert forward(exact, result) <= result.forward_bound


@pytest.mark.parametrize("method", [*METHODS, "krylov_on_a"])
@pytest.mark.parametrize("power", POWERS)
def test_a_downdate_that_takes_too_much_is_refused_by_every_method(method: str, power: float) -> None:
    made = case(1e4, -1, share=1.01, seed=1)
    given = {"A": made.A} if method == "krylov_on_a" else {"method": METHODS[method]}
    with pytest.raises(InputError, match=r"downdate is not possible|no root"):
        rnla.sqrtm_update(None if "A" in given else made.A_half, made.D, sign=-1, power=power, **given)


@pytest.mark.parametrize("dense", [False, True])
def test_the_refusal_names_how_far_too_much_was_taken(dense: bool) -> None:
    made = case(1e2, -1, share=1.25, dense=dense)
    with pytest.raises(InputError, match=r"lambda_max\(D\^H A\^-1 D\) - 1 = 0\.25"):
        rnla.sqrtm_update(made.A_half, made.D, sign=-1)


@needs_extended
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("field", ["real", "complex"])
def test_at_the_boundary_the_root_is_there_and_the_inverse_is_refused(method: str, dense: bool, field: str) -> None:
    """A - D D^H = H (I - q q^H) H is singular for a unit vector q, up to rounding."""
    for condition in (1e2, 1e4):
        made = case(condition, dense=dense, field=field, n=40)
        q = np.linalg.qr(made.D[:, :1])[0]
        made = type(made)(made.A_half, made.H, made.H @ q, -1)
        result = rnla.sqrtm_update(made.A_half, made.D, sign=-1, method=METHODS[method], on_failure="return")
        X = (wide(result.V) * wide(result.w)) @ wide(result.V).conj().T
        S, D = wide(made.H) + X, wide(made.D)
        assert norm(S @ S - wide(made.H) @ wide(made.H) + D @ D.conj().T) <= result.error.absolute
        assert result.status.ok
        assert result.error.value <= 1e-13
        for power in (-0.5, -0.25):
            with pytest.raises(InputError, match="inverse root"):
                rnla.sqrtm_update(made.A_half, made.D, sign=-1, power=power, method=METHODS[method])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("power", POWERS)
def test_at_most_the_rank_asked_for(method: str, power: float) -> None:
    made = case(1e4, 1)
    whole = rnla.sqrtm_update(made.A_half, made.D, power=power, method=METHODS[method])
    for rank in (0, 3, 10):
        options = {"power": power, "method": METHODS[method], "max_rank": rank}
        with pytest.raises(rnla.ToleranceNotMet) as caught:
            rnla.sqrtm_update(made.A_half, made.D, **options)
        result = caught.value.result
        assert result.rank == rank
        assert result.status is rnla.Status.RANK_CAP
        np.testing.assert_allclose(result.w, whole.w[:rank], rtol=1e-6)
        S = np.diag(np.diag(made.H) ** (2 * power)) + (result.V * result.w) @ result.V.T
        target = made.B if power > 0 else np.linalg.inv(made.B)
        squared = np.linalg.matrix_power(S, 2 if abs(power) == 0.5 else 4)
        assert np.linalg.norm(squared - target, 2) <= result.error.absolute * (1 + 1e-9)
    assert rnla.sqrtm_update(made.A_half, made.D, power=power, max_rank=60).status.ok
