"""All the pictures of robust PCA, one after another.

    python -m examples.robust [--small] [--out FOLDER]

A few minutes on one core, some ten seconds with --small.
"""

import importlib
import re
import time
from pathlib import Path

from examples import robust as package
from examples.halko_martinsson_tropp import style

SCRIPTS = re.findall(r"^\| `(\w+)`", package.__doc__ or "", re.MULTILINE)


def main(small: bool, out: Path) -> Path:
    for script in SCRIPTS:
        start = time.perf_counter()
        print(f"{script}:")
        path = importlib.import_module(f"{package.__name__}.{script}").main(small, out)
        print(f"  {path}, {time.perf_counter() - start:.0f} s\n")
    return out


if __name__ == "__main__":
    style.command_line(__doc__, main)
