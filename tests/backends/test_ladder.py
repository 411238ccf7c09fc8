"""Every public function on every rung: the answer agrees with NumPy's and comes home."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest

import rnla

METHODS: dict[str, Any] = {
    "auto": None,
    "subspace_iteration": rnla.SubspaceIteration(),
    "column-space": rnla.SubspaceIteration(space="column"),
    "householder": rnla.SubspaceIteration(orthonormalizer=rnla.HouseholderQR()),
    "tsqr": rnla.SubspaceIteration(orthonormalizer=rnla.TSQR(block_rows=16)),
    "sparse_sign": rnla.SubspaceIteration(sketch="sparse_sign"),
    "no-power": rnla.SubspaceIteration(power_iterations=0),
    "adaptive": rnla.Adaptive(block_size=8),
    "gram_eigh": rnla.GramEigh(),
    "tall_qr": rnla.TallQR(),
    "full_svd": rnla.FullSVD(),
}
SHAPES = {"tall": (150, 40), "wide": (40, 150), "square": (60, 60)}
DTYPES = ["float32", "float64", "complex64", "complex128"]

every_method = pytest.mark.parametrize("method", METHODS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def matrix(shape: tuple[int, int], dtype: str, decay: float = 0.7) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(11)
    k = min(shape)

    def orthonormal(rows: int) -> np.ndarray[Any, Any]:
        x = rng.standard_normal((rows, k))
        return np.linalg.qr(x + 1j * rng.standard_normal((rows, k)) if dtype.startswith("c") else x)[0]

    return ((orthonormal(shape[0]) * decay ** np.arange(k)) @ orthonormal(shape[1]).conj().T).astype(dtype)


def ask(A: Any, method: str, **more: Any) -> Any:
    given: dict[str, Any] = {"tol": 1e-2} if method == "adaptive" else {"rank": 6}
    return rnla.svd(A, method=METHODS[method], rng=3, **given, **more)


def eps(dtype: str) -> float:
    return float(np.finfo(dtype).eps)


@every_method
@every_dtype
@every_shape
def test_svd_agrees_with_numpy_and_comes_home(shape: Any, dtype: str, method: str, backend: Any) -> None:
    A = matrix(shape, dtype)
    there = backend.there(A)
    result, expected = ask(there, method), ask(A, method)
    assert all(backend.same_home(x, there) for x in result)
    U, s, Vh = (backend.back(x) for x in result)
    assert (U.dtype, s.dtype, Vh.dtype) == (A.dtype, A.real.dtype, A.dtype)
    assert (U.shape, s.shape, Vh.shape) == ((shape[0], result.rank), (result.rank,), (result.rank, shape[1]))
    # Method, sizes and products are the same, and passes but for NumPy's rows, which are read once for both sides;
    # factors agree to rounding, subspaces to rounding over the gap, here 0.3 s.
    assert result.rank == expected.rank
    assert result.report.plan.method == expected.report.plan.method
    assert result.report.products == expected.report.products
    assert expected.report.passes <= result.report.passes <= 2 * expected.report.passes
    c = 100 * eps(dtype)
    assert np.max(np.abs(s - expected.s)) <= c
    assert np.linalg.norm((U * s) @ Vh - (expected.U * expected.s) @ expected.Vh) <= 10 * c
    assert np.max(np.abs(U[:, 0] - expected.U[:, 0])) <= 10 * c
    assert result.error.value == pytest.approx(expected.error.value, rel=1e-2, abs=c)
    assert result.error.kind == expected.error.kind
    k = result.rank
    assert np.linalg.norm(U.conj().T.astype(complex) @ U - np.eye(k)) <= 30 * eps(dtype) * math.sqrt(k)
    assert np.linalg.norm(Vh.astype(complex) @ Vh.conj().T - np.eye(k)) <= 30 * eps(dtype) * math.sqrt(k)


@every_dtype
@every_shape
def test_plan_is_the_same_on_every_rung(shape: Any, dtype: str, backend: Any) -> None:
    A = matrix(shape, dtype)
    assert str(rnla.plan(backend.there(A), 6)) == str(rnla.plan(A, 6))
    assert str(rnla.plan(backend.there(A), tol=1e-2)) == str(rnla.plan(A, tol=1e-2))


@pytest.mark.parametrize("method", ["subspace_iteration", "adaptive", "gram_eigh", "full_svd"])
@every_dtype
def test_a_result_lives_its_life_on_every_rung(dtype: str, method: str, backend: Any) -> None:
    A = matrix((150, 40), dtype)
    there = backend.there(A)
    result = ask(there, method)
    more = result.extend(result.rank + 5)
    assert more.rank == result.rank + 5
    assert all(backend.same_home(x, there) for x in more)
    assert more.error.value <= result.error.value * (1 + 1e-3)
    less = more.truncate(3)
    assert all(backend.same_home(x, there) for x in less)
    assert less.error.value >= more.error.value
    exact = np.linalg.svd(A.astype(complex), compute_uv=False)
    assert np.allclose(backend.back(more.s)[:3], exact[:3], rtol=0, atol=1e3 * eps(dtype))
    operator = more.as_operator()
    x = backend.there(matrix((40, 3), dtype))
    y = backend.there(matrix((150, 3), dtype))
    full = backend.back(operator.to_array())
    assert np.allclose(backend.back(operator @ x), full @ backend.back(x), atol=1e3 * eps(dtype))
    assert np.allclose(backend.back(operator.H @ y), full.conj().T @ backend.back(y), atol=1e3 * eps(dtype))
    assert np.allclose(backend.back(operator @ x[:, 0]), full @ backend.back(x)[:, 0], atol=1e3 * eps(dtype))
    assert "SVD" in str(more)
    assert np.array_equal(backend.back(copy.deepcopy(more).U), backend.back(more.U))


@every_dtype
def test_a_result_pickles_on_torch_and_numpy(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    A = matrix((150, 40), dtype)
    for there in (A, torch.from_numpy(A.copy())):
        result = pickle.loads(pickle.dumps(ask(there, "subspace_iteration")))
        assert type(result.U) is type(there)
        assert result.extend(12, A=there).rank == 12


@pytest.mark.parametrize("norm", ["fro", "spectral"])
@every_dtype
def test_tolerances_are_kept_on_every_rung(dtype: str, norm: str, backend: Any) -> None:
    A = matrix((150, 40), dtype)
    there = backend.there(A)
    for tol in (0.2, 200 * eps(dtype)):
        result = rnla.svd(there, tol=tol, norm=norm, method=rnla.Adaptive(block_size=8), rng=0)
        U, s, Vh = (backend.back(x).astype(complex) for x in result)
        order: Any = "fro" if norm == "fro" else 2
        true = np.linalg.norm(A - (U * s) @ Vh, order) / np.linalg.norm(A, order)
        assert true <= tol + 30 * eps(dtype)


@every_dtype
@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (1, 4), (4, 1), (1, 1)], ids=str)
def test_the_smallest_matrices(shape: Any, dtype: str, backend: Any) -> None:
    there = backend.there(np.ones(shape, dtype=dtype))
    rank = min(shape)
    result = rnla.svd(there, rank)
    assert all(backend.same_home(x, there) for x in result)
    assert backend.back(result.s) == pytest.approx([math.sqrt(math.prod(shape))] * rank, rel=1e-6)


@pytest.mark.parametrize("dtype", ["bool", "int8", "int32", "int64", "uint8"])
def test_whole_numbers_come_home_in_double(dtype: str, backend: Any) -> None:
    A = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 9, (50, 30)).astype(dtype)
    for method in ("subspace_iteration", "full_svd"):
        U, s, _ = ask(backend.there(A), method)
        assert backend.back(U).dtype == backend.back(s).dtype == np.float64
        assert np.allclose(backend.back(s), ask(A.astype(float), method).s, rtol=1e-12)


@every_method
@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_half_precision_comes_home_in_single(half: str, method: str) -> None:
    torch = pytest.importorskip("torch")
    there = torch.from_numpy(matrix((150, 40), "float32")).to(getattr(torch, half))
    result = ask(there, method)
    U, s, Vh = result
    assert U.dtype == s.dtype == Vh.dtype == torch.float32
    exact = torch.linalg.svdvals(there.to(torch.float64))[: result.rank]
    # A basis without power iterations is good to a share of the first value left out.
    loss = 1e-2 if method == "no-power" else 1e-3
    assert float(torch.max(torch.abs(s - exact))) <= loss
    assert result.report.dtype_path == f"{half} -> float32"


LAYOUTS = {
    "transposed": lambda t: t.mT.contiguous().mT,
    "sliced": lambda t: t.repeat_interleave(2, dim=0)[::2],
    "expanded": lambda t: t[:1].expand(150, 40),
    "conjugated": lambda t: t.conj(),
    "adjoint": lambda t: t.mH,
    "imaginary": lambda t: t.conj().imag,
    "offset": lambda t: t[3:, 5:],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("method", ["subspace_iteration", "gram_eigh", "tall_qr", "full_svd", "adaptive"])
def test_tensor_views_are_read_as_what_they_mean(method: str, layout: str) -> None:
    torch = pytest.importorskip("torch")
    base = torch.from_numpy(matrix((150, 40), "complex128"))
    view = LAYOUTS[layout](base)
    plain = view.resolve_conj().resolve_neg().contiguous().numpy()
    before = plain.copy()
    with pytest.warns(rnla.RankWarning) if layout == "expanded" and method != "adaptive" else _nothing():
        result = ask(view, method)
    assert not result.U.is_conj()
    exact = np.linalg.svd(plain, compute_uv=False)[: result.rank]
    assert np.allclose(result.s.numpy(), exact, rtol=0, atol=1e-5)
    assert np.array_equal(view.resolve_conj().resolve_neg().numpy(), before)


def _nothing() -> Any:
    import contextlib

    return contextlib.nullcontext()


@pytest.mark.parametrize("before", ["highest", "high", "medium"])
def test_the_precision_of_float32_products_is_held_inside_and_restored(before: str) -> None:
    torch = pytest.importorskip("torch")
    seen: list[str] = []
    A = torch.from_numpy(matrix((150, 40), "float32"))
    torch.set_float32_matmul_precision(before)
    try:
        with rnla.config_context(callback=lambda _: seen.append(torch.get_float32_matmul_precision())):
            ask(A, "subspace_iteration")
        assert torch.get_float32_matmul_precision() == before
        A[0, 0] = math.nan
        with pytest.raises(rnla.NonFiniteError):
            ask(A, "subspace_iteration")
        assert torch.get_float32_matmul_precision() == before
    finally:
        torch.set_float32_matmul_precision("highest")
    assert set(seen) == {"highest"}


def test_default_types_and_devices_of_torch_are_not_leaned_on() -> None:
    torch = pytest.importorskip("torch")
    A = torch.from_numpy(matrix((150, 40), "float64"))
    expected = ask(A, "subspace_iteration")
    torch.set_default_dtype(torch.float32)
    torch.set_default_device("meta")
    try:
        result = ask(A, "subspace_iteration")
    finally:
        torch.set_default_device("cpu")
        torch.set_default_dtype(torch.float32)
    assert result.U.dtype == torch.float64
    assert torch.equal(result.s, expected.s)
    assert torch.equal(result.U, expected.U)


def test_gradients_are_neither_recorded_nor_needed() -> None:
    torch = pytest.importorskip("torch")
    A = torch.from_numpy(matrix((150, 40), "float64"))
    with torch.inference_mode():
        result = ask(A, "subspace_iteration")
    assert not result.U.requires_grad
    with pytest.raises(rnla.DTypeError, match=r"requires gradients.*A\.detach\(\)"):
        ask(A.requires_grad_(), "subspace_iteration")


@every_method
def test_the_callers_array_is_not_written(method: str, backend: Any) -> None:
    A = matrix((150, 40), "float64")
    there = backend.there(A)
    result = ask(there, method)
    result.extend(result.rank + 3)
    assert np.array_equal(backend.back(there), A)
