"""Every form in which A_half, D and A_quarter may come gives the same root, and nothing given is written in."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import rnla
import rnla.matfun.change
from rnla.errors import BudgetError
from rnla.matfun.change import cut, narrowed
from rnla.operators.coerce import as_operator
from rnla.rng import Key
from tests.matfun.exact import case
from tests.matfun.given import Counting, MultipliedOnly, tridiagonal

N, K = 48, 3
MADE = case(1e3, n=N, k=K, dense=True)
H, D = MADE.H, MADE.D


def root_found(result: Any) -> Any:
    return result @ np.eye(result.shape[0])


def expected(A: Any, change: Any, sign: int = 1, power: float = 0.5) -> Any:
    t, u = np.linalg.eigh(A @ A + sign * change @ change.conj().T)
    return (u * np.maximum(t, 0.0) ** power) @ u.conj().T


def saved(array: Any, folder: Path, kind: str) -> Any:
    if kind == "npy path":
        np.save(folder / "a.npy", array)
        return str(folder / "a.npy")
    if kind == "memmap":
        np.save(folder / "a.npy", array)
        return np.load(folder / "a.npy", mmap_mode="r")
    if kind == "hdf5":
        h5py = pytest.importorskip("h5py")
        return h5py.File(folder / "a.h5", "w").create_dataset("a", data=array, chunks=(7, 3))
    return pytest.importorskip("zarr").array(array, chunks=(7, 3))


FORMS = {
    "array": lambda x: x,
    "column order": np.asfortranarray,
    "every other": lambda x: np.repeat(np.repeat(x, 2, axis=0), 2, axis=1)[::2, ::2],
    "foreign bytes": lambda x: x.astype(">f8"),
    "nested list": lambda x: x.tolist(),
    "sparse array": scipy.sparse.csr_array,
    "sparse matrix": scipy.sparse.csc_matrix,
    "coordinates": scipy.sparse.coo_array,
    "linear operator": scipy.sparse.linalg.aslinearoperator,
    "data frame": lambda x: types.SimpleNamespace(to_numpy=lambda: x),
}


@pytest.mark.parametrize("form", [*FORMS, "npy path", "memmap", "hdf5", "zarr"])
@pytest.mark.parametrize("what", ["A_half", "D"])
def test_every_form_of_a_matrix(form: str, what: str, tmp_path: Path) -> None:
    original = H if what == "A_half" else D
    given = FORMS[form](original) if form in FORMS else saved(original, tmp_path, form)
    A, change = (given, D) if what == "A_half" else (H, given)
    result = rnla.sqrtm_update(A, change, rng=0, method=rnla.ShiftADI() if form != "linear operator" else None)
    np.testing.assert_allclose(root_found(result), expected(H, D), atol=1e-9)


@pytest.mark.parametrize("form", ["array", "list", "tuple", "integers", "truth values", "half", "matrix", "masked"])
def test_every_form_of_a_diagonal(form: str) -> None:
    h = np.arange(1.0, N + 1)
    given: Any = {
        "array": h, "list": h.tolist(), "tuple": tuple(h.tolist()), "integers": h.astype(int), "truth values": h > 20,
        "half": h.astype(np.float16), "matrix": scipy.sparse.diags_array(h), "masked": np.ma.masked_less(h, 0),
    }[form]  # fmt: skip
    change = D / 10
    if form == "half":
        change = change.astype(np.float32)
    diagonal = (h > 20) * 1.0 if form == "truth values" else h
    result = rnla.sqrtm_update(given, change, rng=0)
    assert result.V.dtype == change.dtype
    tol = 1e-3 if form == "half" else 1e-6 if form == "truth values" else 1e-10
    np.testing.assert_allclose(root_found(result), expected(np.diag(diagonal), change.astype(float)), atol=tol)


@pytest.mark.parametrize("number", [3, 3.0, np.float64(3), np.int8(3), np.float32(3), np.array(3.0), np.array(3)])
@pytest.mark.parametrize("power", [0.5, -0.5, 0.25, -0.25])
def test_every_form_of_a_number(number: Any, power: float) -> None:
    result = rnla.sqrtm_update(number, D, rng=0, power=power)
    assert result.report.plan.method == rnla.plan(3.0, D, problem="sqrtm_update").method
    np.testing.assert_allclose(root_found(result), expected(3 * np.eye(N), D, power=power), atol=1e-11)


def test_integers_and_lists_of_a_change() -> None:
    change = np.random.default_rng(0).integers(-3, 4, (N, 2))
    for given in (change, change.tolist(), change.astype(np.int8), change.astype(bool)):
        result = rnla.sqrtm_update(H, given, rng=0)
        np.testing.assert_allclose(root_found(result), expected(H, np.asarray(given, float)), atol=1e-9)


def test_single_precision_stays_single() -> None:
    for A, change in ((H.astype(np.float32), D.astype(np.float32)), (np.ones(N, np.float32), D.astype(np.complex64))):
        result = rnla.sqrtm_update(A, change)
        assert result.V.dtype == change.dtype
        assert result.w.dtype == np.float32
        assert (result @ change).dtype == change.dtype


@pytest.mark.parametrize("form", ["diagonal", "dense", "sparse", "operator", "real operator"])
@pytest.mark.parametrize("power", [0.5, -0.5])
def test_a_complex_change_of_a_real_root(form: str, power: float) -> None:
    change = D + 1j * D[::-1]
    whole = {"diagonal": np.diag(np.linspace(1, 5, N)), "sparse": tridiagonal(N).toarray()}.get(form, H)
    A: Any = {"diagonal": np.linspace(1, 5, N), "sparse": tridiagonal(N), "dense": H}.get(form, Counting(H))
    result = rnla.sqrtm_update(A, change, power=power, rng=0)
    assert result.V.dtype == np.complex128
    found = root_found(result)
    np.testing.assert_allclose(found, expected(whole, change, power=power), atol=1e-9)


def test_a_complex_root_and_a_real_change() -> None:
    made = case(1e2, n=N, k=K, dense=True, field="complex")
    change = made.D.real.copy()
    for A in (made.H, Counting(made.H), scipy.sparse.csr_array(made.H)):
        np.testing.assert_allclose(root_found(rnla.sqrtm_update(A, change)), expected(made.H, change), atol=1e-10)


@pytest.mark.parametrize("form", ["diagonal", "dense", "sparse"])
def test_nothing_given_is_written_in(form: str) -> None:
    A: Any = {"diagonal": np.linspace(1.0, 5.0, N), "dense": H.copy(), "sparse": tridiagonal(N).tocsr()}[form]
    change = D.copy()
    before = A.copy()
    for array in (A.data if form == "sparse" else A, change):
        array.setflags(write=False)
    for power in (0.5, -0.5):
        rnla.sqrtm_update(A, change, power=power)
    np.testing.assert_array_equal(change, D)
    assert (before != A).sum() == 0


def test_a_result_does_not_hang_on_what_was_given() -> None:
    """The diagonal is copied: the caller may write in his own afterwards."""
    h = np.linspace(1.0, 5.0, N)
    result = rnla.sqrtm_update(h, D)
    before = result @ D
    h[:] = -1
    np.testing.assert_array_equal(result @ D, before)


def test_a_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    big = np.eye(800)
    np.save(tmp_path / "a.npy", big)
    with rnla.config_context(memory_budget="2M"), pytest.raises(BudgetError, match="memory_budget"):
        rnla.sqrtm_update(str(tmp_path / "a.npy"), np.ones((800, 1)))


def test_four_forms_of_a_fourth_root() -> None:
    A = np.diag(np.linspace(1.0, 4.0, N))
    quarter = np.sqrt(np.diagonal(A))
    sparse = scipy.sparse.csr_array(A + np.diag(np.full(N - 1, 0.0), 1))
    for given in (quarter, np.diag(quarter), scipy.sparse.diags_array(quarter), Counting(np.diag(quarter))):
        for power in (0.25, -0.25):
            result = rnla.sqrtm_update(Counting(A), D, power=power, A_quarter=given, rng=0)
            np.testing.assert_allclose(root_found(result), expected(A, D, power=power), atol=1e-10)
    assert rnla.sqrtm_update(sparse, D, power=0.25).status.ok


# ------------------------------------------------------------------------------------------------- a wide change
@pytest.mark.parametrize("k", [N + 1, 600])
@pytest.mark.parametrize("rank", [1, 5, N])
@pytest.mark.parametrize("power", [0.5, -0.5])
@pytest.mark.parametrize("way", ["compressed", "triangular"])
def test_a_wide_change_comes_with_its_certificate(
    k: int, rank: int, power: float, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rnla.matfun.change, "_FEW", 8 if way == "compressed" else 512)
    rng = np.random.default_rng(k + rank)
    change = rng.standard_normal((N, rank)) @ rng.standard_normal((rank, k)) / k
    for form in (change, scipy.sparse.csr_array(change), scipy.sparse.linalg.aslinearoperator(change)):
        result = rnla.sqrtm_update(H, form, power=power, rng=0, on_failure="return")
        S = root_found(result)
        B = H @ H + change @ change.T
        target = B if power > 0 else np.linalg.inv(B)
        rounding = 1e-11 if power < 0 else 1e-14  # of this oracle
        size = np.linalg.norm(target, 2)
        assert np.linalg.norm(S @ S - target, 2) <= result.error.absolute + rounding * size
        assert any("was compressed to" in note for note in result.report.notes) == (way == "compressed")


@pytest.mark.parametrize("level", [0.0, 1e-14, 1e-6, 1e-2])
def test_what_is_left_out_of_a_wide_change_is_bounded(level: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rnla.matfun.change, "_FEW", 8)
    rng = np.random.default_rng(1)
    u, v = np.linalg.qr(rng.standard_normal((60, 60)))[0], np.linalg.qr(rng.standard_normal((700, 60)))[0]
    change = (u * 0.6 ** np.arange(60)) @ v.T
    found = narrowed(as_operator(change), level, Key(0))
    left = np.linalg.norm(change @ change.T - found.panel @ found.panel.T, 2)
    assert left <= found.dropped
    assert found.dropped <= max(level, 1e-12) * found.norm
    assert found.norm == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("level", [0.0, 1e-6, 1e-3])
def test_what_is_left_out_of_a_narrow_change_is_bounded(level: float, dtype: str) -> None:
    rng = np.random.default_rng(2)
    change = rng.standard_normal((50, 8))
    if np.dtype(dtype).kind == "c":
        change = change + 1j * rng.standard_normal((50, 8))
    change = (change * 10.0 ** -np.arange(8.0)).astype(dtype)
    found = cut(change, level)
    wide = change.astype(complex)
    left = np.linalg.norm(wide @ wide.conj().T - found.panel.astype(complex) @ found.panel.astype(complex).conj().T, 2)
    rounding = 10 * np.finfo(dtype).eps * found.norm if found.note else 1e-15 * found.norm
    assert left <= found.dropped + rounding
    assert (found.panel.shape[1] < 8) == (level > 0)


def test_columns_that_repeat() -> None:
    """A change of low rank in too many columns, for the inverse too, which leaves nothing out of D."""
    change = np.concatenate([D, D, D[:, :1]], axis=1)
    for power in (0.5, -0.5, 0.25, -0.25):
        result = rnla.sqrtm_update(H, change, power=power)
        np.testing.assert_allclose(root_found(result), expected(H, change, power=power), atol=1e-9)


def test_an_object_without_solves_is_multiplied_only() -> None:
    made = case(9.0, n=N, k=K, dense=True)
    result = rnla.sqrtm_update(MultipliedOnly(made.H), made.D)
    np.testing.assert_allclose(root_found(result), expected(made.H, made.D), atol=1e-10)
    with pytest.raises(rnla.errors.InputError, match="shifted_solve"):
        rnla.sqrtm_update(MultipliedOnly(made.H), made.D, power=-0.5)
    with pytest.raises(rnla.errors.InputError, match="shifted_solve"):
        result.solve(made.D)


@pytest.mark.parametrize("form", ["array", "list", "plan"])
def test_a_vector_is_one_column(form: str) -> None:
    """The same bits as of the one column."""
    h, x = np.linspace(1, 3, 40), np.random.default_rng(1).standard_normal(40)
    if form == "plan":
        plans = [rnla.plan(h, D, problem="sqrtm_update") for D in (x, x[:, None])]
        assert str(plans[0]) == str(plans[1])
        return
    column = rnla.sqrtm_update(h, x[:, None], rng=0)
    vector = rnla.sqrtm_update(h, x if form == "array" else x.tolist(), rng=0)
    assert np.array_equal(vector.V, column.V)
    assert np.array_equal(vector.w, column.w)


@pytest.mark.parametrize("power", [0.25, -0.25])
def test_a_fourth_root_is_no_square_root_of_the_next(power: float) -> None:
    """It is refused, with the way to say that its square is meant; that way is the root of B^{2 p} + D D^H."""
    h, D = np.linspace(1, 3, 30), np.random.default_rng(2).standard_normal((30, 2))
    fourth = rnla.sqrtm_update(h, D, power=power)
    for call in (
        lambda: rnla.sqrtm_update(fourth, D),
        lambda: rnla.plan(fourth, D, problem="sqrtm_update"),
        lambda: fourth.attach(fourth),
    ):
        with pytest.raises(rnla.InputError, match=r"A_half=result\.root"):
            call()
    B = np.diag(h**2) + D @ D.T
    S = rnla.sqrtm_update(fourth.root, D) @ np.eye(30)
    values, U = np.linalg.eigh(B)
    np.testing.assert_allclose(S @ S, (U * values ** (2 * power)) @ U.T + D @ D.T, atol=1e-11)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize(("half", "quarter"), [(0.5, 0.25), (-0.5, -0.25)])
@pytest.mark.parametrize("power", [0.25, -0.25])
def test_a_chain_of_fourth_roots(dense: bool, half: float, quarter: float, power: float) -> None:
    """The two roots of one matrix, both of them results, give the fourth root after the next change."""
    rng = np.random.default_rng(3)
    h, D, E = np.linspace(1, 3, 30), rng.standard_normal((30, 2)), rng.standard_normal((30, 2))
    Q = np.linalg.qr(rng.standard_normal((30, 30)))[0] if dense else np.eye(30)
    H = (Q * h) @ Q.T
    given = (H + H.T) / 2 if dense else h
    first = rnla.sqrtm_update(given, D, power=half)
    fourth = rnla.sqrtm_update(given, D, power=quarter)
    after = rnla.sqrtm_update(first, E, power=power, A_quarter=fourth) @ np.eye(30)
    values, U = np.linalg.eigh(H @ H + D @ D.T)
    values, U = np.linalg.eigh((U * values ** (2 * half)) @ U.T + E @ E.T)
    np.testing.assert_allclose(after, (U * values**power) @ U.T, atol=1e-10)


def test_a_fourth_root_alone_is_not_enough() -> None:
    with pytest.raises(rnla.InputError, match="give both"):
        rnla.sqrtm_update(None, np.ones((3, 1)), A_quarter=np.ones(3), power=0.25)
