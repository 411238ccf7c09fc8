"""The matrices of the benchmarks have the singular values that answers are judged by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from benchmarks import cases

EPS = float(np.finfo(np.float64).eps)


def full(a: object) -> np.ndarray:
    return a.toarray() if scipy.sparse.issparse(a) else np.asarray(a)


@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize("spectrum", cases.SPECTRA)
@pytest.mark.parametrize("name", [name for name, case in cases.CASES.items() if case.dense])
def test_a_dense_case_has_its_singular_values(name: str, spectrum: str, dtype: str) -> None:
    """Rounding to the dtype moves each value by at most the norm of what was rounded off (Weyl)."""
    matrix = cases.CASES[name].make(True, spectrum, dtype, 8)
    found = np.linalg.svd(matrix.A.astype(float), compute_uv=False)
    assert matrix.A.dtype == dtype
    assert np.max(np.abs(found - matrix.s)) <= float(np.finfo(dtype).eps) * matrix.norm + 100 * EPS
    assert matrix.optimum(8) == pytest.approx(np.linalg.norm(matrix.s[8:]))
    assert np.array_equal(matrix.A, cases.CASES[name].make(True, spectrum, dtype, 8).A)


@pytest.mark.parametrize("name", [name for name, case in cases.CASES.items() if not case.dense])
def test_a_sparse_case_has_its_singular_values(name: str) -> None:
    matrix = cases.CASES[name].make(True, "slow", "float64", 8)
    found = np.linalg.svd(full(matrix.A), compute_uv=False)
    assert np.max(np.abs(found[:8] - matrix.s)) <= 1e3 * EPS * found[0]
    assert matrix.optimum(8) == pytest.approx(np.linalg.norm(found[8:]))


@pytest.mark.parametrize("definite", [False, True])
def test_a_symmetric_matrix_has_its_eigenvalues(definite: bool) -> None:
    matrix = cases.symmetric(80, "fast", definite=definite)
    assert np.array_equal(matrix.A, matrix.A.T)
    found = np.linalg.eigvalsh(matrix.A)
    assert np.allclose(np.sort(np.abs(found))[::-1], matrix.s, rtol=0, atol=100 * EPS)
    assert (np.count_nonzero(found < -0.1) == 0) == definite


def test_a_mapped_file_has_its_singular_values(tmp_path: Path) -> None:
    s = cases.mapped(tmp_path / "A.npy", 8e-3, columns=40)
    a = np.load(tmp_path / "A.npy", mmap_mode="r")
    assert a.shape == (25_000, 40) or a.nbytes == pytest.approx(8e6, rel=0.4)
    assert np.allclose(np.linalg.svd(a, compute_uv=False), s, rtol=0, atol=100 * EPS)
    assert np.array_equal(np.concatenate(list(cases.row_blocks(a, 7000))), a)


def test_kernel_points_spread() -> None:
    x, gamma = cases.kernel_points(True)
    assert x.shape == (600, 8)
    assert gamma > 0
    assert np.count_nonzero(np.linalg.norm(x, axis=1) > 3) == pytest.approx(30, abs=6)


@pytest.mark.parametrize("name", ["tall", "sparse6"])
def test_a_stored_matrix_comes_back(name: str, tmp_path: Path) -> None:
    matrix = cases.CASES[name].make(True, "slow", "float64", 8)
    cases.store(matrix, tmp_path)
    back = cases.load(tmp_path)
    assert np.array_equal(full(back.A), full(matrix.A))
    assert np.array_equal(back.s, matrix.s)
    assert back.norm == matrix.norm


@pytest.mark.parametrize("name", ["wide", "sparse7"])
def test_the_judge_tells_by_how_much_an_answer_is_off(name: str) -> None:
    """The best answer has no excess; one that lacks its last triplet has that of the rank below."""
    matrix = cases.CASES[name].make(True, "slow", "float64", 8)
    U, s, Vh = np.linalg.svd(full(matrix.A), full_matrices=False)
    excess, value = cases.judge(matrix, 8, U, s, Vh)
    assert abs(excess) < 1e-12
    assert value < 1e-12
    less = s.copy()
    less[7] = 0
    excess, value = cases.judge(matrix, 8, U, less, Vh)
    assert excess == pytest.approx(np.linalg.norm(s[7:]) / np.linalg.norm(s[8:]) - 1, abs=1e-10)
    assert value == 1
    assert cases.judge(matrix, 8, U, s * 1.01, Vh)[1] == pytest.approx(0.01)
