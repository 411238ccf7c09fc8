"""Figure 7.3: the error estimate of the adaptive range finder against the error, over many trials.

    python -m examples.halko_martinsson_tropp.figure_7_3 [--small] [--out FOLDER]

The matrix of figure 7.2; each trial is one run of Algorithm 4.2, looked at after 25, 50, 75 and 100 columns. 2000
trials, or 20.

Checked: equation (4.3) in every trial (it may fail once in 10^5), the estimate 8 to 25 times the error in the median
while the error is above rounding, and the error at most 15 times the singular value after, in the mean.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from examples.halko_martinsson_tropp.adaptive import adaptive_run
from examples.halko_martinsson_tropp.laplace import single_layer
from examples.pictures import style
from rnla.rng import Key

COLUMNS = [25, 50, 75, 100]


def check(s: np.ndarray, errors: np.ndarray, estimates: np.ndarray) -> None:
    """Raise where the clouds do not lie where the theory puts them; arrays are (trials, 4)."""
    assert np.all(estimates >= errors)
    for i, size in enumerate(COLUMNS[:3]):  # at 100 columns the error is rounding
        assert 8 <= np.median(estimates[:, i] / errors[:, i]) <= 25
        assert s[size] * (1 - 1e-3) <= errors[:, i].min()
        assert errors[:, i].mean() <= 15 * s[size]


def main(small: bool, out: Path) -> Path:
    A, trials = single_layer(), 20 if small else 2000
    s = np.linalg.svd(A, compute_uv=False)
    runs = [adaptive_run(A, COLUMNS[-1], Key(0).child("trial", i), watch=COLUMNS) for i in range(trials)]
    errors = np.array([run.error[COLUMNS] for run in runs])
    estimates = np.array([run.estimate[COLUMNS] for run in runs])
    check(s, errors, estimates)
    for i, size in enumerate(COLUMNS):
        ratio = np.median(estimates[:, i] / errors[:, i])
        print(f"l = {size:>3}: error {np.median(errors[:, i]):.1e}, {ratio:.0f} times less than its estimate (medians)")

    figure, axes = style.panels(2, 2, width=6.6, height=5.6)
    for i, (axis, size) in enumerate(zip(axes.flat, COLUMNS, strict=True)):
        e, f = errors[:, i], estimates[:, i]
        axis.loglog(e, f, ".", color=style.BLUE, markersize=3, alpha=0.8 if small else 0.35, rasterized=True)
        low, high = min(e.min() / 1.5, s[size] / 1.3), e.max() * 1.5
        line = np.array([low, high])
        axis.loglog(line, line, color=style.BLACK, linewidth=1, label=r"$f=e$")
        axis.loglog(line, 10 * line, color=style.RED, linewidth=1, linestyle="--", label=r"$f=10\,e$")
        axis.axvline(s[size], color=style.GREEN, linewidth=1, linestyle=":", label=r"$\sigma_{\ell+1}$")
        axis.set(title=rf"$\ell={size}$", xlabel=r"error $e_\ell$", ylabel=r"estimate $f_\ell$")
        axis.set(xlim=(low, high), ylim=(e.min() / 1.5, f.max() * 1.6))
    handles, names = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper right", ncols=3)
    figure.suptitle(f"Estimate against error, {trials} trials", x=0.02, ha="left", fontsize=10)
    return style.save(figure, out, "figure_7_3")


if __name__ == "__main__":
    style.command_line(__doc__, main)
