"""Rows G that a single call reaches: many threads at once, optional packages that are absent or broken."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import threadpoolctl

import rnla
from tests.bad_input.cases import METHODS, Operator, decaying, with_spectrum

ROOT = Path(__file__).resolve().parents[2]


# --------------------------------------------------------------------------------------------------------- G10
def _work() -> list[Any]:
    """Return calls of every kind, large enough that the pool and the BLAS limits are used."""
    dense = with_spectrum((600, 300), 1.0 / np.arange(1, 301))
    sparse = scipy.sparse.random_array((800, 500), density=0.02, rng=np.random.default_rng(0), format="csr")
    return [
        lambda seed: rnla.svd(dense, 20, method=METHODS["subspace_iteration"], rng=seed),
        lambda seed: rnla.svd(dense, tol=0.2, method=METHODS["adaptive"], rng=seed),
        lambda seed: rnla.svd(dense, 20, method=METHODS["gram_eigh"], rng=seed),
        lambda seed: rnla.svd(dense.astype("float32"), 20, sketch="sparse_sign", rng=seed),
        lambda seed: rnla.svd(sparse, 12, rng=seed),
        lambda seed: rnla.svd(Operator(dense), 12, rng=seed),
        lambda seed: rnla.svd(dense, 5, rng=seed).extend(15),
        lambda seed: rnla.svd(dense.T, 10, power_iterations=1, rng=seed),
    ]


def _limits() -> list[tuple[str, int]]:
    return [(pool["filepath"], pool["num_threads"]) for pool in threadpoolctl.threadpool_info()]


@pytest.mark.parametrize("user_threads", [1, 2])
def test_G10_eight_threads_equal_the_serial_answers_and_leave_the_blas_alone(user_threads: int) -> None:
    work = _work()
    with threadpoolctl.threadpool_limits(user_threads):
        before = _limits()
        serial = [call(seed) for seed, call in enumerate(work)]
        assert _limits() == before
        together = threading.Barrier(8)

        def task(seed: int) -> Any:
            together.wait()
            return [work[(seed + step) % 8]((seed + step) % 8) for step in range(3)]

        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(task, range(8)))
        assert _limits() == before
    for seed, several in enumerate(results):
        for step, result in enumerate(several):
            expected = serial[(seed + step) % 8]
            if expected.report.deterministic:
                assert np.array_equal(result.s, expected.s)
                assert np.array_equal(result.U, expected.U)
            assert np.allclose(result.s, expected.s, rtol=1e-5)
            assert result.report.seed == expected.report.seed


def test_G10_the_last_thread_out_restores_what_the_first_one_in_found() -> None:
    """The first call in is not the last one out, and neither runs on the thread that set the limits."""
    first_in, last_in = threading.Event(), threading.Event()
    seen: list[set[int]] = []

    class Waiting(Operator):
        def matmat(self, x: Any) -> Any:
            if not first_in.is_set():
                first_in.set()
                assert last_in.wait(20)  # the other call has begun
            seen.append({pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"})
            return super().matmat(x)

    class Late(Operator):
        def matmat(self, x: Any) -> Any:
            last_in.set()
            if self.products == 0:
                first.join(20)  # the call that came first has ended
            return super().matmat(x)

    big = with_spectrum((600, 300), 1.0 / np.arange(1, 301))
    with threadpoolctl.threadpool_limits(2):
        before = _limits()
        first = threading.Thread(target=lambda: rnla.svd(Waiting(big), 20, rng=0))
        first.start()
        assert first_in.wait(20)
        second = threading.Thread(target=lambda: rnla.svd(Late(big), 20, rng=0))
        second.start()
        first.join(20)
        second.join(20)
        assert not first.is_alive()
        assert not second.is_alive()
        assert _limits() == before
    assert seen[0] == {1}


def test_G10_most_of_the_work_is_deterministic() -> None:
    """The comparison above compares bits; this one fails if it had nothing to compare."""
    assert sum(call(seed).report.deterministic for seed, call in enumerate(_work())) >= 5


@pytest.mark.parametrize("user_threads", [1, 2])
def test_G10_an_exception_restores_the_blas_limits(user_threads: int) -> None:
    class Failing(Operator):
        def rmatmat(self, y: Any) -> Any:
            assert {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"} == {
                1
            }
            raise KeyError("gone")

    big = with_spectrum((600, 300), 1.0 / np.arange(1, 301))
    with threadpoolctl.threadpool_limits(user_threads):
        before = _limits()
        with pytest.raises(KeyError, match="gone"):
            rnla.svd(Failing(big), 20, rng=0)
        assert _limits() == before
        big[5, 5] = np.nan
        with pytest.raises(rnla.NonFiniteError):
            rnla.svd(big, 20, method=METHODS["subspace_iteration"], rng=0)
        assert _limits() == before


def test_G10_a_shared_generator_is_advanced_without_corruption() -> None:
    A, shared = decaying(), np.random.default_rng(0)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: rnla.svd(A, 5, method=METHODS["subspace_iteration"], rng=shared), range(16)))
    seeds = {result.report.seed for result in results}
    assert len(seeds) == 16
    for result in results:
        again = rnla.svd(A, 5, method=METHODS["subspace_iteration"], rng=result.report.seed)
        assert np.array_equal(again.U, result.U)


# --------------------------------------------------------------------------------------------------------- G17
OPTIONAL = ["numba", "torch", "cupy", "jax", "dask", "h5py", "zarr", "sklearn", "matplotlib", "rich", "typer", "tqdm"]

PROGRAM = """
    import sys
    FAULT, NAMES = {fault!r}, {names!r}

    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in NAMES:
                if FAULT == "absent":
                    raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
                raise ImportError(f"{{name}}: undefined symbol")
            return None

    sys.meta_path.insert(0, Broken())
    import numpy as np
    import rnla
    A = np.diag(0.5 ** np.arange(60.0))
    for method in (None, rnla.SubspaceIteration(), rnla.GramEigh(), rnla.TallQR(), rnla.FullSVD()):
        assert abs(rnla.svd(A, 5, method=method, rng=0).s - 0.5 ** np.arange(5)).max() < 1e-12
    assert rnla.svd(A, tol=1e-6, method=rnla.Adaptive(), rng=0).error.value <= 1e-6
    assert rnla.svd(A.tolist(), 3, rng=0).extend(6).rank == 6
    try:
        rnla.svd(object(), 1)
    except rnla.DTypeError:
        print("as promised")
"""


@pytest.mark.subprocess
@pytest.mark.parametrize("fault", ["absent", "broken"])
def test_G17_without_a_single_optional_package(fault: str) -> None:
    program = textwrap.dedent(PROGRAM.format(fault=fault, names=OPTIONAL))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, env=environment, check=False
    )
    assert done.stdout == "as promised\n", done.stderr
