"""The GSRFT of [halko2011]_ (section 4.6): random rotations of neighbouring coordinates before the transform.

Problem: a structured test matrix for matrices that are built to defeat a single round of signs and transform.

Omega = sqrt(N) D'' T' D' T D F^T R, its first n rows, with F, N, R and the diagonals D of random signs (for Fourier: on
the complex unit circle) those of `SRTT`, and T = P G_1 G_2 ... G_(N-1) a random permutation after a chain of
rotations, G_i by an angle uniform on [0, 2 pi] in the plane of coordinates i and i + 1; T and T' are independent.

S1. The chosen columns of D F^T, entry by entry.
S2. The chain from its last rotation to its first, which carries one row upwards; the permutation; the next diagonal.
    Twice.

Cost: 12 N columns flops and 2 N steps one after another, for the whole of Omega and for any tile of it alike, because
the chain couples all rows.  There is no fast product: A is multiplied with the dense Omega.

Guarantee: E omega omega^H = I; no more is proved than for `SRTT`, and the paper's experiments (figure 7.8) see no
difference between the two.  Tested in `tests/sketch/test_srtt.py`.

Differences from the paper: the cosine and Hadamard transforms beside Fourier's, for real data.

When not: always, but to be compared with; `SRTT(rounds=2)` guards against the same matrices and has a fast product.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._xp.namespace import NUMPY, from_host
from rnla.checks import check_choice
from rnla.rng import Key
from rnla.sketch.srtt import check_complex, random_diagonal, sampled
from rnla.sketch.transforms import TRANSFORMS

__all__ = ["GivensSRTT"]

Array = np.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class GivensSRTT:
    """Subsampled trigonometric transform after two chains of random rotations.

    Parameters
    ----------
    transform : {"dct", "hadamard", "fourier"}
        "fourier" is the paper's GSRFT, for complex matrices only.

    Raises
    ------
    DTypeError
        When a "fourier" tile is drawn for a real matrix.

    Examples
    --------
    >>> from rnla.rng import Key
    >>> omega = GivensSRTT().tile(0, 8, 8, 8, Key(0))
    >>> bool(np.allclose(omega @ omega.T, 8 * np.eye(8)))
    True
    """

    transform: str = "dct"

    def __post_init__(self) -> None:
        check_choice("transform", self.transform, tuple(TRANSFORMS))

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
        """Return rows [start, stop) of the (rows, columns) test matrix of this key; made whole, on the host."""
        kind, dtype = TRANSFORMS[self.transform], np.dtype(dtype)
        check_complex(kind, dtype, type(self).__name__)
        if stop <= start or columns == 0:
            return from_host(np.zeros((max(stop - start, 0), columns), dtype=dtype), xp, device)
        length = kind.length(rows)
        z = kind.entries(np.arange(length), sampled(length, columns, key), length)
        z *= random_diagonal(kind, 0, length, key.child("signs", 0))[:, None]
        for step in (1, 2):
            angles = key.child("angles", step).uniforms(0, length - 1) * (2.0 * math.pi)
            rotated = _chain(z, np.cos(angles), np.sin(angles))
            # Row i of the product is row order[i] of the chain, as for `SRTT`.
            z = rotated[key.child("permutation", step).permutation(length)]
            z *= random_diagonal(kind, 0, length, key.child("signs", step))[:, None]
        return from_host(np.ascontiguousarray(z[start:stop].astype(dtype)), xp, device)


def _chain(z: Array, c: Array, s: Array) -> Array:
    """Return G_1 ... G_(N-1) z, where G_i takes rows i and i + 1 to (c x - s y, s x + c y)."""
    out = np.empty_like(z)
    carried = z[-1]
    for i in range(len(c) - 1, -1, -1):
        out[i + 1] = s[i] * z[i] + c[i] * carried
        carried = c[i] * z[i] - s[i] * carried
    out[0] = carried
    return out
