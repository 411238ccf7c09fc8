"""The correction of a square root from products with the root alone, by projection on a block Krylov space.

Problem: X with (H + X)^2 = H^2 + sign D D^H where H can be multiplied only.

S1. Q: an orthonormal basis of span(D, H D, ..., H^{j-1} D), each block orthogonalized against all before it, twice;
    T = Q^H H Q, D = Q d.
S2. X = Q Y Q^H with Y = (T^2 + sign d d^H)^{1/2} - T, the closed form of the projected equation.
S3. Of a Krylov space only the last block leaves it: (I - Q Q^H) H Q = [0 ... 0 B].  The residual of the equation is
    -(N Q^H + Q N^H), N = B (last rows of Y), and its spectral norm is norm(N): no product and no probe is needed.
S4. The next block is B; again from S2 when the space is a fifth larger.

Cost: j blocks of k columns: j k columns multiplied with H, 10 n k^2 j^2 flops, n k (j + 1) numbers, and the
eigenvalues of matrices of order k j, 1 + log_1.2(j) times.

Guarantee: S3, up to rounding.  The error falls like that of polynomials of degree j on the spectrum of H: fast for a
small condition number (1e2: 20 blocks for 1e-10), not at all soon for a large one.  Checked in
tests/matfun/test_krylov_galerkin.py.

Use it where H can only be multiplied; where it can be solved with, `ShiftADI` takes a fraction of the steps.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from rnla._xp.linalg import eps_of
from rnla._xp.namespace import to_host
from rnla.checks import check_whole
from rnla.iterate import loop_or_late
from rnla.matfun.galerkin import projected_root
from rnla.matfun.panels import Small, by_modulus
from rnla.matfun.projection import Projection, begun, krylov_grown, padded
from rnla.matfun.protocols import Correction, RootProblem
from rnla.orth.cholesky_qr import gram
from rnla.results.report import Status

__all__ = ["KrylovGalerkin"]

_ROUNDING = 8


class _State(NamedTuple):
    projection: Projection
    d: Small
    Y: Small
    history: tuple[float, ...]
    blocks: int
    exact: bool
    left: float  # by rounding, of the closed form


@dataclasses.dataclass(frozen=True, slots=True)
class KrylovGalerkin:
    """Projection on a block Krylov space of the root, which is only multiplied.

    Parameters
    ----------
    blocks : int
        At most so many products of as many columns as D has, and as many more whenever a result is extended.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A_half = np.diag(np.linspace(1.0, 3.0, 60)) + 0.01
    >>> result = rnla.sqrtm_update(A_half, np.ones((60, 1)), method=rnla.KrylovGalerkin())
    >>> result.error.value < 1e-13
    True
    """

    blocks: int = 300

    def __post_init__(self) -> None:
        check_whole("blocks", self.blocks, 1)

    @property
    def summary(self) -> str:
        """The method in one line."""
        return f"KrylovGalerkin, at most {self.blocks} blocks"

    def correct(self, problem: RootProblem, state: Any = None) -> Correction:
        """Return the correction to the target, going on from an earlier state if one is given."""
        most = self.blocks + (0 if state is None else state.blocks)
        if state is None:
            projection, d = begun(problem.root, problem.panel, problem.key.child("basis"))
            state = _State(projection, d, d[:, :0], (problem.norm,), 1, False, 0.0)
            state = _looked(problem, state)
        state, late = loop_or_late(
            state, lambda now: _step(problem, now, most), lambda now: _finished(problem, now, most)
        )
        values, vectors = by_modulus(state.Y)
        met = state.history[-1] <= problem.target
        status = Status.MET if met else Status.DEADLINE if late else Status.ITERATIONS
        size = float(np.linalg.norm(state.projection.T[: len(state.Y), : len(state.Y)] + state.Y, 2))
        slack = state.left + _ROUNDING * eps_of(problem.root.dtype) * size * float(np.abs(values).max(initial=0.0))
        return Correction(
            state.projection.Q[:, : len(state.Y)], vectors, values, state.history[-1], slack,
            "bounded", "the residual of the projection", status, (), state.history, state.projection.products, 0, state,
            state.blocks,
        )  # fmt: skip


def _finished(problem: RootProblem, now: _State, most: int) -> bool:
    return now.history[-1] <= problem.target or now.blocks >= most or now.exact


def _step(problem: RootProblem, now: _State, most: int) -> _State:
    """Grow the space until the next look at the projected equation (S4), and look (S2, S3)."""
    projection, blocks = krylov_grown(now.projection, now.blocks, most, problem.key)
    return _looked(problem, now._replace(projection=projection, blocks=blocks))


def _looked(problem: RootProblem, now: _State) -> _State:
    projection = now.projection
    d = padded(now.d, projection.size)
    root = projected_root(projection.T, problem.sign * (d @ d.conj().T), eps_of(problem.root.dtype))  # S2
    if projection.whole:
        return now._replace(Y=root.Y, history=(*now.history, 0.0), exact=True, left=root.left)
    rest = projection.outside()
    last = root.Y[-rest.shape[1] :]  # S3
    residual = math.sqrt(max(0.0, float(np.linalg.eigvalsh(last.conj().T @ to_host(gram(rest)) @ last)[-1])))
    return now._replace(Y=root.Y, history=(*now.history, residual), left=root.left)
