"""Principal components of a tall file in one pass: what two passes give, and where the Gram matrix does not tell."""

from __future__ import annotations

import copy
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.config import config_context
from rnla.factorization.covariance import RESOLVED
from rnla.operators import readahead, rowblocks
from rnla.rng import Key
from rnla.testing import matrix

Array = np.ndarray[Any, Any]
M, N, K = 3000, 40, 6


@pytest.fixture(autouse=True)
def several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowblocks, "BLOCK_BYTES", 1 << 18)
    monkeypatch.setattr(rowblocks, "AHEAD_BYTES", 1 << 12)


def rows(decay: float = 0.8, dtype: str = "float64", mean: float = 3.0) -> Array:
    wide = np.complex128 if np.dtype(dtype).kind == "c" else np.float64
    spread = np.sqrt(M) * matrix(decay ** np.arange(N), M, N, dtype=wide, rng=1)
    return (spread + mean * Key(2).normals(0, N, 1, dtype=wide)[:, 0]).astype(dtype)


def file_of(X: Array, folder: Path) -> Path:
    np.save(folder / "x.npy", X)
    return folder / "x.npy"


def truth(X: Array) -> tuple[Array, Array]:
    B = X - X.mean(axis=0)
    B -= B.mean(axis=0)
    return np.linalg.svd(B, full_matrices=False)[1], B


@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32", "int16"])
@pytest.mark.parametrize("mean", [0.0, 1e6])
@pytest.mark.parametrize("asked", [{"rank": K}, {"energy": 0.9}, {"tol": 0.1}, {"tol": 0.1, "rank": 30}])
def test_components_are_those_of_the_centred_matrix(
    asked: dict[str, Any], mean: float, dtype: str, tmp_path: Path
) -> None:
    """float32 takes the general way, as its products are not summed in double; integers are computed in double."""
    if dtype == "int16":
        mean = min(mean, 3.0)  # the deviations would be rounded away
    X = rows(dtype="float64" if dtype == "int16" else dtype, mean=mean)
    X = np.round(X * 3000 / np.abs(X).max()).astype(dtype) if dtype == "int16" else X
    s, B = truth(X.astype(np.complex128 if dtype == "complex128" else np.float64))
    result = rnla.pca(file_of(X, tmp_path), **asked, rng=0)
    one = dtype != "float32"
    assert (result.known_scores is None) == one
    assert result.report.passes == 1 or not one
    k, unit = result.rank, 1e-6 if dtype == "float32" else 1e-12
    # Rounding in G is 100 eps of the total, and a singular value is off by half of that over itself.
    assert np.all(np.abs(result.singular_values - s[:k]) <= unit * np.linalg.norm(s) ** 2 / s[:k])
    left = np.linalg.norm(s[k:]) / np.linalg.norm(s)
    assert result.error.value == pytest.approx(left, rel=1e-4)
    if "rank" not in asked:
        target = asked.get("tol", np.sqrt(0.1))
        assert left <= target < np.linalg.norm(s[k - 1 :]) / np.linalg.norm(s)
    scores, components, mean_found = result
    exact = X.mean(axis=0, dtype=B.dtype)
    assert np.allclose(mean_found, exact, rtol=1e-6 if dtype == "float32" else 1e-12, atol=1e-12)
    pivots = np.argmax(np.abs(components), axis=1)
    assert np.all(components[np.arange(k), pivots].real > 0)
    assert np.abs(scores - B @ components.conj().T).max() <= unit * max(1.0, mean) * np.abs(B).max()
    assert result.scores is scores
    assert result.report.passes == 2 or not one


def test_scores_are_made_once_and_counted(tmp_path: Path) -> None:
    result = rnla.pca(file_of(rows(), tmp_path), K)
    assert (result.report.passes, result.report.products) == (1, 0)
    twin = copy.copy(result)
    smaller = result.truncate(2)
    assert result.known_scores is None
    assert smaller.known_scores is None
    first = result.scores
    assert result.scores is first
    assert (result.report.passes, result.report.products) == (2, K)
    assert np.array_equal(smaller.scores, twin.scores[:, :2])
    assert np.array_equal(first, result.transform(tmp_path / "x.npy"))
    assert np.allclose(result.as_operator() @ np.eye(N), result.inverse_transform(first))
    assert np.allclose(np.linalg.norm(first, axis=0), result.singular_values, rtol=1e-12)


def test_what_was_not_made_does_not_travel(tmp_path: Path) -> None:
    path = file_of(rows(), tmp_path)
    result = rnla.pca(path, K)
    result.save(tmp_path / "result.npz")
    for travelled in (pickle.loads(pickle.dumps(result)), rnla.load(tmp_path / "result.npz")):
        assert travelled.known_scores is None
        assert travelled.fits()
        with pytest.raises(rnla.InputError, match=r"transform\(X\) makes them"):
            travelled.scores  # noqa: B018
        assert np.array_equal(travelled.transform(path), result.transform(path))
        assert travelled.extend(rank=K + 3, A=path).rank == K + 3
    made = result.scores
    result.save(tmp_path / "result.npz")
    for travelled in (pickle.loads(pickle.dumps(result)), rnla.load(tmp_path / "result.npz"), copy.deepcopy(result)):
        assert np.array_equal(travelled.scores, made)


def test_another_matrix_in_the_file_is_found_out(tmp_path: Path) -> None:
    result = rnla.pca(file_of(rows(), tmp_path), K)
    file_of(1.001 * rows(), tmp_path)
    with pytest.raises(rnla.InputError, match="changed"):
        result.scores  # noqa: B018
    with pytest.raises(rnla.InputError, match="other variances"):
        result.extend(rank=K + 1)


def test_a_result_goes_on_with_one_pass(tmp_path: Path) -> None:
    result = rnla.pca(file_of(rows(), tmp_path), K)
    more = result.extend(rank=2 * K)
    assert (more.rank, more.report.passes) == (2 * K, 1)
    assert np.allclose(more.components[:K], result.components, atol=1e-10)
    assert more.error.value < result.error.value
    assert result.extend(tol=0.9).rank == K  # columns are never lost
    finer = result.extend(tol=0.05)
    assert finer.error.upper <= 0.05
    with pytest.raises(rnla.InputError, match="truncate"):
        more.extend(rank=2)


@pytest.mark.parametrize("asked", [{"rank": 20}, {"tol": 1e-7}, {"rank": N}, {"tol": 1e-3, "rank": 30}])
def test_where_the_gram_matrix_does_not_tell(asked: dict[str, Any], tmp_path: Path) -> None:
    """Variances fall by 1e-2 a step: the twentieth is 1e-38 of the first, which only products with rows see."""
    X = rows(decay=0.1 if asked != {"rank": N} else 0.8)
    s, _ = truth(X)
    if asked == {"rank": 20}:
        asked = {"rank": 6}
        assert (s[5] / s[0]) ** 2 < RESOLVED
    result = rnla.pca(file_of(X, tmp_path), **asked, rng=0)
    k = result.rank
    if "tol" in asked and asked["tol"] > 1e-4:
        assert result.known_scores is None  # four components, all resolved
    else:
        assert result.known_scores is not None
    assert np.all(np.abs(result.singular_values - s[:k]) <= 1e-11 * s[0])
    left = np.linalg.norm(s[k:]) / np.linalg.norm(s)
    assert result.error.upper >= left * (1 - 1e-9)


def test_a_cap_below_the_tolerance_is_told(tmp_path: Path) -> None:
    path = file_of(rows(), tmp_path)
    with pytest.raises(rnla.ToleranceNotMet):
        rnla.pca(path, 2, tol=0.1)
    assert rnla.pca(path, 2, tol=0.1, on_failure="return").status is rnla.Status.RANK_CAP


@pytest.mark.parametrize("block", [1 << 18, 1 << 26])  # read ahead, and in place
def test_memory_of_components_does_not_grow_with_the_rows(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores of 20,000 rows would take 4.8 MB and their products several times that; components stay below 2 MiB."""
    for name in ("BLOCK_BYTES", "AHEAD_BYTES"):
        monkeypatch.setattr(rowblocks, name, block if name == "BLOCK_BYTES" or block > 1 << 20 else 1 << 12)
    path = tmp_path / "tall.npy"
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(20_000, N))
    out[:] = np.random.default_rng(0).standard_normal(out.shape) * 0.9 ** np.arange(N) + 5
    out.flush()
    del out
    assert readahead.BUFFERS == 4
    with config_context(memory_budget="3M", threads=1):
        tracemalloc.start()
        result = rnla.pca(path, 30)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        with pytest.raises(rnla.BudgetError, match="the scores take 4800000 bytes"):
            _ = result.scores
    assert result.known_scores is None
    assert peak <= 3 << 20
    assert result.report.plan.bytes <= 3 << 20
    assert result.scores.shape == (20_000, 30)


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_no_bit(threads: int, tmp_path: Path) -> None:
    path = file_of(rows(), tmp_path)
    with config_context(threads=2):
        expected = rnla.pca(path, K)
    with config_context(threads=threads):
        found = rnla.pca(path, K)
    assert np.array_equal(found.components, expected.components)
    assert np.array_equal(found.scores, expected.scores)
