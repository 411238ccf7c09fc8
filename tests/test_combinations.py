"""Every problem with every range finder and every test matrix: no combination has a driver of its own, and none fails.

The oracle is NumPy: the factors are multiplied, and the true error must not exceed what the certificate says.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import rnla
from rnla.rangefinder import RANGE_FINDERS
from rnla.sketch import SKETCHES
from rnla.testing import haar

Array = np.ndarray[Any, Any]
RANK = 8
_DECAY = 0.6 ** np.arange(40)


def _general() -> Array:
    return (haar(60, 40, rng=1) * _DECAY) @ haar(40, 40, rng=2).T


def _symmetric() -> Array:
    V = haar(40, 40, rng=3)
    return (V * _DECAY * (-1.0) ** np.arange(40)) @ V.T


def _definite() -> Array:
    V = haar(40, 40, rng=4)
    return (V * _DECAY) @ V.T


def _permuted(out: Array, pivots: Array) -> Array:
    """Return the columns in the order of A."""
    back = np.empty_like(out)
    back[:, pivots] = out
    return back


@dataclasses.dataclass(frozen=True)
class Problem:
    """A problem, a matrix for it, and what its factors multiply to."""

    call: Callable[..., Any]
    matrix: Callable[[], Array]
    product: Callable[[Any], Array]


PROBLEMS = {
    "svd": Problem(rnla.svd, _general, lambda r: (r.U * r.s) @ r.Vh),
    "eigh": Problem(rnla.eigh, _symmetric, lambda r: (r.V * r.w) @ r.V.conj().T),
    "nystrom": Problem(rnla.nystrom, _definite, lambda r: (r.V * r.w) @ r.V.conj().T),
    "qr": Problem(rnla.qr, _general, lambda r: _permuted(r.Q @ r.R, r.pivots)),
    "lu": Problem(rnla.lu, _general, lambda r: r.as_operator().to_array()),
    "interpolative": Problem(rnla.interpolative, _general, lambda r: r.as_operator().to_array()),
    "cur": Problem(rnla.cur, _general, lambda r: r.C @ r.U @ r.R),
}
SOURCES: dict[str, Callable[[Array], Any]] = {
    "array": lambda A: A,
    "sparse": scipy.sparse.csr_array,
    "operator": scipy.sparse.linalg.aslinearoperator,
}


def _check(problem: Problem, source: str, **asked: Any) -> Any:
    A = problem.matrix()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rnla.RankWarning)
        result = problem.call(SOURCES[source](A), rng=5, **asked)
    true = np.linalg.norm(A - problem.product(result)) / np.linalg.norm(A)
    if result.error.kind == "estimated" and np.isnan(result.error.upper):
        # An estimate without a bound: ten of its standard errors, and a factor for the column left out.
        assert true <= result.error.value + 10 * result.error.standard_error + 1e-12
    else:
        assert true <= result.error.upper * (1 + 1e-6) + 1e-14
    return result


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("sketch", SKETCHES)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_problem_takes_every_test_matrix(problem: str, sketch: str, source: str) -> None:
    result = _check(PROBLEMS[problem], source, rank=RANK, sketch=sketch)
    assert result.rank == RANK


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("finder", RANGE_FINDERS)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_problem_takes_every_range_finder(problem: str, finder: str, source: str) -> None:
    part = RANGE_FINDERS[finder]()
    if source != "array" and finder in {"full_svd", "gram_eigh", "tall_qr"}:
        with pytest.raises(rnla.InputError, match="needs a dense matrix"):
            _check(PROBLEMS[problem], source, rank=RANK, method=part)
        return
    assert _check(PROBLEMS[problem], source, rank=RANK, method=part).rank == RANK


@pytest.mark.parametrize("finder", RANGE_FINDERS)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_problem_meets_a_tolerance_with_every_range_finder(problem: str, finder: str) -> None:
    result = _check(PROBLEMS[problem], "array", tol=1e-2, method=RANGE_FINDERS[finder]())
    assert result.error.meets(1e-2)
    assert result.rank < 30


@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_problem_extends_and_repeats_from_its_seed(problem: str) -> None:
    made = PROBLEMS[problem]
    A = made.matrix()
    few = made.call(A, 4, rng=5, method=rnla.SubspaceIteration())
    again = made.call(A, 4, rng=few.report.seed, method=rnla.SubspaceIteration())
    for one, other in zip(few, again, strict=True):
        assert np.array_equal(one, other)
    more = few.extend(rank=RANK)
    assert more.rank == RANK
    assert type(more) is type(few)
    before, after = (np.linalg.norm(A - made.product(r)) for r in (few, more))
    assert after <= before * (1 + 1e-9)
