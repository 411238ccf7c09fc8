"""How well test matrices keep subspaces: measured tables, theorems with their rates, and the deterministic bound."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.rng import Key
from rnla.sketch import sketch_product
from rnla.testing.spectra import haar
from tests.reference import sketches as oracle
from tests.sketch.parts import ALL, FOURIER

Array = np.ndarray[Any, Any]

# Smallest singular value of S V for V = 100 neighbouring unit vectors of 4000, S with 200 and 400 rows: the mean.
MEASURED = {
    "gaussian": (rnla.Gaussian(), 0.29, 0.51),
    "4 stacks": (rnla.SparseStack(nnz=4), 0.27, 0.46),
    "8 stacks": (rnla.SparseStack(nnz=8), 0.30, 0.51),
    "8 signs": (rnla.SparseSign(nnz=8), 0.31, 0.50),
    "dct": (rnla.SRTT(), 0.31, 0.53),
    "dct twice in place": (rnla.SRTT(rounds=2, permute=False), 0.30, 0.52),
    "two factors": (rnla.KhatriRao(2), 0.21, 0.40),
}
LOST = {
    "one stack": rnla.SparseStack(nnz=1),
    "count sketch": rnla.CountSketch(),
    "two stacks": rnla.SparseStack(nnz=2),
    "dct in place": rnla.SRTT(permute=False),
    "hadamard in place": rnla.SRTT("hadamard", permute=False),
}


def smallest(part: Any, columns: int, draws: int = 8) -> list[float]:
    """Return the smallest singular value for each of a few keys; only the rows of the coordinates are drawn."""
    tiles = (part.tile(0, 100, 4000, columns, Key(i)) for i in range(draws))
    return [float(np.linalg.svd(tile, compute_uv=False)[-1]) / math.sqrt(columns) for tile in tiles]


@pytest.mark.statistical
@pytest.mark.parametrize("columns", [200, 400])
@pytest.mark.parametrize("name", MEASURED)
def test_neighbouring_coordinates_are_kept_as_the_table_says(name: str, columns: int) -> None:
    """To 15 percent; alarm rate, from the spread of a draw (0.03 for 4 stacks, 0.016 else), 1e-3, and 1e-9 else."""
    part, *expected = MEASURED[name]
    found = smallest(part, columns)
    assert float(np.mean(found)) == pytest.approx(expected[columns // 400], rel=0.15)


@pytest.mark.parametrize("name", LOST)
def test_too_sparse_or_too_ordered_matrices_lose_neighbouring_coordinates(name: str) -> None:
    """Twice as many columns as dimensions do not save them, where one permutation or a second round does."""
    found = smallest(LOST[name], 200)
    assert min(found) < 0.01, found
    if name != "two stacks":
        assert float(np.mean(found)) < 0.06, found


def count_sketch_columns(dimension: int, eps: float, delta: float) -> int:
    """Return the columns that Theorem 3 of Nelson and Nguyen (2013) asks for."""
    return math.ceil(dimension * (dimension + 1) / (delta * (2 * eps - eps**2) ** 2))


@pytest.mark.statistical
@pytest.mark.parametrize("subspace", ["coordinates", "random"])
@pytest.mark.parametrize("part", [rnla.CountSketch(), rnla.SparseStack(nnz=1)], ids=repr)
def test_the_count_sketch_keeps_subspaces_with_columns_of_the_order_of_the_dimension_squared(
    part: Any, subspace: str
) -> None:
    """Failures of 1 +- 1/2 over 300 keys against the theorem's 0.2: binomial limit with alarm rate 1e-6."""
    from scipy.stats import binom

    rows, dimension, delta, trials = 64, 5, 0.2, 300
    columns = count_sketch_columns(dimension, 0.5, delta)
    V = np.eye(rows, dimension) if subspace == "coordinates" else haar(rows, dimension, rng=4)
    failures = 0
    for i in range(trials):
        values = np.linalg.svd(V.T @ part.tile(0, rows, rows, columns, Key(i)), compute_uv=False) / math.sqrt(columns)
        failures += bool(values[-1] < 0.5 or values[0] > 1.5)
    assert failures <= binom.isf(1e-6, trials, delta)
    if subspace == "coordinates":  # two of them meet in one column with probability at most pairs / columns
        assert 0 < failures <= binom.isf(1e-6, trials, dimension * (dimension - 1) / 2 / columns)


SPECTRA = {
    "exponential": 0.7 ** np.arange(40),
    "inverse": 1.0 / np.arange(1, 41),
    "step": np.r_[np.ones(6), [1e-3] * 34],
}


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("name", ALL)
def test_theorem_9_1_bounds_the_error_of_every_test_matrix(name: str, spectrum: str) -> None:
    """Deterministic: norm((I - P) A)^2 <= norm(S2)^2 + norm(S2 Omega2 Omega1^+)^2, both norms, every k."""
    values, size = SPECTRA[spectrum], 14
    dtype = np.dtype("complex128" if name in FOURIER else "float64")
    U, V = haar(50, 40, dtype=dtype, rng=1), haar(40, 40, dtype=dtype, rng=2)
    A = (U * values) @ V.conj().T
    omega = ALL[name].tile(0, 40, 40, size, Key(3), dtype=dtype)
    Q = np.linalg.qr(sketch_product(Ledger(as_operator(A)), ALL[name], size, Key(3)))[0]
    residual = A - Q @ (Q.conj().T @ A)
    checked = 0
    for k in range(1, size + 1):
        first, second = V[:, :k].conj().T @ omega, V[:, k:].conj().T @ omega
        if np.linalg.svd(first, compute_uv=False)[-1] < 1e-8:
            continue
        coupling = values[k:, None] * (second @ np.linalg.pinv(first))
        for norm in (2, "fro"):
            tail = values[k] if norm == 2 else np.linalg.norm(values[k:])
            bound = math.hypot(tail, np.linalg.norm(coupling, norm))
            assert np.linalg.norm(residual, norm) <= bound * (1 + 1e-10) + 1e-13
        checked += 1
    assert checked >= 8


@pytest.mark.parametrize("name", ALL)
def test_a_matrix_of_exact_rank_is_found_exactly(name: str) -> None:
    dtype = np.dtype("complex128" if name in FOURIER else "float64")
    A = haar(60, 6, dtype=dtype, rng=1) @ haar(70, 6, dtype=dtype, rng=2).conj().T
    Y = sketch_product(Ledger(as_operator(A)), ALL[name], 24, Key(5))
    U, s, _ = np.linalg.svd(Y, full_matrices=False)
    Q = U[:, s > 1e-12 * s[0]]
    assert Q.shape[1] == 6
    assert np.linalg.norm(A - Q @ (Q.conj().T @ A)) <= 1e-12


@pytest.mark.parametrize(("nnz", "columns"), [(1, 7), (3, 7), (4, 8), (8, 100), (9, 5)])
def test_a_stack_is_what_the_paper_writes(nnz: int, columns: int) -> None:
    """The positions and signs of the tile, put in place by the oracle; one in every block of every row."""
    rows, key, count = 200, Key(8), min(nnz, columns)
    tile = rnla.SparseStack(nnz=nnz).tile(0, rows, rows, columns, key)
    edges = [b * columns // count for b in range(count + 1)]
    sizes = [b - a for a, b in itertools.pairwise(edges)]
    assert max(sizes) - min(sizes) <= 1
    positions = np.stack([np.abs(tile[:, a:b]).argmax(axis=1) for a, b in itertools.pairwise(edges)], axis=1)
    signs = key.child("signs").signs(0, rows, count)
    assert np.array_equal(tile, oracle.sparse_stack(positions, signs, sizes))
    assert np.all(np.count_nonzero(tile, axis=1) == count)
    assert np.allclose((tile**2).sum(axis=1), columns, rtol=1e-15)


@pytest.mark.statistical
def test_the_positions_of_a_stack_are_uniform() -> None:
    """Chi-square over 12 positions in each of 3 blocks, 36 cells with 33 degrees of freedom, alarm rate 1e-6."""
    from scipy.stats import chi2

    tile = rnla.SparseStack(nnz=3).tile(0, 12_000, 12_000, 36, Key(1))
    counts = np.count_nonzero(tile, axis=0)
    assert float(((counts - 1000.0) ** 2 / 1000.0).sum()) <= chi2.isf(1e-6, 33)
    assert counts.sum() == 36_000


@pytest.mark.parametrize("name", ["rademacher", "count_sketch"])
def test_entries_are_signs_of_one_size(name: str) -> None:
    tile = ALL[name].tile(0, 300, 300, 16, Key(2))
    size = 1.0 if name == "rademacher" else 4.0
    assert set(np.unique(tile)) == ({-size, size} if name == "rademacher" else {-size, 0.0, size})
    assert np.all(np.count_nonzero(tile, axis=1) == (16 if name == "rademacher" else 1))
