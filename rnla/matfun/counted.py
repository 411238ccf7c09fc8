"""How often a root was multiplied and solved with, counted where it is done, so that no method can misreport."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

from rnla.config import get_config
from rnla.errors import BudgetError
from rnla.iterate import current_watch

__all__ = ["Counts", "recounted"]


@dataclasses.dataclass(slots=True)
class Counts:
    """Work done with a root.

    Attributes
    ----------
    passes : int
        Calls of ``matmat`` and ``shifted_solve``.
    products, solves : int
        Columns multiplied and solved with.
    """

    passes: int = 0
    products: int = 0
    solves: int = 0

    def product(self, x: Any) -> None:
        """Count H X."""
        self.products += int(x.shape[1])
        self._pass()

    def solve(self, x: Any) -> None:
        """Count (H + s I)^{-1} X."""
        self.solves += int(x.shape[1])
        self._pass()

    def _pass(self) -> None:
        limit = get_config().max_passes
        if limit is not None and self.passes >= limit:
            raise BudgetError(f"max_passes={limit} is used up, and the root is needed once more; allow more passes")
        self.passes += 1
        watch = current_watch()
        if watch is not None:
            watch.passes = float(self.passes)


def recounted(root: Any) -> Any:
    """Return the same root with counts of its own; all that it holds is shared."""
    other = copy.copy(root)
    other.counts = Counts()
    return other
