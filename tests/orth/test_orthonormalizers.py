"""Orthonormalizers keep their contract on hard panels, in every library; blocks are made orthogonal to a basis."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from rnla._xp.namespace import to_host
from rnla.config import config_context
from rnla.orth import CholeskyQR2, HouseholderQR, Orthonormalizer, RandCholeskyQR
from rnla.orth.cholesky_qr import gram
from rnla.orth.extend import orthonormalize_against
from rnla.orth.tsqr import TSQR
from rnla.rng import Key
from rnla.testing import check_orthonormalizer, haar
from rnla.testing.orthonormalizers import panels

Array = np.ndarray[Any, Any]
PARTS = [
    HouseholderQR(), CholeskyQR2(), CholeskyQR2(fallback=HouseholderQR()), TSQR(), TSQR(block_rows=8), RandCholeskyQR(),
]  # fmt: skip
DTYPES = ["float32", "float64", "complex64", "complex128"]


@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_conformance(part: Orthonormalizer) -> None:
    check_orthonormalizer(part)
    check_orthonormalizer(part, rng=1)


@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_conformance_with_strict_arrays(part: Orthonormalizer) -> None:
    xp = pytest.importorskip("array_api_strict")
    check_orthonormalizer(part, xp=xp, device=xp.Device("CPU_DEVICE"))


@pytest.mark.torch
@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_conformance_with_torch(part: Orthonormalizer) -> None:
    pytest.importorskip("torch")
    import array_api_compat.torch as xp

    check_orthonormalizer(part, xp=xp, device="cpu")


class OneRound:
    """Cholesky QR without its second round, as it must not be."""

    def factor(self, x: Any) -> tuple[Any, Any]:
        if 0 in x.shape or not np.all(np.abs(x).max(axis=0) > 0):
            return HouseholderQR().factor(x)
        try:
            r = np.linalg.cholesky(gram(x)).conj().T
        except np.linalg.LinAlgError:
            return HouseholderQR().factor(x)
        return (x @ np.linalg.inv(r)).astype(x.dtype), r.astype(x.dtype)


class Forgetful:
    """A good basis with a wrong triangle."""

    def factor(self, x: Any) -> tuple[Any, Any]:
        q, r = HouseholderQR().factor(x)
        return q, np.triu(r, 1) + 0 * r


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("part", [OneRound(), Forgetful()], ids=["one round", "forgetful"])
def test_the_suite_fails_what_is_wrong(part: Any) -> None:
    with pytest.raises(AssertionError):
        check_orthonormalizer(part)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cholesky_falls_back_where_its_check_fails(dtype: str) -> None:
    """On a panel of condition 1/eps the first round leaves a Gram matrix far from the identity, or none."""
    calls = []

    @dataclasses.dataclass(frozen=True)
    class Watched:
        def factor(self, x: Any) -> tuple[Any, Any]:
            calls.append(x.shape)
            return HouseholderQR().factor(x)

    part = CholeskyQR2(fallback=Watched())
    hard = dict(panels(dtype))
    for name in ("normal", "huge", "tiny", "one column"):
        part.factor(hard[name])
    assert not calls, "an easy panel did not need the fallback"
    for name in ("graded below eps", "rank deficient", "zero", "repeated columns"):
        part.factor(hard[name])
    assert len(calls) == 4


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_threads_change_no_bit(part: Orthonormalizer, dtype: str) -> None:
    x = Key(3).normals(0, 9001, 24, dtype=dtype)
    results = []
    for threads in (1, 3, 8):
        with config_context(threads=threads):
            results.append(part.factor(x))
    for q, r in results[1:]:
        assert np.array_equal(q, results[0][0])
        assert np.array_equal(r, results[0][1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gram_matrix_is_summed_in_double_precision(dtype: str) -> None:
    x = Key(3).normals(0, 20_000, 6, dtype=dtype)
    g = gram(x)
    assert g.dtype == np.result_type(np.float64, dtype)
    wide = x.astype(g.dtype)
    exact = wide.conj().T @ wide
    # A tile of 4096 rows is multiplied in the dtype of the panel: rounding grows with sqrt(4096) at most.
    assert np.abs(g - exact).max() <= 64 * np.finfo(dtype).eps * np.abs(exact).max()


# -------------------------------------------------------------------------------------------- against a basis
AGAINST: dict[str, Any] = {
    "independent": lambda basis, key, k: key.normals(0, len(basis), k, dtype=basis.dtype),
    "inside the basis": lambda basis, key, k: basis @ key.normals(0, basis.shape[1], k, dtype=basis.dtype),
    "nearly inside": lambda basis, key, k: (
        basis @ key.normals(0, basis.shape[1], k, dtype=basis.dtype)
        + np.finfo(basis.dtype).eps ** 0.75 * key.child("off").normals(0, len(basis), k, dtype=basis.dtype)
    ).astype(basis.dtype),
    "half inside": lambda basis, key, k: np.concatenate(
        [basis[:, : k // 2], key.normals(0, len(basis), k - k // 2, dtype=basis.dtype)], axis=1
    ),
    "zero": lambda basis, key, k: np.zeros((len(basis), k), dtype=basis.dtype),
    "repeated": lambda basis, key, k: np.repeat(key.normals(0, len(basis), 1, dtype=basis.dtype), k, axis=1),
    "tiny": lambda basis, key, k: key.normals(0, len(basis), k, dtype=basis.dtype) * basis.dtype.type(1e-30),
}


@pytest.mark.parametrize("part", [CholeskyQR2(), HouseholderQR()], ids=repr)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", AGAINST)
@pytest.mark.parametrize("sizes", [(80, 20, 10), (60, 40, 20), (50, 1, 1)])
def test_a_block_is_made_orthonormal_against_a_basis(
    name: str, dtype: str, part: Orthonormalizer, sizes: tuple[int, int, int]
) -> None:
    p, have, k = sizes
    basis = haar(p, have, dtype=dtype, rng=1).astype(dtype)
    x = AGAINST[name](basis, Key(4), k)
    before = x.copy()
    q = orthonormalize_against(basis, x, part, Key(5))
    assert q.shape == (p, k)
    assert q.dtype == np.dtype(dtype)
    assert np.array_equal(x, before)
    both = np.concatenate([basis, q], axis=1).astype(np.complex128)
    gap = np.linalg.norm(both.conj().T @ both - np.eye(have + k))
    assert gap <= 30 * np.finfo(dtype).eps * math.sqrt(have + k)
    if name in {"independent", "half inside", "repeated"}:
        # Nothing that X adds to the basis is lost.
        rest = before - both @ (both.conj().T @ before)
        assert np.linalg.norm(rest) <= 30 * np.finfo(dtype).eps * k * np.linalg.norm(before)


def test_without_a_basis_the_block_is_only_orthonormalized() -> None:
    x = Key(1).normals(0, 30, 4)
    q = orthonormalize_against(None, x, HouseholderQR(), Key(0))
    assert np.array_equal(q, HouseholderQR().factor(x)[0])
    assert np.array_equal(orthonormalize_against(x[:, :0], x, HouseholderQR(), Key(0)), q)


def test_replacements_are_named_by_the_key() -> None:
    basis = haar(30, 5, rng=1)
    zero = np.zeros((30, 3))
    first, second, other = (to_host(orthonormalize_against(basis, zero, CholeskyQR2(), Key(k))) for k in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("condition", [1.0, 1e4, 1e8, 1e12, 1e15])
def test_randomized_cholesky_is_as_orthonormal_as_householder_whatever_the_condition(condition: float) -> None:
    """In the spectral norm, to 1e-14 as the paper's theorem has it, and by no fallback.

    Householder reflections leave a modest multiple of eps, here up to 1e-15; the Frobenius norm is up to sqrt(k) times
    the spectral one, so it is held to a multiple of eps sqrt(k).
    """

    class Refused(Exception):
        pass

    class Never:
        def factor(self, x: Any) -> Any:
            raise Refused

    m, k = 4000, 80
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.standard_normal((rows, k)))[0] for rows in (m, k))
    x = (left * np.geomspace(1, 1 / condition, k)) @ right.T
    q, r = RandCholeskyQR(fallback=Never()).factor(x)
    off = q.T @ q - np.eye(k)
    assert np.linalg.norm(off, 2) <= 1e-14
    assert np.linalg.norm(off) <= 5 * np.finfo(float).eps * k**0.5
    assert np.linalg.norm(x - q @ r) <= 10 * np.finfo(float).eps * np.linalg.norm(x)
