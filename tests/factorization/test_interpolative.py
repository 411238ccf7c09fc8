"""Interpolative decompositions: actual columns and rows, bounded coefficients, certificates, near the best choice."""

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
from benchmarks import interpolative_tolerance
from rnla._xp.namespace import to_host
from rnla.error.approximation import certify_approximation
from rnla.rng import Key
from rnla.testing import SPECTRA, matrix, optimal_error
from tests.reference import skeletons

Array = np.ndarray[Any, Any]
DTYPES = ["float32", "float64", "complex64", "complex128"]
AXES = ["columns", "rows", "both"]
SHAPES = {"tall": (90, 40), "wide": (40, 90), "square": (50, 50)}


def eps_of(dtype: Any) -> float:
    return float(np.finfo(dtype).eps)


def quiet(function: Any, *args: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rnla.RankWarning)
        return function(*args, **options)


def wide(x: Any) -> Array:
    x = x.toarray() if scipy.sparse.issparse(x) else to_host(x)
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


def check(result: Any, A: Array, axis: str) -> float:
    """Hold a result to its definition and its certificate; return the true Frobenius error."""
    eps, A = eps_of(A.dtype), wide(A)
    assert result.fits()
    factors = [wide(part) for part in result]
    if axis == "columns":
        columns, X = to_host(result.columns), factors[1]
        assert np.array_equal(factors[0], A[:, columns])
        assert np.array_equal(X[:, columns], np.eye(result.rank))
        bounded = [X]
    elif axis == "rows":
        rows, X = to_host(result.rows), factors[0]
        assert np.array_equal(factors[1], A[rows])
        assert np.array_equal(X[rows], np.eye(result.rank))
        bounded = [X]
    else:
        rows, columns = to_host(result.rows), to_host(result.columns)
        assert np.array_equal(factors[1], A[rows][:, columns])
        assert np.array_equal(factors[0][rows], np.eye(result.rank))
        assert np.array_equal(factors[2][:, columns], np.eye(result.rank))
        bounded = [factors[0], factors[2]]
    for X in bounded:
        assert np.abs(X).max(initial=0) <= 2 * (1 + 2e-3)
    made = factors[0] @ factors[1] if len(factors) == 2 else factors[0] @ factors[1] @ factors[2]
    true, whole = float(np.linalg.norm(A - made)), float(np.linalg.norm(A))
    if result.error.norm == "fro":
        upper = result.error.value if math.isnan(result.error.upper) else result.error.upper
        assert true <= (upper + 8 * result.error.standard_error + 8 * eps) * whole
        squares = 50 * eps * whole**2  # the Frobenius identity is a difference of squares
        if result.error.kind == "exact":
            assert true**2 >= (result.error.absolute * (1 - 1e-3)) ** 2 - squares - (50 * eps * whole) ** 2
    return true


# -------------------------------------------------------------------------------- near the best choice of columns
@pytest.mark.parametrize("spectrum", sorted(SPECTRA))
def test_within_one_and_a_half_of_strong_rank_revealing_qr(spectrum: str) -> None:
    """The bar: 1.5 of Gu and Eisenstat's algorithm on the matrix itself, in both norms, plus 50 eps norm(A)."""
    for m, n, k in ((80, 60, 10), (120, 40, 8), (40, 120, 8)):
        A = matrix(spectrum, m, n, rng=5)
        whole = np.linalg.norm(A)
        rank = min(k, 4) if spectrum == "exact_rank" else k  # the oracle inverts what it chose
        for axis, B in (("columns", A), ("rows", A.T)):
            oracle = skeletons.strong_rrqr(B, rank)[0]
            for method in (None, rnla.SubspaceIteration()):
                result = rnla.interpolative(A, rank, axis=axis, method=method, rng=1)
                check(result, A, axis)
                for order in ("fro", 2):
                    best = skeletons.column_error(B, oracle, order)
                    true = np.linalg.norm(A - result.as_operator().to_array(), order)
                    assert true <= 1.5 * best + 50 * eps_of(A.dtype) * whole, (axis, order, true / best)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spectrum", sorted(SPECTRA))
def test_every_spectrum_and_dtype(spectrum: str, dtype: str, axis: str) -> None:
    """Against the optimum: sqrt(1 + k (n - k)) is the theorem of the paper for the best columns in the spectral norm,
    and for Frobenius norms sqrt(1 + k) that of the best subset; pivoted QR is far inside, so sqrt(1 + k) it is."""
    for shape in SHAPES.values():
        A = matrix(spectrum, *shape, dtype=dtype, rng=3)
        values = np.linalg.svd(wide(A), compute_uv=False)
        result = quiet(rnla.interpolative, A, 9, axis=axis, rng=1)
        assert result.rank == 9
        true = check(result, A, axis)
        assert true <= math.sqrt(10) * optimal_error(values, 9) + 50 * eps_of(dtype) * np.linalg.norm(values)


@pytest.mark.parametrize("selection", ["random_pivoted_qr", "adaptive_randomized_pivoting", "leverage_scores"])
def test_other_selections_are_interpolations_too(selection: str) -> None:
    for spectrum in ("exponential", "inverse", "exact_rank", "clustered"):
        A = matrix(spectrum, 70, 60, rng=9)
        for seed in range(3):
            result = quiet(rnla.interpolative, A, 10, selection=selection, rng=seed)
            true = check(result, A, "columns")
            best = optimal_error(np.linalg.svd(A, compute_uv=False), 10)
            # The expectation theorems allow sqrt(k + 1) on the root mean square; ten of it for single draws.
            assert true <= 10 * math.sqrt(11) * best + 1e-12


def test_sketched_coefficients_interpolate_without_another_product() -> None:
    A = matrix("inverse", 90, 80, rng=2)
    part = rnla.SubspaceIteration(power_iterations=0)
    cheap = rnla.interpolative(A, 12, coefficients="sketched", method=part, rng=3)
    best = rnla.interpolative(A, 12, method=part, rng=3)
    assert check(best, A, "columns") <= check(cheap, A, "columns")
    assert cheap.error.method == "the explicit residual"


def test_kahans_matrix_is_exchanged_until_it_is_strong() -> None:
    """Pivoted QR takes the columns of Kahan's matrix in order and leaves a coefficient far above 2."""
    n, k = 40, 39
    s = 0.285**0.5
    c = math.sqrt(1 - s * s)
    K = np.diag(s ** np.arange(n)) @ (np.eye(n) - c * np.triu(np.ones((n, n)), 1))
    K = K * (1 - 1e-10 * np.arange(n))[None, :]  # breaks the ties as pivoted QR must
    order = scipy.linalg.qr(K, mode="r", pivoting=True)[1]
    R = np.linalg.qr(K[:, order])[1]
    assert np.abs(np.linalg.solve(R[:k, :k], R[:k, k:])).max() > 100
    result = rnla.interpolative(K, k, rng=0)
    check(result, K, "columns")


# ------------------------------------------------------------------------------------------- tolerances are met
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("tol", [0.3, 1e-2, 1e-6, 1e-11])
def test_a_tolerance_is_never_missed(axis: str, tol: float) -> None:
    """Over spectra, norms and seeds; Frobenius certificates are exact here, spectral ones fail with 1e-6 a look."""
    for spectrum in ("exponential", "fast", "inverse_square", "clustered", "graded"):
        A = matrix(spectrum, 60, 45, rng=1)
        for norm, order in (("fro", "fro"), ("spectral", 2)):
            result = rnla.interpolative(A, tol=tol, norm=norm, axis=axis, rng=4, on_failure="return")
            check(result, A, axis)
            true = np.linalg.norm(A - result.as_operator().to_array(), order) / np.linalg.norm(A, order)
            assert result.status.ok
            assert true <= tol
            assert result.error.meets(tol)


def test_a_tolerance_is_met_over_many_draws() -> None:
    """The spectrum 0.9^j, on which SciPy's randomized decomposition misses its eps by far: the benchmark."""
    A = matrix("exponential", 120, 90, rng=0)
    whole = np.linalg.norm(A, 2)
    for seed in range(25):
        for tol in (1e-2, 1e-5):
            result = rnla.interpolative(A, tol=tol, norm="spectral", rng=seed)
            assert np.linalg.norm(A - result.C @ result.X, 2) <= tol * whole
    lines = interpolative_tolerance.measure(60, 45, 2, (1e-3,))
    assert [line.method for line in lines] == ["SciPy", "rnla"]
    assert max(lines[1].ratios) <= 1


@pytest.mark.parametrize("function", [rnla.interpolative, rnla.cur])
def test_every_look_has_probes_of_its_own_and_its_share_of_failure(
    function: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that looked again at the probes which chose its answer would find what it hopes for."""
    looks: list[tuple[int, Array]] = []

    def spy(op: Any, left: Any, right: Any, norm: str, key: Key, **more: Any) -> Any:
        looks.append((more["looks"], key.child("error-probes").normals(0, 3, 1)))
        return certify_approximation(op, left, right, norm, key, **more)

    monkeypatch.setattr("rnla.factorization.skeletons.certify_approximation", spy)
    A = scipy.sparse.linalg.aslinearoperator(matrix("inverse", 80, 60, rng=1))
    result = function(A, tol=0.3, rng=2)
    count = len(looks)
    assert count > 2
    assert [number for number, _ in looks] == list(range(1, count + 1))
    assert len({probe.tobytes() for _, probe in looks}) == count
    assert result.error.failure_probability == pytest.approx(count * 1e-4)


def test_the_rank_for_a_tolerance_is_that_of_pivoted_qr() -> None:
    for spectrum in ("exponential", "inverse_square", "noise_1e-2", "clustered"):
        A = matrix(spectrum, 100, 80, rng=6)
        R = scipy.linalg.qr(A, mode="r", pivoting=True)[0]
        tails = np.sqrt(np.append(np.cumsum(np.sum(R**2, axis=1)[::-1])[::-1], 0)) / np.linalg.norm(A)
        for tol in (0.1, 1e-3):
            ours = rnla.interpolative(A, tol=tol, rng=0).rank
            lapack = int(np.argmax(tails <= tol))
            assert ours <= max(lapack + 2, math.ceil(1.05 * lapack))  # the promise for ranks, against this rule


def test_a_tolerance_that_the_rank_forbids_raises_with_the_result() -> None:
    A = matrix("inverse_root", 60, 50, rng=1)
    with pytest.raises(rnla.ToleranceNotMet) as caught:
        rnla.interpolative(A, 5, tol=1e-3, rng=0)
    assert caught.value.result.rank == 5
    assert rnla.interpolative(A, 5, tol=1e-3, rng=0, on_failure="return").status is rnla.Status.RANK_CAP


# -------------------------------------------------------------------------------------------- every kind of matrix
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("kind", ["csr", "csc_matrix", "coo", "memmap", "operator", "torch", "strict", "list", "dask"])
@pytest.mark.parametrize("asked", [{"rank": 8}, {"tol": 0.05}])
def test_every_kind_of_matrix(kind: str, axis: str, asked: dict[str, Any], tmp_path: Path) -> None:
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
    elif kind == "dask":
        given = pytest.importorskip("dask.array").from_array(A, chunks=(20, 45))
    elif kind == "list":
        given = A.tolist()
    result = rnla.interpolative(given, **asked, axis=axis, rng=2)
    true = check(result, A, axis)
    if "tol" in asked:
        assert true <= 0.05 * np.linalg.norm(A)
    if kind in {"torch", "strict"}:
        assert all(type(part) is type(given) and part.device == given.device for part in result)
    if scipy.sparse.issparse(given) and axis != "both":
        own = result.C if axis == "columns" else result.R
        assert type(own) is type(given)
        assert own.format == given.format


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize(
    "A",
    [
        np.zeros((6, 4)), np.zeros((4, 6)), np.ones((1, 1)), np.zeros((1, 1)), np.ones((1, 7)), np.ones((7, 1)),
        np.repeat(np.arange(12.0).reshape(6, 2), 4, axis=1), np.diag([1.0, 0.0, 2.0, 0.0, 3.0]),
        np.arange(1.0, 26).reshape(5, 5) * 1e200, np.arange(1.0, 16).reshape(5, 3) * 1e-250,
    ],
    ids=["zero", "zero wide", "one", "one zero", "row", "column", "repeated", "zero columns", "huge", "tiny"],
)  # fmt: skip
def test_degenerate_matrices(axis: str, A: Array) -> None:
    size = float(np.abs(A).max()) or 1.0
    values = np.linalg.svd(A / size, compute_uv=False)
    for rank in range(min(A.shape) + 1):
        result = quiet(rnla.interpolative, A, rank, axis=axis, rng=0)
        assert result.fits()
        made = result.as_operator().to_array() / size if size < 1e100 else _scaled_product(result, size)
        assert np.linalg.norm(made - A / size) <= 3 * math.sqrt(1 + rank) * optimal_error(values, rank) + 1e-13
        for own, taken in zip(result, _own_parts(result, A, axis), strict=True):
            assert taken is None or np.array_equal(own, taken)
    result = rnla.interpolative(A, tol=1e-8, axis=axis, rng=0)
    assert result.rank == np.count_nonzero(values > 1e-12)


def _scaled_product(result: Any, size: float) -> Array:
    """Return the product of the factors with the one that holds entries of A scaled down first."""
    parts = [part / size if np.abs(part).max(initial=0) > 1e100 else part for part in result]
    return parts[0] @ parts[1] if len(parts) == 2 else parts[0] @ parts[1] @ parts[2]


def _own_parts(result: Any, A: Array, axis: str) -> tuple[Any, ...]:
    if axis == "columns":
        return A[:, result.columns], None
    if axis == "rows":
        return None, A[result.rows]
    return None, A[result.rows][:, result.columns], None


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0)])
def test_empty_matrices(axis: str, shape: tuple[int, int]) -> None:
    result = rnla.interpolative(np.zeros(shape, dtype=np.float32), 0, axis=axis)
    assert result.rank == 0
    assert result.fits()
    assert result.as_operator().to_array().shape == shape
    assert next(iter(result)).dtype == np.float32


# ------------------------------------------------------------------------------------------------------- the object
@pytest.mark.parametrize("axis", AXES)
def test_a_result_extends_saves_and_travels(axis: str, tmp_path: Path) -> None:
    A = matrix("inverse", 70, 50, rng=2)
    few = rnla.interpolative(A, 5, axis=axis, method=rnla.SubspaceIteration(), rng=3)
    more = few.extend(rank=15)
    assert more.rank == 15
    assert check(more, A, axis) <= check(few, A, axis)
    for name in ("columns",) if axis != "rows" else ("rows",):
        assert set(getattr(few, name).tolist()) <= set(getattr(more, name).tolist())
    finer = few.extend(tol=0.1)
    assert check(finer, A, axis) <= 0.1 * np.linalg.norm(A)
    few.save(tmp_path / "result.npz")
    loaded = rnla.load(tmp_path / "result.npz")
    assert type(loaded) is type(few)
    for one, other in zip(few, loaded, strict=True):
        assert np.array_equal(one, other)
    check(loaded.extend(rank=9, A=A), A, axis)
    for one, other in zip(few, pickle.loads(pickle.dumps(few)), strict=True):
        assert np.array_equal(one, other)
    assert str(few).splitlines()[0] == few.title


def test_the_seed_repeats_the_call_and_bad_words_are_refused() -> None:
    A = matrix("inverse", 50, 40, rng=2)
    one = rnla.interpolative(A, 6, selection="random_pivoted_qr")
    other = rnla.interpolative(A, 6, selection=rnla.RandomlyPivotedQR(), rng=one.report.seed)
    assert np.array_equal(one.columns, other.columns)
    for bad in ({"axis": "column"}, {"selection": "best"}, {"coefficients": "cheap"}):
        with pytest.raises(rnla.InputError, match="is not one of"):
            rnla.interpolative(A, 6, **bad)
    with pytest.raises(rnla.DTypeError, match="selection"):
        rnla.interpolative(A, 6, selection=rnla.PivotedQR)
    with pytest.raises(rnla.InputError, match="rank"):
        rnla.interpolative(A)


# ------------------------------------------------------------------------------------------------ passes and time
@pytest.mark.parametrize("function", [rnla.interpolative, rnla.cur])
def test_too_few_passes_are_refused_before_the_first(function: Any) -> None:
    A = matrix("inverse", 60, 40, rng=1)

    class Counting:
        shape, dtype, products = A.shape, A.dtype, 0

        def matmat(self, x: Array) -> Array:
            Counting.products += 1
            return A @ x

        def rmatmat(self, y: Array) -> Array:
            Counting.products += 1
            return A.T @ y

    needed = function(Counting(), 5, power_iterations=1, rng=0).report.passes
    for allowed in range(1, needed + 1):
        Counting.products = 0
        with rnla.config_context(max_passes=allowed):
            if allowed < needed:
                with pytest.raises(rnla.BudgetError, match="passes"):
                    function(Counting(), 5, power_iterations=1, rng=0)
                assert Counting.products == 0
            else:
                assert function(Counting(), 5, power_iterations=1, rng=0).report.passes == needed


def test_a_deadline_keeps_the_earlier_result() -> None:
    A = matrix("inverse", 60, 40, rng=1)
    few = rnla.interpolative(A, 5, method=rnla.SubspaceIteration(), rng=0)
    with rnla.config_context(deadline=1e-9):
        late = few.extend(rank=9, on_failure="return")
        assert late.status is rnla.Status.DEADLINE
        assert np.array_equal(late.columns, few.columns)
        with pytest.raises(rnla.DeadlineReached) as caught:
            few.extend(rank=9)
        assert caught.value.result.rank == 5
        with pytest.raises(rnla.DeadlineReached):
            rnla.interpolative(A, 5, method=rnla.SubspaceIteration(), rng=0)


def test_a_choice_that_needs_a_basis_is_made_on_a_short_run() -> None:
    values = 1 / np.arange(1.0, 1501.0)
    A = matrix(values, 1500, 1500, rng=1)
    result = rnla.interpolative(A, 20, selection=rnla.RandomlyPivotedQR(), rng=0)
    assert isinstance(result.report.plan.method, rnla.BlockKrylov)
    assert result.report.size == 72
    assert result.report.passes == 3 + 1  # a fused one for each block, and one for the coefficients
    assert rnla.interpolative(A, 20, rng=0, power_iterations=1).report.plan.reasons != result.report.plan.reasons
