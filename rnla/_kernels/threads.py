"""Parallelism of the library: our own pool over fixed ranges, and BLAS held at one thread meanwhile.

Two BLAS pools that spin against each other, or against this one, cost a factor of two or three; so
while a call of the library runs, every BLAS works on one thread and the pool splits the product.
The ranges never depend on the number of threads, so neither do the bits.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Any

__all__ = ["even_ranges", "hold_newcomers", "interruptible", "one_blas_thread", "run"]

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_pool_size = 0
_inside = threading.local()
_LASTING = 2e10  # flops that take LAPACK about a second


def even_ranges(length: int, parts: int) -> list[slice]:
    """Cut [0, length) in at most `parts` ranges of nearly equal length."""
    parts = max(1, min(parts, length))
    return [slice(i * length // parts, (i + 1) * length // parts) for i in range(parts)]


def _executor(threads: int) -> ThreadPoolExecutor:
    global _pool, _pool_size
    with _lock:
        if _pool is None or _pool_size < threads:
            _pool = ThreadPoolExecutor(threads, thread_name_prefix="rnla")
            _pool_size = threads
        return _pool


def run(task: Callable[[Any], Any], items: Sequence[Any], threads: int) -> list[Any]:
    """Apply a task to every item on at most `threads` threads; results in the order of the items.

    The caller works too, so that short work does not wait for a thread to wake.  Ctrl-C is heard within one item;
    then, and after an error, items that have not begun are dropped.
    """
    workers = min(threads, len(items))
    if workers <= 1 or getattr(_inside, "worker", False):
        return [task(item) for item in items]
    results: list[Any] = [None] * len(items)
    remaining = iter(range(len(items)))
    stop = threading.Event()

    def work() -> None:
        _inside.worker = True
        try:
            while not stop.is_set():
                with _lock:
                    i = next(remaining, None)
                if i is None:
                    return
                results[i] = task(items[i])
        except BaseException:
            stop.set()
            raise
        finally:
            _inside.worker = False

    pool = _executor(threads)
    futures: list[Future[None]] = [pool.submit(contextvars.copy_context().run, work) for _ in range(workers - 1)]
    try:
        work()
        # Who has not begun finds nothing left to do, and is not waited for.
        pending: Any = {future for future in futures if not future.cancel()}
        while pending:
            _, pending = wait(pending, timeout=0.2, return_when=FIRST_EXCEPTION)
    finally:
        stop.set()
        wait([future for future in futures if not future.cancel()])
    for future in futures:
        if not future.cancelled():
            future.result()
    return results


def interruptible(task: Callable[[], Any], flops: float, check: Callable[[], None] | None = None) -> Any:
    """Run one call into LAPACK so that Ctrl-C is heard while it lasts, if it lasts.

    `check` is called every fifth of a second meanwhile; what it raises (a deadline) ends the wait as Ctrl-C does.
    LAPACK cannot be stopped: it then runs to its end on a thread of its own, which keeps nobody waiting, not even
    the end of the process.
    """
    if flops < _LASTING or (check is None and threading.current_thread() is not threading.main_thread()):
        return task()
    out: list[Any] = []

    def work() -> None:
        try:
            out.append((task(), None))
        except BaseException as error:  # noqa: BLE001  raised below, where the caller waits
            out.append((None, error))

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), name="rnla-lapack", daemon=True)
    try:
        thread.start()
        while thread.is_alive():
            thread.join(0.2)
            if check is not None and thread.is_alive():
                check()
    except BaseException:
        _abandon(thread)
        raise
    result, error = out[0]
    if error is not None:
        raise error
    return result


_abandoned: list[threading.Thread] = []


def _abandon(thread: threading.Thread) -> None:
    if not _abandoned:
        atexit.register(_end_beside_lapack)
    _abandoned[:] = [*(each for each in _abandoned if each.is_alive()), thread]


def _end_beside_lapack() -> None:
    """Let the process end while LAPACK still works.

    The BLAS gives its memory back and joins its threads in a destructor, under the feet of that work: the process
    would crash or hang instead of ending.  So C's `_exit` is put before the destructors, after all that Python does
    at its end; where the C library cannot say the exit status to it, the work is waited for.  Whether the work has
    ended meanwhile does not matter: OpenBLAS was seen to hang then too.
    """
    try:
        library = ctypes.CDLL(None)
        failed = library.on_exit(ctypes.cast(library._exit, ctypes.c_void_p), None)
    except (AttributeError, OSError, TypeError):
        failed = True
    if failed and sys.platform != "win32":  # Windows ends the threads first
        for thread in _abandoned:
            thread.join()


_blas_lock = threading.Lock()
_blas_users = 0
_blas_libraries: list[Any] = []  # their controllers, of threadpoolctl
_blas_found: list[tuple[Any, int]] = []  # those that were not at one thread, and at how many they were
_blas_seen: tuple[bool, ...] | None = None
_blas_process = object()  # another one in a forked child
# Modules that bring a BLAS of their own; libraries are looked for again when one of them appears.
_BLAS_OWNERS = ("numpy.linalg", "scipy.linalg", "scipy.sparse.linalg", "torch", "sklearn", "jax")


def _set_threads(settings: list[tuple[Any, int]]) -> None:
    """Set the threads of BLAS libraries from whatever thread this is.

    Since version 3.8 threadpoolctl heeds one thread at a time and ignores the others silently: a call from a worker of
    the caller's would run unlimited, and the last one out, on another thread than the first one in, would restore
    nothing.  So control is taken before, and given up after: the caller's own threads set limits as they did.
    """
    for library, threads in settings:
        clear = getattr(library, "clear_controlling_thread", None)
        if clear is not None:
            clear(force=True)
        library.set_num_threads(threads)
        if clear is not None:
            clear(force=True)


def _hold_blas() -> None:
    """Set every BLAS to one thread, and remember those that had more."""
    global _blas_libraries, _blas_found, _blas_seen
    seen = tuple(owner in sys.modules for owner in _BLAS_OWNERS)
    if seen != _blas_seen:
        from threadpoolctl import ThreadpoolController

        found = ThreadpoolController().lib_controllers
        _blas_libraries, _blas_seen = [each for each in found if each.user_api == "blas"], seen
    counts = [(library, library.get_num_threads()) for library in _blas_libraries]
    _blas_found = [(library, count) for library, count in counts if count not in {None, 1}]
    try:
        _set_threads([(library, 1) for library, _ in _blas_found])
    except BaseException:  # Ctrl-C between two libraries
        _restore_blas()
        raise


def _restore_blas() -> None:
    global _blas_found
    _set_threads(_blas_found)
    _blas_found = []


def hold_newcomers() -> None:
    """Hold what was loaded inside a held block too, until its end."""
    global _blas_found
    with _blas_lock:
        if _blas_users:
            before = _blas_found
            _hold_blas()
            _blas_found = [*before, *_blas_found]


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold every BLAS of the process at one thread; the last user out restores what was found."""
    global _blas_users
    with _blas_lock:
        if _blas_users == 0:
            _hold_blas()
        _blas_users += 1
        process = _blas_process
    try:
        yield
    finally:
        with _blas_lock:
            if process is _blas_process:  # a child forked inside the block has restored its limits already
                _blas_users -= 1
                if _blas_users == 0:
                    _restore_blas()


# A forked child has the locks and the counts of its parent, but of its threads only the one that forked: no
# other will give a lock back, work in the pool, or end its call and lift the limits.
_FORK_WAIT = 1.0  # seconds; whoever holds the lock sets limits, which takes milliseconds
_fork_held = threading.local()


def _before_fork() -> None:
    """Let no child be born while limits are half set."""
    _fork_held.lock = _blas_lock if _blas_lock.acquire(timeout=_FORK_WAIT) else None


def _after_fork_in_parent() -> None:
    if _fork_held.lock is not None:
        _fork_held.lock.release()


def _after_fork_in_child() -> None:
    global _lock, _pool, _pool_size, _inside, _blas_lock, _blas_users, _blas_process
    _lock, _blas_lock, _inside = threading.Lock(), threading.Lock(), threading.local()
    _pool, _pool_size = None, 0
    _blas_users, _blas_process = 0, object()
    _restore_blas()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
