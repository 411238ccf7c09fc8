"""Whether a matrix is Hermitian, found out before it is worked on.

S1. It must be square.
S2. A matrix in memory is read once, block against block: the largest abs(a_ij - conj(a_ji)), and its place; and, of
    a dense one, its norm.  Counted as a scan.  Real NumPy arrays by compiled kernels where there are any; complex
    ones and those of other libraries by the plain twin, which also finds the place where the kernels saw a
    deviation.  A sparse matrix too large for a transposed copy in a share of the memory budget: S3.
S3. An operator is multiplied only; what is needed of its adjoint is taken to be itself, so that the adjoint test
    of the range finders, <A g, h> = <g, A h>, tests just this, and no ``rmatmat`` need be there.
S4. Data out of core are not read once more for it: the drivers look at X^H A X of the basis X instead.

A deviation up to 1e4 eps (in single precision 30 eps) of the largest entry, which a matrix that was computed in two
halves may have, passes.  The Hermitian part of what was found is what is factored then, and the certificate counts
the rest as error.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from rnla._kernels import compiled
from rnla._kernels.products import has_contiguous_rows, readable_in_place
from rnla._kernels.threads import run
from rnla._xp.linalg import adjoint, eps_of, frobenius, host_values
from rnla._xp.namespace import is_numpy, namespace_of
from rnla.config import get_config
from rnla.errors import InputError
from rnla.operators.coerce import as_operator
from rnla.operators.dense import Dense
from rnla.operators.implicit import Implicit
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import LinearOperator
from rnla.operators.scan import BlockScan
from rnla.operators.sparse import Sparse
from rnla.operators.verify import AdjointMismatch, require_adjoint
from rnla.rng import Key

__all__ = [
    "as_hermitian",
    "hermitian_ledger",
    "hermitian_only",
    "require_hermitian_core",
    "require_no_negative_diagonal",
    "tolerated_asymmetry",
]

_ADVICE = "pass (A + A.conj().T) / 2 if its Hermitian part is meant, or use svd, which asks for no symmetry"
_TILE = 512  # rows and columns compared together on the host, so that both tiles stay in cache
_DEVICE_TILE = 8192
FAMILY = "symmetry"
"""The name of the kernels."""
_WORTH_A_KERNEL = 1 << 14  # entries
_STEP = 256  # rows of a task, or a multiple of them
_PARTS = 16
_COPIES = 4  # as large as a sparse matrix, that its difference with its adjoint takes


def tolerated_asymmetry(dtype: Any) -> float:
    """Return the deviation from symmetry, relative to the largest entry, that is put down to rounding."""
    return min(1e-2 * math.sqrt(eps_of(dtype)), 1e4 * eps_of(dtype))


def as_hermitian(A: Any) -> LinearOperator:
    """Return the operator of a square matrix that is said to be Hermitian; no product with the adjoint is needed.

    Raises
    ------
    InputError
        The matrix is not square.
    """
    op = as_operator(A)
    m, n = op.shape
    if m != n:
        raise InputError(
            f"a Hermitian matrix is square; this one is {m} x {n}. For a rectangular matrix use svd, "
            "or pass A.conj().T @ A for the eigenvalues of the normal matrix"
        )
    return op.hermitian() if isinstance(op, Implicit) else op


def hermitian_ledger(A: Any) -> Ledger:
    """Return the ledger over a Hermitian matrix, whose entries are looked at where that costs no pass (S1, S2).

    Raises
    ------
    InputError
        The matrix is not square, or not Hermitian; the message names the largest deviation and its place.
    """
    base = as_hermitian(A)
    if isinstance(base, Dense):
        _of_dense(base)
    op = Ledger(base)
    op.measure()  # refuses what is not finite
    if isinstance(base, Sparse):
        op.counts.scans += 1
        _of_sparse(op)
    return op


def require_hermitian_core(core: Any) -> None:
    """Raise `InputError` where X^H A X of an orthonormal basis is not Hermitian: A is not either (S4)."""
    gap, size = frobenius(core - adjoint(core)), frobenius(core)
    if gap > 0.1 * math.sqrt(eps_of(core.dtype)) * size:  # products of an operator may be less exact than entries
        raise InputError(
            f"A is not Hermitian: on the basis found, the part of A that is not is {gap / (2 * size):.1e} of it; "
            + _ADVICE
        )


@contextlib.contextmanager
def hermitian_only(base: Any) -> Iterator[None]:
    """Say of an operator that failed the adjoint test of a range finder that it is not Hermitian (S3)."""
    try:
        yield
    except AdjointMismatch as error:
        if not isinstance(base, Implicit):
            raise
        raise InputError(
            "the operator is not Hermitian: <A g, h> and <g, A h> differ for random g and h by "
            f"{error.gap:.1e} of their size; {_ADVICE}"
        ) from error


def _refuse(largest: float, top: float, row: int, column: int, dtype: Any) -> None:
    if largest > tolerated_asymmetry(dtype) * top:
        raise InputError(
            f"A is not Hermitian: entry ({row}, {column}) and the conjugate of entry ({column}, {row}) differ by "
            f"{largest:.3g}, where the largest entry is {top:.3g}; {_ADVICE}"
        )


def _by_kernels(base: Dense) -> tuple[float, float] | None:
    """Return the largest deviation of a dense matrix and its largest entry, and have it remember its magnitude.

    None where no kernel reads the matrix, or where its squares leave the range of the numbers.
    """
    a = base.resident
    if a is None or base.dtype.kind == "c" or a.size < _WORTH_A_KERNEL or not readable_in_place(a, base.dtype):
        return None
    config = get_config()
    with compiled.using(config.kernels, (FAMILY,), base.dtype, flops=10.0 * a.size):
        kernels = compiled.family(FAMILY, base.dtype)
    if kernels is None:
        return None
    a = a if has_contiguous_rows(a) else a.T
    n, step = len(a), max(_STEP, -(-len(a) // (_PARTS * _STEP)) * _STEP)
    starts = range(0, n, step)
    found = np.zeros((len(starts), 3, kernels.VECTOR_BYTES // a.itemsize), dtype=base.dtype)
    squares = np.zeros(len(starts))

    def task(i: int) -> None:
        kernels.asymmetry(
            base.dtype.type(0), a.itemsize, a.ctypes.data, a.strides[0] // a.itemsize, starts[i],
            min(starts[i] + step, n), n, found[i].ctypes.data, squares[i:].ctypes.data,
        )  # fmt: skip

    run(task, range(len(starts)), config.threads)
    scan = BlockScan(base.dtype)
    if not all(scan.take(start, total) for start, total in zip(starts, squares.tolist(), strict=True)):
        return None
    base.remember(scan.magnitude())
    worst, top = found[:, :2].max(axis=(0, 2)).tolist()
    return worst, top


def _of_dense(base: Dense) -> None:
    """Refuse a dense matrix that is not Hermitian; one that is remembers its magnitude."""
    seen = _by_kernels(base)
    if seen is not None and seen[0] <= tolerated_asymmetry(base.dtype) * seen[1]:
        base.kernel_families = (FAMILY,)
        return
    on_host = is_numpy(base.xp)
    scan, size = BlockScan(base.dtype), _TILE if on_host else _DEVICE_TILE

    def look(pair: Any) -> tuple[float, float, tuple[int, int]]:
        (rows, block), (_, mirror) = pair
        scan.see(rows.start, block)
        with np.errstate(over="ignore", invalid="ignore"):
            return _deviation(base.xp, rows, block, mirror, size)

    pairs = zip(base.row_blocks(), base.column_blocks(), strict=True)
    looks: list[tuple[float, float, tuple[int, int]]]
    if on_host and base.native:  # the blocks are views; else they are copies, of which one stands at a time
        looks = run(look, list(pairs), get_config().threads)
    else:
        looks = [look(pair) for pair in pairs]
    base.remember(scan.magnitude())
    if looks:
        worst, _, place = max(looks, key=lambda found: found[0])
        _refuse(worst, max(found[1] for found in looks), *place, base.dtype)


def _deviation(xp: Any, rows: slice, block: Any, mirror: Any, size: int) -> tuple[float, float, tuple[int, int]]:
    """Return the largest deviation of some rows, right of the diagonal, their largest entry there, and the place."""
    worst, top, place = 0.0, 0.0, (rows.start, rows.start)
    for low in range(rows.start, rows.stop, size):
        here = slice(low - rows.start, min(low + size, rows.stop) - rows.start)
        for start in range(low, int(block.shape[1]), size):
            there = slice(start, min(start + size, int(block.shape[1])))
            tile = block[here, there]
            modulus = xp.abs(tile - adjoint(mirror[there, here]))
            largest, top = float(xp.max(modulus)), max(top, float(xp.max(xp.abs(tile))))
            if largest > worst:
                row, column = divmod(int(xp.argmax(xp.reshape(modulus, (-1,)))), int(modulus.shape[1]))
                worst, place = largest, (low + row, start + column)
    return worst, top, place


def _of_sparse(op: Ledger) -> None:
    base: Any = op.base
    csr = base.matrix
    if base.nbytes * _COPIES > get_config().budget():
        like = {"dtype": op.dtype, "xp": op.xp, "device": op.device}
        g, h = (Key(0).child("hermitian-test", name).normals(0, op.shape[1], 2, **like) for name in ("in", "out"))
        both = op.matmat(op.xp.concat([g, h], axis=1))
        try:
            require_adjoint(g, both[:, :2], h, both[:, 2:])
        except AdjointMismatch as error:
            raise InputError(
                f"A is not Hermitian: <A g, h> and <g, A h> differ by {error.gap:.1e}; {_ADVICE}"
            ) from error
        return
    gap = abs(csr - csr.conj().T.tocsr()).tocoo()
    if gap.nnz == 0:
        return
    worst = int(np.argmax(gap.data))
    row, column = int(gap.coords[0][worst]), int(gap.coords[1][worst])
    _refuse(float(gap.data[worst]), float(np.abs(csr.data).max(initial=0.0)), row, column, op.dtype)


def require_no_negative_diagonal(diagonal: Any) -> None:
    """Raise `InputError` where a diagonal entry is negative beyond rounding: A is not positive semidefinite."""
    xp = namespace_of(diagonal)
    values = host_values(xp.real(diagonal) if "complex" in str(diagonal.dtype) else diagonal)
    if len(values) == 0:
        return
    worst = int(np.argmin(values))
    if values[worst] < -tolerated_asymmetry(diagonal.dtype) * float(np.abs(values).max()):
        raise InputError(
            f"A is not positive semidefinite: diagonal entry {worst} is {values[worst]:.3g}; "
            "eigh takes any Hermitian matrix"
        )
