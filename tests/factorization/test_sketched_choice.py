"""Columns and rows chosen on a sketch, the default for a rank: near what pivoted QR of the matrix itself chooses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

import rnla
from rnla._xp.namespace import to_host
from rnla.factorization import sketched_choice, usual_method
from rnla.rangefinder import SketchedRange
from rnla.testing import SPECTRA, matrix, optimal_error

Array = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def on_smaller_matrices_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default is for matrices of some size; the rest of it is shown on smaller ones."""
    monkeypatch.setattr(usual_method, "_SPREAD", 2)


def by_columns(A: Array, chosen: Array) -> float:
    panel = np.linalg.qr(A[:, chosen])[0]
    return float(np.linalg.norm(A - panel @ (panel.conj().T @ A)))


def made(result: Any) -> Array:
    parts = [to_host(part) for part in result]
    return np.linalg.multi_dot(parts)


def test_it_is_the_default_for_a_rank_alone_and_takes_two_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    A = matrix(1 / np.arange(1.0, 1001.0), 1000, 1000, rng=1)
    for result in (rnla.interpolative(A, 20, rng=0), rnla.cur(A, 20, rng=0), rnla.interpolative(A, 20, axis="rows")):
        report = result.report
        assert isinstance(report.plan.method, SketchedRange)
        assert (report.passes, report.plan.passes, report.size) == (2, 2, 20)
        assert report.products == report.plan.size + 20
        assert result.error.kind == "exact"
    monkeypatch.setattr(usual_method, "_SPREAD", 4)
    assert not isinstance(rnla.interpolative(A, 20, rng=0).report.plan.method, SketchedRange)
    monkeypatch.setattr(usual_method, "_SPREAD", 2)
    for options in ({"power_iterations": 1}, {"selection": "random_pivoted_qr"}, {"coefficients": "sketched"}):
        other = rnla.interpolative(A, 20, rng=0, **options)  # type: ignore[arg-type]
        assert not isinstance(other.report.plan.method, SketchedRange)


@pytest.mark.parametrize("function", [rnla.interpolative, rnla.cur])
def test_a_limit_of_passes_is_kept(function: Any) -> None:
    A = matrix(1 / np.arange(1.0, 801.0), 800, 800, rng=1)
    with rnla.config_context(max_passes=3):
        assert function(A, 10, rng=0).report.passes <= 3
    with rnla.config_context(max_passes=1), pytest.raises(rnla.BudgetError):
        function(A, 10, rng=0)


@pytest.mark.parametrize("axis", ["columns", "rows"])
@pytest.mark.parametrize("spectrum", sorted(SPECTRA))
def test_the_error_is_near_that_of_pivoted_qr_of_the_matrix(spectrum: str, axis: str) -> None:
    """1.25 of LAPACK's choice on A itself: of ten seeds, both axes and every spectrum the worst was 1.10."""
    A = matrix(spectrum, 640, 620, rng=5)
    B = A if axis == "columns" else A.T
    rank = 10 if spectrum == "exact_rank" else 20
    result = rnla.interpolative(A, rank, axis=axis, rng=1)
    assert isinstance(result.report.plan.method, SketchedRange)
    bar = by_columns(B, scipy.linalg.qr(B, mode="r", pivoting=True)[1][:rank])
    true = float(np.linalg.norm(A - made(result)))
    assert true <= 1.25 * bar + 50 * 2.2e-16 * np.linalg.norm(A)
    X = result.X
    assert np.abs(X).max() <= 2 * (1 + 2e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_every_dtype_and_layout(dtype: str) -> None:
    """Within sqrt(1 + k) of the best, that of the best columns; the same columns from every layout of one matrix."""
    A = matrix("inverse_square", 640, 700, dtype=dtype, rng=2)
    values = np.linalg.svd(A.astype(np.complex128), compute_uv=False)
    eps = float(np.finfo(dtype).eps)
    for axis in ("columns", "rows", "both"):
        results = [rnla.interpolative(B, 15, axis=axis, rng=3) for B in (A, np.asfortranarray(A), A[::-1][::-1])]
        for result in results:
            assert isinstance(result.report.plan.method, SketchedRange)
            true = float(np.linalg.norm(A - made(result)))
            assert true <= 4 * optimal_error(values, 15) + 50 * eps * values[0]
            assert true <= (result.error.upper + 8 * result.error.standard_error + 8 * eps) * np.linalg.norm(A)
        for other in results[1:]:
            kind = "rows" if axis == "rows" else "columns"
            assert np.array_equal(np.sort(getattr(results[0], kind)), np.sort(getattr(other, kind)))


def test_other_libraries_and_scales_choose_the_same_columns() -> None:
    torch = pytest.importorskip("torch")
    A = matrix("inverse", 600, 620, rng=2)
    ours = rnla.interpolative(A, 15, rng=3)
    theirs = rnla.interpolative(torch.from_numpy(A.copy()), 15, rng=3)
    scaled = rnla.interpolative(A * 2.0**700, 15, rng=3)
    for other in (theirs, scaled):
        assert isinstance(other.report.plan.method, SketchedRange)
        assert np.array_equal(to_host(other.columns), ours.columns)
        assert other.error.value == pytest.approx(ours.error.value)


def test_a_rank_above_that_of_the_matrix_warns_and_is_exact() -> None:
    A = matrix("inverse", 640, 12, rng=1) @ matrix("inverse", 12, 650, rng=2)
    for function in (rnla.interpolative, rnla.cur):
        with pytest.warns(rnla.RankWarning):
            result = function(A, 20, rng=0)
        assert result.report.numerical_rank == 12
        assert np.linalg.norm(A - made(result)) <= 1e-12 * np.linalg.norm(A)
    with pytest.warns(rnla.RankWarning):
        assert rnla.interpolative(np.zeros((600, 600)), 3, rng=0).error.value == 0


def test_the_columns_stay_when_more_are_asked_for() -> None:
    A = matrix("inverse", 640, 640, rng=1)
    for function in (rnla.interpolative, rnla.cur):
        few = function(A, 15, rng=0)
        more = few.extend(rank=22)
        assert more.rank == 22
        assert set(few.columns.tolist()) <= set(more.columns.tolist())
        assert more.error.value < few.error.value
        assert np.linalg.norm(A - made(more)) == pytest.approx(more.error.absolute, rel=1e-6)


def test_the_values_kept_are_those_of_the_projection(monkeypatch: pytest.MonkeyPatch) -> None:
    A = matrix("fast", 640, 640, rng=1)
    small: list[Any] = []
    original = sketched_choice.small_factor
    monkeypatch.setattr("rnla.factorization.interpolative.small_factor", lambda x: small.append(x) or original(x))
    result = rnla.interpolative(A, 25, rng=0)
    values = np.linalg.svd(small[0].within, compute_uv=False)
    kept = result.resume.singular_values
    assert np.abs(kept - values).max() <= 1e-14 * values[0]
    assert np.abs(kept / values - 1).max() <= 1e-6  # relative, down to the smallest


def test_a_deadline_before_columns_are_read_leaves_nothing() -> None:
    A = matrix("inverse", 640, 640, rng=1)
    with rnla.config_context(deadline=1e-9), pytest.raises(rnla.DeadlineReached, match="before columns"):
        rnla.interpolative(A, 15, rng=0)
