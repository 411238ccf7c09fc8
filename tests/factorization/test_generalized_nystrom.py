"""The generalized Nystrom approximation against the paper's formula and the mean of its error."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

import rnla
from rnla.compression.generalized_nystrom import generalized_nystrom_factors
from rnla.rng import Key
from rnla.testing import SPECTRA, matrix, optimal_error, spectrum
from tests.reference.nakatsukasa2020 import generalized_nystrom

Array = np.ndarray[Any, Any]
DTYPES = ["float32", "float64", "complex64", "complex128"]


def eps_of(dtype: Any) -> float:
    return float(np.finfo(dtype).eps)


def rest_of(A: Array, result: rnla.SVDResult) -> Array:
    u, vh = (np.asarray(x).astype(np.complex128) for x in (result.U, result.Vh))
    return A.astype(np.complex128) - (u * np.asarray(result.s, dtype=float)) @ vh


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(60, 40), (40, 60)])
def test_it_is_the_approximation_of_the_paper(shape: tuple[int, int], dtype: str) -> None:
    A = matrix("inverse", *shape, dtype=dtype, rng=0)
    omega, psi = (Key(i).normals(0, shape[1 - i], (8, 12)[i], dtype=np.dtype(dtype)) for i in (0, 1))
    Q, X = generalized_nystrom_factors(A @ omega, psi, A.conj().T @ psi)
    expected = generalized_nystrom(*(x.astype(np.complex128) for x in (A, omega, psi)))
    assert np.linalg.norm(Q @ X - expected) <= 300 * eps_of(dtype)
    assert np.linalg.norm(Q.conj().T @ Q - np.eye(8)) <= 30 * eps_of(dtype) * math.sqrt(8)


@pytest.mark.statistical
def test_the_mean_square_of_the_error_is_the_theorems() -> None:
    """E norm(A - Q X)^2 = (1 + l / (p - 1)) norm(A - Q Q^T A)^2 for one Q, over 400 draws: alarm 6e-5 (4 sigma)."""
    A, size, more = matrix("inverse", 60, 40, rng=0), 6, 8
    Y = A @ Key(1).normals(0, 40, size, dtype=np.dtype(float))
    squares = []
    for seed in range(400):
        psi = Key(seed).child("left").normals(0, 60, size + more, dtype=np.dtype(float))
        Q, X = generalized_nystrom_factors(Y, psi, A.T @ psi)
        squares.append(np.linalg.norm(A - Q @ X) ** 2)
    expected = (1 + size / (more - 1)) * np.linalg.norm(A - Q @ (Q.T @ A)) ** 2
    assert abs(np.mean(squares) - expected) <= 4 * np.std(squares, ddof=1) / math.sqrt(400)


@settings(max_examples=80)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)), st.sampled_from(sorted(SPECTRA)), st.sampled_from(DTYPES),
    st.integers(0, 2**32), st.sampled_from(["fro", "spectral"]), st.data(),
)  # fmt: skip
def test_every_answer_is_a_decomposition_with_a_true_certificate(
    shape: tuple[int, int], name: str, dtype: str, seed: int, norm: str, data: st.DataObject
) -> None:
    """The spectral bound fails with probability 1e-6 a call, and the examples are fixed."""
    A = matrix(name, *shape, dtype=dtype, rng=seed)
    rank = data.draw(st.integers(0, min(shape)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rnla.RankWarning)
        result = rnla.generalized_nystrom(A, rank, norm=norm, rng=seed)
    eps, order = eps_of(dtype), 2 if norm == "spectral" else None
    assert (result.U.shape, result.Vh.shape, result.U.dtype) == ((shape[0], rank), (rank, shape[1]), A.dtype)
    for Q in (result.U, result.Vh.conj().T):
        assert np.linalg.norm(Q.conj().T @ Q - np.eye(rank)) <= 30 * eps * math.sqrt(max(rank, 1))
    truth = float(np.linalg.norm(rest_of(A, result), ord=order))
    slack = 100 * eps * math.sqrt(max(shape))
    assert truth >= optimal_error(np.linalg.svd(A, compute_uv=False), rank, norm) - slack
    assert truth <= result.error.residual_upper * (1 + 1e-6) + slack
    assert truth <= result.error.upper * np.linalg.norm(A, ord=order) * (1 + 1e-6) + slack
    if result.error.kind == "exact":
        assert truth >= result.error.absolute * (1 - 1e-6) - slack


def test_every_kind_of_input_gives_the_same_factors(tmp_path: Path) -> None:
    torch, strict = pytest.importorskip("torch"), pytest.importorskip("array_api_strict")
    A = matrix(0.5 ** np.arange(12.0), 60, 40, dtype="complex128", rng=0)
    np.save(tmp_path / "a.npy", A)
    kinds = {
        "dense": A, "memmap": np.load(tmp_path / "a.npy", mmap_mode="r"), "torch": torch.from_numpy(A),
        "strict": strict.asarray(A), "sparse": scipy.sparse.coo_array(A),
        "operator": scipy.sparse.linalg.aslinearoperator(A),
    }  # fmt: skip
    plain = rnla.generalized_nystrom(A, 5, rng=1)
    for name, given_as in kinds.items():
        result = rnla.generalized_nystrom(given_as, 5, rng=1)
        s = np.asarray(result.s)
        assert np.allclose(s, plain.s, rtol=0, atol=1e-12), name
        exact = name not in {"sparse", "operator"}
        assert result.error.kind == ("exact" if exact else "estimated"), name
        assert result.report.passes == (3 if exact else 2), name
        assert result.report.products == 15 + 23 + {"sparse": 30, "operator": 34}.get(name, 0), name
        assert np.linalg.norm(A) * result.error.upper * 1.2 >= result.error.absolute, name


def test_low_rank_zero_and_empty_matrices_are_found_to_rounding() -> None:
    for dtype in DTYPES:
        A = matrix([3.0, 2.0, 1.0], 80, 50, dtype=dtype, rng=0)
        with pytest.warns(rnla.RankWarning):
            result = rnla.generalized_nystrom(A, 6, rng=1)
        assert np.linalg.norm(rest_of(A, result)) <= 50 * eps_of(dtype) * np.linalg.norm(A)
        assert rnla.generalized_nystrom(np.zeros((5, 0), dtype=dtype), 0).error.value == 0
    with pytest.warns(rnla.RankWarning):
        zero = rnla.generalized_nystrom(np.zeros((20, 12)), 3, rng=0)
    assert zero.error.value == 0
    values = spectrum("exponential", 50)
    A = matrix("exponential", 80, 50, rng=0)
    result = rnla.generalized_nystrom(A, 20, oversampling=20, rng=1)
    assert np.linalg.norm(rest_of(A, result)) <= 1.5 * optimal_error(values, 20)
    with pytest.raises(rnla.InputError, match="call the function again"):
        result.extend(rank=30)
    assert result.truncate(5).error.upper * np.linalg.norm(A) >= np.linalg.norm(rest_of(A, result.truncate(5)))
    with pytest.raises(rnla.InputError):
        rnla.generalized_nystrom(A, 60)
    with pytest.raises(rnla.DTypeError):
        rnla.generalized_nystrom(A, 6, oversampling=1.5)
