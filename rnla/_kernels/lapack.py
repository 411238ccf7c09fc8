"""LAPACK's own routines, for what NumPy has no function for.

SciPy carries their addresses for Cython.  They are called through `ctypes`, which gives Python's lock free meanwhile,
as SciPy's own functions do not: calls on several threads run beside each other.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np

from rnla._kernels.threads import hold_newcomers

__all__ = ["call"]


@functools.cache
def _routine(name: str) -> Any:
    from scipy.linalg import cython_lapack

    hold_newcomers()  # SciPy brings a BLAS of its own
    capsule = vars(cython_lapack)["__pyx_capi__"][name]
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", ctypes.pythonapi))
    pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    return ctypes.CFUNCTYPE(None)(pointer_of(capsule, name_of(capsule)))


def _address(array: Any) -> Any:
    # A quarter of what `array.ctypes` takes.
    return ctypes.byref(ctypes.c_char.from_buffer(array))


def call(name: str, *given: Any) -> int:
    """Call a routine and return its INFO, 0 for success.

    Parameters
    ----------
    name : str
        Such as ``"dsterf"``.
    *given : str, int or numpy.ndarray
        Its arguments but the last.  Arrays are written in place, and must be of the routine's type, contiguous and not
        empty.

    Examples
    --------
    >>> d, e = np.array([2.0, 1.0]), np.zeros(1)
    >>> call("dsterf", 2, d, e), d.tolist()
    (0, [1.0, 2.0])
    """
    info = ctypes.c_int(0)
    handed = [
        _address(value) if isinstance(value, np.ndarray)
        else ctypes.byref(ctypes.c_int(value)) if isinstance(value, int)
        else ctypes.c_char_p(value.encode())
        for value in given
    ]  # fmt: skip
    _routine(name)(*handed, ctypes.byref(info))
    return info.value
