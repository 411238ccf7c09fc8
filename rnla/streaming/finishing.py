"""From the sketches of a stream to a result with its certificate.

S1. The method's Q C P^H; the SVD of C, U = Q u, V = P v; for eigenpairs P = Q, and the eigenvalue decomposition of C.
S2. The error sketch measures the approximation of every rank (rnla/streaming/error_sketch.py).
S3. The rank: as asked, or the smallest whose bound meets the tolerance; signs; the result.
"""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from rnla._kernels.products import product
from rnla._xp.linalg import adjoint, cast, eigh, eps_of, host_values, svd
from rnla._xp.namespace import backend_name, device_of, is_numpy, namespace_of
from rnla.checks import check_choice, check_rank, check_tol
from rnla.config import get_config
from rnla.errors import InputError, RankWarning, ToleranceNotMet
from rnla.factorization.signs import fix_signs
from rnla.planner import Plan
from rnla.rangefinder.protocols import Riders
from rnla.results import EighResult, ErrorEstimate, LowRank, Report, Status, SVDResult
from rnla.streaming.error_sketch import Measured, measure
from rnla.streaming.maps import LinearSketch, Sketches

__all__ = ["Counted", "Eigenpairs", "Form", "Looked", "Sketched", "SingularTriplets", "finish", "look"]

R_co = TypeVar("R_co", covariant=True)


class Sketched(Protocol):
    """What of a stream is needed here."""

    shape: tuple[int, int]
    rank: int
    method: Any
    dtype: np.dtype[Any]
    layout: tuple[LinearSketch, ...]
    seed: int
    updates: int

    @property
    def sketches(self) -> Sketches:
        """The sketches as they are now."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of the state."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Counted:
    """What a pass over a whole matrix knows beyond the sketches.

    Attributes
    ----------
    norm : float or None
        The Frobenius norm of A.
    passes, scans, products : int
    dtype_path : str
    copies : tuple of str
    """

    norm: float | None
    passes: int
    scans: int
    products: int
    dtype_path: str
    copies: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Looked:
    """The approximation of the largest rank, and what is known of its error."""

    u: Any
    s: Any
    vh: Any
    values: Any
    notes: tuple[str, ...]
    measured: Measured


class Form(Protocol[R_co]):
    """In which form the approximation is returned."""

    values: ClassVar[str]
    """What its values are called."""

    def decompose(self, low: LowRank) -> tuple[Any, Any, Any, Any]:
        """Return U, singular values, Vh, and the values that are returned, of Q C P^H (S1)."""
        ...

    def result(
        self, u: Any, values: Any, vh: Any, error: ErrorEstimate, report: Report, status: Status, source: Any
    ) -> R_co:
        """Return the result of the factors that are kept (S3)."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class SingularTriplets:
    """The singular value decomposition."""

    values: ClassVar[str] = "singular values"

    def decompose(self, low: LowRank) -> tuple[Any, Any, Any, Any]:
        """Return U, s, Vh, s."""
        u, s, vh = svd(low.C)
        u, vh = _times(low.Q, u), adjoint(_times(low.P, adjoint(vh)))
        s = s + 0.0  # LAPACK's values of a core of zeros are -0.0 here and there
        return u, s, vh, s

    def result(
        self, u: Any, values: Any, vh: Any, error: ErrorEstimate, report: Report, status: Status, source: Any
    ) -> SVDResult:
        """Return U, s, Vh with their certificate."""
        u, vh = fix_signs(u, vh)
        return SVDResult(u, values, vh, error, report, status, None, source)


@dataclasses.dataclass(frozen=True, slots=True)
class Eigenpairs:
    """The eigenvalue decomposition of a Hermitian approximation Q C Q^H, by descending modulus."""

    values: ClassVar[str] = "eigenvalues"

    def decompose(self, low: LowRank) -> tuple[Any, Any, Any, Any]:
        """Return V, abs(w), diag(sign(w)) V^H, w: of the core itself, whose SVD mixes w and -w."""
        w, z = eigh(low.C)
        xp = namespace_of(w)
        order = np.argsort(-np.abs(host_values(w)), kind="stable")
        index = order if is_numpy(xp) else xp.asarray(order, device=device_of(w))
        w, z = xp.take(w, index, axis=0) + 0.0, xp.take(z, index, axis=1)
        v = _times(low.Q, z)
        signs = xp.where(w < 0, -xp.ones_like(w), xp.ones_like(w))
        return v, xp.abs(w), cast(signs, v.dtype)[:, None] * adjoint(v), w

    def result(
        self, u: Any, values: Any, vh: Any, error: ErrorEstimate, report: Report, status: Status, source: Any
    ) -> EighResult:
        """Return w, V with their certificate."""
        v, _ = fix_signs(u, adjoint(u))
        return EighResult(values, v, error, report, status, None, source)


def look(stream: Sketched, norm: float | None = None, form: Form[Any] | None = None) -> Looked:
    """Return the approximation that the sketches give, measured (S1, S2)."""
    sketches = stream.sketches
    low, notes = stream.method.compress(sketches)
    u, s, vh, values = (SingularTriplets() if form is None else form).decompose(low)
    return Looked(u, s, vh, values, notes, measure(sketches, u, s, vh, norm))


def _times(panel: Any, small: Any) -> Any:
    if is_numpy(namespace_of(panel)):
        return product(panel, small, panel.dtype, get_config().threads)
    return panel @ small


def finish(
    stream: Sketched, rank: int | None, tol: float | None, on_failure: str, *, started: float,
    form: Form[R_co], counted: Counted | None = None, source: Any = None,
) -> R_co:  # fmt: skip
    """Return the result of a rank or a tolerance (S3)."""
    check_choice("on_failure", on_failure, ("raise", "return"))
    bound = None if tol is None else check_tol(tol, stream.dtype)
    asked = None if rank is None else check_rank(rank, stream.shape)
    found = look(stream, None if counted is None else counted.norm, form)
    size = int(found.s.shape[0])
    if asked is not None and asked > size:
        raise InputError(
            f"rank={asked} is above the {size} columns of the approximation; the stream was made for "
            f"rank={stream.rank}: make it with a larger rank or storage"
        )
    status, looked_at = Status.MET, 1
    if bound is None:
        kept = min(stream.rank, size) if asked is None else asked
    else:
        looked_at = (size if asked is None else asked) + 1
        kept, status = _meeting(found.measured, bound, looked_at)
    error = found.measured.estimate(kept, looked_at)
    values = found.measured.values
    level = 4 * max(2.0, math.sqrt(min(stream.shape))) * eps_of(stream.dtype)
    numerical = int(np.count_nonzero(values > level * values.max(initial=0.0))) if values.max(initial=0.0) > 0 else 0
    report = _report(stream, found, kept, numerical, started, counted)
    result = form.result(found.u[:, :kept], found.values[:kept], found.vh[:kept, :], error, report, status, source)
    if not status.ok and on_failure == "raise":
        reached = float(found.measured.errors[kept]) / found.measured.norm
        raise ToleranceNotMet(
            f"tol={bound:.1e} was not met: rank {kept} is estimated at {reached:.2e} and certified to "
            f"{error.upper:.2e}; what has streamed past cannot be read again: make the stream with a larger rank or "
            "storage (a smaller error), or with more error_columns (a closer bound); the answer is in .result, and "
            "on_failure='return' gives it back instead",
            result,
        )
    if bound is None and numerical < kept:
        warnings.warn(
            f"the matrix has numerical rank {numerical}, below rank={kept}: the {form.values} past it are rounding, "
            "and their vectors, though orthonormal, are arbitrary",
            RankWarning,
            stacklevel=3,
        )
    return result


def _meeting(measured: Measured, tol: float, looked_at: int) -> tuple[int, Status]:
    """Return the smallest rank whose bound meets a tolerance, else the one with the smallest estimate."""
    if measured.norm == 0:
        return 0, Status.MET
    bounds = measured.bounds(looked_at)[:looked_at]
    fits = np.flatnonzero(bounds <= tol * measured.least_norm())
    if len(fits):
        return int(fits[0]), Status.MET
    best = int(np.argmin(measured.errors[:looked_at]))
    near = measured.errors[best] <= tol * measured.norm
    return best, Status.NOT_CERTIFIED if near else Status.RANK_CAP


def _report(
    stream: Sketched, found: Looked, rank: int, numerical: int, started: float, counted: Counted | None
) -> Report:
    size = int(found.s.shape[0])
    sketched = sum(s.size for s in stream.layout)
    plan = Plan(
        method=stream.method, shape=stream.shape, dtype=stream.dtype, kind="streamed", size=size, limit=size,
        riders=Riders(), passes=1, flops=2.0 * math.prod(stream.shape) * sketched, bytes=stream.nbytes,
        seconds=math.nan, reasons=("the matrix is read once",),
    )  # fmt: skip
    kept = (f"{stream.updates} updates", *found.notes) if counted is None else found.notes
    device = device_of(found.u)
    return Report(
        plan=plan, shape=stream.shape, rank=rank, size=size, blocks=(size,),
        passes=1 if counted is None else counted.passes,
        scans=0 if counted is None else counted.scans,
        products=sketched if counted is None else counted.products,
        seed=stream.seed,
        dtype_path=stream.dtype.name if counted is None else counted.dtype_path,
        backend=backend_name(namespace_of(found.u)), device="" if device is None else str(device),
        copies=() if counted is None else counted.copies,
        numerical_rank=min(rank, numerical), deterministic=is_numpy(namespace_of(found.u)),
        seconds=time.perf_counter() - started, notes=kept,
    )  # fmt: skip
