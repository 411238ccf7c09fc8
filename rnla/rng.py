"""The randomness policy: an immutable key with named children, and numbers that have an address.

A number of a test matrix is a fixed function of (seed, names of the key, row, column): raw integers
come from the counter-based generator Philox4x64-10 [salmon2011]_, and the maps from integers to
normals, signs and positions are written here.  So the numbers do not depend on block sizes, on the
order of evaluation, on threads, or on how many columns are drawn, and adding a consumer under a new
name shifts no other stream.

The maps (W_i are the 64-bit words of one column stream, i counted from 0):

- real normals: rows 2p and 2p+1 come from W_2p, W_2p+1 by the transform of Box and Muller [box1958]_,
  r = sqrt(-2 log u), u = ((W_2p >> 11) + 1) / 2^53, angle = 2 pi (W_2p+1 >> 11) / 2^53;
- complex normals with E|z|^2 = 1: row p is sqrt(-log u) exp(i angle) of the same pair of words;
- signs: one bit, 0 is +1; positions below d: (32-bit half * d) >> 32;
- uniform numbers: (W_i >> 11) / 2^53; orders: the ranks of the words.

Integers, signs and positions are the same bits on every backend; normals agree to a few ulp, because
log, sqrt, cos and sin are the array library's own.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnla._kernels.threads import run
from rnla._xp.namespace import NUMPY, has_float64, is_numpy
from rnla.config import get_config
from rnla.errors import DTypeError, InputError

__all__ = ["Key", "as_key"]

_LANES = 4  # words per Philox block
_COUNTER_BITS = 256
_WORD = (1 << 64) - 1
_TILE = 1 << 13  # pairs of normals made at a time on the host
_MANY = 1 << 14  # pairs of normals from which on the pool draws them, column by column


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """An immutable source of numbers: a seed and a path of names.

    Parameters
    ----------
    seed : int
        Any non-negative integer.
    path : tuple of str or int
        Names from the root to this key.

    Examples
    --------
    >>> key = Key(7).child("test-matrix", 0)
    >>> bool((key.normals(0, 6, 2)[2:5] == key.normals(2, 5, 2)).all())
    True
    """

    seed: int
    path: tuple[str | int, ...] = ()

    def child(self, *names: str | int) -> Key:
        """Return the key under the given names; it shares no number with this one."""
        return Key(self.seed, self.path + names)

    def philox_key(self) -> int:
        """Return the 128-bit Philox key: a hash of the seed and the names, unambiguous in both."""
        text = repr((int(self.seed), tuple(self.path))).encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=16, person=b"rnla-key-v1").digest(), "little")

    def words(self, start: int, stop: int, column: int = 0) -> np.ndarray[Any, Any]:
        """Return the raw 64-bit words [start, stop) of one column stream, as uint64."""
        return _Streams(self).words(start, stop, column)

    def normals(
        self,
        start: int,
        stop: int,
        columns: int,
        *,
        first_column: int = 0,
        dtype: Any = np.float64,
        xp: Any = NUMPY,
        device: Any = None,
    ) -> Any:
        """Return rows [start, stop) of a standard normal matrix, shape (stop - start, columns).

        Complex dtypes give circular complex normals with mean square modulus 1.
        """
        dtype = np.dtype(dtype)
        is_complex = dtype.kind == "c"
        pair_start, pair_stop = (start, stop) if is_complex else (start // 2, (stop + 1) // 2)
        pairs = max(pair_stop - pair_start, 0)
        skip = 0 if is_complex else start - 2 * pair_start
        rows = slice(skip, skip + stop - start)
        if is_numpy(xp) or not has_float64(xp, device):
            wide = np.dtype(np.complex128 if is_complex else np.float64)
            out = np.empty((columns, pairs if is_complex else 2 * pairs), dtype=dtype)
            per_pair = out.shape[1] // max(pairs, 1)
            together = max(1, _TILE // max(pairs, 1))  # short columns are transformed many at a time

            def draw(j: int) -> None:
                group, streams = range(j, min(j + together, columns)), _Streams(self)
                for first in range(0, pairs, _TILE):  # temporaries stay in cache
                    last = min(first + _TILE, pairs)
                    raw = np.empty((len(group), 2 * (last - first)), dtype=np.uint64)
                    for row, column in zip(raw, group, strict=True):
                        row[:] = streams.words(2 * (pair_start + first), 2 * (pair_start + last), first_column + column)
                    normals = _box_muller(raw.reshape(-1), wide).reshape(len(group), -1)
                    out[j : group.stop, per_pair * first : per_pair * last] = normals

            run(draw, range(0, columns, together), get_config().threads if pairs * columns > _MANY else 1)
            if is_numpy(xp):
                return out[:, rows].T
            return xp.asarray(np.ascontiguousarray(out[:, rows].T), device=device)
        if pairs == 0 or columns == 0:
            return xp.zeros((max(stop - start, 0), columns), dtype=getattr(xp, dtype.name), device=device)
        raw, streams = np.empty((columns, 2 * pairs), dtype=np.uint64), _Streams(self)
        for j in range(columns):
            raw[j] = streams.words(2 * pair_start, 2 * pair_stop, first_column + j)
        return xp.astype(_box_muller_on_device(raw, is_complex, xp, device)[:, rows], getattr(xp, dtype.name)).mT

    def signs(self, start: int, stop: int, columns: int, *, first_column: int = 0) -> np.ndarray[Any, Any]:
        """Return rows [start, stop) of a matrix of signs +1 and -1, as int8, shape (stop - start, columns)."""
        first, last = start // 64, -(-stop // 64)
        out, streams = np.empty((columns, max(stop - start, 0)), dtype=np.int8), _Streams(self)
        for j in range(columns):
            words = streams.words(first, last, first_column + j).astype("<u8")
            bits = np.unpackbits(words.view(np.uint8), bitorder="little")
            out[j] = 1 - 2 * bits[start - 64 * first : stop - 64 * first].astype(np.int8)
        return out.T

    def distinct(self, start: int, stop: int, count: int, below: int) -> np.ndarray[Any, Any]:
        """Return, for each row in [start, stop), `count` distinct positions below `below`, ascending.

        Every subset of that size is equally likely, up to a bias under below / 2^32 per position.
        """
        per_row = -(-count // 2)
        words = self.words(start * per_row, stop * per_row).astype("<u8").reshape(stop - start, per_row)
        halves = words.view("<u4")[:, :count].astype(np.uint64)
        picked = np.empty((len(words), count), dtype=np.int64)
        for k in range(count):
            # The k-th draw is a rank among the positions not yet taken; walk it past the taken ones.
            position = ((halves[:, k] * np.uint64(below - k)) >> np.uint64(32)).astype(np.int64)
            for taken in range(k):
                position += position >= picked[:, taken]
            picked[:, k] = position
            picked[:, : k + 1].sort(axis=1)
        return picked

    def permutation(self, count: int) -> np.ndarray[Any, Any]:
        """Return the numbers below `count` in random order, every order equally likely, as int64.

        They are sorted by their words; two words are equal with probability below count^2 / 2^65.
        """
        return np.argsort(self.words(0, count), kind="stable").astype(np.int64)

    def uniforms(self, start: int, stop: int, column: int = 0) -> np.ndarray[Any, Any]:
        """Return entries [start, stop) of one column stream of uniform numbers in [0, 1), multiples of 2^-53."""
        return (self.words(start, stop, column) >> np.uint64(11)) * 2.0**-53


class _Streams:
    """The column streams of one key: one generator, whose counter is set, since making one takes ten microseconds."""

    __slots__ = ("_bits", "_state")

    def __init__(self, key: Key) -> None:
        self._bits = np.random.Philox(key=key.philox_key())
        self._state: Any = self._bits.state

    def words(self, start: int, stop: int, column: int) -> np.ndarray[Any, Any]:
        """Return the raw words [start, stop) of a stream."""
        block, skip = divmod(start, _LANES)
        # The generator steps its counter before it makes a block; the column stands in the upper words.
        counter = (block + (column << 64) - 1) % (1 << _COUNTER_BITS)
        self._state["state"]["counter"][:] = [(counter >> shift) & _WORD for shift in range(0, _COUNTER_BITS, 64)]
        self._bits.state = self._state
        return self._bits.random_raw(skip + stop - start)[skip:]


def _box_muller(raw: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    uniform = (raw >> np.uint64(11)).astype(np.float64)
    angle = uniform[1::2] * (2.0 * math.pi * 2.0**-53)
    radius = np.sqrt(np.log((uniform[0::2] + 1.0) * 2.0**-53) * (-1.0 if dtype.kind == "c" else -2.0))
    np.multiply(radius, np.cos(angle), out=uniform[0::2])
    np.multiply(radius, np.sin(angle), out=uniform[1::2])
    return uniform.view(dtype)


def _box_muller_on_device(raw: np.ndarray[Any, Any], is_complex: bool, xp: Any, device: Any) -> Any:
    words = xp.asarray(raw.view(np.int64), device=device)
    # Signed words shift arithmetically; the mask takes the sign's copies away.
    mask = xp.asarray((1 << 53) - 1, dtype=xp.int64, device=device)
    eleven = xp.asarray(11, dtype=xp.int64, device=device)
    uniform = xp.astype(xp.bitwise_and(xp.bitwise_right_shift(words, eleven), mask), xp.float64)
    radius, angle = uniform[:, 0::2], uniform[:, 1::2] * (2.0 * math.pi * 2.0**-53)
    radius = xp.sqrt(xp.log((radius + 1.0) * 2.0**-53) * (-1.0 if is_complex else -2.0))
    real, imag = radius * xp.cos(angle), radius * xp.sin(angle)
    if is_complex:
        unit = xp.asarray(1j, dtype=xp.complex128, device=device)
        return xp.astype(real, xp.complex128) + unit * xp.astype(imag, xp.complex128)
    return xp.reshape(xp.stack([real, imag], axis=2), (raw.shape[0], raw.shape[1]))


def as_key(rng: Any = None) -> Key:
    """Return the key for what a caller passed as ``rng=``.

    Parameters
    ----------
    rng : None, int, sequence of int, SeedSequence, BitGenerator, Generator, RandomState or Key
        What `numpy.random.default_rng` takes.  None draws fresh entropy from the system.  A generator
        is advanced once.

    Returns
    -------
    Key
        Its ``seed`` repeats the call when passed as ``rng=``.

    Raises
    ------
    InputError
        A negative seed.
    DTypeError
        Anything else.

    Examples
    --------
    >>> as_key(7).seed
    7
    """
    if isinstance(rng, Key):
        # A seed alone must repeat the call, so the names of a child go into it.
        return Key(rng.philox_key()) if rng.path else rng
    if rng is None:
        return Key(secrets.randbits(128))
    if isinstance(rng, np.random.RandomState):
        rng = np.random.Generator(rng._bit_generator)
    if isinstance(rng, np.random.Generator):
        rng = rng.bit_generator
    if isinstance(rng, np.random.BitGenerator):
        with rng.lock:
            low, high = (int(word) for word in rng.random_raw(2))
        return Key(low | high << 64)
    if isinstance(rng, np.random.SeedSequence):
        low, high = (int(word) for word in rng.generate_state(2, np.uint64))
        return Key(low | high << 64)
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, (bool, np.bool_)):
        if rng < 0:
            raise InputError(f"rng={rng}: a seed must be a non-negative integer")
        return Key(int(rng))
    if isinstance(rng, (Sequence, np.ndarray)) and not isinstance(rng, (str, bytes)):
        entries = np.asarray(rng)
        if entries.dtype.kind in "iu" and entries.ndim == 1 and entries.size and int(entries.min()) >= 0:
            return as_key(np.random.SeedSequence([int(entry) for entry in entries]))
        raise InputError("rng: a sequence of seeds must hold non-negative integers")
    raise DTypeError(
        f"rng cannot be a {type(rng).__name__}; pass None, an integer, a SeedSequence or a numpy.random.Generator"
    )
