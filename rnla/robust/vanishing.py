"""L = 0, for a D that has no low-rank part: zero but for its outliers.

No iteration finds it, because each cuts a matrix of the rank that it is told.  Where the rank is to be estimated, and
at least half of the entries are no outliers against zero (nearly all of the entries of an incoherent L are), it is
handed to the certificate like any other answer.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._xp.linalg import max_abs, zeros
from rnla._xp.namespace import from_host, namespace_of
from rnla.results import Status
from rnla.rng import Key
from rnla.robust.protocols import Factors, Outcome, Step
from rnla.robust.reading import Reader
from rnla.robust.sampling import drawn
from rnla.robust.scaling import OtherScaleError, scaled_method
from rnla.robust.thresholds import split

__all__ = ["vanished"]

_ROWS = 64
_LEAST = 0.5
"""Share of the entries that must be no outliers."""


def vanished(reader: Reader, method: Any, mask: Any, key: Key, held: Any) -> Outcome | None:
    """Return L = 0 as the outcome of no iteration at all, None where too much of D is an outlier to it.

    Parameters
    ----------
    reader : Reader
        With no scale yet.
    method : RobustMethod
        Whose threshold counts.
    mask : array of bool or None
    key : Key
    held : numpy.ndarray of int64
        Rows that are not to be read.
    """
    m, n = reader.shape
    rows = drawn(key, m, min(_ROWS, m), held)

    def read() -> tuple[Any, Any]:
        return (reader.rows(rows), None) if mask is None else reader.masked(mask, rows, 0)

    block, seen = read()
    nothing = namespace_of(block).zeros_like(block)
    try:
        reader.learn(max_abs(block if seen is None else reader.xp.where(seen, block, nothing)))
    except OtherScaleError:
        block, seen = read()
    part = scaled_method(method, reader.exponent).threshold
    level = part.at(0.0)
    beyond, _ = split(block, nothing, level, part.kind, seen)
    counted = math.prod(block.shape) if seen is None else int(reader.xp.count_nonzero(seen))
    share = int(reader.xp.count_nonzero(beyond)) / max(counted, 1)
    if not counted or 1 - share < _LEAST:
        return None
    like = from_host(np.zeros((0, 0), dtype=reader.dtype), reader.xp, reader.device)
    s = from_host(np.zeros(0, dtype=np.zeros(0, dtype=reader.dtype).real.dtype), reader.xp, reader.device)
    none = np.zeros(0, dtype=np.int64)
    step = Step(0.0, level, share, float(reader.entries))
    return Outcome(Factors(zeros((m, 0), like), s, zeros((0, n), like)), level, (step,), Status.MET, none, none)
