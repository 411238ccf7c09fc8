"""Who is compared on truncated SVDs: this library and its peers, each with the settings of its error-time curve.

Every library works in a process of its own, started with the environment that is compared (`ENVIRONMENTS`), so that
no library's idle threads and no library's thread limits disturb another's; one process works at a time.  The matrix
is passed as a file.  `python -m benchmarks.contenders FOLDER RANK LIBRARY` is such a process: it answers requests on
its standard input, a line of JSON each, with the seconds that one call took and how good its answer was.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine

__all__ = ["BARS", "ENVIRONMENTS", "PEERS", "Bar", "Peer", "Process", "environment", "ladders", "setting_text"]

# The two OpenBLAS copies of NumPy and SciPy spin against each other unless told to sleep soon: "tuned".
ENVIRONMENTS = {"as installed": {}, "tuned": {"OPENBLAS_THREAD_TIMEOUT": "10"}, "one thread": {"threads": "1"}}
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "RNLA_THREADS")


@dataclasses.dataclass(frozen=True)
class Peer:
    """A method of another library.

    `process` names the process that it shares with others of its library, `module` what must be installed, `ladder`
    the settings of its curve, the first of which is its default; an exact one is held to 1e-10.
    """

    name: str
    text: str
    module: str
    process: str
    ladder: tuple[dict[str, Any], ...] = ({},)
    environments: tuple[str, ...] = ("tuned",)
    dense: bool = True
    sparse: bool = True
    single: bool = True
    exact: bool = False

    def suits(self, a: Any) -> bool:
        """Whether it is installed and takes such a matrix."""
        is_dense = isinstance(a, np.ndarray)
        fits = (self.dense if is_dense else self.sparse) and (self.single or a.dtype != np.float32)
        # All of LAPACK's SVD of a large matrix takes minutes and teaches nothing.
        small = self.name != "lapack" or 26 * a.shape[0] * a.shape[1] * min(a.shape) < 8e11
        return fits and small and importlib.util.find_spec(self.module) is not None


@dataclasses.dataclass(frozen=True)
class Bar:
    """A setting of a peer whose error is to be reached."""

    peer: str
    setting: dict[str, Any]
    environment: str

    @property
    def name(self) -> str:
        return ", ".join(part for part in (PEERS[self.peer].text, setting_text(self.setting), self.environment) if part)


def _steps(key: str, *values: int) -> tuple[dict[str, Any], ...]:
    return ({}, *({key: value} for value in values))


PEERS = {
    peer.name: peer
    for peer in (
        Peer("sklearn", "sklearn randomized_svd", "sklearn", "sklearn", _steps("n_iter", 0, 1, 2, 3, 5, 7, 10),
             environments=("as installed", "tuned", "one thread")),
        Peer("torch", "torch svd_lowrank", "torch", "torch", _steps("niter", 7, 0, 1, 4, 10),
             environments=("as installed",)),
        Peer("fbpca", "fbpca.pca", "fbpca", "fbpca", _steps("n_iter", 0, 1, 4, 7, 10),
             environments=("tuned", "one thread")),
        Peer("arpack", "svds arpack", "scipy", "scipy", exact=True),
        Peer("propack", "svds propack", "scipy", "scipy", exact=True),
        Peer("lobpcg", "svds lobpcg", "scipy", "scipy", _steps("maxiter", 5, 10)),
        Peer("interpolative", "interpolative.svd", "scipy", "scipy", sparse=False, single=False),
        Peer("dask", "dask svd_compressed", "dask", "dask", _steps("n_power_iter", 1, 2, 4), sparse=False),
        Peer("lapack", "np.linalg.svd", "scipy", "scipy", sparse=False, exact=True),
    )
}  # fmt: skip

# Bars beyond each peer's default: what the documentation of torch.svd_lowrank calls for where accuracy matters.
BARS: dict[str, tuple[dict[str, Any], ...]] = {"torch": ({}, {"niter": 7})}

Rung = dict[str, Any]
DEEPEST = 12


def ladders(rank: int, shape: tuple[int, int], dense: bool = True) -> list[list[Rung]]:
    """Return our ladders, each of rungs that are ever slower and better."""
    ladders: list[list[Rung]] = [[{}]]
    blocks = (16, 24, 32, 40, 48) if rank < 100 else (24, 32, 48, 64, 72, 96)
    for block in blocks if dense else (8, *blocks):
        least = max(2, -(-rank // block))
        ladders.append([{"method": "BlockKrylov", "block_size": block, "depth": q} for q in range(least, DEEPEST + 1)])
    subspace = {"method": "SubspaceIteration"}
    ladders += [
        [{**subspace, "power_iterations": q, "oversampling": extra} for q in range(9)]
        for extra in sorted({10, rank // 2})
    ]
    if dense and min(shape) <= 1000:
        ladders.append([{"method": "GramEigh"}])
    return ladders


def setting_text(setting: dict[str, Any]) -> str:
    """Return a setting in a few characters."""
    short = {"BlockKrylov": "BK", "SubspaceIteration": "SI", "block_size": "b", "power_iterations": "q"}
    short |= {"oversampling": "p", "depth": "d"}
    text = " ".join(
        short.get(str(value), str(value)) if key == "method" else f"{short.get(key, key)}={value}"
        for key, value in setting.items()
    )
    return text


# ---------------------------------------------------------------------------------------- inside a process
def _sklearn(a: Any, k: int, **setting: Any) -> Any:
    from sklearn.utils.extmath import randomized_svd

    return randomized_svd(a, k, random_state=0, **setting)


def _torch(a: Any, k: int, **setting: Any) -> Any:
    import torch

    torch.manual_seed(0)
    u, s, v = torch.svd_lowrank(_as_tensor(a), q=min(k + 10, *a.shape), **setting)
    return u.numpy(), s.numpy(), v.mT.numpy()


_tensors: dict[int, Any] = {}


def _as_tensor(a: Any) -> Any:
    """Return torch's view of a matrix, made once: making a sparse one is not what is timed."""
    import torch

    if id(a) not in _tensors:
        if isinstance(a, np.ndarray):
            _tensors[id(a)] = torch.from_numpy(a)
        else:
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            parts = (torch.from_numpy(np.asarray(x)) for x in (a.indptr, a.indices, a.data))
            _tensors[id(a)] = torch.sparse_csr_tensor(*parts, size=a.shape, check_invariants=False)
    return _tensors[id(a)]


def _fbpca(a: Any, k: int, **setting: Any) -> Any:
    import fbpca

    np.random.seed(0)  # noqa: NPY002  it draws from there
    return fbpca.pca(a, k, raw=True, **setting)


def _svds(solver: str) -> Callable[..., Any]:
    def call(a: Any, k: int, **setting: Any) -> Any:
        from scipy.sparse.linalg import svds

        u, s, vh = svds(a, k, solver=solver, rng=np.random.default_rng(0), **setting)
        order = np.argsort(s)[::-1]
        return u[:, order], s[order], vh[order]

    return call


def _interpolative(a: Any, k: int, **setting: Any) -> Any:
    from scipy.linalg import interpolative

    u, s, v = interpolative.svd(a, k, rng=np.random.default_rng(0), **setting)
    return u, s, v.conj().T


def _dask(a: Any, k: int, **setting: Any) -> Any:
    import dask
    from dask.array import from_array, linalg

    rows, columns = a.shape
    chunks = (max(1, rows // 8), columns) if rows >= columns else (rows, max(1, columns // 8))
    return dask.compute(*linalg.svd_compressed(from_array(a, chunks), k, seed=0, **setting))


def _lapack(a: Any, k: int) -> Any:
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return u[:, :k], s[:k], vh[:k]


def _rnla(a: Any, k: int, **setting: Any) -> Any:
    import rnla

    rest = {key: value for key, value in setting.items() if key != "method"}
    chosen = {"method": getattr(rnla, setting["method"])(**rest)} if "method" in setting else rest
    return rnla.svd(a, k, rng=0, **chosen)


CALLS: dict[str, Callable[..., Any]] = {
    "rnla": _rnla, "sklearn": _sklearn, "torch": _torch, "fbpca": _fbpca, "dask": _dask, "lapack": _lapack,
    "interpolative": _interpolative, "arpack": _svds("arpack"), "propack": _svds("propack"), "lobpcg": _svds("lobpcg"),
}  # fmt: skip


LOADED = {"sklearn": "sklearn.utils.extmath", "dask": "dask.array", "scipy": "scipy.sparse.linalg"}


def answer(lines: Iterable[str], folder: Path, rank: int, library: str) -> None:
    """Answer requests, each `{"name", "setting", "judge"}`: run once, say how long it took and how good it was."""
    from benchmarks.cases import judge, load

    matrix = load(folder)
    importlib.import_module(LOADED.get(library, library))  # while the other processes load theirs
    print(json.dumps({"ready": list(matrix.A.shape)}), flush=True)
    warnings.simplefilter("ignore")  # what a peer has to say about its accuracy is measured instead
    for line in lines:
        request = json.loads(line)
        call = CALLS[request["name"]]
        neighbours = machine.Neighbours()
        begun = time.perf_counter()
        try:
            out = call(matrix.A, rank, **request["setting"])
        except Exception as error:  # noqa: BLE001  whatever a peer raises is its answer
            print(json.dumps({"failed": f"{type(error).__name__}: {error}"[:200]}), flush=True)
            continue
        said: dict[str, Any] = {"seconds": time.perf_counter() - begun}
        said["others"] = neighbours.share()
        if request["judge"]:
            said["excess"], said["value"] = judge(matrix, rank, *out)
        report = getattr(out, "report", None)
        if report is not None:
            said |= {"passes": report.passes, "products": report.products, "size": report.size}
            said["method"] = next((x.split(None, 1)[1] for x in str(report.plan).splitlines() if "method " in x), "")
            said["kernels"] = str(getattr(report, "kernels", "plain"))
        del out
        print(json.dumps(said), flush=True)


# ------------------------------------------------------------------------------------------ outside of it
def environment(kind: str, threads: int | None, **added: str) -> dict[str, str]:
    """Return the environment of a process; `threads` None leaves everybody to its own default."""
    chosen = dict(ENVIRONMENTS[kind])
    count = chosen.pop("threads", None if threads is None else str(threads))
    limits = {} if count is None else dict.fromkeys(THREADS, count)
    return {**os.environ, **chosen, **limits, **added}


class Process:
    """A process that holds the matrix and runs when told to."""

    def __init__(self, library: str, folder: Path, rank: int, environment: dict[str, str], rest: float = 0.05) -> None:
        command = [sys.executable, "-m", "benchmarks.contenders", str(folder), str(rank), library]
        root = Path(__file__).resolve().parent.parent
        self.rest = rest
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env=environment,
            start_new_session=True,  # of its own, whose priority it may raise
        )

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a contender ended with status {self.process.wait()}")
        return json.loads(line)  # type: ignore[no-any-return]

    def ready(self) -> tuple[int, int]:
        """Wait until the matrix is loaded; return its shape."""
        rows, columns = self._answer()["ready"]
        return rows, columns

    def run(self, name: str, setting: dict[str, Any], *, judge: bool = True) -> dict[str, Any]:
        """Run once; another process's threads have had `rest` seconds to stop spinning."""
        assert self.process.stdin is not None
        time.sleep(self.rest)
        self.process.stdin.write(json.dumps({"name": name, "setting": setting, "judge": judge}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            assert self.process.stdin is not None
            self.process.stdin.close()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where `cases.store` has put the matrix")
    parser.add_argument("rank", type=int)
    parser.add_argument("library", help="whose process this is")
    given = parser.parse_args()
    machine.raise_priority()
    answer(sys.stdin, given.folder, given.rank, given.library)


if __name__ == "__main__":
    main()
