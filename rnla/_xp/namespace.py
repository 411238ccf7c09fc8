"""Which array library an array belongs to, where it lives, and how to cross on purpose.

Array libraries are recognised through modules that are loaded already; nothing here imports CuPy,
torch, JAX or Dask.  NumPy arrays use `numpy` itself, which follows the array standard; others go
through `array-api-compat`, imported when the first such array appears.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = [
    "NUMPY",
    "all_finite",
    "backend_name",
    "device_of",
    "from_host",
    "full_precision",
    "has_float64",
    "is_array",
    "is_concrete",
    "is_dask",
    "is_numpy",
    "module_name",
    "namespace_of",
    "needs_grad",
    "to_host",
]

NUMPY: Any = np
_LARGE = 1 << 14


def module_name(x: Any) -> str:
    """Return the top-level module of an object's type, e.g. ``"torch"``."""
    return (type(x).__module__ or "").partition(".")[0]


def is_numpy(xp: Any) -> bool:
    """Whether a namespace is NumPy's."""
    return xp is np


def is_array(x: Any) -> bool:
    """Whether an object is a dense array of a library that follows the array standard."""
    if isinstance(x, np.ndarray):
        return True
    name = module_name(x)
    if name in {"cupy", "torch", "jax", "jaxlib", "dask"}:
        import array_api_compat

        return bool(array_api_compat.is_array_api_obj(x))
    return hasattr(x, "__array_namespace__")


def is_dask(x: Any) -> bool:
    """Whether an object is a Dask array."""
    return module_name(x) == "dask" and hasattr(x, "chunks")


def namespace_of(x: Any) -> Any:
    """Return the array namespace of an array."""
    if isinstance(x, (np.ndarray, np.generic)):
        return np
    import array_api_compat

    return array_api_compat.array_namespace(x)


def device_of(x: Any) -> Any:
    """Return the device of an array, None for NumPy."""
    if isinstance(x, (np.ndarray, np.generic)):
        return None
    import array_api_compat

    return array_api_compat.device(x)


def backend_name(xp: Any) -> str:
    """Return the name under which reports and messages speak of a namespace."""
    if xp is np:
        return "numpy"
    name = getattr(xp, "__name__", str(xp))
    return str(name).removeprefix("array_api_compat.").partition(".")[0]


def has_float64(xp: Any, device: Any) -> bool:
    """Whether double precision can be computed on a device."""
    if is_numpy(xp):
        return True
    try:
        return bool(xp.zeros((1,), dtype=xp.float64, device=device).dtype == xp.float64)
    except (TypeError, RuntimeError, AttributeError, ValueError):
        return False


def is_concrete(x: Any) -> bool:
    """Whether an array holds numbers that Python may look at (not a meta tensor, not a tracer)."""
    if isinstance(x, np.ndarray):
        return True
    name = module_name(x)
    if name == "torch":
        return str(x.device) != "meta"
    if name in {"jax", "jaxlib"}:
        jax = sys.modules.get("jax")
        return jax is None or not isinstance(x, jax.core.Tracer)
    return True


def needs_grad(x: Any) -> bool:
    """Whether a tensor records operations for differentiation."""
    return module_name(x) == "torch" and bool(x.requires_grad)


def all_finite(x: Any) -> bool:
    """Whether no entry is NaN or infinite; true for arrays that hold no numbers."""
    if not is_concrete(x):
        return True
    if isinstance(x, np.ndarray) and x.dtype.kind in "fc" and x.size > _LARGE:
        # Where the sum of squares is finite, so is every entry, and it costs one read and no temporary.
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(np.vdot(x, x)):
                return True
    if isinstance(x, np.ndarray):
        return bool(np.isfinite(x).all())
    xp = namespace_of(x)
    return bool(xp.all(xp.isfinite(x)))


def to_host(x: Any) -> np.ndarray[Any, Any]:
    """Copy a (small) array to NumPy, on purpose."""
    if isinstance(x, np.ndarray):
        return x
    name = module_name(x)
    if name == "torch":
        return x.detach().resolve_conj().cpu().numpy()  # type: ignore[no-any-return]
    if name == "cupy":
        return x.get()  # type: ignore[no-any-return]
    if name == "array_api_strict":
        x = x.to_device(sys.modules["array_api_strict"].Device("CPU_DEVICE"))
    return np.asarray(x)


def from_host(x: np.ndarray[Any, Any], xp: Any, device: Any) -> Any:
    """Copy a (small) NumPy array to a library and device, on purpose."""
    if is_numpy(xp):
        return x
    # A copy: a consumer could write through a shared read-only buffer.
    return xp.asarray(np.array(x), device=device)


@contextlib.contextmanager
def full_precision(xp: Any) -> Iterator[None]:
    """Hold a GPU library's reduced-precision products off inside the block; the last user out restores its setting."""
    name = backend_name(xp)
    if name == "torch":
        with _torch_full_precision():
            yield
    elif name == "jax":
        with sys.modules["jax"].default_matmul_precision("highest"):
            yield
    else:
        yield


_precision_lock = threading.Lock()
_precision_users = 0
_precision_before = contextlib.ExitStack()
_precision_process = object()


@contextlib.contextmanager
def _torch_full_precision() -> Iterator[None]:
    """Raise torch's setting, which belongs to the whole process, with the first call in; restore it with the last."""
    global _precision_users
    with _precision_lock:
        if _precision_users == 0:
            _raise_precision(sys.modules["torch"], _precision_before)
        _precision_users += 1
        process = _precision_process
    try:
        yield
    finally:
        with _precision_lock:
            if process is _precision_process:  # a child forked inside the block has restored it already
                _precision_users -= 1
                if _precision_users == 0:
                    _precision_before.close()


def _raise_precision(torch: Any, undo: contextlib.ExitStack) -> None:
    """Ask torch for full precision, and put what restores the setting on the stack.

    Since version 2.9 there is a setting for each backend too, and the one for all of them raises where they differ.
    """
    try:
        before = torch.get_float32_matmul_precision()
    except RuntimeError:
        before = None
    settings = [getattr(getattr(torch.backends, backend, None), "matmul", None) for backend in ("cuda", "mkldnn")]
    found = [getattr(setting, "fp32_precision", None) for setting in settings]
    lowered = before not in {None, "highest"}
    for setting, own in zip(settings, found, strict=True):
        if own is not None and (lowered or own not in {"none", "ieee"}):
            undo.callback(setattr, setting, "fp32_precision", own)
    if lowered:  # this one sets those of the backends as well, so it is restored before them
        undo.callback(torch.set_float32_matmul_precision, before)
        torch.set_float32_matmul_precision("highest")
    for setting, own in zip(settings, found, strict=True):
        if own not in {None, "none", "ieee"}:
            setting.fp32_precision = "ieee"  # type: ignore[union-attr]


def _forget_precision_in_child() -> None:
    """Restore in a forked child what a call on a thread that did not come along would never restore."""
    global _precision_lock, _precision_users, _precision_process
    _precision_lock, _precision_users, _precision_process = threading.Lock(), 0, object()
    _precision_before.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_precision_in_child)
