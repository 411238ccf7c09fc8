"""The commands: what they take, and what they do in which order.

``svd``: S1 check the arguments and the place for the files; S2 open the matrix; S3 work, watched by `Progress`;
S4 save, so that nothing printed later can lose it; S5 print the certificate; S6 exit with 1 if the request was missed.
"""

from __future__ import annotations

import enum
import math
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from rnla._version import __version__
from rnla.cli.output import OutputFolder, array_writer, bytes_writer, json_writer
from rnla.cli.progress import Progress
from rnla.cli.readers.opened import OpenedMatrix, shown
from rnla.cli.show import as_json, certificate, print_table, told_warnings
from rnla.errors import InputError

__all__ = ["run_command"]

app = typer.Typer(
    name="rnla",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FACTORS = ("U.npy", "s.npy", "Vh.npy", "certificate.json")
PICTURE = "spectrum.png"


class Norm(enum.StrEnum):
    """The norms that an error can be asked in."""

    fro = "fro"
    spectral = "spectral"


class MissingChunks(enum.StrEnum):
    """What to do about chunks that an HDF5 file or a Zarr store does not hold."""

    refuse = "refuse"
    fill = "fill"


File = Annotated[
    str, typer.Argument(metavar="FILE", help="A matrix: npy, npz (dense or SciPy sparse), HDF5, Zarr, Matrix Market.")
]
Rank = Annotated[int | None, typer.Option("--rank", "-k", help="Singular values wanted; with --tol, the most of them.")]
Tol = Annotated[float | None, typer.Option("--tol", "-t", help="Error allowed, relative to the norm of the matrix.")]
Energy = Annotated[
    float | None, typer.Option("--energy", help="In place of --tol: share of the sum of squares to keep.")
]
InNorm = Annotated[Norm, typer.Option("--norm", help="The norm of the error.")]
Oversampling = Annotated[int | None, typer.Option("--oversampling", help="Columns of the basis beyond the rank.")]
Power = Annotated[int | None, typer.Option("--power-iterations", help="Accuracy of the basis; 2 if not given.")]
Sketch = Annotated[str | None, typer.Option("--sketch", help="The test matrix, e.g. gaussian, sparse_stack or srtt.")]
Dataset = Annotated[str | None, typer.Option("--dataset", help="Which array of a file that holds several.")]
Memory = Annotated[str | None, typer.Option("--memory", help="Memory that the work may take, like 256M.")]
Chunks = Annotated[MissingChunks, typer.Option("--missing-chunks", help="Missing chunks of HDF5 and Zarr.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, max=4096, help="Worker threads.")]
Deadline = Annotated[float | None, typer.Option("--deadline", help="Seconds after which the answer so far is taken.")]
Seed = Annotated[
    int | None, typer.Option("--seed", "-s", min=0, help="Repeats a run; drawn and reported if not given.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace existing output files.")]


def run_command(arguments: Sequence[str]) -> int:
    """Run the command that the arguments name and return its exit code; errors are raised.

    Parameters
    ----------
    arguments : sequence of str
        What follows the program's name.
    """
    command = typer.main.get_command(app)
    try:
        code = command.main(args=list(arguments), prog_name="rnla", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    if code == 130:  # how newer versions of typer report Ctrl-C
        raise KeyboardInterrupt
    return int(code or 0)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"rnla {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _begin(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Randomized numerical linear algebra: any matrix, a certificate with every answer."""
    del version
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def svd(
    file: File,
    rank: Rank = None,
    tol: Tol = None,
    energy: Energy = None,
    norm: InNorm = Norm.fro,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="Folder for U, s, Vh (npy) and the certificate.")
    ] = None,
    plot: Annotated[
        bool, typer.Option("--plot", help="Draw the spectrum: spectrum.png in that folder, or here.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Print the plan first.")] = False,
    seed: Seed = None,
    force: Force = False,
    oversampling: Oversampling = None,
    power_iterations: Power = None,
    sketch: Sketch = None,
    dataset: Dataset = None,
    missing_chunks: Chunks = MissingChunks.refuse,
    memory: Memory = None,
    threads: Threads = None,
    deadline: Deadline = None,
) -> None:
    """Factorize the matrix in FILE: the leading singular values and vectors, with a certificate."""
    import rnla

    asked: dict[str, Any] = {
        "rank": rank, "tol": tol, "energy": energy, "norm": norm.value, "oversampling": oversampling,
        "power_iterations": power_iterations, "sketch": sketch,
    }  # fmt: skip
    with ExitStack() as stack:
        _check_request(rank, tol, energy)
        stack.enter_context(_settings(memory, threads, deadline))
        names = [*(FACTORS if out is not None else ()), *([PICTURE] if plot else [])]
        if plot:
            from rnla.plotting import require_matplotlib, spectrum_png

            require_matplotlib()
        folder: OutputFolder | None = None
        if names:
            inputs = [Path(file)] if file else []
            folder = OutputFolder("." if out is None else out, names, inputs=inputs, force=force)
            stack.enter_context(folder)
        with told_warnings(), Progress(_bound(tol, energy)) as progress:
            opened = stack.enter_context(_opened(file, dataset, missing_chunks.value, progress))
            if folder is not None and out is not None and rank is not None:
                folder.require_room(_bytes_of_factors(opened, rank))
            if explain:
                print(rnla.plan(opened.array, **asked), flush=True)
            progress.stage("factorizing")
            with rnla.config_context(callback=progress):
                result = rnla.svd(opened.array, **asked, on_failure="return", rng=seed)
            saved = ""
            if folder is not None and out is not None:
                progress.stage("saving")
                request = {**asked, "seed": seed}
                U, s, Vh = (np.asarray(factor) for factor in result)
                folder.write(
                    {
                        "U.npy": array_writer(U),
                        "s.npy": array_writer(s),
                        "Vh.npy": array_writer(Vh),
                        "certificate.json": lambda records: json_writer(as_json(result, opened, request, records)),
                    },
                    last="certificate.json",
                )
                saved = f"{', '.join(FACTORS)} in {shown(out)}"
            if folder is not None and plot:
                picture = spectrum_png(result, tol=_bound(tol, energy), title=shown(opened.path.name))
                where = folder.write({PICTURE: bytes_writer(picture)})[0]
                saved = f"{saved}; {shown(where)}" if saved else shown(where)
        print_table(certificate(result, opened, _in_words(asked), saved))
    if not result.status.ok:
        reached = f"rank {result.rank} is certified to {_certified(result):.3g}"
        wanted = f"--rank {rank} was not finished"
        if tol is not None or energy is not None:
            wanted = (f"--tol {tol:g}" if tol is not None else f"--energy {energy:g}") + " was not met"
        kept = f"; the factors are in {shown(out)} all the same" if out is not None else ""
        raise Missed(f"{wanted}: {reached}; {result.status.value}{kept}")


@app.command()
def plan(
    file: File,
    rank: Rank = None,
    tol: Tol = None,
    energy: Energy = None,
    norm: InNorm = Norm.fro,
    oversampling: Oversampling = None,
    power_iterations: Power = None,
    sketch: Sketch = None,
    dataset: Dataset = None,
    missing_chunks: Chunks = MissingChunks.refuse,
    memory: Memory = None,
    threads: Threads = None,
) -> None:
    """Print what `svd` would do with the same arguments, and why; nothing is multiplied."""
    import rnla

    _check_request(rank, tol, energy)
    with (
        _settings(memory, threads, None),
        told_warnings(),
        Progress() as progress,
        _opened(file, dataset, missing_chunks.value, progress) as opened,
    ):
        made = rnla.plan(
                opened.array, rank, tol=tol, energy=energy, norm=norm.value, oversampling=oversampling,
                power_iterations=power_iterations, sketch=sketch,
            )  # fmt: skip
    print(made)


@app.command()
def info() -> None:
    """Print versions, the backends that are there and those that are not, threads and settings."""
    from rnla.cli.info import print_info

    print_info()


@app.command()
def demo(
    out: Annotated[str, typer.Option("--out", "-o", help="Folder for the picture of the spectrum.")] = "demo-out",
    seed: Seed = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A part of the library only: a few seconds.")] = False,
    force: Force = False,
) -> None:
    """Factorize the words of this Python's own standard library, and compare with SciPy."""
    from rnla.cli.demo import run_demo

    run_demo(out, seed=seed, max_files=120 if quick else None, force=force)


class Missed(RuntimeError):
    """What was asked was not reached, and what was reached has been printed and saved."""

    exit_code = 1

    def format_message(self) -> str:
        """Return the message."""
        return str(self)


def _bound(tol: float | None, energy: float | None) -> float | None:
    """Return the relative error that was asked for, in either way."""
    return tol if energy is None else math.sqrt(1 - energy)


def _check_request(rank: int | None, tol: float | None, energy: float | None) -> None:
    """Refuse what no matrix could satisfy, before the file is opened."""
    if rank is None and tol is None and energy is None:
        raise InputError(
            "say how much is wanted: --rank (singular values), --tol (relative error), or both; or --energy"
        )
    if energy is not None and not 0 < energy < 1:
        raise InputError(f"--energy {energy} must lie between 0 and 1: it is the share of the sum of squares to keep")
    if rank is not None and not 0 <= rank < 2**63:
        raise InputError(f"--rank {rank} is not a number of singular values")
    if tol is not None and not 0 < tol < math.inf:
        raise InputError(f"--tol {tol} must be positive and finite: it is the error allowed relative to the norm")


def _settings(memory: str | None, threads: int | None, deadline: float | None) -> Any:
    import rnla

    given: dict[str, Any] = {"memory_budget": memory, "threads": threads, "deadline": deadline}
    return rnla.config_context(**{name: value for name, value in given.items() if value is not None})


def _opened(file: str, dataset: str | None, missing_chunks: str, progress: Progress) -> OpenedMatrix:
    import rnla
    from rnla.cli.files import open_matrix

    progress.stage(f"reading {shown(Path(file).name)}")
    budget = rnla.get_config().memory_budget
    return open_matrix(file, dataset=dataset, memory_budget=budget, missing_chunks=missing_chunks)


def _bytes_of_factors(opened: OpenedMatrix, rank: int) -> int:
    item = opened.dtype.itemsize if opened.dtype.kind in "fc" else 8
    return (opened.shape[0] + opened.shape[1]) * min(rank, *opened.shape) * item


def _in_words(asked: dict[str, Any]) -> str:
    given = [f"{name.replace('_', ' ')} {value}" for name, value in asked.items() if value is not None]
    return ", ".join(given)


def _certified(result: Any) -> float:
    error = result.error
    return float(error.value if math.isnan(error.upper) else error.upper)


if __name__ == "__main__":
    sys.exit(run_command(sys.argv[1:]))
