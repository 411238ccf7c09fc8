"""Gram matrices of panels, and panels times triangles and their inverses: kernels, twins, bits and ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnla._kernels import compiled, panels
from rnla.config import config_context
from rnla.orth import CholeskyQR2, RandCholeskyQR
from rnla.testing import matrix
from rnla.testing.orthonormalizers import panels as hard_panels

DTYPES = ("float32", "float64", "complex64", "complex128")
# Around the widths of the registers and of the groups of rows, one and several tasks, one and several tiles.
SHAPES = ((2100, 5), (700, 24), (5000, 53), (300, 210), (30_000, 49))
LAYOUTS = ("rows", "columns", "part of wider rows", "read-only", "swapped bytes")


def filled(rng: np.random.Generator, m: int, n: int, dtype: str) -> np.ndarray:
    a = rng.standard_normal((m, n))
    return (a + 1j * rng.standard_normal((m, n)) if np.dtype(dtype).kind == "c" else a).astype(dtype)


def laid_out(rng: np.random.Generator, layout: str, m: int, n: int, dtype: str) -> np.ndarray:
    if layout == "columns":
        return np.asfortranarray(filled(rng, m, n, dtype))
    if layout == "part of wider rows":
        return filled(rng, m, n + 3, dtype)[:, 1 : n + 1]
    a = filled(rng, m, n, dtype)
    a.setflags(write=layout != "read-only")
    return a.astype(a.dtype.newbyteorder()) if layout == "swapped bytes" else a


def triangle_of(rng: np.random.Generator, n: int, dtype: str) -> np.ndarray:
    """Return a well-conditioned upper triangle."""
    out = np.triu(filled(rng, n, n, dtype)) / np.dtype(dtype).type(2 * n)
    out[np.arange(n), np.arange(n)] = 1 + rng.random(n)
    return out


def each(dtype: Any, work: Any) -> dict[str, Any]:
    found = {}
    for setting in ("plain", "compiled"):
        with compiled.using(setting, ["panels"], np.dtype(dtype)):
            found[setting] = work()
    return found


@pytest.fixture
def kernels() -> None:
    pytest.importorskip("numba")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_kernels_equal_their_twins(kernels: None, dtype: str, layout: str) -> None:
    """Bounds: gamma_n |A| |B| for sums of n products, four times, as complex ones round more often."""
    rng = np.random.default_rng(0)
    eps = float(np.finfo(dtype).eps)
    for m, n in SHAPES:
        x, t = laid_out(rng, layout, m, n, dtype), triangle_of(rng, n, dtype)
        before = x.copy()
        found = each(
            dtype, lambda x=x, t=t: [panels.gram(x, 2), *panels.times_triangle(x, t, 2), *panels.times_inverse(x, t, 2)]
        )
        plain, fast = found["plain"], found["compiled"]
        assert np.array_equal(x, before)
        wide = x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)
        sizes = [wide, wide @ t, wide @ np.linalg.inv(t.astype(wide.dtype))]
        scale = [np.linalg.norm(each, axis=0) for each in sizes]  # |x_i| |x_j| bounds the sum of |x_ki x_kj|
        tile = min(m, 4096) if eps > 1e-10 else m
        for i, g in enumerate((0, 2, 4)):
            bound = (4 * tile + (32 * n if i else 0)) * eps * np.outer(scale[i], scale[i])
            assert fast[g].dtype == plain[g].dtype == wide.dtype
            assert np.all(np.abs(fast[g] - plain[g]) <= bound)
            assert np.all(np.abs(fast[g] - sizes[i].conj().T @ sizes[i]) <= bound)
            assert np.array_equal(fast[g], fast[g].conj().T)
        for i, y in ((1, 1), (2, 3)):
            assert fast[y].dtype == plain[y].dtype == np.dtype(dtype)
            largest = np.abs(x).max() * np.abs(t).max() * 2
            assert np.abs(fast[y] - sizes[i]).max() <= 8 * n * eps * largest
            assert np.abs(fast[y] - plain[y]).max() <= 8 * n * eps * largest


@pytest.mark.parametrize("dtype", DTYPES)
def test_in_place_and_without_the_gram_matrix_are_the_same_bits(kernels: None, dtype: str) -> None:
    rng = np.random.default_rng(1)
    for m, n in SHAPES:
        x, t = filled(rng, m, n, dtype), triangle_of(rng, n, dtype)
        with compiled.using("compiled", ["panels"], np.dtype(dtype)):
            expected, squares = panels.times_triangle(x, t, 1)
            own = x.copy()
            found, none = panels.times_triangle(own, t, 3, out=own, squared=False)
            assert none is None
            assert found is own
            assert np.array_equal(own, expected)
            assert np.array_equal(squares, panels.gram(expected, 8))
            divided, squares = panels.times_inverse(x, t, 3)
            assert np.array_equal(divided, panels.times_inverse(x, t, 1, squared=False)[0])
            assert np.array_equal(squares, panels.gram(divided, 1))


@pytest.mark.parametrize("setting", ["plain", "compiled"])
def test_an_ill_conditioned_triangle_is_substituted_with(kernels: None, setting: str) -> None:
    """Rows of X R^-1 are backward stable: |Y R - X| <= gamma_n |Y| |R|, where an inverse would leave cond(R) eps."""
    rng = np.random.default_rng(2)
    n = 40
    kahan = np.diag(0.8 ** np.arange(n)) @ (np.eye(n) - 0.6 * np.triu(np.ones((n, n)), 1))
    late = np.triu(rng.standard_normal((n, n)))
    late[3, 3] = 1e-14
    for r in (kahan, late, triangle_of(rng, n, "float64")):
        x = rng.standard_normal((500, n)) @ r
        with compiled.using(setting, ["panels"], np.dtype("float64")):
            y, g = panels.times_inverse(x, r, 2)
        # 32 more for the blocks that were inverted; see the constant.
        assert np.all(np.abs(y @ r - x) <= (n + 32) * 2.3e-16 * (np.abs(y) @ np.abs(r) + np.linalg.norm(r, axis=0)))
        assert np.linalg.norm(g - y.T @ y) <= 500 * 2.3e-16 * np.linalg.norm(y) ** 2


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("part", [CholeskyQR2(), RandCholeskyQR()], ids=repr)
def test_orthonormalizers_on_the_kernels_keep_their_contract(kernels: None, part: Any, dtype: str) -> None:
    eps = float(np.finfo(dtype).eps)
    given = [x for name, x in hard_panels(dtype) if x.size]
    given += [matrix(np.geomspace(1, 1e3 * eps, 40), 5000, 40, dtype=dtype)]
    given += [given[-1] * np.exp2(np.arange(40) - 20).astype(dtype)]  # still in the range of S1 without a copy
    for x in given:
        before, k = x.copy(), x.shape[1]
        with compiled.using("compiled", ["products", "panels"], np.dtype(dtype)):
            q, r = part.factor(x)
        assert np.array_equal(x, before)
        assert q.dtype == r.dtype == x.dtype
        q = q.astype(np.complex128)
        k = q.shape[1]
        scale = np.abs(x).max() or 1.0
        assert np.linalg.norm(q.conj().T @ q - np.eye(k)) <= 30 * eps * np.sqrt(k)
        gap = np.linalg.norm(x / scale - q @ (r / scale))
        assert gap <= 30 * eps * np.sqrt(k) * np.linalg.norm(x.astype(np.complex128) / scale)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("part", [CholeskyQR2(), RandCholeskyQR()], ids=repr)
def test_threads_change_no_bit_of_the_kernels(kernels: None, part: Any, dtype: str) -> None:
    x = filled(np.random.default_rng(3), 20_001, 40, dtype)
    results = []
    for threads in (1, 3, 8):
        with config_context(threads=threads), compiled.using("compiled", ["panels"], np.dtype(dtype)):
            results.append(part.factor(x))
    for q, r in results[1:]:
        assert np.array_equal(q, results[0][0])
        assert np.array_equal(r, results[0][1])


def test_a_panel_is_read_three_times_and_never_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts: one Gram matrix, one product with a Gram matrix, one product in place; memory of the result alone."""
    calls = []
    for name in ("gram", "times_triangle"):
        original = getattr(panels, name)

        def counted(x: Any, *rest: Any, name: str = name, original: Any = original, **options: Any) -> Any:
            calls.append((name, options))
            return original(x, *rest, **options)

        monkeypatch.setattr(panels, name, counted)
    x = np.random.default_rng(4).standard_normal((4000, 24))
    q, _ = CholeskyQR2().factor(x)
    assert calls == [("gram", {}), ("times_triangle", {}), ("times_triangle", {"out": q, "squared": False})]
    assert calls[2][1]["out"] is q
