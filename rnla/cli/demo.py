"""The demonstration: the words of this Python's standard library, factorized to a tolerance, beside SciPy.

S1. Build the term-document matrix: a document is a top-level class or function, or the rest of a file.
S2. Factorize it with rnla to a relative Frobenius error of 0.7, and with ``scipy.sparse.linalg.svds`` at the rank that
    this took, since svds takes no tolerance.
S3. Measure the error of both by one formula that uses neither certificate:
    norm(A - U diag(s) Vh)^2 = norm(A)^2 - 2 Re <U diag(s), A V> + norm(U diag(s) Vh)^2, all in the Frobenius norm.
S4. Print both, the strongest topics, and draw the spectrum.

What is timed: the two calls alone, in this process, with what they load loaded before, in two interleaved runs each, of
which the faster counts.  BLAS works with one thread in the first run of svds, as it always does under rnla, and with
as many as the process has in the second, for either may be the faster; that one is broken off once it is the slower.
"""

from __future__ import annotations

import dataclasses
import math
import os
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from rnla.cli.output import OutputFolder, bytes_writer
from rnla.cli.progress import Progress
from rnla.cli.readers.opened import shown
from rnla.cli.show import certificate, print_table, table_of_rows, told_warnings
from rnla.cli.topics import TermDocument, describe_topics, term_document_matrix
from rnla.results import SVDResult

__all__ = ["measured_error", "run_demo"]

TOL = 0.7
PICTURE = "spectrum.png"
TOPICS = 8
SHARE = 0.3  # of a topic's weight that one part of the library must hold to be named


def run_demo(
    out: str,
    *,
    seed: int | None = 0,
    max_files: int | None = None,
    force: bool = False,
    root: str | os.PathLike[str] | None = None,
    tol: float = TOL,
) -> None:
    """Run the demonstration and print it.

    Parameters
    ----------
    out : str
        Folder for the picture.
    seed : int or None
        Of the factorization.
    max_files : int, optional
        Read only so many files.
    force : bool
        Replace a picture that rnla did not draw.
    root : path, optional
        A tree of Python source; the standard library if omitted.
    tol : float
        Relative error allowed.

    Raises
    ------
    InputError
        Where the picture cannot be written.
    """
    began = time.monotonic()
    with OutputFolder(out, [PICTURE], force=force, ours=_drawn_by_us) as folder:
        with told_warnings(), Progress(tol) as progress:
            progress.stage("reading the standard library")
            found = term_document_matrix(
                root,
                unit="definition",
                max_files=max_files,
                progress=lambda done, total: progress.stage(
                    "reading the standard library", f"file {done} of {total}", done / total
                ),
            )
            A = found.matrix
            read = time.monotonic() - began
            ours, theirs = _race(A, tol, seed, progress)
            progress.stage("measuring the errors")
            result: SVDResult = ours.answer
            ours.error = measured_error(A, *result)
            if theirs.answer is not None:
                theirs.error = measured_error(A, *theirs.answer)
            saved = _draw(folder, result, tol)
        m, n = A.shape
        rows = [
            ("documents", f"{m} classes, functions and files (rows), {found.skipped} files could not be read"),
            ("words", f"{n} (columns), weighted by tf-idf, rows of length 1"),
            ("entries", f"{A.nnz}, {100 * A.nnz / (m * n):.2g} % of the matrix"),
            ("built in", f"{read:.1f} s"),
        ]
        print_table(table_of_rows("The words of Python's standard library", rows))
        print_table(certificate(result, None, f"tol {tol:g}, norm fro"))
        print_table(_comparison(ours, theirs, tol))
        print_table(_topic_table(_topics(found, result)))
        print(f"{saved}\nAll of it took {time.monotonic() - began:.1f} s.")


def measured_error(A: Any, U: Any, s: Any, Vh: Any) -> float:
    """Return the relative Frobenius error of a factorization of a sparse matrix, without a dense copy of it (S3).

    Parameters
    ----------
    A : sparse matrix, shape (m, n)
    U, s, Vh : ndarray
        The factors, orthonormal or not.

    Examples
    --------
    >>> import scipy.sparse
    >>> A = scipy.sparse.diags_array([4.0, 3.0]).tocsr()
    >>> e = np.eye(2)
    >>> measured_error(A, e[:, :1], np.array([4.0]), e[:1])
    0.6
    """
    square = float(np.sum(np.abs(A.data) ** 2))
    scaled = U * s
    cross = float(np.sum((scaled.conj() * (A @ Vh.conj().T)).real))
    approximation = float(np.sum((scaled.conj().T @ scaled) * (Vh @ Vh.conj().T).conj()).real)
    return math.sqrt(max(square - 2 * cross + approximation, 0.0) / square)


@dataclasses.dataclass(slots=True)
class _Run:
    """One contestant: its answer, and what it cost."""

    answer: Any = None
    seconds: float = math.inf
    passes: int = 0
    products: int = 0
    error: float = math.nan
    remark: str = "-"


class _SlowerError(Exception):
    """The run cannot win any more."""


def _counting(A: Any, run: _Run, tell: Callable[[int], object]) -> Any:
    """Return the matrix as a SciPy operator that counts how often it is read."""
    from scipy.sparse.linalg import LinearOperator

    def counted(matrix: Any) -> Callable[[Any], Any]:
        def multiply(x: Any) -> Any:
            run.passes += 1
            run.products += 1 if x.ndim == 1 else x.shape[1]
            tell(run.passes)
            return matrix @ x

        return multiply

    forward, backward = counted(A), counted(A.T.tocsr())  # transposed once
    return LinearOperator(A.shape, dtype=A.dtype, matvec=forward, rmatvec=backward, matmat=forward, rmatmat=backward)


def _race(A: Any, tol: float, seed: int | None, progress: Progress) -> tuple[_Run, _Run]:
    """Run both twice, interleaved, and return the faster run of each (S2)."""
    import rnla

    rnla.svd(A[:60, :60], 2, rng=0)  # loads what is loaded on first use
    ours, theirs = _Run(), _Run()
    for threads in (1, None):
        progress.stage("rnla.svd")
        begun = time.perf_counter()
        with rnla.config_context(callback=progress):
            answer = rnla.svd(A, tol=tol, rng=seed)
        seconds = time.perf_counter() - begun
        if seconds < ours.seconds:
            ours = _Run(answer, seconds, answer.report.passes, answer.report.products)
        run = _svds(A, answer.rank, threads, theirs.seconds, progress)
        if run.seconds < theirs.seconds or (theirs.answer is None and run.answer is None):
            theirs = run
    return ours, theirs


def _svds(A: Any, rank: int, threads: int | None, limit: float, progress: Progress) -> _Run:
    """Run svds with so many BLAS threads, but no longer than the limit."""
    from scipy.sparse.linalg import ArpackError, svds
    from threadpoolctl import threadpool_limits

    run = _Run()
    if not 0 < rank < min(A.shape):
        run.remark = "cannot compute this rank"
        return run
    begun = time.perf_counter()

    def tell(passes: int) -> None:
        progress.stage("scipy.sparse.linalg.svds", f"{passes} products")
        if time.perf_counter() - begun > limit:
            raise _SlowerError

    try:
        with warnings.catch_warnings(), threadpool_limits(threads, user_api="blas"):
            warnings.simplefilter("ignore")
            run.answer = svds(_counting(A, run, tell), k=rank, v0=np.ones(min(A.shape)))
            run.seconds = time.perf_counter() - begun
    except _SlowerError:
        run.remark = "slower"
    except ArpackError as error:
        run.remark = f"failed: {error}"
    return run


def _topics(found: TermDocument, result: SVDResult) -> list[tuple[str, str, str]]:
    """Return the strongest topic of each part of the library: number and value, words, and where they are from."""
    parts = [name.partition(":")[0].removesuffix(".py").partition("/")[0] for name in found.documents]
    V = np.asarray(result.Vh).T
    named: list[tuple[str, str, str]] = []
    seen: set[str] = set()
    for i, words in enumerate(describe_topics(found.terms, V, count=V.shape[1], words=8)):
        positive = np.sum(np.clip(V[:, i], 0, None) ** 2) >= np.sum(np.clip(V[:, i], None, 0) ** 2)
        weights = np.clip(np.asarray(result.U)[:, i] * (1 if positive else -1), 0, None) ** 2
        share: dict[str, float] = dict.fromkeys(parts, 0.0)
        for part, weight in zip(parts, weights, strict=True):
            share[part] += float(weight)
        part, most = max(share.items(), key=lambda item: item[1])
        total = float(weights.sum())
        if part not in seen and most >= SHARE * total > 0:
            seen.add(part)
            named.append((f"{i + 1}, {result.s[i]:.3g}", " ".join(words), f"{part} {100 * most / total:.0f} %"))
        if len(named) == TOPICS:
            break
    return named


def _comparison(ours: _Run, theirs: _Run, tol: float) -> Table:
    result: SVDResult = ours.answer
    title = Text("Beside SciPy, on the same matrix")
    table = Table(title=title, title_justify="left", title_style="bold", box=box.ROUNDED)
    for name in ("", "rnla.svd", "scipy.sparse.linalg.svds"):
        table.add_column(Text(name), style="bold" if not name else "", overflow="fold")
    there = theirs.answer is not None
    certified = f"{result.error.value:.6f}, {result.error.kind}"
    rows = [
        ("asked", f"error at most {tol:g}", f"rank {result.rank}, as rnla found; it takes no tolerance"),
        ("relative error, measured", f"{ours.error:.6f}", f"{theirs.error:.6f}" if there else theirs.remark),
        ("relative error, certified", certified, "no certificate"),
        ("readings of the matrix", f"{ours.passes}, and 1 for its norm", str(theirs.passes)),
        ("columns multiplied", str(ours.products), str(theirs.products)),
        ("time", f"{ours.seconds:.2f} s", f"{theirs.seconds:.2f} s" if there else "-"),
    ]
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    table.caption = "Time of the calls alone, libraries loaded before; the faster of two runs each."
    table.caption_justify = "left"
    return table


def _topic_table(topics: list[tuple[str, str, str]]) -> Table:
    title = Text("The strongest topic of each part of the library (the file names took no part in it)")
    table = Table(title=title, title_justify="left", title_style="bold", box=box.ROUNDED)
    for name in ("topic, σ", "its strongest words", "most of it from"):
        table.add_column(Text(name), overflow="fold")
    for row in topics:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _drawn_by_us(beginning: bytes) -> bool:
    """Return whether a file begins like a picture that rnla drew."""
    return beginning.startswith(b"\x89PNG\r\n") and b"Software\0rnla " in beginning


def _draw(folder: OutputFolder, result: SVDResult, tol: float) -> str:
    from rnla.plotting import spectrum_png

    try:
        picture = spectrum_png(result, tol=tol, title="The words of Python's standard library")
    except ImportError as error:
        return f"No picture: {error}."
    (where,) = folder.write({PICTURE: bytes_writer(picture)})
    return f"The spectrum is drawn in {shown(where)}."
