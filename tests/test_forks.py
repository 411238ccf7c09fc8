"""A process forked while calls run in other threads: the child works, on free locks and with the BLAS as it was."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAD = """
    import os, sys, threading, warnings
    warnings.simplefilter("ignore")  # newer Pythons warn of forks beside threads, which is what this is about
    import numpy as np, threadpoolctl, rnla
    from rnla._kernels import threads
    from rnla._xp import namespace

    A = np.random.default_rng(0).standard_normal((600, 300))

    def limits():
        return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]

    def in_child(work):
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if work() else 2
            finally:
                sys.stderr.flush()
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def right():
        s = rnla.svd(A, 60, rng=0, method=rnla.SubspaceIteration()).s
        return abs(s - expected).max() < 1e-10 and threads._blas_users == 0

    threadpoolctl.threadpool_limits(2)
    expected = rnla.svd(A, 60, rng=0, method=rnla.SubspaceIteration()).s
    before = limits()
    inside, leave = threading.Event(), threading.Event()

    def elsewhere(block):
        def hold():
            with block():
                inside.set()
                leave.wait(60)
        thread = threading.Thread(target=hold)
        thread.start()
        assert inside.wait(20)
        return thread
"""
PROGRAMS = {
    "a lock of the pool is held": """
        thread = elsewhere(lambda: threads._lock)
        print(in_child(right))
    """,
    "the lock of the limits is held": """
        threads._FORK_WAIT = 0.1
        thread = elsewhere(lambda: threads._blas_lock)
        print(in_child(right))
    """,
    "the lock of the precision is held": """
        thread = elsewhere(lambda: namespace._precision_lock)
        print(in_child(lambda: right() and namespace._precision_lock.acquire(timeout=5)))
    """,
    "a call runs in another thread": """
        thread = elsewhere(threads.one_blas_thread)
        assert set(limits()) == {1}
        print(in_child(lambda: limits() == before and right() and limits() == before))
        assert set(limits()) == {1}
    """,
    "a call runs in the thread that forks": """
        def work():
            try:
                return limits() == before and right()
            finally:
                block.__exit__(None, None, None)
                assert threads._blas_users == 0

        thread = threading.Thread()
        thread.start()
        block = threads.one_blas_thread()
        block.__enter__()
        print(in_child(work))
        block.__exit__(None, None, None)
    """,
}
TAIL = """
    leave.set()
    thread.join()
    assert right() and limits() == before and threads._blas_users == 0
"""


@pytest.mark.subprocess
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_a_forked_child_works(program: str) -> None:
    text = "\n".join(textwrap.dedent(part) for part in (HEAD, program, TAIL))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RNLA_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
