"""Pictures: the curve is the error of every rank, and every kind of result can be drawn."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import scipy.sparse.linalg

import rnla
from rnla.plotting import error_by_rank, spectrum_png

GENERATOR = np.random.default_rng(4)
U = np.linalg.qr(GENERATOR.standard_normal((80, 60)))[0]
V = np.linalg.qr(GENERATOR.standard_normal((70, 60)))[0]
S = 0.85 ** np.arange(60)
A = (U * S) @ V.T


def results() -> dict[str, tuple[Any, dict[str, Any]]]:
    return {
        "rank": (A, {"rank": 9}),
        "tolerance": (A, {"tol": 1e-3}),
        "both": (A, {"tol": 0.1, "rank": 3, "on_failure": "return"}),
        "spectral": (A, {"tol": 1e-2, "norm": "spectral"}),
        "operator": (scipy.sparse.linalg.aslinearoperator(A), {"tol": 1e-2}),
        "large": (A * 2.0**600, {"rank": 9}),
        "float32": (A.astype("f4"), {"rank": 9}),
        "rank 0": (A, {"rank": 0}),
        "zero": (np.zeros((8, 5)), {"tol": 0.1}),
        "empty": (np.zeros((0, 5)), {"rank": 0}),
        "flat": (np.eye(30), {"rank": 10}),
        "exact": (np.diag([3.0, 2.0, 0.0]), {"rank": 2}),
    }


@pytest.mark.parametrize("case", results())
def test_every_result_can_be_drawn(case: str) -> None:
    pytest.importorskip("matplotlib")
    matrix, request = results()[case]
    result = rnla.svd(matrix, rng=0, **request)
    picture = spectrum_png(result, tol=request.get("tol"), title="f($x_1$).npy")
    assert picture.startswith(b"\x89PNG")
    value, upper = error_by_rank(result)
    assert len(value) == len(upper) == result.report.size + 1
    assert value[result.rank] == pytest.approx(result.error.value, rel=1e-9)
    if not np.isnan(result.error.upper):
        assert upper[result.rank] == pytest.approx(result.error.upper, rel=1e-9)
    assert np.all(np.diff(value) <= 1e-12)


def test_the_curve_is_the_true_error_of_every_rank() -> None:
    result = rnla.svd(A, tol=1e-3, rng=0)
    value, _ = error_by_rank(result)
    for k in range(result.rank + 1):
        truth = np.linalg.norm(A - (result.U[:, :k] * result.s[:k]) @ result.Vh[:k]) / np.linalg.norm(A)
        assert value[k] == pytest.approx(truth, rel=1e-6)  # the identity loses half the digits at worst
    alone, _ = error_by_rank(dataclasses.replace(result, resume=None))
    np.testing.assert_allclose(alone, value[: result.rank + 1], rtol=1e-9)
