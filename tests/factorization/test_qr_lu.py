"""Low-rank pivoted QR and LU: exact factorizations of the certified truncated SVD, for every kind of matrix."""

from __future__ import annotations

import math
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

import rnla
from rnla._xp.namespace import to_host
from rnla._xp.pivoting import pivoted_lu, pivoted_qr, pivots_of_columns, solve_triangular
from rnla.testing import SPECTRA, matrix, optimal_error

Array = np.ndarray[Any, Any]
DTYPES = ["float32", "float64", "complex64", "complex128"]
SHAPES = {"tall": (90, 40), "wide": (40, 90), "square": (50, 50)}


def eps_of(dtype: Any) -> float:
    return float(np.finfo(dtype).eps)


def quiet(function: Any, *args: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rnla.RankWarning)
        return function(*args, **options)


def wide(x: Any) -> Array:
    x = to_host(x)
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


def check_qr(result: Any, A: Array, values: Array) -> None:
    """Hold a QR result to its shape, its orthonormality, its certificate and the optimum."""
    Q, R, pivots = wide(result.Q), wide(result.R), to_host(result.pivots)
    eps, k = eps_of(A.dtype), result.rank
    assert result.fits()
    assert np.linalg.norm(Q.conj().T @ Q - np.eye(k)) <= 30 * eps * math.sqrt(max(k, 1))
    assert np.all(np.tril(R[:, :k], -1) == 0)
    diagonal = np.diagonal(R)
    assert np.all(diagonal.imag == 0)
    assert np.all(diagonal.real >= 0)
    assert np.all(np.diff(diagonal.real) <= 20 * eps * values[0])
    check_error(result, wide(A)[:, pivots] - Q @ R, values, eps)
    back = wide(result.as_operator().to_array())
    assert np.abs(back[:, pivots] - Q @ R).max(initial=0) <= 20 * eps * values[0]


def check_lu(result: Any, A: Array, values: Array) -> None:
    """Hold an LU result to its shape, its bounded entries, its certificate and the optimum."""
    L, U = wide(result.L), wide(result.U)
    rows, columns = to_host(result.row_pivots), to_host(result.column_pivots)
    eps, k = eps_of(A.dtype), result.rank
    assert result.fits()
    assert np.all(np.triu(L[:k], 1) == 0)
    assert np.all(np.diagonal(L) == 1)
    assert np.abs(L).max(initial=0) <= math.sqrt(2) * (1 + 8 * eps)
    assert np.all(np.tril(U[:, :k], -1) == 0)
    check_error(result, wide(A)[rows][:, columns] - L @ U, values, eps)
    back = wide(result.as_operator().to_array())
    assert np.abs(back[rows][:, columns] - L @ U).max(initial=0) <= 20 * eps * values[0]


def check_error(result: Any, residual: Array, values: Array, eps: float) -> None:
    whole = float(np.linalg.norm(values))
    true = float(np.linalg.norm(residual))
    slack = 50 * eps * whole
    # 1.03: the bar of the defaults is 1.01 of the optimum on the twelve spectra; a little more for these small sizes.
    assert true <= 1.03 * optimal_error(values, result.rank) + slack
    upper = result.error.value if math.isnan(result.error.upper) else result.error.upper
    assert true <= (upper + 8 * np.nan_to_num(result.error.standard_error) + 8 * eps) * whole


CHECKS = {"qr": check_qr, "lu": check_lu}
both = pytest.mark.parametrize("name", CHECKS)


@both
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spectrum", sorted(SPECTRA))
def test_every_spectrum(name: str, spectrum: str, dtype: str) -> None:
    for shape in SHAPES.values():
        A = matrix(spectrum, *shape, dtype=dtype, rng=3)
        values = np.linalg.svd(wide(A), compute_uv=False)
        for method in (None, rnla.SubspaceIteration(power_iterations=3)):
            result = quiet(getattr(rnla, name), A, 9, method=method, rng=1)
            assert result.rank == 9
            CHECKS[name](result, A, values)


@both
@pytest.mark.parametrize("kind", ["sparse", "memmap", "operator", "torch", "strict", "list"])
@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_every_kind_of_matrix(name: str, kind: str, dtype: str, tmp_path: Path) -> None:
    A = matrix("inverse_square", 60, 45, dtype=dtype, rng=5)
    if kind == "sparse":
        A = np.where(np.abs(A) > np.quantile(np.abs(A), 0.7), A, 0)
    given: Any = A
    if kind == "sparse":
        given = scipy.sparse.csc_array(A)
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
        A = np.asarray(given)
    values = np.linalg.svd(wide(A), compute_uv=False)
    result = getattr(rnla, name)(given, 8, power_iterations=4, rng=2)
    CHECKS[name](result, A, values)
    if kind in {"torch", "strict"}:
        assert all(type(part) is type(given) and part.device == given.device for part in result)


@both
@pytest.mark.parametrize(
    "A",
    [
        np.zeros((6, 4)), np.zeros((4, 6)), np.ones((1, 1)), np.zeros((1, 1)), np.ones((1, 7)), np.ones((7, 1)),
        np.repeat(np.arange(12.0).reshape(6, 2), 4, axis=1), np.diag([1.0, 0.0, 2.0, 0.0, 3.0]),
        np.full((5, 5), 1e200), np.full((5, 3), 1e-250),
    ],
    ids=["zero", "zero wide", "one", "one zero", "row", "column", "repeated", "zero columns", "huge", "tiny"],
)  # fmt: skip
def test_degenerate_matrices(name: str, A: Array) -> None:
    size = float(np.abs(A).max()) or 1.0
    values = np.linalg.svd(A / size, compute_uv=False)
    for rank in range(min(A.shape) + 1):
        result = quiet(getattr(rnla, name), A, rank, rng=0)
        scaled = result.as_operator()
        fields = {"qr": "R", "lu": "U"}[name]
        assert np.all(np.isfinite(getattr(result, fields)))
        assert np.linalg.norm(scaled.to_array() / size - A / size) <= optimal_error(values, rank) + 1e-13
        assert result.fits()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_diagonal_is_not_negative_where_it_is_rounding(dtype: str) -> None:
    """Columns that stand five times each: past rank 3 the diagonal of R is 1e-16 and less, of either sign."""
    for seed in range(3):
        A = np.repeat(matrix("inverse", 30, 3, dtype=dtype, rng=seed), 5, axis=1)
        check_qr(quiet(rnla.qr, A, 15, rng=0), A, np.linalg.svd(wide(A), compute_uv=False))


@both
@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0)])
def test_empty_matrices(name: str, shape: tuple[int, int]) -> None:
    result = getattr(rnla, name)(np.zeros(shape, dtype=np.float32), 0)
    assert result.rank == 0
    assert result.as_operator().to_array().shape == shape
    assert next(iter(result)).dtype == np.float32


@both
@pytest.mark.parametrize("norm", ["fro", "spectral"])
@pytest.mark.parametrize("tol", [0.3, 1e-2, 1e-5])
def test_a_tolerance_is_met(name: str, norm: str, tol: float) -> None:
    A = matrix("exponential", 80, 60, rng=7)
    result = getattr(rnla, name)(A, tol=tol, norm=norm, rng=1)
    order = {"fro": "fro", "spectral": 2}[norm]
    true = np.linalg.norm(A - result.as_operator().to_array(), order) / np.linalg.norm(A, order)
    assert true <= tol
    assert result.error.meets(tol)


@both
def test_a_result_extends_saves_and_travels(name: str, tmp_path: Path) -> None:
    A = matrix("inverse", 70, 50, rng=2)
    values = 1 / np.arange(1.0, 51)
    few = getattr(rnla, name)(A, 5, method=rnla.SubspaceIteration(), rng=3)
    more = few.extend(rank=15)
    assert more.rank == 15
    assert more.error.value < few.error.value
    CHECKS[name](more, A, values)
    with pytest.raises(rnla.InputError, match="call the function again"):
        more.extend(rank=3)
    few.save(tmp_path / "result.npz")
    loaded = rnla.load(tmp_path / "result.npz")
    assert type(loaded) is type(few)
    for one, other in zip(few, loaded, strict=True):
        assert np.array_equal(one, other)
    CHECKS[name](loaded.extend(rank=12, A=A), A, values)
    for one, other in zip(few, pickle.loads(pickle.dumps(few)), strict=True):
        assert np.array_equal(one, other)
    assert str(few).splitlines()[0] == few.title


def test_the_diagonal_reveals_the_rank_as_lapack_does() -> None:
    """Against geqp3 on the matrix itself: diagonals within a factor of two, and the same ones at full rank.

    Both follow the singular values within small factors; where the truncated part of the spectrum is small the two
    see the same columns, so the ratio of the diagonals is near 1 and 2 leaves room for other choices between ties.
    """
    for spectrum in ("exponential", "fast", "inverse_square", "clustered", "noise_1e-4"):
        A = matrix(spectrum, 80, 60, rng=11)
        result = rnla.qr(A, 12, rng=0)
        r, lapack = scipy.linalg.qr(A, mode="r", pivoting=True)
        ratio = np.diagonal(result.R)[:10] / np.abs(np.diagonal(r))[:10]
        if spectrum == "noise_1e-4":  # six singular values, then noise: past them other columns are as good
            ratio = ratio[:6]
        assert np.all((ratio > 0.5) & (ratio < 2)), spectrum
        whole = quiet(rnla.qr, A, 60, rng=0)  # the same matrix in another orthonormal basis: LAPACK's own pivots
        kept = np.abs(np.diagonal(r)) > 1e-8
        assert whole.pivots[kept].tolist() == lapack[kept].tolist()
        assert np.allclose(np.diagonal(whole.R)[kept], np.abs(np.diagonal(r))[kept], rtol=1e-6)


def test_a_tolerance_that_rank_forbids_raises_with_the_result() -> None:
    A = matrix("inverse_root", 60, 50, rng=1)
    for function in (rnla.qr, rnla.lu):
        with pytest.raises(rnla.ToleranceNotMet) as caught:
            function(A, 5, tol=1e-3, rng=0)
        assert caught.value.result.rank == 5
        assert not function(A, 5, tol=1e-3, rng=0, on_failure="return").status.ok


# --------------------------------------------------------------------------------------------------- the small parts
def libraries() -> list[Any]:
    torch, strict = pytest.importorskip("torch"), pytest.importorskip("array_api_strict")
    return [lambda x: x, lambda x: torch.from_numpy(x.copy()), lambda x: strict.asarray(x.copy())]


@pytest.mark.parametrize("dtype", DTYPES)
def test_pivoted_qr_and_lu_and_triangles_in_every_library(dtype: str) -> None:
    rng, eps = np.random.default_rng(0), eps_of(dtype)
    for p, n in ((5, 9), (1, 1), (6, 6), (8, 50)):
        x = rng.standard_normal((p, n)) + (1j * rng.standard_normal((p, n)) if dtype[0] == "c" else 0)
        x = x.astype(dtype)
        lapack = scipy.linalg.qr(x, mode="r", pivoting=True)[1][:p]
        for there in libraries():
            q, r, pivots = pivoted_qr(there(x))
            assert pivots[:p].tolist() == lapack.tolist()
            assert np.sort(pivots).tolist() == list(range(n))
            q, r = to_host(q), to_host(r)
            assert np.abs(x[:, pivots] - q @ r).max() <= 50 * eps
            assert np.linalg.norm(q.conj().T @ q - np.eye(p)) <= 30 * eps * math.sqrt(p)
            rows, low, up = pivoted_lu(there(np.ascontiguousarray(x.T)))
            assert np.abs(x.T[rows] - to_host(low) @ to_host(up)).max() <= 50 * eps
            triangle, right = r[:, :p].copy(), x[:, : p // 2 + 1].copy()
            for lower in (False, True):
                t = triangle.conj().T.copy() if lower else triangle
                y = to_host(solve_triangular(there(t), there(right), lower=lower))
                # Backward stable: the residual is a few eps of what the triangle and the solution can make.
                assert np.all(np.abs(t @ y - right) <= 20 * p * eps * (np.abs(t) @ np.abs(y) + np.abs(right)))


def test_pivots_past_the_numerical_rank_come_in_ascending_order() -> None:
    x = np.zeros((4, 6))
    x[0, 4], x[1, 2] = 3.0, 2.0
    for there in libraries():
        assert pivots_of_columns(there(x), 6).tolist() == [4, 2, 0, 1, 3, 5]
        assert pivots_of_columns(there(np.zeros((3, 4))), 2).tolist() == [0, 1]
    with pytest.raises(rnla.NonFiniteError):
        pivots_of_columns(np.array([[np.nan, 1.0]]), 1)
