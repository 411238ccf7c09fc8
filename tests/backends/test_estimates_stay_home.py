"""Estimates and principal components on another device: nothing large crosses, and the numbers are those of NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rnla
from tests.backends.test_no_host_copy import Meter, matrix, strict_meter, torch_meter

__all__ = ["strict_meter", "torch_meter"]  # fixtures

RANK = 6
METHOD = rnla.SubspaceIteration()
# A core of the columns of a basis, or vectors of the columns such as the scales; a panel of the rows is larger.
COLUMNS = {"rank": 120}

CALLS: dict[str, Callable[[Any], Any]] = {
    "pca": lambda A: rnla.pca(A, RANK, method=METHOD, rng=0).explained_variance,
    "pca, weighted": lambda A: (
        rnla.pca(A, RANK, weights=np.linspace(1, 2, A.shape[0]), scale=True, method=METHOD, rng=0).explained_variance
    ),
    "pca by its Gram matrix": lambda A: rnla.pca(A, RANK, method=rnla.GramEigh(), rng=0).explained_variance,
    "svdvals": lambda A: rnla.svdvals(A, RANK, method=METHOD, rng=0).upper,
    "spectral norm": lambda A: rnla.norm_estimate(A, rng=0).upper,
    "Frobenius norm": lambda A: rnla.norm_estimate(A, "fro", rng=0).value,
    "rank": lambda A: rnla.rank_estimate(A, tol=0.2, rng=0).rank,
    "residuals": lambda A: rnla.svd(A, RANK, method=METHOD, rng=0).residuals() > 1e-3,
}


def host(x: Any) -> Any:
    if type(x).__module__.startswith("array_api_strict"):
        return np.asarray(x.to_device(pytest.importorskip("array_api_strict").Device("CPU_DEVICE")))
    return np.asarray(x.numpy() if hasattr(x, "numpy") else x)


def check_call(what: str, given: Any, meter: Meter) -> None:
    out = CALLS[what](given)
    assert meter.largest <= 8 * COLUMNS.get(what, 64) ** 2 < 8 * 1500 * COLUMNS.get(what, RANK)
    assert np.allclose(host(out), CALLS[what](matrix()), rtol=1e-9)


@pytest.mark.parametrize("what", CALLS)
def test_on_a_strict_device(what: str, strict_meter: Meter) -> None:
    library = pytest.importorskip("array_api_strict")
    check_call(what, library.asarray(matrix(), device=library.Device("device1")), strict_meter)


@pytest.mark.parametrize("what", CALLS)
def test_on_torch(what: str, torch_meter: Meter) -> None:
    check_call(what, pytest.importorskip("torch").from_numpy(matrix()), torch_meter)


def test_transforms_stay_home() -> None:
    library = pytest.importorskip("array_api_strict")
    device = library.Device("device1")
    A = library.asarray(matrix()[:200], device=device)
    result = rnla.pca(A, RANK, rng=0)
    for made in (result.transform(A), result.scores, result.inverse_transform(result.scores), result.mean):
        assert made.device == device
    assert rnla.svdvals(A, 3, rng=0).lower.device == device
    more = result.extend(rank=RANK + 2)
    assert more.components.device == device
