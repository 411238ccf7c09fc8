"""Nothing large goes to the host behind the caller's back: bytes that cross are O(l^2 + l), never O(m n) or O(m l)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import rnla

M, N, RANK = 1500, 400, 6
L = 2 * RANK + 10
SMALL = 16 * (8 * L * L + 400 * L)  # bytes: a few l by l triangles and l-vectors of complex128 per step

METHODS = {
    "subspace_iteration": {"rank": RANK, "method": rnla.SubspaceIteration()},
    "column-space": {"rank": RANK, "method": rnla.SubspaceIteration(space="column")},
    "spectral": {"rank": RANK, "norm": "spectral", "method": rnla.SubspaceIteration()},
    "adaptive": {"tol": 0.05, "method": rnla.Adaptive(block_size=8)},
    "gram_eigh": {"rank": RANK, "method": rnla.GramEigh()},
    "tall_qr": {"rank": RANK, "method": rnla.TallQR()},
    "full_svd": {"rank": RANK, "method": rnla.FullSVD()},
}
LARGE_CORE = {"gram_eigh": N * 16, "tall_qr": N * 16, "full_svd": N * 16}  # all n singular values may be looked at


class Meter:
    """Counts the bytes that come to the host, and the largest piece."""

    def __init__(self) -> None:
        self.total, self.largest, self.crossings = 0, 0, 0

    def add(self, count: int) -> None:
        self.total += count
        self.largest = max(self.largest, count)
        self.crossings += 1


@pytest.fixture
def torch_meter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Meter]:
    torch = pytest.importorskip("torch")
    meter = Meter()
    for name in ("numpy", "__array__", "tolist", "cpu", "__dlpack__"):
        original = getattr(torch.Tensor, name)

        def counted(self: Any, *args: Any, _original: Any = original, _name: str = name, **kwargs: Any) -> Any:
            if _name != "cpu":  # which is on its way to numpy(), counted there
                meter.add(self.numel() * self.element_size())
            return _original(self, *args, **kwargs)

        monkeypatch.setattr(torch.Tensor, name, counted)
    return meter


@pytest.fixture
def strict_meter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Meter]:
    library = pytest.importorskip("array_api_strict")
    meter = Meter()
    array = type(library.asarray([1.0]))
    for name in ("__array__", "__buffer__", "__dlpack__", "to_device"):
        if not hasattr(array, name):
            continue
        original = getattr(array, name)

        def counted(self: Any, *args: Any, _original: Any = original, **kwargs: Any) -> Any:
            meter.add(int(np.prod(self.shape)) * 8)
            return _original(self, *args, **kwargs)

        monkeypatch.setattr(array, name, counted)
    return meter


def matrix() -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    left, right = np.linalg.qr(rng.standard_normal((M, N)))[0], np.linalg.qr(rng.standard_normal((N, N)))[0]
    return (left / np.arange(1.0, N + 1) ** 1.5) @ right


def check_crossings(meter: Meter, asked: str, given: Any) -> None:
    result = rnla.svd(given, rng=0, **METHODS[asked])
    assert result.rank >= 1
    # A tolerance may take more columns than a rank of six: the bound follows the size of the basis.
    size = max(result.report.size if asked not in LARGE_CORE else L, L)
    steps = max(1, len(result.report.blocks))
    bound = steps * 16 * (8 * size * size + 400 * size) + 8 * LARGE_CORE.get(asked, 0)
    assert meter.crossings > 0, "the meter saw nothing, not even the singular values"
    assert meter.largest <= max(16 * size * size, LARGE_CORE.get(asked, 0)) + 16 * size
    assert meter.largest < 8 * M * RANK
    assert meter.total <= bound
    assert bound < 8 * M * N


@pytest.mark.parametrize("asked", METHODS)
def test_torch_tensors_stay_where_they_are(asked: str, torch_meter: Meter) -> None:
    torch = pytest.importorskip("torch")
    check_crossings(torch_meter, asked, torch.from_numpy(matrix()))


@pytest.mark.parametrize("asked", METHODS)
def test_strict_arrays_stay_where_they_are(asked: str, strict_meter: Meter) -> None:
    library = pytest.importorskip("array_api_strict")
    check_crossings(strict_meter, asked, library.asarray(matrix(), device=library.Device("device1")))


def test_the_meters_see_a_copy(torch_meter: Meter, strict_meter: Meter) -> None:
    """The guard itself can fail."""
    torch, library = pytest.importorskip("torch"), pytest.importorskip("array_api_strict")
    np.asarray(torch.ones(1000, dtype=torch.float64))
    assert torch_meter.largest == 8000
    np.asarray(library.ones(1000))
    assert strict_meter.largest == 8000
