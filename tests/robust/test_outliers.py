"""S as it is handed out, what is told of L beside it, and rows that carry much of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnla
from rnla.rng import as_key
from rnla.robust.cross import _cross
from rnla.robust.protocols import Factors, Problem
from rnla.robust.reading import Reader
from tests.robust.model import model


@pytest.mark.parametrize("masked", [False, True])
def test_parts_of_S_are_those_of_the_whole_where_columns_are_outliers(masked: bool) -> None:
    """One row alone would tell another level of its column than all of it does."""
    rng = np.random.default_rng(3)
    d, low, _ = model(300, 280, 2, 0.0, seed=3)
    bad = np.sort(rng.permutation(280)[:28])
    d[:, bad] += 5 * rng.standard_normal((300, 28))
    d[::7, bad] = low[::7, bad]  # a seventh of each wrong column is right
    mask = rng.random(d.shape) < 0.9 if masked else None
    result = rnla.robust_pca(d, 2, method="accaltproj", threshold="columns", mask=mask, tol=1e-6, rng=0)
    whole = result.S.to_array()
    assert np.array_equal(np.flatnonzero(whole.any(axis=0)), bad)
    rows, columns = np.array([0, 7, 11]), np.array([1, *bad[:3], 279])
    close = {"rtol": 0, "atol": 1e-12 * np.abs(d).max()}
    assert np.allclose(result.S.rows(rows), whole[rows], **close)
    assert np.allclose(result.S.columns(columns), whole[:, columns], **close)
    assert np.allclose(result.S.entries(rows, bad[:3]), whole[rows, bad[:3]], **close)
    right = result.S.rows(np.array([0, 7]))  # small there, and yet of outliers
    assert right[:, bad].any()
    assert np.array_equal(right != 0, whole[[0, 7]] != 0)


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_single_entries_of_a_turned_array_of_torch_copy_nothing_else(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils._python_dispatch import TorchDispatchMode

    made: list[int] = []

    class Watching(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            made.append(out.numel() if isinstance(out, torch.Tensor) else 0)
            return out

    d, _, _ = model(300, 280, 2, 0.1, seed=2)
    turned = torch.asarray(d.T.copy()).to(getattr(torch, dtype)).mT
    options = {} if dtype == "float64" else {"threshold": rnla.Threshold(least=0.2)}
    result = rnla.robust_pca(turned, 2, rng=0, method="riecur", on_failure="return", **options)
    whole, some = result.S.to_array(), result.S
    with Watching():
        found = some.entries([0, 5, 299], [3, 9, 279])
    assert max(made) <= 2 * 3
    assert torch.allclose(found, whole[[0, 5, 299], [3, 9, 279]])


def test_incoherence_is_that_of_the_factors() -> None:
    d, _, _ = model(300, 200, 3, 0.1, seed=1)
    result = rnla.robust_pca(d, 3, rng=0)
    u, v = np.asarray(result.U), np.asarray(result.Vh).T
    for told, basis in zip(result.incoherence, (u, v), strict=True):
        assert told == pytest.approx(len(basis) / 3 * (basis**2).sum(axis=1).max(), rel=1e-12)


def test_leverage_sampling_draws_the_rows_that_carry_a_direction() -> None:
    """Three rows carry L: half of the weight is theirs, a sixth each, and the other half is even.

    A cross has 54 rows.  With exponential times of these rates, 51 of 397 others have come by the time 110, and one of
    the three has not with probability exp(-110 / 6) = 1e-8: alarm rate of 20 draws below 1e-6.
    """
    m, n, r = 400, 300, 1
    u, v = np.zeros((m, r)), np.linalg.qr(np.random.default_rng(0).standard_normal((n, r)))[0]
    u[:3, 0] = 3**-0.5
    none = np.zeros(0, dtype=np.int64)
    problem = Problem(Reader(np.zeros((m, n))), r, 1e-7, 10, as_key(0), None, none, none)
    factors = Factors(u, np.ones(r), v.T)
    drawn = [_cross(rnla.RieCUR(sampling="leverage"), problem, each, factors)[0] for each in range(1, 21)]
    assert all(np.isin([0, 1, 2], rows).all() for rows in drawn)
    even = [_cross(rnla.RieCUR(), problem, each, factors)[0] for each in range(1, 21)]
    assert not all(np.isin([0, 1, 2], rows).all() for rows in even)
