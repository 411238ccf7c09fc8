"""Eigenpairs from one reading: signs and all, against the paper's core and against the truth."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import rnla
from rnla._xp.namespace import to_host
from rnla.rng import Key
from rnla.streaming import STREAM_METHODS
from rnla.testing.spectra import matrix
from tests.reference import halko2011_single_pass

N, RANK = 60, 4
HERMITIAN = sorted(name for name, method in STREAM_METHODS.items() if method.structure != "general")
GENERAL = sorted(set(STREAM_METHODS) - set(HERMITIAN))
DTYPES = [np.float32, np.float64, np.complex64, np.complex128]
Array = np.ndarray[Any, Any]


def hermitian(w: Any, dtype: Any = np.float64, n: int = N, seed: int = 1) -> Array:
    """Return V diag(w) V^H with random orthonormal V, Hermitian to the last bit."""
    wide = np.complex128 if np.dtype(dtype).kind == "c" else np.float64
    V = np.linalg.qr(Key(seed).normals(0, n, len(w), dtype=wide))[0]
    A = (V * np.asarray(w)) @ V.conj().T
    return np.asarray((A + A.conj().T) / 2).astype(dtype)


def alternating(dtype: Any = np.float64) -> Array:
    """Return an indefinite matrix of full rank: 2, -2, 1, -1, 0.5, -0.5 and a tail of both signs below 0.02."""
    tail = 0.02 * (-0.8) ** np.arange(N - 6)
    return hermitian([2.0, -2.0, 1.0, -1.0, 0.5, -0.5, *tail], dtype)


def definite(dtype: Any = np.float64) -> Array:
    return hermitian(0.6 ** np.arange(N), dtype)


def product(result: rnla.EighResult) -> Array:
    w, V = (to_host(x) for x in result)
    return np.asarray((V * w) @ V.conj().T)


def assert_well_formed(result: rnla.EighResult, A: Array) -> None:
    """Orthonormal to 30 eps sqrt(k), real and sorted values, and the true error under the bound (alarm 1e-4)."""
    w, V = result
    eps = np.finfo(A.dtype).eps
    assert V.dtype == A.dtype
    assert w.dtype == np.finfo(A.dtype).dtype
    assert (np.diff(np.abs(w)) <= 0).all()
    wide = V.astype(np.complex128)
    assert np.linalg.norm(wide.conj().T @ wide - np.eye(len(w))) <= 30 * eps * len(w) ** 0.5
    true = np.linalg.norm(A - product(result)) / np.linalg.norm(A)
    assert true <= result.error.upper + 10 * eps
    assert result.error.kind == "estimated"


# -------------------------------------------------------------------------------------------------- the pairs
@pytest.mark.parametrize("dtype", DTYPES)
def test_pairs_of_equal_modulus_keep_their_signs(dtype: Any) -> None:
    """Rank 6 fits in the basis, so what is left is rounding, amplified by the least squares (under 1e3 here)."""
    A = hermitian([3.0, -3.0, 2.0, -2.0, 1.0, -1.0], dtype)
    result = rnla.single_pass_eigh(A, 6, rng=3)
    assert_well_formed(result, A)
    eps = np.finfo(dtype).eps
    w, V = result
    assert np.abs(np.sort(w) - [-3, -2, -1, 1, 2, 3]).max() <= 1e3 * eps * 3
    assert np.linalg.norm(A @ V - V * w) <= 1e3 * eps * np.linalg.norm(A)
    assert np.linalg.norm(A - product(result)) <= 1e3 * eps * np.linalg.norm(A)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_indefinite_matrix_of_full_rank_keeps_its_signs(dtype: Any) -> None:
    """Weyl: the j-th eigenvalue, by order, is off by at most norm(A - approximation)_2; so signs cannot be wrong."""
    A = alternating(dtype)
    result = rnla.single_pass_eigh(A, 6, rng=3)
    assert_well_formed(result, A)
    gap = np.linalg.norm(A - product(result), 2)
    assert gap < 0.5
    w = np.sort(result.w)
    assert (np.sign(w) == [-1, -1, -1, 1, 1, 1]).all()
    assert np.abs(w - [-2, -1, -0.5, 0.5, 1, 2]).max() <= gap * (1 + 1e-5)
    assert (result.residuals() <= gap * (1 + 1e-5)).all()


@pytest.mark.parametrize("method", HERMITIAN)
def test_a_definite_matrix_has_no_negative_eigenvalues(method: str) -> None:
    A = definite()
    result = rnla.single_pass_eigh(A, RANK, method=STREAM_METHODS[method](), rng=3)
    assert_well_formed(result, A)
    assert (result.w > 0).all()
    if method == "nystrom_sketch":  # never above A, so by order none above its own either
        assert (result.w <= 0.6 ** np.arange(RANK) * (1 + 1e-12)).all()


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_the_pairs_are_those_of_the_paper_s_core(dtype: Any) -> None:
    """Algorithm 5.6, its Hermitian least squares solved as one dense system; its eigenpairs, by modulus."""
    A = alternating(dtype)
    run = rnla.stream(A.shape, RANK, method=rnla.HermitianSketch(k=12, basis=6), dtype=dtype, rng=3).update(A)
    Y, Omega = run.sketches["Y"], run.sketches.whole_map("Y", "columns")
    Q = np.linalg.svd(Y)[0][:, :6]
    w, z = np.linalg.eigh(halko2011_single_pass.hermitian_core(Q, Omega, Y))
    result = run.finish_eigh(6)
    np.testing.assert_allclose(np.sort(result.w), w, atol=1e-11)
    expected = (Q @ z * w) @ (Q @ z).conj().T
    assert np.linalg.norm(product(result) - expected) <= 1e-10 * np.linalg.norm(A)
    order = np.argsort(-np.abs(w))[:RANK]
    np.testing.assert_allclose(run.finish_eigh().w, w[order], atol=1e-11)


@pytest.mark.parametrize("method", HERMITIAN)
def test_moduli_errors_and_scree_are_those_of_the_svd(method: str) -> None:
    A = definite(np.complex128)
    run = rnla.stream(A.shape, RANK, method=STREAM_METHODS[method](), dtype=A.dtype, rng=3).update(A)
    pairs, triplets = run.finish_eigh(), run.finish()
    np.testing.assert_allclose(np.abs(pairs.w), triplets.s, rtol=1e-10)
    assert np.linalg.norm(product(pairs) - triplets.as_operator().to_array()) <= 1e-10 * np.linalg.norm(A)
    assert pairs.error.value == pytest.approx(triplets.error.value, rel=1e-8)
    assert pairs.error.upper == pytest.approx(triplets.error.upper, rel=1e-8)


def test_the_certificate_covers_the_truth_and_is_near_it() -> None:
    """25 draws: none above its bound (alarm 25e-4), and the mean square of the estimates within five of its errors.

    Each squared estimate has the relative standard deviation sqrt(2/q) at most, q = 10.
    """
    A = alternating()
    size, ratios = np.linalg.norm(A), []
    for seed in range(25):
        result = rnla.single_pass_eigh(A, RANK, rng=seed)
        true = np.linalg.norm(A - product(result)) / size
        assert true <= result.error.upper
        ratios.append((result.error.value / true) ** 2)
    assert abs(np.mean(ratios) - 1) <= 5 * (2 / 10 / 25) ** 0.5


# --------------------------------------------------------------------------------------------- what it is read by
def test_one_pass_is_counted(tmp_path: Path) -> None:
    A = alternating()
    np.save(tmp_path / "A.npy", A)
    whole = rnla.single_pass_eigh(A, RANK, rng=3)
    assert (whole.report.passes, whole.report.scans) == (1, 1)
    sources = {
        "memmap": np.load(tmp_path / "A.npy", mmap_mode="r"),
        "sparse": scipy.sparse.csr_array(A),
        "operator": scipy.sparse.linalg.aslinearoperator(A),
        "forward only": scipy.sparse.linalg.LinearOperator(A.shape, matvec=A.dot, matmat=A.dot, dtype=A.dtype),
    }
    for name, source in sources.items():
        result = rnla.single_pass_eigh(source, RANK, rng=3)
        assert result.report.passes == 1, name
        assert result.report.scans == (2 if name == "sparse" else 0), name
        np.testing.assert_allclose(np.sort(result.w), np.sort(whole.w), rtol=1e-9)
        assert np.linalg.norm(product(result) - product(whole)) <= 1e-8


@pytest.mark.parametrize("method", HERMITIAN)
def test_it_is_what_a_stream_gives(method: str) -> None:
    A = definite()
    run = rnla.stream(A.shape, RANK, method=STREAM_METHODS[method](), rng=3)
    streamed = run.update_rows(25, A[25:]).update_rows(0, A[:25]).finish_eigh()
    result = rnla.single_pass_eigh(A, RANK, method=STREAM_METHODS[method](), rng=3)
    np.testing.assert_allclose(result.w, streamed.w, rtol=1e-10)
    assert np.linalg.norm(product(result) - product(streamed)) <= 1e-10
    assert streamed.report.passes == 1
    assert "2 updates" in streamed.report.notes[0]
    assert (run.update(0 * A).finish_eigh().w == streamed.w).all()  # and the stream goes on


@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
@pytest.mark.parametrize("method", HERMITIAN)
def test_factors_come_home(library: str, method: str) -> None:
    xp = pytest.importorskip(library)
    A = definite(np.complex64)
    there = xp.asarray(A)
    result = rnla.single_pass_eigh(there, RANK, method=STREAM_METHODS[method](), rng=3)
    assert type(result.w) is type(result.V) is type(there)
    assert result.V.dtype == xp.complex64
    assert result.w.dtype == xp.float32
    host = rnla.single_pass_eigh(A, RANK, method=STREAM_METHODS[method](), rng=3)
    np.testing.assert_allclose(to_host(result.w), host.w, atol=1e-4)


def test_the_same_seed_gives_the_same_bits_and_a_input_is_left_alone() -> None:
    A = alternating()
    B = A.copy()
    one, two = rnla.single_pass_eigh(B, RANK, rng=3), rnla.single_pass_eigh(B, RANK, rng=3)
    assert all((x == y).all() for x, y in zip(one, two, strict=True))
    assert (A == B).all()
    assert (rnla.single_pass_eigh(A, RANK, method=None, rng=one.report.seed).w == one.w).all()


# ------------------------------------------------------------------------------------------------- what is asked
def test_a_tolerance_is_met_by_the_smallest_rank_or_missed_aloud() -> None:
    A = alternating()
    result = rnla.single_pass_eigh(A, 8, tol=0.5, error_columns=30, rng=3)
    assert result.error.upper <= 0.5
    assert 1 <= result.rank < 8
    run = rnla.stream(A.shape, 8, method=rnla.HermitianSketch(), error_columns=30, rng=3).update(A)
    met = run.finish_eigh(tol=0.5)
    assert met.error.upper <= 0.5
    assert met.rank == run.finish(tol=0.5).rank >= result.rank  # a stream has the norm of A as an estimate only
    with pytest.raises(rnla.ToleranceNotMet, match="cannot be read again") as caught:
        rnla.single_pass_eigh(A, 3, tol=1e-3, rng=3)
    assert isinstance(caught.value.result, rnla.EighResult)
    with pytest.raises(rnla.ToleranceNotMet, match="cannot be read again"):
        run.finish_eigh(2, tol=0.1)
    missed = rnla.single_pass_eigh(A, 3, tol=1e-3, rng=3, on_failure="return")
    assert missed.status is rnla.Status.RANK_CAP
    assert run.finish_eigh(2, tol=0.1, on_failure="return").status is rnla.Status.RANK_CAP


def test_storage_sets_the_sizes() -> None:
    A = alternating()
    result = rnla.single_pass_eigh(A, RANK, storage=40 * N, rng=3)
    assert result.report.products == 40
    assert_well_formed(result, A)


@pytest.mark.parametrize("method", GENERAL)
def test_methods_that_are_not_for_hermitian_matrices_are_refused(method: str) -> None:
    A, part = alternating(), STREAM_METHODS[method]()
    with pytest.raises(rnla.InputError, match=f"{type(part).__name__} makes no Hermitian.*single_pass_svd"):
        rnla.single_pass_eigh(A, RANK, method=part)
    run = rnla.stream(A.shape, RANK, method=part, rng=3).update(A)
    with pytest.raises(rnla.InputError, match=f"{type(part).__name__} makes no Hermitian.*single_pass_svd"):
        run.finish_eigh()


def test_what_cannot_be_used_is_refused_before_the_work() -> None:
    A = alternating()
    assert inspect.signature(rnla.single_pass_eigh).parameters["method"].default == rnla.HermitianSketch()
    with pytest.raises(rnla.InputError, match="square"):
        rnla.single_pass_eigh(matrix("inverse", 30, 20, rng=0), RANK)
    with pytest.raises(rnla.InputError, match="empty"):
        rnla.single_pass_eigh(np.zeros((0, 0)), 1)
    with pytest.raises(rnla.InputError, match="larger than"):
        rnla.single_pass_eigh(A, N + 1)
    bad = np.full((N, N), np.nan)  # would be refused as soon as it was read
    with pytest.raises(rnla.InputError, match="on_failure"):
        rnla.single_pass_eigh(bad, RANK, on_failure="ignore")
    with pytest.raises(rnla.InputError, match="tol"):
        rnla.single_pass_eigh(bad, RANK, tol=-1.0)
    with pytest.raises(rnla.DTypeError, match="HermitianSketch"):
        rnla.single_pass_eigh(A, RANK, method="hermitian")
    with pytest.raises(rnla.NonFiniteError):
        rnla.single_pass_eigh(np.where(A[3, 3] == A, np.nan, A), RANK)
    with pytest.raises(rnla.InputError, match=r"negative eigenvalues.*HermitianSketch"):
        rnla.single_pass_eigh(A, RANK, method=rnla.NystromSketch(), rng=3)
    with pytest.raises(rnla.InputError, match="larger rank or storage"):
        rnla.stream(A.shape, RANK, method=rnla.HermitianSketch(), rng=3).update(A).finish_eigh(30)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_matrix_that_is_not_hermitian_is_refused_wherever_it_lies(dtype: Any) -> None:
    """In memory by its entries; elsewhere by Omega^H A Omega, which then is not Hermitian either."""
    A = alternating(dtype)
    A[3, 5] += 1
    with pytest.raises(rnla.InputError, match=r"entry \(3, 5\)"):
        rnla.single_pass_eigh(A, RANK, rng=3)
    for call in (
        lambda: rnla.single_pass_eigh(scipy.sparse.linalg.aslinearoperator(A), RANK, rng=3),
        lambda: rnla.stream(A.shape, RANK, method=rnla.HermitianSketch(), dtype=dtype, rng=3).update(A).finish_eigh(),
        lambda: rnla.single_pass_svd(A, RANK, method=rnla.HermitianSketch(), rng=3),
    ):
        with pytest.raises(rnla.InputError, match="not Hermitian, which HermitianSketch needs"):
            call()


# ------------------------------------------------------------------------------------------------ what comes out
def test_a_result_is_printed_saved_truncated_and_not_extended(tmp_path: Path) -> None:
    A = alternating()
    result = rnla.single_pass_eigh(A, RANK, rng=3)
    assert "HermitianSketch" in str(result)
    assert "error sketch" in str(result)
    with pytest.raises(rnla.InputError, match="cannot be read again"):
        result.extend(rank=6)
    streamed = rnla.stream(A.shape, RANK, method=rnla.HermitianSketch(), rng=3).update(A).finish_eigh()
    with pytest.raises(rnla.InputError, match="cannot be read again"):
        streamed.extend(rank=6)
    for made in (result, streamed):
        made.save(tmp_path / "result.npz")
        back = rnla.load(tmp_path / "result.npz")
        assert type(back) is rnla.EighResult
        assert (back.w == made.w).all()
        assert (back.V == made.V).all()
        assert back.error == made.error
        assert str(back) == str(made)
    small = result.truncate(2)
    assert np.linalg.norm(A - product(small)) <= small.error.upper * np.linalg.norm(A)


@pytest.mark.parametrize("method", HERMITIAN)
def test_a_matrix_of_zeros_and_one_of_lower_rank(method: str) -> None:
    """Past the rank the values are rounding: of 61 products a norm, under 1e3 eps after the least squares."""
    part = STREAM_METHODS[method]()
    with pytest.warns(rnla.RnlaWarning, match="the eigenvalues past it"):
        result = rnla.single_pass_eigh(np.zeros((N, N)), RANK, method=part, rng=3)
    assert result.w.tolist() == [0.0] * RANK
    assert not np.signbit(result.w).any()
    assert result.error.value == result.error.upper == 0
    A = hermitian([2.0])
    with pytest.warns(rnla.RankWarning, match="numerical rank 1"):
        result = rnla.single_pass_eigh(A, RANK, method=part, rng=3)
    assert_well_formed(result, A)
    assert abs(result.w[0] - 2) <= 1e3 * np.finfo(float).eps
    assert np.abs(result.w[1:]).max() <= 1e3 * np.finfo(float).eps
