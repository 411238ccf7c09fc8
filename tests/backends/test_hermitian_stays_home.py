"""Hermitian and semidefinite matrices on another device: only small arrays and the diagonal cross to the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.testing import hermitian_matrix
from tests.backends.conftest import Backend
from tests.backends.test_no_host_copy import Meter, strict_meter, torch_meter

__all__ = ["strict_meter", "torch_meter"]  # fixtures

N, RANK = 1200, 5
POWERS, ONCE = rnla.SubspaceIteration(power_iterations=1), rnla.BlockLanczos(depth=1)

CALLS: dict[str, Callable[[Any], Any]] = {
    "eigh": lambda A: rnla.eigh(A, RANK, method=POWERS, rng=0).w,
    "eigh by block Lanczos": lambda A: rnla.eigh(A, RANK, method=rnla.BlockLanczos(depth=2), rng=0).w,
    "eigh to a tolerance": lambda A: rnla.eigh(A, tol=0.2, method=rnla.Adaptive(block_size=8), rng=0).w,
    "nystrom": lambda A: rnla.nystrom(A, RANK, method=POWERS, rng=0).w,
    "nystrom in one pass": lambda A: rnla.nystrom(A, RANK, method=ONCE, rng=0).w,
    "nystrom to a tolerance": lambda A: rnla.nystrom(A, tol=0.2, method=rnla.Adaptive(block_size=8), rng=0).w,
    "nystrom by the trace": lambda A: rnla.nystrom(A, RANK, norm="nuclear", method=POWERS, rng=0).w,
    "generalized Nystrom": lambda A: rnla.generalized_nystrom(A, RANK, rng=0).s,
    "jackknife": lambda A: rnla.jackknife(rnla.nystrom(A, RANK, method=ONCE, rng=0)).values,
}


def matrix() -> np.ndarray[Any, Any]:
    return hermitian_matrix(np.arange(1.0, 61) ** -1.5, N, rng=0)


def check_call(what: str, given: Any, meter: Meter, host: Callable[[Any], Any]) -> None:
    out = CALLS[what](given)
    assert meter.crossings > 0
    assert meter.largest <= 8 * N < 8 * N * RANK
    assert np.allclose(out if isinstance(out, np.ndarray) else host(out), CALLS[what](matrix()), rtol=1e-8)


@pytest.mark.parametrize("what", CALLS)
def test_on_a_strict_device(what: str, strict_meter: Meter) -> None:
    library = pytest.importorskip("array_api_strict")
    there, here = library.Device("device1"), library.Device("CPU_DEVICE")
    check_call(what, library.asarray(matrix(), device=there), strict_meter, lambda x: np.asarray(x.to_device(here)))


@pytest.mark.parametrize("what", CALLS)
def test_on_torch(what: str, torch_meter: Meter) -> None:
    check_call(what, pytest.importorskip("torch").from_numpy(matrix()), torch_meter, lambda x: x.numpy())


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_every_library_gives_the_same_pairs_at_home(backend: Backend, dtype: str) -> None:
    A = hermitian_matrix([3.0, 2.0, 1.0, 0.5, 0.25], 80, dtype=dtype, rng=0)
    there, eps = backend.there(A), float(np.finfo(dtype).eps)
    for function in (rnla.eigh, rnla.nystrom):
        for method in (None, POWERS, rnla.BlockLanczos(depth=2)):
            result = function(there, 3, method=method, rng=0)
            assert backend.same_home(result.V, there)
            assert backend.same_home(result.w, there)
            w, V = backend.back(result.w), backend.back(result.V)
            assert (w.dtype, V.dtype) == (A.real.dtype, A.dtype)
            assert np.abs(w - [3, 2, 1]).max() <= 100 * eps
            assert np.linalg.norm(V.conj().T @ V - np.eye(3)) <= 30 * eps * np.sqrt(3)
            assert np.linalg.norm(A @ V - V * w) <= 200 * eps
    grown = rnla.nystrom(there, 2, method=POWERS, rng=0).extend(rank=4)
    assert backend.same_home(grown.V, there)
    assert backend.same_home(rnla.generalized_nystrom(there, 3, rng=0).U, there)
