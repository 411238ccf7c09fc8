"""Householder QR: the reference, stable for every panel."""

from __future__ import annotations

import dataclasses
from typing import Any

from rnla._xp.linalg import qr

__all__ = ["HouseholderQR"]


@dataclasses.dataclass(frozen=True, slots=True)
class HouseholderQR:
    """Householder QR by the array library's LAPACK.

    Cost: 4 p k^2 flops.  Guarantee: norm(Q^H Q - I) is a modest multiple of eps for every input.

    Examples
    --------
    >>> import numpy as np
    >>> Q, R = HouseholderQR().factor(np.eye(3)[:, :2])
    >>> Q.shape, R.shape
    ((3, 2), (2, 2))
    """

    def factor(self, x: Any) -> tuple[Any, Any]:
        """Return (Q, R)."""
        return qr(x)
