"""What is multiplied or solved with a matrix that stands in a result: checked, and brought to columns of its dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnla._xp.linalg import cast
from rnla._xp.namespace import is_array, is_numpy, namespace_of, needs_grad
from rnla.errors import BackendError, DTypeError, InputError

__all__ = ["on_columns"]


def on_columns(
    function: Callable[[Any], Any], X: Any, order: int, xp: Any, dtype: np.dtype[Any], whose: str = "the root of A"
) -> Any:
    """Return a linear function of the columns of X, of X as a vector too; a complex X in its two parts if need be.

    Parameters
    ----------
    function : callable
        Of an array (n, k) of `dtype`.
    X : array, shape (n, k) or (n,), or list
    order : int
        n.
    xp : namespace
    dtype : numpy.dtype
    whose : str
        What `function` multiplies with, for messages.

    Raises
    ------
    InputError, DTypeError, BackendError
        An X that does not fit.
    """
    if isinstance(X, (list, tuple)):
        X = np.asarray(X)
    if not is_array(X):
        raise DTypeError(f"X is a {type(X).__name__}; pass an array of shape ({order}, k)")
    if needs_grad(X):
        raise DTypeError("X requires gradients, which are not recorded through a product with a root; pass .detach()")
    if namespace_of(X) is not xp:
        raise BackendError(f"X and {whose} are arrays of different libraries; bring one to the other first")
    if X.ndim not in (1, 2) or X.shape[0] != order:
        raise InputError(f"X must have shape ({order},) or ({order}, k), got {tuple(X.shape)}")
    if X.ndim == 1:
        return on_columns(function, X[:, None], order, xp, dtype, whose)[:, 0]
    if "complex" in str(X.dtype) and dtype.kind != "c":
        real, imaginary = (on_columns(function, part(X), order, xp, dtype, whose) for part in (xp.real, xp.imag))
        return real + imaginary * 1j if is_numpy(xp) else _joined(xp, real, imaginary)
    return function(cast(X, getattr(xp, dtype.name)))


def _joined(xp: Any, real: Any, imaginary: Any) -> Any:
    """Return real + i imaginary, in the array standard."""
    dtype = xp.complex64 if "float32" in str(real.dtype) else xp.complex128
    return xp.astype(real, dtype) + xp.astype(imaginary, dtype) * 1j
