"""The kernels for Hermitian matrices, which compare halves and multiply by halves, against NumPy and their twins."""

from __future__ import annotations

import numpy as np
import pytest

import rnla
from rnla._kernels import compiled, symmetric_products
from rnla.operators import hermitian
from rnla.operators.symmetric import Symmetric, SymmetricByRows


@pytest.fixture
def kernels() -> None:
    pytest.importorskip("numba")


def symmetric(n: int, dtype: str, seed: int = 0) -> np.ndarray:
    a = np.random.default_rng(seed).standard_normal((n, n)).astype(dtype)
    return a + a.T


def seen(a: np.ndarray) -> tuple[float, float] | None:
    """Return what the kernels see of a matrix of any size."""
    with rnla.config_context(kernels="compiled", threads=2):
        return hermitian._by_kernels(hermitian.as_hermitian(a))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", [1, 2, 7, 8, 17, 64, 129, 255, 300, 520])
def test_the_kernel_sees_what_numpy_sees(kernels: None, monkeypatch: pytest.MonkeyPatch, n: int, dtype: str) -> None:
    monkeypatch.setattr(hermitian, "_WORTH_A_KERNEL", 1)
    rng = np.random.default_rng(n)
    for a in (symmetric(n, dtype), np.asfortranarray(symmetric(n, dtype)), np.pad(symmetric(n, dtype), 3)[3:-3, 3:-3]):
        assert seen(a) == (0.0, np.abs(a).max())
        a[rng.integers(n), rng.integers(n)] += np.asarray(0.25, dtype)
        found = seen(a)
        assert found is not None
        assert found[0] == np.abs(a - a.T).max()
        # Of squares on the diagonal all entries are seen, of others one half.
        assert min(np.abs(np.triu(a)).max(), np.abs(np.tril(a)).max()) <= found[1] <= np.abs(a).max()


def test_every_entry_is_compared(kernels: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hermitian, "_WORTH_A_KERNEL", 1)
    a = symmetric(37, "float64")
    for i in range(37):
        for j in range(i):
            a[i, j] += 1e6
            found = seen(a)
            assert found is not None
            assert found[0] == abs(a[i, j] - a[j, i])
            a[i, j] = a[j, i]


def test_a_deviation_that_the_kernel_saw_is_told_with_its_place(kernels: None) -> None:
    a = symmetric(200, "float64")
    a[150, 20] += 1.0
    with (
        rnla.config_context(kernels="compiled"),
        pytest.raises(rnla.errors.InputError, match=r"entry \((150, 20|20, 150)\)"),
    ):
        rnla.eigh(a, 3, rng=0)


def test_what_the_kernel_cannot_read_is_left_to_the_twin(kernels: None) -> None:
    for a in (
        symmetric(200, "float64") + 0j,
        symmetric(200, "float64").astype(">f8"),
        symmetric(400, "float64")[::2, ::2],
    ):
        assert seen(a) is None
    assert seen(symmetric(20, "float64")) is None
    with compiled.using("plain", ["symmetry"], np.dtype(float)):
        assert compiled.family("symmetry", np.dtype(float)) is None


def hermitian_of(n: int, dtype: str, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((n, n))
    if dtype.startswith("complex"):
        a = a + 1j * rng.standard_normal((n, n))
    return np.asarray(a + a.conj().T, dtype)


def thin_of(n: int, k: int, dtype: str) -> np.ndarray:
    rng = np.random.default_rng(n + k)
    x = rng.standard_normal((n, 2 * k))
    return np.asarray(x.view(np.complex128) if dtype.startswith("complex") else x[:, :k], dtype)


def multiplied(a: np.ndarray, x: np.ndarray, setting: str = "compiled", threads: int = 2) -> np.ndarray:
    with compiled.using(setting, ["symmetry", "products"], a.dtype):
        return symmetric_products.SymmetricRows(a, a.dtype).product(x, threads)


@pytest.fixture
def halved(kernels: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Matrices of any size are multiplied by the kernels."""
    monkeypatch.setattr(symmetric_products, "_WORTH_HALVING", 0)


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128", "complex64"])
@pytest.mark.parametrize("n", [1, 2, 7, 63, 64, 65, 129, 300, 513])
def test_the_product_of_halves_is_the_product(halved: None, n: int, dtype: str) -> None:
    """Sums of n terms in two orders differ by 2 n eps of the sums of their moduli at most; 4 for complex ones."""
    a = hermitian_of(n, dtype)
    for k in (4, 8, 13, 16, 24):
        x = thin_of(n, k, dtype)
        bound = 8 * n * np.finfo(dtype).eps * (np.abs(a) @ np.abs(x))
        for layout in (a, np.asfortranarray(a), np.pad(a, 2)[2:-2, 2:-2]):
            for thin in (x, np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2]):
                y = multiplied(layout, thin)
                assert y.dtype == dtype
                assert y.flags.c_contiguous
                assert np.all(np.abs(y - a @ x) <= bound)
                assert np.all(np.abs(multiplied(layout, thin, "plain") - a @ x) <= bound)


def test_the_threads_do_not_change_a_bit_and_room_is_used_again(halved: None) -> None:
    a, x = hermitian_of(700, "float64"), thin_of(700, 16, "float64")
    rows = symmetric_products.SymmetricRows(a, a.dtype)
    with compiled.using("compiled", ["symmetry"], a.dtype):
        first = rows.product(x, 1)
        narrow = rows.product(x[:, :5], 2)
        again = rows.product(x, 3)
    assert np.array_equal(first, again)
    assert np.array_equal(narrow, multiplied(a, x[:, :5]))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_half_of_the_matrix_is_read(halved: None, dtype: str) -> None:
    a, x = hermitian_of(300, dtype), thin_of(300, 8, dtype)
    expected = multiplied(a, x)
    blind = a.copy()
    for start in range(0, 300, 64):  # of squares on the diagonal both halves are read
        blind[min(start + 64, 300) :, start : start + 64] = np.nan
    assert np.array_equal(multiplied(blind, x), expected)
    under = np.asfortranarray(a)
    under[np.isnan(blind).T] = np.nan  # where columns are contiguous, the other half
    assert np.all(np.isfinite(multiplied(under, x)))


def test_many_columns_and_what_is_small_go_to_the_usual_product(kernels: None, monkeypatch: pytest.MonkeyPatch) -> None:
    a, called = hermitian_of(300, "float64"), []

    def usual(a: np.ndarray, x: np.ndarray, dtype: np.dtype, threads: int) -> np.ndarray:
        called.append(x.shape[1])
        return a @ x

    monkeypatch.setattr(symmetric_products, "product", usual)
    multiplied(a, thin_of(300, 16, "float64"))
    monkeypatch.setattr(symmetric_products, "_WORTH_HALVING", 0)
    for k in (3, 16, 200):
        multiplied(a, thin_of(300, k, "float64"))
    assert called == [16, 3, 200]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", [128, 130, 300, 521])
def test_the_look_finds_the_norm(kernels: None, dtype: str, n: int) -> None:
    """Terms come together in the numbers' own precision 2 * 256 at a time, so eps is multiplied by no more."""
    for a in (symmetric(n, dtype), symmetric(n, dtype) + np.triu(np.ones((n, n), dtype) * np.finfo(dtype).eps)):
        base = hermitian.as_hermitian(a)
        with rnla.config_context(kernels="compiled"):
            assert hermitian._by_kernels(base) is not None
        found = base.measure().frobenius
        assert abs(found - np.linalg.norm(a.astype(float))) <= 512 * np.finfo(dtype).eps * found


def test_only_what_is_symmetric_to_rounding_is_halved(kernels: None) -> None:
    a = symmetric(300, "float64")
    with rnla.config_context(kernels="compiled"):
        assert isinstance(hermitian.hermitian_ledger(a).base, SymmetricByRows)
        assert type(hermitian.hermitian_ledger(np.asfortranarray(a)).base) is Symmetric
        assert isinstance(hermitian.hermitian_ledger(a + 0j).base, SymmetricByRows)
        assert "symmetry" in rnla.eigh(a, 3, rng=0).report.kernels
        a[3, 200] += 1e-12
        assert not isinstance(hermitian.hermitian_ledger(a).base, Symmetric)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_squares_out_of_range_are_left_to_the_twin(kernels: None, scale: float) -> None:
    a = symmetric(300, "float64")
    assert seen(a * scale) is None
    with rnla.config_context(kernels="compiled"):
        w = rnla.eigh(a * scale, 3, rng=0).w
        expected = rnla.eigh(a, 3, rng=0).w
    np.testing.assert_allclose(w / scale, expected, rtol=1e-10)


def test_what_is_not_finite_is_refused(kernels: None) -> None:
    for wrong in (np.nan, np.inf):
        for place in ((0, 0), (3, 200), (299, 298)):
            a = symmetric(300, "float64")
            a[place] = a[place[::-1]] = wrong
            with rnla.config_context(kernels="compiled"), pytest.raises(rnla.errors.NonFiniteError):
                rnla.eigh(a, 3, rng=0)
