"""Where the threshold begins: above L, but not at outliers that are larger than it by decades.

The methods begin at the largest modulus, as their papers do.  Where outliers are thousands of times as large as L, the
first models are then made of outliers, and the threshold falls through decades in which there is nothing to learn: on
the synthetic model (n = 300, rank 5) with outliers a million times as large, `RieCUR` found L in few draws and
`AccAltProj` in none; begun just above L both find it in every draw, in a third of the iterations.

S1  Some of the rows that are read first in any case; the moduli of their entries (or the levels of their columns).
S2  Counted by octaves down from the largest, as far as four times the quartile, above which there are three in four.
    In the paper's model the counts fall to nothing and the threshold begins as ever.  Outliers far above L make them
    rise again: the lowest of the smallest octaves lies between.
S3  Its upper end is where the threshold begins, if that is below a third of the largest, and what lies above is
    spread: rows or columns that are large all over are parts of L, and the threshold begins above them.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._xp.namespace import namespace_of, to_host
from rnla.robust.pursuit import PrincipalComponentPursuit
from rnla.robust.reading import Reader
from rnla.robust.thresholds import column_levels

__all__ = ["begun_at", "first_level", "valley"]

Array = np.ndarray[Any, Any]

_ROWS = 16
_QUARTILE, _ABOVE = 0.25, 4.0
_WORTH = 3.0
"""How much lower than the largest it has to be."""
_ALL_OVER = 0.95
_FEWEST = 8  # entries that tell whether a row or column is large all over
_MOST = 1 << 20  # entries that are looked at


def begun_at(method: Any, level: float | None) -> Any:
    """Return a method whose threshold begins at a level; the method itself where its threshold has a beginning."""
    part = method.threshold
    if level is None or part.start is not None or isinstance(method, PrincipalComponentPursuit):
        return method
    return dataclasses.replace(method, threshold=dataclasses.replace(part, start=level))


def first_level(reader: Reader, mask: Any, kind: str, lines: Array) -> float | None:
    """Return the first threshold, in the scale of D; None for the largest modulus.

    Parameters
    ----------
    reader : Reader
    mask : array of bool or None
    kind : {"entries", "columns"}
    lines : numpy.ndarray of int64
        Rows that may be read; some of them are.
    """
    n, rows = reader.shape[1], lines[:: max(1, len(lines) // _ROWS)][:_ROWS]
    block, seen = (reader.rows(rows), None) if mask is None else reader.masked(mask, rows, 0)
    if kind == "columns":
        levels = to_host(column_levels(block, seen))
        return valley(levels if seen is None else levels[to_host(seen).any(axis=0)])
    step = max(1, math.ceil(len(rows) * n / _MOST))
    sizes = to_host(namespace_of(block).abs(block[:, ::step]))
    there = None if seen is None else to_host(seen)[:, ::step]
    level = valley(sizes.reshape(-1) if there is None else sizes[there])
    if level is None:
        return None
    counted = np.ones(sizes.shape, dtype=bool) if there is None else there
    above = (sizes >= level) & counted
    for axis in (0, 1):
        of = counted.sum(axis=axis)
        if (above.sum(axis=axis) > _ALL_OVER * of)[of >= _FEWEST].any():
            return None
    return level


def valley(sizes: Array) -> float | None:
    """Return the upper end of the octave between small sizes and large ones, None where there is none.

    Parameters
    ----------
    sizes : numpy.ndarray, shape (k,)
        Not negative.

    Examples
    --------
    >>> import numpy as np
    >>> small = np.linspace(0.5, 1.0, 100)
    >>> valley(small), valley(np.append(small, 1024.0))
    (None, 8.0)
    """
    top = float(sizes.max(initial=0.0))
    if not 0 < top < math.inf:  # what is not finite is told where it is read whole
        return None
    low = float(np.quantile(sizes, _QUARTILE))
    if low == 0:
        return None
    octaves = math.floor(math.log2(top / low / _ABOVE))  # whole ones between 4 times the quartile and the largest
    if octaves < 2:
        return None
    edges = np.ldexp(top, -np.arange(octaves, -1, -1))
    counts = np.histogram(sizes, edges)[0]
    level = float(edges[int(np.argmin(counts)) + 1])
    return level if _WORTH * level < top else None
