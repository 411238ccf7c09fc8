"""Going on from an earlier result: whether this is its matrix, and its arrays brought where the matrix lives."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from rnla._xp.linalg import eps_of, frobenius, is_complex
from rnla._xp.namespace import backend_name, device_of, from_host, namespace_of, to_host
from rnla.errors import BackendError, InputError
from rnla.operators.ledger import Ledger
from rnla.results import Resume
from rnla.rng import Key

__all__ = ["at_home", "require_same_matrix"]


def require_same_matrix(op: Ledger, resume: Resume) -> None:
    """Raise unless A still gives the image of a random vector of the basis, scale and all."""
    basis = resume.basis
    expected = (basis.basis.shape[0], basis.image.shape[0])
    actual = (op.shape[1], op.shape[0]) if basis.space == "row" else op.shape
    if actual != expected:
        raise InputError(f"extend needs the matrix that was factorized; this one is {op.shape[0]} x {op.shape[1]}")
    if op.exponent != resume.exponent and op.complete_scan and op.measure() is not None:
        raise InputError("extend needs the matrix that was factorized; this one has entries of another size")
    if eps_of(basis.basis.dtype) != eps_of(op.dtype) or is_complex(basis.basis.dtype) != is_complex(op.dtype):
        raise InputError(f"extend needs the matrix that was factorized; this one is computed in {op.dtype}")
    mix = Key(resume.seed).child("same-matrix").normals(0, basis.size, 1, dtype=op.dtype, xp=op.xp, device=op.device)
    vector = basis.basis @ mix
    image = op.matmat(vector) if basis.space == "row" else op.rmatmat(vector)
    magnitude, eps = op.measure(), eps_of(op.dtype)
    resized = magnitude is not None and abs(magnitude.frobenius - resume.frobenius) > 100 * eps * resume.frobenius
    gap, size = frobenius(image - basis.image @ mix), frobenius(basis.image)
    if resized or gap > 50 * eps * math.sqrt(max(op.shape)) * size:
        raise InputError(
            "extend needs the matrix that was factorized, and this one multiplies differently: "
            "it was changed since, or it is another; call the function again"
        )


def at_home(resume: Resume, op: Any, *, loaded: bool) -> Resume:
    """Return the record with its arrays in the library and on the device of A: a file brings NumPy's.

    Arrays that were never in a file stay where they are: to move them would be a silent transfer.
    """
    xp, device = namespace_of(resume.basis.basis), device_of(resume.basis.basis)
    if xp is op.xp and (device == op.device or op.device is None):
        return resume
    if not loaded:
        here, there = (
            f"{backend_name(lib)} on {'the CPU' if on is None else on}"
            for lib, on in ((xp, device), (op.xp, op.device))
        )
        raise BackendError(
            f"the result lies in {here} and A in {there}; pass A where the result is, or call the function again"
        )
    arrays = ("basis", "image", "probes", "probed", "ahead")
    names = [name for name in arrays if getattr(resume.basis, name) is not None]
    moved = {name: from_host(to_host(getattr(resume.basis, name)), op.xp, op.device) for name in names}
    return dataclasses.replace(resume, basis=dataclasses.replace(resume.basis, **moved))
