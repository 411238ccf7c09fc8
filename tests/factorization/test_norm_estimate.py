"""Norms between bounds: against LAPACK's values; the theorem behind them against brute force."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import rnla
from rnla.error.krylov_norm import krylov_ratio, krylov_steps
from rnla.rng import Key
from rnla.testing import SPECTRA, matrix

Array = np.ndarray[Any, Any]
NORMS = ["spectral", "fro", "nuclear"]


def truth(A: Array, norm: str) -> float:
    order: Any = {"spectral": 2, "fro": "fro", "nuclear": "nuc"}[norm]
    return float(np.linalg.norm(A.astype(np.complex128 if A.dtype.kind == "c" else np.float64), order))


def operator(A: Array) -> Any:
    return scipy.sparse.linalg.aslinearoperator(A)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", ["array", "operator", "wide operator"])
@pytest.mark.parametrize("name", SPECTRA)
def test_the_bounds_hold_on_every_spectrum(name: str, kind: str, norm: str) -> None:
    """Confidence 1 - 1e-5 where it can be asked, 0.997 for the nuclear norm (which is certified far above that)."""
    A = matrix(name, 240, 170, rng=1)
    A = A.T if kind == "wide operator" else A
    found = rnla.norm_estimate(
        A if kind == "array" else operator(A), norm, confidence=0.997 if norm == "nuclear" else 1 - 1e-5, rng=0
    )
    true = truth(A, norm)
    assert found.lower <= true * (1 + 1e-14)
    assert true * (1 - 1e-14) <= found.upper
    assert found.lower <= float(found) <= found.upper
    assert found.width <= (0.1 if norm != "nuclear" else 10)
    assert found.failure_probability <= (0.003 if norm == "nuclear" else 1.01e-5)


@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
@pytest.mark.parametrize("norm", NORMS)
def test_other_precisions(norm: str, dtype: str) -> None:
    A = matrix("inverse", 200, 160, dtype=dtype, rng=2)
    for form in (A, operator(A)):
        found = rnla.norm_estimate(form, norm, rng=0)
        assert found.lower <= truth(A, norm) <= found.upper


def test_files_sparse_matrices_and_tensors(tmp_path: Path) -> None:
    A = matrix("inverse", 200, 160, rng=2)
    mapped = np.memmap(tmp_path / "A", dtype=A.dtype, shape=A.shape, mode="w+")
    mapped[:] = A
    forms = [mapped, scipy.sparse.csr_array(A)]
    found = rnla.norm_estimate(mapped, "fro")
    assert (found.passes, found.kind) == (1, "exact")
    torch = pytest.importorskip("torch")
    for form in [*forms, torch.from_numpy(A)]:
        for norm in NORMS:
            found = rnla.norm_estimate(form, norm, rng=0)
            assert found.lower <= truth(A, norm) <= found.upper


def test_bounds_close_in_as_asked() -> None:
    A = matrix("inverse_root", 400, 300, rng=3)
    for norm in NORMS:
        for tol in (0.05, 0.01):
            found = rnla.norm_estimate(operator(A), norm, tol=tol, rng=0)
            assert found.width <= tol
            assert found.lower <= truth(A, norm) <= found.upper


def test_a_pass_limit_is_told() -> None:
    A = matrix("inverse_root", 400, 300, rng=3)
    with rnla.config_context(max_passes=5):
        with pytest.raises(rnla.ToleranceNotMet, match="apart") as caught:
            rnla.norm_estimate(operator(A), tol=0.01, rng=0)
        found = caught.value.result
        assert found.passes == 5
        assert found.lower <= 1 <= found.upper
        assert rnla.norm_estimate(operator(A), tol=0.01, on_failure="return", rng=0).upper == found.upper


def test_exact_cases() -> None:
    assert float(rnla.norm_estimate(np.zeros((0, 3)))) == 0
    assert float(rnla.norm_estimate(np.zeros((30, 20)))) == 0
    assert float(rnla.norm_estimate(np.zeros((30, 20)), "nuclear")) == 0
    small = rnla.norm_estimate(operator(np.diag([3.0, 4.0])), "fro")
    assert small.kind == "exact"
    assert math.isclose(small.value, 5, rel_tol=1e-14)
    for factor in (1e200, 1e-200):
        found = rnla.norm_estimate(factor * matrix("inverse", 60, 50), rng=0)
        assert found.lower <= factor * (1 + 1e-13)
        assert factor * (1 - 1e-13) <= found.upper


@pytest.mark.parametrize("complex_columns", [False, True])
def test_steps_and_ratio_agree(complex_columns: bool) -> None:
    for size in (10, 1000, 10**6):
        for failure in (0.1, 1e-6):
            for ratio in (1.5, 1.1, 1.001):
                steps = krylov_steps(size, failure, ratio, complex_columns=complex_columns)
                assert krylov_ratio(size, failure, steps, complex_columns=complex_columns) <= ratio * (1 + 1e-12)
                if steps > 1:
                    fewer = krylov_ratio(size, failure, steps - 1, complex_columns=complex_columns)
                    assert fewer > ratio


@pytest.mark.statistical
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_the_theorem_holds_for_the_worst_spectrum_that_it_knows(dtype: str) -> None:
    """False-alarm rate 1e-7 a case: misses above the binomial limit in 400 starts, at a failure probability of 0.2.

    One large value over a spectrum that is spread as the zeros of the extremal polynomial would want it.  One start,
    plain Lanczos by an explicit Krylov basis: no part of the library but the ratio.
    """
    import scipy.stats

    n, k, failure = 60, 3, 0.2
    ratio = krylov_ratio(n, failure, k, block=1, complex_columns=dtype == "complex128")
    e = 1 - ratio**-2
    eigenvalues = np.append((1 - e) * np.cos(np.linspace(0, np.pi / 2, n - 1)) ** 2, 1.0)
    misses = 0
    for seed in range(400):
        g = Key(seed).child("start").normals(0, n, 1, dtype=dtype)[:, 0]
        q = np.linalg.qr(np.stack([eigenvalues**i * g for i in range(k)], axis=1))[0]
        ritz = np.linalg.eigvalsh(q.conj().T @ (eigenvalues[:, None] * q))[-1]
        misses += ritz < 1 - e
    assert misses <= int(scipy.stats.binom.isf(1e-7, 400, failure))


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        ({"norm": "max"}, "not one of"),
        ({"confidence": 1.0}, "between 0 and 1"),
        ({"norm": "nuclear", "confidence": 0.9999}, "0.997"),
        ({"tol": 0.0}, "100 eps"),
        ({"on_failure": "ignore"}, "not one of"),
    ],
)
def test_bad_arguments_are_refused(bad: dict[str, Any], match: str) -> None:
    with pytest.raises(rnla.InputError, match=match):
        rnla.norm_estimate(np.eye(4), **bad)
