"""L = 0: matrices that are outliers only, and those of which no rank can be told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse

import rnla

RNG = np.random.default_rng(0)
ONLY = np.where(RNG.random((400, 350)) < 0.05, RNG.standard_normal((400, 350)), 0.0)


class Entries:
    shape, dtype = ONLY.shape, ONLY.dtype

    def entries(self, i: Any, j: Any) -> Any:
        return ONLY[np.ix_(i, j)]


@pytest.mark.parametrize(
    "kind", ["array", "csr", "entries", "small", "third", "tiny", "huge", "mask", "zero", "complex"]
)
def test_outliers_alone_leave_nothing_for_L(kind: str, tmp_path: Any) -> None:
    d, options = ONLY, {}
    d = {
        "csr": lambda: scipy.sparse.csr_array(ONLY), "entries": Entries, "small": lambda: ONLY[:40, :30],
        "third": lambda: np.where(RNG.random(ONLY.shape) < 0.3, 1.5, 0.0) * RNG.standard_normal(ONLY.shape),
        "tiny": lambda: ONLY * 2.0**-800, "huge": lambda: ONLY * 2.0**900, "zero": lambda: 0 * ONLY,
        "complex": lambda: ONLY * (1 + 2j),
    }.get(kind, lambda: ONLY)()  # fmt: skip
    if kind == "mask":
        options["mask"] = RNG.random(ONLY.shape) < 0.9
        d = np.where(options["mask"], ONLY, np.nan)
    result = rnla.robust_pca(d, rng=0, **options)
    assert result.status.ok
    assert result.rank == result.s.shape[0] == 0
    assert any("L = 0" in note for note in result.report.notes)
    assert dict(result.report.plan.lines)["rank"] == "0"
    assert result.held_out.accepted
    assert result.held_out.never_sampled
    whole = ONLY if kind == "entries" else d.toarray() if kind == "csr" else d
    whole = np.where(options["mask"], whole, 0) if kind == "mask" else whole
    assert np.array_equal(result.S.sparse().toarray(), whole)
    assert not (result.L @ np.ones((d.shape[1], 2))).any()
    assert result.cur().as_operator().to_array().shape == d.shape
    result.save(tmp_path / "r.npz")
    assert rnla.load(tmp_path / "r.npz").rank == 0
    assert "rank             0" in str(result)


def test_with_noise_zero_is_what_lies_below_the_least_threshold() -> None:
    noisy = ONLY + 1e-4 * RNG.standard_normal(ONLY.shape)
    result = rnla.robust_pca(noisy, threshold=rnla.Threshold(least=6e-4), rng=0)
    assert result.rank == 0
    assert result.S.sparse().nnz == np.count_nonzero(np.abs(noisy) >= 6e-4)


@pytest.mark.parametrize(
    "d", [RNG.standard_normal((200, 190)), RNG.random((150, 160)), np.where(RNG.random((200, 190)) < 0.6, 1.0, 0.0)]
)
def test_what_has_no_rank_to_be_told_is_refused_with_what_was_seen(d: Any) -> None:
    with pytest.raises(rnla.InputError, match=r"of D.*or noise hides it; pass rank=.*Threshold\(least="):
        rnla.robust_pca(d, rng=0)


def test_plain_low_rank_needs_no_outliers() -> None:
    for d, rank in ((np.full((90, 80), 3.0), 1), (RNG.standard_normal((90, 3)) @ RNG.standard_normal((3, 95)), 3)):
        result = rnla.robust_pca(d, rng=0)
        assert result.rank == rank
        assert np.allclose(result.L.to_array(), d, atol=1e-9)
        assert result.S.sparse().nnz == 0
    for shape in ((1, 9), (9, 1), (1, 1)):
        d = RNG.standard_normal(shape)
        assert np.allclose(rnla.robust_pca(d, rng=0).L.to_array(), d, rtol=1e-12)
    full = RNG.standard_normal((40, 30))
    result = rnla.robust_pca(full, 30, rng=0)
    assert np.allclose(result.L.to_array(), full, atol=1e-9)
