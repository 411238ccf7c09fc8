"""The methods that read all of D: what they make of it against dense formulas, and how much memory they take."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.rng import Key
from rnla.robust import pursuit, sweeping
from rnla.robust.protocols import Factors, Problem
from rnla.robust.reading import Reader
from tests.robust.model import error, model

CASES = [(kind, masked) for kind in ("entries", "columns") for masked in (False, True)]
NONE = np.zeros(0, dtype=np.int64)


def problem_of(kind: str, masked: bool, dtype: str = "float64", m: int = 160, n: int = 150) -> tuple[Any, Any, Any]:
    """Return D with outliers of a kind, L and the mask."""
    d, low, _ = model(m, n, 2, 0.05 if kind == "entries" else 0.0, seed=3, dtype=dtype)
    rng = np.random.default_rng(4)
    if kind == "columns":
        d[:, rng.permutation(n)[: n // 12]] += 10 * rng.standard_normal((m, n // 12)).astype(dtype)
    return d, low, rng.random((m, n)) < 0.8 if masked else None


def home(library: str, x: Any) -> Any:
    return x if library == "numpy" or x is None else pytest.importorskip(library).asarray(x)


def dense(d: Any, model: Any, threshold: float, kind: str, mask: Any) -> tuple[Any, Any, Any]:
    """Return B, where it is an outlier and where it was observed, by the formulas."""
    seen = np.ones(d.shape, dtype=bool) if mask is None else mask
    gap = np.where(seen, np.abs(d - model), 0)
    level = gap if kind == "entries" else np.sqrt((gap**2).sum(axis=0) / seen.sum(axis=0))[None, :]
    beyond = np.broadcast_to(level >= threshold, d.shape) & seen
    return np.where(beyond | ~seen, model, d), beyond, seen


# ----------------------------------------------------------------------------------------- against the formulas
@pytest.mark.parametrize(("kind", "masked"), CASES)
@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32"])
def test_panels_give_what_the_whole_matrix_gives(
    kind: str, masked: bool, library: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_IN_CACHE", "_ON_HOST", "_ELSEWHERE"):
        monkeypatch.setattr(sweeping, name, 700)
    small = 50 * np.finfo(dtype).eps
    for m, n in ((61, 43), (9, 80), (1, 5), (40, 1)):
        d, low, mask = problem_of(kind, masked, dtype, m, n)
        if masked:
            mask[0], mask[:, 0] = True, True
            d = np.where(mask, d, 0)
        rng = np.random.default_rng(1)
        u, s, vh = np.linalg.svd(low + 0.1 * rng.standard_normal((m, n)).astype(dtype), full_matrices=False)
        factors = Factors(u[:, :2], s[:2], vh[:2])
        here = Factors(*(home(library, x.copy()) for x in factors))
        threshold = 0.3 if kind == "entries" else 0.5
        expected, beyond, seen = dense(d, u[:, :2] * s[:2] @ vh[:2], threshold, kind, mask)
        left = np.where(beyond | ~seen, 0, d - u[:, :2] * s[:2] @ vh[:2])
        there, observed = home(library, d.copy()), home(library, mask)
        data = sweeping.Observed.of(there, kind, observed)
        forward, backward, rest, share = sweeping.sweep(data, here, threshold)
        block, again, other = sweeping.cleaned_array(data, here, threshold)
        scale = max(float(np.linalg.norm(expected)), 1e-3)
        assert np.linalg.norm(np.asarray(block) - expected) <= small * scale
        assert np.linalg.norm(np.asarray(forward) - expected @ vh[:2].conj().T) <= small * scale
        assert np.linalg.norm(np.asarray(backward) - expected.conj().T @ u[:, :2]) <= small * scale
        assert abs(rest - np.linalg.norm(left)) <= small * scale
        assert abs(again - rest) <= small * scale
        assert share == other == np.count_nonzero(beyond) / np.count_nonzero(seen)
        large = sweeping.without_large(data, threshold)
        assert np.array_equal(np.asarray(large), dense(d, np.zeros_like(d), threshold, kind, mask)[0])


@pytest.mark.parametrize("method", ["accaltproj", "altproj", "pcp"])
@pytest.mark.parametrize(("kind", "masked"), CASES)
def test_threads_change_no_bit(method: str, kind: str, masked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "_IN_CACHE", 1500)
    d, _, mask = problem_of(kind, masked)
    found = []
    for threads in (1, 2, 3):
        with rnla.config_context(threads=threads):
            rank = None if method == "pcp" else 2
            found.append(
                rnla.robust_pca(
                    d, rank, method=method, threshold=kind, mask=mask, rng=0, max_iterations=8, on_failure="return"
                )
            )
    for other in found[1:]:
        assert np.array_equal(found[0].U, other.U)
        assert np.array_equal(found[0].trace, other.trace)


# ------------------------------------------------------------------------------------------------------- memory
@pytest.mark.parametrize(("kind", "masked"), CASES)
@pytest.mark.parametrize("library", ["numpy", "array_api_strict"])
def test_an_accelerated_step_makes_nothing_as_large_as_the_matrix(
    kind: str, masked: bool, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that it makes together is a third of D here; each of its arrays would be one D if it were made whole."""
    monkeypatch.setattr(sweeping, "_ON_HOST", 1 << 15)
    d, _, mask = problem_of(kind, masked, m=1500, n=1400)
    part = rnla.AccAltProj(threshold=rnla.Threshold(kind))
    problem = Problem(Reader(home(library, d)), 2, 1e-9, 99, Key(0), home(library, mask), NONE, NONE)
    with rnla.config_context(threads=1):
        state = part.start(problem)
        tracemalloc.start()
        part.advance(problem, state)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < d.nbytes / 3


@pytest.mark.parametrize(("kind", "masked"), CASES)
def test_no_operation_of_another_library_makes_an_array_as_large_as_the_matrix(
    kind: str, masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(sweeping, "_ON_HOST", 1 << 15)
    d, _, mask = problem_of(kind, masked, m=500, n=480)
    part = rnla.AccAltProj(threshold=rnla.Threshold(kind))
    problem = Problem(Reader(home("torch", d)), 2, 1e-9, 99, Key(0), home("torch", mask), NONE, NONE)
    state = part.start(problem)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        part.advance(problem, state)
    taken = [event.self_cpu_memory_usage for event in profile.events()]
    assert 8 * (1 << 13) < max(taken) <= 8 * (1 << 15)  # panels were seen, and nothing larger


@pytest.mark.parametrize("method", ["accaltproj", "altproj", "pcp"])
@pytest.mark.parametrize(("kind", "masked"), CASES)
def test_the_plan_tells_the_memory_at_the_peak(method: str, kind: str, masked: bool) -> None:
    """And not much more: LAPACK's own, which is not traced, is a third of what a full SVD takes."""
    size = 420 if method == "pcp" else 1300
    d, _, mask = problem_of(kind, masked, m=size, n=size - 20)
    options: dict[str, Any] = {"method": method, "threshold": kind, "mask": mask}
    rank = None if method == "pcp" else 2
    with rnla.config_context(threads=1):
        rnla.robust_pca(d, rank, rng=0, max_iterations=2, on_failure="return", **options)  # what is loaded once
        planned = rnla.plan(d, rank, problem="robust_pca", **options).bytes
        tracemalloc.start()
        rnla.robust_pca(d, rank, rng=0, max_iterations=3, on_failure="return", **options)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak <= planned
    assert planned <= 3 * peak
    copies = {"accaltproj": 1, "altproj": 1, "pcp": 6}[method] + masked
    assert peak < (copies + 0.7) * d.nbytes + (1 << 22)


# ----------------------------------------------------------------------------------------- the pursuit and its S
@pytest.mark.parametrize(("kind", "masked"), CASES)
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_the_outliers_that_are_returned_are_those_of_the_pursuit(
    kind: str, masked: bool, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    made = pursuit._sparse_part

    def recorded(*arguments: Any) -> Any:
        seen.append(made(*arguments))
        return seen[-1]

    monkeypatch.setattr(pursuit, "_sparse_part", recorded)
    d, low, mask = problem_of(kind, masked, dtype, 120, 130)
    result = rnla.robust_pca(d, method="pcp", threshold=kind, mask=mask, rng=0)
    own = seen[-1] if mask is None else np.where(mask, seen[-1], 0)
    found = result.S.sparse().toarray()
    if kind == "entries":
        assert np.array_equal(found != 0, own != 0)
        assert error(result, low) <= 20e-7
    else:
        assert np.array_equal(np.any(found != 0, axis=0), np.any(own != 0, axis=0))
        good = ~np.any(found != 0, axis=0)
        assert np.count_nonzero(~good) == 130 // 12
        assert np.linalg.norm((result.L.to_array() - low)[:, good]) <= 20e-7 * np.linalg.norm(low)
    # What S is not, is in D - L - S, where the residual was held against L.
    assert np.linalg.norm(found - own) <= 2e-6 * np.linalg.norm(low)


def test_columns_are_shrunk_by_what_was_observed_of_them() -> None:
    """Against the minimizer of norm(s) + (mu / 2) norm(s - x)^2, in which entries not observed are free."""
    rng = np.random.default_rng(0)
    d, mask = rng.standard_normal((30, 12)), rng.random((30, 12)) < 0.6
    nothing = Factors(np.zeros((30, 0)), np.zeros(0), np.zeros((0, 12)))
    level = float(np.median(np.linalg.norm(np.where(mask, d, 0), axis=0)))
    found = pursuit._sparse_part(d, nothing, np.zeros_like(d), 1.0, level, "columns", mask)
    for j in range(12):
        length = np.linalg.norm(d[mask[:, j], j])
        assert np.allclose(found[mask[:, j], j], max(0.0, 1 - level / length) * d[mask[:, j], j], atol=1e-15)
        assert np.array_equal(found[~mask[:, j], j], d[~mask[:, j], j])


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_where_all_is_outliers_the_pursuit_finds_no_low_rank(dtype: str) -> None:
    rng = np.random.default_rng(2)
    scattered = np.where(rng.random((100, 90)) < 0.02, 5.0, 0.0).astype(dtype)
    for d in (scattered, np.zeros((100, 90), dtype)):
        result = rnla.robust_pca(d, method="pcp", rng=0)
        assert result.rank == 0
        assert result.U.shape == (100, 0)
        assert not result.L.to_array().any()
        assert np.array_equal(result.S.sparse().toarray(), d)
        assert result.cur().C.shape == (100, 0)
        assert result.L.to_array().dtype == d.dtype
    noise = 1e-3 * rng.standard_normal((100, 90)).astype(dtype)
    result = rnla.robust_pca(noise, method="pcp", rng=0, on_failure="return")
    assert not result.status.ok  # half of noise is no outlier, and it has no low rank


@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
def test_singular_vectors_that_are_not_used_are_not_kept(library: str) -> None:
    x = np.random.default_rng(0).standard_normal((40, 30))
    level = float(np.linalg.svd(x, compute_uv=False)[2:4].mean())
    found = pursuit._shrunk_values(home(library, x), level)
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    assert found.s.shape == (3,)
    assert np.allclose(np.asarray((found.U * found.s[None, :]) @ found.Vh), u[:, :3] * (s[:3] - level) @ vh[:3])
    for part, size in ((found.U, 40 * 3), (found.Vh, 3 * 30)):
        if library == "numpy":
            assert part.base is None
        elif library == "torch":
            assert part.untyped_storage().nbytes() == 8 * size


def test_libraries_whose_arrays_cannot_be_written_to_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    xp = pytest.importorskip("array_api_strict")
    monkeypatch.setattr(sweeping, "_ON_HOST", 3000)
    d, _, mask = problem_of("entries", masked=True)
    found = []
    for written in (True, False):
        monkeypatch.setattr(sweeping, "_written_to", lambda x, written=written: written)
        found.append([
            rnla.robust_pca(
                xp.asarray(d), None if method == "pcp" else 2, method=method, mask=xp.asarray(mask), rng=0,
                max_iterations=5, on_failure="return",
            )
            for method in ("accaltproj", "altproj", "pcp")
        ])  # fmt: skip
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one.trace, other.trace)
