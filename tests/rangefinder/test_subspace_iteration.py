"""Subspace iteration against the paper: its algorithm transcribed, and its theorems.

The basis X lies in the row space and spans (A^H A)^v Omega with v = power_iterations + 1, half a step
more than the paper's A (A^H A)^q Omega.  So it is the paper's Algorithm 4.4 for the adjoint of A, with
A Omega for a test matrix.  With the singular value decomposition A = U S V^H split after k values,
W1 = V1^H Omega and W2 = V2^H Omega, Theorem 9.1 for the adjoint and its test matrix reads

    norm(A (I - P))^2 <= norm(S2)^2 + norm(S2^2v W2 W1^+ S1^(1-2v))^2

in the spectral and the Frobenius norm, for every test matrix: no probability.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.rangefinder.protocols import Goal, Riders
from rnla.rng import Key
from rnla.testing import SPECTRA, matrix, optimal_error
from rnla.testing.range_finders import gaussian_error_bound
from tests.reference import halko2011

Array = np.ndarray[Any, Any]
SKETCHES = {"gaussian": rnla.Gaussian(), "sparse sign": rnla.SparseSign(nnz=3)}
DOUBLE = ["float64", "complex128"]


def basis_and_omega(
    A: Array, size: int, q: int, seed: int, space: str = "row", sketch: Any = SKETCHES["gaussian"], orth: Any = None
) -> tuple[Array, Array]:
    """Return the basis that the part finds, and the test matrix that it drew."""
    part = rnla.SubspaceIteration(
        power_iterations=q, sketch=sketch, space=space, orthonormalizer=orth or rnla.CholeskyQR2()
    )
    op = Ledger(as_operator(A))
    basis = part.find(op, Goal(size, min(A.shape)), Key(seed), Riders())
    rows = A.shape[1] if space == "row" else A.shape[0]
    key = Key(seed).child("test-matrix", 0)
    return basis.basis, sketch.tile(0, rows, rows, size, key, dtype=A.dtype, xp=np, device=None)


def slack(A: Array) -> float:
    """What rounding may add: 50 sqrt(max(m, n)) eps norm(A)."""
    return 50 * math.sqrt(max(A.shape)) * float(np.finfo(A.dtype).eps) * float(np.linalg.norm(A, 2))


def split(A: Array, omega: Array, k: int) -> tuple[Array, Array, Array, Array]:
    """Return S1, S2 as vectors, and W1, W2."""
    _, s, Vh = np.linalg.svd(A, full_matrices=False)
    W = Vh @ omega
    return s[:k], s[k:], W[:k], W[k:]


# ------------------------------------------------------------------------------------------ the paper's algorithm
@pytest.mark.parametrize("dtype", DOUBLE)
@pytest.mark.parametrize("shape", [(60, 40), (40, 60), (50, 50)])
@pytest.mark.parametrize("q", [0, 1, 2, 4])
@pytest.mark.parametrize("space", ["row", "column"])
@pytest.mark.parametrize("sketch", SKETCHES)
def test_the_basis_is_that_of_algorithm_4_4(
    sketch: str, space: str, q: int, shape: tuple[int, int], dtype: str
) -> None:
    A = matrix("inverse", *shape, dtype=dtype, rng=1)
    ours, omega = basis_and_omega(A, 9, q, 3, space, SKETCHES[sketch])
    view = A if space == "row" else A.conj().T
    theirs = halko2011.randomized_subspace_iteration(view.conj().T, view @ omega, q)
    gap = np.linalg.norm(ours - theirs @ (theirs.conj().T @ ours), 2)
    # The sine of the largest angle: rounding of one step over the gap between what is kept and what is not,
    # which the conditioning of W1 (below 1e3 here) and of S1 (10 to the power 2) enlarge.
    assert gap <= 1e-10


@pytest.mark.parametrize("dtype", DOUBLE)
@pytest.mark.parametrize("shape", [(60, 40), (40, 60)])
def test_without_power_steps_it_is_algorithm_4_1_of_the_adjoint(shape: tuple[int, int], dtype: str) -> None:
    A = matrix("inverse", *shape, dtype=dtype, rng=1)
    ours, omega = basis_and_omega(A, 9, 0, 3)
    theirs = halko2011.randomized_range_finder(A.conj().T, A @ omega)
    assert np.linalg.norm(ours - theirs @ (theirs.conj().T @ ours), 2) <= 1e-11


@pytest.mark.parametrize("dtype", DOUBLE)
@pytest.mark.parametrize("space", ["row", "column"])
def test_the_factors_are_those_of_algorithm_5_1_on_the_same_basis(space: str, dtype: str) -> None:
    A = matrix("exponential", 60, 45, dtype=dtype, rng=1)
    part = rnla.SubspaceIteration(power_iterations=1, oversampling=0, space=space)
    result = rnla.svd(A, 12, method=part, rng=3)
    assert result.resume is not None
    X = result.resume.basis.basis
    if space == "row":
        V, s, Uh = halko2011.direct_svd(A.conj().T, X)
        U, Vh = Uh.conj().T, V.conj().T
    else:
        U, s, Vh = halko2011.direct_svd(A, X)
    eps = float(np.finfo(dtype).eps)
    assert np.abs(result.s - s).max() <= 30 * eps * s[0]
    product = (U * s) @ Vh
    assert np.linalg.norm((result.U * result.s) @ result.Vh - product) <= 100 * eps * np.linalg.norm(product)
    # Each vector pair agrees but for a common phase.
    phases = np.sum(U.conj() * result.U, axis=0)
    assert np.abs(np.abs(phases) - 1).max() <= 1e-10
    assert np.abs(np.sum(Vh * result.Vh.conj(), axis=1) - phases).max() <= 1e-10


# ------------------------------------------------------------------------------------------------- Theorem 9.1
@pytest.mark.parametrize("dtype", DOUBLE)
@pytest.mark.parametrize("q", [0, 1, 2])
@pytest.mark.parametrize("sketch", SKETCHES)
@pytest.mark.parametrize("name", SPECTRA)
def test_theorem_9_1(name: str, sketch: str, q: int, dtype: str) -> None:
    """Deterministic, for every split k and both norms; it also says that the error is not below the optimum."""
    A = matrix(name, 70, 50, dtype=dtype, rng=2)
    size, v = 12, q + 1
    X, omega = basis_and_omega(A, size, q, 5, sketch=SKETCHES[sketch])
    rest = A - (A @ X) @ X.conj().T
    values = np.linalg.svd(A, compute_uv=False)
    for order, label in ((2, "spectral"), (None, "fro")):
        error = float(np.linalg.norm(rest, order))
        assert error >= optimal_error(values, size, label) - slack(A)
        for k in range(1, size):
            s1, s2, w1, w2 = split(A, omega, k)
            if s1[-1] ** 2 <= 1e3 * np.finfo(dtype).eps * s1[0] ** 2 or np.linalg.cond(w1) > 1e4:
                continue  # what a step without orthonormalization in its middle cannot resolve
            ratio = (s2 / s1[-1])[:, None] ** (2 * v - 1)
            middle = s2[:, None] * ratio * (w2 @ np.linalg.pinv(w1)) * ((s1[-1] / s1) ** (2 * v - 1))[None, :]
            bound = math.hypot(optimal_error(s2, 0, label), float(np.linalg.norm(middle, order)))
            assert error <= bound + slack(A), f"k={k}, {label}"


@pytest.mark.parametrize("q", [0, 1, 2])
@pytest.mark.parametrize("name", ["inverse", "inverse_root", "exponential", "flat", "noise_1e-2"])
def test_the_power_form_of_theorem_9_1(name: str, q: int) -> None:
    """norm(A (I - P)) <= norm((I - P) H^v)^(1/2v), and Theorem 9.1 for H^v in both norms."""
    A = matrix(name, 60, 45, rng=2)
    size, k, v = 12, 8, q + 1
    X, omega = basis_and_omega(A, size, q, 5)
    H = np.linalg.matrix_power(A.T @ A, v)
    rest = H - X @ (X.T @ H)
    s1, s2, w1, w2 = split(A, omega, k)
    powered = s2 ** (2 * v)
    middle = powered[:, None] * (w2 @ np.linalg.pinv(w1))
    for order in (2, None):
        bound = math.hypot(np.linalg.norm(powered, np.inf if order == 2 else None), np.linalg.norm(middle, order))
        assert np.linalg.norm(rest, order) <= bound + slack(H)
    error = float(np.linalg.norm(A - (A @ X) @ X.T, 2))
    assert error <= (float(np.linalg.norm(rest, 2)) + slack(H)) ** (1 / (2 * v)) * (1 + 1e-9)
    assert error <= s1[0] + slack(A)


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("dtype", DOUBLE)
@pytest.mark.filterwarnings("ignore::rnla.RankWarning")
def test_theorem_9_3_truncation_adds_at_most_the_next_singular_value(name: str, dtype: str) -> None:
    A = matrix(name, 80, 60, dtype=dtype, rng=2)
    values = np.linalg.svd(A, compute_uv=False)
    for k in (1, 5, 10):
        result = rnla.svd(A, k, method=rnla.SubspaceIteration(power_iterations=0, oversampling=6), rng=4)
        assert result.resume is not None
        X = result.resume.basis.basis
        whole = np.linalg.norm(A - (A @ X) @ X.conj().T, 2)
        cut = np.linalg.norm(A - (result.U * result.s) @ result.Vh, 2)
        assert cut <= values[k] + whole + slack(A)


# ----------------------------------------------------------------------------------------- identities, deterministic
@pytest.mark.parametrize("dtype", DOUBLE)
@pytest.mark.parametrize("name", SPECTRA)
def test_identities_and_interlacing(name: str, dtype: str) -> None:
    """Proposition 8.5 and Pythagoras: larger bases are never worse, squares add, singular values interlace."""
    A = matrix(name, 70, 50, dtype=dtype, rng=2)
    values = np.linalg.svd(A, compute_uv=False)
    size = float(np.linalg.norm(A))
    part = rnla.SubspaceIteration(power_iterations=0)
    op, basis = Ledger(as_operator(A)), None
    before = math.inf
    for columns in (6, 13, 30, 50):
        basis = part.find(op, Goal(columns, 50), Key(5), Riders(), basis)
        X, Y = basis.basis, basis.image
        rest = A - Y @ X.conj().T
        spectral, fro = float(np.linalg.norm(rest, 2)), float(np.linalg.norm(rest))
        assert abs(fro**2 - (size**2 - np.linalg.norm(Y) ** 2)) <= 50 * np.finfo(dtype).eps * size**2
        found = np.linalg.svd(Y, compute_uv=False)
        assert np.all(found <= values[:columns] + slack(A))
        assert np.all(np.abs(found - values[:columns]) <= spectral + slack(A))
        assert spectral >= optimal_error(values, columns, "spectral") - slack(A)
        assert spectral <= before + slack(A)
        before = spectral


# -------------------------------------------------------------------------------------------- Corollary 10.9, 10.5
@pytest.mark.statistical
@pytest.mark.parametrize("q", [0, 1, 2])
@pytest.mark.parametrize("name", SPECTRA)
def test_corollary_10_9(name: str, q: int) -> None:
    """False-alarm rate 6e-10 a seed for p >= 10 in the form 6 p^-p: 36 cases of 4 seeds, 9e-8 in all.

    For v = q + 1 the corollary is applied to H^v, whose singular values are the powers.
    """
    A = matrix(name, 90, 70, rng=2)
    values = np.linalg.svd(A, compute_uv=False)
    v = q + 1
    bound = gaussian_error_bound(values ** (2 * v), 20) ** (1 / (2 * v))
    for seed in range(4):
        X, _ = basis_and_omega(A, 20, q, seed)
        error = float(np.linalg.norm(A - (A @ X) @ X.T, 2))
        assert error <= bound + slack(A)


@pytest.mark.statistical
@pytest.mark.parametrize("q", [0, 1])
@pytest.mark.parametrize("name", ["inverse", "inverse_root", "exponential", "flat", "clustered"])
def test_theorem_10_5_in_the_mean(name: str, q: int) -> None:
    """False-alarm rate under 1e-11 a case: 7 standard errors of the mean over 60 seeds.

    Theorem 10.5 with the start half a step further, from Theorem 9.1 above and E norm(S G T)_F^2 =
    norm(S)_F^2 norm(T)_F^2: the mean of norm(A (I - P))_F^2 is at most
    (1 + k/(p-1) (s_{k+1} / s_k)^(2(2v-1))) times the squared optimum of rank k, for every k + p = l, p >= 2.
    """
    A = matrix(name, 70, 50, rng=2)
    values = np.linalg.svd(A, compute_uv=False)
    size, v = 14, q + 1
    squares = []
    for seed in range(60):
        X, _ = basis_and_omega(A, size, q, seed)
        squares.append(float(np.linalg.norm(A - (A @ X) @ X.T)) ** 2)
    mean, spread = float(np.mean(squares)), float(np.std(squares, ddof=1)) / math.sqrt(len(squares))
    bounds = []
    for k in range(2, size - 1):
        gain = (values[k] / values[k - 1]) ** (2 * (2 * v - 1))
        bounds.append((1 + k / (size - k - 1) * gain) * optimal_error(values, k) ** 2)
    assert mean - 7 * spread <= min(bounds)
    assert mean >= optimal_error(values, size) ** 2 * (1 - 1e-12)


# ---------------------------------------------------------------------------------------------- extension of a basis
@pytest.mark.parametrize("dtype", DOUBLE)
@pytest.mark.parametrize("space", ["row", "column"])
def test_a_second_block_is_subspace_iteration_on_what_is_left(space: str, dtype: str) -> None:
    A = matrix("inverse", 60, 50, dtype=dtype, rng=1)
    view = A if space == "row" else A.conj().T
    part = rnla.SubspaceIteration(power_iterations=1, space=space)
    op = Ledger(as_operator(A))
    first = part.find(op, Goal(6, 50), Key(5), Riders())
    second = part.find(op, Goal(13, 50), Key(5), Riders(), first)
    assert np.array_equal(second.basis[:, :6], first.basis)
    assert second.blocks == (6, 7)
    rows = view.shape[1]
    omega = Key(5).child("test-matrix", 1).normals(0, rows, 7, dtype=dtype)
    X = first.basis
    rest = view - (view @ X) @ X.conj().T
    theirs = halko2011.randomized_subspace_iteration(rest.conj().T, rest @ omega, 1)
    ours = second.basis[:, 6:]
    assert np.linalg.norm(ours - theirs @ (theirs.conj().T @ ours), 2) <= 1e-9
