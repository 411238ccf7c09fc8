"""The range of A Omega against the paper: Algorithms 4.1 and 4.5 transcribed, and its theorems.

With A = U S V^H split after k values, W1 = V1^H Omega and W2 = V2^H Omega, Theorem 9.1 is deterministic:

    norm((I - Q Q^H) A)^2 <= norm(S2)^2 + norm(S2 W2 W1^+)^2.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import rnla
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.rangefinder.protocols import Goal, Riders
from rnla.rng import Key
from rnla.testing import SPECTRA, matrix, optimal_error
from tests.reference import halko2011

Array = np.ndarray[Any, Any]
DOUBLE = ["float64", "complex128"]
SKETCHES = {"gaussian": rnla.Gaussian(), "sparse sign": rnla.SparseSign(nnz=3), "srtt": rnla.SRTT()}


def basis_and_omega(A: Array, size: int, seed: int, sketch: Any = SKETCHES["gaussian"]) -> tuple[Array, Array]:
    """Return the basis that the part finds, and the test matrix that it drew."""
    basis = rnla.SketchedRange(sketch).find(Ledger(as_operator(A)), Goal(size, min(A.shape)), Key(seed), Riders())
    n = A.shape[1]
    omega = sketch.tile(0, n, n, size, Key(seed).child("test-matrix", 0), dtype=A.dtype, xp=np, device=None)
    return basis.basis, omega


def slack(A: Array) -> float:
    """What rounding may add: 50 sqrt(max(m, n)) eps norm(A)."""
    return 50 * math.sqrt(max(A.shape)) * float(np.finfo(A.dtype).eps) * float(np.linalg.norm(A, 2))


@pytest.mark.parametrize("dtype", DOUBLE)
@pytest.mark.parametrize("shape", [(60, 40), (40, 60)])
@pytest.mark.parametrize("sketch", SKETCHES)
def test_the_basis_is_that_of_algorithms_4_1_and_4_5(sketch: str, shape: tuple[int, int], dtype: str) -> None:
    A = matrix("inverse", *shape, dtype=dtype, rng=1)
    ours, omega = basis_and_omega(A, 9, 3, SKETCHES[sketch])
    theirs = halko2011.randomized_range_finder(A, omega)
    # Rounding of one product over the smallest singular value of A Omega, of order 1/10 of the largest.
    assert np.linalg.norm(ours - theirs @ (theirs.conj().T @ ours), 2) <= 1e-12


@pytest.mark.parametrize("sketch", SKETCHES)
def test_a_second_block_spans_what_the_test_matrix_of_both_spans(sketch: str) -> None:
    A = matrix("inverse", 60, 50, rng=1)
    part, op = rnla.SketchedRange(SKETCHES[sketch]), Ledger(as_operator(A))
    first = part.find(op, Goal(6, 50), Key(5), Riders())
    second = part.find(op, Goal(13, 50), Key(5), Riders(), first)
    like = {"dtype": A.dtype, "xp": np, "device": None}
    both = [SKETCHES[sketch].tile(0, 50, 50, k, Key(5).child("test-matrix", i), **like) for i, k in ((0, 6), (1, 7))]
    theirs = halko2011.randomized_range_finder(A, np.column_stack(both))
    assert np.array_equal(second.basis[:, :6], first.basis)
    assert second.blocks == (6, 7)
    assert op.counts.passes == 4
    assert np.linalg.norm(second.basis - theirs @ (theirs.T @ second.basis), 2) <= 1e-12


@pytest.mark.parametrize("form", ["array", "sparse", "memmap"])
def test_the_fast_product_gives_the_same_subspace_as_the_tiles(form: str, tmp_path: Any) -> None:
    A = matrix("inverse", 200, 128, rng=1)
    np.save(tmp_path / "a.npy", A)
    given = {"array": A, "sparse": scipy.sparse.csr_array(A), "memmap": tmp_path / "a.npy"}[form]
    op = Ledger(as_operator(given))
    basis = rnla.SketchedRange(rnla.SRTT()).find(op, Goal(20, 128), Key(5), Riders())
    omega = rnla.SRTT().tile(0, 128, 128, 20, Key(5).child("test-matrix", 0))
    theirs = halko2011.randomized_range_finder(A, omega)
    assert np.linalg.norm(basis.basis - theirs @ (theirs.T @ basis.basis), 2) <= 1e-11
    assert op.counts.passes == 2


# ------------------------------------------------------------------------------------------------------- theorems
@pytest.mark.parametrize("dtype", DOUBLE)
@pytest.mark.parametrize("sketch", SKETCHES)
@pytest.mark.parametrize("name", SPECTRA)
def test_theorem_9_1(name: str, sketch: str, dtype: str) -> None:
    """Deterministic, for every split k and both norms."""
    A = matrix(name, 70, 50, dtype=dtype, rng=2)
    size = 12
    Q, omega = basis_and_omega(A, size, 5, SKETCHES[sketch])
    rest = A - Q @ (Q.conj().T @ A)
    _, s, Vh = np.linalg.svd(A, full_matrices=False)
    for order, label in ((2, "spectral"), (None, "fro")):
        error = float(np.linalg.norm(rest, order))
        assert error >= optimal_error(s, size, label) - slack(A)
        for k in range(1, size):
            w1, w2 = Vh[:k] @ omega, Vh[k:] @ omega
            if s[k - 1] <= 1e3 * np.finfo(dtype).eps * s[0] or np.linalg.cond(w1) > 1e4:
                continue  # rounding in A Omega hides such directions
            middle = float(np.linalg.norm(s[k:, None] * (w2 @ np.linalg.pinv(w1)), order))
            assert error <= math.hypot(optimal_error(s, k, label), middle) + slack(A), f"k={k}, {label}"


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["inverse", "inverse_root", "exponential", "flat", "clustered", "noise_1e-2"])
def test_theorems_10_5_to_10_8_and_corollary_10_9(name: str) -> None:
    """The means under Theorems 10.5 and 10.6 for every split, and each of 40 seeds under 10.7, 10.8 and 10.9.

    False-alarm rate under 1e-11 for the means (7 standard errors) and, for 10.7 and 10.8 at t = 30, u = 7, p >= 8
    (5 t^-p + 2 exp(-u^2/2) < 5e-11) and for 10.9 at 6 p^-p <= 6e-10 for p >= 10: under 2e-7 in all 240 cases.
    """
    A = matrix(name, 70, 50, rng=2)
    s = np.linalg.svd(A, compute_uv=False)
    size = 14
    errors: dict[str, list[float]] = {"fro": [], "spectral": []}
    for seed in range(40):
        Q, _ = basis_and_omega(A, size, seed)
        rest = A - Q @ (Q.T @ A)
        errors["fro"].append(float(np.linalg.norm(rest)))
        errors["spectral"].append(float(np.linalg.norm(rest, 2)))
    mean = {label: float(np.mean(found)) for label, found in errors.items()}
    spread = {label: float(np.std(found, ddof=1)) / math.sqrt(len(found)) for label, found in errors.items()}
    for k in range(2, size - 1):
        p = size - k
        tail, after = optimal_error(s, k), float(s[k])
        e = math.e * math.sqrt(size) / p
        assert mean["fro"] - 7 * spread["fro"] <= math.sqrt(1 + k / (p - 1)) * tail + slack(A)  # 10.5
        assert mean["spectral"] - 7 * spread["spectral"] <= (1 + math.sqrt(k / (p - 1))) * after + e * tail  # 10.6
        if p >= 8:
            t, u, e = 30.0, 7.0, math.e * math.sqrt(size) / (p + 1)
            worst = 1 + t * math.sqrt(12 * k / p)
            assert max(errors["fro"]) <= worst * tail + u * t * e * after + slack(A)  # 10.7
            assert max(errors["spectral"]) <= worst * after + t * e * tail + u * t * e * after + slack(A)  # 10.8
        if p >= 10:
            near = 1 + 8 * math.sqrt(size * p * math.log(p))
            assert max(errors["spectral"]) <= near * after + 3 * math.sqrt(size) * tail + slack(A)  # 10.9


@pytest.mark.statistical
def test_the_mean_is_near_the_optimum_on_fast_decay() -> None:
    """What is found is no more than 15 times the next singular value in the mean, where 7 to 10 is usual.

    False-alarm rate under 1e-11: at most 15 plus 7 standard errors of the mean over 40 seeds.
    """
    A = matrix("fast", 70, 50, rng=2)
    errors = []
    for seed in range(40):
        Q, _ = basis_and_omega(A, 14, seed)
        errors.append(float(np.linalg.norm(A - Q @ (Q.T @ A), 2)) / 0.5**14)
    assert np.mean(errors) <= 15 + 7 * np.std(errors, ddof=1) / math.sqrt(40)


# -------------------------------------------------------------------------------------------------- leave one out
@pytest.mark.parametrize("dtype", DOUBLE)
@pytest.mark.parametrize("name", ["inverse", "exponential", "noise_1e-2"])
def test_leave_one_out_is_that_of_every_column_left_out(name: str, dtype: str) -> None:
    A = matrix(name, 60, 40, dtype=dtype, rng=1)
    op = Ledger(as_operator(A))
    basis = rnla.SketchedRange().find(op, Goal(9, 40), Key(3), Riders(leave_one_out=True))
    omega = Key(3).child("test-matrix", 0).normals(0, 40, 9, dtype=dtype)
    assert basis.leave_one_out == pytest.approx(halko2011.leave_one_out(A, omega, 0), rel=1e-10)
    assert basis.leave_one_out_spread is not None
    assert 0 < basis.leave_one_out_spread < basis.leave_one_out


def test_leave_one_out_needs_independent_columns() -> None:
    A = matrix("inverse", 60, 40, rng=1)
    op = Ledger(as_operator(A))
    basis = rnla.SketchedRange(rnla.SRTT()).find(op, Goal(9, 40), Key(3), Riders(leave_one_out=True))
    assert basis.leave_one_out is None


@pytest.mark.statistical
def test_leave_one_out_is_unbiased() -> None:
    """The mean of its square over 150 seeds is that of the error with a column less; alarm under 1e-8 (6 errors)."""
    A = matrix("inverse", 60, 40, rng=1)
    gaps = []
    for seed in range(150):
        op = Ledger(as_operator(A))
        basis = rnla.SketchedRange().find(op, Goal(9, 40), Key(seed), Riders(leave_one_out=True))
        Q, _ = basis_and_omega(A, 8, 10_000 + seed)
        assert basis.leave_one_out is not None
        gaps.append(basis.leave_one_out**2 - np.linalg.norm(A - Q @ (Q.T @ A)) ** 2)
    assert abs(np.mean(gaps)) <= 6 * np.std(gaps, ddof=1) / math.sqrt(150)
