"""Sums over rows or columns of D against L, in panels: what the certificate judges by.

A block of held-out lines is read at once, because many sources give whole lines only; L there, and all that is made of
both, exist for one panel at a time.  The panels depend on the shape alone, and their sums are added in their order, so
threads change no bit.  Memory beside the block: `bytes_of_looks`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rnla._kernels.threads import even_ranges, run
from rnla._xp.linalg import cast, host_values
from rnla._xp.namespace import is_numpy, namespace_of, to_host
from rnla.config import get_config
from rnla.robust.thresholds import column_levels

__all__ = ["Lines", "Look", "bytes_of_looks", "clean_panels", "gaps", "look"]

Array = np.ndarray[Any, Any]

_PANEL = 1 << 14
"""Entries of a panel at most, or one line across: what is made of them stays in the second cache."""
_ON_DEVICE = 1 << 18
_SHARED = 1 << 20  # entries from which on threads share the work
_TEMPORARIES = 8  # arrays as large as a panel at a time, in double precision; 6 are what is seen


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """Sums over the entries of rows, or of columns; one number for each."""

    clean: Array  # of |D - L|^2
    model: Array  # of |L|^2
    outliers: Array
    under: float  # entries in [z / 2, z)
    beyond: float  # entries in [z, 2 z)
    counted: Array
    solid: float  # clean entries where L is above the threshold: where it is not, zero agrees as well as L does
    across: Array  # share of outliers on each line across: columns for rows, rows for columns


@dataclasses.dataclass(frozen=True, slots=True)
class Lines:
    """Rows and columns of D, and of L beside them.

    Attributes
    ----------
    reader : Reader
    factors : Factors
    mask : array of bool or None
    """

    reader: Any
    factors: Any
    mask: Any = None

    def read(self, index: Array, axis: int) -> tuple[Any, Any, Any, Any]:
        """Return rows (axis 1) or columns (axis 0) of D, two factors of L there, and of the mask."""
        reader, (u, s, vh) = self.reader, self.factors
        if self.mask is None:
            block, observed = (reader.columns(index) if axis == 0 else reader.rows(index)), None
        else:
            block, observed = reader.masked(self.mask, index, 1 - axis)
        weights = cast(s, u.dtype)
        if axis == 0:
            return block, u, weights[:, None] * reader.take(vh, index, 1), observed
        return block, reader.take(u, index, 0) * weights[None, :], vh, observed


def bytes_of_looks(m: int, n: int, rows: int, columns: int, itemsize: int, threads: int) -> int:
    """Return the bytes that reading and judging so many rows, or columns, takes beside D and its factors.

    Four blocks of lines (as it comes, in order, in the dtype of the work, and the gaps to L), the sums of the lines
    across, and panels.
    """
    block = max(rows * n, columns * m)
    panels = 1 if block < _SHARED else max(threads, 1)
    panel = 16 * min(max(_PANEL, rows, columns), block)
    return 4 * itemsize * block + 8 * 8 * (m + n) + _TEMPORARIES * panel * panels


def look(
    block: Any, left: Any, right: Any, threshold: float, kind: str, axis: int, observed: Any = None
) -> Look:  # fmt: skip
    """Return the sums of a block of rows (axis 1 is summed) or of columns (axis 0) of D, where L = left right."""
    xp, length, lines = namespace_of(block), int(block.shape[axis]), int(block.shape[1 - axis])
    flags, levels = None, np.empty(0)
    if kind == "columns":
        levels = _levels_of_columns(block, left, right, axis, observed)
        flags = levels >= threshold

    def task(part: slice) -> tuple[Array, ...]:
        piece, model, seen = _piece(block, left, right, observed, part, axis)
        if flags is None:
            bad = None
        else:
            here = np.ascontiguousarray(flags[part] if axis == 1 else flags)
            bad = xp.broadcast_to(xp.asarray(here, device=getattr(piece, "device", None))[None, :], piece.shape)
        return _sums(piece, model, seen, bad, threshold, axis)

    found = _over(task, block, axis)
    clean, sizes, outliers, counts, numbers = (sum(each[i] for each in found) for i in (0, 1, 2, 3, 6))
    across = [np.concatenate([each[i] for each in found]) for i in (4, 5)]
    if observed is None:
        counts, across[1] = np.full(lines, float(length)), np.full(length, float(lines))
    under, over, beyond, solid = (float(each) for each in numbers)
    if kind == "columns":
        height = int(block.shape[0])
        under, over, beyond = (
            float(height * np.count_nonzero(levels >= level)) for level in (threshold / 2, threshold, 2 * threshold)
        )
    return Look(
        clean, sizes, outliers, under - over, over - beyond, counts, solid, across[0] / np.maximum(across[1], 1)
    )


def gaps(block: Any, left: Any, right: Any, observed: Any = None) -> Array:
    """Return abs(D - L) of a block of rows on the host, inf where D was not observed."""

    def task(part: slice) -> None:
        piece, model, seen = _piece(block, left, right, observed, part, 1)
        gap = to_host(abs(piece - model))
        out[:, part] = gap if seen is None else np.where(to_host(seen), gap, np.inf)

    real = np.abs(np.zeros(0, dtype=str(left.dtype).rpartition(".")[2])).dtype
    out = np.empty(tuple(block.shape), dtype=real)
    _over(task, block, 1)
    return out


def clean_panels(
    block: Any, left: Any, right: Any, threshold: float, axis: int, use: Callable[[slice, Array], Any],
    observed: Any = None,
) -> list[Any]:  # fmt: skip
    """Return what `use` makes of each panel: of its range, and of 1 where an entry agrees with L, else 0."""

    def task(part: slice) -> Any:
        piece, model, seen = _piece(block, left, right, observed, part, axis)
        clean = abs(piece - model) < threshold
        return use(part, to_host(clean if seen is None else clean & seen).astype(np.float64))

    return _over(task, block, axis)


def _over(task: Any, block: Any, axis: int) -> list[Any]:
    """Return what a task makes of the panels of a block, in order."""
    length, size = int(block.shape[axis]), math.prod(block.shape)
    home = is_numpy(namespace_of(block))
    threads = get_config().threads if home and size >= _SHARED else 1
    step = max(1, (_PANEL if home else _ON_DEVICE) * max(length, 1) // max(size, 1))
    return run(task, even_ranges(length, -(-length // step)), threads)


def _piece(block: Any, left: Any, right: Any, observed: Any, part: slice, axis: int) -> tuple[Any, Any, Any]:
    """Return a panel of D, of L and of the mask."""
    if axis == 1:
        model, where = left @ right[:, part], (slice(None), part)
    else:
        model, where = left[part, :] @ right, (part, slice(None))
    return cast(block[where], model.dtype), model, None if observed is None else observed[where]


def _sums(block: Any, model: Any, observed: Any, bad: Any, threshold: float, axis: int) -> tuple[Array, ...]:
    """Return the sums over a panel: by lines, across them (outliers, entries), and over all."""
    xp = namespace_of(block)
    gap, size = xp.abs(block - model), xp.abs(model)
    full = None if observed is None else cast(observed, gap.dtype)
    gap = gap if full is None else xp.where(observed, gap, xp.zeros_like(gap))  # what is missing may be NaN
    beyond = gap >= threshold if bad is None else bad if observed is None else bad & observed
    flags = cast(beyond, gap.dtype)
    clean = 1 - flags if full is None else full - flags  # a product with it is faster than a choice
    kept = size * clean
    if bad is None:
        numbers = [gap >= threshold / 2, beyond, gap >= 2 * threshold, kept >= threshold]
    else:
        numbers = [beyond, beyond, beyond, clean > 0]
    gap = cast(gap * clean, xp.float64)
    kept = cast(kept, xp.float64)
    lines, across = _adding(gap, axis), _adding(gap, 1 - axis)
    none = np.empty(0)
    return (
        lines(gap * gap), lines(kept * kept), lines(flags), none if full is None else lines(full), across(flags),
        none if full is None else across(full), np.asarray([float(xp.count_nonzero(each)) for each in numbers]),
    )  # fmt: skip


def _adding(like: Any, axis: int) -> Callable[[Any], Array]:
    """Return what adds along an axis, to the host: a product with ones is several times as fast as a sum."""
    xp = namespace_of(like)
    ones = xp.ones_like(like[:1, :] if axis == 1 else like[:, :1], dtype=xp.float64).mT

    def added(x: Any) -> Array:
        x = cast(x, xp.float64)
        return host_values((x @ ones)[:, 0] if axis == 1 else (ones @ x)[0, :])

    return added


def _levels_of_columns(block: Any, left: Any, right: Any, axis: int, observed: Any) -> Array:
    """Return the root mean square of D - L on each column of a block."""

    def task(part: slice) -> tuple[Array, Array]:
        piece, model, seen = _piece(block, left, right, observed, part, axis)
        level = host_values(column_levels(piece - model, seen))
        if seen is None:
            return level, np.full(len(level), float(piece.shape[0]))
        return level, _adding(piece, 0)(seen)

    levels, counts = ([each[i] for each in _over(task, block, axis)] for i in (0, 1))
    if axis == 1:
        return np.concatenate(levels)
    weights = np.stack(counts)
    share = weights * len(counts) / np.maximum(weights.sum(axis=0), 1)
    total: Array = column_levels(np.stack(levels) * np.sqrt(share))
    return total
