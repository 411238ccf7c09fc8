"""Block Lanczos: the space it spans, what it costs, how it goes on, and how it compares."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.orth.extend import orthonormalize_against
from rnla.rangefinder import HERMITIAN_RANGE_FINDERS
from rnla.rangefinder.protocols import BlockFinder, Goal, Riders
from rnla.rng import Key
from rnla.testing import hermitian_matrix, optimal_error, spectrum

Array = np.ndarray[Any, Any]


def basis_of(A: Array, part: rnla.BlockLanczos, size: int, start: Any = None) -> Any:
    ledger = Ledger(as_operator(A))
    basis = part.find(ledger, Goal(size, A.shape[0]), Key(3), Riders(), start)
    have = 0 if start is None else start.size
    assert ledger.counts.passes == part.passes(ledger, size, have)
    assert ledger.counts.products == size - have
    return basis


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_the_basis_spans_the_krylov_space_and_goes_on_with_the_sequence(dtype: str) -> None:
    A = hermitian_matrix("inverse", 60, indefinite=True, dtype=dtype, rng=0)
    part = rnla.BlockLanczos(depth=3, block_size=4)
    assert isinstance(part, BlockFinder)
    assert HERMITIAN_RANGE_FINDERS["block_lanczos"] is rnla.BlockLanczos
    whole, eps = basis_of(A, part, 12), float(np.finfo(dtype).eps)
    first = basis_of(A, part, 8)
    grown = basis_of(A, part, 12, first)
    for basis in (whole, grown):
        assert np.linalg.norm(basis.basis.conj().T @ basis.basis - np.eye(12)) <= 30 * eps * math.sqrt(12)
        assert np.linalg.norm(basis.image - A @ basis.basis) <= 30 * eps * math.sqrt(12)
    assert np.array_equal(grown.basis[:, :8], first.basis)
    assert np.array_equal(grown.basis, whole.basis)
    # Every block of A^j Omega lies in the space; powers are taken in double precision.
    omega = part.test_matrix(Ledger(as_operator(A)), 4, Key(3)).astype(np.complex128)
    for power in range(3):
        block = np.linalg.matrix_power(A.astype(np.complex128), power) @ omega
        outside = block - whole.basis @ (whole.basis.conj().T @ block)
        assert np.linalg.norm(outside) <= 100 * eps * np.linalg.norm(block)


def test_a_space_that_is_invariant_is_filled_with_something_orthonormal() -> None:
    """After the range of A is found, blocks keep their size and stay orthonormal."""
    A = hermitian_matrix([3.0, -2.0, 1.0], 40, rng=0)
    basis = basis_of(A, rnla.BlockLanczos(depth=5, block_size=4), 20)
    assert np.linalg.norm(basis.basis.T @ basis.basis - np.eye(20)) <= 30 * 2.3e-16 * math.sqrt(20)
    assert np.linalg.norm(A - basis.basis @ (basis.basis.T @ A)) <= 1e-13
    whole = basis_of(A, rnla.BlockLanczos(depth=1), 40)
    assert np.linalg.norm(whole.basis.T @ whole.basis - np.eye(40)) <= 30 * 2.3e-16 * math.sqrt(40)


@pytest.mark.parametrize("function", [rnla.eigh, rnla.nystrom])
def test_fewer_products_reach_the_accuracy_of_subspace_iteration(function: Any) -> None:
    """On a slow spectrum: four products with a block of 20 against seven; the errors of the papers' comparison."""
    A = hermitian_matrix("inverse_root", 300, rng=0)
    best = optimal_error(spectrum("inverse_root", 300), 10, "spectral")
    lanczos = function(A, 10, method=rnla.BlockLanczos(depth=4), rng=1)
    powers = function(A, 10, method=rnla.SubspaceIteration(oversampling=10), rng=1)
    assert lanczos.report.size == 4 * powers.report.size
    assert lanczos.report.blocks == (20, 20, 20, 20)
    ratios = [np.linalg.norm(A - (r.V * r.w) @ r.V.T, 2) / best for r in (lanczos, powers)]
    assert ratios[0] <= 1.01
    assert ratios[0] <= ratios[1] + 1e-12


def test_parameters_are_checked() -> None:
    for wrong in ({"depth": 0}, {"block_size": 0}, {"oversampling": -1}):
        with pytest.raises(rnla.InputError):
            rnla.BlockLanczos(**wrong)
    for wrong in ({"depth": 1.5}, {"sketch": 3}, {"orthonormalizer": "qr"}):
        with pytest.raises(rnla.DTypeError):
            rnla.BlockLanczos(**wrong)
    assert rnla.BlockLanczos().size_for(5) == 60
    assert rnla.BlockLanczos(block_size=5).size_for(10) == 130
    assert rnla.BlockLanczos(depth=2, block_size=5).size_for(20) == 20


@pytest.mark.parametrize(("spectrum", "rank"), [("slow", 10), ("slow", 50), ("fast", 10), ("fast", 50)])
def test_the_usual_blocks_give_eigenvalues_to_ten_digits(spectrum: str, rank: int) -> None:
    """The accuracy that the columns of the method without arguments were measured for, on another size and draw."""
    n = 1100
    i = np.arange(1.0, n + 1)
    values = (1 / i if spectrum == "slow" else np.exp(-i / 30)) * np.random.default_rng(3).choice([-1.0, 1.0], n)
    Q = np.linalg.qr(np.random.default_rng(4).standard_normal((n, n)))[0]
    A = (Q * values) @ Q.T
    result = rnla.eigh((A + A.T) / 2, rank, rng=5)
    assert isinstance(result.report.plan.method, rnla.BlockLanczos)
    known = np.sort(np.abs(values))[::-1][:rank]
    assert np.max(np.abs(np.abs(result.w) - known) / known) <= 1e-10
    assert np.linalg.norm(result.V.T @ result.V - np.eye(rank)) <= 1e-13


def test_blocks_stay_orthonormal_where_the_recurrence_loses_it() -> None:
    """Eigenvalues that converge at once, and blocks that vanish: the recurrence alone would bring them back."""
    n = 400
    values = np.r_[1e3 * np.ones(5), 2.0 ** -np.arange(n - 5.0)]
    A = np.diag(values)
    basis = basis_of(A, rnla.BlockLanczos(block_size=8), 96).basis
    assert np.linalg.norm(basis.T @ basis - np.eye(96)) <= 1e-13


def test_a_claim_of_orthogonality_that_is_wrong_is_found_out() -> None:
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((300, 40)))[0]
    for x in (rng.standard_normal((300, 8)), basis[:, :8] + 1e-6 * rng.standard_normal((300, 8)), basis[:, :8].copy()):
        q = orthonormalize_against(basis, x, rnla.CholeskyQR2(), Key(0), 10)
        both = np.concatenate([basis, q], axis=1)
        assert np.linalg.norm(both.T @ both - np.eye(48)) <= 1e-13
