"""Gram matrices summed over blocks: what NumPy makes of the whole matrix, on kernels and on their twins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnla._kernels import compiled
from rnla._kernels.gram_sum import GramSum

KINDS = ["plain", pytest.param("compiled", marks=pytest.mark.skipif(not compiled._has_numba(), reason="numba"))]


def blocks_of(dtype: str, heights: tuple[int, ...], n: int) -> list[Any]:
    rng = np.random.default_rng(8)
    parts = [rng.standard_normal((m, n)) + (1j * rng.standard_normal((m, n)) if dtype in "FD" else 0) for m in heights]
    return [part.astype(dtype) for part in parts]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["d", "f", "D", "F"])
@pytest.mark.parametrize(
    ("heights", "n"), [((1,), 1), ((0, 3), 5), ((70, 1, 129), 47), ((200, 333), 97), ((500,), 150)]
)
def test_the_sum_is_the_gram_matrix(kind: str, dtype: str, heights: tuple[int, ...], n: int) -> None:
    blocks = blocks_of(dtype, heights, n)
    shift = np.linspace(-3, 5, n).astype(dtype)
    with compiled.using(kind, ["products"], np.dtype(dtype)):
        for given in (None, shift):
            made, again = (GramSum(n, np.dtype(dtype), given, 60_000) for _ in range(2))
            for block in blocks:
                made.add(block, 2)
                again.add(block, 1)
            whole = np.vstack(blocks) - (0 if given is None else given)
            wide = whole.astype("D")
            found = made.gram()
            # Rounding of a sum of m products stays below m eps |A|^H |A|, entry by entry.
            slack = 2 * len(wide) * np.finfo(dtype).eps * (abs(wide).T @ abs(wide)) + 1e-300
            np.testing.assert_array_less(abs(found - wide.conj().T @ wide), slack)
            np.testing.assert_array_equal(found, found.conj().T)
            np.testing.assert_array_equal(found, again.gram())  # the threads change no bit
            if given is not None:
                bound = 2 * len(wide) * np.finfo(dtype).eps * abs(wide).sum(axis=0) + 1e-300
                np.testing.assert_array_less(abs(made.sums - wide.sum(axis=0)), bound)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_with_gaps_between_them(kind: str) -> None:
    a = np.random.default_rng(1).standard_normal((400, 200))
    with compiled.using(kind, ["products"], a.dtype):
        made = GramSum(60, a.dtype)
        made.add(a[::2, 20:80], 2)
    np.testing.assert_allclose(made.gram(), a[::2, 20:80].T @ a[::2, 20:80], rtol=0, atol=1e-11)
