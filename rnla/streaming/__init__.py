"""One-pass computation: a matrix arrives piece by piece, is forgotten, and is approximated with a certificate.

``STREAM_METHODS`` is the one table of methods; tests, files and documents read it.
"""

from rnla.streaming.beginning import stream
from rnla.streaming.error_sketch import Scree
from rnla.streaming.joint_core import HermitianSketch, TwoSided
from rnla.streaming.nystrom_sketch import NystromSketch
from rnla.streaming.protocols import StreamMethod
from rnla.streaming.range_corange import RangeCorange
from rnla.streaming.single_pass import single_pass_eigh, single_pass_svd
from rnla.streaming.sketchy_svd import SketchySVD
from rnla.streaming.state import Stream

__all__ = [
    "STREAM_METHODS",
    "HermitianSketch",
    "NystromSketch",
    "RangeCorange",
    "Scree",
    "SketchySVD",
    "Stream",
    "StreamMethod",
    "TwoSided",
    "single_pass_eigh",
    "single_pass_svd",
    "stream",
]

STREAM_METHODS: dict[str, type[SketchySVD | RangeCorange | TwoSided | HermitianSketch | NystromSketch]] = {
    "sketchy_svd": SketchySVD,
    "range_corange": RangeCorange,
    "two_sided": TwoSided,
    "hermitian_sketch": HermitianSketch,
    "nystrom_sketch": NystromSketch,
}
