"""A generated video: a room whose light changes, three things that move through it, and the noise of a camera."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

RANK = 3
"""Of the background, a frame in a row: the room in the light of the sky, of a lamp, and in the shade of a tree."""


@dataclasses.dataclass(frozen=True)
class Mover:
    """Something opaque with stripes that crosses the room again and again.

    Attributes
    ----------
    radius, length : float
        Half its height and half its width, in heights of the frame.
    light, dark : float
        Its brightness, between 0 and 1.
    start, stop : tuple of float
        Where its centre (x, y) enters and leaves, in heights of the frame.
    crossings : float
        How often it passes through the whole video.
    rest : float
        Share of each crossing that it stands still in the middle.
    """

    radius: float
    length: float
    light: float
    dark: float
    start: tuple[float, float]
    stop: tuple[float, float]
    crossings: float
    rest: float = 0.0

    def centre(self, time: float) -> tuple[float, float]:
        """Return its centre at a time between 0 and 1."""
        phase, half = (time * self.crossings) % 1, (1 - self.rest) / 2
        moved = phase if phase < half else max(half, phase - self.rest)
        way = moved / (2 * half)
        return tuple(a + (b - a) * way for a, b in zip(self.start, self.stop, strict=True))  # type: ignore[return-value]


MOVERS = (
    Mover(0.13, 0.05, 0.95, 0.75, (-0.1, 0.62), (1.45, 0.72), 5.0, rest=0.12),  # someone who waits half way
    Mover(0.07, 0.15, 0.06, 0.14, (1.55, 0.85), (-0.25, 0.85), 9.0),  # a cart
    Mover(0.045, 0.045, 0.98, 0.90, (0.2, -0.1), (1.2, 0.5), 14.0),  # a ball
)


@dataclasses.dataclass(frozen=True)
class Video:
    """Frames of `height` x `width` grey values between 0 and 1, made when they are asked for.

    Attributes
    ----------
    frames, height, width : int
    noise : float
        Standard deviation of each value.
    """

    frames: int
    height: int
    width: int
    noise: float = 0.01

    @property
    def pixels(self) -> int:
        """How many values a frame has."""
        return self.height * self.width

    def _grid(self) -> tuple[Array, Array]:
        y, x = np.mgrid[0 : self.height, 0 : self.width] / self.height
        return x, y

    def looks(self) -> Array:
        """Return the three pictures that every background is a sum of, one in a row."""
        x, y = self._grid()
        tiles = (np.floor(8 * x) + np.floor(11 * y)) % 2
        wall = 0.42 + 0.05 * np.sin(13 * x) * np.cos(9 * y) + 0.12 * ((x % 0.42 > 0.06) & (y < 0.45) & (y > 0.12))
        room = np.where(y > 0.6, 0.34 + 0.16 * (y - 0.6) + 0.06 * tiles, wall)
        lamp = room * np.exp(-((x - 0.3) ** 2 + (y - 0.15) ** 2) / 0.18)
        tree = room * (0.5 + 0.5 * np.sin(9 * x + 4 * y)) * (x > 0.55)
        return np.stack([each.ravel() for each in (room, lamp, tree)])

    def lights(self, start: int, stop: int) -> Array:
        """Return how bright each of the three is in each frame, one frame in a row."""
        time = np.arange(start, stop) / self.frames
        sky = 0.85 + 0.25 * np.sin(np.pi * time) ** 2
        lamp = 0.45 / (1 + np.exp(-60 * (time - 0.55))) + 0.03 * np.sin(2 * np.pi * 37 * time)
        return np.stack([sky, lamp, -0.3 * sky * np.sin(2 * np.pi * 2.2 * time) ** 2], axis=1)

    def background(self, start: int, stop: int) -> Array:
        """Return frames of the empty room, without noise, a frame in a row."""
        return self.lights(start, stop) @ self.looks()

    def chunk(self, start: int, stop: int) -> tuple[Array, Array]:
        """Return frames, one in a row, and where something stands before the background."""
        x, y = (each.ravel() for each in self._grid())
        scene = self.background(start, stop)
        covered = np.zeros(scene.shape, dtype=bool)
        for frame in range(start, stop):
            for mover in MOVERS:
                cx, cy = mover.centre(frame / self.frames)
                there = ((x - cx) / mover.length) ** 2 + ((y - cy) / mover.radius) ** 2 < 1
                stripes = np.where((x - cx + 2 * (y - cy)) % 0.08 > 0.04, mover.light, mover.dark)
                scene[frame - start, there] = stripes[there]
                covered[frame - start] |= there
        noise = np.stack([np.random.default_rng([7, f]).standard_normal(self.pixels) for f in range(start, stop)])
        return scene + self.noise * noise, covered

    def visible(self, start: int, stop: int, least: float) -> Array:
        """Return where what moves differs from the background by more than a threshold, noise aside."""
        quiet = dataclasses.replace(self, noise=0.0)
        frames, covered = quiet.chunk(start, stop)
        return covered & (np.abs(frames - quiet.background(start, stop)) > least)
