"""A bound on the norm of an inverse, from solves."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from rnla.error.krylov_norm import krylov_norm
from rnla.matfun.anchor import FAILURE, probed
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


def inverse_bound(
    solve: Callable[[Any], Any], back: Callable[[Any], Any], missed: float, root: Any, like: Any, shift: float, key: Key
) -> float:
    """Return a bound on norm(B^{-1}) from solves with B + shift I; inf where B may be singular.

    Solves that many changes went through may have lost all digits of the smallest eigenvalues.  With Y what they make
    of I, F = (B + shift I) Y - I is measured, and norm((B + shift I)^{-1}) <= norm(Y) / (1 - norm(F)).  The two
    measurements fail with probability `FAILURE` each.

    Parameters
    ----------
    solve : callable
        X -> Y X.
    back : callable
        X -> (C + shift I) X for a C near B.
    missed : float
        Bound on norm(B - C).
    root : Root
        Of the same size, dtype, library and device.
    like : array
        A panel of that kind.
    shift : float
    key : Key
    """
    op = Ledger(Implicit(_Solves(solve, root), root.dtype, root.xp, root.device).hermitian())
    _, upper, _ = krylov_norm(op, key, failure=FAILURE, ratio=_RATIO)
    norm = upper * 2.0**op.exponent
    wrong = probed(lambda x: back(solve(x)) - x, like, key.child("solved")) + missed * norm
    least = (1 - wrong) / norm - shift
    return 1 / least if least > 0 else math.inf
