"""The rungs of the ladder: libraries and devices that stand in for each other, and for a GPU."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@dataclasses.dataclass(frozen=True)
class Backend:
    """A library on a device: how an array gets there, and how it comes back."""

    name: str
    there: Callable[[np.ndarray[Any, Any]], Any]
    back: Callable[[Any], np.ndarray[Any, Any]]

    def same_home(self, x: Any, like: Any) -> bool:
        """Whether two arrays are of one library and lie on one device."""
        if type(x) is not type(like):
            return False
        return self.name == "numpy" or x.device == like.device


def _strict(device: str) -> Callable[[], Backend]:
    def make() -> Backend:
        xp = pytest.importorskip("array_api_strict")
        place, cpu = xp.Device(device), xp.Device("CPU_DEVICE")
        return Backend(
            f"strict-{device}", lambda x: xp.asarray(x.copy(), device=place), lambda x: np.asarray(x.to_device(cpu))
        )

    return make


def _torch() -> Backend:
    torch = pytest.importorskip("torch")
    return Backend("torch", lambda x: torch.from_numpy(x.copy()), lambda x: x.resolve_conj().numpy())


def _torch_cuda() -> Backend:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    return Backend("torch-cuda", lambda x: torch.from_numpy(x.copy()).cuda(), lambda x: x.resolve_conj().cpu().numpy())


def _cupy() -> Backend:
    cupy = pytest.importorskip("cupy")
    if not cupy.is_available():
        pytest.skip("CuPy sees no CUDA device")
    return Backend("cupy", cupy.asarray, cupy.asnumpy)


BACKENDS: dict[str, Callable[[], Backend]] = {
    "numpy": lambda: Backend("numpy", np.copy, np.asarray),
    "strict": _strict("CPU_DEVICE"),
    "strict-device1": _strict("device1"),
    "torch": _torch,
    "torch-cuda": _torch_cuda,
    "cupy": _cupy,
}


ON_A_DEVICE = {"torch-cuda", "cupy"}
HERE = [name for name in BACKENDS if name not in ON_A_DEVICE or Path("/dev/nvidia0").exists()]


@pytest.fixture(params=HERE)
def backend(request: pytest.FixtureRequest) -> Backend:
    return BACKENDS[request.param]()
