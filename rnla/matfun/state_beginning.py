"""How a kept root begins, and what its changes are brought to: arguments checked, matrices decomposed, few columns."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, cast, eps_of, host_values, max_abs
from rnla._xp.namespace import all_finite, is_array, namespace_of
from rnla.checks import check_choice, check_number, check_tol, check_whole
from rnla.config import fixed_settings
from rnla.errors import BackendError, DTypeError, InputError, NonFiniteError
from rnla.iterate import watching
from rnla.matfun.anchor import Anchor, decomposed, probed
from rnla.matfun.change import change_given, narrowed
from rnla.matfun.drift import Asked
from rnla.matfun.panels import multiplied
from rnla.matfun.state_core import Core
from rnla.operators.coerce import compute_dtype
from rnla.operators.hermitian import hermitian_ledger
from rnla.rng import Key, as_key
from rnla.working import working

__all__ = ["begun_core", "narrowed_pair"]

_TOLERANCES = {(0.5, False): 1e-10, (0.5, True): 1e-3, (-0.5, False): 1e-6, (-0.5, True): 1e-2}


def begun_core(
    A: Any, A_half: Any, power: Any, tol: Any, horizon: Any, keep_matrix: Any, on_drift: Any, rng: Any
) -> Core:
    """Return what a state begins with; see `SqrtState.init`."""
    if (A is None) == (A_half is None):
        raise InputError("give either A or its root, A_half=")
    name, given = ("A", A) if A_half is None else ("A_half", A_half)
    given = np.asarray(given) if isinstance(given, (list, tuple)) else given
    if not is_array(given):
        raise DTypeError(
            f"{name} must be an array or the vector of a diagonal, got a {type(given).__name__}; for sparse matrices "
            "and operators use sqrtm_update, whose result is the A_half of the next"
        )
    if isinstance(power, str) or check_number("power", power) not in (0.5, -0.5):
        raise InputError(
            f"power={power!r} is not 0.5 or -0.5; no state keeps fourth roots, sqrtm_update(A_half, D, power=...) "
            "gives them"
        )
    dtype = compute_dtype(given.dtype, name)
    if given.ndim not in (1, 2) or (given.ndim == 2 and given.shape[0] != given.shape[1]):
        raise InputError(f"{name} must be square, or the vector of a diagonal, got shape {tuple(given.shape)}")
    if int(given.shape[0]) == 0:
        raise InputError(f"{name} is empty")
    if not all_finite(given):
        raise NonFiniteError(f"{name} holds NaN or infinity; clean it first")
    dense = given.ndim == 2
    kept = dense if keep_matrix is None else bool(keep_matrix)
    if kept and not dense:
        raise InputError("keep_matrix=True is for dense matrices; of a diagonal one no n x n array is made")
    drift = ("refactor" if kept else "raise") if on_drift is None else on_drift
    check_choice("on_drift", drift, ("refactor", "raise", "return"))
    if drift == "refactor" and not kept:
        raise InputError("on_drift='refactor' needs the matrix: keep_matrix=True, for a dense one")
    usual = _TOLERANCES[float(power), eps_of(dtype) > 1e-10]
    asked = Asked(
        float(power), usual if tol is None else check_tol(tol, dtype), check_whole("horizon", horizon, 1), str(drift)
    )
    key = as_key(rng)
    xp = namespace_of(given)
    given = cast(given, getattr(xp, dtype.name))
    with fixed_settings(), watching(), working(xp, dtype):
        core = (
            _dense(given, A_half is not None, kept, asked, key)
            if dense
            else _diagonal(given, A_half is not None, asked, key)
        )
    reached = core.drift.relative(asked.power)
    if asked.power < 0 and reached == math.inf:
        raise InputError(
            f"{name} is singular to working precision, so that its inverse root cannot be certified to anything: add a "
            "ridge to it, or ask for power=0.5"
        )
    if not reached <= asked.tol / 2:
        raise InputError(
            f"tol={asked.tol:.1e} is too small: the decomposition alone is certified to {reached:.1e} "
            + ("of the inverse, whose condition counts; " if power < 0 else "")
            + "give a larger tol"
        )
    return core


def _dense(given: Any, is_root: bool, kept: bool, asked: Asked, key: Key) -> Core:
    hermitian_ledger(given)
    tolerated, matrix_error = 1e3 * int(given.shape[0]) * eps_of(given.dtype), 0.0
    matrix = (given + adjoint(given)) / 2
    if is_root:
        inside = decomposed(matrix, tolerated, key.child("begin"), power=1)
        half, matrix = matrix, multiplied(matrix, matrix)
        matrix = (matrix + adjoint(matrix)) / 2
        anchor = dataclasses.replace(inside, error=(2 * inside.top + inside.error) * inside.error)
        if kept:
            matrix_error = probed(
                lambda x: multiplied(matrix, x) - multiplied(half, multiplied(half, x)), anchor.U, key.child("square")
            )
    else:
        anchor = decomposed(matrix, tolerated, key.child("begin"))
    return Core(anchor, anchor.U, matrix if kept else None, asked, key, matrix_error)


def _diagonal(given: Any, is_root: bool, asked: Asked, key: Key) -> Core:
    if "complex" in str(given.dtype):
        raise DTypeError("the diagonal of a Hermitian matrix is real; pass its real part if the imaginary one is zero")
    least = float(host_values(given).min())
    if least < 0:
        raise InputError(f"the diagonal has the entry {least:.3g}: the matrix is not positive semidefinite")
    xp = namespace_of(given)
    h = given + 0 if is_root else xp.sqrt(given)
    return Core(Anchor(h, None, 0.0, 0.0), h[:, None], None, asked, key, 2 * eps_of(h.dtype) * max_abs(h) ** 2)


def narrowed_pair(core: Core, D_in: Any, D_out: Any) -> tuple[Any, np.ndarray[Any, Any], float, float]:
    """Return [D_in D_out] in the columns that matter, their signs, a bound on its norm squared, and what it misses."""
    panels, signs, norm, dropped = [], [], 0.0, 0.0
    level = core.asked.tol / core.asked.horizon / 16
    for name, sign, D in (("in", 1.0, D_in), ("out", -1.0, D_out)):
        if D is None:
            continue
        op = change_given(D)
        if op.shape[0] != core.root.shape[0]:
            raise InputError(f"D has {op.shape[0]} rows, and the matrix of the state has order {core.root.shape[0]}")
        if op.xp is not core.root.xp:
            raise BackendError("D is an array of another library than the state; bring it there first")
        if op.dtype.kind == "c" and core.dtype.kind != "c":
            raise DTypeError(f"D is complex and the state is {core.dtype}: begin it with a complex matrix")
        found = narrowed(op, level, core.key.child("narrow", core.changes).child(name))
        if found.panel.shape[1]:
            panels.append(cast(found.panel, core.like.dtype))
            signs += [sign] * int(found.panel.shape[1])
        norm, dropped = norm + found.norm, dropped + found.dropped
    if not panels:
        return core.like, np.zeros(0), 0.0, dropped
    # Kept until the next decomposition: a copy, because the caller may fill his array with the next change.
    panel = panels[0] + 0 if len(panels) == 1 else core.root.xp.concat(panels, axis=1)
    return panel, np.asarray(signs), norm, dropped
