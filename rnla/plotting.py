"""Pictures of results, drawn with matplotlib without a window.

Needs the extra ``plot``; matplotlib is loaded when something is drawn.
"""

from __future__ import annotations

import io
import math
import textwrap
from typing import Any

import numpy as np

from rnla._version import __version__
from rnla._xp.linalg import host_values
from rnla.results import SVDResult, truncated_error
from rnla.results.spectrum import Spectrum

__all__ = ["SOFTWARE", "error_by_rank", "require_matplotlib", "scree_png", "spectrum_png"]

SOFTWARE = f"rnla {__version__}"  # in the metadata of each picture

_KEPT, _REST, _ERROR, _ASKED, _TEXT = "#1f5fa8", "#b9c4d0", "#c8502d", "#2f7d4f", "#4a4f57"


def require_matplotlib() -> None:
    """Raise an `ImportError` that names the extra unless matplotlib can be imported."""
    try:
        import matplotlib.figure  # noqa: F401
    except Exception as error:
        raise ImportError(
            f'drawing needs matplotlib, which cannot be imported ({error}): pip install "rnla[plot]"'
        ) from error


def error_by_rank(result: SVDResult) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the relative error, and its upper bound, of every rank up to the size of the basis.

    Parameters
    ----------
    result : SVDResult

    Returns
    -------
    value, upper : numpy.ndarray
        Entry k is for rank k; `upper` is nan where no bound is claimed.  The entry of the rank returned is the error
        of the result.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> value, upper = error_by_rank(rnla.svd(np.diag([4.0, 3.0, 0.0]), 2, rng=0))
    >>> [round(float(x), 3) for x in value[:3]]
    [1.0, 0.6, 0.0]
    """
    s, error = _singular_values(result), result.error
    if error.norm_of_A == 0:
        return np.zeros(len(s) + 1), np.zeros(len(s) + 1)
    if result.resume is None:
        made = [truncated_error(error, s, k) for k in range(len(s) + 1)]
        return np.array([e.value for e in made]), np.array([e.upper for e in made])
    share = s / error.norm_of_A
    if error.norm == "fro":
        tail = np.sqrt(np.append(np.cumsum((share**2)[::-1])[::-1], 0.0))
    else:
        tail = np.append(share, 0.0)
    value = np.hypot(error.residual / error.norm_of_A, tail)
    upper = np.hypot(error.residual_upper / error.norm_of_A, tail)
    return value, upper if not math.isnan(error.upper) else np.full_like(value, np.nan)


def spectrum_png(result: SVDResult, *, tol: float | None = None, title: str = "") -> bytes:
    """Draw the singular values, and the error by rank with the tolerance.

    Parameters
    ----------
    result : SVDResult
    tol : float, optional
        The tolerance that was asked, drawn as a line.
    title : str, optional
        What was factorized.

    Returns
    -------
    bytes
        A picture in the PNG format.

    Raises
    ------
    ImportError
        matplotlib is missing or broken; the message names the extra.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> spectrum_png(rnla.svd(np.diag(0.5 ** np.arange(30.0)), tol=1e-3), tol=1e-3)[1:4]
    b'PNG'
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 7.0), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    upper_axes, lower_axes = figure.subplots(2, 1, sharex=True)
    _draw_values(upper_axes, result)
    _draw_error(lower_axes, result, tol)
    for axes in (upper_axes, lower_axes):
        axes.axvline(result.rank, color=_TEXT, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
        axes.grid(axis="y", which="major", color="#e4e7eb", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color("#9aa1ab")
        axes.tick_params(which="both", colors=_TEXT, labelsize=9)
        axes.legend(
            fontsize=9, labelcolor=_TEXT, loc="upper right", framealpha=1, edgecolor="none", markerscale=1.6
        ).set_zorder(5)
    lower_axes.set_xlabel("rank", color=_TEXT)
    lower_axes.set_xlim(0, 1.04 * max(len(_singular_values(result)), 1))
    m, n = result.shape
    sizes = f"{m} × {n}, rank {result.rank}, {result.report.passes} passes over the matrix"
    certificate = textwrap.fill(f"error {result.error}", 104)
    upper_axes.set_title(
        _plain(f"{sizes}\n{certificate}"), loc="left", fontsize=9, color=_TEXT, pad=10, linespacing=1.5
    )
    heading = figure.suptitle(_plain(title or "Spectrum"), ha="left", fontsize=13, fontweight="bold", color="#20242a")
    figure.draw_without_rendering()  # so that the place of the axes is known
    heading.set_x(upper_axes.get_position().x0)
    target = io.BytesIO()
    figure.savefig(target, format="png", metadata={"Software": SOFTWARE})
    return target.getvalue()


def scree_png(spectrum: Spectrum, *, title: str = "") -> bytes:
    """Draw a spectrum with its bounds, and the cumulative share of the squared norm.

    Parameters
    ----------
    spectrum : Spectrum
    title : str, optional
        What was looked at.

    Returns
    -------
    bytes
        A picture in the PNG format.

    Raises
    ------
    ImportError
        matplotlib is missing or broken; the message names the extra.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> scree_png(rnla.spectrum(np.diag(0.5 ** np.arange(30.0)), 8))[1:4]
    b'PNG'
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 7.0), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    upper_axes, lower_axes = figure.subplots(2, 1, sharex=True)
    index = np.arange(1, len(spectrum.values) + 1)
    found = spectrum.singular_values
    seen = spectrum.values > np.finfo(np.float64).tiny
    lower = np.maximum(spectrum.lower, spectrum.values * 1e-3)  # a bound of zero has no place on a logarithmic axis
    upper_axes.vlines(
        index[seen], lower[seen], spectrum.upper[seen], color=_REST, linewidth=3, label="bounds", zorder=2
    )
    upper_axes.scatter(index[seen], spectrum.values[seen], s=14, color=_KEPT, linewidths=0, label="value", zorder=3)
    if found.next_upper > np.finfo(np.float64).tiny:
        upper_axes.axhline(
            found.next_upper, color=_ERROR, linewidth=1.2, linestyle=(0, (5, 3)), label="the rest, at most"
        )
    if seen.any():
        upper_axes.set_yscale("log")
        if spectrum.values[seen].max() < 30 * spectrum.values[seen].min():
            _plain_ticks(upper_axes)
    upper_axes.set_ylabel("singular value", color=_TEXT)
    least, most = 100 * spectrum.share_lower, 100 * spectrum.share_upper
    lower_axes.fill_between(index, least, most, color=_KEPT, alpha=0.25, linewidth=0, label="between the bounds")
    lower_axes.plot(index, least, color=_KEPT, linewidth=1.6, label="at least", zorder=3)
    lower_axes.set_ylabel("share of the squared norm, %", color=_TEXT)
    lower_axes.set_ylim(0, 103)
    for axes, place in ((upper_axes, "upper right"), (lower_axes, "lower right")):
        axes.grid(axis="y", which="major", color="#e4e7eb", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color("#9aa1ab")
        axes.tick_params(which="both", colors=_TEXT, labelsize=9)
        axes.legend(fontsize=9, labelcolor=_TEXT, loc=place, framealpha=1, edgecolor="none").set_zorder(5)
    lower_axes.set_xlabel("number of values", color=_TEXT)
    lower_axes.set_xlim(0, 1.04 * max(len(index), 1))
    m, n = found.shape
    chance = found.failure_probability
    hold = f"the bounds hold but with probability {chance:.0e}" if chance else "the bounds hold always"
    upper_axes.set_title(
        f"{m} × {n}, {found.report.passes} passes; {hold}", loc="left", fontsize=9, color=_TEXT, pad=10
    )
    heading = figure.suptitle(_plain(title or "Spectrum"), ha="left", fontsize=13, fontweight="bold", color="#20242a")
    figure.draw_without_rendering()
    heading.set_x(upper_axes.get_position().x0)
    target = io.BytesIO()
    figure.savefig(target, format="png", metadata={"Software": SOFTWARE})
    return target.getvalue()


def _singular_values(result: SVDResult) -> np.ndarray[Any, Any]:
    """Return all the singular values that are known, those past the rank returned too, in the scale of the matrix."""
    if result.resume is None:
        return host_values(result.s).astype(np.float64)
    return np.ldexp(np.asarray(result.resume.singular_values, dtype=np.float64), result.resume.exponent)


def _plain(text: str) -> str:
    """Return text in which matplotlib finds no mathematics."""
    return text.replace("$", r"\$")


def _draw_values(axes: Any, result: SVDResult) -> None:
    s = _singular_values(result)
    seen = s > (np.finfo(np.float64).tiny if not len(s) else max(float(s[0]) * 1e-18, np.finfo(np.float64).tiny))
    index = np.arange(1, len(s) + 1)
    size = 16.0 if len(s) <= 80 else 5.0
    kept, rest = seen & (index <= result.rank), seen & (index > result.rank)
    axes.scatter(index[kept], s[kept], s=size, color=_KEPT, linewidths=0, label="returned", zorder=3)
    if rest.any():
        axes.scatter(index[rest], s[rest], s=size, color=_REST, linewidths=0, label="found, not returned", zorder=2)
    if seen.any():
        axes.set_yscale("log")
        if s[seen].max() < 30 * s[seen].min():
            _plain_ticks(axes)
    axes.set_ylabel("singular value", color=_TEXT)


def _draw_error(axes: Any, result: SVDResult, tol: float | None) -> None:
    value, upper = error_by_rank(result)
    error = result.error
    ranks = np.arange(len(value))
    positive = value[value > 1e-18]
    logarithmic = len(positive) > 0 and positive.min() < 0.05
    axes.set_yscale("log" if logarithmic else "linear")
    shown = value > 1e-18 if logarithmic else np.ones(len(value), dtype=bool)
    axes.plot(ranks[shown], value[shown], color=_ERROR, linewidth=1.8, label=f"error by rank, {error.kind}", zorder=3)
    if np.any(upper > value * (1 + 1e-9)):
        label = f"bound, but with probability {error.failure_probability:.0e}"
        axes.fill_between(ranks, value, upper, where=shown, color=_ERROR, alpha=0.18, linewidth=0, label=label)
    if tol is not None:
        axes.axhline(tol, color=_ASKED, linewidth=1.4, linestyle=(0, (5, 3)), label=f"tolerance {tol:g}", zorder=2)
    if error.value > 1e-18 or not logarithmic:
        axes.plot([result.rank], [error.value], "o", color=_ERROR, markersize=6.5, markeredgecolor="white", zorder=4)
        # The curve falls: above it to the right, and below it to the left, is room.
        right = result.rank <= 0.7 * max(len(value) - 1, 1)
        axes.annotate(
            f"rank {result.rank}: error {error.value:.4g}",
            (result.rank, error.value),
            xytext=(7, 8) if right else (-7, -15),
            textcoords="offset points",
            fontsize=9,
            color=_ERROR,
            ha="left" if right else "right",
            zorder=4,
        )
    if not logarithmic:
        drawn = value if tol is None else np.append(value, tol)
        low, high = float(drawn.min(initial=1.0)), float(drawn.max(initial=0.0))
        axes.set_ylim(max(0.0, low - 0.25 * (high - low)), high + 0.06 * (high - low) + 1e-12)
    norm = "Frobenius" if error.norm == "fro" else "spectral"
    axes.set_ylabel(f"relative {norm} error", color=_TEXT)


def _plain_ticks(axes: Any) -> None:
    """Write the ticks of a short logarithmic axis as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 3, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
