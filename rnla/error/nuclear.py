"""The nuclear (trace) norm error of an approximation from inside: exact from the diagonal.

For positive semidefinite A and N with N <= A, A - N is positive semidefinite, so its nuclear norm is its trace:
norm(A - N)_* = tr(A) - tr(N).  Cutting eigenvalues off N adds just them.

Cost: the diagonal of A.  Guarantee: exact for a semidefinite A, up to rounding of the diagonal.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._xp.linalg import eps_of, host_values, is_complex
from rnla._xp.namespace import namespace_of
from rnla.results import ErrorEstimate

__all__ = ["nuclear_error"]


def nuclear_error(diagonal: Any, values: np.ndarray[Any, Any], dtype: Any) -> ErrorEstimate:
    """Return the nuclear norm error of an approximation with these eigenvalues.

    Parameters
    ----------
    diagonal : array, shape (n,)
        Of the positive semidefinite matrix A.
    values : numpy.ndarray
        Eigenvalues of the approximation, in the same scale.
    dtype : dtype
        Of the products that it was made with.

    Examples
    --------
    >>> import numpy as np
    >>> nuclear_error(np.array([2.0, 1.0, 1.0]), np.array([3.0]), np.float64).value
    0.25
    """
    real = namespace_of(diagonal).real(diagonal) if is_complex(diagonal.dtype) else diagonal
    trace = math.fsum(host_values(real).tolist())
    absolute = max(0.0, trace - math.fsum(values.tolist()))
    floor = eps_of(dtype) * (10 + 3 * math.sqrt(max(1, len(values))))
    value = absolute / trace if trace > 0 else 0.0
    return ErrorEstimate(
        value=value, absolute=absolute, norm="nuclear", kind="exact", method="the trace", upper=value + floor,
        failure_probability=0.0, standard_error=0.0, floor=floor, norm_of_A=trace, residual=absolute,
        residual_upper=absolute + floor * trace, cut="sum",
    )  # fmt: skip
