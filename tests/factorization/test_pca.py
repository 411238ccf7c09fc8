"""Principal components of every kind of matrix, against scikit-learn and against the centred matrix made explicitly."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import rnla
from rnla.rng import Key
from rnla.testing import matrix

Array = np.ndarray[Any, Any]
M, N, K = 120, 30, 6
DTYPES = ["float32", "float64", "complex64", "complex128"]


def eps(dtype: Any) -> float:
    return float(np.finfo(np.dtype(dtype)).eps)


def data(m: int = M, n: int = N, dtype: str = "float64", mean: float = 3.0) -> Array:
    """Return rows with decaying variances and means as large as asked, in units of the largest deviation."""
    wide = np.complex128 if np.dtype(dtype).kind == "c" else np.float64
    spread = np.sqrt(m) * matrix(0.8 ** np.arange(min(m, n)), m, n, dtype=wide, rng=1)
    return (spread + mean * Key(2).normals(0, n, 1, dtype=wide)[:, 0]).astype(dtype)


def explicit(X: Array, *, weights: Any = None, scale: Any = None, center: Any = True) -> tuple[Array, Array, Array]:
    """Return singular values and adjoint right vectors of the centred, scaled, weighted matrix, and it, in double."""
    X = X.astype(np.complex128 if X.dtype.kind == "c" else np.float64)
    w = np.ones(len(X)) if weights is None else np.asarray(weights, dtype=np.float64)
    mean = (w @ X) / w.sum() if center is True else np.zeros(X.shape[1]) if center is False else center
    B = X - mean
    B -= (w @ B) / w.sum() if center is True else 0  # what rounding left of the mean
    if scale is True:
        about = X - (w @ X) / w.sum()
        scale = np.sqrt((w @ np.abs(about) ** 2) / w.sum())
    B = B / (1 if scale is None else scale)
    _, s, vh = np.linalg.svd(np.sqrt(w)[:, None] * B, full_matrices=False)
    return s, vh, B


def operator(X: Array) -> Any:
    return scipy.sparse.linalg.aslinearoperator(X)


def memmap(X: Array, folder: Path, order: str = "C") -> Any:
    out = np.memmap(folder / f"{order}.bin", dtype=X.dtype, shape=X.shape, mode="w+", order=order)  # type: ignore[call-overload]
    out[:] = X
    return out


def tensor(X: Array) -> Any:
    return pytest.importorskip("torch").from_numpy(X.copy())


def strict(X: Array) -> Any:
    return pytest.importorskip("array_api_strict").asarray(X)


KINDS = {
    "array": lambda X, _: X,
    "fortran": lambda X, _: np.asfortranarray(X),
    "sparse": lambda X, _: scipy.sparse.csr_array(X),
    "operator": lambda X, _: operator(X),
    "memmap": memmap,
    "memmap by columns": lambda X, folder: memmap(X, folder, "F"),
    "torch": lambda X, _: tensor(X),
    "strict": lambda X, _: strict(X),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def host(x: Any) -> Array:
    return np.asarray(x.numpy() if hasattr(x, "numpy") else x)


def check(result: Any, X: Array, s: Array, vh: Array, B: Array, unit: float, degrees: float) -> None:
    """Hold a result to the explicit one: values, variances, the projector, the map, in units of rounding."""
    k, slack = result.rank, 100 * unit * np.sqrt(max(X.shape))
    values, components = host(result.singular_values), host(result.components)
    assert np.max(np.abs(values - s[:k])) <= slack * s[0]
    assert np.allclose(
        host(result.explained_variance), s[:k] ** 2 / degrees, rtol=0, atol=4 * slack * s[0] ** 2 / degrees
    )
    # Sin theta: an error of slack s_1 turns vectors by that over the gap, here 0.2 s_k, in both directions of a pair.
    gap = (s[:k] - s[1 : k + 1]).min() / s[0]
    overlap = np.abs(np.sum(components.conj() * vh[:k], axis=1))
    assert np.all(1 - overlap <= 4 * (slack / gap) ** 2 + slack)
    pivots = np.argmax(np.abs(components), axis=1)
    assert np.all(components[np.arange(k), pivots].real > 0)
    assert np.max(np.abs(host(result.scores) - B @ components.conj().T)) <= slack * np.max(np.abs(X))


@every_kind
@pytest.mark.parametrize("shape", [(M, N), (N, M)], ids=["tall", "wide"])
def test_every_kind_agrees_with_the_explicit_matrix(shape: tuple[int, int], kind: str, tmp_path: Path) -> None:
    X = data(*shape)
    s, vh, B = explicit(X)
    A = KINDS[kind](X, tmp_path)
    result = rnla.pca(A, K, method=rnla.SubspaceIteration(power_iterations=8), rng=0)
    check(result, X, s, vh, B, 1e-14, len(X) - 1)
    assert np.allclose(host(result.mean), X.mean(axis=0), rtol=1e-13)
    assert type(result.components) is type(np.empty(0) if kind not in {"torch", "strict"} else A)
    truth = np.linalg.norm(s[K:]) / np.linalg.norm(s)
    error = result.error
    assert abs(error.value - truth) <= (1e-6 if error.kind == "exact" else 6 * error.standard_error) + 1e-3 * truth
    assert np.max(np.abs(host(result.transform(A)) - host(result.scores))) <= 1e-11


@pytest.mark.parametrize("kind", ["array", "memmap", "memmap by columns", "sparse"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(M, N), (N, M)], ids=["tall", "wide"])
def test_means_far_from_zero_cost_nothing(shape: tuple[int, int], dtype: str, kind: str, tmp_path: Path) -> None:
    """The oracle is exact for the rounded data: a mean of 1e6 deviations leaves float32 a digit, and that is kept."""
    X = data(*shape, dtype=dtype, mean=1e6)
    s, _, B = explicit(X)
    unit = eps(dtype)
    if kind == "sparse":
        unit = eps(dtype) * 1e6  # the products are centred, not the entries: relative to X
        if unit > 1e-6:
            pytest.skip("single precision holds no digit of products that large")
    result = rnla.pca(KINDS[kind](X, tmp_path), K, rng=0, method=rnla.SubspaceIteration(power_iterations=8))
    k, slack = K, 100 * unit * np.sqrt(max(shape))
    assert np.max(np.abs(host(result.singular_values) - s[:k])) <= slack * s[0]
    assert abs(result.total_variance / (np.linalg.norm(B) ** 2 / (len(X) - 1)) - 1) <= slack
    assert result.components.dtype == result.scores.dtype == np.dtype(dtype)
    assert np.max(np.abs(host(result.scores) - B @ host(result.components).conj().T)) <= slack * s[0]


@pytest.mark.parametrize("solver", ["rank", "energy"])
def test_scikit_learn_is_matched_to_rounding(solver: str) -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    X = data()
    asked: dict[str, Any] = {"rank": 5} if solver == "rank" else {"energy": 0.9}
    reference = decomposition.PCA(5 if solver == "rank" else 0.9, svd_solver="full").fit(X)
    result = rnla.pca(X, **asked, rng=0)
    assert result.rank == reference.n_components_
    assert np.allclose(result.components, reference.components_, rtol=0, atol=1e-12)
    assert np.allclose(result.explained_variance, reference.explained_variance_, rtol=1e-12)
    assert np.allclose(result.explained_variance_ratio, reference.explained_variance_ratio_, rtol=1e-12)
    assert np.allclose(result.scores, reference.transform(X), rtol=0, atol=1e-10)
    assert np.allclose(result.noise_variance, reference.noise_variance_, rtol=1e-10)
    assert np.allclose(result.singular_values, reference.singular_values_, rtol=1e-12)
    assert np.allclose(result.inverse_transform(result.scores), reference.inverse_transform(reference.transform(X)))


@pytest.mark.parametrize("kind", ["array", "sparse", "memmap", "memmap by columns", "torch"])
@pytest.mark.parametrize("shape", [(M, N), (N, M)], ids=["tall", "wide"])
@pytest.mark.parametrize("what", ["weights", "rows", "scale", "all", "no center", "own center"])
def test_weights_rows_and_scales(what: str, shape: tuple[int, int], kind: str, tmp_path: Path) -> None:
    X = data(*shape)
    X[:, 3] = 7.0  # a constant column
    if kind == "sparse":
        X[np.abs(X) < 0.5] = 0.0
    m, n = shape
    w = np.linspace(0.0, 2.0, m) ** 2
    mask = np.arange(m) % 3 > 0
    own = np.linspace(-1, 1, n)
    asked: dict[str, dict[str, Any]] = {
        "weights": {"weights": w}, "rows": {"rows": mask}, "scale": {"scale": True},
        "all": {"weights": w, "rows": np.flatnonzero(mask), "scale": True},
        "no center": {"center": False, "scale": np.linspace(1, 2, n)}, "own center": {"center": own, "weights": w},
    }  # fmt: skip
    total = {"weights": w, "rows": mask * 1.0, "all": w * mask, "own center": w}.get(what, np.ones(m))
    scale: Any = {"no center": np.linspace(1, 2, n)}.get(what)
    if what in {"scale", "all"}:
        mean = total @ X / total.sum()
        scale = np.sqrt(total @ (X - mean) ** 2 / total.sum())
        scale[scale < 1e-12] = 1.0
    center: Any = {"no center": False, "own center": own}.get(what, True)
    s, vh, B = explicit(X, weights=total, scale=scale, center=center)
    result = rnla.pca(
        KINDS[kind](X, tmp_path), K, rng=0, method=rnla.SubspaceIteration(power_iterations=10), **asked[what]
    )
    degrees = total.sum() - (total @ total / total.sum() if center is True else 0.0)
    check(result, X, s, vh, B, 1e-14, degrees)
    assert np.isclose(result.total_variance, np.sum(s**2) / degrees, rtol=1e-10)
    if scale is not None:
        assert np.allclose(host(result.scale), scale, rtol=1e-12)


def test_scaled_columns_of_the_correlation_matrix() -> None:
    X = data()
    result = rnla.pca(X, N, scale=True)
    assert np.allclose(result.explained_variance * (M - 1) / M, np.linalg.eigvalsh(np.corrcoef(X.T))[::-1], atol=1e-12)


def test_sparse_matrices_stay_sparse_and_files_are_read_once_more(tmp_path: Path) -> None:
    X = scipy.sparse.random_array((4000, 3000), density=2e-3, rng=np.random.default_rng(0), format="csr")
    with rnla.config_context(memory_budget="24M"):  # a dense copy takes 96 MB
        result = rnla.pca(X, 3, rng=0)
    assert result.report.copies in {(), ("transposed CSR",)}
    assert np.allclose(result.mean, X.mean(axis=0), rtol=1e-12)
    A = memmap(data(900, 40), tmp_path)
    method = rnla.SubspaceIteration(power_iterations=1)
    plain, own = rnla.svd(A, K, method=method, rng=0), rnla.pca(A, K, method=method, rng=0)
    assert own.report.passes == plain.report.passes + 1  # the fused normal product is kept
    assert own.report.products == plain.report.products


def test_a_rank_is_extended_truncated_and_saved(tmp_path: Path) -> None:
    X = data(mean=1e4).astype(np.float32)
    w = np.linspace(0.5, 1.0, M)
    method = rnla.SubspaceIteration(power_iterations=6, oversampling=2)
    first = rnla.pca(X, 3, weights=w, scale=True, method=method, rng=0)
    more = first.extend(rank=8)
    s, vh, B = explicit(X, weights=w, scale=host(first.scale).astype(np.float64))
    check(more, X, s, vh, B, eps("float32"), w.sum() - w @ w / w.sum())
    assert more.error.value < first.error.value
    less = more.truncate(3)
    assert np.allclose(less.components, more.components[:3])
    assert abs(less.error.value - np.linalg.norm(s[3:]) / np.linalg.norm(s)) < 1e-3
    kept = more.truncate(tol=0.5)
    assert kept.error.upper <= 0.5 < more.truncate(kept.rank - 1).error.value
    with pytest.raises(rnla.ToleranceNotMet, match="certified to"):
        more.truncate(tol=1e-5)
    more.save(tmp_path / "pca.npz")
    again = rnla.load(tmp_path / "pca.npz")
    assert isinstance(again, rnla.PCAResult)
    assert np.array_equal(again.scores, more.scores)
    further = again.extend(rank=12, A=X)
    assert further.rank == 12
    copied = pickle.loads(pickle.dumps(more))
    assert np.array_equal(copied.components, more.components)
    scores, components, mean = more
    assert scores is more.scores
    assert np.allclose(more.as_operator().to_array(), more.inverse_transform(scores), rtol=1e-4)
    assert components.shape == (8, N)
    assert mean.shape == (N,)
    assert "together" in str(more)


def test_energy_is_the_share_of_variance_that_is_explained() -> None:
    X = data()
    for energy in (0.5, 0.9, 0.999):
        result = rnla.pca(X, energy=energy, rng=0)
        assert np.sum(result.explained_variance_ratio) >= energy - 1e-12
        s, _, _ = explicit(X)
        best = int(np.searchsorted(np.cumsum(s**2) / np.sum(s**2), energy)) + 1
        assert result.rank <= max(best + 2, 1.05 * best)


def test_extreme_magnitudes() -> None:
    X = data()
    for factor in (1e150, 1e-150, 1e-200):
        result = rnla.pca(X * factor, 3, rng=0)
        s, _, _ = explicit(X)
        assert np.allclose(result.singular_values / factor, s[:3], rtol=1e-11)


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        ({"weights": np.ones(3)}, "weights must have shape"),
        ({"weights": -np.ones(M)}, "at least 0"),
        ({"weights": np.zeros(M)}, "no row counts"),
        ({"rows": [0]}, "two rows"),
        ({"rows": [0, M]}, "rows must lie in"),
        ({"rows": np.ones(3, dtype=bool)}, "mask must have shape"),
        ({"center": np.ones(3)}, "center must have shape"),
        ({"scale": np.zeros(N)}, "scale must be positive"),
        ({"rank": N + 1}, "larger than min"),
        ({"energy": 1.5}, "between 0 and 1"),
        ({"rank": None}, "how much is wanted"),
    ],
)
def test_bad_arguments_are_refused_before_the_work(bad: dict[str, Any], match: str) -> None:
    class Unread:
        shape, dtype = (M, N), np.dtype(np.float64)

        def matmat(self, x: Array) -> Array:
            raise AssertionError("multiplied")

        rmatmat = matmat

    with pytest.raises((rnla.InputError, rnla.DTypeError), match=match):
        rnla.pca(Unread(), **{"rank": 2, **bad})


def test_matrices_without_variances_are_refused() -> None:
    for shape in ((0, 4), (4, 0), (1, 4)):
        with pytest.raises(rnla.InputError):
            rnla.pca(np.ones(shape), 0)
    with pytest.raises(rnla.NonFiniteError, match="variances exceed"):
        rnla.pca(data() * 1e200, 2)
    with rnla.config_context(max_passes=1), pytest.raises(rnla.BudgetError, match="means take 1 pass"):
        rnla.pca(data(), 2)
    constant = rnla.pca(np.ones((20, 10)), energy=0.9, scale=True)
    assert constant.rank == 0
    assert constant.total_variance == 0


def test_an_operator_has_no_variances_of_columns() -> None:
    with pytest.raises(rnla.InputError, match="scale= as an array"):
        rnla.pca(operator(data()), 2, scale=True)


def test_nan_is_found() -> None:
    X = data()
    X[7, 3] = np.nan
    with pytest.raises(rnla.NonFiniteError, match="NaN or infinity"):
        rnla.pca(X, 2)


def test_transform_refuses_other_columns_and_libraries() -> None:
    result = rnla.pca(data(), 2, rng=0)
    with pytest.raises(rnla.InputError, match="columns"):
        result.transform(np.ones((4, N + 1)))
    with pytest.raises(rnla.InputError, match="library"):
        result.transform(strict(data()))
    with pytest.raises(rnla.InputError, match="scores of 2"):
        result.inverse_transform(np.ones((4, 3)))


def test_passes_of_the_means_are_told_where_the_rest_do_not_do() -> None:
    x = np.random.default_rng(0).standard_normal((300, 50))
    with rnla.config_context(max_passes=2), pytest.raises(rnla.BudgetError) as caught:
        rnla.pca(x, 5, rng=0)
    assert caught.value.__notes__ == ["1 of max_passes=2 goes to the means"]
