"""The steps of a kept root: one change, its error, a measurement, a fresh decomposition (S2 to S6 of `SqrtState`)."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from rnla._xp.linalg import cast, column_norms, eps_of, frobenius, host_values
from rnla._xp.namespace import device_of, from_host, namespace_of
from rnla.errors import InputError, ToleranceNotMet
from rnla.matfun.anchor import FAILURE, Anchor, decomposed, probed
from rnla.matfun.conditioned import conditioned
from rnla.matfun.drift import Asked, Drift
from rnla.matfun.galerkin import galerkin
from rnla.matfun.held import ThinRoot, WholeRoot, changed
from rnla.matfun.inverse_bound import inverse_bound
from rnla.matfun.panels import adjoint_multiplied, dtype_of, inner, multiplied, times
from rnla.matfun.projection import begun
from rnla.matfun.resolvents import Looked, Resolvents, feasible, poles_of_root
from rnla.matfun.shifts import steps_needed
from rnla.matfun.stage import droppable
from rnla.rng import Key

__all__ = ["Core"]

_STEPS = 12  # of the projection, after the first look
_THIN_ROOM = 512
_BOUNDARY = 100  # eps norm(A): what stands for zero in an eigenvalue


class _Step(NamedTuple):
    """A change that was worked out, and not made yet."""

    looked: Looked
    V: Any
    w: np.ndarray[Any, Any]
    dropped: float
    drift: Drift
    top: Any
    steps: int


class Core:
    """The root, what it stands on, and the matrix where it is kept.

    Parameters
    ----------
    anchor : Anchor
    like : array
        A panel of the library, device and dtype.
    matrix : array or None
        Of its own.
    asked : Asked
    key : Key
    matrix_error : float
        How far `matrix`, or what was decomposed, may be from the caller's.
    """

    def __init__(self, anchor: Anchor, like: Any, matrix: Any, asked: Asked, key: Key, matrix_error: float) -> None:
        self.asked, self.key, self.matrix, self.like = asked, key, matrix, like[:, :0]
        self.dtype = dtype_of(like)
        self.eps = eps_of(self.dtype)
        self.pending: list[tuple[Any, np.ndarray[Any, Any]]] = []  # changes that `matrix` does not hold yet
        self.whole = True  # not so between the first and the last part of a change
        self.changes = self.refactorizations = self.measurements = self.steps = 0
        self.root: WholeRoot | ThinRoot
        if anchor.U is None:
            self.root = ThinRoot(anchor.h, self.like)
        self.begun = FAILURE if matrix is not None and matrix_error else 0.0  # the square of a root given is measured
        failure = self.begun + (0.0 if anchor.U is None else 2 * FAILURE)
        self._stand(anchor, anchor.error + matrix_error, matrix_error, failure)

    def _stand(self, anchor: Anchor, error: float, matrix_error: float, failure: float) -> None:
        """Go on from a fresh decomposition."""
        n, asked = int(anchor.h.shape[0]), self.asked
        h = host_values(anchor.h).astype(np.float64)
        top = anchor.top
        hi = 1.5 * top if top else 1.0
        lo = max(anchor.least / 2, math.sqrt(self.eps) * hi)
        share = asked.tol / asked.horizon * (1.0 if asked.power > 0 else (anchor.least / hi) ** 2)
        count = max(1, steps_needed(lo, hi, max(share / 2, self.eps / 8)) - 1)
        ridge = _BOUNDARY * self.eps * (top * top if top else 1.0)
        room = _THIN_ROOM if anchor.U is None else max(64, 3 * n // 16)
        self.anchor = anchor
        shifts = np.concatenate([[ridge], poles_of_root(lo, hi, count)])
        self.resolvents = Resolvents(anchor.h * anchor.h, shifts, self.like, room)
        place = np.zeros((n, 1), dtype=self.dtype)
        place[int(np.argmax(h)) if n else 0] = 1
        self.top = from_host(place, namespace_of(anchor.h), device_of(anchor.h))
        if anchor.U is not None:
            self.root = WholeRoot(_diagonal(anchor.h, self.like))
        drift = Drift(error, anchor.skew, matrix_error, max(0.0, top * top - error), top * top + error,
                      float((h * h).sum()), failure)  # fmt: skip
        self.ceiling = drift.upper
        self.drift = drift
        if asked.power < 0:
            inverse = self._inverse_bound(self.resolvents.solve, self.root.matmat, error)
            self.drift = dataclasses.replace(drift, inverse=inverse)
        self.tired = False

    def copy(self) -> Core:
        """Return a copy that goes its own way."""
        other = copy.copy(self)
        other.pending = list(self.pending)
        other.root, other.resolvents = self.root.copy(), self.resolvents.copy()
        other.matrix = None if self.matrix is None else self.matrix + 0
        return other

    def scale(self, factor: float) -> None:
        """Go over to factor B."""
        self.settle()
        half, self.whole = math.sqrt(factor), False
        self.root.scale(half)
        self.resolvents.scale(factor)
        self.matrix = None if self.matrix is None else self.matrix * factor
        self.anchor = dataclasses.replace(self.anchor, h=self.anchor.h * half)
        self.drift, self.ceiling = self.drift.scaled(factor), self.ceiling * factor
        self.whole = True

    def change(self, panel: Any, signs: np.ndarray[Any, Any], norm: float, dropped: float, owner: Any) -> None:
        """Make a change B + G J G^H, or raise.

        Parameters
        ----------
        panel : array, shape (n, k)
            G, in the caller's coordinates.
        signs : numpy.ndarray, shape (k,)
        norm : float
            Bound on norm(G G^H).
        dropped : float
            Bound on what the panel leaves out of the change.
        owner : SqrtState
            For errors to carry.
        """
        if len(signs) == 0:
            self.drift = dataclasses.replace(self.drift, error=self.drift.error + dropped)
            self.changes += 1
            return
        if self.resolvents.columns + len(signs) > self.resolvents.room or self.tired:
            self._make_room(len(signs), panel, signs)
        step = self._step(panel, signs, norm, dropped)
        asked, resets = self.asked, self.asked.on_drift == "refactor"
        if not step.drift.relative(asked.power) <= asked.tol and resets:
            saved = self.drift.error
            self.measure()
            step = step._replace(drift=dataclasses.replace(
                step.drift, error=step.drift.error - saved + self.drift.error, failure=self.drift.failure))  # fmt: skip
            if not step.drift.relative(asked.power) <= asked.tol / 2:
                self.refactor()
                step = self._step(panel, signs, norm, dropped)
        reached = step.drift.relative(asked.power)
        if not reached <= asked.tol and asked.on_drift != "return":
            raise ToleranceNotMet(
                f"with this change the bound on the error would be {reached:.1e}, above tol={asked.tol:.1e}, and the "
                "state was left without it; " + (
                    "the matrix is too ill-conditioned, or tol too small for its precision" if resets else
                    "refactor() with the matrix kept, or a state begun anew, resets the error"
                ), owner,
            )  # fmt: skip
        self._make(step, panel, signs)

    def _make(self, step: _Step, panel: Any, signs: np.ndarray[Any, Any]) -> None:
        """Make a change that was worked out (S4)."""
        self.whole = False
        self.resolvents.take(step.looked)
        self.root.add(step.V, step.w, step.dropped)
        if self.matrix is not None:
            self.pending.append((panel, signs))
        self.drift, self.top = step.drift, step.top
        self.changes += 1
        self.steps += step.steps
        used = 8 * self.resolvents.columns > self.resolvents.room
        self.tired = step.steps > _STEPS // 3 and used and isinstance(self.root, WholeRoot)
        self.whole = True

    def _step(self, panel: Any, signs: np.ndarray[Any, Any], norm: float, dropped: float) -> _Step:
        """Work a change out (S2, S3, S5)."""
        now, eps = self.drift, self.eps
        root: Any = self.root
        share = self.asked.tol / self.asked.horizon
        allowed = share * now.lower if self.asked.power > 0 else share / now.inverse if now.inverse else 0.0
        g = self.anchor.into(panel)
        looked = self.resolvents.look(g, signs)
        if not feasible(looked):
            looked = self._look_again(panel, signs)
            g, now = looked.panel, self.drift
            root = self.root
        xp, n = root.xp, root.shape[0]
        block = xp.concat([g, self.top, looked.block], axis=1)
        block = block[:, : min(n, int(block.shape[1]))]
        key = self.key.child("change", self.changes)
        projection, _ = begun(root, conditioned(block), key.child("basis"), keep_images=True)
        d = inner(projection.Q, g)
        h = self.anchor.h
        found = galerkin(
            projection, (d * signs) @ d.conj().T, max(allowed / 2, eps * norm), _STEPS, key.child("growing"),
            lambda s, x: x / (h + s)[:, None], slack=math.inf,  # S2 has looked at it
        )  # fmt: skip
        values, vectors = np.linalg.eigh(found.root.Y)
        upper = min(now.upper + norm, self.ceiling + self.resolvents.added_with(looked))
        size = math.sqrt(upper + now.error + found.history[-1])
        limit = droppable(size, allowed / 4)
        keep = np.abs(values) > limit
        largest, cut = float(np.abs(values).max(initial=0.0)), float(np.abs(values[~keep]).max(initial=0.0))
        if isinstance(root, ThinRoot):  # what is dropped when the correction is made
            cut += limit
        trace = max(0.0, now.trace + float((signs * host_values(column_norms(g)).astype(np.float64) ** 2).sum()))
        moved = root.rounding(math.sqrt(trace), eps)
        error = now.error + found.history[-1] + found.root.left + (2 * size + cut) * cut  # S5
        error += 10 * eps * (size + largest) * largest + (2 * size + moved) * moved
        error += (2 * now.skew + 10 * eps) * norm + dropped
        kept = now.matrix + (0.0 if self.matrix is None else eps * math.sqrt(upper * trace) + 10 * eps * norm)
        theta = float(found.root.theta[-1])
        drift = Drift(error, now.skew, kept, max(0.0, theta * theta - error), upper, trace, now.failure)
        V = times(found.projection.Q, vectors[:, keep])
        if self.asked.power < 0:
            w = values[keep]

            def after(x: Any) -> Any:
                return root.matmat(x) + times(V, w[:, None] * inner(V, x))

            drift = dataclasses.replace(drift, inverse=self._inverse_bound(self._inverse_after(looked), after, error))
        top = times(found.projection.Q, found.root.vectors[:, -1:])
        return _Step(looked, V, values[keep], limit, drift, top, found.steps)

    def _look_again(self, panel: Any, signs: np.ndarray[Any, Any]) -> Looked:
        """Refuse a change after which B is indefinite; go over to a fresh decomposition where only the old one said so.

        Solves that many changes have gone through lose digits where changes cancel.
        """
        fresh = self
        if isinstance(self.root, WholeRoot) and self.resolvents.columns:
            fresh = self.copy()
            fresh.refactor()
        looked = fresh.resolvents.look(fresh.anchor.into(panel), signs)
        if feasible(looked):
            self.__dict__.update(fresh.__dict__)
            return looked
        if isinstance(self.root, ThinRoot) and self.root.least > 0:
            half = self.root.shifted_solve(0.0, panel)
            if feasible(looked._replace(complements=(np.diag(signs) + inner(half, half))[None])):
                return looked
        if (signs < 0).all():
            over = float(np.linalg.eigvalsh(looked.complements[0])[-1])
            raise InputError(
                f"the downdate is not possible: lambda_max(D^H A^-1 D) - 1 = {over:.3g} is above zero, so A - D D^H "
                "has a negative eigenvalue and no root; take less away"
            )
        raise InputError(
            "the change is not possible: the matrix would have a negative eigenvalue, and so no root; take less away"
        )

    def _inverse_after(self, looked: Looked) -> Any:
        """Return X -> (B + t_0 I)^{-1} X for the changed B."""

        def solve(x: Any) -> Any:
            before = self.resolvents.solve
            p = before(looked.panel)
            return before(x) - times(p, np.linalg.solve(looked.complements[0], inner(looked.panel, before(x))))

        return solve

    def _inverse_bound(self, solve: Any, times_root: Any, missed: float) -> float:
        """Return a bound on norm(B^{-1}) from solves with B + t_0 I; the square of the root misses B by `missed`."""
        shift = float(self.resolvents.shifts[0])

        def back(x: Any) -> Any:
            return times_root(times_root(x)) + shift * x

        return inverse_bound(solve, back, missed, self.root, self.like, shift, self.key.child("inverse"))

    def _make_room(self, k: int, panel: Any, signs: np.ndarray[Any, Any]) -> None:
        if isinstance(self.root, ThinRoot):
            raise InputError(
                f"the state of a diagonal matrix takes {self.resolvents.room} columns of changes in all, and has taken "
                f"{self.resolvents.columns}; finish it, and go on with the whole matrix if n^2 numbers are affordable"
            )
        if k > self.resolvents.room:
            raise InputError(
                f"a change of {k} columns is no small change of a matrix of order {self.root.shape[0]}: at most "
                f"{self.resolvents.room} at a time; begin a new state with the changed matrix"
            )
        self.refactor()

    def refactor(self) -> None:
        """Decompose A anew, or S where A is not kept (S6)."""
        key = self.key.child("refactor", self.refactorizations)
        if isinstance(self.root, ThinRoot):
            raise InputError("the root of a diagonal matrix stands on its diagonal for good; nothing can be refactored")
        if self.matrix is not None:
            self.settle()
            fresh = decomposed(self.matrix, 1e3 * self.root.shape[0] * self.eps, key)
            error, matrix = fresh.error + self.drift.matrix, self.drift.matrix
        else:
            inside = decomposed(self.root.S, 1e3 * self.root.shape[0] * self.eps, key, power=1)
            U = multiplied(self.anchor.U, inside.U)
            size = math.sqrt(self.drift.upper + self.drift.error)
            error = self.drift.error + (2 * size + inside.error) * inside.error
            skew = probed(lambda x: adjoint_multiplied(U, multiplied(U, x)) - x, U, key.child("unitary"))
            fresh = Anchor(inside.h, U, inside.error, skew)
            error += (2 * skew + 10 * self.eps) * self.drift.upper
            matrix = self.drift.matrix
        failure = (self.drift.failure if self.matrix is None else self.begun) + 2 * FAILURE
        self._stand(fresh, error, matrix, failure)
        self.refactorizations += 1

    def settle(self) -> None:
        """Make the changes of the matrix that stand out: all at once, so that its n^2 numbers are seldom touched."""
        if self.pending:
            panels, signs = zip(*self.pending, strict=True)
            self.whole = False
            self.matrix = changed(self.matrix, self.root.xp.concat(list(panels), axis=1), np.concatenate(signs))
            self.pending, self.whole = [], True

    def measure(self) -> None:
        """Measure the error against the matrix kept, and go on from there where that is less (S6)."""
        if self.matrix is None:
            return
        self.settle()
        U, root = self.anchor.U, self.root
        found = probed(
            lambda x: multiplied(self.matrix, x) - multiplied(U, root.matmat(root.matmat(adjoint_multiplied(U, x)))),
            U, self.key.child("measured", self.measurements),
        ) + self.drift.matrix  # fmt: skip
        self.measurements += 1
        if found < self.drift.error:
            self.drift = dataclasses.replace(self.drift, error=found, failure=self.drift.failure + FAILURE)

    def forward_bound(self) -> float:
        """Return a bound on norm(B^{1/2} - S): sqrt(e), or e over the sum of their smallest eigenvalues."""
        total = self.drift.total
        if total == 0:
            return 0.0
        inverse = self._inverse_bound(self.resolvents.solve, self.root.matmat, self.drift.error)
        least = math.sqrt(max(0.0, 1 / inverse - total)) + math.sqrt(1 / inverse)
        return min(math.sqrt(total), total / least if least > 0 else math.inf)

    def times_root(self, x: Any) -> Any:
        """Return S X, in the caller's coordinates."""
        return self.anchor.out(self.root.matmat(self.anchor.into(cast(x, self.like.dtype))))

    def over_root(self, x: Any) -> Any:
        """Return S^{-1} X = S B^{-1} X, improved by S itself."""
        x = self.anchor.into(cast(x, self.like.dtype))
        y = self.root.matmat(self.resolvents.solve(x))
        enough = math.sqrt(self.eps) * frobenius(x)
        left = math.inf
        for _ in range(3):
            rest = x - self.root.matmat(y)
            left = frobenius(rest)
            y = y + self.root.matmat(self.resolvents.solve(rest))
        if not left <= enough:  # the changes since the decomposition have cancelled too much
            y = self.root.shifted_solve(0.0, x)
            left = frobenius(x - self.root.matmat(y))
            again = frobenius(
                self.root.shifted_solve(0.0, y)
            )  # y lies near the eigenvectors of the smallest eigenvalues
            if not again * math.sqrt(float(self.resolvents.shifts[0])) <= frobenius(y):
                left = math.inf
        if not left <= enough:
            raise InputError("the matrix is singular to working precision, so its root cannot be solved with")
        return self.anchor.out(y)


def _diagonal(h: Any, like: Any) -> Any:
    """Return diag(h) as an array of its own."""
    xp = namespace_of(like)
    n = int(h.shape[0])
    return xp.eye(n, dtype=like.dtype, device=device_of(like)) * h[:, None] if n else xp.zeros((0, 0), dtype=like.dtype)
