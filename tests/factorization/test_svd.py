"""The singular value decomposition: relations between calls, and the result as an object."""

from __future__ import annotations

import copy
import math
import pickle
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rnla
from rnla.factorization.low_rank_svd import svd_of_low_rank
from rnla.factorization.signs import fix_signs
from rnla.results import LowRank
from rnla.testing import SPECTRA, check_operator, haar, matrix, optimal_error

Array = np.ndarray[Any, Any]
DTYPES = ["float32", "float64", "complex64", "complex128"]
FIXED = rnla.SubspaceIteration(power_iterations=1, oversampling=4)


def eps_of(dtype: Any) -> float:
    return float(np.finfo(dtype).eps)


def quiet_svd(A: Any, *args: Any, **options: Any) -> rnla.SVDResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rnla.RankWarning)
        return rnla.svd(A, *args, **options)


def whole(result: rnla.SVDResult) -> Array:
    return (result.U * result.s) @ result.Vh


shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))
cases = st.fixed_dictionaries(
    {
        "shape": shapes,
        "name": st.sampled_from(sorted(SPECTRA)),
        "dtype": st.sampled_from(DTYPES),
        "seed": st.integers(0, 2**32),
        "method": st.sampled_from([None, FIXED, rnla.SubspaceIteration(space="column"), rnla.FullSVD()]),
    }
)


# ------------------------------------------------------------------------------------------------ any small matrix
@settings(max_examples=150)
@given(cases, st.data())
def test_every_answer_is_a_decomposition_with_a_true_certificate(case: dict[str, Any], data: st.DataObject) -> None:
    A = matrix(case["name"], *case["shape"], dtype=case["dtype"], rng=case["seed"])
    rank = data.draw(st.integers(0, min(A.shape)))
    result = quiet_svd(A, rank, method=case["method"], rng=case["seed"])
    eps = eps_of(A.dtype)
    wide = A.astype(np.complex128)
    values = np.linalg.svd(wide, compute_uv=False)
    U, s, V = result.U.astype(np.complex128), result.s, result.Vh.conj().T.astype(np.complex128)
    assert (U.shape, s.shape, V.shape) == ((A.shape[0], rank), (rank,), (A.shape[1], rank))
    for Q in (U, V):
        assert np.linalg.norm(Q.conj().T @ Q - np.eye(rank)) <= 30 * eps * math.sqrt(max(rank, 1))
    assert np.all(s >= 0)
    assert np.all(np.diff(s) <= 0)
    assert np.all(s <= values[:rank] + 50 * eps * values[0])
    truth = np.linalg.norm(wide - (U * s) @ V.conj().T) / np.linalg.norm(values)
    error = result.error
    assert truth >= optimal_error(values, rank) / np.linalg.norm(values) - 50 * eps
    # Exact to the rounding of a difference of squares; a bound or an estimate, to what it states.
    upper = error.value + 8 * error.standard_error if math.isnan(error.upper) else error.upper
    assert truth <= upper * (1 + 1e-3) + 50 * eps
    if error.kind == "exact":
        assert truth >= error.value * (1 - 1e-3) - 50 * eps


# ------------------------------------------------------------------------------------------------------ metamorphic
@settings(max_examples=60)
@given(cases, st.integers(-60, 60))
def test_scaling_by_a_power_of_two_scales_the_values_and_changes_no_bit(case: dict[str, Any], power: int) -> None:
    A = matrix(case["name"], *case["shape"], dtype=case["dtype"], rng=case["seed"])
    rank = min(5, *A.shape)
    if A.dtype in (np.float32, np.complex64):
        power //= 6  # the squares of graded entries stay normal numbers
    scale = A.real.dtype.type(2.0**power)
    plain = quiet_svd(A, rank, method=case["method"], rng=case["seed"])
    scaled = quiet_svd(A * scale, rank, method=case["method"], rng=case["seed"])
    assert np.array_equal(plain.s * scale, scaled.s)
    assert np.array_equal(plain.U, scaled.U)
    assert np.array_equal(plain.Vh, scaled.Vh)
    assert plain.error.value == scaled.error.value
    assert plain.error.absolute * 2.0**power == scaled.error.absolute


@settings(max_examples=60)
@given(cases)
def test_the_factors_of_the_adjoint_are_the_adjoint_factors(case: dict[str, Any]) -> None:
    """The same test matrix meets the same space, so only rounding differs; s_4 over s_5 bounds the angle."""
    A = matrix(0.5 ** np.arange(min(*case["shape"])), *case["shape"], dtype=case["dtype"], rng=case["seed"])
    rank = min(4, *A.shape)
    one = rnla.svd(A, rank, method=rnla.SubspaceIteration(space="row"), rng=case["seed"])
    two = rnla.svd(
        np.ascontiguousarray(A.conj().T), rank, method=rnla.SubspaceIteration(space="column"), rng=case["seed"]
    )
    eps = eps_of(A.dtype)
    assert np.abs(one.s - two.s).max() <= 50 * eps
    assert np.linalg.norm(whole(one) - whole(two).conj().T) <= 1000 * eps
    if A.shape[0] != A.shape[1]:
        # The convention looks at the shorter side, which the adjoint does not change: phases agree too.
        sharp = 1e4 * eps
        ties = [np.sort(np.abs(column))[::-1] for column in (one.U if A.shape[0] < A.shape[1] else one.Vh.T).T]
        clear = [len(t) == 1 or t[0] - t[1] > 100 * sharp for t in ties]
        gap = np.abs(one.U - two.Vh.conj().T).max(axis=0)
        assert all(g <= sharp for g, c in zip(gap, clear, strict=True) if c)


@settings(max_examples=60)
@given(cases)
def test_permuting_rows_permutes_the_left_factor(case: dict[str, Any]) -> None:
    A = matrix(0.5 ** np.arange(min(*case["shape"])), *case["shape"], dtype=case["dtype"], rng=case["seed"])
    order = np.random.default_rng(case["seed"]).permutation(A.shape[0])
    part, rank, eps = rnla.SubspaceIteration(space="row"), min(4, *A.shape), eps_of(A.dtype)
    plain, permuted = (rnla.svd(B, rank, method=part, rng=case["seed"]) for B in (A, A[order]))
    assert np.abs(plain.s - permuted.s).max() <= 50 * eps
    assert np.linalg.norm(whole(plain)[order] - whole(permuted)) <= 1000 * eps
    part = rnla.SubspaceIteration(space="column")
    order = np.random.default_rng(case["seed"]).permutation(A.shape[1])
    plain, permuted = (rnla.svd(B, rank, method=part, rng=case["seed"]) for B in (A, A[:, order]))
    assert np.abs(plain.s - permuted.s).max() <= 50 * eps
    assert np.linalg.norm(whole(plain)[:, order] - whole(permuted)) <= 1000 * eps


@settings(max_examples=60)
@given(cases)
def test_stacking_zeros_or_copies(case: dict[str, Any]) -> None:
    A = matrix(0.5 ** np.arange(min(*case["shape"])), *case["shape"], dtype=case["dtype"], rng=case["seed"])
    rank, eps = min(4, *A.shape), eps_of(A.dtype)
    part = rnla.SubspaceIteration(space="row", oversampling=6)
    plain = rnla.svd(A, rank, method=part, rng=case["seed"])
    below = rnla.svd(np.concatenate([A, np.zeros_like(A)]), rank, method=part, rng=case["seed"])
    assert np.abs(plain.s - below.s).max() <= 50 * eps
    assert np.abs(below.U[A.shape[0] :]).max() <= 50 * eps / plain.s[-1]
    root = A.real.dtype.type(math.sqrt(0.5))
    twice = rnla.svd(np.concatenate([A, A], axis=1) * root, rank, method=rnla.FullSVD(), rng=case["seed"])
    truth = np.linalg.svd(A, compute_uv=False)[:rank]
    assert np.abs(twice.s - truth).max() <= 50 * eps


@settings(max_examples=40)
@given(cases)
def test_real_data_seen_as_complex_give_the_same_approximation(case: dict[str, Any]) -> None:
    real = "float32" if case["dtype"] in ("float32", "complex64") else "float64"
    A = matrix(0.3 ** np.arange(min(*case["shape"])), *case["shape"], dtype=real, rng=case["seed"])
    rank, eps = min(4, *A.shape), eps_of(A.dtype)
    plain = rnla.svd(A, rank, method=rnla.SubspaceIteration(), rng=case["seed"])
    seen = rnla.svd(A + 0j, rank, method=rnla.SubspaceIteration(), rng=case["seed"])
    assert seen.U.dtype == np.result_type(real, np.complex64)
    assert np.abs(plain.s - seen.s).max() <= 100 * eps
    assert np.linalg.norm(whole(plain) - whole(seen)) <= 1000 * eps


@pytest.mark.parametrize("method", [rnla.SubspaceIteration(), rnla.FullSVD(), rnla.GramEigh(), rnla.TallQR()])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_rotation_from_the_left_changes_no_singular_value(dtype: str, method: Any) -> None:
    A = matrix("exponential", 70, 40, dtype=dtype, rng=1)
    rotated = (haar(70, 70, dtype=dtype, rng=2) @ A).astype(dtype)
    one, two = (rnla.svd(B, 10, method=method, rng=3) for B in (A, rotated))
    assert np.abs(one.s - two.s).max() <= 50 * eps_of(dtype)


# -------------------------------------------------------------------------------------------- the pieces, no chance
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("values", [np.arange(6, 0, -1.0), np.r_[1.0, 1.0, 0, 0, 0, 0], np.zeros(6)])
def test_the_svd_of_a_compressed_matrix(values: Array, side: str, dtype: str) -> None:
    short = haar(30, 6, dtype=dtype, rng=1).astype(dtype)
    long = matrix(values, 50, 6, dtype=dtype, rng=2)
    factors = LowRank(short, long.conj().T, None) if side == "left" else LowRank(None, long, short)
    expected = short @ long.conj().T if side == "left" else long @ short.conj().T
    left, s, right = svd_of_low_rank(factors)
    U, Vh = left[:, :], right[:, :]
    assert left.shape == U.shape
    assert np.abs(left[:, :3] - U[:, :3]).max() <= 30 * eps_of(dtype)
    eps = eps_of(dtype)
    assert np.abs(s - values).max() <= 30 * eps * 6
    assert np.linalg.norm((U * s) @ Vh - expected) <= 30 * eps * max(np.linalg.norm(values), 1e-30) * 3
    for Q in (U, Vh.conj().T):
        assert np.linalg.norm(Q.conj().T @ Q - np.eye(6)) <= 30 * eps * math.sqrt(6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(9, 5), (5, 9), (7, 7)])
def test_signs_are_a_convention_not_an_accident(shape: tuple[int, int], dtype: str) -> None:
    A = matrix(np.arange(5.0, 0, -1), *shape, dtype=dtype, rng=4)
    U, _, Vh = np.linalg.svd(A, full_matrices=False)
    U, Vh = U[:, :5], Vh[:5]
    phases = np.exp(1j * np.arange(5.0)) if np.dtype(dtype).kind == "c" else np.array([1, -1, -1, 1, -1.0])
    phases = phases.astype(dtype)
    one = fix_signs(U, Vh)
    two = fix_signs(U * phases, Vh * phases.conj()[:, None])
    for a, b in zip(one, two, strict=True):
        assert np.abs(a - b).max() <= 10 * eps_of(dtype)
    assert np.linalg.norm((U * np.ones(5)) @ Vh - one[0] @ one[1]) <= 30 * eps_of(dtype)
    back = fix_signs(Vh.conj().T, U.conj().T)
    assert np.abs(back[0] - one[1].conj().T).max() <= 10 * eps_of(dtype)


# --------------------------------------------------------------------------------------------------- the result
@pytest.fixture
def small() -> tuple[Array, rnla.SVDResult]:
    A = matrix("exponential", 50, 30, dtype="complex128", rng=1)
    return A, rnla.svd(A, 6, method=FIXED, rng=2)


def test_a_result_unpacks_into_its_factors_only(small: tuple[Array, rnla.SVDResult]) -> None:
    _, result = small
    U, s, Vh = result
    assert U is result.U
    assert s is result.s
    assert Vh is result.Vh
    assert len(result) == 3
    assert result[0] is U
    assert result[-1] is Vh
    assert result[:2] == (U, s)
    with pytest.raises(IndexError):
        result[3]
    assert (result.rank, result.shape) == (6, (50, 30))


def test_a_result_is_frozen(small: tuple[Array, rnla.SVDResult]) -> None:
    _, result = small
    for name in ("U", "error", "status"):
        with pytest.raises(AttributeError):
            setattr(result, name, None)
    with pytest.raises(AttributeError):
        result.error.value = 0.0  # type: ignore[misc]


@pytest.mark.parametrize("rank", [4, 5, 6])
def test_dots_stand_for_something(rank: int) -> None:
    values = next(line for line in str(rnla.svd(np.eye(9), rank, rng=0)).splitlines() if "values" in line)
    assert values.endswith(", ".join(["1"] * 4 + ["..."] * (rank > 5) + ["1"] * (rank > 4)))
    assert ("..." in values) == (rank > 5)


def test_a_result_prints_what_a_person_needs(small: tuple[Array, rnla.SVDResult]) -> None:
    _, result = small
    text = repr(result)
    assert text == str(result)
    for piece in ("6 of a 50 x 30", "10 basis columns", "error", result.status.value, "passes", "seed", "complex128"):
        assert piece in text
    assert f"{result.s[0]:.4g}" in text
    assert max(map(len, text.splitlines())) < 200
    assert len(text.splitlines()) <= 12
    empty = rnla.svd(np.zeros((3, 0)), 0)
    assert "none" in str(empty)


def test_a_result_multiplies_like_its_matrix(small: tuple[Array, rnla.SVDResult]) -> None:
    _, result = small
    op, dense = result.as_operator(), whole(result)
    rng = np.random.default_rng(0)
    x, X, y, Y = rng.random(30), rng.random((30, 3)), rng.random(50), rng.random((50, 3))
    for found, expected in (
        (op @ x, dense @ x), (op @ X, dense @ X), (y @ op, y @ dense), (Y.T @ op, Y.T @ dense),
        (op.H @ y, dense.conj().T @ y), (op.H @ Y, dense.conj().T @ Y), (op.rmatvec(y), dense.conj().T @ y),
        (op.to_array(), dense), (op @ list(x), dense @ x),
    ):  # fmt: skip
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 1e-14
    assert op.shape == (50, 30)
    assert op.dtype == np.complex128
    assert "rank 6" in repr(op)
    check_operator(op)
    again = rnla.svd(op, 6, rng=0)
    assert np.abs(again.s - result.s).max() <= 1e-13


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))])
def test_a_result_copies_and_pickles_and_goes_on(copier: Any, small: tuple[Array, rnla.SVDResult]) -> None:
    A, result = small
    other = copier(result)
    for a, b in zip(result, other, strict=True):
        assert np.array_equal(a, b)
    assert other.error == result.error
    assert other.status is result.status
    assert str(other) == str(result)
    expected = result.extend(rank=12)
    grown = other.extend(rank=12, A=A)
    for a, b in zip(expected, grown, strict=True):
        assert np.array_equal(a, b)
    assert np.array_equal(other.truncate(3).s, result.s[:3])


def test_an_unpickled_result_asks_for_its_matrix(small: tuple[Array, rnla.SVDResult]) -> None:
    _, result = small
    other = pickle.loads(pickle.dumps(result))
    with pytest.raises(rnla.InputError, match="A=A"):
        other.extend(rank=12)
    assert len(pickle.dumps(result)) < 100_000  # the matrix does not travel


def test_a_deep_copy_shares_nothing(small: tuple[Array, rnla.SVDResult]) -> None:
    _, result = small
    other = copy.deepcopy(result)
    other.U[...] = 0
    assert np.abs(result.U).max() > 0


def test_a_missed_tolerance_pickles_with_its_result() -> None:
    A = matrix("inverse_root", 40, 30, rng=1)
    with pytest.raises(rnla.ToleranceNotMet) as caught:
        rnla.svd(A, 3, tol=0.01, rng=0)
    error = pickle.loads(pickle.dumps(caught.value))
    assert str(error) == str(caught.value)
    assert error.result.rank == 3
    assert isinstance(error, RuntimeError)
    for piece in ("tol=1.0e-02", "rank 3", "on_failure='return'"):
        assert piece in str(error)


def test_every_status_gives_advice() -> None:
    assert rnla.Status.MET.ok
    for status in rnla.Status:
        assert status.ok == (status is rnla.Status.MET)
        assert len(status.value) > 10
        if not status.ok:
            assert any(word in status.value for word in ("give", "allow", "ask")), status.value


def test_a_report_says_what_was_done(small: tuple[Array, rnla.SVDResult]) -> None:
    A, result = small
    report = result.report
    assert (report.shape, report.rank, report.size, report.blocks) == ((50, 30), 6, 10, (10,))
    assert report.seed == 2
    assert report.dtype_path == "complex128"
    assert report.backend == "numpy"
    assert report.copies == ()
    assert report.passes == report.plan.passes
    assert report.numerical_rank == 6
    assert report.seconds > 0
    assert rnla.svd(A.real.astype(np.float16), 2, method=FIXED, rng=0).report.dtype_path == "float16 -> float32"


def test_the_plan_is_what_is_done() -> None:
    for A, request in (
        (matrix("inverse", 400, 300, rng=1), {"rank": 5}),
        (matrix("inverse", 400, 300, rng=1), {"rank": 5, "power_iterations": 1, "sketch": "sparse_sign"}),
        (matrix("inverse", 900, 30, rng=1), {"rank": 5}),
        (np.eye(20), {"rank": 3}),
    ):
        plan = rnla.plan(A, **request)
        result = rnla.svd(A, rng=0, **request)
        assert result.report.plan.method == plan.method
        assert result.report.passes == plan.passes
        assert plan.size is None or result.report.size == plan.size
        again = rnla.svd(A, request["rank"], method=plan.method, rng=0)
        assert np.array_equal(again.s, result.s)
        for piece in ("method", "passes", "memory", "because", str(A.shape[0])):
            assert piece in str(plan)


def test_a_method_excludes_the_simple_knobs() -> None:
    for knob in ({"oversampling": 3}, {"power_iterations": 1}, {"sketch": "gaussian"}):
        with pytest.raises(rnla.InputError, match=next(iter(knob))):
            rnla.svd(np.eye(5), 2, method=FIXED, **knob)
    for wrong in (rnla.SubspaceIteration, "subspace", 3):
        with pytest.raises(rnla.DTypeError, match="method"):
            rnla.svd(np.eye(5), 2, method=wrong)


def test_an_operator_transposes_and_is_not_formed_by_accident() -> None:
    A = np.random.default_rng(0).standard_normal((12, 9)) * (1 + 2j)
    operator = rnla.svd(A, 9, rng=0).as_operator()
    y = np.arange(12.0) + 1j
    assert np.allclose(operator.T @ y, A.T @ y)
    assert np.allclose(operator.H @ y, A.conj().T @ y)
    with pytest.raises(TypeError, match="to_array"):
        np.asarray(operator)


# ------------------------------------------------------------------------------------------------ share of energy
@pytest.mark.parametrize("energy", [0.5, 0.9, 0.99, 0.9999])
def test_a_share_of_energy_is_kept_with_the_least_rank(energy: float) -> None:
    s = 1.0 / np.arange(1, 61)
    result = rnla.svd(np.diag(s), energy=energy, rng=0)
    shares = np.cumsum(s**2) / np.sum(s**2)
    assert np.sum(result.s**2) >= energy * np.sum(s**2) * (1 - 1e-12)
    least = int(np.searchsorted(shares, energy)) + 1
    assert least <= result.rank <= least + 1
    assert rnla.plan(np.diag(s), energy=energy).size == rnla.plan(np.diag(s), tol=float(np.sqrt(1 - energy))).size


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"energy": 0.9, "tol": 0.1}, "give one of them"),
        ({"energy": 0.9, "norm": "spectral"}, "norm='fro'"),
        ({"energy": 1.0}, "between 0 and 1"),
        ({"energy": 0}, "between 0 and 1"),
        ({"energy": float("nan")}, "between 0 and 1"),
        ({"energy": 1 - 1e-13}, r"energy=0\.99"),
    ],
)
def test_a_share_of_energy_that_means_nothing_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(rnla.InputError, match=message):
        rnla.svd(np.eye(4, dtype=np.float32), **asked)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_left_vectors_take_the_memory_of_the_panel(dtype: str) -> None:
    """The image and an orthonormal panel, which becomes U; a panel more for U, and one for its signs, would be 4."""
    A = matrix(0.9 ** np.arange(40), 20_000, 40, dtype=dtype, rng=3)
    rnla.svd(A[:200], 20, method=rnla.GramEigh())
    tracemalloc.start()
    result = rnla.svd(A, 20, method=rnla.GramEigh())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 3.5 * result.U.nbytes
    assert np.linalg.norm(result.U.conj().T @ result.U - np.eye(20)) <= 1e-13
    expected = A @ result.Vh.conj().T / result.s
    assert np.abs(result.U - expected).max() <= 1e-12


@pytest.mark.parametrize("tall", [True, False])
def test_the_basis_in_a_result_is_not_overwritten_by_its_factors(tall: bool) -> None:
    """The image of the basis is that of the matrix, also where all the vectors are asked for; to a few eps."""
    a = np.random.default_rng(3).standard_normal((300, 40) if tall else (40, 300))
    method = rnla.SketchedRange(oversampling=0, space="column" if tall else "row")
    result = rnla.svd(a, 10, method=method, rng=0)
    basis = result.resume.basis
    gap = (a.T if tall else a) @ basis.basis - basis.image
    assert np.linalg.norm(gap) <= 1e-13 * np.linalg.norm(a)
    assert not np.shares_memory(result.U, basis.basis)
