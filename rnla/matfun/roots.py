"""What the updates of a root may do with the root that is there: multiply, solve with a shift, bound its spectrum.

Problem: the square root H of a positive semidefinite matrix A is a vector, an array, a sparse matrix or an object of
the caller's; an update needs H X and, for most methods, (H + s I)^{-1} X for a few s >= 0.

- `DiagonalRoot`: both are divisions; also what a dense root is in the basis of its eigenvectors.
- `SparseRoot` and `GivenRoot` (rnla/matfun/given_roots.py): a factorization for each shift; what an object can do.
- `InverseRoot`: H^{-1}, from the same two; (H^{-1} + s I)^{-1} = H (H + I/s)^{-1} / s.
- `UpdatedRoot`: H + V diag(w) V^H, by the formula of Sherman, Morrison and Woodbury in the form
  X - G W (I + V^H G W)^{-1} V^H X, G = (H + s I)^{-1} V, X the solution without V: no w is inverted.
- `FramedRoot`: U H U^H for a unitary U.
- `ScaledRoot`: 2^e H, for numbers whose squares would leave the range.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from rnla._xp.linalg import frobenius, host_values
from rnla._xp.namespace import device_of, namespace_of
from rnla.errors import NonFiniteError
from rnla.matfun.counted import Counts, recounted
from rnla.matfun.panels import Small, adjoint_multiplied, inner, multiplied, times
from rnla.operators.algebra import Scaled
from rnla.operators.scan import times_power_of_two
from rnla.rng import Key

__all__ = [
    "DiagonalRoot",
    "FramedRoot",
    "InverseRoot",
    "Root",
    "ScaledRoot",
    "UpdatedRoot",
    "scaled",
    "times_power",
    "woodbury",
]


class Root(Protocol):
    """A Hermitian positive semidefinite matrix H that others are the corrections of.

    Attributes
    ----------
    kind : str
        A word for it.
    lower, upper : float
        Bounds on the smallest and the largest eigenvalue: 0 and inf where nothing is known.
    solves : bool
        Whether `shifted_solve` can be called.
    counts : Counts
        What was done with it.
    """

    kind: str
    lower: float
    upper: float
    solves: bool
    counts: Counts
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    xp: Any
    device: Any

    @property
    def magnitude(self) -> float:
        """About how large H is."""
        ...

    def counted(self) -> Root:
        """Return the same root with counts of its own."""
        ...

    def matmat(self, x: Any, /) -> Any:
        """Return H X for X of shape (n, k)."""
        ...

    def shifted_solve(self, s: float, x: Any, /) -> Any:
        """Return (H + s I)^{-1} X, for s >= 0."""
        ...


class DiagonalRoot:
    """diag(h) for a real vector h >= 0.

    Parameters
    ----------
    h : array, shape (n,)
    kind : str
        What it is called: a dense root, in the basis of its eigenvectors, is one too.
    """

    solves = True

    def __init__(self, h: Any, dtype: np.dtype[Any], kind: str = "diagonal", counts: Counts | None = None) -> None:
        self.h, self.dtype, self.kind = h, dtype, kind
        self.counts = Counts() if counts is None else counts
        self.xp, self.device = namespace_of(h), device_of(h)
        self.shape = (int(h.shape[0]), int(h.shape[0]))
        values = host_values(h)
        self.lower, self.upper = float(values.min(initial=math.inf)), float(values.max(initial=0.0))
        self.magnitude = self.upper

    def counted(self) -> DiagonalRoot:
        """Return the same root with counts of its own."""
        other: DiagonalRoot = recounted(self)
        return other

    def matmat(self, x: Any) -> Any:
        """Return H X."""
        self.counts.product(x)
        return self.h[:, None] * x

    def shifted_solve(self, s: float, x: Any) -> Any:
        """Return (H + s I)^{-1} X."""
        self.counts.solve(x)
        return x / (self.h + s)[:, None]

    def power(self, exponent: float) -> DiagonalRoot:
        """Return diag(h ** exponent)."""
        return DiagonalRoot(self.h**exponent, self.dtype, self.kind, self.counts)


class InverseRoot:
    """The inverse of a root.

    Parameters
    ----------
    root : Root
        That solves.
    """

    solves = True

    def __init__(self, root: Root) -> None:
        self.root = root
        self.shape, self.dtype, self.xp, self.device = root.shape, root.dtype, root.xp, root.device
        self.kind = f"the inverse of {root.kind}"
        self.lower = 1 / root.upper if root.upper else math.inf
        self.upper = 1 / root.lower if root.lower else math.inf
        self.counts = root.counts

    @property
    def magnitude(self) -> float:
        """About how large the inverse is: one solve, where the smallest eigenvalue of the root is not known."""
        if self.upper < math.inf or self.shape[0] == 0:
            return self.upper
        x = Key(0).child("magnitude").normals(0, self.shape[0], 1, dtype=self.dtype, xp=self.xp, device=self.device)
        return frobenius(self.root.shifted_solve(0.0, x)) / frobenius(x)

    def counted(self) -> InverseRoot:
        """Return the same root with counts of its own."""
        return InverseRoot(self.root.counted())

    def matmat(self, x: Any) -> Any:
        """Return the inverse of H times X."""
        return self.root.shifted_solve(0.0, x)

    def shifted_solve(self, s: float, x: Any) -> Any:
        """Return (H^{-1} + s I)^{-1} X."""
        if s == 0:
            return self.root.matmat(x)
        return self.root.matmat(self.root.shifted_solve(1 / s, x)) / s


class UpdatedRoot:
    """H + V diag(w) V^H.

    Parameters
    ----------
    root : Root
    V : array, shape (n, r)
    w : numpy.ndarray, shape (r,)
    """

    def __init__(self, root: Root, V: Any, w: np.ndarray[Any, Any]) -> None:
        self.V: Any = V
        self.w: np.ndarray[Any, Any] = np.asarray(w, dtype=np.float64)
        self.root: Root = root
        if isinstance(root, UpdatedRoot):  # one correction of the first root, not one in another
            self.root, self.V = root.root, root.root.xp.concat([root.V, V], axis=1)
            self.w = np.concatenate([root.w, self.w])
        root = self.root
        self.shape, self.dtype, self.xp, self.device = root.shape, root.dtype, root.xp, root.device
        self.counts = root.counts
        self.kind, self.solves = f"{root.kind}, corrected by rank {len(self.w)}", root.solves
        self.lower = root.lower if not (self.w < 0).any() else 0.0
        self.upper = root.upper + float(self.w.max(initial=0.0))
        self._cores: dict[float, tuple[Any, np.ndarray[Any, Any]]] = {}

    @property
    def magnitude(self) -> float:
        """About how large the root is."""
        return max(self.root.magnitude, float(np.abs(self.w).max(initial=0.0)))

    def counted(self) -> UpdatedRoot:
        """Return the same root with counts of its own."""
        other = UpdatedRoot(self.root.counted(), self.V, self.w)
        other.lower, other._cores = self.lower, self._cores
        return other

    def matmat(self, x: Any) -> Any:
        """Return (H + V diag(w) V^H) X."""
        return self.root.matmat(x) + times(self.V, self.w[:, None] * inner(self.V, x))

    def shifted_solve(self, s: float, x: Any) -> Any:
        """Return (H + V diag(w) V^H + s I)^{-1} X."""
        kept = self._cores.get(s)
        if kept is None:
            g = self.root.shifted_solve(s, self.V)
            kept = g, inner(self.V, g)
            self._cores = {s: kept}
        g, core = kept
        return woodbury(self.V, self.w, g, core, self.root.shifted_solve(s, x), s)


def woodbury(V: Any, w: Small, g: Any, core: Small, y: Any, s: float) -> Any:
    """Return (H + V diag(w) V^H + s I)^{-1} X from g = (H + s I)^{-1} V, core = V^H g and y = (H + s I)^{-1} X.

    Raises
    ------
    NonFiniteError
        It is singular.
    """
    try:
        c = np.linalg.solve(np.eye(len(w)) + core * w, inner(V, y))
    except np.linalg.LinAlgError:
        raise NonFiniteError(f"the corrected root plus {s:.3g} I is singular, so it cannot be solved with") from None
    return y - times(g, w[:, None] * c)


class FramedRoot:
    """U H U^H for unitary U: a dense root, H the diagonal of its eigenvalues.

    Parameters
    ----------
    frame : array, shape (n, n)
    inside : Root
    given : LinearOperator, optional
        The matrix that was decomposed, for the error of that.
    """

    def __init__(self, frame: Any, inside: Any, given: Any = None) -> None:
        self.frame, self.inside, self.given = frame, inside, given
        self.shape, self.dtype, self.xp, self.device = inside.shape, inside.dtype, inside.xp, inside.device
        self.kind, self.solves, self.lower, self.upper = inside.kind, inside.solves, inside.lower, inside.upper
        self.counts = inside.counts

    @property
    def magnitude(self) -> float:
        """About how large the root is."""
        return float(self.inside.magnitude)

    def counted(self) -> FramedRoot:
        """Return the same root with counts of its own."""
        return FramedRoot(self.frame, self.inside.counted(), self.given)

    def into(self, x: Any) -> Any:
        """Return U^H X."""
        return adjoint_multiplied(self.frame, x)

    def out(self, x: Any) -> Any:
        """Return U X."""
        return multiplied(self.frame, x)

    def defect(self, x: Any) -> float:
        """Return the norm of (A_half - U H U^H) U X, what the decomposition did to the matrix given."""
        return frobenius(self.given.matmat(self.out(x)) - self.out(self.inside.matmat(x)))

    def matmat(self, x: Any) -> Any:
        """Return U H U^H X."""
        return self.out(self.inside.matmat(self.into(x)))

    def shifted_solve(self, s: float, x: Any) -> Any:
        """Return (U H U^H + s I)^{-1} X."""
        return self.out(self.inside.shifted_solve(s, self.into(x)))


class ScaledRoot:
    """2^e H.

    Parameters
    ----------
    root : Root
    exponent : int
    """

    def __init__(self, root: Root, exponent: int) -> None:
        self.root, self.exponent = root, exponent
        self.shape, self.dtype, self.xp, self.device = root.shape, root.dtype, root.xp, root.device
        self.kind, self.solves, self.counts = root.kind, root.solves, root.counts
        self.lower, self.upper = times_power(root.lower, exponent), times_power(root.upper, exponent)

    @property
    def magnitude(self) -> float:
        """About how large the root is."""
        return times_power(self.root.magnitude, self.exponent)

    def counted(self) -> ScaledRoot:
        """Return the same root with counts of its own."""
        return ScaledRoot(self.root.counted(), self.exponent)

    def matmat(self, x: Any) -> Any:
        """Return 2^e H X."""
        return times_power_of_two(self.root.matmat(x), self.exponent)

    def shifted_solve(self, s: float, x: Any) -> Any:
        """Return (2^e H + s I)^{-1} X."""
        # X is scaled before the solve: its entries are near those of the caller's own numbers then.
        return self.root.shifted_solve(times_power(s, -self.exponent), times_power_of_two(x, -self.exponent))


def times_power(value: float, exponent: int) -> float:
    """Return value 2^exponent, inf where that overflows.

    Examples
    --------
    >>> times_power(3.0, 2), times_power(1.0, 5000)
    (12.0, inf)
    """
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.inf


def scaled(root: Any, exponent: int) -> Any:
    """Return 2^exponent H, which counts with H."""
    if exponent == 0:
        return root
    if isinstance(root, DiagonalRoot):
        return DiagonalRoot(times_power_of_two(root.h, exponent), root.dtype, root.kind, root.counts)
    if isinstance(root, FramedRoot):
        given = None if root.given is None else Scaled(root.given, exponent)
        return FramedRoot(root.frame, scaled(root.inside, exponent), given)
    return ScaledRoot(root, exponent)
