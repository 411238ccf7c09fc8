"""What every test matrix must do, as one check that a user can run on a description of their own.

Counting checks use fixed keys, so they pass or fail for good; their alarm rates say how often a correct
part would have failed for keys drawn at random.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnla._xp.namespace import NUMPY, to_host
from rnla.rng import Key, as_key
from rnla.sketch import SparseTestMatrix, SupportsApply, TestMatrix
from rnla.testing.spectra import haar

__all__ = ["check_test_matrix"]

_DTYPES = ("float32", "float64", "complex64", "complex128")
_KEYS = 400
_LIMIT = 7.0  # standard deviations: 2.6e-12 for a normal statistic
_SPREAD = 7.0  # Davidson and Szarek: exp(-7^2 / 2) = 2.3e-11 on each side


def check_test_matrix(
    part: TestMatrix,
    *,
    dtypes: Sequence[str] = _DTYPES,
    centred: bool = True,
    embeds: bool = True,
    rng: Any = 0,
) -> None:
    """Raise `AssertionError` unless a test matrix keeps the contract of `TestMatrix`.

    Parameters
    ----------
    part : TestMatrix
    dtypes : sequence of str
        That the test matrix comes in.
    centred : bool
        Whether its entries are to have the mean 0.
    embeds : bool
        Whether it is to keep any subspace of dimension 5 with 200 columns: False for the sampling of
        coordinates, for one sign in a row, and for entries with heavy tails.
    rng : Key or what `rnla.svd` takes as ``rng=``

    Raises
    ------
    AssertionError
        Saying what failed: shapes and dtypes; equal bits however the rows are tiled and whenever they are
        drawn; other bits under another key; mean 0 and E omega omega^H = I; a small subspace kept; equal
        numbers (to 8 ulp) in another array library; rows in CSR that are not those of the tile, bit for bit;
        a fast product that is not the product with the tile, to rounding.

    Notes
    -----
    Alarm rates for keys at random: the moments are compared at 7 standard errors of the mean over 400
    independent keys, six comparisons for each of two dtypes, under 1e-10 in all as far as the central
    limit theorem reaches; the subspace of dimension 5 meets 200 columns, whose singular values leave
    1 +- (sqrt(5/200) + 7/sqrt(200)) with probability under 5e-11 for Gaussian columns, and other columns
    are held to the same.

    Examples
    --------
    >>> import rnla
    >>> check_test_matrix(rnla.SparseSign(nnz=4))
    """
    key = as_key(rng).child("check-test-matrix")
    assert isinstance(part, TestMatrix), f"{type(part).__name__} has no tile(start, stop, rows, columns, key, ...)"
    for dtype in dtypes:
        _check_tiles(part, key, np.dtype(dtype))
        _check_libraries(part, key, np.dtype(dtype))
        if isinstance(part, SparseTestMatrix):
            _check_sparse_tiles(part, key, np.dtype(dtype))
        if isinstance(part, SupportsApply):
            _check_applier(part, key, np.dtype(dtype))
    for dtype in {"float64", "complex128"} & set(dtypes):
        _check_moments(part, key, np.dtype(dtype), centred)
        if embeds:
            _check_subspace(part, key, np.dtype(dtype))


def _tile(part: TestMatrix, key: Key, start: int, stop: int, rows: int, columns: int, dtype: Any) -> Any:
    return part.tile(start, stop, rows, columns, key, dtype=dtype, xp=NUMPY, device=None)


def _check_tiles(part: TestMatrix, key: Key, dtype: np.dtype[Any]) -> None:
    rows, columns = 203, 9
    whole = _tile(part, key, 0, rows, rows, columns, dtype)
    assert whole.shape == (rows, columns), f"the whole must have shape {(rows, columns)}, got {whole.shape}"
    assert whole.dtype == dtype, f"asked for {dtype}, got {whole.dtype}"
    assert np.all(np.isfinite(whole)), "an entry is not finite"
    for cuts in ([0, 1, 2, 3, 203], [0, 64, 128, 203], [0, 101, 202, 203], [0, *range(60, 71), 203]):
        tiles = [_tile(part, key, a, b, rows, columns, dtype) for a, b in itertools.pairwise(cuts)]
        for tile, (a, b) in zip(tiles, itertools.pairwise(cuts), strict=True):
            assert np.array_equal(tile, whole[a:b]), f"rows {a} to {b} have other bits alone than in the whole"
    assert _tile(part, key, 5, 5, rows, columns, dtype).shape == (0, columns), "no rows must give shape (0, columns)"
    assert _tile(part, key, 0, rows, rows, 0, dtype).shape == (rows, 0), "no columns must give shape (rows, 0)"
    again = _tile(part, Key(key.seed, key.path), 0, rows, rows, columns, dtype)
    assert np.array_equal(again, whole), "an equal key gives other bits"
    for other in (Key(key.seed + 1, key.path), key.child("other"), key.child(0)):
        assert not np.array_equal(_tile(part, other, 0, rows, rows, columns, dtype), whole), (
            f"another key gives the same bits: {other}"
        )


def _check_libraries(part: TestMatrix, key: Key, dtype: np.dtype[Any]) -> None:
    if importlib.util.find_spec("array_api_strict") is None:
        return
    import array_api_strict as xp

    expected = _tile(part, key, 3, 90, 100, 7, dtype)
    device = xp.Device("CPU_DEVICE")
    other = part.tile(3, 90, 100, 7, key, dtype=dtype, xp=xp, device=device)
    assert type(other).__module__.startswith("array_api_strict"), f"asked for another library, got {type(other)}"
    found = to_host(other)
    assert found.dtype == dtype, f"asked for {dtype} in another library, got {found.dtype}"
    gap = np.abs(found - expected).max()
    assert gap <= 8 * np.finfo(dtype).eps * max(1.0, float(np.abs(expected).max())), (
        f"another array library gives other numbers, off by {gap:.1e}"
    )


def _check_sparse_tiles(part: SparseTestMatrix, key: Key, dtype: np.dtype[Any]) -> None:
    for rows, columns in ((203, 9), (40, 1), (12, 0)):
        for start, stop in ((0, rows), (3, 11), (5, 5)):
            dense = _tile(part, key, start, stop, rows, columns, dtype)
            sparse = part.sparse_tile(start, stop, rows, columns, key, dtype=dtype)
            what = f"rows {start} to {stop} of ({rows}, {columns}) in CSR"
            assert sparse.format == "csr", f"{what} are in {sparse.format}"
            assert sparse.dtype == dtype, f"{what} have dtype {sparse.dtype}, asked for {dtype}"
            assert np.array_equal(sparse.toarray(), dense), f"{what} have other bits than the tile"


def _check_applier(part: SupportsApply, key: Key, dtype: np.dtype[Any]) -> None:
    for rows, columns in ((203, 190), (64, 64), (5, 24), (1, 1)):
        apply = part.applier(rows, columns, key, dtype=dtype)
        if apply is None:
            continue
        block = key.child("block").normals(0, 12, 2 * rows, dtype=dtype)
        omega = _tile(part, key, 0, rows, rows, columns, dtype)
        for name, a in (("", block[:, :rows]), ("strided ", block[::2, ::2]), ("empty ", block[:0, :rows])):
            before = a.copy()
            out = np.asarray(apply(a))
            assert out.shape == (len(a), columns), f"a {name}block gives shape {out.shape}"
            assert out.dtype == dtype, f"a {name}block of {dtype} gives {out.dtype}"
            assert np.array_equal(a, before), f"a {name}block was changed"
            size = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(omega, axis=0)[None, :]
            error = np.abs(out - a @ omega)
            limit = 30 * np.finfo(dtype).eps * size
            assert np.all(error <= limit), f"a {name}block of {rows} columns is multiplied wrongly: {error.max():.1e}"


def _check_moments(part: TestMatrix, key: Key, dtype: np.dtype[Any], centred: bool) -> None:
    rows, columns = 32, 12
    draws = np.stack([_tile(part, key.child("moments", i), 0, rows, rows, columns, dtype) for i in range(_KEYS)])
    unit = haar(rows, 2, dtype=dtype, rng=key.child("directions"))
    one = draws.conj().transpose(0, 2, 1) @ unit[:, 0]
    two = draws.conj().transpose(0, 2, 1) @ unit[:, 1]
    statistics = {
        "the mean of an entry": (draws[:, 3, 5].real, 0.0),
        "the mean of all entries": (draws.mean(axis=(1, 2)).real, 0.0),
        "the mean in a direction": (one.sum(axis=1).real, 0.0),
        "the mean square of an entry": ((np.abs(draws[:, 3]) ** 2).mean(axis=1), 1.0),
        "the mean square in a direction": ((np.abs(one) ** 2).mean(axis=1), 1.0),
        "the covariance of two directions": ((one.conj() * two).mean(axis=1).real, 0.0),
    }
    for name, (samples, expected) in statistics.items():
        if not centred and expected == 0 and "mean" in name:
            continue
        error = float(samples.std(ddof=1)) / math.sqrt(_KEYS)
        gap = abs(float(samples.mean()) - expected)
        assert gap <= _LIMIT * error + 1e-12, (
            f"{name} is {samples.mean():.4g}, not {expected:g}, at {gap / error:.1f} sigma"
        )


def _check_subspace(part: TestMatrix, key: Key, dtype: np.dtype[Any]) -> None:
    rows, columns, dimension = 256, 200, 5
    omega = _tile(part, key.child("subspace"), 0, rows, rows, columns, dtype)
    bound = math.sqrt(dimension / columns) + _SPREAD / math.sqrt(columns)
    coordinates = np.eye(rows, dimension)
    for name, subspace in (
        ("at random", haar(rows, dimension, dtype=dtype, rng=key.child("plane"))),
        ("of coordinates", coordinates),
    ):
        values = np.linalg.svd(subspace.conj().T @ omega, compute_uv=False) / math.sqrt(columns)
        gap = float(np.abs(values - 1).max())
        assert gap <= bound, f"a subspace {name} is stretched by {1 + gap:.3f}, where {1 + bound:.3f} is allowed"
