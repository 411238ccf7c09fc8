"""CuPy arrays without a GPU: the true class around a pointer that is never followed.

Shape, dtype, slicing and dispatch work on such an array; the first arithmetic, and any copy to the host, raises.  So
everything up to there is tested on the real class: recognition, validation, refusals, the plan, no implicit host copy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnla
from rnla._xp.namespace import backend_name, is_array, is_concrete, is_numpy, module_name, namespace_of, needs_grad
from rnla.operators.coerce import as_operator
from rnla.operators.dense import Dense

cupy = pytest.importorskip("cupy")


def ghost(shape: tuple[int, ...], dtype: Any = "float32") -> Any:
    """Return a genuine cupy.ndarray over memory that is not there."""
    memory = cupy.cuda.UnownedMemory(0x1000, max(1, int(np.prod(shape))) * np.dtype(dtype).itemsize, None, 0)
    return cupy.ndarray(shape, dtype=dtype, memptr=cupy.cuda.MemoryPointer(memory, 0))


@pytest.fixture(autouse=True)
def _no_device() -> None:
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError:
        return
    if count:
        pytest.skip("a real device is there: the other tests of this folder run on it")


@pytest.fixture(autouse=True)
def _no_way_to_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("an array was copied to the host")

    monkeypatch.setattr(cupy, "asnumpy", refuse)


def test_ghosts_are_what_they_seem() -> None:
    x = ghost((6, 4))
    assert type(x) is cupy.ndarray
    assert x.T.shape == (4, 6)
    assert x[2:, 1:].shape == (4, 3)
    with pytest.raises(Exception, match=r"(?i)cuda|driver|device"):
        x + x
    with pytest.raises(TypeError, match="Implicit conversion to a NumPy array is not allowed"):
        np.asarray(x)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128", "int32", "bool", "float16"])
def test_recognition_and_dispatch(dtype: str) -> None:
    x = ghost((60, 40), dtype)
    assert (module_name(x), is_array(x), is_concrete(x), needs_grad(x)) == ("cupy", True, True, False)
    xp = namespace_of(x)
    assert backend_name(xp) == "cupy"
    assert not is_numpy(xp)
    op = as_operator(x)
    assert isinstance(op, Dense)
    assert op.shape == (60, 40)
    expected = {"int32": "float64", "bool": "float64", "float16": "float32"}.get(dtype, dtype)
    assert op.dtype == expected
    assert op.xp is xp


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("shape", [(6000, 4000), (50_000, 100), (100, 50_000), (60, 40)], ids=str)
def test_plans_are_those_of_numpy(shape: tuple[int, int], dtype: str) -> None:
    like = np.broadcast_to(np.ones((), dtype), shape)
    for asked in ({"rank": 10}, {"tol": 1e-2}, {"rank": 10, "method": rnla.SubspaceIteration(4)}):
        assert str(rnla.plan(ghost(shape, dtype), **asked)) == str(rnla.plan(like, **asked))


WRONG: dict[str, tuple[Any, dict[str, Any], Any, str]] = {
    "1-D": (lambda: ghost((5,)), {"rank": 1}, rnla.InputError, "two dimensions; got shape"),
    "3-D-rank": (lambda: ghost((5, 4, 3)), {"rank": 1.5}, (rnla.InputError, rnla.DTypeError), "two dimensions|integer"),
    "rank": (lambda: ghost((6, 4)), {"rank": 5}, rnla.InputError, "rank=5 is larger than"),
    "rank-float": (lambda: ghost((6, 4)), {"rank": 2.0}, rnla.DTypeError, "rank must be an integer"),
    "tol": (lambda: ghost((6, 4)), {"tol": 1e-9}, rnla.InputError, "below what float32 can certify"),
    "nothing": (lambda: ghost((6, 4)), {}, rnla.InputError, "say how much is wanted"),
    "method": (lambda: ghost((6, 4)), {"rank": 1, "method": "x"}, rnla.DTypeError, "method must be a part"),
    "both": (
        lambda: ghost((6, 4)),
        {"rank": 1, "oversampling": 5, "method": rnla.FullSVD()},
        rnla.InputError,
        "contradict",
    ),
}


@pytest.mark.parametrize("call", [rnla.svd, rnla.plan], ids=["svd", "plan"])
@pytest.mark.parametrize("wrong", WRONG)
def test_validation_comes_before_the_first_number(wrong: str, call: Any) -> None:
    make, asked, error, message = WRONG[wrong]
    with pytest.raises(error, match=message):
        call(make(), **asked)


def test_budgets_are_checked_before_the_first_number() -> None:
    with rnla.config_context(memory_budget="1M"), pytest.raises(rnla.BudgetError, match="memory budget is 1 MiB"):
        rnla.svd(ghost((60_000, 4_000)), 500)


@pytest.mark.parametrize("rank", [1, 3])
def test_the_first_arithmetic_is_on_the_device(rank: int) -> None:
    """What fails is CUDA's own call, not a conversion that moved the array to the host first."""
    with pytest.raises(Exception, match=r"(?i)cuda|driver|device") as caught:
        rnla.svd(ghost((60, 40)), rank, rng=0)
    assert not isinstance(caught.value, (AssertionError, TypeError, rnla.InputError))
