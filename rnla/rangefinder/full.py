"""The complete decomposition by LAPACK: right when the matrix is small or nearly everything is wanted.

Cost: about 4 L S^2 + 22 S^3 flops (L and S the longer and the shorter side), one pass, three arrays
as large as A; for a Hermitian matrix about 9 S^3, by its eigenvalues.  Guarantee: LAPACK's, all singular values to a
modest multiple of eps times the largest.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from rnla._kernels.threads import interruptible
from rnla._xp.linalg import adjoint, cast, eigh, frobenius, host_values, svd
from rnla._xp.namespace import device_of, is_numpy, namespace_of
from rnla.errors import DTypeError, InputError
from rnla.iterate import tick
from rnla.operators.hermitian import require_hermitian_core
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import SupportsBlocks
from rnla.rangefinder.protocols import Goal, Riders
from rnla.results import RangeBasis
from rnla.rng import Key

__all__ = ["FullSVD"]


@dataclasses.dataclass(frozen=True, slots=True)
class FullSVD:
    """The library's dense SVD of the whole matrix.

    Parameters
    ----------
    hermitian : bool
        Whether the matrix is Hermitian, so that its eigenvalues give all; `eigh` and `nystrom` choose it themselves.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> rnla.svd(np.diag([3.0, 2.0, 1.0]), 2, method=rnla.FullSVD()).s.tolist()
    [3.0, 2.0]
    """

    hermitian: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.hermitian, bool):
            raise DTypeError(f"hermitian must be True or False, got {self.hermitian!r}")

    def find(self, op: Ledger, goal: Goal, key: Key, riders: Riders, start: RangeBasis | None = None) -> RangeBasis:
        """Return the complete basis, with the factors."""
        del goal, key, riders
        if start is not None and start.size == min(op.shape):
            return start  # it is complete; another method's basis may not be
        if not isinstance(op.base, SupportsBlocks):
            raise InputError("method=FullSVD() needs a dense matrix; use SubspaceIteration() or Adaptive()")
        blocks = op.fold_blocks("row", lambda blocks, _, block: (*blocks, block), ())
        whole = blocks[0] if len(blocks) == 1 else op.xp.concat(blocks, axis=0)
        del blocks
        if self.hermitian:
            return self._of_hermitian(whole)
        u, s, vh = interruptible(lambda: svd(whole), 26.0 * min(op.shape) ** 2 * max(op.shape), tick)
        # On the shorter side, where the basis spans everything.
        space, basis, other = ("row", adjoint(vh), u) if op.shape[0] >= op.shape[1] else ("column", u, adjoint(vh))
        image = other * cast(s, u.dtype)[None, :]
        return RangeBasis(space=space, basis=basis, image=image, blocks=(int(s.shape[0]),), factors=(u, s, vh))

    @staticmethod
    def _of_hermitian(whole: Any) -> RangeBasis:
        """Return the basis of eigenvectors, by descending modulus of the eigenvalues."""
        n = int(whole.shape[0])
        if n != int(whole.shape[1]):
            raise InputError(f"FullSVD(hermitian=True) needs a square matrix, got {n} x {whole.shape[1]}")
        require_hermitian_core(whole)
        skew = frobenius(whole - adjoint(whole)) / 2
        w, v = interruptible(lambda: eigh(whole), 9.0 * n**3, tick)
        xp = namespace_of(w)
        order = np.argsort(-np.abs(host_values(w)), kind="stable")
        index = order if is_numpy(xp) else xp.asarray(order, device=device_of(w))
        w, v = xp.take(w, index, axis=0), xp.take(v, index, axis=1)
        image = v * cast(w, v.dtype)[None, :]
        turned = v * cast(xp.where(w < 0, -xp.ones_like(w), xp.ones_like(w)), v.dtype)[None, :]
        return RangeBasis(
            space="row", basis=v, image=image, blocks=(n,), factors=(turned, xp.abs(w), adjoint(v)), left_out=skew
        )
