"""Rows B: shapes at the edges, parameters outside their range, work that does not fit."""

from __future__ import annotations

import math
import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import rnla
from tests.bad_input.cases import (
    METHODS,
    PRODUCTS_ONLY,
    Operator,
    assert_orthonormal,
    assert_right,
    decaying,
    every_dtype,
    every_entry,
    every_method,
    host,
    host_dtype,
    run,
    silenced,
    strict,
    tensor,
    with_spectrum,
)

# ------------------------------------------------------------------------------------------------- B1, B2
EMPTY = {"0xn": (0, 5), "mx0": (4, 0), "0x0": (0, 0)}
CONTAINERS = {
    "numpy": lambda x: x,
    "csr": scipy.sparse.csr_array,
    "strict": strict,
    "torch": tensor,
    "operator": Operator,
    "frame": lambda x: frame(x),  # noqa: PLW0108 (defined below)
}


def frame(x: np.ndarray[Any, Any]) -> Any:
    """Return a data frame as far as the front door looks."""

    class Frame:
        shape = x.shape

        def to_numpy(self) -> np.ndarray[Any, Any]:
            return x

    return Frame()


@every_method
@every_dtype
@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS.keys())
@pytest.mark.parametrize("shape", EMPTY.values(), ids=EMPTY.keys())
def test_B1_empty_matrices_give_empty_factors(shape: tuple[int, int], container: Any, dtype: str, method: str) -> None:
    A = container(np.zeros(shape, dtype=dtype))
    for result in (run(A, 0, method), rnla.svd(A, tol=1e-3)):
        U, s, Vh = result
        assert (tuple(U.shape), tuple(s.shape), tuple(Vh.shape)) == ((shape[0], 0), (0,), (0, shape[1]))
        assert host_dtype(U) == host_dtype(Vh) == dtype
        assert host_dtype(s) == np.zeros(0, dtype).real.dtype
        assert (result.error.value, result.error.kind, result.report.passes) == (0.0, "exact", 0)
        assert result.status is rnla.Status.MET
        assert "rank             0" in str(result)


@every_entry
@pytest.mark.parametrize("shape", EMPTY.values(), ids=EMPTY.keys())
def test_B1_rank_of_an_empty_matrix_is_zero(shape: tuple[int, int], entry: Any) -> None:
    with pytest.raises(rnla.InputError, match=r"rank=1 is larger than min\(m, n\)=0|function again|was factorized"):
        entry(np.zeros(shape), 1)


@pytest.mark.parametrize("shape", EMPTY.values(), ids=EMPTY.keys())
def test_B1_plan_of_an_empty_matrix(shape: tuple[int, int]) -> None:
    plan = rnla.plan(np.zeros(shape), 0)
    assert (plan.shape, plan.passes, plan.limit) == (shape, 0, 0)


def test_B1_empty_results_stay_on_their_device() -> None:
    U, s, Vh = rnla.svd(strict(np.zeros((0, 3)), "device1"), 0)
    assert {str(x.device) for x in (U, s, Vh)} == {"array_api_strict.Device('device1')"}


@every_method
@every_dtype
@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (1, 1)], ids=["1xn", "mx1", "1x1"])
def test_B2_single_row_and_column(shape: tuple[int, int], dtype: str, method: str) -> None:
    A = with_spectrum(shape, [2.5], dtype)
    result = run(A, 1, method)
    assert result.rank == 1
    assert_right(result, A)


# ------------------------------------------------------------------------------------------------- B3, B4
WRONG_RANKS = {
    "above-min": (
        31,
        rnla.InputError,
        r"rank=31 is larger than min\(m, n\)=30 of the [39]0 x 30 matrix; ask for rank=30",
    ),
    "negative": (-1, rnla.InputError, "rank=-1 must be at least 0"),
    "float": (2.0, rnla.DTypeError, "rank must be an integer, got 2.0 of type float"),
    "share": (0.95, rnla.DTypeError, "a share of the sum of squares is energy=0.95"),
    "true": (True, rnla.DTypeError, "rank must be an integer, got True of type bool"),
    "numpy-true": (np.True_, rnla.DTypeError, "rank must be an integer"),
    "numpy-float": (np.float64(2), rnla.DTypeError, "rank must be an integer"),
    "text": ("3", rnla.DTypeError, "rank must be an integer, got '3' of type str"),
    "list": ([3], rnla.DTypeError, "rank must be an integer"),
    "huge": (10**30, rnla.InputError, "is larger than"),
}


@every_entry
@pytest.mark.parametrize("wrong", WRONG_RANKS)
def test_B3_wrong_ranks(wrong: str, entry: Any) -> None:
    rank, error, message = WRONG_RANKS[wrong]
    with pytest.raises(error, match=message):
        entry(decaying((90, 30)), rank)


@every_method
@pytest.mark.parametrize("rank", [np.int64(4), np.uint8(4), 4], ids=["int64", "uint8", "int"])
def test_B3_integers_of_every_kind(rank: Any, method: str) -> None:
    A = decaying()
    expected = rnla.svd(A, 4, method=METHODS[method], rng=0)
    assert np.array_equal(rnla.svd(A, rank, method=METHODS[method], rng=0).s, expected.s)


@every_method
@every_dtype
@pytest.mark.parametrize("kind", ["array", "operator", "csr"])
def test_B3_rank_zero_is_an_empty_answer(kind: str, dtype: str, method: str) -> None:
    if kind != "array" and method not in PRODUCTS_ONLY:
        pytest.skip("the method reads entries and says so")
    A = decaying(dtype=dtype)
    given = {"array": lambda: A, "operator": lambda: Operator(A), "csr": lambda: scipy.sparse.csr_array(A)}[kind]()
    result = rnla.svd(given, 0, method=METHODS[method], rng=0)
    U, s, Vh = result
    assert (U.shape, s.shape, Vh.shape) == ((90, 0), (0,), (0, 30))
    assert result.error.value == pytest.approx(1.0, rel=1e-5)


@every_method
def test_B3_rank_of_the_whole_short_side(method: str) -> None:
    A = with_spectrum((90, 30), 0.5 ** np.arange(30))
    result = rnla.svd(A, 30, method=METHODS[method], rng=0)
    assert result.rank == 30
    assert_right(result, A)
    assert result.error.value <= 1e-14


@pytest.mark.parametrize("name", list(PRODUCTS_ONLY))
def test_B4_oversampling_beyond_the_matrix_is_cut_and_told(name: str) -> None:
    A = decaying()
    if name == "auto":
        result = rnla.svd(A, 5, oversampling=1000, rng=0)
        assert any("oversampling was cut to 25" in reason for reason in result.report.plan.reasons)
    else:
        result = rnla.svd(A, 5, method=rnla.SubspaceIteration(oversampling=1000), rng=0)
    assert (result.rank, result.report.size, result.report.plan.size) == (5, 30, 30)
    assert_right(result, A)


# ------------------------------------------------------------------------------------------------- B5
class Shaped:
    """Something with a shape and products, of any number of dimensions."""

    dtype = np.dtype("float64")

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def matmat(self, x: Any) -> Any:
        raise AssertionError("nothing may be multiplied")

    rmatmat = matmat


NOT_2D = {
    "0-D": lambda: np.array(3.0),
    "1-D": lambda: np.arange(4.0),
    "1-D-list": lambda: [1.0, 2.0],
    "3-D-list": lambda: [[[1.0]]],
    "1-D-strict": lambda: strict(np.arange(4.0)),
    "0-D-torch": lambda: tensor(np.array(3.0)),
    "1-D-torch": lambda: tensor(np.arange(4.0)),
    "1-D-coo": lambda: scipy.sparse.coo_array(np.arange(4.0)),
    "1-D-operator": lambda: Shaped((4,)),
    "3-D-operator": lambda: Shaped((4, 2, 2)),
}


@every_entry
@pytest.mark.parametrize("make", NOT_2D.values(), ids=NOT_2D.keys())
def test_B5_not_a_matrix(make: Any, entry: Any) -> None:
    A = make()
    shape = np.shape(A) if isinstance(A, list) else tuple(A.shape)
    with pytest.raises(rnla.InputError, match=re.escape(f"two dimensions; got shape {shape}")) as caught:
        entry(A, 1)
    assert ("A[:, None]" in str(caught.value)) == (len(shape) == 1)


@every_entry
@pytest.mark.parametrize("make", [np.ones, lambda shape: strict(np.ones(shape))], ids=["numpy", "strict"])
def test_B5_a_stack_is_taken_by_three_factorizations_only(make: Any, entry: Any) -> None:
    A = make((2, 4, 4))
    if entry.__name__ in {"_svd", "_qr", "_eigh"}:
        assert entry(A, 1).shape == (2, 4, 4)
        return
    with pytest.raises(rnla.InputError, match=re.escape("two dimensions; got shape (2, 4, 4)")):
        entry(A, 1)


THINGS = {"float": 3.0, "none": None, "h5": "a.h5", "dict": {1: 2}, "object": object(), "numpy-float": np.float64(1)}


@every_entry
@pytest.mark.parametrize("name", THINGS)
def test_B5_not_even_an_array(name: str, entry: Any) -> None:
    thing = THINGS[name]
    if thing is None and entry.__name__ == "_extend":
        pytest.skip("A=None means the matrix of before")
    with pytest.raises(
        (rnla.DTypeError, rnla.InputError), match=r"is not a matrix|only the path of an \.npy|two dimensions"
    ):
        entry(thing, 1)


# ------------------------------------------------------------------------------------------------- B6
@pytest.mark.timeout(60)
def test_B6_more_than_2_to_31_entries_by_a_broadcast_view() -> None:
    """8.6 GB of float32 that exist as one row: nothing as large as the matrix may be made."""
    side = 46_350
    row = np.linspace(0.5, 1.5, side, dtype=np.float32)
    A = np.broadcast_to(row, (side, side))
    assert A.size > 2**31
    method = rnla.SubspaceIteration(power_iterations=0, oversampling=1)
    tracemalloc.start()
    try:
        result = rnla.svd(A, 1, method=method, rng=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    expected = math.sqrt(side) * np.linalg.norm(row.astype(float))
    assert result.s[0] == pytest.approx(expected, rel=1e-5)
    assert result.error.value <= 1e-3
    assert_orthonormal(result)
    assert peak < 200e6


class Virtual:
    """A matrix of rank 3 that is only known by its factors: 1e10 entries."""

    dtype = np.dtype("float64")

    def __init__(self, m: int, n: int) -> None:
        rng = np.random.default_rng(0)
        self.shape = (m, n)
        self.left, self.right = rng.standard_normal((m, 3)), rng.standard_normal((3, n))

    def matmat(self, x: Any) -> Any:
        return self.left @ (self.right @ x)

    def rmatmat(self, y: Any) -> Any:
        return self.right.T @ (self.left.T @ y)


@pytest.mark.parametrize("method", PRODUCTS_ONLY)
@pytest.mark.parametrize("shape", [(100_000, 100_000), (3_000, 720_000)], ids=["square", "wide"])
def test_B6_more_than_2_to_31_entries_by_a_virtual_operator(shape: tuple[int, int], method: str) -> None:
    A = Virtual(*shape)
    expected = np.linalg.svd(np.linalg.qr(A.left)[1] @ np.linalg.qr(A.right.T)[1].T)[1]
    cheap = {"auto": None, "subspace_iteration": rnla.SubspaceIteration(0, 1), "adaptive": rnla.Adaptive(4, 0)}[method]
    result = rnla.svd(
        A, None if method == "adaptive" else 3, tol=1e-6 if method == "adaptive" else None, method=cheap, rng=0
    )
    assert np.allclose(result.s, expected, rtol=1e-12)
    assert result.error.value < 1e-10


def test_B6_plans_count_in_whole_numbers_of_any_size(tmp_path: Path) -> None:
    m, n = 2**31 + 7, 300
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (m, n)})
        file.truncate(file.tell() + 4 * m * n)  # a hole: no disk is taken
    with rnla.config_context(memory_budget="100T"):
        plan = rnla.plan(tmp_path / "a.npy", 5, method=rnla.SubspaceIteration())
    assert plan.shape == (m, n)
    assert plan.flops > 2.0 * m * n * 15 * 7
    assert plan.bytes > 4 * m * 15


# ------------------------------------------------------------------------------------------------- B7
def a_large_matrix() -> np.ndarray[Any, Any]:
    return decaying((20_000, 120), rank=12)


@pytest.mark.parametrize("method", ["auto", "subspace_iteration", "gram_eigh", "tall_qr"])
@pytest.mark.parametrize("kind", ["array", "operator", "csr"])
def test_B7_overlarge_work_is_refused_with_a_setting_that_fits(kind: str, method: str) -> None:
    if kind != "array" and method not in PRODUCTS_ONLY:
        pytest.skip("the method reads entries and says so")
    A = a_large_matrix()
    operator = Operator(A)
    given: Any = {"array": A, "operator": operator, "csr": scipy.sparse.csr_array(A) if kind == "csr" else None}[kind]
    with rnla.config_context(memory_budget="24M"):
        with pytest.raises(
            rnla.BudgetError, match=r"needs about [\d.]+ MiB beside A and the memory budget is 24 MiB"
        ) as caught:
            rnla.svd(given, 100, method=METHODS[method], rng=0)
        assert operator.products == 0
        message = str(caught.value)
        found = re.search(r"rank=(\d+)( with method=SubspaceIteration\(\))? fits", message)
        assert found is not None
        smaller = int(found.group(1))
        assert 5 <= smaller < 100
        with silenced(rnla.RankWarning):
            part = rnla.SubspaceIteration() if found.group(2) else METHODS[method]
            assert rnla.svd(given, smaller, method=part, rng=0).rank == smaller
    enough = int(re.search(r"memory_budget to at least (\d+)", message).group(1))  # type: ignore[union-attr]
    with rnla.config_context(memory_budget=enough), silenced(rnla.RankWarning):
        assert rnla.svd(given, 100, method=METHODS[method], rng=0).rank == 100


def test_B7_a_whole_decomposition_that_does_not_fit_names_what_does() -> None:
    A = decaying((2000, 600))
    with rnla.config_context(memory_budget="8M"):
        with pytest.raises(rnla.BudgetError, match=r"needs about .* beside A") as caught:
            rnla.svd(A, 300, method=rnla.FullSVD(), rng=0)
        rank = int(re.search(r"rank=(\d+) with method=SubspaceIteration\(\) fits", str(caught.value)).group(1))  # type: ignore[union-attr]
        with silenced(rnla.RankWarning):
            assert rnla.svd(A, rank, method=rnla.SubspaceIteration(), rng=0).rank == rank


def test_B7_a_tolerance_stops_growing_at_the_budget_and_keeps_the_answer() -> None:
    A = with_spectrum((20_000, 400), 1 / np.sqrt(np.arange(1.0, 401.0)))
    with rnla.config_context(memory_budget="24M"), pytest.raises(rnla.ToleranceNotMet, match="memory budget") as caught:
        rnla.svd(A, tol=1e-3, method=rnla.Adaptive(), rng=0)
    result = caught.value.result
    assert 0 < result.rank < 400
    assert result.error.value > 1e-3
    U, s, Vh = result
    assert np.linalg.norm(A - (U * s) @ Vh) == pytest.approx(result.error.absolute, rel=1e-3)


@pytest.mark.parametrize("allowed", [1, 2, 3])
def test_B7_too_many_passes_are_refused_before_the_first(allowed: int) -> None:
    A = Operator(decaying())
    with rnla.config_context(max_passes=allowed):
        with pytest.raises(
            rnla.BudgetError, match=rf"takes 7 passes .* max_passes={allowed}; allow more, or ask for fewer"
        ):
            rnla.svd(A, 5, rng=0)
        assert A.products == 0
        if allowed == 3:
            assert rnla.svd(A, 5, power_iterations=0, rng=0).report.passes == 3


# ------------------------------------------------------------------------------------------------- B8, B9
WRONG_TOLS = {
    "zero": (0, rnla.InputError, "must be positive and finite"),
    "negative": (-1e-3, rnla.InputError, "must be positive and finite"),
    "nan": (math.nan, rnla.InputError, "must be positive and finite"),
    "inf": (math.inf, rnla.InputError, "must be positive and finite"),
    "text": ("1e-3", rnla.DTypeError, "tol must be a number, got '1e-3'"),
    "true": (True, rnla.DTypeError, "tol must be a number"),
    "complex": (1j, rnla.DTypeError, "tol must be a number"),
    "list": ([1e-3], rnla.DTypeError, "tol must be a number"),
    "under-the-floor": (1e-16, rnla.InputError, r"below what float64 can certify, about 2\.2e-15"),
}


@every_entry
@pytest.mark.parametrize("wrong", WRONG_TOLS)
def test_B8_wrong_tolerances(wrong: str, entry: Any) -> None:
    tol, error, message = WRONG_TOLS[wrong]
    with pytest.raises(error, match=message):
        entry(decaying((90, 30)), None, tol)


@every_entry
def test_B8_the_floor_of_single_precision_names_the_cure(entry: Any) -> None:
    with pytest.raises(rnla.InputError, match=r"below what float32 can certify.*convert A to float64"):
        entry(decaying((90, 30), "float32"), None, 1e-8)


@every_method
def test_B8_a_tolerance_above_one_is_met_by_nothing(method: str) -> None:
    result = rnla.svd(decaying(), tol=2.0, method=METHODS[method], rng=0)
    assert result.rank == 0
    assert result.error.value <= 2.0


SETTINGS = {
    "max_passes-0": {"max_passes": 0},
    "max_passes-negative": {"max_passes": -3},
    "max_passes-fraction": {"max_passes": 1.5},
    "max_passes-true": {"max_passes": True},
    "threads-0": {"threads": 0},
    "deadline-0": {"deadline": 0},
    "deadline-negative": {"deadline": -1},
    "deadline-nan": {"deadline": math.nan},
    "deadline-inf": {"deadline": math.inf},
    "budget-0": {"memory_budget": 0},
    "budget-text": {"memory_budget": "much"},
    "budget-small": {"memory_budget": "1K"},
    "check_finite": {"check_finite": "perhaps"},
    "callback": {"callback": 3},
}


@pytest.mark.parametrize("wrong", SETTINGS)
def test_B8_wrong_settings(wrong: str) -> None:
    (name,) = SETTINGS[wrong]
    with pytest.raises(rnla.InputError, match=name), rnla.config_context(**SETTINGS[wrong]):
        pass


WRONG_PARAMETERS = {
    "oversampling-negative": ({"oversampling": -1}, rnla.InputError, "oversampling=-1 must be at least 0"),
    "oversampling-float": ({"oversampling": 2.5}, rnla.DTypeError, "oversampling must be an integer"),
    "power-negative": ({"power_iterations": -1}, rnla.InputError, "power_iterations=-1 must be at least 0"),
    "power-float": ({"power_iterations": 1.0}, rnla.DTypeError, "power_iterations must be an integer"),
    "norm": ({"norm": "nuclear"}, rnla.InputError, "norm='nuclear' is not one of 'fro', 'spectral'"),
    "norm-number": ({"norm": 2}, rnla.InputError, "norm=2 is not one of"),
    "norm-list": ({"norm": ["fro"]}, rnla.InputError, "is not one of"),
    "sketch": ({"sketch": "fft"}, rnla.InputError, "sketch='fft' is not one of 'gaussian', 'sparse_sign'"),
    "sketch-class": ({"sketch": rnla.SparseSign}, rnla.DTypeError, "description such as Gaussian"),
    "method-text": ({"method": "adaptive"}, rnla.DTypeError, r"method must be a part such as SubspaceIteration"),
    "method-class": ({"method": rnla.Adaptive}, rnla.DTypeError, r"method must be a part .*; call it: Adaptive\(\)"),
}


@pytest.mark.parametrize("wrong", WRONG_PARAMETERS)
@pytest.mark.parametrize("call", [rnla.svd, rnla.plan], ids=["svd", "plan"])
def test_B8_wrong_parameters(call: Any, wrong: str) -> None:
    given, error, message = WRONG_PARAMETERS[wrong]
    with pytest.raises(error, match=message):
        call(decaying(), 5, **given)


def test_B8_wrong_parts_of_a_method() -> None:
    with pytest.raises(rnla.InputError, match="block_size=0 must be at least 1"):
        rnla.Adaptive(block_size=0)
    with pytest.raises(rnla.InputError, match="power_iterations=-1"):
        rnla.SubspaceIteration(power_iterations=-1)
    with pytest.raises(rnla.InputError, match="space='diagonal' is not one of 'row', 'column'"):
        rnla.SubspaceIteration(space="diagonal")
    with pytest.raises(rnla.InputError, match="space='diagonal' is not one of 'row', 'column'"):
        rnla.Adaptive(space="diagonal")
    with pytest.raises(rnla.InputError, match="nnz=0 must be at least 1"):
        rnla.SparseSign(nnz=0)


def test_B8_wrong_seeds() -> None:
    A = decaying()
    with pytest.raises(rnla.InputError, match="rng=-1: a seed must be a non-negative integer"):
        rnla.svd(A, 2, rng=-1)
    for wrong in (1.5, True, "seed", object()):
        with pytest.raises(rnla.DTypeError, match="rng cannot be a"):
            rnla.svd(A, 2, rng=wrong)


def test_B8_wrong_on_failure() -> None:
    with pytest.raises(rnla.InputError, match="on_failure='ignore' is not one of 'raise', 'return'"):
        rnla.svd(decaying(), 2, on_failure="ignore")


@every_entry
def test_B9_nothing_asked(entry: Any) -> None:
    with pytest.raises(rnla.InputError, match=r"rank=.*tol=.*both"):
        entry(decaying())


@pytest.mark.parametrize("call", [rnla.svd, rnla.plan], ids=["svd", "plan"])
@pytest.mark.parametrize("knob", [{"oversampling": 5}, {"power_iterations": 1}, {"sketch": "gaussian"}], ids=str)
def test_B9_method_and_knob_contradict(knob: dict[str, Any], call: Any) -> None:
    (name,) = knob
    with pytest.raises(
        rnla.InputError, match=f"method= and {name}= contradict each other; set {name} inside the method"
    ):
        call(decaying(), 5, method=rnla.SubspaceIteration(), **knob)


def test_B9_truncate_and_extend_contradictions() -> None:
    result = rnla.svd(decaying(), 5, rng=0)
    for given in ({}, {"rank": 2, "tol": 0.1}):
        with pytest.raises(rnla.InputError, match="either rank= or tol="):
            result.truncate(**given)
    with pytest.raises(rnla.InputError, match=r"rank=7 is above the present 5; use extend\(rank=7\)"):
        result.truncate(7)
    with pytest.raises(rnla.InputError, match=r"rank=3 is below the present 5; use truncate\(rank=3\)"):
        result.extend(3)


@pytest.mark.parametrize("method", ["gram_eigh", "tall_qr", "full_svd"])
@pytest.mark.parametrize("kind", ["csr", "operator"])
def test_B9_methods_that_cannot_take_the_matrix_say_which_can(kind: str, method: str) -> None:
    A = decaying()
    given: Any = {"csr": scipy.sparse.csr_array(A), "operator": Operator(A)}[kind]
    with pytest.raises(rnla.InputError, match=r"needs a dense matrix.*SubspaceIteration\(\)"):
        rnla.svd(given, 3, method=METHODS[method], rng=0)
    assert host(rnla.svd(given, 3, method=rnla.SubspaceIteration(), rng=0).s)[0] == pytest.approx(1.0)


@pytest.mark.parametrize(("memory", "size"), [(25_900_000, 336), ("20M", 288)])
def test_B7_the_memory_budget_stops_a_search_and_never_switches_its_method(memory: Any, size: int) -> None:
    A = with_spectrum((900, 900), 1 / np.sqrt(np.arange(1.0, 901.0)))
    with (
        rnla.config_context(memory_budget=memory),
        pytest.raises(rnla.ToleranceNotMet, match=r"memory_budget=(\d+) allows the next step") as caught,
    ):
        rnla.svd(A, tol=0.01, rng=0)
    result = caught.value.result
    assert result.status is rnla.Status.MEMORY
    assert result.report.size == size
    enough = int(re.search(r"memory_budget=(\d+)", str(caught.value)).group(1))  # type: ignore[union-attr]
    with rnla.config_context(memory_budget=enough):
        assert rnla.svd(A, tol=0.01, rng=0, on_failure="return").report.size > size


def test_B7_the_next_block_of_a_search_is_as_large_as_what_is_missing() -> None:
    A = with_spectrum((900, 900), np.r_[np.ones(300), np.full(600, 1e-3)])
    with rnla.config_context(memory_budget=25_900_000):
        result = rnla.svd(A, tol=0.01, method=None, rng=0)
    assert (result.rank, result.status) == (300, rnla.Status.MET)


def test_B9_an_extension_by_a_tolerance_never_loses_rank() -> None:
    result = rnla.svd(np.diag(0.5 ** np.arange(60)), 20, rng=0)
    more = result.extend(tol=1e-2)
    assert more.rank == 20
    assert more.error.value <= result.error.value
    assert result.extend(tol=1e-9).rank > 20
