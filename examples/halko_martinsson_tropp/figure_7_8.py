"""Figure 7.8: the error of the range finder by the kind of its test matrix.

    python -m examples.halko_martinsson_tropp.figure_7_8 [--small] [--out FOLDER]

The matrix of figure 7.2; in each trial one test matrix of 100 columns of each of four kinds, whose first 25, 50 and 75
columns are test matrices of those sizes: Gaussian; orthonormal and uniformly distributed (Haar); the subsampled random
Fourier transform (SRFT); and the same behind two chains of random rotations (GSRFT, section 4.6).  2000 trials, or 20.

The error is that of Algorithm 4.1.  A is taken in the coordinates of its first 115 singular vectors, which leaves
out less than rounding.

Checked: Theorem 9.1, a bound without probability, in every trial; the mean error at most 15 times the singular value
after; and the four kinds within a factor of two of each other in the median.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.stats import gaussian_kde

from examples.halko_martinsson_tropp.laplace import single_layer
from examples.pictures import style
from rnla.rng import Key
from rnla.sketch import SRTT, Gaussian, GivensSRTT

COLUMNS = [25, 50, 75, 100]
KEPT = 115
ROUNDING = 1e-14
Draw = Callable[[int, int, Key], np.ndarray]
SRFT, GSRFT = SRTT("fourier", permute=False), GivensSRTT("fourier")


def gaussian(n: int, size: int, key: Key) -> np.ndarray:
    """Return independent standard normal entries."""
    return Gaussian().tile(0, n, n, size, key)


def haar(n: int, size: int, key: Key) -> np.ndarray:
    """Return orthonormal columns, uniformly distributed but for signs, which do not change a range."""
    return np.linalg.qr(gaussian(n, size, key))[0]


def srft(n: int, size: int, key: Key) -> np.ndarray:
    """Return D F R, the subsampled random Fourier transform; its scale does not change a range."""
    return SRFT.tile(0, n, n, size, key, dtype=np.complex128)


def gsrft(n: int, size: int, key: Key) -> np.ndarray:
    """Return D'' G' D' G D F R with chains G and G' of rotations and random unit factors D' and D''."""
    return GSRFT.tile(0, n, n, size, key, dtype=np.complex128)


KINDS: dict[str, Draw] = {"Gaussian": gaussian, "Haar": haar, "SRFT": srft, "GSRFT": gsrft}


def errors_of(s: np.ndarray, small_omega: np.ndarray) -> np.ndarray:
    """Return the errors for the first 25, 50, 75 and 100 columns of V* Omega, where A = diag(s) V*."""
    Q = np.linalg.qr(s[:, None] * small_omega)[0]
    out = []
    for size in COLUMNS:
        basis = Q[:, :size]
        residual = np.diag(s) - basis @ (basis.conj().T * s)
        out.append(np.linalg.norm(residual, 2))
    return np.array(out)


def bound(s: np.ndarray, small_omega: np.ndarray, k: int) -> float:
    """Return the bound of Theorem 9.1 on the error, (s_(k+1)^2 + |S2 Omega2 pinv(Omega1)|^2)^(1/2)."""
    inner = np.linalg.lstsq(small_omega[:k].conj().T, (s[k:, None] * small_omega[k:]).conj().T, rcond=None)[0]
    return float(np.hypot(s[k], np.linalg.norm(inner, 2)))


def check(s: np.ndarray, errors: dict[str, np.ndarray]) -> None:
    """Raise where the densities do not lie where they should; an array of (trials, 4) for each kind."""
    for i, size in enumerate(COLUMNS[:3]):  # at 100 columns the error is rounding
        medians = [float(np.median(values[:, i])) for values in errors.values()]
        assert max(medians) <= 2 * min(medians), (size, medians)
        for name, values in errors.items():
            assert values[:, i].min() >= s[size] * (1 - 1e-3), (name, size)
            assert values[:, i].mean() <= 15 * s[size], (name, size)


def main(small: bool, out: Path) -> Path:
    A, trials = single_layer(), 20 if small else 2000
    n = A.shape[1]
    _, s, Vh = np.linalg.svd(A)
    errors = {name: np.zeros((trials, len(COLUMNS))) for name in KINDS}
    s = s[:KEPT]
    for name, draw in KINDS.items():
        for trial in range(trials):
            omega = Vh[:KEPT] @ draw(n, COLUMNS[-1], Key(0).child(name, trial))
            errors[name][trial] = errors_of(s, omega)
            for i, size in enumerate(COLUMNS[:3]):
                assert errors[name][trial, i] <= bound(s, omega[:, :size], size - 10) + ROUNDING
        print(f"{name:<9}" + "  ".join(f"{value:.1e}" for value in np.median(errors[name], axis=0)) + "  (medians)")
    check(s, errors)

    figure, axes = style.panels(2, 2, width=7.0, height=5.2)
    for i, (axis, size) in enumerate(zip(axes.flat, COLUMNS, strict=True)):
        low = min(values[:, i].min() for values in errors.values())
        high = max(np.quantile(values[:, i], 0.998) for values in errors.values())
        grid = np.linspace(np.log10(low) - 0.1, np.log10(high) + 0.1, 400)
        for row, (name, values) in enumerate(errors.items()):
            density = gaussian_kde(np.log10(values[:, i]))(grid)
            line = ("-", "--", "-.", ":")[row]
            axis.semilogx(10**grid, density, color=style.SERIES[row], linestyle=line, label=name)
        if size < COLUMNS[-1]:
            axis.axvline(s[size], color=style.BLACK, linewidth=1, label=r"$\sigma_{\ell+1}$")
        axis.set(title=rf"$\ell={size}$", xlabel=r"error $e_\ell$", ylabel=r"density of $\log_{10}e_\ell$")
        axis.set_ylim(bottom=0)
    handles, names = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper right", ncols=5)
    figure.suptitle(f"Error by test matrix, {trials} trials", x=0.02, ha="left", fontsize=10)
    return style.save(figure, out, "figure_7_8")


if __name__ == "__main__":
    style.command_line(__doc__, main)
