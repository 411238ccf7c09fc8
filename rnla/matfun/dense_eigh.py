"""The correction of a square root from the decomposition of the whole changed matrix: a reference.

Problem: X with (H + X)^2 = H^2 + sign D D^H.

S1. B = H^2 + sign D D^H, formed; B = U diag(b) U^H.
S2. X = U diag(b)^{1/2} U^H - H, and its eigenvalues.

Cost: two decompositions and two products of n x n matrices, 25 n^3 flops and 8 n^2 numbers, on the host.
Guarantee: the residual (H + X)^2 - B is computed.  Checked in tests/matfun/test_references.py.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from rnla.matfun.dense_roots import change_of, corrected_by, entries_of
from rnla.matfun.galerkin import projected_root
from rnla.matfun.protocols import Correction, RootProblem

__all__ = ["DenseEigh"]


@dataclasses.dataclass(frozen=True, slots=True)
class DenseEigh:
    """Decomposition of the whole changed matrix, to compare with.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> result = rnla.sqrtm_update(np.ones(30) + np.arange(30.0), np.ones((30, 1)), method=rnla.DenseEigh())
    >>> result.error.value < 1e-13
    True
    """

    @property
    def summary(self) -> str:
        """The method in one line."""
        return "DenseEigh, a decomposition of the changed matrix"

    def correct(self, problem: RootProblem, state: Any = None) -> Correction:
        """Return the correction of a dense or diagonal root."""
        H = entries_of(problem.root, "DenseEigh")
        change = change_of(H, problem)  # S1
        X = projected_root(H, change).Y  # S2
        return corrected_by(problem, H, X, change, "the residual, computed", (problem.norm,), len(H))
