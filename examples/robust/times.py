"""Time and entries read as the matrix grows, up to a matrix that is never formed.

    python -m examples.robust.times [--small] [--out FOLDER]

The papers' model, generated, of rank 5 with 20 percent of outliers, n x n.  RieCUR and IRCUR read a function of the
indices that makes the entries it is asked for (and spend most of their time there); AccAltProj and principal component
pursuit read arrays.

Checked: every answer is right to 1e-6; RieCUR and IRCUR read, in an iteration, entries in proportion to n log n, and
AccAltProj n^2 (counts; times are reported).
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np

import rnla
from examples.pictures import style
from examples.robust.model import OnDemand, drawn, factors, logarithms

RANK, SHARE = 5, 0.2


@dataclasses.dataclass(frozen=True)
class Point:
    """One run.

    Attributes
    ----------
    n : int
    seconds : float
        Entries made on demand included, the making of an array not.
    entries : float
        Read in an iteration.
    error : float
        Of L, relative.
    """

    n: int
    seconds: float
    entries: float
    error: float


def run(method: str, n: int) -> Point:
    """Return how a method does on a matrix of size n."""
    if method in ("riecur", "ircur"):
        truth = factors(n, n, RANK, 0)
        D = OnDemand(truth, SHARE)
    else:
        truth, D = drawn(n, RANK, SHARE)
    rank = None if method == "pcp" else RANK
    start = time.perf_counter()
    result = rnla.robust_pca(D, rank, method=method, rng=0)
    seconds = time.perf_counter() - start
    read = float(np.diff(result.trace[:, 3]).mean())
    return Point(n, seconds, read, truth.error(result))


def check(found: dict[str, list[Point]]) -> None:
    """Raise unless the runs are as the module says."""
    for name, points in found.items():
        assert max(point.error for point in points) < 1e-6, name
        if len(points) > 1:
            law = logarithms if name in ("RieCUR", "IRCUR") else lambda n: float(n) ** 2
            shares = [point.entries / law(point.n) for point in points]
            assert max(shares) < 1.05 * min(shares), (name, shares)


def main(small: bool, out: Path) -> Path:
    sizes = {
        "RieCUR": ("riecur", [1000, 2000, 4000] if small else [1000, 2000, 4000, 8000, 16000, 32000, 64000]),
        "IRCUR": ("ircur", [1000, 2000, 4000] if small else [1000, 2000, 4000, 8000, 16000, 32000, 64000]),
        "AccAltProj": ("accaltproj", [500, 1000] if small else [1000, 2000, 4000, 8000]),
        "principal component pursuit": ("pcp", [200] if small else [250, 500, 1000]),
    }
    rnla.robust_pca(drawn(300, 2, 0.1)[1], 2, rng=0)  # the first call loads what it needs
    found = {name: [run(method, n) for n in many] for name, (method, many) in sizes.items()}
    for name, points in found.items():
        for point in points:
            print(
                f"  {name:<28} n = {point.n:6d}: {point.seconds:7.2f} s, {point.entries:.1e} entries an iteration, "
                f"error {point.error:.1e}"
            )
    check(found)

    figure, (left, right) = style.panels(1, 2, width=8.2, height=3.6)
    for k, (name, points) in enumerate(found.items()):
        look = {"color": style.SERIES[k], "marker": style.MARKERS[k], "label": name}
        n = [point.n for point in points]
        left.loglog(n, [point.seconds for point in points], **look)
        right.loglog(n, [point.entries for point in points], **look)
    n = np.array([point.n for point in found["RieCUR"]], dtype=float)
    first = found["RieCUR"][0].entries
    for power, line, label in ((1, "--", r"$n\,\log n$"), (2, ":", r"$n^2$")):
        law = n**power * (np.log(n) if power == 1 else 1)
        right.loglog(n, 2.2 * first * law / law[0], line, color=style.BLACK, linewidth=1, label=label)
    every = sorted({point.n for points in found.values() for point in points})
    for axis in (left, right):
        axis.set_xticks(every, [f"{n:,}" for n in every], rotation=35)
        axis.minorticks_off()
    left.set(xlabel="n", ylabel="seconds", title="Time to an error below 1e-6")
    right.set(xlabel="n", ylabel="entries", title="Entries read in an iteration")
    handles, names = right.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3)
    figure.suptitle(f"Generated n x n matrices of rank {RANK}, {SHARE:.0%} of outliers", x=0.01, ha="left", fontsize=10)
    return style.save(figure, out, "robust_times")


if __name__ == "__main__":
    style.command_line(__doc__, main)
