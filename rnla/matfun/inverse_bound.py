"""A bound on the norm of an inverse, from solves."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from rnla.error.krylov_norm import krylov_norm
from rnla.matfun.anchor import FAILURE
from rnla.operators.implicit import Implicit
from rnla.operators.ledger import Ledger
from rnla.rng import Key

__all__ = ["inverse_bound"]

_RATIO = 1.5


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Solves:
    """Solves as an operator, with the size, dtype, library and device of a root."""

    solve: Callable[[Any], Any]
    root: Any

    @property
    def shape(self) -> Any:
        return self.root.shape

    @property
    def dtype(self) -> Any:
        return self.root.dtype

    @property
    def xp(self) -> Any:
        return self.root.xp

    @property
    def device(self) -> Any:
        return self.root.device

    def matmat(self, x: Any) -> Any:
        """Return the inverse times X."""
        return self.solve(x)


def inverse_bound(solve: Callable[[Any], Any], root: Any, shift: float, key: Key) -> float:
    """Return a bound on norm(B^{-1}) from solves with B + shift I; inf where B may be singular.

    Parameters
    ----------
    solve : callable
    root : Root
        Of the same size, dtype, library and device.
    shift : float
    key : Key
    """
    op = Ledger(Implicit(_Solves(solve, root), root.dtype, root.xp, root.device).hermitian())
    _, upper, _ = krylov_norm(op, key, failure=FAILURE, ratio=_RATIO)
    least = 1 / (upper * 2.0**op.exponent) - shift
    return 1 / least if least > 0 else math.inf
