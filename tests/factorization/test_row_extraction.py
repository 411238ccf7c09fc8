"""Algorithms 5.2 and 5.4 of Halko, Martinsson and Tropp: their bound, their transcription, one product with A."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse.linalg

import rnla
from rnla._xp.namespace import to_host
from rnla.compression.skeleton import interpolation_of_rows
from rnla.rng import Key
from rnla.testing import SPECTRA, haar, matrix
from tests.reference import skeletons

Array = np.ndarray[Any, Any]

may_be_poor = pytest.mark.filterwarnings("ignore:the approximation is:rnla.AccuracyWarning")  # without oversampling


def hermitian(spectrum: str, n: int, dtype: str, seed: int) -> Array:
    from rnla.testing import spectrum as values_of

    v = haar(n, n, dtype=dtype, rng=seed)
    w = values_of(spectrum, n, dtype=dtype) * (-1.0) ** np.arange(n)
    A = (v * w) @ v.conj().T
    return ((A + A.conj().T) / 2).astype(dtype)


def sample(A: Array, size: int, seed: int) -> Array:
    """Return the basis that the functions find: the same test matrix, orthonormalized."""
    omega = Key(seed).child("test-matrix", 0).normals(0, A.shape[1], size, dtype=A.dtype)
    return np.linalg.qr(A.astype(np.complex128) @ omega)[0]


@may_be_poor
@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32"])
@pytest.mark.parametrize("spectrum", sorted(SPECTRA))
def test_the_bound_of_the_paper_holds(spectrum: str, dtype: str) -> None:
    """norm(A - U S V^H) <= (1 + norm(X)) norm(A - Q Q^H A), norm(X) <= sqrt(1 + 4 l (m - l)); always, for any Q."""
    for m, n in ((50, 40), (40, 60)):
        A, rank = matrix(spectrum, m, n, dtype=dtype, rng=2), 12
        result = rnla.svd_by_row_extraction(A, rank, oversampling=0, rng=5)
        Q = sample(A, rank, 5)
        gap = np.linalg.norm(A - Q @ (Q.conj().T @ A), 2)
        _, X = interpolation_of_rows(Q, Q.conj().T, rank)
        size = np.linalg.norm(X, 2)
        assert size <= math.sqrt(1 + 4 * rank * (m - rank))
        eps = float(np.finfo(dtype).eps)
        true = np.linalg.norm(A - (result.U * result.s) @ result.Vh, 2)
        assert true <= (1 + size) * gap + 50 * size * eps
        for factor in (result.U, result.Vh.conj().T):
            assert np.linalg.norm(factor.conj().T @ factor - np.eye(rank)) <= 30 * eps * math.sqrt(rank)
        frobenius = np.linalg.norm(A - (result.U * result.s) @ result.Vh) / np.linalg.norm(A)
        assert abs(result.error.value - frobenius) <= 1e-3 * frobenius + 50 * eps
        assert result.error.kind == "exact"


@may_be_poor
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("spectrum", ["exponential", "fast", "inverse_square", "exact_rank", "step"])
def test_eigenvalues_against_the_bound(spectrum: str, dtype: str) -> None:
    A, rank = hermitian(spectrum, 50, dtype, 3), 14
    result = rnla.eigh_by_row_extraction(A, rank, oversampling=0, rng=5)
    Q = sample(A, rank, 5)
    gap = np.linalg.norm(A - Q @ (Q.conj().T @ A), 2)
    size = np.linalg.norm(interpolation_of_rows(Q, Q.conj().T, rank)[1], 2)
    true = np.linalg.norm(A - (result.V * result.w) @ result.V.conj().T, 2)
    assert true <= (1 + size) ** 2 * gap + 1e-12
    assert np.linalg.norm(result.V.conj().T @ result.V - np.eye(rank)) <= 30 * 2.3e-16 * math.sqrt(rank)
    assert np.all(np.diff(np.abs(result.w)) <= 1e-12)


@may_be_poor
def test_against_the_transcription() -> None:
    """With the same Q and the same rows the factors are those of the paper's steps."""
    A = matrix("exponential", 40, 30, rng=1)
    Q = sample(A, 8, 7).real
    U, s, Vh, X = skeletons.svd_by_row_extraction(A, Q)
    J, ours = interpolation_of_rows(Q, Q.T, 8)
    assert set(J.tolist()) == set(skeletons.row_id(Q)[0])
    assert np.abs(ours[:, np.argsort(J)] - X[:, np.argsort(skeletons.row_id(Q)[0])]).max() < 1e-10
    result = rnla.svd_by_row_extraction(A, 8, oversampling=0, rng=7)
    assert np.allclose(result.s, s, rtol=1e-10)
    assert np.linalg.norm((result.U * result.s) @ result.Vh - (U * s) @ Vh) < 1e-11
    H = hermitian("exponential", 40, "float64", 2)
    Q = sample(H, 8, 7).real
    w, V, _ = skeletons.eigh_by_row_extraction(H, Q)
    other = rnla.eigh_by_row_extraction(H, 8, oversampling=0, rng=7)
    assert np.linalg.norm((other.V * other.w) @ other.V.T - (V * w) @ V.T) < 1e-11


def test_no_product_but_the_first() -> None:
    """The certificate apart: l columns forward, and for an operator l rows by unit vectors."""
    A = matrix("exponential", 60, 50, rng=1)
    result = rnla.svd_by_row_extraction(A, 6, rng=0)
    assert result.report.products == 16
    assert result.report.passes == 2  # one product, one residual
    implicit = rnla.svd_by_row_extraction(scipy.sparse.linalg.aslinearoperator(A), 6, rng=0)
    assert implicit.report.products == 16 + 16 + 30  # the sample, the rows, the probes of the certificate
    more = rnla.svd_by_row_extraction(A, 6, power_iterations=2, rng=0)
    assert more.error.value < result.error.value
    assert more.report.products == 5 * 16


@pytest.mark.parametrize("kind", ["sparse", "torch", "strict", "memmap", "huge"])
def test_other_kinds_of_matrix(kind: str, tmp_path: Any) -> None:
    A = hermitian("fast", 40, "float64", 4)
    given: Any = A
    if kind == "sparse":
        given = scipy.sparse.csr_array(A)
    elif kind == "torch":
        given = pytest.importorskip("torch").from_numpy(A.copy())
    elif kind == "strict":
        given = pytest.importorskip("array_api_strict").asarray(A.copy())
    elif kind == "memmap":
        np.save(tmp_path / "a.npy", A)
        given = np.load(tmp_path / "a.npy", mmap_mode="r")
    scale = 1e250 if kind == "huge" else 1.0
    given = given * scale if kind == "huge" else given
    result = rnla.svd_by_row_extraction(given, 8, rng=0)
    made = (to_host(result.U) * (to_host(result.s) / scale)) @ to_host(result.Vh)
    assert np.linalg.norm(A - made, 2) <= 3 * 0.5**8
    pair = rnla.eigh_by_row_extraction(given, 8, rng=0)
    made = (to_host(pair.V) * (to_host(pair.w) / scale)) @ to_host(pair.V).T
    assert np.linalg.norm(A - made, 2) <= 3 * 0.5**8
    assert type(result.U) is type(pair.V)
    if kind in {"torch", "strict"}:
        assert type(result.U) is type(given)


def test_what_cannot_be_used_is_refused() -> None:
    A = matrix("fast", 20, 15, rng=1)
    with pytest.raises(rnla.InputError, match="square"):
        rnla.eigh_by_row_extraction(A, 3)
    with pytest.raises(rnla.InputError, match="rank"):
        rnla.svd_by_row_extraction(A, 16)
    with pytest.raises(rnla.InputError, match="svd takes empty"):
        rnla.svd_by_row_extraction(np.zeros((0, 3)), 0)
    with pytest.raises(rnla.InputError, match="keeps no basis"):
        rnla.svd_by_row_extraction(A, 3, rng=0).extend(rank=5)
    assert rnla.svd_by_row_extraction(np.zeros((6, 5)), 2, rng=0).error.value == 0


def test_the_error_of_a_cut_is_never_below_the_truth() -> None:
    """The factors are no projection, so what a cut drops is not orthogonal to their residual: norms add."""
    A = matrix(0.8 ** np.arange(60.0), 90, 60, rng=5)
    H = matrix(0.8 ** np.arange(60.0), 60, 60, rng=6)
    H = H + H.T
    for result, M in ((rnla.svd_by_row_extraction(A, 8, rng=0), A), (rnla.eigh_by_row_extraction(H, 8, rng=0), H)):
        less = result.truncate(3)
        true = np.linalg.norm(M - less.as_operator().to_array()) / np.linalg.norm(M)
        assert less.error.kind == "bounded"
        assert true <= less.error.upper <= 2 * true + 2 * result.error.value


def test_an_answer_worse_than_none_warns() -> None:
    """A flat spectrum: the rows chosen know little of the rest, and the coefficients enlarge the error."""
    H = matrix(np.arange(1, 101.0) ** -0.5, 100, 100, rng=4)
    H = H + H.T
    with pytest.warns(rnla.AccuracyWarning, match="worse than none"):
        result = rnla.eigh_by_row_extraction(H, 12, rng=0)
    assert np.linalg.norm(H - result.as_operator().to_array()) > np.linalg.norm(H)
