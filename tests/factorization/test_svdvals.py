"""Singular values between bounds: against LAPACK's values, for every spectrum, kind and precision."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import rnla
from rnla.testing import SPECTRA, matrix

Array = np.ndarray[Any, Any]
SUBSPACE = rnla.SubspaceIteration()


def host(x: Any) -> Array:
    return np.asarray(x.numpy() if hasattr(x, "numpy") else x, dtype=np.float64)


def check(result: rnla.SingularValues, A: Array) -> Array:
    """Hold every bound to LAPACK's values in double precision, whose own rounding is allowed for; return the values."""
    s = np.linalg.svd(A.astype(np.complex128 if A.dtype.kind == "c" else np.float64), compute_uv=False)
    k, slack = result.rank, 1e-14 * s.max(initial=0.0)
    values, lower, upper = (host(each) for each in result)
    assert np.all(lower <= s[:k] + slack)
    assert np.all(s[:k] <= upper + slack)
    assert np.all(lower <= values)
    assert np.all(values <= upper)
    assert np.all(s[k:] <= result.next_upper + slack)
    low, high = result.frobenius
    assert low <= np.linalg.norm(s) * (1 + 1e-13)
    assert high >= np.linalg.norm(s) * (1 - 1e-13)
    tail = float(np.sum(s[k:] ** 2))
    assert result.tail[0] - slack <= tail <= result.tail[1] + slack
    least, most = result.shares()
    true = np.cumsum(s[:k] ** 2) / np.sum(s**2) if s.any() else np.zeros(k)
    assert np.all(least <= true + 1e-12)
    assert np.all(true <= most + 1e-12)
    return s


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("kind", ["array", "operator", "wide"])
def test_the_bounds_hold_on_every_spectrum(name: str, kind: str) -> None:
    """Upper bounds fail with probability 1e-4 at most: 36 fixed draws, alarm rate 4e-3 for draws at random."""
    A = matrix(name, 90, 60, rng=1)
    A = A.T if kind == "wide" else A
    form = scipy.sparse.linalg.aslinearoperator(A) if kind == "operator" else A
    result = rnla.svdvals(form, 6, method=SUBSPACE, rng=0)
    s = check(result, A)
    if name in {"fast", "inverse_square", "noise_1e-2", "noise_1e-4", "step"}:  # the sharper bounds see the gap
        assert np.max((host(result.upper) - host(result.lower)) / s[:6]) <= 1e-6


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("method", [rnla.FullSVD(), rnla.GramEigh(), rnla.TallQR(), SUBSPACE])
def test_every_precision_and_method(dtype: str, method: Any) -> None:
    A = matrix("inverse", 90, 30, dtype=dtype, rng=2)
    result = rnla.svdvals(A, 5, method=method, rng=0)
    s = check(result, A)
    assert result.values.dtype == np.empty(0, dtype=dtype).real.dtype
    assert np.allclose(host(result.values), s[:5], rtol=1e-3)


@pytest.mark.parametrize("kind", ["sparse", "memmap", "torch"])
def test_every_kind(kind: str, tmp_path: Path) -> None:
    A = matrix("inverse_square", 90, 60, rng=3)
    form: Any = scipy.sparse.csr_array(A)
    if kind == "memmap":
        form = np.memmap(tmp_path / "A", dtype=A.dtype, shape=A.shape, mode="w+")
        form[:] = A
    elif kind == "torch":
        form = pytest.importorskip("torch").from_numpy(A)
    result = rnla.svdvals(form, 5, method=SUBSPACE, rng=0)
    check(result, A)
    assert type(result.upper) is type(np.empty(0) if kind != "torch" else form)


def test_the_sharper_bound_is_of_the_order_of_the_square() -> None:
    """A basis with an angle d to the vectors: values off by d^2, Weyl's bound by the residual, Haynsworth's by d^2."""
    A = matrix([1.0, 0.5, 0.25, *([1e-3] * 40)], 80, 60, rng=4)
    result = rnla.svdvals(A, 3, method=rnla.SubspaceIteration(power_iterations=0, oversampling=6), rng=0)
    s = check(result, A)
    off = s[:3] - host(result.values)
    width = host(result.upper) - host(result.lower)
    assert np.all(width <= 1e-4 * s[:3])
    assert np.all(width <= 1e3 * np.maximum(off, 1e-13))


def test_values_are_extended_saved_and_copied(tmp_path: Path) -> None:
    A = matrix("inverse", 90, 60, rng=5)
    first = rnla.svdvals(A, 4, method=SUBSPACE, rng=0)
    more = first.extend(rank=12)
    check(more, A)
    first.save(tmp_path / "values.npz")
    again = rnla.load(tmp_path / "values.npz")
    assert np.array_equal(again.upper, first.upper)
    assert again.frobenius == first.frobenius
    assert np.array_equal(pickle.loads(pickle.dumps(first)).lower, first.lower)
    assert "relative to the value" in str(first)
    with pytest.raises(rnla.InputError, match="below the present"):
        more.extend(rank=3)
    with pytest.raises(rnla.InputError, match="vectors"):
        more.as_operator()


def test_passes_and_products_are_counted() -> None:
    A = scipy.sparse.csr_array(matrix("inverse", 90, 60, rng=6))
    plain = rnla.svd(A, 5, method=SUBSPACE, rng=0).report
    bounded = rnla.svdvals(A, 5, method=SUBSPACE, rng=0).report
    assert bounded.passes == plain.passes + 5 + 1
    assert bounded.products == plain.products + 5 * 6 + bounded.size
    with rnla.config_context(max_passes=plain.passes):
        result = rnla.svdvals(A, 5, method=SUBSPACE, rng=0)
    check(result, A.toarray())
    assert result.failure_probability == 0.0


def test_extremes() -> None:
    A = matrix("inverse", 40, 30, rng=7)
    for factor in (1e150, 1e-150):
        result = rnla.svdvals(A * factor, 5, method=SUBSPACE, rng=0)
        s = np.linalg.svd(A)[1]
        assert np.all(result.lower / factor <= s[:5] * (1 + 1e-14))
        assert np.all(result.upper / factor >= s[:5] * (1 - 1e-14))
    zero = rnla.svdvals(np.zeros((30, 20)), 0, rng=0)
    assert zero.rank == 0
    assert zero.next_upper == 0
    assert rnla.svdvals(np.zeros((0, 20)), 0).tail == (0.0, 0.0)
    with pytest.warns(rnla.RankWarning):
        check(rnla.svdvals(matrix([1.0], 40, 30), 3, rng=0), matrix([1.0], 40, 30))


def test_the_spectrum_prints_and_draws(tmp_path: Path) -> None:
    A = matrix("inverse_root", 90, 60, rng=8)
    found = rnla.spectrum(A, 25, method=SUBSPACE, rng=0)
    assert np.array_equal(found.values, found.singular_values.values)
    assert (found.rank, found.shape, found.status) == (25, (90, 60), rnla.Status.MET)
    assert found.error is found.singular_values.error
    assert found.report is found.singular_values.report
    text = str(found)
    assert "share of energy" in text
    assert text.count("\n") == 20 + 1 + 3
    pytest.importorskip("matplotlib")
    assert found.plot(tmp_path / "scree.png", title="A spectrum") is None
    assert (tmp_path / "scree.png").read_bytes() == found.plot(title="A spectrum")
    assert found.extend(rank=30).singular_values.rank == 30


def test_energy_asks_for_a_share() -> None:
    A = matrix("inverse", 90, 60, rng=9)
    found = rnla.spectrum(A, energy=0.9, rng=0)
    s = np.linalg.svd(A)[1]
    assert np.sum(s[: len(found.values)] ** 2) >= 0.9 * np.sum(s**2)
    assert len(found.values) <= int(np.searchsorted(np.cumsum(s**2) / np.sum(s**2), 0.9)) + 3
