"""Chosen rows, columns and the diagonal of every kind of matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import rnla
from rnla._xp.namespace import to_host
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.operators.selection import take_columns, take_diagonal, take_rows

KINDS = ("array", "fortran", "integers", "sparse", "memmap", "operator", "torch", "strict")


def of_kind(kind: str, A: Any, folder: Path) -> Any:
    match kind:
        case "fortran":
            return np.asfortranarray(A)
        case "integers":
            return A.astype(np.int32)
        case "sparse":
            return scipy.sparse.csc_array(A)
        case "memmap":
            np.save(folder / "a.npy", A)
            return str(folder / "a.npy")
        case "operator":
            return scipy.sparse.linalg.aslinearoperator(A)
        case "torch":
            return pytest.importorskip("torch").asarray(A)
        case "strict":
            return pytest.importorskip("array_api_strict").asarray(A)
    return A


@pytest.mark.parametrize("shape", [(9, 6), (6, 9), (1, 4), (40, 7)])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_and_columns_are_those_of_the_matrix(kind: str, shape: tuple[int, int], tmp_path: Path) -> None:
    A = np.random.default_rng(0).integers(-9, 9, shape).astype(float)
    with rnla.config_context(memory_budget=1 << 20):
        op = Ledger(as_operator(of_kind(kind, A, tmp_path)))
        j, i = [shape[1] - 1, 0, shape[1] - 1], [shape[0] - 1, 0, shape[0] - 1]
        assert np.array_equal(to_host(take_columns(op, j)), A[:, j])
        assert np.array_equal(to_host(take_rows(op, i)), A[i, :])
        assert take_rows(op, []).shape == (0, shape[1])
        if kind != "operator":
            assert np.array_equal(to_host(take_diagonal(op)), np.diagonal(A))
    if kind in {"memmap", "operator"}:
        assert op.counts.passes > 0
    else:
        assert op.counts.passes == 0
        assert op.counts.entries == 3 * sum(shape) + min(shape)


@pytest.mark.parametrize("kind", ["array", "sparse", "memmap", "operator", "torch"])
def test_complex_rows_are_not_conjugated_and_the_scale_is_the_ledgers(kind: str, tmp_path: Path) -> None:
    A = (np.arange(20.0).reshape(5, 4) - 3j) * 2.0**900
    op = Ledger(as_operator(of_kind(kind, A, tmp_path)))
    rows, columns = take_rows(op, [4, 1]), take_columns(op, [2])
    assert op.exponent > 800
    assert np.array_equal(to_host(rows) * 2.0**op.exponent, A[[4, 1], :])
    assert np.array_equal(to_host(columns) * 2.0**op.exponent, A[:, [2]])


def test_indices_outside_are_refused() -> None:
    op = Ledger(as_operator(np.eye(3)))
    with pytest.raises(rnla.InputError, match=r"\[0, 3\)"):
        take_columns(op, [3])
    with pytest.raises(rnla.InputError, match=r"\[0, 3\)"):
        take_rows(op, [-1])
    with pytest.raises(rnla.InputError, match="diagonal"):
        take_diagonal(Ledger(as_operator(scipy.sparse.linalg.aslinearoperator(np.eye(3)))))


def test_an_operator_may_tell_its_diagonal() -> None:
    """Nystrom in the nuclear norm reads the trace: of a kernel on points, and of an object with diagonal()."""
    points = np.linspace(0, 1, 60)[:, None] + np.linspace(0, 1, 3)
    kernel = rnla.kernel_operator(rnla.GaussianKernel(0.3), points)
    K = kernel.matmat(np.eye(60))
    result = rnla.nystrom(kernel, 4, norm="nuclear", rng=0)
    true = np.linalg.norm(K - result.as_operator().to_array(), "nuc") / np.trace(K)
    assert abs(result.error.value - true) < 1e-12
    assert np.array_equal(take_diagonal(Ledger(as_operator(kernel))), np.ones(60))

    class Misshapen:
        shape, dtype = (4, 4), np.dtype(float)

        def matmat(self, x: Any) -> Any:
            return x

        rmatmat = matmat

        def diagonal(self) -> Any:
            return np.ones(3)

    with pytest.raises(rnla.OperatorError, match="must give shape"):
        take_diagonal(Ledger(as_operator(Misshapen())))
