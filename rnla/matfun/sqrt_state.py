"""A matrix root kept through long runs of small changes, each at the cost of a few products.

Problem: B_0 = A, B_i = B_{i-1} + D_i D_i^H - E_i E_i^H for thin D_i, E_i; after each change the root S of B_i, with a
bound on norm(B_i - S^2) that holds for the whole run.

S1. Once, A = U diag(h)^2 U^H (rnla/matfun/anchor.py).  S is kept in the basis U: as an array, or, of a diagonal A, as
    diag(h) + V diag(w) V^H.
S2. A change G J G^H: is B_i semidefinite?  The space: (B_{i-1} + t_j I)^{-1} G at the poles t_j of a rational
    approximation to the square root, by the formula of Woodbury on the anchor with all changes since, whose small
    inverses are bordered, not computed anew (rnla/matfun/resolvents.py); G; and the leading eigenvector.
S3. The correction by projection (rnla/matfun/galerkin.py): one product S Q, and a residual that is exact whatever the
    space; where it is too large, the space grows.
S4. S <- S + V diag(w) V^H in place; A, where it is kept, <- A + G J G^H.
S5. The error: what S3 left, what was cut, and rounding; absolute errors of the changes add, because
    norm(B_i - S_i^2) <= norm(B_{i-1} - S_{i-1}^2) + norm(S_{i-1}^2 + G J G^H - S_i^2).
S6. Where the sum nears the tolerance and A is kept, norm(A - U S^2 U^H) is measured by 16 random products, and the sum
    goes on from there where it is smaller; else, and when the small inverses have grown to their room, a fresh
    decomposition of A is made.

Cost: a change of k columns, J poles (some 20): 4 n^2 k J + 16 n (k J)^2 flops and n k J numbers beside the state.
Held: 3 n^2 numbers (2 n^2 without A), and about n^2 in small inverses; of a diagonal, n r for rank r.

Guarantee: S5, bounded; every measurement fails with probability 1e-10, and all are counted: two of a decomposition (of
a root, with its square kept, one more), one of S6, two of the norm of an inverse.  Checked in
tests/matfun/test_sqrt_state.py and test_counted_errors.py.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from rnla.checks import check_choice, check_positive, check_shift
from rnla.config import fixed_settings
from rnla.errors import DTypeError, IntegrityError, ToleranceNotMet
from rnla.iterate import watching
from rnla.matfun.finished_root import FinishedRoot, parts_of
from rnla.matfun.state_beginning import begun_core, narrowed_pair
from rnla.matfun.state_core import Core
from rnla.results import ErrorEstimate
from rnla.results.on_columns import on_columns
from rnla.results.report import Status
from rnla.working import working

__all__ = ["SqrtState"]


class SqrtState:
    """The square root, or inverse square root, of a matrix that changes in many small steps; made by `init`.

    Changes are made in place and return the state; `copy` keeps one, and a pickle takes it along.  A change that raises
    leaves the state as it was.  The state multiplies (``state @ X``, power p of the matrix) and solves (power -p), and
    can be the ``A_half`` of `sqrtm_update`: for the root of the matrix, or, where p = -0.5, of its inverse.

    Parameters
    ----------
    core : Core
    """

    def __init__(self, core: Core | None = None) -> None:
        if not isinstance(core, Core):
            raise DTypeError("a state is begun by SqrtState.init(A), or SqrtState.init(A_half=...)")
        self._core = core

    @classmethod
    def init(
        cls,
        A: Any = None,
        *,
        A_half: Any = None,
        power: float = 0.5,
        tol: float | None = None,
        horizon: int = 1000,
        keep_matrix: bool | None = None,
        on_drift: str | None = None,
        rng: Any = None,
    ) -> SqrtState:
        """Return the state of a matrix; a dense one is decomposed once, which costs one ``eigh``.

        Parameters
        ----------
        A : array, shape (n, n), or vector
            Hermitian, positive semidefinite; a vector is a diagonal.
        A_half : array, shape (n, n), or vector
            In place of A, its positive semidefinite root.
        power : {0.5, -0.5}
            Whether the root or the inverse root is asked for: what ``@`` multiplies with, and of what the error is.
        tol : float, optional
            Bound on the backward error of the whole run, norm(B - S^2) / norm(B) in the spectral norm (for power
            -0.5, norm(B^{-1} - P^2) / norm(B^{-1})); by default 1e-10, 1e-6 for the inverse root; in single
            precision 1e-3 and 1e-2.
        horizon : int
            Changes that the tolerance is meant for: each may take tol / horizon of it.
        keep_matrix : bool, optional
            Keep A, n^2 numbers, changed along, so that measuring and refactoring really reset the error; without it a
            fresh decomposition only resets the cost of changes.  By default for dense A.
        on_drift : {"refactor", "raise", "return"}, optional
            Where a change would take the error above `tol`: measure it, refactor and go on ("refactor", the default,
            needs the matrix); raise and leave the state as it was ("raise", the default without the matrix); or go on
            and tell in ``status`` ("return").
        rng : None, int, SeedSequence, Generator, ...
            What `numpy.random.default_rng` takes; random numbers only measure errors.

        Returns
        -------
        SqrtState

        Raises
        ------
        InputError, DTypeError, NonFiniteError
            What has no root; a tolerance at the level of rounding.

        Examples
        --------
        >>> import numpy as np, rnla
        >>> A = np.diag(np.linspace(1.0, 2.0, 40))
        >>> state = rnla.SqrtState.init(A, rng=0).update(np.ones((40, 1)))
        >>> x = np.arange(40.0)
        >>> bool(np.allclose(state @ (state @ x), A @ x + x.sum()))
        True
        """
        return cls(begun_core(A, A_half, power, tol, horizon, keep_matrix, on_drift, rng))

    def update(self, D: Any) -> SqrtState:
        """Add D D^H; parameters, and what is returned and raised, are those of `replace`."""
        return self.replace(D, None)

    def downdate(self, D: Any) -> SqrtState:
        """Take D D^H away; parameters, and what is returned and raised, are those of `replace`."""
        return self.replace(None, D)

    def replace(self, D_in: Any, D_out: Any) -> SqrtState:
        """Add D_in D_in^H and take D_out D_out^H away, at once: a window that slides.

        Parameters
        ----------
        D_in, D_out : matrix, shape (n, k), or vector
            None for nothing.

        Returns
        -------
        SqrtState
            This one.

        Raises
        ------
        InputError, DTypeError, BackendError, NonFiniteError
            A change that does not fit the state, or after which there would be a negative eigenvalue.
        ToleranceNotMet
            The error would pass `tol`; ``.result`` is this state, without the change.
        """
        with self._at_work():
            panel, signs, norm, dropped = narrowed_pair(self._core, D_in, D_out)
            self._core.change(panel, signs, norm, dropped, self)
        return self

    def scale(self, factor: float) -> SqrtState:
        """Multiply the matrix by a positive number, as forgetting does; relative errors stay.

        Parameters
        ----------
        factor : float

        Returns
        -------
        SqrtState
            This one.
        """
        with self._at_work():
            self._core.scale(check_positive("factor", factor))
        return self

    def refactor(self) -> SqrtState:
        """Decompose the matrix anew: A where it is kept, which resets the error, else S, which only resets the cost.

        Returns
        -------
        SqrtState
            This one.
        """
        with self._at_work():
            self._core.refactor()
        return self

    def measure(self) -> float:
        """Return a bound on the relative error now, measured against A where it is kept; `error` goes on from it.

        Returns
        -------
        float
        """
        with self._at_work():
            self._core.measure()
        return self.error.value

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the matrix."""
        return self._core.root.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its dtype."""
        return self._core.dtype

    @property
    def power(self) -> float:
        """0.5 or -0.5."""
        return self._core.asked.power

    @property
    def tol(self) -> float:
        """The bound asked for."""
        return self._core.asked.tol

    @property
    def changes(self) -> int:
        """Changes that were made."""
        return self._core.changes

    @property
    def refactorizations(self) -> int:
        """Decompositions after the first."""
        return self._core.refactorizations

    @property
    def measurements(self) -> int:
        """How often the error was measured against the matrix kept."""
        return self._core.measurements

    @property
    def error(self) -> ErrorEstimate:
        """The bound on the error of all the changes since the last decomposition or measurement."""
        drift, forth = self._core.drift, self.power > 0
        relative = drift.relative(self.power)
        norm = drift.lower if forth else drift.inverse
        absolute = drift.total if forth else relative * norm
        return ErrorEstimate(
            value=relative, absolute=absolute, norm="spectral", kind="bounded", method="the sum over the changes",
            upper=relative, failure_probability=drift.chance(self.power), standard_error=math.nan, floor=0.0,
            norm_of_A=norm, residual=absolute, residual_upper=absolute, cut="sum", of="B" if forth else "B^-1",
        )  # fmt: skip

    @property
    def status(self) -> Status:
        """Whether the error is within `tol`."""
        return Status.MET if self.error.value <= self.tol else Status.NOT_CERTIFIED

    @property
    def storage(self) -> int:
        """Numbers that the state holds."""
        core, n = self._core, self.shape[0]
        whole = sum(x is not None for x in (core.matrix, core.anchor.U)) * n * n
        pending = n * sum(len(signs) for _, signs in core.pending)
        return core.root.storage + whole + core.resolvents.storage + pending + 2 * n

    def matmat(self, X: Any) -> Any:
        """Return the power p of the matrix times X.

        Parameters
        ----------
        X : array, shape (n, k) or (n,)
        """
        return self._by(self._core.times_root if self.power > 0 else self._core.over_root, X)

    def solve(self, X: Any) -> Any:
        """Return the power -p of the matrix times X.

        Parameters
        ----------
        X : array, shape (n, k) or (n,)

        Raises
        ------
        InputError
            A matrix that is singular to working precision.
        """
        return self._by(self._core.over_root if self.power > 0 else self._core.times_root, X)

    def shifted_solve(self, s: float, X: Any) -> Any:
        """Return (B^p + s I)^{-1} X; of a dense matrix each call factors n x n.

        Parameters
        ----------
        s : float
            Not negative.
        X : array, shape (n, k) or (n,)
        """
        if check_shift(s) == 0:
            return self.solve(X)
        anchor, root = self._core.anchor, self._core.root
        if self.power > 0:
            return self._by(lambda x: anchor.out(root.shifted_solve(s, anchor.into(x))), X)
        return self._by(lambda x: anchor.out(root.matmat(root.shifted_solve(1 / s, anchor.into(x)))) / s, X)

    def finish(self, *, on_failure: str = "raise") -> FinishedRoot:
        """Return the root as it is now, in the caller's coordinates; the state goes on unchanged.

        Parameters
        ----------
        on_failure : {"raise", "return"}
            Where the error is above `tol`.

        Returns
        -------
        FinishedRoot

        Raises
        ------
        ToleranceNotMet
            ``.result`` holds the root.
        """
        check_choice("on_failure", on_failure, ("raise", "return"))
        with self._at_work():
            parts = parts_of(self._core)
            forward = self._core.forward_bound() if self.power > 0 else math.nan
        done = FinishedRoot(
            *parts, self.power, self.error, forward, self.changes, self.refactorizations, self.measurements,
            self.status,
        )  # fmt: skip
        if not done.status.ok and on_failure == "raise":
            raise ToleranceNotMet(
                f"the error of the run is bounded by {done.error.value:.2e}, above tol={self.tol:.1e}", done
            )
        return done

    def copy(self) -> SqrtState:
        """Return a copy that goes its own way.

        Returns
        -------
        SqrtState
        """
        with self._at_work():
            return SqrtState(self._core.copy())

    def __copy__(self) -> SqrtState:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> SqrtState:
        return self.copy()

    def __getstate__(self) -> dict[str, Any]:
        with self._at_work():  # not one that was broken off
            return self.__dict__

    def __matmul__(self, X: Any) -> Any:
        return self.matmat(X)

    def __repr__(self) -> str:
        n, core = self.shape[0], self._core
        return (
            f"<root of power {self.power} of a {n} x {n} {self.dtype} matrix, {self.changes} changes, "
            f"{self.refactorizations} refactorizations, error <= {self.error.value:.1e}, held as {core.root.kind}>"
        )

    def _by(self, function: Any, X: Any) -> Any:
        root = self._core.root
        with self._at_work():
            return on_columns(function, X, self.shape[0], root.xp, self.dtype, "the state")

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        if not self._core.whole:
            raise IntegrityError("a change of this state was broken off in the middle; go on from a copy")
        with fixed_settings(), watching(), working(self._core.root.xp, self.dtype):
            yield
