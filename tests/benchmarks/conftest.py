"""Benchmarks under test keep their priority: tests are not timings."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _usual_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNLA_BENCHMARK_PRIORITY", "0")
