"""For tests of the library and of its users: matrices with known singular values, and conformance suites.

A suite raises `AssertionError` with what failed, so it stands alone in a test of any runner.
"""

from rnla.testing.operators import check_operator
from rnla.testing.orthonormalizers import check_orthonormalizer
from rnla.testing.range_finders import check_range_finder
from rnla.testing.sketches import check_test_matrix
from rnla.testing.spectra import SPECTRA, haar, hermitian_matrix, matrix, optimal_error, optimal_rank, spectrum

__all__ = [
    "SPECTRA",
    "check_operator",
    "check_orthonormalizer",
    "check_range_finder",
    "check_test_matrix",
    "haar",
    "hermitian_matrix",
    "matrix",
    "optimal_error",
    "optimal_rank",
    "spectrum",
]
