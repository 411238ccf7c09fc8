"""What was done, how it ended, and what a later request goes on from."""

from __future__ import annotations

import dataclasses
import enum
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from rnla.results.bases import RangeBasis
from rnla.results.topic_plan import TOPICS

__all__ = ["Report", "Resume", "Status", "register_resumer", "resumer"]


class Status(enum.Enum):
    """How a call ended; the value says in words what happened and what to try."""

    MET = "what was asked was reached"
    RANK_CAP = (
        "the rank cap stopped the work before the tolerance was met: the spectrum decays too slowly for it; "
        "give a larger rank, or a larger tol"
    )
    NOT_CERTIFIED = (
        "the tolerance could not be certified: the error may be near the rounding level of the dtype; "
        "give a larger tol, or double precision where A is in single"
    )
    PASSES = "max_passes was used up before the tolerance was met; allow more passes or give a larger tol"
    MEMORY = (
        "the memory budget was used up before the tolerance was met; set a larger memory_budget, or give a larger tol"
    )
    DEADLINE = "the deadline passed first; allow more time, or ask for less"
    ITERATIONS = (
        "the limit of iterations was reached before the tolerance was met; allow more of them, or give a larger tol"
    )
    DIVERGED = (
        "the iteration diverged or stood still: too many outliers for this method, a wrong rank, or noise above tol; "
        "give a slower decay, more samples, a larger tol, or a method that reads all of the matrix"
    )
    REFUSED = (
        "what was never looked at before contradicts the answer: it fits the sampled entries only; "
        "give a slower decay, more samples, or another rank"
    )

    @property
    def ok(self) -> bool:
        """Whether everything asked was reached."""
        return self is Status.MET


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What was done.

    Attributes
    ----------
    plan : Plan
        The plan that was followed.
    shape : tuple of int
        Of the matrix.
    rank, size : int
        Rank returned, and columns of the basis that it was taken from.
    blocks : tuple of int
        Sizes of the blocks of the basis.
    passes, scans, products : int
        Times the data were read for products, and for norms alone; columns multiplied.
    seed : int
        ``rng=report.seed`` repeats the call.
    dtype_path : str
        Input, compute and output dtype.
    backend, device : str
        Of the arrays.
    copies : tuple of str
        Copies as large as A that were made.
    numerical_rank : int
        Singular values above the rounding level of the largest.
    deterministic : bool
        Whether repeated runs give equal bits for any number of threads.
    seconds : float
        Wall time.
    notes : tuple of str
        Choices made on the way.
    kernels : str
        What products with NumPy arrays worked with: ``"plain"`` for BLAS on tiles, or which compiled kernels.
    """

    plan: Any
    shape: tuple[int, int]
    rank: int
    size: int
    blocks: tuple[int, ...]
    passes: int
    scans: int
    products: int
    seed: int
    dtype_path: str
    backend: str
    device: str
    copies: tuple[str, ...]
    numerical_rank: int
    deterministic: bool
    seconds: float
    notes: tuple[str, ...] = ()
    kernels: str = "plain"


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Resume:
    """What a later request needs to go on: frozen, picklable, without the matrix.

    Attributes
    ----------
    name : str
        The driver that registered a resumer.
    basis : RangeBasis
        Of the scaled matrix.
    singular_values : numpy.ndarray
        All of them, of the whole basis, of the scaled matrix.
    exponent : int
        The power of two that A was scaled down by.
    frobenius : float
        Norm of the scaled matrix, nan where it is not known.
    method : object
        The part that found the basis.
    request : dict
        What was asked: rank, tol, norm.
    seed : int
        Of the key.
    """

    name: str
    basis: RangeBasis
    singular_values: np.ndarray[Any, Any]
    exponent: int
    frobenius: float
    method: Any
    request: dict[str, Any]
    seed: int


Resumer = Callable[..., Any]
_resumers: dict[str, Resumer] = {}


def register_resumer(name: str, resumer: Resumer) -> None:
    """Name the function that `SVDResult.extend` calls for results of a driver."""
    _resumers[name] = resumer


def resumer(name: str) -> Resumer:
    """Return the function registered for a driver, which is imported if need be."""
    if name not in _resumers:
        importlib.import_module(TOPICS.get(name, f"rnla.factorization.{name}"))
    return _resumers[name]
