"""The ledger: the one gate through which a call reads the matrix, so that no driver can misreport.

It counts passes, products and bytes, holds the limits (passes, deadline), checks what a user's
operator returns, and hands it private copies.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rnla._xp.linalg import cast, max_abs
from rnla._xp.namespace import all_finite, from_host, is_array, is_numpy, module_name, namespace_of
from rnla.config import get_config
from rnla.errors import BudgetError, DTypeError, NonFiniteError, OperatorError, RnlaError
from rnla.iterate import current_watch
from rnla.operators.algebra import Scaled, View
from rnla.operators.implicit import Implicit
from rnla.operators.protocols import (
    LinearOperator,
    Magnitude,
    SupportsBlocks,
    SupportsMagnitude,
    SupportsNormal,
    scale_exponent,
)
from rnla.operators.scan import times_power_of_two

__all__ = ["Counts", "Ledger"]


def _quiet(untrusted: bool) -> Any:
    """Silence NumPy about overflows in our own products, which are looked at next; not in a user's operator."""
    return contextlib.nullcontext() if untrusted else np.errstate(over="ignore", invalid="ignore")


@dataclasses.dataclass(slots=True)
class Counts:
    """What was read of the matrix.

    Attributes
    ----------
    passes : int
        Times that the data were read for products.
    scans : int
        Times that they were read for norms and finiteness alone.
    forward, backward : int
        Columns multiplied by A, and by its adjoint.
    entries : int
        Entries read singly, as parts of chosen rows or columns or of the diagonal.
    """

    passes: int = 0
    scans: int = 0
    forward: int = 0
    backward: int = 0
    entries: int = 0

    @property
    def products(self) -> int:
        """Columns multiplied in all."""
        return self.forward + self.backward


class Ledger(View):
    """An operator that counts and checks what passes through it."""

    def __init__(self, base: LinearOperator) -> None:
        super().__init__(base)
        self.counts = Counts()
        self.exponent = 0
        self._op: LinearOperator = base
        self._untrusted = isinstance(base, Implicit)
        self._scale_known = False
        self.closed = False  # once the deadline has passed, nothing may ask for another pass

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.base.shape

    @property
    def fused(self) -> bool:
        """Whether the normal product is one pass."""
        return isinstance(self.base, SupportsNormal)

    @property
    def complete_scan(self) -> bool:
        """Whether the entries of the matrix can be read for their norm, now or after a pass."""
        return isinstance(self.base, SupportsMagnitude)

    @property
    def measures_itself(self) -> bool:
        """Whether the first normal product tells the norm of a matrix in memory."""
        return not self._scale_known and bool(getattr(self.base, "measures_itself", False))

    @property
    def spare_passes(self) -> float:
        """Passes that `max_passes` still allows; none once the ledger is closed."""
        if self.closed:
            return 0
        limit = get_config().max_passes
        return math.inf if limit is None else limit - self.counts.passes

    def matmat(self, x: Any) -> Any:
        """Return A X, counted and checked."""
        return self._product(x, 1, False)

    def rmatmat(self, y: Any) -> Any:
        """Return the adjoint product, counted and checked."""
        return self._product(y, 0, True)

    def normal_product(self, x: Any) -> tuple[Any, Any]:
        """Return (adjoint of A times A X, A X): one pass where the operator can, else two."""
        pair = self._fused(x)
        if pair is None:
            y = self.matmat(x)
            return self.rmatmat(y), y
        return pair

    def measure(self) -> Magnitude | None:
        """Return the magnitude of A where its entries tell it, and scale by it from here on.

        Before the first pass this reads the data once, counted as a scan; out-of-core data give it
        after their first pass only, which has learnt the scale then: what was handed out is never rescaled.
        """
        if not isinstance(self.base, SupportsMagnitude):
            return None
        magnitude = self.base.measure()
        if magnitude is not None and not self._scale_known:
            self.counts.scans += self.counts.passes == 0
            self._rescale(magnitude.exponent)
        return magnitude

    def fold_blocks(
        self,
        side: str,
        step: Callable[[Any, slice, Any], Any],
        initial: Any = None,
        forward: int = 0,
        backward: int = 0,
    ) -> Any:
        """Reduce the scaled matrix block by block, counted as one pass.

        Where only a full pass tells the scale, the first pass takes the blocks as they are, and a second one
        follows in the rare case that they had to be scaled: no number made from both scales ever leaves.

        Parameters
        ----------
        side : {"row", "column"}
            Which blocks are read.
        step : callable
            ``step(state, where, block)`` returns the next state.
        initial : object
            The first state, which no step may change in place.
        forward, backward : int
            Columns that the steps multiply by A, and by its adjoint, to be counted.
        """
        assert isinstance(self.base, SupportsBlocks)
        self._begin(1)
        first, state = not self._scale_known, initial
        blocks = self.base.row_blocks() if side == "row" else self.base.column_blocks()
        with contextlib.ExitStack() as stack:
            stack.callback(getattr(blocks, "close", lambda: None))
            if first:
                stack.enter_context(np.errstate(over="ignore", invalid="ignore", under="ignore"))
            for where, block in blocks:
                # Entries too large are found out before they enter a square; the rest is read for the norm alone.
                if first and scale_exponent(getattr(self.base, "largest_seen", 0.0), self.dtype) > 0:
                    continue
                state = step(state, where, times_power_of_two(block, -self.exponent) if self.exponent else block)
        self._done(1, forward, backward)
        if first and self._learn_scale():
            del state
            return self.fold_blocks(side, step, initial, forward, backward)
        return state

    def apply(self, product: Callable[[LinearOperator], Any], columns: int, adjoint: bool = False) -> Any:
        """Return a product that a function makes from the operator itself, counted as one pass and checked.

        Parameters
        ----------
        product : callable
            Takes the operator under the ledger to A X, or to the adjoint product, for an X of its own.
        columns : int
            Of X.
        adjoint : bool

        Returns
        -------
        array or None
            None, with nothing read, for a matrix that is scaled and for a user's operator: their products go
            through `matmat` and `rmatmat` only.
        """
        if not self._scale_known:
            self.measure()
        if self.exponent or self._untrusted or not self._scale_known:
            return None
        self._begin(1)
        with _quiet(False):
            out = self._checked(product(self.base), "adjoint(A) @ Y" if adjoint else "A @ X")
        self._done(1, **{"backward" if adjoint else "forward": columns})
        return out

    def adopt_scale(self, exponent: int) -> None:
        """Take the scale of an earlier call, where only products could tell it."""
        if not self.complete_scan:
            self._rescale(exponent)

    def _rescale(self, exponent: int) -> None:
        self._scale_known = True
        self.exponent = exponent
        self._op = Scaled(self.base, -exponent) if exponent else self.base

    def _product(self, x: Any, side: int, adjoint: bool) -> Any:
        self._begin(1)
        k = int(x.shape[1])
        shape = (self.shape[1 - side], k)
        first = not self._scale_known
        what = "adjoint(A) @ Y" if adjoint else "A @ X"
        try:
            with _quiet(self._untrusted):
                raw = (self._op.rmatmat if adjoint else self._op.matmat)(self._handed(x))
        except Exception as error:
            if self._untrusted and not isinstance(error, RnlaError):
                error.add_note(f"raised by the operator in pass {self.counts.passes + 1}, {what}")
            raise
        if self._untrusted:
            raw = self._coerced(raw, shape, what)
        counted = {"backward" if adjoint else "forward": k}
        if first and self._learn_scale(raw):
            self._done(1, **counted)
            return self._product(x, side, adjoint)
        out = self._checked(raw, what)
        self._done(1, **counted)
        return out

    def _fused(self, x: Any) -> tuple[Any, Any] | None:
        if isinstance(self._op, Scaled):
            if not self.fused:
                return None
            self._begin(1)
            with _quiet(self._untrusted):
                pair = self._op.fused_normal(x)
        elif isinstance(self._op, SupportsNormal):
            self._begin(1)
            first = not self._scale_known
            with _quiet(self._untrusted):
                pair = self._op.normal_matmat(x)
            if first and self._learn_scale(pair[0]):
                self._done(1, forward=int(x.shape[1]), backward=int(x.shape[1]))
                return self._fused(x)
        else:
            return None
        if pair is None:
            return None
        w = self._checked(pair[0], "adjoint(A) @ (A @ X)")
        self._done(1, forward=int(x.shape[1]), backward=int(x.shape[1]))
        return w, pair[1]

    def _learn_scale(self, first_product: Any = None) -> bool:
        """Find the scale of a matrix whose entries could not be read before; whether it changed."""
        if isinstance(self.base, SupportsMagnitude):
            self.counts.scans += self.measures_itself  # the first product could not tell the norm
            magnitude = self.base.measure()
            exponent = 0 if magnitude is None else magnitude.exponent
        else:
            largest = 0.0 if first_product is None else max_abs(first_product)
            exponent = scale_exponent(largest, self.dtype) if math.isfinite(largest) else 0
        self._rescale(exponent)
        return exponent != 0

    def _begin(self, passes: int) -> None:
        limit = get_config().max_passes
        if limit is not None and self.counts.passes + passes > limit:
            raise BudgetError(
                f"max_passes={limit} is used up and the work needs another pass; "
                "allow more, or ask for fewer power_iterations"
            )
        watch = current_watch()
        if watch is not None:
            watch.passes = float(self.counts.passes)
            watch.tick()

    def _done(self, passes: int, forward: int = 0, backward: int = 0) -> None:
        self.counts.passes += passes
        self.counts.forward += forward
        self.counts.backward += backward
        watch = current_watch()
        if watch is not None:
            watch.passes = float(self.counts.passes)
            watch.tick()

    def _handed(self, x: Any) -> Any:
        """Return what is handed over: a private copy for an operator that might write in it."""
        if not self._untrusted:
            return x
        if is_numpy(self.xp):
            return np.array(x, order="C")
        return self.xp.asarray(x, copy=True)

    def _checked(self, out: Any, what: str) -> Any:
        if get_config().check_finite and math.prod(out.shape) and not all_finite(out):
            raise NonFiniteError(
                f"{what} holds NaN or infinity in pass {self.counts.passes + 1}: the operator returned it, "
                "an entry of A is not finite, or the product overflowed (then scale A down)"
            )
        return out

    def _coerced(self, out: Any, shape: tuple[int, int], what: str) -> Any:
        name = type(out).__name__
        if is_numpy(self.xp) and not isinstance(out, np.ndarray) and module_name(out) == "scipy":
            out = out.toarray()
        if is_numpy(self.xp) and (
            isinstance(out, (list, tuple)) or (type(out) is not np.ndarray and isinstance(out, np.ndarray))
        ):
            out = np.asarray(out)
        if not is_array(out):
            raise OperatorError(f"{what} must return an array of shape {shape}, got a {name}")
        if namespace_of(out) is not self.xp:
            if not isinstance(out, np.ndarray):
                raise OperatorError(f"{what} returned a {name} for arrays of another library")
            out = from_host(out, self.xp, self.device)
        if tuple(out.shape) != shape:
            raise OperatorError(f"{what} must return shape {shape}, got {tuple(out.shape)}")
        if is_numpy(self.xp) and out.dtype.kind == "c" and self.dtype.kind != "c":
            raise DTypeError(f"{what} returned complex numbers from an operator whose dtype is {self.dtype}")
        # A copy of our own: an operator may write its next product where it wrote this one.
        own = cast(out, getattr(self.xp, self.dtype.name))
        return own if own is not out else self._handed(own)
