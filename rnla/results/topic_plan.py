"""The plan of a problem outside the pipeline, and the one table through which such problems are found.

The layers below a topic do not import it: `rnla.plan` and `rnla.load` look its names up here, and import its room when
they are asked for one.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from rnla.errors import InputError

__all__ = ["TOPICS", "TOPIC_PARTS", "TopicPlan", "planner_of", "size_in_words"]

TOPICS: dict[str, str] = {
    "robust_pca": "rnla.robust.planning",
    "sqrtm_update": "rnla.matfun.sqrtm_update",
}
"""Problem -> the module whose ``plan`` plans it."""

TOPIC_PARTS: dict[str, str] = {
    "AccAltProj": "rnla.robust.accelerated",
    "AlternatingProjections": "rnla.robust.alternating",
    "ClosedForm": "rnla.matfun",
    "DenseEigh": "rnla.matfun",
    "HeldOut": "rnla.results.robust_result",
    "IRCUR": "rnla.robust.cross",
    "KrylovGalerkin": "rnla.matfun",
    "KrylovOnA": "rnla.matfun",
    "NewtonKleinman": "rnla.matfun",
    "PrincipalComponentPursuit": "rnla.robust.pursuit",
    "ShiftADI": "rnla.matfun",
    "RieCUR": "rnla.robust.cross",
    "Threshold": "rnla.robust.thresholds",
}
"""Class of a part of a topic -> its module."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class TopicPlan:
    """What a problem outside the pipeline would do, and why.

    Attributes
    ----------
    problem : str
        The function, without ``rnla.``.
    method : object
        The part that does it; may be passed back as ``method=``.
    shape, dtype, kind
        Of the matrix; kind is a word such as "diagonal".
    lines : tuple of (str, str)
        What else is worth knowing before the work: name and text.
    flops, bytes, seconds : float, int, float
        Work, peak memory beside the input, and time where the rates were measured; nan where nothing is predicted.
    reasons : tuple of str
    """

    problem: str
    method: Any
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    kind: str
    lines: tuple[tuple[str, str], ...]
    flops: float
    bytes: int
    seconds: float
    reasons: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The method in one line."""
        return str(getattr(self.method, "summary", None) or getattr(self.method, "name", type(self.method).__name__))

    def __str__(self) -> str:
        rows = [
            ("matrix", f"{self.shape[0]} x {self.shape[1]}, {self.kind}, computed in {self.dtype}"),
            ("method", self.summary),
            *self.lines,
            ("work", f"{self.flops:.2g} flops, about {self.seconds:.2g} s where the rates were measured"),
            ("memory", f"{size_in_words(self.bytes)} beside the input"),
        ]
        width = max(len(name) for name, _ in rows)
        lines = [f"  {name:<{width}} {text}" for name, text in rows]
        return "\n".join([f"Plan of {self.problem}", *lines, *(f"  {'because':<{width}} {r}" for r in self.reasons)])

    __repr__ = __str__


def size_in_words(count: float) -> str:
    """Return a number of bytes as a person reads it.

    Examples
    --------
    >>> size_in_words(3 << 20)
    '3 MiB'
    """
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} GiB"


def planner_of(problem: str) -> Callable[..., TopicPlan]:
    """Return the function that plans a problem of a topic.

    Raises
    ------
    InputError
        No such problem.
    """
    home = TOPICS.get(problem)
    if home is None:
        raise InputError(f"problem={problem!r} is not one of {', '.join(map(repr, ['svd', *TOPICS]))}")
    return cast("Callable[..., TopicPlan]", importlib.import_module(home).plan)
