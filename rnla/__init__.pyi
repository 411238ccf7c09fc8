# What `import rnla` offers, for type checkers and editors; the names are loaded on first use.

from rnla._version import __version__ as __version__
from rnla.config import config_context as config_context
from rnla.config import get_config as get_config
from rnla.errors import AccuracyWarning as AccuracyWarning
from rnla.errors import BackendError as BackendError
from rnla.errors import BudgetError as BudgetError
from rnla.errors import DeadlineReached as DeadlineReached
from rnla.errors import DTypeError as DTypeError
from rnla.errors import InputError as InputError
from rnla.errors import IntegrityError as IntegrityError
from rnla.errors import NonFiniteError as NonFiniteError
from rnla.errors import OperatorError as OperatorError
from rnla.errors import RankWarning as RankWarning
from rnla.errors import RnlaError as RnlaError
from rnla.errors import RnlaWarning as RnlaWarning
from rnla.errors import ToleranceNotMet as ToleranceNotMet
from rnla.factorization.lu import lu as lu
from rnla.factorization.pca import pca as pca
from rnla.factorization.qr import qr as qr
from rnla.factorization.svd import plan as plan
from rnla.factorization.svd import svd as svd
from rnla.orth import TSQR as TSQR
from rnla.orth import CholeskyQR2 as CholeskyQR2
from rnla.orth import HouseholderQR as HouseholderQR
from rnla.rangefinder import Adaptive as Adaptive
from rnla.rangefinder import FullSVD as FullSVD
from rnla.rangefinder import GramEigh as GramEigh
from rnla.rangefinder import SubspaceIteration as SubspaceIteration
from rnla.rangefinder import TallQR as TallQR
from rnla.results import LUResult as LUResult
from rnla.results import PCAResult as PCAResult
from rnla.results import QRResult as QRResult
from rnla.results import Status as Status
from rnla.results import SVDResult as SVDResult
from rnla.sketch import SRTT as SRTT
from rnla.sketch import CountSketch as CountSketch
from rnla.sketch import Gaussian as Gaussian
from rnla.sketch import KhatriRao as KhatriRao
from rnla.sketch import Rademacher as Rademacher
from rnla.sketch import RowSampling as RowSampling
from rnla.sketch import SparseSign as SparseSign
from rnla.sketch import SparseStack as SparseStack
from rnla.storage import load as load

__all__ = [
    "__version__",
    "AccuracyWarning",
    "Adaptive",
    "BackendError",
    "BudgetError",
    "CholeskyQR2",
    "CountSketch",
    "DTypeError",
    "DeadlineReached",
    "FullSVD",
    "Gaussian",
    "GramEigh",
    "HouseholderQR",
    "InputError",
    "IntegrityError",
    "KhatriRao",
    "LUResult",
    "NonFiniteError",
    "OperatorError",
    "PCAResult",
    "QRResult",
    "Rademacher",
    "RankWarning",
    "RnlaError",
    "RnlaWarning",
    "RowSampling",
    "SRTT",
    "SVDResult",
    "SparseSign",
    "SparseStack",
    "Status",
    "SubspaceIteration",
    "TSQR",
    "TallQR",
    "ToleranceNotMet",
    "config_context",
    "get_config",
    "load",
    "lu",
    "pca",
    "plan",
    "qr",
    "svd",
]
