"""What rows and columns that were never sampled say about L.

That D - L - S vanishes says nothing where S is made by thresholding D - L: any L passes.  What can fail:

S0  When the iteration has ended the threshold lies far above the errors of L on clean entries, and outliers that are
    smaller than it pass for clean.  It is lowered to ten times the level that one in a hundred of the clean entries
    exceeds, on rows of the last cross, and no lower than 30 tol times the root mean square of L; where L is wrong by
    more than the threshold, that changes nothing.
S1  The share of outliers on fresh rows and columns, against that on the sampled cross.  A model fitted to the cross
    only finds more outliers elsewhere.
S2  The share of clean entries there must be more than a small number; and of those where L itself is above the
    threshold (elsewhere zero agrees as well), less what falls under it by chance (as many as fall in [z, 2 z)), more
    than twice the share that any L of this rank can be made to agree with: it has r (m + n - r) free numbers, and
    passes through as many entries of any D at all, be they outliers.  (Of 143 wrong answers that the other tests let
    pass, on small matrices with every kind of outlier, half fell by this; of 116 right ones none.)
S3  Levels of D - L just under the threshold must be more frequent than just beyond, but for one percent: if L is wrong
    by more than the threshold, its errors pass through the threshold without a step, and the range [z, 2 z) holds
    twice as many as [z / 2, z).
S4  No column may be an outlier in nearly all of its entries on the held-out rows, and no row on the held-out columns:
    L is unknown there, or wrong.  This looks at every column and every row, at 64 entries of each; those that fail
    are read whole, and refused where chance does not make a line so among all.
S5  The clean entries of every column and every row must tell L there (`rnla.robust.determined`): where outliers alone
    say what it is along one of its directions, L could be another and no clean entry would differ.  It is what parts
    right from wrong where L is sparse itself.  Screened and read as in S4; the screening reads more lines than were
    set aside where these have fewer than three clean entries for each rank.  (Of 471 wrong answers that all else let
    pass and that had more outliers than the truth, 413 were refused; of the 392 among them on products of factors with
    70 percent zeros, 369.  Of 785 right ones 4, in noise, with L off by 0.005 to 0.02; on the model of the papers with
    up to 40 percent of outliers, n = 60 to 2000 and ranks 1 to 10, none of 5008.)
    For the kind "columns", no column may be an outlier and yet lie in the span of U within the threshold: L
    could agree with it, and does not.  (RieCUR, which changes nothing of L on a column that it leaves out, left out 22
    of 180 right ones among 20 wrong; of 18 draws, 3 were such.)
S6  The error of L on the clean entries, sum |D - L|^2 / sum |L|^2, with rows and columns as the units of sampling, and
    against what was asked.

Interval of S6: with a_i, b_i the two sums of row i over k rows, rho = sum a / sum b has the standard error
sqrt(k var(a - rho b)) / sum b, and the bound is rho + t se with Student's t of k - 1 degrees at 1 - 0.001; the same for
columns.  Errors lie on a few rows and a few columns, those that the last cross found outliers on: of 497 rows four held
60 percent.  Rows drawn tell the part of the columns, whose lines they cross, and miss such rows; columns drawn tell the
part of the rows.  So the sum of the two bounds is reported, at a failure probability of 0.002 (as far as means of k
lines are normal), and where all rows or all columns were seen, the larger.  (On the model of the papers, n = 60 to 400,
the sum failed in 3 of 1939 answers of the methods of a cross, and the larger of the two in 98; the sum was looser by 8
percent in the median, and by 1.41 times at most.)
Free of assumptions: all of k rows drawn from all rows have errors up to the largest seen, so at most a share
1 - 0.001^(1/k) of them is worse, but with probability 0.001.  The rows are uniform among those never sampled, whatever
the iterations did, because they were set aside before, by a key of their own.

Not seen: a decomposition of the same rank with fewer outliers than the one that was meant, which is what is asked for
(24 of 43 such were accepted); an error of L on few entries, which then pass for outliers (two of 700 columns wrong on a
twentieth of their rows were missed, on an L that so few rows carry), and one in so few rows that none of them is drawn;
by S5, ranks above 32.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, cast, host_values
from rnla._xp.namespace import to_host
from rnla.results import ErrorEstimate
from rnla.results.robust_result import HeldOut
from rnla.robust.determined import unheld, weakly_held
from rnla.robust.looking import Lines, Look, gaps, look
from rnla.robust.protocols import Factors
from rnla.robust.reading import Reader
from rnla.robust.thresholds import column_levels

__all__ = ["FACTOR", "certify", "error_of", "tightened"]

Array = np.ndarray[Any, Any]

FAILURE = 1e-3
"""Probability that one bound fails."""
FACTOR = 10.0
"""How far above `tol`, which the residual is held against, the clean error may lie."""
LEAST_CLEAN = 0.03
_STEP = 0.01
_SIGMAS = 5.0
_CORRUPTED = 0.95
_SUSPECTS = 256
_PANEL = 1 << 14
_QUANTILE, _ABOVE, _OF_TOL = 0.99, 10.0, 30.0


def certify(
    reader: Reader,
    factors: Factors,
    threshold: float,
    kind: str,
    rows: Array,
    columns: Array,
    sampled: float,
    tol: float,
    mask: Any = None,
) -> HeldOut:
    """Return what rows and columns of D say about L = U diag(s) Vh.

    Parameters
    ----------
    reader : Reader
    factors : Factors
    threshold : float
    kind : {"entries", "columns"}
    rows, columns : numpy.ndarray of int64
        Set aside before the work; whether they were read before is looked up.
    sampled : float
        Share of outliers on the cross that was sampled last.
    tol : float
        What was asked of the residual.
    mask : array of bool or None
    """
    perhaps = np.empty(0, dtype=np.int64)
    never, (m, n), rank = not reader.touched(rows, columns), reader.shape, int(factors.s.shape[0])
    lines, looks, weak = Lines(reader, factors, mask), [], []
    for index, axis in ((columns, 0), (rows, 1)):
        block, left, right, observed = lines.read(index, axis)
        looks.append(look(block, left, right, threshold, kind, axis, observed))
        if kind == "entries":
            share = float(looks[-1].outliers.sum()) / max(float(looks[-1].counted.sum()), 1.0)
            weak.append(weakly_held(lines, (block, left, right, observed), threshold, axis, share, tol))
        elif axis == 1:
            perhaps = _perhaps_spanned((block, left, right, observed), threshold)
        del block, left, right, observed
    corrupted: list[tuple[int, ...]] = [(), ()]
    undetermined: list[tuple[int, ...]] = [(), ()]
    if kind == "entries":
        for axis, (seen, step) in enumerate(zip(looks, (len(rows), len(columns)), strict=True)):
            bad = np.flatnonzero(seen.across > _CORRUPTED)[:_SUSPECTS]
            suspects = np.concatenate([bad, np.setdiff1d(weak[axis], bad)[: _SUSPECTS - len(bad)]])
            # They are read whole, as many at a time as were set aside: what a few entries leave open, all of them tell.
            for start in range(0, len(suspects), max(step, 1)):
                part = suspects[start : start + max(step, 1)]
                block, left, right, observed = lines.read(part, 1 - axis)
                found = _corrupted(part, look(block, left, right, threshold, kind, 1 - axis, observed), looks)
                corrupted[axis] += found
                loose = unheld(lines, part, (block, left, right, observed), threshold, 1 - axis, tol)
                undetermined[axis] += tuple(each for each in loose if each not in found)
                del block, left, right, observed
    there = m * n if mask is None else int(reader.xp.count_nonzero(mask))
    free = min(1.0, rank * (m + n - rank) / max(there, 1))
    verdict = judged(looks, len(rows), len(columns), never, sampled, tol, corrupted, undetermined, free)
    left_out = _spanned(lines, perhaps, threshold, max(len(columns), 1))
    if left_out:
        said = f"{len(left_out)} columns, such as {left_out[0]}, are outliers and yet lie in the span of L"
        verdict = dataclasses.replace(verdict, reasons=(*verdict.reasons, f"{said}, which is wrong there"))
    return verdict


def tightened(
    reader: Reader, factors: Factors, threshold: float, least: float, rows: Array, tol: float, mask: Any = None
) -> tuple[float, float]:
    """Return the threshold of S0 and the share of outliers on the rows at it.

    Parameters
    ----------
    reader : Reader
    factors : Factors
    threshold : float
        Of the last iteration.
    least : float
        That it may not fall below.
    rows : numpy.ndarray of int64
        Rows of the last cross, or any where all of D was read.
    tol : float
    mask : array of bool or None
    """
    block, seen = (reader.rows(rows), None) if mask is None else reader.masked(mask, rows, 0)
    left = reader.take(factors.U, rows, 0) * cast(factors.s, factors.U.dtype)[None, :]
    gap = gaps(block, left, factors.Vh, seen).reshape(-1)
    there = len(gap) if mask is None else int(np.count_nonzero(to_host(seen)))
    clean = int(np.count_nonzero(gap < threshold))
    if clean:
        at = min(clean - 1, math.ceil(_QUANTILE * clean))
        gap.partition(at)  # the clean ones come first
        asked = _OF_TOL * tol * math.hypot(*host_values(factors.s)) / math.sqrt(reader.shape[0] * reader.shape[1])
        threshold = min(threshold, max(_ABOVE * float(gap[at]), least, asked))
    beyond = int(np.count_nonzero(gap >= threshold)) - (len(gap) - there)
    return threshold, beyond / max(there, 1)


def judged(
    looks: list[Look],
    rows: int,
    columns: int,
    never: bool,
    sampled: float,
    tol: float,
    corrupted: Any,
    undetermined: Any,
    free: float,
) -> HeldOut:
    """Return the verdict on what was seen.

    `corrupted` holds the rows and the columns that are outliers all over, `undetermined` those whose clean entries do
    not tell L, `free` is the share of entries that any L of this rank can be made to agree with.
    """
    counted = sum(float(seen.counted.sum()) for seen in looks)
    outliers = sum(float(seen.outliers.sum()) for seen in looks) / max(counted, 1.0)
    under, beyond = (sum(getattr(seen, name) for seen in looks) / max(counted, 1.0) for name in ("under", "beyond"))
    rho, spread, worst, deviation = 0.0, 0.0, 0.0, 0.0
    bounds, whole = list[float](), False
    for seen in looks:
        # Where these are all rows (columns) that there are, chance has no part in it.
        left_out = 1 - len(seen.clean) / max(len(next(other for other in looks if other is not seen).across), 1)
        complete = left_out == 0
        ratio, bound, own_deviation = _ratio(seen.clean, seen.model, complete)
        if ratio >= rho:
            rho, deviation = ratio, own_deviation * math.sqrt(left_out)  # of lines drawn without replacement
        bounds.append(bound)
        whole = whole or complete
        spread = max(spread, _ratio(seen.outliers, seen.counted, complete)[2])
        own = seen.clean / np.where(seen.model > 0, seen.model, 1)
        worst = max(worst, float(np.where(seen.model > 0, own, 0).max(initial=0.0)))
    upper = float(np.max(bounds) if whole else np.sum(bounds))  # NaN is kept, and refused below
    solid = sum(seen.solid for seen in looks) / max(counted, 1.0)
    solid = solid if any(seen.model.any() for seen in looks) else 1.0  # L = 0 has nothing to show
    reasons = []
    if outliers > sampled + _SIGMAS * spread + _STEP / 10:
        reasons.append(f"{outliers:.2%} of outliers where the cross that was sampled has {sampled:.2%}")
    if 1 - outliers < LEAST_CLEAN:
        reasons.append(f"only {1 - outliers:.2%} of the entries agree with L")
    elif solid - beyond < free + min(free, (1 - free) / 2):  # half-way to all where twice is too much to ask
        reasons.append(
            f"{solid:.2%} of the entries agree with L where it is above the threshold, and by its free numbers alone "
            f"any L of this rank can be made to agree with {free:.2%}"
        )
    elif beyond > under + _STEP:
        reasons.append(
            f"errors go through the threshold without a step ({under:.2%} just under it, {beyond:.2%} just beyond)"
        )
    bad_rows, bad_columns = corrupted
    for bad, what in ((bad_columns, "columns"), (bad_rows, "rows")):
        if bad:
            reasons.append(
                f"{len(bad)} {what}, such as {bad[0]}, are outliers in nearly all entries: L is not known there"
            )
    for bad, what in ((undetermined[1], "columns"), (undetermined[0], "rows")):
        if bad:
            reasons.append(f"the clean entries of {len(bad)} {what}, such as {bad[0]}, do not tell L there")
    if not math.sqrt(upper) <= FACTOR * tol:
        reasons.append(f"the error on clean entries may be {math.sqrt(upper):.2g}, over {FACTOR:g} tol")
    error, least = math.sqrt(rho), min(rows, columns)
    # Of the root, by its slope at the ratio; one line alone, or a ratio of zero that varies, tell none.
    deviation = 0.0 if deviation == 0 else deviation / (2 * error) if error > 0 else math.nan
    deviation = deviation if math.isfinite(deviation) else math.nan
    return HeldOut(
        rows, columns, never, outliers, sampled, spread, error, deviation, math.sqrt(upper), 2 * FAILURE,
        math.sqrt(worst), 1 - FAILURE ** (1 / least) if least else 1.0, bad_rows, bad_columns,
        undetermined[0], undetermined[1], tuple(reasons),
    )  # fmt: skip


def _corrupted(suspects: Array, seen: Look, looks: list[Look]) -> tuple[int, ...]:
    """Return the suspects that are outliers in nearly all their entries, more than chance makes of any (S4)."""
    from scipy.special import bdtrc

    outliers, counted = (sum(float(getattr(each, name).sum()) for each in looks) for name in ("outliers", "counted"))
    lines = max(len(each.across) for each in looks)
    share = min(outliers / max(counted, 1.0), 1.0)
    # bdtrc takes k of n whole numbers, the first as a float.
    chance = bdtrc(np.floor(seen.outliers) - 1, np.maximum(seen.counted, 1).astype(np.int64), share)
    found = (seen.outliers > _CORRUPTED * seen.counted) & (chance < FAILURE / lines)
    return tuple(int(each) for each in suspects[found])


def _perhaps_spanned(read: Any, threshold: float) -> Array:
    """Return columns that are outliers on a block of rows, and there in the span of U within the threshold (S5)."""
    block, left, right, observed = read
    count, found = max(1, _PANEL // max(int(block.shape[0]), 1)), []
    basis = np.linalg.qr(to_host(left))[0]
    for start in range(0, int(block.shape[1]), count):
        part = slice(start, min(start + count, int(block.shape[1])))
        seen = None if observed is None else observed[:, part]
        piece = cast(block[:, part], left.dtype)
        flags = host_values(column_levels(piece - left @ right[:, part], seen)) >= threshold
        if seen is None:  # else they are looked at whole
            flags &= column_levels(to_host(piece) - basis @ (basis.conj().T @ to_host(piece))) < threshold
        found.append(start + np.flatnonzero(flags))
    return np.concatenate(found)[:_SUSPECTS] if found else np.empty(0, dtype=np.int64)


def _spanned(lines: Lines, suspects: Array, threshold: float, step: int) -> list[int]:
    """Return those of columns that are outliers, and yet within the threshold of the span of U."""
    found = []
    for start in range(0, len(suspects), step):
        part = suspects[start : start + step]
        block, basis, right, observed = lines.read(part, 0)
        for at, j in enumerate(part):
            column, u = cast(block[:, at : at + 1], basis.dtype), basis
            seen = None if observed is None else observed[:, at : at + 1]
            if float(column_levels(column - basis @ right[:, at : at + 1], seen)[0]) < threshold:
                continue
            if seen is None:
                rest = column - u @ (adjoint(u) @ column)
            else:
                there = to_host(seen)[:, 0]
                column, u = to_host(column)[there], to_host(u)[there]
                rest = column - u @ np.linalg.lstsq(u, column, rcond=None)[0]
            if float(column_levels(rest)[0]) < threshold:
                found.append(int(j))
    return found


def _ratio(top: Array, bottom: Array, complete: bool) -> tuple[float, float, float]:
    """Return sum(top) / sum(bottom) over units, its bound, and its standard error."""
    count, whole = len(top), float(bottom.sum())
    if count == 0 or whole == 0:
        return 0.0, 0.0 if count else math.inf, 0.0
    ratio = float(top.sum()) / whole
    if complete:
        return ratio, ratio, 0.0
    if count == 1:
        return ratio, math.inf, math.inf
    from scipy.special import stdtrit

    deviation = math.sqrt(count * float(np.var(top - ratio * bottom, ddof=1))) / whole
    return ratio, ratio + float(stdtrit(count - 1, 1 - FAILURE)) * deviation, deviation


def error_of(held: HeldOut, norm: float, floor: float) -> ErrorEstimate:
    """Return the error of L on clean entries in the form that every result carries."""
    return ErrorEstimate(
        value=held.clean_error, absolute=held.clean_error * norm, norm="fro", kind="estimated",
        method="rows and columns " + ("never sampled" if held.never_sampled else "drawn anew") + ", clean entries",
        upper=held.upper, failure_probability=held.failure_probability,
        standard_error=held.clean_standard_error, floor=floor, norm_of_A=norm,
        residual=held.clean_error * norm, residual_upper=held.upper * norm, cut="sum", of="L",
    )  # fmt: skip
