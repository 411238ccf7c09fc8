"""Requests and results: bad input before any work, failures with what was reached, plans, files, callbacks."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.robust import ROBUST_METHODS
from tests.robust.model import error, model


class Untouched:
    """A matrix that must not be read."""

    shape, dtype = (300, 300), np.dtype(float)

    def entries(self, i: Any, j: Any) -> Any:
        raise AssertionError("read")


D, LOW, _ = model(300, 320, 2, 0.1, seed=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 0}, "rank=0 leaves L = 0"),
        ({"rank": 301}, r"larger than min\(m, n\)=.*leave it out to have it estimated"),
        ({"rank": 2.5}, "must be an integer"),
        ({"rank": -1}, "at least 0"),
        ({"rank": 2, "tol": 0.0}, "positive"),
        ({"rank": 2, "tol": 1e-17}, "below what float64"),
        ({"rank": 2, "tol": 1.0}, "met by L = 0"),
        ({"rank": 2, "method": "none"}, "not one of 'auto', 'riecur'"),
        ({"rank": 2, "method": 3}, "or a part"),
        ({"rank": 2, "method": rnla.RieCUR(), "sampling": 2.0}, "method= carries"),
        ({"rank": 2, "method": rnla.RieCUR(), "threshold": "columns"}, "method= carries"),
        ({"rank": 20, "sampling": 0.05}, "too few for rank 20"),
        ({"rank": 290, "method": "riecur"}, "too few are left"),
        ({"rank": 2, "sampling": "often"}, "sampling"),
        ({"rank": 2, "sampling": -1.0}, "positive"),
        ({"rank": 2, "threshold": 0.3}, "must be 'entries'"),
        ({"rank": 2, "threshold": "rows"}, "not one of"),
        ({"rank": 2, "max_iterations": 0}, "at least 1"),
        ({"rank": 2, "on_failure": "ignore"}, "on_failure"),
        ({"rank": 2, "method": "accaltproj"}, "use method='riecur'"),
        ({"rank": 2, "method": "pcp"}, "use method='riecur'"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_read(options: dict[str, Any], message: str) -> None:
    with pytest.raises((rnla.InputError, rnla.DTypeError), match=message):
        rnla.robust_pca(Untouched(), **options)


@pytest.mark.parametrize(
    "make",
    [
        lambda: rnla.RieCUR(samples=0), lambda: rnla.RieCUR(decay=1.0), lambda: rnla.IRCUR(sampling="x"),
        lambda: rnla.AccAltProj(decay=0.0), lambda: rnla.AccAltProj(beta=-1),
        lambda: rnla.AlternatingProjections(beta=0),
        lambda: rnla.PrincipalComponentPursuit(growth=1.0), lambda: rnla.PrincipalComponentPursuit(weight=0),
        lambda: rnla.Threshold(kind="x"), lambda: rnla.Threshold(least=-1.0), lambda: rnla.Threshold(outliers=1.0),
        lambda: rnla.Threshold(start=0.0),
    ],
)  # fmt: skip
def test_parts_refuse_what_makes_no_sense(make: Any) -> None:
    with pytest.raises(rnla.InputError):
        make()


@pytest.mark.parametrize("method", ["riecur", "ircur"])
def test_methods_of_a_cross_refuse_a_mask_and_name_those_that_take_it(method: str) -> None:
    mask = np.ones(D.shape, dtype=bool)
    mask[3, 4] = False
    with pytest.raises(rnla.InputError, match="use method='accaltproj', 'altproj' or 'pcp'"):
        rnla.robust_pca(D, 2, method=method, mask=mask)
    mask[3, 4] = True
    assert rnla.robust_pca(D, 2, method=method, mask=mask, rng=0).status.ok  # nothing is missing


def test_a_mask_on_what_is_not_in_memory_names_no_method_that_refuses_it() -> None:
    mask = np.ones((300, 300), dtype=bool)
    mask[3, 4] = False
    for method in ("auto", "accaltproj"):
        with pytest.raises(rnla.InputError, match=r"load it$") as caught:
            rnla.robust_pca(Untouched(), 2, method=method, mask=mask)
        assert "cur" not in str(caught.value).lower()


def test_a_rank_for_the_pursuit_is_told_not_to_be_used() -> None:
    plan = rnla.plan(D, 7, problem="robust_pca", method="pcp")
    assert "rank=7 is not used" in str(plan)
    assert "what the pursuit finds" in str(plan)
    result = rnla.robust_pca(D[:90, :80], method="pcp", rng=0)
    assert str(result.report.plan) == str(rnla.plan(D[:90, :80], problem="robust_pca", method="pcp"))
    assert result.trace[0, 3] == 90 * 80  # nothing is read to tell where a threshold of its own begins


def test_masks_that_cannot_be() -> None:
    mask = np.ones(D.shape, dtype=bool)
    for bad, message in (
        (mask[:5], "of shape"), (mask.astype(int), "array of bool"),
        (np.where(np.arange(320) == 7, False, mask), "column 7"),
        (np.where(np.arange(300)[:, None] == 9, False, mask), "row 9"),
    ):  # fmt: skip
        with pytest.raises(rnla.InputError, match=message):
            rnla.robust_pca(D, 2, mask=bad)
    mask[1, 1] = False
    broken = D.copy()
    broken[5, 6] = np.inf
    with pytest.raises(rnla.NonFiniteError, match=r"\(5, 6\).*mask= must be False there"):
        rnla.robust_pca(broken, 2, mask=mask)


def test_what_does_not_fit_the_budget_is_told_before_the_work() -> None:
    need = rnla.plan(D, 2, problem="robust_pca", method="accaltproj").bytes
    told = f"memory_budget={need} or more, or take method='riecur'"
    with rnla.config_context(memory_budget=need - 1), pytest.raises(rnla.BudgetError, match=told):
        rnla.robust_pca(D, 2, method="accaltproj", rng=0)
    with rnla.config_context(memory_budget=need):
        assert rnla.robust_pca(D, 2, method="accaltproj", rng=0).status.ok
    with rnla.config_context(memory_budget=1 << 20), pytest.raises(rnla.BudgetError):
        rnla.robust_pca(Untouched(), 2)


def test_empty_and_odd_shapes() -> None:
    for shape in ((0, 5), (5, 0)):
        with pytest.raises(rnla.InputError, match="empty"):
            rnla.robust_pca(np.zeros(shape), 1)
    zero = rnla.robust_pca(np.zeros((90, 80)), 1, rng=0)
    assert not zero.L.to_array().any()
    assert zero.S.sparse().nnz == 0
    one = rnla.robust_pca(np.outer(np.arange(1.0, 6), np.ones(4)), 1, rng=0)
    assert one.held_out is not None
    tiny = rnla.robust_pca(np.ones((7, 7)), 1, method=rnla.RieCUR(samples=1.0), rng=0)  # nothing can be set aside
    assert tiny.held_out is not None
    assert (tiny.held_out.rows, tiny.held_out.columns, tiny.held_out.never_sampled) == (7, 7, False)
    assert np.allclose(one.L.to_array() + one.S.to_array(), np.outer(np.arange(1.0, 6), np.ones(4)))
    for a in (model(900, 60, 2, 0.05)[0], model(60, 900, 2, 0.05)[0]):
        assert rnla.robust_pca(a, 2, rng=0).status.ok
    whole = rnla.robust_pca((model(200, 200, 1, 0.0)[1] * 100).astype(np.int64), 1, rng=0, tol=1e-2)
    assert whole.U.dtype == np.float64


# ---------------------------------------------------------------------------------------------------- failures
@pytest.mark.parametrize("method", ["riecur", "ircur", "accaltproj", "altproj"])
def test_hopeless_matrices_raise_with_what_was_reached(method: str) -> None:
    noise = np.random.default_rng(0).standard_normal((400, 400))
    with pytest.raises(rnla.ToleranceNotMet) as caught:
        rnla.robust_pca(noise, 3, method=method, rng=0)
    result = caught.value.result
    assert result.status.value in str(caught.value)
    assert result.status in {rnla.Status.DIVERGED, rnla.Status.REFUSED, rnla.Status.ITERATIONS}
    assert result.rank == 3
    assert result.iterations > 1
    back = rnla.robust_pca(noise, 3, method=method, rng=0, on_failure="return")
    assert back.status is result.status


def test_auto_does_not_certify_noise() -> None:
    noise = np.random.default_rng(1).standard_normal((300, 300))
    result = rnla.robust_pca(noise, 3, rng=0, on_failure="return")
    assert not result.status.ok


def test_the_limit_of_iterations_raises() -> None:
    with pytest.raises(rnla.ToleranceNotMet, match="limit of iterations") as caught:
        rnla.robust_pca(D, 2, method="riecur", max_iterations=5, rng=0)
    assert caught.value.result.status is rnla.Status.ITERATIONS
    assert caught.value.result.iterations == 5


def test_a_deadline_gives_back_what_there_is() -> None:
    class Late:
        """Passes the deadline at the third iteration, whatever the clock says."""

        def __init__(self) -> None:
            self.count = 0

        def __call__(self, event: Any) -> None:
            self.count += event.stage == "iterating"
            if self.count == 3:
                raise rnla.DeadlineReached("the deadline passed")

    with pytest.raises(rnla.DeadlineReached) as caught:
        rnla.robust_pca(D, 2, callback=Late(), rng=0, method="riecur")
    assert caught.value.result.iterations == 2
    assert caught.value.result.status is rnla.Status.DEADLINE
    back = rnla.robust_pca(D, 2, callback=Late(), rng=0, method="riecur", on_failure="return")
    assert back.status is rnla.Status.DEADLINE
    assert back.held_out is not None


class LateAt:
    """Passes the deadline at the k-th event of a stage, whatever the clock says."""

    def __init__(self, stage: str, count: int) -> None:
        self.stage, self.count = stage, count

    def __call__(self, event: Any) -> None:
        self.count -= event.stage == self.stage
        if self.count == 0:
            raise rnla.DeadlineReached("the deadline passed")


@pytest.mark.parametrize("on_failure", ["raise", "return"])
def test_a_deadline_before_there_is_a_model_says_so(on_failure: str) -> None:
    options: dict[str, Any] = {"rng": 0, "on_failure": on_failure}
    for method in ("riecur", "ircur", "accaltproj", "altproj", "pcp"):
        with pytest.raises(rnla.DeadlineReached, match="no first model yet, so that nothing is kept") as caught:
            rnla.robust_pca(D, 2, method=method, callback=LateAt("iterating", 1), **options)
        assert caught.value.result is None
    for count in (1, 4):
        with pytest.raises(rnla.DeadlineReached, match=r"while the rank was estimated.*or rank=") as caught:
            rnla.robust_pca(D, callback=LateAt("estimating the rank", count), **options)
        assert caught.value.result is None
    with rnla.config_context(deadline=1e-9), pytest.raises(rnla.DeadlineReached) as caught:
        rnla.robust_pca(D, 2, **options)
    assert caught.value.result is None


def test_a_deadline_in_the_first_step_of_another_try_leaves_the_try_before() -> None:
    noise = np.random.default_rng(0).standard_normal((400, 400))
    one = rnla.robust_pca(noise, 2, method="riecur", rng=0, on_failure="return")
    late = LateAt("iterating", one.iterations + 1)
    with pytest.raises(rnla.DeadlineReached, match="the attempt before it is returned") as caught:
        rnla.robust_pca(noise, 2, callback=late, rng=0)
    assert np.array_equal(caught.value.result.U, one.U)
    assert caught.value.result.status is one.status
    late = LateAt("iterating", one.iterations + 1)
    back = rnla.robust_pca(noise, 2, callback=late, rng=0, on_failure="return")
    assert "the attempt before it is returned" in back.report.notes[-1]
    assert len(set(back.report.notes)) == len(back.report.notes)


def test_what_does_not_fit_the_budget_is_not_tried_last() -> None:
    noise = np.random.default_rng(0).standard_normal((900, 900))
    options: dict[str, Any] = {"max_iterations": 3, "rng": 0, "on_failure": "return"}
    last = rnla.plan(noise, 1, problem="robust_pca", method=rnla.AccAltProj(decay=0.9)).bytes
    for budget, name in ((last + (1 << 20), "AccAltProj"), (last - (1 << 20), "RieCUR")):
        with rnla.config_context(memory_budget=budget):
            assert type(rnla.robust_pca(noise, 1, **options).report.plan.method).__name__ == name


def test_noise_that_nobody_told_of_is_met_with_advice() -> None:
    sigma = 1e-3 * float(np.abs(LOW).mean())
    noisy = D + sigma * np.random.default_rng(0).standard_normal(D.shape)
    for method in ("auto", "riecur", "accaltproj"):
        with pytest.raises(rnla.ToleranceNotMet, match=r"if D has noise, of about") as caught:
            rnla.robust_pca(noisy, 2, method=method, rng=0)
        least = float(str(caught.value).partition("least=")[2].partition(")")[0])
        assert 2 * sigma <= least <= 12 * sigma
        told = rnla.robust_pca(noisy, 2, method=method if method == "auto" else rnla.RieCUR(
            threshold=rnla.Threshold(least=least)
        ), threshold=rnla.Threshold(least=least) if method == "auto" else None, rng=0)  # fmt: skip
        assert error(told, LOW) <= 2e-3
    with pytest.raises(rnla.ToleranceNotMet, match=r"whole numbers.*Threshold\(least=1\.0\)"):
        rnla.robust_pca((D * 100).astype(np.int16), 2, rng=0)
    whole = rnla.robust_pca(np.rint(D * 100).astype(np.int16), 2, threshold=rnla.Threshold(least=1.0), rng=0)
    assert error(whole, 100 * LOW) <= 3e-3


def test_the_skeleton_of_an_L_of_any_size() -> None:
    for exponent in (-980, 0, 900):
        result = rnla.robust_pca(np.ldexp(D, exponent), 2, rng=0)
        c, core, r = result.cur()
        found = (np.ldexp(c, -exponent) @ np.ldexp(core, exponent)) @ np.ldexp(r, -exponent)
        assert np.allclose(found, LOW, atol=1e-5)
    tiny = dataclasses.replace(result, s=result.s / result.s[0] * 1e-320)
    with pytest.raises(rnla.NonFiniteError, match="leaves the range of float64; scale D"):
        tiny.cur()


def test_the_callback_hears_every_iteration() -> None:
    heard: list[Any] = []
    result = rnla.robust_pca(D, 2, callback=heard.append, rng=0)
    steps = [event for event in heard if event.stage == "iterating"]
    assert [int(event.passes) for event in steps] == list(range(1, result.iterations + 1))
    assert [event.error for event in steps] == result.trace[:, 0].tolist()
    assert rnla.get_config().callback is None


# ------------------------------------------------------------------------------------------------------- plans
def test_the_plan_says_which_method_and_why() -> None:
    def planned(d: Any, **options: Any) -> Any:
        return rnla.plan(d, 5, problem="robust_pca", **options)

    big = np.zeros((2000, 2000))
    assert planned(big).method == rnla.RieCUR()
    assert "less than half of D" in str(planned(big))
    assert isinstance(planned(big[:200, :200]).method, rnla.AccAltProj)
    assert isinstance(planned(big, mask=np.arange(2000) != np.arange(2000)[:, None]).method, rnla.AccAltProj)
    for share, decay in ((0.1, 0.5), (0.3, 0.7), (0.4, 0.8)):
        assert planned(big, threshold=rnla.Threshold(outliers=share)).method.decay == decay
    assert planned(big, threshold=rnla.Threshold(outliers=0.7)).method == rnla.AccAltProj(
        decay=0.9, threshold=rnla.Threshold(outliers=0.7)
    )
    assert planned(big[:200, :200], sampling=2.0).method.samples == 2.0
    assert planned(Untouched()).method == rnla.RieCUR()  # nothing is read
    for name, part in ROBUST_METHODS.items():
        plan = planned(big, method=name)
        assert type(plan.method) is part
        assert plan.flops > 0
        assert plan.bytes > 0
        again = rnla.plan(big, 5, problem="robust_pca", method=plan.method)
        assert again.method == plan.method
    result = rnla.robust_pca(D, 2, rng=0)
    assert result.report.plan.method == rnla.plan(D, 2, problem="robust_pca").method


# ----------------------------------------------------------------------------------------------------- results
def test_a_result_unpacks_prints_copies_and_travels(tmp_path: Any) -> None:
    result = rnla.robust_pca(D, 2, method="riecur", rng=0)
    L, S = result
    x = np.random.default_rng(0).standard_normal((320, 3))
    assert np.allclose(L @ x + S @ x, D @ x, atol=1e-4)
    assert np.allclose(S.rmatmat(D[:, :2]), S.to_array().T @ D[:, :2])
    assert np.allclose(S.columns([5, 3]), S.to_array()[:, [5, 3]])
    assert np.allclose(S.entries([1, 1, 7], [2, 300, 4]), S.to_array()[[1, 1, 7], [2, 300, 4]])
    assert np.allclose(S @ x[:, 0], S.to_array() @ x[:, 0])
    assert S.sparse("coo").format == "coo"
    for word in ("held out", "outliers", "incoherence", "accepted", "entries"):
        assert word in str(result)
    with pytest.raises(TypeError, match="not formed"):
        np.asarray(S)
    with pytest.raises(rnla.InputError, match="index"):
        S.rows([300])
    for view in (result.svd(), result.cur()):
        assert np.allclose(view.as_operator().to_array(), L.to_array(), atol=1e-9)
    assert np.array_equal(result.cur().columns, result.columns)

    result.save(tmp_path / "r.npz")
    loaded = rnla.load(tmp_path / "r.npz")
    for other in (loaded, pickle.loads(pickle.dumps(result))):
        assert np.array_equal(other.U, result.U)
        assert other.held_out == result.held_out
        assert np.array_equal(other.trace, result.trace)
        assert other.report.plan.method == result.report.plan.method
        with pytest.raises(rnla.InputError, match=r"pass it, outliers\(D\)"):
            assert other.S is None
        assert np.array_equal(other.outliers(D).sparse().toarray(), S.sparse().toarray())
        with pytest.raises(rnla.InputError, match="is of a matrix of shape"):
            other.outliers(D[:5])
    deep = copy.deepcopy(result)
    assert np.array_equal(deep.s, result.s)
    assert deep.U is not result.U
    with pytest.raises(rnla.InputError, match="call robust_pca again"):
        result.extend(rank=3)


def test_a_mask_does_not_travel_but_can_be_given_again(tmp_path: Any) -> None:
    mask = np.random.default_rng(0).random(D.shape) < 0.8
    result = rnla.robust_pca(np.where(mask, D, np.nan), 2, mask=mask, rng=0)
    assert error(result, LOW) <= 1e-5
    result.save(tmp_path / "r.npz")
    again = rnla.load(tmp_path / "r.npz").outliers(D, mask=mask)
    assert np.array_equal(again.sparse().toarray(), result.S.sparse().toarray())


def test_auto_chooses_for_the_rank_that_was_estimated() -> None:
    """For a guess of 10 a cross is half of this matrix, for rank 2 it is not; for 25 of a larger one it is."""
    d, low, _ = model(400, 400, 2, 0.1, seed=2)
    assert isinstance(rnla.plan(d, problem="robust_pca").method, rnla.AccAltProj)
    result = rnla.robust_pca(d, rng=0)
    assert result.rank == 2
    assert isinstance(result.report.plan.method, rnla.RieCUR)
    assert result.held_out.never_sampled
    assert error(result, low) <= 20e-7
    d, low, _ = model(900, 900, 25, 0.05, seed=2)
    assert isinstance(rnla.plan(d, problem="robust_pca").method, rnla.RieCUR)
    result = rnla.robust_pca(d, rng=0)
    assert result.rank == 25
    assert isinstance(result.report.plan.method, rnla.AccAltProj)
    asked = rnla.robust_pca(model(400, 400, 2, 0.1, seed=2)[0], sampling=3.0, rng=0)
    assert isinstance(asked.report.plan.method, rnla.RieCUR)


@pytest.mark.parametrize(("rank", "share"), [(1, 0.5), (2, 0.45)])
def test_small_ranks_have_a_cross_that_is_wide_enough(rank: int, share: float) -> None:
    """As wide as for rank 3: on a cross of rank 1, half of the draws fail at these shares."""
    for seed in range(4):
        d, low, _ = model(300, 300, rank, share, seed=seed)
        assert error(rnla.robust_pca(d, rank, method=rnla.RieCUR(decay=0.8), rng=seed), low) <= 1e-6
