"""The subsampled trigonometric transform against the papers' formula, its norm, and its theorem as a rate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.rng import Key
from rnla.sketch.transforms import TRANSFORMS
from rnla.testing.spectra import haar
from tests.reference import sketches as oracle

Array = np.ndarray[Any, Any]
MATRICES = {"dct": oracle.dct, "hadamard": oracle.hadamard, "fourier": oracle.dft}


def phases(key: Key, count: int) -> Array:
    return np.exp(2j * math.pi * key.uniforms(0, count))


@pytest.mark.parametrize("rows", [1, 2, 13, 16])
@pytest.mark.parametrize("permute", [True, False])
@pytest.mark.parametrize("rounds", [1, 2, 3])
@pytest.mark.parametrize("transform", MATRICES)
def test_it_is_the_product_that_the_papers_write(transform: str, rounds: int, permute: bool, rows: int) -> None:
    key, columns = Key(7), 9
    length = 2 ** math.ceil(math.log2(rows)) if transform == "hadamard" else rows
    signs: list[Array] = []
    orders: list[Array] = []
    for step in range(rounds):
        own = key.child("signs", step)
        signs.append(phases(own, length) if transform == "fourier" else own.signs(0, length, 1)[:, 0])
        order = np.argsort(key.child("permutation", step).words(0, length), kind="stable")
        orders.append(order if permute else np.arange(length))
    samples = [np.argsort(key.child("sample", i).words(0, length), kind="stable") for i in range(columns)]
    chosen = np.concatenate(samples)[:columns]
    expected = oracle.srtt(MATRICES[transform](length), signs, orders, chosen, rows)
    found = rnla.SRTT(transform, rounds, permute).tile(0, rows, rows, columns, key, dtype="complex128")
    assert np.abs(found - expected).max() <= 1e-13


def test_fourier_in_place_is_the_papers_srft() -> None:
    """Algorithm 4.5 times sqrt(columns)."""
    n, columns, key = 24, 10, Key(3)
    d = phases(key.child("signs", 0), n)
    chosen = np.argsort(key.child("sample", 0).words(0, n), kind="stable")[:columns]
    found = rnla.SRTT("fourier", permute=False).tile(0, n, n, columns, key, dtype="complex128")
    assert np.abs(found - oracle.srft(d, chosen)).max() <= 1e-13
    assert np.allclose(np.abs(found), 1, rtol=1e-14)


@pytest.mark.parametrize("rows", [1, 2, 13])
@pytest.mark.parametrize("transform", MATRICES)
def test_with_rotations_it_is_the_papers_gsrft(transform: str, rows: int) -> None:
    key, columns = Key(11), 7
    length = 2 ** math.ceil(math.log2(rows)) if transform == "hadamard" else rows
    diagonals = []
    for step in range(3):
        own = key.child("signs", step)
        diagonals.append(phases(own, length) if transform == "fourier" else own.signs(0, length, 1)[:, 0])
    chains = []
    for step in (1, 2):
        angles = 2 * math.pi * key.child("angles", step).uniforms(0, length - 1)
        order = np.argsort(key.child("permutation", step).words(0, length), kind="stable")
        chains.append(oracle.rotation_chain(length, angles, order))
    samples = [np.argsort(key.child("sample", i).words(0, length), kind="stable") for i in range(columns)]
    expected = oracle.gsrft(MATRICES[transform](length), diagonals, chains, np.concatenate(samples)[:columns], rows)
    found = rnla.GivensSRTT(transform).tile(0, rows, rows, columns, key, dtype="complex128")
    assert np.abs(found - expected).max() <= 1e-13


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transforms_are_unitary_and_their_roads_agree(transform: str) -> None:
    kind = TRANSFORMS[transform]
    for rows in (1, 2, 12, 32):
        N = kind.length(rows)
        everywhere = np.arange(N)
        F = kind.entries(everywhere, everywhere, N).T / math.sqrt(N)
        assert np.abs(F - MATRICES[transform](N)).max() <= 1e-14
        assert np.abs(F @ F.conj().T - np.eye(N)).max() <= 1e-13
        x = Key(1).normals(0, 5, N, dtype="complex128")
        assert np.abs(kind.forward(x.copy()) - x @ F.T).max() <= 1e-13
        z = x[0].copy() if kind.is_complex else x[0].real.copy()
        assert np.abs(kind.transposed(z) - F.T @ z).max() <= 1e-13


@pytest.mark.parametrize(
    "part", [rnla.SRTT(), rnla.SRTT("hadamard"), rnla.SRTT("fourier"), rnla.SRTT(rounds=2), rnla.GivensSRTT()], ids=repr
)
def test_columns_are_orthogonal_and_the_norm_is_known(part: Any) -> None:
    """Its norm is sqrt(N) exactly; with all columns, and with twice as many, it keeps every norm exactly."""
    for columns in (5, 32, 64):
        omega = part.tile(0, 32, 32, columns, Key(2), dtype="complex128")
        if columns <= 32:
            assert np.abs(omega.conj().T @ omega - 32 * np.eye(columns)).max() <= 1e-12
        if columns >= 32:
            assert np.abs(omega @ omega.conj().T - columns * np.eye(32)).max() <= 1e-12


@pytest.mark.parametrize("rows", [33, 63, 64])
def test_hadamard_padding_keeps_sizes_of_entries_and_rows(rows: int) -> None:
    omega = rnla.SRTT("hadamard").tile(0, rows, rows, 40, Key(2))
    assert set(np.unique(omega)) == {-1.0, 1.0}
    assert np.linalg.norm(omega, 2) <= 8 + 1e-12


def proof(k: int, n: int) -> tuple[int, float]:
    """Return the columns of Theorem 1.3 of Tropp (2011), and the failure probability that its proof adds up.

    Rows of the transformed V are as long as they should be but with probability 1/k (Lemma 3.3, beta = k); then
    Chernoff's bound for columns >= 4 M log k gives the two sides with delta = 5/6 and eta = 7/6 (Lemma 3.4).
    """
    columns = math.ceil(4 * (math.sqrt(k) + math.sqrt(8 * math.log(k * n))) ** 2 * math.log(k))
    delta, eta, power = 5 / 6, 7 / 6, 4 * math.log(k)
    below = k * math.exp(power * (-delta - (1 - delta) * math.log(1 - delta)))
    above = k * math.exp(power * (eta - (1 + eta) * math.log(1 + eta)))
    return columns, 1 / k + below + above


def subspace_of(name: str, n: int, k: int) -> Array:
    """Return k orthonormal columns; neighbouring or regular ones are the hard cases of structured transforms."""
    if name == "random":
        return haar(n, k, rng=9)
    order = np.arange(n) if name.startswith("neighbouring") else np.arange(n).reshape(16, -1).T.reshape(-1)
    V = np.zeros((n, k))
    V[order[:k], np.arange(k)] = 1
    return V


@pytest.mark.statistical
@pytest.mark.parametrize("subspace", ["random", "neighbouring coordinates", "regular coordinates"])
@pytest.mark.parametrize("transform", ["hadamard", "fourier"])
def test_the_theorem_holds_as_often_as_it_says(transform: str, subspace: str) -> None:
    """Over 60 keys, k = 16, n = 4096: singular values in [0.40, 1.48].

    The failure probability of the proof is 0.17: binomial limit with alarm rate 1e-6.
    """
    from scipy.stats import binom

    k, n, trials = 16, 4096, 60
    columns, probability = proof(k, n)
    assert columns <= n
    apply_to = subspace_of(subspace, n, k).T
    failures = 0
    for i in range(trials):
        dtype = "complex128" if transform == "fourier" else "float64"
        apply = rnla.SRTT(transform, permute=False).applier(n, columns, Key(i), dtype=dtype)
        assert apply is not None
        s = np.linalg.svd(apply(apply_to), compute_uv=False) / math.sqrt(columns)
        failures += bool(s[-1] < 0.40 or s[0] > 1.48)
    assert failures <= binom.isf(1e-6, trials, probability)


@pytest.mark.parametrize("permute", [True, False])
@pytest.mark.parametrize("subspace", ["random", "neighbouring coordinates", "regular coordinates"])
@pytest.mark.parametrize("transform", ["dct", "hadamard", "fourier"])
def test_the_error_bound_follows_wherever_the_subspace_is_kept(transform: str, subspace: str, permute: bool) -> None:
    """Theorem 11.2: an error under sqrt(1 + 7 n / l) times the optimum, for every k whose s_k is 0.40 or more.

    Deterministic, because norm(Omega) = sqrt(n) exactly.
    """
    n, columns = 128, 40
    dtype = "complex128" if transform == "fourier" else "float64"
    values = np.r_[np.ones(4), 0.5 * 0.9 ** np.arange(n - 4)]
    V = subspace_of(subspace, n, n)
    A = values[:, None] * V.T
    kept = 0
    for i in range(5):
        omega = rnla.SRTT(transform, permute=permute).tile(0, n, n, columns, Key(i), dtype=dtype)
        Q = np.linalg.qr(A @ omega)[0]
        residual = A - Q @ (Q.conj().T @ A)
        for k in (2, 4, 8, 16):
            if np.linalg.svd(V[:, :k].T @ omega, compute_uv=False)[-1] < 0.40 * math.sqrt(columns):
                continue
            kept += 1
            factor = math.sqrt(1 + 7 * n / columns)
            assert np.linalg.norm(residual, 2) <= factor * values[k]
            assert np.linalg.norm(residual) <= factor * np.linalg.norm(values[k:])
    assert kept >= 5


def test_a_real_matrix_is_told_to_take_a_real_transform() -> None:
    with pytest.raises(rnla.DTypeError, match="transform='dct'"):
        rnla.svd(np.eye(40), 3, sketch=rnla.SRTT("fourier"), rng=0)
    result = rnla.svd(np.eye(40, dtype=complex), 3, sketch=rnla.SRTT("fourier"), rng=0)
    assert np.allclose(result.s, 1)


@pytest.mark.parametrize("stored", [1.0, 200.0])
def test_a_transform_is_declined_where_a_sparse_matrix_is_multiplied_more_cheaply(stored: float) -> None:
    apply = rnla.SRTT().applier(1000, 100, Key(0), stored=stored)
    assert (apply is None) == (stored < 10)
