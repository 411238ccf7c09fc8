"""Test matrices: frozen descriptions that, given a shape and a key, yield any tile.

``SKETCHES`` is the one table; the words that ``sketch=`` takes, tests, documents and benchmarks read it.
"""

from __future__ import annotations

from typing import Any

from rnla.errors import DTypeError, InputError
from rnla.sketch.gaussian import Gaussian
from rnla.sketch.protocols import TestMatrix
from rnla.sketch.sparse_sign import SparseSign

__all__ = ["SKETCHES", "Gaussian", "SparseSign", "TestMatrix", "as_sketch"]

SKETCHES: dict[str, type[Gaussian | SparseSign]] = {
    "gaussian": Gaussian,
    "sparse_sign": SparseSign,
}


def as_sketch(sketch: Any) -> TestMatrix:
    """Return the description for what ``sketch=`` was given: a word of the table, a description, or None."""
    if sketch is None:
        return Gaussian()
    if isinstance(sketch, str):
        word = sketch.lower().replace("-", "_")
        if word not in SKETCHES:
            raise InputError(f"sketch={sketch!r} is not one of {', '.join(map(repr, SKETCHES))}")
        return SKETCHES[word]()
    if isinstance(sketch, type) or not isinstance(sketch, TestMatrix):
        raise DTypeError(f"sketch must be a word or a description such as Gaussian(), got {sketch!r}")
    return sketch
