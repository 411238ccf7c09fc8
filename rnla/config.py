"""Settings, in one place: a context that worker threads inherit, and environment variables.

None of the settings changes the method, the sizes or the test matrix of a call; they bound its
resources (threads, memory, passes, time) and watch it (callback).
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import functools
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from rnla.errors import InputError

__all__ = ["Config", "available_memory", "config_context", "fixed_settings", "get_config"]


@dataclasses.dataclass(frozen=True, slots=True)
class Config:
    """The settings in force.

    Attributes
    ----------
    threads : int
        Worker threads for products.  Values never depend on it.
    memory_budget : int or None
        Bytes of anonymous memory that one call may take; None: half of what is available when the call starts.
    check_finite : bool
        Look for NaN and infinity in arrays before the work.  Small cores are always checked.
    max_passes : int or None
        Refuse work that would read the matrix more often.
    deadline : float or None
        Seconds that one call may take; past it the best certified answer so far is kept.
    callback : callable or None
        Called with an `Event` after every product.
    kernels : {"auto", "compiled", "plain"}
        Whether products use compiled kernels: where they are ready (loaded from the cache in the first call, compiled
        in the background once a machine), always (the first call waits for the compiler), or never.  Values differ in
        rounding only.
    """

    threads: int
    memory_budget: int | None = None
    check_finite: bool = True
    max_passes: int | None = None
    deadline: float | None = None
    callback: Callable[[Any], object] | None = None
    kernels: str = "auto"

    def budget(self) -> int:
        """Bytes that a call may take; inside a call the same for all of it."""
        if self.memory_budget is not None:
            return self.memory_budget
        held = _held.get()
        return available_memory() // 2 if held is None else held.size()

    def allows(self, needed: float) -> bool:
        """Whether a call may take so many bytes; what nobody would notice is allowed unless a budget was set."""
        return (self.memory_budget is None and needed <= _UNNOTICED) or needed <= self.budget()


def available_memory() -> int:
    """Bytes of physical memory that can be taken without swapping, as the system reports it."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return 2 << 30


class _Held:
    """Half of what was available when it was first asked for: asking costs more than small work takes."""

    __slots__ = ("_lock", "_size")

    def __init__(self) -> None:
        self._size: int | None = None
        self._lock = threading.Lock()

    def size(self) -> int:
        with self._lock:
            if self._size is None:
                self._size = available_memory() // 2
            return self._size


_UNNOTICED = 16 << 20  # bytes
_held: contextvars.ContextVar[_Held | None] = contextvars.ContextVar("rnla_budget", default=None)


def _cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


_SUFFIX = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def _bytes(name: str, value: int | str | None) -> int | None:
    if value is None:
        return None
    try:
        if isinstance(value, str):
            text = value.strip().upper().removesuffix("B").removesuffix("I")
            digits = text.rstrip("KMGT")
            value = int(float(digits) * _SUFFIX[text[len(digits) :]])
        value = int(value)
    except (ValueError, KeyError, TypeError, OverflowError):
        raise InputError(f"{name}={value!r} is not a number of bytes; write 268435456 or '256M'") from None
    if value < 1 << 20:
        raise InputError(f"{name}={value} is below 1 MiB, with which nothing can run; give more")
    return value


def _whole(name: str, value: int | str | None, least: int = 1) -> int | None:
    if value is None:
        return None
    try:
        number = int(value)
        good = number == float(value) and not isinstance(value, bool)
    except (ValueError, TypeError, OverflowError):
        good = False
    if not good or number < least:
        raise InputError(f"{name}={value!r} must be a whole number of at least {least}")
    return number


def _seconds(name: str, value: float | str | None) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (ValueError, TypeError):
        number = float("nan")
    if isinstance(value, bool) or not 0 < number < float("inf"):
        raise InputError(f"{name}={value!r} must be a positive number of seconds")
    return number


def _switch(name: str, value: bool | str) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    raise InputError(f"{name}={value!r} must be true or false")


_KERNELS = ("auto", "compiled", "plain")


def _kernels(name: str, value: str) -> str:
    if value not in _KERNELS:
        raise InputError(f"{name}={value!r} must be one of {', '.join(map(repr, _KERNELS))}")
    return value


_VARIABLES = (
    "RNLA_THREADS", "RNLA_MEMORY_BUDGET", "RNLA_CHECK_FINITE", "RNLA_MAX_PASSES", "RNLA_DEADLINE", "RNLA_KERNELS",
)  # fmt: skip


def _from_environment() -> Config:
    threads, *others = map(os.environ.get, _VARIABLES)
    return _read(str(_cpus()) if threads is None else threads, *others)


@functools.lru_cache(maxsize=16)
def _read(
    threads: str, budget: str | None, finite: str | None, passes: str | None, deadline: str | None, kernels: str | None
) -> Config:
    """Return the settings that the variables say."""
    return Config(
        threads=_whole("RNLA_THREADS", threads) or 1,
        memory_budget=_bytes("RNLA_MEMORY_BUDGET", budget),
        check_finite=_switch("RNLA_CHECK_FINITE", "1" if finite is None else finite),
        max_passes=_whole("RNLA_MAX_PASSES", passes),
        deadline=_seconds("RNLA_DEADLINE", deadline),
        kernels=_kernels("RNLA_KERNELS", kernels or "auto"),
    )


_current: contextvars.ContextVar[Config | None] = contextvars.ContextVar("rnla_config", default=None)


def get_config() -> Config:
    """Return the settings in force: the innermost `config_context`, else the environment's.

    Returns
    -------
    Config

    Examples
    --------
    >>> import rnla
    >>> rnla.get_config().check_finite
    True
    """
    config = _current.get()
    return _from_environment() if config is None else config


_UNSET: Any = object()


@contextlib.contextmanager
def config_context(
    *,
    threads: int = _UNSET,
    memory_budget: int | str | None = _UNSET,
    check_finite: bool = _UNSET,
    max_passes: int | None = _UNSET,
    deadline: float | None = _UNSET,
    callback: Callable[[Any], object] | None = _UNSET,
    kernels: str = _UNSET,
) -> Iterator[Config]:
    """Change settings for the calls inside the ``with`` block.

    Parameters
    ----------
    threads : int
        Worker threads for products.
    memory_budget : int or str or None
        Bytes that one call may take, as a number or as text like ``"256M"``.
    check_finite : bool
        Whether arrays are searched for NaN and infinity before the work.
    max_passes : int or None
        The most times that a call may read the matrix.
    deadline : float or None
        Seconds that one call may take.
    callback : callable or None
        Called with an `Event` after each product; what it raises is reported once and then ignored,
        but for `KeyboardInterrupt`.
    kernels : {"auto", "compiled", "plain"}
        Whether products use compiled kernels: where they are ready, always, or never.

    Yields
    ------
    Config
        The settings inside the block.

    Raises
    ------
    InputError
        A value outside its range.

    Examples
    --------
    >>> import rnla
    >>> with rnla.config_context(threads=1, memory_budget="256M") as settings:
    ...     settings.memory_budget
    268435456
    """
    changes: dict[str, Any] = {}
    if threads is not _UNSET:
        changes["threads"] = _whole("threads", threads) or _cpus()
    if memory_budget is not _UNSET:
        changes["memory_budget"] = _bytes("memory_budget", memory_budget)
    if check_finite is not _UNSET:
        changes["check_finite"] = _switch("check_finite", check_finite)
    if max_passes is not _UNSET:
        changes["max_passes"] = _whole("max_passes", max_passes)
    if deadline is not _UNSET:
        changes["deadline"] = _seconds("deadline", deadline)
    if callback is not _UNSET:
        if callback is not None and not callable(callback):
            raise InputError("callback must be callable with one argument, or None")
        changes["callback"] = callback
    if kernels is not _UNSET:
        changes["kernels"] = _kernels("kernels", kernels)
    config = dataclasses.replace(get_config(), **changes)
    token = _current.set(config)
    try:
        yield config
    finally:
        _current.reset(token)


@contextlib.contextmanager
def fixed_settings() -> Iterator[Config]:
    """Hold the settings and the memory budget as they are now: what is available changes while a call works."""
    config = get_config()
    token = _current.set(config)
    held = _held.set(_held.get() or _Held())
    try:
        yield config
    finally:
        _current.reset(token)
        _held.reset(held)
