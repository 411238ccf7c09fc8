"""Range finders keep their contract; every row of the table is tried, in every library."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import rnla
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.rangefinder import RANGE_FINDERS, RangeFinder
from rnla.rangefinder.protocols import Goal, Riders
from rnla.results import RangeBasis
from rnla.rng import Key
from rnla.testing import check_range_finder, matrix

TALL, WIDE = ((70, 50),), ((40, 60),)
PARTS: list[tuple[RangeFinder, dict[str, Any]]] = [
    (rnla.SubspaceIteration(), {}),
    (rnla.SubspaceIteration(power_iterations=0, sketch="sparse_sign"), {}),
    (rnla.SubspaceIteration(space="row", orthonormalizer=rnla.TSQR()), {}),
    (rnla.SubspaceIteration(space="column", orthonormalizer=rnla.HouseholderQR()), {}),
    (rnla.Adaptive(), {}),
    (rnla.Adaptive(block_size=3, power_iterations=0, sketch="sparse_sign"), {}),
    (rnla.FullSVD(), {}),
    (rnla.GramEigh(), {}),
    (rnla.TallQR(), {}),
    (rnla.SketchedRange(), {"shapes": TALL + WIDE}),
    (rnla.SketchedRange("srtt", space="row"), {"shapes": WIDE}),
    (rnla.PowerIteration(), {"shapes": WIDE}),
    (rnla.AdaptiveSampling(), {"shapes": TALL}),
    (rnla.AdaptiveSampling(probes=2, block_size=3, space="row"), {"shapes": WIDE}),
    (rnla.BlockQB(), {"shapes": TALL}),
    (rnla.BlockQB(block_size=5, power_iterations=0, sketch="sparse_sign"), {"shapes": WIDE}),
    (rnla.GramQB(), {"shapes": TALL}),
    (rnla.GramQB(power_iterations=3, space="row"), {"shapes": WIDE}),
    (rnla.BlockKrylov(), {"shapes": TALL + WIDE}),
    (rnla.BlockKrylov(block_size=4), {"shapes": WIDE}),
    (rnla.BlockKrylov(depth=2, space="row", orthonormalizer=rnla.HouseholderQR()), {"shapes": TALL}),
    (rnla.Adaptive(part=rnla.BlockKrylov()), {"shapes": WIDE}),
]
EVERYWHERE = [
    rnla.SubspaceIteration(),
    rnla.Adaptive(),
    rnla.FullSVD(),
    rnla.SketchedRange(),
    rnla.PowerIteration(),
    rnla.AdaptiveSampling(),
    rnla.BlockQB(),
    rnla.GramQB(),
    rnla.BlockKrylov(),
]


def dtypes_for(part: RangeFinder) -> tuple[str, ...]:
    """Return all four dtypes for the methods that are chosen by themselves, and two for the rest."""
    chosen = isinstance(part, (rnla.SubspaceIteration, rnla.Adaptive, rnla.FullSVD))
    return ("float32", "float64", "complex64", "complex128") if chosen else ("float32", "complex128")


def test_every_row_of_the_table_is_tried() -> None:
    assert {type(part) for part, _ in PARTS} == set(RANGE_FINDERS.values())


@pytest.mark.statistical
@pytest.mark.parametrize(("part", "options"), PARTS, ids=lambda value: repr(value) if value else None)
def test_conformance(part: RangeFinder, options: dict[str, Any]) -> None:
    """False-alarm rate under 1e-7 a part over keys (`check_range_finder`); the key is fixed."""
    check_range_finder(part, **options)


@pytest.mark.statistical
@pytest.mark.parametrize("part", EVERYWHERE, ids=repr)
def test_conformance_with_strict_arrays(part: RangeFinder) -> None:
    """False-alarm rate under 1e-7 over keys (`check_range_finder`); the key is fixed."""
    xp = pytest.importorskip("array_api_strict")
    check_range_finder(part, shapes=((60, 50),), dtypes=dtypes_for(part), xp=xp, device=xp.Device("CPU_DEVICE"))


@pytest.mark.torch
@pytest.mark.statistical
@pytest.mark.parametrize("part", EVERYWHERE, ids=repr)
def test_conformance_with_torch(part: RangeFinder) -> None:
    """False-alarm rate under 1e-7 over keys (`check_range_finder`); the key is fixed."""
    pytest.importorskip("torch")
    import array_api_compat.torch as xp

    check_range_finder(part, shapes=((60, 50),), dtypes=dtypes_for(part), xp=xp, device="cpu")


@dataclasses.dataclass(frozen=True)
class Broken:
    """Subspace iteration with one fault."""

    fault: str

    def find(self, op: Ledger, goal: Goal, key: Key, riders: Riders, start: RangeBasis | None = None) -> RangeBasis:
        part = rnla.SubspaceIteration(space="row")
        basis = part.find(op, goal, key, riders, None if self.fault == "starts anew" else start)
        if self.fault == "starts anew" and start is not None:
            fresh = rnla.SubspaceIteration(space="row").find(op, goal, key.child("anew"), riders)
            return dataclasses.replace(fresh, blocks=(fresh.size,))
        if self.fault == "image of another basis":
            return dataclasses.replace(basis, image=basis.image[:, ::-1])
        if self.fault == "not orthonormal":
            return dataclasses.replace(basis, basis=basis.basis * 1.01, image=basis.image * 1.01)
        if self.fault == "blind":
            blind = np.linalg.qr(key.normals(0, op.shape[1], basis.size, dtype=op.dtype))[0]
            return dataclasses.replace(basis, basis=blind, image=op.matmat(blind))
        return dataclasses.replace(basis, blocks=(*basis.blocks, 1))


@pytest.mark.parametrize(
    "fault", ["starts anew", "image of another basis", "not orthonormal", "blind", "blocks that do not add up"]
)
def test_the_suite_fails_what_is_wrong(fault: str) -> None:
    with pytest.raises(AssertionError):
        check_range_finder(Broken(fault))


@pytest.mark.parametrize("part", [part for part in EVERYWHERE if not isinstance(part, rnla.FullSVD)], ids=repr)
def test_riders_change_no_bit_of_the_basis(part: RangeFinder) -> None:
    A = matrix("exponential", 90, 70, rng=1)
    goal = Goal(16, 70, lambda basis: max(0, 16 - basis.size))
    bases = [
        part.find(Ledger(as_operator(A)), goal, Key(3), riders)
        for riders in (Riders(), Riders(probes=5), Riders(probes=5, adjoint_test=True), Riders(leave_one_out=True))
    ]
    # A product of more columns at once may round otherwise, so bits of the products are not compared.
    for basis in bases[1:]:
        gap = np.linalg.norm(basis.basis @ (basis.basis.T @ bases[0].basis) - bases[0].basis)
        assert gap <= 1e-12


def test_growth_of_adaptive_blocks() -> None:
    part = rnla.Adaptive(block_size=16)
    assert part.next_size(0, 16, 1000) == 16
    assert part.next_size(16, 1000, 1000) == 16
    assert part.next_size(200, 1000, 1000) == 100
    assert part.next_size(500, 1000, 2000) == 128
    assert part.next_size(900, 1000, 2000) == 180
    assert part.next_size(200, 20, 1000) == 32
    assert part.next_size(200, 1000, 210) == 10


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rnla.SubspaceIteration(power_iterations=-1), "power_iterations"),
        (lambda: rnla.SubspaceIteration(oversampling=-1), "oversampling"),
        (lambda: rnla.SubspaceIteration(space="left"), "space"),
        (lambda: rnla.SubspaceIteration(sketch="fourier"), "sketch"),
        (lambda: rnla.Adaptive(block_size=0), "block_size"),
        (lambda: rnla.Adaptive(space="up"), "space"),
    ],
)
def test_parts_check_their_parameters(make: Any, message: str) -> None:
    with pytest.raises(rnla.InputError, match=message):
        make()


@pytest.mark.parametrize("method", [rnla.GramEigh(), rnla.TallQR(), rnla.FullSVD()])
def test_methods_that_need_blocks_refuse_others_in_words(method: Any) -> None:
    with pytest.raises(rnla.InputError, match="SubspaceIteration"):
        rnla.svd(scipy.sparse.eye_array(9, 4), 2, method=method)


def test_gram_eigh_keeps_to_the_passes_allowed() -> None:
    A = matrix("graded", 300, 60, rng=3)
    with rnla.config_context(max_passes=2):
        result = rnla.svd(A, 40, method=rnla.GramEigh(), rng=0)
    assert result.report.passes == 2
    assert "max_passes left none" in result.report.notes[0]
    assert "tall QR was used" in rnla.svd(A, 40, method=rnla.GramEigh(), rng=0).report.notes[0]


def test_an_orthonormalizer_is_a_part() -> None:
    with pytest.raises(rnla.DTypeError, match="pivots beside its factors"):
        rnla.SubspaceIteration(orthonormalizer=rnla.CQRRPT())  # type: ignore[arg-type]
    for wrong in ("tsqr", rnla.TSQR):
        with pytest.raises(rnla.DTypeError, match="orthonormalizer must be a part"):
            rnla.SubspaceIteration(orthonormalizer=wrong)  # type: ignore[arg-type]
        with pytest.raises(rnla.DTypeError, match="orthonormalizer must be a part"):
            rnla.Adaptive(orthonormalizer=wrong)  # type: ignore[arg-type]
