"""Roots of a matrix after a low-rank change, from the root that is there.

Problem: B = A + sign D D^H; the low-rank X with B^p = A^p + X for p = 1/2, -1/2, 1/4, -1/4, from A^{1/2}.

S1. The root and D are brought to a `Root` and to few columns (rnla/matfun/inputs.py, change.py); scale.
S2. A downdate is looked at: mu = norm(A^{-1/2} D)^2 must be at most 1; where mu > 1, B has a negative eigenvalue.
S3. Stages.  p = 1/2 is one: (H + X)^2 = H^2 + sign D D^H with H = A^{1/2}.  p = -1/2 is the same on the inverses:
    B^{-1} = A^{-1} - sign U U^H, U = A^{-1} D (I + sign D^H A^{-1} D)^{-1/2}.  A fourth root is the root of a root: a
    second stage on the fourth root of A, whose D is V abs(diag(w))^{1/2} of the first.
S4. The method (the plan's) finds the correction Q W diag(w) W^H Q^H of a stage with its residual r.
S5. Small w are dropped, the largest of them d: the residual grows by at most (2 norm(S) + d) d, S the new root.
S6. The certificate: r, what was dropped in S1 and S5, and rounding; a second stage's error e in B^{1/2} counts as
    (2 norm(S) + e) e in B.

Guarantee: norm(B - S^2) as the method's residual says it (for `ShiftADI` an identity), relative to a lower bound on
norm(B); and norm(B^p - S) <= min(sqrt(e), e / (lambda_min(B^p) + lambda_min(S))), e = norm(B^{2p} - S^2), the second
where the smallest eigenvalue is known.  Checked in tests/matfun/test_bounds.py,
test_inputs.py, test_bad_input.py and test_scales.py.

Differences from the paper [shmueli2022]_: 1. Its text leaves the solver of the Riccati equation open; see `ShiftADI`.
2. The inverse root is the root of the inverse (S3), not a Woodbury formula on the root: its error is then relative to
norm(B^{-1}).  3. Fourth roots.
"""

from __future__ import annotations

from typing import Any

from rnla.matfun.change import change_given, of_own
from rnla.matfun.driver import run, settled
from rnla.matfun.krylov_on_a import KrylovOnA
from rnla.matfun.matrix_driver import solved_on_matrix
from rnla.matfun.planning import estimates, look_at, planned
from rnla.matfun.request import read_root_request
from rnla.results import RootUpdate
from rnla.results.topic_plan import TopicPlan
from rnla.rng import as_key

__all__ = ["plan", "sqrtm_update"]


def sqrtm_update(
    A_half: Any,
    D: Any,
    *,
    sign: int = 1,
    power: float = 0.5,
    tol: float | None = None,
    max_rank: int | None = None,
    method: Any = None,
    on_failure: str = "raise",
    rng: Any = None,
    A: Any = None,
    A_quarter: Any = None,
) -> RootUpdate:
    """Low-rank correction of a matrix root after the low-rank change A + D D^H or A - D D^H.

    With B = A + sign D D^H, returns V and w such that B^p ~ A^p + V diag(w) V^H, without a factorization of B.

    Parameters
    ----------
    A_half : matrix, shape (n, n), or vector, or number
        The positive semidefinite square root of A (for every power).  A vector stands for a diagonal, a number for a
        multiple of the identity; a dense Hermitian array is decomposed once (`SqrtState` keeps that for more changes);
        a sparse one is factored with each shift; any object with ``shape``, ``dtype``, ``matmat(X)`` and
        ``shifted_solve(s, X)``, which returns (A_half + s I)^{-1} X.  Of an object without ``shifted_solve`` only
        products are used.  An earlier result of this function, or a `SqrtState`, stands for what it multiplies with:
        of power 0.5 the root of its B, of power -0.5 the root of its B^{-1}, which is then the A here; a fourth root
        is refused.  None with `A`.
    D : matrix, shape (n, k), or vector
        Everything that `svd` takes; a vector is one column.  Many columns are first compressed to those that matter.
    sign : {1, -1}
        Whether D D^H is added or taken away.
    power : {0.5, -0.5, 0.25, -0.25}
        p.  Negative powers need solves with the root; fourth roots a diagonal or dense one, or `A_quarter`.
    tol : float, optional
        Backward error allowed, relative to norm(B) (of an inverse root: of B^{-1}) in the spectral norm; by default
        1e-13, in single precision 1e-5, and where rounding allows 1e-8 (1e-3) of norm(D D^H), so that a change that is
        small beside A is resolved too.  Where none is given, rounding alone, which grows with the condition of B, may
        take more, up to 1e-8 (1e-3), and a note tells of it; one that is given is missed aloud.
    max_rank : int, optional
        Largest rank of the correction.
    method : RootMethod, optional
        One of ``rnla.ShiftADI()`` (the default where the root can be solved with), ``rnla.KrylovGalerkin()``,
        ``rnla.KrylovOnA()``, ``rnla.NewtonKleinman()``, ``rnla.DenseEigh()``.
    on_failure : {"raise", "return"}
        Whether a missed tolerance or deadline raises or is only told in ``status``.
    rng : None, int, SeedSequence, Generator, ...
        What `numpy.random.default_rng` takes; random numbers only estimate norms and replace dependent columns.
    A : matrix, shape (n, n), optional
        In place of `A_half`, for `KrylovOnA`: A itself, which is multiplied only.
    A_quarter : matrix, optional
        The positive semidefinite fourth root of A, beside `A_half`, for fourth roots where `A_half` is neither diagonal
        nor dense; in any of the forms of `A_half`, or a result of power 0.25 (of -0.25 where that of `A_half` is of
        power -0.5).

    Returns
    -------
    RootUpdate
        Unpacks as ``w, V``; w (r,) real, V (n, r) with orthonormal columns, in the library and on the device of A_half;
        ``result @ X`` multiplies with B^p, ``result.solve(X)`` with B^{-p}; ``result`` of power 0.5 can be
        the next `A_half`.  It saves, truncates, extends, and finds its root again by ``attach``.

    Raises
    ------
    InputError, DTypeError, BackendError
        Arguments that cannot be used; a root that is not Hermitian or not positive semidefinite; a downdate after
        which B has a negative eigenvalue (the message gives lambda_max(D^H A^{-1} D) - 1), or, for a negative power,
        is singular to working precision.
    NonFiniteError
        NaN or infinity in the root or in D.
    OperatorError
        A ``shifted_solve`` that does not solve.
    ToleranceNotMet
        `tol` was missed; ``.result`` holds the answer with its certificate.
    DeadlineReached
        The deadline passed; ``.result`` holds the answer so far.

    Notes
    -----
    Cost of `ShiftADI`: J steps, each one solve and three products of k columns with the root; 16 n k^2 J^2 flops and
    n k J numbers beside the root.  J is about log(4 hi / lo) log(4 / tol) / pi^2 for a root with its spectrum in
    [lo, hi].  Measured at the default tolerance: 12 to 15 for a condition of A of 1e2, 20 for 1e4, 24 for 1e6, 27 to 31
    for 1e8.

    Guarantee: A + sign D D^H = S^2 + sign R R^H holds after every step, S the root found, so norm(R)^2 is the backward
    error; to it are added the rounding of the solves, which is measured, and what the cut to small rank drops.  The
    k j + 1st singular value of the correction is at most 4 exp(-pi^2 j / log(4 hi / lo)) of the largest
    [1]_, so that small rank is enough.

    References
    ----------
    .. [1] S. Shmueli, P. Drineas and H. Avron, Low-rank updates of matrix square roots, Numerical Linear Algebra with
       Applications (2023); the bound after B. Beckermann and A. Townsend, SIAM J. Matrix Anal. Appl. 38 (2017).

    Examples
    --------
    >>> import numpy as np, rnla
    >>> h = np.sqrt(np.linspace(1.0, 100.0, 400))
    >>> D = np.outer(np.ones(400), [1.0, 0.0]) + np.eye(400)[:, :2]
    >>> result = rnla.sqrtm_update(h, D)
    >>> x = np.ones(400)
    >>> bool(np.allclose(result @ (result @ x), h**2 * x + D @ (D.T @ x)))
    True
    """
    key = as_key(rng)
    change = of_own(change_given(D))
    outlook = look_at(A_half, A, A_quarter)
    request = read_root_request(
        change.dtype, sign, power, tol, max_rank, method, on_failure, estimated=estimates(method, A)
    )
    the_plan = planned(outlook, change.shape[0], change.shape[1], change.dtype, request)
    if A is not None:
        return settled(solved_on_matrix(A, change, request, the_plan, key), request)
    return run(A_half, A_quarter, change, request, the_plan, key)


def plan(
    A_half: Any,
    D: Any = None,
    *,
    sign: int = 1,
    power: float = 0.5,
    tol: float | None = None,
    max_rank: int | None = None,
    method: Any = None,
    A: Any = None,
    A_quarter: Any = None,
) -> TopicPlan:
    """What `sqrtm_update` would do with the same arguments, and why; ``rnla.plan(..., problem="sqrtm_update")``.

    Parameters
    ----------
    A_half, D, sign, power, tol, max_rank, method, A, A_quarter
        As `sqrtm_update` takes them; with ``method=rnla.KrylovOnA()`` and no A_half, A need not be given.

    Returns
    -------
    TopicPlan
    """
    change = change_given(D)
    if A_half is None and A is None and isinstance(method, KrylovOnA):
        A = method  # to `rnla.plan` it cannot be given by this name, and nothing is looked up in it
    outlook = look_at(A_half, A, A_quarter)
    request = read_root_request(
        change.dtype, sign, power, tol, max_rank, method, "raise", estimated=estimates(method, A)
    )
    return planned(outlook, change.shape[0], change.shape[1], change.dtype, request)
