"""Functions of matrices: roots after a low-rank change.

``ROOT_METHODS`` is the one table of methods; tests, files and documents read it.
"""

from rnla.matfun.closed_form import ClosedForm
from rnla.matfun.dense_eigh import DenseEigh
from rnla.matfun.finished_root import FinishedRoot
from rnla.matfun.krylov_galerkin import KrylovGalerkin
from rnla.matfun.krylov_on_a import KrylovOnA
from rnla.matfun.newton_kleinman import NewtonKleinman
from rnla.matfun.shift_adi import ShiftADI
from rnla.matfun.sqrt_state import SqrtState
from rnla.matfun.sqrtm_update import sqrtm_update

__all__ = [
    "ROOT_METHODS",
    "ClosedForm",
    "DenseEigh",
    "FinishedRoot",
    "KrylovGalerkin",
    "KrylovOnA",
    "NewtonKleinman",
    "ShiftADI",
    "SqrtState",
    "sqrtm_update",
]

ROOT_METHODS: dict[str, type[ShiftADI | KrylovGalerkin | KrylovOnA | ClosedForm | NewtonKleinman | DenseEigh]] = {
    "shift_adi": ShiftADI,
    "krylov_galerkin": KrylovGalerkin,
    "krylov_on_a": KrylovOnA,
    "closed_form": ClosedForm,
    "newton_kleinman": NewtonKleinman,
    "dense_eigh": DenseEigh,
}
