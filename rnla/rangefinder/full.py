"""The complete decomposition by LAPACK: right when the matrix is small or nearly everything is wanted.

Cost: about 4 L S^2 + 22 S^3 flops (L and S the longer and the shorter side), one pass, three arrays
as large as A.  Guarantee: LAPACK's, all singular values to a modest multiple of eps times the largest.
"""

from __future__ import annotations

import dataclasses

from rnla._kernels.threads import interruptible
from rnla._xp.linalg import adjoint, cast, svd
from rnla.errors import InputError
from rnla.iterate import tick
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import SupportsBlocks
from rnla.rangefinder.protocols import Goal, Riders
from rnla.results import RangeBasis
from rnla.rng import Key

__all__ = ["FullSVD"]


@dataclasses.dataclass(frozen=True, slots=True)
class FullSVD:
    """The library's dense SVD of the whole matrix.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> rnla.svd(np.diag([3.0, 2.0, 1.0]), 2, method=rnla.FullSVD()).s.tolist()
    [3.0, 2.0]
    """

    def find(self, op: Ledger, goal: Goal, key: Key, riders: Riders, start: RangeBasis | None = None) -> RangeBasis:
        """Return the complete basis, with the factors."""
        del goal, key, riders
        if start is not None:
            return start  # it is complete
        if not isinstance(op.base, SupportsBlocks):
            raise InputError("method=FullSVD() needs a dense matrix; use SubspaceIteration() or Adaptive()")
        blocks = op.fold_blocks("row", lambda blocks, _, block: (*blocks, block), ())
        whole = blocks[0] if len(blocks) == 1 else op.xp.concat(blocks, axis=0)
        del blocks
        u, s, vh = interruptible(lambda: svd(whole), 26.0 * min(op.shape) ** 2 * max(op.shape), tick)
        # On the shorter side, where the basis spans everything.
        space, basis, other = ("row", adjoint(vh), u) if op.shape[0] >= op.shape[1] else ("column", u, adjoint(vh))
        image = other * cast(s, u.dtype)[None, :]
        return RangeBasis(space=space, basis=basis, image=image, blocks=(int(s.shape[0]),), factors=(u, s, vh))
