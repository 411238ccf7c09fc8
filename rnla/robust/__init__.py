"""Robust PCA: a matrix as low rank plus sparse, by methods that read a few rows and columns, or all of it."""

from rnla.robust.accelerated import AccAltProj
from rnla.robust.alternating import AlternatingProjections
from rnla.robust.certificate import certify
from rnla.robust.cross import IRCUR, RieCUR
from rnla.robust.outliers import Outliers
from rnla.robust.planning import ROBUST_METHODS
from rnla.robust.pursuit import PrincipalComponentPursuit
from rnla.robust.solving import robust_pca
from rnla.robust.thresholds import Threshold

__all__ = [
    "IRCUR",
    "ROBUST_METHODS",
    "AccAltProj",
    "AlternatingProjections",
    "Outliers",
    "PrincipalComponentPursuit",
    "RieCUR",
    "Threshold",
    "certify",
    "robust_pca",
]
