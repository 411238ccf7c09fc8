"""What the caller gives for the root of A, brought to a `Root`; refused with the cure where it cannot be one.

S1. A number c is c I; a vector is a diagonal; a result of an update, or its root, goes on from there.
S2. A dense or sparse matrix is looked at once: square, finite, Hermitian.  A sparse one with nothing off its diagonal
    is a diagonal.  One in a file is loaded where the memory budget allows that.
S3. A dense one is decomposed, H = U diag(h) U^H, for methods that solve with it; for others it is multiplied.
S4. A sparse one that is solved with is factored once with a ridge as large as rounding, which shows whether it is
    positive semidefinite; an object of the caller's multiplies two random vectors, which shows whether it is Hermitian.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, cast, eigh, eps_of, frobenius, host_values, max_abs
from rnla._xp.namespace import all_finite, is_array, is_concrete, is_numpy, namespace_of, needs_grad
from rnla.config import get_config
from rnla.errors import BackendError, BudgetError, DTypeError, InputError, NonFiniteError
from rnla.matfun.counted import Counts
from rnla.matfun.finished_root import FinishedRoot
from rnla.matfun.given_roots import GivenRoot, SparseRoot
from rnla.matfun.roots import DiagonalRoot, FramedRoot, InverseRoot, Root, ScaledRoot, UpdatedRoot
from rnla.operators.coerce import as_operator, compute_dtype
from rnla.operators.dense import Dense
from rnla.operators.hermitian import hermitian_ledger, tolerated_asymmetry
from rnla.operators.implicit import Implicit
from rnla.operators.sparse import Sparse
from rnla.results.root_update import RootUpdate
from rnla.rng import Key

__all__ = ["MatrixRoot", "diagonal_of", "fourth_root_of", "read_root", "require_together", "root_of", "unwrapped"]

_ROOTS = (DiagonalRoot, FramedRoot, GivenRoot, InverseRoot, ScaledRoot, SparseRoot, UpdatedRoot)


class MatrixRoot:
    """A dense Hermitian matrix that is only multiplied.

    Parameters
    ----------
    op : Dense
    entries : array, shape (n, n)
    """

    kind, solves, lower, upper = "dense, multiplied only", False, 0.0, math.inf

    def __init__(self, op: Any, entries: Any) -> None:
        self._op, self.entries, self.counts = op, entries, Counts()
        self.shape, self.dtype, self.xp, self.device = op.shape, op.dtype, op.xp, op.device

    @property
    def magnitude(self) -> float:
        """About how large the root is."""
        return max_abs(self.entries) if self.entries is not None else 1.0

    def counted(self) -> MatrixRoot:
        """Return the same root with counts of its own."""
        return MatrixRoot(self._op, self.entries)

    def matmat(self, x: Any) -> Any:
        """Return H X."""
        self.counts.product(x)
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
    A_half = unwrapped(A_half)
    if isinstance(A_half, (*_ROOTS, MatrixRoot)):
        return A_half.counted()
    A_half = read_root(A_half)
    if A_half is None:
        raise InputError("A_half is None: give the root of A, or A itself as A=")
    if isinstance(A_half, float):
        xp, n = change.xp, change.shape[0]
        real = change.dtype.type(0).real.dtype.name
        device = {} if change.device is None else {"device": change.device}
        A_half = xp.full((n,), A_half, dtype=getattr(xp, real), **device)
    if is_array(A_half) and A_half.ndim == 1:
        return diagonal_of(A_half, change)
    return _matrix(A_half, change, solving)


def unwrapped(A_half: Any) -> Any:
    """Return what an earlier result stands for as the root of the next call, and anything else as it is.

    Raises
    ------
    InputError
        A fourth root, which is hardly meant: its square would be taken for the matrix; or a root not held as an array.
    """
    if isinstance(A_half, FinishedRoot):
        if A_half.root is None:
            raise InputError("a finished diagonal root is h, w and V, no array: pass the state itself as A_half")
        return A_half.root
    if not isinstance(A_half, RootUpdate):
        return A_half
    if abs(A_half.power) < 0.5:
        root = "B^(1/2)" if A_half.power > 0 else "B^(-1/2)"
        raise InputError(
            f"A_half is a result of power {A_half.power}, a fourth root, and the matrix to change would be its square, "
            f"{root}: pass a result of power 0.5 as A_half (this one goes with it as A_quarter=), or, if {root} is "
            "really meant to change, A_half=result.root"
        )
    return A_half.root


def read_root(A_half: Any, name: str = "A_half") -> Any:
    """Return what the caller gave, a number as float and a list as array; refuse what can be no root at a look.

    `name` is what he gave it as.

    Raises
    ------
    InputError, DTypeError
    """
    if isinstance(A_half, (list, tuple)):
        try:
            A_half = np.asarray(A_half)
        except ValueError:
            raise InputError(f"the nested list for {name} is ragged: every row must have the same length") from None
    if isinstance(A_half, np.ma.MaskedArray):
        if np.ma.is_masked(A_half):
            raise InputError(f"{name} has masked entries, which would be used as if they were data; fill them first")
        A_half = A_half.data
    if isinstance(A_half, (complex, np.complexfloating)):
        raise DTypeError(f"{name}={A_half} is complex; a multiple of the identity with a root is real")
    if isinstance(A_half, (int, float, np.number)) and not isinstance(A_half, bool):
        return float(A_half)
    if not is_array(A_half) or A_half.ndim > 1:
        return A_half
    if needs_grad(A_half) or not is_concrete(A_half):
        raise DTypeError(f"{name} requires gradients or holds no numbers; gradients are not recorded: pass .detach()")
    if compute_dtype(A_half.dtype, f"the diagonal of {name}").kind == "c":
        raise DTypeError(f"the diagonal of a Hermitian matrix is real; pass {name}.real if its imaginary part is zero")
    return A_half if A_half.ndim else float(A_half)


def diagonal_of(h: Any, change: Any, name: str = "A_half") -> DiagonalRoot:
    """Return a vector, given as `name`, as a diagonal; raises as `root_of`."""
    dtype = compute_dtype(h.dtype, f"the diagonal of {name}")
    _require_precision(dtype, change)
    if not all_finite(h):
        raise NonFiniteError(f"{name} holds NaN or infinity; clean the diagonal first")
    xp = namespace_of(h)
    h = np.array(h, dtype=dtype) if is_numpy(xp) else xp.astype(h, getattr(xp, dtype.name), copy=True)
    root = DiagonalRoot(h, np.result_type(dtype, change.dtype))
    if root.lower < 0:
        of = "a positive semidefinite matrix" if name == "A" else "the root of a positive semidefinite matrix"
        cure = "" if name == "A" else "; pass the root (numpy.sqrt of the diagonal of A), not A itself"
        raise InputError(f"{name} has the entry {root.lower:.3g}: {of} has none below zero{cure}")
    return root


def _matrix(A_half: Any, change: Any, solving: bool) -> Root:
    given = callable(getattr(A_half, "shifted_solve", None))
    op = as_operator(A_half)
    if op.shape[0] != op.shape[1]:
        raise InputError(
            f"A_half must be square, or a vector for a diagonal; this one is {op.shape[0]} x {op.shape[1]}"
        )
    if given or isinstance(op, Implicit):
        if eps_of(op.dtype) == eps_of(change.dtype) and change.dtype.kind == "c" and op.dtype.kind != "c":
            op = Implicit(A_half, change.dtype, op.xp, op.device)
        root = GivenRoot(op.hermitian() if isinstance(op, Implicit) else op, A_half)
        require_together(root, change)
        root.require_hermitian()
        return root
    if not isinstance(op, (Dense, Sparse)):
        op = _loaded(op)
    _require_precision(op.dtype, change)
    base = _looked_at(op)
    dtype = np.result_type(base.dtype, change.dtype)
    if isinstance(base, Sparse):
        return _sparse(base, change, dtype, solving)
    entries = _entries(base)
    if not solving:
        return MatrixRoot(Dense(entries, dtype), entries)
    values, vectors = eigh(entries)
    host = host_values(values)
    _require_psd(float(host.min(initial=0.0)), float(np.abs(host).max(initial=0.0)), base.dtype)
    xp = base.xp
    kept = xp.where(values > 0, values, xp.zeros_like(values))
    vectors = cast(vectors, getattr(xp, dtype.name))
    return FramedRoot(
        vectors, DiagonalRoot(kept, dtype, "dense, in the basis of its eigenvectors"), Dense(entries, dtype)
    )


def _looked_at(op: Any) -> Any:
    """Return the matrix, found to be finite and Hermitian."""
    try:
        return hermitian_ledger(op).base
    except NonFiniteError as error:
        raise NonFiniteError(f"A_half: {error}") from error
    except InputError as error:
        fact = str(error).partition("; ")[0].replace("A is", "A_half is")
        raise InputError(
            f"{fact}; pass (A_half + A_half.conj().T) / 2 if its Hermitian part is meant, and the Hermitian positive "
            "semidefinite root of A, not a Cholesky factor"
        ) from error


def _loaded(op: Any) -> Dense:
    """Return a matrix that lies in a file or is computed in blocks as one in memory."""
    needed = 4 * op.shape[0] ** 2 * op.dtype.itemsize
    if not get_config().allows(needed):
        raise BudgetError(
            f"A_half lies in a file, and its eigenvalues need it in memory with its eigenvectors, {needed} bytes, over "
            f"memory_budget={get_config().budget()}; raise that, or pass an object with matmat and shifted_solve"
        )
    if not hasattr(op, "row_blocks"):
        raise DTypeError("A_half is computed in blocks of columns: load it, or pass an object with matmat")
    return Dense(op.xp.concat([np.asarray(block) for _, block in op.row_blocks()], axis=0), op.dtype)


def _entries(base: Dense) -> Any:
    """Return a dense matrix as one array of the compute dtype: itself where it is one."""
    if base.resident is not None and base.resident.dtype == getattr(base.xp, base.dtype.name):
        return base.resident
    blocks = [block for _, block in base.row_blocks()]
    return (
        base.xp.concat(blocks, axis=0) if blocks else base.xp.zeros(base.shape, dtype=getattr(base.xp, base.dtype.name))
    )


def _sparse(base: Sparse, change: Any, dtype: Any, solving: bool) -> Root:
    matrix = base.matrix
    diagonal = matrix.diagonal()
    if np.count_nonzero(diagonal) == matrix.count_nonzero():
        return diagonal_of(diagonal.real.astype(diagonal.real.dtype), change)
    _require_psd(float(diagonal.real.min(initial=0.0)), float(np.abs(diagonal).max(initial=0.0)), base.dtype)
    root = SparseRoot(base if dtype == base.dtype else Sparse(matrix.astype(dtype), dtype))
    if solving:
        root.require_semidefinite()
    return root


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
            f"a fourth root needs the root of A_half, which is {root.kind}: give A_quarter= as well, or a diagonal "
            "or dense A_half"
        )
    quarter: Root = root_of(A_quarter.root if isinstance(A_quarter, RootUpdate) else A_quarter, change)
    require_together(quarter, change)
    if isinstance(given, FramedRoot):
        quarter = _framed(quarter, given.frame)
    x = Key(0).child("fourth-root").normals(0, root.shape[0], 1, dtype=root.dtype, xp=root.xp, device=root.device)
    image = root.matmat(x)
    if frobenius(quarter.matmat(quarter.matmat(x)) - image) > math.sqrt(eps_of(root.dtype)) * frobenius(image):
        raise InputError("A_quarter is not the root of A_half: their products with a random vector do not agree")
    return quarter


def _framed(root: Any, frame: Any) -> Any:
    """Return U^H H U, in the basis that a decomposed root is worked on in."""
    if isinstance(root, FramedRoot) and (root.frame is frame or max_abs(root.frame - frame) == 0):
        return root.inside
    return FramedRoot(adjoint(frame), root)


def require_together(root: Root, change: Any) -> None:
    """Raise unless D has the rows, the library, the device and the precision of the root."""
    if root.shape[0] != change.shape[0]:
        raise InputError(
            f"D has {change.shape[0]} rows, and the root is {root.shape[0]} x {root.shape[0]}; A + D D^H needs as many "
            "rows as A (pass D.conj().T if D lies the other way round)"
        )
    if root.xp is not change.xp:
        raise BackendError("A_half and D are arrays of different libraries; bring one to the other first")
    if not is_numpy(root.xp) and root.device != change.device:
        raise BackendError(f"A_half lies on {root.device} and D on {change.device}; bring one to the other first")
    _require_precision(root.dtype, change)


def _require_precision(dtype: Any, change: Any) -> None:
    if eps_of(dtype) != eps_of(change.dtype):
        raise InputError(f"A_half is computed in {dtype} and D in {change.dtype}: bring one to the other first")
