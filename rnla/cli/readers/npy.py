"""The npy format: the header parsed and compared with the bytes of the file, the data mapped and never copied."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from rnla.cli.readers.opened import OpenedMatrix, human_size, require_matrix, require_numeric, shown
from rnla.errors import BudgetError, IntegrityError
from rnla.operators.sources import read_npy_header

__all__ = ["open_npy"]


def open_npy(path: Path, *, dataset: str | None, budget: int) -> OpenedMatrix:
    """Map a matrix in an npy file read-only; the memory budget does not limit it.

    The budget only decides the kind of error when a header claims more than the file holds.
    """
    del dataset  # one array a file: the front door refuses the argument
    where = shown(path)
    with open(path, "rb") as stream:
        header = read_npy_header(stream, where)
        require_numeric(header.dtype, where)
        size = os.fstat(stream.fileno()).st_size
        held = size - header.offset
        if header.nbytes != held:
            claim = f"the header of {where} claims {human_size(header.nbytes)} for shape {header.shape}"
            if header.nbytes > max(budget, held):
                raise BudgetError(f"{claim}, the file holds {human_size(held)} and the budget is {human_size(budget)}")
            fault = "truncated" if held < header.nbytes else "followed by trailing bytes"
            raise IntegrityError(f"{claim}, the file holds {human_size(held)}: {fault}, save it again")
        shape = require_matrix(header.shape, where)
        array: Any
        if header.nbytes == 0:  # an empty range cannot be mapped
            array = np.empty(shape, header.dtype)
        else:
            order: Any = header.order
            array = np.memmap(stream, dtype=header.dtype, mode="r", offset=header.offset, shape=shape, order=order)
    return OpenedMatrix(array, "npy", path, shape, header.dtype, size)
