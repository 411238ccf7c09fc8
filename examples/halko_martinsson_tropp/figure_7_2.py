"""Figure 7.2: the adaptive range finder on a matrix whose singular values fall exponentially.

    python -m examples.halko_martinsson_tropp.figure_7_2 [--small] [--out FOLDER]

Algorithm 4.2, with r = 5, on the 200 x 200 matrix of a single-layer potential between two contours, scaled to norm 1.
Drawn over the number l of columns: the estimate f_l of equation (4.3), the error e_l, and the least error that l
columns can have, the singular value s_(l+1).  The circles are bases that `rnla.svd` found by `AdaptiveSampling`, the
library's Algorithm 4.2, for tolerances from 1e-2 to 1e-12: their own bound, and their error.

Checked: the singular values lie at the paper's levels; the error is never under the least one and within two decades
of it, one in the median; the estimate is never under the error, and 8 to 25 times it in the median; the error
levels off at rounding.  The library's bases: the error under the bound and, as above, near the least one, and the
answer within the tolerance.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from examples.halko_martinsson_tropp import adaptive
from examples.halko_martinsson_tropp.laplace import LEVELS, contours, single_layer
from examples.pictures import style
from rnla.rng import Key

TOLERANCES = [1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12]


def check(s: np.ndarray, run: adaptive.Run) -> None:
    """Raise where the curves do not have the shape of the paper's."""
    for index, level in LEVELS.items():
        assert abs(np.log10(s[index - 1]) - level) < 0.1, (index, s[index - 1])
    adaptive.check(s, run)
    down = int(np.argmax(s < adaptive.ROUNDING))
    floor = run.error[down + 20 :]
    assert floor.size > 0, "the run ends before the error is down at rounding"
    assert floor.max() < adaptive.ROUNDING


def main(small: bool, out: Path) -> Path:
    A, steps = single_layer(), 130 if small else 150
    s = np.linalg.svd(A, compute_uv=False)
    run = adaptive.adaptive_run(A, steps, Key(0))
    check(s, run)
    bases = adaptive.library_bases(A, A, s, TOLERANCES)
    ratio = np.median(run.estimate[:80] / run.error[:80])
    print(f"errors 1e-5, 1e-10 at l = {np.argmax(run.error < 1e-5)}, {np.argmax(run.error < 1e-10)}; f/e {ratio:.1f}")

    figure, (left, right) = style.panels(1, 2, height=3.3, width=7.2, width_ratios=[1, 1.7])
    for nodes, colour, name in zip(contours(), (style.BLUE, style.RED), (r"$\Gamma_1$", r"$\Gamma_2$"), strict=True):
        closed = np.vstack([nodes, nodes[:1]])
        left.plot(*closed.T, color=colour, linewidth=1.2)
        left.annotate(name, nodes[25], xytext=(5, 4), textcoords="offset points", color=colour, fontsize=11)
    left.set(aspect="equal", title="Contours", xticks=[-2, 0, 2], yticks=[-2, 0, 2])
    left.grid(visible=False)
    adaptive.draw(right, s, run, bases)
    return style.save(figure, out, "figure_7_2")


if __name__ == "__main__":
    style.command_line(__doc__, main)
