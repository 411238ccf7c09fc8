"""The matrix of random signs [achlioptas2003]_: independent entries +1 and -1.

Cost: one random bit an entry, a sixty-fourth of what a normal takes; a product costs what a Gaussian one does.

Guarantee: entries are subgaussian with constant 1, so what holds of Gaussian matrices for embeddings holds up
to constants [achlioptas2003]_, and E omega omega^H = I.  Signs are real for complex data too.

Against `Gaussian`: cheaper to draw and equal in practice; the error bounds with exact constants, and the
leave-one-out estimate, are proved for normals only.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from rnla._xp.linalg import cast
from rnla._xp.namespace import NUMPY, from_host, is_numpy
from rnla.rng import Key

__all__ = ["Rademacher"]


@dataclasses.dataclass(frozen=True, slots=True)
class Rademacher:
    """Independent random signs.

    Examples
    --------
    >>> from rnla.rng import Key
    >>> bool((abs(Rademacher().tile(0, 5, 5, 2, Key(0))) == 1).all())
    True
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
        signs = key.signs(start, stop, columns)
        if is_numpy(xp):
            return signs.astype(dtype)
        # The bytes cross, not the numbers.
        return cast(from_host(signs, xp, device), getattr(xp, np.dtype(dtype).name))
