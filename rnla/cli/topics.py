"""A real sparse matrix that every machine has: which words occur in which file of Python's own standard library.

Problem: a demonstration wants data that is real, at hand without a download, and such that a person sees whether the
answer is right.  The source of the running Python's standard library is that: its files are documents, the words of
its names, comments and strings are terms, and the leading singular vectors are its subjects.

Method:

S1. Walk the tree in sorted order, leaving out tests and installed packages.
S2. Take names, comments and strings from the standard library's ``tokenize``; files that it refuses are counted.
S3. Split at underscores and capitals, lower the case, drop Python's keywords and words of one or two letters.
S4. Drop words that occur in fewer than ``min_documents`` documents, and words that occur in all of them.
S5. Weight a word that occurs c > 0 times in a document by (1 + ln c) ln(n / d), with n documents, d of them with the
    word; then scale every row to unit length.  Documents left without words are dropped.
"""

from __future__ import annotations

import io
import keyword
import os
import re
import sysconfig
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnla.errors import InputError

__all__ = ["TermDocument", "describe_topics", "term_document_matrix"]

SKIPPED_FOLDERS = frozenset({"site-packages", "dist-packages", "__pycache__", "test", "tests", "idle_test"})
KEYWORDS = frozenset(word.lower() for word in keyword.kwlist)
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # "HTTPServerError" is HTTP, Server, Error
ESCAPE = re.compile(r"\\.", re.DOTALL)
SHORTEST = 3
TEXT_TOKENS = {tokenize.NAME, tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}


@dataclass(frozen=True)
class TermDocument:
    """A weighted matrix of documents (rows) by terms (columns), with the names of both.

    Attributes
    ----------
    matrix : scipy.sparse.csr_array
        Float64; every row has unit length.
    terms : list of str
        The words, sorted, one for each column.
    documents : list of str
        Paths relative to the root, sorted, one for each row; with ``unit="definition"`` followed by ``:name``.
    skipped : int
        Files that could not be tokenized.
    """

    matrix: Any
    terms: list[str]
    documents: list[str]
    skipped: int


def term_document_matrix(
    root: str | os.PathLike[str] | None = None,
    *,
    min_documents: int = 3,
    max_files: int | None = None,
    unit: str = "file",
    progress: Callable[[int, int], object] | None = None,
) -> TermDocument:
    """Build the tf-idf matrix of a tree of Python source, by default the running Python's standard library.

    Parameters
    ----------
    root : str or path-like, optional
        The folder to read; the standard library if omitted.
    min_documents : int
        Words in fewer documents than this are dropped.
    max_files : int, optional
        Read only the first so many files, in sorted order.
    unit : {"file", "definition"}
        What a document is: a file, or each class and function at the top level of a file by itself (what lies outside
        them counts as the file's own document), for a matrix with about nine times as many rows.
    progress : callable, optional
        Called as ``progress(done, total)`` after each file.

    Returns
    -------
    TermDocument
        Documents as rows, so that the right singular vectors are the topics.  The same tree gives the same matrix.

    Raises
    ------
    InputError
        If the folder holds no Python source, or nothing is left after dropping words.

    Examples
    --------
    >>> found = term_document_matrix(max_files=40)
    >>> found.matrix.shape == (len(found.documents), len(found.terms))
    True
    """
    if unit not in ("file", "definition"):
        raise InputError(f'unit is {unit!r}; expected "file" or "definition"')
    if min_documents < 1:
        raise InputError(f"min_documents is {min_documents}; expected at least 1")
    top = Path(sysconfig.get_path("stdlib") if root is None else root)
    files = sorted(_python_files(top))[:max_files]
    if not files:
        raise InputError(f"{top} holds no Python source; name a folder that does with root=")
    counts: dict[str, Counter[str]] = {}
    known: dict[str, list[str]] = {}
    skipped = 0
    for done, name in enumerate(files, start=1):
        try:
            # Bytes and definitions of one file are gathered whole, so that a file that fails leaves nothing behind.
            counts.update(_count_words((top / name).read_bytes(), name, unit, known))
        except (OSError, SyntaxError, ValueError, tokenize.TokenError):
            skipped += 1
        if progress is not None:
            progress(done, len(files))
    return _weigh(counts, min_documents, skipped, top)


def describe_topics(
    terms: Sequence[str], vectors: np.ndarray[Any, Any], *, count: int = 6, words: int = 8
) -> list[list[str]]:
    """Name the strongest words of each leading singular vector.

    The sign of a singular vector is arbitrary: words are taken from the side, positive or negative, that holds the
    larger part of the vector's length, strongest first.

    Parameters
    ----------
    terms : sequence of str
        The words of the matrix, one for each row of ``vectors``.
    vectors : ndarray, shape (len(terms), k)
        Singular vectors as columns: V, that is ``Vh.T``, where documents are rows.
    count : int
        How many columns to describe, from the first on.
    words : int
        At most so many words a topic.

    Returns
    -------
    list of list of str
        One list a topic; shorter where fewer entries have the dominating sign.

    Examples
    --------
    >>> describe_topics(["red", "green", "sea"], np.array([[-0.8], [-0.5], [0.3]]), words=2)
    [['red', 'green']]
    """
    matrix = np.asarray(vectors)
    if matrix.ndim != 2 or matrix.shape[0] != len(terms):
        raise InputError(f"vectors have shape {matrix.shape}; expected one row for each of the {len(terms)} terms")
    topics = []
    for column in matrix.T[:count]:
        upper, lower = np.clip(column, 0, None), np.clip(-column, 0, None)
        side = upper if np.linalg.norm(upper) >= np.linalg.norm(lower) else lower
        order = np.argsort(-side, kind="stable")[:words]
        topics.append([terms[i] for i in order if side[i] > 0])
    return topics


def _python_files(top: Path) -> Iterator[str]:
    """Yield the relative paths of the source files under a folder, links not followed."""
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
        for name in names:
            if name.endswith(".py"):
                yield Path(folder, name).relative_to(top).as_posix()


def _count_words(source: bytes, name: str, unit: str, known: dict[str, list[str]]) -> dict[str, Counter[str]]:
    """Count the words of one file (S2, S3), for each of its definitions where that is the unit."""
    found: dict[str, Counter[str]] = {name: Counter()}
    document, heading = name, False
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        kind, text = token.type, token.string
        if kind not in TEXT_TOKENS:
            continue
        if unit == "definition" and kind == tokenize.NAME:
            if heading and text not in ("def", "class"):
                document, heading = f"{name}:{text}", False
                found.setdefault(document, Counter())
            elif token.start[1] == 0:
                heading = text in ("def", "class", "async")
                document = name
        if kind == tokenize.NAME:
            if text not in known:
                known[text] = _words(text)
            found[document].update(known[text])
        else:
            found[document].update(_words(ESCAPE.sub(" ", text)))
    return found


def _words(text: str) -> list[str]:
    """Split a name or a text into lower-case words (S3)."""
    lowered = (word.lower() for word in WORD.findall(text) if len(word) >= SHORTEST)
    return [word for word in lowered if word not in KEYWORDS]


def _weigh(counts: dict[str, Counter[str]], min_documents: int, skipped: int, top: Path) -> TermDocument:
    """Choose the terms, weigh them, and scale the rows (S4, S5)."""
    import scipy.sparse

    documents = sorted(name for name, words in counts.items() if words)
    occurs = Counter(word for name in documents for word in counts[name])
    terms = sorted(word for word, number in occurs.items() if min_documents <= number < len(documents))
    place = {word: column for column, word in enumerate(terms)}
    idf = np.log(len(documents) / np.array([occurs[word] for word in terms], dtype=np.float64))
    kept: list[str] = []
    indices: list[int] = []
    data: list[int] = []
    indptr = [0]
    for name in documents:
        row = sorted((place[word], number) for word, number in counts[name].items() if word in place)
        if row:
            kept.append(name)
            indices.extend(column for column, _ in row)
            data.extend(number for _, number in row)
            indptr.append(len(indices))
    if not kept:
        raise InputError(f"no word of {top} occurs in {min_documents} documents and not in all; lower min_documents")
    weights = (1 + np.log(np.array(data, dtype=np.float64))) * idf[indices]
    lengths = np.sqrt(np.add.reduceat(weights**2, indptr[:-1]))
    weights /= np.repeat(lengths, np.diff(indptr))
    matrix = scipy.sparse.csr_array((weights, indices, indptr), shape=(len(kept), len(terms)))
    return TermDocument(matrix, terms, kept, skipped)
