"""Meta tensors have shapes and no numbers: the fixed-size parts run on them, public functions refuse them in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnla
from rnla.compression.projection import project
from rnla.factorization.low_rank_svd import svd_of_low_rank
from rnla.factorization.signs import fix_signs
from rnla.operators.dense import Dense
from rnla.operators.ledger import Ledger
from rnla.orth import ORTHONORMALIZERS
from rnla.orth.extend import orthonormalize_against, project_out
from rnla.rangefinder.protocols import Goal, Riders
from rnla.rng import Key
from rnla.sketch import SKETCHES

torch = pytest.importorskip("torch")

DTYPES = ["float32", "float64", "complex64", "complex128"]
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_space = pytest.mark.parametrize("space", ["row", "column"])


def empty(rows: int, columns: int, dtype: str) -> Any:
    return torch.empty((rows, columns), dtype=getattr(torch, dtype), device="meta")


def assert_meta(x: Any, shape: tuple[int, ...], dtype: str) -> None:
    assert tuple(x.shape) == shape
    assert x.dtype == getattr(torch, dtype)
    assert x.device.type == "meta"


@every_dtype
@pytest.mark.parametrize("name", ORTHONORMALIZERS)
@pytest.mark.parametrize("shape", [(500, 20), (20, 20), (9000, 30)], ids=str)
def test_orthonormalizers(shape: tuple[int, int], name: str, dtype: str) -> None:
    q, r = ORTHONORMALIZERS[name].factor(empty(*shape, dtype))
    assert_meta(q, shape, dtype)
    assert_meta(r, (shape[1], shape[1]), dtype)


@every_dtype
def test_orthonormalizing_against_a_basis(dtype: str) -> None:
    basis, x = empty(500, 12, dtype), empty(500, 5, dtype)
    assert_meta(project_out(basis, x), (500, 5), dtype)
    assert_meta(orthonormalize_against(basis, x, ORTHONORMALIZERS["cholesky_qr2"], Key(0)), (500, 5), dtype)


@every_dtype
@pytest.mark.parametrize("name", SKETCHES)
def test_sketches(name: str, dtype: str) -> None:
    tile = SKETCHES[name]().tile(0, 300, 300, 20, Key(0), dtype=np.dtype(dtype), xp=_namespace(), device=_device())
    assert_meta(tile, (300, 20), dtype)


def _namespace() -> Any:
    import array_api_compat

    return array_api_compat.array_namespace(empty(1, 1, "float32"))


def _device() -> Any:
    return torch.device("meta")


@every_dtype
@every_space
@pytest.mark.parametrize("shape", [(300, 100), (100, 300)], ids=["tall", "wide"])
@pytest.mark.parametrize("orth", ORTHONORMALIZERS)
def test_the_pipeline_from_the_range_to_the_factors(orth: str, shape: tuple[int, int], space: str, dtype: str) -> None:
    m, n = shape
    op = Ledger(Dense(empty(m, n, dtype), np.dtype(dtype)))
    part = rnla.SubspaceIteration(space=space, orthonormalizer=ORTHONORMALIZERS[orth])
    basis = part.find(op, Goal(20, min(m, n)), Key(0), Riders())
    rows, other = (n, m) if space == "row" else (m, n)
    assert_meta(basis.basis, (rows, 20), dtype)
    assert_meta(basis.image, (other, 20), dtype)
    grown = part.find(op, Goal(32, min(m, n)), Key(0), Riders(), basis)
    assert_meta(grown.basis, (rows, 32), dtype)
    factors = project(grown)
    assert_meta(factors.C, (m, 32) if space == "row" else (32, n), dtype)
    left, s, right = svd_of_low_rank(factors)
    u, vh = left[:, :], right[:, :]
    assert_meta(u, (m, 32), dtype)
    assert_meta(s, (32,), "float32" if dtype in {"float32", "complex64"} else "float64")
    assert_meta(vh, (32, n), dtype)
    u, vh = fix_signs(u, vh)
    assert_meta(u, (m, 32), dtype)
    assert_meta(vh, (32, n), dtype)


@every_dtype
def test_a_dense_operator_of_shapes_multiplies(dtype: str) -> None:
    op = Dense(empty(300, 100, dtype), np.dtype(dtype))
    assert_meta(op.matmat(empty(100, 7, dtype)), (300, 7), dtype)
    assert_meta(op.rmatmat(empty(300, 7, dtype)), (100, 7), dtype)
    assert op.measure() is None


@pytest.mark.parametrize("call", [rnla.svd, rnla.plan], ids=["svd", "plan"])
@every_dtype
def test_public_functions_refuse_in_words(dtype: str, call: Any) -> None:
    with pytest.raises(rnla.DTypeError, match=r"meta tensor: it holds no numbers to factorize; pass a concrete array"):
        call(empty(300, 100, dtype), 5)
