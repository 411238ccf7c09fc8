"""What every reader shares: the opened matrix, and the checks of dtype, shape and memory that come before reading."""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from rnla.errors import BudgetError, DTypeError, InputError

__all__ = [
    "OpenedMatrix",
    "human_size",
    "optional_module",
    "require_budget",
    "require_matrix",
    "require_numeric",
    "shown",
]


@dataclass(frozen=True)
class OpenedMatrix:
    """A matrix file that passed its checks, ready to be handed to the library; also a context manager.

    Attributes
    ----------
    array : object
        ``numpy.memmap`` (npy), ``numpy.ndarray`` (npz, dense Matrix Market), ``scipy.sparse.csr_array`` (sparse npz,
        sparse Matrix Market), ``h5py.Dataset`` or ``zarr.Array``.
    kind : str
        ``"npy"``, ``"npz"``, ``"sparse npz"``, ``"Matrix Market"``, ``"HDF5"`` or ``"Zarr"``.
    path : pathlib.Path
        The file, or the directory of a Zarr store.
    shape : tuple of int
        Rows and columns.
    dtype : numpy.dtype
        The stored data type.
    nbytes : int
        Bytes on disk, as stored.
    """

    array: Any
    kind: str
    path: Path
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    nbytes: int
    _close: Callable[[], object] | None = field(default=None, repr=False, compare=False)

    def close(self) -> None:
        """Close the file under the array, where there is one to close; may be called twice."""
        if self._close is not None:
            self._close()

    def __enter__(self) -> Self:
        """Return the opened matrix itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()


def shown(text: str | os.PathLike[str]) -> str:
    """Return a path or name for a one-line message: what cannot be printed is escaped, long text is cut."""
    whole = os.fspath(text)
    printable = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in whole[:400]
    )
    return printable if len(whole) <= 400 else printable + "..."


def human_size(nbytes: int) -> str:
    """Return a number of bytes in the largest unit that keeps it above one.

    Examples
    --------
    >>> human_size(8 * 10**12)
    '8 TB'
    """
    units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
    power = 0
    while power + 1 < len(units) and nbytes >= 1000 ** (power + 1):
        power += 1
    scaled = nbytes / 1000**power if nbytes < 10**30 else math.inf
    return f"{scaled:.3g} {units[power]}" if scaled < 1000 else f"more than 999 {units[power]}"


def require_budget(need: int, budget: int, what: str, cure: str) -> None:
    """Raise `BudgetError` where ``need`` bytes are more than the budget; nothing has been allocated yet."""
    if need > budget:
        raise BudgetError(f"{what} needs {human_size(need)}, the memory budget is {human_size(budget)}; {cure}")


def require_numeric(dtype: np.dtype[Any], where: str) -> None:
    """Raise `DTypeError` unless the data type is bool, integer, real or complex."""
    if dtype.hasobject:
        raise DTypeError(f"{where} holds pickled objects, refused: reading them could run code; save numbers instead")
    if dtype.kind not in "biufc":
        raise DTypeError(f"{where} has data type {shown(str(dtype))}; expected bool, integer, real or complex numbers")


def require_matrix(shape: tuple[int, ...], where: str) -> tuple[int, int]:
    """Return the shape as rows and columns, or raise `InputError` naming it where it is not two-dimensional."""
    if len(shape) != 2:
        raise InputError(f"{where} has shape {shape}; expected a matrix, that is two dimensions")
    return int(shape[0]), int(shape[1])


def optional_module(name: str, what: str) -> Any:
    """Import an optional package now, or raise an ImportError that names the extra to install."""
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise ImportError(
            f'reading {what} needs {name}, which cannot be imported ({shown(str(error))}): pip install "rnla[io]"'
        ) from error
