"""Tall-skinny QR: Householder QR of row blocks, then of their stacked triangles [demmel2012]_.

Problem: QR of a panel with many rows, in parallel, with errors that do not grow with the rows.

S1. Cut the p rows in fixed blocks; X_i = Q_i R_i by Householder.
S2. Stack the R_i and factor them: [R_1; R_2; ...] = W R (again in blocks while they are tall).
S3. Q = diag(Q_i) W.

Cost: 4 p k^2 flops for S1 and 2 p k^2 for S3, p k numbers beside Q.
Guarantee: as Householder QR on each level (tested by the conformance suite).
Difference from the paper: a flat tree of fixed fan-in instead of a binary one.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from rnla._kernels.threads import even_ranges, run
from rnla._xp.linalg import qr
from rnla._xp.namespace import is_numpy, namespace_of
from rnla.checks import check_whole
from rnla.config import get_config

__all__ = ["TSQR"]


@dataclasses.dataclass(frozen=True, slots=True)
class TSQR:
    """Tall-skinny QR in fixed row blocks.

    Parameters
    ----------
    block_rows : int
        Rows of a block at least; a block also has at least four times as many rows as columns.

    Examples
    --------
    >>> import numpy as np
    >>> Q, R = TSQR(block_rows=4).factor(np.ones((40, 1)))
    >>> bool(np.isclose(abs(R[0, 0]), np.sqrt(40.0)))
    True
    """

    block_rows: int = 2048

    def __post_init__(self) -> None:
        check_whole("block_rows", self.block_rows, 1)

    def factor(self, x: Any) -> tuple[Any, Any]:
        """Return (Q, R)."""
        rows, k = int(x.shape[0]), int(x.shape[1])
        height = max(self.block_rows, 4 * k)
        if rows < 2 * height:
            return qr(x)
        xp = namespace_of(x)
        threads = get_config().threads if is_numpy(xp) else 1
        ranges = even_ranges(rows, rows // height)
        leaves = run(lambda part: qr(x[part, :]), ranges, threads)  # S1
        w, r = self.factor(xp.concat([leaf[1] for leaf in leaves], axis=0))  # S2
        tops = [slice(i * k, (i + 1) * k) for i in range(len(leaves))]
        pairs = list(zip(leaves, tops, strict=True))
        q = run(lambda pair: pair[0][0] @ w[pair[1], :], pairs, threads)  # S3
        return xp.concat(q, axis=0), r
