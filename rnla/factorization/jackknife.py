"""The jackknife of a result: the part of its variability that the draw of the test matrix makes [epperly2022]_.

Where the leaving of a column out can be read off what the result keeps: for `nystrom` with ``BlockLanczos(depth=1)``
and for `svd` with `SketchedRange`, each with a Gaussian test matrix and in one block.  The test matrix is drawn again
from the seed; A is not read.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint
from rnla._xp.namespace import device_of, namespace_of, to_host
from rnla.checks import check_rank
from rnla.compression.nystrom import leaving_factors, nystrom_of_basis
from rnla.compression.two_sided import core_of
from rnla.error.jackknife import Spread, eigenpair_replicates, singular_replicates, spread_of
from rnla.errors import InputError
from rnla.orth import CholeskyQR2
from rnla.rangefinder import BlockLanczos, SketchedRange
from rnla.results import RangeBasis, Resume
from rnla.rng import Key
from rnla.sketch import Gaussian

__all__ = ["jackknife"]

_AT_MOST = 400  # columns: the work grows with the fourth power


def jackknife(result: Any, rank: int | None = None) -> Spread:
    """Jackknife estimates of how much a result would change with another test matrix; A is not read.

    Parameters
    ----------
    result : SVDResult or EighResult
        Of ``svd(..., method=SketchedRange())`` or ``nystrom(..., method=BlockLanczos(depth=1))``, with a Gaussian
        test matrix, not extended.
    rank : int, optional
        Leading values and vectors looked at; by default those of the result.

    Returns
    -------
    Spread
        Standard deviations of the values, of the projectors on the leading vectors, and of the approximation.

    Raises
    ------
    InputError
        A result that leaving a column out cannot be read off, or one of more than 400 columns.

    Notes
    -----
    Cost: O(l^4) flops for the l columns of the test matrix.  Guarantee: in the mean, the square of each number is not
    below the variance with one column less [1]_.  A small spread says that the answer is stable, not that it is right:
    the error stands in ``result.error``.

    References
    ----------
    .. [1] E. N. Epperly and J. A. Tropp, Efficient error and variance estimation for randomized matrix computations,
       SIAM Journal on Scientific Computing 46 (2024).

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag(0.5 ** np.arange(100.0))
    >>> result = rnla.svd(A, 3, method=rnla.SketchedRange(), rng=0)
    >>> spread = rnla.jackknife(result)
    >>> bool(np.all(spread.values < 1e-5)), spread.right < 1e-3
    (True, True)
    """
    resume = getattr(result, "resume", None)
    if not isinstance(resume, Resume) or not isinstance(resume.basis, RangeBasis):
        raise InputError(_ADVICE)
    basis, method = resume.basis, resume.method
    known = (resume.name == "nystrom" and isinstance(method, BlockLanczos)) or (
        resume.name == "svd" and isinstance(method, SketchedRange)
    )
    if not known or len(basis.blocks) != 1 or not isinstance(method.sketch, Gaussian):
        raise InputError(_ADVICE)
    if basis.size > _AT_MOST or basis.size >= int(basis.basis.shape[0]) or basis.size < 2:
        raise InputError(
            f"the jackknife is for 2 to {_AT_MOST} columns of the test matrix, fewer than A has; here are {basis.size}"
        )
    k = min(result.rank if rank is None else check_rank(rank, result.shape), basis.size - 1)
    spread = _of_nystrom(resume, k) if resume.name == "nystrom" else _of_svd(resume, k)
    if resume.exponent == 0:
        return spread
    scale = 2.0**resume.exponent
    return dataclasses.replace(spread, values=spread.values * scale, approximation=spread.approximation * scale)


_ADVICE = (
    "leaving a column out cannot be read off this result; the jackknife takes results of "
    "svd(..., method=SketchedRange()) and nystrom(..., method=BlockLanczos(depth=1)), with a Gaussian test matrix"
)


def _omega(resume: Resume, rows: int) -> Any:
    """Return the test matrix, drawn again."""
    like = resume.basis.basis
    dtype = np.dtype(str(like.dtype).rpartition(".")[2])
    key = Key(resume.seed).child("test-matrix", 0)
    xp, device = namespace_of(like), device_of(like)
    return Gaussian().tile(0, rows, rows, resume.basis.size, key, dtype=dtype, xp=xp, device=device)


def _wide(x: Any) -> np.ndarray[Any, Any]:
    host = to_host(x)
    return host.astype(np.complex128 if host.dtype.kind == "c" else np.float64)


def _of_nystrom(resume: Resume, k: int) -> Spread:
    basis = resume.basis
    found = nystrom_of_basis(basis)
    factors = leaving_factors(basis, found, _omega(resume, int(basis.basis.shape[0])))
    if factors is None:
        raise InputError("the test matrix is singular to rounding on the basis; the jackknife is not defined")
    h, weights = factors
    # V^H (Y + shift X) in small coordinates.
    inner = _wide(adjoint(found.V) @ (basis.image + found.shift * basis.basis))
    u = inner @ (h / np.sqrt(weights)[None, :])
    return spread_of(eigenpair_replicates(_wide(found.w) + found.shift, u, k))


def _of_svd(resume: Resume, k: int) -> Spread:
    basis = resume.basis
    omega = _omega(resume, int(basis.image.shape[0]))
    r = _wide(core_of(dataclasses.replace(basis, basis=basis.image, image=omega)))  # image^H Omega = Q^H (A Omega)
    values = np.linalg.svd(r, compute_uv=False)
    if values[-1] <= 1e-14 * values[0]:
        raise InputError("the sketch A Omega is singular to rounding: A has lower rank; the jackknife is not defined")
    s = np.linalg.inv(r).conj().T
    s /= np.linalg.norm(s, axis=0)
    # B = Q^H A = R_b^H W^H with W orthonormal: the small factor stands for it.
    _, triangle = CholeskyQR2().factor(basis.image)
    spread = spread_of(singular_replicates(_wide(adjoint(triangle)), s, k))
    return spread if basis.space == "column" else dataclasses.replace(spread, left=spread.right, right=spread.left)
