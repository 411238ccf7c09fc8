"""Rows C: data types, memory layouts and containers."""

from __future__ import annotations

import math
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import rnla
from tests.bad_input.cases import (
    METHODS,
    PRODUCTS_ONLY,
    Operator,
    assert_right,
    assert_untouched,
    decaying,
    every_dtype,
    every_entry,
    every_method,
    host,
    host_dtype,
    run,
    strict,
    tensor,
    with_spectrum,
)

INTEGERS = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def whole_numbers(dtype: str) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(1)
    if dtype == "bool":
        return rng.integers(0, 2, (90, 30)).astype(bool)
    low = 0 if dtype.startswith("u") else -100
    return rng.integers(low, 100, (90, 30)).astype(dtype)


# ------------------------------------------------------------------------------------------ C1, C2, C3, C5
@every_method
@pytest.mark.parametrize("dtype", INTEGERS)
def test_C1_integers_are_float64_before_anything_is_drawn(dtype: str, method: str) -> None:
    A = whole_numbers(dtype)
    with assert_untouched(A):
        result = run(A, 10, method)
    expected = run(A.astype(float), 10, method)
    assert result.U.dtype == result.s.dtype == np.float64
    assert result.report.dtype_path == f"{dtype} -> float64"
    assert np.allclose(result.s, expected.s, rtol=1e-13)
    assert result.error.value == pytest.approx(expected.error.value, rel=1e-10)
    if method == "full_svd":
        assert np.allclose(result.s, np.linalg.svd(A.astype(float))[1][:10], rtol=1e-13)


@pytest.mark.parametrize("container", ["csr", "strict", "torch", "memmap", "operator", "list"])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_C1_integers_in_every_container(dtype: str, container: str, tmp_path: Path) -> None:
    A = whole_numbers(dtype)
    np.save(tmp_path / "a.npy", A)
    given: Any = {
        "csr": scipy.sparse.csr_array,
        "strict": strict,
        "torch": tensor,
        "memmap": lambda _: tmp_path / "a.npy",
        "operator": Operator,
        "list": lambda x: x.tolist(),
    }[container](A)
    result = rnla.svd(given, 5, method=METHODS["subspace_iteration"], rng=3)
    expected = rnla.svd(A.astype(float), 5, method=METHODS["subspace_iteration"], rng=3)
    assert host_dtype(result.s) == host_dtype(result.U) == np.float64
    assert np.allclose(host(result.s), expected.s, rtol=1e-12)


@pytest.mark.parametrize("container", ["array", "list", "csr", "strict", "torch", "memmap"])
@pytest.mark.parametrize("value", [2**53 + 1, -(2**60), 2**63 + 5], ids=["int64", "negative", "uint64"])
def test_C1_integers_beyond_2_to_53_warn(value: int, container: str, tmp_path: Path) -> None:
    A = np.ones((20, 8), dtype="uint64" if value >= 2**63 else "int64")
    A[3, 4] = value
    if A.dtype == np.uint64 and container in {"list", "torch"}:
        pytest.skip("NumPy makes such lists float64, and torch has no order on uint64")
    np.save(tmp_path / "a.npy", A)
    given: Any = {
        "array": lambda x: x,
        "list": lambda x: x.tolist(),
        "csr": scipy.sparse.csr_array,
        "strict": strict,
        "torch": tensor,
        "memmap": lambda _: tmp_path / "a.npy",
    }[container](A)
    if container == "memmap":
        # Reading all of a file for a warning would cost a pass; the dtype path says what was done.
        assert rnla.svd(given, 1, rng=0).report.dtype_path.endswith("-> float64")
        return
    with pytest.warns(rnla.AccuracyWarning, match=r"rounded to float64, which is exact to 2\*\*53 only"):
        result = rnla.svd(given, 1, rng=0)
    assert float(result.s[0]) == pytest.approx(abs(value), rel=1e-12)


@every_method
@pytest.mark.parametrize("container", ["array", "torch-float16", "torch-bfloat16", "memmap"])
def test_C2_half_precision_is_computed_and_comes_home_in_single(container: str, method: str, tmp_path: Path) -> None:
    A = decaying().astype("float16")
    given: Any = A
    if container == "memmap":
        np.save(tmp_path / "a.npy", A)
        given = tmp_path / "a.npy"
    elif container != "array":
        torch = pytest.importorskip("torch")
        given = torch.from_numpy(A).to(getattr(torch, container.removeprefix("torch-")))
        A = given.to(torch.float32).numpy()
    result = run(given, 5, method)
    assert host_dtype(result.U) == host_dtype(result.s) == host_dtype(result.Vh) == np.float32
    assert "-> float32" in result.report.dtype_path
    assert_right(result, A.astype("float32"))


def test_C2_half_precision_at_its_ends_does_not_overflow() -> None:
    A = np.full((300, 200), 60000, dtype="float16")
    result = rnla.svd(A, 1, rng=0)
    assert result.s[0] == pytest.approx(60000 * math.sqrt(60000), rel=1e-3)


WRONG_DTYPES: dict[str, tuple[Callable[[], Any], str]] = {
    "C3-longdouble": (lambda: decaying().astype(np.longdouble), r"\.astype\(float\)"),
    "C3-clongdouble": (lambda: decaying().astype(np.clongdouble), r"\.astype\(complex\)"),
    "C3-longdouble-csr": (lambda: scipy.sparse.csr_array(decaying().astype(np.longdouble)), r"\.astype\(float\)"),
    "C5-object": (lambda: decaying().astype(object), "dtype object; numbers are needed"),
    "C5-text": (lambda: decaying().astype(str), "numbers are needed"),
    "C5-bytes": (lambda: decaying().astype("S8"), "numbers are needed"),
    "C5-datetime": (lambda: np.zeros((9, 5), "datetime64[s]"), "numbers are needed"),
    "C5-timedelta": (lambda: np.zeros((9, 5), "timedelta64[s]"), "numbers are needed"),
    "C5-structured": (lambda: np.zeros((9, 5), [("a", "f8")]), "numbers are needed"),
    "C5-void": (lambda: np.zeros((9, 5), "V4"), "numbers are needed"),
    "C5-text-list": (lambda: [["a", "b"], ["c", "d"]], "numbers are needed"),
    "C5-mixed-list": (lambda: [[1, None], [2, 3]], "numbers are needed"),
}


@every_entry
@pytest.mark.parametrize("wrong", WRONG_DTYPES)
def test_C3_C5_types_that_are_no_numbers(wrong: str, entry: Any) -> None:
    make, message = WRONG_DTYPES[wrong]
    with pytest.raises(rnla.DTypeError, match=message):
        entry(make(), 1)


# --------------------------------------------------------------------------------------------------------- C4
COMPLEX = {
    "array": lambda x: x,
    "fortran": np.asfortranarray,
    "csr": scipy.sparse.csr_array,
    "csc": scipy.sparse.csc_matrix,
    "operator": Operator,
    "strict": strict,
    "torch": tensor,
    "linear-operator": scipy.sparse.linalg.aslinearoperator,
}


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("container", COMPLEX.values(), ids=COMPLEX.keys())
@pytest.mark.parametrize("shape", [(90, 30), (30, 90), (48, 48)], ids=["tall", "wide", "square"])
@pytest.mark.parametrize("method", PRODUCTS_ONLY)
def test_C4_complex_is_adjoint_and_never_transpose(method: str, shape: Any, container: Any, dtype: str) -> None:
    A = decaying(shape, dtype)
    assert_right(run(container(A), method=method), A)


@every_method
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_C4_a_phase_turns_the_factors_and_nothing_else(dtype: str, method: str) -> None:
    A = decaying(dtype=dtype)
    turned = (1j * A).astype(dtype)
    first, second = run(A, method=method), run(turned, method=method)
    bound = 100 * np.finfo(dtype).eps
    assert np.allclose(first.s, second.s, rtol=0, atol=bound)
    assert first.error.value == pytest.approx(second.error.value, rel=1e-4)
    U, s, Vh = second
    assert np.linalg.norm((U * s) @ Vh - 1j * ((first.U * first.s) @ first.Vh)) <= 10 * bound
    assert_right(run(A.conj(), method=method), A.conj())


# ------------------------------------------------------------------------------------------------ C6, C7, C8
def _unaligned(A: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    raw = np.zeros(A.nbytes + 1, dtype=np.uint8)
    view = raw[1:].view(A.dtype).reshape(A.shape)
    view[...] = A
    assert not view.flags.aligned
    return view


def _read_only(A: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    A = A.copy()
    A.flags.writeable = False
    return A


LAYOUTS: dict[str, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]] = {
    "C6-big-endian": lambda A: A.astype(A.dtype.newbyteorder(">")),
    "C6-big-endian-fortran": lambda A: np.asfortranarray(A.astype(A.dtype.newbyteorder(">"))),
    "C7-read-only": _read_only,
    "C8-fortran": np.asfortranarray,
    "C8-negative-rows": lambda A: A[::-1].copy()[::-1],
    "C8-negative-columns": lambda A: A[:, ::-1].copy()[:, ::-1],
    "C8-every-other-row": lambda A: np.repeat(A, 2, axis=0)[::2],
    "C8-every-other-column": lambda A: np.repeat(A, 2, axis=1)[:, ::2],
    "C8-window": lambda A: np.pad(A, 3)[3:-3, 3:-3],
    "C8-unaligned": _unaligned,
    "C8-subclass": lambda A: A.view(type("Own", (np.ndarray,), {})),
}


@every_method
@every_dtype
@pytest.mark.parametrize("layout", LAYOUTS)
def test_C6_C7_C8_layouts_give_the_same_numbers(layout: str, dtype: str, method: str) -> None:
    A = decaying(dtype=dtype)
    given = LAYOUTS[layout](A)
    with assert_untouched(given):
        result = run(given, method=method)
    assert type(result.U) is np.ndarray
    assert result.U.dtype == A.dtype
    assert result.U.dtype.isnative
    assert_right(result, A)
    assert np.allclose(result.s, run(A, method=method).s, rtol=0, atol=50 * np.finfo(dtype).eps)


@every_method
@pytest.mark.parametrize("axis", [0, 1], ids=["same-rows", "same-columns"])
def test_C8_zero_strides(axis: int, method: str) -> None:
    line = np.linspace(1, 2, 30 if axis == 0 else 90)
    A = np.broadcast_to(line if axis == 0 else line[:, None], (90, 30))
    result = run(A, 1, method)
    assert result.rank == 1
    assert_right(result, np.ascontiguousarray(A))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", ">f8", "int16"])
def test_C8_memory_maps_are_read_in_place_and_not_written(dtype: str, order: Any, tmp_path: Path) -> None:
    A = (100 * decaying((400, 30), "complex128" if dtype.startswith("c") else "float64")).astype(dtype)
    path = tmp_path / "a.bin"
    mapped = np.memmap(path, dtype=dtype, mode="w+", shape=A.shape, order=order)
    mapped[...] = A
    mapped.flush()
    before = path.read_bytes()
    result = rnla.svd(np.memmap(path, dtype=dtype, mode="r", shape=A.shape, order=order), 5, rng=0)
    assert path.read_bytes() == before
    assert result.report.copies == ()
    native = A.astype(np.dtype(dtype).newbyteorder("=")) if dtype != "int16" else A.astype(float)
    exact = np.linalg.svd(native.astype(np.complex128), compute_uv=False)
    assert np.allclose(result.s, exact[:5], rtol=0, atol=1e-5 * exact[0])


# ----------------------------------------------------------------------------------- C9, C10, C11, C12
class WithUnits(np.ndarray):
    unit = "metre"


@every_entry
def test_C9_matrix_objects_are_refused_with_the_cure(entry: Any) -> None:
    A = decaying((12, 9)).view(np.matrix)
    with pytest.raises(rnla.DTypeError, match=r"np\.matrix is refused .*np\.asarray\(A\)"):
        entry(A, 1)


@every_entry
def test_C10_masked_entries_are_refused_and_an_empty_mask_is_not(entry: Any) -> None:
    A = np.ma.masked_array(decaying((12, 9), rank=9), mask=False)
    entry(A, 4)
    A[2, 3] = np.ma.masked
    with pytest.raises(rnla.InputError, match=r"masked entries.*fill them first"):
        entry(A, 4)


def test_C10_an_empty_mask_gives_the_data() -> None:
    data = decaying()
    A = np.ma.masked_array(data, mask=False)
    result = rnla.svd(A, 4, rng=0)
    assert type(result.U) is np.ndarray
    assert np.array_equal(result.s, rnla.svd(data, 4, rng=0).s)


@every_entry
def test_C11_units_are_refused_in_words(entry: Any) -> None:
    with pytest.raises(rnla.DTypeError, match=r"WithUnits carries units.*np\.asarray\(A\)"):
        entry(decaying((12, 9)).view(WithUnits), 1)


class Frame:
    """A table with mixed columns, as data frames convert."""

    def __init__(self, values: np.ndarray[Any, Any]) -> None:
        self._values, self.shape = values, values.shape

    def to_numpy(self) -> np.ndarray[Any, Any]:
        return self._values


class Labelled:
    """An array with labels, as xarray has them."""

    def __init__(self, values: np.ndarray[Any, Any]) -> None:
        self.values, self.shape, self.dtype = values, values.shape, values.dtype


Labelled.__module__ = "xarray.core.dataarray"

LISTS: dict[str, Callable[[np.ndarray[Any, Any]], Any]] = {
    "list": lambda A: A.tolist(),
    "tuple": lambda A: tuple(map(tuple, A.tolist())),
    "list-of-arrays": list,
    "data-frame": Frame,
    "labelled-array": Labelled,
}


@every_method
@pytest.mark.parametrize("kind", LISTS)
def test_C12_lists_and_tables_are_taken_when_numeric(kind: str, method: str) -> None:
    A = decaying()
    assert np.array_equal(run(LISTS[kind](A), method=method).s, run(A, method=method).s)


@every_entry
def test_C12_ragged_lists_and_tables_of_words(entry: Any) -> None:
    with pytest.raises(rnla.InputError, match="ragged: every row must have the same length"):
        entry([[1.0, 2.0], [3.0]], 1)
    with pytest.raises(rnla.DTypeError, match="numbers are needed"):
        entry(Frame(np.array([["a", 1], ["b", 2]], dtype=object)), 1)


# ----------------------------------------------------------------------------------- C13, C14, C15, C16
FORMATS = ["csr", "csc", "coo", "dia", "dok", "lil", "bsr"]


def some_sparse(dtype: Any = "float64") -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(4)
    A = decaying((60, 40), dtype, 40) * (rng.random((60, 40)) < 0.3)
    A[17], A[:, 5] = 0, 0
    return A.astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128", "int32", "bool"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("form", FORMATS)
def test_C13_every_sparse_format_and_kind(form: str, kind: str, dtype: str) -> None:
    dense = (100 * some_sparse("complex128" if dtype.startswith("c") else "float64")).astype(dtype)
    A = getattr(scipy.sparse, f"{form}_{kind}")(dense)
    reference = dense.astype(np.result_type(dtype, "float32") if dtype != "bool" else float)
    for method in PRODUCTS_ONLY:
        with assert_untouched(A):
            result = run(A, 8, method)
        # The same request of the same numbers held dense takes the same test matrix and the same steps.
        planned = rnla.svd(reference, 8, method=result.report.plan.method, rng=5) if method == "auto" else None
        expected = run(reference, 8, method) if planned is None else planned
        assert type(result.U) is np.ndarray
        assert result.U.dtype == (np.float64 if dtype in {"int32", "bool"} else dtype)
        k = min(result.rank, expected.rank)
        tolerance = 1e-3 if method == "adaptive" else 1e4 * np.finfo(result.U.dtype).eps
        assert np.allclose(result.s[:k], expected.s[:k], rtol=0, atol=tolerance * expected.s[0])


def _duplicates() -> Any:
    rows, columns = np.array([0, 0, 3, 3, 3, 7]), np.array([1, 1, 4, 2, 4, 0])
    return scipy.sparse.coo_array((np.array([1.0, 2.0, 5.0, 1.0, -1.0, 3.0]), (rows, columns)), shape=(12, 9))


def _unsorted() -> Any:
    A = scipy.sparse.csr_array(some_sparse())
    for start, stop in zip(A.indptr[:-1], A.indptr[1:], strict=True):
        A.indices[start:stop] = A.indices[start:stop][::-1].copy()
        A.data[start:stop] = A.data[start:stop][::-1].copy()
    A.has_sorted_indices = False
    return A


def _csr_duplicates() -> Any:
    A = _duplicates()
    counts = np.bincount(A.row, minlength=12)
    return scipy.sparse.csr_array((A.data, A.col, np.r_[0, np.cumsum(counts)]), shape=A.shape)


def _explicit_zeros() -> Any:
    A = scipy.sparse.csr_array(some_sparse())
    A.data[::3] = 0.0
    return A


def _long_indices() -> Any:
    A = scipy.sparse.csr_array(some_sparse())
    A.indices, A.indptr = A.indices.astype(np.int64), A.indptr.astype(np.int64)
    return A


def _read_only_sparse() -> Any:
    A = _csr_duplicates()
    for part in (A.data, A.indices, A.indptr):
        part.flags.writeable = False
    return A


ODD_SPARSE = {
    "duplicates-coo": _duplicates,
    "duplicates-csr": _csr_duplicates,
    "unsorted": _unsorted,
    "explicit-zeros": _explicit_zeros,
    "int64-indices": _long_indices,
    "read-only": _read_only_sparse,
    "nothing-stored": lambda: scipy.sparse.csr_array((30, 20)),
}


@pytest.mark.filterwarnings("ignore::rnla.RankWarning")
@pytest.mark.parametrize("odd", ODD_SPARSE)
@pytest.mark.parametrize("method", PRODUCTS_ONLY)
def test_C14_odd_sparse_structures_are_put_in_order_without_changing_them(method: str, odd: str) -> None:
    A = ODD_SPARSE[odd]()
    with assert_untouched(A):
        result = run(A, 3, method)
    planned = rnla.svd(A.toarray(), 3, method=result.report.plan.method, rng=5) if method == "auto" else None
    dense = run(A.toarray(), 3, method) if planned is None else planned
    k = min(result.rank, dense.rank)
    assert k >= 3 or odd == "nothing-stored"
    assert np.allclose(result.s[:k], dense.s[:k], rtol=0, atol=1e-3 if method == "adaptive" else 1e-10)


def _damaged(form: str, damage: str) -> Any:
    A = getattr(scipy.sparse, f"{form}_array")(some_sparse())
    if form == "coo":
        row, column = (x.copy() for x in A.coords)
        value = {"too-large": 10**6, "negative": -1}[damage]
        row[3] = value
        A.coords = (row, column)
        return A
    if damage == "too-large":
        A.indices[3] = 10**6
    elif damage == "negative":
        A.indices[3] = -1
    elif damage == "indptr-falls":
        A.indptr[4] = A.indptr[9]
    elif damage == "indptr-beyond":
        A.indptr[-1] += 1000
    elif damage == "indptr-start":
        A.indptr[0] = 3
    elif damage == "short-data":
        A.data = A.data[:-5]
    return A


COMPRESSED = ["too-large", "negative", "indptr-falls", "indptr-beyond", "indptr-start", "short-data"]
DAMAGED = [(form, damage) for form in ("csr", "csc", "bsr") for damage in COMPRESSED]
DAMAGED += [("coo", "too-large"), ("coo", "negative")]


@every_entry
@pytest.mark.parametrize(("form", "damage"), DAMAGED, ids=["-".join(pair) for pair in DAMAGED])
def test_C15_damaged_indices_never_reach_a_product(form: str, damage: str, entry: Any) -> None:
    with pytest.raises(rnla.IntegrityError, match=rf"the {form} matrix is damaged.*check_format\(full_check=True\)"):
        entry(_damaged(form, damage), 2)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf], ids=str)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("method", PRODUCTS_ONLY)
def test_C16_stored_entries_that_are_not_finite_are_named(method: str, form: str, bad: float) -> None:
    dense = some_sparse()
    dense[23, 11] = bad
    with pytest.raises(rnla.NonFiniteError, match="NaN or infinity, first in row 23, column 11; remove or impute"):
        run(getattr(scipy.sparse, f"{form}_array")(dense), 3, method)


# ------------------------------------------------------------------------------------------ C17, C18, C19
def test_C17_extending_with_an_array_of_another_library_names_both() -> None:
    A = decaying((60, 40))
    result = rnla.svd(A, 3, method=METHODS["subspace_iteration"], rng=0)
    for other, name in ((strict(A), "array_api_strict"), (tensor(A), "torch")):
        with pytest.raises(rnla.BackendError, match=f"{name}.*numpy|numpy.*{name}"):
            result.extend(8, A=other)


def test_C17_extending_on_another_device_names_both() -> None:
    A = decaying((60, 40))
    result = rnla.svd(strict(A), 3, method=METHODS["subspace_iteration"], rng=0)
    with pytest.raises(rnla.BackendError, match=r"device1.*CPU_DEVICE|CPU_DEVICE.*device1"):
        result.extend(8, A=strict(A, "device1"))


def test_C17_an_operator_that_answers_in_another_library_is_refused() -> None:
    torch = pytest.importorskip("torch")

    def to_torch(y: Any) -> Any:
        return torch.from_numpy(y)

    with pytest.raises(
        (rnla.OperatorError, rnla.BackendError), match="returned a Tensor for arrays of another library"
    ):
        rnla.svd(Operator(decaying(), to_torch), 3, rng=0)


def test_C18_a_tensor_that_records_gradients_is_refused_with_the_cure() -> None:
    A = tensor(decaying()).requires_grad_()
    with pytest.raises(rnla.DTypeError, match=r"requires gradients.*A\.detach\(\)"):
        rnla.svd(A, 3)
    with pytest.raises(rnla.DTypeError, match=r"requires gradients.*A\.detach\(\)"):
        rnla.plan(A, 3)
    assert_right(rnla.svd(A.detach(), 6, rng=0), decaying())


@every_method
@pytest.mark.parametrize("view", ["conj", "adjoint", "transpose", "slices", "neg"])
def test_C18_lazy_views_of_tensors_are_read_as_what_they_mean(view: str, method: str) -> None:
    A = decaying((48, 48), "complex128")
    given = tensor(A)
    if view == "conj":
        given, A = given.conj(), A.conj()
        assert given.is_conj()
    elif view == "adjoint":
        given, A = given.mH, A.conj().T
        assert given.is_conj()
    elif view == "transpose":
        given, A = given.mT, A.T
    elif view == "slices":
        given, A = given[::2, 1::2], A[::2, 1::2]
        assert not given.is_contiguous()
    else:
        given, A = given.conj().imag, A.conj().imag
        assert given.is_neg()
    with assert_untouched(given):
        assert_right(run(given, method=method), np.ascontiguousarray(A))


@every_entry
@pytest.mark.parametrize("kind", ["coo", "csr"])
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_C18_sparse_tensors_are_refused_with_the_cure(kind: str, entry: Any) -> None:
    A = tensor(decaying((12, 9)))
    given = A.to_sparse() if kind == "coo" else A.to_sparse_csr()
    with pytest.raises(rnla.DTypeError, match=rf"layout torch\.sparse_{kind} is not taken; pass a SciPy sparse matrix"):
        entry(given, 1)


@every_entry
def test_C18_meta_tensors_are_refused_in_words(entry: Any) -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(rnla.DTypeError, match=r"meta tensor: it holds no numbers.*pass a concrete array"):
        entry(torch.empty((12, 9), device="meta"), 1)


@every_entry
def test_C19_tracers_are_refused_in_words(entry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for what jit hands over: the front door looks at the class alone and touches no value."""

    class Tracer:
        shape, dtype, ndim, size = (12, 9), np.dtype("float32"), 2, 108

        def __array_namespace__(self, api_version: str | None = None) -> Any:
            return types.SimpleNamespace(__name__="jax.numpy")

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            raise AssertionError("a tracer has no value")

        def __bool__(self) -> bool:
            raise AssertionError("a tracer has no value")

    Tracer.__module__ = "jax._src.interpreters.partial_eval"
    fake = types.ModuleType("jax")
    fake.core = types.SimpleNamespace(Tracer=Tracer)  # type: ignore[attr-defined]
    fake.Array = Tracer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jax", fake)
    with pytest.raises(rnla.DTypeError, match=r"JAX tracer \(inside jit, grad or vmap\): it holds no numbers"):
        entry(Tracer(), 1)


# --------------------------------------------------------------------------------------------------------- C20
def _mutable(kind: str) -> tuple[Any, Callable[[], None]]:
    A = decaying((90, 30), rank=30)
    given: Any = {"array": lambda x: x, "csr": scipy.sparse.csr_array, "strict": strict, "torch": tensor}.get(
        kind, Operator
    )(A)
    data = {"csr": lambda: given.data, "operator": lambda: given.A}.get(kind, lambda: given)()

    def change() -> None:
        data[: data.shape[0] // 2, ...] *= 3

    return given, change


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["array", "csr", "strict", "torch", "operator"])
def test_C20_what_the_caller_changes_later_changes_no_result(kind: str, method: str) -> None:
    if kind in {"csr", "operator"} and method not in PRODUCTS_ONLY:
        pytest.skip("the method reads entries and says so")
    A, change = _mutable(kind)
    result = run(A, 5, method)
    before = [host(x).copy() for x in result]
    error = str(result.error)
    change()
    assert all(np.array_equal(old, host(new)) for old, new in zip(before, result, strict=True))
    assert str(result.error) == error
    more = min(30, result.rank + 6)
    with pytest.raises(rnla.InputError, match=r"this one (multiplies differently|has entries of another size)"):
        result.extend(more)


@pytest.mark.parametrize("method", ["subspace_iteration", "gram_eigh", "tall_qr", "full_svd"])
def test_C20_a_change_that_the_first_vector_does_not_see_is_seen(method: str) -> None:
    A = with_spectrum((90, 30), 0.5 ** np.arange(30))
    result = run(A, 8, method)
    u, v = np.asarray(result.U)[:, 6], np.asarray(result.Vh)[6]
    A += np.outer(u, v.conj())
    with pytest.raises(rnla.InputError, match="multiplies differently"):
        result.extend(12)


@every_method
def test_C20_factors_share_no_memory_with_the_matrix_or_each_other(method: str) -> None:
    A = np.eye(12, 8)
    result = run(A, 8, method)
    assert not np.shares_memory(result.U, A)
    assert not np.shares_memory(result.Vh, A)
    assert not np.shares_memory(result.U, result.Vh)


@every_method
@every_dtype
def test_C20_no_call_writes_in_its_input(dtype: str, method: str) -> None:
    A = decaying(dtype=dtype)
    with assert_untouched(A):
        result = run(A, 4, method)
        rnla.plan(A, 4)
        result.extend(max(8, result.rank))
