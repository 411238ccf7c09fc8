"""What methods that work in blocks share: their parameters checked, and a basis joined with a block."""

from __future__ import annotations

import dataclasses
from typing import Any

from rnla._kernels.products import adjoint_product, product
from rnla._xp.linalg import adjoint
from rnla._xp.namespace import is_numpy, namespace_of
from rnla.checks import check_choice
from rnla.config import get_config
from rnla.errors import DTypeError
from rnla.operators.algebra import Adjoint
from rnla.operators.implicit import Implicit
from rnla.operators.ledger import Ledger
from rnla.orth import CQRRPT, Orthonormalizer
from rnla.rangefinder.growing import appended
from rnla.results import RangeBasis
from rnla.rng import Key

__all__ = [
    "check_orthonormalizer", "check_space", "complete_basis", "deflated", "extended", "joined", "like_of",
    "outside_gram", "outside_image", "passes_if_complete", "rows_of", "view_of",
]  # fmt: skip


def check_orthonormalizer(orthonormalizer: Any) -> None:
    """Raise unless a part was given."""
    if isinstance(orthonormalizer, CQRRPT):
        raise DTypeError(
            "CQRRPT() gives pivots beside its factors, for columns of your own; take RandCholeskyQR() here"
        )
    if isinstance(orthonormalizer, type) or not isinstance(orthonormalizer, Orthonormalizer):
        raise DTypeError(f"orthonormalizer must be a part such as CholeskyQR2(), got {orthonormalizer!r}")


def check_space(space: Any) -> None:
    """Raise unless a space of the two, or None, was given."""
    if space is not None:
        check_choice("space", space, ("row", "column"))


def view_of(op: Ledger, space: str) -> Any:
    """Return the matrix that has the basis in its row space: A itself, or its adjoint."""
    return op if space == "row" else Adjoint(op)


def like_of(op: Ledger) -> dict[str, Any]:
    """Return the keywords that make numbers where the matrix lives."""
    return {"dtype": op.dtype, "xp": op.xp, "device": op.device}


def rows_of(op: Ledger, space: str) -> int:
    """Return the rows of a basis in a space: as many columns complete it."""
    return op.shape[1 if space == "row" else 0]


def passes_if_complete(op: Ledger) -> int:
    """Return the passes of a complete basis: its image alone, and for an operator the test of the adjoint."""
    return 2 if isinstance(op.base, Implicit) else 1


def complete_basis(op: Ledger, rows: int, orth: Orthonormalizer, key: Key) -> Any:
    """Return a basis of the whole space: any will do, and this one costs no product."""
    return orth.factor(key.child("complete").normals(0, rows, rows, **like_of(op)))[0]


def deflated(made: Any, basis: RangeBasis | None, columns: Any) -> Any:
    """Return (I - X X^H) A^H times columns, from the product with A^H and the image: no product more.

    Parameters
    ----------
    made : array, shape (r, k)
        The adjoint of the matrix times the columns.
    basis : RangeBasis or None
        X with its image A X.
    columns : array, shape (p, k)
    """
    if basis is None:
        return made
    if is_numpy(namespace_of(columns)):
        threads, dtype = get_config().threads, columns.dtype
        return made - product(basis.basis, adjoint_product(basis.image, columns, dtype, threads), dtype, threads)
    return made - basis.basis @ (adjoint(basis.image) @ columns)


def outside_image(made: Any, basis: RangeBasis | None, columns: Any) -> Any:
    """Return A (I - X X^H) times columns, from the product with A and the image: no product more.

    Parameters
    ----------
    made : array, shape (p, k)
        The matrix times the columns.
    basis : RangeBasis or None
        X with its image A X.
    columns : array, shape (r, k)
    """
    if basis is None:
        return made
    if is_numpy(namespace_of(columns)):
        threads, dtype = get_config().threads, columns.dtype
        return made - product(basis.image, adjoint_product(basis.basis, columns, dtype, threads), dtype, threads)
    return made - basis.image @ (adjoint(basis.basis) @ columns)


def outside_gram(made: Any, basis: RangeBasis | None, columns: Any) -> Any:
    """Return A (I - X X^H) A^H times columns, from the product with A A^H and the image: no product more.

    Parameters
    ----------
    made : array, shape (p, k)
        The matrix times its adjoint times the columns.
    basis : RangeBasis or None
        X with its image A X.
    columns : array, shape (p, k)
    """
    if basis is None:
        return made
    if is_numpy(namespace_of(columns)):
        threads, dtype = get_config().threads, columns.dtype
        return made - product(basis.image, adjoint_product(basis.image, columns, dtype, threads), dtype, threads)
    return made - basis.image @ (adjoint(basis.image) @ columns)


def extended(start: RangeBasis, basis: Any, image: Any, size: int, **fields: Any) -> RangeBasis:
    """Return a basis with its last `size` columns new: what was known of the old one alone is dropped."""
    cleared: dict[str, Any] = {
        "leave_one_out": None, "leave_one_out_spread": None, "factors": None, "ahead": None, "ahead_of": "",
        "bound": None, "bound_failure": None,
    }  # fmt: skip
    return dataclasses.replace(
        start, basis=basis, image=image, blocks=(*start.blocks, size), **{**cleared, **fields}
    )  # fmt: skip


def joined(start: RangeBasis | None, space: str, x: Any, y: Any, **fields: Any) -> RangeBasis:
    """Return the basis with a new block and its image, or the first basis."""
    size = int(x.shape[1])
    if start is None:
        return RangeBasis(space=space, basis=x, image=y, blocks=(size,), **fields)
    return extended(start, appended(start.basis, x), appended(start.image, y), size, **fields)
