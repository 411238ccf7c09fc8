"""What a call returns, and what the stages hand to each other: frozen data."""

from rnla.results.base import RESULTS, Result
from rnla.results.bases import LowRank, RangeBasis
from rnla.results.cholesky_result import CholeskyResult, CholeskyResume
from rnla.results.error_estimate import ErrorEstimate, truncated_error
from rnla.results.lu_result import LUResult
from rnla.results.pca_result import PCAResult
from rnla.results.qr_result import QRResult
from rnla.results.report import Report, Resume, Status, register_resumer
from rnla.results.svd_result import SVDResult

__all__ = [
    "CholeskyResume",
    "CholeskyResult",
    "RESULTS",
    "ErrorEstimate",
    "LUResult",
    "LowRank",
    "PCAResult",
    "QRResult",
    "RangeBasis",
    "Report",
    "Result",
    "Resume",
    "SVDResult",
    "Status",
    "register_resumer",
    "truncated_error",
]
