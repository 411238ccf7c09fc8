"""Rows A and D for every problem beside the SVD: values that spoil an answer, and operators that break their word.

The oracle is NumPy on the matrix in a comfortable range: what the factors multiply to, brought back by a power of two.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import rnla
from tests.bad_input.cases import Operator, assert_untouched, eps

Array = np.ndarray[Any, Any]
RANK = 5


@dataclasses.dataclass(frozen=True)
class Member:
    """A problem, the kind of matrix that it takes, and what its factors multiply to."""

    call: Callable[..., Any]
    kind: str = "general"
    product: Callable[[Any], Array] | None = None
    operators: bool = True


def _operator(result: Any) -> Array:
    out: Array = result.as_operator().to_array()
    return out


FAMILY = {
    "svd": Member(lambda A, k: rnla.svd(A, k, rng=1), product=_operator),
    "qr": Member(lambda A, k: rnla.qr(A, k, rng=1), product=_operator),
    "lu": Member(lambda A, k: rnla.lu(A, k, rng=1), product=_operator),
    "interpolative": Member(lambda A, k: rnla.interpolative(A, k, rng=1), product=_operator),
    "rows": Member(lambda A, k: rnla.interpolative(A, k, axis="rows", rng=1), product=_operator),
    "both": Member(lambda A, k: rnla.interpolative(A, k, axis="both", rng=1), product=_operator),
    "cur": Member(lambda A, k: rnla.cur(A, k, rng=1), product=_operator),
    "row extraction": Member(lambda A, k: rnla.svd_by_row_extraction(A, k, rng=1), product=_operator),
    "generalized_nystrom": Member(lambda A, k: rnla.generalized_nystrom(A, k, rng=1), product=_operator),
    "single_pass_svd": Member(lambda A, k: rnla.single_pass_svd(A, k, rng=1), product=_operator),
    "single_pass_eigh": Member(lambda A, k: rnla.single_pass_eigh(A, k, rng=1), "hermitian", _operator),
    "one-pass Nystrom": Member(
        lambda A, k: rnla.single_pass_eigh(A, k, method=rnla.NystromSketch(), rng=1), "definite", _operator
    ),
    "eigh": Member(lambda A, k: rnla.eigh(A, k, rng=1), "hermitian", _operator),
    "eigh by rows": Member(lambda A, k: rnla.eigh_by_row_extraction(A, k, rng=1), "hermitian", _operator),
    "nystrom": Member(lambda A, k: rnla.nystrom(A, k, rng=1), "definite", _operator),
    "block Lanczos": Member(lambda A, k: rnla.nystrom(A, k, method=rnla.BlockLanczos(), rng=1), "definite", _operator),
    "cholesky": Member(lambda A, k: rnla.cholesky(A, k, rng=1), "definite", _operator, operators=False),
    "svdvals": Member(lambda A, k: rnla.svdvals(A, k, rng=1)),
    "spectrum": Member(lambda A, k: rnla.spectrum(A, k, rng=1)),
    "norm_estimate": Member(lambda A, k: rnla.norm_estimate(A, rng=1)),
    "nuclear": Member(lambda A, k: rnla.norm_estimate(A, "nuclear", rng=1)),
    "rank_estimate": Member(lambda A, k: rnla.rank_estimate(A, tol=1e-3, rng=1)),
    "pca": Member(lambda A, k: rnla.pca(A, k, rng=1)),
}
every_member = pytest.mark.parametrize("name", FAMILY)
factorizations = pytest.mark.parametrize("name", [name for name, member in FAMILY.items() if member.product])
with_operators = pytest.mark.parametrize("name", [name for name, member in FAMILY.items() if member.operators])


def matrix_for(kind: str, dtype: str = "float64", rank: int = 30) -> Array:
    """Return a 60 x 40 matrix, or a 40 x 40 Hermitian one, with values 0.6^j."""
    g = np.random.default_rng(7)
    complex_part = 1j if np.dtype(dtype).kind == "c" else 0

    def orthonormal(rows: int) -> Array:
        return np.linalg.qr(g.standard_normal((rows, rank)) + complex_part * g.standard_normal((rows, rank)))[0]

    values = 0.6 ** np.arange(rank)
    if kind == "general":
        return ((orthonormal(60) * values) @ orthonormal(40).conj().T).astype(dtype)
    signs = np.where(np.arange(rank) % 3 == 1, -1.0, 1.0) if kind == "hermitian" else 1.0
    V = orthonormal(40)
    A = (V * (values * signs)) @ V.conj().T
    return ((A + A.conj().T) / 2).astype(dtype)


def quietly(call: Callable[..., Any], *arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rnla.RnlaWarning)
        return call(*arguments)


def assert_certified(result: Any, A: Array, product: Array, unit: float) -> None:
    """Hold the certificate to the true error, in the norm that it speaks of, up to 60 eps of the factors' rounding."""
    order = {"fro": None, "spectral": 2, "nuclear": "nuc"}[result.error.norm]
    size = np.linalg.norm(A, order)
    true = np.linalg.norm(A - product, order) / size if size else np.linalg.norm(product, order)
    upper = result.error.upper
    if np.isnan(upper):  # an estimate without a bound: ten of its standard errors
        upper = result.error.value + 10 * result.error.standard_error
    assert true <= upper * (1 + 1e-6) + 60 * unit


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@every_member
def test_A1_A2_what_is_not_finite_is_named(name: str, bad: float) -> None:
    member = FAMILY[name]
    A = matrix_for(member.kind)
    A[7, 7] = bad
    for given in (A, A.astype(np.float32), scipy.sparse.csr_array(A), A.astype(np.complex128)):
        with (
            pytest.raises((rnla.NonFiniteError, rnla.InputError), match=r"NaN|infinit|finite"),
            np.errstate(all="ignore"),
        ):
            member.call(given, RANK)


@pytest.mark.parametrize("exponent", [-1000, -700, 600, 900])
@factorizations
def test_A4_extreme_scales_are_answered_like_any_other(name: str, exponent: int) -> None:
    member = FAMILY[name]
    A = matrix_for(member.kind)
    with np.errstate(all="raise", under="ignore"):
        result = quietly(member.call, A * 2.0**exponent, RANK)
        plain = quietly(member.call, A, RANK)
    assert member.product is not None
    half = 2.0 ** (-exponent / 2)
    product = member.product(result) * half * half
    assert np.linalg.norm(A - product) <= 2 * np.linalg.norm(A - member.product(plain)) + 1e-12
    assert result.error.value == pytest.approx(plain.error.value, rel=0.5)


@pytest.mark.parametrize("exponent", [-120, 100])
@factorizations
def test_A4_extreme_scales_in_single_precision(name: str, exponent: int) -> None:
    member = FAMILY[name]
    A = matrix_for(member.kind, "float32")
    scaled = A * np.float32(2.0**exponent)
    result = quietly(member.call, scaled, RANK)
    assert member.product is not None
    product = member.product(result).astype(np.float64) * 2.0**-exponent
    assert_certified(result, A.astype(np.float64), product, eps("float32"))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@factorizations
def test_A5_a_matrix_of_zeros_has_the_error_zero(name: str, dtype: str) -> None:
    member = FAMILY[name]
    A = np.zeros_like(matrix_for(member.kind, dtype))
    result = quietly(member.call, A, RANK)
    assert member.product is not None
    assert np.all(member.product(result) == 0)
    assert result.error.value == 0


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@factorizations
def test_A8_a_rank_below_the_one_asked_for_leaves_rounding_only(name: str, dtype: str, rank: int) -> None:
    member = FAMILY[name]
    A = matrix_for(member.kind, dtype, rank)
    result = quietly(member.call, A, RANK)
    assert member.product is not None
    product = member.product(result)
    assert np.all(np.isfinite(product))
    wide = A.astype(np.complex128)
    limit = np.sqrt(eps(dtype)) if name == "cur" else 2000 * eps(dtype)  # an explicit core resolves sqrt(eps) only
    assert np.linalg.norm(wide - product) <= limit * np.linalg.norm(wide)
    assert_certified(result, wide, product.astype(np.complex128), eps(dtype))


@factorizations
def test_A14_the_smallest_matrices(name: str) -> None:
    member = FAMILY[name]
    for A in (np.array([[3.0]]), np.array([[0.0]])):
        result = quietly(member.call, A, 1)
        assert member.product is not None
        assert abs(member.product(result) - A).max() <= 1e-14


@every_member
def test_the_callers_matrix_is_never_changed(name: str) -> None:
    member = FAMILY[name]
    A = matrix_for(member.kind)
    for given in (A, np.asfortranarray(A), scipy.sparse.csc_array(A), A.astype(np.complex64)):
        with assert_untouched(given):
            quietly(member.call, given, RANK)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@with_operators
def test_D1_an_operator_that_returns_what_is_not_finite(name: str, bad: float) -> None:
    member = FAMILY[name]

    def spoil(y: Array) -> Array:
        y[3] = bad
        return y

    with pytest.raises(rnla.NonFiniteError):
        member.call(Operator(matrix_for(member.kind), spoil, at=1), RANK)


@with_operators
def test_D2_an_operator_that_returns_another_shape(name: str) -> None:
    member = FAMILY[name]
    with pytest.raises(rnla.OperatorError, match="shape"):
        member.call(Operator(matrix_for(member.kind), lambda y: y[:-1], at=1), RANK)


@with_operators
def test_D3_what_an_operator_raises_comes_through(name: str) -> None:
    member = FAMILY[name]

    def fail(_: Array) -> Array:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        member.call(Operator(matrix_for(member.kind), fail, at=1), RANK)


@with_operators
def test_an_operator_gives_what_its_array_gives(name: str) -> None:
    member = FAMILY[name]
    A = matrix_for(member.kind)
    result = quietly(member.call, Operator(A), RANK)
    if member.product is not None:
        assert_certified(result, A, member.product(result), eps("float64"))
    else:
        assert repr(result)
