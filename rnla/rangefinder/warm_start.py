"""Starting from columns that are known to be good: last step's singular vectors, when A has changed a little.

The columns take the place of the first columns of the test matrix; what they leave to fill is drawn as ever.  They
need not be orthonormal or of full rank: they are orthonormalized first.  No estimate from the test matrix itself
(leave-one-out) is valid then, because its columns are no longer independent of A.
"""

from __future__ import annotations

from typing import Any

from rnla._xp.linalg import cast, is_complex
from rnla._xp.namespace import all_finite, backend_name, from_host, is_array, is_numpy, namespace_of
from rnla.errors import BackendError, DTypeError, InputError, NonFiniteError
from rnla.operators.ledger import Ledger
from rnla.orth import Orthonormalizer
from rnla.rangefinder.protocols import shorter_space

__all__ = ["check_columns", "first_block", "starting_space"]


def check_columns(start: Any) -> Any:
    """Return a private copy of the columns that a part is told to start from, or None."""
    if start is None:
        return None
    if not is_array(start) or len(start.shape) != 2:
        raise DTypeError(
            "start must be an array of shape (n, j), such as result.Vh.conj().T of an earlier result "
            "(or result.U for space='column')"
        )
    if 0 in start.shape:
        raise InputError(f"start has shape {tuple(start.shape)}; leave it out instead")
    xp = namespace_of(start)
    if not xp.isdtype(start.dtype, ("real floating", "complex floating")):
        raise DTypeError(f"start must hold floating-point numbers, got {start.dtype}")
    if not all_finite(start):
        raise NonFiniteError("start holds NaN or infinity")
    return start.copy() if is_numpy(xp) else xp.asarray(start, copy=True)


def starting_space(shape: tuple[int, int], wanted: str | None, start: Any) -> str:
    """Return the space of the basis: the one that is wanted, else the one that the columns fit."""
    m, n = shape
    if start is None:
        return shorter_space(shape, wanted)
    rows = int(start.shape[0])
    fitting = [space for space, side in (("row", n), ("column", m)) if side == rows and wanted in {None, space}]
    if not fitting:
        sides = {"row": f"n={n}", "column": f"m={m}", None: f"n={n} (row space) or m={m} (column space)"}[wanted]
        raise InputError(f"start has {rows} rows, and must have {sides} for a matrix of shape {m} x {n}")
    return shorter_space(shape) if len(fitting) == 2 else fitting[0]


def first_block(op: Ledger, start: Any, drawn: Any, orth: Orthonormalizer) -> Any:
    """Return the drawn columns with as many of them as `start` has replaced by it, orthonormalized."""
    if start is None:
        return drawn
    xp = namespace_of(start)
    if xp is not op.xp:
        if not is_numpy(xp):
            raise BackendError(f"start lies in {backend_name(xp)} and A in {backend_name(op.xp)}; pass it where A is")
        start = from_host(start, op.xp, op.device)
    if is_complex(start.dtype) and not is_complex(drawn.dtype):
        raise DTypeError("start is complex and A is real; pass the real part, or A as a complex array")
    size, have = int(drawn.shape[1]), int(start.shape[1])
    if have > start.shape[0]:
        raise InputError(f"start has {have} columns of {start.shape[0]} rows, more than can be independent")
    columns = orth.factor(cast(start, drawn.dtype))[0][:, : min(have, size)]
    return op.xp.concat([columns, drawn[:, int(columns.shape[1]) :]], axis=1)
