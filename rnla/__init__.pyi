# What `import rnla` offers, for type checkers and editors; the names are loaded on first use.

from rnla._version import __version__ as __version__
from rnla.compression.column_selection import PivotedQR as PivotedQR
from rnla.compression.leverage_scores import LeverageScores as LeverageScores
from rnla.compression.random_pivoting import GreedyPivoting as GreedyPivoting
from rnla.compression.random_pivoting import RandomPivoting as RandomPivoting
from rnla.compression.random_pivoting import RobustBlockPivoting as RobustBlockPivoting
from rnla.compression.random_pivoting import UniformPivoting as UniformPivoting
from rnla.compression.random_selection import AdaptiveRandomizedPivoting as AdaptiveRandomizedPivoting
from rnla.compression.random_selection import RandomlyPivotedQR as RandomlyPivotedQR
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
from rnla.factorization.cholesky import cholesky as cholesky
from rnla.factorization.cur import cur as cur
from rnla.factorization.eigh import eigh as eigh
from rnla.factorization.generalized_nystrom import generalized_nystrom as generalized_nystrom
from rnla.factorization.interpolative import interpolative as interpolative
from rnla.factorization.jackknife import jackknife as jackknife
from rnla.factorization.lu import lu as lu
from rnla.factorization.norm_estimate import norm_estimate as norm_estimate
from rnla.factorization.nystrom import nystrom as nystrom
from rnla.factorization.pca import pca as pca
from rnla.factorization.qr import qr as qr
from rnla.factorization.rank_estimate import rank_estimate as rank_estimate
from rnla.factorization.row_extraction import eigh_by_row_extraction as eigh_by_row_extraction
from rnla.factorization.row_extraction import svd_by_row_extraction as svd_by_row_extraction
from rnla.factorization.spectrum import spectrum as spectrum
from rnla.factorization.svd import plan as plan
from rnla.factorization.svd import svd as svd
from rnla.factorization.svdvals import svdvals as svdvals
from rnla.matfun import DenseEigh as DenseEigh
from rnla.matfun import KrylovGalerkin as KrylovGalerkin
from rnla.matfun import KrylovOnA as KrylovOnA
from rnla.matfun import NewtonKleinman as NewtonKleinman
from rnla.matfun import ShiftADI as ShiftADI
from rnla.matfun import SqrtState as SqrtState
from rnla.matfun import sqrtm_update as sqrtm_update
from rnla.operators.kernel import GaussianKernel as GaussianKernel
from rnla.operators.kernel import LaplaceKernel as LaplaceKernel
from rnla.operators.kernel import MaternKernel as MaternKernel
from rnla.operators.kernel import kernel_operator as kernel_operator
from rnla.orth import CQRRPT as CQRRPT
from rnla.orth import TSQR as TSQR
from rnla.orth import CholeskyQR2 as CholeskyQR2
from rnla.orth import HouseholderQR as HouseholderQR
from rnla.orth import RandCholeskyQR as RandCholeskyQR
from rnla.rangefinder import Adaptive as Adaptive
from rnla.rangefinder import AdaptiveSampling as AdaptiveSampling
from rnla.rangefinder import BlockKrylov as BlockKrylov
from rnla.rangefinder import BlockLanczos as BlockLanczos
from rnla.rangefinder import BlockQB as BlockQB
from rnla.rangefinder import FullSVD as FullSVD
from rnla.rangefinder import GramEigh as GramEigh
from rnla.rangefinder import GramQB as GramQB
from rnla.rangefinder import PowerIteration as PowerIteration
from rnla.rangefinder import SketchedRange as SketchedRange
from rnla.rangefinder import SubspaceIteration as SubspaceIteration
from rnla.rangefinder import TallQR as TallQR
from rnla.results import CholeskyResult as CholeskyResult
from rnla.results import ColumnID as ColumnID
from rnla.results import CURResult as CURResult
from rnla.results import EighResult as EighResult
from rnla.results import HeldOut as HeldOut
from rnla.results import LUResult as LUResult
from rnla.results import PCAResult as PCAResult
from rnla.results import QRResult as QRResult
from rnla.results import RobustPCAResult as RobustPCAResult
from rnla.results import RootUpdate as RootUpdate
from rnla.results import RowID as RowID
from rnla.results import SingularValues as SingularValues
from rnla.results import Status as Status
from rnla.results import SVDResult as SVDResult
from rnla.results import TwoSidedID as TwoSidedID
from rnla.results.batched_result import BatchedEighResult as BatchedEighResult
from rnla.results.batched_result import BatchedQRResult as BatchedQRResult
from rnla.results.batched_result import BatchedSVDResult as BatchedSVDResult
from rnla.results.norm_estimate import NormEstimate as NormEstimate
from rnla.results.rank_estimate import RankEstimate as RankEstimate
from rnla.results.spectrum import Spectrum as Spectrum
from rnla.robust import IRCUR as IRCUR
from rnla.robust import AccAltProj as AccAltProj
from rnla.robust import AlternatingProjections as AlternatingProjections
from rnla.robust import PrincipalComponentPursuit as PrincipalComponentPursuit
from rnla.robust import RieCUR as RieCUR
from rnla.robust import Threshold as Threshold
from rnla.robust import robust_pca as robust_pca
from rnla.sketch import SRTT as SRTT
from rnla.sketch import CountSketch as CountSketch
from rnla.sketch import Gaussian as Gaussian
from rnla.sketch import GivensSRTT as GivensSRTT
from rnla.sketch import KhatriRao as KhatriRao
from rnla.sketch import Rademacher as Rademacher
from rnla.sketch import RowSampling as RowSampling
from rnla.sketch import SparseSign as SparseSign
from rnla.sketch import SparseStack as SparseStack
from rnla.storage import load as load
from rnla.streaming import HermitianSketch as HermitianSketch
from rnla.streaming import NystromSketch as NystromSketch
from rnla.streaming import RangeCorange as RangeCorange
from rnla.streaming import SketchySVD as SketchySVD
from rnla.streaming import Stream as Stream
from rnla.streaming import TwoSided as TwoSided
from rnla.streaming import single_pass_eigh as single_pass_eigh
from rnla.streaming import single_pass_svd as single_pass_svd
from rnla.streaming import stream as stream

__all__ = [
    "__version__",
    "AccAltProj",
    "AccuracyWarning",
    "Adaptive",
    "AdaptiveRandomizedPivoting",
    "AdaptiveSampling",
    "AlternatingProjections",
    "BackendError",
    "BatchedEighResult",
    "BatchedQRResult",
    "BatchedSVDResult",
    "BlockKrylov",
    "BlockLanczos",
    "BlockQB",
    "BudgetError",
    "CQRRPT",
    "CURResult",
    "CholeskyQR2",
    "CholeskyResult",
    "ColumnID",
    "CountSketch",
    "DTypeError",
    "DeadlineReached",
    "DenseEigh",
    "EighResult",
    "FullSVD",
    "Gaussian",
    "GaussianKernel",
    "GivensSRTT",
    "GramEigh",
    "GramQB",
    "GreedyPivoting",
    "HeldOut",
    "HermitianSketch",
    "HouseholderQR",
    "IRCUR",
    "InputError",
    "IntegrityError",
    "KhatriRao",
    "KrylovGalerkin",
    "KrylovOnA",
    "LUResult",
    "LaplaceKernel",
    "LeverageScores",
    "MaternKernel",
    "NewtonKleinman",
    "NonFiniteError",
    "NormEstimate",
    "NystromSketch",
    "OperatorError",
    "PCAResult",
    "PivotedQR",
    "PowerIteration",
    "PrincipalComponentPursuit",
    "QRResult",
    "Rademacher",
    "RandCholeskyQR",
    "RandomPivoting",
    "RandomlyPivotedQR",
    "RangeCorange",
    "RankEstimate",
    "RankWarning",
    "RieCUR",
    "RnlaError",
    "RnlaWarning",
    "RobustBlockPivoting",
    "RobustPCAResult",
    "RootUpdate",
    "RowID",
    "RowSampling",
    "SRTT",
    "SVDResult",
    "ShiftADI",
    "SingularValues",
    "SketchedRange",
    "SketchySVD",
    "SparseSign",
    "SparseStack",
    "Spectrum",
    "SqrtState",
    "Status",
    "Stream",
    "SubspaceIteration",
    "TSQR",
    "TallQR",
    "Threshold",
    "ToleranceNotMet",
    "TwoSided",
    "TwoSidedID",
    "UniformPivoting",
    "cholesky",
    "config_context",
    "cur",
    "eigh",
    "eigh_by_row_extraction",
    "generalized_nystrom",
    "get_config",
    "interpolative",
    "jackknife",
    "kernel_operator",
    "load",
    "lu",
    "norm_estimate",
    "nystrom",
    "pca",
    "plan",
    "qr",
    "rank_estimate",
    "robust_pca",
    "single_pass_eigh",
    "single_pass_svd",
    "spectrum",
    "sqrtm_update",
    "stream",
    "svd",
    "svd_by_row_extraction",
    "svdvals",
]
