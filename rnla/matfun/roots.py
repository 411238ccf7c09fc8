"""What the updates of a root may do with the root that is there: multiply, solve with a shift, bound its spectrum.

Problem: the square root H of a positive semidefinite matrix A is a vector, an array, a sparse matrix or an object of
the caller's; an update needs H X and, for most methods, (H + s I)^{-1} X for a few s >= 0.

- `DiagonalRoot`: both are divisions; also what a dense root is in the basis of its eigenvectors.
- `SparseRoot`: a factorization by SuperLU for each shift.
- `GivenRoot`: what the caller's object can do.
- `InverseRoot`: H^{-1}, from the same two; (H^{-1} + s I)^{-1} = H (H + I/s)^{-1} / s.
- `UpdatedRoot`: H + V diag(w) V^H, by the formula of Sherman, Morrison and Woodbury in the form
  X - G W (I + V^H G W)^{-1} V^H X, G = (H + s I)^{-1} V, X the solution without V: no w is inverted.
- `FramedRoot`: U H U^H for a unitary U.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from rnla._xp.linalg import cast, frobenius, host_values
from rnla._xp.namespace import device_of, namespace_of
from rnla.errors import NonFiniteError, OperatorError
from rnla.matfun.panels import adjoint_multiplied, inner, multiplied, times
from rnla.operators.sparse import Sparse

__all__ = ["DiagonalRoot", "FramedRoot", "GivenRoot", "InverseRoot", "Root", "SparseRoot", "UpdatedRoot"]


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
    """

    kind: str
    lower: float
    upper: float
    solves: bool
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    xp: Any
    device: Any

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

    def __init__(self, h: Any, dtype: np.dtype[Any], kind: str = "diagonal") -> None:
        self.h, self.dtype, self.kind = h, dtype, kind
        self.xp, self.device = namespace_of(h), device_of(h)
        self.shape = (int(h.shape[0]), int(h.shape[0]))
        values = host_values(h)
        self.lower, self.upper = float(values.min(initial=math.inf)), float(values.max(initial=0.0))

    def matmat(self, x: Any) -> Any:
        """Return H X."""
        return self.h[:, None] * x

    def shifted_solve(self, s: float, x: Any) -> Any:
        """Return (H + s I)^{-1} X."""
        return x / (self.h + s)[:, None]

    def power(self, exponent: float) -> DiagonalRoot:
        """Return diag(h ** exponent)."""
        return DiagonalRoot(self.h**exponent, self.dtype, self.kind)


class SparseRoot:
    """A sparse Hermitian positive definite matrix; each shift is factored once, the last ones are kept.

    Parameters
    ----------
    op : Sparse
    """

    kind, solves, lower = "sparse", True, 0.0
    _KEPT = 2

    def __init__(self, op: Sparse) -> None:
        self._op = op
        self.shape, self.dtype, self.xp, self.device = op.shape, op.dtype, op.xp, op.device
        # No eigenvalue is above the largest sum of the moduli of a row.
        self.upper = float(abs(op.matrix).sum(axis=1).max()) if min(op.shape) else 0.0
        self._factored: dict[float, Any] = {}

    def matmat(self, x: Any) -> Any:
        """Return H X."""
        return self._op.matmat(x)

    def shifted_solve(self, s: float, x: Any) -> Any:
        """Return (H + s I)^{-1} X."""
        if s not in self._factored:
            self._factored[s] = self._factor(s)
            while len(self._factored) > self._KEPT:
                del self._factored[next(iter(self._factored))]
        return self._factored[s].solve(np.ascontiguousarray(x))

    def _factor(self, s: float) -> Any:
        import scipy.sparse
        import scipy.sparse.linalg

        matrix = self._op.matrix.astype(self.dtype)
        if s:
            matrix = matrix + self.dtype.type(s) * scipy.sparse.eye_array(self.shape[0], dtype=self.dtype)
        try:
            return scipy.sparse.linalg.splu(
                scipy.sparse.csc_array(matrix), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )  # fmt: skip
        except RuntimeError as error:
            raise OperatorError(f"the sparse root plus {s:.3g} I could not be factored: {error}") from error


class GivenRoot:
    """An object of the caller's with ``matmat`` (or ``@``), and ``shifted_solve(s, X)`` where it has one.

    Parameters
    ----------
    op : LinearOperator
        Of the object, for its products.
    source : object
    """

    kind = "an operator"

    def __init__(self, op: Any, source: Any) -> None:
        self._op, self._source = op, source
        self.shape, self.dtype, self.xp, self.device = op.shape, op.dtype, op.xp, op.device
        self.solves = callable(getattr(source, "shifted_solve", None))
        self.lower, self.upper = 0.0, math.inf
        bounds = getattr(source, "eigenvalue_bounds", None)
        if bounds is not None:
            self.lower, self.upper = (float(value) for value in bounds)

    def matmat(self, x: Any) -> Any:
        """Return H X."""
        return self._checked(self._op.matmat(x), x, "matmat")

    def shifted_solve(self, s: float, x: Any) -> Any:
        """Return (H + s I)^{-1} X."""
        return self._checked(self._source.shifted_solve(s, x), x, "shifted_solve")

    def _checked(self, y: Any, x: Any, name: str) -> Any:
        if tuple(getattr(y, "shape", ())) != tuple(x.shape):
            found = f"shape {tuple(y.shape)}" if hasattr(y, "shape") else f"a {type(y).__name__}"
            raise OperatorError(f"{name} of the root must give shape {tuple(x.shape)}, got {found}")
        return cast(y, x.dtype)


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
        self.kind, self.solves = f"{root.kind}, corrected by rank {len(self.w)}", root.solves
        self.lower = root.lower if not (self.w < 0).any() else 0.0
        self.upper = root.upper + float(self.w.max(initial=0.0))
        self._cores: dict[float, tuple[Any, np.ndarray[Any, Any]]] = {}

    def matmat(self, x: Any) -> Any:
        """Return (H + V diag(w) V^H) X."""
        return self.root.matmat(x) + times(self.V, self.w[:, None] * inner(self.V, x))

    def shifted_solve(self, s: float, x: Any) -> Any:
        """Return (H + V diag(w) V^H + s I)^{-1} X."""
        if s not in self._cores:
            g = self.root.shifted_solve(s, self.V)
            self._cores = {s: (g, inner(self.V, g))}
        g, core = self._cores[s]
        y = self.root.shifted_solve(s, x)
        try:
            c = np.linalg.solve(np.eye(len(self.w)) + core * self.w, inner(self.V, y))
        except np.linalg.LinAlgError:
            raise NonFiniteError(
                f"the corrected root plus {s:.3g} I is singular, so it cannot be solved with"
            ) from None
        return y - times(g, self.w[:, None] * c)


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

    def into(self, x: Any) -> Any:
        """Return U^H X."""
        return adjoint_multiplied(self.frame, x)

    def out(self, x: Any) -> Any:
        """Return U X."""
        return multiplied(self.frame, x)

    def defect(self, x: Any) -> float:
        """Return the norm of (A_half - U H U^H) U X, what the decomposition did to the matrix given; 0 if none was."""
        if self.given is None:
            return 0.0
        return frobenius(self.given.matmat(self.out(x)) - self.out(self.inside.matmat(x)))

    def matmat(self, x: Any) -> Any:
        """Return U H U^H X."""
        return self.out(self.inside.matmat(self.into(x)))

    def shifted_solve(self, s: float, x: Any) -> Any:
        """Return (U H U^H + s I)^{-1} X."""
        return self.out(self.inside.shifted_solve(s, self.into(x)))
