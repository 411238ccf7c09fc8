"""What the commands print: the certificate as a table, plans, warnings, and the certificate as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rnla._version import __version__
from rnla._xp.linalg import host_values
from rnla.cli.readers.opened import OpenedMatrix, human_size, shown
from rnla.results import SVDResult
from rnla.results.base import listed

__all__ = ["as_json", "certificate", "print_table", "table_of_rows", "told_warnings"]

WIDTH_IN_A_FILE = 110


def _console() -> Console:
    """Return a console that does not fold its tables to 80 columns where nobody looks at a terminal."""
    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False, width=WIDTH_IN_A_FILE)
    return console


def print_table(table: Table) -> None:
    """Print a table on standard output, now.

    Parameters
    ----------
    table : rich.table.Table
    """
    _console().print(table)
    sys.stdout.flush()


def table_of_rows(title: str, rows: Iterable[tuple[str, str]]) -> Table:
    """Return a table of names and values.

    Parameters
    ----------
    title : str
    rows : iterable of (str, str)
    """
    table = Table(title=Text(title), title_justify="left", title_style="bold", box=box.ROUNDED, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(value))
    return table


def certificate(result: SVDResult, opened: OpenedMatrix | None, asked: str, saved: str = "") -> Table:
    """Return the certificate of a result as a table.

    Parameters
    ----------
    result : SVDResult
    opened : OpenedMatrix or None
        The file, if it came from one.
    asked : str
        The request in words.
    saved : str
        Where the factors are.
    """
    error, report = result.error, result.report
    s = host_values(result.s)
    m, n = result.shape
    values = listed([f"{x:.4g}" for x in s])
    norm = "Frobenius" if error.norm == "fro" else "spectral"
    sign = {"exact": "=", "bounded": "at most", "estimated": "about"}[error.kind]
    trust = {
        "exact": "exact, but for rounding",
        "bounded": "a bound",
        "estimated": "an estimate",
    }[error.kind] + f", by {error.method}"
    if error.failure_probability > 0:
        trust += f"; at most {error.upper:.4g} but with probability {error.failure_probability:.0e}"
    elif error.standard_error > 0:
        trust += f"; standard error {error.standard_error:.1g}"
    if error.value < error.floor:
        trust += f"; under {error.floor:.1e} it sees rounding only"
    rows = [
        ("matrix", f"{m} x {n}, {report.dtype_path}" + ("" if opened is None else f", {_file(opened)}")),
        ("asked", asked),
        ("rank", f"{result.rank}, from a basis of {report.size} columns" + _numerical(result)),
        ("singular values", values or "none"),
        ("error", f"{sign} {error.value:.4g}, relative to the {norm} norm of the matrix, {error.norm_of_A:.6g}"),
        ("how far to trust it", trust),
        ("status", ("" if result.status.ok else "NOT MET: ") + result.status.value),
        ("method", report.plan.summary),
        (
            "cost",
            f"{report.passes} pass{'es' * (report.passes != 1)}, {report.products} products, {report.seconds:.3g} s",
        ),
        ("seed", f"{report.seed}; --seed {report.seed} repeats it"),
    ]
    if saved:
        rows.append(("saved", saved))
    return table_of_rows("Certificate", rows)


def _numerical(result: SVDResult) -> str:
    found = result.report.numerical_rank
    return "" if found >= result.rank else f"; numerically {found}"


def _file(opened: OpenedMatrix) -> str:
    return f"{opened.kind} file {shown(opened.path)}, {human_size(opened.nbytes)}"


def as_json(result: SVDResult, opened: OpenedMatrix, asked: dict[str, Any], files: dict[str, Any]) -> dict[str, Any]:
    """Return the certificate as plain data, for JSON.

    Parameters
    ----------
    result : SVDResult
    opened : OpenedMatrix
    asked : dict
        The request.
    files : dict
        Bytes and SHA-256 of the files beside the certificate.
    """
    error = {name: _plain(value) for name, value in dataclasses.asdict(result.error).items()}
    report = result.report
    cost = {
        name: _plain(getattr(report, name))
        for name in (
            "rank", "size", "blocks", "passes", "scans", "products", "seed", "dtype_path", "backend", "copies",
            "numerical_rank", "deterministic", "seconds", "notes",
        )
    }  # fmt: skip
    return {
        "rnla": __version__,
        "matrix": {
            "file": shown(opened.path), "kind": opened.kind, "shape": list(result.shape),
            "dtype": str(opened.dtype), "bytes": opened.nbytes,
        },
        "asked": {name: _plain(value) for name, value in asked.items()},
        "status": {"name": result.status.name, "met": result.status.ok, "text": result.status.value},
        "error": error,
        "report": cost,
        "plan": {"method": report.plan.summary, "reasons": list(report.plan.reasons)},
        "files": json.loads(json.dumps(files)),  # as they are now
    }  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@contextmanager
def told_warnings() -> Iterator[None]:
    """Turn the warnings of the block into one line each on standard error, after it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for category in (DeprecationWarning, PendingDeprecationWarning, ResourceWarning, ImportWarning):
            warnings.simplefilter("ignore", category)
        try:
            yield
        finally:
            for text in dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught):
                sys.stderr.write(f"rnla: warning: {shown(text)}\n")
