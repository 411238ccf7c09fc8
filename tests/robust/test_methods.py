"""The methods of robust PCA against the papers' own algorithms and against what they must recover."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import rnla
from rnla.rng import Key
from rnla.robust import ROBUST_METHODS
from rnla.robust.cross import IRCUR, RieCUR
from rnla.robust.protocols import Factors, Problem
from rnla.robust.reading import Reader
from rnla.robust.skeletons import compressed, leading_spaces, retracted, settled
from tests.reference.cai2019 import acc_alt_proj
from tests.reference.cai2021 import ircur, pseudo_inverse
from tests.reference.hamm2022 import riecur, spaces, tangent, truncated
from tests.robust.model import error, model

METHODS = list(ROBUST_METHODS)
CROSS = [RieCUR, IRCUR]
TOL = 1e-7
NONE = np.zeros(0, dtype=np.int64)


def formed(factors: Factors) -> np.ndarray:
    return (factors.U * factors.s) @ factors.Vh


def normal(rng: np.random.Generator, kind: str, *shape: int) -> np.ndarray:
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if kind == "complex" else x


# -------------------------------------------------------------------------------------------------- the algebra
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_the_retraction_is_the_dense_projection_cut_to_its_rank(kind: str) -> None:
    rng = np.random.default_rng(3)
    for m, n, r in ((40, 30, 4), (9, 25, 1), (7, 6, 3)):
        factors = compressed(normal(rng, kind, m, r), normal(rng, kind, n, r))
        f, g = normal(rng, kind, m, r), normal(rng, kind, n, r)
        u, v = spaces(formed(factors), r)
        expected = truncated(tangent(f @ g.conj().T, u, v), r)
        found = retracted(f, g, factors)
        scale = np.linalg.norm(f) * np.linalg.norm(g)
        assert np.linalg.norm(formed(found) - expected) <= 100 * np.finfo(float).eps * scale
        assert np.allclose(found.U.conj().T @ found.U, np.eye(r), atol=1e-13)
        assert np.allclose(found.Vh @ found.Vh.conj().T, np.eye(r), atol=1e-13)


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_a_matrix_in_its_own_tangent_space_stays(kind: str) -> None:
    """The first trap of the paper's text: with the blocks of the iterate before, nothing would move."""
    rng = np.random.default_rng(4)
    factors = compressed(normal(rng, kind, 30, 3), normal(rng, kind, 20, 3))
    same = retracted(factors.U * factors.s, factors.Vh.conj().T, factors)
    assert np.linalg.norm(formed(same) - formed(factors)) <= 1e-13 * np.linalg.norm(formed(factors))
    loose = Factors(factors.U * 2, factors.s, factors.Vh)
    tight = settled(loose)
    assert np.allclose(formed(tight), formed(loose), rtol=0, atol=1e-12 * np.linalg.norm(formed(loose)))
    assert np.allclose(tight.U.conj().T @ tight.U, np.eye(3), atol=1e-14)


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_the_skeleton_is_that_of_the_truncated_pseudo_inverse(kind: str) -> None:
    rng = np.random.default_rng(5)
    u = normal(rng, kind, 20, 3) @ normal(rng, kind, 3, 17)
    noisy = u + 1e-9 * normal(rng, kind, 20, 17)
    for core, near in ((noisy, None), (u, normal(rng, kind, 17, 3))):
        a, b, inverse = leading_spaces(core, 3, near)
        expected = pseudo_inverse(core, 3)
        assert np.linalg.norm(b @ inverse @ a.conj().T - expected) <= 1e-9 * np.linalg.norm(expected)
    assert not np.any(leading_spaces(np.zeros((5, 4)), 2, None)[2])


# ------------------------------------------------------------------------------------------ against the papers
def steps(part, problem: Problem, count: int):
    state = part.start(problem)
    states = [state]
    for _ in range(count - 1):
        state = part.advance(problem, state)
        states.append(state)
    return states


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_the_cross_methods_take_the_steps_of_the_papers(kind: str) -> None:
    """On the same crosses, with the pseudo-inverse by an SVD in the oracle and by one subspace step here.

    The two differ by the square of the ratio of singular values r + 1 and r of the cross, which falls with the
    outliers that are left: the iterates meet at the level of their own error.
    """
    d, low, _ = model(300, 280, 3, 0.1, seed=1, dtype="complex128" if kind == "complex" else "float64")
    for cls, moves in ((RieCUR, True), (IRCUR, False)):
        part = cls(samples=4.0, decay=0.7)
        problem = Problem(Reader(d), 3, 1e-300, 99, Key(5), None, NONE, NONE)
        states = steps(part, problem, 25)
        crosses = [(state.rows, state.columns) for state in states]
        start = states[0].threshold
        assert start == np.abs(np.concatenate([d[crosses[0][0]].ravel(), d[:, crosses[0][1]].ravel()])).max()
        for count in (1, 12, 25):
            if moves:
                expected = riecur(d, 3, crosses[:count], start, 0.7, exact=True)
                paper = riecur(d, 3, crosses[:count], start, 0.7, exact=False)
            else:
                first = pseudo_inverse(d[np.ix_(*crosses[0])], 3)
                rest = d - d[:, crosses[0][1]] @ first @ d[crosses[0][0]]
                assert rest.shape == d.shape
                expected = paper = ircur_from(d, crosses[:count], start)
            mine = formed(states[count - 1].factors)
            own, other = (np.linalg.norm(x - low) for x in (expected, paper))
            assert np.linalg.norm(mine - expected) <= (1e-10 * np.linalg.norm(low) if count == 1 else 2 * own)
            assert np.linalg.norm(mine - low) <= 3 * max(own, other)


def ircur_from(d, crosses, start):
    """Return the oracle's L, whose first cross keeps all of D as the library's does (its threshold is the maximum)."""
    found, _ = ircur(d, 3, crosses, start * (1 + 1e-12), 0.7, 0.0)
    return found


def test_accelerated_projections_take_the_steps_of_the_paper() -> None:
    """The SVDs of the start are randomized; everything after is the same, so the iterates agree as well as these."""
    d, low, _ = model(200, 180, 3, 0.2, seed=2)
    expected, sparse, residuals = acc_alt_proj(d, 3, TOL)
    part = rnla.AccAltProj()
    problem = Problem(Reader(d), 3, 1e-300, 99, Key(0), None, NONE, NONE)
    states = steps(part, problem, len(residuals) + 1)
    assert np.linalg.norm(formed(states[-1].factors) - expected) <= 1e-9 * np.linalg.norm(low)
    for count in (2, 8):  # far from the end, where the next singular value has its part in the threshold
        early, _, _ = acc_alt_proj(d, 3, 0.0, iterations=count)
        assert np.linalg.norm(formed(states[count].factors) - early) <= 1e-7 * np.linalg.norm(early - low)
    result = rnla.robust_pca(d, 3, method="accaltproj", rng=0)
    assert abs(result.iterations - len(residuals)) <= 3
    assert error(result, low) <= 20 * TOL
    assert np.array_equal(result.S.sparse().toarray() != 0, sparse != 0) or error(result, expected) <= 20 * TOL


# --------------------------------------------------------------------------------------------------- recovery
@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32"])
@pytest.mark.parametrize("share", [0.1, 0.3])
@pytest.mark.parametrize("method", METHODS)
def test_low_rank_and_outliers_are_recovered(method: str, share: float, dtype: str) -> None:
    """Within 20 tol, what the measurements on this model leave room for (1.4 tol were seen)."""
    size, share = (150, share / 2) if method == "pcp" else (500, share)
    d, low, sparse = model(size, size + 20, 2 if method == "pcp" else 5, share, seed=7, dtype=dtype)
    rank = None if method == "pcp" else 5
    before = d.copy()
    decay = dataclasses.replace(ROBUST_METHODS[method](), decay=0.8) if method in {"riecur", "ircur"} else method
    result = rnla.robust_pca(d, rank, method=decay, rng=3)
    tol = 1e-4 if dtype == "float32" else TOL
    assert np.array_equal(d, before)
    assert result.status.ok
    assert error(result, low) <= 20 * tol
    assert result.U.dtype == d.dtype
    assert result.held_out.accepted
    assert result.held_out.never_sampled == (method in {"riecur", "ircur"})
    assert abs(result.held_out.outliers - share) <= 0.03
    # S is exactly what was put in, but for outliers under the threshold.
    found = result.S.sparse().toarray()
    assert np.abs(found - sparse).max() <= result.threshold + 40 * tol * np.abs(low).max()


@pytest.mark.parametrize("method", METHODS)
def test_without_outliers_one_step_is_exact(method: str) -> None:
    _, low, _ = model(200, 190, 3, 0.0)
    result = rnla.robust_pca(low, None if method == "pcp" else 3, method=method, rng=0)
    if method != "pcp":
        assert result.iterations <= 3
    assert error(result, low) <= (20 * TOL if method == "pcp" else 1e-12)
    assert result.S.sparse().nnz <= low.size * 1e-3


def test_auto_goes_on_more_slowly_where_the_first_decay_fails() -> None:
    d, low, _ = model(600, 600, 5, 0.5, seed=0, scale=10.0)
    result = rnla.robust_pca(d, 5, rng=0)
    assert any("tried again" in note for note in result.report.notes)
    assert error(result, low) <= 20 * TOL


@pytest.mark.parametrize("cls", CROSS)
def test_a_threshold_that_starts_high_and_falls_slowly_is_waited_for(cls: type) -> None:
    """A hundred iterations pass before it reaches L: the residual stands at 1 meanwhile."""
    _, low, _ = model(500, 400, 3, 0.0, seed=0)
    rng = np.random.default_rng(1)
    d = low + np.where(rng.random(low.shape) < 0.1, 1e3 * rng.standard_normal(low.shape), 0.0)
    high = rnla.Threshold(start=float(np.abs(d).max()))  # by itself it begins just above L
    result = rnla.robust_pca(d, 3, method=cls(decay=0.95, threshold=high), rng=0)
    assert (result.trace[:60, 0] > 0.9).all()
    assert error(result, low) <= 20 * TOL


def test_a_fixed_cross_and_leverage_sampling_work_too() -> None:
    d, low, _ = model(500, 400, 3, 0.1, seed=9)
    for part in (RieCUR(resample=False, samples=6.0), IRCUR(resample=False, samples=6.0), RieCUR(sampling="leverage")):
        # A fixed cross is fitted better than the rest: what was set aside says so where it is ten times so.
        result = rnla.robust_pca(d, 3, method=part, rng=1, on_failure="return")
        assert error(result, low) <= (20 if part.resample else 100) * TOL
        assert result.status.ok == (result.held_out.upper <= 10 * TOL)
    fixed = rnla.robust_pca(d, 3, method=RieCUR(resample=False, samples=6.0), rng=1, on_failure="return")
    assert fixed.distinct_entries < d.size * 0.7


@pytest.mark.parametrize("method", METHODS)
def test_whole_columns_can_be_the_outliers(method: str) -> None:
    rng = np.random.default_rng(11)
    n = 120 if method == "pcp" else 500
    d, low, _ = model(n, n, 2, 0.0, seed=11)
    bad = rng.permutation(n)[: n // 10]
    d[:, bad] += 10 * rng.standard_normal((n, len(bad)))
    rank = None if method == "pcp" else 2
    result = rnla.robust_pca(d, rank, method=method, threshold="columns", rng=0, tol=1e-6)
    good = np.setdiff1d(np.arange(n), bad)
    found = result.L.to_array()
    assert np.linalg.norm(found[:, good] - low[:, good]) <= 20e-6 * np.linalg.norm(low)
    flagged = np.flatnonzero(np.abs(result.S.sparse()).sum(axis=0) > 0)
    assert np.array_equal(flagged, np.sort(bad))


@pytest.mark.parametrize("method", ["accaltproj", "altproj", "pcp"])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_missing_entries_are_filled(method: str, dtype: str) -> None:
    d, low, sparse = model(200, 210, 2, 0.05, seed=13, dtype=dtype)
    mask = np.random.default_rng(0).random(d.shape) < 0.7
    holes = np.where(mask, d, np.nan)
    result = rnla.robust_pca(holes, None if method == "pcp" else 2, method=method, mask=mask, rng=0, max_iterations=600)
    assert error(result, low) <= 100 * TOL
    assert 0 < result.error.value <= result.error.upper <= 100 * TOL  # what is missing, NaN here, leaves no hole in it
    found = result.S.sparse().toarray()
    assert not found[~mask].any()
    assert np.abs(found - np.where(mask, sparse, 0)).max() <= result.threshold + 1e-4
    assert rnla.robust_pca(holes, 2, mask=mask, rng=0, max_iterations=600).report.plan.method.name == "accaltproj"


def test_the_rank_is_estimated_where_it_is_not_given() -> None:
    for rank, share in ((1, 0.2), (5, 0.1), (8, 0.05)):
        d, low, _ = model(600, 500, rank, share, seed=rank)
        result = rnla.robust_pca(d, rng=2)
        assert result.rank == rank
        assert any(f"rank {rank}, estimated" in note for note in result.report.notes)
        assert error(result, low) <= 20 * TOL
    with pytest.raises(rnla.InputError, match="pass rank="):
        rnla.robust_pca(np.random.default_rng(0).standard_normal((300, 300)), rng=0)


def test_a_rank_that_is_larger_than_that_of_L_is_told() -> None:
    low = model(300, 280, 2, 0.0, seed=3)[1]
    result = rnla.robust_pca(low, 5, rng=0)
    assert (result.rank, result.report.numerical_rank) == (5, 2)


def test_a_rank_that_is_too_large_still_recovers() -> None:
    d, low, _ = model(600, 600, 3, 0.1, seed=17)
    result = rnla.robust_pca(d, 5, rng=0, on_failure="return")
    assert error(result, low) <= 1e-4
    assert result.s[3] <= 1e-4 * result.s[0]


# ------------------------------------------------------------------------------------------- the same answer
def test_threads_and_kernels_change_rounding_only() -> None:
    d, _, _ = model(500, 450, 3, 0.2, seed=19)
    for method in ("riecur", "ircur", "accaltproj"):
        found = []
        for kernels, threads in (("plain", 1), ("plain", 3), ("auto", 1), ("auto", 3)):
            with rnla.config_context(kernels=kernels, threads=threads):
                found.append(rnla.robust_pca(d, 3, method=method, rng=5))
        for one, other in ((found[0], found[1]), (found[2], found[3])):
            assert np.array_equal(one.U, other.U)
            assert np.array_equal(one.trace, other.trace)
        assert found[0].iterations == found[2].iterations
        assert np.allclose(found[0].s, found[2].s, rtol=1e-10)
        again = rnla.robust_pca(d, 3, method=method, rng=found[3].report.seed)
        assert np.array_equal(again.s, found[3].s)


@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_readings_about_a_mean_are_parted_in_the_end_by_stages(missing: float) -> None:
    """The mean is seven times as large as all that varies about it, and outliers lie between: nothing else finds L."""
    rng = np.random.default_rng(31)
    low = 20 + 3 * (rng.standard_normal((800, 4)) @ rng.standard_normal((4, 40))) / 2
    d = low + np.where(rng.random(low.shape) < 0.04, rng.choice([-80.0, 80.0], low.shape), 0.0)
    mask = rng.random(low.shape) >= missing if missing else None
    result = rnla.robust_pca(d, 5, mask=mask, rng=0)
    assert error(result, low) <= 20 * TOL
    assert result.report.plan.method == rnla.AlternatingProjections(stages=True)
    assert any("tried again" in note for note in result.report.notes)


@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
def test_the_method_is_chosen_by_the_matrix_and_not_by_its_library(library: str) -> None:
    xp = pytest.importorskip(library)
    for n in (60, 700):
        d, _, _ = model(n, n, 2, 0.05, seed=29)
        here, there = (rnla.plan(x, 2, problem="robust_pca") for x in (d, xp.asarray(d)))
        assert here.method == there.method
        assert here.reasons == there.reasons
    one, other = (rnla.robust_pca(x, 2, rng=0) for x in (d, xp.asarray(d)))
    assert np.array_equal(one.rows, np.asarray(other.rows))
    assert np.allclose(one.s, np.asarray(other.s), rtol=1e-10)


@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
@pytest.mark.parametrize("method", METHODS)
def test_arrays_of_other_libraries_come_home(library: str, method: str) -> None:
    xp = pytest.importorskip(library)
    d, low, _ = model(160, 150, 2, 0.05, seed=23)
    rank = None if method == "pcp" else 2
    here = rnla.robust_pca(d, rank, method=method, rng=0)
    there = rnla.robust_pca(xp.asarray(d), rank, method=method, rng=0)
    assert type(there.U) is type(xp.asarray(d))
    assert error(there, low) <= 20 * TOL
    assert abs(here.iterations - there.iterations) <= 1
    assert there.S.sparse().nnz > 0
    assert there.cur().C.shape[0] == 160
