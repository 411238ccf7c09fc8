"""Factorizations of stacks of matrices: `rnla.svd`, `rnla.eigh` and `rnla.qr` of arrays (..., m, n).

Problem: the factorization of every matrix of a stack, each with its own certificate, in stacked calls over ranges of
many items.

Equation: for every item that of the problem for one matrix.

S1. Plan for one item, by the rates of stacks (`rnla.factorization.stacked_plan`); all share the method and the sizes.
S2. Cut the stack in fixed ranges of items, of 4 MiB where there are many; each range is one task of the pool.
S3. In a range: the norm and the scale of every item; a basis of every item (`rnla.rangefinder.stacked`) with its own
    test matrix or from its Gram matrix, or LAPACK's complete factorization; the small factorization; the certificate.
S3b. Items whose Gram matrix does not resolve the rank are factored completely.
S4. With a tolerance: items that miss it go on together, with bases twice as large, until the complete factorization.
S5. One shape: factors are zero past the rank of an item, up to the largest rank.

Certificate, for every item: the Frobenius identity where it is above its floor, else the explicit residual; exact.  In
the spectral norm a complete factorization is exact, and a basis has its Frobenius error as a bound.

Cost: that of the single matrix times the items; no Python loop over them, but for the products of items so large that
the compiled kernels do them in less time, one by one.  With a tolerance the work of smaller bases is done again, less
than once in all.
Guarantee: as for one matrix.  On the host an item's bits depend on its place in the stack, the request and the
key, not on the other items nor on the threads (`tests/factorization/test_batched.py`).

Differences from one matrix: no leave-one-out, probes or powered probes; no `extend`; a deadline that passes leaves no
result; test matrices whose rows stand alone only.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, cast
from rnla._xp.namespace import device_of, from_host, namespace_of
from rnla._xp.stacked import eigh as stacked_eigh
from rnla._xp.stacked import pivoted_qr, squares
from rnla._xp.stacked import qr as stacked_qr
from rnla._xp.stacked import svd as stacked_svd
from rnla.checks import check_choice
from rnla.errors import InputError
from rnla.factorization.signs import fix_signs
from rnla.factorization.stacked_driver import run_stack, unscaled_items
from rnla.operators.hermitian import tolerated_asymmetry
from rnla.operators.stack import Stack, is_stack
from rnla.results.batched_result import BatchedEighResult, BatchedQRResult, BatchedSVDResult, StackedFactors

__all__ = ["batched_eigh", "batched_qr", "batched_svd", "is_stack"]

Array = np.ndarray[Any, Any]


def batched_svd(
    A: Any,
    rank: int | None = None,
    *,
    tol: float | None = None,
    energy: float | None = None,
    norm: str = "fro",
    oversampling: int | None = None,
    power_iterations: int | None = None,
    sketch: Any = None,
    method: Any = None,
    on_failure: str = "raise",
    rng: Any = None,
) -> BatchedSVDResult:
    """Truncated singular value decompositions of a stack of matrices; what `svd` calls for an array (..., m, n).

    Parameters
    ----------
    A : array, shape (..., m, n)
        Of any library of the array standard.  Never changed.
    rank, tol, energy, norm, oversampling, power_iterations, sketch, on_failure, rng
        As `svd` takes them; they hold for every item.
    method : RangeFinder, optional
        ``FullSVD()``, ``GramEigh()``, ``SubspaceIteration(...)`` or ``Adaptive(...)``.

    Returns
    -------
    BatchedSVDResult
        Unpacks as ``U, s, Vh``, stacks of one shape; carries ``ranks`` and ``error`` with an entry for every item.

    Raises
    ------
    InputError, DTypeError, BudgetError, DeadlineReached
        As `svd` raises them.
    NonFiniteError
        NaN or infinity, with the items that hold it.
    ToleranceNotMet
        `tol` was missed by some items, which the message names; ``.result`` holds all.

    Warns
    -----
    RankWarning
        The numerical rank of some items is below the rank asked for.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.stack([np.diag(0.5 ** np.arange(9.0)), np.eye(9)])
    >>> result = batched_svd(A, tol=0.1)
    >>> result.ranks.tolist(), result.s.shape
    ([4, 9], (2, 9))
    """
    found: BatchedSVDResult = run_stack(
        A, _SVD(), {
            "rank": rank, "tol": tol, "energy": energy, "norm": norm, "oversampling": oversampling,
            "power_iterations": power_iterations, "sketch": sketch, "method": method, "on_failure": on_failure,
        }, rng,
    )  # fmt: skip
    return found


def batched_eigh(
    A: Any,
    rank: int | None = None,
    *,
    tol: float | None = None,
    energy: float | None = None,
    which: str = "magnitude",
    psd: bool = False,
    norm: str = "fro",
    oversampling: int | None = None,
    power_iterations: int | None = None,
    sketch: Any = None,
    method: Any = None,
    on_failure: str = "raise",
    rng: Any = None,
) -> BatchedEighResult:
    """Truncated eigenvalue decompositions of a stack of Hermitian matrices; what `eigh` calls for an array (..., n, n).

    Parameters
    ----------
    A : array, shape (..., n, n)
        Of any library of the array standard, every item Hermitian.  Never changed.
    which : {"magnitude", "largest"}
        As for `eigh`.
    psd : bool
        Refused: stacks have no Nystrom approximation; the answer without it is certified as well.
    rank, tol, energy, norm, oversampling, power_iterations, sketch, method, on_failure, rng
        As for `batched_svd`.

    Returns
    -------
    BatchedEighResult
        Unpacks as ``w, V``.

    Raises
    ------
    InputError
        Arguments that cannot be used, or items that are not Hermitian, by name.
    DTypeError, NonFiniteError, BudgetError, ToleranceNotMet, DeadlineReached
        As `batched_svd` raises them.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.stack([np.diag([1.0, -3.0, 0.0]), np.eye(3)])
    >>> batched_eigh(A, 1).w.round(12).tolist()
    [[-3.0], [1.0]]
    """
    check_choice("which", which, ("magnitude", "largest"))
    if len(A.shape) > 1 and A.shape[-1] != A.shape[-2]:
        raise InputError(f"Hermitian matrices are square; these are {A.shape[-2]} x {A.shape[-1]}; use svd")
    if psd:
        raise InputError("psd=True has no form for stacks; leave it out: eigh takes semidefinite matrices too")
    if which == "largest" and (tol is not None or energy is not None):
        raise InputError("which='largest' leaves out negative eigenvalues however large; give rank= alone")
    found: BatchedEighResult = run_stack(
        A, _Eigh(which), {
            "rank": rank, "tol": tol, "energy": energy, "norm": norm, "oversampling": oversampling,
            "power_iterations": power_iterations, "sketch": sketch, "method": method, "on_failure": on_failure,
        }, rng,
    )  # fmt: skip
    return found


def batched_qr(
    A: Any,
    rank: int | None = None,
    *,
    tol: float | None = None,
    energy: float | None = None,
    norm: str = "fro",
    oversampling: int | None = None,
    power_iterations: int | None = None,
    sketch: Any = None,
    method: Any = None,
    on_failure: str = "raise",
    rng: Any = None,
) -> BatchedQRResult:
    """Low-rank column-pivoted QR of a stack of matrices; what `qr` calls for an array (..., m, n).

    Parameters
    ----------
    A, rank, tol, energy, norm, oversampling, power_iterations, sketch, method, on_failure, rng
        As for `batched_svd`.

    Returns
    -------
    BatchedQRResult
        Unpacks as ``Q, R, pivots``.

    Raises
    ------
    InputError, DTypeError, NonFiniteError, BudgetError, ToleranceNotMet, DeadlineReached
        As `batched_svd` raises them.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.stack([np.diag([1.0, 3.0]), np.diag([4.0, 2.0])])
    >>> batched_qr(A, 1).pivots.tolist()
    [[1, 0], [0, 1]]
    """
    found: BatchedQRResult = run_stack(
        A, _QR(), {
            "rank": rank, "tol": tol, "energy": energy, "norm": norm, "oversampling": oversampling,
            "power_iterations": power_iterations, "sketch": sketch, "method": method, "on_failure": on_failure,
        }, rng,
    )  # fmt: skip
    return found


def _back(x: Any, batch: tuple[int, ...]) -> Any:
    """Return a stack in the shape of the batch."""
    return namespace_of(x).reshape(x, (*batch, *(int(side) for side in x.shape[1:])))


def _complete_svd(stack: Stack) -> StackedFactors:
    u, s, vh = stacked_svd(stack.whole())
    return StackedFactors(s, u, adjoint(vh))


def _projected_svd(x: Any, y: Any, space: str) -> StackedFactors:
    q, r = stacked_qr(y)
    u, s, vh = stacked_svd(r)
    image, basis = q @ u, x @ adjoint(vh)  # Y X^H = image diag(s) basis^H
    return StackedFactors(s, *((image, basis) if space == "row" else (basis, image)), squares(y))


class _FromSVD:
    """What is made from the truncated singular value decompositions of the projections."""

    __slots__ = ()

    @property
    def two_sided(self) -> bool:
        return False

    def left_out(self, stack: Stack) -> Array:
        return np.zeros(stack.shape[0])

    def complete(self, stack: Stack) -> StackedFactors:
        return _complete_svd(stack)

    def project(self, x: Any, y: Any, space: str) -> StackedFactors:
        return _projected_svd(x, y, space)


class _SVD(_FromSVD):
    """The singular value decomposition of the projections."""

    __slots__ = ()

    def finish(self, found: StackedFactors, ranks: Array, width: int) -> StackedFactors:
        del ranks
        u, vh = fix_signs(found.left[:, :, :width], adjoint(found.right[:, :, :width]))
        return StackedFactors(found.values[:, :width], u, adjoint(vh))

    def build(self, found: StackedFactors, exponents: Array, common: dict[str, Any]) -> BatchedSVDResult:
        batch = common["error"].value.shape
        s = unscaled_items(found.values, exponents)
        return BatchedSVDResult(_back(found.left, batch), _back(s, batch), _back(adjoint(found.right), batch), **common)


@dataclasses.dataclass(frozen=True, slots=True)
class _Eigh:
    """The eigenvalue decomposition of the two-sided projections."""

    which: str
    two_sided: bool = True

    def left_out(self, stack: Stack) -> Array:
        gap, beside = stack.asymmetry()
        bad = np.flatnonzero(gap > tolerated_asymmetry(stack.dtype))
        if len(bad):
            raise InputError(
                f"{'items' if len(bad) > 1 else 'item'} {stack.names(bad)} of the stack are not Hermitian: entries and "
                f"their mirror images differ by up to {gap.max():.1e} of the largest; pass (A + A^H) / 2 if that is "
                "what is meant, or use svd"
            )
        return beside

    def complete(self, stack: Stack) -> StackedFactors:
        return self._ordered(*stacked_eigh(stack.whole()))

    def project(self, x: Any, y: Any, space: str) -> StackedFactors:
        del space
        core = adjoint(x) @ y
        found = self._ordered(*stacked_eigh(core))
        return StackedFactors(found.values, x @ found.left, None, squares((core + adjoint(core)) / 2))

    def _ordered(self, w: Any, v: Any) -> StackedFactors:
        xp = namespace_of(w)
        order = xp.argsort(-w if self.which == "largest" else -xp.abs(w), axis=1, stable=True)
        index = xp.broadcast_to(order[:, None, :], tuple(v.shape))
        return StackedFactors(xp.take_along_axis(w, order, axis=1), xp.take_along_axis(v, index, axis=2), None)

    def finish(self, found: StackedFactors, ranks: Array, width: int) -> StackedFactors:
        del ranks
        v = found.left[:, :, :width]
        return StackedFactors(found.values[:, :width], fix_signs(v, adjoint(v))[0], None)

    def build(self, found: StackedFactors, exponents: Array, common: dict[str, Any]) -> BatchedEighResult:
        batch = common["error"].value.shape
        w = unscaled_items(found.values, exponents)
        return BatchedEighResult(_back(w, batch), _back(found.left, batch), **common)


class _QR(_FromSVD):
    """Pivoted QR of the small sides of the truncated singular value decompositions."""

    __slots__ = ()

    def finish(self, found: StackedFactors, ranks: Array, width: int) -> StackedFactors:
        xp = namespace_of(found.left)
        kept = from_host(np.arange(width)[None, :] < ranks[:, None], xp, device_of(found.left))
        values = found.values[:, :width]
        values = cast(xp.where(kept, values, xp.zeros_like(values)), found.left.dtype)
        q, r, pivots = pivoted_qr(values[:, :, None] * adjoint(found.right[:, :, :width]))
        return StackedFactors(values, found.left[:, :, :width] @ q, adjoint(r), pivots=pivots)

    def build(self, found: StackedFactors, exponents: Array, common: dict[str, Any]) -> BatchedQRResult:
        batch = common["error"].value.shape
        r = unscaled_items(adjoint(found.right), exponents)
        return BatchedQRResult(_back(found.left, batch), _back(r, batch), _back(found.pivots, batch), **common)
