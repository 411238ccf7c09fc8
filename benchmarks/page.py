"""Write what the benchmarks found into the page: tables and pictures of docs/performance.md.

    python -m benchmarks.page [--found build/benchmarks] [--page docs/performance.md]

Takes the JSON files of a folder; each part of the page stands between two marks and is written where its files are
there, with the machine and the date of the run.  Parts without files stay as they are.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import timing
from benchmarks.speed import TABLE

Found = dict[str, Any]
PICTURES = {
    "speed-square-slow-50-float64-2t.png": "error-time-square.png",
    "error_vs_passes-square-slow-50.png": "error-passes.png",
}


def machine_text(about: Found) -> str:
    """Return where and when in one paragraph."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    load = "" if about["load"] is None else f", load {about['load'][0]:.1f}"
    place = f"{about['processor']}, {about['cpus']} processors, {about['memory_gb']:.0f} GB, {about['system']}"
    return f"{place}{load}; Python {about['python']}, {versions}; {about['date']}."


def _cells(*cells: Any) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _times(row: Found | None) -> str:
    """Return how many times faster ours is than a peer, at no larger error."""
    if row is None or row["ours"] is None:
        return "–"
    return f"{row['ours']['ratio']:.1f}{'¹' if row['peer']['runs'] == 1 else ''}"


def speed(found: dict[str, Found]) -> list[str]:
    """Return the table of truncated SVDs: how many times faster than each peer at its error."""
    order = ["-".join(str(part) for part in case if part) for case in TABLE]
    known = [(name, data["results"]) for name, data in found.items() if name.startswith("speed-")]
    known.sort(key=lambda pair: next((i for i, name in enumerate(order) if pair[0][6:].startswith(name)), len(order)))
    head = ("case", "k", "threads", "torch, niter=7", "torch", "sklearn, as installed", "sklearn, best", "fbpca")
    lines = [_cells(*head, "exact peer", "setting against torch niter=7", "ms", "share of floor", "`rnla.svd(A, k)`")]
    lines.append(_cells(*["---"] * (len(head) + 5)))
    for _, result in known:
        rows = result["rows"]

        def best(prefix: str, rows: Found = rows) -> Found | None:
            same = [row for name, row in rows.items() if name.startswith(prefix)]
            return min(same, key=lambda row: row["peer"]["seconds"], default=None)

        installed = next((row for name, row in rows.items() if "as installed" in name and "sklearn" in name), None)
        seven, exact = best("torch svd_lowrank, niter=7"), [best("svds arpack"), best("svds propack")]
        exact = [row for row in exact if row]
        plain = [row for name, row in rows.items() if name.startswith("torch") and "niter" not in name]
        nearest = seven or best("sklearn") or {"ours": None}
        ours, default = nearest["ours"], result["default"]
        dtype = "" if result["dtype"] == "float64" else ", fp32"
        kernels = ", plain" if str(result["kernels"]).startswith("plain") else ""
        lines.append(_cells(
            f"{result['case']} {result['spectrum']}{dtype}{kernels}", result["rank"], result["threads"], _times(seven),
            _times(plain[0] if plain else None), _times(installed), _times(best("sklearn")), _times(best("fbpca")),
            _times(min(exact, key=lambda row: row["peer"]["seconds"], default=None)),
            ours["rung"] or "default" if ours else "–", f"{1e3 * ours['seconds']:.0f}" if ours else "–",
            f"{ours['share']:.2f}" if ours else "–",
            f"{1e3 * default['seconds']:.0f} ms; {max(default['excess'], 0):.0e}, {default['value']:.0e}",
        ))  # fmt: skip
    return lines if known else []


def breakdown(found: dict[str, Found]) -> list[str]:
    known = {name[10:]: data["results"] for name, data in found.items() if name.startswith("breakdown-")}
    if not known:
        return []
    stages = list(next(iter(known.values()))["stages"])
    lines = [_cells("ms", *stages, "all", "floor", "share"), _cells(*["---"] * (len(stages) + 4))]
    for name, data in known.items():
        times = (f"{1e3 * seconds:.1f}" for seconds in data["stages"].values())
        whole = (f"{1e3 * data['seconds']:.0f}", f"{1e3 * data['floor']:.0f}", f"{data['share']:.2f}")
        lines.append(_cells(name, *times, *whole))
    return lines


def choice(found: dict[str, Found]) -> list[str]:
    """Return the default beside the fastest method that is no worse, case by case."""
    known = {name[7:]: data["results"] for name, data in found.items() if name.startswith("choice-")}
    head = ("matrix and request", "default", "ms", "its errors", "fastest no worse", "ms", "ratio")
    lines = [_cells(*head), _cells(*["---"] * len(head))]
    for name, row in known.items():
        tolerance = "tol=" in name
        errors = f"rank {row['errors'][1]:.0f}" if tolerance else ", ".join(f"{error:.0e}" for error in row["errors"])
        mine = (row["plan"].removesuffix(", Gaussian test matrix"), f"{1e3 * row['seconds']:.0f}", errors)
        lines.append(_cells(name, *mine, row["best"], f"{1e3 * row['best seconds']:.0f}", f"{row['ratio']:.2f}"))
    return lines if known else []


def eigenpairs(found: dict[str, Found]) -> list[str]:
    data = found.get("eigenpairs", {}).get("results", {})
    lines = [_cells("case", "peer", "ms", "its error", "ours", "ms", "error", "times faster"), _cells(*["---"] * 8)]
    for case, result in data.items():
        for name, row in result["rows"].items():
            mine = ["none", "–", "–", "–"]
            if row["ours"]:
                mine = [row["ours"], f"{1e3 * row['our seconds']:.0f}", f"{row['our error']:.0e}"]
                mine.append(f"{row['ratio']:.1f}")
            lines.append(_cells(case, name, f"{1e3 * row['seconds']:.0f}", f"{row['error']:.0e}", *mine))
    return lines if data else []


def selection(found: dict[str, Found]) -> list[str]:
    data = found.get("selection", {}).get("results", {})
    lines = [_cells("case", "", "ms", "error / best", "times ours"), _cells(*["---"] * 5)]
    for case, result in data.items():
        for name, row in result["rows"].items():
            over = row["over chosen"] or row["over default"]
            lines.append(_cells(case, name, f"{1e3 * row['seconds']:.0f}", f"{row['error']:.3f}", f"{over:.1f}"))
    return lines if data else []


def tolerance(found: dict[str, Found]) -> list[str]:
    data = found.get("tolerance", {}).get("results", {})
    head = ("case and tolerance", "optimal rank", "rank", "ms", "told the rank, ms", "ratio", "interp_decomp: rank")
    lines = [_cells(*head, "times ours"), _cells(*["---"] * 8)]
    for case, row in data.items():
        told = (f"{1e3 * row['told seconds']:.0f}", f"{row['over told']:.2f}") if row["told by"] else ("–", "–")
        mine = (case, row["optimal rank"], row["rank"], f"{1e3 * row['seconds']:.0f}", *told)
        lines.append(_cells(*mine, row["peer rank"], f"{row['peer over ours']:.0f}"))
    return lines if data else []


def kernel_matrix(found: dict[str, Found]) -> list[str]:
    data = found.get("kernel_matrix", {}).get("results", {})
    lines = [_cells("rank", "", "ms", "share of the trace left", "times ours"), _cells(*["---"] * 5)]
    for rank, result in data.items():
        for name, row in result["rows"].items():
            cells = (f"{1e3 * row['seconds']:.0f}", f"{row['error']:.4f}", f"{row['ratio']:.1f}")
            lines.append(_cells(rank, name, *cells))
    return lines if data else []


def threads(found: dict[str, Found]) -> list[str]:
    data = found.get("threads", {}).get("results", {})
    lines = [_cells("case", "one thread, ms", "all, ms", "ratio", "same bits"), _cells(*["---"] * 5)]
    for case, row in data.items():
        times = (f"{1e3 * row['times'][name]['seconds']:.0f}" for name in ("one", "all"))
        lines.append(_cells(case, *times, f"{row['ratio']:.2f}", row["same bits"]))
    return lines if data else []


def first_call(found: dict[str, Found]) -> list[str]:
    data = found.get("first_call", {}).get("results", {})
    lines = [_cells("cache", "first call, s", "steady, s", "more, s", "kernels"), _cells(*["---"] * 5)]
    for case, row in data.items():
        times = (f"{row[name]:.3f}" for name in ("first", "steady", "more"))
        lines.append(_cells(case, *times, "; then ".join(row["kernels"])))
    return lines if data else []


PARTS: dict[str, Callable[[dict[str, Found]], list[str]]] = {
    part.__name__: part
    for part in (speed, choice, breakdown, eigenpairs, selection, tolerance, kernel_matrix, threads, first_call)
}


def written(page: str, found: dict[str, Found]) -> str:
    """Return the page with every part between its marks replaced for which something was found."""
    for name, part in PARTS.items():
        begin, end = f"<!-- measured: {name} -->", f"<!-- /measured: {name} -->"
        lines = part(found)
        if not lines or begin not in page:
            continue
        dates = sorted(data["about"]["date"] for key, data in found.items() if key.split("-")[0] == name)
        before, rest = page.split(begin)
        _, after = rest.split(end)
        body = "\n".join([*lines, "", f"Measured {dates[0]} to {dates[-1]}."])
        page = f"{before}{begin}\n\n{body}\n\n{end}{after}"
    begin, end = "<!-- measured: machine -->", "<!-- /measured: machine -->"
    if found and begin in page:
        before, rest = page.split(begin)
        latest = max(found.values(), key=lambda data: data["about"]["date"])
        page = f"{before}{begin}\n\n{machine_text(latest['about'])}\n\n{end}{rest.split(end)[1]}"
    return page


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--found", type=Path, default=timing.OUT)
    parser.add_argument("--page", type=Path, default=Path("docs/performance.md"))
    given = parser.parse_args(arguments)
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(given.found.glob("*.json"))}
    given.page.write_text(written(given.page.read_text(encoding="utf-8"), found), encoding="utf-8")
    pictures = given.page.parent / "pictures"
    for source, target in PICTURES.items():
        if (given.found / source).exists():
            pictures.mkdir(exist_ok=True)
            shutil.copyfile(given.found / source, pictures / target)
    print(f"{len(found)} files of {given.found} in {given.page}")


if __name__ == "__main__":
    main()
