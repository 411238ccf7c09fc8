"""A video parted into its background, which has low rank as a matrix of frames, and what moves, which is sparse.

    python -m examples.robust.background [--small] [--out FOLDER]

The video is generated: a room in three kinds of light that change, a person, a cart and a ball that cross it, noise
with a standard deviation of 0.01.  Rows are frames, columns are pixels.  The same is then done from a file of 8-bit
frames that is never held whole: RieCUR reads the frames and pixels that it samples, from a mapped file, and the
foreground is made a few frames at a time.

Checked: RieCUR and IRCUR find the pixels in front of the background (F1 above 0.98 against what was generated, also
from 8 bits) and the background to half of the noise; the held-out certificate accepts; every method does both better
than the leading singular vectors; from the file, with less memory than half of the matrix takes.  AccAltProj leaves
trails of what moves in the background here, as the figures that are printed show.
"""

from __future__ import annotations

import math
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np

import rnla
from examples.pictures import style
from examples.robust.video import RANK, Video

Array = np.ndarray[Any, Any]

LEAST = 5.0  # thresholds, in standard deviations of the noise
METHODS = {"RieCUR": "riecur", "IRCUR": "ircur", "AccAltProj": "accaltproj"}
BARS = {"RieCUR": (0.98, 0.5), "IRCUR": (0.9, 1.0)}
"""F1 of the foreground at least, and error of the background at most, over the noise.

The skeleton that IRCUR ends with carries the noise of one cross.
"""


def f1(found: Array, truth: Array) -> float:
    """Return the harmonic mean of precision and recall."""
    return 2 * float((found & truth).sum()) / float(found.sum() + truth.sum())


def parted(D: Any, noise: float, method: str = "riecur") -> Any:
    """Return the parts of frames with noise.

    No difference under five standard deviations of the noise counts as an outlier.  Without a tolerance the work ends
    where the iteration stands still on that level; whether the answer is good is told by the certificate.
    """
    return rnla.robust_pca(
        D, RANK, method=method, threshold=rnla.Threshold(least=LEAST * noise), on_failure="return", rng=0
    )


def compared(video: Video, D: Array) -> dict[str, tuple[float, float]]:
    """Return the F1 of the foreground and the error of the background, over the noise, for each method."""
    background, truth = video.background(0, video.frames), video.visible(0, video.frames, LEAST * video.noise)
    found: dict[str, tuple[float, float]] = {}

    def judged(name: str, L: Array, S: Array) -> str:
        error = math.sqrt(float(((L - background) ** 2).mean())) / video.noise
        found[name] = f1(S, truth), error
        return f"F1 of the foreground {found[name][0]:.4f}, error of the background {error:.2f} of the noise"

    for name, method in METHODS.items():
        result = parted(D, video.noise, method)
        said = judged(name, result.L.to_array(), result.S.to_array() != 0)
        if name in BARS:
            assert result.held_out.accepted
        read = result.entries_read / D.size
        print(f"  {name:<12} {said}; {result.iterations} iterations, {read:.1f} times the matrix read")
    U, s, Vh = rnla.svd(D, RANK, rng=0)
    plain = (U * s) @ Vh
    print(f"  {'plain SVD':<12} {judged('plain SVD', plain, np.abs(D - plain) > LEAST * video.noise)}")
    return found


def check(found: dict[str, tuple[float, float]]) -> None:
    """Raise unless the methods do what the module says."""
    plain = found["plain SVD"]
    for name in METHODS:
        score, error = found[name]
        assert score > plain[0]
        assert error < plain[1]
        least, most = BARS.get(name, (0.0, math.inf))
        assert score > least, (name, score)
        assert error < most, (name, error)


def from_file(video: Video) -> None:
    """Part a video that lies in a file, and check what was read and held."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.npy"
        frames = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(video.frames, video.pixels))
        for start in range(0, video.frames, 100):
            stop = min(start + 100, video.frames)
            frames[start:stop] = np.clip(np.rint(255 * video.chunk(start, stop)[0]), 0, 255)
        frames.flush()
        del frames

        D = np.load(path, mmap_mode="r")
        noise = math.hypot(255 * video.noise, 1 / math.sqrt(12))  # and that of rounding to 256 values
        tracemalloc.start()
        result = parted(D, noise)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        whole = 8 * D.size
        hits = both = truths = 0
        for start in range(0, video.frames, 100):
            stop = min(start + 100, video.frames)
            found = result.S.rows(np.arange(start, stop)) != 0
            truth = video.visible(start, stop, LEAST * noise / 255)
            hits, truths, both = hits + found.sum(), truths + truth.sum(), both + (found & truth).sum()
        score = 2 * both / (hits + truths)
        print(
            f"  from a file  {video.frames} frames of {video.height} x {video.width} in 8 bits, "
            f"{D.nbytes / 1e6:.0f} MB ({whole / 1e6:.0f} MB as numbers): {result.report.seconds:.2f} s, "
            f"{peak / 1e6:.0f} MB, F1 {score:.4f}; "
            f"{result.held_out}"
        )
        assert result.held_out.accepted
        assert result.held_out.never_sampled
        assert 2 * peak < whole
        assert score > 0.98
        del D


def main(small: bool, out: Path) -> Path:
    video = Video(400, 48, 64) if small else Video(600, 90, 120)
    D = video.chunk(0, video.frames)[0]
    print(f"  a generated video: {video.frames} frames of {video.height} x {video.width}")
    found = compared(video, D)
    check(found)

    L, S = parted(D, video.noise)
    plain = rnla.svd(D, RANK, rng=0).as_operator()
    chosen = [round(share * (video.frames - 1)) for share in (0.1, 0.5, 0.83)]
    titles = ("frame", "background, plain SVD", "background, RieCUR", "foreground, $|S|$", "found and missed")
    figure, axes = style.panels(len(chosen), len(titles), width=10.5, height=5.3)
    for row, frame in zip(axes, chosen, strict=True):
        parts = S.rows([frame])[0]
        truth = video.visible(frame, frame + 1, LEAST * video.noise)[0]
        judged = np.ones((video.pixels, 3))
        for where, colour in (
            (truth & (parts != 0), style.BLACK), (truth & (parts == 0), style.ORANGE),
            (~truth & (parts != 0), style.BLUE),
        ):  # fmt: skip
            judged[where] = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        one = np.eye(video.frames)[:, frame]
        pictures = [D[frame], plain.T @ one, L.T @ one, np.abs(parts), judged]
        for axis, picture in zip(row, pictures, strict=True):
            shape = (video.height, video.width, *picture.shape[1:])
            axis.imshow(picture.reshape(shape), cmap="gray", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
            axis.grid(visible=False)
            axis.spines[:].set_visible(axis is row[-1])
        row[0].set_ylabel(f"number {frame}")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title)
    scores = ", ".join(f"{name} {found[name][0]:.3f}" for name in (*METHODS, "plain SVD"))
    figure.suptitle(
        f"A generated video of {video.frames} frames, {video.height} x {video.width}: light drifts, three things move. "
        f"F1 of the foreground:\n{scores}",
        x=0.01, ha="left", fontsize=10,
    )  # fmt: skip
    figure.supxlabel(
        "last column: black what moves and was found, orange what was missed, blue what was found where nothing moves",
        fontsize=8.5,
    )  # fmt: skip
    path = style.save(figure, out, "robust_background")

    from_file(Video(1600, 48, 64) if small else Video(3000, 120, 160))
    return path


if __name__ == "__main__":
    style.command_line(__doc__, main)
