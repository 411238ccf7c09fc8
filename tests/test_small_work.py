"""What a call on a small matrix costs besides its arithmetic: counted, since a clock tells more of the machine.

A Python function takes a tenth to half of a microsecond to call here and a C function half of that, so the counts bound
what the front door takes.  They stand a quarter above what was counted when they were set.
"""

from __future__ import annotations

import builtins
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rnla

TALL = np.linalg.qr(np.random.default_rng(0).standard_normal((200, 100)))[0] * 0.9 ** np.arange(100)
TINY = TALL[:20, :12].copy()
SQUARE = TALL[:100].T @ TALL[:100]


def counted(call: Callable[[], object]) -> Counter[str]:
    """Count the functions that a call enters: "call" for Python's, "c_call" for C's."""
    seen: Counter[str] = Counter()

    def profile(frame: Any, event: str, arg: Any) -> None:
        seen[event] += 1

    for _ in range(2):  # imports and caches
        call()
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
    return seen


CASES: dict[str, tuple[Callable[[], object], int, int]] = {
    "svd of 20 x 12": (lambda: rnla.svd(TINY, 3), 440, 330),
    "svd of 200 x 100": (lambda: rnla.svd(TALL, 10), 740, 570),
    "eigh of 100 x 100": (lambda: rnla.eigh(SQUARE, 10), 900, 720),
    "qr of 200 x 100": (lambda: rnla.qr(TALL, 10), 900, 700),
}


@pytest.mark.parametrize("name", CASES)
def test_a_small_call_enters_few_functions(name: str) -> None:
    call, python, c = CASES[name]
    with rnla.config_context(kernels="plain"):
        found = counted(call)
    assert found["call"] <= python
    assert found["c_call"] <= c


@pytest.mark.parametrize("name", CASES)
def test_a_small_call_opens_no_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call, opened, real = CASES[name][0], [], builtins.open
    call()

    def recorded(path: Any, *more: Any, **options: Any) -> Any:
        opened.append(path)
        return real(path, *more, **options)

    monkeypatch.setattr(builtins, "open", recorded)
    call()
    assert opened == []
