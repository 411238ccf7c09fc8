"""What is done to the columns and rows of a matrix before its principal components are taken: checked, and measured.

Columns are centred and divided by a scale, rows weighted; what the caller did not give is taken from the matrix in one
pass (`rnla.operators.moments`).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._xp.linalg import eps_of, host_values
from rnla._xp.namespace import from_host, has_float64, is_numpy, to_host
from rnla.errors import InputError
from rnla.operators.implicit import Implicit
from rnla.operators.ledger import Ledger
from rnla.operators.moments import column_moments
from rnla.operators.protocols import LinearOperator, Magnitude
from rnla.operators.sparse import Sparse

__all__ = ["Standardization"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Standardization:
    """What is done to the columns and rows of a matrix, checked.

    Attributes
    ----------
    center, scale : bool or numpy.ndarray
    weights : numpy.ndarray or None
        None: all rows count alike.
    """

    center: Any  # True, False or an array
    scale: Any
    weights: np.ndarray[Any, Any] | None

    @classmethod
    def read(cls, base: LinearOperator, center: Any, scale: Any, weights: Any, rows: Any) -> Standardization:
        """Return what was asked, with every argument checked before any work."""
        m, n = base.shape
        if min(m, n) == 0:
            raise InputError(f"a {m} x {n} matrix has no principal components: it needs rows and columns")
        own = None if weights is None else _vector("weights", weights, m, least=0.0)
        if rows is not None:
            mask = _mask(rows, m)
            own = mask if own is None else own * mask
        if own is not None:
            if not own.any():
                raise InputError("no row counts: give at least two rows positive weights")
            if np.all(own == own[0]):
                own = None
        if not isinstance(center, (bool, np.bool_)):
            center = _vector("center", center, n, complex_too=base.dtype.kind == "c")
        if not isinstance(scale, (bool, np.bool_)):
            scale = _vector("scale", scale, n)
            if not np.all(scale > 0):
                raise InputError("scale must be positive: constant columns are divided by 1")
        elif scale and isinstance(base, Implicit):
            raise InputError(
                "the variances of an operator's columns are not known, as its entries cannot be read; "
                "give scale= as an array, or scale=False"
            )
        options = cls(center, scale, own)
        if not options.degrees(m) > 0:
            raise InputError("a variance needs at least two rows that count; give more rows, or center=False")
        return options

    @property
    def plain(self) -> bool:
        """Whether columns are centred at their means, and nothing else is done."""
        return self.center is True and self.scale is False and self.weights is None

    @property
    def center_given(self) -> bool:
        """Whether the caller gave the centre."""
        return isinstance(self.center, np.ndarray)

    def degrees(self, rows: int) -> float:
        """Return what squares are divided by to be variances."""
        total = float(rows) if self.weights is None else math.fsum(self.weights.tolist())
        if self.center is not True:
            return total
        squares = float(rows) if self.weights is None else math.fsum((self.weights**2).tolist())
        return total - squares / total

    def passes(self, base: LinearOperator) -> int:
        """Return the passes that the means take."""
        return 0 if self._known(base) or isinstance(base, Sparse) else 1

    def _known(self, base: LinearOperator) -> bool:
        """Whether nothing of the matrix has to be known, or can be."""
        nothing = self.center is False and self.scale is False and self.weights is None
        return nothing or (isinstance(base, Implicit) and self.center is not True)

    def take(self, op: Ledger) -> tuple[tuple[Any, Any], np.ndarray[Any, Any] | None, Magnitude | None]:
        """Return the centre in two parts, the scales and the magnitude of the centred matrix, in one pass."""
        wide = np.complex128 if op.dtype.kind == "c" else np.float64
        given = None
        if self.center_given:
            narrow = not (is_numpy(op.xp) or has_float64(op.xp, op.device))
            given = from_host(self.center.astype(op.dtype if narrow else wide), op.xp, op.device)
        scales = self.scale if isinstance(self.scale, np.ndarray) else None
        if self._known(op.base):
            return (given, None), scales, None
        moments = column_moments(op, self.weights)
        centre: tuple[Any, Any]
        centre = (moments.mean, moments.rest) if self.center is True else (given, None)
        if self.scale is True:
            deviation = host_values(moments.deviation())
            # Sums of a constant column round: what is left of it is no deviation.
            constant = deviation <= 10 * eps_of(op.dtype) * np.abs(to_host(moments.mean))
            scales = np.where(constant, 1.0, deviation)
        if moments.squares is None:
            return centre, scales, None
        divided = None if scales is None else from_host(scales.astype(_real(op)), op.xp, op.device)
        return centre, scales, moments.magnitude(centre[0], centre[1], divided, op.dtype, op.xp)


def _real(op: Ledger) -> Any:
    narrow = not (is_numpy(op.xp) or has_float64(op.xp, op.device))
    return np.float32 if narrow else np.float64


def _vector(name: str, values: Any, length: int, *, least: float | None = None, complex_too: bool = False) -> Any:
    found = np.asarray(to_host(values) if hasattr(values, "dtype") else values)
    if found.dtype.kind not in ("biufc" if complex_too else "biuf"):
        raise InputError(f"{name} must be real numbers, got {found.dtype}")
    if found.shape != (length,):
        raise InputError(f"{name} must have shape ({length},), got {found.shape}")
    found = found.astype(np.complex128 if found.dtype.kind == "c" else np.float64)
    if not np.all(np.isfinite(found)) or (least is not None and np.any(found < least)):
        raise InputError(f"{name} must be finite" + ("" if least is None else f" and at least {least:g}"))
    return found


def _mask(rows: Any, length: int) -> np.ndarray[Any, Any]:
    chosen = np.asarray(to_host(rows) if hasattr(rows, "dtype") else rows)
    if chosen.dtype.kind == "b":
        if chosen.shape != (length,):
            raise InputError(f"rows as a mask must have shape ({length},), got {chosen.shape}")
        return chosen.astype(np.float64)
    if chosen.dtype.kind not in "iu" or chosen.ndim != 1:
        raise InputError("rows must be a mask of booleans or whole numbers")
    if len(chosen) and not 0 <= int(chosen.min()) <= int(chosen.max()) < length:
        raise InputError(f"rows must lie in [0, {length}), got {int(chosen.min())} to {int(chosen.max())}")
    mask = np.zeros(length)
    mask[chosen] = 1.0
    return mask
