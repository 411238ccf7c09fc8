"""The certificate of any approximation L R^H, projection or not.

No identity is assumed: the residual A - L R^H itself is looked at.

Frobenius norm: 1. the entries of A can be read by blocks: the explicit residual, exact, in one pass; 2. else
independent probes: estimated, with a bound that fails with a stated probability (`rnla.error.probes`).
Spectral norm: powered probes (`rnla.error.spectral`), bounded, over the norm of the approximation less the bound,
which is not above the norm of A.

Cost: one pass in the Frobenius norm, five passes of six columns in the spectral norm.
Guarantee: of the kind that is named; nothing of A is remembered from the making of the approximation.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, eps_of, frobenius, host_values, is_complex, qr, svd
from rnla.error.probes import PROBES_WITHOUT_NORM, lower_share, probe_residual
from rnla.error.residual import explicit_residual
from rnla.error.spectral import spectral_bound
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import SupportsBlocks
from rnla.results import ErrorEstimate, RangeBasis
from rnla.rng import Key

__all__ = ["certify_approximation"]

_FAILURE = 1e-4


def certify_approximation(op: Ledger, left: Any, right: Any, norm: str, key: Key, *, looks: int = 1) -> ErrorEstimate:
    """Return the error of L R^H as an approximation of A.

    Parameters
    ----------
    op : Ledger
        The scaled matrix; products made here are counted there.
    left, right : array, shape (m, k) and (n, k)
        L and R, not its adjoint; any columns, orthonormal or not.
    norm : {"fro", "spectral"}
    key : Key
        Independent of all that L and R were made from; another one for every look.
    looks : int
        How often a caller has looked, this time included: the failure probabilities of all looks add up.

    Returns
    -------
    ErrorEstimate
        Relative to the norm of A.

    Examples
    --------
    >>> import numpy as np
    >>> from rnla.operators.coerce import as_operator
    >>> A = np.diag([4.0, 3.0])
    >>> E = np.eye(2)[:, :1]
    >>> certify_approximation(Ledger(as_operator(A)), 4 * E, E, "fro", Key(0)).value
    0.6
    """
    pair = RangeBasis(space="row", basis=right, image=left, blocks=(int(left.shape[1]),))
    eps = eps_of(op.dtype)
    rounding = eps * (10 + 3 * math.sqrt(max(1, int(left.shape[1]))))
    magnitude = op.measure()
    if norm == "spectral":
        bound, failure = spectral_bound(op, right, left, key.child("spectral-probes"))
        largest = _spectral_norm(left, right)
        bound += rounding * largest
        # norm(A) >= norm(L R^H) - norm(A - L R^H): what the bound leaves of the norm that is known.
        scale = max(largest - bound, 0.0)
        relative = bound / scale if scale > 0 else (0.0 if bound == 0 else math.inf)
        return ErrorEstimate(
            value=relative, absolute=bound, norm="spectral", kind="bounded", method="powered probes",
            upper=relative, failure_probability=min(1.0, looks * failure), standard_error=math.nan, floor=10 * eps,
            norm_of_A=scale, residual=bound, residual_upper=bound,
        )  # fmt: skip
    if isinstance(op.base, SupportsBlocks):
        absolute = explicit_residual(op, pair)
        magnitude = op.measure()
        assert magnitude is not None
        scale = magnitude.frobenius
        upper = absolute + rounding * scale
        return ErrorEstimate(
            value=_share(absolute, scale), absolute=absolute, norm="fro", kind="exact", method="the explicit residual",
            upper=_share(upper, scale), failure_probability=0.0, standard_error=0.0, floor=10 * eps, norm_of_A=scale,
            residual=absolute, residual_upper=upper,
        )  # fmt: skip
    probes = key.child("error-probes").normals(
        0, op.shape[1], PROBES_WITHOUT_NORM, dtype=op.dtype, xp=op.xp, device=op.device
    )
    probed = op.matmat(probes)
    value, spread = probe_residual(right, left, probes, probed)
    share = lower_share(PROBES_WITHOUT_NORM, _FAILURE / 2, complex_columns=is_complex(op.dtype))
    magnitude = op.measure()
    if magnitude is not None:
        scale = floor_of_norm = magnitude.frobenius
    else:  # the norm from the same probes; at least what the approximation has beyond the residual's bound
        scale = frobenius(probed) / math.sqrt(PROBES_WITHOUT_NORM)
        kept = frobenius(qr(left)[1] @ adjoint(qr(right)[1])) if int(left.shape[1]) else 0.0
        floor_of_norm = max(kept - value / math.sqrt(share), scale / math.sqrt(_upper_share(probes.dtype)))
    bound = value / math.sqrt(share) + rounding * scale
    return ErrorEstimate(
        value=_share(value, scale), absolute=value, norm="fro", kind="estimated", method="independent probes",
        upper=_share(bound, floor_of_norm), failure_probability=min(1.0, looks * _FAILURE),
        standard_error=_share(spread, scale), floor=10 * eps, norm_of_A=scale, residual=value, residual_upper=bound,
    )  # fmt: skip


def _share(part: float, whole: float) -> float:
    if whole > 0:
        return part / whole
    return 0.0 if part == 0 else math.inf


def _spectral_norm(left: Any, right: Any) -> float:
    if int(left.shape[1]) == 0 or 0 in left.shape or 0 in right.shape:
        return 0.0
    core = qr(left)[1] @ adjoint(qr(right)[1])
    return float(host_values(svd(core)[1]).max(initial=0.0))


def _upper_share(dtype: Any) -> float:
    """Return c so that an estimate of a squared norm exceeds c times it with probability _FAILURE / 2 at most."""
    degrees = PROBES_WITHOUT_NORM * (2 if is_complex(dtype) else 1)
    target = math.log(_FAILURE / 2) * 2 / degrees
    low, high = 1.0, 1e3
    for _ in range(100):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if math.log(middle) + 1 - middle < target else (middle, high)
    return float(np.float64(high))
