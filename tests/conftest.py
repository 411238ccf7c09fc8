"""What holds for the whole suite: threads, seeds, the poisoned global generator, the list of backends.

Threads: BLAS is held at one thread here, before NumPy is loaded, because the suite runs in two processes and
two pools of as many threads as the machine has cores only fight each other; the oracles' bits then do not
depend on the machine's core count either.  A test about threads raises the limit itself, with threadpoolctl,
which may go above what the environment says.  Processes that tests start inherit the setting.
"""

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import functools
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

BACKENDS = {
    "torch": "torch",
    "cupy": "cupy",
    "array_api_strict": "array-api-strict",
    "numba": "numba",
    "h5py": "h5py",
    "zarr": "zarr",
    "fast_matrix_market": "fast-matrix-market",
    "dask": "dask",
    "sklearn": "scikit-learn",
    "matplotlib": "matplotlib",
}

# ---------------------------------------------------------------------------------------------------- kernels
# The compiled kernels are loaded before the first test, so that no test depends on when they become ready; without
# numba, or with RNLA_KERNELS=plain, the suite runs on the plain twins.
if importlib.util.find_spec("numba") is not None and os.environ.get("RNLA_KERNELS") != "plain":
    from rnla._kernels import compiled

    _FOLDER = Path(compiled.__file__).parent
    _FAMILIES = sorted(path.name.removesuffix("_numba.py") for path in _FOLDER.glob("*_numba.py"))
    compiled.load([(name, dtype) for name in _FAMILIES for dtype in ("float64", "float32")])


# ------------------------------------------------------------------------------------------------------ seeds
# "fixed": a red run is red again; what pull requests and the README's command use.
# "fresh": new examples each time, for long runs on purpose.  RNLA_TEST_PROFILE chooses.
# too_slow measures this machine and not the code, so it is off in both.
_COMMON: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow],
}
settings.register_profile("fixed", derandomize=True, **_COMMON)
settings.register_profile("fresh", derandomize=False, print_blob=True, **_COMMON)
settings.load_profile(os.environ.get("RNLA_TEST_PROFILE", "fixed"))


# --------------------------------------------------------------------------------------------------- backends
def _backends() -> tuple[list[str], list[str]]:
    """Return what is installed, with versions, and what is not."""
    there, absent = [], []
    for module, distribution in BACKENDS.items():
        if importlib.util.find_spec(module) is None:
            absent.append(module)
            continue
        try:
            there.append(f"{module} {importlib.metadata.version(distribution)}")
        except importlib.metadata.PackageNotFoundError:
            there.append(module)
    return there, absent


def _backend_lines() -> list[str]:
    there, absent = _backends()
    return [
        f"backends there: {', '.join(there) or 'none'}",
        f"backends NOT there: {', '.join(absent) or 'none'}",
    ]


def pytest_report_header(config: pytest.Config) -> list[str]:
    profile = os.environ.get("RNLA_TEST_PROFILE", "fixed")
    return [*_backend_lines(), f"hypothesis profile: {profile}"]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say it again at the end, where a person who reads only the last lines sees what was left out."""
    for line in _backend_lines():
        terminalreporter.write_line(line)


# ----------------------------------------------------------------------------- NumPy's global generator is poison
def _caller_in_library() -> str | None:
    """Return the innermost module of the library on the stack, its test kit aside."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name == "rnla" or name.startswith("rnla."):
            return None if name.startswith("rnla.testing") else name
        frame = frame.f_back  # type: ignore[assignment]
    return None


def _poisoned(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def guard(*args: Any, **kwargs: Any) -> Any:
        caller = _caller_in_library()
        if caller is not None:
            raise AssertionError(f"{caller} reached numpy.random.{name}, the global generator; use a Key")
        return original(*args, **kwargs)

    return guard


def pytest_configure(config: pytest.Config) -> None:
    """Make every function of NumPy's global generator raise when the library reaches it, doctests included."""
    state = np.random.mtrand._rand
    bound = [n for n in dir(np.random) if getattr(getattr(np.random, n), "__self__", None) is state]
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    for name in {"seed", "ranf", "sample", *bound} - {"get_state", "set_state"}:
        patch.setattr(np.random, name, _poisoned(name, getattr(np.random, name)))
