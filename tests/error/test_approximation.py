"""The certificate of an approximation that is no projection."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse.linalg

from rnla._xp.namespace import from_host
from rnla.error.approximation import certify_approximation
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.rng import Key

DTYPES = ("float32", "float64", "complex64", "complex128")


def skewed(dtype: str) -> tuple[Any, Any, Any]:
    """Return a matrix and factors that are neither orthonormal nor near it."""
    key = Key(3)
    A = key.child("A").normals(0, 40, 25, dtype=dtype)
    L = key.child("L").normals(0, 40, 4, dtype=dtype) * np.asarray([1, 10, 1e-3, 0.1], dtype=dtype)
    X = np.linalg.lstsq(L, A, rcond=None)[0].astype(dtype)
    return A, L, (X * np.asarray(1.1, dtype=dtype)).conj().T


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_frobenius_error_of_an_array_is_exact(dtype: str) -> None:
    A, L, R = skewed(dtype)
    true = np.linalg.norm(A.astype(complex) - L.astype(complex) @ R.conj().T.astype(complex))
    for xp in (np, pytest.importorskip("torch")):
        op = Ledger(as_operator(A if xp is np else xp.asarray(A)))
        left, right = (L, R) if xp is np else (from_host(each, op.xp, op.device) for each in (L, R))
        found = certify_approximation(op, left, right, "fro", Key(0))
        assert found.kind == "exact"
        assert abs(found.absolute - true) <= 50 * np.finfo(dtype).eps * np.linalg.norm(A)
        assert found.upper * found.norm_of_A >= true
        assert op.counts.passes == 1


@pytest.mark.statistical
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_the_bounds_of_an_operator_hold_over_many_keys(dtype: str) -> None:
    """False alarm rate for keys at random: 300 looks that fail with probability 1e-4 and 1e-6: 3 % and 3e-4."""
    A, L, R = skewed(dtype)
    rest = A - L @ R.conj().T
    for norm, order in (("fro", None), ("spectral", 2)):
        true, size = np.linalg.norm(rest, order), np.linalg.norm(A, order)
        values = []
        for seed in range(300):
            op = Ledger(as_operator(scipy.sparse.linalg.aslinearoperator(A)))
            found = certify_approximation(op, L, R, norm, Key(seed))
            assert found.upper >= true / size
            assert found.residual_upper >= true
            values.append(found.absolute)
        if norm == "fro":  # 300 means of 30 squares: the mean is within 5 standard errors, 6e-7 of missing that
            off = np.mean(np.square(values)) / true**2 - 1
            assert abs(off) <= 5 * math.sqrt(2 / (30 * 300))


def test_an_approximation_that_is_exact_or_nothing_or_useless_is_called_so() -> None:
    A = np.diag([3.0, 2.0, 1.0])
    eye = np.eye(3)
    for norm in ("fro", "spectral"):
        assert certify_approximation(Ledger(as_operator(A)), A, eye, norm, Key(0)).upper < 1e-13
        nothing = certify_approximation(Ledger(as_operator(A)), A[:, :0], eye[:, :0], norm, Key(0))
        assert nothing.upper >= 1
        worse = certify_approximation(Ledger(as_operator(A)), -A, eye, norm, Key(0))
        assert worse.upper >= 2
        zero = certify_approximation(Ledger(as_operator(0 * A)), A[:, :0], eye[:, :0], norm, Key(0))
        assert zero.value == 0


def test_more_looks_fail_more_often() -> None:
    op = Ledger(as_operator(scipy.sparse.linalg.aslinearoperator(np.eye(30))))
    left = np.eye(30)[:, :3]
    one = certify_approximation(op, left, left, "fro", Key(0))
    five = certify_approximation(op, left, left, "fro", Key(0), looks=5)
    assert five.failure_probability == pytest.approx(5 * one.failure_probability)
