"""Cases for the tests of roots, and their true errors in extended precision.

The errors looked for are a few roundings of double precision, so the oracle works in `numpy.longdouble`: roots and
inverses come from NumPy in double and are refined by Newton's method with residuals in extended precision.  Where
extended precision is no more than double, the tests that need it are left out.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

Array = np.ndarray[Any, Any]

needs_extended = pytest.mark.skipif(
    np.finfo(np.longdouble).eps > 1e-18, reason="extended precision is no more than double here"
)
POWERS = (0.5, -0.5, 0.25, -0.25)


@dataclasses.dataclass(frozen=True)
class Case:
    """A root, as it is given to the library and as a matrix, and a change."""

    A_half: Array
    H: Array
    D: Array
    sign: int

    @property
    def A(self) -> Array:
        return self.H @ self.H

    @property
    def B(self) -> Array:
        return self.A + self.sign * (self.D @ self.D.conj().T)


def case(
    condition: float = 1e4, sign: int = 1, *, n: int = 60, k: int = 3, field: str = "real", dense: bool = False,
    share: float = 0.9, size: float = 1.0, seed: int = 0, spread: str = "log",
) -> Case:  # fmt: skip
    """Return a case; a downdate takes away so much that lambda_max(D^H A^-1 D) is `share`."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> Array:
        x = rng.standard_normal(shape)
        return x + 1j * rng.standard_normal(shape) if field == "complex" else x

    top = np.sqrt(condition)
    h = np.geomspace(1.0, top, n) if spread == "log" else np.sqrt(np.linspace(1.0, condition, n))
    h = rng.permutation(h)
    H, half = np.diag(h), h
    if dense:
        u = np.linalg.qr(normal(n, n))[0]
        H = (u * h) @ u.conj().T
        H = half = (H + H.conj().T) / 2
    D = size * normal(n, k)
    if sign < 0:
        D = H @ (D / np.linalg.norm(D, 2)) if seed % 2 else D
        D = D * np.sqrt(share) / np.linalg.norm(np.linalg.solve(H, D), 2)
    return Case(half, H, D, sign)


def wide(x: Array) -> Array:
    """Return an array in extended precision."""
    return x.astype(np.clongdouble if np.iscomplexobj(x) else np.longdouble)


def norm(x: Array) -> float:
    """Return the spectral norm of an array in extended precision, to the digits of double."""
    scale = float(np.abs(x).max(initial=0.0))
    if scale == 0:
        return 0.0
    narrow = (x / scale).astype(np.complex128 if np.iscomplexobj(x) else np.float64)
    return scale * float(np.linalg.norm(narrow, 2))


def _narrow(x: Array) -> Array:
    return x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)


def root(M: Array) -> Array:
    """Return the root of a definite matrix in extended precision."""
    M = wide(M)
    values, vectors = np.linalg.eigh(_narrow(M))
    t = np.sqrt(np.maximum(values, np.finfo(float).eps * values[-1] / 100))
    S = wide((vectors * t) @ vectors.conj().T)
    for _ in range(6):
        left = _narrow(vectors.conj().T @ _narrow(M - S @ S) @ vectors)
        S = S + wide(vectors @ (left / (t[:, None] + t[None, :])) @ vectors.conj().T)
        S = (S + S.conj().T) / 2
    return S


def inverse(M: Array) -> Array:
    """Return the inverse in extended precision."""
    M = wide(M)
    Z = wide(np.linalg.inv(_narrow(M)))
    for _ in range(4):
        Z = Z + Z @ (np.eye(len(M)) - M @ Z)
    return (Z + Z.conj().T) / 2


@dataclasses.dataclass(frozen=True)
class Truth:
    """What a power of A and of B are, in extended precision, and the matrix that the backward error is of."""

    before: Array  # A^p
    after: Array  # B^p
    target: Array  # B, of a negative power its inverse
    change: Array  # of that matrix
    order: int  # (B^p)^order = target


def truth(made: Case, power: float) -> Truth:
    """Return the exact powers of a case."""
    H, D = wide(made.H), wide(made.D)
    if power < 0:
        base = np.diag(1 / np.diag(H)) if made.A_half.ndim == 1 else inverse(H)
        half = base @ D
        core = inverse(np.eye(D.shape[1]) + made.sign * (half.conj().T @ half))
        u = base @ half
        change = -made.sign * (u @ core @ u.conj().T)
    else:
        base, change = H, made.sign * (D @ D.conj().T)
    target = base @ base + change
    after = root(target)
    if abs(power) == 0.25:
        return Truth(root(base), root(after), target, change, 4)
    return Truth(base, after, target, change, 2)


def of_power(exact: Truth, result: Any) -> Array:
    """Return the power of B that a result stands for, in extended precision."""
    V, w = wide(np.asarray(result.V)), np.asarray(result.w).astype(np.longdouble)
    return exact.before + (V * w) @ V.conj().T


def backward(exact: Truth, result: Any) -> float:
    """Return the true backward error of a result, absolute."""
    S = of_power(exact, result)
    for _ in range(exact.order // 2):
        S = S @ S
    return norm(S - exact.target)


def forward(exact: Truth, result: Any) -> float:
    """Return the true forward error of a result, absolute."""
    return norm(of_power(exact, result) - exact.after)
