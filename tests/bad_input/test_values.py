"""Rows A: values that are not finite, too large, too small, all zero, or of a difficult spectrum."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import rnla
from tests.bad_input.cases import (
    METHODS,
    SHAPES,
    Operator,
    assert_orthonormal,
    assert_right,
    assert_untouched,
    decaying,
    every_dtype,
    every_method,
    every_shape,
    host,
    run,
    silenced,
    strict,
    tensor,
    with_spectrum,
)

SMALL_AND_LARGE = {"3x3": (3, 3), "40x40": (40, 40), "60x40": (60, 40), "4000x30": (4000, 30)}


def named_rows(message: str) -> range:
    first, last = re.search(r"rows (\d+) to (\d+)", message).groups()  # type: ignore[union-attr]
    return range(int(first), int(last) + 1)


# ------------------------------------------------------------------------------------------------ A1, A2, A3
def check_bad_entry(shape: tuple[int, int], dtype: str, method: str, entry: complex, row: int) -> None:
    A = np.ones(shape, dtype=dtype) + decaying(shape, dtype, min(shape))
    A[row, shape[1] // 2] = entry
    with assert_untouched(A), pytest.raises(rnla.NonFiniteError, match="NaN or infinity") as caught:
        run(A, 2, method)
    assert row in named_rows(str(caught.value))
    assert "remove or impute" in str(caught.value)


@every_method
@every_dtype
@pytest.mark.parametrize("shape", SMALL_AND_LARGE.values(), ids=SMALL_AND_LARGE.keys())
def test_A1_one_nan_is_named_with_its_rows(shape: tuple[int, int], dtype: str, method: str) -> None:
    nan = complex(0, math.nan) if dtype.startswith("c") else math.nan
    check_bad_entry(shape, dtype, method, nan, shape[0] // 2)


@every_method
@every_dtype
@pytest.mark.parametrize("sign", [1, -1], ids=["inf", "-inf"])
@pytest.mark.parametrize("shape", SMALL_AND_LARGE.values(), ids=SMALL_AND_LARGE.keys())
def test_A2_one_infinity_never_reaches_lapack(shape: tuple[int, int], dtype: str, method: str, sign: int) -> None:
    infinity = complex(1, sign * math.inf) if dtype.startswith("c") else sign * math.inf
    check_bad_entry(shape, dtype, method, infinity, shape[0] - 1)


@every_method
@pytest.mark.parametrize("bad", [math.nan, math.inf], ids=["nan", "inf"])
def test_A1_A2_small_cores_are_checked_without_check_finite(bad: float, method: str) -> None:
    A = np.eye(3)
    A[1, 1] = bad
    with rnla.config_context(check_finite=False), pytest.raises(rnla.NonFiniteError):
        run(A, 2, method)


@pytest.mark.parametrize("bad", [math.nan, math.inf], ids=["nan", "inf"])
@pytest.mark.parametrize("kind", ["memmap", "strict", "torch", "operator"])
def test_A1_A2_in_every_container(kind: str, bad: float, tmp_path: Path) -> None:
    A = decaying((60, 20))
    A[17, 3] = bad
    given: Any
    if kind == "memmap":
        np.save(tmp_path / "a.npy", A)
        given = np.load(tmp_path / "a.npy", mmap_mode="r")
    else:
        given = {"strict": strict, "torch": tensor, "operator": Operator}[kind](A)
    with pytest.raises(rnla.NonFiniteError, match="NaN or infinity"):
        rnla.svd(given, 3, rng=0)


@pytest.mark.parametrize("bad", [math.nan, math.inf], ids=["nan", "inf"])
def test_A1_A2_extend_sees_what_came_in_later(bad: float) -> None:
    A = decaying((60, 40))
    result = rnla.svd(A, 3, method=METHODS["subspace_iteration"], rng=0)
    A[5, 5] = bad
    with pytest.raises(rnla.NonFiniteError, match="NaN or infinity"):
        result.extend(rank=8)


def test_A3_a_part_that_sampling_never_reads() -> None:
    V = np.linalg.qr(np.random.default_rng(0).standard_normal((200, 200)))[0]
    A = (V * 0.3 ** np.arange(200.0)) @ V.T
    A = (A + A.T) / 2
    plain = rnla.cholesky(A, 5, rng=0)
    # The answer is of what was read: the diagonal, the pivots' columns, and a sample of the residual.
    assert "entries of A were read" in plain.report.notes[0]
    pivots = set(plain.pivots.tolist())
    i, j = [k for k in range(200) if k not in pivots][:2]
    unread = A.copy()
    unread[i, j] = unread[j, i] = np.nan
    assert np.array_equal(rnla.cholesky(unread, 5, rng=0).L, plain.L)
    read, pivot = A.copy(), int(plain.pivots[0])
    read[i, pivot] = read[pivot, i] = np.nan
    with pytest.raises(rnla.NonFiniteError, match="NaN"):
        rnla.cholesky(read, 5, rng=0)


# --------------------------------------------------------------------------------------------------------- A4
@every_method
def test_A4_products_that_would_overflow_are_scaled(method: str) -> None:
    A = decaying((90, 30))
    exponent = 1020 - math.frexp(np.abs(A).max())[1]
    assert_right(run(np.ldexp(A, exponent), method=method), A, exponent)


@every_method
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_A4_singular_values_beyond_the_range_are_refused(dtype: str, method: str) -> None:
    A = np.full((40, 40), np.finfo(dtype).max / 4, dtype=dtype)
    with pytest.raises(rnla.NonFiniteError, match=r"exceed the range of float.*scale A down"):
        run(A, 2, method)


def test_A4_an_overflow_inside_an_operator_says_so() -> None:
    class Steep(Operator):
        def _out(self, y: Any) -> Any:
            with np.errstate(over="ignore"):
                return y * 1e300 * 1e300

    with pytest.raises(rnla.NonFiniteError, match=r"in pass 1: .*overflowed \(then scale A down\)"):
        rnla.svd(Steep(decaying((40, 30))), 2, rng=0)


# ------------------------------------------------------------------------------------------- A5, A6, A7, A8
def check_scaled(
    base: np.ndarray[Any, Any], scale: float, method: str, extended: bool, kind: str = "array", stored: Any = None
) -> None:
    """Compare with the same entries in a comfortable range, reached by a power of two."""
    A = base * np.asarray(scale, dtype=base.real.dtype)
    wide = A.astype(np.complex128 if A.dtype.kind == "c" else np.float64)
    exponent = math.frexp(float(np.abs(A).max()))[1]
    comfortable = wide * 2.0 ** (-(exponent // 2)) * 2.0 ** (-(exponent - exponent // 2))
    given: Any = {
        "array": lambda x: x,
        "csr": scipy.sparse.csr_array,
        "strict": strict,
        "torch": tensor,
        "operator": Operator,
        "stored": stored,
    }["stored" if stored else kind](A)
    result = run(given, 3 if extended else 6, method)
    if extended:
        result = result.extend(rank=max(8, result.rank))
    tiny = float(np.finfo(A.real.dtype).smallest_subnormal)
    rounding = np.finfo(A.real.dtype).eps + tiny / float(np.abs(A).max()) * math.sqrt(A.size)
    assert_right(result, comfortable, exponent, unit=float(rounding))
    assert math.isfinite(result.error.absolute)
    assert any("computed on A times 2**" in note for note in result.report.notes)


SCALES = {
    "A5-1e200": ("float64", 1e200),
    "A5-1e200-complex": ("complex128", 1e200),
    "A6-1e-200": ("float64", 1e-200),
    "A6-1e-200-complex": ("complex128", 1e-200),
    "A7-subnormal": ("float64", 1e-310),
    "A7-subnormal-complex": ("complex128", 1e-310),
    "A8-1e20": ("float32", 1e20),
    "A8-1e20-complex": ("complex64", 1e20),
    "A8-1e-25": ("float32", 1e-25),
    "A8-1e-25-complex": ("complex64", 1e-25),
}
every_scale = pytest.mark.parametrize(("dtype", "scale"), SCALES.values(), ids=SCALES.keys())


@every_method
@every_shape
@every_scale
@pytest.mark.parametrize("extended", [False, True], ids=["once", "extended"])
def test_A5_to_A8_extreme_scales_are_right(
    dtype: str, scale: float, shape: tuple[int, int], method: str, extended: bool
) -> None:
    check_scaled(decaying(shape, dtype), scale, method, extended)


@every_scale
@pytest.mark.parametrize("kind", ["csr", "strict", "torch", "operator"])
def test_A5_to_A8_in_every_container(dtype: str, scale: float, kind: str) -> None:
    check_scaled(decaying((90, 30), dtype), scale, "auto", False, kind)
    check_scaled(decaying((90, 30), dtype), scale, "adaptive", False, kind)


def stored(A: np.ndarray[Any, Any], kind: str, folder: Path) -> Any:
    if kind == "hdf5":
        h5py = pytest.importorskip("h5py")
        file = h5py.File(folder / "a.h5", "w", driver="core", backing_store=False)
        return file.create_dataset("a", data=A, chunks=True)
    np.save(folder / "a.npy", np.asarray(A, order="F" if kind == "memmap F" else "C"))
    return folder / "a.npy" if kind == "path" else np.load(folder / "a.npy", mmap_mode="r")


OUT_OF_CORE = ["path", "memmap", "memmap F", "hdf5"]


@every_method
@every_scale
@pytest.mark.parametrize("kind", OUT_OF_CORE)
@pytest.mark.parametrize("shape", [(60, 60), (400, 30), (30, 400)], ids=["square", "tall", "wide"])
def test_A5_to_A8_out_of_core(
    dtype: str, scale: float, method: str, kind: str, shape: tuple[int, int], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("rnla.operators.rowblocks.BLOCK_BYTES", 4096)  # several blocks
    base = decaying(shape, dtype)
    A = base * np.asarray(scale, dtype=base.real.dtype)
    given = stored(A, kind, tmp_path)
    result = run(given, 5, method)
    memory = run(A, 5, method)
    assert result.rank == memory.rank
    bound = 100 * np.finfo(dtype).eps * float(memory.s[0])
    assert np.all(np.abs(result.s - memory.s) <= bound + 4 * np.finfo(A.real.dtype).smallest_subnormal)
    assert result.status is memory.status
    assert result.report.notes == memory.report.notes
    check_scaled(base, scale, method, False, stored=lambda _: given)


@every_method
@pytest.mark.parametrize("kind", OUT_OF_CORE)
@pytest.mark.parametrize("top", [1.0, 1e200], ids=["safe", "extreme"])
def test_A5_to_A8_out_of_core_scale_found_in_the_last_block(
    kind: str, method: str, top: float, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("rnla.operators.rowblocks.BLOCK_BYTES", 4096)
    A = decaying((400, 30))
    A[:390] *= 1e-160
    A[:, :29] *= 1e-3
    A *= top
    given = stored(A, kind, tmp_path)
    # Rows are read once for both sides, in memory and out of it; columns are not.
    result, memory = run(given, 3, method), run(np.asfortranarray(A) if kind == "memmap F" else A, 3, method)
    assert np.allclose(result.s, memory.s, rtol=1e-12, atol=1e-14 * memory.s[0])
    assert result.report.passes <= memory.report.passes + (top != 1)  # one pass more, where the scale had to be found


@pytest.mark.parametrize("kind", OUT_OF_CORE)
def test_an_ordinary_matrix_out_of_core_is_read_no_more_than_before(kind: str, tmp_path: Path) -> None:
    A = decaying((400, 30))
    given = stored(A, kind, tmp_path)
    for method in ("full_svd", "gram_eigh", "tall_qr"):
        result, memory = run(given, 3, method), run(A, 3, method)
        assert (result.report.passes, result.report.scans) == (memory.report.passes, 0)


@pytest.mark.parametrize("tol", [1e-3, 1e-10])
@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_A5_A6_spectral_tolerance(scale: float, tol: float) -> None:
    A = with_spectrum((80, 60), 0.5 ** np.arange(60))
    result = rnla.svd(A * scale, tol=tol, norm="spectral", rng=0)
    U, s, Vh = result
    true = np.linalg.norm(A - (U * (s / scale)) @ Vh, 2) / np.linalg.norm(A, 2)
    assert true <= result.error.upper + result.error.floor
    assert result.error.upper <= tol


# ------------------------------------------------------------------------------------------ A9, A10, A13
ZEROS = {"A9-zero": 0.0, "A13-negative-zero": -0.0}


@every_method
@every_dtype
@every_shape
@pytest.mark.parametrize("zero", ZEROS.values(), ids=ZEROS.keys())
def test_A9_A13_zero_matrix(zero: float, shape: tuple[int, int], dtype: str, method: str) -> None:
    A = np.full(shape, zero, dtype=dtype)
    if method == "adaptive":
        result = run(A, method=method)
        assert result.rank == 0
    else:
        with pytest.warns(rnla.RankWarning, match="numerical rank 0, below rank=4"):
            result = run(A, 4, method)
        assert result.rank == 4
    assert host(result.s).tolist() == [0.0] * result.rank
    assert_orthonormal(result)
    assert (result.error.value, result.error.absolute, result.report.numerical_rank) == (0.0, 0.0, 0)
    assert result.status is rnla.Status.MET


@pytest.mark.parametrize("kind", ["csr", "empty-csr", "strict", "torch", "operator", "memmap"])
def test_A9_zero_matrix_in_every_container(kind: str, tmp_path: Path) -> None:
    A = np.zeros((60, 25))
    np.save(tmp_path / "a.npy", A)
    given: Any = {
        "csr": lambda: scipy.sparse.csr_array(A),
        "empty-csr": lambda: scipy.sparse.csr_array((60, 25)),
        "strict": lambda: strict(A),
        "torch": lambda: tensor(A),
        "operator": lambda: Operator(A),
        "memmap": lambda: np.load(tmp_path / "a.npy", mmap_mode="r"),
    }[kind]()
    with pytest.warns(rnla.RankWarning):
        result = rnla.svd(given, 3, rng=0)
    assert host(result.s).tolist() == [0.0] * 3
    assert_orthonormal(result)
    assert result.error.value == 0
    assert rnla.svd(given, tol=1e-3, rng=0).rank == 0
    with silenced(rnla.RankWarning):
        more = result.extend(rank=6)
    assert_orthonormal(more)
    assert host(more.s).tolist() == [0.0] * 6


@every_method
@every_dtype
@every_shape
def test_A10_numerical_rank_below_the_rank_asked(shape: tuple[int, int], dtype: str, method: str) -> None:
    A = with_spectrum(shape, [3.0, 2.0, 1.0], dtype)
    if method == "adaptive":
        result = run(A, method=method)
        assert result.rank == 3
    else:
        with pytest.warns(rnla.RankWarning, match="numerical rank 3, below rank=8"):
            result = run(A, 8, method)
        assert result.rank == 8
        assert np.all(host(result.s)[3:] <= 30 * np.finfo(dtype).eps * math.sqrt(max(shape)) * 3)
    assert result.report.numerical_rank == 3
    assert_right(result, A)


@every_method
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize("wide", [False, True], ids=["tall", "wide"])
def test_A10_small_singular_values_of_a_long_matrix_count(wide: bool, dtype: str, method: str) -> None:
    shape, s = (100_000, 8), np.r_[np.linspace(1, 0.5, 7), 2e-5]  # 170 eps
    A = with_spectrum(shape, s, dtype)
    result = run(A.T if wide else A, 8, method, tol=9e-6 if method == "adaptive" else None)  # warnings are errors
    assert result.report.numerical_rank == result.rank == 8
    assert abs(result.s[7] - 2e-5) <= 8 * np.finfo(dtype).eps


@pytest.mark.parametrize("method", [name for name in METHODS if name != "adaptive"])  # which stops at the rank
@every_dtype
@pytest.mark.parametrize("shape", [(20_000, 20), (20, 20_000), (2_000, 100)])
def test_A10_rounding_of_a_long_matrix_does_not_count(shape: tuple[int, int], dtype: str, method: str) -> None:
    for A in (np.ones(shape, dtype), with_spectrum(shape, [3.0, 2.0, 1.0], dtype)):
        with pytest.warns(rnla.RankWarning):
            result = run(A, 6, method)
        assert result.report.numerical_rank == (1 if A[0, 0] == 1 else 3)


@every_method
def test_A13_signed_zeros_change_nothing(method: str) -> None:
    A = decaying((90, 30))
    A[::3] = 0.0
    B = A.copy()
    B[::3] = -0.0
    first, second = run(A, method=method), run(B, method=method)
    assert np.array_equal(first.s, second.s)
    assert np.allclose(np.abs(first.U), np.abs(second.U), rtol=0, atol=1e-13)
    assert np.array_equal(host(first.Vh), host(second.Vh))


# ---------------------------------------------------------------------------------------- A11, A12, A14, A15
@every_method
@every_shape
def test_A11_flat_spectrum_any_invariant_subspace(shape: tuple[int, int], method: str) -> None:
    short = min(shape)
    A = with_spectrum(shape, np.ones(short))
    result = run(A, method=method, tol=0.5 if method == "adaptive" else None)
    k = result.rank
    assert np.allclose(host(result.s), 1, rtol=0, atol=1e-12)
    assert_orthonormal(result)
    assert result.error.value == pytest.approx(math.sqrt(1 - k / short), rel=1e-6)
    if method == "adaptive":
        assert k == math.ceil(0.75 * short)


SPECTRA = {
    "graded": np.geomspace(1, 1e-15, 40),
    "clustered": np.repeat([1.0, 0.9, 1e-3, 1e-8], 10),
    "staircase": np.repeat(10.0 ** -np.arange(8), 5),
    "one-large": np.r_[1.0, np.full(39, 1e-12)],
    "one-small": np.r_[np.ones(39), 1e-12],
    "slow": 1.0 / np.arange(1, 41),
}


@every_method
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_A12_difficult_spectra_are_within_the_certificate(spectrum: str, dtype: str, method: str) -> None:
    A = with_spectrum((120, 50), SPECTRA[spectrum], dtype)
    tol = 1e-2 if method == "adaptive" else None
    with silenced(rnla.RankWarning):
        result = run(A, 10, method, tol=tol)
    wide = A.astype(np.complex128)
    U, s, Vh = (host(x) for x in result)
    reference = np.linalg.svd(wide, compute_uv=False)
    true = np.linalg.norm(wide - (U * s) @ Vh)
    whole = np.linalg.norm(reference)
    rounding = 50 * np.finfo(dtype).eps * whole
    # Corollary 10.10 at (A^H A)^3 with 5 or more columns of oversampling leaves far less than 15 % on these spectra.
    assert true <= 1.15 * np.linalg.norm(reference[result.rank :]) + rounding
    assert_orthonormal(result)
    # The identity is a difference of squares: its rounding is eps relative to the square of the norm.
    squares = 50 * np.finfo(dtype).eps * whole**2 + rounding**2
    if not math.isnan(result.error.upper):
        assert true**2 <= (result.error.upper * whole) ** 2 + squares
    else:
        spread = 6 * result.error.standard_error * whole
        assert abs(true - result.error.absolute) <= spread + math.sqrt(squares)
    if tol is not None:
        assert true**2 <= (tol * whole) ** 2 + squares


@every_method
@pytest.mark.parametrize("where", ["row", "column"])
def test_A14_one_row_or_column_with_all_the_leverage(where: str, method: str) -> None:
    A = decaying((90, 30)) * 1e-6
    if where == "row":
        A[41] = 1e3
    else:
        A[:, 17] = 1e3
    result = run(A, 5, method)
    assert_right(result, A)


@pytest.mark.parametrize("sketch", ["gaussian", "sparse_sign"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_A14_one_entry_is_the_whole_matrix(shape: tuple[int, int], sketch: str) -> None:
    A = np.zeros(shape)
    A[7, 11] = -4.0
    result = rnla.svd(A, 1, sketch=sketch, rng=0)
    assert result.s[0] == pytest.approx(4.0, rel=1e-14)
    assert result.error.value <= 1e-12
    U, s, Vh = result
    assert np.allclose((U * s) @ Vh, A, rtol=0, atol=1e-13)


FUNCTIONS = {"eigh": rnla.eigh, "nystrom": rnla.nystrom}
HERMITIAN_METHODS = ["auto", "subspace_iteration", "full_svd"]


def hermitian(values: Any, n: int = 48, dtype: str = "float64") -> np.ndarray[Any, Any]:
    vectors = np.linalg.qr(decaying((n, n), dtype, n))[0][:, : len(values)]
    A = (vectors * np.asarray(values)) @ vectors.conj().T
    return ((A + A.conj().T) / 2).astype(dtype)


@every_dtype
@pytest.mark.parametrize("method", HERMITIAN_METHODS)
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_A15_hermitian_up_to_rounding_is_hermitian(function: Any, method: str, dtype: str) -> None:
    A = hermitian([3.0, 2.0, 1.0], dtype=dtype)
    unit = np.finfo(dtype).eps
    A[0, 1] += 8 * unit * np.abs(A).max()
    w = function(A, 3, method=METHODS[method], rng=0).w
    assert np.abs(host(w) - [3, 2, 1]).max() <= 100 * unit


@every_dtype
@pytest.mark.parametrize("method", HERMITIAN_METHODS)
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_A15_nearly_hermitian_is_refused_with_the_place(function: Any, method: str, dtype: str) -> None:
    A = hermitian([3.0, 2.0, 1.0], dtype=dtype)
    A[30, 7] += 1e-3
    with assert_untouched(A), pytest.raises(rnla.InputError, match=r"not Hermitian.*(30, 7|7, 30).*use svd"):
        function(A, 3, method=METHODS[method], rng=0)
    with pytest.raises(rnla.InputError, match="not Hermitian"):
        function(Operator(A), 3, method=rnla.SubspaceIteration(), rng=0)


@every_dtype
@pytest.mark.parametrize("method", HERMITIAN_METHODS)
def test_A15_indefinite_is_for_eigh_and_not_for_nystrom(method: str, dtype: str) -> None:
    A = hermitian([3.0, -2.0, 1.0], dtype=dtype)
    assert np.abs(host(rnla.eigh(A, 3, method=METHODS[method], rng=0).w) - [3, -2, 1]).max() <= 1e-5
    A += (2 * np.eye(48)).astype(dtype) * np.abs(A).max()  # a diagonal that tells nothing
    A -= (4 * hermitian([1.0], dtype=dtype)).astype(dtype)
    with assert_untouched(A), pytest.raises(rnla.InputError, match=r"not positive semidefinite.*eigh"):
        rnla.nystrom(A, 20, method=METHODS[method], rng=0)


@pytest.mark.parametrize("bad", [math.nan, math.inf], ids=["nan", "inf"])
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_A15_what_is_not_finite_is_named_before_symmetry(function: Any, bad: float, tmp_path: Path) -> None:
    A = hermitian([3.0, 2.0, 1.0])
    A[17, 3] = bad
    np.save(tmp_path / "a.npy", A)
    for given in (A, strict(A), tensor(A), Operator(A), scipy.sparse.csr_array(A), str(tmp_path / "a.npy")):
        with pytest.raises(rnla.NonFiniteError, match="NaN or infinity"):
            function(given, 3, rng=0)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_A15_rectangular_is_refused(function: Any) -> None:
    for shape in ((5, 3), (3, 5), (0, 4)):
        with pytest.raises(rnla.InputError, match=rf"square; this one is {shape[0]} x {shape[1]}.*svd"):
            function(np.ones(shape), 1)
