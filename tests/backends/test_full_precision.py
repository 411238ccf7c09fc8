"""The precision of torch's products inside a call: full, whatever the caller set and however; afterwards as it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import rnla
from rnla._xp.namespace import full_precision, namespace_of

torch = pytest.importorskip("torch")
BACKENDS = [
    getattr(torch.backends, name).matmul
    for name in ("cuda", "mkldnn")
    if hasattr(getattr(getattr(torch.backends, name, None), "matmul", None), "fp32_precision")
]
needs_backends = pytest.mark.skipif(len(BACKENDS) < 2, reason="this torch has one setting for all backends")


@pytest.fixture(autouse=True)
def as_found() -> Iterator[None]:
    yield
    torch.set_float32_matmul_precision("highest")
    for setting in BACKENDS:
        setting.fp32_precision = "none"


def seen() -> Any:
    try:
        one = torch.get_float32_matmul_precision()
    except RuntimeError:
        one = "differs"
    return one, *(setting.fp32_precision for setting in BACKENDS)


def is_full(state: Any) -> bool:
    return state[0] == "highest" and set(state[1:]) <= {"none", "ieee"}


def xp() -> Any:
    return namespace_of(torch.ones(1))


@pytest.mark.parametrize("asked", ["highest", "high", "medium"])
def test_one_setting_for_all(asked: str) -> None:
    torch.set_float32_matmul_precision(asked)
    before = seen()
    with full_precision(xp()):
        assert is_full(seen())
    assert seen() == before


@needs_backends
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("asked", ["tf32", "ieee"])
@pytest.mark.parametrize("first", ["highest", "high", None])
def test_a_setting_for_one_backend(which: int, asked: str, first: str | None) -> None:
    if first is not None:
        torch.set_float32_matmul_precision(first)
    BACKENDS[which].fp32_precision = asked
    before = seen()
    with full_precision(xp()):
        assert set(seen()[1:]) <= {"none", "ieee"}
    assert seen() == before
    A = torch.ones(40, 30, dtype=torch.float32)
    assert rnla.svd(A, 1, rng=0).s[0] == pytest.approx(np.sqrt(1200.0), rel=1e-6)
    assert seen() == before


def test_the_call_that_ends_first_does_not_lower_the_precision_of_the_other() -> None:
    torch.set_float32_matmul_precision("high")
    before = seen()
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with full_precision(xp()):
            inside.set()
            assert leave.wait(20)

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(20)
    with full_precision(xp()):
        leave.set()
        thread.join(20)
        assert not thread.is_alive()
        assert is_full(seen())
    assert seen() == before


def test_an_exception_restores_the_setting() -> None:
    torch.set_float32_matmul_precision("high")
    before = seen()
    with pytest.raises(KeyError), full_precision(xp()):
        raise KeyError
    assert seen() == before
