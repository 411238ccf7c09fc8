"""The limits of the BLAS: set where they differ only, given back as found, and nobody's control over them is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import threadpoolctl

import rnla
from rnla._kernels.threads import even_ranges, one_blas_thread, run


def limits() -> list[int]:
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record what every BLAS is set to by this thread."""
    made: list[int] = []
    asking, depth = threading.current_thread(), [0]
    for kind in {type(library) for library in threadpoolctl.ThreadpoolController().lib_controllers}:
        real: Callable[..., Any] = kind.set_num_threads

        def recorded(self: Any, threads: int, real: Callable[..., Any] = real) -> Any:
            if self.user_api == "blas" and threading.current_thread() is asking and not depth[0]:
                made.append(threads)
            depth[0] += 1  # it calls itself once it has taken control
            try:
                return real(self, threads)
            finally:
                depth[0] -= 1

        monkeypatch.setattr(kind, "set_num_threads", recorded)
    return made


@pytest.mark.parametrize("user_threads", [1, 2])
def test_only_what_differs_is_set(settings: list[int], user_threads: int) -> None:
    A = np.diag(0.5 ** np.arange(30.0))
    with threadpoolctl.threadpool_limits(user_threads):
        before = limits()
        more = [count for count in before if count > 1]
        settings.clear()
        rnla.svd(A, 3, rng=0)
        assert settings == [1] * len(more) + more
        settings.clear()
        with one_blas_thread():
            assert limits() == [1] * len(before)
            rnla.svd(A, 3, rng=0)
            assert limits() == [1] * len(before)
        assert settings == [1] * len(more) + more
        assert limits() == before


class Interrupt(BaseException):
    """Like the keyboard's, which would end the process that runs the tests if the library let it through."""


def test_a_failure_between_two_libraries_restores_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    libraries = threadpoolctl.ThreadpoolController().lib_controllers
    kind = type(next(library for library in libraries if library.user_api == "blas"))
    real, failures = kind.set_num_threads, iter([Interrupt()])

    def interrupted(self: Any, threads: int) -> Any:
        real(self, threads)
        for failure in failures:
            raise failure

    with threadpoolctl.threadpool_limits(2):
        before = limits()
        monkeypatch.setattr(kind, "set_num_threads", interrupted)
        with pytest.raises(Interrupt), one_blas_thread():
            raise AssertionError
        assert limits() == before
        with one_blas_thread():
            assert set(limits()) == {1}
        assert limits() == before


def test_another_thread_may_set_limits_after_a_call() -> None:
    """The thread that called lives on; threadpoolctl heeds one living thread at a time, and it must not be this one."""
    with threadpoolctl.threadpool_limits(2), ThreadPoolExecutor(1) as pool:
        threadpoolctl.threadpool_limits(2)
        pool.submit(rnla.svd, np.diag(0.5 ** np.arange(30.0)), 3).result()
        before = limits()
        with threadpoolctl.threadpool_limits(1):
            assert set(limits()) == {1}
        assert limits() == before


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_the_pool_keeps_order_and_passes_errors_on(threads: int) -> None:
    assert run(lambda i: i * i, range(50), threads) == [i * i for i in range(50)]

    def fails(i: int) -> int:
        if i == 7:
            raise KeyError(i)
        return i

    with pytest.raises(KeyError, match="7"):
        run(fails, range(20), threads)
    assert run(abs, [-1], threads) == [1]


@pytest.mark.parametrize(("length", "parts"), [(0, 3), (1, 3), (10, 3), (16, 16), (1000, 16)])
def test_ranges_cover_evenly(length: int, parts: int) -> None:
    ranges = even_ranges(length, parts)
    assert [i for each in ranges for i in range(each.start, each.stop)] == list(range(length))
    sizes = [each.stop - each.start for each in ranges]
    assert max(sizes) - min(sizes) <= 1
    assert len(ranges) == max(1, min(parts, length))
