"""Which compiled kernels a call may use: loaded in the background, fixed once a call.

The kernels need numba.  A kernel family (a module ``<family>_numba``) is loaded for one real dtype at a time by a
thread of its own: from numba's cache on disk in a few tens of milliseconds, or by compiling, which takes seconds once
a machine.  Meanwhile, and where numba is missing, everything works on the plain twins; the two differ in rounding
only.  What a call found ready when it began is what it uses to its end.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import importlib
import importlib.util
import math
import os
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rnla.errors import BackendError

__all__ = ["Unit", "described", "family", "load", "using"]

Unit = tuple[str, str]
"""A kernel family and a real dtype."""

_PATIENCE = 0.5  # seconds that the calls of a process wait for the cache in all
_PRICE = 2e10  # flops that the plain twins do in the time that loading takes: what is needed less is not bought
_MISSING = "numba is not installed: pip install rnla[fast]"
_COMPILING = "kernels are being loaded, and compiled once a machine"

_lock = threading.Lock()
_changed = threading.Condition(_lock)
_ready: dict[Unit, Any] = {}
_failed: dict[Unit, str] = {}
_wanted: list[Unit] = []
_worker: threading.Thread | None = None
_waited = 0.0
_work_seen = 0.0  # flops of the calls of this process

_chosen: contextvars.ContextVar[dict[Unit, Any] | None] = contextvars.ContextVar("rnla_kernels", default=None)


@functools.cache
def _installed() -> bool:
    try:
        return importlib.util.find_spec("numba") is not None
    except ImportError:
        return False


def _has_numba() -> bool:
    # Without its compiler numba runs the kernels as Python, which they are not.
    return _installed() and os.environ.get("NUMBA_DISABLE_JIT", "0") in {"", "0"}


def _real(dtype: Any) -> str:
    """Return the name of the real dtype that a dtype is computed in."""
    return "float32" if np.dtype(dtype).char in "fF" else "float64"


def family(name: str, dtype: Any) -> Any | None:
    """Return the module of a kernel family, if the call at hand may use it; None: take the plain twin.

    Parameters
    ----------
    name : str
        Such as ``"products"``.
    dtype : numpy.dtype
        Of the arrays; complex ones ride on the kernels of their real dtype.
    """
    chosen = _chosen.get()
    return None if chosen is None else chosen.get((name, _real(dtype)))


@contextlib.contextmanager
def using(setting: str, families: Sequence[str], dtype: Any, *, flops: float = math.inf) -> Iterator[None]:
    """Fix what the block may use.

    Parameters
    ----------
    setting : {"auto", "compiled", "plain"}
        ``"compiled"`` waits however long it takes, and raises where a kernel cannot be had.
    families : sequence of str
        What the block would gain from.
    dtype : numpy.dtype
    flops : float
        About how much work there is.  Kernels are loaded once the work of a process is worth it.

    Raises
    ------
    BackendError
        With ``"compiled"``, where numba is missing or cannot compile.
    """
    if _chosen.get() is not None:  # inside another call, whose choice stands
        yield
        return
    if setting == "compiled":
        load([(name, _real(dtype)) for name in families])
    elif setting == "auto" and _worth_it(flops):
        units = [(name, _real(dtype)) for name in families]
        _request(units)
        _be_patient(units)
    ready = {} if setting == "plain" else dict(_ready)
    token = _chosen.set(ready)
    try:
        yield
    finally:
        _chosen.reset(token)


def load(units: Sequence[Unit]) -> None:
    """Load kernels, compiling them if need be, and wait for them.

    Raises
    ------
    BackendError
        Where numba is missing or cannot compile.
    """
    if not _has_numba():
        raise BackendError(f"kernels='compiled' cannot be had: {_MISSING}")
    _request(units)
    with _changed:
        while not all(unit in _ready or unit in _failed for unit in units):
            _changed.wait(0.2)
    for unit in units:
        if unit in _failed:
            raise BackendError(f"the {unit[0]} kernels for {unit[1]} cannot be compiled here: {_failed[unit]}")


def described(families: Sequence[str], dtype: Any) -> str:
    """Return what the call at hand works with, for its report."""
    chosen = _chosen.get()
    if not chosen and not _failed and not _wanted and _has_numba():
        return "plain"
    units, chosen = [(name, _real(dtype)) for name in families], chosen or {}
    used = [unit for unit in units if unit in chosen]
    broken = [f"{unit[0]} kernels cannot be compiled here: {_failed[unit]}" for unit in units if unit in _failed]
    if used:
        width = 8 * chosen[used[0]].VECTOR_BYTES
        names = ", ".join(unit[0] for unit in used)
        return "; ".join([f"compiled for vectors of {width} bits: {names}", *broken])
    if broken:
        return f"plain ({'; '.join(broken)})"
    if not _has_numba():
        return f"plain ({_MISSING})"
    return f"plain ({_COMPILING})" if any(unit in _wanted for unit in units) else "plain"


def _worth_it(flops: float) -> bool:
    """Whether the calls of this process, with this one, are worth loading kernels for.

    Work is seen until it has cost as much as loading does: no process takes more than twice what the better of never
    and at once would have taken.
    """
    global _work_seen
    with _lock:
        _work_seen += flops
        return _work_seen > _PRICE


def _request(units: Sequence[Unit]) -> None:
    """Have units loaded by the background thread."""
    global _worker
    if not _has_numba():
        return
    with _changed:
        new = [unit for unit in units if unit not in _ready and unit not in _failed and unit not in _wanted]
        if not new:
            return
        _wanted.extend(new)
        if _worker is None:
            # Not a daemon: a process that ends waits for the kernel at hand, so that the cache is filled even
            # where every script is short.
            _worker = threading.Thread(target=_work, name="rnla-compile", daemon=False)
            _worker.start()


def _be_patient(units: Sequence[Unit]) -> None:
    """Wait a little for units: what the cache holds comes within this time."""
    global _waited
    with _changed:
        started = time.perf_counter()
        while any(unit in _wanted for unit in units):
            left = _PATIENCE - _waited - (time.perf_counter() - started)
            if left <= 0:
                break
            _changed.wait(left)
        _waited += time.perf_counter() - started


def _work() -> None:
    global _worker
    while True:
        with _changed:
            if not _wanted or not threading.main_thread().is_alive():
                _wanted.clear()
                _worker = None
                _changed.notify_all()
                return
            unit = _wanted[0]
        name, dtype = unit
        module, failure = None, ""
        try:
            module = importlib.import_module(f"rnla._kernels.{name}_numba")
            module.warm(np.dtype(dtype))
        except BaseException as error:  # noqa: BLE001  the plain twins work all the same
            failure = f"{type(error).__name__}: {error}"
        with _changed:
            _wanted.remove(unit)
            if failure:
                _failed[unit] = failure
            else:
                _ready[unit] = module
            _changed.notify_all()


def _after_fork_in_child() -> None:
    """Forget the thread that the child does not have; what it was loading is asked for again."""
    global _lock, _changed, _worker
    _lock = threading.Lock()
    _changed = threading.Condition(_lock)
    _wanted.clear()
    _worker = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
