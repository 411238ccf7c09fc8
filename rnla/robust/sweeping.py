"""D less its outliers against a model, in panels of rows: multiplied and forgotten, or put together.

    B = D where it was observed and is no outlier, else L.

NumPy arrays and single entries ride `rnla._kernels.thresholding`; entries that were not observed are infinite there, so
that they lie beyond every threshold and take the value of L.  Whole columns, and arrays of other libraries, are worked
on here in panels of some rows, whose number depends on the shape and on the kind of device only; sums are added in
their order.  Beside D there is never more than a few panels, and B only where it is asked for.

A column is judged by all of its entries, so for whole columns D is read twice: first for their levels.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rnla._kernels.threads import even_ranges, run
from rnla._kernels.thresholding import cleaned, cleaned_products
from rnla._xp.linalg import adjoint, cast, zeros
from rnla._xp.namespace import device_of, is_numpy, namespace_of
from rnla.config import get_config
from rnla.robust.protocols import Factors

__all__ = ["Observed", "bytes_of_panels", "cleaned_array", "over_panels", "put_together", "sweep", "without_large"]

_IN_CACHE, _ON_HOST, _ELSEWHERE = 1 << 16, 1 << 18, 1 << 22
"""Entries of a panel: for NumPy, for other libraries on the host, and where starting a kernel takes its time."""
_PARTS = 8
_TEMPORARIES = 8  # arrays as large as a panel at a time; 6 are what is seen


@dataclasses.dataclass(frozen=True, slots=True)
class Observed:
    """D as it is swept, and what counts as an outlier.

    Attributes
    ----------
    array : array, shape (m, n)
        Where D was not observed, zero if there is a mask, else infinite.
    kind : {"entries", "columns"}
    mask : array of bool or None
    size : int
        Entries that were observed.
    """

    array: Any
    kind: str
    mask: Any
    size: int

    @classmethod
    def of(cls, array: Any, kind: str, mask: Any) -> Observed:
        """Return D from an array that is zero where it was not observed: an array to be written to, if there are such.

        Parameters
        ----------
        array : array, shape (m, n)
        kind : str
        mask : array of bool or None
        """
        if mask is None:
            return cls(array, kind, None, math.prod(array.shape))
        size = int(namespace_of(array).count_nonzero(mask))
        if not is_numpy(namespace_of(array)) or kind != "entries":
            return cls(array, kind, mask, size)
        over_panels(array, lambda part: np.copyto(array[part], np.inf, where=~mask[part]))
        return cls(array, kind, None, size)

    @property
    def rides_kernels(self) -> bool:
        """Whether the kernels and their twins for NumPy take it."""
        return is_numpy(namespace_of(self.array)) and self.kind == "entries"

    def share(self, outliers: int) -> float:
        """Return the share of outliers among what was observed."""
        return outliers / max(self.size, 1)

    def share_beyond(self, count: int) -> float:
        """Return the same from the count of what is not under the threshold, with what was not observed."""
        return self.share(count - (math.prod(self.array.shape) - self.size))


def over_panels(array: Any, work: Callable[[slice], Any], parts: int = 1) -> list[Any]:
    """Return what a function gives for each panel of rows of an array, in their order; NumPy's on the pool.

    Parameters
    ----------
    array : array, shape (m, n)
    work : callable
        Takes the rows of a panel.
    parts : int
        Panels at least, if one would not do and there are as many rows.
    """
    return run(work, _panels(array, 0, int(array.shape[0]), parts), get_config().threads if _on_pool(array) else 1)


def put_together(array: Any, make: Callable[[slice], Any]) -> Any:
    """Return an array like another, of what a function gives for each panel of rows."""
    xp = namespace_of(array)
    if not _written_to(array):
        return xp.concat(over_panels(array, make), axis=0)
    out = xp.empty_like(array)

    def put(part: slice) -> None:
        out[part, :] = make(part)

    over_panels(array, put, _PARTS)
    return out


def without_large(data: Observed, threshold: float) -> Any:
    """Return D, zero where it was not observed, with zeros in place of its outliers against L = 0: as large as D."""
    m, n = data.array.shape
    nothing = Factors(zeros((m, 0), data.array), zeros((0,), data.array), zeros((0, n), data.array))
    return cleaned_array(data, nothing, threshold)[0]


def cleaned_array(data: Observed, factors: Factors, threshold: float) -> tuple[Any, float, float]:
    """Return B, as large as D, the norm of D - L - S, and the share of outliers."""
    left = _scaled_left(factors)
    if data.rides_kernels:
        out, tally = cleaned(data.array, None, None, left, factors.Vh, threshold, get_config().threads)
        return out, math.sqrt(tally.clean), data.share_beyond(tally.outliers)
    panel, sums = _Panel(data, left, factors.Vh, threshold), []

    def make(part: slice) -> Any:
        block, *both = panel(part)
        sums.append((part.start, *both))
        return block

    out = put_together(data.array, make)
    return out, *_totals(data, [each[1:] for each in sorted(sums, key=lambda each: each[0])])


def sweep(data: Observed, factors: Factors, threshold: float) -> tuple[Any, Any, float, float]:
    """Return B V, the adjoint of B times U, the norm of D - L - S, and the share of outliers; B is never whole."""
    array, left, v = data.array, _scaled_left(factors), adjoint(factors.Vh)
    if data.rides_kernels:
        forward, backward, tally = cleaned_products(
            array, left, factors.Vh, threshold, factors.U, np.ascontiguousarray(v), get_config().threads
        )
        return forward, backward, math.sqrt(tally.clean), data.share_beyond(tally.outliers)
    panel, other = _Panel(data, left, factors.Vh, threshold), adjoint(factors.U)

    def task(group: slice) -> tuple[list[Any], Any, list[Any]]:
        forward, sums = [], []
        backward = zeros((int(other.shape[0]), int(array.shape[1])), array)
        for part in _panels(array, group.start, group.stop):
            block, *both = panel(part)
            forward.append(block @ v)
            backward = backward + other[:, part] @ block
            sums.append(both)
        return forward, backward, sums

    on_pool = _on_pool(array)
    groups = even_ranges(int(array.shape[0]), _PARTS if on_pool else 1)
    found = run(task, groups, get_config().threads if on_pool else 1)
    total = found[0][1]
    for _, backward, _ in found[1:]:
        total = total + backward
    forward = namespace_of(array).concat([block for blocks, _, _ in found for block in blocks], axis=0)
    return forward, adjoint(total), *_totals(data, [each for _, _, sums in found for each in sums])


class _Panel:
    """Makes panels of B, with the sum of the squares of what is left of D - L - S there, and the count of outliers."""

    def __init__(self, data: Observed, left: Any, right: Any, threshold: float) -> None:
        self.array, self.mask, self.left, self.right, self.threshold = data.array, data.mask, left, right, threshold
        self.flags = None if data.kind == "entries" else self._column_levels() >= threshold

    def __call__(self, part: slice) -> tuple[Any, Any, Any]:
        xp = namespace_of(self.array)
        data, model, gap = self._parted(part)
        if self.flags is None:
            beyond = gap >= self.threshold
        else:
            beyond = xp.broadcast_to(self.flags[None, :], gap.shape)
        replaced = beyond
        if self.mask is not None:
            seen = self.mask[part, :]
            beyond, replaced = beyond & seen, beyond | ~seen
        gap = xp.where(replaced, xp.zeros_like(gap), gap)
        return xp.where(replaced, model, data), xp.sum(gap * gap, dtype=xp.float64), xp.count_nonzero(beyond)

    def _parted(self, part: slice) -> tuple[Any, Any, Any]:
        data, model = self.array[part, :], self.left[part, :] @ self.right
        return data, model, namespace_of(data).abs(data - model)

    def _column_levels(self) -> Any:
        """Return the root of the mean square of each column of D - L, over what was observed."""
        xp = namespace_of(self.array)

        def squares(part: slice) -> tuple[Any, Any]:
            gap = self._parted(part)[2]
            if self.mask is None:
                return xp.sum(gap * gap, axis=0, dtype=xp.float64), part.stop - part.start
            seen = cast(self.mask[part, :], gap.dtype)
            return xp.sum(gap * gap * seen, axis=0, dtype=xp.float64), xp.sum(seen, axis=0, dtype=xp.float64)

        found = over_panels(self.array, squares, _PARTS)
        total, count = found[0]
        for more, rows in found[1:]:
            total, count = total + more, count + rows
        return xp.sqrt(total / count)


def _scaled_left(factors: Factors) -> Any:
    return factors.U * cast(factors.s, factors.U.dtype)[None, :]


def _totals(data: Observed, sums: list[Any]) -> tuple[float, float]:
    """Return the norm of D - L - S and the share of outliers, of sums that stay on their device until here."""
    squares, outliers = sums[0]
    for more, beyond in sums[1:]:
        squares, outliers = squares + more, outliers + beyond
    return math.sqrt(float(squares)), data.share(int(outliers))


def bytes_of_panels(xp: Any, device: Any, itemsize: int, whole: int) -> int:
    """Return bytes of all that is made of the panels at work at a time, for a matrix of so many entries."""
    entries = min(_entries(xp, device), whole)
    return _TEMPORARIES * itemsize * entries * (get_config().threads if is_numpy(xp) else 1)


def _entries(xp: Any, device: Any) -> int:
    if is_numpy(xp):
        return _IN_CACHE
    return _ON_HOST if "cpu" in str(device).lower() else _ELSEWHERE


def _panels(array: Any, start: int, stop: int, parts: int = 1) -> list[slice]:
    """Return ranges of rows from start to stop, of a size that depends on the shape and the kind of device."""
    entries = _entries(namespace_of(array), device_of(array))
    size = (stop - start) * int(array.shape[1])
    pieces = even_ranges(stop - start, max(parts if size > entries else 1, -(-size // entries)))
    return [slice(start + piece.start, start + piece.stop) for piece in pieces]


def _on_pool(array: Any) -> bool:
    return is_numpy(namespace_of(array))


def _written_to(array: Any) -> bool:
    """Whether parts of an array of its library can be set."""
    if isinstance(array, np.ndarray):
        return True
    import array_api_compat

    return bool(array_api_compat.is_writeable_array(array))
