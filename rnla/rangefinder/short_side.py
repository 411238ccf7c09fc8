"""Complete bases from the short side of a tall matrix: Gram matrix and eigh, or tall-skinny QR.

Problem: all singular vectors of the short side of A in one pass; written for m larger than n.

GramEigh.  S1. G = A^H A, summed over row blocks in float64.  S2. X = the leading eigenvectors of G, found without the
others where they are a quarter of them at most (`rangefinder/leading.py`).  S3. Y = A X.
Cost: m n^2 flops (a product with itself is half a product), one pass for S1, one for S3.
Guarantee: the singular values come from Y, and so does the certificate; what squaring the matrix
loses is the order of directions whose singular values lie under about sqrt(eps) of the largest.

TallQR.  S1. R of the QR factorization, updated block by block: R = qr([R; block]).  S2. R = W diag(s) V^H.
S3. as above.  Cost: 2 m n^2 flops by Householder.  Guarantee: backward stable, all directions down to eps.

Neither draws random numbers.  A wide matrix is read in blocks of columns, its adjoint's rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from rnla._kernels.gram_sum import GramSum
from rnla._kernels.products import has_contiguous_rows
from rnla._kernels.threads import interruptible
from rnla._xp.linalg import adjoint, cast, eps_of, host_values, qr, svd
from rnla.config import get_config
from rnla.errors import InputError
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import SupportsBlocks, SupportsGram
from rnla.operators.scan import times_power_of_two
from rnla.orth.cholesky_qr import CholeskyQR2, gram
from rnla.orth.extend import orthonormalize_against
from rnla.orth.tsqr import TSQR
from rnla.rangefinder.leading import leading_eigh
from rnla.rangefinder.protocols import Goal, Riders
from rnla.results import RangeBasis
from rnla.rng import Key

__all__ = ["GramEigh", "TallQR"]

_SMALL = 1 << 25  # multiply-adds that one call of BLAS makes before threads have shared them out


def _fold(op: Ledger, space: str, method: str, step: Callable[[Any, Any], Any]) -> Any:
    """Reduce the blocks of the long side, each with the short side as its columns."""
    if not isinstance(op.base, SupportsBlocks):
        raise InputError(
            f"method={method}() needs a dense matrix, whose entries it reads; use SubspaceIteration() or Adaptive()"
        )
    return op.fold_blocks(space, lambda state, _, block: step(state, block if space == "row" else adjoint(block)))


def _short(op: Ledger) -> tuple[str, int]:
    m, n = op.shape
    return ("row", n) if m >= n else ("column", m)


def _basis(op: Ledger, space: str, vectors: Any, start: RangeBasis | None, key: Key, note: str = "") -> RangeBasis:
    notes = (*(() if start is None else start.notes), *((note,) if note else ()))
    size, image = int(vectors.shape[1]), op.matmat if space == "row" else op.rmatmat
    if start is None:
        return RangeBasis(space=space, basis=vectors, image=image(vectors), blocks=(size,), notes=notes)
    # What was found before stays: only what the vectors add to it is new.
    fresh = orthonormalize_against(start.basis, vectors[:, start.size :], CholeskyQR2(), key.child("short-side", size))
    return dataclasses.replace(
        start, basis=op.xp.concat([start.basis, fresh], axis=1), blocks=(*start.blocks, size - start.size),
        image=op.xp.concat([start.image, image(fresh)], axis=1), notes=notes, factors=None,
    )  # fmt: skip


def _gram(op: Ledger, space: str, short: int) -> Any:
    """Return the Gram matrix of the short side: the one that is known already, or else in one pass."""
    known = op.base.known_gram if isinstance(op.base, SupportsGram) and space == "row" else None
    if known is not None:
        op.measure()
        return times_power_of_two(known, -2 * op.exponent)

    def add(total: Any, block: Any) -> Any:
        if isinstance(block, np.ndarray) and len(block) == max(op.shape) and block.size * short <= _SMALL:
            wide = np.asarray(block, dtype=np.complex128 if block.dtype.kind == "c" else np.float64)
            return adjoint(wide) @ wide
        if not isinstance(block, np.ndarray) or not has_contiguous_rows(block):
            term = gram(block)
            return term if total is None else total + term
        total = GramSum(short, block.dtype) if total is None else total
        total.add(block, get_config().threads)
        return total

    total = _fold(op, space, "GramEigh", add)
    return total.gram() if isinstance(total, GramSum) else total


@dataclasses.dataclass(frozen=True, slots=True)
class GramEigh:
    """Gram matrix of the columns, and its eigenvectors; falls back to `TallQR` where squaring costs accuracy.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.vander(np.linspace(0, 1, 200), 5)
    >>> result = rnla.svd(A, 2, method=rnla.GramEigh())
    >>> bool(np.allclose(result.s, np.linalg.svd(A)[1][:2]))
    True
    """

    def find(self, op: Ledger, goal: Goal, key: Key, riders: Riders, start: RangeBasis | None = None) -> RangeBasis:
        """Return the leading eigenvectors of the Gram matrix."""
        if start is not None and start.size >= goal.limit:
            return start
        space, short = _short(op)
        total = _gram(op, space, short)
        size = _wanted(goal, short)
        w, v = interruptible(lambda: leading_eigh(total, size), 9.0 * short**3)
        values = host_values(w)
        # Directions are resolved while their square is well above rounding in the square of the largest.
        unresolved = size < short and values[0] > 0 and values[size - 1] < 1e3 * eps_of(op.dtype) * values[0]
        if unresolved and op.spare_passes >= 2:
            basis = TallQR().find(op, goal, key, riders, start)
            note = "the Gram matrix did not resolve the directions asked for; tall QR was used"
            return dataclasses.replace(basis, notes=(*basis.notes, note))
        note = "the Gram matrix did not resolve all directions asked for, and max_passes left none for tall QR"
        leading = cast(v, getattr(op.xp, op.dtype.name))
        return _basis(op, space, leading, start, key, note if unresolved else "")


@dataclasses.dataclass(frozen=True, slots=True)
class TallQR:
    """Tall-skinny QR of row blocks, and the SVD of its triangle.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.vander(np.linspace(0, 1, 200), 12)
    >>> result = rnla.svd(A, 12, method=rnla.TallQR())
    >>> bool(np.allclose(result.s, np.linalg.svd(A)[1], rtol=0, atol=1e-13))
    True
    """

    def find(self, op: Ledger, goal: Goal, key: Key, riders: Riders, start: RangeBasis | None = None) -> RangeBasis:
        """Return the leading right singular vectors."""
        del riders
        if start is not None and start.size >= goal.limit:
            return start
        space, _ = _short(op)

        def update(triangle: Any, block: Any) -> Any:
            stacked = block if triangle is None else op.xp.concat([triangle, block], axis=0)
            return TSQR().factor(stacked)[1] if stacked.shape[0] >= stacked.shape[1] else qr(stacked)[1]

        triangle = _fold(op, space, "TallQR", update)
        vectors = adjoint(svd(triangle)[2])
        return _basis(op, space, vectors[:, : _wanted(goal, int(vectors.shape[1]))], start, key)


def _wanted(goal: Goal, limit: int) -> int:
    return limit if goal.size is None else max(1, min(goal.size, limit))
