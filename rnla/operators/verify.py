"""The adjoint test: <A g, h> = <g, A^H h> for random g and h.

For a pair of operators that are not adjoint to each other the two sides differ by chance of
measure zero; the threshold is what rounding can do.  Two columns of each kind ride in products that
are made anyway, so the test costs no pass.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._xp.linalg import column_norms, eps_of, host_values
from rnla._xp.namespace import is_concrete, namespace_of
from rnla.errors import NonFiniteError, OperatorError

__all__ = ["AdjointMismatch", "adjoint_gap", "require_adjoint"]


class AdjointMismatch(OperatorError):
    """The two products of an operator do not belong to one matrix; `gap` says how far they are apart."""

    def __init__(self, message: str, gap: float = math.nan) -> None:
        super().__init__(message)
        self.gap = gap


def adjoint_gap(g: Any, ag: Any, h: Any, ahh: Any) -> float:
    """Return the largest of |<A g, h> - <g, A^H h>| / (norm(A g) norm(h) + norm(g) norm(A^H h)) over the columns."""
    xp = namespace_of(g)
    left = xp.sum(xp.conj(ag) * h, axis=0)
    right = xp.sum(xp.conj(g) * ahh, axis=0)
    scale = host_values(column_norms(ag) * column_norms(h) + column_norms(g) * column_norms(ahh))
    gap = host_values(xp.abs(left - right))
    if not (np.all(np.isfinite(gap)) and np.all(np.isfinite(scale))):
        raise NonFiniteError("a product of the adjoint test holds NaN or infinity, or overflowed")
    ratios = [float(a / b) for a, b in zip(gap, scale, strict=True) if b > 0]
    return max(ratios, default=0.0)


def require_adjoint(g: Any, ag: Any, h: Any, ahh: Any) -> None:
    """Raise `AdjointMismatch`, an `OperatorError`, where the two products do not belong to one matrix.

    The threshold, 100 eps sqrt(m + n) + 1e-2 sqrt(eps), leaves room for an operator that solves a system inside.
    """
    if not is_concrete(ag):
        return
    eps = eps_of(ag.dtype)
    threshold = 100 * eps * math.sqrt(g.shape[0] + h.shape[0]) + 1e-2 * math.sqrt(eps)
    gap = adjoint_gap(g, ag, h, ahh)
    if gap > threshold:
        raise AdjointMismatch(
            f"the operator's rmatmat is not the adjoint of its matmat: <A g, h> and <g, adjoint(A) h> differ by "
            f"{gap:.1e} of their size, where rounding explains {threshold:.1e}; for complex data rmatmat must "
            "conjugate (the transpose alone is not the adjoint)",
            gap,
        )
