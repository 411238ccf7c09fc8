"""Columns that are left out as outliers although L could agree with them: the certificate refuses such an L."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnla
from rnla.robust.certificate import certify
from rnla.robust.protocols import Factors
from rnla.robust.reading import Reader

M, N, RANK, TOL = 300, 200, 4, 1e-7


def corrupted(seed: int, dtype: str = "float64") -> tuple[Any, Any, Any]:
    """Return D with twenty columns that are noise, L, and these columns."""
    rng = np.random.default_rng(seed)
    low = rng.standard_normal((M, RANK)) @ rng.standard_normal((RANK, N))
    low = low * (1 + 1j * rng.standard_normal(N)) if dtype == "complex128" else low
    d, bad = low.copy(), np.sort(rng.choice(N, 20, replace=False))
    d[:, bad] = 10 * rng.standard_normal((M, 20))
    return d, low, bad


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_an_l_that_leaves_out_columns_of_its_own_span_is_refused(dtype: str, masked: bool) -> None:
    """One column in fifty of those that are right is left out, which no share of outliers shows."""
    d, low, bad = corrupted(0, dtype)
    good = np.setdiff1d(np.arange(N), bad)
    mask = np.random.default_rng(1).random(d.shape) < 0.9 if masked else None
    d = d if mask is None else np.where(mask, d, np.nan)
    rows, columns = np.arange(0, M, 5), np.setdiff1d(np.arange(N), good[:4])[::4]  # none of them is set aside
    for lost, accepted in ((good[:0], True), (good[:4], False)):
        kept = low.copy()
        kept[:, bad] = kept[:, lost] = 0
        u, s, vh = np.linalg.svd(kept, full_matrices=False)
        factors = Factors(u[:, :RANK], s[:RANK], vh[:RANK])
        held = certify(Reader(d), factors, 1e-3, "columns", rows, columns, (20 + len(lost)) / N, TOL, mask)
        assert held.accepted == accepted, held.reasons
        if not accepted:
            assert [reason for reason in held.reasons if "yet lie in the span of L" in reason], held.reasons
            assert f"{len(lost)} columns, such as {lost[0]}" in held.reasons[-1]


@pytest.mark.parametrize("seed", range(6))
def test_right_columns_are_not_left_out(seed: int) -> None:
    """With method="auto": of these draws RieCUR alone leaves out 22 right columns for seed 0, and 38 for seed 2."""
    d, low, bad = corrupted(seed)
    result = rnla.robust_pca(d, RANK, threshold="columns", rng=seed)
    assert np.array_equal(np.unique(result.S.sparse().nonzero()[1]), bad)
    good = np.setdiff1d(np.arange(N), bad)
    assert np.linalg.norm((result.L.to_array() - low)[:, good]) <= 10 * TOL * np.linalg.norm(low)
