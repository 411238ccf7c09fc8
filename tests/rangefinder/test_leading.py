"""The leading eigenpairs of a small Hermitian matrix against the complete decomposition."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from rnla._kernels import lapack
from rnla.rangefinder import leading
from rnla.rangefinder.leading import leading_eigh

SPECTRA = {
    "slow": lambda n: 1 / np.arange(1.0, n + 1),
    "fast": lambda n: 0.5 ** np.arange(n),
    "equal": np.ones,
    "clusters": lambda n: np.repeat([1.0, 0.5], [n // 5, n - n // 5]),
    "low rank": lambda n: np.repeat([1.0, 0.0], [7, n - 7]),
    "close": lambda n: 1 + 1e-13 * np.arange(n),
}


def hermitian(values: np.ndarray, dtype: str, seed: int = 0) -> np.ndarray:
    rng, n = np.random.default_rng(seed), len(values)
    x = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if dtype in "FD" else 0)
    q = np.linalg.qr(x)[0]
    h = (q * values) @ q.conj().T
    return ((h + h.conj().T) / 2).astype(dtype)


@pytest.mark.parametrize("dtype", list("fdFD"))
@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("n", [33, 120])
def test_pairs_are_eigenpairs_and_the_largest(n, name, dtype):
    """Residual, orthonormality and (by Weyl's inequality) values, all to a modest multiple of eps."""
    h = hermitian(SPECTRA[name](n), dtype)
    k = n // 4
    w, v = leading_eigh(h, k)
    assert v.dtype == h.dtype
    assert v.shape == (n, k)
    level = 10 * n**0.5 * np.finfo(dtype).eps
    wide = h.astype("D" if dtype in "FD" else "d")
    assert np.linalg.norm(v.conj().T @ v - np.eye(k)) <= level
    assert np.linalg.norm(wide @ v - v * w) <= level * max(1.0, k**0.5)
    assert np.all(np.diff(w) <= 0)
    assert np.abs(w - np.linalg.eigvalsh(wide)[::-1][:k]).max() <= level


@pytest.mark.parametrize("h", [np.eye(40), np.diag(np.arange(40.0)), np.kron(np.eye(20), np.ones((2, 2)))])
def test_matrices_that_fall_apart(h):
    w, v = leading_eigh(h, 9)
    assert np.linalg.norm(h @ v - v * w) <= 1e-13 * np.linalg.norm(h)
    assert np.linalg.norm(v.T @ v - np.eye(9)) <= 1e-14


def test_few_pairs_need_no_complete_decomposition(monkeypatch):
    """Half of them and more do: it is counted who is called."""
    calls = []
    monkeypatch.setattr(leading, "eigh", lambda x: calls.append(len(x)) or np.linalg.eigh(x))
    h = hermitian(SPECTRA["slow"](40), "d")
    leading_eigh(h, 10)
    leading_eigh(h.astype("f"), 3)
    assert not calls
    leading_eigh(h, 20)
    leading_eigh(h[:20, :20], 3)
    assert calls == [40, 20]


@pytest.mark.parametrize("what", ["vectors", "values", "not converged", "zero"])
def test_what_is_not_right_goes_to_the_complete_decomposition(monkeypatch, what):
    """Vectors that are wrong, values that are wrong, a failure that LAPACK tells, and a matrix of zeros."""
    h = hermitian(SPECTRA["slow"](40), "d") * (what != "zero")

    def broken(name, *given):
        info = lapack.call(name, *given)
        if what == "vectors" and name == "dstein":
            given[7][:] = given[7][:, ::-1]
        if what == "values" and name == "dsterf":
            given[1][:] *= 1.01
        return 3 if what == "not converged" and name == "dstein" else info

    monkeypatch.setattr(leading, "call", broken)
    calls = []
    monkeypatch.setattr(leading, "eigh", lambda x: calls.append(1) or np.linalg.eigh(x))
    w, v = leading_eigh(h, 5)
    assert calls == [1]
    assert np.allclose(h @ v, v * w, atol=1e-14)


def test_python_is_free_while_lapack_works(monkeypatch):
    """Another thread takes a turn within one call: SciPy's own functions would keep it waiting until their end."""
    h, ticks, inside = hermitian(SPECTRA["slow"](600), "d"), [], threading.Event()
    done = threading.Event()

    def watch():
        while not done.is_set():
            if inside.is_set():
                ticks.append(1)
            time.sleep(1e-4)

    def marked(name, *given):
        inside.set()
        try:
            return lapack.call(name, *given)
        finally:
            inside.clear()

    monkeypatch.setattr(leading, "call", marked)
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        for _ in range(20):
            leading_eigh(h, 5)
    finally:
        done.set()
        thread.join()
    assert len(ticks) >= 20


def test_the_matrix_is_not_changed():
    h = hermitian(SPECTRA["slow"](50), "d")
    before = h.copy()
    leading_eigh(h, 5)
    assert np.array_equal(h, before)


def test_a_blas_that_is_loaded_within_a_call_is_held_too():
    """The first call of a process gives the bits of the second, and limits are as before afterwards."""
    script = """
import numpy as np, rnla
from threadpoolctl import threadpool_info
def limits():
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}
before = limits()
A = np.random.default_rng(0).standard_normal((900, 400))
found = [rnla.svd(A, 5, method=rnla.GramEigh(), rng=0) for _ in range(2)]
assert all(np.array_equal(a, b) for a, b in zip(*found))
assert limits() == before
"""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "RNLA_KERNELS": "plain"}
    assert subprocess.run([sys.executable, "-c", script], check=False, env=environment).returncode == 0
