"""The widths of Krylov blocks follow from shape, precision and request alone; nothing is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnla


def method(m: int, n: int, dtype: str = "float64", **asked: Any) -> Any:
    """Return the method of the plan for a matrix that takes no memory."""
    return rnla.plan(np.broadcast_to(np.zeros(1, dtype), (m, n)), **asked).method


@pytest.mark.parametrize(
    ("rank", "dtype", "width"),
    [(10, "float64", 16), (50, "float64", 24), (200, "float64", 48), (50, "float32", 32), (200, "float32", 48)],
)
def test_ranks_in_memory_take_narrow_blocks(rank: int, dtype: str, width: int) -> None:
    """Up to 8 GiB, which is taken to be memory: measured, wide ones take twice as long at a larger error."""
    assert method(20_000, 20_000, dtype, rank=rank) == rnla.BlockKrylov(block_size=width)


def test_what_is_taken_to_lie_on_a_disk_is_read_four_times() -> None:
    assert method(40_000, 40_000, rank=50) == rnla.BlockKrylov(depth=4, oversampling=0)
    assert method(1 << 15, 1 << 15, rank=50) == rnla.BlockKrylov(block_size=24)


def test_tolerances_of_long_matrices_take_the_narrowest_blocks() -> None:
    """Their panels are long, so a column in vain costs as much there as in products."""
    assert method(4000, 4000, tol=0.1) == rnla.Adaptive(part=rnla.BlockKrylov(block_size=24))
    assert method(2000, 20_000, tol=0.1) == rnla.Adaptive(part=rnla.BlockKrylov(block_size=24))
    for shape in ((100_000, 500), (500, 100_000)):
        assert method(*shape, tol=0.1) == rnla.Adaptive(part=rnla.BlockKrylov(block_size=16))
