"""The command line: `main` is the entry point, and the place where every failure becomes one line.

Exit codes: 0 done; 1 it failed (a damaged file, no room, a tolerance that was missed); 2 it was called wrongly;
130 Ctrl-C.  Errors go to standard error, one line each, without a traceback; ``RNLA_TRACEBACK=1`` asks for one.

Typer and Rich are loaded in `main` only, so that their absence is one line too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from collections.abc import Sequence
from typing import TextIO

__all__ = ["main"]

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
LONGEST_LINE = 600

_OPTIONS = {
    "rank": "--rank",
    "tol": "--tol",
    "norm": "--norm",
    "rng": "--seed",
    "oversampling": "--oversampling",
    "power_iterations": "--power-iterations",
    "sketch": "--sketch",
    "dataset": "--dataset",
    "missing_chunks": "--missing-chunks",
    "memory_budget": "--memory",
    "deadline": "--deadline",
    "threads": "--threads",
}
# "rank=400" and "missing_chunks" are said in the words of the command line.
_KEYWORD = re.compile(r"(?<![\w-])(?:(" + "|".join(_OPTIONS) + r")=|(memory_budget|missing_chunks|power_iterations)\b)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; never raises for what a user can cause.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the program's name; by default what the process was started with.

    Returns
    -------
    int
        The exit code.

    Examples
    --------
    >>> main(["--version"])
    rnla ...
    0
    """
    try:
        _prepare_streams()
        code = _run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = _fail("interrupted", INTERRUPTED)
    except Exception as error:  # noqa: BLE001 (the one place where a bug too becomes a line)
        code = _explain(error)
    return code


def _run(arguments: Sequence[str] | None) -> int:
    try:
        from rnla.cli.app import run_command
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in {"typer", "rich", "click"}:
            raise
        return _fail(f'the command line needs typer and rich ({error}): pip install "rnla[cli]"', FAILED)
    return run_command(sys.argv[1:] if arguments is None else list(arguments))


def _prepare_streams() -> None:
    """Give closed streams a place to write to, and let any text be written in any encoding."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (as long as the process)
        reconfigure = getattr(getattr(sys, name), "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _explain(error: Exception) -> int:
    """Say in one line what went wrong, and return the exit code."""
    from rnla.errors import InputError, RnlaError

    if os.environ.get("RNLA_TRACEBACK") == "1":
        import traceback

        traceback.print_exc()
    if (
        isinstance(error, OSError)
        and error.errno in {errno.EPIPE, errno.ESHUTDOWN}
        and not isinstance(error, RnlaError)
    ):
        _flush(sys.stdout)  # the reader went away: what is left in the buffer has no place to go
        _flush(sys.stderr)
        return FAILED
    if hasattr(error, "format_message"):  # of click, whichever package it comes in
        code = int(getattr(error, "exit_code", MISUSED))
        return _fail(error.format_message() + (" Try: rnla --help" if code == MISUSED else ""), code)
    if isinstance(error, RnlaError):
        return _fail(_KEYWORD.sub(_option, str(error)), MISUSED if isinstance(error, InputError) else FAILED)
    if isinstance(error, ImportError):
        return _fail(str(error), FAILED)
    if isinstance(error, MemoryError):
        return _fail(f"not enough memory ({error}); a smaller --memory or --rank needs less", FAILED)
    if isinstance(error, OSError):
        where = f"{error.filename!r}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", FAILED)
    hint = "this is a bug of rnla or of a library under it; RNLA_TRACEBACK=1 shows where"
    return _fail(f"unexpected {type(error).__name__}: {error}; {hint}", FAILED)


def _option(match: re.Match[str]) -> str:
    name = match[1] or match[2]
    return _OPTIONS[name] + (
        " " if match[1] and not match.string[match.end() :].startswith((" ", ")", ",", ";")) else ""
    )


def _fail(message: str, code: int) -> int:
    """Write one line to standard error and return the code."""
    _flush(sys.stdout)
    line = " ".join(message.split())
    if len(line) > LONGEST_LINE:
        line = f"{line[: LONGEST_LINE - 200]} ... {line[-190:]}"
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"rnla: error: {_printable(line)}\n")
    _flush(sys.stderr)
    return code


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in line)


def _flush(stream: TextIO) -> None:
    """Write out what a stream holds; if it has no reader, point it to nowhere, so that the flush at exit is silent."""
    try:
        stream.flush()
    except ValueError:  # closed
        pass
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, stream.fileno())
            os.close(sink)
