"""RieCUR and IRCUR: robust PCA from a few rows and columns of D at a time.

Problem: D = L + S with L of rank r and incoherent and S sparse; find L from O(r log n) rows and columns an iteration.

S1  Draw rows I and columns J (every time, or once), never those that are held out for the certificate.
S2  Read D on this cross, piece by piece; there S = T_z(D - L) with the L and the threshold z of the moment, and D - S
    is multiplied with what S4 wants of it where it stands in the cache (`rnla._kernels.crosses`).
S3  e = (norm((D - L - S)[I, :]) + norm((D - L - S)[:, J])) / (norm((D - S)[I, :]) + norm((D - S)[:, J])); stop at
    e <= tol.
S4  The skeleton of D - S of rank r (`rnla.robust.skeletons`): the new L of IRCUR; RieCUR takes its projection on the
    tangent space at the old L, cut to rank r.
S5  z falls by the factor `decay`, no lower than the least.

Cost: an iteration reads |I| n + |J| m entries and takes O((m + n) |I| r) flops, |I| = samples r log(m): O(n r^2 log n);
memory is O((m + n) r) beside an array that is read in place, and the cross as it was read from anything else.
Guarantee: none in advance without incoherence; the certificate looks at rows and columns that were never sampled.
Tested in `tests/robust/`.

Differences from the papers [hamm2022]_, [cai2021]_, each with what was measured on their synthetic model:
(1) the cross is cut from D - S, not from the iterate before: with the letters of the paper's text the method of RieCUR
    would never move, because the projection on the tangent space leaves its own point where it is;
(2) the pseudo-inverse is that of rank r (the full one diverged in all of 48 trials), found for all but the first
    cross by one step of subspace iteration from the iterate before instead of an SVD (the same errors, half the
    time at n = 1000, and fewer failures near the breakdown);
(3) F G^H has rank r, so projection and retraction are exact at O(n r^2), and no second skeleton is made of them;
(4) rows and columns are drawn without replacement, each time anew by default (with a fixed cross recovery failed from
    40 percent of outliers on);
(5) the first threshold is the largest modulus on the first cross, where S = 0; RieCUR's own start is not needed;
(6) e is relative to D - S and not to D, which large outliers make large;
(7) `Threshold(least=)` keeps the threshold above noise.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import Any, ClassVar

import numpy as np

from rnla._kernels.thresholding import Tally
from rnla._xp.linalg import adjoint, cast, max_abs, zeros
from rnla._xp.namespace import from_host, to_host
from rnla.checks import check_choice, check_positive
from rnla.errors import InputError
from rnla.robust.protocols import Factors, Problem, Step, reached, told
from rnla.robust.sampling import drawn, sample_size
from rnla.robust.scaling import resolved
from rnla.robust.skeletons import compressed, located, retracted
from rnla.robust.thresholds import Threshold

__all__ = ["IRCUR", "CrossMethod", "CrossState", "RieCUR"]

Array = np.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class CrossState:
    """Where the iteration stands: the model, and the cross that it was made of."""

    factors: Factors
    threshold: float
    trace: tuple[Step, ...]
    rows: Array
    columns: Array


@dataclasses.dataclass(frozen=True, slots=True)
class CrossMethod(abc.ABC):
    """What the methods that read a cross have in common: all but what L is made of the skeleton (S4)."""

    name: ClassVar[str]
    title: ClassVar[str]
    tangent: ClassVar[bool]
    reads_all: ClassVar[bool] = False

    samples: float
    decay: float = 0.7
    resample: bool = True
    sampling: str = "uniform"
    threshold: Threshold = Threshold()

    def __post_init__(self) -> None:
        check_positive("samples", self.samples)
        if not 0 < check_positive("decay", self.decay) < 1:
            raise InputError(f"decay={self.decay} must lie between 0 and 1: what the threshold is multiplied with")
        check_choice("sampling", self.sampling, ("uniform", "leverage"))

    @property
    def summary(self) -> str:
        """The method in one line."""
        fixed = "" if self.resample else ", one cross for all iterations"
        return f"{self.title} (samples {self.samples:g}, decay {self.decay:g}, {self.sampling} sampling{fixed})"

    def start(self, problem: Problem) -> CrossState:
        """Return the first state, of the skeleton of D as it is."""
        return _first(self, problem)

    def advance(self, problem: Problem, state: CrossState) -> CrossState:
        """Return the next state."""
        return _next(self, problem, state)


@dataclasses.dataclass(frozen=True, slots=True)
class RieCUR(CrossMethod):
    """Riemannian CUR: skeletons of a sampled cross, projected on the tangent space of the iterate before.

    Parameters
    ----------
    samples : float
        The cross has samples * max(rank, 3) * log(n) rows and columns.
    decay : float
        What the threshold is multiplied with in each iteration: 0.5 up to 15 percent of outliers, 0.7 up to 30,
        0.8 up to 50, 0.9 beyond.
    resample : bool
        Whether each iteration has a cross of its own.
    sampling : {"uniform", "leverage"}
        How rows and columns are drawn; "leverage" (half uniform, half by the rows of the present factors) for
        L that is carried by few rows or columns.
    threshold : Threshold
        What counts as an outlier.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> D = np.outer(np.arange(1.0, 401.0), np.ones(400)) + 300.0 * (np.random.default_rng(0).random((400, 400)) < 0.1)
    >>> L, S = rnla.robust_pca(D, 1, method=rnla.RieCUR(decay=0.6), rng=0)
    >>> round(float(L @ np.ones(400) @ np.ones(400) / 400 / 80200), 6)
    1.0
    """

    name: ClassVar[str] = "riecur"
    title: ClassVar[str] = "Riemannian CUR"
    tangent: ClassVar[bool] = True

    samples: float = 3.0


@dataclasses.dataclass(frozen=True, slots=True)
class IRCUR(CrossMethod):
    """Iterated robust CUR: the skeleton of a sampled cross is the next iterate.

    Parameters
    ----------
    samples, decay, resample, sampling, threshold
        As for `RieCUR`.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> D = np.outer(np.arange(1.0, 401.0), np.ones(400)) + 300.0 * (np.random.default_rng(0).random((400, 400)) < 0.1)
    >>> rnla.robust_pca(D, 1, method=rnla.IRCUR(), rng=0).status.ok
    True
    """

    name: ClassVar[str] = "ircur"
    title: ClassVar[str] = "iterated robust CUR"
    tangent: ClassVar[bool] = False

    samples: float = 4.0


def _cross(part: CrossMethod, problem: Problem, iteration: int, factors: Factors | None) -> tuple[Array, Array]:
    """Return the rows and columns of an iteration (S1)."""
    m, n = problem.reader.shape
    key = problem.key.child("cross", iteration if part.resample else 0)
    weights: list[Array | None] = [None, None]
    if part.sampling == "leverage" and factors is not None:
        weights = [_leverages(factors.U), _leverages(adjoint(factors.Vh))]
    return tuple(  # type: ignore[return-value]
        drawn(key.child(what), length, sample_size(part.samples, problem.rank, length, what), held, weight)
        for what, length, held, weight in (
            ("rows", m, problem.held_rows, weights[0]), ("columns", n, problem.held_columns, weights[1]),
        )
    )  # fmt: skip


def _leverages(u: Any) -> Array:
    """Return half the uniform density and half that of the rows of an orthonormal panel."""
    scores = (np.abs(to_host(u)) ** 2).sum(axis=1)
    return np.asarray(0.5 / len(scores) + 0.5 * scores / max(float(scores.sum()), 1e-300))


def _first(part: CrossMethod, problem: Problem) -> CrossState:
    reader, (m, n) = problem.reader, problem.reader.shape
    i, j = _cross(part, problem, 0, None)
    like = from_host(np.zeros((0, 0), dtype=reader.dtype), reader.xp, reader.device)
    nothing = Factors(zeros((m, 0), like), None, zeros((0, n), like))
    start = part.threshold.start
    level = math.inf if start is None else part.threshold.at(start)
    kind, rank = part.threshold.kind, problem.rank
    f, g, tally, other = located(reader, i, j, nothing.U, nothing.Vh, level, kind, rank, None)
    level = part.threshold.at(max(tally.largest, other.largest)) if start is None else level
    step = _step(tally, other, level, f, g, len(i), len(j), problem)
    told(step, 1)
    return CrossState(compressed(f, g), level, (step,), i, j)


def _next(part: CrossMethod, problem: Problem, state: CrossState) -> CrossState:
    reader, old = problem.reader, state.factors
    fixed = part.sampling == "uniform" and not part.resample
    i, j = (state.rows, state.columns) if fixed else _cross(part, problem, len(state.trace), old)
    level = part.threshold.at(state.threshold * part.decay)
    left = old.U * cast(old.s, old.U.dtype)[None, :]
    kind, rank = part.threshold.kind, problem.rank
    f, g, tally, other = located(reader, i, j, left, old.Vh, level, kind, rank, old.Vh)  # S2 and the first half of S4
    step = _step(tally, other, level, f, g, len(i), len(j), problem)  # S3
    told(step, len(state.trace) + 1)
    trace = (*state.trace, step)
    if reached(trace, problem.tol, problem.least) or not math.isfinite(step.residual):
        return CrossState(old, level, trace, i, j)
    new = retracted(f, g, old) if part.tangent else compressed(f, g)
    return CrossState(new, level, trace, i, j)


def _step(rows: Tally, columns: Tally, level: float, f: Any, g: Any, i: int, j: int, problem: Problem) -> Step:
    reader = problem.reader
    m, n = reader.shape
    whole = math.sqrt(rows.squares) + math.sqrt(columns.squares)
    left = math.sqrt(rows.clean) + math.sqrt(columns.clean)
    looked = max(i * n + j * m, 1)
    share = (rows.outliers + columns.outliers) / looked
    residual = (left / whole if whole > 0 else 0.0) if math.isfinite(left + whole) else math.inf
    # Next to outliers that are far too large, squares of L vanish, and nothing would be said of it.
    if not resolved(whole / math.sqrt(looked), problem.tol, reader.dtype) and (max_abs(f) or max_abs(g)):
        residual = math.inf
    return Step(residual, level, share, float(reader.entries))
