"""Sums over held-out lines in panels: those of whole blocks, the same to the bit for any threads, in bounded memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.robust import looking
from rnla.robust.looking import bytes_of_looks, gaps, look
from rnla.robust.thresholds import split


def of_whole(block: Any, low: Any, threshold: float, kind: str, axis: int, observed: Any) -> dict[str, Any]:
    """Return the sums by their definitions, of the whole block at once."""
    there = np.ones(block.shape, dtype=bool) if observed is None else observed
    bad, _ = split(block, low, threshold, kind, observed)
    bad = bad & there
    clean, size = there & ~bad, np.abs(low)
    level = np.where(there, np.abs(block - low), 0)
    if kind == "columns":
        counts = np.maximum(there.sum(axis=0), 1)
        level = np.broadcast_to(np.sqrt((level**2).sum(axis=0) / counts), block.shape)
    across = 1 - axis
    return {
        "clean": np.where(clean, np.abs(block - low).astype(float) ** 2, 0).sum(axis=axis),
        "model": np.where(clean, size.astype(float) ** 2, 0).sum(axis=axis),
        "outliers": bad.sum(axis=axis),
        "under": np.count_nonzero((level >= threshold / 2) & (level < threshold)),
        "beyond": np.count_nonzero((level >= threshold) & (level < 2 * threshold)),
        "counted": there.sum(axis=axis),
        "solid": np.count_nonzero(clean if kind == "columns" else clean & (size >= threshold)),
        "across": bad.sum(axis=across) / np.maximum(there.sum(axis=across), 1),
    }


CASES = [(7, 9001), (64, 3000), (1, 40000), (2500, 31), (20000, 1), (3, 2)]


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", ["entries", "columns"])
@pytest.mark.parametrize("axis", [0, 1])
def test_the_sums_in_panels_are_those_of_the_whole(axis: int, kind: str, masked: bool, dtype: str) -> None:
    for seed, shape in enumerate(CASES):
        rng = np.random.default_rng(seed)
        left, right = rng.standard_normal((shape[0], 2)), rng.standard_normal((2, shape[1]))
        left, right = (each.astype(dtype) * (1 + 1j if dtype == "complex128" else 1) for each in (left, right))
        low = left @ right
        block = low + (rng.random(shape) < 0.2) * 5 * rng.standard_normal(shape) * rng.random((1, shape[1]))
        block = np.asfortranarray(block.astype(dtype)) if seed % 2 else block.astype(dtype)
        observed = rng.random(shape) < 0.8 if masked else None
        holes = block if observed is None else np.where(observed, block, np.nan)
        for threshold in (0.3, 1.3):
            found = look(holes, left, right, threshold, kind, axis, observed)
            for name, expected in of_whole(block, low, threshold, kind, axis, observed).items():
                loose = 1e-5 if dtype == "float32" else 1e-12
                assert np.allclose(getattr(found, name), expected, rtol=loose, atol=loose), (name, shape)


@pytest.mark.parametrize("masked", [False, True])
def test_gaps_in_panels(masked: bool) -> None:
    rng = np.random.default_rng(0)
    left, right, block = rng.standard_normal((40, 3)), rng.standard_normal((3, 7001)), rng.standard_normal((40, 7001))
    observed = rng.random(block.shape) < 0.8 if masked else None
    expected = np.abs(block - left @ right)
    expected = np.where(observed, expected, np.inf) if masked else expected
    assert np.allclose(gaps(block, left, right, observed), expected, rtol=0, atol=1e-13)
    assert gaps(block.astype("c8"), left.astype("c8"), right.astype("c8")).dtype == np.float32


def test_threads_change_no_bit() -> None:
    rng = np.random.default_rng(0)
    left, right, block = (rng.standard_normal(shape) for shape in ((64, 3), (3, 30000), (64, 30000)))
    assert block.size >= looking._SHARED  # threads share it
    found = []
    for threads in (1, 2, 5):
        with rnla.config_context(threads=threads):
            found.append(look(block, left, right, 1.0, "entries", 1))
    for other in found[1:]:
        for name in ("clean", "model", "outliers", "across"):
            assert np.array_equal(getattr(found[0], name), getattr(other, name))


class OnDemand:
    """D as a function: rank one and a few outliers, never whole."""

    dtype = np.dtype(float)

    def __init__(self, m: int, n: int) -> None:
        self.shape = (m, n)
        rng = np.random.default_rng(0)
        self.u, self.v = rng.standard_normal(m), rng.standard_normal(n)

    def entries(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        block = np.multiply.outer(self.u[i], self.v[j])
        block[(i[:, None] * 7919 + j * 104729) % 11 == 0] += 3.0
        return block


def peak_of(d: Any, rank: int, **options: Any) -> int:
    tracemalloc.start()
    result = rnla.robust_pca(d, rank, rng=0, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.held_out.accepted
    return peak


@pytest.mark.parametrize("source", ["on demand", "in memory", "in columns"])
@pytest.mark.parametrize("shape", [(300, 60000), (60000, 300)])
def test_wide_data_stay_within_their_plan(shape: tuple[int, int], source: str) -> None:
    """A cross so narrow that the certificate, with a few arrays as large as what it reads, would need more."""
    d: Any = OnDemand(*shape)
    if source != "on demand":
        d = d.entries(np.arange(shape[0]), np.arange(shape[1]))
        d = np.asfortranarray(d) if source == "in columns" else d
    options = {"method": rnla.RieCUR(samples=1.5)}
    rnla.robust_pca(OnDemand(300, 300), 1, rng=0, **options)  # what is loaded once
    assert peak_of(d, 1, **options) <= rnla.plan(d, 1, problem="robust_pca", **options).bytes


@pytest.mark.parametrize(("rows", "axis"), [(64, 1), (64, 0), (256, 1)])
def test_a_look_makes_no_array_of_the_size_of_its_block(rows: int, axis: int) -> None:
    """But for sums of lines across and the gaps, less than a third of the block."""
    n = 40000
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((rows, 2)), rng.standard_normal((2, n))
    block = left @ right + (rng.random((rows, n)) < 0.1)
    if axis == 0:
        left, right, block = right.T, left.T, block.T
    with rnla.config_context(threads=1):
        look(block, left, right, 0.5, "entries", axis)
        for task, extra in (
            (lambda: look(block, left, right, 0.5, "entries", axis), 0),
            (lambda: gaps(block, left, right), 1),
        ):
            tracemalloc.start()
            task()
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            if extra and axis == 0:
                continue  # gaps are of rows
            assert peak <= block.nbytes * (extra + 1 / 3)
            assert peak <= bytes_of_looks(rows, n, rows, 0, 8, 1) - (3 - extra) * block.nbytes
