"""The beginning of a stream: what was asked, checked; sizes, key and a state of zeros."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._xp.namespace import NUMPY, device_of, is_numpy, namespace_of
from rnla.checks import check_number, check_rank, check_whole
from rnla.config import get_config
from rnla.errors import BudgetError, DTypeError, InputError
from rnla.operators.coerce import compute_dtype
from rnla.rng import as_key
from rnla.sketch import Gaussian
from rnla.streaming.maps import LinearSketch, numbers_of
from rnla.streaming.protocols import StreamMethod
from rnla.streaming.sketchy_svd import SketchySVD
from rnla.streaming.state import Stream

__all__ = ["stream"]


def stream(
    shape: tuple[int, int],
    rank: int,
    *,
    method: Any = None,
    dtype: Any = None,
    storage: int | None = None,
    error_columns: int = 10,
    forget: float = 1.0,
    like: Any = None,
    rng: Any = None,
) -> Stream:
    """Begin a one-pass computation on a matrix that arrives piece by piece.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the matrix; neither can grow later.
    rank : int
        Singular values wanted in the end.
    method : SketchySVD, RangeCorange, TwoSided, HermitianSketch or NystromSketch, optional
        By default `SketchySVD`, whose sizes follow from the rank.
    dtype : dtype, optional
        float32, float64 (default), complex64 or complex128: of the state and of the answer.
    storage : int, optional
        Numbers that the state may hold, the error sketch included; sets the sizes instead of the rank.
    error_columns : int
        Normal columns of the error sketch, at least 1: with 10 its bound is about 4.4 times the estimate for real
        data, with 30 about 2.
    forget : float
        What every update multiplies the past by, between 0 and 1.
    like : array, optional
        An array of the library and on the device where the state shall live; only these are read from it, and its
        dtype where none is given.
    rng : None, int, SeedSequence, Generator, ...
        What `numpy.random.default_rng` takes.  Streams that are to be merged take the same seed.

    Returns
    -------
    Stream
        Of the zero matrix: update it.

    Raises
    ------
    InputError, DTypeError
        Arguments that cannot be used.
    BudgetError
        A state larger than the memory budget.

    Notes
    -----
    Memory: ``stream(...).storage`` numbers, whatever arrives.  Test matrices are drawn again whenever they are used
    and never kept.  Guarantee: for `SketchySVD` with its default sizes and real data, before the cut to the rank,
    E norm(A - approximation)_F^2 <= 10/3 times the least that any matrix of that rank has [1]_; and an error
    estimate with a bound that fails with probability at most 1e-4, in every answer.

    References
    ----------
    .. [1] J. A. Tropp, A. Yurtsever, M. Udell and V. Cevher, Streaming low-rank matrix approximation with an
       application to scientific simulation, SIAM J. Sci. Comput. 41 (2019) A2430-A2463.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.outer(np.arange(300.0), np.ones(40)) + np.eye(300, 40)
    >>> run = rnla.stream(A.shape, 1, rng=0)
    >>> for first in range(0, 300, 100):
    ...     run = run.update_rows(first, A[first : first + 100])
    >>> result = run.finish()
    >>> result.rank, result.report.passes, result.error.upper < 0.01
    (1, 1, True)
    """
    key = as_key(rng)
    m, n = _checked_shape(shape)
    rank = check_rank(check_whole("rank", rank, 1), (m, n))
    xp, device = (NUMPY, None) if like is None else (namespace_of(like), device_of(like))
    kind = compute_dtype(np.float64 if like is None else like.dtype) if dtype is None else np.dtype(dtype)
    if kind.name not in {"float32", "float64", "complex64", "complex128"}:
        raise DTypeError(f"dtype={kind} cannot hold a stream; take float32, float64, complex64 or complex128")
    part = SketchySVD() if method is None else method
    if isinstance(part, type) or not isinstance(part, StreamMethod):
        raise DTypeError(f"method must be a part such as SketchySVD() or HermitianSketch(), got {method!r}")
    if part.structure != "general" and m != n:
        raise InputError(f"{type(part).__name__} is for square {part.structure} matrices, not for {m} x {n}")
    check_whole("error_columns", error_columns, 1)
    side = "corange" if part.structure == "general" else "range"
    error = LinearSketch("E", side, int(error_columns), Gaussian())
    if storage is not None:
        storage = check_whole("storage", storage, 1) - numbers_of((error,), (m, n))
    sized = part.sized((m, n), rank, kind, storage)
    share = check_number("forget", forget)
    if not 0 <= share <= 1:
        raise InputError(f"forget={forget} must lie between 0 and 1: it multiplies the past at every update")
    layout = (*sized.layout(), error)
    needed = numbers_of(layout, (m, n)) * kind.itemsize
    if needed > get_config().budget():
        raise BudgetError(f"the state takes {needed} bytes, more than memory_budget={get_config().budget()}")
    more = {} if is_numpy(xp) else {"device": device}
    arrays = {s.name: xp.zeros(s.shape((m, n)), dtype=getattr(xp, kind.name), **more) for s in layout}
    return Stream((m, n), rank, sized, kind, layout, share, key.seed, arrays, 0)


def _checked_shape(shape: Any) -> tuple[int, int]:
    if not isinstance(shape, (tuple, list)) or len(shape) != 2:
        raise InputError(f"shape must be (rows, columns), got {shape!r}")
    return check_whole("rows", shape[0], 1), check_whole("columns", shape[1], 1)
