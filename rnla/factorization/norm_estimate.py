"""A norm of any matrix between two bounds that hold with a stated confidence.

Problem: how large is A, in the spectral, Frobenius or nuclear norm, in a few products?

S1. Frobenius: exact from the entries, in one reading.  For an operator the squares of norm(Q^H A) and of
    norm(A - Q Q^H A) add up: the first is exact for a basis Q of 32 random directions, the second by probes (Chernoff's
    bound on sums of squares, `rnla.error.probes`), doubled until the bounds are as close as asked; past min(m, n)
    columns the products with the identity are exact.
S2. Spectral: block Lanczos with the theorem of [kuczynski1992]_ (`rnla.error.krylov_norm`).
S3. Nuclear: with t_j the values that a basis of l columns gives, and r the residual's Frobenius norm,
    sum t_j <= norm(A)_* <= sum t_j + sqrt(min(m, n - l)) r, the triangle inequality and that of Cauchy and Schwarz;
    from below also sum_{j<=k} t_j + sum_{j>k} s_j^2 / max_{j>k} s_j.  The basis is doubled until the bounds are as
    close as asked.

Cost: S1 one reading, or 2 * 32 products and the probes; S2 2k - 1 products of four columns; S3 that of `rnla.svdvals`.
Guarantee: the interval holds with the confidence asked; checked in tests/statistical/test_honesty.py.
When to use: before choosing tolerances, and for operators, whose norms nobody told.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, eps_of, frobenius, host_values, is_complex
from rnla._xp.namespace import from_host
from rnla.checks import check_choice, check_number
from rnla.config import fixed_settings
from rnla.error.krylov_norm import krylov_norm
from rnla.error.probes import lower_share, upper_share
from rnla.errors import InputError, ToleranceNotMet
from rnla.factorization.svdvals import find_values
from rnla.iterate import watching
from rnla.operators.algebra import Adjoint
from rnla.operators.coerce import as_operator
from rnla.operators.implicit import Implicit
from rnla.operators.ledger import Ledger
from rnla.operators.protocols import SupportsBlocks
from rnla.orth import CholeskyQR2
from rnla.request import read_request
from rnla.results.norm_estimate import NormEstimate
from rnla.rng import Key, as_key
from rnla.working import families_of, working

__all__ = ["norm_estimate"]

_DEFLATED = 32  # directions that the probes do not have to see
_FIRST = 64  # values that the nuclear norm begins with
_NUCLEAR = 0.997  # confidence that its bounds reach whatever their number


def norm_estimate(
    A: Any,
    norm: str = "spectral",
    *,
    confidence: float = 0.99,
    tol: float | None = None,
    on_failure: str = "raise",
    rng: Any = None,
) -> NormEstimate:
    """A norm of any matrix between two bounds.

    Parameters
    ----------
    A : matrix, shape (m, n)
        Any kind that `svd` takes.
    norm : {"spectral", "fro", "nuclear"}
        The largest singular value, the root of the sum of their squares, or their sum.
    confidence : float
        Probability with which the bounds hold at least; at most 0.997 for the nuclear norm.
    tol : float, optional
        How far the bounds may be apart, relative to the lower one: by default 0.1, and as far as they are with the
        first 64 values for the nuclear norm.
    on_failure : {"raise", "return"}
        Whether bounds farther apart raise.
    rng : None, int, SeedSequence, Generator, ...
        What `numpy.random.default_rng` takes.

    Returns
    -------
    NormEstimate
        With ``value, lower, upper``; ``float(estimate)`` is the value.

    Raises
    ------
    InputError, DTypeError
        Arguments that cannot be used, before any work.
    NonFiniteError, OperatorError, BudgetError, DeadlineReached
        As `svd` raises them.
    ToleranceNotMet
        The settings allowed too few passes for `tol`; ``.result`` holds the bounds that were found.

    Notes
    -----
    Cost: the Frobenius norm takes one reading where the entries can be read; the spectral norm 2 k - 1 products of
    four columns, k about log(n / (1 - confidence)) / (4 sqrt(2 tol)); the nuclear norm that of `svdvals`.

    Guarantee: lower bounds of the spectral and nuclear norm that are sums of values found hold always; all else with
    the confidence asked.

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag(1 / np.arange(1, 301.0))
    >>> found = rnla.norm_estimate(A, rng=0)
    >>> found.lower <= 1 <= found.upper <= 1.1 * found.lower
    True
    >>> print(rnla.norm_estimate(np.diag([3.0, 4.0]), "fro"))
    Frobenius norm 5 (exact, by the entries)
    """
    key = as_key(rng)
    base = as_operator(A)
    check_choice("norm", norm, ("spectral", "fro", "nuclear"))
    check_choice("on_failure", on_failure, ("raise", "return"))
    sure = check_number("confidence", confidence)
    if not 0 < sure < 1:
        raise InputError(f"confidence={sure} must lie between 0 and 1, such as 0.99")
    if norm == "nuclear" and sure > _NUCLEAR:
        raise InputError(
            f"confidence={sure} is above {_NUCLEAR}, to which the bounds on the nuclear norm are certified"
        )
    wanted = None if norm == "nuclear" else 0.1
    if tol is not None:
        wanted = check_number("tol", tol)
        least = 100 * eps_of(base.dtype)
        if not least <= wanted < math.inf:
            raise InputError(f"tol={wanted} must be at least {least:.1e}, 100 eps of {base.dtype}, and finite")
    if isinstance(base, Implicit):
        base.require_adjoint()
    if norm == "nuclear":
        found = _nuclear(A, base, wanted, key)
    else:
        with fixed_settings(), watching() as watch, working(base.xp, base.dtype, families=families_of(base)):
            watch.stage = "estimating the norm"
            op = Ledger(base)
            assert wanted is not None
            find = _spectral if norm == "spectral" else _frobenius
            found = find(op, wanted, 1 - sure, key)
    if wanted is not None and found.kind != "exact" and found.width > wanted and on_failure == "raise":
        raise ToleranceNotMet(
            f"the bounds are {found.width:.2g} apart, above tol={wanted:.2g}; allow more passes, or give a larger tol; "
            "they are in .result, and on_failure='return' gives them back instead",
            found,
        )
    return found


def _made(norm: str, value: float, bounds: tuple[float, float], failure: float, method: str, op: Ledger, key: Key,
          *, exact: bool = False) -> NormEstimate:  # fmt: skip
    lower, upper = (math.ldexp(each, op.exponent) if math.isfinite(each) else each for each in bounds)
    return NormEstimate(
        norm=norm, value=math.ldexp(value, op.exponent), lower=max(0.0, lower), upper=upper,
        failure_probability=0.0 if exact else failure, kind="exact" if exact else "bounded", method=method,
        passes=op.counts.passes, scans=op.counts.scans, products=op.counts.products, seed=key.seed,
    )  # fmt: skip


def _spectral(op: Ledger, tol: float, failure: float, key: Key) -> NormEstimate:
    if min(op.shape) == 0:
        return _made("spectral", 0.0, (0.0, 0.0), 0.0, "an empty matrix", op, key, exact=True)
    lower, upper, exact = krylov_norm(op, key, failure=failure, ratio=1 + tol)
    magnitude = op.measure()
    method = "all products" if exact else "block Lanczos"
    if magnitude is not None and magnitude.frobenius * (1 + 16 * eps_of(op.dtype)) < upper:
        upper, method = magnitude.frobenius * (1 + 16 * eps_of(op.dtype)), "block Lanczos and the Frobenius norm"
    return _made("spectral", min(max(lower, 0.0), upper), (lower, upper), failure, method, op, key, exact=exact)


def _frobenius(op: Ledger, tol: float, failure: float, key: Key) -> NormEstimate:
    eps, short = eps_of(op.dtype), min(op.shape)
    if short == 0:
        return _made("fro", 0.0, (0.0, 0.0), 0.0, "an empty matrix", op, key, exact=True)
    if op.complete_scan:
        if op.measure() is None:  # out of core: a pass tells it
            assert isinstance(op.base, SupportsBlocks)
            op.fold_blocks("row", lambda state, rows, block: None)
        magnitude = op.measure()
        assert magnitude is not None
        value = magnitude.frobenius
        return _made(
            "fro", value, (value * (1 - 8 * eps), value * (1 + 8 * eps)), 0.0, "the entries", op, key, exact=True
        )
    view: Any = op if op.shape[1] <= op.shape[0] else Adjoint(op)
    n = int(view.shape[1])
    new = {"dtype": op.dtype, "xp": op.xp, "device": op.device}
    kept, basis, image = 0.0, None, None
    columns = 32
    if n > 4 * _DEFLATED:
        if op.spare_passes >= 3:
            sketch = view.matmat(key.child("deflation").normals(0, n, _DEFLATED, **new))
            basis = CholeskyQR2().factor(sketch)[0]
            image = view.rmatmat(basis)
            kept = frobenius(image) ** 2
        squares, done, look, spent = 0.0, 0, 0, 0.0
        while done < n and op.spare_passes >= 1:
            probes = key.child("norm-probes").normals(0, n, columns - done, first_column=done, **new)
            seen = view.matmat(probes)
            squares += frobenius(seen if basis is None else seen - basis @ (adjoint(image) @ probes)) ** 2
            done, look = columns, look + 1
            chance = failure * 2.0**-look
            spent += chance
            kind = {"complex_columns": is_complex(op.dtype)}
            slack = 16 * eps * (kept + squares / done)
            low = kept + squares / done / upper_share(done, chance / 2, **kind) - slack
            high = kept + squares / done / lower_share(done, chance / 2, **kind) + slack
            bounds = math.sqrt(max(low, 0.0)), math.sqrt(high)
            if bounds[1] <= (1 + tol) * bounds[0] or op.spare_passes < 1:
                value = math.sqrt(kept + squares / done)
                return _made(
                    "fro",
                    value,
                    bounds,
                    spent,
                    "probes" + ("" if basis is None else " of what 32 directions leave"),
                    op,
                    key,
                )
            columns = min(n, 2 * columns)
    total = 0.0
    for start in range(0, n, 128):  # the identity by blocks
        unit = np.zeros((n, min(128, n - start)), dtype=op.dtype)
        unit[np.arange(start, start + unit.shape[1]), np.arange(unit.shape[1])] = 1
        total = math.hypot(total, frobenius(view.matmat(from_host(unit, op.xp, op.device))))
    return _made("fro", total, (total * (1 - 8 * eps), total * (1 + 8 * eps)), 0.0, "all products", op, key, exact=True)


def _nuclear(A: Any, base: Any, tol: float | None, key: Key) -> NormEstimate:
    m, n = base.shape
    short = min(m, n)
    rank, found, failure = min(short, _FIRST), None, 0.0
    while True:
        request = read_request(base.shape, base.dtype, rank, None, "fro", None, None, None, None, "return")
        found = find_values(A, base, request, key, found, settled=False)
        failure += found.failure_probability
        exponent = 0 if found.resume is None else found.resume.exponent
        values = np.zeros(0) if found.resume is None else np.ldexp(found.resume.singular_values, exponent)
        size = len(values)
        complete = size >= short
        total = math.fsum(values.tolist())
        level = eps_of(base.dtype) * (10 + 3 * math.sqrt(max(m, n, 1))) * (values[0] if size else 0.0)
        lower = math.fsum(np.maximum(values - level, 0.0).tolist())
        if complete:
            upper = total + size * level
            break
        most = found.frobenius[1]
        share = math.fsum(((values / most) ** 2).tolist()) if 0 < most < math.inf else 0.0
        residual = most * math.sqrt(max(0.0, 1 - share))
        assert found.resume is not None
        left = min(m, n - size) if found.resume.basis.space == "row" else min(n, m - size)
        upper = total + size * level + math.sqrt(left) * residual
        if found.next_upper > 0:
            head = math.fsum(host_values(found.lower).tolist())
            lower = max(lower, head + found.tail[0] / found.next_upper)
        if tol is None or upper <= (1 + tol) * lower or not found.status.ok:
            break
        rank = min(short, 2 * rank)
    report = found.report
    return NormEstimate(
        norm="nuclear", value=float(total if complete else (lower + upper) / 2), lower=float(lower), upper=float(upper),
        failure_probability=0.0 if complete else min(1.0, failure), kind="exact" if complete else "bounded",
        method="all values" if complete else f"{size} values and the norm of the rest", passes=report.passes,
        scans=report.scans, products=report.products, seed=key.seed,
    )  # fmt: skip
