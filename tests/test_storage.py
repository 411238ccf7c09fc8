"""Saved results: what was saved comes back, what was damaged is refused, what was there is not lost."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import pickle
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import rnla
from rnla import storage
from rnla.orth import ORTHONORMALIZERS
from rnla.sketch import SKETCHES

ROOT = Path(__file__).resolve().parent.parent
SCALARS = (int, float, str, bool, type(None))


def decaying(m: int = 90, n: int = 60, dtype: Any = np.float64, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    left, right = rng.standard_normal((m, n)), rng.standard_normal((n, n))
    if np.dtype(dtype).kind == "c":
        left = left + 1j * rng.standard_normal((m, n))
    return (np.linalg.qr(left)[0] * 0.7 ** np.arange(n) @ np.linalg.qr(right)[0]).astype(dtype)


def assert_same(found: Any, expected: Any, where: str = "result") -> None:
    """Compare records field by field; floats by their bits, so that nan is nan."""
    if isinstance(expected, np.ndarray):
        assert type(found) is np.ndarray, where
        assert found.dtype == expected.dtype, where
        np.testing.assert_array_equal(found, expected, err_msg=where)
    elif dataclasses.is_dataclass(expected):
        assert type(found) is type(expected), where
        for field in dataclasses.fields(expected):
            if not field.name.startswith("_"):
                assert_same(getattr(found, field.name), getattr(expected, field.name), f"{where}.{field.name}")
    elif isinstance(expected, float):
        assert np.float64(found).tobytes() == np.float64(expected).tobytes(), where
    elif isinstance(expected, (tuple, dict)):
        assert type(found) is type(expected), where
        assert len(found) == len(expected), where
        keys = expected if isinstance(expected, dict) else range(len(expected))
        for key in keys:
            assert_same(found[key], expected[key], f"{where}[{key!r}]")
    else:
        assert found == expected, where


@pytest.fixture(scope="module")
def matrix() -> np.ndarray:
    return decaying()


@pytest.fixture(scope="module")
def result(matrix: np.ndarray) -> rnla.SVDResult:
    return rnla.svd(matrix, 8, method=rnla.SubspaceIteration(), rng=5)


@pytest.fixture(scope="module")
def saved(result: rnla.SVDResult, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "result.npz"
    result.save(path)
    return path.read_bytes()


# ---------------------------------------------------------------------------------------------------- round trips
METHODS = {
    "default": {},
    "full": {"method": rnla.FullSVD()},
    "gram": {"method": rnla.GramEigh()},
    "tall": {"method": rnla.TallQR()},
    "adaptive": {"method": rnla.Adaptive(block_size=4), "tol": 1e-3},
    "spectral": {"norm": "spectral", "tol": 1e-3},
    "small tolerance": {"tol": 1e-6, "method": rnla.Adaptive()},
    "column space": {"method": rnla.SubspaceIteration(space="column", oversampling=3)},
    **{f"sketch {name}": {"method": rnla.SubspaceIteration(sketch=made())} for name, made in SKETCHES.items()},
    **{
        f"orthonormalizer {name}": {"method": rnla.SubspaceIteration(orthonormalizer=part)}
        for name, part in ORTHONORMALIZERS.items()
    },
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("name", METHODS)
def test_what_was_saved_comes_back(tmp_path: Path, name: str, dtype: str) -> None:
    request = METHODS[name]
    if dtype in {"float32", "complex64"} and request.get("tol", 1) < 1e-5:
        request = {**request, "tol": 1e-5}
    rank = None if "tol" in request else 6
    result = rnla.svd(decaying(dtype=dtype), rank, rng=1, **request)
    result.save(tmp_path / "r")
    loaded = rnla.load(tmp_path / "r")
    assert_same(loaded, result)
    assert str(loaded) == str(result)
    assert repr(loaded.report.plan) == repr(result.report.plan)


@pytest.mark.parametrize("kind", ["sparse", "operator", "memmap", "list", "integers", "wide", "zero", "scaled"])
def test_every_kind_of_matrix_comes_back_and_can_be_extended(tmp_path: Path, kind: str) -> None:
    dense = decaying()
    np.save(tmp_path / "a.npy", dense)
    kinds: dict[str, Callable[[], Any]] = {
        "sparse": lambda: scipy.sparse.csr_array(np.where(abs(dense) > 0.01, dense, 0)),
        "operator": lambda: scipy.sparse.linalg.aslinearoperator(dense),
        "memmap": lambda: np.load(tmp_path / "a.npy", mmap_mode="r"),
        "list": dense.tolist,
        "integers": lambda: np.round(1000 * dense).astype(np.int16),
        "wide": lambda: np.ascontiguousarray(dense.T),
        "zero": lambda: np.zeros((30, 20)),
        "scaled": lambda: dense * 1e-200,
    }
    a = kinds[kind]()
    result = rnla.svd(a, tol=0.5, method=rnla.Adaptive(block_size=4), rng=2)
    result.save(tmp_path / "r")
    loaded = rnla.load(tmp_path / "r")
    assert_same(loaded, result)
    assert loaded.as_operator().shape == result.shape
    if kind != "zero":
        more = loaded.extend(rank=12, A=a)
        assert_same(more.s, result.extend(rank=12).s)
        assert more.rank == 12


def test_a_loaded_result_says_that_it_needs_the_matrix(tmp_path: Path, result: rnla.SVDResult) -> None:
    result.save(tmp_path / "r")
    with pytest.raises(rnla.InputError, match=r"extend\(\.\.\., A=A\)"):
        rnla.load(tmp_path / "r").extend(rank=12)


def test_an_empty_matrix_comes_back(tmp_path: Path) -> None:
    result = rnla.svd(np.zeros((0, 5)), 0)
    result.save(tmp_path / "r")
    assert_same(rnla.load(tmp_path / "r"), result)


def test_truncated_and_copied_results_come_back(tmp_path: Path, result: rnla.SVDResult) -> None:
    for made in (result.truncate(3), pickle.loads(pickle.dumps(result)), dataclasses.replace(result, resume=None)):
        made.save(tmp_path / "r")
        assert_same(rnla.load(tmp_path / "r"), made)


def test_a_part_that_no_table_knows_keeps_its_name(tmp_path: Path) -> None:
    for made in (rnla.generalized_nystrom(np.eye(9), 3, rng=0), rnla.single_pass_svd(np.eye(30), 3, rng=0)):
        made.save(tmp_path / "r")
        assert str(rnla.load(tmp_path / "r")) == str(made)


def test_views_and_foreign_byte_order_come_back(tmp_path: Path, result: rnla.SVDResult) -> None:
    swapped = result.s.astype(result.s.dtype.newbyteorder())
    odd = dataclasses.replace(result, U=np.repeat(result.U, 2, axis=1)[:, ::2], s=swapped, Vh=result.Vh[::-1][::-1])
    odd.save(tmp_path / "r")
    loaded = rnla.load(tmp_path / "r")
    assert loaded.s.dtype.isnative
    np.testing.assert_array_equal(loaded.s, result.s)
    np.testing.assert_array_equal(loaded.U, result.U)


def test_equal_results_make_equal_files(tmp_path: Path, result: rnla.SVDResult, saved: bytes) -> None:
    copied = pickle.loads(pickle.dumps(result))
    copied.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == saved


def test_numpy_reads_the_arrays_alone(tmp_path: Path, result: rnla.SVDResult) -> None:
    result.save(tmp_path / "r.npz")
    with np.load(tmp_path / "r.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["U"] * arrays["s"] @ arrays["Vh"], result.U * result.s @ result.Vh)
        assert json.loads(arrays["rnla.json"])["format"] == storage.FORMAT


@pytest.mark.torch
def test_factors_of_another_library_come_back_as_numpy_and_are_extended_in_either(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    a = decaying()
    result = rnla.svd(torch.from_numpy(a), 6, rng=4)
    result.save(tmp_path / "r")
    loaded = rnla.load(tmp_path / "r")
    for found, expected in zip(loaded, result, strict=True):
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, expected.numpy())
    at_home = loaded.extend(rank=10, A=a)
    assert type(at_home.U) is np.ndarray
    away = loaded.extend(rank=10, A=torch.from_numpy(a))
    assert isinstance(away.U, torch.Tensor)
    # Both are bases of the same space to rounding: singular values agree to c eps times the largest.
    np.testing.assert_allclose(away.s.numpy(), at_home.s, rtol=0, atol=1e-13)


@dataclasses.dataclass(frozen=True)
class MyFinder:
    """A part that the tables do not know."""

    columns: int = 3

    def find(self, op: Any, goal: Any, key: Any, riders: Any, start: Any = None) -> Any:
        return rnla.SubspaceIteration().find(op, goal, key, riders, start)


def test_a_part_of_ones_own_is_described(tmp_path: Path, matrix: np.ndarray) -> None:
    result = rnla.svd(matrix, 8, method=MyFinder(), rng=5)
    result.save(tmp_path / "r")
    loaded = rnla.load(tmp_path / "r")
    assert_same(loaded.U, result.U)
    with pytest.raises(rnla.InputError, match=r"MyFinder\(columns=3\).*of your own"):
        loaded.extend(rank=12, A=matrix)


# --------------------------------------------------------------------------------------------------------- damage
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, saved: bytes) -> None:
    path = tmp_path / "cut"
    for length in {0, 1, 21, 80, 81, 82, len(saved) - 1, *range(0, len(saved), 997)}:
        path.write_bytes(saved[:length])
        with pytest.raises(rnla.IntegrityError, match="cut short"):
            rnla.load(path)


def test_every_flipped_byte_is_noticed(tmp_path: Path, saved: bytes) -> None:
    path = tmp_path / "flipped"
    places = {*range(200), *range(0, len(saved), 331), *range(len(saved) - 1200, len(saved))}
    for place in places:
        damaged = bytearray(saved)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises((rnla.IntegrityError, rnla.InputError)):
            rnla.load(path)


@pytest.mark.parametrize("extra", [b"x", b"\0" * 81])
def test_bytes_added_at_either_end_are_noticed(tmp_path: Path, saved: bytes, extra: bytes) -> None:
    for content in (saved + extra, extra + saved):
        (tmp_path / "r").write_bytes(content)
        with pytest.raises(rnla.IntegrityError):
            rnla.load(tmp_path / "r")


def sealed(members: dict[str, bytes], version: int = 1, compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive with a digest that fits, whatever is in it: what a hostile writer would make."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.comment = b" " * 81
        for name, content in members.items():
            archive.writestr(name, content)
    body = stream.getvalue()[:-81]
    return body + f"rnla-result-{version:04d} {hashlib.sha256(body).hexdigest()}".encode()


def members_of(saved: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(saved)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def assert_refused(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "hostile"
    path.write_bytes(content)
    with pytest.raises(rnla.IntegrityError) as caught:
        rnla.load(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_the_forger_of_these_tests_can_make_a_sound_file(tmp_path: Path, saved: bytes, result: rnla.SVDResult) -> None:
    (tmp_path / "r").write_bytes(sealed(members_of(saved)))
    assert_same(rnla.load(tmp_path / "r"), result)


def test_object_arrays_are_refused_and_not_unpickled(tmp_path: Path, saved: bytes) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(tmp_path / "exploded"),))

    stream = io.BytesIO()
    np.save(stream, np.array([Bomb()], dtype=object), allow_pickle=True)
    message = assert_refused(tmp_path, sealed({**members_of(saved), "U.npy": stream.getvalue()}))
    assert "object" in message
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("dtype", ["int64", "float16", "longdouble", "bool", "S8", "datetime64[s]", "f8,f8"])
def test_other_dtypes_are_refused(tmp_path: Path, saved: bytes, dtype: str) -> None:
    stream = io.BytesIO()
    np.save(stream, np.zeros((90, 8), dtype=dtype))
    assert_refused(tmp_path, sealed({**members_of(saved), "U.npy": stream.getvalue()}))


@pytest.mark.parametrize("shape", ["(1 << 62, 8)", "(1000000000000, 8)", "(90, 9)", "(-1, 8)", "(True, 8)", "(90, 7)"])
def test_a_header_that_claims_other_bytes_than_there_are_is_refused(tmp_path: Path, saved: bytes, shape: str) -> None:
    members = members_of(saved)
    claim = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    data = members["U.npy"][128:]
    members["U.npy"] = b"\x93NUMPY\x01\x00" + len(claim).to_bytes(2, "little") + claim.encode() + data
    assert "U" in assert_refused(tmp_path, sealed(members))


def test_compressed_members_are_refused_before_they_are_unpacked(tmp_path: Path, saved: bytes) -> None:
    stream = io.BytesIO()
    np.save(stream, np.zeros((1 << 20, 8)))
    bomb = sealed({**members_of(saved), "U.npy": stream.getvalue()}, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 1 << 20
    assert "table of contents" in assert_refused(tmp_path, bomb)


def edited(saved: bytes, edit: Callable[[Any], Any]) -> bytes:
    members = members_of(saved)
    text = json.loads(members["rnla.json"])
    edit(text)
    return sealed({**members, "rnla.json": json.dumps(text).encode()})


EDITS: dict[str, Callable[[Any], Any]] = {
    "an unknown class": lambda t: t["result"].update(record="Popen"),
    "a class that is no result": lambda t: t.update(result={"record": "Riders", "fields": {}}),
    "an unknown field": lambda t: t["result"]["fields"].update(extra=1),
    "a hidden field": lambda t: t["result"]["fields"].update(_source=1),
    "a field too few": lambda t: t["result"]["fields"].pop("U"),
    "another format inside": lambda t: t.update(format=2),
    "an array that is not there": lambda t: t["result"]["fields"].update(U={"array": "nowhere"}),
    "an array listed that is not there": lambda t: t["arrays"].append("nowhere"),
    "an array too many": lambda t: t["arrays"].remove("s"),
    "arrays that do not fit": lambda t: t["result"]["fields"].update(U={"array": "Vh"}),
    "text for an array": lambda t: t["result"]["fields"].update(U="U"),
    "an unknown status": lambda t: t["result"]["fields"].update(status={"status": "FINE"}),
    "a part with a bad value": lambda t: t["result"]["fields"]["resume"]["fields"]["method"]["fields"].update(
        power_iterations=-1
    ),
    "a piece that means nothing": lambda t: t["result"]["fields"].update(status={"call": "os.system"}),
    "a list": lambda t: t.update(result=[]),
    "no result": lambda t: t.pop("result"),
}


@pytest.mark.parametrize("name", EDITS)
def test_text_that_does_not_fit_is_refused(tmp_path: Path, saved: bytes, name: str) -> None:
    assert assert_refused(tmp_path, edited(saved, EDITS[name]))


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 200_000, b"1", b'{"format": 1}', b"9" * 10_000])
def test_text_that_is_not_a_description_is_refused(tmp_path: Path, saved: bytes, text: bytes) -> None:
    assert_refused(tmp_path, sealed({**members_of(saved), "rnla.json": text}))


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x05\x06" + bytes(18), bytes(100_000)])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    assert_refused(tmp_path, content)


def test_an_archive_of_numpys_own_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", U=np.eye(2))
    assert_refused(tmp_path, (tmp_path / "other.npz").read_bytes())


def test_a_newer_format_is_named(tmp_path: Path, saved: bytes) -> None:
    (tmp_path / "r").write_bytes(sealed(members_of(saved), version=2))
    with pytest.raises(rnla.InputError, match=r"format 2; .* reads up to 1: use a newer rnla"):
        rnla.load(tmp_path / "r")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        rnla.load(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        rnla.load(tmp_path)
    with pytest.raises(rnla.InputError, match="regular"):
        rnla.load("/dev/zero")


# -------------------------------------------------------------------------------------------------------- writing
def test_only_results_are_saved(tmp_path: Path) -> None:
    with pytest.raises(rnla.DTypeError, match="such as svd returns"):
        storage.save((1, 2, 3), tmp_path / "r")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_folder_or_a_missing_folder_is_refused(tmp_path: Path, result: rnla.SVDResult) -> None:
    with pytest.raises(IsADirectoryError):
        result.save(tmp_path)
    with pytest.raises(FileNotFoundError):
        result.save(tmp_path / "missing" / "r")
    assert not list(tmp_path.iterdir())


def test_what_no_file_can_hold_is_refused_before_a_file_is_made(tmp_path: Path, result: rnla.SVDResult) -> None:
    with pytest.raises(rnla.DTypeError, match=r"longdouble|float128"):
        dataclasses.replace(result, s=result.s.astype(np.longdouble)).save(tmp_path / "r")
    with pytest.raises(rnla.DTypeError, match="that a file cannot"):
        dataclasses.replace(result, report=dataclasses.replace(result.report, notes=(object(),))).save(tmp_path / "r")
    assert not list(tmp_path.iterdir())


def test_a_link_is_written_through(tmp_path: Path, result: rnla.SVDResult) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "r")
    result.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert_same(rnla.load(tmp_path / "real" / "r"), result)


def test_the_file_has_the_permissions_of_any_new_file(tmp_path: Path, result: rnla.SVDResult) -> None:
    (tmp_path / "other").touch()
    result.save(tmp_path / "r")
    assert (tmp_path / "r").stat().st_mode == (tmp_path / "other").stat().st_mode


FILL = """
import resource, signal, sys
import numpy as np, rnla
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write past the limit then fails, as on a full disk
result = rnla.svd(np.random.default_rng(0).standard_normal((300, 200)), 40, rng=1)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    result.save(sys.argv[1])
except OSError as error:
    print("OSError", error.errno)
else:
    print("saved")
"""


@pytest.mark.subprocess
@pytest.mark.parametrize("room", [0, 1000, 100_000, 300_000])
def test_a_full_disk_raises_and_leaves_the_old_file(tmp_path: Path, result: rnla.SVDResult, room: int) -> None:
    path = tmp_path / "r"
    result.save(path)
    before = path.read_bytes()
    command = [sys.executable, "-c", FILL, str(path), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split()[0] == "OSError", done.stdout
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["r"]


@pytest.mark.subprocess
def test_with_room_the_same_program_saves(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FILL, str(tmp_path / "r"), str(resource.RLIM_INFINITY)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["saved"]
    assert rnla.load(tmp_path / "r").rank == 40


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_at_the_last_step_leaves_the_old_file(
    tmp_path: Path, result: rnla.SVDResult, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    result.save(tmp_path / "r")
    before = (tmp_path / "r").read_bytes()

    def fails(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.os, step, fails)
    with pytest.raises(OSError, match="No space"):
        result.truncate(2).save(tmp_path / "r")
    assert (tmp_path / "r").read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["r"]
