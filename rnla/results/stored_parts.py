"""What a file holds in place of things that are neither numbers nor text of the library's own."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from rnla.errors import InputError, IntegrityError
from rnla.operators.sparse import check_structure
from rnla.results.bases import RangeBasis

__all__ = ["ForeignPart", "SparsePart"]


@dataclasses.dataclass(frozen=True, slots=True)
class ForeignPart:
    """Stands for a part that the tables do not know, in a result that was loaded.

    Parameters
    ----------
    description : str
        How the part printed itself.
    """

    description: str

    @property
    def name(self) -> str:
        """What the class of the part was called."""
        return self.description.partition("(")[0]

    def find(self, op: Any, goal: Any, key: Any, riders: Any, start: RangeBasis | None = None) -> RangeBasis:
        """Refuse: the code of the part did not travel with the file."""
        raise InputError(
            f"the result was made by {self.description}, a part of your own, whose code a file does not hold; "
            "call the function again with it"
        )


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class SparsePart:
    """A SciPy sparse matrix, taken apart into three arrays.

    Parameters
    ----------
    kind : {"array", "matrix"}
        Which of SciPy's two families it is of.
    format : str
        Its format, such as ``"csc"``.
    order : {"csr", "csc"}
        The format of the three arrays.
    shape : tuple of int
    data, indices, indptr : array
        Of the matrix in that order; the indices as int64.
    """

    kind: str
    format: str
    order: str
    shape: tuple[int, int]
    data: Any
    indices: Any
    indptr: Any

    @classmethod
    def of(cls, matrix: Any) -> SparsePart:
        """Take a matrix apart."""
        order = matrix.format if matrix.format in {"csr", "csc"} else "csr"
        held = matrix.asformat(order)
        kind = "matrix" if type(matrix).__name__.endswith("_matrix") else "array"
        indices, indptr = (part.astype(np.int64) for part in (held.indices, held.indptr))
        return cls(
            kind, str(matrix.format), order, (int(held.shape[0]), int(held.shape[1])), held.data, indices, indptr
        )

    def matrix(self) -> Any:
        """Put it together; damaged arrays raise."""
        import scipy.sparse

        if self.kind not in {"array", "matrix"} or self.order not in {"csr", "csc"}:
            raise IntegrityError(f"it holds a sparse matrix of an unknown kind: {ascii((self.kind, self.order))[:60]}")
        made = getattr(scipy.sparse, f"{self.order}_{self.kind}")(
            (self.data, self.indices, self.indptr), shape=tuple(self.shape)
        )
        check_structure(made)
        return made.asformat(self.format)
