"""A guard over every test here: LAPACK must never see what is not finite, because it may not come back."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg

SECONDS = 20
NUMPY_ROUTINES = ("svd", "qr", "eigh", "cholesky", "inv", "solve", "lstsq", "pinv", "eigvalsh", "svdvals")
TORCH_ROUTINES = ("svd", "qr", "eigh", "cholesky", "inv", "solve")


def _guarded(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def guard(a: Any, *args: Any, **kwargs: Any) -> Any:
        finite = np.isfinite(a).all() if isinstance(a, np.ndarray) else bool(a.isfinite().all())
        assert finite, f"{name} was called on an array with NaN or infinity"
        return original(a, *args, **kwargs)

    return guard


@pytest.fixture(autouse=True)
def _lapack_sees_finite_numbers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NUMPY_ROUTINES:
        monkeypatch.setattr(np.linalg, name, _guarded(f"numpy.linalg.{name}", getattr(np.linalg, name)))
    monkeypatch.setattr(scipy.linalg, "svd", _guarded("scipy.linalg.svd", scipy.linalg.svd))
    if "torch" in sys.modules:
        # The compatibility layer keeps names of its own for the same routines; were it first imported under the guard,
        # it would keep the guard too.
        import array_api_compat.torch as layer
        import torch

        for library in (torch.linalg, layer.linalg):
            for name in TORCH_ROUTINES:
                monkeypatch.setattr(library, name, _guarded(f"torch.linalg.{name}", getattr(library, name)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test of this folder a limit: a hang is a failure here, not a wait."""
    for item in items:
        if "bad_input" in item.path.parts and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SECONDS))
