"""One look for all figures, and the command line that the scripts share."""

from __future__ import annotations

import argparse
import importlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from threadpoolctl import threadpool_limits

# Okabe and Ito's colours, which can be told apart without red or green; each has its marker and its line.
BLACK, ORANGE, SKY, GREEN, BLUE, RED, PINK = "#222222", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7"
SERIES = (BLUE, RED, GREEN, PINK, ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")

LOOK = {
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e6ea",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "mathtext.fontset": "cm",
}


def panels(rows: int = 1, columns: int = 1, width: float = 6.3, height: float = 3.7, **settings: Any) -> Any:
    """Return a figure in the common look, and its axes; sizes in inches."""
    mpl.rcParams.update(LOOK)
    return plt.subplots(rows, columns, figsize=(width, height), layout="constrained", **settings)


def save(figure: Any, out: Path, name: str) -> Path:
    """Write the figure as a picture in a folder, and return its path."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.png"
    figure.savefig(path)
    plt.close(figure)
    return path


def all_of(package: ModuleType) -> Callable[[bool, Path], Path]:
    """Return what runs every script that the table in a package's docstring names, one after another."""

    def main(small: bool, out: Path) -> Path:
        for script in re.findall(r"^\| `(\w+)`", package.__doc__ or "", re.MULTILINE):
            start = time.perf_counter()
            print(f"{script}:")
            path = importlib.import_module(f"{package.__name__}.{script}").main(small, out)
            print(f"  {path}, {time.perf_counter() - start:.0f} s\n")
        return out

    return main


def command_line(document: str | None, main: Callable[[bool, Path], Path]) -> None:
    """Run a script as it was called: --small for seconds instead of minutes, --out for the folder."""
    parser = argparse.ArgumentParser(description=document, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a few seconds instead of minutes")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the picture (default: here)")
    given = parser.parse_args()
    with threadpool_limits(1):  # the matrices are small, and threads would wait for each other
        print(f"drawn in {main(given.small, given.out)}")
