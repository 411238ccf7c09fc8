"""What a call returns, and what the stages hand to each other: frozen data."""

from rnla.results.base import RESULTS, Result
from rnla.results.bases import LowRank, RangeBasis
from rnla.results.cholesky_result import CholeskyResult, CholeskyResume
from rnla.results.cur_result import CURResult
from rnla.results.eigh_result import EighResult
from rnla.results.error_estimate import ErrorEstimate, truncated_error
from rnla.results.interpolative_result import ColumnID, RowID, TwoSidedID
from rnla.results.lu_result import LUResult
from rnla.results.pca_result import PCAResult
from rnla.results.qr_result import QRResult
from rnla.results.report import Report, Resume, Status, register_resumer
from rnla.results.robust_result import HeldOut, RobustPCAResult
from rnla.results.root_update import RootResume, RootUpdate
from rnla.results.singular_values import SingularValues
from rnla.results.svd_result import SVDResult

__all__ = [
    "CURResult",
    "ColumnID",
    "RESULTS",
    "PCAResult",
    "CholeskyResult",
    "CholeskyResume",
    "EighResult",
    "ErrorEstimate",
    "HeldOut",
    "LUResult",
    "LowRank",
    "QRResult",
    "RangeBasis",
    "Report",
    "Result",
    "Resume",
    "RootResume",
    "RootUpdate",
    "RobustPCAResult",
    "RowID",
    "SVDResult",
    "SingularValues",
    "Status",
    "TwoSidedID",
    "register_resumer",
    "truncated_error",
]
