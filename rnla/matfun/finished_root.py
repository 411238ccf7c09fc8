"""What a kept root has come to."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from rnla._xp.linalg import adjoint
from rnla.matfun.held import ThinRoot
from rnla.matfun.panels import multiplied
from rnla.results import ErrorEstimate
from rnla.results.report import Status

__all__ = ["FinishedRoot", "parts_of"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class FinishedRoot:
    """What a state has come to; it prints as a table.

    Attributes
    ----------
    root : array, shape (n, n), or None
        The root (of power -0.5, the inverse root) in the caller's coordinates; None of a diagonal matrix, whose root
        is diag(h) + V diag(w) V^H.
    h, V, w : array or None
        Of a diagonal matrix, these three; they are of the root, also for power -0.5.
    power : float
    error : ErrorEstimate
    forward_bound : float
        Bound on the error of the root itself, in the spectral norm; nan for power -0.5.
    changes, refactorizations, measurements : int
    status : Status
    """

    root: Any
    h: Any
    V: Any
    w: Any
    power: float
    error: ErrorEstimate
    forward_bound: float
    changes: int
    refactorizations: int
    measurements: int
    status: Status

    def __repr__(self) -> str:
        if self.root is not None:
            held, n = f"{'' if self.power > 0 else 'inverse '}root, an array", int(self.root.shape[0])
            dtype = self.root.dtype
        else:
            held, n = f"diagonal h, corrected by w, V of rank {len(self.w)}", int(self.h.shape[0])
            dtype = self.V.dtype
        forward = "unknown" if math.isnan(self.forward_bound) else f"<= {self.forward_bound:.3g} in the spectral norm"
        rows = [
            ("root", f"of power {self.power} of a {n} x {n} {str(dtype).rpartition('.')[2]} matrix"),
            ("held", held),
            ("changes", f"{self.changes}, {self.refactorizations} refactorizations, {self.measurements} measurements"),
            ("forward error", forward),
            ("error", str(self.error)),
            ("status", self.status.value),
        ]
        return "Finished root\n" + "\n".join(f"  {name:<16} {text}" for name, text in rows)


def parts_of(core: Any) -> tuple[Any, Any, Any, Any]:
    """Return the root of a state in the caller's coordinates; of a diagonal matrix None, h, V and w.

    Parameters
    ----------
    core : Core
    """
    root, U = core.root, core.anchor.U
    if isinstance(root, ThinRoot):
        return None, root.h, root.V, root.w
    if core.asked.power > 0:
        return multiplied(multiplied(U, root.S), adjoint(U)), None, None, None
    eye = root.xp.eye(root.shape[0], dtype=core.like.dtype, device=root.device)
    return core.over_root(eye), None, None, None
