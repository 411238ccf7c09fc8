"""One-pass computation on a matrix that arrives piece by piece.

Problem: a certified low-rank approximation of A = sum of pieces, each seen once, in memory that does not grow.

S1. `stream` fixes the sizes and the key; the state is a few linear sketches of A, all zero.
S2. Every update adds a piece to all of them (rnla/streaming/maps.py); `merge` adds a whole stream.
S3. `finish` makes the approximation (the method), measures it (rnla/streaming/error_sketch.py) and leaves the
    state as it is, so that the stream goes on.

Guarantee: the method's, for whatever order and sizes of pieces: by linearity the state depends on the sum alone, up
to rounding.  A state that was saved and loaded goes on with identical bits.
"""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from rnla._xp.namespace import device_of, namespace_of
from rnla.checks import check_whole
from rnla.config import fixed_settings
from rnla.errors import BackendError, DTypeError, InputError, IntegrityError
from rnla.iterate import watching
from rnla.operators.ledger import Ledger
from rnla.results import EighResult, SVDResult
from rnla.rng import Key
from rnla.streaming.error_sketch import Scree
from rnla.streaming.finishing import Eigenpairs, SingularTriplets, finish, look
from rnla.streaming.maps import LinearSketch, Maps, Sketches, increments, numbers_of
from rnla.streaming.protocols import require_eigenpairs
from rnla.streaming.updates import factor_of, in_place, piece_of, scaled, summed, weighted
from rnla.working import families_of, working

__all__ = ["Stream"]


class Stream:
    """The state of a one-pass computation: linear sketches of all that has arrived; made by `stream`.

    Updates change it in place and return it, so ``run.update(H)`` and ``run = run.update(H)`` do the same; `copy`
    keeps a state.  An update that raises leaves the state as it was.

    Parameters
    ----------
    shape : tuple of int
    rank : int
    method : StreamMethod
        With every size set.
    dtype : numpy.dtype
    layout : tuple of LinearSketch
        The sketches kept.
    forget : float
    seed : int
    arrays : dict
        The sketches, by name.
    updates : int
        Pieces that arrived.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        rank: int,
        method: Any,
        dtype: np.dtype[Any],
        layout: tuple[LinearSketch, ...],
        forget: float,
        seed: int,
        arrays: dict[str, Any],
        updates: int,
    ) -> None:
        self.shape, self.rank, self.method, self.dtype = shape, rank, method, dtype
        self.layout, self.forget, self.seed = layout, forget, seed
        self.updates = updates
        self._arrays = arrays
        self._held: Maps | None = None
        self._whole = True  # not so between the first and the last change of an update

    @property
    def storage(self) -> int:
        """Numbers that the state holds, whatever has arrived."""
        return numbers_of(self.layout, self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of these numbers."""
        return self.storage * self.dtype.itemsize

    @property
    def sketches(self) -> Sketches:
        """The sketches, read only by convention, and their test matrices."""
        if not self._whole:
            raise IntegrityError("an update of this stream was broken off in the middle; go on from a saved state")
        return Sketches(self.layout, self._arrays, self._maps())

    def update_rows(self, first_row: int, block: Any) -> Stream:
        """Add a block to rows [first_row, first_row + len(block)) of the matrix, after forgetting.

        A <- forget A + (block in its rows).  Where the matrix arrives by rows, each row comes once, in any order.

        Parameters
        ----------
        first_row : int
        block : matrix, shape (b, n)
            Anything that `update` takes.  A few hundred rows at a time are cheaper than single ones.

        Returns
        -------
        Stream
            This one.
        """
        op = self._piece(block)
        return self._absorb(op, (self._place("first_row", first_row, op.shape, 0), 0), 1.0, self.forget)

    def update_columns(self, first_column: int, block: Any) -> Stream:
        """Add a block to columns [first_column, ...) of the matrix, after forgetting.

        Parameters
        ----------
        first_column : int
        block : matrix, shape (m, b)

        Returns
        -------
        Stream
            This one.
        """
        op = self._piece(block)
        return self._absorb(op, (0, self._place("first_column", first_column, op.shape, 1)), 1.0, self.forget)

    def update(self, H: Any, eta: Any = 1.0, theta: Any = None) -> Stream:
        """Do the linear update A <- theta A + eta H.

        Parameters
        ----------
        H : matrix, shape (m, n)
            An array, a SciPy sparse matrix, a memmap or store (read once, in blocks), a `LinearOperator`, a result
            of this library, or a pair (left, right) of arrays (m, r) and (r, n) that stands for left @ right.
        eta, theta : float or complex
            `theta` is ``forget`` by default; given, it replaces it in this update.

        Returns
        -------
        Stream
            This one.

        Raises
        ------
        InputError, DTypeError, BackendError
            A piece that does not fit the stream.
        NonFiniteError
            NaN or infinity in H, or an overflow.
        """
        op = self._piece(H)
        if op.shape != self.shape:
            raise InputError(
                f"H has shape {op.shape} and the stream {self.shape}; update_rows and update_columns take parts"
            )
        return self._absorb(op, (0, 0), eta, self.forget if theta is None else theta)

    def merge(self, other: Stream) -> Stream:
        """Add the matrix of another stream of the same seed and sizes: A <- A + A of the other.

        Parameters
        ----------
        other : Stream
            Not changed.  Nothing is forgotten.

        Returns
        -------
        Stream
            This one.

        Raises
        ------
        InputError
            Streams whose sketches do not add up, with the first difference.
        NonFiniteError
            A sum that leaves the range of the dtype.
        """
        if not isinstance(other, Stream):
            raise DTypeError(f"merge takes a Stream, got a {type(other).__name__}")
        for name in ("shape", "dtype", "method", "layout"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                raise InputError(f"streams with different {name} do not add up: {mine} and {theirs}")
        if self.seed != other.seed:
            raise InputError("streams with different seeds do not add up; make both with the same rng=")
        mine, theirs = self.sketches.arrays, other.sketches.arrays
        if self._xp is not other._xp or self._device != other._device:
            raise BackendError("the streams live in different libraries or on different devices; move one first")
        self._arrays = {name: summed(mine[name], 0, theirs[name]) for name in mine}
        self.updates += other.updates
        return self

    def finish(self, rank: int | None = None, *, tol: float | None = None, on_failure: str = "raise") -> SVDResult:
        """Return the approximation of the matrix as it is now; the stream goes on unchanged.

        Parameters
        ----------
        rank : int, optional
            At most the size of the approximation, ``method.k`` or ``method.basis``; by default the rank of the
            stream, or what `tol` needs.
        tol : float, optional
            Relative error in the Frobenius norm: the smallest rank whose bound, from the error sketch, meets it.
        on_failure : {"raise", "return"}

        Returns
        -------
        SVDResult
            Unpacks as ``U, s, Vh``.  ``error`` is estimated, with a bound, by the error sketch.

        Raises
        ------
        InputError
            A rank above the size of the approximation, or a matrix that the method is not for.
        ToleranceNotMet
            No rank is certified to meet `tol`; ``.result`` holds the one with the smallest estimate.
        """
        with self._at_work():
            return finish(self, rank, tol, on_failure, form=SingularTriplets(), started=time.perf_counter())

    def finish_eigh(
        self, rank: int | None = None, *, tol: float | None = None, on_failure: str = "raise"
    ) -> EighResult:
        """Return the approximation as eigenpairs, for the methods for Hermitian matrices; the stream goes on unchanged.

        Parameters
        ----------
        rank, tol, on_failure
            As `finish` takes them.

        Returns
        -------
        EighResult
            Unpacks as ``w, V``, by descending modulus; the error is certified as that of `finish` is.

        Raises
        ------
        InputError, ToleranceNotMet
            As `finish` raises them; also where the method is not `HermitianSketch` or `NystromSketch`.

        Examples
        --------
        >>> import numpy as np, rnla
        >>> run = rnla.stream((60, 60), 2, method=rnla.HermitianSketch(), rng=0).update(
        ...     np.diag([2.0, -2.0] + [0.0] * 58)
        ... )
        >>> w, V = run.finish_eigh()
        >>> sorted(w.round(9).tolist())
        [-2.0, 2.0]
        """
        require_eigenpairs(self.method)
        with self._at_work():
            return finish(self, rank, tol, on_failure, form=Eigenpairs(), started=time.perf_counter())

    def scree(self) -> Scree:
        """Return bounds on the tails of the spectrum of A, for every rank up to the size of the approximation.

        Returns
        -------
        Scree
        """
        with self._at_work():
            return look(self).measured.scree()

    @contextlib.contextmanager
    def holding_maps(self) -> Iterator[Stream]:
        """Hold on to test matrices between the updates inside the block, for pieces of a few rows or columns.

        Drawing them anew is most of what a single row costs.  Up to 4 million numbers more are held meanwhile; they are
        no part of the state.  What is computed is the same to rounding.

        Yields
        ------
        Stream
            This one.

        Examples
        --------
        >>> import numpy as np, rnla
        >>> run = rnla.stream((200, 20), 2, rng=0)
        >>> with run.holding_maps():
        ...     for i in range(200):
        ...         run = run.update_rows(i, np.ones((1, 20)))
        >>> run.updates
        200
        """
        self._held = self._maps(whole_tiles=True)
        try:
            yield self
        finally:
            self._held = None

    def copy(self) -> Stream:
        """Return a stream of its own that begins where this one stands."""
        return copy.deepcopy(self)

    def save(self, path: Any) -> None:
        """Write the state to one file, ``.npz`` with JSON inside and nothing pickled; `Stream.load` reads it.

        Parameters
        ----------
        path : str or path-like
            Replaced in one step: a crash leaves the old file or the new one.
        """
        from rnla.streaming.files import save

        save(self, path)

    @staticmethod
    def load(path: Any, *, like: Any = None) -> Stream:
        """Read a state that `save` wrote; it goes on with identical bits.

        Parameters
        ----------
        path : str or path-like
        like : array, optional
            An array of the library and on the device where the state shall live; NumPy by default.

        Returns
        -------
        Stream
        """
        from rnla.streaming.files import load

        return load(path, like)

    @property
    def _xp(self) -> Any:
        return namespace_of(self._arrays["E"])

    @property
    def _device(self) -> Any:
        return device_of(self._arrays["E"])

    def _maps(self, whole_tiles: bool = False) -> Maps:
        if self._held is not None:
            return self._held
        return Maps(Key(self.seed), self.shape, self.dtype, self._xp, self._device, whole_tiles)

    @contextlib.contextmanager
    def _at_work(self, piece: Ledger | None = None) -> Iterator[None]:
        """Hold the settings; a piece that is sparse brings kernels of its own."""
        families = families_of(None if piece is None else piece.base)
        with fixed_settings(), watching(1.0), working(self._xp, self.dtype, families=families):
            yield

    def _place(self, name: str, first: int, shape: tuple[int, int], axis: int) -> int:
        first = check_whole(name, first)
        other, length = 1 - axis, shape[axis]
        if shape[other] != self.shape[other] or first + length > self.shape[axis]:
            raise InputError(
                f"a block of shape {shape} at {name}={first} does not fit the {self.shape[0]} x {self.shape[1]} matrix"
            )
        return first

    def _piece(self, H: Any) -> Ledger:
        return piece_of(H, self.dtype, self._xp, self._device)

    def _absorb(self, op: Ledger, corner: tuple[int, int], eta: Any, theta: Any) -> Stream:
        """Add a piece to every sketch (S2); nothing changes until all of it is computed."""
        eta, theta = (
            factor_of(name, value, self.dtype, self.method) for name, value in (("eta", eta), ("theta", theta))
        )
        arrays = self.sketches.arrays
        with self._at_work(op):
            op.measure()
            found = increments(op, self.layout, self._maps(), corner)
            pieces = {s.name: scaled(found[s.name], eta, op.exponent, s) for s in self.layout}
            starts = {"range": corner[0], "corange": corner[1], "core": 0}
            past = {s.name: weighted(arrays[s.name], theta, s) for s in self.layout}
            sums = {s.name: summed(past[s.name], starts[s.side], pieces[s.name]) for s in self.layout}
            self._whole = False
            for s in self.layout:
                self._arrays[s.name] = in_place(past[s.name], starts[s.side], sums[s.name])
            self.updates += 1
            self._whole = True
        return self

    def __getstate__(self) -> dict[str, Any]:
        self.sketches  # noqa: B018  a torn state is not copied
        return self.__dict__ | {"_held": None}

    def __repr__(self) -> str:
        m, n = self.shape
        return (
            f"<stream of a {m} x {n} {self.dtype} matrix, {self.updates} updates, rank {self.rank}, "
            f"{type(self.method).__name__}, {self.storage} numbers>"
        )
