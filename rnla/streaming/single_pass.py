"""The truncated SVD, or eigenvalue decomposition, of a matrix that is there, but is read only once.

Problem: a certified low-rank approximation of any matrix in one reading.
Equation: the method's, by default that of `SketchySVD`, for eigenpairs that of `HermitianSketch`.

S1. Sketch: every block of A enters all sketches, the error sketch and the norm, while it is in memory.
S2. Finish as a stream does; for eigenpairs, by the eigenvalue decomposition of the Hermitian core.

Cost: one pass over blocks of rows (dense arrays, memmap, HDF5, Zarr, Dask) or of columns where they lie so; one
product from each side for sparse matrices and operators, one in all for Hermitian methods.
Guarantee: the method's; the norm of A is exact where blocks are read.  Checked in tests/streaming/test_single_pass.py
and tests/streaming/test_eigenpairs.py.
Difference from a stream: A is zero before, so nothing is added up twice.

Use it where a second reading costs more than accuracy: a tape, a simulation, a network.  Else `svd` and `eigh`, whose
errors are near the optimum.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rnla.checks import check_choice, check_tol
from rnla.errors import InputError
from rnla.operators.coerce import as_operator
from rnla.operators.hermitian import as_hermitian, hermitian_ledger
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import LinearOperator, SupportsBlocks
from rnla.results import EighResult, SVDResult
from rnla.streaming.beginning import stream
from rnla.streaming.finishing import Counted, Eigenpairs, SingularTriplets, finish
from rnla.streaming.joint_core import HermitianSketch
from rnla.streaming.protocols import require_eigenpairs
from rnla.streaming.state import Stream

__all__ = ["single_pass_eigh", "single_pass_svd"]

_HERMITIAN = HermitianSketch()


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
    settings = {"method": method, "storage": storage, "error_columns": error_columns, "rng": rng}
    state, counted = _read_once(A, op, rank, tol, on_failure, Ledger, settings)
    with state._at_work():
        return finish(
            state, _cap(state, rank, tol), tol, on_failure,
            form=SingularTriplets(), started=started, counted=counted, source=A,
        )  # fmt: skip


def single_pass_eigh(
    A: Any,
    rank: int,
    *,
    tol: float | None = None,
    method: Any = _HERMITIAN,
    storage: int | None = None,
    error_columns: int = 10,
    on_failure: str = "raise",
    rng: Any = None,
) -> EighResult:
    """Truncated eigenvalue decomposition of a Hermitian matrix from one reading of it.

    Parameters
    ----------
    A : matrix, shape (n, n)
        Hermitian, definite or not, as `eigh` takes it.
    rank : int
        Eigenvalues wanted, those of largest modulus; with `tol`, the most of them.
    tol : float, optional
        Relative error in the Frobenius norm: the smallest rank whose bound meets it.
    method : HermitianSketch or NystromSketch
        By default `HermitianSketch`; `NystromSketch` is for positive semidefinite matrices, whose eigenvalues it
        never overstates.
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
    EighResult
        Unpacks as ``w, V``; w real, by descending modulus, V with orthonormal columns.  Its error is estimated by the
        error sketch, with a bound that holds but with probability 1e-4.  It cannot be extended: that would take
        another reading.

    Raises
    ------
    InputError, DTypeError
        Arguments that cannot be used, a matrix that is not Hermitian (with `NystromSketch`, not positive
        semidefinite), or a method that makes no Hermitian approximation, as those of `single_pass_svd` do not.
    NonFiniteError
        NaN or infinity in A.
    ToleranceNotMet
        `tol` was missed; ``.result`` holds the best answer.

    Notes
    -----
    Cost: one pass, one product with an operator, 2 (k + error_columns) n^2 flops and (k + error_columns) n numbers,
    with k = 4 rank + 1.  A matrix in memory is looked at twice more, for its norm and for its symmetry, counted as
    scans; of others the sketch itself shows whether they are Hermitian.  Guarantee: Algorithm 5.6 of [1]_ has none
    in advance but that rank at most half of k is recovered to rounding; the certificate measures the error, and every
    eigenvalue is within it of one of A (Weyl).  With `NystromSketch`, Theorem 4.1 of [2]_ in the mean.

    References
    ----------
    .. [1] N. Halko, P. G. Martinsson and J. A. Tropp, Finding structure with randomness, SIAM Review
       53 (2011) 217-288.
    .. [2] J. A. Tropp, A. Yurtsever, M. Udell and V. Cevher, Fixed-rank approximation of a positive-semidefinite
       matrix from streaming data, NIPS 2017.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag((-0.5) ** np.arange(100.0))
    >>> w, V = result = rnla.single_pass_eigh(A, 6, rng=0)
    >>> result.report.passes, w[:3].round(3).tolist()
    (1, [1.0, -0.5, 0.25])
    """
    started = time.perf_counter()
    method = _HERMITIAN if method is None else method
    require_eigenpairs(method)
    op = as_hermitian(A)
    settings = {"method": method, "storage": storage, "error_columns": error_columns, "rng": rng}
    state, counted = _read_once(A, op, rank, tol, on_failure, hermitian_ledger, settings)
    with state._at_work():
        return finish(
            state, _cap(state, rank, tol), tol, on_failure,
            form=Eigenpairs(), started=started, counted=counted, source=A,
        )  # fmt: skip


def _read_once(
    A: Any, op: LinearOperator, rank: int, tol: float | None, on_failure: str, gate: Callable[[Any], Ledger],
    settings: dict[str, Any],
) -> tuple[Stream, Counted]:  # fmt: skip
    """Return the stream that has taken in a whole matrix, and what was counted on the way (S1)."""
    if min(op.shape) == 0:
        raise InputError(f"the {op.shape[0]} x {op.shape[1]} matrix is empty: there is nothing to sketch")
    check_choice("on_failure", on_failure, ("raise", "return"))
    if tol is not None:
        check_tol(tol, op.dtype)
    like = None if op.device is None else op.xp.zeros((1, 1), dtype=op.xp.float32, device=op.device)
    state = stream(op.shape, rank, dtype=op.dtype, like=like, **settings)
    ledger = gate(op)
    state._absorb(ledger, (0, 0), 1.0, 1.0)
    magnitude = ledger.measure() if isinstance(op, SupportsBlocks) else None
    counted = Counted(
        norm=None if magnitude is None else magnitude.frobenius * 2.0**ledger.exponent,
        passes=ledger.counts.passes,
        scans=ledger.counts.scans,
        products=ledger.counts.products or sum(s.size for s in state.layout),
        dtype_path=_dtype_path(A, state.dtype.name),
        copies=tuple(dict.fromkeys(getattr(op, "copies", ()))),
    )
    return state, counted


def _cap(state: Stream, rank: int, tol: float | None) -> int:
    """Return the rank asked for; a tolerance looks at no more ranks than there are."""
    return rank if tol is None else min(rank, state.layout[0].size)


def _dtype_path(A: Any, computed: str) -> str:
    given = str(getattr(A, "dtype", computed)).rpartition(".")[2]
    return given if given == computed else f"{given} -> {computed}"
