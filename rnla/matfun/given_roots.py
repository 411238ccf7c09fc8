"""Roots that the caller holds in a form of his own, looked at before they are trusted.

Problem: a wrong product or solve must not become a wrong answer.

S1. `SparseRoot`: a factorization by SuperLU for each shift, without pivoting, so that the signs of the pivots are those
    of the eigenvalues of H + s I: where one is not positive, H is not positive semidefinite.
S2. `GivenRoot`: what an object gives is checked for shape, kind and finite values, is copied, and counted.  One product
    with two random vectors tests <H g, h> = <g, H h>, and tells how large H is.  Its solves are tested where they are
    used: what H + s I makes of them is compared with what was to be solved.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._xp.linalg import cast, column_norms, eps_of, host_values, max_abs
from rnla._xp.namespace import all_finite, is_array, is_numpy, namespace_of
from rnla.errors import DTypeError, InputError, NonFiniteError, OperatorError
from rnla.matfun.counted import Counts, recounted
from rnla.operators.hermitian import tolerated_asymmetry
from rnla.operators.sparse import Sparse
from rnla.operators.verify import AdjointMismatch, require_adjoint
from rnla.rng import Key

__all__ = ["GivenRoot", "SparseRoot", "require_solved"]


class SparseRoot:
    """A sparse Hermitian positive semidefinite matrix; each shift is factored once, the last ones are kept.

    Parameters
    ----------
    op : Sparse

    Raises
    ------
    InputError
        It is not positive semidefinite.
    """

    kind, solves, lower = "sparse", True, 0.0
    _KEPT = 2

    def __init__(self, op: Sparse) -> None:
        self._op = op
        self.shape, self.dtype, self.xp, self.device = op.shape, op.dtype, op.xp, op.device
        # No eigenvalue is above the largest sum of the moduli of a row.
        self.upper = float(abs(op.matrix).sum(axis=1).max()) if min(op.shape) else 0.0
        self.magnitude, self.counts = self.upper, Counts()
        self._factored: dict[float, Any] = {}

    def require_semidefinite(self) -> None:
        """Raise where H, with a ridge as large as rounding, has an eigenvalue that is not positive."""
        if self.upper > 0:
            self._factor(tolerated_asymmetry(self.dtype) * self.upper)

    def counted(self) -> SparseRoot:
        """Return the same root with counts of its own; factorizations are shared."""
        other: SparseRoot = recounted(self)
        return other

    def matmat(self, x: Any) -> Any:
        """Return H X."""
        self.counts.product(x)
        return self._op.matmat(x)

    def shifted_solve(self, s: float, x: Any) -> Any:
        """Return (H + s I)^{-1} X."""
        self.counts.solve(x)
        kept = self._factored.get(s)
        if kept is None:
            kept = self._factor(s)
            self._factored = {**dict(list(self._factored.items())[1 - self._KEPT :]), s: kept}
        if np.iscomplexobj(x) and self.dtype.kind != "c":
            both = kept.solve(np.concatenate([x.real, x.imag], axis=1))
            k = int(x.shape[1])
            return both[:, :k] + 1j * both[:, k:]
        return kept.solve(np.array(x, dtype=self.dtype, order="F"))

    def _factor(self, s: float) -> Any:
        import scipy.sparse
        import scipy.sparse.linalg

        matrix = self._op.matrix.astype(self.dtype)
        if s:
            matrix = matrix + self.dtype.type(s) * scipy.sparse.eye_array(self.shape[0], dtype=self.dtype)
        try:
            found = scipy.sparse.linalg.splu(
                scipy.sparse.csc_array(matrix), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )  # fmt: skip
        except RuntimeError as error:  # a pivot that is zero
            raise _not_definite(s, 0.0) from error
        pivots = found.U.diagonal().real
        least = float(pivots.min(initial=math.inf))
        if not np.isfinite(pivots).all():
            raise NonFiniteError("the factorization of the sparse A_half overflowed; scale A_half and D down")
        if least <= 0 or not np.array_equal(found.perm_r, found.perm_c):
            raise _not_definite(s, least)
        return found


def _not_definite(s: float, pivot: float) -> InputError:
    if s == 0:
        return InputError(
            "A_half is singular, or not positive semidefinite, and its inverse is needed here; add a ridge to it, or "
            "ask for power=0.5 with sign=+1"
        )
    return InputError(
        f"A_half is not positive semidefinite: A_half + {s:.3g} I has the pivot {pivot:.3g}; pass the positive root of "
        "A, not A itself nor another matrix whose square is A"
    )


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
        self.lower, self.upper, self.magnitude, self.counts = 0.0, math.inf, 0.0, Counts()
        bounds = getattr(source, "eigenvalue_bounds", None)
        if bounds is not None:
            self.lower, self.upper = _bounds(bounds)

    def require_hermitian(self) -> None:
        """Multiply two random vectors, and raise `InputError` where <H g, h> is not <g, H h> (S2)."""
        if min(self.shape) == 0:
            return
        like = {"dtype": self.dtype, "xp": self.xp, "device": self.device}
        g, h = (Key(0).child("hermitian-test", name).normals(0, self.shape[1], 1, **like) for name in ("in", "out"))
        both = self.matmat(self.xp.concat([g, h], axis=1))
        self.magnitude = float(max(host_values(column_norms(both)))) / math.sqrt(self.shape[0])
        try:
            require_adjoint(g, both[:, :1], h, both[:, 1:])
        except AdjointMismatch as error:
            raise InputError(
                f"A_half is not Hermitian: <H g, h> and <g, H h> differ by {error.gap:.1e} of their size for random g "
                "and h; its matmat must multiply with the Hermitian root of A"
            ) from error

    def counted(self) -> GivenRoot:
        """Return the same root with counts of its own."""
        other: GivenRoot = recounted(self)
        return other

    def matmat(self, x: Any) -> Any:
        """Return H X."""
        self.counts.product(x)
        return self._checked(self._op.matmat(self._handed(x)), x, "matmat(X)")

    def shifted_solve(self, s: float, x: Any) -> Any:
        """Return (H + s I)^{-1} X."""
        self.counts.solve(x)
        return self._checked(self._source.shifted_solve(s, self._handed(x)), x, f"shifted_solve({s:.3g}, X)")

    def _handed(self, x: Any) -> Any:
        """Return a private copy: the object may write in it."""
        return np.array(x, order="C") if is_numpy(self.xp) else self.xp.asarray(x, copy=True)

    def _checked(self, y: Any, x: Any, name: str) -> Any:
        """Return an array of our own: the object may write its next product where it wrote this one."""
        if not is_array(y) or tuple(y.shape) != tuple(x.shape):
            found = f"shape {tuple(y.shape)}" if hasattr(y, "shape") else f"a {type(y).__name__}"
            raise OperatorError(f"{name} of the root must give an array of shape {tuple(x.shape)}, got {found}")
        if namespace_of(y) is not self.xp:
            raise OperatorError(f"{name} of the root gives a {type(y).__name__} for arrays of another library")
        kind = str(y.dtype)
        if "complex" in kind and "complex" not in str(x.dtype):
            raise DTypeError(
                f"{name} of the root gives complex numbers for real X; an object for a complex Hermitian root must "
                "have a complex dtype"
            )
        if "float" not in kind and "complex" not in kind:
            raise OperatorError(f"{name} of the root gives {kind} for X of {x.dtype}, and so has lost digits")
        if not all_finite(y):
            raise NonFiniteError(f"{name} of the root holds NaN or infinity, where X, up to {max_abs(x):.1e}, does not")
        own = cast(y, x.dtype)
        return own if own is not y else self._handed(own)


def _bounds(bounds: Any) -> tuple[float, float]:
    try:
        lower, upper = (float(value) for value in bounds)
    except (TypeError, ValueError):
        raise OperatorError("eigenvalue_bounds of the root must be two numbers (lowest, highest)") from None
    if not 0 <= lower <= upper:
        raise InputError(
            f"eigenvalue_bounds of the root are ({lower:.3g}, {upper:.3g}); they must be 0 <= lowest <= highest"
        )
    return lower, upper


def require_solved(root: Any, s: float, y: Any, x: Any) -> None:
    """Raise `OperatorError` where (H + s I) Y is not X: by more than rounding explains for any condition number."""
    left = root.matmat(y) + s * y - x
    size = max_abs(x) + abs(s) * max_abs(y)
    size = max(size, root.magnitude * max_abs(y))
    gap = max_abs(left)
    if gap <= math.sqrt(eps_of(root.dtype)) * size:
        return
    told = f"{gap:.1e} is left, where the largest entries have size {size:.1e}"
    if root.kind != GivenRoot.kind:
        raise OperatorError(
            f"the root ({root.kind}) plus {s:.3g} I is too near to singular to be solved with: {told}; compute the "
            "root of A afresh, or add a ridge"
        )
    raise OperatorError(
        f"shifted_solve({s:.3g}, X) of the root does not solve (H + s I) Y = X: {told}; it must give the inverse of "
        "H + s I times X"
    )
