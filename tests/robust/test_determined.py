"""Whether clean entries determine a row or a column of L: against dense algebra, and answers that they do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnla
from rnla.robust.certificate import certify
from rnla.robust.determined import held_shares, least_pivots, weakly_held
from rnla.robust.looking import Lines
from rnla.robust.protocols import Factors
from rnla.robust.reading import Reader
from tests.robust.model import error, model

TOL = 1e-7


def block_of(m: int, n: int, rank: int, dtype: str, seed: int) -> tuple[Any, ...]:
    d, low, _ = model(m, n, rank, 0.4, seed=seed, dtype=dtype)
    u, s, vh = np.linalg.svd(low, full_matrices=False)
    observed = np.random.default_rng(seed).random(d.shape) < 0.8 if seed % 2 else None
    clean = np.abs(d - low) < 1e-6
    return d, u[:, :rank] * s[:rank], vh[:rank], observed, clean if observed is None else clean & observed


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize(("m", "n", "rank"), [(40, 900, 3), (64, 500, 12), (900, 50, 4), (30, 31, 1)])
@pytest.mark.parametrize("axis", [0, 1])
def test_pivots_are_those_of_the_matrix_that_clean_entries_leave(
    axis: int, m: int, n: int, rank: int, dtype: str
) -> None:
    for seed in (0, 1):
        d, left, right, observed, clean = block_of(m, n, rank, dtype, seed)
        basis = np.linalg.svd(left if axis == 1 else right.T, full_matrices=False)[0]
        found = least_pivots(d, left, right, 1e-6, axis, rank, observed)
        picked = clean.T if axis == 1 else clean
        assert found.shape == (len(picked),)
        for each, here in zip(found, picked, strict=True):
            gram = basis[here].conj().T @ basis[here]
            least = np.linalg.eigvalsh(gram)[0]
            assert each >= least - 1e-10  # any pivot is
            if least > 1e-6:
                assert each <= rank**2 * 4**rank * least  # and they bound it, crudely


def test_pivots_of_a_basis_that_is_orthonormal_already_are_those_of_cholesky() -> None:
    rng = np.random.default_rng(0)
    left = np.linalg.qr(rng.standard_normal((40, 3)))[0] * np.array([3.0, 2.0, 1.0])
    right = np.linalg.qr(rng.standard_normal((300, 3)))[0].T
    low = left @ right
    d = low + (rng.random(low.shape) < 0.4)
    # Its left singular vectors are the unit columns, in this order but for the sign.
    found = least_pivots(d, left / np.array([1.0, 1.0, 1.0]), right, 1e-6, 1, 3)
    unit = np.linalg.svd(left / np.linalg.norm(left, axis=0), full_matrices=False)[0]
    for j in range(0, 300, 17):
        here = unit[np.abs(d[:, j] - low[:, j]) < 1e-6]
        pivots = np.diag(np.linalg.cholesky(here.T @ here)) ** 2
        assert found[j] == pytest.approx(pivots.min(), rel=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize("axis", [0, 1])
def test_pivots_of_factors_in_single_precision_are_those_in_double(axis: int, dtype: str) -> None:
    """As many ranks as lines, or nearly: what clean entries leave of G is singular, and its rounding is no error."""
    for seed in range(20):
        d, left, right, observed, _ = block_of(9, 9, 8, dtype, seed)
        rough = [x.astype(dtype) for x in (left, right)]
        wide = [x.astype(np.result_type(dtype, np.float64)) for x in rough]
        found = least_pivots(d, *rough, 1e-3, axis, 8, observed)
        exact = least_pivots(d.astype(wide[0].dtype), *wide, 1e-3, axis, 8, observed)
        assert found == pytest.approx(exact, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("size", [2.0**-60, 2.0**60])
def test_pivots_do_not_depend_on_the_scale(size: float) -> None:
    d, left, right, _, _ = block_of(64, 500, 12, "float64", 0)
    found = least_pivots(d * size, left * size, right, 1e-6 * size, 1, 12)
    assert np.array_equal(found, least_pivots(d, left, right, 1e-6, 1, 12))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("axis", [0, 1])
def test_shares_are_least_eigenvalues(axis: int, dtype: str) -> None:
    for seed, rank in ((0, 2), (1, 7), (2, 20)):
        d, left, right, observed, clean = block_of(60, 800, rank, dtype, seed)
        if axis == 0:
            d, left, right, clean = d.T, right.T, left.T, clean.T
            observed = None if observed is None else observed.T
        along = np.linalg.qr(right.conj().T if axis == 1 else left)[0]
        found = held_shares(d, left, right, 1e-6, axis, along, observed)
        basis = along.conj() if axis == 1 else along  # entries of row i of L are V^H times what is sought
        for each, here in zip(found, clean if axis == 1 else clean.T, strict=True):
            assert each == pytest.approx(np.linalg.eigvalsh(basis[here].conj().T @ basis[here])[0], abs=1e-12)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_a_column_that_could_be_another_is_named(masked: bool, transposed: bool) -> None:
    """The first direction of L lives on a quarter of the rows; column 7 is an outlier on all of these.

    A quarter of outliers is far from all, so nothing else speaks against it; and 7 is not among the held-out columns.
    """
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((400, 2)), rng.standard_normal((2, 300))
    there = np.zeros(400, dtype=bool)
    there[rng.permutation(400)[:100]] = True
    a[~there, 0] = 0
    low = a @ b
    d = low + 3 * (rng.random(low.shape) < 0.1)
    u, s, vh = np.linalg.svd(low, full_matrices=False)
    factors = Factors(u[:, :2], s[:2], vh[:2])
    rows = np.sort(rng.permutation(400)[:50])
    columns = np.sort(np.setdiff1d(rng.permutation(300), [7])[:37])
    observed = np.ones(d.shape, dtype=bool)

    def judged(matrix: Any, found: Factors) -> Any:
        seen, where, share = observed, (rows, columns), 0.2
        if transposed:
            matrix, found, seen = matrix.T, Factors(found.Vh.T, found.s, found.U.T), observed.T
            where = (columns, rows)
        return certify(Reader(matrix), found, 1e-6, "entries", *where, share, TOL, seen if masked else None)

    if masked:
        observed &= rng.random(d.shape) < 0.9
    assert judged(d, factors).accepted
    if masked:
        observed[there, 7] = False
    else:
        d[there, 7] += rng.standard_normal(100)
    held = judged(d, factors)
    assert held.reasons == (
        f"the clean entries of 1 {'rows' if transposed else 'columns'}, such as 7, do not tell L there",
    )
    assert (held.undetermined_rows if transposed else held.undetermined_columns) == (7,)
    # Indeed: another L there, and every entry that is clean and observed agrees with it as well.
    other = low.copy()
    other[:, 7] += a[:, 0]
    clean = (np.abs(d - low) < 1e-6) & observed
    assert np.abs(d - other)[clean].max() < 1e-6
    assert np.abs(other - low).max() > 1


def sparse_model(seed: int) -> tuple[Any, Any, int]:
    """Return D and L of factors with 70 percent zeros, in the range where most answers were wrong."""
    rng = np.random.default_rng(seed)
    m, n = (int(x) for x in np.exp(rng.uniform(np.log(100), np.log(400), 2)))
    rank = int(rng.integers(2, 7))
    a, b = rng.standard_normal((m, rank)), rng.standard_normal((rank, n))
    low = (a * (rng.random(a.shape) < 0.3)) @ (b * (rng.random(b.shape) < 0.3))
    share, scale = float(rng.choice([0.1, 0.2, 0.3, 0.4])), 3 * np.abs(low).mean()
    return low + np.where(rng.random(low.shape) < share, rng.uniform(-scale, scale, low.shape), 0), low, rank


def test_wrong_answers_on_sparse_factors_are_refused() -> None:
    """Of these 24 RieCUR finds 9; all others met their tolerance, and most were accepted without this."""
    right, alone = 0, 0
    for seed in range(24):
        d, low, rank = sparse_model(seed)
        result = rnla.robust_pca(d, rank, method="riecur", rng=seed, on_failure="return")
        if error(result, low) <= 1e-5:
            right += result.status.ok
        else:
            assert not result.status.ok
            reasons = result.held_out.reasons
            alone += bool(reasons) and all("do not tell L there" in reason for reason in reasons)
    assert right >= 7
    assert alone >= 4


def test_more_lines_are_screened_where_few_were_set_aside() -> None:
    """Seven rows leave four clean entries for five ranks, so every column would be a suspect, and most never read."""
    d, low, _ = model(60, 900, 5, 0.4, seed=2)
    u, s, vh = np.linalg.svd(low, full_matrices=False)
    reader = Reader(d)
    lines = Lines(reader, Factors(u[:, :5], s[:5], vh[:5]))
    read = lines.read(np.arange(7), 1)
    assert (least_pivots(*read[:3], 1e-6, 1, 5) < 1e-6).mean() > 0.5
    before = reader.entries
    assert len(weakly_held(lines, read, 1e-6, 1, 0.4, TOL)) < 0.2 * d.shape[1]
    assert reader.entries == before + 25 * d.shape[1]  # three clean entries for each rank


@pytest.mark.statistical
def test_nothing_is_refused_on_the_model_of_the_papers() -> None:
    """L itself with its outliers, up to 40 percent.

    With p clean entries of n, fewer than rank of them determine nothing: less often than exp(-2 n (0.6 - rank / n)^2)
    a line, 1e-9 at n = 60 and rank 7; alarm rate below 1e-5.
    """
    for seed in range(60):
        rng = np.random.default_rng(seed)
        m, n = (int(x) for x in rng.integers(60, 400, 2))
        rank = int(rng.integers(1, min(10, min(m, n) // 8) + 1))
        d, low, _ = model(m, n, rank, float(rng.choice([0.1, 0.2, 0.3, 0.4])), seed=seed)
        u, s, vh = np.linalg.svd(low, full_matrices=False)
        rows, columns = (np.sort(rng.permutation(length)[: min(64, length // 8)]) for length in (m, n))
        held = certify(Reader(d), Factors(u[:, :rank], s[:rank], vh[:rank]), 1e-6, "entries", rows, columns, 1.0, TOL)
        assert held.undetermined_rows == held.undetermined_columns == ()
