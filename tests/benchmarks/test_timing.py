"""The machinery of the benchmarks: who runs when, and what is made of the times."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import machine, timing


def recorder(log: list[str], names: str) -> dict[str, Callable[[], str]]:
    def call(name: str) -> Callable[[], str]:
        return lambda: log.append(name) or name

    return {name: call(name) for name in names}


def test_everybody_runs_once_a_round_and_each_begins_one() -> None:
    log: list[str] = []
    found = timing.interleave(recorder(log, "abc"), 3, rest=0)
    assert log[:3] == ["a", "b", "c"]  # untimed
    rounds = [log[i : i + 3] for i in range(3, 12, 3)]
    assert [turn[0] for turn in rounds] == ["a", "b", "c"]
    assert all(sorted(turn) == ["a", "b", "c"] for turn in rounds)
    assert {name: len(times) for name, times in found.times.items()} == {"a": 3, "b": 3, "c": 3}
    assert found.last == {"a": "a", "b": "b", "c": "c"}


def test_a_slow_contender_runs_once_and_preparation_is_not_timed() -> None:
    log: list[str] = []
    ready: list[str] = []
    found = timing.interleave(
        recorder(log, "ab"), 4, patience=-1.0, before={"a": lambda: ready.append("a")}, rest=0, number=2
    )
    assert log == ["a", "a", "b", "b"]
    assert ready == ["a"]
    assert [len(times) for times in found.times.values()] == [1, 1]
    assert found.table().count("(once)") == 2


def test_a_ratio_is_the_median_of_the_ratios_of_rounds() -> None:
    """A slow minute that hits both contenders in one round leaves the ratio as it is."""
    found = timing.Rounds({"ours": [1.0, 10.0, 1.0], "peer": [2.0, 20.0, 3.0]}, {})
    assert found.ratio("peer", "ours") == 2.0
    assert found.median("peer") == 3.0
    assert found.spread("ours") == pytest.approx(4.5)
    assert found.as_json(over="ours")["peer"]["over ours"] == 2.0
    assert timing.Rounds({"ours": [1.0, 2.0, 3.0], "once": [8.0]}, {}).ratio("once", "ours") == 4.0


def test_the_fastest_good_call_is_chosen_and_a_fast_wrong_one_is_not() -> None:
    def spend(steps: int) -> float:
        return float(sum(np.linalg.norm(np.ones(1000)) for _ in range(steps)))

    calls = {"wrong": lambda: (spend(1), 0)[1], "slow": lambda: (spend(3000), 1)[1], "right": lambda: (spend(30), 1)[1]}
    assert timing.fastest(calls, lambda out: out == 1) == "right"
    assert timing.fastest(calls, lambda out: out == 2) is None


def test_what_is_saved_names_the_machine(tmp_path: Path) -> None:
    path = machine.save("a_question", {"x": np.float64(1.5)}, tmp_path / "new", threads=1)
    saved = json.loads(path.read_text(encoding="utf-8"))
    assert saved["question"] == "a_question"
    assert saved["results"] == {"x": 1.5}
    assert saved["about"]["threads"] == 1
    assert {"processor", "cpus", "memory_gb", "versions", "load", "date", "priority"} <= saved["about"].keys()
    assert saved["about"]["versions"]["numpy"] == np.__version__


def test_ceilings_and_floors() -> None:
    found = machine.ceilings(np.float64, 1, small=True)
    assert found.flops > 1e8
    assert found.bandwidth > 1e8
    assert machine.Ceilings(100.0, 10.0, "").floor(200.0, 10.0) == 2.0
    assert machine.Ceilings(100.0, 10.0, "").floor(200.0, 30.0) == 3.0


def test_threads_are_held_and_given_back() -> None:
    from threadpoolctl import threadpool_info

    import rnla

    def counts() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info()]

    before = counts()
    with machine.held_threads(1):
        assert set(counts()) == {1}
        assert rnla.get_config().threads == 1
    assert counts() == before
    held = timing.on_threads(counts, 1)
    assert set(held()) == {1}
    assert counts() == before
