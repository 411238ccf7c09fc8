"""Every estimate of an error against the truth: identities, brute force, and the rules of choice."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse.linalg
import scipy.stats

import rnla
from rnla.error.certificate import certify, smallest_rank, with_probes
from rnla.error.leave_one_out import leave_one_out, leaving_directions
from rnla.error.probes import lower_share, probe_residual
from rnla.error.residual import frobenius_difference, identity_floor
from rnla.error.spectral import spectral_bound
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.rangefinder.protocols import Goal, Riders
from rnla.results import RangeBasis
from rnla.rng import Key
from rnla.testing import matrix, optimal_error
from tests.reference import halko2011

Array = np.ndarray[Any, Any]
DTYPES = ["float32", "float64", "complex64", "complex128"]


def found(A: Any, size: int, q: int = 0, seed: int = 3, space: str = "row", **riders: Any) -> tuple[Ledger, RangeBasis]:
    op = Ledger(as_operator(A))
    op.measure()
    part = rnla.SubspaceIteration(power_iterations=q, space=space)
    return op, part.find(op, Goal(size, min(op.shape)), Key(seed), Riders(**riders))


def certified(op: Ledger, basis: RangeBasis, norm: str = "fro", tol: float | None = None) -> tuple[Any, RangeBasis]:
    values = np.linalg.svd(basis.image, compute_uv=False)
    return certify(op, basis, norm, Key(0), tol=tol, values=values)


def residual_of(A: Array, basis: RangeBasis) -> Array:
    wide = np.complex128 if A.dtype.kind == "c" else np.float64
    A = A.astype(wide) if basis.space == "row" else A.astype(wide).conj().T
    return A - basis.image.astype(wide) @ basis.basis.astype(wide).conj().T


# ------------------------------------------------------------------------------------------------ Frobenius identity
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("space", ["row", "column"])
def test_the_identity_is_the_true_error_and_keeps_its_silence_below_its_floor(space: str, dtype: str) -> None:
    eps = float(np.finfo(dtype).eps)
    floor = identity_floor(np.dtype(dtype))
    assert floor == pytest.approx(32 * math.sqrt(eps))
    for level in (0.3, 2 * floor, 1.2 * floor, 0.8 * floor, 0.1 * floor, 0.0):
        values = np.r_[np.ones(10), np.full(60, level * math.sqrt(10 / 60))]
        A = matrix(values, 110, 70, dtype=dtype, rng=1)
        _, basis = found(A, 10, 2, space=space)
        norm = float(np.linalg.norm(A.astype(np.complex128)))
        truth = float(np.linalg.norm(residual_of(A, basis)))
        value = frobenius_difference(norm, basis.image)
        if level >= 1.2 * floor:
            assert value is not None
            # A difference of squares, each with c eps of its own: c eps / (2 relative error^2) of the value.
            assert abs(value - truth) <= 20 * eps * (norm / truth) ** 2 * truth
        elif level <= 0.8 * floor:
            assert value is None


# ------------------------------------------------------------------------------------------------------ leave-one-out
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("q", [0, 1, 2])
@pytest.mark.parametrize("space", ["row", "column"])
@pytest.mark.parametrize("name", ["inverse", "inverse_root", "flat", "noise_1e-2"])
def test_leave_one_out_is_brute_force_leave_one_out(name: str, space: str, q: int, dtype: str) -> None:
    A = matrix(name, 60, 45, dtype=dtype, rng=1)
    _, basis = found(A, 8, q, space=space, leave_one_out=True)
    rows = A.shape[1] if space == "row" else A.shape[0]
    omega = Key(3).child("test-matrix", 0).normals(0, rows, 8, dtype=dtype)
    wide = np.complex128 if A.dtype.kind == "c" else np.float64
    view = A.astype(wide) if space == "row" else A.astype(wide).conj().T
    omega = omega.astype(wide)
    squares = []
    for i in range(8):
        rest = np.delete(omega, i, axis=1)
        X = halko2011.randomized_subspace_iteration(view.conj().T, view @ rest, q)
        w = omega[:, i]
        squares.append(np.linalg.norm(view @ (w - X @ (X.conj().T @ w))) ** 2)
    expected = math.sqrt(np.mean(squares))
    assert basis.leave_one_out is not None
    # The direction that leaves a nearly dependent column comes with eps times the condition of the steps.
    rel = 1e-8 if np.finfo(dtype).eps < 1e-10 else 2e-2
    assert basis.leave_one_out == pytest.approx(expected, rel=rel)
    spread = np.std(squares, ddof=1) / math.sqrt(8) / (2 * expected)
    assert basis.leave_one_out_spread == pytest.approx(spread, rel=10 * rel)
    if space == "column" and q == 0:
        # With an adjoint view the paper's own form: A A^H Omega' and the columns of A^H.
        again = halko2011.leave_one_out(np.eye(rows, dtype=wide), omega, 0)
        assert again == pytest.approx(math.sqrt(rows - 7), rel=0.5)


def test_leave_one_out_says_nothing_of_a_singular_triangle() -> None:
    assert leaving_directions([np.diag([1.0, 0.0])]) is None
    assert leaving_directions([np.diag([1.0, 1e-18])]) is None
    assert leave_one_out(np.ones((3, 2)), np.ones((3, 2)), np.eye(2), [np.zeros((2, 2))]) is None
    assert leaving_directions([np.eye(3)]) is not None


def test_an_operator_of_low_rank_gets_an_estimate_all_the_same() -> None:
    A = matrix(np.ones(5), 80, 60, rng=1)
    result = rnla.svd(scipy.sparse.linalg.aslinearoperator(A), 5, rng=0)
    assert result.error.value <= 1e-10
    assert result.error.kind == "estimated"


# ------------------------------------------------------------------------------------------------------------- probes
@pytest.mark.parametrize("columns", [1, 3, 10, 30, 200])
@pytest.mark.parametrize("failure", [1e-1, 1e-4, 1e-8])
@pytest.mark.parametrize("complex_columns", [False, True])
def test_shares_bound_the_chi_square_quantiles(columns: int, failure: float, complex_columns: bool) -> None:
    """For a residual of rank one the estimate is a chi-square variable: the widest spread that there is."""
    degrees = columns * (2 if complex_columns else 1)
    low = lower_share(columns, failure, complex_columns=complex_columns)
    chi = scipy.stats.chi2(degrees)
    assert chi.cdf(low * degrees) <= failure
    # Chernoff's bound is not far from the quantile: the bound on the error is not needlessly large.
    assert low >= chi.ppf(failure / 100) / degrees


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("space", ["row", "column"])
def test_probes_measure_the_residual(space: str, dtype: str) -> None:
    """With as many orthogonal probes as rows, scaled, the estimate is exact."""
    A = matrix("inverse", 50, 40, dtype=dtype, rng=1)
    _, basis = found(A, 9, space=space)
    rows = basis.basis.shape[0]
    probes = (np.eye(rows) * math.sqrt(rows)).astype(dtype)
    view = A if space == "row" else A.conj().T
    value, _ = probe_residual(basis.basis, basis.image, probes, view @ probes)
    truth = float(np.linalg.norm(residual_of(A, basis)))
    assert value == pytest.approx(truth, rel=100 * float(np.finfo(dtype).eps))


def test_late_probes_are_counted_and_independent_of_the_basis() -> None:
    A = matrix("inverse", 50, 40, rng=1)
    op, basis = found(A, 9)
    before = op.counts.products
    with_them = with_probes(op, basis, Key(3), 7)
    assert op.counts.products == before + 7
    assert with_them.probes is not None
    omega = Key(3).child("test-matrix", 0).normals(0, 40, 7)
    assert np.abs(np.corrcoef(omega.T, with_them.probes.T)[:7, 7:]).max() < 0.9


# ------------------------------------------------------------------------------------------------------ the choice
def test_the_rules_of_choice_in_their_order() -> None:
    A = matrix("inverse", 60, 45, rng=1)
    implicit = scipy.sparse.linalg.aslinearoperator(A)
    op, basis = found(A, 9)
    assert certified(op, basis, tol=0.1)[0].method == "the Frobenius identity"
    op, basis = found(A, 45)
    error = certified(op, basis, tol=0.1)[0]
    assert (error.method, error.kind, error.value) == ("a complete basis", "exact", 0.0)
    op, basis = found(implicit, 9, leave_one_out=True)
    assert certified(op, basis)[0].method == "leave-one-out"
    error = certified(op, basis, tol=0.1)[0]
    assert (error.method, error.kind) == ("independent probes", "estimated")
    assert error.failure_probability > 0
    assert error.upper > error.value
    low = matrix(np.r_[np.ones(9), 1e-9 * np.ones(30)], 60, 45, rng=1)
    op, basis = found(low, 9, 1)
    truth = float(np.linalg.norm(residual_of(low, basis))) / 3
    error = certified(op, basis, tol=0.1)[0]  # far above the floor of the identity, which is bound enough
    assert (error.kind, error.method) == ("bounded", "the Frobenius identity, at its floor")
    assert error.value <= error.upper
    assert truth <= error.upper == error.floor
    error, basis = certified(op, basis, tol=1e-6)
    assert error.method == "independent probes"
    assert error.value == pytest.approx(float(np.linalg.norm(residual_of(low, basis))) / 3, rel=1.5)
    op, basis = found(A, 9)
    error = certified(op, basis, "spectral", 0.1)[0]
    assert (error.norm, error.kind, error.method) == ("spectral", "bounded", "powered probes")
    op, basis = found(np.zeros((9, 8)), 3)
    assert certified(op, basis, tol=0.1)[0].value == 0


def test_the_leave_one_out_error_of_a_truncated_rank_has_the_dropped_values_in_it() -> None:
    A = matrix("inverse", 90, 70, rng=1)
    result = rnla.svd(scipy.sparse.linalg.aslinearoperator(A), 5, power_iterations=1, rng=0)
    assert result.error.method == "leave-one-out"
    assert result.error.kind == "estimated"
    assert math.isnan(result.error.upper)
    values = 1 / np.arange(1.0, 71)
    best = optimal_error(values, 5) / float(np.linalg.norm(values))
    assert result.error.value == pytest.approx(best, rel=0.05)


@pytest.mark.parametrize("norm", ["fro", "spectral"])
def test_the_smallest_rank_is_the_smallest(norm: str) -> None:
    A = matrix("exponential", 60, 45, rng=1)
    op, basis = found(A, 25, 1)
    whole, basis = certified(op, basis, norm, 0.1)
    s = np.linalg.svd(basis.image, compute_uv=False)
    for tol in (0.9, 0.5, 0.2):
        k = smallest_rank(whole, s, tol)
        assert k is not None

        def error(rank: int) -> float:
            tail = s[rank:]
            dropped = (np.linalg.norm(tail) if norm == "fro" else tail[0]) if len(tail) else 0.0
            return math.hypot(whole.upper * whole.norm_of_A, float(dropped)) / whole.norm_of_A

        assert error(k) <= tol * (1 + 1e-12)
        assert k == 0 or error(k - 1) > tol
    assert smallest_rank(whole, s, 1e-12) is None
    assert smallest_rank(dataclasses.replace(whole, norm_of_A=0.0), s, 0.1) == 0


def test_the_spectral_bound_of_nothing_is_nothing() -> None:
    A = matrix(np.ones(4), 30, 20, rng=1)
    X = np.linalg.svd(A)[2][:4].T
    bound, _ = spectral_bound(Ledger(as_operator(A)), X, A @ X, Key(1))
    assert bound <= 1e-13
    assert spectral_bound(Ledger(as_operator(np.zeros((5, 4)))), np.eye(4)[:, :1], np.zeros((5, 1)), Key(1))[0] == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_estimate_prints_in_words(dtype: str) -> None:
    A = matrix("inverse", 60, 45, dtype=dtype, rng=1)
    text = str(rnla.svd(A, 5, rng=0, power_iterations=1).error)
    assert "Frobenius norm" in text
    assert "exact" in text
    text = str(rnla.svd(A, tol=0.2, norm="spectral", rng=0, method=rnla.Adaptive(block_size=4)).error)
    assert "spectral norm" in text
    assert "probability" in text


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("n", [12, 20, 40])
def test_lapacks_own_rounding_is_allowed_for_in_small_matrices(n: int, dtype: str, stacked: bool) -> None:
    """Its complete factorizations are off by up to 47 eps, of 20 columns as of 300; a tolerance below is looked at."""
    eps = float(np.finfo(dtype).eps)
    wide = np.clongdouble if np.dtype(dtype).kind == "c" else np.longdouble
    for seed in range(9):
        A = matrix(["flat", "inverse", "fast"][seed % 3], n, n, dtype=dtype, rng=seed)
        for tol in (25 * eps, 35 * eps):
            result = rnla.svd(np.stack([A]) if stacked else A, tol=tol, rng=0, on_failure="return")
            U, s, Vh = (x.reshape(x.shape[-2:] if x.ndim > 1 else -1).astype(wide) for x in result)
            true = float(np.sqrt((np.abs(A - (U * s.reshape(-1)) @ Vh) ** 2).sum())) / float(np.linalg.norm(A))
            assert true <= float(np.max(result.error.upper)) * (1 + 1e-12)
            assert true <= tol * (1 + 1e-12) or not result.status.ok
