"""The entries of a root, for the reference methods that work on whole matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._xp.linalg import eps_of, host_values
from rnla._xp.namespace import to_host
from rnla.errors import InputError
from rnla.matfun.inputs import MatrixRoot
from rnla.matfun.panels import Small, at_home, by_modulus, small_dtype
from rnla.matfun.protocols import Correction, RootProblem
from rnla.matfun.roots import DiagonalRoot, UpdatedRoot
from rnla.results.report import Status

__all__ = ["change_of", "corrected_by", "entries_of"]

_ROUNDING = 8


def entries_of(root: Any, name: str) -> Small:
    """Return a diagonal or dense root as a matrix, on the host in double precision.

    Parameters
    ----------
    root : Root
    name : str
        The method's, for the message.

    Raises
    ------
    InputError
        The root is known by its products only.
    """
    if isinstance(root, DiagonalRoot):
        found = np.diag(host_values(root.h))
    elif isinstance(root, MatrixRoot):
        found = to_host(root.entries)
    elif isinstance(root, UpdatedRoot):
        V = to_host(root.V).astype(small_dtype(root.dtype), copy=False)
        found = entries_of(root.root, name) + (V * root.w) @ V.conj().T
    else:
        raise InputError(
            f"{name} works on all entries of the root, which is {root.kind}: give it a dense or diagonal A_half (a "
            "sparse one with .toarray()), or take ShiftADI or KrylovGalerkin"
        )
    entries: Small = found.astype(small_dtype(root.dtype), copy=False)
    return (entries + entries.conj().T) / 2


def change_of(H: Small, problem: RootProblem) -> Small:
    """Return sign D D^H."""
    d = to_host(problem.panel).astype(H.dtype, copy=False)
    change: Small = problem.sign * (d @ d.conj().T)
    return change


def corrected_by(
    problem: RootProblem, H: Small, X: Small, change: Small, measured_by: str, history: tuple[float, ...], products: int
) -> Correction:
    """Return a dense correction with its residual, which is computed."""
    product = (H + X / 2) @ X  # its terms are as small as X, unlike those of (H + X)^2 - B
    residual = float(np.abs(np.linalg.eigvalsh(change - product - product.conj().T)).max())
    values, vectors = by_modulus(X)
    size = float(abs(values[0]))
    slack = _ROUNDING * eps_of(np.float64) * (2 * float(np.linalg.norm(H)) + size) * size
    met = residual + slack <= problem.target
    return Correction(
        at_home(vectors, problem.panel), np.eye(len(values)), values, residual, slack, "bounded",
        measured_by, Status.MET if met else Status.NOT_CERTIFIED, (), (*history, residual), products, 0,
    )  # fmt: skip
