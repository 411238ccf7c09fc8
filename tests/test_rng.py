"""The randomness policy: known answers, addresses, names, and what a caller may pass."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
from typing import Any

import numpy as np
import pytest
import scipy.sparse.linalg
import scipy.stats

import rnla
from rnla import rng as rng_module
from rnla._xp.namespace import to_host
from rnla.rng import Key, as_key
from rnla.testing import matrix

Array = np.ndarray[Any, Any]

# philox4x64-10 as published with the generator: counter, key, block.
PHILOX = [
    (
        (0, 0, 0, 0),
        (0, 0),
        (0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B),
    ),
    (
        (2**64 - 1,) * 4,
        (2**64 - 1,) * 2,
        (0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0),
    ),
    (
        (0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89),
        (0x452821E638D01377, 0xBE5466CF34E90C6C),
        (0xA528F45403E61D95, 0x38C72DBD566E9788, 0xA5A1610E72FD18B5, 0x57BD43B5E52B7FE6),
    ),
]


def joined(words: tuple[int, ...]) -> int:
    return sum(word << (64 * i) for i, word in enumerate(words))


@pytest.mark.parametrize(("counter", "key", "block"), PHILOX)
def test_the_bit_generator_gives_the_published_words(
    counter: tuple[int, ...], key: tuple[int, ...], block: tuple[int, ...]
) -> None:
    raw = np.random.Philox(key=joined(key), counter=(joined(counter) - 1) % 2**256).random_raw(4)
    assert [int(word) for word in raw] == list(block)


def test_words_are_philox_blocks_counted_from_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Key, "philox_key", lambda self: 0)
    key = Key(0)
    assert [int(word) for word in key.words(0, 4)] == list(PHILOX[0][2])
    # Word i of column j is word i mod 4 of the block with counter i // 4 + j 2^64.
    for column, i in ((0, 7), (3, 0), (3, 9), (1000, 2)):
        raw = np.random.Philox(key=0, counter=(i // 4 + (column << 64) - 1) % 2**256).random_raw(4)
        assert int(key.words(i, i + 1, column)[0]) == int(raw[i % 4])


# -------------------------------------------------------------------------------------- the maps: golden values
# Made once by these maps; a change here changes every seeded number and is an event for the changelog.
GOLDEN_KEY = Key(20250).child("golden", 3)
GOLDEN_PHILOX_KEY = 0xB0A7BE20B4F251C0A2790EAD25BDAE56
GOLDEN_WORDS = [0x3B196D326E0E95FF, 0x6C2022FA1E3F68F1, 0x1A7DC75857858354, 0xF8F3FF0806694E98]
GOLDEN_NORMALS = [
    [0.46631067966785944, -1.6354507195482926],
    [1.2025023428883093, 1.1009442780570158],
    [-0.3607148511141349, 1.803927157584506],
    [-3.3215747539200184, -1.7219838417161675],
]
GOLDEN_COMPLEX = [
    [(-2.348708032714883 - 0.2313575272406629j), (-1.2176264515711646 - 0.15556195694398534j)],
    [(0.6219814819626783 + 0.09210454812556197j), (-0.5770823563674774 + 0.696031701831735j)],
    [(-0.4683781790196159 + 0.8243546418555796j), (1.7530837290809573 + 0.27177316765781206j)],
]
GOLDEN_SIGNS = [[-1, 1, 1, 1, 1, 1, 1, 1, 1, 1], [-1, -1, -1, -1, 1, 1, 1, 1, -1, -1]]
GOLDEN_POSITIONS = [[3, 4, 8], [0, 4, 7], [2, 5, 7], [3, 7, 8]]


def test_golden_integers_signs_and_positions_are_the_same_bits() -> None:
    assert GOLDEN_KEY.philox_key() == GOLDEN_PHILOX_KEY
    assert [int(word) for word in GOLDEN_KEY.words(5, 9, 2)] == GOLDEN_WORDS
    assert GOLDEN_KEY.signs(60, 70, 2).T.tolist() == GOLDEN_SIGNS
    assert GOLDEN_KEY.distinct(2, 6, 3, 10).tolist() == GOLDEN_POSITIONS


def test_golden_normals_agree_to_a_few_ulp() -> None:
    real = GOLDEN_KEY.normals(3, 7, 2)
    assert np.abs(real - np.array(GOLDEN_NORMALS)).max() <= 4 * np.finfo(float).eps * np.abs(real).max()
    z = GOLDEN_KEY.normals(3, 6, 2, dtype=np.complex128)
    assert np.abs(z - np.array(GOLDEN_COMPLEX)).max() <= 4 * np.finfo(float).eps * np.abs(z).max()


def test_the_transform_is_that_of_box_and_muller() -> None:
    """Written again from the words, with the standard library's functions."""
    words = [int(word) for word in GOLDEN_KEY.words(2, 4, 1)]
    u, angle = ((words[0] >> 11) + 1) / 2**53, 2 * math.pi * (words[1] >> 11) / 2**53
    radius = math.sqrt(-2 * math.log(u))
    found = GOLDEN_KEY.normals(2, 4, 1, first_column=1)[:, 0]
    assert found == pytest.approx([radius * math.cos(angle), radius * math.sin(angle)], rel=1e-14)
    complex_one = GOLDEN_KEY.normals(1, 2, 1, first_column=1, dtype=np.complex128)[0, 0]
    assert complex_one == pytest.approx(complex(*found) / math.sqrt(2), rel=1e-14)
    sign = GOLDEN_KEY.signs(69, 70, 1)[0, 0]
    assert sign == 1 - 2 * (int(GOLDEN_KEY.words(1, 2)[0]) >> 5 & 1)
    half = int(GOLDEN_KEY.words(4, 5)[0]) & 0xFFFFFFFF
    assert GOLDEN_KEY.distinct(4, 5, 1, 1000)[0, 0] == half * 1000 >> 32


# ------------------------------------------------------------------------------------------------------- addresses
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_numbers_have_an_address(dtype: str) -> None:
    key = Key(5).child("a")
    whole = key.normals(0, 40_000, 3, dtype=dtype)
    for start, stop in ((0, 1), (1, 2), (7, 20), (16_383, 16_390), (32_767, 32_770), (39_999, 40_000), (5, 5)):
        assert np.array_equal(key.normals(start, stop, 3, dtype=dtype), whole[start:stop])
        assert np.array_equal(key.normals(start, stop, 1, first_column=2, dtype=dtype), whole[start:stop, 2:])
    signs = key.signs(0, 300, 3)
    positions = key.distinct(0, 300, 5, 11)
    for start, stop in ((0, 1), (63, 66), (64, 128), (1, 300), (8, 8)):
        assert np.array_equal(key.signs(start, stop, 3), signs[start:stop])
        assert np.array_equal(key.distinct(start, stop, 5, 11), positions[start:stop])


def test_names_are_unambiguous() -> None:
    keys = [
        Key(1), Key(11), Key(1, ("a",)), Key(1, ("a", "b")), Key(1, ("ab",)), Key(1, (1,)), Key(1, ("1",)),
        Key(1).child("a").child("c"), Key(1, ("a, b",)), Key(1, ("a', 'b",)), Key(2, ("a",)), Key(2**128), Key(0),
    ]  # fmt: skip
    assert len({key.philox_key() for key in keys}) == len(keys)
    assert Key(1).child("a", "b") == Key(1).child("a").child("b")
    assert Key(1).child("a", "b").philox_key() == Key(1).child("a").child("b").philox_key()


def test_another_consumer_shifts_no_stream() -> None:
    key = Key(9)
    alone = key.child("test-matrix", 0).normals(0, 50, 4)
    key.child("error-probes").normals(0, 50, 10)
    key.child("another").signs(0, 100, 2)
    assert np.array_equal(key.child("test-matrix", 0).normals(0, 50, 4), alone)
    # In a whole call: probes, the adjoint test and the estimate ride along and change no digit of the factors.
    A = matrix("exponential", 80, 60, rng=1)
    part = rnla.SubspaceIteration()
    plain = rnla.svd(A, 8, method=part, rng=3)
    ridden = rnla.svd(scipy.sparse.linalg.aslinearoperator(A), 8, method=part, rng=3)
    assert np.abs(plain.s - ridden.s).max() <= 50 * np.finfo(float).eps * plain.s[0]
    assert np.abs(plain.U - ridden.U).max() <= 1e-10


def test_a_key_is_frozen_and_travels() -> None:
    key = Key(3).child("a", 1)
    for other in (copy.copy(key), copy.deepcopy(key), pickle.loads(pickle.dumps(key))):
        assert other == key
        assert np.array_equal(other.words(0, 5), key.words(0, 5))
    with pytest.raises(AttributeError):
        key.seed = 4  # type: ignore[misc]


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("library", ["array_api_strict", pytest.param("torch", marks=pytest.mark.torch)])
def test_normals_of_another_library_agree_to_a_few_ulp(library: str, dtype: str) -> None:
    pytest.importorskip(library)
    if library == "torch":
        import array_api_compat.torch as xp

        device: Any = "cpu"
    else:
        import array_api_strict as xp

        device = xp.Device("CPU_DEVICE")
    for start, stop, columns in ((0, 50, 3), (7, 8, 1), (3, 40, 5), (0, 0, 2), (4, 9, 0)):
        expected = Key(4).normals(start, stop, columns, dtype=dtype)
        found = to_host(Key(4).normals(start, stop, columns, dtype=dtype, xp=xp, device=device))
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        assert np.abs(found - expected).max(initial=0) <= 8 * np.finfo(dtype).eps * np.abs(expected).max(initial=1)


# ------------------------------------------------------------------------------------------------------ distributions
LADDER = 1e-9


@pytest.mark.statistical
def test_normals_pass_a_kolmogorov_smirnov_test() -> None:
    """False-alarm rate 4e-9 over keys: four samples at 1e-9 each."""
    key = Key(77)
    real = key.normals(0, 100_000, 1)[:, 0]
    z = key.child("c").normals(0, 50_000, 1, dtype=np.complex128)[:, 0] * np.sqrt(2)
    for sample in (real[::2], real[1::2], z.real, z.imag):
        assert scipy.stats.kstest(sample, "norm").pvalue > LADDER


@pytest.mark.statistical
def test_neighbours_are_uncorrelated() -> None:
    """False-alarm rate under 1e-10 over keys: 20 correlations at 7 standard errors."""
    x = Key(78).normals(0, 20_000, 5)
    z = Key(78).child("c").normals(0, 20_000, 2, dtype=np.complex128)
    pairs = [(x[:-1, 0], x[1:, 0]), (x[:-2, 0], x[2:, 0]), (z[:, 0].real, z[:, 0].imag), (z[:, 0].real, z[:, 1].imag)]
    pairs += [(x[:, i], x[:, j]) for i in range(5) for j in range(i)]
    pairs += [(x[:, 0] ** 2 - 1, x[:, 1] ** 2 - 1), (x[::2, 0] ** 2 - 1, x[1::2, 0] ** 2 - 1)]
    for a, b in pairs:
        assert abs(np.mean(a * b)) <= 7 * np.std(a * b) / np.sqrt(len(a))


@pytest.mark.statistical
def test_signs_and_positions_are_uniform() -> None:
    """False-alarm rate 3e-9 over keys: three chi-square tests at 1e-9 each."""
    signs = Key(79).signs(0, 100_000, 3)
    assert set(np.unique(signs)) == {-1, 1}
    patterns = np.bincount(((signs + 1) // 2 * np.array([1, 2, 4])).sum(axis=1), minlength=8)
    assert scipy.stats.chisquare(patterns).pvalue > LADDER
    picked = Key(79).distinct(0, 60_000, 3, 6)
    assert np.all(np.diff(picked, axis=1) > 0)
    subsets = dict.fromkeys(itertools.combinations(range(6), 3), 0)
    for row in map(tuple, picked.tolist()):
        subsets[row] += 1
    assert scipy.stats.chisquare(list(subsets.values())).pvalue > LADDER
    assert scipy.stats.chisquare(np.bincount(Key(80).distinct(0, 60_000, 1, 37)[:, 0], minlength=37)).pvalue > LADDER


GOLDEN_ORDER = [7, 5, 4, 1, 6, 3, 0, 2]
GOLDEN_UNIFORMS = ["0x1.2ef44cdb8e308p-3", "0x1.059d4d8dcdef8p-4", "0x1.5e2bcb1e34fe8p-3"]


def test_golden_orders_and_uniform_numbers_are_the_same_bits() -> None:
    key = Key(7).child("test-matrix", 0)
    assert key.permutation(8).tolist() == GOLDEN_ORDER
    assert [number.hex() for number in key.uniforms(0, 3, column=2).tolist()] == GOLDEN_UNIFORMS
    assert np.array_equal(key.uniforms(0, 20)[7:], key.uniforms(7, 20))
    assert np.array_equal(key.permutation(8), np.argsort(key.words(0, 8)))


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_an_order_holds_every_number_once(count: int) -> None:
    assert np.array_equal(np.sort(Key(1).permutation(count)), np.arange(count))


@pytest.mark.statistical
def test_every_order_is_equally_likely() -> None:
    """Chi-square over the 24 orders of 4 numbers, 4800 keys, alarm rate 1e-6; uniform numbers by Kolmogorov's test."""
    counts: dict[tuple[int, ...], int] = {}
    for i in range(4800):
        order = tuple(Key(3).child(i).permutation(4).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 24
    assert sum((found - 200) ** 2 / 200 for found in counts.values()) <= scipy.stats.chi2.isf(1e-6, 23)
    uniform = Key(3).uniforms(0, 20_000)
    assert 0 <= uniform.min() <= uniform.max() < 1
    assert scipy.stats.kstest(uniform, "uniform").pvalue > 1e-6


# ------------------------------------------------------------------------------------------------- what may be passed
def test_none_draws_fresh_entropy_and_the_report_repeats_it() -> None:
    A = matrix("exponential", 60, 50, rng=1)
    first, second = (rnla.svd(A, 5, method=rnla.SubspaceIteration(power_iterations=0)) for _ in range(2))
    assert first.report.seed != second.report.seed
    again = rnla.svd(A, 5, method=rnla.SubspaceIteration(power_iterations=0), rng=first.report.seed)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert again.report.seed == first.report.seed
    assert not np.array_equal(first.U, second.U)


@pytest.mark.parametrize(
    "rng",
    [
        0,
        7,
        np.int64(7),
        2**200,
        [1, 2, 3],
        np.array([1, 2], dtype=np.uint32),
        np.random.SeedSequence(5),
        Key(3),
        Key(3).child("a"),
    ],
    ids=repr,
)
def test_seeds_repeat(rng: Any) -> None:
    assert as_key(rng) == as_key(rng)
    A = matrix("exponential", 60, 50, rng=1)
    results = [rnla.svd(A, 5, method=rnla.SubspaceIteration(power_iterations=0), rng=rng) for _ in range(2)]
    results.append(rnla.svd(A, 5, method=rnla.SubspaceIteration(power_iterations=0), rng=results[0].report.seed))
    assert len({result.U.tobytes() for result in results}) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.random.default_rng(5),
        lambda: np.random.Generator(np.random.MT19937(5)),
        lambda: np.random.PCG64(5),
        lambda: np.random.RandomState(5),
    ],
    ids=["Generator", "Generator(MT19937)", "PCG64", "RandomState"],
)
def test_a_generator_is_advanced_once_however_much_is_drawn(make: Any) -> None:
    A = matrix("exponential", 60, 50, rng=1)
    one, other = make(), make()
    small = rnla.svd(A, 2, method=rnla.SubspaceIteration(power_iterations=0), rng=one)
    large = rnla.svd(A, tol=1e-6, method=rnla.Adaptive(), rng=other)
    assert small.report.seed == large.report.seed
    assert as_key(one) == as_key(other)
    assert as_key(one) != Key(small.report.seed)
    again = rnla.svd(A, 2, method=rnla.SubspaceIteration(power_iterations=0), rng=small.report.seed)
    assert np.array_equal(small.U, again.U)
    before = make()
    expected = int(before.random_raw(1)[0]) if isinstance(before, np.random.BitGenerator) else None
    assert expected is None or as_key(make()).seed & (2**64 - 1) == expected


def test_a_seed_sequence_is_not_spent() -> None:
    sequence = np.random.SeedSequence(5)
    assert as_key(sequence) == as_key(sequence)
    assert sequence.n_children_spawned == 0
    assert as_key(sequence) != as_key(np.random.SeedSequence(6))


@pytest.mark.parametrize(
    ("rng", "error"),
    [
        (-1, rnla.InputError),
        (np.int64(-5), rnla.InputError),
        ([1, -2], rnla.InputError),
        ([], rnla.InputError),
        ([[1]], rnla.InputError),
        ([0.5], rnla.InputError),
        (1.0, rnla.DTypeError),
        ("7", rnla.DTypeError),
        (True, rnla.DTypeError),
        (b"x", rnla.DTypeError),
        (object(), rnla.DTypeError),
        (np.random, rnla.DTypeError),
    ],
)
def test_what_is_no_seed_is_refused_before_any_work(rng: Any, error: type[Exception]) -> None:
    class Untouched:
        shape, dtype = (5, 4), np.dtype(float)

        def matmat(self, x: Any) -> Any:
            raise AssertionError("the matrix was multiplied")

        rmatmat = matmat

    with pytest.raises(error, match="rng"):
        rnla.svd(Untouched(), 2, rng=rng)


def test_the_global_generator_is_not_touched() -> None:
    state = np.random.get_state()[1].copy()
    rnla.svd(matrix("exponential", 60, 50, rng=1), 5, method=rnla.SubspaceIteration(), rng=1)
    assert np.array_equal(np.random.get_state()[1], state)


def test_many_normals_are_drawn_by_the_pool_to_the_same_bits() -> None:
    key, rows, columns = Key(11), 40_001, 8
    assert (rows + 1) // 2 * columns > rng_module._MANY
    drawn = []
    for threads in (1, 3):
        with rnla.config_context(threads=threads):
            drawn.append(key.normals(0, rows, columns))
    assert np.array_equal(*drawn)
    assert np.array_equal(drawn[1][:, 5:6], key.normals(0, rows, 1, first_column=5))
