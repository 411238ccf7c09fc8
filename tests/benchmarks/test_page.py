"""The page of measured times is written from the files that the benchmarks leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import breakdown, machine, page, threads

ROOT = Path(__file__).resolve().parents[2]


def ours(ratio: float) -> dict[str, Any]:
    return {"ratio": ratio, "rung": "BK b=24 d=6", "seconds": 0.1, "share": 0.5}


def a_case() -> dict[str, Any]:
    """Return what `benchmarks.speed` saves of one case, written by hand."""
    rows = {
        "torch svd_lowrank, niter=7, as installed": {"peer": {"seconds": 0.45, "runs": 5}, "ours": ours(4.5)},
        "sklearn randomized_svd, as installed": {"peer": {"seconds": 1.4, "runs": 5}, "ours": ours(14.0)},
        "sklearn randomized_svd, tuned": {"peer": {"seconds": 0.6, "runs": 5}, "ours": ours(6.0)},
        "svds arpack, tuned": {"peer": {"seconds": 0.8, "runs": 1}, "ours": ours(8.0)},
        "fbpca.pca, tuned": {"peer": {"seconds": 0.3, "runs": 5}, "ours": None},
    }
    default = {"seconds": 0.2, "excess": -1e-16, "value": 1e-5}
    return {
        "case": "dense", "spectrum": "1/i", "rank": 50, "dtype": "float64", "threads": 2, "kernels": "compiled",
        "rows": rows, "default": default,
    }  # fmt: skip


def test_a_case_is_one_row_with_the_ratios_to_each_peer(tmp_path: Path) -> None:
    machine.save("speed-square-slow-50-float64-2t", a_case(), tmp_path)
    target = tmp_path / "page.md"
    target.write_text("Before\n<!-- measured: speed -->\nold\n<!-- /measured: speed -->\nAfter\n", encoding="utf-8")
    page.main(["--found", str(tmp_path), "--page", str(target)])
    text = target.read_text(encoding="utf-8")
    assert text.startswith("Before\n")
    assert text.endswith("After\n")
    assert "old" not in text
    (row,) = [line for line in text.splitlines() if line.startswith("| dense")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:] == ["50", "2", "4.5", "–", "14.0", "6.0", "–", "8.0¹", "BK b=24 d=6", "100", "0.50",
                         "200 ms; 0e+00, 1e-05"]  # fmt: skip
    page.main(["--found", str(tmp_path), "--page", str(target)])
    assert target.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("module", [breakdown, threads])
def test_what_a_question_saves_is_what_the_page_reads(module: Any, tmp_path: Path) -> None:
    module.main(["--quick", "--rounds", "1", "--out", str(tmp_path)])
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob("*.json")}
    name = module.__name__.rsplit(".", 1)[1]
    lines = page.PARTS[name](found)
    assert len(lines) == 3
    assert len({line.count(" | ") for line in lines}) == 1


def test_the_page_has_a_place_for_every_part_and_nothing_found_changes_nothing() -> None:
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    for name in (*page.PARTS, "machine"):
        assert text.count(f"<!-- measured: {name} -->") == 1
        assert text.count(f"<!-- /measured: {name} -->") == 1
    assert page.written(text, {}) == text
