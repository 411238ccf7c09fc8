"""Functions of matrices: roots after a low-rank change.

``ROOT_METHODS`` is the one table of methods; tests, files and documents read it.
"""

from rnla.matfun.closed_form import ClosedForm
from rnla.matfun.krylov_galerkin import KrylovGalerkin
from rnla.matfun.shift_adi import ShiftADI
from rnla.matfun.sqrtm_update import sqrtm_update

__all__ = ["ROOT_METHODS", "ClosedForm", "KrylovGalerkin", "ShiftADI", "sqrtm_update"]

ROOT_METHODS: dict[str, type[ShiftADI | KrylovGalerkin | ClosedForm]] = {
    "shift_adi": ShiftADI,
    "krylov_galerkin": KrylovGalerkin,
    "closed_form": ClosedForm,
}
