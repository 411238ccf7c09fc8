"""Test matrices keep their contract; every row of the table is tried, and other settings of it."""

from __future__ import annotations

import dataclasses
import math
import pickle
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.rng import Key
from rnla.sketch import SKETCHES, as_sketch
from rnla.testing import check_test_matrix
from tests.sketch.parts import ALL, FOURIER, TABLE, dtypes_of, keeps_subspaces


@pytest.mark.statistical
@pytest.mark.parametrize("name", ALL)
def test_conformance(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """False-alarm rate under 3e-10 a part (`check_test_matrix`), over keys; the key is fixed."""
    monkeypatch.setattr("rnla.sketch.khatri_rao._LARGE", 0)  # so that its contraction is checked at a small size
    part = ALL[name]
    check_test_matrix(
        part, dtypes=dtypes_of(part), centred=not isinstance(part, rnla.RowSampling), embeds=keeps_subspaces(part)
    )


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


@dataclasses.dataclass(frozen=True)
class BrokenPower:
    """A sparse sign matrix, or an SRTT, whose second road has one fault."""

    fault: str

    def tile(self, *place: Any, **like: Any) -> Any:
        return (rnla.SRTT() if self.fault.startswith("apply") else rnla.SparseSign()).tile(*place, **like)

    def __getattr__(self, name: str) -> Any:
        if name == "sparse_tile" and self.fault.startswith("CSR"):
            return self._sparse
        if name == "applier" and self.fault.startswith("apply"):
            return self._applier
        raise AttributeError(name)

    def _sparse(self, start: int, stop: int, rows: int, columns: int, key: Key, dtype: Any) -> Any:
        other = key.child("other") if self.fault == "CSR of another key" else key
        out = rnla.SparseSign().sparse_tile(start, stop, rows, columns, other, dtype=dtype)
        return out.tocsc() if self.fault == "CSR that is not" else out

    def _applier(self, rows: int, columns: int, key: Key, dtype: Any, stored: float | None = None) -> Any:
        apply = rnla.SRTT().applier(rows, columns, key, dtype=dtype)
        assert apply is not None
        if self.fault == "apply in double":
            return lambda block: apply(block).astype(np.complex128 if dtype.kind == "c" else np.float64)
        if self.fault == "apply scales":
            return lambda block: apply(block) * dtype.type(1.001)
        return lambda block: apply(block.conj())


FAULTS = [
    "rows counted from the tile", "one key for all", "scaled", "a mean", "columns alike", "rows alike", "double only",
]  # fmt: skip
POWER_FAULTS = ["CSR of another key", "CSR that is not", "apply in double", "apply scales", "apply conjugates"]


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.parametrize("fault", FAULTS)
def test_the_suite_fails_what_is_wrong(fault: str) -> None:
    with pytest.raises(AssertionError):
        check_test_matrix(Broken(fault))


@pytest.mark.parametrize("fault", POWER_FAULTS)
def test_the_suite_fails_a_wrong_power(fault: str) -> None:
    with pytest.raises(AssertionError, match=r"in CSR|block"):
        check_test_matrix(BrokenPower(fault))


def test_the_suite_lets_coordinate_sampling_pass_only_where_it_is_told() -> None:
    for told in ({"centred": True, "embeds": False}, {"centred": False, "embeds": True}):
        with pytest.raises(AssertionError, match=r"mean|stretched"):
            check_test_matrix(rnla.RowSampling(), **told)


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
@pytest.mark.parametrize("name", ALL)
def test_single_precision_is_the_rounding_of_double(name: str, dtype: str) -> None:
    if dtype not in dtypes_of(ALL[name]):
        with pytest.raises(rnla.DTypeError, match="transform='dct'"):
            ALL[name].tile(0, 90, 90, 7, Key(2), dtype=dtype)
        return
    double = np.result_type(np.float64, dtype)
    single = ALL[name].tile(0, 90, 90, 7, Key(2), dtype=dtype)
    assert np.array_equal(single, ALL[name].tile(0, 90, 90, 7, Key(2), dtype=double).astype(dtype))


@pytest.mark.torch
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("name", [*TABLE, *FOURIER])
def test_torch_gets_the_numbers_of_numpy(name: str, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    import array_api_compat

    part = ALL[name]
    if dtype not in dtypes_of(part):
        dtype = "complex64"
    xp = array_api_compat.array_namespace(torch.zeros(1))
    found = part.tile(5, 90, 100, 7, Key(3), dtype=np.dtype(dtype), xp=xp, device=torch.device("cpu"))
    expected = part.tile(5, 90, 100, 7, Key(3), dtype=dtype)
    assert found.dtype == getattr(torch, dtype)
    ulps = 8 if name == "gaussian" else 0  # normals are made on the device
    assert np.all(np.abs(found.numpy() - expected) <= ulps * np.finfo(dtype).eps * np.abs(expected).max())


@pytest.mark.parametrize("word", [*SKETCHES, "Gaussian", "SPARSE-SIGN", "Khatri-Rao"])
def test_words_name_the_rows_of_the_table(word: str) -> None:
    assert as_sketch(word) == SKETCHES[word.lower().replace("-", "_")]()
    assert as_sketch(as_sketch(word)) is not None


@pytest.mark.parametrize("name", ALL)
def test_descriptions_are_values(name: str) -> None:
    """Equal, hashable, picklable, and drawn alike after the journey."""
    part = ALL[name]
    again = pickle.loads(pickle.dumps(part))
    assert again == part
    assert hash(again) == hash(part)
    like = {"dtype": "complex64"}
    assert np.array_equal(again.tile(0, 9, 9, 4, Key(1), **like), part.tile(0, 9, 9, 4, Key(1), **like))
    assert sum(part == other for other in ALL.values()) == 1


def test_what_is_no_sketch_is_refused_in_words() -> None:
    with pytest.raises(rnla.InputError, match="'gaussian'"):
        as_sketch("fourier")
    for wrong in (rnla.Gaussian, 3, np.eye(2)):
        with pytest.raises(rnla.DTypeError, match="description"):
            as_sketch(wrong)
    assert as_sketch(None) == rnla.Gaussian()


REFUSED = {
    "no signs": (lambda: rnla.SparseSign(nnz=0), rnla.InputError, "nnz=0"),
    "no stacks": (lambda: rnla.SparseStack(nnz=0), rnla.InputError, "nnz=0"),
    "half a stack": (lambda: rnla.SparseStack(nnz=0.5), rnla.DTypeError, "nnz must be an integer"),
    "sine": (lambda: rnla.SRTT("dst"), rnla.InputError, "'dct', 'hadamard', 'fourier'"),
    "turns": (lambda: rnla.GivensSRTT("haar"), rnla.InputError, "'dct', 'hadamard', 'fourier'"),
    "no rounds": (lambda: rnla.SRTT(rounds=0), rnla.InputError, "rounds=0"),
    "perhaps": (lambda: rnla.SRTT(permute="no"), rnla.DTypeError, "permute"),
    "no factors": (lambda: rnla.KhatriRao(()), rnla.InputError, "empty"),
    "a factor of no rows": (lambda: rnla.KhatriRao((3, 0)), rnla.InputError, "factors=0"),
    "a base that is none": (lambda: rnla.KhatriRao(base="gaussian"), rnla.DTypeError, "base must be"),
    "few rows": (lambda: rnla.KhatriRao((2, 3)).tile(0, 7, 7, 1, Key(0)), rnla.InputError, "has 6 rows and .* 7"),
    "a negative weight": (lambda: rnla.RowSampling([1, -1]), rnla.InputError, "none negative"),
    "no weight": (lambda: rnla.RowSampling([0, 0]), rnla.InputError, "not all zero"),
    "a weight of NaN": (lambda: rnla.RowSampling([1, math.nan]), rnla.InputError, "finite"),
    "a table of weights": (lambda: rnla.RowSampling(np.ones((2, 2))), rnla.InputError, "vector"),
    "words for weights": (lambda: rnla.RowSampling(["a"]), rnla.DTypeError, "real numbers"),
    "weights once": (lambda: rnla.RowSampling([1, 1], replace=False), rnla.InputError, "replace=True"),
    "replace=2": (lambda: rnla.RowSampling(replace=2), rnla.DTypeError, "replace"),
    "3 weights": (lambda: rnla.RowSampling([1, 1, 1]).tile(0, 2, 2, 1, Key(0)), rnla.InputError, "3 weights .* 2 rows"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_settings_are_refused_in_words(case: str) -> None:
    make, error, words = REFUSED[case]
    with pytest.raises(error, match=words):
        make()


# Rows of the 4 by 4 matrix of one key, by the signs of their entries: the same bits everywhere and for good.
GOLDEN = {
    "SparseStack(nnz=2)": ["0++0", "+0-0", "-00-", "+0+0"],
    "CountSketch()": ["000+", "0+00", "0-00", "+000"],
    "SparseSign(nnz=2)": ["0+0+", "+-00", "0--0", "+0+0"],
    "Rademacher()": ["+---", "-+++", "----", "++--"],
    "SRTT('hadamard')": ["-++-", "++++", "+-+-", "++--"],
    "RowSampling()": ["+000", "0+00", "000+", "00+0"],
}


@pytest.mark.parametrize("call", GOLDEN)
def test_golden_signs_and_places(call: str) -> None:
    part = eval(f"rnla.{call}", {"rnla": rnla})
    tile = part.tile(0, 4, 4, 4, Key(7).child("test-matrix", 0))
    assert ["".join("-0+"[int(sign) + 1] for sign in row) for row in np.sign(tile)] == GOLDEN[call]
