"""Stores without chunks, h5py's default layout, in every shape and by every method that reads their blocks."""

from pathlib import Path

import numpy as np
import pytest

import rnla

h5py = pytest.importorskip("h5py")


@pytest.mark.parametrize("shape", [(100, 1000), (1000, 100), (120, 100)], ids=["wide", "tall", "square"])
@pytest.mark.parametrize("method", [None, rnla.GramEigh(), rnla.TallQR(), rnla.FullSVD(), rnla.SubspaceIteration()])
def test_a_contiguous_dataset_gives_what_the_array_gives(
    tmp_path: Path, shape: tuple[int, int], method: object
) -> None:
    A = np.random.default_rng(0).random(shape)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = A
        assert file["x"].chunks is None
        stored = rnla.svd(file["x"], 3, method=method, rng=0)
    assert stored.s == pytest.approx(rnla.svd(A, 3, method=method, rng=0).s, rel=1e-12)
