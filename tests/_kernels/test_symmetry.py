"""The kernel that looks whether a matrix is symmetric, against NumPy and its twin."""

from __future__ import annotations

import numpy as np
import pytest

import rnla
from rnla._kernels import compiled
from rnla.operators import hermitian


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


def test_the_report_names_the_kernel(kernels: None) -> None:
    with rnla.config_context(kernels="compiled"):
        assert "symmetry" in rnla.eigh(symmetric(300, "float64"), 3, rng=0).report.kernels
        assert "symmetry" not in rnla.svd(symmetric(300, "float64"), 3, rng=0).report.kernels


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
