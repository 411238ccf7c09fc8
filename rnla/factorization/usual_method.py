"""Methods that a problem knows to suit it better than what suits every problem.

They are taken where the caller asked for a rank and nothing else, the matrix is dense, and the plan would multiply it
anyway.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from rnla.operators.implicit import Implicit
from rnla.operators.ledger import Ledger
from rnla.operators.sparse import Sparse
from rnla.planner import block_width, usual_plan
from rnla.rangefinder import BlockFinder, BlockKrylov, BlockLanczos, SketchedRange, SubspaceIteration
from rnla.request import Request
from rnla.sketch import SparseSign

__all__ = ["for_choosing", "for_eigenvalues", "for_sketch"]

_SIGNS = 4  # in a row of the sketch that columns are chosen on
_SKETCHED = 240  # columns of it beyond 5/4 of the rank: pivots on fewer leave 2 to 5 % more of values 1/j
_SPREAD = 4  # times as many rows and columns as the sketch has rows: below, products cost little and choose better

_NARROW = 16  # columns: products with so few read half of a Hermitian matrix, and wider blocks need more of them


def for_eigenvalues(base: Any, request: Request) -> Request:
    """Return a request for eigenvalues: block Lanczos, until those of values like 1/j are right to about 1e-10."""
    if request.rank is None:
        return request
    part = BlockLanczos(block_size=_NARROW)
    return _taken(base, request, part, "one product with a Hermitian matrix takes the basis one power of it further")


def for_choosing(base: Any, request: Request) -> Request:
    """Return a request for columns and rows: a short block Krylov run, since the choice needs no exact vectors."""
    if request.rank is None:
        return request
    width = block_width(request.rank, base.dtype)
    depth = max(2, -(-(5 * request.rank // 4 + 32) // width))
    return _taken(
        base, request, BlockKrylov(block_size=width, depth=depth), "columns are chosen as well by a short run"
    )


def for_sketch(base: Any, request: Request, space: str) -> Request | None:
    """Return a request for columns (the row space) or rows that are chosen on a sketch, None where no rank alone is."""
    if request.rank is None:
        return None
    part = SketchedRange(SparseSign(_SIGNS), oversampling=request.rank // 4 + _SKETCHED, space=space)
    because = "columns and rows are chosen about as well on a sketch, which takes no products"
    asked = _taken(base, request, part, because, _SPREAD)
    return None if asked is request else asked


def _taken(base: Any, request: Request, part: BlockFinder, because: str, times: int = 2) -> Request:
    given = (request.part, request.tol, request.power_iterations, request.oversampling, request.sketch)
    op = base if isinstance(base, Ledger) else Ledger(base)
    if any(value is not None for value in given) or isinstance(op.base, (Implicit, Sparse)) or request.rank is None:
        return request
    if times * part.size_for(request.rank) > min(op.shape):
        return request
    if not isinstance(usual_plan(op, request).method, (BlockKrylov, SubspaceIteration)):
        return request
    return dataclasses.replace(request, part=part, because=because)
