"""Residuals of triplets: by the definition, for every kind; and the bound that they give."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import rnla
from rnla.error.triplet_residuals import eigenpair_residuals, triplet_residuals
from rnla.testing import matrix


def literal(A: Any, U: Any, s: Any, Vh: Any) -> list[float]:
    """Return the residuals, one triplet after the other."""
    out = []
    for j in range(len(s)):
        left = A @ Vh[j].conj() - s[j] * U[:, j]
        right = A.conj().T @ U[:, j] - s[j] * Vh[j].conj()
        out.append(float(np.sqrt(np.linalg.norm(left) ** 2 + np.linalg.norm(right) ** 2)))
    return out


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("shape", [(70, 50), (50, 70)])
def test_residuals_are_those_of_the_definition(shape: tuple[int, int], dtype: str) -> None:
    A = matrix("inverse_root", *shape, dtype=dtype, rng=1)
    method = rnla.SubspaceIteration(power_iterations=0, oversampling=4)
    U, s, Vh = rnla.svd(A, 8, method=method, rng=0)
    eps = float(np.finfo(np.dtype(dtype)).eps)
    expected = literal(A.astype(np.complex128), U, s, Vh)
    for form in (A, scipy.sparse.csr_array(A), scipy.sparse.linalg.aslinearoperator(A)):
        assert np.allclose(triplet_residuals(form, U, s, Vh), expected, rtol=1e-3, atol=50 * eps)
    torch = pytest.importorskip("torch")
    found = triplet_residuals(*(torch.from_numpy(each) for each in (A, U, s, Vh)))
    assert np.allclose(found, expected, rtol=1e-3, atol=50 * eps)


def test_a_singular_value_lies_within_the_residual_over_root_two() -> None:
    A = matrix("inverse", 70, 50, rng=2)
    true = np.linalg.svd(A)[1]
    result = rnla.svd(A, 10, method=rnla.SubspaceIteration(power_iterations=0, oversampling=2), rng=0)
    residuals = result.residuals()
    distance = np.abs(result.s[:, None] - true[None, :]).min(axis=1)
    assert np.all(distance <= residuals / np.sqrt(2) + 1e-14)
    assert residuals.max() > 1e-3  # the basis is poor, and that is told


def test_the_method_reads_the_matrix_that_it_is_given() -> None:
    A = matrix("fast", 60, 40, rng=3)
    result = rnla.svd(A, 5, rng=0)
    assert result.residuals().max() < 1e-13
    assert np.allclose(result.residuals(A=2 * A), result.s * np.sqrt(2), rtol=1e-12)
    large = rnla.svd(A * 1e200, 5, rng=0)
    assert large.residuals().max() < 1e187
    import pickle

    travelled = pickle.loads(pickle.dumps(result))
    with pytest.raises(rnla.InputError, match="did not travel"):
        travelled.residuals()
    assert np.array_equal(travelled.residuals(A=A), result.residuals())


def test_shapes_are_checked() -> None:
    with pytest.raises(rnla.InputError, match="not triplets"):
        triplet_residuals(np.eye(3), np.eye(2), np.ones(2), np.eye(2))
    with pytest.raises(rnla.InputError, match="not eigenpairs"):
        eigenpair_residuals(np.eye(3), np.ones(2), np.eye(2))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_residuals_of_eigenpairs_are_those_of_the_definition(dtype: str) -> None:
    """And, as A is Hermitian, an eigenvalue lies within each of them, to rounding."""
    A = matrix("inverse_root", 60, 60, dtype=dtype, rng=1)
    A = A + A.conj().T
    w, V = rnla.eigh(A, 8, method=rnla.SubspaceIteration(power_iterations=0, oversampling=4), rng=0)
    eps = float(np.finfo(np.dtype(dtype)).eps)
    wide = A.astype(np.complex128)
    expected = [float(np.linalg.norm(wide @ V[:, j] - float(w[j]) * V[:, j])) for j in range(8)]
    for form in (A, scipy.sparse.csr_array(A), scipy.sparse.linalg.aslinearoperator(A)):
        assert np.allclose(eigenpair_residuals(form, w, V), expected, rtol=1e-3, atol=50 * eps)
    assert max(expected) > 1e-2  # the basis is poor, and that is told
    distance = np.abs(w.astype(float)[:, None] - np.linalg.eigvalsh(wide)[None, :]).min(axis=1)
    assert np.all(distance <= np.array(expected) + 100 * eps)


def test_an_eigenvalue_result_measures_itself() -> None:
    A = matrix("fast", 40, 40, rng=3)
    A = A + A.T
    result = rnla.eigh(A, 5, rng=0)
    assert result.residuals().max() < 1e-13
    assert np.allclose(result.residuals(A=2 * A), np.abs(result.w), rtol=1e-12)
    assert rnla.eigh(A * 1e200, 5, rng=0).residuals().max() < 1e187
    with pytest.raises(rnla.InputError, match="did not travel"):
        dataclasses.replace(result, _source=None).residuals()
