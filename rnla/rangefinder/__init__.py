"""Finding a basis for the range: one method a file, all re-entrant.

``RANGE_FINDERS`` is the one table; documents, tests and the conformance suite read it.
"""

from rnla.rangefinder.adaptive import Adaptive
from rnla.rangefinder.full import FullSVD
from rnla.rangefinder.protocols import RangeFinder
from rnla.rangefinder.short_side import GramEigh, TallQR
from rnla.rangefinder.subspace_iteration import SubspaceIteration

__all__ = ["RANGE_FINDERS", "Adaptive", "FullSVD", "GramEigh", "RangeFinder", "SubspaceIteration", "TallQR"]

RANGE_FINDERS: dict[str, type[RangeFinder]] = {
    "subspace_iteration": SubspaceIteration,
    "adaptive": Adaptive,
    "full_svd": FullSVD,
    "gram_eigh": GramEigh,
    "tall_qr": TallQR,
}
