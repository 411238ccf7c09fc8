"""Sweeps over a basis and a panel: the kernel against its twin and NumPy, layouts, bits and what is left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnla._kernels import compiled
from rnla._kernels.sweeps import swept

DTYPES = ("float32", "float64", "complex64", "complex128")
# Columns of the basis and of the panel around the widths of registers; one and several tasks, tiles and groups.
SHAPES = ((700, 5, 3), (5003, 24, 8), (30_001, 17, 16), (6000, 70, 33), (3000, 0, 4))
LAYOUTS = ("rows", "columns", "part of wider rows", "read-only", "swapped bytes")


def filled(rng: np.random.Generator, m: int, n: int, dtype: str) -> np.ndarray:
    a = rng.standard_normal((m, n))
    return (a + 1j * rng.standard_normal((m, n)) if np.dtype(dtype).kind == "c" else a).astype(dtype)


def laid_out(a: np.ndarray, layout: str) -> np.ndarray:
    if layout == "columns":
        return np.asfortranarray(a)
    if layout == "part of wider rows":
        return np.concatenate([a, a[:, :3]], axis=1)[:, : a.shape[1]]
    a.setflags(write=layout != "read-only")
    return a.astype(a.dtype.newbyteorder()) if layout == "swapped bytes" else a


def each(dtype: str, b: Any, x: Any, minus: Any, triangle: Any) -> list[Any]:
    found = []
    for setting in ("plain", "compiled"):
        with compiled.using(setting, ["panels"], np.dtype(dtype)):
            out = np.zeros(x.shape, dtype=dtype)
            found.append((*swept(b, x, 2, minus=minus, triangle=triangle, out=out), out))
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_kernel_equals_its_twin_and_numpy(dtype: str, layout: str) -> None:
    """Bounds: gamma_n |A| |B| of the sums, with a factor for the products before; few rows are summed narrow."""
    pytest.importorskip("numba")
    rng, eps = np.random.default_rng(0), float(np.finfo(dtype).eps)
    for m, n, k in SHAPES:
        b, x = (laid_out(filled(rng, m, columns, dtype), layout) for columns in (n, k))
        c, t = filled(rng, n, k, dtype) / 16, np.triu(filled(rng, k, k, dtype))
        wide = np.result_type(np.dtype(dtype), np.float64)
        for minus in (None, c, c[n // 2 :]):
            for triangle in (None, t):
                left = 0 if minus is None else b[:, n - len(minus) :].astype(wide) @ minus
                exact = (x.astype(wide) - left) @ (np.eye(k) if triangle is None else triangle)
                size = (np.abs(x) + (0 if minus is None else np.abs(b[:, n - len(minus) :]) @ np.abs(minus))) @ (
                    np.eye(k) if triangle is None else np.abs(triangle)
                )
                tie, square = np.abs(b).T @ size, size.T @ size

                for tied, gram, out in each(dtype, b, x, minus, triangle):
                    assert tied.dtype == np.dtype(dtype)
                    assert gram.dtype == wide
                    bound = 4 * (n + k + min(m, 4096) ** 0.5 + 64) * eps
                    assert np.all(np.abs(tied - b.astype(wide).conj().T @ exact) <= bound * tie)
                    assert np.all(np.abs(gram - exact.conj().T @ exact) <= bound * square)
                    assert np.array_equal(gram, gram.conj().T)
                    assert np.all(np.abs(out - exact) <= 4 * (n + k + 1) * eps * size)


@pytest.mark.parametrize("setting", ["plain", "compiled"])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_threads_places_and_what_is_asked_for_change_no_bit(dtype: str, setting: str) -> None:
    pytest.importorskip("numba")
    rng = np.random.default_rng(1)
    b, x = filled(rng, 20_000, 24, dtype), filled(rng, 20_000, 8, dtype)
    c, t = filled(rng, 24, 8, dtype), np.triu(filled(rng, 8, 8, dtype))
    with compiled.using(setting, ["panels"], np.dtype(dtype)):
        out, before = np.zeros_like(x), x.copy()
        tied, gram = swept(b, x, 1, minus=c, triangle=t, out=out)
        again = swept(b, x, 3, minus=c, triangle=t)  # not kept
        room = np.zeros((20_000, 30), dtype=dtype)
        room[:, 5:13] = x
        only = swept(b, room[:, 5:13], 2, minus=c, triangle=t, out=room[:, 5:13], tied=False)
        assert np.array_equal(x, before)
        assert np.array_equal(tied, again[0])
        assert np.array_equal(gram, again[1])
        assert only[0] is None
        assert np.array_equal(only[1], gram)
        assert np.array_equal(room[:, 5:13], out)
        assert not room[:, :5].any()
        assert not room[:, 13:].any()
        assert swept(b, x, 1, squared=False)[1] is None
