"""Finding a basis for the range: one method a file, all re-entrant.

``RANGE_FINDERS`` is the one table; documents, tests and the conformance suite read it.
"""

from rnla.rangefinder.adaptive import Adaptive
from rnla.rangefinder.adaptive_sampling import AdaptiveSampling
from rnla.rangefinder.block_krylov import BlockKrylov
from rnla.rangefinder.block_lanczos import BlockLanczos
from rnla.rangefinder.block_qb import BlockQB
from rnla.rangefinder.full import FullSVD
from rnla.rangefinder.gram_qb import GramQB
from rnla.rangefinder.power_iteration import PowerIteration
from rnla.rangefinder.protocols import BlockFinder, RangeFinder
from rnla.rangefinder.short_side import GramEigh, TallQR
from rnla.rangefinder.sketched_range import SketchedRange
from rnla.rangefinder.subspace_iteration import SubspaceIteration

__all__ = [
    "HERMITIAN_RANGE_FINDERS",
    "RANGE_FINDERS",
    "Adaptive",
    "AdaptiveSampling",
    "BlockFinder",
    "BlockKrylov",
    "BlockLanczos",
    "BlockQB",
    "FullSVD",
    "GramEigh",
    "GramQB",
    "PowerIteration",
    "RangeFinder",
    "SketchedRange",
    "SubspaceIteration",
    "TallQR",
]

RANGE_FINDERS: dict[str, type[RangeFinder]] = {
    "subspace_iteration": SubspaceIteration,
    "block_krylov": BlockKrylov,
    "adaptive": Adaptive,
    "sketched_range": SketchedRange,
    "adaptive_sampling": AdaptiveSampling,
    "block_qb": BlockQB,
    "gram_qb": GramQB,
    "power_iteration": PowerIteration,
    "full_svd": FullSVD,
    "gram_eigh": GramEigh,
    "tall_qr": TallQR,
}

HERMITIAN_RANGE_FINDERS: dict[str, type[RangeFinder]] = {"block_lanczos": BlockLanczos}
