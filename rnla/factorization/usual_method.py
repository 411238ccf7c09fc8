"""Methods that a problem knows to suit it better than what suits every problem.

They are taken where the caller asked for a rank and nothing else, the matrix is dense and in memory, and the plan
would multiply it anyway; where they do not fit the memory or the passes allowed, the plan's own choice stands.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from rnla.errors import BudgetError
from rnla.operators.dense import Dense
from rnla.operators.ledger import Ledger
from rnla.planner import make_plan
from rnla.rangefinder import BlockFinder, BlockKrylov, BlockLanczos, SubspaceIteration
from rnla.request import Request

__all__ = ["block_width", "for_choosing", "for_eigenvalues"]


def block_width(rank: int, dtype: np.dtype[Any]) -> int:
    """Return the columns of a block, a multiple of those that products take at a time."""
    single = np.finfo(dtype).bits == 32
    narrow, usual, wide = (16, 32, 48) if single else (16, 24, 48)
    return narrow if rank <= 16 else usual if rank <= 100 else wide


def for_eigenvalues(base: Any, request: Request) -> Request:
    """Return a request for eigenvalues: block Lanczos, until those of values like 1/j are right to about 1e-10."""
    if request.rank is None:
        return request
    part = BlockLanczos(block_size=block_width(request.rank, base.dtype))
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


def _taken(base: Any, request: Request, part: BlockFinder, because: str) -> Request:
    given = (request.part, request.tol, request.power_iterations, request.oversampling, request.sketch)
    op = base if isinstance(base, Ledger) else Ledger(base)
    if any(value is not None for value in given) or not isinstance(op.base, Dense) or request.rank is None:
        return request
    wanted = dataclasses.replace(request, part=part, because=because)
    if 2 * part.size_for(request.rank) > min(op.shape):
        return request
    try:
        if not isinstance(make_plan(op, request).method, (BlockKrylov, SubspaceIteration)):
            return request
        make_plan(op, wanted)
    except BudgetError:
        return request
    return wanted
