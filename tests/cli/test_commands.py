"""The commands: every kind of file, exit codes, one line for every failure, and nothing written where it must not."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse

import rnla
from rnla.cli import main
from rnla.cli.readers import opened as opened_module

ROWS, COLUMNS, RANK = 90, 60, 40


def matrix() -> np.ndarray[Any, Any]:
    """Singular values 0.8^j, singular vectors from two QR factorizations."""
    generator = np.random.default_rng(5)
    U = np.linalg.qr(generator.standard_normal((ROWS, RANK)))[0]
    V = np.linalg.qr(generator.standard_normal((COLUMNS, RANK)))[0]
    return (U * 0.8 ** np.arange(RANK)) @ V.T


A = matrix()
SPARSE = scipy.sparse.csr_array(np.where(np.abs(A) > 0.03, A, 0))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with one matrix in it."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RNLA_")]:
        monkeypatch.delenv(name)
    np.save("a.npy", A)
    return tmp_path


def check_one_line(captured: Any, code: int, expected: int, *words: str) -> str:
    """Fail unless there was one line of error, no traceback, and the code."""
    assert code == expected, captured.err
    lines = [line for line in captured.err.splitlines() if not line.startswith("rnla: warning: ")]
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("rnla: error: ")
    assert len(lines[0]) < 700
    assert "Traceback" not in captured.err + captured.out
    for word in words:
        assert word in lines[0]
    return lines[0]


def run(*arguments: str | bytes, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command in a Python of its own."""
    command = [sys.executable, "-m", "rnla", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


# ------------------------------------------------------------------------------------------------- kinds of file
def save_hdf5() -> str:
    h5py = pytest.importorskip("h5py")
    with h5py.File("a.h5", "w") as file:
        file["x"] = A
        file["vector"] = A[0]
    return "a.h5"


def save_zarr() -> str:
    zarr = pytest.importorskip("zarr")
    zarr.create_array("a.zarr", data=A, chunks=(40, 40))
    return "a.zarr"


def save_mtx() -> str:
    pytest.importorskip("fast_matrix_market")
    scipy.io.mmwrite("a.mtx", SPARSE.tocoo())
    return "a.mtx"


KINDS: dict[str, tuple[Callable[[], object], str, np.ndarray[Any, Any]]] = {
    "npy": (lambda: None, "a.npy", A),
    "npz": (lambda: np.savez("a.npz", x=A), "a.npz", A),
    "sparse": (lambda: scipy.sparse.save_npz("s.npz", SPARSE), "s.npz", SPARSE.toarray()),
    "Matrix Market": (save_mtx, "a.mtx", SPARSE.toarray()),
    "HDF5": (save_hdf5, "a.h5", A),
    "Zarr": (save_zarr, "a.zarr", A),
}


@pytest.mark.parametrize("kind", KINDS)
def test_svd_of_every_kind_of_file(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    save, name, expected = KINDS[kind]
    save()
    assert main(["svd", name, "--tol", "0.05", "--out", "factors", "--seed", "3"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "Certificate" in printed.out
    assert kind in printed.out
    U, s, Vh = (np.load(f"factors/{name}.npy", allow_pickle=False) for name in ("U", "s", "Vh"))
    error = np.linalg.norm(expected - (U * s) @ Vh) / np.linalg.norm(expected)
    assert error <= 0.05
    told = json.loads(Path("factors/certificate.json").read_text(encoding="ascii"))
    assert told["status"]["met"]
    assert told["report"]["seed"] == 3
    assert told["error"]["value"] == pytest.approx(error, rel=1e-6)  # the identity loses half the digits at worst
    for factor, record in told["files"].items():
        content = Path("factors", factor).read_bytes()
        assert record == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert sorted(os.listdir("factors")) == ["U.npy", "Vh.npy", "certificate.json", "s.npy"]


def test_the_command_line_gives_what_the_library_gives(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["svd", "a.npy", "-k", "7", "-s", "11", "--norm", "spectral", "-o", "f", "--memory", "64M"]) == 0
    result = rnla.svd(np.load("a.npy", mmap_mode="r"), 7, norm="spectral", rng=11)
    np.testing.assert_array_equal(np.load("f/s.npy"), result.s)
    assert f"{result.error.value:.4g}" in capsys.readouterr().out


def test_plan_and_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "a.npy", "--rank", "5"]) == 0
    planned = capsys.readouterr().out
    assert planned == f"{rnla.plan(np.load('a.npy', mmap_mode='r'), 5)}\n"
    assert main(["svd", "a.npy", "--rank", "5", "--explain"]) == 0
    assert capsys.readouterr().out.startswith(planned)


def test_info_names_what_is_there_and_what_is_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rnla.cli import info

    monkeypatch.setitem(info.OPTIONAL, "no_such_backend", (("no-such-backend",), "nothing"))
    monkeypatch.setenv("RNLA_THREADS", "3")
    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    for expected in (rnla.__version__, np.__version__, "not found (nothing)", "blas", "RNLA_THREADS", "memory_budget"):
        assert expected in printed
    monkeypatch.setenv("RNLA_THREADS", "many")
    check_one_line(capsys.readouterr() if main(["info"]) == 2 else None, 2, 2, "RNLA_THREADS='many'")


@pytest.mark.subprocess
def test_info_imports_nothing_heavy() -> None:
    code = "import sys, rnla.cli; rnla.cli.main(['info']); print({'torch', 'numba', 'zarr'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "set()"


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"rnla {rnla.__version__}\n"
    for arguments in ([], ["--help"], ["svd", "--help"]):
        assert main(arguments) == 0
        assert "Usage" in capsys.readouterr().out


# ---------------------------------------------------------------------------------------------- calls that are wrong
MISUSES: list[tuple[list[str], str]] = [
    (["svd"], "FILE"),
    (["svd", "a.npy"], "--rank"),
    (["svd", "a.npy", "--bogus"], "--bogus"),
    (["frobnicate"], "frobnicate"),
    (["svd", "", "--rank", "3"], "empty"),
    (["svd", "a.npy", "--rank", ""], "--rank"),
    (["svd", "a.npy", "--rank", "3", "--out", ""], "empty"),
    (["svd", "a.npy", "--rank", "3.5"], "--rank"),
    (["svd", "a.npy", "--rank", "-1"], "--rank -1"),
    (["svd", "a.npy", "--rank", "61"], "--rank 61 is larger"),
    (["svd", "a.npy", "--rank", "9" * 40], "--rank"),
    (["svd", "a.npy", "--rank", "9" * 5000], "--rank"),
    (["svd", "a.npy", "--tol", "nan"], "--tol"),
    (["svd", "a.npy", "--tol", "inf"], "--tol"),
    (["svd", "a.npy", "--tol", "0"], "--tol"),
    (["svd", "a.npy", "--tol", "-1"], "--tol"),
    (["svd", "a.npy", "--tol", "1e-400"], "--tol"),
    (["svd", "a.npy", "--tol", "1e-30"], "10 eps"),
    (["svd", "a.npy", "--tol", "small"], "--tol"),
    (["svd", "a.npy", "--energy", "1"], "--energy"),
    (["svd", "a.npy", "--energy", "-0.5"], "--energy"),
    (["svd", "a.npy", "--energy", "0.9", "--tol", "0.1"], "give one of them"),
    (["plan", "a.npy", "--energy", "nan"], "--energy"),
    (["plan", "a.npy", "--energy", "0.9", "--norm", "spectral"], "sum of squares"),
    (["svd", "a.npy", "--rank", "3", "--norm", "nuclear"], "nuclear"),
    (["svd", "a.npy", "--rank", "3", "--memory", "lots"], "--memory"),
    (["svd", "a.npy", "--rank", "3", "--threads", "0"], "--threads"),
    (["svd", "a.npy", "--rank", "3", "--threads", "9" * 30], "--threads"),
    (["svd", "a.npy", "--rank", "3", "--deadline", "nan"], "--deadline"),
    (["svd", "a.npy", "--rank", "3", "--seed", "-1"], "--seed"),
    (["svd", "a.npy", "--rank", "3", "--sketch", "magic"], "magic"),
    (["svd", "a.npy", "--rank", "3", "--dataset", "x"], "--dataset"),
    (["svd", "a.npy", "b.npy", "--rank", "3"], "b.npy"),
    (["svd", "missing.npy", "--rank", "3"], "No such file"),
    (["svd", os.fsdecode(b"a\xff\n.npy"), "--rank", "3"], r"a\udcff\n.npy"),
    (["plan", "a.npy"], "--tol"),
    (["demo", "--seed", "x"], "--seed"),
]


@pytest.mark.parametrize(("arguments", "word"), MISUSES, ids=[" ".join(row[0])[:40] for row in MISUSES])
def test_a_wrong_call_is_one_line_and_code_2(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    """Row F17."""
    code = main(arguments)
    check_one_line(capsys.readouterr(), code, 2, word)
    assert os.listdir(here) == ["a.npy"]


def test_a_path_that_is_not_utf8_is_read_where_it_exists(capsys: pytest.CaptureFixture[str]) -> None:
    name = os.fsdecode(b"b\xff.npy")
    try:
        Path("a.npy").rename(name)
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    assert main(["svd", name, "--rank", "3", "--out", "f", "--plot"]) == 0
    assert r"b\udcff.npy" in capsys.readouterr().out
    assert json.loads(Path("f/certificate.json").read_text())["matrix"]["file"] == r"b\udcff.npy"


# ---------------------------------------------------------------------------------------------------- bad files
class Explosive:
    """Leaves a mark where something unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("unpickled",))


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }\n"
BANNER = "%%MatrixMarket matrix"


def bad_index() -> None:
    parts = {"data": np.ones(1), "indices": np.array([9]), "indptr": np.array([0, 1, 1]), "shape": np.array([2, 3])}
    np.savez("bad.npz", format=np.array(b"csr"), **parts)


def evil_member() -> None:
    import zipfile

    with zipfile.ZipFile("bad.npz", "w") as archive:
        archive.writestr("../../evil.npy", Path("a.npy").read_bytes())


def text(name: str, content: str) -> Callable[[], object]:
    return lambda: Path(name).write_text(content)


BAD_FILES: dict[str, tuple[Callable[[], object], str, int, str]] = {
    "F1": (lambda: np.save("bad.npy", np.array([[Explosive()]]), allow_pickle=True), "bad.npy", 1, "pickled objects"),
    "F2": (lambda: Path("bad.npy").write_bytes(header(HUGE) + bytes(99)), "bad.npy", 1, "8 TB"),
    "F3-cut": (lambda: Path("bad.npy").write_bytes(Path("a.npy").read_bytes()[:-9]), "bad.npy", 1, "truncated"),
    "F3-more": (lambda: Path("bad.npy").write_bytes(Path("a.npy").read_bytes() + b"x"), "bad.npy", 1, "trailing"),
    "F3-deep": (lambda: Path("bad.npy").write_bytes(header("(" * 3000)), "bad.npy", 1, "damaged"),
    "F5": (lambda: np.savez_compressed("bad.npz", x=np.zeros((2000, 2000))), "bad.npz", 1, "unpacking"),
    "F6": (evil_member, "bad.npz", 1, "plain array name"),
    "F7": (bad_index, "bad.npz", 1, "column index"),
    "F8": (text("bad.mtx", f"{BANNER} coordinate real general\n9 9 900000000000\n1 1 1\n"), "bad.mtx", 1, "9000000"),
    "F8-dense": (text("bad.mtx", f"{BANNER} array real general\n100000000 100000\n1\n"), "bad.mtx", 1, "80 TB"),
    "F9": (text("bad.mtx", f"{BANNER} coordinate real general\n2 2 1\n3 1 2\n"), "bad.mtx", 1, "bounds"),
    "F9-zero": (text("bad.mtx", f"{BANNER} coordinate real general\n2 2 1\n0 0 1\n"), "bad.mtx", 1, "bad.mtx"),
    "F9-nan": (text("bad.mtx", f"{BANNER} array real general\n2 2\n1\nnan\n2\n3\n"), "bad.mtx", 1, "NaN"),
    **{
        f"F15{suffix}": (
            lambda suffix=suffix: Path(f"bad{suffix}").write_bytes(pickle.dumps(Explosive())),  # type: ignore[misc]
            f"bad{suffix}",
            2,
            "could run code",
        )
        for suffix in (".pkl", ".joblib", ".yaml", ".dat", ".npy")
    },
}


@pytest.mark.parametrize("row", BAD_FILES)
def test_a_bad_file_is_one_line(row: str, capsys: pytest.CaptureFixture[str], here: Path) -> None:
    save, name, expected, word = BAD_FILES[row]
    if name.endswith(".mtx"):
        pytest.importorskip("fast_matrix_market")
    save()
    before = sorted(os.listdir(here))
    code = main(["svd", name, "--rank", "1", "--memory", "16M", "--out", "f"])
    check_one_line(capsys.readouterr(), code, expected, word)
    assert sorted(os.listdir(here)) == before  # nothing unpickled or unpacked, and no empty folder left behind


def test_data_that_are_not_finite_fail_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    A_with_nan = A.copy()
    A_with_nan[3, 4] = np.nan
    np.save("nan.npy", A_with_nan)
    code = main(["svd", "nan.npy", "--rank", "3"])
    check_one_line(capsys.readouterr(), code, 1, "NaN")


@pytest.mark.parametrize(("name", "library"), [("a.h5", "h5py"), ("a.zarr", "zarr")])
def test_a_missing_reader_names_the_extra(
    name: str, library: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row G17."""
    save_hdf5() if library == "h5py" else save_zarr()

    def absent(wanted: str) -> Any:
        raise ImportError(f"No module named {wanted!r}")

    monkeypatch.setattr(opened_module.importlib, "import_module", absent)
    code = main(["svd", name, "--rank", "2"])
    check_one_line(capsys.readouterr(), code, 1, library, 'pip install "rnla[io]"')


@pytest.mark.parametrize(
    ("absent", "arguments", "extra"),
    [
        ("typer", ["info"], "cli"),
        ("rich", ["info"], "cli"),
        ("matplotlib", ["svd", "a.npy", "-k", "2", "--plot"], "plot"),
    ],
)
@pytest.mark.subprocess
def test_a_missing_extra_is_one_line(absent: str, arguments: list[str], extra: str) -> None:
    """Row G17: as after `pip install rnla` without extras."""
    code = f"import sys; sys.modules[{absent!r}] = None; import rnla.cli; sys.exit(rnla.cli.main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.rstrip().endswith(f'pip install "rnla[{extra}]"')


# ------------------------------------------------------------------------------------- what was asked and missed
def test_a_missed_tolerance_is_told_and_kept(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["svd", "a.npy", "--rank", "4", "--tol", "1e-6", "--out", "f"])
    captured = capsys.readouterr()
    check_one_line(captured, code, 1, "--tol 1e-06 was not met", "rank 4", "factors are in f")
    assert "NOT MET" in captured.out
    assert np.load("f/s.npy").shape == (4,)
    assert json.loads(Path("f/certificate.json").read_text())["status"]["name"] == "RANK_CAP"


def test_a_share_of_energy_is_kept_or_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["svd", "a.npy", "--energy", "0.9", "-s", "1", "-o", "f", "--sketch", "srtt"]) == 0
    kept = np.sum(np.load("f/s.npy") ** 2) / np.sum(np.load("a.npy") ** 2)
    assert kept >= 0.9
    assert "energy 0.9" in capsys.readouterr().out
    assert main(["plan", "a.npy", "--energy", "0.9"]) == 0
    capsys.readouterr()
    code = main(["svd", "a.npy", "--energy", "0.999999", "--rank", "2"])
    check_one_line(capsys.readouterr(), code, 1, "--energy 0.999999 was not met")


def test_a_deadline_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("b.npy", np.random.default_rng(0).standard_normal((1500, 1500)))
    code = main(["svd", "b.npy", "--rank", "200", "--oversampling", "40", "--deadline", "0.0001"])
    check_one_line(capsys.readouterr(), code, 1, "deadline")


def test_work_that_does_not_fit_names_what_does(capsys: pytest.CaptureFixture[str]) -> None:
    scipy.sparse.save_npz("wide.npz", scipy.sparse.random_array((20_000, 9_000), density=1e-5, rng=0))
    code = main(["svd", "wide.npz", "--rank", "1000", "--memory", "32M"])
    check_one_line(capsys.readouterr(), code, 1, "--memory", "fits")


def test_a_warning_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("low.npy", A[:, :1] @ A[:1, :])
    assert main(["svd", "low.npy", "--rank", "3"]) == 0
    told = capsys.readouterr().err
    assert told.startswith("rnla: warning: the matrix has numerical rank 1")
    assert told.count("\n") == 1


# ------------------------------------------------------------------------------------------------- row F16: output
SVD = ["svd", "a.npy", "--rank", "3"]


def test_existing_files_are_refused_without_force(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    Path("f").mkdir()
    Path("f/s.npy").write_text("mine")
    code = main([*SVD, "--out", "f"])
    check_one_line(capsys.readouterr(), code, 2, "s.npy exists", "--force")
    assert Path("f/s.npy").read_text() == "mine"
    assert os.listdir("f") == ["s.npy"]
    assert main([*SVD, "--out", "f", "--force"]) == 0
    assert np.load("f/s.npy").shape == (3,)


def test_an_input_is_never_written_over(capsys: pytest.CaptureFixture[str]) -> None:
    Path("U.npy").write_bytes(Path("a.npy").read_bytes())
    Path("f").mkdir()
    os.link("U.npy", "f/Vh.npy")
    for out in (".", "f"):
        code = main(["svd", "U.npy", "--rank", "3", "--out", out, "--force"])
        check_one_line(capsys.readouterr(), code, 2, "input itself")
    assert Path("U.npy").read_bytes() == Path("a.npy").read_bytes()


def test_nothing_is_written_into_a_store_that_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    save_zarr()
    before = sorted(Path("a.zarr").rglob("*"))
    code = main(["svd", "a.zarr", "--rank", "3", "--out", "a.zarr/factors", "--force"])
    check_one_line(capsys.readouterr(), code, 2, "inside the input")
    assert sorted(Path("a.zarr").rglob("*")) == before


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_no_symbolic_link_is_followed(force: list[str], capsys: pytest.CaptureFixture[str], here: Path) -> None:
    Path("elsewhere").mkdir()
    Path("elsewhere/precious").write_text("precious")
    Path("f").mkdir()
    Path("f/s.npy").symlink_to(here / "elsewhere" / "precious")
    Path("dangling").mkdir()
    Path("dangling/U.npy").symlink_to(here / "elsewhere" / "new")
    Path("link").symlink_to(here / "elsewhere")
    for out in ("f", "dangling", "link", "link/"):
        code = main([*SVD, "--out", out, *force])
        check_one_line(capsys.readouterr(), code, 2, "symbolic link")
    assert os.listdir("elsewhere") == ["precious"]
    assert Path("elsewhere/precious").read_text() == "precious"


def test_places_that_are_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("x")
    Path("g/U.npy").mkdir(parents=True)
    for out, word in (("file", "not a folder"), ("file/f", "file/f"), ("g", "not a regular file"), ("x" * 300, "long")):
        code = main([*SVD, "--out", out, "--force"])
        check_one_line(capsys.readouterr(), code, 2, word)


def test_a_failure_while_writing_leaves_the_old_files(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main([*SVD, "--out", "f"]) == 0
    before = {path.name: path.read_bytes() for path in Path("f").iterdir()}
    capsys.readouterr()
    written: list[int] = []

    def full(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code = main(["svd", "a.npy", "--rank", "5", "--out", "f", "--force"])
    check_one_line(capsys.readouterr(), code, 1, "No space left")
    assert {path.name: path.read_bytes() for path in Path("f").iterdir()} == before


def test_a_disk_without_room_is_told_before_the_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = os.statvfs(".")
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((*there[:3], 0, 0, *there[5:])))
    code = main([*SVD, "--out", "f"])
    check_one_line(capsys.readouterr(), code, 1, "0 B free")
    assert not Path("f").exists()


def test_new_folders_are_made_with_their_parents(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SVD, "--out", "x/y", "--plot"]) == 0
    assert Path("x/y/spectrum.png").read_bytes().startswith(b"\x89PNG")
    assert "x/y/spectrum.png" in capsys.readouterr().out


def test_plot_without_a_folder_is_drawn_here_but_over_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert main([*SVD, "--plot"]) == 0
    capsys.readouterr()
    code = main([*SVD, "--plot"])
    check_one_line(capsys.readouterr(), code, 2, "spectrum.png exists")


# ------------------------------------------------------------------------------------------------- true processes
@pytest.mark.subprocess
def test_a_process_of_its_own() -> None:
    done = run("svd", "a.npy", "--tol", "0.1", "--out", "f")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Certificate" in done.stdout
    done = run("svd", b"\xff.npy", "--rank", "3")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    done = run("svd", "a.npy", "--rank", "2", env={**os.environ, "PYTHONIOENCODING": "ascii", "NO_COLOR": "1"})
    assert done.returncode == 0
    assert done.stdout.isascii()


@pytest.mark.subprocess
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_standard_output_that_takes_nothing_loses_nothing() -> None:
    """Row F17: the pipe's reader is gone, there is no standard output, the disk under it is full."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "rnla", *SVD, "--out"]
    for name, stdout, expected in (("f", write, 1), ("g", os.open("/dev/full", os.O_WRONLY), 1)):
        done = subprocess.run(
            [*command, name], stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
        assert done.returncode == expected
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
        assert done.stderr.count("\n") <= 1
        assert np.load(f"{name}/s.npy").shape == (3,)
        os.close(stdout)
    shell = f"'{sys.executable}' -m rnla {' '.join(SVD)} --out h >&-"
    done = subprocess.run(["/bin/sh", "-c", shell], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


SLOW = """
import sys, time
import rnla.cli
from rnla.operators.ledger import Ledger

begin = Ledger._begin
def slowly(self, passes):
    begin(self, passes)
    print("started", flush=True)
    time.sleep(0.7)
Ledger._begin = slowly
sys.exit(rnla.cli.main(["svd", "a.npy", "--rank", "3", "--oversampling", "5", "--out", "f"]))
"""


@pytest.mark.subprocess
def test_control_c_is_one_line_and_code_130() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert time.monotonic() - sent < 2.5  # within two seconds, and the interpreter's own end
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "rnla: error: interrupted"
    assert "Traceback" not in errors
    assert not Path("f").exists()


@pytest.mark.subprocess
def test_long_work_shows_lines_in_a_file_and_a_bar_on_a_terminal() -> None:
    done = subprocess.run([sys.executable, "-c", SLOW], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("rnla: finding the range: ")
    assert "pass " in done.stderr
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color"}
    with subprocess.Popen(
        [sys.executable, "-c", SLOW.replace('"f"]', '"g"]')],
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        env=environment,
    ) as process:
        os.close(terminal)
        shown = b""
        with contextlib.suppress(OSError):  # the terminal's end
            while piece := os.read(controller, 4096):
                shown += piece
        assert process.wait(timeout=60) == 0
    os.close(controller)
    assert b"pass " in shown
    assert b"left" in shown
    assert "━".encode() in shown
