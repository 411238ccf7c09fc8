"""Arrays come home, panels stay where they are, and libraries, precisions, threads and kernels agree to rounding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import rnla
from tests.backends.conftest import BACKENDS, HERE, Backend
from tests.matfun.exact import case

N, K = 60, 3
DTYPES = ["float32", "float64", "complex64", "complex128"]
POWERS = (0.5, -0.5, 0.25, -0.25)


@pytest.fixture(params=HERE)
def backend(request: pytest.FixtureRequest) -> Backend:
    return BACKENDS[request.param]()


def given(form: str, dtype: str, sign: int) -> tuple[Any, Any]:
    field = "complex" if dtype.startswith("complex") else "real"
    made = case(1e2, sign, n=N, k=K, dense=form == "dense", field=field, share=0.7)
    A = made.A_half.astype(np.dtype(dtype).type(0).real.dtype if form == "diagonal" else dtype)
    return A, made.D.astype(dtype)


def assert_agree(one: Any, other: Any, rounding: float) -> None:
    """Compare the corrections as matrices: inside a cluster of eigenvalues the columns of V may turn."""
    w, v = np.asarray(one.w, float), np.asarray(one.V)
    x, u = np.asarray(other.w, float), np.asarray(other.V)
    bound = one.forward_bound + other.forward_bound + rounding * np.abs(w).max()
    both = np.linalg.qr(np.concatenate([v, u], axis=1).astype(complex))[1]  # in one small basis
    assert np.linalg.norm((both * np.concatenate([w, -x])) @ both.conj().T, 2) <= bound
    count = min(len(w), len(x))
    np.testing.assert_allclose(w[:count], x[:count], atol=bound)
    assert abs(len(w) - len(x)) <= 2


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", ["diagonal", "dense"])
@pytest.mark.parametrize(("power", "sign"), [(0.5, 1), (0.5, -1), (-0.5, 1), (-0.5, -1), (0.25, 1), (-0.25, -1)])
def test_every_library_gives_the_same_and_it_comes_home(
    backend: Backend, dtype: str, form: str, power: float, sign: int
) -> None:
    A, D = given(form, dtype, sign)
    there_A, there_D = backend.there(A), backend.there(D)
    result = rnla.sqrtm_update(there_A, there_D, power=power, sign=sign, rng=3)
    plain = rnla.sqrtm_update(A, D, power=power, sign=sign, rng=3)
    assert result.status.ok
    for x in (result.w, result.V, result @ there_D, result.solve(there_D), result @ there_D[:, 0]):
        assert backend.same_home(x, there_D)
    assert str(result.V.dtype).endswith(dtype)
    assert str(result.w.dtype).endswith(np.dtype(dtype).type(0).real.dtype.name)
    np.testing.assert_array_equal(backend.back(there_A), A)
    np.testing.assert_array_equal(backend.back(there_D), D)
    eps = float(np.finfo(dtype).eps)
    host = type("Host", (), {"w": backend.back(result.w), "V": backend.back(result.V),
                             "forward_bound": result.forward_bound})  # fmt: skip
    assert_agree(host, plain, 100 * eps)
    np.testing.assert_allclose(
        backend.back(result @ there_D), plain @ D, rtol=0,
        atol=np.sqrt(N) * (result.forward_bound + plain.forward_bound + 1e3 * eps) * np.abs(plain @ D).max(),
    )  # fmt: skip
    vectors = backend.back(result.V)
    assert np.linalg.norm(vectors.conj().T @ vectors - np.eye(result.rank)) <= 30 * eps * np.sqrt(max(1, result.rank))


def test_a_number_takes_the_library_of_the_change(backend: Backend) -> None:
    _, D = given("diagonal", "float64", 1)
    result = rnla.sqrtm_update(2.0, backend.there(D), rng=0)
    assert backend.same_home(result.V, backend.there(D))
    assert_agree(
        type("Host", (), {"w": backend.back(result.w), "V": backend.back(result.V), "forward_bound": 0.0}),
        rnla.sqrtm_update(2.0, D, rng=0), 1e-12,
    )  # fmt: skip


def test_complex_vectors_ride_a_real_root_everywhere(backend: Backend) -> None:
    A, D = given("dense", "float64", 1)
    x = D + 1j * D[::-1]
    result = rnla.sqrtm_update(backend.there(A), backend.there(D), rng=0)
    y = backend.back(result @ backend.there(x))
    np.testing.assert_allclose(y, rnla.sqrtm_update(A, D, rng=0) @ x, atol=1e-11)


def test_a_root_of_a_library_that_travels(backend: Backend, tmp_path: Any) -> None:
    """A file knows no device: the factors come back as NumPy's."""
    A, D = given("dense", "float64", 1)
    result = rnla.sqrtm_update(backend.there(A), backend.there(D), rng=0)
    result.save(tmp_path / "a.npz")
    there = rnla.load(tmp_path / "a.npz").attach(A)
    np.testing.assert_allclose(there @ D, backend.back(result @ backend.there(D)), atol=1e-11)


# ------------------------------------------------------------------------------- nothing large goes to the host
class Meter:
    """Counts what comes to the host: the largest piece, in numbers, but for vectors of n."""

    def __init__(self) -> None:
        self.largest, self.crossings = 0, 0

    def add(self, shape: tuple[int, ...]) -> None:
        self.crossings += 1
        if len(shape) > 1:
            self.largest = max(self.largest, int(np.prod(shape)))


@pytest.fixture(params=["torch", "strict"])
def metered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Meter]]:
    meter = Meter()
    if request.param == "torch":
        torch = pytest.importorskip("torch")
        array, names = torch.Tensor, ("numpy", "__array__", "tolist", "__dlpack__")
        there = lambda x: torch.from_numpy(x.copy())  # noqa: E731
    else:
        library = pytest.importorskip("array_api_strict")
        array, names = type(library.asarray([1.0])), ("__array__", "__buffer__", "__dlpack__", "to_device")
        there = lambda x: library.asarray(x.copy(), device=library.Device("device1"))  # noqa: E731
    for name in names:
        if not hasattr(array, name):
            continue
        original = getattr(array, name)

        def counted(self: Any, *args: Any, _original: Any = original, **kwargs: Any) -> Any:
            meter.add(tuple(self.shape))
            return _original(self, *args, **kwargs)

        monkeypatch.setattr(array, name, counted)
    return there, meter


@pytest.mark.parametrize("form", ["diagonal", "dense"])
@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("sign", [1, -1])
def test_panels_stay_where_they_are(metered: Any, form: str, power: float, sign: int) -> None:
    """Small arrays of (k J)^2 numbers and vectors of n cross; panels of n rows do not: n is far above k J here."""
    there, meter = metered
    n = 900
    made = case(4.0, sign, n=n, k=1, dense=form == "dense", share=0.3)
    A, D = there(made.A_half), there(made.D)
    result = rnla.sqrtm_update(A, D, power=power, sign=sign, tol=1e-6)
    size = result.report.size
    assert result.status.ok
    assert meter.crossings > 0
    assert meter.largest <= 3 * size * size
    assert 3 * size * size < n


def test_the_meter_sees_a_panel(metered: Any) -> None:
    there, meter = metered
    from rnla._xp.namespace import to_host

    to_host(there(np.ones((500, 2))))
    assert meter.largest == 1000


# -------------------------------------------------------------------------------- seeds, threads, kernels
def same_bits(one: Any, other: Any) -> bool:
    return one.V.shape == other.V.shape and bool((one.V == other.V).all() and (one.w == other.w).all())


@pytest.mark.parametrize("form", ["diagonal", "dense"])
@pytest.mark.parametrize("power", [0.5, -0.25])
@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_the_bits_do_not_depend_on_the_threads(form: str, power: float, dtype: str) -> None:
    n, k = (9_000, 6) if form == "diagonal" else (300, 5)
    rng = np.random.default_rng(0)
    D = rng.standard_normal((n, k)).astype(dtype)
    h = np.linspace(1.0, 9.0, n)
    A = h.astype(np.dtype(dtype).type(0).real.dtype) if form == "diagonal" else np.diag(h).astype(dtype) + 0.01
    results = []
    for threads in (1, 2, 5):
        with rnla.config_context(threads=threads):
            results.append(rnla.sqrtm_update(A, D, power=power, rng=7))
    assert results[0].report.deterministic
    assert same_bits(results[0], results[1])
    assert same_bits(results[0], results[2])
    again = rnla.sqrtm_update(A, D, power=power, rng=results[0].report.seed)
    assert same_bits(again, results[0])


@pytest.mark.parametrize("form", ["diagonal", "dense"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_compiled_and_plain_kernels_agree(form: str, dtype: str) -> None:
    n, k = (5000, 4) if form == "diagonal" else (400, 4)
    rng = np.random.default_rng(1)
    D = rng.standard_normal((n, k)).astype(dtype)
    if dtype.startswith("complex"):
        D = D * (1 + 0.5j)
    D = D.astype(dtype)
    h = np.linspace(1.0, 9.0, n)
    A = h.astype(np.dtype(dtype).type(0).real.dtype) if form == "diagonal" else (np.diag(h) + 0.01).astype(dtype)
    results = []
    for kernels in ("compiled", "plain"):
        with rnla.config_context(kernels=kernels):
            results.append(rnla.sqrtm_update(A, D, rng=7))
    assert_agree(*results, 200 * float(np.finfo(dtype).eps))
    assert results[1].report.kernels == "plain"


def test_two_calls_with_fresh_entropy_agree_to_their_certificates() -> None:
    A, D = given("dense", "float64", 1)
    assert_agree(rnla.sqrtm_update(A, D), rnla.sqrtm_update(A, D), 1e-12)
