"""Which method of robust PCA, with which parameters, and why: from shape, dtype, kind of D and request only."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._xp.linalg import eps_of
from rnla._xp.namespace import from_host, is_array, is_numpy, to_host
from rnla.checks import check_positive, check_rank, check_tol, check_whole
from rnla.config import get_config
from rnla.errors import BudgetError, InputError
from rnla.results.topic_plan import TopicPlan, size_in_words
from rnla.robust.accelerated import AccAltProj
from rnla.robust.alternating import AlternatingProjections
from rnla.robust.cross import IRCUR, RieCUR
from rnla.robust.looking import bytes_of_looks
from rnla.robust.pursuit import PrincipalComponentPursuit
from rnla.robust.reading import Reader
from rnla.robust.sampling import HELD, sample_size, spared
from rnla.robust.sweeping import bytes_of_panels
from rnla.robust.thresholds import Threshold, as_threshold

__all__ = ["ROBUST_METHODS", "Asked", "at_rank", "plan", "read_asked", "slower"]

ROBUST_METHODS: dict[str, type[Any]] = {
    "riecur": RieCUR,
    "ircur": IRCUR,
    "accaltproj": AccAltProj,
    "altproj": AlternatingProjections,
    "pcp": PrincipalComponentPursuit,
}
"""The methods by name."""

_GIVEN = "sampling= was given"
_SLOWER = (0.85, 0.95)
_PACES = ((0.15, 0.5), (0.3, 0.7), (0.5, 0.8), (1.0, 0.9))  # outliers up to a share, and the decay for them
_RATES = {"cross": 4e8, "whole": 4e8, "svd": 3e9}  # entries, entries, and flops a second on one core


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, checked.

    Attributes
    ----------
    rank : int or None
    tol : float
    max_iterations : int or None
    method : RobustMethod
    mask : array of bool or None
    chosen : bool
        Whether the method was left to the library.
    reasons : tuple of str
    tol_given : bool
        Whether `tol` is the caller's; with noise (a least threshold) the default asks for no more than noise allows.
    """

    rank: int | None
    tol: float
    max_iterations: int | None
    method: Any
    mask: Any
    chosen: bool
    reasons: tuple[str, ...]
    tol_given: bool = True

    @property
    def limit(self) -> int:
        """Iterations at most."""
        if self.max_iterations is not None:
            return self.max_iterations
        return max(200, 30 + math.ceil(1.5 * math.log(self.tol) / math.log(getattr(self.method, "decay", 0.7))))


def read_asked(
    reader: Reader, rank: Any, method: Any, tol: Any, sampling: Any, threshold: Any, mask: Any, max_iterations: Any
) -> Asked:
    """Return the checked request, with a method; every mistake is told here, before any work.

    Raises
    ------
    InputError, DTypeError
        What cannot be used.
    """
    if min(reader.shape) == 0:
        raise InputError(f"D is empty, {reader.shape[0]} x {reader.shape[1]}: there is nothing to part")
    if rank is not None:
        rank = check_rank(rank, reader.shape, "leave it out to have it estimated")
        if rank == 0:
            raise InputError("rank=0 leaves L = 0: ask for rank=1 or more, or leave it out to have it estimated")
    limit = None if max_iterations is None else check_whole("max_iterations", max_iterations, 1)
    accuracy = (1e-4 if eps_of(reader.dtype) > 1e-10 else 1e-7) if tol is None else check_tol(tol, reader.dtype)
    observed = _mask(reader, mask)
    if accuracy >= 1:
        raise InputError(f"tol={accuracy:g} is met by L = 0: it is relative to L, so ask for less than 1")
    chosen = False
    reasons: tuple[str, ...] = ("the caller chose it",)
    if isinstance(method, str):
        part = as_threshold(threshold)
        if method == "auto":
            chosen = True
            kind, reasons = _choice(reader, rank, part, observed, sampling)
        elif method in ROBUST_METHODS:
            kind = ROBUST_METHODS[method]()
        else:
            raise InputError(f"method={method!r} is not one of 'auto', {', '.join(map(repr, ROBUST_METHODS))}")
        method = _with(kind, sampling, part)
    elif not isinstance(method, tuple(ROBUST_METHODS.values())):
        raise InputError(
            f"method={method!r} must be 'auto', {', '.join(map(repr, ROBUST_METHODS))}, or a part such as RieCUR()"
        )
    elif sampling is not None or threshold is not None:
        raise InputError("method= carries its own choices: give samples and threshold to the part, not beside it")
    _check_fit(reader, rank, method, observed)
    if rank is not None and method.name == "pcp":
        reasons = (*reasons, f"rank={rank} is not used: the pursuit finds its own")
    return Asked(rank, accuracy, limit, method, observed, chosen, reasons, tol is not None)


def _with(part: Any, sampling: Any, threshold: Threshold) -> Any:
    """Return the part with the knobs of the call."""
    changes: dict[str, Any] = {"threshold": threshold}
    if sampling is not None:
        if part.reads_all:
            raise InputError(f"sampling= is for the methods that read a cross; {part.summary} reads all of D")
        if isinstance(sampling, str):
            changes["sampling"] = sampling
        else:
            changes["samples"] = check_positive("sampling", sampling)
    return dataclasses.replace(part, **changes)


def _choice(
    reader: Reader, rank: int | None, threshold: Threshold, mask: Any, sampling: Any
) -> tuple[Any, tuple[str, ...]]:
    """Return the method for what is known, and why."""
    share = threshold.outliers
    decay = 0.7 if share is None else next(pace for most, pace in _PACES if share <= most)
    because = "no share of outliers was given" if share is None else f"{share:.0%} of outliers are expected"
    pace = f"the threshold falls by {decay:g}: {because}"
    if mask is not None:
        return AccAltProj(decay=decay), ("entries are missing, which the methods that read a cross do not take", pace)
    if sampling is not None:
        return RieCUR(decay=decay), (_GIVEN, pace)
    if reader.dense is None:
        return RieCUR(decay=decay), (f"D is {reader.kind}: only rows and columns of it are read", pace)
    if share is not None and share >= 0.6:
        return AccAltProj(decay=decay), ("with so many outliers the cross is too small a sample", pace)
    m, n = reader.shape
    guess = 10 if rank is None else rank
    sizes = [sample_size(3.0, guess, length, what) for length, what in ((m, "rows"), (n, "columns"))]
    if all(2 * (size + spared(length)) <= length for size, length in zip(sizes, (m, n), strict=True)):
        return RieCUR(decay=decay), (
            f"a cross of {sizes[0]} rows and {sizes[1]} columns is less than half of D", pace,
        )  # fmt: skip
    return AccAltProj(decay=decay), ("a cross would be half of D or more, so all of it is read", pace)


def at_rank(reader: Reader, asked: Asked, rank: int) -> Asked:
    """Return a request whose rank has been estimated: a method that was left to the library is chosen for that rank.

    Raises
    ------
    InputError
        The method that was asked for cannot find this rank.
    """
    method, reasons = asked.method, asked.reasons
    if asked.chosen and _GIVEN not in reasons:
        part, reasons = _choice(reader, rank, method.threshold, asked.mask, None)
        method = _with(part, None, method.threshold)
    _check_fit(reader, rank, method, asked.mask)
    return dataclasses.replace(asked, rank=rank, method=method, reasons=reasons)


def slower(asked: Asked, reader: Reader) -> list[Any]:
    """Return what to try after the method that was chosen failed: thresholds that fall more slowly, then all of D."""
    if not asked.chosen:
        return []
    tried = [dataclasses.replace(asked.method, decay=d) for d in _SLOWER if d > asked.method.decay]
    if reader.dense is None:
        return tried
    part = asked.method.threshold
    whole: list[Any] = [] if asked.method.reads_all else [AccAltProj(decay=0.9, threshold=part)]
    # Where outliers are larger than all but the first directions of L, only these are looked for at first.
    whole += [AlternatingProjections(stages=True, threshold=part)] if asked.rank != 1 else []
    for last in whole:
        need = plan_of(reader, dataclasses.replace(asked, method=last)).bytes
        tried += [last] if get_config().allows(need) else []
    return tried


def _mask(reader: Reader, mask: Any) -> Any:
    """Return the mask at home with D, None where all is observed."""
    if mask is None:
        return None
    host = to_host(mask) if is_array(mask) else np.asarray(mask)
    if host.dtype != np.bool_ or host.shape != reader.shape:
        raise InputError(
            f"mask= must be an array of bool of shape {reader.shape}, True where D is observed; "
            f"got {host.dtype} of shape {host.shape}"
        )
    if host.all():
        return None
    for axis, what in ((1, "row"), (0, "column")):
        empty = np.flatnonzero(~host.any(axis=axis))
        if len(empty):
            raise InputError(
                f"{what} {int(empty[0])} of D has no observed entry, so nothing tells L there; leave it out"
            )
    return mask if is_array(mask) and not isinstance(mask, np.ndarray) else from_host(host, reader.xp, reader.device)


def _check_fit(reader: Reader, rank: int | None, method: Any, mask: Any) -> None:
    if not method.reads_all:
        if mask is not None:
            raise InputError(
                f"{method.summary} cannot take missing entries (mask=); use method='accaltproj', 'altproj' or 'pcp'"
            )
        for length, what in zip(reader.shape, ("rows", "columns"), strict=True):
            size = sample_size(method.samples, rank or 1, length, what)
            if rank is not None and min(size, length - spared(length)) < rank:
                raise InputError(
                    f"of {length} {what} too few are left for rank {rank} beside those held out; "
                    "use method='accaltproj'"
                )
    elif reader.dense is None and mask is not None:
        raise InputError(
            f"with missing entries (mask=) all of D is read, from an array in memory, and D is {reader.kind}; load it"
        )
    elif reader.dense is None:
        raise InputError(
            f"{method.summary} reads all of D from an array in memory, and D is {reader.kind}; "
            "use method='riecur' or 'ircur'"
        )


def plan(
    D: Any,
    rank: int | None = None,
    *,
    method: Any = "auto",
    tol: float | None = None,
    sampling: Any = None,
    threshold: Any = None,
    mask: Any = None,
    max_iterations: int | None = None,
    on_failure: str = "raise",
    rng: Any = None,
) -> TopicPlan:
    """Return what `rnla.robust_pca` would do with the same arguments, and why."""
    del on_failure, rng
    reader = Reader(D)
    return plan_of(reader, read_asked(reader, rank, method, tol, sampling, threshold, mask, max_iterations))


def plan_of(reader: Reader, asked: Asked) -> TopicPlan:
    """Return the plan of a request that was checked."""
    (m, n), method = reader.shape, asked.method
    rank = 10 if asked.rank is None or method.name == "pcp" else max(asked.rank, 1)
    item = reader.dtype.itemsize
    decay = getattr(method, "decay", 0.7)
    count = min(asked.limit, math.ceil(math.log(asked.tol) / math.log(decay)) + 5)
    said = "estimated on a block without its outliers" if asked.rank is None else str(asked.rank)
    lines = [("rank", "what the pursuit finds" if method.name == "pcp" else said)]
    if method.reads_all:
        whole = float(m) * n
        entries = whole * count
        full = method.name == "pcp"
        flops = count * (
            14 * whole * min(m, n) if full else 6 * whole * (rank if method.name == "accaltproj" else 7 * rank)
        )
        # As large as D at the peak, as was measured: D less its outliers (for PCP three arrays, and six for LAPACK),
        # D without what was not observed, or in its dtype, or in the scale that it turned out to need, and what other
        # libraries take to look for infinities.
        others = (
            asked.mask is not None, not is_numpy(reader.xp), _name(reader.source_dtype) != _name(reader.dtype),
            reader.exponent != 0,
        )  # fmt: skip
        copies = (9 if full else 1) + sum(others)
        looked = (min(4 * HELD, m), min(4 * HELD, n))
        work = item * (copies * m * n + 10 * (rank + 5) * (m + n))
        work += bytes_of_panels(reader.xp, reader.device, item, m * n)
        need = max(work, bytes_of_looks(m, n, *looked, item, get_config().threads)) + (1 << 20)
        seconds = flops / _RATES["svd"] if full or method.name == "altproj" else entries / _RATES["whole"]
    else:
        i, j = (sample_size(method.samples, rank, length, "") for length in (m, n))
        entries = float(count) * (i * n + j * m)
        flops = entries * 6 * rank
        by_kernels = is_numpy(reader.xp) and method.threshold.kind == "entries"
        need = memory_bound(m, n, rank, method.samples, item, 2 if by_kernels else 3) + reader.bytes_of_columns
        seconds = entries / _RATES["cross"]
        lines.append(("cross", f"{i} rows and {j} columns, {'drawn anew each time' if method.resample else 'fixed'}"))
    lines.append(("iterations", f"about {count} to a residual of {asked.tol:.0e}, at most {asked.limit}"))
    lines.append(("reads", f"about {entries:.2g} entries, {entries / (m * n):.3g} times the matrix"))
    return TopicPlan(
        "robust_pca",
        method,
        reader.shape,
        reader.dtype,
        reader.kind,
        tuple(lines),
        flops,
        int(need),
        seconds,
        asked.reasons,
    )


def require_memory(planned: TopicPlan) -> None:
    """Raise unless a plan fits the memory budget."""
    config = get_config()
    if config.allows(planned.bytes):
        return
    advice = f"set memory_budget={planned.bytes} or more"
    if planned.method.reads_all and planned.method.name != "pcp":
        advice += ", or take method='riecur', which reads rows and columns only"
    raise BudgetError(
        f"{planned.summary} needs about {size_in_words(planned.bytes)} beside D, and the memory budget is "
        f"{size_in_words(config.budget())}; {advice}"
    )


def memory_bound(m: int, n: int, rank: int, samples: float, itemsize: int, blocks: int = 2) -> int:
    """Return bytes that a method that reads a cross never exceeds beside D.

    Two blocks of the size of each half of the cross (what is read, and brought to the scale or dtype; three where the
    kernels do not serve), rows held out included, and thirty panels of the width of the rank, O(n r log n); or what the
    certificate makes of the rows held out, where this is more.  An array that is read in place takes the panels only.
    """
    held = (spared(m), spared(n))
    rows, columns = (sample_size(samples, rank, length, "") + part for length, part in zip((m, n), held, strict=True))
    cross = itemsize * (blocks * (rows * n + columns * m) + 30 * rank * (m + n))
    seen = (held[0] or m, held[1] or n)
    looked = bytes_of_looks(m, n, *seen, itemsize, get_config().threads) + itemsize * 5 * rank * (m + n)
    return int(max(cross, looked) + (1 << 20))


def _name(dtype: Any) -> str:
    return str(dtype).rpartition(".")[2]
