"""The products of dense arrays: the compiled kernels against their plain twins, and the cut in tasks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import rnla
from rnla._kernels import compiled, products

DTYPES = ("float32", "float64", "complex64", "complex128")
# Odd sizes around the widths of the registers and the groups, long and short sides, and enough work to leave BLAS.
SHAPES = (
    (300, 200, 7),
    (2000, 130, 24),
    (130, 3000, 33),
    (5, 4000, 50),
    (1000, 1, 300),
    (1, 700, 300),
    (517, 2300, 61),
)
LAYOUTS = ("rows", "columns", "part of wider rows", "read-only")


def filled(rng: np.random.Generator, m: int, n: int, dtype: str) -> np.ndarray:
    a = rng.standard_normal((m, n))
    return (a + 1j * rng.standard_normal((m, n)) if np.dtype(dtype).kind == "c" else a).astype(dtype)


def laid_out(rng: np.random.Generator, layout: str, m: int, n: int, dtype: str) -> np.ndarray:
    if layout == "columns":
        return np.asfortranarray(filled(rng, m, n, dtype))
    if layout == "part of wider rows":
        return filled(rng, m, n + 3, dtype)[:, 1 : n + 1]
    a = filled(rng, m, n, dtype)
    a.setflags(write=layout != "read-only")
    return a


def rounding(terms: int, *norms: np.ndarray) -> float:
    """Return the bound gamma_n |A| |X| on the entries of a product, with the triangle inequality for the norms."""
    eps = max(float(np.finfo(norm.dtype).eps) for norm in norms)
    # Complex products round twice as often (Higham, Accuracy and Stability, section 3.6).
    return 4 * terms * eps * float(np.prod([np.abs(norm).max(initial=0.0) for norm in norms]))


@pytest.fixture
def kernels() -> None:
    pytest.importorskip("numba")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_kernels_equal_their_twins(kernels: None, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(0)
    kind = np.dtype(dtype)
    for m, n, k in SHAPES:
        a, x, y = laid_out(rng, layout, m, n, dtype), filled(rng, n, k, dtype), filled(rng, m, k, dtype)
        by_rows = products.has_contiguous_rows(a)
        found = {}
        for setting in ("plain", "compiled"):
            with compiled.using(setting, ["products"], kind):
                found[setting] = [
                    products.product(a, x, kind, 2),
                    products.adjoint_product(a, y, kind, 2),
                    *(products.normal_product(a, x, kind, 2) if by_rows else ()),
                    products.subtract_product(y.copy(), a, x, 2),
                ]
        bounds = [rounding(n, a, x), rounding(m, a, y)]
        bounds += [rounding(n, a, x) * m * np.abs(a).max() * 2, rounding(n, a, x)] if by_rows else []
        bounds += [rounding(n + 1, a, x) + rounding(1, y)]
        for plain, fast, bound in zip(found["plain"], found["compiled"], bounds, strict=True):
            assert fast.dtype == plain.dtype == kind
            assert np.abs(fast - plain).max() <= bound
        assert np.abs(found["plain"][0] - a @ x).max() <= bounds[0]
        assert np.abs(found["plain"][1] - a.conj().T @ y).max() <= bounds[1]


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_bits_do_not_depend_on_threads(kernels: None, dtype: str) -> None:
    rng = np.random.default_rng(1)
    kind = np.dtype(dtype)
    for (m, n, k), setting in itertools.product(((3000, 900, 20), (900, 3000, 20)), ("plain", "compiled")):
        a, x, y = filled(rng, m, n, dtype), filled(rng, n, k, dtype), filled(rng, m, k, dtype)
        with compiled.using(setting, ["products"], kind):
            one, four = (
                [products.product(a, x, kind, t), products.adjoint_product(a, y, kind, t),
                 *products.normal_product(a, x, kind, t)]
                for t in (1, 4)
            )  # fmt: skip
        for left, right in zip(one, four, strict=True):
            assert np.array_equal(left, right)


@pytest.mark.parametrize("layout", ["rows", "part of wider rows"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_squares_of_the_rows_ride_in_the_normal_product(kernels: None, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(3)
    kind = np.dtype(dtype)
    for m, n in ((1, 1), (37, 53), (129, 8), (3000, 257), (2500, 700)):
        a, x = laid_out(rng, layout, m, n, dtype), filled(rng, n, 24, dtype)
        exact = float(np.sum(np.abs(a.astype("complex128")) ** 2))
        for setting, threads in itertools.product(("plain", "compiled"), (1, 4)):
            squares: list[float] = []
            with compiled.using(setting, ["products"], kind):
                w, y = products.normal_product(a, x, kind, threads, squares)
                alone = products.normal_product(a, x, kind, threads)
            assert np.array_equal(w, alone[0])
            assert np.array_equal(y, alone[1])
            # Sums of positive terms: at most one rounding for each term of a row, in the precision of the entries.
            assert abs(sum(squares) - exact) <= 2 * n * float(np.finfo(kind).eps) * exact


def test_what_no_kernel_can_read_is_converted_by_tiles(kernels: None) -> None:
    rng = np.random.default_rng(2)
    kind = np.dtype("float64")
    for a in (rng.integers(-9, 9, (400, 300)), rng.standard_normal((400, 300)).astype(">f8"),
              rng.standard_normal((800, 600))[::2, ::2]):  # fmt: skip
        x, y = rng.standard_normal((300, 12)), rng.standard_normal((400, 12))
        with compiled.using("compiled", ["products"], kind):
            ax, ay = products.product(a, x, kind, 2), products.adjoint_product(a, y, kind, 2)
            w, image = products.normal_product(a, x, kind, 2)
        plain = np.asarray(a, dtype="f8")
        assert np.abs(ax - plain @ x).max() <= rounding(300, plain, x)
        assert np.abs(ay - plain.T @ y).max() <= rounding(400, plain, y)
        assert np.array_equal(image.shape, (400, 12))
        assert np.abs(w - plain.T @ (plain @ x)).max() <= rounding(300, plain, x) * 400 * 2 * np.abs(plain).max()


def test_the_report_names_the_kernels(kernels: None) -> None:
    A = np.random.default_rng(0).standard_normal((600, 400))
    reports = {}
    for setting in ("plain", "compiled"):
        with rnla.config_context(kernels=setting):
            reports[setting] = rnla.svd(A, 20, rng=0).report
    assert reports["plain"].kernels == "plain"
    assert reports["compiled"].kernels.startswith("compiled for vectors of ")
    assert reports["plain"].plan.method == reports["compiled"].plan.method


def test_a_call_keeps_the_kernels_it_began_with(kernels: None) -> None:
    kind = np.dtype("float64")
    with compiled.using("plain", ["products"], kind):
        assert compiled.family("products", kind) is None
        with compiled.using("compiled", ["products"], kind):
            assert compiled.family("products", kind) is None
    with compiled.using("compiled", ["products"], kind):
        assert compiled.family("products", np.dtype("complex128")) is compiled.family("products", kind)
    assert compiled.family("products", kind) is None


def test_without_numba_the_twins_work_and_compiled_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # counts as missing: the kernels are not Python
    A = np.random.default_rng(0).standard_normal((600, 400))
    with rnla.config_context(kernels="compiled"), pytest.raises(rnla.BackendError, match=r"pip install rnla\[fast\]"):
        rnla.svd(A, 20, rng=0)
    monkeypatch.setattr(compiled, "_ready", {})
    result = rnla.svd(A, 20, rng=0)
    assert "numba is not installed" in result.report.kernels


def test_a_kernel_that_cannot_be_compiled_is_told(kernels: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from rnla._kernels import products_numba

    def broken(dtype: np.dtype) -> None:
        raise OSError("no room")

    monkeypatch.setattr(products_numba, "warm", broken)
    monkeypatch.setattr(compiled, "_ready", {})
    monkeypatch.setattr(compiled, "_failed", {})
    A = np.random.default_rng(0).standard_normal((600, 400))
    with rnla.config_context(kernels="compiled"), pytest.raises(rnla.BackendError, match="no room"):
        rnla.svd(A, 20, rng=0)
    assert "no room" in rnla.svd(A, 20, rng=0).report.kernels


def test_kernels_are_loaded_once_the_work_of_a_process_is_worth_it(
    kernels: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(compiled, "_work_seen", 0.0)
    monkeypatch.setattr(compiled, "_request", asked.append)
    kind = np.dtype("float64")
    for seen in range(3):
        with compiled.using("auto", ["products"], kind, flops=0.4 * compiled._PRICE):
            assert len(asked) == max(0, seen - 1)
    with compiled.using("plain", ["products"], kind, flops=10 * compiled._PRICE):
        assert len(asked) == 1
