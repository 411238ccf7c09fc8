"""What is here: versions, backends found and not found, threads, BLAS, settings; nothing heavy is imported for it."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import os
import platform
import sys

from rnla._version import __version__
from rnla.cli.readers.opened import human_size, shown
from rnla.cli.show import print_table, table_of_rows
from rnla.config import Config, get_config

__all__ = ["print_info"]

NEEDED = {"numpy": "numpy", "scipy": "scipy", "array_api_compat": "array-api-compat",
          "array_api_extra": "array-api-extra", "threadpoolctl": "threadpoolctl"}  # fmt: skip
# Module, distributions that may hold it, and what it is for.
OPTIONAL = {
    "torch": (("torch",), "arrays of torch"),
    "cupy": (("cupy-cuda12x", "cupy-cuda13x", "cupy-cuda11x", "cupy"), "arrays of CuPy"),
    "jax": (("jax",), "arrays of JAX"),
    "dask": (("dask",), "Dask arrays"),
    "h5py": (("h5py",), "HDF5 files"),
    "zarr": (("zarr",), "Zarr stores"),
    "fast_matrix_market": (("fast-matrix-market",), "Matrix Market files"),
    "numba": (("numba",), "compiled kernels, none yet"),
    "sklearn": (("scikit-learn",), "estimators, none yet"),
    "matplotlib": (("matplotlib",), "pictures"),
    "typer": (("typer",), "command line"),
    "rich": (("rich",), "command line"),
}


def print_info() -> None:
    """Print the tables.

    Raises
    ------
    InputError
        A variable of the environment has a value that cannot be used; after the tables are printed.
    """
    versions = [("rnla", __version__), ("python", f"{platform.python_version()}, {platform.platform()}")]
    versions += [(name, _version((name,)) or "NOT FOUND") for name in NEEDED.values()]
    print_table(table_of_rows("Versions", versions))
    print_table(table_of_rows("Optional libraries", [(name, _state(name)) for name in OPTIONAL]))
    print_table(table_of_rows("Linear algebra and threads", [("processors", _processors()), *_blas()]))
    set_here = [(name, shown(value)) for name, value in sorted(os.environ.items()) if name.startswith("RNLA_")]
    print_table(table_of_rows("Environment", set_here or [("RNLA_*", "none set")]))
    config = get_config()
    rows = [(field.name, _setting(config, field.name)) for field in dataclasses.fields(config)]
    print_table(table_of_rows("Settings in force", rows))


def _version(distributions: tuple[str, ...]) -> str:
    for name in distributions:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def _state(module: str) -> str:
    distributions, purpose = OPTIONAL[module]
    try:
        there = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        there = False
    return f"{_version(distributions) or 'found'} ({purpose})" if there else f"not found ({purpose})"


def _processors() -> str:
    every = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else every
    return f"{usable} usable of {every}"


def _blas() -> list[tuple[str, str]]:
    """Return the BLAS and OpenMP libraries of the process, NumPy's and SciPy's loaded."""
    import numpy  # noqa: F401, ICN001
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_info

    rows = []
    for found in threadpool_info():
        what = f"{found.get('internal_api')} {found.get('version') or ''}".strip()
        owner = os.path.basename(os.path.dirname(found.get("filepath", "")))
        details = [f"{found.get('num_threads')} threads", found.get("architecture"), f"in {shown(owner)}"]
        rows.append((str(found.get("user_api")), f"{what}, {', '.join(str(d) for d in details if d)}"))
    return rows or [("blas", f"none that threadpoolctl knows, {sys.platform}")]


def _setting(config: Config, name: str) -> str:
    value = getattr(config, name)
    if name == "memory_budget":
        return (
            human_size(value) if value is not None else f"half of what is available, now {human_size(config.budget())}"
        )
    if value is None:
        return "none"
    return str(value)
