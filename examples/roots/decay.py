"""Why small rank is enough: the eigenvalues of the correction against their bound, and the residual step by step.

    python -m examples.roots.decay [--small] [--out FOLDER]

Diagonal A with eigenvalues spaced evenly in their logarithms between 1 and its condition number, and a generated
normal D of 3 columns; for the downdate D is scaled so that norm(A^{-1/2} D)^2 = 0.9.  With lo and hi the square roots
of the smallest and largest eigenvalue of A and B = A + sign D D^T, the k j + 1st eigenvalue of the correction is at
most 4 exp(-pi^2 j / log(4 hi / lo)) of the largest.

Checked: every eigenvalue above rounding is under the bound; shifted solves, chosen as the iteration goes or in advance,
reach the tolerance in no more steps than one and a half times those that the bound asks for; and a Krylov space of
products alone, of three times as many blocks, is behind them from a condition of 1e4 on.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np

import rnla
from examples.pictures import style

CONDITIONS = (1e2, 1e4, 1e6)
COLUMNS = 3
TOL = 1e-13  # the default
NAMES = {1: "update", -1: "downdate"}


@dataclasses.dataclass(frozen=True)
class Case:
    """A root and a change of it.

    Attributes
    ----------
    h : numpy.ndarray, shape (n,)
        The diagonal of the root.
    D : numpy.ndarray, shape (n, 3)
    sign : int
    lo, hi : float
        Bounds on the eigenvalues of the roots of A and of B.
    """

    h: np.ndarray
    D: np.ndarray
    sign: int
    lo: float
    hi: float

    def bound(self, j: np.ndarray) -> np.ndarray:
        """Return the bound after j blocks of as many values as D has columns, relative to the largest."""
        return 4 * np.exp(-(math.pi**2) * j / math.log(4 * self.hi / self.lo))


def case(n: int, condition: float, sign: int) -> Case:
    """Return a case of the module's family; the spectrum of B comes from a dense decomposition."""
    h = np.sqrt(np.geomspace(1, condition, n))
    D = np.random.default_rng(0).standard_normal((n, COLUMNS))
    if sign < 0:
        D *= math.sqrt(0.9) / np.linalg.norm(D / h[:, None], 2)
    values = np.linalg.eigvalsh(np.diag(h**2) + sign * D @ D.T)
    return Case(h, D, sign, math.sqrt(min(1, values[0])), math.sqrt(max(condition, values[-1])))


def sizes(one: Case) -> np.ndarray:
    """Return the eigenvalues of the correction, by descending modulus and relative to the largest."""
    w = np.abs(rnla.sqrtm_update(one.h, one.D, sign=one.sign, rng=0).w)
    return w / w[0]


def check_decay(one: Case, w: np.ndarray) -> None:
    """Raise where an eigenvalue above rounding is not under the bound."""
    rounding = 50 * np.finfo(float).eps * one.hi**2 / one.lo / np.linalg.norm(one.D, 2)
    above = w > rounding
    assert above.sum() >= 8
    assert np.all(w[above] <= one.bound(np.arange(len(w)) // COLUMNS)[above])


def residuals(one: Case, blocks: list[int]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return steps and relative residuals of each method."""
    found = {}
    for name, method in (
        ("shifts chosen on the way", rnla.ShiftADI()),
        ("elliptic shifts", rnla.ShiftADI(shifts="elliptic", interval=(one.lo, one.hi))),
    ):
        history = rnla.sqrtm_update(one.h, one.D, sign=one.sign, method=method, rng=0).history
        found[name] = np.arange(len(history)), np.array(history)
    last = [
        rnla.sqrtm_update(
            one.h, one.D, sign=one.sign, method=rnla.KrylovGalerkin(blocks=b), rng=0, on_failure="return"
        ).history[-1]
        for b in blocks
    ]
    shown = 1 + next((i for i, value in enumerate(last) if value <= TOL), len(last) - 1)
    found["products alone (Krylov)"] = np.array(blocks[:shown]), np.array(last[:shown])
    return found


def check_steps(one: Case, condition: float, found: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Raise where the methods do not behave as the module says."""
    needed = math.log(4 * one.hi / one.lo) * math.log(4 / TOL) / math.pi**2
    (_, adaptive), (_, elliptic), (blocks, krylov) = found.values()
    for history in (adaptive, elliptic):
        assert history[-1] <= TOL
        assert len(history) - 1 <= 1.5 * needed
    if condition >= 1e4:
        behind = krylov[blocks <= 3 * (len(adaptive) - 1)]
        assert behind.min() > 10 * adaptive[-1]


def main(small: bool, out: Path) -> Path:
    n, many, blocks = 300, 800 if small else 3000, [1, 2, 4, 8, 16, 24, 32, 48, 64]
    figure, axes = style.panels(2, 3, width=9.2, height=6.0, sharey="row")
    for column, condition in enumerate(CONDITIONS):
        top, bottom = axes[:, column]
        power = f"$10^{{{round(math.log10(condition))}}}$"
        for sign, colour, marker in ((1, style.BLUE, "o"), (-1, style.RED, "s")):
            one = case(n, condition, sign)
            w = sizes(one)
            check_decay(one, w)
            places = np.arange(1, len(w) + 1)
            top.semilogy(places, w, marker, color=colour, markersize=3, label=f"{NAMES[sign]}, rank {len(w)}")
            bound = one.bound((places - 1) // COLUMNS)
            top.step(places, bound, where="mid", color=colour, linewidth=1, label=f"bound, {NAMES[sign]}")
            print(f"condition {condition:.0e}, {NAMES[sign]:>8}: rank {len(w)}, from 3 columns")
        top.set(title=f"condition of A: {power}", xlabel="number of the eigenvalue", ylim=(1e-13, 10))
        top.legend(loc="upper right")

        one = case(many, condition, 1)
        found = residuals(one, blocks)
        check_steps(one, condition, found)
        looks = ((style.BLUE, "o", "-"), (style.GREEN, "^", "--"), (style.ORANGE, "D", ":"))
        for (name, (steps, history)), (colour, marker, line) in zip(found.items(), looks, strict=True):
            shown = np.maximum(history, 1e-16)
            bottom.semilogy(steps, shown, color=colour, marker=marker, linestyle=line, markersize=3, label=name)
        steps = np.arange(1, 31)
        bottom.semilogy(steps, one.bound(steps), color=style.BLACK, linewidth=1, label="the bound above, at each step")
        bottom.set(xlabel="steps, or blocks of products", xlim=(-1, 66), ylim=(1e-16, 10))
        counts = [len(history) - 1 for _, history in list(found.values())[:2]]
        print(f"condition {condition:.0e}: {counts[0]} steps, {counts[1]} with elliptic shifts")
    axes[0, 0].set_ylabel("eigenvalue of the correction\nover the largest")
    axes[1, 0].set_ylabel(r"backward error over $\Vert B\Vert$")
    handles, names = axes[1, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4)
    figure.suptitle(
        f"The correction of a square root after $\\pm DD^T$, $D$ of {COLUMNS} columns: its eigenvalues (n = {n}), "
        f"and the way to it (n = {many})",
        x=0.02, ha="left", fontsize=10,
    )  # fmt: skip
    return style.save(figure, out, "roots_decay")


if __name__ == "__main__":
    style.command_line(__doc__, main)
