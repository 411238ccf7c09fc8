"""The unitary transforms of `SRTT`: cosine, Hadamard and Fourier; each by its entries and fast.

A transform is a unitary matrix F of order N.  ``entries`` gives the numbers of sqrt(N) F one by one, from integers
that are reduced exactly before the one call of cos, so that they depend on nothing but their place; ``forward``
takes every row of an array to F times it.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Protocol

import numpy as np

__all__ = ["TRANSFORMS", "Cosine", "Fourier", "Hadamard", "Transform"]

Array = np.ndarray[Any, Any]
_LOW = 32  # the Hadamard matrix that BLAS multiplies with: shorter runs starve the butterflies


class Transform(Protocol):
    """A unitary matrix F of order N with entries of modulus about N^-1/2, and a fast product."""

    @property
    def is_complex(self) -> bool:
        """Whether the entries are complex."""
        ...

    def length(self, rows: int) -> int:
        """Return the least order N that is at least `rows` and has a fast product."""
        ...

    def entries(self, position: Array, frequency: Array, length: int) -> Array:
        """Return sqrt(N) F[frequency, position], one row for each position, in double precision."""
        ...

    def forward(self, x: Array) -> Array:
        """Return the rows of an array, (p, N), each multiplied by F; `x` may be overwritten."""
        ...

    def transposed(self, z: Array) -> Array:
        """Return the transpose of F times a vector, in double precision and always in the same order of sums."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Cosine:
    """The orthonormal discrete cosine transform of the second kind, of any order [ahmed1974]_."""

    is_complex: bool = False

    def length(self, rows: int) -> int:
        """Return the number of rows: every order is fast."""
        return rows

    def entries(self, position: Array, frequency: Array, length: int) -> Array:
        """Return sqrt(2) cos(pi (2 position + 1) frequency / 2N), and 1 for the frequency 0."""
        turns = (2 * position[:, None] + 1) * frequency[None, :] % max(4 * length, 1)
        out = np.cos(turns * (0.5 * math.pi / max(length, 1))) * math.sqrt(2.0)
        out[:, frequency == 0] = 1.0
        return np.asarray(out)

    def forward(self, x: Array) -> Array:
        """Return the transform of every row."""
        import scipy.fft

        return np.asarray(scipy.fft.dct(x, type=2, axis=1, norm="ortho", overwrite_x=True))

    def transposed(self, z: Array) -> Array:
        """Return the inverse transform, which is the transpose."""
        import scipy.fft

        return np.asarray(scipy.fft.idct(z, type=2, norm="ortho"))


@dataclasses.dataclass(frozen=True, slots=True)
class Fourier:
    """The unitary discrete Fourier transform, of any order."""

    is_complex: bool = True

    def length(self, rows: int) -> int:
        """Return the number of rows: every order is fast."""
        return rows

    def entries(self, position: Array, frequency: Array, length: int) -> Array:
        """Return exp(-2 pi i position frequency / N)."""
        turns = position[:, None] * frequency[None, :] % max(length, 1)
        angle = turns * (-2.0 * math.pi / max(length, 1))
        out = np.empty(angle.shape, dtype=np.complex128)
        out.real, out.imag = np.cos(angle), np.sin(angle)
        return out

    def forward(self, x: Array) -> Array:
        """Return the transform of every row."""
        import scipy.fft

        return np.asarray(scipy.fft.fft(x, axis=1, norm="ortho", overwrite_x=True))

    def transposed(self, z: Array) -> Array:
        """Return the transform, which is symmetric."""
        import scipy.fft

        return np.asarray(scipy.fft.fft(z, norm="ortho"))


@dataclasses.dataclass(frozen=True, slots=True)
class Hadamard:
    """The Walsh-Hadamard transform in Hadamard's order, of a power of two: all entries are +-N^-1/2."""

    is_complex: bool = False

    def length(self, rows: int) -> int:
        """Return the next power of two."""
        return 1 << (rows - 1).bit_length() if rows > 1 else rows

    def entries(self, position: Array, frequency: Array, length: int) -> Array:
        """Return the sign of the parity of the bits that position and frequency share."""
        del length
        shared = np.bitwise_count(position[:, None] & frequency[None, :])
        return np.asarray(1.0 - 2.0 * (shared & 1))

    def forward(self, x: Array) -> Array:
        """Return the transform of every row: the low bits by a small matrix, the others by butterflies."""
        rows, length = x.shape
        half = min(length, _LOW)
        low = np.arange(half)
        x = (x.reshape(-1, half) @ self.entries(low, low, half).astype(x.dtype)).reshape(rows, length) if half else x
        while half < length:
            pairs = x.reshape(rows, length // (2 * half), 2, half)
            total = pairs[:, :, 0] + pairs[:, :, 1]
            np.subtract(pairs[:, :, 0], pairs[:, :, 1], out=pairs[:, :, 1])
            pairs[:, :, 0] = total
            half *= 2
        return np.asarray(x * x.dtype.type(1.0 / math.sqrt(max(length, 1))))

    def transposed(self, z: Array) -> Array:
        """Return the transform, which is symmetric."""
        return np.asarray(self.forward(np.array(z, dtype=np.float64).reshape(1, -1))[0])


TRANSFORMS: dict[str, Transform] = {"dct": Cosine(), "hadamard": Hadamard(), "fourier": Fourier()}
