"""The SVD from one reading: what is read, how often, and that it is what a stream gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import rnla
from rnla._xp.namespace import to_host
from rnla.streaming import STREAM_METHODS
from rnla.testing.spectra import matrix

M, N, RANK = 300, 70, 4
A = matrix("exponential", M, N, rng=1)


class Rows:
    """A store that can only be sliced, and counts what is read of it."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array, self.shape, self.dtype, self.read = array, array.shape, array.dtype, 0

    def __getitem__(self, where: Any) -> np.ndarray[Any, Any]:
        out = self.array[where]
        self.read += out.size
        return out


def kinds(tmp_path: Path) -> dict[str, Any]:
    np.save(tmp_path / "A.npy", A)
    np.save(tmp_path / "F.npy", np.asfortranarray(A))
    dask = pytest.importorskip("dask.array")
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "A.h5", "w") as file:
        file.create_dataset("A", data=A, chunks=(50, 70))
    return {
        "array": A,
        "memmap": np.load(tmp_path / "A.npy", mmap_mode="r"),
        "columns": np.load(tmp_path / "F.npy", mmap_mode="r"),
        "hdf5": h5py.File(tmp_path / "A.h5")["A"],
        "dask": dask.from_array(A, chunks=(60, 70)),
        "store": Rows(A),
    }


def test_blocks_are_read_once_and_only_once(tmp_path: Path) -> None:
    reference = rnla.single_pass_svd(A, RANK, rng=3)
    for name, source in kinds(tmp_path).items():
        result = rnla.single_pass_svd(source, RANK, rng=3)
        assert result.report.passes == 1, name
        assert result.report.scans == (1 if name == "array" else 0), name
        np.testing.assert_allclose(result.s, reference.s, rtol=1e-11)
        assert result.error.norm_of_A == pytest.approx(np.linalg.norm(A), rel=1e-12)
        if name == "store":
            assert source.read == A.size


@pytest.mark.parametrize("name", sorted(STREAM_METHODS))
def test_what_is_only_multiplied_is_multiplied_as_little_as_can_be(name: str) -> None:
    hermitian = STREAM_METHODS[name].structure != "general"
    B = A.T @ A if hermitian else A
    whole = rnla.single_pass_svd(B, RANK, method=STREAM_METHODS[name](), rng=3)
    for source in (scipy.sparse.csr_array(B), scipy.sparse.linalg.aslinearoperator(B)):
        result = rnla.single_pass_svd(source, RANK, method=STREAM_METHODS[name](), rng=3)
        assert result.report.passes == (1 if hermitian else 2)
        sketches = rnla.stream(B.shape, RANK, method=STREAM_METHODS[name](), rng=3).layout
        assert result.report.products == sum(s.size for s in sketches)
        np.testing.assert_allclose(result.s, whole.s, rtol=1e-9)
    assert whole.report.passes == 1


@pytest.mark.parametrize("name", sorted(STREAM_METHODS))
def test_it_is_what_a_stream_gives(name: str) -> None:
    B = A if STREAM_METHODS[name].structure == "general" else A.T @ A
    run = rnla.stream(B.shape, RANK, method=STREAM_METHODS[name](), rng=3)
    streamed = run.update_rows(30, B[30:]).update_rows(0, B[:30]).finish()
    result = rnla.single_pass_svd(B, RANK, method=STREAM_METHODS[name](), rng=3)
    np.testing.assert_allclose(result.s, streamed.s, rtol=1e-10)
    gap = result.as_operator().to_array() - streamed.as_operator().to_array()
    assert np.linalg.norm(gap) <= 1e-10 * np.linalg.norm(B)
    true = np.linalg.norm(B - result.as_operator().to_array()) / np.linalg.norm(B)
    assert true <= result.error.upper <= 6 * result.error.value


@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
def test_factors_come_home(library: str) -> None:
    xp = pytest.importorskip(library)
    single = A.astype(np.float32)
    there = xp.asarray(single)
    result = rnla.single_pass_svd(there, RANK, rng=3)
    assert type(result.U) is type(there)
    assert result.U.dtype == xp.float32
    assert result.report.passes == 1
    np.testing.assert_allclose(to_host(result.s), rnla.single_pass_svd(single, RANK, rng=3).s, rtol=1e-4)
    wide = to_host(result.U).astype(np.float64)
    assert np.linalg.norm(wide.T @ wide - np.eye(RANK)) <= 30 * np.finfo(np.float32).eps * RANK**0.5


def test_integers_and_half_precision_are_computed_as_elsewhere() -> None:
    B = np.round(100 * A).astype(np.int32)
    result = rnla.single_pass_svd(B, RANK, rng=3)
    assert result.U.dtype == np.float64
    assert result.report.dtype_path == "int32 -> float64"
    assert rnla.single_pass_svd(A.astype(np.float16), RANK, rng=3).U.dtype == np.float32


def test_block_sizes_change_rounding_only(tmp_path: Path) -> None:
    B = matrix("inverse", 4000, 60, rng=2)
    np.save(tmp_path / "B.npy", B)
    whole = rnla.single_pass_svd(B, RANK, rng=3)
    with rnla.config_context(memory_budget=1 << 21):
        cut = rnla.single_pass_svd(str(tmp_path / "B.npy"), RANK, rng=3)
    np.testing.assert_allclose(cut.s, whole.s, rtol=1e-11)
    assert cut.report.passes == 1
    assert np.linalg.norm(cut.U - whole.U) <= 1e-8


@pytest.mark.parametrize("power", [-160, 145])
def test_entries_near_the_ends_of_the_range(power: int, tmp_path: Path) -> None:
    """They are scaled by a power of two: one reading more out of core, none in memory."""
    scale = 10.0**power
    plain, scaled = rnla.single_pass_svd(A, RANK, rng=3), rnla.single_pass_svd(A * scale, RANK, rng=3)
    np.testing.assert_allclose(scaled.s / scale, plain.s, rtol=1e-10)
    assert scaled.error.value == pytest.approx(plain.error.value, rel=1e-6)
    assert scaled.error.upper == pytest.approx(plain.error.upper, rel=1e-6)
    assert scaled.report.passes == 1
    np.save(tmp_path / "A.npy", A * scale)
    assert rnla.single_pass_svd(str(tmp_path / "A.npy"), RANK, rng=3).report.passes == 2


def test_a_tolerance_is_met_by_the_smallest_rank_or_missed_aloud() -> None:
    result = rnla.single_pass_svd(A, 20, tol=0.5, error_columns=30, rng=3)
    assert result.error.upper <= 0.5
    assert result.rank < 20
    with pytest.raises(rnla.ToleranceNotMet) as caught:
        rnla.single_pass_svd(A, 3, tol=1e-3, rng=3)
    assert caught.value.result.rank <= 3
    missed = rnla.single_pass_svd(A, 3, tol=1e-3, rng=3, on_failure="return")
    assert missed.status is rnla.Status.RANK_CAP


def test_the_same_seed_gives_the_same_bits_and_a_input_is_left_alone() -> None:
    B = A.copy()
    one, two = rnla.single_pass_svd(B, RANK, rng=3), rnla.single_pass_svd(B, RANK, rng=3)
    assert all((x == y).all() for x, y in zip(one, two, strict=True))
    assert (B == A).all()
    again = rnla.single_pass_svd(B, RANK, rng=one.report.seed)
    assert (again.s == one.s).all()


def test_what_cannot_be_used_is_refused_before_the_work() -> None:
    with pytest.raises(rnla.InputError, match="empty"):
        rnla.single_pass_svd(np.zeros((0, 5)), 1)
    with pytest.raises(rnla.InputError, match="larger than"):
        rnla.single_pass_svd(A, N + 1)
    with pytest.raises(rnla.NonFiniteError):
        rnla.single_pass_svd(np.where(A[3, 3] == A, np.nan, A), RANK)
    with pytest.raises(rnla.InputError, match="square"):
        rnla.single_pass_svd(A, RANK, method=rnla.NystromSketch())
    with pytest.raises(rnla.InputError, match="cannot be read again"):
        rnla.single_pass_svd(A, RANK, rng=3).extend(rank=6)
