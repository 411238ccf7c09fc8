"""Rows D: operators that break their contract, by accident or on purpose."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse.linalg

import rnla
from tests.bad_input.cases import (
    METHODS,
    PRODUCTS_ONLY,
    Operator,
    assert_right,
    decaying,
    host,
    run,
    strict,
    tensor,
)

every_method = pytest.mark.parametrize("method", PRODUCTS_ONLY)
PRODUCTS = range(1, 8)  # two power iterations: seven products


def check_fault(fault: Callable[[Any], Any], at: int, error: Any, message: str, dtype: str = "float64") -> Any:
    with pytest.raises(error, match=message) as caught:
        rnla.svd(Operator(decaying(dtype=dtype), fault, at), 5, rng=0)
    return caught


# --------------------------------------------------------------------------------------------------------- D1
WRONG_SHAPES: dict[str, Callable[[Any], Any]] = {
    "short": lambda y: y[:-1],
    "long": lambda y: np.vstack([y, y[:1]]),
    "fewer-columns": lambda y: y[:, :-1],
    "flat": lambda y: y.ravel(),
    "one-column": lambda y: y[:, 0],
    "transposed": lambda y: y.T,
    "extra-axis": lambda y: y[:, :, None],
    "empty": lambda y: y[:0],
}


@pytest.mark.parametrize("at", PRODUCTS)
@pytest.mark.parametrize("wrong", WRONG_SHAPES)
def test_D1_wrong_output_shapes_are_named(wrong: str, at: int) -> None:
    what = r"A @ X" if at % 2 else r"adjoint\(A\) @ Y"
    check_fault(WRONG_SHAPES[wrong], at, rnla.OperatorError, rf"{what} must return shape \(\d+, \d+\), got \(")


@pytest.mark.parametrize("at", [1, 2, 7])
@pytest.mark.parametrize("nothing", [None, 3.0, "y", object()], ids=["None", "float", "str", "object"])
def test_D1_what_is_no_array_is_named(nothing: Any, at: int) -> None:
    check_fault(
        lambda _: nothing, at, rnla.OperatorError, rf"must return an array of shape .*, got a {type(nothing).__name__}"
    )


# --------------------------------------------------------------------------------------------------------- D2
class OneSided:
    """Multiplies from one side only."""

    dtype = np.dtype("float64")

    def __init__(self, A: np.ndarray[Any, Any]) -> None:
        self.A, self.shape, self.products = A, A.shape, 0

    def matmat(self, x: Any) -> Any:
        self.products += 1
        return self.A @ x


@every_method
def test_D2_without_an_adjoint_the_error_comes_first_and_says_what_to_give(method: str) -> None:
    A = OneSided(decaying())
    with pytest.raises(
        rnla.OperatorError, match=r"OneSided has no product with its adjoint.*give it rmatmat\(Y\)"
    ) as caught:
        run(A, method=method)
    assert "every method of svd needs" in str(caught.value)
    assert A.products == 0


@every_method
def test_D2_a_scipy_operator_without_rmatvec(method: str) -> None:
    A = decaying()
    operator = scipy.sparse.linalg.LinearOperator(A.shape, matvec=lambda x: A @ x, dtype=A.dtype)
    with pytest.raises(rnla.OperatorError, match=r"no product with its adjoint.*rmatvec\(y\)"):
        run(operator, method=method)


def test_D2_what_multiplies_nothing() -> None:
    class Shape:
        shape, dtype = (4, 3), np.dtype("float64")

    with pytest.raises(rnla.DTypeError, match="is not a matrix: pass an array"):
        rnla.svd(Shape(), 1)


class ByVectors:
    def __init__(self, A: np.ndarray[Any, Any]) -> None:
        self.A, self.shape, self.dtype = A, A.shape, A.dtype

    def matvec(self, x: Any) -> Any:
        assert x.ndim == 1
        return self.A @ x

    def rmatvec(self, y: Any) -> Any:
        return self.A.conj().T @ y


class ByTransposition:
    def __init__(self, A: np.ndarray[Any, Any]) -> None:
        self.A, self.shape, self.dtype = A, A.shape, A.dtype

    def __matmul__(self, x: Any) -> Any:
        return self.A @ x

    @property
    def T(self) -> ByTransposition:
        return ByTransposition(self.A.T)


class ByAdjoint(ByTransposition):
    @property
    def H(self) -> ByTransposition:
        return ByTransposition(self.A.conj().T)

    T = None  # type: ignore[assignment]


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("kind", [ByVectors, ByTransposition, ByAdjoint], ids=lambda kind: kind.__name__)
def test_D2_every_way_to_give_an_adjoint_is_taken(kind: Any, dtype: str) -> None:
    A = decaying(dtype=dtype)
    assert_right(rnla.svd(kind(A), 6, rng=0), A)


# --------------------------------------------------------------------------------------------------------- D3
class WrongAdjoint(Operator):
    def __init__(self, A: np.ndarray[Any, Any], wrong: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> None:
        super().__init__(A)
        self.other = wrong(A)

    def rmatmat(self, y: Any) -> Any:
        return self.other @ y


WRONG_ADJOINTS: dict[str, tuple[str, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]]] = {
    "real-transpose": ("complex128", lambda A: A.T),
    "real-transpose-single": ("complex64", lambda A: A.T),
    "negated": ("float64", lambda A: -A.T),
    "scaled": ("float64", lambda A: 1.0001 * A.T),
    "scaled-single": ("float32", lambda A: np.float32(1.01) * A.T),
    "rolled": ("float64", lambda A: np.roll(A.T, 1, axis=0)),
    "another": ("float64", lambda A: decaying(dtype="float64", rank=3).T),
    "one-entry": ("float64", lambda A: A.T + 0.1 * np.eye(30, 90)[:, ::-1] * (np.arange(90) == 89)),
    "zero": ("float64", lambda A: 0 * A.T),
}


@every_method
@pytest.mark.parametrize("wrong", WRONG_ADJOINTS)
def test_D3_a_wrong_adjoint_is_found_by_two_columns(wrong: str, method: str) -> None:
    dtype, make = WRONG_ADJOINTS[wrong]
    A = WrongAdjoint(decaying(dtype=dtype), make)
    with pytest.raises(rnla.OperatorError, match=r"rmatmat is not the adjoint of its matmat.*rmatmat must conjugate"):
        run(A, method=method)


@every_method
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_D3_right_adjoints_pass_at_any_scale_with_no_further_pass(scale: float, dtype: str, method: str) -> None:
    A = Operator((with_slow_decay() * scale).astype(dtype))
    result = run(A, method=method)
    if method != "adaptive":
        assert (result.report.passes, A.products) == (7, 7)


# --------------------------------------------------------------------------------------------------------- D4
class Noisy(Operator):
    noise = 1e-6

    def __init__(self, A: np.ndarray[Any, Any]) -> None:
        super().__init__(A)
        self.rng = np.random.default_rng(0)

    def _out(self, y: Any) -> Any:
        return y + self.noise * np.linalg.norm(y) * self.rng.standard_normal(y.shape)


class Saturating(Operator):
    def _out(self, y: Any) -> Any:
        return np.tanh(y)


class Drifting(Operator):
    """Changes while it is being multiplied."""

    def _out(self, y: Any) -> Any:
        self.products += 1
        return y * (1 + 1e-3 * self.products)


@every_method
@pytest.mark.parametrize("kind", [Noisy, Saturating, Drifting], ids=lambda kind: kind.__name__)
def test_D4_operators_that_are_no_matrix_fail_the_adjoint_test(kind: Any, method: str) -> None:
    with pytest.raises(rnla.OperatorError, match="is not the adjoint of its matmat"):
        run(kind(decaying()), method=method)


def test_D4_noise_at_the_rounding_level_is_no_fault() -> None:
    A = Noisy(decaying())
    A.noise = 1e-15
    result = rnla.svd(A, 6, rng=0)
    assert np.allclose(result.s, 0.5 ** np.arange(6), rtol=0, atol=1e-11)


# --------------------------------------------------------------------------------------------------------- D5
class Unplugged(Exception):
    """What a user's own code raises."""


@pytest.mark.parametrize("at", PRODUCTS)
def test_D5_what_an_operator_raises_passes_through_with_the_pass(at: int) -> None:
    def unplug(y: Any) -> Any:
        raise Unplugged("the disk is gone")

    caught = check_fault(unplug, at, Unplugged, "the disk is gone")
    what = "A @ X" if at % 2 else "adjoint(A) @ Y"
    assert caught.value.__notes__ == [f"raised by the operator in pass {at}, {what}"]


BAD = {
    "nan": lambda y: np.full_like(y, math.nan),
    "one-nan": lambda y: np.where(np.arange(y.size).reshape(y.shape) == y.size // 2, math.nan, y),
    "one-inf": lambda y: np.where(np.arange(y.size).reshape(y.shape) == y.size - 1, math.inf, y),
    "complex-nan": lambda y: y * complex(1, math.nan),
}


@pytest.mark.parametrize("check", [True, False], ids=["checked", "unchecked"])
@pytest.mark.parametrize("at", PRODUCTS)
@pytest.mark.parametrize("bad", BAD)
def test_D5_not_finite_in_product_j_is_named_and_never_reaches_lapack(bad: str, at: int, check: bool) -> None:
    dtype = "complex128" if bad == "complex-nan" else "float64"
    with rnla.config_context(check_finite=check), np.errstate(all="ignore"):
        message = rf"holds NaN or infinity in pass {at}: the operator returned it" if check else "NaN or infinity"
        check_fault(BAD[bad], at, (rnla.NonFiniteError, rnla.OperatorError), message, dtype)


@pytest.mark.parametrize("shape", [(3, 3), (3, 2), (2, 3)], ids=str)
@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_D5_not_finite_in_a_tiny_product(shape: tuple[int, int], bad: float) -> None:
    def plant(y: Any) -> Any:
        y[0, 0] = bad
        return y

    for at in (1, 2, 3):
        operator = Operator(decaying(shape, rank=2), plant, at)
        with rnla.config_context(check_finite=False), np.errstate(all="ignore"):
            try:
                rnla.svd(operator, 1, rng=0)
            except (rnla.NonFiniteError, rnla.OperatorError):
                continue
        assert operator.products < at, "a bad product went unseen"


KINDS: dict[str, Callable[[Any], Any]] = {
    "matrix": lambda y: y.view(np.matrix),
    "masked": np.ma.masked_array,
    "list": lambda y: y.tolist(),
    "tuple": lambda y: tuple(map(tuple, y.tolist())),
    "sparse": scipy.sparse.csr_array,
    "fortran": np.asfortranarray,
    "reversed-strides": lambda y: y[::-1].copy()[::-1],
    "big-endian": lambda y: y.astype(">f8"),
    "read-only": lambda y: np.broadcast_to(y, y.shape),
    "longdouble": lambda y: y.astype(np.longdouble),
}


@pytest.mark.parametrize("kind", KINDS)
@every_method
def test_D5_other_containers_are_cast(method: str, kind: str) -> None:
    class Casting(Operator):
        def _out(self, y: Any) -> Any:
            return KINDS[kind](y)

    A = decaying()
    result = run(Casting(A), method=method)
    assert type(result.U) is np.ndarray
    assert result.U.dtype == np.float64
    assert_right(result, A)


def test_D5_whole_numbers_and_lower_precision_are_cast() -> None:
    A = np.round(100 * decaying())

    class Whole(Operator):
        def matmat(self, x: Any) -> Any:
            return (self.A @ x).astype(np.float32)

        def rmatmat(self, y: Any) -> Any:
            return (self.A.T @ y).astype(np.float32)

    single = rnla.svd(Operator(A.astype("float32")), 4, rng=0)
    operator = Whole(A.astype("float32"))
    assert np.allclose(rnla.svd(operator, 4, rng=0).s, single.s, rtol=1e-5)
    identity = Operator(np.eye(40, 20, dtype=int))
    assert rnla.svd(identity, 3, rng=0).s.tolist() == pytest.approx([1, 1, 1])


def test_D5_complex_answers_of_a_real_operator_are_refused() -> None:
    check_fault(
        lambda y: y + 0j, 1, rnla.DTypeError, "returned complex numbers from an operator whose dtype is float64"
    )


# --------------------------------------------------------------------------------------------------------- D6
class Scribbling(Operator):
    """Writes in what it was handed, and hands out the same buffer every time."""

    def __init__(self, A: np.ndarray[Any, Any]) -> None:
        super().__init__(A)
        self.buffers: dict[Any, Any] = {}

    def _into(self, A: Any, x: Any) -> Any:
        buffer = self.buffers.setdefault((A.shape[0], x.shape[1]), np.empty((A.shape[0], x.shape[1]), dtype=x.dtype))
        np.matmul(A, x, out=buffer)
        x[...] = math.nan
        return buffer

    def matmat(self, x: Any) -> Any:
        return self._into(self.A, x)

    def rmatmat(self, y: Any) -> Any:
        return self._into(self.A.conj().T, y)


@every_method
@pytest.mark.parametrize("shape", [(90, 30), (40, 40)], ids=["tall", "square"])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_D6_an_operator_may_scribble_on_its_argument_and_reuse_its_buffer(
    dtype: str, shape: tuple[int, int], method: str
) -> None:
    A = decaying(shape, dtype)
    clean, result = run(Operator(A), method=method), run(Scribbling(A), method=method)
    assert np.array_equal(clean.s, result.s)
    assert np.array_equal(clean.U, result.U)
    more = result.extend(max(10, result.rank))
    assert_right(more, A)


@pytest.mark.parametrize("library", [strict, tensor], ids=["strict", "torch"])
def test_D6_in_other_libraries(library: Any) -> None:
    A = decaying()

    class InPlace:
        shape = A.shape

        def __init__(self) -> None:
            self.A = library(A)
            self.dtype, self.device = self.A.dtype, self.A.device
            import array_api_compat

            self.xp = array_api_compat.array_namespace(self.A)

        def matmat(self, x: Any) -> Any:
            y = self.A @ x
            x *= math.nan
            return y

        def rmatmat(self, y: Any) -> Any:
            x = self.A.mT @ y
            y *= math.nan
            return x

    result = rnla.svd(InPlace(), 5, rng=0)
    assert type(result.U) is type(library(A))
    assert np.allclose(host(result.s), 0.5 ** np.arange(5), rtol=0, atol=1e-12)


# --------------------------------------------------------------------------------------------------------- D7
class Slow(Operator):
    def _out(self, y: Any) -> Any:
        self.products += 1
        time.sleep(0.15)
        return y


@pytest.mark.parametrize("method", ["subspace_iteration", "adaptive"])
def test_D7_a_slow_operator_stops_between_products_and_keeps_what_was_found(method: str) -> None:
    A = Slow(with_slow_decay())
    chosen = rnla.SubspaceIteration(power_iterations=30) if method != "adaptive" else METHODS[method]
    asked: dict[str, Any] = {"tol": 1e-12} if method == "adaptive" else {"rank": 4}
    started = time.monotonic()
    with rnla.config_context(deadline=1.5), pytest.raises(rnla.DeadlineReached, match=r"deadline of 1.5 s") as caught:
        rnla.svd(A, method=chosen, rng=0, **asked)
    assert time.monotonic() - started < 4
    result = caught.value.result
    assert result.status is rnla.Status.DEADLINE
    assert 0 < result.rank < 60
    U, s, Vh = result
    true = np.linalg.norm(A.A - (U * s) @ Vh) / np.linalg.norm(A.A)
    assert result.error.value == pytest.approx(true, rel=0.5)


def test_D7_a_first_product_over_the_deadline_leaves_no_result() -> None:
    with rnla.config_context(deadline=0.05), pytest.raises(rnla.DeadlineReached) as caught:
        rnla.svd(Slow(decaying()), 4, rng=0)
    assert caught.value.result is None


def with_slow_decay() -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    left, right = np.linalg.qr(rng.standard_normal((80, 60)))[0], np.linalg.qr(rng.standard_normal((60, 60)))[0]
    return (left / np.arange(1, 61)) @ right
