"""What the stages of the pipeline hand to each other: a basis, and the compressed form."""

from __future__ import annotations

import dataclasses
from typing import Any

__all__ = ["LowRank", "RangeBasis"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class LowRank:
    """The canonical compressed form A ~ Q C P^H; a side that is None is the identity.

    Q (m, l) and P (n, l) have orthonormal columns.
    """

    Q: Any
    C: Any
    P: Any


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RangeBasis:
    """An orthonormal basis of a row space or a column space, with the image of A on it.

    Attributes
    ----------
    space : str
        ``"row"``: the basis lies in the row space (n rows) and ``image`` is A X.
        ``"column"``: it lies in the column space (m rows) and ``image`` is the adjoint of A times X.
    basis : array, shape (n or m, l)
        Orthonormal columns.
    image : array, shape (m or n, l), or None
        The matrix, or its adjoint, times the basis; None in a result that was made without it.
    blocks : tuple of int
        Sizes of the blocks in the order in which they were added.
    probes, probed : array or None
        Normal columns independent of the basis, and the matrix (or adjoint) times them.
    notes : tuple of str
        What the range finder has to say of how it went.
    leave_one_out : float or None
        The leave-one-out estimate of the Frobenius error, where it was made, in the scaled matrix.
    leave_one_out_spread : float or None
        Its standard error.
    factors : tuple or None
        U, s, Vh of the projection, where the method that found the basis has them already.
    ahead, ahead_of : array or None, str
        What a method has computed for the block after the last one, and the name of the method.
    bound, bound_failure : float or None
        A bound on the spectral error that the method itself has, in the scaled matrix, and the probability that it
        fails; for information, since the certificate is made apart.
    cut : str
        What a cut to smaller rank drops of the approximation, image times basis^H: see `ErrorEstimate`.
    left_out : float
        Norm of a part of the matrix on the basis that the approximation leaves out on purpose.
    """

    space: str
    basis: Any
    image: Any
    blocks: tuple[int, ...]
    probes: Any = None
    probed: Any = None
    notes: tuple[str, ...] = ()
    leave_one_out: float | None = None
    leave_one_out_spread: float | None = None
    factors: tuple[Any, Any, Any] | None = None
    ahead: Any = None
    ahead_of: str = ""
    bound: float | None = None
    bound_failure: float | None = None
    cut: str = "one-sided"
    left_out: float = 0.0

    @property
    def size(self) -> int:
        """Columns of the basis."""
        return int(self.basis.shape[1])
