"""Test matrices keep their contract; every row of the table is tried."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

import rnla
from rnla import sketch
from rnla.rng import Key
from rnla.sketch import SKETCHES, as_sketch
from rnla.testing import check_test_matrix

PARTS = [*(make() for make in SKETCHES.values()), rnla.SparseSign(nnz=1), rnla.SparseSign(nnz=40)]


@pytest.mark.statistical
@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_conformance(part: sketch.TestMatrix) -> None:
    """False-alarm rate under 3e-10 a part (`check_test_matrix`), over keys; the key is fixed."""
    check_test_matrix(part)


@dataclasses.dataclass(frozen=True)
class Broken:
    """A Gaussian matrix with one fault."""

    fault: str

    def tile(self, start: int, stop: int, rows: int, columns: int, key: Key, **like: Any) -> Any:
        if self.fault == "rows counted from the tile":
            return key.normals(0, stop - start, columns, **like)
        if self.fault == "one key for all":
            return Key(0).normals(start, stop, columns, **like)
        out = key.normals(start, stop, columns, **like)
        if self.fault == "scaled":
            return out * 1.1
        if self.fault == "a mean":
            return out + 0.1
        if self.fault == "columns alike":
            return out[:, :1] + 0 * out
        if self.fault == "rows alike":
            return out - 0.7 * key.normals(0, 1, columns, **like)
        return np.asarray(out, dtype=np.float64)


FAULTS = [
    "rows counted from the tile", "one key for all", "scaled", "a mean", "columns alike", "rows alike", "double only",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.parametrize("fault", FAULTS)
def test_the_suite_fails_what_is_wrong(fault: str) -> None:
    with pytest.raises(AssertionError):
        check_test_matrix(Broken(fault))


@pytest.mark.parametrize("columns", [1, 3, 8, 9, 50])
@pytest.mark.parametrize("nnz", [1, 8, 64])
def test_sparse_signs_have_their_number_in_every_row(nnz: int, columns: int) -> None:
    tile = rnla.SparseSign(nnz=nnz).tile(0, 300, 300, columns, Key(2))
    count = min(nnz, columns)
    assert np.all(np.count_nonzero(tile, axis=1) == count)
    assert np.allclose(np.abs(tile[tile != 0]), math.sqrt(columns / count), rtol=1e-15)


def test_the_first_columns_of_a_gaussian_matrix_do_not_depend_on_how_many_are_drawn() -> None:
    few, many = (rnla.Gaussian().tile(0, 40, 40, columns, Key(2)) for columns in (3, 30))
    assert np.array_equal(few, many[:, :3])


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_single_precision_is_the_rounding_of_double(dtype: str) -> None:
    double = np.result_type(np.float64, dtype)
    for part in PARTS:
        single = part.tile(0, 90, 90, 7, Key(2), dtype=dtype)
        assert np.array_equal(single, part.tile(0, 90, 90, 7, Key(2), dtype=double).astype(dtype))


@pytest.mark.parametrize("word", [*SKETCHES, "Gaussian", "SPARSE-SIGN"])
def test_words_name_the_rows_of_the_table(word: str) -> None:
    assert as_sketch(word) == SKETCHES[word.lower().replace("-", "_")]()
    assert as_sketch(as_sketch(word)) is not None


def test_what_is_no_sketch_is_refused_in_words() -> None:
    with pytest.raises(rnla.InputError, match="'gaussian'"):
        as_sketch("fourier")
    for wrong in (rnla.Gaussian, 3, np.eye(2)):
        with pytest.raises(rnla.DTypeError, match="description"):
            as_sketch(wrong)
    with pytest.raises(rnla.InputError, match="nnz=0"):
        rnla.SparseSign(nnz=0)
    assert as_sketch(None) == rnla.Gaussian()
