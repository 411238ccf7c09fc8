"""The centred views: products, powers and magnitude against the matrix that is formed, for every base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import rnla
from rnla.operators.centered import centered
from rnla.operators.coerce import as_operator
from rnla.operators.implicit import Implicit
from rnla.operators.ledger import Ledger
from rnla.operators.moments import column_moments
from rnla.operators.protocols import SupportsBlocks, SupportsMagnitude, SupportsNormal
from rnla.rng import Key

Array = np.ndarray[Any, Any]
BASES = ["array", "integers", "memmap", "memmap by columns", "sparse", "operator", "torch", "strict"]
every_base = pytest.mark.parametrize("kind", BASES)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])


def base(kind: str, A: Array, folder: Path) -> Any:
    if kind.startswith("memmap"):
        order: Any = "F" if kind.endswith("columns") else "C"
        out = np.memmap(folder / "A", dtype=A.dtype, shape=A.shape, mode="w+", order=order)
        out[:] = A
        return as_operator(out)
    if kind == "sparse":
        return as_operator(scipy.sparse.csr_array(A))
    if kind == "operator":
        return as_operator(scipy.sparse.linalg.aslinearoperator(A))
    if kind == "torch":
        return as_operator(pytest.importorskip("torch").from_numpy(A.copy()))
    if kind == "strict":
        return as_operator(pytest.importorskip("array_api_strict").asarray(A))
    return as_operator(A)


def host(x: Any) -> Array:
    return np.asarray(x.resolve_conj().numpy() if hasattr(x, "resolve_conj") else x)


def setting(kind: str, dtype: str, folder: Path) -> tuple[Any, Array, Array, Array]:
    """Return a centred view, the same formed in double precision, and blocks to multiply from both sides."""
    m, n = 83, 37
    A = (Key(1).normals(0, m, n, dtype=dtype) + 5).astype(dtype)
    if kind == "integers":
        A = np.rint(4 * A.real).astype(np.int16)
    if kind == "sparse":
        A[np.abs(A) < 5] = 0
    op = base(kind, A, folder)
    weights, scale = np.linspace(0, 2, m), np.linspace(1, 3, n)
    ledger = Ledger(op)
    moments = column_moments(ledger, weights)
    wide = A.astype(np.complex128 if A.dtype.kind == "c" else np.float64)
    mean = weights @ wide / weights.sum()
    formed = np.sqrt(weights)[:, None] * (wide - mean) / scale
    magnitude = None
    if moments.squares is not None:
        scales = op.xp.asarray(scale) if op.device is None else op.xp.asarray(scale, device=op.device)
        magnitude = moments.magnitude(moments.mean, moments.rest, scales, op.dtype, op.xp)
    view = centered(
        op, center=moments.mean, rest=moments.rest, scale=scale, roots=np.sqrt(weights), magnitude=magnitude,
        inner=ledger,
    )  # fmt: skip
    x = Key(2).normals(0, n, 4, dtype=op.dtype, xp=op.xp, device=op.device)
    y = Key(3).normals(0, m, 4, dtype=op.dtype, xp=op.xp, device=op.device)
    return view, formed, x, y


@every_base
@every_dtype
def test_products_are_those_of_the_formed_matrix(dtype: str, kind: str, tmp_path: Path) -> None:
    view, B, x, y = setting(kind, dtype, tmp_path)
    slack = 200 * float(np.finfo(view.dtype).eps) * np.linalg.norm(B, 2)
    assert np.linalg.norm(host(view.matmat(x)) - B @ host(x)) <= slack * np.linalg.norm(host(x))
    assert np.linalg.norm(host(view.rmatmat(y)) - B.conj().T @ host(y)) <= slack * np.linalg.norm(host(y))
    assert host(view.matmat(x)).dtype == view.dtype
    if isinstance(view, SupportsNormal):
        w, image = view.normal_matmat(x)
        assert np.allclose(host(image), host(view.matmat(x)), rtol=0, atol=slack)
        assert np.linalg.norm(host(w) - B.conj().T @ (B @ host(x))) <= slack * np.linalg.norm(B, 2) * np.linalg.norm(x)


@every_base
def test_powers_are_those_of_the_base(kind: str, tmp_path: Path) -> None:
    view, B, _, _ = setting(kind, "float64", tmp_path)
    blocks = kind not in {"sparse", "operator"}
    assert isinstance(view, SupportsBlocks) == blocks
    assert isinstance(view, SupportsNormal) == (blocks and kind != "memmap by columns")
    assert isinstance(view, SupportsMagnitude) == (kind != "operator")
    assert isinstance(view, Implicit) == (kind == "operator")
    if kind != "operator":
        assert np.isclose(view.measure().frobenius, np.linalg.norm(B), rtol=1e-12)
        assert as_operator(view) is view
    if blocks:
        rows = np.concatenate([host(block) for _, block in view.row_blocks()], axis=0)
        columns = np.concatenate([host(block) for _, block in view.column_blocks()], axis=1)
        assert np.allclose(rows, B, rtol=0, atol=1e-12)
        assert np.allclose(columns, B, rtol=0, atol=1e-12)


@pytest.mark.parametrize("order", ["sorted", "shuffled", "constant start"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_moments_do_not_cancel(dtype: str, order: str) -> None:
    """Against exact rational arithmetic on the rounded data; a mean of 1e6 deviations, in the worst of orders too."""
    from fractions import Fraction

    m, n = 3000, 3
    A = (1e6 + Key(4).normals(0, m, n)).astype(dtype)
    if order == "sorted":
        A = np.sort(A, axis=0)
    elif order == "constant start":
        A[:1000] = 0
    with rnla.config_context(memory_budget="1M"):
        moments = column_moments(Ledger(as_operator(A)))
    for j in range(n):
        column = [Fraction(float(value)) for value in A[:, j]]
        mean = sum(column) / m
        squares = sum((value - mean) ** 2 for value in column)
        assert abs(float(moments.squares[j]) / float(squares) - 1) < 1e-12
        found = Fraction(float(moments.mean[j])) + Fraction(float(moments.rest[j]))
        assert abs(float(found - mean)) < 1e-14 * np.sqrt(float(squares) / m)


def test_values_do_not_depend_on_threads() -> None:
    A = Key(5).normals(0, 4000, 300) + 10
    results = []
    for threads in (1, 2):
        with rnla.config_context(threads=threads):
            results.append(rnla.pca(A, 3, method=rnla.SubspaceIteration(), rng=0))
    assert np.array_equal(results[0].components, results[1].components)
    assert np.array_equal(results[0].mean, results[1].mean)


def test_a_pass_limit_counts_the_means() -> None:
    A = Key(6).normals(0, 400, 300)
    method = rnla.SubspaceIteration(power_iterations=1)
    needed = rnla.pca(A, 3, method=method, rng=0).report.passes
    with rnla.config_context(max_passes=needed):
        assert rnla.pca(A, 3, method=method, rng=0).rank == 3
    with rnla.config_context(max_passes=needed - 1), pytest.raises(rnla.BudgetError, match="max_passes"):
        rnla.pca(A, 3, method=method, rng=0)
