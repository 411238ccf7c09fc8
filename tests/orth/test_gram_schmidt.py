"""What a panel adds to a basis, in sweeps: orthogonality, the factors, and where it says that it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from rnla._kernels import compiled
from rnla.orth.gram_schmidt import added_by

M, L, K = 20_000, 40, 8


def orthonormal(rng: np.random.Generator, columns: int, dtype: str) -> np.ndarray:
    a = rng.standard_normal((M, columns))
    if np.dtype(dtype).kind == "c":
        a = a + 1j * rng.standard_normal((M, columns))
    return np.ascontiguousarray(np.linalg.qr(a)[0].astype(dtype))


@pytest.mark.parametrize("setting", ["plain", "compiled"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_the_whole_stays_orthonormal(dtype: str, setting: str) -> None:
    """[B Q] is orthonormal to 20 k eps, as CholeskyQR2's theorem has it, at conditions near the end of what is taken.

    Q R is the part of X outside of B to eps times the condition, as a product with an inverse triangle leaves it.
    """
    pytest.importorskip("numba")
    rng, eps = np.random.default_rng(0), float(np.finfo(dtype).eps)
    both = orthonormal(rng, L + K, dtype)
    basis, rest = np.ascontiguousarray(both[:, :L]), both[:, L:]
    condition = 3e-3 / eps**0.5
    turn = np.linalg.qr(rng.standard_normal((K, K)))[0]
    mixing = turn * np.geomspace(1, 1 / condition, K) @ turn.T
    graded = np.geomspace(1e-6, 1e6, K) if dtype != "float32" else np.ones(K)
    inside = 0.1 * basis @ rng.standard_normal((L, K))
    x = ((rest @ mixing + inside) * graded).astype(dtype)
    with compiled.using(setting, ["panels"], np.dtype(dtype)):
        before = x.copy()
        added = added_by(basis, x)
        assert added is not None
        outside = x - basis @ (basis.conj().T @ x)
        q = added.orthogonal()
        assert q is not None
        assert np.array_equal(x, before)
        assert np.linalg.norm(basis.conj().T @ q) <= 20 * K * eps
        assert np.linalg.norm(q.conj().T @ q - np.eye(K)) <= 20 * K * eps
        assert np.allclose(np.tril(added.triangle, -1), 0)
        error = np.linalg.norm(q @ added.triangle - outside, axis=0) / np.linalg.norm(x, axis=0)
        assert np.all(error <= 100 * K * eps * condition)


def test_a_part_far_from_the_last_columns_is_found_out() -> None:
    """With `near`, what X shares with the other columns is at most the level, or the whole basis is projected out."""
    rng = np.random.default_rng(1)
    both = orthonormal(rng, L + K, "float64")
    basis, rest = np.ascontiguousarray(both[:, :L]), both[:, L:]
    mixing = rng.standard_normal((K, K))
    for far in (0.0, 1.0):
        x = rest @ mixing + basis[:, -8:] @ rng.standard_normal((8, K)) + far * basis[:, :8] @ np.eye(8, K)
        added = added_by(basis, x, 16, 1e-12)
        assert added is not None
        # The triangle is that of what lies outside of the whole basis: its Gram matrix says which columns were taken.
        assert np.allclose(added.triangle.T @ added.triangle, mixing.T @ mixing, rtol=1e-10, atol=1e-10)
        q = added.orthogonal()
        assert q is not None
        assert np.linalg.norm(basis.T @ q) <= 1e-13


def test_dependent_columns_are_left_to_others() -> None:
    rng = np.random.default_rng(2)
    basis = orthonormal(rng, L, "float64")
    x = rng.standard_normal((M, K))
    x[:, 3] = x[:, 2]
    assert added_by(basis, x) is None
    assert added_by(basis, np.full((M, K), np.nan)) is None
    assert added_by(basis, np.zeros((M, K))) is None
    x[:, 3] = x[:, 2] + 1e-9 * rng.standard_normal(M)
    assert added_by(basis, x) is None


def test_what_lies_in_the_basis_is_told() -> None:
    """A panel in the basis but for 1e-13 leaves a Q that one more sweep does not make orthogonal."""
    rng = np.random.default_rng(3)
    basis = orthonormal(rng, L, "float64")
    x = basis @ rng.standard_normal((L, K)) + 1e-16 * rng.standard_normal((M, K))
    added = added_by(basis, x)
    assert added is None or added.orthogonal() is None
