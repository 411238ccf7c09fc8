"""What holds while a call works: BLAS at one thread, full precision on devices, and which kernels may be used.

Every entry point works inside `working`, after it has fixed the settings.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rnla._kernels import compiled
from rnla._kernels.threads import one_blas_thread
from rnla._xp.namespace import full_precision, is_numpy
from rnla.config import get_config

__all__ = ["FAMILIES", "families_of", "kernels_in_use", "working"]

FAMILIES = ("products", "panels", "scatter")
"""The compiled kernels that all dense work gains from."""


@contextlib.contextmanager
def working(
    xp: Any, dtype: np.dtype[Any], flops: float = math.inf, families: Sequence[str] = FAMILIES
) -> Iterator[None]:
    """Hold the threads of BLAS, the precision of devices and the choice of kernels.

    Parameters
    ----------
    xp : namespace
        Of the matrix.
    dtype : numpy.dtype
        The compute dtype.
    flops : float
        About how much work there is.
    families : sequence of str
        Kernels that it would gain from.
    """
    setting = get_config().kernels if is_numpy(xp) else "plain"
    kernels = compiled.using(setting, families, dtype, flops=flops)
    if is_numpy(xp):
        with one_blas_thread(), kernels:
            yield
    else:
        with one_blas_thread(), full_precision(xp), kernels:
            yield


def families_of(op: Any) -> tuple[str, ...]:
    """Return the compiled kernels that work on an operator gains from, its own among them."""
    return (*FAMILIES, *getattr(op, "kernel_families", ()))


def kernels_in_use(xp: Any, dtype: np.dtype[Any], families: Sequence[str] = FAMILIES) -> str:
    """Return what the products of the call at hand work with, for its report."""
    return compiled.described(families, dtype) if is_numpy(xp) else "those of the array library"
