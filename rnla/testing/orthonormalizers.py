"""What every orthonormalizer must do, as one check that a user can run on a method of their own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from rnla._xp.linalg import eps_of, frobenius
from rnla._xp.namespace import NUMPY, from_host, to_host
from rnla.orth import Orthonormalizer
from rnla.rng import as_key
from rnla.testing.spectra import matrix

__all__ = ["check_orthonormalizer", "panels"]

Array = np.ndarray[Any, Any]
_RATIO = 30.0
_DTYPES = ("float32", "float64", "complex64", "complex128")


def panels(dtype: Any, *, rng: Any = 0) -> Iterator[tuple[str, Array]]:
    """Yield names and panels that make orthonormalization hard.

    Parameters
    ----------
    dtype : dtype
        float32, float64, complex64 or complex128.
    rng : Key or what `rnla.svd` takes as ``rng=``

    Yields
    ------
    name : str
    panel : numpy.ndarray, shape (p, k), p >= k

    Examples
    --------
    >>> dict(panels("float32"))["one column"].shape
    (50, 1)
    """
    dtype = np.dtype(dtype)
    eps, key = float(np.finfo(dtype).eps), as_key(rng).child("panels")
    huge = 1e25 if dtype.name in {"float32", "complex64"} else 1e200

    def plain(name: str, p: int, k: int) -> Array:
        return np.ascontiguousarray(key.child(name).normals(0, p, k, dtype=dtype))

    def spread(name: str, values: Any, p: int = 90) -> Array:
        return matrix(values, p, len(values), dtype=dtype, rng=key.child(name))

    yield "normal", plain("normal", 120, 20)
    yield "normal, long", plain("long", 9000, 12)
    yield "square", plain("square", 40, 40)
    yield "one column", plain("one", 50, 1)
    yield "one row", plain("dot", 1, 1)
    yield "no columns", np.zeros((30, 0), dtype=dtype)
    yield "no rows", np.zeros((0, 0), dtype=dtype)
    yield "graded to eps", spread("graded", eps ** np.linspace(0, 1, 20))
    yield "graded below eps", spread("below", eps ** np.linspace(0, 2, 20))
    yield "ill-conditioned at sqrt(eps)", spread("root", np.r_[np.ones(19), math.sqrt(eps)])
    yield "rank deficient", spread("deficient", np.r_[np.ones(8), np.zeros(12)])
    yield "zero", np.zeros((60, 9), dtype=dtype)
    repeated = np.repeat(plain("repeated", 80, 4), 3, axis=1)
    yield "repeated columns", repeated
    holes = plain("holes", 80, 10)
    holes[:, [0, 4, 9]] = 0
    yield "columns of zeros", holes
    columns = plain("columns", 100, 16)
    yield "columns of many scales", columns * (huge ** np.linspace(-1, 1, 16)).astype(dtype)
    yield "huge", columns * dtype.type(huge)
    yield "tiny", columns * dtype.type(1 / huge)
    yield "row graded", columns * (eps ** np.linspace(0, 1, 100)).astype(dtype)[:, None]
    yield "columns of the identity", np.eye(70, 30, dtype=dtype)
    yield "Fortran order", np.asfortranarray(plain("fortran", 110, 15))
    yield "strided", plain("strided", 220, 30)[::2, ::2]


def check_orthonormalizer(part: Orthonormalizer, *, xp: Any = NUMPY, device: Any = None, rng: Any = 0) -> None:
    """Raise `AssertionError` unless an orthonormalizer gives X = Q R with Q orthonormal for every panel of `panels`.

    Parameters
    ----------
    part : Orthonormalizer
    xp : namespace
        The array library to check it with.
    device : object
        A device of that library.
    rng : Key or what `rnla.svd` takes as ``rng=``

    Raises
    ------
    AssertionError
        Naming the panel: norm(Q^H Q - I)_F above 30 eps sqrt(k), norm(X - Q R)_F above 30 eps k norm(X)_F
        (both measured in double precision), R not upper triangular, shapes, dtypes, X changed.

    Examples
    --------
    >>> import rnla
    >>> check_orthonormalizer(rnla.HouseholderQR())
    """
    for dtype in _DTYPES:
        for name, panel in panels(dtype, rng=as_key(rng)):
            _check_panel(part, f"{name}, {dtype}", panel, xp, device)


def _check_panel(part: Orthonormalizer, what: str, panel: Array, xp: Any, device: Any) -> None:
    x = from_host(panel, xp, device)
    before = np.array(panel)
    found_q, found_r = part.factor(x)
    assert np.array_equal(before, to_host(x)), f"{what}: X was changed"
    q, r = to_host(found_q), to_host(found_r)
    p, k = panel.shape
    assert q.shape == (p, k), f"{what}: Q must have shape {(p, k)}, got {q.shape}"
    assert r.shape == (k, k), f"{what}: R must have shape {(k, k)}, got {r.shape}"
    assert q.dtype == panel.dtype, f"{what}: Q must be {panel.dtype}, got {q.dtype}"
    assert r.dtype == panel.dtype, f"{what}: R must be {panel.dtype}, got {r.dtype}"
    assert np.all(np.isfinite(q)), f"{what}: Q holds NaN or infinity"
    assert np.all(np.isfinite(r)), f"{what}: R holds NaN or infinity"
    assert not np.any(np.tril(r, -1)), f"{what}: R is not upper triangular"
    eps = eps_of(panel.dtype)
    scale = 2.0 ** max(-1000, min(1000, math.frexp(float(np.abs(panel).max(initial=0.0)))[1]))
    wide = np.complex128 if panel.dtype.kind == "c" else np.float64
    q = q.astype(wide)
    gap = float(np.linalg.norm(q.conj().T @ q - np.eye(k)))
    bound = _RATIO * eps * math.sqrt(k)
    assert gap <= bound, f"{what}: norm(Q^H Q - I) is {gap:.1e}, above {bound:.1e}"
    x_wide, r = panel.astype(wide) / scale, r.astype(wide) / scale
    gap, size = float(np.linalg.norm(x_wide - q @ r)), frobenius(x_wide)
    bound = _RATIO * eps * max(k, 1) * size
    assert gap <= bound, f"{what}: norm(X - Q R) is {gap / size:.1e} norm(X), above {bound / size:.1e}"
