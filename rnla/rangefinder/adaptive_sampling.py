"""The adaptive range finder: samples until a bound from the next ones is small [halko2011]_ (Algorithm 4.2).

Problem: an orthonormal basis Q with norm((I - Q Q^H) A) <= eps in the spectral norm, its size not known before.

S1. Samples y_i = A omega_i, Gaussian omega_i; r of them ("probes") are always ahead of the basis.
S2. From r samples ahead, independent of Q:  norm((I - Q Q^H) A) <= 10 sqrt(2/pi) max_i norm(y_i)   (4.3).
S3. The next b samples, orthonormalized against Q, join it, with their image under A^H.
S4. b new samples A omega - Q (Q^H A) omega are drawn, and the ones ahead lose their part in the new columns.

S2 to S4 repeat.  Sample i is column i of one Gaussian matrix whatever the block size, so blocks of 1 are the paper's
algorithm vector by vector, and larger blocks (its Remark 4.2) span the same spaces.

Cost: 2 passes a block, 2 products of every column and one of the r samples that stay ahead.

Guarantee: a bound (4.3) fails with probability 10^-r (10^-2r for complex A, and the factor is 10 then); a search that
looks at it after every block, with at most the looks times that, which is the paper's min(m, n) 10^-r for b = 1.
The last bound and its probability stand in ``RangeBasis.bound`` and in the report's notes; a result's certificate is
made apart, by other columns.  Tested as `tests/rangefinder/test_adaptive_sampling.py`.

Differences from the paper: (1) blocks; (2) who wants the basis decides when it is enough, not the method: with
``goal.reached`` comparing ``basis.bound`` with eps it is the paper's loop; (3) where the samples ahead are down to
rounding, or zero, nothing is divided by them: the method ends, with a note, or fills what was asked with arbitrary
orthonormal columns; (4) the image is kept.

When: the spectral norm matters, and a cheap bound that is some ten times too large is welcome.  When not: slow
spectra, where a power iteration makes smaller bases (`Adaptive`).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from rnla._xp.linalg import column_norms, eps_of, frobenius, host_values, is_complex
from rnla._xp.namespace import namespace_of
from rnla.checks import check_whole
from rnla.operators.ledger import Ledger
from rnla.orth import CholeskyQR2, Orthonormalizer
from rnla.orth.extend import orthonormalize_against, project_out
from rnla.rangefinder.blocks import check_orthonormalizer, check_space, deflated, joined, like_of, view_of
from rnla.rangefinder.protocols import Goal, Riders
from rnla.rangefinder.repetition import until_enough, until_reached
from rnla.rangefinder.riding import Riding
from rnla.results import RangeBasis
from rnla.rng import Key

__all__ = ["AdaptiveSampling"]

_FACTOR = 10.0
_NOTE = "the method's own bound"


@dataclasses.dataclass(frozen=True, slots=True)
class AdaptiveSampling:
    """Samples in blocks, with an a posteriori bound from the samples that are ahead.

    Parameters
    ----------
    probes : int
        r: samples that are ahead of the basis; a bound from them fails with probability 10^-r.
    block_size : int
        b: columns that join at a time.
    oversampling : int or None
        Columns beyond the rank, where a rank is asked for; None: max(10, rank / 2).
    space : {"row", "column"} or None
        Where the basis lies; None: the columns' space, as in the paper.
    orthonormalizer : Orthonormalizer

    Examples
    --------
    >>> import numpy as np, rnla
    >>> A = np.diag(0.5 ** np.arange(100.0))
    >>> result = rnla.svd(A, tol=1e-6, norm="spectral", method=rnla.AdaptiveSampling(), rng=0)
    >>> result.error.upper <= 1e-6, result.resume.basis.bound < 1e-4
    (True, True)
    """

    probes: int = 10
    block_size: int = 10
    oversampling: int | None = None
    space: str | None = None
    orthonormalizer: Orthonormalizer = CholeskyQR2()

    def __post_init__(self) -> None:
        check_whole("probes", self.probes, 1)
        check_whole("block_size", self.block_size, 1)
        if self.oversampling is not None:
            check_whole("oversampling", self.oversampling)
        check_space(self.space)
        check_orthonormalizer(self.orthonormalizer)

    @property
    def leaves_one_out(self) -> bool:
        """Never: independent samples are ahead anyway."""
        return False

    def space_for(self, shape: tuple[int, int]) -> str:
        """Return the space of the basis of a matrix of this shape."""
        del shape
        return self.space or "column"

    def size_for(self, rank: int) -> int:
        """Return the columns of the basis for a rank."""
        return rank + (max(10, rank // 2) if self.oversampling is None else self.oversampling)

    def next_size(self, have: int, missing: int, limit: int) -> int:
        """Return the size of the next block: always the same, but for the last."""
        del missing
        return min(self.block_size, limit - have)

    def find(self, op: Ledger, goal: Goal, key: Key, riders: Riders, start: RangeBasis | None = None) -> RangeBasis:
        """Return a basis of ``goal.size`` columns; without a size, as many blocks as the goal wants."""

        def add(basis: RangeBasis | None, size: int, more: bool) -> RangeBasis:
            return self.add_block(op, basis, size, key, riders, more=more)

        if goal.size is None:
            return until_reached(goal, start, self.next_size, lambda *given: self._unless_done(add, *given))
        return until_enough(goal, start, self.block_size, add)

    def _unless_done(self, add: Any, basis: RangeBasis | None, size: int, more: bool) -> RangeBasis:
        """Add a block, unless the samples ahead say that there is nothing left but rounding."""
        if (
            basis is not None
            and basis.bound is not None
            and basis.bound <= _factor(basis.image.dtype) * _rounding(basis)
        ):
            note = "the samples ahead of the basis are rounding: there is nothing more to find"
            return dataclasses.replace(basis, notes=(*basis.notes, note))
        grown: RangeBasis = add(basis, size, more)
        return grown

    def add_block(
        self, op: Ledger, start: RangeBasis | None, size: int, key: Key, riders: Riders, *, more: bool = True
    ) -> RangeBasis:
        """Return the basis with one block more, the samples ahead of it, and the bound from them."""
        del more
        space = self.space_for(op.shape) if start is None else start.space
        view = view_of(op, space)
        p, xp = view.shape[0], op.xp
        riding = Riding(view, riders if start is None else Riders(), key.child("test-matrix", 0), like_of(op))
        samples = self._ahead(op, start)
        drawn = (0 if start is None else start.size) + (0 if samples is None else int(samples.shape[1]))
        wanted = size + self.probes - (0 if samples is None else int(samples.shape[1]))
        if wanted > 0:  # S1, S4
            omega = key.child("test-matrix").normals(0, p, wanted, first_column=drawn, **like_of(op))
            fresh = deflated(riding.rmatmat(omega), start, omega)
            samples = fresh if samples is None else xp.concat([samples, fresh], axis=1)
        assert samples is not None
        named = key.child("test-matrix", 0 if start is None else len(start.blocks))
        old = None if start is None else start.basis
        x = orthonormalize_against(old, samples[:, :size], self.orthonormalizer, named)  # S3
        y = riding.matmat(x)
        riding.finish()
        grown = joined(start, space, x, y, **(riding.fields() if start is None else {}))
        ahead = project_out(x, samples[:, size:])
        return self._bounded(op, grown, ahead)

    def _bounded(self, op: Ledger, basis: RangeBasis, ahead: Any) -> RangeBasis:
        """Return the basis with the samples ahead of it, and the bound that they give (S2)."""
        largest = max(float(host_values(column_norms(ahead)).max(initial=0.0)), _rounding(basis))
        several = 2 if is_complex(ahead.dtype) else 1
        bound = largest * _factor(ahead.dtype)
        failure = min(1.0, len(basis.blocks) * 10.0 ** (-several * int(ahead.shape[1])))
        note = (
            f"{_NOTE} on the spectral error of the whole basis is {math.ldexp(bound, op.exponent):.2e}, "
            f"but with probability {failure:.0e}"
        )
        notes = (*(n for n in basis.notes if not n.startswith(_NOTE)), note)
        return dataclasses.replace(
            basis, ahead=ahead, ahead_of=type(self).__name__, bound=bound, bound_failure=failure, notes=notes
        )

    def _ahead(self, op: Ledger, start: RangeBasis | None) -> Any:
        """Return the samples ahead of a basis, where this method left them in the library of A."""
        if start is None or start.ahead_of != type(self).__name__ or start.ahead is None:
            return None
        return start.ahead if namespace_of(start.ahead) is op.xp else None

    def passes(self, op: Ledger, size: int, have: int = 0) -> int:
        """Return the passes of a basis of this size, from one of `have` columns."""
        return 2 * -(-(size - have) // self.block_size)

    def passes_of_step(self, op: Ledger) -> int:
        """Return the passes of one block."""
        return 2

    def products(self, op: Ledger, size: int) -> float:
        """Return the columns multiplied in all."""
        return 2.0 * size + self.probes


def _factor(dtype: Any) -> float:
    """Return the factor of (4.3): for circular complex samples the one of real ones over sqrt(2 / pi)."""
    return _FACTOR * (1.0 if is_complex(dtype) else math.sqrt(2 / math.pi))


def _rounding(basis: RangeBasis) -> float:
    """Return the size of samples that are nothing but the rounding of what was taken out of them."""
    return 10 * eps_of(basis.image.dtype) * frobenius(basis.image)
