"""What the caller gives for the root of A, brought to a `Root`; refused with the cure where it cannot be one.

S1. A number c is c I; a vector is a diagonal; a result of an update, or its root, goes on from there.
S2. A dense or sparse matrix is looked at once: square, finite, Hermitian.  A sparse one with nothing off its diagonal
    is a diagonal.
S3. A dense one is decomposed, H = U diag(h) U^H, for methods that solve with it; for others it is multiplied.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._xp.linalg import cast, eigh, eps_of, frobenius, host_values
from rnla._xp.namespace import all_finite, is_array, namespace_of
from rnla.errors import BackendError, DTypeError, InputError, NonFiniteError
from rnla.matfun.roots import DiagonalRoot, FramedRoot, GivenRoot, InverseRoot, Root, SparseRoot, UpdatedRoot
from rnla.operators.coerce import as_operator, compute_dtype
from rnla.operators.dense import Dense
from rnla.operators.hermitian import as_hermitian, hermitian_ledger, tolerated_asymmetry
from rnla.operators.implicit import Implicit
from rnla.operators.sparse import Sparse
from rnla.results.root_update import RootUpdate
from rnla.rng import Key

__all__ = ["MatrixRoot", "fourth_root_of", "require_together", "root_of"]

_ROOTS = (DiagonalRoot, FramedRoot, GivenRoot, InverseRoot, SparseRoot, UpdatedRoot)


class MatrixRoot:
    """A dense Hermitian matrix that is only multiplied.

    Parameters
    ----------
    op : Dense
    entries : array, shape (n, n)
    """

    kind, solves, lower, upper = "dense, multiplied only", False, 0.0, float("inf")

    def __init__(self, op: Any, entries: Any) -> None:
        self._op, self.entries = op, entries
        self.shape, self.dtype, self.xp, self.device = op.shape, op.dtype, op.xp, op.device

    def matmat(self, x: Any) -> Any:
        """Return H X."""
        return self._op.matmat(x)

    def shifted_solve(self, s: float, x: Any) -> Any:
        """Refuse."""
        raise InputError("this method only multiplies a dense root")


def root_of(A_half: Any, change: Any, *, solving: bool = True) -> Root:
    """Return the root for what the caller gave.

    Parameters
    ----------
    A_half : object
    change : LinearOperator
        D, for the size and the library of a multiple of the identity.
    solving : bool
        Whether the method solves with it, so that a dense one is decomposed.

    Raises
    ------
    InputError, DTypeError, NonFiniteError
        What cannot be the root of a positive semidefinite matrix.
    """
    if isinstance(A_half, RootUpdate):
        A_half = A_half.root
    if isinstance(A_half, (*_ROOTS, MatrixRoot)):
        return A_half
    if isinstance(A_half, (int, float, np.number)) and not isinstance(A_half, bool):
        xp, n = change.xp, change.shape[0]
        real = change.dtype.type(0).real.dtype.name
        device = {} if change.device is None else {"device": change.device}
        A_half = xp.full((n,), float(A_half), dtype=getattr(xp, real), **device)
    if isinstance(A_half, (list, tuple)):
        A_half = np.asarray(A_half)
    if is_array(A_half) and A_half.ndim == 1:
        return _diagonal(A_half, change)
    return _matrix(A_half, change, solving)


def _diagonal(h: Any, change: Any) -> DiagonalRoot:
    dtype = compute_dtype(h.dtype, "the diagonal of A_half")
    if dtype.kind == "c":
        raise DTypeError("the diagonal of a Hermitian matrix is real; pass A_half.real if its imaginary part is zero")
    if not all_finite(h):
        raise NonFiniteError("A_half holds NaN or infinity; clean the diagonal first")
    xp = namespace_of(h)
    h = h.astype(dtype) if xp is np else xp.astype(h, getattr(xp, dtype.name))
    root = DiagonalRoot(h, np.result_type(dtype, change.dtype))
    if root.lower < 0:
        raise InputError(
            f"A_half has the entry {root.lower:.3g}: the root of a positive semidefinite matrix has none below zero; "
            "pass the root (numpy.sqrt of the diagonal of A), not A itself"
        )
    return root


def _matrix(A_half: Any, change: Any, solving: bool) -> Root:
    if callable(getattr(A_half, "shifted_solve", None)):
        return GivenRoot(as_hermitian(A_half), A_half)
    op = as_operator(A_half)
    if isinstance(op, Implicit):
        return GivenRoot(as_hermitian(A_half), A_half)
    base = hermitian_ledger(A_half).base
    if isinstance(base, Sparse):
        return _sparse(base, change)
    if not isinstance(base, Dense):
        raise DTypeError(
            "A_half lies in a file or is computed in blocks, and its eigenvalues would need it whole: load it, or pass "
            "an object with matmat and shifted_solve"
        )
    if not solving:
        dtype = np.result_type(base.dtype, change.dtype)
        entries = base.xp.concat([block for _, block in base.row_blocks()], axis=0)
        return MatrixRoot(Dense(entries, dtype), entries)
    values, vectors = eigh(base.xp.concat([block for _, block in base.row_blocks()], axis=0))
    host = host_values(values)
    _require_psd(float(host.min(initial=0.0)), float(np.abs(host).max(initial=0.0)), base.dtype)
    xp = base.xp
    kept = xp.where(values > 0, values, xp.zeros_like(values))
    dtype = np.result_type(base.dtype, change.dtype)
    vectors = cast(vectors, getattr(xp, dtype.name))
    given = Dense(xp.concat([block for _, block in base.row_blocks()], axis=0), dtype)
    return FramedRoot(vectors, DiagonalRoot(kept, dtype, "dense, in the basis of its eigenvectors"), given)


def _sparse(base: Sparse, change: Any) -> Root:
    matrix = base.matrix
    diagonal = matrix.diagonal()
    if np.count_nonzero(diagonal) == matrix.count_nonzero():
        return _diagonal(diagonal.real.astype(diagonal.real.dtype), change)
    _require_psd(float(diagonal.real.min(initial=0.0)), float(np.abs(diagonal).max(initial=0.0)), base.dtype)
    dtype = np.result_type(base.dtype, change.dtype)
    return SparseRoot(base if dtype == base.dtype else Sparse(matrix.astype(dtype), dtype))


def _require_psd(least: float, largest: float, dtype: Any) -> None:
    if least < -tolerated_asymmetry(dtype) * largest:
        raise InputError(
            f"A_half is not positive semidefinite: it has an eigenvalue of {least:.3g} or less, where the largest is "
            f"{largest:.3g}; pass the positive root of A"
        )


def fourth_root_of(given: Root, A_quarter: Any, change: Any) -> Root:
    """Return the root of the root, in the coordinates that the root itself is worked on in.

    Raises
    ------
    InputError
        The root is neither diagonal nor decomposed, and its root was not given; or what was given is not it.
    """
    root: Any = given.inside if isinstance(given, FramedRoot) else given
    if isinstance(root, DiagonalRoot):
        return root.power(0.5)
    if A_quarter is None:
        raise InputError(
            f"a fourth root needs the root of A_half, which is {root.kind}: give A_quarter=, or a diagonal or dense "
            "A_half"
        )
    quarter = root_of(A_quarter, change)
    require_together(quarter, change)
    x = Key(0).child("fourth-root").normals(0, root.shape[0], 1, dtype=root.dtype, xp=root.xp, device=root.device)
    image = root.matmat(x)
    if frobenius(quarter.matmat(quarter.matmat(x)) - image) > math.sqrt(eps_of(root.dtype)) * frobenius(image):
        raise InputError("A_quarter is not the root of A_half: their products with a random vector do not agree")
    return quarter


def require_together(root: Root, change: Any) -> None:
    """Raise unless D has the rows, the library, the device and the precision of the root."""
    if root.shape[0] != change.shape[0]:
        raise InputError(
            f"D has {change.shape[0]} rows, and the root is {root.shape[0]} x {root.shape[0]}; A + D D^H needs as many "
            "rows as A (pass D.conj().T if D lies the other way round)"
        )
    if root.xp is not change.xp:
        raise BackendError("A_half and D are arrays of different libraries; bring one to the other first")
    if eps_of(root.dtype) != eps_of(change.dtype):
        raise InputError(f"A_half is computed in {root.dtype} and D in {change.dtype}: bring one to the other first")
