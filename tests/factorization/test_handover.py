"""A tolerance that needs most columns is met by the full SVD, which costs less then, and that is foreseen early."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import rnla
from benchmarks.cases import dense
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


def test_an_answer_that_is_certified_is_not_given_up_for_the_full_svd() -> None:
    """Columns to spare would pass the place where the full SVD takes over; the tolerance itself does not."""
    matrix = dense(N, N, "slow")
    plan = rnla.plan(matrix.A, tol=0.02)
    assert plan.handover is not None
    tails = np.sqrt(np.cumsum((matrix.s**2)[::-1])[::-1]) / matrix.norm
    tol = float(tails[int(0.75 * plan.handover)])
    result = rnla.svd(matrix.A, tol=tol, rng=0)
    assert result.report.size <= plan.handover
    assert result.error.value <= tol


def test_the_place_is_where_a_search_costs_the_full_svd() -> None:
    """It grows with the matrix no faster than its side, and a method of the caller's own is never left."""
    op = Ledger(as_operator(np.ones((N, N))))
    request = read_request((N, N), op.dtype, None, 0.1, "fro", None, None, None, None, "raise")
    plan = make_plan(op, request)
    assert isinstance(plan.method, Adaptive)
    assert plan.handover is not None
    assert N // 4 < plan.handover < N
    assert make_plan(op, dataclasses.replace(request, part=Adaptive())).handover is None
