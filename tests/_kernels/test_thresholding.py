"""Outliers replaced by a low-rank model: the compiled kernel does what its twin does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnla._kernels import compiled, thresholding
from rnla._kernels.crosses import cross_products
from rnla._kernels.thresholding import Tally, cleaned, cleaned_products

SHAPES = ((1, 1, 1), (3, 5, 2), (100, 37, 8), (7, 300, 1), (0, 4, 3), (4, 0, 3), (33, 1025, 5), (5, 4, 0))


def both(dtype: str, call):
    found = []
    for setting in ("plain", "compiled"):
        with compiled.using(setting, ["thresholding", "products"], np.dtype(dtype)):
            found.append(call())
    return found


def close(one: Tally, other: Tally, eps: float) -> None:
    assert one.outliers == other.outliers
    for name in ("clean", "squares", "largest"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e3 * eps, abs=1e-300)


def layouts(a):
    m, n = a.shape
    frozen = a.copy()
    frozen.setflags(write=False)
    wide = np.zeros((2 * m, n + 3), a.dtype)
    wide[::2, :n] = a
    return [a, frozen, np.asfortranarray(a), wide[::2, :n], a[:, ::-1], a[::-1]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_chosen_rows_and_columns_equal_the_definition(dtype: str, shape: tuple[int, int, int]) -> None:
    """Thresholds lie in a gap of the values, so that rounding moves nothing across them."""
    pytest.importorskip("numba")
    m, n, r = shape
    rng = np.random.default_rng(m * n + r)
    left, right = rng.standard_normal((m, r)).astype(dtype), rng.standard_normal((r, n)).astype(dtype)
    noise = rng.uniform(-0.5, 0.5, (m, n)) + np.where(rng.random((m, n)) < 0.3, 4.0, 0.0)
    a = (left.astype(float) @ right + noise).astype(dtype)
    rows, columns = rng.permutation(m)[: max(1, m // 2)][:m], rng.permutation(n)[: (n + 1) // 2]
    eps = float(np.finfo(dtype).eps)
    for array in layouts(a):
        exact = array.astype(float)
        for i, j in ((None, None), (rows, None), (None, columns), (rows, columns)):
            ii, jj = np.arange(m) if i is None else i, np.arange(n) if j is None else j
            lo, ro = left[ii].astype(float) @ right[:, jj].astype(float), exact[np.ix_(ii, jj)]
            gap = np.abs(ro - lo)
            threshold = 2.0
            expected = np.where(gap >= threshold, lo, ro)
            safe = np.abs(gap - threshold) > 1e-3
            (one, t1), (two, t2) = both(
                dtype, lambda i=i, j=j, a=array, ii=ii, jj=jj: cleaned(a, i, j, left[ii], right[:, jj], 2.0, 2)
            )
            assert one.dtype == two.dtype == np.dtype(dtype)
            size = 1 + np.abs(left).max(initial=0) * np.abs(right).max(initial=0) * max(r, 1)
            for found in (one, two):
                assert np.abs(np.where(safe, found - expected, 0)).max(initial=0) <= 30 * eps * size
            if safe.all():
                close(t1, t2, eps)
                assert t1.outliers == int((gap >= threshold).sum())
                assert t1.squares == pytest.approx(float((expected**2).sum()), rel=1e3 * eps)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", "complex64"])
@pytest.mark.parametrize("missing", [False, True])
def test_products_of_the_cleaned_matrix(dtype: str, missing: bool) -> None:
    pytest.importorskip("numba")
    rng = np.random.default_rng(5)

    def normal(*shape):
        x = rng.standard_normal(shape)
        return (x + 1j * rng.standard_normal(shape) if dtype.startswith("c") else x).astype(dtype)

    for m, n, r in ((1, 1, 1), (301, 270, 4), (40, 900, 3), (0, 3, 2)):
        left, right, u, v = normal(m, r), normal(r, n), normal(m, 3), normal(n, 3)
        a = left @ right
        a[rng.random((m, n)) < 0.2] += 7
        a += 0.1 * normal(m, n)
        known = rng.random((m, n)) < (0.6 if missing else 2)
        gap = np.abs(a - left @ right)
        beyond = (gap >= 3) | ~known
        a[~known] = np.inf
        b = np.where(beyond, left @ right, a)
        found = both(
            "float32" if dtype in {"float32", "complex64"} else "float64",
            lambda a=a, left=left, right=right, u=u, v=v: cleaned_products(a, left, right, 3.0, u, v, 2),
        )
        scale = 100 * np.finfo(dtype).eps * (m + n)
        for forward, backward, tally in found:
            assert np.abs(forward - b @ v).max(initial=0) <= scale * 10
            assert np.abs(backward - b.conj().T @ u).max(initial=0) <= scale * 10
            assert tally.outliers == int(beyond.sum())
            assert tally.clean == pytest.approx(float((gap[~beyond] ** 2).sum()), rel=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_nan_shows_in_the_sum_of_squares(dtype: str) -> None:
    pytest.importorskip("numba")
    a = np.ones((20, 400), dtype)
    a[7, 333] = np.nan
    left, right = np.ones((20, 1), dtype), np.ones((1, 400), dtype)
    for _, tally in both(dtype, lambda: cleaned(a, None, None, left, right, 0.5, 1)):
        assert not np.isfinite(tally.squares)


def test_the_numbers_do_not_depend_on_threads() -> None:
    pytest.importorskip("numba")
    rng = np.random.default_rng(2)
    a, left, right = rng.standard_normal((500, 700)), rng.standard_normal((500, 3)), rng.standard_normal((3, 700))
    for setting in ("plain", "compiled"):
        with compiled.using(setting, ["thresholding"], np.dtype(float)):
            one, two = (cleaned(a, None, None, left, right, 1.0, threads) for threads in (1, 3))
            assert np.array_equal(one[0], two[0])
            assert one[1] == two[1]
            three, four = (cleaned_products(a, left, right, 1.0, left, right.T, t) for t in (1, 3))
            assert np.array_equal(three[0], four[0])
            assert np.array_equal(three[1], four[1])


def test_an_array_that_lies_in_columns_rides_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a copy of it, and to the last bit as its transpose does."""
    pytest.importorskip("numba")
    rng = np.random.default_rng(1)
    a, left, right = rng.standard_normal((400, 300)), rng.standard_normal((400, 3)), rng.standard_normal((3, 300))
    lying, rows, columns = np.asfortranarray(a), rng.permutation(400)[:90], rng.permutation(300)[:70]
    monkeypatch.setattr(thresholding, "_plain", None)
    with compiled.using("compiled", ["thresholding"], np.dtype(float)):
        for i, j in ((None, None), (rows, None), (None, columns), (rows, columns)):
            ii, jj = slice(None) if i is None else i, slice(None) if j is None else j
            found, tally = cleaned(lying, i, j, left[ii], right[:, jj], 1.5, 2)
            other, same = cleaned(lying.T, j, i, right[:, jj].T, left[ii].T, 1.5, 2)
            assert np.array_equal(found, other.T)
            assert tally == same
            expected, _ = cleaned(a, i, j, left[ii], right[:, jj], 1.5, 2)
            assert np.allclose(found, expected, rtol=1e-12)
        one = cleaned_products(lying, left, right, 1.5, left, right.T, 2)
        two = cleaned_products(a, left, right, 1.5, left, right.T, 2)
        assert all(np.allclose(x, y, rtol=1e-11) for x, y in zip(one[:2], two[:2], strict=True))
        assert one[2].outliers == two[2].outliers


@pytest.mark.parametrize("setting", ["plain", "compiled"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("shape", [(700, 900, 3), (40, 2000, 1), (9, 7, 2), (300, 41, 5)])
def test_products_with_a_cross_are_those_of_its_rows_and_columns(setting: str, dtype: str, shape: Any) -> None:
    """In any layout, by compiled kernels and plain, with room used again: |fl(B v) - B v| <= k eps |B| |v| and the same
    tallies; the threads change no bit."""
    pytest.importorskip("numba")
    rng = np.random.default_rng(3)
    m, n, r = shape
    unit = 1j if dtype == "complex128" else 1
    sizes = ((m, n), (m, r), (r, n), (m // 6 + 1, 2), (n // 6 + 1, 2))
    a, left, right, u, v = ((unit * rng.standard_normal(size)).astype(dtype) for size in sizes)
    i, j = rng.permutation(m)[: len(u)], rng.permutation(n)[: len(v)]
    eps, rooms = float(np.finfo(dtype).eps), []
    with compiled.using(setting, ["thresholding", "products"], np.dtype(a.real.dtype)):
        for array in layouts(a):
            rows, one = cleaned(array, i, None, left[i], right, 1.5, 1)
            columns, two = cleaned(array, None, j, left, right[:, j], 1.5, 1)
            for taken in (((array, i), (array, j)), ((array[i], None), (array[:, j], None))):
                threads = [cross_products(*taken, i, j, left, right, 1.5, u, v, count, rooms) for count in (1, 3)]
                assert all(np.array_equal(x, y) for x, y in zip(*(each[:2] for each in threads), strict=True))
                f, g, tally, other = threads[0]
                assert f.dtype == g.dtype == np.dtype(dtype)
                assert (np.abs(f - columns @ v) <= 4 * (len(j) + r) * eps * (np.abs(columns) @ np.abs(v))).all()
                assert (np.abs(g - rows.conj().T @ u) <= 4 * (len(i) + r) * eps * (np.abs(rows.T) @ np.abs(u))).all()
                close(tally, one, eps)
                close(other, two, eps)
    assert rooms  # and what tasks ask of the system is kept


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_products_are_summed_over_the_pieces_of_a_range(dtype: str) -> None:
    """The array is so large that each task makes two pieces of B: |fl - exact| <= 4 n eps of the moduli."""
    pytest.importorskip("numba")
    rng = np.random.default_rng(6)
    m, n, r = 900, 700, 3
    assert len(thresholding.task_ranges(m // 8, n)) > 1
    a, left, right, u, v = (
        rng.standard_normal(size).astype(dtype) for size in ((m, n), (m, r), (r, n), (m, 2), (n, 2))
    )  # fmt: skip
    eps = float(np.finfo(dtype).eps)
    for setting in ("plain", "compiled"):
        with compiled.using(setting, ["thresholding", "products"], np.dtype(a.real.dtype)):
            b, tally = cleaned(a, None, None, left, right, 1.5, 1)
            forward, backward, same = cleaned_products(a, left, right, 1.5, u, v, 2)
        assert (np.abs(forward - b @ v) <= 4 * n * eps * (np.abs(b) @ np.abs(v))).all()
        assert (np.abs(backward - b.conj().T @ u) <= 4 * m * eps * (np.abs(b.T) @ np.abs(u))).all()
        close(tally, same, eps)
