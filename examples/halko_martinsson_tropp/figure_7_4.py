"""Figure 7.4: the adaptive range finder on a matrix that is known by its products alone.

    python -m examples.halko_martinsson_tropp.figure_7_4 [--small] [--out FOLDER]

A lattice of equal resistors fills a square of 400 x 400 nodes around a hole (small: 60 x 60).  The matrix takes
potentials on the 532 nodes of the hole's rim to those on the 1596 nodes of the outer rim, where no current leaves: one
sparse solve with some 142 000 unknowns for each product, 1596 x 532 in all, scaled to norm 1.  The paper draws its
lattice without printing its sizes; these give a matrix of the same shape, whose singular values fall faster than the
paper's: to rounding within 80 columns in place of more than 120.

Algorithm 4.2 as in figure 7.2.  The circles are bases that `rnla.svd` found from a `LinearOperator`.

Checked: as figure 7.2; and the operator's adjoint is its adjoint, and a constant potential stays one.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, splu

from examples.halko_martinsson_tropp import adaptive
from examples.pictures import style
from rnla.rng import Key

TOLERANCES = [1e-2, 1e-4, 1e-6, 1e-8, 1e-10]


def rim(low: int, high: int) -> np.ndarray:
    """Return the coordinates of the nodes on the rim of the square [low, high]^2, in the order around it."""
    side = np.arange(low, high)
    ahead, back = side, side[::-1] + 1
    lowest, highest = np.full_like(side, low), np.full_like(side, high)
    x = np.concatenate([ahead, highest, back, lowest])
    y = np.concatenate([lowest, ahead, highest, back])
    return np.column_stack([x, y])


@dataclasses.dataclass(frozen=True)
class Lattice:
    """A square of resistors around a square hole.

    Attributes
    ----------
    side, hole : int
        Nodes along the outer rim, and along the hole's.
    """

    side: int
    hole: int

    def operator(self) -> LinearOperator:
        """Return the map from potentials on the hole's rim to those on the outer rim."""
        side, low = self.side, (self.side - self.hole) // 2
        high = low + self.hole - 1
        inside = np.zeros((side, side), dtype=bool)
        inside[low + 1 : high, low + 1 : high] = True
        number = np.full((side, side), -1)
        number[~inside] = np.arange(np.count_nonzero(~inside))
        pairs = np.vstack(
            [
                np.column_stack([a.ravel(), b.ravel()])
                for a, b in ((number[1:], number[:-1]), (number.T[1:], number.T[:-1]))
            ]
        )
        pairs = pairs[(pairs >= 0).all(axis=1)]
        nodes = int(number.max()) + 1
        ones = np.ones(len(pairs))
        W = sp.csr_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(nodes, nodes))
        W = W + W.T
        L = sp.csc_array(sp.diags_array(W.sum(axis=1)) - W)  # Kirchhoff's law in every node
        inner, outer = number[tuple(rim(low, high).T)], number[tuple(rim(0, side - 1).T)]
        free = np.setdiff1d(np.arange(nodes), inner)
        solver = splu(sp.csc_array(L[free][:, free]))
        coupling = sp.csr_array(L[free][:, inner])
        place = np.searchsorted(free, outer)

        def forward(x: np.ndarray) -> np.ndarray:
            return solver.solve(np.asarray(-(coupling @ x)))[place]

        def adjoint(y: np.ndarray) -> np.ndarray:
            spread = np.zeros((len(free), *y.shape[1:]))
            spread[place] = y
            return np.asarray(-(coupling.T @ solver.solve(spread)))

        settings: dict[str, Any] = {"matvec": forward, "rmatvec": adjoint, "matmat": forward, "rmatmat": adjoint}
        return LinearOperator((len(outer), len(inner)), dtype=np.float64, **settings)


def main(small: bool, out: Path) -> Path:
    lattice = Lattice(60, 20) if small else Lattice(400, 134)
    operator = lattice.operator()
    m, n = operator.shape
    A = operator @ np.eye(n)  # to measure by; the library sees the operator only
    assert np.allclose(A.sum(axis=1), 1)
    y = np.random.default_rng(0).standard_normal(m)
    assert np.allclose(operator.rmatvec(y), A.T @ y)
    norm = np.linalg.norm(A, 2)
    A, operator = A / norm, operator * (1 / norm)
    s = np.linalg.svd(A, compute_uv=False)
    steps = min(60 if small else 150, n - 6)
    run = adaptive.adaptive_run(A, steps, Key(0))
    adaptive.check(s, run)
    bases = adaptive.library_bases(operator, A, s, TOLERANCES)
    print(f"{m} x {n}: error 1e-10 with {int(np.argmax(run.error < 1e-10))} columns, least {int(np.argmax(s < 1e-10))}")

    figure, (left, right) = style.panels(1, 2, height=3.3, width=7.2, width_ratios=[1, 1.7])
    low, side = (lattice.side - lattice.hole) // 2, lattice.side
    for first, last, colour in ((0, side - 1, style.RED), (low, low + lattice.hole - 1, style.BLUE)):
        closed = np.vstack([rim(first, last), [[first, first]]])
        left.fill(*closed.T, color="#e8ebef" if first == 0 else "white", zorder=1)
        left.plot(*closed.T, color=colour, linewidth=1.2, zorder=2)
    left.annotate(f"{n} nodes", (side / 2, side / 2), color=style.BLUE, ha="center", va="center", fontsize=8)
    left.annotate(f"{m} nodes", (side / 2, 0.06 * side), color=style.RED, ha="center", fontsize=8)
    left.set(aspect="equal", title="Resistor lattice", xticks=[0, side], yticks=[0, side])
    left.grid(visible=False)
    adaptive.draw(right, s, run, bases)
    return style.save(figure, out, "figure_7_4")


if __name__ == "__main__":
    style.command_line(__doc__, main)
