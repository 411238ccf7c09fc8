"""The watch over a call: callbacks, predicted passes, deadlines, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import rnla
from rnla.iterate import Event, current_watch, loop, tick, watching

ROOT = Path(__file__).resolve().parents[1]


def slowly_decaying(m: int = 300, n: int = 200) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    k = min(m, n)
    left, right = np.linalg.qr(rng.standard_normal((m, k)))[0], np.linalg.qr(rng.standard_normal((n, k)))[0]
    return (left / np.sqrt(np.arange(1, k + 1))) @ right.T


class Slow:
    """An operator whose products take a while."""

    def __init__(self, A: np.ndarray[Any, Any], seconds: float) -> None:
        self.A, self.shape, self.dtype, self.seconds = A, A.shape, A.dtype, seconds

    def matmat(self, x: Any) -> Any:
        time.sleep(self.seconds)
        return self.A @ x

    def rmatmat(self, y: Any) -> Any:
        time.sleep(self.seconds)
        return self.A.T @ y


def sources(tmp_path: Path) -> dict[str, Any]:
    A = slowly_decaying()
    np.save(tmp_path / "a.npy", A)
    return {
        "array": A,
        "csr": scipy.sparse.csr_array(A),
        "operator": Slow(A, 0.0),
        "memmap": tmp_path / "a.npy",
    }


SOURCES = ["array", "csr", "operator", "memmap"]
ASKED: dict[str, dict[str, Any]] = {
    "rank": {"rank": 10, "method": rnla.SubspaceIteration()},
    "rank-no-power": {"rank": 10, "method": rnla.SubspaceIteration(power_iterations=0)},
    "rank-column": {"rank": 10, "method": rnla.SubspaceIteration(space="column")},
    "rank-spectral": {"rank": 10, "norm": "spectral", "method": rnla.SubspaceIteration()},
    "tol": {"tol": 0.5, "method": rnla.Adaptive()},
    "tol-spectral": {"tol": 0.5, "norm": "spectral", "method": rnla.Adaptive()},
    "gram": {"rank": 10, "method": rnla.GramEigh()},
    "qr": {"rank": 10, "method": rnla.TallQR()},
    "full": {"rank": 10, "method": rnla.FullSVD()},
}


def reads_entries(asked: str) -> bool:
    return asked in {"gram", "qr", "full"}


# ------------------------------------------------------------------------------------------------- callbacks
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("asked", ASKED)
def test_events_rise_and_end_where_the_report_says(asked: str, source: str, tmp_path: Path) -> None:
    if reads_entries(asked) and source in {"csr", "operator"}:
        pytest.skip("the method reads entries and says so")
    events: list[Event] = []
    with rnla.config_context(callback=events.append):
        result = rnla.svd(sources(tmp_path)[source], rng=0, **ASKED[asked])
    passes = [event.passes for event in events]
    assert passes == sorted(passes)
    assert passes[0] >= 0
    assert passes[-1] == result.report.passes
    assert [event.elapsed for event in events] == sorted(event.elapsed for event in events)
    assert all(event.stage for event in events)
    planned = {event.planned_passes for event in events}
    if ASKED[asked].get("tol") is None:
        assert planned == {result.report.plan.passes} == {result.report.passes}
        remaining = [event.remaining for event in events if event.passes > 0]
        assert all(left is not None and left >= 0 for left in remaining)
        assert remaining[-1] == 0
    else:
        assert planned == {None}
        assert {event.remaining for event in events} == {None}
        assert any(event.error is not None for event in events) or result.report.passes <= 8


def test_events_inside_a_pass_over_a_file(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", slowly_decaying(20_000, 60).astype(">f8"))  # converted a block at a time
    events: list[Event] = []
    with rnla.config_context(callback=events.append, memory_budget="12M"):
        rnla.svd(tmp_path / "a.npy", 5, method=rnla.SubspaceIteration(), rng=0)
    parts = {event.passes for event in events if event.passes % 1}
    assert len(parts) >= 4
    assert max(parts) < events[-1].passes


def test_a_raising_callback_is_reported_once_and_ignored() -> None:
    calls: list[Event] = []

    def broken(event: Event) -> None:
        calls.append(event)
        raise ValueError("the bar broke")

    A = slowly_decaying()
    with (
        rnla.config_context(callback=broken),
        pytest.warns(RuntimeWarning, match="callback failed.*the bar broke") as told,
    ):
        result = rnla.svd(A, 10, method=rnla.SubspaceIteration(), rng=0)
    assert len(calls) == 1
    assert len(told) == 1
    assert np.array_equal(result.s, rnla.svd(A, 10, method=rnla.SubspaceIteration(), rng=0).s)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_callback_may_stop_the_call(error: type[BaseException]) -> None:
    def stop(event: Event) -> None:
        if event.passes >= 2:
            raise error

    with rnla.config_context(callback=stop), pytest.raises(error):
        rnla.svd(slowly_decaying(), 10, method=rnla.SubspaceIteration(), rng=0)
    assert current_watch() is None


def test_a_callback_sees_the_error_fall() -> None:
    errors: list[float] = []

    def see(event: Event) -> None:
        if event.error is not None:
            errors.append(event.error)

    with rnla.config_context(callback=see):
        result = rnla.svd(slowly_decaying(), tol=0.4, method=rnla.Adaptive(block_size=8), rng=0)
    assert errors == sorted(errors, reverse=True)
    assert len(set(errors)) >= 3
    assert errors[-1] >= result.error.residual / result.error.norm_of_A


def test_extend_has_a_watch_of_its_own() -> None:
    result = rnla.svd(slowly_decaying(), 5, method=rnla.SubspaceIteration(), rng=0)
    events: list[Event] = []
    with rnla.config_context(callback=events.append):
        more = result.extend(20)
    assert events[-1].passes == more.report.passes
    assert events[0].passes <= 1


# ------------------------------------------------------------------------------------------------- deadlines
def check_partial(result: Any, A: np.ndarray[Any, Any]) -> None:
    U, s, Vh = result
    true = np.linalg.norm(A - (U * s) @ Vh) / np.linalg.norm(A)
    assert result.status is rnla.Status.DEADLINE
    assert not result.status.ok
    assert 0 < result.rank < min(A.shape)
    # The estimate for operators is random: five standard errors.
    assert abs(result.error.value - true) <= 5 * max(result.error.standard_error, 0) + 1e-3 * true
    assert np.linalg.norm(U.T @ U - np.eye(result.rank)) <= 1e-13


STOPPED: dict[str, dict[str, Any]] = {
    "subspace_iteration": {"rank": 10, "method": rnla.SubspaceIteration(power_iterations=200)},
    "adaptive": {"tol": 1e-6, "method": rnla.Adaptive(block_size=4)},
}


@pytest.mark.parametrize("asked", STOPPED)
def test_the_deadline_raises_with_a_certified_part_of_the_answer(asked: str) -> None:
    A = Slow(slowly_decaying(), 0.04)
    started = time.monotonic()
    with (
        rnla.config_context(deadline=0.6),
        pytest.raises(rnla.DeadlineReached, match=r"deadline of 0\.6 s.*\.result holds rank") as caught,
    ):
        rnla.svd(A, rng=0, **STOPPED[asked])
    assert time.monotonic() - started < 3
    check_partial(caught.value.result, A.A)


@pytest.mark.parametrize("asked", STOPPED)
def test_on_failure_return_gives_the_part_with_its_status(asked: str) -> None:
    A = Slow(slowly_decaying(), 0.04)
    with rnla.config_context(deadline=0.6):
        result = rnla.svd(A, rng=0, on_failure="return", **STOPPED[asked])
    check_partial(result, A.A)
    assert "deadline" in str(result)
    more = result.extend(result.rank + 5, on_failure="return") if asked == "adaptive" else None
    assert more is None or more.rank == result.rank + 5


@pytest.mark.parametrize("asked", STOPPED)
def test_the_deadline_over_a_file(asked: str, tmp_path: Path) -> None:
    """The callback stands for a slow disk: it is called between the blocks of a pass."""
    A = slowly_decaying(20_000, 60)
    np.save(tmp_path / "a.npy", A)
    with rnla.config_context(deadline=0.8, callback=lambda _: time.sleep(0.02)):
        result = rnla.svd(tmp_path / "a.npy", rng=0, on_failure="return", **STOPPED[asked])
    check_partial(result, A)


def test_before_the_first_basis_there_is_no_result() -> None:
    with rnla.config_context(deadline=0.02), pytest.raises(rnla.DeadlineReached) as caught:
        rnla.svd(Slow(slowly_decaying(), 0.1), 10, rng=0, on_failure="return")
    assert caught.value.result is None


def test_a_deadline_that_is_not_reached_changes_nothing() -> None:
    A = slowly_decaying()
    plain = rnla.svd(A, 10, method=rnla.SubspaceIteration(), rng=0)
    with rnla.config_context(deadline=100):
        watched = rnla.svd(A, 10, method=rnla.SubspaceIteration(), rng=0)
    assert watched.status is rnla.Status.MET
    assert np.array_equal(plain.U, watched.U)
    assert plain.error.value == watched.error.value


# -------------------------------------------------------------------------------------------------- the loop
def test_the_loop_keeps_the_last_whole_state() -> None:
    def step(state: int) -> int:
        if state == 3:
            raise rnla.DeadlineReached("over")
        return state + 1

    with pytest.raises(rnla.DeadlineReached) as caught:
        loop(0, step, lambda state: state >= 9)
    assert caught.value.result == 3
    assert loop(0, lambda state: state + 2, lambda state: state >= 9) == 10


def test_a_watch_ends_with_its_block() -> None:
    tick(0.5)  # nobody watches: nothing happens
    with watching(4) as outer:
        with watching() as inner:
            assert current_watch() is inner
        assert current_watch() is outer
    assert current_watch() is None


# ---------------------------------------------------------------------------------------------------- Ctrl-C
LONG = {
    "dense": "A = g.standard_normal((6000, 3000)); asked = dict(rank=500, method=rnla.SubspaceIteration(40))",
    "lapack": "A = g.standard_normal((3000, 3000)); asked = dict(rank=2900, method=rnla.FullSVD())",
    "adaptive": "A = g.standard_normal((4000, 3000)); asked = dict(tol=1e-8, method=rnla.Adaptive())",
    "sparse": "A = scipy.sparse.random_array((60000, 40000), density=1e-3, rng=g, format='csr'); "
    "asked = dict(rank=60, method=rnla.SubspaceIteration(60))",
    "file": "np.save('a.npy', g.standard_normal((20000, 1500))); A = 'a.npy'; "
    "asked = dict(rank=200, method=rnla.SubspaceIteration(60))",
}
PROGRAM = """
    import sys, time, numpy as np, scipy.sparse, rnla
    g = np.random.default_rng(0)
    {setup}
    def told(event, seen=[]):
        if not seen:
            seen.append(print("running", flush=True))
    try:
        with rnla.config_context(callback=told, threads={threads}):
            rnla.svd(A, rng=0, **asked)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.exit(130)
"""


@pytest.mark.subprocess
@pytest.mark.skipif(sys.platform == "win32", reason="signals work otherwise there")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", LONG)
def test_ctrl_c_is_heard_within_two_seconds(kind: str, threads: int, tmp_path: Path) -> None:
    program = textwrap.dedent(PROGRAM).format(setup=LONG[kind], threads=threads)
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        time.sleep(0.4)
        assert process.poll() is None, "the work was over before it could be interrupted"
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        waited = time.monotonic() - started
    finally:
        process.kill()
    assert out == "interrupted\n", err
    assert process.returncode == 130
    assert waited < 2


# ------------------------------------------------------------------------------- what is kept past the deadline
def test_the_deadline_is_heard_while_lapack_works() -> None:
    A = np.random.default_rng(0).standard_normal((3000, 3000))  # LAPACK alone takes 7 seconds and more
    started = time.monotonic()
    with rnla.config_context(deadline=0.5), pytest.raises(rnla.DeadlineReached) as caught:
        rnla.svd(A, 2800, method=rnla.FullSVD(), rng=0)
    assert time.monotonic() - started < 3
    assert caught.value.result is None


@pytest.mark.parametrize("kind", ["array", "operator"])
def test_past_the_deadline_the_spectral_certificate_reads_nothing_for_powered_probes(kind: str) -> None:
    A = slowly_decaying()
    with (
        rnla.config_context(deadline=1.5, callback=lambda _: time.sleep(0.1)),
        pytest.raises(rnla.DeadlineReached, match=r"passed after \d+\.0 passes") as caught,
    ):
        rnla.svd(
            A if kind == "array" else Slow(A, 0.0), 10, norm="spectral", rng=0,
            method=rnla.SubspaceIteration(power_iterations=200),
        )  # fmt: skip
    result = caught.value.result
    U, s, Vh = result
    assert np.linalg.norm(A - (U * s) @ Vh, 2) <= result.error.upper * result.error.norm_of_A
    assert result.error.kind == "bounded"
    late = result.report.passes - int(str(caught.value).partition("passed after ")[2].partition(".")[0])
    if kind == "array":
        assert (late, result.error.failure_probability) == (0, 0.0)
    else:
        assert late <= 1  # for probes: nothing else is known of an operator's norm


@pytest.mark.parametrize("deadline", [0.02, 0.2], ids=["in-the-first-look", "in-the-block"])
def test_an_extension_past_its_deadline_keeps_what_was_there(deadline: float) -> None:
    result = rnla.svd(Slow(slowly_decaying(), 0.05), 10, rng=0)
    with rnla.config_context(deadline=deadline), pytest.raises(rnla.DeadlineReached) as caught:
        result.extend(rank=30)
    kept = caught.value.result
    assert kept.status is rnla.Status.DEADLINE
    assert kept.rank >= 10
    assert np.allclose(kept.s[:10], result.s)
    assert kept.error.value <= result.error.value


def test_the_loop_keeps_what_the_step_kept() -> None:
    def step(state: int) -> int:
        raise rnla.DeadlineReached("over", state + 5)

    with pytest.raises(rnla.DeadlineReached) as caught:
        loop(0, step, lambda state: state >= 9)
    assert caught.value.result == 5


def test_a_deadline_while_the_first_block_is_certified_keeps_the_block() -> None:
    A = Slow(slowly_decaying(), 0.05)  # 3 products for the block, 5 for its certificate
    with rnla.config_context(deadline=0.23):
        result = rnla.svd(
            A, tol=0.64, norm="spectral", method=rnla.Adaptive(power_iterations=0), on_failure="return", rng=0
        )
    assert result.status is rnla.Status.DEADLINE
    assert result.report.blocks == (16,)


@pytest.mark.subprocess
@pytest.mark.skipif(sys.platform == "win32", reason="signals work otherwise there")
def test_a_process_ends_with_its_own_status_while_lapack_works_on() -> None:
    program = """
        import sys, numpy as np, rnla
        A = np.random.default_rng(0).standard_normal((3000, 3000))
        try:
            with rnla.config_context(deadline=0.6):
                rnla.svd(A, 2900, method=rnla.FullSVD(), rng=0)
        except rnla.DeadlineReached:
            print("late")
            sys.exit(7)
    """
    for _ in range(3):  # BLAS's own destructor crashes or hangs in about every second run
        ended = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert (ended.returncode, ended.stdout) == (7, "late\n"), ended.stderr
