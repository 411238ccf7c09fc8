"""The synthetic model of the papers: L = A B, and outliers on uniformly random entries."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def model(
    m: int, n: int, rank: int, share: float, seed: int = 0, scale: float = 1.0, dtype: str = "float64"
) -> tuple[Array, Array, Array]:
    """Return D, L and S; outliers are uniform within `scale` times the mean modulus of L."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> Array:
        x = rng.standard_normal(shape)
        return x + 1j * rng.standard_normal(shape) if dtype.startswith("c") else x

    low = normal(m, rank) @ normal(rank, n)
    bound = scale * np.abs(low).mean()
    size = rng.uniform(-bound, bound, (m, n))
    if dtype.startswith("c"):
        size = size * np.exp(2j * np.pi * rng.random((m, n)))
    where = np.zeros(m * n, dtype=bool)
    where[rng.choice(m * n, int(share * m * n), replace=False)] = True
    sparse = np.where(where.reshape(m, n), size, 0)
    return (low + sparse).astype(dtype), low.astype(dtype), sparse.astype(dtype)


def error(result: Any, low: Array) -> float:
    """Return the error of L relative to L."""
    found = np.asarray(result.U) * np.asarray(result.s) @ np.asarray(result.Vh)
    return float(np.linalg.norm(found - low) / np.linalg.norm(low))
