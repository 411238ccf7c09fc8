"""What a one-pass method is: sizes, the sketches that it keeps, and the approximation that it makes of them."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from rnla._xp.linalg import adjoint, eps_of, frobenius
from rnla.checks import check_whole
from rnla.errors import InputError
from rnla.results import LowRank
from rnla.streaming.maps import LinearSketch, Sketches

__all__ = ["StreamMethod", "given_size", "require_eigenpairs", "require_hermitian", "require_room", "slack_of"]


@runtime_checkable
class StreamMethod(Protocol):
    """A frozen description of a one-pass method; the sizes that are None follow from the rank."""

    structure: ClassVar[str]
    """``"general"``, ``"hermitian"`` or ``"psd"``: what the matrix must be."""

    def sized(self, shape: tuple[int, int], rank: int, dtype: np.dtype[Any], storage: int | None) -> StreamMethod:
        """Return the method with every size set: for a rank, or the largest that a storage (in numbers) holds."""
        ...

    def layout(self) -> tuple[LinearSketch, ...]:
        """Return the sketches to keep."""
        ...

    def compress(self, sketches: Sketches) -> tuple[LowRank, tuple[str, ...]]:
        """Return A ~ Q C P^H with orthonormal Q and P and a small C, and notes on how it went."""
        ...


def slack_of(dtype: np.dtype[Any]) -> int:
    """Return alpha of [tropp2019]_: 1 for real, 0 for complex normals, whose inverse moments are smaller."""
    return 0 if dtype.kind == "c" else 1


def given_size(name: str, value: Any, least: int) -> int:
    """Return a size that a caller set, which must leave room for the rank."""
    size = check_whole(name, value)
    if size < least:
        raise InputError(f"{name}={size} must be at least {least} for this rank")
    return size


def require_room(size: int, rank: int, storage: int, needed: int) -> None:
    """Raise where a storage budget holds too few columns for the rank."""
    if size < rank:
        raise InputError(
            f"storage leaves {max(storage, 0)} numbers beside the error sketch, which hold sketches of {max(size, 0)} "
            f"columns; rank={rank} needs at least {needed} there: give more, or ask for a smaller rank"
        )


def require_hermitian(inner: Any, method: str) -> None:
    """Raise where O^H A O is not Hermitian for the test matrix O: A is not either."""
    if frobenius(inner - adjoint(inner)) > math.sqrt(eps_of(inner.dtype)) * frobenius(inner):
        raise InputError(
            f"the streamed matrix is not Hermitian, which {method} needs; use SketchySVD, or update with both "
            "halves of the matrix"
        )


def require_eigenpairs(method: Any) -> None:
    """Raise where a method's approximation is not Hermitian, and so has no eigenvalue decomposition."""
    if getattr(method, "structure", "psd") == "general":
        name = method.__name__ if isinstance(method, type) else type(method).__name__
        raise InputError(
            f"{name} makes no Hermitian approximation, so it has no eigenpairs to give; take HermitianSketch() or, for "
            "positive semidefinite matrices, NystromSketch(), or the singular value decomposition, single_pass_svd "
            "or the finish of a stream"
        )
