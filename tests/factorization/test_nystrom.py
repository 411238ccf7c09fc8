"""The Nystrom approximation against the papers' algorithms, the projection, the optimum, and what it promises."""

from __future__ import annotations

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
from rnla.compression.nystrom import leave_one_out_of_nystrom, nystrom_of_basis
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.rangefinder import HERMITIAN_RANGE_FINDERS, RANGE_FINDERS
from rnla.results import RangeBasis
from rnla.rng import Key
from rnla.testing import SPECTRA, haar, hermitian_matrix, optimal_error, optimal_rank, spectrum
from tests.reference.halko2011_hermitian import eigenvalue_decomposition_via_nystrom
from tests.reference.tropp2017b import fixed_rank_psd, leave_one_out
from tests.reference.tropp2023_nysbki import nystrom_block_krylov

Array = np.ndarray[Any, Any]
DTYPES = ["float32", "float64", "complex64", "complex128"]
PARTS = [None, rnla.SubspaceIteration(power_iterations=1), rnla.BlockLanczos(depth=3), rnla.BlockLanczos(depth=1)]
NORMS = {"fro": None, "spectral": 2, "nuclear": "nuc"}


def eps_of(dtype: Any) -> float:
    return float(np.finfo(dtype).eps)


def quiet(A: Any, *args: Any, **options: Any) -> rnla.EighResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rnla.RankWarning)
        return rnla.nystrom(A, *args, **options)


def rest_of(A: Array, result: rnla.EighResult) -> Array:
    v = np.asarray(result.V).astype(np.complex128)
    return A.astype(np.complex128) - (v * np.asarray(result.w, dtype=np.float64)) @ v.conj().T


def size_of(rest: Array, norm: str) -> float:
    return float(np.linalg.norm(rest, ord=NORMS[norm]))  # type: ignore[arg-type]


class Products:
    """An operator that knows the product with itself only."""

    def __init__(self, A: Array) -> None:
        self.A, self.shape, self.dtype, self.calls = A, A.shape, A.dtype, 0

    def matmat(self, x: Array) -> Array:
        self.calls += 1
        return self.A @ x


# ----------------------------------------------------------------------------------------- the pieces, with no chance
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_given_basis_makes_the_approximation_of_the_paper(dtype: str) -> None:
    """Algorithm 5.5 on the same basis, of a positive definite matrix, which it needs."""
    A = hermitian_matrix("inverse", 60, dtype=dtype, rng=1)
    wide = A.astype(np.complex128)
    Y = wide @ haar(60, 9, dtype=dtype, rng=3)
    X = np.linalg.qr((Y if np.dtype(dtype).kind == "c" else Y.real).astype(dtype))[0]
    found = nystrom_of_basis(RangeBasis("row", X, A @ X, (9,)))
    values, U = eigenvalue_decomposition_via_nystrom(wide, np.linalg.qr(X.astype(np.complex128))[0])
    eps = eps_of(dtype)
    assert np.linalg.norm((found.V * found.w) @ found.V.conj().T - (U * values) @ U.conj().T) <= 300 * eps
    assert np.abs(found.w - values).max() <= 100 * eps
    assert np.linalg.norm(found.V.conj().T @ found.V - np.eye(9)) <= 90 * eps


@settings(max_examples=80)
@given(st.sampled_from(sorted(SPECTRA)), st.integers(2, 40), st.sampled_from(DTYPES), st.integers(0, 2**32), st.data())
def test_it_lies_between_zero_and_A_and_beats_the_projection(
    name: str, n: int, dtype: str, seed: int, data: st.DataObject
) -> None:
    """For any basis: 0 <= A_nys <= A, and the error is below that of the projection in three norms (oracle D7)."""
    A = hermitian_matrix(name, n, dtype=dtype, rng=seed)
    size = data.draw(st.integers(1, n))
    columns = haar(n, size, dtype=dtype, rng=seed + 1)
    wide, slack = A.astype(np.complex128), 50 * eps_of(dtype) * math.sqrt(n)
    if data.draw(st.booleans()):
        columns = np.linalg.qr(wide @ columns)[0]
    X = (columns if np.dtype(dtype).kind == "c" else columns.real).astype(dtype)
    found = nystrom_of_basis(RangeBasis("row", X, A @ X, (size,)))
    v = found.V.astype(np.complex128)
    inside = (v * found.w.astype(float)) @ v.conj().T
    assert np.all(found.w >= 0)
    # A matrix known to rounding only, of a basis that holds next to nothing of it, is known to the root of that.
    loose = slack + math.sqrt(eps_of(dtype)) * (name in {"fast", "graded", "exact_rank", "clustered", "step"})
    assert np.linalg.eigvalsh(wide - inside)[0] >= -loose
    outside = np.eye(n) - X.astype(np.complex128) @ X.astype(np.complex128).conj().T
    for order in (None, 2, "nuc"):
        error = np.linalg.norm(wide - inside, ord=order)
        assert error <= np.linalg.norm(outside @ wide @ outside, ord=order) + loose * math.sqrt(n)
        assert error <= np.linalg.norm(outside @ wide, ord=order) + loose * math.sqrt(n)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_one_product_gives_the_fixed_rank_approximation_of_the_paper(dtype: str) -> None:
    A = hermitian_matrix("inverse_square", 80, dtype=dtype, rng=2)
    part = rnla.BlockLanczos(depth=1)
    result = rnla.nystrom(A, 6, method=part, rng=5)
    omega = part.test_matrix(Ledger(as_operator(A)), 16, Key(5))
    values, U = fixed_rank_psd(A, omega, 6)
    assert result.report.passes == 1
    assert np.linalg.norm((result.V * result.w) @ result.V.conj().T - (U * values) @ U.conj().T) <= 1e-12
    assert np.abs(result.w - values).max() <= 1e-13


@pytest.mark.parametrize("depth", [2, 4])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_block_lanczos_is_the_papers_nysbki(dtype: str, depth: int) -> None:
    A = hermitian_matrix("inverse_root", 90, dtype=dtype, rng=2)
    part = rnla.BlockLanczos(depth=depth, block_size=7)
    result = rnla.nystrom(A, 7 * depth, method=part, rng=5)
    omega = part.test_matrix(Ledger(as_operator(A)), 7, Key(5))
    values, U = nystrom_block_krylov(A, omega, depth)
    assert result.report.passes == depth + 1  # the certificate
    assert result.report.products == 7 * depth
    assert np.abs(result.w - values).max() <= 1e-12
    assert np.linalg.norm((result.V * result.w) @ result.V.conj().T - (U * values) @ U.conj().T) <= 1e-11


@pytest.mark.parametrize("dtype", DTYPES)
def test_leave_one_out_is_leaving_one_out(dtype: str) -> None:
    A = hermitian_matrix("inverse", 40, dtype=dtype, rng=1)
    omega = Key(3).normals(0, 40, 8, dtype=np.dtype(dtype))
    X = np.linalg.qr(omega)[0]
    basis = RangeBasis("row", X, A @ X, (8,))
    estimate = leave_one_out_of_nystrom(basis, nystrom_of_basis(basis), omega)
    assert estimate is not None
    wide = A.astype(np.complex128)
    assert estimate[0] == pytest.approx(leave_one_out(wide, omega.astype(np.complex128)), rel=1e4 * eps_of(dtype))
    assert 0 < estimate[1] < estimate[0]


@pytest.mark.statistical
def test_leave_one_out_is_unbiased() -> None:
    """Mean square of 300 estimates against the mean squared error with one column less: alarm 6e-5 (4 sigma)."""
    A = hermitian_matrix("inverse", 50, rng=1)
    estimates, truths = [], []
    for seed in range(300):
        omega = Key(seed).normals(0, 50, 10, dtype=np.dtype(float))
        X, Z = np.linalg.qr(omega)[0], np.linalg.qr(omega[:, :9])[0]
        basis = RangeBasis("row", X, A @ X, (10,))
        found = leave_one_out_of_nystrom(basis, nystrom_of_basis(basis), omega)
        assert found is not None
        estimates.append(found[0] ** 2)
        less = nystrom_of_basis(RangeBasis("row", Z, A @ Z, (9,)))
        truths.append(np.linalg.norm(A - (less.V * less.w) @ less.V.T) ** 2)
    gap = np.asarray(estimates) - np.asarray(truths)
    assert abs(gap.mean()) <= 4 * gap.std(ddof=1) / math.sqrt(300)


# ------------------------------------------------------------------------------------------------- the whole call
@settings(max_examples=100)
@given(
    st.fixed_dictionaries(
        {
            "n": st.integers(1, 40),
            "name": st.sampled_from(sorted(SPECTRA)),
            "dtype": st.sampled_from(DTYPES),
            "seed": st.integers(0, 2**32),
            "method": st.sampled_from(PARTS),
            "norm": st.sampled_from(sorted(NORMS)),
        }
    ),
    st.data(),
)
def test_every_answer_is_a_decomposition_with_a_true_certificate(case: dict[str, Any], data: st.DataObject) -> None:
    """The spectral bound fails with probability 1e-6 a call, and the examples are fixed."""
    A = hermitian_matrix(case["name"], case["n"], dtype=case["dtype"], rng=case["seed"])
    rank = data.draw(st.integers(0, case["n"]))
    result = quiet(A, rank, method=case["method"], norm=case["norm"], rng=case["seed"])
    w, V = result
    eps, n = eps_of(A.dtype), case["n"]
    assert (w.shape, V.shape, w.dtype, V.dtype) == ((rank,), (n, rank), A.real.dtype, A.dtype)
    wide = V.astype(np.complex128)
    assert np.linalg.norm(wide.conj().T @ wide - np.eye(rank)) <= 30 * eps * math.sqrt(max(rank, 1))
    assert np.all(w >= 0)
    assert np.all(np.diff(w) <= 0)
    values = np.sort(np.linalg.eigvalsh(A.astype(np.complex128)))[::-1]
    top = size_of(A.astype(np.complex128), case["norm"])
    slack = 50 * eps * top * math.sqrt(n)
    assert np.all(w <= values[:rank] + slack)
    truth, error = size_of(rest_of(A, result), case["norm"]), result.error
    if error.method != "leave-one-out":
        assert truth <= (error.upper if not math.isnan(error.upper) else error.value) * top * (1 + 1e-3) + slack
    if error.kind == "exact":
        assert truth >= error.value * top * (1 - 1e-3) - slack
        assert error.value >= 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SPECTRA)
def test_defaults_come_close_to_the_optimum_on_the_twelve_spectra(name: str, dtype: str) -> None:
    n, rank = 120, 10
    A = hermitian_matrix(name, n, dtype=dtype, rng=3)
    values = spectrum(name, n, dtype=dtype)
    for options in ({"oversampling": 10}, {"method": rnla.BlockLanczos()}):
        result = rnla.nystrom(A, rank, rng=4, **options)
        rest, slack = rest_of(A, result), 50 * eps_of(dtype) * np.linalg.norm(values)
        assert np.linalg.norm(rest) <= 1.05 * optimal_error(values, rank) + slack
        assert np.linalg.norm(rest, 2) <= 1.2 * optimal_error(values, rank, "spectral") + slack


@pytest.mark.parametrize("norm", sorted(NORMS))
@pytest.mark.parametrize("name", ["exponential", "fast", "inverse_square", "clustered", "noise_1e-2"])
def test_a_tolerance_is_met_on_every_draw_by_a_small_rank(name: str, norm: str) -> None:
    values = spectrum(name, 100)
    methods = [None, rnla.SubspaceIteration(), rnla.BlockLanczos(block_size=8)]
    for seed in range(6):
        A = hermitian_matrix(values, 100, rng=seed)
        for tol in (0.3, 1e-2):
            result = rnla.nystrom(A, tol=tol, norm=norm, method=methods[seed % 3], rng=seed)
            truth, scale = size_of(rest_of(A, result), norm), size_of(A, norm)
            assert truth <= tol * scale * (1 + 1e-9)
            assert truth <= result.error.upper * scale * (1 + 1e-6)
            if seed % 3 == 2:
                continue  # the sequence of Krylov spaces stops as soon as the tolerance is met
            if norm == "fro":
                best = optimal_rank(values, tol)
                assert result.rank <= max(best + 2, 1.05 * best)
            elif norm == "nuclear":
                tails = [values[k:].sum() / values.sum() for k in range(100)]
                best = int(np.argmax(np.asarray(tails) <= tol))
                assert result.rank <= max(best + 2, 1.05 * best)


def test_operators_meet_tolerances_too() -> None:
    """The bound of 30 probes fails with probability 1e-4 a look; the seeds are fixed."""
    A = hermitian_matrix("exponential", 80, dtype="complex128", rng=0)
    for seed, method in enumerate([None, rnla.SubspaceIteration(), rnla.BlockLanczos(block_size=8)]):
        result = rnla.nystrom(Products(A), tol=1e-2, method=method, rng=seed)
        assert np.linalg.norm(rest_of(A, result)) <= 1e-2 * np.linalg.norm(A)
        assert result.error.meets(1e-2)


def test_one_pass_over_an_operator_and_an_estimate_of_its_error() -> None:
    """One call of the product: the test of the symmetry and the estimate ride along."""
    A = hermitian_matrix("inverse_square", 200, rng=0)
    operator = Products(A)
    result = rnla.nystrom(operator, 10, method=rnla.BlockLanczos(depth=1), rng=1)
    assert operator.calls == 1
    assert result.report.passes == 1
    assert result.error.kind == "estimated"
    assert result.error.method == "leave-one-out"
    truth = np.linalg.norm(rest_of(A, result))
    assert truth / 3 <= result.error.absolute <= 3 * truth
    with rnla.config_context(max_passes=1):
        again = rnla.nystrom(Products(A), 10, method=rnla.BlockLanczos(depth=1), rng=1)
    assert np.array_equal(again.w, result.w)


def test_without_a_pass_to_spare_the_error_is_a_bound_from_the_projection() -> None:
    A = hermitian_matrix("inverse", 200, rng=0)
    part = rnla.SubspaceIteration()
    with rnla.config_context(max_passes=4):
        for rank in (5, 15):
            result = rnla.nystrom(A, rank, method=part, rng=0)
            truth = np.linalg.norm(rest_of(A, result))
            assert (result.report.passes, result.error.kind) == (4, "bounded")
            assert truth <= result.error.upper * np.linalg.norm(A) <= 2 * truth


def test_a_tolerance_that_passes_stopped_says_so() -> None:
    a = hermitian_matrix("inverse", 300, rng=0)
    with rnla.config_context(max_passes=1):
        result = rnla.nystrom(a, tol=1e-3, rng=0, on_failure="return")
    assert result.report.passes == 1
    assert result.status is rnla.Status.PASSES


def test_psd_of_eigh_is_nystrom() -> None:
    A = hermitian_matrix("exponential", 60, rng=0)
    for one, two in zip(rnla.eigh(A, 5, psd=True, rng=3), rnla.nystrom(A, 5, rng=3), strict=True):
        assert np.array_equal(one, two)
    assert rnla.eigh(A, tol=0.1, psd=True, norm="nuclear", rng=3).error.norm == "nuclear"


# ------------------------------------------------------------------------------------------------- special matrices
@pytest.mark.parametrize("dtype", DTYPES)
def test_zero_matrix_single_entry_and_empty(dtype: str) -> None:
    for norm in NORMS:
        zero = quiet(np.zeros((20, 20), dtype=dtype), 3, norm=norm, rng=0)
        assert zero.w.tolist() == [0, 0, 0]
        assert zero.error.value == 0
        assert np.allclose(zero.V.conj().T @ zero.V, np.eye(3))
        one = rnla.nystrom(np.full((1, 1), 3, dtype=dtype), 1, norm=norm, rng=0)
        assert one.w.tolist() == pytest.approx([3], rel=30 * eps_of(dtype))
        empty = rnla.nystrom(np.zeros((0, 0), dtype=dtype), 0, norm=norm)
        assert (empty.w.shape, empty.V.shape, empty.error.value) == ((0,), (0, 0), 0)


@pytest.mark.parametrize("n", [50, 2000])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_low_rank_is_found_to_rounding_whatever_the_size(dtype: str, n: int) -> None:
    values = np.array([3.0, 2.0, 1.0])
    vectors = haar(n, 3, dtype=dtype, rng=0)
    A = ((vectors * values) @ vectors.conj().T).astype(dtype)
    for method in (rnla.SubspaceIteration(), rnla.BlockLanczos(depth=1)):
        with pytest.warns(rnla.RankWarning):
            result = rnla.nystrom(A, 8, method=method, rng=1)
        assert np.linalg.norm(rest_of(A, result)) <= 50 * eps_of(dtype) * np.linalg.norm(values)
        assert result.report.numerical_rank == 3


def test_entries_near_the_ends_of_the_range_are_scaled() -> None:
    A = hermitian_matrix([1.0, 0.5, 0.25], 30, rng=0)
    for norm in NORMS:
        plain = rnla.nystrom(A, 3, method=rnla.SubspaceIteration(), norm=norm, rng=1)
        for exponent in (900, -900):
            scaled = rnla.nystrom(np.ldexp(A, exponent), 3, method=rnla.SubspaceIteration(), norm=norm, rng=1)
            assert np.allclose(plain.w, np.ldexp(scaled.w, -exponent), rtol=1e-14, atol=0)
            assert scaled.error.norm_of_A > 0
            assert abs(scaled.error.value - plain.error.value) <= 1e-14


def test_every_kind_of_input_gives_the_same_pairs(tmp_path: Path) -> None:
    torch, strict = pytest.importorskip("torch"), pytest.importorskip("array_api_strict")
    A = hermitian_matrix(np.r_[4.0, 3.0, 2.0, 1.0, 0.5 ** np.arange(20.0) / 8], 60, dtype="complex128", rng=0)
    np.save(tmp_path / "a.npy", A)
    kinds = {
        "memmap": np.load(tmp_path / "a.npy", mmap_mode="r"),
        "torch": torch.from_numpy(A),
        "strict": strict.asarray(A),
        "sparse": scipy.sparse.coo_array(A),
        "operator": Products(A),
        "scipy": scipy.sparse.linalg.LinearOperator(A.shape, matvec=lambda x: A @ x, dtype=A.dtype),
    }
    for name, given_as in kinds.items():
        for norm in ("fro", "nuclear") if name not in {"operator", "scipy"} else ("fro", "spectral"):
            for method in (rnla.SubspaceIteration(), rnla.BlockLanczos(depth=3)):
                result = rnla.nystrom(given_as, 4, method=method, norm=norm, rng=1)
                host = [np.asarray(x.resolve_conj() if name == "torch" else x) for x in result]
                assert np.allclose(host[0], [4, 3, 2, 1], rtol=0, atol=1e-9), name
                assert np.linalg.norm(A @ host[1] - host[1] * host[0]) <= 1e-4, name
                truth = size_of(A - (host[1] * host[0]) @ host[1].conj().T, norm)
                error = result.error
                if error.kind == "exact":
                    assert truth == pytest.approx(error.absolute, rel=1e-6), name
                else:
                    assert truth <= error.upper * error.norm_of_A * (1 + 1e-6), name


# --------------------------------------------------------------------------------------------------------- bad input
def test_what_is_not_semidefinite_is_refused_with_advice() -> None:
    A = hermitian_matrix([5.0, -4.0, 3.0], 40, rng=0)
    A[np.diag_indices(40)] = np.abs(np.diag(A))
    for given_as in (A, Products(A), scipy.sparse.csr_array(A)):
        for method in PARTS:
            with pytest.raises(rnla.InputError, match=r"not positive semidefinite.*eigh"):
                rnla.nystrom(given_as, 6, method=method, rng=0)
    diagonal = np.diag(np.r_[np.ones(30), -1e-6, np.ones(9)])
    with pytest.raises(rnla.InputError, match=r"diagonal entry 30 is -1e-06"):
        rnla.nystrom(diagonal, 3)
    assert rnla.nystrom(np.diag(np.r_[np.ones(3), -1e-17]), 3, rng=0).w.min() >= 0
    with pytest.raises(rnla.InputError, match="diagonal"):
        rnla.nystrom(Products(np.eye(30)), 3, norm="nuclear")
    with pytest.raises(rnla.InputError, match="share of the trace"):
        rnla.nystrom(np.eye(30), energy=0.9, norm="nuclear")
    with pytest.raises(rnla.InputError, match="norm"):
        rnla.nystrom(np.eye(30), 3, norm="max")
    with pytest.raises(rnla.InputError, match="BlockKrylov"):
        rnla.svd(np.ones((40, 30)), 3, method=rnla.BlockLanczos())


# -------------------------------------------------------------------------------------------------------- the result
@pytest.mark.parametrize("norm", sorted(NORMS))
def test_a_result_extends_truncates_and_travels(norm: str, tmp_path: Path) -> None:
    A = hermitian_matrix("exponential", 80, dtype="complex128", rng=0)
    for method in (rnla.SubspaceIteration(oversampling=4), rnla.BlockLanczos(depth=2)):
        result = rnla.nystrom(A, 5, method=method, norm=norm, rng=1)
        more = result.extend(rank=20)
        assert more.error.value < result.error.value
        truth = size_of(rest_of(A, more), norm)
        if norm == "spectral":
            assert truth <= more.error.upper * size_of(A, norm)
        else:
            assert more.error.absolute == pytest.approx(truth, rel=1e-6)
        met = result.extend(tol=1e-2)
        assert size_of(rest_of(A, met), norm) <= 1e-2 * size_of(A, norm)
        less = more.truncate(5)
        truth = size_of(rest_of(A, less), norm)
        assert truth <= less.error.upper * less.error.norm_of_A * (1 + 1e-9)
        if norm == "nuclear":
            assert (less.error.kind, less.error.absolute) == ("exact", pytest.approx(truth, rel=1e-6))
        elif norm == "fro":
            assert less.error.kind == "bounded"
        result.save(tmp_path / "r.npz")
        for copy in (pickle.loads(pickle.dumps(result)), rnla.load(tmp_path / "r.npz")):
            assert str(copy.error) == str(result.error)
            assert np.array_equal(copy.extend(rank=20, A=A).w, more.w)
    with pytest.raises(rnla.InputError, match="truncate"):
        more.extend(rank=3)
    with pytest.raises(rnla.InputError, match="how much"):
        more.extend()


def test_a_missed_tolerance_carries_the_answer() -> None:
    A = hermitian_matrix("inverse_root", 60, rng=0)
    for norm in NORMS:
        with pytest.raises(rnla.ToleranceNotMet) as caught:
            rnla.nystrom(A, 3, tol=1e-3, norm=norm, rng=0)
        assert caught.value.result.rank == 3
        assert not rnla.nystrom(A, 3, tol=1e-3, norm=norm, on_failure="return", rng=0).status.ok


# ----------------------------------------------------------------------------------------------- every range finder
@pytest.mark.parametrize("function", [rnla.eigh, rnla.nystrom], ids=["eigh", "nystrom"])
@pytest.mark.parametrize("name", [*RANGE_FINDERS, *HERMITIAN_RANGE_FINDERS])
def test_every_range_finder_serves_hermitian_matrices(name: str, function: Any) -> None:
    """A bound of probes fails with probability 1e-4 a look, and an estimate by six standard errors; fixed seeds."""
    A = hermitian_matrix("exponential", 90, dtype="complex128", rng=0)
    part, scale = {**RANGE_FINDERS, **HERMITIAN_RANGE_FINDERS}[name](), np.linalg.norm(A)
    for given_as in (A,) if name in {"full_svd", "gram_eigh", "tall_qr"} else (A, Products(A)):
        for asked in ({"rank": 8}, {"tol": 1e-2}):
            result = function(given_as, method=part, rng=0, **asked)
            truth, error = np.linalg.norm(rest_of(A, result)), result.error
            upper = error.value + 6 * error.standard_error if math.isnan(error.upper) else error.upper
            assert truth <= upper * scale * (1 + 1e-6)
            assert truth <= 2 * optimal_error(spectrum("exponential", 90), result.rank)
            if "tol" in asked:
                assert truth <= 1e-2 * scale


def test_a_tolerance_on_an_operator_is_told_as_the_bound_that_it_is() -> None:
    V = haar(121, 74, rng=5)
    K = (V / np.arange(1.0, 75.0)) @ V.T
    K = (K + K.T) / 2
    for seed in range(5):
        result = rnla.nystrom(scipy.sparse.linalg.aslinearoperator(K), tol=0.1, rng=seed)
        true = np.linalg.norm(K - (result.V * result.w) @ result.V.T) / np.linalg.norm(K)
        assert result.error.kind == "bounded"
        assert true <= result.error.value == result.error.upper <= 0.1
