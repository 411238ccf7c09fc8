"""The correction of a root from products with A alone, by projection on a block Krylov space of A."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class KrylovOnA:
    """x."""
