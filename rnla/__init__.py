"""Randomized numerical linear algebra, with a certificate in every answer.

Names are loaded when they are first used, so that ``import rnla`` costs little more than NumPy.
"""

from __future__ import annotations

import importlib
from typing import Any

from rnla._version import __version__

_HOME = {
    "AccAltProj": "robust",
    "AccuracyWarning": "errors",
    "Adaptive": "rangefinder",
    "AdaptiveRandomizedPivoting": "compression.random_selection",
    "AdaptiveSampling": "rangefinder",
    "AlternatingProjections": "robust",
    "BackendError": "errors",
    "BatchedEighResult": "results.batched_result",
    "BatchedQRResult": "results.batched_result",
    "BatchedSVDResult": "results.batched_result",
    "BlockKrylov": "rangefinder",
    "BlockLanczos": "rangefinder",
    "BlockQB": "rangefinder",
    "BudgetError": "errors",
    "CQRRPT": "orth",
    "CURResult": "results",
    "CholeskyQR2": "orth",
    "CholeskyResult": "results",
    "ColumnID": "results",
    "CountSketch": "sketch",
    "DTypeError": "errors",
    "DeadlineReached": "errors",
    "DenseEigh": "matfun",
    "EighResult": "results",
    "FullSVD": "rangefinder",
    "Gaussian": "sketch",
    "GaussianKernel": "operators.kernel",
    "GivensSRTT": "sketch",
    "GramEigh": "rangefinder",
    "GramQB": "rangefinder",
    "GreedyPivoting": "compression.random_pivoting",
    "HeldOut": "results",
    "HermitianSketch": "streaming",
    "HouseholderQR": "orth",
    "IRCUR": "robust",
    "InputError": "errors",
    "IntegrityError": "errors",
    "KhatriRao": "sketch",
    "KrylovGalerkin": "matfun",
    "KrylovOnA": "matfun",
    "LUResult": "results",
    "LaplaceKernel": "operators.kernel",
    "LeverageScores": "compression.leverage_scores",
    "MaternKernel": "operators.kernel",
    "NewtonKleinman": "matfun",
    "NonFiniteError": "errors",
    "NormEstimate": "results.norm_estimate",
    "NystromSketch": "streaming",
    "OperatorError": "errors",
    "PCAResult": "results",
    "PivotedQR": "compression.column_selection",
    "PowerIteration": "rangefinder",
    "PrincipalComponentPursuit": "robust",
    "QRResult": "results",
    "Rademacher": "sketch",
    "RandCholeskyQR": "orth",
    "RandomPivoting": "compression.random_pivoting",
    "RandomlyPivotedQR": "compression.random_selection",
    "RangeCorange": "streaming",
    "RankEstimate": "results.rank_estimate",
    "RankWarning": "errors",
    "RieCUR": "robust",
    "RnlaError": "errors",
    "RnlaWarning": "errors",
    "RobustBlockPivoting": "compression.random_pivoting",
    "RobustPCAResult": "results",
    "RootUpdate": "results",
    "RowID": "results",
    "RowSampling": "sketch",
    "SRTT": "sketch",
    "SVDResult": "results",
    "SingularValues": "results",
    "ShiftADI": "matfun",
    "SketchedRange": "rangefinder",
    "SketchySVD": "streaming",
    "SparseSign": "sketch",
    "SparseStack": "sketch",
    "Spectrum": "results.spectrum",
    "SqrtState": "matfun",
    "Status": "results",
    "Stream": "streaming",
    "SubspaceIteration": "rangefinder",
    "TSQR": "orth",
    "TallQR": "rangefinder",
    "Threshold": "robust",
    "ToleranceNotMet": "errors",
    "TwoSided": "streaming",
    "TwoSidedID": "results",
    "UniformPivoting": "compression.random_pivoting",
    "cholesky": "factorization.cholesky",
    "config_context": "config",
    "cur": "factorization.cur",
    "eigh": "factorization.eigh",
    "eigh_by_row_extraction": "factorization.row_extraction",
    "generalized_nystrom": "factorization.generalized_nystrom",
    "get_config": "config",
    "interpolative": "factorization.interpolative",
    "jackknife": "factorization.jackknife",
    "kernel_operator": "operators.kernel",
    "load": "storage",
    "lu": "factorization.lu",
    "norm_estimate": "factorization.norm_estimate",
    "nystrom": "factorization.nystrom",
    "pca": "factorization.pca",
    "plan": "factorization.svd",
    "qr": "factorization.qr",
    "rank_estimate": "factorization.rank_estimate",
    "robust_pca": "robust",
    "single_pass_eigh": "streaming",
    "single_pass_svd": "streaming",
    "spectrum": "factorization.spectrum",
    "sqrtm_update": "matfun.sqrtm_update",
    "stream": "streaming",
    "svd": "factorization.svd",
    "svd_by_row_extraction": "factorization.row_extraction",
    "svdvals": "factorization.svdvals",
}

_PACKAGES = ("operators", "orth", "rng", "sketch", "testing")  # of which the documentation tells

__all__ = ["__version__", *_HOME]  # noqa: PLE0604  the keys are names


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"rnla.{name}")
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'rnla' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"rnla.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
