"""Bad input to `sqrtm_update` is refused before the work, in words that say what to do, and never answered wrongly."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import rnla
from rnla.errors import (
    BackendError,
    DTypeError,
    InputError,
    NonFiniteError,
    OperatorError,
    RnlaError,
    ToleranceNotMet,
)
from tests.matfun.exact import case, of_power, truth
from tests.matfun.given import Counting, MultipliedOnly, Wrong, tridiagonal

N, K = 40, 3
rng = np.random.default_rng(7)
DENSE = case(1e3, n=N, k=K, dense=True)
H, D = DENSE.H, DENSE.D
h = np.linspace(1.0, 5.0, N)


def off(matrix: Any) -> Any:
    """Return a matrix that is not Hermitian by one entry."""
    other = matrix.copy()
    other[0, 5] += 1.0
    return other


def indefinite() -> Any:
    """Return a matrix with a positive diagonal and negative eigenvalues."""
    beside = np.full(N - 1, 2.0)
    return scipy.sparse.diags_array([beside, np.ones(N), beside], offsets=[-1, 0, 1]).toarray()


def spoiled(value: float, where: str) -> tuple[Any, Any]:
    A, change = {"diagonal": h, "dense": H, "sparse": tridiagonal(N).tocsr(), "D": h, "wide D": h}[where], D
    if where == "D":
        change = D.copy()
        change[3, 1] = value
    elif where == "wide D":
        change = rng.standard_normal((N, N + 5))
        change[3, 1] = value
    elif where == "sparse":
        A = A.copy()
        A.data[5] = value
    else:
        A = A.copy()
        A.flat[3] = value
        A = A if A.ndim == 1 else np.where(np.isfinite(A.T), A, A.T)
    return A, change


ROOTS = {
    "dense, not Hermitian": (off(H), InputError, "not Hermitian.*conj"),
    "sparse, not Hermitian": (scipy.sparse.csr_array(off(H)), InputError, "not Hermitian"),
    "operator, not Hermitian": (Counting(off(H)), InputError, "not Hermitian"),
    "complex symmetric": (H + 0.1j * np.abs(H), InputError, "not Hermitian"),
    "negative diagonal": (-h, InputError, "numpy.sqrt"),
    "negative number": (-2.0, InputError, "numpy.sqrt"),
    "complex number": (2j, DTypeError, "real"),
    "complex diagonal": (h + 0j, DTypeError, "real"),
    "truth value": (True, DTypeError, "matrix"),
    "nothing": (None, InputError, "A_half"),
    "a word": ("root", InputError, "npy"),
    "indefinite dense": (indefinite(), InputError, "positive semidefinite"),
    "indefinite sparse": (scipy.sparse.csr_array(indefinite()), InputError, "positive semidefinite"),
    "indefinite operator": (Counting(indefinite()), InputError, "positive semidefinite"),
    "indefinite, multiplied only": (MultipliedOnly(indefinite()), InputError, "positive semidefinite"),
    "negative dense": (-H, InputError, "positive"),
    "rectangular": (H[:, :7], InputError, "square"),
    "three dimensions": (H[None], InputError, "two dimensions"),
    "masked": (np.ma.masked_equal(np.arange(float(N)), 3), InputError, "masked"),
    "ragged": ([[1.0, 2.0], [3.0]], InputError, "ragged"),
    "objects": (np.array([object()] * N), DTypeError, "dtype"),
    "long double": (h.astype(np.longdouble), DTypeError, "LAPACK"),
    "another size": (h[:-1], InputError, "rows"),
    "another precision": (h.astype(np.float32), InputError, "float32"),
}


@pytest.mark.parametrize("name", ROOTS)
def test_a_root_that_cannot_be_one(name: str) -> None:
    A, kind, words = ROOTS[name]
    with pytest.raises(kind, match=words):
        rnla.sqrtm_update(A, D)


def test_a_root_is_refused_before_the_expensive_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the work began")

    monkeypatch.setattr(rnla.ShiftADI, "correct", refuse)
    for name in set(ROOTS) - {"indefinite operator", "indefinite, multiplied only"}:  # only products show these
        A, kind, _ = ROOTS[name]
        with pytest.raises(kind):
            rnla.sqrtm_update(A, D)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["diagonal", "dense", "sparse", "D", "wide D"])
def test_what_is_not_finite(value: float, where: str) -> None:
    with pytest.raises(NonFiniteError):
        rnla.sqrtm_update(*spoiled(value, where))


CHANGES = {
    "a vector of another length": (D[:-1, 0], "rows"),
    "nothing": (None, "change of A"),
    "lies the other way": (D.T, "conj\\(\\).T"),
    "three dimensions": (D[None], "two dimensions"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_the_wrong_shape(name: str) -> None:
    change, words = CHANGES[name]
    for A in (h, H):
        with pytest.raises(InputError, match=words):
            rnla.sqrtm_update(A, change)


REQUESTS = [
    ({"power": 1}, InputError, "0.5"), ({"power": "a"}, InputError, "0.5"), ({"power": None}, DTypeError, "number"),
    ({"power": [0.5]}, DTypeError, "number"), ({"power": True}, DTypeError, "number"), ({"sign": 0}, InputError, "-1"),
    ({"sign": "+"}, InputError, "-1"), ({"sign": True}, InputError, "-1"), ({"sign": None}, InputError, "-1"),
    ({"sign": np.array([1, 1])}, InputError, "-1"), ({"tol": 0}, InputError, "positive"),
    ({"tol": -1}, InputError, "positive"), ({"tol": 1e-20}, InputError, "10 eps"), ({"tol": "x"}, DTypeError, "number"),
    ({"tol": np.nan}, InputError, "finite"), ({"max_rank": -1}, InputError, "at least"),
    ({"max_rank": 1.5}, DTypeError, "integer"), ({"method": "shift_adi"}, DTypeError, "ShiftADI\\(\\)"),
    ({"method": rnla.ShiftADI}, DTypeError, "parentheses"), ({"method": rnla.GramEigh()}, DTypeError, "roots"),
    ({"on_failure": "x"}, InputError, "raise"), ({"rng": -1}, InputError, "seed"), ({"rng": "x"}, DTypeError, "rng"),
    ({"A": H}, InputError, "A_half"), ({"power": 0.25, "A_quarter": h}, None, ""),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(REQUESTS)), ids=[str(next(iter(r[0].items())))[:40] for r in REQUESTS])
def test_a_request_that_cannot_be_met(at: int) -> None:
    asked, kind, words = REQUESTS[at]
    if kind is None:  # a fourth root that is not needed is not looked at
        assert rnla.sqrtm_update(h, D, **asked).status.ok
        return
    with pytest.raises(kind, match=words):
        rnla.sqrtm_update(h, D, **asked)


def test_a_fourth_root_that_is_not_one() -> None:
    A = tridiagonal(N)
    with pytest.raises(InputError, match="A_quarter="):
        rnla.sqrtm_update(A, D, power=0.25)
    with pytest.raises(InputError, match="not the root"):
        rnla.sqrtm_update(A, D, power=0.25, A_quarter=A)


def test_libraries_and_devices_that_are_mixed() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(BackendError, match="different libraries"):
        rnla.sqrtm_update(torch.from_numpy(h), D)
    with pytest.raises(BackendError, match="different libraries"):
        rnla.sqrtm_update(h, torch.from_numpy(D))
    strict = pytest.importorskip("array_api_strict")
    there, here = (strict.Device(name) for name in ("device1", "CPU_DEVICE"))
    with pytest.raises(BackendError, match="device1"):
        rnla.sqrtm_update(strict.asarray(h, device=there), strict.asarray(D, device=here))


def test_tensors_that_record_gradients() -> None:
    torch = pytest.importorskip("torch")
    a, d = torch.from_numpy(h.copy()), torch.from_numpy(D.copy())
    for given in ((a.clone().requires_grad_(), d), (a, d.clone().requires_grad_()), (torch.eye(N, dtype=d.dtype), d)):
        if not any(x.requires_grad for x in given):
            given[0].requires_grad_()
        with pytest.raises(DTypeError, match="detach"):
            rnla.sqrtm_update(*given)


# ------------------------------------------------------------------------------------- objects that are wrong
SPOILED = {
    "another shape": (lambda y: y[:-1], OperatorError, "shape"),
    "a list": (lambda y: y.tolist(), OperatorError, "array"),
    "nothing": (lambda y: None, OperatorError, "array"),
    "integers": (lambda y: y.astype(int), OperatorError, "int64"),
    "complex numbers": (lambda y: y + 0j, DTypeError, "complex"),
    "nan": (lambda y: np.where(np.arange(N)[:, None] == 3, np.nan, y), NonFiniteError, "NaN"),
}


@pytest.mark.parametrize("name", SPOILED)
@pytest.mark.parametrize("what", ["matmat", "solve"])
@pytest.mark.parametrize("power", [0.5, -0.5])
def test_an_object_that_returns_something_else(name: str, what: str, power: float) -> None:
    spoil, kind, words = SPOILED[name]
    with pytest.raises(kind, match=words):
        rnla.sqrtm_update(Wrong(H, spoil, what), D, power=power)


SOLVES = {
    "zero": lambda y: 0 * y,
    "nothing done": None,
    "the wrong sign": lambda y: -y,
    "one part in a hundred": lambda y: 1.01 * y,
    "one part in a million": lambda y: (1 + 1e-6) * y,
    "one part in 1e9": lambda y: (1 + 1e-9) * y,
    "single precision": lambda y: y.astype(np.float32).astype(np.float64),
    "one row": lambda y: np.where(np.arange(N)[:, None] == 3, 1.5 * y, y),
}


class Unchanged(Counting):
    """Gives back what it should solve with."""

    def shifted_solve(self, s: float, x: Any) -> Any:
        return x.copy()


@pytest.mark.parametrize("name", SOLVES)
@pytest.mark.parametrize(("power", "sign"), [(0.5, 1), (-0.5, 1), (0.5, -1), (-0.5, -1)])
def test_a_solve_that_is_wrong_never_makes_a_wrong_answer(name: str, power: float, sign: int) -> None:
    """Either it is refused, or what is certified is true: the error of the answer is measured against the oracle."""
    made = case(1e3, sign, n=N, k=K, dense=True)
    spoil = SOLVES[name]
    A = Unchanged(made.H) if spoil is None else Wrong(made.H, spoil)
    try:
        result = rnla.sqrtm_update(A, made.D, power=power, sign=sign)
    except OperatorError as error:
        assert "does not solve" in str(error)  # noqa: PT017
        return
    except ToleranceNotMet as error:
        result = error.result
    exact = truth(made, power)
    S = of_power(exact, result).astype(float)
    left = np.linalg.norm(S @ S - exact.target.astype(float), 2)
    rounding = 1e-14 * np.linalg.norm(exact.target.astype(float), 2)  # of this oracle
    assert left <= result.error.absolute + rounding


@pytest.mark.parametrize(
    ("name", "power"),
    [("zero", 0.5), ("nothing done", 0.5), ("zero", -0.5), ("nothing done", -0.5), ("the wrong sign", -0.5)],
)
def test_a_solve_that_is_no_solve_is_refused(name: str, power: float) -> None:
    A = Unchanged(H) if SOLVES[name] is None else Wrong(H, SOLVES[name])
    with pytest.raises(OperatorError, match="does not solve"):
        rnla.sqrtm_update(A, D, power=power)


def test_an_error_of_the_object_comes_through() -> None:
    class Broken(Counting):
        def shifted_solve(self, s: float, x: Any) -> Any:
            raise KeyError("a lost file")

    with pytest.raises(KeyError, match="a lost file"):
        rnla.sqrtm_update(Broken(H), D)


def test_an_object_that_writes_where_it_reads_and_returns_its_own_buffer() -> None:
    class Careless(Counting):
        def matmat(self, x: Any) -> Any:
            y = super().matmat(x)
            x[:] = np.nan
            self.buffer = np.asfortranarray(y)
            return self.buffer

        def shifted_solve(self, s: float, x: Any) -> Any:
            if hasattr(self, "buffer"):
                self.buffer[:] = np.nan
            y = super().shifted_solve(s, x)
            x[:] = np.nan
            return y

    given = D.copy()
    good, bad = rnla.sqrtm_update(Counting(H), D, rng=0), rnla.sqrtm_update(Careless(H), given, rng=0)
    np.testing.assert_array_equal(given, D)
    np.testing.assert_allclose(bad.w, good.w, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("bounds", [(2.0, 1.0), (-1.0, 3.0), (np.nan, 1.0)])
def test_bounds_that_are_none(bounds: tuple[float, float]) -> None:
    A = Counting(H)
    A.eigenvalue_bounds = bounds
    with pytest.raises(InputError, match="eigenvalue_bounds"):
        rnla.sqrtm_update(A, D)


# ---------------------------------------------------------------------------------------------- downdates
def away(mu: float, dense: bool, seed: int = 0) -> Any:
    """Return a downdate whose lambda_max(D^H A^-1 D) is mu, to rounding."""
    return case(1e2, -1, n=N, k=K, dense=dense, share=mu, seed=seed)


@pytest.mark.parametrize("power", [0.5, -0.5, 0.25, -0.25])
@pytest.mark.parametrize("form", ["diagonal", "dense", "sparse", "operator"])
def test_a_downdate_that_is_not_possible_says_by_how_much(power: float, form: str) -> None:
    made = away(1.25, form in ("dense", "operator"))
    A = {"diagonal": made.A_half, "dense": made.A_half, "operator": Counting(made.H)}.get(form)
    change = made.D
    if A is None:
        A = tridiagonal(N)
        change = change * np.sqrt(1.25) / np.linalg.norm(np.linalg.solve(A.toarray(), change), 2)
    if abs(power) < 0.5 and form in ("sparse", "operator"):
        return
    with pytest.raises(InputError, match=r"lambda_max\(D\^H A\^-1 D\) - 1 = 0\.25 "):
        rnla.sqrtm_update(A, change, sign=-1, power=power)


def test_a_downdate_that_is_not_possible_without_solves() -> None:
    made = away(1.25, dense=True)
    with pytest.raises(InputError, match="downdate is not possible"):
        rnla.sqrtm_update(MultipliedOnly(made.H), made.D, sign=-1)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_at_the_boundary_the_root_is_given_and_the_inverse_refused(dense: bool, seed: int) -> None:
    made = away(1.0, dense, 2 * seed)
    result = rnla.sqrtm_update(made.A_half, made.D, sign=-1)
    S = made.H + (result.V * result.w) @ result.V.conj().T
    bound = result.error.absolute + 1e-14 * np.linalg.norm(made.A, 2)
    assert np.linalg.norm(S @ S - made.B, 2) <= bound
    assert np.linalg.norm(S @ S - made.B, 2) <= 2e-13 * np.linalg.norm(made.B, 2)
    for power in (-0.5, -0.25):
        with pytest.raises(InputError, match="singular to working precision"):
            rnla.sqrtm_update(made.A_half, made.D, sign=-1, power=power)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_a_singular_matrix_has_a_root_and_no_inverse(dense: bool, inside: bool) -> None:
    values = np.concatenate([np.zeros(4), np.linspace(1.0, 3.0, N - 4)])
    u = np.linalg.qr(rng.standard_normal((N, N)))[0] if dense else np.eye(N)
    root = (u * values) @ u.T
    A = (root + root.T) / 2 if dense else values
    change = u[:, 4:7] / 2 if inside else u[:, 2:5] / 2
    S = rnla.sqrtm_update(A, change).matmat(np.eye(N))
    np.testing.assert_allclose(S @ S, root @ root + change @ change.T, atol=2e-12)
    if inside:
        S = rnla.sqrtm_update(A, change, sign=-1).matmat(np.eye(N))
        np.testing.assert_allclose(S @ S, root @ root - change @ change.T, atol=2e-12)
    else:
        with pytest.raises(InputError, match="not possible"):
            rnla.sqrtm_update(A, change, sign=-1)
    for sign in (1, -1):
        with pytest.raises(InputError, match=r"no inverse root|not possible"):
            rnla.sqrtm_update(A, change, power=-0.5, sign=sign)


def test_a_singular_sparse_matrix() -> None:
    """A graph's Laplacian: its root is not sparse, but it may be a root itself."""
    n = 30
    A = scipy.sparse.diags_array(
        [-np.ones(n - 1), np.r_[1, np.full(n - 2, 2.0), 1], -np.ones(n - 1)], offsets=[-1, 0, 1]
    )
    change = rng.standard_normal((n, 2))
    S = rnla.sqrtm_update(A, change).matmat(np.eye(n))
    np.testing.assert_allclose(S @ S, (A @ A).toarray() + change @ change.T, atol=1e-11)
    with pytest.raises(RnlaError, match="ridge"):
        rnla.sqrtm_update(A, change, power=-0.5)


# ------------------------------------------------------------------------------------------- sizes that are small
@pytest.mark.parametrize("power", [0.5, -0.5, 0.25, -0.25])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("n", "k"), [(0, 0), (0, 2), (1, 0), (1, 1), (1, 3), (2, 1), (2, 5), (3, 3)])
@pytest.mark.parametrize("dense", [False, True])
def test_sizes_that_are_small(n: int, k: int, sign: int, power: float, dense: bool) -> None:
    change = np.random.default_rng(n + k).standard_normal((n, k)) / 9
    values = np.arange(1.0, n + 1)
    result = rnla.sqrtm_update(np.diag(values) if dense else values, change, sign=sign, power=power)
    assert result.rank <= min(n, 2 * n)
    assert result.V.shape == (n, result.rank)
    t, u = np.linalg.eigh(np.diag(values**2) + sign * change @ change.T) if n else (values, np.zeros((0, 0)))
    expected = (u * t**power) @ u.T
    found = np.diag(values ** (2 * power)) + (result.V * result.w) @ result.V.T
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("power", [0.5, -0.5, 0.25, -0.25])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("form", ["diagonal", "dense", "sparse", "operator", "number"])
def test_no_change_is_a_correction_of_rank_zero(form: str, sign: int, power: float) -> None:
    A = {"diagonal": h, "dense": H, "sparse": tridiagonal(N), "operator": Counting(H), "number": 3.0}[form]
    quarter = {} if abs(power) == 0.5 or form not in ("sparse", "operator") else None
    if quarter is None:
        return
    for change in (np.zeros((N, 2)), np.zeros((N, 0))):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = rnla.sqrtm_update(A, change, sign=sign, power=power)
        assert result.rank == 0
        assert result.error.upper == 0
        assert result.status.ok
        assert result.V.shape == (N, 0)
