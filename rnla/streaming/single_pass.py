"""The truncated SVD of a matrix that is there, but is read only once.

Problem: a certified low-rank approximation of any matrix in one reading.
Equation: the method's, by default that of `SketchySVD`.

S1. Sketch: every block of A enters all sketches, the error sketch and the norm, while it is in memory.
S2. Finish as a stream does.

Cost: one pass over blocks of rows (dense arrays, memmap, HDF5, Zarr, Dask) or of columns where they lie so; one
product from each side for sparse matrices and operators, one in all for Hermitian methods.
Guarantee: the method's; the norm of A is exact where blocks are read.  Checked in tests/streaming/test_single_pass.py.
Difference from a stream: A is zero before, so nothing is added up twice.

Use it where a second reading costs more than accuracy: a tape, a simulation, a network.  Else `svd`, whose errors are
near the optimum.
"""

from __future__ import annotations

import time
from typing import Any

from rnla.errors import InputError
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import SupportsBlocks
from rnla.results import SVDResult
from rnla.streaming.beginning import stream
from rnla.streaming.finishing import Counted, finish

__all__ = ["single_pass_svd"]


def single_pass_svd(
    A: Any,
    rank: int,
    *,
    tol: float | None = None,
    method: Any = None,
    storage: int | None = None,
    error_columns: int = 10,
    on_failure: str = "raise",
    rng: Any = None,
) -> SVDResult:
    """Truncated singular value decomposition of any matrix from one reading of it.

    Parameters
    ----------
    A : matrix, shape (m, n)
        As `svd` takes it.
    rank : int
        Singular values wanted; with `tol`, the most of them.
    tol : float, optional
        Relative error in the Frobenius norm: the smallest rank whose bound meets it.
    method : SketchySVD, RangeCorange, TwoSided, HermitianSketch or NystromSketch, optional
        By default `SketchySVD`.
    storage : int, optional
        Numbers that the sketches may hold; sets their sizes instead of the rank.
    error_columns : int
        Normal columns of the error sketch.
    on_failure : {"raise", "return"}
        What to do when `tol` is missed.
    rng : None, int, SeedSequence, Generator, ...
        What `numpy.random.default_rng` takes.

    Returns
    -------
    SVDResult
        Unpacks as ``U, s, Vh``; its error is estimated by the error sketch, with a bound that holds but with
        probability 1e-4.  It cannot be extended: that would take another reading.

    Raises
    ------
    InputError, DTypeError
        Arguments that cannot be used.
    NonFiniteError
        NaN or infinity in A.
    ToleranceNotMet
        `tol` was missed; ``.result`` holds the best answer.

    Notes
    -----
    Cost: one pass, 2 (2k + s + error_columns) m n flops and k (m + n) + s^2 + error_columns n numbers, with
    k = 4 rank + 1, s = 2 k + 1.  A matrix in arrays is looked at once more for its norm, counted as a scan; one
    that is out of core is not, and is read a second time only if its entries are so large or small (squares near
    the ends of the dtype's range) that they had to be scaled.  Guarantee for real data: before the cut,
    E norm(A - approximation)_F^2 <= 10/3 of the least possible for this rank [1]_.

    References
    ----------
    .. [1] J. A. Tropp, A. Yurtsever, M. Udell and V. Cevher, Streaming low-rank matrix approximation with an
       application to scientific simulation, SIAM J. Sci. Comput. 41 (2019) A2430-A2463.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag(0.5 ** np.arange(100.0))
    >>> U, s, Vh = result = rnla.single_pass_svd(A, 6, rng=0)
    >>> result.report.passes, bool(abs(s[0] - 1) < 1e-3)
    (1, True)
    """
    started = time.perf_counter()
    op = as_operator(A)
    if min(op.shape) == 0:
        raise InputError(f"the {op.shape[0]} x {op.shape[1]} matrix is empty: there is nothing to sketch")
    ledger = Ledger(op)
    like = None if op.device is None else op.xp.zeros((1, 1), dtype=op.xp.float32, device=op.device)
    state = stream(
        op.shape, rank, method=method, dtype=op.dtype, storage=storage, error_columns=error_columns, like=like, rng=rng
    )
    state._absorb(ledger, (0, 0), 1.0, 1.0)
    magnitude = ledger.measure() if isinstance(op, SupportsBlocks) else None
    with state._at_work():
        counted = Counted(
            norm=None if magnitude is None else magnitude.frobenius * 2.0**ledger.exponent,
            passes=ledger.counts.passes,
            scans=ledger.counts.scans,
            products=ledger.counts.products or sum(s.size for s in state.layout),
            dtype_path=_dtype_path(A, state.dtype.name),
            copies=tuple(dict.fromkeys(getattr(op, "copies", ()))),
        )
        return finish(
            state, rank if tol is None else min(rank, state.layout[0].size), tol, on_failure,
            started=started, counted=counted, source=A,
        )  # fmt: skip


def _dtype_path(A: Any, computed: str) -> str:
    given = str(getattr(A, "dtype", computed)).rpartition(".")[2]
    return given if given == computed else f"{given} -> {computed}"
