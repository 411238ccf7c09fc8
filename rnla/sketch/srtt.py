"""The subsampled randomized trigonometric transform: random signs, a fast transform, a few of its coordinates.

Problem: a test matrix of n rows whose product with a dense row costs n log n instead of 2 n columns flops.

Omega = sqrt(N) (P_1 D_1 F^T) ... (P_q D_q F^T) R, its first n rows, with F a unitary transform of order N >= n,
and, drawn independently for each of the q rounds, D diagonal with random signs (for Fourier: uniform on the
complex unit circle) and P a random permutation.  R picks coordinates uniformly without replacement.

S1. Permute the entries of a row of A, padded with zeros to N, and multiply them by the signs.
S2. Transform.  Repeat S1 and S2 `rounds` times.
S3. Keep the coordinates that R picks, times sqrt(N).

The transforms: "dct" (real, any n: N = n), "hadamard" (real, N the next power of two: the padding lives in the
block at hand only, and rows and scaling are those of order N), "fourier" (complex, N = n; with rounds=1 and
permute=False this is the SRFT of Algorithm 4.5 [halko2011]_, whose scaling is by sqrt(n / columns)).

Cost: of a row of A, rounds * 2.5 N log2 N flops, which beats BLAS from about 8 rounds log2 N columns on; with fewer the
dense product is taken.  Of a tile of Omega by itself: with one round one cosine an entry (one bit count for Hadamard)
after O(N log N) for the orders; with more rounds a transform for each column, whatever the tile, since a row of the
product is made of all of them.

Guarantee: for one round, columns >= 4 (sqrt(k) + sqrt(8 log(k n)))^2 log k and entries of modulus N^-1/2 (Hadamard,
Fourier), every singular value of V^H Omega / sqrt(columns), V with k orthonormal columns, lies in [0.40, 1.48] with a
failure probability of order 1 / k [tropp2011]_; then the range finder errs by at most sqrt(1 + 7 n / columns) times
the optimum ([halko2011]_, Theorem 11.2).  Tested as a rate in `tests/sketch/test_srtt.py`, with the constants of the
proof.  The columns needed for that are many more than the 2 k that are enough in practice.

Differences from the papers: (1) a column has E omega omega^H = I, so Omega is sqrt(columns) times theirs; (2) the
permutation, which the theorem does not need and practice does: without it, with few columns, subspaces of
neighbouring coordinates can be lost (see `permute`); (3) where there are more columns than N, the coordinates are
picked in random orders one after another, each whole before the next begins.

When not: sparse A (a product with its stored entries is cheaper), few columns, repeated multiplication (power
iterations spend their time elsewhere).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rnla._xp.namespace import NUMPY, from_host
from rnla.checks import check_choice, check_whole
from rnla.errors import DTypeError
from rnla.rng import Key
from rnla.sketch.transforms import TRANSFORMS, Transform

__all__ = ["SRTT", "check_complex", "random_diagonal", "sampled"]

Array = np.ndarray[Any, Any]
_BLAS = 6.0  # how many times as fast a flop is in a dense product as in a transform or a sparse product, measured


def check_complex(kind: Transform, dtype: Any, name: str) -> None:
    """Raise `DTypeError` for a complex transform of a real matrix."""
    if kind.is_complex and np.dtype(dtype).kind != "c":
        raise DTypeError(
            f"{name}(transform='fourier') is complex and the matrix is {np.dtype(dtype)}; "
            "take transform='dct', or give A.astype(complex)"
        )


def random_diagonal(kind: Transform, start: int, stop: int, key: Key) -> Array:
    """Return entries [start, stop) of a random diagonal: signs, or for a complex transform points of a circle."""
    if not kind.is_complex:
        return key.signs(start, stop, 1)[:, 0].astype(np.float64)
    angle = key.uniforms(start, stop) * (2.0 * math.pi)
    out = np.empty(len(angle), dtype=np.complex128)
    out.real, out.imag = np.cos(angle), np.sin(angle)
    return out


def sampled(length: int, columns: int, key: Key) -> Array:
    """Return the coordinates that R picks: random orders one after another, as many as there are columns."""
    orders = [key.child("sample", i).permutation(length) for i in range(-(-columns // max(length, 1)))]
    return np.concatenate([np.zeros(0, dtype=np.int64), *orders])[:columns]


@dataclasses.dataclass(frozen=True, slots=True)
class SRTT:
    """Subsampled randomized trigonometric transform.

    Parameters
    ----------
    transform : {"dct", "hadamard", "fourier"}
        "fourier" is complex, and for complex matrices only.
    rounds : int
        Rounds of signs and transform.
    permute : bool
        Whether a random permutation comes first in every round.  Without it and with one round, what a few
        neighbouring coordinates hold can be lost; that combination is here to be compared with.

    Raises
    ------
    DTypeError
        When a "fourier" tile is drawn for a real matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from rnla.rng import Key
    >>> omega = SRTT("hadamard").tile(0, 8, 8, 8, Key(0))
    >>> bool(np.array_equal(omega @ omega.T, 8 * np.eye(8)))
    True
    """

    transform: str = "dct"
    rounds: int = 1
    permute: bool = True

    def __post_init__(self) -> None:
        check_choice("transform", self.transform, tuple(TRANSFORMS))
        check_whole("rounds", self.rounds, 1)
        if not isinstance(self.permute, (bool, np.bool_)):
            raise DTypeError(f"permute must be True or False, got {self.permute!r}")

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
        """Return rows [start, stop) of the (rows, columns) test matrix of this key; made on the host."""
        kind, dtype = self._kind(dtype), np.dtype(dtype)
        if stop <= start or columns == 0:
            return from_host(np.zeros((max(stop - start, 0), columns), dtype=dtype), xp, device)
        length = kind.length(rows)
        sample = sampled(length, columns, key)
        place = self._places(0, length, key)[start:stop]
        weights = self._weights(0, start, stop, key)
        if self.rounds == 1:
            out = kind.entries(place, sample, length)
        else:
            out = self._columns(kind, length, sample, place, key)
        return from_host(np.ascontiguousarray((out * weights[:, None]).astype(dtype)), xp, device)

    def applier(
        self, rows: int, columns: int, key: Key, *, dtype: Any = np.float64, stored: float | None = None
    ) -> Callable[[Array], Any] | None:
        """Return the function that multiplies rows of A; None where the product with a dense Omega is cheaper."""
        kind, dtype = self._kind(dtype), np.dtype(dtype)
        length = kind.length(rows)
        transform = 2.5 * self.rounds * length * math.log2(max(length, 1))
        if 2.0 * columns * (rows / _BLAS if stored is None else stored) < transform:
            return None
        sample = sampled(length, columns, key)
        places = [self._places(step, length, key) for step in range(self.rounds)]
        ends = [rows] + [length] * (self.rounds - 1)
        real = np.empty(0, dtype=dtype).real.dtype
        weights = [
            self._weights(step, 0, end, key).astype(dtype if kind.is_complex else real) for step, end in enumerate(ends)
        ]
        scale = dtype.type(math.sqrt(length))

        def apply(block: Array) -> Array:
            x = np.asarray(block)
            for place, weight, end in zip(places, weights, ends, strict=True):
                spread = np.zeros((len(x), length), dtype=dtype)
                spread[:, place[:end]] = x * weight
                x = kind.forward(spread)
            return np.asarray(x[:, sample] * scale, dtype=dtype)

        return apply

    def _kind(self, dtype: Any) -> Transform:
        kind = TRANSFORMS[self.transform]
        check_complex(kind, dtype, type(self).__name__)
        return kind

    def _places(self, step: int, length: int, key: Key) -> Array:
        return key.child("permutation", step).permutation(length) if self.permute else np.arange(length)

    def _weights(self, step: int, start: int, stop: int, key: Key) -> Array:
        return random_diagonal(TRANSFORMS[self.transform], start, stop, key.child("signs", step))

    def _columns(self, kind: Transform, length: int, sample: Array, place: Array, key: Key) -> Array:
        """Return chosen rows of the product of all rounds but the first one's signs, column by column."""
        out = np.empty((len(place), len(sample)), dtype=np.complex128 if kind.is_complex else np.float64)
        orders = [self._places(step, length, key) for step in range(self.rounds)]
        weights = [self._weights(step, 0, length, key) for step in range(self.rounds)]
        everywhere = np.arange(length)
        for j, frequency in enumerate(sample):
            z = kind.entries(everywhere, np.array([frequency]), length)[:, 0]
            for step in range(self.rounds - 1, 0, -1):
                z = kind.transposed(np.ascontiguousarray(z[orders[step]] * weights[step]))
            out[:, j] = z[place]
        return out
