"""A stack of dense matrices, or a part of one: products of every item with its own thin matrix, all at once.

The norm and the scale are every item's own: entries so large or small that their squares would leave the range of
the dtype are met by a power of two, as everywhere (`Magnitude`), which is applied to the thin operands.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rnla._kernels import compiled, products
from rnla._kernels.products import readable_in_place
from rnla._xp.linalg import adjoint, cast, host_values, is_complex
from rnla._xp.namespace import device_of, from_host, is_array, is_dask, is_numpy, namespace_of, to_host
from rnla._xp.stacked import squares, take_items
from rnla.errors import InputError, NonFiniteError
from rnla.operators.coerce import as_operator, compute_dtype, warn_of_wide_integers
from rnla.operators.protocols import SAFE_RANGE

__all__ = ["Stack", "as_stack", "is_stack", "naming_all"]

Array = np.ndarray[Any, Any]

_WORTH_A_KERNEL = (
    1 << 21
)  # multiply-adds of an item, from which on Python's loop over the items costs little beside them
_USUAL = 16  # columns


def is_stack(A: Any) -> bool:
    """Whether an object is a dense array in memory of more than two dimensions: a stack of matrices."""
    return is_array(A) and not is_dask(A) and len(A.shape) > 2


def as_stack(A: Any) -> tuple[Any, np.dtype[Any]]:
    """Return a stack of matrices as an array (items, m, n), and the dtype that it is computed in.

    Raises
    ------
    InputError, DTypeError
        What `as_operator` refuses of one matrix.
    """
    if isinstance(A, np.ma.MaskedArray):
        if np.ma.is_masked(A):
            raise InputError("the array has masked entries, which would be used as if they were data; fill them first")
        A = A.data
    *batch, m, n = (int(side) for side in A.shape)
    items = math.prod(batch)
    if items:
        dtype = as_operator(A[(*(0,) * len(batch), ...)]).dtype
        warn_of_wide_integers(A)
    else:
        dtype = compute_dtype(A.dtype)
    A = np.asarray(A) if isinstance(A, np.ndarray) else A
    return namespace_of(A).reshape(A, (items, m, n)), dtype


def _names(index: Array, batch: tuple[int, ...]) -> str:
    places = [str(tuple(int(i) for i in np.unravel_index(int(k), batch))) for k in index[:3]]
    return ", ".join(places) + (f" and {len(index) - 3} more" if len(index) > 3 else "")


def _not_finite(index: Array, batch: tuple[int, ...]) -> NonFiniteError:
    return NonFiniteError(
        f"NaN or infinity stands in {'item' if len(index) == 1 else 'items'} {_names(index, batch)} of the stack; "
        "remove or impute such entries first"
    )


@contextlib.contextmanager
def naming_all(array: Any, batch: tuple[int, ...]) -> Iterator[None]:
    """Name, inside the block, all items of a stack that are not finite where one part of it has found its own."""
    try:
        yield
    except NonFiniteError:
        xp = namespace_of(array)
        bad = np.flatnonzero(~np.asarray(to_host(xp.all(xp.isfinite(array), axis=(1, 2)))))
        if not len(bad):
            raise
        raise _not_finite(bad, batch) from None


class Stack:
    """Some matrices of one shape.

    Parameters
    ----------
    array : array, shape (items, m, n)
        Converted where it is in another dtype; never changed.
    dtype : numpy.dtype
        The compute dtype.
    index : numpy.ndarray of int64, shape (items,)
        Where the items stand in the whole stack; what messages call them.
    batch : tuple of int
        The shape of the whole stack, without the matrices.

    Attributes
    ----------
    norms : numpy.ndarray, shape (items,)
        Frobenius norms of the scaled items.
    exponents : numpy.ndarray of int, shape (items,)
        Item i is computed with as item i times ``2**-exponents[i]``.

    Raises
    ------
    NonFiniteError
        Items that hold NaN or infinity, by name.
    """

    def __init__(self, array: Any, dtype: np.dtype[Any], index: Array, batch: tuple[int, ...]) -> None:
        self.xp, self.device = namespace_of(array), device_of(array)
        self._index, self._batch = index, batch
        if is_numpy(self.xp):
            ready = all(readable_in_place(item, dtype) for item in array[:1])
            self.array = array if ready else np.ascontiguousarray(array, dtype=dtype)
        else:
            self.array = cast(array, getattr(self.xp, dtype.name))
        self.dtype = dtype
        self.shape: tuple[int, int, int] = (int(array.shape[0]), int(array.shape[1]), int(array.shape[2]))
        self.norms, self.exponents = self._measured()
        self._before, self._after = (
            self._factors(-(self.exponents // 2)),
            self._factors(self.exponents // 2 - self.exponents),
        )

    @staticmethod
    def gains_from_kernels(m: int, n: int, columns: int | None) -> bool:
        """Whether products of so many columns (None: of some) are made by compiled kernels where there are any."""
        return m * n * (_USUAL if columns is None else columns) >= _WORTH_A_KERNEL

    def matmat(self, x: Any) -> Any:
        """Return A X for every item."""
        return self._times(self.array, x, products.product)

    def rmatmat(self, y: Any) -> Any:
        """Return the adjoint of A times Y for every item; the thin array is conjugated, not A."""
        return self._times(self.array.mT, y, products.adjoint_product)

    def whole(self, chosen: Array | None = None) -> Any:
        """Return the scaled items themselves, or some of them."""
        array = self.array if chosen is None else take_items(self.array, chosen)
        if self._before is None:
            return array
        factors = (self._before, self._after)
        first, second = factors if chosen is None else (take_items(factor, chosen) for factor in factors)
        return array * first * second

    def asymmetry(self) -> tuple[Array, Array]:
        """Return, for every item, its largest difference from its adjoint as a share of its largest entry.

        And the Frobenius norm of half of that difference, its part that is not Hermitian.
        """
        array = self.whole()
        difference = array - adjoint(array)
        gap = host_values(self.xp.max(self.xp.abs(difference), axis=(1, 2)))
        top = host_values(self.xp.max(self.xp.abs(array), axis=(1, 2)))
        share: Array = np.divide(gap, top, out=np.zeros_like(gap), where=top > 0)
        return share, np.sqrt(host_values(squares(difference))) / 2

    def names(self, chosen: Array) -> str:
        """Return how messages call some items: by their place in the batch."""
        return _names(self._index[chosen], self._batch)

    def _times(self, array: Any, x: Any, kernel: Callable[..., Array]) -> Any:
        """Return the products with an array of the items, or of their transposes to be conjugated."""
        if self._before is not None:
            x = x * self._before
        if is_numpy(self.xp) and self.gains_from_kernels(*self.shape[1:], x.shape[2]) and self._has_kernels:
            out = np.empty((len(x), array.shape[1], x.shape[2]), dtype=self.dtype)
            for item, mine, into in zip(self.array, x, out, strict=True):
                into[:] = kernel(item, mine, self.dtype, 1)
        elif kernel is products.adjoint_product and is_complex(self.array.dtype):
            out = self.xp.conj(self.xp.matmul(array, self.xp.conj(x)))
        else:
            out = self.xp.matmul(array, x)
        return out if self._after is None else out * self._after

    @property
    def _has_kernels(self) -> bool:
        return compiled.family(products.FAMILY, self.dtype) is not None

    def _factors(self, exponents: Array) -> Any:
        if not self.exponents.any():
            return None
        real = np.float32 if self.dtype.name in {"float32", "complex64"} else np.float64
        return from_host(np.exp2(exponents.astype(float))[:, None, None].astype(real), self.xp, self.device)

    def _measured(self) -> tuple[Array, Array]:
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            totals = host_values(squares(self.array))
        single = self.dtype.name in {"float32", "complex64"}
        low, high = (1e-30, 1e30) if single else (1e-280, 1e280)
        largest = np.sqrt(np.where(np.isfinite(totals), totals, 0.0))
        # Overflow, underflow, zeros or something not finite: look at the entries themselves.
        odd = np.flatnonzero(~((low < totals) & (totals < high)))
        if len(odd):
            items = take_items(self.array, odd)
            finite = np.asarray(to_host(self.xp.all(self.xp.isfinite(items), axis=(1, 2))))
            if not finite.all():
                raise _not_finite(self._index[odd[~finite]], self._batch)
            largest[odd] = host_values(self.xp.max(self.xp.abs(items), axis=(1, 2)))
        bottom, top = SAFE_RANGE["f" if single else "d"]
        exponents = np.where((largest == 0) | ((bottom <= largest) & (largest <= top)), 0, np.frexp(largest)[1])
        scaled = np.flatnonzero(exponents)
        if len(scaled):
            half = exponents[scaled] // 2
            shape, real = (-1, 1, 1), np.float32 if single else np.float64
            first, second = (
                from_host(np.exp2(-e.astype(float)).reshape(shape).astype(real), self.xp, self.device)
                for e in (half, exponents[scaled] - half)
            )
            totals[scaled] = host_values(squares(take_items(self.array, scaled) * first * second))
        return np.sqrt(totals), exponents
