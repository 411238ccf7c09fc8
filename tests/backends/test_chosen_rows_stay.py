"""Pivots, exchanges and cores cross to the host as indices and small triangles, never as panels."""

from __future__ import annotations

from typing import Any

import pytest

import rnla
from tests.backends.test_no_host_copy import RANK, L, M, Meter, N, matrix, strict_meter, torch_meter

__all__ = ["strict_meter", "torch_meter"]

CALLS = {
    "qr": lambda A: rnla.qr(A, RANK, rng=0),
    "lu": lambda A: rnla.lu(A, RANK, rng=0),
    "columns": lambda A: rnla.interpolative(A, RANK, rng=0),
    "rows": lambda A: rnla.interpolative(A, RANK, axis="rows", rng=0),
    "both": lambda A: rnla.interpolative(A, RANK, axis="both", rng=0),
    "random": lambda A: rnla.interpolative(A, RANK, selection="random_pivoted_qr", rng=0),
    "leverage": lambda A: rnla.interpolative(A, RANK, selection="leverage_scores", rng=0),
    "cur": lambda A: rnla.cur(A, RANK, rng=0),
    "row extraction": lambda A: rnla.svd_by_row_extraction(A, RANK, rng=0),
}


def check_stays(meter: Meter, call: Any, given: Any) -> None:
    result = call(given)
    assert result.rank == RANK
    assert meter.crossings > 0
    # Vectors of one number a column (the pivots of LU, scores, squared norms) and l by l triangles.
    assert meter.largest <= 16 * max(L * L, M, N)
    assert 16 * max(L * L, M, N) < 8 * M * RANK
    assert meter.total < 8 * M * N // 4


@pytest.mark.parametrize("name", CALLS)
def test_torch_tensors_stay(name: str, torch_meter: Meter) -> None:
    torch = pytest.importorskip("torch")
    check_stays(torch_meter, CALLS[name], torch.from_numpy(matrix()))


@pytest.mark.parametrize("name", CALLS)
def test_strict_arrays_stay(name: str, strict_meter: Meter) -> None:
    library = pytest.importorskip("array_api_strict")
    check_stays(strict_meter, CALLS[name], library.asarray(matrix(), device=library.Device("device1")))
