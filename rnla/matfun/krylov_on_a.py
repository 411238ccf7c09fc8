"""The correction of a root from products with A alone, by projection on a block Krylov space of A.

Problem: X with f(A + sign D D^H) = f(A) + X, f(x) = x^p, where neither a root of A nor a solve is there.

S1. Q: an orthonormal basis of span(D, A D, ..., A^{j-1} D); T = Q^H A Q, D = Q d.
S2. X_j = Q (f(T + sign d d^H) - f(T)) Q^H [beckermann2018]_.
S3. When the space is a fifth larger, again from S2.  The change c = norm(X_j - X_i) since the last look is about the
    error of X_i; with q the ratio of the last two changes, c max(1, q / (1 - q)) stands for the error of X_j, what a
    geometric series would still bring.  Two looks in a row must find it small.

The error cannot be bounded so: without the root of A there is no residual.  It is an estimate, from above as long as
the convergence does not slow down, and certifies no tolerance.

Cost: j blocks of k columns: j k columns multiplied with A, 10 n k^2 j^2 flops, n k (j + 1) numbers, and two
decompositions of matrices of order k j, 1 + log_1.2(j) times.

Guarantee: exact for polynomials f of degree 2 j - 1 at most, hence the error falls like that of the best polynomial
approximation of f' on the spectra of A and A + sign D D^H: fast for a small condition number only, since that of A is
the square of its root's.  Checked in tests/matfun/test_krylov_on_a.py.

Use it where A is all there is.  With a root, `KrylovGalerkin` takes about a square root of the blocks; with solves,
`ShiftADI` takes a handful of steps.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, NamedTuple

import numpy as np

from rnla.checks import check_whole
from rnla.errors import InputError
from rnla.iterate import loop_or_late
from rnla.matfun.panels import Small
from rnla.matfun.projection import Projection, begun, krylov_grown, padded
from rnla.matfun.protocols import Correction, RootProblem
from rnla.matfun.roots import Root
from rnla.results.report import Status
from rnla.rng import Key

__all__ = ["KrylovOnA", "PowerProblem", "PowerState", "SquaredRoot"]

_ROUNDING = 8
_LOOKS = 2  # in a row, at which the error must be small
_SLOWEST = 10.0  # times the last change that may still be to come


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PowerProblem:
    """The correction X wanted: (A + sign D D^H)^power = A^power + X, from products with A.

    Attributes
    ----------
    matrix : Root or SquaredRoot
        A; only multiplied.
    panel : array, shape (n, k)
        D.
    sign : int
    power : float
    tol : float
        What the change of X may be, relative to norm((A + sign D D^H)^power).
    key : Key
    """

    matrix: Any
    panel: Any
    sign: int
    power: float
    tol: float
    key: Key


class PowerState(NamedTuple):
    """What survives a look; `Y` is X in the coordinates of the basis."""

    projection: Projection
    d: Small
    Y: Small
    size: float  # norm(f(T + sign d d^H))
    history: tuple[float, ...]  # norm(X), then what it changed by
    blocks: int

    @property
    def change(self) -> float:
        """The estimate of the error."""
        return estimates(self.history)[-1]

    def settled(self, tol: float) -> bool:
        """Whether the estimate of the relative error was small at two looks in a row, or nothing is left out."""
        last = estimates(self.history)[1:][-_LOOKS:]
        return self.projection.whole or (len(last) == _LOOKS and max(last) <= tol * self.size)


class SquaredRoot:
    """H^2, from products with H."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self.shape, self.dtype, self.xp, self.device = root.shape, root.dtype, root.xp, root.device

    def matmat(self, x: Any) -> Any:
        """Return H (H X)."""
        return self.root.matmat(self.root.matmat(x))


@dataclasses.dataclass(frozen=True, slots=True)
class KrylovOnA:
    """Projection on a block Krylov space of A itself, of which no root is there; its error is an estimate.

    Parameters
    ----------
    blocks : int
        At most so many products of as many columns as D has.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag(np.linspace(1.0, 3.0, 60)) + 0.01
    >>> w, V = rnla.sqrtm_update(None, np.ones((60, 1)), A=A, method=rnla.KrylovOnA())
    >>> root = lambda x: (lambda h, u: (u * np.sqrt(h)) @ u.T)(*np.linalg.eigh(x))
    >>> bool(np.allclose(root(A) + (V * w) @ V.T, root(A + np.ones((60, 60)))))
    True
    """

    blocks: int = 300

    certifies = False

    def __post_init__(self) -> None:
        check_whole("blocks", self.blocks, 1)

    @property
    def summary(self) -> str:
        """The method in one line."""
        return f"KrylovOnA, at most {self.blocks} blocks"

    def correct(self, problem: RootProblem, state: Any = None) -> Correction:
        """Return the correction of a root that is there, from products with its square."""
        # (1 + x)^2 - 1 <= 2.5 x for small x, and norm(S)^2 >= norm(D D^H) after an update: a tolerance to begin with.
        tol = problem.target / (3 * problem.norm)
        matrix = SquaredRoot(problem.root)
        found, late = self.on_matrix(PowerProblem(matrix, problem.panel, problem.sign, 0.5, tol, problem.key))
        values, vectors = np.linalg.eigh(found.Y)
        order = np.argsort(-np.abs(values), kind="stable")
        residual = (2 * found.size + found.change) * found.change
        met = residual <= problem.target
        status = Status.MET if met else Status.DEADLINE if late else Status.ITERATIONS
        return Correction(
            found.projection.Q[:, : len(found.Y)], vectors[:, order], values[order], residual, 0.0, "estimated",
            "the change over the last blocks", status, (), tuple(2 * found.size * x for x in found.history),
            2 * found.projection.products, 0, None, found.blocks,
        )  # fmt: skip

    def on_matrix(self, problem: PowerProblem) -> tuple[PowerState, bool]:
        """Return the correction of a power of A, and whether the deadline stopped it."""
        projection, d = begun(problem.matrix, problem.panel, problem.key.child("basis"))
        Y, size = _projected(problem, projection.T, d)
        start = PowerState(projection, d, Y, size, (float(np.linalg.norm(Y, 2)),), 1)
        return loop_or_late(start, lambda now: self._step(problem, now), lambda now: self._finished(problem, now))

    def _finished(self, problem: PowerProblem, now: PowerState) -> bool:
        return now.settled(problem.tol) or now.blocks >= self.blocks or len(now.Y) >= problem.matrix.shape[0]

    def _step(self, problem: PowerProblem, now: PowerState) -> PowerState:
        """Grow the space until the next look (S1), and look (S2, S3)."""
        projection, blocks = krylov_grown(now.projection, now.blocks, self.blocks, problem.key)
        d = padded(now.d, projection.size)
        Y, size = _projected(problem, projection.T, d)
        before = np.zeros_like(Y)
        before[: len(now.Y), : len(now.Y)] = now.Y
        change = float(np.abs(np.linalg.eigvalsh(Y - before)).max())
        if projection.whole:  # nothing is left out: only rounding
            change = min(change, _ROUNDING * float(np.finfo(np.float64).eps) * size)
        return PowerState(projection, d, Y, size, (*now.history, change), blocks)


def estimates(history: tuple[float, ...]) -> tuple[float, ...]:
    """Return an estimate of the error at every look, from norm(X) at the first and from what each later one changed.

    Examples
    --------
    >>> estimates((1.0, 0.5, 0.05))
    (1.0, 0.5, 0.05)
    >>> [round(x, 3) for x in estimates((1.0, 0.8, 0.6))]
    [1.0, 3.2, 1.8]
    """
    found = list(history[:1])
    for before, change in itertools.pairwise(history):
        ratio = change / before if before > 0 else 0.0
        slow = ratio / (1 - ratio) if ratio < 1 else _SLOWEST
        found.append(change * min(_SLOWEST, max(1.0, slow)))
    return tuple(found)


def _projected(problem: PowerProblem, T: Small, d: Small) -> tuple[Small, float]:
    """Return f(T + sign d d^H) - f(T), and the norm of the first (S2)."""
    before, _ = _power(T, problem.power, "A")
    after, size = _power(T + problem.sign * (d @ d.conj().T), problem.power, "A - D D^H" if problem.sign < 0 else "B")
    X = after - before
    return (X + X.conj().T) / 2, size


def _power(M: Small, power: float, name: str) -> tuple[Small, float]:
    """Return M^power and its norm; `name` is the matrix that M is a projection of."""
    values, vectors = np.linalg.eigh((M + M.conj().T) / 2)
    scale, eps = float(np.abs(values).max()), float(np.finfo(np.float64).eps)
    if values[0] < -1e3 * eps * scale:
        raise InputError(
            f"{name} has an eigenvalue of {values[0]:.3g} or less, and so no root"
            + ("; take less away, or pass sign=+1 if D is to be added" if "-" in name else "")
        )
    if power < 0 and values[0] <= len(M) * eps * scale:
        raise InputError(
            f"{name} is singular to working precision, with an eigenvalue of {values[0]:.3g} or less where the largest "
            f"is {scale:.3g}, so it has no inverse root; add a ridge, or ask for power=0.5 or 0.25"
        )
    powers = np.maximum(values, 0.0) ** power
    return (vectors * powers) @ vectors.conj().T, float(powers.max())
