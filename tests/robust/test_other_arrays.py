"""Arrays of other libraries, and entries that are not finite, on the ways that few calls take."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import rnla
from rnla.robust.certificate import certify
from rnla.robust.protocols import Factors
from rnla.robust.reading import Reader
from rnla.robust.starting import valley
from tests.robust.model import model


@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
@pytest.mark.parametrize("masked", [False, True])
def test_whole_columns_are_judged_in_arrays_of_other_libraries(library: str, masked: bool) -> None:
    """The standard knows no slices that end beyond an axis."""
    xp = pytest.importorskip(library)
    rng = np.random.default_rng(1)
    d, low, _ = model(90, 80, 2, 0.0, seed=1)
    d[:, ::10] += 10 * rng.standard_normal((90, 8))
    mask = rng.random(d.shape) < 0.9 if masked else None
    u, s, vh = (x[..., :2] if x.ndim < 2 or len(x) == 90 else x[:2] for x in np.linalg.svd(low, full_matrices=False))
    rows, columns = np.arange(0, 90, 7), np.arange(0, 80, 5)
    zeroed = vh.copy()
    zeroed[:, 15] = 0  # then column 15 passes for an outlier
    for right, wrong in ((vh, False), (zeroed, True)):
        found = []
        for make in (np.asarray, xp.asarray):
            factors = Factors(make(u), make(s), make(right))
            seen = None if mask is None else make(mask)
            found.append(certify(Reader(make(d)), factors, 1e-6, "columns", rows, columns, 0.2, 1e-7, seen))
        assert found[0].reasons == found[1].reasons
        assert any("column" in reason and "15" in reason for reason in found[0].reasons) == wrong
        assert found[0].accepted != wrong


def test_infinite_entries_are_told_without_a_warning() -> None:
    d, _, _ = model(60, 50, 2, 0.1, seed=2)
    mask = np.random.default_rng(0).random(d.shape) < 0.9
    d[mask & (np.random.default_rng(1).random(d.shape) < 0.5)] = np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert valley(np.array([np.inf, np.inf, np.inf, np.inf, 1.0])) is None
        for rank in (2, None):
            with pytest.raises(rnla.NonFiniteError, match="mask= must be False there"):
                rnla.robust_pca(d, rank, mask=mask, rng=0)
