"""What an update costs: memory, products and solves as counted by the object itself, deadlines, events."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import rnla
from rnla._kernels import compiled
from rnla.errors import BudgetError, DeadlineReached, ToleranceNotMet
from rnla.results import Status
from tests.matfun.exact import case
from tests.matfun.given import Counting, MultipliedOnly

N, K = 48, 3
MADE = case(1e3, n=N, k=K, dense=True)


KERNELS = ["plain", pytest.param("compiled", marks=pytest.mark.skipif(not compiled._has_numba(), reason="numba"))]


def peak_of(call: Any) -> tuple[int, Any]:
    call()  # what is loaded and kept once does not count
    tracemalloc.stop()  # what another test left on would count all since then
    tracemalloc.start()
    try:
        result = call()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("power", [0.5, -0.5, 0.25])
@pytest.mark.parametrize(("n", "k"), [(20_000, 5), (60_000, 2)])
def test_memory_is_that_of_the_basis(n: int, k: int, power: float) -> None:
    """O(n k J): the basis with room to grow, its copy while it grows, and a few panels; an n x n array is 3 GB here.

    J steps of k columns and the first k are k (J + 1) columns of n numbers; 3 of these, a second stage's images and
    its basis more than as many again, 16 blocks of room in each, and panels.
    """
    rng = np.random.default_rng(0)
    h, D = np.linspace(1.0, 30.0, n), rng.standard_normal((n, k))
    peak, result = peak_of(lambda: rnla.sqrtm_update(h, D, power=power, rng=0))
    columns = result.report.size
    assert result.status.ok
    assert columns <= k * (result.steps + 1) or power == 0.25
    assert peak <= 8 * n * ((3 if abs(power) == 0.5 else 8) * columns + 32 * k + 64)
    assert peak < 8 * n * n / 20


def test_an_n_by_n_temporary_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from rnla.matfun.roots import DiagonalRoot

    def wasteful(self: Any, x: Any) -> Any:
        return np.diag(self.h) @ x

    n = 2000
    h, D = np.linspace(1.0, 30.0, n), np.random.default_rng(0).standard_normal((n, 1))
    lean, _ = peak_of(lambda: rnla.sqrtm_update(h, D))
    monkeypatch.setattr(DiagonalRoot, "matmat", wasteful)
    peak, result = peak_of(lambda: rnla.sqrtm_update(h, D))
    bound = 8 * n * (3 * result.report.size + 32 + 64)
    assert lean <= bound < peak


@pytest.mark.parametrize("kernels", KERNELS)
def test_a_budget_is_kept_to_or_the_work_refused(kernels: str) -> None:
    """The kernels are fixed: one that a thread loads meanwhile is traced with the call, and imports are large."""
    n, k = 100_000, 5
    h, D = np.linspace(1.0, 30.0, n), np.random.default_rng(0).standard_normal((n, k))
    with rnla.config_context(memory_budget="20M"), pytest.raises(BudgetError, match="memory_budget"):
        rnla.sqrtm_update(h, D)
    needed = rnla.plan(h, D, problem="sqrtm_update").bytes
    with rnla.config_context(memory_budget=needed, kernels=kernels):
        peak, result = peak_of(lambda: rnla.sqrtm_update(h, D))
    assert result.status.ok
    assert peak <= 1.2 * needed


def test_a_dense_root_that_leaves_no_room_is_refused_before_its_decomposition(monkeypatch: pytest.MonkeyPatch) -> None:
    import rnla.matfun.inputs

    def refuse(_: Any) -> Any:
        raise AssertionError("it was decomposed")

    monkeypatch.setattr(rnla.matfun.inputs, "eigh", refuse)
    with rnla.config_context(memory_budget="1M"), pytest.raises(BudgetError, match="memory_budget"):
        rnla.sqrtm_update(np.eye(400), np.ones((400, 1)))


# ----------------------------------------------------------------------------------------------------- counts
CALLS: dict[str, dict[str, Any]] = {
    "update": {}, "downdate": {"sign": -1}, "inverse": {"power": -0.5}, "inverse downdate": {"power": -0.5, "sign": -1},
    "fourth root": {"power": 0.25},
    "inverse fourth root": {"power": -0.25}, "krylov": {"method": rnla.KrylovGalerkin()},
    "loose": {"tol": 1e-3}, "capped": {"max_rank": 3, "on_failure": "return"},
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_products_and_solves_are_counted_as_they_are_made(name: str) -> None:
    made = case(1e2, CALLS[name].get("sign", 1), n=N, k=K, dense=True)
    A, options = Counting(made.H), dict(CALLS[name])
    if abs(options.get("power", 0.5)) < 0.5:
        t, u = np.linalg.eigh(made.H)
        options["A_quarter"] = (u * np.sqrt(t)) @ u.T
    result = rnla.sqrtm_update(A, made.D, **options)
    beside = 1 if "A_quarter" in options else 0  # one random vector tests whether the fourth root is one
    assert result.report.products == A.products + A.solves
    assert result.report.passes == A.calls
    assert A.products >= beside + 2
    told = [note for note in result.report.notes if "solved with" in note]
    assert bool(told) == (A.solves > 0)
    assert not told or told[0].startswith(f"{A.solves} ")


def test_counts_are_of_one_call_where_a_result_is_the_next_root() -> None:
    A = Counting(MADE.H)
    first = rnla.sqrtm_update(A, MADE.D)
    before = A.products + A.solves
    second = rnla.sqrtm_update(first, MADE.D)
    assert second.report.products == A.products + A.solves - before
    assert first.report.products == before


@pytest.mark.parametrize("limit", [1, 5, 12])
def test_passes_are_limited(limit: int) -> None:
    A = Counting(MADE.H)
    with rnla.config_context(max_passes=limit), pytest.raises(BudgetError, match="max_passes"):
        rnla.sqrtm_update(A, MADE.D)
    assert A.calls <= limit
    with rnla.config_context(max_passes=200):
        assert rnla.sqrtm_update(A, MADE.D).status.ok


# ------------------------------------------------------------------------------------- deadlines, caps, events
class Slow(Counting):
    """Lets the deadline pass at its n-th solve."""

    def __init__(self, H: Any, at: int, clock: list[float]) -> None:
        super().__init__(H)
        self.left, self.clock = at, clock

    def shifted_solve(self, s: float, x: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            self.clock[0] += 100.0
        return super().shifted_solve(s, x)


@pytest.mark.parametrize("at", [1, 4, 9])
def test_a_deadline_keeps_what_was_found(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import rnla.iterate

    clock = [0.0]
    monkeypatch.setattr(rnla.iterate.time, "monotonic", lambda: clock[0])
    with rnla.config_context(deadline=10.0):
        with pytest.raises(DeadlineReached) as caught:
            rnla.sqrtm_update(Slow(MADE.H, at, clock), MADE.D)
        clock[0] = 0.0
        result = rnla.sqrtm_update(Slow(MADE.H, at, clock), MADE.D, on_failure="return")
    assert result.status is Status.DEADLINE
    assert caught.value.result.rank == result.rank
    assert result.steps in (at - 1, at)
    S = MADE.H + (result.V * result.w) @ result.V.T
    left = np.linalg.norm(S @ S - MADE.B, 2)
    assert left <= result.error.absolute * (1 + 1e-9) + 1e-14 * np.linalg.norm(MADE.B, 2)
    assert result.error.absolute <= 3 * left or result.error.upper <= 1e-12


@pytest.mark.parametrize("cap", [0, 1, 5, 12])
def test_a_capped_rank_is_certified_and_told(cap: int) -> None:
    with pytest.raises(ToleranceNotMet, match="rank") as caught:
        rnla.sqrtm_update(MADE.A_half, MADE.D, max_rank=cap)
    result = rnla.sqrtm_update(MADE.A_half, MADE.D, max_rank=cap, on_failure="return", rng=0)
    assert result.status is Status.RANK_CAP
    assert result.rank == caught.value.result.rank == cap
    S = MADE.H + (result.V * result.w) @ result.V.T
    assert np.linalg.norm(S @ S - MADE.B, 2) <= result.error.absolute
    enough = rnla.sqrtm_update(MADE.A_half, MADE.D, max_rank=N)
    assert enough.status is Status.MET


def test_a_callback_hears_of_every_step() -> None:
    heard: list[Any] = []
    A = Counting(MADE.H)
    with rnla.config_context(callback=heard.append):
        result = rnla.sqrtm_update(A, MADE.D)
    assert len(heard) >= result.steps
    passes = [event.passes for event in heard]
    assert passes == sorted(passes)
    assert passes[-1] > 0
    assert passes[-1] <= result.report.passes


def test_a_callback_that_fails_costs_nothing() -> None:
    def broken(_: Any) -> None:
        raise ValueError("no screen")

    with rnla.config_context(callback=broken), pytest.warns(RuntimeWarning, match="no screen"):
        assert rnla.sqrtm_update(MultipliedOnly(case(9.0, n=N, dense=True).H), MADE.D).status.ok
