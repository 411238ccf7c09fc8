"""Problems whose answer is made from the truncated singular value decomposition of the projection.

S1. The projection's singular value decomposition: of the compressed form, or the range finder's own [halko2011]_
    (Algorithm 5.1).
S2. A cut to the rank, which the problem turns into its factors.
"""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from rnla._xp.linalg import zeros
from rnla.compression.projection import project
from rnla.factorization.driver import Certificate
from rnla.factorization.low_rank_svd import svd_of_low_rank
from rnla.factorization.search import Factored
from rnla.results import RangeBasis

__all__ = ["FromSVD", "singular_vectors"]


def singular_vectors(basis: RangeBasis) -> Factored:
    """Return U and V^H of the projection on a basis, and its singular values (S1)."""
    u, s, vh = basis.factors if basis.factors is not None else svd_of_low_rank(project(basis))
    return Factored((u, vh), s)


class FromSVD(abc.ABC):
    """A problem of the driver with the parts U and V^H, and the singular values, of the whole basis."""

    __slots__ = ()

    name: ClassVar[str]

    def asked(self) -> dict[str, Any]:
        """Return nothing: a rank, a tolerance and a norm are all that is asked."""
        return {}

    def approximation(self, basis: RangeBasis) -> RangeBasis:
        """Return the basis as it is: the projection on it is what is approximated by."""
        return basis

    def factor(self, basis: RangeBasis) -> Factored:
        """Return the singular value decomposition of the projection."""
        return singular_vectors(basis)

    def nothing(self, shape: tuple[int, int], like: Any, real: Any) -> Factored:
        """Return the decomposition of an empty matrix."""
        m, n = shape
        return Factored((zeros((m, 0), like), zeros((0, n), like)), real)

    @abc.abstractmethod
    def build(self, factored: Factored, rank: int, exponent: int, certificate: Certificate) -> Any:
        """Return the result of a rank (S2)."""
