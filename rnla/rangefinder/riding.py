"""The columns that ride in the first products of a basis: probes for its error, and the test of the adjoint.

S1. Probes G and test columns H_in, in the space of the basis, ride in the first product with the matrix.
S2. Test columns H_out, in the space of the image, ride in the first product with its adjoint.
S3. Once both have come back, <A H_in, H_out> = <H_in, A^H H_out> is required (`rnla.operators.verify`).

So an operator whose adjoint is wrong is refused before anything is built on it, and no pass is spent.
"""

from __future__ import annotations

from typing import Any

from rnla._xp.namespace import namespace_of
from rnla.operators.algebra import Adjoint
from rnla.operators.verify import require_adjoint
from rnla.rangefinder.protocols import Riders
from rnla.rng import Key
from rnla.sketch import TestMatrix
from rnla.sketch.product import sketch_product

__all__ = ["Riding"]

_TEST_COLUMNS = 2


class Riding:
    """The riders of one basis, and what their products brought.

    Parameters
    ----------
    view : LinearOperator
        The matrix that has the basis in its row space: A itself, or its adjoint.
    riders : Riders
    key : Key
        Of the first block.
    like : dict
        dtype, xp and device.
    """

    __slots__ = ("_back", "_forth", "_h_in", "_h_out", "_tested", "_view", "probed", "probes")

    def __init__(self, view: Any, riders: Riders, key: Key, like: dict[str, Any]) -> None:
        p, r = view.shape
        test, columns = key.child("adjoint-test"), _TEST_COLUMNS if riders.adjoint_test else 0
        self._view = view
        self.probes = key.child("error-probes").normals(0, r, riders.probes, **like)
        self.probed: Any = None
        self._h_in = test.child("in").normals(0, r, columns, **like)
        self._h_out = test.child("out").normals(0, p, columns, **like)
        self._forth: Any = None
        self._back: Any = None
        self._tested = not riders.adjoint_test

    def matmat(self, x: Any) -> Any:
        """Return A X; the first time the probes and half of the test ride along (S1)."""
        if self.probed is not None or (self._tested and self.probes.shape[1] == 0):
            return self._view.matmat(x)
        size, count = int(x.shape[1]), int(self.probes.shape[1])
        y = self._view.matmat(namespace_of(x).concat([x, self.probes, self._h_in], axis=1))
        self.probed, self._forth = y[:, size : size + count], y[:, size + count :]
        self._test()
        return y[:, :size]

    def rmatmat(self, y: Any) -> Any:
        """Return A^H Y; the first time the other half of the test rides along (S2)."""
        if self._tested or self._back is not None:
            return self._view.rmatmat(y)
        size = int(y.shape[1])
        w = self._view.rmatmat(namespace_of(y).concat([y, self._h_out], axis=1))
        self._back = w[:, size:]
        self._test()
        return w[:, :size]

    def sketched(self, sketch: TestMatrix, columns: int, key: Key) -> Any:
        """Return A^H Omega by the fastest road for the test matrix; half of the test rides along (S2)."""
        other: Any = self._view.base if isinstance(self._view, Adjoint) else Adjoint(self._view)
        if self._tested or self._back is not None:
            return sketch_product(other, sketch, columns, key)
        w = sketch_product(other, sketch, columns, key, beside=self._h_out)
        self._back = w[:, columns:]
        self._test()
        return w[:, :columns]

    def normal_product(self, x: Any) -> tuple[Any, Any]:
        """Return (A^H A X, A X), in one pass where the matrix can."""
        if not self._tested:
            y = self.matmat(x)
            return self.rmatmat(y), y
        if self.probed is not None or self.probes.shape[1] == 0:
            w, y = self._view.normal_product(x)
            return w, y
        size = int(x.shape[1])
        w, y = self._view.normal_product(namespace_of(x).concat([x, self.probes], axis=1))
        self.probed = y[:, size:]
        return w[:, :size], y[:, :size]

    def finish(self) -> None:
        """Make the half of the test whose product was not needed otherwise."""
        if self._tested:
            return
        if self._forth is None:
            self._forth = self._view.matmat(self._h_in)
        if self._back is None:
            self._back = self._view.rmatmat(self._h_out)
        self._test()

    def fields(self) -> dict[str, Any]:
        """Return what a basis keeps of the probes."""
        kept = self.probed is not None and self.probes.shape[1] > 0
        return {"probes": self.probes if kept else None, "probed": self.probed if kept else None}

    def _test(self) -> None:
        if self._forth is not None and self._back is not None and not self._tested:  # S3
            self._tested = True
            require_adjoint(self._h_in, self._forth, self._h_out, self._back)
