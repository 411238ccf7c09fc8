"""Block Krylov iteration against the paper and against subspace iteration; warm starts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse.linalg

import rnla
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.rangefinder.protocols import Goal, Riders
from rnla.rng import Key
from rnla.testing import SPECTRA, matrix, optimal_error
from tests.reference import tropp2023_rbki as reference

Array = np.ndarray[Any, Any]
DOUBLE = ["float64", "complex128"]


def slack(A: Array) -> float:
    """What rounding may add: 50 sqrt(max(m, n)) eps norm(A)."""
    return 50 * math.sqrt(max(A.shape)) * float(np.finfo(A.dtype).eps) * float(np.linalg.norm(A, 2))


# ------------------------------------------------------------------------------------------ the paper's algorithm
@pytest.mark.parametrize("dtype", DOUBLE)
@pytest.mark.parametrize(("shape", "space"), [((80, 50), "column"), ((50, 80), "row")])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_on_the_longer_side_it_is_the_algorithm_of_the_paper(
    depth: int, shape: tuple[int, int], space: str, dtype: str
) -> None:
    A = matrix("inverse", *shape, dtype=dtype, rng=1)
    seen = A if space == "column" else A.conj().T
    part = rnla.BlockKrylov(depth=depth, block_size=4, space=space)
    basis = part.find(Ledger(as_operator(A)), Goal(4 * depth, 50), Key(3), Riders())
    omega = Key(3).child("test-matrix", 0).normals(0, 50, 4, dtype=dtype)
    X, _, s, _ = reference.rbki(seen, omega, depth)
    # Every block multiplies the rounding of the one before by the share of it that was new, 1/100 at the least.
    assert np.linalg.norm(basis.basis - X @ (X.conj().T @ basis.basis), 2) <= 1e-9
    assert np.abs(np.linalg.svd(basis.image, compute_uv=False) - s).max() <= 1e-12


@pytest.mark.parametrize("dtype", DOUBLE)
@pytest.mark.parametrize("shape", [(80, 50), (50, 80)])
def test_on_the_shorter_side_the_basis_spans_powers_of_the_normal_matrix(shape: tuple[int, int], dtype: str) -> None:
    A = matrix("inverse", *shape, dtype=dtype, rng=1)
    seen = A if shape[1] < shape[0] else A.conj().T
    basis = rnla.BlockKrylov(depth=4).find(Ledger(as_operator(A)), Goal(20, 50), Key(3), Riders())
    omega = Key(3).child("test-matrix", 0).normals(0, 50, 5, dtype=dtype)
    K = reference.krylov_space(seen, omega, 4)
    assert basis.blocks == (5, 5, 5, 5)
    assert np.linalg.norm(basis.basis - K @ (K.conj().T @ basis.basis), 2) <= 1e-9


def test_to_go_on_continues_the_sequence(tmp_path: Path) -> None:
    A = matrix("inverse", 80, 50, rng=1)
    np.save(tmp_path / "a.npy", A)
    part = rnla.BlockKrylov(block_size=5)
    omega = Key(3).child("test-matrix", 0).normals(0, 50, 5)
    K = reference.krylov_space(A, omega, 5)
    for given, passes in ((A, 6), (np.asfortranarray(A), 9), (tmp_path / "a.npy", 6)):
        op = Ledger(as_operator(given))
        start = part.find(op, Goal(10, 50), Key(3), Riders())
        whole = part.find(op, Goal(25, 50), Key(3), Riders(), start)
        assert np.array_equal(whole.basis[:, :10], start.basis)
        assert np.linalg.norm(whole.basis - K @ (K.T @ whole.basis), 2) <= 1e-8
        assert op.counts.passes == passes  # by rows the way back of the last block is a pass of its own


def test_a_wider_block_takes_new_columns() -> None:
    A = matrix("inverse", 120, 90, rng=1)
    op = Ledger(as_operator(A))
    start = rnla.BlockKrylov().find(op, Goal(9, 90), Key(3), Riders())
    wide = rnla.BlockKrylov().find(op, Goal(69, 90), Key(3), Riders(), start)
    assert wide.blocks == (3, 3, 3, 20, 20, 20)
    fresh = rnla.BlockKrylov().find(op, Goal(60, 90), Key(4), Riders())
    left = [np.linalg.norm(A - b.image @ b.basis.T) for b in (wide, fresh)]
    assert left[0] <= left[1] * 1.05


@pytest.mark.parametrize("space", ["row", "column"])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_an_exact_rank_fills_its_blocks_with_orthonormal_columns(dtype: str, space: str) -> None:
    A = matrix(np.linspace(1, 0.5, 7), 80, 60, dtype=dtype, rng=1)
    basis = rnla.BlockKrylov(block_size=5, space=space).find(Ledger(as_operator(A)), Goal(35, 60), Key(0), Riders())
    X = basis.basis.astype(np.complex128)
    eps = float(np.finfo(dtype).eps)
    assert np.linalg.norm(X.conj().T @ X - np.eye(35)) <= 30 * eps * math.sqrt(35)
    view = A if space == "row" else A.conj().T
    assert np.linalg.norm(view - (view @ X) @ X.conj().T) <= 50 * eps * np.linalg.norm(A)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sequence_that_ends_is_replaced_by_what_the_matrix_sees(dtype: str) -> None:
    """All values equal: the second block adds nothing, and on the longer side arbitrary columns would not help."""
    A = matrix("flat", 80, 50, dtype=dtype, rng=1)
    part = rnla.BlockKrylov(block_size=5, space="column")
    basis = part.find(Ledger(as_operator(A)), Goal(50, 50), Key(0), Riders())
    X = basis.basis.astype(np.float64)
    assert np.linalg.norm(A - X @ (X.T @ A), 2) <= 100 * math.sqrt(80) * float(np.finfo(dtype).eps)


# ------------------------------------------------------------------------------------ against subspace iteration
@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("name", SPECTRA)
def test_the_error_is_never_above_that_of_powers_with_the_same_passes(name: str, depth: int, tmp_path: Path) -> None:
    """Deterministic: the same test matrix, and the span of all blocks holds that of the last power."""
    A = matrix(name, 120, 100, rng=2)
    np.save(tmp_path / "a.npy", A)
    krylov, powers = (
        Ledger(as_operator(tmp_path / "a.npy")),
        Ledger(as_operator(tmp_path / "a.npy")),
    )
    ours = rnla.BlockKrylov(depth=depth).find(krylov, Goal(15 * depth, 100), Key(7), Riders())
    theirs = rnla.SubspaceIteration(depth - 2).find(powers, Goal(15, 100), Key(7), Riders())
    assert krylov.counts.passes == powers.counts.passes == depth
    assert krylov.counts.products == powers.counts.products
    for order in (2, None):
        errors = []
        for basis in (ours, theirs):
            U, s, Vh = np.linalg.svd(basis.image, full_matrices=False)
            cut = (U[:, :10] * s[:10]) @ (Vh[:10] @ basis.basis.conj().T)
            errors.append(float(np.linalg.norm(A - cut, order)))
        if order is None:
            assert errors[0] <= errors[1] + slack(A)
        assert errors[0] >= optimal_error(np.linalg.svd(A, compute_uv=False), 10, "spectral" if order else "fro") - (
            slack(A)
        )


def spectral_error(values: Array, result: Any) -> float:
    """Return the spectral norm of diag(values) less the result, by 300 power steps from its largest column."""
    x = np.ones(len(values))
    size = 0.0
    for _ in range(300):
        y = values * x - (result.U * result.s) @ (result.Vh @ x)
        x = values * y - result.Vh.T @ (result.s * (result.U.T @ y))
        size = float(np.linalg.norm(y))
        x /= np.linalg.norm(x)
    return size


@pytest.mark.statistical
def test_slow_decay_is_where_it_pays() -> None:
    """Values j^-1/2, rank 20, n = 800: the published ordering, 4 blocks to 1.0000, powers of as many products above.

    A diagonal matrix is as good as any, since the test matrix is Gaussian.  False alarm rate: the largest of 5 seeds
    lies under 1.00005 by a factor of 5 in the excess, and the smallest excess of the powers above it by one of 20; no
    theorem, two decades apart.
    """
    values = np.arange(1.0, 801.0) ** -0.5
    A = np.diag(values)
    excess: dict[str, list[float]] = {"krylov": [], "powers": [], "plain": []}
    for seed in range(5):
        parts = {
            "krylov": rnla.BlockKrylov(depth=4),
            "powers": rnla.SubspaceIteration(2),
            "plain": rnla.SketchedRange(),
        }
        for label, part in parts.items():
            result = rnla.svd(A, 20, method=part, rng=seed)
            excess[label].append(spectral_error(values, result) / values[20] - 1)
    assert max(excess["krylov"]) <= 5e-5
    assert min(excess["powers"]) >= 3e-4
    assert min(excess["plain"]) >= 0.1


def test_each_adaptive_step_is_one_pass_over_rows(tmp_path: Path) -> None:
    A = matrix("inverse", 200, 150, rng=1)
    np.save(tmp_path / "a.npy", A)
    result = rnla.svd(tmp_path / "a.npy", tol=0.1, method=rnla.BlockKrylov(block_size=8), rng=0)
    assert result.report.passes == len(result.report.blocks)
    assert rnla.svd(A, tol=0.1, method=rnla.BlockKrylov(block_size=8), rng=0).rank == result.rank


# ------------------------------------------------------------------------------------------------------ warm starts
def drifted(name: str, dtype: str = "float64") -> tuple[Array, Array]:
    A = matrix(name, 150, 120, dtype=dtype, rng=1)
    return A, A + 1e-3 * matrix("inverse_root", 150, 120, dtype=dtype, rng=2)


@pytest.mark.parametrize("dtype", ["float64", "complex64"])
@pytest.mark.parametrize("name", ["inverse", "inverse_root", "noise_1e-2", "exponential"])
def test_one_step_from_the_last_one_is_as_good_as_three_from_noise(name: str, dtype: str) -> None:
    """What an optimizer does: A moved by 1e-3, and its old singular vectors are the start."""
    A, moved = drifted(name, dtype)
    V = rnla.svd(A, 15, method=rnla.FullSVD()).Vh.conj().T
    size = float(np.linalg.norm(moved))
    best = optimal_error(np.linalg.svd(moved, compute_uv=False), 15) / size
    warm = rnla.svd(moved, 15, method=rnla.SubspaceIteration(0, start=V), rng=0)
    cold = rnla.svd(moved, 15, method=rnla.SubspaceIteration(2), rng=0)
    assert warm.report.passes < cold.report.passes
    assert warm.error.value - best <= cold.error.value - best + 1e-6
    # Two blocks from the same start hold the one of the step.
    krylov = rnla.svd(moved, 15, method=rnla.BlockKrylov(depth=2, start=V), rng=0)
    assert krylov.error.value <= warm.error.value + 50 * np.finfo(dtype).eps


def test_a_warm_start_is_the_first_columns_of_the_test_matrix() -> None:
    A, moved = drifted("inverse")
    V = np.linalg.svd(A)[2][:6].conj().T
    op = Ledger(as_operator(moved))
    basis = rnla.SubspaceIteration(0, start=5.0 * V).find(op, Goal(10, 120), Key(3), Riders())
    omega = Key(3).child("test-matrix", 0).normals(0, 120, 10)
    Q = np.linalg.qr(moved.T @ (moved @ np.column_stack([V, omega[:, 6:]])))[0]
    assert np.linalg.norm(basis.basis - Q @ (Q.T @ basis.basis), 2) <= 1e-12
    one = rnla.BlockKrylov(depth=1, start=V[:, :4]).find(op, Goal(4, 120), Key(3), Riders())
    assert np.linalg.norm(one.basis - V[:, :4] @ (V[:, :4].T @ one.basis), 2) <= 1e-13


def test_the_space_follows_the_columns_of_a_start() -> None:
    A, _ = drifted("inverse")
    U, _, Vh = np.linalg.svd(A)
    for part in (rnla.SubspaceIteration, rnla.BlockKrylov):
        for start, space in ((U[:, :5], "column"), (Vh[:5].T, "row")):
            result = rnla.svd(A, 5, method=part(start=start), rng=0)
            assert result.resume is not None
            assert result.resume.basis.space == space
        with pytest.raises(rnla.InputError, match="start has 120 rows, and must have m=150"):
            rnla.svd(A, 5, method=part(start=Vh[:5].T, space="column"))
        with pytest.raises(rnla.InputError, match=r"start has 9 rows, and must have n=120 \(row space\) or m=150"):
            rnla.svd(A, 5, method=part(start=np.eye(9)))


@pytest.mark.parametrize("part", [rnla.SubspaceIteration, rnla.BlockKrylov])
def test_a_start_is_checked_and_copied(part: Any) -> None:
    start = np.linalg.qr(np.random.default_rng(0).standard_normal((30, 4)))[0]
    made = part(start=start)
    start[0, 0] = np.nan
    assert np.isfinite(made.start).all()
    for wrong, error in (
        (start, rnla.NonFiniteError),
        (np.zeros(30), rnla.DTypeError),
        ("warm", rnla.DTypeError),
        (np.zeros((30, 0)), rnla.InputError),
        (np.ones((30, 2), dtype=int), rnla.DTypeError),
    ):
        with pytest.raises(error, match="start"):
            part(start=wrong)
    with pytest.raises(rnla.DTypeError, match="start is complex"):
        rnla.svd(np.eye(30), 3, method=part(start=1j * np.eye(30)[:, :3]))


def test_a_start_of_low_rank_or_of_zeros_does_no_harm() -> None:
    A, moved = drifted("inverse")
    v = np.linalg.svd(A)[2][:1].T
    for start in (np.hstack([v, v, v]), np.zeros((120, 3))):
        result = rnla.svd(moved, 8, method=rnla.SubspaceIteration(1, start=start), rng=0)
        cold = rnla.svd(moved, 8, method=rnla.SubspaceIteration(1), rng=0)
        assert result.error.value <= 1.05 * cold.error.value


def test_no_leave_one_out_with_a_start() -> None:
    A, moved = drifted("inverse")
    V = np.linalg.svd(A)[2][:6].T
    only = scipy.sparse.linalg.aslinearoperator(moved)
    result = rnla.svd(only, 8, method=rnla.SubspaceIteration(1, start=V), rng=0)
    assert result.error.method == "independent probes"
    assert result.report.passes == rnla.plan(only, 8, method=rnla.SubspaceIteration(1, start=V)).passes
    assert rnla.svd(only, 8, method=rnla.SubspaceIteration(1), rng=0).error.method == "leave-one-out"


def test_a_tolerance_from_a_warm_start() -> None:
    A, moved = drifted("noise_1e-4")
    V = np.linalg.svd(A)[2][:12].T
    for part in (rnla.SubspaceIteration(0, start=V), rnla.BlockKrylov(start=V)):
        result = rnla.svd(moved, tol=0.01, method=part, rng=0)
        assert result.error.meets(0.01)
        assert result.rank == rnla.svd(moved, tol=0.01, method=rnla.FullSVD()).rank
