"""Tolerances that are missed by little are missed, whatever a method says of itself or leaves out."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import rnla
from rnla.matfun.stage import droppable
from rnla.results import Status
from tests.matfun.exact import POWERS, backward, case, needs_extended, norm, truth


@dataclasses.dataclass(frozen=True)
class Short:
    """A method whose root is off by so much that its residual is `share` of all that the call allows, and says so.

    Its correction is one of the usual method, and one eigenvalue of it is moved: with a unit vector v, S + d v v^H has
    a square that is off by at most (2 norm(S) + d) d.
    """

    share: float
    stages: int
    status: Status
    summary = "Short"

    def correct(self, problem: Any, state: Any = None) -> Any:
        found = rnla.ShiftADI().correct(problem)
        off = self.share * 4 * self.stages * problem.target  # the method is asked for a quarter of its stage's part
        size = float(np.sqrt(problem.root.upper**2 + problem.norm))
        w = found.w.copy()
        w[0] += droppable(size, off)
        return dataclasses.replace(found, w=w, residual=found.residual + off, status=self.status, state=None)


@needs_extended
@pytest.mark.parametrize("tol", [1e-5, None])
@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("said", [Status.MET, Status.ITERATIONS])
def test_an_error_a_little_above_the_tolerance_is_not_met(said: Status, dense: bool, power: float, tol: Any) -> None:
    """Whatever the method says of itself, and however little is missing: the true error is above the tolerance too.

    Without a tolerance, 1e-13 is aimed at, and only what rounding did may be added.
    """
    made, asked = case(2.0, 1, dense=dense, n=20, k=2, size=0.2), 1e-13 if tol is None else tol
    exact = truth(made, power)
    method = Short(4.0, 1 if abs(power) == 0.5 else 2, said)
    with pytest.raises(rnla.errors.ToleranceNotMet) as caught:
        rnla.sqrtm_update(made.A_half, made.D, power=power, tol=tol, method=method)
    result = caught.value.result
    assert asked < backward(exact, result) / norm(exact.target) <= result.error.value < 10 * asked
    assert result.status is (Status.NOT_CERTIFIED if said is Status.MET else said)
    again = rnla.sqrtm_update(made.A_half, made.D, power=power, tol=tol, method=method, on_failure="return")
    assert again.status is result.status
    enough = rnla.sqrtm_update(
        made.A_half, made.D, power=power, tol=8 * asked, method=Short(0.4, method.stages, said), on_failure="raise"
    )
    assert enough.status is Status.MET  # the same error, or nearly, where it is allowed


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", ["ShiftADI", "KrylovGalerkin"])
def test_steps_that_end_a_little_above_the_tolerance_are_told(name: str, sign: int) -> None:
    """Each number of steps, asked for a third of the error that it comes to: the error found decides, not the steps."""
    made, between = case(1e3, sign, n=60, k=2), 0
    method = getattr(rnla, name)
    for steps in range(1, 9):
        options = {"steps": steps} if name == "ShiftADI" else {"blocks": steps}
        settings = {"sign": sign, "method": method(**options), "on_failure": "return", "rng": 0}
        tol = rnla.sqrtm_update(made.A_half, made.D, tol=1e-12, **settings).error.value / 3
        result = rnla.sqrtm_update(made.A_half, made.D, tol=tol, **settings)
        assert result.status.ok == (result.error.value <= tol)
        between += tol < result.error.value < 10 * tol
    assert between


class Worse:
    """A method whose root is the further off, and by its own word met, the more often it is asked."""

    summary = "Worse"

    def __init__(self) -> None:
        self.asked = 0

    def correct(self, problem: Any, state: Any = None) -> Any:
        self.asked += 1
        found = rnla.ShiftADI().correct(problem)
        off = 1e-5 * 30.0 ** (self.asked - 1) * problem.norm
        w = found.w.copy()
        w[0] += droppable(float(np.sqrt(problem.root.upper**2 + problem.norm)), off)
        return dataclasses.replace(found, w=w, residual=found.residual + off, status=Status.MET, state=None)


@pytest.mark.parametrize("dense", [False, True])
def test_an_extension_that_gains_nothing_is_met_only_where_the_earlier_result_was(dense: bool) -> None:
    made = case(2.0, 1, dense=dense, n=20, k=2, size=0.2)
    first = rnla.sqrtm_update(made.A_half, made.D, tol=1e-4, method=Worse())
    kept = first.extend(rank=20)
    assert kept.error.value == first.error.value
    assert kept.status is Status.MET
    finer = first.extend(tol=1e-9, on_failure="return")
    assert finer.error.value == first.error.value > 1e-9
    assert not finer.status.ok
    with pytest.raises(rnla.errors.ToleranceNotMet):
        first.extend(tol=1e-9)
