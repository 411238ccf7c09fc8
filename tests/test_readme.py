"""The README does what it says: its example prints what it shows, its commands are one line each and agree."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHELL = shutil.which("sh")


def block_after(marker: str) -> str:
    """Return the fenced block that follows a marker comment."""
    found = re.findall(rf"<!-- {marker} -->\n```\w*\n(.*?)\n```", README, re.DOTALL)
    assert len(found) == 1, f"{len(found)} blocks marked {marker}"
    return str(found[0])


def test_the_example_prints_what_is_shown() -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block_after("example"), "the example", "exec", dont_inherit=True), {})
    assert printed.getvalue().rstrip() == block_after("example-output").rstrip()


@pytest.mark.parametrize(
    ("marker", "extras", "job"),
    [
        ("demo-command", "[all]", ".venv/bin/rnla demo"),
        ("test-command", "[all,test]", ".venv/bin/python -m pytest -n 2 --dist worksteal"),
    ],
)
def test_a_command_sets_up_then_runs(marker: str, extras: str, job: str) -> None:
    setup = "test -x .venv/bin/python || python3 -m venv .venv"
    install = f'.venv/bin/python -m pip install -q -e ".{extras}"'
    assert block_after(marker) == f"{setup} && {install} && {job}"


@pytest.mark.skipif(SHELL is None, reason="no POSIX shell here")
@pytest.mark.subprocess
@pytest.mark.parametrize("marker", ["demo-command", "test-command"])
@pytest.mark.parametrize("failing", ["venv", "install", "job", "nothing"])
def test_a_failure_stops_the_command_and_is_its_status(tmp_path: Path, marker: str, failing: str) -> None:
    """Run the command with stand-ins for every program it starts, one of which fails."""
    (tmp_path / "bin").mkdir()
    stand_in = '#!/bin/sh\necho "$0 $*" >> log\n'
    job = "rnla" if marker == "demo-command" else "python"
    status = {step: code if failing == step else 0 for step, code in (("venv", 3), ("install", 4), ("job", 5))}
    steps = {
        "bin/python3": f"mkdir -p .venv/bin && cp staged/* .venv/bin/; exit {status['venv']}",
        "staged/python": f'case "$2" in pip) exit {status["install"]};; *) exit {status["job"]};; esac',
        "staged/rnla": f"exit {status['job']}",
    }
    for name, body in steps.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(stand_in + body + "\n", encoding="utf-8")
        path.chmod(0o755)
    environment = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    done = subprocess.run([str(SHELL), "-c", block_after(marker)], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == sum(status.values())
    ran = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert len(ran) == {"venv": 1, "install": 2, "job": 3, "nothing": 3}[failing]
    if len(ran) == 3:
        assert f".venv/bin/{job}" in ran[-1]
