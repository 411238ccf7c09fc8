"""Streams: every order and cut of the pieces gives one state, which can be kept, moved, merged and gone on with."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import rnla
from rnla._xp.namespace import to_host
from rnla.rng import Key
from rnla.sketch import SKETCHES
from rnla.streaming import STREAM_METHODS
from rnla.testing.spectra import matrix

M, N, RANK = 61, 43, 3
METHODS = sorted(STREAM_METHODS)


def piece(name: str, seed: int = 0, dtype: Any = np.float64) -> Any:
    """Return a matrix that a method is for."""
    structure = STREAM_METHODS[name].structure
    if structure == "general":
        return matrix("exponential", M, N, dtype=dtype, rng=seed)
    A = matrix("exponential", N, N, dtype=dtype, rng=seed)
    return (A + A.conj().T) / 2 if structure == "hermitian" else A @ A.conj().T


def begun(name: str, dtype: Any = np.float64, **more: Any) -> rnla.Stream:
    shape = (M, N) if STREAM_METHODS[name].structure == "general" else (N, N)
    return rnla.stream(shape, RANK, method=STREAM_METHODS[name](), dtype=dtype, rng=5, **more)


def arrays(run: rnla.Stream) -> dict[str, Any]:
    return {name: to_host(array) for name, array in run.sketches.arrays.items()}


def assert_same(one: rnla.Stream, other: rnla.Stream, size: float = 1.0) -> None:
    """Equal to rounding: sums of at most max(m, n) products, and a handful of pieces."""
    eps = np.finfo(one.dtype).eps
    for name, array in arrays(one).items():
        gap = np.linalg.norm(array - arrays(other)[name])
        assert gap <= 50 * eps * (np.linalg.norm(array) + size), name


# ---------------------------------------------------------------------------------------------- what is kept
@pytest.mark.parametrize("name", METHODS)
def test_the_sketches_are_the_products_with_the_maps(name: str) -> None:
    A = piece(name, dtype=np.complex128)
    run = begun(name, np.complex128).update(A)
    sketches = run.sketches
    for s in sketches.layout:
        over = {"range": ["columns"], "corange": ["rows"], "core": ["rows", "columns"]}[s.side]
        drawn = [sketches.whole_map(s.name, side) for side in over]
        expected = {
            "range": lambda drawn: A @ drawn[0],
            "corange": lambda drawn: A.conj().T @ drawn[0],
            "core": lambda drawn: drawn[0].conj().T @ A @ drawn[1],
        }[s.side](drawn)
        np.testing.assert_allclose(sketches[s.name], expected, atol=1e-12 * np.linalg.norm(expected))
    assert len({s.name for s in sketches.layout}) == len(sketches.layout)


@pytest.mark.parametrize("name", METHODS)
def test_the_state_is_exactly_as_large_as_it_says(name: str) -> None:
    run = begun(name)
    before = run.storage
    run.update(piece(name))
    assert before == run.storage == sum(array.size for array in arrays(run).values())
    assert run.nbytes == sum(array.nbytes for array in arrays(run).values())


def test_the_sizes_are_those_of_the_papers() -> None:
    run = rnla.stream((200, 100), 5, rng=0)
    assert (run.method.k, run.method.s) == (21, 43)
    assert run.storage == 21 * 300 + 43**2 + 10 * 100
    run = rnla.stream((200, 100), 5, dtype=np.complex128, rng=0)
    assert (run.method.k, run.method.s) == (20, 40)
    run = rnla.stream((200, 100), 5, method=rnla.RangeCorange(), error_columns=7, rng=0)
    assert (run.method.k, run.method.l, run.storage) == (11, 23, 11 * 200 + 23 * 100 + 7 * 100)


# ------------------------------------------------------------------------------------------------- linearity
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("name", METHODS)
def test_every_cut_and_order_gives_one_state(name: str, dtype: Any) -> None:
    A = piece(name, dtype=dtype)
    m, n = A.shape
    whole = begun(name, dtype).update(A)
    for order in ([0, 20, 21, 40], [40, 0, 21, 20]):
        run = begun(name, dtype)
        ends = {0: 20, 20: 21, 21: 40, 40: m}
        for first in order:
            run.update_rows(first, A[first : ends[first]])
        assert_same(run, whole)
    run = begun(name, dtype)
    for first in (30, 0, 7):
        run.update_columns(first, A[:, first : {0: 7, 7: 30, 30: n}[first]])
    assert_same(run, whole)
    assert all(array.dtype == dtype for array in arrays(run).values())


@pytest.mark.parametrize("sketch", sorted(SKETCHES))
def test_every_test_matrix_of_the_table_can_be_streamed(sketch: str, tmp_path: Path) -> None:
    A = piece("sketchy_svd")
    method = rnla.SketchySVD(sketch=SKETCHES[sketch]())
    whole, run = (rnla.stream(A.shape, RANK, method=method, rng=5) for _ in range(2))
    for first, last in ((21, M), (0, 21)):
        run.update_rows(first, A[first:last])
    assert_same(run, whole.update(A))
    run.save(tmp_path / "run.npz")
    assert_same(rnla.Stream.load(tmp_path / "run.npz").merge(whole), run.copy().update(A))
    Psi = run.sketches.whole_map("Z", "columns")
    assert 0.5 < np.linalg.norm(Psi) ** 2 / Psi.size < 2  # entries of mean square 1


def test_fixed_windows_do_not_depend_on_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """With windows shorter than the matrix the maps are drawn in parts; the sums are the same to rounding."""
    A = piece("sketchy_svd")
    whole = begun("sketchy_svd").update(A)
    monkeypatch.setattr("rnla.streaming.maps._TILE", 8)
    run = begun("sketchy_svd")
    for first, last in ((3, 30), (0, 3), (30, M)):
        run.update_rows(first, A[first:last])
    assert_same(run, whole)
    np.testing.assert_allclose(run.finish().s, whole.finish().s, rtol=1e-10)


@pytest.mark.parametrize("name", METHODS)
def test_held_maps_are_the_same_maps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where not all of them can be held at once; and they are no part of the state."""
    monkeypatch.setattr("rnla.streaming.maps._TILE", 8)
    monkeypatch.setattr("rnla.streaming.maps._HELD", 300)
    A = piece(name)
    run = begun(name)
    with run.holding_maps():
        for i in range(len(A)):
            run.update_rows(i, A[i : i + 1])
        run.update_columns(0, 0 * A[:, :1])
        assert pickle.loads(pickle.dumps(run)).update(A).updates == len(A) + 2
        held = run.finish().s
    assert_same(run, begun(name).update(A))
    np.testing.assert_allclose(run.finish().s, held, rtol=1e-10)


@pytest.mark.parametrize("name", METHODS)
def test_linear_updates_are_linear(name: str) -> None:
    A, B = piece(name), piece(name, seed=1)
    run = begun(name).update(A).update(B, eta=0.25, theta=2)
    assert_same(run, begun(name).update(2 * A + 0.25 * B))


def test_bits_do_not_depend_on_the_threads() -> None:
    A = matrix("exponential", 3000, 90, rng=0)
    found = []
    for threads in (1, 2):
        with rnla.config_context(threads=threads):
            found.append(rnla.stream(A.shape, 8, rng=1).update_rows(0, A[:1700]).update_rows(1700, A[1700:]).finish())
    assert all((one == other).all() for one, other in zip(*found, strict=True))
    assert found[0].report.deterministic


def test_complex_factors_reach_the_corange_conjugated() -> None:
    A, B = piece("sketchy_svd", dtype=np.complex128), piece("sketchy_svd", 1, np.complex128)
    run = begun("sketchy_svd", np.complex128).update(A).update(B, eta=1 - 2j, theta=0.5j)
    assert_same(run, begun("sketchy_svd", np.complex128).update(0.5j * A + (1 - 2j) * B))


def test_forgetting_weighs_the_past_exponentially() -> None:
    """By rows as well: every update multiplies all that came before by `forget`."""
    A = piece("sketchy_svd")
    run = begun("sketchy_svd", forget=0.9)
    explicit = np.zeros((M, N))
    for first in range(0, M, 20):
        run.update_rows(first, A[first : first + 20])
        explicit *= 0.9
        explicit[first : first + 20] += A[first : first + 20]
    run.update(A)
    explicit = 0.9 * explicit + A
    assert_same(run, begun("sketchy_svd").update(explicit))
    run.update(A, theta=1.0)
    assert_same(run, begun("sketchy_svd").update(explicit + A))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_overflow_is_refused_and_leaves_the_state_as_it_was(dtype: Any) -> None:
    """Whether the past, the sum with a piece or the sum of two streams leaves the range of the dtype."""
    A = piece("sketchy_svd", dtype=dtype)
    run = begun("sketchy_svd", dtype).update(A)
    large = float(np.finfo(dtype).max) / max(float(np.abs(array).max()) for array in arrays(run).values())
    before = run.copy()
    with pytest.raises(rnla.NonFiniteError, match="leave the range"):
        run.update(A, theta=4 * large)
    assert_same(run, before, 0.0)
    assert run.updates == 1
    full = begun("sketchy_svd", dtype).update(A, eta=0.75 * large)
    kept = full.copy()
    for add in (lambda: full.update(A, eta=0.75 * large), lambda: full.merge(kept)):
        with pytest.raises(rnla.NonFiniteError, match="leave the range"):
            add()
        assert all((one == arrays(kept)[name]).all() for name, one in arrays(full).items())
        assert full.updates == 1


# --------------------------------------------------------------------------------------------- kinds of pieces
@pytest.mark.parametrize("name", METHODS)
def test_every_kind_of_piece_adds_the_same(name: str, tmp_path: Path) -> None:
    A = piece(name)
    whole = begun(name).update(A)
    np.save(tmp_path / "A.npy", A)
    np.save(tmp_path / "F.npy", np.asfortranarray(A))
    U, s, Vh = np.linalg.svd(A, full_matrices=False)
    kinds = {
        "sparse": scipy.sparse.csr_array(A),
        "operator": scipy.sparse.linalg.aslinearoperator(A),
        "memmap": np.load(tmp_path / "A.npy", mmap_mode="r"),
        "columns": np.load(tmp_path / "F.npy", mmap_mode="r"),
        "path": str(tmp_path / "A.npy"),
        "pair": (U * s, Vh),
        "list": A.tolist(),
        "strided": np.repeat(A, 2, axis=1)[:, ::2],
    }
    for kind, H in kinds.items():
        run = begun(name).update(H)
        assert_same(run, whole)
        assert run.updates == 1, kind
    assert_same(begun(name).update_rows(7, scipy.sparse.coo_array(A[7:20])), begun(name).update_rows(7, A[7:20]))


def test_a_result_of_the_library_is_a_piece() -> None:
    A = piece("sketchy_svd")
    result = rnla.svd(A, N, rng=0)
    assert_same(begun("sketchy_svd").update(result), begun("sketchy_svd").update(A))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
def test_other_libraries_keep_their_arrays(name: str, library: str) -> None:
    xp = pytest.importorskip(library)
    A = piece(name, dtype=np.complex128)
    there = xp.asarray(A)
    host = begun(name, np.complex128).update_rows(0, A[:20]).update_rows(20, A[20:])
    run = begun(name, like=there, dtype=np.complex128).update_rows(0, there[:20, :]).update_rows(20, there[20:, :])
    assert_same(run, host)
    assert type(run.sketches["E"]) is type(there)
    assert_same(run.copy().merge(run), begun(name, np.complex128).update(2 * A))
    result = run.finish()
    assert type(result.U) is type(result.s) is type(there)
    np.testing.assert_allclose(to_host(result.s), host.finish().s, rtol=1e-9)
    with pytest.raises(rnla.BackendError, match="like="):
        run.update(A)


def test_float64_pieces_keep_single_precision_streams_single() -> None:
    A = piece("sketchy_svd")
    run = begun("sketchy_svd", np.float32).update_rows(0, A)
    assert run.finish().U.dtype == np.float32
    single = A.astype(np.float32)
    exact = begun("sketchy_svd").update(single.astype(np.float64))
    assert_same(begun("sketchy_svd").update(single), exact)
    assert_same(begun("sketchy_svd").update(scipy.sparse.csr_array(single)), exact)


# ------------------------------------------------------------------------------------------- merge, copy, files
@pytest.mark.parametrize("name", METHODS)
def test_two_halves_merge_to_the_whole(name: str) -> None:
    A = piece(name)
    one, other = begun(name).update_rows(0, A[:17]), begun(name).update_rows(17, A[17:])
    kept = other.copy()
    assert one.merge(other) is one
    assert_same(one, begun(name).update(A))
    assert one.updates == 2
    assert all((arrays(other)[key] == value).all() for key, value in arrays(kept).items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rng": 6}, "same rng="),
        ({"shape": (M, N + 1)}, "different shape"),
        ({"rank": RANK + 1}, "different method"),
        ({"error_columns": 9}, "different layout"),
        ({"dtype": np.float32}, "different dtype"),
        ({"method": rnla.RangeCorange()}, "different method"),
        ({"method": rnla.SketchySVD(sketch="sparse_sign")}, "different method"),
    ],
)
def test_streams_that_do_not_add_up_are_refused(change: dict[str, Any], message: str) -> None:
    asked: dict[str, Any] = {"shape": (M, N), "rank": RANK, "rng": 5} | change
    with pytest.raises(rnla.InputError, match=message):
        begun("sketchy_svd").merge(rnla.stream(asked.pop("shape"), asked.pop("rank"), **asked))
    with pytest.raises(rnla.DTypeError, match="Stream"):
        begun("sketchy_svd").merge(np.zeros((M, N)))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", METHODS)
def test_a_saved_stream_goes_on_with_identical_bits(name: str, tmp_path: Path) -> None:
    A = piece(name, dtype=np.complex64)
    run = begun(name, np.complex64, forget=0.75).update(scipy.sparse.csr_array(A))
    path = tmp_path / "run.npz"
    run.save(path)
    resumed = [rnla.Stream.load(path), pickle.loads(pickle.dumps(run)), run.copy()]
    run.update(A)
    for other in resumed:
        other.update(A)
        assert other.updates == run.updates == 2
        for key, array in arrays(run).items():
            assert array.dtype == arrays(other)[key].dtype
            assert (array == arrays(other)[key]).all(), key
        one, two = run.finish(), other.finish()
        assert all((a == b).all() for a, b in zip(one, two, strict=True))
        assert one.error == two.error


def test_a_stream_of_another_library_comes_back_where_it_is_wanted(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    A = torch.as_tensor(piece("sketchy_svd"))
    run = begun("sketchy_svd", like=A).update(A)
    run.save(tmp_path / "run.npz")
    back = rnla.Stream.load(tmp_path / "run.npz", like=A)
    assert isinstance(back.sketches["Y"], torch.Tensor)
    assert isinstance(rnla.Stream.load(tmp_path / "run.npz").sketches["Y"], np.ndarray)
    assert isinstance(pickle.loads(pickle.dumps(run)).update(A).sketches["Y"], torch.Tensor)


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    run = begun("sketchy_svd").update(piece("sketchy_svd"))
    run.save(path)
    with pytest.raises(rnla.IntegrityError, match=r"rnla\.Stream\.load"):
        rnla.load(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    with pytest.raises(rnla.IntegrityError, match="digest"):
        rnla.Stream.load(path)
    path.write_bytes(whole[:-10])
    with pytest.raises(rnla.IntegrityError, match="cannot be loaded"):
        rnla.Stream.load(path)
    run.finish().save(path)
    with pytest.raises(rnla.IntegrityError, match=r"rnla\.load"):
        rnla.Stream.load(path)

    class Own:
        def tile(self, *args: Any, **more: Any) -> Any:
            return rnla.Gaussian().tile(*args, **more)

    with pytest.raises(rnla.DTypeError, match="of your own"):
        rnla.stream((M, N), RANK, method=rnla.SketchySVD(sketch=Own()), rng=0).save(path)


# ----------------------------------------------------------------------------------------------- what is refused
def test_bad_requests_say_what_to_do() -> None:
    with pytest.raises(rnla.InputError, match="larger than"):
        rnla.stream((10, 5), 6)
    with pytest.raises(rnla.InputError, match="rank=0"):
        rnla.stream((10, 5), 0)
    with pytest.raises(rnla.InputError, match="rows=0"):
        rnla.stream((0, 5), 1)
    with pytest.raises(rnla.InputError, match="shape must be"):
        rnla.stream(10, 1)  # type: ignore[arg-type]
    with pytest.raises(rnla.InputError, match="forget"):
        rnla.stream((10, 5), 1, forget=1.5)
    with pytest.raises(rnla.DTypeError, match="dtype"):
        rnla.stream((10, 5), 1, dtype=np.int64)
    with pytest.raises(rnla.DTypeError, match="SketchySVD"):
        rnla.stream((10, 5), 1, method="sketchy")
    with pytest.raises(rnla.InputError, match="square psd"):
        rnla.stream((10, 5), 1, method=rnla.NystromSketch())
    with pytest.raises(rnla.InputError, match="needs at least"):
        rnla.stream((100, 50), 5, storage=1000)
    with pytest.raises(rnla.InputError, match="leaves 0 numbers"):
        rnla.stream((100, 50), 5, storage=100)
    with pytest.raises(rnla.InputError, match="contradict"):
        rnla.stream((100, 50), 5, storage=10000, method=rnla.SketchySVD(k=8))
    with pytest.raises(rnla.InputError, match="k=3 must be at least 5"):
        rnla.stream((100, 50), 5, method=rnla.SketchySVD(k=3))
    with rnla.config_context(memory_budget=2_000_000), pytest.raises(rnla.BudgetError, match="memory_budget"):
        rnla.stream((10_000, 5000), 5)


def test_a_piece_that_does_not_fit_leaves_the_state_as_it_was() -> None:
    A = piece("sketchy_svd")
    run = begun("sketchy_svd").update_rows(0, A[:20])
    before = run.copy()
    bad = A[20:].copy()
    bad[-1, -1] = np.nan
    with pytest.raises(rnla.NonFiniteError):
        run.update_rows(20, bad)
    with pytest.raises(rnla.NonFiniteError):
        run.update_rows(20, scipy.sparse.csr_array(bad))
    with pytest.raises(rnla.InputError, match="does not fit"):
        run.update_rows(50, A[:20])
    with pytest.raises(rnla.InputError, match="does not fit"):
        run.update_columns(0, A[:20])
    with pytest.raises(rnla.InputError, match="update_rows"):
        run.update(A[:20])
    with pytest.raises(rnla.DTypeError, match="dtype=complex"):
        run.update(A * 1j)
    with pytest.raises(rnla.DTypeError, match="complex"):
        run.update(A, eta=1j)
    with pytest.raises(rnla.InputError, match="finite"):
        run.update(A, eta=np.inf)
    with pytest.raises(rnla.InputError, match="multiply"):
        run.update((A, A))
    with pytest.raises(rnla.NonFiniteError, match="range"):
        begun("sketchy_svd", np.float32).update(A * 1e60)
    assert run.updates == 1
    assert all((arrays(before)[name] == array).all() for name, array in arrays(run).items())


def test_an_update_broken_off_in_the_middle_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    A = piece("sketchy_svd")
    run = begun("sketchy_svd").update_rows(0, A[:20])

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("rnla.streaming.state.in_place", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.update_rows(20, A[20:])
    for use in (run.finish, run.copy, lambda: run.update(A), lambda: pickle.dumps(run)):
        with pytest.raises(rnla.IntegrityError, match="broken off"):
            use()


def test_a_deadline_stops_an_update_before_it_changes_anything() -> None:
    A = piece("sketchy_svd")
    run = begun("sketchy_svd")
    with rnla.config_context(deadline=1e-9), pytest.raises(rnla.DeadlineReached):
        run.update(A)
    assert run.updates == 0
    assert not any(array.any() for array in arrays(run).values())


def test_hermitian_methods_refuse_what_is_not() -> None:
    A = matrix("exponential", N, N, rng=3)
    with pytest.raises(rnla.InputError, match="not Hermitian"):
        begun("nystrom_sketch").update(A).finish()
    with pytest.raises(rnla.InputError, match="HermitianSketch"):
        begun("nystrom_sketch").update(A + A.T - np.eye(N)).finish()
    with pytest.raises(rnla.InputError, match="real"):
        begun("hermitian_sketch", np.complex128).update(A + A.T, eta=1j)


# ------------------------------------------------------------------------------------------------- what comes out
@pytest.mark.parametrize("dtype", [np.float32, np.complex64, np.float64])
@pytest.mark.parametrize("name", METHODS)
def test_factors_are_orthonormal_and_in_the_dtype_of_the_stream(name: str, dtype: Any) -> None:
    result = begun(name, dtype).update(piece(name, dtype=dtype)).finish()
    U, s, Vh = result
    assert U.dtype == Vh.dtype == dtype
    assert s.dtype == np.finfo(dtype).dtype
    assert (np.diff(s) <= 0).all()
    for Q in (U, Vh.conj().T):
        wide = Q.astype(np.complex128)
        assert np.linalg.norm(wide.conj().T @ wide - np.eye(RANK)) <= 30 * np.finfo(dtype).eps * RANK**0.5


@pytest.mark.parametrize("name", METHODS)
def test_exact_rank_is_recovered_to_rounding(name: str) -> None:
    """Rank 3 fits in every sketch, so the error is rounding, amplified by the least squares (under 1e3 here)."""
    key = Key(1)
    left = key.child("l").normals(0, M, RANK, dtype=np.complex128)
    right = key.child("r").normals(0, N, RANK, dtype=np.complex128)
    A = left @ right.conj().T if STREAM_METHODS[name].structure == "general" else right @ right.conj().T
    result = begun(name, np.complex128).update(A).finish()
    assert np.linalg.norm(result.as_operator().to_array() - A) <= 1e3 * 2.3e-16 * np.linalg.norm(A)
    assert result.error.value < 1e-12
    assert result.error.upper < 1e-11


def test_a_stream_of_nothing_is_zero() -> None:
    with pytest.warns(rnla.RnlaWarning, match="numerical rank 0"):
        result = begun("sketchy_svd").finish()
    assert result.s.tolist() == [0.0] * RANK
    assert result.error.value == result.error.upper == 0
    assert begun("nystrom_sketch").finish(tol=0.5).rank == 0


def test_the_stream_goes_on_after_finish() -> None:
    A = piece("sketchy_svd")
    run = begun("sketchy_svd").update_rows(0, A[:30])
    run.finish()
    run.update_rows(30, A[30:])
    assert (run.finish().s == begun("sketchy_svd").update_rows(0, A[:30]).update_rows(30, A[30:]).finish().s).all()


def test_ranks_and_tolerances_of_finish() -> None:
    A = piece("sketchy_svd")
    run = rnla.stream(A.shape, 8, error_columns=30, rng=0).update(A)
    assert run.finish(5).rank == 5
    met = run.finish(tol=0.5)
    assert met.error.upper <= 0.5
    assert met.status.ok
    assert np.linalg.norm(A - met.as_operator().to_array()) <= 0.5 * np.linalg.norm(A)
    with pytest.raises(rnla.ToleranceNotMet, match="cannot be read again") as caught:
        run.finish(2, tol=0.1)
    assert caught.value.result.rank == 2
    assert run.finish(2, tol=0.1, on_failure="return").status is rnla.Status.RANK_CAP
    estimate = run.finish(5).error
    near = run.finish(5, tol=1.01 * estimate.value, on_failure="return")
    assert near.status is rnla.Status.NOT_CERTIFIED
    with pytest.raises(rnla.InputError, match="larger rank or storage"):
        run.finish(34)
    with pytest.raises(rnla.InputError, match="on_failure"):
        run.finish(on_failure="ignore")


def test_a_result_is_printed_saved_and_not_extended(tmp_path: Path) -> None:
    result = begun("sketchy_svd").update(piece("sketchy_svd")).finish()
    assert "SketchySVD" in str(result)
    assert "error sketch" in str(result)
    assert result.report.passes == 1
    assert "1 updates" in result.report.notes[0]
    with pytest.raises(rnla.InputError, match="stream"):
        result.extend(rank=5)
    result.save(tmp_path / "result.npz")
    back = rnla.load(tmp_path / "result.npz")
    assert (back.s == result.s).all()
    assert back.error == result.error


def test_a_truncated_result_adds_norms_not_squares() -> None:
    A = piece("sketchy_svd")
    result = begun("sketchy_svd").update(A).finish()
    small = result.truncate(1)
    dropped = float(np.linalg.norm(result.s[1:]))
    assert (small.error.kind, small.error.value) == ("bounded", small.error.upper)  # a sum of norms estimates nothing
    assert small.error.absolute >= result.error.upper * result.error.norm_of_A + dropped
    true = np.linalg.norm(A - small.as_operator().to_array()) / np.linalg.norm(A)
    assert true <= small.error.upper


def test_the_stream_prints_what_it_is() -> None:
    text = repr(begun("nystrom_sketch").update(piece("nystrom_sketch")))
    assert "1 updates" in text
    assert "NystromSketch" in text
