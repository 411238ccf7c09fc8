"""Stacks of matrices: every item as good as alone, certified alone, and no work that Python does item by item."""

from __future__ import annotations

import functools
import math
import pickle
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnla
from rnla._kernels import products
from rnla._xp.namespace import to_host
from rnla._xp.stacked import pivoted_qr
from rnla.factorization.stacked_plan import item_ranges
from rnla.operators.stack import Stack, is_stack
from rnla.testing import SPECTRA, haar, matrix, optimal_error, spectrum

Array = np.ndarray[Any, Any]
DTYPES = ["float32", "float64", "complex64", "complex128"]
NAMES = sorted(SPECTRA)
RANDOM = rnla.SubspaceIteration()
FEW = rnla.SubspaceIteration(oversampling=5)


def quiet(function: Any, A: Any, *args: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rnla.RankWarning)
        return function(A, *args, **options)


def spectra(m: int, n: int, dtype: str = "float64") -> Array:
    """The twelve spectra, a stack 3 x 4."""
    items = [matrix(name, m, n, dtype=dtype, rng=i) for i, name in enumerate(NAMES)]
    return np.stack(items).reshape(3, 4, m, n)


def hermitian(n: int, dtype: str = "float64") -> Array:
    """Eigenvalues of the twelve spectra with alternating signs."""
    items = []
    for i, name in enumerate(NAMES):
        Q = haar(n, n, dtype=dtype, rng=i)
        A = (Q * (spectrum(name, n, dtype=dtype) * (-1.0) ** np.arange(n))) @ Q.conj().T
        items.append(((A + A.conj().T) / 2).astype(dtype))
    return np.stack(items).reshape(3, 4, n, n)


def true_errors(A: Array, result: Any, order: Any = None) -> Array:
    wide = np.complex128 if A.dtype.kind == "c" else np.float64
    rest = A.astype(wide) - to_host(result.to_array()).astype(wide)
    norms = [np.linalg.norm(x.astype(wide), order, axis=(-2, -1)) for x in (rest, A)]
    return np.divide(norms[0], norms[1], out=np.zeros_like(norms[0]), where=norms[1] > 0)


def assert_certified(A: Array, result: Any, order: Any = None) -> None:
    """The certificate is the error: exact ones to the rounding of a difference of squares, bounds as bounds."""
    truth, error, eps = true_errors(A, result, order), result.error, np.finfo(A.dtype).eps
    assert error.value.shape == result.ranks.shape == A.shape[:-2]
    assert np.all(truth <= error.upper + 8 * eps)
    exact = error.kind == "exact"
    assert np.all(np.abs(truth - error.value)[exact] <= 1e-3 * error.value[exact] + 50 * eps)


# ------------------------------------------------------------------------------------------------- against LAPACK
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(70, 50), (50, 70)])
@pytest.mark.parametrize("method", [None, RANDOM], ids=["planned", "random"])
def test_every_item_of_the_twelve_spectra_is_as_good_as_lapacks(
    method: Any, shape: tuple[int, int], dtype: str
) -> None:
    A, rank, eps = spectra(*shape, dtype), 10, np.finfo(dtype).eps
    result = quiet(rnla.svd, A, rank, method=method, rng=3)
    U, s, Vh = result
    m, n = shape
    assert (U.shape, s.shape, Vh.shape) == ((3, 4, m, rank), (3, 4, rank), (3, 4, rank, n))
    assert (U.dtype, s.dtype, Vh.dtype) == (dtype, A.real.dtype, dtype)
    values = np.linalg.svd(A.astype(np.complex128), compute_uv=False)
    for place in np.ndindex(3, 4):
        best = optimal_error(values[place], rank) / np.linalg.norm(values[place])
        assert result.error.value[place] <= 1.05 * best + 50 * eps, NAMES[4 * place[0] + place[1]]
        for Q in (U[place], Vh[place].conj().T):
            wide = Q.astype(np.complex128)
            assert np.linalg.norm(wide.conj().T @ wide - np.eye(rank)) <= 30 * eps * math.sqrt(rank)
        assert np.all(np.diff(s[place]) <= 0)
        assert np.all(s[place] <= values[place][:rank] + 50 * eps)
    assert_certified(A, result)
    assert np.all(result.ranks == rank)
    assert result.status is rnla.Status.MET


@pytest.mark.parametrize("norm", ["fro", "spectral"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", [None, RANDOM, rnla.Adaptive(block_size=4)], ids=["planned", "random", "adaptive"])
def test_a_tolerance_gives_every_item_its_own_rank(method: Any, dtype: str, norm: str) -> None:
    A, tol = spectra(80, 64, dtype), 0.05
    result = rnla.svd(A, tol=tol, norm=norm, method=method, rng=1)
    order = None if norm == "fro" else 2
    assert_certified(A, result, order)
    assert np.all(result.error.upper <= tol)
    assert np.all(result.error.meets(tol))
    for place in np.ndindex(3, 4):
        k = result.ranks[place]
        values = spectrum(NAMES[4 * place[0] + place[1]], 64, dtype=dtype)
        whole = np.linalg.norm(values) if norm == "fro" else values[0]
        best = next(j for j in range(65) if optimal_error(values, j, norm) <= tol * whole)
        # The promise for spectra that decay, which the bound in the spectral norm does not share.
        if norm == "fro":
            assert k <= max(best + 2, math.ceil(1.15 * best))
        assert k >= best
        assert not result.s[place][k:].any()
        assert not result.U[place][:, k:].any()
        assert not result.Vh[place][k:].any()
        assert result.s[place][:k].all()
    assert result.s.shape[-1] == result.rank == result.ranks.max()
    assert result.ranks.min() < result.rank


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", [None, RANDOM], ids=["planned", "random"])
def test_hermitian_items_keep_the_signs_of_their_eigenvalues(method: Any, dtype: str) -> None:
    A, eps = hermitian(60, dtype), np.finfo(dtype).eps
    for request in ({"rank": 8}, {"tol": 0.02}, {"tol": 0.1, "norm": "spectral"}):
        result = quiet(rnla.eigh, A, method=method, rng=2, **request)
        w, V = result
        assert w.dtype == A.real.dtype
        assert_certified(A, result, 2 if "norm" in request else None)
        for place in np.ndindex(3, 4):
            k = result.ranks[place]
            wide = V[place][:, :k].astype(np.complex128)
            assert np.linalg.norm(wide.conj().T @ wide - np.eye(k)) <= 30 * eps * math.sqrt(k)
            assert np.all(np.diff(np.abs(w[place][:k])) <= 0)
            assert not w[place][k:].any()
        if "rank" in request:
            values = [np.linalg.eigvalsh(item.astype(np.complex128)) for item in A.reshape(12, 60, 60)]
            for found, true in zip(w.reshape(12, 8), values, strict=True):
                assert found[0] <= true.max() + 50 * eps
                assert found.min() >= true.min() - 50 * eps
    top = rnla.eigh(A, 3, which="largest", rng=0)
    truth = np.linalg.eigvalsh(A)[..., ::-1][..., :3]
    assert np.abs(top.w - truth).max() <= 100 * eps
    assert_certified(A, top)


@pytest.mark.parametrize("dtype", DTYPES)
def test_pivoted_qr_of_every_item(dtype: str) -> None:
    A, eps = spectra(50, 40, dtype), np.finfo(dtype).eps
    for request in ({"rank": 9}, {"tol": 0.05}, {"rank": 9, "method": RANDOM}):
        result = quiet(rnla.qr, A, rng=1, **request)
        Q, R, pivots = result
        k = result.rank
        assert (Q.shape, R.shape, pivots.shape) == ((3, 4, 50, k), (3, 4, k, 40), (3, 4, 40))
        assert np.array_equal(np.sort(pivots, axis=-1), np.broadcast_to(np.arange(40), (3, 4, 40)))
        assert not np.tril(R, -1).any()
        assert_certified(A, result)
        for place in np.ndindex(3, 4):
            r = result.ranks[place]
            wide = Q[place][:, :r].astype(np.complex128)
            assert np.linalg.norm(wide.conj().T @ wide - np.eye(r)) <= 30 * eps * math.sqrt(r)
            diagonal = np.diagonal(R[place])
            assert np.all(diagonal.imag == 0)
            assert np.all(diagonal.real >= 0)
            # Each was the largest norm that was left.
            for j in range(r):
                left = np.linalg.norm(R[place][j:, j:], axis=0)
                assert diagonal[j].real >= left.max() * (1 - 100 * eps) - 50 * eps
        one = result.item(1, 2)
        assert np.abs(one.as_operator().to_array() - result.to_array()[1, 2]).max() <= 50 * eps


def test_pivoted_qr_of_a_stack_takes_lapacks_pivots() -> None:
    import scipy.linalg

    A = np.random.default_rng(0).standard_normal((5, 6, 20)) * (1 + 0.5j)
    Q, R, pivots = pivoted_qr(A)
    for item, q, r, p in zip(A, Q, R, pivots, strict=True):
        assert p[:6].tolist() == scipy.linalg.qr(item, mode="economic", pivoting=True)[2][:6].tolist()
        assert p[6:].tolist() == sorted(p[6:])
        assert np.abs(q @ r - item[:, p]).max() <= 1e-14
    deficient = np.zeros((2, 4, 5))
    deficient[0, :, 2] = [3.0, 0.0, 4.0, 0.0]
    Q, R, pivots = pivoted_qr(deficient)
    assert pivots[0].tolist() == [2, 0, 1, 3, 4]
    assert np.abs(Q.swapaxes(1, 2) @ Q - np.eye(4)).max() <= 1e-15
    assert np.abs(Q @ R - np.take_along_axis(deficient, pivots[:, None, :], axis=2)).max() <= 1e-15


# --------------------------------------------------------------------------------------- one item, and the others
@pytest.mark.parametrize("function", [rnla.svd, rnla.qr, rnla.eigh])
@pytest.mark.parametrize("request_", [{"rank": 6, "method": RANDOM}, {"tol": 0.03, "method": RANDOM}, {"rank": 6}])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_an_items_bits_depend_on_its_place_and_key_alone(dtype: str, request_: dict[str, Any], function: Any) -> None:
    A = hermitian(41, dtype).reshape(12, 41, 41)
    alone, cut = A.copy(), 0
    whole = quiet(function, A, rng=5, **request_)
    alone[1:] = 0  # other neighbours
    first = quiet(function, alone, rng=5, **request_)
    many = quiet(function, np.concatenate([A, A, A[:7]]), rng=5, **request_)  # other ranges
    with rnla.config_context(threads=3):
        threads = quiet(function, A, rng=5, **request_)
    again = quiet(function, A.reshape(2, 6, 41, 41), rng=5, **request_)
    for i in (0, 5, 11):
        k = int(whole.ranks[i])
        for name in whole.factor_names:
            cut = (slice(None), slice(k)) if name in {"U", "V", "Q"} else (slice(k),) if name != "pivots" else ()
            expected = getattr(whole, name)[i][cut]
            assert np.array_equal(getattr(many, name)[i][cut], expected), name
            assert np.array_equal(getattr(threads, name)[i][cut], expected), name
            assert np.array_equal(getattr(again, name)[divmod(i, 6)][cut], expected), name
            if i == 0:
                assert np.array_equal(getattr(first, name)[0][cut], expected), name
        assert whole.error.value[i] == many.error.value[i] == again.error.value[divmod(i, 6)]
    assert whole.report.deterministic


def test_the_first_item_is_the_single_matrix_and_the_others_have_test_matrices_of_their_own() -> None:
    """With the same key the first item's test matrix is that of the single call; equal items differ in theirs."""
    A = matrix("inverse", 60, 50, rng=1)
    stack = np.broadcast_to(A, (4, 60, 50))
    result = rnla.svd(stack, 8, method=RANDOM, rng=7)
    single = rnla.svd(A, 8, method=RANDOM, rng=7)
    assert np.abs(result.s[0] - single.s).max() <= 1e-14
    assert np.abs(result.U[0] @ result.U[0].T - single.U @ single.U.T).max() <= 1e-12
    assert math.isclose(result.error.value[0], single.error.value, rel_tol=1e-10)
    assert len({float(value) for value in result.error.value}) == 4  # by chance of measure zero otherwise
    signs = rnla.svd(stack, 8, method=rnla.SubspaceIteration(sketch=rnla.SparseSign()), rng=7)
    assert signs.error.value.max() <= 1.05 * optimal_error(spectrum("inverse", 50), 8)


def calls(function: Any, A: Array, **request: Any) -> Counter[str]:
    """Count the calls of Python functions, and of C functions, by name."""
    seen: Counter[str] = Counter()

    def profile(frame: Any, event: str, arg: Any) -> None:
        if event == "call":
            seen[frame.f_code.co_qualname] += 1
        elif event == "c_call":
            seen[f"c:{getattr(arg, '__qualname__', arg)}"] += 1

    with rnla.config_context(threads=1, memory_budget="1G"):  # a budget, so that the system is not asked for one
        quiet(function, A, rng=0, **request)  # imports and caches
        sys.setprofile(profile)
        try:
            quiet(function, A, rng=0, **request)
        finally:
            sys.setprofile(None)
    return seen


@pytest.mark.parametrize(
    ("function", "request_"),
    [
        (rnla.svd, {"rank": 3, "method": FEW}),
        (rnla.svd, {"rank": 3}),
        (rnla.svd, {"tol": 1e-2, "method": rnla.Adaptive(block_size=8)}),
        (rnla.qr, {"rank": 3, "method": FEW}),
        (rnla.eigh, {"rank": 3, "method": FEW}),
    ],
)
def test_no_function_is_called_item_by_item(function: Any, request_: dict[str, Any]) -> None:
    """Twice the items: tiles of random numbers come in a few more calls, nothing for every fiftieth item even."""
    item = np.diag(0.7 ** np.arange(24.0))
    # Both so many that small arrays are nowhere treated apart.
    few, many = (calls(function, np.broadcast_to(item, (count, 24, 24)), **request_) for count in (1600, 3200))
    assert sum(few.values()) > 100
    assert {name: (few[name], many[name]) for name in few | many if many[name] - few[name] > 1600 // 50} == {}


def test_large_stacks_are_cut_in_ranges_of_fixed_bytes() -> None:
    """Ranges depend on how many items there are and how large, and cover them in order."""
    assert len(item_ranges(1000, 100)) == 16
    ranges = item_ranges(1000, 160_000)
    assert len(ranges) == math.ceil(1000 * 160_000 / (1 << 22))
    assert [i for each in ranges for i in range(each.start, each.stop)] == list(range(1000))
    assert len(item_ranges(3, 1 << 30)) == 3


# ---------------------------------------------------------------------------------------------------- Gram matrices
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(90, 40), (40, 90), (40, 40)])
def test_gram_matrices_serve_what_they_resolve_and_lapack_the_rest(shape: tuple[int, int], dtype: str) -> None:
    """Item 1 falls to 1e-9 of its largest value within the rank, which a squared matrix does not hold; 2 is zero."""
    rank, eps = 6, np.finfo(dtype).eps
    A = np.stack([haar(m, n, dtype=dtype, rng=i) for i, (m, n) in enumerate([shape] * 4)])
    slow = 0.9 ** np.arange(40.0)
    values = np.stack([slow, 1e-2 ** np.arange(40.0), np.zeros(40), 3e18 * slow if eps > 1e-10 else 1e200 * slow])
    u, _, vh = np.linalg.svd(A, full_matrices=False)
    A = ((u * values[:, None, :]) @ vh).astype(dtype)
    result = quiet(rnla.svd, A, rank)
    assert isinstance(result.report.plan.method, rnla.GramEigh)
    assert result.error.method[1] == "a complete basis"
    assert set(result.error.method[[0, 3]]) == {"the Frobenius identity"}
    assert result.report.blocks == (rank, 40)
    scale = np.where(values[:, :1] > 0, values[:, :1], 1.0)
    assert np.abs(result.s / scale - values[:, :rank] / scale).max() <= 60 * eps
    assert_certified(A[:3], quiet(rnla.svd, A[:3], rank, method=result.report.plan.method))
    for Q in (result.U, result.Vh.conj().swapaxes(1, 2)):
        wide = Q.astype(np.complex128)
        assert np.abs(wide.conj().swapaxes(1, 2) @ wide - np.eye(rank)).max() <= 60 * eps


def test_gram_matrices_are_for_ranks_of_general_matrices() -> None:
    A = spectra(60, 30)
    for asked in ({"tol": 0.1}, {"rank": 30}):
        assert isinstance(quiet(rnla.svd, A, method=rnla.GramEigh(), **asked).report.plan.method, rnla.FullSVD)
    square = quiet(rnla.eigh, hermitian(20), 3, method=rnla.GramEigh())
    assert square.report.plan.method == rnla.FullSVD(hermitian=True)


# ------------------------------------------------------------------------------------------------------ hard items
def test_items_of_any_kind_stand_side_by_side() -> None:
    A = np.zeros((6, 40, 30))
    A[1] = matrix("exponential", 40, 30, rng=1) * 2.0**900
    A[2] = matrix("exponential", 40, 30, rng=1) * 2.0**-900
    A[3] = matrix("exponential", 40, 30, rng=1)
    A[4, 3, 5] = 1.0
    A[5] = 1.0
    for method in (None, RANDOM):
        result = quiet(rnla.svd, A, 5, method=method, rng=0)
        assert result.error.value[0] == 0
        assert not result.s[0].any()
        for i in range(6):
            for Q in (result.U[i], result.Vh[i].T):
                assert np.abs(Q.T @ Q - np.eye(5)).max() <= 1e-14
        # Rounding knows no powers of two, but they shift the item's place, so its test matrix.
        assert np.abs(result.s[1] * 2.0**-900 - result.s[3]).max() <= 1e-3 * result.s[3, -1]
        assert np.abs(result.s[2] * 2.0**900 - result.s[3]).max() <= 1e-3 * result.s[3, -1]
        assert np.abs(result.s[4] - [1, 0, 0, 0, 0]).max() <= 1e-15
        assert abs(result.s[5, 0] - math.sqrt(1200)) <= 1e-13
        assert math.isclose(result.error.norm_of_A[1], np.linalg.norm(A[3]) * 2.0**900, rel_tol=1e-14)
        met = rnla.svd(A, tol=1e-6, method=method, rng=0)
        assert met.ranks[[0, 4, 5]].tolist() == [0, 1, 1]
        assert met.ranks[1] == met.ranks[2] == met.ranks[3] == 30 or method is not None
        assert np.all(met.error.upper <= 1e-6)
    single = (A[3:4] * 2.0**-60).astype(np.float32)
    assert np.abs(rnla.svd(single, 5).s * 2.0**60 - rnla.svd(A[3:4], 5).s).max() <= 1e-5


@pytest.mark.parametrize("function", [rnla.svd, rnla.eigh, rnla.qr])
def test_items_that_are_not_finite_are_named(function: Any) -> None:
    A = np.ones((3, 5, 20, 20))
    A[1, 3, 4, 4] = np.nan
    with pytest.raises(rnla.NonFiniteError, match=r"NaN or infinity stands in item \(1, 3\) of the stack"):
        function(A, 2)
    A[2, 0, 0, 0] = np.inf
    A[2, 1, 0, 0] = -np.inf
    with pytest.raises(rnla.NonFiniteError, match=r"items \(1, 3\), \(2, 0\), \(2, 1\) of"):
        function(A, 2, method=RANDOM)


def test_empty_batches_and_empty_items() -> None:
    for function in (rnla.svd, rnla.qr):
        for shape in ((0, 5, 4), (3, 0, 5, 4)):
            result = function(np.zeros(shape, dtype=np.float32), 2)
            assert result[0].shape == (*shape[:-1], 0)
            assert result[0].dtype == np.float32
            assert result.error.value.shape == result.ranks.shape == shape[:-2]
            assert "none" in str(result)
        for shape in ((3, 0, 4), (3, 4, 0)):
            result = function(np.zeros(shape), 0)
            assert result.to_array().shape == shape
            assert result.ranks.tolist() == [0, 0, 0]
    assert rnla.eigh(np.zeros((0, 4, 4)), 1).V.shape == (0, 4, 0)
    nothing = rnla.svd(np.ones((2, 5, 4)), 0)
    assert nothing.U.shape == (2, 5, 0)
    assert np.abs(nothing.error.value - 1).max() <= 1e-15


def test_what_the_dtypes_become(tmp_path: Path) -> None:
    A = np.random.default_rng(0).integers(-9, 9, (3, 20, 12))
    for given, expected in (("int16", "float64"), ("bool", "float64"), ("float16", "float32"), (">f8", "float64")):
        stack = A.astype(given)
        kept = stack.copy()
        result = quiet(rnla.svd, stack, 4, rng=0)
        assert result.U.dtype == expected
        assert np.array_equal(stack, kept)
        assert result.report.dtype_path.endswith(expected)
    np.save(tmp_path / "stack.npy", A.astype(float))
    mapped = rnla.svd(np.load(tmp_path / "stack.npy", mmap_mode="r"), 4, rng=0)
    assert np.array_equal(mapped.s, rnla.svd(A.astype(float), 4, rng=0).s)
    strided = np.asfortranarray(np.ones((3, 20, 12)))[:, ::2, ::3]
    assert abs(quiet(rnla.svd, strided, 1).s[2, 0] - math.sqrt(40)) <= 1e-13
    whole = np.ma.masked_array(np.ones((2, 3, 3)))
    assert abs(quiet(rnla.svd, whole, 1).s[0, 0] - 3) <= 1e-14


# ------------------------------------------------------------------------------------------------- other libraries
def elsewhere() -> dict[str, Any]:
    strict = pytest.importorskip("array_api_strict")
    torch = pytest.importorskip("torch")
    return {
        "torch": torch.asarray,
        "strict": functools.partial(strict.asarray, device=strict.Device("device1")),
    }


@pytest.mark.parametrize("name", ["torch", "strict"])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_other_libraries_give_the_same(dtype: str, name: str) -> None:
    there, eps = elsewhere()[name], np.finfo(dtype).eps
    A = hermitian(40, dtype)
    for function in (rnla.svd, rnla.eigh, rnla.qr):
        for request in ({"rank": 6, "method": RANDOM}, {"tol": 0.05, "method": RANDOM}, {"rank": 6}):
            expected = quiet(function, A, rng=3, **request)
            B = there(A)
            result = quiet(function, B, rng=3, **request)
            assert np.array_equal(result.ranks, expected.ranks)
            assert np.abs(result.error.value**2 - expected.error.value**2).max() <= 1e3 * eps
            for factor in result:
                assert type(factor) is type(B)
                assert factor.device == B.device
            gap = np.abs(to_host(result.to_array()) - expected.to_array())
            steep = [NAMES.index(n) for n in ("fast", "exact_rank")]  # with a gap after the rank
            assert gap.reshape(12, -1)[steep].max() <= 1e5 * eps
            item = result.item(2, 3)
            assert item.rank == expected.ranks[2, 3]


# -------------------------------------------------------------------------------------------------- the result
def test_a_result_is_a_result_for_every_item(tmp_path: Path) -> None:
    A = spectra(50, 40)
    result = rnla.svd(A, tol=0.05, rng=2)
    U, s, Vh = result
    assert U is result.U
    assert len(result) == 3
    assert result[1] is s
    assert result[-1] is Vh
    assert result.shape == (3, 4, 50, 40)
    one = result.item(1, -1)
    assert isinstance(one, rnla.SVDResult)
    assert one.rank == result.ranks[1, 3]
    assert one.error.value == result.error.value[1, 3]
    assert one.shape == (50, 40)
    assert np.array_equal(one.U, U[1, 3][:, : one.rank])
    assert "item (1, 3) of a stack" in one.report.notes
    with pytest.raises(rnla.InputError, match="call the function again"):
        one.extend(rank=40)
    assert one.truncate(2).rank == 2
    one.save(tmp_path / "one.npz")
    assert str(rnla.load(tmp_path / "one.npz")) == str(one)
    for wrong in ((3, 0), (0,), (0, 0, 0)):
        with pytest.raises(rnla.InputError, match="not in a batch"):
            result.item(*wrong)
    for piece in ("3 x 4 matrices, 50 x 40", "ranks", "at most", "seed", "in item ("):
        assert piece in str(result)
    other = pickle.loads(pickle.dumps(result))
    assert np.array_equal(other.U, U)
    assert np.array_equal(other.error.upper, result.error.upper)
    with pytest.raises(AttributeError):
        result.U = None  # type: ignore[misc]
    again = rnla.svd(A, tol=0.05, rng=result.report.seed)
    assert np.array_equal(again.U, U)


def test_a_missed_tolerance_names_its_items() -> None:
    A = spectra(50, 40)
    for method in (None, RANDOM):
        with pytest.raises(rnla.ToleranceNotMet, match=r"items \(0, 2\), \(1, 0\), .* and 1 more") as caught:
            rnla.svd(A, 20, tol=0.1, method=method, rng=0)
        result = caught.value.result
        missed = result.statuses != "MET"
        assert np.array_equal(missed, result.error.upper > 0.1)
        assert result.status is rnla.Status.RANK_CAP
        assert np.all(result.ranks[missed] == 20)
        assert result.item(0, 2).status is rnla.Status.RANK_CAP
        assert result.item(0, 1).status is rnla.Status.MET
        kept = rnla.svd(A, 20, tol=0.1, method=method, rng=0, on_failure="return")
        assert np.array_equal(kept.s, result.s)


def test_arguments_are_checked_before_any_work() -> None:
    A = np.ones((4, 6, 5))
    assert is_stack(A)
    assert not is_stack(A[0])
    assert not is_stack([[[1.0]]])
    for wrong, error, message in (
        ({}, rnla.InputError, "rank="),
        ({"rank": 6}, rnla.InputError, "6 x 5"),
        ({"rank": 1.5}, rnla.DTypeError, "integer"),
        ({"tol": 1e-20}, rnla.InputError, "below what"),
        ({"rank": 1, "norm": "nuclear"}, rnla.InputError, "norm="),
        ({"rank": 1, "method": rnla.TallQR()}, rnla.InputError, "a stack takes method="),
        ({"rank": 1, "sketch": "srtt"}, rnla.InputError, "rows stand alone"),
        ({"rank": 1, "on_failure": "x"}, rnla.InputError, "on_failure"),
        ({"rank": 1, "method": "x"}, rnla.DTypeError, "method must be a part"),
    ):
        with pytest.raises(error, match=message):
            rnla.svd(A, **wrong)
    with pytest.raises(rnla.DTypeError):
        rnla.svd(np.full((2, 3, 3), "a"), 1)
    with pytest.raises(rnla.InputError, match="masked"):
        rnla.svd(np.ma.masked_equal(A, 1.0), 1)
    with pytest.raises(rnla.InputError, match="two dimensions"):
        rnla.plan(A, 1)
    with pytest.raises(rnla.InputError, match="square"):
        rnla.eigh(A, 1)
    with pytest.raises(rnla.InputError, match="psd"):
        rnla.eigh(np.ones((2, 3, 3)), 1, psd=True)
    with pytest.raises(rnla.InputError, match="largest"):
        rnla.eigh(np.ones((2, 3, 3)), tol=0.1, which="largest")
    crooked = np.ones((2, 3, 3))
    crooked[1, 0, 2] = 2.0
    with pytest.raises(rnla.InputError, match=r"item \(1,\) of the stack"):
        rnla.eigh(crooked, 1)
    with rnla.config_context(memory_budget=1 << 20), pytest.raises(rnla.BudgetError, match="stack of 4000"):
        rnla.svd(np.broadcast_to(np.ones((60, 50)), (4000, 60, 50)), 20)
    with pytest.warns(rnla.RankWarning, match="numerical rank 1"):
        rnla.svd(A, 3, rng=0)
    with rnla.config_context(deadline=1e-9), pytest.raises(rnla.DeadlineReached):
        rnla.svd(A, 1)


def test_passes_are_counted_and_limited() -> None:
    A = spectra(70, 60)
    plain = quiet(rnla.svd, A, 5, method=RANDOM, rng=0)
    assert plain.report.passes == 2 * 3 + 1 + 1  # the items whose error is small show their residual
    assert rnla.svd(A[1:2, :1], 5, method=RANDOM, rng=0).report.passes == 7
    assert (plain.report.size, plain.report.products) == (15, 15 * 7)
    full = quiet(rnla.svd, A, 5, method=rnla.FullSVD())
    assert (full.report.passes, full.report.scans) == (1, 1)
    with rnla.config_context(max_passes=10):
        with pytest.raises(rnla.ToleranceNotMet, match="max_passes was used up"):
            rnla.svd(A, tol=0.05, method=rnla.Adaptive(block_size=8), rng=0)
        kept = rnla.svd(A, tol=0.05, method=rnla.Adaptive(block_size=8), rng=0, on_failure="return")
        with pytest.raises(rnla.BudgetError, match="max_passes"):
            rnla.svd(A, 5, method=rnla.SubspaceIteration(power_iterations=7))
    assert kept.report.passes <= 10
    assert set(kept.statuses.ravel()) == {"MET", "PASSES"}
    assert np.all((kept.error.upper <= 0.05) == (kept.statuses == "MET"))


def test_a_part_that_is_not_hermitian_counts_as_error() -> None:
    A = hermitian(20)
    A[0, 0, 3, 4] += 1e-13
    result = quiet(rnla.eigh, A, 20)
    assert result.error.value[0, 0] >= 0.9 * 1e-13 / np.linalg.norm(A[0, 0]) / math.sqrt(2)
    assert result.error.value[0, 1] == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_large_items_are_multiplied_by_the_compiled_kernels(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As often as there are products; the answer differs from that of one call of BLAS in rounding only."""
    pytest.importorskip("numba")
    calls: Counter[str] = Counter()
    for name in ("product", "adjoint_product"):
        real = getattr(products, name)
        monkeypatch.setattr(
            products, name, lambda *given, real=real, name=name: (calls.update([name]), real(*given))[1]
        )
    A = np.stack([matrix("inverse", 400, 300, dtype=dtype, rng=i) for i in range(3)])
    A[1] *= 1e-30 if np.finfo(dtype).bits == 32 else 1e-200  # scaled on the way
    method = rnla.SubspaceIteration(oversampling=10)
    with rnla.config_context(kernels="compiled"):
        found = rnla.svd(A, 10, method=method, rng=0)
    assert calls == {"product": 12, "adjoint_product": 9}
    calls.clear()
    with rnla.config_context(kernels="plain"):
        plain = rnla.svd(A, 10, method=method, rng=0)
        rnla.svd(A[:, :40, :30], 5, method=method, rng=0)
    assert not calls
    level = 300 * float(np.finfo(dtype).eps)
    assert np.abs(found.s / plain.s - 1).max() <= level
    assert np.abs(found.error.value / plain.error.value - 1).max() <= level


def test_small_items_ask_for_no_kernels() -> None:
    assert not Stack.gains_from_kernels(200, 100, 20)
    assert Stack.gains_from_kernels(500, 300, 30)
