"""The correction of the root of a multiple of the identity, in closed form.

Problem: X with (c I + X)^2 = c^2 I + sign D D^H for D with few columns.
Equation: with D = Q diag(s) P^H, X = Q diag((c^2 + sign s^2)^{1/2} - c) Q^H, exactly.

S1. D = Q R by QR, R = W diag(s) P^H.
S2. The differences without cancellation: sign s^2 / ((c^2 + sign s^2)^{1/2} + c).

Cost: 4 n k^2 flops.  Guarantee: exact up to rounding; checked in tests/matfun/test_closed_form.py.  The same in roots
of small matrices: [fasi2023]_.  Inverse roots: the same on the inverse, which is a multiple of the identity too.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from rnla.errors import InputError
from rnla.matfun.panels import inner
from rnla.matfun.protocols import Correction, RootProblem
from rnla.orth import RandCholeskyQR
from rnla.results.report import Status

__all__ = ["ClosedForm"]


@dataclasses.dataclass(frozen=True, slots=True)
class ClosedForm:
    """The closed form for a multiple of the identity, which takes it by itself."""

    @property
    def summary(self) -> str:
        """The method in one line."""
        return "ClosedForm, for a multiple of the identity"

    def correct(self, problem: RootProblem, state: Any = None) -> Correction:
        """Return the correction; the root must be a multiple of the identity."""
        c, sign = problem.root.upper, problem.sign
        if problem.root.lower != c:
            raise InputError(
                f"ClosedForm is for a multiple of the identity; this root, {problem.root.kind}, has eigenvalues from "
                f"{problem.root.lower:.3g} to {c:.3g}: take rnla.ShiftADI()"
            )
        q, _ = RandCholeskyQR().factor(problem.panel)
        W, s, _ = np.linalg.svd(inner(q, problem.panel))  # S1
        root = np.sqrt(np.maximum(c * c + sign * s * s, 0.0)) + c
        w = sign * np.divide(s * s, root, out=np.zeros_like(s), where=root > 0)  # S2
        return Correction(
            q, W, w, 0.0, 0.0, "bounded", "the closed form", Status.MET, (), (problem.norm, 0.0), 0, 0
        )  # fmt: skip
