"""Time at equal error: a rung is chosen by what it reaches, and the results say who reached what."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import contenders, speed, speed_report


class Fake:
    """A contest whose answers are written down: seconds, excess and error of a value by setting."""

    def __init__(self, answers: dict[str, tuple[float, float, float]]) -> None:
        self.answers, self.rank, self.shape, self.dense = answers, 50, (4000, 4000), True

    def run(self, bar: object, setting: dict[str, Any], *, judge: bool = True) -> dict[str, Any]:
        assert bar is None
        known = self.answers.get(contenders.setting_text(setting), (9.0, 1.0, 1.0))
        return {"setting": setting, **dict(zip(("seconds", "excess", "value"), known, strict=True))}


def test_a_fast_answer_that_is_worse_in_either_number_is_no_win() -> None:
    answers = {"BK b=16 d=5": (0.1, 1e-3, 1e-6), "BK b=24 d=4": (0.2, 1e-6, 1e-3), "BK b=24 d=6": (0.5, 1e-6, 1e-6)}
    bars = {"peer": {"excess": 1e-5, "value": 1e-5}, "crude": {"excess": 1e-2, "value": 1e-5}}
    best, curve = speed.climb(Fake(answers), bars, (0.0, 0.0), float("inf"))
    assert contenders.setting_text(best["peer"]["setting"]) == "BK b=24 d=6"
    assert contenders.setting_text(best["crude"]["setting"]) == "BK b=16 d=5"
    assert len(curve) > 10


def test_errors_under_rounding_are_equal() -> None:
    rounding = speed.roundings(1.0, [1.0, 0.5, 0.1], 0.5, 3, "float32")
    eps = 2.0**-23
    assert rounding == (pytest.approx(20 * eps), pytest.approx(100 * eps))
    exact = {"excess": 0.0, "value": 0.0}
    assert speed.under({"excess": 19 * eps, "value": 99 * eps}, exact, rounding)
    assert not speed.under({"excess": 21 * eps, "value": 0.0}, exact, rounding)
    assert not speed.under({"excess": 0.0, "value": 101 * eps}, exact, rounding)
    assert not speed.under({"failed": "MemoryError"}, exact, rounding)


def test_options_are_crossed_and_none_is_the_table() -> None:
    none = dict.fromkeys(("case", "spectrum", "rank", "dtype", "all", "quick"))
    assert len(speed.chosen_runs(argparse.Namespace(**none))) == len(speed.TABLE)
    some = {**none, "case": ["square", "words"], "spectrum": ["slow", "fast"], "rank": [10, 50]}
    found = [(case.name, *rest) for case, *rest in speed.chosen_runs(argparse.Namespace(**some))]
    assert ("square", "fast", 10, "float64") in found
    assert len(found) == 6  # a spectrum means nothing to words


def test_the_environment_of_a_process_holds_its_threads() -> None:
    alone = contenders.environment("one thread", None)
    assert all(alone[name] == "1" for name in contenders.THREADS)
    assert contenders.environment("tuned", None)["OPENBLAS_THREAD_TIMEOUT"] == "10"
    assert contenders.environment("as installed", 2, RNLA_KERNELS="plain")["RNLA_KERNELS"] == "plain"


@pytest.mark.subprocess
@pytest.mark.parametrize(("case", "peers"), [("square", ("sklearn", "propack", "lapack")), ("sparse6", ("arpack",))])
def test_a_small_case_runs_through(case: str, peers: tuple[str, ...], tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    names = [part for peer in peers for part in ("--peer", peer)]
    given = ["--quick", "--case", case, "--rounds", "2", "--threads", "1", "--out", str(tmp_path), *names]
    (result,) = speed.main(given).values()
    (path,) = tmp_path.glob("speed-*.json")
    saved = json.loads(path.read_text(encoding="utf-8"))["results"]
    assert saved["rank"] == 8
    assert saved["rows"].keys() == result["rows"].keys()
    assert {name.split(",")[0] for name in saved["rows"]} == {contenders.PEERS[peer].text for peer in peers}
    assert set(saved["curves"]) == {"rnla", *peers}
    for name, row in saved["rows"].items():
        assert row["peer"]["value"] < 0.1
        assert row["peer"]["runs"] == len(saved["times"][name])
        ours = row["ours"]
        assert ours is not None, name
        assert ours["under"]
        assert ours["excess"] <= max(row["bar"]["excess"], 1e-12)
        assert ours["value"] <= max(row["bar"]["value"], 1e-12)
        assert ours["share"] == pytest.approx(ours["floor"] / ours["seconds"])
        assert ours["ratio"] > 0
    assert not [run for runs in saved["curves"].values() for run in runs if "failed" in run]
    # The best is reached by the deepest of ours: the curve knows an error near rounding.
    assert min(run["value"] for run in saved["curves"]["rnla"]) < 1e-9
    assert "rnla.svd(A, k)" in speed_report.table("name", saved)
