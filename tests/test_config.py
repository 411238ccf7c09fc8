"""Settings: checked, nested, inherited by worker threads, taken from the environment, and honoured."""

from __future__ import annotations

import contextvars
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnla
from rnla._kernels.threads import run
from rnla.config import available_memory, fixed_settings, get_config

ROOT = Path(__file__).resolve().parents[1]
NAMES = ["RNLA_THREADS", "RNLA_MEMORY_BUDGET", "RNLA_CHECK_FINITE", "RNLA_MAX_PASSES", "RNLA_DEADLINE"]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def matrix() -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((200, 120)) / np.sqrt(np.arange(1, 121))


# ----------------------------------------------------------------------------------------------------- values
def test_defaults() -> None:
    config = get_config()
    assert config.threads >= 1
    assert (config.memory_budget, config.check_finite, config.max_passes) == (None, True, None)
    assert (config.deadline, config.callback) == (None, None)
    assert 1 << 20 < config.budget() <= available_memory()


GOOD_BYTES = {
    "1048576": 1 << 20, "1M": 1 << 20, "256M": 1 << 28, "256MB": 1 << 28, "256 MiB": 1 << 28, "2g": 1 << 31,
    "1.5G": 3 << 29, "0.5T": 1 << 39, "4096K": 1 << 22,
}  # fmt: skip


@pytest.mark.parametrize("text", GOOD_BYTES)
def test_bytes_as_text(text: str) -> None:
    with rnla.config_context(memory_budget=text) as config:
        assert config.memory_budget == GOOD_BYTES[text] == config.budget()


WRONG: list[dict[str, Any]] = [
    {"memory_budget": value} for value in ("", "M", "1X", "nan", "inf", "-5M", "1e400", "ten", [], 0, 1000, True)
]
WRONG += [{"threads": value} for value in (0, -1, 1.5, "two", True, [], float("nan"), float("inf"))]
WRONG += [{"max_passes": value} for value in (0, -1, 2.5, "many", True, [])]
WRONG += [{"deadline": value} for value in (0, -1, float("nan"), float("inf"), "soon", [], True)]
WRONG += [{"check_finite": value} for value in ("maybe", 2, None, [])]
WRONG += [{"callback": value} for value in ("print", 3)]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_values_outside_their_range_are_refused_by_name(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    before = get_config()
    with pytest.raises(rnla.InputError, match=name), rnla.config_context(**wrong):
        pass
    assert get_config() == before


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"), rnla.config_context(colour="red"):  # type: ignore[call-arg]
        pass


@pytest.mark.parametrize("number", [3, 3.0, np.int64(3), "3"], ids=repr)
def test_whole_numbers_of_every_kind(number: Any) -> None:
    with rnla.config_context(threads=number, max_passes=number) as config:
        assert (config.threads, config.max_passes) == (3, 3)
        assert type(config.threads) is int


# ---------------------------------------------------------------------------------------------------- nesting
def test_contexts_nest_and_restore() -> None:
    with rnla.config_context(threads=2, max_passes=9):
        with rnla.config_context(max_passes=None, deadline=5) as inner:
            assert (inner.threads, inner.max_passes, inner.deadline) == (2, None, 5.0)
            assert get_config() is inner
        assert (get_config().max_passes, get_config().deadline) == (9, None)
    assert get_config().max_passes is None


def test_a_context_is_restored_after_an_exception() -> None:
    def fail() -> None:
        with rnla.config_context(max_passes=3):
            raise KeyError("x")

    with pytest.raises(KeyError):
        fail()
    assert get_config().max_passes is None


def test_settings_stay_in_their_thread() -> None:
    seen: list[int | None] = []
    with rnla.config_context(max_passes=4):
        thread = threading.Thread(target=lambda: seen.append(get_config().max_passes))
        thread.start()
        thread.join()
        copied = contextvars.copy_context()
        thread = threading.Thread(target=lambda: copied.run(lambda: seen.append(get_config().max_passes)))
        thread.start()
        thread.join()
    assert seen == [None, 4]


def test_worker_threads_inherit_the_settings() -> None:
    def task(_: int) -> tuple[str, int | None]:
        barrier.wait(timeout=20)
        return threading.current_thread().name, get_config().max_passes

    barrier = threading.Barrier(2)
    with rnla.config_context(max_passes=7):
        seen = run(task, [0, 1], 2)
    assert {passes for _, passes in seen} == {7}
    # The caller works too.
    assert len({name for name, _ in seen}) == 2
    assert threading.current_thread().name in {name for name, _ in seen}


# ------------------------------------------------------------------------------------------------- environment
ENVIRONMENT: dict[str, tuple[str, str, Any]] = {
    "RNLA_THREADS": ("3", "threads", 3),
    "RNLA_MEMORY_BUDGET": ("256M", "memory_budget", 1 << 28),
    "RNLA_CHECK_FINITE": ("off", "check_finite", False),
    "RNLA_MAX_PASSES": ("12", "max_passes", 12),
    "RNLA_DEADLINE": ("2.5", "deadline", 2.5),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_environment_sets_defaults_and_the_context_wins(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, field, value = ENVIRONMENT[name]
    monkeypatch.setenv(name, text)
    assert getattr(get_config(), field) == value
    other = {"threads": 1, "memory_budget": 1 << 21, "check_finite": True, "max_passes": 5, "deadline": 9.0}[field]
    with rnla.config_context(**{field: other}) as config:
        assert getattr(config, field) == other
    assert getattr(get_config(), field) == value


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_environment_is_told_by_its_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "plenty")
    with pytest.raises(rnla.InputError, match=name):
        rnla.svd(matrix(), 3)


@pytest.mark.subprocess
def test_a_new_process_reads_its_environment() -> None:
    program = "import rnla; c = rnla.get_config(); print(c.threads, c.memory_budget, c.max_passes)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(ROOT), "RNLA_THREADS": "2", "RNLA_MEMORY_BUDGET": "1G",
             "RNLA_MAX_PASSES": "4", "PATH": ""},
    )  # fmt: skip
    assert done.stdout == "2 1073741824 4\n"


# -------------------------------------------------------------------------------------------------- honoured
class Counting:
    def __init__(self, A: np.ndarray[Any, Any]) -> None:
        self.A, self.shape, self.dtype, self.products = A, A.shape, A.dtype, 0

    def matmat(self, x: Any) -> Any:
        self.products += 1
        return self.A @ x

    def rmatmat(self, y: Any) -> Any:
        self.products += 1
        return self.A.T @ y


SOURCES = {"array": lambda x: x, "operator": Counting}
every_source = pytest.mark.parametrize("source", SOURCES)


def refused(error: rnla.BudgetError, allowed: int) -> None:
    assert f"max_passes={allowed}; allow more, or ask for fewer power_iterations" in str(error)


@every_source
@pytest.mark.parametrize("allowed", range(1, 24))
@pytest.mark.parametrize("norm", ["fro", "spectral"])
def test_max_passes_bounds_a_search_which_keeps_its_answer(norm: str, allowed: int, source: str) -> None:
    A = matrix()
    given = SOURCES[source](A)
    with rnla.config_context(max_passes=allowed):
        try:
            result = rnla.svd(
                given, tol=1e-3, norm=norm, method=rnla.Adaptive(block_size=8), rng=0, on_failure="return"
            )
        except rnla.BudgetError as error:
            refused(error, allowed)
            assert allowed < (7 if norm == "fro" else 12)
            assert getattr(given, "products", 0) == 0
            return
    assert result.report.passes <= allowed
    assert result.status is rnla.Status.PASSES
    assert "max_passes" in result.status.value
    U, s, Vh = result
    order: Any = "fro" if norm == "fro" else 2
    true = np.linalg.norm(A - (U * s) @ Vh, order) / np.linalg.norm(A, order)
    assert true <= (result.error.value if np.isnan(result.error.upper) else result.error.upper) * (1 + 1e-6)


@every_source
@pytest.mark.parametrize("norm", ["fro", "spectral"])
@pytest.mark.parametrize("allowed", range(1, 16))
@pytest.mark.parametrize("exact", [False, True], ids=["full-rank", "exact-rank"])
def test_max_passes_refuses_before_or_is_kept(exact: bool, allowed: int, norm: str, source: str) -> None:
    A = np.outer(np.arange(1.0, 121), np.ones(80)) if exact else matrix()
    given = SOURCES[source](A)
    with rnla.config_context(max_passes=allowed):
        try:
            result = rnla.svd(given, 1, norm=norm, method=rnla.SubspaceIteration(), rng=0)
        except rnla.BudgetError as error:
            refused(error, allowed)
            assert getattr(given, "products", 0) == 0
            assert allowed < (7 if norm == "fro" else 12)
            return
    assert result.report.passes <= allowed
    assert result.s[0] == pytest.approx(np.linalg.norm(A, 2), rel=1e-3)


@pytest.mark.parametrize("method", [rnla.GramEigh(), rnla.TallQR()], ids=["gram", "qr"])
def test_without_a_pass_for_probes_the_floor_of_the_identity_is_the_bound(method: Any) -> None:
    A = np.outer(np.arange(1.0, 121), np.ones(30))
    with rnla.config_context(max_passes=2):
        result = rnla.svd(A, 1, method=method, rng=0)
    assert (result.error.kind, result.report.passes) == ("bounded", 2)
    assert 1e-15 < result.error.value < 1e-6
    free = rnla.svd(A, 1, method=method, rng=0)
    assert (free.error.kind, free.report.passes) == ("estimated", 3)
    assert free.error.value <= result.error.value


@pytest.mark.parametrize(
    "setting", [{"threads": 1}, {"threads": 3}, {"memory_budget": "64M"}, {"check_finite": False}], ids=str
)
def test_settings_change_no_bit_of_the_answer(setting: dict[str, Any]) -> None:
    A = matrix()
    plain = rnla.svd(A, 10, method=rnla.SubspaceIteration(), rng=0)
    with rnla.config_context(**setting):
        result = rnla.svd(A, 10, method=rnla.SubspaceIteration(), rng=0)
    assert np.array_equal(plain.U, result.U)
    assert np.array_equal(plain.s, result.s)
    assert plain.error.value == result.error.value


@pytest.mark.parametrize("more", [{"rank": 20}, {"tol": 0.5}], ids=str)
@pytest.mark.parametrize("source", SOURCES)
def test_an_extension_plans_the_look_at_its_matrix(source: str, more: dict[str, Any]) -> None:
    given = SOURCES[source](matrix())
    asked: dict[str, Any] = {"method": rnla.SubspaceIteration()} if "rank" in more else {"method": rnla.Adaptive()}
    result = rnla.svd(given, **({"rank": 5} if "rank" in more else {"tol": 0.9}), rng=0, **asked)
    free = result.extend(**more)
    planned = free.report.plan.passes
    assert planned in (None, free.report.passes)
    with rnla.config_context(max_passes=free.report.passes):
        assert result.extend(**more).rank == free.rank
    if planned is not None:
        before = getattr(given, "products", 0)
        with rnla.config_context(max_passes=planned - 1), pytest.raises(rnla.BudgetError, match=f"takes {planned} "):
            result.extend(**more)
        assert getattr(given, "products", 0) == before


@pytest.mark.parametrize(("unnoticed", "times"), [(None, 0), (0, 1)], ids=["small work", "work that counts"])
def test_the_memory_that_is_available_is_read_once_a_call_at_most(
    unnoticed: int | None, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    if unnoticed is not None:
        monkeypatch.setattr("rnla.config._UNNOTICED", unnoticed)

    def falling() -> int:
        read.append(1)
        return (1 << 34) >> len(read)

    monkeypatch.setattr("rnla.config.available_memory", falling)
    rnla.svd(matrix(), tol=1e-3, method=rnla.Adaptive(block_size=8), rng=0)
    assert len(read) == times
    assert get_config().memory_budget is None


def test_a_budget_holds_for_small_work_too() -> None:
    with rnla.config_context(memory_budget="1M") as config:
        assert config.allows(1 << 20)
        assert not config.allows((1 << 20) + 1)
        assert config.allows(config.budget())
    with pytest.raises(rnla.BudgetError), rnla.config_context(memory_budget="1M"):
        rnla.svd(np.ones((4000, 100)), 20)


def test_a_call_inside_another_has_the_budget_of_the_outer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter((1 << 34) >> i for i in range(1, 99))
    monkeypatch.setattr("rnla.config.available_memory", lambda: next(sizes))
    with fixed_settings() as outer:
        first = outer.budget()
        with fixed_settings() as inner:
            assert inner.budget() == first
        assert run(lambda _: get_config().budget(), [0, 1], 2) == [first, first]
    assert get_config().budget() < first


def test_the_environment_is_read_anew_in_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RNLA_THREADS", raising=False)
    monkeypatch.setattr("rnla.config._cpus", lambda: 5)
    assert get_config().threads == 5
    monkeypatch.setattr("rnla.config._cpus", lambda: 7)
    assert get_config().threads == 7
    monkeypatch.setenv("RNLA_THREADS", "3")
    assert get_config().threads == 3


def test_the_plan_of_a_gram_matrix_tells_what_it_may_need_more() -> None:
    plan = rnla.plan(np.ones((120, 30)), 3, method=rnla.GramEigh())
    assert plan.passes == 2
    assert "tall QR takes 2 passes more" in str(plan)
