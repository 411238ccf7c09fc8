"""A result goes on from its iteration: the same answer as at once, from the basis that is there."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import rnla
from rnla.errors import InputError
from tests.matfun.exact import POWERS, backward, case, needs_extended, truth

METHODS = {"shift_adi": rnla.ShiftADI(), "krylov_galerkin": rnla.KrylovGalerkin()}


class Counted:
    """A root that counts the columns that it is multiplied and solved with."""

    dtype = np.dtype(float)

    def __init__(self, h):
        self.h, self.shape, self.columns = h[:, None], (len(h), len(h)), 0

    def matmat(self, x):
        self.columns += x.shape[1]
        return self.h * x

    def shifted_solve(self, s, x):
        self.columns += x.shape[1]
        return x / (self.h + s)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sign", [1, -1])
def test_extending_gives_what_one_call_would_have(method: str, sign: int) -> None:
    made = case(1e3, sign)
    options = {"sign": sign, "method": METHODS[method], "rng": 3}
    rough = rnla.sqrtm_update(made.A_half, made.D, tol=1e-5, **options)
    fine, whole = rough.extend(tol=1e-12), rnla.sqrtm_update(made.A_half, made.D, tol=1e-12, **options)
    assert rough.error.value <= 1e-5
    assert fine.error.value <= 1e-12
    assert fine.shifts[: len(rough.shifts)] == rough.shifts
    assert fine.history[: len(rough.history)] == rough.history
    np.testing.assert_allclose(fine.w[: rough.rank], whole.w[: rough.rank], rtol=1e-9)
    np.testing.assert_allclose((fine.V * fine.w) @ fine.V.T, (whole.V * whole.w) @ whole.V.T, atol=1e-9)
    if method == "shift_adi":  # its shifts do not depend on the tolerance until the end is near
        assert abs(fine.steps - whole.steps) <= 2


@pytest.mark.parametrize("sign", [1, -1])
def test_the_basis_is_used_again(sign: int) -> None:
    made = case(1e4, sign, n=300)
    at_once = Counted(made.A_half)
    rnla.sqrtm_update(at_once, made.D, sign=sign, tol=1e-12)
    root = Counted(made.A_half)
    rough = rnla.sqrtm_update(root, made.D, sign=sign, tol=1e-6)
    before = root.columns
    fine = rough.extend(tol=1e-12)
    after = root.columns - before
    own = before - 3 * 3 * rough.steps  # for the norm of B and for looks at the root, which are taken again
    assert after <= 3 * 3 * (fine.steps - rough.steps) + own
    assert after < at_once.columns - 3 * 3 * (rough.steps - 1)
    assert fine.report.products == after  # the report is of this call


@needs_extended
@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dense", [False, True])
def test_the_error_never_rises_and_is_still_true(power: float, sign: int, method: str, dense: bool) -> None:
    made = case(1e3, sign, dense=dense, n=40)
    exact = truth(made, power)
    result = rnla.sqrtm_update(made.A_half, made.D, sign=sign, power=power, method=METHODS[method], tol=1e-3)
    for tol in (1e-2, 1e-6, 1e-6, 1e-9, 2e-12):
        more = result.extend(tol=tol)
        assert more.error.value <= min(result.error.value, tol)
        assert more.status.ok
        assert backward(exact, more) * (1 - 1e-12) <= more.error.absolute
        result = more


def test_two_extensions_of_one_result_do_not_disturb_each_other() -> None:
    made = case(1e3)
    rough = rnla.sqrtm_update(made.A_half, made.D, tol=1e-4)
    V = rough.V.copy()
    first = rough.extend(tol=1e-8)
    kept = first.V.copy()
    second, third = rough.extend(tol=1e-12), first.extend(tol=1e-12)
    np.testing.assert_array_equal(rough.V, V)
    np.testing.assert_array_equal(first.V, kept)
    np.testing.assert_allclose(second.w, third.w[: second.rank], atol=1e-10)


def test_the_change_is_the_one_of_the_call() -> None:
    made = case(1e3)
    D = made.D.copy()
    rough = rnla.sqrtm_update(made.A_half, D, tol=1e-4)
    D[:] = 0
    fine, wanted = rough.extend(tol=1e-10), rnla.sqrtm_update(made.A_half, made.D, tol=1e-4).extend(tol=1e-10)
    np.testing.assert_array_equal(fine.w, wanted.w)


def test_a_rank_is_the_largest_allowed() -> None:
    made = case(1e4)
    low = rnla.sqrtm_update(made.A_half, made.D, max_rank=5, on_failure="return")
    assert low.rank == 5
    assert low.status is rnla.Status.RANK_CAP
    more = low.extend(rank=12, on_failure="return")
    assert more.rank == 12
    assert more.error.value < low.error.value
    with pytest.raises(rnla.ToleranceNotMet):
        low.extend(rank=12)
    all_of_it = low.extend(rank=60)
    assert all_of_it.status.ok
    assert all_of_it.rank < 60
    assert low.extend(tol=1e-12).status.ok  # without a rank there is no cap


def test_what_an_iteration_stopped_at_it_goes_on_from() -> None:
    made = case(1e4)
    stopped = rnla.sqrtm_update(made.A_half, made.D, method=rnla.ShiftADI(steps=8), on_failure="return")
    assert stopped.status is rnla.Status.ITERATIONS
    more = stopped.extend(tol=1e-13, on_failure="return")
    assert more.steps == 16
    assert more.extend(tol=1e-13).error.value <= 1e-13
    stopped = rnla.sqrtm_update(made.A_half, made.D, method=rnla.KrylovGalerkin(blocks=8), on_failure="return")
    assert stopped.extend(tol=1e-13, on_failure="return").error.value < stopped.error.value


def test_a_change_that_was_cut_for_a_rough_tolerance_is_taken_whole_for_a_fine_one() -> None:
    rng = np.random.default_rng(0)
    h = np.linspace(1.0, 2.0, 50)
    D = rng.standard_normal((50, 4)) * np.array([1.0, 1e-2, 1e-4, 1e-6])
    rough = rnla.sqrtm_update(h, D, tol=1e-3)
    fine = rough.extend(tol=1e-13)
    S = np.diag(h) + (fine.V * fine.w) @ fine.V.T
    assert fine.error.value <= 1e-13
    assert np.linalg.norm(S @ S - np.diag(h**2) - D @ D.T, 2) <= 2e-13 * np.linalg.norm(S @ S, 2)


def test_requests_that_make_no_sense() -> None:
    made = case(1e2)
    result = rnla.sqrtm_update(made.A_half, made.D)
    for asked, words in (({}, "rank= or tol="), ({"rank": 1}, "below the present"), ({"tol": -1.0}, "tol")):
        with pytest.raises(InputError, match=words):
            result.extend(**asked)
    with pytest.raises(InputError, match="without A"):
        result.extend(tol=1e-10, A=made.A)


def test_the_iteration_does_not_travel(tmp_path) -> None:
    made = case(1e2)
    result = rnla.sqrtm_update(made.A_half, made.D)
    result.save(tmp_path / "root.npz")
    estimated = rnla.sqrtm_update(None, made.D, A=made.A)
    for gone in (
        rnla.load(tmp_path / "root.npz"), pickle.loads(pickle.dumps(result)), copy.deepcopy(result), estimated,
        result.truncate(rank=2),
    ):  # fmt: skip
        with pytest.raises(InputError, match=r"call rnla\.sqrtm_update again"):
            gone.extend(tol=1e-13)


def test_references_start_again() -> None:
    made = case(1e2)
    rough = rnla.sqrtm_update(made.A_half, made.D, tol=1e-4, method=rnla.DenseEigh())
    assert rough.extend(tol=1e-13).error.value <= 1e-13
