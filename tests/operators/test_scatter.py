"""Means and Gram matrix from one pass: those of two passes, for means far away, and told where they wander."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.config import config_context
from rnla.errors import BudgetError
from rnla.operators import rowblocks
from rnla.operators.ledger import Ledger
from rnla.operators.rowblocks import RowBlocks
from rnla.operators.scatter import column_scatter

M, N = 6000, 40


def matrix(dtype: str = "d", far: float = 1e6) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(2)
    a = rng.standard_normal((M, N)) * 0.8 ** np.arange(N)
    a = a + 1j * rng.standard_normal((M, N)) if dtype == "D" else a
    return a + far * rng.standard_normal(N)


@pytest.fixture(autouse=True)
def several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowblocks, "BLOCK_BYTES", 1 << 18)


@pytest.mark.parametrize("dtype", ["d", "D"])
@pytest.mark.parametrize("far", [0.0, 1e6])
def test_what_one_pass_gives(dtype: str, far: float) -> None:
    a = matrix(dtype, far)
    op = Ledger(RowBlocks(a, a.dtype))
    found = column_scatter(op)
    assert found is not None
    assert op.counts.passes == 1
    (mean, rest), magnitude, gram = found
    exact = a.astype("G" if dtype == "D" else "g")
    center = exact[0] + (exact - exact[0]).mean(axis=0)
    assert np.all(abs((mean.astype(exact.dtype) + rest) - center) <= 1e-12)  # of entries that are of size 1 about it
    about = (exact - center).astype(dtype)
    expected = about.conj().T @ about
    assert np.linalg.norm(gram - expected) <= 1e-13 * np.linalg.norm(expected)
    assert magnitude.frobenius == pytest.approx(np.linalg.norm(about), rel=1e-13)
    assert magnitude.exponent == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda a: a + np.linspace(0, 1e4, M)[:, None],  # the first rows do not stand for the others
        lambda a: a * 1e200,
        lambda a: a * 1e-200,
        lambda a: 0 * a + 3.0,
        lambda a: np.where(a == a[M // 2, 3], np.nan, a),
        lambda a: np.where(a == a[7, 3], np.inf, a),
    ],
    ids=["wandering", "huge", "tiny", "constant", "nan", "infinity"],
)
def test_where_one_pass_does_not_do(make: Any) -> None:
    a = make(matrix(far=0.0))
    op = Ledger(RowBlocks(a, a.dtype))
    assert column_scatter(op) is None
    assert op.counts.passes == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_told_with_its_rows(bad: float, tmp_path: Path) -> None:
    a = matrix()
    a[M - 5, 3] = bad
    np.save(tmp_path / "a.npy", a)
    with pytest.raises(rnla.NonFiniteError, match="NaN or infinity in rows"):
        rnla.pca(tmp_path / "a.npy", 4, rng=0)


@pytest.mark.parametrize(("far", "drift", "passes"), [(0.0, 0.0, 1), (1e6, 0.0, 1), (0.0, 100.0, 4)])
def test_pca_of_a_file_takes_one_pass(far: float, drift: float, passes: int, tmp_path: Path) -> None:
    a = matrix(far=far) + np.linspace(0, drift, M)[:, None]
    np.save(tmp_path / "a.npy", a)
    found, expected = rnla.pca(tmp_path / "a.npy", 4, rng=0), rnla.pca(a, 4, rng=0)
    assert found.report.passes == passes
    products = found.report.products
    np.testing.assert_allclose(found.singular_values, expected.singular_values, rtol=1e-12)
    np.testing.assert_allclose(found.components, expected.components, atol=1e-9)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-9 * expected.singular_values[0])
    assert found.report.passes == passes + (passes == 1)  # the scores took one
    assert found.report.products == products + (4 if passes == 1 else 0)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-14, atol=1e-12)
    assert found.error.value == pytest.approx(expected.error.value, rel=1e-9)


def test_a_limit_on_passes_keeps_what_it_allowed(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", matrix() + np.linspace(0, 1e7, M)[:, None])
    with config_context(max_passes=3):  # too few for a wrong guess of the means
        assert rnla.pca(tmp_path / "a.npy", 4, rng=0).report.passes == 3
    for limit in (1, 2):
        with config_context(max_passes=limit), pytest.raises(BudgetError, match=f"max_passes={limit}|takes 2 passes"):
            rnla.pca(tmp_path / "a.npy", 4, rng=0)
    np.save(tmp_path / "b.npy", matrix())
    with config_context(max_passes=1):
        assert rnla.pca(tmp_path / "b.npy", 4, rng=0).report.passes == 1
