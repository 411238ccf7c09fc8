"""Dense arrays as operators: tiles that are converted on the way stay small beside the memory budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.config import config_context
from rnla.errors import NonFiniteError
from rnla.operators import dense
from rnla.operators.dense import Dense

M, N = 6_000, 1_000  # 24 MB in single precision


def torch_array(dtype: str) -> Any:
    torch = pytest.importorskip("torch")
    return torch.asarray(np.random.default_rng(0).standard_normal((M, N))).to(getattr(torch, dtype))


WORK: dict[str, Callable[[Dense], Any]] = {
    "matmat": lambda op: op.matmat(op.xp.ones((N, 2), dtype=op.xp.float32)),
    "rmatmat": lambda op: op.rmatmat(op.xp.ones((M, 2), dtype=op.xp.float32)),
    "row blocks": lambda op: [None for _ in op.row_blocks()],
    "column blocks": lambda op: [None for _ in op.column_blocks()],
    "measure": lambda op: op.measure(),
}


@pytest.mark.parametrize("work", WORK.values(), ids=WORK.keys())
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("budget", "most"), [("1G", 1 << 23), ("16M", 1 << 20)])
def test_converted_tiles_are_small(
    budget: str, most: int, dtype: str, work: Callable[[Dense], Any], monkeypatch: Any
) -> None:
    sizes: list[int] = []
    cast = dense.cast

    def counting(x: Any, wanted: Any) -> Any:
        out = cast(x, wanted)
        sizes.append(out.shape[0] * out.shape[1] * 4)
        return out

    monkeypatch.setattr(dense, "cast", counting)
    with config_context(memory_budget=budget):
        work(Dense(torch_array(dtype), np.dtype("float32")))
    assert sum(sizes) == M * N * 4  # all of it, once
    assert max(sizes) <= most * 1.1  # ranges of whole rows


def test_tiles_that_are_views_stay_large() -> None:
    op = Dense(torch_array("float32"), np.dtype("float32"))
    with config_context(memory_budget="16M"):
        assert len(list(op.row_blocks())) == 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_products_by_tiles_equal_the_product(dtype: str) -> None:
    a = torch_array(dtype)
    wide = np.asarray(a.double())
    op = Dense(a, np.dtype("float32"))
    x = np.random.default_rng(1).standard_normal((N, 3)).astype("f4")
    y = np.random.default_rng(2).standard_normal((M, 3)).astype("f4")
    with config_context(memory_budget="16M"):
        ax, ay = np.asarray(op.matmat(op.xp.asarray(x))), np.asarray(op.rmatmat(op.xp.asarray(y)))
    eps = float(np.finfo("f4").eps)
    assert np.all(abs(ax - wide @ x) <= N * eps * (abs(wide) @ abs(x)))
    assert np.all(abs(ay - wide.T @ y) <= M * eps * (abs(wide).T @ abs(y)))


@pytest.mark.parametrize("kernels", ["plain", "compiled"])
@pytest.mark.parametrize("asked", [{"rank": 10}, {"tol": 0.9}], ids=str)
def test_first_pass_tells_the_norm(kernels: str, asked: dict[str, Any]) -> None:
    A = np.random.default_rng(0).standard_normal((1500, 800))
    norm = float(np.linalg.norm(A))
    small = np.vstack([A[:500], np.zeros((700, 800))])  # under the size from which the norm rides along
    with config_context(kernels=kernels):
        found = rnla.svd(A, **asked, rng=0)
        assert found.report.scans == 0
        assert abs(found.error.norm_of_A - norm) <= 800 * np.finfo(float).eps * norm
        assert rnla.svd(small, **asked, rng=0).report.scans == 1
        for factor in (1e-200, 1e200):  # the squares leave the range: found out, and the matrix is scaled
            other = rnla.svd(A * factor, **asked, rng=0)
            assert np.allclose(other.s / factor, found.s, rtol=1e-8)
            assert other.report.scans == 1
        for bad in (np.nan, np.inf):
            A[1200, 3] = bad
            with pytest.raises(NonFiniteError, match="rows 750 to 1499"):
                rnla.svd(A, **asked, rng=0)
