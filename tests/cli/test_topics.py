"""The demonstration's matrix: counted words, weights by hand, and topics that name their words."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from rnla.cli.topics import describe_topics, term_document_matrix
from rnla.errors import InputError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "test").mkdir()
    (tmp_path / "a.py").write_text("# river river bridge\nriver_bank = 1\n")
    (tmp_path / "b.py").write_text("class RiverHTTPServer:\n    'server\\nbridge of an os'\n")
    (tmp_path / "sub" / "c.py").write_text("def server():\n    return None\n")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "broken.py").write_text("river = (\n")
    (tmp_path / "coding.py").write_bytes(b"# \xff\xfe river\n")
    (tmp_path / "notes.txt").write_text("river")
    (tmp_path / "test" / "d.py").write_text("river = 1")
    return tmp_path


def test_weights_by_hand(tree: Path) -> None:
    found = term_document_matrix(tree, min_documents=1)
    assert found.documents == ["a.py", "b.py", "sub/c.py"]
    assert found.terms == ["bank", "bridge", "http", "river", "server"]
    assert found.skipped == 2
    counts = np.array([[1, 1, 0, 3, 0], [0, 1, 1, 1, 2], [0, 0, 0, 0, 1]])
    documents_with = [1, 2, 1, 2, 2]
    expected = np.zeros((3, 5))
    for i, j in np.argwhere(counts):
        expected[i, j] = (1 + math.log(counts[i, j])) * math.log(3 / documents_with[j])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert isinstance(found.matrix, scipy.sparse.csr_array)
    assert found.matrix.dtype == np.float64
    # A dozen rounded operations a weight: a few eps is the scale of the difference.
    np.testing.assert_allclose(found.matrix.toarray(), expected, rtol=1e-14, atol=0)


def test_rare_words_and_documents_without_words_are_dropped(tree: Path) -> None:
    found = term_document_matrix(tree, min_documents=2)
    assert found.terms == ["bridge", "river", "server"]
    (tree / "e.py").write_text("lonely = 1\n")
    assert term_document_matrix(tree, min_documents=2).documents == found.documents


def test_definitions_as_documents(tree: Path) -> None:
    (tree / "f.py").write_text(
        "import river\nasync def bridge():\n    server = 1\nriver = bridge\nclass Bank: server = 2\n"
    )
    found = term_document_matrix(tree, min_documents=1, unit="definition")
    assert found.documents == ["a.py", "b.py:RiverHTTPServer", "f.py", "f.py:Bank", "f.py:bridge", "sub/c.py:server"]
    row = found.matrix.toarray()[found.documents.index("f.py")]
    assert {found.terms[j] for j in np.flatnonzero(row)} == {"river", "bridge"}


def test_twice_the_same(tree: Path) -> None:
    first, second = (term_document_matrix(tree, min_documents=1) for _ in range(2))
    assert (first.terms, first.documents) == (second.terms, second.documents)
    assert first.matrix.data.tobytes() == second.matrix.data.tobytes()
    assert first.matrix.indices.tobytes() == second.matrix.indices.tobytes()


def test_progress_counts_files(tree: Path) -> None:
    seen: list[tuple[int, int]] = []
    term_document_matrix(tree, min_documents=1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 6) for i in range(1, 7)]


def test_standard_library() -> None:
    found = term_document_matrix(max_files=120)
    rows, columns = found.matrix.shape
    assert (rows, columns) == (len(found.documents), len(found.terms))
    assert 80 < rows <= 120
    assert columns > 500
    assert 10 * rows < found.matrix.nnz < rows * columns / 4
    assert found.terms == sorted(set(found.terms))
    np.testing.assert_allclose(scipy.sparse.linalg.norm(found.matrix, axis=1), 1, rtol=1e-14)
    found.matrix.check_format(full_check=True)
    assert found.matrix.has_canonical_format


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"unit": "page"}, "unit"),
        ({"min_documents": 0}, "min_documents"),
        ({"min_documents": 4}, "lower min_documents"),
        ({"max_files": 0}, "no Python source"),
    ],
)
def test_bad_arguments(tree: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        term_document_matrix(tree, **arguments)  # type: ignore[arg-type]


def test_topics_take_the_dominating_side() -> None:
    vectors = np.array([[0.1, -0.6], [0.9, -0.7], [-0.3, 0.2], [0.0, 0.1]])
    assert describe_topics(["a", "b", "c", "d"], vectors) == [["b", "a"], ["b", "a"]]
    assert describe_topics(["a", "b", "c", "d"], -vectors, count=1, words=1) == [["b"]]
    with pytest.raises(InputError, match="one row for each of the 4 terms"):
        describe_topics(["a", "b", "c", "d"], vectors.T)
