"""Columns chosen on a sketch of the row space: what `rnla.interpolative` and `rnla.cur` do for a rank by default.

Problem: k columns of A that pivoted QR would choose, without a basis for A.

S1. G = Omega^H A, with l = 5 k / 4 + 240 rows, Omega sparse: one pass.
S2. The first k columns of pivoted QR of G (`rnla.compression.leading_pivots`), exchanged until the choice is strongly
    rank-revealing for G.
S3. What is made of the columns (their orthonormal basis Q, Q^H A) is the basis that a later request goes on from.

A sketch whose entries cost next to nothing may be several times wider than a basis, and then shows which columns are
needed as well as A does, without a power iteration; exact directions are not needed for it.
For rows read the adjoint of A for A.

Cost: one pass, 8 m n flops, 2 l n k flops for the pivots, l n numbers.
Guarantee: no choice is trusted, since what is made of it is certified.  A priori, for the projection of A on the row
space of G, as if a range finder had found it; tested as `tests/factorization/test_sketched_choice.py`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from rnla._kernels.panels import gram
from rnla._kernels.scatter import Scatter
from rnla._xp.linalg import adjoint, cholesky, svd
from rnla._xp.pivoting import pivots_of_columns
from rnla.compression.leading_pivots import leading_pivots
from rnla.compression.skeleton import Interpolation
from rnla.compression.strong_pivoting import allows_no_exchange, strongly_pivoted
from rnla.config import fixed_settings, get_config
from rnla.errors import DeadlineReached
from rnla.factorization.driver import Located
from rnla.factorization.search import Factored, Problem, Search
from rnla.iterate import watching
from rnla.operators.algebra import Adjoint
from rnla.operators.dense import Dense
from rnla.operators.ledger import Ledger
from rnla.planner import make_plan
from rnla.rangefinder import SketchedRange
from rnla.request import Request
from rnla.results import RangeBasis
from rnla.rng import Key
from rnla.sketch.product import sketch_product
from rnla.sketch.sparse_rows import sparse_rows
from rnla.working import families_of, working

__all__ = ["keep_basis", "pivots_of_sketch", "sketched", "small_factor"]


@contextlib.contextmanager
def sketched(base: Any, request: Request, key: Key, problem: Problem, axis: str) -> Iterator[tuple[Located, Any]]:
    """Plan and sketch (S1); inside the block every setting is held, as in every driver.

    Parameters
    ----------
    base : LinearOperator
    request : Request
        With the sketch as its part.
    key : Key
    problem : Problem
    axis : {"columns", "rows"}
        What is chosen on the sketch.
    """
    started = time.perf_counter()
    op = base if isinstance(base, Ledger) else Ledger(base)
    part, count = request.part, request.rank
    assert isinstance(part, SketchedRange)
    assert count is not None
    with fixed_settings():
        plan = make_plan(op, request)
        m, n = op.shape
        size = min(part.size_for(count), m, n)
        flops = 2.0 * m * n * (count + 4) + 2.0 * size * max(m, n) * count + 6.0 * (m + n) * count**2
        plan = dataclasses.replace(plan, flops=flops, seconds=plan.seconds * min(1.0, flops / plan.flops))
        with watching(plan.passes) as watch, working(op.xp, op.dtype, flops, families_of(op.base)):
            search = Search(op, request, plan, key, watch, problem)
            watch.stage = "sketching"
            try:
                op.measure()
                g = _sketch(op, part, size, key.child("test-matrix", 0), axis)
            except DeadlineReached as error:
                raise DeadlineReached(f"{error}, before columns were chosen and read") from None
            watch.deadline, watch.stage = None, "factoring"
            yield Located(op, plan, search, watch, None, "", started), g


def _sketch(op: Ledger, part: SketchedRange, size: int, key: Key, axis: str) -> Any:
    """Return Omega^H A, or Omega^H A^H for rows; where A lies in memory by rows, without turning it about."""
    if axis == "rows":
        return adjoint(sketch_product(op, part.sketch, size, key))
    resident = op.base.resident if isinstance(op.base, Dense) else None
    if resident is not None and resident.flags.c_contiguous and resident.dtype == op.dtype:
        omega = Scatter(sparse_rows(part.sketch, op.shape[0], size, key, op.dtype))
        g = op.apply(lambda _: omega.adjoint_times(resident, get_config().threads), size, adjoint=True)
        if g is not None:
            return g
    return adjoint(sketch_product(Adjoint(op), part.sketch, size, key))


def pivots_of_sketch(g: Any, count: int) -> np.ndarray[Any, Any]:
    """Return `count` columns of a sketch by pivoted QR with exchanges, those past its rank in ascending order (S2)."""
    n = int(g.shape[1])
    if not isinstance(g, np.ndarray):
        chosen = pivots_of_columns(g, count)
        return strongly_pivoted(g, chosen)
    chosen, rows, left = leading_pivots(np.ascontiguousarray(g), count)
    if len(chosen) and not allows_no_exchange(np.take(rows, chosen, axis=1), rows, left):
        chosen = strongly_pivoted(g, chosen)
    return np.concatenate([chosen, np.setdiff1d(np.arange(n), chosen)[: count - len(chosen)]])


def small_factor(inter: Interpolation) -> Any:
    """Return T with C X = Q T V^H for orthonormal V: its singular values are those of the approximation.

    The coefficients hold the identity and no large entry, so they are well conditioned and their Gram matrix will do.
    """
    x = inter.x[: inter.live, :]
    if isinstance(x, np.ndarray):
        square = gram(adjoint(x), get_config().threads).astype(x.dtype, copy=False)
    else:
        square = x @ adjoint(x)
    return inter.r[: inter.live, : inter.live] @ cholesky(square)


def keep_basis(found: Located, inter: Interpolation, axis: str, small: Any) -> None:
    """Take the orthonormal basis of the columns for the basis that was found, with its singular values (S3)."""
    q, image = inter.q[:, : inter.live], adjoint(inter.within[: inter.live, :])
    found.basis = RangeBasis("column" if axis == "columns" else "row", q, image, (inter.live,))
    found.search.factored = Factored((q,), svd(small)[1])
