"""Blocked QB against the papers: randQB_EI of 2018 and farPCA of 2023, transcribed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.rangefinder.protocols import Goal, Riders
from rnla.results import RangeBasis
from rnla.rng import Key
from rnla.testing import matrix, optimal_rank
from tests.reference import feng2023, yu2018

Array = np.ndarray[Any, Any]
DOUBLE = ["float64", "complex128"]
SHAPES = [(60, 40), (40, 60)]


def omegas(seed: int, n: int, sizes: list[int], dtype: str) -> list[Array]:
    return [Key(seed).child("test-matrix", i).normals(0, n, k, dtype=dtype) for i, k in enumerate(sizes)]


@pytest.mark.parametrize("dtype", DOUBLE)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("power", [0, 1, 2])
def test_the_blocks_are_those_of_rand_qb_ei(power: int, shape: tuple[int, int], dtype: str) -> None:
    A = matrix("inverse", *shape, dtype=dtype, rng=1)
    part = rnla.BlockQB(block_size=5, power_iterations=power)
    op = Ledger(as_operator(A))
    basis = part.find(op, Goal(15, 40), Key(3), Riders())
    Q, B, indicator = yu2018.rand_qb_ei(A, omegas(3, shape[1], [5, 5, 5], dtype), power)
    assert basis.blocks == (5, 5, 5)
    assert op.counts.passes == 3 * (2 + 2 * power)
    # Rounding of a block over what is left of A, above 1/20.
    assert np.linalg.norm(basis.basis - Q @ (Q.conj().T @ basis.basis), 2) <= 1e-11
    assert np.linalg.norm(basis.basis @ basis.image.conj().T - Q @ B) <= 1e-11
    free = math.sqrt(np.linalg.norm(A) ** 2 - np.linalg.norm(basis.image) ** 2)
    assert free == pytest.approx(indicator, rel=1e-10)


@pytest.mark.parametrize("tol", [0.3, 0.1, 0.03])
def test_a_tolerance_stops_where_rand_qb_ei_stops(tol: float) -> None:
    A = matrix("inverse", 200, 150, rng=1)
    size = float(np.linalg.norm(A))

    def reached(basis: RangeBasis) -> int:
        return 0 if size**2 - float(np.linalg.norm(basis.image)) ** 2 < (tol * size) ** 2 else 1

    part = rnla.BlockQB(block_size=6)
    basis = part.find(Ledger(as_operator(A)), Goal(None, 150, reached), Key(3), Riders())
    Q, _, _ = yu2018.rand_qb_ei(A, omegas(3, 150, [6] * 25, "float64"), 1, tol)
    assert basis.size == Q.shape[1]
    # The driver wants a tenth more columns than the rank that it gives back, so its basis is larger.
    result = rnla.svd(A, tol=tol, method=part, rng=3)
    best = optimal_rank(np.linalg.svd(A, compute_uv=False), tol)
    assert result.report.size >= basis.size
    assert best <= result.rank <= basis.size
    assert result.error.method == "the Frobenius identity"


@pytest.mark.parametrize("dtype", DOUBLE)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("power", [0, 1, 3])
def test_the_blocks_are_those_of_far_pca(power: int, shape: tuple[int, int], dtype: str) -> None:
    A = matrix("inverse", *shape, dtype=dtype, rng=1)
    part, op, basis = rnla.GramQB(power_iterations=power), Ledger(as_operator(A)), None
    for size in (5, 10, 15):
        basis = part.find(op, Goal(size, 40), Key(3), Riders(), basis)
    assert basis is not None
    Y, W, indicator = feng2023.far_pca(A, omegas(3, shape[1], [5, 5, 5], dtype), power)
    Q = np.linalg.qr(Y)[0]
    # Its Gram matrices square condition numbers of up to 1e3: eps times 1e6 at the worst, a thousandth of that here.
    assert np.linalg.norm(basis.basis - Q @ (Q.conj().T @ basis.basis), 2) <= 1e-9
    theirs = Y @ np.linalg.solve(Y.conj().T @ Y, W.conj().T)
    assert np.linalg.norm(basis.basis @ basis.image.conj().T - theirs) <= 1e-9
    free = math.sqrt(np.linalg.norm(A) ** 2 - np.linalg.norm(basis.image) ** 2)
    assert free == pytest.approx(indicator, rel=1e-7)


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["inverse_root", "inverse", "noise_1e-2"])
def test_the_shift_does_not_hurt(name: str) -> None:
    """The mean over 20 seeds is not above that of plain power steps of the same products; alarm rate under 1e-6.

    `BlockQB` orthonormalizes and does not shift; 5 standard errors of the mean difference are allowed.
    """
    A = matrix(name, 90, 70, rng=1)
    gaps = []
    for seed in range(20):
        left = []
        for part in (rnla.GramQB(power_iterations=4), rnla.BlockQB(12, power_iterations=4)):
            Q = part.find(Ledger(as_operator(A)), Goal(12, 70), Key(seed), Riders()).basis
            left.append(float(np.linalg.norm(A - Q @ (Q.T @ A))))
        gaps.append(left[0] - left[1])
    assert np.mean(gaps) <= 5 * np.std(gaps, ddof=1) / math.sqrt(20)


@pytest.mark.parametrize(("dtype", "tol"), [("float64", 1e-5), ("complex128", 1e-5), ("float32", 0.0112)])
@pytest.mark.parametrize("name", ["exponential", "fast", "graded", "clustered", "exact_rank", "inverse_square"])
def test_the_least_tolerance_of_gram_matrices_is_met(name: str, dtype: str, tol: float) -> None:
    A = matrix(name, 150, 120, dtype=dtype, rng=1)
    result = rnla.svd(A, tol=tol, method=rnla.GramQB(), rng=0)
    wide = A.astype(np.complex128)
    error = np.linalg.norm(wide - (result.U.astype(np.complex128) * result.s) @ result.Vh) / np.linalg.norm(wide)
    assert error <= tol
    best = optimal_rank(np.linalg.svd(wide, compute_uv=False), tol)
    assert result.rank <= max(best + 2, 1.05 * best)


@pytest.mark.parametrize(("dtype", "tol"), [("float64", 9e-6), ("float32", 1e-2)])
def test_a_tolerance_below_what_gram_matrices_resolve_is_refused(dtype: str, tol: float) -> None:
    A = matrix("exponential", 60, 50, dtype=dtype, rng=1)
    with pytest.raises(rnla.InputError, match=r"use method=BlockQB\(\)"):
        rnla.svd(A, tol=tol, method=rnla.GramQB())
    with pytest.raises(rnla.InputError, match=r"use method=BlockQB\(\)"):
        rnla.svd(A, 5, method=rnla.GramQB(), rng=0).extend(tol=tol)
