"""The singular value decomposition: the pipeline from a matrix to factors with a certificate.

Problem: U diag(s) Vh ~ A of a given rank, or of the smallest rank that meets a tolerance.

S1. Coerce A to an operator, behind the ledger; read the request; plan.
S2. Find a basis (the plan's range finder), with riders for the certificate.
S3. Compress to LowRank(Q, C, P).
S4. QR of the long factor, SVD of its triangle [halko2011]_ (Algorithm 5.1).
S5. Certify the whole basis; pick the rank; join the dropped singular values to the error.
S6. Signs, scale, home.

Guarantee: the error of S5 is the error of the rank returned, of the kind it names.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, overload

from rnla.errors import InputError
from rnla.factorization.batched import batched_svd, is_stack
from rnla.factorization.driver import Certificate, resumer_of, run, unscaled
from rnla.factorization.from_svd import FromSVD
from rnla.factorization.low_rank_svd import leading_vectors
from rnla.factorization.search import Factored
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.planner import Plan, make_plan
from rnla.request import read_request
from rnla.results import SVDResult, register_resumer
from rnla.results.topic_plan import TopicPlan, planner_of
from rnla.rng import as_key

__all__ = ["plan", "svd"]


def svd(
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
) -> SVDResult:
    """Truncated singular value decomposition of any matrix, with a certificate.

    Parameters
    ----------
    A : matrix, shape (m, n)
        A NumPy array or one of any library of the array standard (torch, CuPy, ...), a SciPy sparse
        matrix, a memmap, the path of an ``.npy`` file, an HDF5, Zarr or Dask array, a
        `LinearOperator` or anything with ``shape`` and ``@`` and an adjoint.  Never changed.
        An array (..., m, n) is a stack of matrices, and the result a `BatchedSVDResult`.
    rank : int, optional
        Singular values wanted; with `tol`, the most of them.
    tol : float, optional
        Error allowed, relative to the norm of A: the smallest rank that is certified to meet it.
    energy : float, optional
        In place of `tol`: the share of the sum of squares that is kept, at least; ``tol = sqrt(1 - energy)``.
    norm : {"fro", "spectral"}
        The norm of the error.
    oversampling : int, optional
        Columns of the basis beyond the rank; by default max(10, rank / 2).
    power_iterations : int, optional
        Accuracy of the basis; by default 2.
    sketch : str or TestMatrix, optional
        ``"gaussian"`` (default), ``"sparse_sign"``, or a description.
    method : RangeFinder, optional
        A part such as ``SubspaceIteration(power_iterations=4)``; excludes the three above.
    on_failure : {"raise", "return"}
        Whether a missed tolerance or deadline raises or is only told in ``status``; a deadline that passes
        before there is any answer raises in either case.
    rng : None, int, SeedSequence, Generator, ...
        What `numpy.random.default_rng` takes.

    Returns
    -------
    SVDResult
        Unpacks as ``U, s, Vh``; U (m, k), s (k,) descending, Vh (k, n), in the library and on the
        device of A; carries ``error``, ``report`` and ``status``.  float32, float64, complex64 and
        complex128 are kept; integers and booleans become float64, float16 and bfloat16 float32.

    Raises
    ------
    InputError, DTypeError
        Arguments that cannot be used, before any work.
    NonFiniteError
        NaN or infinity in A, or an overflow.
    OperatorError
        An operator that breaks its contract.
    BudgetError
        Work that would need more memory or passes than allowed, before it starts.
    ToleranceNotMet
        `tol` was missed; ``.result`` holds the best answer.
    DeadlineReached
        The deadline passed; ``.result`` holds the answer so far, if any.

    Warns
    -----
    RankWarning
        The numerical rank of A is below the rank asked for.

    Notes
    -----
    Cost of the randomized method: 2 (q + 1) + 1 products of l = rank + oversampling columns, q power
    iterations, in q + 2 passes over row blocks (2 q + 3 otherwise), O((m + n) l^2) flops besides, and
    about 4 (m + n) l numbers of memory.  `plan` tells them for a matrix at hand.

    Guarantee: the error returned is that of the factors returned: exact where the Frobenius identity
    holds (the factors' columns are orthonormal to 30 eps sqrt(k) in norm), else with the stated
    failure probability.  A priori, Theorem 9.1 and Corollary 10.9 of [1]_ apply to (A^H A)^(q+1).

    References
    ----------
    .. [1] N. Halko, P. G. Martinsson and J. A. Tropp, Finding structure with randomness, SIAM Review
       53 (2011) 217-288.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag(0.5 ** np.arange(200.0))
    >>> result = rnla.svd(A, tol=1e-3, rng=0)
    >>> U, s, Vh = result
    >>> s.shape, result.error.value <= 1e-3
    ((10,), True)
    """
    if is_stack(A):
        stacked: Any = batched_svd(
            A, rank, tol=tol, energy=energy, norm=norm, oversampling=oversampling, power_iterations=power_iterations,
            sketch=sketch, method=method, on_failure=on_failure, rng=rng,
        )  # fmt: skip
        return stacked  # type: ignore[no-any-return]
    key = as_key(rng)
    op = as_operator(A)
    request = read_request(
        op.shape, op.dtype, rank, tol, norm, oversampling, power_iterations, sketch, method, on_failure, energy
    )
    result: SVDResult = run(A, op, request, key, None, _SVD())
    return result


@overload
def plan(A: Any, rank: int | None = None, *, problem: Literal["svd"] = "svd", **others: Any) -> Plan: ...
@overload
def plan(A: Any, rank: Any = None, *, problem: str, **others: Any) -> TopicPlan: ...
def plan(
    A: Any,
    rank: Any = None,
    *,
    problem: str = "svd",
    tol: float | None = None,
    energy: float | None = None,
    norm: str = "fro",
    oversampling: int | None = None,
    power_iterations: int | None = None,
    sketch: Any = None,
    method: Any = None,
    **others: Any,
) -> Plan | TopicPlan:
    """What `svd`, or the function named by `problem`, would do with the same arguments, and why.

    Nothing is multiplied.

    Parameters
    ----------
    A, rank, tol, energy, norm, oversampling, power_iterations, sketch, method
        As `svd` takes them.
    problem : str
        A function outside the pipeline, such as ``"sqrtm_update"``, whose first two arguments then stand in the
        places of `A` and `rank`.
    **others
        Further arguments of that function.

    Returns
    -------
    Plan or TopicPlan
        Prints as a short table; its ``method`` may be passed back as ``method=``.

    Raises
    ------
    InputError, DTypeError, BudgetError
        As the function raises them before the work.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> type(rnla.plan(np.ones((40, 30)), rank=5).method).__name__
    'FullSVD'
    """
    if problem != "svd":
        given = {"tol": tol, "energy": energy, "oversampling": oversampling, "power_iterations": power_iterations,
                 "sketch": sketch, "method": method}  # fmt: skip
        others |= {name: value for name, value in given.items() if value is not None}
        return planner_of(problem)(A, *(() if rank is None else (rank,)), **others)
    if others:
        raise InputError(f"{', '.join(map(repr, others))}: svd takes no such argument; for another function, problem=")
    op = as_operator(A)
    request = read_request(
        op.shape, op.dtype, rank, tol, norm, oversampling, power_iterations, sketch, method, "raise", energy
    )
    return make_plan(Ledger(op), request)


class _SVD(FromSVD):
    """The singular value decomposition of the projection."""

    __slots__ = ()

    name: ClassVar[str] = "svd"

    def build(self, factored: Factored, rank: int, exponent: int, certificate: Certificate) -> SVDResult:
        u, vh = factored.parts
        u, vh = leading_vectors(u, vh, rank)  # S6
        return SVDResult(u, unscaled(factored.values[:rank], exponent), vh, **certificate.fields())


register_resumer("svd", resumer_of(lambda _: _SVD()))
