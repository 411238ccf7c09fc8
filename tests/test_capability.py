"""Remembered answers about capabilities are those that `typing` would give."""

from __future__ import annotations

import sys
from collections import Counter
from types import SimpleNamespace
from typing import Any, Protocol, runtime_checkable

import numpy as np

import rnla
from rnla.capability import Capability


@runtime_checkable
class Remembered(Protocol, metaclass=Capability):
    @property
    def shape(self) -> int: ...

    def quack(self) -> str: ...


@runtime_checkable
class Asked(Protocol):
    @property
    def shape(self) -> int: ...

    def quack(self) -> str: ...


class Slotted:
    __slots__ = ("shape",)

    def __init__(self) -> None:
        self.shape = 1

    def quack(self) -> str:
        return "quack"


class Silent:
    __slots__ = ("shape",)


class WithDictionary:
    shape = 1


def test_the_answers_are_those_of_typing() -> None:
    loud = WithDictionary()
    loud.quack = lambda: "quack"  # type: ignore[attr-defined]
    mute = WithDictionary()
    for thing in (Slotted(), Silent(), loud, mute, SimpleNamespace(shape=1), SimpleNamespace(shape=1, quack=str), 3):
        for _ in range(2):
            assert isinstance(thing, Remembered) == isinstance(thing, Asked)


def test_a_class_with_slots_is_asked_once() -> None:
    asked: Counter[str] = Counter()

    def seen(frame: Any, event: str, _: Any) -> None:
        asked[frame.f_code.co_filename.rpartition("/")[2]] += event == "call"

    assert isinstance(Slotted(), Remembered)
    thing = Slotted()
    sys.setprofile(seen)
    try:
        known = isinstance(thing, Remembered)
    finally:
        sys.setprofile(None)
    assert known
    assert asked["typing.py"] == 0
    assert asked["capability.py"] == 1


def test_the_parts_of_the_library_are_remembered() -> None:
    """A second call asks `typing` nothing: every part that a small call uses has slots."""
    A, asked = np.diag(0.5 ** np.arange(30.0)), Counter[str]()

    def seen(frame: Any, event: str, _: Any) -> None:
        asked[frame.f_code.co_filename.rpartition("/")[2]] += event == "call"

    rnla.svd(A, 3, rng=0)
    sys.setprofile(seen)
    try:
        rnla.svd(A, 3, rng=0)
    finally:
        sys.setprofile(None)
    assert asked["typing.py"] == 0
    assert asked["driver.py"] > 0
