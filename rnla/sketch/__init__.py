"""Test matrices: frozen descriptions that, given a shape and a key, yield any tile.

``SKETCHES`` is the one table; the words that ``sketch=`` takes, tests, documents and benchmarks read it.
"""

from __future__ import annotations

from typing import Any

from rnla.errors import DTypeError, InputError
from rnla.sketch.count_sketch import CountSketch
from rnla.sketch.gaussian import Gaussian
from rnla.sketch.givens_srtt import GivensSRTT
from rnla.sketch.khatri_rao import KhatriRao
from rnla.sketch.product import sketch_product
from rnla.sketch.protocols import SparseTestMatrix, SupportsApply, TestMatrix
from rnla.sketch.rademacher import Rademacher
from rnla.sketch.row_sampling import RowSampling
from rnla.sketch.sparse_sign import SparseSign
from rnla.sketch.sparse_stack import SparseStack
from rnla.sketch.srtt import SRTT

__all__ = [
    "SKETCHES",
    "CountSketch",
    "Gaussian",
    "GivensSRTT",
    "KhatriRao",
    "Rademacher",
    "RowSampling",
    "SRTT",
    "SparseSign",
    "SparseStack",
    "SparseTestMatrix",
    "SupportsApply",
    "TestMatrix",
    "as_sketch",
    "sketch_product",
]

SKETCHES: dict[str, type[TestMatrix]] = {
    "gaussian": Gaussian,
    "sparse_sign": SparseSign,
    "sparse_stack": SparseStack,
    "count_sketch": CountSketch,
    "rademacher": Rademacher,
    "srtt": SRTT,
    "givens_srtt": GivensSRTT,
    "khatri_rao": KhatriRao,
    "row_sampling": RowSampling,
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
