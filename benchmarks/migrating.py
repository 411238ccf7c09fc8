"""What the neighbours do at their defaults, beside `rnla.svd`: the table of docs/migrating.md.

    python -m benchmarks.migrating [--page docs/migrating.md]

Accuracy: dense 1000 x 800, rank 20, singular values 1/i and exp(-i/30), factors at defaults; the Frobenius
excess over the optimum and the worst relative error of a singular value.  Then what each does with other input.
"""

from __future__ import annotations

import argparse
import multiprocessing
import warnings
from collections.abc import Callable
from pathlib import Path
from queue import Empty
from typing import Any

import numpy as np

from benchmarks.cases import Matrix, judge, orthogonal_mix

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
RANK = 20
PATIENCE = 20.0  # seconds after which a call is said not to return


def _sklearn(a: Any, k: int) -> Any:
    from sklearn.utils.extmath import randomized_svd

    return randomized_svd(a, k, random_state=0)


def _truncated(a: Any, k: int) -> Any:
    from sklearn.decomposition import TruncatedSVD

    made = TruncatedSVD(k, random_state=0)
    scores = made.fit_transform(a)
    return scores / made.singular_values_, made.singular_values_, made.components_


def _svds(a: Any, k: int) -> Any:
    from scipy.sparse.linalg import svds

    u, s, vh = svds(a, k, rng=np.random.default_rng(0))
    return u[:, ::-1], s[::-1], vh[::-1]


def _torch(a: Any, k: int) -> Any:
    import torch

    torch.manual_seed(0)
    u, s, v = torch.svd_lowrank(torch.from_numpy(a), q=k)
    return u.numpy(), s.numpy(), v.mH.numpy()


def _interpolative(a: Any, k: int) -> Any:
    from scipy.linalg import interpolative

    u, s, v = interpolative.svd(a, k, rng=np.random.default_rng(0))
    return u, s, v.conj().T


def _rnla(a: Any, k: int) -> Any:
    import rnla

    return rnla.svd(a, k, rng=0)


def _rnla_seven(a: Any, k: int) -> Any:
    import rnla

    return rnla.svd(a, k, power_iterations=7, rng=0)


CALLS: dict[str, Callable[[Any, int], Any]] = {
    "`rnla.svd(A, k)`": _rnla,
    "`randomized_svd(A, k)`": _sklearn,
    "`TruncatedSVD(k)`": _truncated,
    "`svds(A, k)`": _svds,
    "`torch.svd_lowrank(A, q=k)`": _torch,
    "`interpolative.svd(A, k)`": _interpolative,
}


def spectra() -> dict[str, Matrix]:
    i = np.arange(1, 801, dtype=float)
    made = {"1/i": 1 / i, "exp(-i/30)": np.exp(-i / 30)}
    return {name: Matrix(orthogonal_mix(s, 1000, 800), s, float(np.linalg.norm(s))) for name, s in made.items()}


def special(kind: str) -> np.ndarray:
    """Return a small matrix of the kind; rank 5 of it is asked for."""
    rng = np.random.default_rng(1)
    real = rng.standard_normal((60, 40)) * 0.6 ** np.arange(40)
    if kind == "complex":
        return real + 1j * rng.standard_normal((60, 40)) * 0.6 ** np.arange(40)
    if kind == "integers":
        return np.round(100 * real).astype(np.int64)
    if kind == "NaN":
        real[3, 4] = np.nan
        return real
    if kind == "scaled 1e-170":
        return real * 1e-170
    raise ValueError(kind)


KINDS = ("complex", "integers", "NaN", "scaled 1e-170")


def behaviour(name: str, kind: str) -> str:
    """Return in a few words what a call does with a matrix of the kind."""
    a = special(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            U, s, Vh = CALLS[name](a, 5)
        except Exception as error:  # noqa: BLE001 (whatever a peer raises is the finding)
            return f"raises {type(error).__name__}"
        if not all(np.isfinite(np.asarray(part)).all() for part in (U, s, Vh)):
            return "returns NaN, silently"
        exact = np.linalg.svd(a.astype(np.result_type(a, np.float64)) * (1e170 if kind.startswith("scaled") else 1))[1]
        if kind.startswith("scaled"):
            s = s * 1e170
        gap = float(np.max(np.abs(s - exact[:5]) / exact[:5]))
        unit = float(np.linalg.norm(np.asarray(U).conj().T @ U - np.eye(5)))
        if gap > 0.5 or unit > 0.1:
            return f"silently wrong: singular values by {gap:.0%}" + (", U not orthonormal" if unit > 0.1 else "")
        return "right" if gap < 1e-2 else f"singular values off by {gap:.0%}"


def _tell(queue: Any, name: str, kind: str) -> None:
    queue.put(behaviour(name, kind))


def guarded(name: str, kind: str) -> str:
    """Return the behaviour, found in a process of its own that is ended when it hangs."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_tell, args=(queue, name, kind))
    process.start()
    try:
        return str(queue.get(timeout=PATIENCE))
    except Empty:
        return f"does not return within {PATIENCE:.0f} s"
    finally:
        process.kill()
        process.join()


def tolerances(matrices: dict[str, Matrix]) -> list[str]:
    """Return the ranks that a tolerance in the spectral norm leads to."""
    from scipy.linalg import interpolative

    import rnla

    lines = ["| a tolerance of 0.02, spectral norm | " + " | ".join(f"{name}: rank, error" for name in matrices) + " |"]
    lines.append("| --- |" + " --- |" * len(matrices))
    cells: dict[str, list[str]] = {"least possible": [], "`rnla.svd`": [], "`interpolative.svd`": []}
    for matrix in matrices.values():
        best = int(np.count_nonzero(matrix.s > 0.02 * matrix.s[0]))
        cells["least possible"].append(f"{best}, {matrix.s[best] / matrix.s[0]:.4f}")
        U, s, Vh = rnla.svd(matrix.A, tol=0.02, norm="spectral", rng=0)
        left, values, right = interpolative.svd(matrix.A, 0.02, rng=np.random.default_rng(0))
        for name, factors in (
            ("`rnla.svd`", (U, s, Vh)),
            ("`interpolative.svd`", (left, values, right.conj().T)),
        ):
            rest = matrix.A - (factors[0] * factors[1]) @ factors[2]
            error = np.linalg.norm(rest, 2) / matrix.s[0]
            cells[name].append(f"{len(factors[1])}, {error:.4f}")
    return lines + [f"| {name} | " + " | ".join(row) + " |" for name, row in cells.items()]


def tables() -> str:
    """Return both tables in the page's form."""
    matrices = spectra()
    lines = ["| at its defaults | " + " | ".join(f"{name}: excess; sv error" for name in matrices) + " |"]
    lines.append("| --- |" + " --- |" * len(matrices))
    for name, call in {**CALLS, "`rnla.svd(A, k, power_iterations=7)`": _rnla_seven}.items():
        cells = []
        for matrix in matrices.values():
            excess, value = judge(matrix, RANK, *call(matrix.A, RANK))
            cells.append(f"{max(excess, 0):.0e}; {value:.0e}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", *tolerances(matrices)]
    lines += ["", "| given | " + " | ".join(KINDS) + " |", "| --- |" + " --- |" * len(KINDS)]
    for name in CALLS:
        lines.append(f"| {name} | " + " | ".join(guarded(name, kind) for kind in KINDS) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    text = tables()
    print(text)
    if given.page:
        page = given.page.read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        _, after = rest.split(END)
        given.page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
