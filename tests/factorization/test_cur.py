"""CUR: actual rows and columns, a core that is solved for and not inverted, a certificate that holds the rounding."""

from __future__ import annotations

import dataclasses
import math
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import rnla
from rnla._xp.namespace import to_host
from rnla.results.stored_parts import SparsePart
from rnla.testing import SPECTRA, matrix, optimal_error
from tests.reference import skeletons

Array = np.ndarray[Any, Any]
DTYPES = ["float32", "float64", "complex64", "complex128"]


def eps_of(dtype: Any) -> float:
    return float(np.finfo(dtype).eps)


def quiet(function: Any, *args: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rnla.RankWarning)
        return function(*args, **options)


def dense(x: Any) -> Array:
    return x.toarray() if scipy.sparse.issparse(x) else to_host(x)


def check(result: Any, A: Array) -> float:
    """Hold a result to its definition and its certificate; return the true Frobenius error of the product."""
    C, U, R = (dense(part) for part in result)
    columns, rows = to_host(result.columns), to_host(result.rows)
    assert result.fits()
    assert np.array_equal(C, A[:, columns])
    assert np.array_equal(R, A[rows])
    true = float(np.linalg.norm(A - (C @ U) @ R))
    other = float(np.linalg.norm(A - C @ (U @ R)))
    whole, eps = float(np.linalg.norm(A)), eps_of(A.dtype)
    if result.error.norm == "fro" and result.error.kind == "exact":
        # Whatever the order of the sums, and in exact arithmetic.
        wide = np.clongdouble if A.dtype.kind == "c" else np.longdouble
        exact = float(np.linalg.norm((A - (C.astype(wide) @ U.astype(wide)) @ R.astype(wide)).astype(C.dtype)))
        for found in (true, other, exact):
            assert found <= (result.error.upper + 8 * eps) * whole
        squares = 50 * eps * whole**2
        assert result.error.absolute**2 <= (1.01 * true) ** 2 + squares
    return true


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spectrum", sorted(SPECTRA))
def test_every_spectrum_and_dtype(spectrum: str, dtype: str) -> None:
    """The error is at most that of the two interpolations together, each within 1.5 of strong rank-revealing QR."""
    eps = eps_of(dtype)
    for m, n, k in ((60, 50, 8), (40, 90, 8), (90, 40, 4)):
        A = matrix(spectrum, m, n, dtype=dtype, rng=3)
        rank = 3 if spectrum == "exact_rank" else k  # the oracle inverts what it chose
        wide = A.astype(np.complex128 if A.dtype.kind == "c" else np.float64)
        sides = [
            skeletons.column_error(B, skeletons.strong_rrqr(B, rank)[0])
            for B in (wide, np.ascontiguousarray(wide.conj().T))
        ]
        for method in (None, rnla.SubspaceIteration()):
            result = quiet(rnla.cur, A, rank, method=method, rng=1)
            assert result.rank == rank
            # What U cannot hold: the root of eps, times ten, of the norm (measured below 4e-8 in double precision).
            assert check(result, A) <= 1.5 * math.hypot(*sides) + 10 * math.sqrt(eps) * np.linalg.norm(wide)


def test_the_core_is_the_best_for_its_rows_and_columns() -> None:
    A = matrix("exponential", 50, 40, rng=7)
    result = rnla.cur(A, 9, rng=0)
    best = np.linalg.pinv(result.C) @ A @ np.linalg.pinv(result.R)
    assert np.linalg.norm(result.U - best) <= 1e-10 * np.linalg.norm(best)


def test_a_core_that_cannot_be_stable_is_cut_and_says_so() -> None:
    """With s_k at 1e-12 an inverse of the triangles would lose eps / 1e-12; the cut core loses the root of eps."""
    A = matrix("fast", 90, 80, rng=1)
    result = rnla.cur(A, 40, rng=0)
    true = check(result, A)
    whole = np.linalg.norm(A)
    assert true <= 20 * math.sqrt(eps_of(A.dtype)) * whole
    assert any("the core uses" in note for note in result.report.notes)
    C, R = np.linalg.qr(result.C), np.linalg.qr(result.R.T)
    naive = np.linalg.inv(C[1]) @ (C[0].T @ A @ R[0]) @ np.linalg.inv(R[1]).T
    assert np.linalg.norm(A - result.C @ naive @ result.R) > 100 * true
    with pytest.raises(rnla.ToleranceNotMet):
        rnla.cur(A, tol=1e-12, rng=0)


@pytest.mark.parametrize("norm", ["fro", "spectral"])
@pytest.mark.parametrize("tol", [0.3, 1e-2, 1e-5])
def test_a_tolerance_is_met(norm: str, tol: float) -> None:
    for spectrum in ("exponential", "fast", "inverse_square", "clustered"):
        A = matrix(spectrum, 60, 45, rng=1)
        result = rnla.cur(A, tol=tol, norm=norm, rng=4)
        check(result, A)
        order = {"fro": "fro", "spectral": 2}[norm]
        assert np.linalg.norm(A - result.C @ result.U @ result.R, order) <= tol * np.linalg.norm(A, order)
        assert result.error.meets(tol)


@pytest.mark.parametrize("kind", ["csr", "csc_matrix", "coo", "memmap", "operator", "torch", "strict", "list"])
@pytest.mark.parametrize("asked", [{"rank": 8}, {"tol": 0.05}])
def test_every_kind_of_matrix(kind: str, asked: dict[str, Any], tmp_path: Path) -> None:
    dtype = "complex64" if kind in {"csr", "memmap", "torch"} else "float64"
    A = matrix("inverse_square", 60, 45, dtype=dtype, rng=5)
    if kind in {"csr", "csc_matrix", "coo"}:
        A = np.where(np.abs(A) > np.quantile(np.abs(A), 0.7), A, 0)
    given: Any = A
    if kind == "csr":
        given = scipy.sparse.csr_array(A)
    elif kind == "csc_matrix":
        given = scipy.sparse.csc_matrix(A)
    elif kind == "coo":
        given = scipy.sparse.coo_array(A)
    elif kind == "memmap":
        np.save(tmp_path / "a.npy", A)
        given = np.load(tmp_path / "a.npy", mmap_mode="r")
    elif kind == "operator":
        given = scipy.sparse.linalg.aslinearoperator(A)
    elif kind == "torch":
        given = pytest.importorskip("torch").from_numpy(A.copy())
    elif kind == "strict":
        library = pytest.importorskip("array_api_strict")
        given = library.asarray(A.copy(), device=library.Device("device1"))
    elif kind == "list":
        given = A.tolist()
    result = rnla.cur(given, **asked, rng=2)
    true = check(result, A)
    if "tol" in asked:
        assert true <= 0.05 * np.linalg.norm(A)
    if kind in {"torch", "strict"}:
        assert all(type(part) is type(given) and part.device == given.device for part in result)
    if scipy.sparse.issparse(given):
        for own in (result.C, result.R):
            assert type(own) is type(given)
            assert own.format == given.format
    made = dense(result.as_operator().to_array())
    assert np.linalg.norm(made - dense(result.C) @ to_host(result.U) @ dense(result.R)) <= 1e-4 * np.linalg.norm(A)


@pytest.mark.parametrize(
    "A",
    [
        np.zeros((6, 4)), np.zeros((4, 6)), np.ones((1, 1)), np.zeros((1, 1)), np.ones((1, 7)), np.ones((7, 1)),
        np.repeat(np.arange(12.0).reshape(6, 2), 4, axis=1), np.diag([1.0, 0.0, 2.0, 0.0, 3.0]),
        np.arange(1.0, 26).reshape(5, 5) * 1e200, np.arange(1.0, 16).reshape(5, 3) * 1e-250,
    ],
    ids=["zero", "zero wide", "one", "one zero", "row", "column", "repeated", "zero columns", "huge", "tiny"],
)  # fmt: skip
def test_degenerate_matrices(A: Array) -> None:
    size = float(np.abs(A).max()) or 1.0
    values = np.linalg.svd(A / size, compute_uv=False)
    for rank in range(min(A.shape) + 1):
        result = quiet(rnla.cur, A, rank, rng=0)
        assert result.fits()
        assert np.all(np.isfinite(result.U))
        made = (result.C / size) @ (result.U * size) @ (result.R / size)
        assert np.linalg.norm(made - A / size) <= 3 * math.sqrt(1 + rank) * optimal_error(values, rank) + 1e-13
        assert np.array_equal(result.C, A[:, result.columns])
        assert np.array_equal(result.R, A[result.rows])
    assert rnla.cur(A, tol=1e-8, rng=0).rank == np.count_nonzero(values > 1e-12)


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0)])
def test_empty_matrices(shape: tuple[int, int]) -> None:
    result = rnla.cur(np.zeros(shape, dtype=np.float32), 0)
    assert result.rank == 0
    assert result.fits()
    assert result.as_operator().to_array().shape == shape


def test_a_result_extends_saves_and_travels(tmp_path: Path) -> None:
    A = matrix("inverse", 70, 50, rng=2)
    few = rnla.cur(A, 5, method=rnla.SubspaceIteration(), rng=3)
    more = few.extend(rank=15)
    assert more.rank == 15
    assert check(more, A) <= check(few, A)
    assert set(few.columns.tolist()) <= set(more.columns.tolist())
    assert set(few.rows.tolist()) <= set(more.rows.tolist())
    few.save(tmp_path / "result.npz")
    loaded = rnla.load(tmp_path / "result.npz")
    for one, other in zip(few, loaded, strict=True):
        assert np.array_equal(one, other)
    check(loaded.extend(rank=9, A=A), A)
    for one, other in zip(few, pickle.loads(pickle.dumps(few)), strict=True):
        assert np.array_equal(one, other)
    assert str(few).splitlines()[0] == "CUR"


@pytest.mark.parametrize("selection", ["random_pivoted_qr", "adaptive_randomized_pivoting", "leverage_scores"])
def test_other_selections(selection: str) -> None:
    A = matrix("exponential", 70, 60, rng=9)
    for seed in range(3):
        # Two interpolations, each as `test_other_selections_are_interpolations_too` allows it.
        true = check(rnla.cur(A, 10, selection=selection, rng=seed), A)
        assert true <= 10 * math.sqrt(22) * optimal_error(0.9 ** np.arange(60), 10)


@pytest.mark.parametrize("make", [scipy.sparse.csr_array, scipy.sparse.csc_matrix, scipy.sparse.coo_array])
def test_sparse_rows_and_columns_are_saved_as_they_are(make: Any, tmp_path: Path) -> None:
    A = matrix("inverse_square", 60, 45, dtype="complex64", rng=5)
    given = make(np.where(np.abs(A) > np.quantile(np.abs(A), 0.7), A, 0))
    for name, result in (("cur", rnla.cur(given, 6, rng=0)), ("id", rnla.interpolative(given, 6, rng=0))):
        result.save(tmp_path / name)
        loaded = rnla.load(tmp_path / name)
        assert type(loaded.C) is type(given)
        assert loaded.C.format == given.format
        assert np.array_equal(loaded.C.toarray(), result.C.toarray())
        assert loaded.extend(rank=8, A=given).rank == 8


def test_the_selection_is_saved_and_used_again(tmp_path: Path) -> None:
    A = matrix("inverse", 50, 40, rng=2)
    part = rnla.RandomlyPivotedQR(block_size=3)
    few = rnla.cur(A, 4, selection=part, rng=1)
    few.save(tmp_path / "r")
    loaded = rnla.load(tmp_path / "r")
    assert loaded.resume.request["selection"] == part
    assert np.array_equal(loaded.extend(rank=7, A=A).columns, few.extend(rank=7).columns)


def test_a_damaged_sparse_part_is_refused() -> None:
    whole = SparsePart.of(scipy.sparse.csr_array(np.eye(3)))
    assert np.array_equal(whole.matrix().toarray(), np.eye(3))
    for damage in (
        {"indices": np.array([0, 1, 7])}, {"indptr": np.array([0, 2, 1, 3])}, {"kind": "tensor"}, {"order": "lil"},
    ):  # fmt: skip
        with pytest.raises((rnla.IntegrityError, ValueError)):
            dataclasses.replace(whole, **damage).matrix()


def test_the_certificate_holds_whatever_the_order_of_the_sums() -> None:
    """Rounding in U is what is left where the kept singular values are at 1e-4 in single precision; 40 matrices."""
    for seed in range(40):
        A = matrix("noise_1e-4", 19, 5, dtype="float32", rng=seed)
        assert check(rnla.cur(A, 4, rng=1), A) > 0
        assert check(rnla.cur(A * np.float32(1e14), 4, rng=1), A * np.float32(1e14)) > 0


def test_a_core_out_of_range_is_told_which_way_to_scale() -> None:
    with pytest.raises(rnla.NonFiniteError, match="scale A up first"):
        rnla.cur(np.full((4, 3), 5e-324), 1, rng=0)
