"""What was asked of an update of a root, checked before any work."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._xp.linalg import eps_of
from rnla.checks import check_choice, check_number, check_tol, check_whole
from rnla.errors import DTypeError, InputError
from rnla.matfun.protocols import RootMethod
from rnla.results.root_update import RootResume

__all__ = ["POWERS", "RootRequest", "read_root_request"]

POWERS = (0.5, -0.5, 0.25, -0.25)


@dataclasses.dataclass(frozen=True, slots=True)
class RootRequest:
    """The request.

    Attributes
    ----------
    sign : int
    power : float
    tol : float
    of_change : float
        What the error may be relative to norm(D D^H), where rounding allows: a small change is not lost in a tolerance
        relative to norm(B) that nobody gave; inf where one was given.
    max_rank : int or None
    method : RootMethod or None
    on_failure : str
    """

    sign: int
    power: float
    tol: float
    of_change: float
    max_rank: int | None
    method: Any
    on_failure: str

    @property
    def explicit(self) -> bool:
        """Whether a tolerance was given."""
        return math.isinf(self.of_change)

    @property
    def of(self) -> str:
        """The matrix, in words, whose norm the error is relative to."""
        return f"{'B' if self.power > 0 else 'B^-1'}, B = A {'+' if self.sign > 0 else '-'} D D^H"

    @property
    def resume(self) -> RootResume:
        """What travels with a result."""
        asked = {"sign": self.sign, "power": self.power, "tol": self.tol, "max_rank": self.max_rank}
        return RootResume("sqrtm_update", asked)

    @property
    def stages(self) -> int:
        """Roots that are taken one after the other."""
        return 2 if abs(self.power) < 0.5 else 1


def read_root_request(
    dtype: np.dtype[Any],
    sign: Any,
    power: Any,
    tol: Any,
    max_rank: Any,
    method: Any,
    on_failure: Any,
    *,
    estimated: bool = False,
) -> RootRequest:
    """Return the request; raises `InputError` or `DTypeError` for what cannot be used.

    `estimated` says that the method can only estimate its error: what it aims at by default is less.
    """
    if isinstance(sign, (bool, np.bool_)) or not isinstance(sign, (int, float, np.number)) or sign not in (1, -1):
        raise InputError(f"sign={sign!r} must be 1 for A + D D^H or -1 for A - D D^H")
    if isinstance(power, str) or check_number("power", power) not in POWERS:
        raise InputError(f"power={power!r} is not one of {', '.join(map(str, POWERS))}")
    check_choice("on_failure", on_failure, ("raise", "return"))
    if method is not None and (isinstance(method, type) or not isinstance(method, RootMethod)):
        raise DTypeError(
            f"method={method!r} is not a method for roots: pass one such as rnla.ShiftADI() or "
            "rnla.KrylovGalerkin(), with its parentheses"
        )
    usual, of_change = (1e-5, 1e-3) if eps_of(dtype) > 1e-10 else (1e-10 if estimated else 1e-13, 1e-8)
    allowed, of_change = (usual, of_change) if tol is None else (check_tol(tol, dtype), math.inf)
    rank = None if max_rank is None else check_whole("max_rank", max_rank, 0)
    return RootRequest(int(sign), float(power), allowed, of_change, rank, method, str(on_failure))
