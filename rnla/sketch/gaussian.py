"""The Gaussian test matrix [halko2011]_: independent standard normal entries."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from rnla._xp.namespace import NUMPY
from rnla.rng import Key

__all__ = ["Gaussian"]


@dataclasses.dataclass(frozen=True, slots=True)
class Gaussian:
    """Independent standard normal entries; circular complex for complex data.

    The strongest guarantees and no failure on structured data; a number costs as much to draw as
    tens of multiply-adds.  The first columns do not depend on how many are drawn.

    Examples
    --------
    >>> from rnla.rng import Key
    >>> Gaussian().tile(0, 5, 5, 2, Key(0)).shape
    (5, 2)
    """

    def tile(
        self,
        start: int,
        stop: int,
        rows: int,
        columns: int,
        key: Key,
        *,
        dtype: Any = np.float64,
        xp: Any = NUMPY,
        device: Any = None,
    ) -> Any:
        """Return rows [start, stop) of the (rows, columns) test matrix of this key."""
        del rows
        return key.normals(start, stop, columns, dtype=dtype, xp=xp, device=device)
