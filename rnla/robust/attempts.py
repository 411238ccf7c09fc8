"""One attempt of robust PCA: a method run on a reader, and its answer held against what was set aside."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from rnla._xp.linalg import host_values
from rnla.errors import DeadlineReached
from rnla.iterate import Watch, loop
from rnla.results import Status
from rnla.results.robust_result import HeldOut
from rnla.rng import Key
from rnla.robust.certificate import certify, tightened
from rnla.robust.planning import Asked, plan_of, require_memory
from rnla.robust.protocols import Outcome, Problem, at_noise, verdict
from rnla.robust.pursuit import PrincipalComponentPursuit
from rnla.robust.reading import Reader
from rnla.robust.sampling import held_out
from rnla.robust.scaling import OtherScaleError, scaled_method
from rnla.robust.skeletons import settled
from rnla.robust.starting import begun_at

__all__ = ["Attempt", "attempted", "judged", "set_aside"]

Array = np.ndarray[Any, Any]


class Attempt(NamedTuple):
    """An answer, with what the rows and columns that were set aside say of it.

    Attributes
    ----------
    asked : Asked
        With the method that made it.
    outcome : Outcome
    exponent : int
        Of the scale that it is in.
    held : HeldOut or None
    status : Status
    message : str
        What the deadline said, if it passed.
    final : bool
        Whether going more slowly would change nothing.
    notes : tuple of str
    """

    asked: Asked
    outcome: Outcome
    exponent: int
    held: HeldOut | None
    status: Status
    message: str
    final: bool
    notes: tuple[str, ...]


def set_aside(reader: Reader, key: Key, number: int, all_read: bool) -> tuple[Any, Any]:
    """Return the rows and columns that an attempt may not sample (S2)."""
    rows, columns = (
        held_out(key.child("held-out", what, number), length, all_read)
        for what, length in zip(("rows", "columns"), reader.shape, strict=True)
    )
    return rows, columns


def attempted(reader: Reader, asked: Asked, key: Key, number: int, watch: Watch, level: float | None) -> Attempt:
    """Return what the method that was asked for makes of D (S3) and what was set aside says of it (S4).

    Parameters
    ----------
    reader : Reader
    asked : Asked
        With a rank.
    key : Key
    number : int
        Of the attempt: each sets its own rows and columns aside.
    watch : Watch
    level : float or None
        Where the threshold begins; None for where the method begins by itself.

    Raises
    ------
    DeadlineReached
        There is no model yet.
    """
    method = asked.method
    if number:  # what was set aside has been looked at
        reader.begin()
    held = set_aside(reader, key, number, method.reads_all)
    assert asked.rank is not None
    problem = Problem(
        reader, asked.rank, asked.tol, asked.limit, key.child("iterations", number), asked.mask, *held, _least(method)
    )
    watch.stage = "iterating"
    outcome, message = _iterated(begun_at(method, level), problem, asked)
    # What is less than the noise that it leaves is no L: zero would do as well.
    noise = at_noise(outcome.trace, _least(scaled_method(method, reader.exponent))) and outcome.trace[-1].residual < 1
    judge, notes = asked, tuple[str, ...]()
    if noise and outcome.status is Status.DIVERGED:
        outcome, judge, said = _in_noise(outcome, asked)
        notes = (said,)
    made = judged(reader, judge, outcome, held, watch)
    noise = noise and made.held is not None and made.held.accepted  # then going more slowly changes nothing
    return made._replace(asked=asked, message=message, final=noise or bool(message) or made.status.ok, notes=notes)


def judged(reader: Reader, asked: Asked, outcome: Outcome, held: tuple[Any, Any], watch: Watch) -> Attempt:
    """Return an answer with what was set aside says of it (S4); the deadline does not count here."""
    deadline, watch.deadline, watch.stage = watch.deadline, None, "reading what was set aside"
    found, status, threshold = _certified(reader, outcome, asked, held)
    watch.deadline = deadline
    outcome = dataclasses.replace(outcome, threshold=threshold)
    return Attempt(asked, outcome, reader.exponent, found, status, "", status.ok, ())


def _iterated(method: Any, problem: Problem, asked: Asked) -> tuple[Outcome, str]:
    """Return how far a method came (S3), in the scale of the reader, and what the deadline said."""
    message = ""
    try:
        try:
            state = method.start(problem)
        except OtherScaleError:  # what was read tells another scale: begin again in it
            require_memory(plan_of(problem.reader, asked))  # which takes a copy, for those that read all of D
            method = scaled_method(method, problem.reader.exponent)
            problem = dataclasses.replace(problem, least=_least(method))
            state = method.start(problem)
    except DeadlineReached as error:
        raise DeadlineReached(f"{error}; there was no first model yet, so that nothing is kept") from None
    try:
        state = loop(
            state,
            lambda before: method.advance(problem, before),
            lambda after: verdict(after.trace, problem.tol, problem.max_iterations, problem.least) is not None,
        )
    except DeadlineReached as error:
        message, state = str(error), error.result
    status = verdict(state.trace, problem.tol, problem.max_iterations, problem.least)
    status = Status.DEADLINE if message or status is None else status
    # Many updates have left something of orthonormality; the singular values of what diverged may be anything.
    sound = math.isfinite(state.trace[-1].residual) and bool(np.isfinite(host_values(state.factors.s)).all())
    factors = settled(state.factors) if sound and int(state.factors.s.shape[0]) else state.factors
    return Outcome(factors, state.threshold, state.trace, status, state.rows, state.columns), message


def _least(method: Any) -> float:
    """Return the threshold that noise is expected under; the pursuit takes its levels from itself."""
    return 0.0 if isinstance(method, PrincipalComponentPursuit) else float(method.threshold.least)


def _in_noise(outcome: Outcome, asked: Asked) -> tuple[Outcome, Asked, str]:
    """Return an iteration that ended in noise: that is what was asked for, unless the caller gave a smaller `tol`."""
    last = outcome.trace[-1]
    said = f"the residual stands at {last.residual:.2e} with the threshold at its least: what is left is noise"
    if asked.tol_given:
        return outcome, asked, f"{said}; ask for tol={1.1 * last.residual:.1e} or more, or leave tol out"
    return (
        dataclasses.replace(outcome, status=Status.MET),
        dataclasses.replace(asked, tol=max(asked.tol, last.residual)),
        f"{said}, and no tol was given",
    )


def _certified(
    reader: Reader, outcome: Outcome, asked: Asked, held: tuple[Any, Any]
) -> tuple[HeldOut | None, Status, float]:
    """Return what the rows and columns that were set aside say (S4), the status with it, and the threshold."""
    usable = math.isfinite(outcome.threshold) and bool(np.isfinite(host_values(outcome.factors.s)).all())
    if not usable:
        return None, outcome.status, outcome.threshold
    held = _all_where_none(held[0], reader.shape[0]), _all_where_none(held[1], reader.shape[1])
    threshold, share = outcome.threshold, outcome.trace[-1].outliers
    part = scaled_method(asked.method, reader.exponent).threshold
    if part.kind == "entries" and outcome.status.ok and int(outcome.factors.s.shape[0]):
        rows = outcome.rows if len(outcome.rows) else np.arange(reader.shape[0])
        rows = rows[:: -(-len(rows) // len(held[0]))]  # no more than are held out
        threshold, share = tightened(reader, outcome.factors, threshold, part.at(0.0), rows, asked.tol, asked.mask)
    found = certify(
        reader, outcome.factors, threshold, part.kind, held[0], held[1], share,
        asked.tol, asked.mask,
    )  # fmt: skip
    status = Status.REFUSED if outcome.status.ok and not found.accepted else outcome.status
    return found, status, threshold


def _all_where_none(index: Array, length: int) -> Array:
    """Return what was set aside, and every line where there are too few to set any aside."""
    return index if len(index) else np.arange(length)
