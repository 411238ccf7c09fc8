"""The results of `benchmarks.speed` for a person: the table of one case, and a picture of its error-time curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.contenders import PEERS

__all__ = ["draw", "table"]


def table(name: str, result: dict[str, Any]) -> str:
    """Return the rows of one case."""
    peak = result["ceilings"]
    head = f"{name}: {result['case']} {result['spectrum']}, rank {result['rank']}, {result['dtype']}"
    lines = [f"{head}, {result['threads']} threads, kernels {result['kernels']}"]
    head = f"  peak {peak['flops'] / 1e9:.0f} Gflop/s by {peak['by']}, reads {peak['bandwidth'] / 1e9:.0f} GB/s"
    lines.append(f"{head}; took {result['seconds']:.0f} s, {result['disturbed']} runs repeated")
    head = f"  {'peer':<42}{'ms':>8}{'excess':>9}{'sv err':>9}   {'ours under that':<18}"
    lines.append(f"{head}{'ms':>8}{'excess':>9}{'sv err':>9}{'faster':>8}{'share':>7}   {'default':>8}")
    for peer, row in result["rows"].items():
        found, ours, default = row["peer"], row["ours"], row["default"]
        once = " (once)" if found["runs"] == 1 else ""
        line = f"  {peer + once:<42}{1e3 * found['seconds']:8.0f}{found['excess']:9.0e}{found['value']:9.0e}   "
        if ours is None:
            line += f"{'none':<18}{'':>41}"
        else:
            line += f"{ours['rung'] or 'default':<18}{1e3 * ours['seconds']:8.0f}{ours['excess']:9.0e}"
            line += f"{ours['value']:9.0e}{ours['ratio']:7.2f}x{ours['share']:7.2f}"
        lines.append(f"{line}   {default['ratio']:7.2f}x{'' if default['under'] else ' at a larger error'}")
    d = result["default"]
    errors = f"excess {d['excess']:.0e}, sv err {d['value']:.0e}"
    text = f"{1e3 * d['seconds']:.0f} ms, {errors}; {d['method']}, {d['products']} products in {d['passes']} passes"
    lines.append(f"  rnla.svd(A, k): {text}")
    return "\n".join(lines)


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw error against time: further left is faster, further down is better."""
    try:
        import matplotlib as mpl
    except ImportError:
        return
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained", sharex=True)
    for axis, key, label in (
        (axes[0], "excess", "Frobenius excess over the optimum"),
        (axes[1], "value", "worst error of a singular value"),
    ):
        for i, (name, runs) in enumerate(result["curves"].items()):
            found = sorted((1e3 * run["seconds"], max(run[key], 1e-16)) for run in runs if "failed" not in run)
            if not found:
                continue
            if name == "rnla":
                axis.plot(*zip(*_front(found), strict=True), color="black", linewidth=1.8, zorder=3)
                axis.plot(*zip(*found, strict=True), ".", color="black", markersize=3, label="rnla", zorder=3)
            else:
                style = {"color": f"C{i}", "linewidth": 1.0, "markersize": 4}
                axis.plot(*zip(*found, strict=True), "o-", label=PEERS[name].text, **style)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("milliseconds")
        axis.set_title(label, fontsize=9)
        axis.grid(alpha=0.3)
    figure.legend(*axes[1].get_legend_handles_labels(), fontsize=7, loc="outside right upper")
    head = f"{result['case']} {result['spectrum']}, rank {result['rank']}, {result['dtype']}"
    figure.suptitle(f"{head}, {result['threads']} threads", fontsize=10)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _front(found: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that nothing faster is better than, left to right."""
    front: list[tuple[float, float]] = []
    for seconds, error in found:
        if not front or error < front[-1][1]:
            front.append((seconds, error))
    return front
