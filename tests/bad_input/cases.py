"""What the rows of the fault matrix share: matrices with known spectra, the methods, the entry points, the digests.

The rows have names: A values, B shapes and parameters, C data types and containers, D operators, G threads and
packages.  A test is named after its row, so that a red test says which promise broke.
"""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import rnla

METHODS: dict[str, Any] = {
    "auto": None,
    "subspace_iteration": rnla.SubspaceIteration(),
    "adaptive": rnla.Adaptive(block_size=8),
    "gram_eigh": rnla.GramEigh(),
    "tall_qr": rnla.TallQR(),
    "full_svd": rnla.FullSVD(),
}
PRODUCTS_ONLY = {name: METHODS[name] for name in ("auto", "subspace_iteration", "adaptive")}
DTYPES = ["float32", "float64", "complex64", "complex128"]
SHAPES = {"tall": (90, 30), "wide": (30, 90), "square": (48, 48)}

every_method = pytest.mark.parametrize("method", METHODS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def eps(dtype: Any) -> float:
    return float(np.finfo(np.dtype(dtype)).eps)


def with_spectrum(shape: tuple[int, int], s: Any, dtype: Any = "float64", seed: int = 0) -> np.ndarray[Any, Any]:
    """Return a matrix with the singular values s and random singular vectors."""
    rng = np.random.default_rng(seed)
    s = np.asarray(s, dtype=float)

    def orthonormal(rows: int) -> np.ndarray[Any, Any]:
        x = rng.standard_normal((rows, len(s)))
        if np.dtype(dtype).kind == "c":
            x = x + 1j * rng.standard_normal((rows, len(s)))
        return np.linalg.qr(x)[0]

    return ((orthonormal(shape[0]) * s) @ orthonormal(shape[1]).conj().T).astype(dtype)


def decaying(shape: tuple[int, int] = (90, 30), dtype: Any = "float64", rank: int = 12) -> np.ndarray[Any, Any]:
    """Return a matrix of exact rank with halving singular values: every method is right on it to rounding."""
    return with_spectrum(shape, 0.5 ** np.arange(min(rank, *shape)), dtype)


def run(A: Any, rank: int = 6, method: str = "auto", tol: float | None = None, **more: Any) -> Any:
    """Call svd by a method, with a tolerance for the adaptive one (a rank alone would not adapt)."""
    if method == "adaptive" and tol is None:
        tol = 1e-3
    return rnla.svd(A, rank if tol is None else None, tol=tol, method=METHODS[method], rng=5, **more)


def host(x: Any) -> np.ndarray[Any, Any]:
    """Return a small array of any library as NumPy's, in double precision."""
    if type(x).__module__.startswith("torch"):
        x = x.detach().resolve_conj().numpy()
    elif type(x).__module__.startswith("array_api_strict"):
        import array_api_strict

        x = np.asarray(x.to_device(array_api_strict.Device("CPU_DEVICE")))
    x = np.asarray(x)
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


def assert_orthonormal(result: Any) -> None:
    """Hold both factors to the promise: norm(U^H U - I)_F <= 30 eps sqrt(k), measured in double precision."""
    k = result.rank
    bound = 30 * eps(host_dtype(result.U)) * np.sqrt(max(k, 1))
    u, vh = host(result.U), host(result.Vh)
    assert np.linalg.norm(u.conj().T @ u - np.eye(k)) <= bound
    assert np.linalg.norm(vh @ vh.conj().T - np.eye(k)) <= bound


def host_dtype(x: Any) -> np.dtype[Any]:
    return np.dtype(str(x.dtype).rpartition(".")[2])


def assert_right(
    result: Any, A: np.ndarray[Any, Any], exponent: int = 0, ratio: float = 30.0, unit: float | None = None
) -> None:
    """Hold a result to LAPACK's answer for A times 2**exponent, in test ratios, and its certificate to the true error.

    A is in a comfortable range; the result is of A * 2**exponent and is brought back by that power, which is exact.
    """
    k, (m, n) = result.rank, A.shape
    unit = eps(host_dtype(result.U)) if unit is None else unit
    half = 2.0 ** (-(exponent // 2))
    rest = 2.0 ** (-(exponent - exponent // 2))
    u, s, vh = host(result.U), host(result.s) * half * rest, host(result.Vh)
    wide = A.astype(np.complex128 if A.dtype.kind == "c" else np.float64)
    reference = np.linalg.svd(wide, compute_uv=False)
    slack = ratio * unit * max(m, n) ** 0.5 * max(reference[0], np.finfo(float).tiny)
    assert np.all(np.diff(s) <= 0)
    assert np.all(s >= 0)
    assert np.max(np.abs(s - reference[:k]), initial=0.0) <= slack
    assert_orthonormal(result)
    whole = np.linalg.norm(reference)
    if whole == 0:
        assert result.error.value == 0
        return
    true = np.linalg.norm(wide - (u * s) @ vh)
    best = np.linalg.norm(reference[k:])
    assert true <= best * (1 + 1e-6) + slack
    if result.error.norm == "fro":
        claimed = result.error.value * whole
        squares = 50 * unit * whole**2
        spread = 6 * result.error.standard_error * whole if result.error.kind == "estimated" else 0.0
        if result.error.kind == "bounded":  # by the floor of the identity at most
            assert result.error.value <= result.error.upper <= np.hypot(true / whole, 33 * np.sqrt(unit))
            claimed, spread = true, max(0.0, result.error.upper * whole - true)
        # The identity is a difference of squares, so its rounding is relative to the square of the norm.
        assert (
            (max(claimed - spread, 0.0)) ** 2 - squares - slack**2
            <= true**2
            <= (claimed + spread) ** 2 + squares + slack**2
        )


def digest(A: Any) -> str:
    """Return a hash of everything that a caller could see changed in a matrix."""
    if scipy.sparse.issparse(A):
        names = ("data", "indices", "indptr", "row", "col", "offsets", "rows")
        parts = [getattr(A, name) for name in names if isinstance(getattr(A, name, None), np.ndarray)]
        flags = f"{A.format} {A.shape} {A.dtype} {A.nnz}"
        if A.format == "dok":
            flags += repr(sorted(dict(A.items()).items()))
    else:
        x = A
        if not isinstance(A, np.ndarray):
            x = A.detach().resolve_conj().resolve_neg().numpy() if hasattr(A, "detach") else host(A)
        parts, flags = [x], f"{x.shape} {x.dtype} {x.strides} {x.flags.writeable}"
    text = hashlib.sha256(flags.encode())
    for part in parts:
        text.update(repr(part.tolist()).encode() if part.dtype == object else np.ascontiguousarray(part).tobytes())
    return text.hexdigest()


@contextlib.contextmanager
def assert_untouched(A: Any) -> Iterator[None]:
    """Fail if the block changes the matrix in any way that its owner can see."""
    before = digest(A)
    yield
    assert digest(A) == before, "the caller's matrix was changed"


@contextlib.contextmanager
def silenced(category: type[Warning]) -> Iterator[None]:
    """Let one kind of warning pass; every other one still fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category)
        yield


def _extend(A: Any, rank: Any = None, tol: Any = None) -> Any:
    shape = getattr(A, "shape", None)
    shape = tuple(shape) if shape is not None and len(shape) == 2 and min(shape) > 3 else (12, 9)
    good = decaying(shape, rank=min(shape))
    return rnla.svd(good, 2, rng=1).extend(rank, tol=tol, A=A)


def _svd(A: Any, rank: Any = None, tol: Any = None) -> Any:
    return rnla.svd(A, rank, tol=tol, rng=1)


def _plan(A: Any, rank: Any = None, tol: Any = None) -> Any:
    return rnla.plan(A, rank, tol=tol)


def _semidefinite(A: Any) -> Any:
    """Return the Gram matrix of a NumPy matrix of numbers; what is not one is passed on to be refused."""
    if isinstance(A, np.ma.MaskedArray) and not np.ma.is_masked(A):
        return np.ma.MaskedArray(_semidefinite(np.asarray(A.data)))
    if type(A) is not np.ndarray or A.ndim != 2 or A.dtype.kind not in "fc" or A.dtype.itemsize > 16:
        return A
    return (A.conj().T @ A).astype(A.dtype) if min(A.shape) else np.zeros((0, 0), dtype=A.dtype)


def _eigh(A: Any, rank: Any = None, tol: Any = None) -> Any:
    return rnla.eigh(_semidefinite(A), rank, tol=tol, rng=1)


def _nystrom(A: Any, rank: Any = None, tol: Any = None) -> Any:
    return rnla.nystrom(_semidefinite(A), rank, tol=tol, rng=1)


def _svdvals(A: Any, rank: Any = None, tol: Any = None) -> Any:
    return rnla.svdvals(A, rank, tol=tol, rng=1)


def _pca(A: Any, rank: Any = None, tol: Any = None) -> Any:
    return rnla.pca(A, rank, tol=tol, rng=1)


def _qr(A: Any, rank: Any = None, tol: Any = None) -> Any:
    return rnla.qr(A, rank, tol=tol, rng=1)


def _lu(A: Any, rank: Any = None, tol: Any = None) -> Any:
    return rnla.lu(A, rank, tol=tol, rng=1)


def _interpolative(A: Any, rank: Any = None, tol: Any = None) -> Any:
    return rnla.interpolative(A, rank, tol=tol, rng=1)


def _cur(A: Any, rank: Any = None, tol: Any = None) -> Any:
    return rnla.cur(A, rank, tol=tol, rng=1)


def _cholesky(A: Any, rank: Any = None, tol: Any = None) -> Any:
    return rnla.cholesky(_semidefinite(A), rank, tol=tol, rng=1)


ENTRIES: dict[str, Callable[..., Any]] = {
    "cholesky": _cholesky,
    "qr": _qr,
    "lu": _lu,
    "interpolative": _interpolative,
    "cur": _cur,
    "svdvals": _svdvals,
    "pca": _pca,
    "svd": _svd,
    "plan": _plan,
    "extend": _extend,
    "eigh": _eigh,
    "nystrom": _nystrom,
}
every_entry = pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES.keys())


def strict(x: np.ndarray[Any, Any], device: str | None = None) -> Any:
    """Return an array of the strict implementation of the array standard."""
    library = pytest.importorskip("array_api_strict")
    return library.asarray(x.copy(), device=None if device is None else library.Device(device))


def tensor(x: np.ndarray[Any, Any]) -> Any:
    """Return a torch tensor."""
    return pytest.importorskip("torch").from_numpy(x.copy())


class Operator:
    """A matrix known by its products, with a fault that a test may plant in product number `at`."""

    def __init__(self, A: np.ndarray[Any, Any], fault: Callable[[Any], Any] | None = None, at: int = 1) -> None:
        self.A, self.shape, self.dtype = A, A.shape, A.dtype
        self.fault, self.at, self.products = fault, at, 0

    def _out(self, y: Any) -> Any:
        self.products += 1
        return self.fault(y) if self.fault is not None and self.products == self.at else y

    def matmat(self, x: Any) -> Any:
        return self._out(self.A @ x)

    def rmatmat(self, y: Any) -> Any:
        return self._out(self.A.conj().T @ y)
