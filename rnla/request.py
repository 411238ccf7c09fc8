"""What was asked of a call, checked before any work."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla.checks import check_choice, check_norm, check_number, check_rank, check_tol, check_whole
from rnla.errors import DTypeError, InputError
from rnla.rangefinder import RangeFinder
from rnla.sketch import as_sketch

__all__ = ["Request", "read_request"]


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What was asked, checked.

    Attributes
    ----------
    rank, tol : int or None, float or None
    norm : str
    part : RangeFinder or None
        A method given by the caller.
    power_iterations, oversampling, sketch
        The simple knobs, None where not given.
    on_failure : str
    hermitian : bool
        Whether the matrix is known to be Hermitian.
    because : str
        Why `part` is what it is.
    """

    rank: int | None
    tol: float | None
    norm: str
    part: RangeFinder | None
    power_iterations: int | None
    oversampling: int | None
    sketch: Any
    on_failure: str
    hermitian: bool = False
    because: str = "method= was given"


def read_request(
    shape: tuple[int, int],
    dtype: np.dtype[Any],
    rank: Any,
    tol: Any,
    norm: Any,
    oversampling: Any,
    power_iterations: Any,
    sketch: Any,
    method: Any,
    on_failure: Any,
    energy: Any = None,
) -> Request:
    """Return the request with every argument checked, before any work."""
    check_choice("on_failure", on_failure, ("raise", "return"))
    if energy is not None:
        tol = _tol_of_energy(energy, tol, norm, dtype)
    if rank is None and tol is None:
        raise InputError(
            "say how much is wanted: rank= (singular values), tol= (relative error), or both; "
            "or energy= (share of the sum of squares)"
        )
    rank = None if rank is None else check_rank(rank, shape)
    tol = None if tol is None else check_tol(tol, dtype)
    if method is not None:
        given = {"oversampling": oversampling, "power_iterations": power_iterations, "sketch": sketch}
        clash = [name for name, value in given.items() if value is not None]
        if clash:
            raise InputError(f"method= and {clash[0]}= contradict each other; set {clash[0]} inside the method")
        # A word has a `find` of its own, which is not a range finder's.
        if isinstance(method, (type, str, bytes)) or not isinstance(method, RangeFinder):
            hint = f"; call it: {method.__name__}()" if isinstance(method, type) and hasattr(method, "find") else ""
            raise DTypeError(
                f"method must be a part such as SubspaceIteration(power_iterations=2), got {method!r}{hint}"
            )
    return Request(
        rank=rank,
        tol=tol,
        norm=check_norm(norm),
        part=method,
        power_iterations=None if power_iterations is None else check_whole("power_iterations", power_iterations),
        oversampling=None if oversampling is None else check_whole("oversampling", oversampling),
        sketch=None if sketch is None else as_sketch(sketch),
        on_failure=on_failure,
    )


def _tol_of_energy(energy: Any, tol: Any, norm: Any, dtype: np.dtype[Any]) -> float:
    """Return the relative Frobenius error that leaves this share of the sum of squares."""
    if tol is not None:
        raise InputError("energy= and tol= say the same in two ways; give one of them")
    if norm != "fro":
        raise InputError(f"energy= is a share of the sum of squares, of norm='fro'; with norm={norm!r} give tol=")
    share = check_number("energy", energy)
    if not 0 < share < 1:
        raise InputError(f"energy={share} must lie between 0 and 1, such as 0.99; rank=min(m, n) keeps all")
    bound = math.sqrt(1 - share)
    try:
        return check_tol(bound, dtype)
    except InputError as error:
        raise InputError(f"energy={share} asks for a relative error of {bound:.1e}: {error}") from None
