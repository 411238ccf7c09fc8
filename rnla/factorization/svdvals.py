"""Leading singular values of any matrix, each between two bounds.

Problem: s_1(A) >= s_2(A) >= ... >= s_k(A), and how far each may be off.

Equation: lower_j <= s_j(A) <= upper_j, with value_j = s_j of the projection on a basis.

S1. The driver's basis, for a rank or a tolerance (Algorithm 4.4 of [halko2011]_).
S2. Singular values of the projection.
S3. Bounds from the residual of the basis and from that of the vectors (`rnla.factorization.value_bounds`).

Cost: that of `rnla.svd`; for the bounds one pass more of the columns of the basis, and five of six columns.
Guarantee: the lower bounds hold always, the upper ones together but with the failure probability in the result.
Differences from `rnla.svd`: the vectors are not returned; bounds for every value are.
When to use: for values with bounds; where vectors are needed, `rnla.svd` and its ``residuals``.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import numpy as np

from rnla._xp.namespace import from_host
from rnla.errors import InputError
from rnla.factorization.driver import Certificate, located, report_of, run, settle, unscaled, unscaled_error
from rnla.factorization.from_svd import FromSVD
from rnla.factorization.resuming import at_home
from rnla.factorization.search import Factored
from rnla.factorization.value_bounds import bound_values
from rnla.operators.coerce import as_operator
from rnla.rangefinder import FullSVD
from rnla.request import Request, read_request
from rnla.results import Resume, Status, register_resumer, truncated_error
from rnla.results.singular_values import SingularValues
from rnla.rng import Key, as_key

__all__ = ["find_values", "svdvals"]


def svdvals(
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
) -> SingularValues:
    """Leading singular values of any matrix, each with a lower and an upper bound.

    Parameters
    ----------
    A : matrix, shape (m, n)
        Any kind that `svd` takes.
    rank : int, optional
        Values wanted; with `tol` or `energy`, the most of them.
    tol, energy, norm, oversampling, power_iterations, sketch, method, on_failure
        As `svd` takes them.
    rng : None, int, SeedSequence, Generator, ...
        What `numpy.random.default_rng` takes.

    Returns
    -------
    SingularValues
        Unpacks as ``values, lower, upper``.

    Raises
    ------
    InputError, DTypeError, NonFiniteError, OperatorError, BudgetError, ToleranceNotMet, DeadlineReached
        As `svd` raises them.

    Warns
    -----
    RankWarning
        The numerical rank of A is below the rank asked for.

    Notes
    -----
    Cost: that of `svd`, one more pass of as many columns as the basis has, and five of six columns.

    Guarantee: a projection makes no singular value larger, so the values are lower bounds.  The upper bounds come from
    the residual of the basis, and from that of the vectors found: their distance from the values is of the order of its
    square.  They hold together but with ``failure_probability``.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag(1 / np.arange(1, 301.0))
    >>> values, lower, upper = rnla.svdvals(A, 3, method=rnla.SubspaceIteration(), rng=0)
    >>> values.round(4).tolist(), bool(np.all(lower <= A.diagonal()[:3])), bool(np.all(A.diagonal()[:3] <= upper))
    ([1.0, 0.5, 0.3333], True, True)
    """
    key = as_key(rng)
    base = as_operator(A)
    request = read_request(
        base.shape, base.dtype, rank, tol, norm, oversampling, power_iterations, sketch, method, on_failure, energy
    )
    return find_values(A, base, request, key)


def find_values(
    A: Any, base: Any, request: Request, key: Key, before: SingularValues | None = None, *, settled: bool = True
) -> SingularValues:
    """Return the singular values that a request asks for.

    Parameters
    ----------
    A : matrix
        As the caller gave it.
    base : LinearOperator
    request : Request
    key : Key
    before : SingularValues, optional
        To go on from.
    settled : bool
        Whether what falls short of the request raises or warns.
    """
    problem = _Values()
    if min(base.shape) == 0:
        empty: SingularValues = run(A, base, request, key, None, problem)
        return empty
    with located(base, request, key, problem, before) as found:
        if found.basis is None:
            assert before is not None
            result = dataclasses.replace(before, status=Status.DEADLINE)
        else:
            op, search = found.op, found.search
            whole = search.look(found.basis)
            assert search.basis is not None
            assert search.factored is not None
            u, vh = search.factored.parts
            parts, values = (u[:, :], vh[:, :]), search.values
            rank, status = search.pick()
            found.watch.stage = "bounding the values"
            bounds = bound_values(op, search.basis, values, parts, key.child("value-bounds", search.basis.size))
            error = unscaled_error(truncated_error(whole, values, rank), op.exponent)
            magnitude = op.measure()
            resume = Resume(
                name=problem.name, basis=dataclasses.replace(search.basis, factors=None), singular_values=values,
                exponent=op.exponent, frobenius=np.nan if magnitude is None else magnitude.frobenius,
                method=FullSVD() if search.basis.factors is not None else found.plan.method,
                request={"rank": request.rank, "tol": request.tol, "norm": request.norm}, seed=key.seed,
            )  # fmt: skip
            like = search.factored.values

            def home(bound: np.ndarray[Any, Any]) -> Any:
                array = from_host(bound[:rank].astype(str(like.dtype).rpartition(".")[2]), op.xp, op.device)
                return unscaled(array, op.exponent)

            following = bounds.upper[rank] if rank < len(values) else bounds.rest
            with np.errstate(over="ignore", under="ignore"):
                following = float(np.ldexp(following, op.exponent))
                low, high = (float(np.ldexp(math.sqrt(each), op.exponent)) for each in bounds.squares)
            result = SingularValues(
                unscaled(like[:rank], op.exponent), home(bounds.lower), home(bounds.upper),
                following, (low, high), bounds.failure_probability, error,
                report_of(A, found, key, rank, like), Status.DEADLINE if found.message else status, resume, A,
            )  # fmt: skip
    if settled:
        settle(request, result, found)
    return result


class _Values(FromSVD):
    """The singular values of the projection; the vectors serve the bounds."""

    __slots__ = ()

    name: ClassVar[str] = "svdvals"

    def build(self, factored: Factored, rank: int, exponent: int, certificate: Certificate) -> SingularValues:
        s = unscaled(factored.values[:rank], exponent)  # of an empty matrix: nothing is between the bounds
        return SingularValues(s, s, s, 0.0, (0.0, 0.0), 0.0, **certificate.fields())


def _extend(
    result: SingularValues, A: Any, *, rank: int | None = None, tol: float | None = None, on_failure: str = "raise"
) -> SingularValues:
    """Go on from a result: the resumer of this driver."""
    if rank is None and tol is None:
        raise InputError("say how much more is wanted: rank=, tol=, or both")
    assert result.resume is not None
    base = as_operator(A)
    resume = at_home(result.resume, base, loaded=result._source is None)
    request = read_request(
        base.shape, base.dtype, rank, tol, resume.request["norm"], None, None, None, resume.method, on_failure
    )
    if request.rank is not None and request.rank < result.rank:
        raise InputError(f"rank={request.rank} is below the present {result.rank}")
    return find_values(A, base, request, Key(resume.seed), dataclasses.replace(result, resume=resume))


register_resumer("svdvals", _extend)
