"""The test matrices that this folder's tests go over: the table, and other settings of its rows."""

from __future__ import annotations

import numpy as np

import rnla
from rnla import sketch
from rnla.sketch import SKETCHES

TABLE: dict[str, sketch.TestMatrix] = {word: made() for word, made in SKETCHES.items()}
OTHERS: dict[str, sketch.TestMatrix] = {
    "one sparse sign": rnla.SparseSign(nnz=1),
    "many sparse signs": rnla.SparseSign(nnz=20),
    "two stacks": rnla.SparseStack(nnz=2),
    "stacks of one column": rnla.SparseStack(nnz=300),
    "hadamard": rnla.SRTT("hadamard"),
    "hadamard twice": rnla.SRTT("hadamard", rounds=2, permute=False),
    "dct twice": rnla.SRTT(rounds=2),
    "dct in place": rnla.SRTT(permute=False),
    "three factors": rnla.KhatriRao(3),
    "factors of signs": rnla.KhatriRao(2, base=rnla.Rademacher()),
    "rows with replacement": rnla.RowSampling(replace=True),
}
FOURIER: dict[str, sketch.TestMatrix] = {
    "fourier": rnla.SRTT("fourier"),
    "srft": rnla.SRTT("fourier", permute=False),
    "fourier twice": rnla.SRTT("fourier", rounds=2),
    "gsrft": rnla.GivensSRTT("fourier"),
}
ALL = {**TABLE, **OTHERS, **FOURIER}


def dtypes_of(part: sketch.TestMatrix) -> tuple[str, ...]:
    """Return the dtypes that a part comes in."""
    every = ("float32", "float64", "complex64", "complex128")
    return every[2:] if part in FOURIER.values() else every


def keeps_subspaces(part: sketch.TestMatrix) -> bool:
    """Whether 200 columns keep any subspace of dimension 5: not coordinates, one sign, or heavy tails."""
    if isinstance(part, rnla.RowSampling | rnla.CountSketch | rnla.KhatriRao):
        return False
    return not (isinstance(part, rnla.SparseSign | rnla.SparseStack) and part.nnz <= 2)


def weights(rows: int) -> np.ndarray:
    """Return weights that differ by a factor of ten."""
    return 1.0 + 9.0 * np.arange(rows) / rows
