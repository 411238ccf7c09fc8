"""The Hermitian eigenvalue decomposition against LAPACK, the paper's algorithm, the optimum, and what it promises."""

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
from hypothesis import given, settings
from hypothesis import strategies as st

import rnla
from rnla.compression.two_sided import core_of, two_sided
from rnla.error.certificate import certify
from rnla.operators.coerce import as_operator
from rnla.operators.hermitian import hermitian_ledger, tolerated_asymmetry
from rnla.operators.ledger import Ledger
from rnla.results import RangeBasis, truncated_error
from rnla.results.error_estimate import errors_of_ranks
from rnla.rng import Key
from rnla.testing import SPECTRA, haar, hermitian_matrix, optimal_error, optimal_rank, spectrum
from tests.reference.halko2011_hermitian import direct_eigenvalue_decomposition

Array = np.ndarray[Any, Any]
DTYPES = ["float32", "float64", "complex64", "complex128"]
PARTS = [None, rnla.SubspaceIteration(power_iterations=1), rnla.BlockLanczos(depth=3), rnla.FullSVD()]


def eps_of(dtype: Any) -> float:
    return float(np.finfo(dtype).eps)


def quiet_eigh(A: Any, *args: Any, **options: Any) -> rnla.EighResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rnla.RankWarning)
        return rnla.eigh(A, *args, **options)


def rest_of(A: Array, result: rnla.EighResult) -> Array:
    """Return A - V diag(w) V^H in double precision."""
    v = np.asarray(result.V).astype(np.complex128)
    return A.astype(np.complex128) - (v * np.asarray(result.w, dtype=np.float64)) @ v.conj().T


def assert_orthonormal(V: Array) -> None:
    k = V.shape[1]
    wide = V.astype(np.complex128)
    assert np.linalg.norm(wide.conj().T @ wide - np.eye(k)) <= 30 * eps_of(V.dtype) * math.sqrt(max(k, 1))


class Products:
    """An operator that knows the product with itself only."""

    def __init__(self, A: Array) -> None:
        self.A, self.shape, self.dtype, self.products = A, A.shape, A.dtype, 0

    def matmat(self, x: Array) -> Array:
        self.products += x.shape[1]
        return self.A @ x


# ------------------------------------------------------------------------------------------------- the whole call
@settings(max_examples=100)
@given(
    st.fixed_dictionaries(
        {
            "n": st.integers(1, 40),
            "name": st.sampled_from(sorted(SPECTRA)),
            "indefinite": st.booleans(),
            "dtype": st.sampled_from(DTYPES),
            "seed": st.integers(0, 2**32),
            "method": st.sampled_from(PARTS),
            "norm": st.sampled_from(["fro", "spectral"]),
        }
    ),
    st.data(),
)
def test_every_answer_is_a_decomposition_with_a_true_certificate(case: dict[str, Any], data: st.DataObject) -> None:
    """The spectral bound fails with probability 1e-6 a call, and the examples are fixed."""
    A = hermitian_matrix(case["name"], case["n"], indefinite=case["indefinite"], dtype=case["dtype"], rng=case["seed"])
    rank = data.draw(st.integers(0, case["n"]))
    result = quiet_eigh(A, rank, method=case["method"], norm=case["norm"], rng=case["seed"])
    eps, values = eps_of(A.dtype), np.linalg.eigvalsh(A.astype(np.complex128))
    w, V = result
    assert (w.shape, V.shape, w.dtype, V.dtype) == ((rank,), (case["n"], rank), A.real.dtype, A.dtype)
    assert_orthonormal(V)
    assert np.all(np.diff(np.abs(w)) <= 0)
    order = 2 if case["norm"] == "spectral" else None
    top = np.linalg.norm(values, ord=np.inf if order == 2 else None)
    truth = np.linalg.norm(rest_of(A, result), ord=order)
    sizes = np.sort(np.abs(values))[::-1]
    assert truth >= optimal_error(sizes, rank, case["norm"]) - 50 * eps * top
    # Weyl: every eigenvalue found is one of the projection's, which lie within the residual of A's.
    slack = 50 * eps * top * math.sqrt(case["n"])
    assert all(np.abs(values - value).min() <= truth + slack for value in w)
    error = result.error
    upper = error.value + 8 * error.standard_error if math.isnan(error.upper) else error.upper
    assert truth <= upper * top * (1 + 1e-3) + slack
    if error.kind == "exact" and case["norm"] == "fro":
        assert truth >= error.value * top * (1 - 1e-3) - slack


@pytest.mark.parametrize("indefinite", [False, True], ids=["definite", "indefinite"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SPECTRA)
def test_defaults_come_close_to_the_optimum_on_the_twelve_spectra(name: str, dtype: str, indefinite: bool) -> None:
    n, rank = 120, 10
    A = hermitian_matrix(name, n, indefinite=indefinite, dtype=dtype, rng=3)
    values = spectrum(name, n, dtype=dtype)
    for options in ({"oversampling": 10}, {"method": rnla.BlockLanczos()}):
        result = rnla.eigh(A, rank, rng=4, **options)
        rest, slack = rest_of(A, result), 50 * eps_of(dtype) * np.linalg.norm(values)
        assert np.linalg.norm(rest) <= 1.05 * optimal_error(values, rank) + slack
        assert np.linalg.norm(rest, 2) <= 1.2 * optimal_error(values, rank, "spectral") + slack


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_two_sided_projection_is_the_papers(dtype: str) -> None:
    """Algorithm 5.3 on the same basis, for one that is good and one that is not; and its factor two."""
    A = hermitian_matrix("inverse", 60, indefinite=True, dtype=dtype, rng=1)
    wide = A.astype(np.complex128)
    for columns in (haar(60, 9, dtype=dtype, rng=2), np.linalg.qr(wide @ haar(60, 9, dtype=dtype, rng=3))[0]):
        X = columns.astype(dtype) if np.dtype(dtype).kind == "c" else columns.real.astype(dtype)
        seen = two_sided(RangeBasis("row", X, A @ X, (9,)))
        found = seen.image @ X.conj().T
        lam, U = direct_eigenvalue_decomposition(wide, X.astype(np.complex128))
        assert np.linalg.norm(found - (U * lam) @ U.conj().T) <= 30 * eps_of(dtype) * np.linalg.norm(wide)
        for order in (None, 2):
            projection = np.linalg.norm(wide - X @ (X.conj().T @ wide), ord=order)
            assert np.linalg.norm(wide - found, ord=order) <= 2 * projection * (1 + 30 * eps_of(dtype))


@settings(max_examples=60)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32), st.floats(0.01, 100))
def test_what_a_two_sided_cut_adds_in_the_spectral_norm(corner: int, rest: int, seed: int, size: float) -> None:
    """norm([[D, C^H], [C, E]]) <= (d + sqrt(d^2 + 4 r^2)) / 2; equality for [[d, r], [r, 0]]."""
    rng = np.random.default_rng(seed)
    D, C, E = (rng.standard_normal(s) for s in ((corner, corner), (rest, corner), (rest, rest)))
    D, E = size * (D + D.T), E + E.T
    R = np.block([[np.zeros((corner, corner)), C.T], [C, E]])
    whole = R.copy()
    whole[:corner, :corner] = D
    r, d = np.linalg.norm(R, 2), np.linalg.norm(D, 2)
    bound = errors_of_ranks(r, np.array([d]), "spectral", "two-sided")
    assert bound[1] == r
    assert np.linalg.norm(whole, 2) <= bound[0] * (1 + 1e-14)
    sharp = errors_of_ranks(r, np.array([d]), "spectral", "two-sided")[0]
    assert np.linalg.norm([[d, r], [r, 0]], 2) == pytest.approx(sharp, rel=1e-12)


def test_the_two_sided_projection_may_be_worse_than_nothing_and_says_so() -> None:
    """In the spectral norm, where the one-sided one never is; the bound fails with probability 1e-6."""
    A = np.kron([[-1.0, 1.0], [1.0, 1.0]], np.eye(10))
    X = np.eye(20)[:, :10]
    seen = two_sided(RangeBasis("row", X, A @ X, (10,)))
    truth = np.linalg.norm(A - seen.image @ X.T, 2)
    assert truth > np.linalg.norm(A, 2)
    error, _ = certify(Ledger(as_operator(A)), seen, "spectral", Key(0), tol=None, values=np.ones(10))
    assert error.upper >= truth
    cut = truncated_error(dataclasses.replace(error, cut="two-sided"), np.ones(10), 5)
    assert cut.upper >= np.linalg.norm(A - seen.image[:, :5] @ X[:, :5].T, 2)


@pytest.mark.parametrize("norm", ["fro", "spectral"])
@pytest.mark.parametrize("name", ["exponential", "fast", "inverse_square", "clustered", "noise_1e-2"])
def test_a_tolerance_is_met_on_every_draw_by_a_small_rank(name: str, norm: str) -> None:
    values = spectrum(name, 100)
    signed = values * np.where(np.arange(100) % 3 == 1, -1, 1)
    for seed in range(6):
        A = hermitian_matrix(signed, 100, rng=seed)
        for tol in (0.3, 1e-2):
            result = rnla.eigh(A, tol=tol, norm=norm, method=rnla.SubspaceIteration() if seed % 2 else None, rng=seed)
            scale = optimal_error(values, 0, norm)
            truth = np.linalg.norm(rest_of(A, result), ord=2 if norm == "spectral" else None)
            assert truth <= tol * scale * (1 + 1e-9)
            assert truth <= result.error.upper * scale * (1 + 1e-6)
            if norm == "fro":
                best = optimal_rank(values, tol)
                assert result.rank <= max(best + 2, 1.05 * best)


def test_energy_is_a_share_of_the_sum_of_squares() -> None:
    A = hermitian_matrix([4.0, -3.0, 1.0, 0.5], 30, rng=0)
    result = rnla.eigh(A, energy=0.9, rng=0)
    assert np.allclose(result.w, [4, -3])
    assert np.sum(result.w**2) >= 0.9 * np.linalg.norm(A) ** 2


# ------------------------------------------------------------------------------------------------- difficult spectra
@pytest.mark.parametrize("method", PARTS)
def test_repeated_values_and_pairs_of_signs(method: Any) -> None:
    values = np.repeat([2.0, -2.0, 1.0, -1.0, 0.0], [3, 3, 2, 2, 30])
    A = hermitian_matrix(values, 40, dtype="complex128", rng=1)
    w, V = rnla.eigh(A, 10, method=method, rng=2)
    assert np.allclose(np.sort(w), np.sort(values[:10]), rtol=0, atol=1e-13)
    assert np.linalg.norm(A @ V - V * w) <= 1e-12
    assert_orthonormal(V)


@pytest.mark.parametrize("dtype", DTYPES)
def test_zero_matrix_single_entry_and_empty(dtype: str) -> None:
    zero = quiet_eigh(np.zeros((20, 20), dtype=dtype), 3, rng=0)
    assert zero.w.tolist() == [0, 0, 0]
    assert zero.error.value == 0
    assert_orthonormal(zero.V)
    assert rnla.eigh(np.zeros((20, 20), dtype=dtype), tol=0.1, rng=0).rank == 0
    one = rnla.eigh(np.full((1, 1), -3, dtype=dtype), 1, rng=0)
    assert (one.w.tolist(), np.abs(one.V).tolist()) == ([-3], [[1]])
    empty = rnla.eigh(np.zeros((0, 0), dtype=dtype), 0)
    assert (empty.w.shape, empty.V.shape, empty.error.value) == ((0,), (0, 0), 0)


def test_exact_rank_is_found_to_rounding_and_told() -> None:
    A = hermitian_matrix([3.0, -2.0, 1.0], 50, rng=0)
    with pytest.warns(rnla.RankWarning):
        result = rnla.eigh(A, 8, method=rnla.SubspaceIteration(), rng=1)
    assert result.report.numerical_rank == 3
    assert np.linalg.norm(rest_of(A, result)) <= 50 * eps_of(float) * 4
    assert_orthonormal(result.V)


@pytest.mark.parametrize("method", [rnla.SubspaceIteration(), rnla.BlockLanczos()])
def test_entries_near_the_ends_of_the_range_are_scaled(method: Any) -> None:
    A = hermitian_matrix([1.0, -0.5, 0.25], 30, rng=0)
    plain = quiet_eigh(A, 3, method=method, rng=1)
    for exponent in (900, -900):
        scaled = quiet_eigh(np.ldexp(A, exponent), 3, method=method, rng=1)
        assert np.array_equal(np.ldexp(plain.w, exponent), scaled.w)
        assert np.array_equal(plain.V, scaled.V)
        assert scaled.error.value == plain.error.value


def test_the_algebraically_largest() -> None:
    values = np.r_[5.0, 3.0, 2.0, -4.0, -6.0, np.full(40, 1e-3)]
    A = hermitian_matrix(values, 60, rng=0)
    result = rnla.eigh(A, 3, which="largest", rng=1)
    assert np.allclose(result.w, [5, 3, 2])
    assert result.error.absolute == pytest.approx(np.linalg.norm(rest_of(A, result)), rel=1e-6)
    more = result.extend(rank=4)
    assert np.allclose(more.w[:3], [5, 3, 2])
    assert more.w[3] <= 2
    below = hermitian_matrix(np.r_[-np.arange(1.0, 21.0), 1e-3], 60, rng=0)
    with pytest.warns(rnla.AccuracyWarning, match="shift"):
        rnla.eigh(below, 2, which="largest", method=rnla.SubspaceIteration(oversampling=4), rng=1)
    with pytest.raises(rnla.InputError, match="magnitude"):
        rnla.eigh(A, tol=0.1, which="largest")
    with pytest.raises(rnla.InputError, match="rank"):
        result.extend(tol=0.1)
    with pytest.raises(rnla.InputError, match="which"):
        rnla.eigh(A, 2, which="smallest")


# ------------------------------------------------------------------------------------------------------- every input
def test_every_kind_of_input_gives_the_same_pairs(tmp_path: Path) -> None:
    torch, strict = pytest.importorskip("torch"), pytest.importorskip("array_api_strict")
    A = hermitian_matrix(np.r_[4.0, -3.0, 2.0, -1.0, 0.5 ** np.arange(20.0) / 8], 60, dtype="complex128", rng=0)
    np.save(tmp_path / "a.npy", A)
    kinds = {
        "list": A.tolist(),
        "fortran": np.asfortranarray(A),
        "memmap": np.load(tmp_path / "a.npy", mmap_mode="r"),
        "path": str(tmp_path / "a.npy"),
        "torch": torch.from_numpy(A),
        "strict": strict.asarray(A),
        "sparse": scipy.sparse.coo_array(A),
        "operator": Products(A),
        "scipy": scipy.sparse.linalg.LinearOperator(A.shape, matvec=lambda x: A @ x, dtype=A.dtype),
    }
    for name, given_as in kinds.items():
        for method in (rnla.SubspaceIteration(), rnla.BlockLanczos(depth=3)):
            result = rnla.eigh(given_as, 4, method=method, rng=1)
            assert type(result.V).__module__.split(".")[0] in {"numpy", name, "array_api_strict"}, name
            host = [np.asarray(x.resolve_conj() if name == "torch" else x) for x in result]
            assert np.allclose(host[0], [4, -3, 2, -1], rtol=0, atol=1e-9), name
            assert np.linalg.norm(A @ host[1] - host[1] * host[0]) <= 1e-4, name
            truth = np.linalg.norm(A - (host[1] * host[0]) @ host[1].conj().T)
            error = result.error
            spread = 8 * error.standard_error if error.kind == "estimated" else 0.0
            assert truth <= (error.value + spread) * error.norm_of_A * (1 + 1e-6), name


def test_an_operator_needs_no_adjoint_and_counts_its_products() -> None:
    A = hermitian_matrix("exponential", 80, indefinite=True, rng=0)
    operator = Products(A)
    result = rnla.eigh(operator, 5, method=rnla.SubspaceIteration(oversampling=5), rng=1)
    assert result.report.products == operator.products
    assert abs(np.linalg.norm(rest_of(A, result)) - result.error.absolute) <= 8 * (
        result.error.standard_error * result.error.norm_of_A
    )
    met = rnla.eigh(Products(A), tol=1e-3, rng=1)
    assert np.linalg.norm(rest_of(A, met)) <= 1e-3 * np.linalg.norm(A)


# --------------------------------------------------------------------------------------------------------- bad input
@pytest.mark.parametrize("function", [rnla.eigh, rnla.nystrom])
def test_what_is_not_hermitian_is_refused_with_its_place(function: Any, tmp_path: Path) -> None:
    A = hermitian_matrix("fast", 700, rng=0)
    A[650, 31] += 1e-3
    before = A.copy()
    for given_as in (A, np.asfortranarray(A), pytest.importorskip("torch").from_numpy(A), scipy.sparse.csr_array(A)):
        with pytest.raises(rnla.InputError, match=r"(650, 31|31, 650).*0\.001.*use svd"):
            function(given_as, 3)
    assert np.array_equal(A, before)
    A = hermitian_matrix("fast", 60, rng=0)
    A[:, 7] *= 1.1
    np.save(tmp_path / "a.npy", A)
    for given_as in (Products(A), np.load(tmp_path / "a.npy", mmap_mode="r")):
        with pytest.raises(rnla.InputError, match="not Hermitian"):
            function(given_as, 3, rng=0)
    with pytest.raises(rnla.InputError, match=r"square.*svd"):
        function(np.ones((4, 3)), 1)
    symmetric = np.array([[1.0, 1j], [1j, 1.0]])  # but not Hermitian
    with pytest.raises(rnla.InputError, match=r"\(0, 1\)"):
        function(symmetric, 1)
    with pytest.raises(rnla.InputError, match=r"\(0, 0\)"):
        function(np.array([[1.0 + 1j]]), 1)


def test_a_sparse_matrix_that_leaves_no_room_is_tested_by_products() -> None:
    n = 30_000
    A = scipy.sparse.diags_array([np.ones(n - 1), np.arange(1.0, n + 1), np.ones(n - 1)], offsets=[-1, 0, 1]).tocsr()
    bad = A.copy()
    bad.data[3001] += 5.0  # above the diagonal
    with rnla.config_context(memory_budget=1 << 20):
        assert hermitian_ledger(A).counts.passes == 1
        with pytest.raises(rnla.InputError, match="not Hermitian"):
            hermitian_ledger(bad)
    assert hermitian_ledger(A).counts.passes == 0
    with pytest.raises(rnla.InputError, match="entry"):
        hermitian_ledger(bad)


def test_rounding_is_not_asymmetry() -> None:
    """A matrix computed in two halves passes; its skew part is counted as error, and tol knows of it."""
    A = hermitian_matrix([3.0, -2.0, 1.0], 50, rng=0)
    skew = np.triu(np.random.default_rng(0).standard_normal((50, 50)), 1)
    near = A + 0.2 * tolerated_asymmetry(float) * (skew - skew.T) * np.abs(A).max() / np.abs(skew).max()
    result = rnla.eigh(near, 3, rng=0)
    assert np.allclose(result.w, [3, -2, 1])
    truth = np.linalg.norm(rest_of(near, result))
    assert truth > 1e-12
    with pytest.raises(rnla.ToleranceNotMet) as caught:
        rnla.eigh(near, tol=truth / np.linalg.norm(A) / 4, rng=0)
    assert caught.value.result.error.upper * np.linalg.norm(A) >= truth * (1 - 1e-6)


# -------------------------------------------------------------------------------------------------------- the result
def test_a_result_extends_truncates_travels_and_multiplies(tmp_path: Path) -> None:
    A = hermitian_matrix("exponential", 80, indefinite=True, dtype="complex128", rng=0)
    for method in (rnla.SubspaceIteration(oversampling=4), rnla.BlockLanczos(depth=3)):
        result = rnla.eigh(A, 5, method=method, rng=1)
        more = result.extend(rank=20)
        assert more.rank == 20
        assert more.error.value < result.error.value
        assert more.error.absolute == pytest.approx(np.linalg.norm(rest_of(A, more)), rel=1e-6)
        assert more.error.absolute <= 1.05 * optimal_error(spectrum("exponential", 80), 20)
        met = result.extend(tol=1e-2)
        assert np.linalg.norm(rest_of(A, met)) <= 1e-2 * np.linalg.norm(A)
        less = more.truncate(5)
        assert np.array_equal(less.w, more.w[:5])
        assert less.error.absolute == pytest.approx(np.linalg.norm(rest_of(A, less)), rel=1e-6)
        by_tol = more.truncate(tol=0.5)
        assert np.linalg.norm(rest_of(A, by_tol)) <= 0.5 * np.linalg.norm(A)
        result.save(tmp_path / "r.npz")
        for copy in (pickle.loads(pickle.dumps(result)), rnla.load(tmp_path / "r.npz")):
            assert np.array_equal(copy.V, result.V)
            assert copy.error == result.error
            assert np.array_equal(copy.extend(rank=20, A=A).w, more.w)
    with pytest.raises(rnla.InputError, match="truncate takes"):
        result.truncate()
    with pytest.raises(rnla.InputError, match="extend"):
        result.truncate(9)
    with pytest.raises(rnla.ToleranceNotMet, match="extend"):
        result.truncate(tol=1e-6)
    x = np.arange(80.0)
    op = result.as_operator()
    assert np.allclose(op @ x, (result.V * result.w) @ (result.V.conj().T @ x))
    assert "eigenvalues" in str(result)
    assert f"{result.w[0]:.4g}" in str(result)


def test_the_same_seed_gives_the_same_bits_and_signs_are_a_convention() -> None:
    A = hermitian_matrix("exponential", 60, indefinite=True, dtype="complex128", rng=0)
    one, two = (rnla.eigh(A, 6, rng=7) for _ in range(2))
    assert np.array_equal(one.w, two.w)
    assert np.array_equal(one.V, two.V)
    largest = one.V[np.argmax(np.abs(one.V), axis=0), np.arange(6)]
    assert np.abs(largest.imag).max() <= 1e-15
    assert largest.real.min() > 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_matrix_factored_whole_is_lapacks(dtype: str) -> None:
    """By the eigenvalues; `svd` with the same part gives the singular values; pairs of signs are no trouble."""
    A = hermitian_matrix(np.r_[np.repeat([2.0, -2.0], 4), -np.arange(1.0, 0, -0.125), 0, 0], 24, dtype=dtype, rng=0)
    values, eps = np.linalg.eigvalsh(A.astype(np.complex128)), eps_of(dtype)
    result = quiet_eigh(A, 24, rng=0)
    assert type(result.report.plan.method) is rnla.FullSVD
    assert result.report.plan.method.hermitian
    assert np.abs(np.sort(result.w) - values).max() <= 50 * eps
    assert_orthonormal(result.V)
    assert np.linalg.norm(rest_of(A, result)) <= 50 * eps * np.linalg.norm(values)
    largest = rnla.eigh(A, 6, which="largest", rng=0)
    assert np.abs(largest.w - values[::-1][:6]).max() <= 50 * eps
    U, s, Vh = rnla.svd(A, 10, method=rnla.FullSVD(hermitian=True))
    assert np.abs(s - np.sort(np.abs(values))[::-1][:10]).max() <= 50 * eps
    assert np.linalg.norm(A @ Vh.conj().T - U * s) <= 50 * eps * 10
    both = rnla.eigh(A, 10, method=rnla.FullSVD(), rng=0)  # the pairs cannot be read off singular vectors here
    assert np.abs(np.abs(both.w) - s).max() <= 50 * eps
    assert np.linalg.norm(A @ both.V - both.V * both.w) <= 100 * eps * 10


def test_a_whole_factorization_refuses_what_is_not_hermitian(tmp_path: Path) -> None:
    A = np.triu(np.ones((20, 20)))
    np.save(tmp_path / "a.npy", A)
    for call in (
        lambda: rnla.eigh(np.load(tmp_path / "a.npy", mmap_mode="r"), 3),
        lambda: rnla.svd(A, 3, method=rnla.FullSVD(hermitian=True)),
        lambda: rnla.svd(np.ones((4, 3)), 3, method=rnla.FullSVD(hermitian=True)),
    ):
        with pytest.raises(rnla.InputError, match=r"not Hermitian|square"):
            call()
    with pytest.raises(rnla.DTypeError, match="hermitian"):
        rnla.FullSVD(hermitian=1)  # type: ignore[arg-type]


def test_negative_semidefinite_matrices_have_a_rank_too() -> None:
    """The algebraically largest eigenvalue may be the smallest in modulus."""
    A = -hermitian_matrix(np.arange(1.0, 21.0), 20, rng=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = rnla.eigh(A, 3, which="largest", rng=0)
    assert np.allclose(result.w, [-1, -2, -3])
    assert result.report.numerical_rank == 3


def test_a_missed_tolerance_carries_the_answer() -> None:
    A = hermitian_matrix("inverse_root", 60, indefinite=True, rng=0)
    with pytest.raises(rnla.ToleranceNotMet) as caught:
        rnla.eigh(A, 3, tol=1e-3, rng=0)
    assert caught.value.result.rank == 3
    result = rnla.eigh(A, 3, tol=1e-3, on_failure="return", rng=0)
    assert not result.status.ok
    wrong: dict[str, Any]
    for wrong in ({"rank": 2, "psd": "yes"}, {"rank": 2, "norm": "nuclear"}, {"rank": None}):
        with pytest.raises(rnla.InputError):
            rnla.eigh(A, **wrong)


# ---------------------------------------------------------------------------- one modulus, both signs (S2b)
def _both_signs(dtype: str, ones: int = 60) -> Array:
    """Return a matrix with more eigenvalues 1 and -1 than a basis of 18 columns holds, and small ones."""
    values = np.concatenate([np.where(np.arange(ones) % 2 == 0, 1.0, -1.0), np.full(200 - ones, 1e-3)])
    return hermitian_matrix(values, 200, dtype=dtype, rng=4)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_eigenvalues_of_one_modulus_and_both_signs_are_not_mixed(dtype: str) -> None:
    A = _both_signs(dtype)
    part = rnla.SubspaceIteration()
    for form in (A, scipy.sparse.csr_array(A), scipy.sparse.linalg.aslinearoperator(A)):
        result = rnla.eigh(form, 8, method=part, rng=0)
        rest = A - (result.V * result.w) @ result.V.conj().T
        assert np.linalg.norm(rest) <= 1.05 * np.sqrt(52 + 140e-6)
        assert np.linalg.norm(rest, 2) <= 1.2
        assert result.report.size == 36
        assert "both signs" in result.report.notes[0]
        gram = result.V.conj().T.astype(np.complex128) @ result.V.astype(np.complex128)
        assert np.linalg.norm(gram - np.eye(8)) <= 30 * np.finfo(dtype).eps * np.sqrt(8)
    more = rnla.eigh(A, 8, method=part, rng=0).extend(rank=40)
    assert np.allclose(np.abs(more.w), 1, atol=1e-4)


def test_no_pass_is_made_for_it_where_nothing_is_mixed_or_none_is_left() -> None:
    part = rnla.SubspaceIteration()
    definite = hermitian_matrix(np.r_[np.ones(60), np.full(140, 1e-3)], 200, rng=4)
    plain = rnla.eigh(definite, 8, method=part, rng=0)
    assert plain.report.size == 18
    with rnla.config_context(max_passes=plain.report.passes):
        bounded = rnla.eigh(_both_signs("float64"), 8, method=part, rng=0)
    assert bounded.report.size == 18
    assert bounded.report.passes == plain.report.passes
    whole = rnla.eigh(_both_signs("float64"), 8, method=part, rng=0)
    assert whole.report.passes == plain.report.passes + 1
    assert whole.error.value < bounded.error.value


def test_the_default_for_a_dense_matrix_is_block_lanczos_and_as_exact_as_is_said() -> None:
    values = 1 / np.arange(1.0, 1501.0) * np.where(np.arange(1500) % 3 == 1, -1, 1)
    A = hermitian_matrix(values, 1500, rng=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = rnla.eigh(A, 10, rng=0)
    assert isinstance(result.report.plan.method, rnla.BlockLanczos)
    assert result.report.size == 128
    assert result.report.passes == result.report.size // 16  # one product a block, none for the certificate
    assert "power" in result.report.plan.reasons[0]
    assert np.max(np.abs(np.asarray(result.w) / values[:10] - 1)) <= 1e-9
    assert result.error.kind == "exact"
    truth = np.linalg.norm(rest_of(A, result))
    assert abs(result.error.value * result.error.norm_of_A / truth - 1) <= 1e-6
    for asked in ({"power_iterations": 1}, {"oversampling": 5}, {"method": rnla.SubspaceIteration()}, {"tol": 0.5}):
        assert not isinstance(rnla.eigh(A, 10, rng=0, **asked).report.plan.method, rnla.BlockLanczos)
    with rnla.config_context(max_passes=4):
        assert rnla.eigh(A, 10, method=rnla.SubspaceIteration(power_iterations=1), rng=0).report.passes <= 4


def test_the_core_is_made_once_for_a_basis(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def counted(basis: RangeBasis) -> Any:
        made.append(basis.size)
        return core_of(basis)

    monkeypatch.setattr("rnla.compression.two_sided.core_of", counted)
    A = hermitian_matrix(1 / np.arange(1.0, 201.0), 200, rng=2)
    for norm in ("fro", "spectral"):
        made.clear()
        rnla.eigh(A, 5, norm=norm, method=rnla.BlockLanczos(block_size=8, depth=4), rng=0)
        assert made == [32]
