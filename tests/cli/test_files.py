"""Matrix files: sound ones open as they were saved; damaged, lying and hostile ones get one clear line."""

from __future__ import annotations

import contextlib
import gzip
import importlib
import io
import json
import os
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from rnla import config
from rnla.cli.files import OpenedMatrix, open_matrix
from rnla.cli.readers import opened as opened_module
from rnla.errors import BudgetError, DTypeError, InputError, IntegrityError, RnlaError

A = np.arange(12.0).reshape(4, 3)
BANNER = "%%MatrixMarket matrix"


# ----------------------------------------------------------------------------------------------- writing files
def npy_bytes(array: np.ndarray[Any, Any] = A) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def npy_header(text: str, version: bytes = b"\x01\x00") -> bytes:
    raw = text.encode("latin-1")
    width = 2 if version == b"\x01\x00" else 4
    return b"\x93NUMPY" + version + len(raw).to_bytes(width, "little") + raw


def npz(path: Path, members: dict[str, Any], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, value in members.items():
            archive.writestr(name, value if isinstance(value, bytes) else npy_bytes(np.asarray(value)))
    return path


def sparse_npz(path: Path, form: str = "csr", shape: tuple[int, ...] = (3, 4), **parts: Any) -> Path:
    members = {"format": np.array(form.encode()), "shape": np.array(shape), **parts}
    return npz(path, {f"{name}.npy": value for name, value in members.items()})


def text(path: Path, content: str) -> Path:
    path.write_bytes(content.encode("latin-1"))
    return path


def raw(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def values(opened: OpenedMatrix) -> np.ndarray[Any, Any]:
    array = opened.array
    return np.asarray(array.toarray() if scipy.sparse.issparse(array) else array[:, :])


def h5(path: Path, fill: Callable[[Any], object]) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        fill(file)
    return path


def zarr_store(path: Path, array: np.ndarray[Any, Any] = A + 1, **options: Any) -> Path:
    zarr = pytest.importorskip("zarr")
    options = {"chunks": (2, 2), **options}
    zarr.create_array(str(path), data=array, **options)
    return path


def edited_zarr(path: Path, edit: Callable[[dict[str, Any]], object], **options: Any) -> Path:
    zarr_store(path, **options)
    file = path / ("zarr.json" if (path / "zarr.json").exists() else ".zarray")
    meta = json.loads(file.read_text())
    edit(meta)
    file.write_text(json.dumps(meta))
    return path


def large_hdf5_chunk(file: Any) -> None:
    file.create_dataset("a", shape=(10**4, 10**4), chunks=(10**4, 10**4), dtype="f8")


def external_link(path: Path) -> Path:
    h5py = pytest.importorskip("h5py")
    h5(path.with_name("other.h5"), lambda file: file.create_dataset("a", data=A))
    return h5(path, lambda file: file.__setitem__("a", h5py.ExternalLink("other.h5", "/a")))


def external_raw(path: Path) -> Path:
    secret = raw(path.with_name("secret.bin"), A.tobytes())
    return h5(path, lambda file: file.create_dataset("a", A.shape, "f8", external=[(str(secret), 0, A.nbytes)]))


def virtual(path: Path) -> Path:
    h5py = pytest.importorskip("h5py")
    other = h5(path.with_name("other.h5"), lambda file: file.create_dataset("a", data=A))
    layout = h5py.VirtualLayout(A.shape, "f8")
    layout[:] = h5py.VirtualSource(str(other), "a", A.shape)
    return h5(path, lambda file: file.create_virtual_dataset("a", layout))


def missing_filter(path: Path) -> Path:
    h5py = pytest.importorskip("h5py")

    def fill(file: Any) -> None:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((2, 3))
        plist.set_filter(32999, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple(A.shape)
        h5py.h5d.create(file.id, b"a", h5py.h5t.NATIVE_DOUBLE, space, plist)

    return h5(path, fill)


def truncated(path: Path, share: float) -> Path:
    content = path.read_bytes()
    return raw(path, content[: int(len(content) * share)])


class Explosive:
    """Leaves a mark where something unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("unpickled",))


# ------------------------------------------------------------------------------ rows of bad input, one test each
EIGHT_TB = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }\n"
SMALL_INDEX = {"data": np.ones(2), "indices": np.array([0, 1]), "indptr": np.array([0, 1, 2, 2])}

ROWS: list[tuple[str, Callable[[Path], Path], type[Exception], str]] = [
    # npy
    ("F1-object", lambda d: raw(d / "a.npy", npy_bytes(np.array([[Explosive()]]))), DTypeError, "pickled objects"),
    ("F2-8TB", lambda d: raw(d / "a.npy", npy_header(EIGHT_TB) + A.tobytes()), BudgetError, "8 TB"),
    ("F3-truncated", lambda d: truncated(raw(d / "a.npy", npy_bytes()), 0.9), IntegrityError, "truncated"),
    ("F3-trailing", lambda d: raw(d / "a.npy", npy_bytes() + b"x"), IntegrityError, "trailing"),
    (
        "F3-negative",
        lambda d: raw(d / "a.npy", npy_header(EIGHT_TB.replace("(1000000, 1000000)", "(-4, -3)")) + A.tobytes()),
        IntegrityError,
        "damaged npy header",
    ),
    (
        "F3-deep",
        lambda d: raw(d / "a.npy", npy_header("(" * 4000 + ")" * 4000)),
        IntegrityError,
        "damaged npy header",
    ),
    ("F3-cut-header", lambda d: raw(d / "a.npy", npy_bytes()[:40]), IntegrityError, "damaged npy header"),
    (
        "F3-huge-header",
        lambda d: raw(d / "a.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff{"),
        IntegrityError,
        "damaged npy header",
    ),
    ("F3-version", lambda d: raw(d / "a.npy", b"\x93NUMPY\x09\x00" + bytes(200)), IntegrityError, "version 9.0"),
    # npz
    (
        "F5-bomb",
        lambda d: npz(d / "a.npz", {"a.npy": np.zeros((2000, 2000))}),
        BudgetError,
        "unpacking",
    ),
    ("F6-path", lambda d: npz(d / "a.npz", {"../../evil.npy": A}), IntegrityError, "not a plain array name"),
    ("F6-absolute", lambda d: npz(d / "a.npz", {"/etc/evil.npy": A}), IntegrityError, "not a plain array name"),
    ("F6-not-npy", lambda d: npz(d / "a.npz", {"evil.py": b"print()"}), IntegrityError, "not a plain array name"),
    (
        "F7-index-too-large",
        lambda d: sparse_npz(d / "a.npz", **{**SMALL_INDEX, "indices": np.array([0, 4])}),
        IntegrityError,
        "column index",
    ),
    (
        "F7-index-negative",
        lambda d: sparse_npz(d / "a.npz", **{**SMALL_INDEX, "indices": np.array([0, -1])}),
        IntegrityError,
        "column index",
    ),
    (
        "F7-pointers-fall",
        lambda d: sparse_npz(d / "a.npz", **{**SMALL_INDEX, "indptr": np.array([0, 2, 1, 2])}),
        IntegrityError,
        "indptr",
    ),
    (
        "F7-pointers-too-far",
        lambda d: sparse_npz(d / "a.npz", **{**SMALL_INDEX, "indptr": np.array([0, 1, 2, 900])}),
        IntegrityError,
        "indptr",
    ),
    (
        "F7-pointers-short",
        lambda d: sparse_npz(d / "a.npz", **{**SMALL_INDEX, "indptr": np.array([0, 2])}),
        IntegrityError,
        "indptr",
    ),
    (
        "F7-csc",
        lambda d: sparse_npz(d / "a.npz", "csc", (4, 3), **{**SMALL_INDEX, "indices": np.array([0, 4])}),
        IntegrityError,
        "row index",
    ),
    (
        "F7-coo",
        lambda d: sparse_npz(d / "a.npz", "coo", data=np.ones(1), row=np.array([3]), col=np.array([0])),
        IntegrityError,
        "row index",
    ),
    (
        "F7-coo-uint64",
        lambda d: sparse_npz(
            d / "a.npz", "coo", data=np.ones(1), row=np.array([2**64 - 1], dtype=np.uint64), col=np.array([0])
        ),
        IntegrityError,
        "row index",
    ),
    (
        "F7-bsr",
        lambda d: sparse_npz(
            d / "a.npz", "bsr", (2, 2), data=np.ones((1, 2, 2)), indices=np.array([1]), indptr=np.array([0, 1])
        ),
        IntegrityError,
        "block column",
    ),
    (
        "F7-dia",
        lambda d: sparse_npz(d / "a.npz", "dia", data=np.ones((1, 4)), offsets=np.array([9])),
        IntegrityError,
        "diagonal",
    ),
    (
        "F7-float-index",
        lambda d: sparse_npz(d / "a.npz", **{**SMALL_INDEX, "indices": np.array([0.0, 1.0])}),
        IntegrityError,
        "integers",
    ),
    (
        "F7-huge-shape",
        lambda d: sparse_npz(d / "a.npz", "coo", (10**15, 2), data=np.ones(1), row=np.array([0]), col=np.array([0])),
        BudgetError,
        "as CSR",
    ),
    ("F7-format", lambda d: sparse_npz(d / "a.npz", "__class__", **SMALL_INDEX), IntegrityError, "unknown sparse"),
    ("npz-object", lambda d: npz(d / "a.npz", {"a.npy": np.array([[{}]])}), DTypeError, "pickled objects"),
    ("npz-none", lambda d: npz(d / "a.npz", {"a.npy": A[0], "b.npy": A[1]}), InputError, "no matrix"),
    ("npz-two", lambda d: npz(d / "a.npz", {"a.npy": A, "b.npy": A}), InputError, "several matrices"),
    ("npz-truncated", lambda d: truncated(npz(d / "a.npz", {"a.npy": A}), 0.6), IntegrityError, "damaged zip"),
    ("npz-short-data", lambda d: npz(d / "a.npz", {"a.npy": npy_bytes()[:-8]}), IntegrityError, "declared"),
    # Matrix Market
    (
        "F8-coordinates",
        lambda d: text(d / "a.mtx", f"{BANNER} coordinate real general\n9 9 900000000000\n1 1 1\n"),
        BudgetError,
        "900000000000 entries declared",
    ),
    (
        "F8-dense",
        lambda d: text(d / "a.mtx", f"{BANNER} array real general\n100000000 100000\n1\n"),
        BudgetError,
        "80 TB",
    ),
    (
        "F8-no-room",
        lambda d: text(d / "a.mtx", f"{BANNER} coordinate real general\n9 9 81\n1 1 1\n"),
        IntegrityError,
        "cannot fit",
    ),
    (
        "F8-gzip-bomb",
        lambda d: raw(
            d / "a.mtx.gz", gzip.compress(f"{BANNER} coordinate real general\n9 9 1\n".encode() + b" " * 10**6)
        ),
        IntegrityError,
        "line longer",
    ),
    (
        "F9-out-of-range",
        lambda d: text(d / "a.mtx", f"{BANNER} coordinate real general\n2 2 2\n1 1 1\n3 1 2\n"),
        IntegrityError,
        "out of bounds",
    ),
    (
        "F9-from-zero",
        lambda d: text(d / "a.mtx", f"{BANNER} coordinate real general\n2 2 2\n0 0 1\n1 1 2\n"),
        IntegrityError,
        "out of bounds",
    ),
    (
        "F9-truncated",
        lambda d: text(d / "a.mtx", f"{BANNER} coordinate real general\n2 2 3\n1 1 1.000\n2 2 1.0000000\n"),
        IntegrityError,
        "Truncated",
    ),
    (
        "F9-word",
        lambda d: text(d / "a.mtx", f"{BANNER} coordinate real general\n2 2 1\n1 1 one\n"),
        IntegrityError,
        "Invalid",
    ),
    (
        "F9-cut-within-a-line",
        lambda d: text(d / "a.mtx", f"{BANNER} coordinate real general\n2 2 2\n1 1 1.00000\n2 2"),
        IntegrityError,
        "damaged Matrix Market",
    ),
    (
        "F9-zero-byte",
        lambda d: text(d / "a.mtx", f"{BANNER} coordinate real general\n2 2 1\n1 1 \0\n"),
        IntegrityError,
        "not text",
    ),
    ("F9-size-line", lambda d: text(d / "a.mtx", f"{BANNER} array real general\n-1 2\n"), IntegrityError, "size line"),
    ("F9-banner", lambda d: text(d / "a.mtx", f"{BANNER} array real wrong\n1 1\n1\n"), IntegrityError, "no sense"),
    (
        "F9-gzip-truncated",
        lambda d: truncated(raw(d / "a.mtx.gz", gzip.compress(f"{BANNER} array real general\n1 1\n1\n".encode())), 0.8),
        IntegrityError,
        "damaged Matrix Market",
    ),
    # HDF5
    ("F10-link", lambda d: external_link(d / "a.h5"), InputError, "external link"),
    ("F10-raw", lambda d: external_raw(d / "a.h5"), InputError, "other files"),
    ("F10-virtual", lambda d: virtual(d / "a.h5"), InputError, "other files"),
    (
        "F11-truncated",
        lambda d: truncated(h5(d / "a.h5", lambda f: f.create_dataset("a", data=A)), 0.7),
        IntegrityError,
        "HDF5",
    ),
    ("F11-filter", lambda d: missing_filter(d / "a.h5"), IntegrityError, "32999"),
    (
        "F12-hdf5",
        lambda d: h5(d / "a.h5", lambda f: f.create_dataset("a", (4, 4), "f8", chunks=(2, 2))),
        IntegrityError,
        "0 of 4",
    ),
    ("F14-hdf5", lambda d: h5(d / "a.h5", large_hdf5_chunk), BudgetError, "one chunk"),
    ("hdf5-none", lambda d: h5(d / "a.h5", lambda f: f.create_group("g")), InputError, "no two-dimensional"),
    # Zarr
    ("F12-missing", lambda d: without_chunk(zarr_store(d / "a.zarr")), IntegrityError, "3 of 4 chunks"),
    (
        "F14-v3",
        lambda d: edited_zarr(
            d / "a.zarr", lambda m: m["chunk_grid"]["configuration"].update(chunk_shape=[10**9, 10**9])
        ),
        BudgetError,
        "one chunk",
    ),
    (
        "F14-v2",
        lambda d: edited_zarr(d / "a.zarr", lambda m: m.update(chunks=[10**9, 10**9]), zarr_format=2),
        BudgetError,
        "one chunk",
    ),
    (
        "F14-zero",
        lambda d: edited_zarr(d / "a.zarr", lambda m: m.update(chunks=[0, 2]), zarr_format=2),
        IntegrityError,
        "damaged metadata",
    ),
    (
        "zarr-pickle-codec",
        lambda d: edited_zarr(d / "a.zarr", lambda m: m.update(filters=[{"id": "pickle"}]), zarr_format=2),
        InputError,
        "'pickle'",
    ),
    ("zarr-not-json", lambda d: damaged_zarr(d / "a.zarr"), IntegrityError, "damaged Zarr"),
    ("zarr-pipe", lambda d: pipe(zarr_store(d / "a.zarr") / "c" / "9").parents[1], InputError, "regular file"),
    ("zarr-link-outside", lambda d: linked_zarr(d / "a.zarr"), InputError, "outside"),
    # what is no matrix file at all
    *[
        (f"F15{suffix}", lambda d, s=suffix: raw(d / f"a{s}", pickle.dumps(Explosive())), InputError, "could run code")
        for suffix in (".pkl", ".pickle", ".joblib", ".yaml", ".yml", ".pt", ".pth", ".dat", "", ".PKL")
    ],
    (
        "F15-pickle-as-npy",
        lambda d: raw(d / "a.npy", pickle.dumps(Explosive())),
        InputError,
        "could run code",
    ),
    ("csv", lambda d: text(d / "a.csv", "1,2"), InputError, "accepted are"),
    ("unknown", lambda d: text(d / "a.xyz", "hello"), InputError, "accepted are"),
    ("missing", lambda d: d / "a.npy", InputError, "No such file"),
    ("directory", lambda d: d, InputError, "directory"),
    ("empty", lambda d: raw(d / "a.npy", b""), IntegrityError, "empty"),
    ("pipe", lambda d: pipe(d / "a.npy"), InputError, "regular file"),
    ("wrong-name", lambda d: raw(d / "a.npy", npz(d / "b.npz", {"a.npy": A}).read_bytes()), IntegrityError, "npz"),
    ("zero-byte-in-path", lambda d: d / "a\0.npy", InputError, "possible path"),
    ("not-utf8", lambda d: d / os.fsdecode(b"a\xff\n.npy"), InputError, r"a\\udcff\\n.npy"),
    ("long-name", lambda d: d / ("a" * 5000 + ".npy"), InputError, "too long"),
    ("empty-name", lambda d: "", InputError, "empty"),  # type: ignore[arg-type, return-value]
    # shapes and data types
    ("1-D", lambda d: raw(d / "a.npy", npy_bytes(A[0])), InputError, r"shape \(3,\)"),
    ("3-D", lambda d: raw(d / "a.npy", npy_bytes(A[None])), InputError, r"shape \(1, 4, 3\)"),
    ("text", lambda d: raw(d / "a.npy", npy_bytes(np.array([["x"]]))), DTypeError, "data type"),
    ("records", lambda d: raw(d / "a.npy", npy_bytes(np.zeros((2, 2), "f8,i4"))), DTypeError, "data type"),
    ("times", lambda d: raw(d / "a.npy", npy_bytes(np.zeros((2, 2), "M8[s]"))), DTypeError, "data type"),
    ("sparse-1-D", lambda d: sparse_npz(d / "a.npz", shape=(3,), **SMALL_INDEX), InputError, r"shape \(3,\)"),
    ("npz-3-D", lambda d: npz(d / "a.npz", {"a.npy": A[None]}), InputError, r"shape \(1, 4, 3\)"),
    ("hdf5-1-D", lambda d: h5(d / "a.h5", lambda f: f.create_dataset("a", data=A[0])), InputError, r"shape \(3,\)"),
    ("hdf5-text", lambda d: h5(d / "a.h5", lambda f: f.create_dataset("a", data=[["x"]])), DTypeError, "a.h5"),
    ("zarr-3-D", lambda d: zarr_store(d / "a.zarr", A[None] + 1, chunks=(1, 2, 2)), InputError, "shape"),
]


def without_chunk(path: Path) -> Path:
    (path / "c" / "1" / "0").unlink()
    return path


def damaged_zarr(path: Path) -> Path:
    zarr_store(path)
    (path / "zarr.json").write_text("[" * 100_000)
    return path


def linked_zarr(path: Path) -> Path:
    zarr_store(path)
    secret = raw(path.with_name("secret"), b"secret")
    (path / "c" / "0" / "0").unlink()
    (path / "c" / "0" / "0").symlink_to(secret)
    return path


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


@pytest.mark.parametrize(("build", "error", "message"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_bad_file_is_refused_in_one_line(
    build: Callable[[Path], Path],
    error: type[Exception],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = build(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=message) as caught:
        open_matrix(path, memory_budget=10**7)
    assert isinstance(caught.value, RnlaError)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 1000
    said.encode("utf-8")  # can be printed
    assert sorted(tmp_path.rglob("*")) == before  # nothing unpacked, nothing unpickled


@pytest.mark.parametrize(("module", "name"), [("h5py", "a.h5"), ("zarr", "a.zarr")])
def test_missing_package_names_the_extra(
    module: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row G17: the error comes at the call, and says what to install."""
    path = tmp_path / name
    if module == "h5py":
        raw(path, b"\x89HDF\r\n\x1a\n" + bytes(100))
    else:
        path.mkdir()
        text(path / "zarr.json", "{}")

    def absent(wanted: str) -> Any:
        raise ImportError(f"No module named {wanted!r}")

    monkeypatch.setattr(opened_module.importlib, "import_module", absent)
    with pytest.raises(ImportError, match=rf'needs {module}.*pip install "rnla\[io\]"'):
        open_matrix(path)


# ------------------------------------------------------------------------------------------ sound files are read
@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "c8", ">f8", "i4", "u1", "?", "f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_is_mapped_as_saved(dtype: str, order: Any, tmp_path: Path) -> None:
    array = np.asarray(A, dtype=dtype, order=order)
    path = raw(tmp_path / "a.npy", npy_bytes(array))
    with open_matrix(path, memory_budget=1) as opened:  # a mapped file is not limited by the budget
        assert isinstance(opened.array, np.memmap)
        assert (opened.kind, opened.shape, opened.dtype) == ("npy", (4, 3), np.dtype(dtype))
        assert opened.nbytes == path.stat().st_size
        assert opened.array.flags.f_contiguous == (order == "F")
        assert not opened.array.flags.writeable
        np.testing.assert_array_equal(opened.array, array)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (1, 1)])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_small_and_empty_matrices(shape: tuple[int, int], suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    (np.save if suffix == ".npy" else np.savez)(path, np.ones(shape, "f4"))
    opened = open_matrix(path)
    assert (opened.shape, opened.dtype) == (shape, np.float32)
    assert opened.array.shape == shape


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_dense(save: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    save(path, a=A, names=np.array(["x", "y"]), vector=A[0], b=np.asfortranarray(A[:2] * 1j))
    with pytest.raises(InputError, match="several matrices"):
        open_matrix(path)
    np.testing.assert_array_equal(open_matrix(path, dataset="b").array, A[:2] * 1j)
    with pytest.raises(InputError, match="no array 'c'"):
        open_matrix(path, dataset="c")
    with pytest.raises(InputError, match="shape"):
        open_matrix(path, dataset="vector")
    save(path, a=A, names=np.array(["x", "y"]), vector=A[0])
    opened = open_matrix(path)
    assert opened.kind == "npz"
    np.testing.assert_array_equal(opened.array, A)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "dia"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("dtype", ["f8", "c8", "i8"])
def test_npz_sparse(form: str, kind: str, dtype: str, tmp_path: Path) -> None:
    dense = np.diag([1, 2, 3, 4]).astype(dtype)[:, :3]
    dense[0, 2] = 5
    make = getattr(scipy.sparse, f"{form}_{kind}")
    scipy.sparse.save_npz(tmp_path / "a.npz", make(dense))
    opened = open_matrix(tmp_path / "a.npz")
    assert opened.kind == "sparse npz"
    assert isinstance(opened.array, scipy.sparse.csr_array)
    np.testing.assert_array_equal(opened.array.toarray(), dense)
    np.testing.assert_array_equal(opened.array @ np.ones(3), dense @ np.ones(3))


@pytest.mark.parametrize(("stored", "read"), [(">f4", "f4"), (">c16", "c16"), ("f2", "f4")])
def test_npz_sparse_in_types_that_scipy_lacks(stored: str, read: str, tmp_path: Path) -> None:
    parts = {"data": np.array([1, 2], stored), "indices": np.array([0, 3], ">i4"), "indptr": np.array([0, 1, 2, 2])}
    matrix = open_matrix(sparse_npz(tmp_path / "a.npz", **parts)).array
    assert matrix.dtype == np.dtype(read)
    np.testing.assert_array_equal(matrix.toarray(), [[1, 0, 0, 0], [0, 0, 0, 2], [0, 0, 0, 0]])


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_npz_sparse_empty(shape: tuple[int, int], tmp_path: Path) -> None:
    for form in ("csr", "csc", "coo", "dia"):
        scipy.sparse.save_npz(tmp_path / "a.npz", scipy.sparse.csr_array(shape).asformat(form))
        assert open_matrix(tmp_path / "a.npz").shape == shape


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("symmetry", ["general", "symmetric", "skew-symmetric", "hermitian"])
def test_matrix_market(
    packed: bool, fast: bool, symmetry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fast:
        pytest.importorskip("fast_matrix_market")
    else:
        monkeypatch.setitem(importlib.sys.modules, "fast_matrix_market", None)  # type: ignore[attr-defined]
    dense = np.array([[0, 2.5, 0], [1, 0, 0], [0, 0, -3]]) * (1 + 2j if symmetry == "hermitian" else 1)
    sign = -1 if symmetry == "skew-symmetric" else 1
    dense = dense if symmetry == "general" else dense + sign * dense.conj().T
    stream = io.BytesIO()
    scipy.io.mmwrite(stream, scipy.sparse.coo_array(dense), comment="Größe\n" * 20, symmetry=symmetry)
    content = stream.getvalue().rstrip() + b" "  # no end of the last line: parsers alone have crashed on this
    path = tmp_path / ("a.mtx.gz" if packed else "a.mtx")
    raw(path, gzip.compress(content) if packed else content)
    opened = open_matrix(path)
    assert opened.kind == "Matrix Market"
    assert isinstance(opened.array, scipy.sparse.csr_array)
    np.testing.assert_array_equal(opened.array.toarray(), dense)
    with pytest.raises(InputError, match="leave dataset= out"):
        open_matrix(path, dataset="a")


def test_matrix_market_listed_densely_and_nan(tmp_path: Path) -> None:
    scipy.io.mmwrite(tmp_path / "a.mtx", A)
    np.testing.assert_array_equal(open_matrix(tmp_path / "a.mtx").array, A)
    text(tmp_path / "b.mtx", f"{BANNER} coordinate real general\n2 2 1\n1 1 nan\n")  # the library's check names it
    assert np.isnan(open_matrix(tmp_path / "b.mtx").array.toarray()[0, 0])


def test_matrix_market_survives_damage(tmp_path: Path) -> None:
    """Random damage gives a matrix or an error of ours; it never ends the process."""
    noise = random.Random(0)
    whole = f"{BANNER} coordinate real general\n3 3 2\n1 1 1.5\n2 2 2 ".encode()
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(noise.randint(1, 4)):
            at = noise.randrange(len(content) + 1)
            if noise.random() < 0.5:
                content[at : at + noise.randint(0, 4)] = noise.randbytes(noise.randint(0, 3))
            else:
                content[at:at] = bytes(noise.choices(b" \n\r\t0123456789-+.eE%", k=noise.randint(1, 9)))
        path = raw(tmp_path / "a.mtx", bytes(content) or b" ")
        with contextlib.suppress(RnlaError):
            assert open_matrix(path, memory_budget=10**6).array.ndim == 2


def test_hdf5(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")

    def fill(file: Any) -> None:
        file.create_dataset("group/a", data=A, chunks=(2, 3), compression="gzip")
        file.create_dataset("vector", data=A[0])
        file["group/itself"] = file["group"]  # a cycle of hard links
        file["soft"] = h5py.SoftLink("/group/itself/a")
        file["circle"] = h5py.SoftLink("/circle")
        file["away"] = h5py.ExternalLink("nowhere.h5", "/a")

    path = h5(tmp_path / "a.h5", fill)
    with open_matrix(path) as opened:
        assert (opened.kind, opened.shape, opened.dtype) == ("HDF5", (4, 3), np.float64)
        assert isinstance(opened.array, h5py.Dataset)
        np.testing.assert_array_equal(values(opened), A)
    assert not opened.array  # closed with the file
    opened.close()
    with open_matrix(path, dataset="soft") as opened:
        np.testing.assert_array_equal(values(opened), A)
    for name, message in [
        ("circle", "circles"),
        ("away", "external link"),
        ("away/a", "external link"),
        ("group", "not a dataset"),
        ("b", "no dataset"),
        ("vector/a", "no dataset"),
        ("vector", r"shape \(3,\)"),
    ]:
        with pytest.raises(RnlaError, match=message):
            open_matrix(path, dataset=name)


def test_hdf5_unwritten_parts_only_on_request(tmp_path: Path) -> None:
    path = h5(tmp_path / "a.h5", lambda file: file.create_dataset("a", (4, 4), "f4"))
    with pytest.raises(IntegrityError, match="incomplete"):
        open_matrix(path)
    with open_matrix(path, missing_chunks="fill") as opened:
        np.testing.assert_array_equal(values(opened), np.zeros((4, 4)))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"zarr_format": 2},
        {"zarr_format": 2, "chunk_key_encoding": {"name": "v2", "separator": "/"}},
        {"chunk_key_encoding": {"name": "default", "separator": "."}},
        {"chunk_key_encoding": {"name": "v2", "separator": "."}},
        {"shards": (4, 4)},
        {"compressors": None},
    ],
    ids=str,
)
@pytest.mark.parametrize("packed", [False, True])
def test_zarr(options: dict[str, Any], packed: bool, tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    path = zarr_store(tmp_path / "a.zarr", **options)
    if packed:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for file in sorted(path.rglob("*")):
                if file.is_file():
                    archive.write(file, file.relative_to(path).as_posix())
        path = tmp_path / "a.zip"
    with open_matrix(path) as opened:
        assert (opened.kind, opened.shape, opened.dtype) == ("Zarr", (4, 3), np.float64)
        assert isinstance(opened.array, zarr.Array)
        assert opened.nbytes > 0
        np.testing.assert_array_equal(values(opened), A + 1)


def test_zarr_group_and_missing_chunks(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    group = zarr.create_group(str(tmp_path / "a.zarr"))
    group.create_array("deep/a", data=A + 1, chunks=(2, 2))
    group.create_array("vector", data=A[0])
    np.testing.assert_array_equal(values(open_matrix(tmp_path / "a.zarr")), A + 1)
    group.create_array("b", data=np.eye(4), chunks=(2, 2))  # blocks of zeros are not stored
    with pytest.raises(InputError, match="several matrices"):
        open_matrix(tmp_path / "a.zarr")
    with pytest.raises(InputError, match="no array 'c'"):
        open_matrix(tmp_path / "a.zarr", dataset="c")
    with pytest.raises(IntegrityError, match=r"2 of 4 chunks present.*missing_chunks"):
        open_matrix(tmp_path / "a.zarr", dataset="b")
    np.testing.assert_array_equal(
        values(open_matrix(tmp_path / "a.zarr", dataset="/b", missing_chunks="fill")), np.eye(4)
    )


def test_unknown_name_is_known_by_content(tmp_path: Path) -> None:
    np.testing.assert_array_equal(open_matrix(raw(tmp_path / "matrix.bak", npy_bytes())).array, A)
    path = npz(tmp_path / "archive.zip", {"a.npy": A})
    np.testing.assert_array_equal(open_matrix(path).array, A)


def test_name_that_is_not_utf8_opens(tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"a\xff.npy")
    with open(path, "wb") as stream:
        stream.write(npy_bytes())
    np.testing.assert_array_equal(open_matrix(os.fsdecode(path)).array, A)


@pytest.mark.parametrize("budget", [0, -1, 1.5, True, "1GB"])
def test_budget_must_be_a_number_of_bytes(budget: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="memory_budget"):
        open_matrix(tmp_path / "a.npy", memory_budget=budget)


def test_arguments_are_named() -> None:
    with pytest.raises(InputError, match="missing_chunks"):
        open_matrix("a.npy", missing_chunks="maybe")
    with pytest.raises(DTypeError, match="path"):
        open_matrix(A)  # type: ignore[arg-type]


def test_available_memory_is_plausible() -> None:
    assert 2**20 < config.available_memory() < 2**50
