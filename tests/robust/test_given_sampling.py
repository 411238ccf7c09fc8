"""What the caller says of sampling is kept, whatever else is left to the library."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnla
from tests.robust.model import model

D, _, _ = model(300, 320, 2, 0.1, seed=1)


class Entries:
    """D as a function of its entries."""

    shape, dtype = D.shape, D.dtype

    def entries(self, i: Any, j: Any) -> Any:
        return D[np.ix_(i, j)]


@pytest.mark.parametrize("source", [D, Entries()], ids=["array", "function"])
@pytest.mark.parametrize(("sampling", "name", "value"), [("leverage", "sampling", "leverage"), (4.5, "samples", 4.5)])
def test_sampling_that_was_given_outlives_the_estimate_of_the_rank(
    sampling: Any, name: str, value: Any, source: Any
) -> None:
    for rank in (2, None):
        result = rnla.robust_pca(source, rank, sampling=sampling, rng=0)
        assert result.rank == 2
        assert getattr(result.report.plan.method, name) == value
        assert "sampling= was given" in result.report.plan.reasons
