"""Every second of a call is in one stage, and the library is as before afterwards."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

import rnla
from benchmarks import breakdown
from rnla.operators.ledger import Ledger


def test_nested_time_is_counted_once() -> None:
    clock = breakdown.Clock()

    def wait(seconds: float) -> None:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            pass

    def certificate() -> None:
        wait(0.01)
        clock.within("small factorizations", wait, 0.02)  # the certificate's own
        clock.within(breakdown.PRODUCTS, wait, 0.04)  # products are products whoever asks

    begun = time.perf_counter()
    clock.within("certificate", certificate)
    whole = time.perf_counter() - begun
    assert sum(clock.seconds.values()) == pytest.approx(whole, rel=0.05, abs=1e-3)
    assert clock.seconds["certificate"] >= 0.03
    assert clock.seconds[breakdown.PRODUCTS] >= 0.04
    assert clock.seconds["small factorizations"] == 0
    assert clock.calls["certificate"] == 1


def test_the_library_is_as_before_and_gives_the_same_bits() -> None:
    a = np.random.default_rng(0).standard_normal((60, 40))
    before, method = rnla.svd(a, 5, rng=0), vars(Ledger)["matmat"]
    clock = breakdown.Clock()
    with breakdown.watched(clock):
        assert vars(Ledger)["matmat"] is not method
        watched = rnla.svd(a, 5, method=rnla.SubspaceIteration(), rng=0)
    assert vars(Ledger)["matmat"] is method
    assert clock.calls[breakdown.PRODUCTS] > 0
    assert clock.calls["orthonormalization"] > 0
    assert clock.calls["certificate"] > 0
    assert np.array_equal(rnla.svd(a, 5, rng=0).U, before.U)
    assert np.array_equal(watched.U, rnla.svd(a, 5, method=rnla.SubspaceIteration(), rng=0).U)


def test_a_small_case_runs_through(tmp_path: Path) -> None:
    given = ["--quick", "--rounds", "2", "--method", "block_krylov", "--block-size", "6", "--depth", "3"]
    found = breakdown.main([*given, "--out", str(tmp_path)])
    (path,) = tmp_path.glob("breakdown-*.json")
    saved = json.loads(path.read_text(encoding="utf-8"))["results"]
    assert set(saved["stages"]) == {*breakdown.STAGES, breakdown.REST}
    assert saved["products"] == 5 * 6
    assert saved["stages"][breakdown.PRODUCTS] > 0
    assert sum(saved["stages"].values()) == pytest.approx(saved["watched"], rel=0.5)
    assert found["share"] == pytest.approx(found["floor"] / found["seconds"])
