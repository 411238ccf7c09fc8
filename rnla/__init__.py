"""Randomized numerical linear algebra, with a certificate in every answer.

Names are loaded when they are first used, so that ``import rnla`` costs little more than NumPy.
"""

from __future__ import annotations

import importlib
from typing import Any

from rnla._version import __version__

_HOME = {
    "AccuracyWarning": "errors",
    "Adaptive": "rangefinder",
    "BackendError": "errors",
    "BudgetError": "errors",
    "CholeskyQR2": "orth",
    "CountSketch": "sketch",
    "DTypeError": "errors",
    "DeadlineReached": "errors",
    "FullSVD": "rangefinder",
    "Gaussian": "sketch",
    "GramEigh": "rangefinder",
    "HouseholderQR": "orth",
    "InputError": "errors",
    "IntegrityError": "errors",
    "KhatriRao": "sketch",
    "LUResult": "results",
    "NonFiniteError": "errors",
    "OperatorError": "errors",
    "PCAResult": "results",
    "QRResult": "results",
    "Rademacher": "sketch",
    "RankWarning": "errors",
    "RnlaError": "errors",
    "RnlaWarning": "errors",
    "RowSampling": "sketch",
    "SRTT": "sketch",
    "SVDResult": "results",
    "SparseSign": "sketch",
    "SparseStack": "sketch",
    "Status": "results",
    "SubspaceIteration": "rangefinder",
    "TSQR": "orth",
    "TallQR": "rangefinder",
    "ToleranceNotMet": "errors",
    "config_context": "config",
    "get_config": "config",
    "load": "storage",
    "lu": "factorization.lu",
    "pca": "factorization.pca",
    "plan": "factorization.svd",
    "qr": "factorization.qr",
    "svd": "factorization.svd",
}

__all__ = ["__version__", *_HOME]  # noqa: PLE0604  the keys are names


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'rnla' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"rnla.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
