"""Every kind of operator keeps the contract of `LinearOperator`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import rnla
from rnla.operators.coerce import as_operator
from rnla.operators.sources import open_npy
from rnla.testing import check_operator, matrix

DTYPES = ["float32", "float64", "complex64", "complex128"]
SHAPES = [(40, 25), (25, 40), (30, 30), (1, 7), (7, 1), (1, 1), (0, 4), (4, 0)]


def plain(shape: tuple[int, int], dtype: str) -> np.ndarray[Any, Any]:
    return matrix("exponential", *shape, dtype=dtype, rng=3) if min(shape) else np.zeros(shape, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_dense(shape: tuple[int, int], dtype: str) -> None:
    A = plain(shape, dtype)
    for form in (A, np.asfortranarray(A), A[::-1], A.astype(A.dtype.newbyteorder(">")), A.T, A.conj().T):
        check_operator(form)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "bool", "float16"])
def test_other_dtypes(dtype: str) -> None:
    check_operator((plain((30, 20), "float64") * 20).astype(dtype))


@pytest.mark.parametrize("scale", [1e-200, 1e200, 1e-300])
def test_extreme_scales(scale: float) -> None:
    check_operator(plain((30, 20), "float64") * scale)
    check_operator(scipy.sparse.csr_array(plain((30, 20), "float64") * scale))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_sparse(shape: tuple[int, int], dtype: str) -> None:
    A = plain(shape, dtype)
    A = np.where(np.abs(A) > 0.02, A, 0)
    for kind in ("csr_array", "csc_array", "coo_array", "csr_matrix", "lil_array", "dok_array"):
        check_operator(getattr(scipy.sparse, kind)(A))
    for kind in ("bsr_array", "dia_array"):
        if min(shape):
            check_operator(getattr(scipy.sparse, kind)(A))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [s for s in SHAPES if min(s)])
def test_row_blocks(shape: tuple[int, int], dtype: str, tmp_path: Path) -> None:
    A = plain(shape, dtype)
    np.save(tmp_path / "C.npy", A)
    np.save(tmp_path / "F.npy", np.asfortranarray(A))
    check_operator(open_npy(tmp_path / "C.npy"))
    check_operator(open_npy(tmp_path / "F.npy"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [s for s in SHAPES if min(s)])
def test_implicit(shape: tuple[int, int], dtype: str) -> None:
    A = plain(shape, dtype)
    check_operator(scipy.sparse.linalg.aslinearoperator(A))
    check_operator(rnla.svd(A, 1, rng=0).as_operator())


@pytest.mark.parametrize("dtype", DTYPES)
def test_strict_arrays(dtype: str) -> None:
    xp = pytest.importorskip("array_api_strict")
    for shape in ((40, 25), (7, 1), (4, 0)):
        check_operator(xp.asarray(plain(shape, dtype)))


@pytest.mark.torch
@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_tensors(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    for shape in ((40, 25), (7, 1), (4, 0)):
        check_operator(torch.from_numpy(plain(shape, dtype)))


class Broken:
    """An operator with one fault."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.A = plain((20, 12), "complex128")
        self.shape, self.dtype = self.A.shape, self.A.dtype
        self.calls = 0

    def matmat(self, x: Any) -> Any:
        self.calls += 1
        out = self.A @ x
        if self.fault == "not linear":
            return out + 1e-3
        if self.fault == "not repeatable":
            return out * (1 + 1e-8 * self.calls)
        if self.fault == "columns mixed":
            return out + 1e-3 * out.sum(axis=1, keepdims=True)
        return out[:-1] if self.fault == "shape" else out

    def rmatmat(self, y: Any) -> Any:
        return (self.A.T if self.fault == "transpose" else self.A.conj().T) @ y


@pytest.mark.parametrize("fault", ["not linear", "not repeatable", "columns mixed", "shape", "transpose"])
def test_the_suite_fails_what_is_wrong(fault: str) -> None:
    check_operator(Broken("none"))
    with pytest.raises((AssertionError, rnla.OperatorError)):
        check_operator(Broken(fault))


def test_an_operator_is_taken_as_it_is() -> None:
    op = as_operator(plain((9, 5), "float64"))
    assert as_operator(op) is op
    check_operator(op)
