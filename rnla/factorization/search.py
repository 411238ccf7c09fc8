"""The search of a driver for a basis that is large enough, and for the rank to give back.

Every problem of the pipeline asks the same question about a growing basis: is the tolerance certified,
and if not, how many columns are missing?
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Protocol, runtime_checkable

import numpy as np

from rnla._kernels.threads import interruptible
from rnla._xp.linalg import eigvalsh, host_values
from rnla.capability import Capability
from rnla.config import get_config
from rnla.cost_model import passes_of_block
from rnla.error.certificate import by_identity, certify, smallest_rank
from rnla.error.residual import identity_floor
from rnla.error.spectral import SPECTRAL_PASSES
from rnla.iterate import Watch
from rnla.operators.ledger import Ledger
from rnla.orth.cholesky_qr import gram
from rnla.planner import Plan, bytes_of
from rnla.rangefinder import Adaptive, BlockKrylov, FullSVD, SubspaceIteration
from rnla.rangefinder.growing import norms_of_columns
from rnla.request import Request
from rnla.results import ErrorEstimate, RangeBasis, Status
from rnla.rng import Key

__all__ = ["CertifiesItself", "Factored", "HasCoordinates", "Problem", "Search", "Widens"]

_LAST = 4  # blocks by which the columns that a tolerance will need are foreseen
_WORTH_VALUES = 256  # columns from which on singular values alone cost much less than factors
_SPARE_BLOCKS = 2  # of block Krylov beyond a rank


@dataclasses.dataclass(frozen=True, slots=True)
class Factored:
    """What a problem made of a whole basis.

    Attributes
    ----------
    parts : tuple
        Arrays of the problem's own, the first in the dtype of the result's factors.
    values : array, shape (l,)
        Descending, real: squares of the last ones are what a cut to smaller rank adds to the squared error.
    """

    parts: tuple[Any, ...]
    values: Any


class Problem(Protocol):
    """What the pipeline is asked for."""

    @property
    def name(self) -> str:
        """The name that its resumer is registered under."""
        ...

    def asked(self) -> dict[str, Any]:
        """Return what else was asked, for a later request: plain values by name."""
        ...

    def approximation(self, basis: RangeBasis) -> RangeBasis:
        """Return the basis with the image that the problem's approximation, image times basis^H, has on it."""
        ...

    def factor(self, basis: RangeBasis) -> Factored:
        """Return the factors of that approximation for the whole basis."""
        ...


@runtime_checkable
class CertifiesItself(Problem, Protocol, metaclass=Capability):
    """A problem that has an error estimate of its own."""

    def certify(self, basis: RangeBasis, values: np.ndarray[Any, Any]) -> ErrorEstimate | None:
        """Return the error of the approximation, or None where the general certificate is to be made."""
        ...


@runtime_checkable
class HasCoordinates(Problem, Protocol, metaclass=Capability):
    """A problem whose approximation is that of a small matrix on an orthonormal basis."""

    def coordinates(self, basis: RangeBasis) -> tuple[Any, str]:
        """Return the small matrix, and what a cut to smaller rank drops, as `RangeBasis.cut` says it."""
        ...


@runtime_checkable
class Widens(Problem, Protocol, metaclass=Capability):
    """A problem that may want more of a basis that was found for a rank than the range finder gave."""

    def widen(self, op: Ledger, basis: RangeBasis, rank: int, key: Key) -> RangeBasis:
        """Return the basis, or one that holds it, in one pass more at most."""
        ...


class Search:
    """The question "is the tolerance met, and how many columns are missing" about a growing basis.

    `least` is a rank that is kept whatever the tolerance: an extended result never loses columns.
    """

    def __init__(
        self, op: Ledger, request: Request, plan: Plan, key: Key, watch: Watch, problem: Problem, least: int = 0
    ) -> None:
        self.op, self.request, self.plan, self.key, self.watch = op, request, plan, key, watch
        self.problem = problem
        self.least = least
        self.limit = plan.limit if plan.handover is None else min(plan.limit, plan.handover)
        self.stopped_by: Status | None = None
        self.memory_needed = 0  # by what the memory budget forbade
        self.basis: RangeBasis | None = None
        self.factored: Factored | None = None
        self._factored_size = -1
        self._wanted = 0  # columns
        self.whole: ErrorEstimate | None = None

    @property
    def values(self) -> np.ndarray[Any, Any]:
        """All singular values of the projection on the basis, descending, in the scaled matrix."""
        assert self.factored is not None
        return host_values(self.factored.values)

    def factor(self, basis: RangeBasis) -> None:
        """Factor the projection on a basis, once."""
        if self._factored_size != basis.size:
            self.factored = self.problem.factor(basis)
            self._factored_size, self.whole = basis.size, None

    def look(self, basis: RangeBasis) -> ErrorEstimate:
        """Return the certificate of a basis; remembered, as the basis with what the certificate added."""
        self.factor(basis)
        if self.whole is None:
            exact = self._by_coordinates(basis)
            if exact is not None:
                self.whole, self.basis = exact, basis
                return exact
            seen = self.problem.approximation(basis)
            own = self.problem.certify(seen, self.values) if isinstance(self.problem, CertifiesItself) else None
            if own is None:
                own, seen = certify(
                    self.op,
                    seen,
                    self.request.norm,
                    self.key,
                    tol=self.request.tol,
                    values=self.values,
                    rank=self.request.rank,
                )
                own = own if own.cut == seen.cut else dataclasses.replace(own, cut=seen.cut)
            self.whole, self.basis = own, basis
            if seen.probes is not basis.probes or seen.probed is not basis.probed:
                self.basis = dataclasses.replace(basis, probes=seen.probes, probed=seen.probed)
        return self.whole

    def _by_coordinates(self, basis: RangeBasis) -> ErrorEstimate | None:
        """Return the error by the Frobenius identity where small matrices tell it: no image is made for it."""
        if self.request.norm != "fro" or not isinstance(self.problem, HasCoordinates):
            return None
        if basis.size >= int(basis.basis.shape[0]):
            return None
        small, cut = self.problem.coordinates(basis)
        exact = by_identity(self.op, small)
        return None if exact is None else dataclasses.replace(exact, cut=cut)

    def missing(self, basis: RangeBasis) -> int:
        """Return how many columns the basis lacks; 0 to stop."""
        tol = self.request.tol
        assert tol is not None
        if basis.size < self._wanted:  # the last look knew of no smaller basis
            return self._with_room(basis, self._wanted - basis.size)
        if basis.size < self.plan.limit and self._surely_above(basis, tol):
            over = self._is_foreseen(basis, tol) and self._hands_over(basis)
            return 0 if over else self._with_room(basis, self.plan.limit)
        if self._wanted == 0 and basis.size >= _WORTH_VALUES:
            self._wanted = self._foreseen_size(basis, tol)
            if self._wanted > basis.size:
                over = self._wanted > self.limit and self._hands_over(basis)
                return 0 if over else self._with_room(basis, self._wanted - basis.size)
        if self.request.norm == "spectral" and basis.size < self.plan.limit:
            # The error is at least about the smallest value found: no bound is worth its products before.
            self.factor(basis)
            if self.values[-1] > tol * self.values[0]:
                return self._with_room(basis, self.plan.limit)
        whole = self.look(basis)
        self.watch.error = whole.value
        rank = smallest_rank(whole, self.values, tol)
        missing = self.plan.limit
        if rank is not None:
            missing = max(0, min(rank + self._spare(rank), self.plan.limit) - basis.size)
            self._wanted = basis.size + missing
            if self._wanted > max(self.limit, basis.size) and self._hands_over(basis):
                return 0
        return self._with_room(basis, missing)

    def _foreseen_size(self, basis: RangeBasis, tol: float) -> int:
        """Return the columns that make the rank small, by singular values alone; 0 where these do not say.

        Those of the image are found from its Gram matrix, at a fraction of what the factors cost.
        """
        magnitude = self.op.measure()
        if self.request.norm != "fro" or magnitude is None or isinstance(self.problem, CertifiesItself):
            return 0
        total = gram(basis.image)
        values = host_values(interruptible(lambda: eigvalsh(total), 1.5 * basis.size**3))
        allowed = (tol * magnitude.frobenius) ** 2 - (magnitude.frobenius**2 - float(values.sum()))
        if allowed <= 0:
            return 0
        rank = basis.size - int(np.count_nonzero(np.cumsum(values.clip(min=0.0)) <= allowed))
        return min(rank + self._spare(rank), self.plan.limit)

    def _spare(self, rank: int) -> int:
        """Return the columns beyond a rank from which on more of them hardly make it smaller."""
        method = self.plan.method
        if isinstance(method, Adaptive) and isinstance(method.part, BlockKrylov):
            # The columns found last are far from singular vectors: measured on values 1/j, half the rank leaves 1 %.
            return max(_SPARE_BLOCKS * method.part.next_size(0, 1, self.plan.limit), math.ceil(0.5 * rank))
        return max(4, math.ceil(0.1 * rank))

    def _surely_above(self, basis: RangeBasis, tol: float) -> bool:
        """Whether the norm of the image alone shows that too much of A lies outside the basis: nothing is factored."""
        magnitude = self.op.measure()
        if self.request.norm != "fro" or magnitude is None or isinstance(self.problem, CertifiesItself):
            return False
        whole = magnitude.frobenius
        rest = whole**2 - float(np.sum(norms_of_columns(basis.image) ** 2))
        level = max(tol, 2 * identity_floor(basis.image.dtype))
        if not rest > (level * whole) ** 2:
            return False
        self.watch.error = math.sqrt(rest) / whole
        return True

    def _is_foreseen(self, basis: RangeBasis, tol: float) -> bool:
        """Whether the full SVD will take over: no block so far says that the tolerance is met before.

        A column to come is taken to find no more of A than those of the best of the last blocks; the first, random,
        finds little and does not count.
        """
        magnitude = self.op.measure()
        if magnitude is None or len(basis.blocks) <= _LAST or self.limit >= self.plan.limit:
            return False
        squares = norms_of_columns(basis.image) ** 2
        blocks = np.split(squares, np.cumsum(basis.blocks)[:-1])
        best = max(float(block.mean()) for block in blocks[-_LAST:])
        rest = magnitude.frobenius**2 * (1 - tol**2) - float(squares.sum())
        return rest >= (self.limit - basis.size) * best

    def _hands_over(self, basis: RangeBasis) -> bool:
        """Let the full SVD take over now, if it may."""
        limit = self.limit
        if not basis.size < limit < self.plan.limit:
            return False
        self.limit = basis.size
        if self._with_room(basis, self.plan.limit) > 0:
            return True
        self.limit = limit  # the search goes on
        return False

    def _with_room(self, basis: RangeBasis, missing: int) -> int:
        """Return how many columns are missing, or 0 where passes or memory forbid the next step for them."""
        self.stopped_by, self.memory_needed = None, 0
        config, method = get_config(), self.plan.method
        if missing <= 0 or basis.size >= self.plan.limit or not isinstance(method, (Adaptive, SubspaceIteration)):
            return missing
        if basis.size >= self.limit:  # the full SVD takes over, in one pass
            passes, needed = 1, bytes_of(self.op, FullSVD(), min(self.op.shape))
        else:
            passes = passes_of_block(self.op, method) + (SPECTRAL_PASSES if self.request.norm == "spectral" else 0)
            size = method.next_size(basis.size, missing, self.limit) if isinstance(method, Adaptive) else 0
            needed = bytes_of(self.op, method, basis.size + size) if size else 0
        if config.max_passes is not None and self.op.counts.passes + passes > config.max_passes:
            self.stopped_by = Status.PASSES
        elif not config.allows(needed):
            self.stopped_by, self.memory_needed = Status.MEMORY, needed
        return 0 if self.stopped_by else missing

    def pick(self) -> tuple[int, Status]:
        """Return the rank to give back, and whether that is what was asked."""
        request, whole, values = self.request, self.whole, self.values
        assert whole is not None
        if request.tol is None:
            assert request.rank is not None
            return min(request.rank, len(values)), Status.MET
        rank = smallest_rank(whole, values, request.tol)
        cap = len(values) if request.rank is None else min(request.rank, len(values))
        if rank is not None and rank <= cap:
            return min(max(rank, self.least), len(values)), Status.MET
        if self.stopped_by is not None:
            return cap, self.stopped_by
        return cap, Status.NOT_CERTIFIED if request.rank is None else Status.RANK_CAP
