"""Roots do what they say, and the certificates of what is made with them hold against the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

import rnla
from rnla.errors import InputError, OperatorError
from rnla.matfun.given_roots import GivenRoot, SparseRoot, require_solved
from rnla.matfun.inputs import root_of
from rnla.matfun.roots import DiagonalRoot, FramedRoot, InverseRoot, ScaledRoot, UpdatedRoot
from rnla.operators.coerce import as_operator
from tests.matfun.exact import POWERS, Case, backward, case, forward, needs_extended, truth
from tests.matfun.given import Counting, Wrong, tridiagonal

N = 30
rng = np.random.default_rng(5)
X = rng.standard_normal((N, 3))
DENSE = case(1e2, n=N, dense=True).H


def roots() -> dict[str, tuple[Any, Any]]:
    """Return every kind of root, and the matrix that it is."""
    h = np.linspace(1.0, 4.0, N)
    like = as_operator(X)
    diagonal, dense, sparse, given = (root_of(A, like) for A in (h, DENSE, tridiagonal(N), Counting(DENSE)))
    V, w = np.linalg.qr(rng.standard_normal((N, 4)))[0], np.array([3.0, 0.5, -0.4, 1e-9])
    T = tridiagonal(N).toarray()
    low = (V * w) @ V.T
    return {
        "diagonal": (diagonal, np.diag(h)),
        "dense": (dense, DENSE),
        "sparse": (sparse, T),
        "given": (given, DENSE),
        "inverse": (InverseRoot(sparse), np.linalg.inv(T)),
        "updated": (UpdatedRoot(diagonal, V, w), np.diag(h) + low),
        "updated twice": (UpdatedRoot(UpdatedRoot(given, V, w), V[::-1].copy(), w), DENSE + low + low[::-1, ::-1]),
        "updated dense": (FramedRoot(dense.frame, UpdatedRoot(dense.inside, dense.into(V), w)), DENSE + low),
        "scaled": (ScaledRoot(given, 40), 2.0**40 * DENSE),
    }


ROOTS = roots()


@pytest.mark.parametrize("name", ROOTS)
def test_a_root_multiplies_solves_counts_and_knows_its_size(name: str) -> None:
    root, H = ROOTS[name]
    root = root.counted()
    scale = np.linalg.norm(H, 2)
    np.testing.assert_allclose(root.matmat(X), H @ X, atol=1e-12 * scale)
    for s in (0.0, 0.3 * scale):
        y = root.shifted_solve(s, X)
        np.testing.assert_allclose(H @ y + s * y, X, atol=1e-9)
        np.testing.assert_array_equal(root.shifted_solve(s, X), y)  # what it keeps is right too
        require_solved(root, s, y, X)
        with pytest.raises(OperatorError):
            require_solved(root, s, 1.001 * y, X)
    values = np.linalg.eigvalsh(H)
    assert root.lower <= values[0] * (1 + 1e-12)
    assert root.upper >= values[-1] * (1 - 1e-12)
    assert values[-1] / 30 <= root.magnitude <= 3 * values[-1]
    assert root.counts.products + root.counts.solves >= 7 * 3
    assert root.counted().counts.passes == 0
    assert root.shape == (N, N)


def test_a_sparse_root_is_tried_for_being_semidefinite() -> None:
    like = as_operator(X)
    for shift, good in ((0.0, True), (0.9, True), (1.0, False), (5.0, False)):
        A = scipy.sparse.csr_array(tridiagonal(N).toarray() - shift * np.eye(N))
        assert bool(np.linalg.eigvalsh(A.toarray())[0] >= 0) == good
        if good:
            assert isinstance(root_of(A, like), SparseRoot)
        else:
            with pytest.raises(InputError, match="positive semidefinite"):
                root_of(A, like)


def test_two_factorizations_are_kept() -> None:
    root: Any = root_of(tridiagonal(N), as_operator(X))
    first = [root.shifted_solve(s, X) for s in (1.0, 2.0, 3.0)]
    assert len(root._factored) == 2
    for s, y in zip((3.0, 1.0, 2.0), (first[2], first[0], first[1]), strict=True):
        np.testing.assert_array_equal(root.shifted_solve(s, X), y)


def test_an_object_is_tried_for_being_hermitian_with_one_product() -> None:
    A = Counting(DENSE)
    root = root_of(A, as_operator(X))
    assert isinstance(root, GivenRoot)
    assert (A.products, A.calls, A.solves) == (2, 1, 0)
    with pytest.raises(InputError, match="not Hermitian"):
        root_of(Wrong(DENSE, lambda y: y * np.arange(N)[:, None], "matmat"), as_operator(X))


def test_a_diagonal_root_has_powers() -> None:
    root = DiagonalRoot(np.linspace(1.0, 4.0, N), np.dtype(float))
    np.testing.assert_allclose(root.power(-1.0).matmat(root.matmat(X)), X)
    np.testing.assert_allclose(root.power(0.5).matmat(root.power(0.5).matmat(X)), root.matmat(X))


# ------------------------------------------------------------------------------------------------ certificates
def as_given(made: Case, form: str) -> Any:
    return Counting(made.H) if form == "operator" else made.A_half


def assert_certified(made: Case, result: Any, power: float) -> None:
    exact = truth(made, power)
    oracle = 1e-17 * result.error.norm_of_A
    assert backward(exact, result) <= result.error.absolute + oracle
    assert forward(exact, result) <= result.forward_bound + oracle
    assert result.error.norm_of_A <= np.linalg.norm(exact.target.astype(complex), 2) * (1 + 1e-12)
    assert result.norm_upper >= np.linalg.norm(exact.target.astype(complex), 2) * (1 - 1e-12)


@needs_extended
@drawn(
    n=st.integers(2, 24), k=st.integers(1, 6), condition=st.sampled_from([1.0, 1e1, 1e3, 1e6]),
    sign=st.sampled_from([1, -1]), power=st.sampled_from(POWERS),
    form=st.sampled_from(["diagonal", "dense", "operator"]),
    field=st.sampled_from(["real", "complex"]), size=st.sampled_from([1e-3, 1.0, 1e2]), seed=st.integers(0, 99),
    share=st.sampled_from([0.1, 0.9, 0.999]), tol=st.sampled_from([None, 1e-4, 1e-9]),
)  # fmt: skip
@settings(max_examples=120)
def test_the_certificate_holds_on_anything(
    n: int, k: int, condition: float, sign: int, power: float, form: str, field: str, size: float, seed: int,
    share: float, tol: float | None,
) -> None:  # fmt: skip
    if form == "operator" and abs(power) < 0.5:
        power *= 2
    made = case(
        condition, sign, n=n, k=min(n, k), dense=form != "diagonal", field=field, size=size, seed=seed, share=share
    )
    result = rnla.sqrtm_update(
        as_given(made, form), made.D, sign=sign, power=power, tol=tol, on_failure="return", rng=seed
    )
    assert_certified(made, result, power)
    assert result.status.ok == (result.error.upper <= (tol or 1e-8)) or tol is None


@needs_extended
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize("form", ["diagonal", "dense", "operator"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("power", [0.5, -0.5])
@pytest.mark.parametrize("condition", [1e1, 1e3])
def test_the_certificate_holds_in_single_precision(
    dtype: str, form: str, sign: int, power: float, condition: float
) -> None:
    field = "complex" if dtype == "complex64" else "real"
    for seed in range(4):
        made = case(condition, sign, n=24, k=2, dense=form != "diagonal", field=field, seed=seed, share=0.8)
        low = made.A_half.astype(dtype if form != "diagonal" else np.float32)
        wide = low.astype(complex if field == "complex" and form != "diagonal" else float)
        exact = Case(wide, wide if wide.ndim == 2 else np.diag(wide), made.D.astype(dtype).astype(made.D.dtype), sign)
        A = Counting(low) if form == "operator" else low
        result = rnla.sqrtm_update(A, made.D.astype(dtype), sign=sign, power=power, on_failure="return", rng=0)
        assert_certified(exact, result, power)


@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6, 1e8])
@pytest.mark.parametrize("form", ["diagonal", "dense", "sparse"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_default_call_reaches_its_tolerance(condition: float, form: str, sign: int, seed: int) -> None:
    n = 300
    made = case(condition, sign, n=n, k=5, dense=form == "dense", seed=seed)
    A, D = made.A_half, made.D
    if form == "sparse":
        A = tridiagonal(n, condition=np.sqrt(condition))
        D = D * 0.9 / np.linalg.norm(np.linalg.solve(A.toarray(), D), 2) if sign < 0 else D
    result = rnla.sqrtm_update(A, D, sign=sign)
    assert result.error.upper <= 1e-13
    if condition <= 1e4 and form != "sparse":
        low = made.A_half.astype(np.float32), D.astype(np.float32)
        assert rnla.sqrtm_update(*low, sign=sign).error.upper <= 1e-5
