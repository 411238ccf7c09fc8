"""Orthonormal bases of a panel: one method a file, each returns Q and R with X = Q R.

``ORTHONORMALIZERS`` is the one table; tests, documents and the conformance suite read it.
"""

from rnla.orth.cholesky_qr import CholeskyQR2
from rnla.orth.cqrrpt import CQRRPT
from rnla.orth.householder import HouseholderQR
from rnla.orth.protocols import Orthonormalizer
from rnla.orth.rand_cholesky_qr import RandCholeskyQR
from rnla.orth.tsqr import TSQR

__all__ = ["CQRRPT", "ORTHONORMALIZERS", "CholeskyQR2", "HouseholderQR", "Orthonormalizer", "RandCholeskyQR", "TSQR"]

ORTHONORMALIZERS: dict[str, Orthonormalizer] = {
    "householder": HouseholderQR(),
    "cholesky_qr2": CholeskyQR2(),
    "tsqr": TSQR(),
    "rand_cholesky_qr": RandCholeskyQR(),
}
