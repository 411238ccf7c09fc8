"""A tolerance that needs most columns is met by the full SVD, which costs less then, and that is foreseen early."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import rnla
from benchmarks.cases import dense
from rnla.factorization.search import Search
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.planner import make_plan
from rnla.rangefinder import Adaptive
from rnla.request import read_request

N = 600


def least_rank(s: np.ndarray, tol: float) -> int:
    """Return the smallest rank that meets a tolerance, by Eckart and Young."""
    tails = np.sqrt(np.cumsum((s**2)[::-1])[::-1])
    return int(np.count_nonzero(tails > tol * np.linalg.norm(s)))


@pytest.mark.parametrize(("spectrum", "tol", "share"), [("noisy", 0.03, 0.5), ("slow", 0.01, 0.9)])
def test_a_hopeless_search_ends_early_and_the_answer_is_that_of_the_full_svd(
    spectrum: str, tol: float, share: float
) -> None:
    """On a flat tail six blocks show how little each finds; on 1/i the last ones promise more than there is."""
    matrix = dense(N, N, spectrum)
    handover = rnla.plan(matrix.A, tol=tol).handover
    assert handover is not None
    result = rnla.svd(matrix.A, tol=tol, rng=0)
    (note,) = [note for note in result.report.notes if "full SVD" in note]
    found = int(note.split()[1])
    assert found <= share * handover
    assert result.report.passes <= found / 24 + 2
    assert result.rank == least_rank(matrix.s, tol)
    assert result.error.value <= tol


@pytest.mark.parametrize(("spectrum", "tol"), [("fast", 1e-3), ("slow", 0.1), ("noisy", 0.3)])
def test_a_search_that_ends_in_time_is_left_alone(spectrum: str, tol: float) -> None:
    matrix = dense(N, N, spectrum)
    result = rnla.svd(matrix.A, tol=tol, rng=0)
    assert not any("full SVD" in note for note in result.report.notes)
    assert result.error.value <= tol
    assert result.rank <= 1.05 * least_rank(matrix.s, tol) + 1


def test_where_the_full_svd_has_no_room_the_search_goes_on() -> None:
    matrix = dense(N, N, "noisy")
    early = rnla.svd(matrix.A, tol=0.1, rng=0)
    (note,) = [note for note in early.report.notes if "full SVD" in note]
    needed = rnla.plan(matrix.A, N, method=rnla.FullSVD()).bytes
    with rnla.config_context(memory_budget=needed - 1):
        result = rnla.svd(matrix.A, tol=0.1, rng=0, on_failure="return")
    assert result.status is rnla.Status.MEMORY
    assert result.report.size > int(note.split()[1])
    assert not any("full SVD" in note for note in result.report.notes)


def test_columns_to_spare_that_pass_the_place_are_not_looked_for() -> None:
    """The tolerance is met before, at a rank that is not small: the full SVD, which gives the smallest, follows."""
    matrix = dense(N, N, "slow")
    handover = rnla.plan(matrix.A, tol=0.02).handover
    assert handover is not None
    tails = np.sqrt(np.cumsum((matrix.s**2)[::-1])[::-1]) / matrix.norm
    tol = float(tails[int(0.75 * handover)])
    result = rnla.svd(matrix.A, tol=tol, rng=0)
    (note,) = [note for note in result.report.notes if "full SVD" in note]
    assert int(note.split()[1]) < handover
    assert result.rank == least_rank(matrix.s, tol)


def test_the_place_is_where_a_search_costs_the_full_svd() -> None:
    """It grows with the matrix no faster than its side, and a method of the caller's own is never left."""
    op = Ledger(as_operator(np.ones((N, N))))
    request = read_request((N, N), op.dtype, None, 0.1, "fro", None, None, None, None, "raise")
    plan = make_plan(op, request)
    assert isinstance(plan.method, Adaptive)
    assert plan.handover is not None
    assert N // 4 < plan.handover < N
    assert make_plan(op, dataclasses.replace(request, part=Adaptive())).handover is None


@pytest.mark.parametrize(("spectrum", "tol"), [("slow", 0.03), ("fast", 1e-4)])
def test_singular_values_alone_say_how_many_columns_make_the_rank_small(
    spectrum: str, tol: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The basis is factored once, at the size that two looks at the whole factors would have led to."""
    matrix, sizes = dense(900, 900, spectrum), []
    factor = Search.factor

    def counted(search: Search, basis: Any) -> None:
        sizes.append(basis.size)
        factor(search, basis)

    monkeypatch.setattr(Search, "factor", counted)
    result = rnla.svd(matrix.A, tol=tol, rng=0)
    assert set(sizes) == {result.report.size}
    sizes.clear()
    monkeypatch.setattr("rnla.factorization.search._WORTH_VALUES", 10**9)
    plain = rnla.svd(matrix.A, tol=tol, rng=0)
    assert len(set(sizes)) == 2
    assert plain.report.size == result.report.size
    assert np.array_equal(plain.s, result.s)


@pytest.mark.parametrize("n", [8, 30, 150])
def test_the_place_may_be_the_first_column(n: int) -> None:
    plan = rnla.plan(np.ones((n, n)), tol=1e-2, sketch="sparse_sign")
    assert plan.handover is not None
    assert plan.handover >= 1
