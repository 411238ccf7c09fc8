"""What a method of updating a root is given, and what it gives back."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol, runtime_checkable

from rnla.capability import Capability
from rnla.matfun.panels import Small
from rnla.matfun.roots import Root
from rnla.results.report import Status
from rnla.rng import Key

__all__ = ["Correction", "RootMethod", "RootProblem"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RootProblem:
    """The correction X wanted: (H + X)^2 = H^2 + sign D D^H.

    Attributes
    ----------
    root : Root
        H.
    panel : array, shape (n, k)
        D, not zero, k <= n.
    sign : int
    target : float
        What norm((H + X)^2 - H^2 - sign D D^H) may be, in the spectral norm.
    norm : float
        Of D D^H.
    key : Key
    boundary : bool
        Whether H^2 - D D^H is singular to working precision, so that rounding may make it indefinite.
    """

    root: Root
    panel: Any
    sign: int
    target: float
    norm: float
    key: Key
    boundary: bool = False


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """X = Q W diag(w) W^H Q^H, and how far it is from what was wanted.

    Attributes
    ----------
    Q : array, shape (n, l)
        Orthonormal columns.
    W : numpy.ndarray, shape (l, r)
        Orthonormal columns, in order of w.
    w : numpy.ndarray, shape (r,)
        By descending modulus.
    residual : float
        norm((H + X)^2 - H^2 - sign D D^H).
    slack : float
        What rounding inside the method may have added to it, as far as the method measured that.
    kind : {"bounded", "estimated"}
        Of the residual.
    measured_by : str
    status : Status
    shifts : tuple of float
    history : tuple of float
        The residual before the first and after each step, as far as it was looked at.
    products, solves : int
        Columns multiplied and solved with.
    state : object
        What the method goes on from; None where it cannot.
    blocks : int
        Of a method that does not look at its residual after every block, how many it made; else 0.
    """

    Q: Any
    W: Small
    w: Small
    residual: float
    slack: float
    kind: str
    measured_by: str
    status: Status
    shifts: tuple[float, ...]
    history: tuple[float, ...]
    products: int
    solves: int
    state: Any = None
    blocks: int = 0

    @property
    def steps(self) -> int:
        """Steps made."""
        return self.blocks or max(0, len(self.history) - 1)


@runtime_checkable
class RootMethod(Protocol, metaclass=Capability):
    """A way to find the correction."""

    def correct(self, problem: RootProblem, state: Any = None, /) -> Correction:
        """Return the correction to the target, going on from an earlier state if one is given."""
        ...
